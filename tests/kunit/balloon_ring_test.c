// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_balloon_rh against the simulated device: every feature and ring that it can
 * meet, and every lie of a host. Pages must come and go untouched, or come back to the
 * guest when the driver is unbound, which no host may hold up for long.
 */
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/prandom.h>

#include "balloon_kunit.h"

/* Features and rings */

static void with(struct kunit *test, u64 features, u32 size)
{
	const struct sim_options options = {
		.id = VIRTIO_ID_BALLOON, .features = features, .queue_size = size,
	};
	struct sim_device *sim = sim_test_plug(test, &options);

	KUNIT_EXPECT_EQ(test, sim->vdev.features & SERVED, features & SERVED);
	KUNIT_EXPECT_FALSE(test, sim_has(sim, VIRTIO_BALLOON_F_FREE_PAGE_HINT));
	/* Through bounce buffers, the host would discard those. */
	if (sim_has(sim, VIRTIO_F_ACCESS_PLATFORM))
		KUNIT_EXPECT_FALSE(test, sim_has(sim, VIRTIO_BALLOON_F_REPORTING));
	pages_move(test, sim);
	if (sim_has(sim, VIRTIO_BALLOON_F_STATS_VQ))
		KUNIT_EXPECT_TRUE(test, sim_test_wait(counts(sim).stats == 1, SOON_MS));
}

static void each_feature_off_and_alone(struct kunit *test)
{
	sim_test_each_feature(test, ALL, with);
}

static void random_features(struct kunit *test)
{
	sim_test_random_features(test, ALL, 8, with);
}

static void legacy_device(struct kunit *test)
{
	with(test, FEATURES | BIT_ULL(VIRTIO_RING_F_EVENT_IDX), 64);
	with(test, 0, 64);
}

static void every_queue_size(struct kunit *test)
{
	static const u16 odd[] = { 3, 100, 1000 };

	sim_test_each_size(test, USUAL, 1, 1024, odd, ARRAY_SIZE(odd), with);
}

/* Targets */

static void a_storm_of_targets_ends_at_the_last(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);
	struct rnd_state rnd;
	unsigned int i;

	prandom_seed_state(&rnd, 1);
	for (i = 0; i < 300; i++) {
		target(test, sim, i % 50 ? prandom_u32_state(&rnd) % 1024 : U32_MAX);
		if (i % 10 == 0)
			usleep_range(500, 1000);
	}
	target(test, sim, SOME);
	KUNIT_EXPECT_TRUE(test, reaches(sim, SOME));
	KUNIT_EXPECT_EQ(test, sim_balloon_check_idle(sim), 0);
	pages_move(test, sim);
}

static void targets_beyond_memory_stop_at_the_floor(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);
	const unsigned long mib = SZ_1M / PAGE_SIZE;
	unsigned long floor;
	char text[24];

	/* 24 MiB from here, with 8 for what others take and free meanwhile. */
	floor = (si_mem_available() / mib - 24) * mib;
	snprintf(text, sizeof(text), "%lu", floor / mib);
	write_file(test, FLOOR, text);
	target(test, sim, U32_MAX);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(counter(sim, "floor_stops") > 0, SOON_MS));
	KUNIT_EXPECT_GE(test, si_mem_available(), (long)(floor - 8 * mib));
	KUNIT_EXPECT_GT(test, counts(sim).pages, 8 * mib);
	KUNIT_EXPECT_EQ(test, totalram_pages(), total - counter(sim, "held_pages"));
	write_file(test, FLOOR, "-1");
	target(test, sim, 0);
	KUNIT_EXPECT_TRUE(test, reaches(sim, 0));
	KUNIT_EXPECT_EQ(test, sim_balloon_check_idle(sim), 0);
	KUNIT_EXPECT_EQ(test, totalram_pages(), total);
}

/* Config space */

static void actual_written_by_the_device_is_put_right(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);

	target(test, sim, SOME);
	KUNIT_EXPECT_TRUE(test, reaches(sim, SOME));
	act_at(test, sim, SIM_CONFIG, SIM_BALLOON_FIELD(actual), 4, 0xdeadbeef);
	KUNIT_EXPECT_EQ(test, actual(sim), 0xdeadbeef);
	/* By what the driver writes next: it does not read the field. */
	target(test, sim, FULL);
	KUNIT_EXPECT_TRUE(test, reaches(sim, FULL));
	pages_come_and_go(test, sim);
}

