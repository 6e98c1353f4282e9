// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests for importing dma-bufs on behalf of an open file
 *
 * Exporter and device are made up. The exporter gives what segments a test
 * asks for; both write down in which order they are called.
 */

#include <kunit/device.h>
#include <kunit/test.h>
#include <linux/dma-buf.h>
#include <linux/dma-buf-importer.h>
#include <linux/dma-fence.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/scatterlist.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include <uapi/linux/dma-buf.h>

#define MAX_EVENTS	64
#define MAX_SEGS	8

/*
 * What happened, one letter each: start, halt, map, unmap, halt refused (x),
 * reset, reset refused (n), reset by kill
 */
struct event_log {
	char events[MAX_EVENTS];
	unsigned int nr;
};

struct fake_seg {
	dma_addr_t addr;
	unsigned int len;
};

struct fake_exporter {
	struct event_log *log;
	struct fake_seg segs[MAX_SEGS];
	unsigned int nr_segs;
	int attach_err;
	int pin_err;
	int map_err;
	bool revoke_at_once;
	bool coherent;
	unsigned int nr_mapped;
	enum dma_data_direction dir;
	bool *released;
};

struct importer_test {
	char name[32];
	struct dma_buf_importer imp;
	struct device *dev;
	struct event_log log;
	int start_err;
	int stop_err;
	int reset_err;
};

static void log_event(struct event_log *log, char event)
{
	if (log->nr < MAX_EVENTS - 1)
		log->events[log->nr++] = event;
}

static void expect_events(struct kunit *test, const char *events)
{
	struct importer_test *t = test->priv;

	KUNIT_EXPECT_STREQ(test, t->log.events, events);
	memset(&t->log, 0, sizeof(t->log));
}

static int fake_attach(struct dma_buf *dmabuf,
		       struct dma_buf_attachment *attachment)
{
	struct fake_exporter *exp = dmabuf->priv;

	attachment->coherent = exp->coherent;
	if (exp->revoke_at_once) {
		dma_resv_lock(dmabuf->resv, NULL);
		attachment->importer_ops->invalidate_mappings(attachment);
		dma_resv_unlock(dmabuf->resv);
	}
	return exp->attach_err;
}

static int fake_pin(struct dma_buf_attachment *attachment)
{
	struct fake_exporter *exp = attachment->dmabuf->priv;

	return exp->pin_err;
}

static void fake_unpin(struct dma_buf_attachment *attachment)
{
}

static struct sg_table *fake_map(struct dma_buf_attachment *attachment,
				 enum dma_data_direction dir)
{
	struct fake_exporter *exp = attachment->dmabuf->priv;
	struct scatterlist *sg;
	struct sg_table *sgt;
	int i;

	if (exp->map_err)
		return ERR_PTR(exp->map_err);

	sgt = kzalloc_obj(*sgt);
	if (!sgt)
		return ERR_PTR(-ENOMEM);
	if (sg_alloc_table(sgt, exp->nr_segs, GFP_KERNEL)) {
		kfree(sgt);
		return ERR_PTR(-ENOMEM);
	}
	for_each_sgtable_dma_sg(sgt, sg, i) {
		sg_dma_address(sg) = exp->segs[i].addr;
		sg_dma_len(sg) = exp->segs[i].len;
	}
	exp->nr_mapped++;
	exp->dir = dir;
	log_event(exp->log, 'm');
	return sgt;
}

static void fake_unmap(struct dma_buf_attachment *attachment,
		       struct sg_table *sgt, enum dma_data_direction dir)
{
	struct fake_exporter *exp = attachment->dmabuf->priv;

	sg_free_table(sgt);
	kfree(sgt);
	exp->nr_mapped--;
	log_event(exp->log, 'u');
}

static void fake_release(struct dma_buf *dmabuf)
{
	struct fake_exporter *exp = dmabuf->priv;

	if (exp->released)
		*exp->released = true;
	kfree(exp);
}

static const struct dma_buf_ops fake_dma_buf_ops = {
	.attach = fake_attach,
	.pin = fake_pin,
	.unpin = fake_unpin,
	.map_dma_buf = fake_map,
	.unmap_dma_buf = fake_unmap,
	.release = fake_release,
};

static void fake_put(void *dmabuf)
{
	dma_buf_put(dmabuf);
}

static struct dma_buf *fake_buffer(struct kunit *test, size_t size,
				   const struct fake_seg *segs,
				   unsigned int nr_segs)
{
	struct importer_test *t = test->priv;
	DEFINE_DMA_BUF_EXPORT_INFO(exp_info);
	struct fake_exporter *exp;
	struct dma_buf *dmabuf;

	exp = kzalloc_obj(*exp);
	KUNIT_ASSERT_NOT_NULL(test, exp);
	exp->log = &t->log;
	exp->nr_segs = nr_segs;
	memcpy(exp->segs, segs, nr_segs * sizeof(*segs));

	exp_info.ops = &fake_dma_buf_ops;
	exp_info.size = size;
	exp_info.flags = O_RDWR;
	exp_info.priv = exp;
	dmabuf = dma_buf_export(&exp_info);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dmabuf);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, fake_put, dmabuf));
	return dmabuf;
}

static struct dma_buf *fake_page(struct kunit *test, dma_addr_t addr)
{
	struct fake_seg seg = { .addr = addr, .len = SZ_4K };

	return fake_buffer(test, SZ_4K, &seg, 1);
}

