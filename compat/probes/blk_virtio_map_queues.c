// SPDX-License-Identifier: GPL-2.0-only
/* In 6.12, not in 7.3: virtio has its own way to map queues to the CPUs of their interrupts. */
#include <linux/blk-mq.h>
#if __has_include("linux/blk-mq-virtio.h")
#include <linux/blk-mq-virtio.h>
#endif
static inline void vrh_probe_blk_virtio_map_queues(struct blk_mq_queue_map *m,
						   struct virtio_device *d)
{
	blk_mq_virtio_map_queues(m, d, 0);
}
