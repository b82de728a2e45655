// SPDX-License-Identifier: GPL-2.0-only
/*
 * The part of the clock's arithmetic that a read on a good host does not need:
 * the clamp, and the TSC frequency. Pure like clock_math.h: touches nothing
 * but its arguments.
 */
#include "clock_math.h"

/**
 * pvc_clamp() - never hand out less than was handed out before
 * @last: the largest value handed out on any CPU, ns; shared by all readers
 * @ns: what this CPU read
 *
 * Without the stable bit each virtual CPU's page was made at another moment of
 * another host CPU, and the pages differ by up to some microseconds. The first
 * CPU to read sets the time; a CPU behind it repeats that until it has caught
 * up. The loop ends: a failed exchange means that @last grew.
 *
 * Context: any, also NMI.
 * Return: @ns, or the larger value that another reader got before.
 */
u64 notrace pvc_clamp(atomic64_t *last, u64 ns)
{
	s64 seen = atomic64_read(last);

	do {
		if (ns <= (u64)seen)
			return seen;
	} while (!atomic64_try_cmpxchg(last, &seen, ns));

	return ns;
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
