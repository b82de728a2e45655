// SPDX-License-Identifier: GPL-2.0-only
/*
 * The simulated device itself, under a driver that is made for it: what the suites of the
 * real drivers take for granted, that a lie is told as it is described, and that the
 * device behaves after it.
 */
#include "core_kunit.h"

/* Interrupts */

/* Two rules for all queues: one for each, and not both for the first. */
static void interrupts_reach_each_queue(struct kunit *test)
{
	struct sim_device *sim;
	unsigned int i, queue;

	for (i = 0; i < ARRAY_SIZE(sim_rings); i++) {
		sim = make(test, sim_rings[i]);
		core.patient = true;
		for (queue = 0; queue < 2; queue++) {
			sim_tell_all(test, sim, .op = SIM_IRQ_EARLY);
			sim_tell_all(test, sim, .op = SIM_IRQ_LATE);
		}
		KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
		KUNIT_EXPECT_EQ(test, sim_test_told(sim, SIM_IRQ_EARLY), 2);
		KUNIT_EXPECT_EQ(test, sim_test_told(sim, SIM_IRQ_LATE), 0);
		sim_tell_all(test, sim, .op = SIM_IRQ);
		for (queue = 0; queue < 2; queue++) {
			KUNIT_EXPECT_EQ(test, calls(CORE_EARLY, queue), 1);
			KUNIT_EXPECT_TRUE(test,
					  sim_test_wait(calls(CORE_LIVE, queue) == 1, SOON_MS));
		}
		sim_test_unplug(test, false);
		for (queue = 0; queue < 2; queue++)
			KUNIT_EXPECT_EQ(test, calls(CORE_DOWN, queue), 1);
	}
}

/* The driver may set the affinity to CPUs of which none is there. */
static void affinity_to_no_cpu(struct kunit *test)
{
	struct sim_device *sim = start(test, SIM_RING_FEATURES);
	const struct virtio_config_ops *config = sim->vdev.config;

	KUNIT_EXPECT_EQ(test, config->set_vq_affinity(core.vq[TX], cpu_none_mask), 0);
	sim_tell(test, sim, .op = SIM_IRQ, .queue = TX);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(calls(CORE_LIVE, TX) == 1, SOON_MS));
}

/* Rings */

/* When we say so, with another between; and by itself. */
static void a_buffer_is_used_again(struct kunit *test)
{
	struct sim_device *sim;
	unsigned int i;

	for (i = 0; i < 2 * ARRAY_SIZE(sim_rings); i++) {
		sim = start(test, sim_rings[i % 2]);
		sim_tell(test, sim, .op = SIM_AGAIN, .queue = TX, .value = i / 2 ? 20 : 60000);
		offer(test, TX, buffers[0]);
		if (i / 2) {
			KUNIT_EXPECT_TRUE(test, sim_test_wait(READ_ONCE(sim->lied), SOON_MS));
			KUNIT_EXPECT_EQ(test, sim_test_told(sim, SIM_AGAIN), 1);
			continue;
		}
		KUNIT_EXPECT_PTR_EQ(test, used(TX, SOON_MS), (void *)buffers[0]);
		offer(test, TX, buffers[1]);
		KUNIT_EXPECT_PTR_EQ(test, used(TX, SOON_MS), (void *)buffers[1]);
		KUNIT_EXPECT_FALSE(test, READ_ONCE(sim->lied));
		is_due(test, sim, TX);
		expect_broken(test, TX);
		KUNIT_EXPECT_TRUE(test, READ_ONCE(sim->lied));
		KUNIT_EXPECT_EQ(test, sim_test_told(sim, SIM_AGAIN), 1);
		KUNIT_EXPECT_EQ(test, sim->queues[TX].used, 2);
	}
}

