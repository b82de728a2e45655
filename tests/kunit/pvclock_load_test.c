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
#include <linux/irqflags.h>
#include <linux/kvm_para.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/pvclock_gtod.h>
#include <linux/sysfs.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>
#include <asm/io.h>
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
	union {
		struct pvclock_vsyscall_time_info slot;
		struct pvclock_vcpu_time_info page;
	};
	u64 tsc;
	/* What programs have where their vDSO looks for the page; it may be something else. */
	const void *programs;
	/* Its CLOCK_REALTIME at the start of the clock, and where it was asked to write it last. */
	u64 epoch;
	u64 wall_address;
	unsigned int wall_writes;
	bool wall_faults;
	bool wall_silent;
	/* Who looks at each tick. */
	struct notifier_block *ticks;
	/* What fails. */
	bool no_wall;
	bool no_directory;
	bool no_files;
	bool no_device;
	bool refused;
	bool no_work;
	/* How often it is not let go. */
	unsigned int watched;
} host;

static struct pvclock_vsyscall_time_info *host_slot(void)
{
	return host.kernel_has_page ? &host.slot : NULL;
}

static struct pvclock_vcpu_time_info *host_page(void)
{
	return host.cpu_has_page ? &host.page : NULL;
}

/* Where the kernel has its own wall-clock page; nobody of ours writes there. */
#define KERNEL_WALL 0x1234567000ULL

static int host_read_wall(u32 msr, u64 *address)
{
	if (msr != MSR_KVM_WALL_CLOCK_NEW || host.wall_faults)
		return -EIO;
	*address = host.wall_address;
	return 0;
}

static int host_write_wall(u32 msr, u64 address)
{
	struct pvclock_wall_clock *page;

	if (msr != MSR_KVM_WALL_CLOCK_NEW || host.wall_faults)
		return -EIO;
	host.wall_address = address;
	host.wall_writes++;
	if (address == KERNEL_WALL || host.wall_silent)
		return 0;
	page = phys_to_virt(address);
	page->version += 2;
	page->sec = div_u64_rem(host.epoch, NSEC_PER_SEC, &page->nsec);
	return 0;
}

static unsigned long host_copy(void *to, const void *from, unsigned long n)
{
	if (!host.programs || from != host.programs)
		return n;
	memcpy(to, from, n);
	return 0;
}

static void *host_alloc(size_t size, gfp_t flags)
{
	return host.no_wall ? NULL : kmalloc(size, flags | __GFP_ZERO);
}

/* Of the kernel; the module's own would be another macro in each kernel. */
#define host_queue system_freezable_wq

