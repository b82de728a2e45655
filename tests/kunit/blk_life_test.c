// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_blk_rh on an honest simulated device, besides reads and writes: what the disk says
 * of itself, discards, cache modes that the device refuses, resets of the function, and
 * disks that are dead and still there.
 */
#include <linux/completion.h>
#include <linux/device.h>
#include <linux/hdreg.h>
#include <linux/kthread.h>
#include <linux/sched/signal.h>
#include <linux/virtio_config.h>

#include "blk_kunit.h"

#define QUEUES	"sys/module/virtio_blk_rh/parameters/num_request_queues"

static struct sim_device *plug_with(struct kunit *test, u64 features)
{
	struct sim_options options = usual;

	options.features = features;
	return sim_test_plug(test, &options);
}

/* What the disk says of itself */

static struct hd_geometry geometry(struct kunit *test, const struct io *io)
{
	struct gendisk *disk = I_BDEV(io->file->f_mapping->host)->bd_disk;
	struct hd_geometry geo = {};

	KUNIT_EXPECT_EQ(test, disk->fops->getgeo(disk, &geo), 0);
	return geo;
}

static void geometry_is_the_device_s_or_made_up(struct kunit *test)
{
	struct sim_blk_limits limits;
	struct hd_geometry geo;
	struct sim_device *sim;
	struct io io;

	sim = sim_test_make(test, &usual);
	KUNIT_ASSERT_EQ(test, sim_blk_get_limits(sim, &limits), 0);
	limits.cylinders = 1000;
	limits.heads = 17;
	limits.track_sectors = 33;
	KUNIT_ASSERT_EQ(test, sim_blk_set_limits(sim, &limits), 0);
	KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
	io_begin(test, sim, &io);
	geo = geometry(test, &io);
	KUNIT_EXPECT_EQ(test, geo.cylinders, 1000);
	KUNIT_EXPECT_EQ(test, geo.heads, 17);
	KUNIT_EXPECT_EQ(test, geo.sectors, 33);
	io_end(&io);

	/* 8192 sectors, in cylinders of 64 times 32. */
	sim = plug_with(test, SIM_RING_FEATURES);
	io_begin(test, sim, &io);
	geo = geometry(test, &io);
	KUNIT_EXPECT_EQ(test, geo.cylinders, 4);
	KUNIT_EXPECT_EQ(test, geo.heads, 64);
	KUNIT_EXPECT_EQ(test, geo.sectors, 32);
	io_end(&io);
}

static void features_are_named(struct kunit *test)
{
	struct sim_device *sim = plug_with(test, FEATURES | SIM_RING_FEATURES);
	char path[80], text[256];

	snprintf(path, sizeof(path), "sys/bus/virtio/devices/%s/vrh/features",
		 dev_name(&sim->vdev.dev));
	KUNIT_EXPECT_GT(test, sim_test_read(path, text, sizeof(text)), 0);
	KUNIT_EXPECT_STREQ(test, text,
			   "SIZE_MAX SEG_MAX GEOMETRY BLK_SIZE FLUSH TOPOLOGY CONFIG_WCE MQ DISCARD WRITE_ZEROES INDIRECT_DESC EVENT_IDX VERSION_1 RING_RESET");
}

static unsigned int nr_queues(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);
	unsigned int i, nr = 0;

	data_moves(test, sim);
	for (i = 0; i < sim->nr_queues; i++)
		nr += !!sim->queues[i].vq;
	return nr;
}

static void fewer_queues_can_be_asked_for(struct kunit *test)
{
	static const char * const wrong[] = { "-1", "65536", "some" };
	char text[16];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		KUNIT_EXPECT_EQ_MSG(test, sim_test_write(test, QUEUES, wrong[i]), -EINVAL, "%s",
				    wrong[i]);
	KUNIT_EXPECT_EQ(test, nr_queues(test), 2);
	KUNIT_EXPECT_EQ(test, sim_test_write(test, QUEUES, "1"), 1);
	sim_test_read(QUEUES, text, sizeof(text));
	KUNIT_EXPECT_STREQ(test, text, "1");
	KUNIT_EXPECT_EQ(test, nr_queues(test), 1);
	KUNIT_EXPECT_EQ(test, sim_test_write(test, QUEUES, "0"), 1);
	KUNIT_EXPECT_EQ(test, nr_queues(test), 2);
}

/* Discards and zeroes */

