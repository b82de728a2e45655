// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers on their way through a queue: taken from the ring for the model, and
 * back into it when the model and the script are done with them.
 */
#include <linux/bitmap.h>
#include <linux/interrupt.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "core.h"

/* Memory that is not to be had now may be a moment later. */
#define SIM_RETRY_MS	10

static void sim_queue_interrupt(struct sim_irq *irq)
{
	struct sim_queue *queue = container_of(irq, struct sim_queue, irq);
	bool unasked = test_and_clear_bit(0, &queue->unasked);
	struct virtqueue *vq = READ_ONCE(queue->vq);

	atomic64_inc(&queue->sim->irqs);
	if (!vq || virtqueue_is_broken(vq))
		return;
	if (vring_interrupt(0, vq) == IRQ_HANDLED) {
		atomic64_inc(&queue->called);
	} else if (unasked && vq->callback) {
		/* As when the device takes back a used index in this moment. */
		vq->callback(vq);
		atomic64_inc(&queue->called);
	}
}

/**
 * sim_queue_raise() - an interrupt that comes to the driver, whatever is in the ring
 * @queue: a queue with a virtqueue
 *
 * A virtqueue that is marked as broken hears of nothing.
 *
 * Context: any but NMI.
 */
void sim_queue_raise(struct sim_queue *queue)
{
	set_bit(0, &queue->unasked);
	/* Before the vector, which may be raised already, is taken. */
	smp_mb__after_atomic();
	sim_irq_raise(&queue->irq);
}

/**
 * sim_queue_init() - prepare a queue
 * @sim: the device
 * @index: of the queue
 */
void sim_queue_init(struct sim_device *sim, unsigned int index)
{
	struct sim_queue *queue = &sim->queues[index];

	queue->sim = sim;
	queue->index = index;
	INIT_LIST_HEAD(&queue->held);
	INIT_LIST_HEAD(&queue->reordered);
	INIT_LIST_HEAD(&queue->delayed);
	sim_irq_init(&queue->irq, sim_queue_interrupt);
}

/**
 * sim_queue_exit() - the end of a queue
 * @queue: a queue without a virtqueue
 *
 * Context: process context.
 * Return: false if it must stay, as an interrupt is under way.
 */
bool sim_queue_exit(struct sim_queue *queue)
{
	return sim_irq_exit(&queue->irq);
}

static void sim_unseen_clear(struct sim_queue *queue)
{
	queue->unseen = 0;
	queue->unseen_descs = 0;
	queue->mute = false;
	queue->storm = 0;
}

/**
 * sim_queue_enable() - the device may use the ring
 * @queue: a queue whose virtqueue is new, or was reset
 *
 * Context: process context, under the device's lock.
 * Return: 0 or -ENOMEM.
 */
int sim_queue_enable(struct sim_queue *queue)
{
	struct virtqueue *vq = queue->vq;

	lockdep_assert_held(&queue->sim->lock);
	queue->num = virtqueue_get_vring_size(vq);
	queue->outstanding = bitmap_zalloc(queue->num, GFP_KERNEL);
	if (!queue->outstanding)
		return -ENOMEM;
	queue->ring = sim_has(queue->sim, VIRTIO_F_RING_PACKED) ? &sim_packed_ring :
								  &sim_split_ring;
	queue->desc = phys_to_virt(virtqueue_get_desc_addr(vq));
	queue->driver = phys_to_virt(virtqueue_get_avail_addr(vq));
	queue->device = phys_to_virt(virtqueue_get_used_addr(vq));
	queue->ring->start(queue);
	sim_unseen_clear(queue);
	queue->lied = false;
	queue->starved = false;
	queue->enabled = true;
	return 0;
}

static void sim_queue_drop(struct list_head *list)
{
	struct sim_chain *chain, *next;

	list_for_each_entry_safe(chain, next, list, node) {
		list_del(&chain->node);
		sim_chain_drop(chain);
	}
}

/**
 * sim_queue_disable() - the device leaves the ring alone
 * @queue: the queue; its model has been told
 *
 * Context: under the device's lock.
 */
void sim_queue_disable(struct sim_queue *queue)
{
	lockdep_assert_held(&queue->sim->lock);
	queue->enabled = false;
	queue->nr_reordered = 0;
	sim_queue_drop(&queue->held);
	sim_queue_drop(&queue->reordered);
	sim_queue_drop(&queue->delayed);
	bitmap_free(queue->outstanding);
	queue->outstanding = NULL;
	clear_bit(queue->index, queue->sim->kicked);
}

static bool sim_queue_running(struct sim_queue *queue)
{
	return queue->enabled && queue->sim->ready && !queue->sim->gone;
}

