// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ports that are consoles: /dev/hvcN and, with console=hvc0, the kernel's log.
 * This file is what hvc calls, and it owns the life of a console, which may be
 * longer than that of its port. Bytes are moved by hvc_tx.c and rx.c.
 */
#include <vrh/log.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "virtio_console_rh.h"

#if VRH_HVC_KNOWN

#include "hvc.h"

/* hvc's own buffer for a tty: what it hands to put_chars() at most, as in-tree. */
#define VCON_HVC_OUTBUF PAGE_SIZE

/* With vtermno, marks a struct hvc_struct as ours: vcon_hvc_layout_ok(). */
#define VCON_HVC_COOKIE 0x76636f6e

/* A /dev/hvcN that nobody looks up; -1 is what hvc itself uses for "none". */
#define VCON_HVC_NO_INDEX (-2)

/* How often to look whether the last user of a console has left. */
#define VCON_HVC_REAP_MS 250

/* By vtermno. A number is used again only when hvc has let go of it. */
static DEFINE_XARRAY_ALLOC1(vcon_cons);

/* Protects pins, opened and the size of all consoles. */
static DEFINE_SPINLOCK(vcon_con_lock);

static void vcon_hvc_reap_work(struct work_struct *work);
static DECLARE_DELAYED_WORK(vcon_hvc_reaper, vcon_hvc_reap_work);

static bool vcon_con_broken(struct vcon_port *port)
{
	struct virtqueue *vq = READ_ONCE(port->tx.vq);

	return vq ? virtqueue_is_broken(vq) : READ_ONCE(port->vcon->state) == VCON_FAILED;
}

/* A tty hands us its own buffer; printk() hands hvc's on the stack. */
static bool vcon_con_is_tty(struct vcon_con *con, const void *from)
{
	struct hvc_struct *hp = READ_ONCE(con->hvc);
	const void *outbuf = hp ? (const void *)hp->outbuf : NULL;

	return hp && from >= outbuf && from < outbuf + hp->outbuf_size;
}

static ssize_t vcon_hvc_put_chars(u32 vtermno, const u8 *from, size_t count)
{
	struct vcon_port *port;
	struct vcon_con *con;
	ssize_t ret = -EPIPE;
	size_t done;

	rcu_read_lock();
	con = xa_load(&vcon_cons, vtermno);
	port = con ? rcu_dereference(con->port) : NULL;
	if (!port)
		goto out;

	if (vcon_con_is_tty(con, from)) {
		ret = vcon_con_write(port, con, from, count, true);
		/* hvc would keep the rest for ever; an error makes it go on without. */
		if (!ret && vcon_con_broken(port))
			ret = -EIO;
		goto out;
	}
	done = vcon_con_write(port, con, from, count, false);
	if (done < count && !READ_ONCE(con->stalled) && vcon_con_wait(port, con, false))
		done += vcon_con_write(port, con, from + done, count - done, false);
	if (done < count)
		vcon_con_drop(port, con, count - done);
	ret = count;
out:
	rcu_read_unlock();
	return ret;
}

/*
 * The end of a record of the kernel's log. Where nobody will pump the rest,
 * because the kernel is dying or going down, wait for it, within stall_ms.
 */
static int vcon_hvc_flush(u32 vtermno, bool wait)
{
	struct vcon_port *port;
	struct vcon_con *con;

	/* The tty's next write comes when there is room; no need to sleep for it. */
	if (wait)
		return 0;
	rcu_read_lock();
	con = xa_load(&vcon_cons, vtermno);
	port = con ? rcu_dereference(con->port) : NULL;
	if (port) {
		vcon_con_flush(port, con);
		if ((oops_in_progress || system_state > SYSTEM_RUNNING) &&
		    !READ_ONCE(con->stalled))
			vcon_con_wait(port, con, true);
	}
	rcu_read_unlock();
	return 0;
}

/* Input */

/*
 * Without a port there is none. An error would have hvc's thread hang up the tty by a
 * work, and drop what may be the last reference to the tty with that work pending:
 * vcon_hvc_remove() hangs up itself.
 */
