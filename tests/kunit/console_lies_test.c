// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_console_rh against the simulated device: lies about used buffers, on each kind
 * of queue. What is lied about may die, and is seen to; all else goes on.
 */
#include <linux/module.h>

#include "console_kunit.h"

/* A delay that lasts while a few lines of a test run, on the slowest machine. */
#define LATE_MS	3000

/* Lengths and order */

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
			sim_tell(test, sim, .op = SIM_LEN, .queue = id ? PORT_RX : 0,
				 .value = lens[i]);
			say(test, &end, sent, 100);
			KUNIT_EXPECT_EQ(test, move(&end, got, len, false), len);
			KUNIT_EXPECT_EQ(test, memcmp(got, sent, min_t(size_t, len, 100)), 0);
			hears_nothing(test, &end);
			sim_tell(test, sim, .op = SIM_LEN, .queue = id ? PORT_TX : 1,
				 .value = lens[i]);
			data_moves(test, &end);
			sim_test_applied(test, sim);
		}
		KUNIT_EXPECT_EQ(test, port_counter(test, &end, "rx_empty_buffers"), 1);
		KUNIT_EXPECT_EQ(test, port_counter(test, &end, "rx_length_clamped"), 3);
		close_end(&end);
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
		sim_tell(test, sim, .op = SIM_HOLD, .queue = PORT_RX);
		say(test, &end, "held", 4);
		hears_nothing(test, &end);
		sim_tell(test, sim, .op = SIM_RELEASE, .queue = PORT_RX);
		hears(test, &end, "held", 4);
		sim_tell(test, sim, .op = SIM_REORDER, .queue = PORT_RX, .value = 3, .count = 3);
		say(test, &end, "of", 2);
		say(test, &end, "order ", 6);
		hears_nothing(test, &end);
		say(test, &end, "out ", 4);
		hears(test, &end, "out order of", 12);
		sim_tell(test, sim, .op = SIM_DELAY, .queue = PORT_RX, .value = 50);
		say(test, &end, "late", 4);
		hears(test, &end, "late", 4);
		sim_tell(test, sim, .op = SIM_DROP, .queue = PORT_RX);
		say(test, &end, "lost", 4);
		say(test, &end, "here", 4);
		hears(test, &end, "here", 4);
		data_moves(test, &end);
		close_end(&end);
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
	sim_tell(test, sim, .op = SIM_HOLD, .queue = PORT_TX, .count = 3);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, put_once(&end, sent, 10), 10);
	sim_test_applied(test, sim);
	KUNIT_EXPECT_EQ(test, in_flight(test, &end), 3);
	sim_tell(test, sim, .op = SIM_RELEASE, .queue = PORT_TX);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(!in_flight(test, &end), SOON_MS));
	sim_tell(test, sim, .op = SIM_DELAY, .queue = PORT_TX, .value = LATE_MS);
	KUNIT_EXPECT_EQ(test, put_once(&end, sent, 10), 10);
	sim_test_applied(test, sim);
	KUNIT_EXPECT_EQ(test, in_flight(test, &end), 1);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(!in_flight(test, &end), SOON_MS));
	sim_tell(test, sim, .op = SIM_REORDER, .queue = PORT_TX, .value = 2, .count = 2);
	data_moves(test, &end);
	data_moves(test, &end);
	sim_test_applied(test, sim);
	sim_tell(test, sim, .op = SIM_DROP, .queue = PORT_TX);
	data_moves(test, &end);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(in_flight(test, &end) == 1, SOON_MS));
	close_end(&end);
}

