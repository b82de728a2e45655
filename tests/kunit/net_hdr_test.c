// SPDX-License-Identifier: GPL-2.0-only
/* What virtio_net_rh makes of the header before a packet: sane, odd, hostile. */
#include <kunit/test.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "virtio_net_rh/hdr.c"

#define ALL_ALLOWED (VNET_ALLOW_CSUM | VNET_ALLOW_TCP4 | VNET_ALLOW_TCP6 | \
		     VNET_ALLOW_ECN | VNET_ALLOW_UFO | VNET_ALLOW_USO)

/* Where TCP and UDP begin behind plain headers. */
#define TH4 (ETH_HLEN + sizeof(struct iphdr))
#define TH6 (ETH_HLEN + sizeof(struct ipv6hdr))

/* A GSO packet as tap gives it: checksum not filled in. */
static const struct vnet_hdr tcp4 = {
	.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
	.gso_size = 1448,
	.csum_start = TH4,
	.csum_offset = offsetof(struct tcphdr, check),
};

static const struct vnet_hdr tcp6 = {
	.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	.gso_type = VIRTIO_NET_HDR_GSO_TCPV6,
	.gso_size = 1428,
	.csum_start = TH6,
	.csum_offset = offsetof(struct tcphdr, check),
};

static const struct vnet_hdr ufo = {
	.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	.gso_type = VIRTIO_NET_HDR_GSO_UDP,
	.gso_size = 1480,
	.csum_start = TH4,
	.csum_offset = offsetof(struct udphdr, check),
};

static const struct vnet_hdr uso = {
	.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	.gso_type = VNET_GSO_TYPE_UDP_L4,
	.gso_size = 1000,
	.csum_start = TH4,
	.csum_offset = offsetof(struct udphdr, check),
};

static enum vnet_hdr_error check(const struct vnet_hdr *hdr, unsigned int len,
				 struct vnet_hdr_verdict *v)
{
	memset(v, 0xaa, sizeof(*v));
	return vnet_hdr_check(hdr, len, ALL_ALLOWED, v);
}

/* ---- checksum ---- */

static void plain_packet_promises_nothing(struct kunit *test)
{
	const struct vnet_hdr hdr = {};
	struct vnet_hdr_verdict v;

	KUNIT_ASSERT_EQ(test, (int)check(&hdr, 60, &v), VNET_HDR_OK);
	KUNIT_EXPECT_EQ(test, (int)v.csum, VNET_CSUM_NONE);
	KUNIT_EXPECT_EQ(test, (int)v.gso, VNET_GSO_NONE);
	KUNIT_EXPECT_EQ(test, v.pull, 0U);
	KUNIT_EXPECT_FALSE(test, v.find);
}

static void data_valid_counts_only_if_negotiated(struct kunit *test)
{
	const struct vnet_hdr hdr = { .flags = VIRTIO_NET_HDR_F_DATA_VALID };
	struct vnet_hdr_verdict v;

	KUNIT_ASSERT_EQ(test, (int)check(&hdr, 60, &v), VNET_HDR_OK);
	KUNIT_EXPECT_EQ(test, (int)v.csum, VNET_CSUM_VALID);
	KUNIT_ASSERT_EQ(test, (int)vnet_hdr_check(&hdr, 60, 0, &v), VNET_HDR_OK);
	KUNIT_EXPECT_EQ(test, (int)v.csum, VNET_CSUM_NONE);
}

static void unknown_flags_are_ignored(struct kunit *test)
{
	const struct vnet_hdr hdr = { .flags = 0xfc };
	struct vnet_hdr_verdict v;

	KUNIT_ASSERT_EQ(test, (int)check(&hdr, 60, &v), VNET_HDR_OK);
	KUNIT_EXPECT_EQ(test, (int)v.csum, VNET_CSUM_NONE);
}

