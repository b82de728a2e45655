// SPDX-License-Identifier: GPL-2.0-only
/*
 * Statistics below /sys/kernel/debug/virtio_console_rh/<device>/: one file for
 * each port, with the in-tree driver's lines first, and one for the control
 * queues. It only reads.
 */
#include <vrh/log.h>
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "virtio_console_rh.h"

static struct dentry *vcon_debugfs_root;

/* Has the device broken the ring's rules? Without a queue there are none to break. */
static bool vcon_debugfs_broken(struct virtqueue *vq)
{
	return vq && virtqueue_is_broken(vq);
}

static int vcon_port_stats_show(struct seq_file *s, void *unused)
{
	struct vcon_port *port = s->private;
	struct vcon_rx *rx = &port->rx;
	struct vcon_tx *tx = &port->tx;
	struct vcon_con *con;
	unsigned long flags;
	const char *name;

	rcu_read_lock();
	con = rcu_dereference(port->con);
	name = READ_ONCE(port->name);
	seq_printf(s, "name: %s\n", name ?: "");
	seq_printf(s, "guest_connected: %d\n", READ_ONCE(port->guest_open));
	seq_printf(s, "host_connected: %d\n", READ_ONCE(port->host_open));
	seq_printf(s, "is_console: %s\n", con ? "yes" : "no");
	seq_printf(s, "console_vtermno: %u\n", con ? vcon_hvc_vtermno(con) : 0);
	rcu_read_unlock();

	vcon_tx_lock(tx, &flags);
	seq_printf(s, "bytes_sent: %llu\n", tx->bytes);
	seq_printf(s, "tx_in_flight: %u\n", tx->in_flight);
	seq_printf(s, "tx_kicks: %llu\n", tx->kicks);
	seq_printf(s, "tx_waits: %llu\n", tx->waits);
	seq_printf(s, "tx_stalls: %llu\n", tx->stalls);
	seq_printf(s, "tx_bytes_lost: %llu\n", tx->lost);
	seq_printf(s, "tx_broken: %d\n", vcon_debugfs_broken(tx->vq));
	vcon_tx_unlock(tx, flags);

	spin_lock_irqsave(&rx->lock, flags);
	seq_printf(s, "bytes_received: %llu\n", rx->bytes);
	seq_printf(s, "bytes_discarded: %llu\n", rx->discarded);
	seq_printf(s, "rx_length_clamped: %llu\n", rx->clamped);
	seq_printf(s, "rx_empty_buffers: %llu\n", rx->empty);
	seq_printf(s, "rx_lost_buffers: %llu\n", rx->lost);
	seq_printf(s, "rx_broken: %d\n", vcon_debugfs_broken(rx->vq));
	spin_unlock_irqrestore(&rx->lock, flags);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(vcon_port_stats);

static int vcon_ctrl_stats_show(struct seq_file *s, void *unused)
{
	struct vcon_device *vcon = s->private;
	struct vcon_ctrl *c = &vcon->ctrl;

	seq_printf(s, "messages_received: %llu\n", c->received);
	seq_printf(s, "messages_bad: %llu\n", c->bad);
	seq_printf(s, "messages_unknown_port: %llu\n", c->unknown);
	spin_lock_irq(&c->lock);
	seq_printf(s, "messages_sent: %llu\n", c->sent);
	seq_printf(s, "slots_free: %u\n", c->nr_free);
	seq_printf(s, "tx_broken: %d\n", vcon_debugfs_broken(c->out_vq));
	spin_unlock_irq(&c->lock);
	rcu_read_lock();
	seq_printf(s, "rx_broken: %d\n", vcon_debugfs_broken(READ_ONCE(c->in_vq)));
	rcu_read_unlock();
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(vcon_ctrl_stats);

/**
 * vcon_debugfs_add_port() - show a port's statistics
 * @port: the port
 */
void vcon_debugfs_add_port(struct vcon_port *port)
{
	port->debugfs = debugfs_create_file(dev_name(&port->dev), 0444, port->vcon->debugfs, port,
					    &vcon_port_stats_fops);
}

/**
 * vcon_debugfs_remove_port() - show them no longer
 * @port: the port
 *
 * Context: process context. Waits for readers.
 */
void vcon_debugfs_remove_port(struct vcon_port *port)
{
	debugfs_remove(port->debugfs);
}

/**
 * vcon_debugfs_add_device() - make a device's directory
 * @vcon: the device
 */
void vcon_debugfs_add_device(struct vcon_device *vcon)
{
	vcon->debugfs = debugfs_create_dir(dev_name(&vcon->vdev->dev), vcon_debugfs_root);
	if (vcon->multiport)
		debugfs_create_file("control", 0444, vcon->debugfs, vcon, &vcon_ctrl_stats_fops);
}

/**
 * vcon_debugfs_remove_device() - remove a device's directory
 * @vcon: the device
 *
 * Context: process context. Waits for readers.
 */
void vcon_debugfs_remove_device(struct vcon_device *vcon)
{
	debugfs_remove(vcon->debugfs);
}

/**
 * vcon_debugfs_init() - module init
 */
void vcon_debugfs_init(void)
{
	vcon_debugfs_root = debugfs_create_dir(KBUILD_MODNAME, NULL);
}

/**
 * vcon_debugfs_exit() - module exit
 */
void vcon_debugfs_exit(void)
{
	debugfs_remove(vcon_debugfs_root);
}
