/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A simulated virtio device: it is registered on the guest's own virtio bus, and a
 * thread plays the host's side of its virtqueues from the ring memory itself. The
 * first half of this file is for who makes devices (KUnit suites, debugfs, the
 * hostile mode), the second for the models of the device types.
 *
 * Nothing here trusts the driver: what it put into a ring is checked against the
 * specification, and a violation is counted and kept as text.
 */
#ifndef VRH_SIMDEV_H
#define VRH_SIMDEV_H

#include <linux/atomic.h>
#include <linux/irq_work.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/prandom.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <linux/wait.h>

#include "compat.h"

struct dentry;
struct platform_device;
struct seq_file;
struct sim_chain;
struct sim_device;
struct sim_model;
struct sim_queue;
struct task_struct;

/* A net device with 64 pairs and a control queue, a console with 511 ports. */
#define SIM_QUEUES_MAX		1024
/* Descriptors in a chain; the driver may exceed the ring's size by indirect ones. */
#define SIM_CHAIN_MAX		4096
/* Bytes of config space; net's largest part is the 1.3 layout with 88 bytes. */
#define SIM_CONFIG_MAX		256
/* Rules that wait for their events at a time. */
#define SIM_RULES_MAX		128
#define SIM_ALL_QUEUES		0xffff
/* What VIRTIO 1.3, 2.7 and 2.8 allow. */
#define SIM_QUEUE_SIZE_MAX	32768
/* Feature bits that belong to the type of device: VIRTIO 1.3, section 6. */
#define SIM_DEVICE_FEATURES	(GENMASK_ULL(23, 0) | GENMASK_ULL(63, 50))
/*
 * Bits of rings and transport that it implements. What else is in their range (bits 24 to
 * 49) is refused: a driver or the core would rely on what the device does not do.
 */
#define SIM_TRANSPORT_FEATURES							\
	(BIT_ULL(VIRTIO_F_ANY_LAYOUT) | BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) |	\
	 BIT_ULL(VIRTIO_RING_F_EVENT_IDX) | BIT_ULL(VIRTIO_F_VERSION_1) |	\
	 BIT_ULL(VIRTIO_F_ACCESS_PLATFORM) | BIT_ULL(VIRTIO_F_RING_PACKED) |	\
	 BIT_ULL(VIRTIO_F_ORDER_PLATFORM) | BIT_ULL(VIRTIO_F_RING_RESET))
/* Vendor ID in the virtio bus's modalias: the project's initials. */
#define SIM_VENDOR		0x5652

/* Behaviour */

