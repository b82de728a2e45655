// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit suite of what pvclock_rh finds out about its host, tells, and does about it; and of
 * the host's real time as a PTP clock.
 */
#include "pvclock_guest.h"

/* The TSC goes on by @ticks ns, and the host writes the page: the clock went on by @ns. */
static void pass(u64 ticks, u64 ns, u8 flags)
{
	host.tsc += ticks;
	write_page(host.page.system_time + ns, flags);
}

#define EVENT_LINE \
	"seq=%llu class=%s jump_ns=%lld downtime_ns=%lld stable=%d tsc_khz=%u clock_ns=%llu"

/* Expects the last event to be the @seq-th since the module was loaded first; times in s. */
static void expect_event(struct kunit *test, u64 seq, const char *class, s64 jump, s64 downtime,
			 bool stable, unsigned int khz, u64 clock)
{
	char text[192], is[192];

	snprintf(is, sizeof(is), EVENT_LINE, seq, class, jump * NSEC_PER_SEC,
		 downtime * NSEC_PER_SEC, stable, khz, clock * NSEC_PER_SEC);
	KUNIT_EXPECT_STREQ(test, file(FILES "last_event", text, sizeof(text)), is);
}

static void what_the_host_does_is_told(struct kunit *test)
{
	const u8 stable = PVCLOCK_TSC_STABLE_BIT;
	u64 seq = pvc_events_seq;
	u64 paused;

	migrate_disable();
	KUNIT_ASSERT_EQ(test, pvc_init(), 0);
	KUNIT_ASSERT_NOT_NULL(test, host.ticks);
	paused = number(test, FILES "paused_ns");
	KUNIT_EXPECT_TRUE(test, has_device());
	tick();
	EXPECT_FILE(test, "vdso", "on");
	/* As ever. */
	pass(NSEC_PER_SEC, NSEC_PER_SEC, stable);
	tick();
	KUNIT_EXPECT_EQ(test, pvc_events_seq, seq);
	/* It stood still for 5 s. */
	pass(7ULL * NSEC_PER_SEC, 2ULL * NSEC_PER_SEC, stable);
	host.epoch += 5ULL * NSEC_PER_SEC;
	tick();
	expect_event(test, ++seq, "pause", -5, 5, 1, 1000000, 4);
	KUNIT_EXPECT_EQ(test, number(test, FILES "paused_ns") - paused, 5ULL * NSEC_PER_SEC);
	/* Saved, and loaded after a minute: the page says nothing, but real time does. */
	pass(NSEC_PER_SEC, NSEC_PER_SEC, stable);
	host.epoch += 60ULL * NSEC_PER_SEC;
	pvc_asked = jiffies - 2 * PVC_EPOCH_SPACING;
	tick();
	expect_event(test, ++seq, "restore", 0, 60, 1, 1000000, 5);
	/* The stable bit. */
	pass(NSEC_PER_SEC, NSEC_PER_SEC, 0);
	tick();
	expect_event(test, ++seq, "stable", 0, 0, 0, 1000000, 6);
	EXPECT_FILE(test, "vdso", "off: unstable");
	/* Another frequency. */
	pass(NSEC_PER_SEC, NSEC_PER_SEC, 0);
	host.page.tsc_shift = 0;
	tick();
	expect_event(test, ++seq, "rate", 0, 0, 0, 2000000, 7);
	/* A page that is being written is looked at again. */
	pass(NSEC_PER_SEC, NSEC_PER_SEC, stable);
	host.page.version++;
	tick();
	KUNIT_EXPECT_EQ(test, pvc_events_seq, seq);
	host.page.version++;
	tick();
	KUNIT_EXPECT_EQ(test, number(test, FILES "events_lost"), 0);
	EXPECT_FILE(test, "vdso", "on");
	/* Every answer of the host went where it was asked to. */
	KUNIT_EXPECT_EQ(test, host.wall_address, KERNEL_WALL);
	KUNIT_EXPECT_EQ(test, host.wall_writes % 2, 0);
	KUNIT_EXPECT_GT(test, host.wall_writes, 0);
	pvc_exit();
	expect_nothing(test);
	migrate_enable();
}

