// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hostile mode: device after device of one type (a round each), with features,
 * sizes and lies that come from a seed. The same seed draws the same devices and
 * actions, and a round the same whatever was before it; when they meet the driver
 * depends on how fast that is.
 *
 * /sys/kernel/debug/vrh_simdev/hostile: "TYPE seed=N actions=N [met=N] [round=N]"
 * starts, with that round; "stop" ends early; reading says how far it is.
 */
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/jhash.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "core.h"

/* Actions of a round before the device is plugged, while it is there, and at its end. */
#define SIM_ROUND_EARLY		12
#define SIM_ROUND_MIDST		4000
#define SIM_ROUND_LATE		8
/* What a device still gets after what a driver hardly survives: one burst. */
#define SIM_ROUND_TAIL		SIM_BURST
/* Actions between two waits for the driver; half of them are rules, see SIM_RULES_MAX. */
#define SIM_BURST		64
/*
 * The driver has met enough of them when so many rules are left. The more of them wait, the
 * more of them each buffer meets: with 16 the time was spent on waiting for the last ones.
 */
#define SIM_RULES_LEFT		56
/* A driver that does nothing for so long may wait for what is held, or for an interrupt. */
#define SIM_TICK_MS		12
/* After so many ticks nothing is armed any more, and the next burst comes. */
#define SIM_IDLE_TICKS		25
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
 * it likes: then the device is pulled out. Longer than RCU and a queue's freezing take.
 */
#define SIM_PULL_MS		3000
#define SIM_WATCH_MS		100

/**
 * struct sim_tally - what a run has come to
 * @phase: what it is doing
 * @round: of the device
 * @drawn: actions drawn
 * @vain: of those, drawn for a device that was not there to do them: no driver took it,
 *	the driver has given it up, it is gone
 * @done: actions that the device has done, or armed
 * @met: actions done at once, and rules applied to something that the driver asked for
 * @rounds: devices made
 * @no_driver: devices that no driver took to DRIVER_OK
 * @dead: devices that their driver did nothing with any more, before the round was over
 * @stalls: times that the driver got what was held, as it did nothing
 * @pulled: devices that were pulled out in probe or remove, as the driver did nothing
 * @used: buffers used
 * @violations: by the drivers
 * @violation: the first one
 * @violation_round: and when
 * @digest: of all drawn options and actions
 * @ns: how long the run took so far
 * @plug_ns: of this, for making and plugging devices
 * @act_ns: for drawing and doing actions
 * @wait_ns: for waiting until the driver has met them
 * @unplug_ns: for unplugging
 * @by_op: @met by operation
 */
struct sim_tally {
	const char *phase;
	u64 round;
	u64 drawn;
	u64 vain;
	u64 done;
	u64 met;
	u64 rounds;
	u64 no_driver;
	u64 dead;
	u64 stalls;
	u64 pulled;
	u64 used;
	u64 violations;
	char violation[160];
	u64 violation_round;
	u32 digest;
	u64 ns;
	u64 plug_ns;
	u64 act_ns;
	u64 wait_ns;
	u64 unplug_ns;
	u64 by_op[SIM_OPS_MAX];
};

/**
 * struct sim_hostile - a run of the hostile mode
 * @model: type of device
 * @seed: where all chance comes from
 * @actions: actions to draw
 * @met: or to be met, whatever is first
 * @thread: runs it, or NULL
 * @finished: it has done all
 * @holding: it has a reference to this module
 * @tally: the thread's
 * @lock: protects @shown
 * @shown: @tally, for readers, some time ago
 */
struct sim_hostile {
	const struct sim_model *model;
	u64 seed;
	u64 actions;
	u64 met;
	struct task_struct *thread;
	bool finished;
	unsigned long holding;
	struct sim_tally tally;
	/* See above. */
	spinlock_t lock;
	struct sim_tally shown;
};

