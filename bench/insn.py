# SPDX-License-Identifier: GPL-2.0-only
"""Guest instructions: builds the plugin, reads its snapshots, gives addresses their names.

What can be tested without a guest is here as pure functions: parse(), Symbols, unit().
"""

import bisect
import collections
import hashlib
import os
import pathlib
import re
import subprocess

HERE = pathlib.Path(__file__).resolve().parent

#: Where an object file that is linked into the kernel begins and ends: a function that only it
#: has, and a pattern for most of its functions. See unit().
BUILTIN = {
    "virtio_ring": ("virtqueue_get_buf", r"(__)?(virtqueue|vring)_|detach_buf_"),
    "virtio_pci": ("vp_notify", r"vp_|virtio_pci_|del_vq$|setup_vq$"),
    "virtio_blk": ("virtblk_probe", r"virtblk_|virtio_queue_|virtio_commit_"),
    "virtio_net": ("virtnet_probe", r"virtnet_|receive_|try_fill_recv|page_to_skb|xdp_"),
    "virtio_console": ("virtcons_probe", r"virtcons_|port_fops_|(get|put)_chars$|in_intr$"
                                         r"|fill_readbuf$|free_buf|port_debugfs"),
    "virtio_balloon": ("virtballoon_probe", r"virtballoon_|(fill|leak)_balloon|tell_host"),
}

#: Modules that are one in the groups' eyes: 6.1 and 6.12 split the transport.
MODULES = {
    "virtio_pci_modern_dev": "virtio_pci",
    "virtio_pci_legacy_dev": "virtio_pci",
}

#: How many foreign names may stand between two functions of one object file. Functions without
#: the object's prefix do; 24 is twice the longest run seen in 6.12 and 7.3.
MAX_GAP = 24

#: What build() needs.
PACKAGES = ["gcc", "libc6-dev"]

Snapshot = collections.namedtuple("Snapshot", "mark user kernel lost exact code")


def build(cache):
    """Compiles the plugin and the guest's programs below CACHE.

    Returns the paths by name: insn.so, mark, ops.
    """
    flags = ["-std=gnu11", "-O2", "-g", "-Wall", "-Wextra", "-Werror"]
    recipes = {
        "insn.so": ("plugin/insn.c", ["-fPIC", "-shared", "-fvisibility=hidden"]),
        "mark": ("guest/mark.c", ["-static"]),
        "ops": ("guest/ops.c", ["-static"]),
    }
    digest = hashlib.sha256(repr((flags, recipes)).encode())
    for source in [HERE / "plugin/qemu-plugin-abi.h", *(HERE / path for path, _ in
                                                        recipes.values())]:
        digest.update(source.read_bytes())

    where = pathlib.Path(cache) / "bench" / digest.hexdigest()[:16]
    where.mkdir(parents=True, exist_ok=True)
    for name, (source, special) in recipes.items():
        if not (where / name).exists():
            new = where / f"{name}.{os.getpid()}"
            subprocess.run(["gcc", *flags, *special, "-o", new, HERE / source], check=True)
            new.rename(where / name)
    return {name: where / name for name in recipes}


def parse(lines):
    """The plugin's file to a list of snapshots; one that has no end yet is left out.

    Each snapshot counts from the mark before it. `code` is a Counter of kernel instructions by
    address of the translated block.
    """
    snapshots = []
    current = None
    for line in lines:
        words = line.split()
        if not words:
            continue
        if words[0] == "snapshot":
            fields = {key: int(value) for key, value in zip(words[::2], words[1::2])}
            current = Snapshot(fields["mark"], fields["user"], fields["kernel"], fields["lost"],
                               fields.get("exact"), collections.Counter())
        elif words[0] == "end":
            if current:
                snapshots.append(current)
            current = None
        elif current and len(words) == 2:
            current.code[int(words[0], 16)] += int(words[1])
    return snapshots


class Symbols:
    """The guest's kernel symbols, from the text of its /proc/kallsyms.

    The types in it are not used: what does not hold code is never looked up, and serves as the
    end of what does.
    """

    def __init__(self, kallsyms):
        found = {}
        for line in kallsyms.splitlines():
            words = line.split()
            if len(words) < 3 or words[2].startswith("__pfx_"):
                continue
            address = int(words[0], 16)
            if address >> 63:
                module = words[3].strip("[]") if len(words) > 3 else None
                found.setdefault(address, (words[2], module))
        if not found:
            raise ValueError("kallsyms shows no addresses: read it as root")
        self._addresses = sorted(found)
        self._names = [found[address] for address in self._addresses]
        self._units = {}
        for module in BUILTIN:
            first, last = unit(self._names, *BUILTIN[module])
            for index in range(first, last):
                self._units[index] = module

    def function(self, address):
        """(name, module) of the code at ADDRESS; built-in code whose object file is known has
        that as its module, other built-in code has "vmlinux"."""
        index = bisect.bisect_right(self._addresses, address) - 1
        if index < 0:
            return "?", "vmlinux"
        name, module = self._names[index]
        if module is None:
            module = self._units.get(index, "vmlinux")
        return name, MODULES.get(module, module)


def unit(names, anchor, pattern):
    """The index range of a built-in object file in NAMES, [(name, module)] sorted by address.

    The linker keeps an object's functions together: from the anchor, go both ways as long as
    names that match PATTERN come with at most MAX_GAP others between them. (0, 0) if the anchor
    is not built in.
    """
    try:
        middle = names.index((anchor, None))
    except ValueError:
        return 0, 0
    match = re.compile(pattern).match
    edges = []
    for step in (-1, 1):
        edge = probe = middle
        while abs(probe - edge) <= MAX_GAP and 0 <= probe < len(names):
            if names[probe][1] is None and match(names[probe][0]):
                edge = probe
            probe += step
        edges.append(edge)
    return edges[0], edges[1] + 1


def functions(code, symbols):
    """Counter by address to a Counter of (function, module)."""
    result = collections.Counter()
    for address, count in code.items():
        result[symbols.function(address)] += count
    return result


def groups(code, symbols, driver):
    """Kernel instructions by group: driver (the modules named in DRIVER), ring, transport, rest."""
    result = dict.fromkeys(("driver", "ring", "transport", "rest"), 0)
    for (_, module), count in functions(code, symbols).items():
        if module in driver:
            result["driver"] += count
        elif module == "virtio_ring":
            result["ring"] += count
        elif module == "virtio_pci":
            result["transport"] += count
        else:
            result["rest"] += count
    return result
