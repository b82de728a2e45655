// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_net_rh against the simulated device: every feature and ring that it can meet, and
 * what goes wrong with buffers and interrupts on their way, up to the end of the device.
 */
#include <linux/prandom.h>

#include "net_kunit.h"

/* Offered as well: what a driver does not know must not disturb it. */
#define UNSERVED								\
	(BIT_ULL(VIRTIO_NET_F_RSS) | BIT_ULL(VIRTIO_NET_F_HASH_REPORT) |	\
	 BIT_ULL(VIRTIO_NET_F_HOST_USO) | BIT_ULL(VIRTIO_NET_F_HOST_UFO) |	\
	 BIT_ULL(VIRTIO_NET_F_RSC_EXT) | BIT_ULL(VIRTIO_NET_F_NOTF_COAL) |	\
	 BIT_ULL(VIRTIO_NET_F_DEVICE_STATS) | BIT_ULL(VIRTIO_NET_F_GUEST_HDRLEN))

/*
 * After a lie that breaks a ring: the device carries frames, or it has lost its carrier;
 * what it says about that frame does not matter. Then it goes, and another one works.
 */
static void moves_or_is_dead(struct kunit *test)
{
	bool there = false;
	unsigned int i;

	for (i = 0; i < 10 && !there && netif_carrier_ok(near.dev); i++) {
		skb_queue_purge(&near.got);
		draw(&near, 700);
		send(&near, 0, 700);
		sim_test_wait(!skb_queue_empty(&near.got) || !netif_carrier_ok(near.dev), 500);
		there = !skb_queue_empty(&near.got);
	}
	KUNIT_EXPECT_TRUE(test, there || !netif_carrier_ok(near.dev));
	plug(test, &usual);
	moves(test);
}

/* Features and rings */

static void with(struct kunit *test, u64 features, u32 size)
{
	struct sim_options options = usual;

	options.features = features;
	options.queue_size = size;
	plug(test, &options);
	moves(test);
}

static void each_feature_off_and_alone(struct kunit *test)
{
	sim_test_each_feature(test, FEATURES | SIM_PACKED_FEATURES, with);
}

static void random_features(struct kunit *test)
{
	sim_test_random_features(test, FEATURES | UNSERVED | SIM_PACKED_FEATURES, 8, with);
	with(test, FEATURES | UNSERVED | SIM_PACKED_FEATURES, 64);
}

static void every_queue_size(struct kunit *test)
{
	static const u16 odd[] = { 3, 5, 1000 };

	sim_test_each_size(test, FEATURES, 1, 1024, odd, ARRAY_SIZE(odd), with);
}

/* Ten bytes of header or twelve, in a descriptor of their own or with the packet. */
static void legacy_device(struct kunit *test)
{
	u64 base = FEATURES & ~BIT_ULL(VIRTIO_NET_F_MRG_RXBUF);

	with(test, base, 256);
	with(test, base | BIT_ULL(VIRTIO_NET_F_MRG_RXBUF), 256);
	with(test, base | BIT_ULL(VIRTIO_F_ANY_LAYOUT), 256);
}

static void each_pair_moves_data(struct kunit *test)
{
	struct sim_net_counters counters;
	unsigned int pairs, queue;

	plug(test, &usual);
	for (pairs = PAIRS; pairs; pairs--) {
		KUNIT_EXPECT_EQ(test, set_channels(pairs), 0);
		KUNIT_EXPECT_EQ(test, near.dev->real_num_tx_queues, pairs);
		sim_net_counters(near.sim, &counters);
		KUNIT_EXPECT_EQ(test, counters.pairs, pairs);
		for (queue = 0; queue < pairs; queue++)
			moves_on(test, &near, &near, queue);
	}
	KUNIT_EXPECT_EQ(test, set_channels(PAIRS), 0);
	moves_on(test, &near, &near, PAIRS - 1);
}

static void two_devices_meet(struct kunit *test)
{
	struct sim_device *sim;
	char text[160];

	plug(test, &usual);
	sim = sim_create(&usual);
	KUNIT_ASSERT_FALSE(test, IS_ERR(sim));
	KUNIT_EXPECT_EQ(test, sim_plug(sim), 0);
	port_open(test, &far, sim);
	KUNIT_EXPECT_EQ(test, sim_net_join(near.sim, far.sim), 0);
	moves_on(test, &near, &far, 0);
	moves_on(test, &far, &near, PAIRS - 1);
	sim_net_part(near.sim);
	moves_on(test, &far, &far, 0);
	port_close(&far);
	sim_unplug(sim, false);
	sim_violation_text(sim, text, sizeof(text));
	KUNIT_EXPECT_STREQ(test, text, "");
	sim_put(sim);
	moves(test);
}

