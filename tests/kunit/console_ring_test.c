// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_console_rh against the simulated device: every feature and ring that it can
 * meet, and every lie about interrupts and config space.
 */
#include <linux/module.h>

#include "console_kunit.h"

/* Features and rings */

#define ALL	(FEATURES | SIM_PACKED_FEATURES | BIT_ULL(VIRTIO_F_ACCESS_PLATFORM))

static void with(struct kunit *test, u64 features, u32 size)
{
	struct sim_device *sim = make(test, features, size, 2);

	plug(test, sim);
	data_moves_at(test, sim, CONSOLE);
	if (features & MULTIPORT)
		data_moves_at(test, sim, PORT);
}

static void bytes_move_with_each_feature_off_and_alone(struct kunit *test)
{
	sim_test_each_feature(test, ALL, with);
}

static void bytes_move_with_legacy_devices(struct kunit *test)
{
	with(test, FEATURES | BIT_ULL(VIRTIO_RING_F_EVENT_IDX) |
	     BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC), 64);
	with(test, FEATURES, 64);
	with(test, 0, 64);
}

static void bytes_move_with_random_features(struct kunit *test)
{
	sim_test_random_features(test, ALL, 8, with);
}

/* As with vhost: kicks are not wanted while the device works. */
static void bytes_move_with_kicks_suppressed(struct kunit *test)
{
	static const u64 rings[] = {
		BIT_ULL(VIRTIO_F_VERSION_1), SIM_RING_FEATURES, SIM_PACKED_FEATURES,
		SIM_PACKED_FEATURES & ~BIT_ULL(VIRTIO_RING_F_EVENT_IDX),
	};
	struct sim_options options = {
		.id = VIRTIO_ID_CONSOLE, .queue_size = 16, .ports = 2, .suppress = true,
	};
	struct sim_device *sim;
	unsigned int i, n;

	for (i = 0; i < ARRAY_SIZE(rings); i++) {
		options.features = FEATURES | rings[i];
		sim = make_of(test, &options);
		plug(test, sim);
		for (n = 0; n < 3; n++) {
			data_moves_at(test, sim, CONSOLE);
			data_moves_at(test, sim, PORT);
		}
	}
}

static void bytes_move_with_every_queue_size(struct kunit *test)
{
	static const u16 odd[] = { 1, 3, 100, 1000 };

	sim_test_each_size(test, FEATURES, 1, 1024, odd, ARRAY_SIZE(odd), with);
}

/* Receive buffers that come back */

/* Of a ring; and input for more than twice as many. */
#define FEW	4
#define FLOOD	(10 * BUFFER)

/* Input, and the device has filled all its buffers: for the rest of it there is none. */
static void flood(struct kunit *test, struct sim_device *sim, u32 id, u16 queue)
{
	sim_tell(test, sim, .op = SIM_HOLD, .queue = queue, .count = FEW);
	sim_tell(test, sim, .op = SIM_CONSOLE_FLOOD, .value = id, .at = FLOOD);
	sim_test_applied(test, sim);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(state(sim, id).waiting == FLOOD - FEW * BUFFER,
					      SOON_MS));
	sim_tell(test, sim, .op = SIM_RELEASE, .queue = queue);
}

/* Nothing but the driver's kick tells the device that there is one again. */
static void input_that_finds_no_buffer_comes_later(struct kunit *test)
{
	struct sim_device *sim;
	size_t at, i, len;
	struct end end;
	unsigned int ring;
	u32 id;

	for (ring = 0; ring < ARRAY_SIZE(sim_rings); ring++) {
		sim = make(test, FEATURES | sim_rings[ring], FEW, 2);
		plug(test, sim);
		for (id = CONSOLE; id <= PORT; id++) {
			end = open_end(test, sim, id);
			flood(test, sim, id, id ? PORT_RX : 0);
			for (at = 0; at < FLOOD; at += len) {
				len = min_t(size_t, FLOOD - at, BYTES);
				KUNIT_ASSERT_EQ(test, move(&end, got, len, false), len);
				for (i = 0; i < len && got[i] == sim_console_flood_byte(at + i);
				     i++)
					;
				KUNIT_EXPECT_EQ(test, i, len);
			}
			hears_nothing(test, &end);
			close_end(&end);
		}
	}
}

