// SPDX-License-Identifier: GPL-2.0-only
/*
 * The simulated console (VIRTIO 1.3, 5.3): the device itself, its config space, and
 * the operations that make and unmake its ports. The data is in console_port.c, the
 * control queues are in console_ctrl.c.
 *
 * Violations: queues for control or for ports but 0 without VIRTIO_CONSOLE_F_MULTIPORT,
 * a write to config space that is not one to the whole of emerg_wr, or one to that if
 * VIRTIO_CONSOLE_F_EMERG_WRITE was not offered.
 */
#include <linux/err.h>
#include <linux/export.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "console.h"

static const char * const con_ops[] = {
	"add", "remove", "hostopen", "resize", "input", "flood", "name", "message", "echo",
	"stall", "patience", "size", NULL
};

static_assert(ARRAY_SIZE(con_ops) == SIM_CONSOLE_SIZE - SIM_MODEL + 2);

static bool con_offers(const struct sim_options *options, unsigned int feature)
{
	return options->features & BIT_ULL(feature);
}

/* The port that a queue belongs to, which is none of the two for control. */
static struct sim_con_port *con_queue_port(struct sim_con *con, unsigned int index)
{
	return &con->ports[index < SIM_CON_CTRL_RX ? 0 : index / 2 - 1];
}

/* Operations */

/* The port that an operation is about, or an errno. */
static struct sim_con_port *act_port(struct sim_con *con, u64 id)
{
	if (id >= con->nr_ports)
		return ERR_PTR(-EINVAL);
	if (!con->ports[id].exists)
		return ERR_PTR(-ENOENT);
	return &con->ports[id];
}

static int act_add(struct sim_con *con, const struct sim_action *action)
{
	struct sim_con_port *port = act_port(con, action->value);
	int err;

	if (!IS_ERR(port))
		return -EEXIST;
	if (PTR_ERR(port) != -ENOENT)
		return PTR_ERR(port);
	if (action->at != 0 && action->at != 1)
		return -EINVAL;
	port = &con->ports[action->value];
	err = sim_con_port_add(port, action->at, action->bytes, action->len);
	if (!err)
		sim_con_ctrl_added(con, port);
	return err;
}

static int act_remove(struct sim_con *con, const struct sim_action *action)
{
	struct sim_con_port *port = act_port(con, action->value);

	if (IS_ERR(port))
		return PTR_ERR(port);
	/* Without this feature port 0 is always there. */
	if (!con_offers(&con->sim->options, VIRTIO_CONSOLE_F_MULTIPORT))
		return -EINVAL;
	sim_con_ctrl_removed(con, port);
	sim_con_port_remove(con, port);
	return 0;
}

static int act_hostopen(struct sim_con *con, const struct sim_action *action)
{
	struct sim_con_port *port = act_port(con, lower_32_bits(action->value));
	u32 open = upper_32_bits(action->value);

	if (IS_ERR(port))
		return PTR_ERR(port);
	if (open > 1)
		return -EINVAL;
	if (port->host_open == open)
		return 0;
	port->host_open = open;
	if (!open)
		port->stalled = false;
	sim_con_ctrl_opened(con, port);
	sim_con_port_wake(con, port);
	return 0;
}

static int act_resize(struct sim_con *con, const struct sim_action *action)
{
	struct sim_con_port *port = act_port(con, lower_32_bits(action->value));

	if (IS_ERR(port))
		return PTR_ERR(port);
	if (!port->console)
		return -EINVAL;
	port->cols = action->value >> 32;
	port->rows = action->value >> 48;
	sim_con_ctrl_resized(con, port);
	return 0;
}

static int act_input(struct sim_con *con, const struct sim_action *action)
{
	struct sim_con_port *port = act_port(con, action->value);
	int done;

	if (IS_ERR(port))
		return PTR_ERR(port);
	if (action->at != 0 && action->at != 1)
		return -EINVAL;
	if (action->at)
		port->eager = true;
	done = sim_con_port_input(con, port, action->bytes, action->len);
	if (done < 0)
		return done;
	return done < action->len ? -ENOSPC : 0;
}

