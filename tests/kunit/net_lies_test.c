// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_net_rh against a simulated device whose buffers come as they should, and are
 * wrong: headers of packets, configuration.
 */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>

#include "net_kunit.h"

/* Headers */

struct lie {
	const char *what;
	const char *counter;	/* of whom it finds out, or NULL: it does no harm */
	u16 len;		/* of the packet, 0 is 200 */
	u8 flags;
	u8 gso_type;
	u16 gso_size;
	u16 start;
	u16 offset;
	u16 hdr_len;
	u16 buffers;		/* num_buffers less one */
	u16 segment;		/* what the stack is told, 0 for no GSO */
	unsigned int type;	/* of it, SKB_GSO_*, but for DODGY */
};

static const struct lie lies[] = {
	{ "no buffer", "rx_bad_num_buffers", .buffers = U16_MAX },
	{ "more buffers than the ring", "rx_bad_num_buffers", .buffers = 256 },
	{ "65535 buffers", "rx_bad_num_buffers", .buffers = U16_MAX - 1 },
	{ "buffers that do not come", "rx_missing_buffers", .buffers = 2 },
	{ "an empty packet but for a byte", "rx_too_short", .len = 1 },
	{ "a runt", "rx_too_short", .len = ETH_HLEN - 1 },
	{ "GSO type 2", "rx_bad_gso_type", .gso_type = 2, .gso_size = 100 },
	{ "GSO type 7f", "rx_bad_gso_type", .gso_type = 0x7f, .gso_size = 100 },
	{ "ECN of nothing", "rx_bad_gso_type", .gso_type = VIRTIO_NET_HDR_GSO_ECN },
	{ "GSO not negotiated", "rx_bad_gso_type", .gso_type = VIRTIO_NET_HDR_GSO_UDP_L4,
	  .gso_size = 100 },
	{ "gso_size 0", "rx_bad_gso_size", .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	  .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .start = 34, .offset = 16 },
	{ "gso_size 65535", "rx_bad_gso_size", .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	  .gso_type = VIRTIO_NET_HDR_GSO_TCPV6, .gso_size = U16_MAX, .start = 54, .offset = 16 },
	{ "GSO of another protocol", "rx_bad_protocol", .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
	  .gso_size = 100 },
	{ "csum_start at the end", "rx_bad_csum_start", .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	  .start = 200 },
	{ "csum_start 65535", "rx_bad_csum_start", .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	  .start = U16_MAX },
	{ "csum_start 0", "rx_bad_csum_start", .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	  .offset = 16 },
	{ "csum_offset behind the end", "rx_bad_csum_start",
	  .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .start = 34, .offset = 165 },
	{ "csum_offset 65535", "rx_bad_csum_start", .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	  .start = 34, .offset = U16_MAX },
	{ "a TCP header that ends behind the packet", "rx_bad_csum_start",
	  .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
	  .gso_size = 100, .start = 190, .offset = 6 },
	{ "hdr_len 65535", NULL, .hdr_len = U16_MAX },
	{ "unknown flags", NULL, .flags = 0xf8 },
	{ "a checksum to the last byte", NULL, .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	  .start = 34, .offset = 164 },
	{ "TCP in IPv4 that is right", NULL, .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	  .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 40, .start = 34, .offset = 16,
	  .segment = 40, .type = SKB_GSO_TCPV4 },
	{ "TCP in IPv6 in one piece", NULL, .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	  .gso_type = VIRTIO_NET_HDR_GSO_TCPV6, .gso_size = 200,
	  .start = 54, .offset = 16 },
	{ "TCP in IPv6 with ECN", NULL, .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	  .gso_type = VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN, .gso_size = 300,
	  .len = 1500, .start = 54, .offset = 16, .segment = 300,
	  .type = SKB_GSO_TCPV6 | SKB_GSO_TCP_ECN },
	/* Less than eight bytes would be more segments than the stack can count. */
	{ "gso_size 1", NULL, .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	  .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 1, .len = 1500, .start = 34,
	  .offset = 16, .segment = 8, .type = SKB_GSO_TCPV4 },
	{ "gso_size 7", NULL, .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	  .gso_type = VIRTIO_NET_HDR_GSO_TCPV6, .gso_size = 7, .start = 54, .offset = 16,
	  .segment = 8, .type = SKB_GSO_TCPV6 },
	{ "gso_size of all that there is", NULL, .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	  .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 146, .start = 34, .offset = 16 },
	{ "gso_size of all but a byte", NULL, .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	  .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 145, .start = 34, .offset = 16,
	  .segment = 145, .type = SKB_GSO_TCPV4 },
	{ "gso_size 65534", NULL, .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	  .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 65534, .start = 34, .offset = 16 },
	{ "fragments of UDP", NULL, .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	  .gso_type = VIRTIO_NET_HDR_GSO_UDP, .gso_size = 480, .len = 1500, .start = 34,
	  .offset = 6, .segment = 480, .type = SKB_GSO_UDP },
	{ "UDP with ECN", "rx_bad_gso_type", .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	  .gso_type = VIRTIO_NET_HDR_GSO_UDP | VIRTIO_NET_HDR_GSO_ECN, .gso_size = 1480,
	  .start = 34, .offset = 6 },
};

