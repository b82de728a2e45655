// SPDX-License-Identifier: GPL-2.0-only
/*
 * Zones of the simulated block device, host-managed (VIRTIO 1.3, 5.2.6): their states, the
 * limits on open and active ones, and the commands that only zoned devices have. The first
 * zones may be conventional, all others are to be written in sequence.
 */
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include "sim_blk.h"

static bool zone_is_open(u8 state)
{
	return state == VIRTIO_BLK_ZS_IOPEN || state == VIRTIO_BLK_ZS_EOPEN;
}

static bool zone_is_active(u8 state)
{
	return zone_is_open(state) || state == VIRTIO_BLK_ZS_CLOSED;
}

static bool zone_is_conventional(const struct sim_blk_zone *zone)
{
	return zone->state == VIRTIO_BLK_ZS_NOT_WP;
}

/* @sector is on the disk; zoned disks do not change their size. */
static struct sim_blk_zone *zone_of(struct sim_blk_dev *blk, u64 sector)
{
	return &blk->zones[div_u64(sector, blk->limits.zone_sectors)];
}

static u64 zone_start(const struct sim_blk_dev *blk, const struct sim_blk_zone *zone)
{
	return (u64)(zone - blk->zones) * blk->limits.zone_sectors;
}

static u64 zone_end(const struct sim_blk_dev *blk, const struct sim_blk_zone *zone)
{
	return min(zone_start(blk, zone) + blk->limits.zone_sectors, blk->capacity);
}

static u64 zone_writable_end(const struct sim_blk_dev *blk, const struct sim_blk_zone *zone)
{
	if (zone_is_conventional(zone))
		return zone_end(blk, zone);
	return min(zone_start(blk, zone) + blk->limits.zone_capacity, blk->capacity);
}

static void zone_set(struct sim_blk_dev *blk, struct sim_blk_zone *zone, u8 state)
{
	blk->nr_open += zone_is_open(state);
	blk->nr_open -= zone_is_open(zone->state);
	blk->nr_active += zone_is_active(state);
	blk->nr_active -= zone_is_active(zone->state);
	zone->state = state;
}

/*
 * A driver that was told other limits than the true ones is not to blame. Nor is one for
 * zeroes: they are handled like a write, but the specification does not say a word.
 */
static u8 zone_wrong(const struct sim_blk_request *req, u8 status, const char *what, u64 value)
{
	if (!req->blk->zones_told || req->type == VIRTIO_BLK_T_WRITE_ZEROES)
		return status;
	return sim_blk_wrong(req, status, what, value);
}

/* One that was never written is empty again. */
static void zone_close(struct sim_blk_dev *blk, struct sim_blk_zone *zone)
{
	bool written = zone->wp != zone_start(blk, zone);

	zone_set(blk, zone, written ? VIRTIO_BLK_ZS_CLOSED : VIRTIO_BLK_ZS_EMPTY);
}

static void zone_reset(struct sim_blk_dev *blk, struct sim_blk_zone *zone)
{
	u64 start = zone_start(blk, zone), end = zone_end(blk, zone);

	sim_blk_disk_zero(blk, start * SECTOR_SIZE, (end - start) * SECTOR_SIZE);
	zone->wp = start;
	zone_set(blk, zone, VIRTIO_BLK_ZS_EMPTY);
}

static void zone_finish(struct sim_blk_dev *blk, struct sim_blk_zone *zone)
{
	zone->wp = zone_writable_end(blk, zone);
	zone_set(blk, zone, VIRTIO_BLK_ZS_FULL);
}

/* Makes room for another open zone by closing one that nobody has opened explicitly. */
static bool zone_make_room(struct sim_blk_dev *blk)
{
	u32 i;

	for (i = 0; i < blk->nr_zones; i++) {
		if (blk->zones[i].state != VIRTIO_BLK_ZS_IOPEN)
			continue;
		zone_close(blk, &blk->zones[i]);
		return true;
	}
	return false;
}

