// SPDX-License-Identifier: GPL-2.0
/*
 * What happens to wrong calls that ask for an address? Each argument is wrong in
 * turn: the answer is the documented errno, and nothing has changed.
 */
#include <limits.h>
#include <sys/ioctl.h>

#include "uio_test.h"

#define OTHER_UIO_DRIVER	"hilscher"

/* Numbers that the kernel does not know, next to ones that it does. */
#define GET_TOO_SHORT	_IOC(_IOC_READ | _IOC_WRITE, DMA_BUF_BASE, 4, \
			     sizeof(struct dma_buf_get_dma_addr) - 8)
#define GET_TOO_LONG	_IOC(_IOC_READ | _IOC_WRITE, DMA_BUF_BASE, 4, \
			     sizeof(struct dma_buf_get_dma_addr) + 8)
#define GET_ONE_WAY	_IOW(DMA_BUF_BASE, 4, struct dma_buf_get_dma_addr)
#define GET_OTHER_TYPE	_IOWR('c', 4, struct dma_buf_get_dma_addr)
#define PUT_TOO_LONG	_IOW(DMA_BUF_BASE, 5, struct dma_buf_get_dma_addr)
#define PUT_BOTH_WAYS	_IOWR(DMA_BUF_BASE, 5, struct dma_buf_put_dma_addr)
#define NEXT_NUMBER	_IOWR(DMA_BUF_BASE, 6, struct dma_buf_get_dma_addr)

/* The file that a call names as the buffer, or as the device. */
enum which {
	RIGHT,
	NONE,
	CLOSED,
	HUGE_NUMBER,
	PATH_ONLY,
	REGULAR,
	DIRECTORY,
	ANOTHER_DEVICE,
	PIPE,
	THE_BUFFER,
	THE_DEVICE,
	THE_HEAP,
	READ_ONLY_DEVICE,
};

/**
 * struct wrong - what is wrong with a call
 * @err: the errno to get
 * @buffer: file that the call is made on
 * @device: file that the call names as the device
 * @flags: flags
 * @offset: offset into the buffer
 * @past_end: @offset counts from the end of the buffer
 * @bad_pointer: the argument is at a bad @pointer
 * @number: another number of the call
 */
struct wrong {
	int err;
	enum which buffer;
	enum which device;
	__u32 flags;
	__u64 offset;
	bool past_end;
	bool bad_pointer;
	enum bad_pointer pointer;
	unsigned long number;
};

static int open_which(enum which which, const struct uio_device *dev,
		      const struct uio_buffer *buf)
{
	char heap[UIO_NAME_LEN];
	int fd, fds[2];

	switch (which) {
	case RIGHT:
		return -1;
	case NONE:
		return -1;
	case CLOSED:
		fd = dup(0);
		close(fd);
		return fd;
	case HUGE_NUMBER:
		return INT_MAX;
	case PATH_ONLY:
		return open("/dev/null", O_PATH);
	case REGULAR:
		return memfd_create("uio-selftest", 0);
	case DIRECTORY:
		return open("/", O_RDONLY | O_DIRECTORY);
	case ANOTHER_DEVICE:
		return open("/dev/null", O_RDWR);
	case PIPE:
		if (pipe(fds))
			return -1;
		close(fds[1]);
		return fds[0];
	case THE_BUFFER:
		return dup(buf->fd);
	case THE_DEVICE:
		return dup(dev->fd);
	case THE_HEAP:
		if (uio_heap_name(dev->number, heap, sizeof(heap)))
			return -1;
		return uio_heap_open(heap);
	case READ_ONLY_DEVICE:
		return uio_open_fd(dev->number, O_RDONLY);
	}
	return -1;
}

static void close_which(enum which which, int fd)
{
	if (which > HUGE_NUMBER)
		close(fd);
}

/**
 * struct target - a device and a buffer to be wrong about
 */
struct target {
	struct uio_device dev;
	struct uio_buffer buf;
	struct snapshot old;
};

static void set_up(struct __test_metadata *_metadata, struct target *t)
{
	if (!test_open(_metadata, &t->dev, 0))
		return;
	ASSERT_EQ(0, uio_buffer_alloc_device(&t->buf, t->dev.number,
					     2 * uio_page_size()));
	t->old = take_snapshot(&t->dev);
}

