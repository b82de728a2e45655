# SPDX-License-Identifier: GPL-2.0-only
"""DKMS adds, builds, installs and removes the suite in private trees."""

import re
import shutil
import subprocess

import pytest

from conftest import KERNELS
from vrhlab import host, kernels, trixie

MODULES = ["virtio_net_rh", "virtio_blk_rh", "virtio_console_rh", "virtio_balloon_rh",
           "pvclock_rh"]


def run(*argv, **kw):
    """Run a command; a failure shows all that it printed."""
    argv = [str(word) for word in argv]
    done = subprocess.run(argv, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **kw)
    assert done.returncode == 0, f"{' '.join(argv)}\n{done.stdout}"
    return done.stdout


def is_stub(path):
    """True if a module is a placeholder."""
    return run("modinfo", "-F", "vrh_stub", path).strip() == "yes"


class Trees:
    """A source, a DKMS and an install tree of our own, so that the machine stays as it is.

    Everything runs as root, as dkms wants it; for 7.3 in the Debian 13 root, with its dkms.
    """

    def __init__(self, root, source, kernel):
        self.root, self.source, self.kernel = root, source, kernel
        self.sources = root / "usr/src"
        self.updates = root / "lib/modules" / kernel.release
        for path in (self.sources, root / "var/lib/dkms", self.updates):
            path.mkdir(parents=True)
        # dkms 3.2 looks for the headers below the install tree.
        (self.updates / "build").symlink_to(kernel.headers)
        self.dkms = ["dkms", "--sourcetree", self.sources, "--dkmstree", root / "var/lib/dkms",
                     "--installtree", root / "lib/modules"]
        if kernel.root:
            trixie.root([f"linux-headers-{kernel.release}", "dkms"])

    def run(self, *argv):
        """Runs a command where the kernel's headers are."""
        if self.kernel.root:
            return run(*trixie.command(self.kernel.root, self.root, argv, "0:0"))
        return run(*host.as_root(argv))

    def make(self, target):
        """`make install` or `make uninstall`, as the README says it."""
        try:
            return self.run("make", "-C", self.source, target, f"KVER={self.kernel.release}",
                            f"DESTDIR={self.root}")
        except AssertionError as error:
            logs = [log.read_text() for log in self.root.rglob("make.log")]
            raise AssertionError("\n".join([str(error), *logs])) from None

    def status(self):
        """What `dkms status` says of the suite."""
        return self.run(*self.dkms, "status", "-m", "virtio-rh")

    def modules(self):
        """{name: path} of our modules in the install tree."""
        return {path.name.split(".")[0]: path for path in self.updates.rglob("*_rh.ko*")}


def copy_tree(repo, where):
    """A copy of the checkout in WHERE, without what git ignores."""
    names = run("git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others",
                "--exclude-standard", cwd=repo)
    for name in filter(None, names.split("\0")):
        if (repo / name).is_file():
            (where / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(repo / name, where / name)
    return where


def break_module(tree):
    """Makes the network driver of a tree fail to compile."""
    with open(tree / "virtio_net_rh/main.c", "a") as main:
        main.write("#error a newer kernel changed something\n")


@pytest.fixture(params=KERNELS)
def trees(request, tmp_path, repo):
    """Private trees for a kernel, around a copy of the checkout."""
    kernel = kernels.get(request.param)
    return Trees(tmp_path, copy_tree(repo, tmp_path / "tree"), kernel)


def test_install_and_uninstall(trees, repo):
    """All five modules arrive in updates/, carry our version, and leave without a trace."""
    version = (repo / "VERSION").read_text().strip()
    release = trees.kernel.release
    trees.make("install")
    assert re.search(rf"virtio-rh/{re.escape(version)}, {re.escape(release)}.*: installed",
                     trees.status())
    found = trees.modules()
    assert sorted(found) == sorted(MODULES)
    for path in found.values():
        assert "updates" in path.parent.parts
        assert run("modinfo", "-F", "version", path).strip() == version
        assert run("modinfo", "-F", "license", path).strip() == "GPL"
        assert not is_stub(path)
    rules = trees.root / "etc/udev/rules.d/61-virtio-rh.rules"
    assert rules.read_text() == (repo / "packaging/udev/61-virtio-rh.rules").read_text()
    # One of an earlier version, which a new checkout's uninstall must not leave behind.
    old = trees.sources / "virtio-rh-0.0.1"
    shutil.copytree(trees.sources / f"virtio-rh-{version}", old)
    (old / "VERSION").write_text("0.0.1\n")
    trees.run(*trees.dkms, "add", "-m", "virtio-rh", "-v", "0.0.1")
    assert "virtio-rh/0.0.1" in trees.status()

    trees.make("uninstall")
    assert "virtio-rh" not in trees.status()
    assert trees.modules() == {}
    assert not list(trees.sources.iterdir())
    assert not rules.exists()


@pytest.mark.parametrize("trees", KERNELS[:1], indirect=True)
def test_installing_again_replaces_what_was_installed(trees):
    """`make install` after a change builds the changed sources; output of a build stays behind."""
    (trees.source / "pvclock/stale.o").touch()
    (trees.source / "include/gone").touch()
    trees.make("install")
    (trees.source / "include/gone").unlink()
    with open(trees.source / "pvclock/main.c", "a") as main:
        main.write('MODULE_INFO(changed, "yes");\n')
    trees.make("install")
    assert run("modinfo", "-F", "changed", trees.modules()["pvclock_rh"]).strip() == "yes"
    assert not [*trees.sources.rglob("*.o"), *trees.sources.rglob("gone")]


@pytest.mark.parametrize("trees", KERNELS[:1], indirect=True)
def test_newer_kernel_gets_a_placeholder(trees):
    """Beyond the tested range one broken module costs that module, not the upgrade."""
    break_module(trees.source)
    (trees.source / "compat/probes/gone.c").write_text("#include <linux/gone_since.h>\n")
    (trees.source / "packaging/SUPPORTED").write_text("5.10\tan older kernel than this one\n")
    trees.make("install")
    found = trees.modules()
    assert {name: is_stub(path) for name, path in found.items()} == \
        {name: name == "virtio_net_rh" for name in MODULES}
    assert run("modinfo", "-F", "alias", found["virtio_net_rh"]).strip() == ""


@pytest.mark.parametrize("trees", KERNELS[:1], indirect=True)
def test_broken_build_on_a_tested_kernel_is_an_error(trees):
    """Within the tested range a module that does not compile fails the DKMS build."""
    break_module(trees.source)
    done = subprocess.run(["make", "-C", trees.source, "dkms", f"KVER={trees.kernel.release}"],
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode != 0
    assert "is no newer than the tested kernels" in done.stdout


def test_version_has_one_source(repo):
    """dkms.conf takes its version from VERSION."""
    out = run("bash", "-c", '. ./dkms.conf && echo "$PACKAGE_VERSION"', cwd=repo)
    assert out.strip() == (repo / "VERSION").read_text().strip()
