// SPDX-License-Identifier: GPL-2.0-only
/*
 * DMABUF heap of memory that is coherent for one device
 *
 * The buffers come from dma_alloc_attrs() for the device that will do the DMA,
 * so that its mask, its bus offset, its IOMMU and its cache attributes are right
 * by construction. They are gone with the device's driver: what the DMA API has
 * given must go back before the driver's remove() returns, however many file
 * descriptors and mappings user space still holds.
 */

#define pr_fmt(fmt) "dev_coherent_heap: " fmt

#include <linux/completion.h>
#include <linux/device.h>
#include <linux/dev-coherent-heap.h>
#include <linux/dma-buf.h>
#include <linux/dma-buf-importer.h>
#include <linux/dma-direct.h>
#include <linux/dma-heap.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/kref.h>
#include <linux/limits.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

/* How long removal waits for other devices to let go of the buffers. */
#define REVOKE_TIMEOUT		(10 * HZ)

#define DEV_COHERENT_ATTRS	DMA_ATTR_NO_WARN

static unsigned long max_mib;
module_param(max_mib, ulong, 0644);
MODULE_PARM_DESC(max_mib,
		 "Most that one device's buffers take together, in MiB (default: 0, a quarter of the memory)");

/**
 * struct dev_coherent_heap - memory of one device
 * @kref:	held by the device's driver and by each buffer
 * @dev:	device that does the DMA, referenced
 * @heap:	what user space allocates from
 * @lock:	guards @buffers, @nr_buffers and @size. Ordered after an
 *		importer's lock and before the buffers' reservation locks
 * @buffers:	buffers whose memory is not given back
 * @nr_buffers:	number of buffers, those under construction included
 * @size:	their size in bytes
 * @name:	name of the heap, which the buffers also refer to
 */
struct dev_coherent_heap {
	struct kref kref;
	struct device *dev;
	struct dma_heap *heap;
	struct mutex lock; /* after an importer's lock, before dma_resv */
	struct list_head buffers;
	unsigned int nr_buffers;
	u64 size;
	char name[];
};

/**
 * struct dev_coherent_buffer - one buffer
 * @heap:	heap that it is from, referenced
 * @node:	in the heap's list, empty once the memory is given back
 * @dmabuf:	the buffer
 * @vaddr:	address for the kernel
 * @addr:	address for the device
 * @size:	in bytes, a multiple of the page size
 * @pages:	the pages; NULL if the memory has none
 * @pages_sgt:	where @pages points to
 * @revoked:	there is no memory any more; changes under the dma-buf's
 *		reservation lock
 * @users:	mappings for devices, and one until @revoked
 * @unused:	completed when @users are gone
 */
struct dev_coherent_buffer {
	struct dev_coherent_heap *heap;
	struct list_head node;
	struct dma_buf *dmabuf;
	void *vaddr;
	dma_addr_t addr;
	size_t size;
	struct sg_table *pages;
	struct sg_table pages_sgt;
	bool revoked;
	struct kref users;
	struct completion unused;
};

static void dev_coherent_heap_release(struct kref *kref)
{
	struct dev_coherent_heap *heap =
		container_of(kref, struct dev_coherent_heap, kref);

	put_device(heap->dev);
	kfree(heap);
}

static void dev_coherent_heap_put(struct dev_coherent_heap *heap)
{
	kref_put(&heap->kref, dev_coherent_heap_release);
}

static void dev_coherent_buffer_unused(struct kref *kref)
{
	struct dev_coherent_buffer *buffer =
		container_of(kref, struct dev_coherent_buffer, users);

	complete(&buffer->unused);
}

static int dev_coherent_attach(struct dma_buf *dmabuf,
			       struct dma_buf_attachment *attachment)
{
	struct dev_coherent_buffer *buffer = dmabuf->priv;
	struct device *owner = buffer->heap->dev;

	if (attachment->dev == owner) {
		attachment->coherent = true;
		return 0;
	}

