// SPDX-License-Identifier: GPL-2.0-only
/*
 * The clocksource kvm-clock-rh: turns readings of the kernel's pvclock pages
 * into a time that never goes back, and registers it with the timekeeping core.
 * Owns the clamp and the counters; knows nothing about where pages come from.
 */
#include <vrh/log.h>

#include <linux/cache.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/string.h>
#include <linux/suspend.h>
#include <linux/time64.h>
#include <linux/timekeeper_internal.h>
#include <linux/timekeeping.h>

#include "compat.h"
#include <vrh/param.h>

#include "page_read.h"
#include "pvclock_rh.h"

/*
 * The times handed out, as pvc_note() and pvc_clamp() keep them. Without the
 * stable bit every read on every CPU writes it: a line of its own.
 */
static atomic64_t pvc_last ____cacheline_aligned_in_smp = ATOMIC64_INIT(PVC_SETTLED);

/* Written by their own CPU with single instructions, so an NMI may interfere. */
static DEFINE_PER_CPU(struct pvc_stats, pvc_stats);

/*
 * Both kinds of read. @r is for the caller that wants the TSC too.
 * Return: true if the returned time was computed from @r->tsc and is not some
 * other value that had to stand in for it.
 */
static __always_inline bool pvc_now(struct pvc_reading *r, u64 *ns)
{
	bool exact = false;

	preempt_disable_notrace();
	if (unlikely(!pvc_page_read_inline(r))) {
		/*
		 * The clock stands still until the page is whole. Not zero or
		 * some time long past: where the core reads a time before its
		 * last one, it lets no time pass, but may count from there (it
		 * does when somebody sets the clock), and the next good reading
		 * would be a jump ahead by the whole difference.
		 */
		this_cpu_inc(pvc_stats.unreadable);
		*ns = pvc_clamp_slow(&pvc_last, 0);
		goto out;
	}

	if (unlikely(r->behind))
		this_cpu_inc(pvc_stats.tsc_behind);

	if (likely(pvc_page_stable_inline(r)))
		*ns = pvc_note(&pvc_last, r->ns);
	else
		*ns = pvc_clamp(&pvc_last, r->ns);
	if (unlikely(*ns != r->ns))
		this_cpu_inc(pvc_stats.clamp_hits);
	else
		exact = !r->behind;
out:
	if (unlikely(r->retries))
		this_cpu_add(pvc_stats.retries, r->retries);
	preempt_enable_notrace();
	return exact;
}

/**
 * pvclock_rh_now() - the clock
 *
 * Whatever the current clocksource is.
 *
 * Context: any, also NMI. Not traced.
 * Return: ns since the virtual machine's start; never less than before.
 */
u64 notrace pvclock_rh_now(void)
{
	/* Kernels that zero the stack would do so for each read, which costs a tenth of it. */
	struct pvc_reading r __uninitialized;
	u64 ns;

	pvc_now(&r, &ns);
	return ns;
}
EXPORT_SYMBOL_GPL(pvclock_rh_now);

static u64 notrace pvc_cs_read(struct clocksource *cs)
{
	return pvclock_rh_now();
}

/*
 * The pair (time, TSC) is a promise that the one was computed from the other;
 * it is made only when that is so.
 */
static u64 pvc_cs_read_snapshot(struct clocksource *cs, struct clocksource_hw_snapshot *chs)
{
	struct pvc_reading r __uninitialized;
	u64 ns;

	if (likely(pvc_now(&r, &ns))) {
		chs->hw_cycles = r.tsc;
		chs->hw_csid = CSID_X86_TSC;
	} else {
		chs->hw_cycles = 0;
		chs->hw_csid = CSID_GENERIC;
	}
	return ns;
}

/*
 * The core reads the clock right after this and takes the value for the start
 * of its interval, with the machine stopped. A stand-in value would become a
 * jump, so a clock that cannot be read now cannot be chosen.
 */
static int pvc_cs_enable(struct clocksource *cs)
{
	struct pvc_reading r;

	return pvc_page_sample(&r);
}

/*
 * A guest that was hibernated continues on another host clock, which may be
 * behind the old one; the clamp would hold the time until it has caught up.
 */
