// SPDX-License-Identifier: GPL-2.0-only
/* Canary: this compiles on every kernel; an error here means unusable headers. */
#include <linux/module.h>
#include <linux/virtio.h>
static inline struct device *vrh_must_pass(struct virtio_device *vdev)
{
	return &vdev->dev;
}
