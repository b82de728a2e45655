// SPDX-License-Identifier: GPL-2.0-only
/*
 * One device of the hostile mode, from its making to its end: what it is and what it
 * does comes from the seed, and when the driver has met that is waited for.
 */
#include <linux/err.h>
#include <linux/jhash.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/log2.h>
#include <linux/workqueue.h>

#include "hostile.h"

/* Actions of a round before the device is plugged, while it is there, and at its end. */
#define SIM_ROUND_EARLY		12
#define SIM_ROUND_MIDST		4000
#define SIM_ROUND_LATE		8
/* What a device still gets after what a driver hardly survives: one burst. */
#define SIM_ROUND_TAIL		SIM_BURST
/* Actions between two waits for the driver; half of them are rules, see SIM_RULES_MAX. */
#define SIM_BURST		64
/* Actions for which the device is stopped once: it may be busy for longer than they take. */
#define SIM_TOGETHER		8
/*
 * The driver has met enough of them when so many rules are left, or it has got so many buffers
 * back. The more rules wait, the more of them each buffer meets: with 16 the time was spent on
 * waiting for the last ones. Some wait for what the driver hardly ever does.
 */
#define SIM_RULES_LEFT		56
#define SIM_BURST_USED		24
/* Rules that nobody met so long would leave no room for others: so many may stay. */
#define SIM_RULES_STAY		(SIM_RULES_MAX - SIM_BURST)
/* A driver that does nothing for so long may wait for what is held, or for an interrupt. */
#define SIM_TICK_MS		12
/* After so many ticks nothing is armed any more, and the next burst comes. */
#define SIM_IDLE_TICKS		25
/* And after so many if it did nothing for the last burst either. */
#define SIM_STILL_TICKS		8
/* It has done what the burst was about, and there is nothing more for it to do. */
#define SIM_SATED_TICKS		4
/* What programs need until they have found a new device, in ticks. */
#define SIM_FOUND_TICKS		250
/* After so many bursts in a row nothing reaches the driver any more. */
#define SIM_DEAD_BURSTS		6
/* A burst is over after so many ticks of a driver at work, whatever rules are left. */
#define SIM_BURST_TICKS		20
/*
 * In probe and remove a driver may wait for an answer that will not come for as long as
 * it likes: then the device is pulled out. Longer than RCU and a queue's freezing take;
 * a driver that is as slow as that has its device pulled out once more often.
 */
#define SIM_PULL_MS		1000
#define SIM_RELENT_MS		100
#define SIM_WATCH_MS		20

/**
 * struct sim_round - a device and what is done to it
 * @h: the run
 * @sim: the device
 * @rnd: chance
 * @counted: what @h has of the device's statistics already
 * @used: buffers used when we looked last
 * @idle: bursts in a row in which the driver did nothing
 * @brief: it was told early what it hardly survives: there is no more than a tail
 * @watch: looks after the driver while we cannot
 * @idle_ms: how long it has done nothing then
 * @pulled: the device was pulled out for that
 */
struct sim_round {
	struct sim_hostile *h;
	struct sim_device *sim;
	struct rnd_state rnd;
	struct sim_stats counted;
	u64 used;
	unsigned int idle;
	bool brief;
	struct delayed_work watch;
	unsigned int idle_ms;
	bool pulled;
};

/* Drawing */

static u64 sim_random64(struct rnd_state *rnd)
{
	u64 high = prandom_u32_state(rnd);

	return high << 32 | prandom_u32_state(rnd);
}

/* Seeds are small numbers, and the first numbers after each are much alike. */
static void sim_round_seed(struct rnd_state *rnd, u64 seed, u64 round)
{
	u64 words[] = { seed, round };
	u64 high = jhash(words, sizeof(words), 0x5652);
	unsigned int i;

	prandom_seed_state(rnd, high << 32 | jhash(words, sizeof(words), 0x5248));
	for (i = 0; i < 16; i++)
		prandom_u32_state(rnd);
}

