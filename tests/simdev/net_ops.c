// SPDX-License-Identifier: GPL-2.0-only
/*
 * What can be asked of a simulated network device from outside: the operations of
 * scripts, and the functions for KUnit suites. Each value may be anything.
 */
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "sim_net.h"

/* Packets of one flood; the device's lock is held for all of them. */
#define FLOOD_MAX	65536

/* Ethernet, IPv4 and UDP headers; and as much as IPv4 can carry. */
#define FLOOD_LEN_MIN	(ETH_HLEN + 20 + 8)
#define FLOOD_LEN_MAX	(ETH_HLEN + 65535)
#define FLOOD_LEN	60

static bool good_target(const struct sim_net_dev *net, u16 queue)
{
	return queue == SIM_ALL_QUEUES || (queue % 2 == 0 && queue < 2 * net->max_pairs);
}

static bool offers(const struct sim_net_dev *net, unsigned int bit)
{
	return net->sim->options.features & BIT_ULL(bit);
}

/* Operations */

static int act_inject(struct sim_net_dev *net, const struct sim_action *action)
{
	struct sim_net_packet *packet;

	if (!action->bytes || !action->len || action->len > SIM_BYTES_MAX ||
	    !good_target(net, action->queue))
		return -EINVAL;
	if (!net->sim->ready)
		return -ENODEV;
	packet = sim_net_alloc(action->len);
	if (!packet)
		return -ENOMEM;
	memcpy(packet->data, action->bytes, action->len);
	packet->queue = action->queue;
	packet->kind = action->value ? SIM_NET_SHAPED : SIM_NET_WIRE;
	packet->flags = action->value;
	packet->gso_type = action->value >> 8;
	packet->gso_size = action->value >> 16;
	packet->csum_start = action->value >> 32;
	packet->csum_offset = action->value >> 48;
	sim_net_receive(net, packet);
	kvfree(packet);
	return 0;
}

static int act_flood(struct sim_net_dev *net, const struct sim_action *action)
{
	u32 len = action->at ?: FLOOD_LEN, n;
	struct sim_net_packet *packet;
	u8 to[ETH_ALEN] __aligned(2);

	if (action->at < 0 || len < FLOOD_LEN_MIN || len > FLOOD_LEN_MAX ||
	    action->value > FLOOD_MAX || !good_target(net, action->queue))
		return -EINVAL;
	if (!net->sim->ready)
		return -ENODEV;
	ether_addr_copy(to, net->filters.mac);
	if (is_zero_ether_addr(to))
		eth_broadcast_addr(to);

	for (n = 0; n < action->value; n++) {
		packet = sim_net_alloc(len);
		if (!packet)
			return -ENOMEM;
		packet->kind = SIM_NET_WIRE;
		packet->queue = action->queue;
		sim_net_udp_packet(packet, to, n);
		sim_net_receive(net, packet);
		kvfree(packet);
		cond_resched();
	}
	return 0;
}

static int set_link(struct sim_net_dev *net, bool up)
{
	if (!offers(net, VIRTIO_NET_F_STATUS))
		return -EOPNOTSUPP;
	net->link = up;
	sim_net_set_status(net, up ? 0 : VIRTIO_NET_S_LINK_UP, up ? VIRTIO_NET_S_LINK_UP : 0,
			   true);
	return 0;
}

static int announce(struct sim_net_dev *net)
{
	if (!offers(net, VIRTIO_NET_F_GUEST_ANNOUNCE))
		return -EOPNOTSUPP;
	sim_net_set_status(net, 0, VIRTIO_NET_S_ANNOUNCE, true);
	return 0;
}

/**
 * sim_net_act() - do one of the model's own operations
 * @sim: network device
 * @action: see enum sim_net_op
 *
 * Context: the device's lock is held, may sleep.
 * Return: see enum sim_net_op.
 */
int sim_net_act(struct sim_device *sim, const struct sim_action *action)
{
	struct sim_net_dev *net = sim->data;

	switch (action->op) {
	case SIM_NET_INJECT:
		return act_inject(net, action);
	case SIM_NET_FLOOD:
		return act_flood(net, action);
	case SIM_NET_LINK:
		return action->value > 1 ? -EINVAL : set_link(net, action->value);
	case SIM_NET_ANNOUNCE:
		return announce(net);
	case SIM_NET_MODE:
		if (action->value > 1)
			return -EINVAL;
		net->loopback = action->value;
		return 0;
	case SIM_NET_MTU:
		if (action->value > U16_MAX)
			return -EINVAL;
		if (!offers(net, VIRTIO_NET_F_MTU))
			return -EOPNOTSUPP;
		sim_net_set_mtu(net, action->value);
		return 0;
	}
	return -EINVAL;
}

