# SPDX-License-Identifier: GPL-2.0-only
"""Paths that the package tests share."""

import os
import pathlib

import pytest

REPO = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def repo():
    """The top of the checkout."""
    return REPO


def installed_kernels():
    """Versions of all kernels whose headers stand in /lib/modules of this machine."""
    return sorted(p.parent.name for p in pathlib.Path("/lib/modules").glob("*/build")
                  if os.path.exists(p / "Makefile"))
