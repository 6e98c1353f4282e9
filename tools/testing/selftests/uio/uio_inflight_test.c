// SPDX-License-Identifier: GPL-2.0
/*
 * A device writes to memory a while after it was told to, and whoever told it is
 * gone by then, in one way or another. Its memory has gone to somebody else, and
 * that somebody must not notice.
 *
 * What makes such a test able to fail: it all happens on one CPU, so that the
 * page that is freed is the next one to be allocated; what is allocated next is
 * of the same kind, that is, unmovable; and none of it takes longer than the
 * device does. With the DMA not stopped, the device's data turns up below.
 */
#include <signal.h>

#include "uio_test.h"

#define NR_TRIES	5
#define NR_BUFFERS	4

/* How the driver goes, once it has started the DMA. */
enum end {
	END_KILL_DEVICE_FIRST,
	END_KILL_BUFFER_FIRST,
	END_KILL_BUFFER_ELSEWHERE,
	END_EXIT,
	END_CLOSE,
	END_PUT,
	END_UNBIND,
};

/**
 * struct report - from the driver, a process of its own, to the test
 * @started: when the DMA was started; 0 until then
 * @safe_ms: how long from then it has surely not happened
 * @ended: the driver has done its part
 * @failed: it could not
 * @addr: where the DMA goes to
 */
struct report {
	long started;
	unsigned int safe_ms;
	int ended;
	int failed;
	__u64 addr;
};

FIXTURE(in_flight)
{
	struct report *report;
	struct uio_device dev;
	struct uio_buffer buf;
};

FIXTURE_VARIANT(in_flight)
{
	enum end end;
	int mask_bits;
};

FIXTURE_VARIANT_ADD(in_flight, killed_device_first) {
	.end = END_KILL_DEVICE_FIRST, .mask_bits = 32
};

FIXTURE_VARIANT_ADD(in_flight, killed_buffer_first) {
	.end = END_KILL_BUFFER_FIRST, .mask_bits = 64
};

FIXTURE_VARIANT_ADD(in_flight, killed_buffer_elsewhere) {
	.end = END_KILL_BUFFER_ELSEWHERE, .mask_bits = 64
};

FIXTURE_VARIANT_ADD(in_flight, exited) {
	.end = END_EXIT, .mask_bits = 64
};

FIXTURE_VARIANT_ADD(in_flight, closed) {
	.end = END_CLOSE, .mask_bits = 64
};

FIXTURE_VARIANT_ADD(in_flight, put) {
	.end = END_PUT, .mask_bits = 64
};

FIXTURE_VARIANT_ADD(in_flight, unbound) {
	.end = END_UNBIND, .mask_bits = 32
};

