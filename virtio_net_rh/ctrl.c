// SPDX-License-Identifier: GPL-2.0-only
/*
 * The control virtqueue (VIRTIO 1.3, 5.1.6.5): commands and their answers. No
 * wait is without end, and no lock is held across one: a command that is not
 * answered in time fails, and its slot stays with the device, unused, until
 * the answer comes or the device is reset. So a late answer is written to
 * memory that still belongs to it.
 */
#include <vrh/log.h>

#include <linux/delay.h>
#include <linux/ktime.h>
#include <linux/slab.h>
#include <linux/virtio_ring.h>

#include <vrh/device.h>

#include "virtio_net_rh.h"

/*
 * The first looks come quickly, because a device that handles the command in
 * the notification itself has answered already; then the pauses double, so
 * that a slow device is not polled hot and a fast one costs microseconds.
 */
#define VNET_CTRL_PAUSE_MIN_US	20
#define VNET_CTRL_PAUSE_MAX_US	5000

/*
 * Whatever a device is told again after a reset, while rtnl is held: nothing more is sent when
 * that has taken as long as this many commands that are answered at the last moment. Who waits
 * for rtnl is reported as hung after 120 s, and the last command may take its whole time.
 */
#define VNET_REPLAY_COMMANDS	4
#define VNET_REPLAY_MAX_MS	110000U

/* What no device answers: the specification knows 0 and 1. */
#define VNET_CTRL_NO_ANSWER	0xff

/* Addresses that fit a slot, behind the two counts. */
#define VNET_CTRL_MAX_MACS	((VNET_CTRL_DATA - 2 * sizeof(__le32)) / ETH_ALEN)

static_assert(sizeof(struct virtio_net_ctrl_hdr) == 2);
static_assert(sizeof(struct virtio_net_ctrl_mq) == 2);
static_assert(sizeof(struct vnet_ctrl_slot) <= 4096);

/* Who owns a slot. */
enum vnet_slot_state {
	SLOT_FREE,
	SLOT_TAKEN,		/* being filled, or read after the answer */
	SLOT_SENT,		/* with the device, somebody waits */
	SLOT_ANSWERED,		/* back, the waiter has not looked yet */
	SLOT_QUARANTINED,	/* with the device, nobody waits any more */
	SLOT_LOST,		/* the device was reset under the waiter */
};

/* Takes back what the device has answered, whoever waits for it. */
static void reap(struct vnet_ctrl *ctrl)
{
	struct vnet_ctrl_slot *slot;
	unsigned int n, len;

	lockdep_assert_held(&ctrl->lock);
	if (!ctrl->vq)
		return;
	for (n = 0; n < VNET_CTRL_SLOTS; n++) {
		slot = virtqueue_get_buf(ctrl->vq, &len);
		if (!slot)
			return;
		if (slot->state == SLOT_QUARANTINED) {
			atomic_inc(&ctrl->late);
			slot->state = SLOT_FREE;
		} else {
			slot->state = SLOT_ANSWERED;
		}
	}
}

static struct vnet_ctrl_slot *slot_take(struct vnet_ctrl *ctrl)
{
	struct vnet_ctrl_slot *slot = NULL;
	unsigned int i;

	spin_lock(&ctrl->lock);
	/* Of all that timed out, one may be answered now, and nobody else would look. */
	reap(ctrl);
	for (i = 0; i < VNET_CTRL_SLOTS; i++) {
		if (ctrl->slot[i].state == SLOT_FREE) {
			slot = &ctrl->slot[i];
			slot->state = SLOT_TAKEN;
			break;
		}
	}
	spin_unlock(&ctrl->lock);
	return slot;
}

static void slot_put(struct vnet_ctrl *ctrl, struct vnet_ctrl_slot *slot)
{
	spin_lock(&ctrl->lock);
	slot->state = SLOT_FREE;
	spin_unlock(&ctrl->lock);
}

