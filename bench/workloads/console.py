# SPDX-License-Identifier: GPL-2.0-only
"""Console: writes of 1 KiB to a named port that the host reads as fast as it can."""

import threading

from vrhlab import Port

from workload import Outcome, Phase, Workload, latencies

PATH = "/sys/class/virtio-ports*/vport*p*/name"


class Bench(Workload):
    """`ops write`, one program, one port."""

    driver = "virtio_console"
    phases = (Phase("write", "1 KiB write", 4000),)

    def devices(self):
        return [Port()]

    def prepare(self, session):
        end = session.cleanup.enter_context(session.device.connect())
        threading.Thread(target=drain, args=(end,), daemon=True).start()

    def ready(self, session):
        session.guest.wait(f"grep -qx {session.device.name} {PATH}", what="the port's name")
        self.path = session.guest.sh(
            f"p=$(grep -lx {session.device.name} {PATH}); p=${{p%/name}}; echo /dev/${{p##*/}}")
        session.guest.wait(f"[ -c {self.path} ]", what=self.path)

    def run(self, session, phase, amount):
        found = session.json([session.tools.guest["ops"], "write", self.path, "1024",
                              str(amount)], amount)
        return Outcome(found["operations"], {
            "MB/s": found["bytes"] / found["seconds"] / 1e6, **latencies(found["latency_us"])})


def drain(end):
    """Reads and forgets until the port's socket is closed."""
    end.settimeout(None)
    buffer = bytearray(1 << 20)
    try:
        while end.recv_into(buffer):
            pass
    except OSError:
        pass
