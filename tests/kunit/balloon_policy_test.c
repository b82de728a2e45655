// SPDX-License-Identifier: GPL-2.0-only
/* KUnit suites of virtio_balloon_rh/policy.c: every decision, with its edges. */
#include <kunit/test.h>
#include <linux/module.h>

#include "virtio_balloon_rh/policy.c"

#define MIB	(SZ_1M / PAGE_SIZE)
#define GIB	(1024UL * MIB)

/* ---- target and actual ---- */

static void target_counts_whole_pages(struct kunit *test)
{
	unsigned long total = 4 * GIB;

	KUNIT_EXPECT_EQ(test, vbal_target_pages(0, total), 0UL);
	KUNIT_EXPECT_EQ(test, vbal_target_pages(1, total), 1UL);
	KUNIT_EXPECT_EQ(test, vbal_target_pages(VBAL_UNITS_PER_PAGE, total), 1UL);
	KUNIT_EXPECT_EQ(test, vbal_target_pages(VBAL_UNITS_PER_PAGE + 1, total), 2UL);
	KUNIT_EXPECT_EQ(test, vbal_target_pages(SZ_1G / SZ_4K, total), GIB);
}

static void target_cannot_exceed_the_guest(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, vbal_target_pages(U32_MAX, GIB), GIB);
	KUNIT_EXPECT_EQ(test, vbal_target_pages(U32_MAX, 0), 0UL);
	KUNIT_EXPECT_EQ(test, vbal_target_pages(U32_MAX, ULONG_MAX),
			DIV_ROUND_UP((unsigned long)U32_MAX, VBAL_UNITS_PER_PAGE));
}

static void actual_saturates(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, vbal_actual_units(0), 0U);
	KUNIT_EXPECT_EQ(test, vbal_actual_units(1), VBAL_UNITS_PER_PAGE);
	KUNIT_EXPECT_EQ(test, vbal_actual_units(GIB), (u32)(SZ_1G / SZ_4K));
	KUNIT_EXPECT_EQ(test, vbal_actual_units(1UL << 40), U32_MAX);
}

static void target_and_actual_agree(struct kunit *test)
{
	u32 units;

	for (units = 0; units < 5 * VBAL_UNITS_PER_PAGE; units += VBAL_UNITS_PER_PAGE)
		KUNIT_EXPECT_EQ(test, vbal_actual_units(vbal_target_pages(units, GIB)), units);
}

static struct kunit_case target_cases[] = {
	KUNIT_CASE(target_counts_whole_pages),
	KUNIT_CASE(target_cannot_exceed_the_guest),
	KUNIT_CASE(actual_saturates),
	KUNIT_CASE(target_and_actual_agree),
	{}
};

static struct kunit_suite target_suite = {
	.name = "balloon_target",
	.test_cases = target_cases,
};

/* ---- floor ---- */

static void floor_is_what_the_user_says(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, vbal_floor_pages(0, 4 * GIB), 0UL);
	KUNIT_EXPECT_EQ(test, vbal_floor_pages(1, 4 * GIB), (unsigned long)MIB);
	KUNIT_EXPECT_EQ(test, vbal_floor_pages(100, 0), 100UL * MIB);
	/* 16 TiB, the largest that the parameter takes. */
	KUNIT_EXPECT_EQ(test, vbal_floor_pages(1 << 24, GIB), (1UL << 24) * MIB);
}

static void automatic_floor_is_a_share(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, vbal_floor_pages(-1, 4 * GIB), 128UL * MIB);
	KUNIT_EXPECT_EQ(test, vbal_floor_pages(-1, 6 * GIB), 192UL * MIB);
}

static void automatic_floor_has_bounds(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, vbal_floor_pages(-1, 0), 64UL * MIB);
	KUNIT_EXPECT_EQ(test, vbal_floor_pages(-1, 2 * GIB - 1), 64UL * MIB);
	KUNIT_EXPECT_EQ(test, vbal_floor_pages(-1, 2 * GIB), 64UL * MIB);
	KUNIT_EXPECT_EQ(test, vbal_floor_pages(-1, 8 * GIB), 256UL * MIB);
	KUNIT_EXPECT_EQ(test, vbal_floor_pages(-1, 1024 * GIB), 256UL * MIB);
	KUNIT_EXPECT_EQ(test, vbal_floor_pages(-1, ULONG_MAX), 256UL * MIB);
}

static void automatic_floor_never_falls(struct kunit *test)
{
	unsigned long total, floor, before = 0;

	for (total = 0; total < 16 * GIB; total += 37 * MIB) {
		floor = vbal_floor_pages(-1, total);
		KUNIT_EXPECT_GE(test, floor, before);
		before = floor;
	}
}

