// SPDX-License-Identifier: GPL-2.0-only
/*
 * Free pages that the driver of a simulated balloon tells of: hints (VIRTIO 1.3,
 * 5.5.6.5) and reports (5.5.6.7). Only where they lie is looked at. Reported pages
 * are nobody's, so KASAN and debug_pagealloc take any access for a fault; a host may
 * leave both kinds as they are.
 */
#include <linux/mm.h>

#include "sim_balloon.h"

#define UNIT_SIZE BIT(VIRTIO_BALLOON_PFN_SHIFT)

/* The first command ID; those below it have a meaning of their own. */
#define CMD_ID_FIRST (VIRTIO_BALLOON_CMD_ID_DONE + 1)

/* Looks at the memory of a buffer. Return: bytes of it. */
static u64 free_look(struct sim_device *sim, const struct sim_chain *chain, const char *what)
{
	struct sim_balloon_state *b = sim->data;
	u64 sum = 0, first, nr;
	unsigned int i;

	if (!sim_chain_ours(chain))
		return 0;
	for (i = 0; i < chain->nr_in; i++) {
		const struct sim_seg *seg = &chain->segs[chain->nr_out + i];

		sum += seg->len;
		if (!seg->len || ((unsigned long)seg->at | seg->len) & (UNIT_SIZE - 1)) {
			sim_violation(sim, "balloon: %s of %u bytes with offset %#lx in a page",
				      what, seg->len, (unsigned long)seg->at & (UNIT_SIZE - 1));
			continue;
		}
		if (!virt_addr_valid(seg->at))
			continue;
		first = virt_to_phys(seg->at) >> VIRTIO_BALLOON_PFN_SHIFT;
		nr = seg->len >> VIRTIO_BALLOON_PFN_SHIFT;
		if (sim_balloon_trusts_ring(sim) &&
		    sim_balloon_pages_overlap(&b->pages, first, nr))
			sim_violation(sim, "balloon: %s of PFN %#llx, %llu units, some inflated",
				      what, first, nr);
	}
	return sum;
}

static void free_drop(struct list_head *list, unsigned int *nr)
{
	struct sim_chain *chain, *next;

	list_for_each_entry_safe(chain, next, list, node) {
		list_del(&chain->node);
		sim_chain_drop(chain);
	}
	*nr = 0;
}

/* Gives back what is kept for the queue that has this role. */
static void free_release(struct sim_device *sim, enum sim_balloon_role role,
			 struct list_head *list, unsigned int *nr)
{
	struct sim_balloon_state *b = sim->data;
	struct sim_chain *chain, *next;
	unsigned int i;

	for (i = 0; i < b->nr_queues; i++) {
		if (b->role[i] != role)
			continue;
		list_for_each_entry_safe(chain, next, list, node) {
			list_del(&chain->node);
			sim_use(&sim->queues[i], chain, 0);
		}
		*nr = 0;
	}
}

/* Hints */

/* Was this ever a command ID? With config space changed by a script, any may have been. */
static bool hint_known(struct sim_device *sim, u32 id)
{
	struct sim_balloon_state *b = sim->data;

	return id >= CMD_ID_FIRST &&
	       (id - CMD_ID_FIRST < b->rounds || !sim_balloon_trusts_config(sim));
}

static u32 hint_current(struct sim_device *sim)
{
	return sim_balloon_field(sim, SIM_BALLOON_FIELD(free_page_hint_cmd_id));
}

/*
 * The ID may be an old one, because the driver reads config space before it sends it.
 * The pages that follow such an ID are not looked at.
 */
static void hint_start(struct sim_device *sim, u32 id)
{
	struct sim_balloon_state *b = sim->data;

	if (!hint_known(sim, id))
		sim_violation(sim, "balloon: hints under command ID %#x, which is none", id);
	else if (id == b->round_last && sim_balloon_trusts_config(sim))
		sim_violation(sim, "balloon: command ID %#x sent twice", id);
	if (id == hint_current(sim))
		b->counts.hint_rounds++;
	b->round = id;
	b->round_last = id;
}

static void hint_command(struct sim_device *sim, const struct sim_chain *chain)
{
	struct sim_balloon_state *b = sim->data;
	__virtio32 raw = 0;
	u32 id;

	if (chain->out != sizeof(raw)) {
		sim_violation(sim, "balloon: command ID of %u bytes", chain->out);
		return;
	}
	sim_chain_read(chain, 0, &raw, sizeof(raw));
	id = virtio32_to_cpu(&sim->vdev, raw);
	if (id == VIRTIO_BALLOON_CMD_ID_STOP) {
		b->counts.hint_stops++;
		b->round = 0;
	} else {
		hint_start(sim, id);
	}
}

/*
 * Keeps the buffer until the round is done, which is a device's right. But Linux takes
 * page after page and lets it go again while its ring is full, until the command ID
 * changes: half of the ring is always left to it.
 */
static bool hint_keep(struct sim_device *sim, const struct sim_queue *queue,
		      struct sim_chain *chain)
{
	struct sim_balloon_state *b = sim->data;
	u64 bytes;

