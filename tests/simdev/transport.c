// SPDX-License-Identifier: GPL-2.0-only
/*
 * The transport: config ops of the virtio core, and the virtqueues. What a PCI
 * device's registers would be is here; what it does with its rings is not.
 */
#include <linux/cpumask.h>
#include <linux/kernel.h>
#include <linux/mm.h>

#include "compat_transport.h"
#include "core.h"

/* Entries of a virtqueue if the options say nothing: what QEMU gives a disk. */
#define SIM_QUEUE_SIZE	256

static struct sim_device *to_sim(struct virtio_device *vdev)
{
	return container_of(vdev, struct sim_device, vdev);
}

/* An access of the driver: the one at which the device goes? */
static void sim_access(struct sim_device *sim)
{
	struct sim_action rule;

	WRITE_ONCE(sim->looked, false);
	if (!READ_ONCE(sim->nr_rules))
		return;
	sim_lock(sim);
	if (sim_rules_event(sim, SIM_VANISH, NULL, &rule))
		WRITE_ONCE(sim->gone, true);
	sim_unlock(sim);
}

/* Config space */

static void sim_config_get(struct virtio_device *vdev, unsigned int at, void *data,
			   unsigned int len)
{
	struct sim_device *sim = to_sim(vdev);

	sim_access(sim);
	if (READ_ONCE(sim->gone)) {
		memset(data, 0xff, len);
		return;
	}
	sim_config_read(sim, at, data, len);
	if (sim->model->config_get)
		sim->model->config_get(sim, at, data, len);
	if (!READ_ONCE(sim->nr_rules))
		return;
	sim_lock(sim);
	sim_rules_config(sim);
	sim_unlock(sim);
}

static void sim_config_note(struct sim_device *sim, unsigned int at, unsigned int len)
{
	struct sim_config_write *w;
	unsigned int end;

	if (sim->nr_config_writes < SIM_CONFIG_WRITES) {
		w = &sim->config_writes[sim->nr_config_writes];
		w->at = at;
		w->len = len;
		WRITE_ONCE(sim->nr_config_writes, sim->nr_config_writes + 1);
		return;
	}
	w = &sim->config_writes[SIM_CONFIG_WRITES - 1];
	end = max(w->at + w->len, at + len);
	w->at = min(w->at, at);
	w->len = end - w->at;
}

static void sim_config_set(struct virtio_device *vdev, unsigned int at, const void *data,
			   unsigned int len)
{
	struct sim_device *sim = to_sim(vdev);

	if (at + len > sim->model->config_len) {
		sim_violation(sim, "%u bytes written behind config space, at %u", len, at);
		return;
	}
	sim_access(sim);
	if (READ_ONCE(sim->gone))
		return;
	spin_lock(&sim->config_lock);
	memcpy(sim->config + at, data, len);
	sim_config_note(sim, at, len);
	spin_unlock(&sim->config_lock);
	wake_up(&sim->wait);
}

static u32 sim_config_generation(struct virtio_device *vdev)
{
	return READ_ONCE(to_sim(vdev)->generation);
}

/**
 * sim_config_read() - read config space
 * @sim: the device
 * @at: offset in bytes
 * @data: where to
 * @len: bytes; what lies behind the end is zero
 *
 * Context: process context; the device's lock may be held.
 */
void sim_config_read(struct sim_device *sim, unsigned int at, void *data, unsigned int len)
{
	unsigned int part = at < SIM_CONFIG_MAX ? min(len, SIM_CONFIG_MAX - at) : 0;

	memset(data, 0, len);
	spin_lock(&sim->config_lock);
	memcpy(data, sim->config + at, part);
	spin_unlock(&sim->config_lock);
}
EXPORT_SYMBOL_GPL(sim_config_read);

/**
 * sim_config_change() - change bytes of config space
 * @sim: the device
 * @at: offset in bytes
 * @data: bytes, in the byte order of config space
 * @len: how many; what lies behind the end is ignored
 * @told: with a new generation
 *
 * Context: process context; the device's lock may be held.
 */
void sim_config_change(struct sim_device *sim, unsigned int at, const void *data,
		       unsigned int len, bool told)
{
	unsigned int part = at < SIM_CONFIG_MAX ? min(len, SIM_CONFIG_MAX - at) : 0;

	spin_lock(&sim->config_lock);
	memcpy(sim->config + at, data, part);
	if (told)
		WRITE_ONCE(sim->generation, sim->generation + 1);
	spin_unlock(&sim->config_lock);
}

/**
 * sim_config_write() - change config space
 * @sim: the device
 * @at: offset in bytes
 * @data: bytes, in the byte order of config space
 * @len: how many; what lies behind the end is ignored
 * @interrupt: tell the driver
 *
 * Context: process context; the device's lock may be held.
 */
