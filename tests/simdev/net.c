// SPDX-License-Identifier: GPL-2.0-only
/*
 * The simulated network device: the model, its life and its config space, and the cable
 * between two devices. Packets are moved by net_rx.c and net_tx.c, commands are served by
 * net_ctrl.c, operations of scripts and KUnit suites are in net_ops.c.
 */
#include <linux/ethtool.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "sim_net.h"

/* VIRTIO 1.3, 5.1.4, with supported_tunnel_types, which uapi headers do not have. */
#define CONFIG_LEN	(sizeof(struct virtio_net_config) + sizeof(__le32))
static_assert(CONFIG_LEN == 28);

#define DEFAULT_MTU	1500
#define SPEED_MBIT	10000

/* Packets between devices: who is whose peer, and all inboxes. */
static DEFINE_SPINLOCK(cable_lock);

/* Gives each device a MAC address of its own. */
static atomic_t made;

/**
 * sim_net_alloc() - memory for a packet
 * @len: bytes of its data, SIM_NET_FRAME_MAX at most
 *
 * Context: may sleep.
 * Return: zeroed; NULL without memory. Free with kvfree().
 */
struct sim_net_packet *sim_net_alloc(size_t len)
{
	struct sim_net_packet *packet = kvzalloc(struct_size(packet, data, len), GFP_KERNEL);

	if (packet)
		packet->len = len;
	return packet;
}

/**
 * sim_net_free() - free packets
 * @packets: list; empty afterwards
 *
 * Context: may sleep.
 */
void sim_net_free(struct list_head *packets)
{
	struct sim_net_packet *packet, *next;

	list_for_each_entry_safe(packet, next, packets, node)
		kvfree(packet);
	INIT_LIST_HEAD(packets);
}

/**
 * sim_net_drop() - count a dropped packet
 * @net: device
 * @why: cause
 *
 * Context: the device's lock is held.
 * Return: what a caller of sim_net_inject() is told, never -EAGAIN.
 */
int sim_net_drop(struct sim_net_dev *net, enum sim_net_drop why)
{
	static const int errors[SIM_NET_DROPS] = {
		[SIM_NET_DROP_DOWN] = -ENODEV,
		[SIM_NET_DROP_LINK] = -ENETDOWN,
		[SIM_NET_DROP_FILTER] = -EACCES,
		[SIM_NET_DROP_SIZE] = -EMSGSIZE,
		[SIM_NET_DROP_NOFIT] = -EFBIG,
		[SIM_NET_DROP_OVERRUN] = -ENOBUFS,
		[SIM_NET_DROP_BACKLOG] = -ENOBUFS,
		[SIM_NET_DROP_SEGMENT] = -EOPNOTSUPP,
		[SIM_NET_DROP_MALFORMED] = -EBADMSG,
		[SIM_NET_DROP_MEMORY] = -ENOMEM,
	};

	net->counters.dropped[why]++;
	return errors[why];
}

/**
 * sim_net_pairs() - queue pairs that there are for the driver
 * @net: device
 *
 * Context: the device's lock is held.
 * Return: 1 if it has neither MQ nor RSS (VIRTIO 1.3, 5.1.2).
 */
unsigned int sim_net_pairs(const struct sim_net_dev *net)
{
	if (sim_has(net->sim, VIRTIO_NET_F_MQ) || sim_has(net->sim, VIRTIO_NET_F_RSS))
		return net->max_pairs;
	return 1;
}

/**
 * sim_net_hdr_len() - length of the header before each packet
 * @net: device
 *
 * Context: the device's lock is held.
 * Return: bytes: 10, 12 or 20.
 */
unsigned int sim_net_hdr_len(const struct sim_net_dev *net)
{
	if (sim_has(net->sim, VIRTIO_NET_F_HASH_REPORT))
		return sizeof(struct sim_net_hdr);
	if (sim_has(net->sim, VIRTIO_NET_F_MRG_RXBUF) || sim_has(net->sim, VIRTIO_F_VERSION_1))
		return sizeof(struct virtio_net_hdr_v1);
	return sizeof(struct virtio_net_hdr);
}

/* Config space */

/* Before there is a driver, a device that offers VERSION_1 does not know its format. */
static bool little_endian(const struct sim_device *sim)
{
	return (sim->options.features & BIT_ULL(VIRTIO_F_VERSION_1)) ||
	       virtio_legacy_is_little_endian();
}

