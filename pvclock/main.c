// SPDX-License-Identifier: GPL-2.0-only
/*
 * pvclock_rh: the clocksource kvm-clock-rh for KVM guests, beside the kernel's
 * own kvm-clock and on its pages. This file owns the parameters and the order
 * of coming and going; it never touches a page or an MSR. There is no virtio
 * device behind a clock, so the sections on devices are missing.
 */
#include <vrh/log.h>

#include <linux/module.h>

#include "compat.h"
#include <vrh/param.h>

#include "pvclock_rh.h"

/* Parameters */

static bool enable = true;
module_param(enable, bool, 0444);
MODULE_PARM_DESC(enable, "0: load, but register nothing (default 1)");

/*
 * 298 is one less than the least that kvm-clock has (299 where the TSC is
 * good, 400 elsewhere), so loading never changes the current clocksource. 499
 * is the top of the core's scale.
 */
VRH_PARAM_UINT(rating, 298, 1, 499, 0444,
	       "rating of the clocksource, 1 to 499; above 299 or 400 it displaces kvm-clock (default 298)");

/* Module init and exit */

static int __init pvc_init(void)
{
	struct pvc_reading r;
	int err;

	if (!enable) {
		pr_info("loaded with enable=0: no clocksource is registered\n");
		return 0;
	}

	err = pvc_pages_find();
	if (err)
		return err;

	err = pvc_sysfs_create();
	if (err) {
		pr_err("not loaded: cannot create /sys/kernel/%s (error %d)\n", KBUILD_MODNAME,
		       err);
		return err;
	}

	err = pvc_clocksource_register(rating);
	if (err) {
		pr_err("not loaded: the kernel refuses clocksource %s (error %d)\n", PVC_NAME, err);
		goto err_sysfs;
	}

	pvc_page_sample(&r);
	pr_info("clocksource %s: kernel's pages (shared), %s host clock, TSC %u kHz, rating %u, no vDSO\n",
		PVC_NAME, pvc_page_stable(&r) ? "stable" : "unstable",
		pvc_tsc_khz(r.mul, r.shift), rating);
	return 0;

err_sysfs:
	pvc_sysfs_remove();
	return err;
}

static void __exit pvc_exit(void)
{
	if (!enable)
		return;

	pvc_clocksource_unregister();
	pvc_sysfs_remove();
}

module_init(pvc_init);
module_exit(pvc_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Paravirtual clock for KVM guests on the kernel's pvclock pages");
MODULE_AUTHOR("virtio-rh developers");
MODULE_VERSION(VRH_VERSION);
