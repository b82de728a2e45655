/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the console model share, grouped by the file that owns it. Nobody
 * else needs this: see sim_console.h.
 *
 * Everything is under the device's lock.
 */
#ifndef VRH_SIM_CON_H
#define VRH_SIM_CON_H

#include <linux/bitmap.h>
#include <linux/kfifo.h>
#include <linux/list.h>
#include <linux/virtio_console.h>

#include "sim_console.h"
#include "simdev.h"

static_assert(2 * (SIM_CONSOLE_PORTS_MAX + 1) <= SIM_QUEUES_MAX);

/* The queues for control; port 0 has those before them, the other ports the rest. */
#define SIM_CON_CTRL_RX		2
#define SIM_CON_CTRL_TX		3

/*
 * Receive buffers that the model takes out of a ring before it has something for
 * them, to look at them early. A chain may have SIM_CHAIN_MAX descriptors, so this
 * also bounds what a driver can have us allocate.
 */
#define SIM_CON_KEEP		64
/* Bytes to move for a port before others get their turn, and the lock is dropped. */
#define SIM_CON_BUDGET		(1024 * 1024)
/* What a buffer costs on top of its bytes, so that empty ones come to an end, too. */
#define SIM_CON_BUFFER_COST	256
/* Bytes to copy at a time. */
#define SIM_CON_CHUNK		4096
/* Memory of all ports' bytes: 256 of them can echo, or 64 record. */
#define SIM_CON_MEMORY		(64 * 1024 * 1024)
/* Memory of control messages that wait: all that 511 ports with long names provoke. */
#define SIM_CON_MESSAGES	(2 * 1024 * 1024)

struct sim_con;

/* console_port.c: the data of a port */

/**
 * struct sim_con_fifo - bytes that wait
 * @fifo: as the kernel has them
 * @data: their memory, or NULL: allocated when it is first needed
 * @size: bytes there
 */
struct sim_con_fifo {
	struct kfifo fifo;
	void *data;
	unsigned int size;
};

/**
 * struct sim_con_port - a port, there or not
 * @id: its number
 *
 * What the host has made of it, which outlives a reset:
 *
 * @exists: it is there
 * @known: a driver may have heard of it: it was there, or a raw message told of it
 * @console: it is a console
 * @host_open: the host's side is open
 * @stalled: the host does not read
 * @eager: input does not wait for anybody to open the port
 * @cols: characters
 * @rows: characters
 * @name_len: bytes of @name
 * @name: as PORT_NAME has it, or NULL
 *
 * What was said since the last reset:
 *
 * @announced: PORT_ADD
 * @ready: PORT_READY with 1, to the port that is there now
 * @was_ready: the same, to whichever port had the number
 * @guest_open: PORT_OPEN
 *
 * Data:
 *
 * @mode: of output
 * @input: waits for the driver
 * @record: waits for sim_console_take()
 * @flood_at: number of the next flood byte
 * @flood_left: flood bytes that wait
 * @rx: receive buffers, oldest first
 * @nr_rx: entries there
 * @tx: transmit buffer that the host has begun to read, or NULL
 * @tx_at: bytes read of it
 * @count: what sim_console_port_state() tells
 */
struct sim_con_port {
	u32 id;

	bool exists;
	bool known;
	bool console;
	bool host_open;
	bool stalled;
	bool eager;
	u16 cols;
	u16 rows;
	u16 name_len;
	u8 *name;

	bool announced;
	bool ready;
	bool was_ready;
	bool guest_open;

	enum sim_console_mode mode;
	struct sim_con_fifo input;
	struct sim_con_fifo record;
	u32 flood_at;
	u32 flood_left;
	struct list_head rx;
	unsigned int nr_rx;
	struct sim_chain *tx;
	u32 tx_at;
	struct {
		u64 readies;
		u64 opens;
		u64 output;
		u64 discarded;
		u64 input;
	} count;
};

