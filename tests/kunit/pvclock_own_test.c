// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit suite of pvclock_rh where the kernel runs without kvm-clock: pages of its own, which
 * the host writes while it has their addresses, and never later.
 */
#include <linux/cpu.h>
#include <linux/reboot.h>

#include "pvclock_guest.h"

#define SOMEBODYS 0x7654000001ULL

static int own_init(struct kunit *test)
{
	guest_init(test);
	host.kernel_has_page = false;
	host.cpu_has_page = false;
	host.wall_address = 0;
	host.wall_before = 0;
	return 0;
}

/* What the host has to know of a CPU. */
static u64 address_of(unsigned int cpu)
{
	return virt_to_phys(&pvc_own_slots[cpu]) | 1;
}

/* How many CPUs' pages the host has. */
static unsigned int given(void)
{
	unsigned int cpu, nr = 0;

	for (cpu = 0; cpu < NR_CPUS_PLAYED; cpu++)
		nr += host.time_address[cpu] & 1;
	return nr;
}

static void expect_none_given(struct kunit *test)
{
	expect_nothing(test);
	KUNIT_EXPECT_EQ(test, given(), 0);
	KUNIT_EXPECT_NULL(test, pvc_own_slots);
	KUNIT_EXPECT_FALSE(test, pvc_pages_own());
}

static void each_cpu_has_a_page(struct kunit *test)
{
	unsigned int cpu;

	KUNIT_ASSERT_EQ(test, pvc_init(), 0);
	EXPECT_FILE(test, "state", "own");
	EXPECT_FILE(test, "stable", "1");
	EXPECT_FILE(test, "vdso", "off: refused");
	KUNIT_EXPECT_EQ(test, given(), num_online_cpus());
	for_each_online_cpu(cpu) {
		KUNIT_EXPECT_EQ(test, host.time_address[cpu], address_of(cpu));
		/* In one page, or the host refuses it. */
		KUNIT_EXPECT_EQ(test, (host.time_address[cpu] - 1) % 64, 0);
		KUNIT_EXPECT_PTR_EQ(test, pvc_own_of(cpu), &pvc_own_slots[cpu].page);
		KUNIT_EXPECT_EQ(test, pvc_page_version_of(cpu), 2);
	}
	KUNIT_EXPECT_EQ(test, number(test, FILES "cpu0/version"), 2);
	/* It is looked at like the kernel's. */
	tick();
	KUNIT_EXPECT_EQ(test, number(test, FILES "paused_ns"), 0);
	host.tsc += 10;
	KUNIT_EXPECT_EQ(test, pvc_cs_read(&pvc_clocksource), START + 10);
	pvc_exit();
	expect_none_given(test);
}

/* Nothing switches by itself, and it watches over nobody. */
static void the_rating_is_less_than_others(struct kunit *test)
{
	rating = 0;
	/* The core would take it for one that can be chosen, and the test goes on. */
	host.refused = true;
	KUNIT_EXPECT_EQ(test, pvc_init(), -EINVAL);
	KUNIT_EXPECT_EQ(test, pvc_clocksource.rating, PVC_RATING_OWN);
	expect_none_given(test);
	guest_init(test);
	rating = 0;
	host.refused = true;
	KUNIT_EXPECT_EQ(test, pvc_init(), -EINVAL);
	KUNIT_EXPECT_EQ(test, pvc_clocksource.rating, PVC_RATING_SHARED);
	expect_none_given(test);
}

static void there_are_never_both(struct kunit *test)
{
	guest_init(test);
	mode = PVC_MODE_OWN;
	KUNIT_EXPECT_EQ(test, pvc_init(), -EBUSY);
	expect_none_given(test);
	own_init(test);
	mode = PVC_MODE_SHARED;
	KUNIT_EXPECT_EQ(test, pvc_init(), -ENODEV);
	expect_none_given(test);
	own_init(test);
	host.features = BIT(KVM_FEATURE_CLOCKSOURCE);
	KUNIT_EXPECT_EQ(test, pvc_init(), -ENODEV);
	expect_none_given(test);
}

/* SeaBIOS leaves one of its own registered. Nobody reads that any more. */
static void a_page_of_the_firmware_is_forgotten(struct kunit *test)
{
	unsigned int cpu = num_online_cpus() - 1;

	host.time_address[cpu] = SOMEBODYS;
	KUNIT_ASSERT_EQ(test, pvc_init(), 0);
	KUNIT_EXPECT_EQ(test, host.time_address[cpu], address_of(cpu));
	pvc_exit();
	expect_none_given(test);
}

static void what_fails_is_undone(struct kunit *test)
{
	host.no_pages = true;
	KUNIT_EXPECT_EQ(test, pvc_init(), -ENOMEM);
	expect_none_given(test);
	own_init(test);
	host.no_cpuhp = true;
	KUNIT_EXPECT_EQ(test, pvc_init(), -ENOSPC);
	expect_none_given(test);
	own_init(test);
	host.time_faults = true;
	KUNIT_EXPECT_EQ(test, pvc_init(), -EIO);
	expect_none_given(test);
	/* It takes the address, and does nothing with it. */
	own_init(test);
	host.time_silent = true;
	KUNIT_EXPECT_EQ(test, pvc_init(), -ENODEV);
	expect_none_given(test);
	own_init(test);
	host.page.tsc_shift = 33;
	KUNIT_EXPECT_EQ(test, pvc_init(), -ENODEV);
	expect_none_given(test);
	own_init(test);
	host.no_work = true;
	KUNIT_EXPECT_EQ(test, pvc_init(), -ENOMEM);
	expect_none_given(test);
	own_init(test);
	KUNIT_ASSERT_EQ(test, pvc_init(), 0);
	pvc_exit();
	expect_none_given(test);
}

