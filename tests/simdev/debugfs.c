// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files below /sys/kernel/debug/vrh_simdev/ for tests that are programs:
 *
 * models: types of device, a line each: name, features that it serves (bits 0 to 63,
 *	then 64 to 127)
 * create: "TYPE [name=number ...]" plugs a device, see sim_parse_options(); its
 *	directory is simN, N counting from 0. With plug=0 it waits for
 * simN/plug: anything plugs it: what is armed before is met by probe
 * simN/script: actions, a line each, see sim_parse_action()
 * simN/stream: actions as bytes, see sim_stream_action()
 * simN/stats: what happened so far
 * join: "simN simM" plugs two net devices into each other
 * remove: "simN orderly" or "simN surprise"; one that is in probe only by surprise (-EBUSY)
 */
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "core.h"
#include "sim_net.h"

/* A line of an action with all its bytes in hexadecimal. */
#define SIM_TEXT_MAX	(2 * SIM_BYTES_MAX + 256)

/**
 * enum sim_entry_state - may a device be plugged?
 * @SIM_NEW: yes
 * @SIM_PLUGGING: somebody is at it, maybe for as long as a driver's probe waits for something
 * @SIM_PLUGGED: it was, or is about to go
 */
enum sim_entry_state {
	SIM_NEW,
	SIM_PLUGGING,
	SIM_PLUGGED,
};

/**
 * struct sim_entry - a device that was made here
 * @node: in sim_entries
 * @number: in its directory's name
 * @sim: the device
 * @dir: its directory
 * @state: may it be plugged?
 */
struct sim_entry {
	struct list_head node;
	unsigned int number;
	struct sim_device *sim;
	struct dentry *dir;
	enum sim_entry_state state;
};

static struct dentry *sim_root;
/* The two below and each state; not held while a driver is waited for. */
static DEFINE_MUTEX(sim_entries_lock);
static LIST_HEAD(sim_entries);
static unsigned int sim_number;

