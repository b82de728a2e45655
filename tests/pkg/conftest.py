# SPDX-License-Identifier: GPL-2.0-only
"""Paths that the package tests share, and the lab's kernels."""

import pathlib
import sys

import pytest

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "tests/vm"))

from vrhlab import host, kernels  # noqa: E402

#: Kernels whose headers are packaged; the debug kernel's are not.
KERNELS = [name for name in host.words("VRH_KERNELS") or kernels.NAMES if name != "debug"]


@pytest.fixture
def repo():
    """The top of the checkout."""
    return REPO
