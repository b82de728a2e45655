// SPDX-License-Identifier: GPL-2.0-only
/*
 * The simulated block device: takes requests from its queues, checks that the driver may
 * send them, has them executed one by one, at once, and answers them. Does what scripts
 * want of the device itself.
 *
 * What a driver can know beforehand and disregards is a violation. What depends on the
 * state of the device, which may have changed meanwhile, is only answered.
 */
#include <linux/sched.h>
#include <linux/slab.h>

#include "sim_blk.h"

/* Requests in a row before others may have the lock: a full ring of the usual size. */
#define BLK_BUDGET	256
/* Capacity of a disk of which no other was asked for. */
#define BLK_SECTORS	(SZ_4M / SECTOR_SIZE)

/**
 * struct blk_command - a type of request
 * @name: for messages
 * @type: VIRTIO_BLK_T_*
 * @needs: feature bit that must be negotiated, or -1
 * @flags: BLK_*
 * @run: executes it, returns the status
 */
struct blk_command {
	const char *name;
	u32 type;
	int needs;
	unsigned int flags;
	u8 (*run)(struct sim_blk_request *req);
};

/* The driver sends data. */
#define BLK_OUT		BIT(0)
/* The driver wants data. */
#define BLK_IN		BIT(1)
/* The sector means something; otherwise it is 0. */
#define BLK_SECTOR	BIT(2)
/* Not on a read-only device. */
#define BLK_CHANGES	BIT(3)
/* Goes into the log of changes and flushes. */
#define BLK_LOG		BIT(4)

static const struct blk_command blk_commands[] = {
	{ "read", VIRTIO_BLK_T_IN, -1, BLK_IN | BLK_SECTOR, sim_blk_read },
	{ "write", VIRTIO_BLK_T_OUT, -1, BLK_OUT | BLK_SECTOR | BLK_CHANGES | BLK_LOG,
	  sim_blk_write },
	{ "flush", VIRTIO_BLK_T_FLUSH, VIRTIO_BLK_F_FLUSH, BLK_LOG, sim_blk_flush },
	{ "get ID", VIRTIO_BLK_T_GET_ID, -1, BLK_IN, sim_blk_get_id },
	{ "get lifetime", VIRTIO_BLK_T_GET_LIFETIME, VIRTIO_BLK_F_LIFETIME, BLK_IN,
	  sim_blk_get_lifetime },
	{ "discard", VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_F_DISCARD, BLK_OUT | BLK_CHANGES | BLK_LOG,
	  sim_blk_ranges },
	{ "write zeroes", VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_F_WRITE_ZEROES,
	  BLK_OUT | BLK_CHANGES | BLK_LOG, sim_blk_ranges },
	{ "secure erase", VIRTIO_BLK_T_SECURE_ERASE, VIRTIO_BLK_F_SECURE_ERASE,
	  BLK_OUT | BLK_CHANGES | BLK_LOG, sim_blk_ranges },
	{ "zone append", VIRTIO_BLK_T_ZONE_APPEND, VIRTIO_BLK_F_ZONED,
	  BLK_OUT | BLK_SECTOR | BLK_CHANGES | BLK_LOG, sim_blk_zone_append },
	{ "zone report", VIRTIO_BLK_T_ZONE_REPORT, VIRTIO_BLK_F_ZONED, BLK_IN | BLK_SECTOR,
	  sim_blk_zone_report },
	{ "zone open", VIRTIO_BLK_T_ZONE_OPEN, VIRTIO_BLK_F_ZONED, BLK_SECTOR | BLK_CHANGES,
	  sim_blk_zone_manage },
	{ "zone close", VIRTIO_BLK_T_ZONE_CLOSE, VIRTIO_BLK_F_ZONED, BLK_SECTOR | BLK_CHANGES,
	  sim_blk_zone_manage },
	{ "zone finish", VIRTIO_BLK_T_ZONE_FINISH, VIRTIO_BLK_F_ZONED, BLK_SECTOR | BLK_CHANGES,
	  sim_blk_zone_manage },
	{ "zone reset", VIRTIO_BLK_T_ZONE_RESET, VIRTIO_BLK_F_ZONED, BLK_SECTOR | BLK_CHANGES,
	  sim_blk_zone_manage },
	{ "zone reset all", VIRTIO_BLK_T_ZONE_RESET_ALL, VIRTIO_BLK_F_ZONED, BLK_CHANGES,
	  sim_blk_zone_reset_all },
};

static const struct blk_command *blk_command(u32 type)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(blk_commands); i++)
		if (blk_commands[i].type == type)
			return &blk_commands[i];
	return NULL;
}

