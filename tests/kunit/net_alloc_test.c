// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_net_rh on a simulated device, with each allocation of its own failing once: in
 * probe, open, transmit, receive, commands, changes of queues and rings, restore. What
 * failed is an error or a counted drop, the next try works, and nothing is left behind.
 * What runs in other threads than ours fails there, as these can be told to as well.
 */
#include <linux/sched/task.h>
#include <linux/workqueue.h>

#include "net_kunit.h"

static void use(struct kunit *test, struct sim_device *sim)
{
	port_open(test, &near, sim);
	moves(test);
	port_close(&near);
}

/* An interface on a new device, not open yet. */
static struct net_device *plug_closed(struct kunit *test, const struct sim_options *options)
{
	struct net_device *dev = NULL;
	struct sim_device *sim;

	unplug(test, false);
	sim = sim_test_plug(test, options);
	device_for_each_child(&sim->vdev.dev, &dev, find_net);
	KUNIT_ASSERT_NOT_NULL(test, dev);
	rtnl_lock();
	dev->priv_flags |= IFF_NO_ADDRCONF;
	rtnl_unlock();
	return dev;
}

static void each_allocation_of_probe(struct kunit *test)
{
	struct sim_options options = usual;

	options.queue_size = 64;
	sim_test_sweep_plug(test, &options, 20, use);
}

/* A queue without buffers asks for them again, by itself. */
static void each_allocation_of_open(struct kunit *test)
{
	struct sim_options options = usual;
	struct sim_sweep sweep;
	struct net_device *dev;
	unsigned int i;
	int err;

	options.queue_size = 64;
	for (i = 0; i < ARRAY_SIZE(sim_rings); i++) {
		options.features = FEATURES | sim_rings[i];
		sweep = (struct sim_sweep){};
		while (sim_sweep_next(test, &sweep)) {
			dev = plug_closed(test, &options);
			rtnl_lock();
			sim_sweep_begin(&sweep);
			err = dev_open(dev, NULL);
			sim_sweep_end(&sweep);
			rtnl_unlock();
			KUNIT_EXPECT_EQ(test, err, 0);
			port_open(test, &near, ((struct sim_test *)test->priv)->sim);
			moves(test);
			moves_on(test, &near, &near, PAIRS - 1);
		}
	}
}

/* One frame of @len bytes comes, or is counted as dropped; those after it come. */
static void send_sweep(struct kunit *test, const struct sim_options *options, size_t len,
		       bool may_drop)
{
	struct sim_sweep sweep = {};
	u64 dropped = 0, before;
	int err;

	plug(test, options);
	be_quiet();
	while (sim_sweep_next(test, &sweep)) {
		before = counter(&near, "tx_drops");
		draw(&near, len);
		sim_sweep_begin(&sweep);
		err = send(&near, 0, len);
		sim_sweep_end(&sweep);
		KUNIT_EXPECT_EQ(test, err, NETDEV_TX_OK);
		if (counter(&near, "tx_drops") == before)
			KUNIT_EXPECT_TRUE(test, comes(&near, len));
		else
			dropped++;
		draw(&near, len);
		KUNIT_EXPECT_EQ(test, send(&near, 0, len), NETDEV_TX_OK);
		KUNIT_EXPECT_TRUE(test, comes(&near, len));
	}
	KUNIT_EXPECT_EQ(test, !!dropped, may_drop);
	moves(test);
}

static void each_allocation_of_a_transmit(struct kunit *test)
{
	struct sim_options options = usual;

	/* Without memory for an indirect table the packet goes into the ring itself. */
	send_sweep(test, &usual, 700, false);
	options.features = FEATURES | SIM_PACKED_FEATURES;
	send_sweep(test, &options, 700, false);
	/*
	 * A legacy device wants the header in a descriptor of its own: what has three pieces
	 * then must be copied into one, for which there is no other way.
	 */
	options.features = FEATURES;
	options.queue_size = 2;
	send_sweep(test, &options, 1400, true);
}

/* The polls, in threads that can be told which of their allocations is to fail */

static void polls_begin(const struct sim_sweep *sweep)
{
#ifdef CONFIG_FAULT_INJECTION
	struct napi_struct *napi;

	list_for_each_entry(napi, &near.dev->napi_list, dev_list)
		if (napi->thread)
			WRITE_ONCE(napi->thread->fail_nth, sweep->nth);
#endif
}

/* Only one queue receives. */
static void polls_end(struct sim_sweep *sweep)
{
	sweep->left = sweep->nth;
#ifdef CONFIG_FAULT_INJECTION
	struct napi_struct *napi;

	list_for_each_entry(napi, &near.dev->napi_list, dev_list) {
		if (!napi->thread)
			continue;
		sweep->left = min_t(unsigned int, sweep->left, READ_ONCE(napi->thread->fail_nth));
		WRITE_ONCE(napi->thread->fail_nth, 0);
	}
#endif
}

