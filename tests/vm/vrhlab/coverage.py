# SPDX-License-Identifier: GPL-2.0-only
"""Which lines of the modules ran, counted by gcov on the debug kernel.

With VRH_COVERAGE=DIRECTORY the modules are built to count (compat/module.mk), each guest leaves
its counters in the directory when it ends, and read() adds them up. A guest that is killed or
reboots, and one that had to let go of /share, leaves none. In the directory are:

    build/      the sources as they were built, and the compiler's notes on them (.gcno)
    about       what was built, as JSON
    guest-*/    the counters of a guest (.gcda)
    lost        why guests left none, though they should
"""

import dataclasses
import datetime
import filecmp
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

from . import host
from .seal import sealed

#: The modules and where their files are.
MODULES = {"virtio_net_rh": "virtio_net_rh/", "virtio_blk_rh": "virtio_blk_rh/",
           "virtio_console_rh": "virtio_console_rh/", "virtio_balloon_rh": "virtio_balloon_rh/",
           "pvclock_rh": "pvclock/"}

#: Headers that belong to no module alone.
SHARED = ("include/vrh/", "compat/")

#: The part of each module that tests have to reach, in percent of its lines.
LEAST = 85

#: How the document in docs/ is made again.
COMMAND = "tests/check coverage && tests/vm/lab coverage --out docs/coverage.md"


def directory():
    """VRH_COVERAGE, the directory for counters, or None."""
    path = os.environ.get("VRH_COVERAGE")
    return pathlib.Path(path).absolute() if path else None


