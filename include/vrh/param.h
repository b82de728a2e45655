/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Module parameters that refuse nonsense. A value outside its range is never
 * rounded: the load (or the write to /sys/module/.../parameters) fails with one
 * line that names the parameter, the value and the range, and the old value
 * stays.
 */
#ifndef VRH_PARAM_H
#define VRH_PARAM_H

#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/string.h>

/**
 * struct vrh_uint_param - an unsigned parameter and its range
 * @name: as the user knows it, for messages
 * @value: where the driver reads it
 * @min: smallest value that is accepted
 * @max: largest value that is accepted
 */
struct vrh_uint_param {
	const char *name;
	unsigned int *value;
	unsigned int min;
	unsigned int max;
};

/**
 * vrh_uint_param_set() - parse and check a write to a ranged parameter
 * @val: text from the command line or from sysfs; any base kstrtouint() knows
 * @kp: the parameter; its arg is a struct vrh_uint_param
 *
 * Context: process context, parameter lock held by the caller.
 * Return: 0, -EINVAL for text that is no number or a number out of range.
 */
static inline int vrh_uint_param_set(const char *val, const struct kernel_param *kp)
{
	const struct vrh_uint_param *p = kp->arg;
	unsigned int parsed;

	if (!val || kstrtouint(val, 0, &parsed) || parsed < p->min || parsed > p->max) {
		pr_err("parameter %s=%.*s: must be a number from %u to %u\n", p->name,
		       val ? (int)strcspn(val, "\n") : 6, val ?: "(none)", p->min, p->max);
		return -EINVAL;
	}
	WRITE_ONCE(*p->value, parsed);
	return 0;
}

/**
 * vrh_uint_param_get() - print a ranged parameter
 * @buf: one page
 * @kp: the parameter; its arg is a struct vrh_uint_param
 *
 * Return: length of the text.
 */
static inline int vrh_uint_param_get(char *buf, const struct kernel_param *kp)
{
	const struct vrh_uint_param *p = kp->arg;

	return scnprintf(buf, PAGE_SIZE, "%u\n", READ_ONCE(*p->value));
}

static const struct kernel_param_ops vrh_uint_param_ops __maybe_unused = {
	.set = vrh_uint_param_set,
	.get = vrh_uint_param_get,
};

/* Defines the variable @var and the module parameter of the same name. */
#define VRH_PARAM_UINT(var, def, lo, hi, perm, text)				\
	static unsigned int var = (def);					\
	static const struct vrh_uint_param vrh_param_##var = {			\
		.name = #var, .value = &(var), .min = (lo), .max = (hi),	\
	};									\
	module_param_cb(var, &vrh_uint_param_ops, (void *)&vrh_param_##var, perm); \
	__MODULE_PARM_TYPE(var, "uint");					\
	MODULE_PARM_DESC(var, text)

#endif
