// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_balloon_rh against the simulated device: suspends, resets, devices that are not
 * there, and lies about statistics, reports and idle rings, which are counted. Whatever
 * happens, all pages are the guest's in the end.
 */
#include <linux/jiffies.h>
#include <linux/module.h>

#include "balloon_kunit.h"
#include "virtio_balloon_rh/virtio_balloon_rh.h"

/* Nobody has it, of what the guest had before. */
static unsigned long free_pages_now(void)
{
	struct sysinfo info;

	si_meminfo(&info);
	return info.freeram;
}

/* Suspend */

static void freeze(struct kunit *test, struct sim_device *sim)
{
	unsigned long start = jiffies;

	keep(sim);
	KUNIT_ASSERT_EQ(test, sim_test_freeze(sim), 0);
	KUNIT_EXPECT_LE(test, jiffies_to_msecs(jiffies - start), UNBIND_MS);
	/* Nothing that a hibernation image has is with a host. */
	KUNIT_EXPECT_EQ(test, counter(sim, "held_pages"), 0);
	all_are_back(test);
}

static void a_suspend_brings_pages_back_and_a_restore_the_target(struct kunit *test)
{
	static const struct sim_options *rings[] = { &usual, &packed };
	struct sim_device *sim;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rings); i++) {
		sim = sim_test_plug(test, rings[i]);
		target(test, sim, FULL);
		KUNIT_EXPECT_TRUE(test, reaches(sim, FULL));
		freeze(test, sim);
		KUNIT_ASSERT_EQ(test, sim_test_restore(sim), 0);
		KUNIT_EXPECT_TRUE(test, reaches(sim, FULL));
		KUNIT_EXPECT_TRUE(test, sim_test_wait(counts(sim).stats == 2, SOON_MS));
		/* To another size of its rings, for another target. */
		freeze(test, sim);
		sim->options.queue_size = 2;
		target(test, sim, SOME);
		KUNIT_ASSERT_EQ(test, sim_test_restore(sim), 0);
		KUNIT_EXPECT_TRUE(test, reaches(sim, SOME));
		pages_move(test, sim);
		KUNIT_EXPECT_EQ(test, counter(sim, "errors"), 0);
	}
}

static void a_host_that_does_not_answer_cannot_hold_up_a_suspend(struct kunit *test)
{
	static const u16 silent[] = { SIM_BALLOON_INFLATE, SIM_BALLOON_DEFLATE };
	struct sim_device *sim;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(silent); i++) {
		sim = sim_test_plug(test, &usual);
		target(test, sim, SOME);
		KUNIT_EXPECT_TRUE(test, reaches(sim, SOME));
		act(test, sim, SIM_HOLD, silent[i], 100, 0);
		target(test, sim, SOME + FULL);
		KUNIT_EXPECT_TRUE(test, sim_test_wait(counts(sim).pages == SOME + FULL, SOON_MS));
		freeze(test, sim);
		sim_forget(sim);
		target(test, sim, SOME);
		KUNIT_ASSERT_EQ(test, sim_test_restore(sim), 0);
		KUNIT_EXPECT_TRUE(test, reaches(sim, SOME));
		pages_move(test, sim);
	}
}

static void a_failed_restore_leaves_a_device_without_pages(struct kunit *test)
{
	struct sim_device *sim;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		sim = sim_test_plug(test, &usual);
		target(test, sim, FULL);
		KUNIT_EXPECT_TRUE(test, reaches(sim, FULL));
		freeze(test, sim);
		/* As if it had come back as another device, or not at all. */
		act(test, sim, i ? SIM_GONE : SIM_VQ_FAIL, SIM_BALLOON_DEFLATE, 0, 0);
		KUNIT_EXPECT_NE(test, sim_test_restore(sim), 0);
		act(test, sim, SIM_CONFIG_IRQ, 0, 0, 0);
		msleep(50);
		KUNIT_EXPECT_EQ(test, counter(sim, "held_pages"), 0);
		ends(test, i);
	}
}

