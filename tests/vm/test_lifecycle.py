# SPDX-License-Identifier: GPL-2.0-only
"""The life of a device under each driver: bind, unbind, load, unload, plug, unplug, refuse.

What a driver does between these is for its own tests; here only that the device works
before and after, whatever happened to it.
"""

import pytest

from conftest import KERNELS
from vrhlab import binding, workout

KINDS = ("blk", "net", "console", "balloon")

#: A parameter with a value out of its range, for each module.
NONSENSE = {
    "blk": [("num_request_queues", "70000"), ("queue_depth", "nonsense")],
    "net": [("napi_weight", "0"), ("napi_weight", "65")],
    "console": [("stall_ms", "0"), ("stall_ms", "5000")],
    "balloon": [("floor_mb", "nonsense")],
}
NONSENSE = [(kind, *pair) for kind, pairs in NONSENSE.items()
            for pair in (*pairs, ("disable_features", "0x100000000"))]

BIND_LOOP = """
cd /sys/bus/virtio/drivers/{driver} || exit 1
for i in $(seq {rounds}); do
    echo {device} >unbind || exit 2
    echo {device} >bind || exit 3
    sleep 0.0$((RANDOM % 8))
done
"""

#: Binds with the N-th allocation failing, N = 1, 2, ... until one bind has as few; each
#: device that was refused goes to the in-tree driver and back. Prints how many failed.
FAIL_NTH = """
import sys
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
    with open("/proc/thread-self/fail-nth", "r+", buffering=1) as fault, \\
            open(base + driver + "/bind", "w") as bind:
        bind.write(device)
        fault.write(str(nth))
        try:
            bind.flush()
            bound = True
        except OSError:
            bound = False
        fault.seek(0)
        left = int(fault.read())
        fault.seek(0)
        fault.write("0")
        try:
            bind.close()
        except OSError:
            pass
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


@pytest.fixture(params=KINDS)
def kind(request):
    """The kind of device."""
    return request.param


def boot(lab, kind, driver="ours"):
    """The guest with one device of each kind that these tests share, and KIND's workout."""
    if driver == "ours":
        lab.need(binding.OURS[kind])
    made = {name: workout.WORKOUTS[name]() for name in KINDS}
    guest = lab.share("lifecycle", devices=[part for one in made.values() for part in one.parts])
    if not hasattr(guest, "workouts"):
        guest.workouts = made
    return guest, guest.workouts[kind]


def unload(guest, kind):
    """Takes our module out of the guest; its devices are left without driver."""
    for device in binding.devices(guest, kind):
        if device.driver == binding.OURS[kind]:
            binding.unbind(guest, device)
    guest.wait(f"! test -e /sys/module/{binding.OURS[kind]} || modprobe -r {binding.OURS[kind]}",
               60)


def test_bind_unbind_100_times_under_load(lab, take, kind, driver):
    """The device survives a hundred changes while it is busy, and works afterwards."""
    guest, exercise = boot(lab, kind, driver)
    device, = take(guest, kind, driver)
    exercise.check(guest)
    with exercise.load(guest):
        guest.run(BIND_LOOP.format(driver=binding.driver_name(kind, driver), device=device.name,
                                   rounds=100), timeout=900, check=True)
    assert exercise.device(guest).driver == binding.driver_name(kind, driver)
    exercise.check(guest)


def test_module_goes_and_comes_back(lab, take, kind):
    """rmmod under load frees the device; modprobe takes it again; at last in-tree has it."""
    guest, exercise = boot(lab, kind)
    module = binding.OURS[kind]
    for _ in range(3):
        take(guest, kind, "ours")
        exercise.check(guest)
        with exercise.load(guest):
            unload(guest, kind)     # what is open holds the module a while longer
        assert exercise.device(guest).driver is None
        assert not guest.run(f"test -e /sys/module/{module}").ok
    take(guest, kind, "in-tree")
    exercise.check(guest)


def test_hot_unplug_and_plug_under_load(lab, take, kind, driver):
    """QMP takes the busy device away and brings it back; it works each time."""
    guest, exercise = boot(lab, kind, driver)
    take(guest, kind, driver)
    for _ in range(2):
        exercise.check(guest)
        with exercise.load(guest):
            exercise.unplug(guest)
        assert exercise.device(guest) is None
        exercise.plug(guest)
        guest.wait(f"grep -qx {ident(kind)} /sys/bus/virtio/devices/*/device", 60)
        take(guest, kind, driver)
    exercise.check(guest)


def ident(kind):
    """The virtio device id of KIND as sysfs shows it."""
    return next(number for number, name in binding.KINDS.items() if name == kind)


def test_disabled_module_leaves_the_device(lab, take, kind):
    """With enable=0 the module loads, says so, binds nothing; the in-tree driver serves."""
    guest, exercise = boot(lab, kind)
    unload(guest, kind)
    if exercise.device(guest).driver:       # the in-tree driver has it already
        binding.unbind(guest, exercise.device(guest))
    guest.run("dmesg -C")
    guest.modprobe(binding.OURS[kind], "enable=0")
    assert exercise.device(guest).driver is None
    assert guest.sh(f"dmesg | grep -c '{binding.OURS[kind]}: '") == "1"
    take(guest, kind, "in-tree")
    exercise.check(guest)
    unload(guest, kind)


@pytest.mark.parametrize("kind, parameter, value", NONSENSE)
def test_nonsense_parameter_is_refused_with_one_line(lab, take, kind, parameter, value):
    """The load fails, one line names parameter and value, the device is not touched."""
    module = binding.OURS[kind]
    guest, exercise = boot(lab, kind)
    before = take(guest, kind, "in-tree")
    unload(guest, kind)
    guest.run("dmesg -C")
    assert not guest.run(["modprobe", module, f"{parameter}={value}"]).ok
    lines = [line for line in guest.run("dmesg").stdout.splitlines()
             if f"{parameter}={value}" in line]
    assert len(lines) == 1, lines
    assert " to " in lines[0] or "must be" in lines[0]
    assert not guest.run(f"test -e /sys/module/{module}").ok
    assert binding.devices(guest, exercise.kind) == before


@pytest.mark.parametrize("kernel", [name for name in KERNELS if name == "debug"], indirect=True,
                         scope="module")
def test_each_failing_allocation_in_probe_leaves_the_device_usable(lab, take, kind):
    """Whichever allocation fails, probe ends cleanly and the in-tree driver can take over."""
    guest, exercise = boot(lab, kind)
    device, = take(guest, kind, "in-tree")
    guest.modprobe(binding.OURS[kind])
    binding.unbind(guest, device)
    (guest.share / "fail_nth.py").write_text(FAIL_NTH)
    swept = guest.run(["python3", "-S", "/share/fail_nth.py", device.name, binding.OURS[kind],
                       binding.IN_TREE[kind]], timeout=1500, check=True)
    tried, refused = map(int, swept.stdout.split())
    assert tried > 5 and refused > 0, "no allocation of the probe failed: is the sweep alive?"
    take(guest, kind, "ours")
    exercise.check(guest)
