// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_blk_rh against the simulated device: every feature and ring that it can
 * meet, and every lie of a disk that a program can tell from the truth.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/completion.h>
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
	sim_test_close(io->file);
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
	sim_test_each_feature(test, FEATURES | SIM_PACKED_FEATURES, with);
}

static void random_features(struct kunit *test)
{
	sim_test_random_features(test, FEATURES | SIM_PACKED_FEATURES, 16, with);
}

/* A request takes three descriptors, and may not be longer than its ring (2.7.5.3.1). */
static void every_queue_size(struct kunit *test)
{
	static const u16 odd[] = { 3, 5, 100, 1000 };
	struct sim_options options = usual;
	struct sim_device *sim;
	unsigned int size;

	for (size = 1; size < 3; size++) {
		options.queue_size = size;
		sim = sim_test_make(test, &options);
		KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
		KUNIT_EXPECT_FALSE(test, sim_test_live(sim));
	}
	sim_test_each_size(test, FEATURES, 4, SIM_QUEUE_SIZE_MAX, odd, ARRAY_SIZE(odd), with);
}

/* A rule or an act of the test's device, of which nothing else matters. */
static void act(struct kunit *test, struct sim_device *sim, enum sim_op op, u64 value, s32 at)
{
	const struct sim_action action = {
		.op = op, .queue = SIM_ALL_QUEUES, .at = at, .width = 1, .value = value,
	};

	KUNIT_ASSERT_EQ(test, sim_act(sim, &action), 0);
}

/**
 * struct lie - what a device does to one request, and what the reader must see
 * @name: for messages
 * @op: rule
 * @value: of the rule
 * @err: what the read returns
 */
struct lie {
	const char *name;
	enum sim_op op;
	u64 value;
	int err;
};

/* Those after which the device must be as good as before. */
static const struct lie harmless[] = {
	{ "status IOERR", SIM_PATCH, VIRTIO_BLK_S_IOERR, -EIO },
	{ "status UNSUPP", SIM_PATCH, VIRTIO_BLK_S_UNSUPP, -EOPNOTSUPP },
	{ "status 4, of zones only", SIM_PATCH, 4, -EIO },
	{ "status 255", SIM_PATCH, 255, -EIO },
	{ "used length 0", SIM_LEN, 0, 0 },
	{ "used length 2^32-1", SIM_LEN, U32_MAX, 0 },
	{ "used length too long", SIM_LEN, SZ_64K, 0 },
	{ "late", SIM_DELAY, 50, 0 },
	{ "interrupts in a storm", SIM_IRQ_STORM, 200, 0 },
};

static void lies_about_a_request_stay_its_own(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);
	struct io io;
	size_t i;

	io_begin(test, sim, &io);
	for (i = 0; i < ARRAY_SIZE(harmless); i++) {
		act(test, sim, harmless[i].op, harmless[i].value, -1);
		KUNIT_EXPECT_EQ_MSG(test, submit(io.file, REQ_OP_READ, 0, io.in, SZ_4K),
				    harmless[i].err, "%s", harmless[i].name);
		KUNIT_EXPECT_EQ(test, submit(io.file, REQ_OP_WRITE, 8, io.out, SZ_4K), 0);
		KUNIT_EXPECT_EQ(test, submit(io.file, REQ_OP_READ, 8, io.in, SZ_4K), 0);
		KUNIT_EXPECT_EQ(test, memcmp(io.out, io.in, SZ_4K), 0);
	}
	io_end(&io);
}

/* Those that end the device: nobody can tell any more what it will do to memory. */
static const struct lie fatal[] = {
	{ "a buffer used twice", SIM_TWICE, 0, -EIO },
	{ "an id never offered", SIM_ID, 77, -EIO },
	{ "an id behind the ring", SIM_ID, 40000, -EIO },
	{ "the used index jumps", SIM_USED_IDX, 5, -EIO },
	{ "asks to be reset", SIM_NEEDS_RESET, 0, -EIO },
	{ "gone", SIM_GONE, 0, -EIO },
};

