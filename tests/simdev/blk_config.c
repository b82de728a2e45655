// SPDX-License-Identifier: GPL-2.0-only
/*
 * Limits of the simulated block device, how they look in config space, and the lies about
 * them and about answers that the hostile mode may draw.
 */
#include <linux/export.h>
#include <linux/kernel.h>
#include <linux/string.h>

#include "sim_blk.h"

/**
 * struct blk_field - a field of config space
 * @at: byte offset
 * @width: bytes
 * @feature: bit without which the device has no such field
 * @limit: offset of the u32 in struct sim_blk_limits
 */
struct blk_field {
	u8 at;
	u8 width;
	u8 feature;
	u8 limit;
};

#define BLK_FIELD(member, bit, name)						\
	{									\
		.at = offsetof(struct virtio_blk_config, member),		\
		.width = sizeof_field(struct virtio_blk_config, member),	\
		.feature = VIRTIO_BLK_F_##bit,					\
		.limit = offsetof(struct sim_blk_limits, name),			\
	}

#define BLK_ZONED_FIELD(member, name)						\
	{									\
		.at = SIM_BLK_ZONED_AT +					\
			offsetof(struct sim_blk_zoned_config, member),		\
		.width = sizeof_field(struct sim_blk_zoned_config, member),	\
		.feature = VIRTIO_BLK_F_ZONED,					\
		.limit = offsetof(struct sim_blk_limits, name),			\
	}

static const struct blk_field blk_fields[] = {
	BLK_FIELD(size_max, SIZE_MAX, size_max),
	BLK_FIELD(seg_max, SEG_MAX, seg_max),
	BLK_FIELD(geometry.cylinders, GEOMETRY, cylinders),
	BLK_FIELD(geometry.heads, GEOMETRY, heads),
	BLK_FIELD(geometry.sectors, GEOMETRY, track_sectors),
	BLK_FIELD(blk_size, BLK_SIZE, blk_size),
	BLK_FIELD(physical_block_exp, TOPOLOGY, physical_block_exp),
	BLK_FIELD(alignment_offset, TOPOLOGY, alignment_offset),
	BLK_FIELD(min_io_size, TOPOLOGY, min_io_size),
	BLK_FIELD(opt_io_size, TOPOLOGY, opt_io_size),
	BLK_FIELD(wce, CONFIG_WCE, wce),
	BLK_FIELD(max_discard_sectors, DISCARD, max_discard_sectors),
	BLK_FIELD(max_discard_seg, DISCARD, max_discard_seg),
	BLK_FIELD(discard_sector_alignment, DISCARD, discard_alignment),
	BLK_FIELD(max_write_zeroes_sectors, WRITE_ZEROES, max_write_zeroes_sectors),
	BLK_FIELD(max_write_zeroes_seg, WRITE_ZEROES, max_write_zeroes_seg),
	BLK_FIELD(write_zeroes_may_unmap, WRITE_ZEROES, write_zeroes_may_unmap),
	BLK_FIELD(max_secure_erase_sectors, SECURE_ERASE, max_secure_erase_sectors),
	BLK_FIELD(max_secure_erase_seg, SECURE_ERASE, max_secure_erase_seg),
	BLK_FIELD(secure_erase_sector_alignment, SECURE_ERASE, secure_erase_alignment),
	BLK_ZONED_FIELD(zone_sectors, zone_sectors),
	BLK_ZONED_FIELD(max_open_zones, max_open_zones),
	BLK_ZONED_FIELD(max_active_zones, max_active_zones),
	BLK_ZONED_FIELD(max_append_sectors, max_append_sectors),
	BLK_ZONED_FIELD(write_granularity, write_granularity),
	BLK_ZONED_FIELD(model, zone_model),
};

static_assert(ARRAY_SIZE(blk_fields) <= BITS_PER_TYPE(u32));

static bool blk_offers(const struct sim_blk_dev *blk, unsigned int bit)
{
	return blk->sim->options.features & BIT_ULL(bit);
}

/* A driver accepts VERSION_1 if it is offered, so this is known before it has done so. */
static bool blk_little_endian(const struct sim_blk_dev *blk)
{
	return virtio_legacy_is_little_endian() || blk_offers(blk, VIRTIO_F_VERSION_1);
}