/* One starts or stops a run at a time; reading needs no lock. */
static DEFINE_MUTEX(sim_hostile_lock);
static struct sim_hostile sim_hostile = {
	.lock = __SPIN_LOCK_UNLOCKED(sim_hostile.lock),
};

/**
 * struct sim_round - a device and what is done to it
 * @h: the run
 * @sim: the device
 * @rnd: chance
 * @counted: what @h has of the device's statistics already
 * @used: buffers used when we looked last
 * @idle: bursts in a row in which the driver did nothing
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

static void sim_tally_show(struct sim_hostile *h, const char *phase)
{
	h->tally.phase = phase;
	spin_lock(&h->lock);
	h->shown = h->tally;
	spin_unlock(&h->lock);
}

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

/* Time since @since, which becomes now. */
static u64 sim_lap(u64 *since)
{
	u64 before = *since;

	*since = ktime_get_ns();
	return *since - before;
}

/* Waiting */

/* Gives the driver what is held back, and an interrupt that it may have missed. */
static void sim_round_release(struct sim_round *r)
{
	const struct sim_action irq = { .op = SIM_IRQ, .queue = SIM_ALL_QUEUES };
	struct sim_device *sim = r->sim;
	unsigned int i;

	sim_lock(sim);
	for (i = 0; i < sim->nr_queues; i++) {
		sim_queue_release(&sim->queues[i]);
		sim_queue_act(&sim->queues[i], &irq);
	}
	sim_unlock(sim);
}

