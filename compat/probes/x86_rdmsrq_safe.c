// SPDX-License-Identifier: GPL-2.0-only
/* In 7.3, not in 6.12: names of functions on 64 bits of an MSR end in q. */
#include <asm/msr.h>
static inline int vrh_probe_x86_rdmsrq_safe(u64 *value)
{
	return rdmsrq_safe(0, value);
}
