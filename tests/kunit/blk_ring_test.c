// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_blk_rh against a simulated device that is honest, but otherwise as odd as it may
 * be: every feature and ring, answers in any order, interrupts at any time, config space
 * that changes, suspends after which the device is another.
 */

#include "blk_kunit.h"

#define PACKED_DMA	(SIM_PACKED_FEATURES | BIT_ULL(VIRTIO_F_ACCESS_PLATFORM))
#define ALL		(FEATURES | PACKED_DMA)

static void with(struct kunit *test, u64 features, u32 size)
{
	struct sim_options options = usual;

	options.features = features;
	options.queue_size = size;
	data_moves(test, sim_test_plug(test, &options));
}

static void each_feature_off_and_alone(struct kunit *test)
{
	const u64 ro = BIT_ULL(VIRTIO_BLK_F_RO);

	with(test, ALL, 64);
	with(test, ALL | ro, 64);
	with(test, BIT_ULL(VIRTIO_F_VERSION_1), 64);
	with(test, BIT_ULL(VIRTIO_F_VERSION_1) | ro, 64);
	sim_test_each_feature(test, ALL, with);
}

static void random_features(struct kunit *test)
{
	sim_test_random_features(test, ALL | BIT_ULL(VIRTIO_BLK_F_RO), 16, with);
}

/* Without VERSION_1: the guest's byte order, no FEATURES_OK, headers of one descriptor. */
static void legacy_devices(struct kunit *test)
{
	const u64 ring = BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) | BIT_ULL(VIRTIO_RING_F_EVENT_IDX);

	with(test, 0, 64);
	with(test, FEATURES, 64);
	with(test, FEATURES | ring, 64);
	with(test, FEATURES | ring | BIT_ULL(VIRTIO_BLK_F_RO), 64);
}

/* A request takes three descriptors, and may not be longer than its ring (2.7.5.3.1). */
static void every_queue_size(struct kunit *test)
{
	static const u16 odd[] = { 3, 5, 100, 1000, 32767 };
	struct sim_options options = usual;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sim_rings); i++) {
		options.features = FEATURES | sim_rings[i];
		for (options.queue_size = 1; options.queue_size < 3; options.queue_size++)
			sim_test_refused(test, sim_test_make(test, &options));
	}
	sim_test_each_size(test, FEATURES, 4, SIM_QUEUE_SIZE_MAX, odd, ARRAY_SIZE(odd), with);
}

/* As vhost: no kick is wanted while it works. One that is missing stops everything. */
static void a_device_that_suppresses_kicks_gets_every_request(struct kunit *test)
{
	static const u64 rings[] = {
		BIT_ULL(VIRTIO_F_VERSION_1), SIM_RING_FEATURES, SIM_PACKED_FEATURES,
		SIM_PACKED_FEATURES & ~BIT_ULL(VIRTIO_RING_F_EVENT_IDX),
	};
	struct sim_options options = usual;
	struct sim_device *sim;
	struct flight flight;
	unsigned int i, round;
	struct io io;

	options.suppress = true;
	for (i = 0; i < ARRAY_SIZE(rings); i++) {
		options.features = FEATURES | rings[i];
		sim = sim_test_plug(test, &options);
		io_begin(test, sim, &io);
		for (round = 0; round < 20; round++) {
			take_off(test, sim, &flight, &io, 40);
			expect_landed(test, &flight, 0);
		}
		io_end(&io);
		data_moves(test, sim);
	}
}

/* Three descriptors a request, and half as many requests as descriptors. */
static void a_full_ring_is_waited_for(struct kunit *test)
{
	static const u64 rings[] = { 0, BIT_ULL(VIRTIO_F_RING_PACKED) };
	struct sim_options options = usual;
	struct sim_device *sim;
	struct flight flight;
	unsigned int i;
	struct io io;

	options.pairs = 1;
	options.queue_size = 256;
	for (i = 0; i < ARRAY_SIZE(rings); i++) {
		options.features = FEATURES | BIT_ULL(VIRTIO_F_VERSION_1) | rings[i];
		sim = sim_test_plug(test, &options);
		io_begin(test, sim, &io);
		sim_tell_all(test, sim, .op = SIM_HOLD, .count = 1000);
		take_off(test, sim, &flight, &io, 120);
		KUNIT_EXPECT_TRUE(test, sim_test_wait(sim_test_told(sim, SIM_HOLD) == 256 / 3,
						      SOON_MS));
		KUNIT_EXPECT_FALSE(test, lands(&flight, 100));
		KUNIT_EXPECT_EQ(test, sim_test_told(sim, SIM_HOLD), 256 / 3);
		sim_forget(sim);
		expect_landed(test, &flight, 0);
		io_end(&io);
		data_moves(test, sim);
	}
}

