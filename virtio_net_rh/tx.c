// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transmit queues: packets to descriptors, and sent packets back to their
 * owners. All of it runs under the transmit lock of the queue, which the stack
 * takes for the transmit and this file for the reclaim.
 */
#include <vrh/log.h>

#include <linux/tcp.h>
#include <net/dst.h>
#include <net/tcp.h>

#include "virtio_net_rh.h"

/**
 * struct vnet_tx_cb - the driver's part of an skb that is being sent
 * @hdr: header of a packet that has no headroom for it
 */
struct vnet_tx_cb {
	struct virtio_net_hdr_v1 hdr;
};

static_assert(sizeof(struct vnet_tx_cb) <= sizeof_field(struct sk_buff, cb));
static_assert(sizeof(struct virtio_net_hdr_v1) == 12);

/* Writes the header of @skb; false if the packet cannot be described. */
static bool fill_header(const struct vnet *vn, const struct sk_buff *skb,
			struct virtio_net_hdr_v1 *hdr)
{
	const struct skb_shared_info *info = skb_shinfo(skb);
	unsigned int transport;

	/* All of it, so that nothing of the guest's memory leaks. */
	memset(hdr, 0, vn->hdr_len);

	if (skb->ip_summed == CHECKSUM_PARTIAL) {
		hdr->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		hdr->csum_start = cpu_to_virtio16(vn->vdev, skb_checksum_start_offset(skb));
		hdr->csum_offset = cpu_to_virtio16(vn->vdev, skb->csum_offset);
	}
	if (!skb_is_gso(skb))
		return true;

	if (info->gso_type & SKB_GSO_TCPV4)
		hdr->gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	else if (info->gso_type & SKB_GSO_TCPV6)
		hdr->gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
	else
		return false;
	if (info->gso_type & SKB_GSO_TCP_ECN)
		hdr->gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	hdr->gso_size = cpu_to_virtio16(vn->vdev, info->gso_size);
	transport = skb_transport_offset(skb) + tcp_hdrlen(skb);
	hdr->hdr_len = cpu_to_virtio16(vn->vdev, transport);
	return true;
}

/*
 * Fills txq->sg with header and packet. Where there is room the header goes
 * right before the packet, in the same descriptor. Returns the number of
 * pieces, or a negative error.
 */
static int map_packet(struct vnet_txq *txq, struct sk_buff *skb)
{
	const struct vnet *vn = txq->vn;
	struct vnet_tx_cb *cb = (struct vnet_tx_cb *)skb->cb;
	struct virtio_net_hdr_v1 *hdr = (void *)(skb->data - vn->hdr_len);
	int n;

	if (vn->any_layout && !skb_header_cloned(skb) && skb_headroom(skb) >= vn->hdr_len &&
	    IS_ALIGNED((unsigned long)hdr, __alignof__(*hdr))) {
		if (!fill_header(vn, skb, hdr))
			return -EINVAL;
		sg_init_table(txq->sg, skb_shinfo(skb)->nr_frags + 1);
		__skb_push(skb, vn->hdr_len);
		n = skb_to_sgvec(skb, txq->sg, 0, skb->len);
		__skb_pull(skb, vn->hdr_len);
		return n;
	}

	if (!fill_header(vn, skb, &cb->hdr))
		return -EINVAL;
	sg_init_table(txq->sg, skb_shinfo(skb)->nr_frags + 2);
	sg_set_buf(txq->sg, &cb->hdr, vn->hdr_len);
	n = skb_to_sgvec(skb, txq->sg + 1, 0, skb->len);
	return n < 0 ? n : n + 1;
}

/* Adds the @n pieces in txq->sg to the ring. */
static int add_pieces(struct vnet_txq *txq, struct sk_buff *skb, unsigned int n)
{
	/* Of more pieces than the ring can take the core would warn. */
	if (unlikely(n > txq->pieces))
		return -ENOSPC;
	return virtqueue_add_outbuf(txq->vq, txq->sg, n, skb, GFP_ATOMIC);
}

/*
 * Copies a packet so that it takes as few pieces as there can be: one, and another for the
 * header if that must not lie before it. A header that is shared, as while tcpdump looks at
 * all packets, becomes the packet's own, and gets its room there.
 */
static int compact(struct vnet_txq *txq, struct sk_buff *skb)
{
	/* pktgen sends one packet again and again: it must stay where it is. */
	if (skb_shared(skb))
		return -ENOSPC;
	if (skb_linearize(skb))
		return -ENOMEM;
	if (txq->vn->any_layout && skb_cow_head(skb, txq->vn->hdr_len))
		return -ENOMEM;
	vnet_tx_count(txq, VNET_TX_LINEARIZED, 1);
	return 0;
}