/* More than the work can take at once, and the ticks do not wait for it. */
static void a_host_that_does_too_much_is_counted(struct kunit *test)
{
	unsigned long flags;
	unsigned int i;
	u64 lost;

	KUNIT_ASSERT_EQ(test, pvc_init(), 0);
	lost = number(test, FILES "events_lost");
	local_irq_save(flags);
	for (i = 0; i < PVC_FOUND_MAX + 10; i++) {
		pass(NSEC_PER_SEC, NSEC_PER_SEC, i & 1 ? PVCLOCK_TSC_STABLE_BIT : 0);
		host.ticks->notifier_call(host.ticks, 0, &host_timekeeper);
	}
	local_irq_restore(flags);
	irq_work_sync(&pvc_irq_work);
	flush_work(&pvc_work);
	/* The first look finds nothing. */
	KUNIT_EXPECT_EQ(test, number(test, FILES "events_lost") - lost, 9);
	pvc_exit();
	expect_nothing(test);
}

/* Neither a host that has no wall-clock page, nor one that does not answer or answers nonsense. */
static void without_real_time_the_clock_tells_what_it_knows(struct kunit *test)
{
	unsigned int i;
	u64 seq;

	for (i = 0; i < 4; i++) {
		guest_init(test);
		migrate_disable();
		if (i == 0)
			host.features = BIT(KVM_FEATURE_CLOCKSOURCE) |
					BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT);
		host.wall_faults = i == 1;
		host.wall_silent = i == 2;
		if (i == 3)
			host.epoch = 5;
		KUNIT_ASSERT_EQ(test, pvc_init(), 0);
		seq = pvc_events_seq;
		tick();
		pass(7ULL * NSEC_PER_SEC, 2ULL * NSEC_PER_SEC, PVCLOCK_TSC_STABLE_BIT);
		tick();
		expect_event(test, seq + 1, "pause", -5, 5, 1, 1000000, 3);
		pvc_exit();
		migrate_enable();
		expect_nothing(test);
	}
}

/* What is done about it */

static const char *const resync_names[] = { "wall", "wall-step" };

/* The guest was loaded after a minute: nobody has told it. */
static void restored(u64 seconds)
{
	host.epoch += seconds * NSEC_PER_SEC;
	pass(NSEC_PER_SEC, NSEC_PER_SEC, PVCLOCK_TSC_STABLE_BIT);
	host.real += NSEC_PER_SEC;
	pvc_asked = jiffies - 2 * PVC_EPOCH_SPACING;
	tick();
}

static void wall_time_is_set_only_if_wanted(struct kunit *test)
{
	unsigned int i;
	u64 seq, real;

	for (i = PVC_RESYNC_OFF; i <= PVC_RESYNC_STEP; i++) {
		guest_init(test);
		resync = i;
		migrate_disable();
		KUNIT_ASSERT_EQ(test, pvc_init(), 0);
		tick();
		seq = pvc_events_seq;
		restored(60);
		real = EPOCH + START + NSEC_PER_SEC;
		if (i == PVC_RESYNC_OFF) {
			expect_event(test, seq + 1, "restore", 0, 60, true, 1000000, 2);
		} else {
			expect_event(test, seq + 2, resync_names[i - 1], 60, 0, true, 1000000, 2);
			KUNIT_EXPECT_EQ(test, number(test, FILES "last_jump_ns"),
					60 * NSEC_PER_SEC);
		}
		KUNIT_EXPECT_EQ(test, host.sets, i == PVC_RESYNC_STEP);
		KUNIT_EXPECT_EQ(test, host.real,
				i == PVC_RESYNC_STEP ? real + 60 * NSEC_PER_SEC : real);
		KUNIT_EXPECT_EQ(test, number(test, FILES "host_real_offset_ns"),
				i == PVC_RESYNC_STEP ? 0 : 60 * NSEC_PER_SEC);
		pvc_exit();
		migrate_enable();
		expect_nothing(test);
	}
}

static void wall_time_that_is_right_stays(struct kunit *test)
{
	u64 seq;

	migrate_disable();
	resync = PVC_RESYNC_STEP;
	resync_limit_ms = 61000;
	KUNIT_ASSERT_EQ(test, pvc_init(), 0);
	tick();
	seq = pvc_events_seq;
	restored(60);
	expect_event(test, seq + 1, "restore", 0, 60, true, 1000000, 2);
	KUNIT_EXPECT_EQ(test, host.sets, 0);
	/* A kernel that does not take it: then it is told as it is. */
	host.no_set = true;
	restored(60);
	expect_event(test, seq + 3, "wall", 120, 0, true, 1000000, 3);
	pvc_exit();
	migrate_enable();
	expect_nothing(test);
}

/* The host gives the guest a TSC of another frequency. */
static void moved_to(s8 shift, u32 mul)
{
	pass(NSEC_PER_SEC, NSEC_PER_SEC, PVCLOCK_TSC_STABLE_BIT);
	host.page.tsc_shift = shift;
	host.page.tsc_to_system_mul = mul;
	tick();
}

