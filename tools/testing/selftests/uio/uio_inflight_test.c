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
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

#include "uio_test.h"

#define NR_TRIES	5

/* How the driver goes, once it has started the DMA. */
enum end {
	END_KILL_DEVICE_FIRST,
	END_KILL_BUFFER_FIRST,
	END_KILL_BUFFER_ELSEWHERE,
	END_KILL_CHILD_HAS_MAP,
	END_EXIT,
	END_CLOSE,
	END_CLOSE_BUFFER,
	END_PUT,
	END_UNBIND,
	END_REMOVE,
};

/**
 * struct report - from the driver, a process of its own, to the test
 * @started: when the DMA was started; 0 until then
 * @safe_ms: how long from then it has surely not happened
 * @ended: the driver has done its part
 * @failed: it could not
 * @child: the driver's child, which is left when the driver is killed
 * @look: the child is to look at the memory
 * @seen: what it saw: 1 if nothing had changed, 2 if something had
 * @addr: where the DMA goes to
 */
struct report {
	long started;
	unsigned int safe_ms;
	int ended;
	int failed;
	pid_t child;
	int look;
	int seen;
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

FIXTURE_VARIANT_ADD(in_flight, killed_child_has_map) {
	.end = END_KILL_CHILD_HAS_MAP, .mask_bits = 64
};

FIXTURE_VARIANT_ADD(in_flight, exited) {
	.end = END_EXIT, .mask_bits = 64
};

FIXTURE_VARIANT_ADD(in_flight, closed) {
	.end = END_CLOSE, .mask_bits = 64
};

FIXTURE_VARIANT_ADD(in_flight, buffer_closed) {
	.end = END_CLOSE_BUFFER, .mask_bits = 64
};

FIXTURE_VARIANT_ADD(in_flight, put) {
	.end = END_PUT, .mask_bits = 64
};

FIXTURE_VARIANT_ADD(in_flight, unbound) {
	.end = END_UNBIND, .mask_bits = 32
};

FIXTURE_VARIANT_ADD(in_flight, removed) {
	.end = END_REMOVE, .mask_bits = 32
};

FIXTURE_SETUP(in_flight)
{
	cpu_set_t cpu;

	if (!test_open(_metadata, &self->dev, 0))
		return;
	if (!self->dev.driver.ops->store_start)
		SKIP(return, "the device has no memory of its own");
	if (variant->end == END_REMOVE && access("/sys/bus/pci/rescan", W_OK))
		SKIP(return, "not a PCI device");
	if (!test_set_mask(_metadata, &self->dev, variant->mask_bits))
		return;
	uio_close(&self->dev);

	self->report = mmap(NULL, uio_page_size(), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(self->report != MAP_FAILED);
	/* The driver's child is to be waited for here. */
	ASSERT_EQ(0, prctl(PR_SET_CHILD_SUBREAPER, 1));
	CPU_ZERO(&cpu);
	CPU_SET(0, &cpu);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(cpu), &cpu));
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

/* All that the child keeps of the driver is the mapping of the buffer. */
static void leave_child(struct uio_device *dev, struct uio_buffer *buf,
			struct report *report)
{
	if (fork())
		return;
	uio_close(dev);
	close(buf->fd);
	/* From now on the parent may be killed, wherever it is. */
	report->child = getpid();
	__atomic_store_n(&report->ended, 1, __ATOMIC_RELEASE);
	while (!report->look)
		usleep(100);
	report->seen = uio_differs_from(buf->vaddr, buf->size, 0) == -1 ? 1 : 2;
	_exit(0);
}

static void drive(struct uio_buffer *buf, enum end end, struct report *report)
{
	struct uio_device dev;
	int ret;

	ret = start_dma(&dev, buf, end, report);
	switch (ret ? END_EXIT : end) {
	case END_KILL_CHILD_HAS_MAP:
		leave_child(&dev, buf, report);
		break;
	case END_EXIT:
		report->failed = ret;
		_exit(0);
	case END_CLOSE:
		/* All that is left is the device's own use of the buffer. */
		uio_buffer_free(buf);
		uio_close(&dev);
		report->ended = 1;
		break;
	case END_CLOSE_BUFFER:
		/* The device stays open and goes on. */
		uio_buffer_free(buf);
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
	case END_KILL_CHILD_HAS_MAP:
		while (!report->ended)
			usleep(100);
		kill(pid, SIGKILL);
		break;
	case END_KILL_DEVICE_FIRST:
	case END_KILL_BUFFER_FIRST:
	case END_KILL_BUFFER_ELSEWHERE:
		kill(pid, SIGKILL);
		break;
	case END_CLOSE:
	case END_CLOSE_BUFFER:
	case END_PUT:
		while (!report->ended)
			usleep(100);
		return report->failed;
	case END_UNBIND:
		return uio_unbind(uio_test_device(0));
	case END_REMOVE:
		return uio_pci_remove(uio_test_device(0));
	default:
		break;
	}
	return waitpid(pid, &status, 0) == pid ? 0 : -errno;
}

static bool ends_binding(enum end end)
{
	return end == END_UNBIND || end == END_REMOVE;
}

/* The memory goes to others, as soon as it can. */
static int inherit(struct uio_heir *heir, enum end end)
{
	const char *name = uio_test_device(0);
	int ret;

	/* The heap comes back with the driver, which takes its time. */
	if (ends_binding(end)) {
		ret = uio_heir_take_pages(heir);
		if (!ret && end == END_REMOVE)
			ret = uio_pci_rescan();
		if (!ret)
			ret = uio_bind(name, "uio_pci_generic");
		return ret ? ret : uio_heir_take_buffers(heir, uio_find(name));
	}
	ret = uio_heir_take_buffers(heir, uio_find(name));
	return ret ? ret : uio_heir_take_pages(heir);
}

/* What has been left of the driver and still has the memory. */
static void expect_rest_unharmed(struct __test_metadata *_metadata,
				 struct report *report, struct uio_buffer *buf,
				 enum end end)
{
	if (end == END_KILL_BUFFER_ELSEWHERE)
		EXPECT_EQ(-1, uio_differs_from(buf->vaddr, buf->size, 0));
	if (end == END_KILL_CHILD_HAS_MAP) {
		report->look = 1;
		while (!report->seen && !kill(report->child, 0))
			usleep(100);
		EXPECT_EQ(1, report->seen);
	}
}

/* Returns whether it all went fast enough to prove something. */
static bool try_once(struct __test_metadata *_metadata, struct report *report,
		     struct uio_buffer *buf, enum end end)
{
	const char *name = uio_test_device(0);
	bool elsewhere = end == END_KILL_BUFFER_ELSEWHERE;
	bool goes_on = end == END_CLOSE_BUFFER;
	struct uio_device dev;
	struct uio_heir heir;
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
	if (end != END_REMOVE)
		EXPECT_EQ(goes_on, uio_bus_master(name));
	in_time = uio_now_ms() < report->started + (long)report->safe_ms;
	ASSERT_EQ(0, inherit(&heir, end));

	/* Waits for the device, which still believes in its DMA. */
	ASSERT_EQ(0, uio_open_driver(&dev, name));
	EXPECT_EQ(goes_on, uio_bus_master(name));
	EXPECT_EQ(0, uio_heir_damage_buffers(&heir));
	EXPECT_EQ(0, uio_heir_damage_pages(&heir));
	if (in_time)
		expect_rest_unharmed(_metadata, report, buf, end);
	if (uio_heir_has(&heir, dev.fd, report->addr) && in_time)
		TH_LOG("the same address was given to somebody else");

	uio_heir_free_buffers(&heir);
	if (elsewhere)
		uio_buffer_free(buf);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (report->child > 0) {
		kill(report->child, SIGKILL);
		EXPECT_EQ(report->child, waitpid(report->child, NULL, 0));
	}
	uio_close(&dev);
	EXPECT_EQ(0, uio_bus_master(name));
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
