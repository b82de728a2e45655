/* SPDX-License-Identifier: GPL-2.0-only */
/* Interfaces inside pvclock_rh, grouped by the file that owns them. */
#ifndef PVCLOCK_RH_H
#define PVCLOCK_RH_H

#include <linux/types.h>

#include "clock_math.h"

#define PVC_NAME "kvm-clock-rh"

/* pages.c: finding and reading the kernel's own pvclock pages */
int pvc_pages_find(void);
bool pvc_page_read(struct pvc_reading *r);
bool pvc_page_stable(const struct pvc_reading *r);
int pvc_page_sample(struct pvc_reading *r);

/* clocksource.c: the clocksource and its counters */

/**
 * struct pvc_stats - what happened on the way to a time, since load
 * @retries: tries that failed because the host was writing the page
 * @clamp_hits: readings behind a time handed out before, answered with that one
 * @tsc_behind: readings with a TSC before the page's
 * @unreadable: readings given up: time stood still for them
 */
struct pvc_stats {
	unsigned long retries;
	unsigned long clamp_hits;
	unsigned long tsc_behind;
	unsigned long unreadable;
};

int pvc_clocksource_register(int rating);
void pvc_clocksource_unregister(void);
void pvc_stats_sum(struct pvc_stats *sum);

/* sysfs.c: /sys/kernel/pvclock_rh/ */
int pvc_sysfs_create(void);
void pvc_sysfs_remove(void);

#endif
