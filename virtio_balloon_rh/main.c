// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_balloon_rh: gives memory of the guest back to the host on request
 * (VIRTIO 1.3, 5.5). This file owns the device's life, its config space and the
 * pursuit of the host's target; it never touches a page or the ring.
 */
#include <vrh/log.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/virtio_ring.h>

#include "compat.h"
#include <vrh/device.h>
#include <vrh/feature.h>
#include "virtio_balloon_rh.h"

/* ---- parameters ---- */

/* Bytes beyond the device's 32-bit PFNs cannot be in a balloon: 16 TiB. */
#define FLOOR_MB_MAX	(16 * 1024 * 1024)

static int floor_mb = -1;

static int vbal_floor_set(const char *val, const struct kernel_param *kp)
{
	int parsed;

	if (!val || kstrtoint(val, 0, &parsed) || parsed < -1 || parsed > FLOOR_MB_MAX) {
		pr_err("parameter floor_mb=%.*s: must be a number from 0 to %d, or -1 for automatic\n",
		       val ? (int)strcspn(val, "\n") : 6, val ?: "(none)", FLOOR_MB_MAX);
		return -EINVAL;
	}
	WRITE_ONCE(floor_mb, parsed);
	return 0;
}

static const struct kernel_param_ops vbal_floor_ops = {
	.set = vbal_floor_set,
	.get = param_get_int,
};
module_param_cb(floor_mb, &vbal_floor_ops, &floor_mb, 0644);
__MODULE_PARM_TYPE(floor_mb, "int");
MODULE_PARM_DESC(floor_mb,
		 "MiB that must stay available (MemAvailable) when inflating; -1: 1/32 of memory, 64 to 256 (default -1)");

/* ---- tables ---- */

static const struct vrh_feature vbal_names[] = {
	{ VIRTIO_BALLOON_F_MUST_TELL_HOST, "MUST_TELL_HOST" },
	{ VIRTIO_BALLOON_F_STATS_VQ, "STATS_VQ" },
	{ VIRTIO_BALLOON_F_DEFLATE_ON_OOM, "DEFLATE_ON_OOM" },
	{ VIRTIO_BALLOON_F_FREE_PAGE_HINT, "FREE_PAGE_HINT" },
	{ VIRTIO_BALLOON_F_PAGE_POISON, "PAGE_POISON" },
	{ VIRTIO_BALLOON_F_REPORTING, "REPORTING" },
};

static const unsigned int vbal_features[] = {
	VIRTIO_BALLOON_F_MUST_TELL_HOST,
	VIRTIO_BALLOON_F_STATS_VQ,
	VIRTIO_BALLOON_F_DEFLATE_ON_OOM,
	VIRTIO_BALLOON_F_PAGE_POISON,
	VIRTIO_BALLOON_F_REPORTING,
};

static const struct virtio_device_id vbal_ids[] = {
	{ VIRTIO_ID_BALLOON, VIRTIO_DEV_ANY_ID },
	{ 0 },
};
MODULE_DEVICE_TABLE(virtio, vbal_ids);

/* ---- configuration ---- */

static int vbal_validate(struct virtio_device *vdev)
{
	if (!vdev->config->get) {
		dev_err(&vdev->dev, "the device has no config space, so no target\n");
		return -EINVAL;
	}
	vrh_clear_disabled_features(vdev);
	vbal_poison_validate(vdev);
	/*
	 * Reported pages go through the DMA API. Behind bounce buffers the host
	 * would discard those, and the copy back would write to free pages.
	 */
	if (virtio_has_feature(vdev, VIRTIO_F_ACCESS_PLATFORM))
		__virtio_clear_bit(vdev, VIRTIO_BALLOON_F_REPORTING);
	/*
	 * Only a report has more than one descriptor; an indirect one would be
	 * allocated at a time when the guest may have no memory.
	 */
	__virtio_clear_bit(vdev, VIRTIO_RING_F_INDIRECT_DESC);
	return 0;
}

/* Pages the guest has while the balloon is empty. */
static unsigned long vbal_total(struct vbal *vb)
{
	unsigned long pages = totalram_pages();

	if (vb->info.adjust_managed_page_count)
		pages += atomic_long_read(&vb->held);
	return pages;
}

static void vbal_read_target(struct vbal *vb)
{
	/* Cleared before the read: a change after it makes us read again. */
	if (!test_and_clear_bit(VBAL_TARGET_STALE, &vb->flags))
		return;
	virtio_cread_le(vb->vdev, struct virtio_balloon_config, num_pages, &vb->num_pages);
	if (vrh_needs_reset(vb->vdev, &vb->reset_told))
		atomic_long_inc(&vb->count.errors);
}