/* Legacy: one descriptor for the header and one for the status (VIRTIO 1.3, 5.2.6.4). */
static void blk_check_framing(const struct sim_blk_request *req)
{
	const struct sim_chain *chain = req->chain;
	const struct sim_seg *last = &chain->segs[chain->nr_out + chain->nr_in - 1];

	if (sim_has(req->blk->sim, VIRTIO_F_VERSION_1) ||
	    sim_has(req->blk->sim, VIRTIO_F_ANY_LAYOUT))
		return;
	if (chain->segs[0].len != sizeof(struct virtio_blk_outhdr))
		sim_blk_wrong(req, 0, "legacy header of another length", chain->segs[0].len);
	if (last->len != 1)
		sim_blk_wrong(req, 0, "legacy status of another length", last->len);
}

static u8 blk_check_feature(const struct sim_blk_request *req, int needs)
{
	if (needs >= 0 && !sim_has(req->blk->sim, needs))
		return sim_blk_wrong(req, VIRTIO_BLK_S_UNSUPP, "without its feature", needs);
	if (needs == VIRTIO_BLK_F_ZONED && !req->blk->zones)
		return sim_blk_wrong(req, VIRTIO_BLK_S_UNSUPP, "device has no zones", 0);
	return VIRTIO_BLK_S_OK;
}

static u8 blk_check(struct sim_blk_request *req, const struct blk_command *command)
{
	struct sim_device *sim = req->blk->sim;

	blk_check_framing(req);
	if (req->queue->index && !sim_has(sim, VIRTIO_BLK_F_MQ))
		sim_blk_wrong(req, 0, "on a queue of VIRTIO_BLK_F_MQ", req->queue->index);
	if (!(command->flags & BLK_SECTOR) && req->sector)
		sim_blk_wrong(req, 0, "takes no sector", req->sector);
	if (!(command->flags & BLK_OUT) && req->data_out)
		return sim_blk_wrong(req, VIRTIO_BLK_S_IOERR, "takes no data", req->data_out);
	if (!(command->flags & BLK_IN) && req->data_in)
		return sim_blk_wrong(req, VIRTIO_BLK_S_IOERR, "gives no data", req->data_in);
	sim_blk_check_segments(req);
	if (!(command->flags & BLK_CHANGES) ||
	    !(sim->options.features & BIT_ULL(VIRTIO_BLK_F_RO)))
		return VIRTIO_BLK_S_OK;
	if (!sim_has(sim, VIRTIO_BLK_F_RO))
		return VIRTIO_BLK_S_IOERR;
	return sim_blk_wrong(req, VIRTIO_BLK_S_IOERR, "read-only device, bytes", req->data_out);
}

static u8 blk_parse(struct sim_blk_request *req, const struct blk_command **command)
{
	struct virtio_device *vdev = &req->blk->sim->vdev;
	struct virtio_blk_outhdr header;
	u32 tail = sizeof(u8);
	u8 status;

	if (sim_chain_read(req->chain, 0, &header, sizeof(header)) != sizeof(header))
		return sim_blk_wrong(req, VIRTIO_BLK_S_IOERR, "header is too short",
				     req->chain->out);
	req->type = virtio32_to_cpu(vdev, header.type);
	req->sector = virtio64_to_cpu(vdev, header.sector);
	*command = blk_command(req->type);
	if (!*command)
		return sim_blk_wrong(req, VIRTIO_BLK_S_UNSUPP, "unknown type", req->type);

	req->name = (*command)->name;
	status = blk_check_feature(req, (*command)->needs);
	if (status)
		return status;
	if (req->type == VIRTIO_BLK_T_ZONE_APPEND)
		tail += sizeof(__le64);
	if (req->chain->in < tail)
		return sim_blk_wrong(req, VIRTIO_BLK_S_IOERR, "no room for the answer",
				     req->chain->in);
	req->data_out = req->chain->out - sizeof(header);
	req->data_in = req->chain->in - tail;
	return blk_check(req, *command);
}

static bool blk_fails(struct sim_blk_dev *blk, u16 queue, u8 *status)
{
	struct sim_blk_fail *rule;
	bool hit = false;
	unsigned int i;

	/* From the end: what takes the place of a rule that is over has had its turn. */
	for (i = blk->nr_fails; i--;) {
		rule = &blk->fails[i];
		if (rule->queue != SIM_ALL_QUEUES && rule->queue != queue)
			continue;
		if (rule->skip) {
			rule->skip--;
			continue;
		}
		*status = rule->status;
		hit = true;
		if (!--rule->count)
			*rule = blk->fails[--blk->nr_fails];
	}
	return hit;
}

/*
 * The status is the last byte and must be within the used length, so all bytes before it
 * must have been written (VIRTIO 1.3, 2.7.8.2), those too that have no meaning.
 */
