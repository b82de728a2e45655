// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of virtio_net_rh's interface on a simulated device while packets are on their
 * way: suspended and resumed, asked for a reset, gone, pulled out.
 */
#include <linux/kthread.h>

#include "net_kunit.h"

/* Who sends all the time, until the interface goes. */
struct sender {
	struct task_struct *task;
	struct port from;
	unsigned int queue;
	unsigned int sent;
};

static struct sender senders[PAIRS];

static int keep_sending(void *data)
{
	struct sender *sender = data;
	struct net_device *dev = sender->from.dev;

	while (!kthread_should_stop() && READ_ONCE(dev->reg_state) == NETREG_REGISTERED) {
		if (send_within(&sender->from, sender->queue, 1400, 0) == NETDEV_TX_OK)
			WRITE_ONCE(sender->sent, sender->sent + 1);
		else
			usleep_range(500, 1000);
		/* What came back is not looked at. */
		if (skb_queue_len(&near.got) > 64)
			skb_queue_purge(&near.got);
		cond_resched();
	}
	dev_put(dev);
	while (!kthread_should_stop())
		usleep_range(500, 1000);
	return 0;
}

static void senders_start(struct kunit *test)
{
	unsigned int i;

	draw(&near, 1400);
	for (i = 0; i < PAIRS; i++) {
		struct sender *sender = &senders[i];

		sender->from = (struct port){ .dev = near.dev };
		sender->queue = i % near.dev->real_num_tx_queues;
		sender->sent = 0;
		dev_hold(near.dev);
		sender->task = kthread_run(keep_sending, sender, "net-life/%u", i);
		if (IS_ERR(sender->task)) {
			dev_put(near.dev);
			sender->task = NULL;
		}
		KUNIT_ASSERT_NOT_NULL(test, sender->task);
	}
	for (i = 0; i < PAIRS; i++)
		KUNIT_EXPECT_TRUE(test, sim_test_wait(READ_ONCE(senders[i].sent) > 50, COMES_MS));
}

/* Also of a test that failed. */
static void senders_stop(void)
{
	unsigned int i;

	for (i = 0; i < PAIRS; i++) {
		if (senders[i].task)
			kthread_stop(senders[i].task);
		senders[i].task = NULL;
	}
}

static void life_exit(struct kunit *test)
{
	senders_stop();
	net_exit(test);
}

/* The interface is up again, and the device knows what it is to know. */
static void lives(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, sim_test_wait(netif_carrier_ok(near.dev), COMES_MS));
	dry(test);
	moves(test);
}

static void wakes_up(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, sim_test_restore(near.sim), 0);
	lives(test);
}

/* Suspend */

static void a_suspend_in_mid_traffic(struct kunit *test)
{
	struct sim_options options = usual;
	unsigned int i, n;

	for (i = 0; i < ARRAY_SIZE(sim_rings); i++) {
		/* Small ones, that are full now and then, and those of most devices. */
		options.queue_size = i ? 256 : 64;
		options.features = FEATURES | sim_rings[i];
		plug(test, &options);
		for (n = 0; n < 4; n++) {
			senders_start(test);
			/* Some are with the device for good, both ways. */
			act(test, &near, .op = SIM_HOLD, .queue = n % CTRL, .count = 20);
			sim_test_wait(false, 20);
			KUNIT_EXPECT_EQ(test, sim_test_freeze(near.sim), 0);
			KUNIT_EXPECT_NE(test, send_within(&near, 0, 100, 0), NETDEV_TX_OK);
			KUNIT_EXPECT_EQ(test, set_mac(n), -ENODEV);
			KUNIT_EXPECT_EQ(test, set_channels(1), -ENODEV);
			KUNIT_EXPECT_EQ(test, set_rings(64, 64), -ENODEV);
			KUNIT_ASSERT_EQ(test, sim_test_restore(near.sim), 0);
			senders_stop();
			sim_forget(near.sim);
			lives(test);
			moves_on(test, &near, &near, PAIRS - 1);
		}
	}
}

/*
 * A ring of one place is full as soon as its queue is started; that of the last pair starts
 * so much later that others send meanwhile. No queue may be awake then that cannot take a
 * packet: each would be lost.
 */
