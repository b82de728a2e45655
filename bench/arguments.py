# SPDX-License-Identifier: GPL-2.0-only
"""Arguments of the programs here, one line for a wrong one, and their exit statuses."""

import argparse
import os
import re
import sys

from vrhlab import host


class Parser(argparse.ArgumentParser):
    """Answers a wrong argument with one line."""

    def error(self, message):
        self.exit(os.EX_USAGE, f"{self.prog}: {message}\n")


def number(kind, low, high):
    """An argparse type: a KIND from LOW to HIGH."""
    def check(text):
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            what = "whole number" if kind is int else "number"
            raise argparse.ArgumentTypeError(f"'{text}' is not a {what} from {low} to {high}")
        return value
    return check


def parameter(text):
    """An argparse type: a module parameter."""
    if not re.fullmatch(r"\w+=\S*", text):
        raise argparse.ArgumentTypeError(f"'{text}' is not name=value")
    return text


def run(program, main):
    """Runs MAIN and exits with its status; what the lab cannot do is one line."""
    try:
        sys.exit(main())
    except host.LabError as error:
        sys.exit(f"{program}: {error}")
    except KeyboardInterrupt:
        sys.exit(os.EX_TEMPFAIL)
