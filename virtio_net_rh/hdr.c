// SPDX-License-Identifier: GPL-2.0-only
/*
 * Judges the header before a received packet. The device can write anything
 * there, and what passes here steers the stack's checksum and segmentation
 * code, so every field is checked against the packet and against what was
 * negotiated. Pure: see hdr.h.
 */
#include <linux/if_ether.h>
#include <linux/if_vlan.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/kernel.h>
#include <linux/skbuff.h>
#include <linux/string.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <linux/virtio_net.h>
#include <net/ipv6.h>

#include "hdr.h"

/* VIRTIO 1.3, 5.1.6: UDP segmentation, unknown to the headers of 6.1. */
#define VNET_GSO_TYPE_UDP_L4	5

/*
 * Smallest segment of TCP that is accepted: with 8 bytes 64 KiB make 8192
 * segments, which fits the 16 bits in which the stack counts them. Smaller
 * sizes are raised, not refused, as the stack itself does.
 */
#define VNET_MIN_TCP_SEGMENT	8

/*
 * The stack reads a gso_size of 65535 as "one segment per frag_list skb"
 * (GSO_BY_FRAGS), a layout that no device can promise.
 */
#define VNET_GSO_SIZE_RESERVED	0xffff

/* IPv6 extension headers that are skipped at most; a chain has no end by itself. */
#define VNET_MAX_EXTENSIONS	8

static u16 be16_at(const u8 *p)
{
	return p[0] << 8 | p[1];
}

/* Bytes of the transport header without options. */
static unsigned int transport_len(enum vnet_hdr_gso gso)
{
	switch (gso) {
	case VNET_GSO_TCP4:
	case VNET_GSO_TCP6:
		return sizeof(struct tcphdr);
	case VNET_GSO_UFO:
	case VNET_GSO_USO:
		return sizeof(struct udphdr);
	case VNET_GSO_NONE:
		break;
	}
	return 0;
}

/* Bytes before the transport header at least. */
static unsigned int transport_min(enum vnet_hdr_gso gso)
{
	switch (gso) {
	case VNET_GSO_TCP6:
		return ETH_HLEN + sizeof(struct ipv6hdr);
	case VNET_GSO_TCP4:
	case VNET_GSO_UFO:
	case VNET_GSO_USO:
		return ETH_HLEN + sizeof(struct iphdr);
	case VNET_GSO_NONE:
		break;
	}
	/* A bare checksum need not be IP's, but there is an Ethernet header. */
	return sizeof(struct iphdr);
}

static enum vnet_hdr_error decode_gso(const struct vnet_hdr *hdr, unsigned int allow,
				      struct vnet_hdr_verdict *v)
{
	bool ecn = hdr->gso_type & VIRTIO_NET_HDR_GSO_ECN;
	bool tcp = false;
	unsigned int need;

