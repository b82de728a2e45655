# SPDX-License-Identifier: GPL-2.0-only
"""A guest: boots, runs commands through its agent, answers for its health.

    with Guest(kernel="6.12", devices=[Disk(queues=2)]) as g:
        g.modprobe("virtio_blk_rh")
        print(g.run("lsblk").stdout)

On leaving, the console is judged (verdict.py); an unhealthy kernel raises GuestUnhealthy
with the console in it.
"""

import contextlib
import dataclasses
import itertools
import json
import queue
import shlex
import shutil
import socket
import threading
import time

from . import build, coverage, devices, host, initramfs, kernels, packages, qemu, verdict
from .qmp import QMP, QMPError


#: The watchdogs' bounds are three times the usual: a guest under TCG stands still while the
#: machine is busy with others, and a real stall has no end. For the same reason no_timer_check
#: (as KVM guests have it by themselves): else "IO-APIC + timer doesn't work!" now and then.
COMMAND_LINE = ("console=ttyS0 panic=-1 loglevel=7 mitigations=off net.ifnames=0 "
                "printk.devkmsg=on random.trust_cpu=on no_timer_check watchdog_thresh=30 "
                "rcupdate.rcu_cpu_stall_timeout=60 workqueue.watchdog_thresh=90")


class GuestDied(host.LabError):
    """The guest or its agent is gone; the message has the end of the console."""


class GuestUnhealthy(host.LabError):
    """The guest's kernel printed something that a healthy one never does."""


class CommandFailed(host.LabError):
    """A command in the guest failed and the caller had asked for success."""


@dataclasses.dataclass(frozen=True)
class Result:
    """What a command in the guest gave."""

    command: object
    status: int | None  #: exit status, negative signal, None if it cannot be killed
    stdout: str
    stderr: str
    seconds: float
    timeout: bool       #: it was ended because its time was up

    @property
    def ok(self):
        """True if it ended by itself with status 0."""
        return self.status == 0 and not self.timeout

    def __str__(self):
        how = "timed out" if self.timeout else f"status {self.status}"
        return f"{self.command}: {how} after {self.seconds:.1f} s\n{self.stdout}{self.stderr}"


class Running:
    """A command that runs in the guest in the background."""

    def __init__(self, guest, ident, command, timeout):
        self._guest, self._ident, self._timeout = guest, ident, timeout
        self.command = command

    def done(self):
        """True if its answer is there."""
        return not self._guest._answers[self._ident].empty()

    def wait(self, check=False):
        """Waits for its end (bounded by its timeout) and returns the Result."""
        return self._guest._collect(self._ident, self.command, self._timeout, check)

    def kill(self, signal=15):
        """Sends a signal to its process group."""
        self._guest._request({"kill": self._ident, "signal": signal})