static bool polls_in_threads(struct kunit *test)
{
	char path[64];

	snprintf(path, sizeof(path), "sys/class/net/%s/threaded", near.dev->name);
	return sim_test_write(test, path, "1") == 1;
}

/* Twenty frames, each of which comes or is counted as dropped; how many were. */
static u64 receive_some(struct kunit *test)
{
	u64 before = counter(&near, "rx_drops");
	struct sk_buff *skb;
	unsigned int i, n;

	draw(&near, 1000);
	for (i = 0, n = 0; i < 20; i++)
		n += !sim_net_inject(near.sim, RX, NULL, frame, 1000);
	KUNIT_EXPECT_GT(test, n, 0);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(skb_queue_len(&near.got) +
					      counter(&near, "rx_drops") - before == n,
					      COMES_MS));
	while ((skb = skb_dequeue(&near.got))) {
		KUNIT_EXPECT_TRUE(test, is_frame(skb, 1000));
		kfree_skb(skb);
	}
	return counter(&near, "rx_drops") - before;
}

/*
 * A frame, in as many buffers as it takes, and then so many small ones that the queue is
 * filled up again.
 */
static void receive_sweep(struct kunit *test, u64 features, size_t len)
{
	struct sim_options options = usual;
	u64 before, failed, dropped = 0;
	struct sim_sweep sweep = {};
	unsigned int i;

	options.features = features;
	options.queue_size = 64;
	plug(test, &options);
	KUNIT_ASSERT_TRUE(test, polls_in_threads(test));
	moves(test);
	failed = counter(&near, "rx_alloc_fail");
	while (sim_sweep_next(test, &sweep)) {
		draw(&near, len);
		before = counter(&near, "rx_drops");
		polls_begin(&sweep);
		KUNIT_EXPECT_EQ(test, sim_net_inject(near.sim, RX, NULL, frame, len), 0);
		sim_test_wait(!skb_queue_empty(&near.got) || counter(&near, "rx_drops") > before,
			      COMES_MS);
		if (counter(&near, "rx_drops") == before)
			KUNIT_EXPECT_TRUE(test, comes(&near, len));
		else
			dropped++;
		/* The stack's store of skbs is filled from time to time only. */
		for (i = 0; i < 4; i++)
			dropped += receive_some(test);
		polls_end(&sweep);
		moves(test);
	}
	KUNIT_EXPECT_GT(test, counter(&near, "rx_alloc_fail"), failed);
	KUNIT_EXPECT_GT(test, dropped, 0);
}

static void each_allocation_of_a_receive(struct kunit *test)
{
	u64 features = FEATURES & ~BIT_ULL(VIRTIO_NET_F_MTU);

	receive_sweep(test, features | SIM_RING_FEATURES, 1000);
	receive_sweep(test, features | SIM_PACKED_FEATURES, 1000);
	/* More pieces than an skb has room for, and the ring is as good as empty after it. */
	receive_sweep(test, features | SIM_RING_FEATURES, 60000);
}

/* Changes */

/* So many pairs as the stack thinks there are, the driver and the device do use. */
static void pairs_agree(struct kunit *test, unsigned int pairs)
{
	struct ethtool_channels channels = {};
	struct sim_net_counters counters;
	unsigned int i;

	rtnl_lock();
	near.dev->ethtool_ops->get_channels(near.dev, &channels);
	rtnl_unlock();
	sim_net_counters(near.sim, &counters);
	KUNIT_EXPECT_EQ(test, channels.combined_count, pairs);
	KUNIT_EXPECT_EQ(test, counters.pairs, pairs);
	KUNIT_EXPECT_EQ(test, near.dev->real_num_tx_queues, pairs);
	KUNIT_EXPECT_EQ(test, near.dev->real_num_rx_queues, pairs);
	for (i = 0; i < pairs; i++)
		moves_on(test, &near, &near, i);
}

static void each_allocation_of_a_change_of_pairs(struct kunit *test)
{
	static const u8 changes[][2] = { { PAIRS, 1 }, { 1, PAIRS } };
	struct sim_sweep sweep;
	unsigned int i;
	int err;

	plug(test, &usual);
	be_quiet();
	for (i = 0; i < ARRAY_SIZE(changes); i++) {
		sweep = (struct sim_sweep){};
		while (sim_sweep_next(test, &sweep)) {
			KUNIT_EXPECT_EQ(test, set_channels(changes[i][0]), 0);
			sim_sweep_begin(&sweep);
			err = set_channels(changes[i][1]);
			sim_sweep_end(&sweep);
			KUNIT_EXPECT_TRUE(test, !err || err == -ENOMEM);
			pairs_agree(test, changes[i][!err]);
		}
	}
}