/* Both sizes change while buffers of both queues are with the device. */
static void rings_are_resized_in_flight(struct kunit *test)
{
	static const u16 sizes[] = { 64, 256, 128 };
	struct ethtool_ringparam ring = {};
	unsigned int i;
	int err;

	plug(test, &usual);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		act(test, &near, .op = SIM_HOLD, .queue = TX, .count = 3);
		draw(&near, 500);
		send(&near, 0, 500);
		send(&near, 0, 500);
		ring.rx_pending = sizes[i];
		ring.tx_pending = sizes[i];
		rtnl_lock();
		err = near.dev->ethtool_ops->set_ringparam(near.dev, &ring, NULL, NULL);
		rtnl_unlock();
		KUNIT_EXPECT_EQ(test, err, 0);
		sim_forget(near.sim);
		sim_test_wait(false, STAYS_AWAY_MS);
		skb_queue_purge(&near.got);
		moves(test);
	}
}

/* Buffers on their way back */

static void used_lengths_are_checked(struct kunit *test)
{
	static const struct {
		u32 len;
		const char *counter;
	} wrong[] = {
		{ 0, "rx_too_short" }, { 11, "rx_too_short" }, { 12, "rx_too_short" },
		{ 25, "rx_too_short" }, { SZ_8K, "rx_too_long" }, { U32_MAX, "rx_too_long" },
	};
	u64 features[] = { usual.features, FEATURES | SIM_PACKED_FEATURES };
	unsigned int i, n;
	u64 before;

	for (n = 0; n < ARRAY_SIZE(features); n++) {
		with(test, features[n], 64);
		for (i = 0; i < ARRAY_SIZE(wrong); i++) {
			before = counter(&near, wrong[i].counter);
			act(test, &near, .op = SIM_LEN, .queue = RX, .value = wrong[i].len);
			draw(&near, 400);
			sim_net_inject(near.sim, RX, NULL, frame, 400);
			counted(test, wrong[i].counter, before + 1);
		}
		/* Of a packet that was sent, no length means anything. */
		act(test, &near, .op = SIM_LEN, .queue = TX, .value = U32_MAX);
		moves(test);
	}
}

static void broken_rings_end_cleanly(struct kunit *test)
{
	static const struct sim_action breaks[] = {
		{ .op = SIM_ID, .queue = RX, .value = 999 },
		{ .op = SIM_ID, .queue = RX, .value = U32_MAX },
		{ .op = SIM_ID, .queue = TX, .value = 200 },
		{ .op = SIM_ID, .queue = TX, .value = 999 },
		{ .op = SIM_TWICE, .queue = TX },
		{ .op = SIM_TWICE, .queue = RX },
		{ .op = SIM_USED_IDX, .queue = RX, .value = 5 },
		{ .op = SIM_USED_IDX, .queue = TX, .value = 5 },
	};
	unsigned int i;

	plug(test, &usual);
	for (i = 0; i < ARRAY_SIZE(breaks); i++) {
		kunit_info(test, "operation %u, queue %u, value %#llx", breaks[i].op,
			   breaks[i].queue, breaks[i].value);
		KUNIT_EXPECT_EQ(test, sim_act(near.sim, &breaks[i]), 0);
		moves_or_is_dead(test);
	}
}

static void late_and_reordered_buffers(struct kunit *test)
{
	unsigned int i, n = 0;
	struct sk_buff *skb;

	plug(test, &usual);
	act(test, &near, .op = SIM_DELAY, .queue = SIM_ALL_QUEUES, .count = 12, .value = 20);
	moves(test);
	sim_forget(near.sim);

	act(test, &near, .op = SIM_REORDER, .queue = RX, .count = 4, .value = 4);
	act(test, &near, .op = SIM_REORDER, .queue = TX, .count = 4, .value = 4);
	draw(&near, 600);
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ(test, send(&near, 0, 600), NETDEV_TX_OK);
	while (n < 4 && (skb = next_frame(&near, COMES_MS))) {
		KUNIT_EXPECT_TRUE(test, is_frame(skb, 600));
		kfree_skb(skb);
		n++;
	}
	KUNIT_EXPECT_EQ(test, n, 4);
	moves(test);

	/* What is never used is missed by nobody, and freed in the end. */
	act(test, &near, .op = SIM_DROP, .queue = TX, .count = 2);
	act(test, &near, .op = SIM_DROP, .queue = RX, .count = 1);
	send(&near, 0, 600);
	send(&near, 0, 600);
	kfree_skb(next_frame(&near, COMES_MS));
	moves(test);
}

static void full_ring_stops_and_goes_on(struct kunit *test)
{
	struct sim_options options = usual;
	struct netdev_queue *txq;
	unsigned int sent = 0;

	options.queue_size = 64;
	plug(test, &options);
	txq = netdev_get_tx_queue(near.dev, 0);
	act(test, &near, .op = SIM_HOLD, .queue = TX, .count = U32_MAX);
	draw(&near, 600);
	while (sent < 200 && send_within(&near, 0, 600, 0) == NETDEV_TX_OK)
		sent++;
	KUNIT_EXPECT_TRUE(test, netif_tx_queue_stopped(txq));
	KUNIT_EXPECT_LE(test, sent, 64);
	sim_forget(near.sim);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(!netif_tx_queue_stopped(txq), COMES_MS));
	for (; sent; sent--)
		KUNIT_EXPECT_TRUE(test, comes(&near, 600));
	moves(test);
}