static __virtio16 config16(const struct sim_device *sim, u16 value)
{
	return __cpu_to_virtio16(little_endian(sim), value);
}

static u16 read_config16(struct sim_device *sim, unsigned int at)
{
	__virtio16 value;

	sim_config_read(sim, at, &value, sizeof(value));
	return __virtio16_to_cpu(little_endian(sim), value);
}

static bool offers(const struct sim_device *sim, unsigned int bit)
{
	return sim->options.features & BIT_ULL(bit);
}

/**
 * sim_net_set_status() - change bits of the status in config space
 * @net: device
 * @clear: VIRTIO_NET_S_*
 * @set: VIRTIO_NET_S_*
 * @interrupt: tell the driver
 *
 * Context: the device's lock is held.
 */
void sim_net_set_status(struct sim_net_dev *net, u16 clear, u16 set, bool interrupt)
{
	const unsigned int at = offsetof(struct virtio_net_config, status);
	__virtio16 status;

	/* The other bits stay as they are: a script may have written them. */
	status = config16(net->sim, (read_config16(net->sim, at) & ~clear) | set);
	sim_config_write(net->sim, at, &status, sizeof(status), interrupt);
}

/**
 * sim_net_set_mtu() - show another MTU, with an interrupt
 * @net: device
 * @mtu: bytes; also one that no device may have
 *
 * A driver that has read a larger one before may go on with it.
 *
 * Context: the device's lock is held.
 */
void sim_net_set_mtu(struct sim_net_dev *net, u16 mtu)
{
	__virtio16 value = config16(net->sim, mtu);

	net->mtu = max(net->mtu, mtu);
	sim_config_write(net->sim, offsetof(struct virtio_net_config, mtu), &value,
			 sizeof(value), true);
}

static void init_config(struct sim_net_dev *net)
{
	struct sim_device *sim = net->sim;
	struct virtio_net_config *config = (struct virtio_net_config *)sim->config;

	/* A field whose feature is not offered does not exist: zero. */
	if (offers(sim, VIRTIO_NET_F_MAC)) {
		put_unaligned_be32(0x02766e74, net->permanent);
		put_unaligned_be16(atomic_inc_return(&made), net->permanent + 4);
		memcpy(config->mac, net->permanent, ETH_ALEN);
	}
	if (offers(sim, VIRTIO_NET_F_STATUS))
		config->status = config16(sim, VIRTIO_NET_S_LINK_UP);
	if (offers(sim, VIRTIO_NET_F_MQ) || offers(sim, VIRTIO_NET_F_RSS))
		config->max_virtqueue_pairs = config16(sim, net->max_pairs);
	if (offers(sim, VIRTIO_NET_F_MTU))
		config->mtu = config16(sim, DEFAULT_MTU);
	if (offers(sim, VIRTIO_NET_F_SPEED_DUPLEX)) {
		config->speed = cpu_to_le32(SPEED_MBIT);
		config->duplex = DUPLEX_FULL;
	}
	if (offers(sim, VIRTIO_NET_F_RSS))
		config->rss_max_indirection_table_length = cpu_to_le16(SIM_NET_TABLE_MAX);
	if (offers(sim, VIRTIO_NET_F_RSS) || offers(sim, VIRTIO_NET_F_HASH_REPORT)) {
		config->rss_max_key_size = SIM_NET_KEY_MAX;
		config->supported_hash_types = cpu_to_le32(SIM_NET_HASH_TYPES);
	}
}

/* The cable */

/**
 * sim_net_to_peer() - send a packet over the cable
 * @net: device
 * @packet: taken over, if there is a peer
 *
 * Context: the device's lock is held.
 * Return: false if there is none.
 */
bool sim_net_to_peer(struct sim_net_dev *net, struct sim_net_packet *packet)
{
	struct sim_net_packet *lost = NULL;
	struct sim_net_dev *peer;

	spin_lock(&cable_lock);
	peer = net->peer;
	if (peer) {
		if (peer->nr_inbox >= SIM_NET_BACKLOG ||
		    peer->inbox_bytes >= SIM_NET_BACKLOG_BYTES) {
			peer->lost++;
			lost = packet;
		} else {
			list_add_tail(&packet->node, &peer->inbox);
			peer->nr_inbox++;
			peer->inbox_bytes += packet->len;
		}
		/* Under the lock: without it the peer may be gone. */
		sim_wake(peer->sim);
	}
	spin_unlock(&cable_lock);
	kvfree(lost);
	return peer;
}

