/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The simulated memory balloon (VIRTIO 1.3, 5.5). The first part is for KUnit suites:
 * what it can be told to do and what it can be asked. The second is between its files:
 * balloon.c, balloon_config.c, balloon_pages.c and balloon_free.c.
 */
#ifndef VRH_SIM_BALLOON_H
#define VRH_SIM_BALLOON_H

#include <linux/list.h>
#include <linux/types.h>
#include <linux/virtio_balloon.h>

#include "simdev.h"

/* Statistics are numbered 0 to 15 by Linux from 6.12 on, 0 to 9 by the specification. */
#define SIM_BALLOON_TAGS 16

/**
 * enum sim_balloon_op - the balloon's own operations, with their names in scripts
 * @SIM_BALLOON_TARGET: "target": num_pages becomes @value, units of 4 KiB
 * @SIM_BALLOON_POLL: "poll": asks for statistics; -EAGAIN while the driver has the buffer
 * @SIM_BALLOON_HINT: "hint": @value is one of enum sim_balloon_hint; -EAGAIN before
 *	DRIVER_OK or without FREE_PAGE_HINT
 * @SIM_BALLOON_POISON: "poison": poison_val becomes @value, also by each reset from now on
 * @SIM_BALLOON_HOLD_REPORT: "holdreport": reports are kept from now on (@value is 1), or
 *	all are answered, now and from now on (0)
 */
enum sim_balloon_op {
	SIM_BALLOON_TARGET = SIM_MODEL,
	SIM_BALLOON_POLL,
	SIM_BALLOON_HINT,
	SIM_BALLOON_POISON,
	SIM_BALLOON_HOLD_REPORT,
};

/**
 * enum sim_balloon_hint - what to say about free page hints
 * @SIM_BALLOON_HINT_START: hints are welcome, under a new command ID
 * @SIM_BALLOON_HINT_STOP: no more of them; the driver keeps the pages
 * @SIM_BALLOON_HINT_DONE: the driver may use its pages again
 */
enum sim_balloon_hint {
	SIM_BALLOON_HINT_START,
	SIM_BALLOON_HINT_STOP,
	SIM_BALLOON_HINT_DONE,
};

/**
 * struct sim_balloon_counts - what happened since the device was created
 * @pages: in the balloon now, units of 4 KiB
 * @inflated: units that came in
 * @deflated: units that went out; those that a reset forgot are in neither
 * @touched: units that were found written to, or freed, while they were in
 * @actual_writes: times that the driver wrote the field actual; writes in a row that
 *	the device sees at once are one
 * @actual_differs: of those, how often it was not @pages though no buffer was under way
 * @stats: buffers of statistics
 * @polls: times that statistics were asked for
 * @hint_rounds: times that the driver began with the command ID of that moment
 * @hint_stops: times that it said it was at the end
 * @hinted_bytes: memory hinted under the command ID of that moment
 * @stale_bytes: memory hinted under another one
 * @reports: buffers of free pages
 * @reported_bytes: memory in them
 * @held: buffers of hints and reports that the device keeps now
 */
struct sim_balloon_counts {
	u64 pages;
	u64 inflated;
	u64 deflated;
	u64 touched;
	u64 actual_writes;
	u64 actual_differs;
	u64 stats;
	u64 polls;
	u64 hint_rounds;
	u64 hint_stops;
	u64 hinted_bytes;
	u64 stale_bytes;
	u64 reports;
	u64 reported_bytes;
	u64 held;
};

void sim_balloon_counts(struct sim_device *sim, struct sim_balloon_counts *counts);
bool sim_balloon_stat(struct sim_device *sim, unsigned int tag, u64 *value);
bool sim_balloon_has(struct sim_device *sim, u32 pfn);
int sim_balloon_check_idle(struct sim_device *sim);

/* Between the files of the balloon */

/**
 * enum sim_balloon_role - what a virtqueue is for
 * @SIM_BALLOON_INFLATE: PFNs of pages that the device gets
 * @SIM_BALLOON_DEFLATE: PFNs of pages that it gives back
 * @SIM_BALLOON_STATS: a buffer of statistics
 * @SIM_BALLOON_HINTS: free pages that need not be migrated
 * @SIM_BALLOON_REPORTS: free pages
 * @SIM_BALLOON_ROLES: how many there are
 */
enum sim_balloon_role {
	SIM_BALLOON_INFLATE,
	SIM_BALLOON_DEFLATE,
	SIM_BALLOON_STATS,
	SIM_BALLOON_HINTS,
	SIM_BALLOON_REPORTS,
	SIM_BALLOON_ROLES,
};

