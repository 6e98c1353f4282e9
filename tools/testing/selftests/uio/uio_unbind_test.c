// SPDX-License-Identifier: GPL-2.0
/*
 * The device goes away under its users: its driver is unbound, or the device is
 * removed. Nothing waits for the users, nothing works any more, nothing breaks,
 * and the next one starts afresh.
 */
#include <signal.h>

#include "uio_test.h"

/* Each holds a heap's number: more than there are. */
#define NR_CYCLES	140
#define UNBIND_MS	5000

/**
 * struct holder - a user of the device
 * @dev: the device; its registers are mapped, and were looked at
 * @regs: its registers once more, not looked at yet
 * @private_regs: and once more as a private mapping
 * @heap: its heap
 * @heap_name: the name of that
 * @buf: a buffer from there, mapped and used
 * @again: the same memory once more, not used yet
 * @other: a buffer that has nothing to do with the device, but is mapped for it
 */
struct holder {
	struct uio_device dev;
	void *regs;
	void *private_regs;
	int heap;
	char heap_name[UIO_NAME_LEN];
	struct uio_buffer buf;
	struct uio_buffer again;
	struct uio_buffer other;
};

FIXTURE(gone)
{
	struct holder holder;
};

FIXTURE_VARIANT(gone)
{
	bool removed;
};

FIXTURE_VARIANT_ADD(gone, unbound) { .removed = false };
FIXTURE_VARIANT_ADD(gone, removed) { .removed = true };

static int take_away(const struct uio_device *dev, bool removed)
{
	char path[UIO_PATH_LEN + 8];

	if (!removed)
		return uio_unbind(dev->name);
	snprintf(path, sizeof(path), "%s/remove", dev->sysfs);
	return uio_write_text(path, "1");
}

static int bring_back(void)
{
	const char *name = uio_test_device(0);
	char path[UIO_PATH_LEN];

	if (uio_sysfs_dir(name, path, sizeof(path)))
		uio_write_text("/sys/bus/pci/rescan", "1");
	return uio_bind(name, "uio_pci_generic");
}

FIXTURE_SETUP(gone)
{
	struct holder *h = &self->holder;
	size_t page = uio_page_size();
	__u64 addr;

	if (!test_open(_metadata, &h->dev, 0))
		return;
	if (variant->removed && access("/sys/bus/pci/rescan", W_OK))
		SKIP(return, "not a PCI device");
	if (!test_set_mask(_metadata, &h->dev, 64))
		return;
	h->regs = uio_mmap(&h->dev, 0);
	ASSERT_TRUE(h->regs != MAP_FAILED);
	h->private_regs = mmap(NULL, page, PROT_READ, MAP_PRIVATE, h->dev.fd, 0);
	ASSERT_TRUE(h->private_regs != MAP_FAILED);
	ASSERT_EQ(0, uio_heap_name(h->dev.number, h->heap_name,
				   sizeof(h->heap_name)));
	h->heap = uio_heap_open(h->heap_name);
	ASSERT_LE(0, h->heap);

	h->buf.size = 4 * page;
	h->buf.fd = uio_heap_alloc(h->heap, h->buf.size);
	ASSERT_LE(0, h->buf.fd);
	ASSERT_EQ(0, uio_buffer_map(&h->buf));
	uio_fill(h->buf.vaddr, h->buf.size, 1);
	h->again = h->buf;
	ASSERT_EQ(0, uio_buffer_map(&h->again));
	ASSERT_EQ(0, uio_dma_addr(h->buf.fd, h->dev.fd, &addr));

	if (!test_alloc(_metadata, &h->other, UIO_MEMORY_SYSTEM, &h->dev, page))
		return;
	uio_fill(h->other.vaddr, page, 2);
	ASSERT_EQ(0, uio_dma_addr(h->other.fd, h->dev.fd, &addr));
}

FIXTURE_TEARDOWN(gone)
{
	EXPECT_EQ(0, bring_back());
}

static int poll_events(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, 1000) > 0 ? pfd.revents : 0;
}

