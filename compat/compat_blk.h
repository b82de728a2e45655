/* SPDX-License-Identifier: GPL-2.0-only */
/* Differences of the block layer: queue limits, queue maps, freezing. */
#ifndef VRH_COMPAT_BLK_H
#define VRH_COMPAT_BLK_H

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/virtio.h>
#ifdef VRH_HAVE_BLK_VIRTIO_MAP_QUEUES
#include <linux/blk-mq-virtio.h>
#endif

#ifndef BLK_MAX_BLOCK_SIZE
/* Delete with 6.12: blocks end at the page before. */
#define BLK_MAX_BLOCK_SIZE PAGE_SIZE
#endif

#ifndef VRH_HAVE_BLK_FEATURES
/*
 * Delete with 6.1. Limits are set one by one there, and
 * what became bits of lim->features are flags of the queue. This struct and its
 * functions have the newest names; only what drivers of this suite set is here.
 */
#define BLK_FEAT_WRITE_CACHE	BIT(0)
#define BLK_FEAT_ROTATIONAL	BIT(4)

struct vrh_queue_limits {
	unsigned int features;
	unsigned int logical_block_size;
	unsigned int physical_block_size;
	unsigned int alignment_offset;
	unsigned int io_min;
	unsigned int io_opt;
	unsigned int max_hw_sectors;
	unsigned int max_segment_size;
	unsigned int dma_alignment;
	unsigned int max_hw_discard_sectors;
	unsigned int max_write_zeroes_sectors;
	unsigned int discard_granularity;
	unsigned short max_segments;
	unsigned short max_discard_segments;
};

static inline void vrh_apply_features(struct request_queue *q, unsigned int features)
{
	blk_queue_write_cache(q, features & BLK_FEAT_WRITE_CACHE, false);
	if (features & BLK_FEAT_ROTATIONAL)
		blk_queue_flag_clear(QUEUE_FLAG_NONROT, q);
	else
		blk_queue_flag_set(QUEUE_FLAG_NONROT, q);
}

/* Order matters: each setter may raise or round what the earlier ones have set. */
static inline struct gendisk *vrh_alloc_disk(struct gendisk *disk,
					     const struct vrh_queue_limits *lim)
{
	struct request_queue *q;

	if (IS_ERR(disk) || !lim)
		return disk;
	q = disk->queue;

	blk_queue_logical_block_size(q, lim->logical_block_size ?: SECTOR_SIZE);
	blk_queue_physical_block_size(q, lim->physical_block_size);
	blk_queue_alignment_offset(q, lim->alignment_offset);
	if (lim->io_min)
		blk_queue_io_min(q, lim->io_min);
	/* rounded as in newer kernels; the soft limit does not follow it here */
	blk_queue_io_opt(q, round_down(lim->io_opt, queue_physical_block_size(q)));
	if (lim->max_hw_sectors)
		blk_queue_max_hw_sectors(q, lim->max_hw_sectors);
	if (lim->max_segment_size)
		blk_queue_max_segment_size(q, lim->max_segment_size);
	if (lim->max_segments)
		blk_queue_max_segments(q, lim->max_segments);
	if (lim->dma_alignment)
		blk_queue_dma_alignment(q, lim->dma_alignment);
	blk_queue_max_discard_sectors(q, lim->max_hw_discard_sectors);
	if (lim->max_hw_discard_sectors)
		q->limits.discard_granularity = max(lim->discard_granularity,
						    queue_physical_block_size(q));
	blk_queue_max_discard_segments(q, lim->max_discard_segments ?: 1);
	blk_queue_max_write_zeroes_sectors(q, lim->max_write_zeroes_sectors);
	vrh_apply_features(q, lim->features);
	return disk;
}

/* Only the features can be changed later; nothing of this suite changes more. */
static inline struct vrh_queue_limits vrh_limits_start_update(struct request_queue *q)
{
	struct vrh_queue_limits lim = {};

	if (test_bit(QUEUE_FLAG_WC, &q->queue_flags))
		lim.features |= BLK_FEAT_WRITE_CACHE;
	if (!blk_queue_nonrot(q))
		lim.features |= BLK_FEAT_ROTATIONAL;
	return lim;
}

