/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Messages that the device sends on the control receive queue, decoded and
 * checked (VIRTIO 1.3, 5.3.6.2). Touches no device.
 */
#ifndef VCON_CTRL_MSG_H
#define VCON_CTRL_MSG_H

#include <linux/types.h>

/*
 * Bytes of a port's name, without the closing NUL: the name becomes a file
 * below /dev/virtio-ports, and NAME_MAX is what a file system takes.
 */
#define VCON_NAME_MAX 255

/**
 * struct vcon_ctrl_msg - a decoded message of the device
 * @id: port number, below the limit that vcon_ctrl_parse() was given
 * @event: VIRTIO_CONSOLE_PORT_ADD, _PORT_REMOVE, _CONSOLE_PORT, _RESIZE,
 *	_PORT_OPEN or _PORT_NAME
 * @value: as sent; a flag for CONSOLE_PORT and PORT_OPEN
 * @cols: width in characters, RESIZE only
 * @rows: height in characters, RESIZE only
 * @name: NUL-terminated, not empty, fit to be a file name, PORT_NAME only
 */
struct vcon_ctrl_msg {
	u32 id;
	u16 event;
	u16 value;
	u16 cols;
	u16 rows;
	char name[VCON_NAME_MAX + 1];
};

int vcon_ctrl_parse(const void *buf, size_t len, bool little_endian, u32 max_ports,
		    struct vcon_ctrl_msg *msg);

#endif
