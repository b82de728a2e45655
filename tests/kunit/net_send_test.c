// SPDX-License-Identifier: GPL-2.0-only
/*
 * What virtio_net_rh writes before a packet that it sends, when it tells the device of it,
 * and what it does with a packet that cannot be sent.
 */
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <net/checksum.h>
#include <net/ip.h>
#include <net/ip6_checksum.h>

#include "net_kunit.h"

/* A TCP packet whose checksum, and perhaps segmentation, is left to the device. */
struct shape {
	const char *what;
	u16 payload;
	u16 mss;		/* 0: one segment */
	bool v6;
	bool tag;
	bool ecn;
};

static const struct shape shapes[] = {
	{ "a checksum in IPv4", .payload = 700 },
	{ "a checksum in IPv6", .payload = 1, .v6 = true },
	{ "a checksum behind a tag", .payload = 20, .tag = true },
	{ "segments in IPv4", .payload = 4000, .mss = 1400 },
	{ "segments in IPv6", .payload = 1001, .mss = 500, .v6 = true },
	{ "segments behind a tag", .payload = 2000, .mss = 1400, .tag = true },
	{ "segments in IPv4 with ECN", .payload = 3000, .mss = 1400, .ecn = true },
	{ "segments in IPv6 with ECN", .payload = 3000, .mss = 8, .v6 = true, .ecn = true },
	{ "as much as there can be", .payload = 65000, .mss = 1448 },
};

static size_t network_of(const struct shape *shape)
{
	return ETH_HLEN + (shape->tag ? VLAN_HLEN : 0);
}

static size_t transport_of(const struct shape *shape)
{
	return network_of(shape) + (shape->v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
}

static size_t length_of(const struct shape *shape)
{
	return transport_of(shape) + sizeof(struct tcphdr) + shape->payload;
}

static void put_ipv4(struct iphdr *ip, struct tcphdr *tcp, unsigned int segment)
{
	ip->version = 4;
	ip->ihl = sizeof(*ip) / 4;
	ip->tot_len = htons(sizeof(*ip) + segment);
	ip->frag_off = htons(IP_DF);
	ip->ttl = 64;
	ip->protocol = IPPROTO_TCP;
	ip->saddr = htonl(0x0a000001);
	ip->daddr = htonl(0x0a000002);
	ip_send_check(ip);
	tcp->check = ~csum_tcpudp_magic(ip->saddr, ip->daddr, segment, IPPROTO_TCP, 0);
}

static void put_ipv6(struct ipv6hdr *ip, struct tcphdr *tcp, unsigned int segment)
{
	ip->version = 6;
	ip->payload_len = htons(segment);
	ip->nexthdr = IPPROTO_TCP;
	ip->hop_limit = 64;
	ip->saddr.s6_addr[0] = 0x20;
	ip->daddr.s6_addr[0] = 0x20;
	ip->daddr.s6_addr[15] = 1;
	tcp->check = ~csum_ipv6_magic(&ip->saddr, &ip->daddr, segment, IPPROTO_TCP, 0);
}

static __be16 *be16_at(size_t at)
{
	return (__be16 *)(frame + at);
}

/* The packet in @frame, with the sum of its pseudo header where the checksum belongs. */
static void draw_tcp(const struct shape *shape)
{
	size_t l3 = network_of(shape), l4 = transport_of(shape);
	unsigned int segment = length_of(shape) - l4;
	struct tcphdr *tcp = (struct tcphdr *)(frame + l4);
	u16 proto = shape->v6 ? ETH_P_IPV6 : ETH_P_IP;

	draw(&near, length_of(shape));
	memset(frame + ETH_HLEN, 0, l4 + sizeof(*tcp) - ETH_HLEN);
	*be16_at(2 * ETH_ALEN) = htons(shape->tag ? ETH_P_8021Q : proto);
	if (shape->tag) {
		*be16_at(ETH_HLEN) = htons(5);
		*be16_at(ETH_HLEN + 2) = htons(proto);
	}
	tcp->doff = sizeof(*tcp) / 4;
	tcp->ack = 1;
	tcp->cwr = shape->ecn;
	if (shape->v6)
		put_ipv6((struct ipv6hdr *)(frame + l3), tcp, segment);
	else
		put_ipv4((struct iphdr *)(frame + l3), tcp, segment);
}

/* The same as the stack hands it over, after @room bytes. */
static struct sk_buff *make_tcp(struct kunit *test, const struct shape *shape, size_t room)
{
	struct skb_shared_info *info;
	struct sk_buff *skb;

	draw_tcp(shape);
	skb = make_skb(&near, length_of(shape), room);
	KUNIT_ASSERT_NOT_NULL(test, skb);
	skb->protocol = *be16_at(2 * ETH_ALEN);
	skb_set_network_header(skb, network_of(shape));
	skb_set_transport_header(skb, transport_of(shape));
	skb->ip_summed = CHECKSUM_PARTIAL;
	skb->csum_start = skb_headroom(skb) + transport_of(shape);
	skb->csum_offset = offsetof(struct tcphdr, check);
	info = skb_shinfo(skb);
	if (shape->mss) {
		info->gso_size = shape->mss;
		info->gso_segs = DIV_ROUND_UP(shape->payload, shape->mss);
		info->gso_type = shape->v6 ? SKB_GSO_TCPV6 : SKB_GSO_TCPV4;
	}
	if (shape->ecn)
		info->gso_type |= SKB_GSO_TCP_ECN;
	return skb;
}

static bool take_sent(struct sim_net_sent *sent)
{
	return sim_test_wait(!sim_net_take(near.sim, sent, seen, sizeof(seen)), COMES_MS);
}

/* What the device got is @frame, behind a header that says what @shape is. */
static void sent_as(struct kunit *test, const struct shape *shape)
{
	u8 gso = shape->v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
	struct virtio_device *vdev = &near.sim->vdev;
	struct sim_net_sent sent = {};
	struct virtio_net_hdr_v1 want = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = cpu_to_virtio16(vdev, transport_of(shape)),
		.csum_offset = cpu_to_virtio16(vdev, offsetof(struct tcphdr, check)),
	};

	if (shape->mss) {
		want.gso_type = gso | (shape->ecn ? VIRTIO_NET_HDR_GSO_ECN : 0);
		want.gso_size = cpu_to_virtio16(vdev, shape->mss);
		want.hdr_len = cpu_to_virtio16(vdev, transport_of(shape) + sizeof(struct tcphdr));
	}
	KUNIT_EXPECT_TRUE_MSG(test, take_sent(&sent), "%s", shape->what);
	KUNIT_EXPECT_MEMEQ_MSG(test, &sent.hdr.hdr, &want, sizeof(want), "%s", shape->what);
	KUNIT_EXPECT_EQ(test, sent.queue, TX);
	KUNIT_EXPECT_EQ(test, sent.len, length_of(shape));
	KUNIT_EXPECT_FALSE_MSG(test, memcmp(seen, frame, length_of(shape)), "%s", shape->what);
}

