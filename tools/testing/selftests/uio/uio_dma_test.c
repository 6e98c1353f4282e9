// SPDX-License-Identifier: GPL-2.0
/*
 * Does the data arrive? Byte for byte, both ways, from every kind of memory.
 *
 * Only the data is believed: a device may report that a DMA is complete which
 * never happened.
 */
#include "uio_test.h"

#define GUARD		0xc5
#define AREA_PAGES	3
#define COPY_TIMEOUT_MS	60000

static const __u32 sizes[] = { 1, 2, 3, 4, 63, 64, 2048, 4092, 4095 };

/**
 * struct copy - a copy between two offsets of a buffer, in progress
 *
 * The pieces that the device is told to copy end where the addresses of either
 * end stop to be contiguous.
 */
struct copy {
	struct uio_device *dev;
	struct uio_buffer *buf;
	__u64 dst;
	__u64 src;
	__u64 left;
};

static __u64 least(__u64 a, __u64 b)
{
	return a < b ? a : b;
}

/* -EAGAIN while there is more to do. */
static int copy_step(struct copy *copy)
{
	struct uio_device *dev = copy->dev;
	struct dma_buf_get_dma_addr src, dst;
	__u64 piece;
	int ret;

	ret = uio_dma_poll(dev);
	if (ret || !copy->left)
		return ret;

	ret = uio_dma_get(copy->buf->fd, dev->fd, 0, copy->src, &src);
	if (ret)
		return ret;
	ret = uio_dma_get(copy->buf->fd, dev->fd, 0, copy->dst, &dst);
	if (ret)
		return ret;
	piece = least(least(src.len, dst.len),
		      least(copy->left, dev->driver.max_size));
	ret = uio_dma_memcpy_start(dev, dst.dma_addr, src.dma_addr, piece,
				   false);
	if (ret)
		return ret;
	copy->src += piece;
	copy->dst += piece;
	copy->left -= piece;
	return -EAGAIN;
}

/* Run copies on several devices at the same time. */
static int copy_all(struct copy *copy, unsigned int count)
{
	long deadline = uio_now_ms() + COPY_TIMEOUT_MS;
	unsigned int i, busy;
	int ret;

	while (uio_now_ms() < deadline) {
		busy = 0;
		for (i = 0; i < count; i++) {
			ret = copy_step(&copy[i]);
			if (ret && ret != -EAGAIN)
				return ret;
			busy += !!ret;
		}
		if (!busy)
			return 0;
		uio_msleep(1);
	}
	return -ETIMEDOUT;
}

/*
 * A buffer has two areas of AREA_PAGES pages. The source is filled with a
 * pattern, all else with guard bytes.
 */
static int prepare(struct copy *copy, __u32 size, __u32 offset, __u32 seed)
{
	size_t area = AREA_PAGES * uio_page_size();
	int ret;

	copy->src = offset;
	copy->dst = area + offset;
	copy->left = size;
	ret = uio_buffer_begin_cpu(copy->buf);
	if (ret)
		return ret;
	memset(copy->buf->vaddr, GUARD, 2 * area);
	uio_fill(copy->buf->vaddr + offset, size, seed);
	return uio_buffer_end_cpu(copy->buf);
}

static void verify(struct __test_metadata *_metadata, struct copy *copy,
		   __u32 size, __u32 offset, __u32 seed)
{
	size_t area = AREA_PAGES * uio_page_size();
	unsigned char *mem = copy->buf->vaddr;
	unsigned int i;

	ASSERT_EQ(0, uio_buffer_begin_cpu(copy->buf));
	for (i = 0; i < 2; i++, mem += area) {
		EXPECT_EQ(-1, uio_differs_from(mem, offset, GUARD));
		EXPECT_EQ(-1, uio_differs(mem + offset, size, seed));
		EXPECT_EQ(-1, uio_differs_from(mem + offset + size,
					       area - offset - size, GUARD));
	}
	EXPECT_EQ(0, uio_buffer_end_cpu(copy->buf));
	if (_metadata->exit_code)
		TH_LOG("%s: %u bytes at offset %u", copy->dev->name, size,
		       offset);
}

