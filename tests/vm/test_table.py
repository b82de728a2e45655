# SPDX-License-Identifier: GPL-2.0-only
"""The table of lies: its verdicts and its form, and that nobody types into the generated one."""

import dataclasses
import re

import pytest

from vrhlab import host, lies, table

CASE = next(case for case in lies.CASES if case.key == "net/dropped")
TOLD = [{"step": "bind", "seconds": 75}, {"works": True, "errors": 0, "wrong": 0, "moved": 40},
        {"counted": {}}, {"stats": {"drop": "20"}, "messages": []}, {"parting": []}]
DOCUMENT = host.repository() / "docs/hostile-table.md"


def changed(**facts):
    """TOLD with other facts."""
    told = {name: value for line in TOLD for name, value in line.items()}
    return [{**told, **facts}]


@pytest.mark.parametrize("line, word", [
    ("[   12.3] BUG: KASAN: slab-out-of-bounds in f+0x1/0x2 [virtio_console]", "KASAN"),
    ("[   12.3][  T17] BUG: KASAN: slab-use-after-free in f+0x1/0x2 [virtio_blk]", "KASAN"),
    ("[   12.3] kernel BUG at mm/x.c:1!", "BUG"),
    ("[   12.3] BUG: unable to handle page fault for address: ffff888000000000", "BUG"),
    ("[   12.3] Oops: general protection fault, probably for ...: 0000 [#1]", "BUG"),
    ("[   12.3] BUG: sleeping function called from invalid context at mm/x.c:1", "BUG"),
    ("[   12.3] Kernel panic - not syncing: System is deadlocked on memory", "panic"),
    ("[   12.3] UBSAN: array-index-out-of-bounds in x.c:1:2", "UBSAN"),
    ("[   12.3] WARNING: drivers/virtio/virtio_ring.c:1 at f+0x1/0x2, CPU#0: python3/1", "WARN"),
    ("[   12.3] sysfs: cannot create duplicate filename '/devices/x'", "WARN"),
    ("[   12.3] WARNING: possible circular locking dependency detected", "lockdep"),
    ("[   12.3] WARNING: suspicious RCU usage", "lockdep"),
    ("[   12.3] INFO: task kworker/0:1:9 blocked for more than 120 seconds.", "hang"),
    ("[   12.3] watchdog: BUG: soft lockup - CPU#1 stuck for 62s! [ip:1]", "hang"),
    ("[   12.3] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", "hang")])
def test_reports_are_named(line, word):
    """Each kind of report is found among other lines, and is the outcome of its case."""
    console = f"[    1.0] virtio_net: fine\n{line}\n[   13.0] Call Trace:\n"
    assert [found for found, _ in table.reports(console)] == [word]
    assert table.judge(CASE, "ours", TOLD, console).outcome == word


@pytest.mark.parametrize("line", [
    "[    0.0] UBSAN: bounds checking enabled", "[    0.0] DMA-API: preallocated 65536 entries",
    "[    0.0] kasan: KernelAddressSanitizer initialized (generic)",
    "[   12.3] WARNING: drivers/virtio/virtio.c:1 at virtio_dev_remove+0x1/0x2, CPU#0: python3/1"])
def test_what_any_kernel_prints_is_no_report(line):
    """Notes at start-up, and the core's own warning about a device that is gone."""
    assert table.reports(line) == []


def test_worst_report_is_the_outcome():
    """A sanitizer's report before a crash does not hide the crash; a hang is worse than both."""
    console = ("[ 1.0] WARNING: x.c:1 at f+0x1\n[ 1.1] BUG: KASAN: slab-out-of-bounds in f\n"
               "[ 1.2] Oops: Oops: 0000 [#1]\n")
    result = table.judge(CASE, "in-tree", TOLD, console)
    assert result.outcome == "BUG" and len(result.seen) == 3
    result = table.judge(CASE, "in-tree", [*TOLD, {"stuck": "unplug"}], console)
    assert result.outcome == "hang" and "unplug does not end" in result.seen


def test_a_guest_that_ends_or_stands_still_is_not_well():
    """No report is needed: one that has gone has panicked, one that says nothing hangs."""
    assert table.judge(CASE, "ours", TOLD[:1], "", died=True).outcome == "panic"
    result = table.judge(CASE, "ours", TOLD[:1], "", late="bind")
    assert result.outcome == "hang" and result.seen == ["probe does not end"]
    result = table.judge(CASE, "ours", [*TOLD, {"error": "rmmod", "text": "in use"}], "")
    assert result.outcome == "hang"