static struct fake_exporter *to_exporter(struct dma_buf *dmabuf)
{
	return dmabuf->priv;
}

static int fake_start(struct dma_buf_importer *imp)
{
	struct importer_test *t = container_of(imp, struct importer_test, imp);

	log_event(&t->log, 's');
	return t->start_err;
}

static int fake_stop(struct dma_buf_importer *imp)
{
	struct importer_test *t = container_of(imp, struct importer_test, imp);

	log_event(&t->log, t->stop_err ? 'x' : 'h');
	return t->stop_err;
}

static int fake_reset(struct dma_buf_importer *imp, bool killed)
{
	struct importer_test *t = container_of(imp, struct importer_test, imp);

	log_event(&t->log, t->reset_err ? 'n' : killed ? 'k' : 'r');
	return t->reset_err;
}

static const struct dma_buf_importer_ops fake_importer_ops = {
	.start = fake_start,
	.stop = fake_stop,
};

static const struct dma_buf_importer_ops fake_importer_reset_ops = {
	.start = fake_start,
	.stop = fake_stop,
	.reset = fake_reset,
};

static int get_flags(struct dma_buf_importer_file *f, struct dma_buf *dmabuf,
		     u64 offset, u32 flags, struct dma_buf_get_dma_addr *arg)
{
	*arg = (struct dma_buf_get_dma_addr) {
		.flags = flags,
		.offset = offset,
	};
	return dma_buf_importer_get(f, dmabuf, arg);
}

static int get(struct dma_buf_importer_file *f, struct dma_buf *dmabuf)
{
	struct dma_buf_get_dma_addr arg;

	return get_flags(f, dmabuf, 0, 0, &arg);
}

static void expect_addr(struct kunit *test, struct dma_buf_importer_file *f,
			struct dma_buf *dmabuf, u64 offset, u64 addr, u64 len)
{
	struct dma_buf_get_dma_addr arg;

	KUNIT_ASSERT_EQ(test, 0, get_flags(f, dmabuf, offset, 0, &arg));
	KUNIT_EXPECT_EQ(test, arg.dma_addr, addr);
	KUNIT_EXPECT_EQ(test, arg.len, len);
}

static void importer_segments(struct kunit *test)
{
	static const struct fake_seg segs[] = {
		{ 0x10000, SZ_4K },	/* these two are neighbours */
		{ 0x11000, SZ_8K },
		{ 0x30000, 0 },
		{ 0x40000, SZ_4K },
		{ 0x20000, SZ_4K },	/* not in order of address */
	};
	struct importer_test *t = test->priv;
	struct dma_buf_importer_file f;
	struct dma_buf *dmabuf = fake_buffer(test, 5 * SZ_4K, segs,
					     ARRAY_SIZE(segs));
	int i;

	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));

	/* forwards, backwards and across, so that no cursor helps */
	for (i = 0; i < 2; i++) {
		expect_addr(test, &f, dmabuf, 0, 0x10000, 3 * SZ_4K);
		expect_addr(test, &f, dmabuf, 0xfff, 0x10fff, 0x2001);
		expect_addr(test, &f, dmabuf, 0x1000, 0x11000, SZ_8K);
		expect_addr(test, &f, dmabuf, 0x2fff, 0x12fff, 1);
		expect_addr(test, &f, dmabuf, 0x3000, 0x40000, SZ_4K);
		expect_addr(test, &f, dmabuf, 0x3fff, 0x40fff, 1);
		expect_addr(test, &f, dmabuf, 0x4000, 0x20000, SZ_4K);
		expect_addr(test, &f, dmabuf, 0x4fff, 0x20fff, 1);
		expect_addr(test, &f, dmabuf, 0x3001, 0x40001, SZ_4K - 1);
		expect_addr(test, &f, dmabuf, 0x4001, 0x20001, SZ_4K - 1);
	}
	expect_events(test, "ms");
	dma_buf_importer_file_close(&f);
}

static void importer_segment_beyond_size(struct kunit *test)
{
	static const struct fake_seg segs[] = {
		{ 0x10000, SZ_8K }, { 0x40000, SZ_4K },
	};
	struct importer_test *t = test->priv;
	struct dma_buf_importer_file f;
	struct dma_buf *dmabuf = fake_buffer(test, SZ_4K, segs, 2);

	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	expect_addr(test, &f, dmabuf, 0, 0x10000, SZ_4K);
	dma_buf_importer_file_close(&f);
}

static void importer_segment_too_short(struct kunit *test)
{
	struct fake_seg seg = { .addr = 0x10000, .len = SZ_4K };
	struct importer_test *t = test->priv;
	struct dma_buf_importer_file f;
	struct dma_buf *dmabuf = fake_buffer(test, SZ_8K, &seg, 1);

	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, get(&f, dmabuf));
	expect_events(test, "mu");
	dma_buf_importer_file_close(&f);
}

static void importer_segment_overflow(struct kunit *test)
{
	struct fake_seg wraps = { .addr = (dma_addr_t)-SZ_4K, .len = SZ_8K };
	struct fake_seg ends[] = {
		{ .addr = (dma_addr_t)-SZ_4K, .len = SZ_4K },
		{ .addr = 0, .len = SZ_4K },
	};
	struct importer_test *t = test->priv;
	struct dma_buf_importer_file f;
	struct dma_buf *dmabuf;

	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));

	dmabuf = fake_buffer(test, SZ_8K, &wraps, 1);
	KUNIT_EXPECT_EQ(test, -EOPNOTSUPP, get(&f, dmabuf));

	/* up to the end of the address space, and not beyond it to 0 */
	dmabuf = fake_buffer(test, SZ_8K, ends, 2);
	expect_addr(test, &f, dmabuf, 0, (dma_addr_t)-SZ_4K, SZ_4K);
	expect_addr(test, &f, dmabuf, SZ_4K, 0, SZ_4K);
	dma_buf_importer_file_close(&f);
}

