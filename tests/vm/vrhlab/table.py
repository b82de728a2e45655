# SPDX-License-Identifier: GPL-2.0-only
"""The table of `lab table`: each lie of lies.py told to the in-tree driver and to ours.

A program in a guest (guest/meet.py) loads the driver, makes the device, gives it to the driver,
uses it, tells the lies, looks whether data moves afterwards, unplugs the device and unloads the
driver. What it says, and the console, are the verdict. The words are those of `OUTCOMES`, the worst
one first. A boot is what takes longest: a guest is used again as long as it is well, and never by
both drivers. A report counts only if it is made in a guest that has met nothing before.
"""

import concurrent.futures
import dataclasses
import itertools
import json
import pathlib
import re
import subprocess
import threading
import time

from . import binding, build, guest, host, lies, simdev

#: What a driver made of a lie; what they mean is in the header of the table.
OUTCOMES = ("hang", "panic", "BUG", "KASAN", "UBSAN", "WARN", "lockdep", "wrong data", "counted",
            "ok", "dead")

#: What a driver may do.
GOOD = ("counted", "ok", "dead")

#: Lines of the console that are reports, and of what; the first that matches counts.
REPORTS = [(word, re.compile(pattern)) for word, pattern in (
    ("hang", r"blocked for more than|soft lockup|hard LOCKUP|rcu.*detected.*stall|"
             r"workqueue lockup"),
    ("KASAN", r"BUG: KASAN|KASAN: "), ("KASAN", r"BUG: KFENCE"),
    ("panic", r"Kernel panic"),
    ("lockdep", r"possible (circular|recursive) locking|inconsistent lock state|"
                r"suspicious RCU|lock held when returning|INFO: trying to register|"
                r"possible irq lock inversion|INFO: possible"),
    ("BUG", r"kernel BUG at|\bOops\b|unable to handle|general protection|divide error|"
            r"invalid opcode|\bBUG: |Bad page|list_(add|del) corruption"),
    ("UBSAN", r"UBSAN: (?!.*enabled)"),
    ("WARN", r"WARNING: |refcount_t:|ODEBUG|DMA-API: (?!preallocated|debugging)|"
             r"sysfs: cannot create duplicate|kobject.*tried to init"))]

#: The core's own warning, whoever the driver is: a device that is gone does not read as reset.
CORE = re.compile(r"virtio_dev_remove")

DRIVERS = ("in-tree", "ours")

#: What a step that did not end is called in the table.
STEPS = {"make": "making the device", "bind": "probe", "counters": "reading counters",
         "unplug": "unplug", "programs": "the end of its users", "rmmod": "unloading"}


@dataclasses.dataclass
class Result:
    """What one driver made of one case."""

    case: str
    driver: str
    outcome: str
    after: str = ""         #: works, errors, silence, or "" if nobody could ask
    seen: list = dataclasses.field(default_factory=list)    #: reports, counters, messages
    untold: list = dataclasses.field(default_factory=list)  #: lies the driver gave no occasion for
    seconds: float = 0
    date: str = ""
    kernel: str = ""
    tree: str = ""


def reports(console):
    """[(word, line)] of the reports on a console, without the core's own."""
    found = []
    for line in console.splitlines():
        line = re.sub(r"^\s*(<\d+>)?\[[ .\d]+\](\[[ \w]+\])?\s*", "", line).strip()
        if CORE.search(line):
            continue
        for word, pattern in REPORTS:
            if pattern.search(line):
                found.append((word, line))
                break
    return found