static void expect_all_dead(struct __test_metadata *_metadata, struct holder *h)
{
	size_t page = uio_page_size();
	__u32 count = 1;
	__u64 addr;

	/* The device */
	EXPECT_ERRNO(EIO, read(h->dev.fd, &count, sizeof(count)));
	EXPECT_ERRNO(EINVAL, write(h->dev.fd, &count, sizeof(count)));
	EXPECT_TRUE(poll_events(h->dev.fd) & POLLERR);
	EXPECT_ERRNO(EINVAL, (long)mmap(NULL, page, PROT_READ, MAP_SHARED,
					h->dev.fd, 0));
	EXPECT_EQ(SIGBUS, uio_touch(h->dev.regs));
	EXPECT_EQ(SIGBUS, uio_touch(h->private_regs));
	EXPECT_EQ(SIGBUS, uio_touch(h->regs));

	/* Addresses */
	EXPECT_EQ(-ENODEV, uio_dma_addr(h->buf.fd, h->dev.fd, &addr));
	EXPECT_EQ(-ENODEV, uio_dma_addr(h->other.fd, h->dev.fd, &addr));
	EXPECT_EQ(-ENODEV, uio_dma_put(h->buf.fd, h->dev.fd));
	EXPECT_EQ(-ENODEV, uio_dma_put(h->other.fd, h->dev.fd));

	/* Memory */
	EXPECT_EQ(-ENODEV, uio_heap_alloc(h->heap, 1));
	EXPECT_ERRNO(ENODEV, (long)mmap(NULL, page, PROT_READ, MAP_SHARED,
					h->buf.fd, 0));
	EXPECT_EQ(SIGBUS, uio_touch(h->buf.vaddr));
	EXPECT_EQ(SIGBUS, uio_touch(h->buf.vaddr + 3 * page));
	EXPECT_EQ(SIGBUS, uio_touch(h->again.vaddr));
	EXPECT_EQ(h->buf.size, lseek(h->buf.fd, 0, SEEK_END));

	/* What is not the device's is not concerned. */
	EXPECT_EQ(-1, uio_differs(h->other.vaddr, page, 2));
}

static void let_go(struct holder *h)
{
	munmap(h->regs, h->dev.map[0].size);
	munmap(h->private_regs, uio_page_size());
	uio_buffer_unmap(&h->again);
	uio_buffer_free(&h->buf);
	uio_buffer_free(&h->other);
	close(h->heap);
	uio_close(&h->dev);
}

TEST_F(gone, with_all_open)
{
	struct holder *h = &self->holder;
	int number = h->dev.number;
	char path[UIO_PATH_LEN];
	long start = uio_now_ms();

	ASSERT_EQ(0, take_away(&h->dev, variant->removed));
	EXPECT_GT(UNBIND_MS, uio_now_ms() - start);
	if (!variant->removed)
		EXPECT_EQ(0, uio_bus_master(h->dev.name));

	/* Nothing is left to be opened. */
	EXPECT_EQ(-ENOENT, uio_heap_open(h->heap_name));
	EXPECT_EQ(-ENOENT, uio_open_fd(number, O_RDWR));
	uio_attr_path(number, "", path, sizeof(path));
	EXPECT_ERRNO(ENOENT, access(path, F_OK));

	expect_all_dead(_metadata, h);
	let_go(h);
}

/* The dead stay dead when there is a new device of the same name. */
TEST_F(gone, and_back)
{
	struct holder *h = &self->holder;
	char heap_name[UIO_NAME_LEN];
	struct uio_device dev;
	struct uio_buffer buf;
	__u64 addr;

	ASSERT_EQ(0, take_away(&h->dev, variant->removed));
	ASSERT_EQ(0, bring_back());
	ASSERT_EQ(0, uio_open_driver(&dev, uio_test_device(0)));
	EXPECT_EQ(0, uio_heap_name(dev.number, heap_name, sizeof(heap_name)));
	EXPECT_STREQ(h->heap_name, heap_name);
	EXPECT_EQ(32, uio_dma_mask_bits(dev.number));
	EXPECT_EQ(0, uio_bus_master(dev.name));
	expect_all_dead(_metadata, h);
	EXPECT_EQ(-ENODEV, uio_dma_addr(h->buf.fd, dev.fd, &addr));

	ASSERT_EQ(0, uio_buffer_alloc_device(&buf, dev.number, 8192));
	EXPECT_EQ(-ENODEV, uio_dma_addr(buf.fd, h->dev.fd, &addr));
	ASSERT_EQ(0, uio_dma_addr(buf.fd, dev.fd, &addr));
	uio_fill(buf.vaddr, 1000, 9);
	ASSERT_EQ(0, uio_dma_memcpy(&dev, addr + 4096, addr, 1000));
	EXPECT_EQ(-1, uio_differs(buf.vaddr + 4096, 1000, 9));

	/* That its predecessor's user goes does not concern it. */
	let_go(h);
	EXPECT_EQ(1, uio_bus_master(dev.name));
	ASSERT_EQ(0, uio_dma_memcpy(&dev, addr + 5096, addr, 1000));
	EXPECT_EQ(-1, uio_differs(buf.vaddr + 5096, 1000, 9));
	uio_close(&dev);
	uio_buffer_free(&buf);
}

TEST_F(gone, while_reading)
{
	struct holder *h = &self->holder;
	int status;
	__u32 count;
	pid_t pid;

	pid = fork();
	if (!pid)
		_exit(read(h->dev.fd, &count, sizeof(count)) < 0 ? errno : 0);
	ASSERT_LT(0, pid);
	uio_msleep(50);
	ASSERT_EQ(0, waitpid(pid, &status, WNOHANG));
	ASSERT_EQ(0, take_away(&h->dev, variant->removed));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	EXPECT_EQ(EIO, WEXITSTATUS(status));
	let_go(h);
}

