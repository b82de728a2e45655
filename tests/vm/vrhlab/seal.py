# SPDX-License-Identifier: GPL-2.0-only
"""Documents that programs write into docs/: a last line by which a change by hand is found."""

import hashlib


def sealed(text):
    """TEXT with that line."""
    return f"{text}\n<!-- generated: {hashlib.sha256(text.encode()).hexdigest()} -->\n"


def is_sealed(text):
    """Is TEXT as it was generated?"""
    return sealed(text.rpartition("\n<!-- ")[0]) == text
