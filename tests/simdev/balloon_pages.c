// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pages that a simulated balloon has: which they are, and that nobody touches them.
 * A page that comes in is overwritten, as a host may do it, with a pattern made from
 * its number; that pattern is looked at when the page goes out. PAGE_POISON changes
 * nothing here: what a deflated page is to hold, the driver writes (5.5.6.6).
 *
 * Nothing is allocated after init: this runs in the thread for whose answer a guest
 * waits that is out of memory.
 */
#include <linux/bitmap.h>
#include <linux/highmem.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/nodemask.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

#include "sim_balloon.h"

/* The specification has no limit; Linux sends 256. This ends a message made to bore us. */
#define PFNS_MAX	32768
/* PFNs read at a time, on the stack. */
#define PFNS_READ	64

/* A page of the device in words of its pattern, and how many a check looks at. */
#define WORDS		(1U << (VIRTIO_BALLOON_PFN_SHIFT - 3))
#define EDGE_WORDS	8U
#define WINDOW_WORDS	64U

#define UNIT_SHIFT	(PAGE_SHIFT - VIRTIO_BALLOON_PFN_SHIFT)

enum pages_fault {
	PAGES_FINE,
	PAGES_NO_MEMORY,
	PAGES_FOREIGN,
	PAGES_DOUBLE,
	PAGES_ABSENT,
	PAGES_PENDING,
	PAGES_FREED,
	PAGES_TOUCHED,
};

static const char * const pages_fault_text[] = {
	[PAGES_NO_MEMORY] = "is no memory of this guest",
	[PAGES_FOREIGN] = "is free, or something else has it",
	[PAGES_DOUBLE] = "is in the balloon already",
	[PAGES_ABSENT] = "is not in the balloon",
	[PAGES_PENDING] = "was not answered for when it was inflated",
	[PAGES_FREED] = "was freed while it was inflated",
	[PAGES_TOUCHED] = "was written to while it was inflated",
};

/* The pattern of a page */

/* The multiplier is odd, so no two pages have the same. */
static u64 pages_pattern(u32 pfn)
{
	return (pfn + 1ULL) * 0x9e3779b97f4a7c15ULL;
}

static struct page *pages_find(const struct sim_balloon_pages *pages, u32 pfn)
{
	return pfn < pages->end ? pfn_to_online_page(pfn >> UNIT_SHIFT) : NULL;
}

/* To be undone with kunmap_local(). */
static u64 *pages_map(struct page *page, u32 pfn)
{
	void *start = kmap_local_page(page);

	return start + ((pfn & ((1U << UNIT_SHIFT) - 1)) << VIRTIO_BALLOON_PFN_SHIFT);
}

/*
 * A driver that names a page that is not its own would have us destroy the guest's
 * memory. This does not find all such pages, but the most likely ones.
 */
static bool pages_foreign(struct page *page)
{
	return page_count(page) < 1 || PageReserved(page) || PageLRU(page) || PageCompound(page);
}

static void pages_fill(struct page *page, u32 pfn)
{
	u64 *word = pages_map(page, pfn);

	memset64(word, pages_pattern(pfn), WORDS);
	kunmap_local(word);
}

static bool pages_same(const u64 *word, unsigned int nr, u64 pattern)
{
	while (nr--)
		if (*word++ != pattern)
			return false;
	return true;
}

/*
 * Who writes to a page writes to its beginning or its end, or all of it, or keeps on
 * doing so: the window in between is another one each time.
 */
static enum pages_fault pages_check(struct sim_balloon_pages *pages, struct page *page, u32 pfn,
				    bool whole)
{
	u64 pattern = pages_pattern(pfn);
	bool same;
	u64 *word;

	/* First of all: a free page may not even be mapped. */
	if (page_count(page) < 1)
		return PAGES_FREED;
	word = pages_map(page, pfn);
	if (whole) {
		same = pages_same(word, WORDS, pattern);
	} else {
		same = pages_same(word, EDGE_WORDS, pattern) &&
		       pages_same(word + pages->window, WINDOW_WORDS, pattern) &&
		       pages_same(word + WORDS - EDGE_WORDS, EDGE_WORDS, pattern);
		pages->window = (pages->window + WINDOW_WORDS) % WORDS;
	}
	kunmap_local(word);
	return same ? PAGES_FINE : PAGES_TOUCHED;
}

/* In and out */