void sim_config_write(struct sim_device *sim, unsigned int at, const void *data,
		      unsigned int len, bool interrupt)
{
	sim_config_change(sim, at, data, len, true);
	if (interrupt)
		sim_irq_raise(&sim->config_irq);
}
EXPORT_SYMBOL_GPL(sim_config_write);

/* Status */

/* A driver that takes the device for gone takes back its buffers, and does not reset it. */
static void sim_absent(struct sim_device *sim)
{
	unsigned int i;

	sim_lock(sim);
	sim->absent = true;
	for (i = 0; i < sim->nr_queues; i++)
		sim_queue_lie(&sim->queues[i]);
	sim_unlock(sim);
}

static u8 sim_get_status(struct virtio_device *vdev)
{
	struct sim_device *sim = to_sim(vdev);
	bool looked = READ_ONCE(sim->looked);
	bool vqs = READ_ONCE(sim->queues[0].vq);
	struct sim_action rule;
	u8 status, told;

	sim_access(sim);
	status = READ_ONCE(sim->status);
	told = status;
	/* The core warns of a device that has one after its reset. */
	if (!status)
		return 0;
	if (READ_ONCE(sim->gone)) {
		told = U8_MAX;
	} else if (READ_ONCE(sim->nr_rules)) {
		sim_lock(sim);
		if (sim_rules_event(sim, SIM_STATUS, NULL, &rule))
			told = rule.value;
		/* With none of them the core, which adds to what it reads, would set it itself. */
		if (!vqs)
			told &= status | ~VIRTIO_CONFIG_S_DRIVER_OK;
		sim_unlock(sim);
	}
	/*
	 * It warns of this bit in the status of a device that is about to begin. A driver
	 * that has just looked, and did not see it, has done what can be done about that;
	 * so has the core, which looks once more after probe, if it was told that a device
	 * has lost the bit which its driver had set.
	 */
	if (looked)
		told &= ~VIRTIO_CONFIG_S_DRIVER_OK;
	WRITE_ONCE(sim->looked, vqs && !(told & VIRTIO_CONFIG_S_DRIVER_OK));
	if (told == U8_MAX && !READ_ONCE(sim->gone))
		sim_absent(sim);
	return told;
}

static bool sim_features_ok(struct sim_device *sim)
{
	int err = 0;

	sim_lock(sim);
	if (sim->model->features_ok)
		err = sim->model->features_ok(sim);
	sim_unlock(sim);
	return !err;
}

static void sim_set_status(struct virtio_device *vdev, u8 status)
{
	struct sim_device *sim = to_sim(vdev);

	sim_access(sim);
	if (READ_ONCE(sim->gone)) {
		/* We keep what the driver believes to have set, not what it has read. */
		if (!READ_ONCE(sim->queues[0].vq))
			status &= ~VIRTIO_CONFIG_S_DRIVER_OK;
	} else if ((status & ~READ_ONCE(sim->status) & VIRTIO_CONFIG_S_FEATURES_OK) &&
		   !sim_features_ok(sim)) {
		status &= ~VIRTIO_CONFIG_S_FEATURES_OK;
	}
	/* This bit is the device's, and only a reset clears it. */
	spin_lock(&sim->config_lock);
	status &= ~VIRTIO_CONFIG_S_NEEDS_RESET;
	status |= sim->status & VIRTIO_CONFIG_S_NEEDS_RESET;
	WRITE_ONCE(sim->status, status);
	spin_unlock(&sim->config_lock);
	/* The first thing that the core says of a device whose locks it has made. */
	if (status & VIRTIO_CONFIG_S_ACKNOWLEDGE)
		WRITE_ONCE(sim->prepared, true);
	wake_up(&sim->wait);
}

static void sim_clear_status(struct sim_device *sim)
{
	spin_lock(&sim->config_lock);
	WRITE_ONCE(sim->status, 0);
	spin_unlock(&sim->config_lock);
}

/**
 * sim_needs_reset() - the device cannot go on
 * @sim: the device
 *
 * Context: process context.
 * Return: 0, -ENODEV if there is no driver that could reset it.
 */
int sim_needs_reset(struct sim_device *sim)
{
	u8 status;

	spin_lock(&sim->config_lock);
	status = sim->status;
	if (status)
		WRITE_ONCE(sim->status, status | VIRTIO_CONFIG_S_NEEDS_RESET);
	spin_unlock(&sim->config_lock);
	if (!status)
		return -ENODEV;
	sim_irq_raise(&sim->config_irq);
	return 0;
}

static void sim_sync_irqs(struct sim_device *sim)
{
	unsigned int i;

	for (i = 0; i < sim->nr_queues; i++)
		sim_quiet(sim, &sim->queues[i].irq);
	sim_quiet(sim, &sim->config_irq);
}

