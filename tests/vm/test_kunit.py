# SPDX-License-Identifier: GPL-2.0-only
"""The KUnit suites of tests/kunit, each module loaded on the debug kernel.

The results are read from KUnit's debugfs files, where no other message can come between,
and parsed to the last line: what does not fit the format is a failure, and so is a suite
that is not there, that is empty, or that skipped a case.
"""

import os
import pathlib
import re

import pytest

from conftest import KERNELS
from vrhlab import faults, host

TREE = pathlib.Path(os.environ.get("VRH_TREE") or host.repository())

#: Every driver has its suites; a file that goes missing must not go unnoticed.
EXPECTED = set("""
    balloon_alloc_test
    balloon_life_test
    balloon_mm_test
    balloon_policy_test
    balloon_ring_test
    blk_alloc_test
    blk_lies_test
    blk_life_test
    blk_limits_test
    blk_ring_test
    blk_stall_test
    console_alloc_test
    console_ctrl_test
    console_lies_test
    console_life_test
    console_log_test
    console_msg_test
    console_port_test
    console_ring_test
    console_settle_test
    net_alloc_test
    net_ctrl_test
    net_ethtool_test
    net_filter_test
    net_hdr_test
    net_life_test
    net_lies_test
    net_ring_test
    net_send_test
    net_wake_test
    pvclock_host_test
    pvclock_jumps_test
    pvclock_load_test
    pvclock_math_test
    pvclock_read_test
    pvclock_source_test
    sim_alloc_test
    sim_core_test
""".split())


def source(module):
    """Text of a test's source, empty if there is none."""
    path = TREE / f"tests/kunit/{module}.c"
    return path.read_text() if path.exists() else ""


#: Suites that drive a module through the simulated device take minutes, and `make check` leaves
#: them out by this mark (tests/run.py).
MODULES = [
    pytest.param(module, marks=[pytest.mark.on_simdev] if "\nSIM_SUITE(" in source(module) else [])
    for module in sorted(EXPECTED | {path.stem for path in TREE.glob("tests/kunit/*_test.c")})]

#: modprobe returns when a suite has ended. The longest take two minutes beside two other guests;
#: on a machine that is ten times slower they are to pass, too. KUnit itself ends a case.
SUITE_SECONDS = 1800

RESULT = re.compile(r"(ok|not ok) (\d+) (\S+)(?: # (SKIP.*))?")


class Malformed(Exception):
    """A text is not the KTAP that KUnit writes."""


class Lines:
    """The lines of a KTAP text, looked at one by one."""

    def __init__(self, text):
        self._lines = text.splitlines()
        self._next = 0

    def peek(self, depth):
        """The next line without the indentation of DEPTH, None if it belongs further out."""
        if self._next == len(self._lines):
            return None
        line = self._lines[self._next]
        if not line.startswith("    " * depth):
            return None
        return line[4 * depth:]

    def take(self):
        """Goes on to the next line."""
        self._next += 1

    def fail(self, why):
        """Raises with the number and the text of the line."""
        where = self._lines[self._next] if self._next < len(self._lines) else "end of text"
        raise Malformed(f"line {self._next + 1}: {why}: {where!r}")


def parse(text):
    """The tests in a KTAP text: [(name, "ok" | "not ok" | "skip", tests in it)].

    Strict: version line, plan and numbering must be right, a test that holds others may
    only be ok if they are, and every line must belong to the format.
    """
    lines = Lines(text)
    found = _block(lines, 0)
    if lines.peek(0) is not None:
        lines.fail("text behind the end")
    return found


def _block(lines, depth):
    if lines.peek(depth) != "KTAP version 1":
        lines.fail("no version line")
    lines.take()
    plan, tests, within = None, [], []
    while (line := lines.peek(depth)) is not None:
        if line == "    KTAP version 1":
            if within:
                lines.fail("a second block for one test")
            within = _block(lines, depth + 1)
            continue
        if match := re.fullmatch(r"1\.\.(\d+)", line):
            if plan is not None or tests:
                lines.fail("a plan out of place")
            plan = int(match[1])
        elif match := RESULT.fullmatch(line):
            if int(match[2]) != len(tests) + 1:
                lines.fail("a number out of order")
            status = "skip" if match[4] else match[1]
            if status == "ok" and any(test[1] == "not ok" for test in within):
                lines.fail("ok in spite of a failure within")
            tests.append((match[3], status, within))
            within = []
        elif not re.match(r"\s*# ", line) and line.strip():
            lines.fail("not KTAP")
        lines.take()
    if within:
        lines.fail("a block without its result")
    # Only the parameters of one case, two levels in, may come without a plan.
    if plan is None and depth < 2:
        lines.fail("no plan")
    if plan is not None and plan != len(tests):
        lines.fail(f"{len(tests)} results for a plan of {plan}")
    return tests


