// SPDX-License-Identifier: GPL-2.0-only
/* In 6.12, not in 6.1: freezing has a lockdep owner; a bounded wait needs the variant without. */
#include <linux/blk-mq.h>
static inline void vrh_probe_blk_freeze_non_owner(struct request_queue *q)
{
	blk_freeze_queue_start_non_owner(q);
	blk_mq_unfreeze_queue_non_owner(q);
}
