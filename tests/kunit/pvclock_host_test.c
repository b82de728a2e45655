// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit suites of pvclock/clock_math.[ch] against a host that gets its turn before
 * each access of the reader: every way in which an update can fall into a read,
 * and every page that a host can write, against arithmetic of 128 bits.
 */
#include <kunit/test.h>
#include <linux/atomic.h>
#include <linux/jiffies.h>
#include <linux/limits.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <asm/barrier.h>
#include <asm/pvclock-abi.h>

/* The page is read with READ_ONCE() only, so this is where the host comes in. */
static void host_turn(void);

#undef READ_ONCE
#define READ_ONCE(x) (host_turn(), __READ_ONCE(x))
#include "pvclock/clock_math.c"
#undef READ_ONCE
#define READ_ONCE(x) __READ_ONCE(x)

/* A 2.5 GHz TSC: 0.4 ns a tick is 0.8 * 2^-1. */
#define MUL_2500MHZ 3435973836U

/* The same sequence in every run: a failure can be seen again. */
static u64 next_random(u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* The host's steps of one update: version odd, five fields, version even. */
#define STEPS 7
/* Before each of the reader's seven accesses, at its TSC, and after all. */
#define TURNS 9
#define UPDATES 2

/* The pages of a host, before and after each update: no field is twice the same. */
static const struct pvclock_vcpu_time_info pages[UPDATES + 1] = {
	{
		.tsc_timestamp = 1000000,
		.system_time = 10000000,
		.tsc_to_system_mul = 1U << 31,
		.tsc_shift = 1,
		.flags = 0,
	}, {
		.tsc_timestamp = 2000000,
		.system_time = 70000000,
		.tsc_to_system_mul = 3U << 30,
		.tsc_shift = -1,
		.flags = PVCLOCK_TSC_STABLE_BIT,
	}, {
		.tsc_timestamp = 2500000,
		.system_time = 500000000,
		.tsc_to_system_mul = MUL_2500MHZ,
		.tsc_shift = 2,
		.flags = PVCLOCK_GUEST_STOPPED,
	},
};

/* In which order the host writes the fields: nothing prescribes one. */
static const u8 orders[][STEPS - 2] = {
	{ 0, 1, 2, 3, 4 }, { 4, 3, 2, 1, 0 }, { 2, 4, 1, 0, 3 },
};

static struct {
	struct pvclock_vcpu_time_info page;
	const u8 *order;
	/* Steps of all updates, and those that were done. */
	unsigned int all, step;
	/* A host that leaves the version alone. */
	bool silent;
	/* Steps that the host does at each turn; what is left it does when they are over. */
	u8 steps[TURNS];
	unsigned int turn;
	/* Where the host stood when the reader took the TSC. */
	unsigned int at_tsc;
	u64 tsc;
	/* Calls of the TSC since the start of a case, and what happens in one. */
	unsigned int calls;
	void (*in_call)(unsigned int call);
} host;

static void host_step(void)
{
	const struct pvclock_vcpu_time_info *after = &pages[host.step / STEPS + 1];
	unsigned int step = host.step++ % STEPS;

	if (step == 0 || step == STEPS - 1) {
		host.page.version += !host.silent;
		return;
	}
	switch (host.order[step - 1]) {
	case 0:
		host.page.tsc_timestamp = after->tsc_timestamp;
		break;
	case 1:
		host.page.system_time = after->system_time;
		break;
	case 2:
		host.page.tsc_to_system_mul = after->tsc_to_system_mul;
		break;
	case 3:
		host.page.tsc_shift = after->tsc_shift;
		break;
	default:
		host.page.flags = after->flags;
	}
}

static void host_turn(void)
{
	unsigned int left = host.all - host.step;

	if (host.turn < TURNS)
		left = min_t(unsigned int, left, host.steps[host.turn++]);
	while (left--)
		host_step();
}

static u64 host_tsc(void)
{
	host_turn();
	host.at_tsc = host.step;
	host.calls++;
	if (host.in_call)
		host.in_call(host.calls);
	return host.tsc;
}

static int host_init(struct kunit *test)
{
	memset(&host, 0, sizeof(host));
	host.order = orders[0];
	host.page = pages[0];
	host.page.version = 4;
	host.tsc = 3000000;
	return 0;
}

/* Schedules */

static bool is_page(const struct pvc_reading *r, const struct pvclock_vcpu_time_info *page)
{
	return r->tsc_timestamp == page->tsc_timestamp && r->system_time == page->system_time &&
	       r->mul == page->tsc_to_system_mul && r->shift == page->tsc_shift &&
	       r->flags == page->flags && r->tsc == host.tsc;
}

/* The update that a reading is from, and the TSC with it; -1 if it is a mixture. */
static int update_of(const struct pvc_reading *r, u32 version)
{
	unsigned int i;

	for (i = 0; i <= host.all / STEPS; i++)
		if (is_page(r, &pages[i]) && host.at_tsc == i * STEPS &&
		    r->version == version + 2 * i)
			return i;
	return -1;
}

struct schedules {
	struct kunit *test;
	void (*each)(struct schedules *s);
	u32 version;
	/* Also whole reads, not only single tries. */
	bool whole;
	unsigned int updates;
	unsigned long run, torn, believed;
};

static void start(const struct schedules *s)
{
	host.page = pages[0];
	host.page.version = s->version;
	host.all = s->updates * STEPS;
	host.step = 0;
	host.turn = 0;
}

static void is_not_torn(struct schedules *s)
{
	struct pvc_reading r = {};
	int update;
	bool ok;

	start(s);
	ok = pvc_try_read(&host.page, host_tsc, &r);
	s->run++;
	s->believed += ok;
	if (ok && update_of(&r, s->version) < 0)
		s->torn++;
	/* A host that was still, before, after or all the time, must be believed. */
	if (host.steps[0] + host.steps[TURNS - 1] == host.all && host.steps[0] % STEPS == 0)
		KUNIT_EXPECT_TRUE(s->test, ok);
	if (!s->whole)
		return;

	start(s);
	if (!pvc_read(&host.page, host_tsc, &r)) {
		KUNIT_FAIL(s->test, "given up");
		return;
	}
	update = update_of(&r, s->version);
	if (update < 0)
		s->torn++;
	else
		KUNIT_EXPECT_EQ(s->test, r.ns,
				pages[update].system_time +
				pvc_scale(host.tsc - pages[update].tsc_timestamp,
					  pages[update].tsc_to_system_mul,
					  pages[update].tsc_shift));
	/* Each update can spoil two tries: the one that it begins in and the next. */
	KUNIT_EXPECT_LE(s->test, r.retries, 2 * s->updates);
}

/* All ways to spread the steps that are left over the turns from @turn on. */
static void each_schedule(struct schedules *s, unsigned int turn, unsigned int left)
{
	unsigned int n;

	if (turn == TURNS - 1) {
		host.steps[turn] = left;
		s->each(s);
		return;
	}
	for (n = 0; n <= left; n++) {
		host.steps[turn] = n;
		each_schedule(s, turn + 1, left - n);
	}
}

static void no_schedule_of_an_update_is_torn(struct kunit *test)
{
	static const u32 versions[] = { 0, 4, S32_MAX - 1, U32_MAX - 1 };
	unsigned int v, o;

	for (v = 0; v < ARRAY_SIZE(versions); v++)
		for (o = 0; o < ARRAY_SIZE(orders); o++) {
			struct schedules s = {
				.test = test,
				.each = is_not_torn,
				.version = versions[v],
				.whole = true,
				.updates = 1,
			};

			host.order = orders[o];
			each_schedule(&s, 0, STEPS);
			KUNIT_EXPECT_EQ_MSG(test, s.torn, 0UL, "version %#x, order %u",
					    versions[v], o);
			/* C(15, 8); all of the update before the try, or none in it. */
			KUNIT_EXPECT_EQ(test, s.run, 6435UL);
			KUNIT_EXPECT_EQ(test, s.believed, 2UL);
		}
}

/* The second one brings the version back to even, within one try. */
static void no_schedule_of_two_updates_is_torn(struct kunit *test)
{
	struct schedules s = {
		.test = test,
		.each = is_not_torn,
		.version = U32_MAX - 1,
		.updates = 2,
	};

	each_schedule(&s, 0, 2 * STEPS);
	KUNIT_EXPECT_EQ(test, s.torn, 0UL);
	/* C(22, 8) */
	KUNIT_EXPECT_EQ(test, s.run, 319770UL);
	KUNIT_EXPECT_EQ(test, s.believed, 3UL);
}

/*
 * A host that leaves the version alone cannot be caught: what it writes is a mixture
 * that no reader can tell from a page. (Nor can 2^31 whole updates within one try be
 * seen.) Such a read must end all the same, at once, and its time be the one of what
 * was read.
 */
static void is_garbage(struct schedules *s)
{
	struct pvc_reading r;
	bool behind;

	start(s);
	s->run++;
	s->believed += pvc_read(&host.page, host_tsc, &r) && !r.retries &&
		       r.ns == pvc_project(host.tsc, r.tsc_timestamp, r.system_time, r.mul,
					   r.shift, &behind);
	s->torn += update_of(&r, s->version) < 0;
}

static void silent_host_ends_no_reader(struct kunit *test)
{
	struct schedules s = { .test = test, .each = is_garbage, .version = 4, .updates = 1 };

	host.silent = true;
	each_schedule(&s, 0, STEPS);
	KUNIT_EXPECT_EQ(test, s.believed, s.run);
	/* It was such a host. */
	KUNIT_EXPECT_GT(test, s.torn, s.run / 2);
}

/* Versions and tries */

static void to_even(unsigned int call)
{
	if (call == 3)
		host.page.version++;
}

static void odd_at_the_wrap(struct kunit *test)
{
	struct pvc_reading r;

	host.page.version = U32_MAX;
	host.in_call = to_even;
	KUNIT_ASSERT_TRUE(test, pvc_read(&host.page, host_tsc, &r));
	KUNIT_EXPECT_EQ(test, r.version, 0U);
	KUNIT_EXPECT_EQ(test, r.retries, 3U);
	KUNIT_EXPECT_TRUE(test, is_page(&r, &pages[0]));
}

/* The page of another host, whose count is its own. */
static void migrate(unsigned int call)
{
	if (call == 1) {
		host.page = pages[1];
		host.page.version = 4;
	}
}

static void version_that_goes_down(struct kunit *test)
{
	struct pvc_reading r;

	host.page.version = 1000;
	host.in_call = migrate;
	KUNIT_ASSERT_TRUE(test, pvc_read(&host.page, host_tsc, &r));
	KUNIT_EXPECT_EQ(test, r.version, 4U);
	KUNIT_EXPECT_EQ(test, r.retries, 1U);
	KUNIT_EXPECT_TRUE(test, is_page(&r, &pages[1]));
}

static unsigned int even_after;

static void to_even_late(unsigned int call)
{
	if (call == even_after)
		host.page.version++;
}

static void the_last_try_counts_and_no_other(struct kunit *test)
{
	struct pvc_reading r;

	host.page.version = 5;
	host.in_call = to_even_late;
	even_after = PVC_MAX_TRIES - 1;
	KUNIT_EXPECT_TRUE(test, pvc_read(&host.page, host_tsc, &r));
	KUNIT_EXPECT_EQ(test, r.retries, PVC_MAX_TRIES - 1);
	KUNIT_EXPECT_EQ(test, host.calls, PVC_MAX_TRIES);
	KUNIT_EXPECT_TRUE(test, is_page(&r, &pages[0]));

	host_init(test);
	host.page.version = 5;
	host.in_call = to_even_late;
	even_after = PVC_MAX_TRIES;
	KUNIT_EXPECT_FALSE(test, pvc_read(&host.page, host_tsc, &r));
	KUNIT_EXPECT_EQ(test, r.retries, PVC_MAX_TRIES);
	KUNIT_EXPECT_EQ(test, host.calls, PVC_MAX_TRIES);

	/* Nothing is left of a read that was given up. */
	KUNIT_EXPECT_TRUE(test, pvc_read(&host.page, host_tsc, &r));
	KUNIT_EXPECT_EQ(test, r.retries, 0U);
	KUNIT_EXPECT_EQ(test, host.calls, PVC_MAX_TRIES + 1);
	KUNIT_EXPECT_TRUE(test, is_page(&r, &pages[0]));
}

static struct kunit_case host_cases[] = {
	KUNIT_CASE(no_schedule_of_an_update_is_torn),
	KUNIT_CASE(no_schedule_of_two_updates_is_torn),
	KUNIT_CASE(silent_host_ends_no_reader),
	KUNIT_CASE(odd_at_the_wrap),
	KUNIT_CASE(version_that_goes_down),
	KUNIT_CASE(the_last_try_counts_and_no_other),
	{}
};

static struct kunit_suite host_suite = {
	.name = "pvclock_host",
	.init = host_init,
	.test_cases = host_cases,
};

/* Pages against 128 bits */

static const u32 muls[] = {
	1, 2, 3, S32_MAX, 1U << 31, (1U << 31) + 1, MUL_2500MHZ, U32_MAX - 1, U32_MAX,
};

static const u64 times[] = { 0, 1, 1ULL << 62, 1ULL << 63, U64_MAX - 10, U64_MAX };

static u64 project_oracle(u64 tsc, u64 stamp, u64 system, u32 mul, s8 shift, bool *behind)
{
	unsigned __int128 wide = tsc - stamp;

	*behind = wide >> 63;
	if (*behind)
		return system;
	/* Below 2^95. */
	wide = shift < 0 ? wide >> -shift : wide << shift;
	if (wide > U64_MAX)
		wide = U64_MAX;
	wide = (wide * mul >> 32) + system;
	return wide > U64_MAX ? U64_MAX : (u64)wide;
}

/* Plays the page; the first difference is told, the others are counted. */
static unsigned long wrong_time(struct kunit *test, u64 ticks, u64 stamp, u64 system, u32 mul,
				s8 shift)
{
	struct pvc_reading r;
	bool behind, ok;
	u64 ns;

	host.page.tsc_timestamp = stamp;
	host.page.system_time = system;
	host.page.tsc_to_system_mul = mul;
	host.page.tsc_shift = shift;
	host.tsc = stamp + ticks;
	ok = pvc_read(&host.page, host_tsc, &r);
	ns = project_oracle(host.tsc, stamp, system, mul, shift, &behind);
	if (ok && r.ns == ns && r.behind == behind && r.tsc == host.tsc)
		return 0;
	kunit_err(test, "ticks %llu stamp %llu system %llu mul %u shift %d: %d, %llu for %llu\n",
		  ticks, stamp, system, mul, shift, ok, r.ns, ns);
	return 1;
}

static void every_shift_agrees_with_128_bits(struct kunit *test)
{
	unsigned long wrong = 0, all = 0;
	unsigned int m, t, k;
	int shift;

	for (shift = -PVC_MAX_SHIFT; shift <= PVC_MAX_SHIFT; shift++) {
		/* The most ticks that the shift leaves whole. */
		u64 edge = shift > 0 ? U64_MAX >> shift : U64_MAX;
		const u64 ticks[] = {
			0, 1, edge - 1, edge, edge + 1, U32_MAX, S64_MAX, 1ULL << 63, U64_MAX,
		};

		for (m = 0; m < ARRAY_SIZE(muls); m++)
			for (t = 0; t < ARRAY_SIZE(times); t++)
				for (k = 0; k < ARRAY_SIZE(ticks) && wrong < 10; k++) {
					wrong += wrong_time(test, ticks[k], times[t] * 3, times[t],
							    muls[m], shift);
					all++;
				}
	}
	KUNIT_EXPECT_EQ(test, wrong, 0UL);
	KUNIT_EXPECT_EQ(test, all, 65UL * ARRAY_SIZE(muls) * ARRAY_SIZE(times) * 9);
}

static void random_pages_agree_with_128_bits(struct kunit *test)
{
	u64 random = 0x2545f4914f6cdd1dULL;
	unsigned long wrong = 0;
	unsigned int i;

	for (i = 0; i < 50000 && wrong < 10; i++) {
		/* Of all lengths: half of the ticks of full length would be behind. */
		u64 ticks = next_random(&random) >> (next_random(&random) % 64);
		u64 stamp = next_random(&random) >> (next_random(&random) % 64);
		u64 system = next_random(&random) >> (next_random(&random) % 64);
		u32 mul = next_random(&random) >> (32 + next_random(&random) % 32);
		s8 shift = (s8)(next_random(&random) % 65) - 32;

		wrong += wrong_time(test, ticks, stamp, system, mul ?: 1, shift);
	}
	KUNIT_EXPECT_EQ(test, wrong, 0UL);
}

static void no_other_page_is_a_clock(struct kunit *test)
{
	unsigned int m, refused = 0;
	struct pvc_reading r;
	int shift;

	for (shift = S8_MIN; shift <= S8_MAX; shift++) {
		host.page.tsc_shift = shift;
		host.page.tsc_to_system_mul = 0;
		KUNIT_EXPECT_FALSE_MSG(test, pvc_read(&host.page, host_tsc, &r), "%d", shift);
		KUNIT_EXPECT_EQ(test, pvc_tsc_khz(0, shift), 0U);
		if (shift >= -32 && shift <= 32)
			continue;
		refused++;
		for (m = 0; m < ARRAY_SIZE(muls); m++) {
			host.page.tsc_to_system_mul = muls[m];
			KUNIT_EXPECT_FALSE_MSG(test, pvc_read(&host.page, host_tsc, &r),
					       "mul %u shift %d", muls[m], shift);
			KUNIT_EXPECT_EQ(test, r.retries, 0U);
			KUNIT_EXPECT_EQ(test, pvc_tsc_khz(muls[m], shift), 0U);
		}
	}
	KUNIT_EXPECT_EQ(test, refused, 191U);
}

/*
 * By multiplication, not by the division under test: kHz is the largest number with
 * kHz * mul * 2^shift <= 10^6 * 2^32, its lowest bits 0 for a negative shift.
 */
static bool khz_is_right(u32 khz, u32 mul, s8 shift)
{
	const unsigned __int128 whole = (unsigned __int128)1000000 << 32;
	unsigned __int128 unit = (unsigned __int128)mul << max_t(int, shift, 0);
	unsigned int zeros = max_t(int, -shift, 0);
	u64 n = khz;

	if (!khz)
		return whole < unit || whole >= unit << (32 - zeros);
	if (n & ((1ULL << zeros) - 1))
		return false;
	n >>= zeros;
	return n * unit <= whole && whole < (n + 1) * unit;
}

static void every_frequency_agrees_with_128_bits(struct kunit *test)
{
	unsigned long wrong = 0, zero = 0, all = 0;
	u64 random = 0x9e3779b97f4a7c15ULL;
	unsigned int m;
	int shift;
	u32 khz;

	for (shift = -PVC_MAX_SHIFT; shift <= PVC_MAX_SHIFT; shift++) {
		/* On both sides of 2^32 kHz. */
		u64 edge = shift < 0 ? 1000000ULL << -shift : 1000000ULL >> shift;

		for (m = 0; m < ARRAY_SIZE(muls) + 5 + 500; m++) {
			u32 mul = next_random(&random) >> (32 + m % 32);

			if (m < ARRAY_SIZE(muls))
				mul = muls[m];
			else if (m < ARRAY_SIZE(muls) + 5)
				mul = edge - 2 + m - ARRAY_SIZE(muls);
			if (!mul)
				continue;
			khz = pvc_tsc_khz(mul, shift);
			all++;
			zero += !khz;
			if (khz_is_right(khz, mul, shift))
				continue;
			if (wrong++ < 10)
				kunit_err(test, "mul %u shift %d: %u kHz\n", mul, shift, khz);
		}
	}
	KUNIT_EXPECT_EQ(test, wrong, 0UL);
	KUNIT_EXPECT_GT(test, zero, all / 20);
	KUNIT_EXPECT_LT(test, zero, all / 4 * 3);
}

static struct kunit_case page_cases[] = {
	KUNIT_CASE(every_shift_agrees_with_128_bits),
	KUNIT_CASE(random_pages_agree_with_128_bits),
	KUNIT_CASE(no_other_page_is_a_clock),
	KUNIT_CASE(every_frequency_agrees_with_128_bits),
	{}
};

static struct kunit_suite page_suite = {
	.name = "pvclock_pages",
	.init = host_init,
	.test_cases = page_cases,
};

kunit_test_suites(&host_suite, &page_suite);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("KUnit suites of pvclock_rh's reader against every host");
MODULE_VERSION(VRH_VERSION);
