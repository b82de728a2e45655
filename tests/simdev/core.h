/* SPDX-License-Identifier: GPL-2.0-only */
/* What the simulated device's own files use of each other, by file. */
#ifndef VRH_SIMDEV_CORE_H
#define VRH_SIMDEV_CORE_H

#include "simdev.h"

/* walk.c: descriptors, as both layouts have them */

/**
 * struct sim_walk - a buffer that is being read from its descriptors
 * @queue: where
 * @id: its ID
 * @descs: descriptors that it takes in the ring
 * @nr_out: entries of the device's scratch to read
 * @nr_in: entries to write, after those
 * @out: bytes to read
 * @in: bytes to write
 */
struct sim_walk {
	struct sim_queue *queue;
	u16 id;
	u16 descs;
	unsigned int nr_out;
	unsigned int nr_in;
	u64 out;
	u64 in;
};

bool sim_walk_add(struct sim_walk *walk, u64 address, u32 len, bool write);
void *sim_memory(struct sim_queue *queue, u64 address, u64 len);

/* ring.c, packed.c: the two layouts of a virtqueue (VIRTIO 1.3, 2.7 and 2.8) */

/**
 * struct sim_ring - a layout
 * @start: the ring is at its beginning
 * @available: is there a buffer?
 * @pop: takes the next buffer, which is there; false if it breaks the rules
 * @push: makes a buffer used; @descs is what it took of a packed ring
 * @show: lets the driver see what was pushed since the last time
 * @wants_irq: the driver wants to hear of one of these @entries, which took @descs
 * @listen: the driver is to notify of new buffers, or not
 * @skew: see SIM_USED_IDX; @by is not 0
 * @scribble: see SIM_RING; 0 or -EINVAL
 *
 * Context: under the device's lock.
 */
struct sim_ring {
	void (*start)(struct sim_queue *queue);
	bool (*available)(struct sim_queue *queue);
	bool (*pop)(struct sim_queue *queue, struct sim_walk *walk);
	void (*push)(struct sim_queue *queue, u32 id, u32 len, unsigned int descs);
	void (*show)(struct sim_queue *queue);
	bool (*wants_irq)(struct sim_queue *queue, unsigned int entries, unsigned int descs);
	void (*listen)(struct sim_queue *queue, bool on);
	void (*skew)(struct sim_queue *queue, u16 by);
	int (*scribble)(struct sim_queue *queue, unsigned int field, u16 value);
};

extern const struct sim_ring sim_split_ring;
extern const struct sim_ring sim_packed_ring;

/* irq.c */

void sim_irq_init(struct sim_irq *irq, void (*deliver)(struct sim_irq *irq));
void sim_irq_raise(struct sim_irq *irq);
void sim_irq_storm(struct sim_irq *irq, unsigned int count);
void sim_quiet(struct sim_device *sim, struct sim_irq *irq);
bool sim_irq_exit(struct sim_irq *irq);

/* queue.c */

void sim_queue_init(struct sim_device *sim, unsigned int index);
bool sim_queue_exit(struct sim_queue *queue);
int sim_queue_enable(struct sim_queue *queue);
void sim_queue_disable(struct sim_queue *queue);
void sim_queue_lie(struct sim_queue *queue);
void sim_queue_release(struct sim_queue *queue);
unsigned long sim_queue_due(struct sim_queue *queue, unsigned long next);
void sim_queue_raise(struct sim_queue *queue);
int sim_queue_act(struct sim_queue *queue, const struct sim_action *action);

/* script.c */

int sim_act_locked(struct sim_device *sim, const struct sim_action *action);
bool sim_rules_apply(struct sim_queue *queue, struct sim_chain *chain);
bool sim_rules_event(struct sim_device *sim, enum sim_op op, const struct sim_queue *queue,
		     struct sim_action *rule);
void sim_rules_config(struct sim_device *sim);
void sim_forget_old(struct sim_device *sim, unsigned int keep);
const char *sim_op_name(const struct sim_model *model, unsigned int op);
int sim_op_find(const struct sim_model *model, const char *name);

/* draw.c: random actions */

/**
 * enum sim_phase - when in the life of a device an action is drawn
 * @SIM_EARLY: before it is plugged: what probe meets
 * @SIM_MIDST: while a driver has it
 * @SIM_LATE: before it is unplugged
 */
enum sim_phase {
	SIM_EARLY,
	SIM_MIDST,
	SIM_LATE,
};

void sim_draw(struct sim_device *sim, enum sim_phase phase, struct rnd_state *rnd,
	      struct sim_action *action);
bool sim_draw_ends(const struct sim_action *action);

/* text.c: actions and options as text, and actions as bytes */

/**
 * struct sim_word - a word "name=value" that is understood
 * @name: before the sign
 * @max: largest value
 * @value: receives it
 */
struct sim_word {
	const char *name;
	u64 max;
	u64 *value;
};

int sim_parse_words(char *text, const struct sim_word *words, unsigned int nr);
int sim_parse_options(char *text, struct sim_options *options, bool *plug);
int sim_parse_action(const struct sim_model *model, char *text, struct sim_action *action,
		     u8 *bytes);
ssize_t sim_stream_action(const u8 *stream, size_t len, struct sim_action *action);

/* worker.c */

int sim_worker_start(struct sim_device *sim);
void sim_worker_stop(struct sim_device *sim);
void sim_worker_ready(struct sim_device *sim);

/* transport.c */

extern const struct virtio_config_ops sim_config_ops;

int sim_needs_reset(struct sim_device *sim);
void sim_config_change(struct sim_device *sim, unsigned int at, const void *data,
		       unsigned int len, bool told);

/* device.c */

void sim_pull(struct sim_device *sim);
const struct sim_model *sim_model_find(u32 id);
const struct sim_model *sim_model_named(const char *name);
const struct sim_model *sim_model_number(unsigned int number);

/* hostile.c, debugfs.c */

void sim_hostile_debugfs(struct dentry *root);
void sim_hostile_exit(void);
int sim_debugfs_init(void);
void sim_debugfs_exit(void);

#endif
