/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How the modules of the suite speak: every line starts with the module's name.
 * Include this before any other header of the kernel.
 */
#ifndef VRH_LOG_H
#define VRH_LOG_H

#undef pr_fmt
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/printk.h>

#endif