static void a_cpu_that_goes_gives_its_page_back(struct kunit *test)
{
	const struct pvclock_vcpu_time_info *first;
	unsigned int cpu = nr_cpu_ids - 1;

	if (num_online_cpus() < 2 || !cpu_online(cpu))
		kunit_skip(test, "there is one CPU");
	KUNIT_ASSERT_EQ(test, pvc_init(), 0);
	first = pvc_own_of(0);
	KUNIT_ASSERT_EQ(test, remove_cpu(cpu), 0);
	KUNIT_EXPECT_EQ(test, host.time_address[cpu], 0);
	KUNIT_EXPECT_NULL(test, pvc_own_of(cpu));
	EXPECT_FILE(test, "state", "own");
	KUNIT_ASSERT_EQ(test, add_cpu(cpu), 0);
	KUNIT_EXPECT_EQ(test, host.time_address[cpu], address_of(cpu));
	KUNIT_EXPECT_PTR_EQ(test, pvc_own_of(0), first);
	/* Away when the module goes: nothing of it is left with the host. */
	KUNIT_ASSERT_EQ(test, remove_cpu(cpu), 0);
	pvc_exit();
	expect_none_given(test);
	KUNIT_EXPECT_EQ(test, add_cpu(cpu), 0);
	expect_none_given(test);
}

/* Who has no page reads that of another CPU, as long as there is one. */
static void without_a_page_another_is_read(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, pvc_init(), 0);
	migrate_disable();
	KUNIT_EXPECT_PTR_EQ(test, pvc_own_this_cpu(), pvc_own_of(smp_processor_id()));
	this_cpu_write(pvc_own_page, NULL);
	KUNIT_EXPECT_PTR_EQ(test, pvc_own_this_cpu(), pvc_own_other);
	KUNIT_EXPECT_EQ(test, pvc_cs_read(&pvc_clocksource), START);
	this_cpu_write(pvc_own_page, &pvc_own_slots[smp_processor_id()].page);
	migrate_enable();
	pvc_exit();
	KUNIT_EXPECT_NULL(test, pvc_own_other);
	expect_none_given(test);
}

static void the_next_kernel_is_not_written_into(struct kunit *test)
{
	unsigned int cpu = nr_cpu_ids - 1;

	KUNIT_ASSERT_EQ(test, pvc_init(), 0);
	pvc_own_reboot(NULL, SYS_RESTART, NULL);
	KUNIT_EXPECT_EQ(test, given(), 0);
	/* And the clock goes on until then. */
	host.tsc += 1000;
	KUNIT_EXPECT_EQ(test, pvc_cs_read(&pvc_clocksource), START + 1000);
	/* Who comes now is too late. */
	pvc_own_resume();
	if (num_online_cpus() > 1 && cpu_online(cpu)) {
		KUNIT_EXPECT_EQ(test, remove_cpu(cpu), 0);
		KUNIT_EXPECT_EQ(test, add_cpu(cpu), 0);
	}
	KUNIT_EXPECT_EQ(test, given(), 0);
	pvc_exit();
	expect_none_given(test);
}

static void a_suspend_is_survived(struct kunit *test)
{
	unsigned int cpu;
	u64 address;

	KUNIT_ASSERT_EQ(test, pvc_init(), 0);
	migrate_disable();
	cpu = smp_processor_id();
	address = host.time_address[cpu];
	KUNIT_EXPECT_EQ(test, pvc_own_suspend(), 0);
	KUNIT_EXPECT_EQ(test, host.time_address[cpu], 0);
	pvc_cs_resume(&pvc_clocksource);
	KUNIT_EXPECT_EQ(test, host.time_address[cpu], address);
	/* A kernel that loaded this one's image has left its own there. */
	host.time_address[cpu] = SOMEBODYS;
	pvc_cs_resume(&pvc_clocksource);
	KUNIT_EXPECT_EQ(test, host.time_address[cpu], address);
	/* Twice. */
	pvc_own_resume();
	KUNIT_EXPECT_EQ(test, host.time_address[cpu], address);
	migrate_enable();
	pvc_exit();
	expect_none_given(test);
	/* Without pages it has nothing to do. */
	pvc_own_resume();
	expect_none_given(test);
}

/* Rather lost than written to by the host. */
static void memory_that_the_host_keeps_stays(struct kunit *test)
{
	struct pvc_own_slot *slots;

	KUNIT_ASSERT_EQ(test, pvc_init(), 0);
	slots = pvc_own_slots;
	pvc_own_stuck = true;
	pvc_exit();
	expect_none_given(test);
	free_pages_exact(slots, pvc_own_size);
}

static struct kunit_case own_cases[] = {
	KUNIT_CASE(each_cpu_has_a_page),
	KUNIT_CASE(the_rating_is_less_than_others),
	KUNIT_CASE(there_are_never_both),
	KUNIT_CASE(a_page_of_the_firmware_is_forgotten),
	KUNIT_CASE(what_fails_is_undone),
	KUNIT_CASE(a_cpu_that_goes_gives_its_page_back),
	KUNIT_CASE(without_a_page_another_is_read),
	KUNIT_CASE(the_next_kernel_is_not_written_into),
	KUNIT_CASE(a_suspend_is_survived),
	KUNIT_CASE(memory_that_the_host_keeps_stays),
	{}
};

static struct kunit_suite own_suite = {
	.name = "pvclock_own",
	.suite_init = sim_suite_init,
	.suite_exit = sim_suite_exit,
	.init = own_init,
	.test_cases = own_cases,
};

kunit_test_suite(own_suite);
