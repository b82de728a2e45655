// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ports as character devices: /dev/vportNpM, their class, their life, and what
 * programs do with them. It moves no bytes itself (rx.c, tx.c) and speaks to
 * the device through ctrl.c only.
 */
#include <vrh/log.h>
#include <linux/err.h>
#include <linux/freezer.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/splice.h>
#include <linux/uio.h>

#include "virtio_console_rh.h"

/* 128 devices with all the ports that a device can have. */
#define VCON_MINORS 65536

/*
 * What one buffer of a writer takes at most, its header included: an order-3
 * allocation, the largest that the allocator considers cheap, and as much as
 * the in-tree driver takes.
 */
#define VCON_WRITE_ALLOC 32768

/*
 * Never "virtio-ports", even where that name is free: the in-tree driver, loaded
 * later to take our devices, would find it taken, dump its stack and fail.
 * packaging/udev has the rules that udev and the guest agents have for that one.
 */
static struct class vcon_class = { .name = "virtio-ports-rh" };

static dev_t vcon_devt;
static DEFINE_IDA(vcon_minors);

/* Opening, reading, writing */

static int vcon_fops_open(struct inode *inode, struct file *filp)
{
	struct vcon_port *port = container_of(inode->i_cdev, struct vcon_port, cdev);
	int err = 0;

	spin_lock_irq(&port->rx.lock);
	if (port->gone || port->is_console)
		err = -ENXIO;
	else if (port->guest_open)
		err = -EBUSY;
	if (!err) {
		port->file_open = true;
		port->guest_open = true;
	}
	spin_unlock_irq(&port->rx.lock);
	if (err)
		return err;

	get_device(&port->dev);
	filp->private_data = port;
	vcon_ctrl_port_open(port, true);
	return stream_open(inode, filp);
}

static int vcon_fops_release(struct inode *inode, struct file *filp)
{
	struct vcon_port *port = filp->private_data;

	/* A port that became a console under our feet stays open: it is hvc's. */
	mutex_lock(&port->read_lock);
	WRITE_ONCE(port->file_open, false);
	if (!port->is_console) {
		/* Told first: who opens it next must not be told before. */
		vcon_ctrl_port_open(port, false);
		vcon_rx_close(port);
	}
	mutex_unlock(&port->read_lock);
	put_device(&port->dev);
	return 0;
}

/* True also if waiting makes no sense: nothing will come. */
static bool vcon_readable(struct vcon_port *port)
{
	return READ_ONCE(port->gone) || READ_ONCE(port->is_console) ||
	       !READ_ONCE(port->host_open) || vcon_rx_has_data(port) || vcon_rx_broken(port);
}

static ssize_t vcon_fops_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct vcon_port *port = iocb->ki_filp->private_data;
	bool host_open;
	ssize_t ret;

	if (!iov_iter_count(to))
		return 0;
	for (;;) {
		if (READ_ONCE(port->gone))
			return -ENODEV;
		/* Asked before the data: what came before a close is still read. */
		host_open = READ_ONCE(port->host_open);

		ret = mutex_lock_interruptible(&port->read_lock);
		if (ret)
			return ret;
		ret = port->is_console ? -ENXIO : vcon_rx_to_iter(port, to);
		mutex_unlock(&port->read_lock);
		if (ret)
			return ret;
		if (vcon_rx_broken(port))
			return -EIO;
		if (!host_open)
			return 0;
		if (iocb->ki_filp->f_flags & O_NONBLOCK)
			return -EAGAIN;
		ret = wait_event_freezable(port->wait, vcon_readable(port));
		if (ret)
			return ret;
	}
}

/* True also if waiting makes no sense: no room will come. */
static bool vcon_writable(struct vcon_port *port)
{
	return READ_ONCE(port->gone) || READ_ONCE(port->is_console) || vcon_rx_broken(port) ||
	       (READ_ONCE(port->host_open) && vcon_tx_writable(port));
}

/* Waits until there is room for a buffer, or says why not. */
static int vcon_wait_writable(struct vcon_port *port, bool nonblock)
{
	int err = 0;

	if (!vcon_writable(port)) {
		if (nonblock)
			return -EAGAIN;
		err = wait_event_freezable(port->wait, vcon_writable(port));
	}
	if (!err && READ_ONCE(port->gone))
		err = -ENODEV;
	if (!err && vcon_rx_broken(port))
		err = -EIO;
	return err;
}

