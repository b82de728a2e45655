/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For suites that drive a module through the simulated device: the device of a
 * test, unplugged when the test ends however it ends, what must hold for every
 * one, and files of the guest from a kernel thread.
 *
 * A suite's module has MODULE_SOFTDEP("pre: <driver>"), so that the driver is there.
 */
#ifndef VRH_SIM_KUNIT_H
#define VRH_SIM_KUNIT_H

#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/module.h>
#include <linux/path.h>
#include <linux/prandom.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "tests/simdev/simdev.h"

/* Of ring and transport, all that a driver can have from the simulated device. */
#define SIM_RING_FEATURES						\
	(BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) | BIT_ULL(VIRTIO_RING_F_EVENT_IDX) | \
	 BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_F_RING_RESET))
#define SIM_PACKED_FEATURES	(SIM_RING_FEATURES | BIT_ULL(VIRTIO_F_RING_PACKED))

static const u64 __maybe_unused sim_rings[] = { SIM_RING_FEATURES, SIM_PACKED_FEATURES };

/*
 * A suite of the cases in NAME_cases that drives DRIVER, as tests/vm/test_kunit.py finds it
 * in the source too.
 */
#define SIM_SUITE(_name, _driver, _init, _exit)					\
	static struct kunit_suite _name##_suite = {				\
		.name = #_name,							\
		.suite_init = sim_suite_init,					\
		.suite_exit = sim_suite_exit,					\
		.init = _init,							\
		.exit = _exit,							\
		.test_cases = _name##_cases,					\
	};									\
	kunit_test_suite(_name##_suite);					\
	MODULE_SOFTDEP("pre: " #_driver)

/* An action of a device, by the fields that matter; and one for all its queues. */
#define sim_tell(test, sim, ...)						\
	KUNIT_EXPECT_EQ(test, sim_act(sim, &(struct sim_action){ __VA_ARGS__ }), 0)
#define sim_tell_all(test, sim, ...)						\
	sim_tell(test, sim, .queue = SIM_ALL_QUEUES, __VA_ARGS__)

/**
 * struct sim_test - what a suite's init makes for each test, in test->priv
 * @sim: the device, or NULL
 */
struct sim_test {
	struct sim_device *sim;
};

/* Root directory of the program that loads the suite; kernel threads have another. */
static struct path sim_root;

/* For struct kunit_suite: suite_init runs in the context of who loads the module. */
static inline int sim_suite_init(struct kunit_suite *suite)
{
	get_fs_root(current->fs, &sim_root);
	return 0;
}

static inline void sim_suite_exit(struct kunit_suite *suite)
{
	path_put(&sim_root);
}

static inline int sim_test_init(struct kunit *test)
{
	test->priv = kunit_kzalloc(test, sizeof(struct sim_test), GFP_KERNEL);
	return test->priv ? 0 : -ENOMEM;
}

/**
 * sim_test_end() - the end of a device
 * @test: the test
 * @sim: the device
 * @surprise: pull it out
 *
 * A driver that broke the specification's rules fails the test.
 */
static inline void sim_test_end(struct kunit *test, struct sim_device *sim, bool surprise)
{
	char text[160];

	sim_unplug(sim, surprise);
	sim_violation_text(sim, text, sizeof(text));
	KUNIT_EXPECT_STREQ(test, text, "");
	sim_put(sim);
}

/**
 * sim_test_unplug() - take the test's device away
 * @test: the test
 * @surprise: pull it out
 */
static inline void sim_test_unplug(struct kunit *test, bool surprise)
{
	struct sim_test *t = test->priv;
	struct sim_device *sim = t->sim;

	if (!sim)
		return;
	t->sim = NULL;
	sim_test_end(test, sim, surprise);
}

static inline void sim_test_exit(struct kunit *test)
{
	if (test->priv)
		sim_test_unplug(test, false);
}

/**
 * sim_test_make() - make the test's device; the last one goes
 * @test: the test
 * @options: what device
 *
 * Return: the device, not yet plugged.
 */
static inline struct sim_device *sim_test_make(struct kunit *test,
					       const struct sim_options *options)
{
	struct sim_test *t = test->priv;
	struct sim_device *sim;

	sim_test_unplug(test, false);
	sim = sim_create(options);
	KUNIT_ASSERT_FALSE(test, IS_ERR(sim));
	t->sim = sim;
	return sim;
}

/**
 * sim_test_live() - does a driver have the device?
 * @sim: the device
 */
static inline bool sim_test_live(struct sim_device *sim)
{
	u8 status = READ_ONCE(sim->status);

	return (status & VIRTIO_CONFIG_S_DRIVER_OK) && !(status & VIRTIO_CONFIG_S_FAILED);
}

/**
 * sim_test_plug() - make a device and plug it
 * @test: the test
 * @options: what device
 *
 * Return: the device, in use by its driver, or the test ends.
 */
static inline struct sim_device *sim_test_plug(struct kunit *test,
					       const struct sim_options *options)
{
	struct sim_device *sim = sim_test_make(test, options);

	KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
	KUNIT_ASSERT_TRUE_MSG(test, sim_test_live(sim), "features %#llx, queue size %u",
			      options->features, options->queue_size);
	return sim;
}

/* Waits until COND is true, for MS milliseconds at most; its value. */
#define sim_test_wait(cond, ms)							\
({										\
	unsigned long _end = jiffies + msecs_to_jiffies(ms);			\
	bool _is;								\
										\
	while (!(_is = (cond)) && time_before(jiffies, _end))			\
		usleep_range(500, 1000);					\
	_is || (cond);								\
})

/**
 * sim_test_applied() - wait until every rule has met its event
 * @test: the test
 * @sim: the device
 *
 * A lie that was not told proves nothing.
 */
static inline void sim_test_applied(struct kunit *test, struct sim_device *sim)
{
	KUNIT_EXPECT_TRUE(test, sim_test_wait(!READ_ONCE(sim->nr_rules), 20000));
}

/**
 * sim_test_told() - how often the device has done something that it was told to
 * @sim: the device
 * @op: enum sim_op, or an operation of its model
 */
static inline u64 sim_test_told(struct sim_device *sim, unsigned int op)
{
	struct sim_stats stats;

	sim_stats(sim, &stats);
	return stats.by_op[op];
}

/**
 * sim_test_refused() - plug a device that no driver may take
 * @test: the test
 * @sim: the device
 */
static inline void sim_test_refused(struct kunit *test, struct sim_device *sim)
{
	KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
	KUNIT_EXPECT_FALSE(test, sim_test_live(sim));
}

/* What a transport does for a suspend. */
static inline int sim_test_freeze(struct sim_device *sim)
{
	int err;

	device_lock(&sim->vdev.dev);
	err = virtio_device_freeze(&sim->vdev);
	device_unlock(&sim->vdev.dev);
	return err;
}

static inline int sim_test_restore(struct sim_device *sim)
{
	int err;

	device_lock(&sim->vdev.dev);
	err = virtio_device_restore(&sim->vdev);
	device_unlock(&sim->vdev.dev);
	return err;
}

/* What a suite does with a device of some features and some queue size. */
typedef void (*sim_test_with)(struct kunit *test, u64 features, u32 size);

/**
 * sim_test_each_feature() - a device without each feature, and one with it alone
 * @test: the test
 * @all: features; VERSION_1 is always among those of the device
 * @with: what to do with it
 */
static inline void sim_test_each_feature(struct kunit *test, u64 all, sim_test_with with)
{
	unsigned int bit;

	for (bit = 0; bit < 64; bit++) {
		if (!(all & BIT_ULL(bit)) || bit == VIRTIO_F_VERSION_1)
			continue;
		kunit_info(test, "without bit %u, and with it alone", bit);
		with(test, all & ~BIT_ULL(bit), 64);
		with(test, BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(bit), 64);
	}
}

/**
 * sim_test_random_features() - devices of random features, the same ones each time
 * @test: the test
 * @all: features to choose from
 * @count: devices
 * @with: what to do with them
 */
static inline void sim_test_random_features(struct kunit *test, u64 all, unsigned int count,
					    sim_test_with with)
{
	struct rnd_state rnd;
	u64 features;

	prandom_seed_state(&rnd, 20261123);
	while (count--) {
		features = prandom_u32_state(&rnd);
		features |= (u64)prandom_u32_state(&rnd) << 32;
		features &= all;
		kunit_info(test, "features %#llx", features);
		with(test, features | BIT_ULL(VIRTIO_F_VERSION_1), 64);
	}
}

/**
 * sim_test_each_size() - split rings of all sizes, and packed ones of odd sizes
 * @test: the test
 * @features: of the device type
 * @from: first size of a split ring
 * @to: last one
 * @odd: sizes of packed rings
 * @nr: entries of @odd
 * @with: what to do with the devices
 */
static inline void sim_test_each_size(struct kunit *test, u64 features, u32 from, u32 to,
				      const u16 *odd, size_t nr, sim_test_with with)
{
	for (; from <= to; from *= 2)
		with(test, features | SIM_RING_FEATURES, from);
	for (; nr; nr--, odd++)
		with(test, features | SIM_PACKED_FEATURES, *odd);
}

/**
 * sim_test_open() - open a file of the guest
 * @name: path from the root directory, "dev/vda"
 * @flags: O_RDWR and so on
 *
 * Return: the file or an errno.
 */
static inline struct file *sim_test_open(const char *name, int flags)
{
	return file_open_root(&sim_root, name, flags | O_LARGEFILE, 0);
}

/**
 * sim_test_close() - close it
 * @file: the file
 *
 * The last reference goes in work of ours, which would wait for our end.
 */
static inline void sim_test_close(struct file *file)
{
	filp_close(file, NULL);
	flush_delayed_fput();
}

/**
 * sim_test_write() - write a text to a file that is there
 * @test: the test
 * @name: path from the root directory
 * @text: what to write
 *
 * Return: bytes written or an errno.
 */
static inline ssize_t sim_test_write(struct kunit *test, const char *name, const char *text)
{
	struct file *file = sim_test_open(name, O_WRONLY);
	ssize_t len;
	loff_t at = 0;

	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(file), "%s", name);
	len = kernel_write(file, text, strlen(text), &at);
	sim_test_close(file);
	return len;
}

/**
 * sim_test_read() - read a file of sysfs
 * @name: path from the root directory
 * @text: receives the text without its newline
 * @size: bytes at @text
 *
 * Return: bytes read or an errno.
 */
static inline ssize_t sim_test_read(const char *name, char *text, size_t size)
{
	struct file *file = sim_test_open(name, O_RDONLY);
	loff_t at = 0;
	ssize_t len;

	text[0] = 0;
	if (IS_ERR(file))
		return PTR_ERR(file);
	len = kernel_read(file, text, size - 1, &at);
	sim_test_close(file);
	text[max_t(ssize_t, len, 0)] = 0;
	strim(text);
	return len;
}

/**
 * sim_test_without_config() - a driver refuses a device that it cannot read
 * @test: the case
 * @sim: plugged; its driver is taken away, and the next one finds no config space
 */
static inline void sim_test_without_config(struct kunit *test, struct sim_device *sim)
{
	static struct virtio_config_ops without;
	const struct virtio_config_ops *with = sim->vdev.config;

	without = *with;
	without.get = NULL;
	device_release_driver(&sim->vdev.dev);
	sim->vdev.config = &without;
	KUNIT_EXPECT_LE(test, device_attach(&sim->vdev.dev), 0);
	KUNIT_EXPECT_FALSE(test, sim_test_live(sim));
	KUNIT_EXPECT_PTR_EQ(test, sim->vdev.dev.driver, NULL);
	sim->vdev.config = with;
}

/* What all suites do to a device, and to its driver, once for each kind of it. */
#include "sim_kunit_lies.h"

#endif
