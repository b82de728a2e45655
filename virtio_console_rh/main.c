// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_console_rh: consoles and named ports of a virtio console device
 * (VIRTIO 1.3, 5.3). This file binds devices, checks their configuration and
 * owns their virtqueues; what travels through these is the business of ctrl.c,
 * rx.c, tx.c and hvc.c.
 */
#include <vrh/log.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include "compat.h"
#include <vrh/device.h>
#include <vrh/feature.h>
#include "virtio_console_rh.h"

/* Parameters */

static bool hvc = true;
module_param(hvc, bool, 0444);
MODULE_PARM_DESC(hvc, "0: console ports are ordinary ports, not /dev/hvcN (default 1)");

/*
 * 200 ms: a living host answers within a few, and a scheduler that takes its CPU
 * away gives it back within 100. The upper end is a fifth of what the kernel's
 * lockup detector tolerates, since printk() may wait with interrupts off.
 */
VRH_PARAM_UINT(stall_ms, 200, 1, 2000, 0644,
	       "ms that the kernel's log waits for a host that takes nothing, then it is dropped (1 to 2000, default 200)");

/* Tables */

static const struct vrh_feature vcon_features[] = {
	{ VIRTIO_CONSOLE_F_SIZE, "SIZE" },
	{ VIRTIO_CONSOLE_F_MULTIPORT, "MULTIPORT" },
	{ VIRTIO_CONSOLE_F_EMERG_WRITE, "EMERG_WRITE" },
};

static const unsigned int vcon_offered[] = {
	VIRTIO_CONSOLE_F_SIZE,
	VIRTIO_CONSOLE_F_MULTIPORT,
};

static const struct virtio_device_id vcon_ids[] = {
	{ VIRTIO_ID_CONSOLE, VIRTIO_DEV_ANY_ID },
	{ 0 },
};
MODULE_DEVICE_TABLE(virtio, vcon_ids);

/* Configuration */

/* A port takes two virtqueues, whose numbers have 16 bits. */
#define VCON_PORTS_SANE 32767

/* What QEMU can offer (1024 virtqueues); more would only cost memory. */
#define VCON_PORTS_MAX 511

static_assert(sizeof(struct virtio_console_config) == 12);

/* How many ports may there be? Checked again at each read: the device may lie. */
static int vcon_read_max_ports(struct virtio_device *vdev, u32 *ports)
{
	u32 n = 1;

	if (virtio_has_feature(vdev, VIRTIO_CONSOLE_F_MULTIPORT))
		virtio_cread(vdev, struct virtio_console_config, max_nr_ports, &n);
	if (!n || n > VCON_PORTS_SANE) {
		dev_err(&vdev->dev, "max_nr_ports=%u: must be 1 to %u\n", n, VCON_PORTS_SANE);
		return -EINVAL;
	}
	*ports = min_t(u32, n, VCON_PORTS_MAX);
	return 0;
}

/* Before FEATURES_OK; an error leaves the device to the in-tree driver. */
static int vcon_validate(struct virtio_device *vdev)
{
	u32 ports;

	vrh_clear_disabled_features(vdev);
	/* Without configuration there is no size and no number of ports. */
	if (!vdev->config->get) {
		__virtio_clear_bit(vdev, VIRTIO_CONSOLE_F_SIZE);
		__virtio_clear_bit(vdev, VIRTIO_CONSOLE_F_MULTIPORT);
	}
	if (hvc && !VRH_HVC_KNOWN) {
		dev_err(&vdev->dev,
			"this kernel's hvc layer is not known; hvc=0 serves ports without consoles\n");
		return -EOPNOTSUPP;
	}
	if (!hvc && !virtio_has_feature(vdev, VIRTIO_CONSOLE_F_MULTIPORT)) {
		dev_err(&vdev->dev, "the device is a console and nothing else, but hvc=0\n");
		return -EOPNOTSUPP;
	}
	return vcon_read_max_ports(vdev, &ports);
}

