# SPDX-License-Identifier: GPL-2.0-only
"""One exercise per kind of device, whatever the driver: is it there, does it work, load on it.

Made for tests that care about the life of a device, not about what it can do. Each
workout has `devices()` for a guest, `check()` that moves data both ways and compares it,
and `load()` that keeps the device busy from the guest and from the host, and does not
mind if the device comes and goes.
"""

import contextlib
import os
import threading

from . import binding
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

    #: Shell script that keeps the device busy; $d is its directory in sysfs.
    script = ":"

    @contextlib.contextmanager
    def load(self, guest, timeout=1200):
        """Keeps the device busy while the block runs."""
        where = "d=$(echo /sys/bus/virtio/devices/" + self.device(guest).name + ")"
        inside = guest.start_command(f"{where}; {self.script}", timeout=timeout)
        stop = threading.Event()
        outside = threading.Thread(target=self.host_load, args=(guest, stop), daemon=True)
        outside.start()
        try:
            yield
        finally:
            stop.set()
            outside.join(30)
            inside.kill(9)
            inside.wait()

    def host_load(self, guest, stop):
        """The host's part of the load, until STOP is set."""


class BlockWorkout(Workout):
    """Direct reads and writes on a disk with two queues."""

    kind = "blk"
    script = """
    for w in 1 2 3; do
        while :; do
            n=$(ls $d/block 2>/dev/null) || { sleep 0.02; continue; }
            dd if=/dev/$n of=/dev/null bs=32k count=256 iflag=direct
            dd if=/dev/zero of=/dev/$n bs=32k count=64 seek=$((64 * w)) oflag=direct conv=nocreat
        done 2>/dev/null &
    done; wait"""

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
    script = """
    while :; do
        n=$(ls $d/net 2>/dev/null) || { sleep 0.02; continue; }
        ip link set $n up; ip addr add 10.0.2.15/24 dev $n
        timeout 1 ping -A -q -s 1400 10.0.2.2 >/dev/null &
        timeout 1 python3 -S -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    try:
        s.sendto(bytes(1400), ("10.0.2.2", 9))
    except OSError:
        pass'
        wait
    done 2>/dev/null"""

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
    script = """
    for w in 1 2; do
        while :; do
            for n in $d/*/vport*p$w; do
                timeout 2 dd if=/dev/zero of=/dev/${n##*/} bs=1k count=512 conv=nocreat
                timeout 0.3 dd if=/dev/${n##*/} of=/dev/null bs=4k count=16
            done
            sleep 0.02
        done 2>/dev/null &
    done; wait"""

    def make(self):
        return [Serial(hotplug=True), Port("org.vrh.port0"), Port("org.vrh.port1")]

    def check(self, guest):
        name = self.device(guest).name
        data = os.urandom(65536)
        (guest.share / "sent").write_bytes(data)
        for port in self.parts[1:]:
            found = f"$(grep -lx {port.name} /sys/bus/virtio/devices/{name}/*/vport*/name)"
            guest.wait(f"test -n \"{found}\"", 30)
            node = guest.sh(f"f={found}; f=${{f%/name}}; echo /dev/${{f##*/}}")
            guest.wait(f"test -c {node}", 30)
            with port.connect(timeout=60) as end:
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
        ends = [port.connect() for port in self.parts[1:]]
        for end in ends:
            end.settimeout(0.05)
        while not stop.is_set():
            for end in ends:
                with contextlib.suppress(OSError):
                    end.recv(65536)
                with contextlib.suppress(OSError):
                    end.send(bytes(1024))
        for end in ends:
            end.close()


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
        stop = threading.Event()
        for _ in range(600):
            actual = guest.qmp("query-balloon")["actual"]
            if actual == target:
                return
            stop.wait(0.1)
        raise AssertionError(f"the balloon stays at {actual >> 20} MiB of {target >> 20} MiB")

    def host_load(self, guest, stop):
        full = guest.mem << 20
        while not stop.wait(0.05):
            for part in (full - (64 << 20), full - (16 << 20)):
                with contextlib.suppress(QMPError):
                    guest.qmp("balloon", value=part)
                stop.wait(0.1)
        with contextlib.suppress(QMPError):
            guest.qmp("balloon", value=full)


WORKOUTS = {made.kind: made for made in (BlockWorkout, NetWorkout, ConsoleWorkout, BalloonWorkout)}
