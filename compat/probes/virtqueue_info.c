// SPDX-License-Identifier: GPL-2.0-only
/* In 6.12, not in 6.1: virtio_find_vqs() takes an array of struct virtqueue_info. */
#include <linux/virtio_config.h>
static inline int vrh_probe_virtqueue_info(struct virtio_device *d, struct virtqueue **v,
					   struct virtqueue_info *i)
{
	return virtio_find_vqs(d, 1, v, i, NULL);
}