/* If both limits are exceeded, the one on active zones is to be named. */
static u8 zone_open(struct sim_blk_dev *blk, struct sim_blk_zone *zone, u8 state)
{
	const struct sim_blk_limits *limits = &blk->limits;

	if (!zone_is_active(zone->state) && limits->max_active_zones &&
	    blk->nr_active >= limits->max_active_zones)
		return VIRTIO_BLK_S_ZONE_ACTIVE_RESOURCE;
	if (!zone_is_open(zone->state) && limits->max_open_zones &&
	    blk->nr_open >= limits->max_open_zones && !zone_make_room(blk))
		return VIRTIO_BLK_S_ZONE_OPEN_RESOURCE;
	zone_set(blk, zone, state);
	return VIRTIO_BLK_S_OK;
}

static bool zone_ragged(const struct sim_blk_dev *blk, u64 sector)
{
	u32 rest = 0;

	if (blk->limits.write_granularity)
		div_u64_rem(sector * SECTOR_SIZE, blk->limits.write_granularity, &rest);
	return rest;
}

/* May a sequential zone be written there? It is open then. */
static u8 zone_admit(struct sim_blk_request *req, struct sim_blk_zone *zone, u64 sector,
		     u64 sectors)
{
	struct sim_blk_dev *blk = req->blk;

	switch (zone->state) {
	case VIRTIO_BLK_ZS_RDONLY:
	case VIRTIO_BLK_ZS_FULL:
	case VIRTIO_BLK_ZS_OFFLINE:
		return VIRTIO_BLK_S_ZONE_INVALID_CMD;
	}
	if (sector != zone->wp)
		return VIRTIO_BLK_S_ZONE_UNALIGNED_WP;
	if (sectors > zone_writable_end(blk, zone) - sector)
		return VIRTIO_BLK_S_ZONE_INVALID_CMD;
	if (zone_is_open(zone->state))
		return VIRTIO_BLK_S_OK;
	return zone_open(blk, zone, VIRTIO_BLK_ZS_IOPEN);
}

/* Only conventional zones, which come first, may be reached by one request together. */
static u8 zone_check_crossing(struct sim_blk_request *req, u64 sector, u64 sectors)
{
	const struct sim_blk_zone *last = zone_of(req->blk, sector + sectors - 1);

	if (zone_of(req->blk, sector) == last || zone_is_conventional(last))
		return VIRTIO_BLK_S_OK;
	return zone_wrong(req, VIRTIO_BLK_S_ZONE_INVALID_CMD, "beyond its zone, sectors", sectors);
}

/**
 * sim_blk_zones_read() - can a range be read?
 * @req: a request on sectors of the disk, one at least
 *
 * What was not written yet can be: it is zero.
 *
 * Return: VIRTIO_BLK_S_OK or another status.
 */
u8 sim_blk_zones_read(struct sim_blk_request *req)
{
	u8 status = zone_check_crossing(req, req->sector, req->sectors);

	if (!status && zone_of(req->blk, req->sector)->state == VIRTIO_BLK_ZS_OFFLINE)
		status = VIRTIO_BLK_S_ZONE_INVALID_CMD;
	return status;
}

/**
 * sim_blk_zones_write() - can a range be written? Opens its zone
 * @req: the request
 * @sector: first; on the disk
 * @sectors: how many, one at least
 *
 * If nothing is written after all, the zone stays open as a host's would.
 *
 * Return: VIRTIO_BLK_S_OK or another status.
 */
u8 sim_blk_zones_write(struct sim_blk_request *req, u64 sector, u64 sectors)
{
	struct sim_blk_zone *zone = zone_of(req->blk, sector);
	u8 status = zone_check_crossing(req, sector, sectors);

	if (status || zone_is_conventional(zone))
		return status;
	if (zone_ragged(req->blk, sector) || zone_ragged(req->blk, sectors))
		return zone_wrong(req, VIRTIO_BLK_S_ZONE_UNALIGNED_WP,
				  "not of write_granularity, sectors", sectors);
	return zone_admit(req, zone, sector, sectors);
}

/**
 * sim_blk_zones_wrote() - moves the write pointer
 * @blk: the device
 * @sector: as given to sim_blk_zones_write()
 * @sectors: see @sector
 */
