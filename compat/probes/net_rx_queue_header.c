// SPDX-License-Identifier: GPL-2.0-only
/* In 6.12, not in 6.1: struct netdev_rx_queue has a header of its own, no longer netdevice.h. */
#if __has_include("net/netdev_rx_queue.h")
#include <net/netdev_rx_queue.h>
#else
#error "no such header"
#endif
