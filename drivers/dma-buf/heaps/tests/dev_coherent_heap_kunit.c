// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests for heaps of a device's coherent memory, and for removal of heaps
 */

#include <kunit/device.h>
#include <kunit/test.h>
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
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include <uapi/linux/dma-buf.h>

#define HEAP_NAME	"kunit@device"
#define NAME_SIZE	32

/* A name that is free even where kobjects are released late. */
static struct device *heap_device(struct kunit *test, const char *role)
{
	static unsigned int nr;
	struct device *dev;
	char *name;

	name = kunit_kzalloc(test, NAME_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, name);
	snprintf(name, NAME_SIZE, "%s-%u", role, nr++);

	dev = kunit_device_register(test, name);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dev);
	KUNIT_ASSERT_EQ(test, 0, dma_coerce_mask_and_coherent(dev,
							      DMA_BIT_MASK(32)));
	/* by default where the architecture has other devices as well, too */
	dev_set_dma_coherent(dev);
	return dev;
}

static struct dev_coherent_heap *heap_add(struct kunit *test)
{
	struct dev_coherent_heap *heap;

	heap = dev_coherent_heap_add(test->priv, HEAP_NAME);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, heap);
	return heap;
}

static struct dma_buf *heap_alloc(struct kunit *test,
				  struct dev_coherent_heap *heap, size_t len)
{
	struct dma_buf *dmabuf = dev_coherent_heap_alloc(heap, len, O_RDWR);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dmabuf);
	return dmabuf;
}

static void heap_name_is_reusable(struct kunit *test)
{
	struct dev_coherent_heap *heap;
	int i;

	/* more than there are minor numbers */
	for (i = 0; i < 200; i++) {
		heap = heap_add(test);
		KUNIT_EXPECT_STREQ(test, dev_coherent_heap_name(heap), HEAP_NAME);
		dev_coherent_heap_remove(heap, false);
	}
}

static void heap_name_is_unique(struct kunit *test)
{
	struct dev_coherent_heap *heap = heap_add(test);
	struct dev_coherent_heap *second;

	second = dev_coherent_heap_add(test->priv, HEAP_NAME);
	KUNIT_EXPECT_EQ(test, PTR_ERR(second), -EINVAL);
	dev_coherent_heap_remove(heap, false);
}

static void heap_without_what_it_needs(struct kunit *test)
{
	static const struct dma_heap_ops no_ops;
	struct dma_heap_export_info info = { .name = HEAP_NAME };
	struct dev_coherent_heap *heap;

	heap = dev_coherent_heap_add(test->priv, "");
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(heap), -EINVAL);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(dma_heap_add(&info)), -EINVAL);
	info.ops = &no_ops;
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(dma_heap_add(&info)), -EINVAL);
	info.name = NULL;
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(dma_heap_add(&info)), -EINVAL);
}

static void heap_minors_run_out(struct kunit *test)
{
	static struct dev_coherent_heap *heaps[200];
	char name[NAME_SIZE];
	int i, n;

	for (n = 0; n < ARRAY_SIZE(heaps); n++) {
		snprintf(name, sizeof(name), "kunit@%d", n);
		heaps[n] = dev_coherent_heap_add(test->priv, name);
		if (IS_ERR(heaps[n]))
			break;
	}
	KUNIT_EXPECT_GT(test, n, 64);
	KUNIT_EXPECT_LE(test, n, 128);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(heaps[n]), -ENOSPC);
	for (i = 0; i < n; i++)
		dev_coherent_heap_remove(heaps[i], false);

	dev_coherent_heap_remove(heap_add(test), false);
}

static void heap_limits(struct kunit *test)
{
	struct dev_coherent_heap *heap = heap_add(test);
	static const u64 sizes[] = {
		SZ_4G, SZ_4G + PAGE_SIZE, 1ULL << 44, 1ULL << 63,
		~0ULL << PAGE_SHIFT,
	};
	struct dma_buf *dmabuf;
	int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		if (sizes[i] > SIZE_MAX)
			continue;
		dmabuf = dev_coherent_heap_alloc(heap, sizes[i], O_RDWR);
		KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(dmabuf), -ENOMEM);
	}

	/* nothing of it is kept */
	KUNIT_EXPECT_EQ(test, 0, dev_coherent_heap_set_mask(heap,
							    DMA_BIT_MASK(64)));
	dev_coherent_heap_remove(heap, false);
}

