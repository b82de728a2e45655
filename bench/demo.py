# SPDX-License-Identifier: GPL-2.0-only
"""`make demo`: one guest, all devices, each driven by the in-tree driver and then by ours.

A demonstration, not a measurement: one short run a side. bench/bench measures.
"""

import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "vm")]
sys.dont_write_bytecode = True

import insn  # noqa: E402
import stats  # noqa: E402
from arguments import Parser, run  # noqa: E402
from meters import EventMeter  # noqa: E402
from vrhlab import Guest, build, host, kernels, packages  # noqa: E402
from workload import Amount, Session, Tools  # noqa: E402
from workloads import balloon, blk, console, net  # noqa: E402

#: Beyond the lab's own packages: the workloads' programs and what compiles them.
PACKAGES = sorted({*packages.GUEST, *packages.BUILD, *insn.PACKAGES, *blk.Bench.packages,
                   *net.Bench.packages})

#: Length of a run.
SECONDS = 1.0


class SmallBalloon(balloon.Bench):
    """A quarter of a gigabyte, so that it takes seconds."""

    whole = 256


#: What is shown: the device in words, its workload, the figure of throughput by phase.
SHOWN = (
    ("disk", blk.Bench, {"randread": "IOPS"}),
    ("network", net.Bench, {"stream out": "Mbit/s", "request-response": "round trips/s"}),
    ("console port", console.Bench, {"write": "MB/s"}),
    ("balloon", SmallBalloon, {"inflate": "MiB/s", "deflate": "MiB/s"}),
)


class Progress:
    """Says what happens, with the time since the start."""

    def __init__(self):
        self.begun = time.monotonic()

    def __call__(self, message):
        print(f"demo: [{time.monotonic() - self.begun:3.0f} s] {message}", file=sys.stderr,
              flush=True)


def one_side(session, workload, driver, units):
    """Has DRIVER take the device and moves data: {phase: (throughput, kicks, interrupts)}."""
    device = session.virtio.name
    session.bind(driver)
    workload.ready(session)
    found = {}
    for phase in workload.phases:
        if phase.name not in units:
            continue
        meter = EventMeter(session.guest, session.tools, device)
        outcome = session.measure(workload, phase, Amount(None, SECONDS), meter)
        events = meter.metrics(outcome.operations)
        found[phase.name] = (outcome.metrics[units[phase.name]], events["kicks"],
                             events["interrupts"])
    if driver.endswith("_rh"):
        found["features"] = session.guest.sh(f"cat /sys/bus/virtio/devices/{device}/vrh/features")
    workload.unready(session)
    session.unbind()
    return found


def clock(guest):
    """What pvclock_rh says in this guest; without KVM it must refuse."""
    done = guest.run(["modprobe", "pvclock_rh"])
    line = guest.sh("dmesg | grep 'pvclock_rh: ' | grep -v taint | grep -v verification | tail -1")
    return ("loaded" if done.ok else "refused"), line.partition("pvclock_rh: ")[2]


def table(rows):
    """Text columns; the first row is the head."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
             for row in rows]
    return "\n".join([lines[0], "-" * (sum(widths) + 2 * len(widths) - 2), *lines[1:]])


def report(results, clock_result):
    """The table of a demonstration."""
    rows = [("device", "operation", "driver", "throughput", "kicks/op", "interrupts/op")]
    features = []
    for name, workload, units, sides in results:
        for phase in workload.phases:
            if phase.name not in units:
                continue
            for driver, found in sides.items():
                rate, kicks, interrupts = found[phase.name]
                what = f"{phase.name}, {phase.operation}"
                rows.append((name, what, driver, f"{rate:,.0f} {units[phase.name]}",
                             stats.number(kicks), stats.number(interrupts)))
        features += [f"  {driver}: {found['features']}" for driver, found in sides.items()
                     if "features" in found]
    rows.append(("clock", "", "pvclock_rh", clock_result[0], "", ""))
    return "\n".join([table(rows), "", "features, as our drivers negotiated them:", *features,
                      f"  pvclock_rh: {clock_result[1]}"])


def main():
    """Runs the demonstration; returns the exit status."""
    parser = Parser(prog="demo", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--kernel", default="6.12", choices=kernels.NAMES)
    options = parser.parse_args()
    say = Progress()
    packages.ensure(PACKAGES, "demo")
    say(f"building the modules for {options.kernel} (the first time: fetching the kernel)")
    built = build.build(options.kernel)
    programs = insn.build(host.cache_dir())

    workloads = [(name, make(), units) for name, make, units in SHOWN]
    devices = [workload.devices()[0] for _, workload, _ in workloads]
    mem = max(workload.mem for _, workload, _ in workloads)
    say("booting a guest with a disk, a NIC, a port and a balloon")
    results = []
    with Guest(options.kernel, built, mem=mem, devices=devices) as guest:
        tools = Tools.put_into(guest, programs)
        for (name, workload, units), device in zip(workloads, devices):
            session = Session(guest, device, tools)
            with session.cleanup:
                session.load(workload.driver, f"{workload.driver}_rh")
                workload.prepare(session)
                sides = {}
                for driver in (workload.driver, f"{workload.driver}_rh"):
                    say(f"{name}: {driver}")
                    sides[driver] = one_side(session, workload, driver, units)
                results.append((name, workload, units, sides))
        say("clock: pvclock_rh")
        clock_result = clock(guest)
        release = guest.kernel.release
    say("done")
    print(f"\nA guest with Linux {release} and 2 vCPU, under emulation. One run of "
          f"{SECONDS:g} s a side,\nso figures are rough; `make bench` measures.\n")
    print(report(results, clock_result))
    return 0


if __name__ == "__main__":
    run("demo", main)
