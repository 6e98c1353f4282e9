// SPDX-License-Identifier: GPL-2.0
/*
 * What tests need besides UIO.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kselftest.h"
#include "uio_lib.h"

/*
 * The devices to test: two which reach all memory, one, number 2, which reaches
 * 28 bits of it, and more of the first kind for tests that want many.
 * UIO_TEST_DEVICE0 and so on name others. NULL after the last one.
 */
const char *uio_test_device(unsigned int i)
{
	static const char * const name[] = {
		"0000:00:04.0", "0000:00:05.0", "0000:00:06.0",
		"0000:00:10.0", "0000:00:11.0", "0000:00:12.0",
		"0000:00:13.0", "0000:00:14.0",
	};
	char var[32];
	const char *val;

	snprintf(var, sizeof(var), "UIO_TEST_DEVICE%u", i);
	val = getenv(var);
	if (val)
		return val;
	return i < ARRAY_SIZE(name) ? name[i] : NULL;
}

size_t uio_page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

long uio_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000L + now.tv_nsec / 1000000;
}

void uio_msleep(unsigned int ms)
{
	struct timespec left = {
		.tv_sec = ms / 1000,
		.tv_nsec = (ms % 1000) * 1000000L,
	};

	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

/* No two neighbours are alike, no page is like another, and seeds differ. */
static unsigned char pattern(size_t i, __u32 seed)
{
	__u32 x = (i + 1) * 2654435761U ^ seed * 40503U;

	return x >> 24 ^ x >> 13;
}

void uio_fill(void *mem, size_t len, __u32 seed)
{
	unsigned char *byte = mem;
	size_t i;

	for (i = 0; i < len; i++)
		byte[i] = pattern(i, seed);
}

/* Where memory differs from what uio_fill() put there: -1 if nowhere. */
ssize_t uio_differs(const void *mem, size_t len, __u32 seed)
{
	const unsigned char *byte = mem;
	size_t i;

	for (i = 0; i < len; i++)
		if (byte[i] != pattern(i, seed))
			return i;
	return -1;
}

/* Where memory differs from what memset() put there: -1 if nowhere. */
ssize_t uio_differs_from(const void *mem, size_t len, unsigned char val)
{
	const unsigned char *byte = mem;
	size_t i;

	for (i = 0; i < len; i++)
		if (byte[i] != val)
			return i;
	return -1;
}

static sigjmp_buf touch_env;

static void touch_handler(int sig)
{
	siglongjmp(touch_env, sig);
}

/* Read a byte: 0 if that went well, else the signal that it raised. */
int uio_touch(void *addr)
{
	struct sigaction action = { .sa_handler = touch_handler };
	struct sigaction old_bus, old_segv;
	int sig;

	sigaction(SIGBUS, &action, &old_bus);
	sigaction(SIGSEGV, &action, &old_segv);
	sig = sigsetjmp(touch_env, 1);
	if (!sig)
		(void)__atomic_load_n((__u32 *)addr, __ATOMIC_RELAXED);
	sigaction(SIGBUS, &old_bus, NULL);
	sigaction(SIGSEGV, &old_segv, NULL);
	return sig;
}

/* The descriptors that this process has open. */
int uio_count_fds(void)
{
	struct dirent *entry;
	int n = 0;
	DIR *dir;

	dir = opendir("/proc/self/fd");
	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			n++;
	closedir(dir);
	return n - 1;
}

/* The dma-bufs in the system: -ENOENT if debugfs does not tell. */
int uio_count_dmabufs(void)
{
	char line[256];
	int n = -ENOENT;
	FILE *file;

	file = fopen("/sys/kernel/debug/dma_buf/bufinfo", "r");
	if (!file)
		return -ENOENT;
	while (fgets(line, sizeof(line), file))
		sscanf(line, "Total %d objects", &n);
	fclose(file);
	return n;
}

/* Where a page of this process lies in physical memory. */
int uio_phys_addr(void *vaddr, __u64 *phys)
{
	uint64_t entry, page = (uintptr_t)vaddr / uio_page_size();
	ssize_t n;
	int fd;

	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = pread(fd, &entry, sizeof(entry), page * sizeof(entry));
	close(fd);
	if (n != sizeof(entry))
		return -EIO;
	if (!(entry >> 63) || !(entry << 9 >> 9))
		return -ENOENT;
	*phys = (entry << 9 >> 9) * uio_page_size() +
		(uintptr_t)vaddr % uio_page_size();
	return 0;
}