/* Queues one buffer of the writer's bytes. Returns how many, or an error. */
static ssize_t vcon_write_some(struct vcon_port *port, struct iov_iter *from)
{
	struct vcon_tx_buf *buf;
	size_t bytes;
	int err;

	bytes = min_t(size_t, iov_iter_count(from), VCON_TX_BUF_ROOM(VCON_WRITE_ALLOC));
	buf = vcon_tx_buf_alloc(bytes);
	if (!buf)
		return -ENOMEM;
	/* The buffer may be smaller than asked for. */
	bytes = copy_from_iter(buf->data, min_t(size_t, bytes, buf->len), from);
	if (!bytes) {
		kfree(buf);
		return -EFAULT;
	}
	buf->len = bytes;
	err = vcon_tx_queue(port, buf);
	if (err) {
		iov_iter_revert(from, bytes);
		kfree(buf);
		return err;
	}
	return bytes;
}

/*
 * Waits for room for the first buffer only. Then it takes what fits, tells the
 * device once, and returns how much that was.
 */
static ssize_t vcon_fops_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct vcon_port *port = iocb->ki_filp->private_data;
	bool nonblock = iocb->ki_filp->f_flags & O_NONBLOCK;
	ssize_t done = 0;
	ssize_t ret = 0;

	while (iov_iter_count(from)) {
		if (!done) {
			ret = vcon_wait_writable(port, nonblock);
			if (ret)
				return ret;
		}
		ret = READ_ONCE(port->is_console) ? -ENXIO : vcon_write_some(port, from);
		/* The queue is away, for a suspend or a reset; the port is not. */
		if (ret == -ENODEV && !READ_ONCE(port->gone))
			ret = -EAGAIN;
		/* Somebody else may also have taken the room. */
		if (ret == -EAGAIN && !done && !nonblock)
			continue;
		if (ret < 0)
			break;
		done += ret;
	}
	if (!done)
		return ret;
	vcon_tx_kick(port);
	return done;
}

static __poll_t vcon_fops_poll(struct file *filp, poll_table *wait)
{
	struct vcon_port *port = filp->private_data;
	__poll_t events = 0;

	poll_wait(filp, &port->wait, wait);
	if (vcon_readable(port))
		events |= EPOLLIN | EPOLLRDNORM;
	if (vcon_writable(port))
		events |= EPOLLOUT | EPOLLWRNORM;
	if (READ_ONCE(port->gone))
		return EPOLLHUP;
	/* Asked last: looking for data and for room is what finds it out. */
	if (vcon_rx_broken(port) || READ_ONCE(port->is_console))
		return EPOLLHUP | EPOLLERR;
	if (!READ_ONCE(port->host_open))
		events |= EPOLLHUP;
	return events;
}

static int vcon_fops_fasync(int fd, struct file *filp, int on)
{
	struct vcon_port *port = filp->private_data;

	return fasync_helper(fd, filp, on, &port->fasync);
}

static const struct file_operations vcon_fops = {
	.owner = THIS_MODULE,
	.open = vcon_fops_open,
	.release = vcon_fops_release,
	.read_iter = vcon_fops_read_iter,
	.write_iter = vcon_fops_write_iter,
	.splice_write = iter_file_splice_write,
	.poll = vcon_fops_poll,
	.fasync = vcon_fops_fasync,
};

/* Events of the device */

/**
 * vcon_port_sigio() - signal who asked for SIGIO
 * @port: the port
 *
 * With POLL_OUT whatever happened, as programs know it from the in-tree driver.
 *
 * Context: any.
 */
void vcon_port_sigio(struct vcon_port *port)
{
	if (READ_ONCE(port->guest_open))
		kill_fasync(&port->fasync, SIGIO, POLL_OUT);
}

/* Whoever waits for the host's word about a port looks again. */
static void vcon_port_changed(struct vcon_port *port)
{
	unsigned long flags;

	/* A host that leaves gives back what it did not read. */
	vcon_tx_lock(&port->tx, &flags);
	vcon_tx_reap(port);
	vcon_tx_unlock(&port->tx, flags);
	/* A console's next buffer may wait for what was taken back, or for the host's word. */
	rcu_read_lock();
	vcon_hvc_output(port);
	rcu_read_unlock();
	vcon_port_sigio(port);
	wake_up_interruptible(&port->wait);
}

/**
 * vcon_port_output() - output need not wait for the device's word any more
 * @port: the port
 *
 * Context: control work, or probe.
 */
void vcon_port_output(struct vcon_port *port)
{
	WRITE_ONCE(port->held, false);
	vcon_port_changed(port);
}

/**
 * vcon_port_told() - the device has been told that it may use the port
 * @port: the port
 *
 * Context: control work.
 */
void vcon_port_told(struct vcon_port *port)
{
	if (!port->host_unsure)
		vcon_port_output(port);
}