	/*
	 * Another device gets at the memory through the CPU's view of it, and
	 * must let go of it when the owner's driver does.
	 */
	if (!dma_buf_attach_revocable(attachment) || !buffer->pages)
		return -EOPNOTSUPP;
	if (!dev_is_dma_coherent(owner) || !dev_is_dma_coherent(attachment->dev))
		return -EOPNOTSUPP;
	return dma_buf_dev_reaches_memory(attachment->dev) ? 0 : -EOPNOTSUPP;
}

static int dev_coherent_pin(struct dma_buf_attachment *attachment)
{
	struct dev_coherent_buffer *buffer = attachment->dmabuf->priv;

	dma_resv_assert_held(attachment->dmabuf->resv);

	return buffer->revoked ? -ENODEV : 0;
}

static void dev_coherent_unpin(struct dma_buf_attachment *attachment)
{
	dma_resv_assert_held(attachment->dmabuf->resv);
}

static struct sg_table *dev_coherent_sgt_owner(struct dev_coherent_buffer *buffer)
{
	struct sg_table *sgt;
	int ret;

	sgt = kzalloc_obj(*sgt);
	if (!sgt)
		return ERR_PTR(-ENOMEM);

	ret = sg_alloc_table(sgt, 1, GFP_KERNEL);
	if (ret) {
		kfree(sgt);
		return ERR_PTR(ret);
	}

	/* Mapped for the device since it was allocated: no pages to look at. */
	sg_set_page(sgt->sgl, NULL, 0, 0);
	sg_dma_address(sgt->sgl) = buffer->addr;
	sg_dma_len(sgt->sgl) = buffer->size;
	return sgt;
}

static struct sg_table *dev_coherent_sgt_other(struct dev_coherent_buffer *buffer,
					       struct device *dev,
					       enum dma_data_direction dir)
{
	struct scatterlist *from, *to;
	struct sg_table *sgt;
	int i, ret;

	sgt = kzalloc_obj(*sgt);
	if (!sgt)
		return ERR_PTR(-ENOMEM);

	ret = sg_alloc_table(sgt, buffer->pages->orig_nents, GFP_KERNEL);
	if (ret)
		goto err_free_sgt;

	to = sgt->sgl;
	for_each_sgtable_sg(buffer->pages, from, i) {
		sg_set_page(to, sg_page(from), from->length, from->offset);
		to = sg_next(to);
	}

	ret = dma_map_sgtable(dev, sgt, dir, DMA_ATTR_SKIP_CPU_SYNC);
	if (ret)
		goto err_free_table;

	/* A bounced mapping would be of another buffer's memory. */
	if (!dma_buf_sgt_is_coherent(dev, sgt)) {
		ret = -EOPNOTSUPP;
		goto err_unmap;
	}
	return sgt;

err_unmap:
	dma_unmap_sgtable(dev, sgt, dir, DMA_ATTR_SKIP_CPU_SYNC);
err_free_table:
	sg_free_table(sgt);
err_free_sgt:
	kfree(sgt);
	return ERR_PTR(ret);
}

static struct sg_table *dev_coherent_map(struct dma_buf_attachment *attachment,
					 enum dma_data_direction dir)
{
	struct dev_coherent_buffer *buffer = attachment->dmabuf->priv;
	struct sg_table *sgt;

	dma_resv_assert_held(attachment->dmabuf->resv);

	if (buffer->revoked)
		return ERR_PTR(-ENODEV);

	if (attachment->dev == buffer->heap->dev)
		sgt = dev_coherent_sgt_owner(buffer);
	else
		sgt = dev_coherent_sgt_other(buffer, attachment->dev, dir);
	if (!IS_ERR(sgt))
		kref_get(&buffer->users);
	return sgt;
}

static void dev_coherent_unmap(struct dma_buf_attachment *attachment,
			       struct sg_table *sgt,
			       enum dma_data_direction dir)
{
	struct dev_coherent_buffer *buffer = attachment->dmabuf->priv;

