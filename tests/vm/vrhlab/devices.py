# SPDX-License-Identifier: GPL-2.0-only
"""Devices of a guest: each turns into QEMU arguments and offers the host's side of it.

A guest gives every device a directory for its files and sockets (`setup`); `args` are
for QEMU's command line. `hotplug=True` puts a device behind a root port of its own, so
that QMP can unplug it; `plug`/`unplug` (lifecycle by QMP) work for these.
"""

import functools
import os
import pathlib
import re
import socket
import subprocess
import time

from . import host


QEMU = "qemu-system-x86_64"


@functools.cache
def properties_of(driver):
    """Names of the properties that QEMU's device type DRIVER has."""
    return frozenset(re.findall(r"^\s+([\w.-]+)=<", host.call([QEMU, "-device", f"{driver},help"]),
                                re.M))


def spelled(driver, name):
    """Property NAME as QEMU spells it: some have underscores, most have dashes."""
    return name if name in properties_of(driver) else name.replace("_", "-")


class Device:
    """A virtio PCI device with the QEMU id ID; options may be written with underscores."""

    driver = None       #: QEMU's device type
    ident = None

    def __init__(self, ident, hotplug=False, **options):
        self.ident = ident
        self.hotplug = hotplug
        self.options = options      #: more properties of the QEMU device
        self.directory = None

    def setup(self, directory):
        """Makes the files the device needs in DIRECTORY, before QEMU starts."""
        self.directory = pathlib.Path(directory)

    def cleanup(self):
        """Undoes setup() after QEMU has ended."""

    def backend(self):
        """QEMU arguments of the host's side."""
        return []

    def properties(self):
        """Properties of the QEMU device, without driver, id and bus."""
        return {}

    def device(self):
        """The device as QMP's device_add takes it."""
        found = {"driver": self.driver, "id": self.ident}
        if self.hotplug:
            found["bus"] = f"port-{self.ident}"
        for key, value in {**self.properties(), **self.options}.items():
            found[spelled(self.driver, key)] = value
        return found

    def args(self):
        """QEMU arguments: root port, backend and device."""
        port = []
        if self.hotplug:
            port = ["-device", f"pcie-root-port,id=port-{self.ident},chassis={port_number(self)}"]
        return [*port, *self.backend(), "-device", option(self.device())]


def option(device):
    """A dictionary in the form of QEMU's command line."""
    device = dict(device)
    words = [device.pop("driver")]
    for key, value in device.items():
        if isinstance(value, bool):
            value = "on" if value else "off"
        words.append(f"{key}={value}")
    return ",".join(words)


_chassis = {}


def port_number(device):
    """A chassis number of its own for each root port of this process."""
    return _chassis.setdefault(device.ident, len(_chassis) + 1)


class Disk(Device):
    """A virtio disk in a sparse file (or in PATH, which stays)."""

    driver = "virtio-blk-pci"

    def __init__(self, size="256M", ident="disk0", serial=None, queues=None, path=None,
                 readonly=False, iothread=False, cache="none", **options):
        super().__init__(ident, **options)
        self.size, self.serial, self.queues = size, serial or ident, queues
        self.path, self.readonly, self.iothread = path, readonly, iothread
        self.cache = cache

    def setup(self, directory):
        super().setup(directory)
        if self.path is None:
            self.path = self.directory / f"{self.ident}.raw"
            subprocess.run(["truncate", "-s", self.size, self.path], check=True)

    def backend(self):
        # A -drive would vanish with the device when it is unplugged; a -blockdev stays.
        options = {"driver": "raw", "node-name": f"drive-{self.ident}",
                   "read-only": "on" if self.readonly else "off", "discard": "unmap",
                   "cache.direct": "on" if self.cache == "none" else "off",
                   "file.driver": "file", "file.filename": self.path, "file.discard": "unmap",
                   "file.cache.direct": "on" if self.cache == "none" else "off"}
        words = ["-blockdev", ",".join(f"{key}={value}" for key, value in options.items())]
        if self.iothread:
            words = ["-object", f"iothread,id=thread-{self.ident},poll-max-ns=0", *words]
        return words

    def properties(self):
        found = {"drive": f"drive-{self.ident}", "serial": self.serial}
        if self.queues:
            found["num-queues"] = self.queues
        if self.iothread:
            found["iothread"] = f"thread-{self.ident}"
        return found


