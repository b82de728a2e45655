// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random actions of the simulated console, for the hostile mode: its operations with
 * edge values and nonsense, lies in control messages and in config space. Depends on
 * the random state and on the device's options alone; no expression draws twice, as
 * the compiler would choose the order.
 */
#include <linux/prandom.h>
#include <linux/string.h>

#include "console.h"

/**
 * struct con_draw - an action in the making
 * @con: for its number of ports, and as the place of the bytes
 * @rnd: source of randomness
 * @action: all zero but for what was drawn
 */
struct con_draw {
	struct sim_con *con;
	struct rnd_state *rnd;
	struct sim_action *action;
};

static u32 draw_below(struct con_draw *d, u32 end)
{
	return prandom_u32_state(d->rnd) % end;
}

static u32 draw_of(struct con_draw *d, const u32 *set, unsigned int size)
{
	return set[draw_below(d, size)];
}

#define DRAW_OF(d, set) draw_of(d, set, ARRAY_SIZE(set))

/* A port that can be, most of the time one of the first. */
static u32 draw_port(struct con_draw *d)
{
	u32 nr = d->con->nr_ports;

	return draw_below(d, draw_below(d, 4) ? min(nr, 4U) : nr);
}

static u32 draw_id(struct con_draw *d)
{
	const u32 edges[] = {
		d->con->nr_ports - 1, d->con->nr_ports, d->con->nr_ports + 1,
		SIM_CONSOLE_PORTS_MAX, 0x7fff, 0x8000, 0xffff, S32_MAX, VIRTIO_CONSOLE_BAD_ID,
		prandom_u32_state(d->rnd),
	};

	return draw_below(d, 3) ? draw_port(d) : DRAW_OF(d, edges);
}

static u32 draw_size(struct con_draw *d)
{
	static const u32 edges[] = { 0, 1, 24, 80, 0x7fff, 0x8000, 0xffff };

	return DRAW_OF(d, edges);
}

/* Half of all names and messages are letters: drivers may take these for good ones. */
static void draw_bytes(struct con_draw *d, u32 len)
{
	bool letters = draw_below(d, 2);
	u32 byte, i;

	for (i = 0; i < len; i++) {
		byte = prandom_u32_state(d->rnd);
		d->con->drawn[i] = letters ? 'a' + byte % 26 : byte;
	}
	d->action->bytes = len ? d->con->drawn : NULL;
	d->action->len = len;
}

static u32 draw_len(struct con_draw *d)
{
	static const u32 edges[] = {
		0, 1, 2, 3, 4, 5, 16, 127, 128, 247, 248, 254, 255, 256, 257, 1024, 1500,
		SIM_BYTES_MAX
	};

	return draw_below(d, 4) ? DRAW_OF(d, edges) : draw_below(d, SIM_BYTES_MAX + 1);
}

static void draw_message(struct con_draw *d)
{
	static const u32 values[] = { 0, 1, 1, 2, 0xffff };
	u64 event = draw_below(d, 13);
	u64 value = DRAW_OF(d, values);
	bool sized = event == VIRTIO_CONSOLE_RESIZE && draw_below(d, 2);
	bool named = event == VIRTIO_CONSOLE_PORT_NAME;

	d->action->op = SIM_CONSOLE_MESSAGE;
	d->action->value = draw_id(d) | event << 32 | value << 48;
	if (sized)
		draw_bytes(d, 4);
	else if (named || !draw_below(d, 4))
		draw_bytes(d, draw_len(d));
}

static void draw_add(struct con_draw *d)
{
	d->action->op = SIM_CONSOLE_ADD;
	d->action->value = draw_port(d);
	d->action->at = draw_below(d, 2);
	if (draw_below(d, 2))
		draw_bytes(d, draw_len(d));
}

static void draw_remove(struct con_draw *d)
{
	d->action->op = SIM_CONSOLE_REMOVE;
	d->action->value = draw_port(d);
}

static void draw_hostopen(struct con_draw *d)
{
	/* A driver does not write to a port that is closed. */
	u64 open = !!draw_below(d, 4);

	d->action->op = SIM_CONSOLE_HOSTOPEN;
	d->action->value = draw_port(d) | open << 32;
}

static void draw_resize(struct con_draw *d)
{
	u64 cols = draw_size(d);
	u64 rows = draw_size(d);

	d->action->op = SIM_CONSOLE_RESIZE;
	d->action->value = draw_port(d) | cols << 32 | rows << 48;
}

static void draw_input(struct con_draw *d)
{
	d->action->op = SIM_CONSOLE_INPUT;
	d->action->value = draw_port(d);
	d->action->at = !draw_below(d, 8);
	draw_bytes(d, 1 + draw_below(d, SIM_BYTES_MAX));
}