static void order_of_answers_does_not_matter(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);
	struct flight flight;
	struct io io;

	io_begin(test, sim, &io);
	sim_tell_all(test, sim, .op = SIM_REORDER, .count = 8, .value = 4);
	take_off(test, sim, &flight, &io, 8);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(sim_test_told(sim, SIM_REORDER) == 8, SOON_MS));
	/* Two queues may have shared them unevenly. */
	if (!lands(&flight, 1000))
		sim_forget(sim);
	expect_landed(test, &flight, 0);
	data_moves(test, sim);
	io_end(&io);
}

/* Interrupts */

static void a_lost_interrupt_delays_and_no_more(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);
	struct flight flight;
	struct io io;

	io_begin(test, sim, &io);
	sim_tell_all(test, sim, .op = SIM_IRQ_DROP);
	take_off(test, sim, &flight, &io, 1);
	sim_test_applied(test, sim);
	KUNIT_EXPECT_FALSE(test, lands(&flight, 100));
	sim_tell_all(test, sim, .op = SIM_IRQ);
	expect_landed(test, &flight, 0);
	io_end(&io);
	data_moves(test, sim);
}

static unsigned int nr_vqs(struct sim_device *sim)
{
	unsigned int i, nr = 0;

	for (i = 0; i < sim->nr_queues; i++)
		nr += !!sim->queues[i].vq;
	return nr;
}

static void interrupts_at_odd_times_do_nothing(struct kunit *test)
{
	struct sim_device *sim = sim_test_make(test, &usual);
	unsigned int i, queues;

	sim_tell_all(test, sim, .op = SIM_IRQ_EARLY, .count = sim->nr_queues);
	KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
	KUNIT_ASSERT_TRUE(test, sim_test_live(sim));
	queues = nr_vqs(sim);
	KUNIT_EXPECT_GT(test, queues, 1);
	KUNIT_EXPECT_EQ(test, sim_test_told(sim, SIM_IRQ_EARLY), queues);

	for (i = 0; i < 20; i++) {
		sim_tell_all(test, sim, .op = SIM_IRQ);
		sim_tell(test, sim, .op = SIM_CONFIG_IRQ);
	}
	data_moves(test, sim);

	sim_tell_all(test, sim, .op = SIM_IRQ_LATE, .count = queues);
	sim_unplug(sim, false);
	KUNIT_EXPECT_EQ(test, sim_test_told(sim, SIM_IRQ_LATE), queues);
}

/* Config space */

/* Each field of config space with each of these, before the driver has seen it. */
static void a_config_space_of_nonsense_is_refused_or_bounded(struct kunit *test)
{
	static const u64 nonsense[] = { 0, 1, 513, 0x7fffffff, U64_MAX };
	struct sim_device *sim;
	unsigned int at, i;
	__le64 value;
	struct io io;

	for (at = 0; at < sizeof(struct virtio_blk_config); at += 4) {
		for (i = 0; i < ARRAY_SIZE(nonsense); i++) {
			sim = sim_test_make(test, &usual);
			value = cpu_to_le64(nonsense[i]);
			sim_config_write(sim, at, &value, at ? 4 : 8, false);
			KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
			/* What is left is the capacity of a disk that can be used. */
			if (!at || !sim_test_live(sim))
				continue;
			io_begin(test, sim, &io);
			io_round(test, sim, &io);
			io_end(&io);
		}
	}
	data_moves(test, sim_test_plug(test, &usual));
}

