/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * pvclock_rh as a whole but for its arithmetic, in a suite. KVM, the kernel's kvm-clock and
 * what can fail in the kernel are played; the clocksources, the devices and the directory
 * are real ones, with the least of all ratings.
 */
#ifndef VRH_PVCLOCK_GUEST_H
#define VRH_PVCLOCK_GUEST_H

#include <vrh/log.h>
#include <kunit/test.h>
#include <linux/cc_platform.h>
#include <linux/clocksource.h>
#include <linux/cpuhotplug.h>
#include <linux/delay.h>
#include <linux/kobject.h>
#include <linux/irqflags.h>
#include <linux/kvm_para.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/ptp_clock_kernel.h>
#include <linux/pvclock_gtod.h>
#include <linux/sysfs.h>
#include <linux/timekeeper_internal.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>
#include <asm/io.h>
#include <asm/tsc.h>

#include "compat.h"
#include "sim_kunit.h"

#define NR_CPUS_PLAYED 64

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
	/* What it has to be when nobody asks. */
	u64 wall_before;
	unsigned int wall_writes;
	bool wall_faults;
	bool wall_silent;
	/* It pairs real time with the TSC; with what it answers. */
	bool pairs;
	struct kvm_clock_pairing pair;
	/* Addresses of CPUs' pages that it was given, and what is in those. */
	u64 time_address[NR_CPUS_PLAYED];
	bool time_faults;
	bool time_silent;
	/* The guest's real time, ns; how often it was set; and the kernel's opinion of the TSC. */
	u64 real;
	unsigned int sets;
	bool tsc_unstable;
	/* The core's refusals of a cross timestamp, and what the counter was in the last one. */
	unsigned int cross_refusals;
	struct system_counterval_t counter;
	/* Who looks at each tick. */
	struct notifier_block *ticks;
	/* What fails. */
	bool no_wall;
	bool no_directory;
	bool no_files;
	bool no_device;
	bool refused;
	bool no_work;
	bool no_pages;
	bool no_cpuhp;
	bool no_ptp;
	bool no_set;
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

/* What it was told on this CPU. */
static u64 *host_time(void)
{
	return &host.time_address[raw_smp_processor_id() % NR_CPUS_PLAYED];
}

static int host_read_msr(u32 msr, u64 *value)
{
	if (msr == MSR_KVM_SYSTEM_TIME_NEW && !host.time_faults)
		*value = *host_time();
	else if (msr == MSR_KVM_WALL_CLOCK_NEW && !host.wall_faults)
		*value = host.wall_address;
	else
		return -EIO;
	return 0;
}

/* Writes a CPU's page: as it writes the kernel's. */
static void host_write_time(u64 address)
{
	struct pvclock_vcpu_time_info *page = phys_to_virt(address & ~1ULL);
	u32 version = page->version;

	if (!(address & 1) || host.time_silent)
		return;
	*page = host.page;
	page->version = version + 2;
}

static int host_write_msr(u32 msr, u64 address)
{
	struct pvclock_wall_clock *page;

	if (msr == MSR_KVM_SYSTEM_TIME_NEW && !host.time_faults) {
		*host_time() = address;
		host_write_time(address);
		return 0;
	}
	if (msr != MSR_KVM_WALL_CLOCK_NEW || host.wall_faults)
		return -EIO;
	host.wall_address = address;
	host.wall_writes++;
	if (!address || address == KERNEL_WALL || host.wall_silent)
		return 0;
	page = phys_to_virt(address);
	page->version += 2;
	page->sec = div_u64_rem(host.epoch, NSEC_PER_SEC, &page->nsec);
	return 0;
}

static long host_hypercall(unsigned int nr, u64 address, unsigned long type)
{
	if (nr != KVM_HC_CLOCK_PAIRING || type != KVM_CLOCK_PAIRING_WALLCLOCK)
		return -KVM_ENOSYS;
	if (!host.pairs)
		return -KVM_EOPNOTSUPP;
	*(struct kvm_clock_pairing *)phys_to_virt(address) = host.pair;
	return 0;
}

static int host_set_real(const struct timespec64 *ts)
{
	if (host.no_set)
		return -EINVAL;
	host.real = timespec64_to_ns(ts);
	host.sets++;
	return 0;
}

static int host_cross(int (*get)(ktime_t *device, struct system_counterval_t *counter, void *ctx),
		      void *ctx, struct system_time_snapshot *history,
		      struct system_device_crosststamp *cross)
{
	int err = get(&cross->device, &host.counter, ctx);

