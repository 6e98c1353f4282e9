// SPDX-License-Identifier: GPL-2.0-only
/*
 * Importing dma-bufs on behalf of an open file
 *
 * An importer is a device that user space programs itself, through a driver
 * such as UIO. Each of its open files maps dma-bufs for the device and tells
 * user space where the device finds them. What keeps memory safe is the order
 * in which this file takes such mappings down: the device is stopped, then the
 * buffer is unmapped, then the reference to the buffer is dropped.
 */

#define pr_fmt(fmt) "dma-buf: " fmt

#include <linux/bsearch.h>
#include <linux/capability.h>
#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/dma-buf-importer.h>
#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/export.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/iommu.h>
#include <linux/iommu-dma.h>
#include <linux/lockdep.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/msi.h>
#include <linux/overflow.h>
#include <linux/panic.h>
#include <linux/rculist.h>
#include <linux/scatterlist.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/swiotlb.h>
#include <linux/uaccess.h>

#include <uapi/linux/dma-buf.h>

/* Bounds what one device can make the kernel keep, live and parked. */
#define IMPORTER_MAX_MAPPINGS	65536

/* Jiffies from one attempt to stop a device to the next */
#define REVOKE_RETRY		(2 * HZ)

#define GET_DMA_ADDR_DIRECTIONS	(DMA_BUF_DMA_TO_DEVICE | DMA_BUF_DMA_FROM_DEVICE)
#define GET_DMA_ADDR_FLAGS	(GET_DMA_ADDR_DIRECTIONS | DMA_BUF_DMA_COHERENT)

/*
 * Where the bytes of a buffer from @start up to the next segment's @start are
 * for the device. A last segment stands for the end of the buffer.
 */
struct importer_segment {
	u64 start;
	dma_addr_t addr;
};

/*
 * One buffer, mapped for one open file.
 *
 * @imp: NULL if the mapping is abandoned; changes under the dma-buf's
 *	reservation lock
 * @file: NULL once the file is closed
 * @dmabuf: referenced
 * @sgt: NULL once unmapped because the exporter revoked it. The mapping then
 *	stays with its file, and keeps the device stopped, until PUT or close.
 * @revoked: set under the dma-buf's reservation lock
 * @cursor: index of the segment that was found last
 */
struct importer_mapping {
	struct dma_buf_importer *imp;
	struct dma_buf_importer_file *file;
	struct dma_buf *dmabuf;
	struct dma_buf_attachment *attach;
	struct sg_table *sgt;
	enum dma_data_direction dir;
	bool coherent;
	bool revoked;
	struct list_head node;
	unsigned int cursor;
	unsigned int nr_segments;
	struct importer_segment *segments;
};

static LIST_HEAD(importer_fops_list);
static DEFINE_SPINLOCK(importer_fops_lock);

/*
 * No two dma-bufs are nearer to each other than the size of the structure, and
 * they are in the linear map. So this is unique, and has few significant bits:
 * each six of them are a level of the tree.
 */
static unsigned long importer_key(struct dma_buf *dmabuf)
{
	return virt_to_phys(dmabuf) >> ilog2(sizeof(*dmabuf));
}

static u32 importer_dir_to_flags(enum dma_data_direction dir)
{
	switch (dir) {
	case DMA_TO_DEVICE:
		return DMA_BUF_DMA_TO_DEVICE;
	case DMA_FROM_DEVICE:
		return DMA_BUF_DMA_FROM_DEVICE;
	default:
		return GET_DMA_ADDR_DIRECTIONS;
	}
}

static enum dma_data_direction importer_flags_to_dir(u32 flags)
{
	switch (flags & GET_DMA_ADDR_DIRECTIONS) {
	case DMA_BUF_DMA_TO_DEVICE:
		return DMA_TO_DEVICE;
	case DMA_BUF_DMA_FROM_DEVICE:
		return DMA_FROM_DEVICE;
	default:
		return DMA_BIDIRECTIONAL;
	}
}

