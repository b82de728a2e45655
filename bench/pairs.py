# SPDX-License-Identifier: GPL-2.0-only
"""Runs the pairs of a workload and collects what they give in one document (a dict for JSON)."""

import collections
import contextlib
import dataclasses
import datetime
import os
import pathlib
import platform
import subprocess
import sys
import tempfile

from vrhlab import Guest, build, host, kernels

import insn
import stats
from meters import EventMeter, InstructionMeter, TimeMeter
from workload import Amount, Session, Tools

#: A phase's instructions are the slope between this many operations and its own number.
FACTOR = 4

#: The phase that memory figures are listed under: they belong to the device, not to operations.
DEVICE = "device"


@dataclasses.dataclass
class Options:
    """What the command line asks for."""

    workload: str
    kernel: str = "6.12"
    pairs: int = 5
    cpus: int = 2
    seconds: float = 2.0
    instructions: bool = True
    null: bool = False          #: in-tree against in-tree: the error of the method
    parameters: tuple = ()      #: module parameters of our driver: name=value
    tree: pathlib.Path | None = None    #: where our modules are built from, this checkout if None


def order(pair):
    """Which side goes first takes turns, so that a drift of the guest or the host cancels."""
    return ("intree", "ours") if pair % 2 == 0 else ("ours", "intree")


class Runner:
    """One workload on one kernel."""

    def __init__(self, workload, options):
        self.workload = workload
        self.options = options
        self.programs = insn.build(host.cache_dir())
        self.modules = {"intree": workload.driver,
                        "ours": workload.driver if options.null else workload.driver + "_rh"}
        self.stage = build.stock(options.kernel) if options.null else \
            build.build(options.kernel, options.tree)
        self.commands = {}
        self.guests = {}

    def run(self):
        """The document: everything measured, and what it was measured with."""
        document = self.describe()
        document["pairs"] = self.guest_pairs("time and events", self.time_and_events)
        if self.options.instructions:
            document["instructions"] = self.guest_pairs("instructions", self.instructions)
        document["load_after"] = os.getloadavg()
        document["commands"] = self.commands
        document["guests"] = self.guests
        document["table"] = table(document)
        return document

    def describe(self):
        """What is needed to read the figures later, and to take them again."""
        options = self.options
        commit, dirty = revision(options.tree or host.repository())
        kernel = kernels.get(options.kernel)
        return {
            "workload": options.workload, "kernel": options.kernel, "release": kernel.release,
            "kernel_package": f"{kernel.package} {kernel.version}",
            "modules": self.modules, "parameters": list(options.parameters),
            "pairs_wanted": options.pairs, "cpus": options.cpus, "seconds": options.seconds,
            "null": options.null, "argv": sys.argv, "commit": commit, "dirty": dirty,
            "version": version(options.tree or host.repository()),
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "qemu": first_line(["qemu-system-x86_64", "--version"]),
            "packages": versions(["qemu-system-x86", "gcc", "libc6", *self.workload.packages]),
            "host_kernel": platform.release(), "host_cpus": os.cpu_count(),
            "host_cpu": cpu_model(), "load_before": os.getloadavg(),
            "phases": [dataclasses.asdict(phase) for phase in self.workload.phases],
        }

    # -- guests -------------------------------------------------------------------------

    @contextlib.contextmanager
    def session(self, what, plugin=None):
        """A guest with the workload's devices, its host side, and our tools in /tmp."""
        devices = self.workload.devices()
        options = self.options
        extra = ["-plugin", f"{self.programs['insn.so']},out={plugin}"] if plugin else []
        cpus = 1 if plugin else options.cpus
        host.say(f"bench {options.workload}: {what} on {options.kernel}, {cpus} vCPU")
        with contextlib.ExitStack() as stack:
            guest = stack.enter_context(Guest(options.kernel, self.stage, smp=cpus, extra=extra,
                                              mem=self.workload.mem, devices=devices))
            session = Session(guest, devices[0], Tools.put_into(guest, self.programs))
            stack.enter_context(session.cleanup)
            self.guests[what] = (guest.directory / "qemu.txt").read_text().strip()
            self.workload.prepare(session)
            yield session

    def guest_pairs(self, what, measure):
        """All pairs in one guest; MEASURE does one side of one pair."""
        options = self.options
        pairs = []
        self.commands[what] = {}
        with tempfile.TemporaryDirectory(prefix="vrh-bench-") as directory:
            output = None
            if measure == self.instructions:
                output = pathlib.Path(directory) / "insn.txt"
            with self.session(what, output) as session:
                session.output = output
                session.load(self.modules["intree"],
                             None if options.null else self.modules["ours"], options.parameters)
                if output:
                    session.symbols = insn.Symbols(session.guest.sh("cat /proc/kallsyms"))
                for side in order(0):   # a driver's first bind allocates what later ones find
                    self.one_side(session, side, lambda *_: {})
                for number in range(options.pairs):
                    pair = {"order": order(number), "load": os.getloadavg()}
                    for side in order(number):
                        host.say(f"bench {options.workload}: {what}, pair {number + 1} of "
                                 f"{options.pairs}, {side} ({self.modules[side]})")
                        pair[side] = self.one_side(session, side, measure)
                        self.commands[what][side] = dict(session.commands)
                    pairs.append(pair)
        return pairs

    def one_side(self, session, side, measure):
        """Binds the side's driver, measures, and leaves the device without a driver."""
        module = self.modules[side]
        before = free_memory(session.guest)
        session.bind(module)
        self.workload.ready(session)
        after = free_memory(session.guest)
        found = measure(session, module)
        if DEVICE in found:
            found[DEVICE]["guest memory, KiB"] = before - after
        self.workload.unready(session)
        session.unbind()
        return found

    # -- one side of a pair ---------------------------------------------------------------

    def time_and_events(self, session, _module):
        """Throughput, latency and processor time; then, apart from them, kicks and interrupts."""
        found = collections.defaultdict(dict)
        amount = Amount(None, self.options.seconds)
        for meter in (TimeMeter(session.guest, session.tools),
                      EventMeter(session.guest, session.tools, session.virtio.name)):
            for phase in self.workload.phases:
                outcome = session.measure(self.workload, phase, amount, meter)
                if isinstance(meter, TimeMeter):
                    found[phase.name].update(outcome.metrics)
                found[phase.name].update(meter.metrics(outcome.operations))
        found[DEVICE]["QEMU RSS, MiB"] = session.host_rss() / (1 << 20)
        return dict(found)

    def instructions(self, session, module):
        """Instructions by operation: the slope from N to FACTOR * N operations."""
        meter = InstructionMeter(session.guest, session.tools, session.output, session.symbols,
                                 {module})
        points = collections.defaultdict(list)
        for factor in (1, FACTOR):
            for phase in self.workload.phases:
                amount = Amount(phase.amount * factor)
                outcome = session.measure(self.workload, phase, amount, meter)
                points[phase.name].append((outcome.operations, *meter.counts()))
        meter.close()

        found = {}
        for name, measured in points.items():
            found[name] = {
                f"insn, {group}": stats.slope([(n, groups[group]) for n, groups, _ in measured])
                for group in measured[0][1]}
            functions = {key for _, _, named in measured for key in named}
            found[name]["functions"] = {
                f"{function} {owner}": stats.slope([(n, named.get((function, owner), 0))
                                                    for n, _, named in measured])
                for function, owner in functions}
        return found


