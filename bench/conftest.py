# SPDX-License-Identifier: GPL-2.0-only
"""Lets the tests import the bench and the guest lab."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests" / "vm")]