int sim_con_port_add(struct sim_con_port *port, bool console, const u8 *name, u16 name_len);
void sim_con_port_remove(struct sim_con *con, struct sim_con_port *port);
void sim_con_port_free(struct sim_con *con, struct sim_con_port *port);
void sim_con_port_reset(struct sim_con_port *port);
void sim_con_port_drop_rx(struct sim_con_port *port);
void sim_con_port_drop_tx(struct sim_con_port *port);
void sim_con_port_wake(struct sim_con *con, struct sim_con_port *port);
void sim_con_port_pump(struct sim_con *con, struct sim_con_port *port);
int sim_con_port_input(struct sim_con *con, struct sim_con_port *port, const void *bytes,
		       size_t len);
int sim_con_port_mode(struct sim_con *con, struct sim_con_port *port,
		      enum sim_console_mode mode);

/* console_ctrl.c: the control queues */

/**
 * struct sim_con_ctrl - the control queues' state
 * @patient: messages wait for a buffer
 * @greeted: the driver has said DEVICE_READY since the last reset
 * @listening: it has said that, or that a port is ready: messages make sense
 * @wild: a raw PORT_ADD has named a port that cannot be
 * @rx: receive buffers, oldest first
 * @nr_rx: entries there
 * @messages: that wait for a buffer
 * @memory: bytes that @messages take
 */
struct sim_con_ctrl {
	bool patient;
	bool greeted;
	bool listening;
	bool wild;
	struct list_head rx;
	unsigned int nr_rx;
	struct list_head messages;
	size_t memory;
};

void sim_con_ctrl_init(struct sim_con *con);
void sim_con_ctrl_reset(struct sim_con *con);
void sim_con_ctrl_drop_rx(struct sim_con *con);
void sim_con_ctrl_flush(struct sim_con *con);
void sim_con_ctrl_drain(struct sim_con *con);
void sim_con_ctrl_added(struct sim_con *con, struct sim_con_port *port);
void sim_con_ctrl_removed(struct sim_con *con, struct sim_con_port *port);
void sim_con_ctrl_opened(struct sim_con *con, struct sim_con_port *port);
void sim_con_ctrl_resized(struct sim_con *con, struct sim_con_port *port);
void sim_con_ctrl_named(struct sim_con *con, struct sim_con_port *port);
int sim_con_ctrl_raw(struct sim_con *con, u32 id, u16 event, u16 value, const void *bytes,
		     size_t len);

/* console_draw.c: random actions */

void sim_con_draw(struct sim_device *sim, struct rnd_state *rnd, struct sim_action *action);

/* console.c: the device */

/**
 * struct sim_con - a console device
 * @sim: the device
 * @live: there is a driver, DRIVER_OK
 * @ctrl: its control queues
 * @memory: bytes in the FIFOs of all ports
 * @stats: what sim_console_stats() tells
 * @log: emergency characters
 * @drawn: bytes of the action that was drawn last
 * @chunk: for copying
 * @due: ports to look at
 * @nr_ports: entries of @ports
 * @ports: all that can be
 */
struct sim_con {
	struct sim_device *sim;
	bool live;
	struct sim_con_ctrl ctrl;
	size_t memory;
	struct sim_console_stats stats;
	char log[SIM_CONSOLE_LOG_MAX];
	u8 drawn[SIM_BYTES_MAX];
	u8 chunk[SIM_CON_CHUNK];
	DECLARE_BITMAP(due, SIM_CONSOLE_PORTS_MAX);
	unsigned int nr_ports;
	struct sim_con_port ports[];
};

/**
 * sim_con_multiport() - are there control queues, and ports but port 0?
 * @con: a device with a driver
 *
 * Return: whether the driver has negotiated VIRTIO_CONSOLE_F_MULTIPORT.
 */
static inline bool sim_con_multiport(const struct sim_con *con)
{
	return sim_has(con->sim, VIRTIO_CONSOLE_F_MULTIPORT);
}

#endif
