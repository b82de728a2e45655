# SPDX-License-Identifier: GPL-2.0-only
"""virtio_net_rh carries real traffic: streams, offloads, queues, filters, links, states.

The host's side of the network is a tap in a namespace of its own. How a NIC is bound,
unplugged and unloaded under load is in test_lifecycle.py.
"""

import contextlib
import json
import re

import pytest

from vrhlab import TapNet, binding, host, pattern

MIB = 1 << 20

#: Takes one connection on a port; prints how many bytes came, and where the first wrong
#: piece begins or -1.
SERVE = pattern.PROGRAM + """
import socket, sys
listen = socket.create_server(("", int(sys.argv[1])))
print("ready", flush=True)
end, _ = listen.accept()
data = bytearray(1 << 20)
total, wrong, got = 0, -1, len(data)
while got == len(data):
    got = 0
    while got < len(data) and (more := end.recv_into(memoryview(data)[got:])):
        got += more
    if wrong < 0 and data[:got] != piece(total >> 20)[:got]:
        wrong = total
    total += got
print(total, wrong, flush=True)
"""

#: Sends to an address and port a number of bytes.
SEND = pattern.PROGRAM + """
import socket, sys
end = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=120)
left, number = int(sys.argv[3]), 0
while left:
    data = piece(number)[:left]
    end.sendall(data)
    left -= len(data)
    number += 1
end.shutdown(socket.SHUT_WR)
"""


def nic():
    """The NIC of the shared guest."""
    return [TapNet(queues=2, hotplug=True)]


def interface(guest):
    """Name of the NIC's interface."""
    device, = binding.devices(guest, "net")
    guest.wait(f"ls /sys/bus/virtio/devices/{device.name}/net | grep -q .", 30)
    return guest.sh(f"ls /sys/bus/virtio/devices/{device.name}/net")


def up(guest, tap):
    """The interface, up and reachable."""
    name = interface(guest)
    guest.network(tap, name)
    ping(guest, tap)
    return name


def reachable(guest, tap, size=56, tries=20):
    """Whether the host answers a ping of SIZE bytes."""
    return guest.run(f"for i in $(seq {tries}); do "
                     f"busybox ping -c 1 -W 1 -s {size} {tap.peer} && exit 0; done; exit 1",
                     timeout=120).ok


def ping(guest, tap, size=56):
    """Fails if the host cannot be reached."""
    assert reachable(guest, tap, size), f"no answer from {tap.peer} to {size} bytes"


def shared(lab, take, driver="ours", **options):
    """The guest that nearly all tests use: (guest, tap, name of the interface).

    Its NIC is plugged again if a test wants other OPTIONS of the device.
    """
    if driver == "ours":
        lab.need("virtio_net_rh")
    guest = lab.share("net", devices=nic)
    tap, = guest.devices
    if tap.options != options:
        guest.unplug(tap)
        tap.options = options
        guest.plug(tap)
        guest.wait("grep -qx 0x0001 /sys/bus/virtio/devices/*/device", 60)
    take(guest, "net", driver)
    return guest, tap, up(guest, tap)


def stats(guest, name):
    """ethtool -S as a dictionary."""
    return {key.strip(): int(value) for key, value in
            re.findall(r"^\s+(.+): (\d+)$", guest.sh(f"ethtool -S {name}"), re.M)}


def assert_no_errors(guest, name):
    """Nothing was dropped for a bad header, length or chain."""
    bad = {key: value for key, value in stats(guest, name).items()
           if value and re.search(r"bad_|too_|missing|alloc_fail|cvq_(failed|timeouts)", key)}
    assert not bad