class Guest:
    """A guest on kernel KERNEL; see README.md for what a guest is made of.

    `built` is a build.Build (the modules of a tree), or None for the stock modules only.
    `early` are modules that the initramfs loads; `root` is "9p", a block device, or "ram" for one
    in `initrd`; `incoming` is a file that save() has made of a guest like this one.
    """

    boot_seconds = 180  #: bound on booting; the debug kernel gets twice that

    #: Boots before the failure of one is believed: QEMU with a thread for each processor loses
    #: a guest now and then, whose kernel then waits for an interrupt or for the other processor.
    tries = 2

    def __init__(self, kernel="6.12", built=None, smp=2, mem=1024, devices=(), append="",
                 early=(), root="9p", cpu=None, machine="q35", extra=(), allowed=(),
                 slot=True, initrd=None, incoming=None, accel=None):
        self.kernel = kernels.get(kernel)
        self.built = built or build.stock(kernel)
        self.smp, self.mem, self.cpu, self.machine, self.accel = smp, mem, cpu, machine, accel
        self.devices = list(devices)
        self.append, self.early, self.root = append, tuple(early), root
        self.extra = list(extra)
        self.allowed = list(allowed)
        self.initrd, self.incoming = initrd, incoming
        self.slot = slot        # False: who makes it has a guest slot for it
        self.directory = self.share = self.qmp = self.process = None
        self._judged = 0        # bytes of the console that were judged already
        self._answers = {}
        self._hello = queue.Queue()
        self._ids = itertools.count(1)
        self._dead = threading.Event()
        self.retries = 0        #: boots that failed before this one
        self._cleanup = contextlib.ExitStack()

    # -- life -------------------------------------------------------------------------

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self._cleanup.close()
            raise
        return self

    def __exit__(self, kind, error, trace):
        try:
            if kind is None:
                self.check_leaks()
        finally:
            self.stop()
        if kind is None or not issubclass(kind, (GuestDied, GuestUnhealthy)):
            self.assert_healthy()

    def start(self):
        """Boots; returns when the agent answers."""
        while True:
            try:
                self._start()
                return
            except GuestDied as error:
                if self.incoming or self.retries + 1 >= self.tries or self._had_its_chance():
                    raise
                self.retries += 1
                host.say(f"{self.kernel.release} did not boot, try {self.retries + 1} of "
                         f"{self.tries}: {error}")
            self._cleanup.close()
            self._dead.clear()
            while not self._hello.empty():      # the end of the one that died
                self._hello.get()

    def _had_its_chance(self):
        """True if user space, or a module, may be why a boot has failed: it is not tried again."""
        return "Run /init as init process" in self.console()

    def _start(self):
        packages.ensure(packages.GUEST, "guests")
        if self.slot:
            self._cleanup.enter_context(host.guest_slot())
        self.directory = self._make_directory()
        self._cleanup.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self.share = self.directory / "share"
        self.share.mkdir()
        namespace = self._set_up_devices()
        words = self._words()
        (self.directory / "qemu.txt").write_text(shlex.join(words) + "\n")
        self._cleanup.callback(self._end_process)
        begun = time.monotonic()
        self._boot(words, namespace)
        self.booted = time.monotonic() - begun

    def _make_directory(self):
        """The directory for all files and sockets of the guest."""
        return host.make_directory()

    def _launch(self, words, namespace):
        """Starts QEMU."""
        with open(self.directory / "qemu.log", "wb") as log:
            self.process = qemu.start(words, log, namespace)

    def _boot(self, words, namespace):
        """Starts QEMU and waits for the agent."""
        self._launch(words, namespace)
        self._connect()
        if self.incoming:
            self._go_on()
            return
        limit = self.boot_seconds * (2 if self.kernel.debug else 1)
        try:
            self._hello.get(timeout=limit)
        except queue.Empty:
            raise GuestDied(f"{self.kernel.release} did not boot within {limit} s\n"
                            f"{self._tail()}")
        if self._dead.is_set():
            raise GuestDied(f"{self.kernel.release} died while it booted\n{self._tail()}")

    def _go_on(self):
        """Waits for the state that QEMU reads, and for the agent in it."""
        try:
            host.until(lambda: self.qmp("query-status")["status"] != "inmigrate", 120,
                       "the guest's state is read")
            self.qmp("cont")
        except QMPError as error:
            raise self._refused(error)
        if not self.run("true").ok:
            raise GuestDied(f"{self.kernel.release}: the agent does not go on\n{self._tail()}")

    def save(self, path, timeout=120):
        """Stops the guest and writes its memory and devices to the file PATH; it does not go on."""
        self.qmp("stop")
        self.qmp("migrate", uri=f"file:{path}")

        def ended():
            state = self.qmp("query-migrate").get("status")
            if state in ("failed", "cancelled"):
                raise QMPError(f"migrate: {self.qmp('query-migrate').get('error-desc', state)}")
            return state == "completed"
        host.until(ended, timeout, "the guest's state is saved")

    def _set_up_devices(self):
        namespace = None
        for device in self.devices:
            if not isinstance(device, devices.Device):
                continue
            if isinstance(device, devices.TapNet):
                if namespace is None:
                    namespace = qemu.make_namespace()
                    self._cleanup.callback(qemu.remove_namespace, namespace)
                device.namespace = namespace
            device.setup(self.directory)
            self._cleanup.callback(device.cleanup)
        return namespace

    def _words(self):
        initrd = self.initrd or initramfs.common(self.built)
        if self.early:
            initrd = initramfs.with_modules(self.built, self.early, self.directory / "initrd")
        command_line = f"{COMMAND_LINE} vrh.root={self.root} "
        command_line += ("kunit.enable=1 " if self.kernel.debug else "") + self.append
        return [*qemu.machine(self.smp, self.mem, self.cpu, self.machine, self.accel),
                "-kernel", str(self.kernel.vmlinuz), "-initrd", str(initrd),
                "-append", command_line.strip(),
                "-chardev", f"file,id=console,path={self.directory}/console",
                "-device", "isa-serial,chardev=console",
                "-chardev", self._channel("agent"), "-device", "isa-serial,chardev=agent",
                "-chardev", self._channel("qmp"), "-mon", "chardev=qmp,mode=control",
                *qemu.shares("/" if self.root == "9p" else None,
                             self.built.directory.parent, self.share),
                *qemu.device_words(self.devices), *self.extra,
                *(["-incoming", f"file:{self.incoming}"] if self.incoming else [])]

    def _channel(self, name):
        """QEMU's argument for the channel NAME, whose other end _socket() has."""
        return f"socket,id={name},path={self.directory}/{name},server=on,wait=off"

    def _connect(self):
        """Connects to QEMU's sockets once they are there."""
        try:
            self.qmp = QMP(self._socket("qmp"))
        except QMPError as error:
            raise self._refused(error)
        self._cleanup.callback(self.qmp.close)
        self._port = self._socket("agent")
        self._cleanup.callback(self._port.close)
        threading.Thread(target=self._read, daemon=True).start()

    def _socket(self, name):
        """A connection to the socket NAME of QEMU, which may still be starting."""
        deadline = time.monotonic() + 20
        connection = socket.socket(socket.AF_UNIX)
        while True:
            try:
                connection.connect(str(self.directory / name))
                return connection
            except OSError as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise self._refused(error)
            time.sleep(0.02)

    def _refused(self, error):
        log = (self.directory / "qemu.log").read_text(errors="replace")
        return host.LabError(f"QEMU did not start ({error}):\n{log}\n"
                             f"{(self.directory / 'qemu.txt').read_text()}")

    def _read(self):
        """Hands the agent's answers to those who wait for them."""
        try:
            for line in self._port.makefile("r", errors="replace"):
                try:
                    message = json.loads(line)
                except ValueError:
                    continue
                if "hello" in message:
                    self._hello.put(message)
                elif message.get("id") in self._answers:
                    self._answers[message["id"]].put(message)
        except OSError:
            pass
        self._dead.set()
        self._hello.put(None)
        for waiting in list(self._answers.values()):
            waiting.put(None)

    def stop(self):
        """Ends the guest; nothing happens if it has ended."""
        if self.directory and (self.directory / "console").exists():
            if self.process and self.process.poll() is None and not self._dead.is_set():
                if self.built.gcov:
                    coverage.pull(self)
                try:
                    self._request({"exit": True})
                    self.process.wait(10)
                except (OSError, GuestDied, TimeoutError):
                    pass
                except Exception:   # subprocess.TimeoutExpired: it is killed below
                    pass
            self._final = (self.directory / "console").read_bytes()
        self._cleanup.close()

    def _end_process(self):
        if self.process and self.process.poll() is None:
            try:
                self.qmp.execute("quit", {}, timeout=5)
                self.process.wait(5)
            except Exception:       # whatever it was, the process must go
                self.process.kill()
                self.process.wait()

    # -- health -----------------------------------------------------------------------

    def console(self):
        """Everything on the console so far."""
        if hasattr(self, "_final"):
            data = self._final
        else:
            path = self.directory / "console"
            data = path.read_bytes() if path.exists() else b""
        return data.decode(errors="replace").replace("\r", "")

    def _tail(self, lines=60):
        return "\n".join(["---- end of the console ----", *self.console().splitlines()[-lines:]])

    def allow(self, pattern, reason):
        """Lets console lines that match PATTERN pass; REASON is for the reader of the test."""
        assert reason
        self.allowed.append(pattern)

    def assert_healthy(self):
        """Raises GuestUnhealthy if the console shows a panic, a warning, a report."""
        text = self.console()
        found = verdict.findings(text, self.allowed)
        if found:
            raise GuestUnhealthy(f"{self.kernel.release}: the guest is not healthy: {found[0]}\n"
                                 f"---- console ----\n{text}")

    def check_leaks(self):
        """Has kmemleak look for leaks (debug kernel); they end up on the console."""
        if not self.kernel.debug or self._dead.is_set():
            return
        # An object must be 5 s old, and one scan may see a pointer in flight.
        script = ("f=/sys/kernel/debug/kmemleak; sleep 6; echo scan >$f; echo scan >$f; cat $f")
        report = self.run(script, timeout=180).stdout
        leaks = verdict.leaks(report)
        if report.strip() and not leaks:
            self.allow(r"kmemleak: \d+ new suspected", "all of them are an in-tree driver's")
        if leaks:
            raise GuestUnhealthy(f"kmemleak:\n{leaks}")

    # -- commands ---------------------------------------------------------------------

    def start_command(self, command, timeout=60, env=None, cwd=None):
        """Starts COMMAND (a string for the shell, or a list) in the guest: a Running."""
        ident = self._request({"run": command, "timeout": timeout, "env": env, "cwd": cwd})
        return Running(self, ident, command, timeout)

    def run(self, command, timeout=60, check=False, env=None, cwd=None):
        """Runs COMMAND in the guest to its end: a Result. CHECK raises if it fails."""
        return self.start_command(command, timeout, env, cwd).wait(check)

    def sh(self, command, timeout=60):
        """Standard output of a command that must succeed, without the last newline."""
        return self.run(command, timeout, check=True).stdout.rstrip("\n")

    def _request(self, message):
        ident = next(self._ids)
        self._answers[ident] = queue.Queue()
        data = json.dumps({"id": ident, **message}).encode()
        if len(data) > 2000:    # more than the guest's tty surely buffers
            path = self.share / f".request-{ident}"
            path.write_bytes(data)
            data = json.dumps({"file": path.name}).encode()
        if self._dead.is_set():
            raise GuestDied(f"{self.kernel.release} is gone\n{self._tail()}")
        try:
            self._port.sendall(data + b"\n")
        except OSError:
            raise GuestDied(f"{self.kernel.release} is gone\n{self._tail()}")
        return ident

    def _collect(self, ident, command, timeout, check):
        try:
            answer = self._answers[ident].get(timeout=timeout + 30)
        except queue.Empty:
            raise GuestDied(f"{command}: the guest's agent did not answer within "
                            f"{timeout + 30} s\n{self._tail()}")
        if answer is None:
            raise GuestDied(f"{command}: the guest died\n{self._tail()}")
        del self._answers[ident]
        streams = {}
        for name in ("stdout", "stderr"):
            if f"{name}_file" in answer:
                path = self.share / answer[f"{name}_file"]
                streams[name] = path.read_text(errors="replace")
                path.unlink()
            else:
                streams[name] = answer[name]
        result = Result(command, answer["status"], streams["stdout"], streams["stderr"],
                        answer["seconds"], answer["timeout"])
        if check and not result.ok:
            raise CommandFailed(f"{result}\n{self._tail(20)}")
        return result

    # -- what nearly every test does ----------------------------------------------------

    def modprobe(self, module, *parameters):
        """Loads a module with modprobe, as a user would."""
        return self.run(["modprobe", module, *parameters], check=True)

    def wait(self, condition, timeout=15, what=None):
        """Waits until the shell command CONDITION succeeds in the guest."""
        # A program is expensive to start under TCG: bash itself naps, on a pipe of its own.
        done = self.run(f"exec {{nap}}<> <(:); end=$((SECONDS+{int(timeout)})); "
                        f"until {{ {condition}; }} >/dev/null 2>&1; "
                        "do [ $SECONDS -ge $end ] && exit 1; read -rt 0.1 -u $nap; done; true",
                        timeout + 30)
        if not done.ok:
            raise CommandFailed(f"not within {timeout} s: {what or condition}\n{self._tail(20)}")

    def network(self, device, interface="eth0"):
        """Brings INTERFACE up with the address that belongs to a UserNet or TapNet."""
        self.sh(f"ip addr flush dev {interface}; ip addr add {device.address} dev {interface} && "
                f"ip link set {interface} up")

    # -- suspend ------------------------------------------------------------------------

    def prepare_suspend(self):
        """Lets go of 9p, which does not survive a suspend: no /share, no modprobe after this.

        For guests whose root is a disk.
        """
        self.run("cd /; busybox umount -l /share /usr/lib/modules; "
                 "cd /sys/bus/virtio/drivers/9pnet_virtio && "
                 "for d in virtio*; do echo $d >unbind || exit 1; done; "
                 "echo 1 >/sys/module/suspend/parameters/pm_test_delay", check=True)

    def start_suspend(self, timeout=90):
        """Starts to freeze and thaw all devices, as a suspend does; all but the sleep itself.

        Between the two the kernel spins, on the first processor: where QEMU's TSCs are not in
        step, Linux 6.1 calibrates the second one's loop thousands of times too short.
        """
        return self.start_command("echo devices >/sys/power/pm_test && "
                                  "busybox taskset 1 sh -c 'echo freeze >/sys/power/state'; "
                                  "s=$?; echo none >/sys/power/pm_test; exit $s", timeout=timeout)

    def suspend(self, timeout=90):
        """start_suspend() to its end; raises if the suspend failed."""
        self.start_suspend(timeout).wait(check=True)

    # -- hot plug -----------------------------------------------------------------------

    def plug(self, device):
        """Plugs a hotplug device back in (device_add)."""
        self.qmp.execute("device_add", device.device())

    def unplug(self, device, timeout=30):
        """Unplugs a device (device_del) and waits until it is gone."""
        since = len(self.qmp.events)
        self.qmp.execute("device_del", {"id": device.ident})
        try:
            self.qmp.wait_event("DEVICE_DELETED", timeout, since,
                                lambda data: data.get("device") == device.ident)
        except QMPError:
            raise host.LabError(f"{device.ident} was not unplugged within {timeout} s\n"
                                f"{self._tail()}")

    def trace(self, pattern, on=True):
        """Switches QEMU's trace events PATTERN on or off; they go to qemu.log."""
        self.qmp.execute("trace-event-set-state", {"name": pattern, "enable": on,
                                                   "ignore-unavailable": True})

    def kill(self):
        """Kills QEMU at once, as a host that loses its power would."""
        self.process.kill()
        self.process.wait()