class UserNet(Device):
    """A NIC on QEMU's user-mode network: guest 10.0.2.15/24, this machine 10.0.2.2."""

    driver = "virtio-net-pci"
    address, peer = "10.0.2.15/24", "10.0.2.2"

    def __init__(self, ident="net0", mac="52:54:00:12:34:56", forward=(), **options):
        super().__init__(ident, **options)
        self.mac, self.forward = mac, forward

    def backend(self):
        words = ["user", f"id=netdev-{self.ident}", "ipv6=off"]
        words += [f"hostfwd={rule}" for rule in self.forward]
        return ["-netdev", ",".join(words)]

    def properties(self):
        return {"netdev": f"netdev-{self.ident}", "mac": self.mac, "romfile": ""}


class TapNet(Device):
    """A NIC on a tap in a network namespace of its own: guest 192.0.2.2/24, host 192.0.2.1.

    QEMU itself runs in the namespace; `run` runs programs of the host's side there.
    """

    driver = "virtio-net-pci"
    address, peer = "192.0.2.2/24", "192.0.2.1"

    def __init__(self, ident="net0", queues=1, mac="52:54:00:12:34:57", vhost=False, mtu=None,
                 **options):
        super().__init__(ident, **options)
        self.queues, self.mac, self.vhost, self.mtu = queues, mac, vhost, mtu
        self.tap = f"tap-{ident}"[:15]
        self.namespace = None

    def setup(self, directory):
        super().setup(directory)
        if self.namespace is None:
            raise host.LabError("a guest gives TapNet its namespace before setup")
        tap = ["ip", "tuntap", "add", "dev", self.tap, "mode", "tap", "vnet_hdr",
               "user", str(os.getuid())]
        self._ip(tap + (["multi_queue"] if self.queues > 1 else []))
        if self.mtu:
            self._ip(["ip", "link", "set", self.tap, "mtu", str(self.mtu)])
        self._ip(["ip", "addr", "add", f"{self.peer}/24", "dev", self.tap])
        self._ip(["ip", "link", "set", self.tap, "up"])

    def _ip(self, argv):
        host.call([*host.as_root(["ip", "netns", "exec", self.namespace]), *argv])

    def start(self, argv, **kwargs):
        """Starts a program on the host's side of the network; returns its Popen."""
        return subprocess.Popen([*host.as_root(["ip", "netns", "exec", self.namespace]), *argv],
                                **kwargs)

    def run(self, argv, **kwargs):
        """Runs a program on the host's side of the network; returns its output."""
        return host.call([*host.as_root(["ip", "netns", "exec", self.namespace]), *argv], **kwargs)

    def backend(self):
        words = ["tap", f"id=netdev-{self.ident}", f"ifname={self.tap}", "script=no",
                 "downscript=no", f"vhost={'on' if self.vhost else 'off'}"]
        if self.queues > 1:
            words.append(f"queues={self.queues}")
        return ["-netdev", ",".join(words)]

    def properties(self):
        found = {"netdev": f"netdev-{self.ident}", "mac": self.mac, "romfile": ""}
        if self.queues > 1:
            found.update(mq=True, vectors=2 * self.queues + 2)
        return found


class Balloon(Device):
    """A balloon; `deflate_on_oom=True`, `free_page_reporting=True` are QEMU's options."""

    driver = "virtio-balloon-pci"

    def __init__(self, ident="balloon0", **options):
        super().__init__(ident, **options)


class Serial(Device):
    """The controller that ports and consoles sit on; a guest adds one if none is given."""

    driver = "virtio-serial-pci"

    def __init__(self, ident="serial0", **options):
        super().__init__(ident, **options)


class Port(Device):
    """A named port of the serial controller; the host's end is a socket (`connect`)."""

    driver = "virtserialport"
    controller = "serial0"

    def __init__(self, name="org.vrh.port0", ident=None, controller="serial0", **options):
        super().__init__(ident or name.replace(".", "-"), **options)
        self.name, self.controller = name, controller
        self.socket = None

    def setup(self, directory):
        super().setup(directory)
        self.socket = self.directory / f"{self.ident}.sock"

    def backend(self):
        return ["-chardev", f"socket,id=chr-{self.ident},path={self.socket},server=on,wait=off"]

    def properties(self):
        return {"bus": f"{self.controller}.0", "chardev": f"chr-{self.ident}", "name": self.name}

    def connect(self, timeout=10):
        """A connected socket: the host's end of the port."""
        end = socket.socket(socket.AF_UNIX)
        end.settimeout(timeout)
        deadline = time.monotonic() + timeout
        while True:
            try:
                end.connect(str(self.socket))
                return end
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)


class Console(Port):
    """A console port (hvcN in the guest) of the serial controller."""

    driver = "virtconsole"

    def __init__(self, name="org.vrh.console0", **options):
        super().__init__(name, **options)