#: Free pages, those on the lists of each processor included; stat_refresh makes all exact.
FREE_MEMORY = """
cat /proc/sys/vm/stat_refresh
awk '/pages free/ { n += $3 } / count:/ { n += $2 } END { print "Free:", 4 * n }' /proc/zoneinfo
grep -E '^(Buffers|Cached|SReclaimable):' /proc/meminfo
"""


def free_memory(guest):
    """KiB that nothing but the page cache and its like use."""
    lines = guest.sh(FREE_MEMORY).splitlines()
    return sum(int(line.split()[1]) for line in lines if ":" in line)


def table(document):
    """Rows by phase: {phase: [Row as dict]}, those of the instruction runs last."""
    result = {}
    for part in ("pairs", "instructions"):
        pairs = document.get(part, [])
        phases = dict.fromkeys(name for pair in pairs for name in pair["intree"])
        for phase in phases:
            rows = stats.compare([tuple(numbers(pair[side].get(phase, {}))
                                        for side in ("intree", "ours")) for pair in pairs])
            result.setdefault(phase, []).extend(row._asdict() for row in rows)
    return result


def numbers(metrics):
    """METRICS without what is not one number."""
    return {name: value for name, value in metrics.items() if not isinstance(value, dict)}


def revision(tree):
    """(commit, dirty) of a checkout; (None, None) if TREE is none."""
    if not (pathlib.Path(tree) / ".git").exists():      # git would look above it
        return None, None
    git = ["git", "-c", "safe.directory=*", "-C", str(tree)]
    done = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True)
    if done.returncode:
        return None, None
    status = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True)
    return done.stdout.strip(), bool(status.stdout.strip())


def version(tree):
    """What the file VERSION of a tree says."""
    return (pathlib.Path(tree) / "VERSION").read_text().strip()


def versions(packages):
    """{package: version} of Debian packages: what measured runs on this machine's programs."""
    lines = host.call(["dpkg-query", "-W", "-f", "${Package} ${Version}\n", *packages])
    return dict(line.split() for line in lines.splitlines())


def first_line(argv):
    """The first line that a program prints."""
    return host.call(argv).splitlines()[0]


def cpu_model():
    """The build machine's processor."""
    with open("/proc/cpuinfo") as cpuinfo:
        for line in cpuinfo:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return "unknown"