def test_good_outcomes_are_told_apart():
    """It works; it counts; it is dead and nobody was told."""
    def outcome(told):
        result = table.judge(CASE, "ours", told, "")
        return result.outcome, result.after
    assert outcome(TOLD) == ("ok", "works")
    assert outcome(changed(counted={"rx_drops": 3})) == ("counted", "works")
    assert outcome(changed(messages=["virtio_net virtio1: bad gso"])) == ("counted", "works")
    assert outcome(changed(works=False)) == ("dead", "silence")
    assert outcome(changed(works=False, errors=2)) == ("dead", "errors")
    # A removal under load may be logged; that is a count only of a device that had failed.
    assert outcome(changed(parting=["I/O error, dev vda"])) == ("ok", "works")
    assert outcome(changed(works=False, parting=["I/O error, dev vda"])) == ("counted", "silence")
    assert outcome([{"refused": True, "messages": ["probe failed"]}]) == ("counted", "refused")


def test_a_lie_that_was_not_told_shows():
    """A rule that met no event is named in the table."""
    result = table.judge(CASE, "ours", changed(stats={"drop": "0"}), "")
    assert result.untold == ["drop"]
    assert table.cell(result) == ("ok, not told: drop", "works")


def test_wrong_data_of_a_disk_is_worse_than_a_count():
    """A block that is not what was written; a network may lose and change frames."""
    disk = next(case for case in lies.CASES if case.kind == "blk")
    told = changed(wrong_ever=1, counted={"errors": 1})
    assert table.judge(disk, "ours", told, "").outcome == "wrong data"
    assert table.judge(CASE, "ours", told, "").outcome == "counted"


def test_results_are_kept(tmp_path):
    """A later result of a case replaces the one before; a half line is none."""
    path = tmp_path / "results"
    for outcome in ("hang", "ok"):
        table.Results(path).add(table.Result(CASE.key, "ours", outcome))
    with open(path, "a") as out:
        out.write('{"case": "net/')
    assert table.Results(path).get(CASE, "ours").outcome == "ok"
    assert table.Results(path).get(CASE, "in-tree") is None


def rows(text):
    """[(type, lie)] of the tables of results in a document."""
    found, kind = [], None
    for line in text.splitlines():
        if line.startswith("## "):
            kind = {title: kind for kind, title in table.TITLES.items()}.get(line[3:])
        elif line.startswith("### "):
            kind = None
        elif kind and line.startswith("| ") and not line.startswith("| lie |"):
            found.append((kind, line.split(" | ")[0].removeprefix("| ")))
    return found


def documents(tmp_path):
    """A table of made-up results, and the one in docs/ if it was generated."""
    results = table.Results(tmp_path / "results")
    for number, case in enumerate(lies.CASES):
        for driver in table.DRIVERS:
            outcome = table.OUTCOMES[number % len(table.OUTCOMES)]
            results.add(table.Result(case.key, driver, outcome, "works", ["a | b", "`c`"], [], 60,
                                     "2026-11-23", "7.3.4", "0123456789"))
    yield table.render(results)
    if DOCUMENT.exists():
        yield DOCUMENT.read_text()


def test_table_has_the_cases_of_the_code(tmp_path):
    """Each case is there, in order, with a result for both drivers."""
    for text in documents(tmp_path):
        assert rows(text) == [(case.kind, case.name) for case in lies.CASES]
        assert "not run" not in text


def test_table_says_where_it_comes_from(tmp_path):
    """The kernel, the commit, the date and the command are in its header."""
    for text in documents(tmp_path):
        header = text.partition("## Sums")[0]
        assert re.search(r"\| kernel \| \d+\.\d+", header)
        assert re.search(r"\| virtio-rh \| [0-9a-f]{10} \|", header)
        assert re.search(r"\| run \| 20\d\d-\d\d-\d\d", header)
        assert "tests/vm/lab table" in header and "nobody types into it" in header


def test_table_has_outcomes_only(tmp_path):
    """A cell is an outcome, bold if it is bad; what stands in a line breaks no row."""
    outcome = re.compile(rf"(\*\*)?({'|'.join(table.OUTCOMES)})(\*\*)?(, not told: .*)?")
    for text in documents(tmp_path):
        for line in text.splitlines():
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            assert len(cells) in (0, 2, 3, 5), line
            if len(cells) != 5 or cells[0] in ("lie", "---"):
                continue
            for found in map(outcome.fullmatch, (cells[1], cells[3])):
                assert found and bool(found[1]) == (found[2] not in table.GOOD), line


def test_what_was_not_run_shows(tmp_path):
    """A table of half the results does not look like a whole one."""
    text = table.render(table.Results(tmp_path / "results"))
    assert text.count("not run") == 2 * len(lies.CASES)


def test_cases_can_be_named():
    """No two have the same name, and each is a line that the device can understand."""
    keys = [case.key for case in lies.CASES]
    assert len(keys) == len(set(keys))
    for case in lies.CASES:
        assert case.lines or case.before or case.surprise or case.name == lies.HONEST
        assert all(re.fullmatch(r"!.+|[a-z-]+( [a-z]+=\S+)*", line)
                   for line in (*case.before, *case.lines)), case.key
        assert dataclasses.asdict(case)["kind"] in table.TITLES
