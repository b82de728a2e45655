/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Differences of the virtio core for those who are a transport: the simulated
 * device of the tests. The drivers do not include this.
 */
#ifndef VRH_COMPAT_TRANSPORT_H
#define VRH_COMPAT_TRANSPORT_H

#include "compat_virtio.h"

/*
 * VRH_FIND_VQS_OP(fn): a config op fn_op that calls fn() with the newest kernel's
 * arguments.
 */
#ifdef VRH_HAVE_VIRTQUEUE_INFO
#define VRH_FIND_VQS_OP(fn)							\
static int fn##_op(struct virtio_device *vdev, unsigned int nvqs,		\
		     struct virtqueue *vqs[], struct virtqueue_info infos[],	\
		     struct irq_affinity *desc)					\
{										\
	return fn(vdev, nvqs, vqs, infos, desc);				\
}
#else
/* Delete with 6.1. */
#define VRH_FIND_VQS_OP(fn)							\
static int fn##_op(struct virtio_device *vdev, unsigned int nvqs,		\
		     struct virtqueue *vqs[], vq_callback_t *callbacks[],	\
		     const char * const names[], const bool *ctx,		\
		     struct irq_affinity *desc)					\
{										\
	struct virtqueue_info *infos;						\
	unsigned int i;								\
	int err;								\
										\
	infos = kcalloc(nvqs, sizeof(*infos), GFP_KERNEL);			\
	if (!infos)								\
		return -ENOMEM;							\
	for (i = 0; i < nvqs; i++) {						\
		infos[i].name = names[i];					\
		infos[i].callback = callbacks[i];				\
		infos[i].ctx = ctx && ctx[i];					\
	}									\
	err = fn(vdev, nvqs, vqs, infos, desc);				\
	kfree(infos);								\
	return err;								\
}
#endif

/*
 * VRH_EXTENDED_FEATURES_OP(fn): member of struct virtio_config_ops for a kernel
 * that knows feature bits 64 to 127.
 */
#ifdef VRH_HAVE_VIRTIO_GET_FEATURES
#define VRH_EXTENDED_FEATURES_OP(fn) .get_extended_features = (fn),
#else
/* Delete with 6.12. */
#define VRH_EXTENDED_FEATURES_OP(fn)
#endif

#endif