static void partial_checksum_must_lie_in_the_packet(struct kunit *test)
{
	struct vnet_hdr hdr = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = TH4, .csum_offset = 16,
	};
	struct vnet_hdr_verdict v;

	KUNIT_ASSERT_EQ(test, (int)check(&hdr, TH4 + 18, &v), VNET_HDR_OK);
	KUNIT_EXPECT_EQ(test, (int)v.csum, VNET_CSUM_PARTIAL);
	KUNIT_EXPECT_EQ(test, v.csum_start, (u16)TH4);
	KUNIT_EXPECT_EQ(test, v.csum_offset, 16);
	KUNIT_EXPECT_EQ(test, v.pull, (unsigned int)TH4 + 18);
	KUNIT_EXPECT_EQ(test, (int)check(&hdr, TH4 + 17, &v), VNET_HDR_BAD_CSUM);
	hdr.csum_offset = U16_MAX;
	KUNIT_EXPECT_EQ(test, (int)check(&hdr, 65535, &v), VNET_HDR_BAD_CSUM);
	hdr.csum_start = U16_MAX;
	KUNIT_EXPECT_EQ(test, (int)check(&hdr, 65535, &v), VNET_HDR_BAD_CSUM);
	hdr.csum_offset = 0;
	KUNIT_EXPECT_EQ(test, (int)check(&hdr, 1 << 20, &v), VNET_HDR_BAD_CSUM);
}

static void partial_checksum_in_the_network_header_is_refused(struct kunit *test)
{
	struct vnet_hdr hdr = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 19 };
	struct vnet_hdr_verdict v;

	KUNIT_EXPECT_EQ(test, (int)check(&hdr, 100, &v), VNET_HDR_BAD_CSUM);
	hdr.csum_start = 20;
	KUNIT_EXPECT_EQ(test, (int)check(&hdr, 100, &v), VNET_HDR_OK);

	hdr = tcp4;
	hdr.csum_start = TH4 - 1;
	KUNIT_EXPECT_EQ(test, (int)check(&hdr, 9000, &v), VNET_HDR_BAD_CSUM);
	hdr = tcp6;
	hdr.csum_start = TH6 - 1;
	KUNIT_EXPECT_EQ(test, (int)check(&hdr, 9000, &v), VNET_HDR_BAD_CSUM);
}

static void partial_checksum_must_be_negotiated(struct kunit *test)
{
	struct vnet_hdr_verdict v;

	KUNIT_EXPECT_EQ(test, (int)vnet_hdr_check(&tcp4, 9000, VNET_ALLOW_TCP4, &v),
			VNET_HDR_BAD_CSUM);
}

/* ---- GSO ---- */

static void expect_gso(struct kunit *test, const struct vnet_hdr *hdr, enum vnet_hdr_gso gso,
		       unsigned int transport)
{
	struct vnet_hdr_verdict v;

	KUNIT_ASSERT_EQ(test, (int)check(hdr, 9000, &v), VNET_HDR_OK);
	KUNIT_EXPECT_EQ(test, (int)v.gso, (int)gso);
	KUNIT_EXPECT_EQ(test, v.gso_size, hdr->gso_size);
	KUNIT_EXPECT_EQ(test, v.transport, transport);
	KUNIT_EXPECT_EQ(test, (int)v.csum, VNET_CSUM_PARTIAL);
	KUNIT_EXPECT_FALSE(test, v.ecn);
	KUNIT_EXPECT_FALSE(test, v.find);
}

static void each_type_is_recognised(struct kunit *test)
{
	expect_gso(test, &tcp4, VNET_GSO_TCP4, TH4);
	expect_gso(test, &tcp6, VNET_GSO_TCP6, TH6);
	expect_gso(test, &ufo, VNET_GSO_UFO, TH4);
	expect_gso(test, &uso, VNET_GSO_USO, TH4);
}

static void types_must_be_negotiated(struct kunit *test)
{
	static const struct {
		const struct vnet_hdr *hdr;
		unsigned int needs;
	} types[] = {
		{ &tcp4, VNET_ALLOW_TCP4 }, { &tcp6, VNET_ALLOW_TCP6 },
		{ &ufo, VNET_ALLOW_UFO }, { &uso, VNET_ALLOW_USO },
	};
	struct vnet_hdr_verdict v;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		KUNIT_EXPECT_EQ(test, (int)vnet_hdr_check(types[i].hdr, 9000,
							  ALL_ALLOWED & ~types[i].needs, &v),
				VNET_HDR_BAD_GSO_TYPE);
}