/*
 * Where in the i-th round the data lies: at the start, off by one, across a
 * page boundary, up to the end of a page.
 */
static __u32 nth_offset(unsigned int i, __u32 size)
{
	__u32 page = uio_page_size();
	__u32 offset[] = { 0, 1, page - 1, page - size };

	return offset[i];
}

FIXTURE(copy)
{
	struct uio_device dev[2];
	struct uio_buffer buf[2];
};

FIXTURE_VARIANT(copy)
{
	enum uio_memory memory;
};

FIXTURE_VARIANT_ADD(copy, device_heap) { .memory = UIO_MEMORY_DEVICE };
FIXTURE_VARIANT_ADD(copy, system_heap) { .memory = UIO_MEMORY_SYSTEM };
FIXTURE_VARIANT_ADD(copy, cma_heap) { .memory = UIO_MEMORY_CMA };
FIXTURE_VARIANT_ADD(copy, udmabuf) { .memory = UIO_MEMORY_USER };
FIXTURE_VARIANT_ADD(copy, udmabuf_huge) { .memory = UIO_MEMORY_HUGE };
FIXTURE_VARIANT_ADD(copy, drm) { .memory = UIO_MEMORY_DRM };
FIXTURE_VARIANT_ADD(copy, v4l2) { .memory = UIO_MEMORY_V4L2 };

FIXTURE_SETUP(copy)
{
	size_t size = 2 * AREA_PAGES * uio_page_size();
	unsigned int i;

	for (i = 0; i < 2; i++) {
		if (!test_open(_metadata, &self->dev[i], i))
			return;
		if (!test_set_mask(_metadata, &self->dev[i], 64))
			return;
		if (!test_alloc(_metadata, &self->buf[i], variant->memory,
				&self->dev[i], size))
			return;
	}
}

FIXTURE_TEARDOWN(copy)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		uio_close(&self->dev[i]);
		uio_buffer_free(&self->buf[i]);
		uio_set_dma_mask_bits(self->dev[i].number, 32);
	}
}

TEST_F_TIMEOUT(copy, sizes_and_offsets, 120)
{
	struct copy copy[2] = {
		{ .dev = &self->dev[0], .buf = &self->buf[0] },
		{ .dev = &self->dev[1], .buf = &self->buf[1] },
	};
	__u32 size[2], offset[2];
	unsigned int i, j, n = 0;

	/* Each device takes every other pair of a size and an offset. */
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (j = 0; j < 4; j++) {
			size[n] = sizes[i];
			offset[n] = nth_offset(j, sizes[i]);
			ASSERT_EQ(0, prepare(&copy[n], size[n], offset[n],
					     i * 4 + j));
			if (++n < 2)
				continue;
			ASSERT_EQ(0, copy_all(copy, 2));
			for (n = 0; n < 2; n++)
				verify(_metadata, &copy[n], size[n], offset[n],
				       i * 4 + j - 1 + n);
			ASSERT_EQ(0, _metadata->exit_code);
			n = 0;
		}
	}
	ASSERT_EQ(0, n);
}

TEST_F(copy, buffer_closed_first)
{
	struct uio_device *dev = &self->dev[0];
	struct uio_buffer *buf = &self->buf[0];
	size_t half = buf->size / 2;
	__u64 src, dst;
	struct dma_buf_get_dma_addr get;

	ASSERT_EQ(0, uio_dma_addr(buf->fd, dev->fd, &src));
	ASSERT_EQ(0, uio_dma_get(buf->fd, dev->fd, 0, half, &get));
	dst = get.dma_addr;
	if (!(get.flags & DMA_BUF_DMA_COHERENT))
		SKIP(return, "not coherent, and nobody can sync what is closed");
	ASSERT_EQ(0, uio_buffer_begin_cpu(buf));
	uio_fill(buf->vaddr, 256, 1);
	memset(buf->vaddr + half, 0, 256);
	ASSERT_EQ(0, uio_buffer_end_cpu(buf));

	/* The mapping for the device outlives the descriptor. */
	close(buf->fd);
	buf->fd = -1;
	ASSERT_EQ(0, uio_dma_memcpy(dev, dst, src, 256));
	EXPECT_EQ(-1, uio_differs(buf->vaddr + half, 256, 1));
}

