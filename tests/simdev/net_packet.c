// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bytes of packets, for the simulated network device: what is in one, its checksums,
 * cutting it into segments, its Toeplitz hash. Nothing here knows a device or a queue;
 * whatever is in the packet, nothing outside it is touched.
 */
#include <linux/hash.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/kernel.h>
#include <linux/string.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/checksum.h>
#include <net/ipv6.h>

#include "sim_net.h"

/* IPv6 extension headers that are looked at; a chain has no end by itself. */
#define EXTENSIONS_MAX		8

/* RFC 6275: the home address option, and the routing header with the other end's. */
#define OPTION_HOME_ADDRESS	201
#define ROUTING_TYPE_2		2

#define IPV4_FRAGMENT		(IP_MF | IP_OFFSET)

/* RFC 9293, 3.1: data offset and flags of a TCP header. */
#define TCP_AT_OFFSET		12
#define TCP_AT_FLAGS		13
#define TCP_BYTE_FIN		0x01
#define TCP_BYTE_PSH		0x08
#define TCP_BYTE_CWR		0x80

/* RFC 863: where generated packets go, so that no answer comes. */
#define PORT_DISCARD		9

/* RFC 5737: addresses that nobody has. */
#define TEST_NET_SRC		0xc0000201
#define TEST_NET_DST		0xc0000202

/* Both addresses, both ports: IPv6 is the larger. */
#define HASH_INPUT_MAX		(2 * sizeof(struct in6_addr) + 4)

/* The last bits of the key are needed by the last bit of the input. */
static_assert(HASH_INPUT_MAX + sizeof(u32) <= SIM_NET_KEY_MAX);

static unsigned int address_len(const struct sim_net_flow *flow)
{
	return flow->v6 ? sizeof(struct in6_addr) : sizeof(struct in_addr);
}

static void parse_transport(const u8 *data, u32 at, u8 proto, struct sim_net_flow *flow)
{
	u32 size;

	if (proto == IPPROTO_TCP && flow->end - at >= sizeof(struct tcphdr)) {
		size = (data[at + TCP_AT_OFFSET] >> 4) * 4;
		if (size < sizeof(struct tcphdr) || size > flow->end - at)
			return;
	} else if (proto == IPPROTO_UDP && flow->end - at >= sizeof(struct udphdr)) {
		size = sizeof(struct udphdr);
	} else {
		return;
	}
	flow->proto = proto;
	flow->l4 = at;
	flow->payload = at + size;
}

static void parse_ipv4(const u8 *data, u32 len, u32 at, struct sim_net_flow *flow)
{
	u32 ihl, total;

	if (len - at < sizeof(struct iphdr) || data[at] >> 4 != 4)
		return;
	ihl = (data[at] & 0xf) * 4;
	total = get_unaligned_be16(data + at + offsetof(struct iphdr, tot_len));
	if (ihl < sizeof(struct iphdr) || total < ihl || total > len - at)
		return;

	flow->l3 = at;
	flow->end = at + total;
	flow->src = at + offsetof(struct iphdr, saddr);
	flow->hash_src = flow->src;
	flow->hash_dst = flow->src + sizeof(struct in_addr);
	if (get_unaligned_be16(data + at + offsetof(struct iphdr, frag_off)) & IPV4_FRAGMENT)
		return;
	parse_transport(data, at + ihl, data[at + offsetof(struct iphdr, protocol)], flow);
}

/* Looks through the options of a destination options header of @size bytes. */
static void find_home(const u8 *data, u32 at, u32 size, struct sim_net_flow *flow)
{
	u32 end = at + size, option = at + 2, value;

	while (option + 2 <= end) {
		if (!data[option]) {	/* Pad1 has no length */
			option++;
			continue;
		}
		value = data[option + 1];
		if (option + 2 + value > end)
			return;
		if (data[option] == OPTION_HOME_ADDRESS && value == sizeof(struct in6_addr))
			flow->hash_src = option + 2;
		option += 2 + value;
	}
}

