/* SPDX-License-Identifier: GPL-2.0-only */
/* The inside of virtio_balloon_rh: structures first, then functions by file. */
#ifndef VIRTIO_BALLOON_RH_H
#define VIRTIO_BALLOON_RH_H

#include <linux/atomic.h>
#include <linux/build_bug.h>
#include <linux/list.h>
#include <linux/notifier.h>
#include <linux/page_reporting.h>
#include <linux/scatterlist.h>
#include <linux/spinlock.h>
#include <linux/srcu.h>
#include <linux/types.h>
#include <linux/virtio.h>
#include <linux/virtio_balloon.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "compat.h"

/* VIRTIO 1.3, 5.5.6: the device counts in pages of 4 KiB, whatever the guest's are. */
#define VBAL_UNITS_PER_PAGE	((unsigned int)(PAGE_SIZE >> VIRTIO_BALLOON_PFN_SHIFT))

/*
 * PFNs in a buffer. Firecracker skips a descriptor with more than 256 and never
 * returns it; cloud-hypervisor stops its device thread.
 */
#define VBAL_BUFFER_PFNS	256
#define VBAL_BUFFER_PAGES	(VBAL_BUFFER_PFNS / VBAL_UNITS_PER_PAGE)
static_assert(VBAL_BUFFER_PAGES >= 1);

/*
 * Buffers in flight on a queue at most. All are announced by one notification;
 * where the host serves it inside the exit (QEMU without ioeventfd), 8 buffers
 * are 2048 madvise() calls, a stall of 1 to 4 ms for that vCPU.
 */
#define VBAL_SLOTS		8
#define VBAL_WINDOW_PAGES	(VBAL_SLOTS * VBAL_BUFFER_PAGES)

/* Tags of the statistics queue: VIRTIO 1.3, 5.5.6.4. */
#define VBAL_STATS		16
static_assert(sizeof(struct virtio_balloon_stat) == 10);
static_assert(sizeof(struct virtio_balloon_config) == 16);

/**
 * enum vbal_queue_id - virtqueues by their number (VIRTIO 1.3, 5.5.2)
 * @VBAL_VQ_INFLATE: PFNs the guest gives away
 * @VBAL_VQ_DEFLATE: PFNs the guest takes back
 * @VBAL_VQ_STATS: one buffer of statistics, returned when the host wants new ones
 * @VBAL_VQ_HINT: not used yet
 * @VBAL_VQ_REPORT: free pages, for the time they are free
 * @VBAL_VQ_MAX: number of virtqueues
 */
enum vbal_queue_id {
	VBAL_VQ_INFLATE,
	VBAL_VQ_DEFLATE,
	VBAL_VQ_STATS,
	VBAL_VQ_HINT,
	VBAL_VQ_REPORT,
	VBAL_VQ_MAX
};

/**
 * enum vbal_state - life of a device
 * @VBAL_STOPPED: no virtqueues, or they are about to go; nothing new starts
 * @VBAL_RUNNING: serves the host
 * @VBAL_DEAD: did not answer and was reset; gives all pages back to the guest
 */
enum vbal_state {
	VBAL_STOPPED,
	VBAL_RUNNING,
	VBAL_DEAD,
};

/**
 * enum vbal_slot_state - who may touch a slot
 * @VBAL_SLOT_FREE: nobody; may be taken
 * @VBAL_SLOT_TAKEN: its taker fills it or empties it
 * @VBAL_SLOT_POSTED: the device reads it
 * @VBAL_SLOT_USED: the device is done with it
 * @VBAL_SLOT_UNSENT: nobody; filled and late, but not posted yet
 */
enum vbal_slot_state {
	VBAL_SLOT_FREE,
	VBAL_SLOT_TAKEN,
	VBAL_SLOT_POSTED,
	VBAL_SLOT_USED,
	VBAL_SLOT_UNSENT,
};

