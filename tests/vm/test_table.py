# SPDX-License-Identifier: GPL-2.0-only
"""The table of lies: its verdicts and its form, and that nobody types into the generated one."""

import contextlib
import dataclasses
import json
import os
import pathlib
import re
import threading
import time
import types

import pytest

from vrhlab import frozen, host, initramfs, judge, lies, seal, table, tabletext

CASE = next(case for case in lies.CASES if case.key == "net/dropped")
TOLD = [{"step": "bind", "seconds": 75}, {"works": True, "errors": 0, "wrong": 0, "moved": 40},
        {"counted": {}}, {"stats": {"drop": "20"}, "messages": []}, {"parting": []}]
DOCUMENT = host.repository() / "docs/hostile-table.md"
RULES = host.repository() / "tests/simdev/script.c"
PROGRAM = pathlib.Path(frozen.__file__).with_name("guest") / "meet.py"


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
    ("[   12.3] WARNING: bad unlock balance detected!", "lockdep"),
    ("[   12.3] irq 11: nobody cared (try booting with the \"irqpoll\" option)", "WARN"),
    ("[   12.3] python3: page allocation failure: order:5, mode:0x40cc0", "WARN"),
    ("[   12.3] Out of memory: Killed process 71 (python3) total-vm:1kB", "OOM"),
    ("[   12.3] unregister_netdevice: waiting for eth0 to become free. Usage count = 2", "hang"),
    ("[   12.3] BUG: KASAN: slab-use-after-free in virtio_dev_remove+0x1/0x2", "KASAN"),
    ("[   12.3] WARNING: drivers/virtio/virtio.c:1 at virtio_dev_remove+0x1/0x2, CPU#0: x/1",
     "WARN"),
    ("[   12.3] INFO: task kworker/0:1:9 blocked for more than 120 seconds.", "hang"),
    ("[   12.3] watchdog: BUG: soft lockup - CPU#1 stuck for 62s! [ip:1]", "hang"),
    ("[   12.3] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", "hang")])
def test_reports_are_named(line, word):
    """Each kind of report is found among other lines, and is the outcome of its case."""
    console = f"[    1.0] virtio_net: fine\n{line}\n[   13.0] Call Trace:\n"
    assert [found for found, _ in judge.reports(console)] == [word]
    assert judge.judge(CASE, "ours", TOLD, console).outcome == word


@pytest.mark.parametrize("line", [
    "[    0.0] UBSAN: bounds checking enabled", "[    0.0] DMA-API: preallocated 65536 entries",
    "[    0.0] kasan: KernelAddressSanitizer initialized (generic)"])
def test_what_any_kernel_prints_is_no_report(line):
    """Notes at start-up."""
    assert judge.reports(line) == []


def test_core_warns_of_a_device_that_is_gone():
    """That is no driver's doing; a device that is there must read as reset when it is removed."""
    line = "WARNING: drivers/virtio/virtio.c:1 at virtio_dev_remove+0x1/0x2, CPU#0: python3/1"
    for case in lies.CASES:
        assert judge.judge(case, "ours", TOLD, line).outcome == (
            "ok" if case.surprise or "gone" in case.lines else "WARN")
    after = f"{line}\nBUG: KASAN: slab-use-after-free in virtio_dev_remove+0x1/0x2\n"
    assert [word for word, _ in judge.reports(after, gone=True)] == ["KASAN"]


def test_worst_report_is_the_outcome():
    """A sanitizer's report before a crash does not hide the crash; a hang is worse than both."""
    console = ("[ 1.0] WARNING: x.c:1 at f+0x1\n[ 1.1] BUG: KASAN: slab-out-of-bounds in f\n"
               "[ 1.2] Oops: Oops: 0000 [#1]\n")
    result = judge.judge(CASE, "in-tree", TOLD, console)
    assert result.outcome == "BUG" and len(result.seen) == 3
    result = judge.judge(CASE, "in-tree", [*TOLD, {"stuck": "unplug"}], console)
    assert result.outcome == "hang" and "unplug does not end" in result.seen


