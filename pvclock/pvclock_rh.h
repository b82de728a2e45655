/* SPDX-License-Identifier: GPL-2.0-only */
/* Interfaces inside pvclock_rh, grouped by the file that owns them. */
#ifndef PVCLOCK_RH_H
#define PVCLOCK_RH_H

#include <linux/types.h>

#include "clock_math.h"
#include "include/pvclock_rh.h"

struct kobject;
struct system_counterval_t;
struct timekeeper;

#define PVC_NAME "kvm-clock-rh"

/* pages.c: finding and reading pvclock pages, the kernel's own or ours */
int pvc_pages_start(void);
void pvc_pages_stop(void);
bool pvc_pages_own(void);
u32 pvc_pages_features(void);
bool pvc_pages_mapped(void);
u32 pvc_page_version(void);
u32 pvc_page_version_of(unsigned int cpu);
bool pvc_page_read(struct pvc_reading *r);
bool pvc_page_stable(const struct pvc_reading *r);
int pvc_page_sample(struct pvc_reading *r);

/* own.c: pages of our own */
int pvc_own_start(void);
void pvc_own_stop(void);
void pvc_own_resume(void);
const struct pvclock_vcpu_time_info *pvc_own_this_cpu(void);
const struct pvclock_vcpu_time_info *pvc_own_of(unsigned int cpu);

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

int pvc_clocksource_start(int rating);
void pvc_clocksource_stop(void);
int pvc_clocksource_enable(bool on);
bool pvc_clocksource_enabled(void);
void pvc_clocksource_tick(const struct timekeeper *tk);
int pvc_clocksource_counter(const struct pvc_reading *r, struct system_counterval_t *counter);
const char *pvc_clocksource_vdso(void);
bool pvc_clocksource_can_vdso(void);
void pvc_stats_sum(struct pvc_stats *sum);

/* wall.c: the host's real time */
int pvc_wall_init(u32 features);
void pvc_wall_exit(void);
int pvc_wall_epoch(u64 *epoch);

/* events.c: finding out that the host did something to the clock */
int pvc_events_start(void);
void pvc_events_stop(void);
u64 pvc_events_lost(void);
u64 pvc_events_rebases(void);

/* events_dev.c: telling of it */
int pvc_event_dev_create(void);
void pvc_event_dev_remove(void);
void pvc_event_tell(struct pvclock_rh_event *event);
bool pvc_event_last(struct pvclock_rh_event *event);
u64 pvc_event_downtime(void);
int pvc_event_print(const struct pvclock_rh_event *event, char *line, size_t size);

/* react.c: what is done about an event */
void pvc_react(const struct pvclock_rh_event *event, bool tsc_back);

/* ptp.c: the host's real time as a PTP clock */
int pvc_ptp_create(void);
void pvc_ptp_remove(void);
int pvc_ptp_number(void);

/* sysfs.c: /sys/kernel/pvclock_rh/ */
int pvc_sysfs_create(void);
void pvc_sysfs_remove(void);

/* sysfs_cpu.c: its directories of CPUs */
int pvc_sysfs_cpu_create(struct kobject *parent);
void pvc_sysfs_cpu_remove(void);

#endif