/* Gives a packet to the device. */
static int post(struct vnet_txq *txq, struct sk_buff *skb)
{
	int least = txq->vn->any_layout ? 1 : 2;
	int n, err;

	/* What user space lent must be back soon; see disown(). */
	if (!txq->vn->napi_tx && skb_orphan_frags(skb, GFP_ATOMIC))
		return -ENOMEM;
	n = map_packet(txq, skb);
	if (n < 0)
		return n;
	err = add_pieces(txq, skb, n);
	if (likely(err != -ENOSPC) || n <= least)
		return err;

	err = compact(txq, skb);
	if (err)
		return err;
	n = map_packet(txq, skb);
	return n < 0 ? n : add_pieces(txq, skb, n);
}

/*
 * Frees what the device has sent. @budget as napi_consume_skb() wants it: 0
 * outside of a NAPI poll.
 */
static void reclaim(struct vnet_txq *txq, int budget)
{
	unsigned int len, n, packets = 0, bytes = 0;
	struct sk_buff *skb;
	unsigned long flags;

	for (n = 0; n < txq->ring; n++) {
		skb = virtqueue_get_buf(txq->vq, &len);
		if (!skb)
			break;
		packets++;
		bytes += skb->len;
		napi_consume_skb(skb, budget);
	}
	if (!packets)
		return;

	if (txq->vn->napi_tx)
		netdev_tx_completed_queue(txq->nq, packets, bytes);
	flags = u64_stats_update_begin_irqsave(&txq->syncp);
	u64_stats_add(&txq->stat[VNET_TX_PACKETS], packets);
	u64_stats_add(&txq->stat[VNET_TX_BYTES], bytes);
	u64_stats_update_end_irqrestore(&txq->syncp, flags);
}

/*
 * With napi_tx=0 no interrupt says when a packet was sent, and it may stay in
 * the ring until the next one comes. So all that would wait for it, or go away
 * under it, is let go of when it is sent: socket, route, connection.
 */
static void disown(struct sk_buff *skb)
{
	skb_orphan(skb);
	skb_dst_drop(skb);
	nf_reset_ct(skb);
}

/*
 * Books a packet that was posted. A byte queue limit needs completions in time,
 * so there is none with napi_tx=0. Returns whether it is time for a kick.
 */
static bool book(struct vnet_txq *txq, struct sk_buff *skb, unsigned int bytes, bool more)
{
	if (likely(txq->vn->napi_tx))
		return __netdev_tx_sent_queue(txq->nq, bytes, more);
	disown(skb);
	return !more;
}

static void wake_if_room(struct vnet_txq *txq)
{
	if (netif_tx_queue_stopped(txq->nq) && txq->vq->num_free >= txq->room) {
		vnet_tx_count(txq, VNET_TX_WAKE, 1);
		netif_tx_wake_queue(txq->nq);
	}
}

/* Stops the queue before a packet comes that would not fit. */
static void stop_if_full(struct vnet_txq *txq)
{
	if (likely(txq->vq->num_free >= txq->room))
		return;
	netif_tx_stop_queue(txq->nq);
	vnet_tx_count(txq, VNET_TX_STOP, 1);
	/*
	 * From here the interrupt wakes it. If enough was sent before the
	 * interrupt was asked for, there will be none.
	 */
	if (unlikely(!virtqueue_enable_cb_delayed(txq->vq))) {
		reclaim(txq, 0);
		wake_if_room(txq);
		vnet_napi_schedule(&txq->napi, txq->vq);
	}
}

/**
 * vnet_xmit() - ndo_start_xmit
 * @skb: packet
 * @dev: interface
 *
 * Context: softirq or BH disabled, transmit lock held.
 * Return: NETDEV_TX_OK; what cannot be sent is dropped and counted.
 */
netdev_tx_t vnet_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct vnet *vn = netdev_priv(dev);
	struct vnet_txq *txq = &vn->txq[skb_get_queue_mapping(skb)];
	bool more = netdev_xmit_more();
	unsigned int bytes = skb->len;
	bool kick;
	int err;

	virtqueue_disable_cb(txq->vq);
	reclaim(txq, 0);

	skb_tx_timestamp(skb);
	err = post(txq, skb);
	if (unlikely(err)) {
		vnet_tx_count(txq, VNET_TX_DROPS, 1);
		if (virtqueue_is_broken(txq->vq))
			vnet_report_broken(vn);
		dev_kfree_skb_any(skb);
		/* Packets before this one may still wait for their kick. */
		kick = !more;
	} else {
		kick = book(txq, skb, bytes, more);
		stop_if_full(txq);
		kick |= netif_xmit_stopped(txq->nq);
	}
	if (!kick)
		return NETDEV_TX_OK;

	if (virtqueue_kick_prepare(txq->vq) && virtqueue_notify(txq->vq))
		vnet_tx_count(txq, VNET_TX_KICKS, 1);
	/* Without, stop_if_full() has asked for the only interrupt that is wanted. */
	if (!vn->napi_tx)
		return NETDEV_TX_OK;
	/* Much is done already, and no interrupt will tell: poll. */
	if (unlikely(!virtqueue_enable_cb_delayed(txq->vq)))
		vnet_napi_schedule(&txq->napi, txq->vq);
	return NETDEV_TX_OK;
}

/**
 * vnet_tx_done() - the device sent packets
 * @vq: transmit virtqueue
 *
 * Context: interrupt; may come before the interface is up, when NAPI is
 * disabled and ignores it.
 */
