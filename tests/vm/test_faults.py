# SPDX-License-Identifier: GPL-2.0-only
"""Memory that is not to be had where data moves: in interrupts, works and other programs.

A task can have its own allocations fail one by one: test_lifecycle does that to probe, and
the suites *_alloc_test of tests/kunit to what a driver does in the task that asks for it. What
is left is here: a driver's function under which every allocation fails for a while, on a
simulated device, and a twentieth of all of a driver's allocations, on a busy device of QEMU.
Nothing may be lost but what is counted, and afterwards everything works as before.
"""

import contextlib
import re

import pytest

from conftest import KERNELS
from vrhlab import binding, faults, host, simdev, workout

pytestmark = [
    pytest.mark.on_simdev,
    pytest.mark.skipif("debug" not in KERNELS, reason="only the debug kernel can fail so"),
    pytest.mark.parametrize("kernel", ["debug"], indirect=True),
]

#: A console, a network and a disk that a host would offer today; see test_simdev.
LEFT_OUT = {"blk": 1 << 5 | 1 << 17, "net": 1 << 62}

#: So many must have failed, or the test shows nothing.
ENOUGH = 50


@pytest.fixture
def guest(lab):
    """A guest that has the simulated device's module."""
    guest = lab.share("faults", mem=1024)
    simdev.load(guest)
    return guest


@contextlib.contextmanager
def plugged(guest, kind, **options):
    """A device of all features of its type with our driver, for a block."""
    features = simdev.models(guest)[kind][0] & ~LEFT_OUT.get(kind, 0)
    ring = simdev.mask("VERSION_1", "EVENT_IDX", "INDIRECT_DESC")
    device = simdev.SimDevice(guest, kind, features | ring, "ours", **options)
    yield device
    device.assert_no_violation()
    device.remove()


@contextlib.contextmanager
def failing(guest, kind, function, times):
    """Allocations under FUNCTION fail in the block, TIMES; that it had as many is checked."""
    with faults.failing(guest, binding.OURS[kind], function, times=times) as failed:
        yield
        host.until(lambda: failed() >= times, 20, f"allocations of {function} fail")


# The disk

def test_disk_without_tables(guest):
    """Requests whose descriptor tables cannot be had go without, and lose nothing."""
    with plugged(guest, "blk", pairs=2) as device:
        name, = device.below("block")
        guest.run("head -c 2097152 /dev/urandom >/tmp/w", check=True)
        for times in (1, 7, 64):
            with failing(guest, "blk", "vblk_queue_rq", times):
                guest.run(f"dd if=/tmp/w of=/dev/{name} bs=4k oflag=direct conv=nocreat,fsync",
                          check=True)
            with failing(guest, "blk", "vblk_queue_rq", times):
                guest.run(f"dd if=/dev/{name} bs=4k count=512 iflag=direct | cmp - /tmp/w",
                          check=True)
        # Through the page cache: workers of the block layer write it out.
        with failing(guest, "blk", "vblk_queue_rq", 1):
            guest.run(f"tr a-z b-za </tmp/w >/tmp/v && "
                      f"dd if=/tmp/v of=/dev/{name} bs=64k conv=nocreat,fsync", check=True)
        guest.run(f"dd if=/dev/{name} bs=4k count=512 iflag=direct | cmp - /tmp/v", check=True)


def test_disk_attributes(guest):
    """A serial that cannot be asked for, and a cache that cannot be switched, say so."""
    with plugged(guest, "blk") as device:
        name, = device.below("block")
        folder = f"/sys/block/{name}"
        with failing(guest, "blk", "vblk_cmd_alloc", 2):
            done = guest.run(f"cat {folder}/serial")
            assert not done.ok and "Cannot allocate memory" in done.stderr, done
            done = guest.run(f"echo write through >{folder}/cache_type")
            assert not done.ok and "Cannot allocate memory" in done.stderr, done
        assert guest.sh(f"cat {folder}/cache_type") == "write back"
        assert guest.sh(f"cat {folder}/serial") == "virtio-rh-simulated0"
        guest.run(f"echo write through >{folder}/cache_type", check=True)
        assert guest.sh(f"cat {folder}/cache_type") == "write through"


# The network

@contextlib.contextmanager
def network(guest):
    """Two devices plugged into each other, one of them in a name space of its own.

    Yields the commands that show their statistics: what fails is any of the driver's two.
    """
    with plugged(guest, "net", pairs=1) as near, plugged(guest, "net", pairs=1) as far:
        guest.run(f"echo {near.name} {far.name} >{simdev.ROOT}/join", check=True)
        (one,), (other,) = near.below("net"), far.below("net")
        guest.sh(f"ip netns add far && ip link set {other} netns far && "
                 f"ip addr add 10.9.0.1/24 dev {one} && ip link set {one} up && "
                 f"ip -n far addr add 10.9.0.2/24 dev {other} && ip -n far link set {other} up")
        try:
            guest.wait("busybox ping -c 1 -W 1 10.9.0.2", 30)
            yield [f"ethtool -S {one}", f"ip netns exec far ethtool -S {other}"]
        finally:
            guest.sh("ip netns del far")


def counter(guest, shown, name):
    """A statistic of ethtool, summed over the queues of both devices."""
    found = re.findall(rf"^\s+\S*_{name}: (\d+)$", guest.sh("; ".join(shown)), re.M)
    assert found, f"there is no counter {name}"
    return sum(map(int, found))


#: Pings of 64 KiB: fragments that are received, and sent, as fast as they can be.
FLOOD = "for i in {1..40}; do busybox ping -c 1 -W 1 -s 60000 10.9.0.2; done >/dev/null; true"


