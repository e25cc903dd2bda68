// SPDX-License-Identifier: GPL-2.0-or-later
#include "tap/pcapng_block.h"

#include <string.h>

#define BLOCK_SECTION	0x0a0d0d0aU
#define BLOCK_INTERFACE 1U
#define BLOCK_PACKET	6U
#define BYTE_ORDER_MAGIC 0x1a2b3c4dU
#define LINKTYPE_RAW	101 /* https://www.tcpdump.org/linktypes.html */

enum { OPTION_END = 0, OPTION_COMMENT = 1 };
enum { SECTION_APPLICATION = 4 };
enum { INTERFACE_NAME = 2, INTERFACE_DESCRIPTION = 3, INTERFACE_RESOLUTION = 9 };

struct block {
	uint8_t *bytes;
	size_t len;
};

static void put(struct block *block, const void *bytes, size_t len)
{
	static const uint8_t zeros[4];

	if (len)
		memcpy(block->bytes + block->len, bytes, len);
	block->len += len;
	/* all is aligned to 32 bits (3.1, 3.5) */
	memcpy(block->bytes + block->len, zeros, (4 - len % 4) % 4);
	block->len += (4 - len % 4) % 4;
}

static void put32(struct block *block, uint32_t value)
{
	put(block, &value, sizeof(value));
}

static void put_option(struct block *block, uint16_t code, const void *value, size_t len)
{
	const uint16_t head[2] = {code, (uint16_t)len};

	put(block, head, sizeof(head));
	put(block, value, len);
}

static struct block begin(uint32_t type, uint8_t *out)
{
	struct block block = {.bytes = out};

	put32(&block, type);
	put32(&block, 0); /* its length, once it is known */
	return block;
}

static size_t end(struct block *block)
{
	uint32_t total = (uint32_t)block->len + 4;

	memcpy(block->bytes + 4, &total, sizeof(total));
	put32(block, total);
	return block->len;
}

static size_t put_section(const char *application, uint8_t *out)
{
	struct block block = begin(BLOCK_SECTION, out);
	const uint16_t version[2] = {1, 0};
	const int64_t unknown_len = -1;

	put32(&block, BYTE_ORDER_MAGIC);
	put(&block, version, sizeof(version));
	put(&block, &unknown_len, sizeof(unknown_len));
	put_option(&block, SECTION_APPLICATION, application, strlen(application));
	put_option(&block, OPTION_END, NULL, 0);
	return end(&block);
}

static size_t put_interface(uint8_t *out)
{
	static const char name[] = "ksplit";
	static const char description[] = "plaintext of TLS connections, in packets made up for it";
	struct block block = begin(BLOCK_INTERFACE, out);
	const uint16_t link[2] = {LINKTYPE_RAW, 0};
	const uint8_t microseconds = 6;

	put(&block, link, sizeof(link));
	put32(&block, 0); /* packets are whole, however long */
	put_option(&block, INTERFACE_NAME, name, sizeof(name) - 1);
	put_option(&block, INTERFACE_DESCRIPTION, description, sizeof(description) - 1);
	put_option(&block, INTERFACE_RESOLUTION, &microseconds, 1);
	put_option(&block, OPTION_END, NULL, 0);
	return end(&block);
}

size_t pcapng_block_head(const char *application, uint8_t *out)
{
	size_t len = put_section(application, out);

	return len + put_interface(out + len);
}

size_t pcapng_block_packet(uint64_t time_us, const uint8_t *packet, size_t len,
			   const char *comment, uint8_t *out)
{
	struct block block = begin(BLOCK_PACKET, out);

	put32(&block, 0); /* the interface */
	put32(&block, (uint32_t)(time_us >> 32));
	put32(&block, (uint32_t)time_us);
	put32(&block, (uint32_t)len);
	put32(&block, (uint32_t)len);
	put(&block, packet, len);
	if (comment[0]) {
		put_option(&block, OPTION_COMMENT, comment, strlen(comment));
		put_option(&block, OPTION_END, NULL, 0);
	}
	return end(&block);
}