/* By less than the ring, and around it. */
static void a_used_index_that_jumps_is_seen(struct kunit *test)
{
	static const u16 jumps[] = { 1, SIZE - 1, SIZE + 3, 1000 };
	struct sim_device *sim;
	unsigned int i;

	for (i = 0; i < 2 * ARRAY_SIZE(jumps); i++) {
		sim = start(test, sim_rings[i % 2]);
		offer(test, TX, buffers[0]);
		KUNIT_EXPECT_PTR_EQ(test, used(TX, SOON_MS), (void *)buffers[0]);
		KUNIT_EXPECT_EQ(test, sim_act(sim, &(struct sim_action){ .op = SIM_USED_IDX }),
				-EINVAL);
		KUNIT_EXPECT_FALSE(test, READ_ONCE(sim->lied));
		sim_tell(test, sim, .op = SIM_USED_IDX, .queue = TX, .value = jumps[i / 2]);
		KUNIT_EXPECT_TRUE(test, READ_ONCE(sim->lied));
		expect_broken(test, TX);
	}
}

/* Something for a buffer. */
static void push(struct sim_device *sim)
{
	u8 input[BYTES];

	memset(input, 'x', BYTES);
	sim_console_push(sim, 0, input, BYTES);
}

/* It is as it was offered; or has what push() brought. */
static bool is_untouched(const u8 *buffer)
{
	return !memchr_inv(buffer, POISON, BYTES);
}

static bool is_filled(const u8 *buffer)
{
	return !memchr_inv(buffer, 'x', BYTES);
}

/* It has two more buffers, one of them taken out of the ring already, and input for both. */
static void after_a_lie_no_buffer_is_touched(struct kunit *test)
{
	struct sim_device *sim;
	unsigned int i;

	for (i = 0; i < 2 * ARRAY_SIZE(sim_rings); i++) {
		sim = start(test, sim_rings[i % 2]);
		if (i / 2)
			sim_tell(test, sim, .op = SIM_ID, .queue = RX, .value = SIZE);
		else
			sim_tell(test, sim, .op = SIM_TWICE, .queue = RX);
		offer(test, RX, buffers[0]);
		offer(test, RX, buffers[1]);
		KUNIT_EXPECT_FALSE(test, READ_ONCE(sim->lied));
		push(sim);
		KUNIT_EXPECT_TRUE(test, sim_test_wait(READ_ONCE(sim->lied), SOON_MS));
		KUNIT_EXPECT_TRUE(test, is_filled(buffers[0]));
		offer(test, RX, buffers[2]);
		push(sim);
		push(sim);
		msleep(50);
		KUNIT_EXPECT_TRUE(test, is_untouched(buffers[1]));
		KUNIT_EXPECT_TRUE(test, is_untouched(buffers[2]));
		sim_lock(sim);
		KUNIT_EXPECT_FALSE(test, sim_available(&sim->queues[RX]));
		sim_unlock(sim);
	}
}

/* An id that is the right one is no lie, nor is a rule that has not been told yet. */
static void what_is_true_is_no_lie(struct kunit *test)
{
	struct sim_device *sim = start(test, SIM_RING_FEATURES);

	/* The core's first buffer in a split ring has ID 0. */
	sim_tell(test, sim, .op = SIM_ID, .queue = TX, .value = 0);
	offer(test, TX, buffers[0]);
	KUNIT_EXPECT_PTR_EQ(test, used(TX, SOON_MS), (void *)buffers[0]);
	sim_test_applied(test, sim);
	KUNIT_EXPECT_FALSE(test, READ_ONCE(sim->lied));
	sim_tell(test, sim, .op = SIM_TWICE, .queue = TX);
	sim_tell(test, sim, .op = SIM_HOLD, .queue = TX);
	offer(test, TX, buffers[0]);
	sim_test_applied(test, sim);
	KUNIT_EXPECT_FALSE(test, READ_ONCE(sim->lied));
	sim_tell(test, sim, .op = SIM_RELEASE, .queue = TX);
	KUNIT_EXPECT_TRUE(test, READ_ONCE(sim->lied));
}

