# SPDX-License-Identifier: GPL-2.0-only
"""NIC: a TCP stream out, a TCP stream in, and 64 bytes there and back."""

import json
import math

from vrhlab import TapNet

from workload import Outcome, Phase, Workload, latencies

IPERF_PORT, ECHO_PORT = "5201", "7007"
MIB = 1 << 20


class Bench(Workload):
    """iperf3 and `ops rr` against a tap without vhost, one queue pair."""

    driver = "virtio_net"
    phases = (Phase("stream out", "MiB", 16), Phase("stream in", "MiB", 16),
              Phase("request-response", "64 B round trip", 1000))
    packages = ("iperf3", "iproute2")

    def devices(self):
        return [TapNet()]

    def prepare(self, session):
        for argv in (["iperf3", "-s", "-p", IPERF_PORT],
                     [str(session.tools.host["ops"]), "echo", session.device.peer, ECHO_PORT]):
            session.serve(argv)

    def ready(self, session):
        session.guest.wait("[ -e /sys/class/net/eth0 ]", what="eth0")
        session.guest.network(session.device)
        session.guest.wait(f"ping -c1 -W1 {session.device.peer}", what="an answer to ping")

    def run(self, session, phase, amount):
        peer = session.device.peer
        if phase.name == "request-response":
            found = session.json([session.tools.guest["ops"], "rr", peer, ECHO_PORT, "64",
                                  str(amount)], amount)
            return Outcome(found["operations"], {
                "round trips/s": found["operations"] / found["seconds"],
                **latencies(found["latency_us"])})

        until = ["-n", f"{amount.operations}M"] if amount.operations else \
            ["-t", str(math.ceil(amount.seconds))]    # whole seconds; 0 is for ever
        reverse = ["-R"] if phase.name == "stream in" else []
        text = session.command(["iperf3", "-c", peer, "-p", IPERF_PORT, "-J", *until, *reverse],
                               amount)
        found = json.loads(text)["end"]["sum_received"]
        return Outcome(found["bytes"] / MIB, {"Mbit/s": found["bits_per_second"] / 1e6})
