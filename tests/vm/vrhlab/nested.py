# SPDX-License-Identifier: GPL-2.0-only
"""Guests under real KVM: QEMU's TCG emulates AMD's SVM, so a guest (the outer one) can be a host.

    with Inner("6.1", built=..., clock=UNSTABLE) as guest:
        guest.run("cat /sys/devices/system/clocksource/clocksource0/current_clocksource")
        guest.outer.set_clock(STABLE)

An Inner is a Guest like any other, but that its QEMU runs in the outer guest: its agent and its
monitor reach this machine through two ports of the outer guest, and its files are in the outer
guest's /share, which is also mounted there under the name that it has on this machine. So a path
is the same on both; sockets and networks of the inner guest's devices are the outer guest's.
"""

import itertools
import re
import threading

from . import devices, host, qemu
from .guest import Guest, GuestDied

#: The kernel of the outer guest: its kvm_amd is what is known to work under TCG.
KERNEL = "6.12"

#: How many Inner guests an outer one can have at a time: one, and who takes it over.
PLACES = 2

#: What the clock of the outer guest can be. On the TSC, KVM tells its guests that the clock pages
#: of all processors are in step (the stable bit); on another one it does not.
STABLE, UNSTABLE = "tsc", "hpet"

CLOCKS = "/sys/devices/system/clocksource/clocksource0"
KVM = "/sys/kernel/debug/kvm"
CHANNELS = ("agent", "qmp")


class Outer(Guest):
    """A guest that can have guests: one processor, kvm_amd; CLOCK is STABLE or UNSTABLE."""

    def __init__(self, mem=3072, clock=STABLE, append="", **options):
        ports = [{name: devices.Port(f"vrh.{name}{place}") for name in CHANNELS}
                 for place in range(PLACES)]
        super().__init__(KERNEL, smp=1, mem=mem, cpu="EPYC", accel=qemu.MULTI,
                         devices=[port for pair in ports for port in pair.values()],
                         append=f"tsc=reliable clocksource={clock} {append}".strip(), **options)
        self._free = ports

    def start(self):
        super().start()
        self.modprobe("kvm_amd")
        self.run(f"test -c /dev/kvm && mkdir -p {self.share} && mount --bind /share {self.share}",
                 check=True)

    def set_clock(self, name):
        """Makes NAME (STABLE, UNSTABLE) the outer guest's clock; those of its guests follow."""
        self.sh(f"echo {name} >{CLOCKS}/current_clocksource")
        current = self.sh(f"cat {CLOCKS}/current_clocksource")
        if current != name:
            raise host.LabError(f"the outer guest's clock stays {current}, there are "
                                + self.sh(f"cat {CLOCKS}/available_clocksource"))

    def exits(self):
        """{name: count} of what KVM in the outer guest counts for all its guests together."""
        text = self.sh(f"grep -s . {KVM}/* || true")
        return {name: int(count) for name, count in re.findall(rf"^{KVM}/(\w+):(\d+)$", text, re.M)}

    def take(self):
        """{channel: port} for an inner guest, until give_back()."""
        if not self._free:
            raise host.LabError(f"an outer guest has places for {PLACES} inner ones")
        return self._free.pop(0)

    def give_back(self, ports):
        """An inner guest has ended."""
        self._free.append(ports)

    def node(self, port):
        """The device node of a port, once this machine's end of it is connected."""
        name, = (path.split("/")[-2] for path in
                 self.sh(f"grep -lx {port.name} /sys/class/virtio-ports/*/name").splitlines())
        self.wait(f"grep -qx 'host_connected: 1' /sys/kernel/debug/virtio-ports/{name}")
        return f"/dev/{name}"


class _Process:
    """QEMU in the outer guest, with what Guest asks of a subprocess.Popen."""

    def __init__(self, running, at_end):
        self._running, self._at_end = running, at_end
        self._ended = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self):
        try:
            self._running.wait()
        except host.LabError:
            pass        # the outer guest has ended, and it with that
        self._ended.set()
        self._at_end()

    def poll(self):
        """None while it runs."""
        return 0 if self._ended.is_set() else None

    def wait(self, timeout=None):
        """Waits until it has ended."""
        if not self._ended.wait(timeout):
            raise TimeoutError("QEMU in the outer guest does not end")

    def kill(self):
        """Ends it at once."""
        try:
            self._running.kill(9)
        except GuestDied:
            pass


class Inner(Guest):
    """A guest under KVM in OUTER, or in an outer guest of its own whose clock is CLOCK.

    `outer` is that guest.
    """

    #: An emulated processor that emulates a host loses a guest more often, most often one with
    #: two processors (DESIGN.md counts).
    tries = 3

    _numbers = itertools.count()

    def __init__(self, kernel="6.12", outer=None, clock=STABLE, smp=1, mem=512, **options):
        super().__init__(kernel, smp=smp, mem=mem, accel="kvm", slot=False, **options)
        self.outer = outer or Outer(clock=clock)
        self._own = outer is None
        self._ports = self._ends = None

    def start(self):
        if not self._own:
            super().start()
            return
        self.outer.__enter__()
        try:
            super().start()
        except BaseException:
            self.outer.stop()
            raise

    def stop(self):
        super().stop()
        if self._own:
            self.outer.stop()

    def assert_healthy(self):
        super().assert_healthy()
        self.outer.assert_healthy()

    def _had_its_chance(self):
        return False

    def _make_directory(self):
        path = self.outer.share / f"inner{next(self._numbers)}"
        path.mkdir()
        return path

    def _launch(self, words, namespace):
        running = self.outer.start_command(
            ["sh", "-c", 'exec "$@" >"$0" 2>&1', f"{self.directory}/qemu.log", qemu.QEMU, *words],
            timeout=24 * 3600)
        self.process = _Process(running, self._hang_up)

    def _channel(self, name):
        if not self._ends:
            self._take_ports()
        # A file that is no FIFO is opened for both directions.
        return f"pipe,id={name},path={self.outer.node(self._ports[name])}"

    def _take_ports(self):
        self._ports = self.outer.take()
        self._cleanup.callback(self._leave_ports)
        self._ends = {name: port.connect() for name, port in self._ports.items()}
        for end in self._ends.values():
            end.settimeout(None)

    def _leave_ports(self):
        for end in self._ends.values():
            end.close()
        self.outer.give_back(self._ports)
        self._ports = self._ends = None

    def _hang_up(self):
        """QEMU has ended: this machine's ends would not notice."""
        for end in (self._ends or {}).values():
            try:
                end.shutdown(2)
            except OSError:
                pass

    def _socket(self, name):
        return self._ends[name]
