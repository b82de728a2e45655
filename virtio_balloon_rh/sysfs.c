// SPDX-License-Identifier: GPL-2.0-only
/*
 * The group vrh/ on the virtio device: what was negotiated, what is held, what
 * happened. Read only; one value a file, in pages of the guest or events.
 */
#include <linux/device.h>
#include <linux/sysfs.h>

#include "virtio_balloon_rh.h"

static ssize_t features_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	int len = vbal_features_text(dev_to_virtio(dev), buf, PAGE_SIZE - 1);

	return len + sysfs_emit_at(buf, len, "\n");
}
static DEVICE_ATTR_RO(features);

static ssize_t held_pages_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct vbal *vb = dev_to_virtio(dev)->priv;

	return sysfs_emit(buf, "%ld\n", atomic_long_read(&vb->held));
}
static DEVICE_ATTR_RO(held_pages);

/* One file for each of struct vbal_counters. */
#define VBAL_COUNTER(name)							\
static ssize_t name##_show(struct device *dev, struct device_attribute *attr,	\
			   char *buf)						\
{										\
	struct vbal *vb = dev_to_virtio(dev)->priv;				\
										\
	return sysfs_emit(buf, "%ld\n", atomic_long_read(&vb->count.name));	\
}										\
static DEVICE_ATTR_RO(name)

VBAL_COUNTER(inflated);
VBAL_COUNTER(deflated);
VBAL_COUNTER(migrated);
VBAL_COUNTER(reported);
VBAL_COUNTER(stats);
VBAL_COUNTER(alloc_failed);
VBAL_COUNTER(floor_stops);
VBAL_COUNTER(oom_calls);
VBAL_COUNTER(oom_pages);
VBAL_COUNTER(host_late);
VBAL_COUNTER(errors);

static struct attribute *vbal_attrs[] = {
	&dev_attr_features.attr,
	&dev_attr_held_pages.attr,
	&dev_attr_inflated.attr,
	&dev_attr_deflated.attr,
	&dev_attr_migrated.attr,
	&dev_attr_reported.attr,
	&dev_attr_stats.attr,
	&dev_attr_alloc_failed.attr,
	&dev_attr_floor_stops.attr,
	&dev_attr_oom_calls.attr,
	&dev_attr_oom_pages.attr,
	&dev_attr_host_late.attr,
	&dev_attr_errors.attr,
	NULL
};

static const struct attribute_group vbal_group = {
	.name = "vrh",
	.attrs = vbal_attrs,
};

/* Attributes live from after probe() to before remove(), so priv is valid in them. */
const struct attribute_group *vbal_groups[] = {
	&vbal_group,
	NULL
};
