// SPDX-License-Identifier: GPL-2.0-only
/*
 * The simulated block device's commands that any disk has: reads, writes, flushes, ranges,
 * the ID. Reaches the driver's data where it lies and knows nothing of queues.
 */
#include <linux/log2.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "sim_blk.h"

/* Blocks that a block layer can have; a larger blk_size cannot be used as it is. */
#define BLK_SIZE_MAX	SZ_64K
/* A driver that makes nothing of seg_max 0 still needs one segment. */
#define BLK_SEG_MIN	1U
/* Ranges that are executed in a request, whatever config space promises. */
#define BLK_RANGES_MAX	4096
/* What bytes without a meaning are: nothing that a driver expects there. */
#define BLK_JUNK	0xa5

/**
 * struct blk_iter - pieces of contiguous memory of a buffer
 * @chain: the buffer
 * @seg: the next one
 * @end: behind the last one
 * @skip: bytes to skip
 * @left: bytes to go after that
 */
struct blk_iter {
	const struct sim_chain *chain;
	const struct sim_seg *seg;
	const struct sim_seg *end;
	u32 skip;
	u32 left;
};

static struct blk_iter blk_iter_out(const struct sim_chain *chain, u32 at, u32 len)
{
	return (struct blk_iter){ chain, chain->segs, chain->segs + chain->nr_out, at, len };
}

static struct blk_iter blk_iter_in(const struct sim_chain *chain, u32 at, u32 len)
{
	const struct sim_seg *first = chain->segs + chain->nr_out;

	return (struct blk_iter){ chain, first, first + chain->nr_in, at, len };
}

/* None at all if the driver may have the buffer back. */
static u8 *blk_iter_next(struct blk_iter *iter, u32 *len)
{
	const struct sim_seg *seg;
	u8 *at;

	if (!sim_chain_ours(iter->chain))
		return NULL;
	for (; iter->left && iter->seg != iter->end; iter->seg++) {
		seg = iter->seg;
		if (iter->skip >= seg->len) {
			iter->skip -= seg->len;
			continue;
		}
		at = seg->at + iter->skip;
		*len = min(seg->len - iter->skip, iter->left);
		iter->skip = 0;
		iter->left -= *len;
		iter->seg++;
		return at;
	}
	return NULL;
}

/**
 * sim_blk_wrong() - counts a violation
 * @req: the request that is not as it must be
 * @status: what a device answers to it
 * @what: what is wrong
 * @value: the value that is
 *
 * Return: @status.
 */
u8 sim_blk_wrong(const struct sim_blk_request *req, u8 status, const char *what, u64 value)
{
	sim_violation(req->blk->sim, "queue %u: %s at sector %llu: %s (%llu)",
		      req->queue->index, req->name, req->sector, what, value);
	return status;
}

/**
 * sim_blk_fill() - writes what no command has written
 * @req: the request
 * @end: up to this byte of its device-writable ones
 */
void sim_blk_fill(struct sim_blk_request *req, u32 end)
{
	struct blk_iter iter;
	u32 len;
	u8 *at;

	if (req->filled >= end)
		return;
	iter = blk_iter_in(req->chain, req->filled, end - req->filled);
	while ((at = blk_iter_next(&iter, &len)))
		memset(at, BLK_JUNK, len);
	req->filled = end;
}

/**
 * sim_blk_check_segments() - do the data's segments keep to the limits?
 * @req: the request
 *
 * What is wrong with them makes data no worse: a device need not refuse it.
 */
void sim_blk_check_segments(const struct sim_blk_request *req)
{
	const struct sim_blk_limits *told = &req->blk->told;
	u32 nr = 0, longest = 0, len;
	struct blk_iter iter;

	if (req->data_out)
		iter = blk_iter_out(req->chain, sizeof(struct virtio_blk_outhdr), req->data_out);
	else
		iter = blk_iter_in(req->chain, 0, req->data_in);
	for (; blk_iter_next(&iter, &len); nr++)
		longest = max(longest, len);

	if (sim_has(req->blk->sim, VIRTIO_BLK_F_SEG_MAX) && nr > max(told->seg_max, BLK_SEG_MIN))
		sim_blk_wrong(req, 0, "more segments than seg_max", nr);
	if (sim_has(req->blk->sim, VIRTIO_BLK_F_SIZE_MAX) && told->size_max &&
	    longest > told->size_max)
		sim_blk_wrong(req, 0, "a segment is larger than size_max", longest);
}

static bool blk_beyond(u64 capacity, u64 sector, u64 sectors)
{
	return sectors > capacity || sector > capacity - sectors;
}

/**
 * sim_blk_check_range() - is a range on the disk?
 * @req: the request it is of
 * @sector: first
 * @sectors: how many
 *
 * Return: VIRTIO_BLK_S_OK or _IOERR.
 */
