// SPDX-License-Identifier: GPL-2.0-only
/* In 7.3, not in 6.12: a driver may quiesce itself at shutdown, before its queues are broken. */
#include <linux/virtio.h>
static inline void vrh_probe_virtio_driver_shutdown(struct virtio_driver *d,
						    struct virtio_device *v)
{
	d->shutdown(v);
	virtio_device_shutdown(v);
}