#: Answers the pings that come with a VLAN tag: interface, VLAN. The host's kernel need not
#: know VLANs: a packet socket shows the tag that it has taken off.
VLAN_PONG = """
import socket, struct, sys
vlan = int(sys.argv[2])
end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
end.bind((sys.argv[1], 3))
end.setsockopt(263, 8, 1)       # SOL_PACKET, PACKET_AUXDATA
print("ready", flush=True)
while True:
    frame, extra, _, address = end.recvmsg(2048, 256)
    tags = [struct.unpack("=IIIHHHH", data)[5] for level, kind, data in extra if kind == 8]
    if address[2] == 4 or tags != [vlan] or frame[12:14] != b"\\x08\\x00" or frame[34] != 8:
        continue
    icmp = b"\\0\\0\\0\\0" + frame[38:]
    total = sum(struct.unpack(f"!{len(icmp) // 2}H", icmp))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    end.send(frame[6:12] + frame[:6] + struct.pack("!HH", 0x8100, vlan) + frame[12:26]
             + frame[30:34] + frame[26:30] + struct.pack("!HH", 0, ~total & 0xffff) + icmp[4:])
"""

#: Asks for an address: interface, its hardware address. Until it is killed.
LISTEN = """
import socket, struct, sys, time
end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
address = bytes.fromhex(sys.argv[2].replace(":", ""))
index = socket.if_nametoindex(sys.argv[1])
end.setsockopt(263, 1, struct.pack("=iHH8s", index, 3 - 3 * (address[0] & 1), 6, address))
time.sleep(300)
"""


@contextlib.contextmanager
def server(tap, argv):
    """A program on the host's side that says when it is ready; killed at the end."""
    process = tap.start(argv, stdout=-1, stdin=-3, text=True)
    try:
        assert process.stdout.readline().strip() == "ready"
        yield process
    finally:
        process.kill()
        process.wait()


def to_host(guest, tap, count, port=7001, timeout=1500):
    """Copies COUNT bytes from the guest to the host, which compares them."""
    with server(tap, ["python3", "-S", "-c", SERVE, str(port)]) as process:
        guest.run(["python3", "-S", "-c", SEND, tap.peer, str(port), str(count)],
                  timeout=timeout, check=True)
        assert process.stdout.readline().split() == [str(count), "-1"]


def to_guest(guest, tap, count, port=7002, timeout=1500):
    """Copies COUNT bytes from the host to the guest, which compares them."""
    receiver = guest.start_command(["python3", "-S", "-c", SERVE, str(port)], timeout=timeout)
    guest.wait(f"grep -q ':{port:04X} ' /proc/net/tcp /proc/net/tcp6", 30)
    address = tap.address.split("/")[0]
    tap.run(["python3", "-S", "-c", SEND, address, str(port), str(count)])
    assert receiver.wait(check=True).stdout.split() == ["ready", str(count), "-1"]


def copy_size(lab, driver):
    """Bytes of the byte-for-byte copy: the debug kernel under TCG is ten times slower, and
    the in-tree driver shows only that the test works."""
    return 1024 * MIB if driver == "ours" and lab.kernel != "debug" else 64 * MIB


@pytest.mark.parametrize("pairs", [1, 2], ids=["1-pair", "2-pairs"])
def test_copy_is_byte_for_byte(lab, take, driver, pairs):
    """1 GiB (see copy_size) arrives unchanged, half of it each way."""
    guest, tap, name = shared(lab, take, driver)
    guest.sh(f"ethtool -L {name} combined {pairs} || ethtool -l {name} | "
             f"grep -A 9 Current | grep -q 'Combined:.{pairs}'")
    half = copy_size(lab, driver) // 2
    to_host(guest, tap, half)
    to_guest(guest, tap, half)
    if driver == "ours":
        assert_no_errors(guest, name)


def iperf(guest, tap, *words, seconds=2):
    """Bytes that iperf3 moved, as the receiver counts them."""
    daemon = tap.start(["iperf3", "-s"], stdout=-3, stdin=-3)
    try:
        done = guest.run(f"for i in $(seq 20); do "
                         f"iperf3 -J -c {tap.peer} -t {seconds} {' '.join(words)} >/tmp/iperf && "
                         "grep -q sum_received /tmp/iperf && exec cat /tmp/iperf; sleep 0.5; "
                         "done; cat /tmp/iperf; exit 1",
                         timeout=120 + seconds, check=True)
    finally:
        daemon.kill()
        daemon.wait()
    return json.loads(done.stdout)["end"]["sum_received"]["bytes"]


