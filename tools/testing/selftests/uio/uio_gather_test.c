// SPDX-License-Identifier: GPL-2.0
/*
 * Scattered memory, found piece by piece and copied with one command: every byte
 * of every kind of memory, each way.
 *
 * Needs a device whose driver can gather. UIO_TEST_GATHER_DEVICE in the
 * environment names another one than that of vm/.
 */
#include <stdlib.h>

#include "uio_test.h"

/* No more than swiotlb can bounce in one piece. */
#define SIZE		(128U << 10)
#define MAX_SEGS	1024

static const char *gather_device(void)
{
	const char *name = getenv("UIO_TEST_GATHER_DEVICE");

	return name ? name : "0000:00:18.0";
}

static bool open_gather(struct __test_metadata *_metadata,
			struct uio_device *dev)
{
	char dir[UIO_PATH_LEN];

	dev->fd = -1;
	if (uio_sysfs_dir(gather_device(), dir, sizeof(dir)))
		SKIP_WITHOUT(return false, "no device %s", gather_device());
	ASSERT_EQ(0, uio_open_driver(dev, gather_device()));
	if (!dev->driver.ops->gather_start)
		SKIP_WITHOUT(return false, "%s cannot gather", gather_device());
	return true;
}

/**
 * struct walked - a buffer and where it is for the device
 * @buf: the buffer
 * @coherent: the CPU's access needs no bracket
 * @seg: its parts
 * @nr: how many there are
 */
struct walked {
	struct uio_buffer buf;
	bool coherent;
	struct uio_seg seg[MAX_SEGS];
	int nr;
};

static bool walk(struct __test_metadata *_metadata, struct uio_device *dev,
		 struct walked *w, enum uio_memory memory, __u64 size)
{
	struct dma_buf_get_dma_addr get;

	if (!test_alloc(_metadata, &w->buf, memory, dev, size))
		return false;
	w->nr = uio_dma_walk(w->buf.fd, dev->fd, w->seg, MAX_SEGS);
	ASSERT_LT(0, w->nr);
	ASSERT_EQ(0, uio_dma_get(w->buf.fd, dev->fd, 0, 0, &get));
	w->coherent = get.flags & DMA_BUF_DMA_COHERENT;
	if (memory >= UIO_MEMORY_USER && !w->coherent)
		SKIP(return false, "bounced, and this exporter does not sync for others");
	return true;
}

/* The bus address of @offset, and how much is contiguous from there. */
static __u64 find(const struct walked *w, __u64 offset, __u64 *len)
{
	int i;

	for (i = 0; offset - w->seg[i].offset >= w->seg[i].len; i++)
		;
	*len = w->seg[i].len - (offset - w->seg[i].offset);
	return w->seg[i].dma_addr + (offset - w->seg[i].offset);
}

/* Add what it takes to copy @size bytes, none of them longer than @max. */
static unsigned int add_pieces(struct uio_piece *piece, unsigned int nr,
			       const struct walked *dst, __u64 to,
			       const struct walked *src, __u64 from,
			       __u64 size, __u64 max)
{
	__u64 len, dst_len;

	for (; size; size -= len, to += len, from += len) {
		piece[nr].src = find(src, from, &len);
		piece[nr].dst = find(dst, to, &dst_len);
		if (len > dst_len)
			len = dst_len;
		if (len > max)
			len = max;
		if (len > size)
			len = size;
		piece[nr++].size = len;
	}
	return nr;
}

FIXTURE(gather)
{
	struct uio_device dev;
	struct walked src;
	struct walked dst;
};

FIXTURE_VARIANT(gather)
{
	enum uio_memory src;
	enum uio_memory dst;
};

FIXTURE_VARIANT_ADD(gather, device_heap) {
	.src = UIO_MEMORY_DEVICE, .dst = UIO_MEMORY_DEVICE,
};

FIXTURE_VARIANT_ADD(gather, system_to_device_heap) {
	.src = UIO_MEMORY_SYSTEM, .dst = UIO_MEMORY_DEVICE,
};

FIXTURE_VARIANT_ADD(gather, device_to_system_heap) {
	.src = UIO_MEMORY_DEVICE, .dst = UIO_MEMORY_SYSTEM,
};

FIXTURE_VARIANT_ADD(gather, cma_to_system_heap) {
	.src = UIO_MEMORY_CMA, .dst = UIO_MEMORY_SYSTEM,
};

