/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of virtio_console_rh share, grouped by the file that owns it.
 *
 * Lifetime. A struct vcon_device lives as long as the driver is bound or one of
 * its ports lives; a struct vcon_port as long as the device has it or a file is
 * open on it. So memory is always there, and what may be gone is the hardware:
 * rx.vq, tx.vq, ctrl.in_vq and ctrl.out_vq are NULL while it is (unplugged,
 * unbound, suspended, or reset, in which case programs go on), under the lock
 * beside each. Whoever notifies does so after that lock, inside
 * rcu_read_lock(); queues are deleted after synchronize_rcu().
 */
#ifndef VIRTIO_CONSOLE_RH_H
#define VIRTIO_CONSOLE_RH_H

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <linux/tty.h>
#include <linux/virtio.h>
#include <linux/virtio_console.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "compat_tty.h"
#include "ctrl_msg.h"

struct iov_iter;
struct vcon_con;
struct vcon_device;
struct vcon_port;

/* rx.c: the receive queue of a port */

/**
 * struct vcon_rx_buf - a buffer that the device fills
 * @node: in struct vcon_rx.filled
 * @len: bytes that the device wrote, clamped to VCON_RX_BUF_SIZE
 * @off: bytes already read
 * @data: VCON_RX_BUF_SIZE bytes
 */
struct vcon_rx_buf {
	struct list_head node;
	unsigned int len;
	unsigned int off;
	void *data;
};

/**
 * struct vcon_rx - receiving side of a port
 * @lock: protects everything here and the open states of the port
 * @vq: the queue, or NULL while there is none
 * @filled: buffers taken from @vq and not read to the end
 * @bytes: bytes received
 * @discarded: bytes thrown away because nobody had the port open
 * @clamped: buffers whose length was over their size
 * @empty: buffers that came back without a byte
 * @lost: buffers that could not be given back to the device
 */
struct vcon_rx {
	/* Taken after read_lock. */
	spinlock_t lock;
	struct virtqueue *vq;
	struct list_head filled;
	u64 bytes;
	u64 discarded;
	u64 clamped;
	u64 empty;
	u64 lost;
};

int vcon_rx_start(struct vcon_port *port, struct virtqueue *vq);
void vcon_rx_stop(struct vcon_port *port);
void vcon_rx_harvest(struct vcon_port *port, struct virtqueue *vq);
void vcon_rx_close(struct vcon_port *port);
void vcon_rx_kick(struct vcon_port *port);
void vcon_rx_free(struct vcon_port *port);
bool vcon_rx_has_data(struct vcon_port *port);
bool vcon_rx_broken(struct vcon_port *port);
ssize_t vcon_rx_to_iter(struct vcon_port *port, struct iov_iter *to);
size_t vcon_rx_to_buf(struct vcon_port *port, void *buf, size_t count);
void vcon_rx_reap_vq(struct virtqueue *vq);
void vcon_rx_done(struct virtqueue *vq);

/* tx.c: the transmit queue of a port */

/**
 * struct vcon_tx_buf - bytes on their way to the device
 * @node: in a list of struct vcon_con, while not in flight
 * @epoch: of the struct vcon_tx that sent it; the device may return it after the
 *	port has gone and another one has taken its queues
 * @len: bytes in @data
 * @pooled: allocated for a console, to be used again
 * @data: the bytes
 */
struct vcon_tx_buf {
	struct list_head node;
	u64 epoch;
	unsigned int len;
	bool pooled;
	u8 data[];
};

/* Bytes that fit a buffer whose allocation has @alloc bytes. */
#define VCON_TX_BUF_ROOM(alloc) ((alloc) - offsetof(struct vcon_tx_buf, data))

/**
 * struct vcon_tx - transmitting side of a port
 * @lock: protects everything here, and the lists of the port's struct vcon_con
 * @owner: CPU that holds @lock, or -1; see vcon_tx_recursion()
 * @vq: the queue, or NULL while there is none
 * @epoch: number that no other struct vcon_tx has or had
 * @in_flight: buffers that the device has
 * @bytes_in_flight: bytes in them
 * @want_room: somebody found no room and waits to be woken
 * @bytes: bytes handed to the device
 * @kicks: notifications sent
 * @waits: times that the port was full
 * @lost: bytes dropped: the device was gone or did not take them in time
 * @stalls: times that somebody waited stall_ms without any progress
 */
