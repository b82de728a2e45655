// SPDX-License-Identifier: GPL-2.0-only
/*
 * The control queues of the simulated console (VIRTIO 1.3, 5.3.6.2): hears what the
 * driver says of its ports and judges it, tells it about the host's. Does what QEMU
 * does, but for messages that find no buffer: these wait, unless told otherwise.
 *
 * Violations:
 * - a message that has not the 8 bytes of its layout, or a device-writable part; a
 *   buffer that has no room for them, or a device-readable part;
 * - more than one descriptor without VIRTIO_F_VERSION_1 and VIRTIO_F_ANY_LAYOUT;
 * - an event that is not DEVICE_READY, PORT_READY or PORT_OPEN, a value that is
 *   neither 0 nor 1;
 * - a port that cannot be, or was never there. A port that was there is only counted:
 *   its PORT_REMOVE may not have been seen, or a suspended driver may ask for it.
 *   So is one that a raw message has announced;
 * - anything about a port before DEVICE_READY, which the driver MUST send. The
 *   in-tree driver does this when it resumes;
 * - PORT_OPEN before PORT_READY.
 *
 * Not violations, because the specification does not rule them out and drivers have
 * reasons: a second DEVICE_READY or PORT_READY (answered once more), a PORT_READY
 * that nothing asked for since the reset (its PORT_ADD may have found no buffer), a
 * PORT_OPEN that changes nothing. That a CONSOLE_PORT is answered by a PORT_OPEN is
 * a driver's duty without a term; sim_console_port_state() shows it.
 */
#include <linux/export.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "console.h"

/**
 * struct sim_con_size - what follows the header of a RESIZE message
 * @cols: characters
 * @rows: characters
 *
 * In the driver's endianness.
 */
struct sim_con_size {
	__virtio16 cols;
	__virtio16 rows;
};

static_assert(sizeof(struct sim_con_size) == 4);
static_assert(sizeof(struct virtio_console_control) == 8);

/**
 * struct sim_con_message - a message that waits for a buffer
 * @node: in struct sim_con_ctrl.messages
 * @event: index of its counter
 * @len: bytes at @bytes
 * @bytes: as the driver gets them
 */
struct sim_con_message {
	struct list_head node;
	unsigned int event;
	u32 len;
	u8 bytes[];
};

static bool ctrl_little_endian(struct sim_con *con)
{
	return virtio_is_little_endian(&con->sim->vdev);
}

static unsigned int ctrl_counter(u16 event)
{
	return min_t(unsigned int, event, SIM_CONSOLE_EVENTS - 1);
}

/* To the driver */

static int ctrl_post(struct sim_con *con, u32 id, u16 event, u16 value, const void *bytes,
		     size_t len)
{
	bool le = ctrl_little_endian(con);
	struct virtio_console_control header = {
		.id = __cpu_to_virtio32(le, id),
		.event = __cpu_to_virtio16(le, event),
		.value = __cpu_to_virtio16(le, value),
	};
	struct sim_con_message *msg = NULL;
	size_t size = struct_size(msg, bytes, sizeof(header) + len);

	if (con->ctrl.memory + size <= SIM_CON_MESSAGES)
		msg = kmalloc(size, GFP_KERNEL);
	if (!msg) {
		con->stats.dropped++;
		return -ENOSPC;
	}
	msg->event = ctrl_counter(event);
	msg->len = sizeof(header) + len;
	memcpy(msg->bytes, &header, sizeof(header));
	if (len)
		memcpy(msg->bytes + sizeof(header), bytes, len);
	list_add_tail(&msg->node, &con->ctrl.messages);
	con->ctrl.memory += size;
	con->stats.waiting++;
	sim_wake(con->sim);
	return 0;
}

static void ctrl_tell(struct sim_con *con, struct sim_con_port *port, u16 event, u16 value)
{
	ctrl_post(con, port->id, event, value, NULL, 0);
}

static void ctrl_tell_size(struct sim_con *con, struct sim_con_port *port)
{
	bool le = ctrl_little_endian(con);
	struct sim_con_size size = {
		.cols = __cpu_to_virtio16(le, port->cols),
		.rows = __cpu_to_virtio16(le, port->rows),
	};

	if (port->console && sim_has(con->sim, VIRTIO_CONSOLE_F_SIZE))
		ctrl_post(con, port->id, VIRTIO_CONSOLE_RESIZE, 0, &size, sizeof(size));
}

