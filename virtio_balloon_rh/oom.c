// SPDX-License-Identifier: GPL-2.0-only
/*
 * Deflate on OOM: what the balloon gives back before the kernel would kill a
 * task, and how long it leaves the memory alone afterwards. Owns the notifier
 * and its pause; how much and how long are policy.c's.
 */
#include <linux/jiffies.h>
#include <linux/oom.h>

#include "virtio_balloon_rh.h"

/*
 * Before others: memory that the host lent back costs the guest less than what
 * they would free.
 */
#define OOM_PRIORITY	80

/* Beyond this an OOM call is an old story at any level; keeps msecs in 32 bits. */
#define OOM_LONG_AGO	(3600UL * HZ)

/* Starts the pause, or prolongs it. */
static void vbal_oom_pause(struct vbal *vb)
{
	unsigned long since = ULONG_MAX;

	spin_lock(&vb->oom_lock);
	if (vb->oom_seen)
		since = jiffies_to_msecs(min(jiffies - vb->oom_last, OOM_LONG_AGO));
	vb->oom_level = vbal_oom_level(vb->oom_level, since);
	vb->oom_last = jiffies;
	vb->oom_seen = true;
	spin_unlock(&vb->oom_lock);
}

/**
 * vbal_oom_left_ms() - the rest of the pause after an OOM call
 * @vb: device
 *
 * Return: milliseconds, 0 if inflating is allowed.
 */
unsigned int vbal_oom_left_ms(struct vbal *vb)
{
	unsigned long since;
	unsigned int left = 0;

	spin_lock(&vb->oom_lock);
	if (vb->oom_seen) {
		since = jiffies_to_msecs(min(jiffies - vb->oom_last, OOM_LONG_AGO));
		left = vbal_oom_pause_ms(vb->oom_level);
		left = since < left ? left - since : 0;
	}
	spin_unlock(&vb->oom_lock);
	return left;
}

/*
 * Called with the kernel's oom_lock held, in the context of any task that could
 * not get a page: nothing here allocates, and every wait is bounded.
 */
static int vbal_oom_notify(struct notifier_block *nb, unsigned long unused, void *parm)
{
	struct vbal *vb = container_of(nb, struct vbal, oom_nb);
	unsigned long want, got, sum = 0;
	unsigned long *freed = parm;

	/* First of all, so that the resize work does not take it back at once. */
	vbal_oom_pause(vb);
	atomic_long_inc(&vb->count.oom_calls);

	want = vbal_oom_chunk(atomic_long_read(&vb->held));
	while (sum < want) {
		got = vbal_deflate(vb, want - sum);
		if (!got)
			break;
		sum += got;
	}
	*freed += sum;
	atomic_long_add(sum, &vb->count.oom_pages);
	/* To tell the host what we hold now, and to come back after the pause. */
	vbal_queue_resize(vb, 0);
	return NOTIFY_OK;
}

/**
 * vbal_oom_start() - listen for OOM, if the device wants that
 * @vb: running device
 *
 * Context: process context.
 * Return: 0 or a negative error code.
 */
int vbal_oom_start(struct vbal *vb)
{
	int err;

	if (!virtio_has_feature(vb->vdev, VIRTIO_BALLOON_F_DEFLATE_ON_OOM))
		return 0;
	vb->oom_nb.notifier_call = vbal_oom_notify;
	vb->oom_nb.priority = OOM_PRIORITY;
	err = register_oom_notifier(&vb->oom_nb);
	vb->oom_registered = !err;
	return err;
}

/**
 * vbal_oom_stop() - stop listening; waits for a call that is running
 * @vb: device; may be called again
 *
 * Context: process context.
 */
void vbal_oom_stop(struct vbal *vb)
{
	if (vb->oom_registered)
		unregister_oom_notifier(&vb->oom_nb);
	vb->oom_registered = false;
}
