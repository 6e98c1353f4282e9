// SPDX-License-Identifier: GPL-2.0
/*
 * The calls that every dma-buf has, on buffers of a device's heap: while the
 * device is there, and when it is not any more.
 */
#include <ctype.h>
#include <pthread.h>
#include <sys/ioctl.h>

#include "uio_test.h"

#define DEV_KMSG	"/dev/kmsg"
#define BUFINFO		"/sys/kernel/debug/dma_buf/bufinfo"
#define NR_PAGES	2

FIXTURE(dmabuf)
{
	struct uio_device dev;
	struct uio_buffer buf;
	struct snapshot old;
};

FIXTURE_VARIANT(dmabuf)
{
	bool revoked;
};

FIXTURE_VARIANT_ADD(dmabuf, alive) { .revoked = false };
FIXTURE_VARIANT_ADD(dmabuf, revoked) { .revoked = true };

FIXTURE_SETUP(dmabuf)
{
	if (!test_open(_metadata, &self->dev, 0))
		return;
	ASSERT_EQ(0, uio_buffer_alloc_device(&self->buf, self->dev.number,
					     NR_PAGES * uio_page_size()));
	if (variant->revoked)
		ASSERT_EQ(0, uio_unbind(self->dev.name));
	self->old = take_snapshot(&self->dev);
}

FIXTURE_TEARDOWN(dmabuf)
{
	expect_unchanged(_metadata, &self->dev, &self->old);
	uio_buffer_free(&self->buf);
	EXPECT_EQ(self->old.dmabufs - 1, uio_count_dmabufs());
	uio_close(&self->dev);
	EXPECT_EQ(0, uio_bind(uio_test_device(0), "uio_pci_generic"));
}

static int sync_errno(int fd, __u64 flags)
{
	struct dma_buf_sync sync = { .flags = flags };

	return ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync) ? errno : 0;
}

TEST_F(dmabuf, wrong_sync_without_direction)
{
	EXPECT_EQ(EINVAL, sync_errno(self->buf.fd, 0));
	EXPECT_EQ(EINVAL, sync_errno(self->buf.fd, DMA_BUF_SYNC_END));
}

TEST_F(dmabuf, wrong_sync_flag)
{
	EXPECT_EQ(EINVAL, sync_errno(self->buf.fd, DMA_BUF_SYNC_RW | 8));
	EXPECT_EQ(EINVAL, sync_errno(self->buf.fd, DMA_BUF_SYNC_RW | 1ULL << 63));
	EXPECT_EQ(EINVAL, sync_errno(self->buf.fd, ~0ULL));
}

TEST_F(dmabuf, wrong_sync_pointer)
{
	struct dma_buf_sync sync = { .flags = DMA_BUF_SYNC_RW };
	unsigned int i;

	for (i = 0; i < POINTER_READ_ONLY; i++)
		EXPECT_ERRNO(EFAULT, ioctl(self->buf.fd, DMA_BUF_IOCTL_SYNC,
					   make_bad_pointer(i, &sync,
							    sizeof(sync))));
}

/* There is nothing to be synchronised, so nothing can be done wrong. */
TEST_F(dmabuf, sync_in_any_order)
{
	static const __u64 flags[] = {
		DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW,
		DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ,
		DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW,
		DMA_BUF_SYNC_END | DMA_BUF_SYNC_WRITE,
		DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE,
		DMA_BUF_SYNC_START | DMA_BUF_SYNC_WRITE,
		DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(flags); i++)
		EXPECT_EQ(0, sync_errno(self->buf.fd, flags[i]));
}

/* The line of fdinfo about a dma-buf that begins with @key. */
static int read_fdinfo(int fd, const char *key, char *val, size_t len)
{
	char path[UIO_NAME_LEN], line[256];
	int ret = -ENOENT;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "r");
	if (!file)
		return -errno;
	while (ret && fgets(line, sizeof(line), file)) {
		if (strncmp(line, key, strlen(key)))
			continue;
		line[strcspn(line, "\n")] = '\0';
		snprintf(val, len, "%s", line + strlen(key));
		ret = 0;
	}
	fclose(file);
	return ret;
}

static int set_name(int fd, const char *name)
{
	return ioctl(fd, DMA_BUF_SET_NAME_B, name) ? -errno : 0;
}

TEST_F(dmabuf, longest_name)
{
	static const char longest[] = "thirty-one-characters-of-a-name";
	char name[UIO_NAME_LEN];

	ASSERT_EQ(DMA_BUF_NAME_LEN, sizeof(longest));
	EXPECT_EQ(0, set_name(self->buf.fd, longest));
	ASSERT_EQ(0, read_fdinfo(self->buf.fd, "name:\t", name,
				 sizeof(name)));
	EXPECT_STREQ(longest, name);
	EXPECT_EQ(0, set_name(self->buf.fd, ""));
}

