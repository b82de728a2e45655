// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/pvclock_rh/cpuN/: a virtual CPU's page, and what the host took from it. One
 * directory for each CPU that the machine may ever have.
 */
#include <vrh/log.h>

#include <linux/cpumask.h>
#include <linux/kernel_stat.h>
#include <linux/kobject.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "compat.h"

#include "pvclock_rh.h"

/**
 * struct pvc_cpu_dir - a directory
 * @kobj: in sysfs
 * @cpu: number of the CPU
 */
struct pvc_cpu_dir {
	struct kobject kobj;
	unsigned int cpu;
};

static struct pvc_cpu_dir **pvc_cpu_dirs;

struct pvc_cpu_attr {
	struct attribute attr;
	u64 (*get)(unsigned int cpu);
};

static u64 pvc_cpu_version(unsigned int cpu)
{
	return pvc_page_version_of(cpu);
}

static u64 pvc_cpu_steal_ns(unsigned int cpu)
{
	return kcpustat_cpu(cpu).cpustat[CPUTIME_STEAL];
}

#define PVC_CPU_ATTR(name) \
	static struct pvc_cpu_attr name##_attr = { { #name, 0444 }, pvc_cpu_##name }

PVC_CPU_ATTR(version);
PVC_CPU_ATTR(steal_ns);

static struct attribute *pvc_cpu_attrs[] = {
	&version_attr.attr,
	&steal_ns_attr.attr,
	NULL
};

ATTRIBUTE_GROUPS(pvc_cpu);

static ssize_t pvc_cpu_show(struct kobject *kobj, struct attribute *attr, char *buf)
{
	const struct pvc_cpu_attr *file = container_of(attr, struct pvc_cpu_attr, attr);
	const struct pvc_cpu_dir *dir = container_of(kobj, struct pvc_cpu_dir, kobj);

	return sysfs_emit(buf, "%llu\n", file->get(dir->cpu));
}

static const struct sysfs_ops pvc_cpu_ops = { .show = pvc_cpu_show };

static void pvc_cpu_release(struct kobject *kobj)
{
	kfree(container_of(kobj, struct pvc_cpu_dir, kobj));
}

static const struct kobj_type pvc_cpu_type = {
	.sysfs_ops = &pvc_cpu_ops,
	.release = pvc_cpu_release,
	.default_groups = pvc_cpu_groups,
};

/**
 * pvc_sysfs_cpu_create() - make the directories
 * @parent: where
 *
 * Context: process context.
 * Return: 0, or a negative error code and there is none.
 */
int pvc_sysfs_cpu_create(struct kobject *parent)
{
	struct pvc_cpu_dir *dir;
	unsigned int cpu;
	int err = 0;

	pvc_cpu_dirs = kcalloc(nr_cpu_ids, sizeof(*pvc_cpu_dirs), GFP_KERNEL);
	if (!pvc_cpu_dirs)
		return -ENOMEM;
	for_each_possible_cpu(cpu) {
		dir = kzalloc_obj(*dir);
		if (!dir) {
			err = -ENOMEM;
			break;
		}
		dir->cpu = cpu;
		pvc_cpu_dirs[cpu] = dir;
		err = kobject_init_and_add(&dir->kobj, &pvc_cpu_type, parent, "cpu%u", cpu);
		if (err) {
			kobject_put(&dir->kobj);
			pvc_cpu_dirs[cpu] = NULL;
			break;
		}
	}
	if (err)
		pvc_sysfs_cpu_remove();
	return err;
}

/**
 * pvc_sysfs_cpu_remove() - remove the directories, after their last reader
 *
 * Context: process context, may sleep.
 */
void pvc_sysfs_cpu_remove(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		if (pvc_cpu_dirs[cpu]) {
			kobject_del(&pvc_cpu_dirs[cpu]->kobj);
			kobject_put(&pvc_cpu_dirs[cpu]->kobj);
		}
	kfree(pvc_cpu_dirs);
	pvc_cpu_dirs = NULL;
}
