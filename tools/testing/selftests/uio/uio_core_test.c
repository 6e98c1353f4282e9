// SPDX-License-Identifier: GPL-2.0
/*
 * Memory regions that are not device memory, the UIO driver that allocates such,
 * and private mappings of dma-bufs. The devices are those of CONFIG_UIO_TEST.
 */
#include "uio_test.h"
#include "uio_test_dma.h"

/* What uio_test_maps has: each byte of page P of region R is 16 * R + P. */
#define NR_PAGES	3
#define REGION_COHERENT	2

#define NR_TRIES	3
#define NR_WARNED	20

/* What uio_test_dmem can reach. */
#define DMEM_LIMIT	(16U << 20)

/* An address that there is not. */
#define NO_ADDR		(~0ULL)

static __u64 map_addr(struct __test_metadata *_metadata, int number,
		      unsigned int index)
{
	char attr[UIO_NAME_LEN], path[UIO_PATH_LEN];
	__u64 addr;

	snprintf(attr, sizeof(attr), "maps/map%u/addr", index);
	ASSERT_EQ(0, uio_attr_path(number, attr, path, sizeof(path)));
	ASSERT_EQ(0, uio_read_u64(path, &addr));
	return addr;
}

FIXTURE(region)
{
	struct uio_device dev;
	size_t page;
};

FIXTURE_VARIANT(region)
{
	unsigned int index;
};

FIXTURE_VARIANT_ADD(region, logical) { .index = 0 };
FIXTURE_VARIANT_ADD(region, virtual) { .index = 1 };
FIXTURE_VARIANT_ADD(region, coherent) { .index = REGION_COHERENT };

FIXTURE_SETUP(region)
{
	self->page = uio_page_size();
	if (!test_bind(_metadata, "uio_test_maps", "uio_test_maps"))
		return;
	ASSERT_EQ(0, uio_open(&self->dev, "uio_test_maps"));
	ASSERT_EQ(NR_PAGES * self->page, self->dev.map[variant->index].size);
}

FIXTURE_TEARDOWN(region)
{
	uio_close(&self->dev);
	EXPECT_EQ(0, uio_bind("uio_test_maps", "uio_test_maps"));
}

/* @count pages of a region from page @first on are at @mem. */
static void expect_pages(struct __test_metadata *_metadata, char *mem,
			 unsigned int index, unsigned int first,
			 unsigned int count)
{
	size_t page = uio_page_size();
	unsigned int i;

	for (i = 0; i < count; i++) {
		ASSERT_EQ(0, uio_touch(mem + i * page));
		EXPECT_EQ(-1, uio_differs_from(mem + i * page, page,
					       16 * index + first + i));
	}
}

TEST_F(region, shows_its_pages)
{
	char *mem = uio_mmap(&self->dev, variant->index);

	ASSERT_TRUE(mem != MAP_FAILED);
	expect_pages(_metadata, mem, variant->index, 0, NR_PAGES);
}

/* However the mapping is cut, each page is the page that it was. */
TEST_F(region, start_is_unmapped)
{
	size_t page = self->page;
	unsigned int gone;
	char *mem;

	for (gone = 1; gone < NR_PAGES; gone++) {
		mem = uio_mmap(&self->dev, variant->index);
		ASSERT_TRUE(mem != MAP_FAILED);
		ASSERT_EQ(0, munmap(mem, gone * page));
		expect_pages(_metadata, mem + gone * page, variant->index, gone,
			     NR_PAGES - gone);
		munmap(mem + gone * page, (NR_PAGES - gone) * page);
	}
}

TEST_F(region, middle_is_unmapped)
{
	char *mem = uio_mmap(&self->dev, variant->index);
	size_t page = self->page;

	ASSERT_TRUE(mem != MAP_FAILED);
	ASSERT_EQ(0, munmap(mem + page, page));
	expect_pages(_metadata, mem + 2 * page, variant->index, 2, 1);
	expect_pages(_metadata, mem, variant->index, 0, 1);
}

TEST_F(region, part_is_protected)
{
	char *mem = uio_mmap(&self->dev, variant->index);
	size_t page = self->page;

	ASSERT_TRUE(mem != MAP_FAILED);
	ASSERT_EQ(0, mprotect(mem + page, page, PROT_READ));
	expect_pages(_metadata, mem, variant->index, 0, NR_PAGES);
}

