// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers of PFNs and their life on the inflate and the deflate queue: taken,
 * posted, answered by the host or given up, finished. Which pages go into them,
 * and where those go afterwards, is engine.c's business.
 *
 * No lock is held over a notification or a wait. Who takes a slot owns it until
 * it is posted, and again when the device has used it. A buffer that the host
 * does not answer in time is nobody's until vbal_slots_settle() finds it used.
 */
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "virtio_balloon_rh.h"

/*
 * QEMU needs about 1 ms for a full window, a host that swaps up to a few
 * seconds. After this the buffers are left to themselves and looked at again
 * from time to time; the waiter may hold up an OOM killer or a suspend.
 */
#define ANSWER_TIMEOUT	(5 * HZ)

/*
 * Takes what the device has used off the ring, for all who wait: once it is
 * taken, the core finds nothing used when the interrupt comes and does not call
 * back, so the owners are woken from here or would sleep until their timeout.
 */
static void vbal_reap(struct vbal_queue *q)
{
	struct vbal_slot *slot;
	unsigned int len, n = 0;

	lockdep_assert_held(&q->lock);
	/*
	 * The core returns only tokens that we posted and that are still out.
	 * The length means nothing: the device has nothing to write.
	 */
	while ((slot = virtqueue_get_buf(q->vq, &len))) {
		slot->state = VBAL_SLOT_USED;
		n++;
	}
	if (n)
		wake_up(&q->wait);
}

/**
 * vbal_slots_take() - take free slots
 * @q: queue
 * @max: how many at most
 * @batch: receives them
 *
 * Return: how many.
 */
unsigned int vbal_slots_take(struct vbal_queue *q, unsigned int max, struct list_head *batch)
{
	unsigned int i, n = 0;

	spin_lock(&q->lock);
	for (i = 0; i < q->slots && n < max; i++) {
		struct vbal_slot *slot = &q->slot[i];

		if (slot->state != VBAL_SLOT_FREE)
			continue;
		slot->state = VBAL_SLOT_TAKEN;
		list_add_tail(&slot->node, batch);
		n++;
	}
	spin_unlock(&q->lock);
	return n;
}

/* True if no slot will get free by waiting. */
static bool vbal_hopeless(struct vbal_queue *q)
{
	return virtqueue_is_broken(q->vq) || READ_ONCE(q->late) == q->slots;
}

/**
 * vbal_slots_take_wait() - take free slots, waiting for one while others use them
 * @q: queue
 * @max: how many at most
 * @batch: receives them
 *
 * Context: process context; at most ANSWER_TIMEOUT.
 * Return: how many; 0 if the host does not answer.
 */
unsigned int vbal_slots_take_wait(struct vbal_queue *q, unsigned int max,
				  struct list_head *batch)
{
	unsigned int n = 0;

	wait_event_timeout(q->wait, (n = vbal_slots_take(q, max, batch)) || vbal_hopeless(q),
			   ANSWER_TIMEOUT);
	return n;
}

/**
 * vbal_slot_free() - give a slot back whose pages went elsewhere
 * @q: queue
 * @slot: taken, not linked
 */
void vbal_slot_free(struct vbal_queue *q, struct vbal_slot *slot)
{
	spin_lock(&q->lock);
	if (slot->posted)
		WRITE_ONCE(q->pending, q->pending - slot->nr);
	if (slot->late)
		WRITE_ONCE(q->late, q->late - 1);
	if (slot->limbo)
		WRITE_ONCE(q->limbo, q->limbo - 1);
	slot->posted = false;
	slot->late = false;
	slot->limbo = false;
	slot->page = NULL;
	slot->nr = 0;
	slot->state = VBAL_SLOT_FREE;
	spin_unlock(&q->lock);
	wake_up(&q->wait);
}

/**
 * vbal_slot_add() - write the PFNs of a page into a buffer
 * @vb: device
 * @slot: taken
 * @page: what to name
 *
 * Return: false, and the buffer is as it was, if the page lies beyond 16 TiB,
 * where the device's PFNs of 32 bits end.
 */
