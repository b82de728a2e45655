// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_balloon_rh and memory management: pages that change places as in compaction, pages
 * that compaction keeps for a while, and memory that is given back when the guest is out of
 * it. Each with a host that answers, and with one that does not.
 *
 * The kernel's own part of a migration is played here: what of it happens when is then
 * known, and no free memory has to be in disorder for it.
 */
#include <linux/completion.h>
#include <linux/notifier.h>
#include <linux/virtio_ring.h>
#include <linux/workqueue.h>

#include "balloon_kunit.h"
#include "virtio_balloon_rh/virtio_balloon_rh.h"

/* The driver waits 5 s for a host; what does not wait for it is over before this. */
#define AT_ONCE_MS	4000
/* For so long at least it leaves memory alone that the guest was short of. */
#define PAUSE_MS	4900

static const struct sim_options single = {
	.id = VIRTIO_ID_BALLOON,
	.features = USUAL | SIM_RING_FEATURES,
	.queue_size = 1,
};

static const struct sim_options on_oom = {
	.id = VIRTIO_ID_BALLOON,
	.features = USUAL | BIT_ULL(VIRTIO_BALLOON_F_DEFLATE_ON_OOM) | SIM_RING_FEATURES,
};

static const struct sim_options single_on_oom = {
	.id = VIRTIO_ID_BALLOON,
	.features = USUAL | BIT_ULL(VIRTIO_BALLOON_F_DEFLATE_ON_OOM) | SIM_RING_FEATURES,
	.queue_size = 1,
};

static struct vbal *vbal_of(struct sim_device *sim)
{
	return sim->vdev.priv;
}

static bool has(struct sim_device *sim, struct page *page)
{
	return sim_balloon_has(sim, page_to_pfn(page) * VBAL_UNITS_PER_PAGE);
}

static struct sim_device *filled(struct kunit *test, const struct sim_options *options, u32 pages)
{
	struct sim_device *sim = sim_test_plug(test, options);

	target(test, sim, pages);
	KUNIT_ASSERT_TRUE(test, reaches(sim, pages));
	return sim;
}

/* The host keeps what it is asked next on a queue, until it is told to release it. */
static void silent(struct kunit *test, struct sim_device *sim, u16 queue)
{
	act(test, sim, SIM_HOLD, queue, 100, 0);
}

static void speaks(struct kunit *test, struct sim_device *sim)
{
	KUNIT_EXPECT_GE(test, sim_test_told(sim, SIM_HOLD), 1);
	sim_forget(sim);
}

/* Migration */

/* A page of the balloon that compaction has taken off its list. */
static struct page *isolate(struct kunit *test, struct sim_device *sim)
{
	struct page *page;
	LIST_HEAD(pages);

	KUNIT_ASSERT_EQ(test, balloon_page_list_dequeue(&vbal_of(sim)->info, &pages, 1), 1);
	page = list_first_entry(&pages, struct page, lru);
	list_del(&page->lru);
	return page;
}

static void put_back(struct sim_device *sim, struct page *page)
{
	LIST_HEAD(pages);

	list_add(&page->lru, &pages);
	balloon_page_list_enqueue(&vbal_of(sim)->info, &pages);
}

/**
 * struct move - a migration, and its two pages with a reference of the test's to each
 * @old: was in the balloon
 * @new: is to be
 * @err: what the driver made of it
 * @ms: how long that took
 */
struct move {
	struct page *old;
	struct page *new;
	int err;
	unsigned int ms;
};

/* One page for another: what the kernel does, and the call to the driver in it. */
static struct move move_page(struct kunit *test, struct sim_device *sim)
{
	struct balloon_dev_info *info = &vbal_of(sim)->info;
	struct move move = { .old = isolate(test, sim), .new = balloon_page_alloc() };
	unsigned long start = jiffies;

	KUNIT_ASSERT_NOT_NULL(test, move.new);
	get_page(move.old);
	get_page(move.new);
	move.err = info->migratepage(info, move.new, move.old, MIGRATE_SYNC);
	move.ms = jiffies_to_msecs(jiffies - start);
	put_back(sim, move.err ? move.old : move.new);
	put_page(move.err ? move.new : move.old);
	return move;
}

static void let_go(const struct move *move)
{
	put_page(move->old);
	put_page(move->new);
}