static bool importer_addr_bounces(struct device *dev, dma_addr_t addr)
{
	phys_addr_t phys;

	if (!dma_need_sync(dev, addr))
		return false;

	/*
	 * For a coherent device this answers true without cause under
	 * DMA_API_DEBUG, or after any other mapping has bounced: look.
	 */
	if (use_dma_iommu(dev))
		phys = iommu_iova_to_phys(iommu_get_domain_for_dev(dev), addr);
	else if (!get_dma_ops(dev))
		phys = dma_to_phys(dev, addr);
	else
		return true;

	return swiotlb_find_pool(dev, phys);
}

/**
 * dma_buf_sgt_is_coherent - is a mapping coherent without cache maintenance?
 * @dev:	device that @sgt is mapped for by the DMA API
 * @sgt:	mapped table
 *
 * Return: true if @dev and the CPU see each other's writes to the mapped memory
 * without any dma_sync_*() call, that is: the device is coherent and no part of
 * the memory is bounced through swiotlb.
 */
bool dma_buf_sgt_is_coherent(struct device *dev, struct sg_table *sgt)
{
	struct scatterlist *sg;
	int i;

	if (!dev_is_dma_coherent(dev))
		return false;

	for_each_sgtable_dma_sg(sgt, sg, i) {
		if (importer_addr_bounces(dev, sg_dma_address(sg)))
			return false;
	}
	return true;
}

/**
 * dma_buf_dev_reaches_memory - can any memory be mapped for a device?
 * @dev:	device, with its DMA mask set
 *
 * dma-direct warns, with a stack trace and an address, when it is to map memory
 * beyond the device's mask and there is no bounce buffer below it. Nobody can
 * know beforehand what memory an exporter comes up with, so that user space
 * could provoke this.
 *
 * Return: true if the device reaches all memory, or if what it does not reach
 * is bounced or mapped by an IOMMU.
 */
bool dma_buf_dev_reaches_memory(struct device *dev)
{
	if (use_dma_iommu(dev) || get_dma_ops(dev) || !dma_addressing_limited(dev))
		return true;
#ifdef CONFIG_SWIOTLB
	if (is_swiotlb_active(dev))
		return phys_to_dma(dev, dev->dma_io_tlb_mem->defpool.end - 1) <=
		       min_not_zero(dma_get_mask(dev), dev->bus_dma_limit);
#endif
	return false;
}

/*
 * Segments that are neighbours on the bus become one. Without @segments only
 * counts them.
 *
 * Return: the number of segments, or -EOPNOTSUPP if the table makes no sense
 * for a buffer of @size bytes.
 */
static int importer_merge_segments(struct sg_table *sgt, u64 size,
				   struct importer_segment *segments)
{
	dma_addr_t next = 0, last;
	struct scatterlist *sg;
	u64 start = 0;
	int i, n = 0;

	for_each_sgtable_dma_sg(sgt, sg, i) {
		dma_addr_t addr = sg_dma_address(sg);
		unsigned int len = sg_dma_len(sg);

		if (!len)
			continue;
		if (start >= size)
			break;
		if (check_add_overflow(addr, (dma_addr_t)(len - 1), &last))
			return -EOPNOTSUPP;

		/* @next is 0 again after a segment that ends the address space */
		if (!n || !next || addr != next) {
			if (segments)
				segments[n] = (struct importer_segment) {
					.start = start,
					.addr = addr,
				};
			n++;
		}
		next = last + 1;
		start += len;
	}

	if (start < size)
		return -EOPNOTSUPP;
	if (segments)
		segments[n].start = size;
	return n;
}

static int importer_fill_segments(struct importer_mapping *m)
{
	u64 size = m->dmabuf->size;
	int n;

	n = importer_merge_segments(m->sgt, size, NULL);
	if (n < 0)
		return n;

	m->segments = kvmalloc_array((size_t)n + 1, sizeof(*m->segments),
				     GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!m->segments)
		return -ENOMEM;

	m->nr_segments = importer_merge_segments(m->sgt, size, m->segments);
	return 0;
}

static int importer_segment_cmp(const void *key, const void *elt)
{
	const struct importer_segment *s = elt;
	u64 offset = *(const u64 *)key;

	if (offset < s[0].start)
		return -1;
	return offset >= s[1].start;
}

