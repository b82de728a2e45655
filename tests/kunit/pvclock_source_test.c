// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit suite of pvclock/clocksource.c: what a single read gives and counts. What
 * reads one after the other give has pvclock_jumps_test.c.
 */
#include <linux/cpu.h>
#include <linux/smp.h>

#include "pvclock_kunit.h"

static void stable_readings_are_handed_out_as_they_are(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < 100; i++)
		KUNIT_EXPECT_EQ(test, look_after(i % CPUS, LAG / 8), START + (i + 1) * (LAG / 8));
	expect_snapshot(test, 1, START + 100 * (LAG / 8), true);
	/* The host says that it stopped the guest: the kernel's business. */
	host.page[0].flags |= PVCLOCK_GUEST_STOPPED;
	expect_snapshot(test, 0, START + 100 * (LAG / 8), true);
	EXPECT_COUNTED(test, 0, 0, 0, 0);
}

static void stable_readings_are_noted_once_a_tick(struct kunit *test)
{
	unsigned int i, writes = 0;
	s64 last;

	look(0);
	for (i = 0; i < 800; i++) {
		last = atomic64_read(&pvc_last);
		look_after(i % CPUS, LAG / 8);
		writes += atomic64_read(&pvc_last) != last;
	}
	KUNIT_EXPECT_GE(test, writes, 800 / 9);
	KUNIT_EXPECT_LE(test, writes, 800 / 8);
	/* Not the first read alone has the time: the largest is known but for a tick. */
	KUNIT_EXPECT_GE(test, (u64)atomic64_read(&pvc_last) + LAG, readers.ended);
}

static void an_odd_page_lets_time_stand_still(struct kunit *test)
{
	struct pvc_reading r;
	u64 now;

	look(0);
	now = look_after(1, LAG / 2);
	host.page[0].version |= 1;
	/* Not before what any CPU was given, and not beyond it by more than a tick. */
	now = look_after(0, LAG);
	KUNIT_EXPECT_EQ(test, now, START + LAG);
	EXPECT_COUNTED(test, PVC_MAX_TRIES, 0, 0, 1);
	KUNIT_EXPECT_EQ(test, look_after(0, LAG), now);
	expect_snapshot(test, 0, now, false);
	EXPECT_COUNTED(test, 2 * PVC_MAX_TRIES, 0, 0, 2);
	KUNIT_EXPECT_EQ(test, pvc_cs_enable(&pvc_clocksource), -EIO);

	host.page[0].version++;
	KUNIT_EXPECT_EQ(test, look(0), START + 5 * LAG / 2);
	EXPECT_COUNTED(test, 0, 0, 0, 0);
	KUNIT_EXPECT_EQ(test, pvc_cs_enable(&pvc_clocksource), 0);
	/* To be asked whether it can be enabled is not a reading of the time. */
	host.page[0].version |= 1;
	KUNIT_EXPECT_EQ(test, pvc_page_sample(&r), -EIO);
	EXPECT_COUNTED(test, 0, 0, 0, 0);
}

static void an_unwritten_page_lets_time_stand_still(struct kunit *test)
{
	u64 now;

	/* The first reading of all: nothing is known yet. */
	memset(host.page, 0, sizeof(host.page));
	KUNIT_EXPECT_EQ(test, look(0), 0ULL);
	EXPECT_COUNTED(test, 0, 0, 0, 1);
	write_page(1, START, false);
	now = look(1);
	KUNIT_EXPECT_EQ(test, now, START);
	KUNIT_EXPECT_EQ(test, look_after(2, LAG), START);
	EXPECT_COUNTED(test, 0, 0, 0, 1);
}

static void begin_and_finish(void)
{
	host.page[host.cpu].version++;
	if (!(host.page[host.cpu].version & 1))
		host.in_tsc = NULL;
}

static void tries_of_a_good_read_are_counted(struct kunit *test)
{
	host.in_tsc = begin_and_finish;
	expect_snapshot(test, 0, START, true);
	EXPECT_COUNTED(test, 2, 0, 0, 0);
}

static void a_tsc_before_the_page_gives_the_time_of_the_page(struct kunit *test)
{
	host.tsc -= 10;
	expect_snapshot(test, 0, START, false);
	EXPECT_COUNTED(test, 0, 0, 1, 0);
	write_page(1, START + 20, false);
	host.tsc -= 1;
	expect_snapshot(test, 1, START + LAG, false);
	EXPECT_COUNTED(test, 0, 1, 1, 0);
	host.tsc += LAG;
	expect_snapshot(test, 0, START + LAG, false);
	expect_snapshot(test, 1, START + LAG + 19, true);
	EXPECT_COUNTED(test, 0, 1, 0, 0);
}

