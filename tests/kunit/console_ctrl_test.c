// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_console_rh against the simulated device: what the device says of its ports on
 * the control queue, late or never, and what becomes of the driver's answers.
 */
#include <linux/module.h>

#include "console_kunit.h"

/* Messages that make no sense */

static void messages_of_nonsense_are_counted_and_change_nothing(struct kunit *test)
{
	static const u32 ids[] = { 4, 511, 32767, S32_MAX, U32_MAX };
	static const u16 events[] = { 0, 3, 8, 9, S16_MAX, U16_MAX };
	struct sim_device *sim = make(test, FEATURES | SIM_RING_FEATURES, 64, 4);
	u64 bad = 0, unknown = 0;
	unsigned int i, event;
	struct end end;

	plug(test, sim);
	end = open_end(test, sim, PORT);
	act(test, sim, SIM_CONSOLE_REMOVE, 3);
	for (i = 0; i < ARRAY_SIZE(ids); i++)
		for (event = 0; event <= 8; event++, bad++)
			sim_console_send(sim, ids[i], event, 1, "name", 4);
	for (i = 0; i < ARRAY_SIZE(events); i++, bad++)
		sim_console_send(sim, PORT, events[i], 1, sent, 8);
	for (event = 2; event <= 7; event++) {
		/* Those of the driver are nonsense from the device. */
		if (event == VIRTIO_CONSOLE_PORT_READY)
			continue;
		sim_console_send(sim, 3, event, 1, "name", 4);
		unknown++;
	}
	KUNIT_EXPECT_TRUE(test, ctrl_counts(test, sim, "messages_unknown_port", unknown));
	KUNIT_EXPECT_TRUE(test, ctrl_counts(test, sim, "messages_bad", bad));
	for (i = 0; i < 8; i++, bad++) {
		sim_tell(test, sim, .op = SIM_LEN, .queue = CTRL_RX, .value = i);
		sim_console_send(sim, PORT, VIRTIO_CONSOLE_PORT_REMOVE, 1, NULL, 0);
		sim_test_applied(test, sim);
	}
	/* Empty, of a NUL, of more than a file's name can have. */
	for (i = 0; i <= SIM_BYTES_MAX - 100; i += i ? 1244 : 256, bad++)
		sim_console_send(sim, PORT, VIRTIO_CONSOLE_PORT_NAME, 1, memset(sent, 'x', i), i);
	sim_console_send(sim, PORT, VIRTIO_CONSOLE_PORT_NAME, 1, "\0x", 2);
	bad++;
	KUNIT_EXPECT_TRUE(test, ctrl_counts(test, sim, "messages_bad", bad));
	/* Longer than the buffer: the message is the one that is in it. */
	sim_tell(test, sim, .op = SIM_LEN, .queue = CTRL_RX, .value = U32_MAX);
	sim_console_send(sim, PORT, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL, 0);
	sim_test_applied(test, sim);
	KUNIT_EXPECT_TRUE(test, ctrl_counts(test, sim, "messages_bad", bad));
	KUNIT_EXPECT_TRUE(test, ctrl_counts(test, sim, "messages_unknown_port", unknown));
	data_moves(test, &end);
	close_end(&end);
}

/* What a name becomes in sysfs; NULL is no file. */
static const struct {
	const char *bytes;
	u16 len;
	const char *name;
} names[] = {
	{ "org.virtio.0", 12, "org.virtio.0\n" },
	{ "before\0behind", 13, "before\n" },
	{ "../../etc/passwd", 16, ".._.._etc_passwd\n" },
	{ "..", 2, "_.\n" },
	{ ".", 1, "_\n" },
	{ "\xff\x01\n\x7f\xc3\xa9", 6, "\xff___\xc3\xa9\n" },
	{ "%s%n", 4, "%s%n\n" },
	{ "\0", 1, NULL },
	{ (const char *)sent, 256, NULL },
	{ (const char *)sent, 1500, NULL },
};

