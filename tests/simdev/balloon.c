// SPDX-License-Identifier: GPL-2.0-only
/*
 * The simulated memory balloon (VIRTIO 1.3, 5.5): its life, its virtqueues, statistics,
 * and what it can be told and asked. Config space is in balloon_config.c, pages that
 * come and go in balloon_pages.c, free pages in balloon_free.c.
 *
 * Virtqueues are numbered without gaps over those that the device OFFERS, as QEMU and
 * others do, and not 2, 3, 4 as 5.5.2 has it: Linux' transports give no index to a
 * queue without a name. The driver in the kernel leaves out what was not negotiated;
 * of what has a queue, that can only be reporting, which is the last. virtio_balloon_rh
 * asks for queues that it does not use. So both find what they look for.
 */
#include <linux/export.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "sim_balloon.h"

static_assert(sizeof(struct virtio_balloon_stat) == 10);

/* Statistics looked at in a buffer: four times of what there is. */
#define STATS_MAX (4 * SIM_BALLOON_TAGS)

/* Buffers taken from a queue before the others get their turn. */
#define SERVE_MAX 256

/**
 * struct balloon_queue - what makes a virtqueue
 * @name: for messages
 * @feature: without which it does not exist, or -1
 */
struct balloon_queue {
	const char *name;
	int feature;
};

static const struct balloon_queue balloon_queues[SIM_BALLOON_ROLES] = {
	[SIM_BALLOON_INFLATE] = { "inflate", -1 },
	[SIM_BALLOON_DEFLATE] = { "deflate", -1 },
	[SIM_BALLOON_STATS] = { "stats", VIRTIO_BALLOON_F_STATS_VQ },
	[SIM_BALLOON_HINTS] = { "hint", VIRTIO_BALLOON_F_FREE_PAGE_HINT },
	[SIM_BALLOON_REPORTS] = { "reporting", VIRTIO_BALLOON_F_REPORTING },
};

static const char * const balloon_ops[] = {
	"target", "poll", "hint", "poison", "holdreport", NULL
};

/* Statistics */

static void balloon_stats_read(struct sim_device *sim, const struct sim_chain *chain,
			       unsigned int nr)
{
	struct sim_balloon_state *b = sim->data;
	struct virtio_balloon_stat stat;
	unsigned int i;
	u16 tag;

	b->tags = 0;
	for (i = 0; i < nr; i++) {
		if (sim_chain_read(chain, (size_t)i * sizeof(stat), &stat, sizeof(stat)) !=
		    sizeof(stat))
			break;
		tag = virtio16_to_cpu(&sim->vdev, stat.tag);
		/* A device ignores what it does not know. */
		if (tag >= SIM_BALLOON_TAGS)
			continue;
		if (b->tags & BIT(tag))
			sim_violation(sim, "balloon: statistic %u twice in a buffer", tag);
		b->tags |= BIT(tag);
		b->value[tag] = virtio64_to_cpu(&sim->vdev, stat.val);
	}
}

static void balloon_stats(struct sim_device *sim, struct sim_queue *queue,
			  struct sim_chain *chain)
{
	struct sim_balloon_state *b = sim->data;
	u32 nr = chain->out / sizeof(struct virtio_balloon_stat);

	if (b->stats) {
		if (sim_balloon_trusts_ring(sim))
			sim_violation(sim, "balloon: a second buffer of statistics");
		sim_use(queue, b->stats, 0);
	}
	b->stats = chain;
	b->counts.stats++;

	if (chain->in || chain->out % sizeof(struct virtio_balloon_stat) || !nr || nr > STATS_MAX)
		sim_violation(sim, "balloon: statistics in %u bytes to read and %u to write",
			      chain->out, chain->in);
	balloon_stats_read(sim, chain, min_t(u32, nr, STATS_MAX));
	if (!b->first_tags)
		b->first_tags = b->tags;
	if (b->tags != b->first_tags)
		sim_violation(sim, "balloon: statistics of tags %#x, which were %#x at first",
			      b->tags, b->first_tags);
}

