// SPDX-License-Identifier: GPL-2.0-only
/*
 * Receive side of the simulated network device: whether the driver wants a packet, on
 * which queue, what has to be finished before it may see it, and the receive buffers.
 * Packets that find no buffers wait in the backlog (pending), which is walked once for
 * each sign of life.
 */
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "sim_net.h"

static int rx_drop(struct sim_net_dev *net, struct sim_net_queue *nq, enum sim_net_drop why)
{
	nq->stat[SIM_NET_RX_DROPS]++;
	if (why == SIM_NET_DROP_OVERRUN)
		nq->stat[SIM_NET_RX_OVERRUNS]++;
	return sim_net_drop(net, why);
}

/* A table that was too long for us stands for every address. */
static bool listed(const u8 (*table)[ETH_ALEN], unsigned int nr, const u8 *mac)
{
	unsigned int i;

	if (nr > SIM_NET_MACS)
		return true;
	for (i = 0; i < nr; i++)
		if (ether_addr_equal(table[i], mac))
			return true;
	return false;
}

/* VIRTIO 1.3, 5.1.6.5.1 to 5.1.6.5.3 */
static bool wanted(const struct sim_net_dev *net, const u8 *to, const struct sim_net_flow *flow)
{
	const struct sim_net_filters *f = &net->filters;

	if (f->promisc)
		return true;
	if (flow->tagged && sim_has(net->sim, VIRTIO_NET_F_CTRL_VLAN) &&
	    !test_bit(flow->vid, f->vlans))
		return false;
	if (is_broadcast_ether_addr(to))
		return !f->nobcast;
	if (is_multicast_ether_addr(to))
		return !f->nomulti && (f->allmulti || listed(f->multi, f->nr_multi, to));
	if (f->nouni)
		return false;
	/* A device that was never told the driver's address cannot look for it. */
	return f->alluni || is_zero_ether_addr(f->mac) || ether_addr_equal(f->mac, to) ||
	       listed(f->uni, f->nr_uni, to);
}

/* Its header was given from outside: nothing about it is put right. */
static bool is_raw(const struct sim_net_packet *packet)
{
	return packet->kind == SIM_NET_SHAPED || packet->kind == SIM_NET_VERBATIM;
}

/* Does the packet come to the driver at all? */
static int admit(struct sim_net_dev *net, const struct sim_net_packet *packet,
		 const struct sim_net_flow *flow)
{
	if (!net->live || net->sim->gone)
		return sim_net_drop(net, SIM_NET_DROP_DOWN);
	if (is_raw(packet))
		return 0;
	if (!net->link)
		return sim_net_drop(net, SIM_NET_DROP_LINK);
	if (packet->len < ETH_HLEN)
		return sim_net_drop(net, SIM_NET_DROP_SIZE);
	if (packet->kind == SIM_NET_WIRE && !wanted(net, packet->data, flow))
		return sim_net_drop(net, SIM_NET_DROP_FILTER);
	return 0;
}

static struct sim_queue *rx_queue(struct sim_net_dev *net, unsigned int pair)
{
	struct sim_queue *queue;

	if (pair >= sim_net_pairs(net))
		return NULL;
	queue = &net->sim->queues[2 * pair];
	return queue->enabled ? queue : NULL;
}

/*
 * VIRTIO 1.3, 5.1.6.5.6: the pair on which the driver sends the flow, or any other; if
 * its queue is being reset, the next one.
 */
static struct sim_queue *steer_by_flow(struct sim_net_dev *net, const u8 *data,
				       const struct sim_net_flow *flow)
{
	unsigned int slot = sim_net_flow_slot(data, flow), pair = slot, i;
	struct sim_queue *queue = NULL;

	if (net->flows[slot])
		pair = net->flows[slot] - 1;
	for (i = 0; i < net->pairs && !queue; i++)
		queue = rx_queue(net, (pair + i) % net->pairs);
	return queue;
}

static struct sim_queue *steer(struct sim_net_dev *net, const struct sim_net_packet *packet,
			       const struct sim_net_flow *flow)
{
	const struct sim_net_rss *rss = &net->rss;
	unsigned int pair = rss->unclassified;
	u32 hash;

	if (packet->queue != SIM_ALL_QUEUES) {
		pair = packet->queue / 2;
		/* The driver may have given this queue up since it sent the packet. */
		if (packet->kind == SIM_NET_LOOP && pair >= net->pairs)
			return NULL;
		return rx_queue(net, pair);
	}
	if (!rss->steering)
		return steer_by_flow(net, packet->data, flow);
	if (sim_net_hash(rss, packet->data, flow, &hash))
		pair = rss->table[hash & rss->mask];
	return rx_queue(net, pair);
}

