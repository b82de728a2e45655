// SPDX-License-Identifier: GPL-2.0-only
/*
 * Decisions about a device's config space and other text that it sends: numbers
 * in, checked numbers out. Owns no state and touches no device, so that KUnit
 * can include this file.
 *
 * A value without which data would be at risk refuses the device; the in-tree
 * driver may then try. A value that is only advice is put aside, and both are
 * reported to the caller by field, value and range.
 */
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/overflow.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include "compat.h"

#include "virtio_blk_rh.h"

/*
 * The block layer asks every driver to take a page in one segment. 4096 and not
 * PAGE_SIZE: it is what the newest kernel asks for (BLK_MIN_SEGMENT_SIZE).
 */
#define VBLK_MIN_SEGMENT	4096u

/*
 * More segments than 4 MiB of scattered pages need are of no use: the largest
 * ring QEMU offers has 1024 entries, and the ring core's table for more would
 * be an atomic allocation that rarely succeeds.
 */
#define VBLK_MAX_SEGMENTS	1024u

/* 256 ranges are 4096 bytes: they fit the smallest segment that is accepted. */
#define VBLK_MAX_RANGES		256u

/* Physical blocks of more than 1 MiB exist nowhere; the field could say 2^255. */
#define VBLK_MAX_PHYSICAL	SZ_1M

/*
 * Read-ahead is twice the optimal size, so a wild value would let the device
 * decide how much memory a read takes. Stripes and objects of real storage end
 * at 64 MiB.
 */
#define VBLK_MAX_IO_OPT		SZ_64M

/* The block layer counts bytes in a signed 64-bit number. */
#define VBLK_MAX_CAPACITY	((u64)LLONG_MAX >> SECTOR_SHIFT)

static int vblk_refuse(struct vblk_limits *lim, const char *field, u64 value, u64 min, u64 max,
		       const char *rule)
{
	lim->refused = (struct vblk_finding) { field, value, min, max, rule };
	return -EINVAL;
}

static void vblk_ignore(struct vblk_limits *lim, const char *field, u64 value, u64 min, u64 max,
			const char *rule)
{
	if (lim->nr_ignored < VBLK_MAX_FINDINGS)
		lim->ignored[lim->nr_ignored++] =
			(struct vblk_finding) { field, value, min, max, rule };
}

/* Blocks: a wrong size would put data in the wrong place, so it refuses. */
static int vblk_check_blocks(const struct vblk_config *cfg, const struct vblk_host *host,
			     struct vblk_limits *lim)
{
	u32 size = cfg->has_blk_size ? cfg->blk_size : SECTOR_SIZE;

	if (!vblk_capacity_ok(cfg->capacity))
		return vblk_refuse(lim, "capacity", cfg->capacity, 0, VBLK_MAX_CAPACITY, "");
	if (size < SECTOR_SIZE || size > host->max_blk_size || !is_power_of_2(size))
		return vblk_refuse(lim, "blk_size", size, SECTOR_SIZE, host->max_blk_size,
				   ", a power of 2");
	lim->capacity = cfg->capacity;
	lim->logical_block = size;
	lim->physical_block = size;
	return 0;
}

/* Topology is advice for alignment. */
static void vblk_check_topology(const struct vblk_config *cfg, struct vblk_limits *lim)
{
	u32 max_exp = ilog2(VBLK_MAX_PHYSICAL / lim->logical_block);
	u32 bytes;

	if (!cfg->has_topology)
		return;

	if (cfg->physical_block_exp > max_exp)
		vblk_ignore(lim, "physical_block_exp", cfg->physical_block_exp, 0, max_exp, "");
	else
		lim->physical_block = lim->logical_block << cfg->physical_block_exp;

	/* u8 times at most 64 KiB: no overflow */
	bytes = cfg->alignment_offset * lim->logical_block;
	if (bytes && bytes >= lim->physical_block)
		vblk_ignore(lim, "alignment_offset", cfg->alignment_offset, 0,
			    lim->physical_block / lim->logical_block - 1, "");
	else
		lim->alignment_offset = bytes;

	if (check_mul_overflow((u32)cfg->min_io_size, lim->logical_block, &bytes) ||
	    bytes > VBLK_MAX_IO_OPT)
		vblk_ignore(lim, "min_io_size", cfg->min_io_size, 0,
			    VBLK_MAX_IO_OPT / lim->logical_block, "");
	else
		lim->io_min = bytes;

	if (check_mul_overflow(cfg->opt_io_size, lim->logical_block, &bytes) ||
	    bytes > VBLK_MAX_IO_OPT)
		vblk_ignore(lim, "opt_io_size", cfg->opt_io_size, 0,
			    VBLK_MAX_IO_OPT / lim->logical_block, "");
	else
		lim->io_opt = bytes;
}

/*
 * Segments: the device must not get one that is too long. Zero is no answer at
 * all, then the smallest value that works is safe.
 */
