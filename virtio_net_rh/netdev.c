// SPDX-License-Identifier: GPL-2.0-only
/*
 * The interface as the network stack sees it: net_device_ops, features, and
 * starting, stopping and changing the set of queues. Runs under rtnl.
 */
#include <vrh/log.h>

#include <linux/cpumask.h>
#include <linux/mm.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <linux/virtio_ring.h>

#include "virtio_net_rh.h"

/* Smallest rings that work: one GSO packet of 64 KiB must fit. */
#define VNET_MIN_RX_RING	64
#define VNET_MIN_TX_RING	roundup_pow_of_two(VNET_TX_SG)

/**
 * vnet_alloc_queues() - allocate the queues, without virtqueues
 * @vn: device with max_pairs set
 *
 * Context: probe.
 * Return: 0 or -ENOMEM; vnet_free_queues() in both cases.
 */
int vnet_alloc_queues(struct vnet *vn)
{
	unsigned int i;

	vn->rxq = kvcalloc(vn->max_pairs, sizeof(*vn->rxq), GFP_KERNEL);
	vn->txq = kvcalloc(vn->max_pairs, sizeof(*vn->txq), GFP_KERNEL);
	if (!vn->rxq || !vn->txq)
		return -ENOMEM;
	for (i = 0; i < vn->max_pairs; i++) {
		struct vnet_rxq *rxq = &vn->rxq[i];
		struct vnet_txq *txq = &vn->txq[i];

		rxq->vn = vn;
		rxq->index = i;
		/* What sysfs shows until the first refill chooses. */
		rxq->slot = VNET_RX_SLOT_SMALL;
		snprintf(rxq->name, sizeof(rxq->name), "input.%u", i);
		txq->vn = vn;
		txq->index = i;
		txq->nq = netdev_get_tx_queue(vn->dev, i);
		snprintf(txq->name, sizeof(txq->name), "output.%u", i);
	}
	return 0;
}

/**
 * vnet_free_queues() - free the queues
 * @vn: device without virtqueues and NAPI instances
 */
void vnet_free_queues(struct vnet *vn)
{
	kvfree(vn->rxq);
	kvfree(vn->txq);
}

/**
 * vnet_queue_sizes() - note how large the rings are
 * @vn: device whose virtqueues were found or resized
 *
 * Context: rtnl or probe; queues are idle.
 */
void vnet_queue_sizes(struct vnet *vn)
{
	bool indirect = virtio_has_feature(vn->vdev, VIRTIO_RING_F_INDIRECT_DESC);
	unsigned int i;

	for (i = 0; i < vn->max_pairs; i++) {
		struct vnet_rxq *rxq = &vn->rxq[i];
		struct vnet_txq *txq = &vn->txq[i];

		rxq->ring = virtqueue_get_vring_size(rxq->vq);
		txq->ring = virtqueue_get_vring_size(txq->vq);
		/* A tiny ring is never stopped for a packet that cannot fit it. */
		txq->room = min_t(unsigned int, VNET_TX_SG, txq->ring);
		txq->pieces = indirect ? VNET_TX_SG : txq->room;
	}
}

/**
 * vnet_napi_add() - give every queue its NAPI instance
 * @vn: device whose queues are allocated
 * @weight: packets in a poll of a receive queue
 *
 * Context: process context, before the interface is registered.
 */
void vnet_napi_add(struct vnet *vn, int weight)
{
	unsigned int i;

	for (i = 0; i < vn->max_pairs; i++) {
		netif_napi_add_weight(vn->dev, &vn->rxq[i].napi, vnet_rx_poll, weight);
		netif_napi_add_tx(vn->dev, &vn->txq[i].napi, vnet_tx_poll);
	}
}

/**
 * vnet_napi_del() - take the NAPI instances away again
 * @vn: device whose interface is not, or no more, registered
 *
 * They live in the queues, and free_netdev() would look for them there.
 *
 * Context: process context; NAPI is disabled.
 */
void vnet_napi_del(struct vnet *vn)
{
	unsigned int i;

	/* One grace period for all; hundreds of them would take seconds. */
	for (i = 0; i < vn->max_pairs; i++) {
		__netif_napi_del(&vn->rxq[i].napi);
		__netif_napi_del(&vn->txq[i].napi);
	}
	synchronize_net();
}

/**
 * vnet_register() - show the interface to the stack
 * @vn: device in state VNET_READY
 *
 * Under one rtnl with the first spread: whoever changes the channels at once
 * must not be overwritten.
 *
 * Context: probe.
 * Return: as register_netdevice().
 */