static void sim_round_options(const struct sim_model *model, struct rnd_state *rnd,
			      struct sim_options *options)
{
	static const u16 sizes[] = { 1, 2, 4, 8, 16, 64, 64, 128, 128, 256, 256, 1024 };
	u64 ring = BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) | BIT_ULL(VIRTIO_RING_F_EVENT_IDX) |
		   BIT_ULL(VIRTIO_F_ACCESS_PLATFORM) | BIT_ULL(VIRTIO_F_RING_PACKED) |
		   BIT_ULL(VIRTIO_F_RING_RESET);
	u64 features = model->features;

	memset(options, 0, sizeof(*options));
	options->id = model->id;
	if (prandom_u32_state(rnd) % 2) {
		features &= sim_random64(rnd);
		features |= model->features & sim_random64(rnd);
	}
	options->features = features | BIT_ULL(VIRTIO_F_VERSION_1);
	options->features |= sim_random64(rnd) & ring;
	if (prandom_u32_state(rnd) % 16)
		options->features &= ~model->rare;
	if (prandom_u32_state(rnd) % 2)
		options->features_hi = model->features_hi;
	options->queue_size = sizes[prandom_u32_state(rnd) % ARRAY_SIZE(sizes)];
	options->pairs = 1 + prandom_u32_state(rnd) % 3;
	options->ports = 1 + prandom_u32_state(rnd) % 6;
	options->suppress = prandom_u32_state(rnd) % 2;
}

static u32 sim_digest_options(u32 digest, const struct sim_options *options, bool surprise)
{
	u64 fields[] = { options->id, options->features, options->features_hi,
			 options->queue_size, options->pairs, options->ports, options->sectors,
			 options->suppress, surprise };

	return jhash(fields, sizeof(fields), digest);
}

static u32 sim_digest_action(u32 digest, const struct sim_action *action)
{
	u64 fields[] = { action->op, action->queue, action->skip, action->count,
			 (u32)action->at, action->width, action->value, action->len };

	digest = jhash(fields, sizeof(fields), digest);
	return jhash(action->bytes, action->len, digest);
}

/* Counting */

/*
 * Adds what has happened to the device since the last time; called when the driver has done
 * something since then, as nothing was met otherwise.
 */
static void sim_round_count(struct sim_round *r)
{
	struct sim_tally *tally = &r->h->tally;
	struct sim_stats now;
	unsigned int op;

	sim_stats(r->sim, &now);
	tally->met += now.actions - r->counted.actions;
	/* What was held comes out: that is no lie. */
	tally->met -= now.by_op[SIM_RELEASE] - r->counted.by_op[SIM_RELEASE];
	tally->used += now.used - r->counted.used;
	for (op = 0; op < SIM_OPS_MAX; op++)
		tally->by_op[op] += now.by_op[op] - r->counted.by_op[op];
	if (now.violations && !tally->violations) {
		sim_violation_text(r->sim, tally->violation, sizeof(tally->violation));
		tally->violation_round = tally->round;
		pr_warn("vrh_simdev: hostile %s, seed %llu, round %llu: violation: %s\n",
			r->h->model->name, r->h->seed, tally->round, tally->violation);
	}
	tally->violations += now.violations - r->counted.violations;
	r->counted = now;
}

/* What an idle driver was told at last is not counted; what it did wrong is. */
static void sim_round_skip(struct sim_round *r)
{
	u64 violations = r->counted.violations;

	sim_stats(r->sim, &r->counted);
	r->counted.violations = violations;
}

/* Time since @since, which becomes now. */
static u64 sim_lap(u64 *since)
{
	u64 before = *since;

	*since = ktime_get_ns();
	return *since - before;
}

/* Waiting */

/* The device's lock, of which the thread lets go for us. */
static void sim_round_lock(struct sim_round *r)
{
	WRITE_ONCE(r->sim->hurry, true);
	sim_lock(r->sim);
	WRITE_ONCE(r->sim->hurry, false);
}

/* Gives the driver what is held back; if @lost, also an interrupt that it may have missed. */
static void sim_round_release(struct sim_round *r, bool lost)
{
	const struct sim_action irq = { .op = SIM_IRQ, .queue = SIM_ALL_QUEUES };
	struct sim_device *sim = r->sim;
	unsigned int i;

	sim_round_lock(r);
	for (i = 0; i < sim->nr_queues; i++) {
		sim_queue_release(&sim->queues[i]);
		if (lost)
			sim_queue_act(&sim->queues[i], &irq);
	}
	sim_unlock(sim);
}

/* And holds nothing back any more. */
static void sim_round_relent(struct sim_round *r)
{
	sim_forget(r->sim);
	sim_round_release(r, true);
}

