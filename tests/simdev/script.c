// SPDX-License-Identifier: GPL-2.0-only
/*
 * The script of a device: rules that wait for their event, and actions that are done
 * at once.
 */
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "core.h"

/* What scripts call the operations that every device has, in their order. */
static const char * const sim_op_names[SIM_MODEL] = {
	[SIM_DELAY] = "delay",
	[SIM_HOLD] = "hold",
	[SIM_DROP] = "drop",
	[SIM_REORDER] = "reorder",
	[SIM_TWICE] = "twice",
	[SIM_AGAIN] = "again",
	[SIM_ID] = "id",
	[SIM_LEN] = "len",
	[SIM_PATCH] = "patch",
	[SIM_IRQ_DROP] = "irq-drop",
	[SIM_IRQ_STORM] = "irq-storm",
	[SIM_IRQ_EARLY] = "irq-early",
	[SIM_IRQ_LATE] = "irq-late",
	[SIM_CONFIG_TEAR] = "config-tear",
	[SIM_CONFIG_SLIP] = "config-slip",
	[SIM_STATUS] = "status",
	[SIM_VANISH] = "vanish",
	[SIM_VQ_FAIL] = "vq-fail",
	[SIM_RELEASE] = "release",
	[SIM_IRQ] = "irq",
	[SIM_CONFIG_IRQ] = "config-irq",
	[SIM_CONFIG] = "config",
	[SIM_USED_IDX] = "used-idx",
	[SIM_RING] = "ring",
	[SIM_NEEDS_RESET] = "needs-reset",
	[SIM_GONE] = "gone",
};

/* Nobody waits longer for a device that is only slow. */
#define SIM_DELAY_MAX_MS	(60 * MSEC_PER_SEC)
/* More of them in a row tell nothing new. */
#define SIM_STORM_MAX		10000
#define SIM_REORDER_MAX		256

static bool sim_is_rule(unsigned int op)
{
	return op < SIM_RELEASE;
}

/**
 * sim_op_name() - the name of an operation
 * @model: type of device
 * @op: the operation
 *
 * Return: its name, or NULL if there is none.
 */
const char *sim_op_name(const struct sim_model *model, unsigned int op)
{
	unsigned int i;

	if (op < SIM_MODEL)
		return sim_op_names[op];
	for (i = 0; model->ops && model->ops[i] && SIM_MODEL + i < SIM_OPS_MAX; i++) {
		if (op == SIM_MODEL + i)
			return model->ops[i];
	}
	return NULL;
}

/**
 * sim_op_find() - an operation by its name
 * @model: type of device
 * @name: the name
 *
 * Return: the operation, or -EINVAL.
 */
int sim_op_find(const struct sim_model *model, const char *name)
{
	const char *known;
	unsigned int op;

	for (op = 0; (known = sim_op_name(model, op)); op++) {
		if (!strcmp(known, name))
			return op;
	}
	return -EINVAL;
}

static s64 sim_patch_at(const struct sim_chain *chain, const struct sim_action *rule)
{
	return rule->at < 0 ? (s64)chain->written + rule->at : rule->at;
}

static void sim_patch(struct sim_chain *chain, const struct sim_action *rule)
{
	s64 at = sim_patch_at(chain, rule);
	__le64 value = cpu_to_le64(rule->value);
	u32 written = chain->written;

	if (at < 0 || at >= written)
		return;
	chain->patched |= BIT_ULL(at % 64);
	sim_chain_write(chain, at, &value, min_t(u32, rule->width, written - at));
}

/* One rule, one buffer; false if the buffer is somewhere else after it. */
static bool sim_rule_apply(struct sim_queue *queue, struct sim_chain *chain,
			   const struct sim_action *rule)
{
	chain->told |= BIT(rule->op);
	switch (rule->op) {
	case SIM_DELAY:
		chain->due = jiffies + msecs_to_jiffies(rule->value);
		list_add_tail(&chain->node, &queue->delayed);
		/* The thread sleeps until the earliest that it knows of. */
		sim_wake(queue->sim);
		return false;
	case SIM_HOLD:
		list_add_tail(&chain->node, &queue->held);
		return false;
	case SIM_DROP:
		sim_chain_drop(chain);
		return false;
	case SIM_REORDER:
		queue->reorder = rule->value;
		queue->nr_reordered++;
		list_add_tail(&chain->node, &queue->reordered);
		return false;
	case SIM_TWICE:
		chain->pushes = 2;
		break;
	case SIM_AGAIN:
		chain->again = msecs_to_jiffies(rule->value);
		break;
	case SIM_ID:
		chain->push_id = rule->value;
		break;
	case SIM_LEN:
		chain->push_len = rule->value;
		break;
	case SIM_PATCH:
		sim_patch(chain, rule);
		break;
	case SIM_IRQ_DROP:
		chain->irqs = -1;
		break;
	case SIM_IRQ_STORM:
		chain->irqs = rule->value;
		break;
	}
	return true;
}

