// SPDX-License-Identifier: GPL-2.0-only
/* 6.9: x86 clocksources have ids of their own; PTP cross timestamps name the clock by id. */
#include <linux/clocksource_ids.h>
static inline int vrh_probe_time_csid_x86(void)
{
	return CSID_X86_KVM_CLK + CSID_X86_TSC;
}
