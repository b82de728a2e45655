# SPDX-License-Identifier: GPL-2.0-only
"""Consoles and ports: bytes both ways, who hears of what, and nothing that waits for ever."""

import contextlib
import itertools
import os
import re
import select
import socket
import threading
import time

import pytest

from vrhlab import Console, Port, binding, host, pattern
from vrhlab.devices import Serial

NAME = "org.vrh.port0"
PATIENCE = 60       # seconds; a debug kernel on a busy machine starts Python in ten
MIB = 1 << 20


def some_ports():
    """A console and two ports, on a device that can be reset from sysfs."""
    return [Serial(hotplug=True), Console(), Port(NAME), Port("org.vrh.port1")]


def many_ports(count):
    """COUNT named ports on one controller, the most that it can have."""
    return [Serial(max_ports=count + 1),
            *(Port(f"org.vrh.many{n}", ident=f"many{n}", nr=n + 1) for n in range(count))]


def ready(lab, take, which="ours"):
    """The shared guest, its console device with the driver WHICH."""
    guest = lab.share("console", devices=some_ports, mem=768)
    take(guest, "console", which)
    guest.wait(f"test -c {port_file(guest, NAME)}", timeout=PATIENCE)
    return guest


def sysfs_names(guest):
    """{name: /dev/vportNpM} of all ports that have a name."""
    text = guest.run("grep -H . /sys/class/virtio-ports*/vport*/name").stdout
    return {line.split(":", 1)[1]: "/dev/" + line.split("/")[4] for line in text.splitlines()}


def port_file(guest, name, timeout=60):
    """The device file of the port called NAME, once it is there."""
    return host.until(lambda: sysfs_names(guest).get(name), timeout,
                      lambda: f"port {name}, there are {sysfs_names(guest)}")


def port_of(guest, name=NAME):
    """The Port object called NAME."""
    return next(d for d in guest.devices if isinstance(d, Port) and d.name == name)


def statistics(guest, path):
    """What debugfs says of a port: {line: value}."""
    text = guest.sh("mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug; "
                    f"cat /sys/kernel/debug/virtio_console_rh/*/{path.rsplit('/', 1)[1]}")
    return dict(line.split(": ", 1) if ": " in line else (line.rstrip(":"), "")
                for line in text.splitlines())


def until_more(guest, path, name, than):
    """Waits until a statistic of a port is more than THAN."""
    host.until(lambda: int(statistics(guest, path)[name]) > than, PATIENCE,
               f"{name} of more than {than}")


#: Programs of several tests may run in one guest at a time.
script_numbers = itertools.count(1)


def start_python(guest, program, *arguments, timeout=60):
    """Starts a Python program in the guest."""
    script = guest.share / f"script{next(script_numbers)}.py"
    script.write_text(program)
    return guest.start_command(["python3", "-I", "-S", f"/share/{script.name}", *arguments],
                               timeout=timeout)


def receive(end, count, timeout=120):
    """Exactly COUNT bytes from a socket."""
    data = bytearray()
    end.settimeout(timeout)
    while len(data) < count:
        piece = end.recv(min(MIB, count - len(data)))
        assert piece, f"the port was closed after {len(data)} of {count} bytes"
        data += piece
    return bytes(data)


def receive_until(end, text, timeout=60):
    """Takes bytes from a socket until TEXT has come."""
    data = b""
    end.settimeout(timeout)
    while text not in data:
        piece = end.recv(4096)
        assert piece, f"the port was closed after {data!r}"
        data += piece


def assert_word_arrives(guest, word):
    """What the guest writes to the port comes out at the host."""
    with port_of(guest).connect() as end:
        writer = guest.start_command(f"echo {word} >{port_file(guest, NAME)}")
        assert receive(end, len(word) + 1) == f"{word}\n".encode()
        assert writer.wait().ok


def silent(end, seconds=0.3):
    """True if nothing comes from a socket for some time."""
    return not select.select([end], [], [], seconds)[0]


