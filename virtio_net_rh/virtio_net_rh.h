/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of virtio_net_rh share: the device, its queues, and the
 * functions that cross a file, grouped by the file that owns them.
 *
 * Locks, in the order they are taken:
 *   rtnl             configuration of the interface: open, close, channels,
 *                    rings, MAC address, VLANs, offloads; vnet.state
 *   netif_tx_lock    one per transmit queue: its virtqueue and its counters
 *   vnet_ctrl.lock   the control virtqueue and the state of its slots
 * A receive queue belongs to its NAPI instance; whoever else touches it has
 * disabled that instance first.
 */
#ifndef VIRTIO_NET_RH_H
#define VIRTIO_NET_RH_H

#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <linux/netdevice.h>
#include <linux/scatterlist.h>
#include <linux/skbuff.h>
#include <linux/spinlock.h>
#include <linux/u64_stats_sync.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/workqueue.h>

#include "compat.h"

#include "hdr.h"

/*
 * A pair costs two rings and two interrupts; no guest that we know has more
 * CPUs than this, and a device that claims more (the specification allows
 * 32768) is used with one pair.
 */
#define VNET_MAX_PAIRS		256

/*
 * Room before the device's part of a receive buffer: what the stack wants to
 * push headers when it forwards the packet, so that forwarding never copies.
 */
#define VNET_RX_HEADROOM	(NET_SKB_PAD + NET_IP_ALIGN)

/* Room after it, in which build_skb() puts the skb's shared info. */
#define VNET_RX_TAILROOM	SKB_DATA_ALIGN(sizeof(struct skb_shared_info))

/*
 * A receive buffer takes one slot of a page fragment. The small one holds a
 * full frame of MTU 1500, two to a page; the large one holds a GSO packet of
 * 64 KiB in 18 slots, which is the linear part and the 17 fragments of an skb.
 */
#define VNET_RX_SLOT_SMALL	2048
#define VNET_RX_SLOT_LARGE	PAGE_SIZE

/* Bytes of a slot that the device may write: virtio header and frame. */
#define VNET_RX_CAPACITY(slot)	((slot) - VNET_RX_HEADROOM - VNET_RX_TAILROOM)

/* Largest frame that may come: 64 KiB of IP, Ethernet header, two VLAN tags. */
#define VNET_RX_MAX_FRAME	(65535 + ETH_HLEN + 2 * VLAN_HLEN)

/* Descriptors one skb can need: header, linear part, every fragment. */
#define VNET_TX_SG		(MAX_SKB_FRAGS + 2)

/*
 * Commands that can be with the device at once: whoever holds rtnl, the rx
 * mode work and the config work make three; one is spare for an answer that
 * is late. It also bounds what a dead device costs: four timeouts in all.
 */
#define VNET_CTRL_SLOTS		4

/* Bytes of command data in a slot; makes the slot one page of 4 KiB. */
#define VNET_CTRL_DATA		3840

/* Guest offloads by which packets larger than the MTU may come: GRO_HW. */
#define VNET_GRO_HW_OFFLOADS							\
	(BIT_ULL(VIRTIO_NET_F_GUEST_TSO4) | BIT_ULL(VIRTIO_NET_F_GUEST_TSO6) |	\
	 BIT_ULL(VIRTIO_NET_F_GUEST_ECN) | BIT_ULL(VIRTIO_NET_F_GUEST_UFO))

/* All that VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET may name. */
#define VNET_GUEST_OFFLOADS	(VNET_GRO_HW_OFFLOADS | BIT_ULL(VIRTIO_NET_F_GUEST_CSUM))

/**
 * enum vnet_state - what the driver may do with the device
 * @VNET_GONE: no virtqueues: before probe is done, suspended, or lost
 * @VNET_READY: DRIVER_OK, commands work, the interface is down
 * @VNET_RUNNING: the interface is up, NAPI is enabled
 */
enum vnet_state {
	VNET_GONE,
	VNET_READY,
	VNET_RUNNING,
};