def begin(tree, release, modules):
    """Keeps what reading the counters will need of TREE: MODULES (paths) for the kernel RELEASE.

    Notes of objects that an earlier build left there are not of these sources. LabError if the
    directory has the counters of another build: they cannot be added up.
    """
    target = directory()
    target.mkdir(parents=True, exist_ok=True)
    names = sorted(str(path.relative_to(tree)) for where in {module.parent for module in modules}
                   for path in where.glob("*.gcno") if path.with_suffix(".c").exists())
    names += sorted(str(path.relative_to(tree)) for part in (*MODULES.values(), *SHARED)
                    for path in (tree / part).glob("*.[ch]"))
    with host.locked(target / "lock", "the directory of counters"):
        about = target / "about"
        if about.exists():
            same, other, missing = filecmp.cmpfiles(tree, target / "build", names, shallow=False)
            if other or missing:
                raise host.LabError(f"{target} has counters of another build than {tree} "
                                    f"({(other + missing)[0]} differs): empty it first")
            return
        shutil.rmtree(target / "build", ignore_errors=True)
        for name in names:
            (target / "build" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(tree / name, target / "build" / name)
        about.write_text(json.dumps({
            "tree": str(tree), "kernel": release,
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")}))


def pull(guest):
    """Copies the counters of a guest that is about to end.

    They can only be read as a stream. What a module counted before it was removed is in them.
    A guest that cannot give them away lowers the result, and is no reason to fail its test.
    """
    counters = "/sys/kernel/debug/gcov" + str(guest.built.tree)
    script = (
        "grep -q ' /share ' /proc/mounts || exit 1; d=/sys/kernel/debug; "
        "test -d $d/gcov || mount -t debugfs none $d; mkdir /share/gcov || exit; "
        f"cd {counters} 2>/dev/null || exit 0; "    # no module of ours was loaded
        "find * -type d -print0 | (cd /share/gcov && xargs -0 mkdir -p) && "
        "find * -name '*.gcda' | while read -r f; do cat $f >/share/gcov/$f || exit; done")
    try:
        done = guest.run(script, timeout=180)
        if not done.ok:
            raise host.LabError(f"status {done.status}: {done.stderr.strip() or 'no /share'}")
        shutil.copytree(guest.share / "gcov", tempfile.mkdtemp(prefix="guest-", dir=directory()),
                        dirs_exist_ok=True)
    except (host.LabError, OSError) as error:
        with open(directory() / "lost", "a") as out:
            out.write(f"{str(error).splitlines()[0]}\n")


def read(path):
    """{name of a file: {number of a line: how often it ran}} for all of ours in a directory.

    Lines of code that no guest had loaded count as not run.
    """
    path = pathlib.Path(path)
    about = json.loads((path / "about").read_text())
    build = path / "build"
    notes = sorted(build.rglob("*.gcno"))
    found = {}
    _add(found, _gcov(build, notes), about["tree"])
    for guest in guests(path):
        data = sorted(guest.rglob("*.gcda"))
        for one in data:
            note = one.relative_to(guest).with_suffix(".gcno")
            if not (guest / note).exists():
                os.link(build / note, guest / note)
        _add(found, _gcov(guest, data), about["tree"])
    return found


def guests(path):
    """The directories of guests that left counters."""
    return sorted(pathlib.Path(path).glob("guest-*"))


def lost(path):
    """Why guests left no counters, a line for each."""
    path = pathlib.Path(path) / "lost"
    return path.read_text().splitlines() if path.exists() else []


def _gcov(where, names):
    """The documents that gcov makes of the files NAMES, one for each object."""
    if not names:
        return []
    done = subprocess.run(["gcov", "--json-format", "--stdout", *map(str, names)], cwd=where,
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    # A guest's counters that do not belong to the notes would be taken for zeros.
    if done.returncode or "mismatch" in done.stderr:
        raise host.LabError(f"gcov cannot read the counters in {where}:\n{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines() if line]


def _add(found, documents, tree):
    """Adds the counts of gcov's documents to FOUND."""
    ours = (*MODULES.values(), *SHARED)
    for document in documents:
        for part in document["files"]:
            name = os.path.relpath(os.path.join(document["current_working_directory"],
                                                part["file"]), tree)
            if not name.startswith(ours):
                continue
            lines = found.setdefault(name, {})
            # One line is in the list once for each function that it was compiled into.
            for line in part["lines"]:
                number = line["line_number"]
                lines[number] = lines.get(number, 0) + line["count"]


@dataclasses.dataclass
class Share:
    """How much of something ran."""

    lines: int = 0
    run: int = 0

    def add(self, counts):
        """Adds the lines of a file."""
        self.lines += len(counts)
        self.run += sum(count > 0 for count in counts)

    @property
    def percent(self):
        """Of the lines: of none at all nothing ran."""
        return 100 * self.run / self.lines if self.lines else 0.0


def shares(found):
    """({module: Share}, {file: Share}) of what read() found."""
    modules, files = {name: Share() for name in MODULES}, {}
    for name, lines in sorted(found.items()):
        files[name] = Share()
        files[name].add(lines.values())
        for module, start in MODULES.items():
            if name.startswith(start):
                modules[module].add(lines.values())
    return modules, files


def functions(text):
    """{number of a line: name of the function it is in}, by the layout of kernel code."""
    found, head, begun, name = {}, "", 0, None
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r"[A-Za-z_].*\(", line):
            head = re.sub(r"\b__\w+\([^)]*\)+\s*", "", line)    # attributes
            begun = number
        if line == "{" and (words := re.search(r"(\w+)\(", head)):
            name = words[1]
            found.update(dict.fromkeys(range(begun, number), name))
        if name:
            found[number] = name
        if line == "}":
            name = None
    return found


def not_run(text, lines):
    """[(function or "", first line, last line, lines of code, text of the first)] that did not run.

    A range goes on over what is no code, but not into the next function.
    """
    source, within, ranges, open_range = text.splitlines(), functions(text), [], False
    for number in sorted(lines):
        name = within.get(number, "")
        if lines[number]:
            open_range = False
            continue
        if open_range and ranges[-1][0] == name:
            ranges[-1][2:4] = number, ranges[-1][3] + 1
        else:
            ranges.append([name, number, number, 1, source[number - 1].strip()])
        open_range = True
    return [tuple(one) for one in ranges]


def table(found):
    """A table in Markdown: what ran of each module and file."""
    modules, files = shares(found)
    rows = ["| module, file | lines | run | % |", "|---|---:|---:|---:|"]

    def add(name, share):
        rows.append(f"| {name} | {share.lines} | {share.run} | {share.percent:.1f} |")
    for module, start in MODULES.items():
        add(f"**{module}**", modules[module])
        for name, share in files.items():
            if name.startswith(start):
                add(name, share)
    for name, share in files.items():
        if name.startswith(SHARED):
            add(name, share)
    return "\n".join(rows) + "\n"


def document(found, path):
    """The document for docs/: the table, and all that did not run."""
    path = pathlib.Path(path)
    about = json.loads((path / "about").read_text())
    out = ["# Lines of the modules that the tests run", "",
           f"Written by `{COMMAND}`,",
           f"not by hand: kernel {about['kernel']} (debug), {about['date']}, "
           f"{len(guests(path))} guests. A line is code that the compiler",
           "kept; it ran if it did in any guest or KUnit suite. Lines of headers in `include/vrh/` "
           "and `compat/`", "belong to no module.", "",
           table(found), "## Not run", "",
           "Function, lines, how many of them are code, the first of them."]
    for name, lines in sorted(found.items()):
        missed = not_run((path / "build" / name).read_text(), lines)
        if missed:
            out += ["", f"### {name}", "```"]
            for function, first, last, count, text in missed:
                where = f"{first}-{last}" if last > first else f"{first}"
                out.append(f"{function:36} {where:>9} {count:4}  {text}"[:110].rstrip())
            out.append("```")
    return sealed("\n".join(out) + "\n")


def below(found, least=LEAST):
    """A line for each module of which less than LEAST percent ran."""
    return [f"{name}: {share.percent:.1f} % of {share.lines} lines ran, less than {least} %"
            for name, share in shares(found)[0].items() if share.percent < least]
