// SPDX-License-Identifier: GPL-2.0-only
/*
 * The simulated device itself, under a driver that is made for it: what the suites of the
 * real drivers take for granted, that a lie is told as it is described, and that the
 * device behaves after it.
 */
#include <linux/scatterlist.h>
#include <linux/virtio_ids.h>

#include <vrh/device.h>

#include "sim_kunit.h"
#include "tests/simdev/sim_console.h"

/* No driver but ours has that device ID; the device behind it is a console. */
#define CORE_ID		0x7ffe
#define RX		0
#define TX		1
#define SIZE		16
#define BYTES		32
#define POISON		0xaa

/* When a callback was called. */
enum core_phase { CORE_EARLY, CORE_LIVE, CORE_DOWN, CORE_STATES };

/**
 * struct core - the driver's one device
 * @vq: its virtqueues
 * @state: where the driver is
 * @called: callbacks by state and virtqueue
 * @patient: probe waits for a callback of each virtqueue before DRIVER_OK
 * @err: what probe has returned
 */
static struct core {
	struct virtqueue *vq[2];
	enum core_phase state;
	atomic_t called[CORE_STATES][2];
	bool patient;
	int err;
} core;

static const u64 rings[] = { SIM_RING_FEATURES, SIM_PACKED_FEATURES };

/* What a module has of its own cannot be given to a device. */
static u8 (*buffers)[BYTES];

static void core_called(struct virtqueue *vq)
{
	atomic_inc(&core.called[READ_ONCE(core.state)][vq->index]);
}

static unsigned int calls(enum core_phase state, unsigned int queue)
{
	return atomic_read(&core.called[state][queue]);
}

static int core_probe(struct virtio_device *vdev)
{
	struct virtqueue_info info[] = {
		{ .name = "receive", .callback = core_called },
		{ .name = "transmit", .callback = core_called },
	};

	WRITE_ONCE(core.state, CORE_EARLY);
	virtio_cread8(vdev, 0);
	core.err = virtio_find_vqs(vdev, ARRAY_SIZE(info), core.vq, info, NULL);
	if (core.err)
		return core.err;
	if (core.patient)
		sim_test_wait(calls(CORE_EARLY, RX) && calls(CORE_EARLY, TX), 1000);
	WRITE_ONCE(core.state, CORE_LIVE);
	core.err = vrh_device_ready(vdev);
	if (core.err)
		vdev->config->del_vqs(vdev);
	return core.err;
}

static void core_remove(struct virtio_device *vdev)
{
	WRITE_ONCE(core.state, CORE_DOWN);
	virtio_reset_device(vdev);
	vdev->config->del_vqs(vdev);
}

static const struct virtio_device_id core_ids[] = { { CORE_ID, SIM_VENDOR }, {} };

static struct virtio_driver core_driver = {
	.driver.name = "vrh_sim_core",
	.driver.owner = THIS_MODULE,
	.id_table = core_ids,
	.probe = core_probe,
	.remove = core_remove,
};

/* Parts of tests */

static struct sim_device *make(struct kunit *test, u64 features)
{
	struct sim_options options = {
		.id = VIRTIO_ID_CONSOLE, .features = features, .queue_size = SIZE,
	};
	struct sim_device *sim = sim_test_make(test, &options);

	memset(&core, 0, sizeof(core));
	sim->options.id = CORE_ID;
	return sim;
}

static struct sim_device *start(struct kunit *test, u64 features)
{
	struct sim_device *sim = make(test, features);

	KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
	KUNIT_ASSERT_TRUE(test, sim_test_live(sim));
	return sim;
}

/* Offers a buffer, to write into or to read from. */
static void offer(struct kunit *test, unsigned int queue, u8 *buffer)
{
	struct scatterlist sg;
	int err;

	memset(buffer, POISON, BYTES);
	sg_init_one(&sg, buffer, BYTES);
	if (queue == RX)
		err = virtqueue_add_inbuf(core.vq[RX], &sg, 1, buffer, GFP_KERNEL);
	else
		err = virtqueue_add_outbuf(core.vq[TX], &sg, 1, buffer, GFP_KERNEL);
	KUNIT_ASSERT_EQ(test, err, 0);
	virtqueue_kick(core.vq[queue]);
}

static void *used(unsigned int queue, unsigned int ms)
{
	void *buffer;
	u32 len;

	sim_test_wait((buffer = virtqueue_get_buf(core.vq[queue], &len)), ms);
	return buffer;
}

/* The driver is told of something that it cannot take for true. */
static void expect_broken(struct kunit *test, unsigned int queue)
{
	KUNIT_EXPECT_PTR_EQ(test, used(queue, 100), NULL);
	KUNIT_EXPECT_TRUE(test, virtqueue_is_broken(core.vq[queue]));
}

static u8 status(struct sim_device *sim)
{
	return sim->vdev.config->get_status(&sim->vdev);
}

/* Interrupts */

