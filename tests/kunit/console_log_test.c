// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_console_rh against the simulated device: the kernel's log on a console. It is handed
 * to the driver as hvc would for console=hvc0, in pieces and with a flush at the end of each
 * record; whoever prints must not wait for a host for long, nor for himself.
 */
#include <linux/console.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/printk.h>

#include "console_kunit.h"
#include "virtio_console_rh/hvc_abi.h"

/* What is printed at a time, of which a buffer has room for several; and more than all have. */
#define PIECE	400
#define LOG_MAX	(300 * PIECE)

static struct end open_console(struct kunit *test)
{
	struct end end = open_end(test, usual(test), CONSOLE);

	data_moves(test, &end);
	act(test, end.sim, SIM_CONSOLE_ECHO, ON(CONSOLE, SIM_CONSOLE_RECORD));
	return end;
}

/* A piece of a record, from memory that is not the terminal's. */
static ssize_t print(const struct end *end, const void *text, size_t len)
{
	const struct hvc_struct *hp = tty_of(end)->driver_data;

	return hp->ops->put_chars(hp->vtermno, text, len);
}

/* The end of it. */
static void print_end(const struct end *end)
{
	const struct hvc_struct *hp = tty_of(end)->driver_data;

	hp->ops->flush(hp->vtermno, false);
}

static u64 recorded(const struct end *end)
{
	return state(end->sim, CONSOLE).recorded;
}

/* A piece that can be told from what is printed before and after it. */
static void print_piece(struct kunit *test, const struct end *end, size_t at)
{
	size_t i;

	for (i = 0; i < PIECE; i++)
		sent[i] = sim_console_flood_byte(at + i);
	KUNIT_EXPECT_EQ(test, print(end, sent, PIECE), PIECE);
}

/* The host has the first LEN bytes of such pieces, and nothing else. */
static void took(struct kunit *test, const struct end *end, size_t len)
{
	size_t at, i, n;

	KUNIT_EXPECT_TRUE(test, sim_test_wait(recorded(end) == len, SOON_MS));
	for (at = 0; at < len; at += n) {
		n = sim_console_take(end->sim, CONSOLE, got, BYTES);
		KUNIT_ASSERT_GT(test, n, 0);
		for (i = 0; i < n && got[i] == sim_console_flood_byte(at + i); i++)
			;
		KUNIT_EXPECT_EQ(test, i, n);
	}
}

static void a_record_goes_as_a_whole_at_its_end(struct kunit *test)
{
	struct end end = open_console(test);
	unsigned int i;
	u64 kicks;

	kicks = port_counter(test, &end, "tx_kicks");
	for (i = 0; i < 10; i++)
		KUNIT_EXPECT_EQ(test, print(&end, "word ", 5), 5);
	KUNIT_EXPECT_EQ(test, port_counter(test, &end, "tx_kicks"), kicks);
	KUNIT_EXPECT_EQ(test, recorded(&end), 0);
	print_end(&end);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(recorded(&end) == 50, SOON_MS));
	KUNIT_EXPECT_EQ(test, sim_console_take(end.sim, CONSOLE, got, BYTES), 50);
	for (i = 0; i < 10; i++)
		KUNIT_EXPECT_EQ(test, memcmp(got + 5 * i, "word ", 5), 0);
	KUNIT_EXPECT_EQ(test, port_counter(test, &end, "tx_kicks"), kicks + 1);
	data_moves(test, &end);
	close_end(&end);
}

/* Prints until a host that takes nothing has cost a wait; how much that was. */
static size_t print_until_stalled(struct kunit *test, const struct end *end)
{
	u64 lost = port_counter(test, end, "tx_bytes_lost");
	size_t done = 0;

	while (done < LOG_MAX && port_counter(test, end, "tx_bytes_lost") == lost) {
		print_piece(test, end, done);
		done += PIECE;
	}
	return done;
}