/**
 * sim_net_fetch() - bring what came over the cable to the packets for the driver
 * @net: device
 *
 * Context: the device's lock is held.
 */
void sim_net_fetch(struct sim_net_dev *net)
{
	spin_lock(&cable_lock);
	list_splice_tail_init(&net->inbox, &net->pending);
	net->nr_pending += net->nr_inbox;
	net->pending_bytes += net->inbox_bytes;
	net->counters.dropped[SIM_NET_DROP_BACKLOG] += net->lost;
	net->nr_inbox = 0;
	net->inbox_bytes = 0;
	net->lost = 0;
	spin_unlock(&cable_lock);
}

/**
 * sim_net_join() - put a cable between two network devices
 * @a: device without a cable
 * @b: another; what one transmits, the other receives
 *
 * It goes with either of them.
 *
 * Context: process context.
 * Return: 0; -EINVAL for anything but two network devices; -EBUSY if one has a cable.
 */
int sim_net_join(struct sim_device *a, struct sim_device *b)
{
	struct sim_net_dev *one = a->data, *other = b->data;
	int err = 0;

	if (a->model != &sim_net || b->model != &sim_net || a == b)
		return -EINVAL;
	spin_lock(&cable_lock);
	if (one->peer || other->peer) {
		err = -EBUSY;
	} else {
		one->peer = other;
		other->peer = one;
	}
	spin_unlock(&cable_lock);
	return err;
}
EXPORT_SYMBOL_GPL(sim_net_join);

/**
 * sim_net_part() - take the cable away, if there is one
 * @sim: network device
 *
 * What is on its way arrives.
 *
 * Context: process context.
 */
void sim_net_part(struct sim_device *sim)
{
	struct sim_net_dev *net = sim->data;

	if (sim->model != &sim_net)
		return;
	spin_lock(&cable_lock);
	if (net->peer) {
		net->peer->peer = NULL;
		net->peer = NULL;
	}
	spin_unlock(&cable_lock);
}
EXPORT_SYMBOL_GPL(sim_net_part);

/* Life */

/* Forgets all that commands have set. */
static void forget_commands(struct sim_net_dev *net)
{
	unsigned int i;

	memset(&net->filters, 0, sizeof(net->filters));
	ether_addr_copy(net->filters.mac, net->permanent);
	net->filters.promisc = true;
	memset(&net->rss, 0, sizeof(net->rss));
	memset(&net->coal_rx, 0, sizeof(net->coal_rx));
	memset(&net->coal_tx, 0, sizeof(net->coal_tx));
	for (i = 0; i < 2 * net->max_pairs; i++)
		memset(&net->queue[i].coal, 0, sizeof(net->queue[i].coal));
	net->pairs = 1;
	net->pairs_twisted = false;
	net->offloads = 0;
}

static struct sim_net_dev *net_alloc(unsigned int pairs)
{
	struct sim_net_dev *net = kvzalloc(sizeof(*net), GFP_KERNEL);
	unsigned int i;

	if (!net)
		return NULL;
	net->queue = kvcalloc(2 * pairs, sizeof(*net->queue), GFP_KERNEL);
	if (!net->queue) {
		kvfree(net);
		return NULL;
	}
	for (i = 0; i < 2 * pairs; i++)
		INIT_LIST_HEAD(&net->queue[i].chains);
	INIT_LIST_HEAD(&net->pending);
	INIT_LIST_HEAD(&net->inbox);
	INIT_LIST_HEAD(&net->log);
	net->max_pairs = pairs;
	net->mtu = DEFAULT_MTU;
	net->link = true;
	return net;
}