static void each_allocation_of_a_change_of_rings(struct kunit *test)
{
	struct sim_options options = usual;
	unsigned int i, refused, mended;
	struct sim_sweep sweep;
	int err;

	for (i = 0; i < ARRAY_SIZE(sim_rings); i++) {
		options.features = FEATURES | sim_rings[i];
		plug(test, &options);
		be_quiet();
		sweep = (struct sim_sweep){};
		refused = 0;
		mended = 0;
		while (sim_sweep_next(test, &sweep)) {
			KUNIT_EXPECT_EQ(test, set_rings(256, 256), 0);
			sim_sweep_begin(&sweep);
			err = set_rings(64, 128);
			sim_sweep_end(&sweep);
			/* Also the device may lack it, which then does not take the queue back. */
			if (err == -EBUSY) {
				mended++;
				KUNIT_EXPECT_TRUE(test, sim_test_wait(!netif_carrier_ok(near.dev),
								      COMES_MS));
				KUNIT_ASSERT_EQ(test, sim_test_freeze(near.sim), 0);
				KUNIT_ASSERT_EQ(test, sim_test_restore(near.sim), 0);
				KUNIT_EXPECT_TRUE(test, sim_test_wait(netif_carrier_ok(near.dev),
								      COMES_MS));
			} else {
				KUNIT_EXPECT_TRUE(test, !err || err == -ENOMEM);
				refused += !!err;
			}
			KUNIT_EXPECT_EQ(test, near.sim->queues[RX].num, err ? 256 : 64);
			KUNIT_EXPECT_EQ(test, near.sim->queues[TX].num, err ? 256 : 128);
			KUNIT_EXPECT_TRUE(test, netif_carrier_ok(near.dev));
			moves(test);
			moves_on(test, &near, &near, PAIRS - 1);
		}
		kunit_info(test, "%u refused, %u mended", refused, mended);
		KUNIT_EXPECT_GT(test, refused, 0);
	}
}

/* Commands go without an indirect table. */
static void each_allocation_of_a_command(struct kunit *test)
{
	struct sim_net_filters *filters = kunit_kzalloc(test, sizeof(*filters), GFP_KERNEL);
	struct sim_sweep sweep = {};

	KUNIT_ASSERT_NOT_NULL(test, filters);
	plug(test, &usual);
	be_quiet();
	while (sim_sweep_next(test, &sweep)) {
		sim_sweep_begin(&sweep);
		KUNIT_EXPECT_EQ(test, set_mac(sweep.nth), 0);
		KUNIT_EXPECT_EQ(test, add_vlan(sweep.nth), 0);
		sim_sweep_end(&sweep);
		sim_net_filters(near.sim, filters);
		KUNIT_EXPECT_EQ(test, filters->mac[5], (u8)sweep.nth);
		KUNIT_EXPECT_TRUE(test, test_bit(sweep.nth, filters->vlans));
	}
	moves(test);
}

/*
 * Receive filters are sent by a work. The change that asks for it comes from one of ours,
 * whose thread goes on with what it has queued, and so has that work's allocation fail.
 */
struct change {
	struct work_struct work;
	struct task_struct *task;
	unsigned int nth;
	const u8 *mac;
	bool add;
};

static const u8 groups[2][ETH_ALEN] = {
	{ 0x33, 0x33, 0, 0, 0x12, 0x34 }, { 0x33, 0x33, 0, 0, 0x12, 0x35 },
};

static void do_change(struct work_struct *work)
{
	struct change *change = container_of(work, struct change, work);

	change->task = get_task_struct(current);
#ifdef CONFIG_FAULT_INJECTION
	WRITE_ONCE(current->fail_nth, change->nth);
#endif
	if (change->add)
		dev_mc_add(near.dev, change->mac);
	else
		dev_mc_del(near.dev, change->mac);
}

/* What is left of @nth afterwards: all of it if another thread has sent the filters. */
static unsigned int change_filters(unsigned int nth, const u8 *mac, bool add)
{
	struct change change = { .nth = nth, .mac = mac, .add = add };
	unsigned int left = nth;

	INIT_WORK_ONSTACK(&change.work, do_change);
	schedule_work(&change.work);
	flush_work(&change.work);
	destroy_work_on_stack(&change.work);
	be_quiet();
#ifdef CONFIG_FAULT_INJECTION
	left = READ_ONCE(change.task->fail_nth);
	WRITE_ONCE(change.task->fail_nth, 0);
#endif
	put_task_struct(change.task);
	return left;
}