void sim_blk_zones_wrote(struct sim_blk_dev *blk, u64 sector, u64 sectors)
{
	struct sim_blk_zone *zone = zone_of(blk, sector);

	if (zone_is_conventional(zone))
		return;
	zone->wp += sectors;
	if (zone->wp == zone_writable_end(blk, zone))
		zone_finish(blk, zone);
}

/**
 * sim_blk_zones_erase() - securely erases whole zones, which resets them
 * @req: the request
 * @sector: first; on the disk
 * @sectors: how many, one at least
 *
 * Return: VIRTIO_BLK_S_OK or another status.
 */
u8 sim_blk_zones_erase(struct sim_blk_request *req, u64 sector, u64 sectors)
{
	struct sim_blk_dev *blk = req->blk;
	struct sim_blk_zone *zone = zone_of(blk, sector);
	struct sim_blk_zone *last = zone_of(blk, sector + sectors - 1);

	if (sector != zone_start(blk, zone) || sector + sectors != zone_end(blk, last))
		return zone_wrong(req, VIRTIO_BLK_S_ZONE_INVALID_CMD, "not whole zones, sectors",
				  sectors);
	for (; zone <= last; zone++) {
		if (zone->state == VIRTIO_BLK_ZS_RDONLY || zone->state == VIRTIO_BLK_ZS_OFFLINE)
			return VIRTIO_BLK_S_ZONE_INVALID_CMD;
		if (zone_is_conventional(zone))
			sim_blk_disk_zero(blk, zone_start(blk, zone) * SECTOR_SIZE,
					  (u64)blk->limits.zone_sectors * SECTOR_SIZE);
		else
			zone_reset(blk, zone);
		cond_resched();
	}
	return VIRTIO_BLK_S_OK;
}

/**
 * sim_blk_zone_append() - VIRTIO_BLK_T_ZONE_APPEND
 * @req: a request whose form is checked
 *
 * Return: its status.
 */
u8 sim_blk_zone_append(struct sim_blk_request *req)
{
	struct sim_blk_dev *blk = req->blk;
	struct sim_blk_zone *zone;
	__le64 answer;
	u8 status;
	u64 at;

	status = sim_blk_check_data(req, req->data_out);
	if (status)
		return status;
	if (!blk->limits.max_append_sectors)
		return zone_wrong(req, VIRTIO_BLK_S_UNSUPP, "the device has no zone append", 0);
	if (req->sectors > blk->limits.max_append_sectors)
		return zone_wrong(req, VIRTIO_BLK_S_ZONE_INVALID_CMD,
				  "beyond max_append_sectors, sectors", req->sectors);
	zone = zone_of(blk, req->sector);
	if (zone_is_conventional(zone) || req->sector != zone_start(blk, zone))
		return zone_wrong(req, VIRTIO_BLK_S_ZONE_INVALID_CMD,
				  "not the start of a sequential zone, sectors", req->sectors);
	if (zone_ragged(blk, req->sectors))
		return zone_wrong(req, VIRTIO_BLK_S_ZONE_UNALIGNED_WP,
				  "not of write_granularity, sectors", req->sectors);

	at = zone->wp;
	status = zone_admit(req, zone, at, req->sectors);
	if (!status)
		status = sim_blk_store(req, at);
	if (status)
		return status;

	sim_blk_zones_wrote(blk, at, req->sectors);
	answer = cpu_to_le64(at);
	sim_chain_write(req->chain, 0, &answer, sizeof(answer));
	req->filled = sizeof(answer);
	/* for the log: where it is now */
	req->sector = at;
	return VIRTIO_BLK_S_OK;
}

/* Where there is no write pointer, its value is undefined: nothing to be used by mistake. */
static void zone_describe(const struct sim_blk_dev *blk, const struct sim_blk_zone *zone,
			  struct sim_blk_report_zone *to)
{
	u64 start = zone_start(blk, zone);
	u64 wp = zone_is_active(zone->state) || zone->state == VIRTIO_BLK_ZS_EMPTY ?
		 zone->wp : U64_MAX;