static struct kunit_case floor_cases[] = {
	KUNIT_CASE(floor_is_what_the_user_says),
	KUNIT_CASE(automatic_floor_is_a_share),
	KUNIT_CASE(automatic_floor_has_bounds),
	KUNIT_CASE(automatic_floor_never_falls),
	{}
};

static struct kunit_suite floor_suite = {
	.name = "balloon_floor",
	.test_cases = floor_cases,
};

/* ---- decision ---- */

/* A guest with plenty of memory that is asked for 1 GiB. */
static const struct vbal_view plenty = {
	.target = GIB,
	.available = 3 * GIB,
	.floor = 128 * MIB,
	.step = 8 * MIB,
};

static void expect(struct kunit *test, const struct vbal_view *view, enum vbal_action action,
		   unsigned long pages)
{
	struct vbal_decision next = vbal_decide(view);

	KUNIT_EXPECT_EQ(test, (int)next.action, (int)action);
	KUNIT_EXPECT_EQ(test, next.pages, pages);
}

static void rests_at_the_target(struct kunit *test)
{
	struct vbal_view view = plenty;

	view.held = view.target;
	expect(test, &view, VBAL_REST, 0);
	view.target = 0;
	view.held = 0;
	expect(test, &view, VBAL_REST, 0);
}

static void inflates_by_steps(struct kunit *test)
{
	struct vbal_view view = plenty;

	expect(test, &view, VBAL_INFLATE, 8 * MIB);
	view.held = view.target - 3;
	expect(test, &view, VBAL_INFLATE, 3);
}

static void counts_what_is_on_its_way(struct kunit *test)
{
	struct vbal_view view = plenty;

	view.held = view.target - 10;
	view.pending = 4;
	expect(test, &view, VBAL_INFLATE, 6);
	view.pending = 10;
	expect(test, &view, VBAL_WAIT_HOST, 0);
	/* More was offered than is wanted now: what is held makes up for it. */
	view.pending = 15;
	expect(test, &view, VBAL_DEFLATE, 5);
	view.held = 0;
	view.pending = view.target + 1;
	expect(test, &view, VBAL_WAIT_HOST, 0);
}

static void deflates_by_steps(struct kunit *test)
{
	struct vbal_view view = plenty;

	view.held = 2 * GIB;
	expect(test, &view, VBAL_DEFLATE, 8 * MIB);
	view.held = view.target + 1;
	expect(test, &view, VBAL_DEFLATE, 1);
	view.target = 0;
	view.held = 5;
	expect(test, &view, VBAL_DEFLATE, 5);
}

static void deflates_whatever_the_guest_lacks(struct kunit *test)
{
	struct vbal_view view = plenty;

	view.held = view.target + 1;
	view.available = 0;
	view.oom_paused = true;
	expect(test, &view, VBAL_DEFLATE, 1);
}

static void stops_at_the_floor(struct kunit *test)
{
	struct vbal_view view = plenty;

	view.available = view.floor;
	expect(test, &view, VBAL_WAIT_FLOOR, 0);
	view.available = 0;
	expect(test, &view, VBAL_WAIT_FLOOR, 0);
	/* Room for less than a buffer is not worth a notification. */
	view.available = view.floor + VBAL_BUFFER_PAGES - 1;
	expect(test, &view, VBAL_WAIT_FLOOR, 0);
	view.available = view.floor + VBAL_BUFFER_PAGES;
	expect(test, &view, VBAL_INFLATE, VBAL_BUFFER_PAGES);
	/* But the last few pages to the target are. */
	view.held = view.target - 2;
	view.available = view.floor + 2;
	expect(test, &view, VBAL_INFLATE, 2);
	view.available = view.floor + 1;
	expect(test, &view, VBAL_WAIT_FLOOR, 0);
}

static void never_goes_below_the_floor(struct kunit *test)
{
	struct vbal_view view = plenty;
	struct vbal_decision next;

	for (view.available = 0; view.available < view.floor + 2 * view.step;
	     view.available += 97) {
		next = vbal_decide(&view);
		if (next.action == VBAL_INFLATE)
			KUNIT_EXPECT_GE(test, view.available - next.pages, view.floor);
	}
}

static void floor_of_zero_is_none(struct kunit *test)
{
	struct vbal_view view = plenty;

	view.floor = 0;
	view.available = view.step;
	expect(test, &view, VBAL_INFLATE, view.step);
}

static void waits_after_oom(struct kunit *test)
{
	struct vbal_view view = plenty;

	view.oom_paused = true;
	expect(test, &view, VBAL_WAIT_OOM, 0);
}

static void reaches_every_target(struct kunit *test)
{
	struct vbal_view view = plenty;
	struct vbal_decision next;
	unsigned int steps;

	for (steps = 0; steps < 1000; steps++) {
		next = vbal_decide(&view);
		if (next.action != VBAL_INFLATE)
			break;
		KUNIT_ASSERT_GT(test, next.pages, 0UL);
		view.held += next.pages;
		view.available -= next.pages;
	}
	KUNIT_EXPECT_EQ(test, (int)next.action, (int)VBAL_REST);
	KUNIT_EXPECT_EQ(test, view.held, view.target);
	KUNIT_EXPECT_EQ(test, steps, 128U);
}