static int act_flood(struct sim_con *con, const struct sim_action *action)
{
	struct sim_con_port *port = act_port(con, action->value);

	if (IS_ERR(port))
		return PTR_ERR(port);
	if (action->at <= 0)
		return -EINVAL;
	if (action->at > U32_MAX - port->flood_left)
		return -ENOSPC;
	port->flood_left += action->at;
	sim_con_port_wake(con, port);
	return 0;
}

static int act_name(struct sim_con *con, const struct sim_action *action)
{
	struct sim_con_port *port = act_port(con, action->value);
	u8 *name;

	if (IS_ERR(port))
		return PTR_ERR(port);
	if (!action->len)
		return -EINVAL;
	name = kmemdup(action->bytes, action->len, GFP_KERNEL);
	if (!name)
		return -ENOMEM;
	kfree(port->name);
	port->name = name;
	port->name_len = action->len;
	sim_con_ctrl_named(con, port);
	return 0;
}

static int act_message(struct sim_con *con, const struct sim_action *action)
{
	return sim_con_ctrl_raw(con, lower_32_bits(action->value), action->value >> 32,
				action->value >> 48, action->bytes, action->len);
}

static int act_echo(struct sim_con *con, const struct sim_action *action)
{
	struct sim_con_port *port = act_port(con, lower_32_bits(action->value));
	u32 mode = upper_32_bits(action->value);

	if (IS_ERR(port))
		return PTR_ERR(port);
	if (mode > SIM_CONSOLE_RECORD)
		return -EINVAL;
	return sim_con_port_mode(con, port, mode);
}

static int act_stall(struct sim_con *con, const struct sim_action *action)
{
	struct sim_con_port *port = act_port(con, lower_32_bits(action->value));
	u32 on = upper_32_bits(action->value);

	if (IS_ERR(port))
		return PTR_ERR(port);
	if (on > 1)
		return -EINVAL;
	port->stalled = on;
	sim_con_port_wake(con, port);
	return 0;
}

static int act_patience(struct sim_con *con, const struct sim_action *action)
{
	if (action->value > 1)
		return -EINVAL;
	con->ctrl.patient = action->value;
	sim_wake(con->sim);
	return 0;
}

static int act_size(struct sim_con *con, const struct sim_action *action)
{
	bool le = virtio_is_little_endian(&con->sim->vdev);
	__virtio16 size[] = {
		__cpu_to_virtio16(le, action->value),
		__cpu_to_virtio16(le, action->value >> 16),
	};

	static_assert(offsetof(struct virtio_console_config, cols) == 0);
	static_assert(offsetof(struct virtio_console_config, rows) == sizeof(size[0]));
	if (action->value > U32_MAX ||
	    !con_offers(&con->sim->options, VIRTIO_CONSOLE_F_SIZE))
		return -EINVAL;
	sim_config_write(con->sim, 0, size, sizeof(size), true);
	return 0;
}

static int (* const con_acts[])(struct sim_con *con, const struct sim_action *action) = {
	[SIM_CONSOLE_ADD - SIM_MODEL] = act_add,
	[SIM_CONSOLE_REMOVE - SIM_MODEL] = act_remove,
	[SIM_CONSOLE_HOSTOPEN - SIM_MODEL] = act_hostopen,
	[SIM_CONSOLE_RESIZE - SIM_MODEL] = act_resize,
	[SIM_CONSOLE_INPUT - SIM_MODEL] = act_input,
	[SIM_CONSOLE_FLOOD - SIM_MODEL] = act_flood,
	[SIM_CONSOLE_NAME - SIM_MODEL] = act_name,
	[SIM_CONSOLE_MESSAGE - SIM_MODEL] = act_message,
	[SIM_CONSOLE_ECHO - SIM_MODEL] = act_echo,
	[SIM_CONSOLE_STALL - SIM_MODEL] = act_stall,
	[SIM_CONSOLE_PATIENCE - SIM_MODEL] = act_patience,
	[SIM_CONSOLE_SIZE - SIM_MODEL] = act_size,
};