# -- bytes ------------------------------------------------------------------------------


def test_64_mib_go_both_ways_unchanged(lab, take, driver):
    """Byte for byte, in writes and reads of up to 64 KiB.

    The debug kernel moves 8 MiB, and the in-tree driver, which shows that the test works.
    """
    guest = ready(lab, take, driver)
    path = port_file(guest, NAME)
    data = pattern.data(64 if driver == "ours" and lab.kernel != "debug" else 8)
    (guest.share / "data").write_bytes(data)
    with port_of(guest).connect() as end:
        writer = guest.start_command(f"cat /share/data >{path}", timeout=240)
        assert receive(end, len(data), 240) == data
        assert writer.wait().ok

        reader = start_python(guest, READ_AND_COMPARE, path, str(len(data)), timeout=240)
        guest.wait(f"test -e /share/reading-{os.path.basename(path)}", timeout=PATIENCE)
        end.settimeout(240)
        end.sendall(data)
        assert reader.wait(check=True).stdout.strip() == "-1"
    (guest.share / "data").unlink()
    guest.run("rm -f /share/reading-*")


#: Prints where the first wrong MiB begins, or -1.
READ_AND_COMPARE = pattern.PROGRAM + """
import os, sys
path, count = sys.argv[1], int(sys.argv[2])
port = os.open(path, os.O_RDWR)
open("/share/reading-" + os.path.basename(path), "w").close()
total, wrong, data = 0, -1, bytearray(1 << 20)
while total < count:
    got = 0
    while got < len(data):
        got += os.readv(port, [memoryview(data)[got:got + 65536]])
    if wrong < 0 and data != piece(total >> 20):
        wrong = total
    total += got
print(wrong)
"""


def test_bytes_go_both_ways_at_once(lab, take):
    """An echo in the guest returns 4 MiB of odd-sized pieces in order."""
    guest = ready(lab, take)
    path = port_file(guest, NAME)
    data = os.urandom(4 * MIB)
    with port_of(guest).connect() as end:
        echo = start_python(guest, ECHO, path, str(len(data)), timeout=120)
        guest.wait(f"test -e /share/echo-{os.path.basename(path)}", timeout=PATIENCE)

        def feed():
            view = memoryview(data)
            while view:
                view = view[end.send(view[:4097]):]
        feeder = threading.Thread(target=feed)
        feeder.start()
        assert receive(end, len(data)) == data
        feeder.join()
        assert echo.wait().ok
    guest.run("rm -f /share/echo-*")


ECHO = """
import os, sys
path, count = sys.argv[1], int(sys.argv[2])
fd = os.open(path, os.O_RDWR)
open("/share/echo-" + os.path.basename(path), "w").close()
while count:
    data = os.read(fd, 3001)
    count -= len(data)
    while data:
        data = data[os.write(fd, data):]
"""


def test_sendfile_reaches_the_host(lab, take):
    """A file is spliced into a port."""
    guest = ready(lab, take)
    path = port_file(guest, NAME)
    data = os.urandom(300_001)
    (guest.share / "data").write_bytes(data)
    with port_of(guest).connect() as end:
        sender = start_python(guest, SENDFILE, path)
        assert receive(end, len(data)) == data
        assert sender.wait().ok


SENDFILE = """
import os, sys
src, dst = os.open("/share/data", os.O_RDONLY), os.open(sys.argv[1], os.O_WRONLY)
while os.sendfile(dst, src, None, 1 << 20):
    pass
"""


# -- ports come up ----------------------------------------------------------------------


