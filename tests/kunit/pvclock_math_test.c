// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit suites of pvclock/clock_math.[ch]: arithmetic, read protocol, clamp.
 * The test plays the host; the TSC read, which lies between the reader's two
 * looks at the version, is where it gets its turn.
 */
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <asm/pvclock.h>

#include "pvclock/clock_math.c"

/* A 2.5 GHz TSC: 0.4 ns a tick is 0.8 * 2^-1. */
#define MUL_2500MHZ 3435973836U
#define SHIFT_2500MHZ (-1)

static const u64 ticks_of_interest[] = {
	0, 1, 2, 3, 1000, 2500000000ULL, U32_MAX, 1ULL << 32, (1ULL << 52) + 12345,
	S64_MAX, 1ULL << 63, U64_MAX - 1, U64_MAX,
};

static const u32 muls_of_interest[] = {
	1, 2, 3, 1000, 1U << 31, (1U << 31) + 1, MUL_2500MHZ, U32_MAX - 1, U32_MAX,
};

static const s8 shifts_of_interest[] = { -32, -31, -16, -2, -1, 0, 1, 2, 16, 31, 32 };

/* The same sequence in every run: a failure can be seen again. */
static u64 next_random(u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Arithmetic */

static u64 scale_oracle(u64 ticks, u32 mul, s8 shift)
{
	unsigned __int128 wide = ticks;

	if (shift < 0)
		wide >>= -shift;
	else
		wide <<= shift;
	if (wide > U64_MAX)
		wide = U64_MAX;
	return (u64)((wide * mul) >> 32);
}

static void scale_agrees_with_128_bits(struct kunit *test)
{
	u64 random = 0x9e3779b97f4a7c15ULL;
	unsigned int t, m, s, i;

	for (t = 0; t < ARRAY_SIZE(ticks_of_interest); t++)
		for (m = 0; m < ARRAY_SIZE(muls_of_interest); m++)
			for (s = 0; s < ARRAY_SIZE(shifts_of_interest); s++)
				KUNIT_EXPECT_EQ_MSG(test,
						    pvc_scale(ticks_of_interest[t],
							      muls_of_interest[m],
							      shifts_of_interest[s]),
						    scale_oracle(ticks_of_interest[t],
								 muls_of_interest[m],
								 shifts_of_interest[s]),
						    "ticks %llu mul %u shift %d",
						    ticks_of_interest[t], muls_of_interest[m],
						    shifts_of_interest[s]);

	for (i = 0; i < 20000; i++) {
		u64 ticks = next_random(&random) >> (next_random(&random) % 64);
		u32 mul = next_random(&random);
		s8 shift = (s8)(next_random(&random) % 65) - 32;

		KUNIT_EXPECT_EQ_MSG(test, pvc_scale(ticks, mul, shift),
				    scale_oracle(ticks, mul, shift),
				    "ticks %llu mul %u shift %d", ticks, mul, shift);
	}
}

static void scale_agrees_with_the_kernel(struct kunit *test)
{
	u64 random = 0xda942042e4dd58b5ULL;
	unsigned int i;

	for (i = 0; i < 20000; i++) {
		/* 2^40 ticks and shifts up to 16: nothing overflows there either. */
		u64 ticks = next_random(&random) >> 24;
		u32 mul = next_random(&random);
		s8 shift = (s8)(next_random(&random) % 49) - 32;

		KUNIT_EXPECT_EQ_MSG(test, pvc_scale(ticks, mul, shift),
				    pvclock_scale_delta(ticks, mul, shift),
				    "ticks %llu mul %u shift %d", ticks, mul, shift);
	}
}

static void scale_known_values(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, pvc_scale(0, U32_MAX, 32), 0ULL);
	/* 1 GHz: a tick is a ns. */
	KUNIT_EXPECT_EQ(test, pvc_scale(123456789ULL, 1U << 31, 1), 123456789ULL);
	/* One second of a 2.5 GHz TSC, less than a ns of rounding. */
	KUNIT_EXPECT_EQ(test, pvc_scale(2500000000ULL, MUL_2500MHZ, SHIFT_2500MHZ), 999999999ULL);
	/* 97 years of it still fit. */
	KUNIT_EXPECT_LT(test, pvc_scale(S64_MAX, MUL_2500MHZ, SHIFT_2500MHZ), 1ULL << 62);
}