static void a_tsc_that_is_no_clock_is_given_up_only_if_wanted(struct kunit *test)
{
	unsigned int i;
	u64 seq;

	for (i = PVC_GUARD_OFF; i <= PVC_GUARD_FALLBACK; i++) {
		guest_init(test);
		tsc_guard = i;
		migrate_disable();
		KUNIT_ASSERT_EQ(test, pvc_init(), 0);
		tick();
		seq = pvc_events_seq;
		/* No kernel that runs this has found 1 MHz. */
		moved_to(10, 1000U << 22);
		KUNIT_EXPECT_EQ(test, pvc_events_seq - seq, i == PVC_GUARD_OFF ? 1 : 2);
		KUNIT_EXPECT_EQ(test, host.tsc_unstable, i == PVC_GUARD_FALLBACK);
		pvc_exit();
		migrate_enable();
		expect_nothing(test);
	}
}

static void a_tsc_of_nearly_the_same_frequency_is_one(struct kunit *test)
{
	KUNIT_EXPECT_FALSE(test, pvc_tsc_wrong(tsc_khz));
	KUNIT_EXPECT_FALSE(test, pvc_tsc_wrong(tsc_khz + tsc_khz / 2001));
	KUNIT_EXPECT_FALSE(test, pvc_tsc_wrong(tsc_khz - tsc_khz / 2001));
	KUNIT_EXPECT_TRUE(test, pvc_tsc_wrong(tsc_khz + tsc_khz / 1990));
	KUNIT_EXPECT_TRUE(test, pvc_tsc_wrong(tsc_khz - tsc_khz / 1990));
	KUNIT_EXPECT_TRUE(test, pvc_tsc_wrong(0));
	KUNIT_EXPECT_TRUE(test, pvc_tsc_wrong(U32_MAX));
}

static void a_tsc_that_goes_back_is_no_clock(struct kunit *test)
{
	u64 seq;

	migrate_disable();
	tsc_guard = PVC_GUARD_FALLBACK;
	host.tsc = 10ULL * NSEC_PER_SEC;
	write_page(START, PVCLOCK_TSC_STABLE_BIT);
	KUNIT_ASSERT_EQ(test, pvc_init(), 0);
	tick();
	seq = pvc_events_seq;
	host.tsc = NSEC_PER_SEC;
	write_page(2 * START, PVCLOCK_TSC_STABLE_BIT);
	tick();
	KUNIT_EXPECT_EQ(test, pvc_events_seq - seq, 2);
	KUNIT_EXPECT_TRUE(test, host.tsc_unstable);
	/* Nobody needs to hear it twice. */
	moved_to(0, 1U << 31);
	KUNIT_EXPECT_EQ(test, pvc_events_seq - seq, 3);
	pvc_exit();
	migrate_enable();
	expect_nothing(test);
}

/* Other modules */

static unsigned int heard;

static int hear(struct notifier_block *nb, unsigned long class, void *data)
{
	const struct pvclock_rh_event *event = data;

	heard += class == PVCLOCK_RH_PAUSE && event->class == class &&
		 event->downtime_ns == 5 * NSEC_PER_SEC;
	return NOTIFY_DONE;
}

static struct notifier_block ear = { .notifier_call = hear };

static void other_modules_are_told(struct kunit *test)
{
	u64 now;

	migrate_disable();
	heard = 0;
	KUNIT_ASSERT_EQ(test, pvc_init(), 0);
	tick();
	KUNIT_EXPECT_EQ(test, pvclock_rh_register_event(&ear), 0);
	pass(6ULL * NSEC_PER_SEC, NSEC_PER_SEC, PVCLOCK_TSC_STABLE_BIT);
	host.epoch += 5ULL * NSEC_PER_SEC;
	tick();
	KUNIT_EXPECT_EQ(test, heard, 1);
	KUNIT_EXPECT_EQ(test, pvclock_rh_unregister_event(&ear), 0);
	pass(6ULL * NSEC_PER_SEC, NSEC_PER_SEC, PVCLOCK_TSC_STABLE_BIT);
	host.epoch += 5ULL * NSEC_PER_SEC;
	tick();
	KUNIT_EXPECT_EQ(test, heard, 1);
	KUNIT_EXPECT_EQ(test, pvclock_rh_now(), START + 2 * NSEC_PER_SEC);
	KUNIT_EXPECT_EQ(test, pvclock_rh_host_real(&now), 0);
	KUNIT_EXPECT_EQ(test, now, EPOCH + START + 12 * NSEC_PER_SEC);
	pvc_exit();
	migrate_enable();
	expect_nothing(test);
}

