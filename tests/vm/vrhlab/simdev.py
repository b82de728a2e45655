# SPDX-License-Identifier: GPL-2.0-only
"""Simulated virtio devices in a guest: tests/simdev, driven through its debugfs files."""

from . import binding, host

ROOT = "/sys/kernel/debug/vrh_simdev"

#: Feature bits of ring and transport, by their names in the specification (VIRTIO 1.3, 6).
RING = {"INDIRECT_DESC": 28, "EVENT_IDX": 29, "VERSION_1": 32, "ACCESS_PLATFORM": 33,
        "RING_PACKED": 34, "ORDER_PLATFORM": 36, "RING_RESET": 40}


def mask(*names):
    """The bits of RING with these names."""
    return sum(1 << RING[name] for name in names)


def load(guest):
    """Loads the module, once; the guest has debugfs afterwards."""
    guest.run("mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug; "
              "modprobe vrh_simdev", check=True)


def models(guest):
    """{type: (bits 0 to 63, bits 64 to 127) that the simulated device serves}."""
    found = {}
    for line in guest.sh(f"cat {ROOT}/models").splitlines():
        name, low, high = line.split()
        found[name] = int(low, 0), int(high, 0)
    return found


def parse(text):
    """The lines "name: value" of a debugfs file, numbers as numbers."""
    found = {}
    for line in text.splitlines():
        name, _, value = line.partition(": ")
        name = name.rstrip(":")
        try:
            found[name] = int(value, 0)
        except ValueError:
            found[name] = value
    return found


def make(guest, words):
    """Makes a device of these words (tests/simdev/text.c), and returns its directory.

    The newest directory is its own: the lab makes one device at a time.
    """
    return guest.sh(f"echo '{words}' >{ROOT}/create && ls -d {ROOT}/sim* | sort -V | tail -n 1")


class SimDevice:
    """A simulated device on the guest's virtio bus, from its making on.

    `features` and what else `create` understands (size, pairs, ports, sectors, suppress)
    are given as they are. When this returns the driver ("in-tree" or "ours") has the device,
    or whoever wants it if none is asked for.
    """

    def __init__(self, guest, kind, features, driver=None, timeout=120, **options):
        self.guest, self.kind = guest, kind
        words = [kind, f"features={features:#x}",
                 *(f"{name}={int(value)}" for name, value in options.items())]
        # Nobody else takes it first: what another driver does wrong would be counted, too.
        auto = "/sys/bus/virtio/drivers_autoprobe"
        # The newest directory is ours: the lab makes one device at a time.
        done = guest.run(f"{f'echo 0 >{auto}; ' if driver else ''}"
                         f"echo '{' '.join(words)}' >{ROOT}/create; made=$?; echo 1 >{auto}; "
                         f"[ $made = 0 ] && ls -d {ROOT}/sim* | sort -V | tail -n 1",
                         timeout=timeout)
        if not done.ok:
            raise host.LabError(f"no simulated device {' '.join(words)}: {done.stderr}")
        self.directory = done.stdout.strip()
        self.device = self.stats()["device"]    #: its name on the virtio bus
        if driver:
            binding.take(guest, kind, driver, self.device)

    def stats(self):
        """What happened so far, by name."""
        return parse(self.guest.sh(f"cat {self.directory}/stats"))

    @property
    def name(self):
        """Its name in debugfs."""
        return self.directory.rsplit("/", 1)[1]

    def below(self, directory):
        """The names in a directory of its device in sysfs, once there is one."""
        path = f"/sys/bus/virtio/devices/{self.device}/{directory}"
        self.guest.wait(f"ls {path} | grep -q .", 30, f"{self.device} has a {directory}")
        return self.guest.sh(f"ls {path}").split()

    def act(self, *lines):
        """Gives the device actions (see tests/simdev/text.c), a line each."""
        for line in lines:
            self.guest.run(f"echo '{line}' >{self.directory}/script", check=True)

    def remove(self, surprise=False, timeout=120):
        """Takes the device off the bus, or pulls it out."""
        how = "surprise" if surprise else "orderly"
        self.guest.run(f"echo '{self.name} {how}' >{ROOT}/remove", timeout=timeout, check=True)

    def assert_no_violation(self):
        """Raises with the first thing that the driver must not have done."""
        stats = self.stats()
        assert not stats["violations"], stats["violation"]
