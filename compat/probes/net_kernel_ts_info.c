// SPDX-License-Identifier: GPL-2.0-only
/* In 6.12, not in 6.1: get_ts_info() fills a struct kernel_ethtool_ts_info. */
#include <linux/ethtool.h>
static inline int vrh_probe_net_kernel_ts_info(struct kernel_ethtool_ts_info *i)
{
	return i->phc_index;
}
