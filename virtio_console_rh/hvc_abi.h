/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The binary interface of the kernel's hvc layer (drivers/tty/hvc), whose header
 * is not part of the packaged kernel headers. compat_tty.h decides which of the
 * two shapes the kernel has; vcon_hvc_layout_ok() proves it again on each live
 * object, because a wrong guess would write into foreign memory.
 */
#ifndef VCON_HVC_ABI_H
#define VCON_HVC_ABI_H

#include <linux/spinlock.h>
#include <linux/tty.h>
#include <linux/tty_port.h>
#include <linux/workqueue.h>

#include "compat_tty.h"

struct hv_ops;

/**
 * struct hvc_struct - one console, as hvc has it in memory
 * @port: its tty port; the reference count in it keeps this structure alive
 * @lock: hvc's own; held around get_chars and put_chars of the tty
 * @index: number in /dev/hvcN; hvc finds the console by it, under @lock
 * @do_wakeup: not used here
 * @outbuf: where the tty's output waits for put_chars()
 * @outbuf_size: bytes in @outbuf, as given to hvc_alloc()
 * @n_outbuf: bytes waiting
 * @vtermno: as given to hvc_alloc()
 * @ops: as given to hvc_alloc()
 * @irq_requested: 1: the driver calls hvc_poll(), hvc need not poll
 * @data: as given to hvc_alloc()
 * @ws: size that @tty_resize hands to the tty
 * @tty_resize: work that __hvc_resize() schedules
 * @next: not used here
 * @flags: not used here
 */
struct hvc_struct {
	struct tty_port port;
	/* hvc takes it around get_chars and put_chars of the tty. */
	spinlock_t lock;
	int index;
	int do_wakeup;
#if VRH_HVC_OLD
	char *outbuf;
#endif
	int outbuf_size;
	int n_outbuf;
	u32 vtermno;
	const struct hv_ops *ops;
	int irq_requested;
	int data;
	struct winsize ws;
	struct work_struct tty_resize;
	struct list_head next;
	unsigned long flags;
#if !VRH_HVC_OLD
	u8 outbuf[] __aligned(sizeof(long));
#endif
};

/**
 * struct hv_ops - what hvc calls
 * @get_chars: input into the buffer; bytes, 0 for none, or an error
 * @put_chars: output; bytes taken, 0 or -EAGAIN for "later", or an error that
 *	throws the bytes away
 * @flush: end of a record of the kernel log (wait false, any context), or
 *	the tty wants room (wait true, may sleep)
 * @notifier_add: the tty is opened for the first time
 * @notifier_del: the tty is closed for the last time
 * @notifier_hangup: the tty is hung up
 * @tiocmget: not used here
 * @tiocmset: not used here
 * @dtr_rts: not used here; its second argument differs between kernels
 */
struct hv_ops {
#if VRH_HVC_OLD
	int (*get_chars)(u32 vtermno, char *buf, int count);
	int (*put_chars)(u32 vtermno, const char *buf, int count);
#else
	ssize_t (*get_chars)(u32 vtermno, u8 *buf, size_t count);
	ssize_t (*put_chars)(u32 vtermno, const u8 *buf, size_t count);
#endif
	int (*flush)(u32 vtermno, bool wait);
	int (*notifier_add)(struct hvc_struct *hp, int data);
	void (*notifier_del)(struct hvc_struct *hp, int data);
	void (*notifier_hangup)(struct hvc_struct *hp, int data);
	int (*tiocmget)(struct hvc_struct *hp);
	int (*tiocmset)(struct hvc_struct *hp, unsigned int set, unsigned int clear);
	void (*dtr_rts)(struct hvc_struct *hp, bool active);
};

struct hvc_struct *hvc_alloc(u32 vtermno, int data, const struct hv_ops *ops, int outbuf_size);
/* Returned an int that was always 0 before 6.2; a caller that ignores it fits both. */
void hvc_remove(struct hvc_struct *hp);
int hvc_poll(struct hvc_struct *hp);
void hvc_kick(void);
void __hvc_resize(struct hvc_struct *hp, struct winsize ws);

#endif