/* Who prints waits once, and not again until the host has taken something. */
static void a_host_that_takes_nothing_costs_the_log_one_wait(struct kunit *test)
{
	struct end end = open_console(test);
	u64 before, lost, done;
	unsigned long since;
	unsigned int i, round;

	set_stall(test, STALL_MS);
	for (round = 0; round < 2; round++) {
		act(test, end.sim, SIM_CONSOLE_STALL, ON(CONSOLE, 1));
		before = port_counter(test, &end, "tx_bytes_lost");
		since = jiffies;
		done = print_until_stalled(test, &end);
		KUNIT_EXPECT_GE(test, jiffies_to_msecs(jiffies - since), STALL_MS);
		KUNIT_EXPECT_EQ(test, port_counter(test, &end, "tx_stalls"), round + 1);
		lost = port_counter(test, &end, "tx_bytes_lost") - before;
		KUNIT_EXPECT_GT(test, lost, 0);
		KUNIT_EXPECT_LE(test, lost, PIECE);
		since = jiffies;
		for (i = 0; i < 10; i++) {
			KUNIT_EXPECT_EQ(test, print(&end, "lost", 4), 4);
			print_end(&end);
		}
		KUNIT_EXPECT_LT(test, jiffies_to_msecs(jiffies - since), STALL_MS);
		KUNIT_EXPECT_EQ(test, port_counter(test, &end, "tx_bytes_lost"),
				before + lost + 40);
		KUNIT_EXPECT_EQ(test, recorded(&end), 0);
		/* What it had taken is not lost, nor out of order. */
		act(test, end.sim, SIM_CONSOLE_STALL, ON(CONSOLE, 0));
		took(test, &end, done - lost);
	}
	set_stall(test, USUAL_STALL_MS);
	KUNIT_EXPECT_EQ(test, port_counter(test, &end, "tx_stalls"), 2);
	data_moves(test, &end);
	close_end(&end);
}

/* A buffer that comes back while somebody waits for it is all that he needs. */
static void a_host_that_is_slow_costs_the_log_no_byte(struct kunit *test)
{
	struct end end = open_console(test);
	size_t done;

	set_stall(test, STALL_MS);
	/* Each of the first ones; a console has one under way. */
	sim_tell(test, end.sim, .op = SIM_DELAY, .queue = 1, .value = 100, .count = 8);
	for (done = 0; done < LOG_MAX; done += PIECE)
		print_piece(test, &end, done);
	print_end(&end);
	set_stall(test, USUAL_STALL_MS);
	took(test, &end, LOG_MAX);
	KUNIT_EXPECT_EQ(test, sim_test_told(end.sim, SIM_DELAY), 8);
	KUNIT_EXPECT_EQ(test, port_counter(test, &end, "tx_stalls"), 0);
	KUNIT_EXPECT_EQ(test, port_counter(test, &end, "tx_bytes_lost"), 0);
	data_moves(test, &end);
	close_end(&end);
}

/* Nobody would push the rest later: the record is with the host when its end has come. */
static void the_last_record_of_a_dying_kernel_is_waited_for(struct kunit *test)
{
	static const char words[] = "last words";
	struct end end = open_console(test);
	unsigned int i;

	set_stall(test, STALL_MS);
	for (i = 0; i < 3; i++) {
		sim_tell(test, end.sim, .op = SIM_DELAY, .queue = 1, .value = 100);
		oops_in_progress += i;
		print(&end, words, strlen(words));
		print_end(&end);
		oops_in_progress -= i;
		KUNIT_EXPECT_EQ(test, port_counter(test, &end, "tx_in_flight"), !i);
		if (i)
			KUNIT_EXPECT_EQ(test, recorded(&end), (i + 1) * strlen(words));
	}
	KUNIT_EXPECT_EQ(test, sim_test_told(end.sim, SIM_DELAY), 3);
	KUNIT_EXPECT_EQ(test, port_counter(test, &end, "tx_stalls"), 0);
	/* A host that takes nothing may hold up its end for so long, and only once. */
	set_stall(test, USUAL_STALL_MS);
	act(test, end.sim, SIM_CONSOLE_STALL, ON(CONSOLE, 1));
	oops_in_progress++;
	for (i = 0; i < 3; i++) {
		print(&end, words, strlen(words));
		print_end(&end);
	}
	oops_in_progress--;
	KUNIT_EXPECT_EQ(test, port_counter(test, &end, "tx_stalls"), 1);
	act(test, end.sim, SIM_CONSOLE_STALL, ON(CONSOLE, 0));
	KUNIT_EXPECT_TRUE(test, sim_test_wait(recorded(&end) == 6 * strlen(words), SOON_MS));
	KUNIT_EXPECT_EQ(test, sim_console_take(end.sim, CONSOLE, got, BYTES), 6 * strlen(words));
	for (i = 0; i < 6; i++)
		KUNIT_EXPECT_EQ(test, memcmp(got + i * strlen(words), words, strlen(words)), 0);
	data_moves(test, &end);
	close_end(&end);
}