/* Gives a filled slot to the device; on failure it stays with the caller. */
static int submit(struct vnet_ctrl *ctrl, struct vnet_ctrl_slot *slot, size_t len)
{
	struct scatterlist hdr, data, ack, *sgs[3];
	struct virtqueue *vq;
	unsigned int out = 0;
	bool notify = false;
	int err = -ENODEV;

	slot->ack = VNET_CTRL_NO_ANSWER;
	sg_init_one(&hdr, &slot->hdr, sizeof(slot->hdr));
	sgs[out++] = &hdr;
	if (len) {
		sg_init_one(&data, slot->data, len);
		sgs[out++] = &data;
	}
	sg_init_one(&ack, &slot->ack, sizeof(slot->ack));
	sgs[out] = &ack;

	spin_lock(&ctrl->lock);
	vq = ctrl->vq;
	if (vq) {
		reap(ctrl);
		/* The core warns of a command that is longer than the ring. */
		err = out < virtqueue_get_vring_size(vq) ||
		      virtio_has_feature(vq->vdev, VIRTIO_RING_F_INDIRECT_DESC) ?
		      virtqueue_add_sgs(vq, sgs, out, 1, slot, GFP_ATOMIC) : -ENOSPC;
	}
	if (!err) {
		slot->state = SLOT_SENT;
		notify = virtqueue_kick_prepare(vq);
	}
	spin_unlock(&ctrl->lock);

	/*
	 * The virtqueue cannot go away here: it is detached only with rtnl held
	 * and both works cancelled, and one of these three is our caller. A
	 * notification that fails breaks the virtqueue, and look() sees that.
	 */
	if (notify)
		virtqueue_notify(vq);
	return err;
}

/* One look at a slot that was sent; quarantines it if @last. */
static int look(struct vnet_ctrl *ctrl, struct vnet_ctrl_slot *slot, bool last)
{
	int err = -EINPROGRESS;

	spin_lock(&ctrl->lock);
	reap(ctrl);
	if (slot->state == SLOT_ANSWERED) {
		slot->state = SLOT_TAKEN;
		err = 0;
	} else if (slot->state == SLOT_LOST) {
		slot->state = SLOT_TAKEN;
		err = -ENODEV;
	} else if (last || !ctrl->vq || virtqueue_is_broken(ctrl->vq)) {
		slot->state = SLOT_QUARANTINED;
		err = last ? -ETIMEDOUT : -EIO;
	}
	spin_unlock(&ctrl->lock);
	return err;
}

/* A command was not sent, or lost. A packed ring says so of a buffer that DMA cannot reach, too. */
static int io_error(struct vnet *vn)
{
	struct virtqueue *vq = vn->ctrl.vq;	/* stays while a command is under way: submit() */

	atomic_inc(&vn->ctrl.failed);
	/* Packets need no commands: the carrier stays. */
	if (vq && virtqueue_is_broken(vq) && !vrh_going_down() &&
	    !xchg(&vn->ctrl.broken_told, true))
		dev_err(&vn->vdev->dev, "the control virtqueue is broken: queue pairs, filters and offloads stay as they are until the device is unbound and bound again\n");
	return -EIO;
}

/**
 * execute() - send a command and wait for its answer
 * @vn: device
 * @slot: taken and filled; given back here in every case
 * @class: VIRTIO_NET_CTRL_*
 * @cmd: VIRTIO_NET_CTRL_*_*
 * @len: bytes of slot->data
 *
 * Context: process context, may sleep until cvq_timeout_ms is over.
 * Return: 0; -EIO if the device refused or the virtqueue is broken; -EREMOTEIO if
 * it broke after the command was sent, and -ETIMEDOUT if there was no answer: the
 * device may have obeyed then; -ENODEV if there is no device any more.
 */