static int vblk_check_segments(const struct vblk_config *cfg, const struct vblk_host *host,
			       struct vblk_limits *lim)
{
	lim->max_segment = max(host->max_segment_bytes, VBLK_MIN_SEGMENT);
	if (cfg->has_size_max && !cfg->size_max) {
		vblk_ignore(lim, "size_max", 0, VBLK_MIN_SEGMENT, U32_MAX, "");
		lim->max_segment = VBLK_MIN_SEGMENT;
	} else if (cfg->has_size_max) {
		if (cfg->size_max < VBLK_MIN_SEGMENT)
			return vblk_refuse(lim, "size_max", cfg->size_max, VBLK_MIN_SEGMENT,
					   U32_MAX, "");
		lim->max_segment = min(lim->max_segment, cfg->size_max);
	}

	lim->max_segments = 1;
	if (cfg->has_seg_max && !cfg->seg_max)
		vblk_ignore(lim, "seg_max", 0, 1, U32_MAX, "");
	else if (cfg->has_seg_max)
		lim->max_segments = min(cfg->seg_max, VBLK_MAX_SEGMENTS);
	return 0;
}

/* Most sectors of one command, in whole blocks; 0 from the device means any. */
static u32 vblk_whole_blocks(u32 sectors, u32 block)
{
	return round_down(sectors ?: U32_MAX, block >> SECTOR_SHIFT);
}

static void vblk_check_discard(const struct vblk_config *cfg, struct vblk_limits *lim)
{
	u32 align, most, least;

	if (!cfg->has_discard)
		return;

	lim->discard_granularity = lim->logical_block;
	if (check_mul_overflow(cfg->discard_sector_alignment, (u32)SECTOR_SIZE, &align) ||
	    align % lim->logical_block)
		vblk_ignore(lim, "discard_sector_alignment", cfg->discard_sector_alignment, 0,
			    U32_MAX >> SECTOR_SHIFT, ", whole blocks");
	else if (align)
		lim->discard_granularity = align;

	/*
	 * The block layer would cut a discard down to nothing, and then send all
	 * of it. It cuts at physical blocks if those are larger.
	 */
	most = vblk_whole_blocks(cfg->max_discard_sectors, lim->logical_block);
	least = max(lim->discard_granularity, lim->physical_block) >> SECTOR_SHIFT;
	if (most < least) {
		vblk_ignore(lim, "max_discard_sectors", cfg->max_discard_sectors, least,
			    U32_MAX, ", no discard");
		lim->discard_granularity = 0;
		return;
	}
	lim->max_discard = most;
	lim->max_discard_ranges = clamp(cfg->max_discard_seg, 1u, VBLK_MAX_RANGES);
}

static void vblk_check_write_zeroes(const struct vblk_config *cfg, struct vblk_limits *lim)
{
	if (!cfg->has_write_zeroes)
		return;

	lim->max_write_zeroes = vblk_whole_blocks(cfg->max_write_zeroes_sectors,
						  lim->logical_block);
	if (!lim->max_write_zeroes)
		vblk_ignore(lim, "max_write_zeroes_sectors", cfg->max_write_zeroes_sectors,
			    lim->logical_block >> SECTOR_SHIFT, U32_MAX, ", no write zeroes");
}

static int vblk_check_queues(const struct vblk_config *cfg, const struct vblk_host *host,
			     struct vblk_limits *lim)
{
	lim->nr_queues = 1;
	if (!cfg->has_mq)
		return 0;
	if (!cfg->num_queues)
		return vblk_refuse(lim, "num_queues", 0, 1, U16_MAX, "");
	lim->nr_queues = max(1u, min_t(u32, cfg->num_queues, host->max_queues));
	return 0;
}

/* Geometry is for old tools only; CHS with a zero in it would make them divide by it. */
static void vblk_check_geometry(const struct vblk_config *cfg, struct vblk_limits *lim)
{
	if (!cfg->has_geometry || !cfg->cylinders || !cfg->heads || !cfg->sectors)
		return;
	lim->geo.cylinders = cfg->cylinders;
	lim->geo.heads = cfg->heads;
	lim->geo.sectors = cfg->sectors;
}

/**
 * vblk_limits_check() - make limits from what a device says
 * @cfg: the config space
 * @host: what this guest can do
 * @lim: receives the limits and what was found wrong
 *
 * The number of segments is not final before vblk_limits_fit_ring().
 *
 * Return: 0, or -EINVAL if the device cannot be used (@lim->refused says why).
 */
int vblk_limits_check(const struct vblk_config *cfg, const struct vblk_host *host,
		      struct vblk_limits *lim)
{
	int err;

	memset(lim, 0, sizeof(*lim));
	err = vblk_check_blocks(cfg, host, lim);
	if (!err)
		err = vblk_check_segments(cfg, host, lim);
	if (!err)
		err = vblk_check_queues(cfg, host, lim);
	if (err)
		return err;

