// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit suite of pvclock_rh as a whole: why it does not load, what it registers if it does,
 * what its files say, and that nothing is left behind.
 */
#include "pvclock_guest.h"

/* Why it does not load */

static void no_kvm(void)
{
	host.kvm = false;
}

static void a_confidential_guest(void)
{
	host.encrypted = true;
}

static void no_kvm_leaf(void)
{
	host.leaf = 0;
}

static void no_kvmclock(void)
{
	host.features = BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT) | BIT(KVM_FEATURE_NOP_IO_DELAY);
}

static void a_kernel_without_kvm_clock(void)
{
	host.kernel_has_page = false;
	mode = PVC_MODE_SHARED;
}

static void no_page_of_this_cpu(void)
{
	host.cpu_has_page = false;
}

static void an_odd_page(void)
{
	host.page.version |= 1;
}

static void an_unwritten_page(void)
{
	memset(&host.page, 0, sizeof(host.page));
}

static void a_shift_of_no_clock(void)
{
	host.page.tsc_shift = 33;
}

static void where_there_is_no_clock_it_does_not_load(struct kunit *test)
{
	static void (* const reasons[])(void) = {
		no_kvm, a_confidential_guest, no_kvm_leaf, no_kvmclock,
		a_kernel_without_kvm_clock, no_page_of_this_cpu, an_odd_page, an_unwritten_page,
		a_shift_of_no_clock,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(reasons); i++) {
		guest_init(test);
		reasons[i]();
		KUNIT_EXPECT_EQ_MSG(test, pvc_init(), -ENODEV, "%ps", reasons[i]);
		expect_nothing(test);
	}
}

static void what_fails_in_the_kernel_is_undone(struct kunit *test)
{
	host.no_wall = true;
	KUNIT_EXPECT_EQ(test, pvc_init(), -ENOMEM);
	expect_nothing(test);
	host.no_wall = false;
	host.no_directory = true;
	KUNIT_EXPECT_EQ(test, pvc_init(), -ENOMEM);
	expect_nothing(test);
	host.no_directory = false;
	host.no_files = true;
	KUNIT_EXPECT_EQ(test, pvc_init(), -ENOMEM);
	expect_nothing(test);
	host.no_files = false;
	host.no_device = true;
	KUNIT_EXPECT_EQ(test, pvc_init(), -EBUSY);
	expect_nothing(test);
	host.no_device = false;
	host.no_work = true;
	KUNIT_EXPECT_EQ(test, pvc_init(), -ENOMEM);
	expect_nothing(test);
	host.no_work = false;
	host.refused = true;
	KUNIT_EXPECT_EQ(test, pvc_init(), -EINVAL);
	expect_nothing(test);
	/* None of them has left a directory that would be in the way. */
	host.refused = false;
	KUNIT_ASSERT_EQ(test, pvc_init(), 0);
	EXPECT_FILE(test, "state", "shared");
	pvc_exit();
	expect_nothing(test);
}

static void with_enable_0_nothing_is_registered(struct kunit *test)
{
	enable = false;
	/* Wherever it is. */
	host.kvm = false;
	KUNIT_EXPECT_EQ(test, pvc_init(), 0);
	expect_nothing(test);
	pvc_exit();
	expect_nothing(test);
}

/* While it is loaded */

static void it_comes_and_goes(struct kunit *test)
{
	/* With the older of the two features as well. */
	static const unsigned int bits[] = { KVM_FEATURE_CLOCKSOURCE, KVM_FEATURE_CLOCKSOURCE2 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bits); i++) {
		host.features = BIT(bits[i]) | BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT);
		KUNIT_ASSERT_EQ(test, pvc_init(), 0);
		KUNIT_EXPECT_TRUE(test, registered());
		KUNIT_EXPECT_EQ(test, pvc_clocksource.rating, 1);
		KUNIT_EXPECT_EQ(test, pvc_cs_read(&pvc_clocksource), START);
		EXPECT_FILE(test, "state", "shared");
		EXPECT_FILE(test, "stable", "1");
		EXPECT_FILE(test, "tsc_khz", "1000000");
		pvc_exit();
		expect_nothing(test);
	}
}

static void files_follow_the_page(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, pvc_init(), 0);
	write_page(START, 0);
	EXPECT_FILE(test, "stable", "0");
	host.page.tsc_shift = 0;
	EXPECT_FILE(test, "tsc_khz", "2000000");
	/* No frequency that is beyond 32 bits. */
	host.page.tsc_to_system_mul = 1;
	host.page.tsc_shift = -32;
	EXPECT_FILE(test, "tsc_khz", "0");
	host.page.version |= 1;
	EXPECT_FILE(test, "stable", "EIO");
	EXPECT_FILE(test, "tsc_khz", "EIO");
	EXPECT_FILE(test, "state", "shared");
	pvc_exit();
}

