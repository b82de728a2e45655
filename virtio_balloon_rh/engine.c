// SPDX-License-Identifier: GPL-2.0-only
/*
 * Moves pages between the guest and the host, one window of buffers at a time,
 * and keeps the kernel's list of ballooned pages. It decides nothing about how
 * far to go (policy.c) and never touches config space (main.c).
 *
 * The rule that all of it serves: a page is in exactly one place. A page in a
 * slot belongs to that buffer until the host answers or the device is reset; a
 * page on the list is the host's. So a page enters the list, from where OOM and
 * compaction may take it, only after the host has confirmed it: asked to give a
 * page back before it took it, a host could do the two in the wrong order and
 * discard memory in use. A host that does not answer costs time, not a page;
 * and while it owes an answer it is asked nothing else, so that the time is one
 * wait and not one for each of compaction's pages or the OOM killer's calls.
 */
#include <linux/delay.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include "virtio_balloon_rh.h"

/*
 * How long to let compaction have its isolated pages: it holds them for
 * milliseconds, so 500 looks (5 s) without progress are worth a message.
 */
#define ISOLATED_WAIT_MS	10
#define ISOLATED_TRIES		500

static bool vbal_dead(struct vbal *vb)
{
	return READ_ONCE(vb->state) == VBAL_DEAD;
}

static void vbal_put_pages(struct list_head *pages)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, pages, lru) {
		list_del(&page->lru);
		put_page(page);
	}
}

/* Puts pages on the list. Counted first: what is listed can be taken at once. */
static void vbal_list(struct vbal *vb, struct list_head *pages, unsigned int n)
{
	if (!n)
		return;
	atomic_long_add(n, &vb->held);
	balloon_page_list_enqueue(&vb->info, pages);
}

/* Takes pages off the list. Return: how many; fewer than @want while some are isolated. */
static unsigned int vbal_unlist(struct vbal *vb, struct list_head *pages, unsigned long want)
{
	unsigned int n = balloon_page_list_dequeue(&vb->info, pages,
						   min_t(unsigned long, want, VBAL_BUFFER_PAGES));

	atomic_long_sub(n, &vb->held);
	return n;
}

/* ---- finishing what the host has answered ---- */

/* The host has these pages now. A migrated page is listed by the migration. */
static void vbal_inflated(struct vbal *vb, struct vbal_slot *slot)
{
	list_del_init(&slot->node);
	if (!slot->page) {
		atomic_long_add(slot->nr, &vb->count.inflated);
		vbal_list(vb, &slot->pages, slot->nr);
	}
	vbal_slot_free(&vb->inflate, slot);
}

/* The host knows that the guest uses these pages again. */
static void vbal_deflated(struct vbal *vb, struct vbal_slot *slot)
{
	list_del_init(&slot->node);
	if (slot->page) {
		put_page(slot->page);
	} else {
		vbal_put_pages(&slot->pages);
		atomic_long_add(slot->nr, &vb->count.deflated);
	}
	vbal_slot_free(&vb->deflate, slot);
}

static void vbal_settle(struct vbal *vb, bool reset)
{
	struct vbal_slot *slot, *next;
	LIST_HEAD(inflated);
	LIST_HEAD(deflated);

	vbal_slots_settle(&vb->inflate, reset, &inflated);
	list_for_each_entry_safe(slot, next, &inflated, node)
		vbal_inflated(vb, slot);
	if (!reset)
		vbal_slots_resend(&vb->deflate);
	vbal_slots_settle(&vb->deflate, reset, &deflated);
	list_for_each_entry_safe(slot, next, &deflated, node)
		vbal_deflated(vb, slot);
}

/**
 * vbal_settle_late() - finish buffers that were left, if the host answered them
 * @vb: device with virtqueues
 *
 * Context: process context.
 * Return: true if some are still unanswered, so that it is worth to come back.
 */
bool vbal_settle_late(struct vbal *vb)
{
	vbal_settle(vb, vbal_dead(vb));
	return READ_ONCE(vb->inflate.late) || READ_ONCE(vb->deflate.late);
}

/**
 * vbal_engine_broken() - can the device not be talked to?
 * @vb: device with virtqueues
 *
 * Return: true if it was removed, was reset after a failure, or broke the rules
 * of the ring.
 */
