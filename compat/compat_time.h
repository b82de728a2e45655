/* SPDX-License-Identifier: GPL-2.0-only */
/* Differences of clocksources, and of the x86 headers that pvclock_rh needs. */
#ifndef VRH_COMPAT_TIME_H
#define VRH_COMPAT_TIME_H

#include <linux/clocksource.h>
#include <linux/clocksource_ids.h>

#ifndef VRH_HAVE_TIME_CSID_X86
/* Delete with 6.1. Generic: no cross timestamp is claimed. */
#define CSID_X86_KVM_CLK CSID_GENERIC
#define CSID_X86_TSC CSID_GENERIC
#endif

#ifdef VRH_HAVE_TIME_READ_SNAPSHOT
#define vrh_clocksource_set_read_snapshot(cs, fn) ((cs)->read_snapshot = (fn))
#else
/* Delete with 6.12: in 7.3 it is a plain member. */
struct clocksource_hw_snapshot {
	u64 hw_cycles;
	enum clocksource_ids hw_csid;
};

#define vrh_clocksource_set_read_snapshot(cs, fn) ((void)(cs), (void)(fn))
#endif

#ifdef CONFIG_X86
#include <linux/time64.h>
#include <asm/processor.h>
#include <asm/pvclock.h>
/* Uses asm/pvclock.h without including it. */
#include <asm/kvmclock.h>

#ifdef VRH_HAVE_X86_CPUID_BASE_HYPERVISOR
#include <asm/cpuid/api.h>
#else
/* Delete with 6.12. */
static inline u32 cpuid_base_hypervisor(const char *sig, u32 leaves)
{
	return hypervisor_cpuid_base(sig, leaves);
}
#endif

/**
 * vrh_this_cpu_pvclock() - the page that the kernel registered for this CPU
 *
 * Context: preemption disabled.
 * Return: the page, or NULL if the kernel runs without kvm-clock or was built
 *	without CONFIG_KVM_GUEST (then the variable exists in the header only).
 */
static __always_inline struct pvclock_vcpu_time_info *vrh_this_cpu_pvclock(void)
{
#ifdef CONFIG_KVM_GUEST
	struct pvclock_vsyscall_time_info *slot = this_cpu_hvclock();

	return slot ? &slot->pvti : NULL;
#else
	return NULL;
#endif
}
#endif

#endif
