// SPDX-License-Identifier: GPL-2.0-only
/*
 * In 7.3, not in 6.12: PGSCAN_* and PGSTEAL_* moved from the VM events to the node statistics.
 * Both are enumerators of the same names, so the compiler is told to mind which enum they are of.
 */
#include <linux/vmstat.h>
#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wenum-conversion"
static inline unsigned long vrh_probe_mm_reclaim_node_stat(void)
{
	return global_node_page_state(PGSCAN_KSWAPD);
}

#pragma GCC diagnostic pop
