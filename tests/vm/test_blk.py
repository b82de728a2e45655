# SPDX-License-Identifier: GPL-2.0-only
"""virtio_blk_rh carries real disks: data, discards, attributes, and ways to lose one.

How a disk is bound, unplugged and unloaded under load is in test_lifecycle.py.
"""

import os
import re

import pytest

from vrhlab import Disk, binding, counters

MIB = 1 << 20


def disks():
    """The disks of the shared guest: a plain one, a read-only one, an odd one."""
    return [Disk("512M", ident="disk0", queues=2, hotplug=True, max_discard_sectors=16384),
            Disk("64M", ident="readonly", readonly=True),
            Disk("64M", ident="blocks4k", serial="12345678901234567890", queues=1,
                 logical_block_size=4096, physical_block_size=16384, min_io_size=16384,
                 opt_io_size=65536)]


def shared(lab):
    """The guest that most tests use."""
    return lab.share("blk", smp=2, devices=disks)


def node(guest, serial):
    """Name of the disk with a serial: vda."""
    name = guest.sh(f"grep -lx '{serial}' /sys/block/vd*/serial | cut -d/ -f4")
    assert re.fullmatch(r"vd[a-z]+", name), f"disk {serial} not found: {name!r}"
    return name


def device_of(guest, disk):
    """The virtio device of a disk."""
    name = guest.sh(f"basename $(readlink -f /sys/block/{disk}/device)")
    return next(found for found in binding.devices(guest, "blk") if found.name == name)


def throttle(guest, ident, **limits):
    """Limits a disk on the host; without limits it runs free again."""
    names = ("bps", "bps_rd", "bps_wr", "iops", "iops_rd", "iops_wr")
    guest.qmp.execute("block_set_io_throttle",
                      {"id": f"/machine/peripheral/{ident}/virtio-backend",
                       **{name: limits.get(name, 0) for name in names}})


def read_forever(guest, disk, timeout=200):
    """Readers that keep a disk busy and go on through errors and absence."""
    return guest.start_command(
        f"while :; do dd if=/dev/{disk} of=/dev/null bs=64k count=200 iflag=direct & "
        f"dd if=/dev/{disk} of=/dev/null bs=4k count=200 skip=99 iflag=direct; wait; "
        f"[ -b /dev/{disk} ] || sleep 0.02; done 2>/dev/null", timeout=timeout)


def allocated(disk):
    """Bytes of the host's file that have blocks."""
    return os.stat(disk.path).st_blocks * 512


# -- data -----------------------------------------------------------------------------------


def test_ext4_keeps_what_fio_verifies(lab, take, driver):
    """Several jobs write, read back and check CRCs over ext4 on two queues; fsck is clean."""
    guest = shared(lab)
    take(guest, "blk", driver)
    disk = node(guest, "disk0")
    size = "4M" if lab.kernel == "debug" else "16M"
    assert guest.sh(f"ls /sys/block/{disk}/mq | wc -l") == "2"
    with counters.Count(guest) as count:
        guest.run(f"mkfs.ext4 -q -F /dev/{disk} && mount /dev/{disk} /mnt && cd /mnt && "
                  f"fio --name=verify --rw=randrw --bsrange=4k-256k --size={size} --numjobs=3 "
                  "--direct=1 --ioengine=libaio --iodepth=16 --verify=crc32c --verify_fatal=1 "
                  "--end_fsync=1 --fallocate=none && cd / && umount /mnt && "
                  f"fsck.ext4 -fn /dev/{disk}", timeout=240, check=True)
    device = device_of(guest, disk).name
    assert count.kicks[f"{device}/req.0"] and count.kicks[f"{device}/req.1"], \
        "one of the two queues was never used"


