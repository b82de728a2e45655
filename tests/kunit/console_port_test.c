// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_console_rh against the simulated device: ports that come and go, and hosts
 * that do not read.
 */
#include <linux/module.h>

#include "console_kunit.h"

/* Ports */

static bool is_there(const char *path)
{
	struct file *file = sim_test_open(path, O_RDONLY | O_NONBLOCK);

	if (IS_ERR(file))
		return PTR_ERR(file) != -ENOENT;
	sim_test_close(file);
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
	KUNIT_EXPECT_TRUE(test, sim_test_wait(state(sim, PORT).readies == 2, SOON_MS));
	data_moves(test, &first);
	start(test, &first, READS);
	act(test, sim, SIM_CONSOLE_REMOVE, PORT);
	returns(test, -ENODEV);
	is_gone(test, &first);
	add_port(test, sim, PORT, NULL, 0);
	second = open_end(test, sim, PORT);
	data_moves(test, &second);
	is_gone(test, &first);
	close_end(&first);
	data_moves(test, &second);
	close_end(&second);
	/* As fast as can be: which of them one has opened, only the name of the last tells. */
	for (i = 0; i < 20; i++) {
		act(test, sim, SIM_CONSOLE_REMOVE, PORT);
		add_port(test, sim, PORT, "last", i == 19 ? 4 : 0);
	}
	snprintf(path, sizeof(path), "sys/class/virtio-ports-rh/vport%dp1/name", sim->vdev.index);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(is_there(path), SOON_MS));
	data_moves_at(test, sim, PORT);
}

/* One at a time; and the next one finds nothing of what the last one did not read. */
static void a_port_is_one_program_s(struct kunit *test)
{
	struct sim_device *sim = usual(test);
	struct end end = open_end(test, sim, PORT);
	struct file *second;
	unsigned int i;
	char path[32];

	data_moves(test, &end);
	end_path(&end, path, sizeof(path));
	for (i = 1; i <= 3; i++) {
		second = sim_test_open(path, O_RDONLY);
		KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(second), -EBUSY);
		/* A buffer that was begun, and one that was not. */
		say(test, &end, sent, BYTES);
		KUNIT_EXPECT_EQ(test, get_once(&end, got, 100), 100);
		close_end(&end);
		end = open_end(test, sim, PORT);
		hears_nothing(test, &end);
		KUNIT_EXPECT_EQ(test, port_counter(test, &end, "bytes_discarded"),
				i * (BYTES - 100));
		data_moves(test, &end);
	}
	close_end(&end);
}

/*
 * A program may wait for room in a port whose buffers are with the host, and these are not
 * the next port's, though they lie in its queue.
 */
static void a_writer_of_a_removed_port_does_not_wait(struct kunit *test)
{
	struct sim_device *sim;
	struct end first, second;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		sim = make(test, FEATURES | (i ? SIM_PACKED_FEATURES : SIM_RING_FEATURES), 64, 2);
		plug(test, sim);
		first = open_end(test, sim, PORT);
		data_moves(test, &first);
		sim_tell(test, sim, .op = SIM_HOLD, .queue = PORT_TX, .count = 64);
		fill(test, &first);
		sim_test_applied(test, sim);
		start(test, &first, i ? POLLS : WRITES);
		act(test, sim, SIM_CONSOLE_REMOVE, PORT);
		gives_up(test, -ENODEV, EPOLLHUP);
		is_gone(test, &first);

		add_port(test, sim, PORT, NULL, 0);
		second = open_end(test, sim, PORT);
		KUNIT_EXPECT_EQ(test, put_once(&second, sent, 1), -EAGAIN);
		KUNIT_EXPECT_EQ(test, port_counter(test, &second, "tx_in_flight"), 0);
		start(test, &second, WRITES);
		sim_tell(test, sim, .op = SIM_RELEASE, .queue = PORT_TX);
		returns(test, 100);
		KUNIT_EXPECT_TRUE(test, sim_test_wait(vfs_poll(second.file, NULL) & EPOLLOUT &&
						      !port_counter(test, &second, "tx_in_flight"),
						      SOON_MS));
		data_moves(test, &second);
		close_end(&first);
		close_end(&second);
	}
}

