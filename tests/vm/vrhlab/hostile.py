# SPDX-License-Identifier: GPL-2.0-only
"""The simulated device's hostile mode: device after device of one type, all chance from a seed.

A run has programs in the guest that use whatever device is there, as the driver must be at
work when it is lied to, and ends with what the module counted (`simdev.parse`).
"""

import contextlib
import time

from . import binding, host, simdev

FILE = f"{simdev.ROOT}/hostile"

#: The core warns when a device that is gone does not read as reset (virtio_dev_remove).
ALLOWED = [r"virtio_dev_remove", r"Call Trace"]

#: More than any run reaches: for one that ends by time.
ENDLESS = 1 << 40

#: What every program begins with: `each(pattern)` calls the decorated function for each path,
#: again and again; a device may go at any moment, and its calls may fail in any way.
HEAD = """
import fcntl, glob, os, random, socket, struct, sys, time
def each(pattern):
    def run(use):
        while True:
            for path in glob.glob(pattern):
                try:
                    use(path)
                except (OSError, ValueError):
                    pass
            time.sleep(0.01)
    return run
"""

#: Programs by type of device: (how many processes, text).
LOADS = {
    "blk": (4, """
import mmap
data = mmap.mmap(-1, 65536)
@each("/sys/bus/virtio/devices/*/block/*")
def use(path):
    disk = os.open("/dev/" + os.path.basename(path), os.O_RDWR | os.O_DIRECT)
    try:
        for n in range(16):
            part = memoryview(data)[:512 << random.randrange(8)]
            at = random.randrange(4096) * 512
            random.choice((os.preadv, os.pwritev))(disk, [part], at)
        os.fsync(disk)
        if not random.randrange(4):
            fcntl.ioctl(disk, 0x1277, struct.pack("QQ", 0, 65536))      # BLKDISCARD
    finally:
        os.close(disk)
"""),
    "net": (2, """
import subprocess
@each("/sys/bus/virtio/devices/*/net/*")
def use(path):
    name = os.path.basename(path)
    if "0x1003" not in open(path + "/flags").read():
        subprocess.run(["ip", "link", "set", name, "up"], stderr=subprocess.DEVNULL)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((name, 3))
        wire.setblocking(False)
        for n in range(50):
            wire.send(b"\\xff" * 6 + os.urandom(6) + b"\\x88\\xb5"
                      + bytes(random.randrange(46, 1500)))
    if not random.randrange(20):
        action = random.choice((["ethtool", "-S", name], ["ethtool", "-L", name, "combined", "1"],
                                ["ip", "link", "set", name, "promisc", "on"],
                                ["ip", "link", "set", name, "down"]))
        subprocess.run(action, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
"""),
    "console": (3, """
@each("/sys/bus/virtio/devices/*/*/vport*")
def use(path):
    port = os.open("/dev/" + os.path.basename(path), os.O_RDWR | os.O_NONBLOCK)
    try:
        for n in range(20):
            for move in (lambda: os.write(port, os.urandom(random.randrange(1, 9000))),
                         lambda: os.read(port, 70000)):
                try:
                    move()
                except BlockingIOError:
                    time.sleep(0.001)
    finally:
        os.close(port)
"""),
    "balloon": (1, """
while True:
    bytearray(random.randrange(1, 64) << 20)
    time.sleep(0.02)
"""),
}


class Run:
    """A hostile run against the driver that a guest has loaded."""

    def __init__(self, guest, kind, seed, actions=ENDLESS):
        self.guest, self.kind = guest, kind
        self.seed, self.actions = seed, actions

    @contextlib.contextmanager
    def load(self):
        """Programs that use the devices, for a block."""
        count, text = LOADS[self.kind]
        script = self.guest.share / f"hostile-{self.kind}.py"
        script.write_text(HEAD + text)
        running = [self.guest.start_command(["python3", "-I", f"/share/{script.name}"],
                                            timeout=24 * 3600) for _ in range(count)]
        try:
            yield
            for program in running:
                if program.done():
                    raise host.LabError(f"the load has ended: {program.wait()}")
        finally:
            for program in running:
                if not program.done():
                    program.kill(9)
            for program in running:
                program.wait()

    def state(self):
        """What the module says of the run."""
        return simdev.parse(self.guest.sh(f"cat {FILE}"))

    def run(self, seconds=600, patience=120, tell=None):
        """Runs until all actions are done or SECONDS are over; what the module counted.

        LabError if the device's thread does nothing for PATIENCE seconds: then the driver
        keeps it waiting, and the guest is stuck.
        """
        self.guest.run(f"echo '{self.kind} seed={self.seed} actions={self.actions}' >{FILE}",
                       check=True)
        begun = moved = time.monotonic()
        drawn = -1
        with self.load():
            while (state := self.state())["state"] == "running":
                self.guest.assert_healthy()
                now = time.monotonic()
                if state["drawn"] != drawn:
                    drawn, moved = state["drawn"], now
                if now - moved > patience:
                    raise host.LabError(f"{self.kind}, seed {self.seed}: stuck after "
                                        f"{drawn} actions\n{self.guest.sh('dmesg | tail -n 60')}")
                if now - begun > seconds:
                    break
                if tell:
                    tell(state)
                time.sleep(1)
        self.guest.run(f"echo stop >{FILE}", timeout=patience, check=True)
        return self.state()


def prepare(guest, kind, which):
    """Loads the simulated device, and the driver ("in-tree" or "ours") that is to meet it."""
    simdev.load(guest)
    guest.modprobe(binding.driver_name(kind, which))
