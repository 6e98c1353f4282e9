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
#define MAX_MIB	"/sys/module/dev_coherent_heap/parameters/max_mib"

/* Numbers that the core of the heaps does not know. */
#define NEXT_NUMBER	_IOWR(DMA_HEAP_IOC_MAGIC, 1, struct dma_heap_allocation_data)
#define LAST_NUMBER	_IOWR(DMA_HEAP_IOC_MAGIC, 255, struct dma_heap_allocation_data)

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

/* As many as there are, or a lot, of @mib MiB: how many. */
static unsigned int alloc_many(struct __test_metadata *_metadata, int heap,
			       unsigned int mib)
{
	unsigned int n, count;
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
	return count;
}

/* All of it, and again: nothing is lost, nobody is killed. */
TEST_F_TIMEOUT(alloc, until_none_is_left, 120)
{
	struct snapshot old = take_snapshot(&self->dev);
	unsigned int count[2];
	struct sysinfo info;

	ASSERT_EQ(0, sysinfo(&info));
	count[0] = alloc_many(_metadata, self->heap, 1);
	count[1] = alloc_many(_metadata, self->heap, 1);
	TH_LOG("%u MiB, then %u", count[0], count[1]);
	EXPECT_LT(0, count[0]);
	/* What one device may have if nobody says otherwise. */
	EXPECT_LE(count[0] * MIB, (__u64)info.totalram * info.mem_unit / 4);
	EXPECT_LE(count[0] - count[0] / 8, count[1]);
	expect_unchanged(_metadata, &self->dev, &old);
}

/*
 * As much as somebody says. Without an IOMMU, when there is no contiguous memory
 * left, it is more at once than the page allocator gives: no reason for a
 * warning.
 */