def test_a_guest_that_ends_or_stands_still_is_not_well():
    """No report is needed: one that has gone has panicked, one that says nothing hangs."""
    assert judge.judge(CASE, "ours", TOLD[:1], "", died=True).outcome == "panic"
    result = judge.judge(CASE, "ours", TOLD[:1], "", late="bind")
    assert result.outcome == "hang" and result.seen == [
        "probe does not end (the guest stands still)"]
    result = judge.judge(CASE, "ours", TOLD[:1], "", late="!echo $(ls $DEVICE) | cat")
    assert result.seen == ["a command of the case does not end (the guest stands still)"]
    result = judge.judge(CASE, "ours", [*TOLD, {"error": "rmmod", "text": "it has 1 users"}], "")
    assert result.outcome == "hang" and "it has 1 users" in result.seen[0]
    # Who was killed, as no memory was left, has not panicked.
    console = "Out of memory: Killed process 1\n"
    assert judge.judge(CASE, "ours", TOLD[:1], console, died=True).outcome == "OOM"


def test_hang_says_where_it_stands():
    """Who reads the table can tell a hang from a slow guest by what its tasks wait for."""
    told = [*TOLD, {"stuck": "unplug", "where": ["python3: wait_x < remove", "kworker/0:1: y"]}]
    assert judge.judge(CASE, "ours", told, "").seen == [
        "unplug does not end (python3: wait_x < remove; kworker/0:1: y)"]


@pytest.mark.parametrize("told, why", [
    ([], "nothing happened"),
    ([*TOLD, {"error": "counters", "text": "FileNotFoundError: ethtool"}], "ethtool"),
    ([*TOLD, {"error": "unplug", "text": "OSError: [Errno 19] x"}], "unplug"),
    ([{"first": False}, *TOLD], "no data moved"),
    ([*TOLD, {"error": CASE.lines[0], "text": "OSError: [Errno 22] Invalid argument"}], "drop")])
def test_what_was_not_run_has_no_verdict(told, why):
    """A program of ours that fails, a lie that the device cannot tell: that is not the driver's."""
    assert why in judge.not_run(CASE, told)


def test_what_drivers_do_is_a_run():
    """A driver that refuses the device, or holds its module, or moves nothing of a bad device."""
    for line in ({"error": "bind", "text": "OSError: [Errno 22] x"},
                 {"error": "rmmod", "text": "it has 1 users"}, {"first": True}):
        assert judge.not_run(CASE, [line, *TOLD]) is None
    early = next(case for case in lies.CASES if case.before)
    assert judge.not_run(early, [{"first": False}, *TOLD]) is None


def test_good_outcomes_are_told_apart():
    """It works; it counts; it is dead and nobody was told."""
    def outcome(told):
        result = judge.judge(CASE, "ours", told, "")
        return result.outcome, result.after
    assert outcome(TOLD) == ("ok", "works")
    assert outcome(changed(counted={"rx_drops": 3})) == ("counted", "works")
    assert outcome(changed(messages=["virtio_net virtio1: bad gso"])) == ("counted", "works")
    assert outcome(changed(waiting=1)) == ("ok", "partly")
    assert outcome(changed(works=False, waiting=4)) == ("dead", "silence")
    assert outcome(changed(works=False, errors=2)) == ("dead", "errors")
    # A removal under load may be logged; that is a count only of a device that had failed.
    assert outcome(changed(parting=["I/O error, dev vda"])) == ("ok", "works")
    assert outcome(changed(works=False, parting=["I/O error, dev vda"])) == ("counted", "silence")
    assert outcome([{"refused": True, "messages": ["probe failed"]}]) == ("counted", "refused")


def untold(case, told, **stats):
    """What of CASE was not told if the device has counted STATS."""
    return judge.untold(case, [*told, {"stats": {name: str(n) for name, n in stats.items()}}])


