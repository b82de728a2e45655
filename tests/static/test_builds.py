# SPDX-License-Identifier: GPL-2.0-only
"""Every module builds for every test kernel, warnings as errors, and sparse is silent."""

import importlib.machinery
import importlib.util
import pathlib
import sys
import warnings

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "vm"))

from vrhlab import build, host, kernels  # noqa: E402

KERNELS = host.words("VRH_KERNELS") or list(kernels.NAMES)
MODULES = {"virtio_net_rh", "virtio_blk_rh", "virtio_console_rh", "virtio_balloon_rh",
           "pvclock_rh", "vrh_simdev"}


def load(name):
    """A program of this directory as a module."""
    loader = importlib.machinery.SourceFileLoader(name, str(HERE / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


@pytest.mark.parametrize("kernel", KERNELS)
def test_modules_build(kernel):
    """W=1 and warnings as errors; all five modules come out, and the simulated device."""
    assert MODULES <= set(build.build(kernel, simdev=True).modules)


@pytest.mark.parametrize("kernel", KERNELS)
def test_sparse(kernel):
    """sparse with endianness checks reports nothing on our files."""
    built = build.build(kernel)
    print(built.run([built.tree / "tests/static/sparse", built.kernel.headers]))


@pytest.mark.parametrize("kernel", KERNELS)
def test_have_matrix(kernel):
    """What the kernel has is in compat/MATRIX.md; a backport since then is reported."""
    matrix = load("matrix")
    found = matrix.collect([kernel])
    (answer,) = found.values()
    assert answer, "no question was answered"
    for line in matrix.differences(matrix.MATRIX.read_text(), matrix.table(found)):
        warnings.warn(f"have-matrix: {line}")