/* Nothing has happened, and nobody has waited for it. */
static void expect_refused(struct kunit *test, struct sim_device *sim)
{
	struct move move = move_page(test, sim);

	KUNIT_EXPECT_EQ(test, move.err, -EAGAIN);
	KUNIT_EXPECT_LT(test, move.ms, AT_ONCE_MS);
	KUNIT_EXPECT_EQ(test, page_count(move.old), 2);
	KUNIT_EXPECT_EQ(test, page_count(move.new), 1);
	KUNIT_EXPECT_FALSE(test, has(sim, move.new));
	let_go(&move);
}

/* The end of a case: every page comes back by the usual way. */
static void expect_whole(struct kunit *test, struct sim_device *sim, unsigned int migrated)
{
	pages_come_and_go(test, sim);
	KUNIT_EXPECT_EQ(test, counter(sim, "migrated"), migrated);
	KUNIT_EXPECT_EQ(test, counter(sim, "errors"), 0);
	KUNIT_EXPECT_EQ(test, totalram_pages(), total);
}

static void a_page_changes_places_with_another(struct kunit *test)
{
	static const struct sim_options *rings[] = { &usual, &packed, &single };
	struct sim_device *sim;
	struct move move;
	unsigned int i, n;

	for (i = 0; i < ARRAY_SIZE(rings); i++) {
		sim = filled(test, rings[i], SOME);
		for (n = 0; n < 20; n++) {
			move = move_page(test, sim);
			KUNIT_EXPECT_EQ(test, move.err, 0);
			KUNIT_EXPECT_TRUE(test, has(sim, move.new));
			KUNIT_EXPECT_FALSE(test, has(sim, move.old));
			/* The host knows: nobody but us has the old one. */
			KUNIT_EXPECT_EQ(test, page_count(move.old), 1);
			KUNIT_EXPECT_EQ(test, page_count(move.new), 2);
			let_go(&move);
		}
		KUNIT_EXPECT_EQ(test, counts(sim).pages, SOME);
		KUNIT_EXPECT_EQ(test, counter(sim, "held_pages"), SOME);
		KUNIT_EXPECT_EQ(test, totalram_pages(), total - SOME);
		KUNIT_EXPECT_EQ(test, sim_balloon_check_idle(sim), 0);
		KUNIT_EXPECT_EQ(test, counter(sim, "host_late"), 0);
		expect_whole(test, sim, 20);
	}
}

static struct sim_device *knocked;

static void knock(struct work_struct *work)
{
	const struct sim_action action = { .op = SIM_CONFIG_IRQ };

	sim_act(knocked, &action);
}

static DECLARE_DELAYED_WORK(knock_work, knock);

/* In the middle of it there is a page more with the host, which is not one too many. */
static void a_target_that_is_reached_stays_so_in_a_migration(struct kunit *test)
{
	struct sim_device *sim = filled(test, &usual, SOME);
	struct move move;

	act(test, sim, SIM_DELAY, SIM_BALLOON_INFLATE, 1, 2000);
	knocked = sim;
	schedule_delayed_work(&knock_work, msecs_to_jiffies(500));
	move = move_page(test, sim);
	flush_delayed_work(&knock_work);
	KUNIT_EXPECT_EQ(test, sim_test_told(sim, SIM_DELAY), 1);
	KUNIT_EXPECT_EQ(test, sim_test_told(sim, SIM_CONFIG_IRQ), 1);
	KUNIT_EXPECT_EQ(test, move.err, 0);
	let_go(&move);
	KUNIT_EXPECT_EQ(test, counter(sim, "inflated"), SOME);
	KUNIT_EXPECT_EQ(test, counter(sim, "deflated"), 0);
	KUNIT_EXPECT_EQ(test, counts(sim).pages, SOME);
	expect_whole(test, sim, 1);
}