/* Tells the host how much it has. */
static void vbal_publish(struct vbal *vb)
{
	unsigned long held = atomic_long_read(&vb->held);
	u32 actual = vbal_actual_units(held);

	if (held == vb->published)
		return;
	virtio_cwrite_le(vb->vdev, struct virtio_balloon_config, actual, &actual);
	vb->published = held;
}

/**
 * vbal_features_text() - the negotiated features by name
 * @vdev: device
 * @buf: receives the names
 * @size: bytes in @buf
 *
 * Return: length of the text.
 */
int vbal_features_text(struct virtio_device *vdev, char *buf, size_t size)
{
	return vrh_features_print(vdev, vbal_names, ARRAY_SIZE(vbal_names), buf, size);
}

/* ---- virtqueues ---- */

/*
 * The core numbers the virtqueues that it is asked for without gaps. Devices
 * number those they offer without gaps. So a queue that is offered but not used
 * is asked for too if a used one comes after it.
 */
static int vbal_find_vqs(struct vbal *vb)
{
	bool report = virtio_has_feature(vb->vdev, VIRTIO_BALLOON_F_REPORTING);
	bool stats = virtio_has_feature(vb->vdev, VIRTIO_BALLOON_F_STATS_VQ);
	struct virtqueue_info info[VBAL_VQ_MAX] = {};
	struct virtqueue *vqs[VBAL_VQ_MAX] = {};
	u64 offered[VIRTIO_FEATURES_U64S];
	int err;

	virtio_get_features(vb->vdev, offered);
	info[VBAL_VQ_INFLATE].name = "inflate";
	info[VBAL_VQ_INFLATE].callback = vbal_slots_wake;
	info[VBAL_VQ_DEFLATE].name = "deflate";
	info[VBAL_VQ_DEFLATE].callback = vbal_slots_wake;
	if (stats || (report && (offered[0] & BIT_ULL(VIRTIO_BALLOON_F_STATS_VQ))))
		info[VBAL_VQ_STATS].name = "stats";
	if (stats)
		info[VBAL_VQ_STATS].callback = vbal_stats_request;
	if (report && (offered[0] & BIT_ULL(VIRTIO_BALLOON_F_FREE_PAGE_HINT)))
		info[VBAL_VQ_HINT].name = "hint";
	if (report) {
		info[VBAL_VQ_REPORT].name = "reporting";
		info[VBAL_VQ_REPORT].callback = vbal_report_wake;
	}

	err = virtio_find_vqs(vb->vdev, VBAL_VQ_MAX, vqs, info, NULL);
	if (err)
		return err;
	vbal_slots_start(&vb->inflate, vqs[VBAL_VQ_INFLATE]);
	vbal_slots_start(&vb->deflate, vqs[VBAL_VQ_DEFLATE]);
	vb->stats_vq = stats ? vqs[VBAL_VQ_STATS] : NULL;
	vb->report_vq = report ? vqs[VBAL_VQ_REPORT] : NULL;
	return 0;
}

/*
 * After a reset: takes back what the device had, pages and buffers. A buffer
 * that is not taken from its ring stays mapped for DMA for ever.
 */
static void vbal_del_vqs(struct vbal *vb)
{
	vbal_engine_release(vb);
	while (vb->stats_vq && virtqueue_detach_unused_buf(vb->stats_vq))
		;
	while (vb->report_vq && virtqueue_detach_unused_buf(vb->report_vq))
		;
	vb->stats_vq = NULL;
	vb->report_vq = NULL;
	vb->vdev->config->del_vqs(vb->vdev);
}

/* ---- config change ---- */

/**
 * vbal_running() - does the device serve the host?
 * @vb: device
 *
 * Context: any.
 * Return: true between start and stop, unless it died.
 */
bool vbal_running(struct vbal *vb)
{
	return READ_ONCE(vb->state) == VBAL_RUNNING;
}

/* The only place that changes the state. A device that is stopped stays so. */
static void vbal_set_state(struct vbal *vb, enum vbal_state state)
{
	unsigned long flags;

	spin_lock_irqsave(&vb->state_lock, flags);
	if (state != VBAL_DEAD || vb->state == VBAL_RUNNING)
		WRITE_ONCE(vb->state, state);
	spin_unlock_irqrestore(&vb->state_lock, flags);
}