@pytest.mark.parametrize("pairs", [1, 2], ids=["1-pair", "2-pairs"])
def test_streams_both_ways(lab, take, driver, pairs):
    """iperf3 moves data in both directions, with several streams at once."""
    guest, tap, name = shared(lab, take, driver)
    guest.sh(f"ethtool -L {name} combined {pairs} || ethtool -l {name} | "
             f"grep -A 9 Current | grep -q 'Combined:.{pairs}'")
    seconds = 10 if lab.kernel == "debug" else 2
    assert iperf(guest, tap, "-P", "4", seconds=seconds) > 4 * MIB
    assert iperf(guest, tap, "-P", "4", "-R", seconds=seconds) > 4 * MIB
    if driver == "ours":
        assert_no_errors(guest, name)


def test_streams_without_transmit_interrupts(lab, take):
    """napi_tx=0, as with the in-tree driver: data is right both ways, no byte queue limits."""
    guest, tap, name = shared(lab, take)
    parameter = "/sys/module/virtio_net_rh/parameters/napi_tx"
    device, = binding.devices(guest, "net")
    guest.sh(f"echo 0 >{parameter}")
    try:
        binding.unbind(guest, device)
        guest.sh("dmesg -C")
        assert binding.bind(guest, device, "virtio_net_rh")
        name = up(guest, tap)
        assert "napi_tx=0" in guest.sh("dmesg")
        iperf(guest, tap, "-P", "4")
        to_host(guest, tap, 8 * MIB)
        to_guest(guest, tap, 8 * MIB)
        limits = guest.sh(f"cat /sys/class/net/{name}/queues/tx-*/byte_queue_limits/inflight")
        assert limits.split() == ["0", "0"]
        assert_no_errors(guest, name)
    finally:
        guest.sh(f"echo 1 >{parameter}")
        binding.unbind(guest, device)
        binding.bind(guest, device, "virtio_net_rh")


def test_offloads_are_used(lab, take, driver):
    """A bulk transfer goes in GSO packets both ways, not frame by frame."""
    guest, tap, name = shared(lab, take, driver)
    # Each way by itself: acknowledgements go the other way, and they are small.
    for way, copy in (("tx", to_host), ("rx", to_guest)):
        before = counters(guest, name)
        copy(guest, tap, 16 * MIB)
        after = counters(guest, name)
        packets = after[f"{way}_packets"] - before[f"{way}_packets"]
        data = after[f"{way}_bytes"] - before[f"{way}_bytes"]
        assert data / packets > 4000, f"{way}: {data} bytes in {packets} packets"


def counters(guest, name):
    """The interface's own statistics."""
    out = guest.sh(f"cd /sys/class/net/{name}/statistics && grep . *")
    return {key: int(value) for key, value in (line.split(":") for line in out.splitlines())}


@pytest.mark.parametrize("feature", ["tso", "gso", "sg", "tx", "gro", "rx-gro-hw"])
def test_each_offload_can_be_turned_off(lab, take, driver, feature):
    """With the offload off, data is still right; it can be turned on again."""
    guest, tap, name = shared(lab, take, driver)
    guest.sh(f"ethtool -K {name} {feature} off")
    try:
        to_host(guest, tap, 2 * MIB)
        to_guest(guest, tap, 2 * MIB)
    finally:
        guest.sh(f"ethtool -K {name} {feature} on; ethtool -K {name} sg on tx on tso on gso on")
    ping(guest, tap)


def test_queue_pairs_change_under_load(lab, take, driver):
    """ethtool -L takes pairs away and gives them back while data flows, with RPS as well."""
    guest, tap, name = shared(lab, take, driver)
    guest.sh(f"echo 3 >/sys/class/net/{name}/queues/rx-0/rps_cpus")
    load = guest.start_command(f"while :; do busybox ping -A -c 200 {tap.peer}; done >/dev/null",
                               timeout=300)
    for count in (1, 2) * 3:
        guest.sh(f"ethtool -L {name} combined {count}")
        assert f"Combined:\t{count}" in guest.sh(f"ethtool -l {name}").split("Current")[1]
    load.kill()
    load.wait()
    to_host(guest, tap, 2 * MIB)
    to_guest(guest, tap, 2 * MIB)
    assert not guest.run(f"ethtool -L {name} combined 3").ok
    assert not guest.run(f"ethtool -L {name} combined 0").ok