/* Nor when the buffers come back because nobody reads. */
static void input_of_a_port_that_is_closed_is_thrown_away_to_its_end(struct kunit *test)
{
	struct sim_device *sim;
	unsigned int ring;
	struct end end;

	for (ring = 0; ring < ARRAY_SIZE(sim_rings); ring++) {
		sim = make(test, FEATURES | sim_rings[ring], FEW, 2);
		plug(test, sim);
		end = open_end(test, sim, PORT);
		/* A word about it would have the device look: none can be said any more. */
		sim_tell(test, sim, .op = SIM_ID, .queue = CTRL_TX, .value = U16_MAX);
		sim_console_send(sim, PORT, VIRTIO_CONSOLE_PORT_ADD, 1, NULL, 0);
		KUNIT_EXPECT_TRUE(test, ctrl_counts(test, sim, "tx_broken", 1));
		flood(test, sim, PORT, PORT_RX);
		close_end(&end);
		KUNIT_EXPECT_TRUE(test, sim_test_wait(!state(sim, PORT).waiting, SOON_MS));
		KUNIT_EXPECT_TRUE(test, sim_test_wait(port_counter(test, &end, "bytes_discarded")
						      == FLOOD, SOON_MS));
		KUNIT_EXPECT_TRUE(test, state(sim, PORT).guest_open);
		end = open_end(test, sim, PORT);
		hears_nothing(test, &end);
		data_moves(test, &end);
		close_end(&end);
	}
}

/* Lies about interrupts, config space and status */

static void interrupts_at_odd_times_do_nothing(struct kunit *test)
{
	struct sim_device *sim = make(test, FEATURES | SIM_RING_FEATURES, 64, 2);
	struct sim_stats stats;
	struct end end;
	unsigned int i;

	sim_tell_all(test, sim, .op = SIM_IRQ_EARLY, .count = 6);
	sim_tell_all(test, sim, .op = SIM_IRQ_LATE, .count = 6);
	plug(test, sim);
	end = open_end(test, sim, PORT);
	for (i = 0; i < 20; i++) {
		act(test, sim, SIM_IRQ, 0);
		act(test, sim, SIM_CONFIG_IRQ, 0);
	}
	sim_tell_all(test, sim, .op = SIM_IRQ_STORM, .value = 1000, .count = 4);
	data_moves(test, &end);
	data_moves_at(test, sim, CONSOLE);
	hears_nothing(test, &end);
	/* A suspend has a reset, after which the late ones come. */
	KUNIT_ASSERT_EQ(test, sim_test_freeze(sim), 0);
	sim_stats(sim, &stats);
	KUNIT_EXPECT_EQ(test, stats.by_op[SIM_IRQ_EARLY], 6);
	KUNIT_EXPECT_EQ(test, stats.by_op[SIM_IRQ_LATE], 6);
	KUNIT_EXPECT_EQ(test, stats.by_op[SIM_IRQ_STORM], 4);
	KUNIT_ASSERT_EQ(test, sim_test_restore(sim), 0);
	is_connected(test, &end);
	data_moves(test, &end);
	close_end(&end);
}

static void a_lost_interrupt_delays_and_no_more(struct kunit *test)
{
	struct sim_device *sim = usual(test);
	struct end end = open_end(test, sim, PORT);

	data_moves(test, &end);
	start(test, &end, READS);
	sim_tell(test, sim, .op = SIM_IRQ_DROP, .queue = PORT_RX);
	say(test, &end, "slept", 5);
	waits(test);
	act(test, sim, SIM_IRQ, 0);
	returns(test, 5);
	KUNIT_EXPECT_EQ(test, memcmp(got, "slept", 5), 0);
	close_end(&end);
}