/* Has the driver said that it takes packets of this GSO type? */
static bool takes_gso(const struct sim_net_dev *net, const struct sim_net_packet *packet,
		      const struct sim_net_flow *flow)
{
	u64 need = BIT_ULL(VIRTIO_NET_F_GUEST_CSUM);

	switch (packet->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		need |= BIT_ULL(VIRTIO_NET_F_GUEST_TSO4);
		break;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		need |= BIT_ULL(VIRTIO_NET_F_GUEST_TSO6);
		break;
	case VIRTIO_NET_HDR_GSO_UDP:
		need |= BIT_ULL(VIRTIO_NET_F_GUEST_UFO);
		break;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		need |= BIT_ULL(flow->v6 ? VIRTIO_NET_F_GUEST_USO6 : VIRTIO_NET_F_GUEST_USO4);
		break;
	default:
		return false;
	}
	if (packet->gso_type & VIRTIO_NET_HDR_GSO_ECN)
		need |= BIT_ULL(VIRTIO_NET_F_GUEST_ECN);
	return (net->offloads & need) == need;
}

/* Makes a packet what the driver has agreed to take. */
static int finish(struct sim_net_dev *net, struct sim_net_queue *nq,
		  struct sim_net_packet *packet, const struct sim_net_flow *flow)
{
	bool csum = net->offloads & BIT_ULL(VIRTIO_NET_F_GUEST_CSUM);

	if (is_raw(packet))
		return 0;
	if (!csum) {
		if ((packet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) && !sim_net_complete(packet))
			return rx_drop(net, nq, SIM_NET_DROP_MALFORMED);
		packet->flags = 0;
		packet->csum_start = 0;
		packet->csum_offset = 0;
	}
	if (csum && !packet->flags && sim_net_verify(packet->data, flow) == SIM_NET_CSUM_GOOD)
		packet->flags = VIRTIO_NET_HDR_F_DATA_VALID;
	if (!packet->gso_type && sim_has(net->sim, VIRTIO_NET_F_MTU) &&
	    packet->len > net->mtu + ETH_HLEN + flow->tags)
		return rx_drop(net, nq, SIM_NET_DROP_SIZE);
	return 0;
}

/* Takes buffers from the ring until there are @need bytes of them. */
static void pop_buffers(struct sim_net_dev *net, struct sim_queue *queue,
			struct sim_net_queue *nq, u64 need)
{
	unsigned int hdr_len = sim_net_hdr_len(net), n;
	struct sim_chain *chain;

	/* A driver that feeds us useless buffers as fast as we return them must not win. */
	for (n = 0; n < queue->num && nq->room < need; n++) {
		chain = sim_pop(queue);
		if (!chain)
			return;
		if (chain->out || chain->in < hdr_len) {
			sim_violation(net->sim,
				      "queue %u: receive buffer with %u bytes to read, %u to write, header has %u",
				      queue->index, chain->out, chain->in, hdr_len);
			sim_use(queue, chain, 0);
			continue;
		}
		list_add_tail(&chain->node, &nq->chains);
		nq->room += chain->in;
		nq->descs += chain->nr_in;
	}
}

/*
 * With RSC_EXT the checksum's place tells how many segments are in the packet. That is
 * about TCP: a UDP packet that is to be cut keeps its csum fields, without the flag.
 */
static void add_rsc(const struct sim_net_packet *packet, const struct sim_net_flow *flow,
		    struct virtio_net_hdr_v1 *hdr)
{
	if (!packet->gso_size || flow->proto != IPPROTO_TCP)
		return;
	hdr->flags |= VIRTIO_NET_HDR_F_RSC_INFO;
	hdr->rsc.segments = cpu_to_le16(DIV_ROUND_UP(flow->end - flow->payload,
						     packet->gso_size));
	hdr->rsc.dup_acks = 0;
}

static void make_header(const struct sim_net_dev *net, const struct sim_net_packet *packet,
			const struct sim_net_flow *flow, u16 buffers,
			struct sim_net_hdr *wire)
{
	struct virtio_device *vdev = &net->sim->vdev;
	struct virtio_net_hdr_v1 *hdr = &wire->hdr;
	u32 hash;

