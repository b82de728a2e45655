// SPDX-License-Identifier: GPL-2.0-only
/*
 * The commands of virtio_net_rh to a simulated device that refuses them, does not answer,
 * answers late or out of order, or lies about the ring they are in. Whatever it does costs
 * commands, and never a packet.
 */
#include "net_kunit.h"

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
	act(test, &near, .op = SIM_PATCH, .queue = CTRL, .width = 1, .value = 1);
	KUNIT_EXPECT_EQ(test, add_vlan(7), -EIO);
	sim_test_applied(test, near.sim);
	KUNIT_EXPECT_EQ(test, set_mac(0x78), 0);
	/* In truth the device has obeyed, and would not know the second pair. */
	KUNIT_EXPECT_EQ(test, set_channels(1), 0);
	KUNIT_EXPECT_EQ(test, set_channels(PAIRS), 0);
	moves(test);
	moves_on(test, &near, &near, PAIRS - 1);
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

/* An answer that comes late belongs to its own command, and to no other. */
static void late_answers_are_nobodys(struct kunit *test)
{
	plug(test, &usual);
	be_quiet();
	act(test, &near, .op = SIM_DELAY, .queue = CTRL, .value = 300);
	KUNIT_EXPECT_EQ(test, set_mac(1), 0);
	KUNIT_EXPECT_EQ(test, near.dev->dev_addr[5], 1);

	command_timeout(test, "100");
	act(test, &near, .op = SIM_PATCH, .queue = CTRL, .width = 1, .value = VIRTIO_NET_ERR);
	act(test, &near, .op = SIM_HOLD, .queue = CTRL);
	KUNIT_EXPECT_EQ(test, set_mac(2), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, near.dev->dev_addr[5], 1);
	command_timeout(test, "10000");
	/* The refusal comes now, and the next command finds it in the ring. */
	act(test, &near, .op = SIM_RELEASE, .queue = CTRL);
	KUNIT_EXPECT_EQ(test, set_mac(3), 0);
	KUNIT_EXPECT_EQ(test, near.dev->dev_addr[5], 3);
	counted(test, "cvq_late_answers", 1);
	counted(test, "cvq_failed", 0);
	moves(test);
}

/* The answer to the second comes first, together with that to the first. */
static void answers_out_of_order(struct kunit *test)
{
	struct sim_options options = usual;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sim_rings); i++) {
		options.features = FEATURES | sim_rings[i];
		plug(test, &options);
		be_quiet();
		command_timeout(test, "100");
		act(test, &near, .op = SIM_PATCH, .queue = CTRL, .width = 1, .value = 1);
		act(test, &near, .op = SIM_REORDER, .queue = CTRL, .count = 2, .value = 2);
		KUNIT_EXPECT_EQ(test, set_mac(1), -ETIMEDOUT);
		command_timeout(test, "10000");
		KUNIT_EXPECT_EQ(test, set_mac(2), 0);
		sim_test_applied(test, near.sim);
		KUNIT_EXPECT_EQ(test, set_mac(3), 0);
		counted(test, "cvq_late_answers", 1);
		moves(test);
	}
}

/* What the device says it has written is not what is looked at. */
static void lengths_of_answers_mean_nothing(struct kunit *test)
{
	static const u32 lens[] = { 0, 2, SZ_64K, S32_MAX, U32_MAX };
	struct sim_options options = usual;
	unsigned int i, n;

	for (n = 0; n < ARRAY_SIZE(sim_rings); n++) {
		options.features = FEATURES | sim_rings[n];
		plug(test, &options);
		be_quiet();
		for (i = 0; i < ARRAY_SIZE(lens); i++) {
			act(test, &near, .op = SIM_LEN, .queue = CTRL, .value = lens[i]);
			KUNIT_EXPECT_EQ(test, set_mac(i), 0);
			KUNIT_EXPECT_EQ(test, near.dev->dev_addr[5], i);
			act(test, &near, .op = SIM_PATCH, .queue = CTRL, .width = 1, .value = 1);
			act(test, &near, .op = SIM_LEN, .queue = CTRL, .value = lens[i]);
			KUNIT_EXPECT_EQ(test, set_mac(0x77), -EIO);
			KUNIT_EXPECT_EQ(test, near.dev->dev_addr[5], i);
		}
		sim_test_applied(test, near.sim);
		moves(test);
	}
}

