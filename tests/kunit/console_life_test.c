// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_console_rh against the simulated device: devices that go, before they were
 * there, with programs waiting, and asleep; and those that come back from a suspend with
 * the ports that they had.
 */
#include <linux/module.h>

#include "console_kunit.h"

/* The end of devices */

static void a_device_that_asks_for_a_reset_is_used_until_it_goes(struct kunit *test)
{
	struct sim_device *sim = usual(test);
	struct end end = open_end(test, sim, PORT);

	act(test, sim, SIM_NEEDS_RESET, 0);
	data_moves(test, &end);
	data_moves_at(test, sim, CONSOLE);
	sim_test_unplug(test, false);
	is_gone(test, &end);
	close_end(&end);
	data_moves_at(test, usual(test), PORT);
}

/* Its registers read as ones from the start. */
static void a_device_that_has_gone_before_its_probe_is_refused(struct kunit *test)
{
	static const u64 features[] = { FEATURES | SIM_RING_FEATURES, SIM_PACKED_FEATURES, 0 };
	struct sim_device *sim;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(features); i++) {
		sim = make(test, features[i], 64, 2);
		act(test, sim, SIM_GONE, 0);
		sim_test_refused(test, sim);
	}
	data_moves_at(test, usual(test), PORT);
}

/* At each access to its registers: the driver gives up, or has a device that is dead. */
static void a_device_may_go_at_any_time_of_its_probe(struct kunit *test)
{
	static const u64 features[] = { FEATURES | SIM_RING_FEATURES, SIZE | SIM_PACKED_FEATURES };
	struct sim_vanish vanish;
	struct sim_device *sim;
	unsigned int i, refused;
	bool gone;

	for (i = 0; i < ARRAY_SIZE(features); i++) {
		vanish = (struct sim_vanish){};
		refused = 0;
		while (sim_vanish_next(test, &vanish)) {
			sim = make(test, features[i], 4, 2);
			sim_vanish_begin(test, &vanish, sim);
			KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
			gone = sim_vanish_end(&vanish, sim);
			KUNIT_EXPECT_TRUE(test, gone || sim_test_live(sim));
			refused += !sim_test_live(sim);
			sim_test_unplug(test, vanish.accesses & 1);
		}
		kunit_info(test, "%u probes refused", refused);
		/* All that go before it begins: the core's, of its status, are more alone. */
		KUNIT_EXPECT_GT(test, refused, 5);
		KUNIT_EXPECT_GT(test, vanish.accesses, refused);
	}
	data_moves_at(test, usual(test), PORT);
	data_moves_at(test, usual(test), CONSOLE);
}

/* And of its resume: its ports are dead at once, or when it is taken away. */
static void a_device_may_go_at_any_time_of_its_resume(struct kunit *test)
{
	struct sim_vanish vanish = {};
	unsigned int failed = 0;
	struct sim_device *sim;
	struct end end;
	int err;

	while (sim_vanish_next(test, &vanish)) {
		sim = usual(test);
		end = open_end(test, sim, PORT);
		freeze(test, sim);
		sim_vanish_begin(test, &vanish, sim);
		err = sim_test_restore(sim);
		KUNIT_EXPECT_TRUE(test, sim_vanish_end(&vanish, sim) || !err);
		failed += !!err;
		if (err)
			KUNIT_EXPECT_EQ(test, put_once(&end, sent, 1), -EIO);
		sim_test_unplug(test, vanish.accesses & 1);
		is_gone(test, &end);
		close_end(&end);
	}
	kunit_info(test, "%u resumes failed", failed);
	KUNIT_EXPECT_GT(test, failed, 5);
	data_moves_at(test, usual(test), PORT);
}