static void names_of_any_bytes_are_file_names(struct kunit *test)
{
	struct sim_device *sim = make(test, FEATURES | SIM_RING_FEATURES, 64,
				      1 + ARRAY_SIZE(names));
	struct end end = { .sim = sim };
	char path[64];
	unsigned int i;
	ssize_t len;

	memset(sent, 'n', BYTES);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		end.id = i + 1;
		act(test, sim, SIM_CONSOLE_REMOVE, end.id);
		add_port(test, sim, end.id, names[i].bytes, names[i].len);
	}
	plug(test, sim);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		/* This waits for the host's PORT_OPEN, which comes behind the name. */
		end = open_end(test, sim, i + 1);
		close_end(&end);
		snprintf(path, sizeof(path), "sys/class/virtio-ports-rh/vport%dp%u/name",
			 sim->vdev.index, i + 1);
		end.file = sim_test_open(path, O_RDONLY);
		KUNIT_EXPECT_EQ_MSG(test, IS_ERR(end.file), !names[i].name, "%s", path);
		if (IS_ERR(end.file))
			continue;
		len = get_once(&end, got, BYTES - 1);
		got[max(len, 0)] = 0;
		if (names[i].name)
			KUNIT_EXPECT_STREQ(test, (char *)got, names[i].name);
		sim_test_close(end.file);
	}
	KUNIT_EXPECT_EQ(test, counter(test, sim, "control", "messages_bad"), 3);
	data_moves_at(test, sim, 1);
}

/* Port 1 and the console work, when all that was held back has come. */
static void both_work(struct kunit *test, struct sim_device *sim)
{
	data_moves_at(test, sim, CONSOLE);
	data_moves_at(test, sim, PORT);
}

static void a_storm_of_messages_passes(struct kunit *test)
{
	static const u16 events[] = { VIRTIO_CONSOLE_RESIZE, VIRTIO_CONSOLE_PORT_OPEN,
				      VIRTIO_CONSOLE_PORT_NAME, VIRTIO_CONSOLE_PORT_ADD, 99 };
	struct sim_device *sim = usual(test);
	unsigned int i;

	/* Those that find no buffer are lost, and then they wait for one. */
	for (i = 0; i < 2000; i++) {
		if (i % 1000 == 0)
			act(test, sim, SIM_CONSOLE_PATIENCE, i / 1000);
		sim_console_send(sim, i % 3, events[i % 5], i & 1, "name", 4);
	}
	act(test, sim, SIM_CONSOLE_HOSTOPEN, ON(PORT, 0));
	act(test, sim, SIM_CONSOLE_HOSTOPEN, ON(PORT, 1));
	data_moves_at(test, sim, PORT);
	data_moves_at(test, sim, CONSOLE);
	KUNIT_EXPECT_GT(test, counter(test, sim, "control", "messages_received"), 500);
	for (i = 0; i < 500; i++)
		sim_console_send(sim, i % 3, events[i % 5], i & 1, "name", 4);
	sim_test_unplug(test, false);
	data_moves_at(test, usual(test), PORT);
}

static u64 messages_waiting(struct sim_device *sim)
{
	struct sim_console_stats stats;

	sim_console_stats(sim, &stats);
	return stats.waiting;
}

/* Nothing but the driver's kick tells the device that there are buffers again. */
static void messages_that_find_no_buffer_come_later(struct kunit *test)
{
	struct sim_device *sim = make(test, FEATURES | SIM_RING_FEATURES, 4, 2);
	u64 received;
	unsigned int i;

	plug(test, sim);
	both_work(test, sim);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(!messages_waiting(sim), SOON_MS));
	received = counter(test, sim, "control", "messages_received");
	sim_tell(test, sim, .op = SIM_HOLD, .queue = CTRL_RX, .count = 4);
	for (i = 0; i < 30; i++)
		sim_console_send(sim, PORT, VIRTIO_CONSOLE_RESIZE, 0, sent, 4);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(messages_waiting(sim) == 26, SOON_MS));
	KUNIT_EXPECT_EQ(test, counter(test, sim, "control", "messages_received"), received);
	sim_tell(test, sim, .op = SIM_RELEASE, .queue = CTRL_RX);
	KUNIT_EXPECT_TRUE(test, ctrl_counts(test, sim, "messages_received", received + 30));
	both_work(test, sim);
}

/* The queues themselves */