/* Has the driver got buffers back since the last time? */
static bool sim_round_moved(struct sim_round *r)
{
	u64 used = READ_ONCE(r->sim->stats.used);
	bool moved = used != r->used;

	r->used = used;
	return moved;
}

/* While the driver is in probe or remove. */
static void sim_round_watch(struct work_struct *work)
{
	struct sim_round *r = container_of(work, struct sim_round, watch.work);

	r->idle_ms = sim_round_moved(r) ? 0 : r->idle_ms + SIM_WATCH_MS;
	if (r->idle_ms >= SIM_RELENT_MS)
		sim_round_relent(r);
	else if (r->idle_ms)
		sim_round_release(r, true);
	if (r->idle_ms >= SIM_PULL_MS) {
		r->pulled = true;
		sim_pull(r->sim);
		return;
	}
	schedule_delayed_work(&r->watch, msecs_to_jiffies(SIM_WATCH_MS));
}

static void sim_round_watch_begin(struct sim_round *r)
{
	r->idle_ms = 0;
	sim_round_moved(r);
	schedule_delayed_work(&r->watch, msecs_to_jiffies(SIM_WATCH_MS));
}

static void sim_round_watch_end(struct sim_round *r)
{
	cancel_delayed_work_sync(&r->watch);
	r->h->tally.pulled += r->pulled;
	r->pulled = false;
}

/* Gives the driver work, if it has none but ours: how many buffers will that take? */
static unsigned int sim_round_nudge(struct sim_round *r, bool idle)
{
	struct sim_device *sim = r->sim;
	unsigned int buffers = 0;

	if (!sim->model->nudge)
		return 0;
	sim_round_lock(r);
	if (sim->ready && !sim->gone)
		buffers = sim->model->nudge(sim, idle);
	sim_unlock(sim);
	return buffers;
}

/* Has the driver met a burst, after which @used buffers are used, or some of them? */
static bool sim_round_met(struct sim_round *r, u64 used)
{
	u64 now = READ_ONCE(r->sim->stats.used);

	return now >= used ||
	       (now != r->used && READ_ONCE(r->sim->nr_rules) <= SIM_RULES_LEFT);
}

/* Lets the driver meet what was armed; false if it has done nothing for so many ticks. */
static bool sim_round_wait(struct sim_round *r, unsigned int ticks)
{
	unsigned long end = jiffies + msecs_to_jiffies(SIM_BURST_TICKS * SIM_TICK_MS);
	u64 enough = r->used + SIM_BURST_USED, some;
	bool busy = false, met = false;
	unsigned int idle = 0, nudged;

	do {
		nudged = sim_round_nudge(r, idle);
		some = nudged ? min(r->used + nudged, enough) : enough;
		wait_event_timeout(r->sim->moved, kthread_should_stop() || sim_round_met(r, some),
				   msecs_to_jiffies(SIM_TICK_MS));
		met = sim_round_met(r, enough);
		if (sim_round_moved(r)) {
			idle = 0;
			busy = true;
		} else if (is_power_of_2(++idle)) {
			sim_round_release(r, true);
		}
	} while (!met && !kthread_should_stop() && idle < (busy ? SIM_SATED_TICKS : ticks) &&
		 (!busy || time_before(jiffies, end)));
	if (busy) {
		sim_forget_old(r->sim, SIM_RULES_STAY);
		/* Who waits for one queue may keep others waiting, that are at work. */
		sim_round_release(r, false);
	} else {
		r->h->tally.stalls++;
		sim_round_relent(r);
	}
	return busy;
}

/* One round */

static void sim_round_draw(struct sim_round *r, enum sim_phase phase, struct sim_action *action)
{
	struct sim_tally *tally = &r->h->tally;

	sim_draw(r->sim, phase, &r->rnd, action);
	tally->digest = sim_digest_action(tally->digest, action);
	tally->drawn++;
}

static void sim_round_act(struct sim_round *r, const struct sim_action *action)
{
	if (!sim_act_locked(r->sim, action))
		r->h->tally.done++;
}

/* Before there is a driver, and when it is about to go. */
static void sim_round_arm(struct sim_round *r, enum sim_phase phase, unsigned int count)
{
	struct sim_action action;

	sim_lock(r->sim);
	while (count--) {
		sim_round_draw(r, phase, &action);
		sim_round_act(r, &action);
		r->brief |= sim_draw_ends(&action);
	}
	sim_unlock(r->sim);
}