@pytest.mark.own_guest
@pytest.mark.one_kernel
def test_31_ports_come_up_complete(lab, take):
    """Every port has its name and knows that its host is there, again and again.

    The in-tree driver loses every one of the 31 connections at this number of ports.
    """
    guest = lab.boot(devices=many_ports(31), mem=768)
    # They end with the guest, which is this test's own.
    ends = [device.connect() for device in guest.devices if isinstance(device, Port)]
    names = {f"org.vrh.many{n}" for n in range(31)}
    for _ in range(3):
        moved, = take(guest, "console")
        host.until(lambda: set(sysfs_names(guest)) == names, PATIENCE,
                   lambda: f"31 ports, there are {sysfs_names(guest)}")
        # A write to a port that does not know of its host blocks.
        guest.run("for p in /dev/vport*; do timeout 20 sh -c 'echo $0 >$0' $p || exit 1; done",
                  timeout=120, check=True)
        binding.unbind(guest, moved)
    for end in ends:
        end.close()


def test_ports_are_linked_by_udev_rules(lab, take):
    """The class is the one that our udev rules know; its devices have a name."""
    guest = ready(lab, take)
    classes = guest.sh("ls -d /sys/class/virtio-ports*/vport*/name").split()
    assert len(classes) == 3
    rules = (host.repository() / "packaging/udev/61-virtio-rh.rules").read_text()
    assert {path.split("/")[3] for path in classes} == {"virtio-ports-rh"}
    assert 'SYMLINK+="virtio-ports/$attr{name}"' in rules
    assert guest.sh("cat /sys/bus/virtio/drivers/virtio_console_rh/virtio*/vrh/features"
                    ).startswith("MULTIPORT")


def test_ports_come_and_go_by_qmp_while_open(lab, take):
    """A port is plugged, opened, unplugged: its user gets ENODEV and a hangup at once."""
    guest = ready(lab, take)
    for round_ in range(3):
        port = Port(f"org.vrh.hot{round_}", ident=f"hot{round_}")
        add_chardev(guest, port)
        guest.plug(port)
        path = port_file(guest, port.name)
        with port.connect() as end:
            user = start_python(guest, BLOCKED_READER, path)
            guest.wait(f"test -e /share/reader-{os.path.basename(path)}", timeout=PATIENCE)
            end.sendall(b"bytes")
            guest.wait(f"test -s /share/reader-{os.path.basename(path)}", timeout=PATIENCE)
            guest.qmp.execute("device_del", {"id": port.ident})
            assert user.wait(check=True).stdout.split() == ["bytes", "ENODEV", "POLLHUP", "ENODEV",
                                                            "closed"]
        guest.wait(f"! test -e {path}", timeout=PATIENCE)
        guest.run("rm -f /share/reader-*")
        end_chardev(guest, f"chr-hot{round_}")


def add_chardev(guest, port):
    """Makes the host's end of a port that is to be plugged."""
    port.setup(guest.directory)
    guest.qmp.execute("chardev-add", {"id": f"chr-{port.ident}", "backend": {
        "type": "socket", "data": {"addr": {"type": "unix", "data": {
            "path": str(port.socket)}}, "server": True, "wait": False}}})


BLOCKED_READER = """
import errno, os, select, sys
path = sys.argv[1]
fd = os.open(path, os.O_RDWR)
open("/share/reader-" + os.path.basename(path), "w").close()
poll = select.poll()
poll.register(fd, select.POLLIN)
poll.poll()
print(os.read(fd, 100).decode())
open("/share/reader-" + os.path.basename(path), "w").write("had")
try:
    print("read", os.read(fd, 100))
except OSError as error:
    print(errno.errorcode[error.errno])
events = poll.poll(1000)[0][1]
print("POLLHUP" if events == select.POLLHUP else events)
try:
    print("wrote", os.write(fd, b"x"))
except OSError as error:
    print(errno.errorcode[error.errno])
os.close(fd)
print("closed")
"""


def end_chardev(guest, ident):
    """Removes a chardev, which QEMU frees only after its port is gone for good."""
    for _ in range(50):
        try:
            return guest.qmp.execute("chardev-remove", {"id": ident})
        except Exception:   # still busy
            time.sleep(0.1)
    return None


