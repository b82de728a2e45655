# SPDX-License-Identifier: GPL-2.0-only
"""Tests of the runner's parts that need no guest."""

import collections
import importlib
import pathlib
import subprocess
import types

import pytest

import meters
import pairs
import report
import workload

HERE = pathlib.Path(__file__).resolve().parent
WORKLOADS = sorted(path.stem for path in (HERE / "workloads").glob("[a-z]*.py"))


def test_sides_take_turns_at_being_first():
    firsts = [pairs.order(number)[0] for number in range(4)]
    assert firsts == ["intree", "ours", "intree", "ours"]
    assert all(set(pairs.order(number)) == {"intree", "ours"} for number in range(4))


def test_busy_ticks_leave_out_idle_and_waiting():
    text = "cpu  10 1 5 1000 50 2 3 4 7 8\ncpu0 10 1 5 1000 50 2 3 4 7 8"
    assert meters.busy_ticks(text.splitlines()) == {"cpu": 25, "cpu0": 25}


def test_events_are_those_of_one_device_by_operation():
    meter = meters.EventMeter(None, None, "virtio3")
    meter._count = types.SimpleNamespace(
        kicks=collections.Counter({"req.0": 70, "virtio3/req.0": 40, "virtio30/req.0": 30}),
        irqs=collections.Counter({"virtio3-req.0": 10, "virtio3-config": 2, "LOC": 99}))
    assert meter.metrics(20) == {
        "kicks": 2, "kicks, req.0": 2,
        "interrupts": 0.6, "interrupts, config": 0.1, "interrupts, req.0": 0.5}


def test_amount_is_what_the_guest_program_takes():
    assert str(workload.Amount(4000)) == "4000"
    assert str(workload.Amount(None, 2.5)) == "2.5s"
    assert workload.Amount(None, 600).timeout > 600
    assert workload.Amount(32000).timeout >= 320


@pytest.mark.parametrize("name", WORKLOADS)
def test_every_workload_says_what_the_runner_needs(name):
    bench = importlib.import_module(f"workloads.{name}").Bench()
    assert bench.driver in ("virtio_blk", "virtio_net", "virtio_console", "virtio_balloon")
    assert bench.devices()
    assert bench.phases
    for phase in bench.phases:
        assert phase.name and phase.operation and phase.amount > 0


class Recorder:
    """A session that runs nothing and remembers the command."""

    device = types.SimpleNamespace(peer="192.0.2.1")

    def command(self, argv, _amount):
        self.argv = argv
        return '{"end": {"sum_received": {"bytes": 1, "bits_per_second": 1}}}'

    def json(self, argv, amount):
        self.command(argv, amount)
        return {"jobs": [{"error": 0, "read": {"total_ios": 1, "iops": 1, "clat_ns": {}}}]}


@pytest.mark.parametrize("name, seconds, words", [
    ("blk", 0.5, {"--runtime=500ms"}), ("blk", 2.5, {"--runtime=2500ms"}),
    ("net", 0.5, {"-t", "1"}), ("net", 2, {"-t", "2"})])
def test_programs_run_for_parts_of_a_second_too(name, seconds, words):
    """fio cuts "2.5s" to 2 s; iperf3 cuts 0.5 to 0, which is for ever."""
    bench, session = importlib.import_module(f"workloads.{name}").Bench(), Recorder()
    bench.run(session, bench.phases[0], workload.Amount(None, seconds))
    assert words <= set(session.argv)


@pytest.mark.parametrize("words, said", [
    (["foo"], "'balloon', 'blk', 'console', 'net'"), ([""], "choice: ''"), ([], "name a workload"),
    (["blk", "--kernel", "foo"], "'6.1', '6.12', '7.3', 'debug'"),
    (["blk", "--pairs", "0"], "'0' is not a whole number from 1 to 1000"),
    (["blk", "--pairs", ""], "'' is not a whole number from 1 to 1000"),
    (["blk", "--seconds", "nan"], "'nan' is not a number from 0.5 to 600"),
    (["blk", "--set", "a"], "'a' is not name=value"),
    (["blk", "--set", "a=1", "--null"], "--set is for our driver"),
    (["blk", "--json", "/proc/none/x.json"], "/proc/none is no directory to write to")])
def test_a_wrong_argument_gets_one_line(words, said):
    done = subprocess.run([HERE / "bench", *words], capture_output=True, text=True)
    assert done.returncode and not done.stdout
    assert done.stderr.startswith("bench: ") and done.stderr.count("\n") == 1
    assert said in done.stderr


def test_commit_is_the_trees_own(tmp_path):
    """A tree without .git has no commit, also where a directory above it is a checkout."""
    commit, _ = pairs.revision(HERE.parent)
    assert commit is None or len(commit) == 40
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    (tmp_path / "tree").mkdir()
    assert pairs.revision(tmp_path / "tree") == (None, None)


def document():
    """What pairs.Runner.run() returns, in small."""
    def side(kicks, insns):
        return {"randread": {"kicks": kicks, "guest CPU by processor": {"cpu0": 1}},
                "device": {"QEMU RSS, MiB": 300}}, \
            {"randread": {"insn, driver": insns,
                          "functions": {"submit virtio_blk": insns, "tiny virtio_ring": 0.1}}}
    intree, ours = side(0.5, 200), side(0.25, 100)
    found = {
        "workload": "blk", "kernel": "6.12", "release": "6.12.1", "null": False, "dirty": True,
        "modules": {"intree": "virtio_blk", "ours": "virtio_blk_rh"}, "parameters": ["x=1"],
        "cpus": 2, "seconds": 2.0, "commit": "0123456789abcdef", "qemu": "QEMU 10", "host_cpus": 2,
        "load_before": [1, 1, 1], "load_after": [2, 1, 1],
        "phases": [{"name": "randread", "operation": "4 KiB read", "amount": 8000}],
        "commands": {"time and events": {"ours": {"randread": "fio --name=x"}}},
        "pairs": [{"order": ["intree", "ours"], "intree": intree[0], "ours": ours[0]}],
        "instructions": [{"intree": intree[1], "ours": ours[1]}]}
    found["table"] = pairs.table(found)
    return found


def test_table_joins_both_guests_and_leaves_out_details():
    table = document()["table"]
    assert [row["metric"] for row in table["randread"]] == ["kicks", "insn, driver"]
    assert [row["ratio"] for row in table["randread"]] == [0.5, 0.5]
    assert [row["metric"] for row in table["device"]] == ["QEMU RSS, MiB"]


def test_report_names_what_was_measured():
    text = report.markdown(document())
    for words in ("virtio_blk against virtio_blk_rh x=1", "6.12.1", "0123456789ab and changes",
                  "### randread, per 4 KiB read", "    fio --name=x", "### device"):
        assert words in text


def test_functions_leave_out_what_costs_nothing():
    text = report.functions(document())
    assert "submit virtio_blk" in text
    assert "tiny" not in text
