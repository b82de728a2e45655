# SPDX-License-Identifier: GPL-2.0-only
"""What a workload is: the base class, the device it uses, and the measured stretch."""

import contextlib
import dataclasses
import json
import os
import shlex
import shutil
import subprocess
import time
import types

from vrhlab import binding, host


@dataclasses.dataclass(frozen=True)
class Phase:
    """One kind of operation of a workload."""

    name: str
    operation: str          #: what the figures are divided by, in words: "4 KiB read"
    amount: int             #: N of the instruction runs, which do N and 4N operations


@dataclasses.dataclass
class Outcome:
    """What a phase did."""

    operations: float
    metrics: dict = dataclasses.field(default_factory=dict)     #: name with unit: value


class Workload:
    """A workload: subclass it in workloads/NAME.py and set what is here.

    The runner boots a guest with devices(), calls prepare() once, ready() after each time a
    driver took the device, and run() for each phase, in the order of `phases`.
    """

    driver = None           #: the in-tree driver's module; ours is that with _rh
    phases = ()
    packages = ()           #: Debian packages it needs beyond the lab's
    mem = 1024              #: MiB of the guest

    def devices(self):
        """The guest's devices; the first is the one that changes drivers."""
        raise NotImplementedError

    def prepare(self, session):
        """Starts what the host's side needs; session.cleanup takes what ends it."""

    def ready(self, session):
        """Makes the device usable after a driver took it."""

    def unready(self, session):
        """Gives up what ready() holds, before the driver leaves the device."""

    def run(self, session, phase, amount):
        """Does the operations of PHASE in exactly one measured stretch; returns an Outcome.

        AMOUNT is an Amount: a number of operations, or a time.
        """
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Amount:
    """How much to do: a number of operations, or if that is None, seconds."""

    operations: int | None
    seconds: float = 0

    @property
    def timeout(self):
        """Seconds after which something is wrong: a guest under TCG does at least 100 op/s."""
        return 60 + 4 * self.seconds + (self.operations or 0) / 100

    def __str__(self):
        """The form that guest/ops.c takes."""
        return f"{self.seconds:g}s" if self.operations is None else f"{self.operations}"


class Tools(types.SimpleNamespace):
    """Paths of the small programs: `host` and `guest`, by name."""

    @classmethod
    def put_into(cls, guest, programs):
        """Copies what insn.build() made into a guest's /tmp."""
        names = ("mark", "ops")
        for name in names:
            shutil.copy(programs[name], guest.share)
            guest.sh(f"cp /share/{name} /tmp")
        return cls(host=programs, guest={name: f"/tmp/{name}" for name in names})


class Session:
    """A booted guest whose device has one of the two drivers, as a workload sees it."""

    def __init__(self, guest, device, tools):
        self.guest = guest
        self.device = device
        self.tools = tools          #: tools.host and tools.guest: paths of mark and ops
        self.virtio = None          #: the device on the guest's virtio bus
        self.cleanup = contextlib.ExitStack()
        self.commands = {}          #: what each phase ran last, for the record
        self._phase = self._meter = None

    def measure(self, workload, phase, amount, meter):
        """Runs a phase under METER; returns its Outcome."""
        self._phase, self._meter = phase, meter
        return workload.run(self, phase, amount)

    # -- drivers --------------------------------------------------------------------------

    def load(self, intree, ours=None, parameters=()):
        """Loads the drivers and leaves the device without one."""
        # No modprobe if it is built in: not every kernel has a list for modprobe to look in.
        self.guest.sh(f"[ -d /sys/bus/virtio/drivers/{intree} ] || modprobe {intree}")
        if ours:
            self.guest.modprobe(ours, *parameters)
        self.virtio = binding.devices(self.guest, intree.removeprefix("virtio_"))[0]
        if self.virtio.driver:
            self.unbind()

    def bind(self, driver):
        """Gives the device, which has no driver, to DRIVER."""
        if not binding.bind(self.guest, self.virtio, driver):
            raise host.LabError(f"{driver} did not take {self.virtio.name}:\n"
                                f"{self.guest.sh('dmesg | tail -n 20')}")

    def unbind(self):
        """Takes the device away from its driver."""
        binding.unbind(self.guest, self.virtio)

    # -- what run() measures with ---------------------------------------------------------

    def command(self, argv, amount):
        """Runs a program in the guest as the measured stretch; returns its output."""
        self.commands[self._phase.name] = shlex.join(argv)
        return self._meter.command(argv, amount.timeout)

    def json(self, argv, amount):
        """command() for a program that prints JSON."""
        return json.loads(self.command(argv, amount))

    @contextlib.contextmanager
    def stretch(self, what):
        """A measured stretch that the host drives; WHAT describes it for the record."""
        self.commands[self._phase.name] = what
        with self._meter.stretch():
            yield

    # -- the host's side --------------------------------------------------------------------

    def serve(self, argv):
        """Starts a program on the host's side of the network; it ends with the guest."""
        quiet = {name: subprocess.DEVNULL for name in ("stdin", "stdout", "stderr")}
        server = self.device.start(argv, **quiet)
        self.cleanup.callback(server.wait)
        self.cleanup.callback(server.terminate)
        time.sleep(0.3)
        if server.poll() is not None:
            raise host.LabError(f"{shlex.join(argv)} ended at once: status {server.returncode}")

    def host_rss(self):
        """Bytes of QEMU's memory that are resident on the host."""
        with open(f"/proc/{self.guest.process.pid}/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def latencies(found, scale=1.0):
    """{"p50": us, ...} as metrics."""
    return {f"latency {name}, us": value * scale for name, value in found.items()}
