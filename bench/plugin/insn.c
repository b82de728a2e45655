// SPDX-License-Identifier: GPL-2.0
/*
 * insn: a QEMU TCG plugin that counts the guest's instructions, in all and by kernel code address,
 * and writes what was counted since the last mark each time the guest executes a mark. It knows
 * nothing of symbols or drivers; bench/insn.py gives the addresses their names.
 *
 * How it counts: each translated block of the kernel gets one inline add of 1 to a slot of its own,
 * which remembers the block's address and its number of instructions. A block ends at the first
 * jump, call or return, so it lies in one function. Blocks of user space share one slot: only
 * their sum is wanted. A repeated string instruction counts once, as on a processor.
 *
 * A block is counted when it starts. One that a fault or a device access leaves early is counted
 * whole, and its rest again as a block of its own: exact=on counts instruction by instruction
 * besides, and shows how much that is.
 *
 * A mark is the eight-byte instruction "nopl 0x766872NN(%rax,%rax,1)": legal and without effect
 * anywhere, and in no other program. NN is the mark's number, chosen by the guest.
 *
 * Arguments: out=FILE (needed), exact=on, slots=N (how many kernel blocks can be told apart, a
 * power of two; what does not fit is counted as lost, its address unknown).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu-plugin-abi.h"

#define SLOTS_DEFAULT	(1u << 19)	/* a boot to user space makes about 75,000 */
#define SLOTS_MIN	(1u << 10)
#define SLOTS_MAX	(1u << 22)	/* QEMU keeps 16 elements: 8 * 16 * 4M = 512 MiB */
#define KERNEL_BASE	(UINT64_C(1) << 63)
#define MARK_EXIT	0x100		/* the snapshot at QEMU's exit; a guest cannot make it */

static const uint8_t mark_opcode[] = {0x0f, 0x1f, 0x84, 0x00};
static const uint8_t mark_magic[] = {0x72, 0x68, 0x76};	/* displacement 0x766872NN */

/* Slots of the scoreboard that are not a kernel block. */
enum {
	SLOT_USER,	/* instructions of user space */
	SLOT_LOST,	/* kernel instructions whose block found no slot */
	SLOT_EXACT,	/* instructions, one by one, with exact=on */
	SLOT_FIRST,	/* the first slot of a kernel block: executions of the block */
};

/**
 * struct block - a translated block of kernel code; its index is its slot
 * @addr: guest virtual address of its first instruction
 * @n: number of instructions
 * @next: next block in the hash chain, 0 at its end
 */
struct block {
	uint64_t addr;
	uint32_t n;
	uint32_t next;
};

PLUGIN_EXPORT int qemu_plugin_version = PLUGIN_API_VERSION;

static struct qemu_plugin_scoreboard *score;
static struct block *blocks;
static uint64_t *seen;		/* slots as they were at the last snapshot */
static uint32_t *chains;
static uint32_t slots = SLOTS_DEFAULT;
static uint32_t used = SLOT_FIRST;
static unsigned int snapshots;
static bool exact;
static FILE *out;

static qemu_plugin_u64 counter(uint32_t slot)
{
	return (qemu_plugin_u64){ .score = score, .offset = slot * sizeof(uint64_t) };
}

static uint64_t delta(const uint64_t *now, uint32_t slot)
{
	return now[slot] - seen[slot];
}

/* The file is text; a reader that comes while the guest runs takes what ends with "end". */
static void snapshot(unsigned int vcpu, unsigned int mark)
{
	const uint64_t *now = qemu_plugin_scoreboard_find(score, vcpu);
	uint64_t kernel = delta(now, SLOT_LOST);

	for (uint32_t i = SLOT_FIRST; i < used; i++)
		kernel += delta(now, i) * blocks[i].n;

	fprintf(out, "snapshot %u mark %u user %" PRIu64 " kernel %" PRIu64 " lost %" PRIu64,
		snapshots++, mark, delta(now, SLOT_USER), kernel, delta(now, SLOT_LOST));
	if (exact)
		fprintf(out, " exact %" PRIu64, delta(now, SLOT_EXACT));
	fputc('\n', out);

	for (uint32_t i = SLOT_FIRST; i < used; i++)
		if (delta(now, i))
			fprintf(out, "%" PRIx64 " %" PRIu64 "\n", blocks[i].addr,
				delta(now, i) * blocks[i].n);
	fputs("end\n", out);
	fflush(out);

	memcpy(seen, now, used * sizeof(*seen));
}

static void on_mark(unsigned int vcpu, void *mark)
{
	snapshot(vcpu, (uintptr_t)mark);
}