static int sim_models_show(struct seq_file *m, void *unused)
{
	const struct sim_model *model;
	unsigned int i;

	for (i = 0; (model = sim_model_number(i)); i++)
		seq_printf(m, "%s %#llx %#llx\n", model->name, model->features, model->features_hi);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(sim_models);

static int sim_stats_show(struct seq_file *m, void *unused)
{
	struct sim_device *sim = m->private;
	const char *name;
	struct sim_stats stats;
	char text[sizeof(sim->violation)];
	unsigned int op, i;

	sim_stats(sim, &stats);
	sim_violation_text(sim, text, sizeof(text));
	seq_printf(m, "device: %s\nstatus: %#x\nkicks: %llu\nused: %llu\nirqs: %llu\nresets: %llu\n",
		   dev_name(&sim->vdev.dev), READ_ONCE(sim->status), stats.kicks, stats.used,
		   stats.irqs, stats.resets);
	seq_printf(m, "rules: %u\nstarved: %llu\nactions: %llu\nviolations: %llu\nviolation: %s\n",
		   READ_ONCE(sim->nr_rules), stats.starved, stats.actions, stats.violations, text);
	for (op = 0; (name = sim_op_name(sim->model, op)); op++)
		seq_printf(m, "%s: %llu\n", name, stats.by_op[op]);
	for (i = 0; i < sim->nr_queues; i++)
		seq_printf(m, "queue%u: %llu kicks, %llu used\n", i,
			   (u64)atomic64_read(&sim->queues[i].kicks), sim->queues[i].used);
	if (sim->model->show) {
		sim_lock(sim);
		sim->model->show(sim, m);
		sim_unlock(sim);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(sim_stats);

static ssize_t sim_script_write(struct file *file, const char __user *from, size_t len,
				loff_t *pos)
{
	struct sim_device *sim = file->private_data;
	struct sim_action action;
	char *text, *rest, *line;
	int err = -ENOMEM;
	u8 *bytes;

	if (len > SIM_TEXT_MAX)
		return -EMSGSIZE;
	text = memdup_user_nul(from, len);
	if (IS_ERR(text))
		return PTR_ERR(text);
	bytes = kmalloc(SIM_BYTES_MAX, GFP_KERNEL);
	if (!bytes)
		goto out;
	err = 0;
	for (rest = text; !err && (line = strsep(&rest, "\n"));) {
		if (!*line)
			continue;
		err = sim_parse_action(sim->model, line, &action, bytes);
		if (!err)
			err = sim_act(sim, &action);
	}
	kfree(bytes);
out:
	kfree(text);
	return err ?: len;
}

static const struct file_operations sim_script_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = sim_script_write,
};

static ssize_t sim_stream_write(struct file *file, const char __user *from, size_t len,
				loff_t *pos)
{
	struct sim_device *sim = file->private_data;
	struct sim_action action;
	size_t done = 0;
	ssize_t taken;
	u8 *bytes;

	len = min_t(size_t, len, SZ_64K);
	bytes = memdup_user(from, len);
	if (IS_ERR(bytes))
		return PTR_ERR(bytes);
	while ((taken = sim_stream_action(bytes + done, len - done, &action))) {
		/* Most of what a fuzzer sends is refused. */
		sim_act(sim, &action);
		done += taken;
	}
	kfree(bytes);
	return done ?: -EINVAL;
}

static const struct file_operations sim_stream_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = sim_stream_write,
};

static int sim_entry_plug(struct sim_entry *entry)
{
	int err = 0;

	mutex_lock(&sim_entries_lock);
	if (entry->state == SIM_NEW)
		entry->state = SIM_PLUGGING;
	else
		err = -EBUSY;
	mutex_unlock(&sim_entries_lock);
	if (err)
		return err;
	err = sim_plug(entry->sim);
	mutex_lock(&sim_entries_lock);
	entry->state = SIM_PLUGGED;
	mutex_unlock(&sim_entries_lock);
	return err;
}

static ssize_t sim_plug_write(struct file *file, const char __user *from, size_t len, loff_t *pos)
{
	return sim_entry_plug(file->private_data) ?: len;
}

static const struct file_operations sim_plug_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = sim_plug_write,
};

/* The entry is in no list any more. */
static void sim_entry_free(struct sim_entry *entry, bool surprise)
{
	/* Ends a probe that waits for what will not come. */
	if (surprise)
		sim_pull(entry->sim);
	/* Waits for who is in one of the files. */
	debugfs_remove(entry->dir);
	sim_unplug(entry->sim, surprise);
	sim_put(entry->sim);
	kfree(entry);
}

static struct sim_entry *sim_entry_make(const struct sim_options *options)
{
	struct sim_entry *entry = kzalloc(sizeof(*entry), GFP_KERNEL);
	struct sim_device *sim;
	char name[16];

	if (!entry)
		return ERR_PTR(-ENOMEM);
	sim = sim_create(options);
	if (IS_ERR(sim)) {
		kfree(entry);
		return ERR_CAST(sim);
	}
	entry->sim = sim;
	mutex_lock(&sim_entries_lock);
	entry->number = sim_number++;
	mutex_unlock(&sim_entries_lock);
	snprintf(name, sizeof(name), "sim%u", entry->number);
	entry->dir = debugfs_create_dir(name, sim_root);
	debugfs_create_file("stats", 0400, entry->dir, sim, &sim_stats_fops);
	debugfs_create_file("script", 0200, entry->dir, sim, &sim_script_fops);
	debugfs_create_file("stream", 0200, entry->dir, sim, &sim_stream_fops);
	debugfs_create_file("plug", 0200, entry->dir, entry, &sim_plug_fops);
	return entry;
}

static int sim_entry_add(const struct sim_options *options, bool plug)
{
	struct sim_entry *entry = sim_entry_make(options);
	int err = 0;

	if (IS_ERR(entry))
		return PTR_ERR(entry);
	/* Its directory is there already. */
	if (plug)
		err = sim_entry_plug(entry);
	if (err) {
		sim_entry_free(entry, false);
		return err;
	}
	mutex_lock(&sim_entries_lock);
	list_add_tail(&entry->node, &sim_entries);
	mutex_unlock(&sim_entries_lock);
	return 0;
}