/* At each look at its status: who sees it before its device begins does without it. */
static void a_device_that_says_too_early_that_it_is_in_use_is_refused(struct kunit *test)
{
	const u8 lie = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
		       VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FEATURES_OK;
	unsigned int refused = 0, failed = 0, skip;
	struct sim_device *sim;
	struct end end;
	bool told;
	int err;

	for (skip = 0, told = true; told && skip < 100; skip++) {
		sim = make(test, FEATURES | SIM_RING_FEATURES, 4, 2);
		sim_tell(test, sim, .op = SIM_STATUS, .value = lie, .skip = skip);
		KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
		told = sim_test_told(sim, SIM_STATUS);
		refused += !sim_test_live(sim);
	}
	KUNIT_EXPECT_EQ(test, refused, 1);
	for (skip = 0, told = true; told && skip < 100; skip++) {
		sim = usual(test);
		end = open_end(test, sim, PORT);
		freeze(test, sim);
		sim_tell(test, sim, .op = SIM_STATUS, .value = lie, .skip = skip);
		err = sim_test_restore(sim);
		told = sim_test_told(sim, SIM_STATUS);
		if (err) {
			KUNIT_EXPECT_EQ(test, err, -ENODEV);
			KUNIT_EXPECT_EQ(test, put_once(&end, sent, 1), -EIO);
			failed++;
		} else {
			is_connected(test, &end);
			data_moves(test, &end);
		}
		sim_test_unplug(test, false);
		close_end(&end);
	}
	KUNIT_EXPECT_EQ(test, failed, 1);
	data_moves_at(test, usual(test), PORT);
}

/* Orderly and by surprise, with its registers gone before and not. */
static void nobody_waits_for_a_device_that_has_gone(struct kunit *test)
{
	static const enum wish wishes[] = { READS, WRITES, POLLS };
	struct sim_device *sim;
	struct end end;
	unsigned int i;

	for (i = 0; i < 4 * ARRAY_SIZE(wishes); i++) {
		sim = usual(test);
		end = open_end(test, sim, PORT);
		data_moves(test, &end);
		sim_tell_all(test, sim, .op = SIM_HOLD, .count = 1000);
		act(test, sim, SIM_CONSOLE_STALL, ON(PORT, 1));
		say(test, &end, sent, BYTES);
		fill(test, &end);
		if (i & 1)
			act(test, sim, SIM_GONE, 0);
		start(test, &end, wishes[i / 4]);
		sim_test_unplug(test, i & 2);
		gives_up(test, -ENODEV, EPOLLHUP);
		is_gone(test, &end);
		close_end(&end);
	}
	data_moves_at(test, usual(test), PORT);
}

static void an_open_console_is_hung_up(struct kunit *test)
{
	struct sim_device *sim;
	struct end end;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		sim = usual(test);
		end = open_end(test, sim, CONSOLE);
		data_moves(test, &end);
		sim_test_unplug(test, i);
		KUNIT_EXPECT_EQ(test, get_once(&end, got, 1), 0);
		KUNIT_EXPECT_EQ(test, put_once(&end, sent, 1), -EIO);
		close_end(&end);
	}
	data_moves_at(test, usual(test), CONSOLE);
}

/* Suspend */

static void a_suspend_keeps_open_ports_and_their_bytes(struct kunit *test)
{
	struct sim_device *sim;
	struct end console, end;
	unsigned int i;
	u64 output;

	for (i = 0; i < ARRAY_SIZE(sim_rings); i++) {
		sim = make(test, FEATURES | sim_rings[i], 64, 2);
		plug(test, sim);
		console = open_end(test, sim, CONSOLE);
		end = open_end(test, sim, PORT);
		data_moves(test, &console);
		data_moves(test, &end);

		/* Input that nobody has read, output that the host has not. */
		say(test, &end, "unread", 6);
		act(test, sim, SIM_CONSOLE_ECHO, ON(CONSOLE, SIM_CONSOLE_RECORD));
		act(test, sim, SIM_CONSOLE_STALL, ON(CONSOLE, 1));
		get_random_bytes(sent, BYTES);
		KUNIT_EXPECT_EQ(test, move(&console, sent, BYTES, true), BYTES);
		freeze(test, sim);

		hears(test, &end, "unread", 6);
		hears_nothing(test, &end);
		KUNIT_EXPECT_EQ(test, put_once(&end, sent, 1), -EAGAIN);
		KUNIT_EXPECT_EQ(test, vfs_poll(end.file, NULL), 0);
		output = state(sim, PORT).output;
		start(test, &end, i ? READS : WRITES);
		act(test, sim, SIM_CONSOLE_STALL, ON(CONSOLE, 0));
		restore(test, sim);
		is_connected(test, &end);
		if (i)
			say(test, &end, "awake", 5);
		returns(test, i ? 5 : 100);
		KUNIT_EXPECT_TRUE(test, sim_test_wait(state(sim, PORT).output ==
						      output + (i ? 0 : 100), SOON_MS));
		KUNIT_EXPECT_TRUE(test, sim_test_wait(state(sim, CONSOLE).recorded == BYTES,
						      SOON_MS));
		KUNIT_EXPECT_EQ(test, sim_console_take(sim, CONSOLE, got, BYTES), BYTES);
		KUNIT_EXPECT_EQ(test, memcmp(got, sent, BYTES), 0);
		data_moves(test, &console);
		data_moves(test, &end);
		close_end(&console);
		close_end(&end);
	}
}

