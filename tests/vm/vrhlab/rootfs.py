# SPDX-License-Identifier: GPL-2.0-only
"""A small root file system, in an image or an archive: for guests whose root is not 9p.

Tests of suspend need one, and states of guests (frozen.py): 9p survives neither.
"""

import os
import pathlib
import re
import shutil
import subprocess

from . import host

#: What is in it besides Python's library; all other tools are busybox's.
PROGRAMS = ("bash", "busybox", "python3", "dd", "cat", "cmp", "ethtool", "grep", "ip", "md5sum",
            "modprobe", "rmmod", "sh", "sleep", "sync")
FOLDERS = ("usr/bin", "usr/lib", "usr/lib64", "usr/sbin", "usr/lib/modules", "etc", "mnt", "root",
           "proc", "sys", "dev", "tmp", "run", "share")


def make_tree(tree):
    """Makes the directory TREE with all of it."""
    for folder in FOLDERS:
        (tree / folder).mkdir(parents=True, exist_ok=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (tree / name).symlink_to(f"usr/{name}")
    files, links = set(), {}
    for name in PROGRAMS:
        # Debian's own, not what a user's PATH has first.
        program = shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin")
        if not program:
            raise host.LabError(f"{name} is not installed (needed for a root disk)")
        real = pathlib.Path(os.path.realpath(program))
        files.add(real)
        links[name] = real
        listed = subprocess.run(["ldd", real], capture_output=True, text=True).stdout
        files |= {pathlib.Path(path) for path in re.findall(r"(/\S+) \(0x", listed)}
    library = pathlib.Path("/usr/lib") / links["python3"].name
    shutil.copytree(library, tree / str(library)[1:], dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns("__pycache__", "test", "config-*", "*.a"),
                    ignore_dangling_symlinks=True)
    for path in files:
        target = tree / str(path)[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    for name, real in links.items():
        link = tree / "usr/bin" / name
        if not link.exists():
            link.symlink_to(real)


def make_image(directory):
    """An ext4 image of 512 MiB, sparse, in DIRECTORY: its path."""
    tree = directory / "tree"
    make_tree(tree)
    image = directory / "root.raw"
    host.call(["truncate", "-s", "512M", image])
    host.call(["/usr/sbin/mkfs.ext4", "-q", "-F", "-d", tree, image])
    shutil.rmtree(tree)
    return image