struct vcon_tx {
	/* Only by vcon_tx_lock(). */
	spinlock_t lock;
	int owner;
	struct virtqueue *vq;
	u64 epoch;
	unsigned int in_flight;
	size_t bytes_in_flight;
	bool want_room;
	u64 bytes;
	u64 kicks;
	u64 waits;
	u64 lost;
	u64 stalls;
};

struct vcon_tx_buf *vcon_tx_buf_alloc(size_t bytes);
void vcon_tx_start(struct vcon_port *port, struct virtqueue *vq);
void vcon_tx_stop(struct vcon_port *port);
bool vcon_tx_reap(struct vcon_port *port);
int vcon_tx_submit(struct vcon_port *port, struct vcon_tx_buf *buf);
int vcon_tx_queue(struct vcon_port *port, struct vcon_tx_buf *buf);
void vcon_tx_kick(struct vcon_port *port);
bool vcon_tx_writable(struct vcon_port *port);
bool vcon_tx_idle(struct vcon_port *port);
void vcon_tx_reap_vq(struct virtqueue *vq);
void vcon_tx_done(struct virtqueue *vq);

/* port.c: the character device */

/**
 * struct vcon_port - one port
 * @dev: /sys/class/virtio-ports-rh/vportNpM; its reference count is the port's
 * @cdev: /dev/vportNpM
 * @vcon: the device, kept alive by a reference
 * @id: number of the port on its device
 * @minor: minor number of @cdev
 * @rx: receiving side
 * @tx: transmitting side
 * @con: the console, or NULL; RCU
 * @is_console: served by hvc, files get -ENXIO; under read_lock
 * @wait: readers, writers and pollers
 * @fasync: who wants SIGIO
 * @read_lock: keeps readers apart, so that the bytes of one read() are
 *	consecutive; never held while waiting for data
 * @gone: unplugged; set once, under rx.lock
 * @file_open: a file is open; under read_lock, set under rx.lock
 * @guest_open: a file is open, or the port is a console; under rx.lock
 * @host_open: somebody listens on the host's side; under rx.lock
 * @host_unsure: @host_open is from before a suspend or reset, and the device has
 *	not confirmed it yet; control work, and while that cannot run
 * @held: output waits for that, for a while: settle.c; and of a new port until the device
 *	has been told that it is ready; written as @host_unsure is, read by all
 * @unsure: the port is from before a suspend or reset, and the device has not
 *	named it since; control work, and while that cannot run
 * @name: as the device calls it, or NULL; control work only, then constant
 * @ctrl: what the device has still to be told, see ctrl.c; under ctrl.lock
 * @debugfs: statistics file
 * @rcu: frees this
 */
struct vcon_port {
	struct device dev;
	struct cdev cdev;
	struct vcon_device *vcon;
	u32 id;
	int minor;
	struct vcon_rx rx;
	struct vcon_tx tx;
	struct vcon_con __rcu *con;
	bool is_console;
	wait_queue_head_t wait;
	struct fasync_struct *fasync;
	/* Taken before rx.lock. */
	struct mutex read_lock;
	bool gone;
	bool file_open;
	bool guest_open;
	bool host_open;
	bool host_unsure;
	bool held;
	bool unsure;
	char *name;
	struct {
		struct list_head ready_node;
		struct list_head open_node;
		bool dead;
		bool ready;
		bool open;
		bool told_open;
	} ctrl;
	struct dentry *debugfs;
	struct rcu_head rcu;
};

