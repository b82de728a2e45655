# SPDX-License-Identifier: GPL-2.0-only
"""What is made of gcov's counters: from a program that this machine's compiler builds and runs."""

import json
import shutil
import subprocess

import pytest

from vrhlab import coverage, host, seal

HEADER = """\
static inline int vrh_twice(int value)
{
    return 2 * value;
}
"""

SHARED_BY_TWO = """\
#include <stdio.h>
#include "vrh/device.h"

/* The kernel's layout. */
static int __attribute__((noinline))
limit(int value)
{
    if (value > 100) {
        puts("limited");
        return 100;
    }
    return vrh_twice(value);
}
"""

PROGRAM = """\
#include "limits.c"

static void never(void)
{
    puts("a");

    /* Between two lines of code. */
    puts("b");
}

int main(int argc, char **argv)
{
    if (argc == 2)
        never();
    printf("%d\\n", limit(argc));
    if (argc == 3)
        puts("three");
    return 0;
}
"""

SUITE = """\
#include "virtio_blk_rh/limits.c"

int main(void)
{
    return limit(1000) != 100;
}
"""

UNLOADED = """\
int unloaded(int value)
{
    return value + 1;
}
"""


def call(tree, *argv):
    """Runs a command where the modules are built."""
    subprocess.run([str(word) for word in argv], cwd=tree, check=True, stdout=subprocess.PIPE)


def compile_all(tree):
    """Objects as kbuild makes them: relative names, or absolute ones for what is included."""
    for name in ("virtio_blk_rh/main", "tests/kunit/blk_limits_test", "virtio_net_rh/main"):
        call(tree, "gcc", "-O2", "--coverage", f"-I{tree}", f"-I{tree}/include", "-c", "-o",
             f"{name}.o", f"{name}.c")
    for name in ("virtio_blk_rh/main", "tests/kunit/blk_limits_test"):
        call(tree, "gcc", "--coverage", "-o", name, f"{name}.o")


def begin(tree):
    """As a build of three modules does."""
    coverage.begin(tree, "7.3.0-debug", [tree / "virtio_blk_rh/virtio_blk_rh.ko",
                                         tree / "virtio_net_rh/virtio_net_rh.ko",
                                         tree / "tests/kunit/blk_limits_test.ko"])


@pytest.fixture
def built(tmp_path, monkeypatch):
    """(tree, directory for counters): a build that was begun."""
    tree = tmp_path / "tree"
    for name, text in (("include/vrh/device.h", HEADER), ("virtio_blk_rh/limits.c", SHARED_BY_TWO),
                       ("virtio_blk_rh/main.c", PROGRAM), ("virtio_net_rh/main.c", UNLOADED),
                       ("tests/kunit/blk_limits_test.c", SUITE)):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    compile_all(tree)
    # What a build without these sources, or of more modules, has left.
    for old in ("virtio_net_rh/gone.gcno", "pvclock/main.gcno"):
        (tree / old).parent.mkdir(exist_ok=True)
        shutil.copy2(tree / "virtio_net_rh/main.gcno", tree / old)
    monkeypatch.setenv("VRH_COVERAGE", str(tmp_path / "counters"))
    begin(tree)
    return tree, tmp_path / "counters"


def leave(tree, counters, name, program, *arguments):
    """Runs a program of the tree as guest NAME, which leaves its counters."""
    call(tree, tree / program, *arguments)
    data = (tree / program).with_suffix(".gcda")
    data = data if data.exists() else next(tree.rglob(f"*{data.stem}*.gcda"))
    target = counters / f"guest-{name}" / program
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(data, target.with_suffix(".gcda"))


def count(text, lines, word):
    """The count of the line of a file in which WORD stands."""
    number, = [n for n, line in enumerate(text.splitlines(), 1) if word in line]
    return lines[number]


def test_counts_of_guests_and_suites_add_up(built):
    """A file that a suite includes counts for its module, as do a header's lines for all."""
    tree, counters = built
    leave(tree, counters, "a", "virtio_blk_rh/main")
    found = coverage.read(counters)
    limits, main = found["virtio_blk_rh/limits.c"], found["virtio_blk_rh/main.c"]
    assert count(SHARED_BY_TWO, limits, "value > 100") == 1
    assert count(SHARED_BY_TWO, limits, 'puts("limited")') == 0
    assert count(PROGRAM, main, 'puts("three")') == 0
    leave(tree, counters, "b", "virtio_blk_rh/main", "one", "two")
    leave(tree, counters, "c", "tests/kunit/blk_limits_test")
    found = coverage.read(counters)
    limits, main = found["virtio_blk_rh/limits.c"], found["virtio_blk_rh/main.c"]
    assert count(SHARED_BY_TWO, limits, "value > 100") == 3
    assert count(SHARED_BY_TWO, limits, 'puts("limited")') == 1
    assert count(PROGRAM, main, 'puts("three")') == 1
    assert count(PROGRAM, main, 'puts("a")') == 0
    assert count(HEADER, found["include/vrh/device.h"], "2 * value") == 2
    assert not [name for name in found if name.startswith(("tests/", "/", ".."))]


