// SPDX-License-Identifier: GPL-2.0
/*
 * Other people's memory, to see whether a device or a wrong free gets at it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest.h"
#include "uio_lib.h"

/* How many entries of a file in /proc are read at a time. */
#define NR_ENTRIES	512

/* Bits of /proc/kpageflags */
#define KPF_BUDDY	10
#define KPF_MMAP	11
#define KPF_ANON	12

static const char zero[4096];

/* Pages of the kind that DMA memory is: unmovable. */
int uio_heir_take_pages(struct uio_heir *heir)
{
	int i, j;

	for (i = 0; i < UIO_HEIR_PIPES; i++) {
		if (pipe2(heir->pipe[i], O_NONBLOCK | O_CLOEXEC))
			return -errno;
		for (j = 0; j < UIO_HEIR_PIPE_PAGES; j++)
			if (write(heir->pipe[i][1], zero, sizeof(zero)) !=
			    sizeof(zero))
				return -EIO;
	}
	return 0;
}

/* Buffers of the same device, which stay unmapped, so that this is fast. */
int uio_heir_take_buffers(struct uio_heir *heir, int number)
{
	char heap[UIO_NAME_LEN];
	int i, fd, ret;

	ret = uio_heap_name(number, heap, sizeof(heap));
	if (ret)
		return ret;
	fd = uio_heap_open(heap);
	if (fd < 0)
		return fd;
	for (i = 0; i < UIO_HEIR_BUFFERS; i++) {
		heir->buf[i].vaddr = NULL;
		heir->buf[i].size = uio_page_size();
		heir->buf[i].fd = uio_heap_alloc(fd, heir->buf[i].size);
		if (heir->buf[i].fd < 0)
			break;
	}
	close(fd);
	return i < UIO_HEIR_BUFFERS ? heir->buf[i].fd : 0;
}

/* The number of pages that were written to; gives the ordinary ones back. */
int uio_heir_damage_pages(struct uio_heir *heir)
{
	int i, j, damage = 0;
	char data[4096];

	for (i = 0; i < UIO_HEIR_PIPES; i++) {
		for (j = 0; j < UIO_HEIR_PIPE_PAGES; j++) {
			if (read(heir->pipe[i][0], data, sizeof(data)) !=
			    sizeof(data))
				return -EIO;
			damage += !!memcmp(data, zero, sizeof(data));
		}
		close(heir->pipe[i][0]);
		close(heir->pipe[i][1]);
	}
	return damage;
}

/* The number of buffers that were written to. They stay allocated. */
int uio_heir_damage_buffers(struct uio_heir *heir)
{
	int i, ret, damage = 0;

	for (i = 0; i < UIO_HEIR_BUFFERS; i++) {
		ret = uio_buffer_map(&heir->buf[i]);
		if (ret)
			return ret;
		damage += uio_differs_from(heir->buf[i].vaddr,
					   heir->buf[i].size, 0) != -1;
	}
	return damage;
}

void uio_heir_free_buffers(struct uio_heir *heir)
{
	int i;

	for (i = 0; i < UIO_HEIR_BUFFERS; i++)
		uio_buffer_free(&heir->buf[i]);
}

/*
 * Has the heir got the very address? Asking lets the device at its buffers: to
 * be asked last.
 */
bool uio_heir_has(struct uio_heir *heir, int dev_fd, __u64 addr)
{
	__u64 now;
	int i;

	for (i = 0; i < UIO_HEIR_BUFFERS; i++)
		if (!uio_dma_addr(heir->buf[i].fd, dev_fd, &now) && now == addr)
			return true;
	return false;
}

/* A word that no other page has. */
static uint64_t frame_word(size_t i)
{
	return (i + 1) * 0x9e3779b97f4a7c15ULL;
}

static uint64_t *frame_words(const struct uio_frames *frames, size_t i)
{
	return (uint64_t *)(frames->mem + i * uio_page_size());
}

/* Page frame numbers of @n pages from @mem on, 0 for those that are not there. */
static int read_pfns(const unsigned char *mem, uint64_t *pfn, size_t n)
{
	size_t page = uio_page_size(), i;
	ssize_t len = n * sizeof(*pfn);
	int fd;

	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (pread(fd, pfn, len, (uintptr_t)mem / page * sizeof(*pfn)) != len)
		n = 0;
	close(fd);
	for (i = 0; i < n; i++)
		pfn[i] = pfn[i] >> 63 ? pfn[i] << 9 >> 9 : 0;
	return n ? 0 : -EIO;
}

