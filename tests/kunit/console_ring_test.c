// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_console_rh against the simulated device: every feature and ring that it can
 * meet, and every lie about buffers, interrupts, config space and the device's life.
 */
#include <linux/module.h>
#include <linux/prandom.h>

#include "console_kunit.h"

/* Features and rings */

static void with(struct kunit *test, u64 features, u32 size)
{
	struct sim_device *sim = make(test, features, size, 2);

	plug(test, sim);
	data_moves_at(test, sim, CONSOLE);
	if (features & MULTIPORT)
		data_moves_at(test, sim, PORT);
}

static void bytes_move_with_each_feature_off_and_alone(struct kunit *test)
{
	sim_test_each_feature(test, FEATURES | SIM_PACKED_FEATURES, with);
	/* A legacy device. */
	with(test, FEATURES | BIT_ULL(VIRTIO_RING_F_EVENT_IDX), 64);
}

static void bytes_move_with_random_features(struct kunit *test)
{
	sim_test_random_features(test, FEATURES | SIM_PACKED_FEATURES, 8, with);
}

static void bytes_move_with_every_queue_size(struct kunit *test)
{
	static const u16 odd[] = { 1, 3, 100, 1000 };

	sim_test_each_size(test, FEATURES, 1, 1024, odd, ARRAY_SIZE(odd), with);
}

/* Lies about buffers */

static void a_wrong_used_length_costs_no_other_byte(struct kunit *test)
{
	static const u32 lens[] = { 0, 1, 99, 100, BUFFER, BUFFER + 1, S32_MAX, U32_MAX };
	struct sim_device *sim = usual(test);
	struct end end;
	size_t i, len;
	u32 id;

	for (id = CONSOLE; id <= PORT; id++) {
		end = open_end(test, sim, id);
		for (i = 0; i < ARRAY_SIZE(lens); i++) {
			get_random_bytes(sent, 100);
			len = min_t(u32, lens[i], BUFFER);
			rule(test, sim, SIM_LEN, id ? PORT_RX : 0, lens[i], 1);
			say(test, &end, sent, 100);
			KUNIT_EXPECT_EQ(test, move(&end, got, len, false), len);
			KUNIT_EXPECT_EQ(test, memcmp(got, sent, min_t(size_t, len, 100)), 0);
			hears_nothing(test, &end);
			rule(test, sim, SIM_LEN, id ? PORT_TX : 1, lens[i], 1);
			data_moves(test, &end);
		}
		KUNIT_EXPECT_EQ(test, port_counter(test, &end, "rx_empty_buffers"), 1);
		KUNIT_EXPECT_EQ(test, port_counter(test, &end, "rx_length_clamped"), 3);
		shut(&end);
	}
}

static void input_is_read_in_the_order_of_used_buffers(struct kunit *test)
{
	struct sim_device *sim;
	struct end end;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		sim = make(test, FEATURES | (i ? SIM_PACKED_FEATURES : SIM_RING_FEATURES), 64, 2);
		plug(test, sim);
		end = open_end(test, sim, PORT);
		rule(test, sim, SIM_HOLD, PORT_RX, 0, 1);
		say(test, &end, "held", 4);
		hears_nothing(test, &end);
		rule(test, sim, SIM_RELEASE, PORT_RX, 0, 1);
		hears(test, &end, "held", 4);
		rule(test, sim, SIM_REORDER, PORT_RX, 3, 3);
		say(test, &end, "of", 2);
		say(test, &end, "order ", 6);
		hears_nothing(test, &end);
		say(test, &end, "out ", 4);
		hears(test, &end, "out order of", 12);
		rule(test, sim, SIM_DELAY, PORT_RX, 50, 1);
		say(test, &end, "late", 4);
		hears(test, &end, "late", 4);
		rule(test, sim, SIM_DROP, PORT_RX, 0, 1);
		say(test, &end, "lost", 4);
		say(test, &end, "here", 4);
		hears(test, &end, "here", 4);
		data_moves(test, &end);
		shut(&end);
	}
}

