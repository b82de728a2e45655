// SPDX-License-Identifier: GPL-2.0-only
/*
 * virtio_net_rh: network devices (VIRTIO 1.3, 5.1) for guests. This file owns
 * the driver's life: parameters, features, configuration space, virtqueues,
 * probe and remove, suspend and resume. It never touches a packet.
 */
#include <vrh/log.h>

#include <linux/ethtool.h>
#include <linux/module.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "compat.h"

#include <vrh/device.h>
#include <vrh/feature.h>
#include <vrh/param.h>

#include "virtio_net_rh.h"

/* Parameters */

static bool csum = true;
module_param(csum, bool, 0444);
MODULE_PARM_DESC(csum, "let the device fill in checksums (default 1)");

static bool gso = true;
module_param(gso, bool, 0444);
MODULE_PARM_DESC(gso, "let the device segment TCP (default 1)");

/* Read when a device is bound, as in-tree. */
static bool napi_tx = true;
module_param(napi_tx, bool, 0644);
MODULE_PARM_DESC(napi_tx, "free sent packets on interrupts; 0: when the next is sent, without byte queue limits (default 1)");

/* The stack warns about, and does not want, more than NAPI_POLL_WEIGHT. */
VRH_PARAM_UINT(napi_weight, NAPI_POLL_WEIGHT, 1, NAPI_POLL_WEIGHT, 0444,
	       "packets that one poll of a receive queue may take, 1 to 64 (default 64)");

/*
 * The lower end is what a busy host needs to get to the command at all; the
 * upper end stays below the 120 s after which the kernel reports a hung task.
 */
VRH_PARAM_UINT(cvq_timeout_ms, 10000, 100, 100000, 0644,
	       "milliseconds to wait for the answer to a control command, 100 to 100000 (default 10000)");

/**
 * vnet_cvq_timeout_ms() - how long to wait for the answer to a control command
 *
 * Return: milliseconds, 100 to 100000.
 */
unsigned int vnet_cvq_timeout_ms(void)
{
	return READ_ONCE(cvq_timeout_ms);
}

/**
 * vnet_param_csum() - may checksums be left to the device?
 */
bool vnet_param_csum(void)
{
	return csum;
}

/**
 * vnet_param_gso() - may segmentation be left to the device?
 */
bool vnet_param_gso(void)
{
	return gso;
}

/* Tables */

/* Bytes for all names of a device, several times over. */
#define VNET_FEATURE_TEXT	1024

static const struct vrh_feature vnet_feature_names[] = {
	{ VIRTIO_NET_F_CSUM, "CSUM" },
	{ VIRTIO_NET_F_GUEST_CSUM, "GUEST_CSUM" },
	{ VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, "CTRL_GUEST_OFFLOADS" },
	{ VIRTIO_NET_F_MTU, "MTU" },
	{ VIRTIO_NET_F_MAC, "MAC" },
	{ VIRTIO_NET_F_GSO, "GSO" },
	{ VIRTIO_NET_F_GUEST_TSO4, "GUEST_TSO4" },
	{ VIRTIO_NET_F_GUEST_TSO6, "GUEST_TSO6" },
	{ VIRTIO_NET_F_GUEST_ECN, "GUEST_ECN" },
	{ VIRTIO_NET_F_GUEST_UFO, "GUEST_UFO" },
	{ VIRTIO_NET_F_HOST_TSO4, "HOST_TSO4" },
	{ VIRTIO_NET_F_HOST_TSO6, "HOST_TSO6" },
	{ VIRTIO_NET_F_HOST_ECN, "HOST_ECN" },
	{ VIRTIO_NET_F_MRG_RXBUF, "MRG_RXBUF" },
	{ VIRTIO_NET_F_STATUS, "STATUS" },
	{ VIRTIO_NET_F_CTRL_VQ, "CTRL_VQ" },
	{ VIRTIO_NET_F_CTRL_RX, "CTRL_RX" },
	{ VIRTIO_NET_F_CTRL_VLAN, "CTRL_VLAN" },
	{ VIRTIO_NET_F_GUEST_ANNOUNCE, "GUEST_ANNOUNCE" },
	{ VIRTIO_NET_F_MQ, "MQ" },
	{ VIRTIO_NET_F_CTRL_MAC_ADDR, "CTRL_MAC_ADDR" },
	{ VIRTIO_NET_F_SPEED_DUPLEX, "SPEED_DUPLEX" },
};