static int execute(struct vnet *vn, struct vnet_ctrl_slot *slot, u8 class, u8 cmd, size_t len)
{
	struct vnet_ctrl *ctrl = &vn->ctrl;
	unsigned int pause = VNET_CTRL_PAUSE_MIN_US;
	unsigned int timeout = vnet_cvq_timeout_ms();
	ktime_t deadline = ktime_add_ms(ktime_get(), timeout);
	virtio_net_ctrl_ack ack;
	int err;

	slot->hdr.class = class;
	slot->hdr.cmd = cmd;
	atomic_inc(&ctrl->commands);
	err = submit(ctrl, slot, len);
	if (err) {
		slot_put(ctrl, slot);
		return err == -EIO ? io_error(vn) : err;
	}

	for (;;) {
		bool last = ktime_after(ktime_get(), deadline);

		err = look(ctrl, slot, last);
		if (err != -EINPROGRESS)
			break;
		usleep_range(pause, 2 * pause);
		pause = min(2 * pause, VNET_CTRL_PAUSE_MAX_US + 0U);
	}

	if (err == -ETIMEDOUT) {
		atomic_inc(&ctrl->timeouts);
		netdev_warn(vn->dev,
			    "the device did not answer command %u/%u within %u ms (cvq_timeout_ms)\n",
			    class, cmd, timeout);
		return err;
	}
	if (err == -EIO) {
		io_error(vn);
		return -EREMOTEIO;
	}

	ack = READ_ONCE(slot->ack);
	slot_put(ctrl, slot);
	if (err)
		return err;
	if (ack != VIRTIO_NET_OK) {
		atomic_inc(&ctrl->failed);
		return -EIO;
	}
	return 0;
}

/*
 * Did a command fail because nobody answers? Another one would wait as long, and of a
 * host that answers each of them too late there is no end: what has several stops here.
 */
static bool silent(int err)
{
	return err == -ETIMEDOUT || err == -EBUSY;
}

/* When to stop telling everything again. */
static ktime_t replay_end(void)
{
	unsigned int timeout = vnet_cvq_timeout_ms();

	return ktime_add_ms(ktime_get(), min(VNET_REPLAY_COMMANDS * timeout,
					     VNET_REPLAY_MAX_MS - timeout));
}

/*
 * Why the next command of a replay is not sent, or 0. @last is what the one before ended
 * with; a host that answers each of them at the last moment is silent after @end.
 */
static int unsent(struct vnet *vn, int last, ktime_t end)
{
	if (silent(last))
		return last;
	if (ktime_before(ktime_get(), end))
		return 0;
	atomic_inc(&vn->ctrl.timeouts);
	return -ETIMEDOUT;
}

/* Sends a command whose arguments are @len bytes at @data. Returns as execute(). */
static int try_command(struct vnet *vn, u8 class, u8 cmd, const void *data, size_t len)
{
	struct vnet_ctrl_slot *slot = slot_take(&vn->ctrl);

	/* All slots are with a device that does not answer. */
	if (!slot)
		return -EBUSY;
	if (len)
		memcpy(slot->data, data, len);
	return execute(vn, slot, class, cmd, len);
}

/*
 * The same, with -EIO wherever the virtqueue broke: only who counts on what the device did
 * must know whether it may have obeyed.
 */
static int command(struct vnet *vn, u8 class, u8 cmd, const void *data, size_t len)
{
	int err = try_command(vn, class, cmd, data, len);

	return err == -EREMOTEIO ? -EIO : err;
}

/**
 * vnet_ctrl_set_mac() - tell the device its address, by the way that it has
 * @vn: device
 * @addr: ETH_ALEN bytes
 *
 * A device that has neither way takes packets for any address, or is meant to
 * keep its own; that is not an error.
 *
 * Context: process context; rtnl, or before the interface is registered.
 * Return: 0, or as execute().
 */