static struct kunit_case decide_cases[] = {
	KUNIT_CASE(rests_at_the_target),
	KUNIT_CASE(inflates_by_steps),
	KUNIT_CASE(counts_what_is_on_its_way),
	KUNIT_CASE(deflates_by_steps),
	KUNIT_CASE(deflates_whatever_the_guest_lacks),
	KUNIT_CASE(stops_at_the_floor),
	KUNIT_CASE(never_goes_below_the_floor),
	KUNIT_CASE(floor_of_zero_is_none),
	KUNIT_CASE(waits_after_oom),
	KUNIT_CASE(reaches_every_target),
	{}
};

static struct kunit_suite decide_suite = {
	.name = "balloon_decide",
	.test_cases = decide_cases,
};

/* ---- backoff and OOM ---- */

static void backoff_doubles_to_a_bound(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, vbal_backoff_ms(0), 200U);
	KUNIT_EXPECT_EQ(test, vbal_backoff_ms(1), 200U);
	KUNIT_EXPECT_EQ(test, vbal_backoff_ms(2), 400U);
	KUNIT_EXPECT_EQ(test, vbal_backoff_ms(5), 3200U);
	KUNIT_EXPECT_EQ(test, vbal_backoff_ms(6), 6400U);
	KUNIT_EXPECT_EQ(test, vbal_backoff_ms(7), 6400U);
	KUNIT_EXPECT_EQ(test, vbal_backoff_ms(UINT_MAX), 6400U);
}

static void oom_chunk_is_worth_the_call(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, vbal_oom_chunk(0), 0UL);
	KUNIT_EXPECT_EQ(test, vbal_oom_chunk(1), 1UL);
	KUNIT_EXPECT_EQ(test, vbal_oom_chunk(64 * MIB), 64UL * MIB);
	KUNIT_EXPECT_EQ(test, vbal_oom_chunk(500 * MIB), 64UL * MIB);
	KUNIT_EXPECT_EQ(test, vbal_oom_chunk(64 * GIB), 8 * GIB);
	KUNIT_EXPECT_EQ(test, vbal_oom_chunk(ULONG_MAX), ULONG_MAX / 8);
}

static void oom_pause_grows_while_it_recurs(struct kunit *test)
{
	unsigned int level = 0;

	/* The first ever. */
	level = vbal_oom_level(level, ULONG_MAX);
	KUNIT_EXPECT_EQ(test, level, 0U);
	KUNIT_EXPECT_EQ(test, vbal_oom_pause_ms(level), 5000U);
	/* The same shortage asks again at once. */
	KUNIT_EXPECT_EQ(test, vbal_oom_level(level, 0), 0U);
	KUNIT_EXPECT_EQ(test, vbal_oom_level(level, 999), 0U);
	/* It comes back when the balloon inflates again. */
	KUNIT_EXPECT_EQ(test, vbal_oom_level(level, 1000), 1U);
	KUNIT_EXPECT_EQ(test, vbal_oom_level(level, 9999), 1U);
	KUNIT_EXPECT_EQ(test, vbal_oom_pause_ms(1), 10000U);
	/* It does not. */
	KUNIT_EXPECT_EQ(test, vbal_oom_level(level, 10000), 0U);
	KUNIT_EXPECT_EQ(test, vbal_oom_level(4, ULONG_MAX), 0U);
}

static void oom_pause_has_a_bound(struct kunit *test)
{
	unsigned int level = 0, i;

	for (i = 0; i < 20; i++)
		level = vbal_oom_level(level, vbal_oom_pause_ms(level) + 1);
	KUNIT_EXPECT_EQ(test, level, 4U);
	KUNIT_EXPECT_EQ(test, vbal_oom_pause_ms(level), 80000U);
	KUNIT_EXPECT_EQ(test, vbal_oom_pause_ms(UINT_MAX), 80000U);
}

static struct kunit_case pause_cases[] = {
	KUNIT_CASE(backoff_doubles_to_a_bound),
	KUNIT_CASE(oom_chunk_is_worth_the_call),
	KUNIT_CASE(oom_pause_grows_while_it_recurs),
	KUNIT_CASE(oom_pause_has_a_bound),
	{}
};

static struct kunit_suite pause_suite = {
	.name = "balloon_pause",
	.test_cases = pause_cases,
};

kunit_test_suites(&target_suite, &floor_suite, &decide_suite, &pause_suite);

MODULE_DESCRIPTION("KUnit suites of the balloon's policy");
MODULE_AUTHOR("virtio-rh developers");
MODULE_LICENSE("GPL");
