# SPDX-License-Identifier: GPL-2.0-only
"""The lab itself: guests boot, sick kernels are seen, counters tell the truth."""

import os
import pathlib
import subprocess
import sys

import pytest

from vrhlab import Disk, Guest, GuestDied, GuestUnhealthy, UserNet, build, counters, host, verdict


def stock(lab):
    """A shared guest without our modules, with a disk and a NIC that nobody drives yet."""
    return lab.share("stock", built=build.stock(lab.kernel), smp=1,
                     devices=lambda: [Disk(queues=1, hotplug=True), UserNet()])


def test_guest_boots_the_kernel_asked_for(lab):
    """uname in the guest names the kernel of the catalogue; its root can be written to."""
    guest = stock(lab)
    assert guest.sh("uname -r") == guest.kernel.release
    guest.run("touch /usr/bin/vrh-written && rm /usr/bin/vrh-written", check=True)


def test_command_returns_output_status_and_time(lab):
    """Streams stay apart, status and time are the command's, a timeout ends it."""
    guest = stock(lab)
    result = guest.run("echo out; echo err >&2; sleep 0.5; exit 7")
    assert (result.stdout, result.stderr, result.status) == ("out\n", "err\n", 7)
    assert 0.5 <= result.seconds < 10
    late = guest.run("sleep 60", timeout=1)
    assert late.timeout and not late.ok
    assert guest.run("true").ok


def test_long_streams_arrive_whole(lab):
    """A megabyte of output and a long command line pass unchanged."""
    guest = stock(lab)
    assert guest.run("seq 150000").stdout.split() == [str(n) for n in range(1, 150001)]
    word = "x" * 20000
    assert guest.sh(f"echo {word}") == word


def test_background_command_runs_beside_another(lab):
    """A started command does not hold up the next."""
    guest = stock(lab)
    sleeper = guest.start_command("sleep 30")
    assert guest.run("true", timeout=10).ok
    assert not sleeper.done()
    sleeper.kill()
    assert sleeper.wait().status == -15


def test_share_passes_files_both_ways(lab):
    """What the guest writes to /share is on the host, and the other way round."""
    guest = stock(lab)
    (guest.share / "hello").write_text("from the host")
    assert guest.sh("cat /share/hello; echo from the guest >/share/answer") == "from the host"
    assert (guest.share / "answer").read_text() == "from the guest\n"


@pytest.mark.own_guest
def test_panic_is_a_failure(lab):
    """A guest that panics is reported dead, with the panic in the message."""
    guest = lab.boot(built=build.stock(lab.kernel))
    with pytest.raises(GuestDied, match="sysrq triggered crash|Kernel panic"):
        guest.run("echo c >/proc/sysrq-trigger")
    with pytest.raises(GuestUnhealthy, match="Kernel panic"):
        guest.assert_healthy()
    lab.guests.remove(guest)
    lab._own.remove(guest)
    guest.stop()


@pytest.mark.parametrize("line", [
    "WARNING: CPU: 0 PID: 1 at drivers/x.c:1 f+0x1/0x2",
    "BUG: KASAN: slab-out-of-bounds in f+0x1/0x2 [virtio_net_rh]",
    "WARNING: possible circular locking dependency detected",
    "BUG: sleeping function called from invalid context at mm/x.c:1",
    "INFO: task fio:12 blocked for more than 120 seconds.",
    "watchdog: BUG: soft lockup - CPU#1 stuck for 26s!",
    "irq 25: nobody cared (try booting with the \"irqpoll\" option)",
    "UBSAN: array-index-out-of-bounds in x.c:1:2",
    "DMA-API: virtio-pci 0000:00:04.0: device driver frees DMA memory with wrong function",
    "kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)"])
def test_verdict_knows_reports_of_a_sick_kernel(line):
    """Each kind of report is found among others, and can be allowed by a test."""
    console = f"[    1.0] fine\n[    2.0] {line}\n[    3.0] virtio_blk_rh: fine too\n"
    assert verdict.findings(console) == [f"[    2.0] {line}"]
    assert verdict.findings(console, [r"^\[    2.0\] "]) == []


LEAK = """unreferenced object 0xffff888008498d80 (size 96):
  comm "kworker/1:2", pid 50, jiffies 4294914251
  backtrace (crc e4242fdf):
    __kmalloc_noprof+0x36c/0x720
    alloc_buf.constprop.0+0x4b/0x210 [%s]
    ret_from_fork_asm+0x11/0x20
"""


def test_leaks_of_an_in_tree_driver_are_not_ours():
    """They are left out of a report, and ours, or the kernel's, beside them are not."""
    theirs, ours, unknown = (LEAK % name for name in ("virtio_console", "virtio_console_rh", "sg"))
    assert verdict.leaks("") == verdict.leaks(theirs + theirs) == ""
    assert verdict.leaks(theirs + ours + theirs + unknown) == (ours + unknown).strip()


@pytest.mark.own_guest
def test_boot_that_stalls_is_tried_again(lab, monkeypatch, capsys):
    """As long as neither user space nor a module has run; the second failure counts."""
    monkeypatch.setattr(Guest, "boot_seconds", 5)
    guest = Guest(lab.kernel, built=build.stock(lab.kernel), extra=["-S"])
    with pytest.raises(GuestDied, match="did not boot"):
        guest.__enter__()
    assert guest.retries == 1
    assert "try 2 of 2" in "".join(capsys.readouterr())