/* A header about @len bytes that are in @frame. */
static int inject_as(const struct lie *lie, size_t len, u16 buffers)
{
	struct virtio_device *vdev = &near.sim->vdev;
	struct sim_net_hdr hdr = {
		.hdr = {
			.flags = lie->flags,
			.gso_type = lie->gso_type,
			.gso_size = cpu_to_virtio16(vdev, lie->gso_size),
			.csum_start = cpu_to_virtio16(vdev, lie->start),
			.csum_offset = cpu_to_virtio16(vdev, lie->offset),
			.hdr_len = cpu_to_virtio16(vdev, lie->hdr_len),
			.num_buffers = cpu_to_virtio16(vdev, buffers),
		},
	};

	return sim_net_inject(near.sim, RX, &hdr, frame, len);
}

/* Buffers that a frame takes, if the ring is full of those for MTU 1500. */
static unsigned int buffers_of(struct kunit *test, size_t len)
{
	u64 used;

	be_quiet();
	used = buffers_used();
	draw(&near, len);
	KUNIT_EXPECT_EQ(test, sim_net_inject(near.sim, RX, NULL, frame, len), 0);
	KUNIT_EXPECT_TRUE(test, comes(&near, len));
	return buffers_used() - used;
}

static void inject(struct kunit *test, const struct lie *lie)
{
	size_t len = lie->len ?: 200;

	draw(&near, max_t(size_t, len, ETH_HLEN));
	KUNIT_EXPECT_EQ(test, inject_as(lie, len, lie->buffers + 1), 0);
}

/* What the stack got is the frame, with the segments that it was told of. */
static void comes_as(struct kunit *test, const struct lie *lie)
{
	size_t len = lie->len ?: 200;
	struct sk_buff *skb = next_frame(&near, COMES_MS);

	KUNIT_EXPECT_TRUE_MSG(test, skb && is_frame(skb, len), "%s", lie->what);
	if (!skb)
		return;
	KUNIT_EXPECT_EQ_MSG(test, skb_shinfo(skb)->gso_size, lie->segment, "%s", lie->what);
	KUNIT_EXPECT_EQ_MSG(test, skb_shinfo(skb)->gso_type & ~SKB_GSO_DODGY, lie->type, "%s",
			    lie->what);
	/* What a device says of its segments is never believed as it is. */
	KUNIT_EXPECT_EQ(test, !!(skb_shinfo(skb)->gso_type & SKB_GSO_DODGY), !!lie->segment);
	kfree_skb(skb);
}

