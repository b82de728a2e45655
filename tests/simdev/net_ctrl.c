// SPDX-License-Identifier: GPL-2.0-only
/*
 * The control queue of the simulated network device (VIRTIO 1.3, 5.1.6.5): every command
 * is checked for its length, its values and the feature that it needs; one that is wrong
 * is a violation and gets VIRTIO_NET_ERR. The ack is the first byte that the device
 * writes; results follow it.
 */
#include <linux/kernel.h>
#include <linux/string.h>

#include "sim_net.h"

/* VIRTIO 1.3, 5.1.6.5.7.1, without the table and the key, which have no fixed length. */
struct rss_start {
	__le32 types;
	__le16 mask;
	__le16 unclassified;
} __packed;

static_assert(sizeof(struct rss_start) == 8);

struct rss_end {
	__le16 max_tx;
	u8 key_len;
} __packed;

static_assert(sizeof(struct rss_end) == 3);

struct hash_start {
	__le32 types;
	__le16 reserved[4];
	u8 key_len;
} __packed;

static_assert(sizeof(struct hash_start) == 13);

/*
 * Addresses of a command that are looked at: a driver's table may be as long as memory,
 * and our time for it is not.
 */
#define MACS_CHECKED	4096

struct coal_wire {
	__le32 max_packets;
	__le32 max_usecs;
};

static_assert(sizeof(struct coal_wire) == 8);

struct coal_queue {
	__le16 index;
	__le16 reserved;
};

static_assert(sizeof(struct coal_queue) == 4);

/**
 * sim_net_refuse() - note why a command is wrong
 * @cmd: command
 * @format: as printf's; class and command are put before it
 *
 * Context: the device's lock is held.
 * Return: VIRTIO_NET_ERR
 */
u8 sim_net_refuse(const struct sim_net_command *cmd, const char *format, ...)
{
	struct va_format text = { .fmt = format };
	va_list args;

	va_start(args, format);
	text.va = &args;
	sim_violation(cmd->net->sim, "command %u/%u: %pV", cmd->class, cmd->cmd, &text);
	va_end(args);
	return VIRTIO_NET_ERR;
}

/**
 * sim_net_args() - read arguments of a command
 * @cmd: command
 * @at: bytes behind class and command
 * @to: receives them
 * @len: bytes
 *
 * Context: the device's lock is held.
 * Return: false if there are not so many.
 */
bool sim_net_args(const struct sim_net_command *cmd, size_t at, void *to, size_t len)
{
	if (at + len > cmd->len)
		return false;
	return !len || sim_chain_read(cmd->chain, sizeof(struct virtio_net_ctrl_hdr) + at, to,
				      len) == len;
}

/**
 * sim_net_reply() - write more of a command's result
 * @cmd: command that will be answered with VIRTIO_NET_OK
 * @from: bytes
 * @len: their number; what does not fit is left out
 *
 * Context: the device's lock is held.
 */
void sim_net_reply(struct sim_net_command *cmd, const void *from, size_t len)
{
	cmd->result += sim_chain_write(cmd->chain, sizeof(virtio_net_ctrl_ack) + cmd->result,
				       from, len);
}

static bool has(const struct sim_net_command *cmd, unsigned int bit)
{
	return sim_has(cmd->net->sim, bit);
}

/* A command without its feature is as wrong as one that does not exist. */
static u8 no_such(const struct sim_net_command *cmd)
{
	return sim_net_refuse(cmd, "unknown, or its feature is not negotiated");
}

/* Reads arguments that have a fixed length. */
static bool exactly(const struct sim_net_command *cmd, void *to, size_t len)
{
	if (cmd->len == len && sim_net_args(cmd, 0, to, len))
		return true;
	sim_net_refuse(cmd, "%u bytes of arguments, not %zu", cmd->len, len);
	return false;
}

/* Class RX */

