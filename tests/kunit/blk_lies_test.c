// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_blk_rh against a simulated device that lies: what it says of a request stays that
 * request's own, and a lie about a ring ends the disk and nothing more. Hosts that do not
 * answer at all are in blk_stall_test.c.
 */
#include <linux/kthread.h>

#include "blk_kunit.h"

/* One request */

/* What the device does to a request that it has executed, and what becomes of it. */
struct lie {
	const char *name;
	enum sim_op op;
	u64 value;
};

static const struct lie harmless[] = {
	{ "used length 0", SIM_LEN, 0 },
	{ "used length 1", SIM_LEN, 1 },
	{ "used length 2^32-1", SIM_LEN, U32_MAX },
	{ "used length too long", SIM_LEN, SZ_64K },
	{ "late", SIM_DELAY, 50 },
	{ "interrupts in a storm", SIM_IRQ_STORM, 200 },
};

static void used_length_and_time_of_an_answer_mean_nothing(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);
	struct io io;
	size_t i;

	io_begin(test, sim, &io);
	for (i = 0; i < ARRAY_SIZE(harmless); i++) {
		kunit_info(test, "%s", harmless[i].name);
		get_random_bytes(io.out, SZ_4K);
		sim_tell_all(test, sim, .op = harmless[i].op, .value = harmless[i].value);
		KUNIT_EXPECT_EQ(test, submit(io.file, REQ_OP_WRITE, SECTOR, io.out, SZ_4K), 0);
		sim_test_applied(test, sim);
		disk_has_out(test, sim, &io);

		sim_tell_all(test, sim, .op = harmless[i].op, .value = harmless[i].value);
		reads_out(test, &io);
		sim_test_applied(test, sim);
		sim_tell_all(test, sim, .op = harmless[i].op, .value = harmless[i].value);
		KUNIT_EXPECT_EQ(test, submit_flush(io.file), 0);
		sim_test_applied(test, sim);
		reads_out(test, &io);
	}
	io_end(&io);
}

/* Each type of request, by which the block layer has it sent. */
static const struct {
	const char *name;
	blk_opf_t op;
	unsigned int type;
	bool data;
	sector_t sector;
	size_t len;
} requests[] = {
	{ "read", REQ_OP_READ, VIRTIO_BLK_T_IN, true, SECTOR, SZ_4K },
	{ "write", REQ_OP_WRITE, VIRTIO_BLK_T_OUT, true, SECTOR, SZ_4K },
	{ "flush", REQ_OP_WRITE | REQ_PREFLUSH, VIRTIO_BLK_T_FLUSH, false, 0, 0 },
	{ "discard", REQ_OP_DISCARD, VIRTIO_BLK_T_DISCARD, false, SECTOR, SZ_4K },
	{ "write zeroes", REQ_OP_WRITE_ZEROES, VIRTIO_BLK_T_WRITE_ZEROES, false, SECTOR, SZ_4K },
};

static int errno_of(unsigned int status)
{
	switch (status) {
	case VIRTIO_BLK_S_OK:
		return 0;
	case VIRTIO_BLK_S_UNSUPP:
		return -EOPNOTSUPP;
	default:
		return -EIO;
	}
}

static void every_status_of_every_request(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);
	struct sim_blk_counters before, after;
	unsigned int status, i;
	struct io io;
	int err;

	io_begin(test, sim, &io);
	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		sim_blk_get_counters(sim, &before);
		for (status = 0; status <= U8_MAX; status++) {
			sim_tell_all(test, sim, .op = SIM_PATCH, .at = -1, .width = 1,
				     .value = status);
			err = submit(io.file, requests[i].op, requests[i].sector,
				     requests[i].data ? io.in : NULL, requests[i].len);
			KUNIT_EXPECT_EQ_MSG(test, err, errno_of(status), "%s: status %u",
					    requests[i].name, status);
		}
		sim_blk_get_counters(sim, &after);
		KUNIT_EXPECT_EQ(test, sim_test_told(sim, SIM_PATCH), (i + 1) * (U8_MAX + 1));
		/* Nobody has tried any of them again. */
		KUNIT_EXPECT_EQ_MSG(test, after.requests[requests[i].type] -
				    before.requests[requests[i].type], U8_MAX + 1, "%s",
				    requests[i].name);
	}
	io_end(&io);
	data_moves(test, sim);
}