	dma_resv_assert_held(attachment->dmabuf->resv);

	if (attachment->dev != buffer->heap->dev)
		dma_unmap_sgtable(attachment->dev, sgt, dir,
				  DMA_ATTR_SKIP_CPU_SYNC);
	sg_free_table(sgt);
	kfree(sgt);
	kref_put(&buffer->users, dev_coherent_buffer_unused);
}

struct dev_coherent_fill {
	struct sg_page_iter iter;
	pgprot_t prot;
	struct mm_struct *mm;
};

static int dev_coherent_fill_pte(pte_t *pte, unsigned long addr, void *data)
{
	struct dev_coherent_fill *fill = data;
	unsigned long pfn;

	if (!__sg_page_iter_next(&fill->iter))
		return -EFAULT;

	/* What was moved here by mremap(), or left by an interrupted fill. */
	if (!pte_none(ptep_get(pte)))
		return 0;

	pfn = page_to_pfn(sg_page_iter_page(&fill->iter));
	set_pte_at(fill->mm, addr, pte,
		   pte_mkspecial(pfn_pte(pfn, fill->prot)));
	return 0;
}

/*
 * Fills the whole VMA: one fault per mapping. The reservation lock orders it
 * against revocation, which it cannot miss, because a VMA that faults can be
 * found through the file.
 */
static vm_fault_t dev_coherent_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct dev_coherent_buffer *buffer = vma->vm_private_data;
	struct dma_buf *dmabuf = vma->vm_file->private_data;
	struct dev_coherent_fill fill = {
		.prot = vma->vm_page_prot,
		.mm = vma->vm_mm,
	};
	vm_fault_t ret = VM_FAULT_NOPAGE;

	if (dma_resv_lock_interruptible(dmabuf->resv, NULL))
		return VM_FAULT_NOPAGE;

	if (buffer->revoked) {
		ret = VM_FAULT_SIGBUS;
		goto out_unlock;
	}

	__sg_page_iter_start(&fill.iter, buffer->pages->sgl,
			     buffer->pages->orig_nents, vma->vm_pgoff);
	if (apply_to_page_range(vma->vm_mm, vma->vm_start,
				vma->vm_end - vma->vm_start,
				dev_coherent_fill_pte, &fill))
		ret = VM_FAULT_OOM;

out_unlock:
	dma_resv_unlock(dmabuf->resv);
	return ret;
}

static const struct vm_operations_struct dev_coherent_vm_ops = {
	.fault = dev_coherent_fault,
};

static int dev_coherent_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	struct dev_coherent_buffer *buffer = dmabuf->priv;

	/* VM_SHARED is not set for a file that is open for reading only. */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	if (READ_ONCE(buffer->revoked))
		return -ENODEV;
	if (!buffer->pages)
		return -ENXIO;

	vm_flags_set(vma, VM_PFNMAP | VM_IO | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_page_prot = dma_pgprot(buffer->heap->dev, vma->vm_page_prot,
				       DEV_COHERENT_ATTRS);
	if (force_dma_unencrypted(buffer->heap->dev))
		vma->vm_page_prot = pgprot_decrypted(vma->vm_page_prot);
	vma->vm_private_data = buffer;
	vma->vm_ops = &dev_coherent_vm_ops;
	return 0;
}

/* Only before the driver of the heap's device is gone. */
static void dev_coherent_buffer_free_memory(struct dev_coherent_buffer *buffer)
{
	dma_free_attrs(buffer->heap->dev, buffer->size, buffer->vaddr,
		       buffer->addr, DEV_COHERENT_ATTRS);
	buffer->vaddr = NULL;
}