static u8 rx(struct sim_net_command *cmd)
{
	struct sim_net_filters *f = &cmd->net->filters;
	bool *flags[] = {
		[VIRTIO_NET_CTRL_RX_PROMISC] = &f->promisc,
		[VIRTIO_NET_CTRL_RX_ALLMULTI] = &f->allmulti,
		[VIRTIO_NET_CTRL_RX_ALLUNI] = &f->alluni,
		[VIRTIO_NET_CTRL_RX_NOMULTI] = &f->nomulti,
		[VIRTIO_NET_CTRL_RX_NOUNI] = &f->nouni,
		[VIRTIO_NET_CTRL_RX_NOBCAST] = &f->nobcast,
	};
	u8 on;

	if (cmd->cmd >= ARRAY_SIZE(flags) ||
	    !has(cmd, cmd->cmd <= VIRTIO_NET_CTRL_RX_ALLMULTI ? VIRTIO_NET_F_CTRL_RX :
								VIRTIO_NET_F_CTRL_RX_EXTRA))
		return no_such(cmd);
	if (!exactly(cmd, &on, sizeof(on)))
		return VIRTIO_NET_ERR;
	if (on > 1)
		return sim_net_refuse(cmd, "value %u", on);
	*flags[cmd->cmd] = on;
	return VIRTIO_NET_OK;
}

/* Class MAC */

/* Reads the table at @at of the arguments; returns the bytes it takes, or 0. */
static size_t read_macs(struct sim_net_command *cmd, size_t at, bool multicast,
			u8 (*table)[ETH_ALEN], unsigned int *nr)
{
	u8 mac[ETH_ALEN] __aligned(2);
	__virtio32 wire;
	u32 entries, i;

	if (!sim_net_args(cmd, at, &wire, sizeof(wire))) {
		sim_net_refuse(cmd, "%u bytes end before the count at %zu", cmd->len, at);
		return 0;
	}
	entries = virtio32_to_cpu(&cmd->net->sim->vdev, wire);
	at += sizeof(wire);
	if (entries > (cmd->len - at) / ETH_ALEN) {
		sim_net_refuse(cmd, "%u entries in %zu bytes", entries, cmd->len - at);
		return 0;
	}
	for (i = 0; i < min_t(u32, entries, MACS_CHECKED); i++) {
		sim_net_args(cmd, at + i * ETH_ALEN, mac, ETH_ALEN);
		if (is_multicast_ether_addr(mac) != multicast) {
			sim_net_refuse(cmd, "%pM among %scast addresses", mac,
				       multicast ? "multi" : "uni");
			return 0;
		}
		if (i < SIM_NET_MACS)
			ether_addr_copy(table[i], mac);
	}
	*nr = entries;
	return sizeof(wire) + entries * ETH_ALEN;
}

static u8 mac_table(struct sim_net_command *cmd)
{
	struct sim_net_filters *f = &cmd->net->filters;
	u8 multi[SIM_NET_MACS][ETH_ALEN] __aligned(2);
	u8 uni[SIM_NET_MACS][ETH_ALEN] __aligned(2);
	unsigned int nr_uni, nr_multi;
	size_t used, more;

	if (!has(cmd, VIRTIO_NET_F_CTRL_RX))
		return no_such(cmd);
	used = read_macs(cmd, 0, false, uni, &nr_uni);
	if (!used)
		return VIRTIO_NET_ERR;
	more = read_macs(cmd, used, true, multi, &nr_multi);
	if (!more)
		return VIRTIO_NET_ERR;
	if (used + more != cmd->len)
		return sim_net_refuse(cmd, "tables are %zu of %u bytes", used + more, cmd->len);

	f->nr_uni = nr_uni;
	f->nr_multi = nr_multi;
	memcpy(f->uni, uni, min_t(size_t, nr_uni, SIM_NET_MACS) * ETH_ALEN);
	memcpy(f->multi, multi, min_t(size_t, nr_multi, SIM_NET_MACS) * ETH_ALEN);
	return VIRTIO_NET_OK;
}

