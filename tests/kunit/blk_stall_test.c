// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_blk_rh and hosts that do not answer. The driver gives each of them half a minute,
 * so one case waits for all of them together: each stall has its own device.
 */
#include <linux/ktime.h>
#include <linux/workqueue.h>

#include "blk_kunit.h"

/* VBLK_HOST_TIMEOUT_S, which is counted in ticks of about a second; and twice of it. */
#define PATIENCE_MS	29000
#define TWICE_MS	(2 * 30000 + SOON_MS)

/**
 * struct stall - a host that stops, and who waits for it
 * @name: for messages
 * @size: of the rings
 * @in_probe: it stops before the device is plugged
 * @op: how it stops
 * @reads: requests that it has then
 * @attr: attribute of the disk that @wait works on, or NULL
 * @prepare: what else is there when it stops, or NULL
 * @wait: what must come to an end; not in the test's thread
 * @err: and what it returns then
 * @bad: requests that have ended with an error by then; the others have not ended
 * @end: what must hold afterwards; the device may be unplugged
 * @sim: the device
 * @io: its disk, if not @in_probe
 * @flight: the requests
 * @file: @attr
 * @work: calls @wait
 * @got: what @wait returned
 * @ms: how long it took
 */
struct stall {
	const char *name;
	u32 size;
	bool in_probe;
	enum sim_op op;
	unsigned int reads;
	const char *attr;
	void (*prepare)(struct kunit *test, struct stall *stall);
	int (*wait)(struct stall *stall);
	int err;
	unsigned int bad;
	void (*end)(struct kunit *test, struct stall *stall);

	struct sim_device *sim;
	struct io io;
	struct flight flight;
	struct file *file;
	struct work_struct work;
	int got;
	s64 ms;
};

/* What waits */

static int read_attr(struct stall *stall)
{
	char text[32];
	loff_t at = 0;

	return kernel_read(stall->file, text, sizeof(text), &at);
}

static int write_attr(struct stall *stall, const char *text)
{
	loff_t at = 0;

	return kernel_write(stall->file, text, strlen(text), &at);
}

static int write_through(struct stall *stall)
{
	return write_attr(stall, "write through");
}

static int write_back(struct stall *stall)
{
	return write_attr(stall, "write back");
}

static int freeze(struct stall *stall)
{
	return sim_test_freeze(stall->sim);
}

static int reset_function(struct stall *stall)
{
	return virtio_device_reset_prepare(&stall->sim->vdev);
}

static int unplug(struct stall *stall)
{
	sim_unplug(stall->sim, false);
	return 0;
}

static int plug(struct stall *stall)
{
	return sim_plug(stall->sim);
}

/* What else is there */

static void flush_too(struct kunit *test, struct stall *stall)
{
	board(&stall->flight);
	fly(&stall->flight, make_bio(stall->io.file, REQ_OP_WRITE | REQ_PREFLUSH, 0, NULL, 0));
	land(&stall->flight);
}

/* What must hold afterwards */

/* The host goes on after all, and nothing is lost. */
static void goes_on(struct kunit *test, struct stall *stall)
{
	KUNIT_EXPECT_TRUE(test, sim_test_live(stall->sim));
	sim_forget(stall->sim);
	if (stall->reads)
		expect_landed(test, &stall->flight, 0);
	data_moves(test, stall->sim);
}

static void serial_goes_on(struct kunit *test, struct stall *stall)
{
	goes_on(test, stall);
	expect_attribute(test, stall->sim, "serial", "virtio-rh-simulated0");
}

/* The cache that could not be written out is still there, for device and block layer. */
static void cache_goes_on(struct kunit *test, struct stall *stall)
{
	char path[64];

	expect_attribute(test, stall->sim, "cache_type", "write back");
	KUNIT_EXPECT_EQ(test, device_wce(stall->sim), 1);
	goes_on(test, stall);
	attribute(test, stall->sim, "cache_type", path);
	KUNIT_EXPECT_GT(test, sim_test_write(test, path, "write through"), 0);
	KUNIT_EXPECT_EQ(test, device_wce(stall->sim), 0);
}