/* The whole log on a console of ours */

static struct end logged;
static unsigned int complaints;

static void log_write(struct console *console, const char *text, unsigned int len)
{
	/* The core's words on a ring that is broken, from under the lock of the console's queue. */
	if (strnstr(text, "output:id", len))
		WRITE_ONCE(complaints, complaints + 1);
	print(&logged, text, len);
	print_end(&logged);
}

static struct console log_console = {
	.name = "vrhlog",
	.write = log_write,
	.flags = CON_ENABLED,
};

/* The message comes back to the console that it is about, whose lock is held. */
static void a_message_about_its_own_ring_hangs_nobody(struct kunit *test)
{
	static const char words[] = "words for the log";
	u64 output;

	logged = open_console(test);
	complaints = 0;
	register_console(&log_console);
	output = recorded(&logged);
	pr_info("console_log: %s\n", words);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(recorded(&logged) >= output + strlen(words),
					      SOON_MS));
	/* It is found by who writes next. */
	sim_tell(test, logged.sim, .op = SIM_ID, .queue = 1, .value = U16_MAX);
	sim_tell(test, logged.sim, .op = SIM_IRQ_DROP, .queue = 1);
	put_once(&logged, "lie", 3);
	sim_test_applied(test, logged.sim);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(put_once(&logged, "found", 5) == -EIO ||
					      port_counter(test, &logged, "tx_broken"), SOON_MS));
	KUNIT_EXPECT_EQ(test, port_counter(test, &logged, "tx_broken"), 1);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(READ_ONCE(complaints), SOON_MS));
	pr_info("console_log: %s, and nobody hears them\n", words);
	unregister_console(&log_console);
	input_moves(test, &logged);
	close_end(&logged);
	data_moves_at(test, usual(test), CONSOLE);
}

/* The parameter */

static void a_wait_that_makes_no_sense_is_refused(struct kunit *test)
{
	static const char * const wrong[] = { "0", "2001", "-1", "99999999999", "long" };
	char text[16];
	unsigned int i;

	set_stall(test, 1);
	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		KUNIT_EXPECT_EQ_MSG(test, sim_test_write(test, STALL, wrong[i]), -EINVAL, "%s",
				    wrong[i]);
	sim_test_read(STALL, text, sizeof(text));
	KUNIT_EXPECT_STREQ(test, text, "1");
	set_stall(test, USUAL_STALL_MS);
}

static struct kunit_case console_log_cases[] = {
	KUNIT_CASE(a_record_goes_as_a_whole_at_its_end),
	KUNIT_CASE_SLOW(a_host_that_takes_nothing_costs_the_log_one_wait),
	KUNIT_CASE_SLOW(a_host_that_is_slow_costs_the_log_no_byte),
	KUNIT_CASE_SLOW(the_last_record_of_a_dying_kernel_is_waited_for),
	KUNIT_CASE(a_message_about_its_own_ring_hangs_nobody),
	KUNIT_CASE(a_wait_that_makes_no_sense_is_refused),
	{}
};

SIM_SUITE(console_log, virtio_console_rh, sim_test_init, console_test_exit);
MODULE_DESCRIPTION("KUnit suite of virtio_console_rh on the simulated device: the kernel's log");
MODULE_LICENSE("GPL");