/**
 * vbal_queue_resize() - have the resize work look what is to do
 * @vb: device
 * @delay_ms: when; 0 also overtakes a look that is due later
 *
 * Does nothing when stopped, so that no work is left behind.
 *
 * Context: any.
 */
void vbal_queue_resize(struct vbal *vb, unsigned int delay_ms)
{
	unsigned long flags;

	spin_lock_irqsave(&vb->state_lock, flags);
	if (vb->state != VBAL_STOPPED) {
		if (delay_ms)
			queue_delayed_work(vb->wq, &vb->resize_work, msecs_to_jiffies(delay_ms));
		else
			mod_delayed_work(vb->wq, &vb->resize_work, 0);
	}
	spin_unlock_irqrestore(&vb->state_lock, flags);
}

static void vbal_config_changed(struct virtio_device *vdev)
{
	struct vbal *vb = vdev->priv;

	set_bit(VBAL_TARGET_STALE, &vb->flags);
	vbal_awake_hold(vb, VBAL_AWAKE_RESIZE);
	vbal_queue_resize(vb, 0);
}

static struct vbal_decision vbal_next(struct vbal *vb)
{
	unsigned long total = vbal_total(vb);
	struct vbal_view view = {
		.target = vbal_target_pages(vb->num_pages, total),
		.held = atomic_long_read(&vb->held),
		.pending = READ_ONCE(vb->inflate.pending),
		.available = max(si_mem_available(), 0L),
		.floor = vbal_floor_pages(READ_ONCE(floor_mb), total),
		.step = VBAL_WINDOW_PAGES,
		.oom_paused = vbal_oom_left_ms(vb),
	};
	struct vbal_decision next = vbal_decide(&view);

	if (next.action == VBAL_WAIT_FLOOR && vb->last_action != VBAL_WAIT_FLOOR)
		atomic_long_inc(&vb->count.floor_stops);
	/* Once a target: near the floor the guest's own ups and downs start and stop it. */
	if (next.action == VBAL_WAIT_FLOOR && vb->floor_told != view.target) {
		vb->floor_told = view.target;
		dev_info_ratelimited(&vb->vdev->dev,
				     "the balloon rests at %lu of %lu MiB: more would leave less than %lu MiB available (floor_mb)\n",
				     view.held >> (20 - PAGE_SHIFT),
				     view.target >> (20 - PAGE_SHIFT),
				     view.floor >> (20 - PAGE_SHIFT));
	}
	vb->last_action = next.action;
	return next;
}

/* Return: ms until there is more to do, negative for "when something happens". */
static int vbal_after(struct vbal *vb, const struct vbal_decision *done, unsigned long moved,
		      bool late)
{
	switch (done->action) {
	case VBAL_REST:
		vb->failures = 0;
		return late ? (int)vbal_backoff_ms(UINT_MAX) : -1;
	case VBAL_INFLATE:
	case VBAL_DEFLATE:
		if (moved == done->pages) {
			vb->failures = 0;
			return 0;
		}
		break;
	case VBAL_WAIT_OOM:
		/* At least 1: the pause may have ended since. */
		return max(vbal_oom_left_ms(vb), 1U);
	case VBAL_WAIT_HOST:
	case VBAL_WAIT_FLOOR:
		break;
	}
	return vbal_backoff_ms(++vb->failures);
}

/* The device was reset under way: all pages are the guest's. Return: as vbal_after(). */
static int vbal_bury(struct vbal *vb)
{
	bool late = vbal_settle_late(vb);

	vbal_deflate(vb, VBAL_WINDOW_PAGES);
	return late || atomic_long_read(&vb->held) ? 1 : -1;
}

/* One step towards the target. Return: as vbal_after(). */
static int vbal_step(struct vbal *vb)
{
	struct vbal_decision next;
	unsigned long moved = 0;
	bool late;

	late = vbal_settle_late(vb);
	if (vbal_engine_broken(vb)) {
		if (!vb->broken_said) {
			atomic_long_inc(&vb->count.errors);
			dev_err(&vb->vdev->dev,
				"the device is gone or broken; %ld pages stay with it until the driver is unbound\n",
				atomic_long_read(&vb->held));
		}
		vb->broken_said = true;
		return -1;
	}
	vbal_read_target(vb);
	next = vbal_next(vb);
	if (next.action == VBAL_INFLATE)
		moved = vbal_inflate(vb, next.pages);
	else if (next.action == VBAL_DEFLATE)
		moved = vbal_deflate(vb, next.pages);
	vbal_publish(vb);
	return vbal_after(vb, &next, moved, late);
}