/**
 * struct sim_balloon_pages - which pages are in the balloon
 * @in: bitmap of those, by PFN in units of 4 KiB
 * @pending: bitmap of those whose inflation the device has not answered; only filled
 *	while a message of deflation is looked at
 * @pending_first: first bit of @pending that is set, if @pending_end is not 0
 * @pending_end: the bit after the last one that is set
 * @end: PFN behind the last one of the guest
 * @window: which words of a page the next check looks at
 * @nr: how many are in
 * @inflated: how many came in
 * @deflated: how many went out
 * @touched: of those, how many were not as the device had left them
 */
struct sim_balloon_pages {
	unsigned long *in;
	unsigned long *pending;
	u32 pending_first;
	u32 pending_end;
	u32 end;
	unsigned int window;
	u64 nr;
	u64 inflated;
	u64 deflated;
	u64 touched;
};

/**
 * struct sim_balloon_state - what a balloon knows; @data of its device
 * @pages: what is in it
 * @counts: what happened; those that @pages counts are filled in when asked for
 * @role: of each virtqueue, by its index
 * @nr_queues: entries of @role
 * @ready: DRIVER_OK is set
 * @config_lies: lies about config space up to the last reset
 * @num_pages: as the device has set it
 * @cmd_id: free_page_hint_cmd_id as the device has set it
 * @poison: poison_val as the driver left it, or the device since
 * @poison_reset: poison_val after a reset
 * @stats: the buffer of statistics while the device has it, or NULL
 * @value: statistics by tag
 * @tags: bitmap of the tags that were in the last buffer
 * @first_tags: bitmap of those in the first buffer since DRIVER_OK; 0 before it
 * @hints: buffers of hints that are kept
 * @nr_hints: entries of @hints
 * @rounds: command IDs that were given out
 * @round: the command ID under which the driver hints, or 0 while it does not
 * @round_last: the one before, or the same
 * @reports: buffers of reports that are kept
 * @nr_reports: entries of @reports
 * @hold_reports: they are to be kept
 *
 * All of it is under the device's lock.
 */
struct sim_balloon_state {
	struct sim_balloon_pages pages;
	struct sim_balloon_counts counts;
	enum sim_balloon_role role[SIM_BALLOON_ROLES];
	unsigned int nr_queues;
	bool ready;
	u64 config_lies;
	u32 num_pages;
	u32 cmd_id;
	u32 poison;
	u32 poison_reset;
	struct sim_chain *stats;
	u64 value[SIM_BALLOON_TAGS];
	u32 tags;
	u32 first_tags;
	struct list_head hints;
	unsigned int nr_hints;
	u64 rounds;
	u32 round;
	u32 round_last;
	struct list_head reports;
	unsigned int nr_reports;
	bool hold_reports;
};

#define SIM_BALLOON_FIELD(field) offsetof(struct virtio_balloon_config, field)

/* balloon_config.c */
bool sim_balloon_trusts_ring(struct sim_device *sim);
bool sim_balloon_trusts_config(struct sim_device *sim);
bool sim_balloon_quiet(struct sim_device *sim);
u32 sim_balloon_field(struct sim_device *sim, unsigned int at);
void sim_balloon_set_field(struct sim_device *sim, unsigned int at, u32 value, bool interrupt);
int sim_balloon_act_target(struct sim_device *sim, u64 value);
int sim_balloon_act_poison(struct sim_device *sim, u64 value);
void sim_balloon_config_set(struct sim_device *sim, unsigned int at, unsigned int len);
void sim_balloon_config_ready(struct sim_device *sim);
void sim_balloon_config_reset(struct sim_device *sim);

/* balloon_free.c */
void sim_balloon_free_init(struct sim_balloon_state *b);
void sim_balloon_free_reset(struct sim_balloon_state *b, bool hints, bool reports);
void sim_balloon_hint(struct sim_device *sim, struct sim_queue *queue, struct sim_chain *chain);
void sim_balloon_report(struct sim_device *sim, struct sim_queue *queue,
			struct sim_chain *chain);
int sim_balloon_act_hint(struct sim_device *sim, u64 value);
int sim_balloon_act_hold(struct sim_device *sim, u64 value);

/* balloon_pages.c */
int sim_balloon_pages_init(struct sim_balloon_pages *pages);
void sim_balloon_pages_exit(struct sim_balloon_pages *pages);
void sim_balloon_pages_forget(struct sim_balloon_pages *pages);
void sim_balloon_message(struct sim_device *sim, struct sim_chain *chain, bool deflate);
bool sim_balloon_pages_overlap(const struct sim_balloon_pages *pages, u64 first, u64 nr);
u64 sim_balloon_pages_verify(struct sim_balloon_pages *pages, u32 *first);

#endif
