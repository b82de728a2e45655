// SPDX-License-Identifier: GPL-2.0-only
/*
 * ethtool and the netdev statistics: what a person asks the interface. Changes
 * nothing itself; netdev.c does. ethtool_ops run under rtnl.
 */
#include <vrh/log.h>

#include <linux/ethtool.h>
#include <linux/net_tstamp.h>

#include "virtio_net_rh.h"

/**
 * struct vnet_stat_name - a counter as ethtool -S shows it
 * @name: behind the queue's name
 * @qstat: the kernel has another place for it, if VRH_NET_STAT_TOTALS
 */
struct vnet_stat_name {
	char name[ETH_GSTRING_LEN];
	bool qstat;
};

/* The in-tree names where there is one, then ours. */
static const struct vnet_stat_name rx_names[VNET_RX_NSTATS] = {
	[VNET_RX_PACKETS] = { "packets", true },
	[VNET_RX_BYTES] = { "bytes", true },
	[VNET_RX_DROPS] = { "drops" },
	[VNET_RX_KICKS] = { "kicks" },
	[VNET_RX_ALLOC_FAIL] = { "alloc_fail" },
	[VNET_RX_SHORT] = { "too_short" },
	[VNET_RX_LONG] = { "too_long" },
	[VNET_RX_BAD_NUMBUF] = { "bad_num_buffers" },
	[VNET_RX_MISSING] = { "missing_buffers" },
	[VNET_RX_BAD_GSO_TYPE] = { "bad_gso_type" },
	[VNET_RX_BAD_GSO_SIZE] = { "bad_gso_size" },
	[VNET_RX_BAD_CSUM] = { "bad_csum_start" },
	[VNET_RX_BAD_PROTO] = { "bad_protocol" },
};

static const struct vnet_stat_name tx_names[VNET_TX_NSTATS] = {
	[VNET_TX_PACKETS] = { "packets", true },
	[VNET_TX_BYTES] = { "bytes", true },
	[VNET_TX_KICKS] = { "kicks" },
	[VNET_TX_TIMEOUTS] = { "tx_timeouts" },
	[VNET_TX_STOP] = { "stop", true },
	[VNET_TX_WAKE] = { "wake", true },
	[VNET_TX_DROPS] = { "drops" },
	[VNET_TX_LINEARIZED] = { "linearized" },
};

/* Of the device as a whole; vnet_get_ethtool_stats() has the same order. */
static const char ctrl_names[][ETH_GSTRING_LEN] = {
	"cvq_commands",
	"cvq_failed",
	"cvq_timeouts",
	"cvq_late_answers",
};

static bool shown(const struct vnet_stat_name *stat)
{
	return !(VRH_NET_STAT_TOTALS && stat->qstat);
}

static unsigned int count_shown(const struct vnet_stat_name *names, unsigned int n)
{
	unsigned int i, sum = 0;

	for (i = 0; i < n; i++)
		sum += shown(&names[i]);
	return sum;
}

/**
 * vnet_read_rx_stats() - a consistent view of a queue's counters
 * @rxq: queue
 * @val: VNET_RX_NSTATS values
 *
 * Context: any.
 */
void vnet_read_rx_stats(const struct vnet_rxq *rxq, u64 *val)
{
	unsigned int start, i;

	do {
		start = u64_stats_fetch_begin(&rxq->syncp);
		for (i = 0; i < VNET_RX_NSTATS; i++)
			val[i] = u64_stats_read(&rxq->stat[i]);
	} while (u64_stats_fetch_retry(&rxq->syncp, start));
}

/**
 * vnet_read_tx_stats() - a consistent view of a queue's counters
 * @txq: queue
 * @val: VNET_TX_NSTATS values
 *
 * Context: any.
 */
