// SPDX-License-Identifier: GPL-2.0-only
/*
 * The control queues (VIRTIO 1.3, 5.3.6.2): hears of ports and tells the device
 * about ours. All messages of the device are acted on by one work item, in
 * order. Nothing here waits for the device: what cannot be sent now is noted on
 * the port and sent when a slot comes back, and noting takes no memory.
 */
#include <vrh/log.h>
#include <linux/bitmap.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "virtio_console_rh.h"

/* Room for the longest message: a header, a name and its NUL. */
#define VCON_CTRL_BUF_SIZE (sizeof(struct virtio_console_control) + VCON_NAME_MAX + 1)

/*
 * Receive buffers and, with them, messages that the device can send at a time:
 * QEMU's ring has 32, and drops what does not fit. More than 128 buy nothing.
 */
#define VCON_CTRL_BUFS_MAX 128

/*
 * Decoded messages that wait to be acted on: four rings of QEMU's size. When it
 * is full, buffers stay with us and the device has to wait.
 */
#define VCON_CTRL_BACKLOG 128

/* Messages to act on before other work gets its turn on the CPU. */
#define VCON_CTRL_BUDGET 64

/*
 * Answers that one PORT_READY provokes: CONSOLE_PORT, RESIZE, PORT_NAME and
 * PORT_OPEN. Only as many PORT_READY are under way as their answers have buffers,
 * with one to spare, so that they do not look crowded (rings of 5 and more).
 */
#define VCON_CTRL_ANSWERS 4

struct workqueue_struct *vcon_wq;

static bool vcon_ctrl_post(struct vcon_ctrl *c, void *buf)
{
	struct scatterlist sg;

	sg_init_one(&sg, buf, VCON_CTRL_BUF_SIZE);
	return !virtqueue_add_inbuf(c->in_vq, &sg, 1, buf, GFP_KERNEL);
}

/* Sending */

/* Takes back the slots of consumed messages. */
static void vcon_ctrl_reap(struct vcon_ctrl *c)
{
	struct vcon_ctrl_slot *slot;
	unsigned int len;

	lockdep_assert_held(&c->lock);
	if (!c->out_vq)
		return;
	while ((slot = virtqueue_get_buf(c->out_vq, &len))) {
		c->ready_consumed += slot->ready;
		c->free[c->nr_free++] = slot;
	}
}

/* Hands one message to the device. A free slot is there. */
static bool vcon_ctrl_put(struct vcon_device *vcon, u32 id, u16 event, u16 value,
			  unsigned int ready)
{
	struct vcon_ctrl *c = &vcon->ctrl;
	struct vcon_ctrl_slot *slot = c->free[c->nr_free - 1];
	struct scatterlist sg;

	lockdep_assert_held(&c->lock);
	slot->msg.id = __cpu_to_virtio32(vcon->little_endian, id);
	slot->msg.event = __cpu_to_virtio16(vcon->little_endian, event);
	slot->msg.value = __cpu_to_virtio16(vcon->little_endian, value);
	slot->ready = ready;
	sg_init_one(&sg, &slot->msg, sizeof(slot->msg));
	if (virtqueue_add_outbuf(c->out_vq, &sg, 1, slot, GFP_ATOMIC))
		return false;
	c->nr_free--;
	c->ready_in_flight += ready;
	c->sent++;
	return true;
}

/* Sends what provokes answers: the work only, which has just made room for them. */
static bool vcon_ctrl_put_ready(struct vcon_device *vcon)
{
	struct vcon_ctrl *c = &vcon->ctrl;
	struct vcon_port *port;

	if (c->ready_in_flight >= c->ready_window)
		return false;
	if (c->device_ready) {
		if (!vcon_ctrl_put(vcon, VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1,
				   c->ready_window))
			return false;
		c->device_ready = false;
		return true;
	}
	port = list_first_entry_or_null(&c->ready_ports, struct vcon_port, ctrl.ready_node);
	if (!port || !vcon_ctrl_put(vcon, port->id, VIRTIO_CONSOLE_PORT_READY, 1, 1))
		return false;
	list_move_tail(&port->ctrl.ready_node, &c->told_ports);
	port->ctrl.ready = true;
	if (port->ctrl.open != port->ctrl.told_open && list_empty(&port->ctrl.open_node))
		list_add_tail(&port->ctrl.open_node, &c->open_ports);
	return true;
}