static void scale_saturates_on_overflow(struct kunit *test)
{
	u64 most = mul_u64_u32_shr(U64_MAX, U32_MAX, 32);

	KUNIT_EXPECT_EQ(test, pvc_scale(U64_MAX, U32_MAX, 32), most);
	KUNIT_EXPECT_EQ(test, pvc_scale(1ULL << 63, U32_MAX, 1), most);
	KUNIT_EXPECT_EQ(test, pvc_scale(1ULL << 32, U32_MAX, 32), most);
	KUNIT_EXPECT_LT(test, pvc_scale(U32_MAX, U32_MAX, 32), most);
}

static void params_out_of_range_are_no_clock(struct kunit *test)
{
	KUNIT_EXPECT_FALSE(test, pvc_params_valid(0, 0));
	KUNIT_EXPECT_TRUE(test, pvc_params_valid(1, 0));
	KUNIT_EXPECT_TRUE(test, pvc_params_valid(U32_MAX, 32));
	KUNIT_EXPECT_TRUE(test, pvc_params_valid(U32_MAX, -32));
	KUNIT_EXPECT_FALSE(test, pvc_params_valid(U32_MAX, 33));
	KUNIT_EXPECT_FALSE(test, pvc_params_valid(U32_MAX, -33));
	KUNIT_EXPECT_FALSE(test, pvc_params_valid(1U << 31, 64));
	KUNIT_EXPECT_FALSE(test, pvc_params_valid(1U << 31, -64));
	KUNIT_EXPECT_FALSE(test, pvc_params_valid(1U << 31, S8_MIN));
	KUNIT_EXPECT_FALSE(test, pvc_params_valid(1U << 31, S8_MAX));
}

static void project_forward(struct kunit *test)
{
	bool behind = true;

	KUNIT_EXPECT_EQ(test, pvc_project(5000, 5000, 77, 1U << 31, 1, &behind), 77ULL);
	KUNIT_EXPECT_FALSE(test, behind);
	KUNIT_EXPECT_EQ(test, pvc_project(5001, 5000, 77, 1U << 31, 1, &behind), 78ULL);
	KUNIT_EXPECT_FALSE(test, behind);
	/* The TSC counter itself wrapped. */
	KUNIT_EXPECT_EQ(test, pvc_project(9, U64_MAX - 10, 77, 1U << 31, 1, &behind), 97ULL);
	KUNIT_EXPECT_FALSE(test, behind);
	KUNIT_EXPECT_EQ(test, pvc_project(S64_MAX, 0, 0, 1U << 31, 1, &behind), (u64)S64_MAX);
	KUNIT_EXPECT_FALSE(test, behind);
}

static void project_tsc_before_page(struct kunit *test)
{
	bool behind = false;

	KUNIT_EXPECT_EQ(test, pvc_project(4999, 5000, 77, 1U << 31, 1, &behind), 77ULL);
	KUNIT_EXPECT_TRUE(test, behind);
	/* A TSC that was set back to zero. */
	behind = false;
	KUNIT_EXPECT_EQ(test, pvc_project(0, 1ULL << 60, 77, MUL_2500MHZ, -1, &behind), 77ULL);
	KUNIT_EXPECT_TRUE(test, behind);
	/* 2^63 ticks ahead are 2^63 behind. */
	behind = false;
	KUNIT_EXPECT_EQ(test, pvc_project(1ULL << 63, 0, 77, 1U << 31, 1, &behind), 77ULL);
	KUNIT_EXPECT_TRUE(test, behind);
}

static void project_never_wraps(struct kunit *test)
{
	bool behind;

	KUNIT_EXPECT_EQ(test, pvc_project(1000, 0, U64_MAX - 10, 1U << 31, 1, &behind), U64_MAX);
	KUNIT_EXPECT_EQ(test, pvc_project(10, 0, U64_MAX - 10, 1U << 31, 1, &behind), U64_MAX);
	KUNIT_EXPECT_EQ(test, pvc_project(9, 0, U64_MAX - 10, 1U << 31, 1, &behind), U64_MAX - 1);
}

