// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_blk_rh: block device driver for virtio (VIRTIO 1.3, 5.2). This file owns
 * the life of a device: negotiation, its config space, its virtqueues, suspend and
 * removal. It never looks into a request.
 */
#include <vrh/log.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string_helpers.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include "compat.h"

#include <vrh/device.h>
#include <vrh/feature.h>
#include <vrh/param.h>

#include "virtio_blk_rh.h"

struct workqueue_struct *vblk_workqueue;

/* Parameters */

VRH_PARAM_UINT(num_request_queues, 0, 0, U16_MAX, 0644,
	       "most request queues of a disk, 0 to 65535 (default 0: one for each CPU)");
VRH_PARAM_UINT(queue_depth, 0, 0, BLK_MQ_MAX_DEPTH, 0444,
	       "requests in flight on a queue, 0 to 10240 (default 0: as many as fit the ring)");

/* Tables */

static const struct vrh_feature vblk_feature_names[] = {
	{ 0, "BARRIER" },
	{ VIRTIO_BLK_F_SIZE_MAX, "SIZE_MAX" },
	{ VIRTIO_BLK_F_SEG_MAX, "SEG_MAX" },
	{ VIRTIO_BLK_F_GEOMETRY, "GEOMETRY" },
	{ VIRTIO_BLK_F_RO, "RO" },
	{ VIRTIO_BLK_F_BLK_SIZE, "BLK_SIZE" },
	{ 7, "SCSI" },
	{ VIRTIO_BLK_F_FLUSH, "FLUSH" },
	{ VIRTIO_BLK_F_TOPOLOGY, "TOPOLOGY" },
	{ VIRTIO_BLK_F_CONFIG_WCE, "CONFIG_WCE" },
	{ VIRTIO_BLK_F_MQ, "MQ" },
	{ VIRTIO_BLK_F_DISCARD, "DISCARD" },
	{ VIRTIO_BLK_F_WRITE_ZEROES, "WRITE_ZEROES" },
	{ 15, "LIFETIME" },
	{ 16, "SECURE_ERASE" },
	{ 17, "ZONED" },
};

static const unsigned int vblk_features[] = {
	VIRTIO_BLK_F_SIZE_MAX, VIRTIO_BLK_F_SEG_MAX, VIRTIO_BLK_F_GEOMETRY, VIRTIO_BLK_F_RO,
	VIRTIO_BLK_F_BLK_SIZE, VIRTIO_BLK_F_FLUSH, VIRTIO_BLK_F_TOPOLOGY, VIRTIO_BLK_F_CONFIG_WCE,
	VIRTIO_BLK_F_MQ, VIRTIO_BLK_F_DISCARD, VIRTIO_BLK_F_WRITE_ZEROES,
};

static const struct virtio_device_id vblk_id_table[] = {
	{ VIRTIO_ID_BLOCK, VIRTIO_DEV_ANY_ID },
	{ }
};
MODULE_DEVICE_TABLE(virtio, vblk_id_table);

/* Configuration */

static int vblk_validate(struct virtio_device *vdev)
{
	if (!vdev->config->get) {
		dev_err(&vdev->dev, "no config space\n");
		return -EINVAL;
	}
	vrh_clear_disabled_features(vdev);

	/* A cache that could be switched on but never flushed is of no use. */
	if (!virtio_has_feature(vdev, VIRTIO_BLK_F_FLUSH))
		__virtio_clear_bit(vdev, VIRTIO_BLK_F_CONFIG_WCE);
	return 0;
}

static u64 vblk_read_capacity(struct virtio_device *vdev)
{
	__virtio64 capacity;

	vrh_config_bytes(vdev, offsetof(struct virtio_blk_config, capacity), &capacity,
			 sizeof(capacity), 1);
	return virtio64_to_cpu(vdev, capacity);
}

#define vblk_cread(vdev, bit, member, ptr) \
	virtio_cread_feature(vdev, bit, struct virtio_blk_config, member, ptr)

