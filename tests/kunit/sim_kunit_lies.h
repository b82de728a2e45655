/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the suites on the simulated device have in common of their lies: each way of ending a
 * virtqueue, each access at which a device goes, each allocation that fails. A part of
 * sim_kunit.h, which has the device itself.
 */
#ifndef VRH_SIM_KUNIT_LIES_H
#define VRH_SIM_KUNIT_LIES_H

/**
 * struct sim_ring_lie - what ends a virtqueue
 * @name: for messages
 * @op: what the device does to the next buffer, or at once (SIM_USED_IDX)
 * @value: and to what
 */
struct sim_ring_lie {
	const char *name;
	enum sim_op op;
	u64 value;
};

/**
 * sim_test_each_ring_lie() - each of them, with a split and with a packed ring of 64
 * @test: the test
 * @tell: makes a device with these features of its rings and has it lie
 *
 * An id inside the ring may be that of a buffer which is with the device: the driver
 * cannot tell that from the truth.
 */
static inline void
sim_test_each_ring_lie(struct kunit *test,
		       void (*tell)(struct kunit *test, const struct sim_ring_lie *lie, u64 ring))
{
	static const struct sim_ring_lie lies[] = {
		{ "a buffer used twice", SIM_TWICE, 0 },
		{ "an id in the ring", SIM_ID, 63 },
		{ "an id behind the ring", SIM_ID, 64 },
		{ "id 65535", SIM_ID, U16_MAX },
		{ "id 2^32-1", SIM_ID, U32_MAX },
		{ "a used index that jumps", SIM_USED_IDX, 1000 },
	};
	unsigned int i;

	for (i = 0; i < 2 * ARRAY_SIZE(lies); i++) {
		kunit_info(test, "%s, %s ring", lies[i / 2].name, i % 2 ? "packed" : "split");
		tell(test, &lies[i / 2], sim_rings[i % 2]);
	}
}

/* A device that goes */

/* No probe and no restore has so many accesses to status and config space. */
#define SIM_ACCESSES_MAX	200

/**
 * struct sim_vanish - rounds of a test, in each of which the device goes at another access
 * @accesses: so many are before that one; after the last round, how many there are
 * @stayed: in this round it did not come to that
 *
 *	struct sim_vanish vanish = {};
 *
 *	while (sim_vanish_next(test, &vanish)) {
 *		sim_vanish_begin(test, &vanish, sim);
 *		err = what_accesses_it();
 *		gone = sim_vanish_end(&vanish, sim);
 *	}
 *	KUNIT_EXPECT_GT(test, vanish.accesses, 5);
 */
struct sim_vanish {
	unsigned int accesses;
	bool stayed;
};

/**
 * sim_vanish_next() - the next round
 * @test: the test
 * @vanish: of the test
 *
 * Return: false if in the last round the device did not go.
 */
static inline bool sim_vanish_next(struct kunit *test, struct sim_vanish *vanish)
{
	if (vanish->stayed) {
		kunit_info(test, "%u accesses", vanish->accesses);
		return false;
	}
	KUNIT_ASSERT_LT(test, vanish->accesses, SIM_ACCESSES_MAX);
	return true;
}

/* From here on accesses count. */
static inline void sim_vanish_begin(struct kunit *test, const struct sim_vanish *vanish,
				    struct sim_device *sim)
{
	sim_tell(test, sim, .op = SIM_VANISH, .skip = vanish->accesses);
}

/* Has it gone? */
static inline bool sim_vanish_end(struct sim_vanish *vanish, struct sim_device *sim)
{
	vanish->stayed = !sim_test_told(sim, SIM_VANISH);
	if (!vanish->stayed)
		vanish->accesses++;
	return !vanish->stayed;
}

/* Allocations that fail */

/* No probe has so many. */
#define SIM_SITES_MAX	3000

/**
 * struct sim_sweep - rounds of a test, in each of which another allocation fails
 * @nth: which one, in this round
 * @left: by how many there were fewer; 0 if it did fail
 *
 * Only what the driver's own code asks for can fail: the harness has set the
 * fault injection's filter of stack traces (tests/vm/vrhlab/faults.py).
 *
 *	struct sim_sweep sweep = {};
 *
 *	while (sim_sweep_next(test, &sweep)) {
 *		sim_sweep_begin(&sweep);
 *		err = what_may_fail();
 *		sim_sweep_end(&sweep);
 *	}
 */
struct sim_sweep {
	unsigned int nth;
	unsigned int left;
};

/* From here on the sweep's allocation of this thread fails. */
static inline void sim_sweep_begin(const struct sim_sweep *sweep)
{
#ifdef CONFIG_FAULT_INJECTION
	WRITE_ONCE(current->fail_nth, sweep->nth);
#endif
}

static inline void sim_sweep_end(struct sim_sweep *sweep)
{
#ifdef CONFIG_FAULT_INJECTION
	sweep->left = READ_ONCE(current->fail_nth);
	WRITE_ONCE(current->fail_nth, 0);
#endif
}

/* An allocation of ours must not count. */
static inline void sim_sweep_check(struct kunit *test)
{
	struct sim_sweep own = { .nth = 1 };
	void *memory;

	sim_sweep_begin(&own);
	memory = kmalloc(32, GFP_ATOMIC);
	sim_sweep_end(&own);
	kfree(memory);
	KUNIT_ASSERT_EQ_MSG(test, own.left, 1, "faults are not limited to the driver");
}

/**
 * sim_sweep_next() - the next round
 * @test: the test
 * @sweep: of the test
 *
 * Return: false if in the last round there was no such allocation any more.
 */
static inline bool sim_sweep_next(struct kunit *test, struct sim_sweep *sweep)
{
	if (!sweep->nth)
		sim_sweep_check(test);
	if (sweep->left) {
		kunit_info(test, "%u allocations", sweep->nth - sweep->left);
		/* None at all: nobody has switched faults on. */
		KUNIT_EXPECT_GT(test, sweep->nth, sweep->left);
		return false;
	}
	KUNIT_ASSERT_LT(test, sweep->nth, SIM_SITES_MAX);
	sweep->nth++;
	return true;
}

/**
 * sim_test_sweep_plug() - have each allocation of a probe fail
 * @test: the test
 * @options: the device
 * @least: so many probes at least must be refused
 * @use: moves data through a device that the driver took in spite of it
 */
static inline void sim_test_sweep_plug(struct kunit *test, const struct sim_options *options,
				       unsigned int least,
				       void (*use)(struct kunit *test, struct sim_device *sim))
{
	struct sim_device *sim = sim_test_plug(test, options);
	struct sim_sweep sweep = {};
	unsigned int refused = 0;
	int err, refs;

	use(test, sim);
	refs = module_refcount(sim->vdev.dev.driver->owner);
	while (sim_sweep_next(test, &sweep)) {
		sim = sim_test_make(test, options);
		sim_sweep_begin(&sweep);
		err = sim_plug(sim);
		sim_sweep_end(&sweep);
		KUNIT_EXPECT_TRUE(test, !err || err == -ENOMEM);
		if (!err && sim_test_live(sim))
			use(test, sim);
		else
			refused++;
	}
	kunit_info(test, "%u refused", refused);
	KUNIT_EXPECT_GE(test, refused, least);
	sim = sim_test_plug(test, options);
	use(test, sim);
	/* What a device takes of its driver, it has given back each time. */
	KUNIT_EXPECT_EQ(test, module_refcount(sim->vdev.dev.driver->owner), refs);
}

#endif