static void khz_agrees_with_the_kernel(struct kunit *test)
{
	unsigned int i;
	static const struct {
		u32 mul;
		s8 shift;
	} pages[] = {
		{ MUL_2500MHZ, SHIFT_2500MHZ }, { 1U << 31, 1 }, { 1U << 31, 0 },
		{ 1U << 31, -1 }, { U32_MAX, -1 }, { 2863311530U, -1 }, { 4294967295U, 1 },
		{ 3000000000U, 5 }, { 4000000000U, -4 },
	};

	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		u64 khz = (1000000ULL << 32) / pages[i].mul;

		khz = pages[i].shift < 0 ? khz << -pages[i].shift : khz >> pages[i].shift;
		KUNIT_EXPECT_EQ_MSG(test, pvc_tsc_khz(pages[i].mul, pages[i].shift), (u32)khz,
				    "mul %u shift %d", pages[i].mul, pages[i].shift);
	}
	/* The multiplier was rounded down by less than one, the frequency up. */
	KUNIT_EXPECT_EQ(test, pvc_tsc_khz(MUL_2500MHZ, SHIFT_2500MHZ), 2500000U);
	KUNIT_EXPECT_EQ(test, pvc_tsc_khz(1U << 31, 1), 1000000U);
}

static void khz_refuses_nonsense(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, pvc_tsc_khz(0, 0), 0U);
	KUNIT_EXPECT_EQ(test, pvc_tsc_khz(1U << 31, 33), 0U);
	KUNIT_EXPECT_EQ(test, pvc_tsc_khz(1U << 31, -33), 0U);
	KUNIT_EXPECT_EQ(test, pvc_tsc_khz(1U << 31, S8_MIN), 0U);
	/* 4 PHz and beyond do not fit in 32 bits of kHz. */
	KUNIT_EXPECT_EQ(test, pvc_tsc_khz(1, 0), 0U);
	KUNIT_EXPECT_EQ(test, pvc_tsc_khz(3, 0), 0U);
	KUNIT_EXPECT_EQ(test, pvc_tsc_khz(3, -7), 0U);
	KUNIT_EXPECT_EQ(test, pvc_tsc_khz(1, -32), 0U);
	KUNIT_EXPECT_EQ(test, pvc_tsc_khz(U32_MAX, -32), 0U);
	/* Slower than 1 kHz. */
	KUNIT_EXPECT_EQ(test, pvc_tsc_khz(U32_MAX, 32), 0U);
}

static void stable_bit_needs_the_feature(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, pvc_flags_stable(PVCLOCK_TSC_STABLE_BIT, true));
	KUNIT_EXPECT_TRUE(test, pvc_flags_stable(0xff, true));
	KUNIT_EXPECT_FALSE(test, pvc_flags_stable(PVCLOCK_TSC_STABLE_BIT, false));
	KUNIT_EXPECT_FALSE(test, pvc_flags_stable(PVCLOCK_GUEST_STOPPED, true));
	KUNIT_EXPECT_FALSE(test, pvc_flags_stable(0, true));
}

static struct kunit_case math_cases[] = {
	KUNIT_CASE(scale_agrees_with_128_bits),
	KUNIT_CASE(scale_agrees_with_the_kernel),
	KUNIT_CASE(scale_known_values),
	KUNIT_CASE(scale_saturates_on_overflow),
	KUNIT_CASE(params_out_of_range_are_no_clock),
	KUNIT_CASE(project_forward),
	KUNIT_CASE(project_tsc_before_page),
	KUNIT_CASE(project_never_wraps),
	KUNIT_CASE(khz_agrees_with_the_kernel),
	KUNIT_CASE(khz_refuses_nonsense),
	KUNIT_CASE(stable_bit_needs_the_feature),
	{}
};

static struct kunit_suite math_suite = {
	.name = "pvclock_math",
	.test_cases = math_cases,
};

/* Read protocol */

static struct {
	struct pvclock_vcpu_time_info page;
	u64 tsc;
	unsigned int calls;
	/* What the host does while the reader is inside; call is 1, 2, ... */
	void (*turn)(unsigned int call);
} host;

static u64 read_host_tsc(void)
{
	host.calls++;
	if (host.turn)
		host.turn(host.calls);
	return host.tsc;
}