/*
 * A step a run: a work that ran on for a gigabyte would hold up suspend and
 * stop. Waiting does not keep the guest awake, or a target out of reach would.
 */
static void vbal_resize(struct work_struct *work)
{
	struct vbal *vb = container_of(to_delayed_work(work), struct vbal, resize_work);
	int delay;

	vbal_awake_begin(vb, VBAL_AWAKE_RESIZE);
	delay = READ_ONCE(vb->state) == VBAL_DEAD ? vbal_bury(vb) : vbal_step(vb);
	if (delay)
		vbal_awake_end(vb, VBAL_AWAKE_RESIZE);
	if (delay >= 0)
		vbal_queue_resize(vb, delay);
}

/**
 * vbal_fail() - give up on a host that keeps what is ours
 * @vb: device
 * @why: what it did
 *
 * The reset makes the host forget every page, so that they are safe to use.
 *
 * Context: process context.
 */
void vbal_fail(struct vbal *vb, const char *why)
{
	atomic_long_inc(&vb->count.errors);
	dev_err(&vb->vdev->dev, "%s: the device is reset%s\n", why,
		vbal_running(vb) ? " and not used until the driver is bound again" :
		", as it was being stopped");
	/* Stops whoever would add buffers or notify after the reset. */
	virtio_break_device(vb->vdev);
	vrh_device_stop(vb->vdev);
	vbal_set_state(vb, VBAL_DEAD);
	/* No work may come for what was asked last. */
	vbal_awake_stop(vb);
	vbal_queue_resize(vb, 0);
}

/* ---- probe and remove ---- */

/*
 * Stops all that is going on without a reset, so that what is under way can be
 * answered. May be called again, and after the device died.
 */
static void vbal_quiesce(struct virtio_device *vdev)
{
	struct vbal *vb = vdev->priv;

	vbal_set_state(vb, VBAL_STOPPED);
	/* The queues of a device that was pulled out are broken, which nobody has been told. */
	wake_up(&vb->inflate.wait);
	wake_up(&vb->deflate.wait);
	wake_up(&vb->report_wait);
	vbal_report_stop(vb);
	vbal_oom_stop(vb);
	cancel_delayed_work_sync(&vb->resize_work);
	cancel_work_sync(&vb->stats_work);
	/* Migrations that saw the device running are over after this. */
	synchronize_srcu(&vb->gate);
	vbal_awake_stop(vb);
}

static void vbal_shutdown(struct virtio_device *vdev)
{
	vbal_quiesce(vdev);
	virtio_device_shutdown(vdev);
}

/* Brings the device from reset to service. On failure it is reset again. */
static int vbal_start(struct vbal *vb)
{
	int err;

	err = vbal_find_vqs(vb);
	if (err)
		return err;
	vbal_poison_tell(vb);
	vb->published = ULONG_MAX;
	vb->failures = 0;
	vb->last_action = VBAL_REST;
	vb->floor_told = ULONG_MAX;
	vb->broken_said = false;
	vb->reset_told = false;
	vb->stats_posted = false;
	set_bit(VBAL_TARGET_STALE, &vb->flags);
	vb->info.adjust_managed_page_count =
		!virtio_has_feature(vb->vdev, VIRTIO_BALLOON_F_DEFLATE_ON_OOM);

	err = vbal_oom_start(vb);
	if (err)
		goto err_vqs;
	err = vrh_device_ready(vb->vdev);
	if (err)
		goto err_oom;
	vbal_set_state(vb, VBAL_RUNNING);
	vbal_stats_start(vb);
	vbal_report_start(vb);
	vbal_queue_resize(vb, 0);
	return 0;

err_oom:
	vbal_oom_stop(vb);
err_vqs:
	vrh_device_stop(vb->vdev);
	vbal_del_vqs(vb);
	return err;
}

/* The opposite: every page is the guest's afterwards. */
static void vbal_stop(struct vbal *vb)
{
	vbal_quiesce(vb->vdev);
	/* A restore that failed has left no queues. */
	if (!vb->inflate.vq) {
		vrh_device_stop(vb->vdev);
		return;
	}
	vbal_engine_empty(vb);
	vbal_publish(vb);
	vrh_device_stop(vb->vdev);
	vbal_del_vqs(vb);
}

