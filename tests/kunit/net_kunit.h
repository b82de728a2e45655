/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For the suites of virtio_net_rh on the simulated device: its interface, frames of an
 * ethertype that nobody serves, which are sent past the queueing discipline, come back and
 * are compared byte for byte, the driver's counters and its commands.
 */
#ifndef VRH_NET_KUNIT_H
#define VRH_NET_KUNIT_H

#include <linux/bitmap.h>
#include <linux/etherdevice.h>
#include <linux/ethtool.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>

#include "sim_kunit.h"
#include "tests/simdev/sim_net.h"

/* What virtio_net_rh serves; the model offers more, which is left alone. */
#define FEATURES								\
	(BIT_ULL(VIRTIO_NET_F_CSUM) | BIT_ULL(VIRTIO_NET_F_GUEST_CSUM) |	\
	 BIT_ULL(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) | BIT_ULL(VIRTIO_NET_F_MTU) |	\
	 BIT_ULL(VIRTIO_NET_F_MAC) | BIT_ULL(VIRTIO_NET_F_GUEST_TSO4) |		\
	 BIT_ULL(VIRTIO_NET_F_GUEST_TSO6) | BIT_ULL(VIRTIO_NET_F_GUEST_ECN) |	\
	 BIT_ULL(VIRTIO_NET_F_GUEST_UFO) | BIT_ULL(VIRTIO_NET_F_HOST_TSO4) |	\
	 BIT_ULL(VIRTIO_NET_F_HOST_TSO6) | BIT_ULL(VIRTIO_NET_F_HOST_ECN) |	\
	 BIT_ULL(VIRTIO_NET_F_MRG_RXBUF) | BIT_ULL(VIRTIO_NET_F_STATUS) |	\
	 BIT_ULL(VIRTIO_NET_F_CTRL_VQ) | BIT_ULL(VIRTIO_NET_F_CTRL_RX) |	\
	 BIT_ULL(VIRTIO_NET_F_CTRL_VLAN) | BIT_ULL(VIRTIO_NET_F_GUEST_ANNOUNCE) | \
	 BIT_ULL(VIRTIO_NET_F_MQ) | BIT_ULL(VIRTIO_NET_F_CTRL_MAC_ADDR) |	\
	 BIT_ULL(VIRTIO_NET_F_SPEED_DUPLEX))

/* Offered as well: what a driver does not know must not disturb it. */
#define UNSERVED								\
	(BIT_ULL(VIRTIO_NET_F_RSS) | BIT_ULL(VIRTIO_NET_F_HASH_REPORT) |	\
	 BIT_ULL(VIRTIO_NET_F_HOST_USO) | BIT_ULL(VIRTIO_NET_F_HOST_UFO) |	\
	 BIT_ULL(VIRTIO_NET_F_GUEST_USO4) | BIT_ULL(VIRTIO_NET_F_GUEST_USO6) |	\
	 BIT_ULL(VIRTIO_NET_F_RSC_EXT) | BIT_ULL(VIRTIO_NET_F_NOTF_COAL) |	\
	 BIT_ULL(VIRTIO_NET_F_VQ_NOTF_COAL) | BIT_ULL(VIRTIO_NET_F_CTRL_RX_EXTRA) | \
	 BIT_ULL(VIRTIO_NET_F_DEVICE_STATS) | BIT_ULL(VIRTIO_NET_F_GUEST_HDRLEN) | \
	 BIT_ULL(VIRTIO_NET_F_STANDBY))

/* Every feature that a device of ours can offer. */
#define ALL									\
	(FEATURES | UNSERVED | SIM_PACKED_FEATURES | BIT_ULL(VIRTIO_F_ACCESS_PLATFORM))

#define PAIRS	2
#define RX	0
#define TX	1
#define CTRL	(2 * PAIRS)

/* A guest under TCG that shares its CPUs: long for what comes, short for what does not. */
#define COMES_MS	20000
#define STAYS_AWAY_MS	100

static const struct sim_options __maybe_unused usual = {
	.id = VIRTIO_ID_NET,
	.features = FEATURES | SIM_RING_FEATURES,
	.pairs = PAIRS,
};

/* An interface, and what it received of our ethertype. */
struct port {
	struct sim_device *sim;
	struct net_device *dev;
	struct packet_type hook;
	struct sk_buff_head got;
};

