# SPDX-License-Identifier: GPL-2.0-only
"""Hostile devices from fixed seeds: our drivers stay whole, whatever a device of theirs does.

On the debug kernel, whose sanitizers and detectors judge each test. `make fuzz` is the same
for as long as one likes; what it finds is fixed, and its seed and round become a case here.
"""

import pytest

from vrhlab import binding, hostile, simdev

pytestmark = pytest.mark.parametrize("kernel", ["debug"], indirect=True)

#: Type of device, seed, round to begin with; of those that were found, what it was.
SEEDS = [
    ("blk", 1, 0), ("net", 1, 0), ("console", 1, 0), ("balloon", 1, 0),
    ("blk", 31, 408),       # seg_max changes between the driver's look at it and DRIVER_OK
    ("net", 33, 10),        # the answer says that the device kept its queue pairs; it did not
    ("console", 32, 88),    # PORT_READY lies in a ring that the device has lied about
    ("console", 33, 485),   # a port is said to be open before the device is told that it is ready
]

#: For each of them, so that four of them and a boot are a minute and a half.
SECONDS = 12


@pytest.fixture
def guest(lab, kind):
    """A guest whose driver of this type of device is ours."""
    lab.need(binding.OURS[kind])
    guest = lab.share("hostile", mem=1024, allowed=hostile.ALLOWED)
    hostile.prepare(guest, kind, "ours")
    return guest


@pytest.mark.parametrize("kind, seed, first", SEEDS)
def test_hostile_device(guest, kind, seed, first):
    """Hundreds of lies that the driver meets: it breaks no rule, and its kernel stays well."""
    state = hostile.Run(guest, kind, seed, first=first).run(SECONDS)
    print("\n".join(hostile.rates(state)))
    assert not state["violations"] and not state["violation"], (
        f"round {state['violation_round']}: {state['violation']}")
    # Measured beside six other guests: 50 to 300 a second.
    assert state["met"] >= 100 and state["used"] >= 10


@pytest.mark.parametrize("kind", ["blk"])
def test_same_seed_same_actions(guest, kind):
    """A seed draws the same devices and actions each time; another one others."""
    digests = [hostile.Run(guest, kind, seed, actions=500).run(120)["digest"]
               for seed in (3, 3, 4)]
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("kind", ["blk"])
def test_bytes_reach_probe(guest, kind):
    """A stream of bytes is armed before the device is plugged, and what probe asks for meets it."""
    directory = simdev.make(guest, f"blk features={simdev.mask('VERSION_1'):#x} plug=0")
    # Operations are numbered in the order in which they are shown, from the first one on.
    names = [line.partition(":")[0] for line in guest.sh(f"cat {directory}/stats").splitlines()]
    patch = names.index("patch") - names.index("delay")
    # For all queues, at once, 255 times: the last byte, which is the status, is 1.
    record = bytes([patch, 0xff, 0, 255, 0xff, 0xff, 1, 0, 0, 0]) + (1).to_bytes(8, "little")
    (guest.share / "stream").write_bytes(record)
    guest.run(f"cat /share/stream >{directory}/stream && echo 1 >{directory}/plug", check=True)
    stats = simdev.parse(guest.sh(f"cat {directory}/stats"))
    guest.run(f"echo '{directory.rsplit('/', 1)[1]} orderly' >{simdev.ROOT}/remove", check=True)
    assert stats["patch"] and not stats["violations"]