static void a_torn_target_is_read_again(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);

	act_at(test, sim, SIM_CONFIG_TEAR, SIM_BALLOON_FIELD(num_pages) + 1, 1, 2);
	target(test, sim, SOME);
	KUNIT_EXPECT_TRUE(test, reaches(sim, SOME));
	act_at(test, sim, SIM_CONFIG_IRQ, 0, 0, 0);
	KUNIT_EXPECT_TRUE(test, reaches(sim, SOME % 256 + 512));
	pages_come_and_go(test, sim);
}

static void hints_that_were_not_negotiated_are_not_given(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);

	act_at(test, sim, SIM_CONFIG, SIM_BALLOON_FIELD(free_page_hint_cmd_id), 4,
	       VIRTIO_BALLOON_CMD_ID_DONE + 1);
	pages_come_and_go(test, sim);
	/* Anything on their queue would be a violation. */
	KUNIT_EXPECT_EQ(test, counts(sim).hint_rounds, 0);
}

static void a_device_that_asks_for_a_reset_is_served_on(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);

	KUNIT_EXPECT_EQ(test, counter(sim, "errors"), 0);
	act_at(test, sim, SIM_NEEDS_RESET, 0, 0, 0);
	KUNIT_EXPECT_TRUE(test, READ_ONCE(sim->status) & VIRTIO_CONFIG_S_NEEDS_RESET);
	pages_move(test, sim);
	/* Counted once, and again after the reset that it asks for. */
	KUNIT_EXPECT_EQ(test, counter(sim, "errors"), 1);
	KUNIT_EXPECT_EQ(test, sim_test_freeze(sim), 0);
	KUNIT_EXPECT_EQ(test, sim_test_restore(sim), 0);
	pages_move(test, sim);
	KUNIT_EXPECT_EQ(test, counter(sim, "errors"), 1);
	act_at(test, sim, SIM_NEEDS_RESET, 0, 0, 0);
	pages_move(test, sim);
	KUNIT_EXPECT_EQ(test, counter(sim, "errors"), 2);
}

/* Interrupts */

static void interrupts_without_cause_do_nothing(struct kunit *test)
{
	struct sim_device *sim = sim_test_make(test, &usual);
	unsigned int i;

	/* Three queues: those of hints and reports do not exist. */
	act(test, sim, SIM_IRQ_EARLY, SIM_ALL_QUEUES, 3, 0);
	act(test, sim, SIM_IRQ_LATE, SIM_ALL_QUEUES, 3, 0);
	act(test, sim, SIM_IRQ_STORM, SIM_ALL_QUEUES, 6, 500);
	KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(counts(sim).stats == 1, SOON_MS));
	for (i = 0; i < 300; i++) {
		act(test, sim, SIM_IRQ, i % 3, 0, 0);
		act_at(test, sim, SIM_CONFIG_IRQ, 0, 0, 0);
	}
	pages_move(test, sim);
	KUNIT_EXPECT_EQ(test, counts(sim).stats, 1);
	KUNIT_EXPECT_EQ(test, counter(sim, "stats"), 0);
	KUNIT_EXPECT_EQ(test, counter(sim, "host_late"), 0);
	sim_unplug(sim, false);
	KUNIT_EXPECT_EQ(test, sim_test_told(sim, SIM_IRQ_EARLY), 3);
	KUNIT_EXPECT_GE(test, sim_test_told(sim, SIM_IRQ_STORM), 1);
	KUNIT_EXPECT_EQ(test, sim_test_told(sim, SIM_IRQ_LATE), 3);
}

static void an_answer_without_an_interrupt_is_found(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);

	act(test, sim, SIM_IRQ_DROP, SIM_BALLOON_INFLATE, 1, 0);
	target(test, sim, 100);
	KUNIT_EXPECT_TRUE(test, reaches(sim, 100));
	sim_test_applied(test, sim);
	KUNIT_EXPECT_EQ(test, counter(sim, "host_late"), 0);
	pages_move(test, sim);
}

/* Answers */