static void parse_ipv6(const u8 *data, u32 len, u32 at, struct sim_net_flow *flow)
{
	u32 total, size, n;
	u8 next;

	if (len - at < sizeof(struct ipv6hdr) || data[at] >> 4 != 6)
		return;
	total = get_unaligned_be16(data + at + offsetof(struct ipv6hdr, payload_len)) +
		sizeof(struct ipv6hdr);
	if (total > len - at)
		return;

	flow->v6 = true;
	flow->l3 = at;
	flow->end = at + total;
	flow->src = at + offsetof(struct ipv6hdr, saddr);
	flow->hash_src = flow->src;
	flow->hash_dst = flow->src + sizeof(struct in6_addr);
	next = data[at + offsetof(struct ipv6hdr, nexthdr)];
	at += sizeof(struct ipv6hdr);

	for (n = 0; n < EXTENSIONS_MAX; n++) {
		if (next != NEXTHDR_HOP && next != NEXTHDR_ROUTING && next != NEXTHDR_DEST)
			break;
		if (flow->end - at < 8)
			return;
		size = (data[at + 1] + 1) * 8;
		if (flow->end - at < size)
			return;
		flow->ext = true;
		if (next == NEXTHDR_DEST)
			find_home(data, at, size, flow);
		if (next == NEXTHDR_ROUTING && data[at + 2] == ROUTING_TYPE_2 && size == 24)
			flow->hash_dst = at + 8;
		next = data[at];
		at += size;
	}
	if (next == NEXTHDR_FRAGMENT)
		flow->ext = true;
	parse_transport(data, at, next, flow);
}

/**
 * sim_net_parse() - what is in a packet?
 * @data: from its Ethernet header on
 * @len: bytes
 * @flow: receives it; offsets that are not 0 can be relied on
 *
 * Context: any.
 */
void sim_net_parse(const u8 *data, u32 len, struct sim_net_flow *flow)
{
	u32 at = ETH_HLEN, n;
	u16 type;

	memset(flow, 0, sizeof(*flow));
	if (len < ETH_HLEN)
		return;
	type = get_unaligned_be16(data + 2 * ETH_ALEN);
	for (n = 0; n < 2 && (type == ETH_P_8021Q || type == ETH_P_8021AD); n++) {
		if (len - at < VLAN_HLEN)
			return;
		/* Only a C-VLAN tag is what VLAN filters are about. */
		if (!n && type == ETH_P_8021Q) {
			flow->tagged = true;
			flow->vid = get_unaligned_be16(data + at) & VLAN_VID_MASK;
		}
		type = get_unaligned_be16(data + at + 2);
		at += VLAN_HLEN;
	}
	flow->tags = at - ETH_HLEN;
	if (type == ETH_P_IP)
		parse_ipv4(data, len, at, flow);
	else if (type == ETH_P_IPV6)
		parse_ipv6(data, len, at, flow);
}

/* Sum of the pseudo header of a packet with a transport header. */
static __wsum pseudo_sum(const u8 *data, const struct sim_net_flow *flow)
{
	__wsum sum = csum_partial(data + flow->src, 2 * address_len(flow), 0);

	sum = csum_add(sum, (__force __wsum)htonl(flow->end - flow->l4));
	return csum_add(sum, (__force __wsum)htonl(flow->proto));
}

static u32 csum_field(const struct sim_net_flow *flow)
{
	return flow->l4 + (flow->proto == IPPROTO_TCP ? offsetof(struct tcphdr, check) :
							offsetof(struct udphdr, check));
}

/**
 * sim_net_verify() - is the checksum of a packet right?
 * @data: the packet
 * @flow: from sim_net_parse()
 *
 * Context: any.
 * Return: enum sim_net_csum.
 */
enum sim_net_csum sim_net_verify(const u8 *data, const struct sim_net_flow *flow)
{
	__wsum sum;