static void vbal_announce(struct vbal *vb)
{
	char text[256];

	vbal_features_text(vb->vdev, text, sizeof(text));
	dev_info(&vb->vdev->dev, "features %s; queues inflate %u, deflate %u%s%s; %u buffers in flight; floor %lu MiB\n",
		 text, virtqueue_get_vring_size(vb->inflate.vq),
		 virtqueue_get_vring_size(vb->deflate.vq), vb->stats_vq ? ", stats" : "",
		 vb->report_vq ? ", reporting" : "", min(vb->inflate.slots, vb->deflate.slots),
		 vbal_floor_pages(READ_ONCE(floor_mb), vbal_total(vb)) >> (20 - PAGE_SHIFT));
}

static int vbal_probe(struct virtio_device *vdev)
{
	struct vbal *vb;
	int err;

	vb = kzalloc_obj(*vb);
	if (!vb) {
		err = -ENOMEM;
		goto err_vb;
	}
	vdev->priv = vb;
	vb->vdev = vdev;
	spin_lock_init(&vb->state_lock);
	spin_lock_init(&vb->oom_lock);
	init_waitqueue_head(&vb->report_wait);
	INIT_DELAYED_WORK(&vb->resize_work, vbal_resize);
	vbal_stats_init(vb);
	vb->shutdown.vdev = vdev;
	vb->shutdown.quiesce = vbal_shutdown;

	err = vbal_engine_init(vb);
	if (err)
		goto err_engine;
	/* Unbound: zeroing and waiting must not keep one CPU's other works waiting. */
	vb->wq = alloc_workqueue("%s-balloon", WQ_UNBOUND | WQ_FREEZABLE, 0, dev_name(&vdev->dev));
	if (!vb->wq) {
		err = -ENOMEM;
		goto err_wq;
	}
	err = vrh_shutdown_arm(&vb->shutdown);
	if (err)
		goto err_shutdown;
	err = vbal_start(vb);
	if (err)
		goto err_start;
	/* Not that it could wake anybody: it keeps awake, see awake.c. */
	device_set_wakeup_capable(&vdev->dev, true);
	vbal_announce(vb);
	return 0;

err_start:
	vrh_shutdown_disarm(&vb->shutdown);
err_shutdown:
	destroy_workqueue(vb->wq);
err_wq:
	vbal_engine_exit(vb);
err_engine:
	vdev->priv = NULL;
	kfree(vb);
err_vb:
	dev_err(&vdev->dev, "cannot be used (%d)\n", err);
	vrh_probe_failed(vdev);
	return err;
}

static void vbal_remove(struct virtio_device *vdev)
{
	struct vbal *vb = vdev->priv;

	vrh_shutdown_disarm(&vb->shutdown);
	vbal_stop(vb);
	destroy_workqueue(vb->wq);
	vbal_engine_exit(vb);
	vdev->priv = NULL;
	kfree(vb);
}

/* ---- freeze and restore ---- */

/*
 * For a suspend and for a reset of the function. Pages come back first: neither a
 * hibernation image nor a device after a reset may count on what the host has.
 */
static int __maybe_unused vbal_freeze(struct virtio_device *vdev)
{
	vbal_stop(vdev->priv);
	return 0;
}

static int __maybe_unused vbal_restore(struct virtio_device *vdev)
{
	struct vbal *vb = vdev->priv;

	return vb->inflate.vq ? -EBUSY : vbal_start(vb);
}

VRH_DEFINE_RESET(vbal, vbal_freeze, vbal_restore)

/* ---- driver ---- */

static struct virtio_driver vbal_driver = {
	.feature_table = vbal_features,
	.feature_table_size = ARRAY_SIZE(vbal_features),
	.driver.name = KBUILD_MODNAME,
	.driver.owner = THIS_MODULE,
	.driver.dev_groups = vbal_groups,
	.id_table = vbal_ids,
	.validate = vbal_validate,
	.probe = vbal_probe,
	.remove = vbal_remove,
	.config_changed = vbal_config_changed,
	VRH_SHUTDOWN(vbal_shutdown)
	VRH_RESET_OPS(vbal)
#ifdef CONFIG_PM_SLEEP
	.freeze = vbal_freeze,
	.restore = vbal_restore,
#endif
};

static int __init vbal_init(void)
{
	if (!enable) {
		pr_info("enable=0: no device will be bound\n");
		return 0;
	}
	return register_virtio_driver(&vbal_driver);
}
module_init(vbal_init);

static void __exit vbal_exit(void)
{
	if (!enable)
		return;
	unregister_virtio_driver(&vbal_driver);
	vrh_balloon_flush();
}
module_exit(vbal_exit);

MODULE_DESCRIPTION("virtio memory balloon");
MODULE_AUTHOR("virtio-rh developers");
MODULE_LICENSE("GPL");
MODULE_VERSION(VRH_VERSION);
