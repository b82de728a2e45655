// SPDX-License-Identifier: GPL-2.0-only
/* In 6.12, not in 6.1: tty writes count in size_t; where they do not, hvc has its old callbacks. */
#include <linux/tty_driver.h>
static inline void vrh_probe_tty_write(const struct tty_operations *ops)
{
	ssize_t (*write)(struct tty_struct *tty, const u8 *buf, size_t count) = ops->write;

	(void)write;
}
