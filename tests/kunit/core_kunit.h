/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For the suites of the simulated device itself: a driver of two virtqueues that does as a test
 * tells it, and the buffers of its only device.
 */
#ifndef VRH_CORE_KUNIT_H
#define VRH_CORE_KUNIT_H

#include <linux/bitmap.h>
#include <linux/scatterlist.h>
#include <linux/virtio_blk.h>
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
/* What is about to come does so much sooner; the guest may be very slow. */
#define SOON_MS		20000

/* When a callback was called. */
enum core_phase { CORE_EARLY, CORE_LIVE, CORE_DOWN, CORE_STATES };

/**
 * struct core - the driver's one device
 * @vq: its virtqueues
 * @state: where the driver is
 * @called: callbacks by state and virtqueue
 * @patient: probe waits for a callback of each virtqueue before DRIVER_OK
 * @believes: remove does not reset the device, as if it were gone
 * @err: what probe has returned
 * @left: the device status, when a probe has no virtqueues
 */
static struct core {
	struct virtqueue *vq[2];
	enum core_phase state;
	atomic_t called[CORE_STATES][2];
	bool patient;
	bool believes;
	int err;
	u8 left;
} core;

/* What a module has of its own cannot be given to a device. */
static u8 (*buffers)[BYTES];

static inline void core_called(struct virtqueue *vq)
{
	atomic_inc(&core.called[READ_ONCE(core.state)][vq->index]);
}

static inline unsigned int calls(enum core_phase state, unsigned int queue)
{
	return atomic_read(&core.called[state][queue]);
}

static inline int core_probe(struct virtio_device *vdev)
{
	struct virtqueue_info info[] = {
		{ .name = "receive", .callback = core_called },
		{ .name = "transmit", .callback = core_called },
	};

	WRITE_ONCE(core.state, CORE_EARLY);
	virtio_cread8(vdev, 0);
	core.err = virtio_find_vqs(vdev, ARRAY_SIZE(info), core.vq, info, NULL);
	if (core.err) {
		core.left = vdev->config->get_status(vdev);
		return core.err;
	}
	if (core.patient)
		sim_test_wait(calls(CORE_EARLY, RX) && calls(CORE_EARLY, TX), SOON_MS);
	WRITE_ONCE(core.state, CORE_LIVE);
	core.err = vrh_device_ready(vdev);
	if (core.err)
		vdev->config->del_vqs(vdev);
	return core.err;
}

static inline void core_remove(struct virtio_device *vdev)
{
	WRITE_ONCE(core.state, CORE_DOWN);
	if (!core.believes)
		virtio_reset_device(vdev);
	vdev->config->del_vqs(vdev);
}

static const struct virtio_device_id core_ids[] = { { CORE_ID, SIM_VENDOR }, {} };

/* Those of a disk: a console does not offer them. */
static const unsigned int core_features[] = { VIRTIO_BLK_F_MQ, VIRTIO_BLK_F_CONFIG_WCE };

static struct virtio_driver core_driver = {
	.driver.name = "vrh_sim_core",
	.driver.owner = THIS_MODULE,
	.id_table = core_ids,
	.feature_table = core_features,
	.feature_table_size = ARRAY_SIZE(core_features),
	.probe = core_probe,
	.remove = core_remove,
};

/* Parts of tests */

/* A device of any type, for our driver. */
static inline struct sim_device *make_of(struct kunit *test, const struct sim_options *options)
{
	struct sim_device *sim = sim_test_make(test, options);

	memset(&core, 0, sizeof(core));
	sim->options.id = CORE_ID;
	return sim;
}

static inline struct sim_device *make(struct kunit *test, u64 features)
{
	struct sim_options options = {
		.id = VIRTIO_ID_CONSOLE, .features = features, .queue_size = SIZE,
	};

	return make_of(test, &options);
}

/* Has the device looked into its rings, and found nothing? It writes there when it does. */
static inline bool is_idle(struct sim_device *sim)
{
	bool idle;

	sim_lock(sim);
	idle = sim->ready && bitmap_empty(sim->kicked, SIM_QUEUES_MAX);
	sim_unlock(sim);
	return idle;
}

static inline struct sim_device *start(struct kunit *test, u64 features)
{
	struct sim_device *sim = make(test, features);

	KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
	KUNIT_ASSERT_TRUE(test, sim_test_live(sim));
	KUNIT_ASSERT_TRUE(test, sim_test_wait(is_idle(sim), SOON_MS));
	return sim;
}

/* Offers a buffer, to write into or to read from. */
static inline void offer(struct kunit *test, unsigned int queue, u8 *buffer)
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

static inline void *used(unsigned int queue, unsigned int ms)
{
	void *buffer;
	u32 len;

	sim_test_wait((buffer = virtqueue_get_buf(core.vq[queue], &len)), ms);
	return buffer;
}

/* The driver is told, now or in a moment, of something that it cannot take for true. */
static inline void expect_broken(struct kunit *test, unsigned int queue)
{
	void *buffer = NULL;
	u32 len;

	KUNIT_EXPECT_TRUE(test,
			  sim_test_wait((buffer = virtqueue_get_buf(core.vq[queue], &len)) ||
					virtqueue_is_broken(core.vq[queue]), SOON_MS));
	KUNIT_EXPECT_PTR_EQ(test, buffer, NULL);
}

/* The time of a buffer that the script delays has come. */
static inline void is_due(struct kunit *test, struct sim_device *sim, unsigned int queue)
{
	struct sim_chain *chain;

	sim_lock(sim);
	chain = list_first_entry_or_null(&sim->queues[queue].delayed, struct sim_chain, node);
	KUNIT_EXPECT_TRUE(test, chain && time_after(chain->due, jiffies));
	if (chain)
		chain->due = jiffies;
	sim_unlock(sim);
	sim_wake(sim);
}

static inline u8 status(struct sim_device *sim)
{
	return sim->vdev.config->get_status(&sim->vdev);
}

/* The suite */

static inline int core_suite_init(struct kunit_suite *suite)
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

static inline void core_suite_exit(struct kunit_suite *suite)
{
	unregister_virtio_driver(&core_driver);
	kfree(buffers);
}

#endif
