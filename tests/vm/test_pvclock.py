# SPDX-License-Identifier: GPL-2.0-only
"""pvclock_rh: refuses cleanly where there is no kvm-clock, comes and goes where there is one.

A guest under TCG has no kvm-clock: there the refusal is what can be seen. The clock itself is
tested under real KVM: in a guest of a guest (vrhlab/nested.py), on a host with the stable bit and
on one without.
"""

import re
import time

import pytest

from vrhlab import host, nested
from vrhlab.clock import NAME, absent, attempt, clocks, last_event, said, switch, value
from vrhlab.nested import CLOCKS


def shared(lab):
    """The guest of these tests."""
    lab.need("pvclock_rh")
    return lab.share("pvclock", smp=1)


@pytest.fixture
def tcg(lab):
    """A guest without kvm-clock."""
    guest = shared(lab)
    if "kvm-clock" in clocks(guest)[0]:
        pytest.skip("this guest has a kvm-clock")
    return guest


def test_refuses_to_load_without_kvm_clock(tcg):
    """One line says why, modprobe fails, no clocksource comes or goes; the second time too."""
    before = clocks(tcg)
    for _ in range(2):
        result, lines = attempt(tcg)
        assert result.status == 1 and "No such device" in result.stderr, str(result)
        assert lines == ["not loaded: this machine is not a KVM guest, so there is no kvm-clock"]
        assert absent(tcg)
        assert clocks(tcg) == before


def test_enable_0_loads_and_registers_nothing(lab):
    """With enable=0 the module loads wherever it is, says so, and unloads."""
    guest = shared(lab)
    before = clocks(guest)
    result, lines = attempt(guest, "enable=0")
    assert result.ok, str(result)
    assert lines == ["loaded with enable=0: no clocksource is registered"]
    assert clocks(guest) == before
    assert guest.sh("cat /sys/module/pvclock_rh/parameters/enable") == "N"
    guest.run("! test -e /sys/kernel/pvclock_rh", check=True)
    guest.run("rmmod pvclock_rh", check=True)
    assert absent(guest)