static int read_init(struct kunit *test)
{
	memset(&host, 0, sizeof(host));
	host.page = (struct pvclock_vcpu_time_info){
		.version = 4,
		.tsc_timestamp = 1000,
		.system_time = 5000,
		.tsc_to_system_mul = 1U << 31,
		.tsc_shift = 1,
		.flags = PVCLOCK_TSC_STABLE_BIT,
	};
	host.tsc = 1234;
	return 0;
}

static void read_quiet_page(struct kunit *test)
{
	struct pvc_reading r;

	KUNIT_ASSERT_TRUE(test, pvc_read(&host.page, read_host_tsc, &r));
	KUNIT_EXPECT_EQ(test, r.ns, 5234ULL);
	KUNIT_EXPECT_EQ(test, r.tsc, 1234ULL);
	KUNIT_EXPECT_EQ(test, r.tsc_timestamp, 1000ULL);
	KUNIT_EXPECT_EQ(test, r.system_time, 5000ULL);
	KUNIT_EXPECT_EQ(test, r.version, 4U);
	KUNIT_EXPECT_EQ(test, r.mul, 1U << 31);
	KUNIT_EXPECT_EQ(test, (int)r.shift, 1);
	KUNIT_EXPECT_EQ(test, (int)r.flags, PVCLOCK_TSC_STABLE_BIT);
	KUNIT_EXPECT_EQ(test, r.retries, 0U);
	KUNIT_EXPECT_FALSE(test, r.behind);
	KUNIT_EXPECT_EQ(test, host.calls, 1U);
}

static void finish_on_third_look(unsigned int call)
{
	if (call == 3)
		host.page.version++;
}

static void read_waits_while_version_is_odd(struct kunit *test)
{
	struct pvc_reading r;

	host.page.version = 5;
	host.turn = finish_on_third_look;
	KUNIT_ASSERT_TRUE(test, pvc_read(&host.page, read_host_tsc, &r));
	KUNIT_EXPECT_EQ(test, r.version, 6U);
	KUNIT_EXPECT_EQ(test, r.retries, 3U);
}

static void begin_then_finish(unsigned int call)
{
	if (call == 1) {
		host.page.version++;
		host.page.system_time = 900000;
	} else if (call == 2) {
		host.page.tsc_timestamp = 1200;
		host.page.version++;
	}
}

static void read_repeats_when_version_turns_odd(struct kunit *test)
{
	struct pvc_reading r;

	host.turn = begin_then_finish;
	KUNIT_ASSERT_TRUE(test, pvc_read(&host.page, read_host_tsc, &r));
	KUNIT_EXPECT_EQ(test, r.ns, 900034ULL);
	KUNIT_EXPECT_EQ(test, r.version, 6U);
	KUNIT_EXPECT_EQ(test, r.retries, 2U);
}

static void whole_update_once(unsigned int call)
{
	if (call == 1) {
		host.page.version += 2;
		host.page.system_time = 900000;
		host.page.tsc_timestamp = 1200;
	}
}

static void read_repeats_after_a_whole_update(struct kunit *test)
{
	struct pvc_reading r;

	host.turn = whole_update_once;
	KUNIT_ASSERT_TRUE(test, pvc_read(&host.page, read_host_tsc, &r));
	KUNIT_EXPECT_EQ(test, r.ns, 900034ULL);
	KUNIT_EXPECT_EQ(test, r.retries, 1U);
}

static void read_survives_version_wrap(struct kunit *test)
{
	struct pvc_reading r;

	host.page.version = 0xfffffffe;
	host.turn = whole_update_once;
	KUNIT_ASSERT_TRUE(test, pvc_read(&host.page, read_host_tsc, &r));
	KUNIT_EXPECT_EQ(test, r.version, 0U);
	KUNIT_EXPECT_EQ(test, r.ns, 900034ULL);
	KUNIT_EXPECT_EQ(test, r.retries, 1U);
}

static void always_odd(unsigned int call)
{
	host.page.version |= 1;
}

static void always_new(unsigned int call)
{
	host.page.version += 2;
}