static void unknown_types_are_refused(struct kunit *test)
{
	struct vnet_hdr hdr = tcp4;
	struct vnet_hdr_verdict v;
	unsigned int type;

	for (type = 0; type < 256; type++) {
		unsigned int base = type & ~VIRTIO_NET_HDR_GSO_ECN;
		bool known = !type || base == VIRTIO_NET_HDR_GSO_TCPV4 ||
			     base == VIRTIO_NET_HDR_GSO_TCPV6 ||
			     type == VIRTIO_NET_HDR_GSO_UDP || type == VNET_GSO_TYPE_UDP_L4;

		hdr.gso_type = type;
		KUNIT_EXPECT_EQ(test, check(&hdr, 9000, &v) != VNET_HDR_BAD_GSO_TYPE, known);
	}
}

static void ecn_is_for_tcp_and_negotiated(struct kunit *test)
{
	struct vnet_hdr hdr = tcp4;
	struct vnet_hdr_verdict v;

	hdr.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	KUNIT_ASSERT_EQ(test, (int)check(&hdr, 9000, &v), VNET_HDR_OK);
	KUNIT_EXPECT_TRUE(test, v.ecn);
	KUNIT_EXPECT_EQ(test, (int)vnet_hdr_check(&hdr, 9000, ALL_ALLOWED & ~VNET_ALLOW_ECN, &v),
			VNET_HDR_BAD_GSO_TYPE);
	hdr.gso_type = VIRTIO_NET_HDR_GSO_ECN;
	KUNIT_EXPECT_EQ(test, (int)check(&hdr, 9000, &v), VNET_HDR_BAD_GSO_TYPE);
}

static void segment_size_must_make_sense(struct kunit *test)
{
	struct vnet_hdr hdr = tcp4;
	struct vnet_hdr_verdict v;

	hdr.gso_size = 0;
	KUNIT_EXPECT_EQ(test, (int)check(&hdr, 9000, &v), VNET_HDR_BAD_GSO_SIZE);
	hdr.gso_size = 0xffff;
	KUNIT_EXPECT_EQ(test, (int)check(&hdr, 9000, &v), VNET_HDR_BAD_GSO_SIZE);
	hdr.gso_size = 1;
	KUNIT_ASSERT_EQ(test, (int)check(&hdr, 65535, &v), VNET_HDR_OK);
	KUNIT_EXPECT_EQ(test, v.gso_size, VNET_MIN_TCP_SEGMENT);
}

static void one_segment_is_no_gso(struct kunit *test)
{
	unsigned int th = TH4 + sizeof(struct tcphdr);
	struct vnet_hdr_verdict v;

	KUNIT_ASSERT_EQ(test, (int)check(&tcp4, th + tcp4.gso_size, &v), VNET_HDR_OK);
	KUNIT_EXPECT_EQ(test, (int)v.gso, VNET_GSO_NONE);
	KUNIT_EXPECT_EQ(test, (int)v.csum, VNET_CSUM_PARTIAL);
	KUNIT_ASSERT_EQ(test, (int)check(&tcp4, th + tcp4.gso_size + 1, &v), VNET_HDR_OK);
	KUNIT_EXPECT_EQ(test, (int)v.gso, VNET_GSO_TCP4);

	/* The size of a UDP fragment includes the UDP header. */
	KUNIT_ASSERT_EQ(test, (int)check(&ufo, TH4 + ufo.gso_size, &v), VNET_HDR_OK);
	KUNIT_EXPECT_EQ(test, (int)v.gso, VNET_GSO_NONE);
	KUNIT_ASSERT_EQ(test, (int)check(&ufo, TH4 + ufo.gso_size + 1, &v), VNET_HDR_OK);
	KUNIT_EXPECT_EQ(test, (int)v.gso, VNET_GSO_UFO);
}

static void headers_must_fit_the_packet(struct kunit *test)
{
	struct vnet_hdr_verdict v;

	KUNIT_EXPECT_EQ(test, (int)check(&tcp4, TH4 + sizeof(struct tcphdr) - 1, &v),
			VNET_HDR_BAD_CSUM);
	KUNIT_EXPECT_EQ(test, (int)check(&uso, TH4 + sizeof(struct udphdr) - 1, &v),
			VNET_HDR_BAD_CSUM);
}

