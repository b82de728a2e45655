/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of virtio_blk_rh share, grouped by the file that owns it.
 */
#ifndef VIRTIO_BLK_RH_H
#define VIRTIO_BLK_RH_H

#include <linux/blk-mq.h>
#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/hdreg.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/scatterlist.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/virtio.h>
#include <linux/virtio_blk.h>
#include <linux/workqueue.h>

/*
 * Longest wait for a host before it counts as stopped. 30 s is what the block
 * layer grants a request by default (SCSI and NVMe use it too), so a host that
 * other drivers put up with is not given up earlier here.
 */
#define VBLK_HOST_TIMEOUT_S	30

/* limits.c: the device's config space, checked; touches no device */

/* Findings kept for one device; there are not more fields that can be odd. */
#define VBLK_MAX_FINDINGS	12

/**
 * struct vblk_config - config space of a device as plain numbers
 * @capacity: sectors of 512 bytes
 * @size_max: bytes in one segment, if @has_size_max
 * @seg_max: segments in one request, if @has_seg_max
 * @cylinders: geometry, if @has_geometry
 * @heads: geometry, if @has_geometry
 * @sectors: sectors in a track, if @has_geometry
 * @blk_size: bytes in a logical block, if @has_blk_size
 * @physical_block_exp: a physical block is 2 to this power logical blocks, if
 *	@has_topology; so are the next three
 * @alignment_offset: first aligned logical block
 * @min_io_size: logical blocks
 * @opt_io_size: logical blocks
 * @num_queues: request queues, if @has_mq
 * @max_discard_sectors: sectors in one range, if @has_discard; 0 means any
 * @max_discard_seg: ranges in one request, if @has_discard
 * @discard_sector_alignment: sectors, if @has_discard
 * @max_write_zeroes_sectors: sectors in a request, if @has_write_zeroes; 0
 *	means any
 * @has_size_max: VIRTIO_BLK_F_SIZE_MAX was negotiated, and so on
 * @has_seg_max: see @has_size_max
 * @has_geometry: see @has_size_max
 * @has_blk_size: see @has_size_max
 * @has_topology: see @has_size_max
 * @has_mq: see @has_size_max
 * @has_discard: see @has_size_max
 * @has_write_zeroes: see @has_size_max
 *
 * Nothing in here has been checked (VIRTIO 1.3, 5.2.4).
 */
struct vblk_config {
	u64 capacity;
	u32 size_max;
	u32 seg_max;
	u16 cylinders;
	u8 heads;
	u8 sectors;
	u32 blk_size;
	u8 physical_block_exp;
	u8 alignment_offset;
	u16 min_io_size;
	u32 opt_io_size;
	u16 num_queues;
	u32 max_discard_sectors;
	u32 max_discard_seg;
	u32 discard_sector_alignment;
	u32 max_write_zeroes_sectors;
	bool has_size_max;
	bool has_seg_max;
	bool has_geometry;
	bool has_blk_size;
	bool has_topology;
	bool has_mq;
	bool has_discard;
	bool has_write_zeroes;
};

/**
 * struct vblk_host - what this guest can do, an input of the checks
 * @max_blk_size: largest logical block of the block layer, bytes
 * @max_segment_bytes: most bytes that one DMA mapping can hold
 * @max_queues: most queues that are of use: possible CPUs, or what the
 *	parameter num_request_queues says
 */
struct vblk_host {
	u32 max_blk_size;
	u32 max_segment_bytes;
	u32 max_queues;
};

/**
 * struct vblk_finding - a config field whose value makes no sense
 * @field: name in the specification
 * @value: what the device says
 * @min: smallest value that would be accepted
 * @max: largest value that would be accepted
 * @rule: what else it must be, or ""
 */
struct vblk_finding {
	const char *field;
	u64 value;
	u64 min;
	u64 max;
	const char *rule;
};

/**
 * struct vblk_limits - a device's limits after the checks
 * @capacity: sectors of 512 bytes
 * @logical_block: bytes
 * @physical_block: bytes
 * @alignment_offset: bytes, less than @physical_block
 * @io_min: bytes; 0 if not known
 * @io_opt: bytes; 0 if not known
 * @max_segment: bytes
 * @max_segments: data segments in a request
 * @dma_alignment: bits that are clear in the address of a user's buffer
 * @max_discard: sectors in a range; 0 if the device cannot discard
 * @max_discard_ranges: ranges in a request
 * @discard_granularity: bytes
 * @max_write_zeroes: sectors in a request; 0 if the device cannot
 * @nr_queues: request queues to use
 * @geo: geometry; 0 heads if the device has none
 * @refused: the field for which the device cannot be used, if its field is set
 * @ignored: fields that were put aside; the device works without them
 * @nr_ignored: how many
 */
struct vblk_limits {
	u64 capacity;
	u32 logical_block;
	u32 physical_block;
	u32 alignment_offset;
	u32 io_min;
	u32 io_opt;
	u32 max_segment;
	u32 max_segments;
	u32 dma_alignment;
	u32 max_discard;
	u32 max_discard_ranges;
	u32 discard_granularity;
	u32 max_write_zeroes;
	u32 nr_queues;
	struct {
		u16 cylinders;
		u8 heads;
		u8 sectors;
	} geo;
	struct vblk_finding refused;
	struct vblk_finding ignored[VBLK_MAX_FINDINGS];
	unsigned int nr_ignored;
};

int vblk_limits_check(const struct vblk_config *cfg, const struct vblk_host *host,
		      struct vblk_limits *lim);