static void read_gives_up(struct kunit *test)
{
	struct pvc_reading r;

	host.turn = always_odd;
	KUNIT_EXPECT_FALSE(test, pvc_read(&host.page, read_host_tsc, &r));
	KUNIT_EXPECT_EQ(test, r.retries, PVC_MAX_TRIES);
	KUNIT_EXPECT_EQ(test, host.calls, PVC_MAX_TRIES);

	read_init(test);
	host.turn = always_new;
	KUNIT_EXPECT_FALSE(test, pvc_read(&host.page, read_host_tsc, &r));
	KUNIT_EXPECT_EQ(test, r.retries, PVC_MAX_TRIES);
	KUNIT_EXPECT_EQ(test, host.calls, PVC_MAX_TRIES);
}

static void read_refuses_unwritten_page(struct kunit *test)
{
	struct pvc_reading r;

	memset(&host.page, 0, sizeof(host.page));
	KUNIT_EXPECT_FALSE(test, pvc_read(&host.page, read_host_tsc, &r));
	KUNIT_EXPECT_EQ(test, r.retries, 0U);

	read_init(test);
	host.page.tsc_shift = 64;
	KUNIT_EXPECT_FALSE(test, pvc_read(&host.page, read_host_tsc, &r));
	host.page.tsc_shift = -128;
	KUNIT_EXPECT_FALSE(test, pvc_read(&host.page, read_host_tsc, &r));
}

static void read_reports_tsc_before_page(struct kunit *test)
{
	struct pvc_reading r;

	host.tsc = 999;
	KUNIT_ASSERT_TRUE(test, pvc_read(&host.page, read_host_tsc, &r));
	KUNIT_EXPECT_TRUE(test, r.behind);
	KUNIT_EXPECT_EQ(test, r.ns, 5000ULL);
}

/* The writer's two sets differ in every field and give times far apart. */
struct torn {
	struct pvclock_vcpu_time_info page;
	unsigned long writes;
};

static u64 read_fixed_tsc(void)
{
	return 3000000;
}

static void torn_write(struct torn *t, bool b)
{
	u32 version = t->page.version;

	WRITE_ONCE(t->page.version, version + 1);
	/* Odd before the first field changes. */
	virt_wmb();
	WRITE_ONCE(t->page.tsc_timestamp, b ? 2000000 : 1000000);
	WRITE_ONCE(t->page.system_time, b ? 70000000 : 10000000);
	WRITE_ONCE(t->page.tsc_to_system_mul, b ? 3U << 30 : 1U << 31);
	WRITE_ONCE(t->page.tsc_shift, b ? -1 : 1);
	WRITE_ONCE(t->page.flags, b ? PVCLOCK_TSC_STABLE_BIT : 0);
	/* Even after the last one. */
	virt_wmb();
	WRITE_ONCE(t->page.version, version + 2);
}

static int torn_writer(void *arg)
{
	struct torn *t = arg;

	while (!kthread_should_stop()) {
		torn_write(t, t->writes++ & 1);
		/* Gives a reader on the same CPU its turn. */
		if (!(t->writes % 64))
			cond_resched();
	}
	return 0;
}

static void read_never_mixes_two_updates(struct kunit *test)
{
	const u64 ns_a = 10000000 + 2000000, ns_b = 70000000 + 375000;
	unsigned long reads = 0, seen_a = 0, seen_b = 0, mixed = 0, lost = 0;
	unsigned long deadline = jiffies + 20 * HZ;
	struct task_struct *writer;
	struct pvc_reading r;
	struct torn *t;

	t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t);
	torn_write(t, false);
	writer = kthread_run(torn_writer, t, "pvc_torn_writer");
	KUNIT_ASSERT_FALSE(test, IS_ERR(writer));

	while ((reads < 100000 || !seen_a || !seen_b) && time_before(jiffies, deadline)) {
		reads++;
		if (!(reads % 64))
			cond_resched();
		if (!pvc_read(&t->page, read_fixed_tsc, &r))
			lost++;
		else if (r.ns == ns_a && !r.flags && r.shift == 1)
			seen_a++;
		else if (r.ns == ns_b && r.flags == PVCLOCK_TSC_STABLE_BIT && r.shift == -1)
			seen_b++;
		else
			mixed++;
	}
	kthread_stop(writer);

	kunit_info(test, "%lu reads, %lu writes, %lu given up", reads, t->writes, lost);
	KUNIT_EXPECT_EQ(test, mixed, 0UL);
	KUNIT_EXPECT_GT(test, seen_a, 0UL);
	KUNIT_EXPECT_GT(test, seen_b, 0UL);
}

