// SPDX-License-Identifier: GPL-2.0-only
/*
 * What virtio_net_rh has a simulated device filter and offload: how it gets there, what does
 * not fit, and what the device refuses.
 */
#include "net_kunit.h"

static void mac_of(u8 *mac, bool multicast, unsigned int n)
{
	mac[0] = multicast ? 0x03 : 0x02;
	mac[1] = 0xaa;
	mac[2] = 0;
	mac[3] = 0;
	mac[4] = n >> 8;
	mac[5] = n;
}

static void change_macs(struct kunit *test, bool multicast, unsigned int from, unsigned int to,
			bool add)
{
	u8 mac[ETH_ALEN];
	int err = 0;

	rtnl_lock();
	for (; from < to && !err; from++) {
		mac_of(mac, multicast, from);
		if (multicast)
			err = add ? dev_mc_add(near.dev, mac) : dev_mc_del(near.dev, mac);
		else
			err = add ? dev_uc_add(near.dev, mac) : dev_uc_del(near.dev, mac);
	}
	rtnl_unlock();
	KUNIT_EXPECT_EQ(test, err, 0);
}

/* The device comes to have so many addresses, or receives all of a kind. */
static void filters_are(struct kunit *test, unsigned int uni, unsigned int multi, bool promisc,
			bool allmulti)
{
	struct sim_net_filters *has = kunit_kzalloc(test, sizeof(*has), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, has);
	sim_test_wait(!sim_net_filters(near.sim, has) && has->nr_uni == uni &&
		      has->nr_multi == multi && has->promisc == promisc &&
		      has->allmulti == allmulti, COMES_MS);
	KUNIT_EXPECT_EQ(test, has->nr_uni, uni);
	KUNIT_EXPECT_EQ(test, has->nr_multi, multi);
	KUNIT_EXPECT_EQ(test, has->promisc, promisc);
	KUNIT_EXPECT_EQ(test, has->allmulti, allmulti);
}

/* Of more addresses than a command has room for, all of the kind are received. */
static void more_addresses_than_fit(struct kunit *test)
{
	unsigned int others;

	plug(test, &usual);
	be_quiet();
	/* What the guest's protocols listen to. */
	others = netdev_mc_count(near.dev);
	filters_are(test, 0, others, false, false);
	change_macs(test, false, 0, 100, true);
	change_macs(test, true, 0, 100, true);
	filters_are(test, 100, 100 + others, false, false);
	change_macs(test, false, 100, 700, true);
	filters_are(test, 0, 100 + others, true, false);
	/* It is the two together that have to fit. */
	change_macs(test, false, 600, 700, false);
	filters_are(test, 600, 0, false, true);
	change_macs(test, false, 500, 600, false);
	filters_are(test, 500, 100 + others, false, false);
	change_macs(test, true, 100, 700, true);
	filters_are(test, 500, 0, false, true);
	change_macs(test, false, 0, 500, false);
	change_macs(test, true, 0, 700, false);
	filters_are(test, 0, others, false, false);
	KUNIT_EXPECT_EQ(test, counter(&near, "cvq_failed"), 0);
	moves(test);
}

/* How the address of the interface reaches a device without a command for it. */
static void the_address_of_a_device_without_a_command_for_it(struct kunit *test)
{
	struct sim_net_filters *has = kunit_kzalloc(test, sizeof(*has), GFP_KERNEL);
	struct sim_options options = usual;
	u8 mac[ETH_ALEN];
	u64 commands;

	KUNIT_ASSERT_NOT_NULL(test, has);
	/* A legacy one has it in its config space. */
	options.features = FEATURES & ~BIT_ULL(VIRTIO_NET_F_CTRL_MAC_ADDR);
	plug(test, &options);
	be_quiet();
	commands = counter(&near, "cvq_commands");
	KUNIT_EXPECT_EQ(test, set_mac(0x42), 0);
	KUNIT_EXPECT_EQ(test, near.dev->dev_addr[5], 0x42);
	sim_config_read(near.sim, 0, mac, sizeof(mac));
	KUNIT_EXPECT_MEMEQ(test, mac, near.dev->dev_addr, ETH_ALEN);
	sim_test_wait(!sim_net_filters(near.sim, has) &&
		      ether_addr_equal(has->mac, near.dev->dev_addr), COMES_MS);
	KUNIT_EXPECT_MEMEQ(test, has->mac, near.dev->dev_addr, ETH_ALEN);
	KUNIT_EXPECT_EQ(test, counter(&near, "cvq_commands"), commands);
	moves(test);

	/* A modern one keeps its own, and must not be written to. */
	options.features |= SIM_RING_FEATURES;
	plug(test, &options);
	be_quiet();
	commands = counter(&near, "cvq_commands");
	KUNIT_EXPECT_EQ(test, set_mac(0x43), 0);
	KUNIT_EXPECT_EQ(test, near.dev->dev_addr[5], 0x43);
	KUNIT_EXPECT_EQ(test, counter(&near, "cvq_commands"), commands);
	moves(test);
}

