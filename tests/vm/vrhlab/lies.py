# SPDX-License-Identifier: GPL-2.0-only
"""The lies of the table that `lab table` makes: what a simulated device does to a driver.

A line is an action of the device (tests/simdev/text.c), or "!sleep SECONDS", or "!COMMAND",
a shell command in the background with the device's directory in sysfs in DEVICE. The usual
programs use the device meanwhile (vrhlab/guest/meet.py).
"""

import dataclasses
import re
import struct

from . import simdev

FOREVER = 0xffffffff

#: Operations that wait for events, of the device's (simdev.h): all others are done at once.
RULES = ("delay", "hold", "drop", "reorder", "twice", "again", "id", "len", "patch", "irq-drop",
         "irq-storm", "irq-early", "irq-late", "config-tear", "config-slip", "status", "vanish",
         "vq-fail")

#: The first case of each type: what is counted without any lie would be counted in all others.
HONEST = "an honest device"
RING = simdev.mask("VERSION_1", "EVENT_IDX", "INDIRECT_DESC")


def bits(*numbers):
    """A mask of feature bits."""
    return sum(1 << number for number in numbers)


#: What the devices offer, by type (VIRTIO 1.3, 5.1.3, 5.2.3, 5.3.3, 5.5.3).
FEATURES = {
    # SIZE_MAX SEG_MAX GEOMETRY BLK_SIZE FLUSH TOPOLOGY CONFIG_WCE MQ DISCARD WRITE_ZEROES
    "blk": RING | bits(1, 2, 4, 6, 9, 10, 11, 12, 13, 14),
    # CSUM GUEST_CSUM MTU MAC GUEST_TSO4/6 HOST_TSO4/6 MRG_RXBUF STATUS CTRL_VQ CTRL_RX
    # CTRL_VLAN GUEST_ANNOUNCE CTRL_MAC_ADDR
    "net": RING | bits(0, 1, 3, 5, 7, 8, 11, 12, 15, 16, 17, 18, 19, 21, 23),
    # SIZE MULTIPORT
    "console": RING | bits(0, 1),
    # MUST_TELL_HOST STATS_VQ DEFLATE_ON_OOM
    "balloon": RING | bits(0, 1, 2),
}
MRG_RXBUF, HINTS, REPORTS, POISON = bits(15), bits(3), bits(5), bits(4)
GUEST_OFFLOADS = bits(1, 7, 8)
DEVICE_STATS, HASH_REPORT, RSS = bits(50), bits(57), bits(60)

#: What each device of a type has besides.
OPTIONS = {"blk": "pairs=2 size=64", "net": "size=64", "console": "ports=4 size=64",
           "balloon": "size=64"}

#: What makes the other end of a device work, before the driver has it.
PREPARE = {
    "blk": (),
    "net": ("mode value=1",),
    "console": ("add value=1 text=org.vrh.echo", f"hostopen value={1 | 1 << 32}",
                f"echo value={1 | 1 << 32}"),
    "balloon": (),
}


@dataclasses.dataclass(frozen=True)
class Case:
    """One lie, or several of a kind."""

    kind: str
    name: str               #: as the table calls it
    lines: tuple = ()       #: while programs use the device
    before: tuple = ()      #: before the driver has the device
    features: int | None = None
    options: str | None = None
    needs: int = 0          #: features without which the lie is none: the driver must take them
    surprise: bool = False  #: at the end the device is pulled out
    load: bool = True       #: the programs are there before the lines
    seconds: float = 2      #: from the lines to the verdict
    settle: float = 12      #: for data to move again
    patience: float = 0     #: that each step has beyond the usual, for what the driver waits for

    @property
    def key(self):
        """What names it on the command line: "blk/late"."""
        return f"{self.kind}/{re.sub('[^a-z0-9]+', '-', self.name.lower())}"

    @property
    def create(self):
        """The line that makes the device."""
        features = FEATURES[self.kind] if self.features is None else self.features
        return f"{self.kind} features={features:#x} {self.options or OPTIONS[self.kind]}"

    @property
    def gone(self):
        """Is the device gone at the end, so that the core warns of it?"""
        return self.surprise or any(line.split()[0] in ("gone", "vanish", "status")
                                    for line in (*self.before, *self.lines))

    @property
    def order(self):
        """What guest/meet.py is told, but for the driver."""
        return {"kind": self.kind, "create": self.create,
                "before": [*PREPARE[self.kind], *self.before], "lines": self.lines,
                "lied": bool(self.before), "load": self.load, "surprise": self.surprise,
                "needs": [bit for bit in range(64) if self.needs >> bit & 1],
                # Only then can anybody ask the device whether they came.
                "unbind": any(line.startswith("irq-late") for line in self.before),
                "seconds": self.seconds, "settle": self.settle, "patience": self.patience}


