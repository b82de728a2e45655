# SPDX-License-Identifier: GPL-2.0-only
"""Runs in a guest: a simulated device lies to a driver at work, step by step.

/share/meet.json says what device, what driver, what lies (see vrhlab/table.py). What happens
goes to /share/met as JSON lines at once, as the guest may not live to the end:

    {"step": "unplug", "seconds": 60}       begins; nobody should wait longer for it
    {"more": "unplug", "seconds": 60}       it has not ended, but tasks move: as long again
    {"stuck": "unplug", "where": [...]}     it did not end; where tasks wait
    {"error": "unplug", "text": "..."}      it failed
    {"moved": 17, "errors": 0, ...}         what the programs that use the device have seen;
                                            "waiting": of them, those that saw nothing at all
    {"declined": true}                      the driver does not take the feature that it is about
    {"counted": {...}, "messages": [...]}   what the driver has; "parting": messages at the end
    {"end": true}                           all steps were done
"""

import glob
import json
import mmap
import os
import random
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

ROOT = "/sys/kernel/debug/vrh_simdev"
MODULES = "/sys/bus/virtio/drivers"

#: Bounds in seconds. virtio_blk_rh waits 30 s for a host that does not answer at a removal;
#: nothing else waits longer. The rest is for a slow machine.
QUICK, USUAL, PATIENT = 30, 45, 75

#: For so long what has taken its time is watched: does it stand still?
WATCH = 5

#: Counters that tell of something wrong, by their names in ethtool, sysfs or debugfs.
TELLS = re.compile(r"(?<![a-z])(err|late)|drop|bad|broken|short|too_|missing|timeout|fail|"
                   r"unknown|lost|clamped|empty|stall|floor|discard")

#: Protocol number of the frames that go out and come back: for local experiments.
ETHERTYPE = 0x88b5


def say(**what):
    """A line to the host, with the time for those who wonder why it takes so long."""
    os.write(OUT, json.dumps({**what, "at": round(time.monotonic(), 1)}).encode() + b"\n")


def read(path):
    """A small file, or nothing."""
    try:
        with open(path, encoding="utf-8", errors="replace") as source:
            return source.read()
    except OSError:
        return ""


def write(path, text):
    """A file of the kernel: one write."""
    handle = os.open(path, os.O_WRONLY)
    try:
        os.write(handle, text.encode())
    finally:
        os.close(handle)


class Stuck(Exception):
    """A step that does not end."""


def stat(path):
    """(name, fields from the state on) of a task by its directory in /proc."""
    name, _, rest = read(f"{path}/stat").partition("(")[2].rpartition(") ")
    return name, rest.split()


def standing(task):
    """["name: functions"] of TASK of this program, and of tasks that nothing can wake.

    The functions are those of the kernel in which they wait, the innermost first.
    """
    found = set()
    for path in glob.glob("/proc/[0-9]*/task/[0-9]*"):
        name, fields = stat(path)
        if fields and (fields[0] == "D" or path.endswith(f"/{task}")):
            where = re.findall(r"\] ([\w.]+)\+", read(f"{path}/stack"))
            found.add(f"{name}: {' < '.join(where[:6])}")
    return sorted(found)


def spent(task):
    """Processor time of TASK of this program outside the kernel, and of what it has started."""
    ticks = stat(f"/proc/self/task/{task}")[1][11:12]
    for path in glob.glob("/proc/[0-9]*"):
        fields = stat(path)[1]
        if (len(fields) > 12 and fields[1] == str(os.getpid())
                and int(os.path.basename(path)) not in ASIDE):
            ticks += fields[11:13]
    return ticks


def step(name, seconds, work):
    """Does WORK in a thread, for SECONDS at most: its value, or None if it failed.

    A guest may be slow, as its machine has others: when the time is up and the step does not stand
    still, it is given once more.
    """
    seconds += PATIENCE
    say(step=name, seconds=seconds)
    done = {}

    def run():
        done["task"] = threading.get_native_id()
        try:
            done["value"] = work()
        except Exception as error:      # whatever it was: the host is told
            done["error"] = f"{type(error).__name__}: {error}"
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        task = done.get("task")
        before = standing(task), spent(task)
        thread.join(WATCH)
        if thread.is_alive() and (standing(task), spent(task)) != before:
            say(more=name, seconds=seconds)
            thread.join(seconds)
    if thread.is_alive():
        say(stuck=name, where=standing(done.get("task"))[:5])
        raise Stuck(name)
    if "error" in done:
        say(error=name, text=done["error"])
    return done.get("value")


