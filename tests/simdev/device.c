// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of a simulated device: made, plugged into the virtio bus, unplugged,
 * freed; and what is asked of it meanwhile.
 */
#include <linux/delay.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "core.h"

static const struct sim_model * const sim_models[] = {
	&sim_net, &sim_blk, &sim_console, &sim_balloon,
};

/**
 * sim_model_number() - one type of device after the other
 * @number: counts from 0
 *
 * Return: the model, or NULL behind the last.
 */
const struct sim_model *sim_model_number(unsigned int number)
{
	return number < ARRAY_SIZE(sim_models) ? sim_models[number] : NULL;
}

/**
 * sim_model_find() - a type of device by its virtio device ID
 * @id: the ID
 *
 * Return: the model, or NULL.
 */
const struct sim_model *sim_model_find(u32 id)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sim_models); i++) {
		if (sim_models[i]->id == id)
			return sim_models[i];
	}
	return NULL;
}

/**
 * sim_model_named() - a type of device by its name
 * @name: net, blk, console or balloon
 *
 * Return: the model, or NULL.
 */
const struct sim_model *sim_model_named(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sim_models); i++) {
		if (!strcmp(sim_models[i]->name, name))
			return sim_models[i];
	}
	return NULL;
}

/**
 * sim_lock() - take the device's lock
 * @sim: the device
 *
 * Whoever has it must not reclaim memory: that would wait for what the device plays, a
 * disk or a balloon, and that for the lock.
 *
 * Context: process context, with the lock of no other device.
 */
void sim_lock(struct sim_device *sim)
{
	mutex_lock(&sim->lock);
	sim->reclaim = memalloc_noreclaim_save();
}
EXPORT_SYMBOL_GPL(sim_lock);

/**
 * sim_unlock() - give it back
 * @sim: the device
 */
void sim_unlock(struct sim_device *sim)
{
	memalloc_noreclaim_restore(sim->reclaim);
	mutex_unlock(&sim->lock);
}
EXPORT_SYMBOL_GPL(sim_unlock);

/**
 * sim_violation() - the driver did what it must not do
 * @sim: the device
 * @format: what, with the values
 *
 * Context: any but NMI.
 */
void sim_violation(struct sim_device *sim, const char *format, ...)
{
	unsigned long flags;
	va_list args;

	if (READ_ONCE(sim->lied))
		return;
	spin_lock_irqsave(&sim->violation_lock, flags);
	if (!sim->violations++) {
		va_start(args, format);
		vsnprintf(sim->violation, sizeof(sim->violation), format, args);
		va_end(args);
	}
	spin_unlock_irqrestore(&sim->violation_lock, flags);
}
EXPORT_SYMBOL_GPL(sim_violation);

/**
 * sim_violation_text() - the first violation
 * @sim: the device
 * @text: receives it, empty if there was none
 * @size: bytes at @text
 *
 * Context: any but NMI.
 */
void sim_violation_text(struct sim_device *sim, char *text, size_t size)
{
	unsigned long flags;

	spin_lock_irqsave(&sim->violation_lock, flags);
	strscpy(text, sim->violation, size);
	spin_unlock_irqrestore(&sim->violation_lock, flags);
}
EXPORT_SYMBOL_GPL(sim_violation_text);

/**
 * sim_stats() - what happened so far
 * @sim: the device
 * @stats: receives it
 *
 * Context: process context.
 */
void sim_stats(struct sim_device *sim, struct sim_stats *stats)
{
	unsigned int i;

	sim_lock(sim);
	*stats = sim->stats;
	for (i = 0; i < sim->nr_queues; i++)
		stats->kicks += atomic64_read(&sim->queues[i].kicks);
	stats->irqs = atomic64_read(&sim->irqs);
	stats->violations = READ_ONCE(sim->violations);
	sim_unlock(sim);
}
EXPORT_SYMBOL_GPL(sim_stats);

/**
 * sim_wait_used() - wait until the device has used buffers
 * @sim: the device
 * @used: how many, from the beginning
 * @ms: for how long
 *
 * Context: process context.
 * Return: it has.
 */
bool sim_wait_used(struct sim_device *sim, u64 used, unsigned int ms)
{
	unsigned long end = jiffies + msecs_to_jiffies(ms);
	struct sim_stats stats;

	for (;;) {
		sim_stats(sim, &stats);
		if (stats.used >= used)
			return true;
		if (time_after(jiffies, end))
			return false;
		usleep_range(500, 1000);
	}
}
EXPORT_SYMBOL_GPL(sim_wait_used);

static void sim_config_interrupt(struct sim_irq *irq)
{
	struct sim_device *sim = container_of(irq, struct sim_device, config_irq);

	atomic64_inc(&sim->irqs);
	if (READ_ONCE(sim->prepared))
		virtio_config_changed(&sim->vdev);
}

static void sim_free(struct kref *ref)
{
	struct sim_device *sim = container_of(ref, struct sim_device, ref);
	unsigned int i;
	bool quiet;

	sim_worker_stop(sim);
	quiet = sim_irq_exit(&sim->config_irq);
	for (i = 0; sim->queues && i < sim->nr_queues; i++)
		quiet &= sim_queue_exit(&sim->queues[i]);
	if (!quiet) {
		pr_err("vrh_simdev: an interrupt is not over: the device and the module stay\n");
		return;
	}
	if (sim->data)
		sim->model->exit(sim);
	if (sim->parent)
		platform_device_unregister(sim->parent);
	kvfree(sim->queues);
	kvfree(sim->scratch);
	kvfree(sim);
	module_put(THIS_MODULE);
}