static void importer_get_is_idempotent(struct kunit *test)
{
	struct importer_test *t = test->priv;
	struct dma_buf_importer_file f;
	struct dma_buf *dmabuf = fake_page(test, 0x10000);
	struct dma_buf_get_dma_addr arg = { };
	int i;

	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	KUNIT_EXPECT_EQ(test, -ENOENT, dma_buf_importer_lookup(&f, dmabuf, &arg));
	for (i = 0; i < 100; i++)
		expect_addr(test, &f, dmabuf, 0, 0x10000, SZ_4K);
	KUNIT_EXPECT_EQ(test, 0, dma_buf_importer_lookup(&f, dmabuf, &arg));
	KUNIT_EXPECT_EQ(test, arg.dma_addr, 0x10000);
	expect_events(test, "ms");

	KUNIT_EXPECT_EQ(test, 0, dma_buf_importer_put(&f, dmabuf));
	expect_events(test, "hu");
	KUNIT_EXPECT_EQ(test, -ENOENT, dma_buf_importer_put(&f, dmabuf));
	expect_events(test, "");

	/* and again */
	expect_addr(test, &f, dmabuf, 0, 0x10000, SZ_4K);
	expect_events(test, "ms");
	dma_buf_importer_file_close(&f);
	expect_events(test, "hu");
}

static void importer_direction(struct kunit *test)
{
	static const struct {
		u32 flags, out;
		enum dma_data_direction dir;
	} cases[] = {
		{ DMA_BUF_DMA_TO_DEVICE, DMA_BUF_DMA_TO_DEVICE, DMA_TO_DEVICE },
		{ DMA_BUF_DMA_FROM_DEVICE, DMA_BUF_DMA_FROM_DEVICE,
		  DMA_FROM_DEVICE },
		{ 0, DMA_BUF_DMA_TO_DEVICE | DMA_BUF_DMA_FROM_DEVICE,
		  DMA_BIDIRECTIONAL },
		{ DMA_BUF_DMA_TO_DEVICE | DMA_BUF_DMA_FROM_DEVICE,
		  DMA_BUF_DMA_TO_DEVICE | DMA_BUF_DMA_FROM_DEVICE,
		  DMA_BIDIRECTIONAL },
	};
	struct importer_test *t = test->priv;
	struct dma_buf *dmabuf = fake_page(test, 0x10000);
	struct dma_buf_importer_file f;
	struct dma_buf_get_dma_addr arg;
	int i, j;

	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		for (j = 0; j < ARRAY_SIZE(cases); j++) {
			int want = 0;

			if (cases[i].dir != cases[j].dir)
				want = -EBUSY;
			KUNIT_EXPECT_EQ(test, 0,
					get_flags(&f, dmabuf, 0, cases[i].flags, &arg));
			KUNIT_EXPECT_EQ(test, arg.flags & ~DMA_BUF_DMA_COHERENT,
					cases[i].out);
			KUNIT_EXPECT_EQ(test, to_exporter(dmabuf)->dir,
					cases[i].dir);
			KUNIT_EXPECT_EQ(test, want,
					get_flags(&f, dmabuf, 0, cases[j].flags, &arg));
			KUNIT_EXPECT_EQ(test, 0, dma_buf_importer_put(&f, dmabuf));
		}
	}
	dma_buf_importer_file_close(&f);
}

static void importer_coherent(struct kunit *test)
{
	struct importer_test *t = test->priv;
	struct dma_buf *dmabuf = fake_page(test, 0x10000);
	struct dma_buf_importer_file f;
	struct dma_buf_get_dma_addr arg;

	to_exporter(dmabuf)->coherent = true;
	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	KUNIT_EXPECT_EQ(test, 0, get_flags(&f, dmabuf, 0, DMA_BUF_DMA_COHERENT,
					   &arg));
	KUNIT_EXPECT_TRUE(test, arg.flags & DMA_BUF_DMA_COHERENT);
	dma_buf_importer_file_close(&f);
}

static void importer_errors(struct kunit *test)
{
	static const struct { int err, want; } cases[] = {
		{ -ENOMEM, -ENOMEM }, { -ENODEV, -ENODEV }, { -EINTR, -EINTR },
		{ -ERESTARTSYS, -EINTR }, { -EIO, -EOPNOTSUPP },
		{ -EBUSY, -EOPNOTSUPP }, { -ENOTTY, -EOPNOTSUPP },
		{ -ENOENT, -EOPNOTSUPP }, { -EINVAL, -EOPNOTSUPP },
	};
	struct importer_test *t = test->priv;
	struct dma_buf *dmabuf = fake_page(test, 0x10000);
	struct fake_exporter *exp = to_exporter(dmabuf);
	struct dma_buf_importer_file f;
	int i;

	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		exp->attach_err = cases[i].err;
		KUNIT_EXPECT_EQ(test, cases[i].want, get(&f, dmabuf));
		exp->attach_err = 0;
		exp->pin_err = cases[i].err;
		KUNIT_EXPECT_EQ(test, cases[i].want, get(&f, dmabuf));
		exp->pin_err = 0;
		exp->map_err = cases[i].err;
		KUNIT_EXPECT_EQ(test, cases[i].want, get(&f, dmabuf));
		exp->map_err = 0;
	}
	expect_events(test, "");
	KUNIT_EXPECT_EQ(test, 0, get(&f, dmabuf));
	dma_buf_importer_file_close(&f);
}

