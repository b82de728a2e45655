/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The simulated block device (VIRTIO 1.3, 5.2). The first half of this file is for KUnit
 * suites, the second is what the model's files share, grouped by the file that owns it.
 */
#ifndef VRH_SIM_BLK_H
#define VRH_SIM_BLK_H

#include <linux/build_bug.h>
#include <linux/sizes.h>
#include <linux/stddef.h>
#include <linux/types.h>
#include <linux/virtio_blk.h>
#include <linux/xarray.h>

#include "simdev.h"

/* In no kernel's uapi yet (VIRTIO 1.3, 5.2.3 and 5.2.6). */
#ifndef VIRTIO_BLK_F_LIFETIME
#define VIRTIO_BLK_F_LIFETIME		15
#define VIRTIO_BLK_T_GET_LIFETIME	10
#endif

/* Zoned storage is in the uapi of 6.12, not in that of 6.1. */
#ifndef VIRTIO_BLK_F_ZONED
#define VIRTIO_BLK_F_ZONED		17

#define VIRTIO_BLK_T_ZONE_APPEND	15
#define VIRTIO_BLK_T_ZONE_REPORT	16
#define VIRTIO_BLK_T_ZONE_OPEN		18
#define VIRTIO_BLK_T_ZONE_CLOSE		20
#define VIRTIO_BLK_T_ZONE_FINISH	22
#define VIRTIO_BLK_T_ZONE_RESET		24
#define VIRTIO_BLK_T_ZONE_RESET_ALL	26

#define VIRTIO_BLK_S_ZONE_INVALID_CMD		3
#define VIRTIO_BLK_S_ZONE_UNALIGNED_WP		4
#define VIRTIO_BLK_S_ZONE_OPEN_RESOURCE		5
#define VIRTIO_BLK_S_ZONE_ACTIVE_RESOURCE	6

#define VIRTIO_BLK_Z_NONE		0
#define VIRTIO_BLK_Z_HM			1

#define VIRTIO_BLK_ZT_CONV		1
#define VIRTIO_BLK_ZT_SWR		2

#define VIRTIO_BLK_ZS_NOT_WP		0
#define VIRTIO_BLK_ZS_EMPTY		1
#define VIRTIO_BLK_ZS_IOPEN		2
#define VIRTIO_BLK_ZS_EOPEN		3
#define VIRTIO_BLK_ZS_CLOSED		4
#define VIRTIO_BLK_ZS_RDONLY		13
#define VIRTIO_BLK_ZS_FULL		14
#define VIRTIO_BLK_ZS_OFFLINE		15
#endif

/* For KUnit suites */

/*
 * Operations of a block device, for struct sim_action.
 *
 * SIM_BLK_CAPACITY: the disk has @value sectors from now on, with a config change
 *	interrupt; not for zoned devices
 * SIM_BLK_FAIL: the next @count requests on @queue, after @skip ones, are answered with
 *	status @value and not executed
 * SIM_BLK_HEAL: forgets what SIM_BLK_FAIL still has to do
 * SIM_BLK_ZONE: sequential zone @at becomes @value, VIRTIO_BLK_ZS_RDONLY or _OFFLINE
 * SIM_BLK_WCE: the cache is writeback (@value 1) or writethrough (0), with an interrupt
 */
#define SIM_BLK_CAPACITY	(SIM_MODEL + 0)
#define SIM_BLK_FAIL		(SIM_MODEL + 1)
#define SIM_BLK_HEAL		(SIM_MODEL + 2)
#define SIM_BLK_ZONE		(SIM_MODEL + 3)
#define SIM_BLK_WCE		(SIM_MODEL + 4)

/* What can be stored, wherever on the disk; a write that needs more is an I/O error. */
#define SIM_BLK_STORE_MAX	SZ_256M
/* Requests are counted by type; the last one is for all unknown types. */
#define SIM_BLK_TYPES		(VIRTIO_BLK_T_ZONE_RESET_ALL + 2)
/* Changes and flushes that are remembered: more than a journal commit has. */
#define SIM_BLK_LOG		256U
/* Ranges of one request that are remembered: Linux sends at most 256. */
#define SIM_BLK_RANGES		256