static void header_lies_are_counted(struct kunit *test)
{
	const struct lie *lie;
	u64 before = 0;

	plug(test, &usual);
	for (lie = lies; lie < lies + ARRAY_SIZE(lies); lie++) {
		kunit_info(test, "%s", lie->what);
		if (lie->counter)
			before = counter(&near, lie->counter);
		inject(test, lie);
		if (lie->counter)
			counted(test, lie->counter, before + 1);
		else
			comes_as(test, lie);
		/* Nothing of it is left in the ring. */
		draw(&near, 300);
		KUNIT_EXPECT_EQ(test, sim_net_inject(near.sim, RX, NULL, frame, 300), 0);
		KUNIT_EXPECT_TRUE_MSG(test, comes(&near, 300), "after %s", lie->what);
	}
	moves(test);
}

/* The pieces that the header leaves out are packets, with a header of zeroes. */
static void more_buffers_than_num_buffers(struct kunit *test)
{
	static const struct lie plain;
	struct sim_options options = usual;
	struct sk_buff *skb;
	unsigned int n;

	options.features &= ~BIT_ULL(VIRTIO_NET_F_MTU);
	plug(test, &options);
	n = buffers_of(test, 9000);
	KUNIT_EXPECT_GT(test, n, 2);
	memset(frame + 64, 0, 9000 - 64);
	KUNIT_EXPECT_EQ(test, inject_as(&plain, 9000, 1), 0);
	skb = next_frame(&near, COMES_MS);
	KUNIT_EXPECT_TRUE(test, skb && skb->len < 9000 / 2);
	kfree_skb(skb);
	counted(test, "rx_bad_num_buffers", n - 1);

	/* One that is left out. */
	draw(&near, 9000);
	memset(frame + 64, 0, 9000 - 64);
	KUNIT_EXPECT_EQ(test, inject_as(&plain, 9000, n - 1), 0);
	skb = next_frame(&near, COMES_MS);
	KUNIT_EXPECT_TRUE(test, skb && skb->len < 9000 - ETH_HLEN);
	kfree_skb(skb);
	counted(test, "rx_bad_num_buffers", n);
	moves(test);
}

/* Without MRG_RXBUF the field is there and means nothing. */
static void num_buffers_without_mergeable_buffers(struct kunit *test)
{
	static const u16 buffers[] = { 0, 2, 256, U16_MAX };
	static const struct lie plain = { "a packet in one buffer" };
	struct sim_options options = usual;
	unsigned int i;

	options.features &= ~BIT_ULL(VIRTIO_NET_F_MRG_RXBUF);
	plug(test, &options);
	for (i = 0; i < ARRAY_SIZE(buffers); i++) {
		draw(&near, 200);
		KUNIT_EXPECT_EQ(test, inject_as(&plain, 200, buffers[i]), 0);
		comes_as(test, &plain);
	}
	moves(test);
}

/* The first piece is too long to be one: what belongs to it goes with it, and no more. */
static void a_first_piece_that_is_too_long(struct kunit *test)
{
	struct sim_options options = usual;

	options.features &= ~BIT_ULL(VIRTIO_NET_F_MTU);
	plug(test, &options);
	KUNIT_EXPECT_GT(test, buffers_of(test, 9000), 2);
	act(test, &near, .op = SIM_LEN, .queue = RX, .value = SZ_8K);
	draw(&near, 9000);
	KUNIT_EXPECT_EQ(test, sim_net_inject(near.sim, RX, NULL, frame, 9000), 0);
	counted(test, "rx_too_long", 1);
	sim_test_applied(test, near.sim);
	moves(test);
	KUNIT_EXPECT_EQ(test, counter(&near, "rx_drops"), 1);

	/* It is the last that came: what is to follow is not there. */
	act(test, &near, .op = SIM_LEN, .queue = RX, .value = SZ_8K);
	draw(&near, 200);
	KUNIT_EXPECT_EQ(test, inject_as(&(struct lie){ "too long, of three" }, 200, 3), 0);
	counted(test, "rx_too_long", 2);
	moves(test);
	KUNIT_EXPECT_EQ(test, counter(&near, "rx_drops"), 2);
}

