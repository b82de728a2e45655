// SPDX-License-Identifier: GPL-2.0-only
/*
 * Receive queues: buffers, the poll that turns them into packets, and the
 * refill. Whatever the device says about a buffer is checked here before a
 * byte of it is used; what is wrong is dropped and counted by its cause.
 */
#include <vrh/log.h>

#include <linux/sysfs.h>

#include "virtio_net_rh.h"

/*
 * The moving average of packet lengths gives each new packet this share: a
 * bulk transfer gets large buffers after its first GSO packet, and small
 * packets get small ones again within a poll or so.
 */
#define VNET_RX_AVG_SHARE	8

/*
 * Refill when this share of the ring has been used: one kick for 32 buffers
 * of a ring of 256, with seven eighths of it always posted.
 */
#define VNET_RX_REFILL_SHARE	8

/* How soon a queue that got no memory asks again. */
#define VNET_RX_STARVED_DELAY	(HZ / 10)

/**
 * vnet_rx_max_mtu() - largest MTU that one receive buffer can serve
 * @vdev: device whose features are known
 *
 * With MRG_RXBUF a packet takes as many buffers as it needs. Without, it must
 * fit one slot, and slots do not grow beyond a page.
 *
 * Return: bytes.
 */
unsigned int vnet_rx_max_mtu(struct virtio_device *vdev)
{
	if (virtio_has_feature(vdev, VIRTIO_NET_F_MRG_RXBUF))
		return ETH_MAX_MTU;
	return VNET_RX_CAPACITY(VNET_RX_SLOT_LARGE) - sizeof(struct virtio_net_hdr_v1) -
	       ETH_HLEN - VLAN_HLEN;
}

/* Chooses the size of the next buffers. */
static unsigned int choose_slot(const struct vnet_rxq *rxq)
{
	const struct vnet *vn = rxq->vn;
	unsigned int need = rxq->avg_len;

	if (!vn->mergeable)
		need = vn->dev->max_mtu + ETH_HLEN + VLAN_HLEN;
	if (vn->hdr_len + need <= VNET_RX_CAPACITY(VNET_RX_SLOT_SMALL))
		return VNET_RX_SLOT_SMALL;
	return VNET_RX_SLOT_LARGE;
}

static void *buf_alloc(struct vnet_rxq *rxq, gfp_t gfp)
{
	struct page_frag *frag = &rxq->frag;
	void *buf;

	if (!skb_page_frag_refill(rxq->slot, frag, gfp))
		return NULL;
	buf = page_address(frag->page) + frag->offset;
	get_page(frag->page);
	frag->offset += rxq->slot;
	return buf;
}

static void buf_free(void *buf)
{
	put_page(virt_to_head_page(buf));
}

/**
 * vnet_rx_free_buf() - free a buffer that the ring gave back unused
 * @vq: receive virtqueue, unused
 * @buf: buffer
 *
 * Context: any.
 */
void vnet_rx_free_buf(struct virtqueue *vq, void *buf)
{
	buf_free(buf);
}

/**
 * vnet_rx_release() - drop the page that buffers are cut from
 * @rxq: queue whose NAPI is disabled
 *
 * Context: process context.
 */
void vnet_rx_release(struct vnet_rxq *rxq)
{
	if (rxq->frag.page)
		put_page(rxq->frag.page);
	memset(&rxq->frag, 0, sizeof(rxq->frag));
}

/**
 * vnet_rx_fill() - post buffers until the ring is full
 * @rxq: queue; the caller owns it (its poll, or NAPI disabled)
 * @gfp: how to allocate
 *
 * Context: as @gfp allows.
 * Return: false if memory ran out; the caller must try again.
 */
bool vnet_rx_fill(struct vnet_rxq *rxq, gfp_t gfp)
{
	struct virtqueue *vq = rxq->vq;
	unsigned int n;
	bool ok = true;

	rxq->slot = choose_slot(rxq);
	/* The device's writes count into num_free; never loop on it alone. */
	for (n = 0; n < rxq->ring && vq->num_free; n++) {
		struct scatterlist sg;
		void *buf = buf_alloc(rxq, gfp);
		int err;

		if (!buf) {
			vnet_rx_count(rxq, VNET_RX_ALLOC_FAIL, 1);
			ok = false;
			break;
		}
		sg_init_one(&sg, buf + VNET_RX_HEADROOM, VNET_RX_CAPACITY(rxq->slot));
		err = virtqueue_add_inbuf_ctx(vq, &sg, 1, buf, (void *)(unsigned long)rxq->slot,
					      gfp);
		if (err) {
			buf_free(buf);
			/* A broken ring stays broken; else it could not be mapped. */
			ok = virtqueue_is_broken(vq);
			if (ok)
				vnet_report_broken(rxq->vn);
			break;
		}
	}
	rxq->starved = !ok;
	if (n && virtqueue_kick_prepare(vq) && virtqueue_notify(vq))
		vnet_rx_count(rxq, VNET_RX_KICKS, 1);
	return ok;
}