static int dev_coherent_heap_reserve(struct dev_coherent_heap *heap, size_t len)
{
	u64 mask = heap->dev->coherent_dma_mask;
	u64 limit = min_t(u64, READ_ONCE(max_mib), U64_MAX >> 20) << 20;

	if (!limit)
		limit = (u64)totalram_pages() << PAGE_SHIFT >> 2;

	guard(mutex)(&heap->lock);

	/* The length of one buffer must fit in a scatterlist entry. */
	if (len > UINT_MAX || heap->size + len > limit ||
	    heap->size + len - 1 > mask)
		return -ENOMEM;

	heap->size += len;
	heap->nr_buffers++;
	return 0;
}

static void dev_coherent_heap_unreserve(struct dev_coherent_heap *heap,
					size_t len)
{
	lockdep_assert_held(&heap->lock);

	heap->size -= len;
	heap->nr_buffers--;
}

static void dev_coherent_release(struct dma_buf *dmabuf)
{
	struct dev_coherent_buffer *buffer = dmabuf->priv;
	struct dev_coherent_heap *heap = buffer->heap;

	mutex_lock(&heap->lock);
	if (!list_empty(&buffer->node)) {
		list_del(&buffer->node);
		dev_coherent_buffer_free_memory(buffer);
		dev_coherent_heap_unreserve(heap, buffer->size);
	}
	mutex_unlock(&heap->lock);

	if (buffer->pages)
		sg_free_table(buffer->pages);
	kfree(buffer);
	dev_coherent_heap_put(heap);
}

static const struct dma_buf_ops dev_coherent_dma_buf_ops = {
	.attach = dev_coherent_attach,
	.pin = dev_coherent_pin,
	.unpin = dev_coherent_unpin,
	.map_dma_buf = dev_coherent_map,
	.unmap_dma_buf = dev_coherent_unmap,
	.mmap = dev_coherent_mmap,
	.release = dev_coherent_release,
};

/*
 * The DMA API is the only one who knows the pages: behind an IOMMU @vaddr is
 * vmalloc space, and memory from a device's own pool may have no struct pages.
 */
static int dev_coherent_buffer_get_pages(struct dev_coherent_buffer *buffer)
{
	struct scatterlist *sg;
	int i, ret;

	ret = dma_get_sgtable_attrs(buffer->heap->dev, &buffer->pages_sgt,
				    buffer->vaddr, buffer->addr, buffer->size,
				    DEV_COHERENT_ATTRS);
	if (ret)
		return ret == -ENOMEM ? ret : 0;

	for_each_sgtable_sg(&buffer->pages_sgt, sg, i) {
		if (!pfn_valid(page_to_pfn(sg_page(sg)))) {
			sg_free_table(&buffer->pages_sgt);
			return 0;
		}
	}
	buffer->pages = &buffer->pages_sgt;
	return 0;
}

/**
 * dev_coherent_heap_alloc - allocate a buffer for the heap's device
 * @heap:	heap
 * @len:	size in bytes, a multiple of the page size
 * @fd_flags:	O_ACCMODE flags of the dma-buf's file
 *
 * The memory is zeroed. The caller holds off dev_coherent_heap_remove().
 *
 * Return: the dma-buf, or an ERR_PTR(): -ENOMEM without memory that the device
 * can reach, or when a limit is reached.
 */
