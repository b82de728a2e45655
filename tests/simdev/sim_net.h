/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The simulated network device. The first part is for KUnit suites: packets with any
 * header to the driver, the driver's packets and settings back. The second is what the
 * files of the model share, grouped by the file that owns it.
 *
 * Locks: all of a device's state is under its sim_device's mutex. What crosses from one
 * device to another, who is whose peer and the packets on their way (inbox), is under
 * the one spinlock of net.c, so that no thread ever needs two mutexes.
 */
#ifndef VRH_SIM_NET_H
#define VRH_SIM_NET_H

#include <linux/bitmap.h>
#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <linux/list.h>
#include <linux/types.h>
#include <linux/virtio_net.h>

#include "simdev.h"

/* Unknown to the headers of 6.1. */
#ifndef VIRTIO_NET_F_DEVICE_STATS
#define VIRTIO_NET_F_DEVICE_STATS	50
#define VIRTIO_NET_CTRL_STATS		8
#define VIRTIO_NET_CTRL_STATS_QUERY	0
#define VIRTIO_NET_CTRL_STATS_GET	1
#endif
#ifndef VIRTIO_NET_F_VQ_NOTF_COAL
#define VIRTIO_NET_F_VQ_NOTF_COAL	52
#define VIRTIO_NET_CTRL_NOTF_COAL_VQ_SET 2
#define VIRTIO_NET_CTRL_NOTF_COAL_VQ_GET 3
#endif
#ifndef VIRTIO_NET_F_GUEST_USO4
#define VIRTIO_NET_F_GUEST_USO4		54
#define VIRTIO_NET_F_GUEST_USO6		55
#define VIRTIO_NET_F_HOST_USO		56
#endif
#ifndef VIRTIO_NET_F_GUEST_HDRLEN
#define VIRTIO_NET_F_GUEST_HDRLEN	59
#endif
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4	5
#endif

/* What the device says in its config space; the least that VIRTIO 1.3, 5.1.4.1 allows. */
#define SIM_NET_KEY_MAX		40
#define SIM_NET_TABLE_MAX	128

/* Addresses that a filter table holds; more are taken for "all", as 5.1.6.5.2 lets a device. */
#define SIM_NET_MACS		64

/* 5.1.6.3: the largest frame, Ethernet and IPv6 headers and 65535 bytes; two VLAN tags. */
#define SIM_NET_FRAME_MAX	(ETH_HLEN + 2 * VLAN_HLEN + 40 + 65535)

/* Classes of commands, VIRTIO_NET_CTRL_*: RX is 0, STATS is 8. */
#define SIM_NET_CLASSES		9

/**
 * struct sim_net_hdr - the header before a packet (VIRTIO 1.3, 5.1.6) in full
 * @hdr: without VERSION_1 and MRG_RXBUF it has no num_buffers and the CPU's byte order
 * @hash_value: only with HASH_REPORT, as all that follows
 * @hash_report: VIRTIO_NET_HASH_REPORT_*
 * @padding: 0
 *
 * The uapi's struct virtio_net_hdr_v1_hash is the same, but its members have changed.
 */
struct sim_net_hdr {
	struct virtio_net_hdr_v1 hdr;
	__le32 hash_value;
	__le16 hash_report;
	__le16 padding;
};

static_assert(sizeof(struct sim_net_hdr) == 20);

/* Why a packet was dropped. */
enum sim_net_drop {
	SIM_NET_DROP_DOWN,	/* no driver, or the receive queue is not there */
	SIM_NET_DROP_LINK,	/* the link is down */
	SIM_NET_DROP_FILTER,	/* the driver does not want it */
	SIM_NET_DROP_SIZE,	/* shorter than an Ethernet header, longer than the MTU */
	SIM_NET_DROP_NOFIT,	/* does not fit the receive buffer, or all of the ring */
	SIM_NET_DROP_OVERRUN,	/* no receive buffers, or too few */
	SIM_NET_DROP_BACKLOG,	/* too many packets wait for the receiver already */
	SIM_NET_DROP_SEGMENT,	/* the receiver wants it cut, and that cannot be done */
	SIM_NET_DROP_MALFORMED,	/* transmitted against the rules */
	SIM_NET_DROP_MEMORY,
	SIM_NET_DROPS,
};

