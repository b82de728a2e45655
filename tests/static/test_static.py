# SPDX-License-Identifier: GPL-2.0-only
"""The rules of the house that a program can check, over every file git knows."""

import pathlib
import re
import subprocess
import tempfile

import pytest

REPO = pathlib.Path(__file__).resolve().parents[2]
MODULES = ["virtio_net_rh", "virtio_blk_rh", "virtio_console_rh", "virtio_balloon_rh", "pvclock"]


def files(*patterns):
    """Paths of the tree, tracked or about to be, that match the git patterns."""
    out = subprocess.run(["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others",
                          "--exclude-standard", *patterns], cwd=REPO, stdout=subprocess.PIPE,
                         check=True)
    return [REPO / p for p in out.stdout.decode().split("\0") if p and (REPO / p).is_file()]


def text(path):
    """Content of a file, or an empty string for a binary one."""
    try:
        return path.read_text()
    except UnicodeDecodeError:
        return ""


def shebang(path):
    """First line of a file if it is a script."""
    line = text(path).partition("\n")[0]
    return line if line.startswith("#!") else ""


def findings(argv):
    """Run a checker; its output if it is not content."""
    done = subprocess.run([str(a) for a in argv], cwd=REPO, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    return done.stdout or f"status {done.returncode}" if done.returncode else ""


def test_checkpatch():
    """Kernel coding style, by the newest kernel's own checker."""
    assert findings(["tests/static/checkpatch"]) == ""


def test_shellcheck():
    """Shell scripts hold against shellcheck."""
    scripts = [p for p in files() if p.suffix == ".sh" or re.search(r"\b(sh|bash)$", shebang(p))]
    assert scripts
    assert findings(["shellcheck", "-x", *scripts]) == ""


def test_flake8():
    """Python is flake8-clean at 100 columns."""
    scripts = [p for p in files() if p.suffix == ".py" or "python" in shebang(p)]
    assert scripts
    assert findings(["/usr/bin/python3", "-m", "flake8", "--max-line-length=100", *scripts]) == ""


def test_licence_line():
    """Every source file names its licence in one of its first two lines."""
    sources = [p for p in files() if p.suffix in (".c", ".h", ".py", ".awk", ".mk", ".sh")
               or p.name in ("Kbuild", "Makefile", "dkms.conf") or shebang(p)]
    bad = [str(p) for p in sources
           if text(p) and "SPDX-License-Identifier: GPL-2.0" not in
           "\n".join(text(p).splitlines()[:2])]
    assert bad == []


def test_no_kernel_version_decides():
    """compat/ asks what a kernel has; a version number never decides."""
    name = "LINUX_VERSION" + "_CODE"
    assert [str(p) for p in files("*.c", "*.h", "*.mk", "*Kbuild") if name in text(p)] == []


def test_no_condition_inside_a_function():
    """Kernel differences stay in compat/: no #if inside a function body of a module."""
    bad = []
    for path in files(*[f"{m}/*.c" for m in MODULES]):
        depth, body = 0, False
        code = re.sub(r"/\*.*?\*/", lambda m: "\n" * m.group().count("\n"), text(path), flags=re.S)
        for number, line in enumerate(code.splitlines(), 1):
            if re.match(r"\s*#\s*if", line) and depth and body:
                bad.append(f"{path}:{number}")
            if not depth and line.strip():
                body = "=" not in line      # else the initializer of a table
            if not line.lstrip().startswith("#"):
                line = re.sub(r"'.'|\"(\\.|[^\"\\])*\"|//.*", "", line)
                depth += line.count("{") - line.count("}")
    assert bad == []


def test_no_way_to_stop_the_kernel():
    """Nothing of ours stops or warns the kernel on the host's word."""
    word = re.compile(r"\b(BUG|BUG_ON|WARN|WARN_ON|WARN_ON_ONCE|WARN_ONCE|panic)\s*\(")
    bad = [f"{p}: {m.group()}"
           for p in files(*[f"{m}/*.[ch]" for m in MODULES], "include/*.h", "compat/*.h")
           for m in word.finditer(text(p))]
    assert bad == []


@pytest.mark.parametrize("module", MODULES)
def test_modinfo_is_complete(module):
    """Each module says its version, licence, author and what it is."""
    main = text(REPO / module / "main.c")
    for macro in ("MODULE_VERSION(VRH_VERSION)", 'MODULE_LICENSE("GPL")', "MODULE_DESCRIPTION(",
                  "MODULE_AUTHOR("):
        assert macro in main


def test_probes_are_asked_and_used():
    """Each probe is used and each used answer has its probe; each says where the answer changes."""
    probes = {p.stem: p for p in files("compat/probes/*.c") if not p.stem.startswith("_must_")}
    exports = {line.split("#")[0].strip() for line in text(REPO / "compat/exports").splitlines()}
    exports.discard("")
    code = "\n".join(text(p) for p in files("*.c", "*.h", "*Kbuild"))
    have = set(re.findall(r"\bVRH_HAVE_([A-Z0-9_]+)", code))
    exported = set(re.findall(r"\bVRH_EXPORT_([A-Z0-9_]+)", code))
    assert have == {name.upper() for name in probes}
    assert exported == {name.upper() for name in exports}
    recorded = {question.strip("`"): marks for question, marks in matrix().items()}
    assert sorted({n for n in recorded if not n.startswith("E ")}) == sorted(probes)
    for name, path in probes.items():
        said = re.search(r"/\*[\s*]*In (\S+), not in (\S+):", text(path))
        assert said, f"{path.name}: in which test kernels?"
        assert [recorded[name].get(kernel) for kernel in said.groups()] == ["yes", "no"], path.name


def matrix():
    """{question: {kernel: "yes" or "no"}} of compat/MATRIX.md."""
    head, _, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in
                         text(REPO / "compat/MATRIX.md").splitlines() if line.startswith("|")]
    return {row[0]: dict(zip(head[1:], row[1:])) for row in rows}


