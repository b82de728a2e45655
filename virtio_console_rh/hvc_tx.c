// SPDX-License-Identifier: GPL-2.0-only
/*
 * Output of consoles. It is copied into buffers of our own, of which the device
 * has one at a time, so that neither a tty nor printk() waits for the host. It
 * knows nothing of hvc and must work where the kernel is dying.
 */
#include <vrh/log.h>
#include <linux/delay.h>
#include <linux/printk.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

#include "virtio_console_rh.h"

#if VRH_HVC_KNOWN

#include "hvc.h"

/* Output that may wait for the host: 16 pages, about 800 lines of 80 bytes. */
#define VCON_HVC_BUFS 16
#define VCON_HVC_BUF_ALLOC 4096

/* Copies into the buffer that is filled last, and into empty ones. */
static size_t vcon_con_append(struct vcon_con *con, const u8 *from, size_t count)
{
	const unsigned int room = VCON_TX_BUF_ROOM(VCON_HVC_BUF_ALLOC);
	struct vcon_tx_buf *buf;
	size_t done = 0;
	size_t bytes;

	while (done < count) {
		buf = list_empty(&con->queue) ? NULL :
			list_last_entry(&con->queue, struct vcon_tx_buf, node);
		if (!buf || buf->len == room) {
			buf = list_first_entry_or_null(&con->free, struct vcon_tx_buf, node);
			if (!buf)
				break;
			con->nr_free--;
			buf->len = 0;
			list_move_tail(&buf->node, &con->queue);
		}
		bytes = min_t(size_t, count - done, room - buf->len);
		memcpy(buf->data + buf->len, from + done, bytes);
		buf->len += bytes;
		done += bytes;
	}
	return done;
}

/*
 * Takes back what is consumed and, if the device has nothing, gives it the next
 * buffer. One at a time: what is written meanwhile gathers in the next one, so
 * that a busy host is notified seldom. The interrupt is on only if something
 * waits for it. True: notify.
 */
static bool vcon_con_pump(struct vcon_port *port, struct vcon_con *con, bool submit)
{
	struct vcon_tx *tx = &port->tx;
	struct vcon_tx_buf *buf;
	unsigned int budget;
	bool kick = false;

	lockdep_assert_held(&tx->lock);
	if (!tx->vq)
		return false;
	/* A round takes back or gives away a buffer, and there are only so many. */
	for (budget = 2 * VCON_HVC_BUFS; budget; budget--) {
		virtqueue_disable_cb(tx->vq);
		if (vcon_tx_reap(port))
			con->stalled = false;
		buf = list_first_entry_or_null(&con->queue, struct vcon_tx_buf, node);
		if (buf && submit && !tx->in_flight) {
			list_del_init(&buf->node);
			if (vcon_tx_submit(port, buf)) {
				list_add(&buf->node, &con->queue);
				break;
			}
			kick |= virtqueue_kick_prepare(tx->vq);
		}
		if (!tx->in_flight || (list_empty(&con->queue) && !con->want_room))
			break;
		if (virtqueue_enable_cb(tx->vq))
			break;
	}
	tx->kicks += kick;
	return kick;
}

/* Microseconds between two looks at a lock that is held, which is free a few looks later. */
#define VCON_LOCK_US 5
/* Such looks in a millisecond. */
#define VCON_LOCK_TRIES (1000 / VCON_LOCK_US)

/*
 * Gets the lock for output. Who holds it may be printing: the core does when the device breaks
 * the ring's rules. Then he waits for who prints now, which may be us: so the log does not wait
 * for him without end, but for stall_ms. Where the kernel dies, the CPU that holds the lock may
 * have been stopped: then try for 10 ms, once, and go without. A living holder copies a page and
 * works on the ring, which takes microseconds.
 */
static bool vcon_con_trylock(struct vcon_con *con, struct vcon_tx *tx, bool tty,
			     unsigned long *flags)
{
	unsigned int tries = 1;
	bool recursion;

	preempt_disable();
	recursion = vcon_tx_recursion(tx);
	preempt_enable();
	if (recursion)
		return false;
	if (tty && likely(!oops_in_progress)) {
		vcon_tx_lock(tx, flags);
		__release(&tx->lock);
		return true;
	}
	if (!READ_ONCE(con->stalled))
		tries = VCON_LOCK_TRIES * (oops_in_progress ? 10 : vcon_stall_ms());
	for (; tries; tries--) {
		if (spin_trylock_irqsave(&tx->lock, *flags)) {
			WRITE_ONCE(tx->owner, smp_processor_id());
			__release(&tx->lock);
			return true;
		}
		udelay(VCON_LOCK_US);
	}
	WRITE_ONCE(con->stalled, true);
	return false;
}

