// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tells of events: to programs that read /dev/pvclock_rh, to udev, to modules that have
 * registered for them, and to the log. Keeps the last ones; knows nothing of pages.
 */
#include <vrh/log.h>

#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/poll.h>
#include <linux/ratelimit.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/wait.h>

#include "pvclock_rh.h"

/* Events that a slow reader may be behind; more would be history. A power of two. */
#define PVC_EVENTS_KEPT 64

/* The longest line is some 140 characters. */
#define PVC_LINE_MAX 192

static const char *const pvc_class_names[PVCLOCK_RH_CLASSES] = {
	[PVCLOCK_RH_PAUSE] = "pause",
	[PVCLOCK_RH_RESTORE] = "restore",
	[PVCLOCK_RH_CATCH_UP] = "catch-up",
	[PVCLOCK_RH_TSC_STEP] = "tsc-step",
	[PVCLOCK_RH_RATE] = "rate",
	[PVCLOCK_RH_STABLE] = "stable",
	[PVCLOCK_RH_WALL] = "wall",
	[PVCLOCK_RH_WALL_STEP] = "wall-step",
	[PVCLOCK_RH_TSC_BAD] = "tsc-bad",
};

static DEFINE_SPINLOCK(pvc_events_lock);
static struct pvclock_rh_event pvc_events[PVC_EVENTS_KEPT];
static u64 pvc_events_seq;	/* of the last one */
static u64 pvc_events_downtime;	/* of all, ns */
static DECLARE_WAIT_QUEUE_HEAD(pvc_events_wait);
static BLOCKING_NOTIFIER_HEAD(pvc_events_chain);

/* udev and the log hear of so many in a minute: a host that lies must not flood them. */
static DEFINE_RATELIMIT_STATE(pvc_events_limit, 60 * HZ, 30);

/**
 * pvc_event_print() - an event as text
 * @e: the event
 * @line: receives a line, its newline and a NUL
 * @size: of @line
 *
 * Context: any.
 * Return: length of the line.
 */
int pvc_event_print(const struct pvclock_rh_event *e, char *line, size_t size)
{
	return scnprintf(line, size,
			 "seq=%llu class=%s jump_ns=%lld downtime_ns=%lld stable=%d tsc_khz=%u clock_ns=%llu\n",
			 e->seq, pvc_class_names[e->class], e->jump_ns, e->downtime_ns, e->stable,
			 e->tsc_khz, e->clock_ns);
}

/* The device */

/**
 * struct pvc_reader - an open file
 * @lock: one read at a time, so that each event is read once
 * @next: number of the event that is read next
 */
struct pvc_reader {
	struct mutex lock;	/* @next, while an event is on its way to the program */
	u64 next;
};

static u64 pvc_last_seq(void)
{
	u64 seq;

	spin_lock(&pvc_events_lock);
	seq = pvc_events_seq;
	spin_unlock(&pvc_events_lock);
	return seq;
}

static int pvc_dev_open(struct inode *inode, struct file *file)
{
	struct pvc_reader *reader = kzalloc(sizeof(*reader), GFP_KERNEL);

	if (!reader)
		return -ENOMEM;
	mutex_init(&reader->lock);
	/* What was before is history: sysfs has the last one. */
	reader->next = pvc_last_seq() + 1;
	file->private_data = reader;
	return stream_open(inode, file);
}

static int pvc_dev_release(struct inode *inode, struct file *file)
{
	kfree(file->private_data);
	return 0;
}

/* The reader's next event, or the oldest that is left. False: there is none. */
static bool pvc_next_event(struct pvc_reader *reader, struct pvclock_rh_event *event)
{
	bool there;

	spin_lock(&pvc_events_lock);
	there = reader->next <= pvc_events_seq;
	if (there) {
		if (pvc_events_seq - reader->next >= PVC_EVENTS_KEPT)
			reader->next = pvc_events_seq - PVC_EVENTS_KEPT + 1;
		*event = pvc_events[reader->next % PVC_EVENTS_KEPT];
	}
	spin_unlock(&pvc_events_lock);
	return there;
}

/* One event at a time, a line. A buffer that has no room for it is an error, nothing is lost. */
static ssize_t pvc_dev_read(struct file *file, char __user *to, size_t count, loff_t *pos)
{
	struct pvc_reader *reader = file->private_data;
	struct pvclock_rh_event event;
	char line[PVC_LINE_MAX];
	ssize_t ret;

	for (;;) {
		ret = mutex_lock_interruptible(&reader->lock);
		if (ret)
			return ret;
		if (pvc_next_event(reader, &event))
			break;
		mutex_unlock(&reader->lock);
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		ret = wait_event_interruptible(pvc_events_wait,
					       READ_ONCE(reader->next) <= pvc_last_seq());
		if (ret)
			return ret;
	}
	ret = pvc_event_print(&event, line, sizeof(line));
	if (count < ret)
		ret = -EINVAL;
	else if (copy_to_user(to, line, ret))
		ret = -EFAULT;
	else
		WRITE_ONCE(reader->next, event.seq + 1);
	mutex_unlock(&reader->lock);
	return ret;
}

static __poll_t pvc_dev_poll(struct file *file, poll_table *wait)
{
	struct pvc_reader *reader = file->private_data;

	poll_wait(file, &pvc_events_wait, wait);
	return READ_ONCE(reader->next) <= pvc_last_seq() ? EPOLLIN | EPOLLRDNORM : 0;
}