GOOD = """KTAP version 1
1..1
    KTAP version 1
    # Subtest: suite
    # module: m
    1..2
        KTAP version 1
        # Subtest: with_parameters
        ok 1 first
        ok 2 second
    # with_parameters: pass:2 fail:0 skip:0 total:2
    ok 1 with_parameters
    ok 2 plain
# suite: pass:2 fail:0 skip:0 total:2
# Totals: pass:3 fail:0 skip:0 total:3
ok 1 suite
"""


def test_parser_finds_every_case():
    """Suite, cases and parameters come out as a tree."""
    assert parse(GOOD) == [("suite", "ok", [
        ("with_parameters", "ok", [("first", "ok", []), ("second", "ok", [])]),
        ("plain", "ok", [])])]
    skipped = GOOD.replace("ok 2 plain", "ok 2 plain # SKIP not here")
    assert parse(skipped)[0][2][1] == ("plain", "skip", [])


@pytest.mark.parametrize("old, new", [
    ("KTAP version 1\n1..1", "TAP version 14\n1..1"),
    ("1..1\n", ""),
    ("    1..2\n", "    1..3\n"),
    ("    ok 2 plain\n", ""),
    ("    ok 2 plain\n", "    ok 3 plain\n"),
    ("    ok 2 plain\n", "    not ok 2 plain\n"),
    ("        ok 1 first\n", "        not ok 1 first\n"),
    ("    ok 2 plain\n", "    okay 2 plain\n"),
    ("ok 1 suite\n", ""),
    ("ok 1 suite\n", "ok 1 suite\nmore\n"),
    ("    ok 2 plain\n", "    ok 2 plain\n[   31.2] BUG: something\n")])
def test_parser_refuses(old, new):
    """Each way of being wrong is noticed."""
    assert old in GOOD
    with pytest.raises(Malformed):
        parse(GOOD.replace(old, new, 1))


def suites(module):
    """Names of the suites that a test's source declares."""
    text = source(module)
    declared = re.findall(r"static struct kunit_suite \w+ = \{(.*?)\n\};", text, re.DOTALL)
    named = {re.search(r"\.name = \"([^\"]+)\"", body)[1] for body in declared}
    return named | set(re.findall(r"^SIM_SUITE\((\w+),", text, re.MULTILINE))


@pytest.mark.skipif("debug" not in KERNELS, reason="KUnit is in the debug kernel only")
@pytest.mark.parametrize("kernel", ["debug"], indirect=True)
@pytest.mark.parametrize("module", MODULES)
def test_suites_pass(lab, module, record_property, request):
    """Every case of every suite of the module ran and passed."""
    if os.environ.get("VRH_MODULES"):
        pytest.skip("VRH_MODULES leaves the KUnit suites out")
    assert module in lab.built.modules, f"tests/kunit/{module}.c is missing or was not built"
    names = suites(module)
    assert names, f"tests/kunit/{module}.c declares no suite"

    # The core warns when a device that is gone does not read as reset (virtio_dev_remove).
    # modprobe waits for each case, which is another task: one that hangs is still seen.
    guest = lab.share("kunit", append="kunit.autorun=1",
                      allowed=[r"virtio_dev_remove", r"Call Trace",
                               r"INFO: task modprobe:\d+ blocked for more than"])
    failing = module.endswith("_alloc_test")
    if failing:
        driver, = re.findall(r"^SIM_SUITE\(\w+, (\w+),", source(module), re.MULTILINE)
        guest.modprobe(driver)
        faults.limit(guest, driver)
    guest.run(["modprobe", module], timeout=SUITE_SECONDS, check=True)
    folder = "/sys/kernel/debug/kunit"
    assert set(guest.sh(f"ls {folder}").split()) == names
    cases = 0
    for name in sorted(names):
        text = guest.sh(f"cat {folder}/{name}/results") + "\n"
        # What an expectation prints is not all KTAP.
        assert "not ok" not in text, text
        tests = parse(text)
        assert [test[0] for test in tests] == [name], text
        assert tests[0][2], f"suite {name} has no case"
        bad = [test for test in (*tests, *tests[0][2]) if test[1] != "ok"]
        assert not bad, text
        cases += len(tests[0][2])
    guest.run(["rmmod", module], check=True)
    if failing:
        guest.check_leaks()

    record_property("cases", cases)
    reporter = request.config.pluginmanager.getplugin("terminalreporter")
    if reporter:
        reporter.write_line(f"{module}: {len(names)} suites, {cases} cases")