/**
 * vcon_stall_ms() - how long output may wait for the host
 *
 * Return: milliseconds, at least 1.
 */
unsigned int vcon_stall_ms(void)
{
	return READ_ONCE(stall_ms);
}

/**
 * vcon_hvc_wanted() - shall console ports become consoles?
 */
bool vcon_hvc_wanted(void)
{
	return hvc;
}

VRH_FEATURES_ATTR(vcon_features);

static struct attribute *vcon_attrs[] = {
	&dev_attr_features.attr,
	NULL,
};

static const struct attribute_group vcon_group = {
	.name = "vrh",
	.attrs = vcon_attrs,
};

static const struct attribute_group *vcon_groups[] = {
	&vcon_group,
	NULL,
};

/* Virtqueues */

/* Their order (VIRTIO 1.3, 5.3.2): port 0, control, ports 1 and up. */
#define VCON_VQ_CTRL_IN 2
#define VCON_VQ_CTRL_OUT 3

static unsigned int vcon_vq_of_port(u32 id)
{
	return id ? 2 * id + 2 : 0;
}

/**
 * vcon_in_vq() - receive queue of a port
 * @vcon: the device, its queues there
 * @id: number of the port
 */
struct virtqueue *vcon_in_vq(struct vcon_device *vcon, u32 id)
{
	return vcon->vqs[vcon_vq_of_port(id)];
}

/**
 * vcon_out_vq() - transmit queue of a port
 * @vcon: the device, its queues there
 * @id: number of the port
 */
struct virtqueue *vcon_out_vq(struct vcon_device *vcon, u32 id)
{
	return vcon->vqs[vcon_vq_of_port(id) + 1];
}

/**
 * vcon_port_of_vq() - the port that a queue serves
 * @vq: a queue that is no control queue
 *
 * Context: inside rcu_read_lock(), which keeps the port.
 * Return: the port or NULL.
 */
struct vcon_port *vcon_port_of_vq(struct virtqueue *vq)
{
	struct vcon_device *vcon = vq->vdev->priv;

	return rcu_dereference(vcon->ports[vq->index < 2 ? 0 : vq->index / 2 - 1]);
}

static int vcon_find_vqs(struct vcon_device *vcon)
{
	struct virtqueue_info *info;
	struct virtqueue **vqs;
	unsigned int i;
	int err = -ENOMEM;

	info = kcalloc(vcon->nr_vqs, sizeof(*info), GFP_KERNEL);
	vqs = kcalloc(vcon->nr_vqs, sizeof(*vqs), GFP_KERNEL);
	if (!info || !vqs)
		goto free;
	for (i = 0; i < vcon->nr_vqs; i += 2) {
		info[i].name = "input";
		info[i].callback = vcon_rx_done;
		info[i + 1].name = "output";
		info[i + 1].callback = vcon_tx_done;
	}
	if (vcon->multiport) {
		info[VCON_VQ_CTRL_IN].name = "control-i";
		info[VCON_VQ_CTRL_IN].callback = vcon_ctrl_done;
		info[VCON_VQ_CTRL_OUT].name = "control-o";
		info[VCON_VQ_CTRL_OUT].callback = vcon_ctrl_done;
	}
	err = virtio_find_vqs(vcon->vdev, vcon->nr_vqs, vqs, info, NULL);
	if (err)
		goto free;
	vcon->vqs = vqs;
	kfree(info);
	return 0;

free:
	kfree(vqs);
	kfree(info);
	return err;
}

/* The device is reset, and nobody uses the queues any more. */
static void vcon_del_vqs(struct vcon_device *vcon)
{
	unsigned int i;

	if (!vcon->vqs)
		return;
	for (i = 0; i < vcon->nr_vqs; i++) {
		if (vcon->multiport && (i == VCON_VQ_CTRL_IN || i == VCON_VQ_CTRL_OUT))
			vcon_ctrl_reap_vq(vcon->vqs[i]);
		else if (i % 2)
			vcon_tx_reap_vq(vcon->vqs[i]);
		else
			vcon_rx_reap_vq(vcon->vqs[i]);
	}
	vcon->vdev->config->del_vqs(vcon->vdev);
	kfree(vcon->vqs);
	vcon->vqs = NULL;
}

