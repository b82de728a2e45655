# SPDX-License-Identifier: GPL-2.0-only
"""The catalogue of test kernels: where each comes from and what of it is in the cache.

A kernel that was fetched once is used until `tests/vm/lab fetch --refresh`, so that a
warm run needs no network. How modules are built against it is build.py's part.
"""

import dataclasses
import json
import pathlib
import re
import shutil

from . import archive, host, packages

NAMES = ("6.1", "6.12", "7.3", "debug")

#: For the stock kernels: apt state, pattern of the package that holds vmlinuz (its first
#: group is the release), other packages to unpack.
STOCK = {
    "6.1": ("bookworm", r"linux-image-(6\.1\.[0-9]+-[0-9]+-amd64)-unsigned", ()),
    "6.12": ("bookworm", r"linux-image-(6\.12\.[0-9]+\+deb12-amd64)-unsigned", ()),
    # linux-base has modules.builtin: without it modprobe does not know what is built in.
    "7.3": ("trixie", r"linux-binary-unsigned-(7\.3\.[0-9]+\+deb13-amd64)",
            ("linux-modules-{}", "linux-base-{}")),
}


@dataclasses.dataclass(frozen=True)
class Kernel:
    """A kernel in the cache."""

    name: str           #: "6.1", "6.12", "7.3" or "debug"
    release: str        #: what uname -r says
    package: str        #: Debian package it is made of
    version: str        #: version of that package
    vmlinuz: pathlib.Path
    modules: pathlib.Path   #: its lib/modules/RELEASE, depmod was run
    headers: str        #: where modules are built, inside `root` if that is set
    root: pathlib.Path | None = None    #: root directory to build in (7.3)

    @property
    def debug(self):
        """True for the kernel with KASAN, lockdep, kmemleak and KUnit."""
        return self.name == "debug"


def get(name, refresh=False):
    """The kernel NAME, fetched or built if the cache has none."""
    if name not in NAMES:
        raise host.LabError(f"no kernel {name}; there are {', '.join(NAMES)}")
    manifest = host.cache_dir() / "kernels" / name / "current.json"
    kernel = None if refresh else _cached(manifest)
    if kernel:
        return kernel
    with host.locked(manifest.with_name("lock"), f"kernel {name}"):
        kernel = None if refresh else _cached(manifest)     # while we waited
        if not kernel:
            host.say(f"{'looking for a newer' if refresh else 'the cache has no'} kernel {name}")
            if name == "debug":
                from . import debugkernel
                kernel = debugkernel.make(refresh)
            else:
                kernel = _fetch(name)
            _write(manifest, kernel)
    return kernel


def _cached(manifest):
    """The kernel that the manifest names, if all of it is there and still what is wanted."""
    kernel = _read(manifest)
    if kernel is None or not _complete(kernel):
        return None
    if kernel.debug:
        from . import debugkernel
        if debugkernel.outdated(kernel):
            return None
    return kernel


def _read(manifest):
    try:
        fields = json.loads(manifest.read_text())
        for key in ("vmlinuz", "modules", "root"):
            fields[key] = pathlib.Path(fields[key]) if fields[key] else None
        return Kernel(**fields)
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def _write(manifest, kernel):
    fields = {key: str(value) if isinstance(value, pathlib.Path) else value
              for key, value in dataclasses.asdict(kernel).items()}
    manifest.parent.mkdir(parents=True, exist_ok=True)
    temporary = manifest.with_suffix(".new")
    temporary.write_text(json.dumps(fields, indent=1) + "\n")
    temporary.rename(manifest)      # readers take no lock


def _complete(kernel):
    headers = pathlib.Path(f"{kernel.root or ''}{kernel.headers}")
    return (kernel.vmlinuz.exists() and (kernel.modules / "modules.dep").exists()
            and (kernel.modules / "modules.builtin").exists()
            and (headers / "Makefile").exists())


def _fetch(name):
    """Unpacks a stock kernel into the cache and gets the headers for it."""
    state, pattern, others = STOCK[name]
    package, version = archive.newest(state, pattern)
    release = re.fullmatch(pattern, package).group(1)
    base = host.cache_dir() / "kernels" / name / release
    modules = base / "lib" / "modules" / release
    if not (modules / "modules.builtin").exists():
        shutil.rmtree(base, ignore_errors=True)
        archive.unpack(state, [package, *(other.format(release) for other in others)], base)
        if not modules.exists():    # merged /usr (7.3)
            modules.parent.mkdir(parents=True)
            (base / "usr/lib/modules" / release).rename(modules)
        host.call(["/usr/sbin/depmod", "-b", base, release])
    for vmlinuz in (base / f"boot/vmlinuz-{release}", modules / "vmlinuz.unsigned"):
        if vmlinuz.exists():
            break
    headers, root = f"/lib/modules/{release}/build", None
    if state == "trixie":
        from . import trixie
        root = trixie.root([f"linux-headers-{release}"])
        headers = f"/usr/src/linux-headers-{release}"
    else:
        packages.ensure([f"linux-headers-{release}"], f"headers of {release}")
    return Kernel(name, release, package, version, vmlinuz, modules, headers, root)
