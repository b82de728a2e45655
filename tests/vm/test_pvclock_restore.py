# SPDX-License-Identifier: GPL-2.0-only
"""A guest that is saved and goes on later, moves or sleeps: what pvclock_rh knows and does."""

import time

import pytest

from vrhlab import host
from vrhlab.clock import NAME, attempt, last_event, numbers, switch, value

#: How long it is gone, s: so long as the issue's figure is for.
GONE = 60

#: Writes down monotonic and real time all the while.
SAMPLES = """
import time
with open("/run/samples", "w", buffering=1) as out:
    while True:
        print(time.monotonic(), time.time(), file=out)
        time.sleep(0.02)
"""

pytestmark = [pytest.mark.one_kernel, pytest.mark.own_guest]


def behind(guest):
    """How far the guest's real time is behind the outer one's, s: (at least, at most)."""
    def real(which):
        return int(which.sh("python3 -I -S -c 'import time; print(time.time_ns())'")) / 1e9
    before = real(guest.outer)
    there = real(guest)
    return before - there, real(guest.outer) - there


def made_up(guest, seconds):
    """Monotonic time, s, at which the guest's real time went SECONDS ahead of it at least."""
    samples = [tuple(map(float, line.split())) for line in
               guest.sh("head -n -1 /run/samples").splitlines()]
    first = samples[0][1] - samples[0][0]
    return next((mono for mono, real in samples if real - mono - first > seconds), None)


@pytest.mark.parametrize("current", ["tsc", NAME])
def test_a_minute_is_missed_and_made_up(machines, current):
    """One event tells how long it was; resync=step sets the time right, in-tree it stays wrong."""
    machine = machines()
    guest = machine.start()
    result, _ = attempt(guest, "resync=step")
    assert result.ok, str(result)
    switch(guest, current)
    off = max(abs(seconds) for seconds in behind(guest))
    guest.start_command(["python3", "-I", "-S", "-c", SAMPLES], timeout=3600)
    again, (least_gone, most_gone) = machine.away(guest, GONE)
    host.until(lambda: last_event(again) and last_event(again)["class"] == "wall-step", 10,
               "the wall time is set")
    again.run("sleep 0.2", check=True)
    late = made_up(again, GONE - 5) - machine.left
    print(f"{current}: right {late:.2f} s after the stop at the latest; {last_event(again)}; "
          + again.sh("dmesg | grep pvclock_rh: | tail -5"))
    down = int(value(again, "downtime_ns")) / 1e9
    assert least_gone - 1 < down < most_gone + 1
    assert abs(int(value(again, "host_real_offset_ns"))) < 10e6
    low, high = behind(again)
    assert low - off < 0.01 and high + off > -0.01
    assert late < 1


def test_without_the_module_it_stays_behind(machines):
    """What the test above shows is not the kernel's own doing."""
    machine = machines()
    guest = machine.start()
    switch(guest, "tsc")
    again, (least_gone, _) = machine.away(guest, GONE)
    again.run("sleep 3", check=True)
    assert behind(again)[1] > least_gone - 5


def test_a_move_is_survived(machines, clockread):
    """Programs read on while the guest moves; time does not go back, and the gap is known."""
    machine = machines()
    guest = machine.start()
    guest.sh(f"cp {clockread(guest)} /run/clockread")
    guest.modprobe("pvclock_rh")
    switch(guest, NAME)
    guest.start_command("/run/clockread order 4 10000000 20 >/run/order", timeout=3600)
    begun = time.monotonic()
    again = machine.move(guest)
    took = time.monotonic() - begun
    again.wait("test -s /run/order", 600)
    seen = numbers(again.sh("cat /run/order"))
    print(f"{seen}; moved in {took:.1f} s; {last_event(again)}; "
          f"{value(again, 'rebases')} pages written again")
    assert seen["reads"] >= 10 ** 7 and seen["backward"] == 0
    assert 0 < int(value(again, "downtime_ns")) / 1e9 < took
    assert value(again, "unreadable") == "0"
    switch(again, "kvm-clock")
    again.run("rmmod pvclock_rh", check=True)


@pytest.mark.parametrize("append,current", [("", "tsc"), ("", NAME), ("no-kvmclock", NAME)],
                         ids=["tsc", "shared", "own"])
def test_a_sleep_is_known_to_the_ms(machines, append, current):
    """The guest's real time is as right after it as before; in-tree it is to a second."""
    machine = machines(append=append)
    guest = machine.start()
    guest.modprobe("pvclock_rh", "resync=off")
    switch(guest, current)
    before = int(value(guest, "host_real_offset_ns"))
    machine.sleep(guest, 5.4)
    after = int(value(guest, "host_real_offset_ns"))
    print(f"{current}, state {value(guest, 'state')}: {(after - before) / 1e6} ms")
    assert abs(after - before) < 10e6
    low, high = behind(guest)
    assert low - 1 < after / 1e9 < high + 1
    version = int(value(guest, "cpu0/version"))
    guest.qmp("stop")
    guest.qmp("cont")
    host.until(lambda: int(value(guest, "cpu0/version")) > version, 15, "the host writes the page")