static void vblk_read_config(struct virtio_device *vdev, struct vblk_config *cfg)
{
	memset(cfg, 0, sizeof(*cfg));
	cfg->capacity = vblk_read_capacity(vdev);
	cfg->has_size_max = !vblk_cread(vdev, VIRTIO_BLK_F_SIZE_MAX, size_max, &cfg->size_max);
	cfg->has_seg_max = !vblk_cread(vdev, VIRTIO_BLK_F_SEG_MAX, seg_max, &cfg->seg_max);
	cfg->has_blk_size = !vblk_cread(vdev, VIRTIO_BLK_F_BLK_SIZE, blk_size, &cfg->blk_size);
	cfg->has_mq = !vblk_cread(vdev, VIRTIO_BLK_F_MQ, num_queues, &cfg->num_queues);

	cfg->has_geometry = virtio_has_feature(vdev, VIRTIO_BLK_F_GEOMETRY);
	vblk_cread(vdev, VIRTIO_BLK_F_GEOMETRY, geometry.cylinders, &cfg->cylinders);
	vblk_cread(vdev, VIRTIO_BLK_F_GEOMETRY, geometry.heads, &cfg->heads);
	vblk_cread(vdev, VIRTIO_BLK_F_GEOMETRY, geometry.sectors, &cfg->sectors);

	cfg->has_topology = virtio_has_feature(vdev, VIRTIO_BLK_F_TOPOLOGY);
	vblk_cread(vdev, VIRTIO_BLK_F_TOPOLOGY, physical_block_exp, &cfg->physical_block_exp);
	vblk_cread(vdev, VIRTIO_BLK_F_TOPOLOGY, alignment_offset, &cfg->alignment_offset);
	vblk_cread(vdev, VIRTIO_BLK_F_TOPOLOGY, min_io_size, &cfg->min_io_size);
	vblk_cread(vdev, VIRTIO_BLK_F_TOPOLOGY, opt_io_size, &cfg->opt_io_size);

	cfg->has_discard = virtio_has_feature(vdev, VIRTIO_BLK_F_DISCARD);
	vblk_cread(vdev, VIRTIO_BLK_F_DISCARD, max_discard_sectors, &cfg->max_discard_sectors);
	vblk_cread(vdev, VIRTIO_BLK_F_DISCARD, max_discard_seg, &cfg->max_discard_seg);
	vblk_cread(vdev, VIRTIO_BLK_F_DISCARD, discard_sector_alignment,
		   &cfg->discard_sector_alignment);

	cfg->has_write_zeroes = !vblk_cread(vdev, VIRTIO_BLK_F_WRITE_ZEROES,
					   max_write_zeroes_sectors,
					   &cfg->max_write_zeroes_sectors);
}

static int vblk_refused(struct vblk *vblk)
{
	const struct vblk_finding *f = &vblk->limits.refused;

	dev_err(&vblk->vdev->dev, "%s=%llu must be %llu to %llu%s: device refused\n",
		f->field, f->value, f->min, f->max, f->rule);
	return -EINVAL;
}

static int vblk_read_limits(struct vblk *vblk)
{
	struct vblk_limits *lim = &vblk->limits;
	struct virtio_device *vdev = vblk->vdev;
	struct vblk_host host = {
		.max_blk_size = BLK_MAX_BLOCK_SIZE,
		.max_segment_bytes = min_t(u64, virtio_max_dma_size(vdev), U32_MAX),
		.max_queues = blk_mq_num_possible_queues(READ_ONCE(num_request_queues)),
	};
	struct vblk_config cfg;
	unsigned int i;

	vblk_read_config(vdev, &cfg);
	if (vblk_limits_check(&cfg, &host, lim))
		return vblk_refused(vblk);

	for (i = 0; i < lim->nr_ignored; i++)
		dev_warn(&vdev->dev, "%s=%llu must be %llu to %llu%s: ignored\n",
			 lim->ignored[i].field, lim->ignored[i].value, lim->ignored[i].min,
			 lim->ignored[i].max, lim->ignored[i].rule);
	return 0;
}

/* Virtqueues */

static int vblk_find_vqs(struct vblk *vblk)
{
	struct irq_affinity affinity = {};
	struct virtqueue_info *info;
	struct virtqueue **vqs;
	unsigned int i;
	int err = -ENOMEM;

	info = kcalloc(vblk->nr_vqs, sizeof(*info), GFP_KERNEL);
	vqs = kcalloc(vblk->nr_vqs, sizeof(*vqs), GFP_KERNEL);
	if (!info || !vqs)
		goto out;

	for (i = 0; i < vblk->nr_vqs; i++) {
		info[i].name = vblk->vqs[i].name;
		info[i].callback = vblk_vq_done;
	}
	err = virtio_find_vqs(vblk->vdev, vblk->nr_vqs, vqs, info, &affinity);
	if (err)
		goto out;
	for (i = 0; i < vblk->nr_vqs; i++)
		vblk->vqs[i].vq = vqs[i];
out:
	kfree(vqs);
	kfree(info);
	return err;
}

