// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the interface and the device tell each other outside of packets: address,
 * link, speed, announcements, receive filters, a device that broke. What happens
 * while they run is done in works, where a wait harms nobody.
 */
#include <vrh/log.h>

#include <linux/ethtool.h>

#include <vrh/device.h>

#include "virtio_net_rh.h"

/**
 * vnet_read_mac() - take the address from the device if it is one, else invent it
 * @vn: device
 *
 * Context: probe.
 */
void vnet_read_mac(struct vnet *vn)
{
	struct virtio_device *vdev = vn->vdev;
	u8 addr[ETH_ALEN];

	if (virtio_has_feature(vdev, VIRTIO_NET_F_MAC)) {
		vrh_config_bytes(vdev, offsetof(struct virtio_net_config, mac), addr, 1, ETH_ALEN);
		if (is_valid_ether_addr(addr)) {
			eth_hw_addr_set(vn->dev, addr);
			return;
		}
		dev_warn(&vdev->dev, "MAC address %pM in the device's configuration is no unicast address, using a random one\n",
			 addr);
	}
	eth_hw_addr_random(vn->dev);
}

/**
 * vnet_read_speed() - take speed and duplex from the device
 * @vn: device
 *
 * Context: process context. Values that make no sense are ignored.
 */
void vnet_read_speed(struct vnet *vn)
{
	struct virtio_device *vdev = vn->vdev;
	u32 speed;
	u8 duplex;

	if (!virtio_has_feature(vdev, VIRTIO_NET_F_SPEED_DUPLEX))
		return;
	virtio_cread_le(vdev, struct virtio_net_config, speed, &speed);
	if (ethtool_validate_speed(speed))
		vn->speed = speed;
	virtio_cread_le(vdev, struct virtio_net_config, duplex, &duplex);
	if (ethtool_validate_duplex(duplex))
		vn->duplex = duplex;
}

/**
 * vnet_report_broken() - a virtqueue of the device broke
 * @vn: device
 *
 * The work tells the user and takes the carrier away, so that bonding and
 * routing look for another way.
 *
 * Context: any.
 */
void vnet_report_broken(struct vnet *vn)
{
	if (!xchg(&vn->broken, true))
		schedule_delayed_work(&vn->config_work, 0);
}

/* Once per break, however often the configuration changes after it. */
static void tell_broken(struct vnet *vn)
{
	if (!vn->broken_told && !vrh_going_down())
		netdev_err(vn->dev, "a virtqueue is broken: no carrier until the device is unbound and bound again\n");
	vn->broken_told = true;
	netif_carrier_off(vn->dev);
}

/**
 * vnet_config_work() - act on a change of the configuration
 * @work: vnet.config_work
 *
 * Context: workqueue; takes rtnl for an announcement.
 */
void vnet_config_work(struct work_struct *work)
{
	struct vnet *vn = container_of(to_delayed_work(work), struct vnet, config_work);
	struct net_device *dev = vn->dev;
	u16 status = VIRTIO_NET_S_LINK_UP;

	vn->config_last = jiffies;
	if (READ_ONCE(vn->broken)) {
		tell_broken(vn);
		return;
	}
	vrh_needs_reset(vn->vdev, &vn->reset_told);
	if (virtio_has_feature(vn->vdev, VIRTIO_NET_F_STATUS))
		status = virtio_cread16(vn->vdev, offsetof(struct virtio_net_config, status));
	if (!(status & VIRTIO_NET_S_LINK_UP)) {
		netif_carrier_off(dev);
	} else {
		vnet_read_speed(vn);
		netif_carrier_on(dev);
	}
	if ((status & VIRTIO_NET_S_ANNOUNCE) &&
	    virtio_has_feature(vn->vdev, VIRTIO_NET_F_GUEST_ANNOUNCE)) {
		netdev_notify_peers(dev);
		vnet_ctrl_announce_ack(vn);
	}
}

/**
 * vnet_rx_mode_work() - send the receive filters
 * @work: vnet.rx_mode_work
 *
 * Context: workqueue; without rtnl, so that a slow device holds up nobody.
 */
void vnet_rx_mode_work(struct work_struct *work)
{
	struct vnet *vn = container_of(work, struct vnet, rx_mode_work);
	int err = vnet_ctrl_rx_mode(vn);

	if (err && err != -ENODEV && net_ratelimit())
		netdev_warn(vn->dev, "the device did not take the receive filters: %d; what they ask for may not come\n",
			    err);
}
