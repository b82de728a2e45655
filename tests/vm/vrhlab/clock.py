# SPDX-License-Identifier: GPL-2.0-only
"""What tests of pvclock_rh share: clocksources, what the module says, its files and events."""

import re

from .nested import CLOCKS

NAME = "kvm-clock-rh"
FILES = "/sys/kernel/pvclock_rh"


def clocks(guest):
    """(names of the clocksources, name of the current one)."""
    names = guest.sh(f"cat {CLOCKS}/available_clocksource").split()
    return set(names), guest.sh(f"cat {CLOCKS}/current_clocksource")


def switch(guest, name):
    """Makes NAME the current clocksource, as an administrator would."""
    guest.sh(f"echo {name} >{CLOCKS}/current_clocksource")
    assert clocks(guest)[1] == name


def said(guest, since):
    """What the module said on the console after its first SINCE characters."""
    return re.findall(r"pvclock_rh: ((?!loading out-of-tree|module verification).*)",
                      guest.console()[since:])


def attempt(guest, *parameters):
    """Tries to load the module: (Result, lines it said)."""
    since = len(guest.console())
    result = guest.run(["modprobe", "pvclock_rh", *parameters])
    # The console is written behind modprobe's back; a line of our own ends the wait.
    guest.sh("echo vrh: end of attempt >/dev/kmsg")
    for _ in range(100):
        if "vrh: end of attempt" in guest.console()[since:]:
            break
        guest.run("sleep 0.1")
    return result, said(guest, since)


def absent(guest):
    """True if nothing of the module is left in the guest."""
    return guest.run("! test -e /sys/module/pvclock_rh && "
                     f"! test -e {FILES}").ok and NAME not in clocks(guest)[0]


def value(guest, name):
    """A file of the module in sysfs."""
    return guest.sh(f"cat {FILES}/{name}")


def last_event(guest):
    """Fields of the last event, or None."""
    text = value(guest, "last_event")
    return None if text == "none" else dict(field.split("=") for field in text.split())


def numbers(text):
    """The fields NAME=NUMBER of a line."""
    return {name: int(number) for name, number in re.findall(r"(\w+)=(-?\d+)", text)}