static const struct file_operations pvc_dev_fops = {
	.owner = THIS_MODULE,
	.open = pvc_dev_open,
	.release = pvc_dev_release,
	.read = pvc_dev_read,
	.poll = pvc_dev_poll,
};

static struct miscdevice pvc_dev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = KBUILD_MODNAME,
	.fops = &pvc_dev_fops,
	.mode = 0444,
};

/* Telling */

static void pvc_event_uevent(const struct pvclock_rh_event *e)
{
	char text[5][48];
	char *env[ARRAY_SIZE(text) + 1];
	unsigned int i;

	snprintf(text[0], sizeof(text[0]), "PVCLOCK_EVENT=%s", pvc_class_names[e->class]);
	snprintf(text[1], sizeof(text[1]), "PVCLOCK_SEQ=%llu", e->seq);
	snprintf(text[2], sizeof(text[2]), "PVCLOCK_JUMP_NS=%lld", e->jump_ns);
	snprintf(text[3], sizeof(text[3]), "PVCLOCK_DOWNTIME_NS=%lld", e->downtime_ns);
	snprintf(text[4], sizeof(text[4]), "PVCLOCK_STABLE=%d", e->stable);
	for (i = 0; i < ARRAY_SIZE(text); i++)
		env[i] = text[i];
	env[i] = NULL;
	kobject_uevent_env(&pvc_dev.this_device->kobj, KOBJ_CHANGE, env);
}

static void pvc_event_log(const struct pvclock_rh_event *e)
{
	switch (e->class) {
	case PVCLOCK_RH_RATE:
		pr_warn("the host changed the TSC to %u kHz\n", e->tsc_khz);
		break;
	case PVCLOCK_RH_STABLE:
		pr_info("the host's clock is %s\n", e->stable ? "stable now" : "no more stable");
		break;
	case PVCLOCK_RH_TSC_STEP:
		pr_warn("the TSC was moved by %lld ms against the host's clock\n",
			div_s64(-e->jump_ns, NSEC_PER_MSEC));
		break;
	case PVCLOCK_RH_WALL:
		pr_warn("the wall time is %lld ms behind the host's\n",
			div_s64(e->jump_ns, NSEC_PER_MSEC));
		break;
	case PVCLOCK_RH_WALL_STEP:
		pr_info("the wall time was %lld ms behind the host's and has been set\n",
			div_s64(e->jump_ns, NSEC_PER_MSEC));
		break;
	case PVCLOCK_RH_TSC_BAD:
		pr_warn("the TSC (%u kHz) is no good as a clock any more\n", e->tsc_khz);
		break;
	default:
		pr_info("the host kept the guest from running for %lld ms (%s)\n",
			div_s64(e->downtime_ns, NSEC_PER_MSEC), pvc_class_names[e->class]);
		break;
	}
}

/**
 * pvc_event_tell() - an event has happened
 * @event: what is known of it; gets its number
 *
 * Context: the events' work.
 */
void pvc_event_tell(struct pvclock_rh_event *event)
{
	spin_lock(&pvc_events_lock);
	event->seq = ++pvc_events_seq;
	pvc_events[event->seq % PVC_EVENTS_KEPT] = *event;
	pvc_events_downtime += event->downtime_ns;
	spin_unlock(&pvc_events_lock);
	wake_up_interruptible(&pvc_events_wait);
	blocking_notifier_call_chain(&pvc_events_chain, event->class, event);
	if (!__ratelimit(&pvc_events_limit))
		return;
	pvc_event_log(event);
	pvc_event_uevent(event);
}

/**
 * pvc_event_last() - the last event
 * @event: receives it
 *
 * Context: process context.
 * Return: false if there was none.
 */
bool pvc_event_last(struct pvclock_rh_event *event)
{
	bool there;

	spin_lock(&pvc_events_lock);
	there = pvc_events_seq;
	*event = pvc_events[pvc_events_seq % PVC_EVENTS_KEPT];
	spin_unlock(&pvc_events_lock);
	return there;
}

/**
 * pvc_event_downtime() - how long the guest has stood still
 *
 * Return: ns, of all events since the module was loaded.
 */
u64 pvc_event_downtime(void)
{
	u64 ns;

	spin_lock(&pvc_events_lock);
	ns = pvc_events_downtime;
	spin_unlock(&pvc_events_lock);
	return ns;
}

/**
 * pvclock_rh_register_event() - be told of events
 * @nb: called with an enum pvclock_rh_class and a struct pvclock_rh_event, in a work
 *
 * Context: process context, may sleep.
 * Return: 0, or -EEXIST if it is registered already.
 */
int pvclock_rh_register_event(struct notifier_block *nb)
{
	return blocking_notifier_chain_register(&pvc_events_chain, nb);
}
EXPORT_SYMBOL_GPL(pvclock_rh_register_event);

/**
 * pvclock_rh_unregister_event() - be told no more
 * @nb: what was registered; not called any more when this returns
 *
 * Context: process context, may sleep.
 * Return: 0, or -ENOENT.
 */
int pvclock_rh_unregister_event(struct notifier_block *nb)
{
	return blocking_notifier_chain_unregister(&pvc_events_chain, nb);
}
EXPORT_SYMBOL_GPL(pvclock_rh_unregister_event);

/**
 * pvc_event_dev_create() - make the device
 *
 * Return: 0 or a negative error code.
 */
int pvc_event_dev_create(void)
{
	return misc_register(&pvc_dev);
}

/**
 * pvc_event_dev_remove() - remove the device; open files hold the module
 */
void pvc_event_dev_remove(void)
{
	misc_deregister(&pvc_dev);
}