void vnet_read_tx_stats(const struct vnet_txq *txq, u64 *val)
{
	unsigned int start, i;

	do {
		start = u64_stats_fetch_begin(&txq->syncp);
		for (i = 0; i < VNET_TX_NSTATS; i++)
			val[i] = u64_stats_read(&txq->stat[i]);
	} while (u64_stats_fetch_retry(&txq->syncp, start));
}

static int vnet_get_sset_count(struct net_device *dev, int sset)
{
	struct vnet *vn = netdev_priv(dev);
	unsigned int queues = vn->pairs + VRH_NET_STAT_TOTALS;

	if (sset != ETH_SS_STATS)
		return -EOPNOTSUPP;
	return queues * (count_shown(rx_names, VNET_RX_NSTATS) +
			 count_shown(tx_names, VNET_TX_NSTATS)) + ARRAY_SIZE(ctrl_names);
}

static void put_names(u8 **p, const struct vnet_stat_name *names, unsigned int n,
		      const char *fmt, unsigned int queue)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (shown(&names[i]))
			ethtool_sprintf(p, fmt, queue, names[i].name);
}

static void put_total_names(u8 **p, const struct vnet_stat_name *names, unsigned int n,
			    const char *fmt)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (shown(&names[i]))
			ethtool_sprintf(p, fmt, names[i].name);
}

static void vnet_get_strings(struct net_device *dev, u32 sset, u8 *data)
{
	struct vnet *vn = netdev_priv(dev);
	unsigned int i;

	if (sset != ETH_SS_STATS)
		return;
	if (VRH_NET_STAT_TOTALS) {
		put_total_names(&data, rx_names, VNET_RX_NSTATS, "rx_%s");
		put_total_names(&data, tx_names, VNET_TX_NSTATS, "tx_%s");
	}
	for (i = 0; i < ARRAY_SIZE(ctrl_names); i++)
		ethtool_puts(&data, ctrl_names[i]);
	for (i = 0; i < vn->pairs; i++)
		put_names(&data, rx_names, VNET_RX_NSTATS, VRH_NET_STAT_RX_QUEUE, i);
	for (i = 0; i < vn->pairs; i++)
		put_names(&data, tx_names, VNET_TX_NSTATS, VRH_NET_STAT_TX_QUEUE, i);
}

static u64 *put_values(u64 *data, const struct vnet_stat_name *names, unsigned int n,
		       const u64 *val)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (shown(&names[i]))
			*data++ = val[i];
	return data;
}

static u64 *put_totals(struct vnet *vn, u64 *data)
{
	u64 rx_sum[VNET_RX_NSTATS] = {}, tx_sum[VNET_TX_NSTATS] = {};
	u64 rx[VNET_RX_NSTATS], tx[VNET_TX_NSTATS];
	unsigned int i, n;

	for (i = 0; i < vn->pairs; i++) {
		vnet_read_rx_stats(&vn->rxq[i], rx);
		for (n = 0; n < VNET_RX_NSTATS; n++)
			rx_sum[n] += rx[n];
		vnet_read_tx_stats(&vn->txq[i], tx);
		for (n = 0; n < VNET_TX_NSTATS; n++)
			tx_sum[n] += tx[n];
	}
	data = put_values(data, rx_names, VNET_RX_NSTATS, rx_sum);
	return put_values(data, tx_names, VNET_TX_NSTATS, tx_sum);
}

static void vnet_get_ethtool_stats(struct net_device *dev, struct ethtool_stats *stats, u64 *data)
{
	struct vnet *vn = netdev_priv(dev);
	u64 rx[VNET_RX_NSTATS], tx[VNET_TX_NSTATS];
	unsigned int i;

	if (VRH_NET_STAT_TOTALS)
		data = put_totals(vn, data);
	vnet_ctrl_reap_late(vn);
	*data++ = atomic_read(&vn->ctrl.commands);
	*data++ = atomic_read(&vn->ctrl.failed);
	*data++ = atomic_read(&vn->ctrl.timeouts);
	*data++ = atomic_read(&vn->ctrl.late);
	for (i = 0; i < vn->pairs; i++) {
		vnet_read_rx_stats(&vn->rxq[i], rx);
		data = put_values(data, rx_names, VNET_RX_NSTATS, rx);
	}
	for (i = 0; i < vn->pairs; i++) {
		vnet_read_tx_stats(&vn->txq[i], tx);
		data = put_values(data, tx_names, VNET_TX_NSTATS, tx);
	}
}