	if (hdr->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return VNET_HDR_OK;

	switch (hdr->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		v->gso = VNET_GSO_TCP4;
		need = VNET_ALLOW_TCP4;
		tcp = true;
		break;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		v->gso = VNET_GSO_TCP6;
		need = VNET_ALLOW_TCP6;
		tcp = true;
		break;
	case VIRTIO_NET_HDR_GSO_UDP:
		v->gso = VNET_GSO_UFO;
		need = VNET_ALLOW_UFO;
		break;
	case VNET_GSO_TYPE_UDP_L4:
		v->gso = VNET_GSO_USO;
		need = VNET_ALLOW_USO;
		break;
	default:
		return VNET_HDR_BAD_GSO_TYPE;
	}
	if (ecn) {
		if (!tcp)
			return VNET_HDR_BAD_GSO_TYPE;
		need |= VNET_ALLOW_ECN;
	}
	if ((allow & need) != need)
		return VNET_HDR_BAD_GSO_TYPE;
	if (!hdr->gso_size || hdr->gso_size == VNET_GSO_SIZE_RESERVED)
		return VNET_HDR_BAD_GSO_SIZE;
	v->ecn = ecn;
	v->gso_size = hdr->gso_size;
	return VNET_HDR_OK;
}

static enum vnet_hdr_error decode_csum(const struct vnet_hdr *hdr, unsigned int len,
				       unsigned int allow, struct vnet_hdr_verdict *v)
{
	unsigned int start = hdr->csum_start;
	unsigned int end = start + hdr->csum_offset + sizeof(__sum16);

	if (!(hdr->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)) {
		/* A promise that nobody asked for is ignored: the stack verifies. */
		if ((hdr->flags & VIRTIO_NET_HDR_F_DATA_VALID) && (allow & VNET_ALLOW_CSUM))
			v->csum = VNET_CSUM_VALID;
		return VNET_HDR_OK;
	}
	if (!(allow & VNET_ALLOW_CSUM))
		return VNET_HDR_BAD_CSUM;

	end = max(end, start + transport_len(v->gso));
	/* 65535 is how the stack says that there is no transport header. */
	if (start < transport_min(v->gso) || start >= U16_MAX || end > len)
		return VNET_HDR_BAD_CSUM;

	v->csum = VNET_CSUM_PARTIAL;
	v->csum_start = start;
	v->csum_offset = hdr->csum_offset;
	v->transport = start;
	v->pull = end;
	return VNET_HDR_OK;
}

/* The transport header is known: is the packet what its GSO type says? */
static enum vnet_hdr_error finish_gso(unsigned int len, struct vnet_hdr_verdict *v)
{
	unsigned int payload = v->transport + transport_len(v->gso);

	switch (v->gso) {
	case VNET_GSO_TCP4:
	case VNET_GSO_TCP6:
		if (v->csum == VNET_CSUM_PARTIAL &&
		    v->csum_offset != offsetof(struct tcphdr, check))
			return VNET_HDR_BAD_CSUM;
		v->gso_size = max_t(u16, v->gso_size, VNET_MIN_TCP_SEGMENT);
		break;
	case VNET_GSO_USO:
		/* The stack has no software fallback for a checksum that is done. */
		if (v->csum != VNET_CSUM_PARTIAL ||
		    v->csum_offset != offsetof(struct udphdr, check))
			return VNET_HDR_BAD_CSUM;
		if (len - payload > v->gso_size * UDP_MAX_SEGMENTS)
			return VNET_HDR_BAD_GSO_SIZE;
		break;
	case VNET_GSO_UFO:
		/* A fragment of UDP counts the UDP header as payload. */
		payload -= sizeof(struct udphdr);
		break;
	case VNET_GSO_NONE:
		return VNET_HDR_OK;
	}