/*
 * After a lie the driver has another idea than we of which buffers are with the device:
 * what lies in the ring, and what we hold, may be anybody's memory by now.
 */
static bool sim_queue_honest(struct sim_queue *queue)
{
	return sim_queue_running(queue) && !queue->lied;
}

/**
 * sim_queue_lie() - the driver is about to be told what is not so of which buffers are used
 * @queue: the queue
 *
 * Context: under the device's lock, before the driver can see it.
 */
void sim_queue_lie(struct sim_queue *queue)
{
	queue->lied = true;
	WRITE_ONCE(queue->sim->lied, true);
}

/**
 * sim_available() - has the driver made a buffer available?
 * @queue: the queue
 *
 * Context: under the device's lock.
 * Return: it has, and the device may take it.
 */
bool sim_available(struct sim_queue *queue)
{
	return sim_queue_honest(queue) && queue->ring->available(queue);
}
EXPORT_SYMBOL_GPL(sim_available);

static struct sim_chain *sim_chain_make(const struct sim_walk *walk)
{
	unsigned int n = walk->nr_out + walk->nr_in;
	struct sim_chain *chain;

	chain = kvzalloc(struct_size(chain, segs, n), GFP_KERNEL);
	if (!chain)
		return NULL;
	INIT_LIST_HEAD(&chain->node);
	chain->queue = walk->queue;
	chain->id = walk->id;
	chain->descs = walk->descs;
	chain->nr_out = walk->nr_out;
	chain->nr_in = walk->nr_in;
	chain->out = walk->out;
	chain->in = walk->in;
	chain->again = -1;
	memcpy(chain->segs, walk->queue->sim->scratch, n * sizeof(*chain->segs));
	return chain;
}

/* There is no memory for a buffer, which was at @next: it stays in the ring for a while. */
static void sim_pop_later(struct sim_queue *queue, u16 id, u16 next, bool wrap)
{
	__clear_bit(id, queue->outstanding);
	queue->next_avail = next;
	queue->avail_wrap = wrap;
	queue->sim->stats.starved++;
	queue->starved = true;
	queue->retry = jiffies + msecs_to_jiffies(SIM_RETRY_MS);
	/* The thread sleeps until the earliest that it knows of; it looks before it sleeps. */
	if (current != queue->sim->thread)
		sim_wake(queue->sim);
}

/**
 * sim_pop() - take the next buffer
 * @queue: the queue
 *
 * A buffer that breaks the rules stops the queue, as it would with a real device. After a
 * lie about used buffers there are none.
 *
 * Context: process context, under the device's lock.
 * Return: the buffer, or NULL if there is none; then the driver notifies of the next. Also if
 *	there is no memory for it: then the model is kicked again soon.
 */
struct sim_chain *sim_pop(struct sim_queue *queue)
{
	struct sim_walk walk = { .queue = queue };
	struct sim_chain *chain;
	u16 next;
	bool wrap;

	lockdep_assert_held(&queue->sim->lock);
	if (!sim_queue_honest(queue))
		return NULL;
	if (!queue->ring->available(queue)) {
		queue->ring->listen(queue, true);
		if (!queue->ring->available(queue))
			return NULL;
	}
	if (queue->sim->options.suppress)
		queue->ring->listen(queue, false);
	next = queue->next_avail;
	wrap = queue->avail_wrap;
	if (!queue->ring->pop(queue, &walk))
		goto stop;
	if (walk.id >= queue->num || __test_and_set_bit(walk.id, queue->outstanding)) {
		sim_violation(queue->sim, "queue %u: buffer %u of %u is not the driver's to offer",
			      queue->index, walk.id, queue->num);
		goto stop;
	}
	if (walk.out + walk.in > U32_MAX) {
		sim_violation(queue->sim, "queue %u: a buffer of %llu bytes", queue->index,
			      walk.out + walk.in);
		goto stop;
	}
	chain = sim_chain_make(&walk);
	if (!chain)
		sim_pop_later(queue, walk.id, next, wrap);
	return chain;
stop:
	queue->enabled = false;
	return NULL;
}
EXPORT_SYMBOL_GPL(sim_pop);

/**
 * sim_chain_ours() - may the device touch a buffer's memory?
 * @chain: a buffer that was taken from its queue
 *
 * Context: under the device's lock.
 * Return: false if the driver may have it back: it was used, its queue is stopped, the
 *	device gone, or a lie was told about used buffers.
 */
bool sim_chain_ours(const struct sim_chain *chain)
{
	return !chain->returned && sim_queue_honest(chain->queue);
}
EXPORT_SYMBOL_GPL(sim_chain_ours);