/**
 * struct flight - requests under way
 * @left: not yet ended
 * @bad: ended with an error
 * @none: completed when none is left
 */
struct flight {
	atomic_t left;
	atomic_t bad;
	struct completion none;
};

static void landed(struct bio *bio)
{
	struct flight *flight = bio->bi_private;

	if (bio->bi_status)
		atomic_inc(&flight->bad);
	bio_put(bio);
	if (atomic_dec_and_test(&flight->left))
		complete(&flight->none);
}

static void take_off(struct flight *flight, struct file *file, void *data, unsigned int nr)
{
	unsigned int i;

	atomic_set(&flight->left, nr);
	atomic_set(&flight->bad, 0);
	init_completion(&flight->none);
	for (i = 0; i < nr; i++) {
		struct bio *bio = bio_alloc(I_BDEV(file->f_mapping->host), 1, REQ_OP_READ,
					    GFP_KERNEL);

		/* Far from each other, so that nobody merges them. */
		bio->bi_iter.bi_sector = 64 * i;
		__bio_add_page(bio, virt_to_page(data), 512, offset_in_page(data));
		bio->bi_private = flight;
		bio->bi_end_io = landed;
		submit_bio(bio);
	}
}

static bool lands(struct flight *flight)
{
	return wait_for_completion_timeout(&flight->none, 60 * HZ);
}

static void lies_about_the_ring_end_the_disk_and_no_more(struct kunit *test)
{
	struct sim_device *sim;
	struct flight flight;
	struct io io;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fatal); i++) {
		kunit_info(test, "%s", fatal[i].name);
		sim = sim_test_plug(test, &usual);
		io_begin(test, sim, &io);
		act(test, sim, fatal[i].op, fatal[i].value, 0);
		take_off(&flight, io.file, io.in, 4);
		KUNIT_EXPECT_TRUE(test, lands(&flight));
		/* The last of them may have come before the lie: the next does not. */
		KUNIT_EXPECT_EQ(test, submit(io.file, REQ_OP_READ, 0, io.in, SZ_4K), fatal[i].err);
		io_end(&io);
		data_moves(test, sim_test_plug(test, &usual));
	}
}

static void order_of_answers_does_not_matter(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);
	struct sim_action action = {
		.op = SIM_REORDER, .queue = SIM_ALL_QUEUES, .count = 8, .value = 4,
	};
	struct flight flight;
	struct io io;

	io_begin(test, sim, &io);
	KUNIT_EXPECT_EQ(test, sim_act(sim, &action), 0);
	take_off(&flight, io.file, io.in, 8);
	/* Two queues may have shared them unevenly. */
	if (!wait_for_completion_timeout(&flight.none, HZ))
		sim_forget(sim);
	KUNIT_EXPECT_TRUE(test, !atomic_read(&flight.left) || lands(&flight));
	KUNIT_EXPECT_EQ(test, atomic_read(&flight.bad), 0);
	data_moves(test, sim);
	io_end(&io);
}

static void a_lost_interrupt_delays_and_no_more(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);
	struct flight flight;
	struct io io;

	io_begin(test, sim, &io);
	act(test, sim, SIM_IRQ_DROP, 0, 0);
	take_off(&flight, io.file, io.in, 1);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(sim->nr_rules == 0, 5000));
	act(test, sim, SIM_IRQ, 0, 0);
	KUNIT_EXPECT_TRUE(test, lands(&flight));
	KUNIT_EXPECT_EQ(test, atomic_read(&flight.bad), 0);
	io_end(&io);
	data_moves(test, sim);
}

