/* SPDX-License-Identifier: GPL-2.0-only */
/* A run of the hostile mode: hostile.c starts and shows it, round.c is one device of it. */
#ifndef VRH_SIMDEV_HOSTILE_H
#define VRH_SIMDEV_HOSTILE_H

#include <linux/sched.h>
#include <linux/spinlock.h>

#include "core.h"

/**
 * struct sim_tally - what a run has come to
 * @phase: what it is doing
 * @round: of the device
 * @drawn: actions drawn
 * @vain: of those, drawn for a device that was not there to do them: no driver took it,
 *	the driver has given it up, it is gone
 * @done: actions that the device has done, or armed
 * @met: actions done at once, and rules applied to something that the driver asked for
 * @rounds: devices made
 * @no_driver: devices that no driver took to DRIVER_OK
 * @dead: devices that their driver did nothing with any more, before the round was over
 * @stalls: times that the driver got what was held, as it did nothing
 * @pulled: devices that were pulled out in probe or remove, as the driver did nothing
 * @used: buffers used
 * @violations: by the drivers
 * @violation: the first one
 * @violation_round: and when
 * @digest: of all drawn options and actions
 * @ns: how long the run took so far
 * @plug_ns: of this, for making and plugging devices
 * @found_ns: until programs had found them
 * @act_ns: for drawing and doing actions
 * @wait_ns: for waiting until the driver has met them
 * @unplug_ns: for unplugging
 * @by_op: @met by operation
 */
struct sim_tally {
	const char *phase;
	u64 round;
	u64 drawn;
	u64 vain;
	u64 done;
	u64 met;
	u64 rounds;
	u64 no_driver;
	u64 dead;
	u64 stalls;
	u64 pulled;
	u64 used;
	u64 violations;
	char violation[160];
	u64 violation_round;
	u32 digest;
	u64 ns;
	u64 plug_ns;
	u64 found_ns;
	u64 act_ns;
	u64 wait_ns;
	u64 unplug_ns;
	u64 by_op[SIM_OPS_MAX];
};

/**
 * struct sim_hostile - a run of the hostile mode
 * @model: type of device
 * @seed: where all chance comes from
 * @actions: actions to draw
 * @met: or to be met, whatever is first
 * @thread: runs it, or NULL
 * @finished: it has done all
 * @holding: it has a reference to this module
 * @tally: the thread's
 * @lock: protects @shown
 * @shown: @tally, for readers, some time ago
 */
struct sim_hostile {
	const struct sim_model *model;
	u64 seed;
	u64 actions;
	u64 met;
	struct task_struct *thread;
	bool finished;
	unsigned long holding;
	struct sim_tally tally;
	/* See above. */
	spinlock_t lock;
	struct sim_tally shown;
};

/* hostile.c */

void sim_tally_show(struct sim_hostile *h, const char *phase);

/* round.c */

int sim_round(struct sim_hostile *h, u64 number);

#endif