/**
 * enum sim_op - what a device can be told to do
 *
 * Rules wait for completions on their queue, let @skip of them pass and apply to
 * the @count after that (0 is one). All rules that match apply, in the order in which
 * they were added, until one of them takes the buffer away.
 *
 * @SIM_DELAY: the buffer is used @value milliseconds later
 * @SIM_HOLD: the buffer is used by SIM_RELEASE
 * @SIM_DROP: the buffer is never used
 * @SIM_REORDER: buffers are held until there are @value of them, and used backwards
 * @SIM_TWICE: the buffer is used twice
 * @SIM_AGAIN: the buffer is used, and a second time @value milliseconds later
 * @SIM_ID: the used id is @value, never offered maybe
 * @SIM_LEN: the used length is @value
 * @SIM_PATCH: @width bytes of what the device writes, at byte @at (from the end if
 *	negative), are @value, little endian; after the model has written them. A buffer
 *	into which it writes nothing passes
 * @SIM_IRQ_DROP: no interrupt for this buffer, though the driver asked for one
 * @SIM_IRQ_STORM: @value interrupts more than it asked for
 *
 * Rules of the device, whose events are not completions. To an event applies the first
 * rule that is due, but of config space all that are:
 *
 * @SIM_IRQ_EARLY: an interrupt of the queue as soon as it exists, before DRIVER_OK; the
 *	driver's callback is called though nothing is used
 * @SIM_IRQ_LATE: an interrupt of the queue after the device was reset, likewise; it comes
 *	before the virtqueue is deleted
 * @SIM_CONFIG_TEAR: the config generation changes, and byte @at is @value, between
 *	two reads of config space; each read is an event
 * @SIM_CONFIG_SLIP: the same, but the generation stays, as if nothing had changed
 * @SIM_STATUS: a read of the device status gives @value. The core writes back what it
 *	reads when it adds a bit. 0 is told truly, as the core warns of another value; and
 *	DRIVER_OK before the driver has set it only to who has virtqueues and looks for the
 *	first time: the core reads it again, and warns of it. After all ones, which a device
 *	that is gone reads as, it takes no buffer and touches none until it is reset
 * @SIM_VANISH: SIM_GONE at an access, reading or writing, to status or config space
 * @SIM_VQ_FAIL: the virtqueue is not to be had when the driver asks for it, or enables it
 *	after its reset: errno @value, 0 is the -ENOENT of a queue with 0 entries
 *
 * Done at once:
 *
 * @SIM_RELEASE: uses the buffers that are held on the queue, and looks for new ones
 * @SIM_IRQ: an interrupt of the queue; the driver's callback is called though nothing is
 *	used
 * @SIM_CONFIG_IRQ: a config change interrupt
 * @SIM_CONFIG: @width bytes of config space at @at become @value, with a new
 *	generation and a config change interrupt
 * @SIM_USED_IDX: the ring's used index moves on by @value without a used buffer
 *	(split); as many descriptors are marked as used, as the driver left them (packed).
 *	An interrupt, and what is used later lies behind them
 * @SIM_RING: 16 bits of @value are what the device's part of the ring says until the device
 *	writes there the next time, with an interrupt. Field @at is 0: flags, 1: index of
 *	the used ring, 2: avail_event (split); 0: flags, 1: offset of event suppression
 *	(packed)
 * @SIM_NEEDS_RESET: status DEVICE_NEEDS_RESET, with a config change interrupt; not of a
 *	device that is reset
 * @SIM_GONE: status, config space and features read as all ones; there are no virtqueues to
 *	be had, and rings are left alone. Before sim_plug() too. DRIVER_OK that the driver
 *	has not set is among the ones for who looks, as with SIM_STATUS, and not for the
 *	core's read after that
 *
 * @SIM_MODEL: the first of the model's own, see its file
 * @SIM_OPS_MAX: behind the last one that a model can have
 */
enum sim_op {
	SIM_DELAY,
	SIM_HOLD,
	SIM_DROP,
	SIM_REORDER,
	SIM_TWICE,
	SIM_AGAIN,
	SIM_ID,
	SIM_LEN,
	SIM_PATCH,
	SIM_IRQ_DROP,
	SIM_IRQ_STORM,

	SIM_IRQ_EARLY,
	SIM_IRQ_LATE,
	SIM_CONFIG_TEAR,
	SIM_CONFIG_SLIP,
	SIM_STATUS,
	SIM_VANISH,
	SIM_VQ_FAIL,

	SIM_RELEASE,
	SIM_IRQ,
	SIM_CONFIG_IRQ,
	SIM_CONFIG,
	SIM_USED_IDX,
	SIM_RING,
	SIM_NEEDS_RESET,
	SIM_GONE,

	SIM_MODEL,
	SIM_OPS_MAX = SIM_MODEL + 16,
};

/* Bytes that a model's operation can carry: a name, a packet, a message. */
#define SIM_BYTES_MAX 1600

/**
 * struct sim_action - one step of a script
 * @op: what to do
 * @queue: index of the virtqueue, or SIM_ALL_QUEUES
 * @skip: rules: events to let pass
 * @count: rules: events to apply to, 0 is one
 * @at: byte offset
 * @width: bytes of @value, 1 to 8
 * @value: see enum sim_op
 * @len: bytes at @bytes
 * @bytes: for a model's operation, or NULL; copied if it is kept
 */
struct sim_action {
	u16 op;
	u16 queue;
	u32 skip;
	u32 count;
	s32 at;
	u8 width;
	u64 value;
	u16 len;
	const u8 *bytes;
};