def test_rings_are_resized_under_load(lab, take):
    """ethtool -G changes both rings while data flows; nonsense is refused."""
    guest, tap, name = shared(lab, take)
    load = guest.start_command(f"while :; do busybox ping -A -c 200 {tap.peer}; done >/dev/null",
                               timeout=300)
    for rx, tx in ((128, 64), (256, 256), (64, 32), (256, 128), (256, 256)):
        guest.sh(f"ethtool -G {name} rx {rx} tx {tx}")
        current = guest.sh(f"ethtool -g {name}").split("Current")[1]
        assert re.search(rf"^RX:\s+{rx}$", current, re.M)
        assert re.search(rf"^TX:\s+{tx}$", current, re.M)
        ping(guest, tap)
    load.kill()
    load.wait()
    to_host(guest, tap, 2 * MIB)
    to_guest(guest, tap, 2 * MIB)
    for words in ("rx 100", "rx 32", "tx 16", "rx 512", "rx 0"):
        assert not guest.run(f"ethtool -G {name} {words}").ok, words
    ping(guest, tap)
    assert_no_errors(guest, name)


def test_ring_size_stays_without_ring_reset(lab, take):
    """A device that cannot reset a queue keeps its rings, and the refusal says why."""
    guest, tap, name = shared(lab, take, queue_reset=False)
    refused = guest.run(f"ethtool -G {name} rx 128")
    assert not refused.ok
    assert "RING_RESET" in refused.stderr
    ping(guest, tap)


def test_ethtool_shows_the_device(lab, take):
    """-i, -l, -g, -S, -T and the link settings are there and make sense."""
    guest, tap, name = shared(lab, take)
    info = guest.sh(f"ethtool -i {name}")
    assert "driver: virtio_net_rh" in info and "bus-info: 0000:" in info
    assert "Link detected: yes" in guest.sh(f"ethtool {name}")
    guest.sh(f"ethtool -s {name} speed 1000 duplex full")
    assert "Speed: 1000Mb/s" in guest.sh(f"ethtool {name}")
    assert "software-transmit" in guest.sh(f"ethtool -T {name}")
    found = stats(guest, name)
    assert found["cvq_commands"] > 0
    assert any(re.fullmatch(r"rx(_queue_)?_?1_kicks", key) for key in found)
    queues = guest.sh(f"ls /sys/class/net/{name}/queues")
    assert queues.split() == ["rx-0", "rx-1", "tx-0", "tx-1"]
    assert int(guest.sh(f"cat /sys/class/net/{name}/queues/rx-0/virtio_net/"
                        "mergeable_rx_buffer_size")) > 1500
    assert (guest.sh(f"cat /sys/class/net/{name}/queues/tx-*/byte_queue_limits/inflight")
            .split() == ["0", "0"])
    masks = guest.sh(f"cat /sys/class/net/{name}/queues/tx-*/xps_cpus").split()
    assert sorted(int(mask, 16) for mask in masks) == [1, 2]


def test_features_are_listed_by_name(lab, take):
    """vrh/features and the probe line name the same features."""
    guest, _, _ = shared(lab, take)
    device, = binding.devices(guest, "net")
    names = guest.sh(f"cat /sys/bus/virtio/devices/{device.name}/vrh/features")
    for name in ("MRG_RXBUF", "MQ", "CTRL_VQ", "VERSION_1"):
        assert name in names.split()
    assert f"features {names}" in guest.sh("dmesg")


def test_link_goes_down_and_up(lab, take, driver):
    """set_link of the host is the carrier of the guest.

    Since 6.12 the in-tree driver, unbound with its interface up, leaves the core holding
    back config changes: whoever comes next has to ask for them.
    """
    shared(lab, take, "in-tree")
    guest, tap, name = shared(lab, take, driver)
    carrier = f"/sys/class/net/{name}/carrier"
    for _ in range(3):
        guest.qmp.execute("set_link", {"name": tap.ident, "up": False})
        guest.wait(f"grep -qx 0 {carrier}", 20)
        assert not reachable(guest, tap, tries=1)
        guest.qmp.execute("set_link", {"name": tap.ident, "up": True})
        guest.wait(f"grep -qx 1 {carrier}", 20)
        ping(guest, tap)


