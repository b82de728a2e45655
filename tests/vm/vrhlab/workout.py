# SPDX-License-Identifier: GPL-2.0-only
"""One exercise per kind of device, whatever the driver: is it there, does it work, load on it.

Made for tests that care about the life of a device, not about what it can do. Each
workout has `parts` for a guest, `check()` that moves data both ways and compares it, and
`load()` that keeps the device busy from the guest and from the host, and does not mind if
the device comes and goes. A load begins by waiting until something has moved, and leaves the
processors to others most of the time: under TCG they are what a test waits for.
"""

import contextlib
import os
import threading
import time

from . import binding, host
from .devices import Balloon, Disk, Port, Serial, UserNet
from .qmp import QMPError


class Workout:
    """What the four have in common; `kind` is binding's name of the kind of device."""

    kind = None

    def __init__(self):
        self.parts = self.make()    #: devices in the order in which they are plugged

    def make(self):
        """The devices, the one on the virtio bus first."""
        raise NotImplementedError

    def device(self, guest):
        """The device on the guest's virtio bus, or None."""
        found = binding.devices(guest, self.kind)
        return found[0] if found else None

    def plug(self, guest):
        """Hot-plugs the device with all its parts."""
        for part in self.parts:
            guest.plug(part)

    def unplug(self, guest):
        """Hot-unplugs the device."""
        guest.unplug(self.parts[0], timeout=120)

    def check(self, guest):
        """Moves data through the device and compares; raises if it does not work."""
        raise NotImplementedError

    #: Python program that keeps the device busy until it is killed: `d` is the device's
    #: directory in sysfs, os, sys and time are imported. It calls moved() when data has moved.
    program = None

    @contextlib.contextmanager
    def load(self, guest, timeout=1200):
        """Keeps the device busy while the block runs."""
        inside = None
        sign = f"/tmp/moved-{self.kind}-{time.monotonic_ns()}"
        if self.program:
            script = guest.share / f"load-{self.kind}.py"
            script.write_text("import os, sys, time\nd = sys.argv[1]\n"
                              f"def moved():\n    open({sign!r}, 'w').close()\n{self.program}")
            inside = guest.start_command(
                ["python3", "-I", "-S", f"/share/{script.name}",
                 f"/sys/bus/virtio/devices/{self.device(guest).name}"], timeout=timeout)
        stop = threading.Event()
        outside = threading.Thread(target=self.host_load, args=(guest, stop), daemon=True)
        outside.start()
        try:
            self.begun(guest, sign)
            yield
            if inside and inside.done():
                raise host.LabError(f"the load of {self.kind} has ended: {inside.wait()}")
        finally:
            stop.set()
            outside.join(30)
            if inside and not inside.done():
                inside.kill(9)
                inside.wait()

    def begun(self, guest, sign):
        """Waits until the load has moved something: the guest has the file SIGN."""
        guest.wait(f"test -e {sign}", 60, f"the load of {self.kind} moves something")

    def host_load(self, guest, stop):
        """The host's part of the load, until STOP is set."""


class BlockWorkout(Workout):
    """Direct reads and writes on a disk with two queues."""

    kind = "blk"
    program = """
import mmap
data = mmap.mmap(-1, 32768)     # aligned, for direct requests
worker = int(os.fork() == 0)
while True:
    try:
        name, = os.listdir(d + "/block")
        disk = os.open("/dev/" + name, os.O_RDWR | os.O_DIRECT)
    except (OSError, ValueError):
        time.sleep(0.01)
        continue
    try:
        for n in range(32):
            at = (worker * 32 + n) * len(data)
            os.preadv(disk, [data], at)
            os.pwritev(disk, [data], at)
            time.sleep(0.005)
        moved()
    except OSError:
        pass
    os.close(disk)
"""

    def make(self):
        return [Disk("64M", queues=2, hotplug=True)]

    def check(self, guest):
        name = self.device(guest).name
        guest.wait(f"test -b /dev/$(ls /sys/bus/virtio/devices/{name}/block)", 30)
        guest.run(f"d=/dev/$(ls /sys/bus/virtio/devices/{name}/block) && "
                  "head -c 2097152 /dev/urandom >/tmp/w && "
                  "dd if=/tmp/w of=$d bs=64k oflag=direct conv=nocreat,fsync && "
                  "dd if=$d bs=64k count=32 iflag=direct | cmp - /tmp/w", check=True)


class NetWorkout(Workout):
    """Datagrams out of, and pings through, a NIC on user-mode network."""

    kind = "net"
    program = """
import socket, struct, subprocess
body = bytes(1400)
total = 0x0800 + 1
echo = struct.pack("!BBHHH", 8, 0, ~total & 0xffff, 1, 0) + body    # a ping
datagram = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
ping = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
index = 0
while True:
    try:
        name, = os.listdir(d + "/net")
        if index != socket.if_nametoindex(name):
            subprocess.run(f"ip link set {name} up; ip addr add 10.0.2.15/24 dev {name}",
                           shell=True, stderr=subprocess.DEVNULL)
            index = socket.if_nametoindex(name)
        for n in range(8):
            datagram.sendto(body, ("10.0.2.2", 9))
            ping.sendto(echo, ("10.0.2.2", 0))
        ping.recv(2048, socket.MSG_DONTWAIT)
        moved()
    except (OSError, ValueError):
        pass
    time.sleep(0.02)
"""

    def make(self):
        return [UserNet(hotplug=True)]

    def check(self, guest):
        name = self.device(guest).name
        guest.wait(f"ls /sys/bus/virtio/devices/{name}/net | grep -q .", 30)
        interface = guest.sh(f"ls /sys/bus/virtio/devices/{name}/net")
        guest.network(self.parts[0], interface)
        guest.run("for i in 1 2 3 4 5; do busybox ping -c 1 -W 3 -s 1400 10.0.2.2 && exit 0; done;"
                  "exit 1", check=True)


