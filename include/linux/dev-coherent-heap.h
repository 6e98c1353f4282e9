/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DMABUF heap of memory that is coherent for one device
 */
#ifndef _LINUX_DEV_COHERENT_HEAP_H
#define _LINUX_DEV_COHERENT_HEAP_H

#include <linux/types.h>

struct dev_coherent_heap;
struct device;
struct dma_buf;

struct dev_coherent_heap *dev_coherent_heap_add(struct device *dev,
						const char *name);
void dev_coherent_heap_remove(struct dev_coherent_heap *heap, bool leak);
const char *dev_coherent_heap_name(const struct dev_coherent_heap *heap);
int dev_coherent_heap_set_mask(struct dev_coherent_heap *heap, u64 mask);
struct dma_buf *dev_coherent_heap_alloc(struct dev_coherent_heap *heap,
					size_t len, u32 fd_flags);

#endif /* _LINUX_DEV_COHERENT_HEAP_H */