static void a_device_that_has_gone_before_its_probe_is_refused(struct kunit *test)
{
	struct sim_device *sim = sim_test_make(test, &reporting);

	act(test, sim, SIM_GONE, 0, 0, 0);
	sim_test_refused(test, sim);
	pages_move(test, sim_test_plug(test, &usual));
}

/* Rings */

static void pages_move_with_kicks_suppressed(struct kunit *test)
{
	static const struct sim_options *rings[] = { &usual, &packed };
	struct sim_options options;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rings); i++) {
		options = *rings[i];
		options.suppress = true;
		pages_move(test, sim_test_plug(test, &options));
	}
}

/* A lost interrupt of each queue: it is looked for after a while, or with the next. */
static void an_answer_to_a_deflate_without_an_interrupt_is_found(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);

	target(test, sim, SOME);
	KUNIT_EXPECT_TRUE(test, reaches(sim, SOME));
	act(test, sim, SIM_IRQ_DROP, SIM_BALLOON_DEFLATE, 2, 0);
	target(test, sim, 0);
	KUNIT_EXPECT_TRUE(test, reaches(sim, 0));
	sim_test_applied(test, sim);
	KUNIT_EXPECT_EQ(test, counter(sim, "host_late"), 0);
	pages_move(test, sim);
}

static void a_used_index_that_jumps_with_nothing_under_way_is_counted(struct kunit *test)
{
	static const u16 queues[] = { SIM_BALLOON_INFLATE, SIM_BALLOON_DEFLATE };
	struct sim_device *sim;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(queues); i++) {
		sim = sim_test_plug(test, &usual);
		target(test, sim, FULL);
		KUNIT_EXPECT_TRUE(test, reaches(sim, FULL));
		keep(sim);
		KUNIT_EXPECT_EQ(test, counter(sim, "errors"), 0);
		act(test, sim, SIM_USED_IDX, queues[i], 0, 1000);
		/* It is found with the next look. */
		target(test, sim, SOME);
		KUNIT_EXPECT_TRUE(test, sim_test_wait(counter(sim, "errors") > 0, SOON_MS));
		target(test, sim, FULL);
		msleep(100);
		KUNIT_EXPECT_EQ(test, counter(sim, "errors"), 1);
		KUNIT_EXPECT_EQ(test, counter(sim, "held_pages"), FULL);
		ends(test, false);
	}
}

/* Statistics */

static void a_broken_statistics_queue_is_counted(struct kunit *test)
{
	static const struct sim_options *rings[] = { &usual, &packed };
	struct sim_device *sim;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rings); i++) {
		sim = sim_test_plug(test, rings[i]);
		KUNIT_EXPECT_TRUE(test, sim_test_wait(counts(sim).stats == 1, SOON_MS));
		act(test, sim, SIM_ID, SIM_BALLOON_STATS, 1, 77);
		act(test, sim, SIM_BALLOON_POLL, 0, 0, 0);
		KUNIT_EXPECT_TRUE(test, sim_test_wait(counter(sim, "errors") == 1, SOON_MS));
		act(test, sim, SIM_IRQ, SIM_BALLOON_STATS, 0, 0);
		pages_come_and_go(test, sim);
		KUNIT_EXPECT_EQ(test, counter(sim, "errors"), 1);
		KUNIT_EXPECT_EQ(test, counter(sim, "stats"), 0);
	}
}

static void a_host_that_keeps_the_statistics_gets_no_others(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);

	KUNIT_EXPECT_TRUE(test, sim_test_wait(counts(sim).stats == 1, SOON_MS));
	act(test, sim, SIM_DROP, SIM_BALLOON_STATS, 1, 0);
	act(test, sim, SIM_BALLOON_POLL, 0, 0, 0);
	sim_test_applied(test, sim);
	act(test, sim, SIM_IRQ, SIM_BALLOON_STATS, 0, 0);
	pages_move(test, sim);
	KUNIT_EXPECT_EQ(test, counter(sim, "stats"), 0);
	KUNIT_EXPECT_EQ(test, counts(sim).stats, 1);
	/* The next one begins with a new buffer. */
	keep(sim);
	KUNIT_ASSERT_EQ(test, sim_test_freeze(sim), 0);
	KUNIT_ASSERT_EQ(test, sim_test_restore(sim), 0);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(counts(sim).stats == 2, SOON_MS));
}