static void blk_answer(struct sim_blk_request *req, u8 status)
{
	struct sim_chain *chain = req->chain;
	u32 last = chain->in - 1;

	sim_blk_fill(req, last);
	sim_chain_write(chain, last, &status, sizeof(status));
	chain->written = chain->in;
	sim_use(req->queue, chain, chain->in);
}

static void blk_serve(struct sim_blk_dev *blk, struct sim_queue *queue, struct sim_chain *chain)
{
	struct sim_blk_request req = {
		.blk = blk, .queue = queue, .chain = chain, .name = "request", .type = U32_MAX,
	};
	const struct blk_command *command = NULL;
	u8 status;

	if (!chain->in) {
		sim_blk_wrong(&req, 0, "no room for a status, bytes to read", chain->out);
		sim_use(queue, chain, 0);
		return;
	}

	status = blk_parse(&req, &command);
	if (!blk_fails(blk, queue->index, &status) && !status)
		status = command->run(&req);

	blk->counters.requests[min_t(u32, req.type, SIM_BLK_TYPES - 1)]++;
	if (status)
		blk->counters.errors++;
	if (command && command->flags & BLK_LOG)
		sim_blk_log_change(&req, status);
	blk_answer(&req, status);
}

static void blk_kick(struct sim_device *sim, struct sim_queue *queue)
{
	struct sim_chain *chain;
	unsigned int i;

	for (i = 0; i < BLK_BUDGET; i++) {
		chain = sim_hurried(queue) ? NULL : sim_pop(queue);
		if (!chain)
			return;
		blk_serve(sim->data, queue, chain);
		cond_resched();
	}
	if (sim_available(queue))
		sim_wake(sim);
}

/* The rest of the queues that were left for a while. */
static void blk_work(struct sim_device *sim)
{
	unsigned int i;

	for (i = 0; i < sim->nr_queues; i++)
		if (sim->queues[i].enabled && sim_available(&sim->queues[i]))
			blk_kick(sim, &sim->queues[i]);
}

/* No chain is ever kept, and what is on the disk outlives a reset. */
static void blk_reset(struct sim_device *sim, struct sim_queue *queue)
{
}

/* Who does not know zones would write where it must not (VIRTIO 1.3, 5.2.5). */
static int blk_features_ok(struct sim_device *sim)
{
	struct sim_blk_dev *blk = sim->data;
	u8 wce = 0;

	if (blk->zones && !sim_has(sim, VIRTIO_BLK_F_ZONED))
		return -EINVAL;
	/* Nobody could flush a cache that writes back. */
	if (sim_has(sim, VIRTIO_BLK_F_CONFIG_WCE) && !sim_has(sim, VIRTIO_BLK_F_FLUSH))
		sim_config_write(sim, offsetof(struct virtio_blk_config, wce), &wce, sizeof(wce),
				 false);
	return 0;
}

static void blk_ready(struct sim_device *sim)
{
	struct sim_blk_dev *blk = sim->data;

	sim_blk_config_told(blk);
	blk->capacity_told = sim_blk_config_capacity(blk);
	if (sim_blk_zoned(blk) && sim_has(sim, VIRTIO_BLK_F_DISCARD))
		sim_violation(sim, "DISCARD is negotiated with a host-managed zoned device");
}

static void blk_config_get(struct sim_device *sim, unsigned int at, const void *data,
			   unsigned int len)
{
	sim_blk_config_heard(sim->data, at, data, len);
}

static void blk_config_set(struct sim_device *sim, unsigned int at, unsigned int len)
{
	u8 wce = sim_blk_config_wce(sim->data);

	if (at != offsetof(struct virtio_blk_config, wce) || len != sizeof(wce))
		sim_violation(sim, "%u bytes of config space are written at %u", len, at);
	else if (!sim_has(sim, VIRTIO_BLK_F_CONFIG_WCE))
		sim_violation(sim, "the cache mode is written without CONFIG_WCE");
	else if (wce > 1 && !sim_config_lies(sim))
		sim_violation(sim, "%u is no cache mode", wce);
}

static int blk_act_capacity(struct sim_blk_dev *blk, const struct sim_action *action)
{
	if (blk->zones)
		return -EINVAL;
	blk->capacity = action->value;
	sim_blk_config_set_capacity(blk, action->value);
	return 0;
}

static int blk_act_fail(struct sim_blk_dev *blk, const struct sim_action *action)
{
	if (action->value > U8_MAX ||
	    (action->queue != SIM_ALL_QUEUES && action->queue >= blk->sim->nr_queues))
		return -EINVAL;
	if (blk->nr_fails == SIM_BLK_FAILS)
		return -ENOSPC;
	blk->fails[blk->nr_fails++] = (struct sim_blk_fail){
		.skip = action->skip, .count = action->count ?: 1,
		.queue = action->queue, .status = action->value,
	};
	return 0;
}

