// SPDX-License-Identifier: GPL-2.0
/*
 * How things end, in every order, and when the device may master the bus.
 */
#include "uio_test.h"

#define TAINT_USER	0x40

/* What a driver holds, and what this test lets go of in some order. */
enum part {
	PART_DEVICE,
	PART_HEAP,
	PART_BUFFER,
	PART_MEMORY,
	PART_REGISTERS,
	NR_PARTS,
};

/**
 * struct holder - a driver that holds them
 * @dev: the device; its registers are mapped
 * @buf: a buffer, mapped
 * @heap: where it is from
 * @addr: its bus address
 * @held: which parts are left
 */
struct holder {
	struct uio_device dev;
	struct uio_buffer buf;
	int heap;
	__u64 addr;
	bool held[NR_PARTS];
};

FIXTURE(close)
{
	struct holder holder;
};

FIXTURE_SETUP(close)
{
	struct uio_device dev;

	if (!test_open(_metadata, &dev, 0))
		return;
	uio_close(&dev);
}

FIXTURE_TEARDOWN(close)
{
}

static void acquire(struct __test_metadata *_metadata, struct holder *h)
{
	char heap[UIO_NAME_LEN];
	int i;

	ASSERT_EQ(0, uio_open(&h->dev, uio_test_device(0)));
	ASSERT_EQ(0, uio_heap_name(h->dev.number, heap, sizeof(heap)));
	h->heap = uio_heap_open(heap);
	ASSERT_LE(0, h->heap);
	h->buf.size = 2 * uio_page_size();
	h->buf.fd = uio_heap_alloc(h->heap, h->buf.size);
	ASSERT_LE(0, h->buf.fd);
	ASSERT_EQ(0, uio_buffer_map(&h->buf));
	uio_fill(h->buf.vaddr, h->buf.size, 1);
	ASSERT_EQ(0, uio_dma_addr(h->buf.fd, h->dev.fd, &h->addr));
	for (i = 0; i < NR_PARTS; i++)
		h->held[i] = true;
}

static void let_go(struct holder *h, enum part part)
{
	h->held[part] = false;
	switch (part) {
	case PART_DEVICE:
		close(h->dev.fd);
		break;
	case PART_HEAP:
		close(h->heap);
		break;
	case PART_BUFFER:
		close(h->buf.fd);
		break;
	case PART_MEMORY:
		uio_buffer_unmap(&h->buf);
		break;
	default:
		munmap(h->dev.regs - h->dev.map[0].offset,
		       h->dev.map[0].size);
	}
}

/* What is still held is as good as ever. */
static void expect_rest_works(struct __test_metadata *_metadata,
			      struct holder *h)
{
	/* The registers' mapping keeps the file open just as well. */
	bool on = h->held[PART_DEVICE] || h->held[PART_REGISTERS];
	__u64 addr;
	int fd;

	EXPECT_EQ(on, test_bus_master(&h->dev, on));
	if (h->held[PART_DEVICE] && h->held[PART_BUFFER]) {
		EXPECT_EQ(0, uio_dma_addr(h->buf.fd, h->dev.fd, &addr));
		EXPECT_EQ(h->addr, addr);
	}
	if (h->held[PART_BUFFER])
		EXPECT_EQ(h->buf.size, lseek(h->buf.fd, 0, SEEK_END));
	if (h->held[PART_HEAP]) {
		fd = uio_heap_alloc(h->heap, 1);
		EXPECT_LE(0, fd);
		close(fd);
	}
	if (h->held[PART_MEMORY])
		EXPECT_EQ(-1, uio_differs(h->buf.vaddr, h->buf.size, 1));
	if (h->held[PART_REGISTERS])
		EXPECT_EQ(0, uio_touch(h->dev.regs));
}

/* The next order of the digits, or false after the last one. */
static bool next_order(int *order)
{
	int i = NR_PARTS - 2, j = NR_PARTS - 1, tmp, k;

	while (i >= 0 && order[i] > order[i + 1])
		i--;
	if (i < 0)
		return false;
	while (order[j] < order[i])
		j--;
	tmp = order[i];
	order[i] = order[j];
	order[j] = tmp;
	for (j = i + 1, k = NR_PARTS - 1; j < k; j++, k--) {
		tmp = order[j];
		order[j] = order[k];
		order[k] = tmp;
	}
	return true;
}

