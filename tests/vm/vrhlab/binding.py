# SPDX-License-Identifier: GPL-2.0-only
"""Which driver has which virtio device of a guest, and moving devices between drivers."""

import dataclasses

from . import host

#: virtio device ids (VIRTIO 1.3, section 5) of what the suite drives, and of the lab's 9p.
KINDS = {"0x0001": "net", "0x0002": "blk", "0x0003": "console", "0x0005": "balloon",
         "0x0009": "9p"}

IN_TREE = {kind: f"virtio_{kind}" for kind in ("net", "blk", "console", "balloon")}
OURS = {kind: f"{name}_rh" for kind, name in IN_TREE.items()}

#: Shell functions; built-in commands only, as a fork in a debug guest takes long.
#: list: name, id, driver or "-", PCI address of each device.
FUNCTIONS = r"""
list() {
    for d in /sys/bus/virtio/devices/*; do
        [ -e "$d" ] || continue
        drv=/-
        read -r id <"$d/device" && cd -P "$d" 2>/dev/null || continue
        pci=${PWD%/*}
        cd -P "$d/driver" 2>/dev/null && drv=$PWD
        echo "${d##*/} $id ${drv##*/} ${pci##*/}"
    done
    cd /
}
# take DRIVER ID [NAME]: moves the devices with this id (or the one called NAME). All are let
# go before one is taken: the in-tree disk driver does not look whether a name is free.
take() {
    local driver=$1 name id has chosen=
    while read -r name id has _; do
        [ "$id" = "$2" ] && [ "${3:-$name}" = "$name" ] && [ "$has" != "$driver" ] || continue
        chosen+=" $name"
        [ "$has" = - ] || echo "$name" >"/sys/bus/virtio/drivers/$has/unbind" || return 1
    done <<<"$(list)"
    [ -d "/sys/bus/virtio/drivers/$driver" ] || modprobe "$driver" || return 1
    for name in $chosen; do
        [ -e "/sys/bus/virtio/drivers/$driver/$name" ] && continue     # by modprobe
        if ! echo "$name" >"/sys/bus/virtio/drivers/$driver/bind"; then
            echo "$driver did not take $name:" >&2
            dmesg | tail -n 20 >&2
            return 1
        fi
    done
}
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
    return parse(guest.sh(f"{FUNCTIONS} list"), kind)


def parse(listing, kind=None):
    """The devices in what `list` printed, or those of one kind."""
    found = []
    for line in listing.splitlines():
        name, ident, driver, pci = line.split()
        found.append(VirtioDevice(name, KINDS.get(ident, ident),
                                  None if driver == "-" else driver, pci))
    return [device for device in found if kind in (None, device.kind)]


def ident(kind):
    """The virtio device id of KIND as sysfs shows it: "0x0002"."""
    return next(number for number, name in KINDS.items() if name == kind)


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
    done = guest.run(f"{FUNCTIONS} take {driver} {ident(kind)} {name or ''} && list", timeout=120)
    if not done.ok:
        raise host.LabError(f"{driver} cannot take {name or 'the ' + kind + ' devices'}:\n"
                            f"{done.stdout}{done.stderr}")
    taken = [device for device in parse(done.stdout, kind) if name in (None, device.name)]
    if not taken:
        raise host.LabError(f"the guest has no {kind} device" + (f" {name}" if name else ""))
    return taken


def told_of_resets(guest):
    """Whether the guest's core tells drivers of a reset of the function (FLR): since 7.3."""
    told = guest.run("grep -qw virtio_device_reset_prepare /proc/kallsyms").ok
    assert told == (guest.kernel.name in ("7.3", "debug"))
    return told


def power_off(guest, device):
    """Switches the power of a hot-plug slot off behind the driver's back (Slot Control).

    The device reads as all ones from then on, as one that was pulled out.
    """
    guest.run(["/usr/bin/python3", "-c", f"""
import os
port = os.path.basename(os.path.dirname(os.path.realpath("/sys/bus/pci/devices/{device.pci}")))
with open(f"/sys/bus/pci/devices/{{port}}/config", "r+b", buffering=0) as f:
    config = f.read(256)
    at = config[0x34]
    while config[at] != 0x10:
        at = config[at + 1]
    f.seek(at + 0x18)
    f.write((int.from_bytes(config[at + 0x18:at + 0x1a], "little") | 0x400).to_bytes(2, "little"))
"""], check=True)