/* With and without room for the header before the packet. */
static void headers_say_what_the_stack_wants(struct kunit *test)
{
	static const u64 rings[] = { FEATURES | SIM_RING_FEATURES, FEATURES | SIM_PACKED_FEATURES,
				     FEATURES };
	static const struct virtio_net_hdr_v1 nothing;
	struct sim_options options = usual;
	struct sim_net_sent sent;
	unsigned int i, n;
	size_t room;

	for (i = 0; i < 2 * ARRAY_SIZE(rings); i++) {
		options.features = rings[i / 2];
		plug(test, &options);
		act(test, &near, .op = SIM_NET_MODE, .value = 0);
		KUNIT_EXPECT_EQ(test, sim_net_record(near.sim, true), 0);
		room = i % 2 ? LL_RESERVED_SPACE(near.dev) : 0;
		for (n = 0; n < ARRAY_SIZE(shapes); n++) {
			KUNIT_EXPECT_EQ_MSG(test, send_skb(&near, 0,
							   make_tcp(test, &shapes[n], room),
							   COMES_MS), NETDEV_TX_OK, "%s",
					    shapes[n].what);
			sent_as(test, &shapes[n]);
			/* Nothing of it is left for the next one. */
			draw(&near, 300);
			KUNIT_EXPECT_EQ(test, send_skb(&near, 0, make_skb(&near, 300, room),
						       COMES_MS), NETDEV_TX_OK);
			memset(&sent, 0xff, sizeof(sent));
			KUNIT_EXPECT_TRUE(test, take_sent(&sent));
			KUNIT_EXPECT_MEMEQ(test, &sent.hdr.hdr, &nothing, sizeof(nothing));
			KUNIT_EXPECT_FALSE(test, memcmp(seen, frame, 300));
		}
		KUNIT_EXPECT_EQ(test, counter(&near, "tx_drops"), 0);
	}
}