bool vbal_engine_broken(struct vbal *vb)
{
	return virtqueue_is_broken(vb->inflate.vq) || virtqueue_is_broken(vb->deflate.vq);
}

/* ---- inflate ---- */

/* Allocates up to @want pages into a buffer. Return: false if the guest ran short. */
static bool vbal_fill(struct vbal *vb, struct vbal_slot *slot, unsigned int want)
{
	unsigned int misfits = 0;
	struct page *page;
	LIST_HEAD(unusable);

	while (slot->nr < want && misfits < VBAL_BUFFER_PAGES) {
		page = balloon_page_alloc();
		if (!page) {
			atomic_long_inc(&vb->count.alloc_failed);
			break;
		}
		if (vbal_slot_add(vb, slot, page)) {
			list_add_tail(&page->lru, &slot->pages);
		} else {
			/* Kept for now, or the allocator would return it again. */
			list_add(&page->lru, &unusable);
			misfits++;
		}
	}
	vbal_put_pages(&unusable);
	return slot->nr == want;
}

/**
 * vbal_inflate() - give pages to the host
 * @vb: running device
 * @want: how many at most; one window is moved at a time
 *
 * Context: only the resize work. Allocates and sleeps; waits for the host no
 * longer than vbal_slots_wait().
 * Return: pages that the host confirmed.
 */
unsigned long vbal_inflate(struct vbal *vb, unsigned long want)
{
	struct vbal_queue *q = &vb->inflate;
	struct vbal_slot *slot, *next;
	unsigned long moved = 0;
	bool plenty = true;
	LIST_HEAD(refused);
	LIST_HEAD(batch);

	if (vbal_settle_late(vb))
		return 0;
	want = min_t(unsigned long, want, VBAL_WINDOW_PAGES);
	vbal_slots_take(q, DIV_ROUND_UP(want, VBAL_BUFFER_PAGES), &batch);
	list_for_each_entry_safe(slot, next, &batch, node) {
		if (plenty && want)
			plenty = vbal_fill(vb, slot,
					   min_t(unsigned long, want, VBAL_BUFFER_PAGES));
		if (!slot->nr)
			list_move_tail(&slot->node, &refused);
		want -= slot->nr;
		cond_resched();
	}

	if (!list_empty(&batch))
		vbal_slots_post(vb, q, &batch, &refused);
	vbal_slots_wait(vb, q, &batch, false);

	list_for_each_entry_safe(slot, next, &batch, node) {
		moved += slot->nr;
		vbal_inflated(vb, slot);
	}
	list_for_each_entry_safe(slot, next, &refused, node) {
		list_del_init(&slot->node);
		vbal_put_pages(&slot->pages);
		vbal_slot_free(q, slot);
	}
	return moved;
}

/* ---- deflate ---- */

/*
 * Frees listed pages without a word to the host: it was reset and knows nothing
 * of them any more. Return: how many.
 */
static unsigned long vbal_reclaim(struct vbal *vb, unsigned long want)
{
	unsigned long freed = 0;
	unsigned int n;

	do {
		LIST_HEAD(pages);

		n = vbal_unlist(vb, &pages, want - freed);
		vbal_put_pages(&pages);
		freed += n;
		cond_resched();
	} while (n && freed < want);
	atomic_long_add(freed, &vb->count.deflated);
	return freed;
}

/* Fills a buffer with listed pages. Return: how many. */
static unsigned int vbal_drain(struct vbal *vb, struct vbal_slot *slot, unsigned long want)
{
	unsigned int n = vbal_unlist(vb, &slot->pages, want);
	struct page *page;

	/*
	 * Among them may be a page that a migration offered to a host that did
	 * not confirm it. Looked at after taking: such a page cannot be listed
	 * before limbo was raised.
	 */
	if (READ_ONCE(vb->inflate.limbo)) {
		vbal_list(vb, &slot->pages, n);
		return 0;
	}
	/* None can fail: each of them was named when it was inflated. */
	list_for_each_entry(page, &slot->pages, lru)
		vbal_slot_add(vb, slot, page);
	return n;
}

/**
 * vbal_deflate() - take pages back from the host
 * @vb: device with virtqueues
 * @want: how many at most; one window is moved at a time
 *
 * The pages are free to use when the host has confirmed it. MUST_TELL_HOST asks
 * for that order; without it this keeps the order all the same.
 *
 * Context: process context, several may run at once; waits no longer than
 * vbal_slots_take_wait() and vbal_slots_wait(). Allocates nothing, so that the
 * OOM notifier may call it.
 * Return: pages that are free now.
 */
