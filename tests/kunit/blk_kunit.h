/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For the suites of virtio_blk_rh on the simulated device: its disk, requests past the
 * page cache one by one and many at a time, and files of sysfs.
 */
#ifndef VRH_BLK_KUNIT_H
#define VRH_BLK_KUNIT_H

#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>

#include "sim_kunit.h"
#include "tests/simdev/sim_blk.h"

/* What virtio_blk_rh serves, but RO: a device that insists on zones is not for it. */
#define FEATURES							\
	(BIT_ULL(VIRTIO_BLK_F_SIZE_MAX) | BIT_ULL(VIRTIO_BLK_F_SEG_MAX) |	\
	 BIT_ULL(VIRTIO_BLK_F_GEOMETRY) | BIT_ULL(VIRTIO_BLK_F_BLK_SIZE) |	\
	 BIT_ULL(VIRTIO_BLK_F_FLUSH) | BIT_ULL(VIRTIO_BLK_F_TOPOLOGY) |		\
	 BIT_ULL(VIRTIO_BLK_F_CONFIG_WCE) | BIT_ULL(VIRTIO_BLK_F_MQ) |		\
	 BIT_ULL(VIRTIO_BLK_F_DISCARD) | BIT_ULL(VIRTIO_BLK_F_WRITE_ZEROES))

/* Where suites write; what lies before it belongs to partition tables. */
#define SECTOR	8

/* How soon a driver ends what it knows to be lost; the guest runs under TCG, and may be slow. */
#define SOON_MS	20000

static const struct sim_options __maybe_unused usual = {
	.id = VIRTIO_ID_BLOCK,
	.features = FEATURES | SIM_RING_FEATURES,
	.pairs = 2,
};

/* The disk */

static inline int find_disk(struct device *dev, void *name)
{
	if (!dev->type || !dev->type->name || strcmp(dev->type->name, "disk"))
		return 0;
	strscpy(name, dev_name(dev), DISK_NAME_LEN);
	return 1;
}

/* "vda"; NAME has DISK_NAME_LEN bytes. */
static inline void disk_name(struct kunit *test, struct sim_device *sim, char *name)
{
	KUNIT_ASSERT_EQ(test, device_for_each_child(&sim->vdev.dev, name, find_disk), 1);
}

/* The disk of a device, opened; the caller closes it. */
static inline struct file *open_disk(struct kunit *test, struct sim_device *sim)
{
	int flags = sim_has(sim, VIRTIO_BLK_F_RO) ? O_RDONLY : O_RDWR;
	char name[DISK_NAME_LEN], path[DISK_NAME_LEN + 8];
	struct file *file;

	disk_name(test, sim, name);
	snprintf(path, sizeof(path), "dev/%s", name);
	/* devtmpfs makes the node in a thread of its own. */
	sim_test_wait(!IS_ERR(file = sim_test_open(path, flags)) || PTR_ERR(file) != -ENOENT,
		      SOON_MS);
	KUNIT_ASSERT_FALSE(test, IS_ERR(file));
	return file;
}

/* Path of an attribute of the disk; PATH has 64 bytes. */
static inline const char *attribute(struct kunit *test, struct sim_device *sim,
				    const char *attr, char *path)
{
	char name[DISK_NAME_LEN];

	disk_name(test, sim, name);
	snprintf(path, 64, "sys/block/%s/%s", name, attr);
	return path;
}

/* An attribute reads as TEXT. */
static inline void expect_attribute(struct kunit *test, struct sim_device *sim,
				    const char *attr, const char *text)
{
	char path[64], is[64];

	sim_test_read(attribute(test, sim, attr, path), is, sizeof(is));
	KUNIT_EXPECT_STREQ(test, is, text);
}

/* The cache mode in config space. */
static inline u8 device_wce(struct sim_device *sim)
{
	u8 wce;

	sim_config_read(sim, offsetof(struct virtio_blk_config, wce), &wce, sizeof(wce));
	return wce;
}

/* Requests one by one */

static inline struct bio *make_bio(struct file *file, blk_opf_t op, sector_t sector, void *data,
				   size_t len)
{
	struct bio *bio = bio_alloc(I_BDEV(file->f_mapping->host), 4, op, GFP_KERNEL);

	bio->bi_iter.bi_sector = sector;
	if (data)
		__bio_add_page(bio, virt_to_page(data), len, offset_in_page(data));
	else
		bio->bi_iter.bi_size = len;
	return bio;
}

static inline int submit_made(struct bio *bio)
{
	int err = submit_bio_wait(bio);

	bio_put(bio);
	return err;
}

/* One request past the page cache: what the block layer made of its answer. */
static inline int submit(struct file *file, blk_opf_t op, sector_t sector, void *data,
			 size_t len)
{
	return submit_made(make_bio(file, op, sector, data, len));
}