def test_a_lie_that_was_not_told_shows():
    """A rule that met no event is named in the table."""
    result = judge.judge(CASE, "ours", changed(stats={"drop": "0"}), "")
    assert result.untold == list(CASE.lines)
    assert tabletext.cell(result) == (
        "ok, not told: `drop queue=0 count=10`, `drop queue=1 count=10`", "works")
    assert not untold(CASE, [], drop=1)


def test_each_of_several_lies_must_be_told():
    """Of rules that have their turn one after the other the device counts events, not rules."""
    case = lies.Case("blk", "x", tuple(lies.turns("len value=0 count=6", "len value=1 count=6")))
    assert case.lines == ("len value=0 count=6", "len value=1 count=6 skip=6")
    assert [len(untold(case, [], len=count)) for count in (0, 1, 6, 7, 12)] == [2, 1, 1, 0, 0]


def test_action_that_failed_was_not_told():
    """What is done at once is told unless the device refused; statistics others ask for, too."""
    case = lies.Case("balloon", "x", ("config at=1 value=1", "config at=2 value=2", "poll"))
    refused = [{"error": line, "text": "OSError: [Errno 11] x"} for line in case.lines[1:]]
    assert untold(case, refused, config=1, poll=3) == ["config at=2 value=2"]
    assert untold(case, [], config=2, poll=0) == ["poll"]


def test_feature_that_the_driver_does_not_take():
    """Then the lie is none."""
    result = judge.judge(CASE, "ours", changed(declined=True), "")
    assert result.untold == ["the driver does not take the feature"]


def test_rules_are_those_of_the_device():
    """What lies.py takes for a rule waits for events, and all else is done at once."""
    names = re.findall(r'\[SIM_\w+\] = "([\w-]+)"', RULES.read_text())
    assert names[:names.index("release")] == list(lies.RULES)


def test_wrong_data_of_a_disk_is_worse_than_a_count():
    """A block that is not what was written; a network may lose and change frames."""
    disk = next(case for case in lies.CASES if case.kind == "blk")
    told = changed(wrong_ever=1, counted={"errors": 1})
    assert judge.judge(disk, "ours", told, "").outcome == "wrong data"
    assert judge.judge(CASE, "ours", told, "").outcome == "counted"


def test_results_are_kept(tmp_path):
    """A later result of a case replaces the one before; a half line is none, and harms no other."""
    path = tmp_path / "results"
    for outcome in ("hang", "ok"):
        table.Results(path).add(CASE, "ours", judge.Result(CASE.key, "ours", outcome))
    with open(path, "a") as out:
        out.write('{"case": "net/')
    table.Results(path).add(CASE, "in-tree", judge.Result(CASE.key, "in-tree", "hang"))
    assert table.Results(path).get(CASE, "ours").outcome == "ok"
    assert table.Results(path).get(CASE, "in-tree").outcome == "hang"


def checkout(path):
    """A tree with a file of everything that a result may depend on."""
    for name in ("virtio_net_rh/a.c", "virtio_blk_rh/a.c", "include/vrh/a.h", "compat/a.h",
                 "tests/simdev/a.c", "docs/a.md"):
        (path / name).parent.mkdir(parents=True)
        (path / name).write_text("1")
    return path


@pytest.mark.parametrize("name, dropped", [
    ("virtio_net_rh/a.c", ["ours"]), ("virtio_blk_rh/a.c", []), ("docs/a.md", []),
    ("include/vrh/a.h", ["in-tree", "ours"]), ("tests/simdev/a.c", ["in-tree", "ours"])])