static u8 mac_address(struct sim_net_command *cmd)
{
	struct sim_net_dev *net = cmd->net;
	u8 mac[ETH_ALEN] __aligned(2);

	if (!has(cmd, VIRTIO_NET_F_CTRL_MAC_ADDR))
		return no_such(cmd);
	if (!exactly(cmd, mac, sizeof(mac)))
		return VIRTIO_NET_ERR;
	if (!is_valid_ether_addr(mac))
		return sim_net_refuse(cmd, "address %pM", mac);
	ether_addr_copy(net->filters.mac, mac);
	if (has(cmd, VIRTIO_NET_F_MAC))
		sim_config_write(net->sim, offsetof(struct virtio_net_config, mac), mac,
				 sizeof(mac), false);
	return VIRTIO_NET_OK;
}

/* Classes VLAN and ANNOUNCE */

static u8 vlan(struct sim_net_command *cmd)
{
	__virtio16 wire;
	u16 vid;

	if (!has(cmd, VIRTIO_NET_F_CTRL_VLAN) || cmd->cmd > VIRTIO_NET_CTRL_VLAN_DEL)
		return no_such(cmd);
	if (!exactly(cmd, &wire, sizeof(wire)))
		return VIRTIO_NET_ERR;
	vid = virtio16_to_cpu(&cmd->net->sim->vdev, wire);
	if (vid >= VLAN_N_VID)
		return sim_net_refuse(cmd, "VLAN %u", vid);
	if (cmd->cmd == VIRTIO_NET_CTRL_VLAN_ADD)
		__set_bit(vid, cmd->net->filters.vlans);
	else
		__clear_bit(vid, cmd->net->filters.vlans);
	return VIRTIO_NET_OK;
}

static u8 announce(struct sim_net_command *cmd)
{
	if (!has(cmd, VIRTIO_NET_F_GUEST_ANNOUNCE) || cmd->cmd != VIRTIO_NET_CTRL_ANNOUNCE_ACK)
		return no_such(cmd);
	if (!exactly(cmd, NULL, 0))
		return VIRTIO_NET_ERR;
	sim_net_set_status(cmd->net, VIRTIO_NET_S_ANNOUNCE, 0, false);
	return VIRTIO_NET_OK;
}

/* Class MQ */

static bool enabled(const struct sim_net_dev *net, unsigned int index)
{
	return index < 2 * sim_net_pairs(net) && net->sim->queues[index].enabled;
}

/*
 * The driver must not use the transmit queues behind @pairs after this command; what it
 * sent before may still be in them.
 */
static void use_pairs(struct sim_net_dev *net, unsigned int pairs)
{
	unsigned int i;

	for (i = pairs; i < net->pairs; i++)
		if (enabled(net, 2 * i + 1))
			sim_net_transmit(net, &net->sim->queues[2 * i + 1]);
	net->pairs = pairs;
}

static u8 set_pairs(struct sim_net_command *cmd)
{
	struct sim_net_dev *net = cmd->net;
	unsigned int pairs, i;
	__virtio16 wire;

	if (!has(cmd, VIRTIO_NET_F_MQ))
		return no_such(cmd);
	if (!exactly(cmd, &wire, sizeof(wire)))
		return VIRTIO_NET_ERR;
	pairs = virtio16_to_cpu(&net->sim->vdev, wire);
	if (!pairs || pairs > net->max_pairs)
		return sim_net_refuse(cmd, "%u of %u queue pairs", pairs, net->max_pairs);
	for (i = 0; i < 2 * pairs; i++)
		if (!enabled(net, i))
			return sim_net_refuse(cmd, "%u queue pairs, but queue %u is not enabled",
					      pairs, i);
	use_pairs(net, pairs);
	net->rss.steering = false;
	return VIRTIO_NET_OK;
}