/* The cursor makes walking a buffer from its start cheap. */
static const struct importer_segment *
importer_find_segment(struct importer_mapping *m, u64 offset)
{
	const struct importer_segment *s = &m->segments[m->cursor];

	if (!importer_segment_cmp(&offset, s))
		return s;
	if (m->cursor + 1 < m->nr_segments && !importer_segment_cmp(&offset, s + 1))
		s++;
	else
		s = bsearch(&offset, m->segments, m->nr_segments, sizeof(*s),
			    importer_segment_cmp);
	m->cursor = s - m->segments;
	return s;
}

static void importer_invalidate_mappings(struct dma_buf_attachment *attach)
{
	struct importer_mapping *m = attach->importer_priv;

	dma_resv_assert_held(attach->dmabuf->resv);

	WRITE_ONCE(m->revoked, true);
	if (m->imp)
		mod_delayed_work(system_long_wq, &m->imp->revoke_work, 0);
}

static const struct dma_buf_attach_ops importer_attach_ops = {
	.allow_peer2peer = false,
	.invalidate_mappings = importer_invalidate_mappings,
};

/* What an exporter or the DMA API answers says nothing to user space. */
static int importer_map_errno(int err)
{
	switch (err) {
	case -ENOMEM:
	case -ENODEV:
		return err;
	case -EINTR:
	case -ERESTARTSYS:
		return -EINTR;
	default:
		return -EOPNOTSUPP;
	}
}

static int importer_map_locked(struct importer_mapping *m)
{
	struct dma_buf_attachment *attach = m->attach;
	long ret;

	dma_resv_assert_held(m->dmabuf->resv);

	if (m->revoked)
		return -ENODEV;

	if (attach->importer_ops) {
		ret = dma_buf_pin(attach);
		if (ret)
			return ret;
	}

	ret = dma_resv_wait_timeout(m->dmabuf->resv, DMA_RESV_USAGE_KERNEL,
				    true, MAX_SCHEDULE_TIMEOUT);
	if (ret < 0)
		goto err_unpin;

	m->sgt = dma_buf_map_attachment(attach, m->dir);
	if (IS_ERR(m->sgt)) {
		ret = PTR_ERR(m->sgt);
		m->sgt = NULL;
		goto err_unpin;
	}
	return 0;

err_unpin:
	if (attach->importer_ops)
		dma_buf_unpin(attach);
	return ret;
}

/* The device must not be able to reach the buffer any more. */
static void importer_unmap(struct importer_mapping *m)
{
	dma_resv_lock(m->dmabuf->resv, NULL);
	dma_buf_unmap_attachment(m->attach, m->sgt, m->dir);
	m->sgt = NULL;
	if (m->attach->importer_ops)
		dma_buf_unpin(m->attach);
	dma_resv_unlock(m->dmabuf->resv);
}

/* The same holds, if the buffer is still mapped. */
static void importer_free_mapping(struct importer_mapping *m)
{
	if (m->sgt)
		importer_unmap(m);
	dma_buf_detach(m->dmabuf, m->attach);
	dma_buf_put(m->dmabuf);
	kvfree(m->segments);
	kfree(m);
}

static struct importer_mapping *
importer_create_mapping(struct dma_buf_importer_file *f, struct dma_buf *dmabuf,
			enum dma_data_direction dir, bool want_coherent)
{
	struct dma_buf_importer *imp = f->importer;
	struct importer_mapping *m;
	int ret;

	lockdep_assert_held(&imp->lock);

	if (imp->nr_live + imp->nr_parked + imp->nr_revoked >=
	    IMPORTER_MAX_MAPPINGS)
		return ERR_PTR(-ENOMEM);

	m = kzalloc_obj(*m, GFP_KERNEL_ACCOUNT);
	if (!m)
		return ERR_PTR(-ENOMEM);

	m->imp = imp;
	m->file = f;
	m->dir = dir;
	m->dmabuf = dmabuf;
	get_dma_buf(dmabuf);

	m->attach = dma_buf_dynamic_attach(dmabuf, imp->dev,
					   &importer_attach_ops, m);
	if (IS_ERR(m->attach)) {
		ret = importer_map_errno(PTR_ERR(m->attach));
		goto err_put_dmabuf;
	}