static void draw_flood(struct con_draw *d)
{
	static const u32 edges[] = { 1, 2, 255, 4095, 4096, 4097 };

	d->action->op = SIM_CONSOLE_FLOOD;
	d->action->value = draw_port(d);
	/* A long one is many buffers, which a terminal takes a while to read. */
	d->action->at = draw_below(d, 32) ? DRAW_OF(d, edges) : 65536;
}

static void draw_name(struct con_draw *d)
{
	d->action->op = SIM_CONSOLE_NAME;
	d->action->value = draw_port(d);
	draw_bytes(d, draw_len(d));
}

static void draw_echo(struct con_draw *d)
{
	static const u32 modes[] = { SIM_CONSOLE_COUNT, SIM_CONSOLE_ECHO_BACK };
	u64 mode = DRAW_OF(d, modes);

	d->action->op = SIM_CONSOLE_ECHO;
	d->action->value = draw_port(d) | mode << 32;
}

/* More often off than on, or all ports would soon be stalled for good. */
static void draw_stall(struct con_draw *d)
{
	u64 on = !draw_below(d, 4);

	d->action->op = SIM_CONSOLE_STALL;
	d->action->value = draw_port(d) | on << 32;
}

static void draw_patience(struct con_draw *d)
{
	d->action->op = SIM_CONSOLE_PATIENCE;
	d->action->value = draw_below(d, 2);
}

static void draw_config_size(struct con_draw *d)
{
	u32 cols = draw_size(d);

	d->action->op = SIM_CONSOLE_SIZE;
	d->action->value = cols | draw_size(d) << 16;
}

static void draw_config(struct con_draw *d)
{
	static const u32 edges[] = {
		0, 1, 2, 31, 32, SIM_CONSOLE_PORTS_MAX, SIM_CONSOLE_PORTS_MAX + 1, 0x7fff,
		0x8000, 0x8001, 0xffff, 0x10000, S32_MAX, 0x80000000, U32_MAX
	};

	d->action->op = SIM_CONFIG;
	d->action->at = offsetof(struct virtio_console_config, max_nr_ports);
	d->action->width = sizeof_field(struct virtio_console_config, max_nr_ports);
	d->action->value = DRAW_OF(d, edges);
}

/* A lie in a message on its way: another port, event or value, or what follows. */
static void draw_patch(struct con_draw *d)
{
	d->action->op = SIM_PATCH;
	d->action->queue = SIM_CON_CTRL_RX;
	d->action->skip = draw_below(d, 4);
	d->action->count = draw_below(d, 3);
	switch (draw_below(d, 4)) {
	case 0:
		d->action->at = offsetof(struct virtio_console_control, id);
		d->action->width = sizeof_field(struct virtio_console_control, id);
		d->action->value = draw_id(d);
		break;
	case 1:
		d->action->at = offsetof(struct virtio_console_control, event);
		d->action->width = sizeof_field(struct virtio_console_control, event);
		d->action->value = draw_below(d, 13);
		break;
	case 2:
		d->action->at = offsetof(struct virtio_console_control, value);
		d->action->width = sizeof_field(struct virtio_console_control, value);
		d->action->value = draw_size(d);
		break;
	default:
		d->action->at = sizeof(struct virtio_console_control);
		d->action->width = 4;
		d->action->value = prandom_u32_state(d->rnd);
		break;
	}
}

/* What comes more often is there more than once. */
static void (* const draw_single[])(struct con_draw *d) = {
	draw_hostopen, draw_input, draw_input, draw_flood, draw_echo, draw_stall,
	draw_config_size, draw_config_size, draw_config,
};

static void (* const draw_multiport[])(struct con_draw *d) = {
	draw_message, draw_message, draw_message, draw_message, draw_message, draw_message,
	draw_add, draw_add, draw_add, draw_remove, draw_remove,
	draw_hostopen, draw_hostopen, draw_hostopen,
	draw_input, draw_input, draw_flood, draw_name, draw_resize, draw_resize,
	draw_echo, draw_stall, draw_patience, draw_config_size, draw_config,
	draw_patch, draw_patch,
};

/**
 * sim_con_draw() - make a random action
 * @sim: a console
 * @rnd: source of randomness
 * @action: where to. Its bytes stay there until the next call for this device
 */
void sim_con_draw(struct sim_device *sim, struct rnd_state *rnd, struct sim_action *action)
{
	struct con_draw d = { .con = sim->data, .rnd = rnd, .action = action };

	memset(action, 0, sizeof(*action));
	if (sim->options.features & BIT_ULL(VIRTIO_CONSOLE_F_MULTIPORT))
		draw_multiport[draw_below(&d, ARRAY_SIZE(draw_multiport))](&d);
	else
		draw_single[draw_below(&d, ARRAY_SIZE(draw_single))](&d);
}