static struct kunit_case read_cases[] = {
	KUNIT_CASE(read_quiet_page),
	KUNIT_CASE(read_waits_while_version_is_odd),
	KUNIT_CASE(read_repeats_when_version_turns_odd),
	KUNIT_CASE(read_repeats_after_a_whole_update),
	KUNIT_CASE(read_survives_version_wrap),
	KUNIT_CASE(read_gives_up),
	KUNIT_CASE(read_refuses_unwritten_page),
	KUNIT_CASE(read_reports_tsc_before_page),
	KUNIT_CASE(read_never_mixes_two_updates),
	{}
};

static struct kunit_suite read_suite = {
	.name = "pvclock_read",
	.init = read_init,
	.test_cases = read_cases,
};

/* Clamp */

static void clamp_never_goes_back(struct kunit *test)
{
	atomic64_t last = ATOMIC64_INIT(0);

	KUNIT_EXPECT_EQ(test, pvc_clamp(&last, 0), 0ULL);
	KUNIT_EXPECT_EQ(test, pvc_clamp(&last, 100), 100ULL);
	KUNIT_EXPECT_EQ(test, pvc_clamp(&last, 100), 100ULL);
	KUNIT_EXPECT_EQ(test, pvc_clamp(&last, 99), 100ULL);
	KUNIT_EXPECT_EQ(test, pvc_clamp(&last, 101), 101ULL);
	KUNIT_EXPECT_EQ(test, atomic64_read(&last), 101LL);
}

static void clamp_compares_unsigned(struct kunit *test)
{
	atomic64_t last = ATOMIC64_INIT(0);

	KUNIT_EXPECT_EQ(test, pvc_clamp(&last, 1ULL << 63), 1ULL << 63);
	KUNIT_EXPECT_EQ(test, pvc_clamp(&last, S64_MAX), 1ULL << 63);
	KUNIT_EXPECT_EQ(test, pvc_clamp(&last, U64_MAX), U64_MAX);
	KUNIT_EXPECT_EQ(test, pvc_clamp(&last, 0), U64_MAX);
}

#define CLAMP_THREADS 4
#define CLAMP_ROUNDS 50000
/*
 * How far the pages of two CPUs are apart, in ticks. Small against the number of
 * ticks that pass between two reads of one thread, so that each thread is
 * ahead of the others now and then and they race to set the time.
 */
#define CLAMP_SKEW 8

struct clamp_shared {
	atomic64_t last;
	/* Stands for the TSC, which goes on whoever reads it. */
	atomic64_t ticks;
	atomic_t backwards;
	atomic_t running;
};

struct clamp_thread {
	struct clamp_shared *shared;
	u64 random;
};

static int clamp_racer(void *arg)
{
	struct clamp_thread *t = arg;
	struct clamp_shared *s = t->shared;
	u64 mine = 0;
	int i;

	for (i = 0; i < CLAMP_ROUNDS; i++) {
		u64 before = atomic64_read(&s->last);
		u64 skew = next_random(&t->random) % CLAMP_SKEW;
		u64 now = pvc_clamp(&s->last, atomic64_inc_return(&s->ticks) + skew);

		/* Neither what this thread got before may be undercut nor what others got. */
		if (before < mine || now < before || atomic64_read(&s->last) < now)
			atomic_inc(&s->backwards);
		mine = now;
		if (!(i % 64))
			cond_resched();
	}
	atomic_dec(&s->running);

	/* Stays until kthread_stop(), which waits for the end of this very code. */
	while (!kthread_should_stop())
		schedule_timeout_interruptible(HZ / 50);
	return 0;
}

