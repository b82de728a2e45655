// SPDX-License-Identifier: GPL-2.0-only
/*
 * Decodes control messages. Pure: bytes in, a checked structure or an error out;
 * no device, no lock, no allocation. KUnit: tests/kunit/console_msg_test.c.
 */
#include <linux/build_bug.h>
#include <linux/ctype.h>
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/virtio_byteorder.h>
#include <linux/virtio_console.h>

#include "ctrl_msg.h"

/**
 * struct vcon_ctrl_resize - payload of VIRTIO_CONSOLE_RESIZE, in no header of the kernel
 * @cols: columns
 * @rows: rows
 */
struct vcon_ctrl_resize {
	__virtio16 cols;
	__virtio16 rows;
};

static_assert(sizeof(struct virtio_console_control) == 8);
static_assert(sizeof(struct vcon_ctrl_resize) == 4);

/*
 * A name must not step out of the directory it is linked in, nor put control
 * sequences on a terminal. Bytes of 128 and above stay: names may be UTF-8.
 */
static void vcon_name_clean(char *name)
{
	char *c;

	for (c = name; *c; c++)
		if (*c == '/' || iscntrl((unsigned char)*c))
			*c = '_';
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		name[0] = '_';
}

static int vcon_parse_name(const u8 *payload, size_t len, struct vcon_ctrl_msg *msg)
{
	/* Copied before it is looked at: the device can still write to @payload. */
	len = min_t(size_t, len, VCON_NAME_MAX + 1);
	memcpy(msg->name, payload, len);
	len = strnlen(msg->name, len);
	if (!len)
		return -ENODATA;
	if (len > VCON_NAME_MAX)
		return -ENAMETOOLONG;
	msg->name[len] = '\0';
	vcon_name_clean(msg->name);
	return 0;
}

static int vcon_parse_resize(const u8 *payload, size_t len, bool little_endian,
			     struct vcon_ctrl_msg *msg)
{
	struct vcon_ctrl_resize size;

	if (len < sizeof(size))
		return -EMSGSIZE;
	memcpy(&size, payload, sizeof(size));
	msg->cols = __virtio16_to_cpu(little_endian, size.cols);
	msg->rows = __virtio16_to_cpu(little_endian, size.rows);
	return 0;
}

/**
 * vcon_ctrl_parse() - decode one control message
 * @buf: what the device wrote; it may still change, so each byte is read once
 * @len: bytes in @buf that the device claims to have written, not more than
 *	@buf has
 * @little_endian: byte order of the device
 * @max_ports: ids from here on do not exist
 * @msg: receives the message; undefined after an error
 *
 * Return: 0; -EMSGSIZE: cut short; -ERANGE: no such port id; -ENODATA: an empty
 * name; -ENAMETOOLONG: a name over VCON_NAME_MAX bytes; -EPROTO: an event that a
 * device never sends.
 */
int vcon_ctrl_parse(const void *buf, size_t len, bool little_endian, u32 max_ports,
		    struct vcon_ctrl_msg *msg)
{
	const u8 *payload = (const u8 *)buf + sizeof(struct virtio_console_control);
	struct virtio_console_control hdr;

	if (len < sizeof(hdr))
		return -EMSGSIZE;
	memcpy(&hdr, buf, sizeof(hdr));
	len -= sizeof(hdr);

	msg->id = __virtio32_to_cpu(little_endian, hdr.id);
	msg->event = __virtio16_to_cpu(little_endian, hdr.event);
	msg->value = __virtio16_to_cpu(little_endian, hdr.value);
	msg->cols = 0;
	msg->rows = 0;
	msg->name[0] = '\0';
	if (msg->id >= max_ports)
		return -ERANGE;

	switch (msg->event) {
	case VIRTIO_CONSOLE_PORT_ADD:
	case VIRTIO_CONSOLE_PORT_REMOVE:
	case VIRTIO_CONSOLE_CONSOLE_PORT:
	case VIRTIO_CONSOLE_PORT_OPEN:
		return 0;
	case VIRTIO_CONSOLE_RESIZE:
		return vcon_parse_resize(payload, len, little_endian, msg);
	case VIRTIO_CONSOLE_PORT_NAME:
		return vcon_parse_name(payload, len, msg);
	default:
		return -EPROTO;
	}
}