u8 sim_blk_check_range(struct sim_blk_request *req, u64 sector, u64 sectors)
{
	struct sim_blk_dev *blk = req->blk;
	u32 size = blk->told.blk_size;

	blk->capacity_told = max(blk->capacity_told, sim_blk_config_capacity(blk));
	if (blk_beyond(blk->capacity_told, sector, sectors))
		return sim_blk_wrong(req, VIRTIO_BLK_S_IOERR, "beyond the capacity, sectors",
				     sectors);
	if (sim_has(blk->sim, VIRTIO_BLK_F_BLK_SIZE) && is_power_of_2(size) &&
	    size >= SECTOR_SIZE && size <= BLK_SIZE_MAX &&
	    (sector | sectors) & (size / SECTOR_SIZE - 1))
		return sim_blk_wrong(req, VIRTIO_BLK_S_IOERR, "not whole blocks, sectors",
				     sectors);
	if (blk_beyond(min(blk->capacity, SIM_BLK_SECTORS_MAX), sector, sectors))
		return VIRTIO_BLK_S_IOERR;
	return VIRTIO_BLK_S_OK;
}

/**
 * sim_blk_check_data() - are there sectors of data, and is that range on the disk?
 * @req: a request whose data is that of the disk
 * @len: bytes of it
 *
 * Return: VIRTIO_BLK_S_OK or _IOERR.
 */
u8 sim_blk_check_data(struct sim_blk_request *req, u32 len)
{
	if (!len || len % SECTOR_SIZE)
		return sim_blk_wrong(req, VIRTIO_BLK_S_IOERR, "data is not whole sectors", len);
	req->sectors = len / SECTOR_SIZE;
	return sim_blk_check_range(req, req->sector, req->sectors);
}

/**
 * sim_blk_store() - puts the data of a request on the disk
 * @req: a checked request
 * @sector: where
 *
 * Return: VIRTIO_BLK_S_OK, or _IOERR if it was stored in part as there is no more memory.
 */
u8 sim_blk_store(struct sim_blk_request *req, u64 sector)
{
	struct blk_iter iter = blk_iter_out(req->chain, sizeof(struct virtio_blk_outhdr),
					    req->data_out);
	u64 at = sector * SECTOR_SIZE;
	u32 len;
	u8 *from;

	while ((from = blk_iter_next(&iter, &len))) {
		if (sim_blk_disk_write(req->blk, at, from, len))
			return VIRTIO_BLK_S_IOERR;
		at += len;
	}
	req->blk->counters.bytes_written += req->data_out;
	return VIRTIO_BLK_S_OK;
}

/**
 * sim_blk_write() - VIRTIO_BLK_T_OUT
 * @req: a request whose form is checked
 *
 * Return: its status.
 */
u8 sim_blk_write(struct sim_blk_request *req)
{
	bool zoned = sim_blk_zoned(req->blk);
	u8 status = sim_blk_check_data(req, req->data_out);

	if (!status && zoned)
		status = sim_blk_zones_write(req, req->sector, req->sectors);
	if (!status)
		status = sim_blk_store(req, req->sector);
	if (!status && zoned)
		sim_blk_zones_wrote(req->blk, req->sector, req->sectors);
	return status;
}

/**
 * sim_blk_read() - VIRTIO_BLK_T_IN
 * @req: a request whose form is checked
 *
 * Return: its status.
 */
u8 sim_blk_read(struct sim_blk_request *req)
{
	struct blk_iter iter = blk_iter_in(req->chain, 0, req->data_in);
	u8 status = sim_blk_check_data(req, req->data_in);
	u64 at = req->sector * SECTOR_SIZE;
	u32 len;
	u8 *to;

	if (!status && sim_blk_zoned(req->blk))
		status = sim_blk_zones_read(req);
	if (status)
		return status;

	while ((to = blk_iter_next(&iter, &len))) {
		sim_blk_disk_read(req->blk, at, to, len);
		at += len;
	}
	req->filled = req->data_in;
	req->blk->counters.bytes_read += req->data_in;
	return VIRTIO_BLK_S_OK;
}

/**
 * sim_blk_flush() - VIRTIO_BLK_T_FLUSH
 * @req: a request whose form is checked
 *
 * Everything is on the disk already; that the driver knows it now is the log's business.
 *
 * Return: its status.
 */
u8 sim_blk_flush(struct sim_blk_request *req)
{
	return VIRTIO_BLK_S_OK;
}

/**
 * sim_blk_get_id() - VIRTIO_BLK_T_GET_ID
 * @req: a request whose form is checked
 *
 * Return: its status.
 */
u8 sim_blk_get_id(struct sim_blk_request *req)
{
	u32 len = min_t(u32, req->data_in, VIRTIO_BLK_ID_BYTES);

	if (req->data_in != VIRTIO_BLK_ID_BYTES)
		sim_blk_wrong(req, VIRTIO_BLK_S_OK, "an ID has 20 bytes", req->data_in);
	sim_chain_write(req->chain, 0, req->blk->serial, len);
	req->filled = len;
	return VIRTIO_BLK_S_OK;
}

