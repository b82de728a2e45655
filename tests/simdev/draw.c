// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random actions of any type of device. Only the state of the random numbers and
 * the device's options decide: the same state makes the same action. No expression
 * draws twice, as the compiler would choose the order.
 */
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "core.h"

/* Of so many draws one is of each kind that few devices survive. */
#define SIM_RARE_MIDST	4096
/* Probe sees few actions, and is to meet these, too. */
#define SIM_RARE_EARLY	256

static u32 sim_below(struct rnd_state *rnd, u32 end)
{
	return prandom_u32_state(rnd) % end;
}

/* Lengths and indices at which drivers go wrong. */
static u32 sim_draw_edge(struct rnd_state *rnd)
{
	static const u32 edges[] = { 0, 1, 2, 7, 8, 11, 12, 13, 20, 60, 255, 256, 511, 512, 1514,
				     4096, 65535, 65536, S32_MAX, U32_MAX - 1, U32_MAX };
	u32 which = sim_below(rnd, ARRAY_SIZE(edges) + 4);

	return which < ARRAY_SIZE(edges) ? edges[which] : prandom_u32_state(rnd);
}

/*
 * What a device goes on working after is drawn often. Few of those that keep a buffer: the
 * rules behind them do not meet it, and with one in six the driver waited most of the time.
 */
static const u8 sim_midst[] = {
	SIM_DELAY, SIM_HOLD, SIM_REORDER, SIM_LEN, SIM_LEN, SIM_LEN, SIM_LEN, SIM_LEN, SIM_LEN,
	SIM_LEN, SIM_LEN, SIM_PATCH, SIM_PATCH, SIM_PATCH, SIM_PATCH, SIM_IRQ_DROP, SIM_IRQ_DROP,
	SIM_IRQ_STORM, SIM_IRQ_STORM, SIM_CONFIG_TEAR, SIM_CONFIG_TEAR, SIM_CONFIG_SLIP,
	SIM_CONFIG_SLIP, SIM_RELEASE, SIM_RELEASE, SIM_IRQ, SIM_IRQ, SIM_IRQ, SIM_IRQ,
	SIM_CONFIG_IRQ, SIM_CONFIG_IRQ,
};

/* Rules alone: nothing else would be met by who has not begun, or is about to end. */
static const u8 sim_ends_of_life[] = {
	SIM_DELAY, SIM_HOLD, SIM_REORDER, SIM_LEN, SIM_LEN, SIM_PATCH, SIM_IRQ_DROP, SIM_IRQ_STORM,
	SIM_CONFIG_TEAR, SIM_CONFIG_SLIP, SIM_IRQ_EARLY, SIM_IRQ_LATE, SIM_IRQ_LATE,
};

static const u8 sim_rare_rules[] = {
	SIM_DROP, SIM_TWICE, SIM_AGAIN, SIM_ID, SIM_STATUS, SIM_VANISH, SIM_VQ_FAIL, SIM_VQ_FAIL,
};

static const u8 sim_rare[] = {
	SIM_DROP, SIM_TWICE, SIM_AGAIN, SIM_ID, SIM_STATUS, SIM_VANISH, SIM_USED_IDX, SIM_RING,
	SIM_NEEDS_RESET, SIM_GONE,
};

static u16 sim_draw_op(enum sim_phase phase, struct rnd_state *rnd)
{
	u32 which;

	if (phase == SIM_MIDST) {
		which = sim_below(rnd, SIM_RARE_MIDST);
		return which < ARRAY_SIZE(sim_rare) ? sim_rare[which] :
						      sim_midst[which % ARRAY_SIZE(sim_midst)];
	}
	which = sim_below(rnd, SIM_RARE_EARLY);
	return which < ARRAY_SIZE(sim_rare_rules) ?
		       sim_rare_rules[which] :
		       sim_ends_of_life[which % ARRAY_SIZE(sim_ends_of_life)];
}