int vnet_register(struct vnet *vn)
{
	int err;

	rtnl_lock();
	err = register_netdevice(vn->dev);
	if (!err)
		vnet_spread_queues(vn);
	rtnl_unlock();
	return err;
}

/* Fills and opens one receive queue. */
static void start_rx(struct vnet_rxq *rxq)
{
	if (!vnet_rx_fill(rxq, GFP_KERNEL))
		schedule_delayed_work(&rxq->vn->refill_work, 0);
	napi_enable(&rxq->napi);
	vnet_napi_kick(&rxq->napi, rxq->vq);
}

/**
 * vnet_start() - let packets flow
 * @vn: device in state VNET_READY; nothing happens in another
 *
 * NAPI is enabled on every queue that the device has, also on those that are
 * not in use: one that is taken out of use may still complete packets.
 *
 * Context: process context, rtnl.
 */
void vnet_start(struct vnet *vn)
{
	unsigned int i;

	if (vn->state != VNET_READY)
		return;
	vn->state = VNET_RUNNING;
	for (i = 0; i < vn->max_pairs; i++) {
		if (i < vn->pairs) {
			start_rx(&vn->rxq[i]);
		} else {
			napi_enable(&vn->rxq[i].napi);
			vnet_napi_kick(&vn->rxq[i].napi, vn->rxq[i].vq);
		}
		napi_enable(&vn->txq[i].napi);
		vnet_tx_restart(&vn->txq[i]);
	}
}

/**
 * vnet_stop() - stop the queues; buffers and unsent packets stay in the rings
 * @vn: device in state VNET_RUNNING; nothing happens in another
 *
 * Context: process context, rtnl.
 */
void vnet_stop(struct vnet *vn)
{
	unsigned int i;

	if (vn->state != VNET_RUNNING)
		return;
	/* The watchdog takes a queue that rests for one that hangs. */
	for (i = 0; i < vn->max_pairs; i++)
		txq_trans_cond_update(vn->txq[i].nq);
	/* First those that wake queues, then the queues, so that they stay down. */
	for (i = 0; i < vn->max_pairs; i++) {
		napi_disable(&vn->rxq[i].napi);
		napi_disable(&vn->txq[i].napi);
	}
	cancel_delayed_work_sync(&vn->refill_work);
	netif_tx_disable(vn->dev);
	for (i = 0; i < vn->max_pairs; i++)
		vnet_tx_drain(&vn->txq[i]);
	vn->state = VNET_READY;
}

/**
 * vnet_spread_queues() - tie each queue pair to its share of the CPUs
 * @vn: device with virtqueues
 *
 * A hint that is given at probe and when the number of pairs changes; what the
 * admin sets later stays, also when CPUs come and go.
 *
 * Context: process context, rtnl, may sleep.
 */
void vnet_spread_queues(struct vnet *vn)
{
	cpumask_var_t mask;
	unsigned int i, cpu, n, share;

	if (!zalloc_cpumask_var(&mask, GFP_KERNEL))
		return;
	/* Of more pairs than CPUs, several share one; none is left unused. */
	share = min(vn->pairs, num_online_cpus());
	for (i = 0; i < vn->pairs; i++) {
		cpumask_clear(mask);
		n = 0;
		for_each_online_cpu(cpu)
			if (n++ % share == i % share)
				cpumask_set_cpu(cpu, mask);
		/* A CPU that went away between the counts. */
		if (cpumask_empty(mask))
			continue;
		virtqueue_set_affinity(vn->rxq[i].vq, mask);
		virtqueue_set_affinity(vn->txq[i].vq, mask);
		netif_set_xps_queue(vn->dev, mask, i);
	}
	free_cpumask_var(mask);
}

static int set_real_queues(struct vnet *vn, unsigned int pairs)
{
	int err = netif_set_real_num_tx_queues(vn->dev, pairs);

	return err ?: netif_set_real_num_rx_queues(vn->dev, pairs);
}

/**
 * vnet_set_pairs() - change how many queue pairs are used
 * @vn: device
 * @pairs: 1 to vn->max_pairs
 *
 * Context: process context, rtnl.
 * Return: 0, or an error with everything as it was; but where fewer pairs were asked for
 * and the device may have obeyed, these stay: it did not answer (-ETIMEDOUT), or the
 * control virtqueue broke after the command was sent (-EIO).
 */