static void a_restore_leaves_no_full_queue_awake(struct kunit *test)
{
	struct sim_options options = usual;
	unsigned int i;
	u64 dropped;

	options.features = FEATURES | BIT_ULL(VIRTIO_F_VERSION_1);
	options.queue_size = 1;
	options.pairs = 64;
	plug(test, &options);
	for (i = 0; i < 4; i++) {
		senders_start(test);
		KUNIT_ASSERT_EQ(test, sim_test_freeze(near.sim), 0);
		act(test, &near, .op = SIM_HOLD, .queue = TX, .count = U32_MAX);
		KUNIT_ASSERT_EQ(test, sim_test_restore(near.sim), 0);
		KUNIT_EXPECT_TRUE(test, sim_test_wait(near.sim->queues[TX].vq->num_free == 0,
						      COMES_MS));
		dropped = counter(&near, "tx0_drops");
		sim_test_wait(false, STAYS_AWAY_MS);
		KUNIT_EXPECT_EQ(test, counter(&near, "tx0_drops"), dropped);
		senders_stop();
		sim_forget(near.sim);
		lives(test);
	}
}

/* An interface that is down stays so, and can be opened and closed in a suspend. */
static void a_suspend_while_it_is_down(struct kunit *test)
{
	unsigned int i;
	int err;

	plug(test, &usual);
	for (i = 0; i < 4; i++) {
		rtnl_lock();
		dev_close(near.dev);
		rtnl_unlock();
		KUNIT_ASSERT_EQ(test, sim_test_freeze(near.sim), 0);
		rtnl_lock();
		err = i % 2 ? dev_open(near.dev, NULL) : 0;
		rtnl_unlock();
		KUNIT_EXPECT_EQ(test, err, i % 2 ? -ENODEV : 0);
		KUNIT_ASSERT_EQ(test, sim_test_restore(near.sim), 0);
		KUNIT_EXPECT_FALSE(test, netif_running(near.dev));
		rtnl_lock();
		err = dev_open(near.dev, NULL);
		rtnl_unlock();
		KUNIT_EXPECT_EQ(test, err, 0);
		lives(test);
	}
	KUNIT_ASSERT_EQ(test, sim_test_freeze(near.sim), 0);
	rtnl_lock();
	dev_close(near.dev);
	rtnl_unlock();
	KUNIT_ASSERT_EQ(test, sim_test_restore(near.sim), 0);
	KUNIT_EXPECT_FALSE(test, netif_running(near.dev));
}

/* A command waits for its answer, in a work; the suspend waits for that, not for ever. */
static void a_suspend_in_mid_command(struct kunit *test)
{
	plug(test, &usual);
	be_quiet();
	command_timeout(test, "1000");
	act(test, &near, .op = SIM_HOLD, .queue = CTRL, .count = U32_MAX);
	KUNIT_EXPECT_EQ(test, sim_net_announce(near.sim), 0);
	rtnl_lock();
	dev_set_promiscuity(near.dev, 1);
	rtnl_unlock();
	sim_test_wait(false, 300);
	KUNIT_ASSERT_EQ(test, sim_test_freeze(near.sim), 0);
	KUNIT_EXPECT_GE(test, sim_test_told(near.sim, SIM_HOLD), 1);
	command_timeout(test, "10000");
	sim_forget(near.sim);
	wakes_up(test);
	KUNIT_EXPECT_EQ(test, set_mac(1), 0);
	rtnl_lock();
	dev_set_promiscuity(near.dev, -1);
	rtnl_unlock();
}

