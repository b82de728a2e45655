// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device's side of a split virtqueue (VIRTIO 1.3, 2.7): reads the available
 * ring and descriptors, writes the used ring.
 */
#include "core.h"

/* Same byte order as the driver: little endian, or the guest's without VERSION_1. */
#define get16(queue, x)	virtio16_to_cpu(&(queue)->sim->vdev, READ_ONCE(x))
#define get32(queue, x)	virtio32_to_cpu(&(queue)->sim->vdev, READ_ONCE(x))
#define get64(queue, x)	virtio64_to_cpu(&(queue)->sim->vdev, READ_ONCE(x))
#define put16(queue, x)	cpu_to_virtio16(&(queue)->sim->vdev, x)
#define put32(queue, x)	cpu_to_virtio32(&(queue)->sim->vdev, x)

static __virtio16 *split_used_event(struct sim_queue *queue)
{
	struct vring_avail *avail = queue->driver;

	return &avail->ring[queue->num];
}

static __virtio16 *split_avail_event(struct sim_queue *queue)
{
	struct vring_used *used = queue->device;

	return (__virtio16 *)&used->ring[queue->num];
}

static void split_start(struct sim_queue *queue)
{
	queue->next_avail = 0;
	queue->next_used = 0;
}

static bool split_available(struct sim_queue *queue)
{
	struct vring_avail *avail = queue->driver;

	return get16(queue, avail->idx) != queue->next_avail;
}

static bool split_walk(struct sim_walk *walk, const struct vring_desc *table, unsigned int num,
		       unsigned int at, bool indirect);

static bool split_walk_table(struct sim_walk *walk, u64 address, u32 len, u16 flags)
{
	struct sim_queue *queue = walk->queue;
	const struct vring_desc *table;

	if (!sim_has(queue->sim, VIRTIO_RING_F_INDIRECT_DESC) || (flags & VRING_DESC_F_NEXT) ||
	    !len || len % sizeof(*table)) {
		sim_violation(queue->sim, "queue %u: indirect table of %u bytes, flags %#x",
			      queue->index, len, flags);
		return false;
	}
	table = sim_memory(queue, address, len);
	return table && split_walk(walk, table, len / sizeof(*table), 0, true);
}

/* The descriptors from @at on; in a table of their own they may not nest. */
static bool split_walk(struct sim_walk *walk, const struct vring_desc *table, unsigned int num,
		       unsigned int at, bool indirect)
{
	struct sim_queue *queue = walk->queue;
	struct sim_device *sim = queue->sim;
	unsigned int seen;
	u16 flags;
	u64 address;
	u32 len;

	for (seen = 0; seen < num; seen++) {
		if (at >= num) {
			sim_violation(sim, "queue %u: buffer %u goes on at descriptor %u of %u",
				      queue->index, walk->id, at, num);
			return false;
		}
		flags = get16(queue, table[at].flags);
		address = get64(queue, table[at].addr);
		len = get32(queue, table[at].len);
		if ((flags & VRING_DESC_F_INDIRECT) && !indirect)
			return split_walk_table(walk, address, len, flags);
		if (flags & VRING_DESC_F_INDIRECT) {
			sim_violation(sim, "queue %u: an indirect table in another", queue->index);
			return false;
		}
		if (!sim_walk_add(walk, address, len, flags & VRING_DESC_F_WRITE))
			return false;
		if (!(flags & VRING_DESC_F_NEXT))
			return true;
		at = get16(queue, table[at].next);
	}
	sim_violation(sim, "queue %u: buffer %u is a loop of descriptors", queue->index, walk->id);
	return false;
}

static bool split_pop(struct sim_queue *queue, struct sim_walk *walk)
{
	struct vring_avail *avail = queue->driver;
	u16 waiting = get16(queue, avail->idx) - queue->next_avail;
	u16 head;

	if (waiting > queue->num) {
		sim_violation(queue->sim, "queue %u: available index is %u ahead in a ring of %u",
			      queue->index, waiting, queue->num);
		return false;
	}
	/* The index before the entries that it covers. */
	smp_rmb();
	head = get16(queue, avail->ring[queue->next_avail & (queue->num - 1)]);
	queue->next_avail++;
	walk->id = head;
	return split_walk(walk, queue->desc, queue->num, head, false);
}

static void split_push(struct sim_queue *queue, u32 id, u32 len, unsigned int descs)
{
	struct vring_used *used = queue->device;
	vring_used_elem_t *elem = &used->ring[queue->next_used & (queue->num - 1)];

	elem->id = put32(queue, id);
	elem->len = put32(queue, len);
	queue->next_used++;
}

static void split_show(struct sim_queue *queue)
{
	struct vring_used *used = queue->device;

	/* The entries before the index that covers them. */
	smp_wmb();
	WRITE_ONCE(used->idx, put16(queue, queue->next_used));
}

static bool split_wants_irq(struct sim_queue *queue, unsigned int entries, unsigned int descs)
{
	struct vring_avail *avail = queue->driver;

	/* The index before the driver's wish: it writes that, then looks at the index. */
	smp_mb();
	if (!sim_has(queue->sim, VIRTIO_RING_F_EVENT_IDX))
		return !(get16(queue, avail->flags) & VRING_AVAIL_F_NO_INTERRUPT);
	return vring_need_event(get16(queue, *split_used_event(queue)), queue->next_used,
				queue->next_used - entries);
}

static void split_listen(struct sim_queue *queue, bool on)
{
	struct vring_used *used = queue->device;

	if (!sim_has(queue->sim, VIRTIO_RING_F_EVENT_IDX))
		WRITE_ONCE(used->flags, put16(queue, on ? 0 : VRING_USED_F_NO_NOTIFY));
	else if (on)
		WRITE_ONCE(*split_avail_event(queue), put16(queue, queue->next_avail));
	/* Our wish before the look at the available index that follows. */
	smp_mb();
}

static void split_skew(struct sim_queue *queue, u16 by)
{
	struct vring_used *used = queue->device;

	queue->next_used += by;
	WRITE_ONCE(used->idx, put16(queue, queue->next_used));
}

static int split_scribble(struct sim_queue *queue, unsigned int field, u16 value)
{
	struct vring_used *used = queue->device;

	switch (field) {
	case 0:
		WRITE_ONCE(used->flags, put16(queue, value));
		return 0;
	case 1:
		WRITE_ONCE(used->idx, put16(queue, value));
		return 0;
	case 2:
		WRITE_ONCE(*split_avail_event(queue), put16(queue, value));
		return 0;
	}
	return -EINVAL;
}

const struct sim_ring sim_split_ring = {
	.start = split_start,
	.available = split_available,
	.pop = split_pop,
	.push = split_push,
	.show = split_show,
	.wants_irq = split_wants_irq,
	.listen = split_listen,
	.skew = split_skew,
	.scribble = split_scribble,
};