/*
 * Reads types and key, common to both commands; @at is where the key begins. Bytes behind
 * it are a violation that devices do not see: in-tree 6.12 and 7.3 send one.
 */
static u8 read_key(struct sim_net_command *cmd, size_t at, struct sim_net_rss *rss)
{
	if (rss->types & ~SIM_NET_HASH_TYPES)
		return sim_net_refuse(cmd, "hash types %#x", rss->types);
	if (rss->key_len > SIM_NET_KEY_MAX || (rss->types && !rss->key_len))
		return sim_net_refuse(cmd, "hash types %#x with a key of %u bytes", rss->types,
				      rss->key_len);
	if (!sim_net_args(cmd, at, rss->key, rss->key_len))
		return sim_net_refuse(cmd, "%u bytes end before those of the key, %zu to %zu",
				      cmd->len, at, at + rss->key_len);
	if (cmd->len > at + rss->key_len)
		sim_net_refuse(cmd, "%u bytes, the key ends at %zu", cmd->len,
			       at + rss->key_len);
	return VIRTIO_NET_OK;
}

/* Reads the table and what follows it; returns where the key begins, or 0. */
static size_t read_table(struct sim_net_command *cmd, struct sim_net_rss *rss)
{
	__le16 table[SIM_NET_TABLE_MAX];
	size_t size = (rss->mask + 1) * sizeof(*table), at = sizeof(struct rss_start);
	struct rss_end end;
	unsigned int i;

	if (!sim_net_args(cmd, at, table, size) ||
	    !sim_net_args(cmd, at + size, &end, sizeof(end))) {
		sim_net_refuse(cmd, "%u bytes with a table of %u", cmd->len, rss->mask + 1);
		return 0;
	}
	for (i = 0; i <= rss->mask; i++) {
		rss->table[i] = le16_to_cpu(table[i]);
		if (!enabled(cmd->net, 2 * rss->table[i])) {
			sim_net_refuse(cmd, "entry %u is pair %u, which is not enabled", i,
				       rss->table[i]);
			return 0;
		}
	}
	rss->max_tx = le16_to_cpu(end.max_tx);
	rss->key_len = end.key_len;
	return at + size + sizeof(end);
}

static u8 rss_config(struct sim_net_command *cmd)
{
	struct sim_net_rss rss = { .steering = true };
	struct rss_start start;
	size_t key;

	if (!has(cmd, VIRTIO_NET_F_RSS))
		return no_such(cmd);
	if (!sim_net_args(cmd, 0, &start, sizeof(start)))
		return sim_net_refuse(cmd, "%u bytes", cmd->len);
	rss.types = le32_to_cpu(start.types);
	rss.mask = le16_to_cpu(start.mask);
	rss.unclassified = le16_to_cpu(start.unclassified);
	if (rss.mask >= SIM_NET_TABLE_MAX || (rss.mask & (rss.mask + 1)))
		return sim_net_refuse(cmd, "indirection_table_mask %#x", rss.mask);
	if (!enabled(cmd->net, 2 * rss.unclassified))
		return sim_net_refuse(cmd, "unclassified_queue is pair %u, which is not enabled",
				      rss.unclassified);
	key = read_table(cmd, &rss);
	if (!key)
		return VIRTIO_NET_ERR;
	if (!rss.max_tx || !enabled(cmd->net, 2 * rss.max_tx - 1))
		return sim_net_refuse(cmd, "max_tx_vq %u, whose queue is not enabled", rss.max_tx);
	if (read_key(cmd, key, &rss))
		return VIRTIO_NET_ERR;
	use_pairs(cmd->net, rss.max_tx);
	cmd->net->rss = rss;
	return VIRTIO_NET_OK;
}

