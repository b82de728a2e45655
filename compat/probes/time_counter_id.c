// SPDX-License-Identifier: GPL-2.0-only
/* In 6.12, not in 6.1: a cross timestamp names its clocksource by id, before by a pointer. */
#include <linux/timekeeping.h>
static inline enum clocksource_ids vrh_probe_time_counter_id(struct system_counterval_t *counter)
{
	return counter->cs_id;
}