/* Config change */

static void vcon_config_work(struct work_struct *work)
{
	struct vcon_device *vcon = container_of(work, struct vcon_device, config_work);
	struct virtio_device *vdev = vcon->vdev;
	struct vcon_port *port;
	u16 cols, rows;

	vrh_needs_reset(vdev, &vcon->reset_told);
	/* With MULTIPORT each console has a size of its own, sent by message. */
	if (vcon->multiport || !virtio_has_feature(vdev, VIRTIO_CONSOLE_F_SIZE))
		return;
	virtio_cread(vdev, struct virtio_console_config, cols, &cols);
	virtio_cread(vdev, struct virtio_console_config, rows, &rows);
	port = rcu_dereference_protected(vcon->ports[0], true);
	if (port)
		vcon_hvc_resize(port, cols, rows);
}

static void vcon_config_changed(struct virtio_device *vdev)
{
	struct vcon_device *vcon = vdev->priv;

	if (READ_ONCE(vcon->state) == VCON_LIVE)
		queue_work(vcon_wq, &vcon->config_work);
}

/* Probe and remove */

/* Ports by id, while no work can add or remove one. */
static struct vcon_port *vcon_port(struct vcon_device *vcon, u32 id)
{
	return rcu_dereference_protected(vcon->ports[id], true);
}

/* The one place where a device changes its state. */
static void vcon_set_state(struct vcon_device *vcon, enum vcon_state state)
{
	/* Gone is gone. */
	if (vcon->state != VCON_GONE)
		WRITE_ONCE(vcon->state, state);
}

/* Gives the device stall_ms to take what was written, since a reset forgets it. */
static void vcon_drain(struct vcon_device *vcon)
{
	unsigned long end = jiffies + msecs_to_jiffies(vcon_stall_ms()) + 1;
	struct vcon_port *port;
	u32 id;

	for (id = 0; id < vcon->max_ports; id++) {
		port = vcon_port(vcon, id);
		while (port && !vcon_tx_idle(port) && time_before(jiffies, end))
			usleep_range(500, 1000);
	}
}

/* Ends all use of the device and resets it. The queues are left to be deleted. */
static void vcon_quiesce(struct vcon_device *vcon, enum vcon_state state)
{
	struct vcon_port *port;
	u32 id;

	vcon_set_state(vcon, state);
	vcon_ctrl_cancel(vcon);
	cancel_work_sync(&vcon->config_work);
	vcon_drain(vcon);
	for (id = 0; id < vcon->max_ports; id++) {
		port = vcon_port(vcon, id);
		if (port) {
			vcon_tx_stop(port);
			vcon_rx_stop(port);
		}
	}
	vcon_ctrl_detach(vcon);
	synchronize_rcu();
	vrh_device_stop(vcon->vdev);
	/* An interrupt may have queued them before it could see the new state. */
	vcon_ctrl_cancel(vcon);
	cancel_work_sync(&vcon->config_work);
}

static void vcon_device_release(struct kref *ref)
{
	struct vcon_device *vcon = container_of(ref, struct vcon_device, ref);

	vcon_ctrl_free(vcon);
	kfree(vcon);
}

/**
 * vcon_device_put() - drop a reference
 * @vcon: the device
 *
 * Context: process context.
 */
void vcon_device_put(struct vcon_device *vcon)
{
	kref_put(&vcon->ref, vcon_device_release);
}

/* The device is ready: starts what it has, which is one console or many ports. */
static int vcon_start(struct vcon_device *vcon)
{
	struct vcon_port *port;
	int err;

	if (vcon->multiport)
		return vcon_ctrl_start(vcon, vcon->vqs[VCON_VQ_CTRL_IN],
				       vcon->vqs[VCON_VQ_CTRL_OUT]);
	err = vcon_port_add(vcon, 0);
	if (err)
		return err;
	port = vcon_port(vcon, 0);
	/* Such a device cannot say who listens. */
	vcon_port_set_host_open(port, true);
	err = vcon_hvc_create(port);
	if (err)
		vcon_port_unplug(port);
	return err;
}