/* And holds nothing back any more. */
static void sim_round_relent(struct sim_round *r)
{
	sim_forget(r->sim);
	sim_round_release(r);
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
	if (r->idle_ms)
		sim_round_relent(r);
	if (r->idle_ms >= SIM_PULL_MS) {
		r->pulled = true;
		sim_lock(r->sim);
		WRITE_ONCE(r->sim->gone, true);
		sim_unlock(r->sim);
		virtio_break_device(&r->sim->vdev);
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

static bool sim_round_met(struct sim_round *r)
{
	return kthread_should_stop() || (READ_ONCE(r->sim->stats.used) != r->used &&
					 READ_ONCE(r->sim->nr_rules) <= SIM_RULES_LEFT);
}

/* Lets the driver meet what was armed; false if it has done nothing for so many ticks. */
static bool sim_round_wait(struct sim_round *r, unsigned int ticks)
{
	unsigned int busy = 0, idle = 0;

	while (busy < SIM_BURST_TICKS && idle < (busy ? SIM_SATED_TICKS : ticks) &&
	       !kthread_should_stop()) {
		wait_event_timeout(r->sim->moved, sim_round_met(r), msecs_to_jiffies(SIM_TICK_MS));
		if (sim_round_moved(r)) {
			idle = 0;
			busy++;
			if (READ_ONCE(r->sim->nr_rules) <= SIM_RULES_LEFT)
				return true;
		} else if (is_power_of_2(++idle)) {
			sim_round_release(r);
		}
	}
	r->h->tally.stalls += !busy;
	/* Rules that nobody meets would leave no room for others. */
	if (!busy || READ_ONCE(r->sim->nr_rules) > SIM_RULES_MAX - SIM_BURST)
		sim_round_relent(r);
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
	if (!sim_act(r->sim, action))
		r->h->tally.done++;
}

/* Before there is a driver, and when it is about to go. */
static void sim_round_arm(struct sim_round *r, enum sim_phase phase, unsigned int count)
{
	struct sim_action action;

	while (count--) {
		sim_round_draw(r, phase, &action);
		sim_round_act(r, &action);
	}
}

/* While a driver has the device. A dead one does nothing, but as much is drawn. */
static void sim_round_midst(struct sim_round *r)
{
	bool live = READ_ONCE(r->sim->status) & VIRTIO_CONFIG_S_DRIVER_OK;
	struct sim_tally *tally = &r->h->tally;
	unsigned int left = SIM_ROUND_MIDST;
	struct sim_action action;
	u64 since = ktime_get_ns();

	if (live)
		sim_round_wait(r, SIM_FOUND_TICKS);
	else
		tally->no_driver++;
	tally->wait_ns += sim_lap(&since);
	while (left-- && !kthread_should_stop()) {
		sim_round_draw(r, SIM_MIDST, &action);
		if (sim_draw_ends(&action))
			left = min_t(unsigned int, left, SIM_ROUND_TAIL);
		if (live && !READ_ONCE(r->sim->gone))
			sim_round_act(r, &action);
		else
			tally->vain++;
		if (left % SIM_BURST)
			continue;
		tally->act_ns += sim_lap(&since);
		if (live) {
			if (sim_round_wait(r, SIM_IDLE_TICKS)) {
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
	return READ_ONCE(r->sim->gone) || now.by_op[SIM_DROP] || now.by_op[SIM_ID] ||
	       now.by_op[SIM_USED_IDX];
}

static int sim_round(struct sim_hostile *h, u64 number)
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
	/* What an idle driver was told at last is not counted. */
	if (r.idle)
		sim_stats(r.sim, &r.counted);
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

/* The run */

static void sim_hostile_let_go(struct sim_hostile *h)
{
	if (test_and_clear_bit(0, &h->holding))
		module_put(THIS_MODULE);
}

static int sim_hostile_thread(void *data)
{
	struct sim_hostile *h = data;
	struct sim_tally *tally = &h->tally;
	u64 begun = ktime_get_ns();
	u64 round = tally->round;
	int err = 0;

	pr_info("vrh_simdev: hostile %s, seed %llu, from round %llu\n", h->model->name, h->seed,
		round);
	while (!err && tally->drawn < h->actions && tally->met < h->met && !kthread_should_stop()) {
		err = sim_round(h, round++);
		tally->ns = ktime_get_ns() - begun;
		sim_tally_show(h, "between");
	}
	if (err)
		pr_err("vrh_simdev: hostile %s, seed %llu: ends early, error %d\n", h->model->name,
		       h->seed, err);
	WRITE_ONCE(h->finished, true);
	sim_hostile_let_go(h);
	/* Whoever starts the next run, or unloads the module, takes us away. */
	while (!kthread_should_stop())
		schedule_timeout_interruptible(HZ);
	return 0;
}

static void sim_hostile_stop(struct sim_hostile *h)
{
	lockdep_assert_held(&sim_hostile_lock);
	if (h->thread)
		kthread_stop(h->thread);
	WRITE_ONCE(h->thread, NULL);
	/* A thread that was stopped before it ran has not done so. */
	sim_hostile_let_go(h);
}

static int sim_hostile_start(struct sim_hostile *h, const char *name, u64 seed, u64 actions,
			     u64 met, u64 round)
{
	const struct sim_model *model = sim_model_named(name);
	struct task_struct *thread;

	lockdep_assert_held(&sim_hostile_lock);
	if (!model || !actions || !met)
		return -EINVAL;
	if (h->thread && !READ_ONCE(h->finished))
		return -EBUSY;
	sim_hostile_stop(h);
	h->seed = seed;
	h->actions = actions;
	h->met = met;
	h->finished = false;
	h->tally = (struct sim_tally) { .round = round };
	sim_tally_show(h, "start");
	WRITE_ONCE(h->model, model);
	/* Between two devices nothing else holds it. */
	__module_get(THIS_MODULE);
	set_bit(0, &h->holding);
	thread = kthread_run(sim_hostile_thread, h, "vrh-hostile");
	if (IS_ERR(thread)) {
		sim_hostile_let_go(h);
		return PTR_ERR(thread);
	}
	WRITE_ONCE(h->thread, thread);
	return 0;
}

static int sim_hostile_parse(char *text)
{
	u64 seed = 1, actions = U64_MAX, met = U64_MAX, round = 0;
	const struct sim_word words[] = {
		{ "seed", U64_MAX, &seed },
		{ "actions", U64_MAX, &actions },
		{ "met", U64_MAX, &met },
		{ "round", U64_MAX, &round },
	};
	char *name = strsep(&text, " \t\n");

	if (!strcmp(name, "stop")) {
		sim_hostile_stop(&sim_hostile);
		return 0;
	}
	return sim_parse_words(text, words, ARRAY_SIZE(words)) ?:
	       sim_hostile_start(&sim_hostile, name, seed, actions, met, round);
}

/* The file */

static ssize_t sim_hostile_write(struct file *file, const char __user *from, size_t len,
				 loff_t *pos)
{
	char text[128] = "";
	int err;

	if (len >= sizeof(text))
		return -EMSGSIZE;
	if (copy_from_user(text, from, len))
		return -EFAULT;
	mutex_lock(&sim_hostile_lock);
	err = sim_hostile_parse(text);
	mutex_unlock(&sim_hostile_lock);
	return err ?: len;
}

static void sim_tally_print(struct seq_file *m, const struct sim_model *model,
			    const struct sim_tally *t)
{
	const char *name;
	unsigned int op;

	seq_printf(m, "phase: %s\nround: %llu\nrounds: %llu\nno_driver: %llu\ndead: %llu\n",
		   t->phase, t->round, t->rounds, t->no_driver, t->dead);
	seq_printf(m, "drawn: %llu\nvain: %llu\ndone: %llu\nmet: %llu\nused: %llu\n", t->drawn,
		   t->vain, t->done, t->met, t->used);
	seq_printf(m, "stalls: %llu\npulled: %llu\n", t->stalls, t->pulled);
	seq_printf(m, "ns: %llu\nplug_ns: %llu\nact_ns: %llu\nwait_ns: %llu\nunplug_ns: %llu\n",
		   t->ns, t->plug_ns, t->act_ns, t->wait_ns, t->unplug_ns);
	seq_printf(m, "violations: %llu\nviolation: %s\nviolation_round: %llu\ndigest: %#x\n",
		   t->violations, t->violation, t->violation_round, t->digest);
	for (op = 0; (name = sim_op_name(model, op)); op++)
		seq_printf(m, "met-%s: %llu\n", name, t->by_op[op]);
}

static int sim_hostile_show(struct seq_file *m, void *unused)
{
	const struct sim_model *model = READ_ONCE(sim_hostile.model);
	struct sim_tally *tally;

	if (!model)
		return 0;
	tally = kzalloc_obj(*tally);
	if (!tally)
		return -ENOMEM;
	spin_lock(&sim_hostile.lock);
	*tally = sim_hostile.shown;
	spin_unlock(&sim_hostile.lock);
	seq_printf(m, "model: %s\nseed: %llu\nstate: %s\n", model->name, sim_hostile.seed,
		   !READ_ONCE(sim_hostile.thread) ? "stopped" :
		   READ_ONCE(sim_hostile.finished) ? "done" : "running");
	sim_tally_print(m, model, tally);
	kfree(tally);
	return 0;
}

static int sim_hostile_open(struct inode *inode, struct file *file)
{
	return single_open(file, sim_hostile_show, NULL);
}

static const struct file_operations sim_hostile_fops = {
	.owner = THIS_MODULE,
	.open = sim_hostile_open,
	.read = seq_read,
	.write = sim_hostile_write,
	.llseek = seq_lseek,
	.release = single_release,
};

/**
 * sim_hostile_debugfs() - make the file
 * @root: directory of the module
 */
void sim_hostile_debugfs(struct dentry *root)
{
	debugfs_create_file("hostile", 0600, root, NULL, &sim_hostile_fops);
}

/**
 * sim_hostile_exit() - module exit: ends a run that has finished
 *
 * One that has not holds the module.
 */
void sim_hostile_exit(void)
{
	mutex_lock(&sim_hostile_lock);
	sim_hostile_stop(&sim_hostile);
	mutex_unlock(&sim_hostile_lock);
}