#define DISCARDS	10
#define DISCARD_GAP	64

static u64 discarded_at(unsigned int i)
{
	return DISCARD_GAP * (i + 1);
}

static u64 requests_of(struct sim_device *sim, unsigned int type)
{
	struct sim_blk_counters counters;

	sim_blk_get_counters(sim, &counters);
	return counters.requests[type];
}

/* So many discards at once, of a device that takes some ranges; how many requests it were. */
static u64 discard(struct kunit *test, unsigned int ranges, unsigned int *most)
{
	struct sim_device *sim = sim_test_make(test, &usual);
	struct sim_blk_range last[DISCARDS];
	struct sim_blk_limits limits;
	struct flight flight;
	struct blk_plug plug;
	unsigned int i;
	struct io io;
	u64 before;
	u32 type;

	KUNIT_ASSERT_EQ(test, sim_blk_get_limits(sim, &limits), 0);
	limits.max_discard_seg = ranges;
	KUNIT_ASSERT_EQ(test, sim_blk_set_limits(sim, &limits), 0);
	KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
	io_begin(test, sim, &io);
	for (i = 0; i < DISCARDS; i++)
		KUNIT_EXPECT_EQ(test, sim_blk_poke(sim, discarded_at(i) * SECTOR_SIZE, io.out,
						   SZ_4K), 0);
	before = requests_of(sim, VIRTIO_BLK_T_DISCARD);
	board(&flight);
	blk_start_plug(&plug);
	for (i = 0; i < DISCARDS; i++)
		fly(&flight, make_bio(io.file, REQ_OP_DISCARD, discarded_at(i), NULL, SZ_4K));
	blk_finish_plug(&plug);
	land(&flight);
	expect_landed(test, &flight, 0);
	*most = sim_blk_get_ranges(sim, &type, last, DISCARDS);
	KUNIT_EXPECT_EQ(test, type, VIRTIO_BLK_T_DISCARD);
	/* None is left out: more than fit one request were never merged. */
	for (i = 0; i < DISCARDS; i++) {
		KUNIT_EXPECT_EQ(test, sim_blk_peek(sim, discarded_at(i) * SECTOR_SIZE, io.in,
						   SZ_4K), 0);
		KUNIT_EXPECT_PTR_EQ(test, memchr_inv(io.in, 0, SZ_4K), NULL);
	}
	io_end(&io);
	return requests_of(sim, VIRTIO_BLK_T_DISCARD) - before;
}

static void discards_are_merged_as_far_as_the_device_takes_them(struct kunit *test)
{
	unsigned int most;

	KUNIT_EXPECT_EQ(test, discard(test, 1, &most), DISCARDS);
	KUNIT_EXPECT_EQ(test, most, 1);
	/* 0 is no answer. */
	KUNIT_EXPECT_EQ(test, discard(test, 0, &most), DISCARDS);
	KUNIT_EXPECT_EQ(test, most, 1);
	KUNIT_EXPECT_LT(test, discard(test, 16, &most), DISCARDS);
	KUNIT_EXPECT_GT(test, most, 1);
	/* More ranges than the device takes are a violation. */
	KUNIT_EXPECT_LT(test, discard(test, 4, &most), DISCARDS);
	KUNIT_EXPECT_GT(test, most, 1);
}

/* Neighbours are one range, whoever merges them. */
static void discards_of_neighbours_cover_all_of_them(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);
	struct flight flight;
	struct blk_plug plug;
	unsigned int i;
	struct io io;

	io_begin(test, sim, &io);
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ(test, sim_blk_poke(sim, (64 + 8 * i) * SECTOR_SIZE, io.out, SZ_4K),
				0);
	board(&flight);
	blk_start_plug(&plug);
	for (i = 0; i < 4; i++)
		fly(&flight, make_bio(io.file, REQ_OP_DISCARD, 64 + 8 * i, NULL, SZ_4K));
	blk_finish_plug(&plug);
	land(&flight);
	expect_landed(test, &flight, 0);
	for (i = 0; i < 4; i++) {
		KUNIT_EXPECT_EQ(test, sim_blk_peek(sim, (64 + 8 * i) * SECTOR_SIZE, io.in, SZ_4K),
				0);
		KUNIT_EXPECT_PTR_EQ(test, memchr_inv(io.in, 0, SZ_4K), NULL);
	}
	io_end(&io);
}

