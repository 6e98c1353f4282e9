// SPDX-License-Identifier: GPL-2.0
/*
 * Are the addresses right? Without any DMA: what DMA_BUF_IOCTL_GET_DMA_ADDR
 * answers for every kind of memory, and what the DMA mask does to it.
 */
#include "uio_test.h"

#define MIB		(1024 * 1024)
#define MAX_SEGS	1024

/* The heaps allocate in pieces of 1 MiB, 64 KiB and 4 KiB: use them all. */
#define BUFFER_SIZE	(2 * MIB + 17 * 4096)

static struct uio_seg seg[MAX_SEGS];

static int compare_segs(const void *a, const void *b)
{
	const struct uio_seg *x = a, *y = b;

	return x->dma_addr < y->dma_addr ? -1 : x->dma_addr > y->dma_addr;
}

FIXTURE(address)
{
	struct uio_device dev;
	struct uio_buffer buf;
};

FIXTURE_VARIANT(address)
{
	enum uio_memory memory;
};

FIXTURE_VARIANT_ADD(address, device_heap) { .memory = UIO_MEMORY_DEVICE };
FIXTURE_VARIANT_ADD(address, system_heap) { .memory = UIO_MEMORY_SYSTEM };
FIXTURE_VARIANT_ADD(address, cma_heap) { .memory = UIO_MEMORY_CMA };
FIXTURE_VARIANT_ADD(address, udmabuf) { .memory = UIO_MEMORY_USER };
FIXTURE_VARIANT_ADD(address, udmabuf_huge) { .memory = UIO_MEMORY_HUGE };
FIXTURE_VARIANT_ADD(address, drm) { .memory = UIO_MEMORY_DRM };

FIXTURE_SETUP(address)
{
	__u64 addr;
	int ret;

	if (!test_open(_metadata, &self->dev, 0))
		return;
	if (!test_set_mask(_metadata, &self->dev, 64))
		return;
	if (!test_alloc(_metadata, &self->buf, variant->memory, &self->dev,
			BUFFER_SIZE))
		return;

	/* What is bounced must not come in larger pieces than that. */
	ret = uio_dma_addr(self->buf.fd, self->dev.fd, &addr);
	if (ret == -ENOMEM && variant->memory == UIO_MEMORY_CMA &&
	    !uio_iommu_translates(self->dev.name))
		SKIP(return, "the CMA area is out of reach, and not to be bounced");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, uio_dma_put(self->buf.fd, self->dev.fd));
}

FIXTURE_TEARDOWN(address)
{
	uio_close(&self->dev);
	uio_buffer_free(&self->buf);
	uio_set_dma_mask_bits(self->dev.number, 32);
}

TEST_F(address, walk)
{
	__u64 next = 0;
	int i, n;

	n = uio_dma_walk(self->buf.fd, self->dev.fd, seg, MAX_SEGS);
	ASSERT_LT(0, n);
	TH_LOG("%d segments", n);
	if (variant->memory == UIO_MEMORY_DEVICE)
		EXPECT_EQ(1, n);

	for (i = 0; i < n; i++) {
		EXPECT_EQ(next, seg[i].offset);
		next += seg[i].len;
		EXPECT_LE(seg[i].dma_addr, seg[i].dma_addr + seg[i].len - 1);
		EXPECT_EQ(0, seg[i].dma_addr % uio_page_size());
		/* Else they were one segment. */
		if (i)
			EXPECT_NE(seg[i - 1].dma_addr + seg[i - 1].len,
				  seg[i].dma_addr);
	}
	EXPECT_EQ(BUFFER_SIZE, next);

	qsort(seg, n, sizeof(seg[0]), compare_segs);
	for (i = 1; i < n; i++)
		EXPECT_LE(seg[i - 1].dma_addr + seg[i - 1].len,
			  seg[i].dma_addr);
}