/* An event has come for a rule: does it apply? A rule that is over goes away. */
static bool sim_rule_due(struct sim_device *sim, unsigned int *at, struct sim_action *rule)
{
	struct sim_action *kept = &sim->rules[*at];

	if (kept->skip) {
		kept->skip--;
		(*at)++;
		return false;
	}
	*rule = *kept;
	if (kept->count > 1) {
		kept->count--;
		(*at)++;
	} else {
		sim->nr_rules--;
		memmove(kept, kept + 1, (sim->nr_rules - *at) * sizeof(*kept));
	}
	sim->stats.actions++;
	sim->stats.by_op[rule->op]++;
	return true;
}

static bool sim_rule_is_for(const struct sim_action *rule, const struct sim_queue *queue)
{
	return !queue || rule->queue == SIM_ALL_QUEUES || rule->queue == queue->index;
}

/*
 * Would the driver not see what this rule does to the buffer? One lie hides another of its
 * kind, and a byte that is not there cannot be changed. Makers of scripts know what they do;
 * of random rules many apply to the same buffer.
 */
static bool sim_rule_hidden(const struct sim_chain *chain, const struct sim_action *rule)
{
	u32 irqs = BIT(SIM_IRQ_DROP) | BIT(SIM_IRQ_STORM);
	s64 at;

	if (rule->op != SIM_PATCH)
		return chain->told & (BIT(rule->op) & irqs ? irqs : BIT(rule->op));
	at = sim_patch_at(chain, rule);
	return at < 0 || at >= chain->written || chain->patched & BIT_ULL(at % 64);
}

static bool sim_rule_passes(const struct sim_queue *queue, const struct sim_chain *chain,
			    const struct sim_action *rule)
{
	return rule->op > SIM_IRQ_STORM || !sim_rule_is_for(rule, queue) ||
	       (rule->op == SIM_PATCH && !chain->written) ||
	       (queue->sim->apart && sim_rule_hidden(chain, rule));
}

/**
 * sim_rules_apply() - apply the script to a buffer that is done
 * @queue: its queue
 * @chain: the buffer
 *
 * Context: under the device's lock.
 * Return: true if it is to be pushed now, false if it is kept or gone.
 */
bool sim_rules_apply(struct sim_queue *queue, struct sim_chain *chain)
{
	struct sim_device *sim = queue->sim;
	struct sim_action rule;
	unsigned int at = 0;

	while (at < sim->nr_rules) {
		if (sim_rule_passes(queue, chain, &sim->rules[at]))
			at++;
		else if (sim_rule_due(sim, &at, &rule) && !sim_rule_apply(queue, chain, &rule))
			return false;
	}
	return true;
}

/**
 * sim_rules_event() - something happens to the device: does a rule apply?
 * @sim: the device
 * @op: kind of rule that waits for such an event
 * @queue: to whose virtqueue, or NULL
 * @rule: receives the first rule that is due
 *
 * Context: under the device's lock.
 * Return: there is one; it has had its event.
 */
bool sim_rules_event(struct sim_device *sim, enum sim_op op, const struct sim_queue *queue,
		     struct sim_action *rule)
{
	unsigned int at = 0;

	lockdep_assert_held(&sim->lock);
	while (at < sim->nr_rules) {
		if (sim->rules[at].op != op || !sim_rule_is_for(&sim->rules[at], queue))
			at++;
		else if (sim_rule_due(sim, &at, rule))
			return true;
	}
	return false;
}

/**
 * sim_rules_config() - config space was read: apply all rules that change it now
 * @sim: the device
 *
 * Context: under the device's lock.
 */
void sim_rules_config(struct sim_device *sim)
{
	struct sim_action rule;
	unsigned int at = 0;
	u16 op;
	u8 byte;

	lockdep_assert_held(&sim->lock);
	while (at < sim->nr_rules) {
		op = sim->rules[at].op;
		if (op != SIM_CONFIG_TEAR && op != SIM_CONFIG_SLIP) {
			at++;
		} else if (sim_rule_due(sim, &at, &rule)) {
			byte = rule.value;
			sim_config_change(sim, rule.at, &byte, 1, op == SIM_CONFIG_TEAR);
		}
	}
}