static int net_init(struct sim_device *sim, const struct sim_options *options)
{
	unsigned int pairs = max(options->pairs, 1U);
	struct sim_net_dev *net;

	if (!offers(sim, VIRTIO_NET_F_MQ) && !offers(sim, VIRTIO_NET_F_RSS))
		pairs = 1;
	if (pairs > (SIM_QUEUES_MAX - 1) / 2)
		return -EINVAL;
	net = net_alloc(pairs);
	if (!net)
		return -ENOMEM;
	net->sim = sim;
	init_config(net);
	forget_commands(net);
	sim->data = net;
	sim->nr_queues = 2 * pairs + offers(sim, VIRTIO_NET_F_CTRL_VQ);
	return 0;
}

static void net_exit(struct sim_device *sim)
{
	struct sim_net_dev *net = sim->data;
	unsigned int i;

	sim_net_part(sim);
	for (i = 0; i < 2 * net->max_pairs; i++)
		sim_net_rx_reset(&net->queue[i]);
	sim_net_free(&net->inbox);
	sim_net_free(&net->pending);
	sim_net_free(&net->log);
	kvfree(net->queue);
	kvfree(net);
	sim->data = NULL;
}

/* VIRTIO 1.3, 5.1.3.1: what a feature needs, one of them. */
static const struct {
	u8 bit;
	u64 needs;
} requirements[] = {
	{ VIRTIO_NET_F_GUEST_TSO4, BIT_ULL(VIRTIO_NET_F_GUEST_CSUM) },
	{ VIRTIO_NET_F_GUEST_TSO6, BIT_ULL(VIRTIO_NET_F_GUEST_CSUM) },
	{ VIRTIO_NET_F_GUEST_ECN, BIT_ULL(VIRTIO_NET_F_GUEST_TSO4) |
				  BIT_ULL(VIRTIO_NET_F_GUEST_TSO6) },
	{ VIRTIO_NET_F_GUEST_UFO, BIT_ULL(VIRTIO_NET_F_GUEST_CSUM) },
	{ VIRTIO_NET_F_GUEST_USO4, BIT_ULL(VIRTIO_NET_F_GUEST_CSUM) },
	{ VIRTIO_NET_F_GUEST_USO6, BIT_ULL(VIRTIO_NET_F_GUEST_CSUM) },
	{ VIRTIO_NET_F_HOST_TSO4, BIT_ULL(VIRTIO_NET_F_CSUM) },
	{ VIRTIO_NET_F_HOST_TSO6, BIT_ULL(VIRTIO_NET_F_CSUM) },
	{ VIRTIO_NET_F_HOST_ECN, BIT_ULL(VIRTIO_NET_F_HOST_TSO4) |
				 BIT_ULL(VIRTIO_NET_F_HOST_TSO6) },
	{ VIRTIO_NET_F_HOST_UFO, BIT_ULL(VIRTIO_NET_F_CSUM) },
	{ VIRTIO_NET_F_HOST_USO, BIT_ULL(VIRTIO_NET_F_CSUM) },
	{ VIRTIO_NET_F_CTRL_RX, BIT_ULL(VIRTIO_NET_F_CTRL_VQ) },
	{ VIRTIO_NET_F_CTRL_VLAN, BIT_ULL(VIRTIO_NET_F_CTRL_VQ) },
	{ VIRTIO_NET_F_GUEST_ANNOUNCE, BIT_ULL(VIRTIO_NET_F_CTRL_VQ) },
	{ VIRTIO_NET_F_MQ, BIT_ULL(VIRTIO_NET_F_CTRL_VQ) },
	{ VIRTIO_NET_F_CTRL_MAC_ADDR, BIT_ULL(VIRTIO_NET_F_CTRL_VQ) },
	{ VIRTIO_NET_F_NOTF_COAL, BIT_ULL(VIRTIO_NET_F_CTRL_VQ) },
	{ VIRTIO_NET_F_VQ_NOTF_COAL, BIT_ULL(VIRTIO_NET_F_CTRL_VQ) },
	{ VIRTIO_NET_F_RSS, BIT_ULL(VIRTIO_NET_F_CTRL_VQ) },
	/* The text says HOST here and GUEST in 5.1.6.4; either will do. */
	{ VIRTIO_NET_F_RSC_EXT, BIT_ULL(VIRTIO_NET_F_HOST_TSO4) |
				BIT_ULL(VIRTIO_NET_F_HOST_TSO6) |
				BIT_ULL(VIRTIO_NET_F_GUEST_TSO4) |
				BIT_ULL(VIRTIO_NET_F_GUEST_TSO6) },
};