static void heap_limit_of_mask(struct kunit *test)
{
	struct dev_coherent_heap *heap = heap_add(test);
	struct dma_buf *dmabuf;
	int ret;

	ret = dev_coherent_heap_set_mask(heap, DMA_BIT_MASK(28));
	if (ret == -EIO) {
		dev_coherent_heap_remove(heap, false);
		kunit_skip(test, "memory begins above 256 MiB");
	}
	KUNIT_EXPECT_EQ(test, 0, ret);
	dmabuf = dev_coherent_heap_alloc(heap, SZ_256M + PAGE_SIZE, O_RDWR);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(dmabuf), -ENOMEM);
	dev_coherent_heap_remove(heap, false);
}

static void heap_mask_is_locked(struct kunit *test)
{
	struct dev_coherent_heap *heap = heap_add(test);
	struct dma_buf *dmabuf = heap_alloc(test, heap, PAGE_SIZE);

	KUNIT_EXPECT_EQ(test, -EBUSY,
			dev_coherent_heap_set_mask(heap, DMA_BIT_MASK(64)));
	dma_buf_put(dmabuf);
	flush_delayed_fput();
	KUNIT_EXPECT_EQ(test, 0,
			dev_coherent_heap_set_mask(heap, DMA_BIT_MASK(64)));
	dev_coherent_heap_remove(heap, false);
}

static void heap_maps_for_owner(struct kunit *test)
{
	struct dev_coherent_heap *heap = heap_add(test);
	struct dma_buf *dmabuf = heap_alloc(test, heap, SZ_64K);
	struct dma_buf_attachment *attach;
	struct sg_table *sgt;

	attach = dma_buf_attach(dmabuf, test->priv);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	KUNIT_EXPECT_TRUE(test, attach->coherent);

	sgt = dma_buf_map_attachment_unlocked(attach, DMA_BIDIRECTIONAL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, sgt);
	KUNIT_EXPECT_EQ(test, sgt->nents, 1);
	KUNIT_EXPECT_EQ(test, sg_dma_len(sgt->sgl), SZ_64K);
	KUNIT_EXPECT_LE(test, sg_dma_address(sgt->sgl) + SZ_64K - 1,
			DMA_BIT_MASK(32));
	dma_buf_unmap_attachment_unlocked(attach, sgt, DMA_BIDIRECTIONAL);
	dma_buf_detach(dmabuf, attach);
	dma_buf_put(dmabuf);
	flush_delayed_fput();
	dev_coherent_heap_remove(heap, false);
}

static void heap_refuses_static_importer(struct kunit *test)
{
	struct dev_coherent_heap *heap = heap_add(test);
	struct dma_buf *dmabuf = heap_alloc(test, heap, PAGE_SIZE);
	struct device *other = heap_device(test, "other-device");
	struct dma_buf_attachment *attach;

	attach = dma_buf_attach(dmabuf, other);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(attach), -EOPNOTSUPP);
	dma_buf_put(dmabuf);
	flush_delayed_fput();
	dev_coherent_heap_remove(heap, false);
}

static int other_start(struct dma_buf_importer *imp)
{
	return 0;
}

static int other_stop(struct dma_buf_importer *imp)
{
	return 0;
}

static const struct dma_buf_importer_ops other_ops = {
	.start = other_start,
	.stop = other_stop,
};

/* An open file of an importer whose device is not the heap's. */
static struct dma_buf_importer *heap_other(struct kunit *test,
					   struct device *other,
					   struct dma_buf_importer_file *f)
{
	struct dma_buf_importer *imp;

	imp = kunit_kzalloc(test, sizeof(*imp), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, imp);
	dma_buf_importer_init(imp, other, &other_ops);
	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(f, imp));
	return imp;
}

static void heap_revokes_other_importer(struct kunit *test)
{
	struct dev_coherent_heap *heap = heap_add(test);
	struct dma_buf *dmabuf = heap_alloc(test, heap, PAGE_SIZE);
	struct device *other = heap_device(test, "other-device");
	struct dma_buf_get_dma_addr arg = { };
	struct dma_buf_importer_file f;
	struct dma_buf_importer *imp;

	imp = heap_other(test, other, &f);
	KUNIT_EXPECT_EQ(test, 0, dma_buf_importer_get(&f, dmabuf, &arg));
	KUNIT_EXPECT_EQ(test, arg.len, PAGE_SIZE);

	/* waits for the other device, which lets go by itself */
	dev_coherent_heap_remove(heap, false);
	flush_delayed_work(&imp->revoke_work);
	KUNIT_EXPECT_EQ(test, imp->nr_live, 0);
	KUNIT_EXPECT_EQ(test, -ENODEV, dma_buf_importer_get(&f, dmabuf, &arg));
	KUNIT_EXPECT_EQ(test, 0, dma_buf_importer_put(&f, dmabuf));
	KUNIT_EXPECT_EQ(test, -ENODEV, dma_buf_importer_get(&f, dmabuf, &arg));

	dma_buf_importer_file_close(&f);
	KUNIT_EXPECT_EQ(test, 0, dma_buf_importer_kill(imp));
	dma_buf_put(dmabuf);
}

