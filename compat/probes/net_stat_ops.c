// SPDX-License-Identifier: GPL-2.0-only
/* In 6.12, not in 6.1: per-queue statistics through netdev_stat_ops; ethtool -S names follow. */
#include <linux/netdevice.h>
#if __has_include("net/netdev_queues.h")
#include <net/netdev_queues.h>
#endif
static inline void vrh_probe_net_stat_ops(struct net_device *d, struct netdev_stat_ops *o,
					  struct netdev_queue_stats_tx *s)
{
	d->stat_ops = o;
	s->stop = 0;
	s->wake = 0;
}