/* Lets the works run. The control work greets the device. */
static void vcon_go_live(struct vcon_device *vcon)
{
	vcon->reset_told = false;
	vcon_set_state(vcon, VCON_LIVE);
	if (vcon->multiport)
		queue_work(vcon_wq, &vcon->ctrl.work);
	/* What has changed before was not heard. */
	queue_work(vcon_wq, &vcon->config_work);
}

static void vcon_announce(struct vcon_device *vcon)
{
	char *names = kzalloc(PAGE_SIZE, GFP_KERNEL);

	if (names)
		vrh_features_print(vcon->vdev, vcon_features, ARRAY_SIZE(vcon_features), names,
				   PAGE_SIZE);
	dev_info(&vcon->vdev->dev, "features: %s; up to %u ports, %u virtqueues\n",
		 names ?: "?", vcon->max_ports, vcon->nr_vqs);
	kfree(names);
}

static struct vcon_device *vcon_alloc(struct virtio_device *vdev)
{
	struct vcon_device *vcon;
	u32 ports;
	int err;

	err = vcon_read_max_ports(vdev, &ports);
	if (err)
		return ERR_PTR(err);
	vcon = kzalloc(struct_size(vcon, ports, ports), GFP_KERNEL);
	if (!vcon)
		return ERR_PTR(-ENOMEM);
	kref_init(&vcon->ref);
	vcon->vdev = vdev;
	vcon->max_ports = ports;
	vcon->multiport = virtio_has_feature(vdev, VIRTIO_CONSOLE_F_MULTIPORT);
	vcon->little_endian = virtio_is_little_endian(vdev);
	vcon->nr_vqs = vcon->multiport ? 2 * (ports + 1) : 2;
	INIT_WORK(&vcon->config_work, vcon_config_work);
	err = vcon_ctrl_alloc(vcon);
	if (err) {
		vcon_device_put(vcon);
		return ERR_PTR(err);
	}
	return vcon;
}

static int vcon_probe(struct virtio_device *vdev)
{
	struct vcon_device *vcon;
	int err;

	vcon = vcon_alloc(vdev);
	if (IS_ERR(vcon)) {
		err = PTR_ERR(vcon);
		goto give_up;
	}
	vdev->priv = vcon;
	err = vcon_find_vqs(vcon);
	if (err)
		goto put;
	vcon_debugfs_add_device(vcon);
	err = vrh_device_ready(vdev);
	if (!err)
		err = vcon_start(vcon);
	if (err)
		goto quiesce;
	vcon_announce(vcon);
	vcon_go_live(vcon);
	return 0;

quiesce:
	vcon_quiesce(vcon, VCON_GONE);
	vcon_del_vqs(vcon);
	vcon_debugfs_remove_device(vcon);
put:
	vdev->priv = NULL;
	vcon_device_put(vcon);
give_up:
	dev_err(&vdev->dev, "cannot be used: error %d; it is left to the next driver\n", err);
	vrh_probe_failed(vdev);
	return err;
}

static void vcon_remove(struct virtio_device *vdev)
{
	struct vcon_device *vcon = vdev->priv;
	struct vcon_port *port;
	u32 id;

	vcon_quiesce(vcon, VCON_GONE);
	for (id = 0; id < vcon->max_ports; id++) {
		port = vcon_port(vcon, id);
		if (port)
			vcon_port_unplug(port);
	}
	vcon_del_vqs(vcon);
	vcon_debugfs_remove_device(vcon);
	vdev->priv = NULL;
	vcon_device_put(vcon);
}

/* Freeze and restore */

/*
 * Takes the queues away from ports that stay. Unread bytes and output of consoles
 * are kept. What a file had written and the device did not take within stall_ms
 * is lost, as with the in-tree driver.
 */