def test_data_of_all_sizes_is_byte_for_byte(lab, take, driver):
    """What one request size writes another reads back, buffered and direct, to the last block."""
    guest = shared(lab)
    take(guest, "blk", driver)
    disk = node(guest, "disk0")
    guest.run(f"""set -e; d=/dev/{disk}; head -c 8388608 /dev/urandom >/tmp/pattern
        dd if=/tmp/pattern of=$d bs=1M oflag=direct status=none
        dd if=/tmp/pattern of=$d bs=512 seek=131072 count=64 oflag=direct status=none
        last=$(($(blockdev --getsz $d) - 8))
        dd if=/tmp/pattern of=$d bs=512 seek=$last count=8 oflag=direct status=none
        echo 3 >/proc/sys/vm/drop_caches
        cmp -n 8388608 /tmp/pattern $d
        dd if=$d bs=7k count=1170 status=none | cmp -n 8386560 - /tmp/pattern
        dd if=$d bs=512 skip=131072 count=64 iflag=direct status=none | cmp -n 32768 - /tmp/pattern
        dd if=$d bs=512 skip=$last count=8 iflag=direct status=none | cmp -n 4096 - /tmp/pattern
        ! dd if=/tmp/pattern of=$d bs=512 seek=$((last + 8)) count=1 oflag=direct status=none
        rm /tmp/pattern""", timeout=120, check=True)


def test_blocks_of_4k_work_and_topology_is_shown(lab, take, driver):
    """A disk with 4 KiB blocks has the host's topology and keeps a file system."""
    guest = shared(lab)
    take(guest, "blk", driver)
    disk = node(guest, "12345678901234567890")
    shown = guest.sh(f"cd /sys/block/{disk}/queue; cat logical_block_size physical_block_size "
                     "minimum_io_size optimal_io_size").split()
    assert shown == ["4096", "16384", "16384", "65536"]
    guest.run(f"mkfs.ext4 -q -F /dev/{disk} && mount /dev/{disk} /mnt && "
              "dd if=/dev/zero of=/mnt/f bs=1M count=8 conv=fsync status=none && "
              f"umount /mnt && fsck.ext4 -fn /dev/{disk}", check=True)


# -- discard and write zeroes ---------------------------------------------------------------


def test_discard_punches_holes_on_the_host(lab, take, driver):
    """blkdiscard gives the host's blocks back, and only those; the rest keeps its data."""
    guest = shared(lab)
    take(guest, "blk", driver)
    disk, file = node(guest, "disk0"), guest.devices[0]
    guest.run(f"blkdiscard /dev/{disk}", check=True)
    empty = allocated(file)
    guest.run(f"head -c 16M /dev/urandom >/tmp/pattern && "
              f"dd if=/tmp/pattern of=/dev/{disk} bs=1M oflag=direct status=none", check=True)
    assert allocated(file) >= empty + 16 * MIB
    guest.run(f"blkdiscard -o {4 * MIB} -l {8 * MIB} /dev/{disk}", check=True)
    assert allocated(file) <= empty + 9 * MIB
    guest.run(f"""set -e; echo 3 >/proc/sys/vm/drop_caches
        cmp -n {4 * MIB} /tmp/pattern /dev/{disk}
        cmp -n {4 * MIB} -i {12 * MIB} /tmp/pattern /dev/{disk}
        cmp -n {8 * MIB} -i 0:{4 * MIB} /dev/zero /dev/{disk}; rm /tmp/pattern""",
              check=True)