TEST_F(dmabuf, wrong_name_too_long)
{
	char name[UIO_NAME_LEN];

	EXPECT_EQ(0, set_name(self->buf.fd, "before"));
	EXPECT_EQ(-EINVAL, set_name(self->buf.fd,
				    "thirty-two-characters-are-a-char"));
	ASSERT_EQ(0, read_fdinfo(self->buf.fd, "name:\t", name,
				 sizeof(name)));
	EXPECT_STREQ("before", name);
}

TEST_F(dmabuf, wrong_name_pointer)
{
	EXPECT_EQ(-EFAULT, set_name(self->buf.fd, NULL));
	EXPECT_EQ(-EFAULT, set_name(self->buf.fd, (void *)-4096L));
}

/* The heap's name is there as long as the buffer, not as long as the heap. */
TEST_F(dmabuf, says_where_it_is_from)
{
	char name[UIO_NAME_LEN], wanted[2 * UIO_NAME_LEN];

	snprintf(wanted, sizeof(wanted), "uio@%s", self->dev.name);
	ASSERT_EQ(0, read_fdinfo(self->buf.fd, "exp_name:\t", name,
				 sizeof(name)));
	EXPECT_STREQ(wanted, name);
}

TEST_F(dmabuf, wrong_seek)
{
	int fd = self->buf.fd;

	EXPECT_EQ(self->buf.size, lseek(fd, 0, SEEK_END));
	EXPECT_EQ(0, lseek(fd, 0, SEEK_SET));
	EXPECT_ERRNO(EINVAL, lseek(fd, 1, SEEK_END));
	EXPECT_ERRNO(EINVAL, lseek(fd, -1, SEEK_END));
	EXPECT_ERRNO(EINVAL, lseek(fd, 1, SEEK_SET));
	EXPECT_ERRNO(EINVAL, lseek(fd, 0, SEEK_CUR));
	EXPECT_ERRNO(EINVAL, lseek(fd, 0, SEEK_DATA));
}

TEST_F(dmabuf, wrong_read_and_write)
{
	char c = 0;

	EXPECT_ERRNO(EINVAL, read(self->buf.fd, &c, 1));
	EXPECT_ERRNO(EINVAL, write(self->buf.fd, &c, 1));
}

TEST_F(dmabuf, wrong_resize)
{
	EXPECT_ERRNO(EINVAL, ftruncate(self->buf.fd, 4096));
	EXPECT_ERRNO(ENODEV, fallocate(self->buf.fd, 0, 0, 4096));
	EXPECT_EQ(self->buf.size, lseek(self->buf.fd, 0, SEEK_END));
}

/* An open file of other access rights cannot be had by this. */
TEST_F(dmabuf, wrong_open_again)
{
	char path[UIO_NAME_LEN];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", self->buf.fd);
	EXPECT_ERRNO(ENXIO, open(path, O_RDWR));
	EXPECT_ERRNO(ENXIO, open(path, O_RDONLY));
}

TEST_F(dmabuf, wrong_number)
{
	char arg[256] = {};

	EXPECT_ERRNO(ENOTTY, ioctl(self->buf.fd, _IO(DMA_BUF_BASE, 255), arg));
	EXPECT_ERRNO(ENOTTY, ioctl(self->buf.fd, _IO(DMA_BUF_BASE, 4), arg));
}

/* Nobody has promised to be done with it at some time. */
TEST_F(dmabuf, is_ready_at_once)
{
	struct pollfd pfd = { .fd = self->buf.fd, .events = POLLIN | POLLOUT };

	EXPECT_EQ(1, poll(&pfd, 1, 0));
	EXPECT_EQ(POLLIN | POLLOUT, pfd.revents);
}

static bool stop;

static bool stopped(void)
{
	return __atomic_load_n(&stop, __ATOMIC_RELAXED);
}

static void *read_names(void *arg)
{
	char buf[4096], path[UIO_NAME_LEN];
	const int *fd = arg;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", *fd);
	while (!stopped()) {
		file = fopen(BUFINFO, "r");
		while (file && fgets(buf, sizeof(buf), file))
			;
		if (file)
			fclose(file);
		uio_read_text(path, buf, sizeof(buf));
		uio_read_text("/proc/self/maps", buf, sizeof(buf));
	}
	return NULL;
}

static void *set_names(void *arg)
{
	const int *fd = arg;

	while (!stopped()) {
		set_name(*fd, "one");
		set_name(*fd, "or-the-other");
		set_name(*fd, "");
	}
	return NULL;
}