FIXTURE_SETUP(in_flight)
{
	if (!test_open(_metadata, &self->dev, 0))
		return;
	if (!self->dev.driver.ops->store_start)
		SKIP(return, "the device has no memory of its own");
	if (!test_set_mask(_metadata, &self->dev, variant->mask_bits))
		return;
	uio_close(&self->dev);

	self->report = mmap(NULL, uio_page_size(), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(self->report != MAP_FAILED);
	ASSERT_TRUE(test_stay_on_one_cpu());
}

FIXTURE_TEARDOWN(in_flight)
{
	EXPECT_EQ(0, uio_set_dma_mask_bits(self->dev.number, 32));
}

/* The driver: has the device write @len bytes to a page, a little later. */
static int start_dma(struct uio_device *dev, struct uio_buffer *buf,
		     enum end end, struct report *report)
{
	const char *name = uio_test_device(0);
	size_t page = uio_page_size();
	__u64 addr;
	long now;
	int ret;

	/* Descriptors are closed in the order of their numbers. */
	if (end == END_KILL_BUFFER_FIRST) {
		ret = uio_buffer_alloc_device(buf, uio_find(name), page);
		if (ret)
			return ret;
	}
	ret = uio_open_driver(dev, name);
	if (ret)
		return ret;
	if (buf->fd < 0) {
		ret = uio_buffer_alloc_device(buf, dev->number, page);
		if (ret)
			return ret;
	}

	ret = uio_dma_addr(buf->fd, dev->fd, &addr);
	if (ret)
		return ret;
	memset(buf->vaddr, 0xdd, page);
	ret = uio_dma_fetch(dev, addr, 1024);
	if (ret)
		return ret;
	memset(buf->vaddr, 0, page);

	report->addr = addr;
	report->safe_ms = dev->driver.store_delay_ms;
	now = uio_now_ms();
	ret = uio_dma_store_start(dev, addr, 1024);
	if (ret)
		return ret;
	report->started = now;
	return 0;
}

static void drive(struct uio_buffer *buf, enum end end, struct report *report)
{
	struct uio_device dev;
	int ret;

	ret = start_dma(&dev, buf, end, report);
	switch (ret ? END_EXIT : end) {
	case END_EXIT:
		report->failed = ret;
		_exit(0);
	case END_CLOSE:
		/* All that is left is the device's own use of the buffer. */
		uio_buffer_free(buf);
		uio_close(&dev);
		report->ended = 1;
		break;
	case END_PUT:
		/* The device stays open: no close stops it. */
		uio_buffer_unmap(buf);
		report->failed = uio_dma_put(buf->fd, dev.fd);
		close(buf->fd);
		report->ended = 1;
		break;
	default:
		break;
	}
	for (;;)
		pause();
}

/* End it; the driver has no say in most of it. */
static int end_driver(pid_t pid, enum end end, struct report *report)
{
	int status;

	switch (end) {
	case END_KILL_DEVICE_FIRST:
	case END_KILL_BUFFER_FIRST:
	case END_KILL_BUFFER_ELSEWHERE:
		kill(pid, SIGKILL);
		break;
	case END_CLOSE:
	case END_PUT:
		while (!report->ended)
			usleep(100);
		return report->failed;
	case END_UNBIND:
		return uio_unbind(uio_test_device(0));
	default:
		break;
	}
	return waitpid(pid, &status, 0) == pid ? 0 : -errno;
}

/**
 * struct heir - who gets the memory: what it allocates is zero and stays so
 */
struct heir {
	struct uio_buffer buf[NR_BUFFERS];
	struct test_pages pages;
};

static int inherit_buffers(struct heir *heir)
{
	char heap[UIO_NAME_LEN];
	int i, fd, ret;

	ret = uio_heap_name(uio_find(uio_test_device(0)), heap, sizeof(heap));
	if (ret)
		return ret;
	fd = uio_heap_open(heap);
	for (i = 0; i < NR_BUFFERS; i++) {
		heir->buf[i].vaddr = NULL;
		heir->buf[i].size = uio_page_size();
		heir->buf[i].fd = uio_heap_alloc(fd, heir->buf[i].size);
		if (heir->buf[i].fd < 0)
			return heir->buf[i].fd;
	}
	close(fd);
	return 0;
}

static int count_damage(struct heir *heir)
{
	int i, damage = 0;

	for (i = 0; i < NR_BUFFERS; i++) {
		if (uio_buffer_map(&heir->buf[i]))
			return -1;
		damage += uio_differs_from(heir->buf[i].vaddr,
					   heir->buf[i].size, 0) != -1;
	}
	return damage;
}

/* Has the heir got the very page? Asking lets the device at it: ask last. */
static bool got_it(struct heir *heir, struct uio_device *dev, __u64 addr)
{
	bool found = false;
	__u64 now;
	int i;

	for (i = 0; i < NR_BUFFERS; i++) {
		if (!uio_dma_addr(heir->buf[i].fd, dev->fd, &now))
			found |= now == addr;
		uio_buffer_free(&heir->buf[i]);
	}
	return found;
}

/* Returns whether it all went fast enough to prove something. */
static bool try_once(struct __test_metadata *_metadata, struct report *report,
		     struct uio_buffer *buf, enum end end)
{
	const char *name = uio_test_device(0);
	bool elsewhere = end == END_KILL_BUFFER_ELSEWHERE;
	struct uio_device dev;
	struct heir heir;
	bool in_time;
	pid_t pid;

	memset(report, 0, sizeof(*report));
	buf->fd = -1;
	if (elsewhere)
		ASSERT_EQ(0, uio_buffer_alloc_device(buf, uio_find(name),
						     uio_page_size()));
	pid = fork();
	if (!pid)
		drive(buf, end, report);
	ASSERT_LT(0, pid);
	while (!report->started && !report->failed)
		usleep(100);
	ASSERT_EQ(0, report->failed);

	ASSERT_EQ(0, end_driver(pid, end, report));
	EXPECT_EQ(0, uio_bus_master(name));
	in_time = uio_now_ms() < report->started + (long)report->safe_ms;

	/* The heap comes back with the driver, which takes its time. */
	if (end == END_UNBIND) {
		ASSERT_EQ(0, test_take_pages(&heir.pages));
		ASSERT_EQ(0, uio_bind(name, "uio_pci_generic"));
		ASSERT_EQ(0, inherit_buffers(&heir));
	} else {
		ASSERT_EQ(0, inherit_buffers(&heir));
		ASSERT_EQ(0, test_take_pages(&heir.pages));
	}

	/* Waits for the device, which still believes in its DMA. */
	ASSERT_EQ(0, uio_open_driver(&dev, name));
	EXPECT_EQ(0, uio_bus_master(name));
	EXPECT_EQ(0, count_damage(&heir));
	EXPECT_EQ(0, test_count_damage(&heir.pages));
	if (in_time && elsewhere)
		EXPECT_EQ(-1, uio_differs_from(buf->vaddr, buf->size, 0));
	if (got_it(&heir, &dev, report->addr) && in_time)
		TH_LOG("the same address was given to somebody else");

	if (elsewhere)
		uio_buffer_free(buf);
	if (end == END_CLOSE || end == END_PUT || end == END_UNBIND) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	uio_close(&dev);
	return in_time;
}

TEST_F_TIMEOUT(in_flight, memory_is_safe, 60)
{
	int i;

	for (i = 0; i < NR_TRIES; i++)
		if (try_once(_metadata, self->report, &self->buf, variant->end))
			return;
	SKIP(return, "too slow to get there before the device");
}

TEST_HARNESS_MAIN
