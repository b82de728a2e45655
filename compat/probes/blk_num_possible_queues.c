// SPDX-License-Identifier: GPL-2.0-only
/* In 7.3, not in 6.12: the block layer knows how many queues isolated CPUs leave useful. */
#include <linux/blk-mq.h>
static inline unsigned int vrh_probe_blk_num_possible_queues(void)
{
	return blk_mq_num_possible_queues(1);
}