static struct port near, far;
static u8 frame[SIM_NET_FRAME_MAX], seen[SIM_NET_FRAME_MAX];

#define act(test, port, ...)	sim_tell(test, (port)->sim, __VA_ARGS__)

/* Interfaces */

static inline int find_net(struct device *dev, void *found)
{
	if (!dev->class || strcmp(dev->class->name, "net"))
		return 0;
	*(struct net_device **)found = to_net_dev(dev);
	return 1;
}

static int take_frame(struct sk_buff *skb, struct net_device *dev, struct packet_type *hook,
		      struct net_device *orig)
{
	struct port *port = container_of(hook, struct port, hook);

	skb = skb_share_check(skb, GFP_ATOMIC);
	if (skb)
		skb_queue_tail(&port->got, skb);
	return NET_RX_SUCCESS;
}

static inline void port_open(struct kunit *test, struct port *port, struct sim_device *sim)
{
	struct net_device *dev = NULL;
	int err;

	device_for_each_child(&sim->vdev.dev, &dev, find_net);
	KUNIT_ASSERT_NOT_NULL(test, dev);
	skb_queue_head_init(&port->got);
	memset(&port->hook, 0, sizeof(port->hook));
	port->hook.type = htons(ETH_P_802_EX1);
	port->hook.dev = dev;
	port->hook.func = take_frame;
	port->sim = sim;
	port->dev = dev;
	dev_add_pack(&port->hook);

	rtnl_lock();
	/* Nobody but us is to send on it. */
	dev->priv_flags |= IFF_NO_ADDRCONF;
	err = dev_open(dev, NULL);
	rtnl_unlock();
	KUNIT_ASSERT_EQ(test, err, 0);
	act(test, port, .op = SIM_NET_MODE, .value = 1);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(netif_carrier_ok(dev), COMES_MS));
}

static inline void port_close(struct port *port)
{
	if (!port->dev)
		return;
	dev_remove_pack(&port->hook);
	skb_queue_purge(&port->got);
	port->dev = NULL;
	port->sim = NULL;
}

/* Takes frames of another ethertype. */
static inline void hear(struct port *port, u16 type)
{
	dev_remove_pack(&port->hook);
	port->hook.type = htons(type);
	dev_add_pack(&port->hook);
}

static inline void unplug(struct kunit *test, bool surprise)
{
	port_close(&near);
	sim_test_unplug(test, surprise);
}

static inline void plug(struct kunit *test, const struct sim_options *options)
{
	unplug(test, false);
	port_open(test, &near, sim_test_plug(test, options));
}

/* Frames */

static inline void draw(const struct port *to, size_t len)
{
	struct ethhdr *eth = (struct ethhdr *)frame;

	get_random_bytes(frame, len);
	ether_addr_copy(eth->h_dest, to->dev->dev_addr);
	ether_addr_copy(eth->h_source, to->dev->dev_addr);
	eth->h_proto = htons(ETH_P_802_EX1);
}

/* An skb with the frame after @room bytes; its end is in pages, so that it has pieces. */
static inline struct sk_buff *make_skb(const struct port *from, size_t len, size_t room)
{
	size_t head = min_t(size_t, len, 128);
	struct sk_buff *skb;
	int err;

	skb = alloc_skb_with_frags(room + head, len - head, 0, &err, GFP_KERNEL);
	if (!skb)
		return NULL;
	skb_reserve(skb, room);
	skb_put(skb, head);
	skb->data_len = len - head;
	skb->len += len - head;
	skb_store_bits(skb, 0, frame, len);
	skb->dev = from->dev;
	skb->protocol = htons(ETH_P_802_EX1);
	skb_reset_mac_header(skb);
	skb_set_network_header(skb, ETH_HLEN);
	return skb;
}

/* A queue that is full is waited for; byte queue limits are not. */
static inline int send_skb(const struct port *from, unsigned int queue, struct sk_buff *skb,
			   unsigned int wait_ms)
{
	if (!skb)
		return -ENOMEM;
	sim_test_wait(!netif_tx_queue_stopped(netdev_get_tx_queue(from->dev, queue)), wait_ms);
	return dev_direct_xmit(skb, queue);
}