int vnet_ctrl_set_mac(struct vnet *vn, const u8 *addr)
{
	struct virtio_device *vdev = vn->vdev;
	unsigned int i;

	if (virtio_has_feature(vdev, VIRTIO_NET_F_CTRL_MAC_ADDR))
		return command(vn, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_ADDR_SET, addr,
			       ETH_ALEN);
	if (virtio_has_feature(vdev, VIRTIO_NET_F_MAC) &&
	    !virtio_has_feature(vdev, VIRTIO_F_VERSION_1)) {
		/* Legacy devices take it byte by byte in their config space. */
		for (i = 0; i < ETH_ALEN; i++)
			virtio_cwrite8(vdev, offsetof(struct virtio_net_config, mac) + i, addr[i]);
	}
	return 0;
}

/**
 * vnet_ctrl_set_pairs() - choose how many queue pairs the device uses
 * @vn: device with VIRTIO_NET_F_MQ
 * @pairs: 1 to vn->max_pairs
 *
 * Context: process context; rtnl, or before the interface is registered.
 * Return: as execute(), -EREMOTEIO included, which the other commands tell as -EIO.
 */
int vnet_ctrl_set_pairs(struct vnet *vn, unsigned int pairs)
{
	struct virtio_net_ctrl_mq mq = {
		.virtqueue_pairs = cpu_to_virtio16(vn->vdev, pairs),
	};

	return try_command(vn, VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, &mq,
			   sizeof(mq));
}

/**
 * vnet_ctrl_vlan() - change the device's VLAN filter
 * @vn: device with VIRTIO_NET_F_CTRL_VLAN
 * @vid: VLAN id, 0 to 4095
 * @add: false to remove it
 *
 * Context: process context, rtnl.
 * Return: as execute().
 */
int vnet_ctrl_vlan(struct vnet *vn, u16 vid, bool add)
{
	__virtio16 id = cpu_to_virtio16(vn->vdev, vid);

	return command(vn, VIRTIO_NET_CTRL_VLAN,
		       add ? VIRTIO_NET_CTRL_VLAN_ADD : VIRTIO_NET_CTRL_VLAN_DEL,
		       &id, sizeof(id));
}

/**
 * vnet_ctrl_set_offloads() - choose the guest offloads that are on
 * @vn: device with VIRTIO_NET_F_CTRL_GUEST_OFFLOADS
 * @offloads: bits of VIRTIO_NET_F_GUEST_*, all of them negotiated
 *
 * Context: process context, rtnl.
 * Return: as execute().
 */
int vnet_ctrl_set_offloads(struct vnet *vn, u64 offloads)
{
	__virtio64 arg = cpu_to_virtio64(vn->vdev, offloads);

	return command(vn, VIRTIO_NET_CTRL_GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET,
		       &arg, sizeof(arg));
}

/**
 * vnet_ctrl_announce_ack() - the announcement that the device wanted is out
 * @vn: device with VIRTIO_NET_F_GUEST_ANNOUNCE
 *
 * Context: process context.
 * Return: as execute().
 */
int vnet_ctrl_announce_ack(struct vnet *vn)
{
	return command(vn, VIRTIO_NET_CTRL_ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE_ACK, NULL, 0);
}

/* Appends one table of addresses: a count and that many addresses. */
static u8 *put_macs(struct vnet *vn, u8 *p, const struct netdev_hw_addr_list *list, bool fits)
{
	struct netdev_hw_addr *ha;
	__virtio32 count = cpu_to_virtio32(vn->vdev, fits ? netdev_hw_addr_list_count(list) : 0);

	memcpy(p, &count, sizeof(count));
	p += sizeof(count);
	if (!fits)
		return p;
	netdev_hw_addr_list_for_each(ha, list) {
		memcpy(p, ha->addr, ETH_ALEN);
		p += ETH_ALEN;
	}
	return p;
}

/* Sends those of the two flags whose value is @on. */
static int send_rx_flags(struct vnet *vn, bool promisc, bool allmulti, bool on)
{
	const u8 arg = on;
	int ret = 0, err = 0;

	if (promisc == on)
		ret = command(vn, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_PROMISC, &arg, 1);
	if (allmulti == on && !silent(ret))
		err = command(vn, VIRTIO_NET_CTRL_RX, VIRTIO_NET_CTRL_RX_ALLMULTI, &arg, 1);
	return silent(err) ? err : ret ?: err;
}

