// SPDX-License-Identifier: GPL-2.0-only
/* What virtio_blk_rh makes of a config space: sane, odd, hostile. */
#include <kunit/test.h>
#include <linux/module.h>

#include "virtio_blk_rh/limits.c"

static const struct vblk_host host = {
	.max_blk_size = 4096,
	.max_segment_bytes = U32_MAX,
	.max_queues = 8,
};

/* What QEMU 10 says about a disk of 1 GiB with default properties. */
static const struct vblk_config qemu = {
	.capacity = 1 << 21,
	.has_seg_max = true, .seg_max = 254,
	.has_geometry = true, .cylinders = 2080, .heads = 16, .sectors = 63,
	.has_blk_size = true, .blk_size = 512,
	.has_topology = true, .physical_block_exp = 0, .min_io_size = 1,
	.has_mq = true, .num_queues = 2,
	.has_discard = true, .max_discard_sectors = 4194303, .max_discard_seg = 1,
	.discard_sector_alignment = 1,
	.has_write_zeroes = true, .max_write_zeroes_sectors = 4194303,
};

static void check(struct kunit *test, const struct vblk_config *cfg, struct vblk_limits *lim)
{
	KUNIT_ASSERT_EQ(test, vblk_limits_check(cfg, &host, lim), 0);
	KUNIT_EXPECT_NULL(test, lim->refused.field);
}

static void expect_refused(struct kunit *test, const struct vblk_config *cfg, const char *field,
			   u64 value)
{
	struct vblk_limits lim;

	KUNIT_ASSERT_EQ(test, vblk_limits_check(cfg, &host, &lim), -EINVAL);
	KUNIT_EXPECT_STREQ(test, lim.refused.field, field);
	KUNIT_EXPECT_EQ(test, lim.refused.value, value);
}

static void expect_ignored(struct kunit *test, const struct vblk_limits *lim, const char *field)
{
	unsigned int i;

	for (i = 0; i < lim->nr_ignored; i++)
		if (!strcmp(lim->ignored[i].field, field))
			return;
	KUNIT_FAIL(test, "%s was not reported", field);
}

static void sane_device_is_taken_as_it_is(struct kunit *test)
{
	struct vblk_limits lim;

	check(test, &qemu, &lim);
	KUNIT_EXPECT_EQ(test, lim.nr_ignored, 0u);
	KUNIT_EXPECT_EQ(test, lim.capacity, 1ull << 21);
	KUNIT_EXPECT_EQ(test, lim.logical_block, 512u);
	KUNIT_EXPECT_EQ(test, lim.physical_block, 512u);
	KUNIT_EXPECT_EQ(test, lim.io_min, 512u);
	KUNIT_EXPECT_EQ(test, lim.io_opt, 0u);
	KUNIT_EXPECT_EQ(test, lim.max_segments, 254u);
	KUNIT_EXPECT_EQ(test, lim.max_segment, U32_MAX);
	KUNIT_EXPECT_EQ(test, lim.max_discard, 4194303u);
	KUNIT_EXPECT_EQ(test, lim.max_discard_ranges, 1u);
	KUNIT_EXPECT_EQ(test, lim.discard_granularity, 512u);
	KUNIT_EXPECT_EQ(test, lim.max_write_zeroes, 4194303u);
	KUNIT_EXPECT_EQ(test, lim.nr_queues, 2u);
	KUNIT_EXPECT_EQ(test, lim.geo.heads, 16);
}

static void device_without_features_gets_safe_values(struct kunit *test)
{
	/* The numbers must not count without their feature bits. */
	struct vblk_config cfg = {
		.capacity = 8, .size_max = 1, .seg_max = 99, .blk_size = 7,
		.physical_block_exp = 255, .opt_io_size = U32_MAX, .num_queues = 0,
		.max_discard_sectors = 1, .max_write_zeroes_sectors = 1,
	};
	struct vblk_limits lim;

	check(test, &cfg, &lim);
	KUNIT_EXPECT_EQ(test, lim.nr_ignored, 0u);
	KUNIT_EXPECT_EQ(test, lim.logical_block, 512u);
	KUNIT_EXPECT_EQ(test, lim.physical_block, 512u);
	KUNIT_EXPECT_EQ(test, lim.max_segments, 1u);
	KUNIT_EXPECT_EQ(test, lim.max_discard, 0u);
	KUNIT_EXPECT_EQ(test, lim.max_write_zeroes, 0u);
	KUNIT_EXPECT_EQ(test, lim.nr_queues, 1u);
	KUNIT_EXPECT_EQ(test, lim.geo.heads, 0);
}