/**
 * struct sim_options - what device to make
 * @id: virtio device ID: net, block, console or balloon
 * @features: offered, bits 0 to 63, of those that the type and SIM_TRANSPORT_FEATURES have;
 *	VIRTIO_F_VERSION_1 is the caller's to give
 * @features_hi: bits 64 to 127, on kernels that have them
 * @queue_size: entries of each virtqueue; 0 is 256. A split ring takes the power of
 *	two below it
 * @pairs: net: queue pairs; block: request queues; 0 is 1
 * @ports: console: max_nr_ports; 0 is 1
 * @sectors: block: capacity in sectors of 512 bytes; 0 is 4 MiB
 * @suppress: the device asks not to be kicked while it works, as vhost does
 */
struct sim_options {
	u32 id;
	u64 features;
	u64 features_hi;
	u32 queue_size;
	u32 pairs;
	u32 ports;
	u64 sectors;
	bool suppress;
};

/**
 * struct sim_stats - what happened so far; under the device's lock
 * @kicks: notifications by the driver
 * @used: buffers used
 * @irqs: interrupts delivered
 * @resets: resets by the driver
 * @actions: rules applied, and actions done at once
 * @violations: times that the driver did what it must not do
 * @starved: times that there was no memory for a buffer, which was taken later
 * @by_op: @actions by operation
 */
struct sim_stats {
	u64 kicks;
	u64 used;
	u64 irqs;
	u64 resets;
	u64 actions;
	u64 violations;
	u64 starved;
	u64 by_op[SIM_OPS_MAX];
};

struct sim_device *sim_create(const struct sim_options *options);
int sim_plug(struct sim_device *sim);
void sim_unplug(struct sim_device *sim, bool surprise);
void sim_put(struct sim_device *sim);

void sim_lock(struct sim_device *sim);
void sim_unlock(struct sim_device *sim);
int sim_act(struct sim_device *sim, const struct sim_action *action);
void sim_forget(struct sim_device *sim);
void sim_stats(struct sim_device *sim, struct sim_stats *stats);
void sim_violation_text(struct sim_device *sim, char *text, size_t size);
bool sim_wait_used(struct sim_device *sim, u64 used, unsigned int ms);
void sim_config_write(struct sim_device *sim, unsigned int at, const void *data,
		      unsigned int len, bool interrupt);
void sim_config_read(struct sim_device *sim, unsigned int at, void *data, unsigned int len);

/* The device, for its models */

/**
 * struct sim_seg - a descriptor's memory
 * @at: its address
 * @len: bytes
 */
struct sim_seg {
	u8 *at;
	u32 len;
};

/**
 * struct sim_chain - a buffer that the driver has made available
 * @node: the model's, while it keeps the chain; later that of the queue's held ones
 * @queue: where it came from
 * @id: buffer ID, as the driver expects it back
 * @descs: descriptors it takes in a packed ring
 * @out: bytes that the device reads
 * @in: bytes that the device may write
 * @nr_out: entries of @segs to read, the first ones
 * @nr_in: entries of @segs to write, after those
 * @due: jiffies at which it is used, if delayed
 * @written: bytes that the device has written, counted from the start
 * @push_id: id that is reported
 * @push_len: length that is reported
 * @pushes: how often it is reported
 * @irqs: interrupts on top of what the driver wants; negative is none at all
 * @again: SIM_AGAIN: jiffies from the first report to the second one, or negative
 * @returned: it was reported once: its memory is the driver's
 * @told: bitmap of the operations of rules that were applied to it
 * @patched: bitmap of the bytes, modulo 64, at which SIM_PATCH has begun
 * @segs: its memory, for who has asked sim_chain_ours()
 *
 * A chain belongs to the queue it came from. The model gives it back by sim_use(), or
 * by sim_chain_drop() when its queue is reset.
 */
struct sim_chain {
	struct list_head node;
	struct sim_queue *queue;
	u16 id;
	u16 descs;
	u32 out;
	u32 in;
	unsigned int nr_out;
	unsigned int nr_in;
	unsigned long due;
	u32 written;
	u32 push_id;
	u32 push_len;
	unsigned int pushes;
	int irqs;
	long again;
	bool returned;
	u32 told;
	u64 patched;
	struct sim_seg segs[];
};