/**
 * sim_chain_drop() - forget a buffer without using it
 * @chain: a buffer, in no list
 *
 * Context: process context.
 */
void sim_chain_drop(struct sim_chain *chain)
{
	kvfree(chain);
}
EXPORT_SYMBOL_GPL(sim_chain_drop);

/* Lets the driver see, and hear of, what was pushed. */
static void sim_show(struct sim_queue *queue)
{
	if (!queue->unseen)
		return;
	queue->ring->show(queue);
	if (queue->ring->wants_irq(queue, queue->unseen, queue->unseen_descs) && !queue->mute)
		sim_irq_raise(&queue->irq);
	sim_irq_storm(&queue->irq, queue->storm);
	sim_unseen_clear(queue);
}

/* Is it reported as what it is, and once? A packed ring has no more than 16 bits of an ID. */
static bool sim_push_honest(const struct sim_queue *queue, const struct sim_chain *chain)
{
	u32 mask = queue->ring == &sim_packed_ring ? U16_MAX : U32_MAX;

	return chain->pushes == 1 && !chain->returned && (chain->push_id & mask) == chain->id;
}

/* A buffer that was reported goes, or waits to be reported again. */
static void sim_push_done(struct sim_queue *queue, struct sim_chain *chain)
{
	if (chain->again < 0) {
		sim_chain_drop(chain);
		return;
	}
	chain->due = jiffies + chain->again;
	chain->again = -1;
	chain->returned = true;
	chain->pushes = 1;
	chain->irqs = 0;
	list_add_tail(&chain->node, &queue->delayed);
	/* The thread sleeps until the earliest that it knows of. */
	sim_wake(queue->sim);
}

static void sim_push(struct sim_queue *queue, struct sim_chain *chain)
{
	unsigned int times;

	if (!sim_push_honest(queue, chain))
		sim_queue_lie(queue);
	/* By the second time the driver may have offered another under this ID. */
	if (!chain->returned) {
		__clear_bit(chain->id, queue->outstanding);
		queue->used++;
		queue->sim->stats.used++;
	}
	for (times = 0; times < chain->pushes; times++) {
		queue->ring->push(queue, chain->push_id, chain->push_len, chain->descs);
		queue->unseen++;
		queue->unseen_descs += chain->descs;
	}
	if (chain->irqs < 0)
		queue->mute = true;
	else
		queue->storm += chain->irqs;
	sim_push_done(queue, chain);
	if (!queue->together)
		sim_show(queue);
}

/* Held buffers go out in the order of their completion, or backwards. */
static void sim_push_list(struct sim_queue *queue, struct list_head *list, bool backwards)
{
	struct sim_chain *chain;

	while (!list_empty(list)) {
		chain = backwards ? list_last_entry(list, struct sim_chain, node) :
				    list_first_entry(list, struct sim_chain, node);
		list_del(&chain->node);
		sim_push(queue, chain);
	}
}

/**
 * sim_use() - use a buffer
 * @queue: where it came from
 * @chain: the buffer, in no list; not the caller's any more
 * @len: bytes written, as reported to the driver
 *
 * Context: process context, under the device's lock.
 */
void sim_use(struct sim_queue *queue, struct sim_chain *chain, u32 len)
{
	lockdep_assert_held(&queue->sim->lock);
	if (!sim_queue_running(queue)) {
		sim_chain_drop(chain);
		return;
	}
	chain->push_id = chain->id;
	chain->push_len = len;
	chain->pushes = 1;
	chain->irqs = 0;
	if (sim_rules_apply(queue, chain))
		sim_push(queue, chain);
	if (queue->reorder && queue->nr_reordered >= queue->reorder) {
		queue->nr_reordered = 0;
		sim_push_list(queue, &queue->reordered, true);
	}
}
EXPORT_SYMBOL_GPL(sim_use);

/**
 * sim_use_together() - have the driver see several used buffers at once
 * @queue: the queue
 * @on: false shows what sim_use() was called for since it was true
 *
 * For what takes several buffers, and must not be seen in part.
 *
 * Context: under the device's lock, which is held from one call to the other.
 */
void sim_use_together(struct sim_queue *queue, bool on)
{
	lockdep_assert_held(&queue->sim->lock);
	queue->together = on;
	if (!on)
		sim_show(queue);
}
EXPORT_SYMBOL_GPL(sim_use_together);

/**
 * sim_queue_release() - use all buffers that the script holds
 * @queue: the queue
 *
 * And have the device look for new ones, of which the driver may not have notified.
 *
 * Context: under the device's lock.
 */