static void vblk_del_vqs(struct vblk *vblk)
{
	unsigned int i;

	for (i = 0; i < vblk->nr_vqs; i++)
		vblk->vqs[i].vq = NULL;
	vblk->vdev->config->del_vqs(vblk->vdev);
}

/* Entries of the smallest ring; a device may make them differ. */
static u32 vblk_ring_size(struct vblk *vblk)
{
	u32 size = U32_MAX;
	unsigned int i;

	for (i = 0; i < vblk->nr_vqs; i++)
		size = min(size, virtqueue_get_vring_size(vblk->vqs[i].vq));
	return size;
}

/* Known only when the rings are: how many segments a request may have. */
static int vblk_alloc_segments(struct vblk *vblk)
{
	unsigned int i, n;

	if (vblk_limits_fit_ring(&vblk->limits, vblk_ring_size(vblk)))
		return vblk_refused(vblk);

	n = vblk->limits.max_segments;
	for (i = 0; i < vblk->nr_vqs; i++) {
		vblk->vqs[i].sg = kvmalloc_array(n, sizeof(struct scatterlist), GFP_KERNEL);
		if (!vblk->vqs[i].sg)
			return -ENOMEM;
		vblk->vqs[i].max_sg = n;
		sg_init_table(vblk->vqs[i].sg, n);
	}
	return 0;
}

/* Config change */

static void vblk_config_work(struct work_struct *work)
{
	struct vblk *vblk = container_of(work, struct vblk, config_work);
	struct virtio_device *vdev = vblk->vdev;
	u64 capacity;

	if (READ_ONCE(vblk->state) != VBLK_LIVE)
		return;
	if (vdev->config->get_status(vdev) & VIRTIO_CONFIG_S_NEEDS_RESET) {
		vblk_suspect(vblk);
		return;
	}

	capacity = vblk_read_capacity(vdev);
	if (capacity == get_capacity(vblk->disk))
		return;
	if (!vblk_capacity_ok(capacity)) {
		dev_err_ratelimited(&vdev->dev, "%s: new capacity=%llu is out of range: ignored\n",
				    vblk->disk->disk_name, capacity);
		return;
	}
	set_capacity_and_notify(vblk->disk, capacity);
	dev_notice_ratelimited(&vdev->dev, "%s: new size: %llu 512-byte sectors\n",
			       vblk->disk->disk_name, capacity);
}

static void vblk_config_changed(struct virtio_device *vdev)
{
	struct vblk *vblk = vdev->priv;

	queue_work(vblk_workqueue, &vblk->config_work);
}

/* Probe and remove */

/* The one line of a successful probe. */
static void vblk_announce(struct vblk *vblk)
{
	const struct vblk_limits *lim = &vblk->limits;
	char size[16], features[320];

	string_get_size(lim->capacity, SECTOR_SIZE, STRING_UNITS_2, size, sizeof(size));
	vrh_features_print(vblk->vdev, vblk_feature_names, ARRAY_SIZE(vblk_feature_names),
			   features, sizeof(features));
	dev_info(&vblk->vdev->dev,
		 "%s: %llu sectors (%s), blocks of %u bytes%s, %s, %u queues of %u, %u segments, features: %s\n",
		 vblk->disk->disk_name, lim->capacity, size, lim->logical_block,
		 get_disk_ro(vblk->disk) ? ", read-only" : "",
		 vblk->writeback ? "write back" : "write through", vblk->nr_vqs,
		 vblk->set.queue_depth, lim->max_segments, features);
}

/* Device ready, and requests welcome: adding the disk reads its partition table. */
static int vblk_go_live(struct vblk *vblk)
{
	int err = vrh_device_ready(vblk->vdev);

	if (err)
		return err;
	mutex_lock(&vblk->reset_lock);
	vblk_set_state(vblk, VBLK_LIVE);
	mutex_unlock(&vblk->reset_lock);
	return 0;
}

/* Nothing is in flight. Nobody must take the reset that follows for a loss. */
static void vblk_shut_down(struct vblk *vblk)
{
	mutex_lock(&vblk->reset_lock);
	vblk_set_state(vblk, VBLK_DEAD);
	mutex_unlock(&vblk->reset_lock);

	vrh_device_stop(vblk->vdev);
	cancel_delayed_work_sync(&vblk->reaper);
}

