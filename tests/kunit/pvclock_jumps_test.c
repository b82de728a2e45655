// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit suite of pvclock/clocksource.c: sequences of what hosts do to the pages of a
 * guest in its life, and of what none should, with readers that meet in the middle.
 */
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/sched.h>

#include "pvclock_kunit.h"

static void the_stable_bit_goes(struct kunit *test)
{
	u64 now;

	look(0);
	now = look_after(0, LAG / 2);
	/* Pages of another making, some of them behind the time that was handed out. */
	write_page(0, now - 3000, false);
	write_page(1, now - 5000, false);
	write_page(2, now + 1000, false);
	KUNIT_EXPECT_EQ(test, look(0), START + LAG);
	KUNIT_EXPECT_EQ(test, look(1), START + LAG);
	KUNIT_EXPECT_EQ(test, look(2), START + LAG);
	/* Stands still until the host is there, and goes on as if nothing had been. */
	KUNIT_EXPECT_EQ(test, look_after(2, LAG / 2), START + LAG + 1000);
	KUNIT_EXPECT_EQ(test, look_after(0, 10000), START + LAG + 7000);
	expect_snapshot(test, 2, START + LAG + 11000, true);
	EXPECT_COUNTED(test, 0, 3, 0, 0);
}

static void the_stable_bit_comes(struct kunit *test)
{
	write_pages(START + 5000, false);
	look(0);
	write_pages(START, true);
	/* All stable pages wait for the one that was ahead. */
	KUNIT_EXPECT_EQ(test, look_after(1, 1000), START + 5000);
	KUNIT_EXPECT_EQ(test, look_after(2, 1000), START + 5000);
	EXPECT_COUNTED(test, 0, 2, 0, 0);
	expect_snapshot(test, 2, START + 5000, false);
	KUNIT_EXPECT_EQ(test, look_after(0, 4000), START + 6000);
	expect_snapshot(test, 1, START + 6000, true);
	EXPECT_COUNTED(test, 0, 1, 0, 0);
}

/* One CPU has left the guest and has its new page, another runs on with the old one. */
static void one_cpu_sees_the_bit_go_before_another(struct kunit *test)
{
	u64 now;

	look(0);
	now = look_after(0, LAG / 2);
	write_page(1, now - 3000, false);
	KUNIT_EXPECT_EQ(test, look(1), START + LAG);
	KUNIT_EXPECT_EQ(test, look(0), START + LAG);
	KUNIT_EXPECT_EQ(test, look_after(0, 10), START + LAG);
	KUNIT_EXPECT_EQ(test, look_after(0, LAG / 2), START + LAG + 10);
	/* That was a stable reading again, after which others may not have been noted. */
	KUNIT_EXPECT_EQ(test, look(1), START + 2 * LAG + 10);
	write_page(0, START + LAG + 10, false);
	KUNIT_EXPECT_EQ(test, look(0), START + 2 * LAG + 10);
	/* No further, now that nobody is stable. */
	KUNIT_EXPECT_EQ(test, look_after(1, LAG / 2), START + 2 * LAG + 10);
	KUNIT_EXPECT_EQ(test, look_after(0, LAG), START + 5 * LAG / 2 + 10);
}

static void a_bit_that_flaps_costs_a_tick_at_most(struct kunit *test)
{
	unsigned int i;
	u64 ns;

	for (i = 0; i < 4000; i++) {
		host.tsc += LAG / 16 + i;
		ns = START + host.tsc - 5000;
		write_pages(i % 2 ? ns : ns - i, i % 2);
		KUNIT_EXPECT_LE(test, look(i % CPUS), ns + LAG);
	}
	write_pages(ns, true);
	KUNIT_EXPECT_EQ(test, look_after(0, LAG), ns + LAG);
	KUNIT_EXPECT_GT(test, counted().clamp_hits, 0UL);
}

/* The host's clock is set, or its guest was stopped with it. */
static void pages_are_set_ahead_and_back(struct kunit *test)
{
	const u64 hour = 3600ULL * NSEC_PER_SEC;
	unsigned int stable;

	for (stable = 0; stable < 2; stable++) {
		host_begin();
		write_pages(START, stable);
		look(0);
		write_pages(START + hour, stable);
		KUNIT_EXPECT_EQ(test, look(1), START + hour);
		/* Back: it stands still until the hour is over. */
		write_pages(START, stable);
		KUNIT_EXPECT_EQ(test, look(2), START + hour);
		KUNIT_EXPECT_EQ(test, look_after(0, hour - 1), START + hour);
		KUNIT_EXPECT_EQ(test, look_after(0, 2), START + hour + 1);
		EXPECT_COUNTED(test, 0, 2, 0, 0);
	}
}

