// SPDX-License-Identifier: GPL-2.0
/*
 * Allocating from a device's heap: right calls give what was asked for, wrong
 * ones the documented errno, and those change nothing.
 */
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>

#include <linux/dma-heap.h>

#include "uio_test.h"

#define MIB	(1024ULL * 1024)

FIXTURE(alloc)
{
	struct uio_device dev;
	int heap;
};

FIXTURE_SETUP(alloc)
{
	char heap[UIO_NAME_LEN];

	if (!test_open(_metadata, &self->dev, 0))
		return;
	ASSERT_EQ(0, uio_set_dma_mask_bits(self->dev.number, 32));
	ASSERT_EQ(0, uio_heap_name(self->dev.number, heap, sizeof(heap)));
	self->heap = uio_heap_open(heap);
	ASSERT_LE(0, self->heap);
}

FIXTURE_TEARDOWN(alloc)
{
	close(self->heap);
	uio_close(&self->dev);
}

TEST_F(alloc, size_is_rounded_up)
{
	static const __u64 size[] = { 1, 4095, 4096, 4097, 4 * MIB };
	size_t page = uio_page_size();
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(size); i++) {
		fd = uio_heap_alloc(self->heap, size[i]);
		ASSERT_LE(0, fd);
		EXPECT_EQ((size[i] + page - 1) / page * page,
			  lseek(fd, 0, SEEK_END));
		close(fd);
	}
}

TEST_F(alloc, wrong_size)
{
	static const struct {
		__u64 size;
		int err;
	} wrong[] = {
		{ 0, -EINVAL },
		/* These are 0 once they are rounded up. */
		{ ~0ULL, -EINVAL },
		{ ~0ULL - 4094, -EINVAL },
		{ ~0ULL - 8191, -ENOMEM },
		{ 1ULL << 63, -ENOMEM },
		{ 1ULL << 44 | 4096, -ENOMEM },
		{ 2ULL << 40, -ENOMEM },
		{ 64ULL << 30, -ENOMEM },
		/* The first that does not fit the mask. */
		{ (1ULL << 32) + 4096, -ENOMEM },
		{ 1ULL << 32, -ENOMEM },
	};
	struct snapshot old = take_snapshot(&self->dev);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		EXPECT_EQ(wrong[i].err,
			  uio_heap_alloc(self->heap, wrong[i].size)) {
			TH_LOG("size %llx", (unsigned long long)wrong[i].size);
		}
	}
	expect_unchanged(_metadata, &self->dev, &old);

	/* The mask bounds the size as well. */
	if (!test_set_mask(_metadata, &self->dev, 28))
		return;
	EXPECT_EQ(-ENOMEM, uio_heap_alloc(self->heap, 256 * MIB + 4096));
	ASSERT_EQ(0, uio_set_dma_mask_bits(self->dev.number, 32));
	expect_unchanged(_metadata, &self->dev, &old);
}

/* As many as there are, or a lot, of @mib MiB: how many. */
static unsigned int alloc_many(struct __test_metadata *_metadata, int heap,
			       unsigned int mib)
{
	unsigned int n, count;
	struct sysinfo info;
	int fd[256];

	for (n = 0; n < ARRAY_SIZE(fd); n++) {
		fd[n] = uio_heap_alloc(heap, mib * MIB);
		if (fd[n] < 0)
			break;
	}
	if (n < ARRAY_SIZE(fd))
		EXPECT_EQ(-ENOMEM, fd[n]);
	count = n;
	while (n)
		close(fd[--n]);

	/* What one device may have if nobody says otherwise. */
	ASSERT_EQ(0, sysinfo(&info));
	EXPECT_LE(count * mib * MIB, (__u64)info.totalram * info.mem_unit / 4);
	return count;
}

/* All of it, and again: nothing is lost, nobody is killed. */
TEST_F_TIMEOUT(alloc, until_none_is_left, 120)
{
	struct snapshot old = take_snapshot(&self->dev);
	unsigned int count[2];

	count[0] = alloc_many(_metadata, self->heap, 1);
	count[1] = alloc_many(_metadata, self->heap, 1);
	TH_LOG("%u MiB, then %u", count[0], count[1]);
	EXPECT_LT(0, count[0]);
	EXPECT_LE(count[0] - count[0] / 8, count[1]);
	expect_unchanged(_metadata, &self->dev, &old);
}