static int balloon_poll(struct sim_device *sim)
{
	struct sim_balloon_state *b = sim->data;
	struct sim_chain *chain = b->stats;
	unsigned int i;

	if (!chain)
		return -EAGAIN;
	b->stats = NULL;
	b->counts.polls++;
	for (i = 0; i < b->nr_queues; i++)
		if (b->role[i] == SIM_BALLOON_STATS)
			sim_use(&sim->queues[i], chain, 0);
	return 0;
}

/* Virtqueues */

static void balloon_buffer(struct sim_device *sim, struct sim_queue *queue,
			   struct sim_chain *chain, enum sim_balloon_role role)
{
	const struct balloon_queue *what = &balloon_queues[role];

	if (what->feature >= 0 && !sim_has(sim, what->feature)) {
		sim_violation(sim, "balloon: buffer on the %s queue, which was not negotiated",
			      what->name);
		sim_use(queue, chain, 0);
		return;
	}
	switch (role) {
	case SIM_BALLOON_STATS:
		balloon_stats(sim, queue, chain);
		break;
	case SIM_BALLOON_HINTS:
		sim_balloon_hint(sim, queue, chain);
		break;
	case SIM_BALLOON_REPORTS:
		sim_balloon_report(sim, queue, chain);
		break;
	default:
		sim_balloon_message(sim, chain, role == SIM_BALLOON_DEFLATE);
		sim_use(queue, chain, 0);
		break;
	}
}

/*
 * Not before DRIVER_OK: Linux' own driver sends its first statistics earlier, and they
 * wait in their ring.
 */
static void balloon_kick(struct sim_device *sim, struct sim_queue *queue)
{
	struct sim_balloon_state *b = sim->data;
	struct sim_chain *chain;
	unsigned int i;

	if (!b->ready || !queue->enabled || queue->index >= b->nr_queues)
		return;
	for (i = 0; i < SERVE_MAX; i++) {
		chain = sim_pop(queue);
		if (!chain)
			return;
		balloon_buffer(sim, queue, chain, b->role[queue->index]);
	}
	sim_wake(sim);
}

static void balloon_work(struct sim_device *sim)
{
	struct sim_balloon_state *b = sim->data;
	unsigned int i;

	for (i = 0; i < b->nr_queues; i++)
		balloon_kick(sim, &sim->queues[i]);
}

/* Life */

static void balloon_ready(struct sim_device *sim)
{
	struct sim_balloon_state *b = sim->data;

	b->ready = true;
	b->first_tags = 0;
	sim_balloon_config_ready(sim);
	sim_wake(sim);
}

static bool balloon_resets(const struct sim_balloon_state *b, const struct sim_queue *queue,
			   enum sim_balloon_role role)
{
	return !queue || (queue->index < b->nr_queues && b->role[queue->index] == role);
}

/* A queue, or all of the device, which then knows of no page any more. */
static void balloon_reset(struct sim_device *sim, struct sim_queue *queue)
{
	struct sim_balloon_state *b = sim->data;

	if (b->stats && balloon_resets(b, queue, SIM_BALLOON_STATS)) {
		sim_chain_drop(b->stats);
		b->stats = NULL;
	}
	sim_balloon_free_reset(b, balloon_resets(b, queue, SIM_BALLOON_HINTS),
			       balloon_resets(b, queue, SIM_BALLOON_REPORTS));
	if (queue)
		return;
	b->ready = false;
	sim_balloon_pages_forget(&b->pages);
	sim_balloon_config_reset(sim);
}

/* Return: how many virtqueues these features make, and their roles. */
static unsigned int balloon_roles(u64 features, enum sim_balloon_role *role)
{
	enum sim_balloon_role r;
	unsigned int nr = 0;

	for (r = SIM_BALLOON_INFLATE; r < SIM_BALLOON_ROLES; r++)
		if (balloon_queues[r].feature < 0 ||
		    features & BIT_ULL(balloon_queues[r].feature))
			role[nr++] = r;
	return nr;
}