/* The host may take the new page at any time, so it is the host's, and the old one not. */
static void a_new_page_that_the_host_does_not_confirm_is_the_host_s(struct kunit *test)
{
	struct sim_device *sim = filled(test, &usual, SOME);
	struct move move;

	silent(test, sim, SIM_BALLOON_INFLATE);
	move = move_page(test, sim);
	KUNIT_EXPECT_EQ(test, move.err, 0);
	KUNIT_EXPECT_EQ(test, counter(sim, "host_late"), 1);
	/* The old one goes back without a second wait. */
	KUNIT_EXPECT_TRUE(test, sim_test_wait(!has(sim, move.old), SOON_MS));
	KUNIT_EXPECT_EQ(test, page_count(move.new), 2);
	let_go(&move);
	/* While it owes an answer it is asked for nothing: the model would notice. */
	expect_refused(test, sim);
	target(test, sim, 0);
	msleep(300);
	KUNIT_EXPECT_EQ(test, counts(sim).pages, SOME);
	speaks(test, sim);
	KUNIT_EXPECT_TRUE(test, reaches(sim, 0));
	expect_whole(test, sim, 1);
}

static void an_old_page_is_kept_until_the_host_knows(struct kunit *test)
{
	struct sim_device *sim = filled(test, &usual, SOME);
	struct move move;

	silent(test, sim, SIM_BALLOON_DEFLATE);
	move = move_page(test, sim);
	KUNIT_EXPECT_EQ(test, move.err, 0);
	KUNIT_EXPECT_EQ(test, counter(sim, "host_late"), 1);
	KUNIT_EXPECT_TRUE(test, has(sim, move.new));
	put_page(move.new);
	/* The driver's reference, and ours. */
	KUNIT_EXPECT_EQ(test, page_count(move.old), 2);
	expect_refused(test, sim);
	KUNIT_EXPECT_EQ(test, page_count(move.old), 2);
	speaks(test, sim);
	/* Found by a look that comes by itself. */
	KUNIT_EXPECT_TRUE(test, sim_test_wait(page_count(move.old) == 1, SOON_MS));
	put_page(move.old);
	expect_whole(test, sim, 1);
}

/* And until it is reset, if it never answers. */
static void an_old_page_that_the_host_keeps_comes_back_with_the_unbind(struct kunit *test)
{
	static const u16 queues[] = { SIM_BALLOON_INFLATE, SIM_BALLOON_DEFLATE };
	struct sim_device *sim;
	struct move move;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(queues); i++) {
		sim = filled(test, &usual, SOME);
		silent(test, sim, SIM_BALLOON_DEFLATE);
		if (queues[i] == SIM_BALLOON_INFLATE)
			silent(test, sim, SIM_BALLOON_INFLATE);
		move = move_page(test, sim);
		KUNIT_EXPECT_EQ(test, move.err, 0);
		KUNIT_EXPECT_EQ(test, page_count(move.old), 2);
		keep(sim);
		ends(test, false);
		KUNIT_EXPECT_EQ(test, page_count(move.old), 1);
		KUNIT_EXPECT_EQ(test, page_count(move.new), 1);
		let_go(&move);
	}
}

/* With one slot on each queue, the work has it while the host thinks. */
static void a_migration_does_not_wait_for_a_slot(struct kunit *test)
{
	struct sim_device *sim = filled(test, &single, 100);

	silent(test, sim, SIM_BALLOON_DEFLATE);
	target(test, sim, 50);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(sim_test_told(sim, SIM_HOLD) == 1, SOON_MS));
	expect_refused(test, sim);
	speaks(test, sim);
	KUNIT_EXPECT_TRUE(test, reaches(sim, 50));

	/* The one for the old page is free, and has to be so again. */
	silent(test, sim, SIM_BALLOON_INFLATE);
	target(test, sim, 100);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(sim_test_told(sim, SIM_HOLD) == 2, SOON_MS));
	expect_refused(test, sim);
	speaks(test, sim);
	KUNIT_EXPECT_TRUE(test, reaches(sim, 100));
	expect_whole(test, sim, 0);
}

static void a_device_that_is_stopped_or_broken_moves_no_page(struct kunit *test)
{
	struct sim_device *sim = filled(test, &usual, SOME);
	struct balloon_dev_info *info = &vbal_of(sim)->info;
	struct page *page[2] = { alloc_page(GFP_KERNEL), alloc_page(GFP_KERNEL) };

	KUNIT_ASSERT_NOT_NULL(test, page[0]);
	KUNIT_ASSERT_NOT_NULL(test, page[1]);
	KUNIT_ASSERT_EQ(test, sim_test_freeze(sim), 0);
	KUNIT_EXPECT_EQ(test, info->migratepage(info, page[0], page[1], MIGRATE_SYNC), -EAGAIN);
	KUNIT_ASSERT_EQ(test, sim_test_restore(sim), 0);
	__free_page(page[0]);
	__free_page(page[1]);
	KUNIT_EXPECT_TRUE(test, reaches(sim, SOME));

	keep(sim);
	virtio_break_device(&sim->vdev);
	expect_refused(test, sim);
	KUNIT_EXPECT_EQ(test, counter(sim, "held_pages"), SOME);
	ends(test, false);
}