static void vnet_queue_stats_rx(struct net_device *dev, int idx,
				struct netdev_queue_stats_rx *stats)
{
	struct vnet *vn = netdev_priv(dev);
	u64 val[VNET_RX_NSTATS];

	vnet_read_rx_stats(&vn->rxq[idx], val);
	stats->packets = val[VNET_RX_PACKETS];
	stats->bytes = val[VNET_RX_BYTES];
	stats->alloc_fail = val[VNET_RX_ALLOC_FAIL];
}

static void vnet_queue_stats_tx(struct net_device *dev, int idx,
				struct netdev_queue_stats_tx *stats)
{
	struct vnet *vn = netdev_priv(dev);
	u64 val[VNET_TX_NSTATS];

	vnet_read_tx_stats(&vn->txq[idx], val);
	stats->packets = val[VNET_TX_PACKETS];
	stats->bytes = val[VNET_TX_BYTES];
	stats->stop = val[VNET_TX_STOP];
	stats->wake = val[VNET_TX_WAKE];
}

/* What queues counted that are not in use now. */
static void vnet_base_stats(struct net_device *dev, struct netdev_queue_stats_rx *rx,
			    struct netdev_queue_stats_tx *tx)
{
	struct vnet *vn = netdev_priv(dev);
	u64 rval[VNET_RX_NSTATS], tval[VNET_TX_NSTATS];
	unsigned int i;

	rx->packets = 0;
	rx->bytes = 0;
	rx->alloc_fail = 0;
	tx->packets = 0;
	tx->bytes = 0;
	tx->stop = 0;
	tx->wake = 0;
	for (i = vn->pairs; i < vn->max_pairs; i++) {
		vnet_read_rx_stats(&vn->rxq[i], rval);
		rx->packets += rval[VNET_RX_PACKETS];
		rx->bytes += rval[VNET_RX_BYTES];
		rx->alloc_fail += rval[VNET_RX_ALLOC_FAIL];
		vnet_read_tx_stats(&vn->txq[i], tval);
		tx->packets += tval[VNET_TX_PACKETS];
		tx->bytes += tval[VNET_TX_BYTES];
		tx->stop += tval[VNET_TX_STOP];
		tx->wake += tval[VNET_TX_WAKE];
	}
}

static const struct netdev_stat_ops vnet_stat_ops = {
	.get_queue_stats_rx	= vnet_queue_stats_rx,
	.get_queue_stats_tx	= vnet_queue_stats_tx,
	.get_base_stats		= vnet_base_stats,
};

/**
 * vnet_stats_init() - prepare the counters
 * @vn: device whose queues are allocated
 *
 * Context: probe.
 */
void vnet_stats_init(struct vnet *vn)
{
	unsigned int i;

	for (i = 0; i < vn->max_pairs; i++) {
		u64_stats_init(&vn->rxq[i].syncp);
		u64_stats_init(&vn->txq[i].syncp);
	}
	vrh_net_set_stat_ops(vn->dev, &vnet_stat_ops);
}

static void vnet_get_drvinfo(struct net_device *dev, struct ethtool_drvinfo *info)
{
	struct vnet *vn = netdev_priv(dev);

	strscpy(info->driver, KBUILD_MODNAME, sizeof(info->driver));
	strscpy(info->version, VRH_VERSION, sizeof(info->version));
	strscpy(info->bus_info, virtio_bus_name(vn->vdev), sizeof(info->bus_info));
}

