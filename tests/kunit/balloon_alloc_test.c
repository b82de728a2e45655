// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_balloon_rh when memory is short: each allocation of a probe and of a restore fails
 * once. The device is refused or works, and nothing is left behind. Pages are allocated by
 * a work, which no test of this kind can reach.
 */
#include <linux/module.h>

#include "balloon_kunit.h"

static const struct sim_options small = {
	.id = VIRTIO_ID_BALLOON,
	.features = REPORTING | SIM_RING_FEATURES,
	.queue_size = 4,
};

static void each_failing_allocation_of_a_probe_is_survived(struct kunit *test)
{
	sim_test_sweep_plug(test, &small, 20, pages_come_and_go);
	KUNIT_EXPECT_EQ(test, totalram_pages(), total);
}

static void each_failing_allocation_of_a_restore_ends_cleanly(struct kunit *test)
{
	struct sim_sweep sweep = {};
	unsigned int failed = 0;
	struct sim_device *sim;
	int err = -EINVAL;

	while (sim_sweep_next(test, &sweep)) {
		sim = sim_test_plug(test, &small);
		target(test, sim, SOME);
		KUNIT_EXPECT_TRUE(test, reaches(sim, SOME));
		KUNIT_ASSERT_EQ(test, sim_test_freeze(sim), 0);
		sim_sweep_begin(&sweep);
		err = sim_test_restore(sim);
		sim_sweep_end(&sweep);
		KUNIT_EXPECT_TRUE(test, !err || err == -ENOMEM);
		failed += !!err;
		if (!err)
			KUNIT_EXPECT_TRUE(test, reaches(sim, SOME));
		sim_test_unplug(test, false);
		KUNIT_EXPECT_EQ(test, totalram_pages(), total);
	}
	/* The last one had all that it wanted. */
	KUNIT_EXPECT_EQ(test, err, 0);
	kunit_info(test, "%u failed", failed);
	KUNIT_EXPECT_GT(test, failed, 10);
	pages_move(test, sim_test_plug(test, &small));
}

static struct kunit_case balloon_alloc_cases[] = {
	KUNIT_CASE_SLOW(each_failing_allocation_of_a_probe_is_survived),
	KUNIT_CASE_SLOW(each_failing_allocation_of_a_restore_ends_cleanly),
	{}
};

SIM_SUITE(balloon_alloc, virtio_balloon_rh, balloon_init, balloon_exit);
MODULE_DESCRIPTION("KUnit suite of virtio_balloon_rh on the simulated device: memory that is short");
MODULE_LICENSE("GPL");
