// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device's side of a packed virtqueue (VIRTIO 1.3, 2.8): one ring of
 * descriptors that both sides write, told apart by two flags and wrap counters.
 */
#include "core.h"

static struct vring_packed_desc *packed_slot(struct sim_queue *queue, unsigned int at)
{
	return (struct vring_packed_desc *)queue->desc + at;
}

static void packed_start(struct sim_queue *queue)
{
	queue->next_avail = 0;
	queue->next_used = 0;
	queue->avail_wrap = true;
	queue->used_wrap = true;
}

static bool packed_is_available(u16 flags, bool wrap)
{
	bool avail = flags & BIT(VRING_PACKED_DESC_F_AVAIL);
	bool used = flags & BIT(VRING_PACKED_DESC_F_USED);

	return avail == wrap && used != wrap;
}

static bool packed_available(struct sim_queue *queue)
{
	u16 flags = le16_to_cpu(READ_ONCE(packed_slot(queue, queue->next_avail)->flags));

	return packed_is_available(flags, queue->avail_wrap);
}

static bool packed_walk_table(struct sim_walk *walk, u64 address, u32 len, u16 flags)
{
	const struct vring_packed_desc *table;
	unsigned int i;

	if (!sim_has(walk->queue->sim, VIRTIO_RING_F_INDIRECT_DESC) || walk->descs > 1 ||
	    (flags & VRING_DESC_F_NEXT) || !len || len % sizeof(*table)) {
		sim_violation(walk->queue->sim,
			      "queue %u: indirect table of %u bytes, flags %#x, descriptor %u",
			      walk->queue->index, len, flags, walk->descs);
		return false;
	}
	table = sim_memory(walk->queue, address, len);
	for (i = 0; table && i < len / sizeof(*table); i++) {
		flags = le16_to_cpu(READ_ONCE(table[i].flags));
		if (flags & VRING_DESC_F_INDIRECT) {
			sim_violation(walk->queue->sim, "queue %u: an indirect table in another",
				      walk->queue->index);
			return false;
		}
		if (!sim_walk_add(walk, le64_to_cpu(READ_ONCE(table[i].addr)),
				  le32_to_cpu(READ_ONCE(table[i].len)),
				  flags & VRING_DESC_F_WRITE))
			return false;
	}
	return table;
}

static bool packed_pop(struct sim_queue *queue, struct sim_walk *walk)
{
	const struct vring_packed_desc *slot;
	unsigned int seen;
	u16 flags;
	bool ok;

	/* The flags that say it is there before what it says. */
	smp_rmb();
	for (seen = 1; seen <= queue->num; seen++) {
		slot = packed_slot(queue, queue->next_avail);
		flags = le16_to_cpu(READ_ONCE(slot->flags));
		walk->id = le16_to_cpu(READ_ONCE(slot->id));
		walk->descs = seen;
		if (flags & VRING_DESC_F_INDIRECT)
			ok = packed_walk_table(walk, le64_to_cpu(READ_ONCE(slot->addr)),
					       le32_to_cpu(READ_ONCE(slot->len)), flags);
		else
			ok = sim_walk_add(walk, le64_to_cpu(READ_ONCE(slot->addr)),
					  le32_to_cpu(READ_ONCE(slot->len)),
					  flags & VRING_DESC_F_WRITE);
		if (++queue->next_avail == queue->num) {
			queue->next_avail = 0;
			queue->avail_wrap = !queue->avail_wrap;
		}
		if (!ok || !(flags & VRING_DESC_F_NEXT))
			return ok;
	}
	sim_violation(queue->sim, "queue %u: a buffer of more than %u descriptors", queue->index,
		      queue->num);
	return false;
}

/* The next place for used descriptors lies @descs further, which is at most once around. */
static void packed_advance(struct sim_queue *queue, unsigned int descs)
{
	unsigned int next = queue->next_used + descs;

	if (next >= queue->num) {
		next -= queue->num;
		queue->used_wrap = !queue->used_wrap;
	}
	queue->next_used = next;
}

static u16 packed_used_flags(const struct sim_queue *queue)
{
	return queue->used_wrap ? BIT(VRING_PACKED_DESC_F_AVAIL) | BIT(VRING_PACKED_DESC_F_USED) :
				  0;
}