/**
 * struct sim_blk_limits - what a device says about itself, and keeps to
 * @size_max: bytes in a segment
 * @seg_max: data segments in a request
 * @cylinders: geometry, 16 bits
 * @heads: geometry, 8 bits
 * @track_sectors: geometry, 8 bits
 * @blk_size: bytes in a logical block
 * @physical_block_exp: a physical block is 2 to this power logical ones; 8 bits
 * @alignment_offset: first aligned logical block, 8 bits
 * @min_io_size: logical blocks, 16 bits
 * @opt_io_size: logical blocks
 * @wce: cache mode at the start: 0 writethrough, 1 writeback
 * @max_discard_sectors: sectors in a range; 0 is not checked
 * @max_discard_seg: ranges in a request; 0 is not checked
 * @discard_alignment: sectors; a hint, not checked
 * @max_write_zeroes_sectors: see @max_discard_sectors
 * @max_write_zeroes_seg: see @max_discard_seg
 * @write_zeroes_may_unmap: 8 bits
 * @max_secure_erase_sectors: see @max_discard_sectors
 * @max_secure_erase_seg: see @max_discard_seg
 * @secure_erase_alignment: sectors; a hint, but for zoned devices
 * @zone_model: VIRTIO_BLK_Z_HM, or _NONE: no zones though ZONED is offered
 * @zone_sectors: sectors in a zone; the last zone may be smaller
 * @max_open_zones: 0 is no limit
 * @max_active_zones: 0 is no limit
 * @max_append_sectors: 0 is no zone append
 * @write_granularity: bytes
 * @zone_capacity: sectors that can be written in a sequential zone
 * @conventional: zones at the start of the disk that are conventional
 * @pre_eol_info: lifetime, 16 bits
 * @lifetime_a: lifetime, 16 bits
 * @lifetime_b: lifetime, 16 bits
 *
 * Fields whose feature is not offered read as zero in config space. Values may be as odd
 * as a test likes; only zones must fit the disk.
 */
struct sim_blk_limits {
	u32 size_max;
	u32 seg_max;
	u32 cylinders;
	u32 heads;
	u32 track_sectors;
	u32 blk_size;
	u32 physical_block_exp;
	u32 alignment_offset;
	u32 min_io_size;
	u32 opt_io_size;
	u32 wce;
	u32 max_discard_sectors;
	u32 max_discard_seg;
	u32 discard_alignment;
	u32 max_write_zeroes_sectors;
	u32 max_write_zeroes_seg;
	u32 write_zeroes_may_unmap;
	u32 max_secure_erase_sectors;
	u32 max_secure_erase_seg;
	u32 secure_erase_alignment;
	u32 zone_model;
	u32 zone_sectors;
	u32 max_open_zones;
	u32 max_active_zones;
	u32 max_append_sectors;
	u32 write_granularity;
	u32 zone_capacity;
	u32 conventional;
	u32 pre_eol_info;
	u32 lifetime_a;
	u32 lifetime_b;
};

/**
 * struct sim_blk_counters - what a block device did so far
 * @requests: by type, those that failed too
 * @bytes_read: data of reads that succeeded
 * @bytes_written: data of writes and zone appends that succeeded
 * @flushes: that succeeded
 * @unflushed: changes since the last of them that are not stable without one
 * @errors: requests that were answered with anything but VIRTIO_BLK_S_OK
 * @pages: memory that the disk takes, in pages
 */
struct sim_blk_counters {
	u64 requests[SIM_BLK_TYPES];
	u64 bytes_read;
	u64 bytes_written;
	u64 flushes;
	u64 unflushed;
	u64 errors;
	u64 pages;
};

/**
 * struct sim_blk_event - a change of the disk, or a flush, in order of execution
 * @number: counts all of them from 0, also those that the log no longer has
 * @flushes: flushes that had succeeded before; a change is covered by the flush for which
 *	this is the same, or larger
 * @sector: where; of several ranges the first
 * @sectors: how much; of several ranges the sum
 * @type: VIRTIO_BLK_T_*
 * @status: the answer
 * @stable: needs no flush: the cache is in writethrough mode
 *
 * The device executes requests one by one and answers at once. What a script holds or
 * delays after that reaches the driver later, and this does not know of it.
 */
struct sim_blk_event {
	u64 number;
	u64 flushes;
	u64 sector;
	u64 sectors;
	u32 type;
	u8 status;
	bool stable;
};

/**
 * struct sim_blk_range - a range of a discard, write zeroes or secure erase request
 * @sector: first
 * @sectors: how many
 * @flags: as the driver has set them
 */
struct sim_blk_range {
	u64 sector;
	u32 sectors;
	u32 flags;
};

/**
 * struct sim_blk_zone - a zone
 * @wp: sector of its write pointer
 * @state: VIRTIO_BLK_ZS_*
 */
struct sim_blk_zone {
	u64 wp;
	u8 state;
};

int sim_blk_get_limits(struct sim_device *sim, struct sim_blk_limits *limits);
int sim_blk_set_limits(struct sim_device *sim, const struct sim_blk_limits *limits);
int sim_blk_set_serial(struct sim_device *sim, const char *serial);
int sim_blk_peek(struct sim_device *sim, u64 at, void *to, size_t len);
int sim_blk_poke(struct sim_device *sim, u64 at, const void *from, size_t len);
int sim_blk_get_counters(struct sim_device *sim, struct sim_blk_counters *counters);
int sim_blk_get_log(struct sim_device *sim, struct sim_blk_event *events, unsigned int max);
int sim_blk_get_ranges(struct sim_device *sim, u32 *type, struct sim_blk_range *ranges,
		       unsigned int max);