int vnet_set_pairs(struct vnet *vn, unsigned int pairs)
{
	unsigned int old = vn->pairs, i;
	bool unknown;
	int err;

	if (pairs == old)
		return 0;
	/* The stack lets go of queues before the device stops looking at them. */
	if (pairs < old) {
		err = set_real_queues(vn, pairs);
		if (err)
			return err;
	}
	/* And the device finds buffers in new queues when it begins to. */
	for (i = old; i < pairs && vn->state == VNET_RUNNING; i++) {
		napi_disable(&vn->rxq[i].napi);
		start_rx(&vn->rxq[i]);
	}
	err = vnet_ctrl_set_pairs(vn, pairs);
	unknown = err == -ETIMEDOUT || err == -EREMOTEIO;
	if (err == -EREMOTEIO)
		err = -EIO;
	/*
	 * Of a command without an answer nobody knows whether the device obeys. Fewer
	 * pairs are right in both cases, since NAPI serves all that there are; packets
	 * in queues that the device has given up would never be sent.
	 */
	if (err && !(unknown && pairs < old))
		goto restore;
	WRITE_ONCE(vn->pairs, pairs);
	if (pairs > old) {
		err = set_real_queues(vn, pairs);
		if (err)
			goto restore_device;
	}
	vnet_spread_queues(vn);
	return err;

restore_device:
	WRITE_ONCE(vn->pairs, old);
	vnet_ctrl_set_pairs(vn, old);
restore:
	set_real_queues(vn, old);
	return err;
}

/*
 * Of the errors of virtqueue_resize(), -ENOMEM leaves the old ring in working
 * order and the others here come before the queue is touched.
 */
static bool queue_works_after(int err)
{
	return err == -ENOMEM || err == -E2BIG || err == -EINVAL || err == -ENOENT || err == -EPERM;
}

static int resize(struct vnet *vn, struct virtqueue *vq, unsigned int num,
		  void (*recycle)(struct virtqueue *vq, void *buf))
{
	int err;

	if (virtqueue_get_vring_size(vq) == num)
		return 0;
	err = virtqueue_resize(vq, num, recycle, NULL);
	if (err && !queue_works_after(err)) {
		virtio_break_device(vn->vdev);
		vnet_report_broken(vn);
	}
	return err;
}

static int resize_all(struct vnet *vn, unsigned int rx, unsigned int tx)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < vn->max_pairs && !err; i++) {
		err = resize(vn, vn->rxq[i].vq, rx, vnet_rx_free_buf);
		if (err)
			break;
		err = resize(vn, vn->txq[i].vq, tx, vnet_tx_free_buf);
		/* Nothing is in flight in a ring that is new. */
		if (virtqueue_get_vring_size(vn->txq[i].vq) == vn->txq[i].vq->num_free)
			netdev_tx_reset_queue(vn->txq[i].nq);
	}
	vnet_queue_sizes(vn);
	return err;
}

/*
 * Can all rings have these sizes? Split rings come in powers of two, and the
 * device says for each queue how large it may be.
 */
static bool rings_ok(const struct vnet *vn, unsigned int rx, unsigned int tx)
{
	unsigned int i;

	if (rx < VNET_MIN_RX_RING || tx < VNET_MIN_TX_RING)
		return false;
	for (i = 0; i < vn->max_pairs; i++)
		if (rx > vn->rxq[i].vq->num_max || tx > vn->txq[i].vq->num_max)
			return false;
	return (is_power_of_2(rx) && is_power_of_2(tx)) ||
	       virtio_has_feature(vn->vdev, VIRTIO_F_RING_PACKED);
}

/**
 * vnet_set_rings() - change the sizes of the rings
 * @vn: device with VIRTIO_F_RING_RESET
 * @rx: descriptors of each receive ring
 * @tx: descriptors of each transmit ring
 *
 * Packets that wait in a transmit ring are dropped and counted. Without memory
 * for a new ring the queues keep, or go back to, the sizes they had.
 *
 * Context: process context, rtnl.
 * Return: 0; -EINVAL for a size that the device or the driver cannot have;
 * -ENOMEM; another error if the device did not take a queue back, which breaks
 * it.
 */
int vnet_set_rings(struct vnet *vn, unsigned int rx, unsigned int tx)
{
	bool running = vn->state == VNET_RUNNING;
	unsigned int old_rx = vn->rxq[0].ring, old_tx = vn->txq[0].ring;
	int err;

	if (!rings_ok(vn, rx, tx))
		return -EINVAL;

	vnet_stop(vn);
	err = resize_all(vn, rx, tx);
	if (err && queue_works_after(err))
		resize_all(vn, old_rx, old_tx);
	if (!err) {
		vn->rx_ring = rx;
		vn->tx_ring = tx;
	}
	if (running)
		vnet_start(vn);
	return err;
}