static void heap_refuses_incoherent_importer(struct kunit *test)
{
	struct dev_coherent_heap *heap = heap_add(test);
	struct dma_buf *dmabuf = heap_alloc(test, heap, PAGE_SIZE);
	struct device *other = heap_device(test, "other-device");
	struct dma_buf_get_dma_addr arg = { };
	struct dma_buf_importer_file f;
	struct dma_buf_importer *imp;

	imp = heap_other(test, other, &f);
	dev_clear_dma_coherent(other);
	if (dev_is_dma_coherent(other))
		kunit_mark_skipped(test, "no device is anything but coherent");
	else
		KUNIT_EXPECT_EQ(test, -EOPNOTSUPP,
				dma_buf_importer_get(&f, dmabuf, &arg));

	dma_buf_importer_file_close(&f);
	KUNIT_EXPECT_EQ(test, 0, dma_buf_importer_kill(imp));
	dma_buf_put(dmabuf);
	flush_delayed_fput();
	dev_coherent_heap_remove(heap, false);
}

static void heap_buffer_outlives_heap(struct kunit *test)
{
	struct dev_coherent_heap *heap = heap_add(test);
	struct dma_buf *dmabuf = heap_alloc(test, heap, PAGE_SIZE);
	struct dma_buf_attachment *attach;
	struct sg_table *sgt;

	dev_coherent_heap_remove(heap, false);

	KUNIT_EXPECT_STREQ(test, dmabuf->exp_name, HEAP_NAME);
	attach = dma_buf_attach(dmabuf, test->priv);
	if (!IS_ERR(attach)) {
		sgt = dma_buf_map_attachment_unlocked(attach, DMA_BIDIRECTIONAL);
		KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(sgt), -ENODEV);
		dma_buf_detach(dmabuf, attach);
	} else {
		KUNIT_EXPECT_EQ(test, PTR_ERR(attach), -ENODEV);
	}
	dma_buf_put(dmabuf);
}

static void never_lets_go(struct dma_buf_attachment *attach)
{
}

static const struct dma_buf_attach_ops stubborn_ops = {
	.invalidate_mappings = never_lets_go,
};

static struct sg_table *stubborn_map(struct dma_buf_attachment *attach)
{
	struct sg_table *sgt;

	dma_resv_lock(attach->dmabuf->resv, NULL);
	sgt = dma_buf_map_attachment(attach, DMA_BIDIRECTIONAL);
	dma_resv_unlock(attach->dmabuf->resv);
	return sgt;
}

/* Nobody blocks an unbind for ever; what is still in use is lost. */
static void heap_removal_is_bounded(struct kunit *test)
{
	struct dev_coherent_heap *heap = heap_add(test);
	struct device *other = heap_device(test, "other-device");
	struct dma_buf_attachment *attach[2];
	struct dma_buf *dmabuf[2];
	struct sg_table *sgt[2];
	struct page *page;
	dma_addr_t addr;
	int i;

	for (i = 0; i < 2; i++) {
		dmabuf[i] = heap_alloc(test, heap, PAGE_SIZE);
		attach[i] = dma_buf_dynamic_attach(dmabuf[i], other,
						   &stubborn_ops, test);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach[i]);
		sgt[i] = stubborn_map(attach[i]);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, sgt[i]);
	}

	dev_coherent_heap_remove(heap, false);

	for (i = 0; i < 2; i++) {
		addr = sg_dma_address(sgt[i]->sgl);
		page = pfn_to_page(PHYS_PFN(dma_to_phys(other, addr)));
		KUNIT_EXPECT_EQ(test, page_count(page), 1);
		dma_buf_unmap_attachment_unlocked(attach[i], sgt[i],
						  DMA_BIDIRECTIONAL);
		KUNIT_EXPECT_EQ(test, -ENODEV,
				PTR_ERR_OR_ZERO(stubborn_map(attach[i])));
		dma_buf_detach(dmabuf[i], attach[i]);
		dma_buf_put(dmabuf[i]);
		flush_delayed_fput();
		KUNIT_EXPECT_EQ(test, page_count(page), 1);

		dma_free_coherent(test->priv, PAGE_SIZE, page_address(page),
				  phys_to_dma(test->priv, page_to_phys(page)));
	}
}

static void maps_again_when_told(struct dma_buf_attachment *attach)
{
	struct sg_table *sgt = dma_buf_map_attachment(attach, DMA_BIDIRECTIONAL);
	int *ret = attach->importer_priv;

	*ret = PTR_ERR_OR_ZERO(sgt);
	if (!*ret)
		dma_buf_unmap_attachment(attach, sgt, DMA_BIDIRECTIONAL);
}