TEST_F_TIMEOUT(alloc, large_until_none_is_left, 120)
{
	struct snapshot old = take_snapshot(&self->dev);
	unsigned int count;

	if (uio_write_text(MAX_MIB, "100"))
		SKIP(return, "no " MAX_MIB " here");
	count = alloc_many(_metadata, self->heap, 8);
	EXPECT_EQ(0, uio_write_text(MAX_MIB, "0"));
	TH_LOG("%u of 8 MiB", count);
	EXPECT_GE(12, count);
	if (uio_iommu_translates(self->dev.name))
		EXPECT_EQ(12, count);
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

FIXTURE(wrong_alloc)
{
	struct uio_device dev;
	struct snapshot old;
	int heap;
};

/* What is not said is right. */
FIXTURE_VARIANT(wrong_alloc)
{
	int err;
	struct dma_heap_allocation_data arg;
	int mask_bits;
	bool bad_pointer;
	enum bad_pointer pointer;
	unsigned long number;
};

FIXTURE_VARIANT_ADD(wrong_alloc, size_0)
{ EINVAL, .arg = { .len = 0, .fd_flags = O_RDWR } };
/* These are 0 once they are rounded up. */
FIXTURE_VARIANT_ADD(wrong_alloc, size_highest)
{ EINVAL, .arg = { .len = ~0ULL, .fd_flags = O_RDWR } };
FIXTURE_VARIANT_ADD(wrong_alloc, size_that_wraps)
{ EINVAL, .arg = { .len = ~0ULL - 4094, .fd_flags = O_RDWR } };
FIXTURE_VARIANT_ADD(wrong_alloc, size_that_just_does_not_wrap)
{ ENOMEM, .arg = { .len = ~0ULL - 8191, .fd_flags = O_RDWR } };
FIXTURE_VARIANT_ADD(wrong_alloc, size_negative)
{ ENOMEM, .arg = { .len = 1ULL << 63, .fd_flags = O_RDWR } };
FIXTURE_VARIANT_ADD(wrong_alloc, size_16_tib)
{ ENOMEM, .arg = { .len = 1ULL << 44 | 4096, .fd_flags = O_RDWR } };
FIXTURE_VARIANT_ADD(wrong_alloc, size_2_tib)
{ ENOMEM, .arg = { .len = 2ULL << 40, .fd_flags = O_RDWR } };
FIXTURE_VARIANT_ADD(wrong_alloc, size_64_gib)
{ ENOMEM, .arg = { .len = 64ULL << 30, .fd_flags = O_RDWR } };
FIXTURE_VARIANT_ADD(wrong_alloc, size_of_32_bits_and_a_page)
{ ENOMEM, .arg = { .len = (1ULL << 32) + 4096, .fd_flags = O_RDWR } };
FIXTURE_VARIANT_ADD(wrong_alloc, size_of_32_bits)
{ ENOMEM, .arg = { .len = 1ULL << 32, .fd_flags = O_RDWR } };
FIXTURE_VARIANT_ADD(wrong_alloc, size_of_28_bits_and_a_page) {
	.err = ENOMEM, .mask_bits = 28,
	.arg = { .len = 256 * MIB + 4096, .fd_flags = O_RDWR },
};

FIXTURE_VARIANT_ADD(wrong_alloc, size_beyond_28_bits)
{ ENOMEM, .mask_bits = 28, .arg = { .len = 1024 * MIB, .fd_flags = O_RDWR } };
FIXTURE_VARIANT_ADD(wrong_alloc, lowest_heap_flag)
{ EINVAL, .arg = { .len = 4096, .fd_flags = O_RDWR, .heap_flags = 1 } };
FIXTURE_VARIANT_ADD(wrong_alloc, highest_heap_flag) {
	.err = EINVAL,
	.arg = { .len = 4096, .fd_flags = O_RDWR, .heap_flags = 1ULL << 63 },
};

FIXTURE_VARIANT_ADD(wrong_alloc, nonblock)
{ EINVAL, .arg = { .len = 4096, .fd_flags = O_RDWR | O_NONBLOCK } };
FIXTURE_VARIANT_ADD(wrong_alloc, append)
{ EINVAL, .arg = { .len = 4096, .fd_flags = O_RDWR | O_APPEND } };
FIXTURE_VARIANT_ADD(wrong_alloc, all_fd_flags)
{ EINVAL, .arg = { .len = 4096, .fd_flags = ~0U } };
FIXTURE_VARIANT_ADD(wrong_alloc, fd_given)
{ EINVAL, .arg = { .len = 4096, .fd_flags = O_RDWR, .fd = 1 } };
FIXTURE_VARIANT_ADD(wrong_alloc, fd_negative)
{ EINVAL, .arg = { .len = 4096, .fd_flags = O_RDWR, .fd = ~0U } };
FIXTURE_VARIANT_ADD(wrong_alloc, next_number)
{ EINVAL, .number = NEXT_NUMBER, .arg = { .len = 4096, .fd_flags = O_RDWR } };
FIXTURE_VARIANT_ADD(wrong_alloc, last_number)
{ EINVAL, .number = LAST_NUMBER, .arg = { .len = 4096, .fd_flags = O_RDWR } };
FIXTURE_VARIANT_ADD(wrong_alloc, null_pointer) { EFAULT, .bad_pointer = true };
FIXTURE_VARIANT_ADD(wrong_alloc, kernel_pointer)
{ EFAULT, .bad_pointer = true, .pointer = POINTER_KERNEL };
FIXTURE_VARIANT_ADD(wrong_alloc, unmapped_pointer)
{ EFAULT, .bad_pointer = true, .pointer = POINTER_UNMAPPED };
FIXTURE_VARIANT_ADD(wrong_alloc, half_mapped_pointer) {
	.err = EFAULT, .bad_pointer = true, .pointer = POINTER_HALF_MAPPED,
	.arg = { .len = 4096, .fd_flags = O_RDWR },
};

FIXTURE_SETUP(wrong_alloc)
{
	char heap[UIO_NAME_LEN];

	if (!test_open(_metadata, &self->dev, 0))
		return;
	if (!test_set_mask(_metadata, &self->dev,
			   variant->mask_bits ? variant->mask_bits : 32))
		return;
	ASSERT_EQ(0, uio_heap_name(self->dev.number, heap, sizeof(heap)));
	self->heap = uio_heap_open(heap);
	ASSERT_LE(0, self->heap);
	self->old = take_snapshot(&self->dev);
}

FIXTURE_TEARDOWN(wrong_alloc)
{
	expect_unchanged(_metadata, &self->dev, &self->old);
	close(self->heap);
	/* There is no buffer that would be in the way. */
	EXPECT_EQ(0, uio_set_dma_mask_bits(self->dev.number, 32));
	uio_close(&self->dev);
}

TEST_F(wrong_alloc, changes_nothing)
{
	struct dma_heap_allocation_data arg = variant->arg;
	unsigned long number = variant->number;
	long start = uio_now_ms();
	void *p = &arg;

	if (!number)
		number = DMA_HEAP_IOCTL_ALLOC;
	if (variant->bad_pointer)
		p = make_bad_pointer(variant->pointer, &arg, sizeof(arg));
	EXPECT_ERRNO(variant->err, ioctl(self->heap, number, p));
	EXPECT_EQ(0, memcmp(&arg, &variant->arg, sizeof(arg)));

	/* It is not the search for memory that ends in failure. */
	EXPECT_GT(1000, uio_now_ms() - start);
}

static int alloc_to(int heap, void *arg)
{
	return ioctl(heap, DMA_HEAP_IOCTL_ALLOC, arg) ? -errno : 0;
}

/* The buffer exists by then. */
TEST_F(alloc, cannot_write_answer)
{
	struct dma_heap_allocation_data arg = {
		.len = 4096,
		.fd_flags = O_RDWR,
	};
	struct snapshot old;
	int fds, heap;
	void *p;

	/* Any heap shows whether the kernel at large gets this one right. */
	heap = uio_heap_open("system");
	ASSERT_LE(0, heap);
	old = take_snapshot(&self->dev);
	p = make_bad_pointer(POINTER_READ_ONLY, &arg, sizeof(arg));
	fds = uio_count_fds();
	EXPECT_EQ(-EFAULT, alloc_to(self->heap, p));
	if (uio_count_fds() != fds)
		alloc_to(heap, p);
	if (uio_count_fds() > fds + 1)
		SKIP(return, "all heaps leak a descriptor on EFAULT here");
	expect_unchanged(_metadata, &self->dev, &old);
	close(heap);
}

/*
 * What the core of the heaps does today with calls that are not quite right.
 * Should this change, then for all heaps.
 */
TEST_F(alloc, core_quirks)
{
	struct {
		struct dma_heap_allocation_data data;
		char more[16376 - sizeof(struct dma_heap_allocation_data)];
	} arg = { .data = { .len = 4096, .fd_flags = O_RDWR } };
	struct snapshot old = take_snapshot(&self->dev);
	int first, fd;

	first = dup(0);
	ASSERT_LE(0, first);
	close(first);

	/* Another type */
	EXPECT_EQ(0, ioctl(self->heap, _IOWR('Z', 0, arg.data), &arg));
	EXPECT_EQ(first, arg.data.fd);
	close(first);

	/* One way: there is a buffer, but its number is not told. */
	arg.data.fd = 0;
	EXPECT_EQ(0, ioctl(self->heap, _IOW(DMA_HEAP_IOC_MAGIC, 0, arg.data),
			   &arg));
	EXPECT_EQ(0, arg.data.fd);
	EXPECT_EQ(4096, lseek(first, 0, SEEK_END));
	close(first);

	/* The size only: the rest is 0. */
	EXPECT_EQ(0, ioctl(self->heap, _IOWR(DMA_HEAP_IOC_MAGIC, 0, __u64),
			   &arg));
	EXPECT_EQ(0, arg.data.fd);
	EXPECT_EQ(O_RDONLY, fcntl(first, F_GETFL) & O_ACCMODE);
	close(first);

	/* An argument as long as they can be. What follows is not looked at. */
	for (fd = 0; fd < 2; fd++) {
		memset(arg.more, fd, sizeof(arg.more));
		arg.data.fd = 0;
		EXPECT_EQ(0, ioctl(self->heap, _IOC(_IOC_READ | _IOC_WRITE,
						    DMA_HEAP_IOC_MAGIC, 0,
						    sizeof(arg)), &arg));
		EXPECT_EQ(first, arg.data.fd);
		EXPECT_EQ(-1, uio_differs_from(arg.more, sizeof(arg.more), fd));
		close(first);
	}
	expect_unchanged(_metadata, &self->dev, &old);
}

TEST_F(alloc, cannot_without_descriptors)
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
