// SPDX-License-Identifier: GPL-2.0-only
/*
 * Finds out that the host did something to the clock: it has then written the page of a
 * CPU again. Each tick looks whether it did, one load. What happened is worked out where
 * one may sleep, and told by events_dev.c. Knows pages through pages.c only.
 */
#include <vrh/log.h>

#include <linux/irq_work.h>
#include <linux/jiffies.h>
#include <linux/kfifo.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/percpu.h>
#include <linux/pvclock_gtod.h>
#include <linux/workqueue.h>

#include "compat.h"

#include "event_math.h"
#include "pvclock_rh.h"

/*
 * How often the difference of real time and the clock is looked at though nothing
 * happened, jiffies: what the host's clocks drift apart in that time, 30 ms at worst, is
 * how exactly the length of a restore is known.
 */
#define PVC_EPOCH_PERIOD (60 * HZ)

/*
 * A host without the stable bit writes pages again whenever a virtual CPU moves; whether
 * real time moved, which are three exits, is asked so often at most, jiffies.
 */
#define PVC_EPOCH_SPACING (HZ / 2)

/* What ticks may find before the work has come to act on it: a host that does more lies. */
#define PVC_FOUND_MAX 16

/*
 * A CPU's last look at its page, by that CPU's ticks; version 0 before the first one. Only
 * the CPU that keeps the time looks, and that may be another one after hours: so a page is
 * held against the last that any CPU saw, and against this only where CPUs' pages differ.
 */
static DEFINE_PER_CPU(struct pvc_reading, pvc_seen);

/* Pages found to be written again, by that CPU's ticks. */
static DEFINE_PER_CPU(unsigned long, pvc_rebases);

/**
 * struct pvc_found - what a tick found and the work acts on
 * @after: the page as it is now
 * @jump: how far the clock moved against the TSC, ns; 0 if not far
 * @written: the host wrote the page; else real time is asked for because it is long ago
 * @rate: the frequency changed
 * @flipped: the stable bit changed
 * @tsc_back: the TSC is before where it was
 */
struct pvc_found {
	struct pvc_reading after;
	s64 jump;
	bool written;
	bool rate;
	bool flipped;
	bool tsc_back;
};

/* Put in by ticks, which the timekeeper's lock keeps apart; taken out by the work alone. */
static DEFINE_KFIFO(pvc_found, struct pvc_found, PVC_FOUND_MAX);

/* The ticks' own, under the same lock. */
static struct pvc_reading pvc_latest;	/* of any CPU; version 0: none yet */
static bool pvc_asleep;			/* what is seen now is not held against before */
static unsigned long pvc_asked;		/* when real time was last asked for, jiffies */
static bool pvc_unasked;		/* a page was written since */

static atomic64_t pvc_paused = ATOMIC64_INIT(0);
static atomic64_t pvc_lost = ATOMIC64_INIT(0);

/* The work's own: real time at the clock's start, ns, and the clock when that was asked, ns. */
static u64 pvc_epoch;
static u64 pvc_epoch_at;
static bool pvc_epoch_known;
static bool pvc_epoch_doubtful;		/* it moved, though no page was written */

static struct workqueue_struct *pvc_wq;

static bool pvc_rate_differs(const struct pvc_reading *a, const struct pvc_reading *b)
{
	return a->mul != b->mul || a->shift != b->shift;
}

static bool pvc_stable_differs(const struct pvc_reading *a, const struct pvc_reading *b)
{
	return pvc_page_stable(a) != pvc_page_stable(b);
}

/*
 * Compares a page that was written again with the last one of any CPU: all tell the same
 * time, to some microseconds. @own is what this CPU saw last, if it saw one.
 */
static bool pvc_compare(const struct pvc_reading *own, struct pvc_found *found)
{
	const struct pvc_reading *before = &pvc_latest, *after = &found->after;
	s64 jump = pvc_jump(before, after);

	if (!own->version)
		own = before;
	found->tsc_back = after->tsc_timestamp < own->tsc_timestamp &&
			  after->tsc_timestamp < before->tsc_timestamp;
	found->jump = abs(jump) > pvc_jump_min(before, after) ? jump : 0;
	found->rate = pvc_rate_differs(after, own) && pvc_rate_differs(after, before);
	found->flipped = pvc_stable_differs(after, own) && pvc_stable_differs(after, before);
	return found->jump || found->rate || found->flipped || found->tsc_back;
}

