// SPDX-License-Identifier: GPL-2.0-only
/*
 * When virtio_net_rh sends, frees and wakes, on a simulated device that uses buffers late, out
 * of order or never, and whose interrupts come when they should not, or do not come.
 */
#include "net_kunit.h"

/* Packets */

/* Packets of ours that the driver has freed, in order, by their marks. */
static atomic_t nr_freed;
static u32 freed[8];

static void note_freed(struct sk_buff *skb)
{
	unsigned int n = atomic_inc_return(&nr_freed) - 1;

	if (n < ARRAY_SIZE(freed))
		freed[n] = skb->mark;
}

/* Packets of 600, 700, ... bytes, with marks from 0 on. */
static void send_noted(struct kunit *test, unsigned int count)
{
	struct sk_buff *skb;
	unsigned int i;

	draw(&near, 1400);
	atomic_set(&nr_freed, 0);
	for (i = 0; i < count; i++) {
		skb = make_skb(&near, 600 + 100 * i, LL_RESERVED_SPACE(near.dev));
		KUNIT_ASSERT_NOT_NULL(test, skb);
		skb->mark = i;
		skb->destructor = note_freed;
		KUNIT_EXPECT_EQ(test, send_skb(&near, 0, skb, COMES_MS), NETDEV_TX_OK);
	}
}

static bool all_freed(unsigned int count)
{
	return sim_test_wait(atomic_read(&nr_freed) == count, COMES_MS);
}

/* A packet is the device's until it says that it was sent, and freed soon after that. */
static void packets_are_freed_when_they_are_used(struct kunit *test)
{
	struct sim_options options = usual;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sim_rings); i++) {
		options.features = FEATURES | sim_rings[i];
		plug(test, &options);
		moves(test);
		act(test, &near, .op = SIM_HOLD, .queue = TX, .count = 4);
		send_noted(test, 4);
		KUNIT_EXPECT_TRUE(test, sim_test_wait(sim_test_told(near.sim, SIM_HOLD) == 4,
						      COMES_MS));
		sim_test_wait(false, STAYS_AWAY_MS);
		KUNIT_EXPECT_EQ(test, atomic_read(&nr_freed), 0);
		/* Nothing is sent or received now: the interrupt must do it. */
		act(test, &near, .op = SIM_RELEASE, .queue = TX);
		KUNIT_EXPECT_TRUE(test, all_freed(4));
		skb_queue_purge(&near.got);

		act(test, &near, .op = SIM_DELAY, .queue = TX, .count = 4, .value = 300);
		send_noted(test, 4);
		KUNIT_EXPECT_TRUE(test, all_freed(4));
		sim_test_applied(test, near.sim);
		skb_queue_purge(&near.got);
		moves(test);

		/* What is never used is freed with the device. */
		act(test, &near, .op = SIM_DROP, .queue = TX, .count = 2);
		send_noted(test, 2);
		sim_test_applied(test, near.sim);
		skb_queue_purge(&near.got);
		moves(test);
		KUNIT_EXPECT_EQ(test, atomic_read(&nr_freed), 0);
		unplug(test, i);
		KUNIT_EXPECT_EQ(test, atomic_read(&nr_freed), 2);
	}
}

