// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_net_rh against the simulated device: every feature and ring that it can meet, and
 * what goes wrong with buffers and interrupts on their way.
 */
#include "net_kunit.h"

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
	sim_test_each_feature(test, ALL, with);
}

static void random_features(struct kunit *test)
{
	sim_test_random_features(test, ALL, 8, with);
	with(test, ALL, 64);
}

static void every_queue_size(struct kunit *test)
{
	static const u16 odd[] = { 3, 5, 1000 }, longest[] = { SIM_QUEUE_SIZE_MAX - 1 };

	sim_test_each_size(test, FEATURES, 1, 1024, odd, ARRAY_SIZE(odd), with);
	/* The longest takes 64 MiB of receive buffers. */
	sim_test_each_size(test, FEATURES & ~BIT_ULL(VIRTIO_NET_F_MQ), 2048, SIM_QUEUE_SIZE_MAX,
			   longest, ARRAY_SIZE(longest), with);
}

/*
 * Packets of more pieces than the ring has places, whose header somebody else looks at, as
 * tcpdump does, and that have no room before them, as forwarded ones may.
 */
static void packets_that_do_not_fit_the_ring(struct kunit *test)
{
	static const u16 lens[] = { ETH_ZLEN, 128, 1000, ETH_FRAME_LEN };
	struct sim_options options = usual;
	struct sk_buff *skb, *copy;
	unsigned int i, n;
	u64 copied;

	for (i = 0; i < 16; i++) {
		options.features = FEATURES | BIT_ULL(VIRTIO_F_VERSION_1) |
				   (i & 1 ? BIT_ULL(VIRTIO_F_RING_PACKED) : 0);
		options.queue_size = i & 2 ? 2 : 1;
		plug(test, &options);
		for (n = 0; n < ARRAY_SIZE(lens); n++) {
			draw(&near, lens[n]);
			copied = counter(&near, "tx_linearized");
			skb = make_skb(&near, lens[n], i & 4 ? 0 : LL_RESERVED_SPACE(near.dev));
			copy = i & 8 ? skb_clone(skb, GFP_KERNEL) : NULL;
			KUNIT_EXPECT_EQ(test, send_skb(&near, 0, skb, COMES_MS), NETDEV_TX_OK);
			KUNIT_EXPECT_TRUE_MSG(test, comes(&near, lens[n]), "%u bytes, way %u",
					      lens[n], i);
			/* In one place there is none for a header of its own. */
			if (options.queue_size == 1 && (i & 12))
				KUNIT_EXPECT_EQ(test, counter(&near, "tx_linearized"), copied + 1);
			if (copy) {
				KUNIT_EXPECT_EQ(test, skb_copy_bits(copy, 0, seen, lens[n]), 0);
				KUNIT_EXPECT_MEMEQ(test, seen, frame, lens[n]);
			}
			kfree_skb(copy);
		}
		KUNIT_EXPECT_EQ(test, counter(&near, "tx_drops"), 0);
	}
}

/* It looks by itself while it works, and must be told of what comes after that. */
static void a_device_that_asks_for_no_kicks(struct kunit *test)
{
	static const u64 rings[] = {
		SIM_RING_FEATURES, SIM_RING_FEATURES & ~BIT_ULL(VIRTIO_RING_F_EVENT_IDX),
		SIM_PACKED_FEATURES, SIM_PACKED_FEATURES & ~BIT_ULL(VIRTIO_RING_F_EVENT_IDX),
	};
	struct sim_options options = usual;
	unsigned int i, n;

	options.suppress = true;
	options.queue_size = 64;
	for (i = 0; i < ARRAY_SIZE(rings); i++) {
		options.features = FEATURES | rings[i];
		plug(test, &options);
		moves(test);
		draw(&near, 900);
		for (n = 0; n < 200; n++)
			KUNIT_EXPECT_EQ(test, send(&near, n % PAIRS, 900), NETDEV_TX_OK);
		for (n = 0; n < 200; n++)
			KUNIT_EXPECT_TRUE_MSG(test, comes(&near, 900), "frame %u", n);
		KUNIT_EXPECT_EQ(test, set_channels(1), 0);
		KUNIT_EXPECT_EQ(test, set_channels(PAIRS), 0);
		moves_on(test, &near, &near, PAIRS - 1);
	}
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
	sim_test_end(test, sim, false);
	moves(test);
}

/* Both sizes change while buffers of both queues are with the device. */
static void rings_are_resized_in_flight(struct kunit *test)
{
	static const u16 sizes[] = { 64, 256, 128 };
	unsigned int i;

	plug(test, &usual);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		act(test, &near, .op = SIM_HOLD, .queue = TX, .count = 3);
		draw(&near, 500);
		send(&near, 0, 500);
		send(&near, 0, 500);
		KUNIT_EXPECT_EQ(test, set_rings(sizes[i], sizes[i]), 0);
		sim_forget(near.sim);
		dry(test);
		moves(test);
	}
}

