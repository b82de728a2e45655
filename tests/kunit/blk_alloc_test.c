// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_blk_rh when memory is short: each allocation of it, and of what it calls, fails
 * once: in probe, in a resume, and for each kind of request. What must not be lost is data;
 * what may be refused is refused with -ENOMEM.
 */

#include "blk_kunit.h"

static void each_failing_allocation_of_probe_is_survived(struct kunit *test)
{
	char before[DISK_NAME_LEN], after[DISK_NAME_LEN];

	disk_name(test, sim_test_plug(test, &usual), before);
	sim_test_sweep_plug(test, &usual, 5, data_moves);
	/* A disk that was refused has given its number back. */
	disk_name(test, sim_test_plug(test, &usual), after);
	KUNIT_EXPECT_STREQ(test, before, after);
}

static void each_failing_allocation_of_a_resume_ends_cleanly(struct kunit *test)
{
	struct sim_sweep sweep = {};
	unsigned int refused = 0;
	struct sim_device *sim;
	struct flight flight;
	struct io io;
	int err;

	while (sim_sweep_next(test, &sweep)) {
		sim = sim_test_plug(test, &usual);
		io_begin(test, sim, &io);
		KUNIT_ASSERT_EQ(test, sim_test_freeze(sim), 0);
		take_off(test, sim, &flight, &io, 4);
		sim_sweep_begin(&sweep);
		err = sim_test_restore(sim);
		sim_sweep_end(&sweep);
		/* Requests that came meanwhile end, well or badly, and nobody waits. */
		expect_landed(test, &flight, err ? 4 : 0);
		KUNIT_EXPECT_TRUE(test, !err || err == -ENOMEM);
		refused += !!err;
		io_end(&io);
		if (!err)
			data_moves(test, sim);
	}
	kunit_info(test, "%u refused", refused);
	KUNIT_EXPECT_GE(test, refused, 4);
}

/* Reads and writes: tables are left out, and what else fails is tried again. */
static void each_failing_allocation_of_a_request_costs_nothing(struct kunit *test)
{
	struct sim_options options = usual;
	struct sim_device *sim;
	unsigned int i;
	struct io io;

	for (i = 0; i < ARRAY_SIZE(sim_rings); i++) {
		struct sim_sweep sweep = {};

		options.features = FEATURES | sim_rings[i];
		sim = sim_test_plug(test, &options);
		io_begin(test, sim, &io);
		while (sim_sweep_next(test, &sweep)) {
			int wrote, read, flushed;

			get_random_bytes(io.out, SZ_4K);
			memset(io.in, 0, SZ_4K);
			sim_sweep_begin(&sweep);
			wrote = submit(io.file, REQ_OP_WRITE, SECTOR, io.out, SZ_4K);
			read = submit(io.file, REQ_OP_READ, SECTOR, io.in, SZ_4K);
			flushed = submit_flush(io.file);
			sim_sweep_end(&sweep);
			KUNIT_EXPECT_EQ(test, wrote, 0);
			KUNIT_EXPECT_EQ(test, read, 0);
			KUNIT_EXPECT_EQ(test, flushed, 0);
			KUNIT_EXPECT_EQ(test, memcmp(io.out, io.in, SZ_4K), 0);
			disk_has_out(test, sim, &io);
		}
		io_end(&io);
	}
}

/* As many as come in one request, and far from each other. */
#define RANGES	4

static void discard_together(struct io *io, struct flight *flight)
{
	struct blk_plug plug;
	unsigned int i;

	board(flight);
	blk_start_plug(&plug);
	for (i = 0; i < RANGES; i++)
		fly(flight, make_bio(io->file, REQ_OP_DISCARD, 64 * (i + 1), NULL, SZ_4K));
	blk_finish_plug(&plug);
	land(flight);
}

static void each_failing_allocation_of_a_discard_costs_nothing(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);
	struct sim_blk_range ranges[RANGES];
	struct sim_sweep sweep = {};
	unsigned int i, together = 0;
	struct flight flight;
	struct io io;
	u32 type;

	io_begin(test, sim, &io);
	while (sim_sweep_next(test, &sweep)) {
		for (i = 0; i < RANGES; i++)
			KUNIT_EXPECT_EQ(test, sim_blk_poke(sim, 64 * (i + 1) * SECTOR_SIZE, io.out,
							   SZ_4K), 0);
		sim_sweep_begin(&sweep);
		discard_together(&io, &flight);
		sim_sweep_end(&sweep);
		expect_landed(test, &flight, 0);
		together += sim_blk_get_ranges(sim, &type, ranges, RANGES) > 1;
		for (i = 0; i < RANGES; i++) {
			KUNIT_EXPECT_EQ(test, sim_blk_peek(sim, 64 * (i + 1) * SECTOR_SIZE, io.in,
							   SZ_4K), 0);
			KUNIT_EXPECT_PTR_EQ(test, memchr_inv(io.in, 0, SZ_4K), NULL);
		}
	}
	/* The request of several ranges, which takes an array of its own. */
	KUNIT_EXPECT_GT(test, together, 0);
	io_end(&io);
	data_moves(test, sim);
}

static void each_failing_allocation_of_an_attribute_is_told(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);
	char serial[64], cache[64], text[64];
	struct sim_sweep sweep = {};
	unsigned int refused = 0;
	ssize_t len;

	attribute(test, sim, "serial", serial);
	attribute(test, sim, "cache_type", cache);
	while (sim_sweep_next(test, &sweep)) {
		sim_sweep_begin(&sweep);
		len = sim_test_read(serial, text, sizeof(text));
		sim_sweep_end(&sweep);
		if (len < 0) {
			KUNIT_EXPECT_EQ(test, len, -ENOMEM);
			refused++;
		} else {
			KUNIT_EXPECT_STREQ(test, text, "virtio-rh-simulated0");
		}
	}
	KUNIT_EXPECT_GT(test, refused, 0);

	sweep = (struct sim_sweep){};
	refused = 0;
	while (sim_sweep_next(test, &sweep)) {
		KUNIT_EXPECT_GT(test, sim_test_write(test, cache, "write back"), 0);
		sim_sweep_begin(&sweep);
		len = sim_test_write(test, cache, "write through");
		sim_sweep_end(&sweep);
		/* Device and block layer agree, whatever became of it. */
		KUNIT_EXPECT_TRUE(test, len > 0 || len == -ENOMEM);
		KUNIT_EXPECT_EQ(test, device_wce(sim), len < 0);
		expect_attribute(test, sim, "cache_type", len < 0 ? "write back" :
				 "write through");
		refused += len < 0;
	}
	KUNIT_EXPECT_GT(test, refused, 0);
	data_moves(test, sim);
}

static struct kunit_case blk_alloc_cases[] = {
	KUNIT_CASE_SLOW(each_failing_allocation_of_probe_is_survived),
	KUNIT_CASE_SLOW(each_failing_allocation_of_a_resume_ends_cleanly),
	KUNIT_CASE_SLOW(each_failing_allocation_of_a_request_costs_nothing),
	KUNIT_CASE_SLOW(each_failing_allocation_of_a_discard_costs_nothing),
	KUNIT_CASE_SLOW(each_failing_allocation_of_an_attribute_is_told),
	{}
};

SIM_SUITE(blk_alloc, virtio_blk_rh, sim_test_init, sim_test_exit);
MODULE_DESCRIPTION("KUnit suite of virtio_blk_rh without memory");
MODULE_LICENSE("GPL");