/* Past what the stack checks; @more follow at once. */
static void hand_over(struct kunit *test, struct sk_buff *skb, bool more)
{
	struct netdev_queue *txq = netdev_get_tx_queue(near.dev, 0);
	netdev_tx_t ret;

	skb_set_queue_mapping(skb, 0);
	__netif_tx_lock_bh(txq);
	ret = netdev_start_xmit(skb, near.dev, txq, more);
	__netif_tx_unlock_bh(txq);
	KUNIT_EXPECT_EQ(test, ret, NETDEV_TX_OK);
}

static struct sk_buff *make_plain(struct kunit *test, size_t len)
{
	struct sk_buff *skb = make_skb(&near, len, LL_RESERVED_SPACE(near.dev));

	KUNIT_ASSERT_NOT_NULL(test, skb);
	return skb;
}

/* A kind of segmentation that no header can ask for. */
static struct sk_buff *make_odd(struct kunit *test, size_t room)
{
	struct sk_buff *skb = make_tcp(test, &shapes[3], room);

	skb_shinfo(skb)->gso_type = SKB_GSO_UDP_L4;
	return skb;
}

static void what_no_header_describes_is_dropped(struct kunit *test)
{
	plug(test, &usual);
	hand_over(test, make_odd(test, LL_RESERVED_SPACE(near.dev)), false);
	KUNIT_EXPECT_EQ(test, counter(&near, "tx_drops"), 1);
	hand_over(test, make_odd(test, 0), false);
	KUNIT_EXPECT_EQ(test, counter(&near, "tx_drops"), 2);
	KUNIT_EXPECT_TRUE(test, netif_carrier_ok(near.dev));
	moves(test);
}

static u64 kicks(void)
{
	return atomic64_read(&near.sim->queues[TX].kicks);
}

/* Of packets that come together the device is told once, also if the last one is not sent. */
static void one_kick_for_many(struct kunit *test)
{
	struct sk_buff *odd = NULL;
	unsigned int way, i;
	u64 before;

	for (way = 0; way < 2; way++) {
		plug(test, &usual);
		moves(test);
		/* The device is asleep again. */
		sim_test_wait(false, STAYS_AWAY_MS);
		before = kicks();
		if (way)
			odd = make_odd(test, 0);
		draw(&near, 400);
		for (i = 0; i < 3; i++)
			hand_over(test, make_plain(test, 400), true);
		KUNIT_EXPECT_EQ(test, kicks(), before);
		hand_over(test, odd ?: make_plain(test, 400), false);
		for (i = 0; i < 4 - way; i++)
			KUNIT_EXPECT_TRUE(test, comes(&near, 400));
		KUNIT_EXPECT_EQ(test, kicks(), before + 1);
		KUNIT_EXPECT_EQ(test, counter(&near, "tx_drops"), way);
		moves(test);
	}
}

/* pktgen sends one packet again and again; what others hold must stay as it is. */
static void a_packet_of_others_is_not_copied_together(struct kunit *test)
{
	struct sim_options options = usual;
	struct sk_buff *skb;

	options.features = FEATURES | BIT_ULL(VIRTIO_F_VERSION_1);
	options.queue_size = 1;
	plug(test, &options);
	draw(&near, 1000);
	skb = make_plain(test, 1000);
	KUNIT_EXPECT_GT(test, skb->data_len, 0);
	hand_over(test, skb_get(skb), false);
	KUNIT_EXPECT_EQ(test, counter(&near, "tx_drops"), 1);
	KUNIT_EXPECT_EQ(test, counter(&near, "tx_linearized"), 0);
	KUNIT_EXPECT_EQ(test, refcount_read(&skb->users), 1);
	KUNIT_EXPECT_GT(test, skb->data_len, 0);
	KUNIT_EXPECT_EQ(test, skb_copy_bits(skb, 0, seen, 1000), 0);
	KUNIT_EXPECT_FALSE(test, memcmp(seen, frame, 1000));
	/* Its own again: it is sent. */
	hand_over(test, skb, false);
	KUNIT_EXPECT_TRUE(test, comes(&near, 1000));
	KUNIT_EXPECT_EQ(test, counter(&near, "tx_linearized"), 1);
	KUNIT_EXPECT_EQ(test, counter(&near, "tx_drops"), 1);
}

static struct kunit_case net_send_cases[] = {
	KUNIT_CASE(headers_say_what_the_stack_wants),
	KUNIT_CASE(what_no_header_describes_is_dropped),
	KUNIT_CASE(one_kick_for_many),
	KUNIT_CASE(a_packet_of_others_is_not_copied_together),
	{}
};

SIM_SUITE(net_send, virtio_net_rh, sim_test_init, net_exit);

MODULE_DESCRIPTION("KUnit suite of the transmit side of virtio_net_rh");
MODULE_LICENSE("GPL");