static void a_console_without_ports_is_suspended(struct kunit *test)
{
	struct sim_device *sim = make(test, SIZE | SIM_RING_FEATURES, 64, 1);
	struct end end;
	unsigned int i;

	plug(test, sim);
	end = open_end(test, sim, CONSOLE);
	for (i = 0; i < 3; i++) {
		data_moves(test, &end);
		freeze(test, sim);
		restore(test, sim);
	}
	data_moves(test, &end);
	close_end(&end);
}

/* It lies in the ring, as its interrupt was lost. */
static void a_console_s_input_that_nobody_has_seen_outlives_a_suspend(struct kunit *test)
{
	static const u64 features[] = { FEATURES | SIM_RING_FEATURES, SIZE | SIM_PACKED_FEATURES };
	struct sim_device *sim;
	struct end end;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(features); i++) {
		sim = make(test, features[i], 64, 1);
		plug(test, sim);
		end = open_end(test, sim, CONSOLE);
		data_moves(test, &end);
		sim_tell(test, sim, .op = SIM_IRQ_DROP, .queue = 0);
		say(test, &end, "unseen", 6);
		sim_test_applied(test, sim);
		hears_nothing(test, &end);
		freeze(test, sim);
		restore(test, sim);
		hears(test, &end, "unseen", 6);
		is_connected(test, &end);
		data_moves(test, &end);
		close_end(&end);
	}
}

static void what_a_host_did_not_take_before_a_suspend_is_counted(struct kunit *test)
{
	struct sim_device *sim = usual(test);
	struct end end = open_end(test, sim, PORT);

	data_moves(test, &end);
	act(test, sim, SIM_CONSOLE_STALL, ON(PORT, 1));
	KUNIT_EXPECT_EQ(test, put_once(&end, sent, 100), 100);
	freeze(test, sim);
	KUNIT_EXPECT_EQ(test, port_counter(test, &end, "tx_bytes_lost"), 100);
	KUNIT_EXPECT_EQ(test, port_counter(test, &end, "tx_in_flight"), 0);
	act(test, sim, SIM_CONSOLE_STALL, ON(PORT, 0));
	restore(test, sim);
	is_connected(test, &end);
	data_moves(test, &end);
	close_end(&end);
}

static void a_device_may_come_back_with_rings_of_another_size(struct kunit *test)
{
	static const u32 sizes[] = { 1, 16, 1024, 64 };
	struct sim_device *sim = usual(test);
	struct end end = open_end(test, sim, PORT);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		data_moves(test, &end);
		/* More buffers than the next ring has; what finds none waits at the host. */
		get_random_bytes(sent, BYTES);
		KUNIT_EXPECT_EQ(test, sim_console_push(sim, PORT, sent, BYTES), BYTES);
		KUNIT_EXPECT_TRUE(test, sim_test_wait(state(sim, PORT).waiting <= BYTES - BUFFER,
						      SOON_MS));
		freeze(test, sim);
		sim->options.queue_size = sizes[i];
		restore(test, sim);
		is_connected(test, &end);
		hears(test, &end, sent, BYTES);
		hears_nothing(test, &end);
	}
	data_moves(test, &end);
	data_moves_at(test, sim, CONSOLE);
	close_end(&end);
}

/* Programs go on meanwhile. */
static void a_reset_of_the_function_keeps_open_ports(struct kunit *test)
{
	struct sim_device *sim = usual(test);
	struct end end = open_end(test, sim, PORT);

	data_moves(test, &end);
	say(test, &end, "unread", 6);
	KUNIT_ASSERT_EQ(test, virtio_device_reset_prepare(&sim->vdev), 0);
	hears(test, &end, "unread", 6);
	hears_nothing(test, &end);
	KUNIT_EXPECT_EQ(test, put_once(&end, sent, 1), -EAGAIN);
	start(test, &end, READS);
	KUNIT_ASSERT_EQ(test, virtio_device_reset_done(&sim->vdev), 0);
	is_connected(test, &end);
	say(test, &end, "over", 4);
	returns(test, 4);
	data_moves(test, &end);
	data_moves_at(test, sim, CONSOLE);

	/* One that nobody was told of before: the driver has virtqueues that are no more. */
	KUNIT_EXPECT_EQ(test, virtio_device_reset_done(&sim->vdev), -EBUSY);
	sim_test_unplug(test, false);
	is_gone(test, &end);
	close_end(&end);
	data_moves_at(test, usual(test), PORT);
}