def lines_of(text):
    """The JSON lines that the guest's program has written; the last may be half one."""
    found = []
    for line in text.splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def judge(case, driver, told, console, died=False, late=None):
    """The Result: from the lines of meet.py and the console.

    DIED: the guest ended before its time. LATE: the step that it never came back from.
    """
    facts = {}
    for line in told:
        facts.update(line)
    stuck = next((line["stuck"] for line in told if "stuck" in line), None) or late
    result = Result(case.key, driver, "ok")
    words = {}
    for word, line in reports(console):
        words.setdefault(word, line)
    if stuck:
        words.setdefault("hang", f"{STEPS.get(stuck, stuck)} does not end")
    elif died and not words:
        words["panic"] = "the guest is gone"
    errors = {line["error"]: line["text"] for line in told if "error" in line}
    if "rmmod" in errors:
        words.setdefault("hang", "the module cannot be unloaded: it is in use")
    if "works" in facts:
        result.after = ("works" if facts["works"] else
                        "errors" if facts["errors"] else "silence")
    elif "refused" in facts:
        result.after = "refused"
    if case.kind == "blk" and facts.get("wrong_ever"):
        words.setdefault("wrong data", "a block was not read as it was written")
    counted = [f"{name}: {value}" for name, value in sorted(facts.get("counted", {}).items())]
    messages = list(facts.get("messages", []))
    if result.after != "works":     # a removal under load is no news otherwise
        messages += facts.get("parting", [])
    counted += list(dict.fromkeys(map(masked, messages)))
    stats = facts.get("stats")
    if stats:
        result.untold = sorted(name for name in case.operations if stats.get(name) in (None, "0"))
    bad = [word for word in OUTCOMES if word in words]
    if bad:
        result.outcome = bad[0]
        result.seen = [masked(words[word]) for word in bad]
    elif counted:
        result.outcome, result.seen = "counted", counted
    elif result.after != "works":
        result.outcome = "dead"
    return result


def masked(line):
    """A message without what differs from one run to the next."""
    line = re.sub(r"\b(virtio|vport)\d+", r"\1N", line)
    line = re.sub(r", CPU#\d+: .*$| CPU: \d+ PID: \d+", "", line)
    return re.sub(r"(?<=\bsector )\d+|(?<=\bphys_seg )\d+|\b(?:0x)?[0-9a-f]{9,}\b", "...", line)


class Bench:
    """A guest for one case after the other: a new one after any that was not well.

    Whoever makes it has a guest slot.
    """

    def __init__(self, built, mem=640):
        self.built, self.mem = built, mem
        self.machine = None

    def get(self):
        """The guest, booted if there is none."""
        if not self.machine:
            machine = guest.Guest(self.built.kernel.name, built=self.built, mem=self.mem,
                                  slot=False)
            try:
                machine.start()
                simdev.load(machine)
            except BaseException:
                machine.stop()
                raise
            self.machine = machine
        return self.machine

    def drop(self):
        """Ends it."""
        if self.machine:
            self.machine.stop()
            self.machine = None

    def meet(self, case, driver, keep=None):
        """Runs one case with one driver: a Result. A report is that of a new guest."""
        begun = time.monotonic()
        alone = self.machine is None
        machine = self.get()
        start = len(machine.console())
        died, late = False, None
        try:
            late, died = follow(machine, case, driver)
        except guest.GuestDied:
            died = True
        path = machine.share / "met"
        told = lines_of(path.read_text(errors="replace")) if path.exists() else []
        console = machine.console()[start:]
        if keep:
            name = f"{case.key}-{driver}".replace("/", "-")
            (keep / f"{name}.console").write_text(console)
            (keep / f"{name}.json").write_text(json.dumps(told, indent=1))
        failed = [line for line in told if line.get("error") in ("modprobe", "make")]
        if failed or not told and not died:
            self.drop()
            raise host.LabError(f"{case.key}: {failed or 'nothing happened'}\n{console[-2000:]}")
        result = judge(case, driver, told, console, died, late)
        if result.outcome not in GOOD:
            self.drop()
            # A hang is where it is seen; what was done to memory may show later than it happened.
            if not alone and result.outcome != "hang":
                first, result = result, self.meet(case, driver, keep)
                if result.outcome in GOOD:
                    result.seen.append(f"{first.outcome} in a guest that had met other lies: "
                                       f"{first.seen[0]}")
                return result
        result.seconds = round(time.monotonic() - begun, 1)
        result.date = time.strftime("%Y-%m-%d", time.gmtime())
        result.kernel = self.built.kernel.release
        result.tree = revision()
        return result