def test_merged_discards_hit_their_ranges_only(lab, take, driver):
    """Discards of many extents merge into requests of several ranges; kept files stay whole."""
    guest = shared(lab)
    take(guest, "blk", driver)
    disk = node(guest, "disk0")
    guest.run(f"blkdiscard /dev/{disk}; echo mq-deadline >/sys/block/{disk}/queue/scheduler; "
              f"mkfs.ext4 -q -F -O ^has_journal /dev/{disk} && mount /dev/{disk} /mnt && "
              "cd /mnt && head -c 1600K /dev/urandom | split -b 4K -d -a 3 - f && "
              "sync && md5sum f*[02468] >/tmp/sums && rm f*[13579] && sync && cd / && "
              "fstrim -m 4096 /mnt", timeout=120, check=True)
    merges = int(guest.sh(f"cat /sys/block/{disk}/stat").split()[12])
    guest.run(f"echo 3 >/proc/sys/vm/drop_caches; cd /mnt && md5sum --quiet -c /tmp/sums && cd / "
              f"&& umount /mnt && fsck.ext4 -fn /dev/{disk}; s=$?; "
              f"echo none >/sys/block/{disk}/queue/scheduler; exit $s", check=True)
    ranges = int(guest.sh(f"cat /sys/block/{disk}/queue/discard_max_bytes"))
    assert ranges
    print(f"{merges} discards were merged")


def test_write_zeroes_zeroes(lab, take, driver):
    """A range written as zeroes reads as zeroes and its neighbours stay."""
    guest = shared(lab)
    take(guest, "blk", driver)
    disk = node(guest, "disk0")
    assert int(guest.sh(f"cat /sys/block/{disk}/queue/write_zeroes_max_bytes")) > 0
    guest.run(f"""set -e; d=/dev/{disk}; head -c 4M /dev/urandom >/tmp/pattern
        dd if=/tmp/pattern of=$d bs=1M oflag=direct status=none
        blkdiscard -z -o {MIB} -l {2 * MIB} $d; echo 3 >/proc/sys/vm/drop_caches
        cmp -n {MIB} /tmp/pattern $d; cmp -n {MIB} -i {3 * MIB} /tmp/pattern $d
        cmp -n {2 * MIB} -i 0:{MIB} /dev/zero $d; rm /tmp/pattern""", check=True)


# -- what a user sees -----------------------------------------------------------------------


def test_serial_is_the_hosts(lab, take, driver):
    """serial shows what the host set, up to 20 characters, without a newline."""
    guest = shared(lab)
    take(guest, "blk", driver)
    serials = {guest.run(["cat", f"/sys/block/{name}/serial"], check=True).stdout
               for name in guest.sh("ls /sys/block | grep ^vd").split()}
    assert serials == {"disk0", "readonly", "12345678901234567890"}


def test_cache_type_reaches_the_host_and_the_block_layer(lab, take, driver):
    """cache_type switches between both modes, flushes follow, nonsense is refused."""
    guest = shared(lab)
    take(guest, "blk", driver)
    disk = node(guest, "disk0")
    for mode, word in (("write through", "write through"), ("write back", "write back")):
        guest.run(f"echo '{mode}' >/sys/block/{disk}/cache_type", check=True)
        assert guest.sh(f"cat /sys/block/{disk}/cache_type") == mode
        assert guest.sh(f"cat /sys/block/{disk}/queue/write_cache") == word
        before = int(guest.sh(f"cat /sys/block/{disk}/stat").split()[15])
        guest.run(f"dd if=/dev/zero of=/dev/{disk} bs=4k count=4 conv=fsync status=none",
                  check=True)
        flushed = int(guest.sh(f"cat /sys/block/{disk}/stat").split()[15]) - before
        assert (flushed > 0) == (mode == "write back")
    assert not guest.run(f"echo sometimes >/sys/block/{disk}/cache_type").ok


def test_cache_type_switches_under_load(lab, take):
    """Twenty switches while requests are in flight: none is lost, none waits for ever."""
    guest = shared(lab)
    take(guest, "blk")
    disk = node(guest, "disk0")
    guest.run(f"fio --name=w --filename=/dev/{disk} --rw=randwrite --bs=4k --size=64M --direct=1 "
              "--ioengine=libaio --iodepth=8 --time_based --runtime=5 --fsync=16 >/tmp/fio & "
              "for i in $(seq 10); do for m in 'write through' 'write back'; do "
              f"echo \"$m\" >/sys/block/{disk}/cache_type || exit 1; done; done; wait $!",
              timeout=120, check=True)


