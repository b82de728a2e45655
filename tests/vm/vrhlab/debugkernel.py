# SPDX-License-Identifier: GPL-2.0-only
"""Builds the debug kernel from the newest linux-source of trixie-backports, once.

The cache holds it under the version of the source package and the hash of the options
(tests/vm/debug-kernel.config): bzImage, its modules, and the tree that modules are built
against. Sources and objects (2.5 GB while it builds) are removed afterwards.
"""

import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import time

from . import host, kernels, packages
from . import source as kernel_source

#: Files that a build compiles, for the progress it shows; does not have to be exact.
ABOUT_FILES = 1750


def fragment():
    """The options the kernel is built with."""
    return host.repository() / "tests/vm/debug-kernel.config"


def options():
    """The fragment's options, without comments: what the hash is made of."""
    lines = [line.strip() for line in fragment().read_text().splitlines()]
    return sorted(line for line in lines if line and not line.startswith("#"))


def key(version):
    """The name of a build in the cache."""
    digest = hashlib.sha256("\n".join(options()).encode()).hexdigest()[:12]
    return f"{version}-{digest}"


def outdated(kernel):
    """True if the options changed since KERNEL was built."""
    return kernel.vmlinuz.parent.name != key(kernel.version)


def make(refresh=False):
    """The debug kernel: from the cache if this source and these options were built before."""
    package, version, tarball = kernel_source.get(refresh)
    base = host.cache_dir() / "kernels" / "debug" / key(version)
    if not (base / "complete").exists():
        _build(package, version, tarball, base)
    release = (base / "build/include/config/kernel.release").read_text().strip()
    return kernels.Kernel("debug", release, package, version, base / "vmlinuz",
                          base / "lib/modules" / release, str(base / "build"))


def _build(package, version, tarball, base):
    packages.ensure(packages.DEBUG, "building the debug kernel")
    processors = os.cpu_count() or 1
    host.say(f"building the debug kernel from {package} {version}; this is done once and takes "
             f"about {22 // processors + 1} minutes on {processors} processors")
    shutil.rmtree(base, ignore_errors=True)
    work = base / "work"
    host.say(f"unpacking {tarball.name}")
    (work / "source").mkdir(parents=True)
    host.call(["tar", "-C", work / "source", "--strip-components=1", "-xf", tarball])
    objects = work / "objects"
    objects.mkdir()
    configure(work / "source", objects)
    compile_all(objects, processors)
    install(objects, base)
    shutil.rmtree(work)
    (base / "complete").touch()


def configure(source, objects):
    """Makes .config; fails if kconfig did not take one of the options."""
    host.call(["make", "-C", source, f"O={objects}", "allnoconfig",
               f"KCONFIG_ALLCONFIG={fragment()}"])
    taken = set((objects / ".config").read_text().splitlines())
    refused = [line for line in options() if not line.endswith("=n") and line not in taken]
    if refused:
        raise host.LabError(f"{fragment()}: this kernel does not take {' '.join(refused)}: each "
                            "names an option that is gone or lacks what it depends on")


def compile_all(objects, processors):
    """Compiles; says how far it is every 20 seconds."""
    log = objects / "build.log"
    begun = said = time.monotonic()
    count = 0
    with open(log, "w") as out:
        make = subprocess.Popen(["make", "-C", objects, f"-j{processors}", "bzImage", "modules"],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, errors="replace")
        for line in make.stdout:
            out.write(line)
            count += bool(re.match(r"\s+(CC|AS)\s", line))
            if time.monotonic() - said > 20:
                said = time.monotonic()
                host.say(f"debug kernel: {min(99, 100 * count // ABOUT_FILES)} % "
                         f"({count} files in {said - begun:.0f} s)")
    if make.wait():
        raise host.LabError("the debug kernel does not build:\n"
                            + "".join(log.read_text().splitlines(True)[-40:]))
    host.say(f"debug kernel: compiled {count} files in {time.monotonic() - begun:.0f} s")


def install(objects, base):
    """Puts what the lab needs of a finished build in BASE."""
    base.mkdir(parents=True, exist_ok=True)
    host.call(["make", "-C", objects, "modules_install", f"INSTALL_MOD_PATH={base}"])
    for link in base.glob("lib/modules/*/build"):
        link.unlink()
    # The kernel's own way to a tree that external modules can be built against.
    host.call(["make", "-C", objects, "run-command", "KBUILD_RUN_COMMAND=$(srctree)/scripts/"
               f"package/install-extmod-build {base}/build"])
    release = (objects / "include/config/kernel.release").read_text()
    pathlib.Path(base / "build/include/config").mkdir(parents=True, exist_ok=True)
    (base / "build/include/config/kernel.release").write_text(release)
    shutil.copy2(objects / ".config", base / "build/.config")
    shutil.copy2(objects / "System.map", base / "System.map")
    shutil.copy2(objects / "arch/x86/boot/bzImage", base / "vmlinuz")
