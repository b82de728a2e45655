/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What hvc.c (hvc's side of a console) and hvc_tx.c (its output) share.
 */
#ifndef VCON_HVC_H
#define VCON_HVC_H

#include "hvc_abi.h"
#include "virtio_console_rh.h"

/**
 * struct vcon_con - a console
 * @hvc: hvc's side, on which we hold a reference; NULL while being made
 * @port: ours, or NULL once it is unplugged; RCU
 * @vtermno: by which hvc names this console to us
 * @dead: hvc has been told to forget it
 * @pins: references on this module, one for each time the tty was opened;
 *	under vcon_con_lock
 * @opened: the tty is open; under vcon_con_lock
 * @cols: width, 0 if unknown; under vcon_con_lock
 * @rows: height, 0 if unknown; under vcon_con_lock
 * @queue: output waiting for the device; under tx.lock of the port
 * @free: empty buffers; under tx.lock
 * @nr_free: entries in @free
 * @stalled: printk() has waited stall_ms in vain and nothing moved since
 * @want_room: the tty found no room and will be called when there is some
 * @rcu: frees this
 *
 * It outlives its port while a process holds a hung-up file of the tty: until
 * then hvc can call us, and this module's code must stay.
 */
struct vcon_con {
	struct hvc_struct *hvc;
	struct vcon_port __rcu *port;
	u32 vtermno;
	bool dead;
	unsigned int pins;
	bool opened;
	u16 cols;
	u16 rows;
	struct list_head queue;
	struct list_head free;
	unsigned int nr_free;
	bool stalled;
	bool want_room;
	struct rcu_head rcu;
};

/* hvc_tx.c */

int vcon_con_alloc_bufs(struct vcon_con *con);
void vcon_con_free_bufs(struct vcon_con *con);
size_t vcon_con_write(struct vcon_port *port, struct vcon_con *con, const u8 *from, size_t count,
		      bool tty);
void vcon_con_flush(struct vcon_port *port, struct vcon_con *con);
bool vcon_con_wait(struct vcon_port *port, struct vcon_con *con, bool drain);
void vcon_con_drop(struct vcon_port *port, struct vcon_con *con, size_t bytes);

#endif
