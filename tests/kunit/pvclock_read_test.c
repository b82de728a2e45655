// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit suites of pvclock/clock_math.[ch]: read protocol and clamp. The test
 * plays the host; the TSC read, which lies between the reader's two looks at
 * the version, is where it gets its turn. In pvclock_host_test.c it gets its turn
 * everywhere.
 */
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/smp.h>

#include "pvclock/clock_math.c"

/* The same sequence in every run: a failure can be seen again. */
static u64 next_random(u64 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

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

/* The largest time in the word that the clamp keeps. */
static u64 most(const atomic64_t *last)
{
	return atomic64_read(last) & ~PVC_SETTLED;
}

static void clamp_never_goes_back(struct kunit *test)
{
	atomic64_t last = ATOMIC64_INIT(PVC_SETTLED);

	KUNIT_EXPECT_EQ(test, pvc_clamp(&last, 0), 0ULL);
	KUNIT_EXPECT_EQ(test, pvc_clamp(&last, 100), 100ULL);
	KUNIT_EXPECT_EQ(test, pvc_clamp(&last, 100), 100ULL);
	KUNIT_EXPECT_EQ(test, pvc_clamp(&last, 99), 100ULL);
	KUNIT_EXPECT_EQ(test, pvc_clamp(&last, 101), 101ULL);
	KUNIT_EXPECT_EQ(test, (u64)atomic64_read(&last), 101 | PVC_SETTLED);
}

static void clamp_ends_where_the_mark_begins(struct kunit *test)
{
	atomic64_t last = ATOMIC64_INIT(PVC_SETTLED);

	KUNIT_EXPECT_EQ(test, pvc_clamp(&last, PVC_NS_MAX), PVC_NS_MAX);
	KUNIT_EXPECT_EQ(test, pvc_clamp(&last, PVC_NS_MAX + 1), PVC_NS_MAX);
	KUNIT_EXPECT_EQ(test, pvc_clamp(&last, U64_MAX), PVC_NS_MAX);
	KUNIT_EXPECT_EQ(test, pvc_clamp(&last, 0), PVC_NS_MAX);

	/* As large a time at once, and what looks like the mark. */
	atomic64_set(&last, PVC_SETTLED);
	KUNIT_EXPECT_EQ(test, pvc_clamp(&last, U64_MAX), PVC_NS_MAX);
	atomic64_set(&last, PVC_SETTLED);
	KUNIT_EXPECT_EQ(test, pvc_clamp(&last, PVC_SETTLED), PVC_NS_MAX);
	KUNIT_EXPECT_EQ(test, (u64)atomic64_read(&last), PVC_NS_MAX | PVC_SETTLED);
}

static void note_writes_once_a_tick(struct kunit *test)
{
	const u64 start = 1000000000;
	atomic64_t last = ATOMIC64_INIT(PVC_SETTLED);

	KUNIT_EXPECT_EQ(test, pvc_note(&last, start), start);
	KUNIT_EXPECT_EQ(test, (u64)atomic64_read(&last), start);
	KUNIT_EXPECT_EQ(test, pvc_note(&last, start + 1), start + 1);
	KUNIT_EXPECT_EQ(test, pvc_note(&last, start + PVC_LAG_NSEC), start + PVC_LAG_NSEC);
	KUNIT_EXPECT_EQ(test, (u64)atomic64_read(&last), start);
	KUNIT_EXPECT_EQ(test, pvc_note(&last, start + PVC_LAG_NSEC + 1), start + PVC_LAG_NSEC + 1);
	KUNIT_EXPECT_EQ(test, (u64)atomic64_read(&last), start + PVC_LAG_NSEC + 1);
	/* Behind what was noted: nothing is written, and the time does not go back. */
	KUNIT_EXPECT_EQ(test, pvc_note(&last, start), start + PVC_LAG_NSEC + 1);
	KUNIT_EXPECT_EQ(test, (u64)atomic64_read(&last), start + PVC_LAG_NSEC + 1);
}

static void note_and_clamp_meet(struct kunit *test)
{
	const u64 start = 1000000000, floor = start + PVC_LAG_NSEC;
	atomic64_t last = ATOMIC64_INIT(PVC_SETTLED);

	/* The first reading of a page that is not stable covers what was not noted. */
	pvc_note(&last, start);
	KUNIT_EXPECT_EQ(test, pvc_clamp(&last, start + 1), floor);
	KUNIT_EXPECT_EQ(test, (u64)atomic64_read(&last), floor | PVC_SETTLED);
	/* It does so once. */
	KUNIT_EXPECT_EQ(test, pvc_clamp(&last, start + 2), floor);
	KUNIT_EXPECT_EQ(test, pvc_clamp(&last, floor + 1), floor + 1);
	/* A stable page may not undercut it either, and the mark stays until one is ahead. */
	KUNIT_EXPECT_EQ(test, pvc_note(&last, floor), floor + 1);
	KUNIT_EXPECT_EQ(test, pvc_note(&last, floor + 1), floor + 1);
	KUNIT_EXPECT_EQ(test, (u64)atomic64_read(&last), (floor + 1) | PVC_SETTLED);
	KUNIT_EXPECT_EQ(test, pvc_note(&last, floor + 2), floor + 2);
	KUNIT_EXPECT_EQ(test, (u64)atomic64_read(&last), floor + 2);
	/* A reading far ahead is handed out as it is. */
	KUNIT_EXPECT_EQ(test, pvc_clamp(&last, floor * 2), floor * 2);
}

static void note_ends_where_the_mark_begins(struct kunit *test)
{
	atomic64_t last = ATOMIC64_INIT(PVC_SETTLED);
	u64 now;

	KUNIT_EXPECT_EQ(test, pvc_note(&last, PVC_NS_MAX - 1), PVC_NS_MAX - 1);
	/* Not noted, and covered all the same. */
	now = pvc_note(&last, PVC_NS_MAX + 5);
	KUNIT_EXPECT_GE(test, pvc_clamp(&last, 0), now);
	now = pvc_clamp(&last, U64_MAX);
	KUNIT_EXPECT_EQ(test, pvc_note(&last, U64_MAX), now);
	KUNIT_EXPECT_EQ(test, pvc_note(&last, PVC_SETTLED), now);
	KUNIT_EXPECT_EQ(test, pvc_note(&last, 0), now);

	atomic64_set(&last, PVC_SETTLED);
	KUNIT_EXPECT_EQ(test, pvc_note(&last, U64_MAX), PVC_NS_MAX);
	KUNIT_EXPECT_EQ(test, pvc_note(&last, U64_MAX), PVC_NS_MAX);
	KUNIT_EXPECT_EQ(test, (u64)atomic64_read(&last), PVC_NS_MAX | PVC_SETTLED);
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
		u64 before = most(&s->last);
		u64 skew = next_random(&t->random) % CLAMP_SKEW;
		u64 now = pvc_clamp(&s->last, atomic64_inc_return(&s->ticks) + skew);

		/* Neither what this thread got before may be undercut nor what others got. */
		if (before < mine || now < before || most(&s->last) < now)
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
	atomic64_set(&s->last, PVC_SETTLED);

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
	KUNIT_EXPECT_GE(test, most(&s->last), (u64)atomic64_read(&s->ticks));
	KUNIT_EXPECT_LE(test, most(&s->last),
			(u64)atomic64_read(&s->ticks) + CLAMP_SKEW - 1);
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
		if (most(&s->last) < given)
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
	atomic64_set(&s->last, PVC_SETTLED);
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
	KUNIT_CASE(clamp_ends_where_the_mark_begins),
	KUNIT_CASE(note_writes_once_a_tick),
	KUNIT_CASE(note_and_clamp_meet),
	KUNIT_CASE(note_ends_where_the_mark_begins),
	KUNIT_CASE(clamp_holds_against_racing_cpus),
	KUNIT_CASE(clamp_holds_against_an_interrupt),
	{}
};

static struct kunit_suite clamp_suite = {
	.name = "pvclock_clamp",
	.test_cases = clamp_cases,
};

kunit_test_suites(&read_suite, &clamp_suite);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("KUnit suites of pvclock_rh's read protocol and clamp");
MODULE_VERSION(VRH_VERSION);