unsigned long vbal_deflate(struct vbal *vb, unsigned long want)
{
	struct vbal_queue *q = &vb->deflate;
	struct vbal_slot *slot, *next;
	unsigned long moved = 0;
	LIST_HEAD(refused);
	LIST_HEAD(batch);

	if (vbal_dead(vb))
		return vbal_reclaim(vb, want);
	if (vbal_settle_late(vb))
		return 0;

	want = min3(want, (unsigned long)VBAL_WINDOW_PAGES,
		    (unsigned long)max(atomic_long_read(&vb->held), 0L));
	if (!want)
		return 0;
	vbal_slots_take_wait(q, DIV_ROUND_UP(want, VBAL_BUFFER_PAGES), &batch);
	list_for_each_entry_safe(slot, next, &batch, node) {
		if (want)
			want -= vbal_drain(vb, slot, want);
		if (!slot->nr)
			list_move_tail(&slot->node, &refused);
	}

	if (!list_empty(&batch))
		vbal_slots_post(vb, q, &batch, &refused);
	vbal_slots_wait(vb, q, &batch, false);

	list_for_each_entry_safe(slot, next, &batch, node) {
		moved += slot->nr;
		vbal_deflated(vb, slot);
	}
	list_for_each_entry_safe(slot, next, &refused, node) {
		list_del_init(&slot->node);
		vbal_list(vb, &slot->pages, slot->nr);
		vbal_slot_free(q, slot);
	}
	return moved;
}

/* ---- migration ---- */

/* Return: a slot of @q that names @page, or NULL; never waits. */
static struct vbal_slot *vbal_take_for(struct vbal *vb, struct vbal_queue *q, struct page *page)
{
	struct vbal_slot *slot;
	LIST_HEAD(batch);

	if (!vbal_slots_take(q, 1, &batch))
		return NULL;
	slot = list_first_entry(&batch, struct vbal_slot, node);
	list_del_init(&slot->node);
	if (!vbal_slot_add(vb, slot, page)) {
		vbal_slot_free(q, slot);
		return NULL;
	}
	slot->page = page;
	return slot;
}

/*
 * Tells the host of the one page in a slot. Return: false if the ring refused
 * it; else the slot is finished, or late and finished later.
 */
static bool vbal_tell(struct vbal *vb, struct vbal_queue *q, struct vbal_slot *slot)
{
	LIST_HEAD(refused);
	LIST_HEAD(batch);

	list_add(&slot->node, &batch);
	vbal_slots_post(vb, q, &batch, &refused);
	if (list_empty(&batch)) {
		list_del_init(&slot->node);
		return false;
	}
	vbal_slots_wait(vb, q, &batch, q == &vb->inflate);
	if (list_empty(&batch))
		return true;
	if (q == &vb->inflate)
		vbal_inflated(vb, slot);
	else
		vbal_deflated(vb, slot);
	return true;
}

/* Exchanges one page of the host for another; see vbal_migrate(). */
static int vbal_exchange(struct vbal *vb, struct page *newpage, struct page *page)
{
	struct vbal_slot *in, *out;

	out = vbal_take_for(vb, &vb->deflate, page);
	if (!out)
		return -EAGAIN;
	in = vbal_take_for(vb, &vb->inflate, newpage);
	if (!in)
		goto err_out;

	/*
	 * Unanswered, the new page is the host's all the same: it may take it at
	 * any time. Being in limbo keeps vbal_drain() away from it.
	 */
	if (!vbal_tell(vb, &vb->inflate, in))
		goto err_in;

	/*
	 * Our caller drops the balloon's reference to the old page; ours keeps
	 * it from use until the host knows. A silent host is told without
	 * waiting for it a second time; what the ring refuses (a broken device,
	 * or no room in an IOMMU) is told later.
	 */
	get_page(page);
	if (READ_ONCE(vb->inflate.late) || !vbal_tell(vb, &vb->deflate, out)) {
		vbal_slot_defer(&vb->deflate, out);
		vbal_slots_resend(&vb->deflate);
	}
	atomic_long_inc(&vb->count.migrated);
	return 0;

err_in:
	vbal_slot_free(&vb->inflate, in);
err_out:
	vbal_slot_free(&vb->deflate, out);
	return -EAGAIN;
}

