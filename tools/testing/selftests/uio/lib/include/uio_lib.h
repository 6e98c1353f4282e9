/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A small library for UIO drivers that do DMA.
 *
 * Functions that return int return a negative errno on failure. None of them
 * prints, exits or asserts: what a failure means is for the caller to say.
 */
#ifndef SELFTESTS_UIO_LIB_H
#define SELFTESTS_UIO_LIB_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <linux/dma-buf.h>
#include <linux/types.h>

#include "uio_dma_driver.h"

#define UIO_MAX_MAPS	5
#define UIO_NAME_LEN	64
#define UIO_PATH_LEN	256

/**
 * struct uio_map - a memory region of a device, from /sys/class/uio/uioN/maps
 */
struct uio_map {
	char name[UIO_NAME_LEN];
	__u64 addr;
	__u64 size;
	__u64 offset;
};

/**
 * struct uio_device - an open UIO device
 * @name: what it is called on its bus, like 0000:00:04.0
 * @sysfs: its directory in /sys/bus
 * @number: N of /dev/uioN
 * @fd: the open /dev/uioN
 * @map: its memory regions
 * @nr_maps: how many there are
 * @regs: region 0, mapped
 * @driver: the user-space driver
 */
struct uio_device {
	char name[UIO_NAME_LEN];
	char sysfs[UIO_PATH_LEN];
	int number;
	int fd;
	struct uio_map map[UIO_MAX_MAPS];
	unsigned int nr_maps;
	void *regs;
	struct uio_dma_driver driver;
};

/**
 * struct uio_buffer - a dma-buf, mapped for the CPU
 */
struct uio_buffer {
	int fd;
	__u64 size;
	unsigned char *vaddr;
};

/**
 * enum uio_memory - who can allocate a buffer
 * @UIO_MEMORY_DEVICE: the heap that belongs to the UIO device
 * @UIO_MEMORY_SYSTEM: the system heap
 * @UIO_MEMORY_CMA: the CMA heap
 * @UIO_MEMORY_USER: the program itself, from ordinary pages (udmabuf)
 * @UIO_MEMORY_HUGE: the same, from huge pages
 * @UIO_MEMORY_DRM: a GPU's driver (vgem)
 * @UIO_MEMORY_V4L2: a video driver (vim2m)
 * @NR_UIO_MEMORIES: how many kinds there are
 */
enum uio_memory {
	UIO_MEMORY_DEVICE,
	UIO_MEMORY_SYSTEM,
	UIO_MEMORY_CMA,
	UIO_MEMORY_USER,
	UIO_MEMORY_HUGE,
	UIO_MEMORY_DRM,
	UIO_MEMORY_V4L2,
	NR_UIO_MEMORIES,
};

/**
 * struct uio_seg - a part of a buffer that is contiguous on the bus
 */
struct uio_seg {
	__u64 offset;
	__u64 dma_addr;
	__u64 len;
};

#define UIO_HEIR_BUFFERS	4
#define UIO_HEIR_PIPES		4
#define UIO_HEIR_PIPE_PAGES	16

/**
 * struct uio_heir - who gets memory that was freed: it is zero and stays so
 * @buf: buffers of the same device
 * @pipe: pipes, full of ordinary pages
 */
struct uio_heir {
	struct uio_buffer buf[UIO_HEIR_BUFFERS];
	int pipe[UIO_HEIR_PIPES][2];
};

/**
 * struct uio_frames - memory that nobody else has any business with
 * @mem: the memory
 * @nr: how many pages
 */
struct uio_frames {
	unsigned char *mem;
	size_t nr;
};

/* uio_sysfs.c: binding and attributes */
int uio_read_text(const char *path, char *text, size_t len);
int uio_write_text(const char *path, const char *text);
int uio_read_u64(const char *path, __u64 *val);
bool uio_dir_is_pci(const char *dir);
bool uio_is_pci(const struct uio_device *dev);
int uio_sysfs_dir(const char *name, char *path, size_t len);
int uio_bound_driver(const char *name, char *driver, size_t len);
int uio_bind(const char *name, const char *driver);
int uio_unbind(const char *name);
int uio_pci_remove(const char *name);
int uio_pci_rescan(void);
int uio_find(const char *name);
int uio_bus_master(const char *name);
int uio_set_bus_master(const char *name, bool on);
int uio_open_disk(const char *name, int flags);
bool uio_iommu_translates(const char *name);
int uio_attr_path(int number, const char *attr, char *path, size_t len);
int uio_heap_name(int number, char *heap, size_t len);
int uio_dma_mask_bits(int number);
int uio_set_dma_mask_bits(int number, int bits);

