// SPDX-License-Identifier: GPL-2.0-only
/*
 * The part of the clock's arithmetic that a read on a good host does not need:
 * the clamp, and the TSC frequency. Pure like clock_math.h: touches nothing
 * but its arguments.
 */
#include <linux/minmax.h>

#include "clock_math.h"

/**
 * pvc_note_slow() - note a reading of a stable page
 * @last: times handed out on all CPUs; see PVC_SETTLED
 * @ns: what this CPU read
 *
 * From here on readings up to PVC_LAG_NSEC later are not noted. A reading that is
 * before what was noted is repeated from there: another reader was faster, or
 * pages that were not stable ran ahead of the stable ones, or the host set its
 * clock back.
 *
 * Context: any, also NMI.
 * Return: @ns, or the larger value that was noted before.
 */
u64 notrace pvc_note_slow(atomic64_t *last, u64 ns)
{
	s64 seen = atomic64_read(last);
	u64 most;

	/* Readings up to that were handed out, maybe some beyond it; no more will be. */
	if (unlikely(ns > PVC_NS_MAX))
		return pvc_clamp(last, ns);

	do {
		most = seen & ~PVC_SETTLED;
		if (ns <= most)
			return most;
	} while (!atomic64_try_cmpxchg(last, &seen, ns));

	return ns;
}

/**
 * pvc_clamp() - never hand out less than was handed out before
 * @last: times handed out on all CPUs; see PVC_SETTLED
 * @ns: what this CPU read; 0 if it could not read
 *
 * Without the stable bit each virtual CPU's page was made at another moment of
 * another host CPU, and the pages differ by up to some microseconds. The first
 * CPU to read sets the time; a CPU behind it repeats that until it has caught
 * up. The loops end: a failed exchange means that another reader came through.
 *
 * The first reading after stable ones does not know what they were, only that
 * none was later than PVC_LAG_NSEC after the last that was noted. That is where
 * time goes on from: ahead of the host by up to a tick, and standing still until the
 * host is there. Programs can bear that; they cannot bear a step back. A CPU that still
 * has a stable page then finds PVC_SETTLED and cannot hand out less either.
 *
 * Context: any, also NMI.
 * Return: @ns, or the larger value that other readers may have got before.
 */
u64 notrace pvc_clamp(atomic64_t *last, u64 ns)
{
	s64 seen = atomic64_read(last);
	u64 most;

	ns = min_t(u64, ns, PVC_NS_MAX);
	do {
		most = seen & ~PVC_SETTLED;
		if (!(seen & PVC_SETTLED))
			most += PVC_LAG_NSEC;
		else if (ns <= most)
			return most;
		most = max(ns, most);
	} while (!atomic64_try_cmpxchg(last, &seen, most | PVC_SETTLED));

	return most;
}

/**
 * pvc_tsc_khz() - the TSC frequency that a page stands for
 * @mul: multiplier of the page
 * @shift: shift of the page
 *
 * ns = ticks * 2^shift * mul / 2^32, so 10^6 ns pass in
 * 10^6 * 2^32 / (mul * 2^shift) ticks.
 *
 * Return: kHz, rounded down as the kernel does; 0 if the page makes no sense or
 *	the frequency is beyond 32 bits.
 */
u32 pvc_tsc_khz(u32 mul, s8 shift)
{
	u64 khz;

	if (!pvc_params_valid(mul, shift))
		return 0;

	/* Below 2^52, so only the shift to the left can overflow. */
	khz = div_u64(1000000ULL << 32, mul);
	if (shift < 0)
		khz = khz > (u64)U32_MAX >> -shift ? 0 : khz << -shift;
	else
		khz >>= shift;

	return khz <= U32_MAX ? khz : 0;
}