/* The device has forgotten everything; what the interface is, it learns again. */
static void a_restore_tells_everything_again(struct kunit *test)
{
	struct sim_net_filters *filters = kunit_kzalloc(test, sizeof(*filters), GFP_KERNEL);
	static const u8 multi[ETH_ALEN] = { 0x33, 0x33, 0, 0, 0x12, 0x34 };
	struct sim_net_counters counters;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, filters);
	plug(test, &usual);
	KUNIT_EXPECT_EQ(test, set_mac(0x55), 0);
	near.dev->addr_assign_type = NET_ADDR_SET;
	KUNIT_EXPECT_EQ(test, add_vlan(5), 0);
	KUNIT_EXPECT_EQ(test, add_vlan(4095), 0);
	KUNIT_EXPECT_EQ(test, set_rings(64, 128), 0);
	rtnl_lock();
	dev_mc_add(near.dev, multi);
	near.dev->wanted_features &= ~NETIF_F_GRO_HW;
	netdev_update_features(near.dev);
	rtnl_unlock();
	be_quiet();
	KUNIT_ASSERT_EQ(test, sim_test_freeze(near.sim), 0);
	wakes_up(test);
	be_quiet();

	sim_net_counters(near.sim, &counters);
	KUNIT_EXPECT_EQ(test, counters.pairs, PAIRS);
	KUNIT_EXPECT_EQ(test, counters.offloads, BIT_ULL(VIRTIO_NET_F_GUEST_CSUM));
	sim_net_filters(near.sim, filters);
	KUNIT_EXPECT_MEMEQ(test, filters->mac, near.dev->dev_addr, ETH_ALEN);
	KUNIT_EXPECT_FALSE(test, filters->promisc);
	KUNIT_EXPECT_TRUE(test, test_bit(5, filters->vlans));
	KUNIT_EXPECT_TRUE(test, test_bit(4095, filters->vlans));
	for (i = 0; i < min_t(unsigned int, filters->nr_multi, SIM_NET_MACS); i++)
		if (ether_addr_equal(filters->multi[i], multi))
			break;
	KUNIT_EXPECT_LT(test, i, filters->nr_multi);
	KUNIT_EXPECT_EQ(test, near.sim->queues[RX].num, 64);
	KUNIT_EXPECT_EQ(test, near.sim->queues[TX].num, 128);
	rtnl_lock();
	dev_mc_del(near.dev, multi);
	rtnl_unlock();
	moves_on(test, &near, &near, PAIRS - 1);
}

static void a_restore_with_other_rings(struct kunit *test)
{
	static const u16 sizes[] = { 64, 1024, 1, 256 };
	unsigned int i;

	plug(test, &usual);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		KUNIT_ASSERT_EQ(test, sim_test_freeze(near.sim), 0);
		near.sim->options.queue_size = sizes[i];
		wakes_up(test);
		KUNIT_EXPECT_EQ(test, near.sim->queues[RX].num, sizes[i]);
	}
	/* A size that somebody has asked for, and that is not to be had any more. */
	KUNIT_EXPECT_EQ(test, set_rings(128, 128), 0);
	KUNIT_ASSERT_EQ(test, sim_test_freeze(near.sim), 0);
	near.sim->options.queue_size = 64;
	wakes_up(test);
	KUNIT_EXPECT_EQ(test, near.sim->queues[TX].num, 64);
	/* It comes back with the device that can. */
	KUNIT_ASSERT_EQ(test, sim_test_freeze(near.sim), 0);
	near.sim->options.queue_size = 256;
	wakes_up(test);
	KUNIT_EXPECT_EQ(test, near.sim->queues[TX].num, 128);
}

static void a_restore_with_fewer_pairs(struct kunit *test)
{
	plug(test, &usual);
	be_quiet();
	KUNIT_ASSERT_EQ(test, sim_test_freeze(near.sim), 0);
	act(test, &near, .op = SIM_PATCH, .queue = CTRL, .width = 1, .value = VIRTIO_NET_ERR);
	wakes_up(test);
	sim_test_applied(test, near.sim);
	KUNIT_EXPECT_EQ(test, near.dev->real_num_tx_queues, 1);
	KUNIT_EXPECT_EQ(test, near.dev->real_num_rx_queues, 1);
	KUNIT_EXPECT_EQ(test, set_channels(PAIRS), 0);
	moves_on(test, &near, &near, PAIRS - 1);
}

/* What was read in probe holds; a running interface is not asked again. */
static void a_restore_with_another_configuration(struct kunit *test)
{
	static const u16 mtus[] = { 0, 68, 9000, U16_MAX };
	unsigned int i;
	u8 mac[ETH_ALEN];

	plug(test, &usual);
	ether_addr_copy(mac, near.dev->dev_addr);
	for (i = 0; i < ARRAY_SIZE(mtus); i++) {
		KUNIT_ASSERT_EQ(test, sim_test_freeze(near.sim), 0);
		act(test, &near, .op = SIM_NET_MTU, .value = mtus[i]);
		act(test, &near, .op = SIM_CONFIG, .at = offsetof(struct virtio_net_config,
								  max_virtqueue_pairs),
		    .width = 2, .value = mtus[i]);
		wakes_up(test);
		KUNIT_EXPECT_EQ(test, near.dev->mtu, ETH_DATA_LEN);
		KUNIT_EXPECT_EQ(test, near.dev->real_num_tx_queues, PAIRS);
		KUNIT_EXPECT_MEMEQ(test, near.dev->dev_addr, mac, ETH_ALEN);
	}
}

