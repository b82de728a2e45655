// SPDX-License-Identifier: GPL-2.0-only
/*
 * Asks the host for real time: what its CLOCK_REALTIME was when the guest's clock began.
 * That is a difference of two clocks and stays right while both run, so how long the
 * question takes does not enter. There are two ways to ask, and two files of KVM that
 * answer: a hypercall that pairs real time with a TSC value, which needs a host that runs
 * on its TSC, and the wall-clock page.
 *
 * The host writes that page once, when it is asked, and keeps the address: it writes there
 * again when the guest is loaded from a file or has migrated. So the address that the
 * kernel gave it is put back at once, and no host ever writes into memory of ours later.
 */
#include <vrh/log.h>

#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/io.h>
#include <linux/kvm_para.h>
#include <linux/log2.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/slab.h>
#include <linux/time64.h>
#include <asm/msr.h>

#include "compat.h"
#include <vrh/param.h>

#include "pvclock_rh.h"

/* The wire formats: Documentation/virt/kvm/x86/msr.rst and hypercalls.rst. */
static_assert(sizeof(struct pvclock_wall_clock) == 12);
static_assert(sizeof(struct kvm_clock_pairing) == 64);

enum { PVC_WALL_AUTO, PVC_WALL_HYPERCALL, PVC_WALL_PAGE };

static const char *const pvc_wall_sources[] = { "auto", "hypercall", "page", NULL };

VRH_PARAM_CHOICE(wall_source, PVC_WALL_AUTO, pvc_wall_sources, "auto, hypercall, page", 0644,
		 "how the host is asked for real time: auto, hypercall, page (default auto: the hypercall where it works)");

/* No real time that is later is one, s: 2^33, in the year 2242; ns must fit 63 bits. */
#define PVC_WALL_SECONDS_MAX BIT_ULL(33)

/* One asks at a time. */
static DEFINE_MUTEX(pvc_wall_lock);

/* Where the host answers: in memory of its own each, aligned to its size and so in one page. */
static struct pvclock_wall_clock *pvc_wall_page;
static struct kvm_clock_pairing *pvc_wall_pair;

/* The host still has the address of our page: the memory must stay. */
static bool pvc_wall_stuck;

/*
 * One question, and one answer with the old address: both are exits, and the host is done
 * after. Where the kernel has no kvm-clock that address is nobody's any more (a kernel's before
 * a kexec, the firmware's), and 0 has the host write nowhere.
 */
static int pvc_wall_ask(void)
{
	u64 address = virt_to_phys(pvc_wall_page);
	u64 before = 0;
	int err = 0;

	/* Neither a suspend nor another task shall find our address there for long. */
	preempt_disable();
	if (!pvc_pages_own())
		err = rdmsrq_safe(MSR_KVM_WALL_CLOCK_NEW, &before);
	if (!err)
		err = wrmsr_safe(MSR_KVM_WALL_CLOCK_NEW, (u32)address, (u32)(address >> 32));
	if (!err) {
		err = wrmsr_safe(MSR_KVM_WALL_CLOCK_NEW, (u32)before, (u32)(before >> 32));
		pvc_wall_stuck = err;
	}
	preempt_enable();
	return err ? -EIO : 0;
}

/* Three exits. */
static int pvc_wall_from_page(u64 *epoch)
{
	u32 version, seconds, ns;
	int err;

	if (!pvc_wall_page)
		return -EOPNOTSUPP;
	/* An answer that does not come is seen. */
	WRITE_ONCE(pvc_wall_page->nsec, U32_MAX);
	err = pvc_wall_ask();
	version = READ_ONCE(pvc_wall_page->version);
	seconds = READ_ONCE(pvc_wall_page->sec);
	ns = READ_ONCE(pvc_wall_page->nsec);
	if (err)
		return err;
	if ((version & 1) || !seconds || ns >= NSEC_PER_SEC)
		return -EIO;
	*epoch = (u64)seconds * NSEC_PER_SEC + ns;
	return 0;
}

/*
 * One exit. The host is asked on the CPU whose page says what the clock was at the TSC
 * value that it names.
 */
