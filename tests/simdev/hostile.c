// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hostile mode: device after device of one type (a round each), with features,
 * sizes and lies that come from a seed. The same seed draws the same devices and
 * actions, and a round the same whatever was before it; when they meet the driver
 * depends on how fast that is.
 *
 * /sys/kernel/debug/vrh_simdev/hostile: "TYPE [seed=N] [actions=N] [met=N] [round=N]"
 * starts, with that round, until so many were drawn or met; "stop" ends early; reading
 * says how far it is.
 */
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "hostile.h"

/* One starts or stops a run at a time; reading needs no lock. */
static DEFINE_MUTEX(sim_hostile_lock);
static struct sim_hostile sim_hostile = {
	.lock = __SPIN_LOCK_UNLOCKED(sim_hostile.lock),
};

/**
 * sim_tally_show() - let readers see how far a run is
 * @h: the run, whose thread calls
 * @phase: what it is doing; a constant
 *
 * Context: process context.
 */
void sim_tally_show(struct sim_hostile *h, const char *phase)
{
	h->tally.phase = phase;
	spin_lock(&h->lock);
	h->shown = h->tally;
	spin_unlock(&h->lock);
}

/* The run */

static void sim_hostile_let_go(struct sim_hostile *h)
{
	if (test_and_clear_bit(0, &h->holding))
		module_put(THIS_MODULE);
}

static int sim_hostile_thread(void *data)
{
	struct sim_hostile *h = data;
	struct sim_tally *tally = &h->tally;
	u64 begun = ktime_get_ns();
	u64 round = tally->round;
	int err = 0;

	pr_info("vrh_simdev: hostile %s, seed %llu, from round %llu\n", h->model->name, h->seed,
		round);
	while (!err && tally->drawn < h->actions && tally->met < h->met && !kthread_should_stop()) {
		err = sim_round(h, round++);
		tally->ns = ktime_get_ns() - begun;
		sim_tally_show(h, "between");
	}
	if (err)
		pr_err("vrh_simdev: hostile %s, seed %llu: ends early, error %d\n", h->model->name,
		       h->seed, err);
	WRITE_ONCE(h->finished, true);
	sim_hostile_let_go(h);
	/* Whoever starts the next run, or unloads the module, takes us away. */
	while (!kthread_should_stop())
		schedule_timeout_interruptible(HZ);
	return 0;
}

static void sim_hostile_stop(struct sim_hostile *h)
{
	lockdep_assert_held(&sim_hostile_lock);
	if (h->thread)
		kthread_stop(h->thread);
	WRITE_ONCE(h->thread, NULL);
	/* A thread that was stopped before it ran has not done so. */
	sim_hostile_let_go(h);
}

static int sim_hostile_start(struct sim_hostile *h, const char *name, u64 seed, u64 actions,
			     u64 met, u64 round)
{
	const struct sim_model *model = sim_model_named(name);
	struct task_struct *thread;

	lockdep_assert_held(&sim_hostile_lock);
	if (!model || !actions || !met)
		return -EINVAL;
	if (h->thread && !READ_ONCE(h->finished))
		return -EBUSY;
	sim_hostile_stop(h);
	h->seed = seed;
	h->actions = actions;
	h->met = met;
	h->finished = false;
	h->tally = (struct sim_tally) { .round = round };
	sim_tally_show(h, "start");
	WRITE_ONCE(h->model, model);
	/* Between two devices nothing else holds it. */
	__module_get(THIS_MODULE);
	set_bit(0, &h->holding);
	thread = kthread_run(sim_hostile_thread, h, "vrh-hostile");
	if (IS_ERR(thread)) {
		sim_hostile_let_go(h);
		return PTR_ERR(thread);
	}
	WRITE_ONCE(h->thread, thread);
	return 0;
}

static int sim_hostile_parse(char *text)
{
	u64 seed = 1, actions = U64_MAX, met = U64_MAX, round = 0;
	const struct sim_word words[] = {
		{ "seed", U64_MAX, &seed },
		{ "actions", U64_MAX, &actions },
		{ "met", U64_MAX, &met },
		{ "round", U64_MAX, &round },
	};
	char *name = strsep(&text, " \t\n");

	if (!strcmp(name, "stop")) {
		sim_hostile_stop(&sim_hostile);
		return 0;
	}
	return sim_parse_words(text, words, ARRAY_SIZE(words)) ?:
	       sim_hostile_start(&sim_hostile, name, seed, actions, met, round);
}

/* The file */

static ssize_t sim_hostile_write(struct file *file, const char __user *from, size_t len,
				 loff_t *pos)
{
	char text[128] = "";
	int err;

	if (len >= sizeof(text))
		return -EMSGSIZE;
	if (copy_from_user(text, from, len))
		return -EFAULT;
	mutex_lock(&sim_hostile_lock);
	err = sim_hostile_parse(text);
	mutex_unlock(&sim_hostile_lock);
	return err ?: len;
}

static void sim_tally_print(struct seq_file *m, const struct sim_model *model,
			    const struct sim_tally *t)
{
	const char *name;
	unsigned int op;

	seq_printf(m, "phase: %s\nround: %llu\nrounds: %llu\nno_driver: %llu\ndead: %llu\n",
		   t->phase, t->round, t->rounds, t->no_driver, t->dead);
	seq_printf(m, "drawn: %llu\nvain: %llu\ndone: %llu\nmet: %llu\nused: %llu\n", t->drawn,
		   t->vain, t->done, t->met, t->used);
	seq_printf(m, "stalls: %llu\npulled: %llu\n", t->stalls, t->pulled);
	seq_printf(m, "ns: %llu\nplug_ns: %llu\nfound_ns: %llu\nact_ns: %llu\nwait_ns: %llu\n",
		   t->ns, t->plug_ns, t->found_ns, t->act_ns, t->wait_ns);
	seq_printf(m, "unplug_ns: %llu\n", t->unplug_ns);
	seq_printf(m, "violations: %llu\nviolation: %s\nviolation_round: %llu\ndigest: %#x\n",
		   t->violations, t->violation, t->violation_round, t->digest);
	for (op = 0; (name = sim_op_name(model, op)); op++)
		seq_printf(m, "met-%s: %llu\n", name, t->by_op[op]);
}

static int sim_hostile_show(struct seq_file *m, void *unused)
{
	const struct sim_model *model = READ_ONCE(sim_hostile.model);
	struct sim_tally *tally;

	if (!model)
		return 0;
	tally = kzalloc_obj(*tally);
	if (!tally)
		return -ENOMEM;
	spin_lock(&sim_hostile.lock);
	*tally = sim_hostile.shown;
	spin_unlock(&sim_hostile.lock);
	seq_printf(m, "model: %s\nseed: %llu\nstate: %s\n", model->name, sim_hostile.seed,
		   !READ_ONCE(sim_hostile.thread) ? "stopped" :
		   READ_ONCE(sim_hostile.finished) ? "done" : "running");
	sim_tally_print(m, model, tally);
	kfree(tally);
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
 * One that has not holds the module.
 */
void sim_hostile_exit(void)
{
	mutex_lock(&sim_hostile_lock);
	sim_hostile_stop(&sim_hostile);
	mutex_unlock(&sim_hostile_lock);
}
