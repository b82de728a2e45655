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
import select
import socket
import struct
import subprocess
import sys
import time

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
    except (OSError, subprocess.SubprocessError):
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
        """All requests are for this file."""
        memory = ctypes.addressof(ctypes.c_char.from_buffer(self.data))
        for n in range(REQUESTS):
            size = 512 << random.choice((0, 0, 0, 1, 3, 3, 3, 4, 6))
            self.IOCB.pack_into(self.blocks, 64 * n, n, 0, 0, random.randrange(2), 0, disk,
                                memory + 32768 * n, size, random.randrange(4096) * 512, 0, 0, 0)

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
    """A packet socket that sends many frames in one call."""

    def __init__(self, name, frames, header):
        self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        if header:
            self.wire.setsockopt(263, 15, 1)            # PACKET_VNET_HDR
        else:
            self.wire.setsockopt(263, 20, 1)            # PACKET_QDISC_BYPASS
        self.wire.bind((name, 0))
        self.wire.setblocking(False)
        self.bytes = [ctypes.create_string_buffer(frame, len(frame)) for frame in frames]
        self.parts = ctypes.create_string_buffer(16 * len(frames))
        self.messages = ctypes.create_string_buffer(64 * len(frames))
        self.count = len(frames)
        for n, frame in enumerate(self.bytes):
            struct.pack_into("PQ", self.parts, 16 * n, ctypes.addressof(frame), len(frame))
            struct.pack_into("PQPQPQQQ", self.messages, 64 * n, 0, 0,
                             ctypes.addressof(self.parts) + 16 * n, 1, 0, 0, 0, 0)

    def send(self):
        """Sends them; how many have gone, or -1."""
        return LIBC.sendmmsg(self.wire.fileno(), self.messages, self.count, 0)


ETHERNET = b"\xff" * 6 + b"\x02\x00\x00\x00\x00\x01"


def plain():
    """Frames of all sizes."""
    return [ETHERNET + b"\x88\xb5" + bytes(random.randrange(46, 1500)) for _ in range(FRAMES)]


def large():
    """TCP that the device, or the kernel, cuts into packets (a virtio header comes first)."""
    size = random.randrange(3000, 60000)
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

    def use(path):
        name = os.path.basename(path)
        up(control, name)
        some, others = Frames(name, plain(), False), Frames(name, large(), True)
        with some.wire, others.wire:
            bad = 0
            while bad < 8:
                sent = some.send()
                if not random.randrange(8):
                    others.send()
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

    def run(*words):
        subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60)

    jobs = (
        channels, rings, coalescing,
        lambda name: request(name, 0x8914, "H14x", 0x1003),             # down, and up again
        lambda name: request(name, 0x8914, "H14x", 0x1002),
        lambda name: request(name, 0x8914, "H14x", 0x1103),             # promiscuous
        lambda name: request(name, 0x8922, "i12x", random.randrange(68, 9000)),     # MTU
        lambda name: request(name, 0x8924, "H14s", 1, b"\x02" + os.urandom(5)),     # MAC
        lambda name: request(name, 0x8931, "H14s", 1, b"\x33\x33" + os.urandom(4)),  # multicast
        lambda name: run("ethtool", "-S", name),
        lambda name: run("ethtool", "-X", name, "equal", "1"),
        lambda name: run("ethtool", "-K", name, "gro", random.choice(("on", "off")),
                         "lro", random.choice(("on", "off")), "tso",
                         random.choice(("on", "off"))),
    )

    def use(path):
        quiet(random.choice(jobs), os.path.basename(path))
    each("/sys/bus/virtio/devices/*/net/*", use, 0.2)


# -- ports ---------------------------------------------------------------------------------

TEXT = os.urandom(1 << 15)


def talk(path):
    """Writes and reads until nothing goes any more."""
    port = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        idle = 0
        while idle < 8:
            written = quiet(os.write, port, TEXT[:1 << random.randrange(16)])
            read = quiet(os.read, port, 1 << 16)
            idle = 0 if written or read else idle + 1
            if idle:
                select.select([port], [port], [], 0.01)
    finally:
        os.close(port)


def ports():
    """All ports, by several processes at once."""
    each("/sys/bus/virtio/devices/*/*/vport*", lambda path: talk(
        "/dev/" + os.path.basename(path)))


def consoles():
    """The terminals."""
    each("/dev/hvc*", talk, 0.1)


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