static void clamp_holds_against_racing_cpus(struct kunit *test)
{
	struct task_struct *task[CLAMP_THREADS];
	struct clamp_thread *threads;
	struct clamp_shared *s;
	int i;

	s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);
	threads = kunit_kcalloc(test, CLAMP_THREADS, sizeof(*threads), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, s);
	KUNIT_ASSERT_NOT_NULL(test, threads);

	for (i = 0; i < CLAMP_THREADS; i++) {
		threads[i].shared = s;
		threads[i].random = 0x9e3779b97f4a7c15ULL * (i + 1);
		atomic_inc(&s->running);
		task[i] = kthread_run(clamp_racer, &threads[i], "pvc_clamp_%d", i);
		if (IS_ERR(task[i])) {
			atomic_dec(&s->running);
			KUNIT_FAIL(test, "no thread %d", i);
		}
	}
	/* Ends: a thread that was started counts down after CLAMP_ROUNDS rounds. */
	while (atomic_read(&s->running))
		msleep(20);
	for (i = 0; i < CLAMP_THREADS; i++)
		if (!IS_ERR(task[i]))
			kthread_stop(task[i]);

	KUNIT_EXPECT_EQ(test, atomic_read(&s->backwards), 0);
	/* The thread that is ahead sets the time, and nobody invents any. */
	KUNIT_EXPECT_GE(test, atomic64_read(&s->last), atomic64_read(&s->ticks));
	KUNIT_EXPECT_LE(test, atomic64_read(&s->last),
			atomic64_read(&s->ticks) + CLAMP_SKEW - 1);
}

/*
 * A clock is read in interrupts too, also in one that comes in the middle of a
 * clamp on the same CPU. Calls from another CPU make such interrupts.
 */
struct clamp_irq {
	atomic64_t last;
	atomic64_t ticks;
	/* What the latest interrupt was given; written and read on one CPU. */
	u64 given;
	unsigned long undercut;
	unsigned long irqs;
};

static void clamp_in_interrupt(void *arg)
{
	struct clamp_irq *s = arg;

	WRITE_ONCE(s->given, pvc_clamp(&s->last, atomic64_inc_return(&s->ticks) + CLAMP_SKEW));
	s->irqs++;
}

static int clamp_interrupted(void *arg)
{
	struct clamp_irq *s = arg;
	unsigned long n = 0;
	u64 given;

	while (!kthread_should_stop()) {
		pvc_clamp(&s->last, atomic64_inc_return(&s->ticks));
		/* In this order: an interrupt between the two must not look like a fault. */
		given = READ_ONCE(s->given);
		if ((u64)atomic64_read(&s->last) < given)
			s->undercut++;
		if (!(++n % 1024))
			cond_resched();
	}
	return 0;
}

static void clamp_holds_against_an_interrupt(struct kunit *test)
{
	unsigned int cpu = cpumask_last(cpu_online_mask);
	unsigned long deadline = jiffies + 10 * HZ;
	struct task_struct *task;
	struct clamp_irq *s;

	if (num_online_cpus() < 2) {
		kunit_info(test, "one CPU only: nobody to interrupt it");
		return;
	}
	s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, s);
	task = kthread_create(clamp_interrupted, s, "pvc_interrupted");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	kthread_bind(task, cpu);
	wake_up_process(task);

	while (READ_ONCE(s->irqs) < 20000 && time_before(jiffies, deadline)) {
		/* On its own CPU this would be a call, not an interrupt. */
		if (get_cpu() != cpu)
			smp_call_function_single(cpu, clamp_in_interrupt, s, 1);
		put_cpu();
		cond_resched();
	}
	kthread_stop(task);

	kunit_info(test, "%lu interrupts", s->irqs);
	KUNIT_EXPECT_GT(test, s->irqs, 0UL);
	KUNIT_EXPECT_EQ(test, s->undercut, 0UL);
}

static struct kunit_case clamp_cases[] = {
	KUNIT_CASE(clamp_never_goes_back),
	KUNIT_CASE(clamp_compares_unsigned),
	KUNIT_CASE(clamp_holds_against_racing_cpus),
	KUNIT_CASE(clamp_holds_against_an_interrupt),
	{}
};

static struct kunit_suite clamp_suite = {
	.name = "pvclock_clamp",
	.test_cases = clamp_cases,
};

kunit_test_suites(&math_suite, &read_suite, &clamp_suite);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("KUnit suites of pvclock_rh's arithmetic and read protocol");
MODULE_VERSION(VRH_VERSION);
