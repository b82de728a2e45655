// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hostile mode: device after device of one type, each with features, sizes
 * and lies that come from a seed. The same seed draws the same devices and
 * actions; when they meet the driver depends on how fast that is.
 *
 * /sys/kernel/debug/vrh_simdev/hostile: "TYPE seed=N actions=N" starts, "stop"
 * ends early, reading says how far it is.
 */
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/jhash.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "core.h"

/* A device is replaced after so many actions even if none of them has ended it. */
#define SIM_ROUND_ACTIONS	1500
/* Actions that a device still gets after one that a driver hardly survives. */
#define SIM_ROUND_TAIL		16
/* Actions between two looks at whether the driver still does something. */
#define SIM_BURST		8
/* How long a driver has to do something before what is held is used, in us. */
#define SIM_PATIENCE_US		2000

/**
 * struct sim_hostile - a run of the hostile mode
 * @model: type of device
 * @seed: where all chance comes from
 * @wanted: actions to do
 * @drawn: actions drawn
 * @done: actions that the device could do
 * @rounds: devices made
 * @refused: devices that no driver took to DRIVER_OK
 * @used: buffers used
 * @violations: by the drivers
 * @violation: the first one
 * @digest: of all drawn actions
 * @ns: how long it took so far
 * @thread: runs it, or NULL
 * @finished: it has done all
 */
struct sim_hostile {
	const struct sim_model *model;
	u64 seed;
	u64 wanted;
	u64 drawn;
	u64 done;
	u64 rounds;
	u64 refused;
	u64 used;
	u64 violations;
	char violation[160];
	u32 digest;
	u64 ns;
	struct task_struct *thread;
	bool finished;
};

/* Protects the thread in it; the rest is the thread's, others only read. */
static DEFINE_MUTEX(sim_hostile_lock);
static struct sim_hostile sim_hostile;

static u64 sim_random64(struct rnd_state *rnd)
{
	u64 high = prandom_u32_state(rnd);

	return high << 32 | prandom_u32_state(rnd);
}

static void sim_hostile_options(const struct sim_model *model, struct rnd_state *rnd,
				struct sim_options *options)
{
	static const u16 sizes[] = { 1, 2, 4, 8, 16, 64, 128, 256, 1024 };
	u64 ring = BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) | BIT_ULL(VIRTIO_RING_F_EVENT_IDX) |
		   BIT_ULL(VIRTIO_F_ACCESS_PLATFORM) | BIT_ULL(VIRTIO_F_RING_PACKED) |
		   BIT_ULL(VIRTIO_F_RING_RESET);
	u64 features = model->features;

	memset(options, 0, sizeof(*options));
	options->id = model->id;
	if (prandom_u32_state(rnd) % 2)
		features &= sim_random64(rnd) | sim_random64(rnd);
	options->features = features | (sim_random64(rnd) & ring) | BIT_ULL(VIRTIO_F_VERSION_1);
	if (prandom_u32_state(rnd) % 4)
		options->features &= ~model->rare;
	if (prandom_u32_state(rnd) % 2)
		options->features_hi = model->features_hi;
	options->queue_size = sizes[prandom_u32_state(rnd) % ARRAY_SIZE(sizes)];
	options->pairs = 1 + prandom_u32_state(rnd) % 3;
	options->ports = 1 + prandom_u32_state(rnd) % 6;
	options->suppress = prandom_u32_state(rnd) % 2;
}

static u32 sim_hostile_digest(u32 digest, const struct sim_action *action)
{
	u64 fields[] = { action->op, action->queue, action->skip, action->count,
			 (u32)action->at, action->width, action->value, action->len };

	digest = jhash(fields, sizeof(fields), digest);
	return jhash(action->bytes, action->len, digest);
}

/* Gives the driver a chance to meet what was armed; nothing may be held for ever. */
static void sim_hostile_pace(struct sim_device *sim, u64 *used)
{
	struct sim_stats stats;
	unsigned int waited;

	for (waited = 0; waited < SIM_PATIENCE_US; waited += 100) {
		sim_stats(sim, &stats);
		if (stats.used > *used) {
			*used = stats.used;
			return;
		}
		usleep_range(100, 200);
	}
	sim_forget(sim);
}

static bool sim_hostile_ends(const struct sim_action *action)
{
	switch (action->op) {
	case SIM_DROP:
	case SIM_TWICE:
	case SIM_ID:
	case SIM_USED_IDX:
	case SIM_NEEDS_RESET:
	case SIM_GONE:
		return true;
	}
	return false;
}

/* One device from plug to unplug. */
static int sim_hostile_round(struct sim_hostile *h, struct rnd_state *rnd, u8 *bytes)
{
	unsigned int left = SIM_ROUND_ACTIONS;
	struct sim_options options;
	struct sim_action action;
	struct sim_device *sim;
	struct sim_stats stats;
	bool surprise;
	u64 used = 0;
	int err;

	sim_hostile_options(h->model, rnd, &options);
	sim = sim_create(&options);
	if (IS_ERR(sim))
		return PTR_ERR(sim);
	err = sim_plug(sim);
	if (err)
		goto out;
	h->rounds++;
	if (!(READ_ONCE(sim->status) & VIRTIO_CONFIG_S_DRIVER_OK))
		h->refused++;
	while (left-- && h->drawn < h->wanted && !kthread_should_stop()) {
		sim_draw(sim, rnd, &action, bytes);
		h->digest = sim_hostile_digest(h->digest, &action);
		h->drawn++;
		if (!sim_act(sim, &action))
			h->done++;
		if (sim_hostile_ends(&action))
			left = min_t(unsigned int, left, SIM_ROUND_TAIL);
		if (!(h->drawn % SIM_BURST))
			sim_hostile_pace(sim, &used);
	}
	surprise = prandom_u32_state(rnd) % 2;
	sim_unplug(sim, surprise);
	sim_stats(sim, &stats);
	h->used += stats.used;
	if (stats.violations && !h->violations)
		sim_violation_text(sim, h->violation, sizeof(h->violation));
	h->violations += stats.violations;
out:
	sim_put(sim);
	return err;
}

