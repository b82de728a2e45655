// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transmit side of the simulated network device: takes packets from the driver, checks
 * every field of their headers against the specification, the negotiated features and
 * the packet itself, and passes them on: to a peer, back, or nowhere.
 */
#include <linux/in.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include "sim_net.h"

/* Packets of a queue before others get their turn: a driver can send for ever. */
#define TX_BUDGET	256

/* The feature that lets the driver ask for a GSO type, or -1. */
static int gso_feature(u8 type)
{
	switch (type) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return VIRTIO_NET_F_HOST_TSO4;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return VIRTIO_NET_F_HOST_TSO6;
	case VIRTIO_NET_HDR_GSO_UDP:
		return VIRTIO_NET_F_HOST_UFO;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return VIRTIO_NET_F_HOST_USO;
	}
	return -1;
}

static bool allowed_gso(struct sim_net_dev *net, const struct sim_net_packet *packet)
{
	u8 type = packet->gso_type & ~VIRTIO_NET_HDR_GSO_ECN;
	int feature = gso_feature(type);
	bool ok = feature >= 0 && sim_has(net->sim, feature);

	if (packet->gso_type & VIRTIO_NET_HDR_GSO_ECN)
		ok = ok && sim_has(net->sim, VIRTIO_NET_F_HOST_ECN) &&
		     (type == VIRTIO_NET_HDR_GSO_TCPV4 || type == VIRTIO_NET_HDR_GSO_TCPV6);
	if (!ok)
		sim_violation(net->sim, "transmit: gso_type %#x was not negotiated",
			      packet->gso_type);
	return ok;
}

/* Is the packet of the protocol that its GSO type says? */
static bool right_protocol(struct sim_net_dev *net, const struct sim_net_packet *packet,
			   const struct sim_net_flow *flow)
{
	u8 type = packet->gso_type & ~VIRTIO_NET_HDR_GSO_ECN;
	u8 proto = IPPROTO_UDP;
	bool ok = flow->l4;

	if (type == VIRTIO_NET_HDR_GSO_TCPV4 || type == VIRTIO_NET_HDR_GSO_TCPV6) {
		proto = IPPROTO_TCP;
		ok = ok && flow->v6 == (type == VIRTIO_NET_HDR_GSO_TCPV6);
	}
	ok = ok && flow->proto == proto;
	if (!ok)
		sim_violation(net->sim,
			      "transmit: gso_type %#x, but the packet is IPv%u with protocol %u, l4 at %u",
			      packet->gso_type, flow->v6 ? 6 : 4, flow->proto, flow->l4);
	return ok;
}

/*
 * A wrong hdr_len is a violation, but no reason to drop: no device relies on it. The
 * lower bound without GUEST_HDRLEN is only a "SHOULD".
 */
static void check_hdr_len(struct sim_net_dev *net, const struct sim_net_packet *packet,
			  const struct sim_net_flow *flow)
{
	bool exact = sim_has(net->sim, VIRTIO_NET_F_GUEST_HDRLEN);

	if (exact ? packet->hdr_len != flow->payload : packet->hdr_len > packet->len)
		sim_violation(net->sim, "transmit: hdr_len %u%s, headers are %u of %u bytes",
			      packet->hdr_len, exact ? " with GUEST_HDRLEN" : "", flow->payload,
			      packet->len);
}

static bool good_gso(struct sim_net_dev *net, const struct sim_net_packet *packet,
		     const struct sim_net_flow *flow)
{
	u16 mtu = net->mtu;

	if (packet->gso_type == VIRTIO_NET_HDR_GSO_NONE) {
		if (!sim_has(net->sim, VIRTIO_NET_F_MTU) ||
		    packet->len <= mtu + ETH_HLEN + flow->tags)
			return true;
		sim_violation(net->sim, "transmit: %u bytes and no GSO, MTU is %u", packet->len,
			      mtu);
		return false;
	}
	if (!allowed_gso(net, packet) || !right_protocol(net, packet, flow))
		return false;
	if (!packet->gso_size || !(packet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)) {
		sim_violation(net->sim, "transmit: gso_type %#x with gso_size %u and flags %#x",
			      packet->gso_type, packet->gso_size, packet->flags);
		return false;
	}
	if (packet->csum_start != flow->l4) {
		sim_violation(net->sim, "transmit: gso_type %#x, csum_start %u, l4 at %u",
			      packet->gso_type, packet->csum_start, flow->l4);
		return false;
	}
	check_hdr_len(net, packet, flow);
	return true;
}