class ConsoleWorkout(Workout):
    """Bytes both ways through two ports."""

    kind = "console"
    program = """
import glob
data = bytes(16384)
worker = 1 + (os.fork() == 0)
while True:
    port = None
    try:
        path, = glob.glob(d + "/*/vport*p%d" % worker)
        port = os.open("/dev/" + os.path.basename(path), os.O_RDWR | os.O_NONBLOCK)
        for n in range(8):
            for move in (lambda: os.write(port, data), lambda: os.read(port, 4096)):
                try:
                    move()
                    moved()
                except BlockingIOError:
                    pass
            time.sleep(0.02)
    except (OSError, ValueError):
        time.sleep(0.01)
    if port is not None:
        os.close(port)
"""

    def make(self):
        return [Serial(hotplug=True), Port("org.vrh.port0"), Port("org.vrh.port1")]

    def attached(self, guest, port, wanted):
        """Waits until QEMU has, or no more has, the host's end of a port in its hands."""
        def connected():
            return any(found["label"] == f"chr-{port.ident}" and
                       not found["filename"].startswith("disconnected:")
                       for found in guest.qmp("query-chardev"))
        host.until(lambda: connected() == wanted, 30,
                   f"{port.name} is {'' if wanted else 'dis'}connected")

    @contextlib.contextmanager
    def end(self, guest, port, timeout):
        """The host's end of a port, connected as far as QEMU is concerned.

        A socket is connected before QEMU looks at it, and what the guest writes until then
        to a port that it still takes for open, QEMU throws away.
        """
        try:
            with port.connect(timeout=timeout) as end:
                self.attached(guest, port, True)
                yield end
        finally:
            self.attached(guest, port, False)

    def check(self, guest):
        name = self.device(guest).name
        data = os.urandom(65536)
        (guest.share / "sent").write_bytes(data)
        for port in self.parts[1:]:
            found = f"$(grep -lx {port.name} /sys/bus/virtio/devices/{name}/*/vport*/name)"
            guest.wait(f"test -n \"{found}\"", 30)
            node = guest.sh(f"f={found}; f=${{f%/name}}; echo /dev/${{f##*/}}")
            guest.wait(f"test -c {node}", 30)
            with self.end(guest, port, 60) as end:
                # The host's connection reaches the guest as a message, after a while.
                echo = guest.start_command(
                    f"cp /share/sent /tmp/sent; exec 3<>{node}; cat /tmp/sent >&3; "
                    "end=$((SECONDS + 30)); : >/tmp/got; "
                    "until [ $(stat -c %s /tmp/got) -ge 65536 ] || [ $SECONDS -ge $end ]; do "
                    "timeout 5 head -c $((65536 - $(stat -c %s /tmp/got))) <&3 >>/tmp/got; "
                    "done; cmp /tmp/sent /tmp/got", timeout=60)
                got = b""
                while not got.endswith(data):
                    got += end.recv(65536)      # what a load had left comes first
                end.sendall(data)
                echo.wait(check=True)

    def host_load(self, guest, stop):
        with contextlib.ExitStack() as stack:
            ends = [stack.enter_context(self.end(guest, port, 10)) for port in self.parts[1:]]
            for end in ends:
                end.settimeout(0.05)
            while not stop.is_set():
                for end in ends:
                    with contextlib.suppress(OSError):
                        end.recv(65536)
                    with contextlib.suppress(OSError):
                        end.send(bytes(1024))


class BalloonWorkout(Workout):
    """A balloon that goes up and down."""

    kind = "balloon"

    def make(self):
        return [Balloon(hotplug=True)]

    def check(self, guest):
        full = guest.mem << 20
        self.reach(guest, full - (128 << 20))
        self.reach(guest, full)

    def reach(self, guest, target):
        """Sets the guest's memory to TARGET bytes and waits until it has that much."""
        guest.qmp("balloon", value=target)
        host.until(lambda: guest.qmp("query-balloon")["actual"] == target, 60,
                   f"a guest of {target >> 20} MiB")

    def begun(self, guest, sign):
        host.until(lambda: guest.qmp("query-balloon")["actual"] != guest.mem << 20, 60,
                   "the balloon moves", nap=0.05)

    def host_load(self, guest, stop):
        full = guest.mem << 20
        while not stop.wait(0.1):
            for part in (full - (32 << 20), full - (8 << 20)):
                with contextlib.suppress(QMPError):
                    guest.qmp("balloon", value=part)
                stop.wait(0.1)
        with contextlib.suppress(QMPError):
            guest.qmp("balloon", value=full)


WORKOUTS = {made.kind: made for made in (BlockWorkout, NetWorkout, ConsoleWorkout, BalloonWorkout)}
