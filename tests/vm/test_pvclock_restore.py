# SPDX-License-Identifier: GPL-2.0-only
"""A guest that is saved and goes on a minute later: what pvclock_rh knows of it, and does.

Its root is in memory, as QEMU saves no guest that has 9p mounted.
"""

import contextlib
import time

import pytest

from vrhlab import frozen, host, initramfs, nested, rootfs
from vrhlab.clock import NAME, attempt, last_event, switch, value

#: How long it is gone, s: so long as the issue's figure is for.
GONE = 60


class Machine:
    """A guest that can be saved, and its outer guest."""

    def __init__(self, built, clock, directory):
        self.built, self.outer = built, nested.Outer(clock=clock)
        self.initrd = directory / "initrd"
        rootfs.make_tree(directory / "tree")
        initramfs.with_root(built, directory / "tree", self.initrd)
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        self._stack.enter_context(self.outer)
        return self

    def __exit__(self, *error):
        self._stack.close()

    def start(self, **options):
        """The guest, from boot, or from the file `incoming`; its 9p mounts are there."""
        guest = nested.Inner(self.built.kernel.name, built=self.built, outer=self.outer, root="ram",
                             initrd=self.initrd, mem=768, **options)
        self._stack.enter_context(contextlib.closing(_Ending(guest)))
        guest.start()
        guest.run(frozen.MOUNTS, check=True)
        return guest

    def away(self, guest, seconds):
        """The guest is saved, and SECONDS later it goes on in another QEMU: (it, s it was gone)."""
        state = self.outer.share / "state"
        guest.run("cd /; busybox umount -l /share /usr/lib/modules", check=True)
        begun = time.monotonic()
        guest.save(state, 300)
        least = time.monotonic()
        guest.kill()
        guest.stop()
        time.sleep(seconds)
        most = time.monotonic()
        again = self.start(incoming=state)
        return again, (most - least, time.monotonic() - begun)


class _Ending:
    """close() stops a guest."""

    def __init__(self, guest):
        self.close = guest.stop


@pytest.fixture
def machine(lab, host_clock, tmp_path):
    """A Machine with our modules."""
    lab.need("pvclock_rh")
    if lab.kernel == "debug":
        pytest.skip("the debug kernel is too slow for a guest in a guest")
    with Machine(lab.built, host_clock, tmp_path) as made:
        yield made


def behind(guest):
    """How far the guest's real time is behind the outer one's, s: (at least, at most)."""
    def real(which):
        return int(which.sh("date +%s%N")) / 1e9
    before = real(guest.outer)
    there = real(guest)
    return before - there, real(guest.outer) - there


@pytest.mark.one_kernel
@pytest.mark.own_guest
@pytest.mark.parametrize("current", ["tsc", NAME])
def test_a_minute_is_missed_and_made_up(machine, current):
    """One event tells how long it was; resync=step sets the time right, in-tree it stays wrong."""
    guest = machine.start()
    result, _ = attempt(guest, "resync=step")
    assert result.ok, str(result)
    switch(guest, current)
    most = max(abs(seconds) for seconds in behind(guest))
    again, (least_gone, most_gone) = machine.away(guest, GONE)
    host.until(lambda: last_event(again) and last_event(again)["class"] == "wall-step", 10,
               "the wall time is set")
    print(f"{current}: {last_event(again)}; {again.sh('dmesg | grep pvclock_rh: | tail -5')}")
    down = int(value(again, "downtime_ns")) / 1e9
    assert least_gone - 1 < down < most_gone + 1
    assert abs(int(value(again, "host_real_offset_ns"))) < 10e6
    low, high = behind(again)
    assert low - most < 0.01 and high + most > -0.01


@pytest.mark.one_kernel
@pytest.mark.own_guest
def test_without_the_module_it_stays_behind(machine):
    """What the test above shows is not the kernel's own doing."""
    guest = machine.start()
    switch(guest, "tsc")
    again, (least_gone, _) = machine.away(guest, GONE)
    again.run("sleep 3", check=True)
    assert behind(again)[1] > least_gone - 5
