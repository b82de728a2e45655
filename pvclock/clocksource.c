// SPDX-License-Identifier: GPL-2.0-only
/*
 * The clocksource kvm-clock-rh: turns readings of the kernel's pvclock pages
 * into a time that never goes back, and registers it with the timekeeping core.
 * Owns the clamp and the counters; knows nothing about where pages come from.
 */
#include <vrh/log.h>

#include <linux/cache.h>
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/time64.h>

#include "compat.h"

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
	if (unlikely(!pvc_page_read(r))) {
		/*
		 * The clock stands still until the page is whole. Not zero or
		 * some time long past: where the core reads a time before its
		 * last one, it lets no time pass, but may count from there (it
		 * does when somebody sets the clock), and the next good reading
		 * would be a jump ahead by the whole difference.
		 */
		this_cpu_inc(pvc_stats.unreadable);
		*ns = pvc_clamp(&pvc_last, 0);
		goto out;
	}

	if (unlikely(r->behind))
		this_cpu_inc(pvc_stats.tsc_behind);

	if (likely(pvc_page_stable(r)))
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

static u64 notrace pvc_cs_read(struct clocksource *cs)
{
	struct pvc_reading r;
	u64 ns;

	pvc_now(&r, &ns);
	return ns;
}

/*
 * The pair (time, TSC) is a promise that the one was computed from the other;
 * it is made only when that is so.
 */
static u64 pvc_cs_read_snapshot(struct clocksource *cs, struct clocksource_hw_snapshot *chs)
{
	struct pvc_reading r;
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
	/* The vDSO would read a page that may not be mapped: SIGBUS for every program. */
	.vdso_clock_mode = VDSO_CLOCKMODE_NONE,
	.enable = pvc_cs_enable,
	.resume = pvc_cs_resume,
	/* Holds the module while the clock is current. */
	.owner = THIS_MODULE,
};

/**
 * pvc_clocksource_register() - offer the clock to the timekeeping core
 * @rating: the core chooses the highest rated clocksource by itself
 *
 * Context: process context.
 * Return: 0 or a negative error code.
 */
int pvc_clocksource_register(int rating)
{
	pvc_clocksource.rating = rating;
	vrh_clocksource_set_read_snapshot(&pvc_clocksource, pvc_cs_read_snapshot);
	return clocksource_register_hz(&pvc_clocksource, NSEC_PER_SEC);
}

/**
 * pvc_clocksource_unregister() - take the clock back
 *
 * Does nothing if the administrator unbound it already. The core refuses a
 * clock that is current, but then the module has a reference and this is not
 * reached; a module on its way out does not become current. And it refuses the
 * watchdog of other clocksources that nobody can replace. 7.3 makes no clock
 * with these flags a watchdog; 6.1 and 6.12 may, with a high rating, and replace
 * it by kvm-clock or at last by jiffies. So it ends at the first try unless an
 * administrator has unbound all of those. Then a timer reads this clock at any
 * time, an exit cannot fail, and to wait for another one is the only way out
 * that does not crash.
 *
 * A task may have been preempted inside a read while the clock was current,
 * and the switch to another clock does not wait for it. The code must stay
 * until every task has left it, which synchronize_rcu() alone does not tell.
 *
 * Context: process context, may sleep.
 */
void pvc_clocksource_unregister(void)
{
	bool said = false;
	int err;

	while ((err = clocksource_unregister(&pvc_clocksource))) {
		if (!said)
			pr_err("clocksource %s watches over the others and nothing can replace it (error %d), probably because all others were unbound: unloading waits until there is another clocksource\n",
			       PVC_NAME, err);
		said = true;
		msleep(1000);
	}
	synchronize_rcu_tasks();
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
