/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What pvclock_rh offers other modules. They look its functions up with symbol_get()
 * and do without where it is not loaded: no module of the suite needs another.
 */
#ifndef PVCLOCK_RH_API_H
#define PVCLOCK_RH_API_H

#include <linux/types.h>

struct notifier_block;

/**
 * enum pvclock_rh_class - what happened to the clock
 * @PVCLOCK_RH_PAUSE: the guest stood still and its clock with it, the TSC went on
 * @PVCLOCK_RH_RESTORE: clock and TSC stood still, real time went on: the guest was
 *	saved and loaded, or migrated
 * @PVCLOCK_RH_CATCH_UP: the host moved the clock ahead, by what the guest had missed
 * @PVCLOCK_RH_TSC_STEP: the TSC was moved, the clock was not
 * @PVCLOCK_RH_RATE: the TSC has another frequency
 * @PVCLOCK_RH_STABLE: the pages of all CPUs tell the same time from now on, or no more
 * @PVCLOCK_RH_WALL: the guest's wall time is behind the host's by jump_ns
 * @PVCLOCK_RH_WALL_STEP: it was, and has been set to the host's
 * @PVCLOCK_RH_TSC_BAD: the TSC is no good as a clock any more
 */
enum pvclock_rh_class {
	PVCLOCK_RH_PAUSE,
	PVCLOCK_RH_RESTORE,
	PVCLOCK_RH_CATCH_UP,
	PVCLOCK_RH_TSC_STEP,
	PVCLOCK_RH_RATE,
	PVCLOCK_RH_STABLE,
	PVCLOCK_RH_WALL,
	PVCLOCK_RH_WALL_STEP,
	PVCLOCK_RH_TSC_BAD,
	PVCLOCK_RH_CLASSES
};

/**
 * struct pvclock_rh_event - one event
 * @seq: number of the event since the module was loaded, from 1
 * @class: what it was
 * @stable: the host's stable bit from then on
 * @tsc_khz: frequency of the TSC from then on, kHz
 * @clock_ns: the clock when it was found, ns since the virtual machine's start
 * @jump_ns: how far the clock moved against the TSC, ns; negative: the clock fell behind.
 *	Of wall time: how far it was behind the host's
 * @downtime_ns: how long the guest stood still, ns, as far as the host's clock pages tell
 */
struct pvclock_rh_event {
	u64 seq;
	enum pvclock_rh_class class;
	bool stable;
	u32 tsc_khz;
	u64 clock_ns;
	s64 jump_ns;
	s64 downtime_ns;
};

u64 pvclock_rh_now(void);
u64 pvclock_rh_paused_ns(void);
int pvclock_rh_host_real(u64 *ns);
int pvclock_rh_register_event(struct notifier_block *nb);
int pvclock_rh_unregister_event(struct notifier_block *nb);

#endif
