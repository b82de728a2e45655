# SPDX-License-Identifier: GPL-2.0-only
"""Data of which no two pages are alike, the same in a guest as here.

To compare costs a guest less than a digest, and shows where it went wrong.
"""

#: Source for programs that run elsewhere: piece(number) is that MiB.
PROGRAM = """
body = b"".join((n * 0x9e3779b97f4a7c15 % 2 ** 64).to_bytes(8, "big") for n in range(1, 512))

def piece(number):
    return b"".join((number * 256 + page).to_bytes(8, "big") + body for page in range(256))
"""

_names = {}
exec(PROGRAM, _names)
piece = _names["piece"]


def data(mib):
    """The first MIB MiB of it."""
    return b"".join(map(piece, range(mib)))