struct sim_chain *sim_pop(struct sim_queue *queue);
bool sim_available(struct sim_queue *queue);
void sim_use(struct sim_queue *queue, struct sim_chain *chain, u32 len);
void sim_use_together(struct sim_queue *queue, bool on);
bool sim_chain_ours(const struct sim_chain *chain);
void sim_chain_drop(struct sim_chain *chain);
void sim_wake(struct sim_device *sim);
size_t sim_chain_read(const struct sim_chain *chain, size_t at, void *to, size_t len);
size_t sim_chain_write(struct sim_chain *chain, size_t at, const void *from, size_t len);
__printf(2, 3) void sim_violation(struct sim_device *sim, const char *format, ...);

/**
 * struct sim_model - a type of device
 * @id: virtio device ID
 * @name: as scripts call it
 * @config_len: bytes of its config space; what lies behind reads as zero
 * @features: device type bits that it serves, 0 to 63
 * @features_hi: bits 64 to 127
 * @rare: bits of @features that few drivers serve, and without which the device is not to
 *	be had: the hostile mode offers them in one round of 16
 * @ops: names of its own operations, from SIM_MODEL on, up to a NULL
 * @init: fills config space and sets @data from the options; nr_queues too
 * @exit: frees @data
 * @reset: the driver has reset the device, or one of its queues (@queue is not NULL):
 *	chains of them that the model keeps are given to sim_chain_drop()
 * @features_ok: FEATURES_OK; an errno refuses what was negotiated; may be NULL
 * @ready: DRIVER_OK
 * @kick: the driver may have made buffers available on a queue; also after
 *	SIM_RELEASE and when a delay is over
 * @work: after sim_wake(), whatever happened; may be NULL
 * @config_get: the driver has read @data, @len bytes of config space at @at; without the
 *	device's lock; may be NULL
 * @config_set: the driver has written @len bytes of config space at @at
 * @act: does one of its own operations; 0 or an errno
 * @forget: forgets its own operations that have not come to their event yet; may be NULL
 * @draw: makes a random action of its own kind: a model's operation, or a SIM_PATCH or
 *	SIM_CONFIG at a place that means something; with the device's lock or without, for
 *	one caller at a time, whose the bytes of the action are until the next is drawn
 * @nudge: gives the driver something to do, as an honest device may, for the hostile mode;
 *	@idle: it has done nothing since the last time. Returns how many buffers it will need
 *	for that, or 0: not known; may be NULL
 * @show: the model's own counters, "name: value" a line; may be NULL
 *
 * All but @init, @exit and @draw are called with the device's lock held; all in process context.
 */
struct sim_model {
	u32 id;
	const char *name;
	unsigned int config_len;
	u64 features;
	u64 features_hi;
	u64 rare;
	const char * const *ops;
	int (*init)(struct sim_device *sim, const struct sim_options *options);
	void (*exit)(struct sim_device *sim);
	void (*reset)(struct sim_device *sim, struct sim_queue *queue);
	int (*features_ok)(struct sim_device *sim);
	void (*ready)(struct sim_device *sim);
	void (*kick)(struct sim_device *sim, struct sim_queue *queue);
	void (*work)(struct sim_device *sim);
	void (*config_get)(struct sim_device *sim, unsigned int at, const void *data,
			   unsigned int len);
	void (*config_set)(struct sim_device *sim, unsigned int at, unsigned int len);
	int (*act)(struct sim_device *sim, const struct sim_action *action);
	void (*forget)(struct sim_device *sim);
	void (*draw)(struct sim_device *sim, struct rnd_state *rnd, struct sim_action *action);
	unsigned int (*nudge)(struct sim_device *sim, bool idle);
	void (*show)(struct sim_device *sim, struct seq_file *m);
};

extern const struct sim_model sim_net;
extern const struct sim_model sim_blk;
extern const struct sim_model sim_console;
extern const struct sim_model sim_balloon;

