// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_net_rh against a simulated device whose buffers come as they should, and are
 * wrong: headers of packets, configuration, answers to commands.
 */

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
	{ "GSO that is right", NULL, .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	  .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 40, .start = 34, .offset = 16 },
};

static void inject(struct kunit *test, const struct lie *lie)
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
			.num_buffers = cpu_to_virtio16(vdev, lie->buffers + 1),
		},
	};
	size_t len = lie->len ?: 200;

	draw(&near, max_t(size_t, len, ETH_HLEN));
	KUNIT_EXPECT_EQ(test, sim_net_inject(near.sim, RX, &hdr, frame, len), 0);
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
			KUNIT_EXPECT_TRUE_MSG(test, comes(&near, 200), "%s", lie->what);
		/* Nothing of it is left in the ring. */
		draw(&near, 300);
		KUNIT_EXPECT_EQ(test, sim_net_inject(near.sim, RX, NULL, frame, 300), 0);
		KUNIT_EXPECT_TRUE_MSG(test, comes(&near, 300), "after %s", lie->what);
	}
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

static void config_that_makes_no_sense(struct kunit *test)
{
#define AT(field)	offsetof(struct virtio_net_config, field)
	static const struct sim_action writes[] = {
		{ .op = SIM_CONFIG, .at = AT(mac), .width = 6, .value = 0 },
		{ .op = SIM_CONFIG, .at = AT(mac), .width = 6, .value = 0xffffffffffff },
		{ .op = SIM_CONFIG, .at = AT(mtu), .width = 2, .value = 0 },
		{ .op = SIM_CONFIG, .at = AT(mtu), .width = 2, .value = 67 },
		{ .op = SIM_CONFIG, .at = AT(max_virtqueue_pairs), .width = 2, .value = 0 },
		{ .op = SIM_CONFIG, .at = AT(max_virtqueue_pairs), .width = 2, .value = U16_MAX },
		{ .op = SIM_CONFIG, .at = AT(speed), .width = 5, .value = 0xfffffffffe },
		/* MTU and twice the pairs are read first: this comes in mid-address. */
		{ .op = SIM_CONFIG_TEAR, .at = AT(mac), .value = 0x0e, .skip = 5 },
	};
#undef AT
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

/* Commands */

static int set_mac(u8 last)
{
	struct sockaddr addr = { .sa_family = ARPHRD_ETHER };
	int err;

	ether_addr_copy(addr.sa_data, near.dev->dev_addr);
	addr.sa_data[5] = last;
	rtnl_lock();
	err = near.dev->netdev_ops->ndo_set_mac_address(near.dev, &addr);
	rtnl_unlock();
	return err;
}

/* Waits until the works that opening the interface has set off have sent their commands. */
static void be_quiet(void)
{
	u64 before;

	do {
		before = counter(&near, "cvq_commands");
		sim_test_wait(false, STAYS_AWAY_MS);
	} while (counter(&near, "cvq_commands") != before);
}

static void refused_commands_change_nothing(struct kunit *test)
{
	static const u8 acks[] = { 1, 2, 0xff };
	struct sim_net_filters *filters = kunit_kzalloc(test, sizeof(*filters), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, filters);
	plug(test, &usual);
	be_quiet();
	KUNIT_EXPECT_EQ(test, set_mac(0x77), 0);
	sim_net_filters(near.sim, filters);
	KUNIT_EXPECT_MEMEQ(test, filters->mac, near.dev->dev_addr, ETH_ALEN);
	for (i = 0; i < ARRAY_SIZE(acks); i++) {
		act(test, &near, .op = SIM_PATCH, .queue = CTRL, .width = 1, .value = acks[i]);
		KUNIT_EXPECT_EQ(test, set_mac(i), -EIO);
		KUNIT_EXPECT_EQ(test, near.dev->dev_addr[5], 0x77);
		counted(test, "cvq_failed", i + 1);
	}
	act(test, &near, .op = SIM_PATCH, .queue = CTRL, .width = 1, .value = 1);
	KUNIT_EXPECT_EQ(test, set_channels(1), -EIO);
	KUNIT_EXPECT_EQ(test, near.dev->real_num_tx_queues, PAIRS);
	KUNIT_EXPECT_EQ(test, set_mac(0x78), 0);
	moves(test);
}

static void commands_that_are_not_answered(struct kunit *test)
{
	unsigned int i;

	plug(test, &usual);
	be_quiet();
	command_timeout(test, "100");
	act(test, &near, .op = SIM_HOLD, .queue = CTRL, .count = U32_MAX);
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ(test, set_mac(i), -ETIMEDOUT);
	counted(test, "cvq_timeouts", 4);
	/* No memory of ours is left that the device does not have. */
	KUNIT_EXPECT_EQ(test, set_mac(9), -EBUSY);
	moves(test);
	sim_forget(near.sim);
	command_timeout(test, "10000");
	KUNIT_EXPECT_TRUE(test, sim_test_wait(!set_mac(10), COMES_MS));
	counted(test, "cvq_late_answers", 4);
	moves(test);

	/* The end comes though no answer does. */
	command_timeout(test, "100");
	act(test, &near, .op = SIM_DROP, .queue = CTRL, .count = U32_MAX);
	KUNIT_EXPECT_EQ(test, set_mac(11), -ETIMEDOUT);
	unplug(test, false);
	command_timeout(test, "10000");
}

static void probe_without_answers(struct kunit *test)
{
	struct sim_device *sim;

	command_timeout(test, "100");
	unplug(test, false);
	sim = sim_test_make(test, &usual);
	sim_act(sim, &(struct sim_action){ .op = SIM_DROP, .queue = CTRL, .count = U32_MAX });
	KUNIT_EXPECT_EQ(test, sim_plug(sim), 0);
	KUNIT_EXPECT_TRUE(test, sim_test_live(sim));
	if (sim_test_live(sim)) {
		port_open(test, &near, sim);
		KUNIT_EXPECT_EQ(test, near.dev->real_num_tx_queues, 1);
		moves(test);
	}
	unplug(test, false);
	command_timeout(test, "10000");
}

static struct kunit_case net_lies_cases[] = {
	KUNIT_CASE(header_lies_are_counted),
	KUNIT_CASE(offloads_not_negotiated_are_refused),
	KUNIT_CASE(link_follows_the_device),
	KUNIT_CASE(config_that_makes_no_sense),
	KUNIT_CASE(refused_commands_change_nothing),
	KUNIT_CASE(commands_that_are_not_answered),
	KUNIT_CASE(probe_without_answers),
	{}
};

SIM_SUITE(net_lies, virtio_net_rh, sim_test_init, net_exit);
MODULE_DESCRIPTION("KUnit suite of virtio_net_rh on a simulated device that lies");
MODULE_LICENSE("GPL");
