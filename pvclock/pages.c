// SPDX-License-Identifier: GPL-2.0-only
/*
 * Finds and reads the pvclock pages that the kernel registered with the host,
 * one per virtual CPU. Never writes one, and never touches an MSR: registering
 * a page of our own would freeze the kernel's at its last value, and with it
 * sched_clock, kvm-clock and the vDSO. CPU hotplug, resume and kexec stay the
 * kernel's business for the same reason.
 */
#include <vrh/log.h>

#include <linux/cc_platform.h>
#include <linux/kvm_para.h>
#include <linux/preempt.h>
#include <asm/tsc.h>

#include "compat.h"

#include "pvclock_rh.h"

/* The host has KVM_FEATURE_CLOCKSOURCE_STABLE_BIT. */
static bool pvc_stable_bit_valid __read_mostly;

/*
 * kvm_para_has_feature() is not for modules in any kernel. The answer is in
 * EAX of the first leaf behind KVM's signature.
 */
static u32 pvc_host_features(void)
{
	u32 base = cpuid_base_hypervisor(KVM_SIGNATURE, 0);

	return base ? cpuid_eax(base | KVM_CPUID_FEATURES) : 0;
}

/**
 * pvc_pages_find() - is there a kvm-clock whose pages can be read?
 *
 * Says in one line why not.
 *
 * Context: process context.
 * Return: 0 or -ENODEV.
 */
int pvc_pages_find(void)
{
	struct pvc_reading r;
	u32 features;

	if (!IS_ENABLED(CONFIG_KVM_GUEST)) {
		pr_err("not loaded: this kernel was built without CONFIG_KVM_GUEST and has no kvm-clock\n");
		return -ENODEV;
	}
	if (!kvm_para_available()) {
		pr_err("not loaded: this machine is not a KVM guest, so there is no kvm-clock\n");
		return -ENODEV;
	}
	if (cc_platform_has(CC_ATTR_GUEST_MEM_ENCRYPT)) {
		pr_err("not loaded: in a confidential guest the TSC can be trusted and the host's clock cannot; use clocksource tsc\n");
		return -ENODEV;
	}
	features = pvc_host_features();
	if (!(features & (BIT(KVM_FEATURE_CLOCKSOURCE) | BIT(KVM_FEATURE_CLOCKSOURCE2)))) {
		pr_err("not loaded: the host offers no kvmclock (KVM features %#x; QEMU: -cpu ...,kvmclock=on)\n",
		       features);
		return -ENODEV;
	}
	if (!pvclock_get_pvti_cpu0_va()) {
		pr_err("not loaded: the host offers kvmclock, but the kernel does not use it (booted with no-kvmclock?)\n");
		return -ENODEV;
	}

	pvc_stable_bit_valid = features & BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT);

	if (pvc_page_sample(&r)) {
		pr_err("not loaded: the host's clock page makes no sense (version %u, mul %u, shift %d)\n",
		       r.version, r.mul, r.shift);
		return -ENODEV;
	}
	return 0;
}

/**
 * pvc_page_read() - read the running CPU's page
 * @r: receives the reading
 *
 * Context: preemption disabled; any context, also NMI. Not traced, because a
 *	tracer may be asking for the time.
 * Return: false if there is no page or it cannot be read; only @r->retries is
 *	meaningful then.
 */
bool notrace pvc_page_read(struct pvc_reading *r)
{
	const struct pvclock_vcpu_time_info *page = vrh_this_cpu_pvclock();

	if (unlikely(!page)) {
		r->retries = 0;
		return false;
	}
	return pvc_read(page, rdtsc_ordered, r);
}

/**
 * pvc_page_stable() - do all CPUs' pages tell the same time?
 * @r: a reading
 *
 * Return: true if they do.
 */
bool notrace pvc_page_stable(const struct pvc_reading *r)
{
	return pvc_flags_stable(r->flags, pvc_stable_bit_valid);
}

/**
 * pvc_page_sample() - read a page from process context
 * @r: receives the reading of whichever CPU this runs on; zeroes where nothing
 *	was read
 *
 * Context: process context.
 * Return: 0, or -EIO if the page cannot be read.
 */
int pvc_page_sample(struct pvc_reading *r)
{
	bool ok;

	*r = (struct pvc_reading){ };
	preempt_disable();
	ok = pvc_page_read(r);
	preempt_enable();
	return ok ? 0 : -EIO;
}