static void ctrl_tell_name(struct sim_con *con, struct sim_con_port *port)
{
	if (port->name)
		ctrl_post(con, port->id, VIRTIO_CONSOLE_PORT_NAME, 1, port->name,
			  port->name_len);
}

static void ctrl_announce(struct sim_con *con, struct sim_con_port *port)
{
	ctrl_tell(con, port, VIRTIO_CONSOLE_PORT_ADD, 1);
	port->announced = true;
}

static void ctrl_forget(struct sim_con *con, struct sim_con_message *msg)
{
	list_del(&msg->node);
	con->ctrl.memory -= struct_size(msg, bytes, msg->len);
	con->stats.waiting--;
	kfree(msg);
}

/* Legacy drivers have to use one descriptor (5.3.6.4). */
static void ctrl_check_framing(struct sim_con *con, const struct sim_chain *chain)
{
	unsigned int descs = chain->nr_out + chain->nr_in;

	if (descs > 1 && !sim_has(con->sim, VIRTIO_F_VERSION_1) &&
	    !sim_has(con->sim, VIRTIO_F_ANY_LAYOUT))
		sim_violation(con->sim, "control buffer in %u parts", descs);
}

static void ctrl_refill(struct sim_con *con)
{
	struct sim_queue *queue = &con->sim->queues[SIM_CON_CTRL_RX];
	struct sim_chain *chain;

	while (con->ctrl.nr_rx < SIM_CON_KEEP) {
		chain = sim_pop(queue);
		if (!chain)
			return;
		if (chain->nr_out || chain->in < sizeof(struct virtio_console_control))
			sim_violation(con->sim,
				      "control receive buffer: %u bytes to read, %u to write",
				      chain->out, chain->in);
		ctrl_check_framing(con, chain);
		list_add_tail(&chain->node, &con->ctrl.rx);
		con->ctrl.nr_rx++;
	}
}

static void ctrl_deliver(struct sim_con *con, struct sim_con_message *msg,
			 struct sim_chain *chain)
{
	u32 len = min(msg->len, chain->in);

	if (len < msg->len)
		con->stats.cut++;
	con->stats.to_driver[msg->event]++;
	sim_chain_write(chain, 0, msg->bytes, len);
	list_del(&chain->node);
	con->ctrl.nr_rx--;
	sim_use(&con->sim->queues[SIM_CON_CTRL_RX], chain, len);
}

/**
 * sim_con_ctrl_flush() - send the messages that wait
 * @con: a device with a driver that has VIRTIO_CONSOLE_F_MULTIPORT
 *
 * Context: the device's thread.
 */
void sim_con_ctrl_flush(struct sim_con *con)
{
	struct sim_con_message *msg, *next;
	struct sim_chain *chain;

	ctrl_refill(con);
	list_for_each_entry_safe(msg, next, &con->ctrl.messages, node) {
		if (list_empty(&con->ctrl.rx))
			ctrl_refill(con);
		chain = list_first_entry_or_null(&con->ctrl.rx, struct sim_chain, node);
		if (!chain && con->ctrl.patient)
			return;
		if (chain)
			ctrl_deliver(con, msg, chain);
		else
			con->stats.dropped++;
		ctrl_forget(con, msg);
	}
}

/* From the driver */

static void ctrl_device_ready(struct sim_con *con, bool ready)
{
	unsigned int id;

	if (!ready)
		con->stats.failed++;
	else if (con->ctrl.greeted)
		con->stats.repeats++;
	con->ctrl.greeted = ready;
	con->ctrl.listening = ready;
	for (id = 0; ready && id < con->nr_ports; id++) {
		struct sim_con_port *port = &con->ports[id];

		/* It MUST NOT name a port that is there, but QEMU does. */
		if (port->exists && !(port->announced && con->ctrl.patient))
			ctrl_announce(con, port);
	}
}

static void ctrl_port_ready(struct sim_con *con, struct sim_con_port *port, bool ready)
{
	if (!ready) {
		con->stats.failed++;
		port->ready = false;
		return;
	}
	if (port->ready)
		con->stats.repeats++;
	if (!port->announced)
		con->stats.unasked++;
	port->count.readies++;
	port->was_ready = true;
	if (!port->exists) {
		con->stats.stale++;
		return;
	}
	port->ready = true;
	con->ctrl.listening = true;
	if (port->console)
		ctrl_tell(con, port, VIRTIO_CONSOLE_CONSOLE_PORT, 1);
	ctrl_tell_size(con, port);
	ctrl_tell_name(con, port);
	if (port->host_open)
		ctrl_tell(con, port, VIRTIO_CONSOLE_PORT_OPEN, 1);
	sim_con_port_wake(con, port);
}