def test_supported_kernels_are_those_of_the_readme():
    """The table of the README and packaging/SUPPORTED, which DKMS reads, name the same kernels."""
    listed = [tuple(line.split("\t")) for line in text(REPO / "packaging/SUPPORTED").splitlines()
              if not line.startswith("#")]
    rows = re.findall(r"^\| (\d+\.\d+) \| (.*?) \| yes \|$", text(REPO / "README.md"), flags=re.M)
    assert listed and rows == listed


def test_help_lists_every_target():
    """`make help` has a line for each target that a person types, and the ones promised."""
    help_text = subprocess.run(["make", "-s", "help"], cwd=REPO, text=True, check=True,
                               stdout=subprocess.PIPE).stdout
    listed = set(re.findall(r"^  ([a-z_]+)  +\S", help_text, flags=re.M))
    makefile = text(REPO / "Makefile").replace("\\\n", " ")
    assert listed == set(re.search(r"^\.PHONY: (.*)$", makefile, flags=re.M).group(1).split())
    assert listed >= {"modules", "sparse", "checkpatch", "check", "demo", "bench",
                      "modules_install", "install", "uninstall", "clean"}


def test_nothing_names_this_machine():
    """No package mirror and no path of the build machine stands in the tree."""
    out = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)"], text=True,
                         stdout=subprocess.PIPE, check=False).stdout
    hosts = {line.split("/")[2] for line in out.splitlines() if line.count("/") > 2}
    words = [h for h in hosts if "." in h] + [f"{REPO}/"]
    if REPO.parent != pathlib.Path(tempfile.gettempdir()):
        words.append(f"{REPO.parent}/")
    bad = [f"{p}: {w}" for p in files() for w in words if w in text(p)]
    assert bad == []


def promised():
    """{(module, "parameter" or "attribute", name)} that the code shows to users."""
    found = set()
    for directory in MODULES:
        module = "pvclock_rh" if directory == "pvclock" else directory
        for path in files(f"{directory}/*.c"):
            code = text(path)
            for name in re.findall(r"\bVRH_PARAM_UINT\((\w+)|\bmodule_param\w*\((\w+)", code):
                found.add((module, "parameter", name[0] or name[1]))
            if "<vrh/feature.h>" in code:
                found |= {(module, "parameter", "enable"),
                          (module, "parameter", "disable_features")}
            for name in re.findall(r"&(?:dev_attr_(\w+)|(\w+)_attr(?:ibute)?)\.attr\b", code):
                found.add((module, "attribute", name[0] or name[1]))
            if "device_set_wakeup_capable(" in code:    # power/wakeup, made by the driver core
                found.add((module, "attribute", "wakeup"))
    return found


def described():
    """What docs/ABI describes, in the same form."""
    found = set()
    for path in files("docs/ABI/testing/*"):
        module = path.name.removeprefix("sysfs-")
        for what in re.findall(r"^What:\s*(\S+)", text(path), flags=re.M):
            kind = "parameter" if "/parameters/" in what else "attribute"
            found.add((module, kind, what.rsplit("/", 1)[1]))
    return found


def test_users_interface_is_described():
    """Each module parameter and sysfs file has its entry in docs/ABI, and no entry is stale."""
    assert sorted(promised() - described()) == []
    assert sorted(described() - promised()) == []