static int balloon_init(struct sim_device *sim, const struct sim_options *options)
{
	struct sim_balloon_state *b;
	int err;

	b = kzalloc_obj(*b);
	if (!b)
		return -ENOMEM;
	err = sim_balloon_pages_init(&b->pages);
	if (err)
		goto err_pages;
	sim_balloon_free_init(b);
	b->nr_queues = balloon_roles(options->features, b->role);
	sim->nr_queues = b->nr_queues;
	sim->data = b;
	return 0;

err_pages:
	sim_balloon_pages_exit(&b->pages);
	kfree(b);
	return err;
}

static void balloon_exit(struct sim_device *sim)
{
	struct sim_balloon_state *b = sim->data;

	sim_balloon_pages_exit(&b->pages);
	kfree(b);
	sim->data = NULL;
}

/* Operations */

static int balloon_act(struct sim_device *sim, const struct sim_action *action)
{
	switch (action->op) {
	case SIM_BALLOON_TARGET:
		return sim_balloon_act_target(sim, action->value);
	case SIM_BALLOON_POLL:
		return balloon_poll(sim);
	case SIM_BALLOON_HINT:
		return sim_balloon_act_hint(sim, action->value);
	case SIM_BALLOON_POISON:
		return sim_balloon_act_poison(sim, action->value);
	case SIM_BALLOON_HOLD_REPORT:
		return sim_balloon_act_hold(sim, action->value);
	default:
		return -EINVAL;
	}
}

/* Reports that are kept come back, as what is held does. */
static void balloon_forget(struct sim_device *sim)
{
	sim_balloon_act_hold(sim, 0);
}

/* Hostile actions */

static u32 balloon_draw_value(struct rnd_state *rnd)
{
	static const u32 edges[] = {
		0, 1, 2, 255, 256, 257, 4096, 1U << 20, S32_MAX, 1U << 31, U32_MAX - 1, U32_MAX,
	};
	u32 random = prandom_u32_state(rnd);

	/* Any size is as likely as any other, or nearly all would be more than there is. */
	if (random & 1)
		return prandom_u32_state(rnd) >> (random >> 1) % 32;
	return edges[(random >> 1) % ARRAY_SIZE(edges)];
}

/*
 * Few pages most of the time, which is a buffer or two, mostly so few that they
 * cost no time: a guest without memory does nothing else any more.
 */
static u32 balloon_draw_target(struct rnd_state *rnd)
{
	u32 few = prandom_u32_state(rnd), which = prandom_u32_state(rnd) % 64;

	if (!which)
		return balloon_draw_value(rnd);
	return few % (which % 8 ? 4 : 300);
}

/* An operation of ours. */
static void balloon_draw_op(struct rnd_state *rnd, struct sim_action *action)
{
	/* What the driver answers with a buffer is drawn more often. */
	static const u16 ops[] = {
		SIM_BALLOON_TARGET, SIM_BALLOON_TARGET, SIM_BALLOON_TARGET, SIM_BALLOON_POLL,
		SIM_BALLOON_POLL, SIM_BALLOON_POLL, SIM_BALLOON_HINT, SIM_BALLOON_HINT,
		SIM_BALLOON_POISON, SIM_BALLOON_HOLD_REPORT,
	};

	action->op = ops[prandom_u32_state(rnd) % ARRAY_SIZE(ops)];
	switch (action->op) {
	case SIM_BALLOON_TARGET:
		action->value = balloon_draw_target(rnd);
		break;
	case SIM_BALLOON_HINT:
		action->value = prandom_u32_state(rnd) % (SIM_BALLOON_HINT_DONE + 1);
		break;
	case SIM_BALLOON_HOLD_REPORT:
		/* Reports that are kept keep all later ones from coming. */
		action->value = !(prandom_u32_state(rnd) % 4);
		break;
	default:
		action->value = balloon_draw_value(rnd);
		break;
	}
}

