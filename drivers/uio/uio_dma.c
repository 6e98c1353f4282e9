// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMA for UIO drivers that opt in
 *
 * Gives a UIO device a heap of memory that is coherent for it, makes its open
 * files importers of dma-bufs, and ends all of it in the right order when the
 * device is unregistered: DMA, mappings, memory.
 */

#include <linux/bitops.h>
#include <linux/device.h>
#include <linux/dev-coherent-heap.h>
#include <linux/dma-buf-importer.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/kstrtox.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/sysfs.h>
#include <linux/uio_driver.h>

#include "uio_dma.h"

/* What most devices have, and what the PCI core assumes. */
#define UIO_DMA_DEFAULT_BITS	32

/**
 * struct uio_dma - what makes a UIO device DMA capable
 * @importer:	the device as seen by dma-buf
 * @info:	the driver's callbacks, valid until uio_dma_unregister()
 * @heap:	the device's coherent memory, likewise
 * @mask_bits:	DMA mask; written under the importer's lock
 * @old_mask:	the device's masks and segment size before, for the next driver
 * @old_coherent_mask: likewise
 * @old_seg_size: likewise
 */
struct uio_dma {
	struct dma_buf_importer importer;
	struct uio_info *info;
	struct dev_coherent_heap *heap;
	unsigned int mask_bits;
	u64 old_mask;
	u64 old_coherent_mask;
	unsigned int old_seg_size;
};

static struct uio_dma *to_uio_dma(struct dma_buf_importer *imp)
{
	return container_of(imp, struct uio_dma, importer);
}

static int uio_dma_importer_start(struct dma_buf_importer *imp)
{
	struct uio_info *info = to_uio_dma(imp)->info;

	return info->dma_start ? info->dma_start(info) : 0;
}

static int uio_dma_importer_stop(struct dma_buf_importer *imp)
{
	struct uio_info *info = to_uio_dma(imp)->info;

	return info->dma_stop(info);
}

static int uio_dma_importer_reset(struct dma_buf_importer *imp, bool killed)
{
	struct uio_info *info = to_uio_dma(imp)->info;

	return info->dma_reset ? info->dma_reset(info, killed) : 0;
}

static const struct dma_buf_importer_ops uio_dma_importer_ops = {
	.start = uio_dma_importer_start,
	.stop = uio_dma_importer_stop,
	.reset = uio_dma_importer_reset,
};

static ssize_t dma_heap_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	struct uio_device *idev = dev_get_drvdata(dev);
	struct dma_buf_importer *imp = &idev->dma->importer;
	ssize_t ret = -ENODEV;

	mutex_lock(&imp->lock);
	if (imp->dev)
		ret = sysfs_emit(buf, "%s\n",
				 dev_coherent_heap_name(idev->dma->heap));
	mutex_unlock(&imp->lock);
	return ret;
}
static DEVICE_ATTR_RO(dma_heap);

static ssize_t dma_mask_bits_show(struct device *dev,
				  struct device_attribute *attr, char *buf)
{
	struct uio_device *idev = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%u\n", READ_ONCE(idev->dma->mask_bits));
}

static ssize_t dma_mask_bits_store(struct device *dev,
				   struct device_attribute *attr,
				   const char *buf, size_t count)
{
	struct uio_device *idev = dev_get_drvdata(dev);
	struct uio_dma *dma = idev->dma;
	unsigned int bits;
	int ret;

	ret = kstrtouint(buf, 0, &bits);
	if (ret)
		return ret;
	if (bits < 1 || bits > 64)
		return -EINVAL;

	ret = dma_buf_importer_lock_idle(&dma->importer);
	if (ret)
		return ret;
	ret = dev_coherent_heap_set_mask(dma->heap, DMA_BIT_MASK(bits));
	if (!ret)
		WRITE_ONCE(dma->mask_bits, bits);
	dma_buf_importer_unlock(&dma->importer);

	return ret ?: count;
}
static DEVICE_ATTR_RW(dma_mask_bits);

static struct attribute *uio_dma_attrs[] = {
	&dev_attr_dma_heap.attr,
	&dev_attr_dma_mask_bits.attr,
	NULL,
};
ATTRIBUTE_GROUPS(uio_dma);

static void uio_dma_restore(struct uio_dma *dma, struct device *dev)
{
	dma_set_mask(dev, dma->old_mask);
	dma_set_coherent_mask(dev, dma->old_coherent_mask);
	dma_set_max_seg_size(dev, dma->old_seg_size);
}

/**
 * uio_dma_register - give a UIO device what it needs for DMA
 * @idev:	device about to be added, whose &struct uio_info is set
 *
 * A device without DMA is still a good UIO device: if its heap or its DMA mask
 * cannot be had then &uio_info.dma_device is cleared, and that is all.
 *
 * Return: 0, also if the driver has not opted in; -EINVAL if it has done so
 * without a way to stop the device; -ENOMEM.
 */