static void blk_put(const struct sim_blk_dev *blk, u8 *to, unsigned int width, u64 value)
{
	bool le = blk_little_endian(blk);
	union {
		u8 v8;
		__virtio16 v16;
		__virtio32 v32;
		__virtio64 v64;
	} raw;

	switch (width) {
	case 1:
		raw.v8 = value;
		break;
	case 2:
		raw.v16 = __cpu_to_virtio16(le, value);
		break;
	case 4:
		raw.v32 = __cpu_to_virtio32(le, value);
		break;
	default:
		raw.v64 = __cpu_to_virtio64(le, value);
		break;
	}
	memcpy(to, &raw, width);
}

static u32 blk_get(const struct sim_blk_dev *blk, const u8 *from, unsigned int width)
{
	bool le = blk_little_endian(blk);
	__virtio16 v16;
	__virtio32 v32;

	if (width == sizeof(v16)) {
		memcpy(&v16, from, sizeof(v16));
		return __virtio16_to_cpu(le, v16);
	}
	if (width == sizeof(v32)) {
		memcpy(&v32, from, sizeof(v32));
		return __virtio32_to_cpu(le, v32);
	}
	return *from;
}

static u32 *blk_limit(struct sim_blk_limits *limits, const struct blk_field *field)
{
	return (void *)limits + field->limit;
}

static void blk_config_build(struct sim_blk_dev *blk, u8 *config)
{
	const struct blk_field *field;
	unsigned int i;

	memset(config, 0, SIM_BLK_CONFIG_LEN);
	blk_put(blk, config + offsetof(struct virtio_blk_config, capacity), sizeof(__virtio64),
		blk->capacity);
	if (blk_offers(blk, VIRTIO_BLK_F_MQ))
		blk_put(blk, config + offsetof(struct virtio_blk_config, num_queues),
			sizeof(__virtio16), blk->sim->nr_queues);

	for (i = 0; i < ARRAY_SIZE(blk_fields); i++) {
		field = &blk_fields[i];
		if (blk_offers(blk, field->feature))
			blk_put(blk, config + field->at, field->width,
				*blk_limit(&blk->limits, field));
	}
}

/*
 * What an SSD may say, small enough that a test meets the limits: segments as many as QEMU
 * allows with a ring of 128, four zones in the smallest disk, fewer open than active ones.
 */
static const struct sim_blk_limits blk_defaults = {
	.size_max = SZ_64K,
	.seg_max = 126,
	.heads = 16,
	.track_sectors = 63,
	.blk_size = SECTOR_SIZE,
	.physical_block_exp = 3,
	.min_io_size = 8,
	.opt_io_size = 128,
	.wce = 1,
	.max_discard_sectors = SZ_4M / SECTOR_SIZE,
	.max_discard_seg = 16,
	.discard_alignment = 8,
	.max_write_zeroes_sectors = SZ_4M / SECTOR_SIZE,
	.max_write_zeroes_seg = 1,
	.write_zeroes_may_unmap = 1,
	.max_secure_erase_sectors = SZ_4M / SECTOR_SIZE,
	.max_secure_erase_seg = 8,
	.secure_erase_alignment = 8,
	.zone_model = VIRTIO_BLK_Z_HM,
	.zone_sectors = SZ_1M / SECTOR_SIZE,
	.max_open_zones = 4,
	.max_active_zones = 6,
	.max_append_sectors = SZ_1M / SECTOR_SIZE,
	.write_granularity = SZ_4K,
	.zone_capacity = SZ_1M / SECTOR_SIZE,
	.conventional = 1,
	.pre_eol_info = 1,
	.lifetime_a = 1,
	.lifetime_b = 2,
};

/* An erase is a reset of zones (VIRTIO 1.3, 5.2.6.2). */
static void blk_fit_zones(struct sim_blk_limits *limits, u64 capacity)
{
	while (limits->zone_sectors < BIT(31) &&
	       capacity > (u64)limits->zone_sectors * SIM_BLK_ZONES_MAX)
		limits->zone_sectors *= 2;
	limits->zone_capacity = limits->zone_sectors;
	limits->secure_erase_alignment = limits->zone_sectors;
	limits->max_secure_erase_sectors = max(limits->max_secure_erase_sectors,
					       limits->zone_sectors);
}

/**
 * sim_blk_config_init() - default limits, and config space
 * @blk: a device whose capacity and queues are set
 */
