/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Differences of the virtio core: finding virtqueues, resets from outside, the
 * features a device offers, config changes held back, how a driver learns of a
 * shutdown.
 */
#ifndef VRH_COMPAT_VIRTIO_H
#define VRH_COMPAT_VIRTIO_H

#include <linux/reboot.h>
#include <linux/slab.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>

#ifndef VRH_HAVE_VIRTQUEUE_INFO
/* Delete with 6.1. */
struct virtqueue_info {
	const char *name;
	vq_callback_t *callback;
	bool ctx;
};

static inline int vrh_find_vqs(struct virtio_device *vdev, unsigned int nvqs,
			       struct virtqueue *vqs[],
			       struct virtqueue_info vqs_info[],
			       struct irq_affinity *desc)
{
	vq_callback_t **callbacks;
	const char **names;
	unsigned int i;
	bool *ctx;
	int err = -ENOMEM;

	callbacks = kcalloc(nvqs, sizeof(*callbacks), GFP_KERNEL);
	names = kcalloc(nvqs, sizeof(*names), GFP_KERNEL);
	ctx = kcalloc(nvqs, sizeof(*ctx), GFP_KERNEL);
	if (!callbacks || !names || !ctx)
		goto out;

	for (i = 0; i < nvqs; i++) {
		callbacks[i] = vqs_info[i].callback;
		names[i] = vqs_info[i].name;
		ctx[i] = vqs_info[i].ctx;
	}
	err = virtio_find_vqs_ctx(vdev, nvqs, vqs, callbacks, names, ctx, desc);
out:
	kfree(ctx);
	kfree(names);
	kfree(callbacks);
	return err;
}

#define virtio_find_vqs vrh_find_vqs
#endif

/*
 * Members of struct virtio_driver for a reset of the function by the PCI core
 * (FLR), which the core tells drivers of on new kernels. VRH_DEFINE_RESET() in
 * vrh/device.h makes the functions.
 */
#ifdef VRH_HAVE_VIRTIO_RESET_PREPARE
#define VRH_RESET_OPS(name)						\
	.reset_prepare = name##_reset_prepared, .reset_done = name##_reset_over,
#else
/* Delete with 6.12. */
#define VRH_RESET_OPS(name)
#endif

/* Delete with 6.12. */
#ifndef VRH_HAVE_VIRTIO_GET_FEATURES
#define VIRTIO_FEATURES_U64S 1

static inline void virtio_get_features(struct virtio_device *vdev, u64 *offered)
{
	offered[0] = vdev->config->get_features(vdev);
}
#endif

/* Delete with 6.1, whose core never holds config changes back. */
#ifndef VRH_HAVE_VIRTIO_CONFIG_DRIVER
static inline void virtio_config_driver_enable(struct virtio_device *vdev)
{
}
#endif

/**
 * struct vrh_shutdown - a driver's wish to be quiesced before a shutdown
 * @quiesce: what to call; must be idempotent
 * @vdev: device to call it with
 * @nb: our place in the reboot chain where the core has no shutdown callback
 *
 * A driver puts VRH_SHUTDOWN(its function) into its struct virtio_driver and
 * arms this besides: one of the two does the work. Delete with 6.12.
 */
struct vrh_shutdown {
	void (*quiesce)(struct virtio_device *vdev);
	struct virtio_device *vdev;
	struct notifier_block nb;
};

#ifdef VRH_HAVE_VIRTIO_DRIVER_SHUTDOWN
#define VRH_SHUTDOWN(fn) .shutdown = (fn),

static inline int vrh_shutdown_arm(struct vrh_shutdown *s)
{
	return 0;
}

static inline void vrh_shutdown_disarm(struct vrh_shutdown *s)
{
}
#else
#define VRH_SHUTDOWN(fn)

/* The core does this itself on these kernels, after the reboot chain. */
static inline void virtio_device_shutdown(struct virtio_device *vdev)
{
}

static inline int vrh_shutdown_notify(struct notifier_block *nb, unsigned long event, void *cmd)
{
	struct vrh_shutdown *s = container_of(nb, struct vrh_shutdown, nb);

	s->quiesce(s->vdev);
	return NOTIFY_DONE;
}

static inline int vrh_shutdown_arm(struct vrh_shutdown *s)
{
	s->nb.notifier_call = vrh_shutdown_notify;
	return register_reboot_notifier(&s->nb);
}

/* Waits for a notifier that is running. */
static inline void vrh_shutdown_disarm(struct vrh_shutdown *s)
{
	unregister_reboot_notifier(&s->nb);
}
#endif

#endif
