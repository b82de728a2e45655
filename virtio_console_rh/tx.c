// SPDX-License-Identifier: GPL-2.0-only
/*
 * The transmit queue of a port: accounts what the device has, takes back what
 * it consumed, and says when there is room. Interrupts for consumed buffers are
 * off unless somebody waits for room. It never waits itself.
 */
#include <vrh/log.h>
#include <linux/atomic.h>
#include <linux/printk.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "virtio_console_rh.h"

/*
 * Bytes that a port may have under way. A host that stops reading must not
 * pile up the guest's memory: 31 ports with a ring of 128 buffers of 32 KiB
 * would be 124 MiB. 1 MiB is a millisecond of a fast host's work.
 */
#define VCON_TX_IN_FLIGHT_MAX (1024 * 1024)

/**
 * vcon_tx_buf_alloc() - get a buffer for a writer
 * @bytes: room that is wanted
 *
 * If memory is too fragmented for that much, the buffer has the room of a page.
 *
 * Context: process context.
 * Return: the buffer, its room in @len, or NULL.
 */
struct vcon_tx_buf *vcon_tx_buf_alloc(size_t bytes)
{
	size_t alloc = offsetof(struct vcon_tx_buf, data) + bytes;
	struct vcon_tx_buf *buf = NULL;

	if (alloc > PAGE_SIZE) {
		buf = kmalloc(alloc, GFP_KERNEL_ACCOUNT | __GFP_NOWARN | __GFP_NORETRY);
		if (!buf)
			alloc = PAGE_SIZE;
	}
	if (!buf)
		buf = kmalloc(alloc, GFP_KERNEL_ACCOUNT);
	if (!buf)
		return NULL;
	INIT_LIST_HEAD(&buf->node);
	buf->epoch = 0;
	buf->len = VCON_TX_BUF_ROOM(alloc);
	buf->pooled = false;
	return buf;
}

static atomic64_t vcon_tx_epoch = ATOMIC64_INIT(0);

/*
 * After a suspend or reset another port may have the number, or none: nothing goes out
 * before the device has said who listens, if it does so in time (settle.c). A kernel that
 * is dying has no such time; its last words go to whoever is there.
 */
static bool vcon_tx_held(struct vcon_port *port)
{
	return READ_ONCE(port->held) && !(oops_in_progress && rcu_access_pointer(port->con));
}

static bool vcon_tx_full(struct vcon_port *port)
{
	struct vcon_tx *tx = &port->tx;

	return !tx->vq->num_free || tx->bytes_in_flight >= VCON_TX_IN_FLIGHT_MAX ||
	       vcon_tx_held(port);
}

/**
 * vcon_tx_reap() - take back what the device consumed
 * @port: the port
 *
 * Context: tx.lock held.
 * Return: whether anything came back.
 */
bool vcon_tx_reap(struct vcon_port *port)
{
	struct vcon_tx *tx = &port->tx;
	struct vcon_tx_buf *buf;
	struct vcon_con *con;
	bool progress = false;
	unsigned int len;

	lockdep_assert_held(&tx->lock);
	if (!tx->vq)
		return false;
	con = rcu_dereference_protected(port->con, lockdep_is_held(&tx->lock));
	while ((buf = virtqueue_get_buf(tx->vq, &len))) {
		progress = true;
		if (buf->epoch == tx->epoch) {
			tx->in_flight--;
			tx->bytes_in_flight -= buf->len;
		}
		if (!con || !vcon_hvc_recycle(con, buf))
			kfree(buf);
	}
	return progress;
}

/**
 * vcon_tx_submit() - give a buffer to the device
 * @port: the port
 * @buf: the buffer; belongs to the queue if all went well, else to the caller
 *
 * Does not notify.
 *
 * Context: tx.lock held.
 * Return: 0; -ENODEV: no queue; -EAGAIN: full; -EIO: the queue is broken.
 */