/* Those that came back are seen with the next message. */
static bool has_slots(struct kunit *test, struct sim_device *sim, u64 nr)
{
	act(test, sim, SIM_CONSOLE_RESIZE, ON(CONSOLE, 80 | 25 << 16));
	return ctrl_counts(test, sim, "slots_free", nr);
}

static void messages_late_and_answers_late_and_out_of_order_arrive(struct kunit *test)
{
	struct sim_device *sim;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sim_rings); i++) {
		sim = make(test, FEATURES | sim_rings[i], 64, 2);
		sim_tell(test, sim, .op = SIM_DELAY, .queue = CTRL_RX, .value = 50, .count = 4);
		sim_tell(test, sim, .op = SIM_DELAY, .queue = CTRL_TX, .value = 50, .count = 4);
		plug(test, sim);
		both_work(test, sim);
		sim_test_applied(test, sim);

		/* Each two swapped: a port is open before it is a console, or has a size. */
		sim = make(test, FEATURES | sim_rings[i], 64, 2);
		sim_tell(test, sim, .op = SIM_REORDER, .queue = CTRL_RX, .value = 2, .count = 6);
		plug(test, sim);
		both_work(test, sim);
		sim_test_applied(test, sim);
		sim_tell(test, sim, .op = SIM_REORDER, .queue = CTRL_TX, .value = 2, .count = 4);
		both_work(test, sim);
		both_work(test, sim);
		sim_test_applied(test, sim);
	}
}

static void a_used_length_of_what_we_send_means_nothing(struct kunit *test)
{
	static const u32 lens[] = { 0, 1, 7, 8, 9, SZ_64K, S32_MAX, U32_MAX };
	struct sim_device *sim;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		sim = make(test, FEATURES | SIM_RING_FEATURES, 64, 2);
		sim_tell(test, sim, .op = SIM_LEN, .queue = CTRL_TX, .value = lens[i], .count = 5);
		plug(test, sim);
		both_work(test, sim);
		both_work(test, sim);
		sim_test_applied(test, sim);
		KUNIT_EXPECT_TRUE(test, has_slots(test, sim, 16));
	}
}

/* Interrupts of both queues, from the first on. */
static void a_lost_interrupt_delays_messages_and_no_more(struct kunit *test)
{
	struct sim_device *sim = make(test, FEATURES | SIM_RING_FEATURES, 64, 2);
	struct end end;

	sim_tell(test, sim, .op = SIM_IRQ_DROP, .queue = CTRL_RX, .count = 2);
	sim_tell(test, sim, .op = SIM_IRQ_DROP, .queue = CTRL_TX);
	plug(test, sim);
	sim_test_applied(test, sim);
	msleep(50);
	KUNIT_EXPECT_EQ(test, counter(test, sim, "control", "messages_received"), 0);
	act(test, sim, SIM_IRQ, 0);
	both_work(test, sim);

	end = open_end(test, sim, PORT);
	sim_tell(test, sim, .op = SIM_IRQ_DROP, .queue = CTRL_RX);
	act(test, sim, SIM_CONSOLE_HOSTOPEN, ON(PORT, 0));
	sim_test_applied(test, sim);
	msleep(50);
	KUNIT_EXPECT_FALSE(test, vfs_poll(end.file, NULL) & EPOLLHUP);
	act(test, sim, SIM_IRQ, 0);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(vfs_poll(end.file, NULL) & EPOLLHUP, SOON_MS));
	act(test, sim, SIM_CONSOLE_HOSTOPEN, ON(PORT, 1));
	is_connected(test, &end);
	data_moves(test, &end);
	close_end(&end);
}

/* Devices that do not speak */

static bool is_there(struct sim_device *sim, u32 id)
{
	char path[64], text[16];

	snprintf(path, sizeof(path), "sys/class/virtio-ports-rh/vport%dp%u/dev", sim->vdev.index,
		 id);
	return sim_test_read(path, text, sizeof(text)) > 0;
}