void vnet_tx_done(struct virtqueue *vq)
{
	struct vnet *vn = vq->vdev->priv;

	vnet_napi_schedule(&vn->txq[vq->index / 2].napi, vq);
}

/**
 * vnet_tx_poll() - NAPI poll of a transmit queue
 * @napi: of a struct vnet_txq
 * @budget: 0 from netpoll
 *
 * netpoll comes also when nobody scheduled NAPI, and perhaps in a message of
 * somebody who holds the lock of the queue on this CPU. So it gets a reclaim
 * if the lock is free, and the callbacks stay as they are: if they were turned
 * off here, no poll would follow that turns them on.
 *
 * Context: softirq.
 * Return: 0; a reclaim is not counted against the budget.
 */
int vnet_tx_poll(struct napi_struct *napi, int budget)
{
	struct vnet_txq *txq = container_of(napi, struct vnet_txq, napi);
	struct virtqueue *vq = txq->vq;
	unsigned int opaque;
	bool done;

	if (!budget) {
		vnet_tx_try_clean(txq, 0);
		return 0;
	}

	__netif_tx_lock(txq->nq, raw_smp_processor_id());
	virtqueue_disable_cb(vq);
	reclaim(txq, budget);
	wake_if_room(txq);
	opaque = virtqueue_enable_cb_prepare(vq);
	done = napi_complete_done(napi, 0);
	if (!done)
		virtqueue_disable_cb(vq);
	__netif_tx_unlock(txq->nq);

	if (done && unlikely(virtqueue_poll(vq, opaque)))
		vnet_napi_schedule(napi, vq);
	return 0;
}

/**
 * vnet_tx_try_clean() - reclaim while the receive queue is polled anyway
 * @txq: the other half of the pair
 * @budget: of the poll
 *
 * An answer often arrives with the completion of its question; this saves the
 * second poll. If somebody is sending, that one reclaims.
 *
 * Context: softirq, or netpoll with a budget of 0.
 */
void vnet_tx_try_clean(struct vnet_txq *txq, int budget)
{
	if (txq->index >= READ_ONCE(txq->vn->pairs) || !__netif_tx_trylock(txq->nq))
		return;
	reclaim(txq, budget);
	wake_if_room(txq);
	__netif_tx_unlock(txq->nq);
}

/**
 * vnet_tx_restart() - let the stack send again
 * @txq: queue whose NAPI is enabled
 *
 * Context: process context.
 */
void vnet_tx_restart(struct vnet_txq *txq)
{
	__netif_tx_lock_bh(txq->nq);
	/* What was sent before the stop may still fill the ring. */
	reclaim(txq, 0);
	if (txq->vq->num_free >= txq->room)
		netif_tx_wake_queue(txq->nq);
	__netif_tx_unlock_bh(txq->nq);
	vnet_napi_kick(&txq->napi, txq->vq);
}

/**
 * vnet_tx_drain() - free what was sent before the interface stopped
 * @txq: queue whose NAPI is disabled
 *
 * What the device still has stays with it until the next start or reset.
 *
 * Context: process context.
 */
void vnet_tx_drain(struct vnet_txq *txq)
{
	__netif_tx_lock_bh(txq->nq);
	reclaim(txq, 0);
	__netif_tx_unlock_bh(txq->nq);
}

/**
 * vnet_tx_free_buf() - free a packet that the ring gave back unsent
 * @vq: transmit virtqueue, unused
 * @buf: skb
 *
 * The caller resets the byte queue limit of the queue afterwards.
 *
 * Context: process context.
 */
void vnet_tx_free_buf(struct virtqueue *vq, void *buf)
{
	struct vnet *vn = vq->vdev->priv;

	vnet_tx_count(&vn->txq[vq->index / 2], VNET_TX_DROPS, 1);
	dev_kfree_skb_any(buf);
}

/**
 * vnet_tx_timeout() - ndo_tx_timeout: the device has stopped sending
 * @dev: interface
 * @queue: number of the transmit queue
 *
 * Or it has sent, and its interrupt got lost: then the poll that starts here finds that out.
 *
 * Context: softirq, once per watchdog period.
 */
void vnet_tx_timeout(struct net_device *dev, unsigned int queue)
{
	struct vnet *vn = netdev_priv(dev);
	struct vnet_txq *txq = &vn->txq[queue];

	vnet_tx_count(txq, VNET_TX_TIMEOUTS, 1);
	netdev_err(dev, "tx queue %u (%s) has been stuck for %u ms, %u of %u descriptors free%s\n",
		   queue, txq->vq->name,
		   jiffies_to_msecs(jiffies - READ_ONCE(txq->nq->trans_start)),
		   txq->vq->num_free, txq->ring,
		   virtqueue_is_broken(txq->vq) ? ", virtqueue broken" : "");
	if (virtqueue_is_broken(txq->vq))
		vnet_report_broken(vn);
	else
		vnet_napi_schedule(&txq->napi, txq->vq);
}
