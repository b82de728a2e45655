// SPDX-License-Identifier: GPL-2.0-only
/*
 * The state of a device, and the end of one that does not answer: finding out,
 * and ending every request that it still holds with an error. Bringing such a
 * device back is not here yet.
 */
#include <vrh/log.h>
#include <vrh/device.h>
#include <linux/virtio_config.h>

#include "compat.h"

#include "virtio_blk_rh.h"

/**
 * vblk_set_state() - the only place where a disk changes its state
 * @vblk: disk
 * @to: new state
 *
 * Context: vblk->reset_lock held.
 * Return: true if the transition is allowed; then it has been made.
 */
bool vblk_set_state(struct vblk *vblk, enum vblk_state to)
{
	enum vblk_state from = vblk->state;

	lockdep_assert_held(&vblk->reset_lock);
	if (from == VBLK_DEAD || from == to)
		return false;
	WRITE_ONCE(vblk->state, to);
	return true;
}

/**
 * vblk_is_lost() - can requests in flight never come back?
 * @vblk: disk
 *
 * Yes if the device is gone, was reset behind our back, asks to be reset
 * (VIRTIO 1.3, 2.1.1), or if the core has declared a ring broken. A disk that
 * is not live has no requests in flight.
 *
 * Context: process context; reads the device's status.
 */
bool vblk_is_lost(struct vblk *vblk)
{
	unsigned int i;
	u8 status;

	/* The virtqueues must stay while we look at them. */
	guard(mutex)(&vblk->reset_lock);
	if (vblk->state != VBLK_LIVE)
		return false;

	status = vblk->vdev->config->get_status(vblk->vdev);
	if (status == VRH_STATUS_ABSENT || !(status & VIRTIO_CONFIG_S_DRIVER_OK) ||
	    (status & VIRTIO_CONFIG_S_NEEDS_RESET))
		return true;
	for (i = 0; i < vblk->nr_vqs; i++)
		if (virtqueue_is_broken(vblk->vqs[i].vq))
			return true;
	return false;
}

/**
 * vblk_suspect() - have somebody look whether the device is lost
 * @vblk: disk
 *
 * Context: any.
 */
void vblk_suspect(struct vblk *vblk)
{
	if (READ_ONCE(vblk->state) == VBLK_LIVE)
		mod_delayed_work(vblk_workqueue, &vblk->reaper, 0);
}

/* End with an error what the device had not used when it was stopped. */
static unsigned int vblk_fail_inflight(struct vblk_vq *vq)
{
	unsigned int n = 0;
	struct vblk_req *vr;

	do {
		spin_lock_irq(&vq->lock);
		vr = virtqueue_detach_unused_buf(vq->vq);
		if (vr)
			vq->inflight--;
		spin_unlock_irq(&vq->lock);
		if (vr) {
			WRITE_ONCE(vr->status, VIRTIO_BLK_S_IOERR);
			blk_mq_complete_request(blk_mq_rq_from_pdu(vr));
			n++;
		}
	} while (vr);
	return n;
}

/**
 * vblk_give_up() - declare the device dead and end all its requests
 * @vblk: disk, in any state
 * @why: for the message
 *
 * The disk stays, and answers everything with an error until it is removed.
 *
 * Context: may sleep.
 */
void vblk_give_up(struct vblk *vblk, const char *why)
{
	struct request_queue *q = vblk->disk->queue;
	unsigned int i, failed = 0;
	bool had_vqs, going;

	mutex_lock(&vblk->reset_lock);
	had_vqs = vblk->state == VBLK_LIVE;
	if (!vblk_set_state(vblk, VBLK_DEAD))
		goto out;

	/* From here on nothing is added; wait for those who are adding. */
	blk_mq_quiesce_queue(q);
	if (had_vqs) {
		/* What the host did finish keeps its own status. */
		for (i = 0; i < vblk->nr_vqs; i++)
			vblk_drain(&vblk->vqs[i]);
		vrh_device_stop(vblk->vdev);
		for (i = 0; i < vblk->nr_vqs; i++)
			failed += vblk_fail_inflight(&vblk->vqs[i]);
	} else {
		/* Balance what froze it, so that waiting requests can fail. */
		blk_mq_unquiesce_queue(q);
	}
	blk_mq_start_stopped_hw_queues(q, true);
	blk_mq_unquiesce_queue(q);

	if (vrh_going_down())
		goto out;
	going = READ_ONCE(vblk->removing) || READ_ONCE(vblk->adding);
	dev_err(&vblk->vdev->dev, "%s: %s; %u requests in flight failed%s\n",
		vblk->disk->disk_name, why, failed,
		going ? "" : "; unbind and bind the device to use it again");
out:
	mutex_unlock(&vblk->reset_lock);
}

/* Requests in flight, and how many have ever come back. */
static unsigned int vblk_progress(struct vblk *vblk, u64 *done)
{
	unsigned int i, inflight = 0;

	*done = 0;
	for (i = 0; i < vblk->nr_vqs; i++) {
		struct vblk_vq *vq = &vblk->vqs[i];

		spin_lock_irq(&vq->lock);
		inflight += vq->inflight;
		*done += vq->done;
		spin_unlock_irq(&vq->lock);
	}
	return inflight;
}

/**
 * vblk_reaper() - give a device up when there is no hope
 * @work: vblk->reaper
 *
 * Runs when something looked wrong, and every second while the disk is being
 * added or removed: the block layer then waits for requests without end. Ticks
 * are counted, not time, so that a guest that the host had paused meanwhile
 * gives the host its full time.
 */
void vblk_reaper(struct work_struct *work)
{
	struct vblk *vblk = container_of(to_delayed_work(work), struct vblk, reaper);
	u64 done;

	if (READ_ONCE(vblk->state) != VBLK_LIVE)
		return;

	if (vblk_is_lost(vblk)) {
		vblk_give_up(vblk, "device is lost");
		return;
	}
	if (!READ_ONCE(vblk->removing) && !READ_ONCE(vblk->adding))
		return;

	if (!vblk_progress(vblk, &done) || done != vblk->reaper_seen)
		vblk->reaper_stalled = 0;
	else
		vblk->reaper_stalled++;
	vblk->reaper_seen = done;
	if (vblk->reaper_stalled >= VBLK_HOST_TIMEOUT_S)
		vblk_give_up(vblk, "host does not answer");
	else
		queue_delayed_work(vblk_workqueue, &vblk->reaper, HZ);
}