/*
 * Sends one PORT_OPEN. A port that was closed and opened again before we could
 * tell gets both messages: the host resets its side of a protocol on them.
 */
static bool vcon_ctrl_put_open(struct vcon_device *vcon)
{
	struct vcon_ctrl *c = &vcon->ctrl;
	struct vcon_port *port;

	port = list_first_entry_or_null(&c->open_ports, struct vcon_port, ctrl.open_node);
	if (!port ||
	    !vcon_ctrl_put(vcon, port->id, VIRTIO_CONSOLE_PORT_OPEN, !port->ctrl.told_open, 0))
		return false;
	port->ctrl.told_open = !port->ctrl.told_open;
	if (port->ctrl.told_open == port->ctrl.open)
		list_del_init(&port->ctrl.open_node);
	return true;
}

static bool vcon_ctrl_put_refused(struct vcon_device *vcon)
{
	struct vcon_ctrl *c = &vcon->ctrl;
	u32 id = find_first_bit(c->refused, vcon->max_ports);

	if (id >= vcon->max_ports ||
	    !vcon_ctrl_put(vcon, id, VIRTIO_CONSOLE_PORT_READY, 0, 0))
		return false;
	__clear_bit(id, c->refused);
	return true;
}

/*
 * Sends what waits, as far as slots go. If something is left, the interrupt for
 * consumed messages is on, and the work goes on from there.
 */
static void vcon_ctrl_send(struct vcon_device *vcon, bool from_work)
{
	struct vcon_ctrl *c = &vcon->ctrl;
	struct virtqueue *vq;
	unsigned long flags;
	bool kick = false;
	bool again = false;

	rcu_read_lock();
	spin_lock_irqsave(&c->lock, flags);
	vq = c->out_vq;
	if (!vq)
		goto out;
	if (!from_work)
		vcon_ctrl_reap(c);
	while (c->nr_free && vq->num_free &&
	       (vcon_ctrl_put_open(vcon) || vcon_ctrl_put_refused(vcon) ||
		(from_work && vcon_ctrl_put_ready(vcon))))
		;
	if (c->device_ready || !list_empty(&c->ready_ports) || !list_empty(&c->open_ports) ||
	    !bitmap_empty(c->refused, vcon->max_ports) || c->ready_in_flight)
		again = !virtqueue_enable_cb(vq);
	else
		virtqueue_disable_cb(vq);
	/*
	 * Taken back here, they interrupt no more; the work must know of them. So it must
	 * of a queue that breaks, for who waits for a word about his port.
	 */
	again |= !from_work && (c->ready_consumed || c->device_ready ||
				!list_empty(&c->ready_ports) || virtqueue_is_broken(vq));
	kick = virtqueue_kick_prepare(vq);
out:
	spin_unlock_irqrestore(&c->lock, flags);
	if (kick)
		virtqueue_notify(vq);
	if (again)
		queue_work(vcon_wq, &c->work);
	rcu_read_unlock();
}

/* Ports of which the device has just been told: their output may go. */
static void vcon_ctrl_tell_ports(struct vcon_device *vcon)
{
	struct vcon_ctrl *c = &vcon->ctrl;
	struct vcon_port *port;

	for (;;) {
		spin_lock_irq(&c->lock);
		port = list_first_entry_or_null(&c->told_ports, struct vcon_port, ctrl.ready_node);
		if (port)
			list_del_init(&port->ctrl.ready_node);
		spin_unlock_irq(&c->lock);
		if (!port)
			return;
		vcon_port_told(port);
	}
}