/* Who waits for room is woken by the next interrupt, or by who sees that there is some. */
static void a_lost_interrupt_of_a_writer_delays_and_no_more(struct kunit *test)
{
	struct sim_device *sim = usual(test);
	struct end end = open_end(test, sim, PORT);
	unsigned int i;
	u64 output;

	for (i = 0; i < 2; i++) {
		data_moves(test, &end);
		output = state(sim, PORT).output;
		act(test, sim, SIM_CONSOLE_STALL, ON(PORT, 1));
		output += fill(test, &end);
		start(test, &end, WRITES);
		sim_tell(test, sim, .op = SIM_IRQ_DROP, .queue = PORT_TX, .count = 64);
		act(test, sim, SIM_CONSOLE_STALL, ON(PORT, 0));
		sim_test_applied(test, sim);
		KUNIT_EXPECT_EQ(test, state(sim, PORT).output, output);
		waits(test);
		if (i)
			KUNIT_EXPECT_TRUE(test, vfs_poll(end.file, NULL) & EPOLLOUT);
		else
			sim_tell(test, sim, .op = SIM_IRQ, .queue = PORT_TX);
		returns(test, 100);
		KUNIT_EXPECT_TRUE(test, sim_test_wait(state(sim, PORT).output == output + 100,
						      SOON_MS));
	}
	data_moves(test, &end);
	close_end(&end);
}

static void a_number_of_ports_that_cannot_be_is_refused(struct kunit *test)
{
	static const u32 numbers[] = { 0, 32768, U32_MAX, 400 };
	struct sim_device *sim;
	unsigned int i;
	__le32 value;

	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		sim = make(test, FEATURES | SIM_RING_FEATURES, 64, 2);
		value = cpu_to_le32(numbers[i]);
		sim_config_write(sim, 4, &value, 4, false);
		sim_test_refused(test, sim);
	}
	/* Changed between two looks at it: to none, to more than there are queues. */
	for (i = 0; i < 2; i++) {
		sim = make(test, FEATURES | SIM_RING_FEATURES, 64, 2);
		sim_tell(test, sim, .op = SIM_CONFIG_TEAR, .at = 4, .value = 200 * i);
		sim_test_refused(test, sim);
		sim_test_applied(test, sim);
	}
	data_moves_at(test, usual(test), PORT);
}

static void a_queue_that_is_not_to_be_had_refuses_the_device(struct kunit *test)
{
	struct sim_device *sim;
	u16 queue;

	for (queue = 0; queue <= PORT_TX; queue++) {
		sim = make(test, FEATURES | SIM_RING_FEATURES, 64, 2);
		sim_tell(test, sim, .op = SIM_VQ_FAIL, .queue = queue,
			 .value = queue & 1 ? ENOMEM : 0);
		sim_test_refused(test, sim);
		KUNIT_EXPECT_EQ(test, sim_test_told(sim, SIM_VQ_FAIL), 1);
	}
	data_moves_at(test, usual(test), PORT);
}

static struct virtio_config_ops without;

/* Nobody can ask it for its ports: it has the one that all have. */
static void a_device_without_config_space_is_a_console(struct kunit *test)
{
	struct sim_device *sim = usual(test);
	const struct virtio_config_ops *with = sim->vdev.config;

	data_moves_at(test, sim, PORT);
	device_release_driver(&sim->vdev.dev);
	without = *with;
	without.get = NULL;
	sim->vdev.config = &without;
	KUNIT_EXPECT_EQ(test, device_attach(&sim->vdev.dev), 1);
	KUNIT_EXPECT_TRUE(test, sim_test_live(sim));
	KUNIT_EXPECT_FALSE(test, sim_has(sim, VIRTIO_CONSOLE_F_MULTIPORT));
	KUNIT_EXPECT_FALSE(test, sim_has(sim, VIRTIO_CONSOLE_F_SIZE));
	data_moves_at(test, sim, CONSOLE);
	act(test, sim, SIM_CONFIG_IRQ, 0);
	data_moves_at(test, sim, CONSOLE);
	device_release_driver(&sim->vdev.dev);
	sim->vdev.config = with;
	KUNIT_EXPECT_EQ(test, device_attach(&sim->vdev.dev), 1);
	data_moves_at(test, sim, PORT);
}