/**
 * vcon_port_set_host_open() - somebody on the host came or left
 * @port: the port
 * @open: somebody listens
 *
 * A device may say so before it has been told that the port is ready: output waits for that.
 *
 * Context: control work, or probe.
 */
void vcon_port_set_host_open(struct vcon_port *port, bool open)
{
	spin_lock_irq(&port->rx.lock);
	port->host_open = open;
	spin_unlock_irq(&port->rx.lock);
	port->host_unsure = false;
	if (vcon_ctrl_told_ready(port))
		vcon_port_output(port);
	else
		vcon_port_changed(port);
}

/**
 * vcon_port_set_console() - hand a port to hvc, or take it back
 * @port: the port
 * @console: it is a console, and open; else it is open if a file is
 *
 * The read lock makes sure that hvc and the reader of a file that was opened
 * before do not consume the same buffer.
 *
 * Context: control work, or probe.
 */
void vcon_port_set_console(struct vcon_port *port, bool console)
{
	mutex_lock(&port->read_lock);
	/* A file that was closed meanwhile left it open. Told before it can be opened. */
	if (!console && !port->file_open)
		vcon_ctrl_port_open(port, false);
	spin_lock_irq(&port->rx.lock);
	port->guest_open = console || port->file_open;
	port->is_console = console;
	spin_unlock_irq(&port->rx.lock);
	mutex_unlock(&port->read_lock);
	wake_up_interruptible(&port->wait);
}

static ssize_t name_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct vcon_port *port = container_of(dev, struct vcon_port, dev);

	return sysfs_emit(buf, "%s\n", port->name);
}
static DEVICE_ATTR_RO(name);

static struct attribute *vcon_port_name_attrs[] = {
	&dev_attr_name.attr,
	NULL,
};

/* Exists only where there is a name: udev links ports that have the attribute. */
static const struct attribute_group vcon_port_name_group = {
	.attrs = vcon_port_name_attrs,
};

/**
 * vcon_port_set_name() - the device names a port
 * @port: the port; a second name is ignored, since the first may be in use
 * @name: not empty
 *
 * Context: control work.
 */
void vcon_port_set_name(struct vcon_port *port, const char *name)
{
	char *copy;

	if (port->name)
		return;
	copy = kstrdup(name, GFP_KERNEL);
	/* Statistics may be reading it from now on: it stays, whatever comes. */
	smp_store_release(&port->name, copy);
	if (!copy || sysfs_create_group(&port->dev.kobj, &vcon_port_name_group)) {
		dev_err(&port->dev, "no memory for the name %s: the port has no link\n", name);
		return;
	}
	/* udev has seen the device without a name; now it can link it. */
	kobject_uevent(&port->dev.kobj, KOBJ_CHANGE);
}

/* Life */

static void vcon_port_release(struct device *dev)
{
	struct vcon_port *port = container_of(dev, struct vcon_port, dev);

	vcon_rx_free(port);
	ida_free(&vcon_minors, port->minor);
	kfree(port->name);
	vcon_device_put(port->vcon);
	/* Interrupts may be looking at the port: vcon_port_of_vq(). */
	kfree_rcu(port, rcu);
}

static struct vcon_port *vcon_port_alloc(struct vcon_device *vcon, u32 id)
{
	struct vcon_port *port = kzalloc(sizeof(*port), GFP_KERNEL);

	if (!port)
		return NULL;
	port->minor = ida_alloc_max(&vcon_minors, VCON_MINORS - 1, GFP_KERNEL);
	if (port->minor < 0) {
		kfree(port);
		return NULL;
	}
	kref_get(&vcon->ref);
	port->vcon = vcon;
	port->id = id;
	spin_lock_init(&port->rx.lock);
	INIT_LIST_HEAD(&port->rx.filled);
	spin_lock_init(&port->tx.lock);
	port->tx.owner = -1;
	init_waitqueue_head(&port->wait);
	mutex_init(&port->read_lock);
	INIT_LIST_HEAD(&port->ctrl.ready_node);
	INIT_LIST_HEAD(&port->ctrl.open_node);

	device_initialize(&port->dev);
	port->dev.class = &vcon_class;
	port->dev.parent = &vcon->vdev->dev;
	port->dev.devt = MKDEV(MAJOR(vcon_devt), MINOR(vcon_devt) + port->minor);
	port->dev.release = vcon_port_release;
	cdev_init(&port->cdev, &vcon_fops);
	port->cdev.owner = THIS_MODULE;
	return port;
}