static const char *fake_fence_name(struct dma_fence *fence)
{
	return "fake";
}

static const struct dma_fence_ops fake_fence_ops = {
	.get_driver_name = fake_fence_name,
	.get_timeline_name = fake_fence_name,
};

/* The kernel may still be moving what the buffer holds. */
static void importer_waits_for_fence(struct kunit *test)
{
	static DEFINE_SPINLOCK(lock);
	struct importer_test *t = test->priv;
	struct dma_buf *dmabuf = fake_page(test, 0x10000);
	struct dma_buf_importer_file f;
	struct dma_fence *fence;

	fence = kzalloc_obj(*fence);
	KUNIT_ASSERT_NOT_NULL(test, fence);
	dma_fence_init(fence, &fake_fence_ops, &lock,
		       dma_fence_context_alloc(1), 1);
	dma_resv_lock(dmabuf->resv, NULL);
	KUNIT_EXPECT_EQ(test, 0, dma_resv_reserve_fences(dmabuf->resv, 1));
	dma_resv_add_fence(dmabuf->resv, fence, DMA_RESV_USAGE_KERNEL);
	dma_resv_unlock(dmabuf->resv);

	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	set_thread_flag(TIF_SIGPENDING);
	KUNIT_EXPECT_EQ(test, -EINTR, get(&f, dmabuf));
	clear_thread_flag(TIF_SIGPENDING);
	expect_events(test, "");

	dma_fence_signal(fence);
	dma_fence_put(fence);
	KUNIT_EXPECT_EQ(test, 0, get(&f, dmabuf));
	expect_events(test, "ms");
	dma_buf_importer_file_close(&f);
}

static void importer_start_fails(struct kunit *test)
{
	struct importer_test *t = test->priv;
	struct dma_buf *dmabuf = fake_page(test, 0x10000);
	struct dma_buf_importer_file f;

	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	t->start_err = -EINVAL;
	KUNIT_EXPECT_EQ(test, -EIO, get(&f, dmabuf));
	expect_events(test, "msu");
	t->start_err = 0;
	KUNIT_EXPECT_EQ(test, 0, get(&f, dmabuf));
	expect_events(test, "ms");
	dma_buf_importer_file_close(&f);
}

static void importer_bounded(struct kunit *test)
{
	struct importer_test *t = test->priv;
	struct dma_buf *a = fake_page(test, 0x10000);
	struct dma_buf *b = fake_page(test, 0x20000);
	struct dma_buf_importer_file f;

	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));

	/* as if that many were parked and waited for the device */
	t->imp.nr_parked = 65535;
	KUNIT_EXPECT_EQ(test, 0, get(&f, a));
	KUNIT_EXPECT_EQ(test, -ENOMEM, get(&f, b));
	KUNIT_EXPECT_EQ(test, 0, get(&f, a));
	expect_events(test, "ms");
	t->imp.nr_parked = 0;
	KUNIT_EXPECT_EQ(test, 0, get(&f, b));
	dma_buf_importer_file_close(&f);
}

static void importer_close_last(struct kunit *test)
{
	struct importer_test *t = test->priv;
	struct dma_buf *a = fake_page(test, 0x10000);
	struct dma_buf *b = fake_page(test, 0x20000);
	struct dma_buf_importer_file f;

	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	KUNIT_EXPECT_EQ(test, 0, get(&f, a));
	KUNIT_EXPECT_EQ(test, 0, get(&f, b));
	expect_events(test, "msm");
	dma_buf_importer_file_close(&f);
	expect_events(test, "huu");

	/* stopped at the last close even if it was never started */
	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	dma_buf_importer_file_close(&f);
	expect_events(test, "h");
}

static void importer_close_parks(struct kunit *test)
{
	struct importer_test *t = test->priv;
	struct dma_buf *a = fake_page(test, 0x10000);
	struct dma_buf *b = fake_page(test, 0x20000);
	struct dma_buf_importer_file f, g, idle;

	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&g, &t->imp));
	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&idle, &t->imp));
	KUNIT_EXPECT_EQ(test, 0, get(&f, a));
	KUNIT_EXPECT_EQ(test, 0, get(&g, b));
	expect_events(test, "msm");

	/* the other file still drives the device */
	dma_buf_importer_file_close(&f);
	expect_events(test, "");
	KUNIT_EXPECT_EQ(test, to_exporter(a)->nr_mapped, 1);
	KUNIT_EXPECT_EQ(test, -EBUSY, dma_buf_importer_lock_idle(&t->imp));

	/* now it does not, though a file is open */
	KUNIT_EXPECT_EQ(test, 0, dma_buf_importer_put(&g, b));
	expect_events(test, "huu");
	KUNIT_EXPECT_EQ(test, 0, dma_buf_importer_lock_idle(&t->imp));
	dma_buf_importer_unlock(&t->imp);

	dma_buf_importer_file_close(&g);
	expect_events(test, "");
	dma_buf_importer_file_close(&idle);
	expect_events(test, "h");
}