# -- files ------------------------------------------------------------------------------


def test_poll_tells_of_the_host(lab, take, driver):
    """Hangup while nobody is there, in and out as they come and go."""
    guest = ready(lab, take, driver)
    path = port_file(guest, NAME)
    # What an earlier test has left would let this one run ahead.
    guest.run("rm -f /share/step-* /share/done-*", check=True)
    user = start_python(guest, POLLER, path)
    step = stepper(guest, user)
    step("absent")
    with port_of(guest).connect() as end:
        step("connected")
        end.sendall(b"hello")
        step("data")
        end.sendall(b"last words")
        step("more")
    step("gone")
    step("eof")
    assert user.wait(check=True).stdout == ""


def stepper(guest, user):
    """A function that lets POLLER go on with the state named, and waits until it agrees."""
    def step(name):
        (guest.share / f"step-{name}").touch()
        try:
            guest.wait(f"test -e /share/done-{name}", timeout=PATIENCE)
        except host.LabError:
            user.kill()
            raise AssertionError(f"at step {name}: {user.wait()}")
    return step


POLLER = """
import errno, os, select, sys, time
IN, OUT, HUP = select.POLLIN, select.POLLOUT, select.POLLHUP
RD, WR = select.POLLRDNORM, select.POLLWRNORM
fd = os.open(sys.argv[1], os.O_RDWR | os.O_NONBLOCK)
poll = select.poll()
poll.register(fd, IN | OUT)

def fails(call, name):
    try:
        call()
    except OSError as error:
        assert errno.errorcode[error.errno] == name, errno.errorcode[error.errno]
    else:
        raise AssertionError("did not fail with " + name)

def until(want):
    for _ in range(400):
        events = poll.poll(0)
        have = events[0][1] if events else 0
        if have == want:
            return
        time.sleep(0.1)
    raise AssertionError("events %x, not %x" % (have, want))

def step(name):
    while not os.path.exists("/share/step-" + name):
        time.sleep(0.05)
    globals()[name]()
    open("/share/done-" + name, "w").close()

def absent():
    until(IN | HUP)
    assert os.read(fd, 10) == b""
    fails(lambda: os.write(fd, b"x"), "EAGAIN")
    fails(lambda: os.open(sys.argv[1], os.O_RDWR), "EBUSY")

def connected():
    until(OUT)
    fails(lambda: os.read(fd, 10), "EAGAIN")

def data():
    until(IN | OUT)
    assert os.read(fd, 2) == b"he"
    assert os.read(fd, 10) == b"llo"
    until(OUT)

def more():
    until(IN | OUT)

def gone():
    until(IN | HUP)
    assert os.read(fd, 100) == b"last words"

def eof():
    until(IN | HUP)
    assert os.read(fd, 100) == b""

for name in ("absent", "connected", "data", "more", "gone", "eof"):
    step(name)
"""


def test_writer_waits_for_the_host(lab, take, driver):
    """A blocking write sleeps until somebody connects, a signal ends it before."""
    guest = ready(lab, take, driver)
    path = port_file(guest, NAME)
    impatient = guest.run(f"timeout -s INT 1 sh -c 'echo lost >{path}'")
    assert not impatient.ok
    writer = guest.start_command(f"echo patience >{path}")
    time.sleep(1)
    assert not writer.done()
    with port_of(guest).connect() as end:
        assert receive(end, 9) == b"patience\n"
        assert writer.wait().ok


def test_host_that_does_not_read_stops_the_writer_only(lab, take):
    """A writer fills what there is and sleeps, the host reads on, nothing is lost."""
    guest = ready(lab, take)
    path = port_file(guest, NAME)
    data = os.urandom(8 * MIB)
    (guest.share / "data").write_bytes(data)
    with port_of(guest).connect() as end:
        waits = int(statistics(guest, path)["tx_waits"])
        writer = guest.start_command(f"cat /share/data >{path}", timeout=120)
        until_more(guest, path, "tx_waits", waits)
        assert not writer.done()
        assert receive(end, len(data)) == data
        assert writer.wait().ok