static void the_tsc_is_set_ahead_and_back(struct kunit *test)
{
	unsigned int stable;
	u64 now;

	for (stable = 0; stable < 2; stable++) {
		host_begin();
		write_pages(START, stable);
		now = look_after(0, 1000000000);
		host.tsc = 0;
		KUNIT_EXPECT_EQ(test, look(0), now);
		EXPECT_COUNTED(test, 0, 1, 1, 0);
		/* The host tells the same time by the new TSC. */
		write_pages(now, stable);
		KUNIT_EXPECT_EQ(test, look_after(0, 5), now + 5);
		host.tsc = 1ULL << 61;
		KUNIT_EXPECT_EQ(test, look(0), now + (1ULL << 61));
		host.tsc = U64_MAX;
		KUNIT_EXPECT_EQ(test, look(1), now + (1ULL << 61));
		EXPECT_COUNTED(test, 0, 1, 1, 0);
	}
}

static void the_rate_changes(struct kunit *test)
{
	unsigned int stable, cpu;
	u64 now;

	for (stable = 0; stable < 2; stable++) {
		host_begin();
		write_pages(START, stable);
		now = look_after(0, 1000000);
		/* Continuous: from here on a tick is half a ns. */
		write_pages(now, stable);
		for (cpu = 0; cpu < CPUS; cpu++)
			host.page[cpu].tsc_shift = 0;
		KUNIT_EXPECT_EQ(test, look_after(1, 1000000), now + 500000);
		if (stable)
			continue;
		/* Not: the whole past becomes shorter, and time waits for it. */
		now = look_after(1, 1000000);
		for (cpu = 0; cpu < CPUS; cpu++)
			host.page[cpu].tsc_shift = -1;
		KUNIT_EXPECT_EQ(test, look(2), now);
		KUNIT_EXPECT_EQ(test, look_after(2, 6000000), START + 1000000 + 2000000);
		/* Longer again, at once. */
		for (cpu = 0; cpu < CPUS; cpu++)
			host.page[cpu].tsc_shift = 1;
		KUNIT_EXPECT_EQ(test, look(0), START + 1000000 + 8000000);
	}
}

/*
 * Where the promise ends: pages that stay stable are believed, as in the kernel's own
 * clock. Only what they take back of the time that was noted is seen.
 */
static void stable_pages_are_believed_within_a_tick(struct kunit *test)
{
	u64 now;

	look(0);
	now = look_after(1, LAG / 2);
	write_pages(now - 3000, true);
	KUNIT_EXPECT_EQ(test, look(0), now - 3000);
	KUNIT_EXPECT_EQ(test, readers.back, 1UL);
	write_pages(START - 3000, true);
	KUNIT_EXPECT_EQ(test, look(0), START);
	readers.back = 0;
	EXPECT_COUNTED(test, 0, 1, 0, 0);
}

static void time_ends_after_146_years(struct kunit *test)
{
	unsigned int stable;

	for (stable = 0; stable < 2; stable++) {
		host_begin();
		write_pages(PVC_NS_MAX - 1, stable);
		KUNIT_EXPECT_EQ(test, look(0), PVC_NS_MAX - 1);
		look_after(1, 10);
		look_after(2, LAG);
		look_after(0, LAG);
		write_pages(U64_MAX - 1, !stable);
		look(1);
		look_after(2, 10);
		write_page(0, 0, stable);
		look(0);
		/* A tick at most may have been added for what was not noted. */
		KUNIT_EXPECT_GE(test, readers.ended, PVC_NS_MAX);
		KUNIT_EXPECT_LE(test, readers.ended, PVC_NS_MAX + LAG);
	}
}

#define KINDS 4

/* A page that tells of the line START at TSC 5000, or of one that is off. */
static void write_kind(unsigned int cpu, unsigned int kind, s64 off)
{
	const u64 ns = START + host.tsc - 5000;

	write_page(cpu, kind ? ns + off : ns, kind == 0);
	if (kind == 2)
		host.page[cpu].tsc_to_system_mul = 0;
	else if (kind == 3)
		host.page[cpu].tsc_timestamp += 50;
}

