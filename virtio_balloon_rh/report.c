// SPDX-License-Identifier: GPL-2.0-only
/*
 * Free page reporting (VIRTIO 1.3, 5.5.6.7): the kernel lends us free blocks,
 * the host discards what is behind them, the kernel has them back. This file
 * owns the reporting queue and the poison value that goes with it.
 */
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/poison.h>
#include <linux/virtio_config.h>

#include "virtio_balloon_rh.h"

/*
 * The kernel takes the blocks back whatever we return, so returning while the
 * host may still discard them would lose data. After 12 times 5 s the device is
 * reset instead, which is the only way to be sure. In slices, because a guest
 * that was stopped for hours may see its clock jump: that uses up one slice. A
 * device that is being stopped is reset anyway, so nobody who unbinds it, suspends
 * or reboots waits for more than the slice under way.
 */
#define REPORT_SLICE	(5 * HZ)
#define REPORT_SLICES	12

/*
 * Smallest block to report. The kernel's default is a page block, which is 512
 * MiB on arm64 with pages of 64 KiB: such blocks are hardly ever free, so 2 MiB
 * there, as with the in-tree driver.
 */
#define REPORT_ORDER \
	(IS_ENABLED(CONFIG_ARM64_64K_PAGES) ? 5 : PAGE_REPORTING_ORDER_UNSPECIFIED)

/* Return: true if the host is done with the buffer. */
static bool vbal_report_used(struct vbal *vb)
{
	unsigned int len;

	return virtqueue_get_buf(vb->report_vq, &len);
}

static int vbal_report_wait(struct vbal *vb)
{
	bool used = false;
	unsigned int i;

	for (i = 0; i < REPORT_SLICES && !used; i++) {
		wait_event_timeout(vb->report_wait,
				   (used = vbal_report_used(vb)) ||
				   virtqueue_is_broken(vb->report_vq), REPORT_SLICE);
		if (!used && (virtqueue_is_broken(vb->report_vq) || !vbal_running(vb)))
			break;
	}
	if (used)
		return 0;
	vbal_fail(vb, "free pages were not returned");
	return -EIO;
}

/* Reports up to a ring full of blocks. */
static int vbal_report_some(struct vbal *vb, unsigned int n)
{
	int err;

	err = virtqueue_add_inbuf(vb->report_vq, vb->report_sg, n, vb, GFP_NOWAIT);
	if (err) {
		atomic_long_inc(&vb->count.errors);
		return err;
	}
	virtqueue_kick(vb->report_vq);
	return vbal_report_wait(vb);
}

/*
 * Called by the kernel's reporting work, never twice at once. An error means
 * that all blocks count as not reported; those that were are reported again
 * another time, which costs the host a look.
 */
static int vbal_report(struct page_reporting_dev_info *info, struct scatterlist *sg,
		       unsigned int nents)
{
	struct vbal *vb = container_of(info, struct vbal, report_dev);
	unsigned int room = virtqueue_get_vring_size(vb->report_vq);
	unsigned int i, n, pages;
	int err;

	if (!vbal_running(vb))
		return -ENODEV;
	room = min_t(unsigned int, room, PAGE_REPORTING_CAPACITY);
	for (; nents; nents -= n) {
		n = min(nents, room);
		pages = 0;
		sg_init_table(vb->report_sg, n);
		for (i = 0; i < n; i++, sg = sg_next(sg)) {
			sg_set_page(&vb->report_sg[i], sg_page(sg), sg->length, sg->offset);
			pages += sg->length >> PAGE_SHIFT;
		}
		err = vbal_report_some(vb, n);
		if (err)
			return err;
		atomic_long_add(pages, &vb->count.reported);
	}
	return 0;
}

/**
 * vbal_report_wake() - virtqueue callback of the reporting queue
 * @vq: reporting queue
 *
 * Context: interrupt.
 */
void vbal_report_wake(struct virtqueue *vq)
{
	struct vbal *vb = vq->vdev->priv;

	wake_up(&vb->report_wait);
}

/**
 * vbal_report_start() - offer our service to the kernel
 * @vb: running device
 *
 * The kernel has room for one reporter. If another device is first, ours is a
 * balloon without reporting; that is no reason to leave it without a driver.
 *
 * Context: process context.
 */
void vbal_report_start(struct vbal *vb)
{
	int err;

	if (!vb->report_vq)
		return;
	vb->report_dev.report = vbal_report;
	vb->report_dev.order = REPORT_ORDER;
	err = page_reporting_register(&vb->report_dev);
	vb->report_registered = !err;
	if (err)
		dev_notice(&vb->vdev->dev, "no free page reporting: %s (%d)\n",
			   err == -EBUSY ? "another device does it" : "the kernel refused", err);
}

/**
 * vbal_report_stop() - stop reporting and wait for a report that is running
 * @vb: device that is not reset yet and does not run any more; may be called again
 *
 * A report that the host has kept until then resets the device.
 *
 * Context: process context; at most REPORT_SLICE.
 */
void vbal_report_stop(struct vbal *vb)
{
	if (vb->report_registered)
		page_reporting_unregister(&vb->report_dev);
	vb->report_registered = false;
}

/**
 * vbal_poison_validate() - settle PAGE_POISON and REPORTING
 * @vdev: device whose features are being negotiated
 *
 * Free pages must read as they were left if the kernel checks or trusts their
 * contents. A host that is not told (no PAGE_POISON) may return zeroes, so
 * without that bit such a kernel must not report.
 *
 * Context: from validate().
 */
void vbal_poison_validate(struct virtio_device *vdev)
{
	bool kept = want_init_on_free() || page_poisoning_enabled_static();

	if (!kept)
		__virtio_clear_bit(vdev, VIRTIO_BALLOON_F_PAGE_POISON);
	else if (!virtio_has_feature(vdev, VIRTIO_BALLOON_F_PAGE_POISON))
		__virtio_clear_bit(vdev, VIRTIO_BALLOON_F_REPORTING);
}

/**
 * vbal_poison_tell() - tell the host what free pages contain
 * @vb: device before DRIVER_OK; after each reset again
 *
 * Context: process context.
 */
void vbal_poison_tell(struct vbal *vb)
{
	u32 poison = 0;

	if (!virtio_has_feature(vb->vdev, VIRTIO_BALLOON_F_PAGE_POISON))
		return;
	if (!want_init_on_free())
		memset(&poison, PAGE_POISON, sizeof(poison));
	virtio_cwrite_le(vb->vdev, struct virtio_balloon_config, poison_val, &poison);
}