bool vbal_slot_add(struct vbal *vb, struct vbal_slot *slot, struct page *page)
{
	u64 pfn = (u64)page_to_pfn(page) * VBAL_UNITS_PER_PAGE;
	unsigned int at = slot->nr * VBAL_UNITS_PER_PAGE;
	unsigned int i;

	if (pfn + VBAL_UNITS_PER_PAGE - 1 > U32_MAX) {
		atomic_long_inc(&vb->count.errors);
		return false;
	}
	for (i = 0; i < VBAL_UNITS_PER_PAGE; i++)
		slot->pfns[at + i] = cpu_to_virtio32(vb->vdev, (u32)pfn + i);
	slot->nr++;
	return true;
}

/* Return: 0, or an error if the device is broken or an IOMMU has no room. */
static int vbal_slot_post(struct vbal_queue *q, struct vbal_slot *slot)
{
	struct scatterlist sg;
	int err;

	lockdep_assert_held(&q->lock);
	sg_init_one(&sg, slot->pfns, slot->nr * VBAL_UNITS_PER_PAGE * sizeof(slot->pfns[0]));
	err = virtqueue_add_outbuf(q->vq, &sg, 1, slot, GFP_ATOMIC);
	if (err)
		return err;
	slot->state = VBAL_SLOT_POSTED;
	/*
	 * A page of a migration takes the place of one that counts as held: with both, the
	 * balloon would look too large, and give a page back to inflate another one.
	 */
	if (!slot->page) {
		slot->posted = true;
		WRITE_ONCE(q->pending, q->pending + slot->nr);
	}
	return 0;
}

/**
 * vbal_slots_post() - hand buffers to the host, with one notification
 * @vb: device
 * @q: queue
 * @batch: filled slots; those that stay on it are posted
 * @refused: receives slots that the ring did not take: the device is broken, or
 *	an IOMMU has no room
 *
 * Context: process context, no locks held.
 */
void vbal_slots_post(struct vbal *vb, struct vbal_queue *q, struct list_head *batch,
		     struct list_head *refused)
{
	struct vbal_slot *slot, *next;
	bool notify;

	spin_lock(&q->lock);
	list_for_each_entry_safe(slot, next, batch, node) {
		if (vbal_slot_post(q, slot)) {
			atomic_long_inc(&vb->count.errors);
			list_move_tail(&slot->node, refused);
		}
	}
	notify = virtqueue_kick_prepare(q->vq);
	spin_unlock(&q->lock);

	if (notify)
		virtqueue_notify(q->vq);
}

static bool vbal_answered(struct vbal_queue *q, struct list_head *batch)
{
	struct vbal_slot *slot;
	bool all = true;

	spin_lock(&q->lock);
	vbal_reap(q);
	list_for_each_entry(slot, batch, node)
		all = all && slot->state == VBAL_SLOT_USED;
	spin_unlock(&q->lock);
	return all || virtqueue_is_broken(q->vq);
}

/* Gives up what is unanswered. Return: how many. */
static unsigned int vbal_abandon(struct vbal_queue *q, struct list_head *batch, bool limbo)
{
	struct vbal_slot *slot, *next;
	unsigned int late = 0;

	spin_lock(&q->lock);
	list_for_each_entry_safe(slot, next, batch, node) {
		if (slot->state == VBAL_SLOT_USED)
			continue;
		list_del_init(&slot->node);
		slot->late = true;
		slot->limbo = limbo;
		late++;
	}
	WRITE_ONCE(q->late, q->late + late);
	if (limbo)
		WRITE_ONCE(q->limbo, q->limbo + late);
	spin_unlock(&q->lock);
	return late;
}

/**
 * vbal_slots_wait() - wait until the host has answered
 * @vb: device
 * @q: queue
 * @batch: posted slots; those that stay on it were used by the device and are
 *	the caller's again
 * @limbo: the page of an unanswered slot will be listed all the same
 *
 * Context: process context; at most ANSWER_TIMEOUT.
 */
void vbal_slots_wait(struct vbal *vb, struct vbal_queue *q, struct list_head *batch, bool limbo)
{
	unsigned int late;

	if (list_empty(batch))
		return;
	wait_event_timeout(q->wait, vbal_answered(q, batch), ANSWER_TIMEOUT);
	late = vbal_abandon(q, batch, limbo);
	if (!late)
		return;
	atomic_long_add(late, &vb->count.host_late);
	if (!virtqueue_is_broken(q->vq))
		dev_warn_ratelimited(&vb->vdev->dev,
				     "the host left %u buffers on the %s queue unanswered for %u s; their pages wait for it\n",
				     late, q->vq->name, ANSWER_TIMEOUT / HZ);
}

