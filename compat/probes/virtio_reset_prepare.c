// SPDX-License-Identifier: GPL-2.0-only
/* In 7.3, not in 6.12: a driver is told before and after the PCI core resets its function. */
#include <linux/virtio.h>
static inline int vrh_probe_virtio_reset_prepare(struct virtio_driver *d, struct virtio_device *v)
{
	return d->reset_prepare(v) ?: d->reset_done(v);
}