/* The device may not have heard yet that a pair is not in use; RPS warns of such a queue. */
static void a_queue_that_is_not_in_use_receives(struct kunit *test)
{
	struct sk_buff *skb;

	plug(test, &usual);
	draw(&near, 300);
	KUNIT_EXPECT_EQ(test, sim_net_inject(near.sim, CTRL - 2, NULL, frame, 300), 0);
	skb = next_frame(&near, COMES_MS);
	KUNIT_EXPECT_TRUE(test, skb && is_frame(skb, 300));
	KUNIT_EXPECT_TRUE(test, skb && skb_rx_queue_recorded(skb));
	KUNIT_EXPECT_EQ(test, skb ? skb_get_rx_queue(skb) : 0, PAIRS - 1);
	kfree_skb(skb);

	KUNIT_EXPECT_EQ(test, set_channels(1), 0);
	KUNIT_EXPECT_EQ(test, sim_net_inject(near.sim, CTRL - 2, NULL, frame, 300), 0);
	skb = next_frame(&near, COMES_MS);
	KUNIT_EXPECT_TRUE(test, skb && is_frame(skb, 300));
	KUNIT_EXPECT_FALSE(test, skb && skb_rx_queue_recorded(skb));
	kfree_skb(skb);
	moves(test);
}

/* Without MRG_RXBUF a packet has one buffer: it has room for the largest that may come. */
static void single_buffers_for_a_large_mtu(struct kunit *test)
{
	struct sim_options options = usual;
	struct sim_device *sim;

	unplug(test, false);
	options.features &= ~BIT_ULL(VIRTIO_NET_F_MRG_RXBUF);
	sim = sim_test_make(test, &options);
	sim_tell(test, sim, .op = SIM_NET_MTU, .value = 3000);
	KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
	KUNIT_ASSERT_TRUE(test, sim_test_live(sim));
	port_open(test, &near, sim);
	KUNIT_EXPECT_EQ(test, near.dev->mtu, 3000);
	draw(&near, 3000 + ETH_HLEN);
	KUNIT_EXPECT_EQ(test, send(&near, 0, 3000 + ETH_HLEN), NETDEV_TX_OK);
	KUNIT_EXPECT_TRUE(test, comes(&near, 3000 + ETH_HLEN));
	moves(test);
}

/* Segments that a device has put together itself: the driver looks for their headers. */
static void segments_without_a_checksum(struct kunit *test)
{
	static const struct lie merged = {
		"TCP in IPv6, verified by the device", .len = 1200, .segment = 400,
		.flags = VIRTIO_NET_HDR_F_DATA_VALID, .gso_type = VIRTIO_NET_HDR_GSO_TCPV6,
		.gso_size = 400, .type = SKB_GSO_TCPV6,
	};
	struct ipv6hdr *ip = (struct ipv6hdr *)(frame + ETH_HLEN);
	struct tcphdr *tcp = (struct tcphdr *)(ip + 1);

	plug(test, &usual);
	hear(&near, ETH_P_IPV6);
	draw(&near, 1200);
	((struct ethhdr *)frame)->h_proto = htons(ETH_P_IPV6);
	memset(ip, 0, sizeof(*ip) + sizeof(*tcp));
	ip->version = 6;
	ip->nexthdr = IPPROTO_TCP;
	ip->payload_len = htons(1200 - ETH_HLEN - sizeof(*ip));
	ip->hop_limit = 64;
	ip->saddr.s6_addr[0] = 0x20;
	ip->daddr.s6_addr[0] = 0x20;
	tcp->doff = sizeof(*tcp) / 4;
	tcp->ack = 1;
	KUNIT_EXPECT_EQ(test, inject_as(&merged, 1200, 1), 0);
	comes_as(test, &merged);

	/* Not what its GSO type says it is. */
	ip->nexthdr = IPPROTO_UDP;
	KUNIT_EXPECT_EQ(test, inject_as(&merged, 1200, 1), 0);
	counted(test, "rx_bad_protocol", 1);
	hear(&near, ETH_P_802_EX1);
	moves(test);
}