void sim_blk_config_init(struct sim_blk_dev *blk)
{
	struct sim_blk_limits *limits = &blk->limits;

	*limits = blk_defaults;
	limits->cylinders = min_t(u64, U16_MAX,
				  div_u64(blk->capacity, limits->heads * limits->track_sectors));
	if (blk_offers(blk, VIRTIO_BLK_F_ZONED))
		blk_fit_zones(limits, blk->capacity);
	/* Nobody could flush the cache (5.2.5.2). */
	if (!blk_offers(blk, VIRTIO_BLK_F_FLUSH))
		limits->wce = 0;
	blk_config_build(blk, blk->sim->config);
}

/**
 * sim_blk_config_heard() - the driver has read config space
 * @blk: the device
 * @at: where it read, bytes
 * @data: what it got
 * @len: bytes of @data
 *
 * Context: process context, without the device's lock.
 */
void sim_blk_config_heard(struct sim_blk_dev *blk, unsigned int at, const u8 *data,
			  unsigned int len)
{
	const struct blk_field *field;
	unsigned int i;

	spin_lock(&blk->sim->config_lock);
	for (i = 0; i < ARRAY_SIZE(blk_fields); i++) {
		field = &blk_fields[i];
		if (field->at < at || field->at + field->width > at + len)
			continue;
		*blk_limit(&blk->heard, field) = blk_get(blk, data + field->at - at, field->width);
		blk->heard_fields |= BIT(i);
	}
	spin_unlock(&blk->sim->config_lock);
}

/**
 * sim_blk_config_told() - what the driver can know of the limits by now
 * @blk: a device whose driver has read them
 */
void sim_blk_config_told(struct sim_blk_dev *blk)
{
	const struct sim_blk_limits *limits = &blk->limits;
	struct sim_blk_limits *told = &blk->told;
	u8 config[SIM_BLK_CONFIG_LEN];
	unsigned int i;

	sim_config_read(blk->sim, 0, config, sizeof(config));
	*told = *limits;
	spin_lock(&blk->sim->config_lock);
	for (i = 0; i < ARRAY_SIZE(blk_fields); i++)
		*blk_limit(told, &blk_fields[i]) = blk->heard_fields & BIT(i) ?
			*blk_limit(&blk->heard, &blk_fields[i]) :
			blk_get(blk, config + blk_fields[i].at, blk_fields[i].width);
	spin_unlock(&blk->sim->config_lock);

	blk->zones_told = told->zone_model == limits->zone_model &&
			  told->zone_sectors == limits->zone_sectors &&
			  told->max_append_sectors == limits->max_append_sectors &&
			  told->write_granularity == limits->write_granularity;
}

/**
 * sim_blk_config_capacity() - the capacity by now, which a script may have made up
 * @blk: the device
 *
 * Return: what config space says, in sectors.
 */
u64 sim_blk_config_capacity(struct sim_blk_dev *blk)
{
	__virtio64 raw;

	sim_config_read(blk->sim, offsetof(struct virtio_blk_config, capacity), &raw, sizeof(raw));
	return __virtio64_to_cpu(blk_little_endian(blk), raw);
}

/**
 * sim_blk_config_wce() - the cache mode by now
 * @blk: the device
 *
 * Return: what config space says: 0 is writethrough.
 */
u8 sim_blk_config_wce(struct sim_blk_dev *blk)
{
	u8 wce;

	sim_config_read(blk->sim, offsetof(struct virtio_blk_config, wce), &wce, sizeof(wce));
	return wce;
}

/**
 * sim_blk_config_set_capacity() - changes it, with an interrupt
 * @blk: the device
 * @sectors: the new one
 */
void sim_blk_config_set_capacity(struct sim_blk_dev *blk, u64 sectors)
{
	u8 raw[sizeof(u64)];

	blk_put(blk, raw, sizeof(raw), sectors);
	sim_config_write(blk->sim, offsetof(struct virtio_blk_config, capacity), raw, sizeof(raw),
			 true);
}

/**
 * sim_blk_config_set_wce() - changes the cache mode, with an interrupt
 * @blk: the device
 * @wce: the new one
 */
void sim_blk_config_set_wce(struct sim_blk_dev *blk, u8 wce)
{
	sim_config_write(blk->sim, offsetof(struct virtio_blk_config, wce), &wce, sizeof(wce),
			 true);
}