static void vnet_get_ringparam(struct net_device *dev, struct ethtool_ringparam *ring,
			       struct kernel_ethtool_ringparam *kring,
			       struct netlink_ext_ack *extack)
{
	struct vnet *vn = netdev_priv(dev);

	if (vn->state == VNET_GONE)
		return;
	ring->rx_max_pending = vn->rxq[0].vq->num_max;
	ring->tx_max_pending = vn->txq[0].vq->num_max;
	ring->rx_pending = vn->rxq[0].ring;
	ring->tx_pending = vn->txq[0].ring;
}

static int vnet_set_ringparam(struct net_device *dev, struct ethtool_ringparam *ring,
			      struct kernel_ethtool_ringparam *kring,
			      struct netlink_ext_ack *extack)
{
	struct vnet *vn = netdev_priv(dev);
	int err;

	if (ring->rx_mini_pending || ring->rx_jumbo_pending)
		return -EINVAL;
	if (vn->state == VNET_GONE)
		return -ENODEV;
	if (!virtio_has_feature(vn->vdev, VIRTIO_F_RING_RESET)) {
		NL_SET_ERR_MSG_MOD(extack, "no VIRTIO_F_RING_RESET: the rings keep their sizes");
		return -EOPNOTSUPP;
	}
	err = vnet_set_rings(vn, ring->rx_pending, ring->tx_pending);
	if (err == -EINVAL)
		NL_SET_ERR_MSG_MOD(extack,
				   "rx from 64, tx from 32, powers of two, no more than any queue can have");
	return err;
}

static void vnet_get_channels(struct net_device *dev, struct ethtool_channels *ch)
{
	struct vnet *vn = netdev_priv(dev);

	ch->max_combined = vn->max_pairs;
	ch->combined_count = vn->pairs;
}

static int vnet_set_channels(struct net_device *dev, struct ethtool_channels *ch)
{
	struct vnet *vn = netdev_priv(dev);

	if (ch->rx_count || ch->tx_count || ch->other_count)
		return -EINVAL;
	if (!ch->combined_count || ch->combined_count > vn->max_pairs)
		return -EINVAL;
	if (vn->state == VNET_GONE)
		return -ENODEV;
	return vnet_set_pairs(vn, ch->combined_count);
}

static int vnet_get_link_ksettings(struct net_device *dev, struct ethtool_link_ksettings *cmd)
{
	struct vnet *vn = netdev_priv(dev);

	cmd->base.speed = vn->speed;
	cmd->base.duplex = vn->duplex;
	cmd->base.port = PORT_OTHER;
	return 0;
}

static int vnet_set_link_ksettings(struct net_device *dev,
				   const struct ethtool_link_ksettings *cmd)
{
	struct vnet *vn = netdev_priv(dev);

	return ethtool_virtdev_set_link_ksettings(dev, cmd, &vn->speed, &vn->duplex);
}

static int vnet_get_ts_info(struct net_device *dev, struct kernel_ethtool_ts_info *info)
{
	info->so_timestamping = SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_RX_SOFTWARE |
				SOF_TIMESTAMPING_SOFTWARE;
	info->phc_index = -1;
	return 0;
}

const struct ethtool_ops vnet_ethtool_ops = {
	.get_drvinfo		= vnet_get_drvinfo,
	.get_link		= ethtool_op_get_link,
	.get_ringparam		= vnet_get_ringparam,
	.set_ringparam		= vnet_set_ringparam,
	.get_strings		= vnet_get_strings,
	.get_sset_count		= vnet_get_sset_count,
	.get_ethtool_stats	= vnet_get_ethtool_stats,
	.get_channels		= vnet_get_channels,
	.set_channels		= vnet_set_channels,
	.get_link_ksettings	= vnet_get_link_ksettings,
	.set_link_ksettings	= vnet_set_link_ksettings,
	.get_ts_info		= vnet_get_ts_info,
};
