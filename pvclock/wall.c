// SPDX-License-Identifier: GPL-2.0-only
/*
 * Asks the host for real time: the wall-clock page says what its CLOCK_REALTIME was when
 * the guest's clock began. That is a difference of two clocks and stays right while both
 * run, so how long the question takes does not enter.
 *
 * The host writes the page once, when it is asked, and keeps the address: it writes there
 * again when the guest is loaded from a file or has migrated. So the address that the
 * kernel gave it is put back at once, and no host ever writes into memory of ours later.
 */
#include <vrh/log.h>

#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/io.h>
#include <linux/kvm_para.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/slab.h>
#include <linux/time64.h>
#include <asm/msr.h>

#include "compat.h"

#include "pvclock_rh.h"

/* The wire format: Documentation/virt/kvm/x86/msr.rst, MSR_KVM_WALL_CLOCK_NEW. */
static_assert(sizeof(struct pvclock_wall_clock) == 12);

/* One asks at a time. */
static DEFINE_MUTEX(pvc_wall_lock);
static struct pvclock_wall_clock *pvc_wall_page;

/* One question, and one answer with the old address: both are exits, and the host is done after. */
static int pvc_wall_ask(void)
{
	u64 address = virt_to_phys(pvc_wall_page);
	u64 before;
	int err;

	/* Neither a suspend nor a migration to another CPU shall find our address there for long. */
	preempt_disable();
	err = rdmsrq_safe(MSR_KVM_WALL_CLOCK_NEW, &before);
	if (!err)
		err = wrmsr_safe(MSR_KVM_WALL_CLOCK_NEW, (u32)address, (u32)(address >> 32));
	if (!err)
		err = wrmsr_safe(MSR_KVM_WALL_CLOCK_NEW, (u32)before, (u32)(before >> 32));
	preempt_enable();
	return err ? -EIO : 0;
}

/**
 * pvc_wall_epoch() - the host's CLOCK_REALTIME at the start of the guest's clock
 * @epoch: receives it, ns
 *
 * Three exits.
 *
 * Context: process context, may sleep.
 * Return: 0, -EOPNOTSUPP if the host cannot tell, -EIO if what it tells makes no sense.
 */
int pvc_wall_epoch(u64 *epoch)
{
	u32 version, seconds, ns;
	int err;

	if (!pvc_wall_page)
		return -EOPNOTSUPP;
	mutex_lock(&pvc_wall_lock);
	/* An answer that does not come is seen. */
	WRITE_ONCE(pvc_wall_page->nsec, U32_MAX);
	err = pvc_wall_ask();
	version = READ_ONCE(pvc_wall_page->version);
	seconds = READ_ONCE(pvc_wall_page->sec);
	ns = READ_ONCE(pvc_wall_page->nsec);
	mutex_unlock(&pvc_wall_lock);
	if (err)
		return err;
	if ((version & 1) || !seconds || ns >= NSEC_PER_SEC)
		return -EIO;
	*epoch = (u64)seconds * NSEC_PER_SEC + ns;
	return 0;
}

/**
 * pvc_wall_init() - module init
 * @features: what the host offers, bits by number of KVM_FEATURE_
 *
 * Return: 0, also if the host has no such page; -ENOMEM.
 */
int pvc_wall_init(u32 features)
{
	/* Never the old registers: a write to their other one takes the stable bit away. */
	if (!(features & BIT(KVM_FEATURE_CLOCKSOURCE2)))
		return 0;
	/* Of its size and so aligned to it: within one page. */
	pvc_wall_page = kzalloc(roundup_pow_of_two(sizeof(*pvc_wall_page)), GFP_KERNEL);
	return pvc_wall_page ? 0 : -ENOMEM;
}

/**
 * pvc_wall_exit() - module exit
 *
 * Context: nobody asks any more.
 */
void pvc_wall_exit(void)
{
	kfree(pvc_wall_page);
	pvc_wall_page = NULL;
}