void sim_queue_release(struct sim_queue *queue)
{
	if (!sim_queue_running(queue))
		return;
	sim_push_list(queue, &queue->held, false);
	queue->nr_reordered = 0;
	sim_push_list(queue, &queue->reordered, true);
	set_bit(queue->index, queue->sim->kicked);
	wake_up(&queue->sim->wait);
}

/**
 * sim_queue_due() - use delayed buffers whose time has come
 * @queue: the queue
 * @next: earliest time known so far, in jiffies
 *
 * And have the device look again for one that it had no memory for.
 *
 * Context: under the device's lock.
 * Return: @next, or the time of a buffer of this queue if that is earlier.
 */
unsigned long sim_queue_due(struct sim_queue *queue, unsigned long next)
{
	struct sim_chain *chain, *more;

	if (!sim_queue_running(queue))
		return next;
	list_for_each_entry_safe(chain, more, &queue->delayed, node) {
		if (time_after(chain->due, jiffies)) {
			if (time_before(chain->due, next))
				next = chain->due;
			continue;
		}
		list_del(&chain->node);
		sim_push(queue, chain);
	}
	if (!queue->starved)
		return next;
	if (time_after(queue->retry, jiffies))
		return time_before(queue->retry, next) ? queue->retry : next;
	queue->starved = false;
	set_bit(queue->index, queue->sim->kicked);
	return next;
}

static size_t sim_chain_copy(const struct sim_seg *seg, unsigned int nr, size_t at, void *to,
			     const void *from, size_t len)
{
	size_t done = 0;
	size_t part;

	for (; nr && done < len; nr--, seg++) {
		if (at >= seg->len) {
			at -= seg->len;
			continue;
		}
		part = min_t(size_t, seg->len - at, len - done);
		if (to)
			memcpy(to + done, seg->at + at, part);
		else
			memcpy(seg->at + at, from + done, part);
		done += part;
		at = 0;
	}
	return done;
}

/**
 * sim_chain_read() - read what the driver wrote
 * @chain: the buffer
 * @at: offset in bytes from the beginning of its readable part
 * @to: where to
 * @len: bytes
 *
 * Context: under the device's lock.
 * Return: bytes read, less than @len at the end of the buffer; 0, and zeroes at @to, if the
 *	device may not touch it any more.
 */
size_t sim_chain_read(const struct sim_chain *chain, size_t at, void *to, size_t len)
{
	if (!sim_chain_ours(chain)) {
		memset(to, 0, len);
		return 0;
	}
	return sim_chain_copy(chain->segs, chain->nr_out, at, to, NULL, len);
}
EXPORT_SYMBOL_GPL(sim_chain_read);

/**
 * sim_chain_write() - write into a buffer
 * @chain: the buffer
 * @at: offset in bytes from the beginning of its writable part
 * @from: what
 * @len: bytes
 *
 * Context: under the device's lock.
 * Return: bytes written, less than @len at the end of the buffer; 0 if the device may not
 *	touch it any more.
 */
size_t sim_chain_write(struct sim_chain *chain, size_t at, const void *from, size_t len)
{
	size_t done;

	if (!sim_chain_ours(chain))
		return 0;
	done = sim_chain_copy(chain->segs + chain->nr_out, chain->nr_in, at, NULL, from, len);
	if (done)
		chain->written = max_t(u32, chain->written, at + done);
	return done;
}
EXPORT_SYMBOL_GPL(sim_chain_write);

static int sim_queue_scribble(struct sim_queue *queue, const struct sim_action *action)
{
	int err;

	/* The index of the used ring says how many buffers are used. */
	if (action->at == 1 && queue->ring == &sim_split_ring &&
	    (u16)action->value != queue->next_used)
		sim_queue_lie(queue);
	err = queue->ring->scribble(queue, action->at, action->value);
	if (!err)
		sim_irq_raise(&queue->irq);
	return err;
}

/**
 * sim_queue_act() - do an action that is about a queue, at once
 * @queue: the queue
 * @action: SIM_RELEASE, SIM_IRQ, SIM_USED_IDX or SIM_RING
 *
 * Context: under the device's lock.
 * Return: 0, -ENODEV if the queue does not run, -EINVAL if its layout has no such field.
 */
int sim_queue_act(struct sim_queue *queue, const struct sim_action *action)
{
	if (!sim_queue_running(queue))
		return -ENODEV;
	switch (action->op) {
	case SIM_RELEASE:
		sim_queue_release(queue);
		break;
	case SIM_USED_IDX:
		sim_queue_lie(queue);
		queue->ring->skew(queue, action->value);
		sim_irq_raise(&queue->irq);
		break;
	case SIM_RING:
		return sim_queue_scribble(queue, action);
	default:
		sim_queue_raise(queue);
		break;
	}
	return 0;
}