static void importer_reset_at_last_close(struct kunit *test)
{
	struct importer_test *t = test->priv;
	struct dma_buf *a = fake_page(test, 0x10000);
	struct dma_buf_importer_file f, g;

	t->imp.ops = &fake_importer_reset_ops;

	/* not when all is given back */
	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	KUNIT_EXPECT_EQ(test, 0, get(&f, a));
	KUNIT_EXPECT_EQ(test, 0, dma_buf_importer_put(&f, a));
	dma_buf_importer_file_close(&f);
	expect_events(test, "mshuh");

	/* not while somebody else has the device open */
	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&g, &t->imp));
	KUNIT_EXPECT_EQ(test, 0, get(&f, a));
	dma_buf_importer_file_close(&f);
	expect_events(test, "mshu");
	dma_buf_importer_file_close(&g);
	expect_events(test, "hr");

	/* once is enough */
	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	dma_buf_importer_file_close(&f);
	expect_events(test, "h");
}

static void importer_reset_is_retried(struct kunit *test)
{
	struct importer_test *t = test->priv;
	struct dma_buf *a = fake_page(test, 0x10000);
	struct dma_buf_importer_file f, g;

	t->imp.ops = &fake_importer_reset_ops;
	t->reset_err = -EAGAIN;
	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	KUNIT_EXPECT_EQ(test, 0, get(&f, a));
	dma_buf_importer_file_close(&f);
	expect_events(test, "mshun");

	/* a failure denies nobody the device */
	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	expect_events(test, "n");
	dma_buf_importer_file_close(&f);
	expect_events(test, "hn");

	t->reset_err = 0;
	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	expect_events(test, "r");
	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&g, &t->imp));
	dma_buf_importer_file_close(&g);
	dma_buf_importer_file_close(&f);
	expect_events(test, "h");
}

static void importer_reset_needs_stop(struct kunit *test)
{
	struct importer_test *t = test->priv;
	struct dma_buf *a = fake_page(test, 0x10000);
	struct dma_buf_importer_file f;

	t->imp.ops = &fake_importer_reset_ops;
	t->stop_err = -EBUSY;
	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	KUNIT_EXPECT_EQ(test, 0, get(&f, a));
	dma_buf_importer_file_close(&f);
	expect_events(test, "msx");
	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	expect_events(test, "");

	t->stop_err = 0;
	dma_buf_importer_file_close(&f);
	expect_events(test, "hur");
}

static void importer_reset_at_kill(struct kunit *test)
{
	struct importer_test *t = test->priv;
	struct dma_buf *a = fake_page(test, 0x10000);
	struct dma_buf_importer_file f;

	t->imp.ops = &fake_importer_reset_ops;
	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	KUNIT_EXPECT_EQ(test, 0, get(&f, a));
	expect_events(test, "ms");
	KUNIT_EXPECT_EQ(test, 0, dma_buf_importer_kill(&t->imp));
	expect_events(test, "hku");
	dma_buf_importer_file_close(&f);
	expect_events(test, "");
}

static void importer_put_one_of_two(struct kunit *test)
{
	struct importer_test *t = test->priv;
	struct dma_buf *a = fake_page(test, 0x10000);
	struct dma_buf *b = fake_page(test, 0x20000);
	struct dma_buf_importer_file f;

	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	KUNIT_EXPECT_EQ(test, 0, get(&f, a));
	KUNIT_EXPECT_EQ(test, 0, get(&f, b));
	KUNIT_EXPECT_EQ(test, 0, dma_buf_importer_put(&f, a));
	expect_events(test, "msmu");
	dma_buf_importer_file_close(&f);
	expect_events(test, "hu");
}

static void importer_kill(struct kunit *test)
{
	struct importer_test *t = test->priv;
	struct dma_buf *a = fake_page(test, 0x10000);
	struct dma_buf *b = fake_page(test, 0x20000);
	struct dma_buf_importer_file f, g, h;
	struct dma_buf_get_dma_addr arg = { };

	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&g, &t->imp));
	KUNIT_EXPECT_EQ(test, 0, get(&f, a));
	KUNIT_EXPECT_EQ(test, 0, get(&g, b));
	dma_buf_importer_file_close(&f);
	expect_events(test, "msm");

	KUNIT_EXPECT_EQ(test, 0, dma_buf_importer_kill(&t->imp));
	expect_events(test, "huu");

	KUNIT_EXPECT_EQ(test, -ENODEV, get(&g, b));
	KUNIT_EXPECT_EQ(test, -ENODEV, dma_buf_importer_lookup(&g, b, &arg));
	KUNIT_EXPECT_EQ(test, -ENODEV, dma_buf_importer_put(&g, b));
	KUNIT_EXPECT_EQ(test, -ENODEV, dma_buf_importer_lock_idle(&t->imp));
	KUNIT_EXPECT_EQ(test, -ENODEV, dma_buf_importer_file_open(&h, &t->imp));
	dma_buf_importer_file_close(&g);
	expect_events(test, "");
}

static void revoke(struct dma_buf *dmabuf)
{
	dma_resv_lock(dmabuf->resv, NULL);
	dma_buf_invalidate_mappings(dmabuf);
	dma_resv_unlock(dmabuf->resv);
}

/* What flush_delayed_work() waits for is the second try if the first is over. */
static void wait_for_first_try(struct importer_test *t)
{
	flush_work(&t->imp.revoke_work.work);
}