static bool listens(struct sim_net_filters *filters, const u8 *mac)
{
	unsigned int i;

	sim_net_filters(near.sim, filters);
	for (i = 0; i < min_t(unsigned int, filters->nr_multi, SIM_NET_MACS); i++)
		if (ether_addr_equal(filters->multi[i], mac))
			return true;
	return false;
}

static void each_allocation_of_the_receive_filters(struct kunit *test)
{
	struct sim_net_filters *filters = kunit_kzalloc(test, sizeof(*filters), GFP_KERNEL);
	struct sim_sweep sweep = {};
	unsigned int failed = 0, i;

	KUNIT_ASSERT_NOT_NULL(test, filters);
	plug(test, &usual);
	be_quiet();
	while (sim_sweep_next(test, &sweep)) {
		for (i = 0; i < 20; i++) {
			sweep.left = change_filters(sweep.nth, groups[0], true);
			if (sweep.left < sweep.nth)
				break;
			change_filters(0, groups[0], false);
		}
		failed += !listens(filters, groups[0]);
		/* What was not told then is told by the next change. */
		change_filters(0, groups[1], true);
		KUNIT_EXPECT_TRUE(test, listens(filters, groups[0]));
		KUNIT_EXPECT_TRUE(test, listens(filters, groups[1]));
		change_filters(0, groups[0], false);
		change_filters(0, groups[1], false);
		KUNIT_EXPECT_FALSE(test, listens(filters, groups[0]));
		moves(test);
	}
	/* Without memory for the table no command is sent. */
	KUNIT_EXPECT_GT(test, failed, 0);
}

static void each_allocation_of_a_restore(struct kunit *test)
{
	struct sim_options options = usual;
	unsigned int i, refused, mended;
	struct sim_sweep sweep;
	int err;

	for (i = 0; i < ARRAY_SIZE(sim_rings); i++) {
		options.features = FEATURES | sim_rings[i];
		plug(test, &options);
		KUNIT_EXPECT_EQ(test, set_rings(64, 64), 0);
		sweep = (struct sim_sweep){};
		refused = 0;
		mended = 0;
		while (sim_sweep_next(test, &sweep)) {
			KUNIT_ASSERT_EQ(test, sim_test_freeze(near.sim), 0);
			sim_sweep_begin(&sweep);
			err = sim_test_restore(near.sim);
			sim_sweep_end(&sweep);
			KUNIT_EXPECT_TRUE(test, !err || err == -ENOMEM);
			if (err) {
				refused++;
				KUNIT_EXPECT_EQ(test, set_mac(1), -ENODEV);
			} else if (virtqueue_is_broken(near.sim->queues[RX].vq)) {
				/* It is the device that lacked it, for a queue of another size. */
				mended++;
				KUNIT_EXPECT_EQ(test, set_mac(1), -EIO);
				err = -EIO;
			}
			/* The next one, for which there is memory, does it. */
			if (err) {
				KUNIT_ASSERT_EQ(test, sim_test_freeze(near.sim), 0);
				KUNIT_ASSERT_EQ(test, sim_test_restore(near.sim), 0);
			}
			KUNIT_EXPECT_TRUE(test, sim_test_wait(netif_carrier_ok(near.dev),
							      COMES_MS));
			moves_on(test, &near, &near, near.dev->real_num_tx_queues - 1);
		}
		kunit_info(test, "%u refused, %u mended", refused, mended);
		KUNIT_EXPECT_GT(test, refused, 0);
		KUNIT_EXPECT_EQ(test, near.sim->queues[RX].num, 64);
		moves(test);
	}
}

static struct kunit_case net_alloc_cases[] = {
	KUNIT_CASE_SLOW(each_allocation_of_probe),
	KUNIT_CASE_SLOW(each_allocation_of_open),
	KUNIT_CASE_SLOW(each_allocation_of_a_transmit),
	KUNIT_CASE_SLOW(each_allocation_of_a_receive),
	KUNIT_CASE_SLOW(each_allocation_of_a_change_of_pairs),
	KUNIT_CASE_SLOW(each_allocation_of_a_change_of_rings),
	KUNIT_CASE_SLOW(each_allocation_of_a_command),
	KUNIT_CASE_SLOW(each_allocation_of_the_receive_filters),
	KUNIT_CASE_SLOW(each_allocation_of_a_restore),
	{}
};

SIM_SUITE(net_alloc, virtio_net_rh, sim_test_init, net_exit);

MODULE_DESCRIPTION("KUnit suite of virtio_net_rh with failing allocations");
MODULE_LICENSE("GPL");