/* A queue that does not come back after its reset: the device is of no use any more. */
static void a_queue_that_is_lost_in_a_resize(struct kunit *test)
{
	unsigned int queue;

	for (queue = 0; queue < CTRL; queue++) {
		plug(test, &usual);
		act(test, &near, .op = SIM_VQ_FAIL, .queue = queue);
		KUNIT_EXPECT_LT(test, set_rings(64, 64), 0);
		sim_test_applied(test, near.sim);
		KUNIT_EXPECT_TRUE(test, sim_test_wait(!netif_carrier_ok(near.dev), COMES_MS));
		KUNIT_EXPECT_NE(test, set_mac(1), 0);
		/* It can be closed and opened, and new rings make it well. */
		rtnl_lock();
		dev_close(near.dev);
		KUNIT_EXPECT_EQ(test, dev_open(near.dev, NULL), 0);
		rtnl_unlock();
		KUNIT_ASSERT_EQ(test, sim_test_freeze(near.sim), 0);
		KUNIT_ASSERT_EQ(test, sim_test_restore(near.sim), 0);
		KUNIT_EXPECT_TRUE(test, sim_test_wait(netif_carrier_ok(near.dev), COMES_MS));
		moves(test);
		moves_on(test, &near, &near, PAIRS - 1);
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
		sim_test_applied(test, near.sim);
	}
}

/*
 * Can a driver tell this lie from the truth? Each id in a receive ring, which is full, is
 * that of a buffer which the device has. A packed ring has its ids in the descriptors: what
 * is wrong with them after a jump are those of buffers that came before it, if the driver
 * has not filled their places again.
 */
enum shows { SHOWS, STAYS_HIDDEN, MAY_SHOW };

static enum shows shows(const struct sim_ring_lie *lie, u64 ring, unsigned int queue)
{
	if (queue == RX && lie->op == SIM_ID && lie->value < 64)
		return STAYS_HIDDEN;
	if (queue == RX && lie->op == SIM_USED_IDX && (ring & BIT_ULL(VIRTIO_F_RING_PACKED)))
		return MAY_SHOW;
	return SHOWS;
}

static void ring_lie(struct kunit *test, const struct sim_ring_lie *lie, u64 ring,
		     unsigned int queue)
{
	enum shows seen = shows(lie, ring, queue);
	struct sim_options options = usual;
	unsigned int i;

	options.features = FEATURES | ring;
	options.queue_size = 64;
	plug(test, &options);
	moves(test);
	sim_tell(test, near.sim, .op = lie->op, .queue = queue, .value = lie->value);
	draw(&near, 700);
	for (i = 0; i < 20 && netif_carrier_ok(near.dev); i++) {
		send_within(&near, 0, 700, 0);
		sim_test_wait(!netif_carrier_ok(near.dev), seen == SHOWS ? COMES_MS / 20 : 20);
	}
	sim_test_applied(test, near.sim);
	if (seen != MAY_SHOW)
		KUNIT_EXPECT_EQ(test, netif_carrier_ok(near.dev), seen == STAYS_HIDDEN);
}

static void receive_lie(struct kunit *test, const struct sim_ring_lie *lie, u64 ring)
{
	ring_lie(test, lie, ring, RX);
}

static void transmit_lie(struct kunit *test, const struct sim_ring_lie *lie, u64 ring)
{
	ring_lie(test, lie, ring, TX);
}

/* And each device that comes after it carries frames. */
static void broken_rings_cost_the_carrier(struct kunit *test)
{
	sim_test_each_ring_lie(test, receive_lie);
	sim_test_each_ring_lie(test, transmit_lie);
	plug(test, &usual);
	moves(test);
}

/* The second time comes when the driver has freed the buffer, and none is in its place. */
static void a_buffer_that_is_used_again(struct kunit *test)
{
	struct sim_options options = usual;
	unsigned int i, queue;

	for (i = 0; i < 2 * ARRAY_SIZE(sim_rings); i++) {
		options.features = FEATURES | sim_rings[i / 2];
		queue = i % 2 ? TX : RX;
		plug(test, &options);
		act(test, &near, .op = SIM_AGAIN, .queue = queue, .value = 50);
		draw(&near, 300);
		KUNIT_EXPECT_EQ(test, send(&near, 0, 300), NETDEV_TX_OK);
		KUNIT_EXPECT_TRUE(test, comes(&near, 300));
		sim_test_applied(test, near.sim);
		KUNIT_EXPECT_TRUE(test, netif_carrier_ok(near.dev));
		sim_test_wait(false, 2 * STAYS_AWAY_MS);
		/* Of a transmit queue it is the next packet that finds out. */
		send_within(&near, 0, 300, 0);
		KUNIT_EXPECT_TRUE(test, sim_test_wait(!netif_carrier_ok(near.dev), COMES_MS));
	}
	plug(test, &usual);
	moves(test);
}

