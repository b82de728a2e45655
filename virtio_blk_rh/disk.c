// SPDX-License-Identifier: GPL-2.0-only
/*
 * The disk as the block layer and the user see it: major number, name, limits,
 * tags, geometry. Talks to the device about its cache mode and nothing else.
 */
#include <vrh/log.h>
#include <linux/idr.h>
#include <linux/slab.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "compat.h"

#include "virtio_blk_rh.h"

/* Partitions get minor numbers next to their disk's: 15 of them, as in-tree. */
#define VBLK_PART_BITS		4
#define VBLK_MAX_INDEX		((1 << (MINORBITS - VBLK_PART_BITS)) - 1)

/* Tools look for the in-tree driver's name in /proc/devices; the number is another. */
#define VBLK_MAJOR_NAME		"virtblk"

static int vblk_major;
static DEFINE_IDA(vblk_index_ida);

/**
 * vblk_register_major() - get a major number for all disks
 *
 * Return: 0 or an error of register_blkdev().
 */
int vblk_register_major(void)
{
	vblk_major = register_blkdev(0, VBLK_MAJOR_NAME);
	return min(vblk_major, 0);
}

/**
 * vblk_unregister_major() - give the major number back
 */
void vblk_unregister_major(void)
{
	unregister_blkdev(vblk_major, VBLK_MAJOR_NAME);
}

static VRH_GETGEO(vblk_getgeo)
{
	struct vblk *vblk = disk->private_data;

	vblk_geometry(&vblk->limits, get_capacity(disk), geo);
	return 0;
}

static void vblk_free_disk(struct gendisk *disk)
{
	struct vblk *vblk = disk->private_data;

	ida_free(&vblk_index_ida, vblk->index);
	kfree(vblk);
}

static const struct block_device_operations vblk_fops = {
	.owner = THIS_MODULE,
	.getgeo = vblk_getgeo,
	.free_disk = vblk_free_disk,
};

/**
 * vblk_read_writeback() - does the device cache writes?
 * @vdev: device
 *
 * Any value but 0 counts as yes: flushing too often does no harm.
 *
 * Context: process context.
 */
bool vblk_read_writeback(struct virtio_device *vdev)
{
	u8 wce;

	if (virtio_cread_feature(vdev, VIRTIO_BLK_F_CONFIG_WCE, struct virtio_blk_config, wce,
				 &wce))
		return virtio_has_feature(vdev, VIRTIO_BLK_F_FLUSH);
	return wce;
}

/**
 * vblk_write_writeback() - ask the device to cache writes or not to
 * @vdev: device with VIRTIO_BLK_F_CONFIG_WCE
 * @on: cache
 *
 * The device may refuse; vblk_read_writeback() tells.
 *
 * Context: process context.
 */
void vblk_write_writeback(struct virtio_device *vdev, bool on)
{
	virtio_cwrite8(vdev, offsetof(struct virtio_blk_config, wce), on);
}

static void vblk_queue_limits(struct vblk *vblk, struct queue_limits *lim)
{
	const struct vblk_limits *from = &vblk->limits;

	lim->features = BLK_FEAT_ROTATIONAL;	/* as in-tree: the host does not say */
	if (vblk->writeback)
		lim->features |= BLK_FEAT_WRITE_CACHE;
	lim->logical_block_size = from->logical_block;
	lim->physical_block_size = from->physical_block;
	lim->alignment_offset = from->alignment_offset;
	lim->io_min = from->io_min;
	lim->io_opt = from->io_opt;
	lim->max_hw_sectors = UINT_MAX;		/* segments are the only limit */
	lim->max_segments = from->max_segments;
	lim->max_segment_size = from->max_segment;
	lim->dma_alignment = from->dma_alignment;
	lim->max_hw_discard_sectors = from->max_discard;
	/*
	 * Two requests are merged if the first has less than this, however many the
	 * second has: half of what the device takes keeps the sum within it.
	 */
	lim->max_discard_segments = DIV_ROUND_UP(from->max_discard_ranges, 2);
	lim->discard_granularity = from->discard_granularity;
	lim->max_write_zeroes_sectors = from->max_write_zeroes;
}

