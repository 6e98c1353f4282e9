/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Importing dma-bufs on behalf of an open file
 */
#ifndef _LINUX_DMA_BUF_IMPORTER_H
#define _LINUX_DMA_BUF_IMPORTER_H

#include <linux/err.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

struct device;
struct dma_buf;
struct dma_buf_get_dma_addr;
struct dma_buf_importer;
struct dma_buf_put_dma_addr;
struct file;
struct file_operations;
struct importer_mapping;
struct sg_table;

/**
 * struct dma_buf_importer_ops - how the driver of an importing device permits
 * and ends DMA
 *
 * All are called with the importer's lock held and may sleep. None is called
 * after dma_buf_importer_kill() has returned.
 */
struct dma_buf_importer_ops {
	/**
	 * @start: lets the device master the bus. Called when the first buffer
	 * gets mapped, and again after each successful @stop when there is
	 * something to reach.
	 *
	 * Return: 0, or a negative error code, then nothing gets mapped.
	 */
	int (*start)(struct dma_buf_importer *imp);

	/**
	 * @stop: ends all DMA of the device. Called before the last mapping
	 * goes away, also without a preceding @start, since user space may
	 * have programmed the device by other means.
	 *
	 * Return: 0 if the device cannot reach memory any more. Anything else
	 * says that this is not certain; mapped buffers are then kept mapped,
	 * for good if that happens in dma_buf_importer_kill().
	 */
	int (*stop)(struct dma_buf_importer *imp);

	/**
	 * @reset: makes the device forget the addresses that it was told.
	 * Optional. Called after a successful @stop when nobody is left who
	 * could use the device, if a file was closed with buffers mapped: the
	 * program may have died, and what it had the device do must not go on
	 * at the next @start. @killed tells a call by dma_buf_importer_kill(),
	 * whose caller's locks are held, from one at the last close or at the
	 * first open, when none are.
	 *
	 * Return: 0, or a negative error code, then it is called again at the
	 * next occasion. Nobody is denied the device for lack of a reset.
	 */
	int (*reset)(struct dma_buf_importer *imp, bool killed);
};

/**
 * struct dma_buf_importer - a device that imports dma-bufs for open files
 * @dev:	device that does the DMA; NULL once the importer is killed
 * @ops:	driver callbacks
 * @lock:	guards all members and all mappings; exporters' attach and map
 *		operations run under it, and so do @ops. Ordered before
 *		the dma-bufs' reservation locks. Never taken under mmap_lock.
 * @mappings:	mappings of open files
 * @parked:	mappings of closed files, which the device may still reach
 * @revoke_work: stops the device and unmaps what exporters have revoked
 * @nr_files:	open files
 * @nr_live:	mappings in @mappings that are mapped
 * @nr_parked:	mappings in @parked
 * @nr_revoked:	mappings in @mappings that were unmapped because their exporter
 *		revoked them; as long as there are any, the device is stopped
 * @started:	@ops->start has succeeded since the last successful @ops->stop
 * @confined:	an IOMMU limits the device, its memory accesses and interrupts,
 *		to what is set up for it
 * @dirty:	a file was closed with buffers mapped since the last @ops->reset
 * @warned:	the failure of @ops->stop has been reported
 */
struct dma_buf_importer {
	struct device *dev;
	const struct dma_buf_importer_ops *ops;
	struct mutex lock; /* before dma_resv, never under mmap_lock */
	struct list_head mappings;
	struct list_head parked;
	struct delayed_work revoke_work;
	unsigned int nr_files;
	unsigned int nr_live;
	unsigned int nr_parked;
	unsigned int nr_revoked;
	bool started;
	bool confined;
	bool dirty;
	bool warned;
};

/**
 * struct dma_buf_importer_file - what an importer holds for one open file
 * @importer:	the device that the file stands for
 * @mappings:	the file's mappings by address of their dma-buf; changes under
 *		the importer's lock
 * @last:	the one that was found last, or NULL; under the importer's lock
 */
struct dma_buf_importer_file {
	struct dma_buf_importer *importer;
	struct xarray mappings;
	struct importer_mapping *last;
};

/**
 * struct dma_buf_importer_fops - a kind of device file that user space may name
 * in DMA_BUF_IOCTL_GET_DMA_ADDR
 * @fops:	file operations by which such files are recognised; their owner
 *		is the module that registers
 * @get:	returns the state that belongs to an open file, or NULL if the
 *		file's device does not take part. It stays valid as long as the
 *		file is open
 * @node:	for dma-buf core only
 */
struct dma_buf_importer_fops {
	const struct file_operations *fops;
	struct dma_buf_importer_file *(*get)(struct file *file);
	struct list_head node;
};

#if IS_ENABLED(CONFIG_DMABUF_DMA_ADDR)

void dma_buf_importer_init(struct dma_buf_importer *imp, struct device *dev,
			   const struct dma_buf_importer_ops *ops);
int dma_buf_importer_kill(struct dma_buf_importer *imp);
int dma_buf_importer_lock_idle(struct dma_buf_importer *imp);
void dma_buf_importer_unlock(struct dma_buf_importer *imp);

int dma_buf_importer_file_open(struct dma_buf_importer_file *f,
			       struct dma_buf_importer *imp);
void dma_buf_importer_file_close(struct dma_buf_importer_file *f);

int dma_buf_importer_lookup(struct dma_buf_importer_file *f,
			    struct dma_buf *dmabuf,
			    struct dma_buf_get_dma_addr *arg);
int dma_buf_importer_get(struct dma_buf_importer_file *f,
			 struct dma_buf *dmabuf,
			 struct dma_buf_get_dma_addr *arg);
int dma_buf_importer_put(struct dma_buf_importer_file *f,
			 struct dma_buf *dmabuf);

void dma_buf_importer_register_fops(struct dma_buf_importer_fops *ifops);
void dma_buf_importer_unregister_fops(struct dma_buf_importer_fops *ifops);

bool dma_buf_dev_reaches_memory(struct device *dev);
bool dma_buf_sgt_is_coherent(struct device *dev, struct sg_table *sgt);

long dma_buf_ioctl_get_dma_addr(struct file *file,
				struct dma_buf_get_dma_addr __user *uarg);
long dma_buf_ioctl_put_dma_addr(struct file *file,
				struct dma_buf_put_dma_addr __user *uarg);

#else /* CONFIG_DMABUF_DMA_ADDR */

static inline long
dma_buf_ioctl_get_dma_addr(struct file *file,
			   struct dma_buf_get_dma_addr __user *uarg)
{
	return -ENOTTY;
}

static inline long
dma_buf_ioctl_put_dma_addr(struct file *file,
			   struct dma_buf_put_dma_addr __user *uarg)
{
	return -ENOTTY;
}

#endif /* CONFIG_DMABUF_DMA_ADDR */

#endif /* _LINUX_DMA_BUF_IMPORTER_H */