static void zeroes_may_be_unmapped_unless_the_block_layer_says_no(struct kunit *test)
{
	static const struct { blk_opf_t op; u32 flags; } zeroes[] = {
		{ REQ_OP_WRITE_ZEROES, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP },
		{ REQ_OP_WRITE_ZEROES | REQ_NOUNMAP, 0 },
	};
	struct sim_device *sim = sim_test_plug(test, &usual);
	struct sim_blk_range range = {};
	unsigned int i;
	struct io io;
	u32 type;

	io_begin(test, sim, &io);
	for (i = 0; i < ARRAY_SIZE(zeroes); i++) {
		KUNIT_EXPECT_EQ(test, submit(io.file, REQ_OP_WRITE, SECTOR, io.out, SZ_4K), 0);
		disk_has_out(test, sim, &io);
		KUNIT_EXPECT_EQ(test, submit(io.file, zeroes[i].op, SECTOR, NULL, SZ_4K), 0);
		KUNIT_EXPECT_EQ(test, sim_blk_get_ranges(sim, &type, &range, 1), 1);
		KUNIT_EXPECT_EQ(test, type, VIRTIO_BLK_T_WRITE_ZEROES);
		KUNIT_EXPECT_EQ(test, range.sector, SECTOR);
		KUNIT_EXPECT_EQ(test, range.sectors, SZ_4K / SECTOR_SIZE);
		KUNIT_EXPECT_EQ(test, range.flags, zeroes[i].flags);
		KUNIT_EXPECT_EQ(test, submit(io.file, REQ_OP_READ, SECTOR, io.in, SZ_4K), 0);
		KUNIT_EXPECT_PTR_EQ(test, memchr_inv(io.in, 0, SZ_4K), NULL);
	}
	io_end(&io);
}

/* Cache modes */

static void without_config_wce_the_cache_mode_is_what_it_is(struct kunit *test)
{
	const u64 flush = BIT_ULL(VIRTIO_BLK_F_FLUSH);
	struct sim_device *sim;
	unsigned int with;
	struct file *file;
	char path[64];

	for (with = 0; with < 2; with++) {
		sim = plug_with(test, SIM_RING_FEATURES | (with ? flush : 0));
		expect_attribute(test, sim, "cache_type", with ? "write back" : "write through");
		/* Nobody can write to it, root neither. */
		file = sim_test_open(attribute(test, sim, "cache_type", path), O_WRONLY);
		KUNIT_EXPECT_TRUE(test, IS_ERR(file));
		if (!IS_ERR(file))
			sim_test_close(file);
		data_moves(test, sim);
	}
	/* A cache that nobody can flush must not be switched on: the bit is refused. */
	sim = plug_with(test, SIM_RING_FEATURES | BIT_ULL(VIRTIO_BLK_F_CONFIG_WCE));
	KUNIT_EXPECT_FALSE(test, sim_has(sim, VIRTIO_BLK_F_CONFIG_WCE));
}

/* A device that does not do what it is asked for: writes to its config space are lost. */
static struct virtio_config_ops deaf_ops;

static void hear_nothing(struct virtio_device *vdev, unsigned int at, const void *data,
			 unsigned int len)
{
}

static const struct virtio_config_ops *make_deaf(struct sim_device *sim)
{
	const struct virtio_config_ops *before = sim->vdev.config;

	deaf_ops = *before;
	deaf_ops.set = hear_nothing;
	sim->vdev.config = &deaf_ops;
	return before;
}

static void a_device_that_keeps_its_cache_gets_flushes(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);
	const struct virtio_config_ops *before;
	char path[64];
	struct io io;
	u64 flushes;

	io_begin(test, sim, &io);
	attribute(test, sim, "cache_type", path);
	before = make_deaf(sim);
	KUNIT_EXPECT_GT(test, sim_test_write(test, path, "write through"), 0);
	sim->vdev.config = before;
	/* What was asked for is not what there is. */
	KUNIT_EXPECT_EQ(test, device_wce(sim), 1);
	expect_attribute(test, sim, "cache_type", "write back");
	flushes = requests_of(sim, VIRTIO_BLK_T_FLUSH);
	KUNIT_EXPECT_EQ(test, submit_flush(io.file), 0);
	KUNIT_EXPECT_EQ(test, requests_of(sim, VIRTIO_BLK_T_FLUSH), flushes + 1);
	io_end(&io);
	data_moves(test, sim);
}

