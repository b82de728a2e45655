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
def locked(path, what=None):
    """Holds an exclusive lock on the file PATH; says WHAT once if it has to wait.

    Without WHAT it waits silently: for locks that nobody holds for long.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "a") as handle:
        if not try_lock(handle):
            if what:
                say(f"waiting for another lab: {what}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def try_lock(handle):
    """Locks an open file unless somebody has; True if it is ours until it is closed."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def make_directory():
    """A directory for a guest's sockets and files; those of dead processes are removed."""
    temporary = pathlib.Path(tempfile.gettempdir())
    for old in temporary.glob("vrh-[0-9]*-*"):
        if not pathlib.Path("/proc", old.name.split("-")[1]).exists():
            shutil.rmtree(old, ignore_errors=True)
    return pathlib.Path(tempfile.mkdtemp(prefix=f"vrh-{os.getpid()}-"))


_held = 0   # guest slots that this process holds


def slots():
    """Guests at once on this machine: as many as processors, or VRH_SLOTS."""
    return int(os.environ.get("VRH_SLOTS") or os.cpu_count() or 1)


@contextlib.contextmanager
def guest_slot():
    """Holds one of the machine's guest slots: see slots().

    A guest under TCG takes a whole processor for each of its own; more guests than
    processors make every guest slow enough to break timeouts. Slots are given to who has
    waited for the longest time.
    """
    global _held
    count = slots()
    if _held >= count:
        raise LabError(f"this process runs {_held} guests already and the machine has {count} "
                       "slots for guests (VRH_SLOTS)")
    directory = cache_dir() / "slots"
    with _in_line(directory, count) as ticket:
        handle = _wait_for_slot(directory, count, ticket)
    _held += 1
    try:
        yield
    finally:
        _held -= 1
        handle.close()


# Who waits for a slot has a ticket, a file NUMBER-SLOTS that it keeps locked: numbers tell who
# came first, and the lock of one that died is gone. All of this is done under one lock.

@contextlib.contextmanager
def _in_line(directory, count):
    """A ticket at the end of the line, for one of the first COUNT slots."""
    line = directory / "line"
    with locked(directory / "lock"):
        line.mkdir(exist_ok=True)
        last = max((int(other.name.split("-")[0]) for other in line.iterdir()), default=0)
        ticket = line / f"{last + 1:010}-{count}"
        handle = open(ticket, "x")
        fcntl.flock(handle, fcntl.LOCK_EX)
    with handle:
        try:
            yield ticket
        finally:
            with locked(directory / "lock"):
                ticket.unlink(missing_ok=True)


def _before(ticket):
    """Of how many slots each of those before TICKET waits for one; the dead leave the line."""
    counts = []
    for other in sorted(ticket.parent.iterdir()):
        if other.name >= ticket.name:
            break
        with open(other) as handle:
            if try_lock(handle):
                other.unlink()
            else:
                counts.append(int(other.name.split("-")[1]))
    return counts


def _wait_for_slot(directory, count, ticket):
    """The open, locked file of a slot that nobody before us in the line can take."""
    begun, said = time.monotonic(), False
    while True:
        with locked(directory / "lock"):
            before = _before(ticket)
            for number in range(max(before, default=0), count):
                handle = open(directory / str(number), "a")
                if try_lock(handle):
                    if said:
                        say(f"got a guest slot after {time.monotonic() - begun:.0f} s")
                    return handle
                handle.close()
        if not said:
            say(f"waiting for one of {count} guest slots, {len(before)} in the line before us")
            said = True
        time.sleep(0.5)
