// SPDX-License-Identifier: GPL-2.0-only
/* In 6.12, not in 6.1: a driver may have the core hold back config changes, and let them come. */
#include <linux/virtio.h>
static inline void vrh_probe_virtio_config_driver(struct virtio_device *v)
{
	virtio_config_driver_disable(v);
	virtio_config_driver_enable(v);
}
