// SPDX-License-Identifier: GPL-2.0-only
/* 6.6: tty writes take u8 and size_t; before that hvc has its layout of old (compat_tty.h). */
#include <linux/tty_driver.h>
static inline void vrh_probe_tty_write(const struct tty_operations *ops)
{
	ssize_t (*write)(struct tty_struct *tty, const u8 *buf, size_t count) = ops->write;

	(void)write;
}
