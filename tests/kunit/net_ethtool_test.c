// SPDX-License-Identifier: GPL-2.0-only
/*
 * What virtio_net_rh shows of its interface and lets a user change there: ethtool, statistics,
 * sysfs.
 */
#include <linux/net_tstamp.h>
#include <net/netdev_queues.h>

#include "net_kunit.h"

static const struct ethtool_ops *ops(void)
{
	return near.dev->ethtool_ops;
}

/* Statistics */

static int nr_counters(void)
{
	int n;

	rtnl_lock();
	n = ops()->get_sset_count(near.dev, ETH_SS_STATS);
	rtnl_unlock();
	return n;
}

/* As many names as values, each of them a word of its own. */
static void each_counter_has_a_name(struct kunit *test)
{
	unsigned int pairs;
	char *names;
	int n, i, j;

	plug(test, &usual);
	for (pairs = PAIRS; pairs; pairs--) {
		KUNIT_EXPECT_EQ(test, set_channels(pairs), 0);
		n = nr_counters();
		KUNIT_ASSERT_GT(test, n, 20);
		/* What is behind the last one stays as it is. */
		names = kunit_kzalloc(test, (n + 1) * ETH_GSTRING_LEN, GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, names);
		rtnl_lock();
		ops()->get_strings(near.dev, ETH_SS_STATS, names);
		rtnl_unlock();
		for (i = 0; i < n; i++) {
			char *name = names + i * ETH_GSTRING_LEN;

			KUNIT_EXPECT_GT(test, strnlen(name, ETH_GSTRING_LEN), 5);
			KUNIT_EXPECT_LT(test, strnlen(name, ETH_GSTRING_LEN), ETH_GSTRING_LEN);
			for (j = 0; j < i; j++)
				KUNIT_EXPECT_STRNEQ(test, name, names + j * ETH_GSTRING_LEN);
		}
		KUNIT_EXPECT_EQ(test, names[n * ETH_GSTRING_LEN], 0);
	}
	/* No other set of names. */
	rtnl_lock();
	n = ops()->get_sset_count(near.dev, ETH_SS_PRIV_FLAGS);
	memset(names, 0, ETH_GSTRING_LEN);
	ops()->get_strings(near.dev, ETH_SS_PRIV_FLAGS, names);
	rtnl_unlock();
	KUNIT_EXPECT_EQ(test, n, -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, names[0], 0);
}

/* What the kernel's own interface to the statistics of queues has. */
struct sums {
	u64 rx_packets;
	u64 rx_bytes;
	u64 tx_packets;
	u64 tx_bytes;
};

static void add_queue(struct sums *sums, unsigned int queue)
{
	const struct netdev_stat_ops *stat_ops = near.dev->stat_ops;
	struct netdev_queue_stats_rx rx = {};
	struct netdev_queue_stats_tx tx = {};

	stat_ops->get_queue_stats_rx(near.dev, queue, &rx);
	stat_ops->get_queue_stats_tx(near.dev, queue, &tx);
	sums->rx_packets += rx.packets;
	sums->rx_bytes += rx.bytes;
	sums->tx_packets += tx.packets;
	sums->tx_bytes += tx.bytes;
}

static void add_base(struct sums *sums)
{
	struct netdev_queue_stats_rx rx = {};
	struct netdev_queue_stats_tx tx = {};

	near.dev->stat_ops->get_base_stats(near.dev, &rx, &tx);
	sums->rx_packets += rx.packets;
	sums->rx_bytes += rx.bytes;
	sums->tx_packets += tx.packets;
	sums->tx_bytes += tx.bytes;
}

static struct sums queue_sums(unsigned int queue)
{
	struct sums sums = {};

	rtnl_lock();
	add_queue(&sums, queue);
	rtnl_unlock();
	return sums;
}

static struct sums base_sums(void)
{
	struct sums sums = {};

	rtnl_lock();
	add_base(&sums);
	rtnl_unlock();
	return sums;
}