static void pages_that_differ_are_clamped(struct kunit *test)
{
	write_pages(START, false);
	write_page(1, START + 3000, false);
	expect_snapshot(test, 1, START + 3000, true);
	expect_snapshot(test, 0, START + 3000, false);
	EXPECT_COUNTED(test, 0, 1, 0, 0);
	host.tsc += 2999;
	expect_snapshot(test, 0, START + 3000, false);
	host.tsc += 1;
	/* The same time is no step back, and is the page's. */
	expect_snapshot(test, 0, START + 3000, true);
	EXPECT_COUNTED(test, 0, 1, 0, 0);
	/* Without the stable bit every reading is known, not only one a tick. */
	look_after(1, 1);
	KUNIT_EXPECT_EQ(test, look(0), START + 6001);
}

static void the_bit_means_nothing_without_the_feature(struct kunit *test)
{
	host.stable_valid = false;
	write_page(1, START + 3000, true);
	look(1);
	KUNIT_EXPECT_EQ(test, look(0), START + 3000);
	EXPECT_COUNTED(test, 0, 1, 0, 0);
}

static void resume_forgets_the_old_host(struct kunit *test)
{
	look_after(0, 100 * LAG);
	write_pages(START / 2, false);
	KUNIT_EXPECT_EQ(test, look(0), START + 101 * LAG);
	/* The only way for time to go back. */
	pvc_cs_resume(&pvc_clocksource);
	readers.ended = 0;
	KUNIT_EXPECT_EQ(test, look(0), START / 2);
	pvc_cs_resume(&pvc_clocksource);
	readers.ended = 0;
	write_pages(START / 4, true);
	KUNIT_EXPECT_EQ(test, look(0), START / 4);
	EXPECT_COUNTED(test, 0, 1, 0, 0);
}

static void add_on_each_cpu(void *unused)
{
	pvc_cs_read(&pvc_clocksource);
}

static void counters_are_sums_over_all_cpus(struct kunit *test)
{
	unsigned int cpus = 0, cpu;

	host.page[0].tsc_to_system_mul = 0;
	cpus_read_lock();
	for_each_online_cpu(cpu)
		cpus += !smp_call_function_single(cpu, add_on_each_cpu, NULL, 1);
	cpus_read_unlock();
	EXPECT_COUNTED(test, 0, 0, 0, cpus);
	KUNIT_EXPECT_GT(test, cpus, 0U);
}

static void registers_and_goes_twice(struct kunit *test)
{
	/* With the least rating the core does not choose it. */
	KUNIT_ASSERT_EQ(test, pvc_clocksource_register(1), 0);
	KUNIT_EXPECT_EQ(test, pvc_clocksource.rating, 1);
	KUNIT_EXPECT_FALSE(test, list_empty(&pvc_clocksource.list));
	KUNIT_EXPECT_TRUE(test, pvc_clocksource.read_snapshot == pvc_cs_read_snapshot);
	/* A time in ns, of which the core loses nothing. */
	KUNIT_EXPECT_EQ(test, clocksource_cyc2ns(START, pvc_clocksource.mult,
						 pvc_clocksource.shift), (s64)START);
	pvc_clocksource_unregister();
	KUNIT_EXPECT_TRUE(test, list_empty(&pvc_clocksource.list));
	pvc_clocksource_unregister();
}

static struct kunit_case source_cases[] = {
	KUNIT_CASE(stable_readings_are_handed_out_as_they_are),
	KUNIT_CASE(stable_readings_are_noted_once_a_tick),
	KUNIT_CASE(an_odd_page_lets_time_stand_still),
	KUNIT_CASE(an_unwritten_page_lets_time_stand_still),
	KUNIT_CASE(tries_of_a_good_read_are_counted),
	KUNIT_CASE(a_tsc_before_the_page_gives_the_time_of_the_page),
	KUNIT_CASE(pages_that_differ_are_clamped),
	KUNIT_CASE(the_bit_means_nothing_without_the_feature),
	KUNIT_CASE(resume_forgets_the_old_host),
	KUNIT_CASE(counters_are_sums_over_all_cpus),
	KUNIT_CASE(registers_and_goes_twice),
	{}
};

static struct kunit_suite source_suite = {
	.name = "pvclock_source",
	.init = source_init,
	.exit = source_exit,
	.test_cases = source_cases,
};

kunit_test_suite(source_suite);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("KUnit suite of pvclock_rh's clocksource");
MODULE_VERSION(VRH_VERSION);