FIXTURE_VARIANT_ADD(gather, udmabuf_to_cma_heap) {
	.src = UIO_MEMORY_USER, .dst = UIO_MEMORY_CMA,
};

FIXTURE_VARIANT_ADD(gather, udmabuf) {
	.src = UIO_MEMORY_USER, .dst = UIO_MEMORY_USER,
};

FIXTURE_VARIANT_ADD(gather, udmabuf_huge_to_drm) {
	.src = UIO_MEMORY_HUGE, .dst = UIO_MEMORY_DRM,
};

FIXTURE_VARIANT_ADD(gather, drm_to_v4l2) {
	.src = UIO_MEMORY_DRM, .dst = UIO_MEMORY_V4L2,
};

FIXTURE_VARIANT_ADD(gather, v4l2_to_device_heap) {
	.src = UIO_MEMORY_V4L2, .dst = UIO_MEMORY_DEVICE,
};

FIXTURE_SETUP(gather)
{
	self->src.buf.fd = -1;
	self->dst.buf.fd = -1;
	if (!open_gather(_metadata, &self->dev))
		return;
	if (walk(_metadata, &self->dev, &self->src, variant->src, SIZE))
		walk(_metadata, &self->dev, &self->dst, variant->dst, SIZE);
}

FIXTURE_TEARDOWN(gather)
{
	uio_buffer_free(&self->src.buf);
	uio_buffer_free(&self->dst.buf);
	uio_close(&self->dev);
}

static int begin_cpu(const struct walked *w)
{
	return w->coherent ? 0 : uio_buffer_begin_cpu(&w->buf);
}

static int end_cpu(const struct walked *w)
{
	return w->coherent ? 0 : uio_buffer_end_cpu(&w->buf);
}

/* The CPU's access ends here, and is on again when this returns. */
static void run(struct __test_metadata *_metadata, struct uio_device *dev,
		const struct walked *src, const struct walked *dst,
		const struct uio_piece *piece, unsigned int nr)
{
	EXPECT_EQ(0, end_cpu(src));
	EXPECT_EQ(0, end_cpu(dst));
	ASSERT_EQ(0, uio_dma_gather_start(dev, piece, nr, false));
	ASSERT_EQ(0, uio_dma_wait(dev));
	EXPECT_EQ(0, begin_cpu(dst));
	EXPECT_EQ(0, begin_cpu(src));
}

TEST_F(gather, all_at_once)
{
	struct uio_piece piece[2 * MAX_SEGS];
	unsigned int nr;

	EXPECT_EQ(0, begin_cpu(&self->src));
	EXPECT_EQ(0, begin_cpu(&self->dst));
	uio_fill(self->src.buf.vaddr, SIZE, 3);
	memset(self->dst.buf.vaddr, 0x33, SIZE);
	nr = add_pieces(piece, 0, &self->dst, 0, &self->src, 0, SIZE, SIZE);
	run(_metadata, &self->dev, &self->src, &self->dst, piece, nr);
	EXPECT_EQ(-1, uio_differs(self->dst.buf.vaddr, SIZE, 3));
	EXPECT_EQ(-1, uio_differs(self->src.buf.vaddr, SIZE, 3));
}

/* Page for page from the end: a wrong order of segments shows. */
TEST_F(gather, backwards)
{
	size_t page = uio_page_size(), at;
	struct uio_piece piece[2 * MAX_SEGS];
	unsigned int nr = 0;

	EXPECT_EQ(0, begin_cpu(&self->src));
	EXPECT_EQ(0, begin_cpu(&self->dst));
	for (at = 0; at < SIZE; at += page) {
		uio_fill(self->src.buf.vaddr + at, page, at / page + 1);
		nr = add_pieces(piece, nr, &self->dst, SIZE - page - at,
				&self->src, at, page, page);
	}
	memset(self->dst.buf.vaddr, 0, SIZE);
	run(_metadata, &self->dev, &self->src, &self->dst, piece, nr);
	for (at = 0; at < SIZE; at += page)
		EXPECT_EQ(-1, uio_differs(self->dst.buf.vaddr + SIZE - page - at,
					  page, at / page + 1));
}