static void net_ready(struct sim_device *sim)
{
	struct sim_net_dev *net = sim->data;
	unsigned int i;

	net->features = 0;
	for (i = 0; i < 64; i++)
		if (sim_has(sim, i))
			net->features |= BIT_ULL(i);
	for (i = 0; i < ARRAY_SIZE(requirements); i++)
		if ((net->features & BIT_ULL(requirements[i].bit)) &&
		    !(net->features & requirements[i].needs))
			sim_violation(sim, "feature %u without any of %#llx",
				      requirements[i].bit, requirements[i].needs);
	/* All that the driver can take is on until it says otherwise. */
	net->offloads = net->features & SIM_NET_OFFLOADS;
	/* A script may have shown the driver another one. */
	if (net->features & BIT_ULL(VIRTIO_NET_F_MTU))
		net->mtu = max(net->mtu,
			       read_config16(sim, offsetof(struct virtio_net_config, mtu)));
	net->live = true;
}

static void reset_device(struct sim_net_dev *net)
{
	unsigned int i;

	net->live = false;
	net->features = 0;
	for (i = 0; i < 2 * net->max_pairs; i++)
		sim_net_rx_reset(&net->queue[i]);
	sim_net_fetch(net);
	net->counters.dropped[SIM_NET_DROP_DOWN] += net->nr_pending;
	sim_net_free(&net->pending);
	net->nr_pending = 0;
	net->pending_bytes = 0;
	memset(net->flows, 0, sizeof(net->flows));
	forget_commands(net);
	if (offers(net->sim, VIRTIO_NET_F_MAC))
		sim_config_write(net->sim, offsetof(struct virtio_net_config, mac),
				 net->permanent, ETH_ALEN, false);
	if (offers(net->sim, VIRTIO_NET_F_GUEST_ANNOUNCE))
		sim_net_set_status(net, VIRTIO_NET_S_ANNOUNCE, 0, false);
}

static void net_reset(struct sim_device *sim, struct sim_queue *queue)
{
	struct sim_net_dev *net = sim->data;
	struct sim_net_queue *nq;

	if (!queue) {
		reset_device(net);
		return;
	}
	if (queue->index >= 2 * net->max_pairs)
		return;
	nq = &net->queue[queue->index];
	sim_net_rx_reset(nq);
	nq->coal = queue->index % 2 ? net->coal_tx : net->coal_rx;
}

static void net_kick(struct sim_device *sim, struct sim_queue *queue)
{
	struct sim_net_dev *net = sim->data;
	unsigned int index = queue->index, pairs = sim_net_pairs(net);

	if (index == 2 * pairs && sim_has(sim, VIRTIO_NET_F_CTRL_VQ)) {
		sim_net_control(net, queue);
		return;
	}
	if (index >= 2 * pairs) {
		if (queue->enabled)
			sim_violation(sim, "queue %u is in use, with %u pairs%s", index, pairs,
				      sim_has(sim, VIRTIO_NET_F_CTRL_VQ) ? "" : ", no CTRL_VQ");
		return;
	}
	if (index % 2) {
		net->queue[index].stat[SIM_NET_TX_NOTIFICATIONS]++;
		sim_net_transmit(net, queue);
	} else {
		net->queue[index].stat[SIM_NET_RX_NOTIFICATIONS]++;
		sim_net_pump(net);
	}
}

static void net_work(struct sim_device *sim)
{
	sim_net_pump(sim->data);
}

static void net_config_set(struct sim_device *sim, unsigned int at, unsigned int len)
{
	struct sim_net_dev *net = sim->data;

	/* Legacy drivers write the MAC address there, byte by byte. */
	if (!sim_has(sim, VIRTIO_F_VERSION_1) && at < ETH_ALEN && len <= ETH_ALEN - at) {
		sim_config_read(sim, 0, net->filters.mac, ETH_ALEN);
		return;
	}
	sim_violation(sim, "%u bytes of config space written at %u", len, at);
}

