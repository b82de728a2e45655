// SPDX-License-Identifier: GPL-2.0-only
/*
 * Config space of a simulated balloon: what the device writes into it, and what the
 * driver may. Also whether the script has lied so much that the driver cannot be
 * blamed for anything.
 */
#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/poison.h>
#include <linux/string.h>

#include "sim_balloon.h"

static_assert(sizeof(struct virtio_balloon_config) == 16);

/* Trust */

/**
 * sim_balloon_trusts_ring() - do driver and device agree on who has which buffer?
 * @sim: balloon
 *
 * A driver that was told of a used buffer which it was not cannot be blamed for what
 * follows, and may have a page back while the device has still to take it.
 *
 * Context: the device's lock is held.
 * Return: true if no such lie was told since the last reset.
 */
bool sim_balloon_trusts_ring(struct sim_device *sim)
{
	return !sim->lied;
}

/**
 * sim_balloon_trusts_config() - is config space as the device means it?
 * @sim: balloon
 *
 * Context: the device's lock is held.
 * Return: true if the script did not change it since the last reset.
 */
bool sim_balloon_trusts_config(struct sim_device *sim)
{
	struct sim_balloon_state *b = sim->data;

	return sim_config_lies(sim) == b->config_lies;
}

static bool config_quiet(struct sim_queue *queue)
{
	return !queue->enabled || (!sim_available(queue) &&
				   bitmap_empty(queue->outstanding, queue->num));
}

/**
 * sim_balloon_quiet() - is there nothing that the device has to answer?
 * @sim: balloon
 *
 * Context: the device's lock is held.
 * Return: true if no buffer of PFNs is under way, so that both sides mean the same pages.
 */
bool sim_balloon_quiet(struct sim_device *sim)
{
	return config_quiet(&sim->queues[SIM_BALLOON_INFLATE]) &&
	       config_quiet(&sim->queues[SIM_BALLOON_DEFLATE]);
}

/* Fields; little endian for legacy drivers too (5.5.4) */

/**
 * sim_balloon_field() - read a field of config space
 * @sim: balloon
 * @at: its offset
 *
 * Return: its value.
 */
u32 sim_balloon_field(struct sim_device *sim, unsigned int at)
{
	__le32 raw = 0;

	sim_config_read(sim, at, &raw, sizeof(raw));
	return le32_to_cpu(raw);
}

/**
 * sim_balloon_set_field() - change a field of config space
 * @sim: balloon
 * @at: its offset
 * @value: what it becomes
 * @interrupt: tell the driver
 *
 * Context: process context.
 */
void sim_balloon_set_field(struct sim_device *sim, unsigned int at, u32 value, bool interrupt)
{
	__le32 raw = cpu_to_le32(value);

	sim_config_write(sim, at, &raw, sizeof(raw), interrupt);
}

/**
 * sim_balloon_act_target() - ask for a number of pages
 * @sim: balloon
 * @value: how many, units of 4 KiB
 *
 * Context: process context, the device's lock held.
 * Return: 0 or -EINVAL.
 */
int sim_balloon_act_target(struct sim_device *sim, u64 value)
{
	struct sim_balloon_state *b = sim->data;

	if (value > U32_MAX)
		return -EINVAL;
	b->num_pages = value;
	sim_balloon_set_field(sim, SIM_BALLOON_FIELD(num_pages), value, true);
	return 0;
}

/**
 * sim_balloon_act_poison() - change what the driver has said of its free pages
 * @sim: balloon
 * @value: what they hold
 *
 * Context: process context, the device's lock held.
 * Return: 0 or -EINVAL.
 */
int sim_balloon_act_poison(struct sim_device *sim, u64 value)
{
	struct sim_balloon_state *b = sim->data;

	if (value > U32_MAX)
		return -EINVAL;
	b->poison_reset = value;
	b->poison = value;
	sim_balloon_set_field(sim, SIM_BALLOON_FIELD(poison_val), value, true);
	return 0;
}

/* What the driver writes */

/* The driver may be between two buffers, so a difference is only counted here. */
static void config_actual(struct sim_device *sim)
{
	struct sim_balloon_state *b = sim->data;

	b->counts.actual_writes++;
	if (sim_balloon_field(sim, SIM_BALLOON_FIELD(actual)) != b->pages.nr &&
	    sim_balloon_quiet(sim))
		b->counts.actual_differs++;
}