static void map_first(struct __test_metadata *_metadata, struct target *t)
{
	__u64 addr;

	ASSERT_EQ(0, uio_dma_addr(t->buf.fd, t->dev.fd, &addr));
	t->old = take_snapshot(&t->dev);
	EXPECT_EQ(1, t->old.bus_master);
}

/* Whatever went wrong: nothing has changed, and the right call is right. */
static void tear_down(struct __test_metadata *_metadata, struct target *t)
{
	int put = t->old.bus_master ? 0 : -ENOENT;
	__u64 addr;

	expect_unchanged(_metadata, &t->dev, &t->old);
	EXPECT_EQ(put, uio_dma_put(t->buf.fd, t->dev.fd));
	EXPECT_EQ(0, uio_dma_addr(t->buf.fd, t->dev.fd, &addr));
	EXPECT_EQ(0, uio_dma_put(t->buf.fd, t->dev.fd));
	uio_buffer_free(&t->buf);
	uio_close(&t->dev);
}

/* The errno of a GET that fails and leaves its argument as it was. */
static int failing_get(int dmabuf, int dev_fd, __u32 flags, __u64 offset)
{
	struct dma_buf_get_dma_addr get = {
		.dev_fd = dev_fd,
		.flags = flags,
		.offset = offset,
		.dma_addr = 0x5a5a5a5a5a5a5a5a,
		.len = 0xa5a5a5a5a5a5a5a5,
	};
	struct dma_buf_get_dma_addr old = get;
	int ret;

	ret = ioctl(dmabuf, DMA_BUF_IOCTL_GET_DMA_ADDR, &get) ? -errno : 0;
	return memcmp(&get, &old, sizeof(get)) ? 1 : ret;
}

static int put_flags(int dmabuf, int dev_fd, __u32 flags)
{
	struct dma_buf_put_dma_addr put = { .dev_fd = dev_fd, .flags = flags };

	return ioctl(dmabuf, DMA_BUF_IOCTL_PUT_DMA_ADDR, &put) ? -errno : 0;
}

/* Make the call: the argument, of @len bytes, must not change. */
static void expect_wrong(struct __test_metadata *_metadata, struct target *t,
			 const struct wrong *wrong, unsigned long number,
			 void *arg, size_t len)
{
	struct dma_buf_get_dma_addr memory[2] = {}, old[2];
	void *p = memory;
	int fd;

	fd = wrong->buffer ? open_which(wrong->buffer, &t->dev, &t->buf) :
	     t->buf.fd;
	memcpy(memory, arg, len);
	memcpy(old, memory, sizeof(old));
	if (wrong->number)
		number = wrong->number;
	if (wrong->bad_pointer)
		p = make_bad_pointer(wrong->pointer, arg, len);
	EXPECT_ERRNO(wrong->err, ioctl(fd, number, p));
	EXPECT_EQ(0, memcmp(memory, old, sizeof(old)));
	if (wrong->buffer)
		close_which(wrong->buffer, fd);
}

FIXTURE(wrong_get)
{
	struct target target;
};

FIXTURE_VARIANT(wrong_get)
{
	struct wrong wrong;
};