static void answers_late_backwards_or_with_odd_lengths_count(struct kunit *test)
{
	static const u32 lengths[] = { 0, 1, SZ_1M, U32_MAX };
	struct sim_device *sim = sim_test_plug(test, &usual);
	unsigned int i;

	act(test, sim, SIM_DELAY, SIM_ALL_QUEUES, 8, 150);
	pages_move(test, sim);
	/* What is delayed is not reordered. */
	sim_forget(sim);
	act(test, sim, SIM_REORDER, SIM_BALLOON_INFLATE, 4, 2);
	act(test, sim, SIM_REORDER, SIM_BALLOON_DEFLATE, 4, 2);
	pages_move(test, sim);
	/* SOME are two buffers each way. */
	KUNIT_EXPECT_GE(test, sim_test_told(sim, SIM_DELAY), 4);
	KUNIT_EXPECT_GE(test, sim_test_told(sim, SIM_REORDER), 4);
	sim_forget(sim);
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		act(test, sim, SIM_LEN, SIM_ALL_QUEUES, 4, lengths[i]);
		pages_move(test, sim);
		sim_test_applied(test, sim);
	}
	KUNIT_EXPECT_EQ(test, counter(sim, "host_late"), 0);
	KUNIT_EXPECT_EQ(test, counter(sim, "errors"), 0);
	/* Each round inflates SOME once, however it was answered. */
	KUNIT_EXPECT_EQ(test, counter(sim, "inflated"), 6 * SOME);
	KUNIT_EXPECT_EQ(test, counter(sim, "deflated"), 6 * SOME);
}

static void unanswered_buffers_are_counted_and_no_page_is_lost(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);

	act(test, sim, SIM_HOLD, SIM_BALLOON_INFLATE, 2, 0);
	target(test, sim, FULL);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(counter(sim, "host_late") == 2, SOON_MS));
	KUNIT_EXPECT_EQ(test, counter(sim, "held_pages"), 0);
	/* What the host did not confirm is not asked back: the model would notice. */
	target(test, sim, 0);
	msleep(300);
	KUNIT_EXPECT_EQ(test, counts(sim).pages, FULL);
	act(test, sim, SIM_RELEASE, SIM_BALLOON_INFLATE, 0, 0);
	KUNIT_EXPECT_TRUE(test, reaches(sim, 0));

	target(test, sim, FULL);
	KUNIT_EXPECT_TRUE(test, reaches(sim, FULL));
	act(test, sim, SIM_HOLD, SIM_BALLOON_DEFLATE, 2, 0);
	target(test, sim, 0);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(counter(sim, "host_late") == 4, SOON_MS));
	KUNIT_EXPECT_EQ(test, counter(sim, "deflated"), FULL);
	act(test, sim, SIM_RELEASE, SIM_BALLOON_DEFLATE, 0, 0);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(counter(sim, "deflated") == 2 * FULL, SOON_MS));
	pages_move(test, sim);
}

/* Ends */

static void a_host_that_keeps_inflated_pages_cannot_hold_up_an_unbind(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);

	act(test, sim, SIM_HOLD, SIM_BALLOON_INFLATE, 8, 0);
	target(test, sim, FULL);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(counts(sim).pages == FULL, SOON_MS));
	keep(sim);
	ends(test, false);
}

static void a_host_that_ignores_a_deflate_cannot_hold_up_an_unbind(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &packed);

	target(test, sim, FULL);
	KUNIT_EXPECT_TRUE(test, reaches(sim, FULL));
	act(test, sim, SIM_DROP, SIM_BALLOON_DEFLATE, 8, 0);
	keep(sim);
	ends(test, false);
}

static void a_device_pulled_out_leaves_all_pages(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);

	target(test, sim, SOME);
	KUNIT_EXPECT_TRUE(test, reaches(sim, SOME));
	act(test, sim, SIM_HOLD, SIM_BALLOON_INFLATE, 8, 0);
	target(test, sim, SOME + FULL);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(counts(sim).pages == SOME + FULL, SOON_MS));
	keep(sim);
	ends(test, true);
}

static void a_device_that_reads_as_ones_can_be_unbound(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);

	target(test, sim, FULL);
	KUNIT_EXPECT_TRUE(test, reaches(sim, FULL));
	keep(sim);
	/* The target is 2^32-1 now. */
	act_at(test, sim, SIM_GONE, 0, 0, 0);
	act_at(test, sim, SIM_CONFIG_IRQ, 0, 0, 0);
	ends(test, false);
}

/* Rings */

/**
 * struct ring_lie - what breaks a virtqueue
 * @name: for messages
 * @options: of the device
 * @op: what it does
 * @value: and to what
 */
struct ring_lie {
	const char *name;
	const struct sim_options *options;
	enum sim_op op;
	u64 value;
};

static const struct ring_lie ring_lies[] = {
	{ "twice", &usual, SIM_TWICE, 0 },
	{ "twice, packed", &packed, SIM_TWICE, 0 },
	{ "never offered", &usual, SIM_ID, 77 },
	{ "never offered, packed", &packed, SIM_ID, 77 },
	{ "beyond the ring", &usual, SIM_ID, U32_MAX },
	{ "beyond the ring, packed", &packed, SIM_ID, 40000 },
	{ "used index jumps", &usual, SIM_USED_IDX, 1000 },
};