static inline int submit_flush(struct file *file)
{
	return submit(file, REQ_OP_WRITE | REQ_PREFLUSH, 0, NULL, 0);
}

/* Two sectors of a page at DATA, with a gap between them: two segments. */
static inline int submit_pieces(struct file *file, blk_opf_t op, sector_t sector, u8 *data)
{
	struct bio *bio = make_bio(file, op, sector, data, SECTOR_SIZE);

	data += 2 * SECTOR_SIZE;
	__bio_add_page(bio, virt_to_page(data), SECTOR_SIZE, offset_in_page(data));
	return submit_made(bio);
}

/* Two pages, one to write and one to read into, and the disk that they go to. */
struct io {
	struct file *file;
	u8 *out;
	u8 *in;
};

static inline void io_begin(struct kunit *test, struct sim_device *sim, struct io *io)
{
	io->out = kunit_kmalloc(test, PAGE_SIZE, GFP_KERNEL);
	io->in = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, io->out);
	KUNIT_ASSERT_NOT_NULL(test, io->in);
	get_random_bytes(io->out, PAGE_SIZE);
	io->file = open_disk(test, sim);
}

static inline void io_end(struct io *io)
{
	sim_test_close(io->file);
}

/* What is at SECTOR of the disk, whatever driver and block layer say, is what @out has. */
static inline void disk_has_out(struct kunit *test, struct sim_device *sim, const struct io *io)
{
	KUNIT_EXPECT_EQ(test, sim_blk_peek(sim, SECTOR * SECTOR_SIZE, io->in, SZ_4K), 0);
	KUNIT_EXPECT_EQ(test, memcmp(io->out, io->in, SZ_4K), 0);
	memset(io->in, 0, SZ_4K);
}

static inline void reads_out(struct kunit *test, const struct io *io)
{
	memset(io->in, 0, SZ_4K);
	KUNIT_EXPECT_EQ(test, submit(io->file, REQ_OP_READ, SECTOR, io->in, SZ_4K), 0);
	KUNIT_EXPECT_EQ(test, memcmp(io->out, io->in, SZ_4K), 0);
}

/* A page, and one that goes to the disk and back in pieces. */
static inline void io_round(struct kunit *test, struct sim_device *sim, const struct io *io)
{
	bool ro = sim_has(sim, VIRTIO_BLK_F_RO);

	KUNIT_EXPECT_EQ(test, bdev_read_only(I_BDEV(io->file->f_mapping->host)), ro);
	get_random_bytes(io->out, SZ_4K);
	if (ro)
		sim_blk_poke(sim, SECTOR * SECTOR_SIZE, io->out, SZ_4K);
	else
		KUNIT_EXPECT_EQ(test, submit(io->file, REQ_OP_WRITE, SECTOR, io->out, SZ_4K), 0);
	disk_has_out(test, sim, io);
	reads_out(test, io);

	if (!ro)
		KUNIT_EXPECT_EQ(test, submit_pieces(io->file, REQ_OP_WRITE, SECTOR, io->out), 0);
	else
		sim_blk_poke(sim, (SECTOR + 1) * SECTOR_SIZE, io->out + 2 * SECTOR_SIZE,
			     SECTOR_SIZE);
	KUNIT_EXPECT_EQ(test, submit_pieces(io->file, REQ_OP_READ, SECTOR, io->in), 0);
	KUNIT_EXPECT_EQ(test, memcmp(io->out, io->in, SECTOR_SIZE), 0);
	KUNIT_EXPECT_EQ(test, memcmp(io->out + 2 * SECTOR_SIZE, io->in + 2 * SECTOR_SIZE,
				     SECTOR_SIZE), 0);
	KUNIT_EXPECT_EQ(test, submit_flush(io->file), 0);
}

/* Data goes to the disk and comes from there, by way of each CPU's queue. */
static inline void data_moves(struct kunit *test, struct sim_device *sim)
{
	unsigned int cpu;
	struct io io;

	io_begin(test, sim, &io);
	for_each_online_cpu(cpu) {
		set_cpus_allowed_ptr(current, cpumask_of(cpu));
		io_round(test, sim, &io);
	}
	set_cpus_allowed_ptr(current, cpu_possible_mask);
	io_end(&io);
}

/*
 * A disk whose cache was switched off, opened as IO and suspended. Its device has the cache on
 * again, as a reset may bring it back.
 */
static inline struct sim_device *suspended_without_cache(struct kunit *test, struct io *io)
{
	struct sim_device *sim = sim_test_plug(test, &usual);
	char path[64];
	u8 wce = 1;

	io_begin(test, sim, io);
	attribute(test, sim, "cache_type", path);
	KUNIT_EXPECT_GT(test, sim_test_write(test, path, "write through"), 0);
	KUNIT_EXPECT_EQ(test, device_wce(sim), 0);
	KUNIT_ASSERT_EQ(test, sim_test_freeze(sim), 0);
	sim_config_write(sim, offsetof(struct virtio_blk_config, wce), &wce, sizeof(wce), false);
	return sim;
}