int vcon_port_init(void);
void vcon_port_exit(void);
int vcon_port_add(struct vcon_device *vcon, u32 id);
void vcon_port_unplug(struct vcon_port *port);
void vcon_port_freeze(struct vcon_port *port);
int vcon_port_thaw(struct vcon_port *port);
void vcon_port_output(struct vcon_port *port);
void vcon_port_told(struct vcon_port *port);
void vcon_port_set_host_open(struct vcon_port *port, bool open);
void vcon_port_set_name(struct vcon_port *port, const char *name);
void vcon_port_set_console(struct vcon_port *port, bool console);
void vcon_port_sigio(struct vcon_port *port);

/* hvc.c: consoles */

#if VRH_HVC_KNOWN
int vcon_hvc_create(struct vcon_port *port);
void vcon_hvc_remove(struct vcon_port *port);
void vcon_hvc_resize(struct vcon_port *port, u16 cols, u16 rows);
void vcon_hvc_input(struct vcon_con *con);
void vcon_hvc_output(struct vcon_port *port);
void vcon_hvc_save(struct vcon_port *port, struct virtqueue *vq);
bool vcon_hvc_recycle(struct vcon_con *con, struct vcon_tx_buf *buf);
bool vcon_hvc_idle(struct vcon_con *con);
u32 vcon_hvc_vtermno(struct vcon_con *con);
void vcon_hvc_exit(void);
#else
static inline int vcon_hvc_create(struct vcon_port *port)
{
	return -EOPNOTSUPP;
}

static inline void vcon_hvc_remove(struct vcon_port *port) { }
static inline void vcon_hvc_resize(struct vcon_port *port, u16 cols, u16 rows) { }
static inline void vcon_hvc_input(struct vcon_con *con) { }
static inline void vcon_hvc_output(struct vcon_port *port) { }
static inline void vcon_hvc_save(struct vcon_port *port, struct virtqueue *vq) { }
static inline bool vcon_hvc_recycle(struct vcon_con *con, struct vcon_tx_buf *buf)
{
	return false;
}

static inline bool vcon_hvc_idle(struct vcon_con *con)
{
	return true;
}

static inline u32 vcon_hvc_vtermno(struct vcon_con *con)
{
	return 0;
}

static inline void vcon_hvc_exit(void) { }
#endif

/* ctrl.c: the control queues of a device with VIRTIO_CONSOLE_F_MULTIPORT */

/* Messages that we have under way at a time; open and close come one by one. */
#define VCON_CTRL_SLOTS 16

/**
 * struct vcon_ctrl_slot - a message on its way to the device
 * @msg: the message
 * @ready: answers that it provokes (it is DEVICE_READY or PORT_READY), in units of
 *	what a PORT_READY does
 */
struct vcon_ctrl_slot {
	struct virtio_console_control msg;
	unsigned int ready;
};

/**
 * struct vcon_ctrl - control queues
 * @work: drains the receive queue, acts on messages and sends what is due
 * @lock: protects @out_vq, @free and all that waits to be sent
 * @in_vq: receive queue; used by @work only, and while it cannot run; statistics look
 *	at it under RCU
 * @out_vq: transmit queue, or NULL while there is none
 * @slots: all slots
 * @free: stack of free slots
 * @nr_free: entries in @free
 * @ready_in_flight: sum of @ready of messages whose answers @work has not yet taken in
 * @ready_consumed: those of them that the device has consumed
 * @ready_window: how many of them may be under way
 * @posted: receive buffers that the device was given at the greeting
 * @device_ready: DEVICE_READY waits to be sent
 * @ready_ports: ports whose PORT_READY waits to be sent
 * @told_ports: ports whose PORT_READY was sent just now; @work only, empty between its rounds
 * @open_ports: ports whose PORT_OPEN waits to be sent
 * @refused: ids of ports that could not be made; PORT_READY 0 waits to be sent
 * @backlog: ring of decoded messages; @work only
 * @backlog_head: next entry to fill
 * @backlog_tail: next entry to act on
 * @bufs: receive buffers
 * @nr_bufs: entries in @bufs
 * @received: messages received
 * @sent: messages sent
 * @bad: messages that made no sense
 * @unknown: messages for ports that do not exist
 */