/**
 * struct sim_net_counters - what a network device has done since it was made
 * @rx_packets: given to the driver
 * @rx_bytes: of those, without virtio headers
 * @tx_packets: taken from the driver, without those that were dropped
 * @tx_bytes: of those, without virtio headers
 * @dropped: packets by cause
 * @unrecorded: packets that found the log full
 * @commands: by class
 * @refused: commands answered with VIRTIO_NET_ERR
 * @pairs: queue pairs that the driver uses now
 * @offloads: guest offloads that are on now, bits of VIRTIO_NET_F_GUEST_*
 */
struct sim_net_counters {
	u64 rx_packets;
	u64 rx_bytes;
	u64 tx_packets;
	u64 tx_bytes;
	u64 dropped[SIM_NET_DROPS];
	u64 unrecorded;
	u64 commands[SIM_NET_CLASSES];
	u64 refused;
	unsigned int pairs;
	u64 offloads;
};

/**
 * struct sim_net_filters - what the driver wants to receive
 * @mac: its address, all zero if the device knows none
 * @promisc: everything; so it is after a reset
 * @allmulti: all multicast
 * @alluni: all unicast
 * @nomulti: no multicast
 * @nouni: no unicast
 * @nobcast: no broadcast
 * @nr_uni: addresses in the unicast table; may be more than it holds
 * @nr_multi: addresses in the multicast table; may be more than it holds
 * @uni: unicast addresses
 * @multi: multicast addresses
 * @vlans: VLAN ids, if VIRTIO_NET_F_CTRL_VLAN is negotiated
 */
struct sim_net_filters {
	u8 mac[ETH_ALEN];
	bool promisc;
	bool allmulti;
	bool alluni;
	bool nomulti;
	bool nouni;
	bool nobcast;
	unsigned int nr_uni;
	unsigned int nr_multi;
	u8 uni[SIM_NET_MACS][ETH_ALEN];
	u8 multi[SIM_NET_MACS][ETH_ALEN];
	DECLARE_BITMAP(vlans, VLAN_N_VID);
};

/**
 * struct sim_net_rss - what the driver wants to be done with hashes
 * @steering: packets go where the table says (RSS_CONFIG was the last of its class)
 * @types: enabled, VIRTIO_NET_RSS_HASH_TYPE_*
 * @mask: entries of @table less one
 * @unclassified: pair for packets without a hash
 * @table: pairs
 * @max_tx: transmit queues that the driver may use
 * @key_len: bytes of @key that the driver gave
 * @key: followed by zeroes
 */
struct sim_net_rss {
	bool steering;
	u32 types;
	u16 mask;
	u16 unclassified;
	u16 table[SIM_NET_TABLE_MAX];
	u16 max_tx;
	u8 key_len;
	u8 key[SIM_NET_KEY_MAX];
};

/**
 * struct sim_net_coal - coalescing of notifications
 * @max_packets: packets before a notification
 * @max_usecs: microseconds before a notification
 *
 * The device stores these and notifies without delay all the same, as it may.
 */
struct sim_net_coal {
	u32 max_packets;
	u32 max_usecs;
};

/**
 * struct sim_net_sent - a packet that the driver has transmitted
 * @hdr: as the driver wrote it; what its features do not have is zero
 * @queue: transmit virtqueue
 * @len: bytes of the packet
 */
struct sim_net_sent {
	struct sim_net_hdr hdr;
	u16 queue;
	u32 len;
};