static void a_request_without_an_interrupt_is_the_next_one_s(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);

	KUNIT_EXPECT_TRUE(test, sim_test_wait(counts(sim).stats == 1, SOON_MS));
	act(test, sim, SIM_IRQ_DROP, SIM_BALLOON_STATS, 1, 0);
	act(test, sim, SIM_BALLOON_POLL, 0, 0, 0);
	sim_test_applied(test, sim);
	msleep(50);
	KUNIT_EXPECT_EQ(test, counter(sim, "stats"), 0);
	act(test, sim, SIM_IRQ, SIM_BALLOON_STATS, 0, 0);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(counts(sim).stats == 2, SOON_MS));
	KUNIT_EXPECT_EQ(test, counter(sim, "stats"), 1);
	pages_move(test, sim);
}

/* Reports */

/* What the driver takes for reported is what the device has got. */
static bool reports_agree(struct sim_device *sim)
{
	u64 reported = counter(sim, "reported");

	return reported && reported << PAGE_SHIFT == counts(sim).reported_bytes;
}

static void a_report_s_length_and_a_lost_interrupt_mean_nothing(struct kunit *test)
{
	static const u64 lens[] = { 0, 1, U32_MAX };
	struct sim_device *sim;
	unsigned int i;

	write_file(test, DELAY, "50");
	for (i = 0; i <= ARRAY_SIZE(lens); i++) {
		sim = sim_test_make(test, &reporting);
		/* An answer that nobody tells of is looked for after 5 s. */
		if (i < ARRAY_SIZE(lens))
			act(test, sim, SIM_LEN, SIM_BALLOON_REPORTS, 1, lens[i]);
		else
			act(test, sim, SIM_IRQ_DROP, SIM_BALLOON_REPORTS, 1, 0);
		KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
		stir();
		KUNIT_EXPECT_TRUE(test, sim_test_wait(reports_agree(sim), SOON_MS));
		sim_test_applied(test, sim);
		KUNIT_EXPECT_EQ(test, counter(sim, "errors"), 0);
		pages_move(test, sim);
	}
}

/* An id that is nobody's, in both layouts, inside the ring and behind it. */
static void a_broken_reporting_queue_resets_the_device_and_is_counted(struct kunit *test)
{
	static const u64 ids[] = { 77, 255, 256, U16_MAX };
	struct sim_options options = reporting;
	struct sim_device *sim;
	unsigned int i;

	write_file(test, DELAY, "500");
	for (i = 0; i < 2 * ARRAY_SIZE(ids); i++) {
		options.features = REPORTING | (i & 1 ? SIM_PACKED_FEATURES : SIM_RING_FEATURES);
		sim = sim_test_plug(test, &options);
		target(test, sim, SOME);
		KUNIT_EXPECT_TRUE(test, reaches(sim, SOME));
		keep(sim);
		act(test, sim, SIM_ID, SIM_BALLOON_REPORTS, 1, ids[i / 2]);
		stir();
		KUNIT_EXPECT_TRUE(test, sim_test_wait(!sim_test_live(sim), SOON_MS));
		KUNIT_EXPECT_TRUE(test, sim_test_wait(!counter(sim, "held_pages"), SOON_MS));
		KUNIT_EXPECT_EQ(test, counter(sim, "errors"), 1);
		all_are_back(test);
		sim_test_unplug(test, false);
	}
	pages_move(test, sim_test_plug(test, &usual));
}

/* No driver can tell a second use of an id from the use of the next report. */
static void a_report_used_twice_does_not_hurt_the_balloon(struct kunit *test)
{
	static const struct { enum sim_op op; u64 value; } lies[] = {
		{ SIM_TWICE, 0 }, { SIM_USED_IDX, 1000 },
	};
	struct sim_device *sim;
	unsigned int i;

	write_file(test, DELAY, "50");
	for (i = 0; i < ARRAY_SIZE(lies); i++) {
		sim = sim_test_plug(test, &reporting);
		stir();
		KUNIT_EXPECT_TRUE(test, sim_test_wait(reports_agree(sim), SOON_MS));
		act(test, sim, lies[i].op, SIM_BALLOON_REPORTS, 1, lies[i].value);
		stir();
		sim_test_applied(test, sim);
		pages_come_and_go(test, sim);
		target(test, sim, SOME);
		KUNIT_EXPECT_TRUE(test, reaches(sim, SOME));
		keep(sim);
		/* By surprise: nobody waits for the answer to a report then. */
		ends(test, true);
	}
}