static int pvc_wall_from_pair(u64 *epoch)
{
	u64 before, tsc, seconds, real, clock;
	struct pvc_reading r;
	bool behind, read;
	long ret;
	u64 ns;

	WRITE_ONCE(pvc_wall_pair->nsec, -1);
	preempt_disable();
	before = rdtsc_ordered();
	ret = kvm_hypercall2(KVM_HC_CLOCK_PAIRING, virt_to_phys(pvc_wall_pair),
			     KVM_CLOCK_PAIRING_WALLCLOCK);
	read = pvc_page_read(&r);
	preempt_enable();
	/* It runs on another clock than its TSC now, or does not know the question. */
	if (ret)
		return -EOPNOTSUPP;
	seconds = READ_ONCE(pvc_wall_pair->sec);
	ns = READ_ONCE(pvc_wall_pair->nsec);
	tsc = READ_ONCE(pvc_wall_pair->tsc);
	/* The page may be of a later time than the answer, if the host wrote it in between. */
	if (!read || (s64)(tsc - before) < 0 || (s64)(r.tsc - tsc) < 0)
		return -EIO;
	if (!seconds || seconds >= PVC_WALL_SECONDS_MAX || ns >= NSEC_PER_SEC)
		return -EIO;
	clock = pvc_project(tsc, r.tsc_timestamp, r.system_time, r.mul, r.shift, &behind);
	real = seconds * NSEC_PER_SEC + ns;
	if (behind || real < clock)
		return -EIO;
	*epoch = real - clock;
	return 0;
}

/**
 * pvc_wall_epoch() - the host's CLOCK_REALTIME at the start of the guest's clock
 * @epoch: receives it, ns
 *
 * One to four exits.
 *
 * Context: process context, may sleep.
 * Return: 0, -EOPNOTSUPP if the host cannot tell, -EIO if what it tells makes no sense.
 */
int pvc_wall_epoch(u64 *epoch)
{
	unsigned int source = READ_ONCE(wall_source);
	int err = -EOPNOTSUPP;

	mutex_lock(&pvc_wall_lock);
	if (source != PVC_WALL_PAGE)
		err = pvc_wall_from_pair(epoch);
	if (err && source != PVC_WALL_HYPERCALL)
		err = pvc_wall_from_page(epoch);
	mutex_unlock(&pvc_wall_lock);
	return err;
}

/**
 * pvclock_rh_host_real() - the host's real time
 * @ns: receives it, ns since 1970
 *
 * Context: process context, may sleep.
 * Return: 0, -EOPNOTSUPP if the host cannot tell, -EIO if what it tells makes no sense.
 */
int pvclock_rh_host_real(u64 *ns)
{
	struct pvc_reading r;
	u64 epoch;
	int err;

	err = pvc_wall_epoch(&epoch) ?: pvc_page_sample(&r);
	if (!err)
		*ns = epoch + r.ns;
	return err;
}
EXPORT_SYMBOL_GPL(pvclock_rh_host_real);

/**
 * pvc_wall_init() - module init
 * @features: what the host offers, bits by number of KVM_FEATURE_
 *
 * Return: 0, also if the host has no such page; -ENOMEM.
 */
int pvc_wall_init(u32 features)
{
	pvc_wall_pair = kzalloc_obj(*pvc_wall_pair);
	if (!pvc_wall_pair)
		return -ENOMEM;
	/* Never the old registers: a write to their other one takes the stable bit away. */
	if (!(features & BIT(KVM_FEATURE_CLOCKSOURCE2)))
		return 0;
	pvc_wall_page = kzalloc(roundup_pow_of_two(sizeof(*pvc_wall_page)), GFP_KERNEL);
	if (!pvc_wall_page) {
		pvc_wall_exit();
		return -ENOMEM;
	}
	return 0;
}

/**
 * pvc_wall_exit() - module exit
 *
 * Context: nobody asks any more.
 */
void pvc_wall_exit(void)
{
	if (!pvc_wall_stuck)
		kfree(pvc_wall_page);
	kfree(pvc_wall_pair);
	pvc_wall_page = NULL;
	pvc_wall_pair = NULL;
}