def rx_filter(guest, tap):
    """The receive filters as the host has them."""
    return guest.qmp.execute("query-rx-filter", {"name": tap.ident})[0]


def until_filtered(guest, tap, condition, what):
    """Waits until CONDITION(the host's receive filters of TAP) is true."""
    host.until(lambda: condition(rx_filter(guest, tap)), 20, what)


def test_receive_filters_reach_the_host(lab, take, driver):
    """Promiscuous mode, multicast, more addresses and VLANs are seen by the host."""
    guest, tap, name = shared(lab, take, driver)
    until_filtered(guest, tap, lambda has: not has["promiscuous"], "not promiscuous")
    guest.sh(f"ip link set {name} promisc on")
    until_filtered(guest, tap, lambda has: has["promiscuous"], "promiscuous")
    guest.sh(f"ip link set {name} promisc off allmulticast on")
    until_filtered(guest, tap, lambda has: not has["promiscuous"], "not promiscuous")
    until_filtered(guest, tap, lambda has: has["multicast"] == "all", "all multicast")
    guest.sh(f"ip link set {name} allmulticast off")
    for table, address in (("multicast", "01:00:5e:01:02:03"), ("unicast", "02:aa:00:00:00:01")):
        listener = guest.start_command(["python3", "-S", "-c", LISTEN, name, address], timeout=300)
        until_filtered(guest, tap, lambda has: address in has[f"{table}-table"], address)
        listener.kill()
        listener.wait()
        until_filtered(guest, tap, lambda has: address not in has[f"{table}-table"],
                       f"without {address}")


def test_vlan_carries_traffic(lab, take, driver):
    """A VLAN is in the host's filter while it exists, and its traffic passes."""
    guest, tap, name = shared(lab, take, driver)
    guest.sh(f"ip link add link {name} name vlan77 type vlan id 77 && "
             "ip addr add 192.0.77.2/24 dev vlan77 && ip link set vlan77 up && "
             "ip neigh add 192.0.77.1 lladdr 02:00:00:00:00:77 dev vlan77")
    assert 77 in rx_filter(guest, tap)["vlan-table"]
    with server(tap, ["python3", "-S", "-c", VLAN_PONG, tap.tap, "77"]):
        guest.run("for i in $(seq 20); do busybox ping -c 1 -W 1 -s 1400 192.0.77.1 && exit 0; "
                  "done; exit 1", check=True)
    guest.sh("ip link del vlan77")
    assert 77 not in rx_filter(guest, tap)["vlan-table"]
    ping(guest, tap)


def test_mac_address_changes(lab, take, driver):
    """A new address is the host's as well; a multicast one is refused."""
    guest, tap, name = shared(lab, take, driver)
    old = guest.sh(f"cat /sys/class/net/{name}/address")
    guest.sh(f"ip link set {name} address 52:54:00:ab:cd:ef")
    assert rx_filter(guest, tap)["main-mac"] == "52:54:00:ab:cd:ef"
    ping(guest, tap)
    assert not guest.run(f"ip link set {name} address 01:00:5e:00:00:01").ok
    guest.sh(f"ip link set {name} address {old}")
    ping(guest, tap)


def test_announcement_is_sent_and_acknowledged(lab, take):
    """A host that wants an announcement (after a migration) gets it and its command."""
    guest, tap, name = shared(lab, take)
    before = stats(guest, name)
    guest.qmp.execute("announce-self", {"initial": 50, "max": 100, "rounds": 1, "step": 10})
    guest.wait(f"[ $(ethtool -S {name} | awk '/cvq_commands/ {{print $2}}') -gt "
               f"{before['cvq_commands']} ]", 20)
    assert stats(guest, name)["cvq_failed"] == 0
    ping(guest, tap)