def test_sigio_tells_of_data_and_of_the_host(lab, take, driver):
    """SIGIO comes when somebody connects, sends, and leaves."""
    guest = ready(lab, take, driver)
    path = port_file(guest, NAME)
    guest.run("rm -f /share/sigio-*")
    user = start_python(guest, SIGIO, path)
    guest.wait("test -e /share/sigio-ready", timeout=PATIENCE)
    with port_of(guest).connect() as end:
        guest.wait("test -s /share/sigio-1", timeout=PATIENCE)
        end.sendall(b"x")
        guest.wait("test -s /share/sigio-2", timeout=PATIENCE)
    guest.wait("test -s /share/sigio-3", timeout=PATIENCE)
    assert user.wait().ok


SIGIO = """
import fcntl, os, signal, sys, time
seen = 0
def handler(number, frame):
    global seen
    seen += 1
    open("/share/sigio-%d" % seen, "w").write("x")
signal.signal(signal.SIGIO, handler)
fd = os.open(sys.argv[1], os.O_RDWR | os.O_NONBLOCK)
fcntl.fcntl(fd, fcntl.F_SETOWN, os.getpid())
fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)
open("/share/sigio-ready", "w").close()
end = time.monotonic() + 200
while seen < 3 and time.monotonic() < end:
    time.sleep(0.1)
sys.exit(seen < 3)
"""


def test_close_tells_the_host_and_forgets_the_rest(lab, take):
    """Bytes that were not read before a close are not there after the next open."""
    guest = ready(lab, take)
    path = port_file(guest, NAME)
    with port_of(guest).connect() as end:
        user = start_python(guest, "import os, sys, time\nfd = os.open(sys.argv[1], os.O_RDWR)\n"
                            "open('/share/open', 'w').close()\n"
                            "while os.path.exists('/share/open'):\n    time.sleep(0.1)\n", path)
        guest.wait("test -e /share/open", timeout=PATIENCE)
        received = int(statistics(guest, path)["bytes_received"])
        end.sendall(b"never read")
        until_more(guest, path, "bytes_received", received + 9)
        guest.run("rm /share/open", check=True)
        assert user.wait().ok
        reader = guest.start_command(f"exec 3<{path}; touch /share/open; timeout 20 head -c 5 <&3")
        guest.wait("test -e /share/open", timeout=PATIENCE)
        end.sendall(b"fresh")
        assert reader.wait(check=True).stdout == "fresh"
    guest.run("rm /share/open", check=True)
    stats = statistics(guest, path)
    assert int(stats["bytes_discarded"]) >= 10


# -- consoles ---------------------------------------------------------------------------


def hvc_of(guest):
    """The /dev/hvcN that answers, told by its echo on the host's side."""
    for number in range(4):
        with port_of(guest, "org.vrh.console0").connect() as end:
            done = guest.run(f"timeout 5 sh -c 'echo here >/dev/hvc{number}'")
            if done.ok and not silent(end, 2):
                return f"/dev/hvc{number}"
    raise AssertionError("no console answers")


def test_login_on_a_console(lab, take, driver):
    """A shell on hvc talks to the host, with a controlling terminal and its size."""
    guest = ready(lab, take, driver)
    tty = hvc_of(guest)
    with port_of(guest, "org.vrh.console0").connect() as end:
        shell = guest.start_command(
            f"setsid sh -c 'exec sh -i <{tty} >{tty} 2>&1'", timeout=120)
        end.settimeout(120)
        talk(end, "stty -echoctl")
        assert talk(end, "tty") == tty
        assert talk(end, "echo $((6 * 7))") == "42"
        end.sendall(b"sleep 100\r")
        time.sleep(1)
        end.sendall(b"\x03")
        assert talk(end, "echo interrupted").endswith("interrupted")
        long = talk(end, "seq 1 20000 | tr '\\n' ' '")
        assert [word for word in long.split() if word != "#"] == [
            str(n) for n in range(1, 20001)]
        end.sendall(b"exit\r")
        assert shell.wait().ok