def test_read_only_disk_cannot_be_written(lab, take, driver):
    """A disk that the host keeps read-only says so and refuses writes."""
    guest = shared(lab)
    take(guest, "blk", driver)
    disk = node(guest, "readonly")
    assert guest.sh(f"cat /sys/block/{disk}/ro; blockdev --getro /dev/{disk}") == "1\n1"
    assert not guest.run(f"dd if=/dev/zero of=/dev/{disk} bs=4k count=1 oflag=direct").ok
    guest.run(f"dd if=/dev/{disk} of=/dev/null bs=1M iflag=direct status=none", check=True)


def test_capacity_follows_the_host(lab, take, driver):
    """block_resize on the host changes the size in the guest and sends one RESIZE event."""
    guest = shared(lab)
    take(guest, "blk", driver)
    disk = node(guest, "12345678901234567890")
    monitor = guest.start_command("timeout 60 udevadm monitor --kernel --property >/tmp/events",
                                  timeout=70)
    guest.wait("test -s /tmp/events")
    for size in (96, 64):
        guest.qmp.execute("block_resize", {"node-name": "drive-blocks4k", "size": size * MIB})
        guest.wait(f"[ $(cat /sys/block/{disk}/size) = {size * 2048} ]")
    guest.wait("[ $(grep -c RESIZE=1 /tmp/events) -ge 2 ]")
    monitor.kill()
    monitor.wait()
    assert guest.sh("grep -c RESIZE=1 /tmp/events; rm /tmp/events") == "2"


def test_probe_says_in_one_line_what_was_decided(lab, take):
    """dmesg has the disk, its size, queues and features by name; sysfs has the same names."""
    guest = shared(lab)
    take(guest, "blk", "in-tree")
    guest.sh("dmesg -C")
    take(guest, "blk")
    device = device_of(guest, node(guest, "disk0")).name
    lines = [line for line in guest.sh("dmesg").splitlines() if f" {device}: " in line]
    names = guest.sh(f"cat /sys/bus/virtio/devices/{device}/vrh/features")
    assert len(lines) == 1 and "vd" in lines[0] and "2 queues" in lines[0]
    assert lines[0].endswith(f"features: {names}")
    assert {"SEG_MAX", "FLUSH", "CONFIG_WCE", "MQ", "DISCARD", "WRITE_ZEROES"} <= set(names.split())
    assert guest.sh("grep -c virtblk /proc/devices") == "2"


# -- bind, unbind, load, unload ---------------------------------------------------------------


def test_both_drivers_have_disks_with_names_of_their_own(lab, take):
    """One disk with each driver: no two have the same name, both work."""
    guest = shared(lab)
    take(guest, "blk", "in-tree")
    disk = node(guest, "readonly")
    take(guest, "blk", "ours", device_of(guest, disk).name)
    names = guest.sh("ls /sys/block | grep ^vd").split()
    assert len(names) == 3
    for name in names:
        guest.run(f"dd if=/dev/{name} of=/dev/null bs=1M count=4 iflag=direct status=none",
                  check=True)


def test_module_unloads_and_loads_again(lab, take):
    """modprobe -r refuses while a disk is open, works after, and leaves nothing behind."""
    guest = shared(lab)
    take(guest, "blk")
    disk = node(guest, "disk0")
    guest.run(f"exec 3</dev/{disk}; ! modprobe -r virtio_blk_rh", check=True)
    for _ in range(3):
        guest.run("modprobe -r virtio_blk_rh && modprobe virtio_blk_rh", check=True)
        assert guest.sh("ls /sys/bus/virtio/drivers/virtio_blk_rh | grep -c virtio") == "3"
        node(guest, "disk0")