/* Flags that mean nothing, and a wish for a kick that is far away. */
static void garbage_in_the_ring(struct kunit *test)
{
	static const struct {
		u64 ring;
		s32 at;
		u64 value;
	} garbage[] = {
		{ SIM_RING_FEATURES, 0, U16_MAX },
		{ SIM_RING_FEATURES & ~BIT_ULL(VIRTIO_RING_F_EVENT_IDX), 0, 0xfffe },
		{ SIM_RING_FEATURES & ~BIT_ULL(VIRTIO_RING_F_EVENT_IDX), 0, U16_MAX },
		{ SIM_RING_FEATURES, 2, 0x8000 },
		{ SIM_PACKED_FEATURES, 0, U16_MAX },
		{ SIM_PACKED_FEATURES, 0, 1 },
		{ SIM_PACKED_FEATURES, 1, U16_MAX },
		{ SIM_PACKED_FEATURES, 1, 0x7fff },
	};
	struct sim_options options = usual;
	unsigned int i, queue;

	options.queue_size = 64;
	for (i = 0; i < ARRAY_SIZE(garbage); i++) {
		kunit_info(test, "%#llx in field %d, %s ring", garbage[i].value, garbage[i].at,
			   garbage[i].ring & BIT_ULL(VIRTIO_F_RING_PACKED) ? "packed" : "split");
		options.features = FEATURES | garbage[i].ring;
		plug(test, &options);
		for (queue = RX; queue <= TX; queue++) {
			act(test, &near, .op = SIM_RING, .queue = queue, .at = garbage[i].at,
			    .value = garbage[i].value);
			draw(&near, 300);
			KUNIT_EXPECT_EQ(test, send(&near, 0, 300), NETDEV_TX_OK);
			/* A kick that it has not asked for, it cannot expect. */
			act(test, &near, .op = SIM_RELEASE, .queue = SIM_ALL_QUEUES);
			KUNIT_EXPECT_TRUE(test, comes(&near, 300));
			moves(test);
		}
		KUNIT_EXPECT_TRUE(test, netif_carrier_ok(near.dev));
	}
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
	dry(test);
	moves(test);
}

/* Its header, which counts the pieces, comes last; zeroes are a header without any. */
static void pieces_of_a_packet_out_of_order(struct kunit *test)
{
	struct sim_options options = usual;
	u64 used, pieces;

	options.features &= ~BIT_ULL(VIRTIO_NET_F_MTU);
	plug(test, &options);
	be_quiet();
	draw(&near, 9000);
	memset(frame + 64, 0, 9000 - 64);
	used = buffers_used();
	KUNIT_EXPECT_EQ(test, sim_net_inject(near.sim, RX, NULL, frame, 9000), 0);
	KUNIT_EXPECT_TRUE(test, comes(&near, 9000));
	pieces = buffers_used() - used;
	KUNIT_EXPECT_GT(test, pieces, 2);

	act(test, &near, .op = SIM_REORDER, .queue = RX, .count = pieces, .value = pieces);
	KUNIT_EXPECT_EQ(test, sim_net_inject(near.sim, RX, NULL, frame, 9000), 0);
	counted(test, "rx_bad_num_buffers", pieces - 1);
	counted(test, "rx_missing_buffers", 1);
	sim_test_applied(test, near.sim);
	moves(test);
}

static struct kunit_case net_ring_cases[] = {
	KUNIT_CASE(used_lengths_are_checked),
	KUNIT_CASE(large_packets_take_many_buffers),
	KUNIT_CASE_SLOW(broken_rings_cost_the_carrier),
	KUNIT_CASE(a_buffer_that_is_used_again),
	KUNIT_CASE(garbage_in_the_ring),
	KUNIT_CASE(pieces_of_a_packet_out_of_order),
	KUNIT_CASE(each_pair_moves_data),
	KUNIT_CASE(two_devices_meet),
	KUNIT_CASE(rings_are_resized_in_flight),
	KUNIT_CASE(a_queue_that_is_lost_in_a_resize),
	KUNIT_CASE(legacy_device),
	KUNIT_CASE(a_device_that_asks_for_no_kicks),
	KUNIT_CASE_SLOW(random_features),
	KUNIT_CASE_SLOW(every_queue_size),
	KUNIT_CASE(packets_that_do_not_fit_the_ring),
	KUNIT_CASE_SLOW(each_feature_off_and_alone),
	{}
};

SIM_SUITE(net_ring, virtio_net_rh, sim_test_init, net_exit);

MODULE_DESCRIPTION("KUnit suite of virtio_net_rh on the simulated device");
MODULE_LICENSE("GPL");