/* A console has one buffer under way: what is written meanwhile goes with the next ones. */
static void a_console_waits_for_its_buffer(struct kunit *test)
{
	struct sim_device *sim = usual(test);
	struct end end = open_end(test, sim, CONSOLE);
	unsigned int i;

	data_moves(test, &end);
	for (i = 0; i < 2; i++) {
		get_random_bytes(sent, BYTES);
		act(test, sim, SIM_CONSOLE_ECHO, ON(CONSOLE, SIM_CONSOLE_RECORD));
		sim_tell(test, sim, .op = i ? SIM_DELAY : SIM_HOLD, .queue = 1, .value = LATE_MS);
		KUNIT_EXPECT_EQ(test, put_once(&end, sent, 10), 10);
		sim_test_applied(test, sim);
		KUNIT_EXPECT_EQ(test, move(&end, sent + 10, BYTES - 10, true), BYTES - 10);
		KUNIT_EXPECT_EQ(test, state(sim, CONSOLE).recorded, 10);
		KUNIT_EXPECT_EQ(test, port_counter(test, &end, "tx_in_flight"), 1);
		if (!i)
			sim_tell(test, sim, .op = SIM_RELEASE, .queue = 1);
		KUNIT_EXPECT_TRUE(test, sim_test_wait(state(sim, CONSOLE).recorded == BYTES,
						      SOON_MS));
		KUNIT_EXPECT_EQ(test, sim_console_take(sim, CONSOLE, got, BYTES), BYTES);
		KUNIT_EXPECT_EQ(test, memcmp(got, sent, BYTES), 0);
	}
	data_moves(test, &end);
	/* Not even an end of it costs more than the output. */
	sim_tell(test, sim, .op = SIM_DROP, .queue = 1);
	KUNIT_EXPECT_EQ(test, put_once(&end, sent, 10), 10);
	sim_test_applied(test, sim);
	input_moves(test, &end);
	KUNIT_EXPECT_EQ(test, port_counter(test, &end, "tx_in_flight"), 1);
	close_end(&end);
	sim_test_unplug(test, false);
	data_moves_at(test, usual(test), CONSOLE);
}

/* The ring */

/* Port 1 offers 256 of these, the control queue 128: the last one is nobody's. */
#define RING	512

/* The queue that sim_test_each_ring_lie() is about. */
static u16 liar;

static bool is_about_control(void)
{
	return liar == CTRL_RX || liar == CTRL_TX;
}

static bool is_about_output(void)
{
	return liar == PORT_TX || liar == CTRL_TX;
}

/*
 * Can the driver see that it is one? A buffer to be filled is offered anew at once, with the
 * same id, so that its second use may be true; and a jump shows others that are offered.
 */
static bool is_seen(const struct sim_ring_lie *lie)
{
	return lie->op == SIM_ID || is_about_output();
}

/* Has a buffer used on each queue, and sees what comes of those that are not lied about. */
static void stir(struct kunit *test, const struct end *end)
{
	u64 output = state(end->sim, end->id).output;

	put_once(end, "p", 1);
	if (liar != PORT_TX)
		KUNIT_EXPECT_TRUE(test, sim_test_wait(state(end->sim, end->id).output ==
						      output + 1, SOON_MS));
	sim_console_push(end->sim, end->id, "g", 1);
	if (liar != PORT_RX)
		hears(test, end, "g", 1);
	act(test, end->sim, SIM_CONSOLE_RESIZE, ON(CONSOLE, 80 | 25 << 16));
	sim_console_send(end->sim, PORT, VIRTIO_CONSOLE_PORT_ADD, 1, NULL, 0);
	sim_test_applied(test, end->sim);
}

/* What has become of the port whose queue is lied about. */
static void lie_about_port(struct kunit *test, const struct end *end,
			   const struct sim_ring_lie *lie, u64 ring)
{
	if (liar == PORT_TX) {
		KUNIT_EXPECT_TRUE(test, sim_test_wait(put_once(end, "p", 1) == -EIO, SOON_MS));
		KUNIT_EXPECT_EQ(test, port_counter(test, end, "tx_broken"), 1);
		input_moves(test, end);
		return;
	}
	if (!is_seen(lie)) {
		/* Nothing was written in what a split ring shows. */
		if (lie->op == SIM_USED_IDX && ring == SIM_RING_FEATURES)
			KUNIT_EXPECT_TRUE(test,
					  sim_test_wait(port_counter(test, end,
								     "rx_empty_buffers"), SOON_MS));
		if (!port_counter(test, end, "rx_broken"))
			output_moves(test, end);
		return;
	}
	KUNIT_EXPECT_TRUE(test, sim_test_wait(get_once(end, got, 1) == -EIO, SOON_MS));
	KUNIT_EXPECT_EQ(test, put_once(end, sent, 1), -EIO);
	KUNIT_EXPECT_EQ(test, vfs_poll(end->file, NULL) & HUNG_UP, HUNG_UP);
	KUNIT_EXPECT_EQ(test, port_counter(test, end, "rx_broken"), 1);
}