def wait(condition, seconds):
    """True as soon as CONDITION() is; False after SECONDS."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


# Programs that use the device. Each has a tally of its own in memory that all share.

class Tally:
    """What the programs have done: moved, errors, wrong, one of each for each program."""

    NAMES = ("moved", "errors", "wrong")

    def __init__(self, programs):
        self.memory = mmap.mmap(-1, 4096)
        self.programs = programs

    def add(self, program, name):
        """One more."""
        at = 64 * program + 8 * self.NAMES.index(name)
        value, = struct.unpack_from("Q", self.memory, at)
        struct.pack_into("Q", self.memory, at, value + 1)

    def each(self):
        """[{name: value}] of each program."""
        return [{name: struct.unpack_from("Q", self.memory, 64 * program + 8 * number)[0]
                 for number, name in enumerate(self.NAMES)} for program in range(self.programs)]

    def sums(self):
        """{name: of all programs}."""
        each = self.each()
        return {name: sum(program[name] for program in each) for name in self.NAMES}


def use_blk(device, told, number):
    """Writes a block, reads it again; all past the page cache."""
    out, back = mmap.mmap(-1, 4096), mmap.mmap(-1, 4096)
    disk = None
    at = 65536 * (number + 1)
    while True:
        try:
            if disk is None:
                name, = os.listdir(f"{device}/block")
                disk = os.open(f"/dev/{name}", os.O_RDWR | os.O_DIRECT)
            out[:] = os.urandom(4096)
            whole = os.pwritev(disk, [out], at) == os.preadv(disk, [back], at) == 4096
            # One program only: others that flush meanwhile would wait and have nothing in flight.
            if not number and not random.randrange(4):
                os.fsync(disk)
            told("errors" if not whole else "moved" if out[:] == back[:] else "wrong")
        except (OSError, ValueError):
            told("errors")
            if disk is not None:
                os.close(disk)
            disk = None
            time.sleep(0.1)


def use_net(device, told, number):
    """Sends frames and waits until the device has sent them back."""
    wire = None
    while True:
        try:
            if wire is None:
                name, = os.listdir(f"{device}/net")
                wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE))
                wire.bind((name, ETHERTYPE))
            ours = {}
            for _ in range(8):
                key = os.urandom(8)
                ours[key] = (b"\xff" * 6 + b"\x02vrh.." + struct.pack("!H", ETHERTYPE) + key
                             + bytes(random.randrange(46, 1400)))
                wire.send(ours[key])
            end = time.monotonic() + 1
            while ours and time.monotonic() < end:
                if not select.select([wire], [], [], 0.2)[0]:
                    continue
                frame = wire.recv(70000)
                sent = ours.pop(frame[14:22], None)
                if sent is not None:
                    told("moved" if frame == sent else "wrong")
            time.sleep(0.02)
        except (OSError, ValueError):
            told("errors")
            if wire is not None:
                wire.close()
            wire = None
            time.sleep(0.1)


def ready(port, event, seconds=1.0):
    """True if a port can be read or written; an error if the host has closed it."""
    poll = select.poll()
    poll.register(port, event)
    events = dict(poll.poll(int(seconds * 1000))).get(port, 0)
    if events & (select.POLLHUP | select.POLLERR) and not events & event:
        time.sleep(0.1)
        raise OSError("closed")
    return bool(events & event)


def use_console(device, told, number):
    """Writes to a port whose host echoes, and reads the same."""
    port = None
    node = "/dev/vport" + re.search(r"\d+$", device)[0] + "p1"
    while True:
        try:
            if port is None:
                port = os.open(node, os.O_RDWR | os.O_NONBLOCK)
            data, got = os.urandom(400), b""
            if not ready(port, select.POLLOUT):
                continue
            os.write(port, data)
            while len(got) < len(data) and ready(port, select.POLLIN):
                piece = os.read(port, 4096)
                if not piece:
                    raise OSError("closed")
                got += piece
            if got == data:
                told("moved")
                time.sleep(0.01)
                continue
            told("wrong")
            while ready(port, select.POLLIN, 0.2) and os.read(port, 65536):
                pass            # what came late belongs to nobody
        except (OSError, ValueError):
            told("errors")
            if port is not None:
                os.close(port)
            port = None
            time.sleep(0.1)


def use_balloon(device, told, number):
    """Inflates and deflates; free memory comes and goes meanwhile."""
    while True:
        for target in (1500, 300):
            try:
                write(f"{SIM}/script", f"target value={target}")
                for _ in range(100):
                    time.sleep(0.05)
                    if f"\npages: {target}\n" in read(f"{SIM}/stats"):
                        told("moved")
                        break
                bytearray(8 << 20)
                write(f"{SIM}/script", "poll")
            except (OSError, ValueError):
                pass            # no poll is due
        if not read(f"{SIM}/stats"):
            told("errors")
            time.sleep(0.1)


#: How many programs use a device of each type.
USES = {"blk": (use_blk, 4), "net": (use_net, 1), "console": (use_console, 1),
        "balloon": (use_balloon, 1)}


class Case:
    """A device, its driver, and the lies."""

    def __init__(self, order):
        self.order, self.kind, self.driver = order, order["kind"], order["driver"]
        self.use, count = USES[self.kind]
        self.tally = Tally(count)
        self.programs = []
        self.background = []        # commands of the case that may take their time
        self.device = self.name = None
        self.slow = 0               # seconds that the first data took
        self.log = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self.log, 0, os.SEEK_END)

    def make(self):
        """Makes the device; no driver takes it yet."""
        global SIM
        if self.kind == "net":      # nobody else shall send anything
            write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1")
        write("/sys/bus/virtio/drivers_autoprobe", "0")
        write(f"{ROOT}/create", self.order["create"])
        SIM, = glob.glob(f"{ROOT}/sim*")
        self.name = re.search(r"^device: (\S+)", read(f"{SIM}/stats"))[1]
        self.device = f"/sys/bus/virtio/devices/{self.name}"

    def bind(self):
        """Gives it to the driver, and makes it ready for the programs."""
        write(f"{MODULES}/{self.driver}/bind", self.name)
        if self.kind == "net":
            name, = os.listdir(f"{self.device}/net")
            subprocess.run(["ip", "link", "set", name, "up"], check=True)
        if self.kind == "console":
            node = "/dev/vport" + re.search(r"\d+$", self.device)[0] + "p1"
            wait(lambda: os.path.exists(node), 5)

    def start(self):
        """Starts the programs."""
        for number in range(self.tally.programs):
            child = os.fork()
            if not child:
                try:
                    self.use(self.device, lambda what: self.tally.add(number, what), number)
                finally:
                    os._exit(1)
            self.programs.append(child)
            ASIDE.add(child)

    def in_background(self, command):
        """Runs a shell command whose end nobody waits for now."""
        environment = {**os.environ, "DEVICE": self.device, "SIM": SIM}
        self.background.append(subprocess.Popen(command, shell=True, env=environment,
                                                stdout=subprocess.DEVNULL,
                                                stderr=subprocess.DEVNULL,
                                                start_new_session=True))
        ASIDE.add(self.background[-1].pid)

    def line(self, line):
        """Does one line: an action of the device, or "!sleep N", or "!COMMAND"."""
        if line.startswith("!sleep "):
            time.sleep(float(line[7:]))
        elif line.startswith("!"):
            self.in_background(line[1:])
        else:
            write(f"{SIM}/script", line)

    def counters(self):
        """{name: value} of what the driver counts when something is wrong."""
        found = {}
        texts = {}
        for path in (*glob.glob(f"{self.device}/vrh/*"),
                     *glob.glob(f"{self.device}/net/*/statistics/*")):
            texts[path] = f"{os.path.basename(path)}: {read(path)}"
        for path in (*glob.glob(f"/sys/kernel/debug/{self.driver}/{self.name}/*"),
                     *glob.glob("/sys/kernel/debug/virtio-ports/*")):
            texts[path] = read(path)
        for path in glob.glob(f"{self.device}/net/*"):
            texts[path] = subprocess.run(["ethtool", "-S", os.path.basename(path)],
                                         capture_output=True, text=True).stdout
        for path, text in texts.items():
            for name, value in re.findall(r"^\s*(\w+): (\d+)\s*$", text, re.MULTILINE):
                if TELLS.search(name):
                    found[f"{os.path.basename(os.path.dirname(path))}/{name}"] = int(value)
        return found

    def messages(self):
        """Warnings and errors that the kernel has logged about the device."""
        found = []
        while True:
            try:
                record = os.read(self.log, 8192).decode(errors="replace")
            except BlockingIOError:
                return found
            except OSError:
                continue        # overwritten before it was read
            head, _, text = record.partition(";")
            text = text.splitlines()[0]
            if int(head.split(",")[0]) & 7 <= 4 and re.search(
                    rf"{self.name}\b|virtio_{self.kind}|\bvd[a-z]\b|\bvport\d|\beth\d", text):
                found.append(text)

    def stats(self):
        """The device's own statistics."""
        return dict(re.findall(r"^([\w-]+): (.*)$", read(f"{SIM}/stats"), re.MULTILINE))

    def first(self):
        """Waits for the first data: whether there was any, and says so."""
        begun = time.monotonic()
        moves = wait(lambda: self.tally.sums()["moved"] >= 3, QUICK)
        # A guest that needs long for this needs as much longer for the rest.
        self.slow = time.monotonic() - begun
        say(first=moves)

    def settle(self):
        """What becomes of the device once it has lied: does data move, for all programs?"""
        before, sums = self.tally.each(), self.tally.sums()

        def idle():
            return sum(now == then for now, then in zip(self.tally.each(), before))
        wait(lambda: self.tally.sums()["moved"] >= sums["moved"] + 3 and not idle(),
             max(self.order["settle"], min(10 * self.slow, QUICK)))
        after = self.tally.sums()
        say(works=after["moved"] >= sums["moved"] + 3, waiting=idle(), moved=after["moved"],
            **{name: after[name] - sums[name] for name in ("errors", "wrong")},
            wrong_ever=after["wrong"], errors_ever=after["errors"])

    def finish(self):
        """Ends the programs."""
        for child in self.programs:
            os.kill(child, signal.SIGKILL)
        for process in self.background:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        for child in self.programs:
            os.waitpid(child, 0)
        for process in self.background:
            process.wait()

    def declined(self):
        """Has the driver not taken a feature that the lie needs?"""
        taken = read(f"{self.device}/features").strip()
        return any(taken[bit:bit + 1] != "1" for bit in self.order["needs"])

    def unload(self):
        """Unloads the driver; who has just gone may hold it for a moment."""
        module = f"/sys/module/{self.driver}"

        def unloaded():
            subprocess.run(["rmmod", self.driver], stderr=subprocess.DEVNULL)
            return not os.path.exists(module)
        if not wait(unloaded, 10):
            raise OSError(f"it has {read(f'{module}/refcnt').strip()} users")

    def run(self):
        """All of it."""
        order = self.order
        step("modprobe", USUAL, lambda: subprocess.run(["modprobe", self.driver], check=True))
        step("make", QUICK, self.make)
        for line in order["before"]:
            step(line, QUICK, lambda text=line: self.line(text))
        step("bind", PATIENT, self.bind)
        taken = os.path.exists(f"{self.device}/driver")
        if not taken:
            say(refused=True)
        elif self.declined():
            say(declined=True)
            self.meet([])
        else:
            self.meet(order["lines"])
        say(messages=self.messages(), stats=step("stats", QUICK, self.stats))
        if taken and order["unbind"]:
            step("unbind", PATIENT, lambda: write(f"{MODULES}/{self.driver}/unbind", self.name))
            say(stats=step("stats", QUICK, self.stats))
        how = "surprise" if order["surprise"] else "orderly"
        step("unplug", PATIENT, lambda: write(f"{ROOT}/remove", f"{SIM[len(ROOT) + 1:]} {how}"))
        step("programs", QUICK, self.finish)
        # A file that was open keeps the module until its last user is gone.
        step("rmmod", USUAL, self.unload)

    def meet(self, lines):
        """The device and its driver at work."""
        order = self.order
        if order["load"]:
            self.start()
            step("first", USUAL, self.first)
        # Lies about the probe have been counted by now.
        before = {} if order["lied"] else step("counters", USUAL, self.counters) or {}
        for line in lines:
            step(line, USUAL, lambda text=line: self.line(text))
        time.sleep(order["seconds"] if lines else 0)
        if not order["load"]:
            self.start()
        step("settle", USUAL, self.settle)
        now = step("counters", USUAL, self.counters) or {}
        say(counted={name: value - before.get(name, 0) for name, value in now.items()
                     if value > before.get(name, 0)})


def main():
    """Reads the order and obeys."""
    global PATIENCE
    with open("/share/meet.json", encoding="utf-8") as source:
        order = json.load(source)
    PATIENCE = order["patience"]
    case = Case(order)
    try:
        case.run()
    except Stuck:
        pass
    say(parting=case.messages())
    say(end=True)
    # Threads that are stuck in the kernel would keep an ordinary exit waiting.
    os._exit(0)


SIM, PATIENCE = None, 0
ASIDE = set()       # processes that no step waits for
OUT = os.open("/share/met", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
sys.stdout.flush()
main()
