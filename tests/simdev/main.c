// SPDX-License-Identifier: GPL-2.0-only
/*
 * A module for tests: simulated virtio devices on the guest's own virtio bus. It
 * taints nothing and needs nothing of the host; who uses it owns the machine.
 */
#include <linux/module.h>

#include "core.h"

static int __init sim_init(void)
{
	return sim_debugfs_init();
}

static void __exit sim_exit(void)
{
	sim_debugfs_exit();
	sim_hostile_exit();
}

module_init(sim_init);
module_exit(sim_exit);
MODULE_DESCRIPTION("Simulated virtio devices for tests of virtio-rh");
MODULE_VERSION(VRH_VERSION);
MODULE_LICENSE("GPL");