/* New rings, and the carrier is back; commands do not cost it. */
static void a_restore_mends_what_broke(struct kunit *test)
{
	static const u16 broken[] = { RX, TX, CTRL };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(broken); i++) {
		plug(test, &usual);
		be_quiet();
		act(test, &near, .op = SIM_ID, .queue = broken[i], .value = U32_MAX);
		draw(&near, 300);
		send(&near, 0, 300);
		if (broken[i] == CTRL) {
			KUNIT_EXPECT_EQ(test, set_mac(1), -EIO);
			KUNIT_EXPECT_TRUE(test, netif_carrier_ok(near.dev));
		} else {
			sim_test_wait(false, STAYS_AWAY_MS);
			send_within(&near, 0, 300, 0);
			KUNIT_EXPECT_TRUE(test, sim_test_wait(!netif_carrier_ok(near.dev),
							      COMES_MS));
		}
		sim_test_applied(test, near.sim);
		KUNIT_ASSERT_EQ(test, sim_test_freeze(near.sim), 0);
		wakes_up(test);
		KUNIT_EXPECT_EQ(test, set_mac(2), 0);
	}
}

/* Reset, and the end */

/* The driver goes on: whether the device does is its own affair. */
static void needs_reset_while_it_runs(struct kunit *test)
{
	plug(test, &usual);
	senders_start(test);
	act(test, &near, .op = SIM_NEEDS_RESET);
	sim_test_wait(false, STAYS_AWAY_MS);
	senders_stop();
	dry(test);
	moves(test);
	KUNIT_EXPECT_EQ(test, set_mac(3), 0);
	KUNIT_ASSERT_EQ(test, sim_test_freeze(near.sim), 0);
	wakes_up(test);
}

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

static void removed_under_load(struct kunit *test)
{
	struct sim_options options = usual;
	unsigned int how, i;

	command_timeout(test, "100");
	for (i = 0; i < ARRAY_SIZE(sim_rings); i++) {
		options.features = FEATURES | sim_rings[i];
		for (how = 0; how < 4; how++) {
			plug(test, &options);
			senders_start(test);
			if (how == 2)
				act(test, &near, .op = SIM_GONE);
			if (how == 3)
				act(test, &near, .op = SIM_NEEDS_RESET);
			unplug(test, how == 1);
			senders_stop();
		}
	}
	plug(test, &usual);
	moves(test);
}

static void gone_before_probe(struct kunit *test)
{
	struct sim_device *sim;

	command_timeout(test, "100");
	unplug(test, false);
	sim = sim_test_make(test, &usual);
	sim_tell(test, sim, .op = SIM_GONE);
	sim_test_refused(test, sim);
	plug(test, &usual);
	moves(test);
}

/* At each access to the device in turn, until there are no more. */
static void gone_in_probe(struct kunit *test)
{
	struct sim_vanish vanish = {};
	struct sim_device *sim;

	command_timeout(test, "100");
	while (sim_vanish_next(test, &vanish)) {
		unplug(test, false);
		sim = sim_test_make(test, &usual);
		sim_vanish_begin(test, &vanish, sim);
		KUNIT_EXPECT_EQ(test, sim_plug(sim), 0);
		sim_vanish_end(&vanish, sim);
	}
	KUNIT_EXPECT_GT(test, vanish.accesses, 20);
	plug(test, &usual);
	moves(test);
}

static void gone_in_a_restore(struct kunit *test)
{
	struct sim_vanish vanish = {};

	command_timeout(test, "100");
	while (sim_vanish_next(test, &vanish)) {
		plug(test, &usual);
		be_quiet();
		KUNIT_ASSERT_EQ(test, sim_test_freeze(near.sim), 0);
		sim_vanish_begin(test, &vanish, near.sim);
		sim_test_restore(near.sim);
		sim_vanish_end(&vanish, near.sim);
	}
	KUNIT_EXPECT_GT(test, vanish.accesses, 5);
	plug(test, &usual);
	moves(test);
}

