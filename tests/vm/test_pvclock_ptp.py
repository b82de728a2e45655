# SPDX-License-Identifier: GPL-2.0-only
"""The PTP clock of pvclock_rh: the host's real time, beside the in-tree ptp_kvm's."""

import json
import statistics

import pytest

from vrhlab import archive, host, nested
from vrhlab.clock import NAME, said, switch, value

#: Asks a PTP clock: `extended` 25 times for the guest's time, the clock, and the guest's time;
#: `plain` the same, an older call that all clocks have, with the guest's time once between two
#: of the clock's; `precise` for the clock and the guest's time of the same instant. Times are
#: in ns, an errno is negative.
ASK = """
import fcntl, json, os, struct, sys

def ask(number, size, unsigned, way=3):
    data = bytearray(struct.pack("I", unsigned).ljust(size, b"\\0"))
    fcntl.ioctl(clock, way << 30 | size << 16 | ord("=") << 8 | number, data)
    return data

def times(data, at, count):
    return [s * 10**9 + ns for s, ns, _ in struct.iter_unpack("qII", data[at:at + 16 * count])]

clock = os.open("/dev/" + sys.argv[1], os.O_RDWR)
try:
    if sys.argv[2] == "extended":
        flat = times(ask(9, 1216, 25), 16, 75)
        print(json.dumps([flat[at:at + 3] for at in range(0, 75, 3)]))
    elif sys.argv[2] == "plain":
        flat = times(ask(5, 832, 25, 1), 16, 51)
        print(json.dumps([flat[at:at + 3] for at in range(0, 50, 2)]))
    else:
        print(json.dumps(times(ask(8, 64, 0), 0, 3)))
except OSError as error:
    print(json.dumps(-error.errno))
"""


def ask(guest, clock, what):
    """What ASK prints of a clock."""
    return json.loads(guest.run(["python3", "-I", "-S", "-c", ASK, clock, what],
                                check=True).stdout)


def width(samples):
    """How far apart the guest's times around the clock's are, ns: the median."""
    return statistics.median(after - before for before, _, after in samples)


def real(guest):
    """A guest's real time, ns."""
    return int(guest.sh("date +%s%N"))


def other_clock(guest):
    """The in-tree clock, ptpN, or None where it refuses."""
    guest.run("modprobe ptp_kvm")
    names = guest.run("grep -lx 'KVM virtual PTP' /sys/class/ptp/*/clock_name").stdout.split()
    return names[0].split("/")[-2] if names else None


@pytest.mark.parametrize("source", ["hypercall", "page"])
def test_it_tells_the_hosts_time(kvm, host_clock, source):
    """By either way of asking the host; the hypercall needs a host that runs on its TSC."""
    since = len(kvm.console())
    kvm.modprobe("pvclock_rh", f"wall_source={source}")
    clock = value(kvm, "ptp")
    if source == "hypercall" and host_clock != nested.STABLE:
        assert clock == "none"
        kvm.wait("dmesg | grep -q 'no PTP clock'")
        assert "no PTP clock: the host does not tell its real time (error -95)" in said(kvm, since)
        return
    assert kvm.sh(f"cat /sys/class/ptp/{clock}/clock_name") == "pvclock_rh"
    before = real(kvm.outer)
    samples = ask(kvm, clock, "extended")
    after = real(kvm.outer)
    for one, two, three in samples:
        assert one <= three and before <= two <= after
    offset = statistics.median(two - (one + three) / 2 for one, two, three in samples)
    assert abs(offset - int(value(kvm, "host_real_offset_ns"))) < 5e6


@pytest.mark.parametrize("current", ["kvm-clock", NAME, "tsc"])
def test_it_tells_both_times_of_an_instant(kvm, host_clock, current):
    """Whatever the guest's clock is. In-tree: not on tsc, and not on such a host at all."""
    kvm.modprobe("pvclock_rh")
    switch(kvm, current)
    kvm.run("sleep 0.2")        # a tick has seen the clock
    device, wall, _ = ask(kvm, value(kvm, "ptp"), "precise")
    assert abs(device - wall - int(value(kvm, "host_real_offset_ns"))) < 1e6
    other = other_clock(kvm)
    print(f"{current}, host on {host_clock}: in-tree", other and ask(kvm, other, "precise"))


def test_it_is_as_exact_as_the_in_tree_one(kvm, host_clock):
    """Guest's times around the clock's are not further apart; in-tree has no extended samples."""
    kvm.modprobe("pvclock_rh")
    widths = {}
    for name, clock in (("ours", value(kvm, "ptp")), ("in-tree", other_clock(kvm))):
        for what in ("extended", "plain") if clock else ():
            samples = [ask(kvm, clock, what) for _ in range(5)]
            refused = isinstance(samples[0], int)
            widths[name, what] = samples[0] if refused else min(map(width, samples))
    print(f"host on {host_clock}: width of a sample, ns: {widths}")
    assert widths["ours", "extended"] > 0
    for what in ("extended", "plain"):
        if widths.get(("in-tree", what), 0) > 0:
            assert widths["ours", "extended"] <= widths["in-tree", what]


