# SPDX-License-Identifier: GPL-2.0-only
"""Which driver has which virtio device of a guest, and moving devices between drivers."""

import dataclasses

from . import host

#: virtio device ids (VIRTIO 1.3, section 5) of what the suite drives, and of the lab's 9p.
KINDS = {"0x0001": "net", "0x0002": "blk", "0x0003": "console", "0x0005": "balloon",
         "0x0009": "9p"}

IN_TREE = {kind: f"virtio_{kind}" for kind in ("net", "blk", "console", "balloon")}
OURS = {kind: f"{name}_rh" for kind, name in IN_TREE.items()}

LIST = r"""
for d in /sys/bus/virtio/devices/*; do
    [ -e "$d" ] || continue
    drv=$(readlink "$d/driver"); pci=$(readlink -f "$d"); pci=${pci%/*}
    echo "${d##*/} $(cat "$d/device") ${drv##*/} ${pci##*/}"
done
"""


@dataclasses.dataclass(frozen=True)
class VirtioDevice:
    """A device on the guest's virtio bus."""

    name: str           #: virtio3
    kind: str           #: net, blk, console, balloon, 9p, or its id
    driver: str | None  #: the driver that has it
    pci: str            #: 0000:00:05.0


def devices(guest, kind=None):
    """The virtio devices of a guest, or those of one kind."""
    found = []
    for line in guest.run(LIST, check=True).stdout.splitlines():
        name, ident, *driver, pci = line.split()
        found.append(VirtioDevice(name, KINDS.get(ident, ident), driver[0] if driver else None,
                                  pci))
    return [device for device in found if kind in (None, device.kind)]


def driver_name(kind, which):
    """The driver of KIND: "in-tree", "ours", or a driver's own name."""
    return {"in-tree": IN_TREE, "ours": OURS}.get(which, {}).get(kind, which)


def unbind(guest, device, timeout=60):
    """Takes a device away from its driver."""
    guest.run(f"echo {device.name} >/sys/bus/virtio/devices/{device.name}/driver/unbind",
              timeout=timeout, check=True)


def bind(guest, device, driver, timeout=60):
    """Gives a device without driver to DRIVER; False if the driver refuses it."""
    done = guest.run(f"echo {device.name} >/sys/bus/virtio/drivers/{driver}/bind", timeout=timeout)
    return done.ok


def take(guest, kind, which="ours", name=None):
    """Moves all devices of KIND (or the one called NAME) to a driver; returns them.

    WHICH is "ours" or "in-tree". The module is loaded with modprobe if it is not; a
    device that another driver has is taken away from it first.
    """
    driver = driver_name(kind, which)
    guest.modprobe(driver)
    chosen = [device for device in devices(guest, kind) if name in (None, device.name)]
    if not chosen:
        raise host.LabError(f"the guest has no {kind} device" + (f" {name}" if name else ""))
    for device in chosen:
        if device.driver == driver:
            continue
        if device.driver:
            unbind(guest, device)
        if not bind(guest, device, driver):
            raise host.LabError(f"{driver} did not take {device.name}:\n"
                                f"{guest.run('dmesg | tail -n 20').stdout}")
    names = {device.name for device in chosen}
    return [device for device in devices(guest, kind) if device.name in names]
