// SPDX-License-Identifier: GPL-2.0-only
/*
 * pvclock_rh: the clocksource kvm-clock-rh for KVM guests, beside the kernel's
 * own kvm-clock and on its pages, or on pages of its own where the kernel has none.
 * This file owns the parameters and the order of coming and going; it never touches a
 * page or an MSR. There is no virtio device behind a clock, so the sections on devices
 * are missing.
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
 * Loading never changes the current clocksource: 298 is one less than the least that
 * kvm-clock has (299 where the TSC is good, 400 elsewhere). Where there is no kvm-clock it
 * is 100, less than that of any clock that somebody may want to use, or to watch over the
 * TSC: a time that is computed from the TSC proves nothing about it. 499 is the top of the
 * core's scale.
 */
#define PVC_RATING_SHARED 298
#define PVC_RATING_OWN 100

VRH_PARAM_UINT(rating, 0, 0, 499, 0444,
	       "rating of the clocksource, 1 to 499, or 0: so that nothing switches by itself; above 299 or 400 it displaces kvm-clock (default 0)");

/* Module init and exit */

static int __init pvc_init(void)
{
	struct pvc_reading r;
	int err;

	if (!enable) {
		pr_info("loaded with enable=0: no clocksource is registered\n");
		return 0;
	}

	err = pvc_pages_start();
	if (err)
		return err;
	if (!rating)
		rating = pvc_pages_own() ? PVC_RATING_OWN : PVC_RATING_SHARED;

	err = pvc_wall_init(pvc_pages_features());
	if (err) {
		pr_err("not loaded: no memory (error %d)\n", err);
		goto err_pages;
	}
	err = pvc_event_dev_create();
	if (err) {
		pr_err("not loaded: cannot create /dev/%s (error %d)\n", KBUILD_MODNAME, err);
		goto err_wall;
	}
	err = pvc_clocksource_start(rating);
	if (err) {
		pr_err("not loaded: the kernel refuses clocksource %s (error %d)\n", PVC_NAME, err);
		goto err_dev;
	}
	err = pvc_events_start();
	if (err) {
		pr_err("not loaded: no memory (error %d)\n", err);
		goto err_clocksource;
	}

	err = pvc_ptp_create();
	if (err) {
		pr_err("not loaded: the kernel refuses a PTP clock (error %d)\n", err);
		goto err_events;
	}
	/* Its files act on all of the above. */
	err = pvc_sysfs_create();
	if (err) {
		pr_err("not loaded: cannot create /sys/kernel/%s (error %d)\n", KBUILD_MODNAME,
		       err);
		goto err_ptp;
	}

	pvc_page_sample(&r);
	pr_info("clocksource %s: %s, %s host clock, TSC %u kHz, rating %u, %s\n",
		PVC_NAME, pvc_pages_own() ? "pages of its own (own)" : "kernel's pages (shared)",
		pvc_page_stable(&r) ? "stable" : "unstable",
		pvc_tsc_khz(r.mul, r.shift), rating,
		pvc_clocksource_can_vdso() ? "vDSO" : "no vDSO");
	return 0;

err_ptp:
	pvc_ptp_remove();
err_events:
	pvc_events_stop();
err_clocksource:
	pvc_clocksource_stop();
err_dev:
	pvc_event_dev_remove();
err_wall:
	pvc_wall_exit();
err_pages:
	pvc_pages_stop();
	return err;
}

static void __exit pvc_exit(void)
{
	if (!enable)
		return;

	pvc_sysfs_remove();
	pvc_ptp_remove();
	pvc_events_stop();
	pvc_clocksource_stop();
	pvc_event_dev_remove();
	pvc_wall_exit();
	pvc_pages_stop();
}

module_init(pvc_init);
module_exit(pvc_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Paravirtual clock for KVM guests on the kernel's pvclock pages");
MODULE_AUTHOR("virtio-rh developers");
MODULE_VERSION(VRH_VERSION);