static void block_size_must_be_a_power_of_two_in_range(struct kunit *test)
{
	static const u32 bad[] = { 0, 1, 256, 511, 513, 1536, 8192, 1u << 31, U32_MAX };
	struct vblk_config cfg = qemu;
	struct vblk_limits lim;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		cfg.blk_size = bad[i];
		expect_refused(test, &cfg, "blk_size", bad[i]);
	}
	for (cfg.blk_size = 512; cfg.blk_size <= 4096; cfg.blk_size *= 2) {
		check(test, &cfg, &lim);
		KUNIT_EXPECT_EQ(test, lim.logical_block, cfg.blk_size);
		KUNIT_EXPECT_EQ(test, lim.physical_block, cfg.blk_size);
	}
}

static void capacity_must_fit_a_signed_byte_count(struct kunit *test)
{
	struct vblk_config cfg = qemu;
	struct vblk_limits lim;

	cfg.capacity = (u64)LLONG_MAX >> 9;
	check(test, &cfg, &lim);
	cfg.capacity++;
	expect_refused(test, &cfg, "capacity", cfg.capacity);
	cfg.capacity = U64_MAX;
	expect_refused(test, &cfg, "capacity", U64_MAX);
	cfg.capacity = 0;
	check(test, &cfg, &lim);
}

static void queue_count_of_zero_is_refused_and_many_are_cut(struct kunit *test)
{
	struct vblk_config cfg = qemu;
	struct vblk_limits lim;

	cfg.num_queues = 0;
	expect_refused(test, &cfg, "num_queues", 0);
	cfg.num_queues = U16_MAX;
	check(test, &cfg, &lim);
	KUNIT_EXPECT_EQ(test, lim.nr_queues, host.max_queues);
}

static void segment_size_is_never_exceeded(struct kunit *test)
{
	struct vblk_config cfg = qemu;
	struct vblk_limits lim;

	cfg.has_size_max = true;
	cfg.size_max = 65536;
	check(test, &cfg, &lim);
	KUNIT_EXPECT_EQ(test, lim.max_segment, 65536u);
	cfg.size_max = 4095;
	expect_refused(test, &cfg, "size_max", 4095);
	cfg.size_max = 0;
	check(test, &cfg, &lim);
	expect_ignored(test, &lim, "size_max");
	KUNIT_EXPECT_EQ(test, lim.max_segment, 4096u);
}

static void segment_count_is_at_least_one_and_bounded(struct kunit *test)
{
	struct vblk_config cfg = qemu;
	struct vblk_limits lim;

	cfg.seg_max = 0;
	check(test, &cfg, &lim);
	expect_ignored(test, &lim, "seg_max");
	KUNIT_EXPECT_EQ(test, lim.max_segments, 1u);
	cfg.seg_max = U32_MAX;
	check(test, &cfg, &lim);
	KUNIT_EXPECT_EQ(test, lim.max_segments, VBLK_MAX_SEGMENTS);
}

static void request_always_fits_the_ring(struct kunit *test)
{
	struct vblk_limits lim;

	check(test, &qemu, &lim);
	KUNIT_EXPECT_EQ(test, vblk_limits_fit_ring(&lim, 1024), 0);
	KUNIT_EXPECT_EQ(test, lim.max_segments, 254u);
	KUNIT_EXPECT_EQ(test, vblk_limits_fit_ring(&lim, 128), 0);
	KUNIT_EXPECT_EQ(test, lim.max_segments, 126u);
	KUNIT_EXPECT_EQ(test, vblk_limits_fit_ring(&lim, 3), 0);
	KUNIT_EXPECT_EQ(test, lim.max_segments, 1u);
	KUNIT_EXPECT_EQ(test, vblk_limits_fit_ring(&lim, 2), -EINVAL);
	KUNIT_EXPECT_STREQ(test, lim.refused.field, "queue size");
}