static bool good_csum(struct sim_net_dev *net, const struct sim_net_packet *packet,
		      const struct sim_net_flow *flow)
{
	u32 start = packet->csum_start, offset = packet->csum_offset, want;
	u8 flags = sim_has(net->sim, VIRTIO_NET_F_CSUM) ? VIRTIO_NET_HDR_F_NEEDS_CSUM : 0;

	if (packet->flags & ~flags) {
		sim_violation(net->sim, "transmit: flags %#x, at most %#x are allowed",
			      packet->flags, flags);
		return false;
	}
	if (!packet->flags)
		return true;
	if (start < ETH_HLEN || start + offset + sizeof(__sum16) > packet->len) {
		sim_violation(net->sim, "transmit: csum_start %u, csum_offset %u in %u bytes",
			      start, offset, packet->len);
		return false;
	}
	/* In a tunnel it is about a header that we do not look for. */
	if (!flow->l4 || start != flow->l4)
		return true;
	want = flow->proto == IPPROTO_TCP ? offsetof(struct tcphdr, check) :
					    offsetof(struct udphdr, check);
	if (offset != want) {
		sim_violation(net->sim, "transmit: csum_offset %u for protocol %u", offset,
			      flow->proto);
		return false;
	}
	if (!sim_net_pseudo_ok(packet->data, flow))
		sim_violation(net->sim, "transmit: no sum of the pseudo header at %u",
			      start + offset);
	return true;
}

/* Is the queue one that the driver has enabled by a command of class MQ? */
static bool good_queue(struct sim_net_dev *net, const struct sim_queue *queue)
{
	if (queue->index / 2 < net->pairs || net->pairs_twisted)
		return true;
	sim_violation(net->sim, "transmit: packet on queue %u, queue pairs in use are %u",
		      queue->index, net->pairs);
	return false;
}

/* VIRTIO 1.3, 5.1.6 (legacy): without ANY_LAYOUT the header is a descriptor by itself. */
static bool good_layout(struct sim_net_dev *net, const struct sim_chain *chain)
{
	u32 hdr_len = sim_net_hdr_len(net);

	if (chain->out < hdr_len + ETH_HLEN || chain->out - hdr_len > SIM_NET_FRAME_MAX) {
		sim_violation(net->sim, "transmit: buffer of %u bytes, of which %u are header",
			      chain->out, hdr_len);
		return false;
	}
	if (chain->in)
		sim_violation(net->sim, "transmit: buffer with %u bytes to write", chain->in);
	if (!sim_has(net->sim, VIRTIO_F_VERSION_1) && !sim_has(net->sim, VIRTIO_F_ANY_LAYOUT) &&
	    chain->segs[0].len != hdr_len)
		sim_violation(net->sim, "transmit: first descriptor of %u bytes without ANY_LAYOUT",
			      chain->segs[0].len);
	return true;
}

static void decode(struct sim_net_dev *net, struct sim_net_packet *packet)
{
	struct virtio_device *vdev = &net->sim->vdev;
	const struct virtio_net_hdr_v1 *hdr = &packet->wire.hdr;

	packet->flags = hdr->flags;
	packet->gso_type = hdr->gso_type;
	packet->hdr_len = virtio16_to_cpu(vdev, hdr->hdr_len);
	/* What the flags do not name has no meaning, and must not come out at a peer's. */
	if (packet->gso_type)
		packet->gso_size = virtio16_to_cpu(vdev, hdr->gso_size);
	if (packet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		packet->csum_start = virtio16_to_cpu(vdev, hdr->csum_start);
		packet->csum_offset = virtio16_to_cpu(vdev, hdr->csum_offset);
	}
}

static int tx_drop(struct sim_net_dev *net, const struct sim_queue *queue,
		   enum sim_net_drop why)
{
	u64 *stat = net->queue[queue->index].stat;

	stat[SIM_NET_TX_DROPS]++;
	if (why == SIM_NET_DROP_MALFORMED)
		stat[SIM_NET_TX_MALFORMED]++;
	return sim_net_drop(net, why);
}

