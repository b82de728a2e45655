// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory of the simulated block device, the log of what happened to it, and the
 * functions with which KUnit suites look at both.
 */
#include <linux/err.h>
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "sim_blk.h"

/*
 * The lock is held, and the page that reclaim would write to make room may be one of this
 * very disk: no I/O, and an error rather than a long search.
 */
#define BLK_GFP		(GFP_NOIO | __GFP_NORETRY | __GFP_NOWARN)

static void *blk_page(struct sim_blk_dev *blk, u64 at)
{
	return xa_load(&blk->pages, at >> PAGE_SHIFT);
}

static void *blk_page_make(struct sim_blk_dev *blk, u64 at)
{
	void *page = blk_page(blk, at);

	if (page || blk->counters.pages >= SIM_BLK_STORE_MAX / PAGE_SIZE)
		return page;
	page = kzalloc(PAGE_SIZE, BLK_GFP);
	if (!page)
		return NULL;
	if (xa_err(xa_store(&blk->pages, at >> PAGE_SHIFT, page, BLK_GFP))) {
		kfree(page);
		return NULL;
	}
	blk->counters.pages++;
	return page;
}

static size_t blk_in_page(u64 at, u64 len)
{
	return min_t(u64, len, PAGE_SIZE - offset_in_page(at));
}

/**
 * sim_blk_disk_read() - reads the disk
 * @blk: the device
 * @at: byte offset
 * @to: where to
 * @len: bytes; @at + @len does not overflow
 */
void sim_blk_disk_read(struct sim_blk_dev *blk, u64 at, void *to, size_t len)
{
	const void *page;
	size_t n;

	for (; len; len -= n, at += n, to += n) {
		n = blk_in_page(at, len);
		page = blk_page(blk, at);
		if (page)
			memcpy(to, page + offset_in_page(at), n);
		else
			memset(to, 0, n);
	}
}

/**
 * sim_blk_disk_write() - writes the disk
 * @blk: the device
 * @at: byte offset
 * @from: where from
 * @len: bytes; @at + @len does not overflow
 *
 * Return: 0, or -ENOMEM when a part is written and there is no memory for the rest.
 */
int sim_blk_disk_write(struct sim_blk_dev *blk, u64 at, const void *from, size_t len)
{
	void *page;
	size_t n;

	for (; len; len -= n, at += n, from += n) {
		n = blk_in_page(at, len);
		page = blk_page_make(blk, at);
		if (!page)
			return -ENOMEM;
		memcpy(page + offset_in_page(at), from, n);
	}
	return 0;
}

/**
 * sim_blk_disk_zero() - a range reads as zeroes from now on, and whole pages take no memory
 * @blk: the device
 * @at: byte offset
 * @len: bytes, more than 0; @at + @len does not overflow
 */
void sim_blk_disk_zero(struct sim_blk_dev *blk, u64 at, u64 len)
{
	u64 end = at + len, from, to;
	unsigned long index;
	void *page;

	xa_for_each_range(&blk->pages, index, page, at >> PAGE_SHIFT, (end - 1) >> PAGE_SHIFT) {
		from = max_t(u64, at, (u64)index << PAGE_SHIFT);
		to = min_t(u64, end, ((u64)index + 1) << PAGE_SHIFT);
		if (to - from < PAGE_SIZE) {
			memset(page + offset_in_page(from), 0, to - from);
			continue;
		}
		xa_erase(&blk->pages, index);
		kfree(page);
		blk->counters.pages--;
	}
}

/**
 * sim_blk_disk_free() - frees the memory
 * @blk: a device that nobody uses any more
 */
void sim_blk_disk_free(struct sim_blk_dev *blk)
{
	unsigned long index;
	void *page;

	xa_for_each(&blk->pages, index, page)
		kfree(page);
	xa_destroy(&blk->pages);
}

/*
 * Is a write on persistent storage when it is completed (VIRTIO 1.3, 5.2.6.2)? A device
 * that does not offer FLUSH promises nothing, and no flush would change that.
 */
static bool blk_stable(struct sim_blk_dev *blk)
{
	if (!(blk->sim->options.features & BIT_ULL(VIRTIO_BLK_F_FLUSH)))
		return true;
	if (sim_has(blk->sim, VIRTIO_BLK_F_CONFIG_WCE))
		return !sim_blk_config_wce(blk);
	return !sim_has(blk->sim, VIRTIO_BLK_F_FLUSH);
}

/**
 * sim_blk_log_change() - takes note of a change or a flush
 * @req: the request, executed
 * @status: how it ended
 */
void sim_blk_log_change(const struct sim_blk_request *req, u8 status)
{
	struct sim_blk_dev *blk = req->blk;
	bool stable = blk_stable(blk);

	blk->log[blk->nr_events % SIM_BLK_LOG] = (struct sim_blk_event){
		.number = blk->nr_events,
		.flushes = blk->counters.flushes,
		.sector = req->sector,
		.sectors = req->sectors,
		.type = req->type,
		.status = status,
		.stable = stable,
	};
	blk->nr_events++;
	if (status)
		return;

	if (req->type == VIRTIO_BLK_T_FLUSH) {
		blk->counters.flushes++;
		blk->counters.unflushed = 0;
	} else if (!stable) {
		blk->counters.unflushed++;
	}
}

/* For KUnit suites: from other threads */

static struct sim_blk_dev *blk_lock(struct sim_device *sim)
{
	if (sim->model != &sim_blk)
		return NULL;
	sim_lock(sim);
	return sim->data;
}