FIXTURE(shared)
{
	struct uio_device dev[2];
	struct uio_buffer buf;
};

FIXTURE_SETUP(shared)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		if (!test_open(_metadata, &self->dev[i], i))
			return;
		if (!test_set_mask(_metadata, &self->dev[i], 64))
			return;
	}
	if (!test_alloc(_metadata, &self->buf, UIO_MEMORY_SYSTEM,
			&self->dev[0], 3 * uio_page_size()))
		return;
}

FIXTURE_TEARDOWN(shared)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		uio_close(&self->dev[i]);
		uio_set_dma_mask_bits(self->dev[i].number, 32);
	}
	uio_buffer_free(&self->buf);
}

/* The second device passes on what the first one wrote. */
TEST_F(shared, two_devices)
{
	size_t page = uio_page_size();
	struct copy first = { .dev = &self->dev[0], .buf = &self->buf,
			      .dst = page, .src = 0, .left = 1000 };
	struct copy second = { .dev = &self->dev[1], .buf = &self->buf,
			       .dst = 2 * page, .src = page, .left = 1000 };

	ASSERT_EQ(0, uio_buffer_begin_cpu(&self->buf));
	memset(self->buf.vaddr, GUARD, 3 * page);
	uio_fill(self->buf.vaddr, 1000, 7);
	ASSERT_EQ(0, uio_buffer_end_cpu(&self->buf));

	ASSERT_EQ(0, copy_all(&first, 1));
	ASSERT_EQ(0, copy_all(&second, 1));

	ASSERT_EQ(0, uio_buffer_begin_cpu(&self->buf));
	EXPECT_EQ(-1, uio_differs(self->buf.vaddr + page, 1000, 7));
	EXPECT_EQ(-1, uio_differs(self->buf.vaddr + 2 * page, 1000, 7));
	EXPECT_EQ(-1, uio_differs_from(self->buf.vaddr + 2 * page + 1000,
				       page - 1000, GUARD));
}

FIXTURE(device)
{
	struct uio_device dev;
	struct uio_buffer buf;
};

FIXTURE_VARIANT(device)
{
	unsigned int index;
	int mask_bits;
	enum uio_memory memory;
};

/* A 32-bit device, a device that reaches everything, and one of 28 bits. */
FIXTURE_VARIANT_ADD(device, mask_32) {
	.index = 0, .mask_bits = 32, .memory = UIO_MEMORY_DEVICE
};

FIXTURE_VARIANT_ADD(device, mask_64) {
	.index = 0, .mask_bits = 64, .memory = UIO_MEMORY_DEVICE
};

FIXTURE_VARIANT_ADD(device, mask_28) {
	.index = 2, .mask_bits = 28, .memory = UIO_MEMORY_DEVICE
};

/* With more memory than 32 bits can address, these bounce. */
FIXTURE_VARIANT_ADD(device, system_mask_32) {
	.index = 0, .mask_bits = 32, .memory = UIO_MEMORY_SYSTEM
};

FIXTURE_VARIANT_ADD(device, system_mask_28) {
	.index = 2, .mask_bits = 28, .memory = UIO_MEMORY_SYSTEM
};

FIXTURE_SETUP(device)
{
	__u64 addr;
	int ret;

	if (!test_open(_metadata, &self->dev, variant->index))
		return;
	if (!test_set_mask(_metadata, &self->dev, variant->mask_bits))
		return;
	if (!test_alloc(_metadata, &self->buf, variant->memory,
			&self->dev, 2 * AREA_PAGES * uio_page_size()))
		return;

	/* Memory that is not made for the device may be out of its reach. */
	ret = uio_dma_addr(self->buf.fd, self->dev.fd, &addr);
	if (ret == -EOPNOTSUPP && variant->memory != UIO_MEMORY_DEVICE)
		SKIP(return, "the device cannot reach such memory here");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, uio_dma_put(self->buf.fd, self->dev.fd));
}