/**
 * vnet_ctrl_rx_mode() - send the receive filters of the interface
 * @vn: device with VIRTIO_NET_F_CTRL_RX
 *
 * A list that does not fit is replaced by receiving everything of its kind.
 *
 * Context: process context; not under the address lock, which is taken here.
 * Return: 0, -ENOMEM, or the first error, as execute(); the other commands are
 * sent nevertheless, but none to a device that did not answer the one before.
 */
int vnet_ctrl_rx_mode(struct vnet *vn)
{
	struct net_device *dev = vn->dev;
	bool uc_fits, mc_fits, promisc, allmulti;
	u8 *table, *end;
	int err, ret;

	/* Not built in its slot: the flags before it need one, too. */
	table = kmalloc(VNET_CTRL_DATA, GFP_KERNEL);
	if (!table)
		return -ENOMEM;

	netif_addr_lock_bh(dev);
	uc_fits = netdev_uc_count(dev) <= VNET_CTRL_MAX_MACS;
	mc_fits = netdev_mc_count(dev) <=
		  VNET_CTRL_MAX_MACS - (uc_fits ? netdev_uc_count(dev) : 0);
	promisc = (dev->flags & IFF_PROMISC) || !uc_fits;
	allmulti = (dev->flags & IFF_ALLMULTI) || !mc_fits;
	end = put_macs(vn, table, &dev->uc, uc_fits);
	end = put_macs(vn, end, &dev->mc, mc_fits);
	netif_addr_unlock_bh(dev);

	/*
	 * What widens goes first, what narrows last and the table in between,
	 * so that no packet that both the old and the new filters want is lost.
	 */
	ret = send_rx_flags(vn, promisc, allmulti, true);
	if (silent(ret))
		goto out;
	err = command(vn, VIRTIO_NET_CTRL_MAC, VIRTIO_NET_CTRL_MAC_TABLE_SET, table, end - table);
	/* Narrowed to a table that the device does not have, packets would be lost. */
	if (!err)
		err = send_rx_flags(vn, promisc, allmulti, false);
	ret = ret ?: err;
out:
	kfree(table);
	return ret;
}

/* One line for all that fail, sent or unsent(): there can be 4096 of them. */
static void replay_vlans(struct vnet *vn, int last, ktime_t end)
{
	unsigned int vid, failed = 0, first = 0;
	int err = 0;

	for_each_set_bit(vid, vn->vlans, VLAN_N_VID) {
		last = unsent(vn, last, end) ?: vnet_ctrl_vlan(vn, vid, true);
		if (last && !failed++) {
			first = vid;
			err = last;
		}
	}
	if (failed)
		dev_warn(&vn->vdev->dev, "the device did not take %u VLANs, the first is %u: %d; their packets may not come\n",
			 failed, first, err);
}

/**
 * vnet_ctrl_replay() - tell a device that knows nothing what the interface is
 * @vn: device, new or after a reset, DRIVER_OK
 *
 * Errors are told and survived: the interface works with what the device did
 * take, which may be a single queue pair. The receive filters follow in their
 * own work.
 *
 * Context: process context; rtnl, or before the interface is registered. Nothing is
 * sent after a command that was not answered in time, nor after the time that all of
 * them have together, four times cvq_timeout_ms.
 */