/* Pages that compaction has, and puts back after a while */

static struct sim_device *leaving;
static struct completion left;

static void leave(struct work_struct *work)
{
	sim_unplug(leaving, false);
	complete(&left);
}

static DECLARE_WORK(leave_work, leave);

/* Has it ended? If it hangs, this module has to stay. */
static void expect_left(struct kunit *test)
{
	if (wait_for_completion_timeout(&left, msecs_to_jiffies(SOON_MS))) {
		flush_work(&leave_work);
		return;
	}
	__module_get(THIS_MODULE);
	KUNIT_ASSERT_TRUE_MSG(test, false, "the device cannot be unbound");
}

/* The balloon's list is where such a page goes: the end of the list waits for it. */
static void an_unbind_waits_for_a_page_that_compaction_holds(struct kunit *test)
{
	struct sim_device *sim = filled(test, &usual, SOME);
	struct page *page = isolate(test, sim);

	keep(sim);
	leaving = sim;
	init_completion(&left);
	schedule_work(&leave_work);
	/* It looks for the page some seconds long, resets the device, and looks on. */
	KUNIT_EXPECT_TRUE(test, sim_test_wait(!sim_test_live(sim), 3 * SOON_MS));
	if (wait_for_completion_timeout(&left, 9 * HZ))
		KUNIT_FAIL(test, "the balloon is gone, and a page of it is not");
	else
		KUNIT_EXPECT_EQ(test, atomic_long_read(&vbal_of(sim)->held), 1);
	put_back(sim, page);
	expect_left(test);
	ends(test, false);
}

/* Out of memory */

static unsigned long out_of_memory_call(struct kunit *test, struct sim_device *sim)
{
	struct notifier_block *nb = &vbal_of(sim)->oom_nb;
	unsigned long freed = 7;

	KUNIT_EXPECT_EQ(test, nb->notifier_call(nb, 0, &freed), NOTIFY_OK);
	KUNIT_EXPECT_GE(test, freed, 7);
	return freed - 7;
}

static void a_guest_without_memory_has_it_back_and_is_left_alone(struct kunit *test)
{
	struct sim_device *sim = filled(test, &on_oom, FULL);
	unsigned long start = jiffies;

	KUNIT_EXPECT_EQ(test, out_of_memory_call(test, sim), FULL);
	KUNIT_EXPECT_EQ(test, counter(sim, "oom_calls"), 1);
	KUNIT_EXPECT_EQ(test, counter(sim, "oom_pages"), FULL);
	/* The host hears of it. Its target counts again after a pause, asked for or not. */
	KUNIT_EXPECT_TRUE(test, reaches(sim, 0));
	target(test, sim, FULL);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(counts(sim).pages, SOON_MS));
	KUNIT_EXPECT_GE(test, jiffies_to_msecs(jiffies - start), PAUSE_MS);
	KUNIT_EXPECT_TRUE(test, reaches(sim, FULL));
	/* What is in this balloon counts as the guest's. */
	KUNIT_EXPECT_EQ(test, totalram_pages(), total);
	KUNIT_EXPECT_EQ(test, counter(sim, "host_late"), 0);
	pages_come_and_go(test, sim);
}

static void a_host_that_keeps_silent_costs_the_oom_killer_one_wait(struct kunit *test)
{
	struct sim_device *sim = filled(test, &on_oom, FULL);
	unsigned long start;

	silent(test, sim, SIM_BALLOON_DEFLATE);
	KUNIT_EXPECT_EQ(test, out_of_memory_call(test, sim), 0);
	KUNIT_EXPECT_EQ(test, counter(sim, "host_late"), 2);
	start = jiffies;
	KUNIT_EXPECT_EQ(test, out_of_memory_call(test, sim), 0);
	KUNIT_EXPECT_EQ(test, out_of_memory_call(test, sim), 0);
	KUNIT_EXPECT_LT(test, jiffies_to_msecs(jiffies - start), AT_ONCE_MS);
	KUNIT_EXPECT_EQ(test, counter(sim, "oom_calls"), 3);
	speaks(test, sim);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(counter(sim, "deflated") == FULL, SOON_MS));
	KUNIT_EXPECT_EQ(test, counter(sim, "oom_pages"), 0);
	target(test, sim, 0);
	KUNIT_EXPECT_TRUE(test, reaches(sim, 0));
}

