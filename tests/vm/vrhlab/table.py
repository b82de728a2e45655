# SPDX-License-Identifier: GPL-2.0-only
"""The table of `lab table`: each lie of lies.py told to the in-tree driver and to ours.

A program in a guest (guest/meet.py) loads the driver, makes the device, gives it to the driver,
uses it, tells the lies, looks whether data moves afterwards, unplugs the device and unloads the
driver. What it says, and the console, are the verdict (judge.py); the document is tabletext.py's.
Each case has a guest of its own, which goes on from the state of one that was booted (frozen.py).
"""

import collections
import concurrent.futures
import contextlib
import dataclasses
import functools
import hashlib
import itertools
import json
import pathlib
import subprocess
import threading
import time

from . import binding, frozen, guest, host, simdev, tree
from .judge import Result, judge, lines_of, not_run, reports

DRIVERS = ("in-tree", "ours")

#: Times that a case is tried that could not be run.
TRIES = 2


def follow(machine, case, driver):
    """Starts the program in the guest and follows it to its end: (step it hangs in, died).

    A program that has ended too early is one that the kernel killed, or LabError.
    """
    program = pathlib.Path(__file__).with_name("guest") / "meet.py"
    (machine.share / "meet.py").write_text(program.read_text())
    (machine.share / "meet.json").write_text(json.dumps(
        {**case.order, "driver": binding.driver_name(case.kind, driver)}))
    program = machine.start_command("python3 -I -S /share/meet.py >/share/meet.log 2>&1",
                                    timeout=3600)
    path = machine.share / "met"
    step, patience, size, heard = "start", 180, 0, time.monotonic()
    while True:
        # Before the look at what it has said last.
        gone, done = machine.process.poll(), program.done()
        text = path.read_text(errors="replace") if path.exists() else ""
        told = lines_of(text)
        if any("end" in line for line in told):
            return None, False
        if gone is not None and gone < 0:
            raise host.LabError(f"{case.key}: QEMU was killed by signal {-gone}")
        if gone is not None:
            return None, True
        if done:
            if reports(machine.console()):
                return None, True
            raise host.LabError(f"{case.key}: {(machine.share / 'meet.log').read_text()}")
        if len(text) != size:
            size, heard = len(text), time.monotonic()
            steps = [line for line in told if "seconds" in line]
            if steps:
                step = steps[-1].get("step") or steps[-1]["more"]
                patience = steps[-1]["seconds"] + 30
        if time.monotonic() - heard > patience:
            return step, False
        time.sleep(0.2)


def meet(machine, case, driver, keep=None):
    """Runs one case with one driver in a guest that is there for it: a Result."""
    died, late = False, None
    try:
        late, died = follow(machine, case, driver)
    except guest.GuestDied:
        died = True
    path = machine.share / "met"
    told = lines_of(path.read_text(errors="replace")) if path.exists() else []
    console = machine.console()
    if keep:
        name = f"{case.key}-{driver}".replace("/", "-")
        (keep / f"{name}.console").write_text(console)
        (keep / f"{name}.json").write_text(json.dumps(told, indent=1))
    why = not_run(case, told)
    if why:
        raise host.LabError(f"{case.key}: {why}\n{console[-2000:]}")
    return judge(case, driver, told, console, died, late)


# Results, and what they depend on

#: What each result depends on besides its case, the kernel and, if it is ours, the driver.
SOURCES = ("include/", "compat/", "tests/simdev/")
LAB = ("judge.py", "guest/meet.py")


@functools.cache
def contents(source, parts):
    """A digest of the files of SOURCE whose names begin with one of PARTS, and of LAB."""
    digest = hashlib.sha256()
    here = pathlib.Path(__file__).parent
    for name, path in ([(name, source / name) for name in tree.files(source)
                        if name.startswith(parts)] + [(name, here / name) for name in LAB]):
        digest.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def state(case, driver, source, kernel=""):
    """A short digest of all that the result of CASE with DRIVER depends on."""
    parts = SOURCES + ((f"virtio_{case.kind}_rh/",) if driver == "ours" else ())
    return hashlib.sha256(repr((case, case.order, driver, kernel, contents(source, parts)))
                          .encode()).hexdigest()[:16]