/**
 * struct sim_irq - an interrupt vector
 * @deliver: runs in hard interrupt context
 * @pending: raised and not yet taken: another one is the same, as with MSI-X
 * @in_flight: interrupts that are raised and not yet over
 * @storm: interrupts to follow
 * @cpu: where it goes, or -1 for a CPU other than the device's
 * @csd: takes it to another CPU
 * @work: raises it on this one
 */
struct sim_irq {
	void (*deliver)(struct sim_irq *irq);
	unsigned long pending;
	atomic_t in_flight;
	atomic_t storm;
	int cpu;
	call_single_data_t csd;
	struct irq_work work;
};

struct sim_ring;

/**
 * struct sim_queue - the device's side of a virtqueue
 * @sim: the device
 * @index: of the virtqueue, as the specification numbers it
 * @vq: the driver's side, or NULL; changed under @sim's lock, read by interrupts
 * @num: entries
 * @enabled: the device may touch the ring
 * @lied: it has said what is not so of which buffers it has: it writes used ones and
 *	interrupts as before, but takes no buffer and touches none until the ring is new
 * @ring: layout of the ring
 * @desc: descriptor table, or packed descriptor ring
 * @driver: available ring, or driver event suppression
 * @device: used ring, or device event suppression
 * @next_avail: next entry to look at: available index, or slot of the packed ring
 * @next_used: next entry to write: used index, or slot
 * @avail_wrap: wrap counter (packed)
 * @used_wrap: wrap counter (packed)
 * @together: what is pushed is shown to the driver later
 * @unseen: entries pushed that the driver has not been shown
 * @unseen_descs: descriptors of those
 * @first: slot of the first of them (packed)
 * @first_flags: its flags, which make them all visible
 * @mute: no interrupt for them, though the driver asks for one
 * @storm: interrupts on top
 * @outstanding: bitmap of buffer IDs that the device has
 * @held: chains that SIM_HOLD keeps, in order of completion
 * @reordered: chains that SIM_REORDER keeps
 * @delayed: chains that SIM_DELAY keeps
 * @nr_reordered: entries of @reordered
 * @reorder: how many there must be
 * @starved: there was no memory for the next buffer
 * @retry: when to look again, in jiffies
 * @irq: its vector
 * @unasked: bit 0: the next interrupt calls the driver though nothing is used
 * @called: times that the driver's callback was called
 * @kicks: notifications by the driver
 * @used: buffers used
 */
struct sim_queue {
	struct sim_device *sim;
	unsigned int index;
	struct virtqueue *vq;
	u16 num;
	bool enabled;
	bool lied;
	const struct sim_ring *ring;
	void *desc;
	void *driver;
	void *device;
	u16 next_avail;
	u16 next_used;
	bool avail_wrap;
	bool used_wrap;
	bool together;
	unsigned int unseen;
	unsigned int unseen_descs;
	u16 first;
	u16 first_flags;
	bool mute;
	unsigned int storm;
	unsigned long *outstanding;
	struct list_head held;
	struct list_head reordered;
	struct list_head delayed;
	unsigned int nr_reordered;
	unsigned int reorder;
	bool starved;
	unsigned long retry;
	struct sim_irq irq;
	unsigned long unasked;
	atomic64_t called;
	atomic64_t kicks;
	u64 used;
};

#define SIM_CONFIG_WRITES 16

/**
 * struct sim_config_write - a write by the driver
 * @at: offset in bytes
 * @len: bytes
 */
struct sim_config_write {
	unsigned int at;
	unsigned int len;
};

