// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_console_rh against the simulated device: ports that come and go, what the
 * device says of them, and hosts that do not read.
 */
#include <linux/module.h>

#include "console_kunit.h"

/* Ports */

static bool is_there(const char *path)
{
	struct file *file = sim_test_open(path, O_RDONLY | O_NONBLOCK);

	if (IS_ERR(file))
		return PTR_ERR(file) != -ENOENT;
	filp_close(file, NULL);
	flush_delayed_fput();
	return true;
}

static void a_removed_port_is_gone_and_another_takes_its_number(struct kunit *test)
{
	struct sim_device *sim = usual(test);
	struct end first, second;
	unsigned int i;
	char path[64];

	first = open_end(test, sim, PORT);
	data_moves(test, &first);
	/* Once more, though it is there: nothing changes for who has it open. */
	sim_console_send(sim, PORT, VIRTIO_CONSOLE_PORT_ADD, 1, NULL, 0);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(state(sim, PORT).readies == 2, 5000));
	data_moves(test, &first);
	start(test, &first, false);
	act(test, sim, SIM_CONSOLE_REMOVE, PORT);
	returns(test, -ENODEV);
	is_gone(test, &first);
	add_port(test, sim, PORT, NULL, 0);
	second = open_end(test, sim, PORT);
	data_moves(test, &second);
	is_gone(test, &first);
	shut(&first);
	data_moves(test, &second);
	shut(&second);
	/* As fast as can be: which of them one has opened, only the name of the last tells. */
	for (i = 0; i < 20; i++) {
		act(test, sim, SIM_CONSOLE_REMOVE, PORT);
		add_port(test, sim, PORT, "last", i == 19 ? 4 : 0);
	}
	snprintf(path, sizeof(path), "sys/class/virtio-ports-rh/vport%dp1/name", sim->vdev.index);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(is_there(path), 10000));
	data_moves_at(test, sim, PORT);
}

static void sixty_four_ports_come_work_and_go(struct kunit *test)
{
	struct sim_device *sim = make(test, FEATURES | SIM_RING_FEATURES, 16, 65);
	char path[32];
	u32 id;

	plug(test, sim);
	for (id = 1; id <= 64; id++)
		data_moves_at(test, sim, id);
	for (id = 1; id <= 64; id++)
		act(test, sim, SIM_CONSOLE_REMOVE, id);
	for (id = 1; id <= 64; id++) {
		end_path(&(struct end){ .sim = sim, .id = id }, path, sizeof(path));
		KUNIT_EXPECT_TRUE(test, sim_test_wait(!is_there(path), 5000));
	}
	data_moves_at(test, sim, CONSOLE);
}

/* Lies on the control queue */

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
		rule(test, sim, SIM_LEN, CTRL_RX, i, 1);
		sim_console_send(sim, PORT, VIRTIO_CONSOLE_PORT_REMOVE, 1, NULL, 0);
		applied(test, sim);
	}
	/* Empty, of a NUL, of more than a file's name can have. */
	for (i = 0; i <= SIM_BYTES_MAX - 100; i += i ? 1244 : 256, bad++)
		sim_console_send(sim, PORT, VIRTIO_CONSOLE_PORT_NAME, 1, memset(sent, 'x', i), i);
	sim_console_send(sim, PORT, VIRTIO_CONSOLE_PORT_NAME, 1, "\0x", 2);
	bad++;
	KUNIT_EXPECT_TRUE(test, ctrl_counts(test, sim, "messages_bad", bad));
	/* Longer than the buffer: the message is the one that is in it. */
	rule(test, sim, SIM_LEN, CTRL_RX, U32_MAX, 1);
	sim_console_send(sim, PORT, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL, 0);
	applied(test, sim);
	KUNIT_EXPECT_TRUE(test, ctrl_counts(test, sim, "messages_bad", bad));
	KUNIT_EXPECT_TRUE(test, ctrl_counts(test, sim, "messages_unknown_port", unknown));
	data_moves(test, &end);
	shut(&end);
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
		shut(&end);
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
		shut(&end);
	}
	KUNIT_EXPECT_EQ(test, counter(test, sim, "control", "messages_bad"), 3);
	data_moves_at(test, sim, 1);
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
	for (i = 0; i < 500; i++)
		sim_console_send(sim, i % 3, events[i % 5], i & 1, "name", 4);
	sim_test_unplug(test, false);
	data_moves_at(test, usual(test), PORT);
}