def follow(machine, case, driver):
    """Starts the program in the guest and follows it to its end: (step it hangs in, died)."""
    program = pathlib.Path(__file__).with_name("guest") / "meet.py"
    (machine.share / "met").unlink(missing_ok=True)
    (machine.share / "meet.py").write_text(program.read_text())
    (machine.share / "meet.json").write_text(json.dumps({
        "kind": case.kind, "driver": binding.driver_name(case.kind, driver),
        "create": case.create, "before": [*lies.PREPARE[case.kind], *case.before],
        "lines": case.lines, "lied": bool(case.before), "load": case.load,
        "surprise": case.surprise, "seconds": case.seconds, "settle": case.settle}))
    program = machine.start_command("python3 -I -S /share/meet.py >/share/meet.log 2>&1",
                                    timeout=3600)
    path = machine.share / "met"
    step, patience, size, heard = "start", 180, 0, time.monotonic()
    while True:
        time.sleep(0.2)
        text = path.read_text(errors="replace") if path.exists() else ""
        told = lines_of(text)
        if any("end" in line for line in told):
            return None, False
        if machine.process.poll() is not None:
            return None, True
        if program.done():
            raise host.LabError(f"{case.key}: {(machine.share / 'meet.log').read_text()}")
        if len(text) != size:
            size, heard = len(text), time.monotonic()
            steps = [line for line in told if "step" in line]
            if steps:
                step, patience = steps[-1]["step"], steps[-1]["seconds"] + 30
        if time.monotonic() - heard > patience:
            return step, False


#: What a result depends on.
SOURCES = ("virtio_net_rh", "virtio_blk_rh", "virtio_console_rh", "virtio_balloon_rh", "include",
           "compat", "tests/simdev", "tests/vm/vrhlab/lies.py", "tests/vm/vrhlab/guest/meet.py")


def revision():
    """The last commit of this checkout that a result depends on."""
    def git(*words):
        done = subprocess.run(["git", "-C", str(host.repository()), "-c", "safe.directory=*",
                               *words, "--", *SOURCES], capture_output=True, text=True)
        return done.stdout.strip()
    changed = git("status", "--porcelain")
    return (git("log", "-1", "--format=%h", "--abbrev=10") or "unknown") + "+" * bool(changed)


class Results:
    """Results in a file of JSON lines, as a run of all takes an hour."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.known = {}
        if self.path.exists():
            for line in lines_of(self.path.read_text()):
                self.known[line["case"], line["driver"]] = Result(**line)

    def add(self, result):
        """One more; it replaces an earlier one."""
        self.known[result.case, result.driver] = result
        with open(self.path, "a") as out:
            out.write(json.dumps(dataclasses.asdict(result)) + "\n")

    def get(self, case, driver):
        """That of a case with a driver, or None."""
        return self.known.get((case.key, driver))


def run(cases, drivers, results, again=False, kernel="debug", tree=None, jobs=1, keep=None,
        alone=False, tell=host.say):
    """Runs what RESULTS has not yet; False if a case could not be run.

    JOBS is 2 for a guest for each of the drivers at the same time. ALONE gives each case a guest
    of its own.
    """
    built = build.build(kernel, tree, simdev=True)
    # A run that is cut short has something of each type.
    cases = sorted(cases, key=lambda case: [other for other in cases
                                            if other.kind == case.kind].index(case))
    wanted = {driver: [case for case in cases if again or not results.get(case, driver)]
              for driver in drivers}
    total, done, failed = sum(map(len, wanted.values())), itertools.count(1), []
    lock = threading.Lock()

    def work(driver):
        if not wanted[driver]:
            return
        with host.guest_slot():
            work_through(driver, Bench(built))

    def work_through(driver, bench):
        try:
            for case in wanted[driver]:
                if alone:
                    bench.drop()
                try:
                    result = bench.meet(case, driver, keep)
                except host.LabError as error:
                    bench.drop()
                    failed.append(case.key)
                    tell(f"{case.key}, {driver}: {error}")
                    continue
                with lock:
                    results.add(result)
                untold = f", not told: {', '.join(result.untold)}" if result.untold else ""
                tell(f"{next(done)}/{total} {case.key}, {driver}: {result.outcome}, "
                     f"{result.after or '-'}{untold}, {result.seconds:.0f} s: {result.seen[:3]}")
        finally:
            bench.drop()
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for future in [pool.submit(work, driver) for driver in wanted]:
            future.result()
    return not failed


# The document

HEADER = """\
# What drivers make of a device that lies