TEST_F_TIMEOUT(close, in_every_order, 120)
{
	struct holder *h = &self->holder;
	int order[NR_PARTS] = { 0, 1, 2, 3, 4 };
	int dmabufs = uio_count_dmabufs();
	int i, orders = 0;

	do {
		acquire(_metadata, h);
		for (i = 0; i < NR_PARTS; i++) {
			expect_rest_works(_metadata, h);
			let_go(h, order[i]);
		}
		EXPECT_EQ(dmabufs, uio_count_dmabufs());
		EXPECT_EQ(0, test_bus_master(&h->dev, 0));
		ASSERT_EQ(0, _metadata->exit_code)
			TH_LOG("order %d %d %d %d %d", order[0], order[1],
			       order[2], order[3], order[4]);
		orders++;
	} while (next_order(order));
	EXPECT_EQ(120, orders);
}

TEST_F(close, many_mappings)
{
	struct holder *h = &self->holder;
	static struct uio_buffer buf[200];
	int dmabufs = uio_count_dmabufs();
	unsigned int i;
	__u64 addr;

	ASSERT_EQ(0, uio_open(&h->dev, uio_test_device(0)));
	for (i = 0; i < ARRAY_SIZE(buf); i++) {
		ASSERT_EQ(0, uio_buffer_alloc_device(&buf[i], h->dev.number,
						     1));
		ASSERT_EQ(0, uio_dma_addr(buf[i].fd, h->dev.fd, &addr));
		if (i % 2)
			uio_buffer_free(&buf[i]);
	}
	uio_close(&h->dev);
	EXPECT_EQ(0, test_bus_master(&h->dev, 0));
	if (dmabufs >= 0)
		EXPECT_EQ(dmabufs + ARRAY_SIZE(buf) / 2, uio_count_dmabufs());
	for (i = 0; i < ARRAY_SIZE(buf); i += 2)
		uio_buffer_free(&buf[i]);
	EXPECT_EQ(dmabufs, uio_count_dmabufs());
}

/* DMA without an IOMMU says so in what the kernel tells of itself. */
TEST_F(close, taint)
{
	struct holder *h = &self->holder;
	__u64 before, after;

	ASSERT_EQ(0, uio_read_u64("/proc/sys/kernel/tainted", &before));
	acquire(_metadata, h);
	ASSERT_EQ(0, uio_read_u64("/proc/sys/kernel/tainted", &after));
	EXPECT_EQ(uio_iommu_translates(h->dev.name) ? before & TAINT_USER :
		  TAINT_USER, after & TAINT_USER);
}

/* Whoever holds the last file of a device keeps it going. */
TEST_F(close, child_keeps_it)
{
	struct holder *h = &self->holder;
	int status, fds[2];
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(fds));
	acquire(_metadata, h);
	pid = fork();
	if (!pid) {
		close(fds[1]);
		_exit(read(fds[0], &c, 1) != 0);
	}
	ASSERT_LT(0, pid);
	uio_close(&h->dev);
	EXPECT_EQ(1, test_bus_master(&h->dev, 1));
	close(fds[1]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, test_bus_master(&h->dev, 0));
}

FIXTURE(master)
{
	struct uio_device dev;
	struct uio_buffer buf[2];
	int fd;
};

/* Two open files, two buffers. */
FIXTURE_SETUP(master)
{
	int i;

	if (!test_open(_metadata, &self->dev, 0))
		return;
	if (!uio_is_pci(&self->dev))
		SKIP(return, "%s is not on PCI", self->dev.name);
	if (!test_set_mask(_metadata, &self->dev, 64))
		return;
	self->fd = uio_open_fd(self->dev.number, O_RDWR);
	ASSERT_LE(0, self->fd);
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, uio_buffer_alloc_device(&self->buf[i],
						     self->dev.number, 1));
	ASSERT_EQ(0, uio_bus_master(self->dev.name));
}

FIXTURE_TEARDOWN(master)
{
	int i;

	uio_close(&self->dev);
	close(self->fd);
	EXPECT_EQ(0, uio_bus_master(self->dev.name));
	for (i = 0; i < 2; i++)
		uio_buffer_free(&self->buf[i]);
	EXPECT_EQ(0, uio_set_dma_mask_bits(self->dev.number, 32));
}

