// SPDX-License-Identifier: GPL-2.0-only
/*
 * Device statistics of the simulated network device (VIRTIO 1.4, 5.1.6.5, Device
 * Statistics): what there is, and the replies. The numbers are counted where the packets are.
 */
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "sim_net.h"

struct stats_request {
	__le16 index;
	__le16 reserved[3];
	__le64 types;
};

static_assert(sizeof(struct stats_request) == 16);

/* The largest reply has six numbers. */
#define REPLY_MAX	6

struct stats_reply {
	u8 type;
	u8 reserved;
	__le16 index;
	__le16 reserved1;
	__le16 size;
	__le64 value[REPLY_MAX];
};

static_assert(sizeof(struct stats_reply) == 8 + 8 * REPLY_MAX);

/* Whose statistics: receive queues have even indices. */
enum { RX, TX, CTRL };

/**
 * struct stats_kind - a type of statistics
 * @type: bit in the bitmaps, and type of the reply
 * @whose: RX, TX or CTRL
 * @first: first number, enum sim_net_rx_stat or sim_net_tx_stat
 * @nr: numbers
 * @needs: features, one of which must be negotiated; 0 if none
 */
struct stats_kind {
	u8 type;
	u8 whose;
	u8 first;
	u8 nr;
	u64 needs;
};

static const struct stats_kind kinds[] = {
	{ 0, RX, SIM_NET_RX_NOTIFICATIONS, 6, 0 },
	{ 1, RX, SIM_NET_RX_CSUM_VALID, 4, BIT_ULL(VIRTIO_NET_F_GUEST_CSUM) },
	{ 2, RX, SIM_NET_RX_GSO_PACKETS, 4, BIT_ULL(VIRTIO_NET_F_GUEST_TSO4) |
					    BIT_ULL(VIRTIO_NET_F_GUEST_TSO6) },
	{ 3, RX, SIM_NET_RX_LIMITED, 2, BIT_ULL(VIRTIO_NET_F_SPEED_DUPLEX) },
	{ 16, TX, SIM_NET_TX_NOTIFICATIONS, 6, 0 },
	{ 17, TX, SIM_NET_TX_CSUM_NONE, 2, BIT_ULL(VIRTIO_NET_F_CSUM) },
	{ 18, TX, SIM_NET_TX_GSO_PACKETS, 6, BIT_ULL(VIRTIO_NET_F_HOST_TSO4) |
					     BIT_ULL(VIRTIO_NET_F_HOST_TSO6) |
					     BIT_ULL(VIRTIO_NET_F_HOST_USO) },
	{ 19, TX, SIM_NET_TX_LIMITED, 2, BIT_ULL(VIRTIO_NET_F_SPEED_DUPLEX) },
	{ 32, CTRL, 0, 2, 0 },
};

static bool available(const struct sim_net_dev *net, const struct stats_kind *kind)
{
	return !kind->needs || (net->features & kind->needs);
}

/* Types that a queue has; all types there are for none. */
static u64 types_of(const struct sim_net_dev *net, int whose)
{
	u64 types = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (available(net, &kinds[i]) && (whose < 0 || kinds[i].whose == whose))
			types |= BIT_ULL(kinds[i].type);
	return types;
}

static u8 query(struct sim_net_command *cmd)
{
	__le64 types = cpu_to_le64(types_of(cmd->net, -1));

	if (cmd->len)
		return sim_net_refuse(cmd, "%u bytes of arguments, not 0", cmd->len);
	if (cmd->chain->in < sizeof(virtio_net_ctrl_ack) + sizeof(types))
		return sim_net_refuse(cmd, "%u bytes for the answer", cmd->chain->in);
	sim_net_reply(cmd, &types, sizeof(types));
	return VIRTIO_NET_OK;
}

static int whose(const struct sim_net_dev *net, unsigned int index)
{
	if (index < 2 * sim_net_pairs(net))
		return index % 2 ? TX : RX;
	return index == 2 * sim_net_pairs(net) ? CTRL : -1;
}