static void a_port_is_removed_once(struct kunit *test)
{
	struct sim_device *sim = usual(test);
	struct end end = open_end(test, sim, PORT);
	unsigned int i;

	act(test, sim, SIM_CONSOLE_REMOVE, PORT);
	for (i = 1; i <= 3; i++) {
		sim_console_send(sim, PORT, VIRTIO_CONSOLE_PORT_REMOVE, 1, NULL, 0);
		KUNIT_EXPECT_TRUE(test, ctrl_counts(test, sim, "messages_unknown_port", i));
	}
	is_gone(test, &end);
	close_end(&end);
	add_port(test, sim, PORT, NULL, 0);
	data_moves_at(test, sim, PORT);
	data_moves_at(test, sim, CONSOLE);
}

/* With a file of it open, and a buffer at the host that is nobody's afterwards. */
static void a_removed_console_is_hung_up_and_another_takes_its_place(struct kunit *test)
{
	struct sim_device *sim = usual(test);
	struct end end;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		end = open_end(test, sim, CONSOLE);
		data_moves(test, &end);
		sim_tell(test, sim, .op = SIM_HOLD, .queue = 1);
		KUNIT_EXPECT_EQ(test, put_once(&end, sent, 10), 10);
		sim_test_applied(test, sim);
		KUNIT_EXPECT_EQ(test, move(&end, sent, BYTES, true), BYTES);
		act(test, sim, SIM_CONSOLE_REMOVE, CONSOLE);
		KUNIT_EXPECT_TRUE(test, sim_test_wait(put_once(&end, sent, 1) == -EIO, SOON_MS));
		KUNIT_EXPECT_EQ(test, get_once(&end, got, 1), 0);
		close_end(&end);
		sim_tell(test, sim, .op = SIM_CONSOLE_ADD, .value = CONSOLE, .at = 1);
		end = open_end(test, sim, CONSOLE);
		sim_tell(test, sim, .op = SIM_RELEASE, .queue = 1);
		data_moves(test, &end);
		close_end(&end);
		data_moves_at(test, sim, PORT);
	}
}

/* Who has it open as a port is told. */
static void an_open_port_may_become_a_console(struct kunit *test)
{
	static const enum wish wishes[] = { READS, WRITES, POLLS };
	struct end end, console;
	struct sim_device *sim;
	struct file *again;
	unsigned int i;
	char path[32];
	u64 output;

	for (i = 0; i < ARRAY_SIZE(wishes); i++) {
		sim = usual(test);
		/* The other one has to be hvc0. */
		data_moves_at(test, sim, CONSOLE);
		end = open_end(test, sim, PORT);
		data_moves(test, &end);
		output = state(sim, PORT).output;
		if (wishes[i] == WRITES) {
			act(test, sim, SIM_CONSOLE_STALL, ON(PORT, 1));
			output += fill(test, &end);
		}
		start(test, &end, wishes[i]);
		sim_console_send(sim, PORT, VIRTIO_CONSOLE_CONSOLE_PORT, 1, NULL, 0);
		gives_up(test, -ENXIO, HUNG_UP);
		KUNIT_EXPECT_EQ(test, get_once(&end, got, 1), -ENXIO);
		KUNIT_EXPECT_EQ(test, put_once(&end, sent, 1), -ENXIO);
		end_path(&end, path, sizeof(path));
		again = sim_test_open(path, O_RDONLY);
		KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(again), -ENXIO);
		act(test, sim, SIM_CONSOLE_STALL, ON(PORT, 0));
		KUNIT_EXPECT_TRUE(test, sim_test_wait(state(sim, PORT).output == output, SOON_MS));
		/* Twice is the same. */
		sim_console_send(sim, PORT, VIRTIO_CONSOLE_CONSOLE_PORT, 1, NULL, 0);
		console = open_as(test, sim, PORT, "dev/hvc1");
		data_moves(test, &console);
		close_end(&end);
		data_moves(test, &console);
		KUNIT_EXPECT_TRUE(test, state(sim, PORT).guest_open);
		close_end(&console);
		data_moves_at(test, sim, CONSOLE);
	}
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
		KUNIT_EXPECT_TRUE(test, sim_test_wait(!is_there(path), SOON_MS));
	}
	data_moves_at(test, sim, CONSOLE);
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
					      state(sim, PORT).discarded == written, SOON_MS));
	data_moves(test, &end);

	say(test, &end, "last", 4);
	act(test, sim, SIM_CONSOLE_HOSTOPEN, ON(PORT, 0));
	KUNIT_EXPECT_TRUE(test, sim_test_wait(vfs_poll(end.file, NULL) & EPOLLHUP, SOON_MS));
	hears(test, &end, "last", 4);
	KUNIT_EXPECT_EQ(test, get_once(&end, got, 1), 0);
	KUNIT_EXPECT_EQ(test, put_once(&end, sent, 1), -EAGAIN);
	act(test, sim, SIM_CONSOLE_HOSTOPEN, ON(PORT, 1));
	data_moves(test, &end);
	close_end(&end);
}