/* Acting on it, where one may sleep */

/*
 * How far real time moved against the clock since it was last asked for. If it moved though
 * no page was written, a tick is about to find one that was, and will ask for the length of
 * it; or the host's real time was set, and then it is still so the next time.
 */
static void pvc_ask_epoch(bool written, struct pvc_change *c)
{
	struct pvc_reading r;
	u64 epoch;

	if (pvc_wall_epoch(&epoch) || pvc_page_sample(&r))
		return;
	c->epoch_known = pvc_epoch_known;
	c->epoch = epoch - pvc_epoch;
	c->epoch_error = pvc_epoch_error(r.ns > pvc_epoch_at ? r.ns - pvc_epoch_at : 0);
	if (!written && c->epoch_known && !pvc_epoch_doubtful &&
	    (c->epoch == S64_MIN || abs(c->epoch) > c->epoch_error)) {
		pvc_epoch_doubtful = true;
		return;
	}
	pvc_epoch = epoch;
	pvc_epoch_at = r.ns;
	pvc_epoch_known = true;
	pvc_epoch_doubtful = false;
}

/* Tells of an event, and does what is to be done about it. */
static void pvc_say(struct pvclock_rh_event *event, bool tsc_back)
{
	pvc_event_tell(event);
	pvc_react(event, tsc_back);
}

static void pvc_act(const struct pvc_found *found)
{
	const struct pvc_reading *r = &found->after;
	struct pvclock_rh_event event = {
		.stable = pvc_page_stable(r),
		.tsc_khz = pvc_tsc_khz(r->mul, r->shift),
		.clock_ns = r->ns,
		.jump_ns = found->jump,
	};
	struct pvc_change c = { .jump = found->jump, .tsc_back = found->tsc_back };

	pvc_ask_epoch(found->written, &c);
	if (!found->written)
		return;
	if (pvc_classify(&c, &event.class, &event.downtime_ns))
		pvc_say(&event, found->tsc_back);
	event.jump_ns = 0;
	event.downtime_ns = 0;
	if (found->rate) {
		event.class = PVCLOCK_RH_RATE;
		pvc_say(&event, false);
	}
	if (found->flipped) {
		event.class = PVCLOCK_RH_STABLE;
		pvc_say(&event, false);
	}
}

static void pvc_events_work(struct work_struct *work)
{
	struct pvc_found found;

	while (kfifo_get(&pvc_found, &found))
		pvc_act(&found);
}

static DECLARE_WORK(pvc_work, pvc_events_work);

/* No work can be queued where the time may not be asked for: waking a task does that. */
static void pvc_wake_work(struct irq_work *work)
{
	queue_work(pvc_wq, &pvc_work);
}

static DEFINE_IRQ_WORK(pvc_irq_work, pvc_wake_work);

/* Finding out, in the timekeeper's updates: under its lock, with interrupts off */

static bool pvc_put(const struct pvc_found *found)
{
	if (!kfifo_put(&pvc_found, *found))
		return false;
	pvc_asked = jiffies;
	pvc_unasked = false;
	irq_work_queue(&pvc_irq_work);
	return true;
}

/* The clock stood still so long, ns; a host that lies does not make the sum less. */
static void pvc_pause(s64 jump)
{
	u64 ns = jump == S64_MIN ? S64_MAX : -jump;

	atomic64_set(&pvc_paused, min_t(u64, atomic64_read(&pvc_paused) + ns, S64_MAX));
}

/* The running CPU's page is another than it was. */
static void pvc_look(struct pvc_reading *seen)
{
	struct pvc_found found = { .written = true };
	bool first = !pvc_latest.version;
	bool news;

	/* Not whole: the next tick looks again. */
	if (!pvc_page_read(&found.after))
		return;
	news = !first && pvc_compare(seen, &found);
	if (found.jump < 0)
		pvc_pause(found.jump);
	if (seen->version) {
		this_cpu_inc(pvc_rebases);
		pvc_unasked = true;
	}
	*seen = found.after;
	pvc_latest = found.after;
	if (news && !pvc_put(&found))
		atomic64_inc(&pvc_lost);
}