/* The last two mean something only to a legacy device; see vnet_validate(). */
static const unsigned int vnet_features[] = {
	VIRTIO_NET_F_CSUM,
	VIRTIO_NET_F_GUEST_CSUM,
	VIRTIO_NET_F_CTRL_GUEST_OFFLOADS,
	VIRTIO_NET_F_MTU,
	VIRTIO_NET_F_MAC,
	VIRTIO_NET_F_GUEST_TSO4,
	VIRTIO_NET_F_GUEST_TSO6,
	VIRTIO_NET_F_GUEST_ECN,
	VIRTIO_NET_F_GUEST_UFO,
	VIRTIO_NET_F_HOST_TSO4,
	VIRTIO_NET_F_HOST_TSO6,
	VIRTIO_NET_F_HOST_ECN,
	VIRTIO_NET_F_MRG_RXBUF,
	VIRTIO_NET_F_STATUS,
	VIRTIO_NET_F_CTRL_VQ,
	VIRTIO_NET_F_CTRL_RX,
	VIRTIO_NET_F_CTRL_VLAN,
	VIRTIO_NET_F_GUEST_ANNOUNCE,
	VIRTIO_NET_F_MQ,
	VIRTIO_NET_F_CTRL_MAC_ADDR,
	VIRTIO_NET_F_SPEED_DUPLEX,
	VIRTIO_NET_F_GSO,
	VIRTIO_F_ANY_LAYOUT,
};

static const struct virtio_device_id vnet_id_table[] = {
	{ VIRTIO_ID_NET, VIRTIO_DEV_ANY_ID },
	{ 0 },
};
MODULE_DEVICE_TABLE(virtio, vnet_id_table);

/* Configuration */

static void clear_feature(struct virtio_device *vdev, unsigned int bit)
{
	if (__virtio_test_bit(vdev, bit))
		__virtio_clear_bit(vdev, bit);
}

/**
 * struct vnet_dependency - a feature that is of no use without another
 * @bit: the feature
 * @needs: what it needs (VIRTIO 1.3, 5.1.3.1)
 */
struct vnet_dependency {
	unsigned int bit;
	unsigned int needs;
};

/* In an order in which one pass is enough. */
static const struct vnet_dependency vnet_dependencies[] = {
	{ VIRTIO_NET_F_CTRL_RX, VIRTIO_NET_F_CTRL_VQ },
	{ VIRTIO_NET_F_CTRL_VLAN, VIRTIO_NET_F_CTRL_VQ },
	{ VIRTIO_NET_F_GUEST_ANNOUNCE, VIRTIO_NET_F_CTRL_VQ },
	{ VIRTIO_NET_F_GUEST_ANNOUNCE, VIRTIO_NET_F_STATUS },
	{ VIRTIO_NET_F_MQ, VIRTIO_NET_F_CTRL_VQ },
	{ VIRTIO_NET_F_CTRL_MAC_ADDR, VIRTIO_NET_F_CTRL_VQ },
	{ VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, VIRTIO_NET_F_CTRL_VQ },
	/*
	 * Without MRG_RXBUF a GSO packet would need a chain of pages for every
	 * buffer in the ring; such a device sends us single frames instead.
	 */
	{ VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_MRG_RXBUF },
	{ VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_MRG_RXBUF },
	{ VIRTIO_NET_F_GUEST_UFO, VIRTIO_NET_F_MRG_RXBUF },
	{ VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_CSUM },
	{ VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_GUEST_CSUM },
	{ VIRTIO_NET_F_GUEST_UFO, VIRTIO_NET_F_GUEST_CSUM },
	{ VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_CSUM },
	{ VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_CSUM },
	{ VIRTIO_NET_F_GSO, VIRTIO_NET_F_CSUM },
};

