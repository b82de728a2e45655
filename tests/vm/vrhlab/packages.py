# SPDX-License-Identifier: GPL-2.0-only
"""Debian packages the lab needs on the build machine: the lists, and installing them."""

import shutil

from . import archive, host

#: What boots a guest and what the guest finds in it (its root is this machine's).
GUEST = ["qemu-system-x86", "qemu-system-data", "qemu-utils", "busybox-static", "kmod",
         "iproute2", "e2fsprogs", "fio", "iperf3", "ethtool", "util-linux", "procps"]

#: What builds the modules for 6.1 and 6.12.
BUILD = ["gcc", "make", "kmod", "pahole", "git", "libelf1", "sparse"]

#: What makes the root in which modules for 7.3 are built.
TRIXIE = ["debootstrap", "debian-archive-keyring"]

#: What builds the debug kernel from linux-source.
DEBUG = ["gcc", "make", "flex", "bison", "bc", "libelf-dev", "libssl-dev", "kmod",
         "xz-utils", "rsync"]

#: Versions below which a package that is installed does not do: the pair runner's plugin, and
#: the machines of some tests, are newer than Debian 12's QEMU.
OLDEST = {"qemu-system-x86": "1:9.2"}

#: Everything, for `tests/vm/lab fetch` to install in one go.
ALL = sorted({*GUEST, *BUILD, *TRIXIE, *DEBUG})


def missing(names):
    """Those of NAMES that are not installed, or too old, in order."""
    if not shutil.which("dpkg-query"):
        raise host.LabError("the lab runs on Debian 12: dpkg-query is not there")
    found = set()
    for name in names:
        try:
            status, version = host.call(["dpkg-query", "-W", "-f",
                                         "${db:Status-Status} ${Version}\\n", name]).split()[:2]
        except (host.LabError, ValueError):
            continue
        if status == "installed" and not archive.newer(OLDEST.get(name, "0"), version):
            found.add(name)
    return [name for name in dict.fromkeys(names) if name not in found]


def ensure(names, why):
    """Installs what is missing of NAMES, in one apt call, after saying so."""
    absent = missing(names)
    if absent:
        host.say(f"{why}: installing {' '.join(absent)}")
        archive.install(absent)