/* Not even of the ports that there are. */
static void a_device_that_does_not_answer_has_no_ports_yet(struct kunit *test)
{
	struct sim_device *sim = make(test, FEATURES | SIM_RING_FEATURES, 64, 2);

	sim_tell(test, sim, .op = SIM_HOLD, .queue = CTRL_RX, .count = 1000);
	plug(test, sim);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(sim_test_told(sim, SIM_HOLD) == 2, SOON_MS));
	msleep(100);
	KUNIT_EXPECT_FALSE(test, is_there(sim, CONSOLE) || is_there(sim, PORT));
	sim_forget(sim);
	both_work(test, sim);

	sim = make(test, FEATURES | SIM_RING_FEATURES, 64, 2);
	sim_tell(test, sim, .op = SIM_DROP, .queue = CTRL_RX, .count = 1000);
	plug(test, sim);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(sim_test_told(sim, SIM_DROP) == 2, SOON_MS));
	msleep(100);
	KUNIT_EXPECT_FALSE(test, is_there(sim, CONSOLE) || is_there(sim, PORT));
	/* What is lost is lost: it may be said again. */
	sim_forget(sim);
	sim_console_send(sim, CONSOLE, VIRTIO_CONSOLE_PORT_ADD, 1, NULL, 0);
	sim_console_send(sim, PORT, VIRTIO_CONSOLE_PORT_ADD, 1, NULL, 0);
	both_work(test, sim);
}

/* A port without an answer to its PORT_READY is one that nobody listens to. */
static void a_port_that_is_not_answered_for_is_closed(struct kunit *test)
{
	struct sim_device *sim = make(test, FEATURES | SIM_RING_FEATURES, 64, 2);
	struct end end = { .sim = sim, .id = PORT };
	char path[32];

	/* But for two PORT_ADD. */
	sim_tell(test, sim, .op = SIM_HOLD, .queue = CTRL_RX, .skip = 2, .count = 1000);
	plug(test, sim);
	end_path(&end, path, sizeof(path));
	end = open_as(test, sim, PORT, path);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(state(sim, PORT).guest_open, SOON_MS));
	KUNIT_EXPECT_GT(test, sim_test_told(sim, SIM_HOLD), 0);
	KUNIT_EXPECT_EQ(test, get_once(&end, got, 1), 0);
	KUNIT_EXPECT_EQ(test, put_once(&end, sent, 1), -EAGAIN);
	KUNIT_EXPECT_TRUE(test, vfs_poll(end.file, NULL) & EPOLLHUP);
	start(test, &end, WRITES);
	sim_forget(sim);
	returns(test, 100);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(state(sim, PORT).output == 100, SOON_MS));
	data_moves(test, &end);
	close_end(&end);
	both_work(test, sim);
}

/*
 * Devices say in their answers to PORT_READY who listens. This one says so before it has
 * been told: it has not given back the first message, and until then there are no others.
 */
static void output_waits_until_the_device_knows_of_the_port(struct kunit *test)
{
	struct sim_device *sim = make(test, FEATURES | SIM_RING_FEATURES, 64, 2);
	struct end end = { .sim = sim, .id = PORT };
	char path[32];

	sim_tell(test, sim, .op = SIM_HOLD, .queue = CTRL_TX, .count = 1000);
	plug(test, sim);
	end_path(&end, path, sizeof(path));
	end = open_as(test, sim, PORT, path);
	sim_console_send(sim, PORT, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL, 0);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(!(vfs_poll(end.file, NULL) & EPOLLHUP), SOON_MS));
	KUNIT_EXPECT_EQ(test, put_once(&end, sent, 1), -EAGAIN);
	KUNIT_EXPECT_FALSE(test, vfs_poll(end.file, NULL) & EPOLLOUT);
	start(test, &end, WRITES);
	msleep(100);
	KUNIT_EXPECT_EQ(test, state(sim, PORT).output, 0);
	KUNIT_EXPECT_FALSE(test, state(sim, PORT).guest_open);
	sim_forget(sim);
	returns(test, 100);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(state(sim, PORT).output == 100, SOON_MS));
	is_connected(test, &end);
	data_moves(test, &end);
	close_end(&end);
	both_work(test, sim);
}