/* How many buffers a port's device has; looking for room takes them back. */
static u64 in_flight(struct kunit *test, const struct end *end)
{
	vfs_poll(end->file, NULL);
	return port_counter(test, end, "tx_in_flight");
}

static void output_is_under_way_until_its_buffer_is_used(struct kunit *test)
{
	struct sim_device *sim = usual(test);
	struct end end = open_end(test, sim, PORT);
	unsigned int i;

	data_moves(test, &end);
	rule(test, sim, SIM_HOLD, PORT_TX, 0, 3);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, put_once(&end, sent, 10), 10);
	applied(test, sim);
	KUNIT_EXPECT_EQ(test, in_flight(test, &end), 3);
	rule(test, sim, SIM_RELEASE, PORT_TX, 0, 1);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(!in_flight(test, &end), 5000));
	rule(test, sim, SIM_REORDER, PORT_TX, 2, 2);
	data_moves(test, &end);
	data_moves(test, &end);
	rule(test, sim, SIM_DROP, PORT_TX, 0, 1);
	data_moves(test, &end);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(in_flight(test, &end) == 1, 5000));
	shut(&end);
}

/**
 * struct lie - a lie about a queue, after which it is a dead one
 * @op: the lie
 * @value: of it
 * @err: what the file gets if it is about the port's queue, 0 if that depends
 */
struct lie {
	enum sim_op op;
	u64 value;
	int err;
};

static const struct lie fatal[] = {
	{ SIM_ID, 0xffff, -EIO },
	{ SIM_TWICE, 0, 0 },
	{ SIM_USED_IDX, 1000, 0 },
};

/* A byte each way, by whatever remains of the device: no wait without an end. */
static void use(struct kunit *test, const struct end *end, int *put, int *get)
{
	unsigned long until = jiffies + HZ / 4;

	/* Something to use buffers of the control queues for. */
	act(test, end->sim, SIM_CONSOLE_RESIZE, ON(CONSOLE, 80 | 25 << 16));
	sim_console_send(end->sim, PORT, VIRTIO_CONSOLE_PORT_ADD, 1, NULL, 0);
	do {
		*put = put_once(end, "p", 1);
		sim_console_push(end->sim, end->id, "g", 1);
		usleep_range(2000, 3000);
		*get = get_once(end, got, 1);
	} while (*put != -EIO && *get != -EIO && time_before(jiffies, until));
	KUNIT_EXPECT_TRUE(test, *put == 1 || *put == -EIO || *put == -EAGAIN);
	KUNIT_EXPECT_TRUE(test, *get == 1 || *get == -EIO || *get == -EAGAIN);
}

static void one_lie_about_the_ring(struct kunit *test, const struct lie *lie, u16 queue,
				   bool packed)
{
	struct sim_device *sim = make(test, FEATURES | (packed ? SIM_PACKED_FEATURES :
								 SIM_RING_FEATURES), 64, 2);
	struct end end;
	int put, get;

	kunit_info(test, "operation %u on queue %u, packed %u", lie->op, queue, packed);
	plug(test, sim);
	end = open_end(test, sim, PORT);
	data_moves(test, &end);
	rule(test, sim, lie->op, queue, lie->value, 1);
	use(test, &end, &put, &get);
	if (lie->err && queue == PORT_RX)
		KUNIT_EXPECT_EQ(test, get, lie->err);
	if (lie->err && queue == PORT_TX)
		KUNIT_EXPECT_EQ(test, put, lie->err);
	if (lie->err && queue == PORT_RX)
		KUNIT_EXPECT_EQ(test, vfs_poll(end.file, NULL) & HUNG_UP, HUNG_UP);
	sim_test_unplug(test, packed);
	is_gone(test, &end);
	shut(&end);
}

static void lies_about_the_ring_end_the_device_and_no_more(struct kunit *test)
{
	unsigned int i;
	u16 queue;

	for (i = 0; i < ARRAY_SIZE(fatal); i++) {
		/* A queue for each layout; there are two of each kind. */
		for (queue = CTRL_RX; queue <= PORT_TX; queue++)
			one_lie_about_the_ring(test, &fatal[i], queue, (i ^ queue) & 1);
	}
	data_moves_at(test, usual(test), PORT);
}

