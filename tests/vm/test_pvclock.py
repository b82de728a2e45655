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
from vrhlab.nested import CLOCKS

NAME = "kvm-clock-rh"


def shared(lab):
    """The guest of these tests."""
    lab.need("pvclock_rh")
    return lab.share("pvclock", smp=1)


def clocks(guest):
    """(names of the clocksources, name of the current one)."""
    names = guest.sh(f"cat {CLOCKS}/available_clocksource").split()
    return set(names), guest.sh(f"cat {CLOCKS}/current_clocksource")


def switch(guest, name):
    """Makes NAME the current clocksource, as an administrator would."""
    guest.sh(f"echo {name} >{CLOCKS}/current_clocksource")
    assert clocks(guest)[1] == name


@pytest.fixture
def tcg(lab):
    """A guest without kvm-clock."""
    guest = shared(lab)
    if "kvm-clock" in clocks(guest)[0]:
        pytest.skip("this guest has a kvm-clock")
    return guest


@pytest.fixture(scope="module", params=[nested.STABLE, nested.UNSTABLE])
def host_clock(request):
    """The clock of the host: the TSC, and one with which KVM gives no stable bit."""
    return request.param


@pytest.fixture
def kvm(lab, host_clock):
    """A guest with kvm-clock, on which it is current."""
    lab.need("pvclock_rh")
    guest = lab.share_nested("pvclock", host_clock)
    before = clocks(guest)[1]
    switch(guest, "kvm-clock")
    yield guest
    guest.sh(f"echo {before} >{CLOCKS}/current_clocksource; "
             "if [ -d /sys/module/pvclock_rh ]; then rmmod pvclock_rh; fi")


def said(guest, since):
    """What the module said on the console after its first SINCE characters."""
    return re.findall(r"pvclock_rh: ((?!loading out-of-tree|module verification).*)",
                      guest.console()[since:])


def attempt(guest, *parameters):
    """Tries to load the module: (Result, lines it said)."""
    since = len(guest.console())
    result = guest.run(["modprobe", "pvclock_rh", *parameters])
    # The console is written behind modprobe's back; a line of our own ends the wait.
    guest.sh("echo vrh: end of attempt >/dev/kmsg")
    for _ in range(100):
        if "vrh: end of attempt" in guest.console()[since:]:
            break
        guest.run("sleep 0.1")
    return result, said(guest, since)


def absent(guest):
    """True if nothing of the module is left in the guest."""
    return guest.run("! test -e /sys/module/pvclock_rh && "
                     "! test -e /sys/kernel/pvclock_rh").ok and NAME not in clocks(guest)[0]


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


@pytest.mark.parametrize("value", ["0", "500", "-1", "4294967594", "many", ""])
def test_rating_out_of_range_is_refused(lab, value):
    """The line names parameter, value and range; nothing is loaded."""
    guest = shared(lab)
    result, lines = attempt(guest, "enable=0", f"rating={value}")
    assert result.status == 1 and "Invalid argument" in result.stderr, str(result)
    assert lines[0] == f"parameter rating={value}: must be a number from 1 to 499"
    assert absent(guest)


@pytest.mark.parametrize("value", ["1", "299", "499"])
def test_rating_in_range_is_taken(lab, value):
    """Both ends of the range are inside, and sysfs shows the value."""
    guest = shared(lab)
    assert attempt(guest, "enable=0", f"rating={value}")[0].ok
    assert guest.sh("cat /sys/module/pvclock_rh/parameters/rating") == value
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
    assert {line.split(":")[0] for line in field("parm")} == {"enable", "rating"}


def test_registers_beside_kvm_clock(kvm, host_clock):
    """Loading offers the clock and changes nothing; unloading takes it back."""
    before = clocks(kvm)
    result, lines = attempt(kvm)
    assert result.ok, str(result)
    assert len(lines) == 1
    assert re.fullmatch(rf"clocksource {NAME}: kernel's pages \(shared\), (un)?stable host clock, "
                        r"TSC \d+ kHz, rating 298, no vDSO", lines[0])
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
    assert kvm.sh("cat /sys/kernel/pvclock_rh/unreadable") == "0"


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


def test_unloads_after_being_unbound(kvm):
    """An administrator who unbinds the clock first does not confuse the unload."""
    kvm.modprobe("pvclock_rh")
    kvm.sh(f"echo {NAME} >{CLOCKS}/unbind_clocksource")
    assert NAME not in clocks(kvm)[0]
    kvm.run("rmmod pvclock_rh", check=True)
    assert absent(kvm)
