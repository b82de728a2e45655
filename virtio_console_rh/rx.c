// SPDX-License-Identifier: GPL-2.0-only
/*
 * The receive queue of a port: posts buffers, takes filled ones and hands their
 * bytes to a reader or to the console. It wakes readers but never waits, and it
 * knows nothing of files.
 */
#include <vrh/log.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/uio.h>

#include "virtio_console_rh.h"

/*
 * A page, as in the in-tree driver: QEMU puts what one read() of its character
 * device returned, at most 4 KiB, into a buffer of its own, so that larger
 * buffers would stay mostly empty.
 */
#define VCON_RX_BUF_SIZE 4096

/*
 * Buffers of a port, whatever size of ring the device names: twice what QEMU's
 * has. A ring of 32768 would take 128 MiB for each port.
 */
#define VCON_RX_BUFS_MAX 256U

static void vcon_rx_buf_free(struct vcon_rx_buf *buf)
{
	kfree(buf->data);
	kfree(buf);
}

static struct vcon_rx_buf *vcon_rx_buf_alloc(void)
{
	struct vcon_rx_buf *buf = kzalloc(sizeof(*buf), GFP_KERNEL);

	if (!buf)
		return NULL;
	/* A device may claim bytes that it did not write: not those of the kernel. */
	buf->data = kzalloc(VCON_RX_BUF_SIZE, GFP_KERNEL);
	if (!buf->data) {
		kfree(buf);
		return NULL;
	}
	return buf;
}

/* Gives a buffer to the device. False: the queue did not take it. */
static bool vcon_rx_post(struct vcon_rx *rx, struct vcon_rx_buf *buf)
{
	struct scatterlist sg;

	lockdep_assert_held(&rx->lock);
	if (!rx->vq)
		return false;
	sg_init_one(&sg, buf->data, VCON_RX_BUF_SIZE);
	return !virtqueue_add_inbuf(rx->vq, &sg, 1, buf, GFP_ATOMIC);
}

/* Gives a buffer back to the device once its bytes are no longer wanted. */
static void vcon_rx_repost(struct vcon_rx *rx, struct vcon_rx_buf *buf)
{
	if (vcon_rx_post(rx, buf))
		return;
	/*
	 * Without a queue there is nothing to lose. With one, it is broken, or
	 * full: a buffer left by a port of the same number came back meanwhile.
	 */
	if (rx->vq && virtqueue_is_broken(rx->vq))
		rx->lost++;
	vcon_rx_buf_free(buf);
}

/* Bounds what the device says of a buffer. False: there is nothing in it. */
static bool vcon_rx_accept(struct vcon_rx *rx, struct vcon_rx_buf *buf, unsigned int len)
{
	if (len > VCON_RX_BUF_SIZE) {
		rx->clamped++;
		len = VCON_RX_BUF_SIZE;
	}
	if (!len) {
		rx->empty++;
		return false;
	}
	buf->len = len;
	buf->off = 0;
	rx->bytes += len;
	return true;
}

/* Takes one buffer with bytes in it from the device. */
static struct vcon_rx_buf *vcon_rx_take(struct vcon_rx *rx)
{
	struct vcon_rx_buf *buf;
	unsigned int budget;
	unsigned int len;

	lockdep_assert_held(&rx->lock);
	if (!rx->vq)
		return NULL;

	/*
	 * Empty buffers go straight back. A device that returned them at once,
	 * again and again, would keep us here: one round of the ring is enough.
	 */
	for (budget = virtqueue_get_vring_size(rx->vq); budget; budget--) {
		buf = virtqueue_get_buf(rx->vq, &len);
		if (!buf)
			return NULL;
		if (vcon_rx_accept(rx, buf, len))
			return buf;
		vcon_rx_repost(rx, buf);
	}
	return NULL;
}

/* The oldest buffer with unread bytes, or NULL. */
static struct vcon_rx_buf *vcon_rx_front(struct vcon_rx *rx)
{
	struct vcon_rx_buf *buf;