static void suspend_goes_on(struct kunit *test, struct stall *stall)
{
	goes_on(test, stall);
	KUNIT_EXPECT_EQ(test, sim_test_freeze(stall->sim), 0);
	KUNIT_EXPECT_EQ(test, sim_test_restore(stall->sim), 0);
	data_moves(test, stall->sim);
}

static void ended(struct kunit *test, struct stall *stall)
{
	struct io *io = &stall->io;

	expect_landed(test, &stall->flight, stall->bad);
	KUNIT_EXPECT_NE(test, submit(io->file, REQ_OP_READ, 0, io->in, SZ_4K), 0);
}

static void reset_ended(struct kunit *test, struct stall *stall)
{
	KUNIT_EXPECT_EQ(test, virtio_device_reset_done(&stall->sim->vdev), 0);
	ended(test, stall);
}

static void refused(struct kunit *test, struct stall *stall)
{
	KUNIT_EXPECT_FALSE(test, sim_test_live(stall->sim));
	KUNIT_EXPECT_GE(test, sim_test_told(stall->sim, SIM_HOLD), 1);
}

static struct stall stalls[] = {
	{ .name = "the serial", .op = SIM_HOLD, .attr = "serial", .wait = read_attr,
	  .err = -ETIMEDOUT, .end = serial_goes_on },
	{ .name = "the serial, and no tag is free", .size = 4, .op = SIM_HOLD, .reads = 4,
	  .attr = "serial", .wait = read_attr, .err = -ETIMEDOUT, .end = serial_goes_on },
	{ .name = "the flush before a cache goes", .op = SIM_HOLD, .attr = "cache_type",
	  .wait = write_through, .err = -ETIMEDOUT, .end = cache_goes_on },
	{ .name = "a request while the cache mode is switched", .op = SIM_HOLD, .reads = 1,
	  .attr = "cache_type", .wait = write_back, .err = -ETIMEDOUT, .end = cache_goes_on },
	{ .name = "a suspend", .op = SIM_HOLD, .reads = 3, .wait = freeze, .err = -ETIMEDOUT,
	  .end = suspend_goes_on },
	{ .name = "a reset of the function", .op = SIM_HOLD, .reads = 3, .wait = reset_function,
	  .bad = 3, .end = reset_ended },
	{ .name = "a removal", .op = SIM_HOLD, .reads = 3, .wait = unplug, .bad = 3,
	  .end = ended },
	{ .name = "a removal, and the requests are lost", .op = SIM_DROP, .reads = 3,
	  .wait = unplug, .bad = 3, .end = ended },
	{ .name = "a removal, and a flush is lost", .op = SIM_DROP, .prepare = flush_too,
	  .wait = unplug, .bad = 1, .end = ended },
	{ .name = "the partition table", .in_probe = true, .op = SIM_HOLD, .wait = plug,
	  .end = refused },
};

/* Those who still wait. */
static struct flight waiting;

static void stall_work(struct work_struct *work)
{
	struct stall *stall = container_of(work, struct stall, work);
	ktime_t start = ktime_get();

	stall->got = stall->wait(stall);
	stall->ms = ktime_ms_delta(ktime_get(), start);
	land(&waiting);
}