/* Served, and what the feature is for; STANDBY asks nothing of the device. */
#define FEATURES								\
	(BIT_ULL(VIRTIO_NET_F_CSUM) | SIM_NET_OFFLOADS |			\
	 BIT_ULL(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) |				\
	 BIT_ULL(VIRTIO_NET_F_MTU) | BIT_ULL(VIRTIO_NET_F_MAC) |		\
	 BIT_ULL(VIRTIO_NET_F_HOST_TSO4) | BIT_ULL(VIRTIO_NET_F_HOST_TSO6) |	\
	 BIT_ULL(VIRTIO_NET_F_HOST_ECN) | BIT_ULL(VIRTIO_NET_F_HOST_UFO) |	\
	 BIT_ULL(VIRTIO_NET_F_MRG_RXBUF) | BIT_ULL(VIRTIO_NET_F_STATUS) |	\
	 BIT_ULL(VIRTIO_NET_F_CTRL_VQ) | BIT_ULL(VIRTIO_NET_F_CTRL_RX) |	\
	 BIT_ULL(VIRTIO_NET_F_CTRL_VLAN) | BIT_ULL(VIRTIO_NET_F_CTRL_RX_EXTRA) |	\
	 BIT_ULL(VIRTIO_NET_F_GUEST_ANNOUNCE) | BIT_ULL(VIRTIO_NET_F_MQ) |	\
	 BIT_ULL(VIRTIO_NET_F_CTRL_MAC_ADDR) |					\
	 BIT_ULL(VIRTIO_NET_F_DEVICE_STATS) |					\
	 BIT_ULL(VIRTIO_NET_F_VQ_NOTF_COAL) | BIT_ULL(VIRTIO_NET_F_NOTF_COAL) |	\
	 BIT_ULL(VIRTIO_NET_F_HOST_USO) | BIT_ULL(VIRTIO_NET_F_HASH_REPORT) |	\
	 BIT_ULL(VIRTIO_NET_F_GUEST_HDRLEN) | BIT_ULL(VIRTIO_NET_F_RSS) |	\
	 BIT_ULL(VIRTIO_NET_F_RSC_EXT) | BIT_ULL(VIRTIO_NET_F_STANDBY) |	\
	 BIT_ULL(VIRTIO_NET_F_SPEED_DUPLEX))

static const char * const op_names[] = {
	[SIM_NET_INJECT - SIM_MODEL] = "inject",
	[SIM_NET_FLOOD - SIM_MODEL] = "flood",
	[SIM_NET_LINK - SIM_MODEL] = "link",
	[SIM_NET_ANNOUNCE - SIM_MODEL] = "announce",
	[SIM_NET_MODE - SIM_MODEL] = "mode",
	[SIM_NET_MTU - SIM_MODEL] = "mtu",
	[SIM_NET_OPS - SIM_MODEL] = NULL,
};

static void net_show(struct sim_device *sim, struct seq_file *m)
{
	static const char * const causes[SIM_NET_DROPS] = {
		[SIM_NET_DROP_DOWN] = "down",
		[SIM_NET_DROP_LINK] = "link",
		[SIM_NET_DROP_FILTER] = "filter",
		[SIM_NET_DROP_SIZE] = "size",
		[SIM_NET_DROP_NOFIT] = "nofit",
		[SIM_NET_DROP_OVERRUN] = "overrun",
		[SIM_NET_DROP_BACKLOG] = "backlog",
		[SIM_NET_DROP_SEGMENT] = "segment",
		[SIM_NET_DROP_MALFORMED] = "malformed",
		[SIM_NET_DROP_MEMORY] = "memory",
	};
	struct sim_net_dev *net = sim->data;
	unsigned int i;

	seq_printf(m, "rx_packets: %llu\ntx_packets: %llu\npairs: %u\n",
		   net->counters.rx_packets, net->counters.tx_packets, net->pairs);
	for (i = 0; i < SIM_NET_DROPS; i++)
		seq_printf(m, "dropped_%s: %llu\n", causes[i], net->counters.dropped[i]);
}

const struct sim_model sim_net = {
	.id = VIRTIO_ID_NET,
	.name = "net",
	.config_len = CONFIG_LEN,
	.features = FEATURES,
	.ops = op_names,
	.init = net_init,
	.exit = net_exit,
	.reset = net_reset,
	.ready = net_ready,
	.kick = net_kick,
	.work = net_work,
	.config_set = net_config_set,
	.act = sim_net_act,
	.draw = sim_net_draw,
	.nudge = sim_net_nudge,
	.show = net_show,
};