	lockdep_assert_held(&rx->lock);
	buf = list_first_entry_or_null(&rx->filled, struct vcon_rx_buf, node);
	if (buf)
		return buf;
	buf = vcon_rx_take(rx);
	if (buf)
		list_add_tail(&buf->node, &rx->filled);
	return buf;
}

static void vcon_rx_discard_locked(struct vcon_rx *rx)
{
	struct vcon_rx_buf *buf;
	unsigned int budget;

	lockdep_assert_held(&rx->lock);
	list_for_each_entry(buf, &rx->filled, node)
		rx->discarded += buf->len - buf->off;
	while ((buf = list_first_entry_or_null(&rx->filled, struct vcon_rx_buf, node))) {
		list_del(&buf->node);
		vcon_rx_repost(rx, buf);
	}
	if (!rx->vq)
		return;

	/* One round of the ring: the device may refill it as fast as we empty it. */
	for (budget = virtqueue_get_vring_size(rx->vq); budget; budget--) {
		buf = vcon_rx_take(rx);
		if (!buf)
			break;
		rx->discarded += buf->len;
		vcon_rx_repost(rx, buf);
	}
}

/**
 * vcon_rx_start() - give a port its receive queue and fill it
 * @port: the port
 * @vq: its queue; it may still have buffers of a port of the same number that
 *	was unplugged
 *
 * Does not notify the device: vcon_rx_kick().
 *
 * Context: process context.
 * Return: 0, or -ENOMEM if the port has not one buffer.
 */
int vcon_rx_start(struct vcon_port *port, struct virtqueue *vq)
{
	unsigned int size = min(virtqueue_get_vring_size(vq), VCON_RX_BUFS_MAX);
	struct vcon_rx *rx = &port->rx;
	struct vcon_rx_buf *buf;
	unsigned int posted;
	bool taken;

	spin_lock_irq(&rx->lock);
	rx->vq = vq;
	if (list_empty(&rx->filled))
		vcon_rx_discard_locked(rx);
	posted = virtqueue_get_vring_size(vq) - vq->num_free;
	/* These are posted when they have been read. */
	list_for_each_entry(buf, &rx->filled, node)
		posted++;
	spin_unlock_irq(&rx->lock);

	for (; posted < size; posted++) {
		buf = vcon_rx_buf_alloc();
		if (!buf)
			break;
		spin_lock_irq(&rx->lock);
		taken = vcon_rx_post(rx, buf);
		spin_unlock_irq(&rx->lock);
		if (!taken) {
			vcon_rx_buf_free(buf);
			break;
		}
	}
	if (posted)
		return 0;

	spin_lock_irq(&rx->lock);
	rx->vq = NULL;
	spin_unlock_irq(&rx->lock);
	return -ENOMEM;
}

/**
 * vcon_rx_stop() - take the receive queue away from a port
 * @port: the port
 *
 * The bytes that were taken from the queue stay readable.
 *
 * Context: process context. Users of the queue are out after synchronize_rcu().
 */
void vcon_rx_stop(struct vcon_port *port)
{
	spin_lock_irq(&port->rx.lock);
	port->rx.vq = NULL;
	spin_unlock_irq(&port->rx.lock);
}

/**
 * vcon_rx_harvest() - save what arrived before a suspend or a reset
 * @port: a port that is stopped
 * @vq: the queue it had; the device is reset and cannot write any more
 *
 * Programs may be running. They must not see @vq again: it is about to go.
 *
 * Context: process context.
 */
void vcon_rx_harvest(struct vcon_port *port, struct virtqueue *vq)
{
	struct vcon_rx *rx = &port->rx;
	struct vcon_rx_buf *buf;
	unsigned int len;

	spin_lock_irq(&rx->lock);
	while (port->guest_open && (buf = virtqueue_get_buf(vq, &len))) {
		if (vcon_rx_accept(rx, buf, len))
			list_add_tail(&buf->node, &rx->filled);
		else
			vcon_rx_buf_free(buf);
	}
	spin_unlock_irq(&rx->lock);
}