	/* What the exporter guarantees to be coherent does not bounce. */
	if (!m->attach->coherent && !dma_buf_dev_reaches_memory(imp->dev)) {
		ret = -EOPNOTSUPP;
		goto err_detach;
	}

	ret = dma_resv_lock_interruptible(dmabuf->resv, NULL);
	if (!ret) {
		ret = importer_map_locked(m);
		dma_resv_unlock(dmabuf->resv);
	}
	if (ret) {
		ret = importer_map_errno(ret);
		goto err_detach;
	}

	ret = importer_fill_segments(m);
	if (ret)
		goto err_unmap;

	m->coherent = m->attach->coherent ||
		      dma_buf_sgt_is_coherent(imp->dev, m->sgt);
	if (want_coherent && !m->coherent) {
		ret = -EOPNOTSUPP;
		goto err_free_segments;
	}

	ret = xa_err(xa_store(&f->mappings, importer_key(dmabuf), m,
			      GFP_KERNEL_ACCOUNT));
	if (ret)
		goto err_free_segments;

	if (!imp->started && !imp->nr_revoked) {
		if (imp->ops->start(imp)) {
			ret = -EIO;
			goto err_erase;
		}
		imp->started = true;
	}

	list_add_tail(&m->node, &imp->mappings);
	imp->nr_live++;
	return m;

err_erase:
	xa_erase(&f->mappings, importer_key(dmabuf));
err_free_segments:
	kvfree(m->segments);
err_unmap:
	importer_unmap(m);
err_detach:
	dma_buf_detach(dmabuf, m->attach);
err_put_dmabuf:
	dma_buf_put(dmabuf);
	kfree(m);
	return ERR_PTR(ret);
}

/*
 * Stops the device, also if nothing has started it: user space may have done
 * that behind our back. Parked mappings wait for just this.
 */
static int importer_stop(struct dma_buf_importer *imp)
{
	struct importer_mapping *m, *tmp;
	int ret;

	lockdep_assert_held(&imp->lock);

	ret = imp->ops->stop(imp);
	if (ret) {
		if (!imp->warned)
			dev_warn(imp->dev,
				 "cannot stop DMA (%d), buffers stay mapped\n",
				 ret);
		imp->warned = true;
		return ret;
	}
	imp->started = false;

	list_for_each_entry_safe(m, tmp, &imp->parked, node) {
		list_del(&m->node);
		importer_free_mapping(m);
	}
	imp->nr_parked = 0;
	return 0;
}

/* The device is stopped, and nobody has it open. */
static void importer_reset(struct dma_buf_importer *imp, bool killed)
{
	lockdep_assert_held(&imp->lock);

	if (imp->dirty && imp->ops->reset && !imp->ops->reset(imp, killed))
		imp->dirty = false;
}

static void importer_restart(struct dma_buf_importer *imp)
{
	lockdep_assert_held(&imp->lock);

	if (imp->started || imp->nr_revoked || !imp->nr_live)
		return;
	if (imp->ops->start(imp))
		dev_warn_ratelimited(imp->dev, "cannot start DMA again\n");
	else
		imp->started = true;
}

/* Takes a mapping from its open file. */
static void importer_forget_mapping(struct importer_mapping *m)
{
	struct dma_buf_importer *imp = m->imp;

	lockdep_assert_held(&imp->lock);

	xa_erase(&m->file->mappings, importer_key(m->dmabuf));
	if (m->file->last == m)
		m->file->last = NULL;
	m->file = NULL;
	list_del(&m->node);
	if (m->sgt)
		imp->nr_live--;
	else
		imp->nr_revoked--;
}

static void importer_revoke_work(struct work_struct *work)
{
	struct dma_buf_importer *imp =
		container_of(to_delayed_work(work), struct dma_buf_importer,
			     revoke_work);
	struct importer_mapping *m;
	bool found = false;

	guard(mutex)(&imp->lock);

	if (!imp->dev)
		return;

	list_for_each_entry(m, &imp->parked, node)
		found |= READ_ONCE(m->revoked);
	list_for_each_entry(m, &imp->mappings, node)
		found |= m->sgt && READ_ONCE(m->revoked);
	if (!found)
		return;

	/* As long as quiet is unproved the exporter waits and keeps the memory. */
	if (importer_stop(imp)) {
		queue_delayed_work(system_long_wq, &imp->revoke_work,
				   REVOKE_RETRY);
		return;
	}

	list_for_each_entry(m, &imp->mappings, node) {
		if (!m->sgt || !READ_ONCE(m->revoked))
			continue;
		importer_unmap(m);
		imp->nr_live--;
		imp->nr_revoked++;
	}
	importer_restart(imp);
}

