/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Differences of hvc, the kernel's layer for hypervisor consoles. Its header is
 * not shipped with the packaged kernel headers, so which shape it has must be
 * concluded from headers that are: the old shape is certain where a tty is
 * written with an int count (6.1), the new one where a serdev receives a size_t
 * (6.12). Between the two nothing is certain and VRH_HVC_KNOWN is 0.
 * Include it where it is needed only; compat.h does not.
 */
#ifndef VRH_COMPAT_TTY_H
#define VRH_COMPAT_TTY_H

#include <linux/kconfig.h>
#include <linux/types.h>

#if defined(VRH_HAVE_TTY_WRITE_SSIZE) && defined(VRH_HAVE_TTY_SERDEV_SIZE)
#define VRH_HVC_KNOWN IS_ENABLED(CONFIG_HVC_DRIVER)
#define VRH_HVC_OLD 0
#elif !defined(VRH_HAVE_TTY_WRITE_SSIZE)
/* Delete with 6.1. */
#define VRH_HVC_KNOWN IS_ENABLED(CONFIG_HVC_DRIVER)
#define VRH_HVC_OLD 1
#else
#define VRH_HVC_KNOWN 0
#define VRH_HVC_OLD 0
#endif

/*
 * VRH_HVC_CALLBACKS(get, put) stands behind the two functions that hvc calls for
 * bytes, and VRH_HVC_OP(f) where their addresses are taken. The old shape counts
 * characters in an int.
 */
#if VRH_HVC_OLD
#define VRH_HVC_CALLBACKS(get, put)						\
static int get##_old(u32 vtermno, char *buf, int count)				\
{										\
	return get(vtermno, (u8 *)buf, count);					\
}										\
static int put##_old(u32 vtermno, const char *buf, int count)			\
{										\
	return put(vtermno, (const u8 *)buf, count);				\
}

#define VRH_HVC_OP(f) f##_old
#else
#define VRH_HVC_CALLBACKS(get, put)
#define VRH_HVC_OP(f) f
#endif

#endif
