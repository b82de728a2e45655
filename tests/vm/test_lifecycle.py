# SPDX-License-Identifier: GPL-2.0-only
"""The life of a device under each driver: bind, unbind, load, unload, plug, unplug, refuse.

What a driver does between these is for its own tests; here only that the device works
before and after, whatever happened to it.
"""

import contextlib
import re

import pytest

from conftest import KERNELS
from vrhlab import GuestDied, binding, workout

KINDS = ("blk", "net", "console", "balloon")

#: For each module: a parameter with a value that makes no sense, and what the refusal says
#: of the range.
NONSENSE = {
    "blk": [("queue_depth=10241", "to 10240"), ("num_request_queues=65536", "to 65535"),
            ("queue_depth=-1", "to 10240"), ("queue_depth=deep", "to 10240")],
    "net": [("napi_weight=0", "1 to 64"), ("napi_weight=65", "1 to 64")],
    "console": [("stall_ms=0", "1 to 2000"), ("stall_ms=2001", "1 to 2000"),
                ("stall_ms=x", "1 to 2000")],
    "balloon": [("floor_mb=-2", "0 to 16777216"), ("floor_mb=16777217", "0 to 16777216"),
                ("floor_mb=12x", "0 to 16777216"), ("floor_mb=", "0 to 16777216")],
}
for _pairs in NONSENSE.values():
    _pairs += [("disable_features=0x100000000", "without bits 32"),
               ("disable_features=many", "mask of feature bits")]

BIND_LOOP = """
cd /sys/bus/virtio/drivers/{driver} || exit 1
exec {{nap}}<> <(:)
for ((i = 0; i < {rounds}; i++)); do
    echo {device} >unbind || exit 2
    echo {device} >bind || exit 3
    read -rt 0.0$((RANDOM % 8)) -u $nap
done
true
"""

#: Binds with the N-th allocation failing, N = 1, 2, ... until one bind has as few; each
#: device that was refused goes to the in-tree driver and back. Prints how many failed.
FAIL_NTH = """
import os, sys
device, driver, in_tree = sys.argv[1:]
base = "/sys/bus/virtio/drivers/"

def write(path, text):
    with open(path, "w") as out:
        out.write(text)

for kind in ("failslab", "fail_page_alloc"):
    write(f"/sys/kernel/debug/{kind}/ignore-gfp-wait", "N")
    write(f"/sys/kernel/debug/{kind}/verbose", "0")
write("/sys/kernel/debug/fail_page_alloc/min-order", "0")
refused = 0
for nth in range(1, 3000):
    fault = os.open("/proc/thread-self/fail-nth", os.O_RDWR)
    bind = os.open(base + driver + "/bind", os.O_WRONLY)
    os.pwrite(fault, b"%d" % nth, 0)
    try:
        os.write(bind, device.encode())
        bound = True
    except OSError:
        bound = False
    left = int(os.pread(fault, 20, 0))
    os.pwrite(fault, b"0", 0)
    os.close(bind)
    os.close(fault)
    if bound:
        write(base + driver + "/unbind", device)
    else:
        refused += 1
        write(base + in_tree + "/bind", device)
        write(base + in_tree + "/unbind", device)
    if left:
        print(nth, refused)
        sys.exit(0)
sys.exit("3000 allocations and no end")
"""


def workouts(lab):
    """One of each kind, and the devices that they are made of.

    On the debug kernel, which checks every mapping, they go through the DMA API; all but
    the balloon, which the in-tree driver does not take then.
    """
    made = {kind: workout.WORKOUTS[kind]() for kind in KINDS}
    if lab.kernel == "debug":
        for kind in ("blk", "net", "console"):
            made[kind].parts[0].options["iommu_platform"] = True
    return made, [part for one in made.values() for part in one.parts]


def boot(lab, *kinds, driver="ours"):
    """The guest with one device of each kind that these tests share, and their workouts.

    The devices of KINDS (all, if none is named) are with DRIVER then.
    """
    kinds = kinds or KINDS
    lab.need(*(binding.OURS[kind] for kind in kinds))
    made, devices = workouts(lab)
    guest = lab.share("lifecycle", devices=devices)
    if not hasattr(guest, "workouts"):
        guest.workouts = made
    for kind in kinds:
        binding.take(guest, kind, driver)
    return guest, {kind: guest.workouts[kind] for kind in kinds}


