// SPDX-License-Identifier: GPL-2.0-only
/* 6.12: get_ts_info() fills a struct kernel_ethtool_ts_info. */
#include <linux/ethtool.h>
static inline int vrh_probe_net_kernel_ts_info(struct kernel_ethtool_ts_info *i)
{
	return i->phc_index;
}
