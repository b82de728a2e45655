// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads CLOCK_MONOTONIC as programs do, and prints what it saw.
 *
 * clockread order THREADS READS SECONDS: threads that tell each other the latest time, and
 *	look whether a later reading is earlier: so many readings of all together, and so long
 *	at least. Prints reads, backward steps and the worst, ns.
 * clockread cost READS: the time of a reading by vDSO or, where there is none, system call,
 *	in the fastest of 100 rounds of READS, in TSC ticks per 1000 reads.
 * clockread pair: a TSC value and the time at it, ns: of 1000 such readings the one between
 *	whose two looks at the TSC the least passed.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <linux/types.h>
#include <x86intrin.h>

#define NSEC_PER_SEC 1000000000LL
#define ROUNDS 100

static __s64 latest;
static __u64 backward;
static __s64 worst;
static __u64 reads_made;
static __u64 reads_each;
static __s64 until;

/* ns */
static __s64 now(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_MONOTONIC, &ts))
		abort();
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

/* *@to is at least @value from now on. */
static void raise_to(__s64 *to, __s64 value)
{
	__s64 old = __atomic_load_n(to, __ATOMIC_SEQ_CST);

	while (old < value && !__atomic_compare_exchange_n(to, &old, value, 1, __ATOMIC_SEQ_CST,
							   __ATOMIC_SEQ_CST))
		;
}

static void *read_on(void *unused)
{
	__s64 before, time = 0;
	__u64 i;

	(void)unused;
	for (i = 0; i < reads_each || time < until; i++) {
		before = __atomic_load_n(&latest, __ATOMIC_SEQ_CST);
		time = now();
		if (time < before) {
			__atomic_fetch_add(&backward, 1, __ATOMIC_SEQ_CST);
			raise_to(&worst, before - time);
		}
		raise_to(&latest, time);
	}
	__atomic_fetch_add(&reads_made, i, __ATOMIC_SEQ_CST);
	return NULL;
}

static int order(unsigned long threads, __u64 reads, __s64 seconds)
{
	pthread_t *thread = calloc(threads, sizeof(*thread));
	unsigned long i;

	if (!thread)
		return 1;
	reads_each = (reads + threads - 1) / threads;
	until = now() + seconds * NSEC_PER_SEC;
	for (i = 0; i < threads; i++) {
		errno = pthread_create(&thread[i], NULL, read_on, NULL);
		if (errno) {
			perror("clockread: a thread");
			return 1;
		}
	}
	for (i = 0; i < threads; i++)
		pthread_join(thread[i], NULL);
	free(thread);
	printf("reads=%llu backward=%llu worst_ns=%lld\n",
	       reads_made, backward,
	       worst);
	return 0;
}

static int cost(__u64 reads)
{
	__u64 least = ~0ULL, begin, ticks, i;
	unsigned int round;

	for (round = 0; round < ROUNDS; round++) {
		begin = __rdtsc();
		for (i = 0; i < reads; i++)
			now();
		ticks = __rdtsc() - begin;
		least = ticks < least ? ticks : least;
	}
	printf("ticks_per_1000=%llu\n", (least * 1000 / reads));
	return 0;
}

static int pair(void)
{
	__u64 least = ~0ULL, before, after, tsc = 0;
	__s64 time, at = 0;
	unsigned int i;

	for (i = 0; i < 1000; i++) {
		before = __rdtsc();
		time = now();
		after = __rdtsc();
		if (after - before >= least)
			continue;
		least = after - before;
		tsc = before + least / 2;
		at = time;
	}
	printf("tsc=%llu ns=%lld within=%llu\n", tsc, at,
	       least);
	return 0;
}

/* A number above 0. */
static int number(const char *text, __u64 *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 10);
	return !errno && *value && !*end && *text >= '0' && *text <= '9';
}

int main(int argc, char **argv)
{
	__u64 threads, reads, seconds;

	if (argc == 5 && !strcmp(argv[1], "order") && number(argv[2], &threads) &&
	    threads <= 64 && number(argv[3], &reads) && number(argv[4], &seconds) &&
	    seconds <= 100000)
		return order(threads, reads, seconds);
	if (argc == 3 && !strcmp(argv[1], "cost") && number(argv[2], &reads))
		return cost(reads);
	if (argc == 2 && !strcmp(argv[1], "pair"))
		return pair();
	fprintf(stderr, "usage: clockread order THREADS READS SECONDS | cost READS | pair\n");
	return 2;
}