/**
 * vbal_slot_defer() - leave a filled slot to be posted later
 * @q: queue
 * @slot: taken, not linked
 *
 * It counts as late until the host has answered it or was reset.
 */
void vbal_slot_defer(struct vbal_queue *q, struct vbal_slot *slot)
{
	spin_lock(&q->lock);
	slot->state = VBAL_SLOT_UNSENT;
	slot->late = true;
	WRITE_ONCE(q->late, q->late + 1);
	spin_unlock(&q->lock);
}

/**
 * vbal_slots_resend() - try to post slots that were deferred
 * @q: queue
 *
 * Context: process context, no locks held; does not wait.
 */
void vbal_slots_resend(struct vbal_queue *q)
{
	bool notify = false;
	unsigned int i;

	if (!READ_ONCE(q->late))
		return;
	spin_lock(&q->lock);
	for (i = 0; i < q->slots; i++)
		if (q->slot[i].state == VBAL_SLOT_UNSENT && !vbal_slot_post(q, &q->slot[i]))
			notify = true;
	notify = notify && virtqueue_kick_prepare(q->vq);
	spin_unlock(&q->lock);

	if (notify)
		virtqueue_notify(q->vq);
}

/**
 * vbal_slots_settle() - find slots that were left and are answered since
 * @q: queue
 * @reset: the device was reset: it has let go of all of them and knows none
 * @done: receives them; they are the caller's
 */
void vbal_slots_settle(struct vbal_queue *q, bool reset, struct list_head *done)
{
	unsigned int i;

	spin_lock(&q->lock);
	vbal_reap(q);
	for (i = 0; i < q->slots; i++) {
		struct vbal_slot *slot = &q->slot[i];

		if (!slot->late)
			continue;
		if (slot->state != VBAL_SLOT_USED &&
		    !(reset && slot->state != VBAL_SLOT_TAKEN))
			continue;
		slot->state = VBAL_SLOT_TAKEN;
		list_add_tail(&slot->node, done);
	}
	spin_unlock(&q->lock);
}

/**
 * vbal_slots_wake() - virtqueue callback of both queues
 * @vq: queue on which buffers were used
 *
 * Context: interrupt.
 */
void vbal_slots_wake(struct virtqueue *vq)
{
	struct vbal *vb = vq->vdev->priv;

	wake_up(vq->index == VBAL_VQ_INFLATE ? &vb->inflate.wait : &vb->deflate.wait);
}

/**
 * vbal_slots_init() - prepare a queue's slots, once in a device's life
 * @q: zeroed queue
 *
 * Return: 0 or -ENOMEM; vbal_slots_exit() is due in both cases.
 */
int vbal_slots_init(struct vbal_queue *q)
{
	unsigned int i;

	spin_lock_init(&q->lock);
	init_waitqueue_head(&q->wait);
	for (i = 0; i < VBAL_SLOTS; i++) {
		struct vbal_slot *slot = &q->slot[i];

		INIT_LIST_HEAD(&slot->node);
		INIT_LIST_HEAD(&slot->pages);
		slot->pfns = kmalloc_array(VBAL_BUFFER_PFNS, sizeof(*slot->pfns), GFP_KERNEL);
		if (!slot->pfns)
			return -ENOMEM;
	}
	return 0;
}

/**
 * vbal_slots_exit() - free the buffers
 * @q: queue without virtqueue
 */
void vbal_slots_exit(struct vbal_queue *q)
{
	unsigned int i;

	for (i = 0; i < VBAL_SLOTS; i++)
		kfree(q->slot[i].pfns);
}

/**
 * vbal_slots_start() - give a queue its virtqueue
 * @q: queue without one
 * @vq: virtqueue; a ring smaller than VBAL_SLOTS makes for a smaller window
 */
void vbal_slots_start(struct vbal_queue *q, struct virtqueue *vq)
{
	q->vq = vq;
	q->slots = min_t(unsigned int, virtqueue_get_vring_size(vq), VBAL_SLOTS);
}

/**
 * vbal_slots_stop() - take the virtqueue away; pages in slots stay there
 * @q: queue of a device that was reset; nobody waits for a slot
 */
void vbal_slots_stop(struct vbal_queue *q)
{
	while (virtqueue_detach_unused_buf(q->vq))
		;
	q->vq = NULL;
	q->slots = 0;
}
