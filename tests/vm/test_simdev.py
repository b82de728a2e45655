# SPDX-License-Identifier: GPL-2.0-only
"""Real programs on simulated devices: each ring layout carries data, byte for byte.

The same device that tells lies elsewhere is an honest one here, whatever the driver; and
none of the drivers breaks the specification's rules, which the device checks.
"""

import contextlib
import os

import pytest

from vrhlab import host, simdev

#: What the ring and the transport have; the last two with kicks suppressed as vhost does it.
RINGS = {
    "split": ("VERSION_1",),
    "split-event": ("VERSION_1", "EVENT_IDX", "INDIRECT_DESC", "RING_RESET"),
    "packed": ("VERSION_1", "RING_PACKED"),
    "packed-event-dma": ("VERSION_1", "RING_PACKED", "EVENT_IDX", "INDIRECT_DESC",
                         "ACCESS_PLATFORM"),
}
SUPPRESS = ("split", "packed-event-dma")

#: Bits that are not offered here: RO and ZONED make another kind of disk, and a network
#: device that stands by for another one is not used.
LEFT_OUT = {"blk": 1 << 5 | 1 << 17, "net": 1 << 62}

#: Feature bits of a network device whose driver sends commands while it probes.
CTRL_VQ, MQ = 17, 22


@pytest.fixture
def guest(lab):
    """A guest that has the simulated device's module."""
    guest = lab.share("simdev", mem=768)
    simdev.load(guest)
    return guest


@contextlib.contextmanager
def plugged(guest, kind, driver, ring, **options):
    """A device of all features of its type, for a block."""
    features = simdev.models(guest)[kind][0] & ~LEFT_OUT.get(kind, 0)
    device = simdev.SimDevice(guest, kind, features | simdev.mask(*RINGS[ring]), driver,
                              suppress=ring in SUPPRESS, **options)
    yield device
    if driver == "ours":
        device.assert_no_violation()
    device.remove()


@pytest.fixture(params=RINGS)
def ring(request):
    """Name of a ring layout."""
    return request.param


def test_disk(guest, driver, ring):
    """What was written is read again; discard and the serial work."""
    with plugged(guest, "blk", driver, ring, pairs=2) as device:
        name, = device.below("block")
        guest.run("head -c 2097152 /dev/urandom >/tmp/w && "
                  f"dd if=/tmp/w of=/dev/{name} bs=64k oflag=direct conv=nocreat,fsync && "
                  f"dd if=/dev/{name} bs=64k count=32 iflag=direct | cmp - /tmp/w && "
                  f"blkdiscard /dev/{name}", check=True)
        assert guest.sh(f"cat /sys/block/{name}/serial") == "virtio-rh-simulated0"


RECEIVE = """
import socket, sys
listener = socket.create_server(("10.9.0.2", 5000))
end, _ = listener.accept()
got = b""
while piece := end.recv(65536):
    got += piece
sys.exit(got != open("/share/sent", "rb").read())
"""

SEND = """
import socket
end = socket.create_connection(("10.9.0.2", 5000))
end.sendall(open("/share/sent", "rb").read())
"""


def test_network(guest, driver, ring):
    """Two devices, plugged into each other: TCP from one name space to the other."""
    with plugged(guest, "net", driver, ring, pairs=2) as near, \
            plugged(guest, "net", driver, ring, pairs=2) as far:
        guest.run(f"echo {near.name} {far.name} >{simdev.ROOT}/join", check=True)
        (one,), (other,) = near.below("net"), far.below("net")
        guest.sh(f"ip netns add far && ip link set {other} netns far && "
                 f"ip addr add 10.9.0.1/24 dev {one} && ip link set {one} up && "
                 f"ip -n far addr add 10.9.0.2/24 dev {other} && ip -n far link set {other} up")
        try:
            guest.wait("busybox ping -c 1 -W 1 10.9.0.2", 30)
            (guest.share / "sent").write_bytes(os.urandom(1 << 20))
            (guest.share / "receive.py").write_text(RECEIVE)
            (guest.share / "send.py").write_text(SEND)
            receiver = guest.start_command(["ip", "netns", "exec", "far", "python3", "-I", "-S",
                                            "/share/receive.py"], timeout=120)
            guest.wait("ip netns exec far grep -q :1388 /proc/net/tcp", 30)
            guest.run(["python3", "-I", "-S", "/share/send.py"], timeout=120, check=True)
            receiver.wait(check=True)
        finally:
            guest.sh("ip netns del far")


PORT_PROGRAM = """
import os, sys, threading
fd = os.open(sys.argv[1], os.O_RDWR)
data = os.urandom(262144)
def write():
    at = 0
    while at < len(data):
        at += os.write(fd, data[at:at + 10000])
writer = threading.Thread(target=write, daemon=True)
writer.start()
got = b""
while len(got) < len(data):
    got += os.read(fd, 65536)
writer.join()
sys.exit(got != data)
"""


def test_port(guest, driver, ring):
    """A port that echoes gives back what it got."""
    with plugged(guest, "console", driver, ring, ports=4) as device:
        device.act("add value=1 text=org.vrh.echo", f"hostopen value={1 | 1 << 32:#x}",
                   f"echo value={1 | 1 << 32:#x}")
        found = "$(grep -lx org.vrh.echo /sys/class/virtio-ports*/vport*/name)"
        guest.wait(f"test -n \"{found}\"", 30)
        node = guest.sh(f"f={found}; f=${{f%/name}}; echo /dev/${{f##*/}}")
        guest.wait(f"test -c {node}", 30)
        (guest.share / "port.py").write_text(PORT_PROGRAM)
        guest.run(["python3", "-I", "-S", "/share/port.py", node], check=True)


def test_balloon(guest, driver, ring):
    """It fills and empties; the device finds no page that was touched meanwhile."""
    with plugged(guest, "balloon", driver, ring) as device:
        for pages in (20000, 3000, 0):
            device.act(f"target value={pages}")
            host.until(lambda: device.stats()["pages"] == pages, 60, f"{pages} pages")
        device.act("poll")
        host.until(lambda: device.stats()["stats"] >= 2, 30, "statistics are answered")


def test_device_that_its_driver_is_stuck_with_can_be_pulled_out(guest):
    """A probe that waits for an answer, which is dropped: only a surprise ends that.

    The in-tree driver of network devices waits for as long as its virtqueue is not broken.
    """
    guest.run("! grep -q ^virtio_net_rh /proc/modules || rmmod virtio_net_rh; modprobe virtio_net",
              check=True)
    features = simdev.mask("VERSION_1") | 1 << CTRL_VQ | 1 << MQ
    directory = simdev.make(guest, f"net features={features:#x} pairs=2 plug=0")
    name = directory.rsplit("/", 1)[1]
    guest.run(f"echo 'drop count=1000' >{directory}/script", check=True)
    plug = guest.start_command(f"echo 1 >{directory}/plug", timeout=300)
    host.until(lambda: simdev.parse(guest.sh(f"cat {directory}/stats"))["drop"], 60,
               "the driver asks for something")
    refused = guest.run(f"echo '{name} orderly' >{simdev.ROOT}/remove", timeout=60)
    assert not refused.ok and "busy" in refused.stderr and not plug.done()
    guest.run(f"echo '{name} surprise' >{simdev.ROOT}/remove", timeout=120, check=True)
    assert plug.wait().ok
    guest.run(f"! test -e {directory}", check=True)
