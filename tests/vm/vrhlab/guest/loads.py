# SPDX-License-Identifier: GPL-2.0-only
"""Runs in a guest whose virtio devices lie and vanish: keeps their drivers at work.

    python3 loads.py PROGRAM...

Each is a process that uses whatever devices are there, again and again, until it is killed;
any call may fail in any way. Drivers meet lies only in what they do, so that the programs
begin much with few calls.
"""

import ctypes
import fcntl
import glob
import mmap
import os
import random
import socket
import struct
import sys
import termios
import time
import tty

LIBC = ctypes.CDLL(None, use_errno=True)


def each(pattern, use, pause=0.02):
    """Calls USE for each path that matches, for ever."""
    while True:
        for path in glob.glob(pattern):
            try:
                use(path)
            except (OSError, ValueError):
                pass
        time.sleep(pause)


def quiet(call, *arguments):
    """A call that may fail."""
    try:
        return call(*arguments)
    except OSError:
        return None


# -- disks ---------------------------------------------------------------------------------

#: Requests that are made beforehand, how many begin at a time, how many may be under way.
REQUESTS, BATCH, AT_MOST = 512, 32, 480


class Requests:
    """Direct reads and writes of the first 2 MiB, with the kernel's asynchronous I/O."""

    SETUP, GETEVENTS, SUBMIT = 206, 208, 209        # x86-64
    IOCB = struct.Struct("<QIIHhIQQqQII")           # linux/aio_abi.h

    def __init__(self):
        self.context = ctypes.c_ulong(0)
        if LIBC.syscall(self.SETUP, 2 * AT_MOST, ctypes.byref(self.context)):
            raise OSError(ctypes.get_errno(), "io_setup")
        # Each has memory of its own, which the DMA API's checks ask for.
        self.data = mmap.mmap(-1, 1 << 24)
        self.next = 0
        self.blocks = ctypes.create_string_buffer(64 * REQUESTS)
        self.at = (ctypes.c_void_p * (REQUESTS + BATCH))(
            *(ctypes.addressof(self.blocks) + n % REQUESTS * 64
              for n in range(REQUESTS + BATCH)))
        self.events = ctypes.create_string_buffer(32 * AT_MOST)
        self.moment = (ctypes.c_long * 2)(0, 20_000_000)
        self.under_way = 0

    def aim(self, disk):
        """All requests are for this file, in units of the blocks that it says it has."""
        memory = ctypes.addressof(ctypes.c_char.from_buffer(self.data))
        block, = struct.unpack("i", fcntl.ioctl(disk, 0x1268, bytes(4)))    # BLKSSZGET
        block = min(block, 32768)
        for n in range(REQUESTS):
            size = max(512 << random.choice((0, 0, 0, 1, 3, 3, 3, 4, 6)), block)
            at = random.randrange(4096) * 512 // block * block
            self.IOCB.pack_into(self.blocks, 64 * n, n, 0, 0, random.randrange(2), 0, disk,
                                memory + 32768 * n, size, at, 0, 0, 0)

    def batch(self):
        """Begins some and waits for about as many: whether any of them was good."""
        if self.under_way < AT_MOST - BATCH:
            begun = LIBC.syscall(self.SUBMIT, self.context, BATCH,
                                 ctypes.byref(self.at, 8 * self.next))
            self.under_way += max(begun, 0)
            self.next = (self.next + BATCH) % REQUESTS
        done = LIBC.syscall(self.GETEVENTS, self.context, min(self.under_way, BATCH // 2),
                            AT_MOST, self.events, self.moment)
        self.under_way -= max(done, 0)
        return any(struct.unpack_from("<q", self.events, 32 * n + 16)[0] > 0
                   for n in range(max(done, 0)))


def disks():
    """Many requests at once."""
    requests = Requests()

    def use(path):
        disk = os.open("/dev/" + os.path.basename(path), os.O_RDWR | os.O_DIRECT)
        try:
            requests.aim(disk)
            bad = 0
            while bad < 8:
                bad = 0 if requests.batch() else bad + 1
        finally:
            os.close(disk)
    each("/sys/bus/virtio/devices/*/block/*", use)


def odd_disks():
    """What programs do with disks now and then."""
    part = struct.pack("QQ", 0, 65536)
    report = struct.pack("QII", 0, 4, 0) + bytes(256)

    def use(path):
        disk = os.open("/dev/" + os.path.basename(path), os.O_RDWR)
        try:
            for _ in range(4):
                random.choice((
                    lambda: os.fsync(disk),
                    lambda: os.pread(disk, 8192, random.randrange(512) * 4096),
                    lambda: fcntl.ioctl(disk, 0x1277, part),        # BLKDISCARD
                    lambda: fcntl.ioctl(disk, 0x127d, part),        # BLKSECDISCARD
                    lambda: fcntl.ioctl(disk, 0x127f, part),        # BLKZEROOUT
                    lambda: fcntl.ioctl(disk, 0x125f),              # BLKRRPART
                    lambda: fcntl.ioctl(disk, 0xc0101282, report),  # BLKREPORTZONE
                    lambda: fcntl.ioctl(disk, 0x40101283, part),    # BLKRESETZONE
                    lambda: put(f"{path}/cache_type",
                                random.choice(("write back", "write through"))),
                    lambda: get(f"{path}/serial")))()
        finally:
            os.close(disk)
    each("/sys/bus/virtio/devices/*/block/*", use, 0.3)


def get(path):
    """The content of a file of sysfs."""
    with open(path) as file:
        return file.read()


def put(path, text):
    """Writes a file of sysfs."""
    with open(path, "w") as file:
        file.write(text)


# -- networks ------------------------------------------------------------------------------

FRAMES = 64


class Frames:
    """Many frames, sent in one call."""

    def __init__(self, frames, header):
        self.header = header
        self.bytes = [ctypes.create_string_buffer(frame, len(frame)) for frame in frames]
        self.parts = ctypes.create_string_buffer(16 * len(frames))
        self.messages = ctypes.create_string_buffer(64 * len(frames))
        self.count = len(frames)
        for n, frame in enumerate(self.bytes):
            struct.pack_into("PQ", self.parts, 16 * n, ctypes.addressof(frame), len(frame))
            struct.pack_into("PQPQPQQQ", self.messages, 64 * n, 0, 0,
                             ctypes.addressof(self.parts) + 16 * n, 1, 0, 0, 0, 0)

    def wire(self, name):
        """A packet socket for them."""
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        if self.header:
            wire.setsockopt(263, 15, 1)                 # PACKET_VNET_HDR
        else:
            wire.setsockopt(263, 20, 1)                 # PACKET_QDISC_BYPASS
        wire.bind((name, 0))
        wire.setblocking(False)
        return wire

    def send(self, wire):
        """Sends them; how many have gone, or -1."""
        return LIBC.sendmmsg(wire.fileno(), self.messages, self.count, 0)


ETHERNET = b"\xff" * 6 + b"\x02\x00\x00\x00\x00\x01"


def plain():
    """Frames of all sizes."""
    return [ETHERNET + b"\x88\xb5" + bytes(random.randrange(46, 1500)) for _ in range(FRAMES)]


def large():
    """TCP that the device, or the kernel, cuts into packets (a virtio header comes first)."""
    size = random.choice((3000, 5000, 9000, 60000))
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40 + size, 1, 0, 64, 6, 0, b"\x0a\x01\x02\x03",
                     b"\x0a\x01\x02\x04")
    # Who leaves the sum to the device begins it: with that of the pseudo header.
    words = struct.unpack(">6H", ip[12:] + struct.pack(">HH", 6, 20 + size))
    total = sum(words) % 0xffff
    tcp = struct.pack(">HHIIBBHHH", 1000, 2000, 1, 1, 0x50, 0x10, 1000, total, 0)
    header = struct.pack("<BBHHHH", 1, 1, 54, 1400, 34, 16)
    return [header + ETHERNET + b"\x08\x00" + ip + tcp + bytes(size)] * 4