static void pvc_cs_resume(struct clocksource *cs)
{
	/* The core reads the clock right after this. */
	pvc_own_resume();
	atomic64_set(&pvc_last, PVC_SETTLED);
}

/*
 * Flags: not CLOCK_SOURCE_IS_CONTINUOUS, which would set VALID_FOR_HRES and, on
 * 7.3, make this a candidate for watching other clocksources. A time computed
 * from the TSC proves nothing about the TSC; and the core refuses to give up
 * its last watchdog, which a module on its way out could not bear.
 *
 * id: the values are those of kvm-clock, so cross timestamps that ptp_kvm and
 * ptp_vmclock make for kvm-clock fit.
 */
static struct clocksource pvc_clocksource = {
	.name = PVC_NAME,
	.read = pvc_cs_read,
	.mask = CLOCKSOURCE_MASK(64),
	.flags = CLOCK_SOURCE_VALID_FOR_HRES,
	.id = CSID_X86_KVM_CLK,
	/* Until it is known that programs have the page: see pvc_clocksource_tick(). */
	.vdso_clock_mode = VDSO_CLOCKMODE_NONE,
	.enable = pvc_cs_enable,
	.resume = pvc_cs_resume,
	/* Holds the module while the clock is current. */
	.owner = THIS_MODULE,
};

enum { PVC_VDSO_AUTO, PVC_VDSO_ON, PVC_VDSO_OFF };

static const char *const pvc_vdso_words[] = { "auto", "on", "off", NULL };

VRH_PARAM_CHOICE(vdso, PVC_VDSO_AUTO, pvc_vdso_words, "auto, on, off", 0444,
		 "programs read the clock themselves while it is stable: on, off: they ask the kernel, auto: on while one CPU runs; with more, time may step back after a pause (default auto)");

/*
 * The vDSO may show the clock to programs. It reads CPU 0's page without asking anybody
 * what was handed out before; so it is used only while the pages are stable and no time
 * that was handed out is ahead of them.
 *
 * And it reads that page on all CPUs. After a pause the host writes a page when its CPU goes
 * on; programs on one that goes on before CPU 0 read a time that is ahead by all of the
 * pause, until that page is written too. kvm-clock has this fault with any program.
 */
static bool pvc_vdso_can;

static bool pvc_vdso_safe(void)
{
	return vdso == PVC_VDSO_ON || num_online_cpus() == 1;
}

/* What the timekeeper's clocksource counts. */
enum pvc_counts { PVC_COUNTS_OTHER, PVC_COUNTS_TSC, PVC_COUNTS_CLOCK };

static struct clocksource *pvc_current;
static enum pvc_counts pvc_current_counts;

/* By name: on 6.1 they have no other. */
static enum pvc_counts pvc_counts(const struct clocksource *cs)
{
	if (cs == &pvc_clocksource || !strcmp(cs->name, "kvm-clock"))
		return PVC_COUNTS_CLOCK;
	return strcmp(cs->name, "tsc") ? PVC_COUNTS_OTHER : PVC_COUNTS_TSC;
}

/**
 * pvc_clocksource_counter() - what the timekeeper's clocksource read at a reading
 * @r: a reading
 * @counter: receives it; the core looks whether that clocksource is still the one
 *
 * Context: any, after a tick.
 * Return: 0, or -EOPNOTSUPP if it reads neither the TSC nor the clock.
 */
