/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The device uio_test_dma of CONFIG_UIO_TEST, controlled through debugfs, see
 * drivers/uio/uio_test.c. It writes to a page over and over again.
 */
#ifndef SELFTESTS_UIO_TEST_DMA_H
#define SELFTESTS_UIO_TEST_DMA_H

#include <stdarg.h>

#include "uio_lib.h"

#define TEST_DMA_DIR	"/sys/kernel/debug/uio_test/"

/* What it writes, and the time between two times. */
#define TEST_DMA_BYTE		0xdd
#define TEST_DMA_PERIOD_MS	2
/* Long enough for it to write; and more than anything should take. */
#define TEST_DMA_SOME_MS	60
#define TEST_DMA_LONG_MS	5000

static inline __printf(2, 3)
int test_dma_set(const char *file, const char *fmt, ...)
{
	char path[UIO_PATH_LEN], text[80];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	snprintf(path, sizeof(path), TEST_DMA_DIR "%s", file);
	return uio_write_text(path, text);
}

static inline int test_dma_get(const char *file)
{
	char path[UIO_PATH_LEN];
	__u64 val;
	int ret;

	snprintf(path, sizeof(path), TEST_DMA_DIR "%s", file);
	ret = uio_read_u64(path, &val);
	return ret ? ret : (int)val;
}

static inline bool test_dma_is_permitted(void)
{
	char text[8];

	return uio_read_text(TEST_DMA_DIR "permitted", text, sizeof(text)) == 1 &&
	       text[0] == 'Y';
}

/* Does it write to what it was told to, whoever that belongs to now? */
static inline bool test_dma_writes_within(long ms)
{
	int before = test_dma_get("stores");
	long end = uio_now_ms() + ms;

	do {
		uio_msleep(TEST_DMA_PERIOD_MS);
		if (test_dma_get("stores") > before)
			return true;
	} while (uio_now_ms() < end);
	return false;
}

static inline bool test_dma_is_writing(void)
{
	return test_dma_writes_within(TEST_DMA_SOME_MS);
}

/* Have it write to a page. */
static inline int test_dma_write(__u64 addr)
{
	return test_dma_set("store", "%llx %zu %x %u", (unsigned long long)addr,
			    uio_page_size(), TEST_DMA_BYTE, TEST_DMA_PERIOD_MS);
}

/* Is it the page at @vaddr that it writes to? */
static inline bool test_dma_reaches(void *vaddr)
{
	long end = uio_now_ms() + TEST_DMA_LONG_MS;

	memset(vaddr, 0, uio_page_size());
	while (uio_now_ms() < end) {
		if (uio_differs_from(vaddr, uio_page_size(), TEST_DMA_BYTE) == -1)
			return true;
		uio_msleep(TEST_DMA_PERIOD_MS);
	}
	return false;
}

#endif /* SELFTESTS_UIO_TEST_DMA_H */