static int blk_act_wce(struct sim_blk_dev *blk, const struct sim_action *action)
{
	if (action->value > 1 ||
	    !(blk->sim->options.features & BIT_ULL(VIRTIO_BLK_F_CONFIG_WCE)))
		return -EINVAL;
	sim_blk_config_set_wce(blk, action->value);
	return 0;
}

static void blk_forget(struct sim_device *sim)
{
	struct sim_blk_dev *blk = sim->data;

	blk->nr_fails = 0;
}

static int blk_act(struct sim_device *sim, const struct sim_action *action)
{
	struct sim_blk_dev *blk = sim->data;

	switch (action->op) {
	case SIM_BLK_CAPACITY:
		return blk_act_capacity(blk, action);
	case SIM_BLK_FAIL:
		return blk_act_fail(blk, action);
	case SIM_BLK_HEAL:
		blk_forget(sim);
		return 0;
	case SIM_BLK_ZONE:
		return sim_blk_zone_force(blk, action);
	case SIM_BLK_WCE:
		return blk_act_wce(blk, action);
	default:
		return -EINVAL;
	}
}

/* Who has requests makes them by itself, but not for a disk that has become too small. */
static unsigned int blk_nudge(struct sim_device *sim, bool idle)
{
	const struct sim_action action = { .value = sim->options.sectors ?: BLK_SECTORS };

	if (idle && sim_blk_config_capacity(sim->data) != action.value)
		blk_act_capacity(sim->data, &action);
	return 0;
}

static void blk_exit(struct sim_device *sim)
{
	struct sim_blk_dev *blk = sim->data;

	if (!blk)
		return;
	sim_blk_disk_free(blk);
	kvfree(blk->zones);
	kvfree(blk);
	sim->data = NULL;
}

static int blk_init(struct sim_device *sim, const struct sim_options *options)
{
	bool mq = options->features & BIT_ULL(VIRTIO_BLK_F_MQ);
	struct sim_blk_dev *blk = kvzalloc(sizeof(*blk), GFP_KERNEL);
	int err;

	if (!blk)
		return -ENOMEM;

	blk->sim = sim;
	blk->capacity = options->sectors ?: BLK_SECTORS;
	xa_init(&blk->pages);
	/* As long as it may be: without a NUL. */
	memcpy(blk->serial, "virtio-rh-simulated0", VIRTIO_BLK_ID_BYTES);
	sim->data = blk;
	sim->nr_queues = mq && options->pairs ? options->pairs : 1;
	sim_blk_config_init(blk);
	err = sim->nr_queues > SIM_QUEUES_MAX ? -EINVAL : sim_blk_zones_init(blk, &blk->limits);
	if (err)
		blk_exit(sim);
	return err;
}

static const char * const blk_ops[] = { "capacity", "fail", "heal", "zone", "wce", NULL };

const struct sim_model sim_blk = {
	.id = VIRTIO_ID_BLOCK,
	.name = "blk",
	.config_len = SIM_BLK_CONFIG_LEN,
	.features = BIT_ULL(VIRTIO_BLK_F_SIZE_MAX) | BIT_ULL(VIRTIO_BLK_F_SEG_MAX) |
		    BIT_ULL(VIRTIO_BLK_F_GEOMETRY) | BIT_ULL(VIRTIO_BLK_F_RO) |
		    BIT_ULL(VIRTIO_BLK_F_BLK_SIZE) | BIT_ULL(VIRTIO_BLK_F_FLUSH) |
		    BIT_ULL(VIRTIO_BLK_F_TOPOLOGY) | BIT_ULL(VIRTIO_BLK_F_CONFIG_WCE) |
		    BIT_ULL(VIRTIO_BLK_F_MQ) | BIT_ULL(VIRTIO_BLK_F_DISCARD) |
		    BIT_ULL(VIRTIO_BLK_F_WRITE_ZEROES) | BIT_ULL(VIRTIO_BLK_F_LIFETIME) |
		    BIT_ULL(VIRTIO_BLK_F_SECURE_ERASE) | BIT_ULL(VIRTIO_BLK_F_ZONED),
	.rare = BIT_ULL(VIRTIO_BLK_F_ZONED),
	.ops = blk_ops,
	.init = blk_init,
	.exit = blk_exit,
	.reset = blk_reset,
	.features_ok = blk_features_ok,
	.ready = blk_ready,
	.kick = blk_kick,
	.work = blk_work,
	.config_get = blk_config_get,
	.config_set = blk_config_set,
	.act = blk_act,
	.forget = blk_forget,
	.draw = sim_blk_draw,
	.nudge = blk_nudge,
};