/* The reset that has to come anyway comes after 5 s, and not after a minute. */
static void a_host_that_keeps_a_report_cannot_hold_up_an_unbind(struct kunit *test)
{
	struct sim_device *sim = keeps_a_report(test);
	unsigned long lent = counts(sim).reported_bytes >> PAGE_SHIFT;
	unsigned long without = free_pages_now();

	KUNIT_EXPECT_EQ(test, counter(sim, "errors"), 0);
	ends(test, false);
	/* Half of it allows for what others have taken meanwhile. */
	KUNIT_EXPECT_NE(test, lent, 0);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(free_pages_now() >= without + lent / 2, SOON_MS));
}

static void a_host_that_keeps_a_report_cannot_hold_up_a_suspend(struct kunit *test)
{
	struct sim_device *sim = keeps_a_report(test);

	freeze(test, sim);
	KUNIT_EXPECT_EQ(test, counter(sim, "errors"), 1);
	KUNIT_EXPECT_EQ(test, counter(sim, "reported"), 0);
	act(test, sim, SIM_BALLOON_HOLD_REPORT, 0, 0, 0);
	KUNIT_ASSERT_EQ(test, sim_test_restore(sim), 0);
	KUNIT_EXPECT_TRUE(test, reaches(sim, SOME));
	stir();
	KUNIT_EXPECT_TRUE(test, sim_test_wait(counter(sim, "reported") > 0, SOON_MS));
	pages_move(test, sim);
	KUNIT_EXPECT_EQ(test, counter(sim, "errors"), 1);
}

/* The kernel has room for one. */
static void a_second_device_gets_no_reports_and_works(struct kunit *test)
{
	struct sim_device *first = reported_to(test, SIM_LEN, 0), *second;

	second = sim_create(&reporting);
	KUNIT_ASSERT_FALSE(test, IS_ERR(second));
	KUNIT_EXPECT_EQ(test, sim_plug(second), 0);
	KUNIT_EXPECT_TRUE(test, sim_test_live(second));
	stir();
	KUNIT_EXPECT_TRUE(test, sim_test_wait(reports_agree(first), SOON_MS));
	pages_move(test, second);
	pages_move(test, first);
	KUNIT_EXPECT_EQ(test, counter(second, "reported"), 0);
	KUNIT_EXPECT_EQ(test, counts(second).reports, 0);
	sim_test_end(test, second, false);
	stir();
	pages_move(test, first);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(reports_agree(first), SOON_MS));
}

/* Other ends */

/* What the kernel does before it reboots. */
static void shut_down(struct sim_device *sim)
{
	device_lock(&sim->vdev.dev);
	sim->vdev.dev.bus->shutdown(&sim->vdev.dev);
	device_unlock(&sim->vdev.dev);
}

static void a_reboot_finds_the_device_reset_and_waits_for_no_host(struct kunit *test)
{
	struct sim_device *sim = keeps_a_report(test);
	unsigned long start = jiffies;

	shut_down(sim);
	KUNIT_EXPECT_LE(test, jiffies_to_msecs(jiffies - start), UNBIND_MS);
	KUNIT_EXPECT_FALSE(test, sim_test_live(sim));
	/* Nothing follows any more; what is in the balloon stays there. */
	target(test, sim, 0);
	act(test, sim, SIM_CONFIG_IRQ, 0, 0, 0);
	msleep(50);
	KUNIT_EXPECT_EQ(test, counter(sim, "held_pages"), SOME);
	/* Only where the reboot does not come. */
	ends(test, false);
}

/* So long the driver waits for an answer. */
#define ANSWER_MS	5000