/* Every edge of every segment, from the last to the first. */
TEST_F(address, any_offset)
{
	struct dma_buf_get_dma_addr get;
	unsigned int j;
	int i, n;

	n = uio_dma_walk(self->buf.fd, self->dev.fd, seg, MAX_SEGS);
	ASSERT_LT(0, n);
	for (i = n - 1; i >= 0; i--) {
		__u64 delta[] = { seg[i].len - 1, 0, 1, seg[i].len / 2,
				  seg[i].len - 4 };

		for (j = 0; j < ARRAY_SIZE(delta); j++) {
			ASSERT_EQ(0, uio_dma_get(self->buf.fd, self->dev.fd, 0,
						 seg[i].offset + delta[j],
						 &get));
			ASSERT_EQ(seg[i].dma_addr + delta[j], get.dma_addr);
			ASSERT_EQ(seg[i].len - delta[j], get.len);
			ASSERT_EQ(seg[i].offset + delta[j], get.offset);
			ASSERT_EQ(self->dev.fd, get.dev_fd);
		}
	}
}

static int get_in_child(int dmabuf, int dev_fd, __u64 addr)
{
	int status;
	pid_t pid;

	pid = fork();
	if (!pid) {
		__u64 now;

		_exit(uio_dma_addr(dmabuf, dev_fd, &now) || now != addr);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return status;
}

TEST_F(address, stable)
{
	int dmabuf, dev_fd, i;
	__u64 addr, now;

	ASSERT_EQ(0, uio_dma_addr(self->buf.fd, self->dev.fd, &addr));
	for (i = 0; i < 1000; i++) {
		ASSERT_EQ(0, uio_dma_addr(self->buf.fd, self->dev.fd, &now));
		ASSERT_EQ(addr, now);
	}

	/* It belongs to the open files, not to their numbers or a process. */
	dmabuf = dup(self->buf.fd);
	dev_fd = dup(self->dev.fd);
	ASSERT_LE(0, dmabuf);
	ASSERT_LE(0, dev_fd);
	ASSERT_EQ(0, uio_dma_addr(dmabuf, dev_fd, &now));
	EXPECT_EQ(addr, now);
	close(dmabuf);
	close(dev_fd);
	EXPECT_EQ(1, test_bus_master(&self->dev, 1));
	EXPECT_EQ(0, get_in_child(self->buf.fd, self->dev.fd, addr));
	EXPECT_EQ(1, test_bus_master(&self->dev, 1));
	ASSERT_EQ(0, uio_dma_addr(self->buf.fd, self->dev.fd, &now));
	EXPECT_EQ(addr, now);
}

TEST_F(address, put)
{
	__u64 addr;

	EXPECT_EQ(-ENOENT, uio_dma_put(self->buf.fd, self->dev.fd));
	ASSERT_EQ(0, uio_dma_addr(self->buf.fd, self->dev.fd, &addr));
	EXPECT_EQ(0, uio_dma_put(self->buf.fd, self->dev.fd));
	EXPECT_EQ(-ENOENT, uio_dma_put(self->buf.fd, self->dev.fd));
	EXPECT_EQ(0, test_bus_master(&self->dev, 0));
	EXPECT_EQ(0, uio_dma_addr(self->buf.fd, self->dev.fd, &addr));
	EXPECT_EQ(1, test_bus_master(&self->dev, 1));
	EXPECT_EQ(0, uio_dma_put(self->buf.fd, self->dev.fd));
}

TEST_F(address, direction)
{
	static const __u32 asked[] = {
		DMA_BUF_DMA_TO_DEVICE, DMA_BUF_DMA_FROM_DEVICE, BOTH_WAYS, 0,
	};
	static const __u32 told[] = {
		DMA_BUF_DMA_TO_DEVICE, DMA_BUF_DMA_FROM_DEVICE, BOTH_WAYS,
		BOTH_WAYS,
	};
	struct dma_buf_get_dma_addr get;
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(asked); i++) {
		ASSERT_EQ(0, uio_dma_get(self->buf.fd, self->dev.fd, asked[i],
					 0, &get));
		EXPECT_EQ(told[i], get.flags & BOTH_WAYS);
		EXPECT_EQ(0, get.flags & ~(BOTH_WAYS | DMA_BUF_DMA_COHERENT));

		/* What the first call asked for holds until PUT. */
		for (j = 0; j < ARRAY_SIZE(asked); j++)
			EXPECT_EQ(told[i] == told[j] ? 0 : -EBUSY,
				  uio_dma_get(self->buf.fd, self->dev.fd,
					      asked[j], 0, &get));
		ASSERT_EQ(0, uio_dma_put(self->buf.fd, self->dev.fd));
	}
}