static int vnet_open(struct net_device *dev)
{
	struct vnet *vn = netdev_priv(dev);

	if (vn->state == VNET_GONE)
		return -ENODEV;
	vnet_start(vn);
	return 0;
}

static int vnet_close(struct net_device *dev)
{
	vnet_stop(netdev_priv(dev));
	return 0;
}

static int vnet_set_mac_address(struct net_device *dev, void *p)
{
	const struct sockaddr *addr = p;
	int err;

	err = eth_prepare_mac_addr_change(dev, p) ?:
	      vnet_ctrl_set_mac(netdev_priv(dev), addr->sa_data);
	if (!err)
		eth_commit_mac_addr_change(dev, p);
	return err;
}

/* Runs under the address lock, where nothing may sleep: leave it to a work. */
static void vnet_set_rx_mode(struct net_device *dev)
{
	struct vnet *vn = netdev_priv(dev);

	if (virtio_has_feature(vn->vdev, VIRTIO_NET_F_CTRL_RX))
		schedule_work(&vn->rx_mode_work);
}

static int vnet_vlan_add(struct net_device *dev, __be16 proto, u16 vid)
{
	struct vnet *vn = netdev_priv(dev);
	int err;

	err = vnet_ctrl_vlan(vn, vid, true);
	if (err)
		return err;
	__set_bit(vid, vn->vlans);
	return 0;
}

static int vnet_vlan_kill(struct net_device *dev, __be16 proto, u16 vid)
{
	struct vnet *vn = netdev_priv(dev);

	/* Whatever the device says, it is not put back after a reset. */
	__clear_bit(vid, vn->vlans);
	return vnet_ctrl_vlan(vn, vid, false);
}

static int vnet_set_features(struct net_device *dev, netdev_features_t features)
{
	struct vnet *vn = netdev_priv(dev);
	u64 offloads;
	int err;

	if (!((dev->features ^ features) & NETIF_F_GRO_HW))
		return 0;
	offloads = vn->offloads & ~VNET_GRO_HW_OFFLOADS;
	if (features & NETIF_F_GRO_HW)
		offloads |= vn->vdev->features & VNET_GRO_HW_OFFLOADS;
	err = vnet_ctrl_set_offloads(vn, offloads);
	if (err)
		return err;
	vn->offloads = offloads;
	return 0;
}

static void vnet_get_stats64(struct net_device *dev, struct rtnl_link_stats64 *tot)
{
	struct vnet *vn = netdev_priv(dev);
	u64 rx[VNET_RX_NSTATS], tx[VNET_TX_NSTATS];
	unsigned int i;

	for (i = 0; i < vn->max_pairs; i++) {
		vnet_read_rx_stats(&vn->rxq[i], rx);
		vnet_read_tx_stats(&vn->txq[i], tx);

		tot->rx_packets += rx[VNET_RX_PACKETS];
		tot->rx_bytes += rx[VNET_RX_BYTES];
		tot->rx_dropped += rx[VNET_RX_DROPS];
		tot->rx_length_errors += rx[VNET_RX_SHORT] + rx[VNET_RX_LONG];
		tot->rx_frame_errors += rx[VNET_RX_BAD_GSO_TYPE] + rx[VNET_RX_BAD_GSO_SIZE] +
					rx[VNET_RX_BAD_CSUM] + rx[VNET_RX_BAD_PROTO];
		tot->rx_missed_errors += rx[VNET_RX_MISSING] + rx[VNET_RX_BAD_NUMBUF];
		tot->tx_packets += tx[VNET_TX_PACKETS];
		tot->tx_bytes += tx[VNET_TX_BYTES];
		tot->tx_dropped += tx[VNET_TX_DROPS];
		tot->tx_errors += tx[VNET_TX_TIMEOUTS];
	}
	tot->rx_errors = tot->rx_length_errors + tot->rx_frame_errors + tot->rx_missed_errors;
}

static const struct net_device_ops vnet_netdev_ops = {
	.ndo_open		= vnet_open,
	.ndo_stop		= vnet_close,
	.ndo_start_xmit		= vnet_xmit,
	.ndo_validate_addr	= eth_validate_addr,
	.ndo_set_mac_address	= vnet_set_mac_address,
	.ndo_set_rx_mode	= vnet_set_rx_mode,
	.ndo_get_stats64	= vnet_get_stats64,
	.ndo_vlan_rx_add_vid	= vnet_vlan_add,
	.ndo_vlan_rx_kill_vid	= vnet_vlan_kill,
	.ndo_set_features	= vnet_set_features,
	.ndo_features_check	= passthru_features_check,
	.ndo_tx_timeout		= vnet_tx_timeout,
};

