// SPDX-License-Identifier: GPL-2.0-only
/* 6.17: devices may offer more than 64 feature bits, read through virtio_get_features(). */
#include <linux/virtio_config.h>
static inline void vrh_probe_virtio_get_features(struct virtio_device *d)
{
	u64 offered[VIRTIO_FEATURES_U64S];

	virtio_get_features(d, offered);
}
