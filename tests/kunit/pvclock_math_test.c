// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit suite of the arithmetic in pvclock/clock_math.[ch]. The read protocol
 * and the clamp have pvclock_read_test.c.
 */
#include <kunit/test.h>
#include <linux/module.h>
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

kunit_test_suite(math_suite);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("KUnit suite of pvclock_rh's arithmetic");
MODULE_VERSION(VRH_VERSION);