	if (!flow->l4)
		return SIM_NET_CSUM_NONE;
	if (flow->proto == IPPROTO_UDP && !get_unaligned_be16(data + csum_field(flow)))
		return SIM_NET_CSUM_NONE;
	sum = csum_partial(data + flow->l4, flow->end - flow->l4, pseudo_sum(data, flow));
	return csum_fold(sum) ? SIM_NET_CSUM_BAD : SIM_NET_CSUM_GOOD;
}

/**
 * sim_net_pseudo_ok() - is there the pseudo header's sum where the checksum belongs?
 * @data: a packet whose checksum is left to the device
 * @flow: from sim_net_parse()
 *
 * Context: any.
 * Return: false if it is another; also true if it cannot be told.
 */
bool sim_net_pseudo_ok(const u8 *data, const struct sim_net_flow *flow)
{
	u16 want, have;

	/* An extension header may have the address that counts. */
	if (!flow->l4 || flow->ext)
		return true;
	want = ~(__force u16)csum_fold(pseudo_sum(data, flow));
	have = (__force u16)get_unaligned((const __sum16 *)(data + csum_field(flow)));
	/* Zero has two forms in ones' complement. */
	return want % U16_MAX == have % U16_MAX;
}

/**
 * sim_net_complete() - fill in the checksum that csum_start and csum_offset describe
 * @packet: packet
 *
 * Context: any.
 * Return: false if it lies outside the packet.
 */
bool sim_net_complete(struct sim_net_packet *packet)
{
	u32 start = packet->csum_start, at = start + packet->csum_offset;
	__sum16 sum;

	if (start >= packet->len || at + sizeof(sum) > packet->len)
		return false;
	sum = csum_fold(csum_partial(packet->data + start, packet->len - start, 0));
	/* In UDP 0 says that there is none; for the others both zeroes are the same. */
	put_unaligned(sum ?: CSUM_MANGLED_0, (__sum16 *)(packet->data + at));
	return true;
}

static void fix_ip(struct sim_net_packet *seg, const struct sim_net_flow *flow, u32 n)
{
	u8 *ip = seg->data + flow->l3;
	u32 ihl;
	u16 id;

	if (flow->v6) {
		put_unaligned_be16(seg->len - flow->l3 - sizeof(struct ipv6hdr),
				   ip + offsetof(struct ipv6hdr, payload_len));
		return;
	}
	ihl = (ip[0] & 0xf) * 4;
	id = get_unaligned_be16(ip + offsetof(struct iphdr, id)) + n;
	put_unaligned_be16(id, ip + offsetof(struct iphdr, id));
	put_unaligned_be16(seg->len - flow->l3, ip + offsetof(struct iphdr, tot_len));
	put_unaligned((__sum16)0, (__sum16 *)(ip + offsetof(struct iphdr, check)));
	put_unaligned(csum_fold(csum_partial(ip, ihl, 0)),
		      (__sum16 *)(ip + offsetof(struct iphdr, check)));
}

/* Gives a packet with a transport header its checksum. */
static void seal(struct sim_net_packet *packet, const struct sim_net_flow *flow)
{
	u32 field = csum_field(flow);
	u16 sum = ~(__force u16)csum_fold(pseudo_sum(packet->data, flow));

	put_unaligned((__force __sum16)sum, (__sum16 *)(packet->data + field));
	packet->csum_start = flow->l4;
	packet->csum_offset = field - flow->l4;
	sim_net_complete(packet);
}

/* Headers of segment @n, whose payload begins @done bytes into that of the packet. */
static void fix_segment(struct sim_net_packet *seg, const struct sim_net_flow *flow, u32 n,
			u32 done, bool last)
{
	struct sim_net_flow own = *flow;
	u8 *l4 = seg->data + flow->l4;

	fix_ip(seg, flow, n);
	own.end = seg->len;
	if (flow->proto == IPPROTO_TCP) {
		put_unaligned_be32(get_unaligned_be32(l4 + offsetof(struct tcphdr, seq)) + done,
				   l4 + offsetof(struct tcphdr, seq));
		/* RFC 3168: the window was reduced once. */
		if (n)
			l4[TCP_AT_FLAGS] &= ~TCP_BYTE_CWR;
		if (!last)
			l4[TCP_AT_FLAGS] &= ~(TCP_BYTE_FIN | TCP_BYTE_PSH);
	} else {
		put_unaligned_be16(seg->len - flow->l4, l4 + offsetof(struct udphdr, len));
	}
	seal(seg, &own);
}