/* More at once than the page allocator gives: that fails without a warning. */
TEST_F_TIMEOUT(alloc, large_until_none_is_left, 120)
{
	struct snapshot old = take_snapshot(&self->dev);

	TH_LOG("%u of 8 MiB", alloc_many(_metadata, self->heap, 8));
	expect_unchanged(_metadata, &self->dev, &old);
}

TEST_F(alloc, wrong_fields)
{
	static const struct dma_heap_allocation_data wrong[] = {
		{ .len = 4096, .fd_flags = O_RDWR, .heap_flags = 1 },
		{ .len = 4096, .fd_flags = O_RDWR, .heap_flags = 1ULL << 63 },
		{ .len = 4096, .fd_flags = O_RDWR | O_NONBLOCK },
		{ .len = 4096, .fd_flags = O_RDWR | O_APPEND },
		{ .len = 4096, .fd_flags = ~0U },
		{ .len = 4096, .fd_flags = O_RDWR, .fd = 1 },
		{ .len = 4096, .fd_flags = O_RDWR, .fd = ~0U },
	};
	struct snapshot old = take_snapshot(&self->dev);
	struct dma_heap_allocation_data arg;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		arg = wrong[i];
		EXPECT_ERRNO(EINVAL, ioctl(self->heap, DMA_HEAP_IOCTL_ALLOC,
					   &arg));
		EXPECT_EQ(0, memcmp(&arg, &wrong[i], sizeof(arg)));
	}
	EXPECT_ERRNO(EINVAL, ioctl(self->heap, _IOWR(DMA_HEAP_IOC_MAGIC, 1,
						     struct dma_heap_allocation_data),
				   &arg));
	expect_unchanged(_metadata, &self->dev, &old);
}

TEST_F(alloc, fd_flags)
{
	static const __u32 flags[] = { O_RDONLY, O_WRONLY, O_RDWR };
	unsigned int i;
	int fd;

	for (i = 0; i < 2 * ARRAY_SIZE(flags); i++) {
		fd = uio_heap_alloc_flags(self->heap, 1,
					  flags[i / 2] | (i % 2 ? O_CLOEXEC : 0));
		ASSERT_LE(0, fd);
		EXPECT_EQ(flags[i / 2], fcntl(fd, F_GETFL) & O_ACCMODE);
		EXPECT_EQ(i % 2 ? FD_CLOEXEC : 0, fcntl(fd, F_GETFD));
		close(fd);
	}
}

static int alloc_to(int heap, void *arg)
{
	return ioctl(heap, DMA_HEAP_IOCTL_ALLOC, arg) ? -errno : 0;
}

TEST_F(alloc, wrong_pointer)
{
	struct dma_heap_allocation_data arg = {
		.len = 4096,
		.fd_flags = O_RDWR,
	};
	struct snapshot old = take_snapshot(&self->dev);
	unsigned int i;
	int fds, heap;
	void *p;

	for (i = 0; i < POINTER_READ_ONLY; i++) {
		p = make_bad_pointer(i, &arg, sizeof(arg));
		EXPECT_EQ(-EFAULT, alloc_to(self->heap, p));
	}
	expect_unchanged(_metadata, &self->dev, &old);

	/* Any heap shows whether the kernel at large gets this one right. */
	heap = uio_heap_open("system");
	p = make_bad_pointer(POINTER_READ_ONLY, &arg, sizeof(arg));
	fds = uio_count_fds();
	EXPECT_EQ(-EFAULT, alloc_to(self->heap, p));
	if (heap >= 0 && uio_count_fds() != fds)
		alloc_to(heap, p);
	if (uio_count_fds() > fds + 1)
		SKIP(return, "all heaps leak a descriptor on EFAULT here");
	close(heap);
	expect_unchanged(_metadata, &self->dev, &old);
}

TEST_F(alloc, no_descriptor_left)
{
	struct snapshot old = take_snapshot(&self->dev);
	struct rlimit limit, few;
	int fd, i, n = 0;
	int fill[64];

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	few = limit;
	few.rlim_cur = 64;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &few));
	while (n < 64) {
		fill[n] = dup(0);
		if (fill[n] < 0)
			break;
		n++;
	}
	for (i = 0; i < 100; i++) {
		fd = uio_heap_alloc(self->heap, 4096);
		EXPECT_EQ(-EMFILE, fd);
	}
	while (n)
		close(fill[--n]);
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	expect_unchanged(_metadata, &self->dev, &old);

	fd = uio_heap_alloc(self->heap, 4096);
	EXPECT_LE(0, fd);
	close(fd);
}

TEST_HARNESS_MAIN