FIXTURE_VARIANT_ADD(wrong_get, lowest_unknown_flag) { { EINVAL, .flags = 8 } };
FIXTURE_VARIANT_ADD(wrong_get, middle_flag) { { EINVAL, .flags = 1 << 16 } };
FIXTURE_VARIANT_ADD(wrong_get, highest_flag) { { EINVAL, .flags = 1U << 31 } };
FIXTURE_VARIANT_ADD(wrong_get, all_flags) { { EINVAL, .flags = ~0U } };
FIXTURE_VARIANT_ADD(wrong_get, offset_at_end) { { EINVAL, .past_end = true } };
FIXTURE_VARIANT_ADD(wrong_get, offset_past_end)
{ { EINVAL, .past_end = true, .offset = 1 } };
FIXTURE_VARIANT_ADD(wrong_get, offset_4_gib)
{ { EINVAL, .offset = 1ULL << 32 } };
FIXTURE_VARIANT_ADD(wrong_get, offset_negative)
{ { EINVAL, .offset = 1ULL << 63 } };
FIXTURE_VARIANT_ADD(wrong_get, offset_last_page)
{ { EINVAL, .offset = ~0ULL - 4095 } };
FIXTURE_VARIANT_ADD(wrong_get, offset_highest) { { EINVAL, .offset = ~0ULL } };
FIXTURE_VARIANT_ADD(wrong_get, no_device) { { EBADF, .device = NONE } };
FIXTURE_VARIANT_ADD(wrong_get, closed_device) { { EBADF, .device = CLOSED } };
FIXTURE_VARIANT_ADD(wrong_get, huge_device)
{ { EBADF, .device = HUGE_NUMBER } };
FIXTURE_VARIANT_ADD(wrong_get, path_for_device)
{ { EBADF, .device = PATH_ONLY } };
FIXTURE_VARIANT_ADD(wrong_get, file_for_device)
{ { EINVAL, .device = REGULAR } };
FIXTURE_VARIANT_ADD(wrong_get, directory_for_device)
{ { EINVAL, .device = DIRECTORY } };
FIXTURE_VARIANT_ADD(wrong_get, other_kind_of_device)
{ { EINVAL, .device = ANOTHER_DEVICE } };
FIXTURE_VARIANT_ADD(wrong_get, pipe_for_device) { { EINVAL, .device = PIPE } };
FIXTURE_VARIANT_ADD(wrong_get, buffer_for_device)
{ { EINVAL, .device = THE_BUFFER } };
FIXTURE_VARIANT_ADD(wrong_get, heap_for_device)
{ { EINVAL, .device = THE_HEAP } };
FIXTURE_VARIANT_ADD(wrong_get, read_only_device)
{ { EACCES, .device = READ_ONLY_DEVICE } };
FIXTURE_VARIANT_ADD(wrong_get, no_buffer) { { EBADF, .buffer = NONE } };
FIXTURE_VARIANT_ADD(wrong_get, closed_buffer) { { EBADF, .buffer = CLOSED } };
FIXTURE_VARIANT_ADD(wrong_get, file_for_buffer)
{ { ENOTTY, .buffer = REGULAR } };
FIXTURE_VARIANT_ADD(wrong_get, device_for_buffer)
{ { ENOTTY, .buffer = THE_DEVICE } };
FIXTURE_VARIANT_ADD(wrong_get, heap_for_buffer)
{ { EINVAL, .buffer = THE_HEAP } };
FIXTURE_VARIANT_ADD(wrong_get, too_short)
{ { ENOTTY, .number = GET_TOO_SHORT } };
FIXTURE_VARIANT_ADD(wrong_get, too_long) { { ENOTTY, .number = GET_TOO_LONG } };
FIXTURE_VARIANT_ADD(wrong_get, one_way) { { ENOTTY, .number = GET_ONE_WAY } };
FIXTURE_VARIANT_ADD(wrong_get, other_type)
{ { ENOTTY, .number = GET_OTHER_TYPE } };
FIXTURE_VARIANT_ADD(wrong_get, next_number)
{ { ENOTTY, .number = NEXT_NUMBER } };
FIXTURE_VARIANT_ADD(wrong_get, null_pointer)
{ { EFAULT, .bad_pointer = true } };
FIXTURE_VARIANT_ADD(wrong_get, kernel_pointer)
{ { EFAULT, .bad_pointer = true, .pointer = POINTER_KERNEL } };
FIXTURE_VARIANT_ADD(wrong_get, unmapped_pointer)
{ { EFAULT, .bad_pointer = true, .pointer = POINTER_UNMAPPED } };
FIXTURE_VARIANT_ADD(wrong_get, half_mapped_pointer)
{ { EFAULT, .bad_pointer = true, .pointer = POINTER_HALF_MAPPED } };
FIXTURE_VARIANT_ADD(wrong_get, read_only_pointer)
{ { EFAULT, .bad_pointer = true, .pointer = POINTER_READ_ONLY } };
/* What is asked for is looked at before who asks. */
FIXTURE_VARIANT_ADD(wrong_get, flag_and_device)
{ { EINVAL, .flags = 8, .device = NONE } };
FIXTURE_VARIANT_ADD(wrong_get, offset_and_device)
{ { EINVAL, .past_end = true, .device = NONE } };

FIXTURE_SETUP(wrong_get)
{
	set_up(_metadata, &self->target);
}

FIXTURE_TEARDOWN(wrong_get)
{
	tear_down(_metadata, &self->target);
}