/* Milliseconds. A driver that waits for the buffer does nothing else meanwhile: mostly few. */
static u32 sim_draw_ms(struct rnd_state *rnd)
{
	u32 most = sim_below(rnd, 8) ? 4 : 20;

	return 1 + sim_below(rnd, most);
}

/* Interrupts; each costs the other CPU what a real one does. */
static u32 sim_draw_storm(struct rnd_state *rnd)
{
	u32 most = sim_below(rnd, 8) ? 5 : 50;

	return 1 + sim_below(rnd, most);
}

static void sim_draw_values(struct sim_action *action, struct rnd_state *rnd,
			    unsigned int config_len)
{
	switch (action->op) {
	case SIM_DELAY:
	case SIM_AGAIN:
		action->value = sim_draw_ms(rnd);
		break;
	case SIM_REORDER:
		action->value = 2 + sim_below(rnd, 3);
		action->count = action->value;
		break;
	case SIM_IRQ_STORM:
		action->value = sim_draw_storm(rnd);
		break;
	case SIM_LEN:
		action->count = 1 + sim_below(rnd, 8);
		action->value = sim_draw_edge(rnd);
		break;
	case SIM_PATCH:
		action->count = 1 + sim_below(rnd, 8);
		action->at = (s32)sim_below(rnd, 64) - 16;
		action->width = 1 + sim_below(rnd, 8);
		action->value = sim_draw_edge(rnd);
		break;
	case SIM_STATUS:
		action->value = sim_below(rnd, 256);
		break;
	case SIM_VANISH:
		/* Somewhere in probe, or in remove. */
		action->skip = sim_below(rnd, 64);
		break;
	case SIM_IRQ_EARLY:
	case SIM_IRQ_LATE:
		/* Each queue is such an event once. */
		action->skip = 0;
		break;
	case SIM_VQ_FAIL:
		action->value = sim_below(rnd, 2) ? ENOMEM : 0;
		break;
	case SIM_RING:
		action->at = sim_below(rnd, 3);
		action->value = sim_draw_edge(rnd) & U16_MAX;
		break;
	case SIM_CONFIG_TEAR:
	case SIM_CONFIG_SLIP:
		action->at = sim_below(rnd, config_len);
		action->value = sim_below(rnd, 256);
		break;
	case SIM_USED_IDX:
		/* The index has 16 bits; one that stays where it is would be no lie. */
		action->value = sim_draw_edge(rnd) & U16_MAX ?: 1;
		break;
	default:
		action->value = sim_draw_edge(rnd);
		break;
	}
}

/**
 * sim_draw() - make a random action
 * @sim: a device, whose type and number of queues matter, and nothing else
 * @phase: when it is to be done
 * @rnd: where chance comes from
 * @action: the result; its bytes are the device's, until the next is drawn
 *
 * Context: process context, with the device's lock or without; one caller at a time.
 */
void sim_draw(struct sim_device *sim, enum sim_phase phase, struct rnd_state *rnd,
	      struct sim_action *action)
{
	/* Half of them; fewer before probe, which would refuse most devices for their config. */
	bool own = !sim_below(rnd, phase == SIM_EARLY ? 6 : 2);

	memset(action, 0, sizeof(*action));
	if (sim->model->draw && own) {
		sim->model->draw(sim, rnd, action);
		return;
	}
	action->op = sim_draw_op(phase, rnd);
	/* Some queues are idle most of the time: what is for all of them is met soon. */
	action->queue = sim_below(rnd, 2) ? sim_below(rnd, sim->nr_queues) : SIM_ALL_QUEUES;
	action->skip = sim_below(rnd, 4);
	action->count = 1 + sim_below(rnd, 3);
	sim_draw_values(action, rnd, sim->model->config_len);
}

/**
 * sim_draw_ends() - will few drivers go on with the device after this?
 * @action: the action
 */
bool sim_draw_ends(const struct sim_action *action)
{
	switch (action->op) {
	case SIM_TWICE:
	case SIM_AGAIN:
	case SIM_ID:
	case SIM_USED_IDX:
	case SIM_RING:
	case SIM_VANISH:
	case SIM_GONE:
		return true;
	}
	return false;
}