static void sim_reset(struct virtio_device *vdev)
{
	struct sim_device *sim = to_sim(vdev);
	struct sim_action rule;
	unsigned int i;

	sim_lock(sim);
	sim->stats.resets++;
	sim->ready = false;
	sim->absent = false;
	WRITE_ONCE(sim->lied, false);
	sim_clear_status(sim);
	if (sim->model->reset)
		sim->model->reset(sim, NULL);
	for (i = 0; i < sim->nr_queues; i++)
		sim_queue_disable(&sim->queues[i]);
	sim_sync_irqs(sim);
	for (i = 0; i < sim->nr_queues; i++)
		if (sim->queues[i].vq &&
		    sim_rules_event(sim, SIM_IRQ_LATE, &sim->queues[i], &rule))
			sim_queue_raise(&sim->queues[i]);
	sim_unlock(sim);
}

/* Features */

static u64 sim_get_features(struct virtio_device *vdev)
{
	return READ_ONCE(to_sim(vdev)->gone) ? U64_MAX : to_sim(vdev)->options.features;
}

static void __maybe_unused sim_get_extended_features(struct virtio_device *vdev, u64 *features)
{
	bool gone = READ_ONCE(to_sim(vdev)->gone);

	memset(features, gone ? 0xff : 0, VIRTIO_FEATURES_U64S * sizeof(*features));
	if (gone)
		return;
	features[0] = to_sim(vdev)->options.features;
	if (VIRTIO_FEATURES_U64S > 1)
		features[VIRTIO_FEATURES_U64S - 1] = to_sim(vdev)->options.features_hi;
}

static int sim_finalize_features(struct virtio_device *vdev)
{
	bool queue_reset = __virtio_test_bit(vdev, VIRTIO_F_RING_RESET);

	vring_transport_features(vdev);
	if (queue_reset)
		__virtio_set_bit(vdev, VIRTIO_F_RING_RESET);
	return 0;
}

/* Virtqueues */

static bool sim_notify(struct virtqueue *vq)
{
	struct sim_queue *queue = vq->priv;
	struct sim_device *sim = queue->sim;

	atomic64_inc(&queue->kicks);
	if (!(READ_ONCE(sim->status) & VIRTIO_CONFIG_S_DRIVER_OK) && !READ_ONCE(sim->gone))
		sim_violation(sim, "queue %u: notified before DRIVER_OK", queue->index);
	set_bit(queue->index, sim->kicked);
	wake_up(&sim->wait);
	return true;
}

static void sim_del_vq(struct sim_queue *queue)
{
	struct sim_device *sim = queue->sim;
	struct virtqueue *vq;

	sim_lock(sim);
	if (queue->enabled && sim->ready && !sim->gone)
		sim_violation(sim, "queue %u: deleted while the device uses it", queue->index);
	/* A device that was pulled out is not reset before. */
	if (sim->model->reset)
		sim->model->reset(sim, queue);
	sim_queue_disable(queue);
	/* Late interrupts are to come to the driver, and none when there is no virtqueue. */
	sim_quiet(sim, &queue->irq);
	vq = queue->vq;
	WRITE_ONCE(queue->vq, NULL);
	sim_quiet(sim, &queue->irq);
	sim_unlock(sim);
	if (vq)
		vring_del_virtqueue(vq);
}

static void sim_del_all(struct sim_device *sim)
{
	unsigned int i;

	for (i = 0; i < sim->nr_queues; i++)
		sim_del_vq(&sim->queues[i]);
}

static void sim_del_vqs(struct virtio_device *vdev)
{
	struct sim_device *sim = to_sim(vdev);

	sim_del_all(sim);
	/* No driver resets a device that is absent, and the core warns if one did not. */
	if (READ_ONCE(sim->gone) || READ_ONCE(sim->absent))
		sim_clear_status(sim);
}

/* The size of a virtqueue; a split ring's is a power of two. */
static unsigned int sim_queue_size(struct sim_device *sim)
{
	unsigned int size = sim->options.queue_size ?: SIM_QUEUE_SIZE;

	return __virtio_test_bit(&sim->vdev, VIRTIO_F_RING_PACKED) ? size :
								     rounddown_pow_of_two(size);
}

/* The virtqueue that the driver asks for: is it to be had? */
static int sim_vq_there(struct sim_queue *queue)
{
	struct sim_device *sim = queue->sim;
	struct sim_action rule;

	lockdep_assert_held(&sim->lock);
	if (sim->gone)
		return -ENOENT;
	if (!sim_rules_event(sim, SIM_VQ_FAIL, queue, &rule))
		return 0;
	return rule.value ? -(int)rule.value : -ENOENT;
}