/**
 * dma_buf_importer_init - set up a device that imports dma-bufs
 * @imp:	importer, zeroed; it must outlive all its open files
 * @dev:	device that does the DMA, with its DMA mask set. The caller keeps
 *		it bound and alive until dma_buf_importer_kill()
 * @ops:	driver callbacks
 */
void dma_buf_importer_init(struct dma_buf_importer *imp, struct device *dev,
			   const struct dma_buf_importer_ops *ops)
{
	struct iommu_domain *domain = iommu_get_domain_for_dev(dev);

	imp->dev = dev;
	imp->ops = ops;
	mutex_init(&imp->lock);
	INIT_LIST_HEAD(&imp->mappings);
	INIT_LIST_HEAD(&imp->parked);
	INIT_DELAYED_WORK(&imp->revoke_work, importer_revoke_work);

	/*
	 * The domain does not change while a driver is bound. A device that
	 * could forge the interrupts of others is not confined either.
	 */
	imp->confined = domain && (domain->type & __IOMMU_DOMAIN_PAGING) &&
			msi_device_has_isolated_msi(dev);
}
EXPORT_SYMBOL_NS_GPL(dma_buf_importer_init, "DMA_BUF");

/*
 * The device may go on to use the buffer, so all that can be done is never to
 * give the memory back. The mapping is not seen again, except by an exporter.
 */
static void importer_abandon_mapping(struct importer_mapping *m)
{
	get_device(m->attach->dev);
	dma_resv_lock(m->dmabuf->resv, NULL);
	m->imp = NULL;
	dma_resv_unlock(m->dmabuf->resv);
}

/**
 * dma_buf_importer_kill - end all DMA and all mappings
 * @imp:	importer
 *
 * To be called before the driver's remove() returns, as that is the last moment
 * at which the DMA API can be used for the device. Stops the device, resets it if
 * a program has left buffers mapped, then unmaps what is mapped for it. From then
 * on open files only get -ENODEV.
 *
 * Return: 0, or the error by which &dma_buf_importer_ops.stop said that the
 * device may still reach memory. Its buffers are then leaked, and so must be
 * any other memory that it was given.
 */
int dma_buf_importer_kill(struct dma_buf_importer *imp)
{
	struct importer_mapping *m, *tmp;
	int ret;

	mutex_lock(&imp->lock);
	if (!list_empty(&imp->mappings))
		imp->dirty = true;
	ret = importer_stop(imp);
	if (!ret)
		importer_reset(imp, true);

	list_for_each_entry_safe(m, tmp, &imp->mappings, node) {
		importer_forget_mapping(m);
		if (ret && m->sgt)
			importer_abandon_mapping(m);
		else
			importer_free_mapping(m);
	}
	list_for_each_entry_safe(m, tmp, &imp->parked, node) {
		list_del(&m->node);
		importer_abandon_mapping(m);
	}
	imp->nr_parked = 0;
	imp->dev = NULL;
	mutex_unlock(&imp->lock);

	/* Without attachments nobody queues it again. */
	cancel_delayed_work_sync(&imp->revoke_work);
	return ret;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_importer_kill, "DMA_BUF");

/**
 * dma_buf_importer_lock_idle - keep a device without mappings as it is
 * @imp:	importer
 *
 * Return: 0 with mappings locked out until dma_buf_importer_unlock(), -EBUSY if
 * there are mappings, -ENODEV if the importer is killed.
 */
int dma_buf_importer_lock_idle(struct dma_buf_importer *imp)
{
	int ret = 0;

	mutex_lock(&imp->lock);
	if (!imp->dev)
		ret = -ENODEV;
	else if (!list_empty(&imp->mappings) || !list_empty(&imp->parked))
		ret = -EBUSY;
	if (ret)
		mutex_unlock(&imp->lock);
	return ret;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_importer_lock_idle, "DMA_BUF");

