// SPDX-License-Identifier: GPL-2.0-only
/*
 * The data of the simulated console's ports: output from transmit buffers into what
 * the port does with it, input into receive buffers. Owns the FIFOs and the buffers
 * that are kept; knows nothing of control messages but what they have set.
 *
 * Violations: a device-writable part in a transmit buffer, a device-readable one in a
 * receive buffer (VIRTIO 1.3, 5.3.6), buffers without bytes, output on a port that
 * was never PORT_READY since the reset. Output of a port that the guest has closed
 * is none: PORT_OPEN takes another queue, and may be seen first.
 */
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "console.h"

/* FIFOs */

static int fifo_need(struct sim_con *con, struct sim_con_fifo *f, unsigned int size)
{
	if (f->data)
		return 0;
	if (size > SIM_CON_MEMORY - con->memory)
		return -ENOSPC;
	f->data = kvmalloc(size, GFP_KERNEL);
	if (!f->data)
		return -ENOMEM;
	f->size = size;
	con->memory += size;
	/* A power of two: this cannot fail. */
	return kfifo_init(&f->fifo, f->data, size);
}

static void fifo_free(struct sim_con *con, struct sim_con_fifo *f)
{
	kvfree(f->data);
	con->memory -= f->size;
	memset(f, 0, sizeof(*f));
}

static unsigned int fifo_room(struct sim_con_fifo *f)
{
	return f->data ? kfifo_avail(&f->fifo) : 0;
}

/* Output */

static struct sim_queue *port_queue(struct sim_con *con, const struct sim_con_port *port,
				    bool tx)
{
	return &con->sim->queues[(port->id ? 2 * port->id + 2 : 0) + tx];
}

/* Is there somebody on the host who takes output? */
static bool port_heard(struct sim_con *con, const struct sim_con_port *port)
{
	return port->host_open && (!sim_con_multiport(con) || port->exists);
}

/* Bytes that can be taken now. */
static unsigned int port_room(struct sim_con_port *port)
{
	switch (port->mode) {
	case SIM_CONSOLE_ECHO_BACK:
		return fifo_room(&port->input);
	case SIM_CONSOLE_RECORD:
		return fifo_room(&port->record);
	default:
		return SIM_CON_CHUNK;
	}
}

static void port_take(struct sim_con_port *port, const u8 *bytes, unsigned int len)
{
	if (port->mode == SIM_CONSOLE_ECHO_BACK)
		kfifo_in(&port->input.fifo, bytes, len);
	else if (port->mode == SIM_CONSOLE_RECORD)
		kfifo_in(&port->record.fifo, bytes, len);
	port->count.output += len;
}

static void port_check_output(struct sim_con *con, struct sim_con_port *port)
{
	const struct sim_chain *chain = port->tx;

	if (chain->nr_in || !chain->out)
		sim_violation(con->sim, "port %u: transmit buffer: %u bytes to read, %u to write",
			      port->id, chain->out, chain->in);
	if (!sim_con_multiport(con) || port->was_ready)
		return;
	/* What was sent before it may still lie in the other ring. */
	sim_con_ctrl_drain(con);
	/* Where a lie ended the hearing, the driver may have said so. */
	if (!port->was_ready && !con->sim->queues[SIM_CON_CTRL_TX].lied)
		sim_violation(con->sim, "port %u: %u bytes before PORT_READY", port->id,
			      chain->out);
}

/* Reads on in the buffer that is at hand. Returns the bytes that it moved. */
static unsigned int port_read(struct sim_con *con, struct sim_con_port *port,
			      unsigned int budget)
{
	unsigned int done = 0;
	unsigned int len;

	while (done < budget && port->tx_at < port->tx->out) {
		len = min3(port->tx->out - port->tx_at, port_room(port),
			   (unsigned int)SIM_CON_CHUNK);
		len = sim_chain_read(port->tx, port->tx_at, con->chunk, len);
		if (!len)
			break;
		port_take(port, con->chunk, len);
		port->tx_at += len;
		done += len;
	}
	return done;
}