	if (packet->kind == SIM_NET_VERBATIM) {
		*wire = packet->wire;
		return;
	}
	memset(wire, 0, sizeof(*wire));
	hdr->flags = packet->flags;
	hdr->gso_type = packet->gso_type;
	hdr->hdr_len = cpu_to_virtio16(vdev, flow->payload);
	hdr->gso_size = cpu_to_virtio16(vdev, packet->gso_size);
	hdr->csum_start = cpu_to_virtio16(vdev, packet->csum_start);
	hdr->csum_offset = cpu_to_virtio16(vdev, packet->csum_offset);
	hdr->num_buffers = cpu_to_virtio16(vdev, buffers);
	if (!is_raw(packet) && sim_has(net->sim, VIRTIO_NET_F_RSC_EXT))
		add_rsc(packet, flow, hdr);
	if (sim_has(net->sim, VIRTIO_NET_F_HASH_REPORT)) {
		wire->hash_report = cpu_to_le16(sim_net_hash(&net->rss, packet->data, flow, &hash));
		wire->hash_value = cpu_to_le32(hash);
	}
}

static void count(struct sim_net_dev *net, struct sim_net_queue *nq,
		  const struct sim_net_packet *packet, const struct sim_net_flow *flow)
{
	u64 *stat = nq->stat;

	net->counters.rx_packets++;
	net->counters.rx_bytes += packet->len;
	stat[SIM_NET_RX_PACKETS]++;
	stat[SIM_NET_RX_BYTES] += packet->len;
	if (packet->gso_type) {
		stat[SIM_NET_RX_GSO_PACKETS]++;
		stat[SIM_NET_RX_GSO_BYTES] += packet->len;
	}
	if (packet->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		stat[SIM_NET_RX_NEEDS_CSUM]++;
		return;
	}
	if (packet->flags & VIRTIO_NET_HDR_F_DATA_VALID) {
		stat[SIM_NET_RX_CSUM_VALID]++;
		return;
	}
	switch (sim_net_verify(packet->data, flow)) {
	case SIM_NET_CSUM_NONE:
		stat[SIM_NET_RX_CSUM_NONE]++;
		break;
	case SIM_NET_CSUM_BAD:
		stat[SIM_NET_RX_CSUM_BAD]++;
		break;
	case SIM_NET_CSUM_GOOD:
		break;
	}
}

/* Writes the packet into the first @n of the queue's buffers, then uses them. */
static void fill(struct sim_net_dev *net, struct sim_queue *queue, struct sim_net_queue *nq,
		 const struct sim_net_packet *packet, const struct sim_net_hdr *wire,
		 unsigned int n)
{
	u32 hdr_len = sim_net_hdr_len(net), at = hdr_len, done = 0, part;
	struct sim_chain *chain;
	unsigned int i = 0;

	list_for_each_entry(chain, &nq->chains, node) {
		if (i++ == n)
			break;
		if (at)
			sim_chain_write(chain, 0, wire, hdr_len);
		part = min(chain->in - at, packet->len - done);
		sim_chain_write(chain, at, packet->data + done, part);
		done += part;
		at = 0;
	}

	/*
	 * VIRTIO 1.3, 5.1.6.4: used together, as the first says how many there are. A
	 * driver that polls would miss the others, and take them for packets.
	 */
	sim_use_together(queue, true);
	for (i = 0, done = 0; i < n; i++) {
		chain = list_first_entry(&nq->chains, struct sim_chain, node);
		list_del(&chain->node);
		nq->room -= chain->in;
		nq->descs -= chain->nr_in;
		part = min(chain->in, hdr_len + packet->len - done);
		done += part;
		sim_use(queue, chain, part);
	}
	sim_use_together(queue, false);
}

/* Gives a packet to the driver; -EAGAIN if there is no room for it now. */
static int put(struct sim_net_dev *net, struct sim_queue *queue, struct sim_net_queue *nq,
	       const struct sim_net_packet *packet, const struct sim_net_flow *flow)
{
	bool merge = sim_has(net->sim, VIRTIO_NET_F_MRG_RXBUF);
	u64 need = sim_net_hdr_len(net) + packet->len, room = 0;
	struct sim_net_hdr wire;
	struct sim_chain *chain;
	unsigned int n = 0;

	pop_buffers(net, queue, nq, merge ? need : 1);
	if (list_empty(&nq->chains))
		return -EAGAIN;
	if (merge && nq->room < need) {
		/*
		 * It may never fit: drivers refill when about half of the ring is used,
		 * and what they wait for is that we use some.
		 */
		if (2 * nq->descs >= queue->num)
			return rx_drop(net, nq, SIM_NET_DROP_NOFIT);
		return -EAGAIN;
	}
	list_for_each_entry(chain, &nq->chains, node) {
		room += chain->in;
		n++;
		if (!merge || room >= need)
			break;
	}
	if (room < need)
		return rx_drop(net, nq, SIM_NET_DROP_NOFIT);

	make_header(net, packet, flow, n, &wire);
	fill(net, queue, nq, packet, &wire, n);
	count(net, nq, packet, flow);
	return 0;
}