/**
 * dma_buf_importer_unlock - undo dma_buf_importer_lock_idle()
 * @imp:	importer
 */
void dma_buf_importer_unlock(struct dma_buf_importer *imp)
{
	mutex_unlock(&imp->lock);
}
EXPORT_SYMBOL_NS_GPL(dma_buf_importer_unlock, "DMA_BUF");

/**
 * dma_buf_importer_file_open - a file of the device is opened
 * @f:		the file's state, uninitialised
 * @imp:	importer, which must stay allocated until the file is closed
 *
 * Return: 0, or -ENODEV if the importer is killed.
 */
int dma_buf_importer_file_open(struct dma_buf_importer_file *f,
			       struct dma_buf_importer *imp)
{
	guard(mutex)(&imp->lock);

	if (!imp->dev)
		return -ENODEV;

	/* What could not be done at the last close. */
	if (!imp->nr_files && !imp->nr_parked)
		importer_reset(imp, false);

	f->importer = imp;
	f->last = NULL;
	xa_init_flags(&f->mappings, XA_FLAGS_ACCOUNT);
	imp->nr_files++;
	return 0;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_importer_file_open, "DMA_BUF");

/**
 * dma_buf_importer_file_close - a file of the device is closed
 * @f:		state from dma_buf_importer_file_open(); free to go afterwards
 *
 * The device is stopped if this is its last open file, or if no other one has
 * anything mapped. Else others are still driving it, and since it may be using
 * the file's buffers too, those stay mapped until the device is stopped. At the
 * last close the device is also reset, unless all buffers were given back.
 */
void dma_buf_importer_file_close(struct dma_buf_importer_file *f)
{
	struct dma_buf_importer *imp = f->importer;
	struct importer_mapping *m;
	unsigned long key;
	int ret = 0;

	mutex_lock(&imp->lock);
	if (!imp->dev)
		goto out_unlock;

	xa_for_each(&f->mappings, key, m) {
		imp->dirty = true;
		importer_forget_mapping(m);
		if (m->sgt) {
			list_add_tail(&m->node, &imp->parked);
			imp->nr_parked++;
		} else {
			importer_free_mapping(m);
		}
	}

	imp->nr_files--;
	if (!imp->nr_files || (!imp->nr_live && imp->nr_parked))
		ret = importer_stop(imp);
	if (!imp->nr_files && !ret)
		importer_reset(imp, false);
	importer_restart(imp);

out_unlock:
	mutex_unlock(&imp->lock);
	xa_destroy(&f->mappings);
}
EXPORT_SYMBOL_NS_GPL(dma_buf_importer_file_close, "DMA_BUF");

/* Most calls are about the same buffer as the one before. */
static struct importer_mapping *
importer_find_mapping(struct dma_buf_importer_file *f, struct dma_buf *dmabuf)
{
	lockdep_assert_held(&f->importer->lock);

	if (!f->last || f->last->dmabuf != dmabuf)
		f->last = xa_load(&f->mappings, importer_key(dmabuf));
	return f->last;
}

static int importer_answer(struct importer_mapping *m,
			   struct dma_buf_get_dma_addr *arg)
{
	const struct importer_segment *s;

	if (READ_ONCE(m->revoked))
		return -ENODEV;
	if (m->dir != importer_flags_to_dir(arg->flags))
		return -EBUSY;
	if ((arg->flags & DMA_BUF_DMA_COHERENT) && !m->coherent)
		return -EOPNOTSUPP;

	s = importer_find_segment(m, arg->offset);
	arg->dma_addr = s[0].addr + (arg->offset - s[0].start);
	arg->len = s[1].start - arg->offset;
	arg->flags = importer_dir_to_flags(m->dir);
	if (m->coherent)
		arg->flags |= DMA_BUF_DMA_COHERENT;
	return 0;
}

/**
 * dma_buf_importer_lookup - tell where a mapped buffer is for the device
 * @f:		open file of the device
 * @dmabuf:	buffer
 * @arg:	what is asked, with valid flags and an offset below the buffer's
 *		size; takes the answer
 *
 * Return: 0, -ENOENT if the file has not mapped the buffer, -ENODEV if the
 * device or the buffer is gone, -EBUSY if it is mapped in another direction,
 * -EOPNOTSUPP if coherence is demanded but not given. @arg changes only on
 * success.
 */