/* A child has mappings of its own, of which the parent knows nothing. */
TEST_F(gone, in_child_too)
{
	struct holder *h = &self->holder;
	int status, fds[2];
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(fds));
	pid = fork();
	if (!pid) {
		if (uio_touch(h->buf.vaddr) || uio_touch(h->dev.regs))
			_exit(1);
		close(fds[1]);
		if (read(fds[0], &c, 1))
			_exit(2);
		_exit(uio_touch(h->buf.vaddr) == SIGBUS &&
		      uio_touch(h->again.vaddr) == SIGBUS &&
		      uio_touch(h->dev.regs) == SIGBUS &&
		      uio_touch(h->regs) == SIGBUS ? 0 : 3);
	}
	ASSERT_LT(0, pid);
	uio_msleep(50);
	ASSERT_EQ(0, take_away(&h->dev, variant->removed));
	close(fds[1]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	let_go(h);
}

/* Nothing is used up by those who hold on to what is gone. */
TEST_F_TIMEOUT(gone, over_and_over, 300)
{
	static int fd[NR_CYCLES][3];
	struct holder *h = &self->holder;
	int i, j, dmabufs, number = h->dev.number;
	unsigned char *mem;
	__u64 addr;

	if (variant->removed)
		SKIP(return, "the same, but slower");
	let_go(h);
	dmabufs = uio_count_dmabufs();
	for (i = 0; i < NR_CYCLES; i++) {
		fd[i][0] = uio_open_fd(number, O_RDWR);
		fd[i][1] = uio_heap_open(h->heap_name);
		fd[i][2] = uio_heap_alloc(fd[i][1], 4096);
		for (j = 0; j < 3; j++)
			ASSERT_LE(0, fd[i][j]);
		mem = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
			   fd[i][2], 0);
		ASSERT_TRUE(mem != MAP_FAILED);
		*mem = 1;
		ASSERT_EQ(0, uio_dma_addr(fd[i][2], fd[i][0], &addr));
		ASSERT_EQ(0, uio_unbind(uio_test_device(0)));
		EXPECT_EQ(SIGBUS, uio_touch(mem));
		munmap(mem, 4096);
		ASSERT_EQ(0, uio_bind(uio_test_device(0), "uio_pci_generic"));
		ASSERT_EQ(number, uio_find(uio_test_device(0)));
	}
	for (i = 0; i < NR_CYCLES; i++) {
		EXPECT_EQ(-ENODEV, uio_dma_addr(fd[i][2], fd[i][0], &addr));
		for (j = 0; j < 3; j++)
			close(fd[i][(i + j) % 3]);
	}
	EXPECT_EQ(dmabufs, uio_count_dmabufs());
}

/*
 * Another device uses a buffer from the heap of the one that goes: it is
 * stopped, and stays stopped until its driver has seen that the buffer is gone.
 */
TEST_F(gone, with_another_device_at_it)
{
	struct holder *h = &self->holder;
	struct uio_device dev;
	struct uio_buffer own;
	__u64 addr, own_addr;
	int ret;

	if (!test_open(_metadata, &dev, 1))
		return;
	if (!test_set_mask(_metadata, &dev, 64))
		return;
	ret = uio_dma_addr(h->buf.fd, dev.fd, &addr);
	if (ret == -EOPNOTSUPP)
		SKIP(return, "the devices cannot share a buffer");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, uio_buffer_alloc_device(&own, dev.number, 4096));
	ASSERT_EQ(0, uio_dma_addr(own.fd, dev.fd, &own_addr));
	ASSERT_EQ(0, uio_dma_memcpy(&dev, own_addr, addr, 500));
	EXPECT_EQ(-1, uio_differs(own.vaddr, 500, 1));

	ASSERT_EQ(0, take_away(&h->dev, variant->removed));
	EXPECT_EQ(0, uio_bus_master(dev.name));
	EXPECT_EQ(-ENODEV, uio_dma_addr(h->buf.fd, dev.fd, &addr));
	EXPECT_EQ(0, uio_bus_master(dev.name));

	/* What else it has is as it was. */
	EXPECT_EQ(0, uio_dma_addr(own.fd, dev.fd, &addr));
	EXPECT_EQ(own_addr, addr);
	EXPECT_EQ(0, uio_dma_put(h->buf.fd, dev.fd));
	EXPECT_EQ(-ENODEV, uio_dma_addr(h->buf.fd, dev.fd, &addr));
	EXPECT_EQ(1, uio_bus_master(dev.name));
	uio_fill(own.vaddr, 500, 3);
	ASSERT_EQ(0, uio_dma_memcpy(&dev, own_addr + 1000, own_addr, 500));
	EXPECT_EQ(-1, uio_differs(own.vaddr + 1000, 500, 3));
	uio_close(&dev);
	uio_buffer_free(&own);
	uio_set_dma_mask_bits(dev.number, 32);
	let_go(h);
}

TEST_HARNESS_MAIN