/* The device has them in order, and uses them backwards: it is the id that counts. */
static void buffers_used_out_of_order(struct kunit *test)
{
	struct sim_options options = usual;
	unsigned int i, n;
	struct sk_buff *skb;

	for (i = 0; i < ARRAY_SIZE(sim_rings); i++) {
		options.features = FEATURES | sim_rings[i];
		plug(test, &options);
		moves(test);
		act(test, &near, .op = SIM_REORDER, .queue = TX, .count = 4, .value = 4);
		act(test, &near, .op = SIM_REORDER, .queue = RX, .count = 4, .value = 4);
		send_noted(test, 4);
		KUNIT_EXPECT_TRUE(test, all_freed(4));
		for (n = 0; n < 4; n++) {
			KUNIT_EXPECT_EQ(test, freed[n], 3 - n);
			skb = next_frame(&near, COMES_MS);
			KUNIT_EXPECT_TRUE(test, skb && is_frame(skb, 600 + 100 * (3 - n)));
			kfree_skb(skb);
		}
		sim_test_applied(test, near.sim);
		moves(test);
		/* Late by some time each. */
		act(test, &near, .op = SIM_DELAY, .queue = SIM_ALL_QUEUES, .count = 12,
		    .value = 20);
		moves(test);
		sim_forget(near.sim);
	}
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

/* Interrupts */

static u64 received(void)
{
	struct rtnl_link_stats64 stats;

	dev_get_stats(near.dev, &stats);
	return stats.rx_packets;
}

/* Of those that tell nothing, and of thousands, no packet comes and none is lost. */
static void interrupts_that_lie(struct kunit *test)
{
	struct sim_test *t = test->priv;
	struct sim_device *sim;
	unsigned int i;
	u64 before;

	unplug(test, false);
	sim = sim_test_make(test, &usual);
	sim_tell_all(test, sim, .op = SIM_IRQ_EARLY, .count = CTRL + 1);
	sim_tell_all(test, sim, .op = SIM_IRQ_LATE, .count = CTRL + 1);
	KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
	KUNIT_ASSERT_TRUE(test, sim_test_live(sim));
	KUNIT_EXPECT_EQ(test, sim_test_told(sim, SIM_IRQ_EARLY), CTRL + 1);
	/* The interface is not up: a poll would find rings without buffers, and fill them. */
	for (i = 0; i < 20; i++)
		sim_tell_all(test, sim, .op = SIM_IRQ);
	sim_test_wait(false, STAYS_AWAY_MS);
	sim_lock(sim);
	KUNIT_EXPECT_FALSE(test, sim_available(&sim->queues[RX]));
	sim_unlock(sim);
	port_open(test, &near, sim);
	moves(test);
	before = received();
	for (i = 0; i < 20; i++)
		act(test, &near, .op = SIM_IRQ, .queue = SIM_ALL_QUEUES);
	sim_test_wait(false, STAYS_AWAY_MS);
	KUNIT_EXPECT_EQ(test, received(), before);
	act(test, &near, .op = SIM_IRQ_STORM, .queue = SIM_ALL_QUEUES, .count = 4, .value = 500);
	moves(test);
	KUNIT_EXPECT_EQ(test, sim_test_told(sim, SIM_IRQ_STORM), 4);
	KUNIT_EXPECT_EQ(test, received(), before + 6);

	/* Those after the reset come when nobody is there any more. */
	port_close(&near);
	t->sim = NULL;
	sim_unplug(sim, false);
	KUNIT_EXPECT_EQ(test, sim_test_told(sim, SIM_IRQ_LATE), CTRL + 1);
	sim_test_end(test, sim, false);
}

/* A frame without its interrupt is found by the next one, whatever that is about. */
static void a_frame_without_its_interrupt(struct kunit *test)
{
	struct sim_options options = usual;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sim_rings); i++) {
		options.features = FEATURES | sim_rings[i];
		plug(test, &options);
		moves(test);
		sim_test_wait(false, STAYS_AWAY_MS);
		act(test, &near, .op = SIM_IRQ_DROP, .queue = RX);
		draw(&near, 300);
		KUNIT_EXPECT_EQ(test, sim_net_inject(near.sim, RX, NULL, frame, 300), 0);
		sim_test_applied(test, near.sim);
		act(test, &near, .op = SIM_IRQ, .queue = RX);
		KUNIT_EXPECT_TRUE(test, comes(&near, 300));
		act(test, &near, .op = SIM_IRQ_DROP, .queue = TX, .count = 4);
		moves(test);
		sim_test_applied(test, near.sim);
	}
}

/* Fills the ring of a device that keeps what is sent, and will give it back in silence. */
static struct netdev_queue *fill_in_silence(struct kunit *test)
{
	struct netdev_queue *txq = netdev_get_tx_queue(near.dev, 0);
	u64 held = sim_test_told(near.sim, SIM_HOLD);
	unsigned int sent = 0;

	act(test, &near, .op = SIM_IRQ_DROP, .queue = TX, .count = U32_MAX);
	act(test, &near, .op = SIM_HOLD, .queue = TX, .count = U32_MAX);
	draw(&near, 600);
	while (sent < 200 && send_within(&near, 0, 600, 0) == NETDEV_TX_OK)
		sent++;
	KUNIT_EXPECT_TRUE(test, netif_tx_queue_stopped(txq));
	KUNIT_EXPECT_GT(test, sent, 0);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(sim_test_told(near.sim, SIM_HOLD) == held + sent,
					      COMES_MS));
	act(test, &near, .op = SIM_RELEASE, .queue = TX);
	sim_test_wait(false, STAYS_AWAY_MS);
	KUNIT_EXPECT_TRUE(test, netif_tx_queue_stopped(txq));
	return txq;
}

/*
 * A full queue, of whose packets no interrupt tells, is woken by the next one, by a packet
 * that comes, and if nothing does, by the stack's watchdog.
 */
static void a_full_queue_without_its_interrupt(struct kunit *test)
{
	struct sim_options options = usual;
	struct netdev_queue *txq;

	options.queue_size = 64;
	plug(test, &options);
	/* What is sent goes nowhere: no packet comes unasked. */
	act(test, &near, .op = SIM_NET_MODE, .value = 0);

	txq = fill_in_silence(test);
	act(test, &near, .op = SIM_IRQ, .queue = TX);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(!netif_tx_queue_stopped(txq), COMES_MS));
	sim_forget(near.sim);

	txq = fill_in_silence(test);
	draw(&near, 300);
	KUNIT_EXPECT_EQ(test, sim_net_inject(near.sim, RX, NULL, frame, 300), 0);
	KUNIT_EXPECT_TRUE(test, comes(&near, 300));
	KUNIT_EXPECT_TRUE(test, sim_test_wait(!netif_tx_queue_stopped(txq), COMES_MS));
	sim_forget(near.sim);

	txq = fill_in_silence(test);
	/* Five seconds are the stack's patience. */
	KUNIT_EXPECT_TRUE(test, sim_test_wait(!netif_tx_queue_stopped(txq), 2 * COMES_MS));
	KUNIT_EXPECT_GE(test, counter(&near, "tx_tx_timeouts"), 1);
	sim_forget(near.sim);
	act(test, &near, .op = SIM_NET_MODE, .value = 1);
	moves(test);
}

