# SPDX-License-Identifier: GPL-2.0-only
"""The newest linux-source of trixie-backports: what the debug kernel is built from, and
single files of it (checkpatch.pl). The tarball stays in the cache; both need it.
"""

import json
import pathlib
import shutil

from . import archive, host

PATTERN = r"linux-source-7\.[0-9]+"


def get(refresh=False):
    """(package, version, tarball) of the source in the cache, fetched if there is none."""
    base = host.cache_dir() / "source"
    manifest = base / "current.json"
    with host.locked(base / "lock", "the kernel source"):
        if manifest.exists() and not refresh:
            package, version = json.loads(manifest.read_text())
        else:
            host.say(f"{'looking for a newer' if refresh else 'the cache has no'} kernel source "
                     "(for the debug kernel and checkpatch)")
            package, version = archive.newest("trixie", PATTERN)
        tarball = base / version / f"{package}.tar.xz"
        if not tarball.exists():
            unpacked = base / "unpacked"
            shutil.rmtree(unpacked, ignore_errors=True)
            archive.unpack("trixie", [f"{package}={version}"], unpacked)
            tarball.parent.mkdir(exist_ok=True)
            (unpacked / "usr/src" / tarball.name).rename(tarball)
            shutil.rmtree(unpacked)
        manifest.write_text(json.dumps([package, version]) + "\n")
    return package, version, tarball


def path(name):
    """The path of a file of the source tree, such as scripts/checkpatch.pl.

    Its whole top directory is unpacked (scripts, include, ...), as a script reads others.
    """
    package, version, tarball = get()
    top = pathlib.Path(name).parts[0]
    base = tarball.parent / package
    with host.locked(tarball.parent / "lock", "the kernel source"):
        if not (tarball.parent / f"{top}.unpacked").exists():
            host.say(f"unpacking {top}/ of {package} {version}")
            host.call(["tar", "-C", tarball.parent, "-xf", tarball, f"{package}/{top}"])
            (tarball.parent / f"{top}.unpacked").touch()
    if not (base / name).exists():
        raise host.LabError(f"{package} {version} has no {name}")
    return base / name