/* The digits of a number whose bases are the lengths of lists: every combination. */
static unsigned int digit(unsigned int *number, unsigned int base)
{
	unsigned int d = *number % base;

	*number /= base;
	return d;
}

/* Two readers of every kind, one of which comes at an access of the other. */
static void readers_that_meet(struct kunit *test)
{
	static const s64 offs[] = { 0, -3000, 3000, LAG * 3 };
	static const u64 apart[] = { 0, 5, LAG / 2, LAG * 2 };
	/* How old the last noted time is; the fourth is of a page that ran ahead. */
	static const u64 age[] = { 0, LAG / 2, LAG * 4, LAG / 2 };
	unsigned int n, rest, met = 0, all = 4 * 4 * 4 * 4 * 4 * KINDS * KINDS;

	for (n = 0; n < all; n++) {
		rest = n;
		host_begin();
		race.turn = digit(&rest, 4);
		race.ns = apart[digit(&rest, ARRAY_SIZE(apart))];
		race.cpu = 1;
		write_kind(2, rest % 4 == 3, LAG);
		look(2);
		host.tsc += age[digit(&rest, ARRAY_SIZE(age))];
		write_kind(0, digit(&rest, KINDS), offs[digit(&rest, ARRAY_SIZE(offs))]);
		write_kind(1, digit(&rest, KINDS), offs[digit(&rest, ARRAY_SIZE(offs))]);
		race.armed = true;
		look(0);
		met += !race.armed;
		race.armed = false;
		/* What one of them has changed may not be lost. */
		look(0);
		look(1);
		look(0);
		write_kind(2, 0, 0);
		look(2);
		look(1);
		KUNIT_ASSERT_EQ_MSG(test, readers.back, 0UL, "combination %u", n);
		KUNIT_ASSERT_LE_MSG(test, readers.ended, host.most + LAG, "combination %u", n);
	}
	/* Each read has an access, and many a second one. */
	kunit_info(test, "%u of %u met", met, all);
	KUNIT_EXPECT_GT(test, met, all / 4);
}

static u64 next_random(u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Whatever pages do that are not stable, and however readers meet. */
static void random_hosts_do_not_turn_time_back(struct kunit *test)
{
	static const u8 kinds[] = { 0, 0, 0, 1, 1, 1, 2, 3 };
	u64 random = 0x9e3779b97f4a7c15ULL, drawn;
	struct pvc_stats all;
	unsigned int i, calm, cpu;

	for (i = 0; i < 100000 && !readers.back; i++) {
		drawn = next_random(&random);
		host.tsc += drawn % 16 ? drawn % 500 : drawn % LAG;
		drawn >>= 20;
		/* Every now and then all pages are stable, so that readings go unnoted. */
		calm = i / 256 % 2;
		for (cpu = 0; cpu < CPUS && calm && i % 256 == 0; cpu++)
			write_kind(cpu, 0, 0);
		if (!calm && drawn % 4 == 0)
			write_kind(drawn / 4 % CPUS, kinds[drawn / 64 % ARRAY_SIZE(kinds)],
				   drawn / 4096 % 256 ? (s64)(drawn >> 20) % 6000 - 3000 :
				   (s64)LAG * 5);
		drawn = next_random(&random);
		race.armed = drawn % 2;
		race.turn = drawn / 2 % 3;
		race.cpu = drawn / 64 % CPUS;
		race.ns = drawn / 4096 % 500;
		look(drawn / 256 % CPUS);
		if (readers.ended > host.most + LAG)
			KUNIT_FAIL(test, "%llu ahead of every page", readers.ended - host.most);
	}
	race.armed = false;
	all = counted();
	kunit_info(test, "%lu reads met, %lu clamped, %lu behind, %lu unreadable", race.met,
		   all.clamp_hits, all.tsc_behind, all.unreadable);
	KUNIT_EXPECT_GT(test, race.met, 10000UL);
	/* Of all sorts: the others were handed out as they were. */
	KUNIT_EXPECT_GT(test, all.clamp_hits, 10000UL);
	KUNIT_EXPECT_LT(test, all.clamp_hits + all.unreadable, 80000UL);
	KUNIT_EXPECT_GT(test, all.tsc_behind, 200UL);
	KUNIT_EXPECT_GT(test, all.unreadable, 1000UL);

	/* Once all is well, time is the host's again. */
	host.tsc += 10 * LAG;
	write_kind(0, 0, 0);
	expect_snapshot(test, 0, START + host.tsc - 5000, true);
}

/* Real CPUs, all on one word */

#define RACERS 3
#define ROUNDS 40000

static struct {
	atomic64_t last;
	/* The line of all stable pages; goes on whoever reads it. */
	atomic64_t ns;
	/* The largest time of all reads that are over. */
	atomic64_t ended;
	atomic_t back, running;
	atomic_t as_read, clamped;
} shared;

static int racer(void *arg)
{
	u64 random = 0x9e3779b97f4a7c15ULL * (1 + (unsigned long)arg);
	u64 drawn, before, ns, now;
	s64 ended;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		drawn = next_random(&random);
		before = atomic64_read(&shared.ended);
		ns = atomic64_add_return(LAG / 64, &shared.ns);
		/* Phases of both sorts, and pages that are early or late to change. */
		if ((ns / (LAG * 8) % 2 == 0) ^ (drawn % 64 == 0))
			now = pvc_note(&shared.last, ns);
		else
			now = pvc_clamp(&shared.last, ns += drawn / 64 % (LAG / 8) - LAG / 16);
		if (now < before)
			atomic_inc(&shared.back);
		atomic_inc(now == ns ? &shared.as_read : &shared.clamped);
		ended = atomic64_read(&shared.ended);
		while ((u64)ended < now && !atomic64_try_cmpxchg(&shared.ended, &ended, now))
			;
		if (!(i % 64))
			cond_resched();
	}
	atomic_dec(&shared.running);

	/* Stays until kthread_stop(), which waits for the end of this very code. */
	while (!kthread_should_stop())
		schedule_timeout_interruptible(HZ / 50);
	return 0;
}