static void clear_dependent_features(struct virtio_device *vdev)
{
	const struct vnet_dependency *d = vnet_dependencies;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(vnet_dependencies); i++, d++)
		if (!__virtio_test_bit(vdev, d->needs))
			clear_feature(vdev, d->bit);
	/* ECN belongs to either of two. */
	if (!__virtio_test_bit(vdev, VIRTIO_NET_F_GUEST_TSO4) &&
	    !__virtio_test_bit(vdev, VIRTIO_NET_F_GUEST_TSO6))
		clear_feature(vdev, VIRTIO_NET_F_GUEST_ECN);
	if (!__virtio_test_bit(vdev, VIRTIO_NET_F_HOST_TSO4) &&
	    !__virtio_test_bit(vdev, VIRTIO_NET_F_HOST_TSO6))
		clear_feature(vdev, VIRTIO_NET_F_HOST_ECN);
}

static u16 read_mtu(struct virtio_device *vdev)
{
	return virtio_cread16(vdev, offsetof(struct virtio_net_config, mtu));
}

static u16 read_max_pairs(struct virtio_device *vdev)
{
	return virtio_cread16(vdev, offsetof(struct virtio_net_config, max_virtqueue_pairs));
}

/*
 * Gives up features that cannot be served and whose configuration makes no
 * sense, while the device can still be told. The interface works without.
 */
static int vnet_validate(struct virtio_device *vdev)
{
	unsigned int value, max;

	if (!vdev->config->get) {
		dev_err(&vdev->dev, "the device has no configuration space\n");
		return -EINVAL;
	}
	vrh_clear_disabled_features(vdev);
	if (__virtio_test_bit(vdev, VIRTIO_F_VERSION_1)) {
		clear_feature(vdev, VIRTIO_NET_F_GSO);
		clear_feature(vdev, VIRTIO_F_ANY_LAYOUT);
	}
	clear_dependent_features(vdev);

	if (__virtio_test_bit(vdev, VIRTIO_NET_F_MTU)) {
		value = read_mtu(vdev);
		max = vnet_rx_max_mtu(vdev);
		if (value < ETH_MIN_MTU || value > max) {
			dev_warn(&vdev->dev, "MTU %u in the device's configuration is ignored: must be from %u to %u%s\n",
				 value, ETH_MIN_MTU, max,
				 max < ETH_MAX_MTU ? " without MRG_RXBUF" : "");
			clear_feature(vdev, VIRTIO_NET_F_MTU);
		}
	}
	if (__virtio_test_bit(vdev, VIRTIO_NET_F_MQ)) {
		value = read_max_pairs(vdev);
		if (!value || value > VNET_MAX_PAIRS) {
			dev_warn(&vdev->dev, "%u queue pairs in the device's configuration: must be from 1 to %u, using 1\n",
				 value, VNET_MAX_PAIRS);
			clear_feature(vdev, VIRTIO_NET_F_MQ);
		}
	}
	return 0;
}

static int read_config(struct vnet *vn)
{
	struct virtio_device *vdev = vn->vdev;
	struct net_device *dev = vn->dev;
	unsigned int mtu;

	vnet_read_mac(vn);
	vn->speed = SPEED_UNKNOWN;
	vn->duplex = DUPLEX_UNKNOWN;
	vnet_read_speed(vn);
	if (!virtio_has_feature(vdev, VIRTIO_NET_F_MTU))
		return 0;
	/* Checked in validate(); a device that changes its mind is not usable. */
	mtu = read_mtu(vdev);
	if (mtu < dev->min_mtu || mtu > dev->max_mtu) {
		dev_err(&vdev->dev, "MTU in the device's configuration changed to %u: must be from %u to %u\n",
			mtu, dev->min_mtu, dev->max_mtu);
		return -EINVAL;
	}
	dev->mtu = mtu;
	dev->max_mtu = mtu;
	return 0;
}

/* Virtqueues */