/* What the device may still reach stays mapped for ever, and is left alone. */
static void importer_kill_unstopped(struct kunit *test)
{
	struct importer_test *t = test->priv;
	struct dma_buf *a = fake_page(test, 0x10000);
	struct dma_buf *b = fake_page(test, 0x20000);
	struct dma_buf_importer_file f, g;
	long refs = file_count(a->file);

	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&g, &t->imp));
	KUNIT_EXPECT_EQ(test, 0, get(&f, a));
	KUNIT_EXPECT_EQ(test, 0, get(&g, b));
	dma_buf_importer_file_close(&g);
	expect_events(test, "msm");

	t->stop_err = -EBUSY;
	KUNIT_EXPECT_EQ(test, -EBUSY, dma_buf_importer_kill(&t->imp));
	expect_events(test, "x");
	KUNIT_EXPECT_EQ(test, -ENODEV, get(&f, a));
	KUNIT_EXPECT_EQ(test, -ENODEV, dma_buf_importer_put(&f, a));
	revoke(a);
	revoke(b);
	dma_buf_importer_file_close(&f);

	expect_events(test, "");
	KUNIT_EXPECT_EQ(test, to_exporter(a)->nr_mapped, 1);
	KUNIT_EXPECT_EQ(test, to_exporter(b)->nr_mapped, 1);
	KUNIT_EXPECT_EQ(test, refs + 1, file_count(a->file));
	KUNIT_EXPECT_EQ(test, refs + 1, file_count(b->file));
}

static void importer_stop_fails(struct kunit *test)
{
	struct importer_test *t = test->priv;
	struct dma_buf *a = fake_page(test, 0x10000);
	struct dma_buf *b = fake_page(test, 0x20000);
	struct dma_buf_importer_file f, g;

	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	KUNIT_EXPECT_EQ(test, 0, get(&f, a));
	expect_events(test, "ms");

	t->stop_err = -EBUSY;
	KUNIT_EXPECT_EQ(test, -EIO, dma_buf_importer_put(&f, a));
	expect_events(test, "x");
	KUNIT_EXPECT_EQ(test, 0, get(&f, a));
	dma_buf_importer_file_close(&f);
	expect_events(test, "x");
	KUNIT_EXPECT_EQ(test, to_exporter(a)->nr_mapped, 1);
	KUNIT_EXPECT_EQ(test, -EBUSY, dma_buf_importer_lock_idle(&t->imp));

	/* what waits is released as soon as the device has stopped */
	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&g, &t->imp));
	KUNIT_EXPECT_EQ(test, 0, get(&g, b));
	expect_events(test, "m");
	t->stop_err = 0;
	KUNIT_EXPECT_EQ(test, 0, dma_buf_importer_put(&g, b));
	expect_events(test, "huu");
	dma_buf_importer_file_close(&g);
}

static void importer_revoke(struct kunit *test)
{
	struct importer_test *t = test->priv;
	struct dma_buf *a = fake_page(test, 0x10000);
	struct dma_buf *b = fake_page(test, 0x20000);
	struct dma_buf *c = fake_page(test, 0x30000);
	struct dma_buf_importer_file f, g;

	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&g, &t->imp));
	KUNIT_EXPECT_EQ(test, 0, get(&f, a));
	KUNIT_EXPECT_EQ(test, 0, get(&g, a));
	KUNIT_EXPECT_EQ(test, 0, get(&f, b));
	expect_events(test, "msmm");

	/* the work could come between the two mappings */
	mutex_lock(&t->imp.lock);
	revoke(a);
	mutex_unlock(&t->imp.lock);
	flush_delayed_work(&t->imp.revoke_work);
	expect_events(test, "huu");
	KUNIT_EXPECT_EQ(test, -ENODEV, get(&f, a));
	KUNIT_EXPECT_EQ(test, 0, get(&f, b));

	/* stays stopped until both have let go */
	KUNIT_EXPECT_EQ(test, 0, get(&f, c));
	expect_events(test, "m");
	KUNIT_EXPECT_EQ(test, 0, dma_buf_importer_put(&f, a));
	expect_events(test, "");
	dma_buf_importer_file_close(&g);
	expect_events(test, "s");

	dma_buf_importer_file_close(&f);
	expect_events(test, "huu");
}

static void importer_revoke_parked(struct kunit *test)
{
	struct importer_test *t = test->priv;
	struct dma_buf *a = fake_page(test, 0x10000);
	struct dma_buf *b = fake_page(test, 0x20000);
	struct dma_buf_importer_file f, g;

	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&g, &t->imp));
	KUNIT_EXPECT_EQ(test, 0, get(&f, a));
	KUNIT_EXPECT_EQ(test, 0, get(&g, b));
	dma_buf_importer_file_close(&f);
	expect_events(test, "msm");

	/* nobody is left to let go of it */
	revoke(a);
	flush_delayed_work(&t->imp.revoke_work);
	expect_events(test, "hus");
	dma_buf_importer_file_close(&g);
	expect_events(test, "hu");
}