/* Counters of a receive queue; ethtool.c has their names in this order. */
enum vnet_rx_stat {
	VNET_RX_PACKETS,
	VNET_RX_BYTES,
	VNET_RX_DROPS,		/* every packet that the ones below explain */
	VNET_RX_KICKS,
	VNET_RX_ALLOC_FAIL,	/* no memory for a buffer or an skb */
	VNET_RX_SHORT,		/* shorter than its headers */
	VNET_RX_LONG,		/* longer than the buffer or than a frame can be */
	VNET_RX_BAD_NUMBUF,	/* num_buffers 0 or more than the ring has */
	VNET_RX_MISSING,	/* fewer buffers came than num_buffers says */
	VNET_RX_BAD_GSO_TYPE,	/* unknown or not negotiated */
	VNET_RX_BAD_GSO_SIZE,	/* no size that a segment can have */
	VNET_RX_BAD_CSUM,	/* checksum outside the packet or not negotiated */
	VNET_RX_BAD_PROTO,	/* packet is not what its GSO type says */
	VNET_RX_NSTATS,
};

/* Counters of a transmit queue; ethtool.c has their names in this order. */
enum vnet_tx_stat {
	VNET_TX_PACKETS,
	VNET_TX_BYTES,
	VNET_TX_KICKS,
	VNET_TX_TIMEOUTS,
	VNET_TX_STOP,		/* queue stopped for want of descriptors */
	VNET_TX_WAKE,
	VNET_TX_DROPS,		/* could not be given to the device, or lost in a reset */
	VNET_TX_LINEARIZED,	/* too many pieces for the ring, copied into one */
	VNET_TX_NSTATS,
};

struct vnet;

/**
 * struct vnet_rxq - a receive queue
 * @vq: its virtqueue; NULL while the device has none
 * @vn: the device
 * @index: number of the pair
 * @ring: descriptors in the virtqueue
 * @name: of the virtqueue and, behind the device's, of its interrupt
 * @napi: polls @vq; owner of everything below
 * @frag: page that new buffers are cut from
 * @avg_len: moving average of packet lengths, in bytes; decides the slot size
 * @slot: bytes of the buffers that are being posted
 * @starved: the last refill got no memory and the ring may run empty
 * @syncp: protects @stat for readers on 32 bit
 * @stat: counters, enum vnet_rx_stat
 */
struct vnet_rxq {
	/* Read by interrupts and polls, written at setup. */
	struct virtqueue *vq;
	struct vnet *vn;
	unsigned int index;
	unsigned int ring;
	char name[20];

	struct napi_struct napi ____cacheline_aligned_in_smp;

	/* Dirtied by every poll. */
	struct page_frag frag ____cacheline_aligned_in_smp;
	unsigned int avg_len;
	unsigned int slot;
	bool starved;
	struct u64_stats_sync syncp;
	u64_stats_t stat[VNET_RX_NSTATS];
} ____cacheline_aligned_in_smp;

/**
 * struct vnet_txq - a transmit queue
 * @vq: its virtqueue; NULL while the device has none
 * @nq: the stack's side; its lock protects everything below
 * @vn: the device
 * @index: number of the pair
 * @ring: descriptors in the virtqueue
 * @room: free descriptors without which the queue is stopped
 * @pieces: that a packet may have to fit the virtqueue
 * @name: of the virtqueue and, behind the device's, of its interrupt
 * @napi: reclaims sent packets
 * @syncp: protects @stat for readers on 32 bit
 * @stat: counters, enum vnet_tx_stat
 * @sg: scratch for the packet that is being sent
 */
struct vnet_txq {
	/* Read by interrupts and transmits, written at setup. */
	struct virtqueue *vq;
	struct netdev_queue *nq;
	struct vnet *vn;
	unsigned int index;
	unsigned int ring;
	unsigned int room;
	unsigned int pieces;
	char name[20];

	struct napi_struct napi ____cacheline_aligned_in_smp;

	/* Dirtied by every transmit and reclaim. */
	struct u64_stats_sync syncp ____cacheline_aligned_in_smp;
	u64_stats_t stat[VNET_TX_NSTATS];
	struct scatterlist sg[VNET_TX_SG];
} ____cacheline_aligned_in_smp;

/* What interrupts and other CPUs read shares no line with what polls write. */
static_assert(offsetofend(struct vnet_rxq, name) <= 64);
static_assert(offsetofend(struct vnet_txq, name) <= 64);