def test_result_of_other_code_is_none(tmp_path, name, dropped):
    """A run goes on where it was interrupted, but never with what the code does no more."""
    source = checkout(tmp_path / "tree")
    before = table.Results(tmp_path / "results", source)
    for driver in table.DRIVERS:
        before.add(CASE, driver, judge.Result(CASE.key, driver, "ok"))
    (source / name).write_text("2")
    table.contents.cache_clear()
    after = table.Results(tmp_path / "results", source)
    assert [driver for driver in table.DRIVERS if not after.get(CASE, driver)] == dropped


def test_result_of_another_lie_or_kernel_is_none(tmp_path):
    """A case that has the same name and another script, another debug kernel."""
    results = table.Results(tmp_path / "results", kernel="1")
    results.add(CASE, "ours", judge.Result(CASE.key, "ours", "ok"))
    assert results.get(CASE, "ours")
    assert not results.get(dataclasses.replace(CASE, lines=("drop",)), "ours")
    assert not table.Results(tmp_path / "results", kernel="2").get(CASE, "ours")


@pytest.fixture
def meet(tmp_path):
    """What is in guest/meet.py, in a process of ours; said() is what it has told the host."""
    scope = {"SIM": None, "PATIENCE": 0, "ASIDE": set(),
             "OUT": os.open(tmp_path / "met", os.O_WRONLY | os.O_CREAT)}
    exec(compile(PROGRAM.read_text().partition("\nSIM, PATIENCE")[0], PROGRAM, "exec"), scope)
    scope["WATCH"] = 0.5
    scope["said"] = lambda: [json.loads(line) for line in (tmp_path / "met").open()]
    yield scope
    os.close(scope["OUT"])


def test_step_that_stands_still_is_stuck(meet):
    """It is told after the time that it has, with what it waits for."""
    with pytest.raises(meet["Stuck"]):
        meet["step"]("unplug", 0.2, threading.Event().wait)
    begun, stuck = meet["said"]()
    assert begun["step"] == stuck["stuck"] == "unplug"
    assert any("python" in line or "pytest" in line for line in stuck["where"])


def test_slow_step_has_its_time_again(meet):
    """A guest that has little of its machine is no hang, as long as the step moves."""
    def work():
        end = time.monotonic() + 60
        while "more" not in meet["said"]()[-1] and time.monotonic() < end:
            pass
        return 7
    assert meet["step"]("counters", 2, work) == 7
    assert [line.get("more") for line in meet["said"]()] == [None, "counters"]


def test_step_that_fails_says_why(meet):
    """And the next one begins."""
    assert meet["step"]("bind", 5, lambda: 1 / 0) is None
    assert "ZeroDivisionError" in meet["said"]()[1]["text"]


def test_counters_that_tell(meet):
    """What both drivers call errors is one, what moves on good days is none."""
    tells = meet["TELLS"].search
    assert all(map(tells, ("rx_broken", "errors", "rx0_drops", "cvq_late_answers", "host_late",
                           "rx_bad_gso_type", "tx_bytes_lost", "rx_length_clamped", "tx_stalls",
                           "rx_frame_errors", "bytes_discarded", "tx_tx_timeouts")))
    assert not any(map(tells, ("inflated", "deflated", "interrupts", "rx0_packets", "tx_kicks",
                               "bytes_sent", "messages_received", "reported", "rx_bytes")))


def test_lie_without_its_feature_is_not_told(meet, tmp_path):
    """The bits that the driver has taken are a line of 0 and 1, the lowest first."""
    (tmp_path / "features").write_text("0101\n")
    case = meet["Case"].__new__(meet["Case"])
    case.device = tmp_path
    for needs, declined in (([], False), ([1, 3], False), ([1, 2], True), ([57], True)):
        case.order = {"needs": needs}
        assert case.declined() is declined


def rows(text):
    """[(type, lie)] of the tables of results in a document."""
    found, kind = [], None
    for line in text.splitlines():
        if line.startswith("## "):
            kind = {title: kind for kind, title in tabletext.TITLES.items()}.get(line[3:])
        elif line.startswith("### "):
            kind = None
        elif kind and line.startswith("| ") and not line.startswith("| lie |"):
            found.append((kind, line.split(" | ")[0].removeprefix("| ")))
    return found