static void a_host_that_comes_and_goes_loses_what_it_did_not_hear(struct kunit *test)
{
	struct sim_device *sim = usual(test);
	struct end end = open_end(test, sim, PORT);
	u64 written;
	unsigned int i;
	ssize_t n;

	data_moves(test, &end);
	written = state(sim, PORT).output;
	for (i = 0; i < 200; i++) {
		act(test, sim, SIM_CONSOLE_HOSTOPEN, ON(PORT, i & 1));
		n = put_once(&end, sent, 10);
		KUNIT_EXPECT_TRUE(test, n == 10 || n == -EAGAIN);
		written += max_t(ssize_t, n, 0);
	}
	KUNIT_EXPECT_TRUE(test, sim_test_wait(state(sim, PORT).output +
					      state(sim, PORT).discarded == written, 5000));
	data_moves(test, &end);

	say(test, &end, "last", 4);
	act(test, sim, SIM_CONSOLE_HOSTOPEN, ON(PORT, 0));
	KUNIT_EXPECT_TRUE(test, sim_test_wait(vfs_poll(end.file, NULL) & EPOLLHUP, 5000));
	hears(test, &end, "last", 4);
	KUNIT_EXPECT_EQ(test, get_once(&end, got, 1), 0);
	KUNIT_EXPECT_EQ(test, put_once(&end, sent, 1), -EAGAIN);
	act(test, sim, SIM_CONSOLE_HOSTOPEN, ON(PORT, 1));
	data_moves(test, &end);
	shut(&end);
}

/* A host that does not read */

static void output_waits_for_a_stalled_host(struct kunit *test)
{
	struct sim_device *sim = usual(test);
	size_t at, i, len, done;
	struct end end;
	ssize_t n;
	u32 id;

	for (id = CONSOLE; id <= PORT; id++) {
		end = open_end(test, sim, id);
		data_moves(test, &end);
		act(test, sim, SIM_CONSOLE_ECHO, ON(id, SIM_CONSOLE_RECORD));
		act(test, sim, SIM_CONSOLE_STALL, ON(id, 1));
		for (done = 0; done < SIM_CONSOLE_RECORD_MAX; done += n) {
			for (i = 0; i < BYTES; i++)
				sent[i] = sim_console_flood_byte(done + i);
			n = put_once(&end, sent, BYTES);
			if (n <= 0)
				break;
		}
		KUNIT_EXPECT_EQ(test, n, -EAGAIN);
		KUNIT_EXPECT_FALSE(test, vfs_poll(end.file, NULL) & EPOLLOUT);
		start(test, &end, true);
		act(test, sim, SIM_CONSOLE_STALL, ON(id, 0));
		returns(test, 100);
		done += 100;
		KUNIT_EXPECT_TRUE(test, sim_test_wait(state(sim, id).recorded == done, 5000));
		for (at = 0; at < done; at += len) {
			len = sim_console_take(sim, id, got, BYTES);
			KUNIT_ASSERT_GT(test, len, 0);
			for (i = 0; i < len && got[i] == sim_console_flood_byte(at + i); i++)
				;
			KUNIT_EXPECT_EQ(test, i, len);
		}
		end.file->f_flags |= O_NONBLOCK;
		data_moves(test, &end);
		shut(&end);
	}
}

static struct kunit_case console_port_cases[] = {
	KUNIT_CASE(a_removed_port_is_gone_and_another_takes_its_number),
	KUNIT_CASE(sixty_four_ports_come_work_and_go),
	KUNIT_CASE(messages_of_nonsense_are_counted_and_change_nothing),
	KUNIT_CASE(names_of_any_bytes_are_file_names),
	KUNIT_CASE(a_storm_of_messages_passes),
	KUNIT_CASE(a_host_that_comes_and_goes_loses_what_it_did_not_hear),
	KUNIT_CASE(output_waits_for_a_stalled_host),
	{}
};

static struct kunit_suite console_port_suite = {
	.name = "console_port",
	.suite_init = sim_suite_init,
	.suite_exit = sim_suite_exit,
	.init = sim_test_init,
	.exit = sim_test_exit,
	.test_cases = console_port_cases,
};

kunit_test_suite(console_port_suite);

MODULE_SOFTDEP("pre: virtio_console_rh");
MODULE_DESCRIPTION("KUnit suite of virtio_console_rh on the simulated device: ports");
MODULE_LICENSE("GPL");
