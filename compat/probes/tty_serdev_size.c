// SPDX-License-Identifier: GPL-2.0-only
/* In 6.12, not in 6.1: serdev counts in size_t, and so does hvc, whose header is not shipped. */
#include <linux/serdev.h>
static_assert(sizeof(((struct serdev_device_ops *)NULL)->receive_buf(NULL, NULL, 0)) ==
	      sizeof(size_t));
