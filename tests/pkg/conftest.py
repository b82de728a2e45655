# SPDX-License-Identifier: GPL-2.0-only
"""Paths that the package tests share, and the lab's kernels."""

import os
import pathlib
import re
import sys

import pytest

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "tests/vm"))

#: Kernels whose headers are packaged; the debug kernel's are not.
KERNELS = [name for name in re.findall(r"[^\s,]+", os.environ.get("VRH_KERNELS", ""))
           or ["6.1", "6.12", "7.3"] if name != "debug"]


@pytest.fixture
def repo():
    """The top of the checkout."""
    return REPO