/* A request that was not executed at all: its data is not taken for the disk's. */
static void an_error_is_of_its_own_request_only(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);
	struct flight flight;
	struct io io;

	io_begin(test, sim, &io);
	sim_tell_all(test, sim, .op = SIM_BLK_FAIL, .skip = 3, .count = 5,
		     .value = VIRTIO_BLK_S_IOERR);
	take_off(test, sim, &flight, &io, 20);
	expect_landed(test, &flight, 5);
	io_end(&io);
	data_moves(test, sim);
}

/* The serial */

static void a_serial_is_what_the_device_says(struct kunit *test)
{
	static const u8 errors[] = { VIRTIO_BLK_S_IOERR, VIRTIO_BLK_S_UNSUPP, 3, U8_MAX };
	/* Twenty bytes, and no NUL behind them. */
	static const char whole[] = "virtio-rh-simulated0";
	struct sim_device *sim = sim_test_plug(test, &usual);
	unsigned int i;

	expect_attribute(test, sim, "serial", whole);
	for (i = 0; i < ARRAY_SIZE(harmless); i++) {
		sim_tell_all(test, sim, .op = harmless[i].op, .value = harmless[i].value);
		expect_attribute(test, sim, "serial", whole);
		sim_test_applied(test, sim);
	}
	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		sim_tell_all(test, sim, .op = SIM_PATCH, .at = -1, .width = 1,
			     .value = errors[i]);
		expect_attribute(test, sim, "serial", "");
		sim_test_applied(test, sim);
	}
	/* Control characters, and a byte of no character set. */
	sim_tell_all(test, sim, .op = SIM_PATCH, .width = 8, .value = 0xc34443427f0a0141);
	expect_attribute(test, sim, "serial", "A___BCD\xc3h-simulated0");
	sim_tell_all(test, sim, .op = SIM_PATCH, .at = 3, .width = 1);
	expect_attribute(test, sim, "serial", "vir");
	sim_tell_all(test, sim, .op = SIM_PATCH, .width = 1);
	expect_attribute(test, sim, "serial", "");
	KUNIT_EXPECT_EQ(test, sim_test_told(sim, SIM_PATCH), ARRAY_SIZE(errors) + 3);
	data_moves(test, sim);
}

/* The cache */

static u64 flushes(struct sim_device *sim)
{
	struct sim_blk_counters counters;

	sim_blk_get_counters(sim, &counters);
	return counters.requests[VIRTIO_BLK_T_FLUSH];
}

static void a_cache_that_cannot_be_written_out_stays(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);
	char path[64];
	struct io io;
	u64 before;

	attribute(test, sim, "cache_type", path);
	expect_attribute(test, sim, "cache_type", "write back");
	sim_tell_all(test, sim, .op = SIM_BLK_FAIL, .value = VIRTIO_BLK_S_IOERR);
	KUNIT_EXPECT_EQ(test, sim_test_write(test, path, "write through"), -EIO);
	expect_attribute(test, sim, "cache_type", "write back");
	KUNIT_EXPECT_EQ(test, device_wce(sim), 1);

	KUNIT_EXPECT_EQ(test, sim_test_write(test, path, "none"), -EINVAL);
	/* Written out once, and no flush from then on. */
	before = flushes(sim);
	KUNIT_EXPECT_GT(test, sim_test_write(test, path, "write through"), 0);
	expect_attribute(test, sim, "cache_type", "write through");
	KUNIT_EXPECT_EQ(test, device_wce(sim), 0);
	KUNIT_EXPECT_EQ(test, flushes(sim), before + 1);
	io_begin(test, sim, &io);
	KUNIT_EXPECT_EQ(test, submit_flush(io.file), 0);
	KUNIT_EXPECT_EQ(test, flushes(sim), before + 1);

	KUNIT_EXPECT_GT(test, sim_test_write(test, path, "write back"), 0);
	expect_attribute(test, sim, "cache_type", "write back");
	KUNIT_EXPECT_EQ(test, device_wce(sim), 1);
	KUNIT_EXPECT_EQ(test, submit_flush(io.file), 0);
	KUNIT_EXPECT_EQ(test, flushes(sim), before + 2);
	io_end(&io);
	data_moves(test, sim);
}

/* The ring */

/* Probe looks after its device for a second more, and would find out by chance. */
#define ALONE_MS	1200

/* The disk is dead: the device is stopped, and whoever comes hears of it at once. */
static void expect_dead(struct kunit *test, struct sim_device *sim, const struct io *io)
{
	KUNIT_EXPECT_TRUE(test, sim_test_wait(!sim_test_live(sim), SOON_MS));
	KUNIT_EXPECT_EQ(test, submit(io->file, REQ_OP_READ, 0, io->in, SZ_4K), -EIO);
}