/* Has somebody slept for a moment, to be woken by an answer on that queue? */
static bool is_waited_for(struct kunit *test, struct sim_device *sim, u16 queue)
{
	struct vbal *vb = sim->vdev.priv;
	wait_queue_head_t *wait = queue == SIM_BALLOON_INFLATE ? &vb->inflate.wait :
				  queue == SIM_BALLOON_DEFLATE ? &vb->deflate.wait :
								 &vb->report_wait;

	KUNIT_EXPECT_TRUE(test, sim_test_wait(wq_has_sleeper(wait), SOON_MS));
	msleep(50);
	return wq_has_sleeper(wait);
}

/* From before somebody waits for an answer on a queue to the end of its device, in ms. */
static unsigned int pulled_out(struct kunit *test, u16 queue)
{
	unsigned long start = jiffies;
	struct sim_device *sim;
	unsigned int ms;

	if (queue == SIM_BALLOON_REPORTS) {
		sim = keeps_a_report(test);
	} else {
		sim = sim_test_plug(test, &usual);
		target(test, sim, SOME);
		KUNIT_EXPECT_TRUE(test, reaches(sim, SOME));
		keep(sim);
		start = jiffies;
		act(test, sim, SIM_HOLD, queue, 100, 0);
		target(test, sim, queue == SIM_BALLOON_INFLATE ? SOME + FULL : 0);
	}
	KUNIT_EXPECT_TRUE(test, is_waited_for(test, sim, queue));
	sim_test_unplug(test, true);
	ms = jiffies_to_msecs(jiffies - start);
	all_are_back(test);
	return ms;
}

/* The core breaks its virtqueues and tells nobody. */
static void who_waits_for_a_device_that_is_pulled_out_is_woken(struct kunit *test)
{
	static const u16 queues[] = {
		SIM_BALLOON_INFLATE, SIM_BALLOON_DEFLATE, SIM_BALLOON_REPORTS,
	};
	unsigned int i, tries, ms;

	for (i = 0; i < ARRAY_SIZE(queues); i++) {
		/* A guest that is very slow may need the time for all else. */
		for (tries = 0, ms = ANSWER_MS; ms >= ANSWER_MS && tries < 3; tries++)
			ms = pulled_out(test, queues[i]);
		kunit_info(test, "queue %u: %u ms", queues[i], ms);
		KUNIT_EXPECT_LT(test, ms, ANSWER_MS);
	}
	pages_move(test, sim_test_plug(test, &usual));
}

static void a_queue_that_is_not_to_be_had_refuses_the_device(struct kunit *test)
{
	struct sim_device *sim;
	u16 queue;

	for (queue = 0; queue < SIM_BALLOON_ROLES; queue++) {
		sim = sim_test_make(test, &reporting);
		act(test, sim, SIM_VQ_FAIL, queue, 1, queue & 1 ? ENOMEM : 0);
		sim_test_refused(test, sim);
		KUNIT_EXPECT_EQ(test, sim_test_told(sim, SIM_VQ_FAIL), 1);
	}
	pages_move(test, sim_test_plug(test, &usual));
}

static void a_reset_of_the_function_keeps_the_target(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);

	target(test, sim, FULL);
	KUNIT_EXPECT_TRUE(test, reaches(sim, FULL));
	keep(sim);
	KUNIT_ASSERT_EQ(test, virtio_device_reset_prepare(&sim->vdev), 0);
	KUNIT_EXPECT_EQ(test, counter(sim, "held_pages"), 0);
	all_are_back(test);
	KUNIT_ASSERT_EQ(test, virtio_device_reset_done(&sim->vdev), 0);
	KUNIT_EXPECT_TRUE(test, reaches(sim, FULL));
	target(test, sim, 0);
	KUNIT_EXPECT_TRUE(test, reaches(sim, 0));
	/* One that nobody was told of before: the driver has virtqueues that are no more. */
	KUNIT_EXPECT_EQ(test, virtio_device_reset_done(&sim->vdev), -EBUSY);
	sim_test_unplug(test, false);
	pages_move(test, sim_test_plug(test, &usual));
}