static void on_quit(qemu_plugin_id_t id, void *unused)
{
	(void)id;
	(void)unused;
	snapshot(0, MARK_EXIT);
	if (ferror(out) || fclose(out))
		fputs("insn: the output is incomplete: write error\n", stderr);
}

/* Returns the mark's number, or -1 for any other instruction. */
static int mark_number(const struct qemu_plugin_insn *insn)
{
	uint8_t code[8];

	if (qemu_plugin_insn_size(insn) != sizeof(code) ||
	    qemu_plugin_insn_data(insn, code, sizeof(code)) != sizeof(code) ||
	    memcmp(code, mark_opcode, sizeof(mark_opcode)) ||
	    memcmp(code + 5, mark_magic, sizeof(mark_magic)))
		return -1;
	return code[4];
}

/*
 * The slot of a kernel block, a new one if need be, SLOT_LOST if none is left. QEMU drops and makes
 * translations as it likes: a block comes back to its slot. Other code at the same address (a
 * module loaded where another was) shares it if it is as long, and is counted as well.
 */
static uint32_t find_slot(uint64_t addr, uint32_t n)
{
	uint32_t *chain = &chains[addr * UINT64_C(0x9e3779b97f4a7c15) >> 32 & (slots - 1)];

	for (uint32_t i = *chain; i; i = blocks[i].next)
		if (blocks[i].addr == addr && blocks[i].n == n)
			return i;

	if (used == slots)
		return SLOT_LOST;
	blocks[used] = (struct block){ .addr = addr, .n = n, .next = *chain };
	*chain = used;
	return used++;
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t n = qemu_plugin_tb_n_insns(tb);
	uint32_t slot = SLOT_USER;

	(void)id;
	if (qemu_plugin_tb_vaddr(tb) >= KERNEL_BASE)
		slot = find_slot(qemu_plugin_tb_vaddr(tb), n);
	qemu_plugin_register_vcpu_tb_exec_inline_per_vcpu(tb, QEMU_PLUGIN_INLINE_ADD_U64,
							  counter(slot),
							  slot < SLOT_FIRST ? n : 1);

	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		int mark = mark_number(insn);

		if (exact)
			qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
				insn, QEMU_PLUGIN_INLINE_ADD_U64, counter(SLOT_EXACT), 1);
		if (mark >= 0)
			qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark,
							       QEMU_PLUGIN_CB_NO_REGS,
							       (void *)(uintptr_t)mark);
	}
}

static bool parse_argument(const char *arg)
{
	char *end;

	if (!strncmp(arg, "out=", 4)) {
		out = fopen(arg + 4, "we");
		if (!out)
			perror(arg);
		return out;
	}
	if (!strcmp(arg, "exact=on") || !strcmp(arg, "exact=off")) {
		exact = !strcmp(arg, "exact=on");
		return true;
	}
	if (!strncmp(arg, "slots=", 6)) {
		unsigned long value = strtoul(arg + 6, &end, 0);

		slots = value;
		if (!*end && value >= SLOTS_MIN && value <= SLOTS_MAX && !(value & (value - 1)))
			return true;
	}
	fprintf(stderr, "insn: bad argument '%s': out=FILE, exact=on|off, slots=2^n, %u..%u\n", arg,
		SLOTS_MIN, SLOTS_MAX);
	return false;
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
	if (info->version.min > PLUGIN_API_VERSION || info->version.cur < PLUGIN_API_VERSION) {
		fprintf(stderr, "insn: QEMU speaks plugin API %d to %d, this is %d\n",
			info->version.min, info->version.cur, PLUGIN_API_VERSION);
		return -1;
	}
	if (strcmp(info->target_name, "x86_64") || !info->system_emulation ||
	    info->system.max_vcpus != 1) {
		fprintf(stderr, "insn: needs an x86_64 machine with one vCPU, has %s with %d\n",
			info->target_name, info->system_emulation ? info->system.max_vcpus : 0);
		return -1;
	}
	for (int i = 0; i < argc; i++)
		if (!parse_argument(argv[i]))
			return -1;
	if (!out) {
		fputs("insn: out=FILE is missing\n", stderr);
		return -1;
	}

	blocks = calloc(slots, sizeof(*blocks));
	seen = calloc(slots, sizeof(*seen));
	chains = calloc(slots, sizeof(*chains));
	if (!blocks || !seen || !chains) {
		fprintf(stderr, "insn: no memory for %u slots\n", slots);
		return -1;
	}
	score = qemu_plugin_scoreboard_new(slots * sizeof(uint64_t));
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	qemu_plugin_register_atexit_cb(id, on_quit, NULL);
	return 0;
}