/**
 * struct sim_device - a simulated device
 * @vdev: the virtio device
 * @parent: platform device that it hangs on, for the DMA API
 * @ref: who made it, the virtio device, its peer
 * @model: its type
 * @data: the model's
 * @options: what was asked for
 * @nr_queues: virtqueues that the device has; set by the model's init
 * @queues: all of them
 * @lock: the device's side of rings, script, model and statistics; held while the
 *	thread works, and never while anybody waits for the driver. Taken by sim_lock()
 * @reclaim: of who holds @lock, see there
 * @thread: plays the device
 * @wait: wakes @thread
 * @moved: @thread has been through its queues: for who waits for the driver
 * @scratch: SIM_CHAIN_MAX descriptors, while one chain is being read
 * @kicked: bitmap of queues to look at
 * @irqs: interrupts delivered
 * @config_lock: config space, and writes of @status
 * @config: its bytes
 * @config_writes: what the driver wrote and the model has not yet seen
 * @nr_config_writes: entries of @config_writes; if there are too many, the last covers
 *	several
 * @generation: of config space
 * @config_irq: vector of config changes
 * @status: device status
 * @gone: reads as all ones
 * @looked: the driver's last access has read the status of a device with virtqueues, and
 *	seen no DRIVER_OK
 * @absent: SIM_STATUS has told that since the last reset
 * @plugged: registered on the bus
 * @prepared: the virtio core may be told of config changes
 * @ready: DRIVER_OK was seen by @thread
 * @lied: one of @queues has lied since the last reset; what the driver makes of it is not
 *	held against it
 * @rules: actions that wait for events
 * @nr_rules: entries of @rules
 * @hurry: somebody waits for @lock, and the thread is to look for buffers later
 * @apart: rules wait for a buffer in which no other one hides what they do
 * @stats: what happened
 * @violation_lock: @violations and @violation
 * @violations: how often the driver did what it must not do
 * @violation: the first time
 * @woken: @model's work is due
 * @debugfs: directory
 */
struct sim_device {
	struct virtio_device vdev;
	struct platform_device *parent;
	struct kref ref;
	const struct sim_model *model;
	void *data;
	struct sim_options options;
	unsigned int nr_queues;
	struct sim_queue *queues;
	/* See above; taken before the two spinlocks. */
	struct mutex lock;
	unsigned int reclaim;
	struct task_struct *thread;
	wait_queue_head_t wait;
	wait_queue_head_t moved;
	struct sim_seg *scratch;
	unsigned long kicked[BITS_TO_LONGS(SIM_QUEUES_MAX)];
	atomic64_t irqs;
	/* config, config_writes, generation, status. */
	spinlock_t config_lock;
	u8 config[SIM_CONFIG_MAX];
	struct sim_config_write config_writes[SIM_CONFIG_WRITES];
	unsigned int nr_config_writes;
	u32 generation;
	struct sim_irq config_irq;
	u8 status;
	bool gone;
	bool looked;
	bool absent;
	bool plugged;
	bool prepared;
	bool ready;
	bool lied;
	struct sim_action rules[SIM_RULES_MAX];
	unsigned int nr_rules;
	bool hurry;
	bool apart;
	struct sim_stats stats;
	/* Innermost. */
	spinlock_t violation_lock;
	u64 violations;
	char violation[160];
	bool woken;
	struct dentry *debugfs;
};

/**
 * sim_has() - is a feature negotiated?
 * @sim: a device whose driver has set FEATURES_OK
 * @bit: the feature
 *
 * Return: it is.
 */
static inline bool sim_has(const struct sim_device *sim, unsigned int bit)
{
	return __virtio_test_bit(&sim->vdev, bit);
}

/**
 * sim_hurried() - is the thread to go on with a queue later?
 * @queue: the queue; it counts as notified of then
 *
 * Context: under the device's lock.
 * Return: true if somebody waits for that lock.
 */
static inline bool sim_hurried(struct sim_queue *queue)
{
	if (!READ_ONCE(queue->sim->hurry))
		return false;
	set_bit(queue->index, queue->sim->kicked);
	return true;
}

/**
 * sim_config_lies() - how often has the script changed config space?
 * @sim: the device
 *
 * What is there after it need not be the driver's, nor what the driver has read the device's.
 *
 * Context: under the device's lock.
 * Return: how often, since the device was made.
 */
static inline u64 sim_config_lies(const struct sim_device *sim)
{
	return sim->stats.by_op[SIM_CONFIG] + sim->stats.by_op[SIM_CONFIG_TEAR] +
	       sim->stats.by_op[SIM_CONFIG_SLIP];
}

#endif