/**
 * sim_blk_get_limits() - the limits of a device, to change some of them
 * @sim: a block device
 * @limits: filled
 *
 * Context: may sleep.
 * Return: 0, or -EINVAL when @sim is no block device.
 */
int sim_blk_get_limits(struct sim_device *sim, struct sim_blk_limits *limits)
{
	struct sim_blk_dev *blk = sim->data;

	if (sim->model != &sim_blk)
		return -EINVAL;
	sim_lock(sim);
	*limits = blk->limits;
	sim_unlock(sim);
	return 0;
}
EXPORT_SYMBOL_GPL(sim_blk_get_limits);

/* Do they fit into the fields of config space and of a lifetime? */
static bool blk_limits_fit(const struct sim_blk_limits *limits)
{
	struct sim_blk_limits copy = *limits;
	const struct blk_field *field;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(blk_fields); i++) {
		field = &blk_fields[i];
		if ((u64)*blk_limit(&copy, field) >> (BITS_PER_BYTE * field->width))
			return false;
	}
	return limits->pre_eol_info <= U16_MAX && limits->lifetime_a <= U16_MAX &&
	       limits->lifetime_b <= U16_MAX;
}

/**
 * sim_blk_set_limits() - gives a device other limits, and makes its zones anew
 * @sim: a block device that was never plugged in
 * @limits: sim_blk_get_limits() with changes
 *
 * Context: may sleep.
 * Return: 0, -EBUSY when it is plugged in, -ENOMEM, or -EINVAL when @sim is no block
 * device, a value has more bits than its field, or zones do not fit the disk.
 */
int sim_blk_set_limits(struct sim_device *sim, const struct sim_blk_limits *limits)
{
	struct sim_blk_dev *blk = sim->data;
	u8 config[SIM_BLK_CONFIG_LEN];
	int err;

	if (sim->model != &sim_blk || !blk_limits_fit(limits))
		return -EINVAL;

	sim_lock(sim);
	err = sim->plugged ? -EBUSY : sim_blk_zones_init(blk, limits);
	if (!err) {
		blk->limits = *limits;
		blk_config_build(blk, config);
		sim_config_write(sim, 0, config, sizeof(config), false);
	}
	sim_unlock(sim);
	return err;
}
EXPORT_SYMBOL_GPL(sim_blk_set_limits);

/* Lies */

/* Around what drivers compute with: sectors, pages, segments, shifts, overflows. */
static const u64 blk_edges[] = {
	0, 1, 2, 7, 31, 32, 126, 255, 256, 511, 512, 513, 4095, 4096, 4097,
	U16_MAX, SZ_64K, SZ_1M, S32_MAX, BIT_ULL(31), U32_MAX, BIT_ULL(32),
	S64_MAX >> SECTOR_SHIFT, U64_MAX >> SECTOR_SHIFT, S64_MAX, BIT_ULL(63), U64_MAX,
};

static u32 blk_below(struct rnd_state *rnd, u32 limit)
{
	return prandom_u32_state(rnd) % limit;
}

static u64 blk_edge(struct rnd_state *rnd)
{
	return blk_edges[blk_below(rnd, ARRAY_SIZE(blk_edges))];
}

static u64 blk_any(struct rnd_state *rnd)
{
	u64 high;

	if (blk_below(rnd, 2))
		return blk_edge(rnd);
	high = prandom_u32_state(rnd);
	return high << 32 | prandom_u32_state(rnd);
}

static u8 blk_width(struct rnd_state *rnd)
{
	return 1 << blk_below(rnd, 4);
}

static void blk_draw_status(struct rnd_state *rnd, struct sim_action *action)
{
	action->op = SIM_PATCH;
	action->at = -1;
	action->width = 1;
	action->value = blk_below(rnd, blk_below(rnd, 2) ? 256 : 8);
}

static void blk_draw_data(struct rnd_state *rnd, struct sim_action *action)
{
	action->op = SIM_PATCH;
	/* half of them where an ID and headers are, others anywhere in a page or two */
	action->at = blk_below(rnd, blk_below(rnd, 2) ? 2 * SZ_4K : 2 * VIRTIO_BLK_ID_BYTES);
	action->width = blk_width(rnd);
	action->value = blk_any(rnd);
}

