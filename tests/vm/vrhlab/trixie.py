# SPDX-License-Identifier: GPL-2.0-only
"""The Debian 13 root in which modules for 7.3 are built.

The tools in the 7.3 headers need Debian 13's libc. The root lies in the cache without
mounts; whoever enters it gets them in a mount namespace that ends with the command, so
that nothing stays mounted however it ends.
"""

import os
import pathlib
import shutil

from . import archive, host, packages

#: What building modules needs in the root besides the headers. pahole: the headers make BTF.
INSIDE = ("gcc", "make", "kmod", "pahole", "libelf1t64", "sparse")

#: Mounts, then enters the root as user $2:$3 and runs the rest there.
ENTER = """
set -e
root=$1 user=$2 bind=$3; shift 3
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
if [ -n "$bind" ]; then
    mkdir -p "$root$bind"
    mount --bind "$bind" "$root$bind"
fi
exec chroot --userspec="$user" "$root" /usr/bin/env -i LC_ALL=C.UTF-8 HOME=/tmp \\
    DEBIAN_FRONTEND=noninteractive PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
"""


def command(root, bind, argv, user=None):
    """ARGV as it runs inside ROOT; the directory BIND is there under its own name."""
    user = user or f"{os.getuid()}:{os.getgid()}"
    return [*host.as_root(["unshare", "--mount", "--propagation", "private", "sh", "-c", ENTER,
                           "enter", root, user, bind or ""]), *argv]


def root(headers):
    """The root with the packages HEADERS installed; made if it is not there."""
    path = host.cache_dir() / "trixie-root"
    if not (path / "vrh-complete").exists():
        _make(path)
    installed = [name for name in headers
                 if (path / "var/lib/dpkg/info" / f"{name}.list").exists()]
    wanted = [name for name in headers if name not in installed]
    if wanted:
        host.say(f"installing {' '.join(wanted)} in the Debian 13 root")
        apt = ["apt-get", "-q", "-y", "--no-install-recommends"]
        host.call(command(path, None, ["apt-get", "-q", "update"], "0:0"))
        host.call(command(path, None, [*apt, "install", *wanted], "0:0"))
        host.call(command(path, None, ["apt-get", "clean"], "0:0"))
    return path


def _make(path):
    packages.ensure(packages.TRIXIE, "a Debian 13 root to build modules for 7.3 in")
    host.say("making a Debian 13 root with debootstrap (about a minute)")
    if path.exists():
        _remove(path)
    mirror = archive.mirrors()["bookworm"]
    host.call(host.as_root(["debootstrap", "--variant=minbase", f"--include={','.join(INSIDE)}",
                            "trixie", path, mirror]), what="debootstrap of Debian 13")
    lines = f"deb {mirror} trixie-backports main\n"
    host.call([*host.as_root(["tee", path / "etc/apt/sources.list.d/backports.list"])],
              input=lines, stdin=None)
    host.call(host.as_root(["touch", path / "vrh-complete"]))


def _remove(path):
    """Removes an unfinished root; refuses while something is mounted in it."""
    mounts = pathlib.Path("/proc/self/mounts").read_text()
    if f" {path}/" in mounts:
        raise host.LabError(f"something is mounted below {path}; unmount it first")
    if os.geteuid() == 0:
        shutil.rmtree(path)
    else:
        host.call(host.as_root(["rm", "-rf", "--one-file-system", path]))
