// SPDX-License-Identifier: GPL-2.0-only
/* 6.6: struct netdev_rx_queue has a header of its own, no longer netdevice.h. */
#if __has_include("net/netdev_rx_queue.h")
#include <net/netdev_rx_queue.h>
#else
struct vrh_probe_net_rx_queue_header missing;
#endif
