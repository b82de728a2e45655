// SPDX-License-Identifier: GPL-2.0-only
/*
 * The simulated device when memory is short: it is made whole or not at all, and a buffer that
 * it has no memory for is taken later.
 */
#include "core_kunit.h"

/* Each allocation of each type of device fails once. */
static void a_device_is_made_whole_or_not_at_all(struct kunit *test)
{
	static const u32 ids[] = {
		VIRTIO_ID_NET, VIRTIO_ID_BLOCK, VIRTIO_ID_CONSOLE, VIRTIO_ID_BALLOON,
	};
	struct sim_options options = { .features = BIT_ULL(VIRTIO_F_VERSION_1) };
	struct sim_device *sim;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		struct sim_sweep sweep = {};
		unsigned int refused = 0;

		options.id = ids[i];
		while (sim_sweep_next(test, &sweep)) {
			sim_sweep_begin(&sweep);
			sim = sim_create(&options);
			sim_sweep_end(&sweep);
			if (!IS_ERR(sim)) {
				sim_put(sim);
				continue;
			}
			/* The kernel's word for a device that it has no memory to name. */
			KUNIT_EXPECT_TRUE(test, PTR_ERR(sim) == -ENOMEM || PTR_ERR(sim) == -EINVAL);
			refused++;
		}
		/* Itself, room for descriptors, its queues, the platform device, the thread. */
		KUNIT_EXPECT_GE(test, refused, 5);
	}
}

/* The next allocation of the device's thread fails, which is for the next buffer. */
static void starve(struct sim_device *sim)
{
	sim_lock(sim);
#ifdef CONFIG_FAULT_INJECTION
	WRITE_ONCE(sim->thread->fail_nth, 1);
#endif
	sim_unlock(sim);
}

static u64 starved(struct sim_device *sim)
{
	struct sim_stats stats;

	sim_stats(sim, &stats);
	return stats.starved;
}

/* In either ring, with kicks suppressed and not. */
static void a_buffer_waits_for_memory(struct kunit *test)
{
	struct sim_options options = { .id = VIRTIO_ID_CONSOLE, .queue_size = SIZE };
	struct sim_device *sim;
	unsigned int i, n;

	for (i = 0; i < 2 * ARRAY_SIZE(sim_rings); i++) {
		options.features = sim_rings[i / 2];
		options.suppress = i % 2;
		sim = make_of(test, &options);
		KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
		KUNIT_ASSERT_TRUE(test, sim_test_wait(is_idle(sim), SOON_MS));
		/* Often enough for the ring's end to be among its places. */
		for (n = 1; n <= SIZE + 4; n++) {
			starve(sim);
			offer(test, TX, buffers[n % 2]);
			KUNIT_ASSERT_PTR_EQ(test, used(TX, SOON_MS), (void *)buffers[n % 2]);
			KUNIT_EXPECT_EQ(test, starved(sim), n);
		}
	}
}

static int alloc_init(struct kunit *test)
{
	return core_suite_init(NULL) ?: sim_test_init(test);
}

static void alloc_exit(struct kunit *test)
{
	if (!test->priv)
		return;
	sim_test_exit(test);
	core_suite_exit(NULL);
}

static struct kunit_case sim_alloc_cases[] = {
	KUNIT_CASE(a_device_is_made_whole_or_not_at_all),
	KUNIT_CASE(a_buffer_waits_for_memory),
	{}
};

SIM_SUITE(sim_alloc, vrh_simdev, alloc_init, alloc_exit);

MODULE_DESCRIPTION("KUnit suite of the simulated virtio device when memory is short");
MODULE_LICENSE("GPL");