/*
 * One packet: delivered (0), to be tried again if the caller can @wait (-EAGAIN), cut
 * (0, and @segments take its place), or dropped and counted (another error).
 */
static int deliver(struct sim_net_dev *net, struct sim_net_packet *packet,
		   struct list_head *segments, bool wait)
{
	struct sim_net_flow flow;
	struct sim_net_queue *nq;
	struct sim_queue *queue;
	int err;

	sim_net_parse(packet->data, packet->len, &flow);
	err = admit(net, packet, &flow);
	if (err)
		return err;
	queue = steer(net, packet, &flow);
	if (!queue)
		return sim_net_drop(net, SIM_NET_DROP_DOWN);
	nq = &net->queue[queue->index];

	err = -EAGAIN;
	/* Packets of a queue keep their order. */
	if (nq->starved != net->pass) {
		if (!is_raw(packet) && packet->gso_type && !takes_gso(net, packet, &flow)) {
			err = sim_net_cut(packet, &flow, segments);
			if (!err)
				return 0;
			return rx_drop(net, nq, err == -ENOMEM ? SIM_NET_DROP_MEMORY :
								 SIM_NET_DROP_SEGMENT);
		}
		err = finish(net, nq, packet, &flow) ?: put(net, queue, nq, packet, &flow);
	}
	if (err == -EAGAIN) {
		nq->starved = net->pass;
		if (!wait)
			return rx_drop(net, nq, SIM_NET_DROP_OVERRUN);
	}
	return err;
}

/**
 * sim_net_receive() - one packet for the driver, now or never
 * @net: device
 * @packet: without a GSO type that could be cut; stays the caller's
 *
 * Context: the device's lock is held.
 * Return: 0, or why it was dropped, as sim_net_drop().
 */
int sim_net_receive(struct sim_net_dev *net, struct sim_net_packet *packet)
{
	LIST_HEAD(segments);

	net->pass++;
	return deliver(net, packet, &segments, false);
}

/* One starved queue must not keep the others' packets out. */
static bool backlog_full(const struct sim_net_dev *net)
{
	return net->nr_pending > SIM_NET_BACKLOG || net->pending_bytes > SIM_NET_BACKLOG_BYTES;
}

/* The turn of one packet of the backlog, which it may @wait in; the place of the next. */
static struct list_head *pump_one(struct sim_net_dev *net, struct list_head *at, bool wait)
{
	struct sim_net_packet *packet = list_entry(at, struct sim_net_packet, node);
	struct sim_net_packet *seg;
	LIST_HEAD(segments);

	if (deliver(net, packet, &segments, wait) == -EAGAIN)
		return at->next;
	list_for_each_entry(seg, &segments, node) {
		net->nr_pending++;
		net->pending_bytes += seg->len;
	}
	list_splice_init(&segments, at);
	at = at->next;
	list_del(&packet->node);
	net->nr_pending--;
	net->pending_bytes -= packet->len;
	kvfree(packet);
	return at;
}

/**
 * sim_net_pump() - give the driver what is there for it, as far as it has buffers
 * @net: device
 *
 * Context: the device's lock is held, may sleep.
 */
void sim_net_pump(struct sim_net_dev *net)
{
	struct list_head *at;

	sim_net_fetch(net);
	net->pass++;
	at = net->pending.next;
	while (at != &net->pending)
		at = pump_one(net, at, !backlog_full(net));
}

/**
 * sim_net_pump_last() - give the driver one more packet, behind all that wait for it
 * @net: device
 * @packet: the last of them, which came after sim_net_pump()
 *
 * The others are not tried again, as walking all of them for each packet of a burst takes too
 * long. If there are too many, the oldest are dropped, as by sim_net_pump().
 *
 * Context: the device's lock is held since sim_net_pump(); may sleep.
 */
void sim_net_pump_last(struct sim_net_dev *net, struct sim_net_packet *packet)
{
	struct list_head *at = &packet->node;

	while (at != &net->pending)
		at = pump_one(net, at, true);
	while (backlog_full(net))
		pump_one(net, net->pending.next, false);
}

/**
 * sim_net_rx_reset() - give up the buffers that are kept
 * @nq: queue; nothing is kept of a transmit queue
 *
 * Context: the device's lock is held, or the device goes.
 */
void sim_net_rx_reset(struct sim_net_queue *nq)
{
	struct sim_chain *chain, *next;

	list_for_each_entry_safe(chain, next, &nq->chains, node) {
		list_del(&chain->node);
		sim_chain_drop(chain);
	}
	nq->room = 0;
	nq->descs = 0;
}