def documents(tmp_path):
    """A table of made-up results, and the one in docs/."""
    results = table.Results(tmp_path / "results")
    for number, case in enumerate(lies.CASES):
        for driver in table.DRIVERS:
            outcome = judge.OUTCOMES[number % len(judge.OUTCOMES)]
            results.add(case, driver, judge.Result(
                case.key, driver, outcome, "works", ["a | b", "`c`"], ["drop"] * (number % 2), 60,
                "2026-11-23", "7.3.4"))
    yield tabletext.render(results, "0123456789")
    yield DOCUMENT.read_text()


def test_table_has_no_place_of_this_machine(tmp_path):
    """Files of the kernel are named from its source on; no other path is in the document."""
    line = "UBSAN: array-index-out-of-bounds in /a/7.3-.../source/drivers/a.c:1:2"
    assert tabletext.quoted(line) == "`UBSAN: array-index-out-of-bounds in drivers/a.c:1:2`"
    for text in documents(tmp_path):
        assert not re.search(r"/(root|home|tmp|var)/", text)


def test_table_is_as_it_was_generated(tmp_path):
    """A letter that somebody types into it is found."""
    for text in documents(tmp_path):
        assert seal.is_sealed(text)
        assert not seal.is_sealed(text.replace("| ok |", "| OK |", 1))
        assert not seal.is_sealed(text + "\n")
        assert not seal.is_sealed(text.rpartition("\n<!-- ")[0])


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
    outcome = re.compile(rf"(\*\*)?({'|'.join(judge.OUTCOMES)})(\*\*)?(, not told: .*)?")
    for text in documents(tmp_path):
        for line in text.splitlines():
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            assert len(cells) in (0, 2, 3, 5), line
            if len(cells) != 5 or cells[0] in ("lie", "---"):
                continue
            for found in map(outcome.fullmatch, (cells[1], cells[3])):
                assert found and bool(found[1]) == (found[2] not in judge.GOOD), line


def test_what_was_not_run_shows(tmp_path):
    """A table of half the results does not look like a whole one."""
    text = tabletext.render(table.Results(tmp_path / "results"), "0123456789")
    assert text.count("not run") == 2 * len(lies.CASES)


def test_cases_can_be_named():
    """No two have the same name, and each is a line that the device can understand."""
    keys = [case.key for case in lies.CASES]
    assert len(keys) == len(set(keys))
    for case in lies.CASES:
        assert case.lines or case.before or case.surprise or case.name == lies.HONEST
        assert all(re.fullmatch(r"!.+|[a-z-]+( [a-z]+=\S+)*", line)
                   for line in (*case.before, *case.lines)), case.key
        assert not case.needs & ~int(case.create.split("=")[1].split()[0], 16), case.key
        assert dataclasses.asdict(case)["kind"] in tabletext.TITLES


def test_no_rule_hides_another():
    """All rules that are due apply to a buffer: two of one kind and queue must take turns."""
    for case in lies.CASES:
        taken = {}
        for line in (*case.before, *case.lines):
            words = line.split()
            if words[0] not in lies.RULES:
                continue
            fields = dict(word.split("=") for word in words[1:])
            turn = words[0], fields.get("queue")
            assert int(fields.get("skip", 0)) >= taken.get(turn, 0), f"{case.key}: {line}"
            taken[turn] = taken.get(turn, 0) + int(fields.get("count", 1))


def test_state_has_what_the_program_imports():
    """Python would compile the rest in each guest anew."""
    names = frozen.imports()
    assert names == re.findall(r"^import (.*)$", PROGRAM.read_text(), re.MULTILINE)
    assert "json" in names and not re.search(r"^from ", PROGRAM.read_text(), re.MULTILINE)


