// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_console_rh against the simulated device: what becomes of ports over a suspend
 * during which they change, and of output until the device has said what has.
 */
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/printk.h>

#include "console_kunit.h"

/* Ports that change while nobody can be told */

static void what_went_during_a_suspend_is_gone_after_it(struct kunit *test)
{
	struct sim_device *sim = make(test, FEATURES | SIM_RING_FEATURES, 64, 5);
	struct end stays, goes, shuts;

	act(test, sim, SIM_CONSOLE_REMOVE, 4);
	plug(test, sim);
	stays = open_end(test, sim, 1);
	goes = open_end(test, sim, 2);
	shuts = open_end(test, sim, 3);
	freeze(test, sim);
	act(test, sim, SIM_CONSOLE_REMOVE, 2);
	act(test, sim, SIM_CONSOLE_HOSTOPEN, ON(3, 0));
	add_port(test, sim, 4, NULL, 0);
	/* Nothing is known of it yet: it stays as it was. */
	KUNIT_EXPECT_EQ(test, get_once(&goes, got, 1), -EAGAIN);
	KUNIT_EXPECT_EQ(test, get_once(&shuts, got, 1), -EAGAIN);
	start(test, &goes, READS);
	restore(test, sim);
	is_connected(test, &stays);
	data_moves(test, &stays);
	data_moves_at(test, sim, 4);
	/* A second of silence decides. */
	returns(test, -ENODEV);
	is_gone(test, &goes);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(vfs_poll(shuts.file, NULL) & EPOLLHUP, SOON_MS));
	KUNIT_EXPECT_EQ(test, get_once(&shuts, got, 1), 0);
	act(test, sim, SIM_CONSOLE_HOSTOPEN, ON(3, 1));
	is_connected(test, &shuts);
	data_moves(test, &shuts);
	add_port(test, sim, 2, NULL, 0);
	data_moves_at(test, sim, 2);
	is_gone(test, &goes);
	data_moves(test, &stays);
	close_end(&stays);
	close_end(&goes);
	close_end(&shuts);
}

static void a_port_of_another_name_is_another_port(struct kunit *test)
{
	struct sim_device *sim = make(test, FEATURES | SIM_RING_FEATURES, 64, 3);
	struct end old, same;
	char path[64], name[16];
	unsigned int id;
	u64 output;

	for (id = 1; id <= 2; id++) {
		act(test, sim, SIM_CONSOLE_REMOVE, id);
		add_port(test, sim, id, "old", 3);
	}
	plug(test, sim);
	old = open_end(test, sim, 1);
	same = open_end(test, sim, 2);
	freeze(test, sim);
	for (id = 1; id <= 2; id++) {
		act(test, sim, SIM_CONSOLE_REMOVE, id);
		add_port(test, sim, id, id == 1 ? "new" : "old", 3);
	}
	output = state(sim, 1).output;
	start(test, &old, WRITES);
	restore(test, sim);
	/* Not one byte for the old one goes to the new one. */
	returns(test, -ENODEV);
	is_gone(test, &old);
	KUNIT_EXPECT_EQ(test, state(sim, 1).output, output);
	data_moves_at(test, sim, 1);
	snprintf(path, sizeof(path), "sys/class/virtio-ports-rh/vport%dp1/name", sim->vdev.index);
	KUNIT_EXPECT_GT(test, sim_test_read(path, name, sizeof(name)), 0);
	KUNIT_EXPECT_STREQ(test, name, "new");
	/* Nobody can tell that this one is new. */
	is_connected(test, &same);
	data_moves(test, &same);
	close_end(&old);
	close_end(&same);
}

/* It takes the greeting, and no port is heard of for a second. */
static void a_device_that_is_silent_after_a_suspend_has_no_ports(struct kunit *test)
{
	struct sim_device *sim = usual(test);
	struct end end = open_end(test, sim, PORT);

	data_moves(test, &end);
	freeze(test, sim);
	sim_tell(test, sim, .op = SIM_HOLD, .queue = CTRL_RX, .count = 1000);
	start(test, &end, READS);
	restore(test, sim);
	returns(test, -ENODEV);
	is_gone(test, &end);
	sim_forget(sim);
	data_moves_at(test, sim, PORT);
	data_moves_at(test, sim, CONSOLE);
	close_end(&end);
}

/* PORT_ADD of so many ports find a buffer, as it is all that there are. */
#define ROOM	4

static u64 messages_lost(struct sim_device *sim)
{
	struct sim_console_stats stats;

	sim_console_stats(sim, &stats);
	return stats.dropped;
}

/*
 * Back again with too few buffers for its messages: the driver does not hear of port ROOM. It
 * finds the others' with the answer to its greeting, all at once.
 */