int dma_buf_importer_lookup(struct dma_buf_importer_file *f,
			    struct dma_buf *dmabuf,
			    struct dma_buf_get_dma_addr *arg)
{
	struct importer_mapping *m;

	guard(mutex)(&f->importer->lock);

	if (!f->importer->dev)
		return -ENODEV;

	m = importer_find_mapping(f, dmabuf);
	return m ? importer_answer(m, arg) : -ENOENT;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_importer_lookup, "DMA_BUF");

/**
 * dma_buf_importer_get - map a buffer and tell where it is for the device
 * @f:		open file of the device
 * @dmabuf:	buffer; the mapping takes its own reference
 * @arg:	as in dma_buf_importer_lookup()
 *
 * Maps the buffer if the file has not done so yet, and lets the device do DMA
 * if this is its first buffer.
 *
 * Return: as dma_buf_importer_lookup(); also -ENOMEM, -EINTR, -EIO if the
 * device cannot be started, and -EOPNOTSUPP if exporter and device do not fit.
 */
int dma_buf_importer_get(struct dma_buf_importer_file *f,
			 struct dma_buf *dmabuf,
			 struct dma_buf_get_dma_addr *arg)
{
	struct importer_mapping *m;

	guard(mutex)(&f->importer->lock);

	if (!f->importer->dev)
		return -ENODEV;

	m = importer_find_mapping(f, dmabuf);
	if (!m)
		m = importer_create_mapping(f, dmabuf,
					    importer_flags_to_dir(arg->flags),
					    arg->flags & DMA_BUF_DMA_COHERENT);
	return IS_ERR(m) ? PTR_ERR(m) : importer_answer(m, arg);
}
EXPORT_SYMBOL_NS_GPL(dma_buf_importer_get, "DMA_BUF");

/**
 * dma_buf_importer_put - unmap a buffer that the device is done with
 * @f:		open file of the device
 * @dmabuf:	buffer
 *
 * The device is stopped first if nothing else is mapped for open files.
 *
 * Return: 0, -ENOENT if the file has not mapped the buffer, -ENODEV if the
 * device is gone, -EIO if the device could not be stopped; the buffer then
 * stays mapped.
 */
int dma_buf_importer_put(struct dma_buf_importer_file *f,
			 struct dma_buf *dmabuf)
{
	struct dma_buf_importer *imp = f->importer;
	struct importer_mapping *m;

	guard(mutex)(&imp->lock);

	if (!imp->dev)
		return -ENODEV;

	m = importer_find_mapping(f, dmabuf);
	if (!m)
		return -ENOENT;
	if (m->sgt && imp->nr_live == 1 && importer_stop(imp))
		return -EIO;

	importer_forget_mapping(m);
	importer_free_mapping(m);
	importer_restart(imp);
	return 0;
}
EXPORT_SYMBOL_NS_GPL(dma_buf_importer_put, "DMA_BUF");

/**
 * dma_buf_importer_register_fops - register a kind of device file
 * @ifops:	what the files are recognised by. Their module stays loaded as
 *		long as one is open, and unregisters when it is unloaded
 */
void dma_buf_importer_register_fops(struct dma_buf_importer_fops *ifops)
{
	spin_lock(&importer_fops_lock);
	list_add_rcu(&ifops->node, &importer_fops_list);
	spin_unlock(&importer_fops_lock);
}
EXPORT_SYMBOL_NS_GPL(dma_buf_importer_register_fops, "DMA_BUF");

/**
 * dma_buf_importer_unregister_fops - undo dma_buf_importer_register_fops()
 * @ifops:	what was registered; no such file may be open
 */
void dma_buf_importer_unregister_fops(struct dma_buf_importer_fops *ifops)
{
	spin_lock(&importer_fops_lock);
	list_del_rcu(&ifops->node);
	spin_unlock(&importer_fops_lock);
	synchronize_rcu();
}
EXPORT_SYMBOL_NS_GPL(dma_buf_importer_unregister_fops, "DMA_BUF");

