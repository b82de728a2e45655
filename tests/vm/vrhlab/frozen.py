# SPDX-License-Identifier: GPL-2.0-only
"""Guests that go on from where another one was stopped, seconds instead of a boot.

One guest boots with its root in memory, as a state cannot be saved while 9p is mounted (QEMU
says so), and is stopped when its agent answers; QEMU writes memory and devices to a file. Each
guest from it is a QEMU of its own that reads this file, and has done nothing else before: what
one of them does no other can see. Only then does it mount its modules and /share.
"""

import contextlib
import pathlib
import re
import shutil
import threading

from . import guest, host, initramfs, rootfs
from .qmp import QMPError

#: What a guest from the state does first; the same that init does with a root over 9p.
MOUNTS = ("o=trans=virtio,version=9p2000.L,msize=524288; "
          "mount -t 9p -o ro,$o,cache=loose vrh-modules /usr/lib/modules && "
          "mount -t 9p -o $o,cache=none vrh-share /share")

#: Seconds for QEMU to write or read some hundred MiB, on a machine that has others.
PATIENCE = 120


class Source:
    """Gives guests, all of them from one state; they boot if that cannot be had.

    Whoever takes one has a guest slot for it, and stops it. BOOT has them boot in any case.
    """

    def __init__(self, built, mem, boot=False, tell=host.say):
        self.built, self.mem, self.tell = built, mem, tell
        self.initrd = self.state = None
        self.ready = boot       # there is a state, or there will not be any
        self._lock = threading.Lock()
        self._cleanup = contextlib.ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._cleanup.close()

    def get(self):
        """A guest that is there for its first command."""
        with self._lock:
            if not self.ready:
                self.ready = True
                self._freeze()
        if self.state:
            try:
                return self._thaw()
            except (host.LabError, QMPError) as error:
                self._without(error)
        machine = guest.Guest(self.built.kernel.name, built=self.built, mem=self.mem, slot=False)
        return begin(machine)

    def _without(self, error):
        self.tell(f"no guests from a saved state, they boot instead: {error}")
        self.state = None

    def _guest(self, **options):
        return guest.Guest(self.built.kernel.name, built=self.built, mem=self.mem, root="ram",
                           slot=False, initrd=self.initrd, **options)

    def _freeze(self):
        """Makes the state, if that can be."""
        directory = host.make_directory()
        self._cleanup.callback(shutil.rmtree, directory, ignore_errors=True)
        try:
            rootfs.make_tree(directory / "tree")
            self.initrd = initramfs.with_root(self.built, directory / "tree", directory / "initrd")
            shutil.rmtree(directory / "tree")
            self.state = self._save(directory / "state")
        except (host.LabError, QMPError) as error:
            self._without(error)

    def _save(self, state):
        machine = begin(self._guest())
        try:
            # Python compiles what it meets first, and that takes long: not in each guest.
            machine.run(["python3", "-I", "-S", "-c", f"import {', '.join(imports())}"], 180, True)
            machine.save(state, PATIENCE)
            machine.kill()
        finally:
            machine.stop()
        self.tell(f"a guest has booted in {machine.booted:.1f} s; its state has "
                  f"{state.stat().st_size >> 20} MiB")
        return state

    def _thaw(self):
        machine = begin(self._guest(incoming=self.state))
        try:
            machine.run(MOUNTS, check=True)
        except BaseException:
            machine.stop()
            raise
        return machine


def imports():
    """Modules that the guest's program imports."""
    text = (pathlib.Path(__file__).with_name("guest") / "meet.py").read_text()
    return re.findall(r"^import (\w+)$", text, re.MULTILINE)


def begin(machine):
    """The guest, started; nothing of it is left if it does not start."""
    try:
        machine.start()
    except BaseException:
        machine.stop()
        raise
    return machine