def revision():
    """The last commit of this checkout that a result depends on, with + if files differ from it."""
    drivers = [f"virtio_{kind}_rh" for kind in binding.IN_TREE]

    def git(*words):
        done = subprocess.run(["git", "-C", str(host.repository()), "-c", "safe.directory=*",
                               *words, "--", *SOURCES, *drivers, "tests/vm/vrhlab"],
                              capture_output=True, text=True)
        return done.stdout.strip()
    changed = git("status", "--porcelain")
    return (git("log", "-1", "--format=%h", "--abbrev=10") or "unknown") + "+" * bool(changed)


class Results:
    """Results in a file of JSON lines, as a run of all takes long.

    One whose case, driver, kernel, device or judge is another by now is none.
    """

    def __init__(self, path, source=None, kernel=""):
        self.path = pathlib.Path(path)
        self.source = pathlib.Path(source or host.repository())
        self.kernel = kernel
        self.known = {}
        if self.path.exists():
            names = {field.name for field in dataclasses.fields(Result)}
            for line in lines_of(self.path.read_text()):
                if set(line) == names:
                    self.known[line["case"], line["driver"]] = Result(**line)

    def add(self, case, driver, result):
        """One more; it replaces an earlier one."""
        result.state = state(case, driver, self.source, self.kernel)
        self.known[result.case, result.driver] = result
        # A run that was killed may have left half a line.
        with open(self.path, "a+") as out:
            out.seek(0)
            whole = out.read()
            out.write("\n" * (bool(whole) and not whole.endswith("\n"))
                      + json.dumps(dataclasses.asdict(result)) + "\n")

    def get(self, case, driver):
        """That of a case with a driver, or None."""
        found = self.known.get((case.key, driver))
        return found if found and found.state == state(case, driver, self.source,
                                                       self.kernel) else None


# All of it

def meet_in_guest(case, driver, source, keep=None):
    """The Result of a case with a driver, in a guest of its own that SOURCE gives."""
    begun = time.monotonic()
    machine = source.get()
    try:
        simdev.load(machine)
        result = meet(machine, case, driver, keep)
    finally:
        # It may not come to its end by itself, and has nothing to hand over but counters.
        if machine.process.poll() is None and not source.built.gcov:
            machine.kill()
        machine.stop()
    result.seconds = round(time.monotonic() - begun, 1)
    result.date = time.strftime("%Y-%m-%d", time.gmtime())
    result.kernel = source.built.kernel.release
    return result


def run(cases, drivers, results, make, again=False, jobs=1, keep=None, mem=640, boot=False,
        tell=host.say):
    """Runs what RESULTS has not yet with the modules that MAKE() builds.

    False if a case could not be run.
    JOBS guests run at the same time, each with a slot. BOOT has each guest boot.
    """
    # A run that is cut short has whole rows, of each type.
    cases = sorted(cases, key=lambda case: [other for other in cases
                                            if other.kind == case.kind].index(case))
    # Of both drivers in one: what hangs takes five times as long, and one of them hangs more.
    wanted = collections.deque((case, driver) for case in cases for driver in drivers
                               if again or not results.get(case, driver))
    total, done, failed, lock = len(wanted), itertools.count(1), [], threading.Lock()

    def attempt(case, driver, source):
        for last in [False] * (TRIES - 1) + [True]:
            try:
                return meet_in_guest(case, driver, source, keep)
            except host.LabError as error:
                tell(f"{case.key}, {driver}: {error}")
                if last:
                    failed.append(case.key)
        return None

    def work(source):
        with host.guest_slot():
            while True:
                try:
                    case, driver = wanted.popleft()
                except IndexError:
                    return
                result = attempt(case, driver, source)
                if not result:
                    continue
                with lock:
                    results.add(case, driver, result)
                missed = f", not told: {', '.join(result.untold)}" if result.untold else ""
                tell(f"{next(done)}/{total} {case.key}, {driver}: {result.outcome}, "
                     f"{result.after or '-'}{missed}, {result.seconds:.0f} s: {result.seen[:3]}")
    if not total:
        return True
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(frozen.Source(make(), mem, boot=boot, tell=tell))
        pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(jobs))
        # Who interrupts this waits for one case, not for all.
        stack.callback(wanted.clear)
        for future in [pool.submit(work, source) for _ in range(min(jobs, total))]:
            future.result()
    return not failed