/**
 * sim_blk_get_lifetime() - VIRTIO_BLK_T_GET_LIFETIME
 * @req: a request whose form is checked
 *
 * Return: its status.
 */
u8 sim_blk_get_lifetime(struct sim_blk_request *req)
{
	struct virtio_device *vdev = &req->blk->sim->vdev;
	const struct sim_blk_limits *limits = &req->blk->limits;
	__virtio16 info[] = {
		cpu_to_virtio16(vdev, limits->pre_eol_info),
		cpu_to_virtio16(vdev, limits->lifetime_a),
		cpu_to_virtio16(vdev, limits->lifetime_b),
	};

	if (req->data_in < sizeof(info))
		return sim_blk_wrong(req, VIRTIO_BLK_S_IOERR, "lifetime has 6 bytes",
				     req->data_in);
	sim_chain_write(req->chain, 0, info, sizeof(info));
	req->filled = sizeof(info);
	return VIRTIO_BLK_S_OK;
}

static void blk_range_limits(const struct sim_blk_request *req, u32 *ranges, u32 *sectors)
{
	const struct sim_blk_limits *told = &req->blk->told;

	switch (req->type) {
	case VIRTIO_BLK_T_DISCARD:
		*ranges = told->max_discard_seg;
		*sectors = told->max_discard_sectors;
		break;
	case VIRTIO_BLK_T_WRITE_ZEROES:
		*ranges = told->max_write_zeroes_seg;
		*sectors = told->max_write_zeroes_sectors;
		break;
	default:
		*ranges = told->max_secure_erase_seg;
		*sectors = told->max_secure_erase_sectors;
		break;
	}
}

static u8 blk_range(struct sim_blk_request *req, const struct sim_blk_range *range, u32 max)
{
	bool zeroes = req->type == VIRTIO_BLK_T_WRITE_ZEROES;
	u32 known = zeroes ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0;
	bool zoned = sim_blk_zoned(req->blk);
	u8 status;

	if (range->flags & ~known)
		return sim_blk_wrong(req, VIRTIO_BLK_S_UNSUPP, "flags of a range", range->flags);
	if (max && range->sectors > max)
		return sim_blk_wrong(req, VIRTIO_BLK_S_IOERR, "sectors in a range",
				     range->sectors);
	status = sim_blk_check_range(req, range->sector, range->sectors);
	if (status || !range->sectors)
		return status;

	if (zoned && !zeroes)
		return sim_blk_zones_erase(req, range->sector, range->sectors);
	if (zoned)
		status = sim_blk_zones_write(req, range->sector, range->sectors);
	if (status)
		return status;
	sim_blk_disk_zero(req->blk, range->sector * SECTOR_SIZE,
			  (u64)range->sectors * SECTOR_SIZE);
	if (zoned)
		sim_blk_zones_wrote(req->blk, range->sector, range->sectors);
	return VIRTIO_BLK_S_OK;
}

/**
 * sim_blk_ranges() - discards, zeroes or erases ranges
 * @req: a request whose form is checked
 *
 * Return: its status.
 */
u8 sim_blk_ranges(struct sim_blk_request *req)
{
	struct virtio_blk_discard_write_zeroes raw;
	struct sim_blk_dev *blk = req->blk;
	u32 i, nr = req->data_out / sizeof(raw), max_ranges, max_sectors;
	struct sim_blk_range range;
	u8 status = VIRTIO_BLK_S_OK;

	blk->ranges_type = req->type;
	blk->nr_ranges = 0;
	blk_range_limits(req, &max_ranges, &max_sectors);
	if (!nr || req->data_out % sizeof(raw))
		return sim_blk_wrong(req, VIRTIO_BLK_S_IOERR, "data is not whole ranges",
				     req->data_out);
	if (max_ranges && nr > max_ranges)
		return sim_blk_wrong(req, VIRTIO_BLK_S_IOERR, "too many ranges", nr);
	if (nr > BLK_RANGES_MAX)
		return VIRTIO_BLK_S_IOERR;
	if (req->type == VIRTIO_BLK_T_DISCARD && sim_blk_zoned(blk))
		return sim_blk_wrong(req, VIRTIO_BLK_S_UNSUPP, "zones are not discarded", nr);

	for (i = 0; i < nr && !status; i++) {
		sim_chain_read(req->chain, sizeof(struct virtio_blk_outhdr) + i * sizeof(raw),
			       &raw, sizeof(raw));
		range.sector = le64_to_cpu(raw.sector);
		range.sectors = le32_to_cpu(raw.num_sectors);
		range.flags = le32_to_cpu(raw.flags);
		if (!i)
			req->sector = range.sector;
		req->sectors += range.sectors;
		if (blk->nr_ranges < SIM_BLK_RANGES)
			blk->ranges[blk->nr_ranges++] = range;
		status = blk_range(req, &range, max_sectors);
		cond_resched();
	}
	return status;
}