static void ctrl_port_open(struct sim_con *con, struct sim_con_port *port, bool open)
{
	if (!port->was_ready)
		sim_violation(con->sim, "port %u: PORT_OPEN before PORT_READY", port->id);
	/* The one that was there before the port that has its number now. */
	if (!port->exists || (port->was_ready && !port->ready)) {
		con->stats.stale++;
		return;
	}
	if (port->guest_open == open)
		con->stats.repeats++;
	else
		port->count.opens += open;
	port->guest_open = open;
	sim_con_port_wake(con, port);
}

/* The bytes of a message were changed on their way: who knows what they said. */
static bool ctrl_twisted(struct sim_con *con)
{
	return con->sim->stats.by_op[SIM_PATCH];
}

static void ctrl_hear_port(struct sim_con *con, u32 id, u16 event, u16 value)
{
	bool refused = event == VIRTIO_CONSOLE_PORT_READY && !value;
	struct sim_con_port *port;

	if (!con->ctrl.greeted)
		sim_violation(con->sim, "port %u: event %u before DEVICE_READY", id, event);
	if (id >= con->nr_ports) {
		if (refused && (con->ctrl.wild || ctrl_twisted(con)))
			con->stats.stale++;
		else
			sim_violation(con->sim, "port %u of %u: event %u", id, con->nr_ports,
				      event);
		return;
	}
	port = &con->ports[id];
	if (!port->known && !ctrl_twisted(con))
		sim_violation(con->sim, "port %u was never there: event %u", id, event);
	if (event == VIRTIO_CONSOLE_PORT_READY)
		ctrl_port_ready(con, port, value);
	else
		ctrl_port_open(con, port, value);
}

static void ctrl_hear(struct sim_con *con, struct sim_chain *chain)
{
	bool le = ctrl_little_endian(con);
	struct virtio_console_control header;
	u16 event, value;
	u32 id;

	if (chain->nr_in || chain->out != sizeof(header))
		sim_violation(con->sim, "control message: %u bytes to read, %u to write",
			      chain->out, chain->in);
	ctrl_check_framing(con, chain);
	if (sim_chain_read(chain, 0, &header, sizeof(header)) < sizeof(header))
		return;
	id = __virtio32_to_cpu(le, header.id);
	event = __virtio16_to_cpu(le, header.event);
	value = __virtio16_to_cpu(le, header.value);
	con->stats.from_driver[ctrl_counter(event)]++;
	if (value > 1)
		sim_violation(con->sim, "port %u: event %u with value %u", id, event, value);

	switch (event) {
	case VIRTIO_CONSOLE_DEVICE_READY:
		ctrl_device_ready(con, value);
		break;
	case VIRTIO_CONSOLE_PORT_READY:
	case VIRTIO_CONSOLE_PORT_OPEN:
		ctrl_hear_port(con, id, event, value);
		break;
	default:
		sim_violation(con->sim, "port %u: event %u is not the driver's", id, event);
		break;
	}
}

/**
 * sim_con_ctrl_drain() - hear what the driver has said
 * @con: a device with a driver that has VIRTIO_CONSOLE_F_MULTIPORT
 *
 * All that was in the ring when it was called; a driver that goes on talking comes
 * again in the thread's next turn. As with QEMU, answers are in their buffers before
 * that of the question is used.
 *
 * Context: the device's thread.
 */
void sim_con_ctrl_drain(struct sim_con *con)
{
	struct sim_queue *queue = &con->sim->queues[SIM_CON_CTRL_TX];
	unsigned int budget = max_t(unsigned int, queue->num, 1);
	struct sim_chain *chain;

	for (; budget; budget--) {
		chain = sim_pop(queue);
		if (!chain)
			return;
		ctrl_hear(con, chain);
		sim_con_ctrl_flush(con);
		sim_use(queue, chain, 0);
	}
	sim_wake(con->sim);
}

/* The host's doings */

/* Has the driver a port that it can be told about? */
static bool ctrl_told(struct sim_con *con, const struct sim_con_port *port)
{
	return con->ctrl.listening && port->exists && port->ready;
}

/**
 * sim_con_ctrl_added() - a port was added
 * @con: the device
 * @port: the port
 *
 * A driver that is not listening yet hears of it when it is. The same goes for what
 * the following functions tell.
 */
void sim_con_ctrl_added(struct sim_con *con, struct sim_con_port *port)
{
	if (con->ctrl.listening)
		ctrl_announce(con, port);
}

