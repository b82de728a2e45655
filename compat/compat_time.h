/* SPDX-License-Identifier: GPL-2.0-only */
/* Differences of clocksources, and of the x86 headers that pvclock_rh needs. */
#ifndef VRH_COMPAT_TIME_H
#define VRH_COMPAT_TIME_H

#include <linux/clocksource.h>
#include <linux/clocksource_ids.h>
#include <linux/string.h>
#include <linux/syscore_ops.h>
#include <linux/timekeeping.h>

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

/**
 * vrh_set_counter() - what a clocksource read, for a cross timestamp
 * @counter: receives it
 * @cs: the clocksource
 * @id: its id, by which later kernels know it
 * @value: what it read
 */
static inline void vrh_set_counter(struct system_counterval_t *counter, struct clocksource *cs,
				   enum clocksource_ids id, u64 value)
{
	memset(counter, 0, sizeof(*counter));
	counter->cycles = value;
#ifdef VRH_HAVE_TIME_COUNTER_ID
	counter->cs_id = id;
#else
	/* Delete with 6.1. */
	counter->cs = cs;
#endif
}

/*
 * Defines @name, for vrh_register_syscore(): @suspend_fn (returns int) and @resume_fn take
 * nothing. Context of both: the last CPU, interrupts off.
 */
#ifdef VRH_HAVE_TIME_SYSCORE_DATA
#define VRH_DEFINE_SYSCORE(name, suspend_fn, resume_fn)				\
	static int name##_suspend(void *unused)					\
	{									\
		return suspend_fn();						\
	}									\
	static void name##_resume(void *unused)					\
	{									\
		resume_fn();							\
	}									\
	static const struct syscore_ops name##_ops = {				\
		.suspend = name##_suspend,					\
		.resume = name##_resume,					\
	};									\
	static struct syscore name = { .ops = &name##_ops }
#define vrh_register_syscore(syscore)	register_syscore(syscore)
#define vrh_unregister_syscore(syscore)	unregister_syscore(syscore)
#else
/* Delete with 6.1. */
#define VRH_DEFINE_SYSCORE(name, suspend_fn, resume_fn)				\
	static struct syscore_ops name = { .suspend = suspend_fn, .resume = resume_fn }
#define vrh_register_syscore(syscore)	register_syscore_ops(syscore)
#define vrh_unregister_syscore(syscore)	unregister_syscore_ops(syscore)
#endif

#ifdef CONFIG_X86
#include <linux/mm_types.h>
#include <linux/sched.h>
#include <linux/time64.h>
#include <asm/msr.h>
#include <asm/processor.h>
#include <asm/pvclock.h>
/* Uses asm/pvclock.h without including it. */
#include <asm/kvmclock.h>
#include <asm/vdso.h>
#ifdef VRH_HAVE_TIME_VDSO_VCLOCK_PAGES
#include <asm/vdso/vsyscall.h>
#endif

#ifdef VRH_HAVE_X86_CPUID_BASE_HYPERVISOR
#include <asm/cpuid/api.h>
#else
/* Delete with 6.12. */
static inline u32 cpuid_base_hypervisor(const char *sig, u32 leaves)
{
	return hypervisor_cpuid_base(sig, leaves);
}
#endif

#ifndef VRH_HAVE_X86_RDMSRQ_SAFE
/* Delete with 6.12. */
static inline int rdmsrq_safe(u32 msr, u64 *value)
{
	return rdmsrl_safe(msr, value);
}
#endif

/**
 * vrh_vdso_pvclock_page() - where the calling program's vDSO has the page of CPU 0
 *
 * Context: process context.
 * Return: an address of the program; 0 if it has no vDSO. Nothing need be mapped there.
 */
static inline unsigned long vrh_vdso_pvclock_page(void)
{
	const struct mm_struct *mm = current->mm;

	if (!mm || !mm->context.vdso)
		return 0;
#ifdef VRH_HAVE_TIME_VDSO_VCLOCK_PAGES
	return (unsigned long)mm->context.vdso -
	       (VDSO_NR_VCLOCK_PAGES - VDSO_PAGE_PVCLOCK_OFFSET) * PAGE_SIZE;
#else
	/* Delete with 6.12. */
	if (!mm->context.vdso_image || !mm->context.vdso_image->sym_pvclock_page)
		return 0;
	return (unsigned long)mm->context.vdso + mm->context.vdso_image->sym_pvclock_page;
#endif
}

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

/**
 * vrh_cpu_pvclock() - the page that the kernel registered for a CPU
 * @cpu: its number
 *
 * Return: the page, or NULL.
 */
static inline const struct pvclock_vcpu_time_info *vrh_cpu_pvclock(unsigned int cpu)
{
#ifdef CONFIG_KVM_GUEST
	const struct pvclock_vsyscall_time_info *slot = per_cpu(hv_clock_per_cpu, cpu);

	return slot ? &slot->pvti : NULL;
#else
	return NULL;
#endif
}
#endif

#endif