static void port_drain(struct sim_con *con, struct sim_con_port *port)
{
	struct sim_queue *queue = port_queue(con, port, true);
	unsigned int budget = SIM_CON_BUDGET;
	struct sim_chain *chain;
	unsigned int len;

	while (budget) {
		if (port->stalled || sim_hurried(queue))
			return;
		if (!port->tx) {
			port->tx = sim_pop(queue);
			if (!port->tx)
				return;
			port->tx_at = 0;
			port_check_output(con, port);
		}
		chain = port->tx;
		len = 0;
		if (port_heard(con, port)) {
			len = port_read(con, port, budget);
			if (port->tx_at < chain->out && !port_room(port))
				return;
		} else {
			port->count.discarded += chain->out - port->tx_at;
			port->tx_at = chain->out;
		}
		budget -= min(budget, len + SIM_CON_BUFFER_COST);
		/* Out of budget amidst it, and not at an end that came too early? */
		if (port->tx_at < chain->out && !budget)
			break;
		port->tx = NULL;
		sim_use(queue, chain, 0);
	}
	sim_con_port_wake(con, port);
}

/* Input */

static bool port_has_input(const struct sim_con_port *port)
{
	return port->flood_left || !kfifo_is_empty(&port->input.fifo);
}

static bool port_listens(struct sim_con *con, const struct sim_con_port *port)
{
	if (!sim_con_multiport(con))
		return !port->id;
	if (!port->exists || !port->ready)
		return false;
	return port->eager || (port->host_open && port->guest_open);
}

static unsigned int port_next_input(struct sim_con_port *port, u8 *chunk, unsigned int room)
{
	unsigned int len = 0;
	unsigned int i;

	if (!kfifo_is_empty(&port->input.fifo))
		return kfifo_out(&port->input.fifo, chunk, room);
	len = min(room, port->flood_left);
	for (i = 0; i < len; i++)
		chunk[i] = sim_console_flood_byte(port->flood_at++);
	port->flood_left -= len;
	return len;
}

/* Takes receive buffers from the ring, to look at them before they are needed. */
static void port_refill(struct sim_con *con, struct sim_con_port *port)
{
	struct sim_queue *queue = port_queue(con, port, false);
	struct sim_chain *chain;

	while (port->nr_rx < SIM_CON_KEEP) {
		chain = sim_pop(queue);
		if (!chain)
			return;
		if (chain->nr_out || !chain->in)
			sim_violation(con->sim,
				      "port %u: receive buffer: %u bytes to read, %u to write",
				      port->id, chain->out, chain->in);
		list_add_tail(&chain->node, &port->rx);
		port->nr_rx++;
	}
}

/* Fills one receive buffer, or as much of it as the budget has. */
static unsigned int port_write(struct sim_con *con, struct sim_con_port *port,
			       struct sim_chain *chain, unsigned int budget)
{
	unsigned int room = min(chain->in, budget);
	unsigned int at = 0;
	unsigned int len;

	while (at < room) {
		len = port_next_input(port, con->chunk,
				      min_t(unsigned int, room - at, SIM_CON_CHUNK));
		if (!len)
			break;
		sim_chain_write(chain, at, con->chunk, len);
		at += len;
	}
	return at;
}

static void port_fill(struct sim_con *con, struct sim_con_port *port)
{
	struct sim_queue *queue = port_queue(con, port, false);
	unsigned int budget = SIM_CON_BUDGET;
	struct sim_chain *chain;
	unsigned int len;

	while (port_listens(con, port) && port_has_input(port)) {
		if (!budget) {
			sim_con_port_wake(con, port);
			return;
		}
		port_refill(con, port);
		chain = list_first_entry_or_null(&port->rx, struct sim_chain, node);
		if (!chain)
			return;
		len = port_write(con, port, chain, budget);
		list_del(&chain->node);
		port->nr_rx--;
		port->count.input += len;
		sim_use(queue, chain, len);
		budget -= min(budget, len + SIM_CON_BUFFER_COST);
	}
}

/* For the other files */

