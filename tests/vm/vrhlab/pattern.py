# SPDX-License-Identifier: GPL-2.0-only
"""Data of which no two MiB are alike, the same in a guest as here.

To compare costs a guest less than a digest, and shows where it went wrong.
"""

#: Source for programs that run elsewhere: piece(number) is that MiB.
PROGRAM = """
import random
block = random.Random(1).randbytes(1 << 20)

def piece(number):
    return number.to_bytes(8, "big") + block[8:]
"""

_names = {}
exec(PROGRAM, _names)
piece = _names["piece"]


def data(mib):
    """The first MIB MiB of it."""
    return b"".join(map(piece, range(mib)))
