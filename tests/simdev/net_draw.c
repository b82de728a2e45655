// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hostile actions for network drivers: headers of received packets and answers to
 * commands changed on the way out, config space with edge values, packets that nobody
 * should send. Only the random state and the device's options decide.
 */
#include <linux/kernel.h>

#include "sim_net.h"

/**
 * struct place - a field that means something
 * @at: byte offset
 * @width: bytes
 */
struct place {
	u8 at;
	u8 width;
};

#define PLACE(type, field) { offsetof(type, field), sizeof_field(type, field) }

/* The header before a received packet; num_buffers twice as often as the others. */
static const struct place header[] = {
	PLACE(struct sim_net_hdr, hdr.flags),
	PLACE(struct sim_net_hdr, hdr.gso_type),
	PLACE(struct sim_net_hdr, hdr.hdr_len),
	PLACE(struct sim_net_hdr, hdr.gso_size),
	PLACE(struct sim_net_hdr, hdr.csum_start),
	PLACE(struct sim_net_hdr, hdr.csum_offset),
	PLACE(struct sim_net_hdr, hdr.num_buffers),
	PLACE(struct sim_net_hdr, hdr.num_buffers),
	PLACE(struct sim_net_hdr, hash_value),
	PLACE(struct sim_net_hdr, hash_report),
};

/*
 * The ack, most often; the types of STATS_QUERY; type, index and size of the first reply
 * of STATS_GET, behind the ack.
 */
static const struct place answer[] = {
	{ 0, 1 }, { 0, 1 }, { 0, 1 }, { 1, 8 }, { 1, 1 }, { 3, 2 }, { 7, 2 },
};

static const struct place config[] = {
	PLACE(struct virtio_net_config, mac),
	PLACE(struct virtio_net_config, status),
	PLACE(struct virtio_net_config, max_virtqueue_pairs),
	PLACE(struct virtio_net_config, mtu),
	PLACE(struct virtio_net_config, speed),
	PLACE(struct virtio_net_config, duplex),
	PLACE(struct virtio_net_config, rss_max_key_size),
	PLACE(struct virtio_net_config, rss_max_indirection_table_length),
	PLACE(struct virtio_net_config, supported_hash_types),
};

/* Values at which sizes, counts and offsets turn over. */
static const u64 edges[] = {
	0, 1, 2, 3, 14, 34, 54, 67, 68, 127, 128, 255, 256, 1500, 1514, 4096, 0x7fff, 0x8000,
	0xffff, 0x7fffffff, U64_MAX,
};

/* EtherTypes of packets with random bytes, so that they get past the first look. */
static const u16 ethertypes[] = { ETH_P_IP, ETH_P_IPV6, ETH_P_8021Q, ETH_P_ARP };

static u32 below(struct rnd_state *rnd, u32 n)
{
	return prandom_u32_state(rnd) % n;
}

static u64 draw_value(struct rnd_state *rnd)
{
	u32 edge = below(rnd, 2 * ARRAY_SIZE(edges)), word = prandom_u32_state(rnd);

	return edge < ARRAY_SIZE(edges) ? edges[edge] : word;
}

static void draw_place(struct rnd_state *rnd, const struct place *places, u32 nr,
		       struct sim_action *action)
{
	const struct place *place = &places[below(rnd, nr)];

	action->at = place->at;
	action->width = place->width;
	action->value = draw_value(rnd);
	if (action->width < sizeof(action->value))
		action->value &= BIT_ULL(8 * action->width) - 1;
}

/* A packet into the device's scratch, where it stays until the next is drawn. */
static void draw_packet(struct sim_net_dev *net, struct rnd_state *rnd,
			struct sim_action *action)
{
	u32 size = below(rnd, 4), i, word;