static void garbage_in_the_ring(struct kunit *test)
{
	const struct sim_action beyond = { .op = SIM_RING, .queue = TX, .at = 2 };
	struct vring_packed_desc_event *event;
	struct sim_device *sim;
	struct vring_used *ring;

	sim = start(test, SIM_RING_FEATURES);
	ring = sim->queues[TX].device;
	sim_tell(test, sim, .op = SIM_RING, .queue = TX, .at = 0, .value = 0x1234);
	KUNIT_EXPECT_EQ(test, le16_to_cpu((__force __le16)ring->flags), 0x1234);
	sim_tell(test, sim, .op = SIM_RING, .queue = TX, .at = 2, .value = 0x5678);
	KUNIT_EXPECT_EQ(test, le16_to_cpup((__le16 *)&ring->ring[SIZE]), 0x5678);
	KUNIT_EXPECT_FALSE(test, READ_ONCE(sim->lied));
	/* Whatever the driver makes of it, the device looks for its buffers when told to. */
	offer(test, TX, buffers[0]);
	sim_tell(test, sim, .op = SIM_RELEASE, .queue = TX);
	KUNIT_EXPECT_PTR_EQ(test, used(TX, SOON_MS), (void *)buffers[0]);
	sim_tell(test, sim, .op = SIM_RING, .queue = TX, .at = 1, .value = 0x9abc);
	KUNIT_EXPECT_EQ(test, le16_to_cpu((__force __le16)ring->idx), 0x9abc);
	KUNIT_EXPECT_TRUE(test, READ_ONCE(sim->lied));
	expect_broken(test, TX);

	sim = start(test, SIM_PACKED_FEATURES);
	event = sim->queues[TX].device;
	sim_tell(test, sim, .op = SIM_RING, .queue = TX, .at = 0, .value = 0x1237);
	sim_tell(test, sim, .op = SIM_RING, .queue = TX, .at = 1, .value = 0x5678);
	KUNIT_EXPECT_EQ(test, le16_to_cpu(event->flags), 0x1237);
	KUNIT_EXPECT_EQ(test, le16_to_cpu(event->off_wrap), 0x5678);
	KUNIT_EXPECT_FALSE(test, READ_ONCE(sim->lied));
	KUNIT_EXPECT_EQ(test, sim_act(sim, &beyond), -EINVAL);
}

/* Config space and status */

static void config_space_changes_amidst_a_read(struct kunit *test)
{
	struct sim_device *sim = start(test, SIM_RING_FEATURES);
	const struct virtio_config_ops *config = sim->vdev.config;
	u32 generation = config->generation(&sim->vdev);
	u8 bytes[4], now[4];

	config->get(&sim->vdev, 0, bytes, sizeof(bytes));
	sim_tell(test, sim, .op = SIM_CONFIG_TEAR, .at = 0, .value = 0x11, .skip = 1);
	sim_tell(test, sim, .op = SIM_CONFIG_TEAR, .at = 1, .value = 0x22, .skip = 1);
	sim_tell(test, sim, .op = SIM_CONFIG_SLIP, .at = 2, .value = 0x33, .skip = 2);

	config->get(&sim->vdev, 0, now, sizeof(now));
	KUNIT_EXPECT_EQ(test, config->generation(&sim->vdev), generation);
	config->get(&sim->vdev, 0, now, sizeof(now));
	KUNIT_EXPECT_EQ(test, memcmp(now, bytes, sizeof(now)), 0);
	KUNIT_EXPECT_EQ(test, config->generation(&sim->vdev), generation + 2);
	config->get(&sim->vdev, 0, now, sizeof(now));
	KUNIT_EXPECT_EQ(test, now[0], 0x11);
	KUNIT_EXPECT_EQ(test, now[1], 0x22);
	KUNIT_EXPECT_EQ(test, now[2], bytes[2]);
	config->get(&sim->vdev, 0, now, sizeof(now));
	KUNIT_EXPECT_EQ(test, now[2], 0x33);
	KUNIT_EXPECT_EQ(test, config->generation(&sim->vdev), generation + 2);
}