/**
 * vbal_migrate() - let compaction have a ballooned page for another one
 * @info: the kernel's list of ballooned pages
 * @newpage: page that goes to the host
 * @page: page that comes back; it is isolated from the list
 * @mode: of the migration; how long the host takes cannot be chosen
 *
 * The kernel (or compat_mm.h) does the list and the counters after this.
 *
 * Context: process context, pages locked by the migration. Never waits for a
 * slot, because a migration can be tried again.
 * Return: 0 if the host has @newpage for @page, -EAGAIN if nothing happened.
 */
int vbal_migrate(struct balloon_dev_info *info, struct page *newpage, struct page *page,
		 enum migrate_mode mode)
{
	struct vbal *vb = container_of(info, struct vbal, info);
	int idx, err = -EAGAIN;

	idx = srcu_read_lock(&vb->gate);
	if (vbal_running(vb) && !vbal_engine_broken(vb) && !vbal_settle_late(vb))
		err = vbal_exchange(vb, newpage, page);
	/* What was left unfinished holds a page until somebody looks again. */
	if (!err && (READ_ONCE(vb->inflate.late) || READ_ONCE(vb->deflate.late)))
		vbal_queue_resize(vb, vbal_backoff_ms(UINT_MAX));
	srcu_read_unlock(&vb->gate, idx);
	return err;
}

/* ---- start and stop ---- */

/**
 * vbal_engine_init() - prepare the engine, once in a device's life
 * @vb: zeroed device
 *
 * Context: process context.
 * Return: 0 or -ENOMEM.
 */
int vbal_engine_init(struct vbal *vb)
{
	int err;

	balloon_devinfo_init(&vb->info);
	vb->info.migratepage = vbal_migrate;
	atomic_long_set(&vb->held, 0);

	err = init_srcu_struct(&vb->gate);
	if (err)
		return err;
	err = vbal_slots_init(&vb->inflate);
	if (err)
		goto err_inflate;
	err = vbal_slots_init(&vb->deflate);
	if (err)
		goto err_deflate;
	return 0;

err_deflate:
	vbal_slots_exit(&vb->deflate);
err_inflate:
	vbal_slots_exit(&vb->inflate);
	cleanup_srcu_struct(&vb->gate);
	return err;
}

/**
 * vbal_engine_exit() - undo vbal_engine_init()
 * @vb: device, released
 */
void vbal_engine_exit(struct vbal *vb)
{
	vbal_slots_exit(&vb->deflate);
	vbal_slots_exit(&vb->inflate);
	cleanup_srcu_struct(&vb->gate);
}

/**
 * vbal_engine_empty() - take all pages back, as long as the host plays along
 * @vb: device that is quiesced and not reset
 *
 * Pages that a host does not answer for are left to vbal_engine_release().
 *
 * Context: process context, no work and no migration runs.
 */
void vbal_engine_empty(struct vbal *vb)
{
	unsigned int idle = 0;

	while (atomic_long_read(&vb->held) && idle < ISOLATED_TRIES) {
		if (vbal_engine_broken(vb) || vbal_settle_late(vb))
			return;
		if (vbal_deflate(vb, VBAL_WINDOW_PAGES)) {
			idle = 0;
		} else {
			msleep(ISOLATED_WAIT_MS);
			idle++;
		}
	}
}

/**
 * vbal_engine_release() - give every page back to the guest
 * @vb: device that is quiesced and was reset; nobody else is here
 *
 * A page that compaction has isolated points to us, so this waits until the
 * last one is put back: the kernel does that by itself, and no device can keep
 * it from it, because migrations end.
 *
 * Context: process context.
 */
void vbal_engine_release(struct vbal *vb)
{
	unsigned int tries = 0;

	/* What the device had: the inflate slots' pages get listed and go below. */
	vbal_settle(vb, true);
	vbal_slots_stop(&vb->inflate);
	vbal_slots_stop(&vb->deflate);

	while (atomic_long_read(&vb->held)) {
		if (vbal_reclaim(vb, ULONG_MAX))
			continue;
		if (++tries == ISOLATED_TRIES)
			dev_warn(&vb->vdev->dev, "waiting for %ld pages that compaction holds\n",
				 atomic_long_read(&vb->held));
		msleep(ISOLATED_WAIT_MS);
	}
}