/* Old hosts leave junk in the flags. */
static void the_stable_bit_needs_its_feature(struct kunit *test)
{
	host.features = BIT(KVM_FEATURE_CLOCKSOURCE);
	KUNIT_ASSERT_EQ(test, pvc_init(), 0);
	KUNIT_EXPECT_TRUE(test, host.page.flags & PVCLOCK_TSC_STABLE_BIT);
	EXPECT_FILE(test, "stable", "0");
	pvc_exit();
}

static void files_count_what_happens(struct kunit *test)
{
	static const char * const files[] = {
		FILES "retries", FILES "clamp_hits", FILES "tsc_behind", FILES "unreadable",
	};
	static const u64 more[] = { 2 * PVC_MAX_TRIES, 3, 1, 2 };
	u64 before[ARRAY_SIZE(files)];
	unsigned int i;

	KUNIT_ASSERT_EQ(test, pvc_init(), 0);
	for (i = 0; i < ARRAY_SIZE(files); i++)
		before[i] = number(test, files[i]);
	write_page(START, 0);
	pvc_cs_read(&pvc_clocksource);
	/* Three readings behind it, two that fail, and one by a TSC before the page's. */
	write_page(START - 100, 0);
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, pvc_cs_read(&pvc_clocksource), START);
	host.page.version |= 1;
	for (i = 0; i < 2; i++)
		KUNIT_EXPECT_EQ(test, pvc_cs_read(&pvc_clocksource), START);
	host.page.version++;
	write_page(START + 100, 0);
	host.tsc -= 10;
	KUNIT_EXPECT_EQ(test, pvc_cs_read(&pvc_clocksource), START + 100);
	for (i = 0; i < ARRAY_SIZE(files); i++)
		KUNIT_EXPECT_EQ_MSG(test, number(test, files[i]) - before[i], more[i], "%s",
				    files[i]);
	pvc_exit();
}

/* A program that found something else where its vDSO looks would die of it. */
static void programs_read_the_page_only_if_they_have_it(struct kunit *test)
{
	static const struct pvclock_vcpu_time_info other;

	host.programs = &other;
	KUNIT_ASSERT_EQ(test, pvc_init(), 0);
	tick();
	EXPECT_FILE(test, "vdso", "off: refused");
	pvc_exit();

	host.programs = NULL;
	KUNIT_ASSERT_EQ(test, pvc_init(), 0);
	tick();
	EXPECT_FILE(test, "vdso", "off: refused");
	pvc_exit();

	host.programs = &host.page;
	vdso = PVC_VDSO_OFF;
	KUNIT_ASSERT_EQ(test, pvc_init(), 0);
	tick();
	EXPECT_FILE(test, "vdso", "off: refused");
	pvc_exit();

	/* With one CPU nobody reads the page of another one. */
	vdso = PVC_VDSO_AUTO;
	KUNIT_ASSERT_EQ(test, pvc_init(), 0);
	tick();
	EXPECT_FILE(test, "vdso", num_online_cpus() > 1 ? "off: several CPUs" : "on");
	pvc_exit();
	expect_nothing(test);
}

/* The core does not let a watchdog go that has no successor. */
static void unloading_waits_for_a_clock_that_is_needed(struct kunit *test)
{
	unsigned long start;

	KUNIT_ASSERT_EQ(test, pvc_init(), 0);
	host.watched = 2;
	start = jiffies;
	pvc_exit();
	KUNIT_EXPECT_EQ(test, host.watched, 0);
	/* It does not ask all the time. */
	KUNIT_EXPECT_GE(test, jiffies_to_msecs(jiffies - start), 1900);
	expect_nothing(test);
}

static struct kunit_case load_cases[] = {
	KUNIT_CASE(where_there_is_no_clock_it_does_not_load),
	KUNIT_CASE(what_fails_in_the_kernel_is_undone),
	KUNIT_CASE(with_enable_0_nothing_is_registered),
	KUNIT_CASE(it_comes_and_goes),
	KUNIT_CASE(files_follow_the_page),
	KUNIT_CASE(the_stable_bit_needs_its_feature),
	KUNIT_CASE(files_count_what_happens),
	KUNIT_CASE(programs_read_the_page_only_if_they_have_it),
	KUNIT_CASE_SLOW(unloading_waits_for_a_clock_that_is_needed),
	{}
};

static struct kunit_suite load_suite = {
	.name = "pvclock_load",
	.suite_init = sim_suite_init,
	.suite_exit = sim_suite_exit,
	.init = guest_init,
	.test_cases = load_cases,
};

kunit_test_suite(load_suite);