int vcon_tx_submit(struct vcon_port *port, struct vcon_tx_buf *buf)
{
	struct vcon_tx *tx = &port->tx;
	struct scatterlist sg;

	lockdep_assert_held(&tx->lock);
	if (!tx->vq)
		return -ENODEV;
	if (virtqueue_is_broken(tx->vq))
		return -EIO;
	if (vcon_tx_full(port))
		return -EAGAIN;
	buf->epoch = tx->epoch;
	sg_init_one(&sg, buf->data, buf->len);
	if (virtqueue_add_outbuf(tx->vq, &sg, 1, buf, GFP_ATOMIC))
		return -EIO;
	tx->in_flight++;
	tx->bytes_in_flight += buf->len;
	tx->bytes += buf->len;
	return 0;
}

/**
 * vcon_tx_queue() - queue a writer's buffer
 * @port: a port that is not a console
 * @buf: the buffer; belongs to the queue if all went well, else to the caller
 *
 * Does not notify: vcon_tx_kick().
 *
 * Context: process context.
 * Return: as vcon_tx_submit().
 */
int vcon_tx_queue(struct vcon_port *port, struct vcon_tx_buf *buf)
{
	unsigned long flags;
	int err;

	rcu_read_lock();
	vcon_tx_lock(&port->tx, &flags);
	vcon_tx_reap(port);
	/* The state is set before the drain looks at this port, under the same lock. */
	err = vcon_leaving(port->vcon) ? -ENODEV : vcon_tx_submit(port, buf);
	vcon_tx_unlock(&port->tx, flags);
	rcu_read_unlock();
	/* Nobody else tells who waits for room that there will never be any. */
	if (err == -EIO)
		wake_up_interruptible(&port->wait);
	return err;
}

/**
 * vcon_tx_kick() - tell the device about queued buffers, if it wants to know
 * @port: the port
 *
 * Context: any, without tx.lock.
 */
void vcon_tx_kick(struct vcon_port *port)
{
	struct vcon_tx *tx = &port->tx;
	unsigned long flags;
	bool kick;

	rcu_read_lock();
	vcon_tx_lock(tx, &flags);
	kick = tx->vq && virtqueue_kick_prepare(tx->vq);
	if (kick)
		tx->kicks++;
	vcon_tx_unlock_notify(tx, flags, kick);
	rcu_read_unlock();
}

/* True also if the queue is broken, so that waiting makes no sense. */
static bool vcon_tx_has_room(struct vcon_port *port)
{
	struct vcon_tx *tx = &port->tx;

	lockdep_assert_held(&tx->lock);
	vcon_tx_reap(port);
	return !vcon_tx_full(port) || virtqueue_is_broken(tx->vq);
}

/**
 * vcon_tx_writable() - is there room?
 * @port: the port
 *
 * If there is none, an interrupt is ordered, and the port's wait queue will be
 * woken.
 *
 * Context: process context, also with the task state set for waiting.
 * Return: true also if waiting makes no sense: the queue is broken, or it is a
 * console's, whose interrupts are not ours to order.
 */
bool vcon_tx_writable(struct vcon_port *port)
{
	struct vcon_tx *tx = &port->tx;
	bool writable = false;
	unsigned long flags;
	bool wake = false;

	rcu_read_lock();
	vcon_tx_lock(tx, &flags);
	if (rcu_access_pointer(port->con)) {
		writable = true;
		goto out;
	}
	if (!tx->vq || vcon_leaving(port->vcon))
		goto out;
	writable = vcon_tx_has_room(port);
	if (!writable) {
		tx->waits++;
		/*
		 * Three quarters of what is under way must be consumed before we
		 * are interrupted. False means that they are already; taking them
		 * back orders the interrupt for the buffer after them.
		 */
		if (!virtqueue_enable_cb_delayed(tx->vq))
			writable = vcon_tx_has_room(port);
	}
	/*
	 * What is taken back here interrupts no more, and now nothing does. Who
	 * waits since an earlier look must look again.
	 */
	if (writable)
		virtqueue_disable_cb(tx->vq);
	wake = writable && tx->want_room;
	tx->want_room = !writable;
out:
	vcon_tx_unlock(tx, flags);
	rcu_read_unlock();
	if (wake)
		wake_up_interruptible(&port->wait);
	return writable;
}