FIXTURE_TEARDOWN(device)
{
	uio_close(&self->dev);
	uio_buffer_free(&self->buf);
	uio_set_dma_mask_bits(self->dev.number, 32);
}

TEST_F(device, round_trip)
{
	struct copy copy = { .dev = &self->dev, .buf = &self->buf };
	struct dma_buf_get_dma_addr get;

	/* Mapped first: what is not coherent needs the calls in prepare(). */
	ASSERT_EQ(0, uio_dma_get(self->buf.fd, self->dev.fd, 0, 0, &get));
	if (variant->mask_bits < 64)
		EXPECT_EQ(0, get.dma_addr >> variant->mask_bits);
	if (!(get.flags & DMA_BUF_DMA_COHERENT))
		TH_LOG("not coherent");
	ASSERT_EQ(0, prepare(&copy, 3000, 1500, variant->mask_bits));
	ASSERT_EQ(0, copy_all(&copy, 1));
	verify(_metadata, &copy, 3000, 1500, variant->mask_bits);
}

TEST_F(device, coherent_is_true)
{
	struct copy copy = { .dev = &self->dev, .buf = &self->buf };
	size_t half = self->buf.size / 2;
	struct dma_buf_get_dma_addr get;

	ASSERT_EQ(0, uio_dma_get(self->buf.fd, self->dev.fd, 0, 0, &get));
	if (variant->memory == UIO_MEMORY_DEVICE)
		ASSERT_TRUE(get.flags & DMA_BUF_DMA_COHERENT);
	if (!(get.flags & DMA_BUF_DMA_COHERENT)) {
		/* Then no demand makes it true, be it the first call or not. */
		EXPECT_EQ(-EOPNOTSUPP,
			  uio_dma_get(self->buf.fd, self->dev.fd,
				      DMA_BUF_DMA_COHERENT, 0, &get));
		EXPECT_EQ(0, uio_dma_put(self->buf.fd, self->dev.fd));
		EXPECT_EQ(-EOPNOTSUPP,
			  uio_dma_get(self->buf.fd, self->dev.fd,
				      DMA_BUF_DMA_COHERENT, 0, &get));
		if (uio_is_pci(&self->dev))
			EXPECT_EQ(0, uio_bus_master(self->dev.name));
		EXPECT_EQ(-ENOENT, uio_dma_put(self->buf.fd, self->dev.fd));
		return;
	}

	/* Nothing but plain loads and stores. */
	uio_fill(self->buf.vaddr, 500, 5);
	memset(self->buf.vaddr + half, GUARD, 500);
	copy.src = 0;
	copy.dst = half;
	copy.left = 500;
	ASSERT_EQ(0, copy_all(&copy, 1));
	EXPECT_EQ(-1, uio_differs(self->buf.vaddr + half, 500, 5));
}

TEST_F(device, interrupt_at_the_end)
{
	struct uio_device *dev = &self->dev;
	size_t page = uio_page_size();
	__u64 addr;
	__u32 count;

	if (variant->memory != UIO_MEMORY_DEVICE)
		SKIP(return, "the memory makes no difference");

	ASSERT_EQ(0, uio_dma_addr(self->buf.fd, dev->fd, &addr));
	uio_fill(self->buf.vaddr, page, 3);
	memset(self->buf.vaddr + page, 0, page);
	ASSERT_EQ(0, uio_dma_memcpy_start(dev, addr + page, addr, 100, true));
	ASSERT_EQ(0, uio_dma_wait(dev));
	ASSERT_EQ(0, uio_irq_wait(dev->fd, 10000, &count));
	EXPECT_EQ(-1, uio_differs(self->buf.vaddr + page, 100, 3));
	EXPECT_TRUE(dev->driver.ops->ack_irq(dev));
	EXPECT_EQ(0, uio_irq_unmask(dev));
	EXPECT_EQ(-ETIMEDOUT, uio_irq_wait(dev->fd, 50, &count));
}

TEST_HARNESS_MAIN
