// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit suite of pvclock_rh as a whole but for its arithmetic: why it does not load, what it
 * registers if it does, what its files say, and that nothing is left behind. KVM, the
 * kernel's kvm-clock and what can fail in the kernel are played; the clocksource and the
 * directory are real ones, with the least of all ratings.
 */
#include <vrh/log.h>
#include <kunit/test.h>
#include <linux/cc_platform.h>
#include <linux/clocksource.h>
#include <linux/delay.h>
#include <linux/kobject.h>
#include <linux/kvm_para.h>
#include <linux/module.h>
#include <linux/sysfs.h>
#include <asm/tsc.h>

#include "compat.h"
#include "sim_kunit.h"

/* The host, and the kernel between it and us. */
static struct {
	bool kvm;
	bool encrypted;
	u32 leaf;
	u32 features;
	bool kernel_has_page;
	bool cpu_has_page;
	struct pvclock_vcpu_time_info page;
	u64 tsc;
	/* What fails. */
	bool no_directory;
	bool no_files;
	bool refused;
	/* How often it is not let go. */
	unsigned int watched;
} host;

static struct pvclock_vcpu_time_info *host_page(bool there)
{
	return there ? &host.page : NULL;
}

static u64 host_tsc(void)
{
	return host.tsc;
}

#define kvm_para_available()		host.kvm
#define cc_platform_has(attr)		((attr) == CC_ATTR_GUEST_MEM_ENCRYPT && host.encrypted)
#define cpuid_base_hypervisor(sig, n)	(strcmp(sig, KVM_SIGNATURE) || (n) ? 0 : host.leaf)
#define cpuid_eax(n) \
	((n) == (host.leaf | KVM_CPUID_FEATURES) ? host.features : 0)
#define pvclock_get_pvti_cpu0_va()	host_page(host.kernel_has_page)
#define vrh_this_cpu_pvclock()		host_page(host.cpu_has_page)
#define rdtsc_ordered			host_tsc
#define kobject_create_and_add(name, up) \
	(host.no_directory ? NULL : (kobject_create_and_add)(name, up))
#define sysfs_create_group(kobj, group) \
	(host.no_files ? -ENOMEM : (sysfs_create_group)(kobj, group))
#define clocksource_register_hz(cs, hz) \
	(host.refused ? -EINVAL : (clocksource_register_hz)(cs, hz))
#define clocksource_unregister(cs) \
	(host.watched && host.watched-- ? -EBUSY : (clocksource_unregister)(cs))

/* The cases load and unload it; licence and version are the module's own. */
#undef __init
#define __init
#undef __exit
#define __exit
#undef module_init
#define module_init(function)
#undef module_exit
#define module_exit(function)

#include "pvclock/clock_math.c"
#include "pvclock/pages.c"
#include "pvclock/clocksource.c"
#include "pvclock/sysfs.c"
#include "pvclock/main.c"

#define FILES	"sys/kernel/" KBUILD_MODNAME "/"
#define KVM_LEAF	0x40000100
#define START		1000000000ULL

static void write_page(u64 ns, u8 flags)
{
	host.page = (struct pvclock_vcpu_time_info){
		.version = host.page.version + 2,
		.tsc_timestamp = host.tsc,
		.system_time = ns,
		/* A tick is a ns. */
		.tsc_to_system_mul = 1U << 31,
		.tsc_shift = 1,
		.flags = flags,
	};
}

static int load_init(struct kunit *test)
{
	memset(&host, 0, sizeof(host));
	host.kvm = true;
	host.leaf = KVM_LEAF;
	host.features = BIT(KVM_FEATURE_CLOCKSOURCE2) |
			BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT);
	host.kernel_has_page = true;
	host.cpu_has_page = true;
	host.tsc = 5000;
	write_page(START, PVCLOCK_TSC_STABLE_BIT);
	/* With this the core does not choose it. */
	rating = 1;
	enable = true;
	pvc_cs_resume(&pvc_clocksource);
	return 0;
}

static bool registered(void)
{
	return pvc_clocksource.list.next && !list_empty(&pvc_clocksource.list);
}

/* The text of a file, "-" if there is none. */
static const char *file(const char *path, char *text, size_t size)
{
	ssize_t len = sim_test_read(path, text, size);

	if (len == -ENOENT)
		strscpy(text, "-", size);
	return len == -EIO ? "EIO" : text;
}

#define EXPECT_FILE(test, name, is)						\
do {										\
	char _text[32];								\
										\
	KUNIT_EXPECT_STREQ(test, file(FILES name, _text, sizeof(_text)), is);	\
} while (0)

static u64 number(struct kunit *test, const char *path)
{
	char text[32];
	u64 value = 0;

	KUNIT_EXPECT_GT(test, sim_test_read(path, text, sizeof(text)), 0);
	KUNIT_EXPECT_EQ(test, kstrtou64(text, 10, &value), 0);
	return value;
}

static void expect_nothing(struct kunit *test)
{
	KUNIT_EXPECT_FALSE(test, registered());
	EXPECT_FILE(test, "state", "-");
}

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
		load_init(test);
		reasons[i]();
		KUNIT_EXPECT_EQ_MSG(test, pvc_init(), -ENODEV, "%ps", reasons[i]);
		expect_nothing(test);
	}
}

static void what_fails_in_the_kernel_is_undone(struct kunit *test)
{
	host.no_directory = true;
	KUNIT_EXPECT_EQ(test, pvc_init(), -ENOMEM);
	expect_nothing(test);
	host.no_directory = false;
	host.no_files = true;
	KUNIT_EXPECT_EQ(test, pvc_init(), -ENOMEM);
	expect_nothing(test);
	host.no_files = false;
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
	KUNIT_CASE_SLOW(unloading_waits_for_a_clock_that_is_needed),
	{}
};

static struct kunit_suite load_suite = {
	.name = "pvclock_load",
	.suite_init = sim_suite_init,
	.suite_exit = sim_suite_exit,
	.init = load_init,
	.test_cases = load_cases,
};

kunit_test_suite(load_suite);
