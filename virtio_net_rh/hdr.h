/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The header before each received packet (VIRTIO 1.3, 5.1.6), judged. Pure:
 * numbers and bytes in, a decision out; no skb, no device, no allocation. The
 * caller has made one private copy of what the device wrote.
 */
#ifndef VNET_HDR_H
#define VNET_HDR_H

#include <linux/bits.h>
#include <linux/types.h>

/* What the negotiated features let a header ask for. */
#define VNET_ALLOW_CSUM		BIT(0)	/* GUEST_CSUM */
#define VNET_ALLOW_TCP4		BIT(1)	/* GUEST_TSO4 */
#define VNET_ALLOW_TCP6		BIT(2)	/* GUEST_TSO6 */
#define VNET_ALLOW_ECN		BIT(3)	/* GUEST_ECN */
#define VNET_ALLOW_UFO		BIT(4)	/* GUEST_UFO */
#define VNET_ALLOW_USO		BIT(5)	/* GUEST_USO4 or GUEST_USO6 */

/*
 * Linear bytes that vnet_hdr_find_transport() may want to see: Ethernet, two
 * VLAN tags, IPv6, extension headers of 128 bytes in all, TCP with options.
 */
#define VNET_HDR_LOOK		256

/**
 * struct vnet_hdr - a received header in host byte order
 * @flags: VIRTIO_NET_HDR_F_*
 * @gso_type: VIRTIO_NET_HDR_GSO_*
 * @gso_size: bytes of payload in a segment
 * @csum_start: where the checksum begins, bytes from the Ethernet header
 * @csum_offset: where it is stored, bytes from @csum_start
 */
struct vnet_hdr {
	u8 flags;
	u8 gso_type;
	u16 gso_size;
	u16 csum_start;
	u16 csum_offset;
};

/* Why a header is refused; each is a counter of its own. */
enum vnet_hdr_error {
	VNET_HDR_OK,
	VNET_HDR_BAD_GSO_TYPE,
	VNET_HDR_BAD_GSO_SIZE,
	VNET_HDR_BAD_CSUM,
	VNET_HDR_BAD_PROTO,
};

/* What is known about the packet's checksum. */
enum vnet_hdr_csum {
	VNET_CSUM_NONE,		/* nothing: the stack must verify it */
	VNET_CSUM_VALID,	/* the device verified it */
	VNET_CSUM_PARTIAL,	/* not filled in yet */
};

/* What the packet must be cut into, if it is forwarded. */
enum vnet_hdr_gso {
	VNET_GSO_NONE,
	VNET_GSO_TCP4,
	VNET_GSO_TCP6,
	VNET_GSO_UFO,
	VNET_GSO_USO,
};

/**
 * struct vnet_hdr_verdict - what to do with the packet
 * @csum: state of the checksum
 * @csum_start: with VNET_CSUM_PARTIAL, bytes from the Ethernet header
 * @csum_offset: likewise, bytes from @csum_start
 * @pull: bytes that must be linear before the verdict is applied
 * @gso: kind of GSO; VNET_GSO_NONE also if the packet fits one segment
 * @ecn: a segment with CWR set is handled as RFC 3168 wants (TCP only)
 * @gso_size: bytes of payload in a segment
 * @transport: where the transport header is, bytes from the Ethernet header;
 *	only with a @gso or VNET_CSUM_PARTIAL
 * @find: the header does not say where the transport header is: ask
 *	vnet_hdr_find_transport() before anything else here is believed
 */
struct vnet_hdr_verdict {
	enum vnet_hdr_csum csum;
	u16 csum_start;
	u16 csum_offset;
	unsigned int pull;
	enum vnet_hdr_gso gso;
	bool ecn;
	u16 gso_size;
	unsigned int transport;
	bool find;
};

enum vnet_hdr_error vnet_hdr_check(const struct vnet_hdr *hdr, unsigned int len,
				   unsigned int allow, struct vnet_hdr_verdict *verdict);
enum vnet_hdr_error vnet_hdr_find_transport(const u8 *data, unsigned int headlen,
					    unsigned int len,
					    struct vnet_hdr_verdict *verdict);

#endif
