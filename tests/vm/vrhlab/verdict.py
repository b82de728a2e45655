# SPDX-License-Identifier: GPL-2.0-only
"""The verdict on a guest: which lines of its console mean that its kernel is not well."""

import re

#: What a healthy kernel never prints.
BAD = [re.compile(pattern) for pattern in (
    r"Kernel panic", r"\bOops\b", r"\bBUG: ", r"kernel BUG at", r"WARNING: ",
    r"general protection fault", r"unable to handle", r"divide error", r"invalid opcode",
    r"INFO: possible", r"possible (circular|recursive) locking", r"suspicious RCU",
    r"inconsistent lock state", r"lock held when returning", r"INFO: trying to register",
    r"KASAN", r"KFENCE", r"UBSAN", r"kmemleak: \d+ new suspected", r"unreferenced object",
    r"blocked for more than", r"soft lockup", r"hard LOCKUP", r"rcu.*detected.*stall",
    r"workqueue lockup", r"nobody cared", r"Disabling IRQ", r"Call Trace", r"DMA-API: ",
    r"list_(add|del) corruption", r"ODEBUG", r"refcount_t:", r"Bad page", r"Bad rss",
    r"sleeping function called", r"scheduling while atomic", r"page allocation failure",
    r"sysfs: cannot create duplicate", r"kobject.*tried to init", r"Unable to create",
    r"vrh: init: ")]

#: What Debian's kernels print under plain TCG whatever drivers are loaded, and why.
HARMLESS = [re.compile(pattern) for pattern in (
    r"DMA-API: preallocated", r"DMA-API: debugging",    # start-up notes of the debug kernel
    r"kasan: KernelAddressSanitizer initialized",
    r"UBSAN: .*enabled",
)]


#: A function of an in-tree driver that is a module, in a stack that kmemleak shows.
IN_TREE = re.compile(r"\[virtio_(net|blk|console|balloon)\]")


def leaks(report):
    """What kmemleak's REPORT has left without the objects that an in-tree driver allocated.

    A guest's devices are the in-tree drivers' first, and those leak now and then: virtio_console
    of 7.3 two buffers of a port that it gave up while it was busy.
    """
    objects = re.split(r"^(?=unreferenced object)", report, flags=re.M)
    return "".join(each for each in objects if not IN_TREE.search(each)).strip()


def findings(console, allowed=()):
    """Lines of CONSOLE (text) that show an unhealthy kernel; ALLOWED are patterns to skip."""
    allowed = [re.compile(pattern) for pattern in allowed]
    found = []
    for line in console.splitlines():
        if not any(pattern.search(line) for pattern in BAD):
            continue
        if any(pattern.search(line) for pattern in (*HARMLESS, *allowed)):
            continue
        found.append(line.strip())
    return found
