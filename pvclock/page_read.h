/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What pages.c does for every read of the clock, inline: a reading that stays in registers
 * costs a tenth less than one that is handed over in memory.
 */
#ifndef PVC_PAGE_READ_H
#define PVC_PAGE_READ_H

#include <linux/jump_label.h>
#include <asm/msr.h>

#include "compat.h"

#include "clock_math.h"
#include "pvclock_rh.h"

/* Written by pages.c alone: the pages are ours; the stable bit means something. */
DECLARE_STATIC_KEY_FALSE(pvc_owned);
extern bool pvc_stable_bit_valid;

/* The running CPU's page, NULL if there is none. */
static __always_inline const struct pvclock_vcpu_time_info *pvc_this_page(void)
{
	if (static_branch_unlikely(&pvc_owned))
		return pvc_own_this_cpu();
	return vrh_this_cpu_pvclock();
}

/* As pvc_page_read(). */
static __always_inline bool pvc_page_read_inline(struct pvc_reading *r)
{
	const struct pvclock_vcpu_time_info *page = pvc_this_page();

	if (unlikely(!page)) {
		r->retries = 0;
		return false;
	}
	return pvc_read(page, rdtsc_ordered, r);
}

/* As pvc_page_stable(). */
static __always_inline bool pvc_page_stable_inline(const struct pvc_reading *r)
{
	return pvc_flags_stable(r->flags, pvc_stable_bit_valid);
}

#endif