/* Each open file has a mapping of its own. */
TEST_F(address, two_files)
{
	struct dma_buf_get_dma_addr get;
	int fd;

	fd = uio_open_fd(self->dev.number, O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, uio_dma_get(self->buf.fd, self->dev.fd,
				 DMA_BUF_DMA_TO_DEVICE, 0, &get));
	EXPECT_EQ(-ENOENT, uio_dma_put(self->buf.fd, fd));
	EXPECT_EQ(0, uio_dma_get(self->buf.fd, fd, DMA_BUF_DMA_FROM_DEVICE, 0,
				 &get));
	EXPECT_EQ(0, uio_dma_put(self->buf.fd, self->dev.fd));
	EXPECT_EQ(0, uio_dma_get(self->buf.fd, fd, DMA_BUF_DMA_FROM_DEVICE, 0,
				 &get));
	EXPECT_EQ(0, uio_dma_put(self->buf.fd, fd));
	close(fd);
}

FIXTURE(heap)
{
	struct uio_device dev;
};

FIXTURE_SETUP(heap)
{
	if (!test_open(_metadata, &self->dev, 0))
		return;
	ASSERT_EQ(0, uio_set_dma_mask_bits(self->dev.number, 32));
}

FIXTURE_TEARDOWN(heap)
{
	uio_close(&self->dev);
}

TEST_F(heap, name)
{
	char heap[UIO_NAME_LEN], expected[UIO_NAME_LEN + 8];

	ASSERT_EQ(0, uio_heap_name(self->dev.number, heap, sizeof(heap)));
	snprintf(expected, sizeof(expected), "uio@%s", self->dev.name);
	EXPECT_STREQ(expected, heap);
}

TEST_F(heap, disjoint)
{
	struct uio_buffer buf[64];
	int i, n = ARRAY_SIZE(buf);
	__u64 size;

	for (i = 0; i < n; i++) {
		size = (1 + i % 7) * uio_page_size();
		ASSERT_EQ(0, uio_buffer_alloc_device(&buf[i], self->dev.number,
						     size));
		ASSERT_EQ(1, uio_dma_walk(buf[i].fd, self->dev.fd, &seg[i], 1));
		EXPECT_EQ(size, seg[i].len);
		uio_fill(buf[i].vaddr, size, i);
	}
	for (i = 0; i < n; i++)
		EXPECT_EQ(-1, uio_differs(buf[i].vaddr, buf[i].size, i));

	qsort(seg, n, sizeof(seg[0]), compare_segs);
	for (i = 1; i < n; i++)
		EXPECT_LE(seg[i - 1].dma_addr + seg[i - 1].len,
			  seg[i].dma_addr);
	for (i = 0; i < n; i++)
		uio_buffer_free(&buf[i]);
}

/* Nobody finds what somebody else left behind, beyond the length included. */
TEST_F(heap, zeroed)
{
	struct uio_buffer buf;
	int i;

	for (i = 0; i < 32; i++) {
		ASSERT_EQ(0, uio_buffer_alloc_device(&buf, self->dev.number,
						     3 * uio_page_size() - 100));
		ASSERT_EQ(-1, uio_differs_from(buf.vaddr, 3 * uio_page_size(),
					       0));
		memset(buf.vaddr, 0xff, 3 * uio_page_size());
		uio_buffer_free(&buf);
	}
}

