// SPDX-License-Identifier: GPL-2.0-only
/* 6.8: the series that gave hvc's callbacks u8 and size_t gave them to serdev too. */
#include <linux/serdev.h>
static_assert(sizeof(((struct serdev_device_ops *)NULL)->receive_buf(NULL, NULL, 0)) ==
	      sizeof(size_t));