int pvc_clocksource_counter(const struct pvc_reading *r, struct system_counterval_t *counter)
{
	switch (READ_ONCE(pvc_current_counts)) {
	case PVC_COUNTS_TSC:
		vrh_set_counter(counter, READ_ONCE(pvc_current), CSID_X86_TSC, r->tsc);
		return 0;
	case PVC_COUNTS_CLOCK:
		vrh_set_counter(counter, READ_ONCE(pvc_current), CSID_X86_KVM_CLK, r->ns);
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

/**
 * pvc_clocksource_tick() - let programs read the clock themselves, or no more
 * @tk: the timekeeper
 *
 * What it decides the core tells the vDSO with its next update.
 *
 * Context: the timekeeper's updates, with interrupts off.
 */
void pvc_clocksource_tick(const struct timekeeper *tk)
{
	bool on = pvc_clocksource.vdso_clock_mode != VDSO_CLOCKMODE_NONE;
	struct pvc_reading r;
	bool stable, want;

	if (unlikely(tk->tkr_mono.clock != pvc_current)) {
		WRITE_ONCE(pvc_current_counts, pvc_counts(tk->tkr_mono.clock));
		WRITE_ONCE(pvc_current, tk->tkr_mono.clock);
	}
	if (!pvc_vdso_can || !pvc_page_read(&r))
		return;
	stable = pvc_page_stable(&r);
	want = stable && pvc_vdso_safe();
	if (on == want)
		return;
	if (want && r.ns < (atomic64_read(&pvc_last) & ~PVC_SETTLED))
		return;
	WRITE_ONCE(pvc_clocksource.vdso_clock_mode,
		   want ? VDSO_CLOCKMODE_PVCLOCK : VDSO_CLOCKMODE_NONE);
}

/**
 * pvc_clocksource_can_vdso() - may programs read the clock themselves while it is stable?
 *
 * Return: true if they may.
 */
bool pvc_clocksource_can_vdso(void)
{
	return pvc_vdso_can;
}

/**
 * pvc_clocksource_vdso() - can programs read the clock themselves now, when it is current?
 *
 * Return: "on", or "off" and why.
 */
const char *pvc_clocksource_vdso(void)
{
	if (READ_ONCE(pvc_clocksource.vdso_clock_mode) != VDSO_CLOCKMODE_NONE)
		return "on";
	if (!pvc_vdso_can)
		return "off: refused";
	return pvc_vdso_safe() ? "off: unstable" : "off: several CPUs";
}

/* Sleep */

/*
 * How long the guest has slept is known to the ns, as the host's clock goes on meanwhile:
 * the core asks the best clocksource that says so of itself, whichever is current. It is
 * one of its own, since it must not be there when the guest is hibernated: another host's
 * clock, or that of a later machine, says nothing of the time between. Then the core asks
 * the RTC. With its rating nobody chooses it for anything else.
 */
static struct clocksource pvc_sleep_clocksource = {
	.name = PVC_NAME "-sleep",
	.rating = 1,
	.read = pvc_cs_read,
	.mask = CLOCKSOURCE_MASK(64),
	.flags = CLOCK_SOURCE_SUSPEND_NONSTOP,
	.vdso_clock_mode = VDSO_CLOCKMODE_NONE,
	.enable = pvc_cs_enable,
	.owner = THIS_MODULE,
};

static int pvc_pm(struct notifier_block *nb, unsigned long action, void *unused)
{
	switch (action) {
	case PM_HIBERNATION_PREPARE:
	case PM_RESTORE_PREPARE:
		clocksource_unregister(&pvc_sleep_clocksource);
		break;
	case PM_POST_HIBERNATION:
	case PM_POST_RESTORE:
		clocksource_register_hz(&pvc_sleep_clocksource, NSEC_PER_SEC);
		break;
	}
	return NOTIFY_DONE;
}

static struct notifier_block pvc_pm_block = { .notifier_call = pvc_pm };

/* Coming and going */

/* The rating of a clock that watches over others, if only as the last: see pvc_pin(). */
#define PVC_RATING_WATCHES 298

/* Registered, and the module held because of that. */
static DEFINE_MUTEX(pvc_register_lock);
static bool pvc_registered;
static bool pvc_pinned;

/*
 * The core refuses to give up a clock that watches over others if nothing can replace it,
 * and an exit cannot fail. With a rating above kvm-clock's it may come to that: then the
 * module stays until the administrator has taken the clock away, who sees the error.
 */
static void pvc_pin(bool on)
{
	lockdep_assert_held(&pvc_register_lock);
	if (on == pvc_pinned)
		return;
	pvc_pinned = on;
	if (on)
		__module_get(THIS_MODULE);
	else
		module_put(THIS_MODULE);
}

static int pvc_register(void)
{
	int err;

	lockdep_assert_held(&pvc_register_lock);
	if (pvc_registered)
		return 0;
	err = clocksource_register_hz(&pvc_clocksource, NSEC_PER_SEC);
	if (err)
		return err;
	err = clocksource_register_hz(&pvc_sleep_clocksource, NSEC_PER_SEC);
	if (!err)
		err = register_pm_notifier(&pvc_pm_block);
	if (err)
		pr_warn("how long the guest sleeps is known to the second only (error %d)\n", err);
	pvc_registered = true;
	pvc_pin(pvc_clocksource.rating > PVC_RATING_WATCHES);
	return 0;
}

/*
 * Does nothing about a clock that the administrator has unbound already. A task may have
 * been preempted inside a read while the clock was current, and the switch to another
 * does not wait for it: so this waits until every task has left, which synchronize_rcu()
 * alone does not tell.
 */
static int pvc_unregister(void)
{
	int err;

	lockdep_assert_held(&pvc_register_lock);
	if (!pvc_registered)
		return 0;
	err = clocksource_unregister(&pvc_clocksource);
	if (err)
		return err;
	unregister_pm_notifier(&pvc_pm_block);
	clocksource_unregister(&pvc_sleep_clocksource);
	synchronize_rcu_tasks();
	pvc_registered = false;
	pvc_pin(false);
	return 0;
}

/**
 * pvc_clocksource_enable() - offer the clock to the timekeeping core, or take it back
 * @on: offer it
 *
 * Context: process context, may sleep.
 * Return: 0; -EBUSY if the clock is current, or watches over others and nothing can
 * replace it; or another negative error code.
 */
int pvc_clocksource_enable(bool on)
{
	int err;

	mutex_lock(&pvc_register_lock);
	err = on ? pvc_register() : pvc_unregister();
	mutex_unlock(&pvc_register_lock);
	return err;
}

/**
 * pvc_clocksource_enabled() - is the clock offered?
 *
 * Return: true if it is.
 */
bool pvc_clocksource_enabled(void)
{
	return READ_ONCE(pvc_registered);
}

/**
 * pvc_clocksource_start() - offer the clock to the timekeeping core
 * @rating: the core chooses the highest rated clocksource by itself
 *
 * Context: process context of a program, which is asked whether it can.
 * Return: 0 or a negative error code.
 */
int pvc_clocksource_start(int rating)
{
	pvc_clocksource.rating = rating;
	pvc_vdso_can = vdso != PVC_VDSO_OFF && pvc_pages_mapped();
	vrh_clocksource_set_read_snapshot(&pvc_clocksource, pvc_cs_read_snapshot);
	return pvc_clocksource_enable(true);
}

/**
 * pvc_clocksource_stop() - take the clock back before the module goes
 *
 * The core refuses a clock that is current, but then the module has a reference and this
 * is not reached; a module on its way out does not become current. And it refuses the
 * watchdog of other clocksources that nobody can replace: see pvc_pin(). With the default
 * rating the clock becomes that only if an administrator has unbound all others. Then a
 * timer reads it at any time, and to wait for another one is the only way out that does
 * not crash.
 *
 * Context: process context, may sleep.
 */
void pvc_clocksource_stop(void)
{
	bool said = false;
	int err;

	while ((err = pvc_clocksource_enable(false))) {
		if (!said)
			pr_err("clocksource %s watches over the others and nothing can replace it (error %d), probably because all others were unbound: unloading waits until there is another clocksource\n",
			       PVC_NAME, err);
		said = true;
		msleep(1000);
	}
}

/**
 * pvc_stats_sum() - add up the counters of all CPUs
 * @sum: receives the sums
 *
 * Context: any.
 */
void pvc_stats_sum(struct pvc_stats *sum)
{
	unsigned int cpu;

	*sum = (struct pvc_stats){ };
	for_each_possible_cpu(cpu) {
		const struct pvc_stats *s = per_cpu_ptr(&pvc_stats, cpu);

		sum->retries += READ_ONCE(s->retries);
		sum->clamp_hits += READ_ONCE(s->clamp_hits);
		sum->tsc_behind += READ_ONCE(s->tsc_behind);
		sum->unreadable += READ_ONCE(s->unreadable);
	}
}
