# SPDX-License-Identifier: GPL-2.0-only
"""Tests of the runner's parts that need no guest."""

import collections
import importlib
import pathlib
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