/* What it was mapped from is freed. */
TEST_F(region, gone_with_its_device)
{
	char *used = uio_mmap(&self->dev, variant->index);
	char *unused = uio_mmap(&self->dev, variant->index);

	ASSERT_TRUE(used != MAP_FAILED && unused != MAP_FAILED);
	expect_pages(_metadata, used, variant->index, 0, NR_PAGES);
	ASSERT_EQ(0, uio_unbind("uio_test_maps"));
	EXPECT_EQ(SIGBUS, uio_touch(used));
	EXPECT_EQ(SIGBUS, uio_touch(used + 2 * self->page));
	EXPECT_EQ(SIGBUS, uio_touch(unused));
}

FIXTURE(coherent)
{
	struct uio_device dev;
};

FIXTURE_SETUP(coherent)
{
	if (!test_bind(_metadata, "uio_test_maps", "uio_test_maps"))
		return;
	ASSERT_EQ(0, uio_open(&self->dev, "uio_test_maps"));
}

FIXTURE_TEARDOWN(coherent)
{
	uio_close(&self->dev);
}

/* What one device finds there, another does, too: no IOMMU knows of them. */
static bool is_dma_address(struct __test_metadata *_metadata, __u64 addr,
			   void *mem)
{
	bool reached;

	ASSERT_EQ(0, test_dma_set("reset", "1"));
	ASSERT_EQ(0, test_dma_set("permitted", "Y"));
	ASSERT_EQ(0, test_dma_write(addr));
	reached = test_dma_reaches(mem);
	ASSERT_EQ(0, test_dma_set("reset", "1"));
	return reached;
}

TEST_F(coherent, shows_the_dma_address)
{
	void *mem = uio_mmap(&self->dev, REGION_COHERENT);
	__u64 addr = self->dev.map[REGION_COHERENT].addr;

	ASSERT_TRUE(mem != MAP_FAILED);
	if (access(TEST_DMA_DIR, F_OK))
		SKIP_WITHOUT(return, "no debugfs");
	EXPECT_TRUE(is_dma_address(_metadata, addr, mem));
	memset(mem, 16 * REGION_COHERENT, uio_page_size());
}

static int count_messages(int kmsg, const char *what)
{
	char record[8192];
	int count = 0;
	ssize_t n;

	for (;;) {
		n = read(kmsg, record, sizeof(record) - 1);
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			return count;
		record[n] = '\0';
		count += !!strstr(record, what);
	}
}

TEST_F(coherent, does_not_fill_the_log)
{
	int kmsg, i;
	void *mem;

	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kmsg < 0)
		SKIP_WITHOUT(return, "no /dev/kmsg");
	lseek(kmsg, 0, SEEK_END);
	for (i = 0; i < NR_WARNED; i++) {
		mem = uio_mmap(&self->dev, REGION_COHERENT);
		ASSERT_TRUE(mem != MAP_FAILED);
		munmap(mem, self->dev.map[REGION_COHERENT].size);
	}
	EXPECT_GE(1, count_messages(kmsg, "UIO_MEM_DMA_COHERENT"));
	close(kmsg);
}

/* There may be none below the 16 MiB that the next device can reach. */
static bool memory_starts_below(__u64 limit)
{
	unsigned long long start = ~0ULL;
	char line[128];
	FILE *file;

	file = fopen("/proc/iomem", "re");
	if (!file)
		return true;
	while (start == ~0ULL && fgets(line, sizeof(line), file))
		if (strstr(line, "System RAM"))
			start = strtoull(line, NULL, 16);
	fclose(file);
	return start < limit;
}

/* uio_test_dmem: of its regions the first can be allocated, the last cannot. */
FIXTURE(dmem)
{
	struct uio_device dev;
	unsigned int last;
};

FIXTURE_SETUP(dmem)
{
	self->dev.fd = -1;
	if (!memory_starts_below(DMEM_LIMIT))
		SKIP(return, "memory starts above %u", DMEM_LIMIT);
	if (!test_bind(_metadata, "uio_test_dmem", "uio_dmem_genirq"))
		return;
	self->last = UIO_MAX_MAPS - 1;
}

FIXTURE_TEARDOWN(dmem)
{
	uio_close(&self->dev);
	EXPECT_EQ(0, uio_unbind("uio_test_dmem"));
}