static void offloads_not_negotiated_are_refused(struct kunit *test)
{
	static const struct lie csum = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .start = 34 };
	static const struct lie valid = { .flags = VIRTIO_NET_HDR_F_DATA_VALID };
	static const struct lie gso = { .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 40 };
	struct sim_options options = usual;
	struct sk_buff *skb;

	plug(test, &usual);
	inject(test, &valid);
	skb = next_frame(&near, COMES_MS);
	KUNIT_EXPECT_TRUE(test, skb && skb->ip_summed == CHECKSUM_UNNECESSARY);
	kfree_skb(skb);

	options.features = SIM_RING_FEATURES;
	plug(test, &options);
	inject(test, &csum);
	counted(test, "rx_bad_csum_start", 1);
	inject(test, &gso);
	counted(test, "rx_bad_gso_type", 1);
	inject(test, &valid);
	skb = next_frame(&near, COMES_MS);
	KUNIT_EXPECT_TRUE(test, skb && skb->ip_summed == CHECKSUM_NONE);
	kfree_skb(skb);
	moves(test);
}

/* Configuration */

#define AT(field)	offsetof(struct virtio_net_config, field)

static void link_follows_the_device(struct kunit *test)
{
	unsigned int i;

	plug(test, &usual);
	for (i = 0; i < 200; i++)
		act(test, &near, .op = SIM_CONFIG_IRQ);
	KUNIT_EXPECT_EQ(test, sim_net_link(near.sim, false), 0);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(!netif_carrier_ok(near.dev), COMES_MS));
	KUNIT_EXPECT_EQ(test, sim_net_link(near.sim, true), 0);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(netif_carrier_ok(near.dev), COMES_MS));
	moves(test);
}

static u64 announcements(void)
{
	struct sim_net_counters counters;

	sim_net_counters(near.sim, &counters);
	return counters.commands[VIRTIO_NET_CTRL_ANNOUNCE];
}

static void status_of_any_value(struct kunit *test)
{
	struct sim_options options = usual;

	plug(test, &usual);
	be_quiet();
	act(test, &near, .op = SIM_CONFIG, .at = AT(status), .width = 2, .value = 0xfffe);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(!netif_carrier_ok(near.dev), COMES_MS));
	KUNIT_EXPECT_TRUE(test, sim_test_wait(announcements() == 1, COMES_MS));
	act(test, &near, .op = SIM_CONFIG, .at = AT(status), .width = 2, .value = U16_MAX);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(netif_carrier_ok(near.dev), COMES_MS));
	KUNIT_EXPECT_TRUE(test, sim_test_wait(announcements() == 2, COMES_MS));
	moves(test);

	/* Without its feature the field does not exist, and the link is up. */
	options.features &= ~BIT_ULL(VIRTIO_NET_F_STATUS);
	plug(test, &options);
	act(test, &near, .op = SIM_CONFIG, .at = AT(status), .width = 2, .value = 2);
	sim_test_wait(false, 2 * STAYS_AWAY_MS);
	KUNIT_EXPECT_TRUE(test, netif_carrier_ok(near.dev));
	KUNIT_EXPECT_EQ(test, announcements(), 0);
	moves(test);
}

