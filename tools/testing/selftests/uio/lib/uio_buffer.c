// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that devices can reach, and its bus addresses.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/dma-heap.h>
#include <linux/udmabuf.h>

#include "kselftest.h"
#include "uio_lib.h"

#define HEAP_DIR	"/dev/dma_heap"

int uio_heap_open(const char *heap)
{
	char path[UIO_PATH_LEN];
	int fd;

	snprintf(path, sizeof(path), HEAP_DIR "/%s", heap);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int uio_heap_alloc_flags(int heap_fd, __u64 size, __u32 fd_flags)
{
	struct dma_heap_allocation_data alloc = {
		.len = size,
		.fd_flags = fd_flags,
	};

	if (ioctl(heap_fd, DMA_HEAP_IOCTL_ALLOC, &alloc))
		return -errno;
	return alloc.fd;
}

int uio_heap_alloc(int heap_fd, __u64 size)
{
	return uio_heap_alloc_flags(heap_fd, size, O_RDWR | O_CLOEXEC);
}

/* The CMA heap goes by the name of its region, which differs. */
int uio_heap_find_cma(char *heap, size_t len)
{
	static const char * const part[] = { "cma", "CMA", "reserved" };
	int ret = -ENOENT;
	struct dirent *entry;
	unsigned int i;
	DIR *dir;

	dir = opendir(HEAP_DIR);
	if (!dir)
		return -ENOENT;
	while (ret && (entry = readdir(dir)))
		for (i = 0; i < ARRAY_SIZE(part); i++)
			if (strstr(entry->d_name, part[i])) {
				snprintf(heap, len, "%s", entry->d_name);
				ret = 0;
			}
	closedir(dir);
	return ret;
}

int uio_buffer_map(struct uio_buffer *buf)
{
	void *vaddr;

	vaddr = mmap(NULL, buf->size, PROT_READ | PROT_WRITE, MAP_SHARED,
		     buf->fd, 0);
	if (vaddr == MAP_FAILED)
		return -errno;
	buf->vaddr = vaddr;
	return 0;
}

void uio_buffer_unmap(struct uio_buffer *buf)
{
	if (buf->vaddr)
		munmap(buf->vaddr, buf->size);
	buf->vaddr = NULL;
}

void uio_buffer_free(struct uio_buffer *buf)
{
	uio_buffer_unmap(buf);
	if (buf->fd >= 0)
		close(buf->fd);
	buf->fd = -1;
}

static int buffer_init(struct uio_buffer *buf, int fd, __u64 size)
{
	int ret;

	buf->fd = fd;
	buf->size = size;
	buf->vaddr = NULL;
	if (fd < 0)
		return fd;
	ret = uio_buffer_map(buf);
	if (ret)
		uio_buffer_free(buf);
	return ret;
}

int uio_buffer_alloc(struct uio_buffer *buf, const char *heap, __u64 size)
{
	int heap_fd, fd;

	buf->fd = -1;
	buf->vaddr = NULL;
	heap_fd = uio_heap_open(heap);
	if (heap_fd < 0)
		return heap_fd;
	fd = uio_heap_alloc(heap_fd, size);
	close(heap_fd);
	return buffer_init(buf, fd, size);
}

/* From the heap of the device /dev/uioN. */
int uio_buffer_alloc_device(struct uio_buffer *buf, int number, __u64 size)
{
	char heap[UIO_NAME_LEN];
	int ret;

	buf->fd = -1;
	buf->vaddr = NULL;
	ret = uio_heap_name(number, heap, sizeof(heap));
	if (ret)
		return ret;
	return uio_buffer_alloc(buf, heap, size);
}

/* First those with even numbers, then the odd ones. */
static __u64 nth_page(unsigned int i, unsigned int count)
{
	unsigned int even = (count + 1) / 2;

	return i < even ? 2 * i : 2 * (i - even) + 1;
}

/*
 * Give the memfd pages of zeroes, in order. fallocate() would leave them to be
 * cleared by whoever reads them first, but udmabuf does not do that.
 */
static int populate(int memfd, __u64 size)
{
	__u64 at;

	for (at = 0; at < size; at += uio_page_size())
		if (pwrite(memfd, "", 1, at) != 1)
			return errno ? -errno : -EIO;
	return 0;
}

static int create_udmabuf(int memfd, __u64 size)
{
	unsigned int i, count = size / uio_page_size();
	struct udmabuf_create_list *list;
	int dev_fd, fd;

	dev_fd = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	if (dev_fd < 0)
		return -errno;
	list = calloc(1, sizeof(*list) + count * sizeof(list->list[0]));
	if (!list) {
		close(dev_fd);
		return -ENOMEM;
	}

	list->flags = UDMABUF_FLAGS_CLOEXEC;
	list->count = count;
	for (i = 0; i < count; i++) {
		list->list[i].memfd = memfd;
		list->list[i].offset = nth_page(i, count) * uio_page_size();
		list->list[i].size = uio_page_size();
	}
	fd = ioctl(dev_fd, UDMABUF_CREATE_LIST, list);
	if (fd < 0)
		fd = -errno;
	free(list);
	close(dev_fd);
	return fd;
}

/*
 * A buffer of ordinary pages. Each second one goes into the buffer first, so that
 * it is scattered even where the pages happen to lie in order. The memfd they
 * belong to is returned if @memfd is not NULL.
 */
int uio_buffer_udmabuf(struct uio_buffer *buf, __u64 size, int *memfd)
{
	int mem, fd;

	buf->fd = -1;
	buf->vaddr = NULL;
	mem = memfd_create("uio-selftest", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	if (mem < 0)
		return -errno;
	if (ftruncate(mem, size) || fcntl(mem, F_ADD_SEALS, F_SEAL_SHRINK)) {
		fd = -errno;
		goto err_close;
	}
	fd = populate(mem, size);
	if (fd)
		goto err_close;
	fd = create_udmabuf(mem, size);
	if (fd < 0)
		goto err_close;

	if (memfd)
		*memfd = mem;
	else
		close(mem);
	return buffer_init(buf, fd, size);

err_close:
	close(mem);
	return fd;
}

/* -ENOENT if there is no such memory here. */
int uio_buffer_alloc_from(struct uio_buffer *buf, enum uio_memory memory,
			  int number, __u64 size)
{
	char heap[UIO_NAME_LEN];
	int ret;

	switch (memory) {
	case UIO_MEMORY_DEVICE:
		return uio_buffer_alloc_device(buf, number, size);
	case UIO_MEMORY_SYSTEM:
		return uio_buffer_alloc(buf, "system", size);
	case UIO_MEMORY_CMA:
		buf->fd = -1;
		buf->vaddr = NULL;
		ret = uio_heap_find_cma(heap, sizeof(heap));
		if (ret)
			return ret;
		return uio_buffer_alloc(buf, heap, size);
	case UIO_MEMORY_USER:
		return uio_buffer_udmabuf(buf, size, NULL);
	case UIO_MEMORY_HUGE:
		return buffer_init(buf, uio_export_huge(size), size);
	case UIO_MEMORY_DRM:
		return buffer_init(buf, uio_export_drm(size), size);
	case UIO_MEMORY_V4L2:
		return buffer_init(buf, uio_export_v4l2(size), size);
	default:
		return -EINVAL;
	}
}

static int sync_cpu(const struct uio_buffer *buf, __u64 flags)
{
	struct dma_buf_sync sync = { .flags = flags | DMA_BUF_SYNC_RW };

	return ioctl(buf->fd, DMA_BUF_IOCTL_SYNC, &sync) ? -errno : 0;
}

/* Bracket CPU access: needed where the mapping is not coherent. */
int uio_buffer_begin_cpu(const struct uio_buffer *buf)
{
	return sync_cpu(buf, DMA_BUF_SYNC_START);
}

int uio_buffer_end_cpu(const struct uio_buffer *buf)
{
	return sync_cpu(buf, DMA_BUF_SYNC_END);
}

int uio_dma_get(int dmabuf, int dev_fd, __u32 flags, __u64 offset,
		struct dma_buf_get_dma_addr *get)
{
	memset(get, 0, sizeof(*get));
	get->dev_fd = dev_fd;
	get->flags = flags;
	get->offset = offset;
	return ioctl(dmabuf, DMA_BUF_IOCTL_GET_DMA_ADDR, get) ? -errno : 0;
}

/* The bus address of a buffer's first byte. */
int uio_dma_addr(int dmabuf, int dev_fd, __u64 *addr)
{
	struct dma_buf_get_dma_addr get;
	int ret;

	ret = uio_dma_get(dmabuf, dev_fd, 0, 0, &get);
	*addr = ret ? 0 : get.dma_addr;
	return ret;
}

int uio_dma_put(int dmabuf, int dev_fd)
{
	struct dma_buf_put_dma_addr put = { .dev_fd = dev_fd };

	return ioctl(dmabuf, DMA_BUF_IOCTL_PUT_DMA_ADDR, &put) ? -errno : 0;
}

/* List the parts of a buffer, from its start to its end. */
int uio_dma_walk(int dmabuf, int dev_fd, struct uio_seg *seg, int max)
{
	off_t size = lseek(dmabuf, 0, SEEK_END);
	struct dma_buf_get_dma_addr get;
	__u64 offset = 0;
	int ret, n = 0;

	if (size < 0)
		return -errno;
	while (offset < (__u64)size) {
		if (n == max)
			return -E2BIG;
		ret = uio_dma_get(dmabuf, dev_fd, 0, offset, &get);
		if (ret)
			return ret;
		if (!get.len)
			return -EIO;
		seg[n].offset = offset;
		seg[n].dma_addr = get.dma_addr;
		seg[n].len = get.len;
		n++;
		offset += get.len;
	}
	return n;
}