static void one_segment_holds_a_block_that_is_aligned(struct kunit *test)
{
	struct vblk_config cfg = qemu;
	struct vblk_limits lim;

	cfg.blk_size = 4096;
	check(test, &cfg, &lim);
	KUNIT_EXPECT_EQ(test, vblk_limits_fit_ring(&lim, 128), 0);
	KUNIT_EXPECT_EQ(test, lim.dma_alignment, 511u);

	/* Across two pages a block would need two segments. */
	cfg.has_seg_max = false;
	check(test, &cfg, &lim);
	KUNIT_EXPECT_EQ(test, vblk_limits_fit_ring(&lim, 128), 0);
	KUNIT_EXPECT_EQ(test, lim.max_segments, 1u);
	KUNIT_EXPECT_EQ(test, lim.dma_alignment, 4095u);

	cfg.blk_size = 512;
	check(test, &cfg, &lim);
	KUNIT_EXPECT_EQ(test, vblk_limits_fit_ring(&lim, 128), 0);
	KUNIT_EXPECT_EQ(test, lim.dma_alignment, 511u);
}

static void block_larger_than_a_request_is_refused(struct kunit *test)
{
	struct vblk_config cfg = qemu;
	struct vblk_host large = host;
	struct vblk_limits lim;

	/* 64 KiB blocks exist since 6.15; 15 segments of 4 KiB do not hold one. */
	large.max_blk_size = 65536;
	cfg.blk_size = 65536;
	cfg.has_size_max = true;
	cfg.size_max = 4096;
	cfg.seg_max = 15;
	KUNIT_ASSERT_EQ(test, vblk_limits_check(&cfg, &large, &lim), 0);
	KUNIT_EXPECT_EQ(test, vblk_limits_fit_ring(&lim, 128), -EINVAL);
	KUNIT_EXPECT_STREQ(test, lim.refused.field, "blk_size");
	KUNIT_EXPECT_EQ(test, lim.refused.max, 15ull * 4096);

	cfg.seg_max = 16;
	KUNIT_ASSERT_EQ(test, vblk_limits_check(&cfg, &large, &lim), 0);
	KUNIT_EXPECT_EQ(test, vblk_limits_fit_ring(&lim, 128), 0);
	KUNIT_EXPECT_EQ(test, vblk_limits_fit_ring(&lim, 17), -EINVAL);
}

static void odd_topology_is_put_aside(struct kunit *test)
{
	struct vblk_config cfg = qemu;
	struct vblk_limits lim;

	cfg.physical_block_exp = 3;
	cfg.alignment_offset = 7;
	cfg.min_io_size = 8;
	cfg.opt_io_size = 2048;
	check(test, &cfg, &lim);
	KUNIT_EXPECT_EQ(test, lim.nr_ignored, 0u);
	KUNIT_EXPECT_EQ(test, lim.physical_block, 4096u);
	KUNIT_EXPECT_EQ(test, lim.alignment_offset, 7 * 512u);
	KUNIT_EXPECT_EQ(test, lim.io_min, 4096u);
	KUNIT_EXPECT_EQ(test, lim.io_opt, 1u << 20);

	cfg.physical_block_exp = 12;	/* 2 MiB */
	cfg.alignment_offset = 255;
	cfg.opt_io_size = U32_MAX;
	check(test, &cfg, &lim);
	expect_ignored(test, &lim, "physical_block_exp");
	expect_ignored(test, &lim, "alignment_offset");
	expect_ignored(test, &lim, "opt_io_size");
	KUNIT_EXPECT_EQ(test, lim.physical_block, 512u);
	KUNIT_EXPECT_EQ(test, lim.alignment_offset, 0u);
	KUNIT_EXPECT_EQ(test, lim.io_opt, 0u);

	cfg.blk_size = 4096;
	cfg.min_io_size = U16_MAX;	/* 256 MiB */
	cfg.opt_io_size = 1 << 20;	/* 2^32 bytes: the product overflows to 0 */
	check(test, &cfg, &lim);
	expect_ignored(test, &lim, "min_io_size");
	expect_ignored(test, &lim, "opt_io_size");
	KUNIT_EXPECT_EQ(test, lim.io_opt, 0u);
}

static void every_physical_exponent_is_safe(struct kunit *test)
{
	struct vblk_config cfg = qemu;
	struct vblk_limits lim;
	unsigned int exp;

	for (exp = 0; exp < 256; exp++) {
		cfg.physical_block_exp = exp;
		check(test, &cfg, &lim);
		KUNIT_EXPECT_EQ(test, lim.physical_block, exp <= 11 ? 512u << exp : 512u);
	}
}

