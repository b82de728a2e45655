// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages of our own, where the kernel runs without kvm-clock (booted with no-kvmclock): one
 * for each CPU, registered with the host while that CPU runs and taken back before anybody
 * else may get the memory. Never beside the kernel's: the host knows one page a CPU.
 *
 * A CPU has its page from the last steps of its coming to the first steps of its going.
 * Before and after that it reads the page of another one, which is right as far as the
 * TSCs of both agree; where they do not, the clamp keeps time from going back.
 */
#include <vrh/log.h>

#include <linux/cache.h>
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/cpumask.h>
#include <linux/io.h>
#include <linux/kvm_para.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/rcupdate.h>
#include <linux/reboot.h>
#include <linux/smp.h>
#include <asm/msr.h>

#include "compat.h"

#include "pvclock_rh.h"

/* A page, which the host writes in its own time: no two in a cache line. */
struct pvc_own_slot {
	struct pvclock_vcpu_time_info page;
} ____cacheline_aligned;

/* Of all possible CPUs; aligned, so that none crosses a page of memory. */
static struct pvc_own_slot *pvc_own_slots;
static size_t pvc_own_size;

/* What this CPU reads; NULL while the host does not write its page. */
static DEFINE_PER_CPU(const struct pvclock_vcpu_time_info *, pvc_own_page);

/* What a CPU without one reads. */
static const struct pvclock_vcpu_time_info *pvc_own_other;

/* The lot is being given back: no CPU that comes gets one any more. */
static bool pvc_own_closed;

/* The host did not take a page: the last error. */
static int pvc_own_err;

/* The host still has an address of ours on some CPU: the memory must stay. */
static bool pvc_own_stuck;

static enum cpuhp_state pvc_own_state;

/**
 * pvc_own_this_cpu() - the page that the running CPU reads
 *
 * Context: preemption disabled; any context, also NMI.
 * Return: a page, NULL if there is none.
 */
notrace const struct pvclock_vcpu_time_info *pvc_own_this_cpu(void)
{
	return this_cpu_read(pvc_own_page) ?: READ_ONCE(pvc_own_other);
}

/**
 * pvc_own_of() - a CPU's page
 * @cpu: its number
 *
 * Context: until pvc_own_stop().
 * Return: the page; NULL while the host does not write it.
 */
const struct pvclock_vcpu_time_info *pvc_own_of(unsigned int cpu)
{
	return READ_ONCE(per_cpu(pvc_own_page, cpu));
}

static int pvc_own_write(u64 value)
{
	return wrmsr_safe(MSR_KVM_SYSTEM_TIME_NEW, (u32)value, (u32)(value >> 32)) ? -EIO : 0;
}

/* The host writes the running CPU's page before the next instruction, and from then on. */
static void pvc_own_register(void)
{
	struct pvc_own_slot *slot = &pvc_own_slots[raw_smp_processor_id()];
	int err;

	if (READ_ONCE(pvc_own_closed))
		return;
	/* It may have one of the firmware's, which SeaBIOS leaves there; that has had its time. */
	err = pvc_own_write(virt_to_phys(slot) | 1);
	if (!err && !READ_ONCE(slot->page.version))
		err = -ENODEV;
	if (err) {
		WRITE_ONCE(pvc_own_err, err);
		return;
	}
	this_cpu_write(pvc_own_page, &slot->page);
	if (!READ_ONCE(pvc_own_other))
		WRITE_ONCE(pvc_own_other, &slot->page);
}

/*
 * The host writes the running CPU's page no more. What is in it stays good for reading
 * until the host changes its clock.
 */
static void pvc_own_release(void)
{
	u64 now;

	if (rdmsrq_safe(MSR_KVM_SYSTEM_TIME_NEW, &now) ||
	    now != (virt_to_phys(&pvc_own_slots[raw_smp_processor_id()]) | 1))
		return;
	if (pvc_own_write(0))
		WRITE_ONCE(pvc_own_stuck, true);
}

/* Coming and going of CPUs, on the CPU itself */