static ssize_t vcon_hvc_get_chars(u32 vtermno, u8 *buf, size_t count)
{
	struct vcon_port *port;
	struct vcon_con *con;
	ssize_t ret = 0;

	rcu_read_lock();
	con = xa_load(&vcon_cons, vtermno);
	port = con ? rcu_dereference(con->port) : NULL;
	if (port)
		ret = vcon_rx_to_buf(port, buf, count);
	rcu_read_unlock();
	return ret;
}

/**
 * vcon_hvc_input() - have hvc look for input, and push output that it holds
 * @con: the console
 *
 * Context: interrupt or process context, inside rcu_read_lock().
 */
void vcon_hvc_input(struct vcon_con *con)
{
	struct hvc_struct *hp = READ_ONCE(con->hvc);

	if (hp && hvc_poll(hp))
		hvc_kick();
}

/* Open, close, size */

/* Is this structure what hvc_abi.h says, and is it ours? */
static bool vcon_hvc_layout_ok(struct hvc_struct *hp, const struct hv_ops *ops, u32 vtermno)
{
	return hp->ops == ops && hp->vtermno == vtermno &&
	       hp->data == (int)(VCON_HVC_COOKIE ^ vtermno) && hp->outbuf_size == VCON_HVC_OUTBUF &&
	       (void *)hp->outbuf > (void *)hp && (void *)hp->outbuf < (void *)hp + 2 * sizeof(*hp);
}

static const struct hv_ops vcon_hv_ops;

/* hvc's size is applied by a work of hvc's, which only a hangup or close ends. */
static void vcon_con_apply_size(struct vcon_con *con)
{
	struct winsize ws = {};
	unsigned long flags;

	spin_lock_irqsave(&vcon_con_lock, flags);
	ws.ws_col = con->cols;
	ws.ws_row = con->rows;
	if (con->opened && con->hvc && !con->dead && ws.ws_col && ws.ws_row) {
		spin_lock(&con->hvc->lock);
		__hvc_resize(con->hvc, ws);
		spin_unlock(&con->hvc->lock);
	}
	spin_unlock_irqrestore(&vcon_con_lock, flags);
}

/*
 * The tty is opened. While it is open, and until hvc has let go of the last
 * file, this module stays: hvc calls us through vcon_hv_ops.
 */
static int vcon_hvc_opened(struct hvc_struct *hp, int data)
{
	u32 vtermno = (u32)data ^ VCON_HVC_COOKIE;
	struct vcon_con *con;
	unsigned long flags;
	int err = -ENODEV;

	rcu_read_lock();
	con = xa_load(&vcon_cons, vtermno);
	if (!con || !rcu_access_pointer(con->port))
		goto out;
	if (!vcon_hvc_layout_ok(hp, &vcon_hv_ops, vtermno) || !try_module_get(THIS_MODULE))
		goto out;

	spin_lock_irqsave(&vcon_con_lock, flags);
	con->pins++;
	con->opened = true;
	spin_unlock_irqrestore(&vcon_con_lock, flags);
	hp->irq_requested = 1;
	vcon_con_apply_size(con);
	err = 0;
out:
	rcu_read_unlock();
	return err;
}

static void vcon_hvc_closed(struct hvc_struct *hp, int data)
{
	struct vcon_con *con;
	unsigned long flags;

	hp->irq_requested = 0;
	rcu_read_lock();
	con = xa_load(&vcon_cons, (u32)data ^ VCON_HVC_COOKIE);
	if (con) {
		spin_lock_irqsave(&vcon_con_lock, flags);
		con->opened = false;
		spin_unlock_irqrestore(&vcon_con_lock, flags);
		queue_delayed_work(vcon_wq, &vcon_hvc_reaper,
				   msecs_to_jiffies(VCON_HVC_REAP_MS));
	}
	rcu_read_unlock();
}

VRH_HVC_CALLBACKS(vcon_hvc_get_chars, vcon_hvc_put_chars)

