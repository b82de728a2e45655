/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For the suites of virtio_console_rh on the simulated device: a console and its
 * ports, with both of their ends. All bytes go through the files that programs have,
 * /dev/hvc0 and /dev/vportNpM.
 */
#ifndef VRH_CONSOLE_KUNIT_H
#define VRH_CONSOLE_KUNIT_H

#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/poll.h>
#include <linux/random.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include <linux/tty.h>
#include <linux/uio.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>

#include "sim_kunit.h"
#include "tests/simdev/sim_console.h"

#define SIZE		BIT_ULL(VIRTIO_CONSOLE_F_SIZE)
#define MULTIPORT	BIT_ULL(VIRTIO_CONSOLE_F_MULTIPORT)
/* The driver leaves the last one alone. */
#define FEATURES	(SIZE | MULTIPORT | BIT_ULL(VIRTIO_CONSOLE_F_EMERG_WRITE))

/* Port 0 of every device is a console; here all others are serial ports. */
#define CONSOLE		0
#define PORT		1
#define CTRL_RX		2
#define CTRL_TX		3
#define PORT_RX		4
#define PORT_TX		5

/* What the driver gives the device to fill at a time, and more than that. */
#define BUFFER		4096
#define BYTES		6000

#define ON(id, what)	((id) | (u64)(what) << 32)
#define HUNG_UP		(EPOLLHUP | EPOLLERR)

/*
 * What happens at once happens within this time on the slowest machine. Whoever waits for
 * it goes on as soon as it has.
 */
#define SOON_MS		30000

/* Cases run one at a time. */
static u8 sent[BYTES] __maybe_unused;
static u8 got[BYTES] __maybe_unused;

/* Of ends that are open; a case that has failed leaves them to console_test_exit(). */
static struct file *opened[40];

/**
 * struct end - the guest's end of a port
 * @sim: the device, which has the other one
 * @id: of the port
 * @file: opened with O_NONBLOCK
 */
struct end {
	struct sim_device *sim;
	u32 id;
	struct file *file;
};

/* The device */

/* An operation of the model. */
static inline void act(struct kunit *test, struct sim_device *sim, unsigned int op, u64 value)
{
	sim_tell_all(test, sim, .op = op, .value = value);
}

/* A serial port with somebody on the host's side. */
static inline void add_port(struct kunit *test, struct sim_device *sim, u32 id, const void *name,
			    u16 len)
{
	sim_tell(test, sim, .op = SIM_CONSOLE_ADD, .value = id, .bytes = name, .len = len);
	act(test, sim, SIM_CONSOLE_HOSTOPEN, ON(id, 1));
}

static inline struct sim_device *make_of(struct kunit *test, const struct sim_options *options)
{
	struct sim_device *sim = sim_test_make(test, options);
	u32 id;

	for (id = PORT; (options->features & MULTIPORT) && id < options->ports; id++)
		add_port(test, sim, id, NULL, 0);
	return sim;
}

static inline struct sim_device *make(struct kunit *test, u64 features, u32 size, u32 ports)
{
	return make_of(test, &(struct sim_options){
		.id = VIRTIO_ID_CONSOLE,
		.features = features,
		.queue_size = size,
		.ports = ports,
	});
}

static inline void plug(struct kunit *test, struct sim_device *sim)
{
	KUNIT_ASSERT_EQ(test, sim_plug(sim), 0);
	KUNIT_ASSERT_TRUE(test, sim_test_live(sim));
	KUNIT_ASSERT_STREQ(test, sim->vdev.dev.driver->name, "virtio_console_rh");
}

/* With a console and a port. */
static inline struct sim_device *usual(struct kunit *test)
{
	struct sim_device *sim = make(test, FEATURES | SIM_RING_FEATURES, 64, 2);

	plug(test, sim);
	return sim;
}

static inline struct sim_console_port_state state(struct sim_device *sim, u32 id)
{
	struct sim_console_port_state state = {};

	sim_console_port_state(sim, id, &state);
	return state;
}

/* Input of a port, which is in buffers that were used when this returns. */
static inline void say(struct kunit *test, const struct end *end, const void *bytes, size_t len)
{
	KUNIT_EXPECT_EQ(test, sim_console_push(end->sim, end->id, bytes, len), len);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(!state(end->sim, end->id).waiting, SOON_MS));
}

/* The guest */

