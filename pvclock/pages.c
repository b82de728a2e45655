// SPDX-License-Identifier: GPL-2.0-only
/*
 * Finds and reads the pvclock pages, one per virtual CPU. Where the kernel has registered
 * its own with the host, those: registering another would freeze the kernel's at its last
 * value, and with it sched_clock, kvm-clock and the vDSO; and CPU hotplug, resume and kexec
 * stay the kernel's business. Where it has none, those of own.c. Never writes a page, and
 * never touches an MSR.
 */
#include <vrh/log.h>

#include <linux/cc_platform.h>
#include <linux/jump_label.h>
#include <linux/kvm_para.h>
#include <linux/preempt.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <asm/tsc.h>

#include "compat.h"
#include <vrh/param.h>

#include "page_read.h"
#include "pvclock_rh.h"

enum { PVC_MODE_AUTO, PVC_MODE_SHARED, PVC_MODE_OWN };

static const char *const pvc_modes[] = { "auto", "shared", "own", NULL };

VRH_PARAM_CHOICE(mode, PVC_MODE_AUTO, pvc_modes, "auto, shared, own", 0444,
		 "whose clock pages: auto, shared: the kernel's, own: ours, if the kernel runs without kvm-clock (default auto: the kernel's if it has any)");

DEFINE_STATIC_KEY_FALSE(pvc_owned);

bool pvc_stable_bit_valid __read_mostly;

static u32 pvc_features;

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
 * pvc_pages_features() - what the host offers
 *
 * Return: bits by number of KVM_FEATURE_; 0 before pvc_pages_start().
 */
u32 pvc_pages_features(void)
{
	return pvc_features;
}

/* Says in one line why there is no clock here. */
static int pvc_host_check(void)
{
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
	pvc_features = pvc_host_features();
	if (!(pvc_features & (BIT(KVM_FEATURE_CLOCKSOURCE) | BIT(KVM_FEATURE_CLOCKSOURCE2)))) {
		pr_err("not loaded: the host offers no kvmclock (KVM features %#x; QEMU: -cpu ...,kvmclock=on)\n",
		       pvc_features);
		return -ENODEV;
	}
	return 0;
}

/* The kernel's pages, or, if it has none, ours. Never both. */
static int pvc_mode_start(void)
{
	bool kernels = pvclock_get_pvti_cpu0_va();
	int err;

	if (kernels && mode == PVC_MODE_OWN) {
		pr_err("not loaded: mode=own, but the kernel has registered its own clock pages and the host knows one a CPU; boot with no-kvmclock for that\n");
		return -EBUSY;
	}
	if (kernels)
		return 0;
	if (mode == PVC_MODE_SHARED) {
		pr_err("not loaded: mode=shared, but the kernel does not use the kvmclock that the host offers (booted with no-kvmclock?)\n");
		return -ENODEV;
	}
	/* Of the old registers, a write takes the stable bit away from the whole machine. */
	if (!(pvc_features & BIT(KVM_FEATURE_CLOCKSOURCE2))) {
		pr_err("not loaded: the host offers kvmclock by its old registers only (KVM features %#x), which are not used\n",
		       pvc_features);
		return -ENODEV;
	}
	err = pvc_own_start();
	if (err) {
		pr_err("not loaded: clock pages cannot be registered with the host (error %d)\n",
		       err);
		return err;
	}
	static_branch_enable(&pvc_owned);
	return 0;
}

/**
 * pvc_pages_start() - find the pages of the clock, or make them
 *
 * Says in one line why that is not possible.
 *
 * Context: process context, may sleep.
 * Return: 0 or a negative error code.
 */
int pvc_pages_start(void)
{
	struct pvc_reading r;
	int err;

	err = pvc_host_check() ?: pvc_mode_start();
	if (err)
		return err;
	pvc_stable_bit_valid = pvc_features & BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT);
	if (pvc_page_sample(&r)) {
		pr_err("not loaded: the host's clock page makes no sense (version %u, mul %u, shift %d)\n",
		       r.version, r.mul, r.shift);
		pvc_pages_stop();
		return -ENODEV;
	}
	return 0;
}

/**
 * pvc_pages_stop() - read the pages no more
 *
 * Context: process context, may sleep; nobody starts a reading any more.
 */
void pvc_pages_stop(void)
{
	if (!pvc_pages_own())
		return;
	pvc_own_stop();
	static_branch_disable(&pvc_owned);
}

/**
 * pvc_pages_own() - are the pages ours?
 *
 * Return: false if they are the kernel's.
 */
bool pvc_pages_own(void)
{
	return static_key_enabled(&pvc_owned);
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
	return pvc_page_read_inline(r);
}

/**
 * pvc_page_version() - version of the running CPU's page
 *
 * Another one than before means that the host has written the page, or is writing it.
 *
 * Context: preemption disabled; any context.
 * Return: the version; 0 if there is no page.
 */
u32 notrace pvc_page_version(void)
{
	const struct pvclock_vcpu_time_info *page = pvc_this_page();

	return page ? READ_ONCE(page->version) : 0;
}

/**
 * pvc_page_version_of() - version of a CPU's page
 * @cpu: its number
 *
 * Return: the version; 0 if there is no page.
 */
u32 pvc_page_version_of(unsigned int cpu)
{
	const struct pvclock_vcpu_time_info *page;

	page = pvc_pages_own() ? pvc_own_of(cpu) : vrh_cpu_pvclock(cpu);
	return page ? READ_ONCE(page->version) : 0;
}

/**
 * pvc_pages_mapped() - does the vDSO of the calling program show CPU 0's page?
 *
 * The kernel shows it to all programs or to none, and from then on for ever. A program
 * whose vDSO reads a page that is not there dies of SIGBUS.
 *
 * Context: process context of a program; may fault.
 * Return: true if it does.
 */
bool pvc_pages_mapped(void)
{
	const struct pvclock_vsyscall_time_info *kernels = pvclock_get_pvti_cpu0_va();
	unsigned long programs = vrh_vdso_pvclock_page();
	struct pvclock_vcpu_time_info seen;
	unsigned int tries;

	if (!kernels || !programs || !pvc_stable_bit_valid)
		return false;
	/* The host may write it meanwhile: not for long. */
	for (tries = 0; tries < PVC_MAX_TRIES; tries++) {
		if (copy_from_user(&seen, (void __user *)programs, sizeof(seen)))
			return false;
		if (!memcmp(&seen, &kernels->pvti, sizeof(seen)))
			return true;
	}
	return false;
}

/**
 * pvc_page_stable() - do all CPUs' pages tell the same time?
 * @r: a reading
 *
 * Return: true if they do.
 */
bool notrace pvc_page_stable(const struct pvc_reading *r)
{
	return pvc_page_stable_inline(r);
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