def test_boot_that_had_its_chance_is_not_tried_again(lab):
    """The console tells that user space has begun."""
    assert stock(lab)._had_its_chance()


def test_printed_warning_fails_a_guest(lab):
    """What reaches the console is judged while the guest runs."""
    guest = stock(lab)
    guest.run("echo '<4>WARNING: vrh test' >/dev/kmsg", check=True)
    guest.wait("dmesg | grep -q 'vrh test'")
    with pytest.raises(GuestUnhealthy, match="vrh test"):
        guest.assert_healthy()
    guest.allow("vrh test", reason="this test printed it")


def test_counters_agree_at_depth_one(lab):
    """One read at a time: one kick, one interrupt, in QEMU's trace as in the guest's counts."""
    guest = stock(lab)
    guest.modprobe("virtio_blk")
    guest.wait("test -b /dev/vda")
    reads = "dd if=/dev/vda of=/dev/null iflag=direct bs=4k count=200 status=none"
    guest.run(reads, check=True)
    guest.trace("virtio_queue_notify")
    before = notified(guest)
    with counters.Count(guest) as count:
        guest.run(reads, check=True)
    traced = notified(guest) - before
    guest.trace("virtio_queue_notify", on=False)
    assert 200 <= count.kicks["req.0"] <= 204      # dd may ask the size, udev is not there
    irqs = sum(n for name, n in count.irqs.items() if name.endswith("req.0"))
    assert abs(irqs - count.kicks["req.0"]) <= 3
    assert traced >= count.kicks["req.0"]           # the guest's 9p shares kick as well


def notified(guest):
    """Notifications that QEMU has traced so far."""
    log = (guest.directory / "qemu.log").read_text(errors="replace")
    return log.count("virtio_queue_notify ")


def test_config_accesses_are_counted(lab):
    """Loading a driver reads the device's config space; reading sysfs does not."""
    guest = stock(lab)
    with counters.Count(guest, config=True) as count:
        guest.modprobe("virtio_net")
        guest.wait("test -e /sys/class/net/eth0")
    assert any(name.startswith("read virtio-pci-device-virtio-net") for name in count.config)
    with counters.Count(guest, config=True) as count:
        guest.run("cat /sys/class/net/eth0/address", check=True)
    assert not any("virtio-pci-device-virtio-net" in name for name in count.config)


def test_hot_plug_and_unplug_reach_the_guest(lab):
    """A disk behind a root port goes and comes back by QMP."""
    guest = stock(lab)
    disk = guest.devices[0]
    guest.modprobe("virtio_blk")
    guest.wait("test -b /dev/vda")
    guest.unplug(disk)
    guest.wait("! test -e /dev/vda")
    guest.plug(disk)
    guest.wait("test -b /dev/vda")


#: Writes its name into a file when it has a guest slot, and keeps it for a moment.
TAKES_A_SLOT = """
import sys, time
from vrhlab import host
with host.guest_slot():
    with open(sys.argv[2], "a") as got:
        print(sys.argv[1], file=got)
    time.sleep(float(sys.argv[3]))
"""


class Slots:
    """A machine of guest slots of its own, and processes that wait for them."""

    def __init__(self, directory):
        self.line = directory / "slots" / "line"
        self.got = directory / "got"
        self.environment = {**os.environ, "VRH_CACHE": str(directory),
                            "PYTHONPATH": str(pathlib.Path(host.__file__).parents[1])}
        self.processes = {}

    def ask(self, name, count, keep=0.0):
        """A process that asks for one of COUNT slots, and keeps it for KEEP seconds."""
        self.processes[name] = subprocess.Popen(
            [sys.executable, "-c", TAKES_A_SLOT, name, self.got, str(keep)],
            env={**self.environment, "VRH_SLOTS": str(count)})

    def waits(self, name, count):
        """The same, which is in the line when this returns."""
        before = self.tickets()
        self.ask(name, count)
        host.until(lambda: self.tickets() - before, 60, f"{name} is not in the line")

    def tickets(self):
        """Names of all tickets."""
        return {ticket.name for ticket in self.line.glob("*")}

    def served(self, number):
        """Who got a slot, in this order, when they are NUMBER."""
        def names():
            return self.got.read_text().split() if self.got.exists() else []
        host.until(lambda: len(names()) >= number, 60, lambda: f"only {names()} got a slot")
        return names()


@pytest.fixture
def slots(tmp_path):
    """Slots that no other test knows; who still waits at the end is killed."""
    made = Slots(tmp_path)
    yield made
    for process in made.processes.values():
        process.kill()
        process.wait()


def test_guest_slots_are_given_in_the_order_of_asking(slots):
    """Who waits for the longest time is the next; one that was killed holds nobody up."""
    slots.ask("first", 1, keep=600)
    assert slots.served(1) == ["first"]
    for number in range(8):
        slots.waits(f"w{number}", 1)
    for name in ("w0", "w3", "first"):
        slots.processes[name].kill()
    assert slots.served(7) == ["first", "w1", "w2", "w4", "w5", "w6", "w7"]
    assert not slots.tickets()


def test_line_for_few_guest_slots_is_not_one_for_others(slots):
    """Of the slots that an earlier one cannot take a later one gets its own, and no other."""
    slots.ask("first", 1, keep=600)
    assert slots.served(1) == ["first"]
    slots.waits("one", 1)
    slots.ask("two", 2, keep=600)
    assert slots.served(2) == ["first", "two"]
    slots.waits("late", 2)
    slots.processes["first"].kill()
    assert slots.served(4) == ["first", "two", "one", "late"]