/* sparse follows a lock that may not be had only where it is taken in the condition. */
#define vcon_con_lock_tx(con, tx, tty, flags) \
	(vcon_con_trylock(con, tx, tty, flags) ? ({ __acquire(&(tx)->lock); true; }) : false)

/**
 * vcon_con_write() - write to a console
 * @port: its port
 * @con: the console
 * @from: the bytes
 * @count: how many
 * @tty: they are a tty's, and go to the device at once; those of the kernel's
 *	log go with vcon_con_flush() at the end of the record
 *
 * Context: any, inside rcu_read_lock().
 * Return: bytes that found room. If that is not all, and @tty, hvc will be
 * called when there is some.
 */
size_t vcon_con_write(struct vcon_port *port, struct vcon_con *con, const u8 *from, size_t count,
		      bool tty)
{
	struct vcon_tx *tx = &port->tx;
	unsigned long flags;
	size_t done;
	bool kick;

	if (!vcon_con_lock_tx(con, tx, tty, &flags))
		return 0;
	kick = vcon_con_pump(port, con, false);
	done = vcon_con_append(con, from, count);
	con->want_room = tty && done < count;
	/* Without room left it makes no sense to wait for the end of the record. */
	kick |= vcon_con_pump(port, con, tty || list_empty(&con->free));
	vcon_tx_unlock_notify(tx, flags, kick);
	return done;
}

/**
 * vcon_con_flush() - give all output to the device
 * @port: port of the console
 * @con: the console
 *
 * What does not go at once goes from the interrupt.
 *
 * Context: any, inside rcu_read_lock().
 */
void vcon_con_flush(struct vcon_port *port, struct vcon_con *con)
{
	struct vcon_tx *tx = &port->tx;
	unsigned long flags;
	bool kick;

	if (!vcon_con_lock_tx(con, tx, false, &flags))
		return;
	kick = vcon_con_pump(port, con, true);
	vcon_tx_unlock_notify(tx, flags, kick);
}

/**
 * vcon_con_wait() - wait, polling, for the device to consume output
 * @port: port of the console
 * @con: the console
 * @drain: all of it; else as much as makes room for a buffer
 *
 * If that does not happen within stall_ms, nobody need wait again until the
 * device moves: con->stalled.
 *
 * Context: any, also with interrupts off, inside rcu_read_lock().
 * Return: whether it did.
 */
bool vcon_con_wait(struct vcon_port *port, struct vcon_con *con, bool drain)
{
	u64 end = ktime_get_mono_fast_ns() + vcon_stall_ms() * (u64)NSEC_PER_MSEC;
	struct vcon_tx *tx = &port->tx;
	unsigned long flags;
	bool expired = false;
	bool done;
	bool kick;

	for (;;) {
		if (!vcon_con_lock_tx(con, tx, false, &flags))
			return false;
		kick = vcon_con_pump(port, con, true);
		done = drain ? !tx->in_flight && list_empty(&con->queue) : con->nr_free;
		if (!tx->vq || virtqueue_is_broken(tx->vq))
			expired = true;
		if (!done && expired && !con->stalled) {
			con->stalled = true;
			tx->stalls++;
		}
		vcon_tx_unlock_notify(tx, flags, kick);
		if (done || expired)
			return done;
		cpu_relax();
		expired = ktime_get_mono_fast_ns() >= end;
	}
}

/**
 * vcon_con_drop() - account output that nobody will see
 * @port: port of the console
 * @con: the console
 * @bytes: how many
 *
 * Context: any, inside rcu_read_lock().
 */
void vcon_con_drop(struct vcon_port *port, struct vcon_con *con, size_t bytes)
{
	struct vcon_tx *tx = &port->tx;
	unsigned long flags;

	if (!vcon_con_lock_tx(con, tx, false, &flags))
		return;
	tx->lost += bytes;
	vcon_tx_unlock(tx, flags);
}

