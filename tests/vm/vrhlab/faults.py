# SPDX-License-Identifier: GPL-2.0-only
"""Failing allocations in a guest with the debug kernel, in the code of one module only.

The kernel decides for each allocation of slab objects and pages whether it fails
(Documentation/fault-injection). Its filter of stack traces lets only those fail that have a
frame of the module on their stack. A task may say itself which of its next ones that is
(`current->fail_nth`, /proc/self/fail-nth), or chance does.
"""

import contextlib

from . import host

ROOT = "/sys/kernel/debug"
KINDS = ("failslab", "fail_page_alloc")

#: More than a test makes fail: what is left of it says how many did.
PLENTY = 1 << 20


def symbols(guest, module=None):
    """[(address, name)] of the functions of a module, or of the kernel, in order."""
    want = f"[{module}]" if module else ""
    found = guest.sh(f"awk '$2 ~ /^[tT]$/ && $4 == \"{want}\" {{ print $1, $3 }}' /proc/kallsyms")
    return sorted((int(address, 16), name) for address, name in map(str.split, found.splitlines()))


def span(guest, module=None, function=None):
    """(start, end) of the code of a module, or of one function of it or of the kernel."""
    known = symbols(guest, module)
    if not known:
        raise host.LabError(f"{module} is not loaded")
    addresses = sorted({address for address, _ in known})
    if not function:
        # Another module may begin on the next page.
        return addresses[0] & ~0xfff, (addresses[-1] | 0xfff) + 1
    for address, name in known:
        if name.partition(".")[0] == function:      # .constprop.0, .isra.0
            later = [other for other in addresses if other > address]
            return address, later[0] if later else (address | 0xfff) + 1
    raise host.LabError(f"{module or 'the kernel'} has no function {function}: inlined?")


def limit(guest, module, function=None, percent=0, times=-1):
    """From now on only what has a frame of the module (or function) on its stack can fail.

    PERCENT of the allocations do, TIMES at most (-1: without end) of slab objects, and as many
    of pages. kmemleak's own, which it takes for each object, are left out: it has a pool for
    when they fail.
    """
    guest.run(f"mountpoint -q {ROOT} || mount -t debugfs none {ROOT}", check=True)
    start, end = span(guest, module, function)
    reject = span(guest, None, "__create_object")
    values = {"probability": 0, "interval": 1, "space": 0, "times": times, "verbose": 0,
              "task-filter": "N", "stacktrace-depth": 32, "ignore-gfp-wait": "N",
              "require-start": hex(start), "require-end": hex(end),
              "reject-start": hex(reject[0]), "reject-end": hex(reject[1])}
    lines = [f"echo {value} >{ROOT}/{kind}/{name}" for kind in KINDS
             for name, value in values.items()]
    lines += [f"echo N >{ROOT}/failslab/cache-filter",
              f"echo N >{ROOT}/fail_page_alloc/ignore-gfp-highmem",
              f"echo 0 >{ROOT}/fail_page_alloc/min-order"]
    lines += [f"echo {percent} >{ROOT}/{kind}/probability" for kind in KINDS]    # last
    guest.run("set -e; " + "; ".join(lines), check=True)


@contextlib.contextmanager
def failing(guest, module, function=None, percent=100, times=PLENTY):
    """Allocations fail while the block runs; yields a function that tells how many have."""
    limit(guest, module, function, percent, times)

    def failed():
        return sum(times - int(guest.sh(f"cat {ROOT}/{kind}/times")) for kind in KINDS)
    try:
        yield failed
    finally:
        guest.run("; ".join(f"echo 0 >{ROOT}/{kind}/probability" for kind in KINDS), check=True)
