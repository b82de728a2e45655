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

/**
 * struct pvc_seen - a CPU's last look at its page, by that CPU's ticks
 * @reading: what it saw; version 0 before the first look
 * @jumped: pvc_jumped at that time, ns
 */
struct pvc_seen {
	struct pvc_reading reading;
	s64 jumped;
};

static DEFINE_PER_CPU(struct pvc_seen, pvc_seen);

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
static struct pvc_reading pvc_latest;	/* of any CPU */
static s64 pvc_jumped;			/* all jumps so far, ns */
static unsigned long pvc_asked;		/* when real time was last asked for, jiffies */
static bool pvc_unasked;		/* a page was written since */

static atomic64_t pvc_paused = ATOMIC64_INIT(0);
static atomic64_t pvc_lost = ATOMIC64_INIT(0);

/* The work's own: real time at the clock's start, ns, and the clock when that was asked, ns. */
static u64 pvc_epoch;
static u64 pvc_epoch_at;
static bool pvc_epoch_known;

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
 * Compares a page that was written again with what it was. What other CPUs' pages have
 * told already is not found again: of jumps what they had in between is taken off, and
 * of the rest what all know.
 */
static bool pvc_compare(const struct pvc_seen *seen, struct pvc_found *found)
{
	const struct pvc_reading *before = &seen->reading;
	const struct pvc_reading *after = &found->after;
	s64 jump = pvc_jump(before, after) - (pvc_jumped - seen->jumped);

	found->tsc_back = after->tsc_timestamp < before->tsc_timestamp &&
			  after->tsc_timestamp < pvc_latest.tsc_timestamp;
	found->jump = abs(jump) > pvc_jump_min(before, after) ? jump : 0;
	found->rate = pvc_rate_differs(after, before) && pvc_rate_differs(after, &pvc_latest);
	found->flipped = pvc_stable_differs(after, before) &&
			 pvc_stable_differs(after, &pvc_latest);
	return found->jump || found->rate || found->flipped || found->tsc_back;
}

/* Acting on it, where one may sleep */

/* How far real time moved against the clock since it was last asked for. */
static void pvc_ask_epoch(u64 clock, struct pvc_change *c)
{
	bool known = pvc_epoch_known;
	u64 before = pvc_epoch;

	pvc_epoch_known = !pvc_wall_epoch(&pvc_epoch);
	c->epoch_known = known && pvc_epoch_known;
	c->epoch = pvc_epoch - before;
	c->epoch_error = pvc_epoch_error(clock > pvc_epoch_at ? clock - pvc_epoch_at : 0);
	pvc_epoch_at = clock;
}

/* Tells of an event, and does what is to be done about it. */
static void pvc_say(struct pvclock_rh_event *event, const struct pvc_found *found)
{
	pvc_event_tell(event);
	pvc_react(event, found->tsc_back);
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

	pvc_ask_epoch(r->ns, &c);
	if (!found->written)
		return;
	if (pvc_classify(&c, &event.class, &event.downtime_ns))
		pvc_say(&event, found);
	event.jump_ns = 0;
	event.downtime_ns = 0;
	if (found->rate) {
		event.class = PVCLOCK_RH_RATE;
		pvc_say(&event, found);
	}
	if (found->flipped) {
		event.class = PVCLOCK_RH_STABLE;
		pvc_say(&event, found);
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

/* The running CPU's page is another than it was. */
static void pvc_look(struct pvc_seen *seen)
{
	struct pvc_found found = { .written = true };
	bool first = !seen->reading.version;
	bool news;

	/* Not whole: the next tick looks again. */
	if (!pvc_page_read(&found.after))
		return;
	news = !first && pvc_compare(seen, &found);
	pvc_jumped += found.jump;
	if (found.jump < 0)
		atomic64_add(-found.jump, &pvc_paused);
	seen->reading = found.after;
	seen->jumped = pvc_jumped;
	pvc_latest = found.after;
	if (!first) {
		this_cpu_inc(pvc_rebases);
		pvc_unasked = true;
	}
	if (news && !pvc_put(&found))
		atomic64_inc(&pvc_lost);
}

/*
 * Mostly a look at the page, and at jiffies. Nobody may ask for the time in here, and no
 * lock may be taken under which somebody does.
 */
static int pvc_tick(struct notifier_block *nb, unsigned long was_set, void *timekeeper)
{
	struct pvc_seen *seen = this_cpu_ptr(&pvc_seen);
	struct pvc_found found = { };
	unsigned long age;

	pvc_clocksource_tick(timekeeper);
	if (unlikely(pvc_page_version() != seen->reading.version))
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

/**
 * pvclock_rh_paused_ns() - how long the clock has stood still
 *
 * While the host kept the whole guest from running. Who waits for the host measures with
 * this by how much longer he has to: a guest that runs on the TSC has its timers expire
 * after a pause. It is counted before they do.
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
	struct pvc_reading r;

	/* Not while tasks are frozen for a suspend: what it tells is for programs. */
	pvc_wq = alloc_workqueue("%s", WQ_UNBOUND | WQ_FREEZABLE, 1, KBUILD_MODNAME);
	if (!pvc_wq)
		return -ENOMEM;
	if (!pvc_page_sample(&r))
		pvc_ask_epoch(r.ns, &unused);
	pvc_asked = jiffies;
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
	irq_work_sync(&pvc_irq_work);
	destroy_workqueue(pvc_wq);
}
