// SPDX-License-Identifier: GPL-2.0-only
/* What virtio_console_rh makes of control messages: sane, cut short, hostile. */
#include <kunit/test.h>
#include <linux/module.h>

#include "virtio_console_rh/ctrl_msg.c"

#define PORTS 31

/* A message as the device writes it; bytes behind @len are poison. */
struct wire {
	u8 bytes[8 + 2 * VCON_NAME_MAX];
	size_t len;
};

static void put_header(struct wire *w, u32 id, u16 event, u16 value)
{
	struct virtio_console_control hdr = {
		.id = __cpu_to_virtio32(true, id),
		.event = __cpu_to_virtio16(true, event),
		.value = __cpu_to_virtio16(true, value),
	};

	memset(w->bytes, 'x', sizeof(w->bytes));
	memcpy(w->bytes, &hdr, sizeof(hdr));
	w->len = sizeof(hdr);
}

static void put_bytes(struct wire *w, const void *bytes, size_t len)
{
	memcpy(w->bytes + w->len, bytes, len);
	w->len += len;
}

static int parse(const struct wire *w, struct vcon_ctrl_msg *msg)
{
	memset(msg, 0xaa, sizeof(*msg));
	return vcon_ctrl_parse(w->bytes, w->len, true, PORTS, msg);
}

static int parse_name(struct wire *w, const char *name, size_t len, struct vcon_ctrl_msg *msg)
{
	put_header(w, 1, VIRTIO_CONSOLE_PORT_NAME, 1);
	put_bytes(w, name, len);
	return parse(w, msg);
}

static void header_is_decoded(struct kunit *test)
{
	static const u16 events[] = {
		VIRTIO_CONSOLE_PORT_ADD, VIRTIO_CONSOLE_PORT_REMOVE,
		VIRTIO_CONSOLE_CONSOLE_PORT, VIRTIO_CONSOLE_PORT_OPEN,
	};
	struct vcon_ctrl_msg msg;
	struct wire w;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(events); i++) {
		put_header(&w, 30, events[i], 0x1234);
		KUNIT_ASSERT_EQ(test, parse(&w, &msg), 0);
		KUNIT_EXPECT_EQ(test, msg.id, 30u);
		KUNIT_EXPECT_EQ(test, (int)msg.event, (int)events[i]);
		KUNIT_EXPECT_EQ(test, (int)msg.value, 0x1234);
		KUNIT_EXPECT_STREQ(test, msg.name, "");
	}
}

static void both_byte_orders_are_decoded(struct kunit *test)
{
	static const u8 little[] = { 3, 0, 0, 0, 5, 0, 0, 1, 80, 0, 24, 0 };
	struct vcon_ctrl_msg msg;
	/* A legacy device has the order of the guest, which may be either. */
	struct virtio_console_control hdr = {
		.id = __cpu_to_virtio32(false, 3),
		.event = __cpu_to_virtio16(false, VIRTIO_CONSOLE_PORT_OPEN),
		.value = __cpu_to_virtio16(false, 1),
	};

	KUNIT_ASSERT_EQ(test, vcon_ctrl_parse(little, sizeof(little), true, PORTS, &msg), 0);
	KUNIT_EXPECT_EQ(test, msg.id, 3u);
	KUNIT_EXPECT_EQ(test, (int)msg.value, 256);
	KUNIT_EXPECT_EQ(test, (int)msg.cols, 80);
	KUNIT_EXPECT_EQ(test, (int)msg.rows, 24);

	KUNIT_ASSERT_EQ(test, vcon_ctrl_parse(&hdr, sizeof(hdr), false, PORTS, &msg), 0);
	KUNIT_EXPECT_EQ(test, msg.id, 3u);
	KUNIT_EXPECT_EQ(test, (int)msg.event, VIRTIO_CONSOLE_PORT_OPEN);
	KUNIT_EXPECT_EQ(test, (int)msg.value, 1);
}

static void short_messages_are_refused(struct kunit *test)
{
	struct vcon_ctrl_msg msg;
	struct wire w;

	put_header(&w, 0, VIRTIO_CONSOLE_PORT_ADD, 1);
	for (w.len = 0; w.len < 8; w.len++)
		KUNIT_EXPECT_EQ(test, parse(&w, &msg), -EMSGSIZE);
	put_header(&w, 0, VIRTIO_CONSOLE_RESIZE, 0);
	for (w.len = 8; w.len < 12; w.len++)
		KUNIT_EXPECT_EQ(test, parse(&w, &msg), -EMSGSIZE);
	KUNIT_EXPECT_EQ(test, parse(&w, &msg), 0);
}

static void ids_out_of_range_are_refused(struct kunit *test)
{
	static const u32 ids[] = { PORTS, PORTS + 1, 0x10000, 0x80000000, U32_MAX };
	struct vcon_ctrl_msg msg;
	struct wire w;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		put_header(&w, ids[i], VIRTIO_CONSOLE_PORT_ADD, 1);
		KUNIT_EXPECT_EQ(test, parse(&w, &msg), -ERANGE);
	}
}

static void events_of_the_driver_are_refused(struct kunit *test)
{
	static const u16 events[] = {
		VIRTIO_CONSOLE_DEVICE_READY, VIRTIO_CONSOLE_PORT_READY, 8, 0x100, U16_MAX,
	};
	struct vcon_ctrl_msg msg;
	struct wire w;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(events); i++) {
		put_header(&w, 0, events[i], 1);
		KUNIT_EXPECT_EQ(test, parse(&w, &msg), -EPROTO);
	}
}