static void no_request_outlives_its_device(struct kunit *test)
{
	struct sim_device *sim;
	struct flight flight;
	unsigned int i;
	struct io io;

	/* Held back and unplugged, which takes the driver's patience; or lost and pulled out. */
	for (i = 0; i < 2; i++) {
		sim = sim_test_plug(test, &usual);
		io_begin(test, sim, &io);
		act(test, sim, i ? SIM_DROP : SIM_HOLD, 0, 0);
		act(test, sim, i ? SIM_DROP : SIM_HOLD, 0, 0);
		take_off(&flight, io.file, io.in, 2);
		KUNIT_EXPECT_TRUE(test, sim_test_wait(sim->nr_rules == 0, 5000));
		sim_test_unplug(test, i);
		KUNIT_EXPECT_TRUE(test, lands(&flight));
		KUNIT_EXPECT_EQ(test, atomic_read(&flight.bad), 2);
		io_end(&io);
	}
	data_moves(test, sim_test_plug(test, &usual));
}

static void interrupts_at_odd_times_do_nothing(struct kunit *test)
{
	struct sim_device *sim = sim_test_make(test, &usual);
	unsigned int i;

	for (i = 0; i < 3; i++) {
		act(test, sim, SIM_IRQ_EARLY, 0, 0);
		act(test, sim, SIM_IRQ_LATE, 0, 0);
	}
	KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
	for (i = 0; i < 20; i++) {
		act(test, sim, SIM_IRQ, 0, 0);
		act(test, sim, SIM_CONFIG_IRQ, 0, 0);
	}
	data_moves(test, sim);
}

/* Each field of config space with each of these, before the driver has seen it. */
static void a_config_space_of_nonsense_is_refused_or_bounded(struct kunit *test)
{
	static const u64 nonsense[] = { 0, 1, 513, 0x7fffffff, U64_MAX };
	struct sim_device *sim;
	unsigned int at, i;
	__le64 value;

	for (at = 0; at < sizeof(struct virtio_blk_config); at += 4) {
		for (i = 0; i < ARRAY_SIZE(nonsense); i++) {
			sim = sim_test_make(test, &usual);
			value = cpu_to_le64(nonsense[i]);
			sim_config_write(sim, at, &value, at ? 4 : 8, false);
			KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
			/* What is left is the capacity of a disk that can be used. */
			if (at && sim_test_live(sim))
				data_moves(test, sim);
		}
	}
	data_moves(test, sim_test_plug(test, &usual));
}

static u64 size_of(const struct io *io)
{
	return bdev_nr_sectors(I_BDEV(io->file->f_mapping->host));
}

static void a_capacity_that_changes_is_followed(struct kunit *test)
{
	static const u64 sectors[] = { 16, 0, 1ULL << 62, U64_MAX, 8192 };
	struct sim_device *sim = sim_test_plug(test, &usual);
	struct sim_action action = { .op = SIM_CONFIG, .width = 8 };
	struct io io;
	size_t i;

	io_begin(test, sim, &io);
	for (i = 0; i < ARRAY_SIZE(sectors); i++) {
		action.value = sectors[i];
		KUNIT_EXPECT_EQ(test, sim_act(sim, &action), 0);
		if (sectors[i] < U32_MAX)
			KUNIT_EXPECT_TRUE(test, sim_test_wait(size_of(&io) == sectors[i], 5000));
	}
	io_end(&io);
	data_moves(test, sim);
}

static struct kunit_case blk_ring_cases[] = {
	KUNIT_CASE(each_feature_off_and_alone),
	KUNIT_CASE(random_features),
	KUNIT_CASE(every_queue_size),
	KUNIT_CASE(lies_about_a_request_stay_its_own),
	KUNIT_CASE(lies_about_the_ring_end_the_disk_and_no_more),
	KUNIT_CASE(order_of_answers_does_not_matter),
	KUNIT_CASE(a_lost_interrupt_delays_and_no_more),
	KUNIT_CASE(no_request_outlives_its_device),
	KUNIT_CASE(interrupts_at_odd_times_do_nothing),
	KUNIT_CASE(a_config_space_of_nonsense_is_refused_or_bounded),
	KUNIT_CASE(a_capacity_that_changes_is_followed),
	{}
};

SIM_SUITE(blk_ring, virtio_blk_rh, sim_test_init, sim_test_exit);
MODULE_DESCRIPTION("KUnit suite of virtio_blk_rh on the simulated device");
MODULE_LICENSE("GPL");