static struct sums all_sums(void)
{
	struct sums sums = base_sums();
	unsigned int i;

	rtnl_lock();
	for (i = 0; i < near.dev->real_num_tx_queues; i++)
		add_queue(&sums, i);
	rtnl_unlock();
	return sums;
}

static void are(struct kunit *test, struct sums sums, unsigned int packets, unsigned int len)
{
	KUNIT_EXPECT_EQ(test, sums.rx_packets, packets);
	KUNIT_EXPECT_EQ(test, sums.tx_packets, packets);
	KUNIT_EXPECT_EQ(test, sums.rx_bytes, packets * len);
	KUNIT_EXPECT_EQ(test, sums.tx_bytes, packets * len);
}

/* What a queue counted stays in the sum when it is not in use any more, and is its own again. */
static void nothing_counted_is_lost(struct kunit *test)
{
	static const u8 frames[PAIRS] = { 3, 4 };
	struct rtnl_link_stats64 stats;
	unsigned int queue, i;
	int both;

	plug(test, &usual);
	for (queue = 0; queue < PAIRS; queue++) {
		for (i = 0; i < frames[queue]; i++) {
			draw(&near, 500);
			KUNIT_EXPECT_EQ(test, send(&near, queue, 500), NETDEV_TX_OK);
			KUNIT_EXPECT_TRUE(test, comes(&near, 500));
		}
	}
	/* Sent ones are counted when the driver takes them back. */
	sim_test_wait(all_sums().tx_packets == 7, COMES_MS);
	are(test, all_sums(), 7, 500);
	are(test, base_sums(), 0, 500);
	are(test, queue_sums(1), 4, 500);
	both = nr_counters();

	KUNIT_EXPECT_EQ(test, set_channels(1), 0);
	are(test, all_sums(), 7, 500);
	are(test, base_sums(), 4, 500);
	are(test, queue_sums(0), 3, 500);
	KUNIT_EXPECT_LT(test, nr_counters(), both);
	dev_get_stats(near.dev, &stats);
	KUNIT_EXPECT_EQ(test, stats.rx_packets, 7);
	KUNIT_EXPECT_EQ(test, stats.tx_packets, 7);
	KUNIT_EXPECT_EQ(test, stats.rx_bytes, 7 * 500);
	KUNIT_EXPECT_EQ(test, stats.tx_bytes, 7 * 500);

	KUNIT_EXPECT_EQ(test, set_channels(PAIRS), 0);
	are(test, all_sums(), 7, 500);
	are(test, base_sums(), 0, 500);
	are(test, queue_sums(1), 4, 500);
	KUNIT_EXPECT_EQ(test, nr_counters(), both);
}

/* Each cause is an error of its kind for those who do not know ours. */
static void errors_have_their_kind(struct kunit *test)
{
	struct rtnl_link_stats64 stats;
	struct sim_net_hdr hdr = {};

	plug(test, &usual);
	draw(&near, 200);
	act(test, &near, .op = SIM_LEN, .queue = RX, .value = 3);
	sim_net_inject(near.sim, RX, NULL, frame, 200);
	counted(test, "rx_too_short", 1);
	act(test, &near, .op = SIM_LEN, .queue = RX, .value = SZ_64K);
	sim_net_inject(near.sim, RX, NULL, frame, 200);
	counted(test, "rx_too_long", 1);
	/* num_buffers is 0. */
	sim_net_inject(near.sim, RX, &hdr, frame, 200);
	counted(test, "rx_bad_num_buffers", 1);
	hdr.hdr.num_buffers = cpu_to_virtio16(&near.sim->vdev, 1);
	hdr.hdr.gso_type = 0x7f;
	sim_net_inject(near.sim, RX, &hdr, frame, 200);
	counted(test, "rx_bad_gso_type", 1);
	dev_get_stats(near.dev, &stats);
	KUNIT_EXPECT_EQ(test, stats.rx_length_errors, 2);
	KUNIT_EXPECT_EQ(test, stats.rx_missed_errors, 1);
	KUNIT_EXPECT_EQ(test, stats.rx_frame_errors, 1);
	KUNIT_EXPECT_EQ(test, stats.rx_errors, 4);
	KUNIT_EXPECT_EQ(test, stats.rx_dropped, 4);
	KUNIT_EXPECT_EQ(test, counter(&near, "rx_drops"), 4);
	KUNIT_EXPECT_EQ(test, stats.rx_packets, 0);
	moves(test);
}