static bool has_size(const struct end *end, u16 cols, u16 rows)
{
	const struct winsize *size = &tty_of(end)->winsize;

	return sim_test_wait(READ_ONCE(size->ws_col) == cols && READ_ONCE(size->ws_row) == rows,
			     SOON_MS);
}

static void a_size_reaches_the_terminal(struct kunit *test)
{
	struct sim_device *sim = usual(test);
	struct end end;

	act(test, sim, SIM_CONSOLE_RESIZE, ON(CONSOLE, 100 | 40 << 16));
	end = open_end(test, sim, CONSOLE);
	KUNIT_EXPECT_TRUE(test, has_size(&end, 100, 40));
	act(test, sim, SIM_CONSOLE_RESIZE, ON(CONSOLE, 0xffff | 1 << 16));
	KUNIT_EXPECT_TRUE(test, has_size(&end, 0xffff, 1));
	/* Of nothing, and cut short: it stays. */
	act(test, sim, SIM_CONSOLE_RESIZE, ON(CONSOLE, 0));
	sim_console_send(sim, CONSOLE, VIRTIO_CONSOLE_RESIZE, 0, "abc", 3);
	KUNIT_EXPECT_TRUE(test, ctrl_counts(test, sim, "messages_bad", 1));
	/* A size is set by a work of hvc's. */
	msleep(100);
	KUNIT_EXPECT_TRUE(test, has_size(&end, 0xffff, 1));
	close_end(&end);

	sim = make(test, SIZE | SIM_RING_FEATURES, 64, 1);
	plug(test, sim);
	end = open_end(test, sim, CONSOLE);
	KUNIT_EXPECT_TRUE(test, has_size(&end, SIM_CONSOLE_COLS, SIM_CONSOLE_ROWS));
	sim_tell(test, sim, .op = SIM_CONFIG_TEAR, .value = 7);
	act(test, sim, SIM_CONFIG_IRQ, 0);
	sim_test_applied(test, sim);
	act(test, sim, SIM_CONSOLE_SIZE, 132 | 50 << 16);
	KUNIT_EXPECT_TRUE(test, has_size(&end, 132, 50));
	data_moves(test, &end);
	close_end(&end);
}

static struct kunit_case console_ring_cases[] = {
	KUNIT_CASE(bytes_move_with_each_feature_off_and_alone),
	KUNIT_CASE(bytes_move_with_legacy_devices),
	KUNIT_CASE(bytes_move_with_random_features),
	KUNIT_CASE(bytes_move_with_kicks_suppressed),
	KUNIT_CASE(bytes_move_with_every_queue_size),
	KUNIT_CASE(input_that_finds_no_buffer_comes_later),
	KUNIT_CASE(input_of_a_port_that_is_closed_is_thrown_away_to_its_end),
	KUNIT_CASE(interrupts_at_odd_times_do_nothing),
	KUNIT_CASE(a_lost_interrupt_delays_and_no_more),
	KUNIT_CASE(a_lost_interrupt_of_a_writer_delays_and_no_more),
	KUNIT_CASE(a_number_of_ports_that_cannot_be_is_refused),
	KUNIT_CASE(a_queue_that_is_not_to_be_had_refuses_the_device),
	KUNIT_CASE(a_device_without_config_space_is_a_console),
	KUNIT_CASE(a_size_reaches_the_terminal),
	{}
};

SIM_SUITE(console_ring, virtio_console_rh, sim_test_init, console_test_exit);
MODULE_DESCRIPTION("KUnit suite of virtio_console_rh on the simulated device: rings");
MODULE_LICENSE("GPL");