static struct virtqueue *sim_add_vq(struct sim_device *sim, unsigned int index,
				    const struct virtqueue_info *info)
{
	unsigned int size = sim_queue_size(sim);
	struct sim_action rule;
	struct sim_queue *queue;
	struct virtqueue *vq;
	int err;

	if (index >= sim->nr_queues)
		return ERR_PTR(-ENOENT);
	queue = &sim->queues[index];
	if (queue->vq)
		return ERR_PTR(-EBUSY);
	sim_lock(sim);
	err = sim_vq_there(queue);
	sim_unlock(sim);
	if (err)
		return ERR_PTR(err);
	vq = vring_create_virtqueue(index, size, SMP_CACHE_BYTES, &sim->vdev, true, true,
				    info->ctx, sim_notify, info->callback, info->name);
	if (!vq)
		return ERR_PTR(-ENOMEM);
	vq->num_max = size;
	vq->priv = queue;
	sim_lock(sim);
	WRITE_ONCE(queue->vq, vq);
	/* Gone meanwhile: nobody would tell who waits for this virtqueue. */
	err = sim->gone ? -ENOENT : sim_queue_enable(queue);
	if (!err && sim_rules_event(sim, SIM_IRQ_EARLY, queue, &rule))
		sim_queue_raise(queue);
	sim_unlock(sim);
	if (err) {
		sim_del_vq(queue);
		return ERR_PTR(err);
	}
	return vq;
}

static int sim_find_vqs(struct virtio_device *vdev, unsigned int nvqs, struct virtqueue *vqs[],
			struct virtqueue_info infos[], struct irq_affinity *desc)
{
	struct sim_device *sim = to_sim(vdev);
	unsigned int index = 0;
	unsigned int i;
	int err;

	for (i = 0; i < nvqs; i++) {
		/* As with PCI: a queue without a name takes no number. */
		if (!infos[i].name) {
			vqs[i] = NULL;
			continue;
		}
		vqs[i] = sim_add_vq(sim, index++, &infos[i]);
		if (IS_ERR(vqs[i])) {
			err = PTR_ERR(vqs[i]);
			/* That the device is gone is still to be read: nothing was given up. */
			sim_del_all(sim);
			return err;
		}
	}
	return 0;
}

VRH_FIND_VQS_OP(sim_find_vqs)

static void sim_synchronize_cbs(struct virtio_device *vdev)
{
	struct sim_device *sim = to_sim(vdev);

	sim_lock(sim);
	sim_sync_irqs(sim);
	sim_unlock(sim);
}

static int sim_disable_vq_and_reset(struct virtqueue *vq)
{
	struct sim_queue *queue = vq->priv;
	struct sim_device *sim = queue->sim;

	if (!sim_has(sim, VIRTIO_F_RING_RESET))
		return -ENOENT;
	sim_lock(sim);
	if (sim->model->reset)
		sim->model->reset(sim, queue);
	sim_queue_disable(queue);
	sim_quiet(sim, &queue->irq);
	vq->reset = true;
	sim_unlock(sim);
	return 0;
}

static int sim_enable_vq_after_reset(struct virtqueue *vq)
{
	struct sim_queue *queue = vq->priv;
	struct sim_device *sim = queue->sim;
	int err = -EBUSY;

	sim_lock(sim);
	if (vq->reset)
		err = sim_vq_there(queue) ?: sim_queue_enable(queue);
	if (!err)
		vq->reset = false;
	sim_unlock(sim);
	return err;
}

static const char *sim_bus_name(struct virtio_device *vdev)
{
	return dev_name(vdev->dev.parent);
}

static int sim_set_vq_affinity(struct virtqueue *vq, const struct cpumask *mask)
{
	struct sim_queue *queue = vq->priv;
	unsigned int cpu = mask ? cpumask_first(mask) : nr_cpu_ids;

	WRITE_ONCE(queue->irq.cpu, cpu < nr_cpu_ids ? (int)cpu : -1);
	return 0;
}

static const struct cpumask *sim_get_vq_affinity(struct virtio_device *vdev, int index)
{
	return NULL;
}

const struct virtio_config_ops sim_config_ops = {
	.get = sim_config_get,
	.set = sim_config_set,
	.generation = sim_config_generation,
	.get_status = sim_get_status,
	.set_status = sim_set_status,
	.reset = sim_reset,
	.find_vqs = sim_find_vqs_op,
	.del_vqs = sim_del_vqs,
	.synchronize_cbs = sim_synchronize_cbs,
	.get_features = sim_get_features,
	VRH_EXTENDED_FEATURES_OP(sim_get_extended_features)
	.finalize_features = sim_finalize_features,
	.bus_name = sim_bus_name,
	.set_vq_affinity = sim_set_vq_affinity,
	.get_vq_affinity = sim_get_vq_affinity,
	.disable_vq_and_reset = sim_disable_vq_and_reset,
	.enable_vq_after_reset = sim_enable_vq_after_reset,
};