/**
 * enum sim_net_op - operations of its own
 *
 * They return 0, or -EINVAL for values without a meaning, -EOPNOTSUPP without the
 * feature they are about, -ENODEV for packets without a driver, -ENOMEM. A packet that is
 * dropped is counted, not an error.
 *
 * @SIM_NET_INJECT: "inject": the driver receives the packet @bytes (no virtio header).
 *	@queue is a receive virtqueue, or SIM_ALL_QUEUES to steer it. A @value that is not
 *	0 is the header, unchecked: flags in bits 0 to 7, gso_type from 8, gso_size from
 *	16, csum_start from 32, csum_offset from 48; then nothing is filtered either
 * @SIM_NET_FLOOD: "flood": @value UDP packets of @at bytes (0 is 60), each of another flow,
 *	to @queue as above
 * @SIM_NET_LINK: "link": the link is down (@value 0) or up (1)
 * @SIM_NET_ANNOUNCE: "announce": the driver shall announce itself
 * @SIM_NET_MODE: "mode": what is transmitted goes nowhere (@value 0) or comes back (1) on
 *	the receive queue of its pair, unless there is a cable
 * @SIM_NET_MTU: "mtu": the MTU in config space is @value, 0 to 65535
 * @SIM_NET_OPS: their end
 */
enum sim_net_op {
	SIM_NET_INJECT = SIM_MODEL,
	SIM_NET_FLOOD,
	SIM_NET_LINK,
	SIM_NET_ANNOUNCE,
	SIM_NET_MODE,
	SIM_NET_MTU,
	SIM_NET_OPS,
};

int sim_net_inject(struct sim_device *sim, u16 queue, const struct sim_net_hdr *hdr,
		   const void *data, size_t len);
int sim_net_record(struct sim_device *sim, bool on);
int sim_net_take(struct sim_device *sim, struct sim_net_sent *sent, void *data, size_t size);
int sim_net_join(struct sim_device *a, struct sim_device *b);
void sim_net_part(struct sim_device *sim);
int sim_net_link(struct sim_device *sim, bool up);
int sim_net_announce(struct sim_device *sim);
int sim_net_counters(struct sim_device *sim, struct sim_net_counters *counters);
int sim_net_filters(struct sim_device *sim, struct sim_net_filters *filters);
int sim_net_rss(struct sim_device *sim, struct sim_net_rss *rss);
int sim_net_coal(struct sim_device *sim, u16 queue, struct sim_net_coal *coal);

/* What the files of the model share */

/* What the offloads of a guest can be; 5.1.6.5, Setting Offloads State. */
#define SIM_NET_OFFLOADS						\
	(BIT_ULL(VIRTIO_NET_F_GUEST_CSUM) | BIT_ULL(VIRTIO_NET_F_GUEST_TSO4) |	\
	 BIT_ULL(VIRTIO_NET_F_GUEST_TSO6) | BIT_ULL(VIRTIO_NET_F_GUEST_ECN) |	\
	 BIT_ULL(VIRTIO_NET_F_GUEST_UFO) | BIT_ULL(VIRTIO_NET_F_GUEST_USO4) |	\
	 BIT_ULL(VIRTIO_NET_F_GUEST_USO6))

/* All that there are: bits 0 to 8. */
#define SIM_NET_HASH_TYPES	0x1ff

/*
 * Packets, and bytes of them, that wait for receive buffers, and as many on their way
 * from a peer: two rings of 256, and 64 GSO packets.
 */
#define SIM_NET_BACKLOG		512
#define SIM_NET_BACKLOG_BYTES	(4 * 1024 * 1024)

/* Packets that a log holds. */
#define SIM_NET_LOG		64

/* Segments that a packet may be cut into: 64 KiB with an MSS of 32. */
#define SIM_NET_SEGMENTS_MAX	2048

/* Flows whose transmit queue is remembered, by hash. */
#define SIM_NET_FLOWS_BITS	8