/**
 * vnet_rx_refill_work() - poll the queues that got no memory once more
 * @work: vnet.refill_work
 *
 * The poll itself refills, so that no queue is touched from two sides.
 *
 * Context: workqueue; cancelled before NAPI is disabled for good.
 */
void vnet_rx_refill_work(struct work_struct *work)
{
	struct vnet *vn = container_of(to_delayed_work(work), struct vnet, refill_work);
	unsigned int i;

	for (i = 0; i < vn->max_pairs; i++)
		if (READ_ONCE(vn->rxq[i].starved))
			vnet_napi_kick(&vn->rxq[i].napi, vn->rxq[i].vq);
}

/* Throws away the buffers of a packet that is being dropped. */
static void discard(struct vnet_rxq *rxq, unsigned int n)
{
	unsigned int len;
	void *buf;

	while (n--) {
		buf = virtqueue_get_buf(rxq->vq, &len);
		if (!buf)
			return;
		buf_free(buf);
	}
}

/* Drops one packet, of which @more buffers are still in the ring. */
static void drop(struct vnet_rxq *rxq, enum vnet_rx_stat why, unsigned int more)
{
	vnet_rx_count(rxq, VNET_RX_DROPS, 1);
	vnet_rx_count(rxq, why, 1);
	discard(rxq, more);
}

/*
 * Adds a buffer of @len bytes to the packet. When the fragments of one skb are
 * used up, the packet goes on in a list of skbs behind it.
 */
static bool append(struct vnet_rxq *rxq, struct sk_buff *head, struct sk_buff **tail,
		   void *buf, unsigned int len, unsigned int slot)
{
	struct page *page = virt_to_head_page(buf);
	unsigned int offset = buf + VNET_RX_HEADROOM - page_address(page);
	struct sk_buff *skb = *tail;

	if (skb_shinfo(skb)->nr_frags == MAX_SKB_FRAGS) {
		struct sk_buff *next = napi_alloc_skb(&rxq->napi, 0);

		if (!next)
			return false;
		if (skb == head)
			skb_shinfo(skb)->frag_list = next;
		else
			skb->next = next;
		head->truesize += next->truesize;
		*tail = next;
		skb = next;
	}
	if (skb != head) {
		head->len += len;
		head->data_len += len;
		head->truesize += slot;
	}
	skb_add_rx_frag(skb, skb_shinfo(skb)->nr_frags, page, offset, len, slot);
	return true;
}

/*
 * Collects the @more buffers that belong to the packet after its first. On
 * failure all of them are gone and counted; the caller frees the skb.
 */
static bool collect(struct vnet_rxq *rxq, struct sk_buff *skb, unsigned int more)
{
	struct sk_buff *tail = skb;

	while (more) {
		enum vnet_rx_stat why = VNET_RX_LONG;
		unsigned int len, slot;
		void *ctx, *buf;

		buf = virtqueue_get_buf_ctx(rxq->vq, &len, &ctx);
		if (!buf) {
			drop(rxq, VNET_RX_MISSING, 0);
			return false;
		}
		more--;
		slot = (unsigned long)ctx;
		if (!len) {
			/* A fragment of nothing is more than some of the stack can take. */
			why = VNET_RX_SHORT;
		} else if (len <= VNET_RX_CAPACITY(slot) && skb->len + len <= VNET_RX_MAX_FRAME) {
			if (append(rxq, skb, &tail, buf, len, slot))
				continue;
			why = VNET_RX_ALLOC_FAIL;
		}
		buf_free(buf);
		drop(rxq, why, more);
		return false;
	}
	return true;
}

static enum vnet_rx_stat stat_of(enum vnet_hdr_error err)
{
	switch (err) {
	case VNET_HDR_BAD_GSO_TYPE:
		return VNET_RX_BAD_GSO_TYPE;
	case VNET_HDR_BAD_GSO_SIZE:
		return VNET_RX_BAD_GSO_SIZE;
	case VNET_HDR_BAD_CSUM:
		return VNET_RX_BAD_CSUM;
	case VNET_HDR_BAD_PROTO:
	case VNET_HDR_OK:
		break;
	}
	return VNET_RX_BAD_PROTO;
}

