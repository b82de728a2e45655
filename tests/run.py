# SPDX-License-Identifier: GPL-2.0-only
"""Runs the stages of `make check` one after the other and adds up what they counted.

Each stage is a pytest run of its own, so that one stage's fixtures never meet another's. A
stage that fails does not stop the next one: the last line tells all.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

REPO = pathlib.Path(__file__).resolve().parents[1]
LAB = str(REPO / "tests/vm/lab")
sys.path.insert(0, str(REPO / "tests/vm"))

from vrhlab import host  # noqa: E402

#: Three guests at a time on two processors: a guest waits about a third of its time, for a
#: time limit to pass or for the host. VRH_SLOTS is the lab's own bound.
GUESTS = 3
PARALLEL = ["-n", str(GUESTS), "--dist", "loadgroup"]

#: Builds have parts that use one processor: compiling probes, depmod, modpost.
BUILDS = ["-n", "2"]

#: What `make check` leaves to the stage "all", to end within 25 minutes. On the debug kernel,
#: which is ten times slower under TCG, it runs the KUnit suites, data through a disk and a NIC,
#: and some seconds of hostile devices of each type; the in-tree drivers, which show that a test
#: works, the tests that take longest, and a clock on an unstable host, on one kernel; simulated
#: devices with one layout of their rings, and none of the suites that drive a module through them.
SELECTION = ("(not debug or test_kunit or test_ext4_keeps or test_copy_is and 2-pairs or "
             "test_hostile_device) and "
             "(not in-tree and not one_kernel or 6.12) and "
             "(not hpet or 6.12) and (not test_comes_and_goes_a_hundred or hpet) and "
             "(not test_simdev or ours and packed-event-dma) and not on_simdev")

#: Both virtual processors of a guest in one thread: none of them waits for a lock whose holder
#: does not run, which costs a fifth of the machine. What runs at the same time for real is for
#: the stage "all". Neither is without faults of QEMU 10.0: in one thread it leaves the barrier out
#: of locked instructions (`-d out_asm`), and Linux's smp_mb() is one, so that a kick may get lost;
#: with two, guests were seen to stand still after hot plug.
ONE_THREAD = {"VRH_ACCEL": "tcg,thread=single"}

#: What reaches the lines of the modules: the suites, data through each kind of device, and what
#: happens to a driver; on the debug kernel, whose modules count them.
COVERAGE = ("debug and not in-tree and (test_kunit or test_simdev or test_lifecycle or "
            "test_pvclock or test_net or test_blk or test_console or test_balloon)")

#: Name of a stage, what pytest runs for it. In the order of what fails fastest.
STAGES = {
    "static": ["tests/static/test_static.py"],
    "build": [*BUILDS, "tests/static/test_compat.py", "tests/static/test_builds.py"],
    "unit": ["bench"],
    "packages": [*BUILDS, "tests/pkg"],
    "guests": [*PARALLEL, "-k", SELECTION, "tests/vm"],
    "all": [*PARALLEL, "tests/vm"],
    "coverage": [*PARALLEL, "-k", COVERAGE, "tests/vm"],
}

#: Stages that run unless others are named.
DEFAULT = ["static", "build", "unit", "packages", "guests"]


def fetch(names):
    """Gets what the stages NAMES would fetch or build on first need; True if all is there.

    pytest keeps what a test prints to itself, and this may take half an hour: where a person
    sees how far it is.
    """
    kernels = ["debug"] if names == ["coverage"] else host.words("VRH_KERNELS")
    orders = [["source", "scripts/checkpatch.pl"]]
    if not {"static", "unit"}.issuperset(names or DEFAULT):
        orders.append(["fetch", *kernels])
    return all(subprocess.run([sys.executable, LAB, *order]).returncode == 0 for order in orders)


def count(report):
    """(passed, failed, skipped) of a JUnit report; errors count as failures."""
    passed = failed = skipped = 0
    try:
        root = xml.etree.ElementTree.parse(report).getroot()
    except (OSError, xml.etree.ElementTree.ParseError):
        return 0, 1, 0
    for suite in root.iter("testsuite"):
        bad = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skip = int(suite.get("skipped", 0))
        failed += bad
        skipped += skip
        passed += int(suite.get("tests", 0)) - bad - skip
    return passed, failed, skipped


def environment(stage):
    """The environment of a stage."""
    found = {"VRH_SLOTS": str(GUESTS), **(ONE_THREAD if stage in ("guests", "coverage") else {}),
             **os.environ}
    if stage == "coverage":
        found["VRH_KERNELS"] = "debug"
        if "VRH_COVERAGE" not in found:     # counters of what was built then
            shutil.rmtree(host.cache_dir() / "coverage", ignore_errors=True)
            found["VRH_COVERAGE"] = str(host.cache_dir() / "coverage")
    return found


def run(stage, targets):
    """Runs one stage; returns (passed, failed, skipped, seconds)."""
    begun = time.monotonic()
    variables = environment(stage)
    print(f"\n=== {stage}: {' '.join(targets)}", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        report = os.path.join(scratch, "report.xml")
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-v", "--tb=short", "--durations=60", "-rs",
             "-p", "no:cacheprovider", f"--junitxml={report}", *targets], cwd=REPO,
            env=variables)
        passed, failed, skipped = count(report)
    # pytest's own trouble (no test collected, an internal error) counts as one failure.
    if done.returncode and not failed:
        failed = 1
    if stage == "coverage":
        enough = subprocess.run([sys.executable, LAB, "coverage"], env=variables).returncode == 0
        passed, failed = passed + enough, failed + (not enough)
    return passed, failed, skipped, time.monotonic() - begun


def main(names):
    """Runs the named stages, or the usual ones; status 0 if something ran and nothing failed."""
    unknown = [n for n in names if n not in STAGES]
    if unknown:
        print(f"check: no stage '{unknown[0]}'; stages: {', '.join(STAGES)}", file=sys.stderr)
        return 2
    if not fetch(names):
        print("\n0 passed, 1 failed")
        return 1
    totals = [0, 0, 0]
    lines = []
    for stage in names or DEFAULT:
        *counts, seconds = run(stage, STAGES[stage])
        totals = [a + b for a, b in zip(totals, counts)]
        lines.append(f"{stage:10} {counts[0]:4} passed {counts[1]:4} failed {counts[2]:4} skipped"
                     f" {seconds:7.0f} s")
    passed, failed, skipped = totals
    print("\n" + "\n".join(lines))
    if skipped:
        print(f"{skipped} skipped, each with its reason above")
    print(f"\n{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