	if (!b->round) {
		sim_violation(sim, "balloon: hint of %u bytes without a command ID", chain->in);
		return false;
	}
	bytes = free_look(sim, chain, "hint");
	if (b->round != hint_current(sim)) {
		b->counts.stale_bytes += bytes;
		return false;
	}
	b->counts.hinted_bytes += bytes;
	if (b->nr_hints >= queue->num / 2)
		return false;
	list_add_tail(&chain->node, &b->hints);
	b->nr_hints++;
	return true;
}

/**
 * sim_balloon_hint() - take a buffer of the queue of free page hints
 * @sim: balloon
 * @queue: the queue
 * @chain: what the driver made available; is used now or later
 *
 * Context: the device's thread, its lock held.
 */
void sim_balloon_hint(struct sim_device *sim, struct sim_queue *queue, struct sim_chain *chain)
{
	bool keep = false;

	if (chain->out && chain->in)
		sim_violation(sim, "balloon: command ID and hint in one buffer");
	if (chain->out)
		hint_command(sim, chain);
	if (chain->in)
		keep = hint_keep(sim, queue, chain);
	if (!keep)
		sim_use(queue, chain, 0);
}

/**
 * sim_balloon_act_hint() - start or end free page hints
 * @sim: balloon
 * @value: see enum sim_balloon_hint
 *
 * Context: process context, the device's lock held.
 * Return: 0; -EINVAL; -EAGAIN if nobody would listen; -ENOSPC when all command IDs were
 *	used, as none may be used again.
 */
int sim_balloon_act_hint(struct sim_device *sim, u64 value)
{
	struct sim_balloon_state *b = sim->data;

	if (value > SIM_BALLOON_HINT_DONE)
		return -EINVAL;
	if (!b->ready || !sim_has(sim, VIRTIO_BALLOON_F_FREE_PAGE_HINT))
		return -EAGAIN;
	if (value == SIM_BALLOON_HINT_STOP) {
		b->cmd_id = VIRTIO_BALLOON_CMD_ID_STOP;
	} else if (value == SIM_BALLOON_HINT_DONE) {
		b->cmd_id = VIRTIO_BALLOON_CMD_ID_DONE;
	} else {
		if (CMD_ID_FIRST + b->rounds > U32_MAX)
			return -ENOSPC;
		b->cmd_id = CMD_ID_FIRST + b->rounds++;
	}
	sim_balloon_set_field(sim, SIM_BALLOON_FIELD(free_page_hint_cmd_id), b->cmd_id, true);
	if (value == SIM_BALLOON_HINT_DONE)
		free_release(sim, SIM_BALLOON_HINTS, &b->hints, &b->nr_hints);
	return 0;
}

/* Reports */

/**
 * sim_balloon_report() - take a buffer of the reporting queue
 * @sim: balloon
 * @queue: the queue
 * @chain: what the driver made available; is used now or later
 *
 * Context: the device's thread, its lock held.
 */
void sim_balloon_report(struct sim_device *sim, struct sim_queue *queue,
			struct sim_chain *chain)
{
	struct sim_balloon_state *b = sim->data;

	if (chain->out || !chain->in)
		sim_violation(sim, "balloon: report has %u bytes to read and %u to write",
			      chain->out, chain->in);
	b->counts.reports++;
	b->counts.reported_bytes += free_look(sim, chain, "report");
	if (!b->hold_reports) {
		sim_use(queue, chain, 0);
		return;
	}
	list_add_tail(&chain->node, &b->reports);
	b->nr_reports++;
}

/**
 * sim_balloon_act_hold() - keep reports, or let them go
 * @sim: balloon
 * @value: 1 to keep them, 0 to answer those that are there and those that come
 *
 * Context: process context, the device's lock held.
 * Return: 0 or -EINVAL.
 */
int sim_balloon_act_hold(struct sim_device *sim, u64 value)
{
	struct sim_balloon_state *b = sim->data;

	if (value > 1)
		return -EINVAL;
	b->hold_reports = value;
	if (!value)
		free_release(sim, SIM_BALLOON_REPORTS, &b->reports, &b->nr_reports);
	return 0;
}

/* Life */

/**
 * sim_balloon_free_init() - nothing is kept yet
 * @b: zeroed
 */
void sim_balloon_free_init(struct sim_balloon_state *b)
{
	INIT_LIST_HEAD(&b->hints);
	INIT_LIST_HEAD(&b->reports);
}

/**
 * sim_balloon_free_reset() - the driver has its buffers back
 * @b: balloon
 * @hints: those of the queue of hints
 * @reports: those of the reporting queue
 *
 * Context: the device's lock is held, or nobody else is there.
 */
void sim_balloon_free_reset(struct sim_balloon_state *b, bool hints, bool reports)
{
	if (hints) {
		free_drop(&b->hints, &b->nr_hints);
		b->round = 0;
	}
	if (reports)
		free_drop(&b->reports, &b->nr_reports);
}