/* As read() and write() with an address at which there is nothing. */
static ssize_t move_nowhere(const struct end *end, bool put)
{
	void __user *nowhere = (void __user *)8;
	struct iov_iter iter;
	struct kiocb kiocb;

	init_sync_kiocb(&kiocb, end->file);
	iov_iter_ubuf(&iter, put ? ITER_SOURCE : ITER_DEST, nowhere, 100);
	return put ? end->file->f_op->write_iter(&kiocb, &iter) :
		     end->file->f_op->read_iter(&kiocb, &iter);
}

static void memory_that_is_not_there_costs_no_byte(struct kunit *test)
{
	struct sim_device *sim = usual(test);
	struct end end = open_end(test, sim, PORT);
	u64 output;

	data_moves(test, &end);
	say(test, &end, "unread", 6);
	KUNIT_EXPECT_EQ(test, move_nowhere(&end, false), -EFAULT);
	hears(test, &end, "unread", 6);
	hears_nothing(test, &end);
	output = state(sim, PORT).output;
	KUNIT_EXPECT_EQ(test, move_nowhere(&end, true), -EFAULT);
	KUNIT_EXPECT_EQ(test, put_once(&end, "p", 1), 1);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(state(sim, PORT).output == output + 1, SOON_MS));
	data_moves(test, &end);
	KUNIT_EXPECT_EQ(test, state(sim, PORT).output, output + 1 + BYTES);
	close_end(&end);
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
		start(test, &end, WRITES);
		act(test, sim, SIM_CONSOLE_STALL, ON(id, 0));
		returns(test, 100);
		done += 100;
		KUNIT_EXPECT_TRUE(test, sim_test_wait(state(sim, id).recorded == done, SOON_MS));
		for (at = 0; at < done; at += len) {
			len = sim_console_take(sim, id, got, BYTES);
			KUNIT_ASSERT_GT(test, len, 0);
			for (i = 0; i < len && got[i] == sim_console_flood_byte(at + i); i++)
				;
			KUNIT_EXPECT_EQ(test, i, len);
		}
		data_moves(test, &end);
		close_end(&end);
	}
}

/* Less than its ring could take. */
static void a_mebibyte_at_most_waits_for_a_host(struct kunit *test)
{
	struct sim_device *sim = make(test, FEATURES | SIM_RING_FEATURES, 512, 2);
	struct end end;
	u64 output;

	plug(test, sim);
	end = open_end(test, sim, PORT);
	data_moves(test, &end);
	output = state(sim, PORT).output;
	act(test, sim, SIM_CONSOLE_STALL, ON(PORT, 1));
	output += fill(test, &end);
	KUNIT_EXPECT_EQ(test, port_counter(test, &end, "tx_in_flight"),
			DIV_ROUND_UP(SZ_1M, BYTES));
	act(test, sim, SIM_CONSOLE_STALL, ON(PORT, 0));
	KUNIT_EXPECT_TRUE(test, sim_test_wait(state(sim, PORT).output == output, SOON_MS));
	KUNIT_EXPECT_TRUE(test, vfs_poll(end.file, NULL) & EPOLLOUT);
	data_moves(test, &end);
	close_end(&end);
}

static struct kunit_case console_port_cases[] = {
	KUNIT_CASE(a_removed_port_is_gone_and_another_takes_its_number),
	KUNIT_CASE(a_port_is_one_program_s),
	KUNIT_CASE(a_writer_of_a_removed_port_does_not_wait),
	KUNIT_CASE(a_port_is_removed_once),
	KUNIT_CASE(a_removed_console_is_hung_up_and_another_takes_its_place),
	KUNIT_CASE(an_open_port_may_become_a_console),
	KUNIT_CASE(sixty_four_ports_come_work_and_go),
	KUNIT_CASE(a_host_that_comes_and_goes_loses_what_it_did_not_hear),
	KUNIT_CASE(memory_that_is_not_there_costs_no_byte),
	KUNIT_CASE(output_waits_for_a_stalled_host),
	KUNIT_CASE(a_mebibyte_at_most_waits_for_a_host),
	{}
};

SIM_SUITE(console_port, virtio_console_rh, sim_test_init, console_test_exit);
MODULE_DESCRIPTION("KUnit suite of virtio_console_rh on the simulated device: ports");
MODULE_LICENSE("GPL");
