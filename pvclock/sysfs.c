// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/pvclock_rh/: what the clock reads from and what happened to it,
 * one value a file. There is no device to hang them on.
 */
#include <vrh/log.h>

#include <linux/kobject.h>
#include <linux/kstrtox.h>
#include <linux/math64.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/time64.h>
#include <linux/timekeeping.h>
#include <asm/tsc.h>

#include "pvclock_rh.h"

static struct kobject *pvc_kobj;

/* Whose pages are read. */
static ssize_t state_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", pvc_pages_own() ? "own" : "shared");
}

static struct kobj_attribute state_attr = __ATTR_RO(state);

static ssize_t enable_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", pvc_clocksource_enabled());
}

static ssize_t enable_store(struct kobject *kobj, struct kobj_attribute *attr, const char *buf,
			    size_t len)
{
	bool on;
	int err;

	if (kstrtobool(buf, &on)) {
		pr_err("enable=%.*s: must be 0 or 1\n", (int)strcspn(buf, "\n"), buf);
		return -EINVAL;
	}
	err = pvc_clocksource_enable(on);
	if (err)
		pr_err("enable=%d: the kernel keeps clocksource %s, or refuses it (error %d)\n", on,
		       PVC_NAME, err);
	return err ?: len;
}

static struct kobj_attribute enable_attr = __ATTR_RW(enable);

static ssize_t ptp_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	int number = pvc_ptp_number();

	return number < 0 ? sysfs_emit(buf, "none\n") : sysfs_emit(buf, "ptp%d\n", number);
}

static struct kobj_attribute ptp_attr = __ATTR_RO(ptp);

/* How far the guest's real time is behind the host's, ns. */
static ssize_t host_real_offset_ns_show(struct kobject *kobj, struct kobj_attribute *attr,
					char *buf)
{
	u64 real;
	int err = pvclock_rh_host_real(&real);

	return err ?: sysfs_emit(buf, "%lld\n", (s64)(real - ktime_get_real_ns()));
}

static struct kobj_attribute host_real_offset_ns_attr = __ATTR_RO(host_real_offset_ns);

/* How far the page's frequency of the TSC is from the kernel's, ppm. */
static ssize_t ppm_vs_kernel_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct pvc_reading r;
	int err = pvc_page_sample(&r);
	s64 off;

	if (err)
		return err;
	if (!tsc_khz)
		return -ENODATA;
	off = (s64)pvc_tsc_khz(r.mul, r.shift) - tsc_khz;
	return sysfs_emit(buf, "%lld\n", div_s64(off * USEC_PER_SEC, tsc_khz));
}

static struct kobj_attribute ppm_vs_kernel_attr = __ATTR_RO(ppm_vs_kernel);

static ssize_t stable_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct pvc_reading r;
	int err = pvc_page_sample(&r);

	return err ?: sysfs_emit(buf, "%d\n", pvc_page_stable(&r));
}

static struct kobj_attribute stable_attr = __ATTR_RO(stable);

static ssize_t tsc_khz_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct pvc_reading r;
	int err = pvc_page_sample(&r);

	return err ?: sysfs_emit(buf, "%u\n", pvc_tsc_khz(r.mul, r.shift));
}

static struct kobj_attribute tsc_khz_attr = __ATTR_RO(tsc_khz);

static ssize_t vdso_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", pvc_clocksource_vdso());
}

static struct kobj_attribute vdso_attr = __ATTR_RO(vdso);

static ssize_t last_event_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct pvclock_rh_event event;

	return pvc_event_last(&event) ? pvc_event_print(&event, buf, PAGE_SIZE) :
					sysfs_emit(buf, "none\n");
}

static struct kobj_attribute last_event_attr = __ATTR_RO(last_event);

static ssize_t last_jump_ns_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct pvclock_rh_event event;

	return sysfs_emit(buf, "%lld\n", pvc_event_last(&event) ? event.jump_ns : 0);
}

static struct kobj_attribute last_jump_ns_attr = __ATTR_RO(last_jump_ns);

static ssize_t downtime_ns_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", pvc_event_downtime());
}

static struct kobj_attribute downtime_ns_attr = __ATTR_RO(downtime_ns);

static ssize_t rebases_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", pvc_events_rebases());
}

static struct kobj_attribute rebases_attr = __ATTR_RO(rebases);

static ssize_t events_lost_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", pvc_events_lost());
}

static struct kobj_attribute events_lost_attr = __ATTR_RO(events_lost);

static ssize_t paused_ns_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", pvclock_rh_paused_ns());
}

static struct kobj_attribute paused_ns_attr = __ATTR_RO(paused_ns);

/* A counter of struct pvc_stats, summed over the CPUs. */
#define PVC_COUNTER(name)								\
	static ssize_t name##_show(struct kobject *kobj, struct kobj_attribute *attr,	\
				   char *buf)						\
	{										\
		struct pvc_stats sum;							\
											\
		pvc_stats_sum(&sum);							\
		return sysfs_emit(buf, "%lu\n", sum.name);				\
	}										\
	static struct kobj_attribute name##_attr = __ATTR_RO(name)

PVC_COUNTER(retries);
PVC_COUNTER(clamp_hits);
PVC_COUNTER(tsc_behind);
PVC_COUNTER(unreadable);

static struct attribute *pvc_attrs[] = {
	&state_attr.attr,
	&enable_attr.attr,
	&ptp_attr.attr,
	&host_real_offset_ns_attr.attr,
	&ppm_vs_kernel_attr.attr,
	&stable_attr.attr,
	&tsc_khz_attr.attr,
	&vdso_attr.attr,
	&last_event_attr.attr,
	&last_jump_ns_attr.attr,
	&downtime_ns_attr.attr,
	&rebases_attr.attr,
	&events_lost_attr.attr,
	&paused_ns_attr.attr,
	&retries_attr.attr,
	&clamp_hits_attr.attr,
	&tsc_behind_attr.attr,
	&unreadable_attr.attr,
	NULL
};

static const struct attribute_group pvc_group = {
	.attrs = pvc_attrs,
};

/**
 * pvc_sysfs_create() - make the directory and its files
 *
 * Context: process context.
 * Return: 0 or a negative error code.
 */
int pvc_sysfs_create(void)
{
	int err;

	pvc_kobj = kobject_create_and_add(KBUILD_MODNAME, kernel_kobj);
	if (!pvc_kobj)
		return -ENOMEM;

	err = sysfs_create_group(pvc_kobj, &pvc_group) ?: pvc_sysfs_cpu_create(pvc_kobj);
	if (err)
		kobject_put(pvc_kobj);
	return err;
}

/**
 * pvc_sysfs_remove() - remove the directory, after its last reader
 *
 * Context: process context, may sleep.
 */
void pvc_sysfs_remove(void)
{
	pvc_sysfs_cpu_remove();
	kobject_put(pvc_kobj);
}
