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
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <x86intrin.h>

#define NSEC_PER_SEC 1000000000LL
#define ROUNDS 100

static _Atomic int64_t latest;
static _Atomic uint64_t backward;
static _Atomic int64_t worst;
static _Atomic uint64_t reads_made;
static uint64_t reads_each;
static int64_t until;

/* ns */
static int64_t now(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_MONOTONIC, &ts))
		abort();
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

/* *@to is at least @value from now on. */
static void raise_to(_Atomic int64_t *to, int64_t value)
{
	int64_t old = atomic_load(to);

	while (old < value && !atomic_compare_exchange_weak(to, &old, value))
		;
}

static void *read_on(void *unused)
{
	int64_t before, time = 0;
	uint64_t i;

	(void)unused;
	for (i = 0; i < reads_each || time < until; i++) {
		before = atomic_load(&latest);
		time = now();
		if (time < before) {
			atomic_fetch_add(&backward, 1);
			raise_to(&worst, before - time);
		}
		raise_to(&latest, time);
	}
	atomic_fetch_add(&reads_made, i);
	return NULL;
}

static int order(unsigned long threads, uint64_t reads, int64_t seconds)
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
	       (unsigned long long)reads_made, (unsigned long long)backward,
	       (long long)worst);
	return 0;
}

static int cost(uint64_t reads)
{
	uint64_t least = UINT64_MAX, begin, ticks, i;
	unsigned int round;

	for (round = 0; round < ROUNDS; round++) {
		begin = __rdtsc();
		for (i = 0; i < reads; i++)
			now();
		ticks = __rdtsc() - begin;
		least = ticks < least ? ticks : least;
	}
	printf("ticks_per_1000=%llu\n", (unsigned long long)(least * 1000 / reads));
	return 0;
}

static int pair(void)
{
	uint64_t least = UINT64_MAX, before, after, tsc = 0;
	int64_t time, at = 0;
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
	printf("tsc=%llu ns=%lld within=%llu\n", (unsigned long long)tsc, (long long)at,
	       (unsigned long long)least);
	return 0;
}

/* A number above 0. */
static int number(const char *text, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 10);
	return !errno && *value && !*end && *text >= '0' && *text <= '9';
}

int main(int argc, char **argv)
{
	uint64_t threads, reads, seconds;

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