/* The two ways to ask for real time */

/* The host answers for the TSC as it is, with @off more than its page would say. */
static void pair(struct kunit *test, u64 off)
{
	struct pvc_reading r;
	u64 real;

	KUNIT_ASSERT_EQ(test, pvc_page_sample(&r), 0);
	real = EPOCH + off + r.ns;
	host.pairs = true;
	host.pair.tsc = host.tsc;
	host.pair.sec = div_u64(real, NSEC_PER_SEC);
	host.pair.nsec = real - host.pair.sec * NSEC_PER_SEC;
}

static void the_host_pairs_real_time_with_the_tsc(struct kunit *test)
{
	u64 epoch;

	KUNIT_ASSERT_EQ(test, pvc_init(), 0);
	pair(test, 777);
	KUNIT_EXPECT_EQ(test, pvc_wall_epoch(&epoch), 0);
	KUNIT_EXPECT_EQ(test, epoch, EPOCH + 777);
	/* It need not be asked when it answers. */
	host.tsc += 1000;
	KUNIT_EXPECT_EQ(test, pvc_wall_epoch(&epoch), 0);
	KUNIT_EXPECT_EQ(test, epoch, EPOCH);
	pair(test, 777);
	wall_source = PVC_WALL_PAGE;
	KUNIT_EXPECT_EQ(test, pvc_wall_epoch(&epoch), 0);
	KUNIT_EXPECT_EQ(test, epoch, EPOCH);
	wall_source = PVC_WALL_HYPERCALL;
	KUNIT_EXPECT_EQ(test, pvc_wall_epoch(&epoch), 0);
	KUNIT_EXPECT_EQ(test, epoch, EPOCH + 777);
	host.pairs = false;
	KUNIT_EXPECT_EQ(test, pvc_wall_epoch(&epoch), -EOPNOTSUPP);
	pvc_exit();
	expect_nothing(test);
}

static void a_pair_that_makes_no_sense_is_none(struct kunit *test)
{
	struct kvm_clock_pairing right;
	unsigned int i;
	u64 epoch;

	host.tsc = 10ULL * NSEC_PER_SEC;
	write_page(START, PVCLOCK_TSC_STABLE_BIT);
	KUNIT_ASSERT_EQ(test, pvc_init(), 0);
	pair(test, 0);
	right = host.pair;
	wall_source = PVC_WALL_HYPERCALL;
	for (i = 0; i < 9; i++) {
		host.pair = right;
		switch (i) {
		case 0:
			host.pair.tsc--;
			break;
		case 1:
			host.pair.tsc++;
			break;
		case 2:
			host.pair.tsc = 0;
			break;
		case 3:
			host.pair.nsec = NSEC_PER_SEC;
			break;
		case 4:
			host.pair.nsec = -1;
			break;
		case 5:
			host.pair.sec = 0;
			break;
		case 6:
			host.pair.sec = -1;
			break;
		case 7:
			host.pair.sec = S64_MAX;
			break;
		case 8:
			/* Real time before the clock began. */
			host.page.system_time = U64_MAX >> 1;
			break;
		}
		KUNIT_EXPECT_EQ_MSG(test, pvc_wall_epoch(&epoch), -EIO, "%u", i);
	}
	pvc_exit();
	expect_nothing(test);
}

/* The PTP clock */

static void real_time_is_a_ptp_clock(struct kunit *test)
{
	struct timespec64 ts = { };
	char is[16];

	migrate_disable();
	KUNIT_ASSERT_EQ(test, pvc_init(), 0);
	snprintf(is, sizeof(is), "ptp%d", pvc_ptp_number());
	EXPECT_FILE(test, "ptp", is);
	KUNIT_EXPECT_EQ(test, pvc_ptp_gettimex(&pvc_ptp_info, &ts, NULL), 0);
	KUNIT_EXPECT_EQ(test, timespec64_to_ns(&ts), EPOCH + START);
	host.tsc += 12345;
	KUNIT_EXPECT_EQ(test, pvc_ptp_gettimex(&pvc_ptp_info, &ts, NULL), 0);
	KUNIT_EXPECT_EQ(test, timespec64_to_ns(&ts), EPOCH + START + 12345);
	host.page.version |= 1;
	KUNIT_EXPECT_EQ(test, pvc_ptp_gettimex(&pvc_ptp_info, &ts, NULL), -EIO);
	host.page.version++;
	host.wall_faults = true;
	KUNIT_EXPECT_EQ(test, pvc_ptp_gettimex(&pvc_ptp_info, &ts, NULL), -EIO);
	/* It is the host's. */
	KUNIT_EXPECT_EQ(test, pvc_ptp_info.settime64(&pvc_ptp_info, &ts), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, pvc_ptp_info.adjtime(&pvc_ptp_info, 1), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, pvc_ptp_info.adjfine(&pvc_ptp_info, 1), -EOPNOTSUPP);
	KUNIT_EXPECT_EQ(test, pvc_ptp_info.enable(&pvc_ptp_info, NULL, 1), -EOPNOTSUPP);
	pvc_exit();
	migrate_enable();
	expect_nothing(test);
}