/*
 * After a lie about used buffers the driver may have pages back whose inflation is
 * still to come: they are counted then, but not written to.
 */
static enum pages_fault pages_take(struct sim_balloon_pages *pages, u32 pfn, bool trusted)
{
	struct page *page = pages_find(pages, pfn);

	if (!page)
		return PAGES_NO_MEMORY;
	if (test_bit(pfn, pages->in))
		return PAGES_DOUBLE;
	if (trusted && pages_foreign(page))
		return PAGES_FOREIGN;
	if (trusted)
		pages_fill(page, pfn);
	__set_bit(pfn, pages->in);
	pages->nr++;
	pages->inflated++;
	return PAGES_FINE;
}

/*
 * Without MUST_TELL_HOST a driver may use a page from the moment in which it has sent
 * the message. No driver of Linux does, so that is a fault here all the same.
 */
static enum pages_fault pages_give(struct sim_balloon_pages *pages, u32 pfn, bool trusted)
{
	struct page *page = pages_find(pages, pfn);
	enum pages_fault fault;

	if (!page)
		return PAGES_NO_MEMORY;
	if (!test_bit(pfn, pages->in))
		return PAGES_ABSENT;
	__clear_bit(pfn, pages->in);
	pages->nr--;
	pages->deflated++;
	if (!trusted)
		return PAGES_FINE;
	fault = pages_check(pages, page, pfn, false);
	if (fault != PAGES_FINE)
		pages->touched++;
	else if (test_bit(pfn, pages->pending))
		fault = PAGES_PENDING;
	return fault;
}

/* Messages */

/* Return: how many PFNs there were, of PFNS_READ from the one at @first on. */
static unsigned int pages_read(struct sim_device *sim, const struct sim_chain *chain, u32 first,
			       u32 *pfn)
{
	__virtio32 raw[PFNS_READ];
	unsigned int i, nr;

	nr = sim_chain_read(chain, (size_t)first * sizeof(raw[0]), raw, sizeof(raw)) /
	     sizeof(raw[0]);
	for (i = 0; i < nr; i++)
		pfn[i] = virtio32_to_cpu(&sim->vdev, raw[i]);
	return nr;
}

/* Marks what a buffer names, *@left PFNs at most. */
static void pages_pend(struct sim_device *sim, struct sim_balloon_pages *pages,
		       const struct sim_chain *chain, u32 *left)
{
	u32 pfn[PFNS_READ], first = 0;
	unsigned int i, nr;

	while (*left && (nr = pages_read(sim, chain, first, pfn))) {
		for (i = 0; i < nr; i++) {
			if (pfn[i] >= pages->end)
				continue;
			if (!pages->pending_end || pfn[i] < pages->pending_first)
				pages->pending_first = pfn[i];
			pages->pending_end = max(pages->pending_end, pfn[i] + 1);
			__set_bit(pfn[i], pages->pending);
		}
		first += nr;
		*left -= min(*left, nr);
	}
}

/*
 * What the script keeps from being answered. The driver must not ask for a page back
 * before the device has confirmed that it has it.
 */
static void pages_pend_all(struct sim_device *sim, struct sim_balloon_pages *pages)
{
	struct sim_queue *inflate = &sim->queues[SIM_BALLOON_INFLATE];
	struct sim_chain *chain;
	u32 left = PFNS_MAX;

	list_for_each_entry(chain, &inflate->held, node)
		pages_pend(sim, pages, chain, &left);
	list_for_each_entry(chain, &inflate->reordered, node)
		pages_pend(sim, pages, chain, &left);
	list_for_each_entry(chain, &inflate->delayed, node)
		pages_pend(sim, pages, chain, &left);
}

static void pages_pend_none(struct sim_balloon_pages *pages)
{
	if (pages->pending_end)
		bitmap_clear(pages->pending, pages->pending_first,
			     pages->pending_end - pages->pending_first);
	pages->pending_end = 0;
}

static void pages_one(struct sim_device *sim, struct sim_balloon_pages *pages, u32 pfn,
		      bool deflate, bool trusted)
{
	enum pages_fault fault;

	fault = deflate ? pages_give(pages, pfn, trusted) : pages_take(pages, pfn, trusted);
	if (fault == PAGES_FINE || (!trusted && fault != PAGES_NO_MEMORY))
		return;
	sim_violation(sim, "balloon: %s of PFN %#x, which %s", deflate ? "deflate" : "inflate",
		      pfn, pages_fault_text[fault]);
}