/**
 * vblk_alloc_tags() - tell the block layer how many queues and requests
 * @vblk: device with virtqueues
 * @ring_size: entries of the smallest ring
 * @depth: requests in flight on a queue; 0 means as many as fit
 *
 * Return: 0 or an error of blk_mq_alloc_tag_set().
 */
int vblk_alloc_tags(struct vblk *vblk, u32 ring_size, u32 depth)
{
	bool indirect = virtio_has_feature(vblk->vdev, VIRTIO_RING_F_INDIRECT_DESC);
	struct blk_mq_tag_set *set = &vblk->set;

	set->ops = &vblk_mq_ops;
	set->nr_hw_queues = vblk->nr_vqs;
	set->nr_maps = 1;
	set->queue_depth = vblk_limits_queue_depth(ring_size, indirect, depth);
	set->numa_node = dev_to_node(&vblk->vdev->dev);
	set->cmd_size = sizeof(struct vblk_req);
	set->flags = VRH_MQ_F_DEFAULT;
	set->driver_data = vblk;
	return blk_mq_alloc_tag_set(set);
}

static bool vblk_name_taken(struct gendisk *disk)
{
	struct device *dev = class_find_device_by_name(disk_to_dev(disk)->class, disk->disk_name);

	put_device(dev);
	return dev;
}

/*
 * Names vdX are given by driver, and the in-tree driver may have disks too: pass
 * over names that are in use. If it takes the same name in the same moment,
 * adding the disk fails and the in-tree driver gets the device.
 */
static int vblk_choose_name(struct vblk *vblk)
{
	struct gendisk *disk = vblk->disk;
	int index, err, from = 0;

	for (;;) {
		index = ida_alloc_range(&vblk_index_ida, from, VBLK_MAX_INDEX, GFP_KERNEL);
		if (index < 0)
			return index;
		err = vblk_disk_name(index, disk->disk_name, DISK_NAME_LEN);
		if (!err && !vblk_name_taken(disk))
			break;
		ida_free(&vblk_index_ida, index);
		if (err)
			return err;
		from = index + 1;
	}
	vblk->index = index;
	disk->first_minor = index << VBLK_PART_BITS;
	return 0;
}

/**
 * vblk_alloc_disk() - make the disk, with limits, name and size
 * @vblk: device with tags
 *
 * device_add_disk() is the caller's; if that fails, vblk_drop_disk().
 *
 * Return: 0, or an error of the block layer, or -ENOSPC without a free name.
 */
int vblk_alloc_disk(struct vblk *vblk)
{
	struct virtio_device *vdev = vblk->vdev;
	struct queue_limits lim = {};
	struct gendisk *disk;
	int err;

	vblk->writeback = vblk_read_writeback(vdev);
	vblk_queue_limits(vblk, &lim);
	disk = blk_mq_alloc_disk(&vblk->set, &lim, vblk);
	if (IS_ERR(disk))
		return PTR_ERR(disk);

	vblk->disk = disk;
	err = vblk_choose_name(vblk);
	if (err) {
		put_disk(disk);
		return err;
	}
	disk->major = vblk_major;
	disk->minors = 1 << VBLK_PART_BITS;
	disk->fops = &vblk_fops;
	disk->private_data = vblk;
	set_disk_ro(disk, virtio_has_feature(vdev, VIRTIO_BLK_F_RO));
	set_capacity(disk, vblk->limits.capacity);
	return 0;
}

/**
 * vblk_drop_disk() - undo vblk_alloc_disk() for a disk that was never added
 * @vblk: disk
 *
 * vblk_free_disk() is not called for such a disk.
 */
void vblk_drop_disk(struct vblk *vblk)
{
	put_disk(vblk->disk);
	ida_free(&vblk_index_ida, vblk->index);
}