static void ring_lie(struct kunit *test, const struct sim_ring_lie *lie, u64 ring)
{
	struct sim_options options = usual;
	struct sim_device *sim;
	struct flight flight;
	struct io io;

	options.features = FEATURES | ring;
	options.queue_size = 64;
	sim = sim_test_plug(test, &options);
	io_begin(test, sim, &io);
	msleep(ALONE_MS);
	sim_tell_all(test, sim, .op = lie->op, .value = lie->value);
	take_off(test, sim, &flight, &io, 4);
	expect_over(test, &flight);
	sim_test_applied(test, sim);
	KUNIT_EXPECT_GE(test, sim_test_told(sim, lie->op), 1);
	expect_dead(test, sim, &io);
	io_end(&io);
	data_moves(test, sim_test_plug(test, &usual));
}

static void lies_about_the_ring_end_the_disk_and_no_more(struct kunit *test)
{
	sim_test_each_ring_lie(test, ring_lie);
}

/* Used truly, and once more when nobody waits for it. */
static void a_second_use_later_ends_the_disk(struct kunit *test)
{
	struct sim_options options = usual;
	struct sim_device *sim;
	unsigned int i;
	struct io io;

	for (i = 0; i < ARRAY_SIZE(sim_rings); i++) {
		options.features = FEATURES | sim_rings[i];
		sim = sim_test_plug(test, &options);
		io_begin(test, sim, &io);
		msleep(ALONE_MS);
		sim_tell_all(test, sim, .op = SIM_AGAIN, .value = 200);
		KUNIT_EXPECT_EQ(test, submit(io.file, REQ_OP_READ, 0, io.in, SZ_4K), 0);
		expect_dead(test, sim, &io);
		io_end(&io);
	}
	data_moves(test, sim_test_plug(test, &usual));
}

static void a_device_that_asks_for_a_reset_is_given_up(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);
	struct flight flight;
	struct io io;

	io_begin(test, sim, &io);
	msleep(ALONE_MS);
	sim_tell_all(test, sim, .op = SIM_HOLD, .count = 4);
	take_off(test, sim, &flight, &io, 4);
	sim_test_applied(test, sim);
	sim_tell(test, sim, .op = SIM_NEEDS_RESET);
	expect_landed(test, &flight, 4);
	expect_dead(test, sim, &io);
	io_end(&io);
	data_moves(test, sim_test_plug(test, &usual));
}

/* Gone */

static void a_device_that_is_gone_before_probe_is_refused(struct kunit *test)
{
	struct sim_options options = usual;
	struct sim_device *sim;
	unsigned int i;

	/* With and without FEATURES_OK, at which the core would find out. */
	for (i = 0; i < 2; i++) {
		options.features = FEATURES | (i ? SIM_RING_FEATURES : 0);
		sim = sim_test_make(test, &options);
		sim_tell(test, sim, .op = SIM_GONE);
		sim_test_refused(test, sim);
	}
	data_moves(test, sim_test_plug(test, &usual));
}

/* At each access to status and config space, from the first one of a probe on. */
static void a_device_that_goes_in_probe_is_left_alone(struct kunit *test)
{
	struct sim_vanish vanish = {};
	struct sim_device *sim;
	bool gone;

	while (sim_vanish_next(test, &vanish)) {
		sim = sim_test_make(test, &usual);
		sim_vanish_begin(test, &vanish, sim);
		KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
		gone = sim_vanish_end(&vanish, sim);
		if (!gone)
			KUNIT_EXPECT_TRUE(test, sim_test_live(sim));
		sim_test_unplug(test, gone);
	}
	KUNIT_EXPECT_GE(test, vanish.accesses, 20);
	data_moves(test, sim_test_plug(test, &usual));
}

/* And in a resume: requests that wait for it end with it. */
static void a_device_that_goes_in_a_resume_ends_its_requests(struct kunit *test)
{
	struct sim_vanish vanish = {};
	struct sim_device *sim;
	struct flight flight;
	struct io io;
	bool gone;

	while (sim_vanish_next(test, &vanish)) {
		sim = sim_test_plug(test, &usual);
		io_begin(test, sim, &io);
		KUNIT_ASSERT_EQ(test, sim_test_freeze(sim), 0);
		take_off(test, sim, &flight, &io, 4);
		sim_vanish_begin(test, &vanish, sim);
		sim_test_restore(sim);
		/* The last access is that of a work, which looks for another capacity. */
		if (!sim_test_told(sim, SIM_VANISH))
			expect_over(test, &flight);
		gone = sim_vanish_end(&vanish, sim);
		if (!gone)
			KUNIT_EXPECT_EQ(test, atomic_read(&flight.bad), 0);
		sim_test_unplug(test, gone);
		expect_over(test, &flight);
		io_end(&io);
	}
	KUNIT_EXPECT_GE(test, vanish.accesses, 5);
	data_moves(test, sim_test_plug(test, &usual));
}

