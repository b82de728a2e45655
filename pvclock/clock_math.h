/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The protocol and the arithmetic of a pvclock page: a plain struct in, numbers
 * out. Knows no CPU, no device and no kernel page, so that KUnit can play the
 * host. What every clock read runs is inline here; the rest is in clock_math.c.
 *
 * The host writes a page like this: it makes the version odd, writes the
 * fields, makes the version even again. It does so while the virtual CPU that
 * owns the page is not running, so a reader on that CPU sees at most the
 * version change under its hands.
 */
#ifndef PVC_CLOCK_MATH_H
#define PVC_CLOCK_MATH_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/compiler.h>
#include <linux/jiffies.h>
#include <linux/limits.h>
#include <linux/math64.h>
#include <linux/types.h>
#include <asm/barrier.h>
#include <asm/pvclock-abi.h>

/* The wire format: Documentation/virt/kvm/x86/msr.rst, MSR_KVM_SYSTEM_TIME_NEW. */
static_assert(sizeof(struct pvclock_vcpu_time_info) == 32);
static_assert(offsetof(struct pvclock_vcpu_time_info, tsc_timestamp) == 8);
static_assert(offsetof(struct pvclock_vcpu_time_info, system_time) == 16);
static_assert(offsetof(struct pvclock_vcpu_time_info, tsc_to_system_mul) == 24);
static_assert(offsetof(struct pvclock_vcpu_time_info, flags) == 29);

/*
 * How often a read is tried. A try fails only when the virtual CPU left the
 * guest within its ten or so instructions, so two failures in a row are rare
 * already. This many take some 10 us, far less than a tick, and then the host
 * is not following the protocol.
 */
#define PVC_MAX_TRIES 1024

/*
 * No TSC needs a larger shift: with 32 bits of multiplier, 32 already stand for
 * 1 Hz or for 4 EHz. A page beyond that is not a clock.
 */
#define PVC_MAX_SHIFT 32

/*
 * How far readings of stable pages may run ahead of the largest one noted, ns.
 * To note one costs every CPU a cache miss, so it is done once a tick. The
 * price is paid where the pages stop being stable: see pvc_clamp().
 */
#define PVC_LAG_NSEC ((u64)TICK_NSEC)

/*
 * What is known about the times handed out is one word, so that a reader learns
 * and changes it in one step. The low bits are the largest time noted. With this
 * bit nobody was given more; without it, readers of stable pages may have been
 * given up to PVC_LAG_NSEC more.
 */
#define PVC_SETTLED BIT_ULL(63)

/*
 * No later time is noted, so that none comes near PVC_SETTLED: 146 years after the
 * virtual machine's start. The kernel's ktime_t ends at twice that.
 *
 * Only a host that lies has later ones, and then time is what it says. Most of them take
 * the clock to this value, where it stands until a resume. But one that is 2^63 ns, to a
 * tick, after what is noted with PVC_SETTLED passes pvc_note(), and the true one after it
 * is a step back. To look for that would cost every clock read an instruction or two more.
 */
#define PVC_NS_MAX (BIT_ULL(62) - 1)

/**
 * struct pvc_reading - one consistent look at a pvclock page
 * @ns: host's monotonic time of this virtual machine, ns
 * @tsc: TSC value that @ns was computed from
 * @tsc_timestamp: TSC when the host wrote the page
 * @system_time: ns when the host wrote the page
 * @version: version of the page, even
 * @mul: ns = ticks * @mul / 2^32, after the shift
 * @retries: tries that failed before this one
 * @shift: shift of the ticks before the multiplication, left if positive
 * @flags: PVCLOCK_TSC_STABLE_BIT, PVCLOCK_GUEST_STOPPED
 * @behind: the TSC stood before @tsc_timestamp, so @ns is @system_time
 */
struct pvc_reading {
	u64 ns;
	u64 tsc;
	u64 tsc_timestamp;
	u64 system_time;
	u32 version;
	u32 mul;
	u32 retries;
	s8 shift;
	u8 flags;
	bool behind;
};

/**
 * pvc_params_valid() - can these numbers belong to a clock?
 * @mul: multiplier; 0 means that the host has not written the page yet
 * @shift: shift
 *
 * Return: true if they can.
 */
static __always_inline bool pvc_params_valid(u32 mul, s8 shift)
{
	return mul && shift >= -PVC_MAX_SHIFT && shift <= PVC_MAX_SHIFT;
}

/**
 * pvc_flags_stable() - do the pages of all CPUs tell the same time?
 * @flags: flags of a page
 * @valid: the host says that PVCLOCK_TSC_STABLE_BIT means something
 *	(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT); old hosts left junk there
 *
 * Return: true if they do, so that no clamp is needed.
 */
static __always_inline bool pvc_flags_stable(u8 flags, bool valid)
{
	return valid && (flags & PVCLOCK_TSC_STABLE_BIT);
}