/**
 * vcon_ctrl_told_ready() - has the device been told that it may use a port?
 * @port: the port
 *
 * Context: control work, or probe.
 * Return: true if it has, or if that is no device that is told such things.
 */
bool vcon_ctrl_told_ready(const struct vcon_port *port)
{
	return !port->vcon->multiport || READ_ONCE(port->ctrl.ready);
}

/**
 * vcon_ctrl_port_ready() - tell the device that it may use a port
 * @port: a port that has buffers posted
 *
 * Context: control work, or probe.
 */
void vcon_ctrl_port_ready(struct vcon_port *port)
{
	struct vcon_ctrl *c = &port->vcon->ctrl;

	if (!port->vcon->multiport)
		return;
	spin_lock_irq(&c->lock);
	if (!port->ctrl.dead && list_empty(&port->ctrl.ready_node))
		list_add_tail(&port->ctrl.ready_node, &c->ready_ports);
	spin_unlock_irq(&c->lock);
}

/**
 * vcon_ctrl_port_open() - tell the device whether the guest has a port open
 * @port: the port
 * @open: it has
 *
 * Context: process context. Does not wait for the device.
 */
void vcon_ctrl_port_open(struct vcon_port *port, bool open)
{
	struct vcon_ctrl *c = &port->vcon->ctrl;

	if (!port->vcon->multiport)
		return;
	spin_lock_irq(&c->lock);
	if (port->ctrl.dead || port->ctrl.open == open) {
		spin_unlock_irq(&c->lock);
		return;
	}
	port->ctrl.open = open;
	if (port->ctrl.ready && list_empty(&port->ctrl.open_node))
		list_add_tail(&port->ctrl.open_node, &c->open_ports);
	spin_unlock_irq(&c->lock);
	vcon_ctrl_send(port->vcon, false);
}

/**
 * vcon_ctrl_port_gone() - forget what a port still had to say
 * @port: a port that is being unplugged
 *
 * Context: process context.
 */
void vcon_ctrl_port_gone(struct vcon_port *port)
{
	struct vcon_ctrl *c = &port->vcon->ctrl;

	spin_lock_irq(&c->lock);
	port->ctrl.dead = true;
	list_del_init(&port->ctrl.ready_node);
	list_del_init(&port->ctrl.open_node);
	spin_unlock_irq(&c->lock);
}

/**
 * vcon_ctrl_port_reset() - the device has forgotten what it was told
 * @port: a port of a device that was reset for a suspend
 *
 * Context: process context; the control work does not run.
 */
void vcon_ctrl_port_reset(struct vcon_port *port)
{
	struct vcon_ctrl *c = &port->vcon->ctrl;

	spin_lock_irq(&c->lock);
	port->ctrl.ready = false;
	port->ctrl.told_open = false;
	list_del_init(&port->ctrl.ready_node);
	list_del_init(&port->ctrl.open_node);
	spin_unlock_irq(&c->lock);
}

/* Receiving */

static unsigned int vcon_ctrl_waiting(struct vcon_ctrl *c)
{
	return c->backlog_head - c->backlog_tail;
}

/*
 * Takes all messages out of the ring and gives the buffers back before any is
 * acted on: the device drops messages that find no buffer, and acting on one
 * may make it send several. One round of the ring: a device that sends nonsense
 * as fast as we throw it away would keep us here. False: more may be there.
 */