def talk(end, command):
    """Types a command and returns what it printed."""
    mark = f"end{time.monotonic_ns()}"
    half = len(mark) // 2
    end.sendall(f"{command}; echo; echo {mark[:half]}''{mark[half:]}\r".encode())
    text = b""
    while mark.encode() not in text:
        piece = end.recv(65536)
        assert piece
        text += piece
    text = re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", text.decode(errors="replace"))
    lines = text.replace("\r", "").split("\n")
    start = next((n for n, line in enumerate(lines) if f"{mark[:half]}''" in line), 0)
    # The prompt comes behind what was typed if that was quicker.
    return "\n".join(lines[start + 1:lines.index(mark)]).strip().removeprefix("# ")


@pytest.mark.own_guest
def test_printk_goes_to_a_console(lab, take):
    """With console=hvc0 the kernel's log comes out on the host, whole and in order."""
    guest = lab.boot(devices=some_ports(), mem=768, append="console=hvc0")
    lines = [f"vrh line {n} " + "x" * 60 for n in range(500)]
    console = port_of(guest, "org.vrh.console0")
    with console.connect() as end:
        take(guest, "console")
        text = bytearray()
        collect = threading.Thread(target=lambda: drain(end, text, b"vrh the end"))
        collect.start()
        (guest.share / "lines").write_text("\n".join(lines) + "\n")
        guest.run("while read -r l; do echo \"<4>$l\"; done </share/lines >/dev/kmsg", timeout=120)
        guest.run("echo '<4>vrh the end' >/dev/kmsg", check=True)
        collect.join(60)
    seen = re.findall(r"vrh line (\d+) (x+)\r?\n", text.decode(errors="replace"))
    assert [int(n) for n, _ in seen] == list(range(500))
    assert {len(tail) for _, tail in seen} == {60}
    found = next(path for name, path in sysfs_names(guest).items() if "console" in name)
    stats = statistics(guest, found)
    assert stats["is_console"] == "yes"
    assert stats["tx_bytes_lost"] == "0"
    # The in-tree driver needs six for a line.
    assert int(stats["tx_kicks"]) < 2 * 500 + 500


def drain(end, text, until):
    """Collects bytes of a socket in TEXT until UNTIL has come, or a minute is over."""
    deadline = time.monotonic() + 60
    end.settimeout(2)
    while until not in text and time.monotonic() < deadline:
        try:
            text += end.recv(65536)
        except socket.timeout:
            pass


@pytest.mark.own_guest
def test_single_console_without_control_queues(lab, take):
    """A device that is one console and nothing else (no MULTIPORT) works."""
    guest = lab.boot(devices=[Serial(max_ports=1), Console()], mem=512)
    device, = take(guest, "console")
    tty = hvc_of(guest)
    with port_of(guest, "org.vrh.console0").connect() as end:
        guest.run(f"echo greetings >{tty}", check=True)
        receive_until(end, b"greetings")
        reader = guest.start_command(f"exec 3<{tty}; touch /share/open; exec head -n 1 <&3")
        guest.wait("test -e /share/open", timeout=PATIENCE)
        end.sendall(b"answer\r")
        assert "answer" in reader.wait(check=True).stdout
    binding.unbind(guest, device)
    # Ports only, of a device that has none: refused, and the in-tree driver takes it.
    guest.run("modprobe -r virtio_console_rh", check=True)
    guest.modprobe("virtio_console_rh", "hvc=0")
    assert not binding.bind(guest, device, "virtio_console_rh")
    take(guest, "console", "in-tree")
    assert hvc_of(guest)