static void checksum_must_belong_to_the_protocol(struct kunit *test)
{
	struct vnet_hdr hdr = tcp4;
	struct vnet_hdr_verdict v;

	hdr.csum_offset = offsetof(struct udphdr, check);
	KUNIT_EXPECT_EQ(test, (int)check(&hdr, 9000, &v), VNET_HDR_BAD_CSUM);
	hdr = uso;
	hdr.csum_offset = offsetof(struct tcphdr, check);
	KUNIT_EXPECT_EQ(test, (int)check(&hdr, 9000, &v), VNET_HDR_BAD_CSUM);
}

static void uso_has_limits(struct kunit *test)
{
	unsigned int payload = TH4 + sizeof(struct udphdr);
	struct vnet_hdr hdr = uso;
	struct vnet_hdr_verdict v;

	hdr.gso_size = 10;
	KUNIT_EXPECT_EQ(test, (int)check(&hdr, payload + 10 * UDP_MAX_SEGMENTS, &v), VNET_HDR_OK);
	KUNIT_EXPECT_EQ(test, (int)check(&hdr, payload + 10 * UDP_MAX_SEGMENTS + 1, &v),
			VNET_HDR_BAD_GSO_SIZE);
}

/* ---- transport header ---- */

struct frame {
	u8 bytes[512];
	unsigned int len;
};

static void put(struct frame *f, const void *bytes, unsigned int len)
{
	memcpy(f->bytes + f->len, bytes, len);
	f->len += len;
}

static void put_ether(struct frame *f, unsigned int tags, u16 type)
{
	static const u8 tag8021q[] = { 0x81, 0x00, 0x00, 0x05 };
	static const u8 macs[2 * ETH_ALEN] = { 2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2 };
	const u8 be[2] = { type >> 8, type };

	f->len = 0;
	put(f, macs, sizeof(macs));
	while (tags--)
		put(f, tag8021q, sizeof(tag8021q));
	put(f, be, sizeof(be));
}

static void put_ipv4(struct frame *f, unsigned int ihl, u8 proto)
{
	u8 ip[60] = {};

	ip[0] = 0x40 | ihl;
	ip[offsetof(struct iphdr, protocol)] = proto;
	put(f, ip, ihl * 4);
}

static void put_ipv6(struct frame *f, unsigned int extensions, u8 proto)
{
	u8 ip[40] = { 0x60 }, ext[8] = {};

	ip[offsetof(struct ipv6hdr, nexthdr)] = extensions ? NEXTHDR_DEST : proto;
	put(f, ip, sizeof(ip));
	while (extensions--) {
		ext[0] = extensions ? NEXTHDR_DEST : proto;
		put(f, ext, sizeof(ext));
	}
}

/* Looks for the transport header in a copy that ends where the frame does. */
static enum vnet_hdr_error find(struct kunit *test, const struct frame *f, unsigned int headlen,
				enum vnet_hdr_gso gso, unsigned int *transport)
{
	struct vnet_hdr_verdict v = { .find = true, .gso = gso, .gso_size = 1000 };
	u8 *copy = kunit_kzalloc(test, headlen ?: 1, GFP_KERNEL);
	enum vnet_hdr_error err;

	KUNIT_ASSERT_NOT_NULL(test, copy);
	memcpy(copy, f->bytes, headlen);
	err = vnet_hdr_find_transport(copy, headlen, 9000, &v);
	*transport = v.transport;
	return err;
}

/* Found in the whole frame, and in no frame that is cut before its end. */
static void expect_found(struct kunit *test, struct frame *f, enum vnet_hdr_gso gso)
{
	static const u8 header[sizeof(struct tcphdr)];
	unsigned int expected = f->len, where, n;

	put(f, header, transport_len(gso));
	KUNIT_EXPECT_EQ(test, (int)find(test, f, f->len, gso, &where), VNET_HDR_OK);
	KUNIT_EXPECT_EQ(test, where, expected);
	for (n = 0; n < f->len; n++)
		KUNIT_EXPECT_EQ(test, (int)find(test, f, n, gso, &where), VNET_HDR_BAD_PROTO);
}

static void expect_not_found(struct kunit *test, struct frame *f, enum vnet_hdr_gso gso)
{
	static const u8 header[sizeof(struct tcphdr)];
	unsigned int where;

	put(f, header, sizeof(header));
	KUNIT_EXPECT_EQ(test, (int)find(test, f, f->len, gso, &where), VNET_HDR_BAD_PROTO);
}