TEST_F(dmem, memory_comes_and_goes_with_the_file)
{
	int number = uio_find("uio_test_dmem");
	unsigned int i, j;

	ASSERT_LE(0, number);
	if (access(TEST_DMA_DIR, F_OK))
		SKIP_WITHOUT(return, "no debugfs");
	for (i = 0; i < NR_TRIES; i++) {
		for (j = 0; j <= self->last; j++)
			EXPECT_EQ(NO_ADDR, map_addr(_metadata, number, j));

		ASSERT_EQ(0, uio_open(&self->dev, "uio_test_dmem"));
		EXPECT_TRUE(is_dma_address(_metadata,
					   map_addr(_metadata, number, 0),
					   self->dev.regs));
		uio_close(&self->dev);
	}
}

TEST_F(dmem, memory_that_is_not_there)
{
	unsigned int i;

	for (i = 0; i < NR_TRIES; i++) {
		ASSERT_EQ(0, uio_open(&self->dev, "uio_test_dmem"));
		ASSERT_EQ(self->last + 1, self->dev.nr_maps);
		EXPECT_EQ(NO_ADDR, map_addr(_metadata, self->dev.number,
					    self->last));
		EXPECT_ERRNO(ENODEV, (long)uio_mmap(&self->dev, self->last));
		EXPECT_EQ(0, uio_touch(self->dev.regs));
		uio_close(&self->dev);
	}
}

TEST_F(dmem, bound_again)
{
	unsigned int i;

	for (i = 0; i < NR_TRIES; i++) {
		ASSERT_EQ(0, uio_unbind("uio_test_dmem"));
		ASSERT_EQ(0, uio_bind("uio_test_dmem", "uio_dmem_genirq"));
		ASSERT_EQ(0, uio_open(&self->dev, "uio_test_dmem"));
		uio_close(&self->dev);
	}
}

TEST_F(dmem, without_platform_data)
{
	struct uio_device dev;

	EXPECT_EQ(-EINVAL, uio_bind("uio_test_dmem_none", "uio_dmem_genirq"));

	ASSERT_EQ(0, uio_bind("uio_test_dmem_node", "uio_dmem_genirq"));
	ASSERT_EQ(0, uio_open(&dev, "uio_test_dmem_node"));
	EXPECT_EQ(0, dev.nr_maps);
	uio_close(&dev);
	EXPECT_EQ(0, uio_unbind("uio_test_dmem_node"));
}

FIXTURE(private_mapping)
{
	struct uio_buffer buf;
	size_t page;
};

FIXTURE_VARIANT(private_mapping)
{
	enum uio_memory memory;
	unsigned int pages;
};

FIXTURE_VARIANT_ADD(private_mapping, of_system_page) {
	.memory = UIO_MEMORY_SYSTEM, .pages = 1
};

FIXTURE_VARIANT_ADD(private_mapping, of_system_pages) {
	.memory = UIO_MEMORY_SYSTEM, .pages = 16
};

FIXTURE_VARIANT_ADD(private_mapping, of_cma_page) {
	.memory = UIO_MEMORY_CMA, .pages = 1
};

FIXTURE_VARIANT_ADD(private_mapping, of_udmabuf_page) {
	.memory = UIO_MEMORY_USER, .pages = 1
};

FIXTURE_SETUP(private_mapping)
{
	struct uio_device none = { .number = -1 };

	self->page = uio_page_size();
	if (!test_alloc(_metadata, &self->buf, variant->memory, &none,
			variant->pages * self->page))
		return;
}

FIXTURE_TEARDOWN(private_mapping)
{
	uio_buffer_free(&self->buf);
}

/* Its offset in /proc/self/maps would be a physical address. */
TEST_F(private_mapping, is_refused)
{
	int fd = self->buf.fd;

	EXPECT_ERRNO(EINVAL, (long)mmap(NULL, self->page, PROT_READ,
					MAP_PRIVATE, fd, 0));
	EXPECT_ERRNO(EINVAL, (long)mmap(NULL, self->page,
					PROT_READ | PROT_WRITE, MAP_PRIVATE,
					fd, 0));
	EXPECT_ERRNO(EINVAL, (long)mmap(NULL, self->buf.size,
					PROT_READ | PROT_WRITE, MAP_PRIVATE,
					fd, 0));
	EXPECT_EQ(0, uio_touch(self->buf.vaddr));
}

TEST_HARNESS_MAIN
