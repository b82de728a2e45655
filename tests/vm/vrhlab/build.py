# SPDX-License-Identifier: GPL-2.0-only
"""Builds the modules for a kernel and stages them as a guest sees them.

The stage is a lib/modules tree: the stock modules that a virtio guest can need, ours in
updates/, and depmod's tables, so that in the guest plain modprobe works. A stage is named
by what is in it and never changes, as guests of other processes may be using it.
"""

import dataclasses
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from . import coverage, host, kernels, packages, tree

#: Directories of a module that is not named like its directory.
DIRECTORIES = {"pvclock_rh": "pvclock"}

#: Where stock modules are taken from for the stage, with all they depend on. All of them
#: would cost seven seconds of depmod at each build.
STOCK_PARTS = ("kernel/arch/x86/kvm/", "kernel/block/", "kernel/crypto/", "kernel/drivers/block/",
               "kernel/drivers/char/", "kernel/drivers/md/", "kernel/drivers/ptp/",
               "kernel/drivers/vdpa/", "kernel/drivers/vhost/", "kernel/drivers/virtio/",
               "kernel/fs/9p/", "kernel/fs/ext4/", "kernel/fs/fuse/", "kernel/fs/overlayfs/",
               "kernel/fs/xfs/", "kernel/lib/", "kernel/net/9p/", "kernel/net/8021q/",
               "kernel/net/bridge/", "kernel/net/core/", "kernel/net/ipv6/", "kernel/net/packet/",
               "kernel/net/sched/", "kernel/net/vmw_vsock/", "kernel/drivers/net/tun",
               "kernel/drivers/net/veth", "kernel/drivers/net/virtio_net",
               "kernel/drivers/net/net_failover", "kernel/drivers/net/bonding/",
               "kernel/drivers/net/dummy", "kernel/drivers/net/netconsole", "kernel/lib/test_")

#: Seconds after its last use for which a stage is kept; longer than any guest runs.
STAGE_KEPT = 24 * 3600


@dataclasses.dataclass(frozen=True)
class Build:
    """The modules of one tree for one kernel."""

    kernel: kernels.Kernel
    stage: pathlib.Path     #: its lib/modules is mounted on /lib/modules in a guest
    modules: tuple          #: names of our modules in it
    tree: pathlib.Path | None = None    #: the copy that was built, compat/config.h in it
    gcov: bool = False      #: its modules count which lines run

    def run(self, argv):
        """Runs ARGV where the modules are built, in the Debian 13 root for 7.3: its output."""
        if self.kernel.root:
            from . import trixie
            argv = trixie.command(self.kernel.root, self.tree, argv)
        return host.call(argv)

    @property
    def directory(self):
        """The stage's lib/modules/RELEASE."""
        return self.stage / "lib/modules" / self.kernel.release


def build(name, source=None, modules=None, kunit=None, simdev=False, verbose=False,
          gcov=None):
    """Builds the tree SOURCE (this checkout) for kernel NAME and stages it.

    MODULES restricts the build to these modules: while others are broken, for instance. With
    SIMDEV the simulated device is built too; the suites of the debug kernel have it anyway.
    With GCOV, which VRH_COVERAGE stands for, modules for the debug kernel count their lines.
    """
    kernel = kernels.get(name)
    source = pathlib.Path(source or host.repository())
    if not (source / "Kbuild").exists():
        raise host.LabError(f"{source} is not a tree of virtio-rh: it has no Kbuild")
    packages.ensure(packages.BUILD, "building modules")
    if gcov is None:
        gcov = kernel.debug and coverage.directory() is not None
    key = tree.key(source) + ("-gcov" if gcov else "")
    copy = host.cache_dir() / "build" / name / key
    with host.locked(copy.with_name(f"{key}.lock"), f"build of {source} for {name}"):
        tree.sync(source, copy)
        # The branches that count make the compiler see variables that may lack a value.
        variables = ["GCOV=1"] if gcov else ["W=1", "VRH_WERROR=y"]
        if modules:
            directories = [DIRECTORIES.get(module, module) for module in modules]
            variables.append(f"vrh-modules={' '.join(directories)}")
        if kernel.debug if kunit is None else kunit:
            variables.append("KUNIT=1")
        if simdev:
            variables.append("SIMDEV=1")
        _make(kernel, copy, variables, verbose)
        built = list(_built(copy))
        stage, modules = _stage(kernel, built)
        if gcov:
            coverage.begin(copy, kernel.release, built)
        return Build(kernel, stage, modules, copy, gcov)