static unsigned int skb_gso_of(const struct vnet_hdr_verdict *v)
{
	/* The device is not trusted to have cut the packet right. */
	unsigned int type = SKB_GSO_DODGY | (v->ecn ? SKB_GSO_TCP_ECN : 0);

	switch (v->gso) {
	case VNET_GSO_TCP4:
		return type | SKB_GSO_TCPV4;
	case VNET_GSO_TCP6:
		return type | SKB_GSO_TCPV6;
	case VNET_GSO_UFO:
		return type | SKB_GSO_UDP;
	case VNET_GSO_USO:
		return type | SKB_GSO_UDP_L4;
	case VNET_GSO_NONE:
		break;
	}
	return 0;
}

/*
 * Carries over what the header says about checksum and segmentation. The skb
 * still begins with its Ethernet header.
 */
static enum vnet_hdr_error apply_header(struct vnet *vn, struct sk_buff *skb,
					const struct virtio_net_hdr_v1 *wire)
{
	struct vnet_hdr_verdict v;
	const struct vnet_hdr hdr = {
		.flags = wire->flags,
		.gso_type = wire->gso_type,
		.gso_size = virtio16_to_cpu(vn->vdev, wire->gso_size),
		.csum_start = virtio16_to_cpu(vn->vdev, wire->csum_start),
		.csum_offset = virtio16_to_cpu(vn->vdev, wire->csum_offset),
	};
	enum vnet_hdr_error err;

	err = vnet_hdr_check(&hdr, skb->len, vn->hdr_allow, &v);
	if (err)
		return err;
	if (v.pull && !pskb_may_pull(skb, v.pull))
		return VNET_HDR_BAD_CSUM;
	if (v.find) {
		err = vnet_hdr_find_transport(skb->data, skb_headlen(skb), skb->len, &v);
		if (err)
			return err;
	}

	if (v.csum == VNET_CSUM_PARTIAL) {
		if (!skb_partial_csum_set(skb, v.csum_start, v.csum_offset))
			return VNET_HDR_BAD_CSUM;
	} else if (v.csum == VNET_CSUM_VALID) {
		skb->ip_summed = CHECKSUM_UNNECESSARY;
	}
	if (v.gso != VNET_GSO_NONE) {
		skb_set_transport_header(skb, v.transport);
		skb_shinfo(skb)->gso_size = v.gso_size;
		skb_shinfo(skb)->gso_type = skb_gso_of(&v);
		skb_shinfo(skb)->gso_segs = 0;	/* DODGY: the stack counts */
	}
	return VNET_HDR_OK;
}

/* Hands a complete packet, header cut off, to the stack, or frees it. */
static bool deliver(struct vnet_rxq *rxq, struct sk_buff *skb,
		    const struct virtio_net_hdr_v1 *wire)
{
	struct vnet *vn = rxq->vn;
	enum vnet_hdr_error err;

	if (skb->len < ETH_HLEN || !pskb_may_pull(skb, ETH_HLEN)) {
		drop(rxq, VNET_RX_SHORT, 0);
		goto free;
	}
	err = apply_header(vn, skb, wire);
	if (err) {
		drop(rxq, stat_of(err), 0);
		goto free;
	}
	/* RPS warns of a queue that is not in use; the device may use it all the same. */
	if (likely(rxq->index < READ_ONCE(vn->dev->real_num_rx_queues)))
		skb_record_rx_queue(skb, rxq->index);
	skb->protocol = eth_type_trans(skb, vn->dev);
	napi_gro_receive(&rxq->napi, skb);
	return true;

free:
	dev_kfree_skb_any(skb);
	return false;
}

/*
 * Turns a used buffer, and those that follow if the packet has more, into an
 * skb. @len is what the device says it wrote. Returns the bytes of the packet,
 * 0 if it was dropped.
 */
static unsigned int receive(struct vnet_rxq *rxq, void *buf, unsigned int len, unsigned int slot)
{
	struct vnet *vn = rxq->vn;
	struct virtio_net_hdr_v1 hdr;
	unsigned int buffers = 1, bytes;
	struct sk_buff *skb;

	if (len < vn->hdr_len) {
		drop(rxq, VNET_RX_SHORT, 0);
		goto free;
	}
	/*
	 * One copy, and only the copy is looked at: the device may still write
	 * to the buffer. The barrier keeps the compiler from reading it again.
	 */
	memcpy(&hdr, buf + VNET_RX_HEADROOM, vn->hdr_len);
	barrier();

	if (vn->mergeable) {
		buffers = virtio16_to_cpu(vn->vdev, hdr.num_buffers);
		if (!buffers || buffers > rxq->ring) {
			drop(rxq, VNET_RX_BAD_NUMBUF, 0);
			goto free;
		}
	}
	if (len > VNET_RX_CAPACITY(slot)) {
		drop(rxq, VNET_RX_LONG, buffers - 1);
		goto free;
	}
	skb = napi_build_skb(buf, slot);
	if (unlikely(!skb)) {
		drop(rxq, VNET_RX_ALLOC_FAIL, buffers - 1);
		goto free;
	}
	skb_reserve(skb, VNET_RX_HEADROOM + vn->hdr_len);
	skb_put(skb, len - vn->hdr_len);
	if (buffers > 1 && !collect(rxq, skb, buffers - 1)) {
		dev_kfree_skb_any(skb);
		return 0;
	}
	bytes = skb->len;
	rxq->avg_len += (int)(bytes - rxq->avg_len) / VNET_RX_AVG_SHARE;
	return deliver(rxq, skb, &hdr) ? bytes : 0;

free:
	buf_free(buf);
	return 0;
}