static int host_watch(struct notifier_block *nb)
{
	host.ticks = nb;
	return 0;
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
#define pvclock_get_pvti_cpu0_va()	host_slot()
#define vrh_this_cpu_pvclock()		host_page()
#define vrh_vdso_pvclock_page()		((unsigned long)host.programs)
#undef copy_from_user
#define copy_from_user(to, from, n)	host_copy(to, (__force const void *)(from), n)
#undef rdmsrq_safe
#define rdmsrq_safe(msr, value)		host_read_wall(msr, value)
#undef wrmsr_safe
#define wrmsr_safe(msr, low, high)	host_write_wall(msr, (u64)(high) << 32 | (low))
#define pvclock_gtod_register_notifier(nb)	host_watch(nb)
#define pvclock_gtod_unregister_notifier(nb)	host_watch(NULL)
#define rdtsc_ordered			host_tsc
#undef kzalloc
#define kzalloc(size, flags)		host_alloc(size, flags)
#undef alloc_workqueue
#define alloc_workqueue(fmt, flags, max, name) \
	(host.no_work ? NULL : host_queue)
#undef destroy_workqueue
#define destroy_workqueue(wq)		flush_work(&pvc_work)
#define misc_register(dev)		(host.no_device ? -EBUSY : (misc_register)(dev))
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
#include "pvclock/event_math.c"
#include "pvclock/pages.c"
#include "pvclock/clocksource.c"
#include "pvclock/wall.c"
#include "pvclock/events_dev.c"
#include "pvclock/events.c"
#include "pvclock/sysfs.c"
#include "pvclock/main.c"

#define DEVICE	"dev/" KBUILD_MODNAME
#define FILES	"sys/kernel/" KBUILD_MODNAME "/"
#define KVM_LEAF	0x40000100
#define START		1000000000ULL
#define EPOCH		(1700000000ULL * NSEC_PER_SEC + 5)

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

/* As after modprobe; and a page belongs to a CPU. */
static void forget_ticks(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		*per_cpu_ptr(&pvc_seen, cpu) = (struct pvc_seen){ };
	pvc_latest = (struct pvc_reading){ };
	pvc_jumped = 0;
	pvc_unasked = false;
	pvc_epoch_known = false;
	pvc_clocksource.vdso_clock_mode = VDSO_CLOCKMODE_NONE;
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
	host.programs = &host.page;
	host.epoch = EPOCH;
	host.wall_address = KERNEL_WALL;
	write_page(START, PVCLOCK_TSC_STABLE_BIT);
	/* With this the core does not choose it. */
	rating = 1;
	enable = true;
	vdso = true;
	pvc_cs_resume(&pvc_clocksource);
	forget_ticks();
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
	char _text[192];							\
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

static bool has_device(void)
{
	struct file *file = sim_test_open(DEVICE, O_RDONLY);

	if (IS_ERR(file))
		return false;
	sim_test_close(file);
	return true;
}

static void expect_nothing(struct kunit *test)
{
	KUNIT_EXPECT_FALSE(test, registered());
	EXPECT_FILE(test, "state", "-");
	KUNIT_EXPECT_FALSE(test, has_device());
	KUNIT_EXPECT_NULL(test, host.ticks);
	KUNIT_EXPECT_NULL(test, pvc_wall_page);
	KUNIT_EXPECT_EQ(test, host.wall_address, KERNEL_WALL);
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

/* Events */

/* A tick of the timekeeper, on this CPU. */
static void tick(void)
{
	unsigned long flags;

	local_irq_save(flags);
	host.ticks->notifier_call(host.ticks, 0, NULL);
	local_irq_restore(flags);
	irq_work_sync(&pvc_irq_work);
	flush_work(&pvc_work);
}

/* The TSC goes on by @ticks ns, and the host writes the page: the clock went on by @ns. */
static void pass(u64 ticks, u64 ns, u8 flags)
{
	host.tsc += ticks;
	write_page(host.page.system_time + ns, flags);
}

/* Expects the last event to be the @seq-th since the module was loaded first. */
#define EXPECT_EVENT(test, seq, rest)						\
do {										\
	char _is[192];								\
										\
	snprintf(_is, sizeof(_is), "seq=%llu %s", seq, rest);			\
	EXPECT_FILE(test, "last_event", _is);					\
} while (0)

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
	EXPECT_EVENT(test, ++seq, "class=pause jump_ns=-5000000000 downtime_ns=5000000000 stable=1 tsc_khz=1000000 clock_ns=4000000000");
	KUNIT_EXPECT_EQ(test, number(test, FILES "paused_ns") - paused, 5ULL * NSEC_PER_SEC);
	/* Saved, and loaded after a minute: the page says nothing, but real time does. */
	pass(NSEC_PER_SEC, NSEC_PER_SEC, stable);
	host.epoch += 60ULL * NSEC_PER_SEC;
	pvc_asked = jiffies - 2 * PVC_EPOCH_SPACING;
	tick();
	EXPECT_EVENT(test, ++seq, "class=restore jump_ns=0 downtime_ns=60000000000 stable=1 tsc_khz=1000000 clock_ns=5000000000");
	/* The stable bit. */
	pass(NSEC_PER_SEC, NSEC_PER_SEC, 0);
	tick();
	EXPECT_EVENT(test, ++seq, "class=stable jump_ns=0 downtime_ns=0 stable=0 tsc_khz=1000000 clock_ns=6000000000");
	EXPECT_FILE(test, "vdso", "off: unstable");
	/* Another frequency. */
	pass(NSEC_PER_SEC, NSEC_PER_SEC, 0);
	host.page.tsc_shift = 0;
	tick();
	EXPECT_EVENT(test, ++seq, "class=rate jump_ns=0 downtime_ns=0 stable=0 tsc_khz=2000000 clock_ns=7000000000");
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
		host.ticks->notifier_call(host.ticks, 0, NULL);
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
		load_init(test);
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
		EXPECT_EVENT(test, seq + 1, "class=pause jump_ns=-5000000000 downtime_ns=5000000000 stable=1 tsc_khz=1000000 clock_ns=3000000000");
		pvc_exit();
		migrate_enable();
		expect_nothing(test);
	}
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
	vdso = false;
	KUNIT_ASSERT_EQ(test, pvc_init(), 0);
	tick();
	EXPECT_FILE(test, "vdso", "off: refused");
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
	KUNIT_CASE(what_the_host_does_is_told),
	KUNIT_CASE(a_host_that_does_too_much_is_counted),
	KUNIT_CASE(without_real_time_the_clock_tells_what_it_knows),
	KUNIT_CASE(programs_read_the_page_only_if_they_have_it),
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