/* Is the packet what its GSO type says, and can that be cut? UFO makes IP fragments: no. */
static bool can_cut(const struct sim_net_packet *packet, const struct sim_net_flow *flow)
{
	if (!flow->l4 || !packet->gso_size)
		return false;
	switch (packet->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return flow->proto == IPPROTO_TCP && !flow->v6;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return flow->proto == IPPROTO_TCP && flow->v6;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return flow->proto == IPPROTO_UDP;
	}
	return false;
}

/**
 * sim_net_cut() - cut a packet into segments
 * @packet: with a GSO type; unchanged
 * @flow: from sim_net_parse()
 * @segments: empty; receives complete packets of the same kind for the same queue
 *
 * Context: may sleep.
 * Return: 0; -EOPNOTSUPP if the packet cannot be cut; -E2BIG if there were too many;
 * -ENOMEM.
 */
int sim_net_cut(const struct sim_net_packet *packet, const struct sim_net_flow *flow,
		struct list_head *segments)
{
	u32 total = flow->end - flow->payload, done = 0, n = 0, piece;
	struct sim_net_packet *seg;

	if (!can_cut(packet, flow))
		return -EOPNOTSUPP;
	if (DIV_ROUND_UP(total, packet->gso_size) > SIM_NET_SEGMENTS_MAX)
		return -E2BIG;
	do {
		piece = min_t(u32, packet->gso_size, total - done);
		seg = sim_net_alloc(flow->payload + piece);
		if (!seg) {
			sim_net_free(segments);
			return -ENOMEM;
		}
		seg->kind = packet->kind;
		seg->queue = packet->queue;
		memcpy(seg->data, packet->data, flow->payload);
		memcpy(seg->data + flow->payload, packet->data + flow->payload + done, piece);
		fix_segment(seg, flow, n++, done, done + piece == total);
		list_add_tail(&seg->node, segments);
		done += piece;
	} while (done < total);
	return 0;
}

static u32 toeplitz(const u8 *key, const u8 *in, size_t len)
{
	u32 window = get_unaligned_be32(key), hash = 0;
	size_t i;
	int bit;

	for (i = 0; i < len; i++) {
		for (bit = 7; bit >= 0; bit--) {
			if (in[i] >> bit & 1)
				hash ^= window;
			window = window << 1 | (key[i + sizeof(u32)] >> bit & 1);
		}
	}
	return hash;
}

/* The first of the reports for TCP, UDP and IP that fits the packet and is enabled. */
static u16 pick(u32 types, const struct sim_net_flow *flow, u16 tcp, u16 udp, u16 ip)
{
	if (flow->proto == IPPROTO_TCP && (types & BIT(tcp - 1)))
		return tcp;
	if (flow->proto == IPPROTO_UDP && (types & BIT(udp - 1)))
		return udp;
	return types & BIT(ip - 1) ? ip : VIRTIO_NET_HASH_REPORT_NONE;
}

/**
 * sim_net_hash() - the hash of a packet (VIRTIO 1.3, 5.1.6.4.3)
 * @rss: key and enabled types
 * @data: the packet
 * @flow: from sim_net_parse()
 * @hash: receives it, or 0
 *
 * Context: any.
 * Return: VIRTIO_NET_HASH_REPORT_*, NONE if no type fits.
 */
