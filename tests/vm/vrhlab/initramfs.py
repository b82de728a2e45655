# SPDX-License-Identifier: GPL-2.0-only
"""Writes the guests' initramfs: busybox, the modules that reach the root, init, the agent."""

import hashlib
import lzma
import os
import pathlib
import stat
import subprocess
import time

from . import build, host

HERE = pathlib.Path(__file__).resolve().parent / "guest"

#: What a guest needs to reach its root; what a kernel has built in is left out.
EARLY = ("virtio_pci", "9pnet_virtio", "9p", "overlay")


def archive(entries):
    """A cpio archive (newc) of ENTRIES: (name, mode, bytes)."""
    out = bytearray()
    for inode, (name, mode, data) in enumerate([*entries, ("TRAILER!!!", 0, b"")], start=1):
        encoded = name.encode() + b"\0"
        fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + encoded
        out += b"\0" * (-len(out) % 4) + data
        out += b"\0" * (-len(out) % 4)
    return bytes(out)


def folder(name):
    """An entry for a directory."""
    return name, stat.S_IFDIR | 0o755, b""


def name_of(path):
    """Name of a module, as modprobe knows it, of its file's PATH."""
    return pathlib.Path(path).name.split(".")[0].replace("-", "_")


def soft_dependencies(directory, names):
    """Modules that modprobe would load before NAMES though no symbol needs them."""
    aliases = dict(line.split()[1:3] for line in
                   (directory / "modules.alias").read_text().splitlines()
                   if line.startswith("alias crypto-"))
    found = []
    for line in (directory / "modules.softdep").read_text().splitlines():
        word, module, *wanted = line.split()
        if word == "softdep" and module in names and wanted[0] == "pre:":
            wanted = wanted[1:wanted.index("post:")] if "post:" in wanted else wanted[1:]
            found += [aliases.get(name, name).replace("-", "_") for name in wanted]
    return found


def module_entries(directory, names, listing):
    """Entries for modules with all they need; LISTING names them in order of loading."""
    dependencies = build.read_dependencies(directory)
    paths = {name_of(path): path for path in dependencies}
    names = [*soft_dependencies(directory, names), *names]
    wanted = build.closure(dependencies, [paths[n] for n in names if n in paths])
    entries, order = [], []
    for path in wanted:
        data = (directory / path).read_bytes()
        if path.endswith(".xz"):
            data = lzma.decompress(data)
        elif path.endswith(".zst"):
            data = subprocess.run(["zstd", "-dc"], input=data, stdout=subprocess.PIPE,
                                  check=True).stdout
        name = pathlib.Path(path).name.split(".")[0] + ".ko"
        entries.append((f"modules/{name}", stat.S_IFREG | 0o644, data))
        order.append(name)
    text = "".join(f"{name}\n" for name in order).encode()
    return [*entries, (f"modules/{listing}", stat.S_IFREG | 0o644, text)]


def common(built):
    """The initramfs of a kernel, made once for this init and agent."""
    kernel = built.kernel
    busybox = pathlib.Path("/bin/busybox")
    if not busybox.exists():
        raise host.LabError("busybox is missing: apt-get install busybox-static")
    sources = {name: (HERE / name).read_bytes() for name in ("init", "stage2", "agent.py")}
    digest = hashlib.sha256(repr((kernel.release, kernel.version, EARLY, sorted(sources.items()),
                                  os.stat(busybox).st_mtime_ns)).encode()).hexdigest()[:16]
    path = host.cache_dir() / "initramfs" / f"{kernel.name}-{digest}.cpio"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        folders = ("bin", "proc", "sys", "dev", "modules", "lower", "upper", "root", "vrh")
        entries = [folder(name) for name in folders]
        entries += [("bin/busybox", stat.S_IFREG | 0o755, busybox.read_bytes()),
                    ("init", stat.S_IFREG | 0o755, sources["init"]),
                    ("vrh/stage2", stat.S_IFREG | 0o755, sources["stage2"]),
                    ("vrh/agent.py", stat.S_IFREG | 0o644, sources["agent.py"])]
        entries += module_entries(built.directory, EARLY, "early")
        temporary = path.with_suffix(f".{os.getpid()}")
        temporary.write_bytes(archive(entries))
        temporary.rename(path)
        for old in path.parent.glob(f"{kernel.name}-*.cpio"):
            # Another checkout's lab may use one that differs; not for a week, surely.
            if old != path and time.time() - old.stat().st_mtime > 7 * 86400:
                old.unlink(missing_ok=True)
    return path


def with_modules(built, names, target):
    """An initramfs that loads NAMES before the root is mounted: the common one and theirs.

    What the kernel has built in is left out.
    """
    known = {name_of(path) for path in build.read_dependencies(built.directory)}
    within = {name_of(path)
              for path in (built.directory / "modules.builtin").read_text().split()}
    absent = [name for name in names if name not in known | within]
    if absent:
        raise host.LabError(f"not among the modules for {built.kernel.release}: {' '.join(absent)}")
    data = common(built).read_bytes()
    data += archive(module_entries(built.directory, [n for n in names if n in known], "extra"))
    pathlib.Path(target).write_bytes(data)
    return target


def tree_entries(tree, name):
    """Entries for the directory TREE, as NAME, with all that is in it."""
    entries = []
    for directory, folders, files in os.walk(tree):
        for path in sorted(pathlib.Path(directory, leaf) for leaf in [*folders, *files]):
            status = path.lstat()
            data = b""
            if stat.S_ISLNK(status.st_mode):
                data = os.fsencode(os.readlink(path))
            elif stat.S_ISREG(status.st_mode):
                data = path.read_bytes()
            entries.append((f"{name}/{path.relative_to(tree)}", status.st_mode, data))
    return entries


def with_root(built, tree, target):
    """The common initramfs and the root file system TREE in one, for vrh.root=ram."""
    with open(target, "wb") as out:
        out.write(common(built).read_bytes())
        out.write(archive(tree_entries(tree, "root")))
    return target