static ssize_t sim_create_write(struct file *file, const char __user *from, size_t len,
				loff_t *pos)
{
	struct sim_options options;
	bool plug;
	char *text;
	int err;

	if (len > SIM_TEXT_MAX)
		return -EMSGSIZE;
	text = memdup_user_nul(from, len);
	if (IS_ERR(text))
		return PTR_ERR(text);
	err = sim_parse_options(text, &options, &plug) ?: sim_entry_add(&options, plug);
	kfree(text);
	return err ?: len;
}

static const struct file_operations sim_create_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = sim_create_write,
};

static struct sim_entry *sim_entry_find(unsigned int number)
{
	struct sim_entry *entry;

	lockdep_assert_held(&sim_entries_lock);
	list_for_each_entry(entry, &sim_entries, node) {
		if (entry->number == number)
			return entry;
	}
	return NULL;
}

static ssize_t sim_join_write(struct file *file, const char __user *from, size_t len,
			      loff_t *pos)
{
	struct sim_entry *a, *b;
	char text[32] = "";
	unsigned int one, other;
	int err;

	if (len >= sizeof(text))
		return -EMSGSIZE;
	if (copy_from_user(text, from, len))
		return -EFAULT;
	if (sscanf(text, "sim%u sim%u", &one, &other) != 2)
		return -EINVAL;
	mutex_lock(&sim_entries_lock);
	a = sim_entry_find(one);
	b = sim_entry_find(other);
	err = a && b ? sim_net_join(a->sim, b->sim) : -ENODEV;
	mutex_unlock(&sim_entries_lock);
	return err ?: len;
}

static const struct file_operations sim_join_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = sim_join_write,
};

static ssize_t sim_remove_write(struct file *file, const char __user *from, size_t len,
				loff_t *pos)
{
	struct sim_entry *entry;
	char text[32] = "";
	char how[16] = "";
	unsigned int number;
	bool surprise;
	int err = 0;

	if (len >= sizeof(text))
		return -EMSGSIZE;
	if (copy_from_user(text, from, len))
		return -EFAULT;
	if (sscanf(text, "sim%u %15s", &number, how) != 2 ||
	    (strcmp(how, "orderly") && strcmp(how, "surprise")))
		return -EINVAL;
	surprise = !strcmp(how, "surprise");
	mutex_lock(&sim_entries_lock);
	entry = sim_entry_find(number);
	if (!entry) {
		err = -ENODEV;
	} else if (entry->state == SIM_PLUGGING && !surprise) {
		err = -EBUSY;
	} else {
		list_del(&entry->node);
		/* A plug that is on its way comes too late. */
		if (entry->state == SIM_NEW)
			entry->state = SIM_PLUGGED;
	}
	mutex_unlock(&sim_entries_lock);
	if (err)
		return err;
	sim_entry_free(entry, surprise);
	return len;
}

static const struct file_operations sim_remove_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = sim_remove_write,
};

/**
 * sim_debugfs_init() - module init
 *
 * Return: 0 or an errno: without debugfs the module is of no use.
 */
int sim_debugfs_init(void)
{
	sim_root = debugfs_create_dir("vrh_simdev", NULL);
	if (IS_ERR(sim_root))
		return PTR_ERR(sim_root);
	debugfs_create_file("models", 0400, sim_root, NULL, &sim_models_fops);
	debugfs_create_file("create", 0200, sim_root, NULL, &sim_create_fops);
	debugfs_create_file("join", 0200, sim_root, NULL, &sim_join_fops);
	debugfs_create_file("remove", 0200, sim_root, NULL, &sim_remove_fops);
	sim_hostile_debugfs(sim_root);
	return 0;
}

/**
 * sim_debugfs_exit() - module exit: no device is left, as each holds the module
 */
void sim_debugfs_exit(void)
{
	debugfs_remove(sim_root);
}
