# SPDX-License-Identifier: GPL-2.0-only
"""Copies of the source tree: what belongs to it, and bringing a copy up to date.

Files keep their times, so that make in the copy builds only what changed.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess

#: Parts of a checkout that no module build reads.
NOT_BUILT = ("tests/vm/", "bench/", ".git/")

#: Build output, skipped in a tree that is no git checkout.
OUTPUT = (".o", ".ko", ".mod", ".mod.c", ".cmd", ".symvers", ".gcno", ".pyc", "modules.order")
GENERATED = ("compat/config.h", "compat/all.c", "compat/probe.log")


def files(source):
    """Relative names of the tree's files: tracked, and untracked but not ignored."""
    source = pathlib.Path(source)
    if (source / ".git").exists():
        listed = subprocess.run(
            ["git", "-c", "safe.directory=*", "-C", source, "ls-files", "-z", "--cached",
             "--others", "--exclude-standard"], stdout=subprocess.PIPE, check=True)
        names = os.fsdecode(listed.stdout).split("\0")
    else:
        names = []
        for directory, subdirectories, here in os.walk(source):
            subdirectories[:] = [d for d in subdirectories if d != ".git"]
            relative = os.path.relpath(directory, source)
            names += [os.path.normpath(os.path.join(relative, name)) for name in here
                      if not name.endswith(OUTPUT)]
        names = [name for name in names if name not in GENERATED]
    return sorted(name for name in set(names) if name and not name.startswith(NOT_BUILT)
                  and (source / name).is_file())


def sync(source, target):
    """Makes TARGET hold the tree of SOURCE; build output in it stays. Returns its files."""
    source, target = pathlib.Path(source), pathlib.Path(target)
    target.mkdir(parents=True, exist_ok=True)
    names = files(source)
    for name in names:
        _copy(source / name, target / name)
    record = target / ".vrh-files"
    if record.exists():
        for name in set(record.read_text().splitlines()) - set(names):
            (target / name).unlink(missing_ok=True)
    record.write_text("".join(f"{name}\n" for name in names))
    return names


def _copy(source, target):
    """Copies a file unless the copy has its size and time already."""
    here = source.stat()
    try:
        there = target.stat()
        if (here.st_size, here.st_mtime_ns) == (there.st_size, there.st_mtime_ns):
            return
    except FileNotFoundError:
        target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


def key(source):
    """A short name for the tree at SOURCE: its directory's name and a hash of its path."""
    path = pathlib.Path(source).resolve()
    return f"{path.name}-{hashlib.sha256(os.fsencode(path)).hexdigest()[:8]}"
