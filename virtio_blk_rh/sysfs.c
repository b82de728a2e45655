// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attributes of the disk, with the names and the texts that the in-tree driver
 * gives them: udev and scripts read both.
 */
#include <vrh/log.h>
#include <linux/string.h>
#include <linux/virtio_config.h>

#include "compat.h"

#include "virtio_blk_rh.h"

static const char *const vblk_cache_types[] = { "write through", "write back" };

static struct vblk *vblk_of(struct device *dev)
{
	return dev_to_disk(dev)->private_data;
}

static ssize_t serial_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	char id[VIRTIO_BLK_ID_BYTES + 1] = "";
	int err = vblk_get_id(vblk_of(dev), id);

	/* A device without a serial has an empty one. */
	if (err == -EIO || err == -EOPNOTSUPP)
		return 0;
	if (err)
		return err;
	vblk_serial_clean(id, VIRTIO_BLK_ID_BYTES);
	return strscpy(buf, id, PAGE_SIZE);	/* no newline: as in-tree */
}

static DEVICE_ATTR_RO(serial);

static ssize_t cache_type_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct vblk *vblk = vblk_of(dev);

	return sysfs_emit(buf, "%s\n", vblk_cache_types[READ_ONCE(vblk->writeback)]);
}

/* Set the device's cache mode, unless the device is being reset or is given up. */
static int vblk_tell_device(struct vblk *vblk, bool writeback, bool *accepted)
{
	int err = -EIO;

	mutex_lock(&vblk->reset_lock);
	if (vblk->state == VBLK_LIVE) {
		vblk_write_writeback(vblk->vdev, writeback);
		*accepted = vblk_read_writeback(vblk->vdev);
		err = 0;
	}
	mutex_unlock(&vblk->reset_lock);
	return err;
}

/*
 * The cache goes: it is written out after the device has stopped using it and
 * while the block layer still sends flushes, so that a sync that comes later
 * and sends none has nothing to miss.
 */
static int vblk_write_out(struct vblk *vblk)
{
	bool accepted;
	int err;

	err = vblk_tell_device(vblk, false, &accepted);
	return err ?: vblk_flush_cache(vblk);
}

/* No request is on its way while the device and the block layer change their minds. */
static int vblk_switch_cache(struct vblk *vblk, bool writeback)
{
	struct request_queue *q = vblk->disk->queue;
	struct queue_limits lim = queue_limits_start_update(q);
	bool accepted;
	int err;

	err = vblk_hold_io(vblk);
	if (err)
		goto cancel;
	err = vblk_tell_device(vblk, writeback, &accepted);
	if (err)
		goto release;

	if (accepted)
		lim.features |= BLK_FEAT_WRITE_CACHE;
	else
		lim.features &= ~BLK_FEAT_WRITE_CACHE;
	err = queue_limits_commit_update(q, &lim);
	if (!err)
		WRITE_ONCE(vblk->writeback, accepted);
	else	/* before a write comes that the block layer would not flush */
		vblk_tell_device(vblk, vblk->writeback, &accepted);
	vblk_release_io(vblk);
	return err;

release:
	vblk_release_io(vblk);
cancel:
	queue_limits_cancel_update(q);
	return err;
}

static ssize_t cache_type_store(struct device *dev, struct device_attribute *attr,
				const char *buf, size_t count)
{
	struct vblk *vblk = vblk_of(dev);
	int type = sysfs_match_string(vblk_cache_types, buf);
	bool accepted;
	int err;

	if (!virtio_has_feature(vblk->vdev, VIRTIO_BLK_F_CONFIG_WCE))
		return -ENXIO;
	if (type < 0)
		return type;

	mutex_lock(&vblk->cache_lock);
	err = type ? 0 : vblk_write_out(vblk);
	if (!err)
		err = vblk_switch_cache(vblk, type);
	if (err)	/* the device may have been told halfway */
		vblk_tell_device(vblk, vblk->writeback, &accepted);
	mutex_unlock(&vblk->cache_lock);
	return err ?: count;
}

static DEVICE_ATTR_RW(cache_type);

static struct attribute *vblk_disk_attrs[] = {
	&dev_attr_serial.attr,
	&dev_attr_cache_type.attr,
	NULL,
};

static umode_t vblk_disk_attr_mode(struct kobject *kobj, struct attribute *attr, int n)
{
	struct vblk *vblk = vblk_of(kobj_to_dev(kobj));

	if (attr == &dev_attr_cache_type.attr &&
	    !virtio_has_feature(vblk->vdev, VIRTIO_BLK_F_CONFIG_WCE))
		return 0444;
	return attr->mode;
}

static const struct attribute_group vblk_disk_group = {
	.attrs = vblk_disk_attrs,
	.is_visible = vblk_disk_attr_mode,
};

const struct attribute_group *vblk_disk_groups[] = {
	&vblk_disk_group,
	NULL,
};