/* What would put data at risk, and what would not. */
static void fields_that_refuse_a_device(struct kunit *test)
{
	static const struct {
		const char *name;
		unsigned int at;
		unsigned int width;
		u64 value;
		bool live;
	} fields[] = {
		{ "capacity 2^64-1", 0, 8, U64_MAX, false },
		{ "size_max 0", offsetof(struct virtio_blk_config, size_max), 4, 0, true },
		{ "size_max 4095", offsetof(struct virtio_blk_config, size_max), 4, 4095, false },
		{ "seg_max 0", offsetof(struct virtio_blk_config, seg_max), 4, 0, true },
		{ "seg_max 2^32-1", offsetof(struct virtio_blk_config, seg_max), 4, U32_MAX,
		  true },
		{ "blk_size 0", offsetof(struct virtio_blk_config, blk_size), 4, 0, false },
		{ "blk_size 513", offsetof(struct virtio_blk_config, blk_size), 4, 513, false },
		{ "blk_size 2^31", offsetof(struct virtio_blk_config, blk_size), 4, BIT(31),
		  false },
		{ "topology of ones", offsetof(struct virtio_blk_config, physical_block_exp), 8,
		  U64_MAX, true },
		{ "cache mode 255", offsetof(struct virtio_blk_config, wce), 1, U8_MAX, true },
		{ "no queue", offsetof(struct virtio_blk_config, num_queues), 2, 0, false },
		{ "65535 queues", offsetof(struct virtio_blk_config, num_queues), 2, U16_MAX,
		  true },
		{ "discard of nothing", offsetof(struct virtio_blk_config, max_discard_sectors),
		  8, 1, true },
	};
	struct sim_device *sim;
	__le64 value;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		kunit_info(test, "%s", fields[i].name);
		sim = sim_test_make(test, &usual);
		value = cpu_to_le64(fields[i].value);
		sim_config_write(sim, fields[i].at, &value, fields[i].width, false);
		KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
		KUNIT_EXPECT_EQ_MSG(test, sim_test_live(sim), fields[i].live, "%s",
				    fields[i].name);
		if (fields[i].live && sim_test_live(sim))
			data_moves(test, sim);
	}
}

static u64 size_of(const struct io *io)
{
	return bdev_nr_sectors(I_BDEV(io->file->f_mapping->host));
}

static void a_capacity_that_changes_is_followed(struct kunit *test)
{
	static const u64 sectors[] = { 16, 0, 1ULL << 62, U64_MAX, 8192 };
	struct sim_device *sim = sim_test_plug(test, &usual);
	u64 before = 8192;
	struct io io;
	size_t i;

	io_begin(test, sim, &io);
	for (i = 0; i < ARRAY_SIZE(sectors); i++) {
		sim_tell(test, sim, .op = SIM_CONFIG, .width = 8, .value = sectors[i]);
		if (sectors[i] < U32_MAX) {
			KUNIT_EXPECT_TRUE(test, sim_test_wait(size_of(&io) == sectors[i], SOON_MS));
			before = sectors[i];
		} else {
			/* More than the block layer can count: nothing happens. */
			msleep(100);
			KUNIT_EXPECT_EQ(test, size_of(&io), before);
		}
	}
	io_end(&io);
	data_moves(test, sim);
}

/* While the driver reads them, 0x2000 sectors become 0x1010, byte by byte. */
static void tear(struct kunit *test, struct sim_device *sim)
{
	sim_tell(test, sim, .op = SIM_CONFIG_TEAR, .at = 1, .value = 0x10);
	sim_tell(test, sim, .op = SIM_CONFIG_TEAR, .at = 0, .value = 0x10);
}

/* A generation that never stands still. */
static void tear_for_ever(struct kunit *test, struct sim_device *sim)
{
	sim_tell(test, sim, .op = SIM_CONFIG_TEAR, .at = 0, .value = 0x08, .count = U32_MAX);
}

