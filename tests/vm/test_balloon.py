# SPDX-License-Identifier: GPL-2.0-only
"""The balloon: memory goes to the host and comes back, measured on both sides.

Memory of the host is QEMU's resident set; memory of the guest is /proc/meminfo; what the
balloon holds is what QMP's query-balloon says.
"""

import re
import subprocess
import time

import pytest

from vrhlab import Balloon, binding, host

SYSFS = "/sys/bus/virtio/devices/*/vrh"
HOG = """
import mmap, sys, time
size = {mib} << 20
m = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
for at in range(0, size, 4096):
    m[at] = 1
print("filled", flush=True)
time.sleep({hold})
"""


def memory(lab):
    """MiB of the guests here: KASAN keeps an eighth for itself, kmemleak its books."""
    return 1280 if lab.kernel == "debug" else 1024


@pytest.fixture
def guest(lab):
    """The guest of these tests, without a balloon: each test plugs the one it needs."""
    lab.need("virtio_balloon_rh")
    made = lab.share("balloon", mem=memory(lab), devices=shelf)
    yield made
    for device in shelf.plugged[:]:
        remove(made, device)
    made.run("rmmod virtio_balloon_rh; rmmod virtio_balloon; rm -f /dev/shm/*")


def shelf():
    """A root port for a balloon that is plugged later, and an I/O thread for its hints."""
    shelf.plugged = []
    return [["-device", "pcie-root-port,id=port-balloon0,chassis=90"],
            ["-object", "iothread,id=hints,poll-max-ns=0"]]


def add(guest, driver="ours", parameters=(), **options):
    """Plugs a balloon and has DRIVER take it; returns (device, its name in the guest)."""
    device = Balloon(hotplug=True, **options)
    guest.run("rmmod virtio_balloon_rh; rmmod virtio_balloon")
    guest.modprobe(binding.driver_name("balloon", driver), *parameters)
    guest.plug(device)
    shelf.plugged.append(device)
    guest.wait("ls -d /sys/bus/virtio/drivers/virtio_balloon*/virtio*", what="balloon probed")
    found, = binding.devices(guest, "balloon")
    assert found.driver == binding.driver_name("balloon", driver)
    return device, found


def remove(guest, device):
    """Unplugs a balloon."""
    shelf.plugged.remove(device)
    guest.unplug(device)
    guest.wait("! grep -qs 0x0005 /sys/bus/virtio/devices/*/device", what="balloon gone")


def actual(guest):
    """MiB that the host believes the guest to have."""
    return guest.qmp("query-balloon")["actual"] >> 20


def resize(guest, mib):
    """Asks the guest to live with MIB."""
    guest.qmp("balloon", value=mib << 20)


def reach(guest, mib, timeout=90):
    """Resizes the guest to MIB and waits for it."""
    resize(guest, mib)
    host.until(lambda: actual(guest) == mib, timeout, f"a guest of {mib} MiB")


def meminfo(guest, name):
    """A line of the guest's /proc/meminfo in MiB."""
    return int(guest.sh(f"sed -n 's/^{name}: *//p' /proc/meminfo").split()[0]) >> 10


def free_memory(guest):
    """MiB that are free: MemFree and what the processors keep on their own lists."""
    lists = re.findall(r"^ +count: +(\d+)$", guest.sh("cat /proc/zoneinfo"), re.M)
    return meminfo(guest, "MemFree") + (sum(map(int, lists)) >> 8)


