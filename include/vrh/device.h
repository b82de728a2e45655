/* SPDX-License-Identifier: GPL-2.0-only */
/* A device that may be gone, is to stop, or is left to the next driver. */
#ifndef VRH_DEVICE_H
#define VRH_DEVICE_H

#include <linux/device.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>

/* What a status register reads as when nothing is behind it any more. */
#define VRH_STATUS_ABSENT	0xff

/**
 * vrh_device_absent() - is the device gone from its bus?
 * @vdev: device
 *
 * Context: process context; reads the device's status.
 */
static inline bool vrh_device_absent(struct virtio_device *vdev)
{
	return vdev->config->get_status(vdev) == VRH_STATUS_ABSENT;
}

/**
 * vrh_device_ready() - let a device begin
 * @vdev: device that has its virtqueues
 *
 * The core warns of a device that has DRIVER_OK before it is set. One that is gone has
 * it, as a status of all ones, and one that lies may. What is left is one that goes
 * between this look and the core's own.
 *
 * Context: process context.
 * Return: 0, or -ENODEV: the virtqueues have to go again.
 */
static inline int vrh_device_ready(struct virtio_device *vdev)
{
	if (vdev->config->get_status(vdev) & VIRTIO_CONFIG_S_DRIVER_OK)
		return -ENODEV;
	virtio_device_ready(vdev);
	return 0;
}

/**
 * vrh_needs_reset() - tell the user, once, that a device asks to be reset
 * @vdev: device that may have changed its status
 * @told: the user has been told; the driver makes it false after a reset
 *
 * It has met an error that it does not get over by itself, and may serve nothing more
 * (VIRTIO 1.3, 2.1.1). The driver goes on: what the device does not do is then met with
 * what is there for a silent one.
 *
 * Context: process context; reads the device's status.
 * Return: true if the user was told now.
 */
static inline bool vrh_needs_reset(struct virtio_device *vdev, bool *told)
{
	u8 status;

	if (*told)
		return false;
	status = vdev->config->get_status(vdev);
	if (status == VRH_STATUS_ABSENT || !(status & VIRTIO_CONFIG_S_NEEDS_RESET))
		return false;
	*told = true;
	dev_err(&vdev->dev, "the device has failed and asks for a reset: unbind and bind it to use it again\n");
	return true;
}

/* Readings of a field, one after the other, that may be torn before the last is taken. */
#define VRH_CONFIG_TRIES	8

/**
 * vrh_config_bytes() - a field of config space that is read in more than one access
 * @vdev: device
 * @at: its offset in bytes
 * @to: receives it, in the device's byte order
 * @width: bytes in each access, as the field is made up: 1 for an array of bytes
 * @nr: accesses
 *
 * The generation tells a reading that a change came between, which is repeated; but
 * a device that changes it every time would keep virtio_cread_bytes() for ever. What was
 * read after VRH_CONFIG_TRIES is taken as it is: the caller checks it anyway.
 *
 * Context: process context.
 */
static inline void vrh_config_bytes(struct virtio_device *vdev, unsigned int at, void *to,
				    unsigned int width, unsigned int nr)
{
	const struct virtio_config_ops *config = vdev->config;
	unsigned int try, i;
	u32 before;

	for (try = 0; try < VRH_CONFIG_TRIES; try++) {
		before = config->generation ? config->generation(vdev) : 0;
		for (i = 0; i < nr; i++)
			config->get(vdev, at + i * width, to + i * width, width);
		if (!config->generation || config->generation(vdev) == before)
			return;
	}
}

/**
 * vrh_device_stop() - take rings and buffers back from the device
 * @vdev: device
 *
 * After this the device touches neither, and no callback of a virtqueue runs. A
 * device that is absent cannot touch them anyway, and the core's reset would
 * wait for ever for its status to become zero.
 *
 * Context: process context, may sleep.
 */
static inline void vrh_device_stop(struct virtio_device *vdev)
{
	if (!vrh_device_absent(vdev)) {
		virtio_reset_device(vdev);
		return;
	}
	virtio_break_device(vdev);
	virtio_synchronize_cbs(vdev);
}

/**
 * vrh_going_down() - does the machine shut down or reboot?
 *
 * The core breaks all virtqueues then: a driver that sees it has no news.
 *
 * Context: any.
 */
static inline bool vrh_going_down(void)
{
	return system_state > SYSTEM_RUNNING && system_state < SYSTEM_SUSPEND;
}

/**
 * vrh_reset_step() - one of the two steps around a reset of the function
 * @vdev: device
 * @owner: THIS_MODULE
 * @step: what to do, if the device is still, or already, with this driver
 *
 * The core holds the lock of the PCI device, and not the one that keeps a driver
 * from being bound and unbound: with programs running that can happen now.
 * (That the module goes while the core is on its way to us only the core can
 * prevent.)
 *
 * Context: process context.
 * Return: what @step returns, or -EOPNOTSUPP.
 */
static inline int vrh_reset_step(struct virtio_device *vdev, struct module *owner,
				 int (*step)(struct virtio_device *vdev))
{
	int err = -EOPNOTSUPP;

	device_lock(&vdev->dev);
	if (vdev->dev.driver && vdev->dev.driver->owner == owner && vdev->priv)
		err = step(vdev);
	device_unlock(&vdev->dev);
	return err;
}

/*
 * The driver's callbacks for VRH_RESET_OPS(name). @done must refuse a device that
 * was bound meanwhile, and so has its virtqueues.
 */
#define VRH_DEFINE_RESET(name, prepare, done)						\
static int __maybe_unused name##_reset_prepared(struct virtio_device *vdev)		\
{											\
	return vrh_reset_step(vdev, THIS_MODULE, prepare);				\
}											\
											\
static int __maybe_unused name##_reset_over(struct virtio_device *vdev)			\
{											\
	return vrh_reset_step(vdev, THIS_MODULE, done);					\
}

/**
 * vrh_probe_failed() - leave the device to the next driver
 * @vdev: device that the driver could not take
 *
 * After a failing probe the core tries the next driver, but it neither
 * resets the device nor clears DRIVER and FEATURES_OK for it. Call this last in
 * the error path of probe(), when the virtqueues are gone.
 *
 * Context: process context.
 */
static inline void vrh_probe_failed(struct virtio_device *vdev)
{
	if (vrh_device_absent(vdev))
		return;
	virtio_reset_device(vdev);
	virtio_add_status(vdev, VIRTIO_CONFIG_S_ACKNOWLEDGE);
}

#endif