This file is generated by `make table` (`tests/vm/lab table`): nobody types into it. Each row is a
lie that a simulated device ([tests/simdev](../tests/simdev/README.md)) told to the in-tree driver
and to ours while programs moved data through it; the scripts are in
[lies.py](../tests/vm/vrhlab/lies.py). Then data had to move again, the device was unplugged and the
driver unloaded. A guest that is well is used for the driver's next case, never for the other
driver; a report that is printed bold, but for a hang, is always that of a newly booted guest.

| | |
|---|---|
| kernel | {kernel}, with KASAN, UBSAN, lockdep ([config](../tests/vm/debug-kernel.config)) |
| virtio-rh | {tree} |
| run | {dates}, {cases} cases, {minutes} minutes of guests |

| result | means |
|---|---|
| hang | a task, the unplug or the unloading did not end in 30 to 75 s, or the guest stood still |
| panic, BUG, KASAN, UBSAN, WARN, lockdep | the kernel reported it; the worst is named |
| wrong data | a block was read that is not the one that was written, without an error |
| counted | a counter of errors moved (sysfs, `ethtool -S`, debugfs), or a warning was logged |
| ok | it goes on as if nothing had happened |
| dead | no data moves any more, nobody was told, and the device could be unplugged |

"Afterwards" is what the programs found: it works, errors, silence (nothing comes and there is no
error: a host that keeps a buffer for ever can do that), or that the driver refused the device at
probe. "Not told": the driver gave no occasion for that part of the lie. The virtio core's own
warning at the removal of a device that is gone (`virtio_dev_remove`) is left out of both. Leaks are
not looked for here: the KUnit suites and `make fuzz` do.
"""

TITLES = {"blk": "Disk", "net": "Network", "console": "Console", "balloon": "Balloon"}


def cell(result):
    """(outcome, afterwards) of a result, for the table."""
    if not result:
        return "not run", ""
    good = result.outcome in GOOD
    outcome = result.outcome if good else f"**{result.outcome}**"
    if result.untold:
        outcome += ", not told: " + ", ".join(result.untold)
    return outcome, result.after or "-"


def quoted(text):
    """Text as code in a table or list of Markdown."""
    text = re.sub(r"\s+", " ", text).replace("|", "\\|").replace("`", "'")
    return f"`{text[:160]}`"


def render(results, cases=lies.CASES):
    """The document."""
    known = [result for case in cases for driver in DRIVERS
             if (result := results.get(case, driver))]

    def all_of(name):
        return ", ".join(sorted({getattr(result, name) for result in known})) or "none"
    parts = [HEADER.format(kernel=all_of("kernel"), tree=all_of("tree"), dates=all_of("date"),
                           cases=len(cases),
                           minutes=round(sum(result.seconds for result in known) / 60))]
    parts.append("\n## Sums\n| result | in-tree | ours |\n|---|---|---|\n")
    for outcome in OUTCOMES:
        sums = [sum(result.outcome == outcome for result in known if result.driver == driver)
                for driver in DRIVERS]
        if any(sums):
            parts.append(f"| {outcome} | {sums[0]} | {sums[1]} |\n")
    for kind, title in TITLES.items():
        mine = [case for case in cases if case.kind == kind]
        if not mine:
            continue
        parts.append(f"\n## {title}\n| lie | in-tree | afterwards | ours | afterwards |\n"
                     "|---|---|---|---|---|\n")
        for case in mine:
            cells = [text for driver in DRIVERS for text in cell(results.get(case, driver))]
            parts.append(f"| {case.name} | {' | '.join(cells)} |\n")
        parts.append(f"\n### {title}: what was seen\n| lie | driver | lines |\n|---|---|---|\n")
        for case in mine:
            for driver in DRIVERS:
                result = results.get(case, driver)
                if result and result.seen:
                    seen = "<br>".join(quoted(text) for text in result.seen[:4])
                    parts.append(f"| {case.name} | {driver} | {seen} |\n")
    return "".join(parts)