/* Lies about interrupts, config space and status */

static void interrupts_at_odd_times_do_nothing(struct kunit *test)
{
	struct sim_device *sim = make(test, FEATURES | SIM_RING_FEATURES, 64, 2);
	struct end end;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		rule(test, sim, SIM_IRQ_EARLY, SIM_ALL_QUEUES, 0, 6);
		rule(test, sim, SIM_IRQ_LATE, SIM_ALL_QUEUES, 0, 6);
	}
	plug(test, sim);
	end = open_end(test, sim, PORT);
	for (i = 0; i < 20; i++) {
		act(test, sim, SIM_IRQ, 0);
		act(test, sim, SIM_CONFIG_IRQ, 0);
	}
	rule(test, sim, SIM_IRQ_STORM, SIM_ALL_QUEUES, 1000, 4);
	data_moves(test, &end);
	data_moves_at(test, sim, CONSOLE);
	hears_nothing(test, &end);
	shut(&end);
}

static void a_lost_interrupt_delays_and_no_more(struct kunit *test)
{
	struct sim_device *sim = usual(test);
	struct end end = open_end(test, sim, PORT);

	data_moves(test, &end);
	start(test, &end, false);
	rule(test, sim, SIM_IRQ_DROP, PORT_RX, 0, 1);
	say(test, &end, "slept", 5);
	KUNIT_EXPECT_FALSE(test, wait_for_completion_timeout(&program.done, HZ / 10));
	act(test, sim, SIM_IRQ, 0);
	returns(test, 5);
	KUNIT_EXPECT_EQ(test, memcmp(got, "slept", 5), 0);
	shut(&end);
}

static void a_number_of_ports_that_cannot_be_is_refused(struct kunit *test)
{
	static const u32 numbers[] = { 0, 32768, U32_MAX, 400 };
	struct sim_device *sim;
	unsigned int i;
	__le32 value;

	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		sim = make(test, FEATURES | SIM_RING_FEATURES, 64, 2);
		value = cpu_to_le32(numbers[i]);
		sim_config_write(sim, 4, &value, 4, false);
		KUNIT_EXPECT_EQ(test, sim_plug(sim), 0);
		KUNIT_EXPECT_FALSE(test, sim_test_live(sim));
	}
	/* Changed between two looks at it: to none, to more than there are queues. */
	for (i = 0; i < 2; i++) {
		struct sim_action tear = { .op = SIM_CONFIG_TEAR, .at = 4, .value = 200 * i };

		sim = make(test, FEATURES | SIM_RING_FEATURES, 64, 2);
		KUNIT_EXPECT_EQ(test, sim_act(sim, &tear), 0);
		KUNIT_EXPECT_EQ(test, sim_plug(sim), 0);
		KUNIT_EXPECT_FALSE(test, sim_test_live(sim));
	}
	data_moves_at(test, usual(test), PORT);
}

static bool has_size(const struct end *end, u16 cols, u16 rows)
{
	const struct winsize *size = &tty_of(end)->winsize;

	return sim_test_wait(READ_ONCE(size->ws_col) == cols && READ_ONCE(size->ws_row) == rows,
			     5000);
}

static void a_size_reaches_the_terminal(struct kunit *test)
{
	struct sim_action tear = { .op = SIM_CONFIG_TEAR, .value = 7 };
	struct sim_device *sim = usual(test);
	struct end end;

	act(test, sim, SIM_CONSOLE_RESIZE, ON(CONSOLE, 100 | 40 << 16));
	end = open_end(test, sim, CONSOLE);
	KUNIT_EXPECT_TRUE(test, has_size(&end, 100, 40));
	act(test, sim, SIM_CONSOLE_RESIZE, ON(CONSOLE, 0xffff | 1 << 16));
	KUNIT_EXPECT_TRUE(test, has_size(&end, 0xffff, 1));
	/* Of nothing, and cut short: it stays. */
	act(test, sim, SIM_CONSOLE_RESIZE, ON(CONSOLE, 0));
	sim_console_send(sim, CONSOLE, VIRTIO_CONSOLE_RESIZE, 0, "abc", 3);
	KUNIT_EXPECT_TRUE(test, ctrl_counts(test, sim, "messages_bad", 1));
	KUNIT_EXPECT_TRUE(test, has_size(&end, 0xffff, 1));
	shut(&end);

	sim = make(test, SIZE | SIM_RING_FEATURES, 64, 1);
	plug(test, sim);
	end = open_end(test, sim, CONSOLE);
	KUNIT_EXPECT_TRUE(test, has_size(&end, SIM_CONSOLE_COLS, SIM_CONSOLE_ROWS));
	KUNIT_EXPECT_EQ(test, sim_act(sim, &tear), 0);
	act(test, sim, SIM_CONFIG_IRQ, 0);
	applied(test, sim);
	act(test, sim, SIM_CONSOLE_SIZE, 132 | 50 << 16);
	KUNIT_EXPECT_TRUE(test, has_size(&end, 132, 50));
	data_moves(test, &end);
	shut(&end);
}