/* What became of config space is not held against a driver that was lied to about it. */
static void lies_about_config_space_excuse_the_driver(struct kunit *test)
{
	static const enum sim_op lies[] = { SIM_CONFIG_TEAR, SIM_CONFIG_SLIP };
	static const struct sim_options disk = {
		.id = VIRTIO_ID_BLOCK, .queue_size = SIZE, .pairs = 2,
		.features = SIM_RING_FEATURES | BIT_ULL(VIRTIO_BLK_F_MQ) |
			    BIT_ULL(VIRTIO_BLK_F_CONFIG_WCE),
	};
	const unsigned int at = offsetof(struct virtio_blk_config, wce);
	struct sim_device *sim;
	char text[160];
	unsigned int i;
	u8 mode = 7;

	for (i = 0; i <= ARRAY_SIZE(lies); i++) {
		sim = make_of(test, &disk);
		if (i < ARRAY_SIZE(lies))
			sim_tell(test, sim, .op = lies[i], .at = at, .value = 1);
		KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
		KUNIT_ASSERT_TRUE(test, sim_test_live(sim));
		sim_test_applied(test, sim);
		sim->vdev.config->set(&sim->vdev, at, &mode, sizeof(mode));
		KUNIT_EXPECT_TRUE(test, sim_test_wait(!READ_ONCE(sim->nr_config_writes), SOON_MS));
		/* The thread has come to its end with them. */
		sim_lock(sim);
		sim_unlock(sim);
		sim_violation_text(sim, text, sizeof(text));
		KUNIT_EXPECT_STREQ(test, text, i < ARRAY_SIZE(lies) ? "" : "7 is no cache mode");
	}
	/* This one was to be. */
	sim->violation[0] = 0;
}

static void status_is_what_the_script_says(struct kunit *test)
{
	struct sim_device *sim = make(test, SIM_RING_FEATURES);
	const struct sim_action reset = { .op = SIM_NEEDS_RESET };
	u8 live;

	KUNIT_EXPECT_EQ(test, sim_act(sim, &reset), -ENODEV);
	KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
	live = status(sim);
	KUNIT_EXPECT_TRUE(test, live & VIRTIO_CONFIG_S_DRIVER_OK);
	sim_tell(test, sim, .op = SIM_STATUS, .value = 0x42, .skip = 1, .count = 2);
	KUNIT_EXPECT_EQ(test, status(sim), live);
	KUNIT_EXPECT_EQ(test, status(sim), 0x42);
	KUNIT_EXPECT_EQ(test, status(sim), 0x42);
	/*
	 * Who was told that the driver has not begun may look once more before he lets it
	 * begin, as the core does, which warns if it has. Seed 41 of the balloon.
	 */
	KUNIT_EXPECT_EQ(test, status(sim), live & ~VIRTIO_CONFIG_S_DRIVER_OK);
	sim->vdev.config->set_status(&sim->vdev, live);
	KUNIT_EXPECT_EQ(test, status(sim), live);

	/* The driver that adds a bit does not take the device's away. */
	KUNIT_EXPECT_EQ(test, sim_act(sim, &reset), 0);
	sim->vdev.config->set_status(&sim->vdev, live | VIRTIO_CONFIG_S_FAILED);
	KUNIT_EXPECT_EQ(test, status(sim),
			live | VIRTIO_CONFIG_S_FAILED | VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* The driver may take back its buffers without a reset, as there is no device to touch them. */
static void after_a_status_of_all_ones_no_buffer_is_touched(struct kunit *test)
{
	struct sim_device *sim;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sim_rings); i++) {
		sim = start(test, sim_rings[i]);
		offer(test, RX, buffers[0]);
		sim_tell(test, sim, .op = SIM_STATUS, .value = 0xff);
		KUNIT_EXPECT_EQ(test, status(sim), 0xff);
		KUNIT_EXPECT_TRUE(test, READ_ONCE(sim->lied));
		KUNIT_EXPECT_NE(test, status(sim), 0xff);
		push(sim);
		sim_tell(test, sim, .op = SIM_RELEASE, .queue = RX);
		msleep(50);
		KUNIT_EXPECT_TRUE(test, is_untouched(buffers[0]));
		core.believes = true;
		sim_test_unplug(test, false);
		KUNIT_EXPECT_TRUE(test, is_untouched(buffers[0]));
	}

	/* A reset, and all is well again. */
	sim = start(test, SIM_RING_FEATURES);
	sim_tell(test, sim, .op = SIM_STATUS, .value = 0xff);
	KUNIT_EXPECT_EQ(test, status(sim), 0xff);
	virtio_reset_device(&sim->vdev);
	KUNIT_EXPECT_FALSE(test, READ_ONCE(sim->lied));
}