/*
 * A lie about the first of two buffers: what is left is counted, then waits for the end.
 * A used index that jumps while nothing is under way would leave nothing to count.
 */
static void broken_by(struct kunit *test, const struct ring_lie *lie, u16 queue)
{
	bool deflate = queue == SIM_BALLOON_DEFLATE, jump = lie->op == SIM_USED_IDX;
	struct sim_device *sim = sim_test_plug(test, lie->options);

	kunit_info(test, "%s, queue %u", lie->name, queue);
	if (deflate) {
		target(test, sim, FULL);
		KUNIT_EXPECT_TRUE(test, reaches(sim, FULL));
		keep(sim);
	}
	act(test, sim, jump ? SIM_HOLD : lie->op, queue, jump ? 2 : 1, lie->value);
	target(test, sim, deflate ? 0 : FULL);
	if (jump) {
		KUNIT_EXPECT_TRUE(test, sim_test_wait(counts(sim).pages == (deflate ? 0 : FULL),
						      SOON_MS));
		act(test, sim, SIM_USED_IDX, queue, 0, lie->value);
	}
	KUNIT_EXPECT_TRUE(test, sim_test_wait(counter(sim, "host_late") > 0, SOON_MS));
	KUNIT_EXPECT_GE(test, sim_test_told(sim, lie->op), 1);
	if (!deflate)
		keep(sim);
	ends(test, false);
}

static void lies_about_inflation_end_the_device_cleanly(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ring_lies); i++)
		broken_by(test, &ring_lies[i], SIM_BALLOON_INFLATE);
}

static void lies_about_deflation_end_the_device_cleanly(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ring_lies); i++)
		broken_by(test, &ring_lies[i], SIM_BALLOON_DEFLATE);
}

/* Statistics */

static u64 stat(struct kunit *test, struct sim_device *sim, unsigned int tag)
{
	u64 value = 0;

	KUNIT_EXPECT_TRUE(test, sim_balloon_stat(sim, tag, &value));
	return value;
}

static void each_poll_brings_fresh_statistics_once(struct kunit *test)
{
	const struct sim_action poll = { .op = SIM_BALLOON_POLL };
	struct sim_device *sim = sim_test_plug(test, &usual);
	unsigned int i, polls = 0;

	KUNIT_EXPECT_TRUE(test, sim_test_wait(counts(sim).stats == 1, SOON_MS));
	KUNIT_EXPECT_EQ(test, stat(test, sim, VIRTIO_BALLOON_S_MEMTOT), (u64)total << PAGE_SHIFT);
	target(test, sim, SOME);
	KUNIT_EXPECT_TRUE(test, reaches(sim, SOME));
	act(test, sim, SIM_LEN, SIM_BALLOON_STATS, 2, U32_MAX);
	/* As often as the device can; most come while the driver has the buffer. */
	for (i = 0; i < 200; i++)
		polls += !sim_act(sim, &poll);
	KUNIT_EXPECT_GT(test, polls, 0);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(counts(sim).stats == polls + 1, SOON_MS));
	KUNIT_EXPECT_EQ(test, counter(sim, "stats"), polls);
	KUNIT_EXPECT_EQ(test, stat(test, sim, VIRTIO_BALLOON_S_MEMTOT),
			(u64)(total - SOME) << PAGE_SHIFT);
	pages_move(test, sim);
}

static void lies_about_statistics_end_those_only(struct kunit *test)
{
	static const struct ring_lie lies[] = {
		{ "twice", &usual, SIM_TWICE, 0 },
		{ "never offered", &usual, SIM_ID, 77 },
		{ "never offered, packed", &packed, SIM_ID, 77 },
		{ "used index jumps", &usual, SIM_USED_IDX, 1000 },
	};
	struct sim_device *sim;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lies); i++) {
		kunit_info(test, "%s", lies[i].name);
		sim = sim_test_plug(test, lies[i].options);
		KUNIT_EXPECT_TRUE(test, sim_test_wait(counts(sim).stats == 1, SOON_MS));
		act(test, sim, lies[i].op, SIM_BALLOON_STATS, 1, lies[i].value);
		act(test, sim, SIM_BALLOON_POLL, 0, 0, 0);
		sim_test_applied(test, sim);
		pages_come_and_go(test, sim);
		KUNIT_EXPECT_EQ(test, sim_test_told(sim, lies[i].op), 1);
		/* One buffer was the device's to use: at most one request was answered. */
		KUNIT_EXPECT_TRUE(test, in_range(counter(sim, "stats"), 0L, 2L));
	}
}