/* More than fit in one page of descriptors, in no order that is their own. */
TEST_F(gather, as_many_as_the_device_takes)
{
	static struct uio_piece piece[MAX_SEGS];
	const size_t len = SIZE / MAX_SEGS;
	unsigned int i, nr = 0;

	ASSERT_LE(MAX_SEGS, self->dev.driver.max_pieces);
	EXPECT_EQ(0, begin_cpu(&self->src));
	EXPECT_EQ(0, begin_cpu(&self->dst));
	for (i = 0; i < MAX_SEGS; i++) {
		uio_fill(self->src.buf.vaddr + i * len, len, i + 1);
		nr = add_pieces(piece, nr, &self->dst,
				(MAX_SEGS - 1 - i) * len, &self->src, i * len,
				len, len);
	}
	ASSERT_EQ(MAX_SEGS, nr);
	memset(self->dst.buf.vaddr, 0, SIZE);
	run(_metadata, &self->dev, &self->src, &self->dst, piece, nr);
	for (i = 0; i < MAX_SEGS; i++)
		EXPECT_EQ(-1, uio_differs(self->dst.buf.vaddr +
					  (MAX_SEGS - 1 - i) * len, len, i + 1));
}

/* Uneven sizes from uneven addresses, and nothing beside them. */
TEST_F(gather, odd_sizes)
{
	static const unsigned int size[] = { 1, 3, 61, 255, 4093, 4097, 65535 };
	struct uio_piece piece[64];
	__u64 from = 1, to = 7;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(size); i++) {
		EXPECT_EQ(0, begin_cpu(&self->src));
		EXPECT_EQ(0, begin_cpu(&self->dst));
		uio_fill(self->src.buf.vaddr + from, size[i], i);
		memset(self->dst.buf.vaddr, 0xcc, SIZE);
		run(_metadata, &self->dev, &self->src, &self->dst, piece,
		    add_pieces(piece, 0, &self->dst, to, &self->src, from,
			       size[i], SIZE));
		EXPECT_EQ(-1, uio_differs(self->dst.buf.vaddr + to, size[i], i));
		EXPECT_EQ(-1, uio_differs_from(self->dst.buf.vaddr, to, 0xcc));
		EXPECT_EQ(-1, uio_differs_from(self->dst.buf.vaddr + to + size[i],
					       SIZE - to - size[i], 0xcc));
		from += size[i] + 5;
		to += size[i] + 4099;
	}
}

FIXTURE(engine)
{
	struct uio_device dev;
	struct walked src;
	struct walked dst;
};

FIXTURE_SETUP(engine)
{
	self->src.buf.fd = -1;
	self->dst.buf.fd = -1;
	if (!open_gather(_metadata, &self->dev))
		return;
	if (walk(_metadata, &self->dev, &self->src, UIO_MEMORY_DEVICE, SIZE))
		walk(_metadata, &self->dev, &self->dst, UIO_MEMORY_DEVICE, SIZE);
}

FIXTURE_TEARDOWN(engine)
{
	uio_buffer_free(&self->src.buf);
	uio_buffer_free(&self->dst.buf);
	uio_close(&self->dev);
}

TEST_F(engine, interrupts)
{
	__u64 src = self->src.seg[0].dma_addr, dst = self->dst.seg[0].dma_addr;
	struct uio_device *dev = &self->dev;
	__u32 first = 0, count;
	int i;

	uio_dma_memcpy(dev, dst, src, 4);
	EXPECT_EQ(-ETIMEDOUT, uio_irq_wait(dev->fd, 0, &count));
	for (i = 0; i < 1000; i++) {
		uio_fill(self->src.buf.vaddr, 64, i);
		ASSERT_EQ(0, uio_dma_memcpy_start(dev, dst, src, 64, true));
		ASSERT_EQ(0, uio_irq_wait(dev->fd, 10000, &count));
		ASSERT_EQ(0, uio_dma_wait(dev));
		EXPECT_EQ(-1, uio_differs(self->dst.buf.vaddr, 64, i));
		if (!i)
			first = count;
		EXPECT_TRUE(dev->driver.ops->ack_irq(dev));
		ASSERT_EQ(0, uio_irq_unmask(dev));
	}
	EXPECT_EQ(999, count - first);
}