/* After a suspend it caches, and the block layer would not flush: data could be lost. */
static void a_device_that_caches_after_a_suspend_is_given_up(struct kunit *test)
{
	struct io io;
	struct sim_device *sim = suspended_without_cache(test, &io);
	const struct virtio_config_ops *before;
	struct flight flight;

	take_off(test, sim, &flight, &io, 4);
	before = make_deaf(sim);
	KUNIT_EXPECT_EQ(test, sim_test_restore(sim), -EIO);
	sim->vdev.config = before;
	expect_landed(test, &flight, 4);
	KUNIT_EXPECT_EQ(test, submit(io.file, REQ_OP_READ, 0, io.in, SZ_4K), -EIO);
	io_end(&io);
	data_moves(test, sim_test_plug(test, &usual));
}

/* Resets */

static void a_reset_of_the_function_keeps_the_disk(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);
	struct flight flight, later;
	struct io io;

	io_begin(test, sim, &io);
	sim_tell_all(test, sim, .op = SIM_DELAY, .value = 200, .count = 3);
	take_off(test, sim, &flight, &io, 3);
	KUNIT_ASSERT_EQ(test, virtio_device_reset_prepare(&sim->vdev), 0);
	/* Nothing is under way while the function is reset, and what comes waits. */
	KUNIT_EXPECT_EQ(test, atomic_read(&flight.left), 0);
	expect_landed(test, &flight, 0);
	take_off(test, sim, &later, &io, 10);
	KUNIT_EXPECT_FALSE(test, lands(&later, 100));
	KUNIT_ASSERT_EQ(test, virtio_device_reset_done(&sim->vdev), 0);
	expect_landed(test, &later, 0);
	data_moves(test, sim);

	/* One that nobody was told of before: the driver has virtqueues that are no more. */
	KUNIT_EXPECT_EQ(test, virtio_device_reset_done(&sim->vdev), -EBUSY);
	sim_test_unplug(test, false);
	KUNIT_EXPECT_NE(test, submit(io.file, REQ_OP_READ, SECTOR, io.in, SZ_4K), 0);
	io_end(&io);
	data_moves(test, sim_test_plug(test, &usual));
}

/* What the kernel does before it reboots; here it does not. */
static void requests_after_a_shutdown_end(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);
	struct flight flight;
	struct io io;

	io_begin(test, sim, &io);
	device_lock(&sim->vdev.dev);
	sim->vdev.dev.bus->shutdown(&sim->vdev.dev);
	device_unlock(&sim->vdev.dev);
	take_off(test, sim, &flight, &io, 4);
	expect_landed(test, &flight, 4);
	io_end(&io);
	sim_test_unplug(test, false);
	data_moves(test, sim_test_plug(test, &usual));
}

/* Dead disks */

static void a_dead_disk_answers_everything_with_an_error(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);
	char cache[64], serial[64], text[32];
	struct io io;

	io_begin(test, sim, &io);
	attribute(test, sim, "cache_type", cache);
	attribute(test, sim, "serial", serial);
	sim_tell(test, sim, .op = SIM_NEEDS_RESET);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(!sim_test_live(sim), SOON_MS));
	KUNIT_EXPECT_EQ(test, submit(io.file, REQ_OP_READ, SECTOR, io.in, SZ_4K), -EIO);
	KUNIT_EXPECT_EQ(test, submit(io.file, REQ_OP_WRITE, SECTOR, io.out, SZ_4K), -EIO);
	KUNIT_EXPECT_EQ(test, submit_flush(io.file), -EIO);
	KUNIT_EXPECT_EQ(test, sim_test_read(serial, text, sizeof(text)), -ENODEV);
	KUNIT_EXPECT_EQ(test, sim_test_write(test, cache, "write through"), -EIO);
	KUNIT_EXPECT_EQ(test, sim_test_write(test, cache, "write back"), -EIO);
	expect_attribute(test, sim, "cache_type", "write back");
	/* Nobody hears what the device says now. */
	sim_tell(test, sim, .op = SIM_BLK_CAPACITY, .value = 16);
	msleep(100);
	KUNIT_EXPECT_EQ(test, bdev_nr_sectors(I_BDEV(io.file->f_mapping->host)), 8192);
	/* And the system may sleep and wake up with it. */
	KUNIT_EXPECT_EQ(test, sim_test_freeze(sim), 0);
	KUNIT_EXPECT_EQ(test, sim_test_restore(sim), 0);
	KUNIT_EXPECT_EQ(test, submit(io.file, REQ_OP_READ, SECTOR, io.in, SZ_4K), -EIO);
	io_end(&io);
	data_moves(test, sim_test_plug(test, &usual));
}