/* Many at a time */

/* Sectors that they read: far from each other, so that nobody merges them, and from SECTOR. */
#define FLIGHT_SECTORS	63
#define FLIGHT_FIRST	64
#define FLIGHT_GAP	63

/**
 * struct flight - requests under way
 * @left: not yet ended, and one for who waits
 * @bad: ended with an error
 * @wrong: ended without one, and have not brought what is on the disk
 * @data: what reads bring, a sector each, or NULL
 * @none: completed when none is left
 */
struct flight {
	atomic_t left;
	atomic_t bad;
	atomic_t wrong;
	u64 *data;
	struct completion none;
};

static inline void land(struct flight *flight)
{
	if (atomic_dec_and_test(&flight->left))
		complete_all(&flight->none);
}

#define FLIGHT_WORDS	(SECTOR_SIZE / sizeof(u64))

/* What is in the sectors that flights read: no word of the disk is there twice. */
static inline u64 flight_word(unsigned int sector, unsigned int word)
{
	return (sector * FLIGHT_WORDS + word + 1ULL) * 0x9e3779b97f4a7c15ULL;
}

static inline bool brought(const struct flight *flight, const struct bio *bio)
{
	const u64 *data = bvec_virt(bio->bi_io_vec);
	unsigned int i, sector;

	sector = (data - flight->data) / FLIGHT_WORDS % FLIGHT_SECTORS;
	for (i = 0; i < FLIGHT_WORDS; i++)
		if (data[i] != flight_word(sector, i))
			return false;
	return true;
}

static void landed(struct bio *bio)
{
	struct flight *flight = bio->bi_private;

	if (bio->bi_status)
		atomic_inc(&flight->bad);
	else if (flight->data && !brought(flight, bio))
		atomic_inc(&flight->wrong);
	bio_put(bio);
	land(flight);
}

static inline void board(struct flight *flight)
{
	atomic_set(&flight->left, 1);
	atomic_set(&flight->bad, 0);
	atomic_set(&flight->wrong, 0);
	flight->data = NULL;
	init_completion(&flight->none);
}

static inline void fly(struct flight *flight, struct bio *bio)
{
	bio->bi_private = flight;
	bio->bi_end_io = landed;
	atomic_inc(&flight->left);
	submit_bio(bio);
}

/* SECTOR has room for one, and is zero afterwards. */
static inline void flight_fill(struct kunit *test, struct sim_device *sim, u64 *sector)
{
	unsigned int i, word;

	for (i = 0; i < FLIGHT_SECTORS; i++) {
		for (word = 0; word < FLIGHT_WORDS; word++)
			sector[word] = flight_word(i, word);
		KUNIT_EXPECT_EQ(test, sim_blk_poke(sim, (FLIGHT_FIRST + FLIGHT_GAP * i) *
						   (u64)SECTOR_SIZE, sector, SECTOR_SIZE), 0);
	}
	memset(sector, 0, SECTOR_SIZE);
}

/* NR reads of a sector each; the disk has the sectors' data just before. */
static inline void take_off(struct kunit *test, struct sim_device *sim, struct flight *flight,
			    const struct io *io, unsigned int nr)
{
	unsigned int i;
	u64 *data;

	data = kunit_kzalloc(test, roundup_pow_of_two(nr + 1) * SECTOR_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, data);
	flight_fill(test, sim, data);
	board(flight);
	flight->data = data;
	for (i = 0; i < nr; i++)
		fly(flight, make_bio(io->file, REQ_OP_READ,
				     FLIGHT_FIRST + FLIGHT_GAP * (i % FLIGHT_SECTORS),
				     data + i * FLIGHT_WORDS, SECTOR_SIZE));
	land(flight);
}

/* Have all of them ended within MS milliseconds? */
static inline bool lands(struct flight *flight, unsigned int ms)
{
	return wait_for_completion_timeout(&flight->none, msecs_to_jiffies(ms));
}

/* They have, well or badly, but none that ended well without what is on the disk. */
static inline void expect_over(struct kunit *test, struct flight *flight)
{
	KUNIT_ASSERT_TRUE(test, lands(flight, SOON_MS));
	KUNIT_EXPECT_EQ(test, atomic_read(&flight->wrong), 0);
}

/* And so many have ended badly. */
static inline void expect_landed(struct kunit *test, struct flight *flight, unsigned int bad)
{
	expect_over(test, flight);
	KUNIT_EXPECT_EQ(test, atomic_read(&flight->bad), bad);
}

#endif
