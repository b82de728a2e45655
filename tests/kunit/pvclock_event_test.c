// SPDX-License-Identifier: GPL-2.0-only
/* KUnit suite of pvclock/event_math.[ch]: what two looks at a page say about the time between. */
#include <kunit/test.h>
#include <linux/module.h>
#include <asm/pvclock.h>

#include "pvclock/event_math.c"

/* A TSC of 1 GHz: a tick is a nanosecond. */
#define MUL_1GHZ BIT(31)
#define SHIFT_1GHZ 1

#define SEC ((s64)NSEC_PER_SEC)
#define MSEC ((s64)NSEC_PER_MSEC)

static struct pvc_reading page(u64 tsc, u64 ns)
{
	return (struct pvc_reading) {
		.tsc_timestamp = tsc, .system_time = ns, .mul = MUL_1GHZ, .shift = SHIFT_1GHZ,
	};
}

static s64 jump(u64 tsc, u64 ns, u64 tsc_after, u64 ns_after)
{
	struct pvc_reading before = page(tsc, ns);
	struct pvc_reading after = page(tsc_after, ns_after);

	return pvc_jump(&before, &after);
}

static void jump_is_clock_against_tsc(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, jump(100, 100, 100, 100), 0);
	KUNIT_EXPECT_EQ(test, jump(0, 50, 7 * SEC, 50 + 7 * SEC), 0);
	/* The TSC ran on for 5 s in which the clock stood. */
	KUNIT_EXPECT_EQ(test, jump(0, 0, 7 * SEC, 2 * SEC), -5 * SEC);
	KUNIT_EXPECT_EQ(test, jump(0, 0, 2 * SEC, 62 * SEC), 60 * SEC);
	/* The TSC went back by 9 s, and the clock on by 1 s. */
	KUNIT_EXPECT_EQ(test, jump(10 * SEC, 10 * SEC, SEC, 11 * SEC), 10 * SEC);
	/* The host's clock went back. */
	KUNIT_EXPECT_EQ(test, jump(10 * SEC, 10 * SEC, 10 * SEC, 4 * SEC), -6 * SEC);
}

static void jump_saturates(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, jump(0, 0, 0, U64_MAX), S64_MAX);
	KUNIT_EXPECT_EQ(test, jump(0, U64_MAX, 0, 0), -S64_MAX);
	KUNIT_EXPECT_EQ(test, jump(0, U64_MAX, S64_MAX, 0), S64_MIN);
	KUNIT_EXPECT_EQ(test, jump(S64_MAX, 0, 0, U64_MAX), S64_MAX);
}

static void smallest_jump_grows_with_time(struct kunit *test)
{
	const struct pvc_reading before = page(0, 0);
	struct pvc_reading after = page(0, 0);

	KUNIT_EXPECT_EQ(test, pvc_jump_min(&before, &after), 1 * MSEC);
	/* 50 ppm of 300 s. */
	after.system_time = 300 * SEC;
	KUNIT_EXPECT_EQ(test, pvc_jump_min(&before, &after), 16 * MSEC);
	after.system_time = 10 * 86400 * SEC;
	KUNIT_EXPECT_EQ(test, pvc_jump_min(&before, &after), 51 * MSEC);
	/* Another CPU's page may be the older one. */
	KUNIT_EXPECT_EQ(test, pvc_jump_min(&after, &before), 51 * MSEC);
}

static void epoch_is_exact_for_a_while(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, pvc_epoch_error(0), 2 * MSEC);
	KUNIT_EXPECT_EQ(test, pvc_epoch_error(60 * SEC), 32 * MSEC);
}