u16 sim_net_hash(const struct sim_net_rss *rss, const u8 *data,
		 const struct sim_net_flow *flow, u32 *hash)
{
	u32 src = flow->src, dst, alen = address_len(flow), len = 2 * alen;
	u16 report = VIRTIO_NET_HASH_REPORT_NONE;
	u8 in[HASH_INPUT_MAX];

	*hash = 0;
	if (!flow->l3)
		return VIRTIO_NET_HASH_REPORT_NONE;
	dst = src + alen;
	if (flow->ext)
		report = pick(rss->types, flow, VIRTIO_NET_HASH_REPORT_TCPv6_EX,
			      VIRTIO_NET_HASH_REPORT_UDPv6_EX, VIRTIO_NET_HASH_REPORT_IPv6_EX);
	if (report) {
		src = flow->hash_src;
		dst = flow->hash_dst;
	} else if (flow->v6) {
		report = pick(rss->types, flow, VIRTIO_NET_HASH_REPORT_TCPv6,
			      VIRTIO_NET_HASH_REPORT_UDPv6, VIRTIO_NET_HASH_REPORT_IPv6);
	} else {
		report = pick(rss->types, flow, VIRTIO_NET_HASH_REPORT_TCPv4,
			      VIRTIO_NET_HASH_REPORT_UDPv4, VIRTIO_NET_HASH_REPORT_IPv4);
	}
	if (!report)
		return report;

	memcpy(in, data + src, alen);
	memcpy(in + alen, data + dst, alen);
	if (report != VIRTIO_NET_HASH_REPORT_IPv4 && report != VIRTIO_NET_HASH_REPORT_IPv6 &&
	    report != VIRTIO_NET_HASH_REPORT_IPv6_EX) {
		memcpy(in + len, data + flow->l4, 4);
		len += 4;
	}
	*hash = toeplitz(rss->key, in, len);
	return report;
}

/**
 * sim_net_flow_slot() - a number for a flow, the same in both directions
 * @data: the packet
 * @flow: from sim_net_parse()
 *
 * Context: any.
 * Return: below 1 << SIM_NET_FLOWS_BITS.
 */
unsigned int sim_net_flow_slot(const u8 *data, const struct sim_net_flow *flow)
{
	u32 mix = flow->proto, i;

	if (flow->l3)
		for (i = 0; i < 2 * address_len(flow); i += sizeof(mix))
			mix ^= get_unaligned_be32(data + flow->src + i);
	if (flow->l4)
		mix ^= get_unaligned_be16(data + flow->l4) ^
		       get_unaligned_be16(data + flow->l4 + 2);
	return hash_32(mix, SIM_NET_FLOWS_BITS);
}

/**
 * sim_net_udp_packet() - make a packet
 * @packet: zeroed; its length is that of Ethernet, IPv4 and UDP headers at least
 * @mac: whom it is for
 * @n: its number; each gets a source port, and so a flow, of its own
 *
 * Context: any.
 */
void sim_net_udp_packet(struct sim_net_packet *packet, const u8 *mac, u32 n)
{
	struct ethhdr *eth = (struct ethhdr *)packet->data;
	u8 *ip = packet->data + ETH_HLEN, *udp = ip + sizeof(struct iphdr);
	struct sim_net_flow flow;

	ether_addr_copy(eth->h_dest, mac);
	eth->h_source[0] = 0x02;	/* locally administered */
	eth->h_proto = htons(ETH_P_IP);
	ip[0] = 0x45;
	ip[offsetof(struct iphdr, ttl)] = 64;
	ip[offsetof(struct iphdr, protocol)] = IPPROTO_UDP;
	put_unaligned_be32(TEST_NET_SRC, ip + offsetof(struct iphdr, saddr));
	put_unaligned_be32(TEST_NET_DST, ip + offsetof(struct iphdr, daddr));
	put_unaligned_be16(packet->len - ETH_HLEN, ip + offsetof(struct iphdr, tot_len));
	put_unaligned_be16(1024 + n % 0x8000, udp + offsetof(struct udphdr, source));
	put_unaligned_be16(PORT_DISCARD, udp + offsetof(struct udphdr, dest));
	sim_net_parse(packet->data, packet->len, &flow);
	fix_segment(packet, &flow, 0, 0, true);
}