def test_nobody_sets_the_hosts_clock(kvm):
    """Setting, adjusting and slewing are refused, as they are not the guest's to do."""
    kvm.modprobe("pvclock_rh")
    clock = value(kvm, "ptp")
    program = ("import os, time; fd = os.open('/dev/%s', os.O_RDWR); clock = ~fd << 3 | 3\n"
               "time.clock_gettime(clock)\n"
               "try:\n time.clock_settime(clock, 1.0)\n"
               "except OSError as error:\n print(error.errno)\n" % clock)
    assert kvm.run(["python3", "-I", "-S", "-c", program], check=True).stdout == "95\n"


def test_ptp_0_is_obeyed(kvm):
    """With ptp=0 there is none."""
    kvm.modprobe("pvclock_rh", "ptp=0")
    assert value(kvm, "ptp") == "none"
    assert not kvm.run("grep -qx pvclock_rh /sys/class/ptp/*/clock_name").ok


@pytest.fixture(scope="session")
def daemons():
    """Where time daemons are unpacked; installed, they would change the build machine's clock."""
    path = host.cache_dir() / "daemons"
    with host.locked(path.with_suffix(".lock"), "time daemons"):
        if not path.exists():
            archive.unpack("bookworm", ["chrony", "linuxptp", "libedit2"], path)
    return path


@pytest.fixture
def wrong(lab, host_clock):
    """A guest whose real time is wrong by 50 ms, with our PTP clock."""
    lab.need("pvclock_rh")
    guest = lab.share_nested("daemons", host_clock)
    guest.modprobe("pvclock_rh", "resync=off")
    program = ("import time; off = 50000000 - %s; "
               "time.clock_settime_ns(time.CLOCK_REALTIME, time.time_ns() - off)"
               % value(guest, "host_real_offset_ns"))
    guest.run(["python3", "-I", "-S", "-c", program], check=True)
    assert 45e6 < int(value(guest, "host_real_offset_ns")) < 60e6
    yield guest
    guest.run("rmmod pvclock_rh", check=True)


CHRONY = """
refclock PHC /dev/{clock} poll 0 dpoll -2
makestep 0.01 3
user root
cmdport 0
bindcmdaddress /run/chrony/socket
pidfile /run/chrony/pid
"""


@pytest.mark.one_kernel
@pytest.mark.own_guest
def test_chrony_follows_it(wrong, host_clock, daemons):
    """It takes the clock for its reference, and the guest's time is the host's."""
    wrong.sh("mkdir -p -m 700 /run/chrony")
    text = CHRONY.format(clock=value(wrong, "ptp"))
    wrong.sh(f"echo '{text}' >/run/chrony/conf")
    daemon = wrong.start_command(
        f"LD_LIBRARY_PATH={daemons}/usr/lib/x86_64-linux-gnu "
        f"{daemons}/usr/sbin/chronyd -n -f /run/chrony/conf", timeout=600)
    ask_it = (f"LD_LIBRARY_PATH={daemons}/usr/lib/x86_64-linux-gnu {daemons}/usr/bin/chronyc "
              "-h /run/chrony/socket -c tracking")
    wrong.wait(f"{ask_it} | grep -q ',PHC0,.*,Normal$'", 60)
    wrong.run("sleep 30", check=True)
    fields = wrong.sh(ask_it).split(",")
    offset = int(value(wrong, "host_real_offset_ns"))
    daemon.kill()
    print(f"host on {host_clock}: chrony: {fields}; host_real_offset_ns {offset}")
    assert fields[1] == "PHC0" and fields[-1] == "Normal"
    assert abs(float(fields[4])) < 1e-3 and abs(offset) < 1e6


@pytest.mark.one_kernel
@pytest.mark.own_guest
def test_phc2sys_follows_it(wrong, host_clock, daemons):
    """It moves the guest's time to the clock's."""
    told = wrong.run([f"{daemons}/usr/sbin/phc2sys", "-s", "/dev/" + value(wrong, "ptp"), "-c",
                      "CLOCK_REALTIME", "-O", "0", "-S", "0.01", "-m"], timeout=25).stdout
    offset = int(value(wrong, "host_real_offset_ns"))
    print(f"host on {host_clock}: {told.splitlines()[-1]}; host_real_offset_ns {offset}")
    assert " s2 " in told.splitlines()[-1]
    assert abs(offset) < 1e6