static inline int send_within(const struct port *from, unsigned int queue, size_t len,
			      unsigned int wait_ms)
{
	return send_skb(from, queue, make_skb(from, len, LL_RESERVED_SPACE(from->dev)), wait_ms);
}

static inline int send(const struct port *from, unsigned int queue, size_t len)
{
	return send_within(from, queue, len, COMES_MS);
}

/* The next frame that came; NULL if none does within @ms. */
static inline struct sk_buff *next_frame(struct port *to, unsigned int ms)
{
	sim_test_wait(!skb_queue_empty(&to->got), ms);
	return skb_dequeue(&to->got);
}

/* Is it the frame that was drawn last? */
static inline bool is_frame(const struct sk_buff *skb, size_t len)
{
	return skb->len + ETH_HLEN == len && !skb_copy_bits(skb, -ETH_HLEN, seen, len) &&
	       !memcmp(seen, frame, len);
}

static inline bool comes(struct port *to, size_t len)
{
	struct sk_buff *skb = next_frame(to, COMES_MS);
	bool same = skb && is_frame(skb, len);

	kfree_skb(skb);
	return same;
}

/* Where a frame may have got stuck: for the reader of a test that failed. */
static inline void tell_state(struct kunit *test, const struct port *port)
{
	struct sim_device *sim = port->sim;
	struct napi_struct *napi;
	struct sim_queue *queue;
	unsigned int i;
	char text[160];

	sim_violation_text(sim, text, sizeof(text));
	kunit_info(test, "status %#x, gone %d, lied %d, rules %u, carrier %d, violation: %s",
		   sim->status, sim->gone, sim->lied, sim->nr_rules, netif_carrier_ok(port->dev),
		   text);
	sim_lock(sim);
	for (i = 0; i < sim->nr_queues; i++) {
		queue = &sim->queues[i];
		if (!queue->vq)
			continue;
		kunit_info(test, "queue %u: enabled %d, lied %d, broken %d, places %u, free %u, used %llu, next available %u, used %u, more %d, kicks %lld, kicked %d, calls %lld, interrupt %lx/%d to CPU %d, stack's state %#lx",
			   i, queue->enabled, queue->lied, virtqueue_is_broken(queue->vq),
			   queue->num, queue->vq->num_free, queue->used, queue->next_avail,
			   queue->next_used, sim_available(queue), atomic64_read(&queue->kicks),
			   test_bit(i, sim->kicked), atomic64_read(&queue->called),
			   queue->irq.pending, atomic_read(&queue->irq.in_flight), queue->irq.cpu,
			   i % 2 ? netdev_get_tx_queue(port->dev, i / 2)->state : 0);
	}
	sim_unlock(sim);
	list_for_each_entry(napi, &port->dev->napi_list, dev_list)
		kunit_info(test, "poll %ps: state %#lx", napi->poll, napi->state);
}

static inline void moves_on(struct kunit *test, struct port *from, struct port *to,
			    unsigned int queue)
{
	static const u16 lens[] = { ETH_HLEN, ETH_ZLEN, 128, 129, 1000, ETH_FRAME_LEN };
	unsigned int i;
	bool came;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		draw(to, lens[i]);
		KUNIT_EXPECT_EQ(test, send(from, queue, lens[i]), NETDEV_TX_OK);
		came = comes(to, lens[i]);
		KUNIT_EXPECT_TRUE_MSG(test, came, "%u bytes", lens[i]);
		if (came)
			continue;
		tell_state(test, from);
		if (to != from)
			tell_state(test, to);
		/* The others would not come either. */
		return;
	}
}

static inline void moves(struct kunit *test)
{
	moves_on(test, &near, &near, 0);
}

/*
 * Until what was on its way has come: frames of a queue keep their order, and a silence of
 * some time shows nothing on a guest that has no time.
 */
static inline void dry(struct kunit *test)
{
	unsigned int queue;
	struct sk_buff *skb;
	bool last;

	for (queue = 0; queue < near.dev->real_num_tx_queues; queue++) {
		draw(&near, 77);
		KUNIT_EXPECT_EQ(test, send(&near, queue, 77), NETDEV_TX_OK);
		do {
			skb = next_frame(&near, COMES_MS);
			last = skb && is_frame(skb, 77);
			kfree_skb(skb);
		} while (skb && !last);
		KUNIT_EXPECT_TRUE_MSG(test, last, "queue %u", queue);
		if (!last)
			tell_state(test, &near);
	}
}