static void restore_crowded(struct kunit *test, struct sim_device *sim)
{
	u64 lost = messages_lost(sim);

	sim->options.queue_size = ROOM;
	act(test, sim, SIM_CONSOLE_PATIENCE, 0);
	sim_tell(test, sim, .op = SIM_IRQ_DROP, .queue = CTRL_RX, .count = ROOM);
	restore(test, sim);
	sim_test_applied(test, sim);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(messages_lost(sim) == lost + 1, SOON_MS));
	act(test, sim, SIM_CONSOLE_PATIENCE, 1);
}

/* It is asked for each of them, once; in another suspend again, but only if it need be. */
static void ports_that_a_device_had_no_buffer_to_name_are_asked_for(struct kunit *test)
{
	struct sim_device *sim = make(test, FEATURES | SIM_RING_FEATURES, 64, ROOM + 2);
	struct end unnamed, goes;
	unsigned int i;
	u64 asked;

	plug(test, sim);
	unnamed = open_end(test, sim, ROOM);
	goes = open_end(test, sim, ROOM + 1);
	data_moves(test, &unnamed);
	data_moves(test, &goes);
	for (i = 0; i < 2; i++) {
		freeze(test, sim);
		if (!i)
			act(test, sim, SIM_CONSOLE_REMOVE, ROOM + 1);
		asked = state(sim, ROOM + 1).readies;
		restore_crowded(test, sim);
		is_connected(test, &unnamed);
		data_moves(test, &unnamed);
		/* Silence cannot mean that it has gone: nobody is there, and no more. */
		KUNIT_EXPECT_TRUE(test, sim_test_wait(vfs_poll(goes.file, NULL) & EPOLLHUP,
						      SOON_MS));
		KUNIT_EXPECT_EQ(test, get_once(&goes, got, 1), 0);
		KUNIT_EXPECT_TRUE(test, sim_test_wait(state(sim, ROOM + 1).readies == asked + 1,
						      SOON_MS));
		KUNIT_EXPECT_EQ(test, state(sim, ROOM).readies, i + 2);
	}
	freeze(test, sim);
	act(test, sim, SIM_CONSOLE_REMOVE, ROOM);
	sim->options.queue_size = 64;
	restore(test, sim);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(get_once(&unnamed, got, 1) == -ENODEV &&
					      get_once(&goes, got, 1) == -ENODEV, SOON_MS));
	is_gone(test, &unnamed);
	is_gone(test, &goes);
	data_moves_at(test, sim, PORT);
	close_end(&unnamed);
	close_end(&goes);
}

/* Nothing is heard of any port any more: they stay as they were. */
static void a_control_ring_that_breaks_after_a_suspend_holds_up_nobody(struct kunit *test)
{
	struct sim_device *sim;
	struct end end;
	u16 queue;

	for (queue = CTRL_RX; queue <= CTRL_TX; queue++) {
		sim = usual(test);
		end = open_end(test, sim, PORT);
		data_moves(test, &end);
		freeze(test, sim);
		start(test, &end, WRITES);
		sim_tell(test, sim, .op = SIM_ID, .queue = queue, .value = U16_MAX);
		restore(test, sim);
		returns(test, 100);
		sim_test_applied(test, sim);
		hears_nothing(test, &end);
		sim_test_unplug(test, false);
		is_gone(test, &end);
		close_end(&end);
	}
	data_moves_at(test, usual(test), PORT);
}

/* Devices that do not say what has become of their ports */

/* So long does output wait for a device's word, from the greeting on. */
#define END_MS	10000

/* Of a suspended device that will hear of PORT_READY, and never say so nor answer. */
static void hush(struct kunit *test, struct sim_device *sim)
{
	/* But for DEVICE_READY, and PORT_ADD of both ports. */
	sim_tell(test, sim, .op = SIM_HOLD, .queue = CTRL_TX, .skip = 1, .count = 1000);
	sim_tell(test, sim, .op = SIM_HOLD, .queue = CTRL_RX, .skip = 2, .count = 1000);
}

/* Back again, and silent; output may be taken, as each port is ready. */
static void restore_hushed(struct kunit *test, struct sim_device *sim)
{
	u64 console = state(sim, CONSOLE).readies, port = state(sim, PORT).readies;

	restore(test, sim);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(state(sim, CONSOLE).readies > console &&
					      state(sim, PORT).readies > port, SOON_MS));
}

/* This and no more, since it is recorded. */
static void console_has(struct kunit *test, struct sim_device *sim, const char *text)
{
	size_t len = strlen(text);

	KUNIT_EXPECT_TRUE(test, sim_test_wait(state(sim, CONSOLE).recorded == len, SOON_MS));
	KUNIT_EXPECT_EQ(test, sim_console_take(sim, CONSOLE, got, BYTES), len);
	KUNIT_EXPECT_EQ(test, memcmp(got, text, len), 0);
}