static const struct dma_buf_attach_ops persistent_ops = {
	.invalidate_mappings = maps_again_when_told,
};

/* Who lets go when told so must not be given the memory once more. */
static void heap_is_revoked_before_it_tells(struct kunit *test)
{
	struct dev_coherent_heap *heap = heap_add(test);
	struct dma_buf *dmabuf = heap_alloc(test, heap, PAGE_SIZE);
	struct device *other = heap_device(test, "other-device");
	struct dma_buf_attachment *attach;
	int ret = 1;

	attach = dma_buf_dynamic_attach(dmabuf, other, &persistent_ops, &ret);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);

	dev_coherent_heap_remove(heap, false);
	KUNIT_EXPECT_EQ(test, ret, -ENODEV);

	dma_buf_detach(dmabuf, attach);
	dma_buf_put(dmabuf);
}

/* A device that does not reach the memory has no use for it. */
static void heap_refuses_importer_out_of_reach(struct kunit *test)
{
	struct dev_coherent_heap *heap = heap_add(test);
	struct dma_buf *dmabuf = heap_alloc(test, heap, PAGE_SIZE);
	struct device *other = heap_device(test, "other-device");
	struct dma_buf_attachment *attach;
	int ret = 1;

	*other->dma_mask = DMA_BIT_MASK(12);
	attach = dma_buf_dynamic_attach(dmabuf, other, &persistent_ops, &ret);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(attach), -EOPNOTSUPP);
	if (!IS_ERR(attach))
		dma_buf_detach(dmabuf, attach);

	dma_buf_put(dmabuf);
	flush_delayed_fput();
	dev_coherent_heap_remove(heap, false);
}

/* A device that cannot be stopped may go on to use the memory. */
static void heap_leaks_on_demand(struct kunit *test)
{
	struct dev_coherent_heap *heap = heap_add(test);
	struct dma_buf *dmabuf = heap_alloc(test, heap, PAGE_SIZE);
	struct dma_buf_attachment *attach;
	struct sg_table *sgt;
	struct page *page;
	dma_addr_t addr;

	attach = dma_buf_attach(dmabuf, test->priv);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attach);
	sgt = dma_buf_map_attachment_unlocked(attach, DMA_BIDIRECTIONAL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, sgt);
	addr = sg_dma_address(sgt->sgl);
	page = pfn_to_page(PHYS_PFN(dma_to_phys(test->priv, addr)));
	dma_buf_unmap_attachment_unlocked(attach, sgt, DMA_BIDIRECTIONAL);
	dma_buf_detach(dmabuf, attach);
	KUNIT_EXPECT_EQ(test, page_count(page), 1);

	dev_coherent_heap_remove(heap, true);
	KUNIT_EXPECT_EQ(test, page_count(page), 1);
	dma_buf_put(dmabuf);
	flush_delayed_fput();
	KUNIT_EXPECT_EQ(test, page_count(page), 1);

	/* this one does no DMA */
	dma_free_coherent(test->priv, PAGE_SIZE, page_address(page), addr);
}

static int heap_test_init(struct kunit *test)
{
	test->priv = heap_device(test, "owner-device");
	return 0;
}

static struct kunit_case heap_test_cases[] = {
	KUNIT_CASE(heap_name_is_reusable),
	KUNIT_CASE(heap_name_is_unique),
	KUNIT_CASE(heap_without_what_it_needs),
	KUNIT_CASE(heap_minors_run_out),
	KUNIT_CASE(heap_limits),
	KUNIT_CASE(heap_limit_of_mask),
	KUNIT_CASE(heap_mask_is_locked),
	KUNIT_CASE(heap_maps_for_owner),
	KUNIT_CASE(heap_refuses_static_importer),
	KUNIT_CASE(heap_revokes_other_importer),
	KUNIT_CASE(heap_refuses_incoherent_importer),
	KUNIT_CASE(heap_buffer_outlives_heap),
	KUNIT_CASE_SLOW(heap_removal_is_bounded),
	KUNIT_CASE(heap_is_revoked_before_it_tells),
	KUNIT_CASE(heap_refuses_importer_out_of_reach),
	KUNIT_CASE(heap_leaks_on_demand),
	{ }
};

static struct kunit_suite heap_test_suite = {
	.name = "dev_coherent_heap",
	.init = heap_test_init,
	.test_cases = heap_test_cases,
};

kunit_test_suite(heap_test_suite);

MODULE_DESCRIPTION("KUnit tests for heaps of a device's coherent memory");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
MODULE_IMPORT_NS("DMA_BUF_HEAP");
