// SPDX-License-Identifier: GPL-2.0-only
/* In 7.3, not in 6.12: getgeo gets the disk, not a block device. */
#include <linux/blkdev.h>
static inline int vrh_probe_blk_getgeo_disk(const struct block_device_operations *ops,
					    struct gendisk *disk)
{
	return ops->getgeo(disk, NULL);
}