static void blk_draw_config(struct rnd_state *rnd, struct sim_action *action)
{
	u32 which = blk_below(rnd, ARRAY_SIZE(blk_fields) + 2);

	action->op = SIM_CONFIG;
	action->value = blk_edge(rnd);
	if (which < ARRAY_SIZE(blk_fields)) {
		action->at = blk_fields[which].at;
		action->width = blk_fields[which].width;
	} else if (which == ARRAY_SIZE(blk_fields)) {
		action->at = offsetof(struct virtio_blk_config, capacity);
		action->width = sizeof_field(struct virtio_blk_config, capacity);
	} else {
		action->at = offsetof(struct virtio_blk_config, num_queues);
		action->width = sizeof_field(struct virtio_blk_config, num_queues);
	}
}

static void blk_draw_append(struct rnd_state *rnd, struct sim_action *action)
{
	action->op = SIM_PATCH;
	action->at = -9;
	action->width = 8;
	action->value = blk_any(rnd);
}

/* The header has its one field first, a descriptor three of 8 bytes and two of 1 byte. */
static void blk_draw_report(struct rnd_state *rnd, struct sim_action *action)
{
	u32 zone = blk_below(rnd, 4);
	u32 field = blk_below(rnd, 5);

	action->op = SIM_PATCH;
	action->width = 8;
	action->value = blk_any(rnd);
	if (!zone)
		return;
	action->at = sizeof(struct sim_blk_report_header) +
		     (zone - 1) * sizeof(struct sim_blk_report_zone) + 8 * min(field, 3U);
	if (field >= 3) {
		action->at += field - 3;
		action->width = 1;
		action->value = blk_below(rnd, 17);
	}
}

static void blk_draw_zone(struct rnd_state *rnd, struct sim_action *action)
{
	action->op = SIM_BLK_ZONE;
	action->at = blk_below(rnd, 8);
	action->value = blk_below(rnd, 2) ? VIRTIO_BLK_ZS_RDONLY : VIRTIO_BLK_ZS_OFFLINE;
}

static void blk_draw_capacity(struct rnd_state *rnd, struct sim_action *action)
{
	action->op = SIM_BLK_CAPACITY;
	/* Most of the time there is something to read and write. */
	action->value = blk_below(rnd, 4) ? SZ_4M >> SECTOR_SHIFT : blk_edge(rnd);
}

static void blk_draw_fail(struct rnd_state *rnd, struct sim_action *action)
{
	/* Now and then what was to fail does so no longer. */
	action->op = blk_below(rnd, 16) ? SIM_BLK_FAIL : SIM_BLK_HEAL;
	action->value = blk_below(rnd, blk_below(rnd, 2) ? 256 : 8);
}

static void blk_draw_wce(struct rnd_state *rnd, struct sim_action *action)
{
	action->op = SIM_BLK_WCE;
	action->value = blk_below(rnd, 2);
}

typedef void (*blk_draw_t)(struct rnd_state *rnd, struct sim_action *action);

/* The first ones are for any disk, the last ones for zones; some are there twice. */
static const blk_draw_t blk_draws[] = {
	blk_draw_status, blk_draw_status, blk_draw_status, blk_draw_data, blk_draw_data,
	blk_draw_data, blk_draw_fail, blk_draw_config, blk_draw_capacity, blk_draw_wce,
	blk_draw_report, blk_draw_report, blk_draw_append, blk_draw_zone,
};

#define BLK_ZONED_DRAWS 4

/**
 * sim_blk_draw() - a random hostile action of a block device
 * @sim: the device, for its options
 * @rnd: where randomness comes from
 * @action: filled
 */
void sim_blk_draw(struct sim_device *sim, struct rnd_state *rnd, struct sim_action *action)
{
	bool zoned = sim->options.features & BIT_ULL(VIRTIO_BLK_F_ZONED);
	u32 nr = ARRAY_SIZE(blk_draws) - (zoned ? 0 : BLK_ZONED_DRAWS);
	u32 queues = sim->options.pairs ?: 1;

	/* One by one: C leaves the order in an initializer to the compiler. */
	memset(action, 0, sizeof(*action));
	action->queue = blk_below(rnd, 2) ? SIM_ALL_QUEUES : blk_below(rnd, queues);
	action->skip = blk_below(rnd, 8);
	action->count = 1 + blk_below(rnd, 8);
	blk_draws[blk_below(rnd, nr)](rnd, action);
}