static void output_goes_though_a_device_takes_no_message(struct kunit *test)
{
	struct sim_device *sim = usual(test);
	struct end console = open_end(test, sim, CONSOLE);
	struct end end = open_end(test, sim, PORT);
	unsigned long since;

	data_moves(test, &console);
	data_moves(test, &end);
	act(test, sim, SIM_CONSOLE_ECHO, ON(CONSOLE, SIM_CONSOLE_RECORD));
	freeze(test, sim);
	hush(test, sim);
	start(test, &end, WRITES);
	since = jiffies;
	restore_hushed(test, sim);
	KUNIT_EXPECT_EQ(test, put_once(&console, "held", 4), 4);
	waits(test);
	KUNIT_EXPECT_EQ(test, state(sim, CONSOLE).recorded, 0);
	KUNIT_EXPECT_EQ(test, result(test, END_MS + SOON_MS), 100);
	KUNIT_EXPECT_GE(test, jiffies_to_msecs(jiffies - since), END_MS);
	console_has(test, sim, "held");
	/* What it says now is heard. */
	act(test, sim, SIM_CONSOLE_HOSTOPEN, ON(PORT, 0));
	sim_forget(sim);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(vfs_poll(end.file, NULL) & EPOLLHUP, SOON_MS));
	act(test, sim, SIM_CONSOLE_HOSTOPEN, ON(PORT, 1));
	is_connected(test, &end);
	data_moves(test, &console);
	data_moves(test, &end);
	close_end(&console);
	close_end(&end);
}

/* Messages about a port, of which none says that its host is there; and no second without. */
static bool chatter(struct kunit *test, struct sim_device *sim, const struct end *end)
{
	unsigned long stop = jiffies + msecs_to_jiffies(END_MS + SOON_MS);

	while (!completion_done(&program->done) && time_before(jiffies, stop)) {
		if (vfs_poll(end->file, NULL) & EPOLLHUP)
			return false;
		sim_console_send(sim, PORT, VIRTIO_CONSOLE_RESIZE, 0, sent, 4);
		msleep(20);
	}
	return true;
}

static void output_goes_though_a_device_never_stops_talking(struct kunit *test)
{
	struct sim_device *sim;
	unsigned int tries;
	unsigned long since;
	struct end end;
	u64 discarded;
	bool told;

	/* A guest that was stopped for a second takes the device for silent: once more. */
	for (tries = 0, told = false; !told && tries < 3; tries++) {
		sim = usual(test);
		end = open_end(test, sim, PORT);
		data_moves(test, &end);
		freeze(test, sim);
		act(test, sim, SIM_CONSOLE_HOSTOPEN, ON(PORT, 0));
		discarded = state(sim, PORT).discarded;
		start(test, &end, WRITES);
		since = jiffies;
		restore(test, sim);
		told = chatter(test, sim, &end);
		if (told) {
			returns(test, 100);
			KUNIT_EXPECT_GE(test, jiffies_to_msecs(jiffies - since), END_MS);
			KUNIT_EXPECT_TRUE(test, sim_test_wait(state(sim, PORT).discarded ==
							      discarded + 100, SOON_MS));
		} else {
			KUNIT_EXPECT_TRUE(test, end_program());
		}
		act(test, sim, SIM_CONSOLE_HOSTOPEN, ON(PORT, 1));
		is_connected(test, &end);
		data_moves(test, &end);
		close_end(&end);
	}
	KUNIT_EXPECT_TRUE(test, told);
}

/* It is seen by who closes another port, as no interrupt tells of it. */
static void output_goes_when_a_control_ring_is_found_broken(struct kunit *test)
{
	struct sim_device *sim = make(test, FEATURES | SIM_RING_FEATURES, 64, 3);
	struct end end, other;
	unsigned long since;

	plug(test, sim);
	end = open_end(test, sim, 1);
	other = open_end(test, sim, 2);
	data_moves(test, &end);
	freeze(test, sim);
	sim_tell(test, sim, .op = SIM_HOLD, .queue = CTRL_RX, .count = 1000);
	sim_tell(test, sim, .op = SIM_ID, .queue = CTRL_TX, .value = U16_MAX);
	sim_tell(test, sim, .op = SIM_IRQ_DROP, .queue = CTRL_TX, .count = 1000);
	start(test, &end, WRITES);
	since = jiffies;
	restore(test, sim);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(sim_test_told(sim, SIM_ID), SOON_MS));
	waits(test);
	KUNIT_EXPECT_EQ(test, counter(test, sim, "control", "tx_broken"), 0);
	close_end(&other);
	returns(test, 100);
	KUNIT_EXPECT_EQ(test, counter(test, sim, "control", "tx_broken"), 1);
	/* And not because it was time. */
	KUNIT_EXPECT_LT(test, jiffies_to_msecs(jiffies - since), END_MS);
	sim_test_unplug(test, false);
	is_gone(test, &end);
	close_end(&end);
	data_moves_at(test, usual(test), PORT);
}