/* However often the device asks, it is ten times a second. */
static void announcements_without_end(struct kunit *test)
{
	unsigned long begin;
	unsigned int i;

	plug(test, &usual);
	be_quiet();
	begin = jiffies;
	for (i = 0; i < 200; i++) {
		KUNIT_EXPECT_EQ(test, sim_net_announce(near.sim), 0);
		usleep_range(1000, 2000);
	}
	be_quiet();
	KUNIT_EXPECT_GE(test, announcements(), 1);
	KUNIT_EXPECT_LE(test, announcements(), 3 + (jiffies - begin) / (HZ / 10));

	/* One whose answer is a refusal costs nothing. */
	act(test, &near, .op = SIM_PATCH, .queue = CTRL, .width = 1, .value = VIRTIO_NET_ERR);
	KUNIT_EXPECT_EQ(test, sim_net_announce(near.sim), 0);
	counted(test, "cvq_failed", 1);
	KUNIT_EXPECT_TRUE(test, netif_carrier_ok(near.dev));
	moves(test);
}

static void config_that_makes_no_sense(struct kunit *test)
{
	static const struct sim_action writes[] = {
		{ .op = SIM_CONFIG, .at = AT(mac), .width = 6, .value = 0 },
		{ .op = SIM_CONFIG, .at = AT(mac), .width = 6, .value = 0xffffffffffff },
		{ .op = SIM_CONFIG, .at = AT(mtu), .width = 2, .value = 0 },
		{ .op = SIM_CONFIG, .at = AT(mtu), .width = 2, .value = 67 },
		{ .op = SIM_CONFIG, .at = AT(max_virtqueue_pairs), .width = 2, .value = 0 },
		{ .op = SIM_CONFIG, .at = AT(max_virtqueue_pairs), .width = 2, .value = U16_MAX },
		{ .op = SIM_CONFIG, .at = AT(speed), .width = 5, .value = 0xfffffffffe },
		/* Half of one address and half of another, and nothing tells. */
		{ .op = SIM_CONFIG_SLIP, .at = AT(mac) + 5, .value = 0x0e, .skip = 5 },
		/* MTU and twice the pairs are read first: this comes in mid-address. */
		{ .op = SIM_CONFIG_TEAR, .at = AT(mac), .value = 0x0e, .skip = 5 },
	};
	struct sim_device *sim;
	unsigned int i;
	u8 mac[ETH_ALEN];

	for (i = 0; i < ARRAY_SIZE(writes); i++) {
		kunit_info(test, "operation %u at %d", writes[i].op, writes[i].at);
		unplug(test, false);
		sim = sim_test_make(test, &usual);
		KUNIT_EXPECT_EQ(test, sim_act(sim, &writes[i]), 0);
		KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
		KUNIT_ASSERT_TRUE(test, sim_test_live(sim));
		port_open(test, &near, sim);
		KUNIT_EXPECT_TRUE(test, is_valid_ether_addr(near.dev->dev_addr));
		KUNIT_EXPECT_EQ(test, near.dev->mtu, ETH_DATA_LEN);
		moves(test);
	}
	/* The last: an address that is half of the old and half of the new is none. */
	KUNIT_EXPECT_EQ(test, near.dev->dev_addr[0], 0x0e);
	sim_config_read(near.sim, 0, mac, sizeof(mac));
	KUNIT_EXPECT_MEMEQ(test, near.dev->dev_addr, mac, ETH_ALEN);
}

/* A device that changes with every look at it is looked at a few times. */
static void config_that_never_stands_still(struct kunit *test)
{
	struct sim_device *sim;

	unplug(test, false);
	sim = sim_test_make(test, &usual);
	/* So often that a driver which waits for it fails, and not so that it hangs. */
	sim_tell(test, sim, .op = SIM_CONFIG_TEAR, .at = AT(mac), .value = 0x0e, .count = 10000);
	KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
	KUNIT_EXPECT_GE(test, sim_test_told(sim, SIM_CONFIG_TEAR), 2 * ETH_ALEN);
	KUNIT_EXPECT_LE(test, sim_test_told(sim, SIM_CONFIG_TEAR), 100);
	KUNIT_ASSERT_TRUE(test, sim_test_live(sim));
	port_open(test, &near, sim);
	KUNIT_EXPECT_EQ(test, near.dev->dev_addr[0], 0x0e);
	moves(test);
}