static void expect_wrong_get(struct __test_metadata *_metadata,
			     struct target *t, const struct wrong *wrong)
{
	struct dma_buf_get_dma_addr get = {
		.dev_fd = t->dev.fd,
		.flags = wrong->flags,
		.offset = wrong->offset + (wrong->past_end ? t->buf.size : 0),
		.dma_addr = 0x5a5a5a5a5a5a5a5a,
		.len = 0xa5a5a5a5a5a5a5a5,
	};

	if (wrong->device)
		get.dev_fd = open_which(wrong->device, &t->dev, &t->buf);
	expect_wrong(_metadata, t, wrong, DMA_BUF_IOCTL_GET_DMA_ADDR, &get,
		     sizeof(get));
	close_which(wrong->device, get.dev_fd);
}

/* A wrong call may be the first for a buffer, or come after a right one. */
TEST_F(wrong_get, first)
{
	expect_wrong_get(_metadata, &self->target, &variant->wrong);
}

TEST_F(wrong_get, later)
{
	map_first(_metadata, &self->target);
	expect_wrong_get(_metadata, &self->target, &variant->wrong);
}

FIXTURE(wrong_put)
{
	struct target target;
};

FIXTURE_VARIANT(wrong_put)
{
	struct wrong wrong;
};

FIXTURE_VARIANT_ADD(wrong_put, lowest_flag) { { EINVAL, .flags = 1 } };
FIXTURE_VARIANT_ADD(wrong_put, highest_flag) { { EINVAL, .flags = 1U << 31 } };
FIXTURE_VARIANT_ADD(wrong_put, all_flags) { { EINVAL, .flags = ~0U } };
FIXTURE_VARIANT_ADD(wrong_put, no_device) { { EBADF, .device = NONE } };
FIXTURE_VARIANT_ADD(wrong_put, closed_device) { { EBADF, .device = CLOSED } };
FIXTURE_VARIANT_ADD(wrong_put, path_for_device)
{ { EBADF, .device = PATH_ONLY } };
FIXTURE_VARIANT_ADD(wrong_put, file_for_device)
{ { EINVAL, .device = REGULAR } };
FIXTURE_VARIANT_ADD(wrong_put, pipe_for_device) { { EINVAL, .device = PIPE } };
FIXTURE_VARIANT_ADD(wrong_put, other_kind_of_device)
{ { EINVAL, .device = ANOTHER_DEVICE } };
FIXTURE_VARIANT_ADD(wrong_put, buffer_for_device)
{ { EINVAL, .device = THE_BUFFER } };
FIXTURE_VARIANT_ADD(wrong_put, read_only_device)
{ { EACCES, .device = READ_ONLY_DEVICE } };
FIXTURE_VARIANT_ADD(wrong_put, no_buffer) { { EBADF, .buffer = NONE } };
FIXTURE_VARIANT_ADD(wrong_put, file_for_buffer)
{ { ENOTTY, .buffer = REGULAR } };
FIXTURE_VARIANT_ADD(wrong_put, device_for_buffer)
{ { ENOTTY, .buffer = THE_DEVICE } };
FIXTURE_VARIANT_ADD(wrong_put, too_long) { { ENOTTY, .number = PUT_TOO_LONG } };
FIXTURE_VARIANT_ADD(wrong_put, both_ways)
{ { ENOTTY, .number = PUT_BOTH_WAYS } };
FIXTURE_VARIANT_ADD(wrong_put, null_pointer)
{ { EFAULT, .bad_pointer = true } };
FIXTURE_VARIANT_ADD(wrong_put, kernel_pointer)
{ { EFAULT, .bad_pointer = true, .pointer = POINTER_KERNEL } };
FIXTURE_VARIANT_ADD(wrong_put, unmapped_pointer)
{ { EFAULT, .bad_pointer = true, .pointer = POINTER_UNMAPPED } };
FIXTURE_VARIANT_ADD(wrong_put, half_mapped_pointer)
{ { EFAULT, .bad_pointer = true, .pointer = POINTER_HALF_MAPPED } };
FIXTURE_VARIANT_ADD(wrong_put, flag_and_device)
{ { EINVAL, .flags = 1, .device = NONE } };

FIXTURE_SETUP(wrong_put)
{
	set_up(_metadata, &self->target);
}

FIXTURE_TEARDOWN(wrong_put)
{
	tear_down(_metadata, &self->target);
}

static void expect_wrong_put(struct __test_metadata *_metadata,
			     struct target *t, const struct wrong *wrong)
{
	struct dma_buf_put_dma_addr put = {
		.dev_fd = t->dev.fd,
		.flags = wrong->flags,
	};