def test_mtu_of_the_device(lab, take, driver):
    """The device's MTU is the interface's and its limit; large frames pass both ways."""
    guest, tap, name = shared(lab, take, driver, host_mtu=9000)
    tap.run(["ip", "link", "set", tap.tap, "mtu", "9000"])
    assert guest.sh(f"cat /sys/class/net/{name}/mtu") == "9000"
    assert not guest.run(f"ip link set {name} mtu 9001").ok
    ping(guest, tap, 8900)
    to_guest(guest, tap, 8 * MIB)
    guest.sh(f"ip link set {name} mtu 1280")
    ping(guest, tap)
    tap.run(["ip", "link", "set", tap.tap, "mtu", "1500"])


#: Devices that take another way through the driver: options, a feature that is there,
#: and one that is not.
SHAPES = {
    "single buffers": ({"mrg_rxbuf": False}, "GUEST_CSUM", "GUEST_TSO4"),
    "packed": ({"packed": True}, "RING_PACKED", "unknown"),
    "packed single": ({"packed": True, "mrg_rxbuf": False}, "RING_PACKED", "GUEST_TSO6"),
    "one pair": ({"mq": False}, "MRG_RXBUF", "MQ"),
    "no control": ({"ctrl_vq": False, "mq": False}, "MRG_RXBUF", "CTRL_MAC_ADDR"),
    "no indirect": ({"indirect_desc": False}, "MRG_RXBUF", "INDIRECT_DESC"),
    "no events": ({"event_idx": False}, "MRG_RXBUF", "EVENT_IDX"),
    "no checksums": ({"csum": False, "guest_csum": False}, "MRG_RXBUF", "HOST_TSO4"),
    "platform": ({"iommu_platform": True}, "ACCESS_PLATFORM", "unknown"),
}


def works_as(guest, tap, name, there, absent):
    """Features are as expected, and data is right both ways."""
    device, = binding.devices(guest, "net")
    names = guest.sh(f"cat /sys/bus/virtio/devices/{device.name}/vrh/features").split()
    assert there in names and absent not in names
    to_host(guest, tap, 8 * MIB)
    to_guest(guest, tap, 8 * MIB)
    ping(guest, tap, 1472)
    assert_no_errors(guest, name)


@pytest.mark.parametrize("shape", SHAPES)
def test_shapes_of_devices(lab, take, shape):
    """Data is right on devices that offer less, or other rings."""
    options, there, absent = SHAPES[shape]
    guest, tap, name = shared(lab, take, **options)
    works_as(guest, tap, name, there, absent)


@pytest.mark.parametrize("mergeable", [True, False], ids=["mergeable", "single"])
@pytest.mark.own_guest
def test_legacy_device(lab, take, mergeable):
    """Data is right on a device from before VIRTIO 1.0, whose header may be shorter."""
    lab.need("virtio_net_rh")
    tap = TapNet(queues=1, disable_modern=True, disable_legacy=False, mrg_rxbuf=mergeable)
    guest = lab.boot(devices=[tap])
    take(guest, "net")
    works_as(guest, tap, up(guest, tap), "CTRL_VQ", "VERSION_1")


def test_interface_goes_down_and_up_under_load(lab, take, driver):
    """Opening and closing the interface loses no queue."""
    guest, tap, name = shared(lab, take, driver)
    load = guest.start_command(f"while :; do busybox ping -A -c 100 {tap.peer}; done >/dev/null "
                               "2>&1", timeout=300)
    for _ in range(20 if driver == "ours" else 3):
        guest.sh(f"ip link set {name} down && ip link set {name} up")
    load.kill()
    load.wait()
    guest.network(tap, name)
    to_host(guest, tap, 2 * MIB)
    to_guest(guest, tap, 2 * MIB)