/**
 * vcon_rx_close() - the guest closes a port
 * @port: the port; it may be opened again at once, and must not find old bytes
 *
 * Context: process context.
 */
void vcon_rx_close(struct vcon_port *port)
{
	spin_lock_irq(&port->rx.lock);
	vcon_rx_discard_locked(&port->rx);
	port->guest_open = false;
	spin_unlock_irq(&port->rx.lock);
	vcon_rx_kick(port);
}

/**
 * vcon_rx_kick() - tell the device about posted buffers, if it wants to know
 * @port: the port
 *
 * Context: any, without rx.lock.
 */
void vcon_rx_kick(struct vcon_port *port)
{
	struct virtqueue *vq;
	unsigned long flags;
	bool kick;

	rcu_read_lock();
	spin_lock_irqsave(&port->rx.lock, flags);
	vq = port->rx.vq;
	kick = vq && virtqueue_kick_prepare(vq);
	spin_unlock_irqrestore(&port->rx.lock, flags);
	if (kick)
		virtqueue_notify(vq);
	rcu_read_unlock();
}

/**
 * vcon_rx_free() - free unread bytes
 * @port: a port without queue and without users
 *
 * Context: any.
 */
void vcon_rx_free(struct vcon_port *port)
{
	struct vcon_rx_buf *buf, *next;

	list_for_each_entry_safe(buf, next, &port->rx.filled, node)
		vcon_rx_buf_free(buf);
	INIT_LIST_HEAD(&port->rx.filled);
}

/*
 * Taking a buffer moves the ring's event index, which can suppress the interrupt
 * for it. Others that wait for data must hear of it from who took it.
 */
static void vcon_rx_wake(struct vcon_port *port)
{
	if (wq_has_sleeper(&port->wait))
		wake_up_interruptible(&port->wait);
}

/**
 * vcon_rx_has_data() - is there something to read?
 * @port: the port
 *
 * Context: any.
 */
bool vcon_rx_has_data(struct vcon_port *port)
{
	struct vcon_rx *rx = &port->rx;
	unsigned long flags;
	bool taken;
	bool data;

	spin_lock_irqsave(&rx->lock, flags);
	taken = list_empty(&rx->filled);
	data = vcon_rx_front(rx);
	spin_unlock_irqrestore(&rx->lock, flags);
	if (data && taken)
		vcon_rx_wake(port);
	return data;
}

/**
 * vcon_rx_broken() - is the device lost?
 * @port: the port
 *
 * It has broken the rules of the ring, or did not come back from a suspend or reset:
 * nothing will ever arrive any more.
 *
 * Context: any.
 */
bool vcon_rx_broken(struct vcon_port *port)
{
	struct virtqueue *vq;
	bool broken;

	rcu_read_lock();
	vq = READ_ONCE(port->rx.vq);
	broken = vq ? virtqueue_is_broken(vq) : READ_ONCE(port->vcon->state) == VCON_FAILED;
	rcu_read_unlock();
	return broken;
}

/* Bytes of the oldest buffer are read; gives it back if they were the last. */
static void vcon_rx_consume(struct vcon_rx *rx, struct vcon_rx_buf *buf, size_t bytes)
{
	lockdep_assert_held(&rx->lock);
	buf->off += bytes;
	if (buf->off == buf->len) {
		list_del(&buf->node);
		vcon_rx_repost(rx, buf);
	}
}

/**
 * vcon_rx_to_iter() - read
 * @port: the port
 * @to: where to
 *
 * Takes as many buffers as fit and notifies the device at most once.
 *
 * Context: process context, read_lock held: only its holder and
 * vcon_rx_to_buf(), which serves consoles alone, remove from rx.filled.
 * Return: bytes read, 0 if there are none, -EFAULT.
 */