/* A field of config space that nobody has set to this. */
static void balloon_draw_config(struct rnd_state *rnd, struct sim_action *action)
{
	action->op = SIM_CONFIG;
	action->at = prandom_u32_state(rnd) % 4 * sizeof(__le32);
	action->width = sizeof(__le32);
	action->value = action->at ? balloon_draw_value(rnd) : balloon_draw_target(rnd);
}

/* An answer that comes late, or with another length; rarely twice, or for another buffer. */
static void balloon_draw_answer(u64 features, struct rnd_state *rnd, struct sim_action *action)
{
	enum sim_balloon_role role[SIM_BALLOON_ROLES];
	unsigned int nr = balloon_roles(features, role);
	u32 which = prandom_u32_state(rnd) % 512;

	if (which < 2)
		action->op = which ? SIM_TWICE : SIM_ID;
	else
		action->op = which % 8 ? SIM_LEN : SIM_DELAY;
	action->queue = prandom_u32_state(rnd) % nr;
	action->skip = prandom_u32_state(rnd) % 4;
	action->count = 1 + prandom_u32_state(rnd) % 4;
	action->value = action->op == SIM_DELAY ? prandom_u32_state(rnd) % 20 :
						  balloon_draw_value(rnd);
}

static void balloon_draw(struct sim_device *sim, struct rnd_state *rnd,
			 struct sim_action *action)
{
	*action = (struct sim_action){ };
	switch (prandom_u32_state(rnd) % 4) {
	case 0:
		balloon_draw_config(rnd, action);
		break;
	case 1:
		balloon_draw_answer(sim->options.features, rnd, action);
		break;
	default:
		balloon_draw_op(rnd, action);
		break;
	}
}

/*
 * What a driver gets back comes from what we ask of it: statistics, and a page more, or that
 * one back. A wish of the script is fulfilled first, if it can be.
 */
static unsigned int balloon_nudge(struct sim_device *sim, bool idle)
{
	struct sim_balloon_state *b = sim->data;
	unsigned int buffers = 0;

	if (!balloon_poll(sim))
		buffers++;
	if (sim_balloon_quiet(sim) &&
	    (idle || sim_balloon_field(sim, SIM_BALLOON_FIELD(num_pages)) == b->pages.nr)) {
		sim_balloon_act_target(sim, b->pages.nr ^ 1);
		buffers++;
	}
	return buffers;
}

/* For suites */

/**
 * sim_balloon_counts() - what happened so far
 * @sim: balloon
 * @counts: receives it
 *
 * Context: process context; takes the device's lock.
 */
void sim_balloon_counts(struct sim_device *sim, struct sim_balloon_counts *counts)
{
	struct sim_balloon_state *b = sim->data;

	sim_lock(sim);
	*counts = b->counts;
	counts->pages = b->pages.nr;
	counts->inflated = b->pages.inflated;
	counts->deflated = b->pages.deflated;
	counts->touched = b->pages.touched;
	counts->held = b->nr_hints + b->nr_reports;
	sim_unlock(sim);
}
EXPORT_SYMBOL_GPL(sim_balloon_counts);

/**
 * sim_balloon_stat() - a value of the last buffer of statistics
 * @sim: balloon
 * @tag: VIRTIO_BALLOON_S_*
 * @value: receives it; as it was sent, in the tag's own unit
 *
 * Context: process context; takes the device's lock.
 * Return: false if it was not in that buffer, or there was none.
 */
bool sim_balloon_stat(struct sim_device *sim, unsigned int tag, u64 *value)
{
	struct sim_balloon_state *b = sim->data;
	bool there;

	sim_lock(sim);
	there = tag < SIM_BALLOON_TAGS && b->tags & BIT(tag);
	if (there)
		*value = b->value[tag];
	sim_unlock(sim);
	return there;
}
EXPORT_SYMBOL_GPL(sim_balloon_stat);

