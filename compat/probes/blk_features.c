// SPDX-License-Identifier: GPL-2.0-only
/* In 6.12, not in 6.1: write cache, rotation and the rest are bits of queue_limits.features. */
#include <linux/blk-mq.h>
static inline struct gendisk *vrh_probe_blk_features(struct blk_mq_tag_set *s,
						     struct queue_limits *lim)
{
	lim->features |= BLK_FEAT_WRITE_CACHE | BLK_FEAT_ROTATIONAL;
	return blk_mq_alloc_disk(s, lim, NULL);
}
