// SPDX-License-Identifier: GPL-2.0-only
/* In 6.12, not in 6.1: a string without a format can be put among the ethtool strings. */
#include <linux/ethtool.h>
static inline void vrh_probe_net_ethtool_puts(u8 **data)
{
	ethtool_puts(data, "");
}