static void transport_is_found_behind_ipv4(struct kunit *test)
{
	struct frame f;
	unsigned int tags;

	for (tags = 0; tags <= 2; tags++) {
		put_ether(&f, tags, ETH_P_IP);
		put_ipv4(&f, 5, IPPROTO_TCP);
		expect_found(test, &f, VNET_GSO_TCP4);
	}
	put_ether(&f, 0, ETH_P_IP);
	put_ipv4(&f, 15, IPPROTO_TCP);
	expect_found(test, &f, VNET_GSO_TCP4);
	put_ether(&f, 0, ETH_P_IP);
	put_ipv4(&f, 5, IPPROTO_UDP);
	expect_found(test, &f, VNET_GSO_UFO);
}

static void transport_is_found_behind_ipv6(struct kunit *test)
{
	struct frame f;
	unsigned int extensions;

	for (extensions = 0; extensions <= VNET_MAX_EXTENSIONS; extensions++) {
		put_ether(&f, 1, ETH_P_IPV6);
		put_ipv6(&f, extensions, IPPROTO_TCP);
		expect_found(test, &f, VNET_GSO_TCP6);
	}
	put_ether(&f, 0, ETH_P_IPV6);
	put_ipv6(&f, 0, IPPROTO_UDP);
	expect_found(test, &f, VNET_GSO_UFO);
}

static void packet_must_be_what_its_type_says(struct kunit *test)
{
	struct frame f;

	put_ether(&f, 0, ETH_P_IP);
	put_ipv4(&f, 5, IPPROTO_UDP);
	expect_not_found(test, &f, VNET_GSO_TCP4);
	put_ether(&f, 0, ETH_P_IP);
	put_ipv4(&f, 5, IPPROTO_TCP);
	expect_not_found(test, &f, VNET_GSO_TCP6);
	put_ether(&f, 0, ETH_P_IPV6);
	put_ipv6(&f, 0, IPPROTO_TCP);
	expect_not_found(test, &f, VNET_GSO_TCP4);
	put_ether(&f, 0, ETH_P_IP);
	put_ipv4(&f, 5, IPPROTO_TCP);
	expect_not_found(test, &f, VNET_GSO_UFO);
	put_ether(&f, 0, ETH_P_ARP);
	put_ipv4(&f, 5, IPPROTO_TCP);
	expect_not_found(test, &f, VNET_GSO_TCP4);
	put_ether(&f, 3, ETH_P_IP);
	put_ipv4(&f, 5, IPPROTO_TCP);
	expect_not_found(test, &f, VNET_GSO_TCP4);
}

static void broken_network_headers_are_refused(struct kunit *test)
{
	struct frame f;

	put_ether(&f, 0, ETH_P_IP);
	put_ipv4(&f, 4, IPPROTO_TCP);
	expect_not_found(test, &f, VNET_GSO_TCP4);
	put_ether(&f, 0, ETH_P_IP);
	put_ipv6(&f, 0, IPPROTO_TCP);
	expect_not_found(test, &f, VNET_GSO_TCP4);
	put_ether(&f, 0, ETH_P_IPV6);
	put_ipv6(&f, VNET_MAX_EXTENSIONS + 1, IPPROTO_TCP);
	expect_not_found(test, &f, VNET_GSO_TCP6);
}

static void checksum_in_hardware_asks_for_the_transport_header(struct kunit *test)
{
	struct vnet_hdr hdr = tcp4;
	struct vnet_hdr_verdict v;
	struct frame f;

	hdr.flags = VIRTIO_NET_HDR_F_DATA_VALID;
	KUNIT_ASSERT_EQ(test, (int)check(&hdr, 9000, &v), VNET_HDR_OK);
	KUNIT_EXPECT_TRUE(test, v.find);
	KUNIT_EXPECT_EQ(test, v.pull, (unsigned int)VNET_HDR_LOOK);

	put_ether(&f, 0, ETH_P_IP);
	put_ipv4(&f, 5, IPPROTO_TCP);
	memset(f.bytes + f.len, 0, VNET_HDR_LOOK);
	KUNIT_ASSERT_EQ(test, (int)vnet_hdr_find_transport(f.bytes, VNET_HDR_LOOK, 9000, &v),
			VNET_HDR_OK);
	KUNIT_EXPECT_FALSE(test, v.find);
	KUNIT_EXPECT_EQ(test, (int)v.gso, VNET_GSO_TCP4);
	KUNIT_EXPECT_EQ(test, (int)v.csum, VNET_CSUM_VALID);

	/* UDP segmentation needs a checksum to fill in. */
	hdr = uso;
	hdr.flags = VIRTIO_NET_HDR_F_DATA_VALID;
	KUNIT_ASSERT_EQ(test, (int)check(&hdr, 9000, &v), VNET_HDR_OK);
	f.bytes[ETH_HLEN + offsetof(struct iphdr, protocol)] = IPPROTO_UDP;
	KUNIT_EXPECT_EQ(test, (int)vnet_hdr_find_transport(f.bytes, VNET_HDR_LOOK, 9000, &v),
			VNET_HDR_BAD_CSUM);
}

