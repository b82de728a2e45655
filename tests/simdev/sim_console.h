/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The simulated console (VIRTIO 1.3, 5.3), for who makes one: its operations, what
 * can be read of it, and the bytes on both sides.
 *
 * A new device has port 0 alone, a console whose host side is open; ADD makes others.
 * All functions take the device's lock: process context. What they start is done by
 * the device's thread a moment later.
 */
#ifndef VRH_SIM_CONSOLE_H
#define VRH_SIM_CONSOLE_H

#include <linux/types.h>

#include "simdev.h"

/* Two queues for each port, and two for control: SIM_QUEUES_MAX. */
#define SIM_CONSOLE_PORTS_MAX	511
/* The size that config space and new ports begin with. */
#define SIM_CONSOLE_COLS	80
#define SIM_CONSOLE_ROWS	24
/* Input that waits for the driver, by port. */
#define SIM_CONSOLE_INPUT_MAX	(256 * 1024)
/* Output that was recorded and not yet taken, by port. */
#define SIM_CONSOLE_RECORD_MAX	(1024 * 1024)
/* Emergency characters that are kept, the first ones. */
#define SIM_CONSOLE_LOG_MAX	1024
/* Counters by event: those of the specification, and one for all the others. */
#define SIM_CONSOLE_EVENTS	9

/**
 * enum sim_console_op - operations of this model
 *
 * "id" is a port number. -EINVAL if one is not below max_nr_ports, or if a field makes
 * no sense; -ENOENT if the device has no such port.
 *
 * @SIM_CONSOLE_ADD: "add": the port @value comes into being, with the name @bytes
 *	(none if empty). @at 1: a console, open on the host's side from the start; @at
 *	0: a serial port, closed. -EEXIST if it is there
 * @SIM_CONSOLE_REMOVE: "remove": the port @value goes, with the input that waits; what
 *	was recorded stays
 * @SIM_CONSOLE_HOSTOPEN: "hostopen": @value is id | open << 32; open is 0 or 1. The
 *	driver hears of changes only. Closing ends a stall, and output is thrown away
 *	while the host is closed, as with QEMU
 * @SIM_CONSOLE_RESIZE: "resize": @value is id | cols << 32 | rows << 48, of a console.
 *	A RESIZE message if VIRTIO_CONSOLE_F_SIZE was negotiated
 * @SIM_CONSOLE_INPUT: "input": @bytes are input of the port @value. @at 1: from now on
 *	its input does not wait for the driver's PORT_OPEN, as with some hosts.
 *	-ENOSPC if more than SIM_CONSOLE_INPUT_MAX would wait: the rest is lost
 * @SIM_CONSOLE_FLOOD: "flood": @at more bytes of input for the port @value, behind
 *	what waits: see sim_console_flood_byte()
 * @SIM_CONSOLE_NAME: "name": the port @value is called @bytes, which may be anything;
 *	a NUL at the end, as QEMU sends it against the specification, is the caller's
 * @SIM_CONSOLE_MESSAGE: "message": a control message with @value id | event << 32 |
 *	value << 48 and @bytes behind it, whatever they are. -ENOTCONN if there is no
 *	driver with VIRTIO_CONSOLE_F_MULTIPORT
 * @SIM_CONSOLE_ECHO: "echo": @value is id | mode << 32, an enum sim_console_mode
 * @SIM_CONSOLE_STALL: "stall": @value is id | on << 32: while on, the host does not
 *	read, and the port's transmit buffers stay in the ring
 * @SIM_CONSOLE_PATIENCE: "patience": what becomes of messages that find no buffer.
 *	@value 1: they wait, up to a limit; 0: they are lost, as with QEMU. 1 at first
 * @SIM_CONSOLE_SIZE: "size": @value is cols | rows << 16, into config space, with an
 *	interrupt; VIRTIO_CONSOLE_F_SIZE must be offered
 */
enum sim_console_op {
	SIM_CONSOLE_ADD = SIM_MODEL,
	SIM_CONSOLE_REMOVE,
	SIM_CONSOLE_HOSTOPEN,
	SIM_CONSOLE_RESIZE,
	SIM_CONSOLE_INPUT,
	SIM_CONSOLE_FLOOD,
	SIM_CONSOLE_NAME,
	SIM_CONSOLE_MESSAGE,
	SIM_CONSOLE_ECHO,
	SIM_CONSOLE_STALL,
	SIM_CONSOLE_PATIENCE,
	SIM_CONSOLE_SIZE,
};