	/* What fits one segment is an ordinary packet. */
	if (len - payload <= v->gso_size)
		v->gso = VNET_GSO_NONE;
	return VNET_HDR_OK;
}

/**
 * vnet_hdr_check() - judge a received header
 * @hdr: private copy, host byte order
 * @len: bytes of the packet, Ethernet header included
 * @allow: VNET_ALLOW_*, what was negotiated
 * @verdict: receives the decision; valid only with VNET_HDR_OK
 *
 * Flags that the specification does not know are ignored, as it demands, and
 * so is hdr_len, which is a hint.
 *
 * Context: any.
 * Return: VNET_HDR_OK, or why the packet must be dropped.
 */
enum vnet_hdr_error vnet_hdr_check(const struct vnet_hdr *hdr, unsigned int len,
				   unsigned int allow, struct vnet_hdr_verdict *verdict)
{
	enum vnet_hdr_error err;

	memset(verdict, 0, sizeof(*verdict));
	err = decode_gso(hdr, allow, verdict);
	if (err)
		return err;
	err = decode_csum(hdr, len, allow, verdict);
	if (err)
		return err;
	if (verdict->gso == VNET_GSO_NONE)
		return VNET_HDR_OK;
	if (verdict->csum != VNET_CSUM_PARTIAL) {
		verdict->find = true;
		verdict->pull = min_t(unsigned int, len, VNET_HDR_LOOK);
		return VNET_HDR_OK;
	}
	return finish_gso(len, verdict);
}

/* Offset of what IPv4 carries at @off, or 0. */
static unsigned int skip_ipv4(const u8 *data, unsigned int headlen, unsigned int off, u8 *proto)
{
	unsigned int ihl;

	if (headlen - off < sizeof(struct iphdr) || data[off] >> 4 != 4)
		return 0;
	ihl = (data[off] & 0xf) * 4;
	if (ihl < sizeof(struct iphdr) || headlen - off < ihl)
		return 0;
	*proto = data[off + offsetof(struct iphdr, protocol)];
	return off + ihl;
}

/* Offset of what IPv6 carries at @off behind its extension headers, or 0. */
static unsigned int skip_ipv6(const u8 *data, unsigned int headlen, unsigned int off, u8 *proto)
{
	unsigned int n;
	u8 next;

	if (headlen - off < sizeof(struct ipv6hdr) || data[off] >> 4 != 6)
		return 0;
	next = data[off + offsetof(struct ipv6hdr, nexthdr)];
	off += sizeof(struct ipv6hdr);

	for (n = 0; n < VNET_MAX_EXTENSIONS; n++) {
		unsigned int size;

		if (next != NEXTHDR_HOP && next != NEXTHDR_ROUTING && next != NEXTHDR_DEST)
			break;
		if (headlen - off < sizeof(struct ipv6_opt_hdr))
			return 0;
		size = (data[off + 1] + 1) * 8;
		next = data[off];
		if (headlen - off < size)
			return 0;
		off += size;
	}
	*proto = next;
	return off;
}

/**
 * vnet_hdr_find_transport() - look for the transport header in the packet
 * @data: the packet from its Ethernet header on
 * @headlen: bytes that can be read there
 * @len: bytes of the whole packet
 * @verdict: from vnet_hdr_check(), with find set; completed here
 *
 * A device that verified the checksum itself (receive coalescing in hardware)
 * gives a GSO type but no csum_start. The packet must then be what the type
 * says, behind at most two VLAN tags.
 *
 * Context: any.
 * Return: VNET_HDR_OK, or why the packet must be dropped.
 */
enum vnet_hdr_error vnet_hdr_find_transport(const u8 *data, unsigned int headlen,
					    unsigned int len,
					    struct vnet_hdr_verdict *verdict)
{
	u8 want = IPPROTO_TCP, proto = 0;
	unsigned int off = ETH_HLEN, n;
	u16 type;

	if (headlen < ETH_HLEN)
		return VNET_HDR_BAD_PROTO;
	type = be16_at(data + ETH_HLEN - 2);
	for (n = 0; n < 2 && (type == ETH_P_8021Q || type == ETH_P_8021AD); n++) {
		if (headlen - off < VLAN_HLEN)
			return VNET_HDR_BAD_PROTO;
		type = be16_at(data + off + 2);
		off += VLAN_HLEN;
	}

	if (verdict->gso == VNET_GSO_UFO || verdict->gso == VNET_GSO_USO)
		want = IPPROTO_UDP;
	if (type == ETH_P_IP && verdict->gso != VNET_GSO_TCP6)
		off = skip_ipv4(data, headlen, off, &proto);
	else if (type == ETH_P_IPV6 && verdict->gso != VNET_GSO_TCP4)
		off = skip_ipv6(data, headlen, off, &proto);
	else
		off = 0;
	if (!off || proto != want || headlen - off < transport_len(verdict->gso))
		return VNET_HDR_BAD_PROTO;

	verdict->find = false;
	verdict->transport = off;
	return finish_gso(len, verdict);
}
