// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the balloon should do next: target, floor, step sizes, pauses. Numbers
 * in, a decision out; this file touches no device, no page and no clock, so
 * that KUnit can try every case.
 */
#include <linux/kernel.h>
#include <linux/limits.h>
#include <linux/minmax.h>
#include <linux/sizes.h>

#include "virtio_balloon_rh.h"

/*
 * The automatic floor. Linux itself keeps 1/32 of free memory back for an admin
 * to log in and repair (vm.user_reserve_kbytes), so a host gets the rest. The
 * lower bound: with 51 to 63 MiB left the in-tree driver was measured to spin
 * between inflating and the OOM notifier. The upper bound: beyond 256 MiB more
 * reserve helps no login, and it is memory the host asked for.
 */
#define FLOOR_SHARE	32
#define FLOOR_MIN	(64UL * SZ_1M)
#define FLOOR_MAX	(256UL * SZ_1M)

/*
 * Steps near the floor wait until a whole buffer of PFNs fits: a notification
 * costs an exit whether it carries one page or 256.
 */
#define WORTHWHILE	(VBAL_BUFFER_PFNS / VBAL_UNITS_PER_PAGE)

/* First and last pause after a step that could not be done. */
#define BACKOFF_MIN_MS	200
#define BACKOFF_SHIFT	5

/*
 * An OOM killer that came this close would come again at once if the balloon
 * took the memory back: leave it alone for 5 s, then for twice as long each
 * time that it comes back, up to 80 s. Calls within one second belong together:
 * one shortage makes the kernel ask several times.
 */
#define OOM_PAUSE_MS	5000
#define OOM_LEVEL_MAX	4
#define OOM_EPISODE_MS	1000

/*
 * Each OOM call comes after reclaim has failed several times, when the guest
 * has thrown out the code it is running: 6 s lay between two calls in a guest
 * with its programs on 9p. So a call gets back enough for the next moments, or
 * an eighth of a large balloon; what was too much goes back after the pause.
 */
#define OOM_CHUNK	(64UL * SZ_1M / PAGE_SIZE)
#define OOM_SHARE	8

/**
 * vbal_target_pages() - what the host wants, in pages of the guest
 * @num_pages: from config space, units of 4 KiB; any value can come
 * @total: pages the guest has while the balloon is empty
 *
 * Rounded up to a whole page, or a device that counts in smaller units would
 * make the balloon inflate and deflate in turn. More than the guest has cannot
 * be meant.
 *
 * Return: pages, at most @total.
 */
unsigned long vbal_target_pages(u32 num_pages, unsigned long total)
{
	unsigned long pages = num_pages / VBAL_UNITS_PER_PAGE;

	if (num_pages % VBAL_UNITS_PER_PAGE)
		pages++;
	return min(pages, total);
}

/**
 * vbal_actual_units() - the size of the balloon as config space has it
 * @pages: pages of the guest
 *
 * Return: units of 4 KiB, saturated at what the 32-bit field can say.
 */
u32 vbal_actual_units(unsigned long pages)
{
	return min_t(u64, (u64)pages * VBAL_UNITS_PER_PAGE, U32_MAX);
}

/**
 * vbal_floor_pages() - how much memory must stay available to the guest
 * @floor_mb: what the user set, MiB; negative for the automatic floor
 * @total: pages the guest has while the balloon is empty
 *
 * Return: pages, compared with MemAvailable.
 */
unsigned long vbal_floor_pages(int floor_mb, unsigned long total)
{
	if (floor_mb >= 0)
		return (unsigned long)floor_mb * (SZ_1M / PAGE_SIZE);
	return clamp(total / FLOOR_SHARE, FLOOR_MIN / PAGE_SIZE, FLOOR_MAX / PAGE_SIZE);
}

/**
 * vbal_decide() - the next step of the balloon
 * @v: what is known now
 *
 * Deflating is never held back. Inflating is: by a recent OOM, and by the
 * floor, so that a target that cannot be reached leaves a guest that works.
 *
 * Return: what to do, how many pages at most, and why nothing if so.
 */
struct vbal_decision vbal_decide(const struct vbal_view *v)
{
	unsigned long have = v->held + v->pending;
	unsigned long want, room;

	if (v->target < have)
		return (struct vbal_decision) {
			.action = v->held ? VBAL_DEFLATE : VBAL_WAIT_HOST,
			.pages = min3(have - v->target, v->held, v->step),
		};
	if (v->target == have)
		return (struct vbal_decision) {
			.action = v->pending ? VBAL_WAIT_HOST : VBAL_REST,
		};
	if (v->oom_paused)
		return (struct vbal_decision) { .action = VBAL_WAIT_OOM };

	want = min(v->target - have, v->step);
	room = v->available > v->floor ? v->available - v->floor : 0;
	if (room < min_t(unsigned long, want, WORTHWHILE))
		return (struct vbal_decision) { .action = VBAL_WAIT_FLOOR };
	return (struct vbal_decision) { .action = VBAL_INFLATE, .pages = min(want, room) };
}

/**
 * vbal_backoff_ms() - how long to wait after steps that failed
 * @failures: how many in a row, 1 for the first
 *
 * Return: 200 ms, doubling up to 6.4 s: nothing tells a driver that memory
 * became available or that a host woke up, and a look costs microseconds.
 */
unsigned int vbal_backoff_ms(unsigned int failures)
{
	unsigned int shift = failures ? failures - 1 : 0;

	return BACKOFF_MIN_MS << min_t(unsigned int, shift, BACKOFF_SHIFT);
}

/**
 * vbal_oom_chunk() - how much an OOM call gets back
 * @held: pages in the balloon
 *
 * Return: pages, at most @held.
 */
unsigned long vbal_oom_chunk(unsigned long held)
{
	return min(max(OOM_CHUNK, held / OOM_SHARE), held);
}

/**
 * vbal_oom_pause_ms() - how long not to inflate after an OOM call
 * @level: how often it recurred, from vbal_oom_level()
 *
 * Return: milliseconds.
 */
unsigned int vbal_oom_pause_ms(unsigned int level)
{
	return OOM_PAUSE_MS << min_t(unsigned int, level, OOM_LEVEL_MAX);
}

/**
 * vbal_oom_level() - judge an OOM call by the time since the one before
 * @level: level of the call before
 * @since_ms: how long ago that was; ULONG_MAX if there was none
 *
 * Return: the same level for the same shortage, one more if the balloon's next
 * try to inflate brought the shortage back, 0 if it is an old story.
 */
unsigned int vbal_oom_level(unsigned int level, unsigned long since_ms)
{
	if (since_ms < OOM_EPISODE_MS)
		return level;
	if (since_ms < 2UL * vbal_oom_pause_ms(level))
		return min_t(unsigned int, level + 1, OOM_LEVEL_MAX);
	return 0;
}