	vblk_check_topology(cfg, lim);
	vblk_check_discard(cfg, lim);
	vblk_check_write_zeroes(cfg, lim);
	vblk_check_geometry(cfg, lim);
	return 0;
}

/**
 * vblk_limits_fit_ring() - let a request fit the ring, and a block the request
 * @lim: limits; max_segments is lowered if need be, dma_alignment is set
 * @ring_size: entries of the smallest ring
 *
 * A chain must not be longer than its ring, with an indirect table or without
 * (VIRTIO 1.3, 2.7.5.3.1), and header and status take an entry each. A request
 * that could never fit would wait for ever.
 *
 * A block in a user's buffer may lie across two pages. With one segment a
 * request cannot hold it, and older kernels do not cope: cutting it down to
 * nothing is a BUG in 6.1, and 6.12 sends it with more segments than it says.
 *
 * Return: 0, or -EINVAL if no block fits at all.
 */
int vblk_limits_fit_ring(struct vblk_limits *lim, u32 ring_size)
{
	u64 most;

	if (ring_size < 3)
		return vblk_refuse(lim, "queue size", ring_size, 3, 32768, "");
	lim->max_segments = min(lim->max_segments, ring_size - 2);

	most = (u64)lim->max_segments * lim->max_segment;
	if (lim->logical_block > most)
		return vblk_refuse(lim, "blk_size", lim->logical_block, SECTOR_SIZE, most,
				   ", to fit a request's segments");

	/* Not more than a page: the block layer takes no larger mask. */
	lim->dma_alignment = SECTOR_SIZE - 1;
	if (lim->max_segments == 1)
		lim->dma_alignment = min(lim->logical_block, VBLK_MIN_SEGMENT) - 1;
	return 0;
}

/**
 * vblk_limits_queue_depth() - number of tags for a queue
 * @ring_size: entries of the ring
 * @indirect: a request takes one entry, whatever its length
 * @wanted: what the user asked for; 0 means as many as fit
 *
 * Without indirect tables a request takes three entries or more; half the ring
 * is then what the in-tree driver uses, and a full ring is waited for.
 *
 * Return: the depth, at least 1.
 */
u32 vblk_limits_queue_depth(u32 ring_size, bool indirect, u32 wanted)
{
	u32 fits = indirect ? ring_size : ring_size / 2;

	return max(1u, wanted ? min(wanted, fits) : fits);
}

/**
 * vblk_capacity_ok() - can the block layer count this many sectors?
 * @sectors: of 512 bytes
 */
bool vblk_capacity_ok(u64 sectors)
{
	return sectors <= VBLK_MAX_CAPACITY;
}

/**
 * vblk_geometry() - answer HDIO_GETGEO
 * @lim: limits of the device
 * @capacity: sectors of 512 bytes
 * @geo: heads, sectors and cylinders are filled in
 *
 * A device without geometry gets 64 heads and 32 sectors, as SCSI disks do.
 */
void vblk_geometry(const struct vblk_limits *lim, u64 capacity, struct hd_geometry *geo)
{
	if (lim->geo.heads) {
		geo->cylinders = lim->geo.cylinders;
		geo->heads = lim->geo.heads;
		geo->sectors = lim->geo.sectors;
	} else {
		geo->heads = 64;
		geo->sectors = 32;
		geo->cylinders = min_t(u64, capacity / (64 * 32), U16_MAX);
	}
}

/**
 * vblk_serial_clean() - make a string of what the device says is its serial
 * @serial: @size bytes and room for one more; a NUL ends it early
 * @size: bytes that the device wrote
 *
 * Control characters become "_", which is what udev makes of them in a link.
 *
 * Return: length of the string.
 */
unsigned int vblk_serial_clean(char *serial, unsigned int size)
{
	unsigned int len = strnlen(serial, size);
	unsigned int i;

	for (i = 0; i < len; i++)
		if ((u8)serial[i] < ' ' || serial[i] == 0x7f)
			serial[i] = '_';
	serial[len] = '\0';
	return len;
}

/**
 * vblk_disk_name() - vda to vdz, vdaa and so on
 * @index: 0 is vda
 * @buf: receives the name
 * @size: bytes in @buf
 *
 * Return: 0, or -ENAMETOOLONG.
 */
int vblk_disk_name(unsigned int index, char *buf, unsigned int size)
{
	char digits[8];		/* 26^7 is more than an index can be */
	unsigned int n = sizeof(digits);

	/* Base 26 without a zero: after z comes aa. */
	digits[--n] = '\0';
	do {
		digits[--n] = 'a' + index % 26;
		index /= 26;
	} while (index-- && n);

	return snprintf(buf, size, "vd%s", digits + n) < size ? 0 : -ENAMETOOLONG;
}