/* Fill @len bytes of memory, page by page, and keep it. */
int uio_frames_take(struct uio_frames *frames, size_t len)
{
	size_t i, page = uio_page_size();
	unsigned int j;

	frames->nr = len / page;
	frames->mem = mmap(NULL, frames->nr * page, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (frames->mem == MAP_FAILED)
		return -errno;
	/* Children would make the pages shared, and forking slow. */
	madvise(frames->mem, frames->nr * page, MADV_DONTFORK);
	for (i = 0; i < frames->nr; i++)
		for (j = 0; j < page / sizeof(uint64_t); j += 64)
			frame_words(frames, i)[j] = frame_word(i) + j;
	return 0;
}

void uio_frames_free(struct uio_frames *frames)
{
	munmap(frames->mem, frames->nr * uio_page_size());
}

/* How many of the pages lie at the physical addresses [@start, @start + @len)? */
ssize_t uio_frames_count_at(const struct uio_frames *frames, __u64 start,
			    __u64 len)
{
	uint64_t pfn[NR_ENTRIES], page = uio_page_size();
	size_t i, j, n, count = 0;
	int ret;

	for (i = 0; i < frames->nr; i += n) {
		n = frames->nr - i < NR_ENTRIES ? frames->nr - i : NR_ENTRIES;
		ret = read_pfns(frames->mem + i * page, pfn, n);
		if (ret)
			return ret;
		for (j = 0; j < n; j++)
			if (pfn[j] >= start / page && pfn[j] - start / page < len / page)
				count++;
	}
	return count;
}

/* The length of the run of neighbouring frames at the start of @pfn. */
static size_t run_length(const uint64_t *pfn, size_t n)
{
	size_t i;

	for (i = 1; i < n && pfn[i] == pfn[0] + i; i++)
		;
	return i;
}

static int read_words(int fd, uint64_t pfn, uint64_t *word, size_t n)
{
	ssize_t len = n * sizeof(*word);

	return pread(fd, word, len, pfn * sizeof(*word)) == len ? 0 : -EIO;
}

static bool frame_is_good(const struct uio_frames *frames, size_t i,
			  uint64_t flags, uint64_t count)
{
	unsigned int j;

	if (flags >> KPF_BUDDY & 1 || !(flags >> KPF_MMAP & 1) ||
	    !(flags >> KPF_ANON & 1) || count != 1)
		return false;
	for (j = 0; j < uio_page_size() / sizeof(uint64_t); j += 64)
		if (frame_words(frames, i)[j] != frame_word(i) + j)
			return false;
	return true;
}

static ssize_t frames_damage(const struct uio_frames *frames, int flags_fd,
			     int count_fd)
{
	uint64_t pfn[NR_ENTRIES], flags[NR_ENTRIES], count[NR_ENTRIES];
	size_t i, j, n, page = uio_page_size(), damage = 0;
	int ret;

	for (i = 0; i < frames->nr; i += n) {
		n = frames->nr - i < NR_ENTRIES ? frames->nr - i : NR_ENTRIES;
		ret = read_pfns(frames->mem + i * page, pfn, n);
		if (ret)
			return ret;
		n = run_length(pfn, n);
		if (!pfn[0] || read_words(flags_fd, pfn[0], flags, n) ||
		    read_words(count_fd, pfn[0], count, n))
			return -EIO;
		for (j = 0; j < n; j++)
			damage += !frame_is_good(frames, i + j, flags[j],
						 count[j]);
	}
	return damage;
}

/*
 * The number of pages that have another content than at first, or that the
 * kernel does not believe any more to be mapped here and only here.
 */
ssize_t uio_frames_damage(const struct uio_frames *frames)
{
	int flags_fd, count_fd;
	ssize_t ret;

	flags_fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	if (flags_fd < 0)
		return -errno;
	count_fd = open("/proc/kpagecount", O_RDONLY | O_CLOEXEC);
	if (count_fd < 0) {
		ret = -errno;
		close(flags_fd);
		return ret;
	}
	ret = frames_damage(frames, flags_fd, count_fd);
	close(count_fd);
	close(flags_fd);
	return ret;
}

/* A line "NAME: N kB" of /proc/meminfo, in bytes. */
__s64 uio_meminfo(const char *name)
{
	char line[128];
	long long val = -ENOENT;
	size_t len = strlen(name);
	FILE *file;

	file = fopen("/proc/meminfo", "re");
	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, name, len) && line[len] == ':') {
			val = strtoll(line + len + 1, NULL, 10) * 1024;
			break;
		}
	fclose(file);
	return val;
}