/* Sixteen messages of ours are under way at most; what comes to more is told later. */
static void what_we_say_waits_for_a_device_that_does_not_listen(struct kunit *test)
{
	struct sim_device *sim = make(test, FEATURES | SIM_RING_FEATURES, 64, 31);
	static struct end end[30];
	unsigned int i;
	char path[32];

	plug(test, sim);
	for (i = 0; i < ARRAY_SIZE(end); i++)
		end[i] = open_end(test, sim, i + 1);
	KUNIT_EXPECT_TRUE(test, has_slots(test, sim, 16));
	sim_tell(test, sim, .op = SIM_HOLD, .queue = CTRL_TX, .count = 1000);
	for (i = 0; i < ARRAY_SIZE(end); i++)
		close_end(&end[i]);
	KUNIT_EXPECT_EQ(test, counter(test, sim, "control", "slots_free"), 0);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(!state(sim, 16).guest_open, SOON_MS));
	KUNIT_EXPECT_TRUE(test, state(sim, 17).guest_open);
	/* One is opened again, whose closing the device has not been told of. */
	end_path(&end[29], path, sizeof(path));
	end[29] = open_as(test, sim, 30, path);
	KUNIT_EXPECT_EQ(test, put_once(&end[29], sent, 100), 100);
	sim_forget(sim);
	/* It hears of both, in their order. */
	KUNIT_EXPECT_TRUE(test, sim_test_wait(state(sim, 30).opens == 2, SOON_MS));
	for (i = 1; i < ARRAY_SIZE(end); i++)
		KUNIT_EXPECT_FALSE(test, state(sim, i).guest_open);
	KUNIT_EXPECT_TRUE(test, state(sim, 30).guest_open);
	KUNIT_EXPECT_TRUE(test, has_slots(test, sim, 16));
	KUNIT_EXPECT_TRUE(test, sim_test_wait(state(sim, 30).output == 100, SOON_MS));
	data_moves(test, &end[29]);
	close_end(&end[29]);
	both_work(test, sim);
}

/* Slots that never come back: the device is one that does not listen any more. */
static void messages_that_are_never_used_cost_their_slots(struct kunit *test)
{
	struct sim_device *sim = usual(test);
	struct end end = open_end(test, sim, PORT);
	unsigned int i;

	KUNIT_EXPECT_TRUE(test, has_slots(test, sim, 16));
	sim_tell(test, sim, .op = SIM_DROP, .queue = CTRL_TX, .count = 16);
	for (i = 1; i <= 8; i++) {
		close_end(&end);
		end = open_end(test, sim, PORT);
		KUNIT_EXPECT_EQ(test, counter(test, sim, "control", "slots_free"), 16 - 2 * i);
	}
	sim_test_applied(test, sim);
	data_moves(test, &end);
	close_end(&end);
	msleep(50);
	KUNIT_EXPECT_TRUE(test, state(sim, PORT).guest_open);
	data_moves_at(test, sim, CONSOLE);
	sim_test_unplug(test, false);
	both_work(test, usual(test));
}

static struct kunit_case console_ctrl_cases[] = {
	KUNIT_CASE(messages_of_nonsense_are_counted_and_change_nothing),
	KUNIT_CASE(names_of_any_bytes_are_file_names),
	KUNIT_CASE(a_storm_of_messages_passes),
	KUNIT_CASE(messages_that_find_no_buffer_come_later),
	KUNIT_CASE(messages_late_and_answers_late_and_out_of_order_arrive),
	KUNIT_CASE(a_used_length_of_what_we_send_means_nothing),
	KUNIT_CASE(a_lost_interrupt_delays_messages_and_no_more),
	KUNIT_CASE(a_device_that_does_not_answer_has_no_ports_yet),
	KUNIT_CASE(a_port_that_is_not_answered_for_is_closed),
	KUNIT_CASE(output_waits_until_the_device_knows_of_the_port),
	KUNIT_CASE(what_we_say_waits_for_a_device_that_does_not_listen),
	KUNIT_CASE(messages_that_are_never_used_cost_their_slots),
	{}
};

SIM_SUITE(console_ctrl, virtio_console_rh, sim_test_init, console_test_exit);
MODULE_DESCRIPTION("KUnit suite of virtio_console_rh on the simulated device: control queues");
MODULE_LICENSE("GPL");