struct dma_buf *dev_coherent_heap_alloc(struct dev_coherent_heap *heap,
					size_t len, u32 fd_flags)
{
	/* Fail rather than have somebody killed for a large buffer. */
	gfp_t gfp = GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
	DEFINE_DMA_BUF_EXPORT_INFO(exp_info);
	struct dev_coherent_buffer *buffer;
	struct dma_buf *dmabuf;
	int ret;

	ret = dev_coherent_heap_reserve(heap, len);
	if (ret)
		return ERR_PTR(ret);

	buffer = kzalloc_obj(*buffer);
	if (!buffer) {
		ret = -ENOMEM;
		goto err_unreserve;
	}
	buffer->heap = heap;
	buffer->size = len;
	INIT_LIST_HEAD(&buffer->node);
	kref_init(&buffer->users);
	init_completion(&buffer->unused);

	if (mem_accounting)
		gfp |= __GFP_ACCOUNT;
	buffer->vaddr = dma_alloc_attrs(heap->dev, len, &buffer->addr, gfp,
					DEV_COHERENT_ATTRS);
	if (!buffer->vaddr) {
		ret = -ENOMEM;
		goto err_free_buffer;
	}
	ret = dev_coherent_buffer_get_pages(buffer);
	if (ret)
		goto err_free_memory;

	exp_info.exp_name = heap->name;
	exp_info.ops = &dev_coherent_dma_buf_ops;
	exp_info.size = len;
	exp_info.flags = fd_flags;
	exp_info.priv = buffer;
	dmabuf = dma_buf_export(&exp_info);
	if (IS_ERR(dmabuf)) {
		ret = PTR_ERR(dmabuf);
		goto err_free_memory;
	}

	/* dma_buf_put() now frees the buffer */
	buffer->dmabuf = dmabuf;
	kref_get(&heap->kref);
	mutex_lock(&heap->lock);
	list_add_tail(&buffer->node, &heap->buffers);
	mutex_unlock(&heap->lock);
	return dmabuf;

err_free_memory:
	if (buffer->pages)
		sg_free_table(buffer->pages);
	dev_coherent_buffer_free_memory(buffer);
err_free_buffer:
	kfree(buffer);
err_unreserve:
	mutex_lock(&heap->lock);
	dev_coherent_heap_unreserve(heap, len);
	mutex_unlock(&heap->lock);
	return ERR_PTR(ret);
}
EXPORT_SYMBOL_NS_GPL(dev_coherent_heap_alloc, "DMA_BUF_HEAP");

static struct dma_buf *dev_coherent_heap_allocate(struct dma_heap *heap,
						  unsigned long len,
						  u32 fd_flags, u64 heap_flags)
{
	return dev_coherent_heap_alloc(dma_heap_get_drvdata(heap), len,
				       fd_flags);
}

static const struct dma_heap_ops dev_coherent_heap_ops = {
	.allocate = dev_coherent_heap_allocate,
};

/**
 * dev_coherent_heap_add - give user space a heap of a device's coherent memory
 * @dev:	device that does the DMA, with its DMA mask set
 * @name:	name of the heap, copied
 *
 * To be called while @dev is bound to the calling driver, which also removes
 * the heap.
 *
 * Return: the heap or an ERR_PTR(), see dma_heap_add().
 */
struct dev_coherent_heap *dev_coherent_heap_add(struct device *dev,
						const char *name)
{
	struct dma_heap_export_info exp_info = { .ops = &dev_coherent_heap_ops };
	struct dev_coherent_heap *heap;
	size_t name_size = strlen(name) + 1;
	struct dma_heap *dma_heap;

	heap = kzalloc(struct_size(heap, name, name_size), GFP_KERNEL);
	if (!heap)
		return ERR_PTR(-ENOMEM);

	kref_init(&heap->kref);
	mutex_init(&heap->lock);
	INIT_LIST_HEAD(&heap->buffers);
	heap->dev = get_device(dev);
	memcpy(heap->name, name, name_size);

	exp_info.name = heap->name;
	exp_info.priv = heap;
	dma_heap = dma_heap_add(&exp_info);
	if (IS_ERR(dma_heap)) {
		dev_coherent_heap_put(heap);
		return ERR_CAST(dma_heap);
	}
	heap->heap = dma_heap;
	return heap;
}
EXPORT_SYMBOL_NS_GPL(dev_coherent_heap_add, "DMA_BUF_HEAP");

/**
 * dev_coherent_heap_name - name of a heap
 * @heap:	heap
 *
 * Return: the name, valid until dev_coherent_heap_remove().
 */
const char *dev_coherent_heap_name(const struct dev_coherent_heap *heap)
{
	return heap->name;
}
EXPORT_SYMBOL_NS_GPL(dev_coherent_heap_name, "DMA_BUF_HEAP");