/* Rings and pairs */

static struct ethtool_ringparam rings(void)
{
	struct ethtool_ringparam ring = {};

	rtnl_lock();
	ops()->get_ringparam(near.dev, &ring, NULL, NULL);
	rtnl_unlock();
	return ring;
}

static void are_rings(struct kunit *test, u32 rx, u32 tx)
{
	KUNIT_EXPECT_EQ(test, rings().rx_pending, rx);
	KUNIT_EXPECT_EQ(test, rings().tx_pending, tx);
	KUNIT_EXPECT_EQ(test, near.sim->queues[RX].num, rx);
	KUNIT_EXPECT_EQ(test, near.sim->queues[TX].num, tx);
	KUNIT_EXPECT_EQ(test, near.sim->queues[CTRL - 1].num, tx);
}

static void close_port(void)
{
	rtnl_lock();
	dev_close(near.dev);
	rtnl_unlock();
}

static void open_port(struct kunit *test)
{
	int err;

	rtnl_lock();
	err = dev_open(near.dev, NULL);
	rtnl_unlock();
	KUNIT_EXPECT_EQ(test, err, 0);
}

static void rings_that_cannot_be(struct kunit *test)
{
	static const u16 wrong[][2] = { { 100, 128 }, { 128, 100 }, { 32, 128 }, { 128, 16 },
					{ 512, 128 }, { 128, 512 }, { 0, 0 } };
	struct ethtool_ringparam other = { .rx_pending = 128, .tx_pending = 128 };
	struct sim_options options = usual;
	unsigned int i;
	int err;

	plug(test, &usual);
	KUNIT_EXPECT_EQ(test, rings().rx_max_pending, 256);
	KUNIT_EXPECT_EQ(test, rings().tx_max_pending, 256);
	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		KUNIT_EXPECT_EQ_MSG(test, set_rings(wrong[i][0], wrong[i][1]), -EINVAL, "%u, %u",
				    wrong[i][0], wrong[i][1]);
	other.rx_mini_pending = 1;
	rtnl_lock();
	err = ops()->set_ringparam(near.dev, &other, NULL, NULL);
	rtnl_unlock();
	KUNIT_EXPECT_EQ(test, err, -EINVAL);
	are_rings(test, 256, 256);
	moves(test);

	/* A packed ring is as long as anybody wants. */
	options.features = FEATURES | SIM_PACKED_FEATURES;
	plug(test, &options);
	KUNIT_EXPECT_EQ(test, set_rings(100, 33), 0);
	are_rings(test, 100, 33);
	moves_on(test, &near, &near, PAIRS - 1);

	options.features = usual.features & ~BIT_ULL(VIRTIO_F_RING_RESET);
	plug(test, &options);
	KUNIT_EXPECT_EQ(test, set_rings(128, 128), -EOPNOTSUPP);
	are_rings(test, 256, 256);
	moves(test);
}