/**
 * vnet_rx_done() - the device used receive buffers
 * @vq: receive virtqueue
 *
 * Context: interrupt; may come before the interface is up, when NAPI is
 * disabled and ignores it.
 */
void vnet_rx_done(struct virtqueue *vq)
{
	struct vnet *vn = vq->vdev->priv;

	vnet_napi_schedule(&vn->rxq[vq->index / 2].napi, vq);
}

static unsigned int rx_burst(struct vnet_rxq *rxq, unsigned int budget)
{
	unsigned int done, len, size, packets = 0, bytes = 0;
	unsigned long flags;
	void *ctx, *buf;

	for (done = 0; done < budget; done++) {
		buf = virtqueue_get_buf_ctx(rxq->vq, &len, &ctx);
		if (!buf)
			break;
		size = receive(rxq, buf, len, (unsigned long)ctx);
		packets += !!size;
		bytes += size;
	}
	if (packets) {
		flags = u64_stats_update_begin_irqsave(&rxq->syncp);
		u64_stats_add(&rxq->stat[VNET_RX_PACKETS], packets);
		u64_stats_add(&rxq->stat[VNET_RX_BYTES], bytes);
		u64_stats_update_end_irqrestore(&rxq->syncp, flags);
	}
	return done;
}

/**
 * vnet_rx_poll() - NAPI poll of a receive queue
 * @napi: of a struct vnet_rxq
 * @budget: packets at most; 0 from netpoll, which wants sent packets freed
 *
 * Context: softirq.
 * Return: used buffers handled.
 */
int vnet_rx_poll(struct napi_struct *napi, int budget)
{
	struct vnet_rxq *rxq = container_of(napi, struct vnet_rxq, napi);
	struct vnet *vn = rxq->vn;
	struct virtqueue *vq = rxq->vq;
	unsigned int opaque;
	int done;

	vnet_tx_try_clean(&vn->txq[rxq->index], budget);
	if (!budget)
		return 0;

	done = rx_burst(rxq, budget);
	if (vq->num_free > rxq->ring / VNET_RX_REFILL_SHARE || rxq->starved)
		if (!vnet_rx_fill(rxq, GFP_ATOMIC | __GFP_NOWARN))
			schedule_delayed_work(&vn->refill_work, VNET_RX_STARVED_DELAY);
	if (done == budget)
		return done;
	/* It may break while the ring is full, and no refill would ever meet it. */
	if (unlikely(virtqueue_is_broken(vq)))
		vnet_report_broken(vn);

	/*
	 * Interrupts first, the end of the poll second, the last look third: a
	 * buffer that is used in between is seen by one of them.
	 */
	opaque = virtqueue_enable_cb_prepare(vq);
	if (!napi_complete_done(napi, done))
		virtqueue_disable_cb(vq);
	else if (unlikely(virtqueue_poll(vq, opaque)))
		vnet_napi_schedule(napi, vq);
	return done;
}

static ssize_t mergeable_rx_buffer_size_show(struct netdev_rx_queue *queue, char *buf)
{
	struct vnet *vn = netdev_priv(queue->dev);
	unsigned int i = get_netdev_rx_queue_index(queue);

	return sysfs_emit(buf, "%lu\n",
			  VNET_RX_CAPACITY((unsigned long)READ_ONCE(vn->rxq[i].slot)));
}

static struct rx_queue_attribute mergeable_rx_buffer_size_attribute =
	__ATTR_RO(mergeable_rx_buffer_size);

static struct attribute *vnet_rx_queue_attrs[] = {
	&mergeable_rx_buffer_size_attribute.attr,
	NULL
};

/* Where the in-tree driver has it: queues/rx-N/virtio_net/ */
const struct attribute_group vnet_rx_queue_group = {
	.name = "virtio_net",
	.attrs = vnet_rx_queue_attrs,
};