/* The life of a device */

static void what_it_does_not_implement_is_refused(struct kunit *test)
{
	struct sim_options options = { .id = VIRTIO_ID_CONSOLE };
	struct sim_device *sim;
	unsigned int bit;
	bool known;

	for (bit = 24; bit < 50; bit++) {
		options.features = BIT_ULL(bit);
		sim = sim_create(&options);
		known = options.features & SIM_TRANSPORT_FEATURES;
		KUNIT_EXPECT_EQ_MSG(test, !IS_ERR(sim), known, "bit %u", bit);
		if (!IS_ERR(sim))
			sim_put(sim);
		else
			KUNIT_EXPECT_EQ(test, PTR_ERR(sim), -EINVAL);
	}
}

static void a_virtqueue_that_is_not_to_be_had(struct kunit *test)
{
	struct sim_device *sim;
	unsigned int queue;

	for (queue = 0; queue < 2; queue++) {
		sim = make(test, SIM_RING_FEATURES);
		sim_tell(test, sim, .op = SIM_VQ_FAIL, .queue = queue);
		sim_test_refused(test, sim);
		KUNIT_EXPECT_EQ(test, core.err, -ENOENT);
		sim = make(test, SIM_PACKED_FEATURES);
		sim_tell(test, sim, .op = SIM_VQ_FAIL, .queue = queue, .value = ENOMEM);
		sim_test_refused(test, sim);
		KUNIT_EXPECT_EQ(test, core.err, -ENOMEM);
		KUNIT_EXPECT_EQ(test, sim_test_told(sim, SIM_VQ_FAIL), 1);
	}
}

/* At each access of a probe; in the last round the device stays. */
static void it_goes_in_the_middle_of_a_probe(struct kunit *test)
{
	u64 features[VIRTIO_FEATURES_U64S];
	unsigned int refused = 0, seen = 0;
	struct sim_vanish vanish = {};
	struct sim_device *sim;
	unsigned int i;
	u8 byte;

	sim = make(test, SIM_RING_FEATURES);
	sim_tell(test, sim, .op = SIM_GONE);
	sim_test_refused(test, sim);
	KUNIT_EXPECT_EQ(test, core.err, -ENOENT);
	KUNIT_EXPECT_EQ(test, core.left, 0xff);
	KUNIT_EXPECT_EQ(test, status(sim), 0xff);
	virtio_get_features(&sim->vdev, features);
	for (i = 0; i < ARRAY_SIZE(features); i++)
		KUNIT_EXPECT_EQ(test, features[i], U64_MAX);
	while (sim_vanish_next(test, &vanish)) {
		sim = make(test, SIM_RING_FEATURES);
		sim_vanish_begin(test, &vanish, sim);
		KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
		if (!sim_vanish_end(&vanish, sim))
			continue;
		KUNIT_EXPECT_TRUE(test, sim->gone);
		sim->vdev.config->get(&sim->vdev, 0, &byte, 1);
		KUNIT_EXPECT_EQ(test, byte, 0xff);
		if (core.err == -ENOENT)
			KUNIT_EXPECT_EQ(test, core.left, 0xff);
		seen += core.err == -ENODEV;
		refused += !sim_test_live(sim);
	}
	kunit_info(test, "%u probes refused", refused);
	KUNIT_EXPECT_TRUE(test, sim_test_live(sim));
	KUNIT_EXPECT_GE(test, refused, 5);
	/* By who looked before it began; the core's own look, which is the next, is not told. */
	KUNIT_EXPECT_EQ(test, seen, 1);
}