/* Some actions of a round of which @left are to come. Return: how many are after that. */
static unsigned int sim_round_some(struct sim_round *r, unsigned int left, bool live)
{
	struct sim_action action;

	sim_round_lock(r);
	do {
		sim_round_draw(r, SIM_MIDST, &action);
		left--;
		if (sim_draw_ends(&action))
			left = min_t(unsigned int, left, SIM_ROUND_TAIL);
		if (live && !READ_ONCE(r->sim->gone))
			sim_round_act(r, &action);
		else
			r->h->tally.vain++;
	} while (left % SIM_TOGETHER);
	sim_unlock(r->sim);
	return left;
}

/* While a driver has the device. A dead one does nothing, but as much is drawn. */
static void sim_round_midst(struct sim_round *r)
{
	bool live = READ_ONCE(r->sim->status) & VIRTIO_CONFIG_S_DRIVER_OK;
	struct sim_tally *tally = &r->h->tally;
	unsigned int left = r->brief ? SIM_ROUND_TAIL : SIM_ROUND_MIDST;
	u64 since = ktime_get_ns();

	if (live)
		sim_round_wait(r, r->brief ? SIM_IDLE_TICKS : SIM_FOUND_TICKS);
	else
		tally->no_driver++;
	tally->found_ns += sim_lap(&since);
	while (left && !kthread_should_stop()) {
		left = sim_round_some(r, left, live);
		if (left % SIM_BURST)
			continue;
		tally->act_ns += sim_lap(&since);
		if (live) {
			if (sim_round_wait(r, r->idle ? SIM_STILL_TICKS : SIM_IDLE_TICKS)) {
				r->idle = 0;
				sim_round_count(r);
			} else if (++r->idle == SIM_DEAD_BURSTS || READ_ONCE(r->sim->gone)) {
				live = false;
				tally->dead++;
			}
		}
		tally->wait_ns += sim_lap(&since);
		sim_tally_show(r->h, "at work");
		cond_resched();
	}
}

/* What the driver waits for will not come: a host that pulls the device out ends that. */
static bool sim_round_lost(struct sim_round *r)
{
	struct sim_stats now;

	sim_stats(r->sim, &now);
	return READ_ONCE(r->sim->gone) || READ_ONCE(r->sim->lied) || now.by_op[SIM_DROP];
}

/**
 * sim_round() - one device
 * @h: the run, whose thread calls
 * @number: of the round, which with the seed is where its chance comes from
 *
 * Context: process context; waits for the driver.
 * Return: 0 or an errno: there was no device.
 */
int sim_round(struct sim_hostile *h, u64 number)
{
	struct sim_tally *tally = &h->tally;
	struct sim_round r = { .h = h };
	u64 since = ktime_get_ns();
	struct sim_options options;
	bool surprise;
	int err;

	tally->round = number;
	sim_round_seed(&r.rnd, h->seed, number);
	sim_round_options(h->model, &r.rnd, &options);
	surprise = prandom_u32_state(&r.rnd) % 2;
	tally->digest = sim_digest_options(tally->digest, &options, surprise);
	r.sim = sim_create(&options);
	if (IS_ERR(r.sim))
		return PTR_ERR(r.sim);
	r.sim->apart = true;
	INIT_DELAYED_WORK_ONSTACK(&r.watch, sim_round_watch);

	sim_tally_show(h, "plug");
	pr_info("vrh_simdev: hostile %s, seed %llu, round %llu\n", h->model->name, h->seed, number);
	sim_round_arm(&r, SIM_EARLY, SIM_ROUND_EARLY);
	sim_round_watch_begin(&r);
	err = sim_plug(r.sim);
	sim_round_watch_end(&r);
	tally->plug_ns += sim_lap(&since);
	if (err)
		goto out;
	tally->rounds++;
	sim_round_midst(&r);

	sim_tally_show(h, "unplug");
	since = ktime_get_ns();
	if (r.idle)
		sim_round_skip(&r);
	sim_round_relent(&r);
	sim_round_arm(&r, SIM_LATE, SIM_ROUND_LATE);
	sim_round_watch_begin(&r);
	sim_unplug(r.sim, surprise || sim_round_lost(&r));
	sim_round_watch_end(&r);
	sim_round_count(&r);
	tally->unplug_ns += sim_lap(&since);
out:
	destroy_delayed_work_on_stack(&r.watch);
	sim_put(r.sim);
	return err;
}