/* A line of one of the driver's files below debugfs. */
static inline u64 counter(struct kunit *test, struct sim_device *sim, const char *which,
			  const char *name)
{
	static char text[1024];
	struct kvec vec = { .iov_base = text, .iov_len = sizeof(text) - 1 };
	struct iov_iter iter;
	struct kiocb kiocb;
	struct file *file;
	char path[96];
	char *line;
	u64 value = 0;

	snprintf(path, sizeof(path), "sys/kernel/debug/virtio_console_rh/%s/%s",
		 dev_name(&sim->vdev.dev), which);
	file = sim_test_open(path, O_RDONLY);
	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(file), "%s", path);
	memset(text, 0, sizeof(text));
	iov_iter_kvec(&iter, ITER_DEST, &vec, 1, vec.iov_len);
	init_sync_kiocb(&kiocb, file);
	KUNIT_EXPECT_GT(test, seq_read_iter(&kiocb, &iter), 0);
	sim_test_close(file);
	line = strstr(text, name);
	KUNIT_ASSERT_NOT_NULL_MSG(test, line, "%s of %s", name, path);
	if (sscanf(line + strlen(name), ": %llu", &value) != 1)
		KUNIT_FAIL(test, "%s of %s has no value", name, path);
	return value;
}

static inline u64 port_counter(struct kunit *test, const struct end *end, const char *name)
{
	char which[24];

	snprintf(which, sizeof(which), "vport%dp%u", end->sim->vdev.index, end->id);
	return counter(test, end->sim, which, name);
}

static inline bool ctrl_counts(struct kunit *test, struct sim_device *sim, const char *name, u64 n)
{
	return sim_test_wait(counter(test, sim, "control", name) == n, SOON_MS);
}

/* Bytes of all values, and nothing echoed before the first one. */
static inline void make_raw(struct tty_struct *tty)
{
	struct ktermios raw = tty->termios;

	raw.c_iflag = 0;
	raw.c_oflag = 0;
	raw.c_lflag = 0;
	raw.c_cc[VMIN] = 1;
	raw.c_cc[VTIME] = 0;
	tty_set_termios(tty, &raw);
}

static inline struct tty_struct *tty_of(const struct end *end)
{
	const struct tty_file_private *private = end->file->private_data;

	return private->tty;
}

static inline void close_end(const struct end *end)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(opened); i++)
		if (opened[i] == end->file)
			opened[i] = NULL;
	sim_test_close(end->file);
}

static inline void end_path(const struct end *end, char *path, size_t size)
{
	if (end->id == CONSOLE)
		snprintf(path, size, "dev/hvc0");
	else
		snprintf(path, size, "dev/vport%dp%u", end->sim->vdev.index, end->id);
}

/* Of a port that has a file of another name. */
static inline struct end open_as(struct kunit *test, struct sim_device *sim, u32 id,
				 const char *path)
{
	struct end end = { .sim = sim, .id = id };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(opened) && opened[i]; i++)
		;
	KUNIT_ASSERT_LT(test, i, ARRAY_SIZE(opened));
	/* The device has to name its ports first, and devtmpfs has a thread of its own. */
	sim_test_wait(!IS_ERR(end.file = sim_test_open(path, O_RDWR | O_NONBLOCK | O_NOCTTY)),
		      SOON_MS);
	KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(end.file), "%s", path);
	opened[i] = end.file;
	if (strstr(path, "hvc"))
		make_raw(tty_of(&end));
	return end;
}

/* Until both sides have heard of each other nothing moves. */
static inline void is_connected(struct kunit *test, const struct end *end)
{
	KUNIT_EXPECT_TRUE(test, sim_test_wait(!(vfs_poll(end->file, NULL) & EPOLLHUP), SOON_MS));
	KUNIT_EXPECT_TRUE(test, sim_test_wait(state(end->sim, end->id).guest_open, SOON_MS));
}

static inline struct end open_end(struct kunit *test, struct sim_device *sim, u32 id)
{
	struct end end = { .sim = sim, .id = id };
	char path[32];

	end_path(&end, path, sizeof(path));
	end = open_as(test, sim, id, path);
	is_connected(test, &end);
	return end;
}

static inline ssize_t put_once(const struct end *end, const void *bytes, size_t len)
{
	loff_t pos = 0;

	return kernel_write(end->file, bytes, len, &pos);
}

static inline ssize_t get_once(const struct end *end, void *bytes, size_t len)
{
	loff_t pos = 0;

	return kernel_read(end->file, bytes, len, &pos);
}

/* All of it, or as much as goes until nothing goes for a while. */
static inline size_t move(const struct end *end, u8 *bytes, size_t len, bool put)
{
	unsigned long last = jiffies;
	size_t done = 0;
	ssize_t n;

	while (done < len && time_before(jiffies, last + msecs_to_jiffies(SOON_MS))) {
		n = put ? put_once(end, bytes + done, len - done) :
			  get_once(end, bytes + done, len - done);
		/* A port whose PORT_OPEN is on its way looks closed by the host: 0. */
		if (n < 0 && n != -EAGAIN)
			break;
		if (n > 0) {
			last = jiffies;
			done += n;
		} else {
			usleep_range(500, 1000);
		}
	}
	return done;
}

