// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keeps the guest awake while it does what the host has asked for, if the
 * administrator wants that (power/wakeup of the device). Without it a request
 * that arrives while the guest falls asleep waits until somebody wakes it. Owns
 * the wakeup event; the works say when they are done.
 */
#include <linux/device.h>

#include "virtio_balloon_rh.h"

/**
 * vbal_awake_hold() - the host wants something: do not sleep before it is done
 * @vb: device
 * @why: what it wants
 *
 * Does nothing unless the device runs, so that no event is left behind.
 *
 * Context: any.
 */
void vbal_awake_hold(struct vbal *vb, enum vbal_awake why)
{
	unsigned long flags;

	spin_lock_irqsave(&vb->state_lock, flags);
	if (vb->state == VBAL_RUNNING) {
		if (!vb->awake_asked && !vb->awake_busy)
			pm_stay_awake(&vb->vdev->dev);
		vb->awake_asked |= why;
	}
	spin_unlock_irqrestore(&vb->state_lock, flags);
}

/**
 * vbal_awake_begin() - a work looks at what the host wants now
 * @vb: device
 * @why: what the work is for
 *
 * What the host asks for after this holds again. A work that comes by itself,
 * to try again, holds nothing: it would keep the guest awake for ever.
 *
 * Context: process context.
 */
void vbal_awake_begin(struct vbal *vb, enum vbal_awake why)
{
	spin_lock_irq(&vb->state_lock);
	vb->awake_busy |= vb->awake_asked & why;
	vb->awake_asked &= ~why;
	spin_unlock_irq(&vb->state_lock);
}

static void vbal_awake_drop(struct vbal *vb, unsigned int asked, unsigned int busy)
{
	bool held;

	spin_lock_irq(&vb->state_lock);
	held = vb->awake_asked || vb->awake_busy;
	vb->awake_asked &= ~asked;
	vb->awake_busy &= ~busy;
	if (held && !vb->awake_asked && !vb->awake_busy)
		pm_relax(&vb->vdev->dev);
	spin_unlock_irq(&vb->state_lock);
}

/**
 * vbal_awake_end() - a work is done, or waits for something
 * @vb: device
 * @why: what the work is for
 *
 * Context: process context.
 */
void vbal_awake_end(struct vbal *vb, enum vbal_awake why)
{
	vbal_awake_drop(vb, 0, why);
}

/**
 * vbal_awake_stop() - let go of everything
 * @vb: device that is stopped and whose works are over
 *
 * A suspend that is under way has counted the event and ends all the same.
 *
 * Context: process context.
 */
void vbal_awake_stop(struct vbal *vb)
{
	vbal_awake_drop(vb, UINT_MAX, UINT_MAX);
}