def test_archive_has_the_tree(tmp_path):
    """Files, directories and links of a root in memory, with modes, directories first."""
    tree = tmp_path / "tree"
    (tree / "usr/bin").mkdir(parents=True)
    (tree / "usr/bin/sh").write_bytes(b"#!")
    (tree / "usr/bin/sh").chmod(0o755)
    (tree / "bin").symlink_to("usr/bin")
    entries = {name: (mode, data) for name, mode, data in initramfs.tree_entries(tree, "root")}
    assert entries["root/usr/bin/sh"] == (0o100755, b"#!")
    assert entries["root/bin"] == (0o120777, b"usr/bin")
    names = list(entries)
    assert names.index("root/usr") < names.index("root/usr/bin") < names.index("root/usr/bin/sh")
    assert b"root/usr/bin/sh\0" in initramfs.archive(initramfs.tree_entries(tree, "root"))


class FakeGuest:
    """Stands for a guest; what it was made with is in MADE, FAIL says what it cannot do."""

    made, fail = [], ()

    def __init__(self, kernel, **options):
        self.options, self.booted, self.stopped = options, 1.0, False
        self.made.append(self)

    def do(self, what):
        """Does one of the things that may fail."""
        if what in self.fail:
            raise host.LabError(what)

    def start(self):
        """Starts or goes on."""
        self.do("thaw" if self.options.get("incoming") else
                "ram" if self.options.get("root") == "ram" else "boot")

    def save(self, path, timeout):
        """Writes its state."""
        self.do("save")
        path.write_bytes(b"state")

    def run(self, command, timeout=60, check=False):
        """Runs a command."""
        self.do("mount" if command == frozen.MOUNTS else "run")

    def kill(self):
        """Ends at once."""

    def stop(self):
        """Ends."""
        self.stopped = True


@pytest.fixture
def source(monkeypatch, tmp_path):
    """A source of such guests."""
    built = types.SimpleNamespace(kernel=types.SimpleNamespace(name="debug", release="7.3.4"),
                                  gcov=False)
    monkeypatch.setattr(FakeGuest, "made", [])
    monkeypatch.setattr(frozen.guest, "Guest", FakeGuest)
    monkeypatch.setattr(frozen.host, "make_directory", lambda: tmp_path)
    monkeypatch.setattr(frozen.rootfs, "make_tree", lambda path: path.mkdir())
    monkeypatch.setattr(frozen.initramfs, "with_root", lambda built, tree, path: path)
    with frozen.Source(built, 640, tell=lambda text: None) as made:
        yield made


def test_one_guest_boots_for_all(source):
    """The others go on from its state, each with the same initramfs."""
    guests = [source.get() for _ in range(3)]
    first, *rest = FakeGuest.made
    assert rest == guests and first.stopped and "incoming" not in first.options
    assert all(guest.options["incoming"] == source.state for guest in guests)
    assert len({guest.options["initrd"] for guest in FakeGuest.made}) == 1


@pytest.mark.parametrize("fail", ["ram", "save", "thaw", "mount"])
def test_guests_boot_where_no_state_can_be_had(source, monkeypatch, fail):
    """What was begun is ended, and nobody tries again."""
    monkeypatch.setattr(FakeGuest, "fail", (fail,))
    guests = [source.get() for _ in range(2)]
    assert all("root" not in guest.options for guest in guests)
    assert all(guest.stopped for guest in FakeGuest.made if guest not in guests)
    assert len(FakeGuest.made) <= 4 and not source.state