	*to = (struct sim_blk_report_zone){
		.capacity = cpu_to_le64(zone_writable_end(blk, zone) - start),
		.start = cpu_to_le64(start),
		.wp = cpu_to_le64(wp),
		.type = zone_is_conventional(zone) ? VIRTIO_BLK_ZT_CONV : VIRTIO_BLK_ZT_SWR,
		.state = zone->state,
	};
}

/**
 * sim_blk_zone_report() - VIRTIO_BLK_T_ZONE_REPORT
 * @req: a request whose form is checked
 *
 * As many zones as fit into the data.
 *
 * Return: its status.
 */
u8 sim_blk_zone_report(struct sim_blk_request *req)
{
	struct sim_blk_report_header header = {};
	struct sim_blk_dev *blk = req->blk;
	struct sim_blk_report_zone entry;
	u32 i, nr, first;

	if (req->sector >= blk->capacity)
		return zone_wrong(req, VIRTIO_BLK_S_ZONE_INVALID_CMD, "beyond the capacity",
				  blk->capacity);
	if (req->data_in < sizeof(header))
		return zone_wrong(req, VIRTIO_BLK_S_ZONE_INVALID_CMD, "no room for a header",
				  req->data_in);

	first = zone_of(blk, req->sector) - blk->zones;
	nr = min_t(u32, blk->nr_zones - first, (req->data_in - sizeof(header)) / sizeof(entry));
	header.nr_zones = cpu_to_le64(nr);
	sim_chain_write(req->chain, 0, &header, sizeof(header));
	req->filled = sizeof(header);
	for (i = 0; i < nr; i++) {
		zone_describe(blk, &blk->zones[first + i], &entry);
		sim_chain_write(req->chain, req->filled, &entry, sizeof(entry));
		req->filled += sizeof(entry);
	}
	return VIRTIO_BLK_S_OK;
}

static u8 zone_manage_open(struct sim_blk_dev *blk, struct sim_blk_zone *zone)
{
	if (zone->state != VIRTIO_BLK_ZS_EMPTY && !zone_is_active(zone->state))
		return VIRTIO_BLK_S_ZONE_INVALID_CMD;
	return zone_open(blk, zone, VIRTIO_BLK_ZS_EOPEN);
}

static u8 zone_manage_close(struct sim_blk_dev *blk, struct sim_blk_zone *zone)
{
	if (!zone_is_active(zone->state))
		return VIRTIO_BLK_S_ZONE_INVALID_CMD;
	zone_close(blk, zone);
	return VIRTIO_BLK_S_OK;
}

/*
 * VIRTIO names no transition from empty and closed to full; the standards that it refers
 * to do, and hosts pass the command on to devices which follow those.
 */
static u8 zone_manage_finish(struct sim_blk_dev *blk, struct sim_blk_zone *zone)
{
	if (zone->state == VIRTIO_BLK_ZS_RDONLY || zone->state == VIRTIO_BLK_ZS_OFFLINE)
		return VIRTIO_BLK_S_ZONE_INVALID_CMD;
	zone_finish(blk, zone);
	return VIRTIO_BLK_S_OK;
}

static u8 zone_manage_reset(struct sim_blk_dev *blk, struct sim_blk_zone *zone)
{
	if (zone->state == VIRTIO_BLK_ZS_RDONLY || zone->state == VIRTIO_BLK_ZS_OFFLINE)
		return VIRTIO_BLK_S_ZONE_INVALID_CMD;
	zone_reset(blk, zone);
	return VIRTIO_BLK_S_OK;
}

/**
 * sim_blk_zone_manage() - opens, closes, finishes or resets a zone
 * @req: a request whose form is checked
 *
 * Return: its status.
 */