/* And of the control queue. */
static void lie_about_control(struct kunit *test, const struct end *end,
			      const struct sim_ring_lie *lie)
{
	const char *name = is_about_output() ? "tx_broken" : "rx_broken";

	if (is_seen(lie))
		KUNIT_EXPECT_TRUE(test, sim_test_wait(counter(test, end->sim, "control", name),
						      SOON_MS));
	else if (lie->op == SIM_USED_IDX)
		KUNIT_EXPECT_TRUE(test, sim_test_wait(counter(test, end->sim, "control",
							      "messages_bad"), SOON_MS));
	data_moves(test, end);
}

static void ring_lie(struct kunit *test, const struct sim_ring_lie *lie, u64 ring)
{
	struct sim_device *sim = make(test, FEATURES | ring, RING, 2);
	struct end console, end;
	u64 value = lie->value;

	/* Ids in a ring of 64 and behind it are ids in ours and behind that. */
	if (lie->op == SIM_ID && value <= 64)
		value += RING - 64;
	/* A whole round of a packed ring would hide what was used before it. */
	if (lie->op == SIM_USED_IDX)
		value = RING / 4;
	plug(test, sim);
	console = open_end(test, sim, CONSOLE);
	end = open_end(test, sim, PORT);
	data_moves(test, &end);
	sim_tell(test, sim, .op = lie->op, .queue = liar, .value = value);
	stir(test, &end);
	if (is_about_control())
		lie_about_control(test, &end, lie);
	else
		lie_about_port(test, &end, lie, ring);
	data_moves(test, &console);
	sim_test_unplug(test, ring != SIM_RING_FEATURES);
	is_gone(test, &end);
	close_end(&end);
	close_end(&console);
}

static void a_lie_about_a_port_s_ring_ends_that_way_of_it_and_no_more(struct kunit *test)
{
	for (liar = PORT_RX; liar <= PORT_TX; liar++)
		sim_test_each_ring_lie(test, ring_lie);
	data_moves_at(test, usual(test), PORT);
}

static void a_lie_about_a_control_ring_leaves_the_ports_as_they_are(struct kunit *test)
{
	for (liar = CTRL_RX; liar <= CTRL_TX; liar++)
		sim_test_each_ring_lie(test, ring_lie);
	data_moves_at(test, usual(test), PORT);
}

/* Nobody but the device's interrupt tells them. */
static void who_waits_hears_of_a_broken_ring(struct kunit *test)
{
	static const enum wish wishes[] = { READS, WRITES, POLLS };
	struct sim_device *sim;
	struct end end;
	unsigned int i;
	u16 queue;

	for (i = 0; i < ARRAY_SIZE(wishes); i++) {
		sim = usual(test);
		end = open_end(test, sim, PORT);
		data_moves(test, &end);
		queue = wishes[i] == WRITES ? PORT_TX : PORT_RX;
		sim_tell(test, sim, .op = SIM_ID, .queue = queue, .value = U16_MAX);
		sim_tell(test, sim, .op = SIM_HOLD, .queue = queue, .count = 1000);
		if (wishes[i] == WRITES)
			fill(test, &end);
		else
			say(test, &end, "g", 1);
		start(test, &end, wishes[i]);
		sim_tell(test, sim, .op = SIM_RELEASE, .queue = queue);
		gives_up(test, -EIO, HUNG_UP);
		close_end(&end);
	}
	data_moves_at(test, usual(test), PORT);
}

static struct kunit_case console_lies_cases[] = {
	KUNIT_CASE(a_wrong_used_length_costs_no_other_byte),
	KUNIT_CASE(input_is_read_in_the_order_of_used_buffers),
	KUNIT_CASE(output_is_under_way_until_its_buffer_is_used),
	KUNIT_CASE(a_console_waits_for_its_buffer),
	KUNIT_CASE_SLOW(a_lie_about_a_port_s_ring_ends_that_way_of_it_and_no_more),
	KUNIT_CASE_SLOW(a_lie_about_a_control_ring_leaves_the_ports_as_they_are),
	KUNIT_CASE(who_waits_hears_of_a_broken_ring),
	{}
};

SIM_SUITE(console_lies, virtio_console_rh, sim_test_init, console_test_exit);
MODULE_DESCRIPTION("KUnit suite of virtio_console_rh on the simulated device: used buffers");
MODULE_LICENSE("GPL");