/**
 * enum sim_console_mode - what becomes of a port's output
 * @SIM_CONSOLE_COUNT: counted
 * @SIM_CONSOLE_ECHO_BACK: the port's input; transmit buffers wait while
 *	SIM_CONSOLE_INPUT_MAX is reached
 * @SIM_CONSOLE_RECORD: kept for sim_console_take(); transmit buffers wait while
 *	SIM_CONSOLE_RECORD_MAX is reached. Leaving this mode forgets what was kept
 */
enum sim_console_mode {
	SIM_CONSOLE_COUNT,
	SIM_CONSOLE_ECHO_BACK,
	SIM_CONSOLE_RECORD,
};

/**
 * struct sim_console_port_state - a port, as the device sees it
 * @exists: the device has it
 * @console: the device calls it a console
 * @host_open: the host's side is open
 * @announced: PORT_ADD was sent since the last reset
 * @ready: PORT_READY with 1 was heard since then, and since the port exists
 * @guest_open: what PORT_OPEN said last; without VIRTIO_CONSOLE_F_MULTIPORT true for
 *	port 0 as long as there is a driver
 * @readies: PORT_READY messages with 1 so far
 * @opens: times that @guest_open became true
 * @output: bytes of output, without @discarded
 * @discarded: bytes of output thrown away: the host was closed, or there was no port
 * @input: bytes of input in buffers that were used
 * @waiting: bytes of input that wait, those of a flood included
 * @recorded: bytes for sim_console_take()
 *
 * Counters never go back.
 */
struct sim_console_port_state {
	bool exists;
	bool console;
	bool host_open;
	bool announced;
	bool ready;
	bool guest_open;
	u64 readies;
	u64 opens;
	u64 output;
	u64 discarded;
	u64 input;
	u64 waiting;
	u64 recorded;
};

/**
 * struct sim_console_stats - control messages and emergency characters so far
 * @to_driver: messages in buffers that were used, by event
 * @from_driver: messages heard, by event; too short ones are not among them
 * @dropped: messages to the driver that found no buffer, or no room to wait for one
 * @cut: messages to the driver that were longer than their buffer
 * @waiting: messages that wait for a buffer now
 * @repeats: the driver said what it had said before: DEVICE_READY, PORT_READY,
 *	PORT_OPEN with the value it has
 * @unasked: PORT_READY for ports that were not announced since the last reset
 * @stale: messages about a port that was there before (the driver may not know yet
 *	that it has gone), or that only a raw message or a patched one told of
 * @failed: DEVICE_READY and PORT_READY messages with 0
 * @emergency: emergency characters
 *
 * None of these is a violation by itself. What is: see console_ctrl.c.
 */
struct sim_console_stats {
	u64 to_driver[SIM_CONSOLE_EVENTS];
	u64 from_driver[SIM_CONSOLE_EVENTS];
	u64 dropped;
	u64 cut;
	u64 waiting;
	u64 repeats;
	u64 unasked;
	u64 stale;
	u64 failed;
	u64 emergency;
};

int sim_console_port_state(struct sim_device *sim, u32 id, struct sim_console_port_state *state);
void sim_console_stats(struct sim_device *sim, struct sim_console_stats *stats);
size_t sim_console_emergency(struct sim_device *sim, char *text, size_t size);
size_t sim_console_take(struct sim_device *sim, u32 id, void *bytes, size_t size);
size_t sim_console_push(struct sim_device *sim, u32 id, const void *bytes, size_t len);
int sim_console_send(struct sim_device *sim, u32 id, u16 event, u16 value, const void *bytes,
		     size_t len);

/**
 * sim_console_flood_byte() - a byte of a flood
 * @at: its number among all flood bytes of this port since it was added, modulo 2^32
 *
 * The top byte of a product (2^32 by the golden ratio): a piece that is lost, moved
 * or doubled shows.
 *
 * Return: the byte.
 */
static inline u8 sim_console_flood_byte(u32 at)
{
	return (at * 2654435769U) >> 24;
}

#endif