/* ---- anything ---- */

/* The same sequence in every run: a failure can be seen again. */
static u32 next_random(u32 *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state;
}

static void accepted_headers_stay_in_the_packet(struct kunit *test)
{
	u32 state = 1, n, accepted = 0;

	for (n = 0; n < 200000; n++) {
		struct vnet_hdr hdr = {
			.flags = next_random(&state) % 8,
			.gso_type = next_random(&state) % 6 | (next_random(&state) % 4 ? 0 : 0x80),
			.gso_size = next_random(&state) >> (16 + next_random(&state) % 16),
			.csum_start = next_random(&state) >> (16 + next_random(&state) % 16),
			.csum_offset = next_random(&state) >> (16 + next_random(&state) % 16),
		};
		struct vnet_hdr_verdict v;
		unsigned int len = next_random(&state) >> (16 + next_random(&state) % 16);

		len += ETH_HLEN;
		if (check(&hdr, len, &v))
			continue;
		accepted++;
		KUNIT_ASSERT_LE(test, v.pull, len);
		if (v.csum == VNET_CSUM_PARTIAL) {
			KUNIT_ASSERT_LE(test, v.csum_start + v.csum_offset + 2U, len);
			KUNIT_ASSERT_LE(test, v.csum_start + v.csum_offset + 2U, v.pull);
		}
		if (v.gso == VNET_GSO_NONE || v.find)
			continue;
		KUNIT_ASSERT_LE(test, v.transport + transport_len(v.gso), len);
		KUNIT_ASSERT_GT(test, v.gso_size, (u16)0);
		KUNIT_ASSERT_LT(test, v.gso_size, (u16)0xffff);
		KUNIT_ASSERT_LT(test, (unsigned int)v.gso_size, len);
	}
	KUNIT_EXPECT_GT(test, accepted, 1000U);
}

static struct kunit_case hdr_cases[] = {
	KUNIT_CASE(plain_packet_promises_nothing),
	KUNIT_CASE(data_valid_counts_only_if_negotiated),
	KUNIT_CASE(unknown_flags_are_ignored),
	KUNIT_CASE(partial_checksum_must_lie_in_the_packet),
	KUNIT_CASE(partial_checksum_in_the_network_header_is_refused),
	KUNIT_CASE(partial_checksum_must_be_negotiated),
	KUNIT_CASE(each_type_is_recognised),
	KUNIT_CASE(types_must_be_negotiated),
	KUNIT_CASE(unknown_types_are_refused),
	KUNIT_CASE(ecn_is_for_tcp_and_negotiated),
	KUNIT_CASE(segment_size_must_make_sense),
	KUNIT_CASE(one_segment_is_no_gso),
	KUNIT_CASE(headers_must_fit_the_packet),
	KUNIT_CASE(checksum_must_belong_to_the_protocol),
	KUNIT_CASE(uso_has_limits),
	KUNIT_CASE(transport_is_found_behind_ipv4),
	KUNIT_CASE(transport_is_found_behind_ipv6),
	KUNIT_CASE(packet_must_be_what_its_type_says),
	KUNIT_CASE(broken_network_headers_are_refused),
	KUNIT_CASE(checksum_in_hardware_asks_for_the_transport_header),
	KUNIT_CASE(accepted_headers_stay_in_the_packet),
	{}
};

static struct kunit_suite hdr_suite = {
	.name = "vrh_net_hdr",
	.test_cases = hdr_cases,
};

kunit_test_suite(hdr_suite);

MODULE_DESCRIPTION("KUnit tests of virtio_net_rh's header checks");
MODULE_LICENSE("GPL");