static void control_lie(struct kunit *test, const struct sim_ring_lie *lie, u64 ring)
{
	struct sim_options options = usual;
	unsigned int i;

	options.features = FEATURES | ring;
	options.queue_size = 64;
	plug(test, &options);
	be_quiet();
	sim_tell(test, near.sim, .op = lie->op, .queue = CTRL, .value = lie->value);
	set_mac(1);
	sim_test_applied(test, near.sim);
	/* More often than there are slots. */
	for (i = 0; i < 6; i++)
		KUNIT_EXPECT_EQ(test, set_mac(2), -EIO);
	KUNIT_EXPECT_EQ(test, set_channels(1), -EIO);
	KUNIT_EXPECT_EQ(test, near.dev->real_num_tx_queues, PAIRS);
	KUNIT_EXPECT_EQ(test, counter(&near, "cvq_timeouts"), 0);
	KUNIT_EXPECT_GE(test, counter(&near, "cvq_failed"), 1);
	KUNIT_EXPECT_TRUE(test, netif_carrier_ok(near.dev));
	moves(test);
	moves_on(test, &near, &near, PAIRS - 1);
}

static void a_broken_control_queue_costs_commands_only(struct kunit *test)
{
	sim_test_each_ring_lie(test, control_lie);
	plug(test, &usual);
	/* One that is used again later: the next command finds out. */
	be_quiet();
	act(test, &near, .op = SIM_AGAIN, .queue = CTRL, .value = 50);
	KUNIT_EXPECT_EQ(test, set_mac(1), 0);
	sim_test_wait(false, 2 * STAYS_AWAY_MS);
	KUNIT_EXPECT_EQ(test, set_mac(2), -EIO);
	moves(test);

	plug(test, &usual);
	moves(test);
	KUNIT_EXPECT_EQ(test, set_mac(1), 0);
}

static void probe_without_answers(struct kunit *test)
{
	struct sim_device *sim;

	command_timeout(test, "100");
	unplug(test, false);
	sim = sim_test_make(test, &usual);
	sim_tell(test, sim, .op = SIM_DROP, .queue = CTRL, .count = U32_MAX);
	KUNIT_EXPECT_EQ(test, sim_plug(sim), 0);
	KUNIT_ASSERT_TRUE(test, sim_test_live(sim));
	port_open(test, &near, sim);
	KUNIT_EXPECT_EQ(test, near.dev->real_num_tx_queues, 1);
	moves(test);
	unplug(test, false);
	command_timeout(test, "10000");
}

/* A device that lies about its first answer already. */
static void probe_with_a_broken_control_queue(struct kunit *test)
{
	struct sim_device *sim;

	unplug(test, false);
	sim = sim_test_make(test, &usual);
	sim_tell(test, sim, .op = SIM_ID, .queue = CTRL, .value = U32_MAX);
	KUNIT_EXPECT_EQ(test, sim_plug(sim), 0);
	sim_test_applied(test, sim);
	KUNIT_ASSERT_TRUE(test, sim_test_live(sim));
	port_open(test, &near, sim);
	KUNIT_EXPECT_EQ(test, near.dev->real_num_tx_queues, 1);
	KUNIT_EXPECT_EQ(test, set_channels(PAIRS), -EIO);
	moves(test);
}

static struct kunit_case net_ctrl_cases[] = {
	KUNIT_CASE(refused_commands_change_nothing),
	KUNIT_CASE(commands_that_are_not_answered),
	KUNIT_CASE(late_answers_are_nobodys),
	KUNIT_CASE(answers_out_of_order),
	KUNIT_CASE(lengths_of_answers_mean_nothing),
	KUNIT_CASE(a_broken_control_queue_costs_commands_only),
	KUNIT_CASE(probe_without_answers),
	KUNIT_CASE(probe_with_a_broken_control_queue),
	{}
};

SIM_SUITE(net_ctrl, virtio_net_rh, sim_test_init, net_exit);

MODULE_DESCRIPTION("KUnit suite of the commands of virtio_net_rh");
MODULE_LICENSE("GPL");