/* Input for who reads; and ports that the script has stalled go on if nothing else does. */
static unsigned int con_nudge(struct sim_device *sim, bool idle)
{
	struct sim_con *con = sim->data;
	unsigned int id;

	for (id = 0; id < con->nr_ports; id++) {
		if (!con->ports[id].exists)
			continue;
		if (idle)
			con->ports[id].stalled = false;
		if (!con->ports[id].input.data || kfifo_is_empty(&con->ports[id].input.fifo))
			sim_con_port_input(con, &con->ports[id], "nudge\n", 6);
		sim_con_port_wake(con, &con->ports[id]);
	}
	return 0;
}

static int con_act(struct sim_device *sim, const struct sim_action *action)
{
	if (action->op < SIM_MODEL || action->op - SIM_MODEL >= ARRAY_SIZE(con_acts))
		return -EINVAL;
	if (action->len > SIM_BYTES_MAX || (action->len && !action->bytes))
		return -EINVAL;
	return con_acts[action->op - SIM_MODEL](sim->data, action);
}

/* The driver's doings */

static void con_kick(struct sim_device *sim, struct sim_queue *queue)
{
	struct sim_con *con = sim->data;
	unsigned int index = queue->index;

	if (!con->live)
		return;
	if (index >= SIM_CON_CTRL_RX && !sim_con_multiport(con)) {
		/* The queue does not exist for this driver, so it stays as it is. */
		if (sim_available(queue))
			sim_violation(sim, "queue %u without VIRTIO_CONSOLE_F_MULTIPORT", index);
		return;
	}
	if (index == SIM_CON_CTRL_RX)
		sim_con_ctrl_flush(con);
	else if (index == SIM_CON_CTRL_TX)
		sim_con_ctrl_drain(con);
	else
		sim_con_port_pump(con, con_queue_port(con, index));
}

static void con_work(struct sim_device *sim)
{
	struct sim_con *con = sim->data;
	unsigned int id;

	if (!con->live)
		return;
	if (sim_con_multiport(con))
		sim_con_ctrl_drain(con);
	/* A port that has more to do sets its bit again, for the next turn. */
	for_each_set_bit(id, con->due, con->nr_ports) {
		__clear_bit(id, con->due);
		sim_con_port_pump(con, &con->ports[id]);
	}
	/* After the ports: who hears of a close or a removal has got its buffers back. */
	if (sim_con_multiport(con))
		sim_con_ctrl_flush(con);
}

static void con_ready(struct sim_device *sim)
{
	struct sim_con *con = sim->data;

	con->live = true;
	if (!sim_con_multiport(con) && !con->ports[0].guest_open) {
		con->ports[0].guest_open = true;
		con->ports[0].count.opens++;
	}
	bitmap_fill(con->due, con->nr_ports);
	sim_wake(sim);
}

static void con_reset(struct sim_device *sim, struct sim_queue *queue)
{
	struct sim_con *con = sim->data;
	unsigned int id;

	if (queue) {
		if (queue->index == SIM_CON_CTRL_RX)
			sim_con_ctrl_drop_rx(con);
		else if (queue->index == SIM_CON_CTRL_TX)
			return;
		else if (queue->index % 2)
			sim_con_port_drop_tx(con_queue_port(con, queue->index));
		else
			sim_con_port_drop_rx(con_queue_port(con, queue->index));
		return;
	}
	con->live = false;
	sim_con_ctrl_reset(con);
	for (id = 0; id < con->nr_ports; id++)
		sim_con_port_reset(&con->ports[id]);
}

static void con_config_set(struct sim_device *sim, unsigned int at, unsigned int len)
{
	bool le = virtio_is_little_endian(&sim->vdev);
	struct sim_con *con = sim->data;
	__virtio32 raw;

	if (at != offsetof(struct virtio_console_config, emerg_wr) || len != sizeof(raw) ||
	    !con_offers(&sim->options, VIRTIO_CONSOLE_F_EMERG_WRITE)) {
		sim_violation(sim, "%u bytes of config space written at %u", len, at);
		return;
	}
	sim_config_read(sim, at, &raw, sizeof(raw));
	if (con->stats.emergency < SIM_CONSOLE_LOG_MAX)
		con->log[con->stats.emergency] = __virtio32_to_cpu(le, raw);
	con->stats.emergency++;
}

