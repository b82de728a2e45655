// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module for tests: reads the clocksources kvm-clock and kvm-clock-rh in the kernel, side
 * by side. It finds each when that is current for the first time, and holds its module from
 * then on. Reading /sys/kernel/debug/vrh_clockprobe runs the comparison.
 */
#include <linux/clocksource.h>
#include <linux/debugfs.h>
#include <linux/irqflags.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/pvclock_gtod.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/timekeeper_internal.h>
#include <asm/msr.h>

/* Times that are compared, and with interrupts off at a time. */
#define PROBE_ROUNDS	100000
#define PROBE_BATCH	1000

enum { PROBE_KERNEL, PROBE_OURS, PROBE_CLOCKS };

static const char *const probe_names[PROBE_CLOCKS] = { "kvm-clock", "kvm-clock-rh" };

static struct clocksource *probe_clocks[PROBE_CLOCKS];

/* Under the timekeeper's lock, with interrupts off. */
static int probe_tick(struct notifier_block *nb, unsigned long was_set, void *timekeeper)
{
	const struct timekeeper *tk = timekeeper;
	struct clocksource *cs = tk->tkr_mono.clock;
	unsigned int i;

	for (i = 0; i < PROBE_CLOCKS; i++) {
		if (!probe_clocks[i] && !strcmp(cs->name, probe_names[i]) &&
		    try_module_get(cs->owner))
			WRITE_ONCE(probe_clocks[i], cs);
	}
	return NOTIFY_DONE;
}

static struct notifier_block probe_block = { .notifier_call = probe_tick };

/**
 * struct probe_sums - what a comparison found
 * @outside: times of ours that are not between the two of the kernel's around them
 * @worst: how far outside, ns
 * @width: the least distance of those two, ns
 * @ticks: of the TSC that the fastest batch of reads took, by clock
 */
struct probe_sums {
	unsigned int outside;
	u64 worst;
	u64 width;
	u64 ticks[PROBE_CLOCKS];
};

/* Ours between two of the kernel's. */
static void probe_between(struct clocksource *const clocks[], struct probe_sums *sums)
{
	u64 before, ours, after;
	unsigned int i;

	for (i = 0; i < PROBE_BATCH; i++) {
		before = clocks[PROBE_KERNEL]->read(clocks[PROBE_KERNEL]);
		ours = clocks[PROBE_OURS]->read(clocks[PROBE_OURS]);
		after = clocks[PROBE_KERNEL]->read(clocks[PROBE_KERNEL]);
		sums->width = min(sums->width, after - before);
		if (ours >= before && ours <= after)
			continue;
		sums->outside++;
		sums->worst = max(sums->worst, ours < before ? before - ours : ours - after);
	}
}

static void probe_cost(struct clocksource *cs, u64 *least)
{
	u64 begin = rdtsc_ordered();
	unsigned int i;

	for (i = 0; i < PROBE_BATCH; i++)
		cs->read(cs);
	*least = min(*least, rdtsc_ordered() - begin);
}

static int probe_show(struct seq_file *file, void *unused)
{
	struct probe_sums sums = { .width = U64_MAX, .ticks = { U64_MAX, U64_MAX } };
	struct clocksource *clocks[PROBE_CLOCKS];
	unsigned int i, round;
	unsigned long flags;

	for (i = 0; i < PROBE_CLOCKS; i++) {
		clocks[i] = READ_ONCE(probe_clocks[i]);
		if (!clocks[i])
			return -ENODEV;
	}
	for (round = 0; round < PROBE_ROUNDS / PROBE_BATCH; round++) {
		local_irq_save(flags);
		probe_between(clocks, &sums);
		local_irq_restore(flags);
		for (i = 0; i < PROBE_CLOCKS; i++) {
			local_irq_save(flags);
			probe_cost(clocks[i], &sums.ticks[i]);
			local_irq_restore(flags);
		}
		cond_resched();
	}
	seq_printf(file, "rounds=%u outside=%u worst_ns=%llu width_ns=%llu", PROBE_ROUNDS,
		   sums.outside, sums.worst, sums.width);
	seq_printf(file, " kernels_ticks=%llu ours_ticks=%llu batch=%u\n", sums.ticks[PROBE_KERNEL],
		   sums.ticks[PROBE_OURS], PROBE_BATCH);
	return 0;
}

DEFINE_SHOW_ATTRIBUTE(probe);

static struct dentry *probe_file;

static int __init probe_init(void)
{
	int err = pvclock_gtod_register_notifier(&probe_block);

	if (err)
		return err;
	probe_file = debugfs_create_file(KBUILD_MODNAME, 0400, NULL, NULL, &probe_fops);
	return 0;
}

static void __exit probe_exit(void)
{
	unsigned int i;

	debugfs_remove(probe_file);
	pvclock_gtod_unregister_notifier(&probe_block);
	for (i = 0; i < PROBE_CLOCKS; i++) {
		if (probe_clocks[i])
			module_put(probe_clocks[i]->owner);
	}
}

module_init(probe_init);
module_exit(probe_exit);
MODULE_DESCRIPTION("Compares clocksources, for tests of virtio-rh");
MODULE_VERSION(VRH_VERSION);
MODULE_LICENSE("GPL");