static inline void hears(struct kunit *test, const struct end *end, const void *bytes, size_t len)
{
	KUNIT_EXPECT_EQ(test, move(end, got, len, false), len);
	KUNIT_EXPECT_EQ(test, memcmp(got, bytes, len), 0);
}

static inline void hears_nothing(struct kunit *test, const struct end *end)
{
	KUNIT_EXPECT_EQ(test, get_once(end, got, 1), -EAGAIN);
}

static inline void output_moves(struct kunit *test, const struct end *end)
{
	struct sim_device *sim = end->sim;

	get_random_bytes(sent, BYTES);
	act(test, sim, SIM_CONSOLE_ECHO, ON(end->id, SIM_CONSOLE_RECORD));
	KUNIT_EXPECT_EQ(test, move(end, sent, BYTES, true), BYTES);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(state(sim, end->id).recorded == BYTES, SOON_MS));
	KUNIT_EXPECT_EQ(test, sim_console_take(sim, end->id, got, BYTES), BYTES);
	KUNIT_EXPECT_EQ(test, memcmp(got, sent, BYTES), 0);
	act(test, sim, SIM_CONSOLE_ECHO, ON(end->id, SIM_CONSOLE_COUNT));
}

static inline void input_moves(struct kunit *test, const struct end *end)
{
	get_random_bytes(sent, BYTES);
	KUNIT_EXPECT_EQ(test, sim_console_push(end->sim, end->id, sent, BYTES), BYTES);
	hears(test, end, sent, BYTES);
	hears_nothing(test, end);
}

static inline void data_moves(struct kunit *test, const struct end *end)
{
	output_moves(test, end);
	input_moves(test, end);
}

static inline void data_moves_at(struct kunit *test, struct sim_device *sim, u32 id)
{
	struct end end = open_end(test, sim, id);

	data_moves(test, &end);
	close_end(&end);
}

/* A file of a device that has gone. */
static inline void is_gone(struct kunit *test, const struct end *end)
{
	KUNIT_EXPECT_EQ(test, get_once(end, got, 1), -ENODEV);
	KUNIT_EXPECT_EQ(test, put_once(end, sent, 1), -ENODEV);
	KUNIT_EXPECT_EQ(test, vfs_poll(end->file, NULL), EPOLLHUP);
}

/* A program that waits */

enum wish { READS, WRITES, POLLS };

/**
 * struct program - one that reads or writes once, or waits for a hangup
 * @end: what; without O_NONBLOCK while it runs. The file is the program's too
 * @wish: of it
 * @began: it is about to; @switches is valid
 * @switches: times that it had given the CPU away by then
 * @ret: what it got: bytes or an errno, or events
 * @done: it has returned
 * @task: it
 */
struct program {
	struct end end;
	enum wish wish;
	bool began;
	unsigned long switches;
	ssize_t ret;
	struct completion done;
	struct task_struct *task;
};

/* The one that runs, or NULL. */
static struct program *program __maybe_unused;

/* As poll() does, if nothing but a hangup matters. */
static inline ssize_t poll_once(const struct end *end)
{
	struct poll_wqueues table;
	__poll_t events;

	poll_initwait(&table);
	events = vfs_poll(end->file, &table.pt);
	while (!(events & EPOLLHUP) && !signal_pending(current)) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (!table.triggered)
			schedule();
		__set_current_state(TASK_RUNNING);
		/* What wakes us from here on is seen, or we see what it is about. */
		smp_store_mb(table.triggered, 0);
		events = vfs_poll(end->file, NULL);
	}
	poll_freewait(&table);
	return (__force ssize_t)events;
}

static inline int run_program(void *data)
{
	struct program *p = data;

	/* From end_program(). */
	allow_signal(SIGKILL);
	p->switches = READ_ONCE(current->nvcsw);
	/* Behind @switches, for is_asleep(). */
	smp_store_release(&p->began, true);
	switch (p->wish) {
	case READS:
		p->ret = get_once(&p->end, got, 100);
		break;
	case WRITES:
		p->ret = put_once(&p->end, sent, 100);
		break;
	case POLLS:
		p->ret = poll_once(&p->end);
		break;
	}
	complete_all(&p->done);
	return 0;
}

static inline void nonblock(const struct end *end, bool on)
{
	spin_lock(&end->file->f_lock);
	if (on)
		end->file->f_flags |= O_NONBLOCK;
	else
		end->file->f_flags &= ~O_NONBLOCK;
	spin_unlock(&end->file->f_lock);
}

/*
 * Ends the program, whatever it waits for. One that cannot be ended keeps what it uses, and
 * our code: false.
 */
