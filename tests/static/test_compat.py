# SPDX-License-Identifier: GPL-2.0-only
"""The probes of compat/ answer rightly or not at all, and are asked again when they must be."""

import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "vm"))

from vrhlab import build, host, tree  # noqa: E402

#: A kernel whose headers are on this machine.
KERNEL = "6.12"

#: Stands for a compiler that is killed on its way through the probes.
DYING = """#!/bin/sh
case "$*" in *compat/all.c*) gcc "$@" 2>&1 | head -n 9 >&2; exit 1;; esac
exec gcc "$@"
"""


class Probes:
    """A copy of the tree, of which only the answers are made."""

    def __init__(self, path):
        self.path = path
        self.kernel = build.build(KERNEL)
        tree.sync(host.repository(), path)

    def ask(self, *words):
        """Runs kbuild; returns what it printed."""
        return subprocess.run(["make", "-C", self.kernel.kernel.headers, f"M={self.path}",
                               "vrh-modules=", *words, "modules"], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout

    def add(self, name, text):
        """Adds a probe."""
        (self.path / f"compat/probes/{name}.c").write_text(text)

    def answers(self):
        """The lines of config.h, without those of probes that this test added."""
        lines = (self.path / "compat/config.h").read_text().splitlines()
        return [line for line in lines if "VRH_HAVE_A_TEST" not in line]

    def usual(self):
        """What the ordinary build of the tree was told."""
        return (self.kernel.tree / "compat/config.h").read_text().splitlines()


@pytest.fixture
def probes(tmp_path):
    """Probes to play with."""
    return Probes(tmp_path / "tree")


def test_a_missing_header_costs_one_answer(probes):
    """It ends the compile, but says nothing of the questions behind it."""
    probes.add("a_test", "#include <linux/no_kernel_has_this_header.h>\n")
    probes.ask()
    assert probes.answers() == probes.usual()
    assert "/* VRH_HAVE_A_TEST: no */" in (probes.path / "compat/config.h").read_text()


def test_a_warning_is_no_answer(probes):
    """Also where warnings are errors in the kernel's own build."""
    probes.add("a_test", "#warning a warning\n")
    probes.ask("KCFLAGS=-Werror")
    assert "#define VRH_HAVE_A_TEST 1" in (probes.path / "compat/config.h").read_text()
    assert probes.answers() == probes.usual()


def test_a_compiler_that_dies_gives_no_answers(probes):
    """The canary that must fail is silent then."""
    compiler = probes.path / "dying-cc"
    compiler.write_text(DYING)
    compiler.chmod(0o755)
    assert "canary answers wrongly: _must_fail" in probes.ask(f"CC={compiler}")
    assert not (probes.path / "compat/config.h").exists()


def test_a_changed_header_is_asked_again(probes):
    """The same release with other headers: a rebuilt package, a kernel tree of one's own."""
    header = probes.path / "include/a_test.h"
    header.write_text("")
    probes.add("a_test", f'#include "{header}"\n#ifndef A_TEST\n#error no\n#endif\n')
    assert "PROBE" in probes.ask()
    assert "PROBE" not in probes.ask()
    header.write_text("#define A_TEST\n")
    os.utime(header, (2e9, 2e9))
    assert "PROBE" in probes.ask()
    assert "#define VRH_HAVE_A_TEST 1" in (probes.path / "compat/config.h").read_text()
