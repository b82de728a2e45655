// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_console_rh when memory is short: each allocation of a probe, of a restore and of
 * a write fails once. The device is refused or works, and nothing is left behind. Ports
 * are made by a work, whose allocations no test of this kind can reach.
 */
#include <linux/module.h>

#include "console_kunit.h"

/* Small rings: each buffer is two allocations. */
static const struct sim_options many_ports = {
	.id = VIRTIO_ID_CONSOLE,
	.features = FEATURES | SIM_RING_FEATURES,
	.queue_size = 4,
	.ports = 2,
};

static const struct sim_options one_console = {
	.id = VIRTIO_ID_CONSOLE,
	.features = SIZE | SIM_PACKED_FEATURES,
	.queue_size = 4,
	.ports = 1,
};

/* Its minor number, which those of before have given back. */
static void has_first_minor(struct kunit *test, struct sim_device *sim)
{
	char path[64], text[16];

	snprintf(path, sizeof(path), "sys/class/virtio-ports-rh/vport%dp0/dev", sim->vdev.index);
	KUNIT_EXPECT_GT(test, sim_test_read(path, text, sizeof(text)), 0);
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(text, ":0"), "%s", text);
}

static void use(struct kunit *test, struct sim_device *sim)
{
	struct module *driver = sim->vdev.dev.driver->owner;

	data_moves_at(test, sim, CONSOLE);
	has_first_minor(test, sim);
	if (sim_has(sim, VIRTIO_CONSOLE_F_MULTIPORT)) {
		add_port(test, sim, PORT, NULL, 0);
		data_moves_at(test, sim, PORT);
	}
	/* A terminal that was open lets go of the module a moment later. */
	KUNIT_EXPECT_TRUE(test, sim_test_wait(!module_refcount(driver), SOON_MS));
}

static void each_failing_allocation_of_a_probe_is_survived(struct kunit *test)
{
	sim_test_sweep_plug(test, &many_ports, 20, use);
}

/* Its port and its terminal are made by the probe itself. */
static void each_failing_allocation_of_a_console_s_probe_is_survived(struct kunit *test)
{
	sim_test_sweep_plug(test, &one_console, 30, use);
}

static void restores_without_memory(struct kunit *test, const struct sim_options *options)
{
	struct sim_sweep sweep = {};
	unsigned int failed = 0;
	struct sim_device *sim;
	struct end end;
	int err = -EINVAL;

	while (sim_sweep_next(test, &sweep)) {
		sim = sim_test_plug(test, options);
		end = open_end(test, sim, CONSOLE);
		KUNIT_ASSERT_EQ(test, sim_test_freeze(sim), 0);
		sim_sweep_begin(&sweep);
		err = sim_test_restore(sim);
		sim_sweep_end(&sweep);
		failed += !!err;
		if (!err) {
			is_connected(test, &end);
			data_moves(test, &end);
		} else {
			KUNIT_EXPECT_EQ(test, err, -ENOMEM);
			/* What goes nowhere is thrown away: nobody waits. */
			KUNIT_EXPECT_EQ(test, move(&end, sent, BYTES, true), BYTES);
		}
		sim_test_unplug(test, sweep.nth & 1);
		close_end(&end);
	}
	/* The last one had all that it wanted. */
	KUNIT_EXPECT_EQ(test, err, 0);
	kunit_info(test, "%u failed", failed);
	KUNIT_EXPECT_GT(test, failed, 10);
	use(test, sim_test_plug(test, options));
}

static void each_failing_allocation_of_a_restore_ends_cleanly(struct kunit *test)
{
	restores_without_memory(test, &many_ports);
	restores_without_memory(test, &one_console);
}

static void each_failing_allocation_of_a_write_is_told(struct kunit *test)
{
	static const size_t sizes[] = { 100, BYTES };
	struct sim_device *sim = usual(test);
	struct end end = open_end(test, sim, PORT);
	unsigned int i, told = 0;
	struct sim_sweep sweep;
	ssize_t n;

	data_moves(test, &end);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		sweep = (struct sim_sweep){};
		while (sim_sweep_next(test, &sweep)) {
			get_random_bytes(sent, BYTES);
			act(test, sim, SIM_CONSOLE_ECHO, ON(PORT, SIM_CONSOLE_RECORD));
			sim_sweep_begin(&sweep);
			n = put_once(&end, sent, sizes[i]);
			sim_sweep_end(&sweep);
			/* More than a page is tried again in smaller pieces. */
			KUNIT_EXPECT_TRUE(test, n == sizes[i] || (n == -ENOMEM && !i));
			told += n == -ENOMEM;
			n = max_t(ssize_t, n, 0);
			KUNIT_EXPECT_EQ(test, move(&end, sent + n, BYTES - n, true), BYTES - n);
			KUNIT_EXPECT_TRUE(test, sim_test_wait(state(sim, PORT).recorded == BYTES,
							      SOON_MS));
			KUNIT_EXPECT_EQ(test, sim_console_take(sim, PORT, got, BYTES), BYTES);
			KUNIT_EXPECT_EQ(test, memcmp(got, sent, BYTES), 0);
		}
	}
	KUNIT_EXPECT_GT(test, told, 0);
	data_moves(test, &end);
	close_end(&end);
}

static struct kunit_case console_alloc_cases[] = {
	KUNIT_CASE_SLOW(each_failing_allocation_of_a_probe_is_survived),
	KUNIT_CASE_SLOW(each_failing_allocation_of_a_console_s_probe_is_survived),
	KUNIT_CASE_SLOW(each_failing_allocation_of_a_restore_ends_cleanly),
	KUNIT_CASE(each_failing_allocation_of_a_write_is_told),
	{}
};

SIM_SUITE(console_alloc, virtio_console_rh, sim_test_init, console_test_exit);
MODULE_DESCRIPTION("KUnit suite of virtio_console_rh on the simulated device: memory that is short");
MODULE_LICENSE("GPL");
