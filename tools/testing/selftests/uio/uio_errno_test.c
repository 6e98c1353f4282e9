// SPDX-License-Identifier: GPL-2.0
/*
 * What happens to wrong calls that ask for an address? Each argument is wrong in
 * turn: the answer is the documented errno, and nothing has changed.
 */
#include <limits.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <linux/capability.h>

#include "uio_test.h"

#define NOBODY			65534
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

FIXTURE(addr)
{
	struct uio_device dev;
	struct uio_buffer buf;
	struct snapshot old;
};

FIXTURE_VARIANT(addr)
{
	bool mapped;
};

/* A wrong call may be the first for a buffer, or come after a right one. */
FIXTURE_VARIANT_ADD(addr, first) { .mapped = false };
FIXTURE_VARIANT_ADD(addr, later) { .mapped = true };

FIXTURE_SETUP(addr)
{
	__u64 addr;

	if (!test_open(_metadata, &self->dev, 0))
		return;
	ASSERT_EQ(0, uio_buffer_alloc_device(&self->buf, self->dev.number,
					     2 * uio_page_size()));
	if (variant->mapped)
		ASSERT_EQ(0, uio_dma_addr(self->buf.fd, self->dev.fd, &addr));
	self->old = take_snapshot(&self->dev);
	EXPECT_EQ(variant->mapped, self->old.bus_master);
}

/* Whatever went wrong: nothing has changed, and the right call is right. */
FIXTURE_TEARDOWN(addr)
{
	__u64 addr;

	expect_unchanged(_metadata, &self->dev, &self->old);
	EXPECT_EQ(variant->mapped ? 0 : -ENOENT,
		  uio_dma_put(self->buf.fd, self->dev.fd));
	EXPECT_EQ(0, uio_dma_addr(self->buf.fd, self->dev.fd, &addr));
	EXPECT_EQ(0, uio_dma_put(self->buf.fd, self->dev.fd));
	uio_buffer_free(&self->buf);
	uio_close(&self->dev);
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

TEST_F(addr, wrong_flags)
{
	int dmabuf = self->buf.fd, dev_fd = self->dev.fd;
	unsigned int i;

	for (i = 3; i < 32; i++)
		EXPECT_EQ(-EINVAL, failing_get(dmabuf, dev_fd, 1U << i, 0));
	EXPECT_EQ(-EINVAL, failing_get(dmabuf, dev_fd, ~0U, 0));
	for (i = 0; i < 32; i++)
		EXPECT_EQ(-EINVAL, put_flags(dmabuf, dev_fd, 1U << i));
}

TEST_F(addr, wrong_offset)
{
	__u64 offset[] = {
		self->buf.size, self->buf.size + 1, 1ULL << 32, 1ULL << 63,
		~0ULL - 4095, ~0ULL,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(offset); i++)
		EXPECT_EQ(-EINVAL, failing_get(self->buf.fd, self->dev.fd, 0,
					       offset[i]));
}

TEST_F(addr, wrong_dev_fd)
{
	int dmabuf = self->buf.fd, pipe_fd[2], closed;
	unsigned int i;
	struct {
		const char *what;
		int fd;
		int err;
	} wrong[] = {
		{ "-1", -1, -EBADF },
		{ "closed", -1, -EBADF },
		{ "huge", INT_MAX, -EBADF },
		{ "path only", open("/dev/null", O_PATH), -EBADF },
		{ "regular file", memfd_create("uio-selftest", 0), -EINVAL },
		{ "directory", open("/", O_RDONLY | O_DIRECTORY), -EINVAL },
		{ "another device", open("/dev/null", O_RDWR), -EINVAL },
		{ "pipe", -1, -EINVAL },
		{ "the buffer", dmabuf, -EINVAL },
	};

	ASSERT_EQ(0, pipe(pipe_fd));
	closed = dup(0);
	close(closed);
	wrong[1].fd = closed;
	wrong[7].fd = pipe_fd[0];
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		if (i > 2)
			ASSERT_LE(0, wrong[i].fd);
		EXPECT_EQ(wrong[i].err, failing_get(dmabuf, wrong[i].fd, 0, 0))
			TH_LOG("GET: %s", wrong[i].what);
		EXPECT_EQ(wrong[i].err, put_flags(dmabuf, wrong[i].fd, 0))
			TH_LOG("PUT: %s", wrong[i].what);
	}

	/* What was asked for is looked at first. */
	EXPECT_EQ(-EINVAL, failing_get(dmabuf, -1, 8, 0));
	EXPECT_EQ(-EINVAL, failing_get(dmabuf, -1, 0, self->buf.size));
	EXPECT_EQ(-EINVAL, put_flags(dmabuf, -1, 1));

	for (i = 3; i < 7; i++)
		close(wrong[i].fd);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
}