/**
 * vcon_tx_idle() - has the device consumed everything?
 * @port: a port of a device that is leaving
 *
 * Context: process context; the control work does not run.
 * Return: true also if it never will, because the queue is gone or broken, or because
 * output is held, and nobody is there any more who would hear that it may go.
 */
bool vcon_tx_idle(struct vcon_port *port)
{
	struct vcon_tx *tx = &port->tx;
	struct vcon_con *con;
	unsigned long flags;
	bool idle;

	rcu_read_lock();
	/* A console's buffer that is taken back must be followed by the next one. */
	vcon_hvc_output(port);
	vcon_tx_lock(tx, &flags);
	vcon_tx_reap(port);
	con = rcu_dereference_protected(port->con, lockdep_is_held(&tx->lock));
	idle = !tx->vq || virtqueue_is_broken(tx->vq) ||
	       (!tx->in_flight && (!con || vcon_hvc_idle(con) || vcon_tx_held(port)));
	vcon_tx_unlock(tx, flags);
	rcu_read_unlock();
	return idle;
}

/**
 * vcon_tx_start() - give a port its transmit queue
 * @port: the port
 * @vq: its queue; it may still have buffers of a port of the same number that
 *	was unplugged
 *
 * Context: process context.
 */
void vcon_tx_start(struct vcon_port *port, struct virtqueue *vq)
{
	unsigned long flags;

	vcon_tx_lock(&port->tx, &flags);
	port->tx.vq = vq;
	port->tx.epoch = atomic64_inc_return(&vcon_tx_epoch);
	virtqueue_disable_cb(vq);
	vcon_tx_reap(port);
	vcon_tx_unlock(&port->tx, flags);
}

/**
 * vcon_tx_stop() - take the transmit queue away from a port
 * @port: the port
 *
 * What the device has not consumed stays in the queue and counts as lost.
 *
 * Context: process context. Users of the queue are out after synchronize_rcu().
 */
void vcon_tx_stop(struct vcon_port *port)
{
	struct vcon_tx *tx = &port->tx;
	unsigned long flags;

	vcon_tx_lock(tx, &flags);
	vcon_tx_reap(port);
	tx->vq = NULL;
	tx->lost += tx->bytes_in_flight;
	tx->bytes_in_flight = 0;
	tx->in_flight = 0;
	vcon_tx_unlock(tx, flags);
}

/**
 * vcon_tx_reap_vq() - free all buffers of a transmit queue
 * @vq: queue of a device that is reset
 *
 * Context: process context; no port uses @vq any more.
 */
void vcon_tx_reap_vq(struct virtqueue *vq)
{
	unsigned int len;
	void *buf;

	while ((buf = virtqueue_get_buf(vq, &len)))
		kfree(buf);
	while ((buf = virtqueue_detach_unused_buf(vq)))
		kfree(buf);
}

/**
 * vcon_tx_done() - the device consumed buffers, and somebody waits for room
 * @vq: a transmit queue
 *
 * Context: interrupt.
 */
void vcon_tx_done(struct virtqueue *vq)
{
	struct vcon_port *port;
	unsigned long flags;
	bool console;

	rcu_read_lock();
	port = vcon_port_of_vq(vq);
	if (!port)
		goto out;
	console = rcu_access_pointer(port->con);
	if (console) {
		vcon_hvc_output(port);
		goto out;
	}
	vcon_tx_lock(&port->tx, &flags);
	if (port->tx.vq == vq)
		virtqueue_disable_cb(vq);
	port->tx.want_room = false;
	vcon_tx_unlock(&port->tx, flags);
	wake_up_interruptible(&port->wait);
out:
	rcu_read_unlock();
}