static int find_vqs(struct vnet *vn)
{
	bool has_ctrl = virtio_has_feature(vn->vdev, VIRTIO_NET_F_CTRL_VQ);
	unsigned int n = 2 * vn->max_pairs + has_ctrl, i;
	struct virtqueue_info *info;
	struct virtqueue **vqs;
	int err = -ENOMEM;

	vqs = kcalloc(n, sizeof(*vqs), GFP_KERNEL);
	info = kcalloc(n, sizeof(*info), GFP_KERNEL);
	if (!vqs || !info)
		goto out;

	/* VIRTIO 1.3, 5.1.2: receive and transmit in turn, control last. */
	for (i = 0; i < vn->max_pairs; i++) {
		info[2 * i].name = vn->rxq[i].name;
		info[2 * i].callback = vnet_rx_done;
		info[2 * i].ctx = true;
		info[2 * i + 1].name = vn->txq[i].name;
		info[2 * i + 1].callback = vnet_tx_done;
	}
	if (has_ctrl)
		info[n - 1].name = "control";

	err = virtio_find_vqs(vn->vdev, n, vqs, info, NULL);
	if (err)
		goto out;
	for (i = 0; i < vn->max_pairs; i++) {
		vn->rxq[i].vq = vqs[2 * i];
		vn->txq[i].vq = vqs[2 * i + 1];
	}
	if (has_ctrl)
		vnet_ctrl_attach(vn, vqs[n - 1]);
	vnet_queue_sizes(vn);
out:
	kfree(info);
	kfree(vqs);
	return err;
}

/*
 * Resets the device and takes everything back that it had. Nobody uses the
 * queues any more.
 */
static void del_vqs(struct vnet *vn)
{
	struct virtqueue *ctrl = vnet_ctrl_detach(vn);
	unsigned int i;
	void *buf;

	vrh_device_stop(vn->vdev);
	vnet_ctrl_reclaim(vn, ctrl);
	for (i = 0; i < vn->max_pairs; i++) {
		struct vnet_rxq *rxq = &vn->rxq[i];
		struct vnet_txq *txq = &vn->txq[i];

		while ((buf = virtqueue_detach_unused_buf(rxq->vq)))
			vnet_rx_free_buf(rxq->vq, buf);
		while ((buf = virtqueue_detach_unused_buf(txq->vq)))
			vnet_tx_free_buf(txq->vq, buf);
		netdev_tx_reset_queue(txq->nq);
		vnet_rx_release(rxq);
	}
	vn->vdev->config->del_vqs(vn->vdev);
	for (i = 0; i < vn->max_pairs; i++) {
		vn->rxq[i].vq = NULL;
		vn->txq[i].vq = NULL;
	}
	vn->state = VNET_GONE;
}

/* Config change */

/*
 * Interrupt context. A host that changes its configuration in a loop gets ten
 * looks a second, which is as fast as a person can see a link flap.
 */
static void vnet_config_changed(struct virtio_device *vdev)
{
	struct vnet *vn = vdev->priv;
	unsigned long next = vn->config_last + HZ / 10;

	schedule_delayed_work(&vn->config_work,
			      time_before(jiffies, next) ? next - jiffies : 0);
}

/* Probe and remove */

static void announce_probe(struct vnet *vn)
{
	char *names = kmalloc(VNET_FEATURE_TEXT, GFP_KERNEL);

	if (names)
		vrh_features_print(vn->vdev, vnet_feature_names, ARRAY_SIZE(vnet_feature_names),
				   names, VNET_FEATURE_TEXT);
	netdev_info(vn->dev, "%s: %u of %u queue pairs, rings %u rx %u tx, %s receive buffers, MTU %u, %s MAC %pM%s; features %s\n",
		    dev_name(&vn->vdev->dev), vn->pairs, vn->max_pairs, vn->rxq[0].ring,
		    vn->txq[0].ring, vn->mergeable ? "mergeable" : "single", vn->dev->mtu,
		    vn->dev->addr_assign_type == NET_ADDR_PERM ? "own" : "random",
		    vn->dev->dev_addr, vn->napi_tx ? "" : ", napi_tx=0",
		    names ?: "(no memory to list them)");
	kfree(names);
}

/* Everything that needs no device behind it. */
static struct vnet *vnet_create(struct virtio_device *vdev)
{
	unsigned int max_pairs = 1;
	struct net_device *dev;
	struct vnet *vn;

