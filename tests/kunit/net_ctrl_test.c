// SPDX-License-Identifier: GPL-2.0-only
/*
 * The commands of virtio_net_rh to a simulated device that refuses them, does not answer,
 * answers late or out of order, or lies about the ring they are in. Whatever it does costs
 * commands, and never a packet.
 */
#include <linux/string.h>
#include <linux/tracepoint.h>
#include <trace/events/printk.h>

#include "net_kunit.h"

/* The kernel's log */

/* Lines that have @sought in them. */
static char *sought;
static atomic_t nr_lines;

static void read_line(void *data, const char *line, size_t len)
{
	if (strnstr(line, data, len))
		atomic_inc(&nr_lines);
}

static void listen_no_more(void)
{
	if (!sought)
		return;
	unregister_trace_console(read_line, sought);
	tracepoint_synchronize_unregister();
	sought = NULL;
}

/* From here on lines with @text in them are counted. */
static void listen_for(struct kunit *test, char *text)
{
	listen_no_more();
	atomic_set(&nr_lines, 0);
	KUNIT_ASSERT_EQ(test, register_trace_console(read_line, text), 0);
	sought = text;
}

/* As many pairs serve the stack both ways. */
static void expect_pairs(struct kunit *test, unsigned int nr)
{
	KUNIT_EXPECT_EQ(test, near.dev->real_num_tx_queues, nr);
	KUNIT_EXPECT_EQ(test, near.dev->real_num_rx_queues, nr);
}

static void ctrl_exit(struct kunit *test)
{
	listen_no_more();
	net_exit(test);
}

/* Answers */

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
	expect_pairs(test, PAIRS);
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
	u64 failed;

	options.features = FEATURES | ring;
	options.queue_size = 64;
	plug(test, &options);
	be_quiet();
	sim_tell(test, near.sim, .op = lie->op, .queue = CTRL, .value = lie->value);
	set_mac(1);
	sim_test_applied(test, near.sim);
	failed = counter(&near, "cvq_failed");
	/* More often than there are slots. */
	for (i = 0; i < 6; i++)
		KUNIT_EXPECT_EQ(test, set_mac(2), -EIO);
	KUNIT_EXPECT_EQ(test, set_channels(1), -EIO);
	expect_pairs(test, PAIRS);
	KUNIT_EXPECT_EQ(test, counter(&near, "cvq_timeouts"), 0);
	/* Each of them is counted. */
	KUNIT_EXPECT_EQ(test, counter(&near, "cvq_failed"), failed + 7);
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

/* However many commands fail after it; and once more when new rings have broken again. */
static void a_break_is_told_once(struct kunit *test)
{
	unsigned int i;

	plug(test, &usual);
	listen_for(test, "the control virtqueue is broken");
	for (i = 1; i <= 2; i++) {
		be_quiet();
		act(test, &near, .op = SIM_ID, .queue = CTRL, .value = U32_MAX);
		KUNIT_EXPECT_EQ(test, set_mac(1), -EIO);
		sim_test_applied(test, near.sim);
		KUNIT_EXPECT_EQ(test, add_vlan(2), -EIO);
		KUNIT_EXPECT_EQ(test, set_mac(3), -EIO);
		counted(test, "cvq_failed", 3 * i);
		KUNIT_EXPECT_EQ(test, atomic_read(&nr_lines), i);
		KUNIT_EXPECT_TRUE(test, netif_carrier_ok(near.dev));
		moves(test);
		KUNIT_ASSERT_EQ(test, sim_test_freeze(near.sim), 0);
		KUNIT_ASSERT_EQ(test, sim_test_restore(near.sim), 0);
		KUNIT_EXPECT_EQ(test, set_mac(4), 0);
	}
	KUNIT_EXPECT_EQ(test, counter(&near, "cvq_timeouts"), 0);
	listen_no_more();
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
	expect_pairs(test, 1);
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
	expect_pairs(test, 1);
	KUNIT_EXPECT_EQ(test, set_channels(PAIRS), -EIO);
	moves(test);
}