/**
 * sim_put() - let a device go
 * @sim: a device that is not plugged
 *
 * Context: process context.
 */
void sim_put(struct sim_device *sim)
{
	kref_put(&sim->ref, sim_free);
}
EXPORT_SYMBOL_GPL(sim_put);

static void sim_release(struct device *dev)
{
	sim_put(container_of(dev_to_virtio(dev), struct sim_device, vdev));
}

static int sim_prepare(struct sim_device *sim)
{
	unsigned int i;
	int err;

	sim->scratch = kvcalloc(SIM_CHAIN_MAX, sizeof(*sim->scratch), GFP_KERNEL);
	if (!sim->scratch)
		return -ENOMEM;
	err = sim->model->init(sim, &sim->options);
	if (err)
		return err;
	if (!sim->nr_queues || sim->nr_queues > SIM_QUEUES_MAX)
		return -EINVAL;
	sim->queues = kvcalloc(sim->nr_queues, sizeof(*sim->queues), GFP_KERNEL);
	if (!sim->queues)
		return -ENOMEM;
	for (i = 0; i < sim->nr_queues; i++)
		sim_queue_init(sim, i);
	sim->parent = platform_device_register_simple("vrh-simdev", PLATFORM_DEVID_AUTO, NULL, 0);
	if (IS_ERR(sim->parent)) {
		err = PTR_ERR(sim->parent);
		sim->parent = NULL;
		return err;
	}
	err = dma_coerce_mask_and_coherent(&sim->parent->dev, DMA_BIT_MASK(64));
	return err ?: sim_worker_start(sim);
}

/**
 * sim_create() - make a device
 * @options: what device; copied
 *
 * The driver knows nothing of it before sim_plug().
 *
 * Context: process context.
 * Return: the device, for sim_put() in the end, or an errno: -EINVAL for features that
 * it does not implement.
 */
struct sim_device *sim_create(const struct sim_options *options)
{
	const struct sim_model *model = sim_model_find(options->id);
	struct sim_device *sim;
	int err;

	if (!model || options->queue_size > SIM_QUEUE_SIZE_MAX ||
	    (options->features & ~(model->features | SIM_TRANSPORT_FEATURES)) ||
	    (options->features_hi & ~model->features_hi))
		return ERR_PTR(-EINVAL);
	sim = kvcalloc(1, sizeof(*sim), GFP_KERNEL);
	if (!sim)
		return ERR_PTR(-ENOMEM);
	/* A disk that is still open keeps the virtio device, and that this module. */
	__module_get(THIS_MODULE);
	kref_init(&sim->ref);
	sim->model = model;
	sim->options = *options;
	mutex_init(&sim->lock);
	init_waitqueue_head(&sim->wait);
	init_waitqueue_head(&sim->moved);
	spin_lock_init(&sim->config_lock);
	spin_lock_init(&sim->violation_lock);
	sim_irq_init(&sim->config_irq, sim_config_interrupt);
	err = sim_prepare(sim);
	if (err) {
		sim_put(sim);
		return ERR_PTR(err);
	}
	return sim;
}
EXPORT_SYMBOL_GPL(sim_create);

/**
 * sim_plug() - put a device on the virtio bus
 * @sim: a new device, which can be plugged once
 *
 * A driver that is loaded probes it before this returns.
 *
 * Context: process context.
 * Return: 0 or an errno; not what a driver's probe said, see sim->status.
 */
int sim_plug(struct sim_device *sim)
{
	int err;

	if (sim->vdev.config)
		return -EBUSY;
	sim->vdev.config = &sim_config_ops;
	sim->vdev.id.device = sim->options.id;
	sim->vdev.id.vendor = SIM_VENDOR;
	sim->vdev.dev.parent = &sim->parent->dev;
	sim->vdev.dev.release = sim_release;
	kref_get(&sim->ref);
	err = register_virtio_device(&sim->vdev);
	if (err) {
		put_device(&sim->vdev.dev);
		return err;
	}
	WRITE_ONCE(sim->plugged, true);
	return 0;
}
EXPORT_SYMBOL_GPL(sim_plug);

/**
 * sim_pull() - a device goes at once, whatever its driver is at
 * @sim: a device that is plugged, is being plugged, or is new
 *
 * Who waits for a buffer sees that the virtqueue is broken, and those that a probe asks for from
 * now on are not to be had. For the bus it is there until sim_unplug().
 *
 * Context: process context.
 */
void sim_pull(struct sim_device *sim)
{
	sim_lock(sim);
	WRITE_ONCE(sim->gone, true);
	sim_unlock(sim);
	/* Before the core has made the list of virtqueues there are none. */
	if (READ_ONCE(sim->prepared))
		virtio_break_device(&sim->vdev);
}

/**
 * sim_unplug() - take a device off the bus
 * @sim: a device that is plugged
 * @surprise: pulled out: the driver hears of it when everything is gone
 *
 * Context: process context; waits for the driver.
 */
void sim_unplug(struct sim_device *sim, bool surprise)
{
	unsigned int i;

	if (!READ_ONCE(sim->plugged))
		return;
	if (surprise)
		sim_pull(sim);
	WRITE_ONCE(sim->plugged, false);
	sim_quiet(sim, &sim->config_irq);
	get_device(&sim->vdev.dev);
	unregister_virtio_device(&sim->vdev);
	for (i = 0; i < sim->nr_queues; i++) {
		if (sim->queues[i].vq)
			sim_violation(sim, "queue %u: left behind by the driver", i);
	}
	put_device(&sim->vdev.dev);
}
EXPORT_SYMBOL_GPL(sim_unplug);