static void vcon_withdraw(struct vcon_device *vcon)
{
	struct vcon_port *port;
	u32 id;

	vcon_quiesce(vcon, VCON_FROZEN);
	for (id = 0; id < vcon->max_ports; id++) {
		port = vcon_port(vcon, id);
		if (port && vcon->vqs)
			vcon_port_freeze(port);
	}
	vcon_del_vqs(vcon);
}

/*
 * For a suspend, and for a reset of the function (FLR), around which programs
 * go on: they find ports without queues, and wait, or get EAGAIN.
 */
static int __maybe_unused vcon_freeze(struct virtio_device *vdev)
{
	vcon_withdraw(vdev->priv);
	return 0;
}

static int __maybe_unused vcon_restore(struct virtio_device *vdev)
{
	struct vcon_device *vcon = vdev->priv;
	struct vcon_port *port;
	int err;
	u32 id;

	if (vcon->vqs)
		return -EBUSY;
	vcon_set_state(vcon, VCON_STARTING);
	err = vcon_find_vqs(vcon);
	if (err)
		goto failed;
	err = vrh_device_ready(vdev);
	for (id = 0; !err && id < vcon->max_ports; id++) {
		port = vcon_port(vcon, id);
		if (port)
			err = vcon_port_thaw(port);
	}
	if (!err && vcon->multiport)
		err = vcon_ctrl_start(vcon, vcon->vqs[VCON_VQ_CTRL_IN],
				      vcon->vqs[VCON_VQ_CTRL_OUT]);
	if (err)
		goto withdraw;
	vcon_go_live(vcon);
	return 0;

withdraw:
	vcon_withdraw(vcon);
failed:
	vcon_set_state(vcon, VCON_FAILED);
	for (id = 0; id < vcon->max_ports; id++) {
		port = vcon_port(vcon, id);
		if (port)
			wake_up_interruptible(&port->wait);
	}
	dev_err(&vdev->dev, "no ports and consoles after the suspend or reset: error %d; unbind and bind the device to try again\n",
		err);
	return err;
}

VRH_DEFINE_RESET(vcon, vcon_freeze, vcon_restore)

/* Driver and module */

static struct virtio_driver vcon_driver = {
	.feature_table = vcon_offered,
	.feature_table_size = ARRAY_SIZE(vcon_offered),
	.driver.name = KBUILD_MODNAME,
	.driver.dev_groups = vcon_groups,
	.id_table = vcon_ids,
	.validate = vcon_validate,
	.probe = vcon_probe,
	.remove = vcon_remove,
	.config_changed = vcon_config_changed,
#ifdef CONFIG_PM_SLEEP
	.freeze = vcon_freeze,
	.restore = vcon_restore,
#endif
	VRH_RESET_OPS(vcon)
};

static int __init vcon_init(void)
{
	int err;

	if (!enable) {
		pr_info("enable=0: no device will be bound\n");
		return 0;
	}
	err = vcon_ctrl_init();
	if (err)
		return err;
	err = vcon_port_init();
	if (err)
		goto exit_ctrl;
	vcon_debugfs_init();
	err = register_virtio_driver(&vcon_driver);
	if (err)
		goto exit_port;
	return 0;

exit_port:
	vcon_debugfs_exit();
	vcon_port_exit();
exit_ctrl:
	vcon_ctrl_exit();
	return err;
}
module_init(vcon_init);

static void __exit vcon_exit(void)
{
	if (!enable)
		return;
	unregister_virtio_driver(&vcon_driver);
	vcon_hvc_exit();
	vcon_debugfs_exit();
	vcon_port_exit();
	vcon_ctrl_exit();
}
module_exit(vcon_exit);

MODULE_DESCRIPTION("virtio-rh: console and port driver");
MODULE_AUTHOR("virtio-rh developers");
MODULE_VERSION(VRH_VERSION);
MODULE_LICENSE("GPL");