/*
 * Mostly a look at the page, and at jiffies. Nobody may ask for the time in here, and no
 * lock may be taken under which somebody does.
 */
static int pvc_tick(struct notifier_block *nb, unsigned long was_set, void *timekeeper)
{
	struct pvc_reading *seen = this_cpu_ptr(&pvc_seen);
	struct pvc_found found = { };
	unsigned long age;

	pvc_clocksource_tick(timekeeper);
	if (unlikely(READ_ONCE(pvc_asleep)))
		return NOTIFY_DONE;
	if (unlikely(pvc_page_version() != seen->version))
		pvc_look(seen);
	age = jiffies - pvc_asked;
	if (likely(age <= PVC_EPOCH_SPACING))
		return NOTIFY_DONE;
	/* A page that was written may mean that real time moved. Else it is asked now and then. */
	if (pvc_unasked || age > PVC_EPOCH_PERIOD) {
		found.written = pvc_unasked;
		found.after = pvc_latest;
		pvc_put(&found);
	}
	return NOTIFY_DONE;
}

static struct notifier_block pvc_tick_block = { .notifier_call = pvc_tick };

/*
 * Suspend and hibernation: what wakes up may be on another host, with another TSC, and how
 * long it slept the kernel knows. So nothing is held against what was before. Called on the
 * last CPU with tasks frozen, and the work with them.
 */
static int pvc_events_suspend(void)
{
	WRITE_ONCE(pvc_asleep, true);
	return 0;
}

static void pvc_events_resume(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		*per_cpu_ptr(&pvc_seen, cpu) = (struct pvc_reading){ };
	pvc_latest = (struct pvc_reading){ };
	pvc_epoch_known = false;
	pvc_unasked = false;
	pvc_asked = jiffies - PVC_EPOCH_PERIOD;
	WRITE_ONCE(pvc_asleep, false);
}

VRH_DEFINE_SYSCORE(pvc_events_syscore, pvc_events_suspend, pvc_events_resume);

/**
 * pvclock_rh_paused_ns() - how long the clock has stood still
 *
 * While the host kept the whole guest from running. Who waits for the host measures with
 * this by how much longer he has to: a guest that runs on the TSC has its timers expire
 * after a pause. It is counted by the first tick after it; timers that expire in that moment
 * may be earlier. A TSC that was moved ahead counts too: nobody can tell it in time.
 *
 * Context: any.
 * Return: ns since the module was loaded; never less than before.
 */
u64 pvclock_rh_paused_ns(void)
{
	return atomic64_read(&pvc_paused);
}
EXPORT_SYMBOL_GPL(pvclock_rh_paused_ns);

/**
 * pvc_events_lost() - events that came faster than they could be told
 *
 * Return: how many since the module was loaded.
 */
u64 pvc_events_lost(void)
{
	return atomic64_read(&pvc_lost);
}

/**
 * pvc_events_rebases() - how often the host has written a page again
 *
 * Return: sum of all CPUs, as far as a tick saw it, since the module was loaded.
 */
u64 pvc_events_rebases(void)
{
	unsigned int cpu;
	u64 sum = 0;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu(pvc_rebases, cpu));
	return sum;
}

/**
 * pvc_events_start() - look at the clock at each tick from now on
 *
 * Context: process context.
 * Return: 0 or -ENOMEM.
 */
int pvc_events_start(void)
{
	struct pvc_change unused;

	/* Not while tasks are frozen for a suspend: what it tells is for programs. */
	pvc_wq = alloc_workqueue("%s", WQ_UNBOUND | WQ_FREEZABLE, 1, KBUILD_MODNAME);
	if (!pvc_wq)
		return -ENOMEM;
	pvc_ask_epoch(true, &unused);
	pvc_asked = jiffies;
	vrh_register_syscore(&pvc_events_syscore);
	pvclock_gtod_register_notifier(&pvc_tick_block);
	return 0;
}

/**
 * pvc_events_stop() - look no more
 *
 * Context: process context, may sleep. No tick is in here when the lock that
 * unregistering takes was had.
 */
void pvc_events_stop(void)
{
	pvclock_gtod_unregister_notifier(&pvc_tick_block);
	vrh_unregister_syscore(&pvc_events_syscore);
	irq_work_sync(&pvc_irq_work);
	destroy_workqueue(pvc_wq);
}