/* Life */

/* Fields of features that are not offered stay zero, for drivers that look anyway. */
static void con_fill_config(struct sim_device *sim, const struct sim_options *options,
			    unsigned int nr_ports)
{
	bool le = con_offers(options, VIRTIO_F_VERSION_1) || virtio_legacy_is_little_endian();
	struct virtio_console_config config = {};

	if (con_offers(options, VIRTIO_CONSOLE_F_SIZE)) {
		config.cols = __cpu_to_virtio16(le, SIM_CONSOLE_COLS);
		config.rows = __cpu_to_virtio16(le, SIM_CONSOLE_ROWS);
	}
	if (con_offers(options, VIRTIO_CONSOLE_F_MULTIPORT))
		config.max_nr_ports = __cpu_to_virtio32(le, nr_ports);
	memcpy(sim->config, &config, sizeof(config));
}

static int con_init(struct sim_device *sim, const struct sim_options *options)
{
	bool multiport = con_offers(options, VIRTIO_CONSOLE_F_MULTIPORT);
	unsigned int nr_ports = multiport && options->ports ? options->ports : 1;
	struct sim_con *con;
	unsigned int id;

	if (nr_ports > SIM_CONSOLE_PORTS_MAX)
		return -EINVAL;
	con = kvzalloc(struct_size(con, ports, nr_ports), GFP_KERNEL);
	if (!con)
		return -ENOMEM;
	con->sim = sim;
	con->nr_ports = nr_ports;
	for (id = 0; id < nr_ports; id++) {
		con->ports[id].id = id;
		INIT_LIST_HEAD(&con->ports[id].rx);
	}
	sim_con_ctrl_init(con);
	/* Without a name this cannot fail. */
	sim_con_port_add(&con->ports[0], true, NULL, 0);
	con_fill_config(sim, options, nr_ports);
	sim->data = con;
	sim->nr_queues = multiport ? 2 * (nr_ports + 1) : 2;
	return 0;
}

static void con_exit(struct sim_device *sim)
{
	struct sim_con *con = sim->data;
	unsigned int id;

	if (!con)
		return;
	con_reset(sim, NULL);
	for (id = 0; id < con->nr_ports; id++)
		sim_con_port_free(con, &con->ports[id]);
	sim->data = NULL;
	kvfree(con);
}

const struct sim_model sim_console = {
	.id = VIRTIO_ID_CONSOLE,
	.name = "console",
	.config_len = sizeof(struct virtio_console_config),
	.features = BIT_ULL(VIRTIO_CONSOLE_F_SIZE) | BIT_ULL(VIRTIO_CONSOLE_F_MULTIPORT) |
		    BIT_ULL(VIRTIO_CONSOLE_F_EMERG_WRITE),
	.ops = con_ops,
	.init = con_init,
	.exit = con_exit,
	.reset = con_reset,
	.ready = con_ready,
	.kick = con_kick,
	.work = con_work,
	.config_set = con_config_set,
	.act = con_act,
	.draw = sim_con_draw,
	.nudge = con_nudge,
};

/* For tests */

/**
 * sim_console_stats() - control messages and emergency characters so far
 * @sim: a console
 * @stats: where to
 */
void sim_console_stats(struct sim_device *sim, struct sim_console_stats *stats)
{
	struct sim_con *con = sim->data;

	sim_lock(sim);
	*stats = con->stats;
	sim_unlock(sim);
}
EXPORT_SYMBOL_GPL(sim_console_stats);

/**
 * sim_console_emergency() - read what was written to emerg_wr
 * @sim: a console
 * @text: where to; not terminated
 * @size: room there
 *
 * Return: characters, of the first SIM_CONSOLE_LOG_MAX.
 */
size_t sim_console_emergency(struct sim_device *sim, char *text, size_t size)
{
	struct sim_con *con = sim->data;
	size_t len;

	sim_lock(sim);
	len = min3((u64)size, (u64)SIM_CONSOLE_LOG_MAX, con->stats.emergency);
	memcpy(text, con->log, len);
	sim_unlock(sim);
	return len;
}
EXPORT_SYMBOL_GPL(sim_console_emergency);