def test_parameters_limit_queues_depth_and_features(lab, take):
    """num_request_queues, queue_depth and disable_features do what they say."""
    guest = shared(lab)
    take(guest, "blk", "in-tree")
    # bits 9 FLUSH (and with it CONFIG_WCE), 13 DISCARD, 28 INDIRECT_DESC
    guest.sh("modprobe -r virtio_blk_rh 2>/dev/null; modprobe virtio_blk_rh "
             "num_request_queues=1 queue_depth=8 disable_features=0x10002200")
    take(guest, "blk")
    disk = node(guest, "disk0")
    features = guest.sh(f"cat /sys/block/{disk}/device/vrh/features").split()
    shown = guest.sh(f"ls /sys/block/{disk}/mq | wc -l; cat /sys/block/{disk}/mq/0/nr_tags "
                     f"/sys/block/{disk}/queue/discard_max_bytes /sys/block/{disk}/cache_type")
    assert shown.split("\n") == ["1", "8", "0", "write through"]
    assert not {"FLUSH", "CONFIG_WCE", "DISCARD", "INDIRECT_DESC"} & set(features)
    guest.run(f"fio --name=v --filename=/dev/{disk} --rw=randrw --bs=64k --size=8M --direct=1 "
              "--ioengine=libaio --iodepth=32 --verify=crc32c --verify_fatal=1", check=True)
    take(guest, "blk", "in-tree")
    guest.run("modprobe -r virtio_blk_rh", check=True)


def test_one_segment_takes_no_block_across_pages(lab, take):
    """Without SEG_MAX a request has one segment: a 4 KiB block that lies across two pages is
    refused to the program, and not sent wrong or cut down to nothing (a BUG in 6.1)."""
    guest = shared(lab)
    take(guest, "blk", "in-tree")
    guest.sh("modprobe -r virtio_blk_rh 2>/dev/null; modprobe virtio_blk_rh disable_features=0x4")
    take(guest, "blk")
    disk = node(guest, "12345678901234567890")
    assert guest.sh(f"cat /sys/block/{disk}/queue/max_segments "
                    f"/sys/block/{disk}/queue/dma_alignment") == "1\n4095"
    guest.run(f"head -c 1M /dev/urandom >/tmp/pattern; "
              f"dd if=/tmp/pattern of=/dev/{disk} bs=256k oflag=direct status=none; "
              f"cmp -n 1048576 /tmp/pattern /dev/{disk}", check=True)
    (guest.share / "across.py").write_text(
        "import mmap, os, sys\n"
        "disk = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECT)\n"
        "data = memoryview(mmap.mmap(-1, 16384))\n"
        "assert os.preadv(disk, [data[:8192]], 0) == 8192\n"
        "try:\n"
        "    assert os.preadv(disk, [data[512:4608]], 0) == 4096\n"
        "    print(bytes(data[512:4608]) == open('/tmp/pattern', 'rb').read(4096))\n"
        "except OSError as error:\n"
        "    print(error.errno)\n")
    answer = guest.sh(f"python3 -I -S /share/across.py /dev/{disk}")
    assert answer in ("22", "True"), answer     # EINVAL, or the block layer copied
    take(guest, "blk", "in-tree")
    guest.run("modprobe -r virtio_blk_rh", check=True)


def test_full_ring_is_waited_for(lab, take):
    """Deep queues of long requests overflow a ring without indirect tables; nothing is lost."""
    guest = shared(lab)
    take(guest, "blk", "in-tree")
    guest.sh("modprobe -r virtio_blk_rh 2>/dev/null; modprobe virtio_blk_rh "
             "disable_features=0x10000000")
    take(guest, "blk")
    disk = node(guest, "disk0")
    guest.run(f"fio --name=v --filename=/dev/{disk} --rw=randrw --bs=256k --size=16M --direct=1 "
              "--ioengine=libaio --iodepth=64 --numjobs=2 --offset_increment=64M --iomem=malloc "
              "--verify=crc32c --verify_fatal=1", timeout=180, check=True)
    take(guest, "blk", "in-tree")
    guest.run("modprobe -r virtio_blk_rh", check=True)


