// SPDX-License-Identifier: GPL-2.0-only
/*
 * Takes the place of a module that does not build for a kernel newer than the
 * tested ones. It refuses to load, so that the in-tree driver takes the device;
 * it has no alias, so that nothing asks for it. packaging/dkms-build decides.
 */

#include <vrh/log.h>

#include <linux/module.h>

static int __init vrh_stub_init(void)
{
	pr_warn("placeholder: this version of virtio-rh does not build for this kernel; the in-tree driver serves the device\n");
	return -ENODEV;
}
module_init(vrh_stub_init);

MODULE_DESCRIPTION("Placeholder of a virtio-rh module that was not built for this kernel");
MODULE_AUTHOR("virtio-rh developers");
MODULE_LICENSE("GPL");
MODULE_VERSION(VRH_VERSION);
MODULE_INFO(vrh_stub, "yes");