def up(control, name):
    """The interface is up afterwards, or it does not want to."""
    request = struct.pack("16sH14x", name.encode(), 0)
    flags, = struct.unpack_from("H", fcntl.ioctl(control, 0x8913, request), 16)
    if not flags & 1:
        fcntl.ioctl(control, 0x8914, struct.pack("16sH14x", name.encode(), flags | 1))


def networks():
    """Many frames at once."""
    control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    some, others = Frames(plain(), False), Frames(large(), True)

    def use(path):
        name = os.path.basename(path)
        up(control, name)
        with some.wire(name) as wire, others.wire(name) as other:
            bad = 0
            while bad < 8:
                sent = some.send(wire)
                if not random.randrange(16):
                    others.send(other)
                bad = 0 if sent > 0 else bad + 1
                if bad:
                    time.sleep(0.002)
    each("/sys/bus/virtio/devices/*/net/*", use)


def ethtool(control, name, words):
    """An ethtool ioctl whose argument is 32-bit words; the words afterwards."""
    data = ctypes.create_string_buffer(struct.pack(f"{len(words)}I", *words))
    fcntl.ioctl(control, 0x8946, struct.pack("16sP16x", name.encode(), ctypes.addressof(data)))
    return struct.unpack_from(f"{len(words)}I", data)