static void discard_limits_are_whole_blocks(struct kunit *test)
{
	struct vblk_config cfg = qemu;
	struct vblk_limits lim;

	cfg.blk_size = 4096;
	cfg.discard_sector_alignment = 8;
	cfg.max_discard_seg = 1000;
	check(test, &cfg, &lim);
	KUNIT_EXPECT_EQ(test, lim.max_discard, 4194296u);
	KUNIT_EXPECT_EQ(test, lim.max_write_zeroes, 4194296u);
	KUNIT_EXPECT_EQ(test, lim.max_discard_ranges, 256u);
	KUNIT_EXPECT_EQ(test, lim.discard_granularity, 4096u);

	cfg.max_discard_sectors = 0;
	cfg.max_discard_seg = 0;
	cfg.max_write_zeroes_sectors = 0;
	check(test, &cfg, &lim);
	KUNIT_EXPECT_EQ(test, lim.max_discard, round_down(U32_MAX, 8u));
	KUNIT_EXPECT_EQ(test, lim.max_discard_ranges, 1u);
	KUNIT_EXPECT_EQ(test, lim.max_write_zeroes, round_down(U32_MAX, 8u));
}

static void useless_discard_is_switched_off(struct kunit *test)
{
	struct vblk_config cfg = qemu;
	struct vblk_limits lim;

	cfg.discard_sector_alignment = 2048;
	cfg.max_discard_sectors = 2047;
	check(test, &cfg, &lim);
	expect_ignored(test, &lim, "max_discard_sectors");
	KUNIT_EXPECT_EQ(test, lim.max_discard, 0u);
	KUNIT_EXPECT_EQ(test, lim.discard_granularity, 0u);

	/* The block layer cuts at the larger physical block. */
	cfg = qemu;
	cfg.physical_block_exp = 3;
	cfg.max_discard_sectors = 7;
	check(test, &cfg, &lim);
	expect_ignored(test, &lim, "max_discard_sectors");
	KUNIT_EXPECT_EQ(test, lim.max_discard, 0u);
	cfg.max_discard_sectors = 8;
	check(test, &cfg, &lim);
	KUNIT_EXPECT_EQ(test, lim.max_discard, 8u);

	cfg = qemu;
	cfg.discard_sector_alignment = 1u << 23;	/* 2^32 bytes */
	check(test, &cfg, &lim);
	expect_ignored(test, &lim, "discard_sector_alignment");
	KUNIT_EXPECT_EQ(test, lim.discard_granularity, 512u);
	KUNIT_EXPECT_EQ(test, lim.max_discard, 4194303u);

	cfg = qemu;
	cfg.blk_size = 4096;
	cfg.max_write_zeroes_sectors = 7;
	check(test, &cfg, &lim);
	expect_ignored(test, &lim, "max_write_zeroes_sectors");
	KUNIT_EXPECT_EQ(test, lim.max_write_zeroes, 0u);
}

static void findings_never_overflow(struct kunit *test)
{
	struct vblk_config cfg = {
		.has_size_max = true, .has_seg_max = true, .has_geometry = true,
		.has_blk_size = true, .blk_size = 4096, .has_topology = true,
		.physical_block_exp = 255, .alignment_offset = 255, .min_io_size = U16_MAX,
		.opt_io_size = U32_MAX, .has_mq = true, .num_queues = 1, .has_discard = true,
		.max_discard_sectors = 1, .discard_sector_alignment = U32_MAX,
		.has_write_zeroes = true, .max_write_zeroes_sectors = 1,
	};
	struct vblk_limits lim;

	check(test, &cfg, &lim);
	KUNIT_EXPECT_EQ(test, lim.nr_ignored, 9u);
	KUNIT_EXPECT_LT(test, lim.nr_ignored, (unsigned int)VBLK_MAX_FINDINGS);
}

static void queue_depth_fits_and_is_never_zero(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, vblk_limits_queue_depth(256, true, 0), 256u);
	KUNIT_EXPECT_EQ(test, vblk_limits_queue_depth(256, false, 0), 128u);
	KUNIT_EXPECT_EQ(test, vblk_limits_queue_depth(256, true, 32), 32u);
	KUNIT_EXPECT_EQ(test, vblk_limits_queue_depth(256, true, 10240), 256u);
	KUNIT_EXPECT_EQ(test, vblk_limits_queue_depth(1, false, 0), 1u);
}