def results_of(tmp_path, monkeypatch, outcomes, jobs=1):
    """Runs the first cases with a guest that says OUTCOMES of them: (whole, results, told)."""
    told = []
    cases = [case for case in lies.CASES if case.kind == "net"][:len(outcomes)]
    monkeypatch.setattr(table.host, "guest_slot", contextlib.nullcontext)
    monkeypatch.setattr(table.frozen, "Source", lambda *words, **names: contextlib.nullcontext())

    def meet_in_guest(case, driver, source, keep):
        told.append(case.key)
        outcome = outcomes[cases.index(case)]
        if outcome is None or callable(outcome) and not outcome():
            raise host.LabError("no guest")
        return judge.Result(case.key, driver, "ok")
    monkeypatch.setattr(table, "meet_in_guest", meet_in_guest)
    results = table.Results(tmp_path / "results")
    whole = table.run(cases, ["ours"], results, lambda: None, jobs=jobs, tell=lambda text: None)
    return whole, results, told, cases


def test_run_goes_on_where_it_was(tmp_path, monkeypatch):
    """What is known is not run again; a case that could not be run is, and fails the run."""
    whole, results, told, cases = results_of(tmp_path, monkeypatch, ["ok", None, "ok"])
    assert not whole and len(told) == 2 + table.TRIES and told.count(cases[1].key) == table.TRIES
    assert [bool(results.get(case, "ours")) for case in cases] == [True, False, True]
    whole, results, told, cases = results_of(tmp_path, monkeypatch, ["ok", "ok", "ok"])
    assert whole and told == [cases[1].key]


def test_case_is_tried_again(tmp_path, monkeypatch):
    """A guest that did not come up once is no reason to give a case up."""
    answers = iter([False, True])
    whole, results, told, cases = results_of(tmp_path, monkeypatch, [lambda: next(answers)])
    assert whole and len(told) == 2 and results.get(cases[0], "ours")


def test_case_that_hangs_holds_one_guest_up_only(tmp_path, monkeypatch):
    """Two guests at the same time take what is next, whichever driver it is of."""
    last = threading.Event()
    whole, _, told, cases = results_of(tmp_path, monkeypatch, [
        lambda: last.wait(20), "ok", lambda: last.set() or True], jobs=2)
    assert whole and told == [case.key for case in cases]


class FakeMachine:
    """A guest whose program has said LINES, and ended if DONE; QEMU's status is GONE."""

    def __init__(self, share, lines, gone=None, done=False, console=""):
        self.share, self.lines, self._done, self._console = share, lines, done, console
        self.process = types.SimpleNamespace(poll=lambda: gone)

    def start_command(self, command, timeout):
        """The program runs."""
        (self.share / "meet.log").write_text("Traceback")
        (self.share / "met").write_text("".join(json.dumps(line) + "\n" for line in self.lines))
        return types.SimpleNamespace(done=lambda: self._done)

    def console(self):
        """The console."""
        return self._console


OOM = "Out of memory: Killed process 7 (python3)\n"


@pytest.mark.parametrize("made, found", [
    ({"lines": [{"end": True}]}, (None, False)),
    ({"lines": [{"end": True}], "done": True}, (None, False)),
    ({"lines": [], "gone": 0}, (None, True)),
    ({"lines": [], "done": True, "console": OOM}, (None, True)),
    # Nobody should wait longer than the program says, and half a minute.
    ({"lines": [{"step": "bind", "seconds": -31}]}, ("bind", False)),
    ({"lines": [{"step": "bind", "seconds": 75}, {"more": "bind", "seconds": -31}]},
     ("bind", False))])
def test_guest_is_followed_to_its_end(tmp_path, made, found):
    """The program's, the guest's, or that of patience."""
    assert table.follow(FakeMachine(tmp_path, **made), CASE, "ours") == found


@pytest.mark.parametrize("made, why", [({"lines": [], "gone": -9}, "signal 9"),
                                       ({"lines": [], "done": True}, "Traceback")])
def test_end_that_is_not_the_drivers_is_no_verdict(tmp_path, made, why):
    """Somebody has killed QEMU; our program has a mistake."""
    with pytest.raises(host.LabError, match=why):
        table.follow(FakeMachine(tmp_path, **made), CASE, "ours")
    assert json.loads((tmp_path / "meet.json").read_text())["driver"] == "virtio_net_rh"