/**
 * sim_con_port_wake() - have the device's thread look at a port
 * @con: the device
 * @port: the port
 */
void sim_con_port_wake(struct sim_con *con, struct sim_con_port *port)
{
	__set_bit(port->id, con->due);
	sim_wake(con->sim);
}

/**
 * sim_con_port_pump() - move what can be moved, both ways
 * @con: a device with a driver
 * @port: a port, there or not
 *
 * Context: the device's thread.
 */
void sim_con_port_pump(struct sim_con *con, struct sim_con_port *port)
{
	if (port->id && !sim_con_multiport(con))
		return;
	port_refill(con, port);
	port_drain(con, port);
	port_fill(con, port);
	/* Filling made room for an echo. */
	if (port->tx && !port->stalled && port_room(port))
		sim_con_port_wake(con, port);
}

/**
 * sim_con_port_input() - queue input
 * @con: the device
 * @port: a port that exists
 * @bytes: the input
 * @len: bytes
 *
 * Return: how many it took, or an errno if the port cannot have any.
 */
int sim_con_port_input(struct sim_con *con, struct sim_con_port *port, const void *bytes,
		       size_t len)
{
	int err = fifo_need(con, &port->input, SIM_CONSOLE_INPUT_MAX);

	if (err)
		return err;
	len = kfifo_in(&port->input.fifo, bytes, min_t(size_t, len, SIM_CONSOLE_INPUT_MAX));
	sim_con_port_wake(con, port);
	return len;
}

/**
 * sim_con_port_mode() - choose what becomes of output
 * @con: the device
 * @port: a port that exists
 * @mode: what
 *
 * Return: 0 or an errno, if there is no memory to keep it.
 */
int sim_con_port_mode(struct sim_con *con, struct sim_con_port *port,
		      enum sim_console_mode mode)
{
	int err = 0;

	if (mode == SIM_CONSOLE_ECHO_BACK)
		err = fifo_need(con, &port->input, SIM_CONSOLE_INPUT_MAX);
	else if (mode == SIM_CONSOLE_RECORD)
		err = fifo_need(con, &port->record, SIM_CONSOLE_RECORD_MAX);
	if (err)
		return err;
	if (mode != SIM_CONSOLE_RECORD)
		fifo_free(con, &port->record);
	port->mode = mode;
	sim_con_port_wake(con, port);
	return 0;
}

/**
 * sim_con_port_drop_rx() - give back receive buffers unused
 * @port: a port whose receive queue was reset
 */
void sim_con_port_drop_rx(struct sim_con_port *port)
{
	struct sim_chain *chain, *next;

	list_for_each_entry_safe(chain, next, &port->rx, node) {
		list_del(&chain->node);
		sim_chain_drop(chain);
	}
	port->nr_rx = 0;
}

/**
 * sim_con_port_drop_tx() - give back the transmit buffer that is being read
 * @port: a port whose transmit queue was reset
 */
void sim_con_port_drop_tx(struct sim_con_port *port)
{
	if (port->tx)
		sim_chain_drop(port->tx);
	port->tx = NULL;
}

/**
 * sim_con_port_reset() - forget what was said about a port, and its buffers
 * @port: a port of a device that was reset
 *
 * Input that waits is for the next driver: it was not in any buffer yet.
 */
void sim_con_port_reset(struct sim_con_port *port)
{
	sim_con_port_drop_rx(port);
	sim_con_port_drop_tx(port);
	port->announced = false;
	port->ready = false;
	port->was_ready = false;
	port->guest_open = false;
}

/**
 * sim_con_port_add() - make a port
 * @port: one that does not exist
 * @console: it is a console
 * @name: its name, copied
 * @name_len: bytes of @name; 0 is no name
 *
 * Return: 0 or -ENOMEM.
 */
int sim_con_port_add(struct sim_con_port *port, bool console, const u8 *name, u16 name_len)
{
	u8 *copy = NULL;

	if (name_len) {
		copy = kmemdup(name, name_len, GFP_KERNEL);
		if (!copy)
			return -ENOMEM;
	}
	port->exists = true;
	port->known = true;
	port->console = console;
	port->host_open = console;
	port->cols = SIM_CONSOLE_COLS;
	port->rows = SIM_CONSOLE_ROWS;
	port->name = copy;
	port->name_len = name_len;
	return 0;
}