/* Counters, as ethtool -S has them */

static inline u64 counter(const struct port *port, const char *name)
{
	const struct ethtool_ops *ops = port->dev->ethtool_ops;
	struct ethtool_stats stats = { .cmd = ETHTOOL_GSTATS };
	char *names = NULL;
	u64 *values = NULL, found = U64_MAX;
	int n, i;

	rtnl_lock();
	n = ops->get_sset_count(port->dev, ETH_SS_STATS);
	if (n > 0) {
		names = kcalloc(n, ETH_GSTRING_LEN, GFP_KERNEL);
		values = kcalloc(n, sizeof(*values), GFP_KERNEL);
	}
	if (names && values) {
		stats.n_stats = n;
		ops->get_strings(port->dev, ETH_SS_STATS, names);
		ops->get_ethtool_stats(port->dev, &stats, values);
		for (i = 0; i < n && found == U64_MAX; i++)
			if (!strcmp(names + i * ETH_GSTRING_LEN, name))
				found = values[i];
	}
	rtnl_unlock();
	kfree(names);
	kfree(values);
	return found;
}

static inline void counted(struct kunit *test, const char *name, u64 value)
{
	sim_test_wait(counter(&near, name) == value, COMES_MS);
	KUNIT_EXPECT_EQ_MSG(test, counter(&near, name), value, "%s", name);
}

/* Buffers that the device has used, of all queues. */
static inline u64 buffers_used(void)
{
	struct sim_stats stats;

	sim_stats(near.sim, &stats);
	return stats.used;
}

/* Commands */

static inline int set_channels(unsigned int pairs)
{
	struct ethtool_channels channels = { .combined_count = pairs };
	int err;

	rtnl_lock();
	err = near.dev->ethtool_ops->set_channels(near.dev, &channels);
	rtnl_unlock();
	return err;
}

static inline int set_rings(u32 rx, u32 tx)
{
	struct ethtool_ringparam ring = { .rx_pending = rx, .tx_pending = tx };
	int err;

	rtnl_lock();
	err = near.dev->ethtool_ops->set_ringparam(near.dev, &ring, NULL, NULL);
	rtnl_unlock();
	return err;
}

static inline int set_mac(u8 last)
{
	struct sockaddr addr = { .sa_family = ARPHRD_ETHER };
	int err;

	ether_addr_copy(addr.sa_data, near.dev->dev_addr);
	addr.sa_data[5] = last;
	rtnl_lock();
	err = near.dev->netdev_ops->ndo_set_mac_address(near.dev, &addr);
	rtnl_unlock();
	return err;
}

static inline int add_vlan(u16 vid)
{
	int err;

	rtnl_lock();
	err = near.dev->netdev_ops->ndo_vlan_rx_add_vid(near.dev, htons(ETH_P_8021Q), vid);
	rtnl_unlock();
	return err;
}

/* How many VLANs the device lets through, but 0, which the kernel may have added by itself. */
static inline unsigned int vlans_known(struct kunit *test)
{
	struct sim_net_filters *filters = kunit_kzalloc(test, sizeof(*filters), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, filters);
	sim_net_filters(near.sim, filters);
	__clear_bit(0, filters->vlans);
	return bitmap_weight(filters->vlans, VLAN_N_VID);
}

/* Waits until the works that opening the interface has set off have sent their commands. */
static inline void be_quiet(void)
{
	unsigned int same = 0, looks;
	u64 before;

	for (looks = 0; looks < 100 && same < 2; looks++) {
		before = counter(&near, "cvq_commands");
		sim_test_wait(false, STAYS_AWAY_MS);
		same = counter(&near, "cvq_commands") == before ? same + 1 : 0;
	}
}

/* Changes the driver's parameter, as a user would. */
static inline void command_timeout(struct kunit *test, const char *ms)
{
	const char *path = "sys/module/virtio_net_rh/parameters/cvq_timeout_ms";

	KUNIT_EXPECT_EQ(test, sim_test_write(test, path, ms), strlen(ms));
}

static inline void net_exit(struct kunit *test)
{
	port_close(&near);
	port_close(&far);
	sim_test_exit(test);
	command_timeout(test, "10000");
}

#endif
