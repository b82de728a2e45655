# SPDX-License-Identifier: GPL-2.0-only
"""A guest under real KVM that can be saved, moved to another QEMU and put to sleep.

Its root is in memory: QEMU saves no guest that has 9p mounted, and 9p survives no sleep.
"""

import concurrent.futures
import contextlib
import time

from . import frozen, initramfs, nested, rootfs

#: Where the QEMU that a guest moves to listens, in the outer guest.
DOOR = "/run/vrh-migration"

P9 = "/sys/bus/virtio/drivers/9pnet_virtio"

#: The firmware that wakes a guest again; the lab's usual one only boots.
FIRMWARE = ["-bios", "bios-256k.bin"]

#: Lets go of what is mounted over 9p.
UNMOUNT = "cd /; busybox umount -l /share /usr/lib/modules"


class Machine:
    """Such a guest, and its outer guest; APPEND is for the command line of its kernel."""

    def __init__(self, built, clock, directory, append="", smp=1):
        self.built, self.append, self.smp = built, append, smp
        self.outer = nested.Outer(clock=clock)
        self._tree = directory / "tree"
        self.left = None        #: the guest's uptime when it was saved, s
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        rootfs.make_tree(self._tree)
        self._stack.enter_context(self.outer)
        self.initrd = initramfs.with_root(self.built, self._tree, self.outer.share / "initrd")
        return self

    def __exit__(self, *error):
        self._stack.close()

    def start(self, **options):
        """The guest, from boot, or from `incoming`; its 9p mounts are there."""
        guest = nested.Inner(self.built.kernel.name, built=self.built, outer=self.outer, root="ram",
                             initrd=self.initrd, mem=768, smp=self.smp, append=self.append,
                             extra=FIRMWARE, **options)
        self._stack.callback(guest.stop)
        guest.start()
        guest.run(frozen.MOUNTS, check=True)
        return guest

    def away(self, guest, seconds):
        """The guest is saved, and SECONDS later it goes on in another QEMU: (it, s it was gone)."""
        state = self.outer.share / "state"
        guest.run(UNMOUNT, check=True)
        self.left = float(guest.sh("cut -d ' ' -f 1 /proc/uptime"))
        begun = time.monotonic()
        guest.save(state, 300)
        least = time.monotonic()
        self._end(guest)
        time.sleep(seconds)
        most = time.monotonic()
        again = self.start(incoming=state)
        return again, (most - least, time.monotonic() - begun)

    def move(self, guest):
        """The guest moves to another QEMU while it runs: it there."""
        guest.run(UNMOUNT, check=True)
        self.outer.run(["rm", "-f", DOOR])
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            there = pool.submit(self.start, incoming=f"unix:{DOOR}")
            self.outer.wait(f"test -S {DOOR}", 60, "the other QEMU listens")
            guest.qmp("migrate", uri=f"unix:{DOOR}")
            again = there.result()
        self._end(guest)
        return again

    def sleep(self, guest, seconds):
        """The guest sleeps (S3) for about SECONDS."""
        guest.run(f"{UNMOUNT}; cd {P9} && echo virtio* >/run/vrh/9p && "
                  "for d in virtio*; do echo $d >unbind || exit 1; done", check=True)
        since = len(guest.qmp.events)
        asleep = guest.start_command(
            "echo deep >/sys/power/mem_sleep && echo mem >/sys/power/state", timeout=300)
        guest.qmp.wait_event("SUSPEND", 120, since)
        time.sleep(seconds)
        guest.qmp("system_wakeup")
        asleep.wait(check=True)
        guest.run(f"cd {P9} && for d in $(cat /run/vrh/9p); do echo $d >bind || exit 1; done; "
                  f"{frozen.MOUNTS}", check=True)

    @staticmethod
    def _end(guest):
        guest.kill()
        guest.stop()