/**
 * vcon_port_add() - make a port
 * @vcon: the device, its queues there
 * @id: number of the port, which has none yet
 *
 * Context: control work, or probe.
 * Return: 0, -ENOMEM, or what registering the device returned.
 */
int vcon_port_add(struct vcon_device *vcon, u32 id)
{
	struct vcon_port *port = vcon_port_alloc(vcon, id);
	int err;

	if (!port)
		return -ENOMEM;
	err = dev_set_name(&port->dev, "vport%dp%u", vcon->vdev->index, id);
	if (err)
		goto put;
	err = vcon_rx_start(port, vcon_in_vq(vcon, id));
	if (err)
		goto put;
	vcon_tx_start(port, vcon_out_vq(vcon, id));
	/* Until the device is told that it is ready: vcon_port_told(). */
	port->held = vcon->multiport;
	rcu_assign_pointer(vcon->ports[id], port);
	vcon_rx_kick(port);

	err = cdev_device_add(&port->cdev, &port->dev);
	if (err)
		goto unpublish;
	vcon_debugfs_add_port(port);
	vcon_ctrl_port_ready(port);
	return 0;

unpublish:
	rcu_assign_pointer(vcon->ports[id], NULL);
	vcon_tx_stop(port);
	vcon_rx_stop(port);
	synchronize_rcu();
put:
	put_device(&port->dev);
	return err;
}

/**
 * vcon_port_unplug() - the port is no more
 * @port: the port; freed when its last file is closed
 *
 * Readers, writers and pollers are woken and get -ENODEV or EPOLLHUP. Buffers
 * that the device still has stay in its queues, for a port of the same number
 * or until the device goes.
 *
 * Context: control work, or remove.
 */
void vcon_port_unplug(struct vcon_port *port)
{
	struct vcon_device *vcon = port->vcon;

	rcu_assign_pointer(vcon->ports[port->id], NULL);
	vcon_ctrl_port_gone(port);

	spin_lock_irq(&port->rx.lock);
	port->gone = true;
	port->host_open = false;
	spin_unlock_irq(&port->rx.lock);
	vcon_port_sigio(port);
	wake_up_interruptible(&port->wait);

	vcon_hvc_remove(port);
	vcon_tx_stop(port);
	vcon_rx_stop(port);
	vcon_debugfs_remove_port(port);
	if (port->name)
		sysfs_remove_group(&port->dev.kobj, &vcon_port_name_group);
	cdev_device_del(&port->cdev, &port->dev);
	put_device(&port->dev);
}

/**
 * vcon_port_freeze() - the device was stopped for a suspend or a reset
 * @port: a port whose queues are stopped and not yet deleted
 *
 * Context: process context; the control work does not run, programs may.
 */
void vcon_port_freeze(struct vcon_port *port)
{
	vcon_rx_harvest(port, vcon_in_vq(port->vcon, port->id));
	vcon_hvc_save(port, vcon_out_vq(port->vcon, port->id));
	/* Asked again when it is back; until then all stays as it was. */
	WRITE_ONCE(port->held, port->vcon->multiport);
	port->host_unsure = port->vcon->multiport;
	port->unsure = port->vcon->multiport;
	vcon_ctrl_port_reset(port);
}

/**
 * vcon_port_thaw() - the device is back
 * @port: a port that was frozen, its queues there
 *
 * Context: process context; the control work does not run.
 * Return: 0 or -ENOMEM.
 */
int vcon_port_thaw(struct vcon_port *port)
{
	int err = vcon_rx_start(port, vcon_in_vq(port->vcon, port->id));
	struct vcon_con *con;

	if (err)
		return err;
	vcon_tx_start(port, vcon_out_vq(port->vcon, port->id));
	vcon_rx_kick(port);
	rcu_read_lock();
	vcon_hvc_output(port);
	/* Nobody has told hvc of what was saved. */
	con = rcu_dereference(port->con);
	if (con)
		vcon_hvc_input(con);
	rcu_read_unlock();
	wake_up_interruptible(&port->wait);
	return 0;
}

/**
 * vcon_port_init() - module init
 *
 * Return: 0 or an error.
 */
int vcon_port_init(void)
{
	int err = class_register(&vcon_class);

	if (err)
		return err;
	err = alloc_chrdev_region(&vcon_devt, 0, VCON_MINORS, "virtio-portsdev-rh");
	if (err)
		class_unregister(&vcon_class);
	return err;
}

/**
 * vcon_port_exit() - module exit
 */
void vcon_port_exit(void)
{
	unregister_chrdev_region(vcon_devt, VCON_MINORS);
	class_unregister(&vcon_class);
	ida_destroy(&vcon_minors);
}