/**
 * sim_balloon_has() - is a page in the balloon?
 * @sim: balloon
 * @pfn: its number, in units of 4 KiB
 *
 * Context: process context; takes the device's lock.
 * Return: true if it came in and did not go out again.
 */
bool sim_balloon_has(struct sim_device *sim, u32 pfn)
{
	struct sim_balloon_state *b = sim->data;
	bool has;

	sim_lock(sim);
	has = sim_balloon_pages_overlap(&b->pages, pfn, 1);
	sim_unlock(sim);
	return has;
}
EXPORT_SYMBOL_GPL(sim_balloon_has);

/**
 * sim_balloon_check_idle() - does the driver say what is true?
 * @sim: balloon whose driver has nothing more to do: it has reached its target and
 *	written the field actual
 *
 * What is wrong is a violation: an actual other than the pages that are in, and pages
 * that are not as the device has left them. All of their bytes are looked at.
 *
 * Context: process context; takes the device's lock.
 * Return: 0, -ERANGE (actual), -EUCLEAN (pages), or -EBUSY if the device is not in use,
 *	buffers are under way or the script has lied since the last reset, so that
 *	nothing can be said.
 */
int sim_balloon_check_idle(struct sim_device *sim)
{
	struct sim_balloon_state *b = sim->data;
	u32 actual, pfn = 0;
	int err = -EBUSY;
	u64 bad;

	sim_lock(sim);
	if (sim->gone || !b->ready || !sim_balloon_quiet(sim) || !sim_balloon_trusts_ring(sim) ||
	    !sim_balloon_trusts_config(sim))
		goto out;
	err = 0;
	actual = sim_balloon_field(sim, SIM_BALLOON_FIELD(actual));
	if (actual != b->pages.nr) {
		sim_violation(sim, "balloon: actual is %u, but %llu pages are in", actual,
			      b->pages.nr);
		err = -ERANGE;
	}
	bad = sim_balloon_pages_verify(&b->pages, &pfn);
	if (bad) {
		sim_violation(sim, "balloon: %llu pages were touched while inflated, first PFN %#x",
			      bad, pfn);
		err = -EUCLEAN;
	}
out:
	sim_unlock(sim);
	return err;
}
EXPORT_SYMBOL_GPL(sim_balloon_check_idle);

static void balloon_show(struct sim_device *sim, struct seq_file *m)
{
	struct sim_balloon_state *b = sim->data;

	seq_printf(m, "pages: %llu\ntouched: %llu\nstats: %llu\nhinted_bytes: %llu\n",
		   (u64)b->pages.nr, b->pages.touched, b->counts.stats, b->counts.hinted_bytes);
	seq_printf(m, "reported_bytes: %llu\n", b->counts.reported_bytes);
}

const struct sim_model sim_balloon = {
	.id = VIRTIO_ID_BALLOON,
	.name = "balloon",
	.config_len = sizeof(struct virtio_balloon_config),
	.features = BIT_ULL(VIRTIO_BALLOON_F_MUST_TELL_HOST) |
		    BIT_ULL(VIRTIO_BALLOON_F_STATS_VQ) |
		    BIT_ULL(VIRTIO_BALLOON_F_DEFLATE_ON_OOM) |
		    BIT_ULL(VIRTIO_BALLOON_F_FREE_PAGE_HINT) |
		    BIT_ULL(VIRTIO_BALLOON_F_PAGE_POISON) |
		    BIT_ULL(VIRTIO_BALLOON_F_REPORTING),
	.ops = balloon_ops,
	.init = balloon_init,
	.exit = balloon_exit,
	.reset = balloon_reset,
	.ready = balloon_ready,
	.kick = balloon_kick,
	.work = balloon_work,
	.config_set = sim_balloon_config_set,
	.act = balloon_act,
	.forget = balloon_forget,
	.draw = balloon_draw,
	.nudge = balloon_nudge,
	.show = balloon_show,
};