def stock(name):
    """The stage of a kernel without our modules."""
    kernel = kernels.get(name)
    return Build(kernel, *_stage(kernel, []))


def _make(kernel, copy, variables, verbose):
    """Runs the kernel's build system on COPY; on failure the whole output is shown."""
    make = ["make", "-s", f"-j{os.cpu_count()}", "-C", kernel.headers, f"M={copy}", *variables,
            "modules"]
    if kernel.root:
        from . import trixie
        make = trixie.command(kernel.root, copy, make)
    host.say(f"building modules for {kernel.release}")
    done = subprocess.run([str(a) for a in make], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL,
                          stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode or verbose:
        sys.stderr.write(done.stdout)
    if done.returncode:
        raise host.LabError(f"the modules do not build for {kernel.release}")


def _stage(kernel, built):
    """The stage with these modules (paths) of ours: its directory and their names."""
    digest = hashlib.sha256(f"{kernel.modules} {kernel.version} {STOCK_PARTS}".encode())
    built = sorted(built, key=lambda path: path.name)
    for path in built:
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    base = host.cache_dir() / "stage" / kernel.name
    stage = base / digest.hexdigest()[:16]
    names = tuple(path.stem for path in built)
    if stage.exists():
        os.utime(stage)
        return stage, names
    base.mkdir(parents=True, exist_ok=True)
    for old in base.iterdir():
        if time.time() - old.stat().st_mtime > STAGE_KEPT:
            shutil.rmtree(old, ignore_errors=True)
    new = pathlib.Path(tempfile.mkdtemp(prefix="new-", dir=base))
    new.chmod(0o755)
    target = new / "lib/modules" / kernel.release
    _link_stock(kernel, target)
    (target / "updates").mkdir()
    for path in built:
        shutil.copy2(path, target / "updates" / path.name)
    host.call(["/usr/sbin/depmod", "-b", new, kernel.release])
    try:
        new.rename(stage)
    except OSError:     # another process made the same one meanwhile
        shutil.rmtree(new)
    return stage, names


def _built(copy):
    """The modules that the last build in COPY made, by its modules.order."""
    order = (copy / "modules.order").read_text().split()
    for line in order:
        # Relative to M= since 6.13, to the kernel tree or absolute before.
        path = pathlib.Path(line).with_suffix(".ko")
        path = path if path.is_absolute() else copy / path
        if not path.exists():
            raise host.LabError(f"the build did not leave {path}")
        yield path


def closure(dependencies, names):
    """NAMES and all modules they need, in the order in which they must be loaded."""
    ordered = []

    def visit(name):
        if name not in ordered:
            for needed in reversed(dependencies[name]):
                visit(needed)
            ordered.append(name)
    for name in names:
        visit(name)
    return ordered


def read_dependencies(directory):
    """modules.dep of a lib/modules/RELEASE directory as a dictionary of lists."""
    found = {}
    for line in (pathlib.Path(directory) / "modules.dep").read_text().splitlines():
        name, _, needed = line.partition(":")
        found[name] = needed.split()
    return found


def _link_stock(kernel, target):
    """Hard links to the stock modules a virtio guest can need, and modules.builtin."""
    dependencies = read_dependencies(kernel.modules)
    wanted = [name for name in dependencies if kernel.debug or name.startswith(STOCK_PARTS)]
    for name in closure(dependencies, wanted):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        os.link(kernel.modules / name, target / name)
    for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
        if (kernel.modules / name).exists():
            shutil.copy2(kernel.modules / name, target / name)