/* Each virtqueue in turn is not to be had. */
static void without_a_queue(struct kunit *test)
{
	struct sim_device *sim;
	unsigned int queue;

	for (queue = 0; queue <= CTRL; queue++) {
		unplug(test, false);
		sim = sim_test_make(test, &usual);
		sim_tell(test, sim, .op = SIM_VQ_FAIL, .queue = queue);
		sim_test_refused(test, sim);
		sim_test_applied(test, sim);

		plug(test, &usual);
		KUNIT_ASSERT_EQ(test, sim_test_freeze(near.sim), 0);
		act(test, &near, .op = SIM_VQ_FAIL, .queue = queue);
		KUNIT_EXPECT_EQ(test, sim_test_restore(near.sim), -ENOENT);
		sim_test_applied(test, near.sim);
		KUNIT_EXPECT_EQ(test, set_mac(1), -ENODEV);
		KUNIT_EXPECT_NE(test, send_within(&near, 0, 100, 0), NETDEV_TX_OK);
		/* A second try finds them all. */
		KUNIT_EXPECT_EQ(test, sim_test_freeze(near.sim), 0);
		wakes_up(test);
	}
}

static void gone_in_a_suspend(struct kunit *test)
{
	command_timeout(test, "100");
	plug(test, &usual);
	KUNIT_ASSERT_EQ(test, sim_test_freeze(near.sim), 0);
	act(test, &near, .op = SIM_GONE);
	KUNIT_EXPECT_NE(test, sim_test_restore(near.sim), 0);
	KUNIT_EXPECT_EQ(test, set_mac(1), -ENODEV);
	KUNIT_EXPECT_NE(test, send_within(&near, 0, 100, 0), NETDEV_TX_OK);
	unplug(test, true);

	/* And before it. */
	plug(test, &usual);
	senders_start(test);
	act(test, &near, .op = SIM_GONE);
	KUNIT_EXPECT_EQ(test, sim_test_freeze(near.sim), 0);
	KUNIT_EXPECT_NE(test, sim_test_restore(near.sim), 0);
	senders_stop();
	plug(test, &usual);
	moves(test);
}

static int restore_again(struct virtio_device *vdev)
{
	struct virtio_driver *driver = container_of(vdev->dev.driver, struct virtio_driver,
						    driver);

	return driver->restore(vdev);
}

/* A device that was bound while the core was on its way to its driver is in use already. */
static void a_restore_of_a_device_that_runs(struct kunit *test)
{
	int err;

	plug(test, &usual);
	senders_start(test);
	device_lock(&near.sim->vdev.dev);
	err = restore_again(&near.sim->vdev);
	device_unlock(&near.sim->vdev.dev);
	KUNIT_EXPECT_EQ(test, err, -EBUSY);
	senders_stop();
	lives(test);
	KUNIT_EXPECT_EQ(test, set_mac(1), 0);
}

static void a_device_without_config_space_is_refused(struct kunit *test)
{
	sim_test_without_config(test, sim_test_plug(test, &usual));
	plug(test, &usual);
	moves(test);
}

static struct kunit_case net_life_cases[] = {
	KUNIT_CASE_SLOW(a_suspend_in_mid_traffic),
	KUNIT_CASE(a_restore_leaves_no_full_queue_awake),
	KUNIT_CASE(a_suspend_while_it_is_down),
	KUNIT_CASE(a_suspend_in_mid_command),
	KUNIT_CASE(a_restore_tells_everything_again),
	KUNIT_CASE(a_restore_with_other_rings),
	KUNIT_CASE(a_restore_with_fewer_pairs),
	KUNIT_CASE(a_restore_with_another_configuration),
	KUNIT_CASE(a_restore_mends_what_broke),
	KUNIT_CASE(needs_reset_while_it_runs),
	KUNIT_CASE(removed_in_flight),
	KUNIT_CASE(removed_under_load),
	KUNIT_CASE(gone_before_probe),
	KUNIT_CASE(gone_in_probe),
	KUNIT_CASE(gone_in_a_restore),
	KUNIT_CASE(gone_in_a_suspend),
	KUNIT_CASE(without_a_queue),
	KUNIT_CASE(a_restore_of_a_device_that_runs),
	KUNIT_CASE(a_device_without_config_space_is_refused),
	{}
};

SIM_SUITE(net_life, virtio_net_rh, sim_test_init, life_exit);

MODULE_DESCRIPTION("KUnit suite of suspends and removals of virtio_net_rh");
MODULE_LICENSE("GPL");