/**
 * enum sim_net_kind - how much a packet for the driver is looked after
 * @SIM_NET_WIRE: filtered, its offloads finished, its header right
 * @SIM_NET_LOOP: the same without the filter: the driver has sent it itself
 * @SIM_NET_SHAPED: the header's flags, gso and csum fields are given, the rest is right
 * @SIM_NET_VERBATIM: the header is given
 */
enum sim_net_kind {
	SIM_NET_WIRE,
	SIM_NET_LOOP,
	SIM_NET_SHAPED,
	SIM_NET_VERBATIM,
};

/**
 * struct sim_net_packet - a packet in the device
 * @node: in an inbox, a backlog, a log, or nowhere
 * @kind: see there
 * @queue: receive virtqueue, or SIM_ALL_QUEUES; in the log, the transmit virtqueue
 * @flags: VIRTIO_NET_HDR_F_*
 * @gso_type: VIRTIO_NET_HDR_GSO_*
 * @hdr_len: as transmitted
 * @gso_size: bytes of a segment's payload
 * @csum_start: bytes from the Ethernet header
 * @csum_offset: bytes from @csum_start
 * @wire: header on the wire: as transmitted, or as given for SIM_NET_VERBATIM
 * @len: bytes of @data
 * @data: Ethernet header and what follows
 *
 * Numbers are the CPU's, but for @wire.
 */
struct sim_net_packet {
	struct list_head node;
	enum sim_net_kind kind;
	u16 queue;
	u8 flags;
	u8 gso_type;
	u16 hdr_len;
	u16 gso_size;
	u16 csum_start;
	u16 csum_offset;
	struct sim_net_hdr wire;
	u32 len;
	u8 data[];
};

/**
 * struct sim_net_flow - what is in a packet; offsets from its Ethernet header
 * @tagged: there is a VLAN tag
 * @vid: of the outer tag
 * @v6: IPv6, else IPv4
 * @ext: IPv6 with extension headers
 * @proto: IPPROTO_TCP or IPPROTO_UDP if @l4 is not 0, else unknown
 * @tags: bytes of VLAN tags
 * @l3: IP header, 0 if there is none that is right
 * @l4: TCP or UDP header of a packet that is no fragment, or 0
 * @payload: behind that
 * @end: of the IP packet; a short frame has padding behind it
 * @src: source address; the destination address follows it
 * @hash_src: address that the extended hash types take for the source
 * @hash_dst: and for the destination
 */
struct sim_net_flow {
	bool tagged;
	u16 vid;
	bool v6;
	bool ext;
	u8 proto;
	u32 tags;
	u32 l3;
	u32 l4;
	u32 payload;
	u32 end;
	u32 src;
	u32 hash_src;
	u32 hash_dst;
};

/* State of a packet's checksum. */
enum sim_net_csum {
	SIM_NET_CSUM_NONE,	/* not TCP or UDP, or UDP without */
	SIM_NET_CSUM_GOOD,
	SIM_NET_CSUM_BAD,
};

/* Statistics of a receive queue, in the order of the replies. */
enum sim_net_rx_stat {
	SIM_NET_RX_NOTIFICATIONS,
	SIM_NET_RX_PACKETS,
	SIM_NET_RX_BYTES,
	SIM_NET_RX_INTERRUPTS,	/* the core does not count them by queue: 0 */
	SIM_NET_RX_DROPS,
	SIM_NET_RX_OVERRUNS,
	SIM_NET_RX_CSUM_VALID,
	SIM_NET_RX_NEEDS_CSUM,
	SIM_NET_RX_CSUM_NONE,
	SIM_NET_RX_CSUM_BAD,
	SIM_NET_RX_GSO_PACKETS,
	SIM_NET_RX_GSO_BYTES,
	SIM_NET_RX_COALESCED,	/* the device passes on what was sent: these are 0 */
	SIM_NET_RX_COALESCED_BYTES,
	SIM_NET_RX_LIMITED,	/* it has no limit of speed: these are 0 */
	SIM_NET_RX_LIMITED_BYTES,
	SIM_NET_RX_STATS,
};

