// SPDX-License-Identifier: GPL-2.0-only
/* In 7.3, not in 6.12: blk_rq_map_sg() takes the queue from the request. */
#include <linux/blk-mq.h>
static inline int vrh_probe_blk_rq_map_sg(struct request *req, struct scatterlist *sgl)
{
	return blk_rq_map_sg(req, sgl);
}
