# SPDX-License-Identifier: GPL-2.0-only
"""DKMS adds, builds, installs and removes the suite in private trees."""

import re
import shutil
import subprocess

import pytest

from conftest import installed_kernels

MODULES = ["virtio_net_rh", "virtio_blk_rh", "virtio_console_rh", "virtio_balloon_rh",
           "pvclock_rh"]


def run(*argv, **kw):
    """Run a command; a failure shows all that it printed."""
    done = subprocess.run(argv, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **kw)
    assert done.returncode == 0, f"{' '.join(map(str, argv))}\n{done.stdout}"
    return done.stdout


def is_stub(path):
    """True if a module is a placeholder."""
    return run("modinfo", "-F", "vrh_stub", path).strip() == "yes"


class Trees:
    """A source, a DKMS and an install tree of our own, so that the machine stays as it is.

    dkms writes its log and weak-updates state below the same roots; depmod is kept from
    the machine's /lib/modules by the install tree.
    """

    def __init__(self, root, repo):
        self.root = root
        self.repo = repo
        self.installtree = root / "lib/modules"
        self.version = (repo / "VERSION").read_text().strip()
        for name in ("usr/src", "var/lib/dkms", "lib/modules"):
            (root / name).mkdir(parents=True)
        self.dkms = ["dkms", "--sourcetree", str(root / "usr/src"),
                     "--dkmstree", str(root / "var/lib/dkms"),
                     "--installtree", str(self.installtree)]

    def make(self, target, kernel):
        """`make install` or `make uninstall`, as the README says it."""
        return run("make", "-C", self.repo, target, f"KVER={kernel}", f"DESTDIR={self.root}",
                   f"DKMS={' '.join(self.dkms)}")

    def status(self):
        """What `dkms status` says of the suite."""
        return run(*self.dkms, "status", "-m", "virtio-rh")

    def modules(self, kernel):
        """Names of our modules in the install tree."""
        found = (self.installtree / kernel).rglob("*_rh.ko*")
        return sorted(p.name.split(".")[0] for p in found)


@pytest.fixture
def trees(tmp_path, repo):
    """Private trees, built as root: dkms wants it."""
    if not shutil.which("dkms"):
        pytest.fail("dkms is not installed: apt-get install dkms")
    return Trees(tmp_path, repo)


@pytest.mark.parametrize("kernel", installed_kernels() or ["no headers installed"])
def test_install_and_uninstall(trees, kernel):
    """All five modules arrive in updates/, carry our version, and leave without a trace."""
    (trees.installtree / kernel).mkdir()
    trees.make("install", kernel)
    assert re.search(rf"virtio-rh/{re.escape(trees.version)}, {re.escape(kernel)}.*: installed",
                     trees.status())
    assert trees.modules(kernel) == sorted(MODULES)
    for path in (trees.installtree / kernel).rglob("*_rh.ko*"):
        assert "updates" in path.parent.parts
        assert run("modinfo", "-F", "version", path).strip() == trees.version
        assert run("modinfo", "-F", "license", path).strip() == "GPL"
        assert not is_stub(path)
    trees.make("uninstall", kernel)
    assert "virtio-rh" not in trees.status()
    assert trees.modules(kernel) == []
    assert not list((trees.root / "usr/src").iterdir())


def break_module(repo, where):
    """A copy of the tree in WHERE whose network driver does not compile."""
    names = run("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=repo).split()
    for name in names:
        if (repo / name).is_file():
            (where / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(repo / name, where / name)
    with open(where / "virtio_net_rh/main.c", "a") as main:
        main.write("#error a newer kernel changed something\n")
    return where


@pytest.fixture
def kernel():
    """One kernel whose headers this machine has."""
    found = installed_kernels()
    if not found:
        pytest.fail("no kernel headers are installed")
    return found[0]


def test_newer_kernel_gets_a_placeholder(tmp_path, repo, kernel):
    """Beyond the tested range one broken module costs that module, not the upgrade."""
    (tmp_path / "tree").mkdir()
    tree = break_module(repo, tmp_path / "tree")
    (tree / "packaging/SUPPORTED").write_text("5.10\tan older kernel than this one\n")
    trees = Trees(tmp_path / "root", tree)
    (trees.installtree / kernel).mkdir()
    trees.make("install", kernel)
    stubs = {p.name.split(".")[0]: is_stub(p)
             for p in (trees.installtree / kernel).rglob("*_rh.ko*")}
    assert stubs == {name: name == "virtio_net_rh" for name in MODULES}
    aliases = run("modinfo", "-F", "alias", next((trees.installtree / kernel).rglob(
        "virtio_net_rh.ko*")))
    assert aliases.strip() == ""


def test_broken_build_on_a_tested_kernel_is_an_error(tmp_path, repo, kernel):
    """Within the tested range a module that does not compile fails the DKMS build."""
    tree = break_module(repo, tmp_path)
    done = subprocess.run(["make", "-C", tree, "dkms", f"KVER={kernel}"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode != 0
    assert "is a tested kernel and the modules do not build" in done.stdout


def test_version_has_one_source(repo):
    """dkms.conf takes its version from VERSION."""
    out = run("bash", "-c", '. ./dkms.conf && echo "$PACKAGE_VERSION"', cwd=repo)
    assert out.strip() == (repo / "VERSION").read_text().strip()