static void a_device_without_config_space_is_refused(struct kunit *test)
{
	sim_test_without_config(test, sim_test_plug(test, &usual));
	pages_move(test, sim_test_plug(test, &usual));
}

/* Files */

static void every_file_says_what_it_is_named_for(struct kunit *test)
{
	static const char * const zero[] = {
		"held_pages", "inflated", "deflated", "migrated", "reported", "stats",
		"alloc_failed", "floor_stops", "oom_calls", "oom_pages", "host_late", "errors",
	};
	struct sim_device *sim = sim_test_plug(test, &usual);
	char path[80], text[128];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(zero); i++)
		KUNIT_EXPECT_EQ_MSG(test, counter(sim, zero[i]), 0, "%s", zero[i]);
	snprintf(path, sizeof(path), "sys/bus/virtio/devices/%s/vrh/features",
		 dev_name(&sim->vdev.dev));
	KUNIT_EXPECT_GT(test, sim_test_read(path, text, sizeof(text)), 0);
	KUNIT_EXPECT_STREQ(test, text,
			   "MUST_TELL_HOST STATS_VQ EVENT_IDX VERSION_1 RING_RESET");
}

static void a_floor_that_makes_no_sense_is_refused(struct kunit *test)
{
	/* 16 TiB, in MiB, is the most. */
	static const char * const wrong[] = { "-2", "16777217", "99999999999", "many" };
	char text[24];
	unsigned int i;

	write_file(test, FLOOR, "16777216");
	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		KUNIT_EXPECT_EQ_MSG(test, sim_test_write(test, FLOOR, wrong[i]), -EINVAL, "%s",
				    wrong[i]);
	sim_test_read(FLOOR, text, sizeof(text));
	KUNIT_EXPECT_STREQ(test, text, "16777216");
}

static struct kunit_case balloon_life_cases[] = {
	KUNIT_CASE(a_suspend_brings_pages_back_and_a_restore_the_target),
	KUNIT_CASE_SLOW(a_host_that_does_not_answer_cannot_hold_up_a_suspend),
	KUNIT_CASE(a_failed_restore_leaves_a_device_without_pages),
	KUNIT_CASE(a_device_that_has_gone_before_its_probe_is_refused),
	KUNIT_CASE(pages_move_with_kicks_suppressed),
	KUNIT_CASE_SLOW(an_answer_to_a_deflate_without_an_interrupt_is_found),
	KUNIT_CASE(a_used_index_that_jumps_with_nothing_under_way_is_counted),
	KUNIT_CASE(a_broken_statistics_queue_is_counted),
	KUNIT_CASE(a_host_that_keeps_the_statistics_gets_no_others),
	KUNIT_CASE(a_request_without_an_interrupt_is_the_next_one_s),
	KUNIT_CASE(a_report_s_length_and_a_lost_interrupt_mean_nothing),
	KUNIT_CASE(a_broken_reporting_queue_resets_the_device_and_is_counted),
	KUNIT_CASE(a_report_used_twice_does_not_hurt_the_balloon),
	KUNIT_CASE_SLOW(a_host_that_keeps_a_report_cannot_hold_up_an_unbind),
	KUNIT_CASE_SLOW(a_host_that_keeps_a_report_cannot_hold_up_a_suspend),
	KUNIT_CASE(a_second_device_gets_no_reports_and_works),
	KUNIT_CASE_SLOW(a_reboot_finds_the_device_reset_and_waits_for_no_host),
	KUNIT_CASE_SLOW(who_waits_for_a_device_that_is_pulled_out_is_woken),
	KUNIT_CASE(a_queue_that_is_not_to_be_had_refuses_the_device),
	KUNIT_CASE_SLOW(a_reset_of_the_function_keeps_the_target),
	KUNIT_CASE(a_device_without_config_space_is_refused),
	KUNIT_CASE(every_file_says_what_it_is_named_for),
	KUNIT_CASE(a_floor_that_makes_no_sense_is_refused),
	{}
};

SIM_SUITE(balloon_life, virtio_balloon_rh, balloon_init, balloon_exit);
MODULE_DESCRIPTION("KUnit suite of virtio_balloon_rh on the simulated device: suspends and lies");
MODULE_LICENSE("GPL");