	if (wrong->device)
		put.dev_fd = open_which(wrong->device, &t->dev, &t->buf);
	expect_wrong(_metadata, t, wrong, DMA_BUF_IOCTL_PUT_DMA_ADDR, &put,
		     sizeof(put));
	close_which(wrong->device, put.dev_fd);
}

TEST_F(wrong_put, unmapped)
{
	expect_wrong_put(_metadata, &self->target, &variant->wrong);
}

TEST_F(wrong_put, mapped)
{
	map_first(_metadata, &self->target);
	expect_wrong_put(_metadata, &self->target, &variant->wrong);
}

/* Every bit that has no meaning is refused, not only some. */
TEST(wrong_flags)
{
	struct target t = { .dev.fd = -1 };
	unsigned int i;

	set_up(_metadata, &t);
	if (t.dev.fd < 0)
		return;
	for (i = 3; i < 32; i++)
		EXPECT_EQ(-EINVAL, failing_get(t.buf.fd, t.dev.fd, 1U << i, 0));
	for (i = 0; i < 32; i++)
		EXPECT_EQ(-EINVAL, put_flags(t.buf.fd, t.dev.fd, 1U << i));
	tear_down(_metadata, &t);
}

TEST(read_only_buffer)
{
	struct dma_buf_get_dma_addr get;
	struct uio_device dev;
	char heap[UIO_NAME_LEN];
	int heap_fd, dmabuf;

	if (!test_open(_metadata, &dev, 0))
		return;
	ASSERT_EQ(0, uio_heap_name(dev.number, heap, sizeof(heap)));
	heap_fd = uio_heap_open(heap);
	dmabuf = uio_heap_alloc_flags(heap_fd, 4096, O_RDONLY);
	ASSERT_LE(0, dmabuf);

	EXPECT_EQ(-EACCES, failing_get(dmabuf, dev.fd, 0, 0));
	EXPECT_EQ(-EACCES, failing_get(dmabuf, dev.fd, BOTH_WAYS, 0));
	EXPECT_EQ(-EACCES, failing_get(dmabuf, dev.fd, DMA_BUF_DMA_FROM_DEVICE,
				       0));
	EXPECT_EQ(0, uio_bus_master(dev.name));
	EXPECT_EQ(0, uio_dma_get(dmabuf, dev.fd, DMA_BUF_DMA_TO_DEVICE, 0,
				 &get));
	EXPECT_EQ(DMA_BUF_DMA_TO_DEVICE, get.flags & BOTH_WAYS);
	EXPECT_EQ(0, uio_dma_put(dmabuf, dev.fd));
	close(dmabuf);
	close(heap_fd);
	uio_close(&dev);
}

/* A UIO driver that knows nothing of DMA. */
TEST(driver_without_dma)
{
	const char *name = uio_test_device(1);
	struct uio_device dev, other;
	struct uio_buffer buf;
	char path[UIO_PATH_LEN];

	if (access("/sys/bus/pci/drivers/" OTHER_UIO_DRIVER, F_OK))
		SKIP_WITHOUT(return, "no driver " OTHER_UIO_DRIVER ": CONFIG_UIO_CIF?");
	if (!test_open(_metadata, &dev, 0))
		return;
	if (!test_open(_metadata, &other, 1))
		return;
	uio_close(&other);
	ASSERT_EQ(0, uio_buffer_alloc_device(&buf, dev.number, 4096));
	ASSERT_EQ(0, uio_bind(name, OTHER_UIO_DRIVER));
	ASSERT_EQ(0, uio_open(&other, name));

	EXPECT_EQ(-EOPNOTSUPP, failing_get(buf.fd, other.fd, 0, 0));
	EXPECT_EQ(-EOPNOTSUPP, put_flags(buf.fd, other.fd, 0));
	EXPECT_EQ(-ENOENT, uio_heap_name(other.number, path, sizeof(path)));
	EXPECT_EQ(-ENOENT, uio_dma_mask_bits(other.number));
	EXPECT_EQ(0, uio_bus_master(name));

	uio_close(&other);
	EXPECT_EQ(0, uio_bind(name, "uio_pci_generic"));
	uio_buffer_free(&buf);
	uio_close(&dev);
}

TEST_HARNESS_MAIN
