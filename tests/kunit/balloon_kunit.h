/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For suites of virtio_balloon_rh on the simulated device: what it is told, what both
 * sides have counted, and pages that must move untouched, or be the guest's again.
 */
#ifndef VRH_BALLOON_KUNIT_H
#define VRH_BALLOON_KUNIT_H

#include <linux/gfp.h>
#include <linux/jiffies.h>
#include <linux/kstrtox.h>
#include <linux/mm.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_ids.h>

#include "sim_kunit.h"
#include "tests/simdev/sim_balloon.h"

/* What virtio_balloon_rh negotiates of any host. */
#define SERVED								\
	(BIT_ULL(VIRTIO_BALLOON_F_MUST_TELL_HOST) | BIT_ULL(VIRTIO_BALLOON_F_STATS_VQ) |	\
	 BIT_ULL(VIRTIO_BALLOON_F_DEFLATE_ON_OOM))
/* What can be offered: hints it does not serve, the others it may have to refuse. */
#define FEATURES							\
	(SERVED | BIT_ULL(VIRTIO_BALLOON_F_FREE_PAGE_HINT) |		\
	 BIT_ULL(VIRTIO_BALLOON_F_PAGE_POISON) | BIT_ULL(VIRTIO_BALLOON_F_REPORTING))
#define ALL	(FEATURES | SIM_PACKED_FEATURES | BIT_ULL(VIRTIO_F_ACCESS_PLATFORM))

/*
 * Nothing but a test gets reports. Without DEFLATE_ON_OOM the guest counts what is in the
 * balloon as memory that it does not have, which tells whether all of it came back. With
 * every queue offered, their numbers are those of enum sim_balloon_role.
 */
#define REPORTING	(FEATURES & ~BIT_ULL(VIRTIO_BALLOON_F_DEFLATE_ON_OOM))
#define USUAL		(REPORTING & ~BIT_ULL(VIRTIO_BALLOON_F_REPORTING))

/* Two buffers, one of them not full; two full ones. */
#define SOME	300
#define FULL	512

/* More than a driver needs that has nothing to wait for but us. */
#define SOON_MS	20000
/*
 * It waits 5 s for an answer, one time for each of two queues; as much again is for a guest
 * that is slow. A wait for each buffer, or a report's minute, is longer.
 */
#define UNBIND_MS	20000

/* Pages of ours that somebody else may have by now without having written to them. */
#define STRANGERS	4

static const struct sim_options usual __maybe_unused = {
	.id = VIRTIO_ID_BALLOON,
	.features = USUAL | SIM_RING_FEATURES,
};

static const struct sim_options packed __maybe_unused = {
	.id = VIRTIO_ID_BALLOON,
	.features = USUAL | SIM_PACKED_FEATURES,
};

static const struct sim_options reporting __maybe_unused = {
	.id = VIRTIO_ID_BALLOON,
	.features = REPORTING | SIM_RING_FEATURES,
};

/* Pages that the guest has without any balloon. */
static unsigned long total;

/* Files */

static inline void write_file(struct kunit *test, const char *path, const char *text)
{
	KUNIT_EXPECT_EQ(test, sim_test_write(test, path, text), strlen(text));
}

/* A file of the driver's on its device; -1 if there is none, or it is not a number. */
static inline long counter(struct sim_device *sim, const char *name)
{
	char path[80], text[24];
	long value;

	snprintf(path, sizeof(path), "sys/bus/virtio/devices/%s/vrh/%s",
		 dev_name(&sim->vdev.dev), name);
	if (sim_test_read(path, text, sizeof(text)) < 0)
		return -1;
	return kstrtol(text, 10, &value) ? -1 : value;
}

/* The device */

static inline void act_at(struct kunit *test, struct sim_device *sim, unsigned int op, s32 at,
			  u8 width, u64 value)
{
	sim_tell(test, sim, .op = op, .at = at, .width = width, .value = value);
}

static inline void act(struct kunit *test, struct sim_device *sim, unsigned int op, u16 queue,
		       u32 count, u64 value)
{
	sim_tell(test, sim, .op = op, .queue = queue, .count = count, .value = value);
}

static inline void target(struct kunit *test, struct sim_device *sim, u32 pages)
{
	act(test, sim, SIM_BALLOON_TARGET, 0, 0, pages);
}

static inline struct sim_balloon_counts counts(struct sim_device *sim)
{
	struct sim_balloon_counts now;

	sim_balloon_counts(sim, &now);
	return now;
}

static inline u32 actual(struct sim_device *sim)
{
	__le32 raw;

	sim_config_read(sim, SIM_BALLOON_FIELD(actual), &raw, sizeof(raw));
	return le32_to_cpu(raw);
}

/* The device has this many, and was told so. */
static inline bool reaches(struct sim_device *sim, u32 pages)
{
	return sim_test_wait(counts(sim).pages == pages && actual(sim) == pages, SOON_MS);
}

