# SPDX-License-Identifier: GPL-2.0-only
"""The package archive through a private apt state.

Suites that the machine's own apt does not list (backports, trixie) come from the same
mirror; the machine's sources and lists are never touched. Knows nothing of kernels.
"""

import functools
import pathlib
import re
import subprocess
import time

from . import host

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

#: Lists older than this are fetched anew before a package is looked up.
LISTS_GOOD_FOR = 24 * 3600

#: The suites of each state, and whether apt may count the machine's packages as installed.
SUITES = {
    "bookworm": (["bookworm", "bookworm-security", "bookworm-backports"], True),
    "trixie": (["trixie", "trixie-backports"], False),
}

#: QEMU comes from backports (7.2 crashes in nested guests); nothing else does.
PREFERENCES = """\
Package: qemu* seabios ipxe-qemu libfdt1
Pin: release n=bookworm-backports
Pin-Priority: 600
"""


@functools.lru_cache(maxsize=None)
def mirrors():
    """The machine's mirrors by suite, as its apt knows them."""
    listed = host.call(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)"])
    found = {}
    for line in listed.splitlines():
        uri, _, suite = line.partition(" ")
        found.setdefault(suite, uri)
    if "bookworm" not in found:
        raise host.LabError("apt lists no Debian 12 (bookworm) mirror; "
                            "run `apt-get update` with a Debian 12 sources.list")
    return found


def state(name):
    """apt options of the private state NAME ("bookworm" or "trixie")."""
    suites, installed = SUITES[name]
    base = host.cache_dir() / "apt" / name
    for part in ("lists/partial", "cache/archives/partial"):
        (base / part).mkdir(parents=True, exist_ok=True)
    known = mirrors()
    lines = [f"deb [signed-by={KEYRING}] {known.get(suite, known['bookworm'])} {suite} main\n"
             for suite in suites if suite in known or not suite.endswith("-security")]
    _write(base / "sources.list", "".join(lines))
    _write(base / "preferences", PREFERENCES)
    options = {
        "Dir::Etc::sourcelist": base / "sources.list", "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferences": base / "preferences", "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::State::Lists": base / "lists", "Dir::Cache": base / "cache",
        "APT::Sandbox::User": "root", "Acquire::Languages": "none",
    }
    if not installed:
        _write(base / "status", "")
        options["Dir::State::status"] = base / "status"
    return [word for key, value in options.items() for word in ("-o", f"{key}={value}")]


def _write(path, text):
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def update(name):
    """Fetches the lists of a state unless they are fresh."""
    base = host.cache_dir() / "apt" / name
    stamp = base / "updated"
    options = state(name)
    sources = (base / "sources.list").read_text()
    fresh = (stamp.exists() and stamp.read_text() == sources
             and time.time() - stamp.stat().st_mtime < LISTS_GOOD_FOR)
    if fresh:
        return options
    with host.locked(base / "lock", f"package lists of {name}"):
        host.say(f"fetching the package lists of {name}")
        try:
            host.call(["apt-get", *options, "-q", "update", "--error-on=any"])
        except host.LabError as error:
            raise host.LabError(f"the package lists of {name} cannot be fetched; is this machine "
                                f"online?\n{error}")
        stamp.write_text(sources)
    return options


def newest(name, pattern):
    """The newest package whose name matches the regular expression PATTERN.

    Returns (package, version) or raises LabError.
    """
    options = update(name)
    known = host.call(["apt-cache", *options, "pkgnames", prefix(pattern)]).split()
    names = [word for word in known if re.fullmatch(pattern, word)]
    best = None
    for line in host.call(["apt-cache", *options, "madison", *names]).splitlines() if names else []:
        package, version = (part.strip() for part in line.split("|")[:2])
        if best is None or newer(version, best[1]):
            best = package, version
    if best is None:
        raise host.LabError(f"the archive of {name} has no package {pattern}")
    return best


def prefix(pattern):
    """The literal beginning of a regular expression."""
    return re.match(r"(?:[\w+-]|\\\.)*", pattern).group().replace("\\", "")


def newer(one, two):
    """True if Debian version ONE is later than TWO."""
    return subprocess.run(["dpkg", "--compare-versions", one, "gt", two]).returncode == 0


def unpack(name, packages, target):
    """Downloads PACKAGES (names, or name=version) and unpacks them into TARGET."""
    options = update(name)
    debs = host.cache_dir() / "debs"
    debs.mkdir(exist_ok=True)
    target = pathlib.Path(target)
    target.mkdir(parents=True, exist_ok=True)
    for package in packages:
        uri = host.call(["apt-get", *options, "-q", "--print-uris", "download", package]).split()
        path = debs / uri[1]
        if not path.exists():
            host.say(f"downloading {uri[1]} ({int(uri[2]) >> 20} MiB)")
            host.call(["apt-get", *options, "-q", "download", package], cwd=debs,
                      what=f"downloading {package}")
        host.say(f"unpacking {path.name}")
        host.call(["dpkg-deb", "-x", path, target])
        path.unlink()


def install(packages):
    """Installs PACKAGES on this machine: one apt call, QEMU from backports."""
    options = update("bookworm")
    host.call([*host.as_root(["env", "DEBIAN_FRONTEND=noninteractive"]), "apt-get", *options, "-q",
               "-y", "--no-install-recommends", "install", *packages], quiet=False,
              what=f"installing {' '.join(packages)}")
