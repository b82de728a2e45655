# SPDX-License-Identifier: GPL-2.0-only
"""The simulated device's hostile mode: device after device of one type, all chance from a seed.

A run has programs in the guest that use whatever device is there (guest/loads.py), as the
driver must be at work when it is lied to, and ends with what the module counted.
"""

import contextlib
import pathlib
import shutil
import time

from . import binding, host, simdev

FILE = f"{simdev.ROOT}/hostile"

#: The core warns when a device that is gone does not read as reset (virtio_dev_remove).
ALLOWED = [r"virtio_dev_remove", r"Call Trace"]

#: The programs of guest/loads.py that keep the driver of a type of device at work.
LOADS = {
    "blk": ("disks", "odd_disks", "readers"),
    "net": ("networks", "odd_networks", "readers"),
    "console": ("ports", "consoles", "readers"),
    "balloon": ("memory", "readers"),
}

#: What the module measures, for people: name, what is counted.
RATES = (("drawn", "actions drawn"), ("met", "actions met by the driver"),
         ("used", "buffers used"), ("rounds", "devices"))


class Run:
    """A hostile run against the driver that a guest has loaded.

    It ends when so many `actions` were drawn, or so many were `met`; `first` is the round (see
    round.c) to begin with, which is what a case that was found needs.
    """

    def __init__(self, guest, kind, seed, actions=None, met=None, first=0):
        self.guest, self.kind, self.seed = guest, kind, seed
        self.order = f"{kind} seed={seed} round={first}"
        self.order += f" actions={actions}" if actions else ""
        self.order += f" met={met}" if met else ""

    @contextlib.contextmanager
    def load(self):
        """Programs that use the devices, for a block."""
        script = pathlib.Path(__file__).with_name("guest") / "loads.py"
        shutil.copy(script, self.guest.share / script.name)
        running = self.guest.start_command(
            ["python3", "-I", "-S", f"/share/{script.name}", *LOADS[self.kind]],
            timeout=24 * 3600)
        try:
            yield running
        finally:
            if not running.done():
                running.kill(9)
            running.wait()

    def state(self):
        """What the module says of the run."""
        return simdev.parse(self.guest.sh(f"cat {FILE}"))

    def stuck(self, state):
        """The error that tells where a run is, with what the guest's tasks wait for."""
        self.guest.run("echo w >/proc/sysrq-trigger; sleep 2", timeout=30)
        return host.LabError(f"{self.kind}, seed {self.seed}: stuck in round {state['round']} "
                             f"({state['phase']})\n{self.guest.sh('dmesg | tail -n 150')}")

    def run(self, seconds=600, patience=120, tell=None):
        """Runs until all actions are done or SECONDS are over; what the module counted.

        LabError if the device's thread does nothing for PATIENCE seconds: then the driver
        keeps it waiting, and the guest is stuck.
        """
        self.guest.run(f"echo '{self.order}' >{FILE}", check=True)
        begun = moved = time.monotonic()
        before = None
        with self.load() as load:
            while (state := self.state())["state"] == "running":
                self.healthy(state)
                now = time.monotonic()
                if (at := (state["drawn"], state["round"], state["phase"])) != before:
                    before, moved = at, now
                if now - moved > patience:
                    raise self.stuck(state)
                if load.done():
                    raise host.LabError(f"the load has ended: {load.wait()}")
                if now - begun > seconds:
                    break
                if tell:
                    tell(state)
                time.sleep(2)
            if not self.guest.run(f"echo stop >{FILE}", timeout=patience).ok:
                raise self.stuck(self.state())
        state = self.state()
        self.healthy(state)
        return state

    def healthy(self, state):
        """Raises if the guest is not, and says in which round that was seen."""
        try:
            self.guest.assert_healthy()
        except host.LabError as error:
            raise type(error)(f"{self.kind}, seed {self.seed}, round {state['round']} "
                              f"({state['phase']}): {error}")


def rates(state):
    """Lines for people: what there was in how long, and where the time went."""
    seconds = max(state["ns"] / 1e9, 1e-3)
    for name, text in RATES:
        yield f"{text}: {state[name]}, {state[name] / seconds:.1f} a second"
    parts = ", ".join(f"{name} {100 * state[name + '_ns'] / state['ns']:.0f} %"
                      for name in ("plug", "found", "act", "wait", "unplug"))
    yield f"time: {seconds:.0f} s: {parts}"
    never = [name[4:] for name in state if name.startswith("met-") and not state[name]]
    if never:
        yield f"never met: {', '.join(never)}"


def prepare(guest, kind, which):
    """Loads the simulated device, and the driver ("in-tree" or "ours") that is to meet it."""
    simdev.load(guest)
    guest.modprobe(binding.driver_name(kind, which))
    # A serial line is slow, and drivers greet each device: warnings and worse are enough.
    guest.run("dmesg -n 5", check=True)