static void init_tx_offloads(struct vnet *vn)
{
	struct virtio_device *vdev = vn->vdev;
	struct net_device *dev = vn->dev;

	if (!virtio_has_feature(vdev, VIRTIO_NET_F_CSUM))
		return;
	dev->hw_features |= NETIF_F_HW_CSUM | NETIF_F_SG;
	if (virtio_has_feature(vdev, VIRTIO_NET_F_GSO))
		dev->hw_features |= NETIF_F_TSO | NETIF_F_TSO_ECN | NETIF_F_TSO6;
	if (virtio_has_feature(vdev, VIRTIO_NET_F_HOST_TSO4))
		dev->hw_features |= NETIF_F_TSO;
	if (virtio_has_feature(vdev, VIRTIO_NET_F_HOST_TSO6))
		dev->hw_features |= NETIF_F_TSO6;
	if (virtio_has_feature(vdev, VIRTIO_NET_F_HOST_ECN))
		dev->hw_features |= NETIF_F_TSO_ECN;
	/* A header from the host is fit to be sent to it. */
	dev->features |= NETIF_F_GSO_ROBUST;
	if (vnet_param_csum())
		dev->features |= NETIF_F_HW_CSUM | NETIF_F_SG;
	if (vnet_param_csum() && vnet_param_gso())
		dev->features |= dev->hw_features & NETIF_F_ALL_TSO;
}

static void init_rx_offloads(struct vnet *vn)
{
	struct virtio_device *vdev = vn->vdev;
	struct net_device *dev = vn->dev;

	vn->offloads = vdev->features & VNET_GUEST_OFFLOADS;
	if (virtio_has_feature(vdev, VIRTIO_NET_F_GUEST_CSUM)) {
		dev->features |= NETIF_F_RXCSUM;
		vn->hdr_allow |= VNET_ALLOW_CSUM;
	}
	if (virtio_has_feature(vdev, VIRTIO_NET_F_GUEST_TSO4))
		vn->hdr_allow |= VNET_ALLOW_TCP4;
	if (virtio_has_feature(vdev, VIRTIO_NET_F_GUEST_TSO6))
		vn->hdr_allow |= VNET_ALLOW_TCP6;
	if (virtio_has_feature(vdev, VIRTIO_NET_F_GUEST_ECN))
		vn->hdr_allow |= VNET_ALLOW_ECN;
	if (virtio_has_feature(vdev, VIRTIO_NET_F_GUEST_UFO))
		vn->hdr_allow |= VNET_ALLOW_UFO;
	if (vn->offloads & VNET_GRO_HW_OFFLOADS) {
		dev->features |= NETIF_F_GRO_HW;
		if (virtio_has_feature(vdev, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS))
			dev->hw_features |= NETIF_F_GRO_HW;
	}
}

/**
 * vnet_netdev_init() - everything about the interface that needs no virtqueue
 * @vn: device whose features are negotiated
 *
 * Context: probe.
 */
void vnet_netdev_init(struct vnet *vn)
{
	struct net_device *dev = vn->dev;

	SET_NETDEV_DEV(dev, &vn->vdev->dev);
	dev->netdev_ops = &vnet_netdev_ops;
	dev->ethtool_ops = &vnet_ethtool_ops;
	dev->priv_flags |= IFF_UNICAST_FLT | IFF_LIVE_ADDR_CHANGE | IFF_TX_SKB_NO_LINEAR;
	dev->features |= NETIF_F_HIGHDMA;
	dev->needed_headroom = vn->hdr_len;
	dev->min_mtu = ETH_MIN_MTU;
	dev->max_mtu = min_t(unsigned int, vnet_rx_max_mtu(vn->vdev), ETH_MAX_MTU);
	if (vn->mergeable)
		dev->sysfs_rx_queue_group = &vnet_rx_queue_group;

	init_tx_offloads(vn);
	init_rx_offloads(vn);
	dev->vlan_features = dev->features;
	if (virtio_has_feature(vn->vdev, VIRTIO_NET_F_CTRL_VLAN))
		dev->features |= NETIF_F_HW_VLAN_CTAG_FILTER;
	vnet_stats_init(vn);
}
