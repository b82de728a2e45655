/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What two looks at a clock page say about the time between them. Pure like
 * clock_math.h: numbers in, numbers out.
 */
#ifndef PVC_EVENT_MATH_H
#define PVC_EVENT_MATH_H

#include <linux/time64.h>

#include "clock_math.h"
#include "include/pvclock_rh.h"

/*
 * Smaller jumps are no events, ns. A host that writes its pages again for reasons of its
 * own (a virtual CPU that moves) moves the clock by microseconds, and by what its own clock
 * and the TSC's nominal frequency have drifted apart since it wrote them last: tens of ppm,
 * every 300 s on a host of 6.1. A pause that is shorter than that drift is no news either.
 */
#define PVC_JUMP_MIN_NSEC NSEC_PER_MSEC
#define PVC_JUMP_DRIFT_PPM 50
#define PVC_JUMP_DRIFT_MAX_NSEC (50 * NSEC_PER_MSEC)

/*
 * How exact the difference of two readings of the wall-clock page is, ns: each is a pair
 * of clocks that a host of 6.1 reads one after the other, and may be interrupted between.
 */
#define PVC_EPOCH_ERROR_NSEC (2 * NSEC_PER_MSEC)

/* And how fast the host's two clocks may drift apart: NTP slews by 500 ppm at most. */
#define PVC_EPOCH_DRIFT_PPM 500

s64 pvc_jump(const struct pvc_reading *before, const struct pvc_reading *after);
u64 pvc_jump_min(const struct pvc_reading *before, const struct pvc_reading *after);
u64 pvc_epoch_error(u64 ns);

/**
 * struct pvc_change - what is known of a rewritten page
 * @jump: how far the clock moved against the TSC, ns; 0 if not far enough to count
 * @epoch: how far real time moved against the clock, ns
 * @epoch_error: that is exact to so many ns
 * @epoch_known: @epoch means something
 * @tsc_back: the TSC was moved to before what it had been
 */
struct pvc_change {
	s64 jump;
	s64 epoch;
	u64 epoch_error;
	bool epoch_known;
	bool tsc_back;
};

bool pvc_classify(const struct pvc_change *c, enum pvclock_rh_class *class, s64 *downtime);

#endif
