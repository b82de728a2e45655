// SPDX-License-Identifier: GPL-2.0
/*
 * mark: tells the plugin insn.c, from inside the guest, where a measured stretch begins and ends.
 *
 *   mark N             one mark with number N, 0 to 255
 *   mark N COMMAND ... the mark, then the command in a child, then the mark again
 *   mark --loop N      mark 1, 2 N instructions, mark 2: a known count to test the plugin with
 *
 * Run as PID 1 it does "mark --loop 1000000" twice and stops the machine, so a kernel and this
 * file alone are a test of the plugin.
 *
 * Outside QEMU, or without the plugin, a mark is a nop.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#define MARKS		256
#define MARK_STRIDE	16
#define SELFTEST_LOOPS	1000000

/* One function for each number: nopl 0x766872NN(%rax,%rax,1); ret */
__asm__(".text\n"
	".balign 16\n"
	"mark_table:\n"
	".set number, 0\n"
	".rept 256\n"
	".byte 0x0f, 0x1f, 0x84, 0x00\n"
	".long 0x76687200 + number\n"
	"ret\n"
	".balign 16\n"
	".set number, number + 1\n"
	".endr\n");

extern const uint8_t mark_table[MARKS * MARK_STRIDE];

static void mark(unsigned int number)
{
	((void (*)(void))(mark_table + number * MARK_STRIDE))();
}

static void known_loop(uint64_t n)
{
	mark(1);
	__asm__ volatile("1: dec %0\n\tjnz 1b" : "+r"(n) : : "cc");
	mark(2);
}

static int parse(const char *text, uint64_t max, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 0);
	if (errno || end == text || *end || *value > max) {
		fprintf(stderr, "mark: bad number '%s': 0..%llu\n", text, (unsigned long long)max);
		return -1;
	}
	return 0;
}

static int run(char **argv)
{
	int status;
	pid_t pid = fork();

	if (pid < 0) {
		perror("mark: fork");
		return 126;
	}
	if (!pid) {
		execvp(argv[0], argv);
		fprintf(stderr, "mark: %s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return 126;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	uint64_t number;
	int status;

	if (getpid() == 1) {
		known_loop(SELFTEST_LOOPS);
		known_loop(SELFTEST_LOOPS);
		reboot(RB_AUTOBOOT);
		return 1;
	}
	if (argc == 3 && !strcmp(argv[1], "--loop")) {
		if (parse(argv[2], UINT64_MAX - 1, &number) || !number)
			return 2;
		known_loop(number);
		return 0;
	}
	if (argc < 2) {
		fputs("usage: mark N [COMMAND ...] | mark --loop N\n", stderr);
		return 2;
	}
	if (parse(argv[1], MARKS - 1, &number))
		return 2;
	mark(number);
	if (argc == 2)
		return 0;
	status = run(argv + 2);
	mark(number);
	return status;
}