	switch (size) {
	case 0:		/* a runt */
		action->len = 1 + below(rnd, ETH_HLEN);
		break;
	case 1:		/* more than a driver without MTU expects */
		action->len = ETH_DATA_LEN + ETH_HLEN + 1 +
			      below(rnd, SIM_BYTES_MAX - ETH_DATA_LEN - ETH_HLEN);
		break;
	default:
		action->len = ETH_HLEN + below(rnd, ETH_DATA_LEN);
	}
	for (i = 0; i < action->len; i += sizeof(word)) {
		word = prandom_u32_state(rnd);
		memcpy(net->drawn + i, &word, min_t(u32, sizeof(word), action->len - i));
	}
	if (action->len > ETH_HLEN) {
		eth_broadcast_addr(net->drawn);
		put_unaligned_be16(ethertypes[below(rnd, ARRAY_SIZE(ethertypes))],
				   net->drawn + 2 * ETH_ALEN);
		/* Version and length of an IP header. */
		net->drawn[ETH_HLEN] = below(rnd, 2) ? 0x45 : 0x60;
	}
	action->bytes = net->drawn;
}

/* A header that a device could write, with everything in it wrong or right. */
static u64 draw_header(struct rnd_state *rnd)
{
	static const u8 types[] = {
		VIRTIO_NET_HDR_GSO_NONE, VIRTIO_NET_HDR_GSO_TCPV4, VIRTIO_NET_HDR_GSO_UDP,
		VIRTIO_NET_HDR_GSO_TCPV6, VIRTIO_NET_HDR_GSO_UDP_L4,
		VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN, 2, 0xff,
	};
	u64 flags = below(rnd, 16), type = types[below(rnd, ARRAY_SIZE(types))];
	u64 size = draw_value(rnd) & U16_MAX;
	u64 start = draw_value(rnd) & U16_MAX;
	u64 offset = draw_value(rnd) & U16_MAX;

	return flags | type << 8 | size << 16 | start << 32 | offset << 48;
}

static void draw_own(struct sim_net_dev *net, struct rnd_state *rnd, struct sim_action *action)
{
	static const u16 ops[] = {
		SIM_NET_INJECT, SIM_NET_INJECT, SIM_NET_FLOOD, SIM_NET_FLOOD, SIM_NET_LINK,
		SIM_NET_LINK, SIM_NET_ANNOUNCE, SIM_NET_MODE, SIM_NET_MTU,
	};

	action->op = ops[below(rnd, ARRAY_SIZE(ops))];
	switch (action->op) {
	case SIM_NET_INJECT:
		draw_packet(net, rnd, action);
		action->value = draw_header(rnd);
		if (below(rnd, 2))
			action->queue = SIM_ALL_QUEUES;
		break;
	case SIM_NET_FLOOD:
		/* The device's lock is held for all of them: longer floods took half of a run. */
		action->at = ETH_ZLEN + below(rnd, ETH_DATA_LEN);
		action->value = 1 + below(rnd, 8);
		action->queue = SIM_ALL_QUEUES;
		break;
	case SIM_NET_LINK:
		/* Without a link the driver has nothing to do. */
		action->value = !!below(rnd, 8);
		break;
	case SIM_NET_MODE:
		action->value = !!below(rnd, 4);
		break;
	case SIM_NET_MTU:
		action->value = draw_value(rnd) & U16_MAX;
		break;
	}
}

/**
 * sim_net_draw() - make a random hostile action for a network driver
 * @sim: network device; only its options count
 * @rnd: where all choices come from
 * @action: receives it; its bytes are the device's, until the next is drawn
 *
 * Context: the device's lock is held.
 */
void sim_net_draw(struct sim_device *sim, struct rnd_state *rnd, struct sim_action *action)
{
	struct sim_net_dev *net = sim->data;
	u32 pair = below(rnd, net->max_pairs), what = below(rnd, 8);

	if (what == 3 && !(sim->options.features & BIT_ULL(VIRTIO_NET_F_CTRL_VQ)))
		what = 0;
	memset(action, 0, sizeof(*action));
	action->queue = 2 * pair;
	action->skip = below(rnd, 8);
	action->count = 1 + below(rnd, 8);
	switch (what) {
	case 0:
	case 1:
	case 2:
		action->op = SIM_PATCH;
		draw_place(rnd, header, ARRAY_SIZE(header), action);
		break;
	case 3:
		action->op = SIM_PATCH;
		action->queue = 2 * net->max_pairs;
		draw_place(rnd, answer, ARRAY_SIZE(answer), action);
		break;
	case 4:
		action->op = SIM_CONFIG;
		draw_place(rnd, config, ARRAY_SIZE(config), action);
		break;
	default:
		draw_own(net, rnd, action);
	}
}