/* Names are read and changed while buffers, heap and device go. */
TEST_F_TIMEOUT(dmabuf, names_while_it_goes, 120)
{
	pthread_t readers[2], writer;
	char heap[UIO_NAME_LEN];
	int i, j, fd[4], number;

	if (variant->revoked)
		ASSERT_EQ(0, uio_bind(self->dev.name, "uio_pci_generic"));
	number = uio_find(self->dev.name);
	ASSERT_LE(0, number);
	ASSERT_EQ(0, uio_heap_name(number, heap, sizeof(heap)));
	for (j = 0; j < 2; j++)
		ASSERT_EQ(0, pthread_create(&readers[j], NULL, read_names,
					    &self->buf.fd));
	ASSERT_EQ(0, pthread_create(&writer, NULL, set_names, &self->buf.fd));
	for (i = 0; i < 20; i++) {
		int heap_fd = uio_heap_open(heap);

		for (j = 0; j < 4; j++)
			fd[j] = uio_heap_alloc(heap_fd, 4096);
		EXPECT_EQ(0, uio_unbind(self->dev.name));
		for (j = 0; j < 4; j++) {
			EXPECT_LE(0, fd[j]);
			close(fd[j]);
		}
		close(heap_fd);
		EXPECT_EQ(0, uio_bind(self->dev.name, "uio_pci_generic"));
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (j = 0; j < 2; j++)
		pthread_join(readers[j], NULL);
	pthread_join(writer, NULL);
	EXPECT_EQ(0, set_name(self->buf.fd, "last"));
}

/* Is there a number, as the kernel prints it, in the text? */
static bool text_has_address(const char *text, __u64 addr)
{
	unsigned long long val;
	const char *p = text;
	char *end;

	while (*p) {
		if (!isxdigit(*p)) {
			p++;
			continue;
		}
		if (*p == '0' && p[1] == 'x')
			p += 2;
		val = strtoull(p, &end, 16);
		if (val == addr && end - p >= 5)
			return true;
		p = end > p ? end : p + 1;
	}
	return false;
}

static bool file_has_address(const char *path, __u64 addr)
{
	bool found = false;
	char line[8192];
	FILE *file;

	file = fopen(path, "r");
	while (file && !found && fgets(line, sizeof(line), file))
		found = text_has_address(line, addr);
	if (file)
		fclose(file);
	return found;
}

/* Since the log was opened */
static bool log_has_address(int log, __u64 addr)
{
	char record[8192];
	bool found = false;
	char *text;
	ssize_t n;

	while ((n = read(log, record, sizeof(record) - 1)) > 0) {
		record[n] = '\0';
		text = strchr(record, ';');
		found |= text && text_has_address(text, addr);
	}
	return found;
}

static int open_log(void)
{
	int log = open(DEV_KMSG, O_RDWR | O_NONBLOCK | O_CLOEXEC);

	lseek(log, 0, SEEK_END);
	return log;
}

/* Who may ask is told, and nobody else by what anybody may read. */
TEST(address_is_not_shown)
{
	char path[UIO_NAME_LEN], text[64];
	struct dma_buf_get_dma_addr get;
	struct uio_device dev;
	struct uio_buffer buf;
	int i, log, len;
	__u64 addr;

	if (!test_open(_metadata, &dev, 0))
		return;
	for (i = 1; i <= 8; i++) {
		log = open_log();
		ASSERT_LE(0, log);
		ASSERT_EQ(0, uio_buffer_alloc_device(&buf, dev.number,
						     i * 4096));
		if (uio_dma_addr(buf.fd, dev.fd, &addr) == -EPERM)
			SKIP(return, "nobody is told an address here");
		ASSERT_LT(0, addr);
		EXPECT_EQ(0, uio_touch(buf.vaddr));
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", buf.fd);
		EXPECT_FALSE(file_has_address(path, addr));
		EXPECT_FALSE(file_has_address(BUFINFO, addr));
		EXPECT_FALSE(file_has_address("/proc/self/maps", addr));
		EXPECT_FALSE(file_has_address("/proc/self/smaps", addr));

		/* Neither does any complaint say it. */
		EXPECT_EQ(-EBUSY, uio_set_dma_mask_bits(dev.number, 31));
		EXPECT_EQ(-EBUSY, uio_dma_get(buf.fd, dev.fd,
					      DMA_BUF_DMA_TO_DEVICE, 0, &get));
		EXPECT_EQ(0, uio_dma_put(buf.fd, dev.fd));
		uio_buffer_free(&buf);
		EXPECT_FALSE(log_has_address(log, addr));
		close(log);
	}

	/* One that is shown would be found. */
	log = open_log();
	len = snprintf(text, sizeof(text), "uio-selftest: 0x%llx\n",
		       (unsigned long long)addr);
	ASSERT_EQ(len, write(log, text, len));
	EXPECT_TRUE(log_has_address(log, addr));
	close(log);
	uio_close(&dev);
}

TEST_HARNESS_MAIN