/**
 * sim_blk_peek() - reads the disk past the driver
 * @sim: a block device
 * @at: byte offset
 * @to: where to
 * @len: bytes
 *
 * What was never written, or discarded, is zero. Context: may sleep.
 * Return: 0, or -EINVAL when @sim is no block device or the range overflows.
 */
int sim_blk_peek(struct sim_device *sim, u64 at, void *to, size_t len)
{
	struct sim_blk_dev *blk;

	if (at + len < at)
		return -EINVAL;
	blk = blk_lock(sim);
	if (!blk)
		return -EINVAL;
	sim_blk_disk_read(blk, at, to, len);
	sim_unlock(sim);
	return 0;
}
EXPORT_SYMBOL_GPL(sim_blk_peek);

/**
 * sim_blk_poke() - writes the disk past the driver
 * @sim: a block device
 * @at: byte offset
 * @from: where from
 * @len: bytes
 *
 * Write pointers of zones stay where they are. Context: may sleep.
 * Return: 0, -EINVAL as sim_blk_peek(), or -ENOMEM.
 */
int sim_blk_poke(struct sim_device *sim, u64 at, const void *from, size_t len)
{
	struct sim_blk_dev *blk;
	int err;

	if (at + len < at)
		return -EINVAL;
	blk = blk_lock(sim);
	if (!blk)
		return -EINVAL;
	err = sim_blk_disk_write(blk, at, from, len);
	sim_unlock(sim);
	return err;
}
EXPORT_SYMBOL_GPL(sim_blk_poke);

/**
 * sim_blk_set_serial() - what GET_ID answers from now on
 * @sim: a block device
 * @serial: at most VIRTIO_BLK_ID_BYTES characters; so many are sent without a NUL
 *
 * Context: may sleep.
 * Return: 0, or -EINVAL when @sim is no block device or @serial too long.
 */
int sim_blk_set_serial(struct sim_device *sim, const char *serial)
{
	size_t len = strlen(serial);
	struct sim_blk_dev *blk;

	if (len > VIRTIO_BLK_ID_BYTES)
		return -EINVAL;
	blk = blk_lock(sim);
	if (!blk)
		return -EINVAL;
	memset(blk->serial, 0, sizeof(blk->serial));
	memcpy(blk->serial, serial, len);
	sim_unlock(sim);
	return 0;
}
EXPORT_SYMBOL_GPL(sim_blk_set_serial);

/**
 * sim_blk_get_counters() - what the device did so far
 * @sim: a block device
 * @counters: filled
 *
 * Context: may sleep.
 * Return: 0, or -EINVAL when @sim is no block device.
 */
int sim_blk_get_counters(struct sim_device *sim, struct sim_blk_counters *counters)
{
	struct sim_blk_dev *blk = blk_lock(sim);

	if (!blk)
		return -EINVAL;
	*counters = blk->counters;
	sim_unlock(sim);
	return 0;
}
EXPORT_SYMBOL_GPL(sim_blk_get_counters);

/**
 * sim_blk_get_log() - the last changes and flushes
 * @sim: a block device
 * @events: filled, the oldest first
 * @max: entries of @events; the log has the last SIM_BLK_LOG
 *
 * Context: may sleep.
 * Return: how many there are in @events, or -EINVAL when @sim is no block device.
 */
int sim_blk_get_log(struct sim_device *sim, struct sim_blk_event *events, unsigned int max)
{
	struct sim_blk_dev *blk = blk_lock(sim);
	unsigned int i, nr;
	u64 first;

	if (!blk)
		return -EINVAL;
	nr = min_t(u64, blk->nr_events, min(max, SIM_BLK_LOG));
	first = blk->nr_events - nr;
	for (i = 0; i < nr; i++)
		events[i] = blk->log[(first + i) % SIM_BLK_LOG];
	sim_unlock(sim);
	return nr;
}
EXPORT_SYMBOL_GPL(sim_blk_get_log);

/**
 * sim_blk_get_ranges() - ranges of the last discard, write zeroes or secure erase
 * @sim: a block device
 * @type: set to VIRTIO_BLK_T_*, if there was one
 * @ranges: filled
 * @max: entries of @ranges; SIM_BLK_RANGES are remembered
 *
 * Up to the first one that could not be executed. Context: may sleep.
 * Return: how many there are in @ranges, or -EINVAL when @sim is no block device.
 */
int sim_blk_get_ranges(struct sim_device *sim, u32 *type, struct sim_blk_range *ranges,
		       unsigned int max)
{
	struct sim_blk_dev *blk = blk_lock(sim);
	unsigned int nr;

	if (!blk)
		return -EINVAL;
	nr = min(max, blk->nr_ranges);
	*type = blk->ranges_type;
	memcpy(ranges, blk->ranges, nr * sizeof(*ranges));
	sim_unlock(sim);
	return nr;
}
EXPORT_SYMBOL_GPL(sim_blk_get_ranges);

/**
 * sim_blk_get_zone() - a zone as it is now
 * @sim: a block device
 * @number: which one, from 0
 * @zone: filled
 *
 * Context: may sleep.
 * Return: 0, or -EINVAL when @sim is no block device or has no such zone.
 */
int sim_blk_get_zone(struct sim_device *sim, u32 number, struct sim_blk_zone *zone)
{
	struct sim_blk_dev *blk = blk_lock(sim);
	int err = -EINVAL;

	if (!blk)
		return err;
	if (number < blk->nr_zones) {
		*zone = blk->zones[number];
		err = 0;
	}
	sim_unlock(sim);
	return err;
}
EXPORT_SYMBOL_GPL(sim_blk_get_zone);
