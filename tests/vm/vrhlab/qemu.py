# SPDX-License-Identifier: GPL-2.0-only
"""QEMU's command line for a guest, its process, and its network namespace."""

import ctypes
import itertools
import os
import pathlib
import shutil
import signal
import subprocess

from . import devices, host
from .devices import QEMU

FIRMWARE = pathlib.Path("/usr/share/qemu/qboot.rom")

#: TCG with a thread for each virtual processor.
MULTI = "tcg,thread=multi"

_namespaces = itertools.count()


def accelerator():
    """TCG, unless VRH_ACCEL names another; a /dev/kvm that is there may still not work."""
    name = os.environ.get("VRH_ACCEL", "tcg")
    return MULTI if name == "tcg" else name


def processor(accel):
    """All that the accelerator ACCEL has.

    Without x2APIC under TCG: there QEMU 10.0 loses an end of interrupt now and then. The
    timer's vector stays in service (`info lapic`), and a guest with two CPUs stands still.
    Seen in rounds of hot plug with a busy disk: with x2APIC after 5, 39 and 65 rounds,
    without it never in 218.

    Without LA57 (five-level page tables): while a kernel with KASAN reads the CPU's features
    again at boot (identify_cpu()), it believes for a moment that there are four levels, and
    an interrupt just then is reported as "wild-memory-access in do_raw_spin_lock". Boots of
    the debug kernel: with LA57 8 of 29 failed, without it none of 24; and a page walk is shorter.

    Under KVM the host's, without its PMU: nested guests were seen to be reliable with it.
    """
    return "max,-x2apic,-la57" if accel.startswith("tcg") else "host,pmu=off"


def machine(smp, mem, cpu=None, kind="q35", accel=None):
    """The machine: no default devices; qboot, as it does not touch virtio devices first."""
    accel = accel or accelerator()
    words = ["-accel", accel, "-M", kind, "-cpu", cpu or processor(accel), "-smp", str(smp), "-m",
             str(mem), "-nodefaults", "-display", "none", "-no-reboot"]
    if FIRMWARE.exists():
        words += ["-bios", str(FIRMWARE)]
    return words


def shares(root, modules, share):
    """The guest's three 9p file systems."""
    words = []
    for tag, path, options in (("vrh-root", root, "readonly=on,multidevs=remap"),
                               ("vrh-modules", modules, "readonly=on"),
                               ("vrh-share", share, "")):
        if path is not None:
            words += ["-fsdev", f"local,id={tag},path={path},security_model=none,{options}"
                      .rstrip(","), "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]
    return words


def device_words(items):
    """Arguments of a list of devices; adds the serial controller that ports need."""
    words = []
    present = {item.ident for item in items if isinstance(item, devices.Serial)}
    for item in items:
        if isinstance(item, str):
            words += item.split()
        elif isinstance(item, (list, tuple)):
            words += [str(word) for word in item]
        else:
            if isinstance(item, devices.Port) and item.controller not in present:
                present.add(item.controller)
                words += devices.Serial(item.controller).args()
            words += item.args()
    return words


def make_namespace():
    """A network namespace named after this process; those of dead ones are removed."""
    listed = host.call(["ip", "netns", "list"]).splitlines()
    for name in (line.split()[0] for line in listed if line.startswith("vrh-")):
        if not pathlib.Path("/proc", name.split("-")[1]).exists():
            remove_namespace(name)
    name = f"vrh-{os.getpid()}-{next(_namespaces)}"
    host.call(host.as_root(["ip", "netns", "add", name]))
    host.call([*host.as_root(["ip", "netns", "exec", name]), "ip", "link", "set", "lo", "up"])
    return name


def remove_namespace(name):
    """Removes a namespace and with it the taps in it."""
    subprocess.run(host.as_root(["ip", "netns", "del", name]), stderr=subprocess.DEVNULL)


def start(words, log, namespace=None):
    """Starts QEMU; it dies with the thread that started it."""
    if not shutil.which(QEMU):
        raise host.LabError(f"{QEMU} is not installed; it is in qemu-system-x86")
    argv = [QEMU, *words]
    if namespace:
        enter = host.as_root(["ip", "netns", "exec", namespace])
        if os.geteuid():
            enter += ["setpriv", f"--reuid={os.getuid()}", f"--regid={os.getgid()}",
                      "--init-groups"]
        argv = [*enter, *argv]
    libc = ctypes.CDLL(None)
    pr_set_pdeathsig = 1
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                            preexec_fn=lambda: libc.prctl(pr_set_pdeathsig, signal.SIGKILL))