/* Packets on each queue for which the driver cannot ask. */
#define NUDGE_PACKETS	4

/**
 * sim_net_nudge() - have the driver receive something
 * @sim: network device with a driver
 * @idle: the driver does nothing: it may have no link
 *
 * Context: the device's lock is held, may sleep.
 * Return: 0: what came was used at once.
 */
unsigned int sim_net_nudge(struct sim_device *sim, bool idle)
{
	struct sim_action flood = { .value = NUDGE_PACKETS };
	struct sim_net_dev *net = sim->data;
	unsigned int pair;

	if (idle && !net->link)
		set_link(net, true);
	for (pair = 0; pair < net->pairs; pair++) {
		flood.queue = 2 * pair;
		act_flood(net, &flood);
	}
	return 0;
}

/* For KUnit suites */

/* Takes the device's lock; NULL, and no lock, if it is no network device. */
static struct sim_net_dev *get(struct sim_device *sim)
{
	if (sim->model != &sim_net)
		return NULL;
	sim_lock(sim);
	return sim->data;
}

static void put(struct sim_net_dev *net)
{
	sim_unlock(net->sim);
}

/**
 * sim_net_inject() - let the driver receive a packet
 * @sim: network device
 * @queue: receive virtqueue, or SIM_ALL_QUEUES to steer it
 * @hdr: what the driver shall see before the packet, as long as its features make it,
 *	num_buffers and all; nothing is filtered then. NULL for what is right
 * @data: Ethernet header and what follows
 * @len: bytes, 1 to SIM_NET_FRAME_MAX
 *
 * Context: may sleep; takes the device's lock.
 * Return: 0 if the driver has it; -EINVAL for a wrong argument; -ENOMEM; or why it was
 * dropped (and counted): -ENODEV without driver or queue, -ENETDOWN without link, -EACCES
 * by a filter, -EMSGSIZE for the MTU or a runt, -EFBIG for the size of the receive
 * buffer, -ENOBUFS without receive buffers.
 */
int sim_net_inject(struct sim_device *sim, u16 queue, const struct sim_net_hdr *hdr,
		   const void *data, size_t len)
{
	struct sim_net_packet *packet;
	struct sim_net_dev *net;
	int err = -EINVAL;

	if (!len || len > SIM_NET_FRAME_MAX)
		return -EINVAL;
	packet = sim_net_alloc(len);
	if (!packet)
		return -ENOMEM;
	memcpy(packet->data, data, len);
	packet->queue = queue;
	packet->kind = hdr ? SIM_NET_VERBATIM : SIM_NET_WIRE;
	if (hdr)
		packet->wire = *hdr;

	net = get(sim);
	if (net) {
		if (good_target(net, queue))
			err = sim_net_receive(net, packet);
		put(net);
	}
	kvfree(packet);
	return err;
}
EXPORT_SYMBOL_GPL(sim_net_inject);

/**
 * sim_net_record() - keep the packets that the driver transmits, or stop it
 * @sim: network device
 * @on: keep up to 64 of them, also such as break rules; false forgets those kept
 *
 * Context: may sleep; takes the device's lock.
 * Return: 0, -EINVAL if it is another device.
 */
int sim_net_record(struct sim_device *sim, bool on)
{
	struct sim_net_dev *net = get(sim);

	if (!net)
		return -EINVAL;
	net->recording = on;
	if (!on) {
		sim_net_free(&net->log);
		net->nr_log = 0;
	}
	put(net);
	return 0;
}
EXPORT_SYMBOL_GPL(sim_net_record);

/**
 * sim_net_take() - the oldest of the packets that are kept
 * @sim: network device
 * @sent: receives its header, queue and length
 * @data: receives the packet
 * @size: bytes at @data
 *
 * Context: may sleep; takes the device's lock.
 * Return: 0; -EAGAIN if there is none; -EMSGSIZE if it does not fit, then only @sent is
 * valid and the packet is still there; -EINVAL if it is another device.
 */
