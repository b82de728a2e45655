// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/pvclock_rh/: what the clock reads from and what happened to it,
 * one value a file, all read-only. There is no device to hang them on.
 */
#include <vrh/log.h>

#include <linux/kobject.h>
#include <linux/sysfs.h>

#include "pvclock_rh.h"

static struct kobject *pvc_kobj;

/* Whose pages are read. There is one answer so far: the kernel's. */
static ssize_t state_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "shared\n");
}

static struct kobj_attribute state_attr = __ATTR_RO(state);

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
	&stable_attr.attr,
	&tsc_khz_attr.attr,
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

	err = sysfs_create_group(pvc_kobj, &pvc_group);
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
	kobject_put(pvc_kobj);
}