static void both_times_are_of_one_instant(struct kunit *test)
{
	struct system_device_crosststamp cross;
	struct clocksource others[] = { { .name = "tsc" }, { .name = "kvm-clock" } };
	unsigned int i;

	migrate_disable();
	KUNIT_ASSERT_EQ(test, pvc_init(), 0);
	tick();
	/* The guest's clocksource is another. */
	KUNIT_EXPECT_EQ(test, pvc_ptp_cross(&pvc_ptp_info, &cross), -EOPNOTSUPP);
	host.tsc += 12345;
	for (i = 0; i < 3; i++) {
		host_timekeeper.tkr_mono.clock = i < 2 ? &others[i] : &pvc_clocksource;
		tick();
		/* The core refuses a counter for once, and no more. */
		host.cross_refusals = i;
		KUNIT_EXPECT_EQ(test, pvc_ptp_cross(&pvc_ptp_info, &cross), 0);
		KUNIT_EXPECT_EQ(test, ktime_to_ns(cross.device), EPOCH + START + 12345);
		KUNIT_EXPECT_EQ(test, host.counter.cycles, i ? START + 12345 : host.tsc);
		KUNIT_EXPECT_EQ(test, host.counter.cs_id, i ? CSID_X86_KVM_CLK : CSID_X86_TSC);
	}
	host.cross_refusals = U32_MAX;
	KUNIT_EXPECT_EQ(test, pvc_ptp_cross(&pvc_ptp_info, &cross), -EINVAL);
	host.cross_refusals = 0;
	host.page.version |= 1;
	KUNIT_EXPECT_EQ(test, pvc_ptp_cross(&pvc_ptp_info, &cross), -EIO);
	host.page.version++;
	host.wall_faults = true;
	KUNIT_EXPECT_EQ(test, pvc_ptp_cross(&pvc_ptp_info, &cross), -EIO);
	host_timekeeper.tkr_mono.clock = &host_clocksource;
	tick();
	pvc_exit();
	migrate_enable();
	expect_nothing(test);
}

static void without_real_time_there_is_no_ptp_clock(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < 3; i++) {
		guest_init(test);
		host.wall_faults = i == 0;
		ptp = i != 1;
		host.no_ptp = i == 2;
		KUNIT_ASSERT_EQ(test, pvc_init(), i == 2 ? -ENOMEM : 0);
		if (i < 2) {
			EXPECT_FILE(test, "ptp", "none");
			pvc_exit();
		}
		expect_nothing(test);
	}
}

static struct kunit_case told_cases[] = {
	KUNIT_CASE(what_the_host_does_is_told),
	KUNIT_CASE(a_host_that_does_too_much_is_counted),
	KUNIT_CASE(without_real_time_the_clock_tells_what_it_knows),
	KUNIT_CASE(wall_time_is_set_only_if_wanted),
	KUNIT_CASE(wall_time_that_is_right_stays),
	KUNIT_CASE(a_tsc_that_is_no_clock_is_given_up_only_if_wanted),
	KUNIT_CASE(a_tsc_of_nearly_the_same_frequency_is_one),
	KUNIT_CASE(a_tsc_that_goes_back_is_no_clock),
	KUNIT_CASE(other_modules_are_told),
	KUNIT_CASE(the_host_pairs_real_time_with_the_tsc),
	KUNIT_CASE(a_pair_that_makes_no_sense_is_none),
	KUNIT_CASE(real_time_is_a_ptp_clock),
	KUNIT_CASE(both_times_are_of_one_instant),
	KUNIT_CASE(without_real_time_there_is_no_ptp_clock),
	{}
};

static struct kunit_suite told_suite = {
	.name = "pvclock_told",
	.suite_init = sim_suite_init,
	.suite_exit = sim_suite_exit,
	.init = guest_init,
	.test_cases = told_cases,
};

kunit_test_suite(told_suite);
