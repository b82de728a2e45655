// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tells what happened to a clock from how it moved against the TSC and against real
 * time. Touches nothing but its arguments.
 */
#include <linux/minmax.h>
#include <linux/overflow.h>

#include "event_math.h"

/* The sum, as far as 64 bits go. */
static s64 pvc_add(s64 a, s64 b)
{
	s64 sum;

	if (check_add_overflow(a, b, &sum))
		return a < 0 ? S64_MIN : S64_MAX;
	return sum;
}

/* The difference a - b of two unsigned times, as far as 64 bits go. */
static s64 pvc_diff(u64 a, u64 b)
{
	if (a >= b)
		return min_t(u64, a - b, S64_MAX);
	return -(s64)min_t(u64, b - a, S64_MAX);
}

/**
 * pvc_jump() - how far a clock moved against the TSC
 * @before: a reading, with numbers that a clock can have
 * @after: a later one, after the host wrote the page again
 *
 * What @before says of the TSC value for which the host wrote @after, against what the
 * host wrote. The TSC may have been moved back.
 *
 * Return: ns; negative if the clock fell behind. Saturates.
 */
s64 pvc_jump(const struct pvc_reading *before, const struct pvc_reading *after)
{
	u64 ticks = after->tsc_timestamp - before->tsc_timestamp;
	bool back = (s64)ticks < 0;
	s64 moved = pvc_diff(after->system_time, before->system_time);
	u64 ns = pvc_scale(back ? -ticks : ticks, before->mul, before->shift);
	s64 expected = min_t(u64, ns, S64_MAX);

	return pvc_add(moved, back ? expected : -expected);
}

/**
 * pvc_jump_min() - how far a clock must move for an event
 * @before: a reading
 * @after: a later one, after the host wrote the page again
 *
 * Return: ns.
 */
u64 pvc_jump_min(const struct pvc_reading *before, const struct pvc_reading *after)
{
	s64 between = pvc_diff(after->system_time, before->system_time);
	u64 drift = div_u64(abs(between), USEC_PER_SEC / PVC_JUMP_DRIFT_PPM);

	return PVC_JUMP_MIN_NSEC + min_t(u64, drift, PVC_JUMP_DRIFT_MAX_NSEC);
}

/**
 * pvc_epoch_error() - how exact a difference of two wall-clock readings is
 * @ns: time between them, ns
 *
 * Return: ns.
 */
u64 pvc_epoch_error(u64 ns)
{
	return PVC_EPOCH_ERROR_NSEC + div_u64(ns, USEC_PER_SEC / PVC_EPOCH_DRIFT_PPM);
}

/**
 * pvc_classify() - what happened
 * @c: what is known
 * @class: receives what it was
 * @downtime: receives how long the guest stood still, ns, 0 if it did not
 *
 * Return: false if time went on as ever.
 */
bool pvc_classify(const struct pvc_change *c, enum pvclock_rh_class *class, s64 *downtime)
{
	s64 error = min_t(u64, c->epoch_error, S64_MAX);
	bool lost = c->epoch_known && c->epoch > error;
	bool longer;
	s64 stood;

	*downtime = 0;
	if (c->tsc_back) {
		*class = PVCLOCK_RH_TSC_STEP;
		*downtime = lost ? c->epoch : 0;
		return true;
	}
	if (c->jump > 0) {
		*class = PVCLOCK_RH_CATCH_UP;
		*downtime = lost ? pvc_add(c->jump, c->epoch) : c->jump;
		return true;
	}
	if (!c->jump) {
		*class = PVCLOCK_RH_RESTORE;
		*downtime = c->epoch;
		return lost;
	}
	/* It fell behind the TSC. If it did not fall behind real time too, the TSC was moved. */
	stood = c->jump == S64_MIN ? S64_MAX : -c->jump;
	if (c->epoch_known && c->epoch < pvc_add(stood, -error)) {
		*class = PVCLOCK_RH_TSC_STEP;
		return true;
	}
	/* More than the TSC knows of: it stood still for a part of it. */
	longer = c->epoch_known && c->epoch > pvc_add(stood, error);
	*class = longer ? PVCLOCK_RH_RESTORE : PVCLOCK_RH_PAUSE;
	*downtime = longer ? c->epoch : stood;
	return true;
}