/**
 * struct vnet_ctrl_slot - one command and its answer, in memory of its own
 * @state: who owns it, enum vnet_slot_state in ctrl.c; under vnet_ctrl.lock
 * @hdr: class and command, read by the device
 * @ack: status, written by the device
 * @data: arguments, read by the device
 *
 * The parts that the device maps do not share cache lines, for DMA.
 */
struct vnet_ctrl_slot {
	int state;
	struct virtio_net_ctrl_hdr hdr ____cacheline_aligned;
	virtio_net_ctrl_ack ack ____cacheline_aligned;
	u8 data[VNET_CTRL_DATA] ____cacheline_aligned;
};

/**
 * struct vnet_ctrl - the control virtqueue
 * @lock: protects @vq and the state of the slots; never held across a
 *	notification or a wait
 * @vq: NULL if the device has none or is gone
 * @slot: VNET_CTRL_SLOTS commands; freed only when the device has been reset
 * @commands: sent so far
 * @failed: answered with an error, or the virtqueue broke
 * @timeouts: not answered in time; a replay that took too long is one
 * @late: answered after the timeout
 * @broken_told: the user has been told that @vq is broken
 */
struct vnet_ctrl {
	spinlock_t lock; /* protects vq and the slots' states */
	struct virtqueue *vq;
	struct vnet_ctrl_slot *slot;
	atomic_t commands;
	atomic_t failed;
	atomic_t timeouts;
	atomic_t late;
	bool broken_told;
};

/**
 * struct vnet - a network device
 * @vdev: on the virtio bus
 * @dev: on the network
 * @rxq: receive queues, @max_pairs of them
 * @txq: transmit queues, @max_pairs of them
 * @hdr_len: bytes of the header before each packet, 10 or 12
 * @hdr_allow: what a received header may ask for, VNET_ALLOW_*
 * @mergeable: a packet may take several buffers (MRG_RXBUF)
 * @any_layout: header and packet may share a descriptor
 * @napi_tx: interrupts tell of sent packets (module parameter)
 * @max_pairs: queue pairs that the device has
 * @pairs: queue pairs in use; under rtnl
 * @state: under rtnl
 * @rx_ring: descriptors the user asked for with ethtool -G, 0 for the default
 * @tx_ring: likewise
 * @refill_work: schedules the NAPI of starved receive queues
 * @config_work: link, speed, announcement
 * @config_last: jiffies of the last run of @config_work
 * @rx_mode_work: sends the receive filters
 * @ctrl: control virtqueue
 * @speed: Mbit/s or SPEED_UNKNOWN
 * @duplex: DUPLEX_*
 * @broken: a virtqueue broke
 * @broken_told: and the user has been told
 * @reset_told: the user has been told that the device asks for a reset
 * @offloads: guest offloads that are on, bits of VIRTIO_NET_F_GUEST_*
 * @vlans: VLAN ids in the device's filter; under rtnl
 */
struct vnet {
	/* Read by every packet. */
	struct virtio_device *vdev;
	struct net_device *dev;
	struct vnet_rxq *rxq;
	struct vnet_txq *txq;
	unsigned int hdr_len;
	unsigned int hdr_allow;
	bool mergeable;
	bool any_layout;
	bool napi_tx;

	/* Configuration. */
	unsigned int max_pairs;
	unsigned int pairs;
	enum vnet_state state;
	unsigned int rx_ring;
	unsigned int tx_ring;
	struct delayed_work refill_work;
	struct delayed_work config_work;
	unsigned long config_last;
	struct work_struct rx_mode_work;
	struct vnet_ctrl ctrl;
	u32 speed;
	u8 duplex;
	bool broken;
	bool broken_told;
	bool reset_told;
	u64 offloads;
	DECLARE_BITMAP(vlans, VLAN_N_VID);
};

static inline void vnet_rx_count(struct vnet_rxq *rxq, enum vnet_rx_stat which, u64 n)
{
	unsigned long flags = u64_stats_update_begin_irqsave(&rxq->syncp);

	u64_stats_add(&rxq->stat[which], n);
	u64_stats_update_end_irqrestore(&rxq->syncp, flags);
}

static inline void vnet_tx_count(struct vnet_txq *txq, enum vnet_tx_stat which, u64 n)
{
	unsigned long flags = u64_stats_update_begin_irqsave(&txq->syncp);

	u64_stats_add(&txq->stat[which], n);
	u64_stats_update_end_irqrestore(&txq->syncp, flags);
}

