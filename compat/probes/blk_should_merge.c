// SPDX-License-Identifier: GPL-2.0-only
/* In 6.12, not in 7.3: requests are merged only if the driver asks for it. */
#include <linux/blk-mq.h>
static inline unsigned int vrh_probe_blk_should_merge(void)
{
	return BLK_MQ_F_SHOULD_MERGE;
}
