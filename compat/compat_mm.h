/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Differences of memory management that the balloon meets: who keeps the books
 * of ballooned pages, where the reclaim counters live, tags of the statistics
 * queue, the order that means "default" in free page reporting.
 */
#ifndef VRH_COMPAT_MM_H
#define VRH_COMPAT_MM_H

#include <linux/mm.h>
#include <linux/page_reporting.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/virtio_balloon.h>
#include <linux/vmstat.h>

#ifdef VRH_HAVE_MM_BALLOON_HEADER
#include <linux/balloon.h>

/* A page stays isolated, and so the device alive, until the kernel is back from migratepage(). */
static inline void vrh_balloon_flush(void)
{
}
#else
#include <linux/balloon_compaction.h>

/*
 * The newest struct balloon_dev_info around the older one. Differences that the
 * wrappers below even out: the managed page count is kept for the driver, and
 * migratepage() only talks to the host; list, counters and references are done
 * here after it returned 0. Its -ENOENT ("old page deflated, new one not
 * taken") is not supported. Delete with 6.12.
 */
struct vrh_balloon_dev_info {
	struct balloon_dev_info base;
	int (*migratepage)(struct vrh_balloon_dev_info *info, struct page *newpage,
			   struct page *page, enum migrate_mode mode);
	bool adjust_managed_page_count;
};

/*
 * Called under the lock of both pages. The new page enters the list only now,
 * when the host has it: nobody can take it out before, and nobody can free the
 * device before it was taken out.
 */
static inline int vrh_balloon_migrate(struct balloon_dev_info *base, struct page *newpage,
				      struct page *page, enum migrate_mode mode)
{
	struct vrh_balloon_dev_info *info =
		container_of(base, struct vrh_balloon_dev_info, base);
	unsigned long flags;
	int err;

	err = info->migratepage(info, newpage, page, mode);
	if (err)
		return err;

	get_page(newpage);
	if (info->adjust_managed_page_count && page_zone(page) != page_zone(newpage)) {
		adjust_managed_page_count(page, 1);
		adjust_managed_page_count(newpage, -1);
	}
	spin_lock_irqsave(&base->pages_lock, flags);
	balloon_page_insert(base, newpage);
	base->isolated_pages--;
#ifdef CONFIG_BALLOON_COMPACTION
	__count_vm_event(BALLOON_MIGRATE);
#endif
	spin_unlock_irqrestore(&base->pages_lock, flags);
	balloon_page_finalize(page);
	put_page(page);
	return 0;
}

static inline void vrh_balloon_devinfo_init(struct vrh_balloon_dev_info *info)
{
	balloon_devinfo_init(&info->base);
	info->base.migratepage = vrh_balloon_migrate;
	info->migratepage = NULL;
	info->adjust_managed_page_count = false;
}

/*
 * Not the kernel's function of this name: it takes the page lock by trylock and
 * stops the kernel if that fails, which is right for new pages only. A page that
 * was on the list before (taken off for a deflate that the ring refused) may
 * still have a visitor: compaction, which saw a movable page, holds the lock for
 * a few instructions to look again. So the lock is waited for.
 *
 * The managed count is adjusted before the page is listed: a listed page can be
 * migrated to another zone.
 */
static inline size_t vrh_balloon_page_list_enqueue(struct vrh_balloon_dev_info *info,
						   struct list_head *pages)
{
	struct page *page, *next;
	unsigned long flags;
	size_t n = 0;

	list_for_each_entry_safe(page, next, pages, lru) {
		list_del(&page->lru);
		if (info->adjust_managed_page_count)
			adjust_managed_page_count(page, -1);
		lock_page(page);
		spin_lock_irqsave(&info->base.pages_lock, flags);
		balloon_page_insert(&info->base, page);
		__count_vm_event(BALLOON_INFLATE);
		spin_unlock_irqrestore(&info->base.pages_lock, flags);
		unlock_page(page);
		n++;
	}
	return n;
}

static inline size_t vrh_balloon_page_list_dequeue(struct vrh_balloon_dev_info *info,
						   struct list_head *pages, size_t want)
{
	size_t got = balloon_page_list_dequeue(&info->base, pages, want);
	struct page *page;

	if (info->adjust_managed_page_count)
		list_for_each_entry(page, pages, lru)
			adjust_managed_page_count(page, 1);
	return got;
}

/*
 * For module exit, when no device is left: the end of vrh_balloon_migrate() runs
 * without a hold on the device, and a task may have been preempted there.
 */
static inline void vrh_balloon_flush(void)
{
	synchronize_rcu_tasks();
}

#define balloon_dev_info vrh_balloon_dev_info
#define balloon_devinfo_init vrh_balloon_devinfo_init
#define balloon_page_list_enqueue vrh_balloon_page_list_enqueue
#define balloon_page_list_dequeue vrh_balloon_page_list_dequeue
#endif /* !VRH_HAVE_MM_BALLOON_HEADER */

/* Newer kernels name allocations by the object; 6.1 does not. Delete with 6.1. */
#ifndef kzalloc_obj
#define kzalloc_obj(object) kzalloc(sizeof(object), GFP_KERNEL)
#endif

/* 7.3 takes -1 as "the kernel's default order", older kernels 0, which is an order there. */
#ifndef PAGE_REPORTING_ORDER_UNSPECIFIED
#define PAGE_REPORTING_ORDER_UNSPECIFIED 0
#endif

/* Tags of the statistics queue that 6.1 does not know. Delete with it. */
#ifndef VIRTIO_BALLOON_S_OOM_KILL
#define VIRTIO_BALLOON_S_OOM_KILL 10
#define VIRTIO_BALLOON_S_ALLOC_STALL 11
#define VIRTIO_BALLOON_S_ASYNC_SCAN 12
#define VIRTIO_BALLOON_S_DIRECT_SCAN 13
#define VIRTIO_BALLOON_S_ASYNC_RECLAIM 14
#define VIRTIO_BALLOON_S_DIRECT_RECLAIM 15
#endif

/**
 * vrh_reclaim_event() - how many pages reclaim scanned or took
 * @events: what all_vm_events() gave
 * @name: PGSCAN_KSWAPD, PGSCAN_DIRECT, PGSTEAL_KSWAPD or PGSTEAL_DIRECT
 *
 * Return: pages since boot. Delete with 6.12.
 */
#ifdef VRH_HAVE_MM_RECLAIM_NODE_STAT
#define vrh_reclaim_event(events, name) ((void)(events), global_node_page_state(name))
#else
#define vrh_reclaim_event(events, name) ((events)[name])
#endif

/* Kernels without huge pages have no counters of their allocation. */
#ifdef CONFIG_HUGETLB_PAGE
#define vrh_hugetlb_event(events, name) ((events)[name])
#else
#define vrh_hugetlb_event(events, name) ((void)(events), (void)#name, 0UL)
#endif

#endif