TEST_F(heap, mask_is_32_after_bind)
{
	const char *name = uio_test_device(0);
	char driver[UIO_NAME_LEN];
	struct uio_buffer buf;
	__u64 addr;

	ASSERT_EQ(0, uio_set_dma_mask_bits(self->dev.number, 40));
	EXPECT_EQ(40, uio_dma_mask_bits(self->dev.number));

	ASSERT_EQ(0, uio_bound_driver(name, driver, sizeof(driver)));
	uio_close(&self->dev);
	ASSERT_EQ(0, uio_unbind(name));
	ASSERT_EQ(0, uio_bind(name, driver));
	ASSERT_EQ(0, uio_open_driver(&self->dev, name));
	EXPECT_EQ(32, uio_dma_mask_bits(self->dev.number));

	/* And it is not only said to be so. */
	ASSERT_EQ(0, uio_buffer_alloc_device(&buf, self->dev.number, 1));
	ASSERT_EQ(0, uio_dma_addr(buf.fd, self->dev.fd, &addr));
	EXPECT_EQ(0, addr >> 32);
	uio_buffer_free(&buf);
}

/* The next driver finds what this one has found. */
TEST_F(heap, mask_is_handed_back)
{
	static const char * const attr[] = {
		"dma_mask_bits", "consistent_dma_mask_bits",
	};
	const char *name = uio_test_device(0);
	char dir[UIO_PATH_LEN], path[2][UIO_PATH_LEN + 32], driver[UIO_NAME_LEN];
	__u64 before[2], after;
	int i;

	ASSERT_EQ(0, uio_sysfs_dir(name, dir, sizeof(dir)));
	for (i = 0; i < 2; i++)
		snprintf(path[i], sizeof(path[i]), "%s/%s", dir, attr[i]);
	if (access(path[0], R_OK))
		SKIP(return, "only PCI shows the masks");
	ASSERT_EQ(0, uio_bound_driver(name, driver, sizeof(driver)));
	uio_close(&self->dev);
	ASSERT_EQ(0, uio_unbind(name));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, uio_read_u64(path[i], &before[i]));

	ASSERT_EQ(0, uio_bind(name, driver));
	ASSERT_EQ(0, uio_open_driver(&self->dev, name));
	ASSERT_EQ(0, uio_set_dma_mask_bits(self->dev.number, 47));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, uio_read_u64(path[i], &after));
		EXPECT_EQ(47, after);
	}
	uio_close(&self->dev);
	ASSERT_EQ(0, uio_unbind(name));
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(0, uio_read_u64(path[i], &after));
		EXPECT_EQ(before[i], after);
	}
	ASSERT_EQ(0, uio_bind(name, driver));
	ASSERT_EQ(0, uio_open_driver(&self->dev, name));
}

TEST_F(heap, mask_values)
{
	static const char * const wrong[] = {
		"0", "65", "-1", "256", "", "x", "32x",
	};
	char path[UIO_PATH_LEN];
	unsigned int i;

	ASSERT_EQ(0, uio_attr_path(self->dev.number, "dma_mask_bits", path,
				   sizeof(path)));
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		/* Nothing written is nothing asked. */
		EXPECT_EQ(*wrong[i] ? -EINVAL : 0,
			  uio_write_text(path, wrong[i])) {
			TH_LOG("'%s'", wrong[i]);
		}
		EXPECT_EQ(32, uio_dma_mask_bits(self->dev.number));
	}
	EXPECT_EQ(-ERANGE, uio_write_text(path, "4294967328"));
	EXPECT_EQ(32, uio_dma_mask_bits(self->dev.number));
	for (i = 32; i <= 64; i += 8) {
		EXPECT_EQ(0, uio_set_dma_mask_bits(self->dev.number, i));
		EXPECT_EQ(i, uio_dma_mask_bits(self->dev.number));
	}
	EXPECT_EQ(0, uio_set_dma_mask_bits(self->dev.number, 32));
}