static void packed_push(struct sim_queue *queue, u32 id, u32 len, unsigned int descs)
{
	struct vring_packed_desc *slot = packed_slot(queue, queue->next_used);
	u16 flags = packed_used_flags(queue) | (len ? VRING_DESC_F_WRITE : 0);

	slot->id = cpu_to_le16(id);
	slot->len = cpu_to_le32(len);
	if (!queue->unseen) {
		queue->first = queue->next_used;
		queue->first_flags = flags;
	} else {
		/* The driver stops at the first, which is not used yet. */
		WRITE_ONCE(slot->flags, cpu_to_le16(flags));
	}
	packed_advance(queue, descs);
}

static void packed_show(struct sim_queue *queue)
{
	/* All that they say before the flags that make the first one used. */
	smp_wmb();
	WRITE_ONCE(packed_slot(queue, queue->first)->flags, cpu_to_le16(queue->first_flags));
}

static bool packed_wants_irq(struct sim_queue *queue, unsigned int entries, unsigned int descs)
{
	const struct vring_packed_desc_event *driver = queue->driver;
	u16 old = queue->next_used - descs;
	u16 flags, event;

	/* The used descriptor before the driver's wish, as in a split ring. */
	smp_mb();
	/* The other bits are reserved. */
	flags = le16_to_cpu(READ_ONCE(driver->flags)) & 3;
	if (flags != VRING_PACKED_EVENT_FLAG_DESC ||
	    !sim_has(queue->sim, VIRTIO_RING_F_EVENT_IDX))
		return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
	event = le16_to_cpu(READ_ONCE(driver->off_wrap));
	if (!!(event & BIT(VRING_PACKED_EVENT_F_WRAP_CTR)) != queue->used_wrap)
		event = (event & ~BIT(VRING_PACKED_EVENT_F_WRAP_CTR)) - queue->num;
	else
		event &= ~BIT(VRING_PACKED_EVENT_F_WRAP_CTR);
	return vring_need_event(event, queue->next_used, old);
}

static void packed_listen(struct sim_queue *queue, bool on)
{
	struct vring_packed_desc_event *device = queue->device;
	u16 event = queue->next_avail | queue->avail_wrap << VRING_PACKED_EVENT_F_WRAP_CTR;
	u16 flags = on ? VRING_PACKED_EVENT_FLAG_ENABLE : VRING_PACKED_EVENT_FLAG_DISABLE;

	if (on && sim_has(queue->sim, VIRTIO_RING_F_EVENT_IDX)) {
		WRITE_ONCE(device->off_wrap, cpu_to_le16(event));
		/* The place before the flag that gives it a meaning. */
		smp_wmb();
		flags = VRING_PACKED_EVENT_FLAG_DESC;
	}
	WRITE_ONCE(device->flags, cpu_to_le16(flags));
	/* Our wish before the look at the ring that follows. */
	smp_mb();
}

/*
 * The driver takes the IDs that stand there, its own maybe, for used. What would be marked
 * a second time would look unused to a driver that is still in its first round.
 */
static void packed_skew(struct sim_queue *queue, u16 by)
{
	unsigned int i;

	for (i = 0; i < by; i++) {
		if (i < queue->num)
			WRITE_ONCE(packed_slot(queue, queue->next_used)->flags,
				   cpu_to_le16(packed_used_flags(queue)));
		packed_advance(queue, 1);
	}
}

static int packed_scribble(struct sim_queue *queue, unsigned int field, u16 value)
{
	struct vring_packed_desc_event *device = queue->device;

	switch (field) {
	case 0:
		WRITE_ONCE(device->flags, cpu_to_le16(value));
		return 0;
	case 1:
		WRITE_ONCE(device->off_wrap, cpu_to_le16(value));
		return 0;
	}
	return -EINVAL;
}

const struct sim_ring sim_packed_ring = {
	.start = packed_start,
	.available = packed_available,
	.pop = packed_pop,
	.push = packed_push,
	.show = packed_show,
	.wants_irq = packed_wants_irq,
	.listen = packed_listen,
	.skew = packed_skew,
	.scribble = packed_scribble,
};
