# SPDX-License-Identifier: GPL-2.0-only
"""pvclock_rh where the kernel runs without kvm-clock (no-kvmclock): clock pages of its own."""

import re
import struct

import pytest

from vrhlab import initramfs
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


#: Loads the kernel of the first two arguments with the command line that follows, and starts it.
KEXEC = """
import ctypes, os, sys
files = [os.open(path, os.O_RDONLY) for path in sys.argv[1:3]]
line = sys.argv[3].encode() + b"\\0"
libc = ctypes.CDLL(None, use_errno=True)
if libc.syscall(320, *files, ctypes.c_ulong(len(line)), line, ctypes.c_ulong(0)):
    sys.exit(os.strerror(ctypes.get_errno()))
libc.reboot(0x45584543)
"""

#: Memory at an address: with `fill` it gets a pattern, and says whether it still has that.
MEMORY = """
import os, sys
memory = os.open("/dev/mem", os.O_RDWR | os.O_SYNC)
at, pattern = int(sys.argv[1]), b"\\xaa" * 4096
if sys.argv[2] == "fill":
    os.pwrite(memory, pattern, at)
print(os.pread(memory, 4096, at) == pattern)
"""


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


@pytest.mark.one_kernel
@pytest.mark.own_guest
def test_the_next_kernel_has_its_memory_for_itself(lab, host_clock):
    """After kexec the host does not write where the page was; it does if it is told to."""
    lab.need("pvclock_rh")
    guest = lab.share_nested("kexec", host_clock, append="no-kvmclock", mem=1024)
    guest.modprobe("pvclock_rh")
    switch(guest, NAME)
    address = register(guest)
    assert address & 1
    page = address & ~0xfff
    line = guest.sh("cat /proc/cmdline") + f" memmap=4K${page:#x}"
    guest.start_command(["python3", "-I", "-S", "-c", KEXEC, str(guest.kernel.vmlinuz),
                         str(initramfs.common(guest.built)), line])
    guest.await_boot()
    assert f"{page:#x}" in guest.sh("cat /proc/cmdline")
    guest.run("modprobe msr", check=True)

    def intact(how="look"):
        for _ in range(5):
            guest.qmp("stop")
            guest.qmp("cont")
        return guest.run(["python3", "-I", "-S", "-c", MEMORY, str(page), how],
                         check=True).stdout == "True\n"
    assert register(guest) == 0
    assert intact("fill") and intact() and intact()
    # That is no matter of course.
    program = ("import os, struct; os.pwrite(os.open('/dev/cpu/0/msr', os.O_WRONLY), "
               "struct.pack('<Q', %d), %d)")
    guest.run(["python3", "-I", "-S", "-c", program % (address, SYSTEM_TIME)], check=True)
    assert not intact()
    guest.run(["python3", "-I", "-S", "-c", program % (0, SYSTEM_TIME)], check=True)