@contextlib.contextmanager
def load(guest, exercises):
    """Keeps the devices of EXERCISES busy while the block runs."""
    with contextlib.ExitStack() as stack:
        for exercise in exercises.values():
            stack.enter_context(exercise.load(guest))
        yield


def check(guest, exercises):
    """Moves data through each device."""
    for exercise in exercises.values():
        exercise.check(guest)


def drivers(guest):
    """{kind: driver} of the devices of these tests."""
    return {found.kind: found.driver for found in binding.devices(guest) if found.kind in KINDS}


def unload(guest, *kinds):
    """Takes our modules out of the guest; their devices are left without driver."""
    for device in binding.devices(guest):
        if device.driver == binding.OURS.get(device.kind) and device.kind in kinds:
            binding.unbind(guest, device)
    for kind in kinds:
        module = binding.OURS[kind]
        guest.wait(f"! test -e /sys/module/{module} || modprobe -r {module}", 60)


def said(guest, module):
    """What MODULE has said since `dmesg -C`, without the kernel's own words on its loading."""
    return [line for line in guest.sh("dmesg").splitlines() if f"{module}: " in line
            and "taints kernel" not in line and "tainting kernel" not in line]


@pytest.mark.one_kernel
def test_bind_unbind_100_times_under_load(lab, driver):
    """The devices survive a hundred changes while they are busy, all at the same time."""
    guest, exercises = boot(lab, driver=driver)
    rounds = 100 if driver == "ours" else 10
    check(guest, exercises)
    with load(guest, exercises):
        loops = {kind: guest.start_command(BIND_LOOP.format(
            driver=binding.driver_name(kind, driver), device=exercise.device(guest).name,
            rounds=rounds), timeout=1800) for kind, exercise in exercises.items()}
        ended = {kind: running.wait() for kind, running in loops.items()}
    assert all(result.ok for result in ended.values()), ended
    assert drivers(guest) == {kind: binding.driver_name(kind, driver) for kind in KINDS}
    check(guest, exercises)


@pytest.mark.one_kernel
def test_modules_go_and_come_back(lab, take):
    """rmmod under load frees the device; modprobe takes it again; at last in-tree has it."""
    for _ in range(2):
        guest, exercises = boot(lab)
        check(guest, exercises)
        with load(guest, exercises):
            unload(guest, *KINDS)     # what is open holds a module a while longer
        assert drivers(guest) == dict.fromkeys(KINDS)
        assert not guest.run("ls /sys/module | grep -q 'virtio_.*_rh$'").ok
    for kind in KINDS:
        take(guest, kind, "in-tree")
    check(guest, exercises)


@pytest.mark.one_kernel
def test_hot_unplug_and_plug_under_load(lab, take, driver):
    """QMP takes the busy devices away and brings them back; they work each time."""
    guest, exercises = boot(lab, driver=driver)
    for _ in range(2 if driver == "ours" else 1):
        with load(guest, exercises):
            for exercise in exercises.values():
                exercise.unplug(guest)
        assert drivers(guest) == {}
        for kind, exercise in exercises.items():
            exercise.plug(guest)
            guest.wait(f"grep -qx {binding.ident(kind)} /sys/bus/virtio/devices/*/device", 60)
            take(guest, kind, driver)
        check(guest, exercises)


@pytest.mark.own_guest
@pytest.mark.one_kernel
def test_surprise_removal_under_load(lab):
    """Busy devices are pulled out, not asked for: every removal ends, every module unloads."""
    exercises, devices = workouts(lab)
    # The core warns when a device that is gone does not read as reset (virtio_dev_remove).
    guest = lab.boot(devices=devices, allowed=[r"virtio_dev_remove", r"Call Trace"])
    for kind in KINDS:
        binding.take(guest, kind, "ours")
    check(guest, exercises)
    with load(guest, exercises):
        for exercise in exercises.values():
            device = exercise.device(guest)
            binding.power_off(guest, device)
            removed = guest.run(f"echo 1 >/sys/bus/pci/devices/{device.pci}/remove", timeout=90)
            assert removed.ok and removed.seconds < 60, (device, removed)
    assert drivers(guest) == {}
    unload(guest, *KINDS)