static void a_torn_capacity_is_read_again_but_not_for_ever(struct kunit *test)
{
	struct sim_device *sim;
	struct io io;
	u64 before;

	/* In probe. */
	sim = sim_test_make(test, &usual);
	tear(test, sim);
	KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
	KUNIT_ASSERT_TRUE(test, sim_test_live(sim));
	KUNIT_EXPECT_EQ(test, sim_test_told(sim, SIM_CONFIG_TEAR), 2);
	io_begin(test, sim, &io);
	KUNIT_EXPECT_EQ(test, size_of(&io), 0x1010);
	io_end(&io);
	data_moves(test, sim);

	/* Eight readings, and one of each other field. */
	sim = sim_test_make(test, &usual);
	tear_for_ever(test, sim);
	KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
	KUNIT_ASSERT_TRUE(test, sim_test_live(sim));
	sim_forget(sim);
	KUNIT_EXPECT_GE(test, sim_test_told(sim, SIM_CONFIG_TEAR), 8);
	KUNIT_EXPECT_LT(test, sim_test_told(sim, SIM_CONFIG_TEAR), 50);

	/* After a change. */
	sim = sim_test_plug(test, &usual);
	io_begin(test, sim, &io);
	tear(test, sim);
	sim_tell(test, sim, .op = SIM_CONFIG_IRQ);
	sim_test_applied(test, sim);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(size_of(&io) != 0x2000, SOON_MS));
	KUNIT_EXPECT_EQ(test, size_of(&io), 0x1010);

	before = sim_test_told(sim, SIM_CONFIG_TEAR);
	tear_for_ever(test, sim);
	sim_tell(test, sim, .op = SIM_CONFIG_IRQ);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(size_of(&io) == 0x1008, SOON_MS));
	sim_forget(sim);
	KUNIT_EXPECT_EQ(test, sim_test_told(sim, SIM_CONFIG_TEAR) - before, 8);
	io_end(&io);
	data_moves(test, sim);
}

/* Suspend */

static void a_suspend_keeps_requests(struct kunit *test)
{
	struct sim_device *sim = sim_test_plug(test, &usual);
	unsigned int round;
	struct flight flight, later;
	struct io io;

	io_begin(test, sim, &io);
	for (round = 0; round < 3; round++) {
		sim_tell_all(test, sim, .op = SIM_DELAY, .value = 300, .count = 2);
		take_off(test, sim, &flight, &io, 2);
		KUNIT_ASSERT_EQ(test, sim_test_freeze(sim), 0);
		/* Those under way have ended, with what the device says. */
		KUNIT_EXPECT_EQ(test, sim_test_told(sim, SIM_DELAY), 2 * (round + 1));
		KUNIT_EXPECT_EQ(test, atomic_read(&flight.left), 0);
		expect_landed(test, &flight, 0);
		KUNIT_EXPECT_EQ(test, nr_vqs(sim), 0);

		take_off(test, sim, &later, &io, 10);
		KUNIT_EXPECT_FALSE(test, lands(&later, 100));
		KUNIT_ASSERT_EQ(test, sim_test_restore(sim), 0);
		expect_landed(test, &later, 0);
		data_moves(test, sim);
	}
	io_end(&io);
}

/* What the disk may not lose: its size, its requests, that no cache is behind it. */
static void a_device_may_be_another_after_a_suspend(struct kunit *test)
{
	struct io io;
	struct sim_device *sim = suspended_without_cache(test, &io);
	__le64 sectors = cpu_to_le64(0x1000);
	struct flight flight;

	/* Smaller in all respects, as far as it goes, and with its own cache mode. */
	sim->options.queue_size = 128;
	sim_config_write(sim, 0, &sectors, sizeof(sectors), false);
	KUNIT_ASSERT_EQ(test, sim_test_restore(sim), 0);
	KUNIT_EXPECT_EQ(test, device_wce(sim), 0);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(size_of(&io) == 0x1000, SOON_MS));
	/* There are more tags than entries now. */
	set_cpus_allowed_ptr(current, cpumask_of(raw_smp_processor_id()));
	sim_tell_all(test, sim, .op = SIM_HOLD, .count = 1000);
	take_off(test, sim, &flight, &io, 200);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(sim_test_told(sim, SIM_HOLD) == 128, SOON_MS));
	set_cpus_allowed_ptr(current, cpu_possible_mask);
	sim_forget(sim);
	expect_landed(test, &flight, 0);

	/* And larger again. */
	KUNIT_ASSERT_EQ(test, sim_test_freeze(sim), 0);
	sim->options.queue_size = 1024;
	KUNIT_ASSERT_EQ(test, sim_test_restore(sim), 0);
	io_end(&io);
	data_moves(test, sim);
}