int vblk_limits_fit_ring(struct vblk_limits *lim, u32 ring_size);
u32 vblk_limits_queue_depth(u32 ring_size, bool indirect, u32 wanted);
bool vblk_capacity_ok(u64 sectors);
void vblk_geometry(const struct vblk_limits *lim, u64 capacity, struct hd_geometry *geo);
unsigned int vblk_serial_clean(char *serial, unsigned int size);
int vblk_disk_name(unsigned int index, char *buf, unsigned int size);

/* main.c: the device's life */

/**
 * enum vblk_state - what may be done with a device
 * @VBLK_LIVE: requests go to the host
 * @VBLK_FROZEN: no virtqueues; the block layer holds requests back
 * @VBLK_DEAD: given up; requests end with an error. Final.
 */
enum vblk_state {
	VBLK_LIVE,
	VBLK_FROZEN,
	VBLK_DEAD,
};

/**
 * struct vblk_vq - one request queue
 * @lock: protects the virtqueue and the next four members; taken with
 *	interrupts off, never held over a notification or a completion
 * @starved: the hardware queue was stopped because the ring was full
 * @inflight: requests that the host owns
 * @done: requests that came back, ever
 * @sg: data segments of the request being added; the ring keeps none of it,
 *	so one array serves all requests
 * @max_sg: entries in @sg
 * @vq: the virtqueue; NULL while frozen
 * @hctx: the block layer's side of this queue
 * @name: for the transport, "req.N"
 */
struct vblk_vq {
	spinlock_t lock;	/* see above */
	bool starved;
	unsigned int inflight;
	u64 done;
	struct scatterlist *sg;
	unsigned int max_sg;
	struct virtqueue *vq;
	struct blk_mq_hw_ctx *hctx;
	char name[16];
} ____cacheline_aligned_in_smp;

/**
 * struct vblk - one disk
 * @vdev: the device
 * @disk: what the block layer knows of it; its private_data points back
 * @set: tags
 * @vqs: @nr_vqs queues
 * @nr_vqs: stays the same from probe to remove
 * @index: 0 is vda, 1 is vdb; also chooses the minor numbers
 * @limits: what the device said at probe, checked
 * @state: see vblk_set_state()
 * @adding: the disk is being added: probe waits for requests
 * @removing: remove() has begun: no new internal commands
 * @writeback: cache mode last set or seen, to set it again after a restore
 * @reset_lock: serialises those who reset the device, take its virtqueues or
 *	change @state; innermost of the mutexes, no wait for a request under it
 * @cache_lock: serialises changes of the cache mode
 * @config_work: looks at the config space after a change interrupt
 * @reaper: gives the device up when it is lost, or stalled while the disk is
 *	added or removed
 * @reaper_seen: sum of vq->done when the reaper last looked
 * @reaper_stalled: seconds without progress
 */
struct vblk {
	struct virtio_device *vdev;
	struct gendisk *disk;
	struct blk_mq_tag_set set;
	struct vblk_vq *vqs;
	unsigned int nr_vqs;
	int index;
	struct vblk_limits limits;
	enum vblk_state state;
	bool adding;
	bool removing;
	bool writeback;
	struct mutex reset_lock;	/* see above */
	struct mutex cache_lock;	/* see above */
	struct work_struct config_work;
	struct delayed_work reaper;
	u64 reaper_seen;
	unsigned int reaper_stalled;
};

extern struct workqueue_struct *vblk_workqueue;	/* recovery and config changes */

/* io.c: request queues and requests */

/**
 * struct vblk_req - the driver's part of a request
 * @hdr: read by the device
 * @status: written by the device: VIRTIO_BLK_S_*
 * @extra_owned: @extra was allocated for this request
 * @extra_len: bytes at @extra; 0 if the request's bios are its data
 * @extra: data that no bio describes: ranges, or the buffer of a command
 * @range: the range of a request that has only one
 */
struct vblk_req {
	struct virtio_blk_outhdr hdr;
	u8 status;
	bool extra_owned;
	unsigned int extra_len;
	void *extra;
	struct virtio_blk_discard_write_zeroes range;
};

extern const struct blk_mq_ops vblk_mq_ops;

int vblk_alloc_queues(struct vblk *vblk);
void vblk_free_queues(struct vblk *vblk);
void vblk_vq_done(struct virtqueue *vq);
void vblk_drain(struct vblk_vq *vq);
int vblk_get_id(struct vblk *vblk, char *id);
int vblk_flush_cache(struct vblk *vblk);
int vblk_hold_io(struct vblk *vblk);
void vblk_release_io(struct vblk *vblk);

/* recover.c: the state of a device, and its end if it does not answer */

bool vblk_set_state(struct vblk *vblk, enum vblk_state to);
bool vblk_is_lost(struct vblk *vblk);
void vblk_suspect(struct vblk *vblk);
void vblk_give_up(struct vblk *vblk, const char *why);
void vblk_reaper(struct work_struct *work);

/* disk.c: the disk of the block layer */

int vblk_register_major(void);
void vblk_unregister_major(void);
int vblk_alloc_tags(struct vblk *vblk, u32 ring_size, u32 depth);
int vblk_alloc_disk(struct vblk *vblk);
void vblk_drop_disk(struct vblk *vblk);
bool vblk_read_writeback(struct virtio_device *vdev);
void vblk_write_writeback(struct virtio_device *vdev, bool on);

/* sysfs.c: attributes of the disk */

extern const struct attribute_group *vblk_disk_groups[];

#endif