struct vcon_ctrl {
	struct work_struct work;
	/* Taken from process context only. */
	spinlock_t lock;
	struct virtqueue *in_vq;
	struct virtqueue *out_vq;
	struct vcon_ctrl_slot *slots;
	struct vcon_ctrl_slot **free;
	unsigned int nr_free;
	unsigned int ready_in_flight;
	unsigned int ready_consumed;
	unsigned int ready_window;
	unsigned int posted;
	bool device_ready;
	struct list_head ready_ports;
	struct list_head told_ports;
	struct list_head open_ports;
	unsigned long *refused;
	struct vcon_ctrl_msg *backlog;
	unsigned int backlog_head;
	unsigned int backlog_tail;
	void **bufs;
	unsigned int nr_bufs;
	u64 received;
	u64 sent;
	u64 bad;
	u64 unknown;
};

/* For work that may take its time: making a console may print the whole log. */
extern struct workqueue_struct *vcon_wq;

int vcon_ctrl_alloc(struct vcon_device *vcon);
void vcon_ctrl_free(struct vcon_device *vcon);
int vcon_ctrl_start(struct vcon_device *vcon, struct virtqueue *in, struct virtqueue *out);
void vcon_ctrl_cancel(struct vcon_device *vcon);
void vcon_ctrl_detach(struct vcon_device *vcon);
void vcon_ctrl_reap_vq(struct virtqueue *vq);
bool vcon_ctrl_told_ready(const struct vcon_port *port);
void vcon_ctrl_port_ready(struct vcon_port *port);
void vcon_ctrl_port_open(struct vcon_port *port, bool open);
void vcon_ctrl_port_gone(struct vcon_port *port);
void vcon_ctrl_port_reset(struct vcon_port *port);
void vcon_ctrl_done(struct virtqueue *vq);
int vcon_ctrl_init(void);
void vcon_ctrl_exit(void);

/* settle.c: ports that a device does not have any more after a suspend or reset */

/**
 * struct vcon_settle - what is still to be heard of ports from before
 * @work: runs the control work when the device has been silent for a while, or output
 *	has waited for long
 * @heard: jiffies of its last word on a port that we are unsure of, or of its
 *	taking a question
 * @end: jiffies at which output waits no longer
 * @waiting: that has not come yet, and there were ports at the greeting whose output waits
 * @crowded: since the greeting the device may have found no buffer for a message
 * @asked: such a device has been asked for its ports once more
 */
struct vcon_settle {
	struct delayed_work work;
	unsigned long heard;
	unsigned long end;
	bool waiting;
	bool crowded;
	bool asked;
};

void vcon_settle_init(struct vcon_device *vcon);
void vcon_settle_start(struct vcon_device *vcon);
void vcon_settle_cancel(struct vcon_device *vcon);
void vcon_settle_heard(struct vcon_device *vcon);
void vcon_settle_crowded(struct vcon_device *vcon);
void vcon_settle_expire(struct vcon_device *vcon);
void vcon_settle(struct vcon_device *vcon);

/* main.c: the device */

/**
 * enum vcon_state - what may be done with the device
 * @VCON_STARTING: being probed or restored: queues may exist, work does not run
 * @VCON_LIVE: in use
 * @VCON_FROZEN: suspended: no queues until the restore
 * @VCON_FAILED: the restore failed: no queues, readers and writers get -EIO
 * @VCON_GONE: being removed: no queues, for good
 */
enum vcon_state {
	VCON_STARTING,
	VCON_LIVE,
	VCON_FROZEN,
	VCON_FAILED,
	VCON_GONE,
};

/**
 * struct vcon_device - one virtio console device
 * @vdev: the device; not to be used after VCON_GONE
 * @ref: held by the driver and by each port
 * @state: see vcon_set_state()
 * @multiport: VIRTIO_CONSOLE_F_MULTIPORT is negotiated
 * @little_endian: byte order of what the device and we write
 * @reset_told: the user has been told that the device asks for a reset
 * @nr_vqs: entries in @vqs
 * @vqs: all queues, by the specification's index (VIRTIO 1.3, 5.3.2); NULL
 *	while there are none
 * @config_work: reads a new console size, and whether the device wants to go on
 * @ctrl: control queues, unused without @multiport
 * @settle: ports from before a suspend or reset
 * @debugfs: directory of statistics
 * @max_ports: entries in @ports
 * @ports: ports by id; changed by control work, probe and remove only, read
 *	under RCU
 */