/**
 * pvc_scale() - TSC ticks to ns
 * @ticks: TSC ticks
 * @mul: multiplier of the page
 * @shift: shift of the page, within PVC_MAX_SHIFT either way
 *
 * To the bit what the kernel's own reader computes, as long as that does not
 * overflow: the shift truncates first. An overflow saturates instead of
 * wrapping, which would be a step back.
 *
 * Return: ns.
 */
static __always_inline u64 pvc_scale(u64 ticks, u32 mul, s8 shift)
{
	if (shift < 0)
		ticks >>= -shift;
	else if (unlikely(ticks > U64_MAX >> shift))
		ticks = U64_MAX;
	else
		ticks <<= shift;

	return mul_u64_u32_shr(ticks, mul, 32);
}

/**
 * pvc_project() - the time of a TSC value
 * @tsc: TSC value
 * @tsc_timestamp: TSC of the page
 * @system_time: ns of the page
 * @mul: multiplier of the page
 * @shift: shift of the page, within PVC_MAX_SHIFT either way
 * @behind: receives whether @tsc lies before @tsc_timestamp
 *
 * A TSC before the page's (TSCs of the host's CPUs that do not agree, or a
 * guest that wrote its TSC) gives the time of the page: the page was written
 * before it was read, so that is the best lower bound there is. The kernel's
 * own reader takes such a difference for 2^64 ticks less a few.
 *
 * Return: ns.
 */
static __always_inline u64 pvc_project(u64 tsc, u64 tsc_timestamp, u64 system_time, u32 mul,
				       s8 shift, bool *behind)
{
	u64 ticks = tsc - tsc_timestamp;
	u64 ns;

	*behind = (s64)ticks < 0;
	if (unlikely(*behind))
		return system_time;

	ns = system_time + pvc_scale(ticks, mul, shift);
	return likely(ns >= system_time) ? ns : U64_MAX;
}

/**
 * pvc_try_read() - one try at reading a page
 * @page: page that the host may be writing
 * @read_tsc: ordered read of the TSC; called once, between the two looks at
 *	the version
 * @r: receives the fields of the page and the TSC; garbage if the try failed
 *
 * Return: true if the host did not write meanwhile.
 */
static __always_inline bool pvc_try_read(const struct pvclock_vcpu_time_info *page,
					 u64 (*read_tsc)(void), struct pvc_reading *r)
{
	u32 version = READ_ONCE(page->version);

	/* The version must be read before the fields that it vouches for. */
	virt_rmb();
	r->tsc_timestamp = READ_ONCE(page->tsc_timestamp);
	r->system_time = READ_ONCE(page->system_time);
	r->mul = READ_ONCE(page->tsc_to_system_mul);
	r->shift = READ_ONCE(page->tsc_shift);
	r->flags = READ_ONCE(page->flags);
	r->version = version;
	/* The TSC belongs inside: a page that changed here does not fit it. */
	r->tsc = read_tsc();
	/* And the version again, after all of them. */
	virt_rmb();
	return !(version & 1) && READ_ONCE(page->version) == version;
}

/**
 * pvc_read() - read a page, trying again while the host writes it
 * @page: page that the host may be writing
 * @read_tsc: ordered read of the TSC
 * @r: receives the reading
 *
 * Context: any; preemption disabled if @page is the running CPU's.
 * Return: false if the page stayed inconsistent for PVC_MAX_TRIES tries or holds
 *	numbers that no clock has; @r->ns is then meaningless.
 */
static __always_inline bool pvc_read(const struct pvclock_vcpu_time_info *page,
				     u64 (*read_tsc)(void), struct pvc_reading *r)
{
	r->retries = 0;
	while (unlikely(!pvc_try_read(page, read_tsc, r)))
		if (++r->retries == PVC_MAX_TRIES)
			return false;
	if (unlikely(!pvc_params_valid(r->mul, r->shift)))
		return false;

	r->ns = pvc_project(r->tsc, r->tsc_timestamp, r->system_time, r->mul, r->shift,
			    &r->behind);
	return true;
}

u64 pvc_note_slow(atomic64_t *last, u64 ns);
u64 pvc_clamp(atomic64_t *last, u64 ns);

/**
 * pvc_note() - hand out a reading of a stable page
 * @last: times handed out on all CPUs; see PVC_SETTLED
 * @ns: what this CPU read
 *
 * One comparison tells that nothing has to be done: a reading before @last wraps
 * and is as far off as one that is due to be noted, and PVC_SETTLED in @last makes
 * every reading so up to PVC_NS_MAX, behind which see there.
 *
 * Context: any, also NMI.
 * Return: @ns, or the larger value that was noted before.
 */
static __always_inline u64 pvc_note(atomic64_t *last, u64 ns)
{
	if (likely(ns - (u64)atomic64_read(last) <= PVC_LAG_NSEC))
		return ns;

	return pvc_note_slow(last, ns);
}

u32 pvc_tsc_khz(u32 mul, s8 shift);

#endif