static int pvc_own_cpu_up(unsigned int cpu)
{
	pvc_own_register();
	/* A CPU is worth more than its page. */
	return 0;
}

static int pvc_own_cpu_down(unsigned int cpu)
{
	const struct pvclock_vcpu_time_info *gone = this_cpu_read(pvc_own_page), *other = NULL;
	unsigned int i;

	this_cpu_write(pvc_own_page, NULL);
	/* The others of those that are left know of the host's next change. */
	for_each_online_cpu(i)
		if (!other && i != cpu)
			other = READ_ONCE(per_cpu(pvc_own_page, i));
	if (READ_ONCE(pvc_own_other) == gone && other)
		WRITE_ONCE(pvc_own_other, other);
	pvc_own_release();
	return 0;
}

/* Suspend: the last CPU does not go */

/* After hibernation the memory may be another kernel's. */
static int pvc_own_suspend(void)
{
	pvc_own_release();
	return 0;
}

/**
 * pvc_own_resume() - register the page of the CPU that wakes the others
 *
 * The host has forgotten it, or has that of a kernel that loaded this one's image. Twice
 * does no harm: the timekeeper needs it before most others are told.
 *
 * Context: the first CPU of a resume, interrupts off.
 */
void pvc_own_resume(void)
{
	if (!pvc_own_slots)
		return;
	pvc_own_register();
}

VRH_DEFINE_SYSCORE(pvc_own_syscore, pvc_own_suspend, pvc_own_resume);

/* Reboot and kexec: the next kernel gets the memory */

static void pvc_own_release_here(void *unused)
{
	pvc_own_release();
}

static int pvc_own_reboot(struct notifier_block *nb, unsigned long action, void *command)
{
	WRITE_ONCE(pvc_own_closed, true);
	/* No CPU is on its way. */
	cpus_read_lock();
	on_each_cpu(pvc_own_release_here, NULL, 1);
	cpus_read_unlock();
	return NOTIFY_DONE;
}

static struct notifier_block pvc_own_reboot_block = { .notifier_call = pvc_own_reboot };

/* Life */

static void pvc_own_free(void)
{
	if (pvc_own_stuck)
		pr_err("the host did not take back the address of a clock page: %zu bytes stay allocated\n",
		       pvc_own_size);
	else
		free_pages_exact(pvc_own_slots, pvc_own_size);
	pvc_own_slots = NULL;
}

/**
 * pvc_own_start() - get pages for all CPUs
 *
 * Context: process context, may sleep.
 * Return: 0, -ENOMEM, -ENODEV if the host does not write them, or another negative error
 * code.
 */
int pvc_own_start(void)
{
	int ret;

	pvc_own_size = PAGE_ALIGN(nr_cpu_ids * sizeof(*pvc_own_slots));
	pvc_own_slots = alloc_pages_exact(pvc_own_size, GFP_KERNEL | __GFP_ZERO);
	if (!pvc_own_slots)
		return -ENOMEM;
	pvc_own_closed = false;
	pvc_own_stuck = false;
	pvc_own_err = 0;
	ret = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "x86/pvclock_rh:online", pvc_own_cpu_up,
				pvc_own_cpu_down);
	if (ret < 0) {
		pvc_own_free();
		return ret;
	}
	pvc_own_state = ret;
	register_reboot_notifier(&pvc_own_reboot_block);
	vrh_register_syscore(&pvc_own_syscore);
	ret = READ_ONCE(pvc_own_err);
	if (ret)
		pvc_own_stop();
	return ret;
}

/**
 * pvc_own_stop() - give the pages back
 *
 * Context: process context, may sleep; nobody starts a reading any more.
 */
void pvc_own_stop(void)
{
	if (!pvc_own_slots)
		return;
	vrh_unregister_syscore(&pvc_own_syscore);
	unregister_reboot_notifier(&pvc_own_reboot_block);
	cpuhp_remove_state(pvc_own_state);
	WRITE_ONCE(pvc_own_other, NULL);
	synchronize_rcu();
	pvc_own_free();
}