static void racing_cpus_do_not_turn_time_back(struct kunit *test)
{
	struct task_struct *task[RACERS];
	unsigned long i;

	memset(&shared, 0, sizeof(shared));
	atomic64_set(&shared.last, PVC_SETTLED);
	atomic64_set(&shared.ns, START);
	for (i = 0; i < RACERS; i++) {
		atomic_inc(&shared.running);
		task[i] = kthread_run(racer, (void *)i, "pvc_racer_%lu", i);
		if (IS_ERR(task[i])) {
			atomic_dec(&shared.running);
			KUNIT_FAIL(test, "no thread %lu", i);
		}
	}
	/* Ends: a thread that was started counts down after ROUNDS rounds. */
	while (atomic_read(&shared.running))
		msleep(20);
	for (i = 0; i < RACERS; i++)
		if (!IS_ERR(task[i]))
			kthread_stop(task[i]);

	kunit_info(test, "%d as read, %d clamped", atomic_read(&shared.as_read),
		   atomic_read(&shared.clamped));
	KUNIT_EXPECT_EQ(test, atomic_read(&shared.back), 0);
	KUNIT_EXPECT_GT(test, atomic_read(&shared.as_read), ROUNDS / 4);
	KUNIT_EXPECT_GT(test, atomic_read(&shared.clamped), ROUNDS / 4);
	KUNIT_EXPECT_LE(test, (u64)atomic64_read(&shared.ended),
			(u64)atomic64_read(&shared.ns) + LAG / 16 + LAG);
}

static struct kunit_case jumps_cases[] = {
	KUNIT_CASE(the_stable_bit_goes),
	KUNIT_CASE(the_stable_bit_comes),
	KUNIT_CASE(one_cpu_sees_the_bit_go_before_another),
	KUNIT_CASE(a_bit_that_flaps_costs_a_tick_at_most),
	KUNIT_CASE(pages_are_set_ahead_and_back),
	KUNIT_CASE(the_tsc_is_set_ahead_and_back),
	KUNIT_CASE(the_rate_changes),
	KUNIT_CASE(stable_pages_are_believed_within_a_tick),
	KUNIT_CASE(time_ends_after_146_years),
	KUNIT_CASE(readers_that_meet),
	KUNIT_CASE(random_hosts_do_not_turn_time_back),
	KUNIT_CASE(racing_cpus_do_not_turn_time_back),
	{}
};

static struct kunit_suite jumps_suite = {
	.name = "pvclock_jumps",
	.init = source_init,
	.exit = source_exit,
	.test_cases = jumps_cases,
};

kunit_test_suite(jumps_suite);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("KUnit suite of pvclock_rh's clock on hosts whose time jumps");
MODULE_VERSION(VRH_VERSION);