/* What a closed interface is told holds when it is opened. */
static void changes_while_it_is_closed(struct kunit *test)
{
	plug(test, &usual);
	close_port();
	KUNIT_EXPECT_EQ(test, set_rings(64, 128), 0);
	KUNIT_EXPECT_EQ(test, set_channels(1), 0);
	are_rings(test, 64, 128);
	open_port(test);
	KUNIT_EXPECT_EQ(test, near.dev->real_num_rx_queues, 1);
	moves(test);
	close_port();
	KUNIT_EXPECT_EQ(test, set_channels(PAIRS), 0);
	open_port(test);
	moves_on(test, &near, &near, PAIRS - 1);

	/* Suspended, there are no rings to speak of. */
	KUNIT_ASSERT_EQ(test, sim_test_freeze(near.sim), 0);
	KUNIT_EXPECT_EQ(test, rings().rx_pending, 0);
	KUNIT_EXPECT_EQ(test, rings().tx_max_pending, 0);
	KUNIT_ASSERT_EQ(test, sim_test_restore(near.sim), 0);
	are_rings(test, 64, 128);
	moves(test);
}

static void pairs_that_cannot_be(struct kunit *test)
{
	static const struct ethtool_channels wrong[] = {
		{ .combined_count = 0 }, { .combined_count = PAIRS + 1 },
		{ .combined_count = U32_MAX }, { .combined_count = 1, .rx_count = 1 },
		{ .combined_count = 1, .tx_count = 1 }, { .combined_count = 1, .other_count = 1 },
	};
	struct ethtool_channels channels;
	unsigned int i;
	u64 before;
	int err;

	plug(test, &usual);
	be_quiet();
	before = counter(&near, "cvq_commands");
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		channels = wrong[i];
		rtnl_lock();
		err = ops()->set_channels(near.dev, &channels);
		rtnl_unlock();
		KUNIT_EXPECT_EQ_MSG(test, err, -EINVAL, "%u", i);
	}
	/* As many as there are is nothing to tell the device. */
	KUNIT_EXPECT_EQ(test, set_channels(PAIRS), 0);
	KUNIT_EXPECT_EQ(test, counter(&near, "cvq_commands"), before);
	memset(&channels, 0, sizeof(channels));
	rtnl_lock();
	ops()->get_channels(near.dev, &channels);
	rtnl_unlock();
	KUNIT_EXPECT_EQ(test, channels.combined_count, PAIRS);
	KUNIT_EXPECT_EQ(test, channels.max_combined, PAIRS);
	KUNIT_EXPECT_EQ(test, channels.max_rx + channels.max_tx + channels.max_other, 0);
	moves(test);
}

/* The link */

/* Many expectations in a function would each have one of their own on the stack. */
static struct ethtool_link_ksettings settings;

static u32 link_speed(void)
{
	rtnl_lock();
	ops()->get_link_ksettings(near.dev, &settings);
	rtnl_unlock();
	return settings.base.speed;
}

static u8 link_duplex(void)
{
	link_speed();
	return settings.base.duplex;
}

static int set_settings(u32 speed, u8 duplex, u8 autoneg)
{
	int err;

	link_speed();
	settings.base.speed = speed;
	settings.base.duplex = duplex;
	settings.base.autoneg = autoneg;
	rtnl_lock();
	err = ops()->set_link_ksettings(near.dev, &settings);
	rtnl_unlock();
	return err;
}

static bool link_is_up(void)
{
	bool up;

	rtnl_lock();
	up = ops()->get_link(near.dev);
	rtnl_unlock();
	return up;
}

#define AT(field)	offsetof(struct virtio_net_config, field)