static void names_end_at_the_message_or_at_a_nul(struct kunit *test)
{
	struct vcon_ctrl_msg msg;
	struct wire w;

	KUNIT_ASSERT_EQ(test, parse_name(&w, "org.qemu", 8, &msg), 0);
	KUNIT_EXPECT_STREQ(test, msg.name, "org.qemu");
	KUNIT_ASSERT_EQ(test, parse_name(&w, "org.qemu", 9, &msg), 0);
	KUNIT_EXPECT_STREQ(test, msg.name, "org.qemu");
	KUNIT_ASSERT_EQ(test, parse_name(&w, "a\0bc", 4, &msg), 0);
	KUNIT_EXPECT_STREQ(test, msg.name, "a");
}

static void empty_names_are_refused(struct kunit *test)
{
	struct vcon_ctrl_msg msg;
	struct wire w;

	KUNIT_EXPECT_EQ(test, parse_name(&w, "", 0, &msg), -ENODATA);
	KUNIT_EXPECT_EQ(test, parse_name(&w, "\0abc", 4, &msg), -ENODATA);
}

static void names_are_bounded(struct kunit *test)
{
	char *name = kunit_kzalloc(test, 2 * VCON_NAME_MAX, GFP_KERNEL);
	struct vcon_ctrl_msg msg;
	struct wire w;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, name);
	memset(name, 'n', 2 * VCON_NAME_MAX);
	KUNIT_ASSERT_EQ(test, parse_name(&w, name, VCON_NAME_MAX, &msg), 0);
	KUNIT_EXPECT_EQ(test, strlen(msg.name), (size_t)VCON_NAME_MAX);
	KUNIT_EXPECT_EQ(test, parse_name(&w, name, VCON_NAME_MAX + 1, &msg), -ENAMETOOLONG);
	KUNIT_EXPECT_EQ(test, parse_name(&w, name, 2 * VCON_NAME_MAX, &msg), -ENAMETOOLONG);
	name[VCON_NAME_MAX] = '\0';
	KUNIT_ASSERT_EQ(test, parse_name(&w, name, 2 * VCON_NAME_MAX, &msg), 0);
	KUNIT_EXPECT_EQ(test, strlen(msg.name), (size_t)VCON_NAME_MAX);
}

static void names_cannot_leave_their_directory(struct kunit *test)
{
	struct vcon_ctrl_msg msg;
	struct wire w;

	KUNIT_ASSERT_EQ(test, parse_name(&w, "../../etc/x", 11, &msg), 0);
	KUNIT_EXPECT_STREQ(test, msg.name, ".._.._etc_x");
	KUNIT_ASSERT_EQ(test, parse_name(&w, ".", 1, &msg), 0);
	KUNIT_EXPECT_STREQ(test, msg.name, "_");
	KUNIT_ASSERT_EQ(test, parse_name(&w, "..", 2, &msg), 0);
	KUNIT_EXPECT_STREQ(test, msg.name, "_.");
	KUNIT_ASSERT_EQ(test, parse_name(&w, "a\x1b[2J\n\x7f", 7, &msg), 0);
	KUNIT_EXPECT_STREQ(test, msg.name, "a_[2J__");
	KUNIT_ASSERT_EQ(test, parse_name(&w, "caf\xc3\xa9", 5, &msg), 0);
	KUNIT_EXPECT_STREQ(test, msg.name, "caf\xc3\xa9");
}

/* Any bytes at all: no crash, and what is accepted keeps its promises. */
static void noise_keeps_the_promises(struct kunit *test)
{
	struct vcon_ctrl_msg msg;
	u64 state = 0x9e3779b97f4a7c15;
	unsigned int round, accepted = 0;
	struct wire w;
	size_t i;
	int err;

	for (round = 0; round < 20000; round++) {
		for (i = 0; i < sizeof(w.bytes); i++) {
			state ^= state << 13;
			state ^= state >> 7;
			state ^= state << 17;
			w.bytes[i] = state >> 24;
		}
		/* Otherwise hardly any would get past the header. */
		w.bytes[1] = 0;
		w.bytes[2] = 0;
		w.bytes[3] = 0;
		w.bytes[4] %= 10;
		w.bytes[5] = 0;
		w.len = state % (sizeof(w.bytes) + 1);
		err = parse(&w, &msg);
		if (err)
			continue;
		accepted++;
		KUNIT_ASSERT_LT(test, msg.id, (u32)PORTS);
		KUNIT_ASSERT_LE(test, strnlen(msg.name, sizeof(msg.name)), (size_t)VCON_NAME_MAX);
		KUNIT_ASSERT_NULL(test, strchr(msg.name, '/'));
	}
	KUNIT_EXPECT_GT(test, accepted, 100);
}

static struct kunit_case console_msg_cases[] = {
	KUNIT_CASE(header_is_decoded),
	KUNIT_CASE(both_byte_orders_are_decoded),
	KUNIT_CASE(short_messages_are_refused),
	KUNIT_CASE(ids_out_of_range_are_refused),
	KUNIT_CASE(events_of_the_driver_are_refused),
	KUNIT_CASE(names_end_at_the_message_or_at_a_nul),
	KUNIT_CASE(empty_names_are_refused),
	KUNIT_CASE(names_are_bounded),
	KUNIT_CASE(names_cannot_leave_their_directory),
	KUNIT_CASE(noise_keeps_the_promises),
	{ }
};

static struct kunit_suite console_msg_suite = {
	.name = "console_msg",
	.test_cases = console_msg_cases,
};

kunit_test_suite(console_msg_suite);

MODULE_DESCRIPTION("KUnit suite of virtio_console_rh's control messages");
MODULE_LICENSE("GPL");