/**
 * struct vbal_slot - one buffer of PFNs and the pages that it speaks of
 * @node: in the batch of its taker, or unlinked
 * @pages: pages whose fate hangs on the device's answer, linked by lru
 * @page: the one page of a migration, instead of @pages; on the deflate queue
 *	with a reference
 * @pfns: VBAL_BUFFER_PFNS page frame numbers; the device reads them while posted
 * @nr: pages in this buffer
 * @state: who may touch this; protected by the queue's lock
 * @posted: counted in the queue's pending
 * @late: the taker left it unfinished; vbal_settle_late() finishes it
 * @limbo: its page may be on the balloon's list though the host did not confirm
 */
struct vbal_slot {
	struct list_head node;
	struct list_head pages;
	struct page *page;
	__virtio32 *pfns;
	unsigned int nr;
	enum vbal_slot_state state;
	bool posted;
	bool late;
	bool limbo;
};

/**
 * struct vbal_queue - the inflate or the deflate queue
 * @vq: the virtqueue; NULL while stopped
 * @wait: woken by the virtqueue's callback and when a slot gets free
 * @lock: protects the ring of @vq and what follows; never held over a
 *	notification, a wait or an allocation
 * @slots: number of slots in use, at most the ring's size
 * @late: slots that were left unfinished
 * @limbo: of those, slots of the inflate queue with a page that may be listed
 * @pending: pages in buffers that are not finished, without those of migrations
 * @slot: the buffers
 */
struct vbal_queue {
	struct virtqueue *vq;
	wait_queue_head_t wait;
	spinlock_t lock; /* the ring of vq, and what follows */
	unsigned int slots;
	unsigned int late;
	unsigned int limbo;
	unsigned long pending;
	struct vbal_slot slot[VBAL_SLOTS];
};

/**
 * struct vbal_counters - what happened, since probe
 * @inflated: pages the host confirmed to have
 * @deflated: pages taken back
 * @migrated: pages exchanged for compaction
 * @reported: pages reported as free
 * @stats: answers to a request for statistics
 * @alloc_failed: steps cut short because the guest had no page
 * @floor_stops: times that inflating stopped at the floor
 * @oom_calls: calls of the OOM notifier
 * @oom_pages: pages those got back
 * @host_late: buffers the host did not answer in time
 * @errors: buffers that could not be posted, pages that cannot be named, and times that
 *	a queue was found broken, the device asked for a reset or was given up
 */
struct vbal_counters {
	atomic_long_t inflated;
	atomic_long_t deflated;
	atomic_long_t migrated;
	atomic_long_t reported;
	atomic_long_t stats;
	atomic_long_t alloc_failed;
	atomic_long_t floor_stops;
	atomic_long_t oom_calls;
	atomic_long_t oom_pages;
	atomic_long_t host_late;
	atomic_long_t errors;
};

/**
 * enum vbal_action - what to do next
 * @VBAL_REST: nothing, the target is reached
 * @VBAL_INFLATE: give pages to the host
 * @VBAL_DEFLATE: take pages back
 * @VBAL_WAIT_HOST: buffers are unanswered
 * @VBAL_WAIT_OOM: the guest was out of memory a moment ago
 * @VBAL_WAIT_FLOOR: the guest needs what it has left
 */
enum vbal_action {
	VBAL_REST,
	VBAL_INFLATE,
	VBAL_DEFLATE,
	VBAL_WAIT_HOST,
	VBAL_WAIT_OOM,
	VBAL_WAIT_FLOOR,
};

/**
 * enum vbal_awake - what keeps the guest from falling asleep
 * @VBAL_AWAKE_RESIZE: the host changed its target
 * @VBAL_AWAKE_STATS: the host wants statistics
 */
enum vbal_awake {
	VBAL_AWAKE_RESIZE = 1,
	VBAL_AWAKE_STATS = 2,
};

/* Config space may have changed since it was read. */
#define VBAL_TARGET_STALE	0