/*
 * What @file, which the caller keeps open, stands for: NULL if its device does
 * not take part, -EINVAL if it is no device file that could.
 */
static struct dma_buf_importer_file *importer_file_from(struct file *file)
{
	struct dma_buf_importer_fops *ifops;

	guard(rcu)();

	list_for_each_entry_rcu(ifops, &importer_fops_list, node) {
		if (ifops->fops == file->f_op)
			return ifops->get(file);
	}
	return ERR_PTR(-EINVAL);
}

static struct dma_buf_importer_file *importer_file_check(struct file *file)
{
	struct dma_buf_importer_file *f = importer_file_from(file);

	if (IS_ERR(f))
		return f;
	if (!(file->f_mode & FMODE_WRITE))
		return ERR_PTR(-EACCES);
	if (!f)
		return ERR_PTR(-EOPNOTSUPP);
	return f;
}

/*
 * Without an IOMMU around it the device reaches all memory, so that its file
 * amounts to /dev/mem, and bus addresses are physical ones.
 */
static bool importer_permitted(const struct dma_buf_importer *imp)
{
	if (imp->confined)
		return true;
	return capable(CAP_SYS_RAWIO) &&
	       !security_locked_down(LOCKDOWN_PCI_ACCESS);
}

static long importer_ioctl_get(struct file *file, struct file *dev_file,
			       struct dma_buf_get_dma_addr *arg,
			       struct dma_buf_get_dma_addr __user *uarg)
{
	struct dma_buf *dmabuf = file->private_data;
	struct dma_buf_importer_file *f;
	int ret;

	f = importer_file_check(dev_file);
	if (IS_ERR(f))
		return PTR_ERR(f);
	if (!(file->f_mode & FMODE_WRITE) &&
	    importer_flags_to_dir(arg->flags) != DMA_TO_DEVICE)
		return -EACCES;
	if (!importer_permitted(f->importer))
		return -EPERM;

	ret = dma_buf_importer_lookup(f, dmabuf, arg);
	if (ret == -ENOENT) {
		/* Find a bad pointer before there is something to undo. */
		if (copy_to_user(uarg, arg, sizeof(*arg)))
			return -EFAULT;

		ret = dma_buf_importer_get(f, dmabuf, arg);
		if (!ret && !f->importer->confined)
			add_taint(TAINT_USER, LOCKDEP_STILL_OK);
	}
	if (ret)
		return ret;

	return copy_to_user(uarg, arg, sizeof(*arg)) ? -EFAULT : 0;
}

/**
 * dma_buf_ioctl_get_dma_addr - DMA_BUF_IOCTL_GET_DMA_ADDR
 * @file:	open dma-buf
 * @uarg:	user's argument
 *
 * Return: see &struct dma_buf_get_dma_addr.
 */
long dma_buf_ioctl_get_dma_addr(struct file *file,
				struct dma_buf_get_dma_addr __user *uarg)
{
	struct dma_buf *dmabuf = file->private_data;
	struct dma_buf_get_dma_addr arg;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (arg.flags & ~GET_DMA_ADDR_FLAGS)
		return -EINVAL;
	if (arg.offset >= dmabuf->size)
		return -EINVAL;

	CLASS(fd, dev)(arg.dev_fd);
	if (fd_empty(dev))
		return -EBADF;

	return importer_ioctl_get(file, fd_file(dev), &arg, uarg);
}

/**
 * dma_buf_ioctl_put_dma_addr - DMA_BUF_IOCTL_PUT_DMA_ADDR
 * @file:	open dma-buf
 * @uarg:	user's argument
 *
 * Return: see &struct dma_buf_put_dma_addr.
 */
long dma_buf_ioctl_put_dma_addr(struct file *file,
				struct dma_buf_put_dma_addr __user *uarg)
{
	struct dma_buf_importer_file *f;
	struct dma_buf_put_dma_addr arg;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (arg.flags)
		return -EINVAL;

	CLASS(fd, dev)(arg.dev_fd);
	if (fd_empty(dev))
		return -EBADF;

	f = importer_file_check(fd_file(dev));
	if (IS_ERR(f))
		return PTR_ERR(f);

	return dma_buf_importer_put(f, file->private_data);
}