/**
 * sim_con_ctrl_removed() - a port was removed
 * @con: the device
 * @port: the port
 */
void sim_con_ctrl_removed(struct sim_con *con, struct sim_con_port *port)
{
	/* A driver that resumed may know of it without our saying so. */
	if (con->ctrl.listening && (port->announced || port->was_ready))
		ctrl_tell(con, port, VIRTIO_CONSOLE_PORT_REMOVE, 1);
	port->announced = false;
}

/**
 * sim_con_ctrl_opened() - the host's side was opened or closed
 * @con: the device
 * @port: the port
 */
void sim_con_ctrl_opened(struct sim_con *con, struct sim_con_port *port)
{
	if (ctrl_told(con, port))
		ctrl_tell(con, port, VIRTIO_CONSOLE_PORT_OPEN, port->host_open);
}

/**
 * sim_con_ctrl_resized() - a console has another size
 * @con: the device
 * @port: the port
 */
void sim_con_ctrl_resized(struct sim_con *con, struct sim_con_port *port)
{
	if (ctrl_told(con, port))
		ctrl_tell_size(con, port);
}

/**
 * sim_con_ctrl_named() - a port has another name
 * @con: the device
 * @port: the port
 */
void sim_con_ctrl_named(struct sim_con *con, struct sim_con_port *port)
{
	if (ctrl_told(con, port))
		ctrl_tell_name(con, port);
}

/**
 * sim_con_ctrl_raw() - send a message, whatever it says
 * @con: the device
 * @id: port
 * @event: what happened to it
 * @value: what else
 * @bytes: behind the header
 * @len: bytes there, up to SIM_BYTES_MAX
 *
 * Return: 0; -ENOTCONN if nobody can hear it; -ENOSPC if too many wait.
 */
int sim_con_ctrl_raw(struct sim_con *con, u32 id, u16 event, u16 value, const void *bytes,
		     size_t len)
{
	if (!con->live || !sim_con_multiport(con))
		return -ENOTCONN;
	if (event == VIRTIO_CONSOLE_PORT_ADD) {
		if (id < con->nr_ports) {
			con->ports[id].known = true;
			con->ports[id].announced = true;
		} else {
			con->ctrl.wild = true;
		}
	}
	return ctrl_post(con, id, event, value, bytes, len);
}

/* Life */

/**
 * sim_con_ctrl_init() - prepare a new device's struct sim_con_ctrl
 * @con: the device
 */
void sim_con_ctrl_init(struct sim_con *con)
{
	INIT_LIST_HEAD(&con->ctrl.rx);
	INIT_LIST_HEAD(&con->ctrl.messages);
	con->ctrl.patient = true;
}

/**
 * sim_con_ctrl_drop_rx() - give back receive buffers unused
 * @con: a device whose control receive queue was reset
 */
void sim_con_ctrl_drop_rx(struct sim_con *con)
{
	struct sim_chain *chain, *next;

	list_for_each_entry_safe(chain, next, &con->ctrl.rx, node) {
		list_del(&chain->node);
		sim_chain_drop(chain);
	}
	con->ctrl.nr_rx = 0;
}

/**
 * sim_con_ctrl_reset() - forget the driver
 * @con: a device that was reset
 */
void sim_con_ctrl_reset(struct sim_con *con)
{
	struct sim_con_message *msg, *next;

	sim_con_ctrl_drop_rx(con);
	list_for_each_entry_safe(msg, next, &con->ctrl.messages, node)
		ctrl_forget(con, msg);
	con->ctrl.greeted = false;
	con->ctrl.listening = false;
}

/* For tests */

/**
 * sim_console_send() - send a control message, whatever it says
 * @sim: a console
 * @id: port
 * @event: what happened to it
 * @value: what else
 * @bytes: behind the header
 * @len: bytes there, up to SIM_BYTES_MAX
 *
 * Return: 0; -EINVAL if it is too long; -ENOTCONN if there is no driver with
 * VIRTIO_CONSOLE_F_MULTIPORT; -ENOSPC if too many wait.
 */
int sim_console_send(struct sim_device *sim, u32 id, u16 event, u16 value, const void *bytes,
		     size_t len)
{
	int err;

	if (len > SIM_BYTES_MAX)
		return -EINVAL;
	sim_lock(sim);
	err = sim_con_ctrl_raw(sim->data, id, event, value, bytes, len);
	sim_unlock(sim);
	return err;
}
EXPORT_SYMBOL_GPL(sim_console_send);