# -- coming and going -------------------------------------------------------------------


def test_module_leaves_and_the_in_tree_driver_takes_over(lab, take):
    """Unbind, unload, in-tree; and back. A busy port and a busy console hold the module."""
    guest = ready(lab, take)
    path = port_file(guest, NAME)
    for held in (path, hvc_of(guest)):
        guest.run(f"exec 3<>{held}; ! rmmod virtio_console_rh", check=True)
    guest.wait("rmmod virtio_console_rh", timeout=PATIENCE)
    for _ in range(3):
        take(guest, "console", "in-tree")
        assert_word_arrives(guest, "in-tree")
        take(guest, "console", "ours")
        assert_word_arrives(guest, "ours")
        moved, = binding.devices(guest, "console")
        binding.unbind(guest, moved)
        guest.run("rmmod virtio_console_rh", check=True)


def test_function_reset_is_survived(lab, take):
    """FLRs from sysfs: kernels that tell the driver go on, with port and console open.

    On others the device is silent, and unbinding it ends in bounded time.
    """
    guest = ready(lab, take)
    path = port_file(guest, NAME)
    device, = binding.devices(guest, "console")
    told = binding.told_of_resets(guest)
    reset = f"echo 1 >/sys/bus/pci/devices/{device.pci}/reset"
    if not told:
        assert guest.run(reset, timeout=60).ok
        gone = guest.run(f"echo {device.name} >/sys/bus/virtio/drivers/virtio_console_rh/unbind",
                         timeout=90)
        assert gone.ok and gone.seconds < 60, gone
        assert binding.bind(guest, device, "virtio_console_rh")
        assert_word_arrives(guest, "after")
        return

    tty = hvc_of(guest)
    with port_of(guest).connect() as end, port_of(guest, "org.vrh.console0").connect() as console:
        # Two programs that stay: one answers each line on the port, one on the console.
        answer = "while read -r line; do echo answer to $line; done"
        on_port = guest.start_command(f"exec 3<>{path}; echo ready >&3; {answer} <&3 >&3",
                                      timeout=300)
        on_tty = guest.start_command(f"exec 3<>{tty}; stty -echo <&3; echo ready >&3; "
                                     f"{answer} <&3 >&3", timeout=300)
        receive_until(end, b"ready")
        receive_until(console, b"ready")
        for turn in range(3):
            guest.run(reset, timeout=60, check=True)
            end.sendall(b"%d\n" % turn)
            receive_until(end, b"answer to %d" % turn)
            console.sendall(b"%d\r" % turn)
            receive_until(console, b"answer to %d" % turn)
        for program in (on_port, on_tty):
            assert not program.done()
            program.kill(9)
            program.wait()


def test_function_reset_beside_unbinding(lab, take):
    """Resets while the device changes hands all the time: it works afterwards."""
    guest = ready(lab, take)
    device, = binding.devices(guest, "console")
    # The core's reset_done sets status bits beside an unbind that has just cleared them.
    for line in (r"virtio_dev_remove", r"Call Trace"):
        guest.allow(line, reason="the core warns of a status that the core itself has set")
    # Within a reset the device shows no features: then it cannot be bound, and is tried again.
    loop = guest.start_command(
        "cd /sys/bus/virtio/drivers/virtio_console_rh; exec {nap}<> <(:); "
        f"for ((i = 0; i < 40; i++)); do echo {device.name} >unbind; echo {device.name} >bind; "
        "read -rt 0.03 -u $nap; done; true", timeout=200)
    resets = 0
    while not loop.done():
        resets += guest.run(f"echo 1 >/sys/bus/pci/devices/{device.pci}/reset", timeout=90).ok
    loop.wait(check=True)
    assert resets > 5
    guest.run(f"cd /sys/bus/virtio/drivers/virtio_console_rh; echo {device.name} >unbind; "
              f"echo {device.name} >bind", check=True)
    assert_word_arrives(guest, "after")