static void large_packets_take_many_buffers(struct kunit *test)
{
	static const u32 lens[] = { 9000, 65535, 9000 };
	struct sim_options options = usual;
	unsigned int i;

	/* Without an MTU nothing is too long to be received. */
	options.features &= ~BIT_ULL(VIRTIO_NET_F_MTU);
	plug(test, &options);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		draw(&near, lens[i]);
		KUNIT_EXPECT_EQ(test, sim_net_inject(near.sim, RX, NULL, frame, lens[i]), 0);
		KUNIT_EXPECT_TRUE_MSG(test, comes(&near, lens[i]), "%u bytes", lens[i]);
	}
	/* One byte more than a packet can have. */
	draw(&near, 65535 + ETH_HLEN + 2 * VLAN_HLEN + 1);
	sim_net_inject(near.sim, RX, NULL, frame, 65535 + ETH_HLEN + 2 * VLAN_HLEN + 1);
	counted(test, "rx_too_long", 1);
	act(test, &near, .op = SIM_LEN, .queue = RX, .skip = 1, .value = 0);
	sim_net_inject(near.sim, RX, NULL, frame, 9000);
	counted(test, "rx_too_short", 1);
	act(test, &near, .op = SIM_LEN, .queue = RX, .skip = 1, .value = U32_MAX);
	sim_net_inject(near.sim, RX, NULL, frame, 9000);
	counted(test, "rx_too_long", 2);
	sim_test_wait(false, STAYS_AWAY_MS);
	skb_queue_purge(&near.got);
	moves(test);
}

/* Interrupts */

static void interrupts_that_lie(struct kunit *test)
{
	struct sim_device *sim;
	unsigned int i;

	unplug(test, false);
	sim = sim_test_make(test, &usual);
	near.sim = sim;
	act(test, &near, .op = SIM_IRQ_EARLY, .queue = SIM_ALL_QUEUES, .count = CTRL + 1);
	act(test, &near, .op = SIM_IRQ_LATE, .queue = SIM_ALL_QUEUES, .count = CTRL + 1);
	KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
	KUNIT_ASSERT_TRUE(test, sim_test_live(sim));
	port_open(test, &near, sim);
	for (i = 0; i < 20; i++)
		act(test, &near, .op = SIM_IRQ, .queue = SIM_ALL_QUEUES);
	moves(test);
	act(test, &near, .op = SIM_IRQ_STORM, .queue = SIM_ALL_QUEUES, .count = 4, .value = 500);
	moves(test);

	/* A frame without its interrupt is found by the next, or by the next poll. */
	act(test, &near, .op = SIM_IRQ_DROP, .queue = RX);
	draw(&near, 300);
	sim_net_inject(sim, RX, NULL, frame, 300);
	act(test, &near, .op = SIM_IRQ, .queue = RX);
	KUNIT_EXPECT_TRUE(test, comes(&near, 300));
	act(test, &near, .op = SIM_IRQ_DROP, .queue = TX, .count = 4);
	moves(test);
}

/* The end */

static void removed_in_flight(struct kunit *test)
{
	unsigned int how, i;

	command_timeout(test, "100");
	for (how = 0; how < 4; how++) {
		plug(test, &usual);
		for (i = 0; i < CTRL; i++)
			act(test, &near, .op = SIM_HOLD, .queue = i, .count = U32_MAX);
		draw(&near, 1000);
		for (i = 0; i < 8; i++)
			send_within(&near, i % PAIRS, 1000, 0);
		sim_net_inject(near.sim, RX, NULL, frame, 1000);
		if (how == 2)
			act(test, &near, .op = SIM_GONE);
		if (how == 3)
			act(test, &near, .op = SIM_NEEDS_RESET);
		unplug(test, how == 1);
	}
	plug(test, &usual);
	moves(test);
}

static struct kunit_case net_ring_cases[] = {
	KUNIT_CASE(used_lengths_are_checked),
	KUNIT_CASE(large_packets_take_many_buffers),
	KUNIT_CASE(broken_rings_end_cleanly),
	KUNIT_CASE(late_and_reordered_buffers),
	KUNIT_CASE(full_ring_stops_and_goes_on),
	KUNIT_CASE(interrupts_that_lie),
	KUNIT_CASE(removed_in_flight),
	KUNIT_CASE(each_pair_moves_data),
	KUNIT_CASE(two_devices_meet),
	KUNIT_CASE(rings_are_resized_in_flight),
	KUNIT_CASE(legacy_device),
	KUNIT_CASE(random_features),
	KUNIT_CASE(every_queue_size),
	KUNIT_CASE(each_feature_off_and_alone),
	{}
};

SIM_SUITE(net_ring, virtio_net_rh, sim_test_init, net_exit);
MODULE_DESCRIPTION("KUnit suite of virtio_net_rh on the simulated device");
MODULE_LICENSE("GPL");