/* Nobody looks at a queue that is full; the watchdog finds that it has broken meanwhile. */
static void a_full_queue_that_breaks(struct kunit *test)
{
	struct sim_options options = usual;
	struct netdev_queue *txq;

	options.queue_size = 64;
	plug(test, &options);
	act(test, &near, .op = SIM_NET_MODE, .value = 0);
	act(test, &near, .op = SIM_ID, .queue = TX, .value = U32_MAX);
	txq = fill_in_silence(test);
	act(test, &near, .op = SIM_IRQ, .queue = TX);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(!netif_carrier_ok(near.dev), 2 * COMES_MS));
	KUNIT_EXPECT_TRUE(test, netif_tx_queue_stopped(txq));
	KUNIT_EXPECT_GE(test, counter(&near, "tx_tx_timeouts"), 1);
	sim_forget(near.sim);
	KUNIT_ASSERT_EQ(test, sim_test_freeze(near.sim), 0);
	KUNIT_ASSERT_EQ(test, sim_test_restore(near.sim), 0);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(netif_carrier_ok(near.dev), COMES_MS));
	act(test, &near, .op = SIM_NET_MODE, .value = 1);
	moves(test);
}

/* Devices that are bound after this have the parameter. */
static void transmit_interrupts(struct kunit *test, const char *on)
{
	const char *path = "sys/module/virtio_net_rh/parameters/napi_tx";

	KUNIT_EXPECT_EQ(test, sim_test_write(test, path, on), 1);
}

static void wake_exit(struct kunit *test)
{
	net_exit(test);
	transmit_interrupts(test, "1");
}

/*
 * With napi_tx=0 the device need not say when a packet was sent: it is nobody's any more when
 * it has been handed over. A full queue is woken all the same.
 */
static void without_transmit_interrupts(struct kunit *test)
{
	struct sim_options options = usual;
	struct netdev_queue *txq;
	unsigned int i, n, sent;

	options.queue_size = 64;
	for (i = 0; i < ARRAY_SIZE(sim_rings); i++) {
		options.features = FEATURES | sim_rings[i];
		transmit_interrupts(test, "0");
		plug(test, &options);
		transmit_interrupts(test, "1");
		moves(test);
		txq = netdev_get_tx_queue(near.dev, 0);
		act(test, &near, .op = SIM_HOLD, .queue = TX, .count = U32_MAX);
		send_noted(test, 4);
		KUNIT_EXPECT_EQ(test, atomic_read(&nr_freed), 4);
		for (n = 0; n < 4; n++) {
			KUNIT_EXPECT_EQ(test, freed[n], n);
			KUNIT_EXPECT_TRUE(test, comes(&near, 600 + 100 * n));
		}
		draw(&near, 600);
		sent = 0;
		while (sent < 200 && send_within(&near, 0, 600, 0) == NETDEV_TX_OK)
			sent++;
		KUNIT_EXPECT_TRUE(test, netif_tx_queue_stopped(txq));
		KUNIT_EXPECT_GT(test, sent, 0);
		KUNIT_EXPECT_LE(test, sent, 60);
		sim_forget(near.sim);
		KUNIT_EXPECT_TRUE(test, sim_test_wait(!netif_tx_queue_stopped(txq), COMES_MS));
		for (n = 0; n < sent; n++)
			KUNIT_EXPECT_TRUE(test, comes(&near, 600));
		moves(test);
		KUNIT_EXPECT_EQ(test, counter(&near, "tx_drops"), 0);
	}
}

static struct kunit_case net_wake_cases[] = {
	KUNIT_CASE(packets_are_freed_when_they_are_used),
	KUNIT_CASE(buffers_used_out_of_order),
	KUNIT_CASE(full_ring_stops_and_goes_on),
	KUNIT_CASE(interrupts_that_lie),
	KUNIT_CASE(a_frame_without_its_interrupt),
	KUNIT_CASE_SLOW(a_full_queue_without_its_interrupt),
	KUNIT_CASE_SLOW(a_full_queue_that_breaks),
	KUNIT_CASE(without_transmit_interrupts),
	{}
};

SIM_SUITE(net_wake, virtio_net_rh, sim_test_init, wake_exit);

MODULE_DESCRIPTION("KUnit suite of what virtio_net_rh waits for");
MODULE_LICENSE("GPL");