/* The one slot is the work's, for which the host has no answer either. */
static void the_oom_killer_does_not_wait_for_a_slot_without_hope(struct kunit *test)
{
	struct sim_device *sim = filled(test, &single_on_oom, FULL);

	silent(test, sim, SIM_BALLOON_DEFLATE);
	target(test, sim, 0);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(sim_test_told(sim, SIM_HOLD) == 1, SOON_MS));
	KUNIT_EXPECT_EQ(test, out_of_memory_call(test, sim), 0);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(counter(sim, "host_late") == 1, SOON_MS));
	KUNIT_EXPECT_EQ(test, counter(sim, "held_pages"), FULL - VBAL_BUFFER_PAGES);
	speaks(test, sim);
	KUNIT_EXPECT_TRUE(test, reaches(sim, 0));
}

/* The driver finds out when it asks: what it took off the list is on it again. */
static void a_broken_ring_keeps_its_pages_from_the_oom_killer(struct kunit *test)
{
	struct sim_device *sim = filled(test, &on_oom, FULL);

	keep(sim);
	__virtqueue_break(vbal_of(sim)->deflate.vq);
	KUNIT_EXPECT_EQ(test, out_of_memory_call(test, sim), 0);
	KUNIT_EXPECT_EQ(test, counter(sim, "held_pages"), FULL);
	KUNIT_EXPECT_GE(test, counter(sim, "errors"), 2);
	KUNIT_EXPECT_EQ(test, counts(sim).pages, FULL);
	ends(test, false);
}

/* Free page reporting */

/* The kernel tries again from time to time; the balloon itself does not suffer. */
static void a_report_that_the_ring_refuses_is_counted(struct kunit *test)
{
	struct sim_device *sim;

	write_file(test, DELAY, "500");
	sim = sim_test_plug(test, &reporting);
	__virtqueue_break(vbal_of(sim)->report_vq);
	stir();
	KUNIT_EXPECT_TRUE(test, sim_test_wait(counter(sim, "errors") > 0, SOON_MS));
	KUNIT_EXPECT_TRUE(test, sim_test_live(sim));
	KUNIT_EXPECT_EQ(test, counter(sim, "reported"), 0);
	KUNIT_EXPECT_EQ(test, counts(sim).reports, 0);
	pages_move(test, sim);
}

static struct kunit_case balloon_mm_cases[] = {
	KUNIT_CASE_SLOW(a_page_changes_places_with_another),
	KUNIT_CASE_SLOW(a_target_that_is_reached_stays_so_in_a_migration),
	KUNIT_CASE_SLOW(a_new_page_that_the_host_does_not_confirm_is_the_host_s),
	KUNIT_CASE_SLOW(an_old_page_is_kept_until_the_host_knows),
	KUNIT_CASE_SLOW(an_old_page_that_the_host_keeps_comes_back_with_the_unbind),
	KUNIT_CASE(a_migration_does_not_wait_for_a_slot),
	KUNIT_CASE(a_device_that_is_stopped_or_broken_moves_no_page),
	KUNIT_CASE_SLOW(an_unbind_waits_for_a_page_that_compaction_holds),
	KUNIT_CASE_SLOW(a_guest_without_memory_has_it_back_and_is_left_alone),
	KUNIT_CASE_SLOW(a_host_that_keeps_silent_costs_the_oom_killer_one_wait),
	KUNIT_CASE_SLOW(the_oom_killer_does_not_wait_for_a_slot_without_hope),
	KUNIT_CASE(a_broken_ring_keeps_its_pages_from_the_oom_killer),
	KUNIT_CASE(a_report_that_the_ring_refuses_is_counted),
	{}
};

SIM_SUITE(balloon_mm, virtio_balloon_rh, balloon_init, balloon_exit);
MODULE_DESCRIPTION("KUnit suite of virtio_balloon_rh on the simulated device: migration and OOM");
MODULE_LICENSE("GPL");