/* An address that was handed out stays right. */
TEST_F(heap, mask_busy)
{
	int number = self->dev.number;
	struct uio_buffer own, other;
	__u64 addr;
	int fd;

	ASSERT_EQ(0, uio_buffer_alloc_device(&own, number, 1));
	EXPECT_EQ(-EBUSY, uio_set_dma_mask_bits(number, 40));
	uio_buffer_free(&own);
	EXPECT_EQ(0, uio_set_dma_mask_bits(number, 40));
	EXPECT_EQ(0, uio_set_dma_mask_bits(number, 32));

	if (!test_alloc(_metadata, &other, UIO_MEMORY_SYSTEM, &self->dev,
			uio_page_size()))
		return;
	EXPECT_EQ(0, uio_set_dma_mask_bits(number, 40));
	ASSERT_EQ(0, uio_dma_addr(other.fd, self->dev.fd, &addr));
	EXPECT_EQ(-EBUSY, uio_set_dma_mask_bits(number, 32));
	EXPECT_EQ(40, uio_dma_mask_bits(number));
	ASSERT_EQ(0, uio_dma_put(other.fd, self->dev.fd));
	EXPECT_EQ(0, uio_set_dma_mask_bits(number, 32));

	/* A mapping whose file is closed counts while the device may run. */
	fd = uio_open_fd(number, O_RDWR);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, uio_dma_addr(other.fd, self->dev.fd, &addr));
	ASSERT_EQ(0, uio_dma_addr(other.fd, fd, &addr));
	close(fd);
	EXPECT_EQ(1, test_bus_master(&self->dev, 1));
	EXPECT_EQ(-EBUSY, uio_set_dma_mask_bits(number, 32));
	ASSERT_EQ(0, uio_dma_put(other.fd, self->dev.fd));
	EXPECT_EQ(0, uio_set_dma_mask_bits(number, 32));
	uio_buffer_free(&other);
}

/* Memory that promises to be coherent is not bounced: then it has no address. */
TEST_F(heap, of_another_device)
{
	struct uio_device other;
	struct uio_buffer buf;
	__u64 own, addr;
	int ret;

	if (!test_open(_metadata, &other, 1))
		return;
	ASSERT_EQ(0, uio_set_dma_mask_bits(other.number, 32));
	ASSERT_EQ(0, uio_set_dma_mask_bits(self->dev.number, 64));
	ASSERT_EQ(0, uio_buffer_alloc_device(&buf, self->dev.number, 1));
	ASSERT_EQ(0, uio_dma_addr(buf.fd, self->dev.fd, &own));
	ret = uio_dma_addr(buf.fd, other.fd, &addr);
	if (!ret) {
		EXPECT_EQ(0, addr >> 32);
		if (!uio_iommu_translates(other.name))
			EXPECT_EQ(own, addr);
	} else {
		/* Nor has it where the device does not reach all memory. */
		EXPECT_EQ(-EOPNOTSUPP, ret);
		EXPECT_FALSE(uio_iommu_translates(other.name));
		EXPECT_EQ(0, test_bus_master(&other, 0));
	}
	uio_close(&other);
	EXPECT_EQ(0, uio_dma_put(buf.fd, self->dev.fd));
	uio_buffer_free(&buf);
	EXPECT_EQ(0, uio_set_dma_mask_bits(self->dev.number, 32));
}

FIXTURE(mask)
{
	struct uio_device dev;
};

FIXTURE_VARIANT(mask)
{
	unsigned int index;
	int bits;
};

FIXTURE_VARIANT_ADD(mask, of_28_bits) { .index = 0, .bits = 28 };
FIXTURE_VARIANT_ADD(mask, of_28_bits_only) { .index = 2, .bits = 28 };
FIXTURE_VARIANT_ADD(mask, of_30_bits) { .index = 0, .bits = 30 };
FIXTURE_VARIANT_ADD(mask, of_32_bits) { .index = 0, .bits = 32 };

FIXTURE_SETUP(mask)
{
	if (!test_open(_metadata, &self->dev, variant->index))
		return;
	if (!test_set_mask(_metadata, &self->dev, variant->bits))
		return;
}