/* Copies a packet out of the driver's buffer; NULL if it had to be dropped. */
static struct sim_net_packet *take(struct sim_net_dev *net, const struct sim_queue *queue,
				   const struct sim_chain *chain)
{
	u32 hdr_len = sim_net_hdr_len(net), len;
	struct sim_net_packet *packet;

	if (!good_layout(net, chain)) {
		tx_drop(net, queue, SIM_NET_DROP_MALFORMED);
		return NULL;
	}
	len = chain->out - hdr_len;
	packet = sim_net_alloc(len);
	if (!packet) {
		tx_drop(net, queue, SIM_NET_DROP_MEMORY);
		return NULL;
	}
	sim_chain_read(chain, 0, &packet->wire, hdr_len);
	sim_chain_read(chain, hdr_len, packet->data, len);
	packet->kind = SIM_NET_WIRE;
	packet->queue = SIM_ALL_QUEUES;
	decode(net, packet);
	return packet;
}

static void record(struct sim_net_dev *net, const struct sim_queue *queue,
		   const struct sim_net_packet *packet)
{
	struct sim_net_packet *copy = NULL;

	if (!net->recording)
		return;
	if (net->nr_log < SIM_NET_LOG)
		copy = sim_net_alloc(packet->len);
	if (!copy) {
		net->counters.unrecorded++;
		return;
	}
	memcpy(copy->data, packet->data, packet->len);
	copy->wire = packet->wire;
	copy->queue = queue->index;
	list_add_tail(&copy->node, &net->log);
	net->nr_log++;
}

static void count(struct sim_net_dev *net, const struct sim_queue *queue,
		  const struct sim_net_packet *packet)
{
	u64 *stat = net->queue[queue->index].stat;

	net->counters.tx_packets++;
	net->counters.tx_bytes += packet->len;
	stat[SIM_NET_TX_PACKETS]++;
	stat[SIM_NET_TX_BYTES] += packet->len;
	if (packet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
		stat[SIM_NET_TX_NEEDS_CSUM]++;
	else
		stat[SIM_NET_TX_CSUM_NONE]++;
	if (packet->gso_type) {
		stat[SIM_NET_TX_GSO_PACKETS]++;
		stat[SIM_NET_TX_GSO_BYTES] += packet->len;
		stat[SIM_NET_TX_NOSEG]++;
		stat[SIM_NET_TX_NOSEG_BYTES] += packet->len;
	}
}

/* Passes the packet on; it is gone afterwards. The @first of a burst has the others tried again. */
static void forward(struct sim_net_dev *net, const struct sim_queue *queue,
		    struct sim_net_packet *packet, bool *first)
{
	if (sim_net_to_peer(net, packet))
		return;
	if (!net->loopback) {
		kvfree(packet);
		return;
	}
	packet->kind = SIM_NET_LOOP;
	packet->queue = queue->index - 1;
	list_add_tail(&packet->node, &net->pending);
	net->nr_pending++;
	net->pending_bytes += packet->len;
	if (*first)
		sim_net_pump(net);
	else
		sim_net_pump_last(net, packet);
	*first = false;
}

/* 0 if the packet may be passed on; else it is counted as dropped. */
static int check(struct sim_net_dev *net, const struct sim_queue *queue,
		 const struct sim_net_packet *packet)
{
	struct sim_net_flow flow;

	sim_net_parse(packet->data, packet->len, &flow);
	if (!good_queue(net, queue) || !good_csum(net, packet, &flow) ||
	    !good_gso(net, packet, &flow))
		return tx_drop(net, queue, SIM_NET_DROP_MALFORMED);
	if (!net->link)
		return tx_drop(net, queue, SIM_NET_DROP_LINK);
	net->flows[sim_net_flow_slot(packet->data, &flow)] = queue->index / 2 + 1;
	return 0;
}

/**
 * sim_net_transmit() - take what the driver wants to be sent
 * @net: device
 * @queue: a transmit queue
 *
 * Context: the device's lock is held, may sleep.
 */
void sim_net_transmit(struct sim_net_dev *net, struct sim_queue *queue)
{
	unsigned int budget = TX_BUDGET;
	struct sim_net_packet *packet;
	struct sim_chain *chain;
	bool first = true;

	for (; budget; budget--) {
		chain = sim_hurried(queue) ? NULL : sim_pop(queue);
		if (!chain)
			return;
		packet = take(net, queue, chain);
		if (packet) {
			record(net, queue, packet);
			if (check(net, queue, packet)) {
				kvfree(packet);
			} else {
				count(net, queue, packet);
				forward(net, queue, packet, &first);
			}
		}
		sim_use(queue, chain, 0);
	}
	/* Its turn comes again after the others'. */
	set_bit(queue->index, net->sim->kicked);
}