# -- loss -------------------------------------------------------------------------------------


def stuck_reader(guest, disk, timeout=150):
    """A reader of two blocks: the host lets the first pass and holds the second back."""
    stat = f"/sys/block/{disk}/stat"
    reads = int(guest.sh(f"cat {stat}").split()[0])
    throttle(guest, "disk0", bps=1)
    reader = guest.start_command(f"dd if=/dev/{disk} of=/dev/null bs=4k count=2 skip=9 "
                                 "iflag=direct", timeout=timeout)
    guest.wait(f"read -r reads a a a a a a a flying a <{stat} && "
               f"[ $reads -gt {reads} ] && [ $flying -gt 0 ]")
    return reader


@pytest.mark.one_kernel
def test_unbind_ends_when_the_host_has_stopped(lab, take):
    """A host that never answers costs an unbind its time limit, not for ever."""
    guest = shared(lab)
    take(guest, "blk")
    disk = node(guest, "disk0")
    device = device_of(guest, disk)
    reader = stuck_reader(guest, disk)
    try:
        gone = guest.run(f"echo {device.name} >/sys/bus/virtio/drivers/virtio_blk_rh/unbind",
                         timeout=110)
    finally:
        throttle(guest, "disk0")
    assert gone.ok and gone.seconds < 90, gone
    said = re.search(r"host does not answer; (\d+) requests in flight failed", guest.sh("dmesg"))
    assert said
    # QEMU lets go of what it holds back when the device is reset: then the read was good.
    result = reader.wait()
    assert result.status == (1 if int(said[1]) else 0), result
    assert int(said[1]) == 0 or "Input/output error" in result.stderr, result
    assert binding.bind(guest, device, "virtio_blk_rh")
    disk = node(guest, "disk0")
    guest.run(f"dd if=/dev/{disk} of=/dev/null bs=1M count=8 iflag=direct status=none", check=True)


@pytest.mark.one_kernel
def test_bind_ends_when_the_host_has_stopped(lab, take):
    """A host that does not answer the partition scan costs the bind its time limit, no more."""
    guest = shared(lab)
    take(guest, "blk")
    disk = node(guest, "disk0")
    device = device_of(guest, disk)
    throttle(guest, "disk0", bps=1)
    try:
        # The first read is let through: it is the debt that stops those after it.
        guest.run(f"timeout 5 dd if=/dev/{disk} of=/dev/null bs=4k count=1 iflag=direct")
        binding.unbind(guest, device)
        bound = guest.run(f"echo {device.name} >/sys/bus/virtio/drivers/virtio_blk_rh/bind",
                          timeout=100)
    finally:
        throttle(guest, "disk0")
    assert not bound.ok and not bound.timeout and bound.seconds < 90, bound
    assert "host does not answer" in guest.sh("dmesg")
    for driver in ("virtio_blk", "virtio_blk_rh"):
        take(guest, "blk", driver)
        guest.run(f"dd if=/dev/{node(guest, 'disk0')} of=/dev/null bs=1M count=8 iflag=direct "
                  "status=none", check=True)


def test_serial_of_a_stopped_host_does_not_wait_for_ever(lab, take):
    """Reading serial while the host holds every request ends with an error in bounded time."""
    guest = shared(lab)
    take(guest, "blk")
    disk = node(guest, "disk0")
    reader = stuck_reader(guest, disk)
    # All tags in use: the command must not wait for one without end.
    filler = guest.start_command(f"fio --name=f --filename=/dev/{disk} --rw=randread --bs=4k "
                                 "--size=64M --direct=1 --ioengine=libaio --iodepth=600 "
                                 "--runtime=5 --time_based", timeout=150)
    guest.run("sleep 4")
    result = guest.run(["cat", f"/sys/block/{disk}/serial"], timeout=100)
    throttle(guest, "disk0")
    assert not result.timeout and result.seconds < 90
    for command in (reader, filler):
        assert command.wait().ok
    assert node(guest, "disk0") == disk


