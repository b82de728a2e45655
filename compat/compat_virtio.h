/* SPDX-License-Identifier: GPL-2.0-only */
/* Differences of the virtio core: finding virtqueues, resets from outside. */
#ifndef VRH_COMPAT_VIRTIO_H
#define VRH_COMPAT_VIRTIO_H

#include <linux/slab.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>

#ifndef VRH_HAVE_VIRTQUEUE_INFO
/* Delete when the oldest kernel is 6.11. */
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
 * (FLR), which the core tells drivers of on new kernels.
 */
#ifdef VRH_HAVE_VIRTIO_RESET_PREPARE
#define VRH_RESET_OPS(prepare, done) .reset_prepare = (prepare), .reset_done = (done),
#else
/* Delete when the probe answers yes on the oldest kernel. */
#define VRH_RESET_OPS(prepare, done)
#endif

#endif