static void importer_revoke_one_by_one(struct kunit *test)
{
	struct importer_test *t = test->priv;
	struct dma_buf *a = fake_page(test, 0x10000);
	struct dma_buf *b = fake_page(test, 0x20000);
	struct dma_buf_importer_file f;

	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	KUNIT_EXPECT_EQ(test, 0, get(&f, a));
	KUNIT_EXPECT_EQ(test, 0, get(&f, b));
	expect_events(test, "msm");
	revoke(a);
	flush_delayed_work(&t->imp.revoke_work);
	expect_events(test, "hu");
	revoke(b);
	flush_delayed_work(&t->imp.revoke_work);
	expect_events(test, "hu");
	KUNIT_EXPECT_EQ(test, 0, dma_buf_importer_put(&f, a));
	KUNIT_EXPECT_EQ(test, 0, dma_buf_importer_put(&f, b));
	expect_events(test, "");
	dma_buf_importer_file_close(&f);
}

static void importer_revoke_at_once(struct kunit *test)
{
	struct importer_test *t = test->priv;
	struct dma_buf *a = fake_page(test, 0x10000);
	struct dma_buf_importer_file f;

	to_exporter(a)->revoke_at_once = true;
	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	KUNIT_EXPECT_EQ(test, -ENODEV, get(&f, a));
	flush_delayed_work(&t->imp.revoke_work);
	expect_events(test, "");
	dma_buf_importer_file_close(&f);
}

/* The exporter waits in vain for a device that cannot be stopped. */
static void importer_revoke_unstopped(struct kunit *test)
{
	struct importer_test *t = test->priv;
	struct dma_buf *a = fake_page(test, 0x10000);
	struct dma_buf_importer_file f;

	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	KUNIT_EXPECT_EQ(test, 0, get(&f, a));
	expect_events(test, "ms");

	t->stop_err = -EBUSY;
	revoke(a);
	wait_for_first_try(t);
	expect_events(test, "x");
	KUNIT_EXPECT_EQ(test, to_exporter(a)->nr_mapped, 1);
	KUNIT_EXPECT_EQ(test, -ENODEV, get(&f, a));

	t->stop_err = 0;
	KUNIT_EXPECT_EQ(test, 0, dma_buf_importer_put(&f, a));
	expect_events(test, "hu");
	dma_buf_importer_file_close(&f);
}

static void importer_revoke_stopped_later(struct kunit *test)
{
	struct importer_test *t = test->priv;
	struct dma_buf *a = fake_page(test, 0x10000);
	struct dma_buf *b = fake_page(test, 0x20000);
	struct dma_buf_importer_file f;

	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	KUNIT_EXPECT_EQ(test, 0, get(&f, a));
	KUNIT_EXPECT_EQ(test, 0, get(&f, b));
	t->stop_err = -EBUSY;
	revoke(a);
	wait_for_first_try(t);
	expect_events(test, "msmx");

	/* it is tried again, without being asked for */
	t->stop_err = 0;
	flush_delayed_work(&t->imp.revoke_work);
	expect_events(test, "hu");
	KUNIT_EXPECT_EQ(test, to_exporter(a)->nr_mapped, 0);

	/* and then the device stays stopped until the buffer is put */
	KUNIT_EXPECT_EQ(test, 0, dma_buf_importer_put(&f, a));
	expect_events(test, "s");
	dma_buf_importer_file_close(&f);
}

static void importer_revoke_and_start_fails(struct kunit *test)
{
	struct importer_test *t = test->priv;
	struct dma_buf *a = fake_page(test, 0x10000);
	struct dma_buf *b = fake_page(test, 0x20000);
	struct dma_buf *c = fake_page(test, 0x30000);
	struct dma_buf_importer_file f;

	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	KUNIT_EXPECT_EQ(test, 0, get(&f, a));
	KUNIT_EXPECT_EQ(test, 0, get(&f, b));
	revoke(b);
	flush_delayed_work(&t->imp.revoke_work);
	expect_events(test, "msmhu");

	t->start_err = -EIO;
	KUNIT_EXPECT_EQ(test, 0, dma_buf_importer_put(&f, b));
	expect_events(test, "s");

	/* the next buffer is the next chance */
	KUNIT_EXPECT_EQ(test, -EIO, get(&f, c));
	expect_events(test, "msu");
	t->start_err = 0;
	KUNIT_EXPECT_EQ(test, 0, get(&f, c));
	expect_events(test, "ms");
	dma_buf_importer_file_close(&f);
	expect_events(test, "huu");
}

/* The work may come too late, or for what is gone by itself. */
static void importer_revoke_without_cause(struct kunit *test)
{
	struct importer_test *t = test->priv;
	struct dma_buf *a = fake_page(test, 0x10000);
	struct dma_buf_importer_file f;

	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	KUNIT_EXPECT_EQ(test, 0, get(&f, a));
	expect_events(test, "ms");
	schedule_delayed_work(&t->imp.revoke_work, 0);
	flush_delayed_work(&t->imp.revoke_work);
	expect_events(test, "");

	KUNIT_EXPECT_EQ(test, 0, dma_buf_importer_kill(&t->imp));
	expect_events(test, "hu");
	schedule_delayed_work(&t->imp.revoke_work, 0);
	flush_delayed_work(&t->imp.revoke_work);
	expect_events(test, "");
	dma_buf_importer_file_close(&f);
}