static void stall_begin(struct kunit *test, struct stall *stall)
{
	struct sim_options options = usual;
	char path[64];

	if (stall->size) {
		options.queue_size = stall->size;
		options.pairs = 1;
	}
	stall->sim = sim_create(&options);
	KUNIT_ASSERT_FALSE(test, IS_ERR(stall->sim));
	INIT_WORK(&stall->work, stall_work);
	if (!stall->in_probe) {
		KUNIT_ASSERT_EQ(test, sim_plug(stall->sim), 0);
		KUNIT_ASSERT_TRUE(test, sim_test_live(stall->sim));
		io_begin(test, stall->sim, &stall->io);
	}
	if (stall->attr) {
		attribute(test, stall->sim, stall->attr, path);
		stall->file = sim_test_open(path, strcmp(stall->attr, "serial") ? O_WRONLY :
					    O_RDONLY);
		KUNIT_ASSERT_FALSE(test, IS_ERR(stall->file));
	}
	sim_tell_all(test, stall->sim, .op = stall->op, .count = 1000);
	if (stall->reads)
		take_off(test, stall->sim, &stall->flight, &stall->io, stall->reads);
	if (stall->prepare)
		stall->prepare(test, stall);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(sim_test_told(stall->sim, stall->op) >= stall->reads,
					      SOON_MS));
}

static void stall_end(struct kunit *test, struct stall *stall)
{
	kunit_info(test, "%s: %d after %lld ms", stall->name, stall->got, stall->ms);
	KUNIT_EXPECT_EQ_MSG(test, stall->got, stall->err, "%s", stall->name);
	/* A host has its full time, and no more of it. */
	KUNIT_EXPECT_GE_MSG(test, stall->ms, PATIENCE_MS, "%s", stall->name);
	KUNIT_EXPECT_LT_MSG(test, stall->ms, TWICE_MS, "%s", stall->name);
	KUNIT_EXPECT_EQ_MSG(test, atomic_read(&stall->flight.bad), stall->bad, "%s",
			    stall->name);
	if (stall->file)
		sim_test_close(stall->file);
	stall->end(test, stall);
	if (!stall->in_probe)
		io_end(&stall->io);
	sim_test_end(test, stall->sim, false);
}

/* All have come back, or this module and what it has given them stay for good. */
static void stalls_wait(struct kunit *test)
{
	unsigned int i;

	if (lands(&waiting, 2 * TWICE_MS))
		return;
	for (i = 0; i < ARRAY_SIZE(stalls); i++)
		if (work_busy(&stalls[i].work))
			kunit_err(test, "%s: no end", stalls[i].name);
	__module_get(THIS_MODULE);
	KUNIT_ASSERT_TRUE_MSG(test, false, "a wait without an end");
}

static void a_host_has_half_a_minute(struct kunit *test)
{
	struct workqueue_struct *queue = alloc_workqueue("blk-stall", WQ_UNBOUND, 0);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, queue);
	for (i = 0; i < ARRAY_SIZE(stalls); i++)
		stall_begin(test, &stalls[i]);
	board(&waiting);
	for (i = 0; i < ARRAY_SIZE(stalls); i++) {
		atomic_inc(&waiting.left);
		queue_work(queue, &stalls[i].work);
	}
	land(&waiting);
	stalls_wait(test);
	destroy_workqueue(queue);
	for (i = 0; i < ARRAY_SIZE(stalls); i++)
		stall_end(test, &stalls[i]);
	data_moves(test, sim_test_plug(test, &usual));
}

/* Slow is not stopped: the partition table comes, only late. */
static void a_slow_host_is_waited_for(struct kunit *test)
{
	struct sim_device *sim = sim_test_make(test, &usual);

	sim_tell_all(test, sim, .op = SIM_DELAY, .value = 3000);
	KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
	KUNIT_EXPECT_EQ(test, sim_test_told(sim, SIM_DELAY), 1);
	KUNIT_ASSERT_TRUE(test, sim_test_live(sim));
	data_moves(test, sim);
}

static struct kunit_case blk_stall_cases[] = {
	KUNIT_CASE_SLOW(a_host_has_half_a_minute),
	KUNIT_CASE_SLOW(a_slow_host_is_waited_for),
	{}
};

SIM_SUITE(blk_stall, virtio_blk_rh, sim_test_init, sim_test_exit);
MODULE_DESCRIPTION("KUnit suite of virtio_blk_rh on simulated devices that stop");
MODULE_LICENSE("GPL");