/* Two rules for all queues: one for each, and not both for the first. */
static void interrupts_reach_each_queue(struct kunit *test)
{
	struct sim_device *sim;
	unsigned int i, queue;

	for (i = 0; i < ARRAY_SIZE(rings); i++) {
		sim = make(test, rings[i]);
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
			KUNIT_EXPECT_TRUE(test, sim_test_wait(calls(CORE_LIVE, queue) == 1, 1000));
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
	KUNIT_EXPECT_TRUE(test, sim_test_wait(calls(CORE_LIVE, TX) == 1, 1000));
}

/* Rings */

static void a_buffer_is_used_again(struct kunit *test)
{
	struct sim_device *sim;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rings); i++) {
		sim = start(test, rings[i]);
		sim_tell(test, sim, .op = SIM_AGAIN, .queue = TX, .value = 1500);
		offer(test, TX, buffers[0]);
		KUNIT_EXPECT_PTR_EQ(test, used(TX, 2000), (void *)buffers[0]);
		offer(test, TX, buffers[1]);
		KUNIT_EXPECT_PTR_EQ(test, used(TX, 1000), (void *)buffers[1]);
		KUNIT_EXPECT_FALSE(test, READ_ONCE(sim->lied));
		KUNIT_EXPECT_TRUE(test, sim_test_wait(READ_ONCE(sim->lied), 5000));
		expect_broken(test, TX);
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
		sim = start(test, rings[i % 2]);
		offer(test, TX, buffers[0]);
		KUNIT_EXPECT_PTR_EQ(test, used(TX, 2000), (void *)buffers[0]);
		KUNIT_EXPECT_EQ(test, sim_act(sim, &(struct sim_action){ .op = SIM_USED_IDX }),
				-EINVAL);
		KUNIT_EXPECT_FALSE(test, READ_ONCE(sim->lied));
		sim_tell(test, sim, .op = SIM_USED_IDX, .queue = TX, .value = jumps[i / 2]);
		KUNIT_EXPECT_TRUE(test, READ_ONCE(sim->lied));
		expect_broken(test, TX);
	}
}

/* It has two more buffers, one of them taken out of the ring already, and input for both. */
static void after_a_lie_no_buffer_is_touched(struct kunit *test)
{
	u8 input[BYTES], untouched[BYTES];
	struct sim_device *sim;
	unsigned int i;

	memset(input, 'x', sizeof(input));
	memset(untouched, POISON, sizeof(untouched));
	for (i = 0; i < 2 * ARRAY_SIZE(rings); i++) {
		sim = start(test, rings[i % 2]);
		if (i / 2)
			sim_tell(test, sim, .op = SIM_ID, .queue = RX, .value = SIZE);
		else
			sim_tell(test, sim, .op = SIM_TWICE, .queue = RX);
		offer(test, RX, buffers[0]);
		offer(test, RX, buffers[1]);
		KUNIT_EXPECT_FALSE(test, READ_ONCE(sim->lied));
		sim_console_push(sim, 0, input, BYTES);
		KUNIT_EXPECT_TRUE(test, sim_test_wait(READ_ONCE(sim->lied), 2000));
		KUNIT_EXPECT_EQ(test, memcmp(buffers[0], input, BYTES), 0);
		offer(test, RX, buffers[2]);
		sim_console_push(sim, 0, input, BYTES);
		sim_console_push(sim, 0, input, BYTES);
		msleep(50);
		KUNIT_EXPECT_EQ(test, memcmp(buffers[1], untouched, BYTES), 0);
		KUNIT_EXPECT_EQ(test, memcmp(buffers[2], untouched, BYTES), 0);
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
	KUNIT_EXPECT_PTR_EQ(test, used(TX, 2000), (void *)buffers[0]);
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
	KUNIT_EXPECT_PTR_EQ(test, used(TX, 2000), (void *)buffers[0]);
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
	KUNIT_EXPECT_EQ(test, status(sim), live);

	/* The driver that adds a bit does not take the device's away. */
	KUNIT_EXPECT_EQ(test, sim_act(sim, &reset), 0);
	sim->vdev.config->set_status(&sim->vdev, live | VIRTIO_CONFIG_S_FAILED);
	KUNIT_EXPECT_EQ(test, status(sim),
			live | VIRTIO_CONFIG_S_FAILED | VIRTIO_CONFIG_S_NEEDS_RESET);
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
	struct sim_device *sim;
	unsigned int refused = 0, seen = 0, skip = 0;
	u8 byte;

	sim = make(test, SIM_RING_FEATURES);
	sim_tell(test, sim, .op = SIM_GONE);
	sim_test_refused(test, sim);
	KUNIT_EXPECT_EQ(test, core.err, -ENOENT);
	KUNIT_EXPECT_EQ(test, status(sim), 0xff);
	do {
		sim = make(test, SIM_RING_FEATURES);
		sim_tell(test, sim, .op = SIM_VANISH, .skip = skip);
		KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
		if (!READ_ONCE(sim->nr_rules)) {
			KUNIT_EXPECT_TRUE(test, sim->gone);
			sim->vdev.config->get(&sim->vdev, 0, &byte, 1);
			KUNIT_EXPECT_EQ(test, byte, 0xff);
			refused += !sim_test_live(sim);
			seen += core.err == -ENODEV;
		}
	} while (!READ_ONCE(sim->nr_rules) && ++skip < 100);
	kunit_info(test, "%u accesses, %u probes refused", skip, refused);
	KUNIT_EXPECT_TRUE(test, sim_test_live(sim));
	KUNIT_EXPECT_GE(test, refused, 5);
	/* By who looked before it began; the core's own look, which is the next, is not told. */
	KUNIT_EXPECT_EQ(test, seen, 1);
	KUNIT_EXPECT_LT(test, skip, 100);
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

static int core_suite_init(struct kunit_suite *suite)
{
	int err;

	buffers = kcalloc(3, sizeof(*buffers), GFP_KERNEL);
	if (!buffers)
		return -ENOMEM;
	err = register_virtio_driver(&core_driver);
	if (err)
		kfree(buffers);
	return err;
}

static void core_suite_exit(struct kunit_suite *suite)
{
	unregister_virtio_driver(&core_driver);
	kfree(buffers);
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
	KUNIT_CASE(status_is_what_the_script_says),
	KUNIT_CASE(what_it_does_not_implement_is_refused),
	KUNIT_CASE(a_virtqueue_that_is_not_to_be_had),
	KUNIT_CASE(it_goes_in_the_middle_of_a_probe),
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