/* At each look of a probe at its status. */
static void it_says_too_early_that_it_is_in_use(struct kunit *test)
{
	const u8 lie = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
		       VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FEATURES_OK;
	unsigned int seen = 0, skip = 0;
	struct sim_device *sim;

	do {
		sim = make(test, SIM_RING_FEATURES);
		sim_tell(test, sim, .op = SIM_STATUS, .value = lie, .skip = skip);
		KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
		seen += core.err == -ENODEV;
		KUNIT_EXPECT_EQ(test, sim_test_live(sim), core.err == 0);
	} while (!READ_ONCE(sim->nr_rules) && ++skip < 100);
	/* Only who has virtqueues and looks is told, and only the first time. */
	KUNIT_EXPECT_EQ(test, seen, 1);
	KUNIT_EXPECT_GE(test, skip, 4);
	KUNIT_EXPECT_LT(test, skip, 100);
}

/* Whoever has the lock must not wait for what the device plays. */
static void lock_forbids_reclaim(struct kunit *test)
{
	struct sim_device *sim = make(test, SIM_RING_FEATURES);

	KUNIT_EXPECT_FALSE(test, current->flags & PF_MEMALLOC);
	sim_lock(sim);
	KUNIT_EXPECT_TRUE(test, current->flags & PF_MEMALLOC);
	sim_unlock(sim);
	KUNIT_EXPECT_FALSE(test, current->flags & PF_MEMALLOC);
}

static struct kunit_case sim_core_cases[] = {
	KUNIT_CASE(interrupts_reach_each_queue),
	KUNIT_CASE(affinity_to_no_cpu),
	KUNIT_CASE(a_buffer_is_used_again),
	KUNIT_CASE(a_used_index_that_jumps_is_seen),
	KUNIT_CASE(after_a_lie_no_buffer_is_touched),
	KUNIT_CASE(what_is_true_is_no_lie),
	KUNIT_CASE(garbage_in_the_ring),
	KUNIT_CASE(config_space_changes_amidst_a_read),
	KUNIT_CASE(lies_about_config_space_excuse_the_driver),
	KUNIT_CASE(status_is_what_the_script_says),
	KUNIT_CASE(after_a_status_of_all_ones_no_buffer_is_touched),
	KUNIT_CASE(what_it_does_not_implement_is_refused),
	KUNIT_CASE(a_virtqueue_that_is_not_to_be_had),
	KUNIT_CASE_SLOW(it_goes_in_the_middle_of_a_probe),
	KUNIT_CASE(it_says_too_early_that_it_is_in_use),
	KUNIT_CASE(lock_forbids_reclaim),
	{}
};

static struct kunit_suite sim_core_suite = {
	.name = "sim_core",
	.suite_init = core_suite_init,
	.suite_exit = core_suite_exit,
	.init = sim_test_init,
	.exit = sim_test_exit,
	.test_cases = sim_core_cases,
};

kunit_test_suite(sim_core_suite);

MODULE_DESCRIPTION("KUnit suite of the simulated virtio device");
MODULE_LICENSE("GPL");