static u8 hash_config(struct sim_net_command *cmd)
{
	struct sim_net_rss rss = {};
	struct hash_start start;

	if (!has(cmd, VIRTIO_NET_F_HASH_REPORT))
		return no_such(cmd);
	if (!sim_net_args(cmd, 0, &start, sizeof(start)))
		return sim_net_refuse(cmd, "%u bytes", cmd->len);
	/* Wrong, but no device looks there: in-tree 6.12 and 7.3 set max_tx_vq. */
	if (memchr_inv(start.reserved, 0, sizeof(start.reserved)))
		sim_net_refuse(cmd, "reserved is %*ph", (int)sizeof(start.reserved),
			       start.reserved);
	rss.types = le32_to_cpu(start.types);
	rss.key_len = start.key_len;
	if (read_key(cmd, sizeof(start), &rss))
		return VIRTIO_NET_ERR;
	cmd->net->rss = rss;
	return VIRTIO_NET_OK;
}

static u8 mq(struct sim_net_command *cmd)
{
	switch (cmd->cmd) {
	case VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET:
		return set_pairs(cmd);
	case VIRTIO_NET_CTRL_MQ_RSS_CONFIG:
		return rss_config(cmd);
	case VIRTIO_NET_CTRL_MQ_HASH_CONFIG:
		return hash_config(cmd);
	}
	return no_such(cmd);
}

/* Class GUEST_OFFLOADS */

static u8 guest_offloads(struct sim_net_command *cmd)
{
	struct sim_net_dev *net = cmd->net;
	__virtio64 wire;
	u64 offloads;

	if (!has(cmd, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) ||
	    cmd->cmd != VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET)
		return no_such(cmd);
	if (!exactly(cmd, &wire, sizeof(wire)))
		return VIRTIO_NET_ERR;
	offloads = virtio64_to_cpu(&net->sim->vdev, wire);
	if (offloads & ~(net->features & SIM_NET_OFFLOADS))
		return sim_net_refuse(cmd, "offloads %#llx, %#llx can be set", offloads,
				      net->features & SIM_NET_OFFLOADS);
	net->offloads = offloads;
	return VIRTIO_NET_OK;
}

/* Class NOTF_COAL */

static void read_coal(const struct coal_wire *wire, struct sim_net_coal *coal)
{
	coal->max_packets = le32_to_cpu(wire->max_packets);
	coal->max_usecs = le32_to_cpu(wire->max_usecs);
}

static u8 coal_all(struct sim_net_command *cmd, bool tx)
{
	struct sim_net_dev *net = cmd->net;
	struct sim_net_coal *coal = tx ? &net->coal_tx : &net->coal_rx;
	struct coal_wire wire;
	unsigned int i;

	if (!has(cmd, VIRTIO_NET_F_NOTF_COAL))
		return no_such(cmd);
	if (!exactly(cmd, &wire, sizeof(wire)))
		return VIRTIO_NET_ERR;
	read_coal(&wire, coal);
	for (i = tx; i < 2 * net->max_pairs; i += 2)
		net->queue[i].coal = *coal;
	return VIRTIO_NET_OK;
}

static u8 coal_one(struct sim_net_command *cmd, bool set)
{
	struct {
		struct coal_queue queue;
		struct coal_wire coal;
	} args;
	struct sim_net_coal *coal;
	unsigned int index;

	if (!has(cmd, VIRTIO_NET_F_VQ_NOTF_COAL))
		return no_such(cmd);
	if (!exactly(cmd, &args, set ? sizeof(args) : sizeof(args.queue)))
		return VIRTIO_NET_ERR;
	index = le16_to_cpu(args.queue.index);
	if (!enabled(cmd->net, index))
		return sim_net_refuse(cmd, "queue %u is not an enabled one for packets", index);
	coal = &cmd->net->queue[index].coal;
	if (set) {
		read_coal(&args.coal, coal);
		return VIRTIO_NET_OK;
	}
	if (cmd->chain->in < sizeof(virtio_net_ctrl_ack) + sizeof(args.coal))
		return sim_net_refuse(cmd, "%u bytes for the answer", cmd->chain->in);
	args.coal.max_packets = cpu_to_le32(coal->max_packets);
	args.coal.max_usecs = cpu_to_le32(coal->max_usecs);
	sim_net_reply(cmd, &args.coal, sizeof(args.coal));
	return VIRTIO_NET_OK;
}

