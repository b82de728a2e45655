// SPDX-License-Identifier: GPL-2.0
/*
 * ops: does one small operation over and over, for a number of times or of seconds, and prints how
 * many, how long and how fast as JSON. For what no packaged tool does by count.
 *
 *   ops write PATH SIZE AMOUNT        write(2) of SIZE bytes to PATH
 *   ops read PATH SIZE AMOUNT         read(2) of at most SIZE bytes from PATH
 *   ops rr HOST PORT SIZE AMOUNT      SIZE bytes there and back over TCP
 *   ops echo HOST PORT                the other end of rr, until it is killed
 *   ops touch MIB                     has the guest own MIB of memory for a moment
 *
 * AMOUNT is a number of operations, or of seconds with an "s" behind it: 10000, 2.5s.
 *
 * Latencies go to a histogram with 64 buckets for each power of two, so a percentile is right to
 * 1.6 % and an operation costs the same however many came before it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SUB_BITS	6
#define BUCKETS		((64 - SUB_BITS + 1) << SUB_BITS)
#define MAX_SIZE	(1 << 20)

struct amount {
	uint64_t operations;	/* 0: no limit */
	uint64_t ns;		/* 0: no limit */
};

/* One operation on fd; returns the bytes it moved, 0 at the end of the input, -1 with errno. */
typedef ssize_t (*operation_t)(int fd, char *buffer, size_t size);

static uint64_t histogram[BUCKETS];

static void die(const char *format, ...)
{
	va_list args;

	fputs("ops: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * UINT64_C(1000000000) + ts.tv_nsec;
}

/* Values below 64 have a bucket each; above, the leading bit and the 6 bits behind it choose. */
static unsigned int bucket_of(uint64_t value)
{
	int shift;

	if (value < 1 << SUB_BITS)
		return value;
	shift = 63 - __builtin_clzll(value) - SUB_BITS;
	return ((shift + 1) << SUB_BITS) + (value >> shift) - (1 << SUB_BITS);
}

static double middle_of(unsigned int bucket)
{
	int shift = (int)(bucket >> SUB_BITS) - 1;
	uint64_t low;

	if (shift <= 0)
		return bucket;
	low = (uint64_t)((bucket & ((1 << SUB_BITS) - 1)) + (1 << SUB_BITS)) << shift;
	return low + (UINT64_C(1) << shift) / 2.0;
}

static double percentile(uint64_t total, double percent)
{
	uint64_t rank = total * percent / 100.0 + 0.999999;
	uint64_t sum = 0;

	for (unsigned int i = 0; i < BUCKETS; i++) {
		sum += histogram[i];
		if (sum >= rank && sum)
			return middle_of(i);
	}
	return 0;
}

static void repeat(operation_t operation, int fd, size_t size, struct amount amount)
{
	char *buffer = malloc(size);
	uint64_t operations = 0;
	uint64_t bytes = 0;
	uint64_t begin;
	uint64_t last;

	if (!buffer)
		die("no memory");
	memset(buffer, 'x', size);

	begin = now();
	last = begin;
	while ((!amount.operations || operations < amount.operations) &&
	       (!amount.ns || last - begin < amount.ns)) {
		ssize_t done = operation(fd, buffer, size);
		uint64_t end = now();

		if (done < 0)
			die("after %" PRIu64 " operations: %s", operations, strerror(errno));
		if (!done)
			break;
		histogram[bucket_of(end - last)]++;
		last = end;
		bytes += done;
		operations++;
	}

	printf("{\"operations\": %" PRIu64 ", \"bytes\": %" PRIu64 ", \"seconds\": %.6f, "
	       "\"latency_us\": {\"p50\": %.3f, \"p90\": %.3f, \"p99\": %.3f, \"p99.9\": %.3f}}\n",
	       operations, bytes, (last - begin) / 1e9, percentile(operations, 50) / 1e3,
	       percentile(operations, 90) / 1e3, percentile(operations, 99) / 1e3,
	       percentile(operations, 99.9) / 1e3);
	free(buffer);
}

static ssize_t do_write(int fd, char *buffer, size_t size)
{
	return write(fd, buffer, size);
}

static ssize_t do_read(int fd, char *buffer, size_t size)
{
	return read(fd, buffer, size);
}

static ssize_t do_round_trip(int fd, char *buffer, size_t size)
{
	errno = ECONNRESET;	/* for a short answer, which sets none */
	if (write(fd, buffer, size) != (ssize_t)size ||
	    recv(fd, buffer, size, MSG_WAITALL) != (ssize_t)size)
		return -1;
	return size;
}

/* IPv4 numbers only: the network of a benchmark has no names. */
static struct sockaddr_in address(const char *host, const char *port)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };

	if (inet_pton(AF_INET, host, &in.sin_addr) != 1 || !in.sin_port)
		die("bad address '%s:%s'", host, port);
	return in;
}

static void no_delay(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static int dial(const char *host, const char *port)
{
	struct sockaddr_in to = address(host, port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)))
		die("%s:%s: %s", host, port, strerror(errno));
	no_delay(fd);
	return fd;
}

static void echo(int fd)
{
	char buffer[4096];
	ssize_t done;

	no_delay(fd);
	while ((done = recv(fd, buffer, sizeof(buffer), 0)) > 0)
		if (send(fd, buffer, done, MSG_NOSIGNAL) != done)
			break;
	close(fd);
}

static void serve(const char *host, const char *port)
{
	struct sockaddr_in at = address(host, port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 8))
		die("%s:%s: %s", host, port, strerror(errno));
	for (;;)
		echo(accept(fd, NULL, NULL));
}

/* The kernel clears every page on the way: that is what makes the host back it. */
static void touch(size_t mib)
{
	if (mmap(NULL, mib << 20, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0) == MAP_FAILED)
		die("%zu MiB: %s", mib, strerror(errno));
}

static struct amount parse_amount(const char *text)
{
	char *end;
	double value = strtod(text, &end);

	if (end != text && value > 0 && value < 1e15) {
		if (!strcmp(end, "s"))
			return (struct amount){ .ns = value * 1e9 };
		if (!*end && value >= 1)
			return (struct amount){ .operations = value };
	}
	die("bad amount '%s': a number, or seconds with an s behind them", text);
	return (struct amount){ 0 };
}

static size_t parse_size(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 0);

	if (*end || !value || value > MAX_SIZE)
		die("bad size '%s': 1..%d", text, MAX_SIZE);
	return value;
}

static int open_or_die(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	return fd;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	signal(SIGPIPE, SIG_IGN);
	if (argc == 5 && !strcmp(what, "write"))
		repeat(do_write, open_or_die(argv[2], O_WRONLY), parse_size(argv[3]),
		       parse_amount(argv[4]));
	else if (argc == 5 && !strcmp(what, "read"))
		repeat(do_read, open_or_die(argv[2], O_RDONLY), parse_size(argv[3]),
		       parse_amount(argv[4]));
	else if (argc == 6 && !strcmp(what, "rr"))
		repeat(do_round_trip, dial(argv[2], argv[3]), parse_size(argv[4]),
		       parse_amount(argv[5]));
	else if (argc == 4 && !strcmp(what, "echo"))
		serve(argv[2], argv[3]);
	else if (argc == 3 && !strcmp(what, "touch"))
		touch(parse_size(argv[2]));
	else
		die("bad arguments; the head of bench/guest/ops.c has them");
	return 0;
}
