# SPDX-License-Identifier: GPL-2.0-only
"""Disk: random reads of 4 KiB, 32 at a time."""

from vrhlab import Disk, host

from workload import Outcome, Phase, Workload, latencies

PERCENTILES = {"50.000000": "p50", "90.000000": "p90", "99.000000": "p99", "99.900000": "p99.9"}


class Bench(Workload):
    """fio, direct and asynchronous, one request by one system call."""

    driver = "virtio_blk"
    phases = (Phase("randread", "4 KiB read", 8000),)
    packages = ("fio",)

    def devices(self):
        return [Disk(size="512M", iothread=True)]

    def ready(self, session):
        session.guest.wait("[ -b /dev/vda ]", what="/dev/vda")

    def run(self, session, phase, amount):
        until = [f"--number_ios={amount.operations}"] if amount.operations else \
            ["--time_based", f"--runtime={amount.seconds * 1000:.0f}ms"]
        found = session.json(
            ["fio", "--name=randread", "--filename=/dev/vda", "--direct=1", "--ioengine=libaio",
             "--rw=randread", "--bs=4k", "--iodepth=32", "--norandommap", "--randseed=1",
             "--thread", "--percentile_list=50:90:99:99.9", "--output-format=json", *until],
            amount)
        job = found["jobs"][0]
        if job["error"]:
            raise host.LabError(f"fio: error {job['error']}")
        read = job["read"]
        percentiles = read["clat_ns"].get("percentile", {})
        return Outcome(read["total_ios"], {
            "IOPS": read["iops"],
            **latencies({PERCENTILES[key]: value / 1000 for key, value in percentiles.items()})})