static u8 coalescing(struct sim_net_command *cmd)
{
	switch (cmd->cmd) {
	case VIRTIO_NET_CTRL_NOTF_COAL_TX_SET:
		return coal_all(cmd, true);
	case VIRTIO_NET_CTRL_NOTF_COAL_RX_SET:
		return coal_all(cmd, false);
	case VIRTIO_NET_CTRL_NOTF_COAL_VQ_SET:
		return coal_one(cmd, true);
	case VIRTIO_NET_CTRL_NOTF_COAL_VQ_GET:
		return coal_one(cmd, false);
	}
	return no_such(cmd);
}

static u8 serve(struct sim_net_command *cmd)
{
	switch (cmd->class) {
	case VIRTIO_NET_CTRL_RX:
		return rx(cmd);
	case VIRTIO_NET_CTRL_MAC:
		if (cmd->cmd == VIRTIO_NET_CTRL_MAC_TABLE_SET)
			return mac_table(cmd);
		if (cmd->cmd == VIRTIO_NET_CTRL_MAC_ADDR_SET)
			return mac_address(cmd);
		break;
	case VIRTIO_NET_CTRL_VLAN:
		return vlan(cmd);
	case VIRTIO_NET_CTRL_ANNOUNCE:
		return announce(cmd);
	case VIRTIO_NET_CTRL_MQ:
		return mq(cmd);
	case VIRTIO_NET_CTRL_GUEST_OFFLOADS:
		return guest_offloads(cmd);
	case VIRTIO_NET_CTRL_NOTF_COAL:
		return coalescing(cmd);
	case VIRTIO_NET_CTRL_STATS:
		if (has(cmd, VIRTIO_NET_F_DEVICE_STATS))
			return sim_net_stats(cmd);
		break;
	}
	return no_such(cmd);
}

/* One command; returns the bytes written. */
static u32 one_command(struct sim_net_command *cmd)
{
	struct sim_net_dev *net = cmd->net;
	struct sim_chain *chain = cmd->chain;
	struct virtio_net_ctrl_hdr hdr = {};
	virtio_net_ctrl_ack ack = VIRTIO_NET_ERR;

	if (chain->out < sizeof(hdr) || !chain->in) {
		sim_violation(net->sim, "command of %u bytes with %u for the answer", chain->out,
			      chain->in);
	} else {
		sim_chain_read(chain, 0, &hdr, sizeof(hdr));
		cmd->class = hdr.class;
		cmd->cmd = hdr.cmd;
		cmd->len = chain->out - sizeof(hdr);
		if (cmd->class < SIM_NET_CLASSES)
			net->counters.commands[cmd->class]++;
		ack = serve(cmd);
	}
	if (ack == VIRTIO_NET_OK) {
		net->ctrl_ok++;
	} else {
		net->counters.refused++;
		cmd->result = 0;
	}
	return sim_chain_write(chain, 0, &ack, sizeof(ack)) + cmd->result;
}

/**
 * sim_net_control() - serve the control queue
 * @net: device
 * @queue: its control queue
 *
 * Context: the device's lock is held, may sleep.
 */
void sim_net_control(struct sim_net_dev *net, struct sim_queue *queue)
{
	struct sim_chain *chain;

	while ((chain = sim_pop(queue))) {
		struct sim_net_command cmd = { .net = net, .chain = chain };
		u64 patched = net->sim->stats.by_op[SIM_PATCH];

		sim_use(queue, chain, one_command(&cmd));
		if (cmd.class == VIRTIO_NET_CTRL_MQ)
			net->pairs_twisted = net->sim->stats.by_op[SIM_PATCH] != patched;
	}
}