/* Statistics of a transmit queue, likewise. */
enum sim_net_tx_stat {
	SIM_NET_TX_NOTIFICATIONS,
	SIM_NET_TX_PACKETS,
	SIM_NET_TX_BYTES,
	SIM_NET_TX_INTERRUPTS,	/* 0, as above */
	SIM_NET_TX_DROPS,
	SIM_NET_TX_MALFORMED,
	SIM_NET_TX_CSUM_NONE,
	SIM_NET_TX_NEEDS_CSUM,
	SIM_NET_TX_GSO_PACKETS,
	SIM_NET_TX_GSO_BYTES,
	SIM_NET_TX_SEGMENTS,	/* the receiver cuts, not the sender: these are 0 */
	SIM_NET_TX_SEGMENTS_BYTES,
	SIM_NET_TX_NOSEG,
	SIM_NET_TX_NOSEG_BYTES,
	SIM_NET_TX_LIMITED,	/* 0, as above */
	SIM_NET_TX_LIMITED_BYTES,
	SIM_NET_TX_STATS,
};

#define SIM_NET_STATS		16
static_assert(SIM_NET_RX_STATS == SIM_NET_STATS && SIM_NET_TX_STATS == SIM_NET_STATS);

/**
 * struct sim_net_queue - a receive or transmit queue
 * @chains: receive: buffers that were popped and are not used yet
 * @room: bytes in @chains
 * @descs: descriptors in @chains
 * @starved: the last pass in which it had no buffers left
 * @coal: coalescing
 * @stat: enum sim_net_rx_stat or sim_net_tx_stat
 */
struct sim_net_queue {
	struct list_head chains;
	u64 room;
	u64 descs;
	u64 starved;
	struct sim_net_coal coal;
	u64 stat[SIM_NET_STATS];
};

/**
 * struct sim_net_dev - a network device
 * @sim: it
 * @max_pairs: queue pairs that it has; the driver sees one without MQ and RSS
 * @pairs: that the driver uses: for transmit, and for receive unless @rss steers
 * @pairs_twisted: it cannot know, as the script changed the answer to its last command
 * @queue: two times @max_pairs
 * @live: from DRIVER_OK to the reset
 * @link: is up
 * @loopback: what is transmitted comes back
 * @mtu: the largest that config space has shown; a driver may know no newer one
 * @permanent: MAC address after a reset, all zero if MAC is not offered
 * @features: negotiated
 * @offloads: guest offloads that are on, bits of VIRTIO_NET_F_GUEST_*
 * @filters: of receive
 * @rss: hashes and steering by them
 * @flows: one more than the pair that a flow was last sent on, 0 if it is unknown
 * @coal_rx: coalescing that a receive queue starts with
 * @coal_tx: and a transmit queue
 * @pending: packets that wait for receive buffers
 * @nr_pending: entries of @pending
 * @pending_bytes: of those
 * @pass: number of the pass over @pending
 * @counters: what it did; all but @counters.pairs and @counters.offloads
 * @ctrl_ok: commands that were not refused
 * @recording: transmitted packets are copied to @log
 * @log: oldest first
 * @nr_log: entries of @log
 * @drawn: bytes of the action that was drawn last
 * @peer: where transmitted packets go; under the lock of net.c, as what follows
 * @inbox: packets from @peer
 * @nr_inbox: entries of @inbox
 * @inbox_bytes: of those
 * @lost: packets from @peer that found @inbox full, not counted yet
 */