int uio_dma_register(struct uio_device *idev)
{
	struct uio_info *info = idev->info;
	struct device *dev = info->dma_device;
	struct dev_coherent_heap *heap;
	struct uio_dma *dma;
	char *name;
	int ret;

	if (!dev)
		return 0;
	if (!info->dma_stop)
		return -EINVAL;

	dma = kzalloc_obj(*dma);
	if (!dma)
		return -ENOMEM;

	name = kasprintf(GFP_KERNEL, "uio@%s", dev_name(dev));
	if (!name) {
		kfree(dma);
		return -ENOMEM;
	}

	dma->old_mask = dma_get_mask(dev);
	dma->old_coherent_mask = dev->coherent_dma_mask;
	dma->old_seg_size = dma_get_max_seg_size(dev);
	ret = dma_set_mask_and_coherent(dev,
					DMA_BIT_MASK(UIO_DMA_DEFAULT_BITS));
	if (ret)
		goto err_free_name;
	dma_set_max_seg_size(dev, UINT_MAX);

	heap = dev_coherent_heap_add(dev, name);
	if (IS_ERR(heap)) {
		ret = PTR_ERR(heap);
		goto err_restore;
	}
	kfree(name);

	dma->info = info;
	dma->heap = heap;
	dma->mask_bits = UIO_DMA_DEFAULT_BITS;
	dma_buf_importer_init(&dma->importer, dev, &uio_dma_importer_ops);
	idev->dma = dma;
	idev->dev.groups = uio_dma_groups;
	return 0;

err_restore:
	uio_dma_restore(dma, dev);
err_free_name:
	kfree(name);
	dev_warn(dev, "no DMA for user space (%d)\n", ret);
	info->dma_device = NULL;
	kfree(dma);
	return 0;
}
EXPORT_SYMBOL_GPL(uio_dma_register);

/**
 * uio_dma_unregister - end all DMA of a UIO device
 * @idev:	device that is being unregistered
 *
 * Files may still be open and memory mapped; both are of no use afterwards.
 * Called without locks: exporters and other devices have to be waited for.
 */
void uio_dma_unregister(struct uio_device *idev)
{
	struct uio_dma *dma = idev->dma;
	int ret;

	if (!dma)
		return;

	ret = dma_buf_importer_kill(&dma->importer);
	dev_coherent_heap_remove(dma->heap, ret);
	uio_dma_restore(dma, dma->info->dma_device);
}
EXPORT_SYMBOL_GPL(uio_dma_unregister);

/**
 * uio_dma_free - free what uio_dma_register() has allocated
 * @idev:	device whose last reference is gone
 */
void uio_dma_free(struct uio_device *idev)
{
	kfree(idev->dma);
}
EXPORT_SYMBOL_GPL(uio_dma_free);

/**
 * uio_dma_open - a file of a UIO device is opened
 * @idev:	device
 *
 * Return: what the file owns, to be given to uio_dma_release(); NULL if the
 * device does no DMA; or an ERR_PTR().
 */
struct dma_buf_importer_file *uio_dma_open(struct uio_device *idev)
{
	struct dma_buf_importer_file *f;
	int ret;

	if (!idev->dma)
		return NULL;

	f = kzalloc_obj(*f);
	if (!f)
		return ERR_PTR(-ENOMEM);

	ret = dma_buf_importer_file_open(f, &idev->dma->importer);
	if (ret) {
		kfree(f);
		return ERR_PTR(ret);
	}
	return f;
}
EXPORT_SYMBOL_GPL(uio_dma_open);

/**
 * uio_dma_release - a file of a UIO device is closed
 * @f:	from uio_dma_open()
 */
void uio_dma_release(struct dma_buf_importer_file *f)
{
	if (!f)
		return;

	dma_buf_importer_file_close(f);
	kfree(f);
}
EXPORT_SYMBOL_GPL(uio_dma_release);

/**
 * uio_dma_init - make UIO's files known to dma-buf
 * @ifops:	the UIO core's files
 */
void uio_dma_init(struct dma_buf_importer_fops *ifops)
{
	dma_buf_importer_register_fops(ifops);
}
EXPORT_SYMBOL_GPL(uio_dma_init);

/**
 * uio_dma_exit - undo uio_dma_init()
 * @ifops:	the UIO core's files, none of which is open
 */
void uio_dma_exit(struct dma_buf_importer_fops *ifops)
{
	dma_buf_importer_unregister_fops(ifops);
}
EXPORT_SYMBOL_GPL(uio_dma_exit);

MODULE_DESCRIPTION("DMA for userspace I/O devices");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
MODULE_IMPORT_NS("DMA_BUF_HEAP");
