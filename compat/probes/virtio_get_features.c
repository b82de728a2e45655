// SPDX-License-Identifier: GPL-2.0-only
/* In 7.3, not in 6.12: more than 64 features can be offered; virtio_get_features() reads them. */
#include <linux/virtio_config.h>
static inline void vrh_probe_virtio_get_features(struct virtio_device *d)
{
	u64 offered[VIRTIO_FEATURES_U64S];

	virtio_get_features(d, offered);
}
