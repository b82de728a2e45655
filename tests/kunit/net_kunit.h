/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For the suites of virtio_net_rh on the simulated device: its interface, frames of an
 * ethertype that nobody serves, which are sent past the queueing discipline, come back and
 * are compared byte for byte, and the driver's counters.
 */
#ifndef VRH_NET_KUNIT_H
#define VRH_NET_KUNIT_H

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

#define PAIRS	2
#define RX	0
#define TX	1
#define CTRL	(2 * PAIRS)

/* A guest under TCG that shares its CPUs: long for what comes, short for what does not. */
#define COMES_MS	5000
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

#define act(test, port, ...)	\
	KUNIT_EXPECT_EQ(test, sim_act((port)->sim, &(struct sim_action){ __VA_ARGS__ }), 0)

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

/*
 * Sends the frame; its end is in pages, so that it has several pieces. A queue that is
 * full is waited for; byte queue limits are not.
 */
static inline int send_within(const struct port *from, unsigned int queue, size_t len,
			      unsigned int wait_ms)
{
	size_t head = min_t(size_t, len, 128), room = LL_RESERVED_SPACE(from->dev);
	struct sk_buff *skb;
	int err;

	skb = alloc_skb_with_frags(room + head, len - head, 0, &err, GFP_KERNEL);
	if (!skb)
		return err;
	skb_reserve(skb, room);
	skb_put(skb, head);
	skb->data_len = len - head;
	skb->len += len - head;
	skb_store_bits(skb, 0, frame, len);
	skb->dev = from->dev;
	skb->protocol = htons(ETH_P_802_EX1);
	skb_reset_mac_header(skb);
	skb_set_network_header(skb, ETH_HLEN);
	sim_test_wait(!netif_tx_queue_stopped(netdev_get_tx_queue(from->dev, queue)), wait_ms);
	return dev_direct_xmit(skb, queue);
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

static inline void moves_on(struct kunit *test, struct port *from, struct port *to,
			    unsigned int queue)
{
	static const u16 lens[] = { ETH_HLEN, ETH_ZLEN, 128, 129, 1000, ETH_FRAME_LEN };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		draw(to, lens[i]);
		KUNIT_EXPECT_EQ(test, send(from, queue, lens[i]), NETDEV_TX_OK);
		KUNIT_EXPECT_TRUE_MSG(test, comes(to, lens[i]), "%u bytes", lens[i]);
	}
}

static inline void moves(struct kunit *test)
{
	moves_on(test, &near, &near, 0);
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

static inline int set_channels(unsigned int pairs)
{
	struct ethtool_channels channels = { .combined_count = pairs };
	int err;

	rtnl_lock();
	err = near.dev->ethtool_ops->set_channels(near.dev, &channels);
	rtnl_unlock();
	return err;
}

/* Changes the driver's parameter, as a user would. */
static inline void command_timeout(struct kunit *test, const char *ms)
{
	const char *name = "sys/module/virtio_net_rh/parameters/cvq_timeout_ms";

	KUNIT_EXPECT_EQ(test, sim_test_write(test, name, ms), strlen(ms));
}

static inline void net_exit(struct kunit *test)
{
	port_close(&near);
	port_close(&far);
	sim_test_exit(test);
	command_timeout(test, "10000");
}

#endif