/*
 * Between validate() and probe() the device changes its mind. MTU and pairs are read in
 * the one, pairs and MTU again in the other.
 */
static void config_that_changes_in_probe(struct kunit *test)
{
	struct sim_options options = usual;
	struct sim_device *sim;

	unplug(test, false);
	sim = sim_test_make(test, &usual);
	sim_tell(test, sim, .op = SIM_CONFIG_TEAR, .at = AT(mtu) + 1, .value = 0);
	KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
	sim_test_applied(test, sim);
	KUNIT_ASSERT_TRUE(test, sim_test_live(sim));
	port_open(test, &near, sim);
	KUNIT_EXPECT_EQ(test, near.dev->mtu, ETH_DATA_LEN & 0xff);
	KUNIT_EXPECT_EQ(test, near.dev->max_mtu, ETH_DATA_LEN & 0xff);
	moves(test);

	/* An MTU that no interface can have, and one that no buffer has room for. */
	unplug(test, false);
	sim = sim_test_make(test, &usual);
	sim_tell(test, sim, .op = SIM_CONFIG, .at = AT(mtu), .width = 2, .value = ETH_MIN_MTU);
	sim_tell(test, sim, .op = SIM_CONFIG_TEAR, .at = AT(mtu), .value = ETH_MIN_MTU - 1);
	sim_test_refused(test, sim);
	sim_test_applied(test, sim);
	options.features &= ~BIT_ULL(VIRTIO_NET_F_MRG_RXBUF);
	sim = sim_test_make(test, &options);
	sim_tell(test, sim, .op = SIM_CONFIG_TEAR, .at = AT(mtu) + 1, .value = 0xff);
	sim_test_refused(test, sim);
	sim_test_applied(test, sim);

	/* Pairs that it does not have. */
	sim = sim_test_make(test, &usual);
	sim_tell(test, sim, .op = SIM_CONFIG_TEAR, .at = AT(max_virtqueue_pairs), .skip = 1,
		 .value = 0xff);
	sim_test_refused(test, sim);
	sim_test_applied(test, sim);

	/* And none: it listens for commands where the driver does not send them. */
	command_timeout(test, "100");
	sim = sim_test_make(test, &usual);
	sim_tell(test, sim, .op = SIM_CONFIG_TEAR, .at = AT(max_virtqueue_pairs), .skip = 1,
		 .value = 0);
	KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
	sim_test_applied(test, sim);
	KUNIT_ASSERT_TRUE(test, sim_test_live(sim));
	port_open(test, &near, sim);
	KUNIT_EXPECT_EQ(test, near.dev->real_num_tx_queues, 1);
	KUNIT_EXPECT_EQ(test, set_mac(1), -ETIMEDOUT);
	moves(test);
	plug(test, &usual);
	moves(test);
}

static struct kunit_case net_lies_cases[] = {
	KUNIT_CASE(header_lies_are_counted),
	KUNIT_CASE(more_buffers_than_num_buffers),
	KUNIT_CASE(num_buffers_without_mergeable_buffers),
	KUNIT_CASE(a_first_piece_that_is_too_long),
	KUNIT_CASE(a_queue_that_is_not_in_use_receives),
	KUNIT_CASE(single_buffers_for_a_large_mtu),
	KUNIT_CASE(segments_without_a_checksum),
	KUNIT_CASE(offloads_not_negotiated_are_refused),
	KUNIT_CASE(link_follows_the_device),
	KUNIT_CASE(status_of_any_value),
	KUNIT_CASE(announcements_without_end),
	KUNIT_CASE(config_that_makes_no_sense),
	KUNIT_CASE(config_that_never_stands_still),
	KUNIT_CASE(config_that_changes_in_probe),
	{}
};

SIM_SUITE(net_lies, virtio_net_rh, sim_test_init, net_exit);

MODULE_DESCRIPTION("KUnit suite of virtio_net_rh on a simulated device that lies");
MODULE_LICENSE("GPL");