int sim_blk_get_zone(struct sim_device *sim, u32 number, struct sim_blk_zone *zone);

/* blk.c: requests, operations */

/* Positions are bytes in 64 bits; no disk is larger, whatever capacity it claims. */
#define SIM_BLK_SECTORS_MAX	BIT_ULL(54)
/* Rules of SIM_BLK_FAIL that wait at a time: a few for each queue of a test. */
#define SIM_BLK_FAILS		16

/**
 * struct sim_blk_fail - requests that will be answered with a status
 * @skip: requests to let pass
 * @count: requests to answer after that
 * @queue: on which queue, or SIM_ALL_QUEUES
 * @status: what to answer
 */
struct sim_blk_fail {
	u32 skip;
	u32 count;
	u16 queue;
	u8 status;
};

/**
 * struct sim_blk_dev - a block device; under @sim's lock
 * @sim: the device it belongs to
 * @limits: what it is
 * @heard: what the driver read in config space last, where scripts can lie; under
 *	config_lock
 * @heard_fields: those of @heard that it has read, bits by their place in blk_fields
 * @told: @heard, and of what it had not read what config space said at DRIVER_OK; the
 *	driver is held to this
 * @capacity: sectors that it has
 * @capacity_told: most sectors that it claimed since DRIVER_OK: nobody can blame a driver
 *	for a request that was on its way when the disk shrank
 * @pages: what is stored, pages by their number; others read as zeroes
 * @zones: all of them, or NULL on a device without
 * @nr_zones: entries of @zones
 * @nr_open: zones that are implicitly or explicitly open
 * @nr_active: those, and the closed ones
 * @zones_told: config space said the truth about zones
 * @serial: what a driver gets as ID, padded with zeroes
 * @fails: rules of SIM_BLK_FAIL
 * @nr_fails: entries of @fails
 * @counters: what it did
 * @log: ring of changes and flushes
 * @nr_events: that @log has had
 * @ranges: those of the last discard, write zeroes or secure erase
 * @nr_ranges: entries of @ranges
 * @ranges_type: which of the three it was
 */
struct sim_blk_dev {
	struct sim_device *sim;
	struct sim_blk_limits limits;
	struct sim_blk_limits heard;
	u32 heard_fields;
	struct sim_blk_limits told;
	u64 capacity;
	u64 capacity_told;
	struct xarray pages;
	struct sim_blk_zone *zones;
	u32 nr_zones;
	u32 nr_open;
	u32 nr_active;
	bool zones_told;
	u8 serial[VIRTIO_BLK_ID_BYTES];
	struct sim_blk_fail fails[SIM_BLK_FAILS];
	unsigned int nr_fails;
	struct sim_blk_counters counters;
	struct sim_blk_event log[SIM_BLK_LOG];
	u64 nr_events;
	struct sim_blk_range ranges[SIM_BLK_RANGES];
	unsigned int nr_ranges;
	u32 ranges_type;
};

/**
 * struct sim_blk_request - a request while it is executed
 * @blk: the device
 * @queue: where it came from
 * @chain: its buffer
 * @name: of its type
 * @type: VIRTIO_BLK_T_*
 * @sector: of its header; that of the first range
 * @sectors: how much it is about
 * @data_out: bytes that follow its header
 * @data_in: bytes that the driver wants
 * @filled: device-writable bytes that are written, from the start
 */
struct sim_blk_request {
	struct sim_blk_dev *blk;
	struct sim_queue *queue;
	struct sim_chain *chain;
	const char *name;
	u32 type;
	u64 sector;
	u64 sectors;
	u32 data_out;
	u32 data_in;
	u32 filled;
};

/* blk_io.c: commands of any disk */

u8 sim_blk_wrong(const struct sim_blk_request *req, u8 status, const char *what, u64 value);
u8 sim_blk_check_range(struct sim_blk_request *req, u64 sector, u64 sectors);
u8 sim_blk_check_data(struct sim_blk_request *req, u32 len);
u8 sim_blk_store(struct sim_blk_request *req, u64 sector);
void sim_blk_check_segments(const struct sim_blk_request *req);
void sim_blk_fill(struct sim_blk_request *req, u32 end);
u8 sim_blk_read(struct sim_blk_request *req);
u8 sim_blk_write(struct sim_blk_request *req);
u8 sim_blk_flush(struct sim_blk_request *req);
u8 sim_blk_get_id(struct sim_blk_request *req);
u8 sim_blk_get_lifetime(struct sim_blk_request *req);
u8 sim_blk_ranges(struct sim_blk_request *req);

