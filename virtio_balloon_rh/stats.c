// SPDX-License-Identifier: GPL-2.0-only
/*
 * The statistics queue (VIRTIO 1.3, 5.5.6.3): one buffer lies at the host, who
 * returns it when it wants fresh numbers. This file owns the buffer and the
 * queue; numbers come from the kernel and nothing is decided here.
 */
#include <linux/build_bug.h>
#include <linux/mm.h>
#include <linux/swap.h>
#include <linux/vmstat.h>

#include "virtio_balloon_rh.h"

static void vbal_stat(struct vbal *vb, unsigned int *n, u16 tag, u64 value)
{
	if (*n == VBAL_STATS)
		return;
	vb->stats[*n].tag = cpu_to_virtio16(vb->vdev, tag);
	vb->stats[*n].val = cpu_to_virtio64(vb->vdev, value);
	(*n)++;
}

static void vbal_stat_pages(struct vbal *vb, unsigned int *n, u16 tag, u64 pages)
{
	vbal_stat(vb, n, tag, pages << PAGE_SHIFT);
}

/* Allocations that had to reclaim themselves, of all zones. */
static unsigned long vbal_stalls(const unsigned long *events)
{
	unsigned long sum = 0;
	unsigned int zone;

	for (zone = 0; zone < MAX_NR_ZONES; zone++)
		sum += events[ALLOCSTALL_NORMAL - ZONE_NORMAL + zone];
	return sum;
}

/* Fills the buffer. The same tags each time: the host may count on that. */
static void vbal_stats_fill(struct vbal *vb)
{
	unsigned long events[NR_VM_EVENT_ITEMS] = {};
	struct sysinfo info;
	unsigned int n = 0;

	all_vm_events(events);
	si_meminfo(&info);

	vbal_stat_pages(vb, &n, VIRTIO_BALLOON_S_SWAP_IN, events[PSWPIN]);
	vbal_stat_pages(vb, &n, VIRTIO_BALLOON_S_SWAP_OUT, events[PSWPOUT]);
	vbal_stat(vb, &n, VIRTIO_BALLOON_S_MAJFLT, events[PGMAJFAULT]);
	vbal_stat(vb, &n, VIRTIO_BALLOON_S_MINFLT, events[PGFAULT]);
	vbal_stat_pages(vb, &n, VIRTIO_BALLOON_S_MEMFREE, info.freeram);
	vbal_stat_pages(vb, &n, VIRTIO_BALLOON_S_MEMTOT, info.totalram);
	vbal_stat_pages(vb, &n, VIRTIO_BALLOON_S_AVAIL, max(si_mem_available(), 0L));
	vbal_stat_pages(vb, &n, VIRTIO_BALLOON_S_CACHES, global_node_page_state(NR_FILE_PAGES));
	vbal_stat(vb, &n, VIRTIO_BALLOON_S_HTLB_PGALLOC,
		  vrh_hugetlb_event(events, HTLB_BUDDY_PGALLOC));
	vbal_stat(vb, &n, VIRTIO_BALLOON_S_HTLB_PGFAIL,
		  vrh_hugetlb_event(events, HTLB_BUDDY_PGALLOC_FAIL));
	vbal_stat(vb, &n, VIRTIO_BALLOON_S_OOM_KILL, events[OOM_KILL]);
	vbal_stat(vb, &n, VIRTIO_BALLOON_S_ALLOC_STALL, vbal_stalls(events));
	vbal_stat_pages(vb, &n, VIRTIO_BALLOON_S_ASYNC_SCAN,
			vrh_reclaim_event(events, PGSCAN_KSWAPD));
	vbal_stat_pages(vb, &n, VIRTIO_BALLOON_S_DIRECT_SCAN,
			vrh_reclaim_event(events, PGSCAN_DIRECT));
	vbal_stat_pages(vb, &n, VIRTIO_BALLOON_S_ASYNC_RECLAIM,
			vrh_reclaim_event(events, PGSTEAL_KSWAPD));
	vbal_stat_pages(vb, &n, VIRTIO_BALLOON_S_DIRECT_RECLAIM,
			vrh_reclaim_event(events, PGSTEAL_DIRECT));
	vb->stats_len = n * sizeof(vb->stats[0]);
}

/*
 * Statistics stop, the balloon goes on. Or it does not: then all queues break at once,
 * and who finds that, or made it so, has counted it.
 */
static void vbal_stats_broke(struct vbal *vb)
{
	if (!vbal_engine_broken(vb))
		atomic_long_inc(&vb->count.errors);
}

/* Fills and posts the buffer, which must not be at the host. */
static void vbal_stats_post(struct vbal *vb)
{
	struct scatterlist sg;

	vbal_stats_fill(vb);
	sg_init_one(&sg, vb->stats, vb->stats_len);
	if (virtqueue_add_outbuf(vb->stats_vq, &sg, 1, vb->stats, GFP_KERNEL)) {
		vbal_stats_broke(vb);
		return;
	}
	vb->stats_posted = true;
	virtqueue_kick(vb->stats_vq);
}

/* No lock: only this work, which never runs twice at once, touches the queue. */
static void vbal_stats_work(struct work_struct *work)
{
	struct vbal *vb = container_of(work, struct vbal, stats_work);
	unsigned int len;

	vbal_awake_begin(vb, VBAL_AWAKE_STATS);
	/* A host may interrupt without having used the buffer. */
	if (vb->stats_posted && !virtqueue_get_buf(vb->stats_vq, &len)) {
		/* Or break the ring, once: then the core does not call us any more. */
		if (virtqueue_is_broken(vb->stats_vq))
			vbal_stats_broke(vb);
		goto out;
	}
	if (vb->stats_posted)
		atomic_long_inc(&vb->count.stats);
	vb->stats_posted = false;
	vbal_stats_post(vb);
out:
	vbal_awake_end(vb, VBAL_AWAKE_STATS);
}

static void vbal_stats_queue(struct vbal *vb)
{
	unsigned long flags;

	spin_lock_irqsave(&vb->state_lock, flags);
	if (vb->state == VBAL_RUNNING)
		queue_work(vb->wq, &vb->stats_work);
	spin_unlock_irqrestore(&vb->state_lock, flags);
}

/**
 * vbal_stats_request() - virtqueue callback: the host wants statistics
 * @vq: statistics queue
 *
 * Context: interrupt. Summing up the counters of all CPUs may sleep, so a work
 * does it.
 */
void vbal_stats_request(struct virtqueue *vq)
{
	struct vbal *vb = vq->vdev->priv;

	vbal_awake_hold(vb, VBAL_AWAKE_STATS);
	vbal_stats_queue(vb);
}

/**
 * vbal_stats_start() - have the host get its first buffer
 * @vb: running device
 *
 * Running first: a host that is done with the buffer at once asks only that one
 * time, and a request that came too early would be the last.
 *
 * Context: process context.
 */
void vbal_stats_start(struct vbal *vb)
{
	if (vb->stats_vq)
		vbal_stats_queue(vb);
}

/**
 * vbal_stats_init() - prepare the work, once in a device's life
 * @vb: zeroed device
 */
void vbal_stats_init(struct vbal *vb)
{
	INIT_WORK(&vb->stats_work, vbal_stats_work);
}