/* uio_device.c: the device file */
int uio_open_fd(int number, int flags);
int uio_open(struct uio_device *dev, const char *name);
int uio_open_driver(struct uio_device *dev, const char *name);
void uio_close(struct uio_device *dev);
void *uio_mmap(struct uio_device *dev, unsigned int index);
int uio_pci_bar_map(const struct uio_device *dev, int bar);
int uio_irq_mask(struct uio_device *dev);
int uio_irq_unmask(struct uio_device *dev);
int uio_irq_wait(int fd, int timeout_ms, __u32 *count);
int uio_irq_drain(int fd);

/* uio_buffer.c: memory and addresses */
int uio_heap_open(const char *heap);
int uio_heap_alloc_flags(int heap_fd, __u64 size, __u32 fd_flags);
int uio_heap_alloc(int heap_fd, __u64 size);
int uio_heap_find_cma(char *heap, size_t len);
int uio_buffer_alloc(struct uio_buffer *buf, const char *heap, __u64 size);
int uio_buffer_alloc_device(struct uio_buffer *buf, int number, __u64 size);
int uio_buffer_alloc_from(struct uio_buffer *buf, enum uio_memory memory,
			  int number, __u64 size);
int uio_buffer_udmabuf(struct uio_buffer *buf, __u64 size, int *memfd);
int uio_buffer_map(struct uio_buffer *buf);
void uio_buffer_unmap(struct uio_buffer *buf);
void uio_buffer_free(struct uio_buffer *buf);
int uio_buffer_begin_cpu(const struct uio_buffer *buf);
int uio_buffer_end_cpu(const struct uio_buffer *buf);
int uio_dma_get(int dmabuf, int dev_fd, __u32 flags, __u64 offset,
		struct dma_buf_get_dma_addr *get);
int uio_dma_addr(int dmabuf, int dev_fd, __u64 *addr);
int uio_dma_put(int dmabuf, int dev_fd);
int uio_dma_walk(int dmabuf, int dev_fd, struct uio_seg *seg, int max);

/* uio_exporter.c: dma-bufs that do not come from heaps */
int uio_export_drm(__u64 size);
int uio_export_v4l2(__u64 size);
int uio_export_huge(__u64 size);

/* uio_canary.c: other people's memory */
int uio_heir_take_pages(struct uio_heir *heir);
int uio_heir_take_buffers(struct uio_heir *heir, int number);
int uio_heir_damage_pages(struct uio_heir *heir);
int uio_heir_damage_buffers(struct uio_heir *heir);
void uio_heir_free_buffers(struct uio_heir *heir);
bool uio_heir_has(struct uio_heir *heir, int dev_fd, __u64 addr);
int uio_frames_take(struct uio_frames *frames, size_t len);
void uio_frames_free(struct uio_frames *frames);
ssize_t uio_frames_count_at(const struct uio_frames *frames, __u64 start,
			    __u64 len);
ssize_t uio_frames_damage(const struct uio_frames *frames);
__s64 uio_meminfo(const char *name);

/* uio_module.c: where UIO is modules */
bool uio_is_module(void);
int uio_modules_unload(void);
int uio_modules_load(void);

/* uio_util.c: for tests */
const char *uio_test_device(unsigned int i);
size_t uio_page_size(void);
long uio_now_ms(void);
void uio_msleep(unsigned int ms);
void uio_fill(void *mem, size_t len, __u32 seed);
ssize_t uio_differs(const void *mem, size_t len, __u32 seed);
ssize_t uio_differs_from(const void *mem, size_t len, unsigned char byte);
int uio_touch(void *addr);
int uio_count_fds(void);
int uio_count_dmabufs(void);
int uio_phys_addr(void *vaddr, __u64 *phys);

#endif /* SELFTESTS_UIO_LIB_H */