void vnet_ctrl_replay(struct vnet *vn)
{
	struct virtio_device *vdev = vn->vdev;
	struct net_device *dev = vn->dev;
	ktime_t end = replay_end();
	int err = 0;

	if (vn->pairs > 1) {
		err = vnet_ctrl_set_pairs(vn, vn->pairs);
		if (err) {
			dev_warn(&vdev->dev, "the device did not take %u queue pairs: %d, using 1\n",
				 vn->pairs, err);
			vn->pairs = 1;
		}
	}
	if (dev->addr_assign_type != NET_ADDR_PERM) {
		err = unsent(vn, err, end) ?: vnet_ctrl_set_mac(vn, dev->dev_addr);
		if (err)
			dev_warn(&vdev->dev, "the device did not take MAC address %pM: %d\n",
				 dev->dev_addr, err);
	}
	if (vn->offloads != (vdev->features & VNET_GUEST_OFFLOADS)) {
		err = unsent(vn, err, end) ?: vnet_ctrl_set_offloads(vn, vn->offloads);
		if (err)
			dev_warn(&vdev->dev, "the device did not turn off receive offloads: %d\n",
				 err);
	}
	replay_vlans(vn, err, end);
}

/**
 * vnet_ctrl_reap_late() - look for answers that nobody waits for any more
 * @vn: device
 *
 * The control virtqueue has no interrupts, and the next command may be far away: who reads
 * the counters looks.
 *
 * Context: process context.
 */
void vnet_ctrl_reap_late(struct vnet *vn)
{
	spin_lock(&vn->ctrl.lock);
	reap(&vn->ctrl);
	spin_unlock(&vn->ctrl.lock);
}

/**
 * vnet_ctrl_attach() - begin to accept commands
 * @vn: device
 * @vq: its control virtqueue
 *
 * Context: process context.
 */
void vnet_ctrl_attach(struct vnet *vn, struct virtqueue *vq)
{
	spin_lock(&vn->ctrl.lock);
	vn->ctrl.vq = vq;
	spin_unlock(&vn->ctrl.lock);
}

/**
 * vnet_ctrl_detach() - let no further command reach the device
 * @vn: device
 *
 * Context: process context; nobody is in a command (rtnl held or the interface
 * unregistered, works cancelled).
 * Return: the virtqueue, for vnet_ctrl_reclaim() after the reset; NULL if
 * there is none.
 */
struct virtqueue *vnet_ctrl_detach(struct vnet *vn)
{
	struct virtqueue *vq;

	spin_lock(&vn->ctrl.lock);
	vq = vn->ctrl.vq;
	vn->ctrl.vq = NULL;
	spin_unlock(&vn->ctrl.lock);
	return vq;
}

/**
 * vnet_ctrl_reclaim() - take the slots back from a device that was reset
 * @vn: device
 * @vq: what vnet_ctrl_detach() returned, may be NULL
 *
 * Context: process context, after virtio_reset_device(): the device cannot
 * write to the slots any more.
 */
void vnet_ctrl_reclaim(struct vnet *vn, struct virtqueue *vq)
{
	unsigned int i;

	if (vq)
		while (virtqueue_detach_unused_buf(vq))
			;

	spin_lock(&vn->ctrl.lock);
	for (i = 0; i < VNET_CTRL_SLOTS; i++) {
		struct vnet_ctrl_slot *slot = &vn->ctrl.slot[i];

		if (slot->state == SLOT_SENT)
			slot->state = SLOT_LOST;
		else if (slot->state == SLOT_QUARANTINED)
			slot->state = SLOT_FREE;
	}
	spin_unlock(&vn->ctrl.lock);
}

/**
 * vnet_ctrl_init() - allocate the slots
 * @vn: device
 *
 * Context: process context.
 * Return: 0 or -ENOMEM; vnet_ctrl_free() in both cases.
 */
int vnet_ctrl_init(struct vnet *vn)
{
	spin_lock_init(&vn->ctrl.lock);
	vn->ctrl.slot = kcalloc(VNET_CTRL_SLOTS, sizeof(*vn->ctrl.slot), GFP_KERNEL);
	return vn->ctrl.slot ? 0 : -ENOMEM;
}

/**
 * vnet_ctrl_free() - free the slots
 * @vn: device that has been reset
 *
 * Context: process context.
 */
void vnet_ctrl_free(struct vnet *vn)
{
	kfree(vn->ctrl.slot);
}
