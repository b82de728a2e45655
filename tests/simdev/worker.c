// SPDX-License-Identifier: GPL-2.0-only
/*
 * The thread that plays the device: kicks, delayed buffers, what the driver wrote
 * into config space.
 */
#include <linux/bitmap.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>

#include "core.h"

/* How long the thread sleeps when nothing is due. */
#define SIM_IDLE	(10 * HZ)

static bool sim_has_work(struct sim_device *sim)
{
	if (READ_ONCE(sim->woken) || READ_ONCE(sim->nr_config_writes))
		return true;
	if (READ_ONCE(sim->gone))
		return false;
	if (READ_ONCE(sim->ready))
		return !bitmap_empty(sim->kicked, SIM_QUEUES_MAX);
	return READ_ONCE(sim->status) & VIRTIO_CONFIG_S_DRIVER_OK;
}

static void sim_work_config(struct sim_device *sim)
{
	struct sim_config_write writes[SIM_CONFIG_WRITES];
	unsigned int nr, i;

	spin_lock(&sim->config_lock);
	nr = sim->nr_config_writes;
	memcpy(writes, sim->config_writes, nr * sizeof(*writes));
	WRITE_ONCE(sim->nr_config_writes, 0);
	spin_unlock(&sim->config_lock);
	for (i = 0; i < nr && sim->model->config_set; i++)
		sim->model->config_set(sim, writes[i].at, writes[i].len);
}

/**
 * sim_worker_ready() - the driver may have set DRIVER_OK: the device works from now on
 * @sim: the device
 *
 * Context: process context, under the device's lock.
 */
void sim_worker_ready(struct sim_device *sim)
{
	lockdep_assert_held(&sim->lock);
	if (sim->ready || sim->gone || !(READ_ONCE(sim->status) & VIRTIO_CONFIG_S_DRIVER_OK))
		return;
	sim->ready = true;
	bitmap_set(sim->kicked, 0, sim->nr_queues);
	wake_up(&sim->wait);
	if (sim->model->ready)
		sim->model->ready(sim);
}

/* One round; returns when the next one is due, in jiffies. */
static unsigned long sim_work(struct sim_device *sim)
{
	unsigned long next = jiffies + SIM_IDLE;
	bool woken = READ_ONCE(sim->woken);
	unsigned int i;

	lockdep_assert_held(&sim->lock);
	WRITE_ONCE(sim->woken, false);
	sim_work_config(sim);
	if (sim->gone) {
		bitmap_zero(sim->kicked, SIM_QUEUES_MAX);
		return next;
	}
	sim_worker_ready(sim);
	if (!sim->ready)
		return next;
	for_each_set_bit(i, sim->kicked, sim->nr_queues) {
		clear_bit(i, sim->kicked);
		/* Not kicked any more before we look into the ring. */
		smp_mb__after_atomic();
		sim->model->kick(sim, &sim->queues[i]);
	}
	if (woken && sim->model->work)
		sim->model->work(sim);
	/* Last, as a buffer that was taken just now may be delayed too. */
	for (i = 0; i < sim->nr_queues; i++)
		next = sim_queue_due(&sim->queues[i], next);
	return next;
}

static int sim_worker(void *data)
{
	unsigned long next = jiffies + SIM_IDLE;
	struct sim_device *sim = data;
	long timeout;

	while (!kthread_should_stop()) {
		timeout = max_t(long, next - jiffies, 1);
		wait_event_idle_timeout(sim->wait, sim_has_work(sim) || kthread_should_stop(),
					timeout);
		sim_lock(sim);
		next = sim_work(sim);
		sim_unlock(sim);
		wake_up_all(&sim->moved);
		cond_resched();
	}
	return 0;
}

/**
 * sim_wake() - have the model's work done soon
 * @sim: the device
 *
 * Context: any.
 */
void sim_wake(struct sim_device *sim)
{
	WRITE_ONCE(sim->woken, true);
	wake_up(&sim->wait);
}
EXPORT_SYMBOL_GPL(sim_wake);

/**
 * sim_worker_start() - start the device's thread
 * @sim: the device
 *
 * Context: process context.
 * Return: 0 or an errno.
 */
int sim_worker_start(struct sim_device *sim)
{
	struct task_struct *thread = kthread_run(sim_worker, sim, "vrh-sim-%s", sim->model->name);

	if (IS_ERR(thread))
		return PTR_ERR(thread);
	sim->thread = thread;
	return 0;
}

/**
 * sim_worker_stop() - end it
 * @sim: the device
 *
 * Context: process context.
 */
void sim_worker_stop(struct sim_device *sim)
{
	if (sim->thread)
		kthread_stop(sim->thread);
}