static void vblk_remove(struct virtio_device *vdev)
{
	struct vblk *vblk = vdev->priv;
	struct gendisk *disk = vblk->disk;

	cancel_work_sync(&vblk->config_work);
	WRITE_ONCE(vblk->removing, true);

	/*
	 * The block layer waits for every request before it lets go. Those of a
	 * lost device end here and now, those of a host that has stopped by the
	 * hand of the reaper.
	 */
	if (READ_ONCE(vblk->state) != VBLK_LIVE || vblk_is_lost(vblk)) {
		vblk_give_up(vblk, "device is lost");
		blk_mark_disk_dead(disk);
	} else {
		queue_delayed_work(vblk_workqueue, &vblk->reaper, HZ);
	}
	del_gendisk(disk);

	vblk_shut_down(vblk);
	blk_mq_free_tag_set(&vblk->set);
	vblk_del_vqs(vblk);
	vblk_free_queues(vblk);
	vdev->priv = NULL;
	put_disk(disk);
}

/*
 * Adding the disk reads its partition table, and an unplug waits for probe: the
 * host gets as long to answer as in a removal. If it does not, the disk would be
 * there and look empty, so probe fails and the in-tree driver may try.
 */
static int vblk_add_disk(struct vblk *vblk)
{
	int err;

	WRITE_ONCE(vblk->adding, true);
	queue_delayed_work(vblk_workqueue, &vblk->reaper, HZ);
	err = device_add_disk(&vblk->vdev->dev, vblk->disk, vblk_disk_groups);
	WRITE_ONCE(vblk->adding, false);
	return err;
}

static int vblk_probe(struct virtio_device *vdev)
{
	struct vblk *vblk = kzalloc(sizeof(*vblk), GFP_KERNEL);
	int err = -ENOMEM;

	if (!vblk)
		goto out;
	vdev->priv = vblk;
	vblk->vdev = vdev;
	vblk->state = VBLK_FROZEN;
	mutex_init(&vblk->reset_lock);
	mutex_init(&vblk->cache_lock);
	INIT_WORK(&vblk->config_work, vblk_config_work);
	INIT_DELAYED_WORK(&vblk->reaper, vblk_reaper);

	err = vblk_read_limits(vblk);
	if (err)
		goto out_free;
	err = vblk_alloc_queues(vblk);
	if (err)
		goto out_free;
	err = vblk_find_vqs(vblk);
	if (err)
		goto out_free_queues;
	err = vblk_alloc_segments(vblk);
	if (err)
		goto out_del_vqs;
	err = vblk_alloc_tags(vblk, vblk_ring_size(vblk), queue_depth);
	if (err)
		goto out_del_vqs;
	err = vblk_alloc_disk(vblk);
	if (err)
		goto out_free_tags;

	err = vblk_go_live(vblk);
	if (!err)
		err = vblk_add_disk(vblk);
	if (err)
		goto out_drop_disk;
	if (READ_ONCE(vblk->state) == VBLK_DEAD) {
		vblk_remove(vdev);
		err = -EIO;
		goto out;
	}
	vblk_announce(vblk);
	return 0;

out_drop_disk:
	vblk_shut_down(vblk);
	vblk_drop_disk(vblk);
out_free_tags:
	blk_mq_free_tag_set(&vblk->set);
out_del_vqs:
	vblk_del_vqs(vblk);
out_free_queues:
	vblk_free_queues(vblk);
out_free:
	vdev->priv = NULL;
	kfree(vblk);
out:
	vrh_probe_failed(vdev);
	return err;
}

/* Freeze and restore */

/* For a suspend, and for a reset of the function. Return: 0 or -ETIMEDOUT. */
static int vblk_withdraw(struct virtio_device *vdev)
{
	struct vblk *vblk = vdev->priv;
	int err;

	/*
	 * The core sends no config changes from here to the end of restore. One
	 * that is on its way is served: if freezing fails, nobody sends it again.
	 */
	flush_work(&vblk->config_work);

	err = vblk_hold_io(vblk);
	if (err)
		return err;
	mutex_lock(&vblk->reset_lock);
	if (vblk_set_state(vblk, VBLK_FROZEN)) {
		/* Quiesced and not frozen: requests may queue up, nobody sleeps on a freeze. */
		blk_mq_quiesce_queue(vblk->disk->queue);
		vrh_device_stop(vblk->vdev);
		vblk_del_vqs(vblk);
	}
	mutex_unlock(&vblk->reset_lock);
	vblk_release_io(vblk);
	return 0;
}

static int __maybe_unused vblk_freeze(struct virtio_device *vdev)
{
	struct vblk *vblk = vdev->priv;
	int err = vblk_withdraw(vdev);

	if (err) {
		dev_err(&vdev->dev, "%s: host does not finish its requests: the suspend fails\n",
			vblk->disk->disk_name);
		vblk_suspect(vblk);	/* or it would fail every time */
	}
	return err;
}