/* What the host did, and what is to be seen of it. */
static const struct {
	struct pvc_change c;
	bool event;
	enum pvclock_rh_class class;
	s64 downtime;
} changes[] = {
	/* A page that was written for the host's own reasons. */
	{ { .epoch_known = true, .epoch_error = 2 * MSEC }, false },
	{ { .epoch_known = true, .epoch = 2 * MSEC, .epoch_error = 2 * MSEC }, false },
	{ { }, false },
	/* Its own real time was set back: none of ours. */
	{ { .epoch_known = true, .epoch = -3600 * SEC, .epoch_error = 2 * MSEC }, false },
	/* Stopped for 5 s, and real time agrees; or nobody knows. */
	{ { .jump = -5 * SEC, .epoch_known = true, .epoch = 5 * SEC + MSEC,
	    .epoch_error = 2 * MSEC },
	  true, PVCLOCK_RH_PAUSE, 5 * SEC },
	{ { .jump = -5 * SEC }, true, PVCLOCK_RH_PAUSE, 5 * SEC },
	/* Shorter than real time is known. */
	{ { .jump = -15 * MSEC / 10, .epoch_known = true, .epoch_error = 2 * MSEC },
	  true, PVCLOCK_RH_PAUSE, 15 * MSEC / 10 },
	/* Saved and loaded a minute later: both stood. */
	{ { .epoch_known = true, .epoch = 60 * SEC, .epoch_error = 2 * MSEC },
	  true, PVCLOCK_RH_RESTORE, 60 * SEC },
	/* Stopped for a second, then saved, and loaded a minute later. */
	{ { .jump = -SEC, .epoch_known = true, .epoch = 61 * SEC, .epoch_error = 2 * MSEC },
	  true, PVCLOCK_RH_RESTORE, 61 * SEC },
	/* Loaded, and the clock moved ahead by what was missed, or by a part of it. */
	{ { .jump = 60 * SEC, .epoch_known = true, .epoch_error = 2 * MSEC },
	  true, PVCLOCK_RH_CATCH_UP, 60 * SEC },
	{ { .jump = 50 * SEC, .epoch_known = true, .epoch = 10 * SEC, .epoch_error = 2 * MSEC },
	  true, PVCLOCK_RH_CATCH_UP, 60 * SEC },
	{ { .jump = 60 * SEC }, true, PVCLOCK_RH_CATCH_UP, 60 * SEC },
	/* The TSC moved ahead, or back, and no time was lost. */
	{ { .jump = -5 * SEC, .epoch_known = true, .epoch_error = 2 * MSEC },
	  true, PVCLOCK_RH_TSC_STEP, 0 },
	{ { .jump = 9 * SEC, .tsc_back = true, .epoch_known = true, .epoch_error = 2 * MSEC },
	  true, PVCLOCK_RH_TSC_STEP, 0 },
	/* Loaded on a host that keeps no TSC. */
	{ { .jump = 9 * SEC, .tsc_back = true, .epoch_known = true, .epoch = 60 * SEC,
	    .epoch_error = 2 * MSEC }, true, PVCLOCK_RH_TSC_STEP, 60 * SEC },
	/* Numbers that no honest host has. */
	{ { .jump = S64_MIN, .epoch_known = true, .epoch = S64_MAX, .epoch_error = U64_MAX },
	  true, PVCLOCK_RH_PAUSE, S64_MAX },
	{ { .jump = S64_MAX, .epoch_known = true, .epoch = S64_MAX, .epoch_error = 0 },
	  true, PVCLOCK_RH_CATCH_UP, S64_MAX },
};

static void changes_have_names(struct kunit *test)
{
	enum pvclock_rh_class class;
	s64 downtime;
	unsigned int i;
	bool event;

	for (i = 0; i < ARRAY_SIZE(changes); i++) {
		event = pvc_classify(&changes[i].c, &class, &downtime);
		KUNIT_EXPECT_EQ_MSG(test, event, changes[i].event, "change %u", i);
		if (!event || !changes[i].event)
			continue;
		KUNIT_EXPECT_EQ_MSG(test, class, changes[i].class, "change %u", i);
		KUNIT_EXPECT_EQ_MSG(test, downtime, changes[i].downtime, "change %u", i);
	}
}

static struct kunit_case pvclock_event_cases[] = {
	KUNIT_CASE(jump_is_clock_against_tsc),
	KUNIT_CASE(jump_saturates),
	KUNIT_CASE(smallest_jump_grows_with_time),
	KUNIT_CASE(epoch_is_exact_for_a_while),
	KUNIT_CASE(changes_have_names),
	{ }
};

static struct kunit_suite pvclock_event_suite = {
	.name = "pvclock_event",
	.test_cases = pvclock_event_cases,
};

kunit_test_suite(pvclock_event_suite);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("KUnit suite of pvclock_rh's events");
MODULE_VERSION(VRH_VERSION);
