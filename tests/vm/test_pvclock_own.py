# SPDX-License-Identifier: GPL-2.0-only
"""pvclock_rh where the kernel runs without kvm-clock (no-kvmclock): clock pages of its own."""

import re
import struct

import pytest

from vrhlab import host
from vrhlab.clock import NAME, absent, attempt, clocks, switch, value

#: The register that has the address of a processor's clock page, bit 0: it is in use.
SYSTEM_TIME = 0x4b564d01


@pytest.fixture
def guest(lab, host_clock):
    """A guest without kvm-clock, under KVM."""
    lab.need("pvclock_rh")
    guest = lab.share_nested("own", host_clock, append="no-kvmclock page_poison=1")
    assert "kvm-clock" not in clocks(guest)[0]
    yield guest
    guest.sh("if [ -d /sys/module/pvclock_rh ]; then "
             "echo tsc >/sys/devices/system/clocksource/clocksource0/current_clocksource; "
             "rmmod pvclock_rh; fi")


def register(guest, cpu=0):
    """What a processor's register has."""
    guest.run("modprobe msr", check=True)
    path = f"/dev/cpu/{cpu}/msr"
    program = f"import os; print(os.pread(os.open('{path}', os.O_RDONLY), 8, {SYSTEM_TIME}).hex())"
    text = guest.run(["python3", "-I", "-S", "-c", program], check=True).stdout
    return struct.unpack("<Q", bytes.fromhex(text.strip()))[0]


def test_it_has_a_page_of_its_own(guest):
    """Which the host writes, while it is loaded and no longer; the clock runs on it."""
    before = clocks(guest)
    result, lines = attempt(guest)
    assert result.ok, str(result)
    assert re.fullmatch(rf"clocksource {NAME}: pages of its own \(own\), (un)?stable host clock, "
                        r"TSC \d+ kHz, rating 100, no vDSO", lines[0])
    assert clocks(guest) == (before[0] | {NAME}, before[1])
    assert value(guest, "state") == "own"
    assert register(guest) & 1
    switch(guest, NAME)
    first = int(guest.sh("date +%s%N"))
    outer = int(guest.outer.sh("date +%s%N"))
    guest.run("sleep 3", check=True)
    gone = int(guest.sh("date +%s%N")) - first
    assert 3e9 <= gone <= 1.02 * (int(guest.outer.sh("date +%s%N")) - outer) + 1e8
    assert value(guest, "unreadable") == "0"
    switch(guest, before[1])
    guest.run("rmmod pvclock_rh", check=True)
    assert register(guest) == 0
    assert absent(guest)


def test_the_host_writes_no_page_that_was_freed(guest):
    """Freed pages are poisoned: what the host wrote there would be found as they are used again."""
    for _ in range(5):
        guest.modprobe("pvclock_rh")
        guest.run("rmmod pvclock_rh", check=True)
        guest.qmp("stop")
        guest.qmp("cont")       # the host sets its clock, and writes all pages that it knows of
        guest.run("head -c $(($(awk '/MemFree/ { print $2 }' /proc/meminfo) * 900)) /dev/zero | "
                  "tail -c 1 >/dev/null")
    assert not re.search("pagealloc: (memory corruption|single bit error)", guest.console())


def test_it_is_refused_the_kernels_page(lab, host_clock):
    """mode=shared is refused without kvm-clock; mode=own is, with it."""
    lab.need("pvclock_rh")
    guest = lab.share_nested("own", host_clock, append="no-kvmclock page_poison=1")
    result, lines = attempt(guest, "mode=shared")
    assert not result.ok and lines == [
        "not loaded: mode=shared, but the kernel does not use the kvmclock that the host offers "
        "(booted with no-kvmclock?)"]
    assert absent(guest) and register(guest) == 0


def test_own_pages_are_refused_beside_kvm_clock(kvm):
    """The host knows one page of a processor, and that is the kernel's."""
    before = register(kvm)
    result, lines = attempt(kvm, "mode=own")
    assert not result.ok and lines[0].startswith("not loaded: mode=own, but the kernel has")
    assert absent(kvm) and register(kvm) == before


def test_it_survives_a_suspend(guest):
    """All of a suspend but the firmware's part: the page is taken back, and given again."""
    guest.modprobe("pvclock_rh")
    switch(guest, NAME)
    page = register(guest)
    guest.sh("echo core >/sys/power/pm_test && echo mem >/sys/power/state; "
             "echo none >/sys/power/pm_test", timeout=120)
    assert register(guest) == page
    before = int(value(guest, "cpu0/version"))
    guest.qmp("stop")
    guest.qmp("cont")
    host.until(lambda: int(value(guest, "cpu0/version")) > before, 15, "the host writes the page")


@pytest.mark.one_kernel
@pytest.mark.own_guest
def test_processors_come_and_go(lab):
    """Each one has its page while it runs, and its register is empty otherwise."""
    lab.need("pvclock_rh")
    guest = lab.share_nested("own2", "tsc", append="no-kvmclock", smp=2)
    guest.modprobe("pvclock_rh")
    for _ in range(5):
        assert register(guest, 1) & 1 and register(guest, 1) != register(guest, 0)
        guest.sh("echo 0 >/sys/devices/system/cpu/cpu1/online")
        assert value(guest, "cpu1/version") == "0"
        guest.sh("echo 1 >/sys/devices/system/cpu/cpu1/online")
        assert int(value(guest, "cpu1/version")) > 0
    guest.run("rmmod pvclock_rh", check=True)
    assert register(guest, 0) == register(guest, 1) == 0