static bool vcon_ctrl_drain(struct vcon_device *vcon)
{
	struct vcon_ctrl *c = &vcon->ctrl;
	unsigned int budget = VCON_CTRL_BUFS_MAX;
	u64 before = c->received;
	struct vcon_ctrl_msg *msg;
	bool empty = false;
	unsigned int len;
	void *buf = NULL;
	int err = 0;

	for (; budget && vcon_ctrl_waiting(c) < VCON_CTRL_BACKLOG; budget--) {
		buf = virtqueue_get_buf(c->in_vq, &len);
		empty = !buf;
		if (empty)
			break;
		c->received++;
		msg = &c->backlog[c->backlog_head % VCON_CTRL_BACKLOG];
		err = vcon_ctrl_parse(buf, min_t(size_t, len, VCON_CTRL_BUF_SIZE),
				      vcon->little_endian, vcon->max_ports, msg);
		if (!err) {
			c->backlog_head++;
		} else {
			c->bad++;
			dev_dbg(&vcon->vdev->dev, "control message makes no sense (%d)\n", err);
		}
		/* A buffer that cannot be posted stays in bufs[], until a restore. */
		if (!vcon_ctrl_post(c, buf)) {
			empty = virtqueue_is_broken(c->in_vq);
			break;
		}
	}
	if (buf || c->received - before >= c->posted)
		vcon_settle_crowded(vcon);
	virtqueue_kick(c->in_vq);
	return empty;
}

static void vcon_ctrl_add_port(struct vcon_device *vcon, struct vcon_port *port, u32 id)
{
	int err;

	if (port) {
		vcon_ctrl_port_ready(port);
		return;
	}
	err = vcon_port_add(vcon, id);
	if (!err)
		return;
	dev_err_ratelimited(&vcon->vdev->dev, "port %u cannot be made: error %d\n", id, err);
	spin_lock_irq(&vcon->ctrl.lock);
	__set_bit(id, vcon->ctrl.refused);
	spin_unlock_irq(&vcon->ctrl.lock);
}

static void vcon_ctrl_make_console(struct vcon_port *port)
{
	int err;

	if (port->is_console)
		return;
	if (!vcon_hvc_wanted())
		return;
	err = vcon_hvc_create(port);
	if (err)
		dev_err_ratelimited(&port->dev, "no console: error %d\n", err);
}

static void vcon_ctrl_handle(struct vcon_device *vcon, const struct vcon_ctrl_msg *msg)
{
	struct vcon_port *port;

	/* Only this work, and remove after it has ended, take ports away. */
	port = rcu_dereference_protected(vcon->ports[msg->id], true);
	if (!port && msg->event != VIRTIO_CONSOLE_PORT_ADD) {
		vcon->ctrl.unknown++;
		return;
	}
	if (!port || port->unsure || port->host_unsure)
		vcon_settle_heard(vcon);
	/* Named by whatever message: it is there, and has to hear that we are. */
	if (port && port->unsure) {
		port->unsure = false;
		vcon_ctrl_port_ready(port);
	}

	switch (msg->event) {
	case VIRTIO_CONSOLE_PORT_ADD:
		vcon_ctrl_add_port(vcon, port, msg->id);
		break;
	case VIRTIO_CONSOLE_PORT_REMOVE:
		vcon_port_unplug(port);
		break;
	case VIRTIO_CONSOLE_CONSOLE_PORT:
		if (msg->value)
			vcon_ctrl_make_console(port);
		break;
	case VIRTIO_CONSOLE_RESIZE:
		vcon_hvc_resize(port, msg->cols, msg->rows);
		break;
	case VIRTIO_CONSOLE_PORT_OPEN:
		vcon_port_set_host_open(port, msg->value);
		break;
	case VIRTIO_CONSOLE_PORT_NAME:
		/* Another one has its number since the suspend or reset. */
		if (port->host_unsure && port->name && strcmp(port->name, msg->name)) {
			vcon_port_unplug(port);
			vcon_ctrl_add_port(vcon, NULL, msg->id);
			break;
		}
		vcon_port_set_name(port, msg->name);
		break;
	}
}

/**
 * vcon_ctrl_cancel() - end the control work
 * @vcon: a device that is not live, so that the work does nothing any more
 *
 * An interrupt that came before may queue it again, once.
 *
 * Context: process context.
 */