	if (!err && host.cross_refusals) {
		host.cross_refusals--;
		return -EINVAL;
	}
	return err;
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

static struct workqueue_struct *host_alloc_queue(const char *fmt, unsigned int flags, int max, ...)
{
	return host.no_work ? NULL : host_queue;
}

static void host_end_queue(struct workqueue_struct *queue);

static int host_watch(struct notifier_block *nb)
{
	host.ticks = nb;
	return 0;
}

static int host_watch_no_more(struct notifier_block *nb)
{
	if (host.ticks != nb)
		return -ENOENT;
	host.ticks = NULL;
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
#define rdmsrq_safe(msr, value)		host_read_msr(msr, value)
#undef wrmsr_safe
#define wrmsr_safe(msr, low, high)	host_write_msr(msr, (u64)(high) << 32 | (low))
#define pvclock_gtod_register_notifier(nb)	host_watch(nb)
#define pvclock_gtod_unregister_notifier(nb)	host_watch_no_more(nb)
#define rdtsc_ordered			host_tsc
#define kvm_hypercall2(nr, address, type)	host_hypercall(nr, address, type)
#define vrh_cpu_pvclock(cpu)		((void)(cpu), host_page())
#define ktime_get_real_ns()		host.real
#define do_settimeofday64(ts)		host_set_real(ts)
#define check_tsc_unstable()		host.tsc_unstable
#define mark_tsc_unstable(why)		((void)(why), host.tsc_unstable = true)
#define get_device_system_crosststamp(get, ctx, history, cross) \
	host_cross(get, ctx, history, cross)
#define ptp_clock_register(info, dev) \
	(host.no_ptp ? ERR_PTR(-ENOMEM) : (ptp_clock_register)(info, dev))
#undef alloc_pages_exact
#define alloc_pages_exact(size, flags) \
	(host.no_pages ? NULL : (void *)__get_free_pages(flags, get_order(size)))
#define free_pages_exact(pages, size)	free_pages((unsigned long)(pages), get_order(size))
#undef cpuhp_setup_state
#define cpuhp_setup_state(state, name, up, down) \
	(host.no_cpuhp ? -ENOSPC : __cpuhp_setup_state(state, name, true, up, down, false))
#undef kzalloc_obj
#define kzalloc_obj(obj)		host_alloc(sizeof(obj), GFP_KERNEL)
#undef kzalloc
#define kzalloc(size, flags)		host_alloc(size, flags)
#undef alloc_workqueue
#define alloc_workqueue(...)		host_alloc_queue(__VA_ARGS__)
#undef destroy_workqueue
#define destroy_workqueue(wq)		host_end_queue(wq)
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
/* Of several suites, none is the module that others ask. */
#undef EXPORT_SYMBOL_GPL
#define EXPORT_SYMBOL_GPL(symbol)
#undef module_init
#define module_init(function)
#undef module_exit
#define module_exit(function)

#include "pvclock/clock_math.c"
#include "pvclock/event_math.c"
#include "pvclock/own.c"
#include "pvclock/pages.c"
#include "pvclock/clocksource.c"
#include "pvclock/wall.c"
#include "pvclock/events_dev.c"
#include "pvclock/events.c"
#include "pvclock/react.c"
#include "pvclock/ptp.c"
#include "pvclock/sysfs_cpu.c"
#include "pvclock/sysfs.c"
#include "pvclock/main.c"

/* It is the kernel's: only what the module has put into it ends. */
static void host_end_queue(struct workqueue_struct *queue)
{
	if (queue == host_queue)
		flush_work(&pvc_work);
}

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
		*per_cpu_ptr(&pvc_seen, cpu) = (struct pvc_reading){ };
	pvc_latest = (struct pvc_reading){ };
	pvc_unasked = false;
	pvc_epoch_known = false;
	pvc_clocksource.vdso_clock_mode = VDSO_CLOCKMODE_NONE;
}

static int guest_init(struct kunit *test)
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
	host.wall_before = KERNEL_WALL;
	write_page(START, PVCLOCK_TSC_STABLE_BIT);
	/* With this the core does not choose it. */
	rating = 1;
	enable = true;
	vdso = PVC_VDSO_ON;
	mode = PVC_MODE_AUTO;
	wall_source = PVC_WALL_AUTO;
	resync = PVC_RESYNC_OFF;
	resync_limit_ms = 500;
	tsc_guard = PVC_GUARD_OFF;
	ptp = true;
	host.real = EPOCH + START;
	host.pair.tsc = host.tsc;
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
	KUNIT_EXPECT_EQ(test, host.wall_address, host.wall_before);
}

/* Its clocksource is one that nobody knows. */
static struct clocksource host_clocksource = { .name = "other" };
static struct timekeeper host_timekeeper = { .tkr_mono.clock = &host_clocksource };

/* A tick of the timekeeper, on this CPU. */
static void tick(void)
{
	unsigned long flags;

	local_irq_save(flags);
	host.ticks->notifier_call(host.ticks, 0, &host_timekeeper);
	local_irq_restore(flags);
	irq_work_sync(&pvc_irq_work);
	flush_work(&pvc_work);
}

#endif
