# SPDX-License-Identifier: GPL-2.0-only
"""Balloon: 1 GiB taken from the guest and given back."""

import time

from vrhlab import Balloon, host

from workload import Outcome, Phase, Workload

MIB = 1 << 20
POLL_SECONDS = 0.01


class Bench(Workload):
    """QMP's balloon command, timed until the guest has reached the target."""

    driver = "virtio_balloon"
    phases = (Phase("inflate", "MiB", 128), Phase("deflate", "MiB", 128))
    mem = 2048
    whole = 1024            #: MiB of a run that is not limited to a number of operations

    def devices(self):
        return [Balloon()]

    def ready(self, session):
        self.inflated = 0
        self.move(session, self.mem, 120)

    def unready(self, session):
        self.move(session, self.mem, 120)

    def move(self, session, target, timeout):
        """Sets the target in MiB and waits until the guest is there."""
        qmp = session.guest.qmp
        qmp("balloon", value=target * MIB)
        host.until(lambda: qmp("query-balloon")["actual"] == target * MIB, timeout,
                   f"a guest of {target} MiB", nap=POLL_SECONDS)

    def run(self, session, phase, amount):
        if phase.name == "inflate":
            self.inflated = amount.operations or self.whole
            if not amount.operations:   # the host frees only what the guest had touched
                session.guest.sh(f"{session.tools.guest['ops']} touch {self.whole * 5 // 4}", 300)
        target = self.mem - (self.inflated if phase.name == "inflate" else 0)
        before = session.host_rss()
        with session.stretch(f"QMP balloon value={target * MIB}"):
            begin = time.monotonic()
            self.move(session, target, 120)
            seconds = time.monotonic() - begin
        metrics = {"MiB/s": self.inflated / seconds}
        if phase.name == "inflate":
            metrics["host memory freed, MiB"] = (before - session.host_rss()) / MIB
        return Outcome(self.inflated, metrics)