static inline bool end_program(void)
{
	struct program *p = program;

	if (!p)
		return true;
	program = NULL;
	send_sig(SIGKILL, p->task, 1);
	if (!wait_for_completion_timeout(&p->done, msecs_to_jiffies(SOON_MS))) {
		__module_get(THIS_MODULE);
		return false;
	}
	kthread_stop(p->task);
	put_task_struct(p->task);
	nonblock(&p->end, true);
	fput(p->end.file);
	flush_delayed_fput();
	kfree(p);
	return true;
}

/* Has it gone to sleep, to be woken by an event? */
static inline bool is_asleep(struct program *p)
{
	/* Before @switches, from run_program(). */
	if (!smp_load_acquire(&p->began) || READ_ONCE(p->task->nvcsw) == p->switches)
		return false;
	return (READ_ONCE(p->task->__state) & TASK_INTERRUPTIBLE) && !completion_done(&p->done);
}

/* It sleeps, and does so still, or again, when what may wake it by mistake has had its time. */
static inline void waits(struct kunit *test)
{
	KUNIT_EXPECT_TRUE(test, sim_test_wait(is_asleep(program), SOON_MS));
	msleep(50);
	KUNIT_EXPECT_TRUE(test, sim_test_wait(is_asleep(program), SOON_MS));
}

/* Starts it, and sees it wait. */
static inline void start(struct kunit *test, const struct end *end, enum wish wish)
{
	struct program *p = kzalloc(sizeof(*p), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	*p = (struct program){ .end = *end, .wish = wish };
	init_completion(&p->done);
	p->task = kthread_create(run_program, p, "console-suite");
	if (IS_ERR(p->task)) {
		kfree(p);
		KUNIT_ASSERT_TRUE_MSG(test, false, "no thread");
	}
	get_file(end->file);
	nonblock(end, false);
	get_task_struct(p->task);
	program = p;
	wake_up_process(p->task);
	waits(test);
}

/* Within so many milliseconds; its result. */
static inline ssize_t result(struct kunit *test, unsigned int ms)
{
	bool done = wait_for_completion_timeout(&program->done, msecs_to_jiffies(ms));
	ssize_t ret = program->ret;
	bool ended = end_program();

	KUNIT_EXPECT_TRUE_MSG(test, done, "it waits for ever");
	KUNIT_ASSERT_TRUE(test, ended);
	return ret;
}

static inline void returns(struct kunit *test, ssize_t ret)
{
	KUNIT_EXPECT_EQ(test, result(test, SOON_MS), ret);
}

/*
 * A case that has failed may have left a program behind, and files, which would keep the
 * device's ports, its terminal and the driver.
 */
static inline void console_test_exit(struct kunit *test)
{
	unsigned int i;

	KUNIT_EXPECT_TRUE(test, end_program());
	for (i = 0; i < ARRAY_SIZE(opened); i++)
		if (opened[i])
			close_end(&(struct end){ .file = opened[i] });
	sim_test_exit(test);
}

/* Who reads or writes gets the error, who polls the events. */
static inline void gives_up(struct kunit *test, ssize_t err, __poll_t events)
{
	returns(test, program->wish == POLLS ? (__force ssize_t)events : err);
}

/* For so long the log, and a suspend, wait for a host that takes nothing: as it is, and at most. */
#define STALL		"sys/module/virtio_console_rh/parameters/stall_ms"
#define USUAL_STALL_MS	200
#define STALL_MS	2000

static inline void set_stall(struct kunit *test, unsigned int ms)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", ms);

	KUNIT_EXPECT_EQ(test, sim_test_write(test, STALL, text), len);
}

/* Suspend */

static inline void freeze(struct kunit *test, struct sim_device *sim)
{
	unsigned long start = jiffies;

	KUNIT_ASSERT_EQ(test, sim_test_freeze(sim), 0);
	/* It waits 200 ms for output that the device does not take. */
	KUNIT_EXPECT_LT(test, jiffies_to_msecs(jiffies - start), SOON_MS);
}

static inline void restore(struct kunit *test, struct sim_device *sim)
{
	KUNIT_ASSERT_EQ(test, sim_test_restore(sim), 0);
	KUNIT_ASSERT_TRUE(test, sim_test_live(sim));
}

/* Writes until the port takes no more; how much that was. */
static inline size_t fill(struct kunit *test, const struct end *end)
{
	size_t done = 0;
	ssize_t n;

	while ((n = put_once(end, sent, BYTES)) > 0)
		done += n;
	KUNIT_EXPECT_EQ(test, n, -EAGAIN);
	KUNIT_EXPECT_FALSE(test, vfs_poll(end->file, NULL) & EPOLLOUT);
	return done;
}

#endif