u8 sim_blk_zone_manage(struct sim_blk_request *req)
{
	struct sim_blk_dev *blk = req->blk;
	struct sim_blk_zone *zone;

	if (req->sector >= blk->capacity)
		return zone_wrong(req, VIRTIO_BLK_S_ZONE_INVALID_CMD, "beyond the capacity",
				  blk->capacity);
	zone = zone_of(blk, req->sector);
	if (req->sector != zone_start(blk, zone))
		return zone_wrong(req, VIRTIO_BLK_S_ZONE_INVALID_CMD, "not the start of a zone",
				  zone_start(blk, zone));
	req->sectors = zone_end(blk, zone) - req->sector;
	if (zone_is_conventional(zone))
		return VIRTIO_BLK_S_ZONE_INVALID_CMD;

	switch (req->type) {
	case VIRTIO_BLK_T_ZONE_OPEN:
		return zone_manage_open(blk, zone);
	case VIRTIO_BLK_T_ZONE_CLOSE:
		return zone_manage_close(blk, zone);
	case VIRTIO_BLK_T_ZONE_FINISH:
		return zone_manage_finish(blk, zone);
	default:
		return zone_manage_reset(blk, zone);
	}
}

/**
 * sim_blk_zone_reset_all() - VIRTIO_BLK_T_ZONE_RESET_ALL
 * @req: a request whose form is checked
 *
 * Return: its status.
 */
u8 sim_blk_zone_reset_all(struct sim_blk_request *req)
{
	struct sim_blk_dev *blk = req->blk;
	struct sim_blk_zone *zone;

	for (zone = blk->zones; zone < blk->zones + blk->nr_zones; zone++) {
		if (zone_is_active(zone->state) || zone->state == VIRTIO_BLK_ZS_FULL)
			zone_reset(blk, zone);
		cond_resched();
	}
	return VIRTIO_BLK_S_OK;
}

/**
 * sim_blk_zone_force() - a zone fails
 * @blk: the device
 * @action: SIM_BLK_ZONE
 *
 * Return: 0, or -EINVAL for a zone or a state that cannot be.
 */
int sim_blk_zone_force(struct sim_blk_dev *blk, const struct sim_action *action)
{
	struct sim_blk_zone *zone;

	if (action->at < 0 || action->at >= blk->nr_zones)
		return -EINVAL;
	if (action->value != VIRTIO_BLK_ZS_RDONLY && action->value != VIRTIO_BLK_ZS_OFFLINE)
		return -EINVAL;
	zone = &blk->zones[action->at];
	if (zone_is_conventional(zone) || zone->state == VIRTIO_BLK_ZS_OFFLINE)
		return -EINVAL;
	zone_set(blk, zone, action->value);
	return 0;
}

/**
 * sim_blk_zones_init() - makes the zones, if the device has any
 * @blk: a device that no driver has
 * @limits: what they are like
 *
 * Return: 0, -ENOMEM, or -EINVAL when @limits make no sense; nothing is changed then.
 */
int sim_blk_zones_init(struct sim_blk_dev *blk, const struct sim_blk_limits *limits)
{
	bool zoned = blk->sim->options.features & BIT_ULL(VIRTIO_BLK_F_ZONED) &&
		     limits->zone_model != VIRTIO_BLK_Z_NONE;
	struct sim_blk_zone *zones = NULL;
	u32 i, nr = 0;

	if (zoned) {
		if (limits->zone_model != VIRTIO_BLK_Z_HM || !limits->zone_sectors ||
		    !limits->zone_capacity || limits->zone_capacity > limits->zone_sectors ||
		    !blk->capacity ||
		    blk->capacity > (u64)limits->zone_sectors * SIM_BLK_ZONES_MAX)
			return -EINVAL;
		nr = div_u64(blk->capacity - 1, limits->zone_sectors) + 1;
		zones = kvcalloc(nr, sizeof(*zones), GFP_KERNEL);
		if (!zones)
			return -ENOMEM;
	}
	for (i = 0; i < nr; i++) {
		zones[i].wp = (u64)i * limits->zone_sectors;
		zones[i].state = i < limits->conventional ? VIRTIO_BLK_ZS_NOT_WP :
							    VIRTIO_BLK_ZS_EMPTY;
	}

	kvfree(blk->zones);
	blk->zones = zones;
	blk->nr_zones = nr;
	blk->nr_open = 0;
	blk->nr_active = 0;
	return 0;
}