FIXTURE_TEARDOWN(mask)
{
	uio_close(&self->dev);
	uio_set_dma_mask_bits(self->dev.number, 32);
}

/* Every address of every allocation, as far as the memory goes. */
TEST_F(mask, holds)
{
	struct uio_buffer buf[256];
	__u64 size, total = 0, limit = 1ULL << variant->bits;
	unsigned int i, j, n;

	for (n = 0; n < ARRAY_SIZE(buf) && total < 8 * MIB; n++) {
		size = uio_page_size() << n % 8;
		if (uio_buffer_alloc_device(&buf[n], self->dev.number, size))
			break;
		total += size;
		ASSERT_EQ(1, uio_dma_walk(buf[n].fd, self->dev.fd, seg, 1));
		EXPECT_LE(seg[0].dma_addr + seg[0].len, limit);
	}
	TH_LOG("%u buffers, %llu KiB", n, (unsigned long long)total / 1024);
	EXPECT_LE(MIB, total);

	/* The memory is there, and nobody else's. */
	for (i = 0; i < n; i++)
		memset(buf[i].vaddr, i, buf[i].size);
	for (i = 0; i < n; i++)
		EXPECT_EQ(-1, uio_differs_from(buf[i].vaddr, buf[i].size, i));
	for (i = 0; i < n; i++)
		uio_buffer_free(&buf[i]);

	/* Other memory comes within reach, or gets no address. */
	for (i = 0; i < 4; i++) {
		int ret;

		if (!test_alloc(_metadata, &buf[0], UIO_MEMORY_SYSTEM,
				&self->dev, uio_page_size() << i))
			return;
		ret = uio_dma_walk(buf[0].fd, self->dev.fd, seg, MAX_SEGS);
		if (ret == -EOPNOTSUPP)
			TH_LOG("out of reach");
		else
			ASSERT_LT(0, ret);
		for (j = 0; (int)j < ret; j++)
			EXPECT_LE(seg[j].dma_addr + seg[j].len, limit);
		uio_buffer_free(&buf[0]);
	}
}

/*
 * Some buses add something to addresses: UIO_TEST_BUS_DEVICE is on one, which sees
 * the memory at 0 at UIO_TEST_BUS_OFFSET. The address to program is the bus's.
 */
TEST(bus_address_is_not_physical)
{
	const char *name = getenv("UIO_TEST_BUS_DEVICE");
	const char *text = getenv("UIO_TEST_BUS_OFFSET");
	__u64 offset, phys, addr;
	struct uio_device dev;
	struct uio_buffer buf;
	int memfd;
	void *mem;

	if (!name || !text)
		SKIP(return, "no bus here that adds to addresses");
	offset = strtoull(text, NULL, 0);
	ASSERT_NE(0, offset);
	ASSERT_EQ(0, uio_open_driver(&dev, name));

	ASSERT_EQ(0, uio_buffer_udmabuf(&buf, uio_page_size(), &memfd));
	mem = mmap(NULL, buf.size, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	ASSERT_NE(MAP_FAILED, mem);
	memset(mem, 1, buf.size);
	ASSERT_EQ(0, uio_phys_addr(mem, &phys));
	ASSERT_EQ(0, uio_dma_addr(buf.fd, dev.fd, &addr));
	EXPECT_EQ(phys + offset, addr);
	munmap(mem, buf.size);
	close(memfd);
	uio_buffer_free(&buf);

	/* Where the heap's memory is for the CPU, nobody tells. */
	ASSERT_EQ(0, uio_buffer_alloc_device(&buf, dev.number, 1));
	ASSERT_EQ(0, uio_dma_addr(buf.fd, dev.fd, &addr));
	EXPECT_LE(offset, addr);
	EXPECT_GT(offset + uio_meminfo("MemTotal") * 2, addr);
	uio_buffer_free(&buf);
	uio_close(&dev);
}

TEST_HARNESS_MAIN