def turns(*lines):
    """Rules of one kind, one after the other: on the same buffer the last one would hide the rest.

    Each line has its count.
    """
    done = 0
    for line in lines:
        yield f"{line} skip={done}" if done else line
        done += int(re.search(r" count=(\d+)", line)[1])


def interrupts(*queues):
    """Interrupts at odd times, of some queues, and in storms."""
    return tuple(f"irq-storm queue={queue} value=500 count=4" for queue in queues) + (
        "irq", "config-irq") * 10


EARLY = ("irq-early count=8", "irq-late count=8")


def blk():
    """Disks. 0 and 1 are queues of requests, whose last byte is their status."""
    def case(name, *lines, **options):
        return Case("blk", name, lines, **options)
    yield case(HONEST)
    yield case("late", "delay value=300 count=60")
    yield case("reordered", "reorder value=3 count=30", options="size=64",
               features=FEATURES["blk"] & ~bits(12))
    yield case("held for ever, then unplugged", f"hold count={FOREVER}")
    yield case("dropped, then pulled out", "drop count=2", surprise=True)
    yield case("used twice", "twice")
    yield case("used again 50 ms later", "again value=50")
    yield case("id out of range", "id value=4294967295")
    yield case("id never offered", "id value=63")
    yield case("used length 0, too long, 2^32-1", *turns(
        "len value=0 count=6", "len value=65536 count=6", "len value=4294967295 count=6"))
    yield case("used index jumps", "used-idx queue=0 value=1000")
    yield case("interrupts dropped", "irq-drop count=3")
    yield case("interrupts early, late, in storms", *interrupts(0, 1), before=EARLY)
    yield case("config never stands still", before=(f"config-tear at=1 value=32 count={FOREVER}",))
    yield case("capacity 0, then 2^64-1", "capacity value=0", "!sleep 1",
               f"capacity value={2 ** 64 - 1}", "!sleep 1", "capacity value=8192")
    yield case("seg_max 0", before=("config at=12 width=4 value=0",))
    yield case("NEEDS_RESET", "needs-reset")
    yield case("gone under load", "gone", surprise=True)
    yield case("gone in the middle of probe", before=("vanish skip=12",), surprise=True)
    yield case("status 3, 4, 255", *turns("patch at=-1 value=3 count=3",
                                          "patch at=-1 value=4 count=3",
                                          "patch at=-1 value=255 count=3"))
    yield case("serial never answered", "drop", "!cat $DEVICE/block/*/serial", load=False,
               seconds=8)


def frame(length, payload=b""):
    """A TCP segment over IPv4 to the broadcast address, as hex."""
    total = length - 14
    ip = struct.pack("!BBHHHBBH8s", 0x45, 0, total, 0, 0, 64, 6, 0, bytes(8))
    tcp = struct.pack("!HHIIBBHHH", 9, 9, 0, 0, 0x50, 0x10, 0xffff, 0, 0)
    data = b"\xff" * 6 + b"\x02vrh.." + b"\x08\x00" + ip + tcp + payload
    return data.ljust(length, b"\0").hex()


def header(flags=0, gso_type=0, gso_size=0, start=0, offset=0):
    """A virtio header as the simulated device's "inject" takes it."""
    return flags | gso_type << 8 | gso_size << 16 | start << 32 | offset << 48