int sim_net_take(struct sim_device *sim, struct sim_net_sent *sent, void *data, size_t size)
{
	struct sim_net_dev *net = get(sim);
	struct sim_net_packet *packet;
	int err = -EAGAIN;

	if (!net)
		return -EINVAL;
	packet = list_first_entry_or_null(&net->log, struct sim_net_packet, node);
	if (packet) {
		sent->hdr = packet->wire;
		sent->queue = packet->queue;
		sent->len = packet->len;
		err = packet->len > size ? -EMSGSIZE : 0;
	}
	if (!err) {
		memcpy(data, packet->data, packet->len);
		list_del(&packet->node);
		net->nr_log--;
		kvfree(packet);
	}
	put(net);
	return err;
}
EXPORT_SYMBOL_GPL(sim_net_take);

/**
 * sim_net_link() - the link goes up or down, with a config change interrupt
 * @sim: network device
 * @up: up
 *
 * Context: may sleep; takes the device's lock.
 * Return: 0; -EOPNOTSUPP if the device does not offer STATUS; -EINVAL.
 */
int sim_net_link(struct sim_device *sim, bool up)
{
	struct sim_net_dev *net = get(sim);
	int err;

	if (!net)
		return -EINVAL;
	err = set_link(net, up);
	put(net);
	return err;
}
EXPORT_SYMBOL_GPL(sim_net_link);

/**
 * sim_net_announce() - ask the driver to announce itself
 * @sim: network device
 *
 * Context: may sleep; takes the device's lock.
 * Return: 0; -EOPNOTSUPP if the device does not offer GUEST_ANNOUNCE; -EINVAL.
 */
int sim_net_announce(struct sim_device *sim)
{
	struct sim_net_dev *net = get(sim);
	int err;

	if (!net)
		return -EINVAL;
	err = announce(net);
	put(net);
	return err;
}
EXPORT_SYMBOL_GPL(sim_net_announce);

/**
 * sim_net_counters() - what the device has done
 * @sim: network device
 * @counters: receives it
 *
 * Context: may sleep; takes the device's lock.
 * Return: 0, -EINVAL if it is another device.
 */
int sim_net_counters(struct sim_device *sim, struct sim_net_counters *counters)
{
	struct sim_net_dev *net = get(sim);

	if (!net)
		return -EINVAL;
	*counters = net->counters;
	counters->pairs = net->pairs;
	counters->offloads = net->offloads;
	put(net);
	return 0;
}
EXPORT_SYMBOL_GPL(sim_net_counters);

/**
 * sim_net_filters() - what the driver wants to receive
 * @sim: network device
 * @filters: receives it; a kilobyte and more
 *
 * Context: may sleep; takes the device's lock.
 * Return: 0, -EINVAL if it is another device.
 */
int sim_net_filters(struct sim_device *sim, struct sim_net_filters *filters)
{
	struct sim_net_dev *net = get(sim);

	if (!net)
		return -EINVAL;
	*filters = net->filters;
	put(net);
	return 0;
}
EXPORT_SYMBOL_GPL(sim_net_filters);

/**
 * sim_net_rss() - how the driver wants hashes to be used
 * @sim: network device
 * @rss: receives it
 *
 * Context: may sleep; takes the device's lock.
 * Return: 0, -EINVAL if it is another device.
 */
int sim_net_rss(struct sim_device *sim, struct sim_net_rss *rss)
{
	struct sim_net_dev *net = get(sim);

	if (!net)
		return -EINVAL;
	*rss = net->rss;
	put(net);
	return 0;
}
EXPORT_SYMBOL_GPL(sim_net_rss);

/**
 * sim_net_coal() - coalescing of a queue
 * @sim: network device
 * @queue: receive or transmit virtqueue
 * @coal: receives it
 *
 * Context: may sleep; takes the device's lock.
 * Return: 0, -EINVAL if it is another device or has no such queue.
 */
int sim_net_coal(struct sim_device *sim, u16 queue, struct sim_net_coal *coal)
{
	struct sim_net_dev *net = get(sim);
	int err = -EINVAL;

	if (!net)
		return -EINVAL;
	if (queue < 2 * net->max_pairs) {
		*coal = net->queue[queue].coal;
		err = 0;
	}
	put(net);
	return err;
}
EXPORT_SYMBOL_GPL(sim_net_coal);
