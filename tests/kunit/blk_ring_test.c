// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_blk_rh against the simulated device: every feature and ring that it can
 * meet, and every lie of a disk that a program can tell from the truth.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/slab.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>

#include "sim_kunit.h"
#include "tests/simdev/sim_blk.h"

/* What virtio_blk_rh serves: a device that insists on zones is not for it. */
#define FEATURES							\
	(BIT_ULL(VIRTIO_BLK_F_SIZE_MAX) | BIT_ULL(VIRTIO_BLK_F_SEG_MAX) |	\
	 BIT_ULL(VIRTIO_BLK_F_GEOMETRY) | BIT_ULL(VIRTIO_BLK_F_BLK_SIZE) |	\
	 BIT_ULL(VIRTIO_BLK_F_FLUSH) | BIT_ULL(VIRTIO_BLK_F_TOPOLOGY) |		\
	 BIT_ULL(VIRTIO_BLK_F_CONFIG_WCE) | BIT_ULL(VIRTIO_BLK_F_MQ) |		\
	 BIT_ULL(VIRTIO_BLK_F_DISCARD) | BIT_ULL(VIRTIO_BLK_F_WRITE_ZEROES))

#define BYTES	SZ_8K

static const struct sim_options usual = {
	.id = VIRTIO_ID_BLOCK,
	.features = FEATURES | SIM_RING_FEATURES,
	.pairs = 2,
};

static int find_disk(struct device *dev, void *name)
{
	if (!dev->type || !dev->type->name || strcmp(dev->type->name, "disk"))
		return 0;
	strscpy(name, dev_name(dev), 32);
	return 1;
}

/* The disk of a device, opened; the caller closes it. */
static struct file *open_disk(struct kunit *test, struct sim_device *sim)
{
	char name[32] = "";
	char path[40];
	struct file *file;

	KUNIT_ASSERT_EQ(test, device_for_each_child(&sim->vdev.dev, name, find_disk), 1);
	snprintf(path, sizeof(path), "dev/%s", name);
	/* devtmpfs makes the node in a thread of its own. */
	sim_test_wait(!IS_ERR(file = sim_test_open(path, O_RDWR)) || PTR_ERR(file) != -ENOENT,
		      2000);
	KUNIT_ASSERT_FALSE(test, IS_ERR(file));
	return file;
}

/* One request past the page cache: what the block layer made of its answer. */
static int submit(struct file *file, blk_opf_t op, sector_t sector, void *data, size_t len)
{
	struct bio *bio = bio_alloc(I_BDEV(file->f_mapping->host), 1, op, GFP_KERNEL);
	int err;

	bio->bi_iter.bi_sector = sector;
	if (data)
		__bio_add_page(bio, virt_to_page(data), len, offset_in_page(data));
	else
		bio->bi_iter.bi_size = len;
	err = submit_bio_wait(bio);
	bio_put(bio);
	return err;
}

/* Two pages, one to write and one to read into, and the disk that they go to. */
struct io {
	struct file *file;
	u8 *out;
	u8 *in;
};

static void io_begin(struct kunit *test, struct sim_device *sim, struct io *io)
{
	io->out = kunit_kmalloc(test, PAGE_SIZE, GFP_KERNEL);
	io->in = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, io->out);
	KUNIT_ASSERT_NOT_NULL(test, io->in);
	get_random_bytes(io->out, PAGE_SIZE);
	io->file = open_disk(test, sim);
}

static void io_end(struct io *io)
{
	filp_close(io->file, NULL);
	/* The last reference goes in work of ours that would wait for our end. */
	flush_delayed_fput();
}

static void data_moves(struct kunit *test, struct sim_device *sim)
{
	struct io io;

	io_begin(test, sim, &io);
	KUNIT_EXPECT_EQ(test, submit(io.file, REQ_OP_WRITE, 8, io.out, SZ_4K), 0);
	KUNIT_EXPECT_EQ(test, submit(io.file, REQ_OP_READ, 8, io.in, SZ_4K), 0);
	KUNIT_EXPECT_EQ(test, memcmp(io.out, io.in, SZ_4K), 0);
	KUNIT_EXPECT_EQ(test, submit(io.file, REQ_OP_WRITE | REQ_PREFLUSH, 0, NULL, 0), 0);
	io_end(&io);
}

static void with(struct kunit *test, u64 features, u32 size)
{
	struct sim_options options = usual;

	options.features = features;
	options.queue_size = size;
	data_moves(test, sim_test_plug(test, &options));
}

static void each_feature_off_and_alone(struct kunit *test)
{
	u64 all = FEATURES | SIM_PACKED_FEATURES;
	unsigned int bit;

	for (bit = 0; bit < 64; bit++) {
		if (!(all & BIT_ULL(bit)) || bit == VIRTIO_F_VERSION_1)
			continue;
		kunit_info(test, "without bit %u, and with it alone", bit);
		with(test, all & ~BIT_ULL(bit), 64);
		with(test, BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(bit), 64);
	}
}

static void random_features(struct kunit *test)
{
	struct rnd_state rnd;
	unsigned int i;
	u64 features;

	prandom_seed_state(&rnd, 20261123);
	for (i = 0; i < 16; i++) {
		features = prandom_u32_state(&rnd);
		features |= (u64)prandom_u32_state(&rnd) << 32;
		features &= FEATURES | SIM_PACKED_FEATURES;
		kunit_info(test, "features %#llx", features);
		with(test, features | BIT_ULL(VIRTIO_F_VERSION_1), 64);
	}
}

static void every_queue_size(struct kunit *test)
{
	static const u16 odd[] = { 1, 2, 3, 5, 100, 1000 };
	unsigned int size;

	for (size = 1; size <= SIM_QUEUE_SIZE_MAX; size *= 2)
		with(test, FEATURES | SIM_RING_FEATURES, size);
	for (size = 0; size < ARRAY_SIZE(odd); size++)
		with(test, FEATURES | SIM_PACKED_FEATURES, odd[size]);
}

static struct kunit_case blk_ring_cases[] = {
	KUNIT_CASE(each_feature_off_and_alone),
	KUNIT_CASE(random_features),
	KUNIT_CASE(every_queue_size),
	{}
};

static struct kunit_suite blk_ring_suite = {
	.name = "blk_ring",
	.suite_init = sim_suite_init,
	.suite_exit = sim_suite_exit,
	.init = sim_test_init,
	.exit = sim_test_exit,
	.test_cases = blk_ring_cases,
};

kunit_test_suite(blk_ring_suite);

MODULE_SOFTDEP("pre: virtio_blk_rh");
MODULE_DESCRIPTION("KUnit suite of virtio_blk_rh on the simulated device");
MODULE_LICENSE("GPL");