/* Is every field one that the operation can have? */
static int sim_action_check(struct sim_device *sim, const struct sim_action *action)
{
	if (!sim_op_name(sim->model, action->op))
		return -EINVAL;
	if (action->op >= SIM_MODEL)
		return action->len > SIM_BYTES_MAX || (action->len && !action->bytes) ? -EINVAL : 0;
	if (action->queue >= sim->nr_queues && action->queue != SIM_ALL_QUEUES)
		return -EINVAL;
	switch (action->op) {
	case SIM_DELAY:
	case SIM_AGAIN:
		return action->value <= SIM_DELAY_MAX_MS ? 0 : -EINVAL;
	case SIM_REORDER:
		return action->value && action->value <= SIM_REORDER_MAX ? 0 : -EINVAL;
	case SIM_IRQ_STORM:
		return action->value <= SIM_STORM_MAX ? 0 : -EINVAL;
	case SIM_STATUS:
		return action->value <= U8_MAX ? 0 : -EINVAL;
	case SIM_VQ_FAIL:
		return action->value <= MAX_ERRNO ? 0 : -EINVAL;
	case SIM_USED_IDX:
		/* By nothing it does not move. */
		return (u16)action->value ? 0 : -EINVAL;
	case SIM_PATCH:
		return action->width && action->width <= 8 ? 0 : -EINVAL;
	case SIM_CONFIG:
		if (!action->width || action->width > 8)
			return -EINVAL;
		fallthrough;
	case SIM_CONFIG_TEAR:
	case SIM_CONFIG_SLIP:
		return action->at >= 0 && action->at < SIM_CONFIG_MAX ? 0 : -EINVAL;
	}
	return 0;
}

static int sim_act_queues(struct sim_device *sim, const struct sim_action *action)
{
	unsigned int i;
	int err = 0;

	if (action->queue != SIM_ALL_QUEUES)
		return sim_queue_act(&sim->queues[action->queue], action);
	for (i = 0; i < sim->nr_queues; i++)
		err = sim_queue_act(&sim->queues[i], action) ?: err;
	return err;
}

static int sim_act_now(struct sim_device *sim, const struct sim_action *action)
{
	__le64 value = cpu_to_le64(action->value);

	switch (action->op) {
	case SIM_RELEASE:
	case SIM_IRQ:
	case SIM_USED_IDX:
	case SIM_RING:
		return sim_act_queues(sim, action);
	case SIM_CONFIG_IRQ:
		sim_irq_raise(&sim->config_irq);
		return 0;
	case SIM_CONFIG:
		sim_config_write(sim, action->at, &value, action->width, true);
		return 0;
	case SIM_NEEDS_RESET:
		return sim_needs_reset(sim);
	case SIM_GONE:
		WRITE_ONCE(sim->gone, true);
		return 0;
	}
	return sim->model->act ? sim->model->act(sim, action) : -EINVAL;
}

/**
 * sim_act_locked() - sim_act() under the device's lock
 * @sim: the device
 * @action: what to do
 *
 * Context: process context, under the device's lock.
 * Return: as sim_act().
 */
int sim_act_locked(struct sim_device *sim, const struct sim_action *action)
{
	int err = sim_action_check(sim, action);

	lockdep_assert_held(&sim->lock);
	if (err)
		return err;
	if (sim_is_rule(action->op)) {
		if (sim->nr_rules == SIM_RULES_MAX)
			return -ENOSPC;
		sim->rules[sim->nr_rules] = *action;
		sim->rules[sim->nr_rules++].bytes = NULL;
		return 0;
	}
	/* The thread may not have come to it yet. */
	sim_worker_ready(sim);
	err = sim_act_now(sim, action);
	if (!err) {
		sim->stats.actions++;
		sim->stats.by_op[action->op]++;
	}
	return err;
}

/**
 * sim_act() - do an action, or keep it until its event comes
 * @sim: the device
 * @action: what to do
 *
 * Context: process context.
 * Return: 0; -EINVAL if the device cannot do that; -ENOSPC if too many rules
 * wait; what the model says.
 */
int sim_act(struct sim_device *sim, const struct sim_action *action)
{
	int err;

	sim_lock(sim);
	err = sim_act_locked(sim, action);
	sim_unlock(sim);
	return err;
}
EXPORT_SYMBOL_GPL(sim_act);

/**
 * sim_forget_old() - forget the oldest rules
 * @sim: the device
 * @keep: how many there may be
 *
 * Context: process context.
 */
void sim_forget_old(struct sim_device *sim, unsigned int keep)
{
	unsigned int old;

	sim_lock(sim);
	old = sim->nr_rules - min(sim->nr_rules, keep);
	sim->nr_rules -= old;
	memmove(sim->rules, sim->rules + old, sim->nr_rules * sizeof(*sim->rules));
	sim_unlock(sim);
}

/**
 * sim_forget() - forget all rules, and use what they hold back
 * @sim: the device
 *
 * Delayed buffers still come in their time.
 *
 * Context: process context.
 */
void sim_forget(struct sim_device *sim)
{
	unsigned int i;

	sim_lock(sim);
	sim->nr_rules = 0;
	if (sim->model->forget)
		sim->model->forget(sim);
	for (i = 0; i < sim->nr_queues; i++)
		sim_queue_release(&sim->queues[i]);
	sim_unlock(sim);
}
EXPORT_SYMBOL_GPL(sim_forget);