static int sim_hostile_thread(void *data)
{
	struct sim_hostile *h = data;
	u64 begun = ktime_get_ns();
	struct rnd_state rnd;
	u8 *bytes;
	int err = 0;

	pr_info("vrh_simdev: hostile %s, seed %llu, %llu actions\n", h->model->name, h->seed,
		h->wanted);
	bytes = kmalloc(SIM_BYTES_MAX, GFP_KERNEL);
	prandom_seed_state(&rnd, h->seed);
	while (bytes && !err && h->drawn < h->wanted && !kthread_should_stop()) {
		err = sim_hostile_round(h, &rnd, bytes);
		h->ns = ktime_get_ns() - begun;
	}
	kfree(bytes);
	if (!bytes || err)
		pr_err("vrh_simdev: hostile %s, seed %llu: ends early, error %d\n", h->model->name,
		       h->seed, err);
	WRITE_ONCE(h->finished, true);
	/* Whoever starts the next run, or unloads the module, takes us away. */
	while (!kthread_should_stop())
		schedule_timeout_interruptible(HZ);
	return 0;
}

static void sim_hostile_stop(void)
{
	lockdep_assert_held(&sim_hostile_lock);
	if (sim_hostile.thread)
		kthread_stop(sim_hostile.thread);
	sim_hostile.thread = NULL;
}

static int sim_hostile_start(const char *name, u64 seed, u64 actions)
{
	const struct sim_model *model = sim_model_named(name);
	struct task_struct *thread;

	if (!model || !actions)
		return -EINVAL;
	if (sim_hostile.thread && !READ_ONCE(sim_hostile.finished))
		return -EBUSY;
	sim_hostile_stop();
	sim_hostile = (struct sim_hostile) { .model = model, .seed = seed, .wanted = actions };
	thread = kthread_run(sim_hostile_thread, &sim_hostile, "vrh-hostile");
	if (IS_ERR(thread))
		return PTR_ERR(thread);
	sim_hostile.thread = thread;
	return 0;
}

static ssize_t sim_hostile_write(struct file *file, const char __user *from, size_t len,
				 loff_t *pos)
{
	unsigned long long seed, actions;
	char text[96] = "";
	char name[16] = "";
	int err = -EINVAL;

	if (len >= sizeof(text))
		return -EMSGSIZE;
	if (copy_from_user(text, from, len))
		return -EFAULT;
	mutex_lock(&sim_hostile_lock);
	if (sysfs_streq(text, "stop")) {
		sim_hostile_stop();
		err = 0;
	} else if (sscanf(text, "%15s seed=%llu actions=%llu", name, &seed, &actions) == 3) {
		err = sim_hostile_start(name, seed, actions);
	}
	mutex_unlock(&sim_hostile_lock);
	return err ?: len;
}

static int sim_hostile_show(struct seq_file *m, void *unused)
{
	const struct sim_hostile *h = &sim_hostile;

	mutex_lock(&sim_hostile_lock);
	if (h->model) {
		seq_printf(m, "model: %s\nseed: %llu\nstate: %s\nwanted: %llu\ndrawn: %llu\n",
			   h->model->name, h->seed,
			   !h->thread ? "stopped" : READ_ONCE(h->finished) ? "done" : "running",
			   h->wanted, h->drawn);
		seq_printf(m, "done: %llu\nrounds: %llu\nrefused: %llu\nused: %llu\nns: %llu\n",
			   h->done, h->rounds, h->refused, h->used, h->ns);
		seq_printf(m, "violations: %llu\nviolation: %s\ndigest: %#x\n", h->violations,
			   h->violation, h->digest);
	}
	mutex_unlock(&sim_hostile_lock);
	return 0;
}

static int sim_hostile_open(struct inode *inode, struct file *file)
{
	return single_open(file, sim_hostile_show, NULL);
}

static const struct file_operations sim_hostile_fops = {
	.owner = THIS_MODULE,
	.open = sim_hostile_open,
	.read = seq_read,
	.write = sim_hostile_write,
	.llseek = seq_lseek,
	.release = single_release,
};

/**
 * sim_hostile_debugfs() - make the file
 * @root: directory of the module
 */
void sim_hostile_debugfs(struct dentry *root)
{
	debugfs_create_file("hostile", 0600, root, NULL, &sim_hostile_fops);
}

/**
 * sim_hostile_exit() - module exit: ends a run that has finished
 *
 * One that has not holds the module by its device, but between two of them.
 */
void sim_hostile_exit(void)
{
	mutex_lock(&sim_hostile_lock);
	sim_hostile_stop();
	mutex_unlock(&sim_hostile_lock);
}