@pytest.mark.own_guest
@pytest.mark.one_kernel
def test_suspend_keeps_unread_bytes(lab, take, root_disk):
    """Devices are frozen and restored as for a suspend; a port goes on as if nothing was."""
    guest = lab.boot_from(root_disk, devices=some_ports())
    take(guest, "console")
    path = port_file(guest, NAME)
    tty = hvc_of(guest)
    with port_of(guest).connect() as end:
        user = start_python(guest, SLEEPER, path, timeout=120)
        guest.wait("test -e /tmp/sleeper", timeout=PATIENCE)
        guest.prepare_suspend()
        end.sendall(b"before")
        time.sleep(0.5)
        guest.suspend()
        guest.run("rm /tmp/sleeper", check=True)
        assert receive(end, 5) == b"after"
        end.sendall(b"again")
        assert user.wait(check=True).stdout.split() == ["before", "again"]
    with port_of(guest, "org.vrh.console0").connect() as end:
        for _ in range(3):
            guest.suspend()
            guest.run(f"echo awake >{tty}", check=True)
            receive_until(end, b"awake")


@pytest.mark.own_guest
@pytest.mark.one_kernel
def test_ports_unplugged_while_suspended_go_away(lab, take, root_disk):
    """What the host takes away, or replaces, between freeze and restore is gone afterwards."""
    guest = lab.boot_from(root_disk, devices=[*some_ports(), Port("org.vrh.port2")])
    take(guest, "console")
    stays, *going = (port_of(guest, f"org.vrh.port{n}") for n in (1, 0, 2))
    paths = {port: port_file(guest, port.name) for port in (stays, *going)}
    told = ["bytes", "ENODEV", "POLLHUP", "ENODEV", "closed"]
    other = Port("org.vrh.other", ident="other")
    add_chardev(guest, other)
    with contextlib.ExitStack() as stack:
        ends = [stack.enter_context(port.connect()) for port in paths]
        users = {port: start_python(guest, BLOCKED_READER, path, timeout=120)
                 for port, path in paths.items()}
        for path in paths.values():
            guest.wait(f"test -e /share/reader-{os.path.basename(path)}", timeout=PATIENCE)
        for end in ends:
            end.sendall(b"bytes")
        for path in paths.values():
            guest.wait(f"test -s /share/reader-{os.path.basename(path)}", timeout=PATIENCE)
        guest.prepare_suspend()
        guest.sh("echo 5 >/sys/module/suspend/parameters/pm_test_delay")
        suspended = guest.start_suspend()
        host.until(lambda: not opened_by_guest(guest, going[0]), PATIENCE,
                   "the device is reset", nap=0.05)
        for port in going:
            guest.qmp.execute("device_del", {"id": port.ident})
        guest.plug(other)           # takes the lowest number that is free
        assert not suspended.done()
        suspended.wait(check=True)
        for port in going:
            assert users[port].wait(check=True).stdout.split() == told
        assert port_file(guest, other.name, PATIENCE) == paths[going[0]]
        assert sysfs_names(guest).keys() == {"org.vrh.console0", stays.name, other.name}
        guest.wait(f"! test -e {paths[going[1]]}", timeout=PATIENCE)
        guest.qmp.execute("device_del", {"id": stays.ident})
        assert users[stays].wait(check=True).stdout.split() == told


def opened_by_guest(guest, port):
    """Does the host believe that a program in the guest has the port open?"""
    return next(found["frontend-open"] for found in guest.qmp("query-chardev")
                if found["label"] == f"chr-{port.ident}")


SLEEPER = """
import os, sys, time
fd = os.open(sys.argv[1], os.O_RDWR)
open("/tmp/sleeper", "w").close()
while os.path.exists("/tmp/sleeper"):
    time.sleep(0.2)
print(os.read(fd, 6).decode())
os.write(fd, b"after")
print(os.read(fd, 5).decode())
"""