/**
 * sim_balloon_message() - do what a buffer of PFNs says
 * @sim: balloon
 * @chain: from the inflate or the deflate queue; stays the caller's
 * @deflate: it is the deflate queue
 *
 * Context: the device's thread, its lock held; may reschedule.
 */
void sim_balloon_message(struct sim_device *sim, struct sim_chain *chain, bool deflate)
{
	struct sim_balloon_state *b = sim->data;
	bool trusted = sim_balloon_trusts_ring(sim);
	u32 all = chain->out / sizeof(__virtio32);
	u32 pfn[PFNS_READ], done = 0;
	unsigned int i, nr;

	if (chain->in || !all || chain->out % sizeof(__virtio32))
		sim_violation(sim, "balloon: %s message has %u bytes to read and %u to write",
			      deflate ? "deflate" : "inflate", chain->out, chain->in);
	if (all > PFNS_MAX)
		sim_violation(sim, "balloon: %s message has %u PFNs, only %u are looked at",
			      deflate ? "deflate" : "inflate", all, PFNS_MAX);
	all = min_t(u32, all, PFNS_MAX);

	if (deflate && trusted)
		pages_pend_all(sim, &b->pages);
	while (done < all) {
		nr = min(pages_read(sim, chain, done, pfn), all - done);
		if (!nr)
			break;
		for (i = 0; i < nr; i++)
			pages_one(sim, &b->pages, pfn[i], deflate, trusted);
		done += nr;
		cond_resched();
	}
	pages_pend_none(&b->pages);
}

/* All of them */

/**
 * sim_balloon_pages_overlap() - is a part of this memory in the balloon?
 * @pages: which pages are
 * @first: its first PFN, in units of 4 KiB
 * @nr: how many units
 *
 * Context: the device's lock is held.
 * Return: true if any of these units is.
 */
bool sim_balloon_pages_overlap(const struct sim_balloon_pages *pages, u64 first, u64 nr)
{
	u64 end = min_t(u64, first + nr, pages->end);

	return first < end && find_next_bit(pages->in, end, first) < end;
}

/**
 * sim_balloon_pages_verify() - look at every byte that is in the balloon
 * @pages: which pages are
 * @first: receives the PFN of the first page that is not as it was left
 *
 * What is found is not counted: it will be when the page goes out.
 *
 * Context: process context, the device's lock held; may reschedule.
 * Return: how many such pages there are.
 */
u64 sim_balloon_pages_verify(struct sim_balloon_pages *pages, u32 *first)
{
	struct page *page;
	unsigned long pfn;
	u64 nr = 0;

	for_each_set_bit(pfn, pages->in, pages->end) {
		cond_resched();
		page = pages_find(pages, pfn);
		if (page && pages_check(pages, page, pfn, true) == PAGES_FINE)
			continue;
		if (!nr++)
			*first = pfn;
	}
	return nr;
}

/**
 * sim_balloon_pages_forget() - the guest has all of its pages back
 * @pages: which were in the balloon
 *
 * Context: process context, the device's lock held.
 */
void sim_balloon_pages_forget(struct sim_balloon_pages *pages)
{
	bitmap_zero(pages->in, pages->end);
	pages->nr = 0;
}

/* Memory that is plugged in later is beyond this and cannot be inflated. */
static u32 pages_end(void)
{
	unsigned long end = 0;
	int nid;

	for_each_online_node(nid)
		end = max(end, node_end_pfn(nid));
	return min_t(u64, (u64)end << UNIT_SHIFT, U32_MAX);
}

/**
 * sim_balloon_pages_init() - an empty balloon
 * @pages: zeroed
 *
 * Context: process context.
 * Return: 0 or -ENOMEM; sim_balloon_pages_exit() is due in both cases.
 */
int sim_balloon_pages_init(struct sim_balloon_pages *pages)
{
	size_t size;

	pages->end = pages_end();
	size = BITS_TO_LONGS(pages->end) * sizeof(long);
	pages->in = vzalloc(size);
	pages->pending = vzalloc(size);
	return pages->in && pages->pending ? 0 : -ENOMEM;
}

/**
 * sim_balloon_pages_exit() - undo sim_balloon_pages_init()
 * @pages: what it prepared
 */
void sim_balloon_pages_exit(struct sim_balloon_pages *pages)
{
	vfree(pages->pending);
	vfree(pages->in);
}
