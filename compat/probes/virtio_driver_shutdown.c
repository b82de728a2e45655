// SPDX-License-Identifier: GPL-2.0-only
/* 6.16: a virtio driver may quiesce itself at shutdown, before the core breaks its queues. */
#include <linux/virtio.h>
static inline void vrh_probe_virtio_driver_shutdown(struct virtio_driver *d,
						    struct virtio_device *v)
{
	d->shutdown(v);
	virtio_device_shutdown(v);
}