TEST_F(addr, wrong_buffer_fd)
{
	int file = memfd_create("uio-selftest", 0);
	int dev_fd = self->dev.fd;

	ASSERT_LE(0, file);
	EXPECT_EQ(-EBADF, failing_get(-1, dev_fd, 0, 0));
	EXPECT_EQ(-ENOTTY, failing_get(file, dev_fd, 0, 0));
	EXPECT_EQ(-ENOTTY, failing_get(dev_fd, dev_fd, 0, 0));
	EXPECT_EQ(-EBADF, put_flags(-1, dev_fd, 0));
	EXPECT_EQ(-ENOTTY, put_flags(file, dev_fd, 0));
	EXPECT_EQ(-ENOTTY, put_flags(dev_fd, dev_fd, 0));
	close(file);
}

TEST_F(addr, wrong_number)
{
	static const unsigned long number[] = {
		GET_TOO_SHORT, GET_TOO_LONG, GET_ONE_WAY, GET_OTHER_TYPE,
		PUT_TOO_LONG, PUT_BOTH_WAYS, NEXT_NUMBER,
	};
	struct dma_buf_get_dma_addr get[2] = { { .dev_fd = self->dev.fd } };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(number); i++)
		EXPECT_ERRNO(ENOTTY, ioctl(self->buf.fd, number[i], get));
}

TEST_F(addr, wrong_pointer)
{
	struct dma_buf_get_dma_addr get = { .dev_fd = self->dev.fd };
	struct dma_buf_put_dma_addr put = { .dev_fd = self->dev.fd };
	unsigned int i;
	void *p;

	for (i = 0; i < NR_BAD_POINTERS; i++) {
		p = make_bad_pointer(i, &get, sizeof(get));
		EXPECT_ERRNO(EFAULT, ioctl(self->buf.fd,
					   DMA_BUF_IOCTL_GET_DMA_ADDR, p));
		if (i == POINTER_READ_ONLY)
			continue;
		p = make_bad_pointer(i, &put, sizeof(put));
		EXPECT_ERRNO(EFAULT, ioctl(self->buf.fd,
					   DMA_BUF_IOCTL_PUT_DMA_ADDR, p));
	}
}

TEST_F(addr, read_only_device)
{
	int fd = uio_open_fd(self->dev.number, O_RDONLY);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EACCES, failing_get(self->buf.fd, fd, 0, 0));
	EXPECT_EQ(-EACCES, failing_get(self->buf.fd, fd,
				       DMA_BUF_DMA_TO_DEVICE, 0));
	EXPECT_EQ(-EACCES, put_flags(self->buf.fd, fd, 0));
	close(fd);
}

static int run_as_nobody(int dmabuf, int dev_fd, bool keep_root)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct cap[2];
	struct dma_buf_get_dma_addr get;
	int status;
	pid_t pid;

	pid = fork();
	if (!pid) {
		if (!keep_root && setresuid(NOBODY, NOBODY, NOBODY))
			_exit(255);
		if (syscall(SYS_capget, &head, cap))
			_exit(255);
		cap[0].effective &= ~(1U << CAP_SYS_RAWIO);
		if (syscall(SYS_capset, &head, cap))
			_exit(255);
		_exit(-uio_dma_get(dmabuf, dev_fd, 0, 0, &get));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return -WEXITSTATUS(status);
}

/* Where nothing confines the device, its owner may just as well own all. */
TEST_F(addr, without_permission)
{
	bool confined = uio_iommu_translates(self->dev.name);

	EXPECT_EQ(confined ? 0 : -EPERM,
		  run_as_nobody(self->buf.fd, self->dev.fd, false));
	EXPECT_EQ(confined ? 0 : -EPERM,
		  run_as_nobody(self->buf.fd, self->dev.fd, true));

	/* That child's mapping is this process's: the files are the same. */
	if (confined && !variant->mapped)
		EXPECT_EQ(0, uio_dma_put(self->buf.fd, self->dev.fd));
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
		SKIP(return, "no driver " OTHER_UIO_DRIVER ": CONFIG_UIO_CIF?");
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