static const struct hv_ops vcon_hv_ops = {
	.get_chars = VRH_HVC_OP(vcon_hvc_get_chars),
	.put_chars = VRH_HVC_OP(vcon_hvc_put_chars),
	.flush = vcon_hvc_flush,
	.notifier_add = vcon_hvc_opened,
	.notifier_del = vcon_hvc_closed,
	.notifier_hangup = vcon_hvc_closed,
};

/**
 * vcon_hvc_resize() - the console has a new size
 * @port: the port; nothing happens if it is no console
 * @cols: width in characters
 * @rows: height in characters
 *
 * Context: process context.
 */
void vcon_hvc_resize(struct vcon_port *port, u16 cols, u16 rows)
{
	struct vcon_con *con;
	unsigned long flags;

	rcu_read_lock();
	con = rcu_dereference(port->con);
	if (con) {
		spin_lock_irqsave(&vcon_con_lock, flags);
		con->cols = cols;
		con->rows = rows;
		spin_unlock_irqrestore(&vcon_con_lock, flags);
		vcon_con_apply_size(con);
	}
	rcu_read_unlock();
}

/**
 * vcon_hvc_vtermno() - the number by which hvc knows a console
 * @con: the console
 */
u32 vcon_hvc_vtermno(struct vcon_con *con)
{
	return con->vtermno;
}

/* Life */

/* Does a tty still hold on to the console? Besides it: us, and hvc until @dead. */
static bool vcon_con_in_use(struct vcon_con *con)
{
	return kref_read(&con->hvc->port.kref) > (con->dead ? 1 : 2);
}

/*
 * Lets go of module references whose ttys have left, and of consoles that hvc
 * has let go of. True: somebody still holds on to one.
 */
static bool vcon_con_reap(struct vcon_con *con)
{
	unsigned int pins = 0;
	unsigned long flags;
	bool in_use;

	if (!con->hvc)
		return false;
	/*
	 * A tty that holds on may be anywhere in our functions. One that comes
	 * after this look takes a reference on the module of its own.
	 */
	spin_lock_irqsave(&vcon_con_lock, flags);
	in_use = con->opened || vcon_con_in_use(con);
	if (!in_use)
		swap(pins, con->pins);
	spin_unlock_irqrestore(&vcon_con_lock, flags);
	if (in_use)
		return con->pins || con->dead;
	for (; pins; pins--)
		module_put(THIS_MODULE);
	if (!con->dead)
		return false;

	xa_erase(&vcon_cons, con->vtermno);
	tty_port_put(&con->hvc->port);
	kfree_rcu(con, rcu);
	return false;
}

static void vcon_hvc_reap_work(struct work_struct *work)
{
	struct vcon_con *con;
	bool again = false;
	unsigned long i;

	xa_for_each(&vcon_cons, i, con)
		again |= vcon_con_reap(con) && !READ_ONCE(con->opened);
	if (again)
		queue_delayed_work(vcon_wq, &vcon_hvc_reaper,
				   msecs_to_jiffies(VCON_HVC_REAP_MS));
}

/* Runs the reaper to its end: afterwards it has no console that was erased before. */
static void vcon_hvc_reap_now(void)
{
	mod_delayed_work(vcon_wq, &vcon_hvc_reaper, 0);
	flush_delayed_work(&vcon_hvc_reaper);
}

static struct vcon_con *vcon_con_alloc(struct vcon_port *port)
{
	struct vcon_con *con = kzalloc(sizeof(*con), GFP_KERNEL);

	if (!con)
		return NULL;
	if (vcon_con_alloc_bufs(con)) {
		kfree(con);
		return NULL;
	}
	rcu_assign_pointer(con->port, port);
	return con;
}

/* Cuts the ways from the port to the console and back, and waits for who is on them. */
static void vcon_con_unlink(struct vcon_port *port, struct vcon_con *con)
{
	unsigned long flags;

	vcon_tx_lock(&port->tx, &flags);
	rcu_assign_pointer(port->con, NULL);
	vcon_tx_unlock(&port->tx, flags);
	rcu_assign_pointer(con->port, NULL);
	synchronize_rcu();
}