/**
 * struct vbal - a balloon device
 * @vdev: the virtio device
 * @inflate: pages on their way to the host
 * @deflate: pages on their way back
 * @info: the kernel's list of ballooned pages; all of them are the host's
 * @held: pages on that list, with those isolated by compaction
 * @gate: readers are migrations; stop waits for them
 * @state_lock: protects @state against the queueing of work, and the next two
 * @awake_asked: enum vbal_awake of what the host wants and no work has seen
 * @awake_busy: and of what a work is at; a wakeup event is held for both
 * @state: see enum vbal_state
 * @wq: runs the works; freezable, so that none runs into a suspend
 * @resize_work: pursues the host's target, one step a run
 * @stats_work: answers a request for statistics
 * @flags: bit VBAL_TARGET_STALE
 * @num_pages: what the host wants, units of 4 KiB; only @resize_work touches
 *	this and what follows up to @oom_nb
 * @published: pages config space says we hold; ULONG_MAX if it says nothing yet
 * @failures: steps in a row that failed
 * @last_action: of the step before, to count things once
 * @floor_told: target that was said to be out of reach; ULONG_MAX if none was
 * @broken_said: it was said that the device is broken
 * @reset_told: and that it asks for a reset
 * @oom_nb: the OOM notifier
 * @oom_registered: it is registered
 * @oom_lock: protects the three below
 * @oom_seen: there was an OOM call since probe
 * @oom_last: when, in jiffies
 * @oom_level: how often it came back
 * @stats_vq: statistics queue or NULL
 * @stats_posted: the buffer is the host's; only @stats_work touches this and
 *	what follows up to @report_vq, or vbal_start() before it
 * @stats_len: bytes in @stats
 * @stats: the one buffer of the statistics queue
 * @report_vq: reporting queue or NULL
 * @report_wait: woken by its callback
 * @report_sg: the part of a report that fits the ring
 * @report_dev: our entry in the kernel's free page reporting
 * @report_registered: the kernel took it; there can be only one in a system
 * @shutdown: to be quiesced before a reboot
 * @count: see struct vbal_counters
 */
struct vbal {
	struct virtio_device *vdev;
	struct vbal_queue inflate;
	struct vbal_queue deflate;
	struct balloon_dev_info info;
	atomic_long_t held;

	struct srcu_struct gate;
	spinlock_t state_lock; /* state, against the queueing of work; the next two */
	unsigned int awake_asked;
	unsigned int awake_busy;
	enum vbal_state state;

	struct workqueue_struct *wq;
	struct delayed_work resize_work;
	struct work_struct stats_work;

	unsigned long flags;
	u32 num_pages;
	unsigned long published;
	unsigned int failures;
	enum vbal_action last_action;
	unsigned long floor_told;
	bool broken_said;
	bool reset_told;

	struct notifier_block oom_nb;
	bool oom_registered;
	spinlock_t oom_lock; /* the three below */
	bool oom_seen;
	unsigned long oom_last;
	unsigned int oom_level;

	struct virtqueue *stats_vq;
	bool stats_posted;
	unsigned int stats_len;
	struct virtio_balloon_stat stats[VBAL_STATS];

	struct virtqueue *report_vq;
	wait_queue_head_t report_wait;
	struct scatterlist report_sg[PAGE_REPORTING_CAPACITY];
	struct page_reporting_dev_info report_dev;
	bool report_registered;

	struct vrh_shutdown shutdown;
	struct vbal_counters count;
};

/* ---- policy.c ---- */

/**
 * struct vbal_view - what a decision is made from; all in pages of the guest
 * @target: what the host wants
 * @held: in the balloon
 * @pending: offered to the host, not confirmed
 * @available: MemAvailable
 * @floor: how much of that must stay
 * @step: most pages one step may move
 * @oom_paused: the pause after an OOM call is not over
 */
struct vbal_view {
	unsigned long target;
	unsigned long held;
	unsigned long pending;
	unsigned long available;
	unsigned long floor;
	unsigned long step;
	bool oom_paused;
};

/**
 * struct vbal_decision - the next step
 * @action: what
 * @pages: at most how many
 */