/* One reply, or, if @cmd is NULL, only its size. */
static size_t give(const struct sim_net_dev *net, struct sim_net_command *cmd,
		   unsigned int index, const struct stats_kind *kind)
{
	size_t size = offsetof(struct stats_reply, value[kind->nr]), i;
	struct stats_reply reply = {
		.type = kind->type,
		.index = cpu_to_le16(index),
		.size = cpu_to_le16(size),
	};

	if (!cmd)
		return size;
	if (kind->whose == CTRL) {
		/* Both numbers count this command, which will succeed. */
		reply.value[0] = cpu_to_le64(net->ctrl_ok + net->counters.refused + 1);
		reply.value[1] = cpu_to_le64(net->ctrl_ok + 1);
	} else {
		for (i = 0; i < kind->nr; i++)
			reply.value[i] = cpu_to_le64(net->queue[index].stat[kind->first + i]);
	}
	sim_net_reply(cmd, &reply, size);
	return size;
}

/* All that @requests ask for; its size. */
static size_t give_all(const struct sim_net_dev *net, struct sim_net_command *cmd,
		       const struct stats_request *requests, size_t nr)
{
	size_t size = 0, i, k;

	for (i = 0; i < nr; i++)
		for (k = 0; k < ARRAY_SIZE(kinds); k++)
			if (le64_to_cpu(requests[i].types) & BIT_ULL(kinds[k].type))
				size += give(net, cmd, le16_to_cpu(requests[i].index), &kinds[k]);
	return size;
}

/* One wrong request fails them all. */
static u8 check(const struct sim_net_command *cmd, const struct stats_request *requests, size_t nr)
{
	unsigned int index;
	u64 types, have;
	size_t i;
	int who;

	for (i = 0; i < nr; i++) {
		index = le16_to_cpu(requests[i].index);
		types = le64_to_cpu(requests[i].types);
		who = whose(cmd->net, index);
		if (who < 0)
			return sim_net_refuse(cmd, "statistics of queue %u", index);
		have = types_of(cmd->net, who);
		if (types & ~have)
			return sim_net_refuse(cmd, "types %#llx of queue %u, which has %#llx",
					      types, index, have);
	}
	return VIRTIO_NET_OK;
}

static u8 get(struct sim_net_command *cmd)
{
	size_t nr = cmd->len / sizeof(struct stats_request), size;
	struct stats_request *requests;
	u8 ack = VIRTIO_NET_ERR;

	if (!nr || cmd->len % sizeof(*requests) || nr > SIM_QUEUES_MAX)
		return sim_net_refuse(cmd, "%u bytes of requests of %zu", cmd->len,
				      sizeof(*requests));
	/* A copy: what was checked is what is answered. */
	requests = kvmalloc(cmd->len, GFP_KERNEL);
	if (!requests)
		return VIRTIO_NET_ERR;
	if (sim_net_args(cmd, 0, requests, cmd->len))
		ack = check(cmd, requests, nr);
	if (ack == VIRTIO_NET_OK) {
		size = give_all(cmd->net, NULL, requests, nr);
		if (cmd->chain->in < sizeof(virtio_net_ctrl_ack) + size)
			sim_net_refuse(cmd, "%u bytes for an answer of %zu", cmd->chain->in,
				       sizeof(virtio_net_ctrl_ack) + size);
		/* The device fills what there is, and that is a success. */
		give_all(cmd->net, cmd, requests, nr);
	}
	kvfree(requests);
	return ack;
}

/**
 * sim_net_stats() - a command of class STATS
 * @cmd: command; DEVICE_STATS is negotiated
 *
 * Context: the device's lock is held, may sleep.
 * Return: the ack.
 */
u8 sim_net_stats(struct sim_net_command *cmd)
{
	switch (cmd->cmd) {
	case VIRTIO_NET_CTRL_STATS_QUERY:
		return query(cmd);
	case VIRTIO_NET_CTRL_STATS_GET:
		return get(cmd);
	}
	return sim_net_refuse(cmd, "unknown");
}