def net():
    """NICs. 0 receives, 1 transmits, 2 has commands."""
    def case(name, *lines, **options):
        return Case("net", name, lines, **options)
    packet = frame(200)

    def inject(**fields):
        return f"inject queue=0 value={header(**fields)} bytes={packet}"
    yield case(HONEST)
    small = FEATURES["net"] & ~(MRG_RXBUF | GUEST_OFFLOADS)
    command = "ip link set $(ls $DEVICE/net) promisc on"
    address = "ip link set $(ls $DEVICE/net) address 02:00:00:00:00:77"
    yield case("late", "delay value=300 count=60")
    yield case("reordered", "reorder queue=0 value=4 count=40", "reorder queue=1 value=4 count=40")
    yield case("held for ever, then unplugged", f"hold queue=0 count={FOREVER}",
               f"hold queue=1 count={FOREVER}")
    yield case("dropped", "drop queue=0 count=10", "drop queue=1 count=10")
    yield case("received buffer used twice", "twice queue=0")
    yield case("transmitted buffer used twice", "twice queue=1")
    yield case("received buffer used again 50 ms later", "again queue=0 value=50")
    yield case("transmitted buffer used again 50 ms later", "again queue=1 value=50")
    yield case("id out of range", "id queue=0 value=4294967295")
    yield case("id never offered", "id queue=1 value=63")
    lengths = tuple(turns(*(f"len queue=0 value={length} count=4"
                            for length in (0, 11, 13, 70000, 4294967295))))
    yield case("used length 0, 11, 13, too long, 2^32-1", *lengths)
    yield case("the same, small buffers", *lengths, features=small)
    yield case("used index jumps", "used-idx queue=0 value=1000")
    yield case("interrupts dropped", "irq-drop queue=0 count=5", "irq-drop queue=1 count=5")
    yield case("interrupts early, late, in storms", *interrupts(0, 1), before=EARLY)
    yield case("config never stands still", before=(f"config-tear at=4 value=119 count={FOREVER}",))
    yield case("NEEDS_RESET", "needs-reset")
    yield case("gone under load", "gone", surprise=True)
    yield case("gone in the middle of probe", before=("vanish skip=12",), surprise=True)
    yield case("num_buffers 0, 3, 65535", *turns(
        "patch queue=0 at=10 width=2 value=0 count=3",
        "patch queue=0 at=10 width=2 value=3 count=1",
        "patch queue=0 at=10 width=2 value=65535 count=3"))
    yield case("checksum offsets", inject(flags=1, start=200), inject(flags=1, start=65535),
               inject(flags=1, start=34, offset=65535), inject(flags=1, start=34, offset=165))
    yield case("GSO sizes and types", inject(flags=1, gso_type=1, start=34, offset=16),
               inject(flags=1, gso_type=1, gso_size=1, start=34, offset=16),
               inject(flags=1, gso_type=4, gso_size=65535, start=54, offset=16),
               inject(gso_type=1, gso_size=100), inject(gso_type=0x7f, gso_size=100),
               inject(flags=1, gso_type=1, gso_size=100, start=190, offset=6))
    # VIRTIO 1.3, 5.1.6.4.1: behind the 12 bytes that each packet has.
    yield case("hash types and values of nonsense", *turns(
        "patch queue=0 at=12 width=8 value=0xffffffffffffffff count=6",
        "patch queue=0 at=12 width=8 value=0x0000001000000000 count=6"),
        features=FEATURES["net"] | HASH_REPORT, needs=HASH_REPORT)
    yield case("sizes of the hash key and table of nonsense",
               before=("config at=17 value=255", "config at=18 width=2 value=65535"),
               features=FEATURES["net"] | RSS, needs=RSS)
    # Our driver gives up each of some commands after 10 s, one after the other.
    yield case("commands never answered", f"drop queue=2 count={FOREVER}", f"!{command}",
               f"!{address}", seconds=5, patience=75)
    yield case("command answered late", "delay queue=2 value=12000 count=1", f"!{address}",
               seconds=16, patience=30)
    yield case("answers to commands that are short, long, garbage",
               *turns("len queue=2 value=0 count=1", "len queue=2 value=4294967295 count=1"),
               "patch queue=2 at=0 value=85 skip=2", f"!{command}; {address}", seconds=5)
    # Behind the acknowledgement: type, queue, size of the first reply (VIRTIO 1.4, 5.1.6.5).
    ask = "!ethtool -S $(ls $DEVICE/net)"
    for value, name in ((0, "0"), (65535, "65535")):
        yield case(f"statistics with a size of {name}", f"patch queue=2 at=7 width=2 value={value}",
                   ask, features=FEATURES["net"] | DEVICE_STATS, needs=DEVICE_STATS, seconds=5)


def message(port, event, value=1, text=""):
    """A control message of a console."""
    return f"message value={port | event << 32 | value << 48}" + (f" text={text}" if text else "")