def test_lines_that_no_guest_loaded_count_as_not_run(built):
    """A module without counters is not left out: it is at 0 %."""
    tree, counters = built
    leave(tree, counters, "a", "virtio_blk_rh/main")
    modules, files = coverage.shares(coverage.read(counters))
    assert modules["virtio_net_rh"].lines in (2, 3) and modules["virtio_net_rh"].percent == 0
    assert files["virtio_blk_rh/main.c"].run > 0
    assert modules["virtio_blk_rh"].lines == (files["virtio_blk_rh/main.c"].lines
                                              + files["virtio_blk_rh/limits.c"].lines)
    assert modules["pvclock_rh"].lines == modules["pvclock_rh"].percent == 0
    assert not list(counters.rglob("gone.gcno"))


def test_what_did_not_run_is_listed_by_function(built):
    """A range goes over comments, ends with its function, and has the text of its first line."""
    tree, counters = built
    leave(tree, counters, "a", "virtio_blk_rh/main")
    missed = coverage.not_run(PROGRAM, coverage.read(counters)["virtio_blk_rh/main.c"])
    assert missed == [("never", 3, 9, 4, "static void never(void)"),
                      ("main", 14, 14, 1, "never();"),
                      ("main", 17, 17, 1, 'puts("three");')]
    text = coverage.document(coverage.read(counters), counters)
    assert "7.3.0-debug" in text and "1 guests" in text and "### virtio_net_rh/main.c" in text
    assert 'puts("three");' in text and "\nlimit " in text
    assert seal.is_sealed(text) and not seal.is_sealed(text.replace("1 guests", "2 guests"))


def test_too_little_of_a_module_is_told(built):
    """Each module below the bound has a line; a bound of nothing has none."""
    tree, counters = built
    leave(tree, counters, "a", "virtio_blk_rh/main", "one", "two")
    found = coverage.read(counters)
    percent = coverage.shares(found)[0]["virtio_blk_rh"].percent
    assert 30 < percent < 85
    told = coverage.below(found)
    assert [line.partition(":")[0] for line in told] == list(coverage.MODULES)
    assert "virtio_blk_rh" not in " ".join(coverage.below(found, percent))
    assert coverage.below(found, 0) == []


def test_counters_of_another_build_are_refused(built):
    """The same build may begin again; one of other sources or objects may not."""
    tree, counters = built
    leave(tree, counters, "a", "virtio_blk_rh/main")
    begin(tree)
    (tree / "virtio_blk_rh/main.c").write_text(PROGRAM.replace("three", "3"))
    with pytest.raises(host.LabError, match="another build"):
        begin(tree)
    # A guest of the old build, and notes of the new: gcov would take it for zeros.
    compile_all(tree)
    shutil.copy2(tree / "virtio_blk_rh/main.gcno", counters / "build/virtio_blk_rh/main.gcno")
    with pytest.raises(host.LabError, match="cannot read"):
        coverage.read(counters)


def test_functions_are_found_by_layout():
    """Attributes, several lines of arguments and tables do not mislead."""
    text = """\
static const struct ops table = {
    .open = call(x),
};

__printf(2, 3) static void tell(struct device *dev,
                const char *format, ...)
{
    a();
}
DEFINE_SHOW_ATTRIBUTE(state);

int
last(void)
{
    b();
}
"""
    found = coverage.functions(text)
    assert found == {**dict.fromkeys(range(5, 10), "tell"), **dict.fromkeys(range(13, 17), "last")}


def test_about_names_the_build(built):
    """What the document's header needs is kept with the counters."""
    tree, counters = built
    about = json.loads((counters / "about").read_text())
    assert about["tree"] == str(tree) and about["kernel"] == "7.3.0-debug"


def test_document_is_as_it_was_generated():
    """docs/coverage.md is there, nobody has typed into it, and it has all modules."""
    text = (host.repository() / "docs/coverage.md").read_text()
    assert seal.is_sealed(text)
    assert all(f"| **{module}** |" in text for module in coverage.MODULES)


@pytest.mark.parametrize("name", ["coverage"])
def test_document_can_be_found(name):
    """A reader of README.md comes to what was measured."""
    assert f"(docs/{name}.md)" in (host.repository() / "README.md").read_text()