/**
 * vcon_hvc_create() - make a port a console
 * @port: the port, its queues working
 *
 * Context: process context. May print the kernel's whole log to the console.
 * Return: 0, -ENOMEM, -EOPNOTSUPP if hvc is not what we know, or what
 * hvc_alloc() returned.
 */
int vcon_hvc_create(struct vcon_port *port)
{
	struct hvc_struct *hp;
	struct vcon_con *con;
	unsigned long flags;
	int err;

	con = vcon_con_alloc(port);
	if (!con)
		return -ENOMEM;
	err = xa_alloc(&vcon_cons, &con->vtermno, con, XA_LIMIT(1, INT_MAX), GFP_KERNEL);
	if (err)
		goto free;

	vcon_port_set_console(port, true);
	vcon_tx_lock(&port->tx, &flags);
	rcu_assign_pointer(port->con, con);
	vcon_tx_unlock(&port->tx, flags);

	hp = hvc_alloc(con->vtermno, VCON_HVC_COOKIE ^ con->vtermno, &vcon_hv_ops,
		       VCON_HVC_OUTBUF);
	if (IS_ERR(hp)) {
		err = PTR_ERR(hp);
		goto unlink;
	}
	if (!vcon_hvc_layout_ok(hp, &vcon_hv_ops, con->vtermno)) {
		hvc_remove(hp);
		err = -EOPNOTSUPP;
		goto unlink;
	}
	tty_port_get(&hp->port);
	WRITE_ONCE(con->hvc, hp);
	/* A tty may have been opened before hp was known here. */
	vcon_con_apply_size(con);
	/* So may bytes have come, for which nobody asked hvc to look. */
	rcu_read_lock();
	vcon_hvc_input(con);
	rcu_read_unlock();
	vcon_ctrl_port_open(port, true);
	return 0;

unlink:
	vcon_con_unlink(port, con);
	vcon_port_set_console(port, false);
	xa_erase(&vcon_cons, con->vtermno);
	vcon_hvc_reap_now();
free:
	vcon_con_free_bufs(con);
	kfree_rcu(con, rcu);
	return err;
}

/**
 * vcon_hvc_remove() - take a console away
 * @port: a port that is being unplugged; nothing happens if it is no console
 *
 * The tty is hung up. The port is free afterwards; what hvc still holds is
 * looked after by the reaper.
 *
 * Context: process context.
 */
void vcon_hvc_remove(struct vcon_port *port)
{
	struct vcon_con *con = rcu_dereference_protected(port->con, true);
	struct hvc_struct *hp;
	unsigned int tries;

	if (!con)
		return;
	hp = con->hvc;
	vcon_con_unlink(port, con);
	vcon_con_free_bufs(con);
	hvc_remove(hp);
	cancel_work_sync(&hp->tty_resize);

	/*
	 * hvc finds consoles by index as long as they exist, and would go on to
	 * find this one while a process holds a hung-up file of it.
	 */
	spin_lock_irq(&hp->lock);
	hp->index = VCON_HVC_NO_INDEX;
	spin_unlock_irq(&hp->lock);

	/*
	 * Usually the hangup was all it took. If not, and be it for years, the
	 * reaper does it, and meanwhile the module cannot be unloaded. Once the
	 * console is dead it is the reaper's.
	 */
	for (tries = 10; tries && kref_read(&hp->port.kref) > 1; tries--)
		msleep(20);
	WRITE_ONCE(con->dead, true);
	vcon_hvc_reap_now();
}

/**
 * vcon_hvc_exit() - module exit
 *
 * No console is open, or we would not be here. But somebody may be on his way
 * out of an open() that we refused; hvc must have let go of us when he is.
 */
void vcon_hvc_exit(void)
{
	unsigned int tries;

	for (tries = 500; tries && !xa_empty(&vcon_cons); tries--) {
		vcon_hvc_reap_now();
		msleep(20);
	}
	cancel_delayed_work_sync(&vcon_hvc_reaper);
	if (!xa_empty(&vcon_cons))
		pr_err("a console is still in use after 10 s, which should not be possible\n");
	xa_destroy(&vcon_cons);
}

#endif