/* Also after lies. */
static inline void pages_come_and_go(struct kunit *test, struct sim_device *sim)
{
	target(test, sim, SOME);
	KUNIT_EXPECT_TRUE(test, reaches(sim, SOME));
	KUNIT_EXPECT_EQ(test, counter(sim, "held_pages"), SOME);
	target(test, sim, 0);
	KUNIT_EXPECT_TRUE(test, reaches(sim, 0));
	KUNIT_EXPECT_EQ(test, counter(sim, "held_pages"), 0);
}

/* And no byte of them is touched, while the host tells the truth. */
static inline void pages_move(struct kunit *test, struct sim_device *sim)
{
	target(test, sim, SOME);
	KUNIT_EXPECT_TRUE(test, reaches(sim, SOME));
	KUNIT_EXPECT_EQ(test, sim_balloon_check_idle(sim), 0);
	pages_come_and_go(test, sim);
	KUNIT_EXPECT_EQ(test, sim_balloon_check_idle(sim), 0);
}

/* Pages that must come back */

/**
 * struct kept - pages of a balloon, and what the device wrote into them
 * @nr: how many
 * @page: them
 * @word: what fills them, other than any page's
 */
struct kept {
	unsigned int nr;
	struct page *page[2 * FULL];
	u64 word[2 * FULL];
};

static struct kept kept;

static inline u64 *words(struct page *page)
{
	return page_address(page);
}

static inline void keep(struct sim_device *sim)
{
	struct sim_balloon_state *b = sim->data;
	unsigned long unit;

	kept.nr = 0;
	sim_lock(sim);
	for_each_set_bit(unit, b->pages.in, b->pages.end) {
		if (kept.nr == ARRAY_SIZE(kept.page))
			break;
		kept.page[kept.nr] = pfn_to_page(unit >> (PAGE_SHIFT - VIRTIO_BALLOON_PFN_SHIFT));
		kept.word[kept.nr] = *words(kept.page[kept.nr]);
		kept.nr++;
	}
	sim_unlock(sim);
}

/* Somebody has the page, and it holds what the device wrote into it. */
static inline bool still_out(struct page *page, u64 word)
{
	unsigned int i;

	if (!get_page_unless_zero(page))
		return false;
	for (i = 0; i < PAGE_SIZE / sizeof(word); i++)
		if (words(page)[i] != word)
			break;
	put_page(page);
	return i == PAGE_SIZE / sizeof(word);
}

static inline unsigned int nr_out(void)
{
	unsigned int i, nr = 0;

	for (i = 0; i < kept.nr; i++)
		nr += still_out(kept.page[i], kept.word[i]);
	return nr;
}

static inline void all_are_back(struct kunit *test)
{
	KUNIT_EXPECT_NE(test, kept.nr, 0);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(nr_out() <= STRANGERS, SOON_MS));
	KUNIT_EXPECT_EQ(test, totalram_pages(), total);
}

/* Blocks that the kernel has not reported: they are new among the free ones. */
static inline void stir(void)
{
	struct page *block[4];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(block); i++)
		block[i] = alloc_pages(GFP_KERNEL | __GFP_NOWARN, MAX_PAGE_ORDER);
	for (i = 0; i < ARRAY_SIZE(block); i++)
		if (block[i])
			__free_pages(block[i], MAX_PAGE_ORDER);
}

/* The end of the test's device within bounds, with the pages that were kept; then a new one. */
static inline void ends(struct kunit *test, bool surprise)
{
	unsigned long start = jiffies;

	sim_test_unplug(test, surprise);
	KUNIT_EXPECT_LE(test, jiffies_to_msecs(jiffies - start), UNBIND_MS);
	all_are_back(test);
	pages_move(test, sim_test_plug(test, &usual));
}

/* Suites */

#define FLOOR	"sys/module/virtio_balloon_rh/parameters/floor_mb"
#define DELAY	"sys/module/page_reporting/parameters/page_reporting_delay_ms"

/* A device that gets reports, and what it does to the first one. */
static inline struct sim_device *reported_to(struct kunit *test, unsigned int op, u64 value)
{
	struct sim_device *sim = sim_test_make(test, &reporting);

	write_file(test, DELAY, "50");
	act(test, sim, op, SIM_BALLOON_REPORTS, 1, value);
	KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
	KUNIT_ASSERT_TRUE(test, sim_has(sim, VIRTIO_BALLOON_F_REPORTING));
	stir();
	return sim;
}

/* A device with pages that keeps the first report it gets; the pages are kept too. */
static inline struct sim_device *keeps_a_report(struct kunit *test)
{
	struct sim_device *sim = reported_to(test, SIM_BALLOON_HOLD_REPORT, 1);

	target(test, sim, SOME);
	KUNIT_EXPECT_TRUE(test, reaches(sim, SOME));
	KUNIT_EXPECT_TRUE(test, sim_test_wait(counts(sim).held == 1, SOON_MS));
	keep(sim);
	return sim;
}

static inline int balloon_init(struct kunit *test)
{
	total = totalram_pages();
	kept.nr = 0;
	return sim_test_init(test);
}

static inline void balloon_exit(struct kunit *test)
{
	sim_test_exit(test);
	write_file(test, FLOOR, "-1");
	write_file(test, DELAY, "2000");
}

#endif