/* An answer that comes when nobody sends commands any more. */
static void a_late_answer_is_seen_without_another_command(struct kunit *test)
{
	u64 commands;

	plug(test, &usual);
	be_quiet();
	command_timeout(test, "100");
	act(test, &near, .op = SIM_HOLD, .queue = CTRL);
	KUNIT_EXPECT_EQ(test, set_mac(1), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, counter(&near, "cvq_late_answers"), 0);
	commands = counter(&near, "cvq_commands");
	act(test, &near, .op = SIM_RELEASE, .queue = CTRL);
	counted(test, "cvq_late_answers", 1);
	KUNIT_EXPECT_EQ(test, counter(&near, "cvq_commands"), commands);
}

/* What a silent device was told it may have done: fewer pairs are right in both cases. */
static void pairs_of_a_device_that_is_silent(struct kunit *test)
{
	plug(test, &usual);
	be_quiet();
	command_timeout(test, "100");
	act(test, &near, .op = SIM_HOLD, .queue = CTRL, .count = 2);
	KUNIT_EXPECT_EQ(test, set_channels(1), -ETIMEDOUT);
	expect_pairs(test, 1);
	moves(test);
	KUNIT_EXPECT_EQ(test, set_channels(PAIRS), -ETIMEDOUT);
	expect_pairs(test, 1);
	moves(test);
	counted(test, "cvq_timeouts", 2);
	sim_test_applied(test, near.sim);
	sim_forget(near.sim);
	command_timeout(test, "10000");
	KUNIT_EXPECT_EQ(test, set_channels(PAIRS), 0);
	moves_on(test, &near, &near, PAIRS - 1);
}

/* The ring breaks with the answer to fewer pairs: the device has obeyed, the others are dead. */
static void a_break_leaves_the_fewer_pairs(struct kunit *test)
{
	struct sim_options options = usual;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sim_rings); i++) {
		options.features = FEATURES | sim_rings[i];
		plug(test, &options);
		be_quiet();
		act(test, &near, .op = SIM_ID, .queue = CTRL, .value = U32_MAX);
		KUNIT_EXPECT_EQ(test, set_channels(1), -EIO);
		sim_test_applied(test, near.sim);
		expect_pairs(test, 1);
		moves(test);
		/* Of one that is broken before, everything stays: control_lie(). */
		KUNIT_EXPECT_EQ(test, set_channels(PAIRS), -EIO);
		expect_pairs(test, 1);
		counted(test, "cvq_failed", 2);
		moves(test);
	}
}

/* Restores */

/* VLANs from 1 on, and the receive filters are three commands, of which one is due. */
static void want_much(struct kunit *test, unsigned int vlans)
{
	unsigned int vid;

	for (vid = 1; vid <= vlans; vid++)
		KUNIT_EXPECT_EQ(test, add_vlan(vid), 0);
	rtnl_lock();
	KUNIT_EXPECT_EQ(test, dev_set_promiscuity(near.dev, 1), 0);
	KUNIT_EXPECT_EQ(test, dev_set_allmulti(near.dev, 1), 0);
	rtnl_unlock();
	be_quiet();
	KUNIT_EXPECT_EQ(test, counter(&near, "cvq_timeouts"), 0);
}