def test_disabled_modules_leave_the_devices(lab, take):
    """With enable=0 a module loads, says so, binds nothing; the in-tree driver serves."""
    guest, exercises = boot(lab, driver="in-tree")
    unload(guest, *KINDS)
    for device in binding.devices(guest):
        if device.kind in KINDS:
            binding.unbind(guest, device)
    for kind in KINDS:
        module = binding.OURS[kind]
        guest.run("dmesg -C")
        guest.modprobe(module, "enable=0")
        line, = said(guest, module)
        assert "enable=0" in line
    assert drivers(guest) == dict.fromkeys(KINDS)
    for kind in KINDS:
        take(guest, kind, "in-tree")
    check(guest, exercises)
    unload(guest, *KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_nonsense_parameter_is_refused_with_one_line(lab, kind):
    """The load fails, one line names parameter and value, the device is not touched."""
    guest, _ = boot(lab, kind, driver="in-tree")
    module = binding.OURS[kind]
    unload(guest, kind)
    before = binding.devices(guest, kind)
    for word, allowed in NONSENSE[kind]:
        guest.run("dmesg -C")
        assert not guest.run(["modprobe", module, word]).ok, word
        line, = [line for line in said(guest, module) if word in line]
        assert f"parameter {word}: must be " in line and allowed in line, line
    assert not guest.run(f"test -e /sys/module/{module}").ok
    assert binding.devices(guest, kind) == before


@pytest.mark.own_guest
def test_installed_modules_wait_for_a_softdep(lab):
    """Whoever loads drivers by alias, as udev does, gets the in-tree ones, as without ours.

    With the softdep of README.md ours come first; disabled, they leave the devices to in-tree.
    """
    lab.need(*binding.OURS.values())
    guest = lab.boot(devices=workouts(lab)[1])
    guest.run("modprobe -a -b $(cat /sys/bus/virtio/devices/*/modalias)", check=True)
    assert drivers(guest) == binding.IN_TREE
    kinds = ("blk", "net", "balloon")       # the kernel may have the console built in
    in_tree = " ".join(binding.IN_TREE[kind] for kind in kinds)
    for options, expected in (("", binding.OURS), ("enable=0", binding.IN_TREE)):
        guest.sh("".join(
            f"echo softdep {binding.IN_TREE[kind]} pre: {binding.OURS[kind]}; "
            + (f"echo options {binding.OURS[kind]} {options}; " if options else "")
            for kind in kinds)
            .join(("{ ", "} >/etc/modprobe.d/virtio-rh-enable.conf")))
        guest.run(f"modprobe -r {in_tree}", check=True)
        guest.run(f"modprobe -a {in_tree}", check=True)
        now = drivers(guest)
        assert {kind: now[kind] for kind in kinds} == {kind: expected[kind] for kind in kinds}


@pytest.mark.own_guest
@pytest.mark.one_kernel
def test_reboot_under_load_ends_quietly(lab):
    """With all devices busy a reboot ends in bounded time, and nothing complains."""
    exercises, devices = workouts(lab)
    guest = lab.boot(devices=devices)
    for kind in KINDS:
        binding.take(guest, kind, "ours")
    check(guest, exercises)
    with contextlib.suppress(GuestDied), load(guest, exercises):
        guest.start_command("sleep 1; busybox reboot -f")
        guest.process.wait(90)
    text = guest.console()
    assert "Restarting system" in text or "reboot: " in text, text[-2000:]
    assert not re.search(r"virtqueue is broken|_rh virtio.*(fail|error|timed? ?out)", text, re.I)


@pytest.mark.parametrize("kernel", [name for name in KERNELS if name == "debug"], indirect=True,
                         scope="module")
@pytest.mark.own_guest
def test_each_failing_allocation_in_probe_leaves_the_device_usable(lab, take):
    """Whichever allocation fails, probe ends cleanly and the in-tree driver can take over."""
    exercises, devices = workouts(lab)
    # The core warns when it removes an interrupt whose file in /proc it could not make.
    guest = lab.boot(devices=devices, allowed=[r"WARNING: .* remove_proc_entry", r"Call Trace"])
    (guest.share / "fail_nth.py").write_text(FAIL_NTH)
    for kind, exercise in exercises.items():
        device = exercise.device(guest)
        guest.modprobe(binding.OURS[kind])
        take(guest, kind, "in-tree")
        binding.unbind(guest, device)
        swept = guest.run(["python3", "-S", "/share/fail_nth.py", device.name,
                           binding.OURS[kind], binding.IN_TREE[kind]], timeout=1500, check=True)
        tried, refused = map(int, swept.stdout.split())
        assert tried > 5 and refused > 0, "no allocation of the probe failed: is the sweep alive?"
        take(guest, kind, "ours")
        exercise.check(guest)