static void a_device_that_asks_for_a_reset_is_used_until_it_goes(struct kunit *test)
{
	struct sim_device *sim = usual(test);
	struct end end = open_end(test, sim, PORT);

	act(test, sim, SIM_NEEDS_RESET, 0);
	data_moves(test, &end);
	sim_test_unplug(test, false);
	is_gone(test, &end);
	shut(&end);
	data_moves_at(test, usual(test), PORT);
}

/* The end of devices */

/* Orderly and by surprise, with its registers gone before and not. */
static void nobody_waits_for_a_device_that_has_gone(struct kunit *test)
{
	struct sim_device *sim;
	struct end end;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		sim = usual(test);
		end = open_end(test, sim, PORT);
		data_moves(test, &end);
		rule(test, sim, SIM_HOLD, SIM_ALL_QUEUES, 0, 1000);
		say(test, &end, sent, BYTES);
		act(test, sim, SIM_CONSOLE_STALL, ON(PORT, 1));
		while (put_once(&end, sent, BYTES) > 0)
			;
		KUNIT_EXPECT_FALSE(test, vfs_poll(end.file, NULL) & EPOLLOUT);
		if (i & 1)
			act(test, sim, SIM_GONE, 0);
		start(test, &end, i == 1 || i == 2);
		sim_test_unplug(test, i & 2);
		returns(test, -ENODEV);
		is_gone(test, &end);
		shut(&end);
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
		shut(&end);
	}
	data_moves_at(test, usual(test), CONSOLE);
}

static struct kunit_case console_ring_cases[] = {
	KUNIT_CASE(bytes_move_with_each_feature_off_and_alone),
	KUNIT_CASE(bytes_move_with_random_features),
	KUNIT_CASE(bytes_move_with_every_queue_size),
	KUNIT_CASE(a_wrong_used_length_costs_no_other_byte),
	KUNIT_CASE(input_is_read_in_the_order_of_used_buffers),
	KUNIT_CASE(output_is_under_way_until_its_buffer_is_used),
	KUNIT_CASE(lies_about_the_ring_end_the_device_and_no_more),
	KUNIT_CASE(interrupts_at_odd_times_do_nothing),
	KUNIT_CASE(a_lost_interrupt_delays_and_no_more),
	KUNIT_CASE(a_number_of_ports_that_cannot_be_is_refused),
	KUNIT_CASE(a_size_reaches_the_terminal),
	KUNIT_CASE(a_device_that_asks_for_a_reset_is_used_until_it_goes),
	KUNIT_CASE(nobody_waits_for_a_device_that_has_gone),
	KUNIT_CASE(an_open_console_is_hung_up),
	{}
};

static struct kunit_suite console_ring_suite = {
	.name = "console_ring",
	.suite_init = sim_suite_init,
	.suite_exit = sim_suite_exit,
	.init = sim_test_init,
	.exit = sim_test_exit,
	.test_cases = console_ring_cases,
};

kunit_test_suite(console_ring_suite);

MODULE_SOFTDEP("pre: virtio_console_rh");
MODULE_DESCRIPTION("KUnit suite of virtio_console_rh on the simulated device: rings");
MODULE_LICENSE("GPL");