struct vcon_device {
	struct virtio_device *vdev;
	struct kref ref;
	enum vcon_state state;
	bool multiport;
	bool little_endian;
	bool reset_told;
	unsigned int nr_vqs;
	struct virtqueue **vqs;
	struct work_struct config_work;
	struct vcon_ctrl ctrl;
	struct vcon_settle settle;
	struct dentry *debugfs;
	u32 max_ports;
	struct vcon_port __rcu *ports[];
};

/**
 * vcon_leaving() - is the device about to lose its queues, or has it lost them?
 * @vcon: the device
 *
 * From then on no bytes are taken from files, so that what is under way can drain.
 * A console's output goes on until there is no queue.
 *
 * Context: any; seen in time for the drain if read under the port's transmit lock.
 */
static inline bool vcon_leaving(struct vcon_device *vcon)
{
	return READ_ONCE(vcon->state) > VCON_LIVE;
}

void vcon_device_put(struct vcon_device *vcon);
struct virtqueue *vcon_in_vq(struct vcon_device *vcon, u32 id);
struct virtqueue *vcon_out_vq(struct vcon_device *vcon, u32 id);
struct vcon_port *vcon_port_of_vq(struct virtqueue *vq);
unsigned int vcon_stall_ms(void);
bool vcon_hvc_wanted(void);

/* debugfs.c */

void vcon_debugfs_init(void);
void vcon_debugfs_exit(void);
void vcon_debugfs_add_device(struct vcon_device *vcon);
void vcon_debugfs_remove_device(struct vcon_device *vcon);
void vcon_debugfs_add_port(struct vcon_port *port);
void vcon_debugfs_remove_port(struct vcon_port *port);

/**
 * vcon_tx_lock() - take a port's transmit lock
 * @tx: transmitting side
 * @flags: receives the interrupt state
 */
static inline void vcon_tx_lock(struct vcon_tx *tx, unsigned long *flags)
	__acquires(&tx->lock)
{
	spin_lock_irqsave(&tx->lock, *flags);
	WRITE_ONCE(tx->owner, smp_processor_id());
}

/**
 * vcon_tx_unlock() - release a port's transmit lock
 * @tx: transmitting side
 * @flags: from vcon_tx_lock()
 */
static inline void vcon_tx_unlock(struct vcon_tx *tx, unsigned long flags)
	__releases(&tx->lock)
{
	WRITE_ONCE(tx->owner, -1);
	spin_unlock_irqrestore(&tx->lock, flags);
}

/**
 * vcon_tx_unlock_notify() - release the lock, then notify the device
 * @tx: transmitting side
 * @flags: from vcon_tx_lock()
 * @kick: the device wants to know, says virtqueue_kick_prepare()
 *
 * A notification is an exit, and no lock is held over it.
 *
 * Context: as vcon_tx_lock(), inside rcu_read_lock(), which keeps the queue.
 */
static inline void vcon_tx_unlock_notify(struct vcon_tx *tx, unsigned long flags, bool kick)
	__releases(&tx->lock)
{
	struct virtqueue *vq = tx->vq;

	vcon_tx_unlock(tx, flags);
	if (kick)
		virtqueue_notify(vq);
}

/**
 * vcon_tx_recursion() - does this CPU hold the lock already?
 * @tx: transmitting side
 *
 * The virtio core prints a message when the device breaks the ring's rules. If
 * the kernel log goes to this very console, that message comes back to us on
 * the same CPU, with the lock held: a host could hang the guest with it.
 *
 * Context: interrupts disabled or not; a CPU that holds the lock has them off,
 * so it cannot migrate while it does.
 */
static inline bool vcon_tx_recursion(struct vcon_tx *tx)
{
	return READ_ONCE(tx->owner) == raw_smp_processor_id();
}

#endif