/*
 * Starts a poll that an interrupt asks for. More interrupts are of no use
 * until it is done.
 */
static inline void vnet_napi_schedule(struct napi_struct *napi, struct virtqueue *vq)
{
	if (napi_schedule_prep(napi)) {
		virtqueue_disable_cb(vq);
		__napi_schedule(napi);
	}
}

/* Starts a poll from process context, where no softirq would run by itself. */
static inline void vnet_napi_kick(struct napi_struct *napi, struct virtqueue *vq)
{
	local_bh_disable();
	vnet_napi_schedule(napi, vq);
	local_bh_enable();
}

/* main.c */
unsigned int vnet_cvq_timeout_ms(void);
bool vnet_param_csum(void);
bool vnet_param_gso(void);

/* link.c */
void vnet_read_mac(struct vnet *vn);
void vnet_read_speed(struct vnet *vn);
void vnet_report_broken(struct vnet *vn);
void vnet_config_work(struct work_struct *work);
void vnet_rx_mode_work(struct work_struct *work);

/* netdev.c */
void vnet_netdev_init(struct vnet *vn);
int vnet_alloc_queues(struct vnet *vn);
void vnet_free_queues(struct vnet *vn);
void vnet_napi_add(struct vnet *vn, int weight);
void vnet_napi_del(struct vnet *vn);
int vnet_register(struct vnet *vn);
void vnet_start(struct vnet *vn);
void vnet_stop(struct vnet *vn);
void vnet_spread_queues(struct vnet *vn);
int vnet_set_pairs(struct vnet *vn, unsigned int pairs);
int vnet_set_rings(struct vnet *vn, unsigned int rx, unsigned int tx);
void vnet_queue_sizes(struct vnet *vn);

/* rx.c */
extern const struct attribute_group vnet_rx_queue_group;
void vnet_rx_done(struct virtqueue *vq);
int vnet_rx_poll(struct napi_struct *napi, int budget);
bool vnet_rx_fill(struct vnet_rxq *rxq, gfp_t gfp);
void vnet_rx_refill_work(struct work_struct *work);
void vnet_rx_free_buf(struct virtqueue *vq, void *buf);
void vnet_rx_release(struct vnet_rxq *rxq);
unsigned int vnet_rx_max_mtu(struct virtio_device *vdev);

/* tx.c */
netdev_tx_t vnet_xmit(struct sk_buff *skb, struct net_device *dev);
void vnet_tx_done(struct virtqueue *vq);
int vnet_tx_poll(struct napi_struct *napi, int budget);
void vnet_tx_try_clean(struct vnet_txq *txq, int budget);
void vnet_tx_restart(struct vnet_txq *txq);
void vnet_tx_drain(struct vnet_txq *txq);
void vnet_tx_free_buf(struct virtqueue *vq, void *buf);
void vnet_tx_timeout(struct net_device *dev, unsigned int queue);

/* ctrl.c */
int vnet_ctrl_init(struct vnet *vn);
void vnet_ctrl_free(struct vnet *vn);
void vnet_ctrl_attach(struct vnet *vn, struct virtqueue *vq);
struct virtqueue *vnet_ctrl_detach(struct vnet *vn);
void vnet_ctrl_reclaim(struct vnet *vn, struct virtqueue *vq);
int vnet_ctrl_set_mac(struct vnet *vn, const u8 *addr);
int vnet_ctrl_set_pairs(struct vnet *vn, unsigned int pairs);
int vnet_ctrl_vlan(struct vnet *vn, u16 vid, bool add);
int vnet_ctrl_set_offloads(struct vnet *vn, u64 offloads);
int vnet_ctrl_announce_ack(struct vnet *vn);
int vnet_ctrl_rx_mode(struct vnet *vn);
void vnet_ctrl_replay(struct vnet *vn);
void vnet_ctrl_reap_late(struct vnet *vn);

/* ethtool.c */
extern const struct ethtool_ops vnet_ethtool_ops;
void vnet_stats_init(struct vnet *vn);
void vnet_read_rx_stats(const struct vnet_rxq *rxq, u64 *val);
void vnet_read_tx_stats(const struct vnet_txq *txq, u64 *val);

#endif
