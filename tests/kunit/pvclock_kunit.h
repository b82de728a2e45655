/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * pvclock/clocksource.c with a host that the test plays, and its pages, one for each
 * of three CPUs; the test chooses whose page the next read is from. Each read is held
 * against what other reads had got before it began: time must not go back.
 */
#ifndef VRH_PVCLOCK_KUNIT_H
#define VRH_PVCLOCK_KUNIT_H

#include <kunit/test.h>
#include <linux/atomic.h>
#include <linux/clocksource.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/preempt.h>

#include "compat.h"

/*
 * Before each access to the word that the readers share, another reader may come and
 * go. Every way in which two readers can meet is one of these: each has one step that
 * decides, an exchange or the look that finds nothing to do, and whoever decides
 * first might as well have come and gone there.
 */
static void race_turn(void);

#define atomic64_read(v) (race_turn(), (atomic64_read)(v))
#define atomic64_set(v, n) (race_turn(), (atomic64_set)(v, n))
#define atomic64_try_cmpxchg(v, old, new) (race_turn(), (atomic64_try_cmpxchg)(v, old, new))
#include "pvclock/clock_math.c"
#include "pvclock/clocksource.c"
#undef atomic64_read
#undef atomic64_set
#undef atomic64_try_cmpxchg

#define CPUS 3
#define START 1000000000ULL
#define LAG PVC_LAG_NSEC

/* The host */

static struct {
	struct pvclock_vcpu_time_info page[CPUS];
	bool stable_valid;
	/* A tick is a ns while the pages say so. */
	u64 tsc;
	/* Whose page is read. */
	unsigned int cpu;
	/* What happens in the TSC of a read. */
	void (*in_tsc)(void);
	/* The latest time that any page told. */
	u64 most;
	bool was_preemptible;
} host;

static u64 host_tsc(void)
{
	if (host.in_tsc)
		host.in_tsc();
	return host.tsc;
}

bool pvc_page_read(struct pvc_reading *r)
{
	if (preemptible())
		host.was_preemptible = true;
	if (!pvc_read(&host.page[host.cpu], host_tsc, r))
		return false;
	host.most = max(host.most, r->ns);
	return true;
}

bool pvc_page_stable(const struct pvc_reading *r)
{
	return pvc_flags_stable(r->flags, host.stable_valid);
}

int pvc_page_sample(struct pvc_reading *r)
{
	bool ok;

	preempt_disable();
	ok = pvc_page_read(r);
	preempt_enable();
	return ok ? 0 : -EIO;
}

/* An update of a page by the host: it is @ns now. */
static void write_page(unsigned int cpu, u64 ns, bool stable)
{
	host.page[cpu] = (struct pvclock_vcpu_time_info){
		.version = host.page[cpu].version + 2,
		.tsc_timestamp = host.tsc,
		.system_time = ns,
		.tsc_to_system_mul = 1U << 31,
		.tsc_shift = 1,
		.flags = stable ? PVCLOCK_TSC_STABLE_BIT : 0,
	};
}

static void write_pages(u64 ns, bool stable)
{
	unsigned int cpu;

	for (cpu = 0; cpu < CPUS; cpu++)
		write_page(cpu, ns, stable);
}

/* The readers */

static struct {
	struct kunit *test;
	/* The largest time of all reads that are over. */
	u64 ended;
	unsigned long back;
} readers;

static u64 look(unsigned int cpu)
{
	u64 before = readers.ended, now;

	host.cpu = cpu;
	now = pvc_cs_read(&pvc_clocksource);
	if (now < before && !readers.back++)
		kunit_err(readers.test, "CPU %u: %llu ns back\n", cpu, before - now);
	readers.ended = max(readers.ended, now);
	return now;
}

static u64 look_after(unsigned int cpu, u64 ns)
{
	host.tsc += ns;
	return look(cpu);
}

static struct {
	bool armed;
	/* Accesses until the other reader comes. */
	unsigned int turn;
	unsigned int cpu;
	u64 ns;
	unsigned long met;
} race;

static void race_turn(void)
{
	if (!race.armed || race.turn--)
		return;
	race.armed = false;
	race.met++;
	look_after(race.cpu, race.ns);
}

static struct pvc_stats before;

/* The counters since the last call. */
static struct pvc_stats counted(void)
{
	struct pvc_stats now, since;

	pvc_stats_sum(&now);
	since.retries = now.retries - before.retries;
	since.clamp_hits = now.clamp_hits - before.clamp_hits;
	since.tsc_behind = now.tsc_behind - before.tsc_behind;
	since.unreadable = now.unreadable - before.unreadable;
	before = now;
	return since;
}

#define EXPECT_COUNTED(test, _retries, _clamped, _behind, _unreadable)	\
do {									\
	struct pvc_stats _c = counted();				\
									\
	KUNIT_EXPECT_EQ(test, _c.retries, _retries);			\
	KUNIT_EXPECT_EQ(test, _c.clamp_hits, _clamped);			\
	KUNIT_EXPECT_EQ(test, _c.tsc_behind, _behind);			\
	KUNIT_EXPECT_EQ(test, _c.unreadable, _unreadable);		\
} while (0)

/* A new guest: its clock knows nothing, and all its pages are stable. */
static void host_begin(void)
{
	memset(&host, 0, sizeof(host));
	memset(&race, 0, sizeof(race));
	readers.ended = 0;
	host.stable_valid = true;
	host.tsc = 5000;
	write_pages(START, true);
	pvc_cs_resume(&pvc_clocksource);
	counted();
}

static int source_init(struct kunit *test)
{
	memset(&readers, 0, sizeof(readers));
	readers.test = test;
	host_begin();
	return 0;
}

static void source_exit(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, readers.back, 0UL);
	KUNIT_EXPECT_FALSE(test, host.was_preemptible);
	KUNIT_EXPECT_FALSE(test, race.armed);
}

/* What is promised with a time */
static void expect_snapshot(struct kunit *test, unsigned int cpu, u64 ns, bool exact)
{
	struct clocksource_hw_snapshot chs = { .hw_cycles = 77, .hw_csid = CSID_X86_KVM_CLK };

	host.cpu = cpu;
	KUNIT_EXPECT_EQ(test, pvc_cs_read_snapshot(&pvc_clocksource, &chs), ns);
	KUNIT_EXPECT_EQ(test, chs.hw_cycles, exact ? host.tsc : 0);
	KUNIT_EXPECT_EQ(test, (int)chs.hw_csid, exact ? CSID_X86_TSC : CSID_GENERIC);
	readers.ended = max(readers.ended, ns);
}

#endif
