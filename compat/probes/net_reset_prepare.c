// SPDX-License-Identifier: GPL-2.0-only
/* 7.0: a driver can be asked to let go before the transport resets the device. */
#include <linux/virtio.h>
static inline int vrh_probe_net_reset_prepare(struct virtio_driver *d, struct virtio_device *v)
{
	return d->reset_prepare(v) + d->reset_done(v);
}