static void set_gro_hw(bool on)
{
	rtnl_lock();
	if (on)
		near.dev->wanted_features |= NETIF_F_GRO_HW;
	else
		near.dev->wanted_features &= ~NETIF_F_GRO_HW;
	netdev_update_features(near.dev);
	rtnl_unlock();
}

static void offloads_that_the_device_keeps(struct kunit *test)
{
	struct sim_net_counters counters;
	u64 all;

	plug(test, &usual);
	be_quiet();
	sim_net_counters(near.sim, &counters);
	all = counters.offloads;
	KUNIT_EXPECT_NE(test, all, BIT_ULL(VIRTIO_NET_F_GUEST_CSUM));
	act(test, &near, .op = SIM_PATCH, .queue = CTRL, .width = 1, .value = VIRTIO_NET_ERR);
	set_gro_hw(false);
	sim_test_applied(test, near.sim);
	counted(test, "cvq_failed", 1);
	KUNIT_EXPECT_TRUE(test, near.dev->features & NETIF_F_GRO_HW);
	set_gro_hw(false);
	KUNIT_EXPECT_FALSE(test, near.dev->features & NETIF_F_GRO_HW);
	sim_net_counters(near.sim, &counters);
	KUNIT_EXPECT_EQ(test, counters.offloads, BIT_ULL(VIRTIO_NET_F_GUEST_CSUM));
	set_gro_hw(true);
	KUNIT_EXPECT_TRUE(test, near.dev->features & NETIF_F_GRO_HW);
	sim_net_counters(near.sim, &counters);
	KUNIT_EXPECT_EQ(test, counters.offloads, all);
	moves(test);
}

/* A VLAN that the interface has no more is not told again, whatever the device said of it. */
static void a_vlan_that_the_device_keeps(struct kunit *test)
{
	int err;

	plug(test, &usual);
	be_quiet();
	KUNIT_EXPECT_EQ(test, add_vlan(5), 0);
	KUNIT_EXPECT_EQ(test, add_vlan(6), 0);
	act(test, &near, .op = SIM_PATCH, .queue = CTRL, .width = 1, .value = VIRTIO_NET_ERR);
	rtnl_lock();
	err = near.dev->netdev_ops->ndo_vlan_rx_kill_vid(near.dev, htons(ETH_P_8021Q), 5);
	rtnl_unlock();
	KUNIT_EXPECT_EQ(test, err, -EIO);
	sim_test_applied(test, near.sim);
	KUNIT_ASSERT_EQ(test, sim_test_freeze(near.sim), 0);
	KUNIT_ASSERT_EQ(test, sim_test_restore(near.sim), 0);
	KUNIT_EXPECT_EQ(test, vlans_known(test), 1);
	moves(test);
}

/* A command of three pieces in a ring of two places. */
static void a_ring_that_is_too_small_for_commands(struct kunit *test)
{
	struct sim_net_counters counters;
	struct sim_options options = usual;

	options.features = FEATURES | BIT_ULL(VIRTIO_F_VERSION_1);
	options.queue_size = 2;
	plug(test, &options);
	KUNIT_EXPECT_EQ(test, near.dev->real_num_tx_queues, 1);
	KUNIT_EXPECT_EQ(test, set_channels(PAIRS), -ENOSPC);
	KUNIT_EXPECT_EQ(test, set_mac(1), -ENOSPC);
	KUNIT_EXPECT_EQ(test, add_vlan(1), -ENOSPC);
	moves(test);
	/* One of two pieces fits. */
	KUNIT_EXPECT_EQ(test, sim_net_announce(near.sim), 0);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(!sim_net_counters(near.sim, &counters) &&
					      counters.commands[VIRTIO_NET_CTRL_ANNOUNCE] == 1,
					      COMES_MS));
	KUNIT_EXPECT_EQ(test, counter(&near, "cvq_timeouts"), 0);
}

static struct kunit_case net_filter_cases[] = {
	KUNIT_CASE(more_addresses_than_fit),
	KUNIT_CASE(the_address_of_a_device_without_a_command_for_it),
	KUNIT_CASE(offloads_that_the_device_keeps),
	KUNIT_CASE(a_vlan_that_the_device_keeps),
	KUNIT_CASE(a_ring_that_is_too_small_for_commands),
	{}
};

SIM_SUITE(net_filter, virtio_net_rh, sim_test_init, net_exit);

MODULE_DESCRIPTION("KUnit suite of the receive filters and offloads of virtio_net_rh");
MODULE_LICENSE("GPL");