/* Never, and each one later than it is waited for: its memory is free for the next. */
static void a_restore_waits_for_one_command_of_a_silent_device(struct kunit *test)
{
	static const struct sim_action silences[] = {
		{ .op = SIM_DROP, .queue = CTRL, .count = U32_MAX },
		{ .op = SIM_DELAY, .queue = CTRL, .count = U32_MAX, .value = 400 },
	};
	unsigned int i;
	u64 before;

	for (i = 0; i < ARRAY_SIZE(silences); i++) {
		plug(test, &usual);
		want_much(test, 8);
		before = counter(&near, "cvq_commands");

		command_timeout(test, "100");
		listen_for(test, " VLANs, the first is ");
		KUNIT_EXPECT_EQ(test, sim_act(near.sim, &silences[i]), 0);
		KUNIT_ASSERT_EQ(test, sim_test_freeze(near.sim), 0);
		KUNIT_ASSERT_EQ(test, sim_test_restore(near.sim), 0);
		KUNIT_EXPECT_EQ(test, atomic_read(&nr_lines), 1);
		/* One of the restore's, and one of the receive filters'. */
		counted(test, "cvq_timeouts", 2);
		be_quiet();
		KUNIT_EXPECT_EQ(test, counter(&near, "cvq_timeouts"), 2);
		KUNIT_EXPECT_EQ(test, counter(&near, "cvq_commands"), before + 2);
		KUNIT_EXPECT_EQ(test, vlans_known(test), 0);
		sim_forget(near.sim);
		command_timeout(test, "10000");
		moves(test);
		/* The next one tells all of it. */
		KUNIT_ASSERT_EQ(test, sim_test_freeze(near.sim), 0);
		KUNIT_ASSERT_EQ(test, sim_test_restore(near.sim), 0);
		KUNIT_EXPECT_EQ(test, vlans_known(test), 8);
		KUNIT_EXPECT_EQ(test, atomic_read(&nr_lines), 1);
		listen_no_more();
	}
}

/*
 * A host that answers each command before it is too late is not waited for as often as there
 * are commands: in four times two seconds there is time for eight that take one each.
 */
static void a_restore_has_an_end(struct kunit *test)
{
	const unsigned int vlans = 40;
	u64 before, sent;

	plug(test, &usual);
	want_much(test, vlans);
	before = counter(&near, "cvq_commands");
	command_timeout(test, "2000");
	listen_for(test, " VLANs, the first is ");
	act(test, &near, .op = SIM_DELAY, .queue = CTRL, .count = U32_MAX, .value = 1000);
	KUNIT_ASSERT_EQ(test, sim_test_freeze(near.sim), 0);
	KUNIT_ASSERT_EQ(test, sim_test_restore(near.sim), 0);
	sent = counter(&near, "cvq_commands") - before;
	/* Pairs and VLANs; the receive filters may have begun. */
	KUNIT_EXPECT_GE(test, sent, 3);
	KUNIT_EXPECT_LE(test, sent, 11);
	KUNIT_EXPECT_EQ(test, counter(&near, "cvq_timeouts"), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&nr_lines), 1);
	KUNIT_EXPECT_GT(test, vlans_known(test), 0);
	KUNIT_EXPECT_LT(test, vlans_known(test), vlans);
	sim_forget(near.sim);
	command_timeout(test, "10000");
	KUNIT_ASSERT_EQ(test, sim_test_freeze(near.sim), 0);
	KUNIT_ASSERT_EQ(test, sim_test_restore(near.sim), 0);
	KUNIT_EXPECT_EQ(test, vlans_known(test), vlans);
	KUNIT_EXPECT_EQ(test, atomic_read(&nr_lines), 1);
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
	KUNIT_CASE(a_break_is_told_once),
	KUNIT_CASE(a_late_answer_is_seen_without_another_command),
	KUNIT_CASE(pairs_of_a_device_that_is_silent),
	KUNIT_CASE(a_break_leaves_the_fewer_pairs),
	KUNIT_CASE(a_restore_waits_for_one_command_of_a_silent_device),
	KUNIT_CASE_SLOW(a_restore_has_an_end),
	{}
};

SIM_SUITE(net_ctrl, virtio_net_rh, sim_test_init, ctrl_exit);

MODULE_DESCRIPTION("KUnit suite of the commands of virtio_net_rh");
MODULE_LICENSE("GPL");