	if (virtio_has_feature(vdev, VIRTIO_NET_F_MQ))
		max_pairs = clamp_t(unsigned int, read_max_pairs(vdev), 1, VNET_MAX_PAIRS);
	dev = alloc_etherdev_mq(sizeof(*vn), max_pairs);
	if (!dev)
		return NULL;

	vn = netdev_priv(dev);
	vn->vdev = vdev;
	vn->dev = dev;
	vn->max_pairs = max_pairs;
	vn->pairs = min(max_pairs, num_online_cpus());
	vn->mergeable = virtio_has_feature(vdev, VIRTIO_NET_F_MRG_RXBUF);
	vn->any_layout = virtio_has_feature(vdev, VIRTIO_F_VERSION_1) ||
			 virtio_has_feature(vdev, VIRTIO_F_ANY_LAYOUT);
	vn->napi_tx = READ_ONCE(napi_tx);
	vn->hdr_len = vn->mergeable || virtio_has_feature(vdev, VIRTIO_F_VERSION_1) ?
		      sizeof(struct virtio_net_hdr_v1) : sizeof(struct virtio_net_hdr);
	INIT_DELAYED_WORK(&vn->refill_work, vnet_rx_refill_work);
	INIT_DELAYED_WORK(&vn->config_work, vnet_config_work);
	INIT_WORK(&vn->rx_mode_work, vnet_rx_mode_work);
	vn->config_last = jiffies - HZ;
	return vn;
}

static int vnet_probe(struct virtio_device *vdev)
{
	struct vnet *vn;
	int err = -ENOMEM;

	vn = vnet_create(vdev);
	if (!vn)
		goto err_create;
	vdev->priv = vn;
	if (vnet_alloc_queues(vn) || vnet_ctrl_init(vn))
		goto err_alloc;
	vnet_netdev_init(vn);
	err = read_config(vn);
	if (err)
		goto err_alloc;
	vnet_napi_add(vn, napi_weight);

	err = find_vqs(vn);
	if (err)
		goto err_vqs;
	/* The in-tree driver, unbound while it is up, leaves config changes held back. */
	virtio_config_driver_enable(vdev);
	/* Commands and the first open need a device that listens. */
	err = vrh_device_ready(vdev);
	if (err)
		goto err_ready;
	vn->state = VNET_READY;
	vnet_ctrl_replay(vn);

	netif_carrier_off(vn->dev);
	netif_set_real_num_tx_queues(vn->dev, vn->pairs);
	netif_set_real_num_rx_queues(vn->dev, vn->pairs);
	err = vnet_register(vn);
	if (err)
		goto err_register;
	schedule_delayed_work(&vn->config_work, 0);
	announce_probe(vn);
	return 0;

err_register:
	cancel_work_sync(&vn->rx_mode_work);
	cancel_delayed_work_sync(&vn->config_work);
err_ready:
	del_vqs(vn);
err_vqs:
	vnet_napi_del(vn);
err_alloc:
	vnet_ctrl_free(vn);
	vnet_free_queues(vn);
	free_netdev(vn->dev);
	vdev->priv = NULL;
err_create:
	dev_err(&vdev->dev, "probe failed: %d\n", err);
	vrh_probe_failed(vdev);
	return err;
}

static void vnet_remove(struct virtio_device *vdev)
{
	struct vnet *vn = vdev->priv;

	/* The core delivers no config change any more. */
	cancel_delayed_work_sync(&vn->config_work);
	unregister_netdev(vn->dev);
	cancel_work_sync(&vn->rx_mode_work);
	/* A queue may have broken on the way. */
	cancel_delayed_work_sync(&vn->config_work);
	if (vn->state != VNET_GONE)
		del_vqs(vn);
	else
		vrh_device_stop(vdev);
	vnet_napi_del(vn);
	vnet_ctrl_free(vn);
	vnet_free_queues(vn);
	vdev->priv = NULL;
	free_netdev(vn->dev);
}

/* Freeze and restore */