def console():
    """Consoles. 0 1 are port 0, a console; 2 3 control messages; 4 5 port 1, which echoes."""
    def case(name, *lines, **options):
        return Case("console", name, lines, **options)
    yield case(HONEST)
    yield case("late", "delay value=200 count=40")
    yield case("held for ever, then unplugged", f"hold queue=4 count={FOREVER}",
               f"hold queue=5 count={FOREVER}")
    yield case("console output never taken", f"drop queue=1 count={FOREVER}",
               "!for d in /sys/class/tty/hvc[0-9]*; do echo one two >/dev/${d##*/} & done; wait")
    yield case("control message never taken", f"drop queue=3 count={FOREVER}", "add value=2",
               "!sleep 1", "add value=3")
    yield case("dropped", "drop queue=4", "drop queue=5")
    yield case("input used twice", "twice queue=4")
    yield case("input used again 50 ms later", "again queue=4 value=50")
    yield case("id out of range", "id queue=4 value=4294967295")
    yield case("id never offered", "id queue=5 value=63")
    yield case("used length 0, too long, 2^32-1", *turns(
        "len queue=4 value=0 count=2", "len queue=4 value=65536 count=2",
        "len queue=4 value=4294967295 count=2"))
    yield case("used index jumps", "used-idx queue=4 value=1000")
    yield case("interrupts dropped", "irq-drop queue=4", "irq-drop queue=5")
    yield case("interrupts early, late, in storms", *interrupts(4, 5), before=EARLY)
    yield case("max_nr_ports 0", before=("config at=4 width=4 value=0",))
    yield case("max_nr_ports 2^32-1", before=(f"config at=4 width=4 value={2 ** 32 - 1}",))
    yield case("NEEDS_RESET", "needs-reset")
    yield case("gone under load", "gone", surprise=True)
    yield case("gone in the middle of probe", before=("vanish skip=8",), surprise=True)
    yield case("port added twice", message(1, 1), message(1, 1), message(0, 1))
    yield case("port removed while it is open", "remove value=1", "!sleep 1",
               *PREPARE["console"])
    yield case("port numbers out of range",
               *(message(port, event) for port in (4, 511, 2 ** 31 - 1, 2 ** 32 - 1)
                 for event in range(9)))
    yield case("names of any bytes", *(f"message value={1 | 7 << 32 | 1 << 48} bytes={data.hex()}"
                                       for data in (b"../../x", b"%s%n", b"\xff\x01\n", b"\0\0",
                                                    b"n" * 256, b"n" * 1500)), message(1, 7))
    yield case("messages of odd lengths",
               *turns("len queue=2 value=3 count=1", "len queue=2 value=0 count=1",
                      "len queue=2 value=4294967295 count=1"),
               message(1, 6, 1), message(1, 6, 1), message(1, 7, 1, "name"))


def balloon():
    """Balloons. 0 inflates, 1 deflates, 2 has statistics, 3 hints or reports."""
    def case(name, *lines, **options):
        return Case("balloon", name, lines, **options)
    reports = FEATURES["balloon"] | REPORTS | POISON
    hints = FEATURES["balloon"] | HINTS
    yield case(HONEST)
    yield case("late", "delay value=200 count=20")
    yield case("held for ever, then unplugged", f"hold queue=0 count={FOREVER}")
    yield case("dropped", "drop queue=0", "drop queue=1")
    yield case("used twice", "twice queue=0")
    yield case("used again 50 ms later", "again queue=0 value=50")
    yield case("id out of range", "id queue=0 value=4294967295")
    yield case("id never offered", "id queue=0 value=63")
    yield case("used length 0, too long, 2^32-1", *turns(
        "len queue=0 value=0 count=2", "len queue=0 value=65536 count=2",
        "len queue=0 value=4294967295 count=2"))
    yield case("used index jumps", "used-idx queue=0 value=1000")
    yield case("interrupts dropped", "irq-drop queue=0", "irq-drop queue=1")
    yield case("interrupts early, late, in storms", *interrupts(0, 1, 2), before=EARLY)
    yield case("target 2^32-1", f"target value={2 ** 32 - 1}", "!sleep 15", "target value=0",
               load=False, settle=25)
    yield case("actual is nonsense", "config at=4 width=4 value=3735928559",
               "config at=4 width=4 value=4294967295")
    yield case("NEEDS_RESET", "needs-reset")
    yield case("gone under load", "gone", "config-irq", surprise=True, seconds=10)
    yield case("gone in the middle of probe", before=("vanish skip=4",), surprise=True)
    yield case("statistics used twice", "twice queue=2", "poll", "!sleep 1", "irq queue=2")
    yield case("hints never answered", f"drop queue=3 count={FOREVER}", "hint value=0", "!sleep 2",
               "hint value=1", "hint value=2", features=hints)
    yield case("hints with command ids of nonsense", "hint value=0",
               *(f"config at=8 width=4 value={value}" for value in (0, 7, 1, 2 ** 32 - 1)),
               features=hints)
    yield case("report never answered, then unplugged", "holdreport value=1", "!sleep 3",
               features=reports)
    yield case("report with an id never offered", "id queue=3 value=63", "!sleep 3",
               features=reports)


CASES = (*blk(), *net(), *console(), *balloon())