void vcon_ctrl_cancel(struct vcon_device *vcon)
{
	cancel_work_sync(&vcon->ctrl.work);
	/* Armed by that work only. */
	vcon_settle_cancel(vcon);
}

static void vcon_ctrl_work(struct work_struct *work)
{
	struct vcon_device *vcon = container_of(work, struct vcon_device, ctrl.work);
	struct vcon_ctrl *c = &vcon->ctrl;
	unsigned int budget;
	bool empty;

	for (budget = VCON_CTRL_BUDGET; budget; budget--) {
		if (READ_ONCE(vcon->state) != VCON_LIVE)
			return;
		/* Here, where a device that never stops talking cannot keep us from. */
		vcon_settle_expire(vcon);
		/*
		 * In this order: QEMU puts the answers to a message into the ring
		 * before its slot comes back, so the slots reaped now have no answers
		 * outstanding once the ring is drained.
		 */
		spin_lock_irq(&c->lock);
		vcon_ctrl_reap(c);
		if (c->ready_consumed)
			vcon_settle_heard(vcon);
		c->ready_in_flight -= c->ready_consumed;
		c->ready_consumed = 0;
		spin_unlock_irq(&c->lock);
		empty = vcon_ctrl_drain(vcon);
		vcon_ctrl_send(vcon, true);
		vcon_ctrl_tell_ports(vcon);
		if (!vcon_ctrl_waiting(c)) {
			if (!empty)
				break;
			vcon_settle(vcon);
			return;
		}
		vcon_ctrl_handle(vcon, &c->backlog[c->backlog_tail % VCON_CTRL_BACKLOG]);
		c->backlog_tail++;
	}
	queue_work(vcon_wq, &c->work);
}

/**
 * vcon_ctrl_done() - the device sent messages, or consumed some of ours
 * @vq: a control queue
 *
 * Context: interrupt.
 */
void vcon_ctrl_done(struct virtqueue *vq)
{
	struct vcon_device *vcon = vq->vdev->priv;

	if (READ_ONCE(vcon->state) == VCON_LIVE)
		queue_work(vcon_wq, &vcon->ctrl.work);
}

/* Life */

/**
 * vcon_ctrl_alloc() - prepare the control queues' memory
 * @vcon: the device; on failure, and finally, vcon_ctrl_free() is due
 *
 * Context: process context.
 * Return: 0 or -ENOMEM.
 */
int vcon_ctrl_alloc(struct vcon_device *vcon)
{
	struct vcon_ctrl *c = &vcon->ctrl;

	spin_lock_init(&c->lock);
	INIT_WORK(&c->work, vcon_ctrl_work);
	vcon_settle_init(vcon);
	INIT_LIST_HEAD(&c->ready_ports);
	INIT_LIST_HEAD(&c->told_ports);
	INIT_LIST_HEAD(&c->open_ports);
	if (!vcon->multiport)
		return 0;
	c->slots = kcalloc(VCON_CTRL_SLOTS, sizeof(*c->slots), GFP_KERNEL);
	c->free = kcalloc(VCON_CTRL_SLOTS, sizeof(*c->free), GFP_KERNEL);
	c->refused = bitmap_zalloc(vcon->max_ports, GFP_KERNEL);
	c->backlog = kvcalloc(VCON_CTRL_BACKLOG, sizeof(*c->backlog), GFP_KERNEL);
	c->bufs = kcalloc(VCON_CTRL_BUFS_MAX, sizeof(*c->bufs), GFP_KERNEL);
	if (!c->slots || !c->free || !c->refused || !c->backlog || !c->bufs)
		return -ENOMEM;
	return 0;
}

/**
 * vcon_ctrl_free() - free the control queues' memory
 * @vcon: a device whose control queues are detached and deleted
 *
 * Context: process context.
 */
