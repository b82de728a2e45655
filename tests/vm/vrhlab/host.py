# SPDX-License-Identifier: GPL-2.0-only
"""The build machine: paths of the cache, messages, commands, root rights, locks.

Nothing in here knows about kernels or guests.
"""

import contextlib
import fcntl
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time


class LabError(Exception):
    """Something the lab cannot do; the message says what to do about it."""


def words(variable):
    """The words of an environment variable, between blanks or commas."""
    return re.findall(r"[^\s,]+", os.environ.get(variable, ""))


def until(condition, timeout, what, nap=0.1):
    """Waits until CONDITION() is true, and returns its value; asks every NAP seconds.

    LabError with WHAT, which may be a function that makes the text, after TIMEOUT seconds.
    """
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise LabError(f"not within {timeout} s: {what() if callable(what) else what}")
        time.sleep(nap)
    return value


def cache_dir():
    """The lab's cache: VRH_CACHE, or virtio-rh under the user's cache directory."""
    path = os.environ.get("VRH_CACHE")
    if not path:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        path = os.path.join(base, "virtio-rh")
    path = pathlib.Path(path).absolute()
    path.mkdir(parents=True, exist_ok=True)
    return path


def repository():
    """The checkout that this lab belongs to."""
    return pathlib.Path(__file__).resolve().parents[3]


def say(message):
    """One line of progress, on stderr so that results stay alone on stdout."""
    print(f"lab: {message}", file=sys.stderr, flush=True)


def as_root(argv):
    """ARGV with sudo in front of it unless we are root."""
    argv = [str(a) for a in argv]
    return argv if os.geteuid() == 0 else ["sudo", *argv]


def call(argv, *, quiet=True, what=None, **kwargs):
    """Runs a command; its output is kept and shown only if it fails.

    Returns standard output. With quiet=False the command talks to the terminal (stderr).
    """
    argv = [str(a) for a in argv]
    if quiet:
        kwargs.setdefault("stdout", subprocess.PIPE)
        kwargs.setdefault("stderr", subprocess.PIPE)
    else:
        kwargs.setdefault("stdout", sys.stderr)
    kwargs.setdefault("stdin", subprocess.DEVNULL)
    try:
        done = subprocess.run(argv, text=True, errors="replace", **kwargs)
    except FileNotFoundError:
        raise LabError(f"{argv[0]} is not installed (needed for: {what or shlex.join(argv)})")
    if done.returncode:
        tail = "\n".join(((done.stdout or "") + (done.stderr or "")).splitlines()[-40:])
        raise LabError(f"{what or shlex.join(argv)} failed (status {done.returncode})"
                       + (f":\n{tail}" if tail else ""))
    return done.stdout or ""


@contextlib.contextmanager
def locked(path, what):
    """Holds an exclusive lock on the file PATH; says so once if it has to wait."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say(f"waiting for another lab: {what}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def make_directory():
    """A directory for a guest's sockets and files; those of dead processes are removed."""
    temporary = pathlib.Path(tempfile.gettempdir())
    for old in temporary.glob("vrh-[0-9]*-*"):
        if not pathlib.Path("/proc", old.name.split("-")[1]).exists():
            shutil.rmtree(old, ignore_errors=True)
    return pathlib.Path(tempfile.mkdtemp(prefix=f"vrh-{os.getpid()}-"))


_held = 0   # guest slots that this process holds


@contextlib.contextmanager
def guest_slot():
    """Holds one of the machine's guest slots: as many as processors, or VRH_SLOTS.

    A guest under TCG takes a whole processor for each of its own; more guests than
    processors make every guest slow enough to break timeouts.
    """
    global _held
    count = int(os.environ.get("VRH_SLOTS") or os.cpu_count() or 1)
    if _held >= count:
        raise LabError(f"this process runs {_held} guests already and the machine has {count} "
                       "slots for guests (VRH_SLOTS)")
    directory = cache_dir() / "slots"
    directory.mkdir(exist_ok=True)
    begun, said = time.monotonic(), False
    while True:
        for number in range(count):
            handle = open(directory / str(number), "a")
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                handle.close()
                continue
            if said:
                say(f"got a guest slot after {time.monotonic() - begun:.0f} s")
            _held += 1
            try:
                yield
            finally:
                _held -= 1
                handle.close()
            return
        if not said:
            say(f"all {count} guest slots are in use, waiting for one")
            said = True
        time.sleep(0.5)