static void a_device_without_config_space_is_refused(struct kunit *test)
{
	sim_test_without_config(test, sim_test_plug(test, &usual));
	data_moves(test, sim_test_plug(test, &usual));
}

/* Who reads a serial can be killed */

/**
 * struct reader - a thread that reads the serial
 * @path: of the attribute
 * @began: it can be killed
 * @got: what the read returned
 * @over: it has
 */
struct reader {
	const char *path;
	bool began;
	ssize_t got;
	struct completion over;
};

static int read_serial(void *data)
{
	struct reader *reader = data;
	char text[32];

	allow_signal(SIGKILL);
	WRITE_ONCE(reader->began, true);
	reader->got = sim_test_read(reader->path, text, sizeof(text));
	complete(&reader->over);
	while (!kthread_should_stop())
		usleep_range(1000, 2000);
	return 0;
}

/* Killed while the device has the request, or while there is no tag for it. */
static void killed_reader(struct kunit *test, const struct sim_options *options,
			  unsigned int reads)
{
	struct sim_device *sim = sim_test_plug(test, options);
	struct task_struct *thread;
	struct reader reader = {};
	struct flight flight;
	char path[64];
	struct io io;

	io_begin(test, sim, &io);
	reader.path = attribute(test, sim, "serial", path);
	init_completion(&reader.over);
	sim_tell_all(test, sim, .op = SIM_HOLD, .count = 1000);
	take_off(test, sim, &flight, &io, reads);
	thread = kthread_run(read_serial, &reader, "blk-reader");
	KUNIT_ASSERT_FALSE(test, IS_ERR(thread));
	KUNIT_EXPECT_TRUE(test, sim_test_wait(READ_ONCE(reader.began) &&
					      sim_test_told(sim, SIM_HOLD) >= max(reads, 1U),
					      SOON_MS));
	KUNIT_EXPECT_FALSE(test, wait_for_completion_timeout(&reader.over, HZ));
	send_sig(SIGKILL, thread, 1);
	/* Long before the host's time is over. */
	KUNIT_EXPECT_TRUE(test, wait_for_completion_timeout(&reader.over,
							    msecs_to_jiffies(SOON_MS)));
	kthread_stop(thread);
	KUNIT_EXPECT_EQ(test, reader.got, -EINTR);
	/* The answer comes all the same, to memory that is still there for it. */
	sim_forget(sim);
	expect_landed(test, &flight, 0);
	expect_attribute(test, sim, "serial", "virtio-rh-simulated0");
	io_end(&io);
	data_moves(test, sim);
}

static void a_reader_of_the_serial_can_be_killed(struct kunit *test)
{
	struct sim_options options = usual;

	killed_reader(test, &options, 0);
	options.pairs = 1;
	options.queue_size = 4;
	killed_reader(test, &options, 4);
}

static struct kunit_case blk_life_cases[] = {
	KUNIT_CASE(geometry_is_the_device_s_or_made_up),
	KUNIT_CASE(features_are_named),
	KUNIT_CASE(fewer_queues_can_be_asked_for),
	KUNIT_CASE(discards_are_merged_as_far_as_the_device_takes_them),
	KUNIT_CASE(discards_of_neighbours_cover_all_of_them),
	KUNIT_CASE(zeroes_may_be_unmapped_unless_the_block_layer_says_no),
	KUNIT_CASE(without_config_wce_the_cache_mode_is_what_it_is),
	KUNIT_CASE(a_device_that_keeps_its_cache_gets_flushes),
	KUNIT_CASE(a_device_that_caches_after_a_suspend_is_given_up),
	KUNIT_CASE(a_reset_of_the_function_keeps_the_disk),
	KUNIT_CASE(requests_after_a_shutdown_end),
	KUNIT_CASE(a_dead_disk_answers_everything_with_an_error),
	KUNIT_CASE(a_device_without_config_space_is_refused),
	KUNIT_CASE(a_reader_of_the_serial_can_be_killed),
	{}
};

SIM_SUITE(blk_life, virtio_blk_rh, sim_test_init, sim_test_exit);
MODULE_DESCRIPTION("KUnit suite of virtio_blk_rh: what a disk is told besides reads and writes");
MODULE_LICENSE("GPL");