void vcon_ctrl_free(struct vcon_device *vcon)
{
	struct vcon_ctrl *c = &vcon->ctrl;

	while (c->nr_bufs)
		kfree(c->bufs[--c->nr_bufs]);
	kfree(c->bufs);
	kvfree(c->backlog);
	bitmap_free(c->refused);
	kfree(c->free);
	kfree(c->slots);
}

/**
 * vcon_ctrl_start() - post buffers and greet the device
 * @vcon: the device, ready, its work not yet running
 * @in: control receive queue
 * @out: control transmit queue
 *
 * The greeting leaves with the first run of the work, which the caller starts
 * by vcon_ctrl_done() once the device is live.
 *
 * Context: process context.
 * Return: 0 or -ENOMEM.
 */
int vcon_ctrl_start(struct vcon_device *vcon, struct virtqueue *in, struct virtqueue *out)
{
	struct vcon_ctrl *c = &vcon->ctrl;
	unsigned int posted = 0;
	unsigned int i;

	WRITE_ONCE(c->in_vq, in);
	c->backlog_head = 0;
	c->backlog_tail = 0;
	vcon_settle_start(vcon);
	while (in->num_free && posted < VCON_CTRL_BUFS_MAX) {
		/* After a suspend the buffers of before are posted again. */
		if (posted == c->nr_bufs) {
			c->bufs[posted] = kzalloc(VCON_CTRL_BUF_SIZE, GFP_KERNEL);
			if (!c->bufs[posted])
				break;
			c->nr_bufs++;
		}
		if (!vcon_ctrl_post(c, c->bufs[posted]))
			break;
		posted++;
	}
	if (!posted)
		return -ENOMEM;
	c->posted = posted;
	virtqueue_kick(in);

	spin_lock_irq(&c->lock);
	for (i = 0; i < VCON_CTRL_SLOTS; i++)
		c->free[i] = &c->slots[i];
	c->nr_free = VCON_CTRL_SLOTS;
	c->ready_in_flight = 0;
	c->ready_consumed = 0;
	c->ready_window = max((posted - 1) / VCON_CTRL_ANSWERS, 1U);
	bitmap_zero(c->refused, vcon->max_ports);
	c->device_ready = true;
	c->out_vq = out;
	spin_unlock_irq(&c->lock);
	return 0;
}

/**
 * vcon_ctrl_detach() - take the control queues away
 * @vcon: a device that is no longer live, its work ended
 *
 * Context: process context. Users of the queues are out after
 * synchronize_rcu().
 */
void vcon_ctrl_detach(struct vcon_device *vcon)
{
	struct vcon_ctrl *c = &vcon->ctrl;

	spin_lock_irq(&c->lock);
	c->out_vq = NULL;
	spin_unlock_irq(&c->lock);
	WRITE_ONCE(c->in_vq, NULL);
}

/**
 * vcon_ctrl_reap_vq() - take all buffers out of a control queue
 * @vq: queue of a device that is reset
 *
 * The messages belong to struct vcon_ctrl; this only ends their mappings.
 *
 * Context: process context; the control queues are detached.
 */
void vcon_ctrl_reap_vq(struct virtqueue *vq)
{
	unsigned int len;

	while (virtqueue_get_buf(vq, &len))
		;
	while (virtqueue_detach_unused_buf(vq))
		;
}

/**
 * vcon_ctrl_init() - module init
 *
 * Return: 0 or -ENOMEM.
 */
int vcon_ctrl_init(void)
{
	/* Unbound: making a console may print the kernel's whole log to it. */
	vcon_wq = alloc_workqueue("virtio_console_rh", WQ_UNBOUND, 0);
	return vcon_wq ? 0 : -ENOMEM;
}

/**
 * vcon_ctrl_exit() - module exit
 */
void vcon_ctrl_exit(void)
{
	destroy_workqueue(vcon_wq);
}