static void config_poison(struct sim_device *sim)
{
	struct sim_balloon_state *b = sim->data;
	u32 value = sim_balloon_field(sim, SIM_BALLOON_FIELD(poison_val));
	u32 before = b->poison;

	b->poison = value;
	if (value == before || !sim_balloon_trusts_config(sim))
		return;
	if (!sim_has(sim, VIRTIO_BALLOON_F_PAGE_POISON))
		sim_violation(sim, "balloon: poison_val %#x written without PAGE_POISON", value);
	else if (b->ready)
		sim_violation(sim, "balloon: poison_val changed from %#x to %#x after DRIVER_OK",
			      before, value);
}

/*
 * Writes in a row are seen as one, over all that lies between them. So only a field that
 * has another value now was surely written.
 */
static void config_read_only(struct sim_device *sim, const char *name, unsigned int at,
			     u32 value)
{
	u32 now = sim_balloon_field(sim, at);

	if (now == value || !sim_balloon_trusts_config(sim))
		return;
	sim_violation(sim, "balloon: %s is the device's, but %#x was written", name, now);
	sim_balloon_set_field(sim, at, value, false);
}

static bool config_covers(unsigned int at, unsigned int len, unsigned int field)
{
	return at < field + sizeof(__le32) && at + len > field;
}

/**
 * sim_balloon_config_set() - the driver has written to config space
 * @sim: balloon
 * @at: offset
 * @len: bytes
 *
 * Context: process context, the device's lock held.
 */
void sim_balloon_config_set(struct sim_device *sim, unsigned int at, unsigned int len)
{
	struct sim_balloon_state *b = sim->data;

	if (config_covers(at, len, SIM_BALLOON_FIELD(num_pages)))
		config_read_only(sim, "num_pages", SIM_BALLOON_FIELD(num_pages), b->num_pages);
	if (config_covers(at, len, SIM_BALLOON_FIELD(actual)))
		config_actual(sim);
	if (config_covers(at, len, SIM_BALLOON_FIELD(free_page_hint_cmd_id)))
		config_read_only(sim, "free_page_hint_cmd_id",
				 SIM_BALLOON_FIELD(free_page_hint_cmd_id), b->cmd_id);
	if (config_covers(at, len, SIM_BALLOON_FIELD(poison_val)))
		config_poison(sim);
}

/* Life */

/**
 * sim_balloon_config_ready() - DRIVER_OK: what had to be said before that?
 * @sim: balloon
 *
 * The guest is this very kernel, so it is known what its free pages hold. The driver
 * must have told it if the device is to be shown such pages (5.5.3.1, 5.5.6.6.1).
 *
 * Context: process context, the device's lock held.
 */
void sim_balloon_config_ready(struct sim_device *sim)
{
	bool kept = want_init_on_free() || page_poisoning_enabled_static();
	struct sim_balloon_state *b = sim->data;
	u32 expected = 0;

	b->poison = sim_balloon_field(sim, SIM_BALLOON_FIELD(poison_val));
	if (!kept || !sim_balloon_trusts_config(sim))
		return;
	if (!want_init_on_free())
		memset(&expected, PAGE_POISON, sizeof(expected));
	if (!sim_has(sim, VIRTIO_BALLOON_F_PAGE_POISON)) {
		if (sim_has(sim, VIRTIO_BALLOON_F_REPORTING))
			sim_violation(sim, "balloon: REPORTING without PAGE_POISON, %#x is kept",
				      expected);
	} else if (b->poison != expected) {
		sim_violation(sim, "balloon: poison_val is %#x at DRIVER_OK, but %#x is kept",
			      b->poison, expected);
	}
}

/**
 * sim_balloon_config_reset() - config space after a reset
 * @sim: balloon
 *
 * The driver has to say again what it has and what its pages hold, and no command ID
 * holds any more. num_pages stays, as it is the host's wish. Lies are forgiven.
 *
 * Context: process context, the device's lock held.
 */
void sim_balloon_config_reset(struct sim_device *sim)
{
	struct sim_balloon_state *b = sim->data;

	b->config_lies = sim_config_lies(sim);
	b->cmd_id = VIRTIO_BALLOON_CMD_ID_STOP;
	b->poison = b->poison_reset;
	sim_balloon_set_field(sim, SIM_BALLOON_FIELD(num_pages), b->num_pages, false);
	sim_balloon_set_field(sim, SIM_BALLOON_FIELD(actual), 0, false);
	sim_balloon_set_field(sim, SIM_BALLOON_FIELD(free_page_hint_cmd_id), b->cmd_id, false);
	sim_balloon_set_field(sim, SIM_BALLOON_FIELD(poison_val), b->poison, false);
}