static void importer_revoke_and_kill_unstopped(struct kunit *test)
{
	struct importer_test *t = test->priv;
	struct dma_buf *a = fake_page(test, 0x10000);
	struct dma_buf *b = fake_page(test, 0x20000);
	struct dma_buf_importer_file f;
	long refs = file_count(a->file);

	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	KUNIT_EXPECT_EQ(test, 0, get(&f, a));
	KUNIT_EXPECT_EQ(test, 0, get(&f, b));
	revoke(a);
	flush_delayed_work(&t->imp.revoke_work);
	expect_events(test, "msmhu");

	/* only what is still mapped is kept */
	t->stop_err = -EBUSY;
	KUNIT_EXPECT_EQ(test, -EBUSY, dma_buf_importer_kill(&t->imp));
	expect_events(test, "x");
	KUNIT_EXPECT_EQ(test, to_exporter(a)->nr_mapped, 0);
	KUNIT_EXPECT_EQ(test, to_exporter(b)->nr_mapped, 1);
	KUNIT_EXPECT_EQ(test, refs, file_count(a->file));
	KUNIT_EXPECT_EQ(test, refs + 1, file_count(b->file));
	dma_buf_importer_file_close(&f);
}

static struct dma_buf_importer_file *no_file(struct file *file)
{
	return NULL;
}

static void importer_fops_come_and_go(struct kunit *test)
{
	static const struct file_operations fops[2];
	struct dma_buf_importer_fops ifops[2] = {
		{ .fops = &fops[0], .get = no_file },
		{ .fops = &fops[1], .get = no_file },
	};

	dma_buf_importer_register_fops(&ifops[0]);
	dma_buf_importer_register_fops(&ifops[1]);
	KUNIT_EXPECT_PTR_EQ(test, ifops[1].node.next, &ifops[0].node);
	dma_buf_importer_unregister_fops(&ifops[0]);
	KUNIT_EXPECT_PTR_NE(test, ifops[1].node.next, &ifops[0].node);
	dma_buf_importer_unregister_fops(&ifops[1]);
}

static void importer_holds_buffer(struct kunit *test)
{
	struct importer_test *t = test->priv;
	struct dma_buf *dmabuf = fake_page(test, 0x10000);
	struct dma_buf_importer_file f;
	long refs;

	KUNIT_ASSERT_EQ(test, 0, dma_buf_importer_file_open(&f, &t->imp));
	refs = file_count(dmabuf->file);
	KUNIT_EXPECT_EQ(test, 0, get(&f, dmabuf));
	KUNIT_EXPECT_EQ(test, refs + 1, file_count(dmabuf->file));
	dma_buf_importer_file_close(&f);
	KUNIT_EXPECT_EQ(test, refs, file_count(dmabuf->file));
}

static int importer_test_init(struct kunit *test)
{
	static unsigned int nr;
	struct importer_test *t;

	t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	if (!t)
		return -ENOMEM;

	/* A name that is free even where kobjects are released late. */
	snprintf(t->name, sizeof(t->name), "dma-buf-importer-%u", nr++);
	t->dev = kunit_device_register(test, t->name);
	if (IS_ERR(t->dev))
		return PTR_ERR(t->dev);

	dma_buf_importer_init(&t->imp, t->dev, &fake_importer_ops);
	test->priv = t;
	return 0;
}

static void importer_test_exit(struct kunit *test)
{
	struct importer_test *t = test->priv;

	/* after all tests but those that did so before */
	if (t && t->imp.dev)
		KUNIT_EXPECT_EQ(test, 0, dma_buf_importer_kill(&t->imp));
}

static struct kunit_case importer_test_cases[] = {
	KUNIT_CASE(importer_segments),
	KUNIT_CASE(importer_segment_beyond_size),
	KUNIT_CASE(importer_segment_too_short),
	KUNIT_CASE(importer_segment_overflow),
	KUNIT_CASE(importer_get_is_idempotent),
	KUNIT_CASE(importer_direction),
	KUNIT_CASE(importer_coherent),
	KUNIT_CASE(importer_errors),
	KUNIT_CASE(importer_waits_for_fence),
	KUNIT_CASE(importer_start_fails),
	KUNIT_CASE(importer_bounded),
	KUNIT_CASE(importer_close_last),
	KUNIT_CASE(importer_close_parks),
	KUNIT_CASE(importer_reset_at_last_close),
	KUNIT_CASE(importer_reset_is_retried),
	KUNIT_CASE(importer_reset_needs_stop),
	KUNIT_CASE(importer_reset_at_kill),
	KUNIT_CASE(importer_put_one_of_two),
	KUNIT_CASE(importer_kill),
	KUNIT_CASE(importer_kill_unstopped),
	KUNIT_CASE(importer_stop_fails),
	KUNIT_CASE(importer_revoke),
	KUNIT_CASE(importer_revoke_parked),
	KUNIT_CASE(importer_revoke_one_by_one),
	KUNIT_CASE(importer_revoke_at_once),
	KUNIT_CASE(importer_revoke_unstopped),
	KUNIT_CASE(importer_revoke_stopped_later),
	KUNIT_CASE(importer_revoke_and_start_fails),
	KUNIT_CASE(importer_revoke_without_cause),
	KUNIT_CASE(importer_revoke_and_kill_unstopped),
	KUNIT_CASE(importer_fops_come_and_go),
	KUNIT_CASE(importer_holds_buffer),
	{ }
};

static struct kunit_suite importer_test_suite = {
	.name = "dma_buf_importer",
	.init = importer_test_init,
	.exit = importer_test_exit,
	.test_cases = importer_test_cases,
};

kunit_test_suite(importer_test_suite);

MODULE_DESCRIPTION("KUnit tests for importing dma-bufs on behalf of an open file");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
