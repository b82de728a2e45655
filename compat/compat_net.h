/* SPDX-License-Identifier: GPL-2.0-only */
/* Differences of the network stack and of what virtio_net_rh asks of virtio. */
#ifndef VRH_COMPAT_NET_H
#define VRH_COMPAT_NET_H

#include <linux/ethtool.h>
#include <linux/netdevice.h>
#include <linux/string.h>
#include <linux/virtio.h>

#ifdef VRH_HAVE_NET_RX_QUEUE_HEADER
#include <net/netdev_rx_queue.h>
#endif

#ifndef VRH_HAVE_NET_RESIZE_DONE
/* Delete with 6.1. No caller may need recycle_done. */
static inline int vrh_virtqueue_resize(struct virtqueue *vq, u32 num,
				       void (*recycle)(struct virtqueue *vq, void *buf),
				       void (*recycle_done)(struct virtqueue *vq))
{
	int err = virtqueue_resize(vq, num, recycle);

	if (recycle_done)
		recycle_done(vq);
	return err;
}

#define virtqueue_resize vrh_virtqueue_resize
#endif

#ifndef VRH_HAVE_NET_ETHTOOL_PUTS
/* Delete with 6.1. */
static inline void ethtool_puts(u8 **data, const char *str)
{
	strscpy(*data, str, ETH_GSTRING_LEN);
	*data += ETH_GSTRING_LEN;
}
#endif

#ifndef VRH_HAVE_NET_KERNEL_TS_INFO
/* Delete with 6.1. */
#define kernel_ethtool_ts_info ethtool_ts_info
#endif

#ifdef VRH_HAVE_NET_STAT_OPS
#include <net/netdev_queues.h>

/*
 * Names of the queue statistics in ethtool -S, which the in-tree driver
 * changed when packets and bytes went to the netdev netlink family.
 */
#define VRH_NET_STAT_RX_QUEUE	"rx%u_%s"
#define VRH_NET_STAT_TX_QUEUE	"tx%u_%s"
#define VRH_NET_STAT_TOTALS	true

static inline void vrh_net_set_stat_ops(struct net_device *dev, const struct netdev_stat_ops *ops)
{
	dev->stat_ops = ops;
}
#else
/* Delete with 6.1. */
struct netdev_queue_stats_rx {
	u64 bytes;
	u64 packets;
	u64 alloc_fail;
};

struct netdev_queue_stats_tx {
	u64 bytes;
	u64 packets;
	u64 stop;
	u64 wake;
};

struct netdev_stat_ops {
	void (*get_queue_stats_rx)(struct net_device *dev, int idx,
				   struct netdev_queue_stats_rx *stats);
	void (*get_queue_stats_tx)(struct net_device *dev, int idx,
				   struct netdev_queue_stats_tx *stats);
	void (*get_base_stats)(struct net_device *dev, struct netdev_queue_stats_rx *rx,
			       struct netdev_queue_stats_tx *tx);
};

#define VRH_NET_STAT_RX_QUEUE	"rx_queue_%u_%s"
#define VRH_NET_STAT_TX_QUEUE	"tx_queue_%u_%s"
#define VRH_NET_STAT_TOTALS	false

static inline void vrh_net_set_stat_ops(struct net_device *dev, const struct netdev_stat_ops *ops)
{
}
#endif

#endif