def resident(guest):
    """MiB of the host that QEMU has."""
    with open(f"/proc/{guest.process.pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1]) >> 10


def fill(guest, mib):
    """Has the guest use MIB, so that the host has pages behind them."""
    guest.sh("mount -o remount,size=95% /dev/shm && "
             f"dd if=/dev/zero of=/dev/shm/filled bs=1M count={mib} 2>/dev/null", timeout=240)


def free(guest):
    """Has the guest free what fill() took."""
    guest.sh("rm /dev/shm/filled")


def touch(guest, mib):
    """Has the guest use and free MIB."""
    fill(guest, mib)
    free(guest)


def merge(guest):
    """Makes large pieces of the free memory: those of less than 2 MiB are not reported."""
    guest.sh("echo 1 >/proc/sys/vm/compact_memory", timeout=180)


def counter(guest, name):
    """A counter of our driver."""
    return int(guest.sh(f"cat {SYSFS}/{name}"))


def vmstat(guest, name):
    """A line of the guest's /proc/vmstat."""
    return int(guest.sh(f"sed -n 's/^{name} //p' /proc/vmstat") or 0)


def hog(guest, mib, hold=0, timeout=240):
    """Starts a program that fills MIB and keeps it for HOLD seconds; returns the Running."""
    (guest.share / "hog.out").unlink(missing_ok=True)
    (guest.share / "hog.py").write_text(HOG.format(mib=mib, hold=hold))
    return guest.start_command("echo 500 >/proc/self/oom_score_adj; "
                               "exec python3 /share/hog.py >/share/hog.out", timeout=timeout)


def until_full(guest):
    """Waits until the hog has all it wants."""
    out = guest.share / "hog.out"
    host.until(lambda: out.exists() and out.read_text(), 180, "the hog is full")


def test_memory_goes_to_the_host_and_comes_back(guest, driver):
    """Both sides have what they should, to a few MiB."""
    add(guest, driver)
    # All that is free, so that the host has a page behind whatever the balloon takes.
    most = free_memory(guest) - 100
    touch(guest, most)
    total, before = meminfo(guest, "MemTotal"), resident(guest)
    reach(guest, guest.mem - 256)
    assert abs(total - meminfo(guest, "MemTotal") - 256) <= 2
    assert before - resident(guest) >= 230, "the host got too little"
    reach(guest, guest.mem)
    assert abs(total - meminfo(guest, "MemTotal")) <= 2
    touch(guest, most)
    assert resident(guest) >= before - 30, "what came back cannot be used"


def test_total_stays_with_deflate_on_oom(guest, driver):
    """A balloon that gives way on OOM leaves MemTotal alone (VIRTIO 1.3, 5.5.6)."""
    add(guest, driver, deflate_on_oom=True)
    total, free = meminfo(guest, "MemTotal"), free_memory(guest)
    reach(guest, guest.mem - 256)
    assert meminfo(guest, "MemTotal") == total
    assert abs(free - free_memory(guest) - 256) <= 30
    reach(guest, guest.mem)


def test_statistics(guest, driver):
    """The host gets fresh statistics, with ours all 16 on every kernel."""
    # The host asks from the first moment on, before the driver is there.
    device, _ = add(guest, driver, guest_stats_polling_interval=1)
    path = f"/machine/peripheral/{device.ident}"

    def read():
        return guest.qmp("qom-get", path=path, property="guest-stats")

    host.until(lambda: read()["last-update"], 15, "the first statistics")
    first = read()
    known = {name: value for name, value in first["stats"].items() if value != 2 ** 64 - 1}
    if driver == "ours":
        assert len(known) == 16, sorted(known)
    assert abs((known["stat-total-memory"] >> 20) - meminfo(guest, "MemTotal")) <= 1
    assert abs((known["stat-available-memory"] >> 20) - meminfo(guest, "MemAvailable")) <= 40
    guest.sh("dd if=/dev/zero of=/dev/null bs=16M count=1 2>/dev/null")
    host.until(lambda: read()["stats"]["stat-minor-faults"] > known["stat-minor-faults"], 15,
               "statistics that change")


@pytest.mark.one_kernel
def test_balloon_gives_way_to_oom(guest, driver):
    """A program that needs the balloon's memory gets it, and nobody is killed."""
    add(guest, driver, deflate_on_oom=True)
    kills = vmstat(guest, "oom_kill")
    reach(guest, guest.mem - 400)
    result = hog(guest, 540).wait()
    assert result.ok, result
    assert vmstat(guest, "oom_kill") == kills
    if driver == "ours":
        assert counter(guest, "oom_pages") > 0
        host.until(lambda: actual(guest) == guest.mem - 400, 60, "the target is pursued again")


@pytest.mark.one_kernel
def test_no_tug_of_war_while_memory_is_short(guest):
    """While the hog stays, the balloon keeps away: few OOM calls, no churn."""
    add(guest, deflate_on_oom=True)
    reach(guest, guest.mem - 400)
    kills = vmstat(guest, "oom_kill")
    running = hog(guest, 540, hold=17)
    until_full(guest)
    inflated = counter(guest, "inflated")
    time.sleep(12)
    churn = (counter(guest, "inflated") - inflated) >> 8
    assert churn <= 64, f"{churn} MiB went to the host while the guest was short"
    assert running.wait().ok
    assert vmstat(guest, "oom_kill") == kills


@pytest.mark.one_kernel
def test_unreachable_target_leaves_a_working_guest(guest):
    """Asked for more than it can spare, the guest gives what it can and lives."""
    add(guest)
    kills = vmstat(guest, "oom_kill")
    running = hog(guest, 400, hold=30)
    until_full(guest)
    resize(guest, 100)
    host.until(lambda: counter(guest, "floor_stops"), 60, "the floor is reached")
    time.sleep(3)
    available = meminfo(guest, "MemAvailable")
    assert 40 <= available <= 110, available
    begun = time.monotonic()
    guest.sh("sleep 1")
    assert time.monotonic() - begun < 6
    assert running.wait().ok
    assert vmstat(guest, "oom_kill") == kills
    # The memory that the hog left goes to the host without being asked again.
    low = actual(guest)
    host.until(lambda: actual(guest) < low - 200, 60, "the target is pursued")
    reach(guest, guest.mem)


def test_reported_pages_leave_the_host(guest, driver):
    """What the guest frees disappears from QEMU's resident set by itself."""
    add(guest, driver, free_page_reporting=True)
    fill(guest, 400)
    high = resident(guest)      # what is free already may go any moment
    free(guest)
    merge(guest)
    host.until(lambda: resident(guest) < high - 250, 60, "the host has its memory back")


def test_reporting_finds_its_queue(guest):
    """Queues that are offered and not used keep their numbers."""
    add(guest, free_page_reporting=True, free_page_hint=True, iothread="hints")
    features = guest.sh(f"cat {SYSFS}/features").split()
    assert "FREE_PAGE_HINT" not in features and "REPORTING" in features
    touch(guest, 250)
    merge(guest)
    host.until(lambda: counter(guest, "reported") > 200 * 256, 30, "pages are reported")
    remove(guest, shelf.plugged[0])
    add(guest, parameters=["disable_features=0x2"], free_page_reporting=True)
    features = guest.sh(f"cat {SYSFS}/features").split()
    assert "STATS_VQ" not in features and "REPORTING" in features
    touch(guest, 250)
    merge(guest)
    host.until(lambda: counter(guest, "reported") > 200 * 256, 30, "pages are reported")


@pytest.mark.parametrize("oom", [False, True], ids=["adjusted", "deflate-on-oom"])
def test_compaction_moves_ballooned_pages(guest, oom):
    """Migration keeps every count right."""
    add(guest, deflate_on_oom=oom)
    total = meminfo(guest, "MemTotal")
    # Holes all over memory make work for compaction.
    guest.sh("mkdir -p /dev/shm/holes; cd /dev/shm/holes; "
             "dd if=/dev/zero bs=1M count=200 2>/dev/null | split -b 2M; rm *[aceg]", timeout=180)
    reach(guest, guest.mem - 200)
    guest.sh("rm -r /dev/shm/holes")
    guest.sh("echo 1 >/proc/sys/vm/compact_memory", timeout=180)
    moved = counter(guest, "migrated")
    assert moved > 0
    assert vmstat(guest, "balloon_migrate") >= moved
    assert counter(guest, "held_pages") == 200 << 8
    assert actual(guest) == guest.mem - 200
    reach(guest, guest.mem)
    assert counter(guest, "held_pages") == 0
    assert abs(meminfo(guest, "MemTotal") - total) <= 1
    assert counter(guest, "errors") == 0


def test_compaction_while_inflating(guest):
    """Migration and both directions of the balloon at once."""
    add(guest)
    running = guest.start_command("end=$((SECONDS+10)); while [ $SECONDS -lt $end ]; do "
                                  "echo 1 >/proc/sys/vm/compact_memory; done", timeout=60)
    for _ in range(3):
        reach(guest, guest.mem - 250)
        reach(guest, guest.mem - 50)
    assert running.wait().ok
    reach(guest, guest.mem)
    assert counter(guest, "held_pages") == 0
    assert counter(guest, "host_late") == 0


def test_unload_gives_everything_back(guest):
    """rmmod with a full balloon leaves no page behind, and the host knows."""
    add(guest)
    total, free = meminfo(guest, "MemTotal"), free_memory(guest)
    reach(guest, guest.mem - 500)
    guest.sh("rmmod virtio_balloon_rh")
    assert actual(guest) == guest.mem
    assert abs(meminfo(guest, "MemTotal") - total) <= 1
    assert abs(free_memory(guest) - free) <= 16
    # The target stands: whoever takes the device next pursues it, in-tree too.
    guest.modprobe("virtio_balloon")
    binding.take(guest, "balloon", "in-tree")
    host.until(lambda: actual(guest) == guest.mem - 500, 60, "in-tree takes over")


def test_bind_and_unbind_while_inflating(guest):
    """Always in the middle of it; test_lifecycle.py does it a hundred times."""
    _, device = add(guest, deflate_on_oom=True, free_page_reporting=True)
    total = meminfo(guest, "MemTotal")
    for turn in range(5):
        resize(guest, guest.mem - 400 - turn)
        guest.sh("cd /sys/bus/virtio/drivers/virtio_balloon_rh; for i in 0 1 2 3; do "
                 f"echo {device.name} >unbind; echo {device.name} >bind; sleep 0.$i; done",
                 timeout=180)
    reach(guest, guest.mem)
    assert abs(meminfo(guest, "MemTotal") - total) <= 1
    assert counter(guest, "held_pages") == 0


def test_unplug_while_inflating(guest):
    """The device goes in the middle of it and comes back."""
    total = meminfo(guest, "MemTotal")
    for turn in range(3):
        device, _ = add(guest, free_page_reporting=True)
        resize(guest, guest.mem - 600)
        time.sleep(0.2 * turn)
        remove(guest, device)
        assert abs(meminfo(guest, "MemTotal") - total) <= 1


def test_function_reset_is_survived(guest):
    """Where the core says so, the balloon starts again; else nobody waits for ever."""
    _, device = add(guest)
    total = meminfo(guest, "MemTotal")
    reach(guest, guest.mem - 200)
    told = binding.told_of_resets(guest)
    guest.sh(f"echo 1 >/sys/bus/pci/devices/{device.pci}/reset", timeout=60)
    if told:
        reach(guest, guest.mem - 300)
        assert counter(guest, "host_late") == 0
    else:
        # The device is silent now, also about targets, and the driver does not know why.
        begun = time.monotonic()
        guest.sh("echo 1 >/proc/sys/vm/compact_memory", timeout=60)
        assert time.monotonic() - begun < 25, "each of compaction's pages waited"
    begun = time.monotonic()
    guest.sh("rmmod virtio_balloon_rh", timeout=60)
    assert time.monotonic() - begun < 30
    assert abs(meminfo(guest, "MemTotal") - total) <= 1
    guest.modprobe("virtio_balloon_rh")
    reach(guest, guest.mem)


@pytest.mark.parametrize("options", [{"packed": True}, {"vectors": 0, "ioeventfd": False},
                                     {"iommu_platform": True}, {"event_idx": False}],
                         ids=lambda options: "-".join(options))
def test_device_variants(guest, options):
    """Packed ring, INTx and no ioeventfd, DMA API, no event index: the same balloon."""
    add(guest, free_page_reporting=True, **options)
    resize_ok = guest.mem - 300
    reach(guest, resize_ok)
    guest.sh("echo 1 >/proc/sys/vm/compact_memory", timeout=60)
    reach(guest, guest.mem)
    assert counter(guest, "host_late") == counter(guest, "errors") == 0
    features = guest.sh(f"cat {SYSFS}/features").split()
    assert ("RING_PACKED" in features) == ("packed" in options)
    assert ("REPORTING" in features) == ("iommu_platform" not in options)


@pytest.mark.own_guest
@pytest.mark.one_kernel
def test_old_machine_suspend_and_reboot(lab, take, root_disk):
    """pc-q35-9.2 (INTx, no ioeventfd), poison; suspend and reboot in the middle of it."""
    guest = lab.boot_from(root_disk, mem=memory(lab), machine="pc-q35-9.2",
                          append="page_poison=1" if lab.kernel == "debug" else "init_on_free=1",
                          devices=[Balloon(hotplug=True, free_page_reporting=True)])
    take(guest, "balloon")
    features = guest.sh(f"cat {SYSFS}/features").split()
    assert "PAGE_POISON" in features and "REPORTING" in features
    touch(guest, 300)
    reach(guest, guest.mem - 300)
    host.until(lambda: counter(guest, "reported") > 100 * 256, 60, "pages are reported")
    assert counter(guest, "errors") == counter(guest, "host_late") == 0
    guest.prepare_suspend()
    # QEMU answers nobody while it takes pages back: half of a second can go by like that.
    guest.sh("echo 5 >/sys/module/suspend/parameters/pm_test_delay")
    suspended = guest.start_suspend()
    host.until(lambda: actual(guest) == guest.mem, 60, "the balloon is empty for the suspend")
    suspended.wait(check=True)
    host.until(lambda: actual(guest) == guest.mem - 300, 90, "it is filled again afterwards")
    resize(guest, guest.mem - 700)
    host.until(lambda: counter(guest, "held_pages") > 320 << 8, 60, "the balloon is on its way")
    guest.start_command("busybox reboot -f")
    try:
        guest.process.wait(90)
    except subprocess.TimeoutExpired:
        raise host.LabError("the guest did not reboot within 90 s\n"
                            f"{guest.console()[-3000:]}") from None