/**
 * sim_con_port_remove() - unmake a port
 * @con: the device
 * @port: a port that exists
 *
 * Its receive buffers stay for the next one with its number, as drivers expect. What
 * lies in the transmit queue is thrown away by the thread.
 */
void sim_con_port_remove(struct sim_con *con, struct sim_con_port *port)
{
	kfree(port->name);
	port->name = NULL;
	port->name_len = 0;
	port->exists = false;
	port->host_open = false;
	port->stalled = false;
	port->eager = false;
	port->ready = false;
	port->guest_open = false;
	port->mode = SIM_CONSOLE_COUNT;
	port->flood_at = 0;
	port->flood_left = 0;
	fifo_free(con, &port->input);
	sim_con_port_wake(con, port);
}

/**
 * sim_con_port_free() - free what a port has
 * @con: a device without a driver
 * @port: a port, there or not
 */
void sim_con_port_free(struct sim_con *con, struct sim_con_port *port)
{
	fifo_free(con, &port->input);
	fifo_free(con, &port->record);
	kfree(port->name);
}

/* For tests */

/**
 * sim_console_port_state() - look at a port
 * @sim: a console
 * @id: its number
 * @state: where to
 *
 * Return: 0, or -EINVAL if no port can have that number.
 */
int sim_console_port_state(struct sim_device *sim, u32 id, struct sim_console_port_state *state)
{
	struct sim_con *con = sim->data;
	struct sim_con_port *port;

	if (id >= con->nr_ports)
		return -EINVAL;
	sim_lock(sim);
	port = &con->ports[id];
	*state = (struct sim_console_port_state) {
		.exists = port->exists,
		.console = port->console,
		.host_open = port->host_open,
		.announced = port->announced,
		.ready = port->ready,
		.guest_open = port->guest_open,
		.readies = port->count.readies,
		.opens = port->count.opens,
		.output = port->count.output,
		.discarded = port->count.discarded,
		.input = port->count.input,
		.waiting = (u64)kfifo_len(&port->input.fifo) + port->flood_left,
		.recorded = kfifo_len(&port->record.fifo),
	};
	sim_unlock(sim);
	return 0;
}
EXPORT_SYMBOL_GPL(sim_console_port_state);

/**
 * sim_console_take() - take output that SIM_CONSOLE_RECORD kept
 * @sim: a console
 * @id: a port, there or removed
 * @bytes: where to
 * @size: room there
 *
 * Return: bytes, the oldest ones.
 */
size_t sim_console_take(struct sim_device *sim, u32 id, void *bytes, size_t size)
{
	struct sim_con *con = sim->data;
	struct sim_con_port *port;
	size_t len = 0;

	if (id >= con->nr_ports)
		return 0;
	sim_lock(sim);
	port = &con->ports[id];
	if (port->record.data) {
		len = kfifo_out(&port->record.fifo, bytes,
				min_t(size_t, size, SIM_CONSOLE_RECORD_MAX));
		sim_con_port_wake(con, port);
	}
	sim_unlock(sim);
	return len;
}
EXPORT_SYMBOL_GPL(sim_console_take);

/**
 * sim_console_push() - give a port input
 * @sim: a console
 * @id: a port that exists
 * @bytes: the input
 * @len: bytes
 *
 * Return: how many it took, the first ones.
 */
size_t sim_console_push(struct sim_device *sim, u32 id, const void *bytes, size_t len)
{
	struct sim_con *con = sim->data;
	int done = 0;

	if (id >= con->nr_ports)
		return 0;
	sim_lock(sim);
	if (con->ports[id].exists)
		done = sim_con_port_input(con, &con->ports[id], bytes, len);
	sim_unlock(sim);
	return max(done, 0);
}
EXPORT_SYMBOL_GPL(sim_console_push);
