// SPDX-License-Identifier: GPL-2.0-only
/* In 7.3, not in 6.12: a clocksource can hand out the TSC that its reading was made from. */
#include <linux/clocksource.h>
static inline u64 vrh_probe_time_read_snapshot(struct clocksource *cs,
					       struct clocksource_hw_snapshot *chs)
{
	return cs->read_snapshot(cs, chs);
}
