// SPDX-License-Identifier: GPL-2.0-only
/*
 * In 7.3, not in 6.12: <linux/balloon.h> replaces <linux/balloon_compaction.h>; the core keeps the
 * managed page count and does the books of a migration, which older kernels leave to the driver.
 */
#if __has_include("linux/balloon.h")
#include <linux/balloon.h>
static inline void vrh_probe_mm_balloon_header(struct balloon_dev_info *b)
{
	b->adjust_managed_page_count = true;
}
#else
#error "no such header"
#endif