static void geometry_is_the_devices_or_made_up(struct kunit *test)
{
	struct vblk_config cfg = qemu;
	struct hd_geometry geo;
	struct vblk_limits lim;

	check(test, &cfg, &lim);
	vblk_geometry(&lim, cfg.capacity, &geo);
	KUNIT_EXPECT_EQ(test, geo.cylinders, 2080);
	KUNIT_EXPECT_EQ(test, geo.heads, 16);
	KUNIT_EXPECT_EQ(test, geo.sectors, 63);

	cfg.sectors = 0;
	check(test, &cfg, &lim);
	vblk_geometry(&lim, cfg.capacity, &geo);
	KUNIT_EXPECT_EQ(test, geo.cylinders, 1024);
	KUNIT_EXPECT_EQ(test, geo.heads, 64);
	KUNIT_EXPECT_EQ(test, geo.sectors, 32);
	vblk_geometry(&lim, U64_MAX, &geo);
	KUNIT_EXPECT_EQ(test, geo.cylinders, U16_MAX);
}

static void serial_ends_and_is_printable(struct kunit *test)
{
	char full[VIRTIO_BLK_ID_BYTES + 1] = "abcdefghijklmnopqrstX";
	char odd[VIRTIO_BLK_ID_BYTES + 1] = "a\nb\x7f/\x1b[0m\0hidden";
	char none[VIRTIO_BLK_ID_BYTES + 1] = "";

	KUNIT_EXPECT_EQ(test, vblk_serial_clean(full, VIRTIO_BLK_ID_BYTES), 20u);
	KUNIT_EXPECT_STREQ(test, full, "abcdefghijklmnopqrst");
	KUNIT_EXPECT_EQ(test, vblk_serial_clean(odd, VIRTIO_BLK_ID_BYTES), 9u);
	KUNIT_EXPECT_STREQ(test, odd, "a_b_/_[0m");
	KUNIT_EXPECT_EQ(test, vblk_serial_clean(none, VIRTIO_BLK_ID_BYTES), 0u);
}

static void disk_names_follow_the_alphabet(struct kunit *test)
{
	static const struct {
		unsigned int index;
		const char *name;
	} names[] = {
		{ 0, "vda" }, { 25, "vdz" }, { 26, "vdaa" }, { 51, "vdaz" }, { 52, "vdba" },
		{ 701, "vdzz" }, { 702, "vdaaa" }, { 65535, "vdcrxp" },
	};
	char buf[DISK_NAME_LEN];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		KUNIT_EXPECT_EQ(test, vblk_disk_name(names[i].index, buf, sizeof(buf)), 0);
		KUNIT_EXPECT_STREQ(test, buf, names[i].name);
	}
	KUNIT_EXPECT_EQ(test, vblk_disk_name(26, buf, 4), -ENAMETOOLONG);
	KUNIT_EXPECT_EQ(test, vblk_disk_name(U32_MAX, buf, sizeof(buf)), 0);
}

static struct kunit_case blk_limits_cases[] = {
	KUNIT_CASE(sane_device_is_taken_as_it_is),
	KUNIT_CASE(device_without_features_gets_safe_values),
	KUNIT_CASE(block_size_must_be_a_power_of_two_in_range),
	KUNIT_CASE(capacity_must_fit_a_signed_byte_count),
	KUNIT_CASE(queue_count_of_zero_is_refused_and_many_are_cut),
	KUNIT_CASE(segment_size_is_never_exceeded),
	KUNIT_CASE(segment_count_is_at_least_one_and_bounded),
	KUNIT_CASE(request_always_fits_the_ring),
	KUNIT_CASE(one_segment_holds_a_block_that_is_aligned),
	KUNIT_CASE(block_larger_than_a_request_is_refused),
	KUNIT_CASE(odd_topology_is_put_aside),
	KUNIT_CASE(every_physical_exponent_is_safe),
	KUNIT_CASE(discard_limits_are_whole_blocks),
	KUNIT_CASE(useless_discard_is_switched_off),
	KUNIT_CASE(findings_never_overflow),
	KUNIT_CASE(queue_depth_fits_and_is_never_zero),
	KUNIT_CASE(geometry_is_the_devices_or_made_up),
	KUNIT_CASE(serial_ends_and_is_printable),
	KUNIT_CASE(disk_names_follow_the_alphabet),
	{}
};

static struct kunit_suite blk_limits_suite = {
	.name = "vrh_blk_limits",
	.test_cases = blk_limits_cases,
};

kunit_test_suite(blk_limits_suite);

MODULE_DESCRIPTION("KUnit tests of virtio_blk_rh's limits");
MODULE_LICENSE("GPL");
