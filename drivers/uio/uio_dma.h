/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * DMA for UIO drivers that opt in: what the UIO core calls
 */
#ifndef _UIO_DMA_H
#define _UIO_DMA_H

struct dma_buf_importer_file;
struct dma_buf_importer_fops;
struct uio_device;

#ifdef CONFIG_UIO_DMA

int uio_dma_register(struct uio_device *idev);
void uio_dma_unregister(struct uio_device *idev);
void uio_dma_free(struct uio_device *idev);
struct dma_buf_importer_file *uio_dma_open(struct uio_device *idev);
void uio_dma_release(struct dma_buf_importer_file *f);
void uio_dma_init(struct dma_buf_importer_fops *ifops);
void uio_dma_exit(struct dma_buf_importer_fops *ifops);

#else /* CONFIG_UIO_DMA */

static inline int uio_dma_register(struct uio_device *idev)
{
	idev->info->dma_device = NULL;
	return 0;
}

static inline void uio_dma_unregister(struct uio_device *idev)
{
}

static inline void uio_dma_free(struct uio_device *idev)
{
}

static inline struct dma_buf_importer_file *uio_dma_open(struct uio_device *idev)
{
	return NULL;
}

static inline void uio_dma_release(struct dma_buf_importer_file *f)
{
}

#endif /* CONFIG_UIO_DMA */

#endif /* _UIO_DMA_H */
