// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is done when the host did something to the clock: the guest's wall time is set
 * right, and a TSC that is no clock any more is given up. Nothing of it happens unless the
 * administrator says so; by default it is told only. Knows of events, not how they are
 * found.
 */
#include <vrh/log.h>

#include <linux/math64.h>
#include <linux/module.h>
#include <linux/time64.h>
#include <linux/timekeeping.h>
#include <asm/tsc.h>

#include "compat.h"
#include <vrh/param.h>

#include "pvclock_rh.h"

enum { PVC_RESYNC_OFF, PVC_RESYNC_EVENT, PVC_RESYNC_STEP };

static const char *const pvc_resync_words[] = { "off", "event", "step", NULL };

VRH_PARAM_CHOICE(resync, PVC_RESYNC_EVENT, pvc_resync_words, "off, event, step", 0644,
		 "what to do if the wall time is wrong after the guest stood still: off, event: tell, step: set it to the host's (default event)");

VRH_PARAM_UINT(resync_limit_ms, 500, 1, 3600000, 0644,
	       "wall time is wrong if it is so far from the host's, ms, 1 to 3600000 (default 500)");

enum { PVC_GUARD_OFF, PVC_GUARD_EVENT, PVC_GUARD_FALLBACK };

static const char *const pvc_guard_words[] = { "off", "event", "fallback", NULL };

VRH_PARAM_CHOICE(tsc_guard, PVC_GUARD_EVENT, pvc_guard_words, "off, event, fallback", 0644,
		 "what to do if the TSC is no good as a clock any more: off, event: tell, fallback: the kernel gives it up until the next boot (default event)");

/*
 * So far from the frequency that the kernel found at boot the TSC is still a clock, ppm:
 * what a time daemon can correct. Hosts move a guest without scaling its TSC to one that
 * is up to 250 away.
 */
#define PVC_GUARD_PPM 500

/* The two times that are compared are read within so many ns, or again, so often. */
#define PVC_WALL_WITHIN NSEC_PER_MSEC
#define PVC_WALL_TRIES 10

/* How far the wall time is behind the host's, ns. False: nobody knows. */
static bool pvc_wall_behind(s64 *behind)
{
	struct pvc_reading r;
	unsigned int tries;
	u64 before, after;
	u64 epoch;

	if (pvc_wall_epoch(&epoch))
		return false;
	/* The guest may stand still, or run something else, between the two. */
	for (tries = 0; tries < PVC_WALL_TRIES; tries++) {
		before = ktime_get_real_ns();
		if (pvc_page_sample(&r))
			return false;
		after = ktime_get_real_ns();
		*behind = epoch + r.ns - after;
		if (after - before <= PVC_WALL_WITHIN)
			return true;
	}
	return false;
}

static void pvc_resync(const struct pvclock_rh_event *cause)
{
	struct pvclock_rh_event event = *cause;
	unsigned int mode = READ_ONCE(resync);
	struct timespec64 right;
	s64 behind;
	int err;

	if (mode == PVC_RESYNC_OFF || !pvc_wall_behind(&behind) ||
	    abs(behind) <= (s64)READ_ONCE(resync_limit_ms) * NSEC_PER_MSEC)
		return;
	event.class = PVCLOCK_RH_WALL;
	event.jump_ns = behind;
	event.downtime_ns = 0;
	if (mode == PVC_RESYNC_STEP) {
		right = ns_to_timespec64(ktime_get_real_ns() + behind);
		err = do_settimeofday64(&right);
		if (err)
			pr_err("the wall time cannot be moved by %lld ms (error %d)\n",
			       div_s64(behind, NSEC_PER_MSEC), err);
		else
			event.class = PVCLOCK_RH_WALL_STEP;
	}
	pvc_event_tell(&event);
}

/* Is @khz so far from what the kernel takes the TSC for that no daemon can correct it? */
static bool pvc_tsc_wrong(u32 khz)
{
	u64 off = khz > tsc_khz ? khz - tsc_khz : tsc_khz - khz;

	return tsc_khz && off * USEC_PER_SEC > (u64)tsc_khz * PVC_GUARD_PPM;
}

static void pvc_guard(const struct pvclock_rh_event *cause, bool back)
{
	struct pvclock_rh_event event = *cause;
	unsigned int mode = READ_ONCE(tsc_guard);

	if (mode == PVC_GUARD_OFF)
		return;
	if (!back && !(cause->class == PVCLOCK_RH_RATE && pvc_tsc_wrong(cause->tsc_khz)))
		return;
	if (check_tsc_unstable())
		return;
	event.class = PVCLOCK_RH_TSC_BAD;
	event.jump_ns = 0;
	event.downtime_ns = 0;
	if (mode == PVC_GUARD_FALLBACK)
		mark_tsc_unstable(KBUILD_MODNAME ": the host changed it");
	pvc_event_tell(&event);
}

/**
 * pvc_react() - do about an event what the administrator wants
 * @event: an event that has been told
 * @tsc_back: the TSC is before where it was
 *
 * Context: the events' work.
 */
void pvc_react(const struct pvclock_rh_event *event, bool tsc_back)
{
	pvc_guard(event, tsc_back);
	switch (event->class) {
	case PVCLOCK_RH_PAUSE:
	case PVCLOCK_RH_RESTORE:
	case PVCLOCK_RH_CATCH_UP:
	case PVCLOCK_RH_TSC_STEP:
		pvc_resync(event);
		break;
	default:
		break;
	}
}