/* It has the speed that the device says, as long as that is one, or what a user says. */
static void the_speed_of_the_link(struct kunit *test)
{
	struct sim_options options = usual;

	memset(&settings, 0, sizeof(settings));
	plug(test, &usual);
	KUNIT_EXPECT_EQ(test, link_speed(), SPEED_10000);
	KUNIT_EXPECT_EQ(test, link_duplex(), DUPLEX_FULL);
	KUNIT_EXPECT_EQ(test, settings.base.port, PORT_OTHER);
	KUNIT_EXPECT_TRUE(test, link_is_up());
	act(test, &near, .op = SIM_CONFIG, .at = AT(speed), .width = 5,
	    .value = SPEED_2500 | (u64)DUPLEX_HALF << 32);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(link_duplex() == DUPLEX_HALF, COMES_MS));
	KUNIT_EXPECT_EQ(test, link_speed(), SPEED_2500);
	/* No speed and no duplex mode. */
	act(test, &near, .op = SIM_CONFIG, .at = AT(speed), .width = 5, .value = 0x7780000000);
	act(test, &near, .op = SIM_NET_LINK, .value = 0);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(!link_is_up(), COMES_MS));
	act(test, &near, .op = SIM_NET_LINK, .value = 1);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(link_is_up(), COMES_MS));
	KUNIT_EXPECT_EQ(test, link_speed(), SPEED_2500);
	KUNIT_EXPECT_EQ(test, link_duplex(), DUPLEX_HALF);

	KUNIT_EXPECT_EQ(test, set_settings(SPEED_1000, DUPLEX_FULL, 0), 0);
	KUNIT_EXPECT_EQ(test, link_speed(), SPEED_1000);
	KUNIT_EXPECT_EQ(test, set_settings(SPEED_100, DUPLEX_FULL, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, set_settings(0x80000000, DUPLEX_FULL, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, link_speed(), SPEED_1000);

	options.features &= ~BIT_ULL(VIRTIO_NET_F_SPEED_DUPLEX);
	plug(test, &options);
	KUNIT_EXPECT_EQ(test, link_speed(), (u32)SPEED_UNKNOWN);
	KUNIT_EXPECT_EQ(test, link_duplex(), DUPLEX_UNKNOWN);
	KUNIT_EXPECT_EQ(test, set_settings(SPEED_1000, DUPLEX_FULL, 0), 0);
	KUNIT_EXPECT_EQ(test, link_speed(), SPEED_1000);
}

static void the_driver_has_a_name(struct kunit *test)
{
	struct ethtool_drvinfo info = {};

	plug(test, &usual);
	rtnl_lock();
	ops()->get_drvinfo(near.dev, &info);
	rtnl_unlock();
	KUNIT_EXPECT_STREQ(test, info.driver, "virtio_net_rh");
	KUNIT_EXPECT_STREQ(test, info.version, VRH_VERSION);
	KUNIT_EXPECT_STREQ(test, info.bus_info, virtio_bus_name(&near.sim->vdev));
}

static void time_stamps_are_software(struct kunit *test)
{
	struct kernel_ethtool_ts_info info = {};

	plug(test, &usual);
	rtnl_lock();
	KUNIT_EXPECT_EQ(test, ops()->get_ts_info(near.dev, &info), 0);
	rtnl_unlock();
	KUNIT_EXPECT_EQ(test, info.phc_index, -1);
	KUNIT_EXPECT_EQ(test, info.so_timestamping, SOF_TIMESTAMPING_TX_SOFTWARE |
						    SOF_TIMESTAMPING_RX_SOFTWARE |
						    SOF_TIMESTAMPING_SOFTWARE);
}

/* sysfs */

static unsigned int buffer_size(struct kunit *test)
{
	unsigned int size = 0;
	char path[96], text[32];

	snprintf(path, sizeof(path),
		 "sys/class/net/%s/queues/rx-0/virtio_net/mergeable_rx_buffer_size",
		 near.dev->name);
	KUNIT_EXPECT_GT(test, sim_test_read(path, text, sizeof(text)), 0);
	KUNIT_EXPECT_EQ(test, kstrtouint(text, 10, &size), 0);
	return size;
}

static bool receives(struct kunit *test, size_t len)
{
	draw(&near, len);
	KUNIT_EXPECT_EQ(test, sim_net_inject(near.sim, RX, NULL, frame, len), 0);
	return comes(&near, len);
}

/* Receives frames of @len bytes until new buffers are large, or small. */
static bool becomes(struct kunit *test, bool large, size_t len)
{
	unsigned int i;

	for (i = 0; i < 400; i++) {
		if (large == (buffer_size(test) > 2048))
			return true;
		if (!receives(test, len))
			return false;
	}
	return false;
}

/* Large buffers for large packets, and room for two small ones in a page. */
static void buffers_are_as_large_as_packets(struct kunit *test)
{
	struct sim_options options = usual;
	char path[96], text[32];
	unsigned int i;
	u64 used;

	options.features &= ~BIT_ULL(VIRTIO_NET_F_MTU);
	options.queue_size = 64;
	plug(test, &options);
	moves(test);
	KUNIT_EXPECT_GE(test, buffer_size(test), ETH_FRAME_LEN + 12);
	KUNIT_EXPECT_LT(test, buffer_size(test), 2048);
	KUNIT_EXPECT_TRUE(test, becomes(test, true, 9000));
	/* All of them are, when each that was in the ring has been used. */
	for (i = 0; i < 64; i++)
		KUNIT_EXPECT_TRUE(test, receives(test, 9000));
	used = buffers_used();
	KUNIT_EXPECT_TRUE(test, receives(test, 9000));
	KUNIT_EXPECT_EQ(test, buffers_used() - used, DIV_ROUND_UP(9012, buffer_size(test)));
	KUNIT_EXPECT_TRUE(test, becomes(test, false, 100));
	moves(test);

	/* Without MRG_RXBUF there is no such file, and a buffer has room for the MTU. */
	options.features &= ~BIT_ULL(VIRTIO_NET_F_MRG_RXBUF);
	plug(test, &options);
	snprintf(path, sizeof(path),
		 "sys/class/net/%s/queues/rx-0/virtio_net/mergeable_rx_buffer_size",
		 near.dev->name);
	KUNIT_EXPECT_EQ(test, sim_test_read(path, text, sizeof(text)), -ENOENT);
	moves(test);
}

static void features_have_their_names(struct kunit *test)
{
	static const char * const names[] = { "MRG_RXBUF", "MQ", "CTRL_VQ", "VERSION_1" };
	struct sim_options options = usual;
	char path[96], *text;
	unsigned int i;

	text = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, text);
	plug(test, &usual);
	snprintf(path, sizeof(path), "sys/bus/virtio/devices/%s/vrh/features",
		 dev_name(&near.sim->vdev.dev));
	KUNIT_EXPECT_GT(test, sim_test_read(path, text, PAGE_SIZE), 0);
	for (i = 0; i < ARRAY_SIZE(names); i++)
		KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(text, names[i]), "%s", names[i]);

	options.features &= ~BIT_ULL(VIRTIO_NET_F_MQ);
	plug(test, &options);
	snprintf(path, sizeof(path), "sys/bus/virtio/devices/%s/vrh/features",
		 dev_name(&near.sim->vdev.dev));
	KUNIT_EXPECT_GT(test, sim_test_read(path, text, PAGE_SIZE), 0);
	KUNIT_EXPECT_NOT_NULL(test, strstr(text, "MRG_RXBUF"));
	KUNIT_EXPECT_NULL(test, strstr(text, "MQ"));
}

static struct kunit_case net_ethtool_cases[] = {
	KUNIT_CASE(each_counter_has_a_name),
	KUNIT_CASE(nothing_counted_is_lost),
	KUNIT_CASE(errors_have_their_kind),
	KUNIT_CASE(rings_that_cannot_be),
	KUNIT_CASE(changes_while_it_is_closed),
	KUNIT_CASE(pairs_that_cannot_be),
	KUNIT_CASE(the_speed_of_the_link),
	KUNIT_CASE(the_driver_has_a_name),
	KUNIT_CASE(time_stamps_are_software),
	KUNIT_CASE(buffers_are_as_large_as_packets),
	KUNIT_CASE(features_have_their_names),
	{}
};

SIM_SUITE(net_ethtool, virtio_net_rh, sim_test_init, net_exit);

MODULE_DESCRIPTION("KUnit suite of what virtio_net_rh shows and lets be changed");
MODULE_LICENSE("GPL");