static int __maybe_unused vnet_freeze(struct virtio_device *vdev)
{
	struct vnet *vn = vdev->priv;

	/* Before rtnl too, for which nobody shall wait as long as its commands may take. */
	cancel_work_sync(&vn->rx_mode_work);
	cancel_delayed_work_sync(&vn->config_work);
	rtnl_lock();
	netif_tx_lock_bh(vn->dev);
	netif_device_detach(vn->dev);
	netif_tx_unlock_bh(vn->dev);
	vnet_stop(vn);
	/*
	 * Multicast addresses come and go without rtnl (MLD), and whoever still
	 * saw the device present may be about to schedule the work. The core
	 * looks, and calls us, under the address lock: pass through it once.
	 */
	netif_addr_lock_bh(vn->dev);
	netif_addr_unlock_bh(vn->dev);
	cancel_work_sync(&vn->rx_mode_work);
	if (vn->state != VNET_GONE)
		del_vqs(vn);
	rtnl_unlock();
	return 0;
}

static int __maybe_unused vnet_restore(struct virtio_device *vdev)
{
	struct vnet *vn = vdev->priv;
	int err;

	if (vn->state != VNET_GONE)
		return -EBUSY;
	err = find_vqs(vn);
	if (!err) {
		err = vrh_device_ready(vdev);
		if (err)
			del_vqs(vn);
	}
	if (err) {
		netdev_err(vn->dev, "the device did not start again: %d; unbind and bind it to try again\n",
			   err);
		return err;
	}

	rtnl_lock();
	vn->broken = false;
	vn->broken_told = false;
	vn->ctrl.broken_told = false;
	vn->reset_told = false;
	vn->state = VNET_READY;
	if (vn->rx_ring) {
		err = vnet_set_rings(vn, vn->rx_ring, vn->tx_ring);
		if (err)
			netdev_warn(vn->dev, "rings of %u rx, %u tx could not be had again: %d\n",
				    vn->rx_ring, vn->tx_ring, err);
	}
	vnet_ctrl_replay(vn);
	netif_set_real_num_tx_queues(vn->dev, vn->pairs);
	netif_set_real_num_rx_queues(vn->dev, vn->pairs);
	vnet_spread_queues(vn);
	/* First, as it wakes every queue: one that has filled up since its start too. */
	netif_device_attach(vn->dev);
	if (netif_running(vn->dev))
		vnet_start(vn);
	rtnl_unlock();

	if (virtio_has_feature(vdev, VIRTIO_NET_F_CTRL_RX))
		schedule_work(&vn->rx_mode_work);
	schedule_delayed_work(&vn->config_work, 0);
	return 0;
}

VRH_DEFINE_RESET(vnet, vnet_freeze, vnet_restore)

/* Driver */

VRH_FEATURES_ATTR(vnet_feature_names);

static struct attribute *vnet_attrs[] = {
	&dev_attr_features.attr,
	NULL
};

static const struct attribute_group vnet_group = {
	.name = "vrh",
	.attrs = vnet_attrs,
};

static const struct attribute_group *vnet_groups[] = {
	&vnet_group,
	NULL
};

static struct virtio_driver vnet_driver = {
	.driver = {
		.name = KBUILD_MODNAME,
		.owner = THIS_MODULE,
		.dev_groups = vnet_groups,
	},
	.id_table = vnet_id_table,
	.feature_table = vnet_features,
	.feature_table_size = ARRAY_SIZE(vnet_features),
	.validate = vnet_validate,
	.probe = vnet_probe,
	.remove = vnet_remove,
	.config_changed = vnet_config_changed,
#ifdef CONFIG_PM_SLEEP
	.freeze = vnet_freeze,
	.restore = vnet_restore,
#endif
	VRH_RESET_OPS(vnet)
};

static int __init vnet_init(void)
{
	if (!enable) {
		pr_info("enable=0: no device will be bound\n");
		return 0;
	}
	return register_virtio_driver(&vnet_driver);
}
module_init(vnet_init);

static void __exit vnet_exit(void)
{
	if (enable)
		unregister_virtio_driver(&vnet_driver);
}
module_exit(vnet_exit);

MODULE_DESCRIPTION("Virtio network driver of virtio-rh");
MODULE_AUTHOR("virtio-rh developers");
MODULE_LICENSE("GPL");
MODULE_VERSION(VRH_VERSION);
