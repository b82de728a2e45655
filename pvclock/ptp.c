// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's real time as a PTP hardware clock. It is the guest's clock, moved by what the
 * host says real time was when that began; so after one question to the host a reading
 * takes as long as one of the clock, and both systems' times are of one TSC value.
 */
#include <vrh/log.h>

#include <linux/err.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/ptp_clock_kernel.h>
#include <linux/timekeeping.h>

#include "compat.h"

#include "pvclock_rh.h"

/* More than one is needed only if another clocksource is chosen, or the clock was clamped. */
#define PVC_PTP_TRIES 4

static bool ptp = true;
module_param(ptp, bool, 0444);
MODULE_PARM_DESC(ptp, "0: no PTP clock of the host's real time (default 1)");

static struct ptp_clock *pvc_ptp_clock;

/* Reading */

static int pvc_ptp_gettimex(struct ptp_clock_info *info, struct timespec64 *ts,
			    struct ptp_system_timestamp *sts)
{
	struct pvc_reading r;
	u64 epoch;
	bool read;
	int err;

	err = pvc_wall_epoch(&epoch);
	if (err)
		return err;
	/* The exits are behind us: between the guest's times is the reading of a page. */
	preempt_disable();
	ptp_read_system_prets(sts);
	read = pvc_page_read(&r);
	ptp_read_system_postts(sts);
	preempt_enable();
	if (!read)
		return -EIO;
	*ts = ns_to_timespec64(epoch + r.ns);
	return 0;
}

/* The host's time, and the guest's counter at the same instant. @ctx: the epoch, ns. */
static int pvc_ptp_both(ktime_t *device, struct system_counterval_t *counter, void *ctx)
{
	const u64 *epoch = ctx;
	struct pvc_reading r;

	if (pvc_page_sample(&r) || r.behind)
		return -EIO;
	*device = ns_to_ktime(*epoch + r.ns);
	return pvc_clocksource_counter(&r, counter);
}

static int pvc_ptp_cross(struct ptp_clock_info *info, struct system_device_crosststamp *cross)
{
	unsigned int tries = 0;
	u64 epoch;
	int err;

	err = pvc_wall_epoch(&epoch);
	if (err)
		return err;
	/* The core refuses a counter that is not of its clock, or before its last reading. */
	do
		err = get_device_system_crosststamp(pvc_ptp_both, &epoch, NULL, cross);
	while ((err == -EINVAL || err == -ENODEV) && ++tries < PVC_PTP_TRIES);
	return err;
}

/* It is the host's: nobody sets it or makes it faster from in here. */

static int pvc_ptp_adjfine(struct ptp_clock_info *info, long scaled_ppm)
{
	return -EOPNOTSUPP;
}

static int pvc_ptp_adjtime(struct ptp_clock_info *info, s64 delta)
{
	return -EOPNOTSUPP;
}

static int pvc_ptp_settime(struct ptp_clock_info *info, const struct timespec64 *ts)
{
	return -EOPNOTSUPP;
}

static int pvc_ptp_enable(struct ptp_clock_info *info, struct ptp_clock_request *request, int on)
{
	return -EOPNOTSUPP;
}

static struct ptp_clock_info pvc_ptp_info = {
	.owner = THIS_MODULE,
	.name = KBUILD_MODNAME,
	.adjfine = pvc_ptp_adjfine,
	.adjtime = pvc_ptp_adjtime,
	.settime64 = pvc_ptp_settime,
	.enable = pvc_ptp_enable,
	.gettimex64 = pvc_ptp_gettimex,
	.getcrosststamp = pvc_ptp_cross,
};

/**
 * pvc_ptp_create() - offer the clock, if the host can be asked
 *
 * Context: process context.
 * Return: 0, also if there is none; or a negative error code.
 */
int pvc_ptp_create(void)
{
	struct ptp_clock *clock;
	u64 epoch;
	int err;

	if (!ptp)
		return 0;
	err = pvc_wall_epoch(&epoch);
	if (err) {
		pr_info("no PTP clock: the host does not tell its real time (error %d)\n", err);
		return 0;
	}
	clock = ptp_clock_register(&pvc_ptp_info, NULL);
	if (IS_ERR(clock))
		return PTR_ERR(clock);
	/* NULL: this kernel has no PTP clocks. */
	pvc_ptp_clock = clock;
	return 0;
}

/**
 * pvc_ptp_remove() - take the clock back
 *
 * Context: process context, may sleep. Nobody has it open: that holds the module.
 */
void pvc_ptp_remove(void)
{
	if (pvc_ptp_clock)
		ptp_clock_unregister(pvc_ptp_clock);
	pvc_ptp_clock = NULL;
}

/**
 * pvc_ptp_number() - which one it is
 *
 * Return: the N of /dev/ptpN; -1 if there is none.
 */
int pvc_ptp_number(void)
{
	return pvc_ptp_clock ? ptp_clock_index(pvc_ptp_clock) : -1;
}