ssize_t vcon_rx_to_iter(struct vcon_port *port, struct iov_iter *to)
{
	struct vcon_rx *rx = &port->rx;
	struct vcon_rx_buf *buf;
	size_t total = 0;
	size_t copied;
	size_t want;
	bool more;

	lockdep_assert_held(&port->read_lock);
	while (iov_iter_count(to)) {
		spin_lock_irq(&rx->lock);
		buf = vcon_rx_front(rx);
		spin_unlock_irq(&rx->lock);
		if (!buf)
			break;

		want = min_t(size_t, iov_iter_count(to), buf->len - buf->off);
		copied = copy_to_iter(buf->data + buf->off, want, to);
		total += copied;

		spin_lock_irq(&rx->lock);
		vcon_rx_consume(rx, buf, copied);
		spin_unlock_irq(&rx->lock);
		if (copied < want) {
			if (!total)
				return -EFAULT;
			break;
		}
	}
	if (!total)
		return 0;
	vcon_rx_kick(port);
	spin_lock_irq(&rx->lock);
	more = !list_empty(&rx->filled);
	spin_unlock_irq(&rx->lock);
	if (more)
		vcon_rx_wake(port);
	return total;
}

/**
 * vcon_rx_to_buf() - read for a console
 * @port: a port that is a console
 * @to: where to
 * @count: bytes wanted
 *
 * Context: any.
 * Return: bytes read.
 */
size_t vcon_rx_to_buf(struct vcon_port *port, void *to, size_t count)
{
	struct vcon_rx *rx = &port->rx;
	struct vcon_rx_buf *buf;
	unsigned long flags;
	size_t total = 0;
	bool kick = false;
	size_t bytes;

	spin_lock_irqsave(&rx->lock, flags);
	while (total < count && (buf = vcon_rx_front(rx))) {
		bytes = min_t(size_t, count - total, buf->len - buf->off);
		memcpy(to + total, buf->data + buf->off, bytes);
		total += bytes;
		kick |= buf->off + bytes == buf->len;
		vcon_rx_consume(rx, buf, bytes);
	}
	spin_unlock_irqrestore(&rx->lock, flags);
	if (kick)
		vcon_rx_kick(port);
	return total;
}

/**
 * vcon_rx_reap_vq() - free all buffers of a receive queue
 * @vq: queue of a device that is reset
 *
 * Context: process context; no port uses @vq any more.
 */
void vcon_rx_reap_vq(struct virtqueue *vq)
{
	struct vcon_rx_buf *buf;
	unsigned int len;

	while ((buf = virtqueue_get_buf(vq, &len)))
		vcon_rx_buf_free(buf);
	while ((buf = virtqueue_detach_unused_buf(vq)))
		vcon_rx_buf_free(buf);
}

/**
 * vcon_rx_done() - the device filled buffers
 * @vq: a receive queue
 *
 * One buffer is taken, to know that there is something; the others wait for the
 * reader. The device does not interrupt for them, because its next interrupt is
 * due only after the last buffer that was taken (VIRTIO 1.3, 2.7.10).
 *
 * Context: interrupt.
 */
void vcon_rx_done(struct virtqueue *vq)
{
	struct vcon_port *port;
	struct vcon_con *con;
	unsigned long flags;
	bool discard = false;
	bool broken = false;
	bool data = false;

	rcu_read_lock();
	port = vcon_port_of_vq(vq);
	if (!port)
		goto out;

	spin_lock_irqsave(&port->rx.lock, flags);
	if (port->rx.vq == vq) {
		discard = !port->guest_open;
		if (discard)
			vcon_rx_discard_locked(&port->rx);
		else
			data = vcon_rx_front(&port->rx);
		/* There will be no more interrupts to wake who waits. */
		broken = virtqueue_is_broken(vq);
	}
	spin_unlock_irqrestore(&port->rx.lock, flags);

	if (discard)
		vcon_rx_kick(port);
	if (data || broken) {
		vcon_port_sigio(port);
		wake_up_interruptible(&port->wait);
	}
	con = rcu_dereference(port->con);
	if (con)
		vcon_hvc_input(con);
out:
	rcu_read_unlock();
}