def odd_networks():
    """What people do with interfaces now and then."""
    control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def request(name, number, layout, *values):
        fcntl.ioctl(control, number, struct.pack("16s" + layout, name.encode(), *values))

    def channels(name):
        most = ethtool(control, name, [0x3c] + [0] * 8)[4]
        ethtool(control, name, [0x3d] + [0] * 7 + [random.randint(1, most)])

    def rings(name):
        now = list(ethtool(control, name, [0x10] + [0] * 8))
        now[0], now[5], now[8] = 0x11, 1 << random.randrange(10), 1 << random.randrange(10)
        ethtool(control, name, now)

    def coalescing(name):
        now = list(ethtool(control, name, [0x0e] + [0] * 22))
        now[0], now[1], now[2] = 0x0f, random.randrange(100), random.randrange(100)
        ethtool(control, name, now)

    def statistics(name):
        ethtool(control, name, [0x1d, 0] + [0] * 2048)

    # What the device is told by a command or two, and does not disturb the packets.
    often = (
        coalescing, statistics,
        lambda name: request(name, 0x8914, "H14x", 0x1003),             # not promiscuous
        lambda name: request(name, 0x8914, "H14x", 0x1103),             # promiscuous
        lambda name: request(name, 0x8924, "H14s", 1, b"\x02" + os.urandom(5)),     # MAC
        lambda name: request(name, 0x8931, "H14s", 1, b"\x33\x33" + os.urandom(4)),  # multicast
        lambda name: ethtool(control, name, [0x39, 0]),                 # RSS table
    )
    # What stops queues, or most of the traffic, for a while.
    seldom = (
        channels, rings,
        lambda name: request(name, 0x8914, "H14x", 0x1002),             # down
        lambda name: request(name, 0x8922, "i12x", random.randrange(68, 9000)),     # MTU
        lambda name: ethtool(control, name, [0x1f, random.randrange(2)]),           # TSO
        lambda name: ethtool(control, name, [0x2c, random.randrange(2)]),           # GRO
        lambda name: ethtool(control, name, [0x26, random.randrange(2) << 15]),     # LRO
    )

    def use(path):
        name = os.path.basename(path)
        for _ in range(4):
            quiet(random.choice(often), name)
        if not random.randrange(16):
            quiet(random.choice(seldom), name)
            quiet(up, control, name)
    each("/sys/bus/virtio/devices/*/net/*", use)


# -- ports ---------------------------------------------------------------------------------

TEXT = os.urandom(1 << 13)


def begin_talk(path):
    """An open port or terminal; bytes go through a terminal as they are."""
    port = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        tty.setraw(port)
    except termios.error:
        pass
    return port


def talk(pattern):
    """Writes to all that match and reads from it, for ever; now and then one is closed."""
    files = {}
    while True:
        paths = {"/dev/" + os.path.basename(path) for path in glob.glob(pattern)}
        for path in paths - files.keys():
            if (port := quiet(begin_talk, path)) is not None:
                files[path] = port
        gone = files.keys() - paths
        if files and not random.randrange(4):
            gone |= {random.choice(list(files))}
        for path in gone:
            quiet(os.close, files.pop(path))
        for _ in range(16):
            moved = 0
            for port in files.values():
                moved += quiet(os.write, port, TEXT[:1 << random.randrange(14)]) or 0
                moved += len(quiet(os.read, port, 1 << 16) or b"")
            if not moved:
                # Who has hung up is always ready, so that this is no wait for a port.
                time.sleep(0.005)


def ports():
    """All ports."""
    talk("/sys/bus/virtio/devices/*/*/vport*")


def consoles():
    """The terminals."""
    talk("/dev/hvc*")


# -- balloons, and all ---------------------------------------------------------------------

def memory():
    """Memory that comes and goes."""
    while True:
        try:
            bytearray(random.randrange(1, 16) << 20)
        except MemoryError:
            pass
        time.sleep(0.05)


def readers():
    """What the drivers show of themselves."""
    def use(path):
        for file in glob.glob(f"{path}/vrh/*"):
            quiet(get, file)
    each("/sys/bus/virtio/devices/*", use, 2)


def begin(program):
    """Starts PROGRAM as a process: its number."""
    child = os.fork()
    if not child:
        # A balloon may take what there is: we go first, and not the lab's agent.
        put("/proc/self/oom_score_adj", "1000")
        random.seed()
        globals()[program]()
    return child


def main(programs):
    """Keeps all PROGRAMS running; ends if one of them has an error."""
    running = {begin(program): program for program in programs}
    while True:
        child, status = os.wait()
        if not os.WIFSIGNALED(status):
            sys.exit(f"{running[child]} has ended with status {os.WEXITSTATUS(status)}")
        program = running.pop(child)
        running[begin(program)] = program


if __name__ == "__main__":
    main(sys.argv[1:])
