// SPDX-License-Identifier: GPL-2.0-only
/* In 7.3, not in 6.12: the vDSO's clock pages have places of their own before its text. */
#include <asm/vdso/vsyscall.h>
static inline int vrh_probe_time_vdso_vclock_pages(void)
{
	return VDSO_NR_VCLOCK_PAGES + VDSO_PAGE_PVCLOCK_OFFSET;
}
