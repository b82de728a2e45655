# SPDX-License-Identifier: GPL-2.0-only
"""What is measured around a stretch: time, events, or instructions; one at a time.

Each disturbs the others: kprobes and the plugin cost time, so throughput is taken without them.
A meter is used for one phase at a time; after it, metrics(operations) has what it saw, by name.
"""

import contextlib
import os
import shlex
import time

from vrhlab import counters, host

import insn
from stats import rate

#: Ticks of /proc/stat in a second, here and in the guest.
USER_HZ = os.sysconf("SC_CLK_TCK")

#: Fields of a cpu line of /proc/stat in which the processor worked; guest time is in user.
BUSY = (1, 2, 3, 6, 7, 8)

#: How busy the machine was with other things: over ten, times say little.
OTHERS = "host busy with others, %"

MARK = 1


class Meter:
    """Measures the one stretch of a phase."""

    def __init__(self, guest, tools):
        self.guest = guest
        self.tools = tools

    def begin(self):
        """The stretch begins."""

    def end(self):
        """The stretch ends."""

    def command(self, argv, timeout):
        """Runs a program in the guest as the stretch; returns its output."""
        with self.stretch():
            return self.guest.run(argv, timeout, check=True).stdout

    @contextlib.contextmanager
    def stretch(self):
        """A stretch that the caller fills."""
        self.begin()
        yield       # no end() if that fails: nothing was measured
        self.end()

    def metrics(self, operations):
        """What was seen, by operation where that makes sense."""
        raise NotImplementedError


class TimeMeter(Meter):
    """Processor time of the guest, of its QEMU, and of everything else here; nothing is traced."""

    def begin(self):
        self._before = self.read()

    def end(self):
        after = self.read()
        self._seen = [{cpu: ticks - before[cpu] for cpu, ticks in now.items() if cpu in before}
                      for before, now in zip(self._before, after)]

    def read(self):
        """Ticks so far: of the guest's processors, of QEMU, of this machine; and its time."""
        guest = busy_ticks(self.guest.sh("grep ^cpu /proc/stat").splitlines())
        with open(f"/proc/{self.guest.process.pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        with open("/proc/stat") as stat:
            here = busy_ticks(line for line in stat if line.startswith("cpu "))
        return guest, {"qemu": int(fields[11]) + int(fields[12])}, here, \
            {"time": time.monotonic() * USER_HZ}

    def metrics(self, operations):
        def us(ticks):
            return rate(ticks * 1e6 / USER_HZ, operations)
        guest, qemu, here, wall = self._seen
        cpus = {cpu: us(ticks) for cpu, ticks in guest.items() if cpu != "cpu"}
        others = (here["cpu"] - qemu["qemu"]) / (wall["time"] * os.cpu_count())
        return {"guest CPU, us": us(guest["cpu"]), "guest CPU by processor": cpus,
                "QEMU CPU, us": us(qemu["qemu"]), OTHERS: 100 * max(0, others)}


def busy_ticks(lines):
    """{"cpu": ticks, "cpu0": ticks, ...} in which processors were not idle."""
    words = [line.split() for line in lines]
    return {line[0]: sum(int(line[field]) for field in BUSY) for line in words}


class EventMeter(Meter):
    """Kicks by virtqueue and interrupts by vector of one virtio device, counted in the guest."""

    def __init__(self, guest, tools, device):
        super().__init__(guest, tools)
        self.device = device        #: its name on the virtio bus: virtio3

    def begin(self):
        self._count = counters.Count(self.guest)
        self._count.__enter__()

    def end(self):
        self._count.__exit__(None, None, None)

    def metrics(self, operations):
        def each(what, counter, mark):
            mine = {name.partition(mark)[2]: count for name, count in sorted(counter.items())
                    if name.startswith(self.device + mark)}
            by_queue = {f"{what}, {name}": rate(count, operations) for name, count in mine.items()}
            return {what: rate(sum(mine.values()), operations), **by_queue}
        return {**each("kicks", self._count.kicks, "/"),
                **each("interrupts", self._count.irqs, "-")}


class InstructionMeter(Meter):
    """Guest instructions, from the snapshots that the plugin writes at marks."""

    def __init__(self, guest, tools, output, symbols, driver):
        super().__init__(guest, tools)
        self.symbols = symbols      #: of the guest's kernel with both drivers loaded
        self.driver = driver        #: set of modules that are the driver
        self.snapshot = None
        self._output = open(output)
        self._output.seek(0, os.SEEK_END)

    def close(self):
        """Closes the plugin's file."""
        self._output.close()

    def begin(self):
        self.guest.run([self.tools.guest["mark"], str(MARK)], check=True)
        self._read()

    def end(self):
        self.guest.run([self.tools.guest["mark"], str(MARK)], check=True)
        self.snapshot = self._read()[-1]

    def command(self, argv, timeout):
        """The marks are made by the process that starts the program: the agent is not counted."""
        self._read()
        mark = [self.tools.guest["mark"], str(MARK)]
        text = self.guest.run([*mark, *argv], timeout, check=True).stdout
        found = self._read()
        if len(found) != 2:
            raise host.LabError(f"{shlex.join(argv)}: {len(found)} snapshots, 2 expected")
        self.snapshot = found[-1]
        return text

    def _read(self):
        """Snapshots that came since the last call; the plugin flushes at each mark."""
        found = insn.parse(self._output)
        if any(s.mark != MARK or s.lost for s in found):
            raise host.LabError("snapshots of strange marks, or too few slots in the plugin")
        return found

    def counts(self):
        """Instructions of the stretch by group, and by (function, module) of driver and ring."""
        groups = insn.groups(self.snapshot.code, self.symbols, self.driver)
        named = insn.functions(self.snapshot.code, self.symbols)
        mine = {*self.driver, "virtio_ring", "virtio_pci"}
        return ({"all": self.snapshot.user + self.snapshot.kernel,
                 "kernel": self.snapshot.kernel, **groups},
                {key: count for key, count in named.items() if key[1] in mine})
