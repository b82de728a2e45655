// SPDX-License-Identifier: GPL-2.0-only
/*
 * Actions and options as a person or a program writes them: words of text, and
 * records of bytes for a fuzzer.
 */
#include <linux/kernel.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "core.h"

/* Between words. */
#define SIM_BLANKS " \t\n"

static int sim_parse_word(char *word, const struct sim_word *words, unsigned int nr)
{
	char *value = strchr(word, '=');
	long long number;
	unsigned int i;

	if (!value)
		return -EINVAL;
	*value++ = '\0';
	for (i = 0; i < nr; i++) {
		if (strcmp(words[i].name, word))
			continue;
		if (value[0] == '-') {
			if (kstrtoll(value, 0, &number))
				return -EINVAL;
			*words[i].value = number;
			return 0;
		}
		if (kstrtoull(value, 0, words[i].value) || *words[i].value > words[i].max)
			return -EINVAL;
		return 0;
	}
	return -EINVAL;
}

/**
 * sim_parse_words() - read "name=number ..."
 * @text: the text, which is changed, or NULL
 * @words: what is understood
 * @nr: how many those are
 *
 * Return: 0 or -EINVAL.
 */
int sim_parse_words(char *text, const struct sim_word *words, unsigned int nr)
{
	char *word;

	while ((word = strsep(&text, SIM_BLANKS))) {
		if (*word && sim_parse_word(word, words, nr))
			return -EINVAL;
	}
	return 0;
}

static int sim_parse_hex(const char *text, u8 *bytes, size_t len)
{
	char pair[3] = "";
	size_t i;

	for (i = 0; i < len; i++) {
		memcpy(pair, text + 2 * i, 2);
		if (kstrtou8(pair, 16, &bytes[i]))
			return -EINVAL;
	}
	return 0;
}

/**
 * sim_parse_options() - read "TYPE [name=number ...]"
 * @text: the text; changed
 * @options: the result
 * @plug: the device is to be plugged at once
 *
 * Names: features, features_hi, size, pairs, ports, sectors, suppress, plug (1).
 *
 * Return: 0 or -EINVAL.
 */
int sim_parse_options(char *text, struct sim_options *options, bool *plug)
{
	u64 features = 0, features_hi = 0, size = 0, pairs = 0, ports = 0, sectors = 0;
	u64 suppress = 0, now = 1;
	const struct sim_word words[] = {
		{ "features", U64_MAX, &features },
		{ "features_hi", U64_MAX, &features_hi },
		{ "size", SIM_QUEUE_SIZE_MAX, &size },
		{ "pairs", SIM_QUEUES_MAX, &pairs },
		{ "ports", SIM_QUEUES_MAX, &ports },
		{ "sectors", U64_MAX, &sectors },
		{ "suppress", 1, &suppress },
		{ "plug", 1, &now },
	};
	const struct sim_model *model;
	char *word = strsep(&text, SIM_BLANKS);

	model = sim_model_named(word);
	if (!model)
		return -EINVAL;
	if (sim_parse_words(text, words, ARRAY_SIZE(words)))
		return -EINVAL;
	*options = (struct sim_options) {
		.id = model->id,
		.features = features,
		.features_hi = features_hi,
		.queue_size = size,
		.pairs = pairs,
		.ports = ports,
		.sectors = sectors,
		.suppress = suppress,
	};
	*plug = now;
	return 0;
}

/**
 * sim_parse_action() - read "OPERATION [name=number ...] [bytes=HEX | text=WORD]"
 * @model: type of device
 * @text: the text; changed
 * @action: the result
 * @bytes: SIM_BYTES_MAX bytes for what it carries; belongs to @action afterwards
 *
 * Names: queue (all of them unless given), skip, count, at, width, value.
 *
 * Return: 0 or -EINVAL.
 */
int sim_parse_action(const struct sim_model *model, char *text, struct sim_action *action,
		     u8 *bytes)
{
	u64 queue = SIM_ALL_QUEUES, skip = 0, count = 1, at = 0, width = 1, value = 0;
	const struct sim_word words[] = {
		{ "queue", SIM_ALL_QUEUES, &queue },
		{ "skip", U32_MAX, &skip },
		{ "count", U32_MAX, &count },
		{ "at", S32_MAX, &at },
		{ "width", 8, &width },
		{ "value", U64_MAX, &value },
	};
	char *word = strsep(&text, SIM_BLANKS);
	size_t len = 0;
	int op = sim_op_find(model, word);

	if (op < 0)
		return op;
	while ((word = strsep(&text, SIM_BLANKS))) {
		if (!strncmp(word, "bytes=", 6)) {
			len = strlen(word + 6) / 2;
			if (len > SIM_BYTES_MAX || strlen(word + 6) % 2 ||
			    sim_parse_hex(word + 6, bytes, len))
				return -EINVAL;
		} else if (!strncmp(word, "text=", 5)) {
			len = strlen(word + 5);
			if (len > SIM_BYTES_MAX)
				return -EINVAL;
			memcpy(bytes, word + 5, len);
		} else if (*word && sim_parse_word(word, words, ARRAY_SIZE(words))) {
			return -EINVAL;
		}
	}
	*action = (struct sim_action) {
		.op = op,
		.queue = queue,
		.skip = skip,
		.count = count,
		.at = at,
		.width = width,
		.value = value,
		.len = len,
		.bytes = bytes,
	};
	return 0;
}

/*
 * A record of a byte stream, 18 bytes and @len more. All of it may be anything.
 */
struct sim_record {
	u8 op;
	u8 queue;
	u8 skip;
	u8 count;
	__le16 at;
	u8 width;
	u8 reserved;
	__le16 len;
	__le64 value;
} __packed;

static_assert(sizeof(struct sim_record) == 18);

/**
 * sim_stream_action() - read one record of a byte stream
 * @stream: the bytes
 * @len: how many
 * @action: the result; its bytes are in @stream
 *
 * Layout: operation, queue (0xff is all), skip, count, offset (2, little endian,
 * signed), width, a byte for later, number of bytes (2), value (8), the bytes. A
 * number of bytes that is more than follows takes what there is.
 *
 * Return: bytes taken, 0 if there is no whole record any more.
 */
ssize_t sim_stream_action(const u8 *stream, size_t len, struct sim_action *action)
{
	struct sim_record record;
	size_t more;

	if (len < sizeof(record))
		return 0;
	memcpy(&record, stream, sizeof(record));
	more = min3((size_t)le16_to_cpu(record.len), len - sizeof(record), (size_t)SIM_BYTES_MAX);
	*action = (struct sim_action) {
		.op = record.op,
		.queue = record.queue == 0xff ? SIM_ALL_QUEUES : record.queue,
		.skip = record.skip,
		.count = record.count,
		.at = (s16)le16_to_cpu(record.at),
		.width = record.width,
		.value = le64_to_cpu(record.value),
		.len = more,
		.bytes = stream + sizeof(record),
	};
	return sizeof(record) + more;
}
