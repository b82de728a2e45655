// SPDX-License-Identifier: GPL-2.0-only
/*
 * After a suspend or reset the device says which ports it has and which of them
 * its side has open, and nothing about the others. Once it has taken all questions
 * and is silent, that means gone, or closed. If it may have found no buffer for an
 * answer, each port is asked for by its number first; one that has gone stays then,
 * closed, as it cannot be told apart.
 *
 * Output waits meanwhile, since another port may have the number now: until the device
 * has said who listens (PORT_OPEN, which comes behind the name), until it is decided here
 * or a control queue is broken, and for VCON_SETTLE_END at most.
 *
 * Everything here is called by the control work, or while that cannot run.
 */
#include <linux/jiffies.h>

#include "virtio_console_rh.h"

/*
 * How long a device is silent before it has said all: some consume a message, and
 * answer it from another thread.
 */
#define VCON_SILENCE HZ

/*
 * How long output waits from the greeting on for a device that does not listen, or never
 * stops talking. QEMU answers within milliseconds; ten seconds outlast a host that is busy
 * after a resume, and writers have deadlines of their own.
 */
#define VCON_SETTLE_END (10 * HZ)

static void vcon_settle_work(struct work_struct *work)
{
	struct vcon_device *vcon = container_of(to_delayed_work(work), struct vcon_device,
						settle.work);

	if (READ_ONCE(vcon->state) == VCON_LIVE)
		queue_work(vcon_wq, &vcon->ctrl.work);
}

/**
 * vcon_settle_init() - prepare a new device's struct vcon_settle
 * @vcon: the device
 */
void vcon_settle_init(struct vcon_device *vcon)
{
	INIT_DELAYED_WORK(&vcon->settle.work, vcon_settle_work);
}

/**
 * vcon_settle_start() - the device is about to be greeted
 * @vcon: the device
 *
 * Context: process context; the control work does not run.
 */
void vcon_settle_start(struct vcon_device *vcon)
{
	struct vcon_settle *s = &vcon->settle;
	struct vcon_port *port;
	u32 id;

	s->crowded = false;
	s->asked = false;
	s->heard = jiffies;
	s->end = jiffies + VCON_SETTLE_END;
	s->waiting = false;
	for (id = 0; id < vcon->max_ports; id++) {
		port = rcu_dereference_protected(vcon->ports[id], true);
		s->waiting |= port && port->held;
	}
}

/**
 * vcon_settle_cancel() - the control work is not run again after a silence
 * @vcon: a device whose control work has ended
 *
 * Context: process context.
 */
void vcon_settle_cancel(struct vcon_device *vcon)
{
	cancel_delayed_work_sync(&vcon->settle.work);
}

/**
 * vcon_settle_heard() - the device named a port that we are unsure of, or took a question
 * @vcon: the device
 *
 * Context: control work.
 */
void vcon_settle_heard(struct vcon_device *vcon)
{
	vcon->settle.heard = jiffies;
}

/**
 * vcon_settle_crowded() - the device may have found no buffer for a message
 * @vcon: the device
 *
 * Context: control work.
 */
void vcon_settle_crowded(struct vcon_device *vcon)
{
	vcon->settle.crowded = true;
}

static bool vcon_settle_unsure(const struct vcon_port *port)
{
	return port && (port->unsure || port->host_unsure);
}

static bool vcon_settle_needed(struct vcon_device *vcon)
{
	u32 id;

	for (id = 0; id < vcon->max_ports; id++) {
		if (vcon_settle_unsure(rcu_dereference_protected(vcon->ports[id], true)))
			return true;
	}
	return false;
}

/*
 * Nothing is heard, or not in time: ports from before stay as they were, and their output
 * need not wait. That of a new one waits until the device has been told of it.
 */
static void vcon_settle_silenced(struct vcon_device *vcon)
{
	struct vcon_port *port;
	u32 id;

	vcon->settle.waiting = false;
	for (id = 0; id < vcon->max_ports; id++) {
		port = rcu_dereference_protected(vcon->ports[id], true);
		if (port && port->held && (port->host_unsure || vcon_ctrl_told_ready(port)))
			vcon_port_output(port);
	}
}

/**
 * vcon_settle_expire() - output has waited long enough?
 * @vcon: the device
 *
 * What the device says after that of ports from before still counts.
 *
 * Context: control work.
 */
void vcon_settle_expire(struct vcon_device *vcon)
{
	struct vcon_settle *s = &vcon->settle;

	if (s->waiting && time_after_eq(jiffies, s->end))
		vcon_settle_silenced(vcon);
}

/*
 * Has the control work run again: in time for a silence if the device may be having one,
 * and for the end of the wait in any case, as what is under way may stay there.
 */
static void vcon_settle_again(struct vcon_device *vcon, bool silence)
{
	struct vcon_settle *s = &vcon->settle;
	unsigned long delay = silence ? VCON_SILENCE : VCON_SETTLE_END;
	unsigned long now = jiffies;

	if (s->waiting)
		delay = time_before(now, s->end) ? min(delay, s->end - now) : 0;
	else if (!silence)
		return;
	mod_delayed_work(vcon_wq, &s->work, delay);
}

/**
 * vcon_settle() - decide about ports that the device has not named
 * @vcon: a device that has sent no more messages for now
 *
 * Context: control work, which runs again when there is more to decide.
 */
void vcon_settle(struct vcon_device *vcon)
{
	struct vcon_settle *s = &vcon->settle;
	struct vcon_ctrl *c = &vcon->ctrl;
	bool ask = s->crowded && !s->asked;
	bool taken, under_way, broken;
	struct vcon_port *port;
	u32 id;

	spin_lock_irq(&c->lock);
	broken = virtqueue_is_broken(c->in_vq) || virtqueue_is_broken(c->out_vq);
	taken = !c->device_ready && !c->ready_in_flight && list_empty(&c->ready_ports);
	under_way = c->nr_free < VCON_CTRL_SLOTS;
	spin_unlock_irq(&c->lock);
	if (broken) {
		vcon_settle_silenced(vcon);
		return;
	}
	if (taken && !vcon_settle_needed(vcon))
		return;
	if (!taken || time_before(jiffies, s->heard + VCON_SILENCE)) {
		vcon_settle_again(vcon, taken || !under_way);
		return;
	}
	s->asked |= ask;
	for (id = 0; id < vcon->max_ports; id++) {
		port = rcu_dereference_protected(vcon->ports[id], true);
		if (!vcon_settle_unsure(port))
			continue;
		if (ask) {
			port->unsure = false;
			vcon_ctrl_port_ready(port);
		} else if (port->unsure) {
			vcon_port_unplug(port);
		} else {
			vcon_port_set_host_open(port, false);
		}
	}
	if (ask)
		queue_work(vcon_wq, &c->work);
}