/* Behind an IOMMU the physical address leads nowhere. */
TEST_F(engine, physical_address)
{
	__u64 phys, addr, dst = self->dst.seg[0].dma_addr;
	struct uio_buffer user;
	void *mem;
	int memfd;

	if (!uio_iommu_translates(gather_device()))
		SKIP(return, "no IOMMU translates for %s", gather_device());
	if (uio_buffer_udmabuf(&user, uio_page_size(), &memfd) == -ENOENT)
		SKIP(return, "no udmabuf here");
	mem = mmap(NULL, user.size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	ASSERT_NE(MAP_FAILED, mem);
	uio_fill(mem, user.size, 9);
	ASSERT_EQ(0, uio_phys_addr(mem, &phys));
	ASSERT_EQ(0, uio_dma_addr(user.fd, self->dev.fd, &addr));
	EXPECT_NE(phys, addr);

	memset(self->dst.buf.vaddr, 0x77, user.size);
	uio_dma_memcpy(&self->dev, dst, phys, user.size);
	EXPECT_LE(0, uio_differs(self->dst.buf.vaddr, user.size, 9));

	/* The device was not harmed. */
	EXPECT_EQ(0, uio_dma_memcpy(&self->dev, dst, addr, user.size));
	EXPECT_EQ(-1, uio_differs(self->dst.buf.vaddr, user.size, 9));
	munmap(mem, user.size);
	close(memfd);
	uio_buffer_free(&user);
}

/*
 * Memory that the device cannot reach is bounced. GET says so, and it is true:
 * nothing arrives before it is asked for.
 */
TEST_F(engine, bounced_needs_sync)
{
	__u64 heap = self->dst.seg[0].dma_addr, addr;
	unsigned char *mine = self->dst.buf.vaddr;
	struct uio_device *dev = &self->dev;
	struct dma_buf_get_dma_addr get;
	struct uio_buffer buf;

	if (!test_alloc(_metadata, &buf, UIO_MEMORY_SYSTEM, dev, 4096))
		return;
	ASSERT_EQ(0, uio_dma_get(buf.fd, dev->fd, 0, 0, &get));
	if (get.flags & DMA_BUF_DMA_COHERENT) {
		uio_buffer_free(&buf);
		SKIP(return, "the device reaches all memory");
	}
	if (!uio_is_pci(dev)) {
		uio_buffer_free(&buf);
		SKIP(return, "not coherent, but the emulated caches are");
	}
	addr = get.dma_addr;
	EXPECT_EQ(-EOPNOTSUPP, uio_dma_get(buf.fd, dev->fd, DMA_BUF_DMA_COHERENT,
					   0, &get));
	ASSERT_EQ(0, uio_dma_put(buf.fd, dev->fd));
	EXPECT_EQ(-EOPNOTSUPP, uio_dma_get(buf.fd, dev->fd, DMA_BUF_DMA_COHERENT,
					   0, &get));
	ASSERT_EQ(0, uio_dma_addr(buf.fd, dev->fd, &addr));

	/* to the device: what was written before the last end of access */
	EXPECT_EQ(0, uio_buffer_begin_cpu(&buf));
	uio_fill(buf.vaddr, 4096, 1);
	EXPECT_EQ(0, uio_buffer_end_cpu(&buf));
	uio_fill(buf.vaddr, 4096, 2);
	ASSERT_EQ(0, uio_dma_memcpy(dev, heap, addr, 4096));
	EXPECT_EQ(-1, uio_differs(mine, 4096, 1));
	EXPECT_EQ(0, uio_buffer_end_cpu(&buf));
	ASSERT_EQ(0, uio_dma_memcpy(dev, heap, addr, 4096));
	EXPECT_EQ(-1, uio_differs(mine, 4096, 2));

	/* from the device: not to be seen before access begins */
	uio_fill(mine, 4096, 3);
	ASSERT_EQ(0, uio_dma_memcpy(dev, addr, heap, 4096));
	EXPECT_EQ(-1, uio_differs(buf.vaddr, 4096, 2));
	EXPECT_EQ(0, uio_buffer_begin_cpu(&buf));
	EXPECT_EQ(-1, uio_differs(buf.vaddr, 4096, 3));
	EXPECT_EQ(0, uio_buffer_end_cpu(&buf));
	uio_buffer_free(&buf);
}

/* Where the addresses lie that a 32-bit device is given. */
TEST_F(engine, addresses_have_32_bits)
{
	struct walked w = { .buf.fd = -1 };
	enum uio_memory memory;
	int i;

	for (memory = UIO_MEMORY_DEVICE; memory < NR_UIO_MEMORIES; memory++) {
		if (uio_buffer_alloc_from(&w.buf, memory, self->dev.number, SIZE))
			continue;
		w.nr = uio_dma_walk(w.buf.fd, self->dev.fd, w.seg, MAX_SEGS);
		EXPECT_LT(0, w.nr);
		for (i = 0; i < w.nr; i++)
			EXPECT_LE(w.seg[i].dma_addr + w.seg[i].len, 1ULL << 32);
		uio_buffer_free(&w.buf);
	}
}

TEST_HARNESS_MAIN
