# SPDX-License-Identifier: GPL-2.0-only
"""Counts of a guest: kicks by virtqueue, interrupts by vector, config accesses by region.

Kicks are counted in the guest with a kprobe on the transport's notify functions, so that
they are the same for any driver; QEMU's trace over-counts with iothread polling. The
guest's own 9p devices are left out.

    with counters.Count(g) as c:
        g.run("dd if=/dev/vda of=/dev/null iflag=direct count=100")
    print(c.kicks["req.0"], c.irqs["virtio3-req.0"])
"""

import collections
import re

#: struct virtqueue has list (16 bytes), callback, name, vdev; struct virtio_device begins
#: with its index. True from 6.1 to 7.3.
FETCH = "device=+0(+32($arg1)):s32 name=+0(+24($arg1)):string"
FUNCTIONS = ("vp_notify", "vp_notify_with_data")
TRACING = "/sys/kernel/tracing"

SET_UP = f"""
cd {TRACING} || exit 1
[ -e events/vrh ] && exit 0     # left by a count that was cut short
for f in {' '.join(FUNCTIONS)}; do
    grep -qw "$f" /proc/kallsyms || continue
    echo 'p:vrh/'$f' '$f' {FETCH}' >>kprobe_events || exit 1
    echo 'hist:keys=device,name:size=4096' >events/vrh/$f/trigger || exit 1
done
"""

#: Probes cost time: what is measured next must not pay for them.
TEAR_DOWN = rf"""
cd {TRACING} || exit 1
for t in events/vrh/*/trigger; do
    hist=$(grep -o '^hist:[^ ]*' "$t") && echo "!$hist" >"$t"
done
for f in {' '.join(FUNCTIONS)}; do
    [ ! -e events/vrh/$f ] || echo "-:vrh/$f" >>kprobe_events
done
"""

SNAPSHOT = f"""
cd {TRACING} && cat events/vrh/*/hist; echo '#interrupts'; cat /proc/interrupts
echo '#9p'; ls -d /sys/bus/virtio/drivers/9pnet_virtio/virtio*
"""

HIT = re.compile(r"\{ device:\s*(\d+), name:\s*(\S*)\s*\} hitcount:\s*(\d+)")
CONFIG = re.compile(r"memory_region_ops_(read|write) .* name '(virtio-pci-\S+)'")


class Count:
    """Counts between entering and leaving: `kicks`, `irqs`, `config`, each a Counter.

    kicks["req.0"] sums over devices; kicks["virtio3/req.0"] is one device's. irqs has the
    names of /proc/interrupts ("virtio3-req.0") and "LOC", "CAL", "RES". config, if asked
    for, has "read REGION" and "write REGION" by QEMU's region name; tracing it is slow.
    """

    def __init__(self, guest, config=False):
        self._guest, self._want_config = guest, config
        self.kicks = self.irqs = self.config = None

    def __enter__(self):
        self._guest.run(SET_UP, check=True)
        if self._want_config:
            self._log_begin = self._log_size()
            self._guest.trace("memory_region_ops_*")
        self._before = snapshot(self._guest)
        return self

    def __exit__(self, kind, error, trace):
        if self._want_config:
            self._guest.trace("memory_region_ops_*", on=False)
        if kind is not None:
            return
        after = snapshot(self._guest)
        self._guest.run(TEAR_DOWN, check=True)
        self.kicks, self.irqs = (difference(*pair) for pair in zip(self._before, after))
        self.config = collections.Counter()
        if self._want_config:
            with open(self._guest.directory / "qemu.log", errors="replace") as log:
                log.seek(self._log_begin)
                for line in log:
                    found = CONFIG.search(line)
                    if found:
                        self.config[" ".join(found.groups())] += 1

    def _log_size(self):
        return (self._guest.directory / "qemu.log").stat().st_size

    def kicks_of(self, device):
        """All kicks of one device ("virtio3")."""
        return sum(count for name, count in self.kicks.items() if name.startswith(f"{device}/"))

    def irqs_of(self, device):
        """All interrupts of one device ("virtio3"), config changes included."""
        return sum(count for name, count in self.irqs.items()
                   if re.match(rf"{device}\b", name))


def difference(before, after):
    """What was added from one Counter to a later one; unchanged names are left out."""
    return collections.Counter({name: count - before[name] for name, count in after.items()
                                if count != before[name]})


def snapshot(guest):
    """Kicks and interrupts since boot, as two Counters."""
    hists, rest = guest.run(SNAPSHOT, check=False).stdout.split("#interrupts\n")
    interrupts, ours = rest.split("#9p\n")
    transport = {line.rsplit("/", 1)[-1] for line in ours.split()}
    kicks = collections.Counter()
    for index, name, count in HIT.findall(hists):
        device = f"virtio{index}"
        if device not in transport:
            kicks[name] += int(count)
            kicks[f"{device}/{name}"] += int(count)
    return kicks, read_interrupts(interrupts)


def read_interrupts(text):
    """/proc/interrupts as a Counter by name of the action, or by label (LOC)."""
    found = collections.Counter()
    for line in text.splitlines()[1:]:
        label, _, rest = line.strip().partition(":")
        words = rest.split()
        counts = []
        while words and words[0].isdigit():
            counts.append(int(words.pop(0)))
        if label.isdigit():
            # "IR-PCI-MSIX-0000:00:04.0 1-edge virtio3-req.0": the action follows the type.
            action = re.split(r"\d+-(?:edge|fasteoi|level)\s+|-(?:edge|fasteoi)\s+",
                              " ".join(words))[-1]
            found[action] += sum(counts)
        else:
            found[label] += sum(counts)
    return found