/**
 * dev_coherent_heap_set_mask - change the DMA mask of the heap's device
 * @heap:	heap
 * @mask:	new mask
 *
 * Return: 0, -EBUSY while there are buffers, -EIO if the machine cannot serve
 * such a mask.
 */
int dev_coherent_heap_set_mask(struct dev_coherent_heap *heap, u64 mask)
{
	guard(mutex)(&heap->lock);

	if (heap->nr_buffers)
		return -EBUSY;
	return dma_set_mask_and_coherent(heap->dev, mask);
}
EXPORT_SYMBOL_NS_GPL(dev_coherent_heap_set_mask, "DMA_BUF_HEAP");

/*
 * The dma-buf cannot go while its buffer is in the heap's list, since its
 * release waits for the heap's lock. But the last reference to its file may be
 * gone, and then the pointer may even lead to another file.
 */
static bool dev_coherent_get_file(struct dma_buf *dmabuf)
{
	struct file *file = get_file_active(&dmabuf->file);

	if (file && file->private_data != dmabuf) {
		fput(file);
		file = NULL;
	}
	return file;
}

/* Only dma_buf_ops.release, which needs no memory, follows on a buffer. */
static void dev_coherent_buffer_revoke(struct dev_coherent_buffer *buffer,
				       unsigned long deadline, bool leak)
{
	struct dma_buf *dmabuf = buffer->dmabuf;
	unsigned long now = jiffies;

	unmap_mapping_range(dmabuf->file->f_mapping, 0, 0, 1);

	/* What the owner could not be made to let go of, it never lets go of. */
	if (!leak && !wait_for_completion_timeout(&buffer->unused,
						  time_before(now, deadline) ?
						  deadline - now : 1)) {
		pr_warn_once("%s: a device still uses a buffer, its memory is lost\n",
			     buffer->heap->name);
		leak = true;
	}
	if (!leak)
		dev_coherent_buffer_free_memory(buffer);
}

/**
 * dev_coherent_heap_remove - take a heap and all its memory away
 * @heap:	heap
 * @leak:	the device may still do DMA: never give the memory back
 *
 * To be called before the driver's remove() returns, after the device's DMA has
 * ended. Mappings of buffers in user space are zapped, other devices that have
 * imported one are made to let go. Open buffers stay open, and of no use.
 */
void dev_coherent_heap_remove(struct dev_coherent_heap *heap, bool leak)
{
	unsigned long deadline = jiffies + REVOKE_TIMEOUT;
	struct dev_coherent_buffer *buffer, *tmp;
	LIST_HEAD(revoked);

	dma_heap_remove(heap->heap);

	mutex_lock(&heap->lock);
	list_for_each_entry_safe(buffer, tmp, &heap->buffers, node) {
		struct dma_buf *dmabuf = buffer->dmabuf;

		dev_coherent_heap_unreserve(heap, buffer->size);

		/* Nobody has it mapped who has no reference to the file. */
		if (!dev_coherent_get_file(dmabuf)) {
			list_del_init(&buffer->node);
			if (!leak)
				dev_coherent_buffer_free_memory(buffer);
			continue;
		}

		list_move_tail(&buffer->node, &revoked);
		dma_resv_lock(dmabuf->resv, NULL);
		WRITE_ONCE(buffer->revoked, true);
		dma_buf_invalidate_mappings(dmabuf);
		dma_resv_unlock(dmabuf->resv);
		kref_put(&buffer->users, dev_coherent_buffer_unused);
	}
	mutex_unlock(&heap->lock);

	/* The file references hold off dev_coherent_release(). */
	list_for_each_entry_safe(buffer, tmp, &revoked, node) {
		list_del_init(&buffer->node);
		dev_coherent_buffer_revoke(buffer, deadline, leak);
		dma_buf_put(buffer->dmabuf);
	}

	dev_coherent_heap_put(heap);
}
EXPORT_SYMBOL_NS_GPL(dev_coherent_heap_remove, "DMA_BUF_HEAP");