/**
 * vcon_hvc_recycle() - keep a consumed buffer for the next output
 * @con: the console
 * @buf: the buffer
 *
 * Context: tx.lock of the port held.
 * Return: false: the caller frees it.
 */
bool vcon_hvc_recycle(struct vcon_con *con, struct vcon_tx_buf *buf)
{
	if (!buf->pooled || con->nr_free >= VCON_HVC_BUFS)
		return false;
	list_add(&buf->node, &con->free);
	con->nr_free++;
	return true;
}

/**
 * vcon_hvc_idle() - is there no output waiting?
 * @con: the console
 *
 * Context: tx.lock of the port held.
 */
bool vcon_hvc_idle(struct vcon_con *con)
{
	return list_empty(&con->queue);
}

/**
 * vcon_hvc_output() - go on with output
 * @port: a port whose device consumed a buffer, or that has its queue back
 *
 * Context: interrupt or process context, inside rcu_read_lock().
 */
void vcon_hvc_output(struct vcon_port *port)
{
	struct vcon_con *con = rcu_dereference(port->con);
	struct vcon_tx *tx = &port->tx;
	unsigned long flags;
	bool wake;
	bool kick;

	if (!con)
		return;
	vcon_tx_lock(tx, &flags);
	kick = vcon_con_pump(port, con, true);
	wake = con->want_room && con->nr_free;
	if (wake)
		con->want_room = false;
	vcon_tx_unlock_notify(tx, flags, kick);
	if (wake)
		vcon_hvc_input(con);
}

/**
 * vcon_hvc_save() - keep what the device did not take before a suspend
 * @port: a port that is stopped; nothing happens if it is no console
 * @vq: the transmit queue it had; the device is reset
 *
 * It goes out again afterwards, first. Besides the output this keeps the buffer:
 * there are only so many, and a console would lose one by each suspend.
 *
 * Context: process context; the control work does not run.
 */
void vcon_hvc_save(struct vcon_port *port, struct virtqueue *vq)
{
	struct vcon_con *con = rcu_dereference_protected(port->con, true);
	struct vcon_tx *tx = &port->tx;
	struct vcon_tx_buf *buf;
	unsigned long flags;
	unsigned int len;

	if (!con)
		return;
	vcon_tx_lock(tx, &flags);
	while ((buf = virtqueue_get_buf(vq, &len))) {
		if (buf->epoch == tx->epoch)
			tx->lost -= buf->len;
		if (!vcon_hvc_recycle(con, buf))
			kfree(buf);
	}
	while ((buf = virtqueue_detach_unused_buf(vq))) {
		/* Not that of a port of the same number, unplugged before. */
		if (!buf->pooled || buf->epoch != tx->epoch) {
			kfree(buf);
			continue;
		}
		tx->lost -= buf->len;
		list_add(&buf->node, &con->queue);
	}
	vcon_tx_unlock(tx, flags);
}

/**
 * vcon_con_free_bufs() - free all buffers that the device does not have
 * @con: a console without port
 *
 * Context: process context.
 */
void vcon_con_free_bufs(struct vcon_con *con)
{
	struct vcon_tx_buf *buf, *next;

	list_splice_init(&con->queue, &con->free);
	list_for_each_entry_safe(buf, next, &con->free, node)
		kfree(buf);
	INIT_LIST_HEAD(&con->free);
	con->nr_free = 0;
}

/**
 * vcon_con_alloc_bufs() - allocate the buffers of a console
 * @con: a new console
 *
 * Context: process context.
 * Return: 0 or -ENOMEM.
 */
int vcon_con_alloc_bufs(struct vcon_con *con)
{
	struct vcon_tx_buf *buf;

	INIT_LIST_HEAD(&con->queue);
	INIT_LIST_HEAD(&con->free);
	while (con->nr_free < VCON_HVC_BUFS) {
		buf = vcon_tx_buf_alloc(VCON_TX_BUF_ROOM(VCON_HVC_BUF_ALLOC));
		if (!buf) {
			vcon_con_free_bufs(con);
			return -ENOMEM;
		}
		buf->pooled = true;
		list_add(&buf->node, &con->free);
		con->nr_free++;
	}
	return 0;
}

#endif