/* Reports */

static void a_report_that_is_held_holds_up_nothing_else(struct kunit *test)
{
	struct sim_device *sim = reported_to(test, SIM_BALLOON_HOLD_REPORT, 1);

	KUNIT_EXPECT_TRUE(test, sim_test_wait(counts(sim).held == 1, SOON_MS));
	pages_move(test, sim);
	KUNIT_EXPECT_EQ(test, counter(sim, "reported"), 0);
	act(test, sim, SIM_BALLOON_HOLD_REPORT, 0, 0, 0);
	KUNIT_EXPECT_TRUE(test, sim_test_wait((u64)counter(sim, "reported") << PAGE_SHIFT ==
					      counts(sim).reported_bytes, SOON_MS));
	KUNIT_EXPECT_GT(test, counter(sim, "reported"), 0);
	pages_move(test, sim);
}

static void a_report_that_is_held_ends_with_its_device(struct kunit *test)
{
	keeps_a_report(test);
	ends(test, true);
}

static void a_lie_about_a_report_resets_the_device_at_once(struct kunit *test)
{
	struct sim_device *sim = sim_test_make(test, &reporting);

	write_file(test, DELAY, "500");
	KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
	target(test, sim, SOME);
	KUNIT_EXPECT_TRUE(test, reaches(sim, SOME));
	keep(sim);
	act(test, sim, SIM_ID, SIM_BALLOON_REPORTS, 1, 77);
	stir();
	/* All that the device had is the guest's again, with the driver still there. */
	KUNIT_EXPECT_TRUE(test, sim_test_wait(!sim_test_live(sim), SOON_MS));
	KUNIT_EXPECT_TRUE(test, sim_test_wait(!counter(sim, "held_pages"), SOON_MS));
	all_are_back(test);
	ends(test, false);
}

static struct kunit_case balloon_ring_cases[] = {
	KUNIT_CASE_SLOW(each_feature_off_and_alone),
	KUNIT_CASE_SLOW(random_features),
	KUNIT_CASE(legacy_device),
	KUNIT_CASE_SLOW(every_queue_size),
	KUNIT_CASE(a_storm_of_targets_ends_at_the_last),
	KUNIT_CASE(targets_beyond_memory_stop_at_the_floor),
	KUNIT_CASE(actual_written_by_the_device_is_put_right),
	KUNIT_CASE(a_torn_target_is_read_again),
	KUNIT_CASE(hints_that_were_not_negotiated_are_not_given),
	KUNIT_CASE(a_device_that_asks_for_a_reset_is_served_on),
	KUNIT_CASE(interrupts_without_cause_do_nothing),
	KUNIT_CASE_SLOW(an_answer_without_an_interrupt_is_found),
	KUNIT_CASE(answers_late_backwards_or_with_odd_lengths_count),
	KUNIT_CASE_SLOW(unanswered_buffers_are_counted_and_no_page_is_lost),
	KUNIT_CASE_SLOW(a_host_that_keeps_inflated_pages_cannot_hold_up_an_unbind),
	KUNIT_CASE_SLOW(a_host_that_ignores_a_deflate_cannot_hold_up_an_unbind),
	KUNIT_CASE_SLOW(a_device_pulled_out_leaves_all_pages),
	KUNIT_CASE_SLOW(a_device_that_reads_as_ones_can_be_unbound),
	KUNIT_CASE_SLOW(lies_about_inflation_end_the_device_cleanly),
	KUNIT_CASE_SLOW(lies_about_deflation_end_the_device_cleanly),
	KUNIT_CASE(each_poll_brings_fresh_statistics_once),
	KUNIT_CASE(lies_about_statistics_end_those_only),
	KUNIT_CASE(a_report_that_is_held_holds_up_nothing_else),
	KUNIT_CASE_SLOW(a_report_that_is_held_ends_with_its_device),
	KUNIT_CASE(a_lie_about_a_report_resets_the_device_at_once),
	{}
};

SIM_SUITE(balloon_ring, virtio_balloon_rh, balloon_init, balloon_exit);
MODULE_DESCRIPTION("KUnit suite of virtio_balloon_rh on the simulated device");
MODULE_LICENSE("GPL");