/**
 * struct hammer - reads a page of a disk until it is told to end
 * @io: the disk, what its page holds, and where to read to
 * @good: reads that ended well
 * @wrong: of those, reads that did not bring what is on the disk
 */
struct hammer {
	struct io io;
	unsigned int good;
	unsigned int wrong;
};

/* Errors do not end it. */
static int hammer(void *data)
{
	struct hammer *h = data;

	while (!kthread_should_stop()) {
		memset(h->io.in, 0, SZ_4K);
		if (submit(h->io.file, REQ_OP_READ, SECTOR, h->io.in, SZ_4K)) {
			usleep_range(1000, 2000);
			continue;
		}
		h->good++;
		h->wrong += !!memcmp(h->io.in, h->io.out, SZ_4K);
	}
	return 0;
}

static void unplug_under_load(struct kunit *test, bool surprise, unsigned int ms)
{
	struct sim_device *sim = sim_test_plug(test, &usual);
	struct task_struct *thread;
	struct hammer h = {};
	struct flight flight;

	io_begin(test, sim, &h.io);
	KUNIT_EXPECT_EQ(test, sim_blk_poke(sim, SECTOR * SECTOR_SIZE, h.io.out, SZ_4K), 0);
	thread = kthread_run(hammer, &h, "blk-hammer");
	KUNIT_ASSERT_FALSE(test, IS_ERR(thread));
	KUNIT_EXPECT_TRUE(test, sim_test_wait(READ_ONCE(h.good), SOON_MS));
	take_off(test, sim, &flight, &h.io, 60);
	msleep(ms);
	sim_test_unplug(test, surprise);
	KUNIT_EXPECT_TRUE(test, lands(&flight, SOON_MS));
	kthread_stop(thread);
	KUNIT_EXPECT_EQ(test, h.wrong, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&flight.wrong), 0);
	KUNIT_EXPECT_NE(test, submit(h.io.file, REQ_OP_READ, 0, h.io.in, SZ_4K), 0);
	io_end(&h.io);
}

static void unplugged_under_load(struct kunit *test)
{
	unsigned int ms;

	for (ms = 0; ms < 20; ms += 2) {
		unplug_under_load(test, true, ms);
		unplug_under_load(test, false, ms);
	}
	data_moves(test, sim_test_plug(test, &usual));
}

static void requests_that_are_lost_end_when_the_device_is_pulled_out(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);
	struct flight flight;
	struct io io;

	io_begin(test, sim, &io);
	msleep(ALONE_MS);
	sim_tell_all(test, sim, .op = SIM_DROP, .count = 10);
	take_off(test, sim, &flight, &io, 10);
	sim_test_applied(test, sim);
	sim_test_unplug(test, true);
	expect_landed(test, &flight, 10);
	io_end(&io);
	data_moves(test, sim_test_plug(test, &usual));
}

static struct kunit_case blk_lies_cases[] = {
	KUNIT_CASE(used_length_and_time_of_an_answer_mean_nothing),
	KUNIT_CASE_SLOW(every_status_of_every_request),
	KUNIT_CASE(an_error_is_of_its_own_request_only),
	KUNIT_CASE(a_serial_is_what_the_device_says),
	KUNIT_CASE(a_cache_that_cannot_be_written_out_stays),
	KUNIT_CASE_SLOW(lies_about_the_ring_end_the_disk_and_no_more),
	KUNIT_CASE_SLOW(a_second_use_later_ends_the_disk),
	KUNIT_CASE_SLOW(a_device_that_asks_for_a_reset_is_given_up),
	KUNIT_CASE(a_device_that_is_gone_before_probe_is_refused),
	KUNIT_CASE_SLOW(a_device_that_goes_in_probe_is_left_alone),
	KUNIT_CASE_SLOW(a_device_that_goes_in_a_resume_ends_its_requests),
	KUNIT_CASE_SLOW(unplugged_under_load),
	KUNIT_CASE_SLOW(requests_that_are_lost_end_when_the_device_is_pulled_out),
	{}
};

SIM_SUITE(blk_lies, virtio_blk_rh, sim_test_init, sim_test_exit);
MODULE_DESCRIPTION("KUnit suite of virtio_blk_rh on a simulated device that lies");
MODULE_LICENSE("GPL");