static inline int vrh_limits_commit_update(struct request_queue *q,
					   const struct vrh_queue_limits *lim)
{
	vrh_apply_features(q, lim->features);
	return 0;
}

static inline void vrh_limits_cancel_update(struct request_queue *q)
{
}

static inline struct gendisk *vrh_mq_alloc_disk(struct blk_mq_tag_set *set, void *data)
{
	return blk_mq_alloc_disk(set, data);
}

#undef blk_mq_alloc_disk
#define blk_mq_alloc_disk(set, lim, data) vrh_alloc_disk(vrh_mq_alloc_disk(set, data), lim)
#define queue_limits			vrh_queue_limits
#define queue_limits_start_update	vrh_limits_start_update
#define queue_limits_commit_update	vrh_limits_commit_update
#define queue_limits_cancel_update	vrh_limits_cancel_update
#endif

#ifndef VRH_HAVE_BLK_RQ_MAP_SG
/* Delete with 6.12. */
#define blk_rq_map_sg(req, sgl) blk_rq_map_sg((req)->q, req, sgl)
#endif

#ifdef VRH_HAVE_BLK_VIRTIO_MAP_QUEUES
/*
 * Delete with 6.12. 6.12.117 has blk_mq_map_hw_queues(), but
 * its virtio bus does not answer it, and queues would not follow the interrupts.
 */
static inline void vrh_map_hw_queues(struct blk_mq_queue_map *qmap, struct device *dev,
				     unsigned int offset)
{
	blk_mq_virtio_map_queues(qmap, dev_to_virtio(dev), offset);
}

#define blk_mq_map_hw_queues vrh_map_hw_queues
#endif

#ifndef VRH_HAVE_BLK_NUM_POSSIBLE_QUEUES
/* Delete with 6.12. */
static inline unsigned int blk_mq_num_possible_queues(unsigned int max_queues)
{
	return min_not_zero((unsigned int)nr_cpu_ids, max_queues);
}
#endif

#ifndef VRH_HAVE_BLK_FREEZE_NON_OWNER
/* Delete with 6.1: lockdep does not watch freezing before. */
#define blk_freeze_queue_start_non_owner	blk_freeze_queue_start
#define blk_mq_unfreeze_queue_non_owner		blk_mq_unfreeze_queue
#endif

#ifdef VRH_HAVE_BLK_SHOULD_MERGE
/* Delete with 6.12: merging is the default since. */
#define VRH_MQ_F_DEFAULT	BLK_MQ_F_SHOULD_MERGE
#else
#define VRH_MQ_F_DEFAULT	0
#endif

/* Opens the definition of a function for request.end_io, of req and status. */
#ifdef VRH_HAVE_BLK_END_IO_BATCH
#define VRH_RQ_END_IO(name)							\
	enum rq_end_io_ret name(struct request *req, blk_status_t status,	\
				const struct io_comp_batch *vrh_iob)
#else
/* Delete with 6.12: end_io is told about the batch since. */
#define VRH_RQ_END_IO(name) \
	enum rq_end_io_ret name(struct request *req, blk_status_t status)
#endif

/* Opens the definition of a function for block_device_operations.getgeo, of disk and geo. */
#ifdef VRH_HAVE_BLK_GETGEO_DISK
#define VRH_GETGEO(name) int name(struct gendisk *disk, struct hd_geometry *geo)
#else
/* Delete with 6.12. */
#define VRH_GETGEO(name)							\
	int name##_disk(struct gendisk *disk, struct hd_geometry *geo);		\
	static int name(struct block_device *bdev, struct hd_geometry *geo)	\
	{									\
		return name##_disk(bdev->bd_disk, geo);				\
	}									\
	static int name##_disk(struct gendisk *disk, struct hd_geometry *geo)
#endif

#endif