struct vbal_decision {
	enum vbal_action action;
	unsigned long pages;
};

unsigned long vbal_target_pages(u32 num_pages, unsigned long total);
u32 vbal_actual_units(unsigned long pages);
unsigned long vbal_floor_pages(int floor_mb, unsigned long total);
struct vbal_decision vbal_decide(const struct vbal_view *v);
unsigned int vbal_backoff_ms(unsigned int failures);
unsigned long vbal_oom_chunk(unsigned long held);
unsigned int vbal_oom_pause_ms(unsigned int level);
unsigned int vbal_oom_level(unsigned int level, unsigned long since_ms);

/* ---- main.c ---- */

bool vbal_running(struct vbal *vb);
void vbal_queue_resize(struct vbal *vb, unsigned int delay_ms);
void vbal_fail(struct vbal *vb, const char *why);
int vbal_features_text(struct virtio_device *vdev, char *buf, size_t size);

/* ---- awake.c ---- */

void vbal_awake_hold(struct vbal *vb, enum vbal_awake why);
void vbal_awake_begin(struct vbal *vb, enum vbal_awake why);
void vbal_awake_end(struct vbal *vb, enum vbal_awake why);
void vbal_awake_stop(struct vbal *vb);

/* ---- slots.c ---- */

unsigned int vbal_slots_take(struct vbal_queue *q, unsigned int max, struct list_head *batch);
unsigned int vbal_slots_take_wait(struct vbal_queue *q, unsigned int max,
				  struct list_head *batch);
void vbal_slot_free(struct vbal_queue *q, struct vbal_slot *slot);
bool vbal_slot_add(struct vbal *vb, struct vbal_slot *slot, struct page *page);
void vbal_slots_post(struct vbal *vb, struct vbal_queue *q, struct list_head *batch,
		     struct list_head *refused);
void vbal_slots_wait(struct vbal *vb, struct vbal_queue *q, struct list_head *batch, bool limbo);
void vbal_slot_defer(struct vbal_queue *q, struct vbal_slot *slot);
void vbal_slots_settle(struct vbal_queue *q, bool reset, struct list_head *done);
void vbal_slots_resend(struct vbal_queue *q);
void vbal_slots_wake(struct virtqueue *vq);
int vbal_slots_init(struct vbal_queue *q);
void vbal_slots_exit(struct vbal_queue *q);
void vbal_slots_start(struct vbal_queue *q, struct virtqueue *vq);
void vbal_slots_stop(struct vbal_queue *q);

/* ---- engine.c ---- */

int vbal_engine_init(struct vbal *vb);
void vbal_engine_exit(struct vbal *vb);
void vbal_engine_empty(struct vbal *vb);
void vbal_engine_release(struct vbal *vb);
bool vbal_engine_broken(struct vbal *vb);
bool vbal_settle_late(struct vbal *vb);
unsigned long vbal_inflate(struct vbal *vb, unsigned long want);
unsigned long vbal_deflate(struct vbal *vb, unsigned long want);
int vbal_migrate(struct balloon_dev_info *info, struct page *newpage, struct page *page,
		 enum migrate_mode mode);

/* ---- oom.c ---- */

int vbal_oom_start(struct vbal *vb);
void vbal_oom_stop(struct vbal *vb);
unsigned int vbal_oom_left_ms(struct vbal *vb);

/* ---- report.c ---- */

void vbal_report_start(struct vbal *vb);
void vbal_report_stop(struct vbal *vb);
void vbal_report_wake(struct virtqueue *vq);
void vbal_poison_validate(struct virtio_device *vdev);
void vbal_poison_tell(struct vbal *vb);

/* ---- sysfs.c ---- */

extern const struct attribute_group *vbal_groups[];

/* ---- stats.c ---- */

void vbal_stats_init(struct vbal *vb);
void vbal_stats_start(struct vbal *vb);
void vbal_stats_request(struct virtqueue *vq);

#endif
