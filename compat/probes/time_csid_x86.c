// SPDX-License-Identifier: GPL-2.0-only
/* In 6.12, not in 6.1: x86 clocksources have ids, by which PTP cross timestamps name a clock. */
#include <linux/clocksource_ids.h>
static inline int vrh_probe_time_csid_x86(void)
{
	return CSID_X86_KVM_CLK + CSID_X86_TSC;
}