/* The PCI core will reset the function now, whether its requests have ended or not. */
static int __maybe_unused vblk_reset_prepare(struct virtio_device *vdev)
{
	if (!vblk_withdraw(vdev))
		return 0;
	vblk_give_up(vdev->priv, "reset with requests in flight");
	return vblk_withdraw(vdev);
}

/* The device must be able to do what the disk was set up for. */
static int vblk_restore_vqs(struct vblk *vblk)
{
	unsigned int noio = memalloc_noio_save();	/* this disk cannot write memory out now */
	int err = vblk_find_vqs(vblk);

	memalloc_noio_restore(noio);
	if (err)
		return err;
	if (vblk_ring_size(vblk) < vblk->limits.max_segments + 2) {
		vblk_del_vqs(vblk);
		return -EINVAL;
	}
	return 0;
}

/*
 * A reset takes the device back to its own cache mode. If it now caches what it
 * did not before, the block layer sends no flushes for it and data can be lost.
 */
static bool vblk_restore_cache(struct vblk *vblk)
{
	if (!virtio_has_feature(vblk->vdev, VIRTIO_BLK_F_CONFIG_WCE))
		return true;
	vblk_write_writeback(vblk->vdev, vblk->writeback);
	return vblk->writeback || !vblk_read_writeback(vblk->vdev);
}

static int vblk_restore(struct virtio_device *vdev)
{
	struct vblk *vblk = vdev->priv;
	int err;

	/* Given up before: it stays so, and the system may resume. */
	if (READ_ONCE(vblk->state) == VBLK_DEAD)
		return 0;
	if (READ_ONCE(vblk->state) != VBLK_FROZEN)
		return -EBUSY;

	err = vblk_restore_vqs(vblk);
	if (!err) {
		err = vblk_restore_cache(vblk) ? vblk_go_live(vblk) : -EIO;
		if (err) {
			vrh_device_stop(vdev);
			vblk_del_vqs(vblk);
		}
	}
	if (err) {
		/* Requests have queued up; they must not wait for what does not come. */
		vblk_give_up(vblk, "device did not come back as it was");
		return err;
	}

	blk_mq_unquiesce_queue(vblk->disk->queue);
	queue_work(vblk_workqueue, &vblk->config_work);	/* capacity may be another now */
	return 0;
}

VRH_DEFINE_RESET(vblk, vblk_reset_prepare, vblk_restore)

/* Driver and module */

VRH_FEATURES_ATTR(vblk_feature_names);

static struct attribute *vblk_vrh_attrs[] = {
	&dev_attr_features.attr,
	NULL,
};

static const struct attribute_group vblk_vrh_group = {
	.name = "vrh",
	.attrs = vblk_vrh_attrs,
};

static const struct attribute_group *vblk_vrh_groups[] = {
	&vblk_vrh_group,
	NULL,
};

static struct virtio_driver vblk_driver = {
	.driver.name = KBUILD_MODNAME,
	.driver.dev_groups = vblk_vrh_groups,
	.id_table = vblk_id_table,
	.feature_table = vblk_features,
	.feature_table_size = ARRAY_SIZE(vblk_features),
	.validate = vblk_validate,
	.probe = vblk_probe,
	.remove = vblk_remove,
	.config_changed = vblk_config_changed,
#ifdef CONFIG_PM
	.freeze = vblk_freeze,
	.restore = vblk_restore,
#endif
	VRH_RESET_OPS(vblk)
};

static int __init vblk_init(void)
{
	int err;

	if (!enable) {
		pr_info("enable=0: no device is taken\n");
		return 0;
	}

	/* Ends requests that writeback may be waiting for: must run without memory. */
	vblk_workqueue = alloc_workqueue(KBUILD_MODNAME, WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
	if (!vblk_workqueue)
		return -ENOMEM;

	err = vblk_register_major();
	if (err)
		goto out_workqueue;
	err = register_virtio_driver(&vblk_driver);
	if (err)
		goto out_blkdev;
	return 0;

out_blkdev:
	vblk_unregister_major();
out_workqueue:
	destroy_workqueue(vblk_workqueue);
	return err;
}
module_init(vblk_init);

static void __exit vblk_exit(void)
{
	if (!enable)
		return;
	unregister_virtio_driver(&vblk_driver);
	vblk_unregister_major();
	destroy_workqueue(vblk_workqueue);
}
module_exit(vblk_exit);

MODULE_DESCRIPTION("virtio block driver of virtio-rh");
MODULE_AUTHOR("virtio-rh developers");
MODULE_VERSION(VRH_VERSION);
MODULE_LICENSE("GPL");