/* blk_config.c: limits and config space */

/**
 * struct sim_blk_zoned_config - the zoned part of config space (VIRTIO 1.3, 5.2.4)
 * @zone_sectors: little endian, as all of it: legacy devices have no zones
 * @max_open_zones: see struct sim_blk_limits, and so on
 * @max_active_zones: see @max_open_zones
 * @max_append_sectors: see @max_open_zones
 * @write_granularity: see @max_open_zones
 * @model: VIRTIO_BLK_Z_*
 * @unused: zero
 *
 * The uapi of 6.1 ends before it.
 */
struct sim_blk_zoned_config {
	__le32 zone_sectors;
	__le32 max_open_zones;
	__le32 max_active_zones;
	__le32 max_append_sectors;
	__le32 write_granularity;
	u8 model;
	u8 unused[3];
};

#define SIM_BLK_ZONED_AT \
	offsetofend(struct virtio_blk_config, secure_erase_sector_alignment)
#define SIM_BLK_CONFIG_LEN	(SIM_BLK_ZONED_AT + sizeof(struct sim_blk_zoned_config))

static_assert(SIM_BLK_ZONED_AT == 72);
static_assert(SIM_BLK_CONFIG_LEN == 96);

void sim_blk_config_init(struct sim_blk_dev *blk);
void sim_blk_config_heard(struct sim_blk_dev *blk, unsigned int at, const u8 *data,
			  unsigned int len);
void sim_blk_config_told(struct sim_blk_dev *blk);
u64 sim_blk_config_capacity(struct sim_blk_dev *blk);
u8 sim_blk_config_wce(struct sim_blk_dev *blk);
void sim_blk_config_set_capacity(struct sim_blk_dev *blk, u64 sectors);
void sim_blk_config_set_wce(struct sim_blk_dev *blk, u8 wce);
void sim_blk_draw(struct sim_device *sim, struct rnd_state *rnd, struct sim_action *action);

/* blk_disk.c: the memory, what happened to it, and the functions for KUnit */

void sim_blk_disk_read(struct sim_blk_dev *blk, u64 at, void *to, size_t len);
int sim_blk_disk_write(struct sim_blk_dev *blk, u64 at, const void *from, size_t len);
void sim_blk_disk_zero(struct sim_blk_dev *blk, u64 at, u64 len);
void sim_blk_disk_free(struct sim_blk_dev *blk);
void sim_blk_log_change(const struct sim_blk_request *req, u8 status);

/* blk_zoned.c: zones */

/* They are searched one by one, and a test needs few of them. */
#define SIM_BLK_ZONES_MAX	SZ_64K

/**
 * struct sim_blk_report_header - start of a zone report (VIRTIO 1.3, 5.2.6)
 * @nr_zones: descriptors that follow
 * @reserved: zero
 */
struct sim_blk_report_header {
	__le64 nr_zones;
	u8 reserved[56];
};

/**
 * struct sim_blk_report_zone - a zone in a report
 * @capacity: sectors that can be written
 * @start: first sector
 * @wp: sector of the write pointer, all ones where there is none
 * @type: VIRTIO_BLK_ZT_*
 * @state: VIRTIO_BLK_ZS_*
 * @reserved: zero
 */
struct sim_blk_report_zone {
	__le64 capacity;
	__le64 start;
	__le64 wp;
	u8 type;
	u8 state;
	u8 reserved[38];
};

static_assert(sizeof(struct sim_blk_report_header) == 64);
static_assert(sizeof(struct sim_blk_report_zone) == 64);

/**
 * sim_blk_zoned() - do the rules of zones hold?
 * @blk: a device whose driver has set FEATURES_OK
 *
 * Return: whether they do.
 */
static inline bool sim_blk_zoned(const struct sim_blk_dev *blk)
{
	return blk->zones && sim_has(blk->sim, VIRTIO_BLK_F_ZONED);
}

int sim_blk_zones_init(struct sim_blk_dev *blk, const struct sim_blk_limits *limits);
u8 sim_blk_zones_read(struct sim_blk_request *req);
u8 sim_blk_zones_write(struct sim_blk_request *req, u64 sector, u64 sectors);
void sim_blk_zones_wrote(struct sim_blk_dev *blk, u64 sector, u64 sectors);
u8 sim_blk_zones_erase(struct sim_blk_request *req, u64 sector, u64 sectors);
u8 sim_blk_zone_append(struct sim_blk_request *req);
u8 sim_blk_zone_report(struct sim_blk_request *req);
u8 sim_blk_zone_manage(struct sim_blk_request *req);
u8 sim_blk_zone_reset_all(struct sim_blk_request *req);
int sim_blk_zone_force(struct sim_blk_dev *blk, const struct sim_action *action);

#endif
