// SPDX-License-Identifier: GPL-2.0-only
/*
 * Descriptors of a buffer, direct ones and those of an indirect table, checked
 * and gathered in the device's scratch. The layouts find them, queue.c makes a
 * chain of them.
 */
#include <linux/mm.h>
#include <linux/pfn.h>

#include "core.h"

/**
 * sim_memory() - guest memory as the device sees it
 * @queue: whose descriptor names it
 * @address: guest-physical, which on this side of an IOMMU that is not there is
 *	the DMA address
 * @len: bytes, not 0
 *
 * Return: the memory, or NULL with a violation if there is none.
 */
void *sim_memory(struct sim_queue *queue, u64 address, u64 len)
{
	u64 last = address + len - 1;

	if (last < address || !pfn_valid(PFN_DOWN(address)) || !pfn_valid(PFN_DOWN(last))) {
		sim_violation(queue->sim, "queue %u: no memory at %#llx, %llu bytes",
			      queue->index, address, len);
		return NULL;
	}
	return phys_to_virt(address);
}

/**
 * sim_walk_add() - one more descriptor of a buffer
 * @walk: the buffer
 * @address: guest-physical address
 * @len: bytes
 * @write: the device may write it
 *
 * Context: under the device's lock.
 * Return: false with a violation if it may not be there.
 */
bool sim_walk_add(struct sim_walk *walk, u64 address, u32 len, bool write)
{
	struct sim_device *sim = walk->queue->sim;
	unsigned int n = walk->nr_out + walk->nr_in;
	const char *what = NULL;
	void *memory;

	if (!len)
		what = "an empty descriptor";
	else if (n == SIM_CHAIN_MAX)
		what = "more descriptors than any buffer needs";
	else if (!write && walk->nr_in)
		what = "a readable descriptor behind a writable one";
	if (what) {
		sim_violation(sim, "queue %u: buffer %u has %s", walk->queue->index, walk->id,
			      what);
		return false;
	}
	memory = sim_memory(walk->queue, address, len);
	if (!memory)
		return false;
	sim->scratch[n].at = memory;
	sim->scratch[n].len = len;
	if (write) {
		walk->nr_in++;
		walk->in += len;
	} else {
		walk->nr_out++;
		walk->out += len;
	}
	return true;
}