def test_netconsole_reaches_the_host(lab, take, driver):
    """What the kernel prints leaves through the NIC (netpoll), in order and nearly all of it:
    netpoll drops what finds the transmit queue full."""
    guest, tap, name = shared(lab, take, driver)
    mac = tap.run(["cat", f"/sys/class/net/{tap.tap}/address"]).strip()
    guest.modprobe("netconsole", f"netconsole=6665@{tap.address.split('/')[0]}/{name},"
                   f"6666@{tap.peer}/{mac}")
    try:
        with server(tap, ["python3", "-S", "-c", DATAGRAMS, "6666", "netpoll last"]) as process:
            guest.sh("for i in $(seq 200); do echo \"<4>netpoll $i\" >/dev/kmsg; done; "
                     "sleep 0.2; echo '<4>netpoll last' >/dev/kmsg")
            text = process.communicate(timeout=60)[0]
        found = [int(number) for number in re.findall(r"netpoll (\d+)\n", text)]
        missing = sorted(set(range(1, 201)) - set(found))
        assert "netpoll last" in text and len(missing) <= 10, (
            f"missing: {missing}\n{guest.sh(f'ethtool -S {name}')}")
        assert found == sorted(set(found))
    finally:
        guest.run("rmmod netconsole", check=True)
    ping(guest, tap)


#: Prints the datagrams that come to a port until one has a text in it.
DATAGRAMS = """
import socket, sys
end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end.bind(("", int(sys.argv[1])))
end.settimeout(50)
print("ready", flush=True)
text = ""
while sys.argv[2] not in text:
    text = end.recv(4096).decode()
    print(text, end="", flush=True)
"""


@pytest.mark.one_kernel
def test_function_reset_is_survived(lab, take):
    """An FLR from sysfs while filters change: kernels that tell the driver go on.

    On others the device is silent, and unbinding it ends in bounded time.
    """
    guest, tap, name = shared(lab, take)
    device, = binding.devices(guest, "net")
    told = binding.told_of_resets(guest)
    filters = guest.start_command(
        f"while :; do ip maddr add 01:00:5e:01:02:03 dev {name}; "
        f"ip maddr del 01:00:5e:01:02:03 dev {name}; done 2>/dev/null", timeout=200)
    guest.wait(f"ip maddr show dev {name} | grep -q 01:00:5e:01:02:03")
    for _ in range(5 if told else 1):
        assert guest.run(f"echo 1 >/sys/bus/pci/devices/{device.pci}/reset", timeout=60).ok
        if told:
            ping(guest, tap)
    assert not filters.done()
    filters.kill()
    filters.wait()
    if told:
        to_host(guest, tap, 2 * MIB)
        to_guest(guest, tap, 2 * MIB)
        return
    gone = guest.run(f"echo {device.name} >/sys/bus/virtio/drivers/virtio_net_rh/unbind",
                     timeout=90)
    assert gone.ok and gone.seconds < 60, gone
    assert binding.bind(guest, device, "virtio_net_rh")
    up(guest, tap)


@pytest.mark.own_guest
@pytest.mark.one_kernel
def test_suspend_brings_everything_back(lab, take, root_disk):
    """After a suspend of the devices address, filters, queues, offloads and data are as before."""
    guest = lab.boot_from(root_disk, devices=nic())
    tap = guest.devices[1]
    take(guest, "net")
    name = up(guest, tap)
    guest.modprobe("8021q")
    guest.sh(f"ip link set {name} address 52:54:00:ab:cd:01; ethtool -L {name} combined 1; "
             f"ethtool -G {name} rx 128; ethtool -K {name} rx-gro-hw off; "
             f"ip link add link {name} name vlan9 type vlan id 9; ip link set vlan9 up; "
             f"ip link set {name} promisc on")
    ping(guest, tap)
    guest.prepare_suspend()
    for _ in range(3):
        guest.suspend()
        ping(guest, tap)
        found = rx_filter(guest, tap)
        assert found["main-mac"] == "52:54:00:ab:cd:01"
        assert 9 in found["vlan-table"]
        until_filtered(guest, tap, lambda has: has["promiscuous"], "promiscuous")
        assert "Combined:\t1" in guest.sh(f"ethtool -l {name}").split("Current")[1]
        assert re.search(r"^RX:\s+128$", guest.sh(f"ethtool -g {name}").split("Current")[1], re.M)
    to_host(guest, tap, 2 * MIB)
    to_guest(guest, tap, 2 * MIB)
    assert_no_errors(guest, name)