@pytest.mark.own_guest
def test_surprise_removal_ends_requests(lab, take):
    """The slot loses its power with a request in flight: removal ends, and so does the reader.

    QEMU lets go of what it holds back while the device goes: if the guest hears of that in
    time, the read was good. That a lost request is an error: blk_ring_test, which holds it.
    """
    # The core warns when a device that is gone does not read as reset (virtio_dev_remove).
    guest = lab.boot(devices=disks()[:1], allowed=[r"virtio_dev_remove", r"Call Trace"])
    take(guest, "blk")
    disk = node(guest, "disk0")
    device = device_of(guest, disk)
    reader = stuck_reader(guest, disk)
    binding.power_off(guest, device)
    assert guest.sh(f"dd if=/sys/bus/pci/devices/{device.pci}/config bs=2 count=1 status=none | "
                    "od -An -tx2").strip() == "ffff"
    removed = guest.run(f"echo 1 >/sys/bus/pci/devices/{device.pci}/remove", timeout=60)
    assert removed.ok and removed.seconds < 30, removed
    result = reader.wait()
    assert ("8192 bytes" if result.ok else "Input/output error") in result.stderr, result
    assert result.status in (0, 1), result
    assert guest.run("modprobe -r virtio_blk_rh", timeout=30).ok


def test_function_reset_is_survived(lab, take):
    """An FLR from sysfs: kernels that tell the driver go on; on others unbinding is bounded."""
    guest = shared(lab)
    take(guest, "blk")
    disk = node(guest, "disk0")
    device = device_of(guest, disk)
    told = binding.told_of_resets(guest)
    readers = read_forever(guest, disk)
    guest.run("sleep 1")
    assert guest.run(f"echo 1 >/sys/bus/pci/devices/{device.pci}/reset", timeout=60).ok
    if told:
        guest.run(f"dd if=/dev/{disk} of=/dev/null bs=1M count=8 iflag=direct status=none",
                  timeout=30, check=True)
    gone = guest.run(f"echo {device.name} >/sys/bus/virtio/drivers/virtio_blk_rh/unbind",
                     timeout=60)
    readers.kill(9)
    assert gone.ok and gone.seconds < 30, gone
    readers.wait()
    assert binding.bind(guest, device, "virtio_blk_rh")
    disk = node(guest, "disk0")
    guest.run(f"dd if=/dev/{disk} of=/dev/null bs=1M count=8 iflag=direct status=none", check=True)


# -- root disk ----------------------------------------------------------------------------------


@pytest.mark.own_guest
def test_root_disk_boots_and_survives_suspend(lab, root_disk):
    """A guest boots from a disk on virtio_blk_rh, writes to it, and suspends and resumes it."""
    lab.need("virtio_blk_rh")
    guest = lab.boot_from(root_disk)
    mounts = guest.sh("cat /proc/mounts")
    assert re.search(r"^/dev/vda / ext4 rw", mounts, re.M)
    assert "virtio_blk_rh" in guest.sh("cat /proc/modules")
    assert binding.devices(guest, "blk")[0].driver == "virtio_blk_rh"
    guest.run("dd if=/dev/urandom of=/data bs=64k count=256 conv=fsync status=none && "
              "md5sum /data >/sum && sync", check=True)

    guest.run("echo 'write through' >/sys/block/vda/cache_type", check=True)
    guest.prepare_suspend()
    load = guest.start_command("while :; do dd if=/data of=/dev/null bs=64k iflag=direct "
                               "status=none || exit 1; done", timeout=100)
    for _ in range(2):
        guest.suspend()
        guest.run("echo 3 >/proc/sys/vm/drop_caches; md5sum -c /sum", check=True)
    assert not load.done()
    load.kill(9)
    assert "PM: suspend" in guest.console() or "PM:" in guest.sh("dmesg")
    assert guest.sh("cat /sys/block/vda/cache_type") == "write through"