TEST_F(master, put)
{
	int a = self->buf[0].fd, b = self->buf[1].fd, fd = self->dev.fd;
	const char *name = self->dev.name;
	__u64 addr;

	EXPECT_EQ(0, uio_dma_addr(a, fd, &addr));
	EXPECT_EQ(1, uio_bus_master(name));
	EXPECT_EQ(0, uio_dma_addr(b, fd, &addr));
	EXPECT_EQ(0, uio_dma_put(a, fd));
	EXPECT_EQ(1, uio_bus_master(name));
	EXPECT_EQ(0, uio_dma_put(b, fd));
	EXPECT_EQ(0, uio_bus_master(name));
	EXPECT_EQ(0, uio_dma_addr(a, fd, &addr));
	EXPECT_EQ(1, uio_bus_master(name));
}

TEST_F(master, closed_without_mapping)
{
	__u64 addr;

	ASSERT_EQ(0, uio_dma_addr(self->buf[0].fd, self->dev.fd, &addr));
	close(self->fd);
	self->fd = dup(self->dev.fd);
	EXPECT_EQ(1, uio_bus_master(self->dev.name));
	close(self->fd);
	EXPECT_EQ(1, uio_bus_master(self->dev.name));
}

TEST_F(master, closed_with_the_only_mapping)
{
	__u64 addr;

	ASSERT_EQ(0, uio_dma_addr(self->buf[0].fd, self->fd, &addr));
	EXPECT_EQ(1, uio_bus_master(self->dev.name));
	close(self->fd);
	EXPECT_EQ(0, uio_bus_master(self->dev.name));
	ASSERT_EQ(0, uio_dma_addr(self->buf[0].fd, self->dev.fd, &addr));
	EXPECT_EQ(1, uio_bus_master(self->dev.name));
}

TEST_F(master, closed_with_one_of_two)
{
	int other = self->buf[1].fd;
	__u64 addr;

	ASSERT_EQ(0, uio_dma_addr(self->buf[0].fd, self->fd, &addr));
	ASSERT_EQ(0, uio_dma_addr(other, self->dev.fd, &addr));
	close(self->fd);
	EXPECT_EQ(1, uio_bus_master(self->dev.name));
	EXPECT_EQ(0, uio_dma_put(other, self->dev.fd));
	EXPECT_EQ(0, uio_bus_master(self->dev.name));
}

/* What somebody had turned on behind the driver's back is off in the end. */
TEST_F(master, turned_on_by_hand)
{
	ASSERT_EQ(0, uio_set_bus_master(self->dev.name, true));
	EXPECT_EQ(1, uio_bus_master(self->dev.name));
}

/*
 * The buffers of a closed file stay where they are as long as others drive the
 * device: it may still be at them.
 */
TEST_F(master, closed_while_others_go_on)
{
	size_t page = uio_page_size();
	struct uio_device *dev = &self->dev;
	struct uio_buffer *live = &self->buf[0];
	struct uio_buffer gone;
	__u64 addr, gone_addr;

	if (!test_alloc(_metadata, &gone, UIO_MEMORY_SYSTEM, dev, page))
		return;
	memset(gone.vaddr, 0, page);
	ASSERT_EQ(0, uio_dma_addr(gone.fd, self->fd, &gone_addr));

	uio_fill(live->vaddr, 100, 2);
	ASSERT_EQ(0, uio_dma_addr(live->fd, dev->fd, &addr));
	ASSERT_EQ(0, uio_dma_fetch(dev, addr, 100));

	close(self->fd);
	ASSERT_EQ(0, uio_dma_store(dev, gone_addr, 100));
	EXPECT_EQ(-1, uio_differs(gone.vaddr, 100, 2));

	/* Once the device is stopped they go. */
	ASSERT_EQ(0, uio_dma_put(live->fd, dev->fd));
	EXPECT_EQ(0, uio_bus_master(dev->name));
	ASSERT_EQ(0, uio_dma_addr(live->fd, dev->fd, &addr));
	EXPECT_EQ(1, uio_bus_master(dev->name));
	if (uio_iommu_translates(dev->name)) {
		memset(gone.vaddr, 0, page);
		ASSERT_EQ(0, uio_dma_store(dev, gone_addr, 100));
		EXPECT_EQ(-1, uio_differs_from(gone.vaddr, page, 0));
	}
	uio_buffer_free(&gone);
}

TEST_HARNESS_MAIN
