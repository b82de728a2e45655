# SPDX-License-Identifier: GPL-2.0-only
"""The plugin under QEMU: a kernel whose first process does a known number of instructions."""

import subprocess

import pytest

from vrhlab import host, kernels, packages, qemu

import insn

#: guest/mark.c as process 1: this many rounds of two instructions between mark 1 and mark 2.
LOOP = 2 * 1000000

#: Instructions around the loop: the marks' returns and calls, setting the register up.
AROUND = range(0, 20)


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory):
    """The snapshots of one boot."""
    packages.ensure(packages.GUEST, "the plugin's test")
    kernel = kernels.get("6.12")
    built = insn.build(host.cache_dir())
    where = tmp_path_factory.mktemp("plugin")
    (where / "init").write_bytes(built["mark"].read_bytes())
    (where / "init").chmod(0o755)
    subprocess.run("echo init | /usr/bin/busybox cpio -o -H newc >initrd", shell=True, cwd=where,
                   check=True, stderr=subprocess.DEVNULL)
    words = [qemu.QEMU, *qemu.machine(1, 512), "-kernel", kernel.vmlinuz,
             "-initrd", where / "initrd", "-append", "quiet panic=-1",
             "-plugin", f"{built['insn.so']},out={where}/out,exact=on"]
    with host.guest_slot():
        subprocess.run(words, check=True, timeout=300, stdin=subprocess.DEVNULL)
    with open(where / "out") as lines:
        return insn.parse(lines)


def test_marks_come_in_order_and_the_exit_last(snapshots):
    assert [s.mark for s in snapshots] == [1, 2, 1, 2, 256]


def test_a_known_loop_is_counted_to_the_instruction(snapshots):
    for snapshot in (snapshots[1], snapshots[3]):
        assert snapshot.user - LOOP in AROUND


def test_counting_by_block_agrees_with_counting_each_instruction(snapshots):
    assert not any(s.lost for s in snapshots)
    for snapshot in snapshots[:4]:
        by_block = snapshot.user + snapshot.kernel
        assert by_block == pytest.approx(snapshot.exact, rel=1e-3, abs=50)


def test_kernel_instructions_have_addresses(snapshots):
    for snapshot in snapshots:
        assert sum(snapshot.code.values()) == snapshot.kernel
        assert all(address >> 63 for address in snapshot.code)