#: Parameter: what it takes, as its messages say, values that it takes, and values that it does not.
PARAMETERS = {
    "rating": ("a number from 0 to 499", ["0", "1", "299", "499"],
               ["500", "-1", "4294967594", "many", ""]),
    "resync_limit_ms": ("a number from 1 to 3600000", ["1", "3600000"], ["0", "3600001", "1s"]),
    "vdso": ("one of auto, on, off", ["auto", "on", "off"], ["1", "yes", ""]),
    "mode": ("one of auto, shared, own", ["auto", "shared", "own"], ["off", ""]),
    "wall_source": ("one of auto, hypercall, page", ["auto", "hypercall", "page"], ["msr"]),
    "resync": ("one of off, event, step", ["off", "event", "step"], ["on", "steps", "1"]),
    "tsc_guard": ("one of off, event, fallback", ["off", "event", "fallback"], ["Off"]),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_out_of_range_are_refused(lab, name):
    """The line names parameter, value and range; nothing is loaded."""
    guest = shared(lab)
    must, _, wrong = PARAMETERS[name]
    for given in wrong:
        result, lines = attempt(guest, "enable=0", f"{name}={given}")
        assert result.status == 1 and "Invalid argument" in result.stderr, str(result)
        assert lines[0] == f"parameter {name}={given}: must be {must}"
        assert absent(guest)


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters_in_range_are_taken(lab, name):
    """Both ends of a range are inside, and sysfs shows the value."""
    guest = shared(lab)
    for given in PARAMETERS[name][1]:
        assert attempt(guest, "enable=0", f"{name}={given}")[0].ok
        assert guest.sh(f"cat /sys/module/pvclock_rh/parameters/{name}") == given
        guest.run("rmmod pvclock_rh", check=True)


def test_is_loaded_by_no_alias(lab):
    """Nothing loads the module by itself; it names its version and its parameters."""
    lab.need("pvclock_rh")
    path = lab.built.directory / "updates/pvclock_rh.ko"

    def field(name):
        return host.call(["/usr/sbin/modinfo", "-F", name, path]).split("\n")[:-1]
    assert field("alias") == []
    assert field("license") == ["GPL"]
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", field("version")[0])
    assert {line.split(":")[0] for line in field("parm")} == {
        "enable", "ptp", *PARAMETERS}


def test_registers_beside_kvm_clock(kvm, host_clock):
    """Loading offers the clock and changes nothing; unloading takes it back."""
    before = clocks(kvm)
    result, lines = attempt(kvm)
    assert result.ok, str(result)
    assert len(lines) == 1
    assert re.fullmatch(rf"clocksource {NAME}: kernel's pages \(shared\), (un)?stable host clock, "
                        r"TSC \d+ kHz, rating 298, vDSO", lines[0])
    assert clocks(kvm) == (before[0] | {NAME}, before[1])
    values = dict(line.split(":") for line in
                  kvm.sh("cd /sys/kernel/pvclock_rh && grep -r . .").splitlines())
    assert values["./state"] == "shared"
    assert values["./stable"] == str(int(host_clock == nested.STABLE))
    assert int(values["./tsc_khz"]) > 100000
    assert int(values["./unreadable"]) == 0
    kvm.run("rmmod pvclock_rh", check=True)
    assert absent(kvm)
    assert clocks(kvm) == before


def test_keeps_time_as_current_clock(kvm):
    """Time goes on across the switch there and back and never goes back."""
    kvm.modprobe("pvclock_rh")
    reader = kvm.start_command(
        ["python3", "-c", "import time\nend = last = time.monotonic()\nend += 8\n"
         "while last < end:\n now = time.monotonic()\n assert last <= now\n"
         " last = now"], timeout=300)
    for _ in range(5):
        switch(kvm, NAME)
        switch(kvm, "kvm-clock")
    switch(kvm, NAME)
    # The guest looks at its clock somewhere within each call; 1 % is for a host that drifts.
    calls = []
    for pause in (5, 0):
        before = time.monotonic()
        calls.append((before, float(kvm.sh("date +%s.%N")), time.monotonic()))
        time.sleep(pause)
    (before, first, after), (before_2, second, after_2) = calls
    assert 0.99 * (before_2 - after) < second - first < 1.01 * (after_2 - before)
    assert reader.wait().ok
    assert value(kvm, "unreadable") == "0"


def test_stays_while_it_is_current(kvm):
    """rmmod is refused while the clock is in use and works right after."""
    kvm.modprobe("pvclock_rh")
    switch(kvm, NAME)
    result = kvm.run("rmmod pvclock_rh")
    assert not result.ok and "in use" in result.stderr, str(result)
    assert clocks(kvm)[1] == NAME
    switch(kvm, "kvm-clock")
    kvm.run("rmmod pvclock_rh", check=True)
    assert absent(kvm)


def test_comes_and_goes_a_hundred_times(kvm):
    """Load, switch, read, switch back, unload, with readers of the time all the while."""
    readers = kvm.start_command("while :; do date +%N; done >/dev/null", timeout=1900)
    kvm.sh(f"cd {CLOCKS}; for i in $(seq 100); do modprobe pvclock_rh && "
           f"echo {NAME} >current_clocksource && cat /sys/kernel/pvclock_rh/* >/dev/null && "
           "echo kvm-clock >current_clocksource && rmmod pvclock_rh || exit 1; done", timeout=1800)
    assert not readers.done()
    readers.kill()
    assert absent(kvm)


def test_is_taken_back_and_offered_again(kvm):
    """By `enable` in sysfs, also while it is current."""
    kvm.modprobe("pvclock_rh")
    path = "/sys/kernel/pvclock_rh/enable"
    assert value(kvm, "enable") == "1"
    for _ in range(2):
        kvm.sh(f"echo 0 >{path}")
        assert value(kvm, "enable") == "0" and NAME not in clocks(kvm)[0]
    kvm.sh(f"echo 1 >{path}")
    assert value(kvm, "enable") == "1"
    # Taken back while it is current, it is replaced by the next best.
    switch(kvm, NAME)
    kvm.sh(f"echo 0 >{path}")
    assert value(kvm, "enable") == "0" and clocks(kvm)[1] == "kvm-clock"
    kvm.sh(f"echo 1 >{path}")
    refused = kvm.run(f"echo maybe >{path}")
    assert not refused.ok and "Invalid argument" in refused.stderr, str(refused)
    kvm.wait("dmesg | grep -q 'pvclock_rh: enable=maybe: must be 0 or 1'")
    assert value(kvm, "enable") == "1"
    kvm.sh(f"echo 0 >{path} && rmmod pvclock_rh")
    assert absent(kvm)


def test_unloads_after_being_unbound(kvm):
    """An administrator who unbinds the clock first does not confuse the unload."""
    kvm.modprobe("pvclock_rh")
    kvm.sh(f"echo {NAME} >{CLOCKS}/unbind_clocksource")
    assert NAME not in clocks(kvm)[0]
    kvm.run("rmmod pvclock_rh", check=True)
    assert absent(kvm)


@pytest.mark.parametrize("current", ["kvm-clock", NAME, "tsc"])
def test_a_pause_is_one_event(kvm, current):
    """Whatever the guest's clock is: its length is known, in sysfs, on the device, in the log.

    That the wall time is wrong after it, where the guest's clock stood still too, is another one.
    """
    kvm.modprobe("pvclock_rh", "resync=off")
    switch(kvm, current)
    reader = kvm.start_command("timeout 60 head -n 1 /dev/pvclock_rh", timeout=90)
    kvm.wait("test -n \"$(fuser /dev/pvclock_rh 2>/dev/null || pgrep -x head)\"")
    before, since = last_event(kvm), len(kvm.console())
    kvm.qmp("stop")
    begun = time.monotonic()
    time.sleep(5)
    most = time.monotonic() - begun
    kvm.qmp("cont")
    line = reader.wait(check=True).stdout
    most += time.monotonic() - begun - most
    event = last_event(kvm)
    assert line == kvm.sh("cat /sys/kernel/pvclock_rh/last_event") + "\n"
    assert event["class"] == "pause"
    assert int(event["seq"]) == (int(before["seq"]) if before else 0) + 1
    assert 4.995 < int(event["downtime_ns"]) / 1e9 < most
    assert int(event["jump_ns"]) == -int(event["downtime_ns"])
    assert int(value(kvm, "paused_ns")) >= int(event["downtime_ns"])
    kvm.wait("dmesg | grep -q 'pvclock_rh: the host kept the guest from running for'")
    assert "(pause)" in kvm.console()[since:]
    assert value(kvm, "events_lost") == "0"


#: Reads the clock 10^5 times.
READS = """
import time
for _ in range(100000):
    time.clock_gettime(time.CLOCK_MONOTONIC)
"""


def system_calls(guest):
    """How many clock_gettime system calls 10^5 reads of the clock in a program need."""
    event = "/sys/kernel/tracing/events/syscalls/sys_enter_clock_gettime"
    guest.sh(f"echo 'hist:keys=common_pid' >{event}/trigger")
    try:
        guest.run(["python3", "-I", "-S", "-c", READS], timeout=300, check=True)
        return int(re.search(r"Hits: (\d+)", guest.sh(f"cat {event}/hist"))[1])
    finally:
        guest.sh(f"echo '!hist:keys=common_pid' >{event}/trigger")


def test_programs_read_it_themselves(kvm, host_clock):
    """While it is stable, and again when it has become so; kvm-clock's way is fixed at boot."""
    kvm.modprobe("pvclock_rh")
    switch(kvm, NAME)
    stable = host_clock == nested.STABLE
    shown = "cat /sys/kernel/pvclock_rh/vdso"
    kvm.wait(f"test \"$({shown})\" = '{'on' if stable else 'off: unstable'}'")
    assert system_calls(kvm) < 100 if stable else system_calls(kvm) >= 100000
    try:
        for name in (nested.UNSTABLE, nested.STABLE):
            kvm.outer.set_clock(name)
            # KVM looks at its clock again when the guest's is set.
            kvm.qmp("stop")
            kvm.qmp("cont")
            on = name == nested.STABLE
            kvm.wait(f"test \"$({shown})\" = '{'on' if on else 'off: unstable'}'", 30)
            assert system_calls(kvm) < 100 if on else system_calls(kvm) >= 100000
        switch(kvm, "kvm-clock")
        assert system_calls(kvm) < 100 if stable else system_calls(kvm) >= 100000
    finally:
        kvm.outer.set_clock(host_clock)
        kvm.qmp("stop")
        kvm.qmp("cont")


def test_vdso_off_is_obeyed(kvm):
    """With vdso=off every read is a system call."""
    kvm.modprobe("pvclock_rh", "vdso=off")
    switch(kvm, NAME)
    assert value(kvm, "vdso") == "off: refused"
    assert system_calls(kvm) >= 100000