@pytest.mark.parametrize("function, times", [("vnet_rx_fill", 8), ("vnet_rx_poll", 300)])
def test_network_receives_again(guest, function, times):
    """Buffers and packets that there is no memory for are counted; later ones come.

    Under the poll is the stack's way of a packet too, which asks for memory more often.
    """
    with network(guest) as shown:
        before = counter(guest, shown, "alloc_fail")
        with failing(guest, "net", function, times):
            guest.run(FLOOD, timeout=120, check=True)
        assert counter(guest, shown, "alloc_fail") > before
        guest.wait("busybox ping -c 1 -W 1 -s 60000 10.9.0.2", 30)


#: Takes a connection, and sends back the digest of what came.
SINK = """
import hashlib, socket
end, _ = socket.create_server(("10.9.0.2", 7000)).accept()
digest = hashlib.sha256()
while data := end.recv(65536):
    digest.update(data)
end.sendall(digest.digest())
"""

#: Sends it 2 MiB.
SEND = """
import hashlib, os, socket, sys
end = socket.create_connection(("10.9.0.2", 7000), timeout=100)
data = os.urandom(2097152)
end.sendall(data)
end.shutdown(socket.SHUT_WR)
sys.exit(end.recv(32, socket.MSG_WAITALL) != hashlib.sha256(data).digest())
"""


def test_network_sends_again(guest):
    """Packets of several pieces go without a table of them; nothing is lost."""
    with network(guest) as shown:
        before = counter(guest, shown, "drops")
        sink = guest.start_command(["ip", "netns", "exec", "far", "python3", "-I", "-S", "-c",
                                    SINK], timeout=200)
        guest.wait("ip netns exec far grep -q ':1B58 ' /proc/net/tcp", 30)
        with failing(guest, "net", "vnet_xmit", 8):
            guest.run(["python3", "-I", "-S", "-c", SEND], timeout=120, check=True)
        sink.wait(check=True)
        assert counter(guest, shown, "drops") == before


# Consoles and ports

def test_port_without_buffers(guest):
    """A writer without a buffer hears of it, or gets a smaller one; every byte is sent once."""
    with plugged(guest, "console", ports=4) as device:
        device.act("add value=1 text=org.vrh.echo", f"hostopen value={1 | 1 << 32:#x}",
                   f"echo value={1 | 1 << 32:#x}")
        found = "$(grep -lx org.vrh.echo /sys/class/virtio-ports*/vport*/name)"
        guest.wait(f"test -n \"{found}\"", 30)
        node = guest.sh(f"f={found}; f=${{f%/name}}; echo /dev/${{f##*/}}")
        guest.wait(f"test -c {node}", 30)
        (guest.share / "write.py").write_text(WRITE)
        with failing(guest, "console", "vcon_tx_buf_alloc", 5):
            guest.run(["python3", "-I", "-S", "/share/write.py", node], check=True)
        guest.run(["python3", "-I", "-S", "/share/write.py", node], check=True)


WRITE = """
import errno, os, sys, threading
fd = os.open(sys.argv[1], os.O_RDWR)
data = os.urandom(262144)
def write():
    at = 0
    while at < len(data):
        try:
            at += os.write(fd, data[at:at + 30000])
        except OSError as error:
            if error.errno != errno.ENOMEM:
                raise
writer = threading.Thread(target=write, daemon=True)
writer.start()
got = b""
while len(got) < len(data):
    got += os.read(fd, 65536)
writer.join()
sys.exit(got != data)
"""


@pytest.mark.parametrize("function", ["vcon_port_add", "vcon_rx_start", "vcon_port_set_name"])
def test_port_that_cannot_be_made(guest, function):
    """Whatever a new port lacks, the device works on, and the port comes when it is added again."""
    with plugged(guest, "console", ports=4) as device:
        with failing(guest, "console", function, 1):
            device.act("add value=2 text=org.vrh.late")
        device.act("remove value=2", "add value=2 text=org.vrh.late")
        guest.wait("grep -qx org.vrh.late /sys/class/virtio-ports*/vport*/name", 30)


# The balloon

def test_balloon_reaches_its_target(guest):
    """Pages that there are not now come later, and it is counted how often that was so."""
    with plugged(guest, "balloon") as device:
        path = f"/sys/bus/virtio/devices/{device.device}/vrh/alloc_failed"
        before = int(guest.sh(f"cat {path}"))
        with failing(guest, "balloon", "vbal_inflate", 3):
            device.act("target value=5000")
        host.until(lambda: device.stats()["pages"] == 5000, 60, "5000 pages")
        assert int(guest.sh(f"cat {path}")) > before
        device.act("target value=0")
        host.until(lambda: device.stats()["pages"] == 0, 60, "no page")


# All at once

@pytest.mark.own_guest
@pytest.mark.parametrize("kind", sorted(workout.WORKOUTS))
def test_a_twentieth_of_all_allocations_fails(lab, kind):
    """Under load; nothing hangs, nothing is lost for good, nothing leaks."""
    exercise = workout.WORKOUTS[kind]()
    guest = lab.boot(devices=exercise.parts, mem=1024)
    binding.take(guest, kind, "ours")
    exercise.check(guest)
    with exercise.load(guest), \
            faults.failing(guest, binding.OURS[kind], percent=5) as failed:
        host.until(lambda: failed() >= ENOUGH, 180, f"{ENOUGH} allocations fail", nap=1)
    exercise.check(guest)