static void the_console_of_a_dying_kernel_does_not_wait(struct kunit *test)
{
	struct sim_device *sim = usual(test);
	struct end console = open_end(test, sim, CONSOLE);
	struct end end = open_end(test, sim, PORT);
	unsigned long since;
	ssize_t last, port;
	u64 output;

	data_moves(test, &console);
	data_moves(test, &end);
	output = state(sim, PORT).output;
	act(test, sim, SIM_CONSOLE_ECHO, ON(CONSOLE, SIM_CONSOLE_RECORD));
	freeze(test, sim);
	hush(test, sim);
	since = jiffies;
	restore_hushed(test, sim);
	KUNIT_EXPECT_EQ(test, put_once(&console, "held", 4), 4);
	KUNIT_EXPECT_EQ(test, put_once(&end, "port", 4), -EAGAIN);
	KUNIT_EXPECT_EQ(test, state(sim, CONSOLE).recorded, 0);
	/* As in panic(). */
	oops_in_progress++;
	last = put_once(&console, "last", 4);
	port = put_once(&end, "port", 4);
	oops_in_progress--;
	KUNIT_EXPECT_EQ(test, last, 4);
	console_has(test, sim, "heldlast");
	/* And not because it was time. */
	KUNIT_EXPECT_LT(test, jiffies_to_msecs(jiffies - since), END_MS);
	/* A program can still wait. */
	KUNIT_EXPECT_EQ(test, port, -EAGAIN);
	KUNIT_EXPECT_EQ(test, state(sim, PORT).output, output);
	sim_forget(sim);
	data_moves(test, &console);
	data_moves(test, &end);
	close_end(&console);
	close_end(&end);
}

/* Nobody would hear any more that it may go. */
static void a_suspend_does_not_wait_for_output_that_waits(struct kunit *test)
{
	struct sim_device *sim = usual(test);
	struct end console = open_end(test, sim, CONSOLE);
	unsigned long since, quickest = ULONG_MAX;
	unsigned int i;

	data_moves(test, &console);
	act(test, sim, SIM_CONSOLE_ECHO, ON(CONSOLE, SIM_CONSOLE_RECORD));
	set_stall(test, STALL_MS);
	freeze(test, sim);
	for (i = 0; i < 3; i++) {
		hush(test, sim);
		restore_hushed(test, sim);
		KUNIT_EXPECT_EQ(test, put_once(&console, "held", 4), 4);
		since = jiffies;
		freeze(test, sim);
		quickest = min(quickest, jiffies - since);
		KUNIT_EXPECT_EQ(test, state(sim, CONSOLE).recorded, 0);
		sim_forget(sim);
		restore(test, sim);
		console_has(test, sim, "held");
		freeze(test, sim);
	}
	restore(test, sim);
	set_stall(test, USUAL_STALL_MS);
	KUNIT_EXPECT_LT(test, jiffies_to_msecs(quickest), STALL_MS);
	KUNIT_EXPECT_EQ(test, port_counter(test, &console, "tx_bytes_lost"), 0);
	is_connected(test, &console);
	data_moves(test, &console);
	close_end(&console);
}

static struct kunit_case console_settle_cases[] = {
	KUNIT_CASE_SLOW(what_went_during_a_suspend_is_gone_after_it),
	KUNIT_CASE(a_port_of_another_name_is_another_port),
	KUNIT_CASE_SLOW(a_device_that_is_silent_after_a_suspend_has_no_ports),
	KUNIT_CASE_SLOW(ports_that_a_device_had_no_buffer_to_name_are_asked_for),
	KUNIT_CASE(a_control_ring_that_breaks_after_a_suspend_holds_up_nobody),
	KUNIT_CASE_SLOW(output_goes_though_a_device_takes_no_message),
	KUNIT_CASE_SLOW(output_goes_though_a_device_never_stops_talking),
	KUNIT_CASE(output_goes_when_a_control_ring_is_found_broken),
	KUNIT_CASE(the_console_of_a_dying_kernel_does_not_wait),
	KUNIT_CASE_SLOW(a_suspend_does_not_wait_for_output_that_waits),
	{}
};

SIM_SUITE(console_settle, virtio_console_rh, sim_test_init, console_test_exit);
MODULE_DESCRIPTION("KUnit suite of virtio_console_rh on the simulated device: after a suspend");
MODULE_LICENSE("GPL");