/* Suspends that do not end well */

static void ports_of_a_failed_restore_are_dead_and_hold_up_nobody(struct kunit *test)
{
	static const enum wish wishes[] = { READS, WRITES, POLLS };
	struct end console, end, waits;
	struct sim_device *sim;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wishes); i++) {
		sim = make(test, FEATURES | SIM_RING_FEATURES, 64, 3);
		plug(test, sim);
		console = open_end(test, sim, CONSOLE);
		end = open_end(test, sim, 1);
		waits = open_end(test, sim, 2);
		say(test, &end, "unread", 6);
		freeze(test, sim);
		start(test, &waits, wishes[i]);
		/* As if the device had come back with fewer ports. */
		sim_tell(test, sim, .op = SIM_VQ_FAIL, .queue = 2 + 2 * i);
		KUNIT_EXPECT_EQ(test, sim_test_restore(sim), -ENOENT);
		gives_up(test, -EIO, HUNG_UP);
		hears(test, &end, "unread", 6);
		KUNIT_EXPECT_EQ(test, get_once(&end, got, 1), -EIO);
		KUNIT_EXPECT_EQ(test, put_once(&end, sent, 1), -EIO);
		KUNIT_EXPECT_EQ(test, vfs_poll(end.file, NULL), HUNG_UP);
		/* A terminal throws away what goes nowhere. */
		KUNIT_EXPECT_EQ(test, move(&console, sent, BYTES, true), BYTES);
		sim_test_unplug(test, i == 1);
		is_gone(test, &end);
		is_gone(test, &waits);
		close_end(&console);
		close_end(&end);
		close_end(&waits);
	}
	data_moves_at(test, usual(test), PORT);
	data_moves_at(test, usual(test), CONSOLE);
}

static void a_device_may_go_in_its_sleep(struct kunit *test)
{
	static const enum wish wishes[] = { READS, WRITES, POLLS };
	struct sim_device *sim;
	struct end end;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wishes); i++) {
		sim = usual(test);
		end = open_end(test, sim, PORT);
		data_moves(test, &end);
		freeze(test, sim);
		start(test, &end, wishes[i]);
		/* One is woken, to find that it has gone. */
		if (i == 2) {
			act(test, sim, SIM_GONE, 0);
			KUNIT_EXPECT_NE(test, sim_test_restore(sim), 0);
			gives_up(test, -EIO, HUNG_UP);
		}
		sim_test_unplug(test, i & 1);
		if (i != 2)
			gives_up(test, -ENODEV, EPOLLHUP);
		is_gone(test, &end);
		close_end(&end);
	}
	data_moves_at(test, usual(test), PORT);
}

static struct kunit_case console_life_cases[] = {
	KUNIT_CASE(a_device_that_asks_for_a_reset_is_used_until_it_goes),
	KUNIT_CASE(a_device_that_has_gone_before_its_probe_is_refused),
	KUNIT_CASE_SLOW(a_device_may_go_at_any_time_of_its_probe),
	KUNIT_CASE_SLOW(a_device_may_go_at_any_time_of_its_resume),
	KUNIT_CASE(a_device_that_says_too_early_that_it_is_in_use_is_refused),
	KUNIT_CASE_SLOW(nobody_waits_for_a_device_that_has_gone),
	KUNIT_CASE(an_open_console_is_hung_up),
	KUNIT_CASE(a_suspend_keeps_open_ports_and_their_bytes),
	KUNIT_CASE(a_console_without_ports_is_suspended),
	KUNIT_CASE(a_console_s_input_that_nobody_has_seen_outlives_a_suspend),
	KUNIT_CASE(what_a_host_did_not_take_before_a_suspend_is_counted),
	KUNIT_CASE(a_device_may_come_back_with_rings_of_another_size),
	KUNIT_CASE(a_reset_of_the_function_keeps_open_ports),
	KUNIT_CASE(ports_of_a_failed_restore_are_dead_and_hold_up_nobody),
	KUNIT_CASE(a_device_may_go_in_its_sleep),
	{}
};

SIM_SUITE(console_life, virtio_console_rh, sim_test_init, console_test_exit);
MODULE_DESCRIPTION("KUnit suite of virtio_console_rh on the simulated device: ends and suspends");
MODULE_LICENSE("GPL");
