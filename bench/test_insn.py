# SPDX-License-Identifier: GPL-2.0-only
"""Tests of insn.py without a guest: the plugin's file, symbols, groups."""

import json
import subprocess

import pytest

import insn

KALLSYMS = """\
0000000000000000 A fixed_percpu_data
ffffffff81000000 T _text
ffffffff81000100 T virtio_config_changed
ffffffff81000200 T __pfx_virtqueue_is_broken
ffffffff81000210 T virtqueue_is_broken
ffffffff81000220 t helper_of_the_ring
ffffffff81000300 T virtqueue_get_buf
ffffffff81000400 t detach_buf_split
ffffffff81000500 T virtio_require_restricted_mem_acc
ffffffff81000600 t vp_modern_probe
ffffffff81000700 T vp_notify
ffffffff81000800 t virtio_pci_legacy_probe
ffffffff81000900 t vcpu_online
ffffffffc0001000 t virtblk_done\t[virtio_blk]
ffffffffc0001100 t virtio_queue_rq\t[virtio_blk]
ffffffffc0002000 t vblk_done\t[virtio_blk_rh]
ffffffffc0003000 t vp_modern_get_status\t[virtio_pci_modern_dev]
ffffffffc0004000 t ext4_read\t[ext4]
"""

OUTPUT = """\
snapshot 0 mark 1 user 10 kernel 20 lost 0
ffffffff81000300 20
end
snapshot 1 mark 2 user 1 kernel 60 lost 2 exact 61
ffffffff81000310 4
ffffffff81000310 6
ffffffffc0001008 40
ffffffff81000700 8
end
snapshot 2 mark 1 user 5 kernel 5 lost 0
ffffffff81000310 5
"""


@pytest.fixture
def symbols():
    return insn.Symbols(KALLSYMS)


def test_parse_sums_blocks_and_drops_an_unfinished_snapshot():
    first, second = insn.parse(OUTPUT.splitlines())
    assert (first.mark, first.user, first.kernel, first.exact) == (1, 10, 20, None)
    assert (second.mark, second.lost, second.exact) == (2, 2, 61)
    assert second.code[0xffffffff81000310] == 10


@pytest.mark.parametrize("address, expected", [
    (0xffffffff81000300, ("virtqueue_get_buf", "virtio_ring")),
    (0xffffffff810003ff, ("virtqueue_get_buf", "virtio_ring")),
    (0xffffffff81000221, ("helper_of_the_ring", "virtio_ring")),
    (0xffffffff81000400, ("detach_buf_split", "virtio_ring")),
    (0xffffffff81000500, ("virtio_require_restricted_mem_acc", "vmlinux")),
    (0xffffffff81000100, ("virtio_config_changed", "vmlinux")),
    (0xffffffff81000800, ("virtio_pci_legacy_probe", "virtio_pci")),
    (0xffffffff81000900, ("vcpu_online", "vmlinux")),
    (0xffffffffc0002010, ("vblk_done", "virtio_blk_rh")),
    (0xffffffffc0003000, ("vp_modern_get_status", "virtio_pci")),
    (0x8000000000000000, ("?", "vmlinux"))])
def test_function_names_code_and_its_object_file(symbols, address, expected):
    assert symbols.function(address) == expected


def test_groups_split_the_kernel(symbols):
    code = insn.parse(OUTPUT.splitlines())[1].code
    assert insn.groups(code, symbols, {"virtio_blk", "virtio_blk_rh"}) == \
        {"driver": 40, "ring": 10, "transport": 8, "rest": 0}
    assert insn.groups(code, symbols, {"virtio_net"})["rest"] == 40


def test_unit_stops_at_a_long_run_of_other_names():
    names = [("vp_far_away", None)] + [(f"other_{i}", None) for i in range(insn.MAX_GAP)] + \
        [("vp_get", None), ("own_helper", None), ("vp_notify", None), ("next_object", None)]
    first, last = insn.unit(names, *insn.BUILTIN["virtio_pci"])
    assert [name for name, _ in names[first:last]] == ["vp_get", "own_helper", "vp_notify"]


def test_unit_of_a_module_is_empty():
    names = [("virtqueue_get_buf", "virtio_ring")]
    assert insn.unit(names, *insn.BUILTIN["virtio_ring"]) == (0, 0)


def test_hidden_addresses_are_refused():
    with pytest.raises(ValueError):
        insn.Symbols("0000000000000000 T _text\n")


def test_build_makes_everything_once(tmp_path):
    built = insn.build(tmp_path)
    assert set(built) == {"insn.so", "mark", "ops"}
    before = {path: path.stat().st_mtime_ns for path in built.values()}
    assert insn.build(tmp_path) == built
    assert before == {path: path.stat().st_mtime_ns for path in built.values()}
    assert set(before) == set(built["mark"].parent.iterdir())


def run_ops(built, *args):
    done = subprocess.run([built["ops"], *args], capture_output=True, text=True, timeout=20)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_ops_counts_operations_and_seconds(tmp_path):
    built = insn.build(tmp_path)
    result = run_ops(built, "write", "/dev/null", "1024", "5000")
    assert (result["operations"], result["bytes"]) == (5000, 5000 * 1024)
    latency = result["latency_us"]
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"] <= latency["p99.9"]
    assert run_ops(built, "read", "/dev/zero", "64", "0.2s")["seconds"] == \
        pytest.approx(0.2, rel=0.5)