/* The device comes back without what its disk was made for; @spoil sees to that. */
static void comes_back_bad(struct kunit *test, const char *name,
			   void (*spoil)(struct kunit *test, struct sim_device *sim))
{
	struct sim_device *sim = sim_test_plug(test, &usual);
	unsigned int queues = sim->nr_queues;
	struct flight flight;
	struct io io;

	kunit_info(test, "%s", name);
	KUNIT_ASSERT_EQ(test, nr_vqs(sim), queues);
	io_begin(test, sim, &io);
	KUNIT_ASSERT_EQ(test, sim_test_freeze(sim), 0);
	take_off(test, sim, &flight, &io, 10);
	spoil(test, sim);
	KUNIT_EXPECT_NE(test, sim_test_restore(sim), 0);
	sim->nr_queues = queues;
	/* Gone, it is not even shown to the driver, and the requests wait for its removal. */
	if (READ_ONCE(sim->gone))
		sim_test_unplug(test, false);
	expect_landed(test, &flight, 10);
	KUNIT_EXPECT_NE(test, submit(io.file, REQ_OP_READ, 0, io.in, SZ_4K), 0);
	io_end(&io);
	data_moves(test, sim_test_plug(test, &usual));
}

static void short_rings(struct kunit *test, struct sim_device *sim)
{
	sim->options.queue_size = 64;
}

static void one_queue(struct kunit *test, struct sim_device *sim)
{
	sim->nr_queues = 1;
}

static void no_second_queue(struct kunit *test, struct sim_device *sim)
{
	sim_tell(test, sim, .op = SIM_VQ_FAIL, .queue = 1);
}

static void gone(struct kunit *test, struct sim_device *sim)
{
	sim_tell(test, sim, .op = SIM_GONE);
}

static void a_device_that_comes_back_as_less_is_given_up(struct kunit *test)
{
	comes_back_bad(test, "rings too short for its segments", short_rings);
	comes_back_bad(test, "fewer queues", one_queue);
	comes_back_bad(test, "a queue of no entries", no_second_queue);
	comes_back_bad(test, "gone", gone);
}

static void a_queue_that_is_not_to_be_had_refuses_the_device(struct kunit *test)
{
	static const unsigned int errors[] = { 0, ENOMEM, EIO };
	struct sim_device *sim;
	unsigned int i;

	for (i = 0; i < 2 * ARRAY_SIZE(errors); i++) {
		sim = sim_test_make(test, &usual);
		sim_tell(test, sim, .op = SIM_VQ_FAIL, .queue = i % 2, .value = errors[i / 2]);
		sim_test_refused(test, sim);
		KUNIT_EXPECT_EQ(test, sim_test_told(sim, SIM_VQ_FAIL), 1);
	}
	data_moves(test, sim_test_plug(test, &usual));
}

static struct kunit_case blk_ring_cases[] = {
	KUNIT_CASE_SLOW(each_feature_off_and_alone),
	KUNIT_CASE_SLOW(random_features),
	KUNIT_CASE(legacy_devices),
	KUNIT_CASE_SLOW(every_queue_size),
	KUNIT_CASE(a_device_that_suppresses_kicks_gets_every_request),
	KUNIT_CASE(a_full_ring_is_waited_for),
	KUNIT_CASE(order_of_answers_does_not_matter),
	KUNIT_CASE(a_lost_interrupt_delays_and_no_more),
	KUNIT_CASE(interrupts_at_odd_times_do_nothing),
	KUNIT_CASE_SLOW(a_config_space_of_nonsense_is_refused_or_bounded),
	KUNIT_CASE(fields_that_refuse_a_device),
	KUNIT_CASE(a_capacity_that_changes_is_followed),
	KUNIT_CASE(a_torn_capacity_is_read_again_but_not_for_ever),
	KUNIT_CASE(a_suspend_keeps_requests),
	KUNIT_CASE(a_device_may_be_another_after_a_suspend),
	KUNIT_CASE(a_device_that_comes_back_as_less_is_given_up),
	KUNIT_CASE(a_queue_that_is_not_to_be_had_refuses_the_device),
	{}
};

SIM_SUITE(blk_ring, virtio_blk_rh, sim_test_init, sim_test_exit);
MODULE_DESCRIPTION("KUnit suite of virtio_blk_rh on an honest simulated device");
MODULE_LICENSE("GPL");