struct sim_net_dev {
	struct sim_device *sim;
	unsigned int max_pairs;
	unsigned int pairs;
	bool pairs_twisted;
	struct sim_net_queue *queue;
	bool live;
	bool link;
	bool loopback;
	u16 mtu;
	u8 permanent[ETH_ALEN];
	u64 features;
	u64 offloads;
	struct sim_net_filters filters;
	struct sim_net_rss rss;
	u16 flows[1 << SIM_NET_FLOWS_BITS];
	struct sim_net_coal coal_rx;
	struct sim_net_coal coal_tx;
	struct list_head pending;
	unsigned int nr_pending;
	size_t pending_bytes;
	u64 pass;
	struct sim_net_counters counters;
	u64 ctrl_ok;
	bool recording;
	struct list_head log;
	unsigned int nr_log;
	u8 drawn[SIM_BYTES_MAX];

	struct sim_net_dev *peer;
	struct list_head inbox;
	unsigned int nr_inbox;
	size_t inbox_bytes;
	u64 lost;
};

/**
 * struct sim_net_command - a command of the control queue
 * @net: device
 * @chain: what the driver gave
 * @class: VIRTIO_NET_CTRL_*
 * @cmd: VIRTIO_NET_CTRL_*_*
 * @len: bytes of arguments
 * @result: bytes written behind the ack
 */
struct sim_net_command {
	struct sim_net_dev *net;
	struct sim_chain *chain;
	u8 class;
	u8 cmd;
	u32 len;
	u32 result;
};

/* net.c */
struct sim_net_packet *sim_net_alloc(size_t len);
void sim_net_free(struct list_head *packets);
int sim_net_drop(struct sim_net_dev *net, enum sim_net_drop why);
unsigned int sim_net_pairs(const struct sim_net_dev *net);
unsigned int sim_net_hdr_len(const struct sim_net_dev *net);
bool sim_net_to_peer(struct sim_net_dev *net, struct sim_net_packet *packet);
void sim_net_fetch(struct sim_net_dev *net);
void sim_net_set_status(struct sim_net_dev *net, u16 clear, u16 set, bool interrupt);
void sim_net_set_mtu(struct sim_net_dev *net, u16 mtu);

/* net_ops.c */
int sim_net_act(struct sim_device *sim, const struct sim_action *action);
unsigned int sim_net_nudge(struct sim_device *sim, bool idle);

/* net_draw.c */
void sim_net_draw(struct sim_device *sim, struct rnd_state *rnd, struct sim_action *action);

/* net_packet.c */
void sim_net_parse(const u8 *data, u32 len, struct sim_net_flow *flow);
enum sim_net_csum sim_net_verify(const u8 *data, const struct sim_net_flow *flow);
bool sim_net_pseudo_ok(const u8 *data, const struct sim_net_flow *flow);
bool sim_net_complete(struct sim_net_packet *packet);
int sim_net_cut(const struct sim_net_packet *packet, const struct sim_net_flow *flow,
		struct list_head *segments);
u16 sim_net_hash(const struct sim_net_rss *rss, const u8 *data,
		 const struct sim_net_flow *flow, u32 *hash);
unsigned int sim_net_flow_slot(const u8 *data, const struct sim_net_flow *flow);
void sim_net_udp_packet(struct sim_net_packet *packet, const u8 *mac, u32 n);

/* net_rx.c */
int sim_net_receive(struct sim_net_dev *net, struct sim_net_packet *packet);
void sim_net_pump(struct sim_net_dev *net);
void sim_net_pump_last(struct sim_net_dev *net, struct sim_net_packet *packet);
void sim_net_rx_reset(struct sim_net_queue *nq);

/* net_tx.c */
void sim_net_transmit(struct sim_net_dev *net, struct sim_queue *queue);

/* net_ctrl.c */
void sim_net_control(struct sim_net_dev *net, struct sim_queue *queue);
__printf(2, 3) u8 sim_net_refuse(const struct sim_net_command *cmd, const char *format, ...);
bool sim_net_args(const struct sim_net_command *cmd, size_t at, void *to, size_t len);
void sim_net_reply(struct sim_net_command *cmd, const void *from, size_t len);

/* net_stats.c */
u8 sim_net_stats(struct sim_net_command *cmd);

#endif
