// SPDX-License-Identifier: GPL-2.0
/*
 * When the kernel permits and ends DMA, seen by a device that does not stop for
 * any other reason: uio_test_dma of CONFIG_UIO_TEST. It writes to memory over
 * and over again, counts how often it was started and stopped, and fails to do
 * either, or takes its time, when it is told to.
 */
#include <signal.h>

#include "uio_test.h"
#include "uio_test_dma.h"

#define DEVICE		"uio_test_dma"

/* How long the device takes to stop, for the memory to go astray. */
#define STOP_MS		300

/* Until the device is being stopped. */
static void wait_for_stop(void)
{
	long end = uio_now_ms() + TEST_DMA_LONG_MS;

	while (!test_dma_get("stops") && uio_now_ms() < end)
		uio_msleep(1);
}

/*
 * Take the device as after power-on, with a mask that covers all memory. What an
 * earlier test could not get rid of goes when the device is unbound.
 */
static bool take_device(struct __test_metadata *_metadata,
			struct uio_device *dev)
{
	char text[UIO_NAME_LEN];
	int ret;

	dev->fd = -1;
	if (!test_bind(_metadata, DEVICE, DEVICE))
		return false;
	if (access(TEST_DMA_DIR, F_OK))
		SKIP_WITHOUT(return false, "no debugfs");
	ASSERT_EQ(0, test_dma_set("reset", "1"));
	ASSERT_EQ(0, uio_unbind(DEVICE));
	ASSERT_EQ(0, uio_bind(DEVICE, DEVICE));
	ASSERT_EQ(0, test_dma_set("reset", "1"));
	ASSERT_EQ(0, uio_open(dev, DEVICE));
	if (uio_heap_name(dev->number, text, sizeof(text)) == -ENOENT)
		SKIP_WITHOUT(return false, "no DMA for it: CONFIG_UIO_DMA?");
	ret = uio_set_dma_mask_bits(dev->number, 64);
	ASSERT_EQ(0, ret);
	return true;
}

/* What a test has left may go on to write, to memory that is freed soon. */
static void leave_device(struct __test_metadata *_metadata,
			 struct uio_device *dev)
{
	EXPECT_EQ(0, test_dma_set("reset", "1"));
	uio_close(dev);
	EXPECT_EQ(0, uio_bind(DEVICE, DEVICE));
}

FIXTURE(stop)
{
	struct uio_device dev;
	struct uio_buffer buf;
	__u64 addr;
};

FIXTURE_SETUP(stop)
{
	if (!take_device(_metadata, &self->dev))
		return;
	ASSERT_EQ(0, uio_buffer_alloc_from(&self->buf, UIO_MEMORY_SYSTEM,
					   self->dev.number, uio_page_size()));
}

FIXTURE_TEARDOWN(stop)
{
	uio_buffer_free(&self->buf);
	leave_device(_metadata, &self->dev);
}

/* What is being stopped cannot be told to go on. */
TEST_F(stop, registers_are_gone_before)
{
	struct uio_device *dev = &self->dev;
	int status;
	pid_t pid;

	ASSERT_TRUE(dev->regs);
	ASSERT_EQ(0, uio_touch((void *)dev->regs));
	ASSERT_EQ(0, uio_dma_addr(self->buf.fd, dev->fd, &self->addr));
	ASSERT_EQ(0, test_dma_set("stop_ms", "%u", STOP_MS));
	pid = fork();
	if (!pid)
		_exit(uio_unbind(DEVICE) ? 1 : 0);
	ASSERT_LT(0, pid);

	wait_for_stop();
	EXPECT_EQ(SIGBUS, uio_touch((void *)dev->regs));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, uio_page_size(), PROT_READ, MAP_SHARED,
				   dev->fd, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_TRUE(test_dma_is_permitted());
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_FALSE(test_dma_is_permitted());
}

TEST_F(stop, once_for_all_buffers)
{
	struct uio_device *dev = &self->dev;
	struct uio_buffer own;
	__u64 addr;

	ASSERT_EQ(0, uio_buffer_alloc_device(&own, dev->number, 1));
	EXPECT_FALSE(test_dma_is_permitted());
	EXPECT_EQ(0, test_dma_get("starts"));
	ASSERT_EQ(0, uio_dma_addr(self->buf.fd, dev->fd, &addr));
	ASSERT_EQ(0, uio_dma_addr(own.fd, dev->fd, &addr));
	ASSERT_EQ(0, uio_dma_addr(own.fd, dev->fd, &addr));
	EXPECT_EQ(1, test_dma_get("starts"));
	EXPECT_TRUE(test_dma_is_permitted());

	ASSERT_EQ(0, uio_dma_put(self->buf.fd, dev->fd));
	EXPECT_EQ(0, test_dma_get("stops"));
	EXPECT_TRUE(test_dma_is_permitted());
	ASSERT_EQ(0, uio_dma_put(own.fd, dev->fd));
	EXPECT_EQ(1, test_dma_get("stops"));
	EXPECT_FALSE(test_dma_is_permitted());

	ASSERT_EQ(0, uio_dma_addr(own.fd, dev->fd, &addr));
	EXPECT_EQ(2, test_dma_get("starts"));
	EXPECT_EQ(1, test_dma_get("stops"));
	uio_buffer_free(&own);
}

/* One of several users goes: the others' DMA goes on without a break. */
TEST_F(stop, not_at_the_close_of_others)
{
	struct uio_device *dev = &self->dev;
	int i, fd, dmabufs = uio_count_dmabufs();
	struct uio_buffer other;

	ASSERT_EQ(0, uio_dma_addr(self->buf.fd, dev->fd, &self->addr));
	ASSERT_EQ(0, test_dma_write(self->addr));
	ASSERT_TRUE(test_dma_reaches(self->buf.vaddr));

	/* With nothing mapped, with something mapped, and put, and not. */
	for (i = 0; i < 3; i++) {
		fd = uio_open_fd(dev->number, O_RDWR);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, uio_buffer_alloc_device(&other, dev->number, 1));
		if (i)
			ASSERT_EQ(0, uio_dma_addr(other.fd, fd, &self->addr));
		if (i == 1)
			ASSERT_EQ(0, uio_dma_put(other.fd, fd));
		uio_buffer_free(&other);
		close(fd);
		EXPECT_EQ(0, test_dma_get("stops"));
		EXPECT_EQ(1, test_dma_get("starts"));
		EXPECT_TRUE(test_dma_reaches(self->buf.vaddr));
	}

	/* The last one's buffer waits for the device to be stopped. */
	EXPECT_EQ(dmabufs + 1, uio_count_dmabufs());
	uio_close(dev);
	EXPECT_EQ(1, test_dma_get("stops"));
	EXPECT_FALSE(test_dma_is_permitted());
	EXPECT_FALSE(test_dma_is_writing());
	EXPECT_EQ(dmabufs, uio_count_dmabufs());
}

/* It may have been started behind the kernel's back. */
TEST_F(stop, at_the_last_close)
{
	struct uio_device *dev = &self->dev;
	int fd;

	fd = uio_open_fd(dev->number, O_RDWR);
	ASSERT_LE(0, fd);
	close(fd);
	EXPECT_EQ(0, test_dma_get("stops"));
	uio_close(dev);
	EXPECT_EQ(1, test_dma_get("stops"));
	EXPECT_EQ(0, test_dma_get("starts"));
}

TEST_F(stop, fails_at_put)
{
	struct uio_device *dev = &self->dev;
	__u64 addr;

	ASSERT_EQ(0, uio_dma_addr(self->buf.fd, dev->fd, &self->addr));
	ASSERT_EQ(0, test_dma_write(self->addr));
	ASSERT_EQ(0, test_dma_set("stop_errno", "%d", EBUSY));
	EXPECT_EQ(-EIO, uio_dma_put(self->buf.fd, dev->fd));
	EXPECT_EQ(1, test_dma_get("stops"));

	/* All is as it was. */
	EXPECT_EQ(0, uio_dma_addr(self->buf.fd, dev->fd, &addr));
	EXPECT_EQ(self->addr, addr);
	EXPECT_EQ(1, test_dma_get("starts"));
	EXPECT_TRUE(test_dma_reaches(self->buf.vaddr));
	EXPECT_EQ(-EBUSY, uio_set_dma_mask_bits(dev->number, 40));

	ASSERT_EQ(0, test_dma_set("stop_errno", "0"));
	EXPECT_EQ(0, uio_dma_put(self->buf.fd, dev->fd));
	EXPECT_EQ(2, test_dma_get("stops"));
	EXPECT_EQ(-ENOENT, uio_dma_put(self->buf.fd, dev->fd));
	EXPECT_FALSE(test_dma_is_writing());
	EXPECT_EQ(0, uio_set_dma_mask_bits(dev->number, 40));
}

TEST_F(stop, start_fails_at_get)
{
	struct uio_device *dev = &self->dev;
	int dmabufs = uio_count_dmabufs();
	__u64 addr;

	ASSERT_EQ(0, test_dma_set("start_errno", "%d", ENODEV));
	EXPECT_EQ(-EIO, uio_dma_addr(self->buf.fd, dev->fd, &addr));
	EXPECT_EQ(1, test_dma_get("starts"));
	EXPECT_FALSE(test_dma_is_permitted());

	/* Nothing is mapped. */
	EXPECT_EQ(-ENOENT, uio_dma_put(self->buf.fd, dev->fd));
	EXPECT_EQ(0, uio_set_dma_mask_bits(dev->number, 40));
	EXPECT_EQ(0, uio_set_dma_mask_bits(dev->number, 64));
	EXPECT_EQ(-EIO, uio_dma_addr(self->buf.fd, dev->fd, &addr));
	uio_buffer_free(&self->buf);
	EXPECT_EQ(dmabufs - 1, uio_count_dmabufs());

	ASSERT_EQ(0, test_dma_set("start_errno", "0"));
	ASSERT_EQ(0, uio_buffer_alloc_device(&self->buf, dev->number, 1));
	EXPECT_EQ(0, uio_dma_addr(self->buf.fd, dev->fd, &addr));
	EXPECT_EQ(3, test_dma_get("starts"));
}

/* What the device may still reach counts as mapped, though no file is open. */
TEST_F(stop, fails_at_close)
{
	struct uio_device *dev = &self->dev;
	int fd, number = dev->number, dmabufs = uio_count_dmabufs();
	__u64 addr;

	ASSERT_EQ(0, uio_dma_addr(self->buf.fd, dev->fd, &self->addr));
	ASSERT_EQ(0, test_dma_write(self->addr));
	ASSERT_TRUE(test_dma_reaches(self->buf.vaddr));
	uio_buffer_free(&self->buf);
	ASSERT_EQ(0, test_dma_set("stop_errno", "%d", EBUSY));
	uio_close(dev);
	EXPECT_EQ(1, test_dma_get("stops"));
	EXPECT_TRUE(test_dma_writes_within(TEST_DMA_LONG_MS));
	EXPECT_EQ(dmabufs, uio_count_dmabufs());
	EXPECT_EQ(-EBUSY, uio_set_dma_mask_bits(number, 40));
	EXPECT_EQ(64, uio_dma_mask_bits(number));

	/* Others can use the device; what is left over goes when it stops. */
	fd = uio_open_fd(number, O_RDWR);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, uio_buffer_alloc_device(&self->buf, number, 1));
	EXPECT_EQ(0, uio_dma_addr(self->buf.fd, fd, &addr));
	EXPECT_NE(self->addr, addr);
	EXPECT_EQ(-EIO, uio_dma_put(self->buf.fd, fd));
	ASSERT_EQ(0, test_dma_set("stop_errno", "0"));
	EXPECT_EQ(0, uio_dma_put(self->buf.fd, fd));
	uio_buffer_free(&self->buf);
	EXPECT_FALSE(test_dma_is_writing());
	EXPECT_EQ(dmabufs - 1, uio_count_dmabufs());
	EXPECT_EQ(0, uio_set_dma_mask_bits(number, 40));
	close(fd);
}

/*
 * The driver is a process of its own. It leaves the device writing to its
 * buffer, and goes. The test takes the pages that become free: while the device
 * is being stopped, which takes a while, and after all is over.
 */
enum end {
	END_PUT,
	END_CLOSE,
	END_KILL,
	END_UNBIND,
	END_CLOSE_AND_UNBIND,
};

FIXTURE(memory)
{
	struct uio_device dev;
	int *step;
};

FIXTURE_VARIANT(memory)
{
	enum end end;
	enum uio_memory memory;
};

FIXTURE_VARIANT_ADD(memory, put) {
	.end = END_PUT, .memory = UIO_MEMORY_DEVICE
};

FIXTURE_VARIANT_ADD(memory, closed) {
	.end = END_CLOSE, .memory = UIO_MEMORY_DEVICE
};

FIXTURE_VARIANT_ADD(memory, killed) {
	.end = END_KILL, .memory = UIO_MEMORY_DEVICE
};

FIXTURE_VARIANT_ADD(memory, unbound) {
	.end = END_UNBIND, .memory = UIO_MEMORY_DEVICE
};

FIXTURE_VARIANT_ADD(memory, put_system) {
	.end = END_PUT, .memory = UIO_MEMORY_SYSTEM
};

FIXTURE_VARIANT_ADD(memory, closed_system) {
	.end = END_CLOSE, .memory = UIO_MEMORY_SYSTEM
};

FIXTURE_VARIANT_ADD(memory, killed_system) {
	.end = END_KILL, .memory = UIO_MEMORY_SYSTEM
};

FIXTURE_VARIANT_ADD(memory, unbound_system) {
	.end = END_UNBIND, .memory = UIO_MEMORY_SYSTEM
};

FIXTURE_VARIANT_ADD(memory, closed_and_unbound_system) {
	.end = END_CLOSE_AND_UNBIND, .memory = UIO_MEMORY_SYSTEM
};

enum step {
	STEP_WRITING = 1,
	STEP_GO,
	STEP_DONE,
	STEP_FAILED,
};

FIXTURE_SETUP(memory)
{
	if (!take_device(_metadata, &self->dev))
		return;
	close(self->dev.fd);
	self->dev.fd = -1;
	ASSERT_EQ(0, test_dma_set("reset", "1"));
	self->step = mmap(NULL, uio_page_size(), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(self->step != MAP_FAILED);
	ASSERT_TRUE(test_stay_on_one_cpu());
}

FIXTURE_TEARDOWN(memory)
{
	leave_device(_metadata, &self->dev);
}

static void set_step(int *step, enum step next)
{
	__atomic_store_n(step, next, __ATOMIC_RELEASE);
}

static bool wait_step(int *step, enum step wanted)
{
	long end = uio_now_ms() + TEST_DMA_LONG_MS;
	int now;

	do {
		now = __atomic_load_n(step, __ATOMIC_ACQUIRE);
		if (now == wanted)
			return true;
		uio_msleep(1);
	} while (now != STEP_FAILED && uio_now_ms() < end);
	return false;
}

static void drive(int number, enum end end, enum uio_memory memory, int *step)
{
	struct uio_buffer buf;
	__u64 addr;
	int fd;

	fd = uio_open_fd(number, O_RDWR);
	if (fd < 0 ||
	    uio_buffer_alloc_from(&buf, memory, number, uio_page_size()) ||
	    uio_dma_addr(buf.fd, fd, &addr) ||
	    test_dma_write(addr) || !test_dma_reaches(buf.vaddr)) {
		set_step(step, STEP_FAILED);
		_exit(1);
	}
	if (end == END_CLOSE || end == END_CLOSE_AND_UNBIND)
		uio_buffer_free(&buf);
	set_step(step, STEP_WRITING);
	while (!wait_step(step, STEP_GO))
		;

	switch (end) {
	case END_PUT:
		uio_dma_put(buf.fd, fd);
		uio_buffer_free(&buf);
		break;
	case END_CLOSE:
		close(fd);
		break;
	case END_UNBIND:
		uio_unbind(DEVICE);
		uio_buffer_free(&buf);
		break;
	case END_CLOSE_AND_UNBIND:
		close(fd);
		uio_unbind(DEVICE);
		break;
	default:
		break;
	}
	if (end != END_KILL)
		set_step(step, STEP_DONE);
	for (;;)
		pause();
}

/* Start a driver that has the device write to its buffer. */
static pid_t start_driver(struct __test_metadata *_metadata, int number,
			  enum end end, enum uio_memory memory, int *step)
{
	pid_t pid;

	pid = fork();
	if (!pid)
		drive(number, end, memory, step);
	ASSERT_LT(0, pid);
	ASSERT_TRUE(wait_step(step, STEP_WRITING));
	ASSERT_TRUE(test_dma_is_permitted());
	return pid;
}

static void let_it_go(pid_t pid, enum end end, int *step)
{
	set_step(step, STEP_GO);
	if (end == END_KILL)
		kill(pid, SIGKILL);
}

/* How often the device is told to stop. */
static int count_stops(enum end end)
{
	return end == END_CLOSE_AND_UNBIND ? 2 : 1;
}

static bool has_gone(pid_t pid, enum end end, int *step)
{
	if (end == END_KILL)
		return waitpid(pid, NULL, 0) == pid;
	return wait_step(step, STEP_DONE);
}

TEST_F(memory, is_not_given_back_before)
{
	struct uio_heir during, after;
	pid_t pid;

	pid = start_driver(_metadata, self->dev.number, variant->end,
			   variant->memory, self->step);
	ASSERT_EQ(0, test_dma_set("stop_ms", "%u", STOP_MS));
	let_it_go(pid, variant->end, self->step);

	wait_for_stop();
	ASSERT_EQ(0, uio_heir_take_pages(&during));
	EXPECT_TRUE(test_dma_is_permitted());
	EXPECT_TRUE(test_dma_writes_within(TEST_DMA_LONG_MS));

	ASSERT_TRUE(has_gone(pid, variant->end, self->step));
	ASSERT_EQ(0, uio_heir_take_pages(&after));
	EXPECT_EQ(count_stops(variant->end), test_dma_get("stops"));
	EXPECT_FALSE(test_dma_is_permitted());
	EXPECT_FALSE(test_dma_is_writing());
	EXPECT_EQ(0, uio_heir_damage_pages(&during));
	EXPECT_EQ(0, uio_heir_damage_pages(&after));
	if (variant->end != END_KILL) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
}

/* The device cannot be stopped: then its memory is never used again. */
TEST_F(memory, is_leaked_if_that_fails)
{
	struct uio_heir after;
	pid_t pid;

	pid = start_driver(_metadata, self->dev.number, variant->end,
			   variant->memory, self->step);
	ASSERT_EQ(0, test_dma_set("stop_errno", "%d", EBUSY));
	let_it_go(pid, variant->end, self->step);
	ASSERT_TRUE(has_gone(pid, variant->end, self->step));
	ASSERT_EQ(0, uio_heir_take_pages(&after));
	EXPECT_EQ(count_stops(variant->end), test_dma_get("stops"));
	EXPECT_TRUE(test_dma_writes_within(TEST_DMA_LONG_MS));
	EXPECT_EQ(0, uio_heir_damage_pages(&after));

	/* The next user is not concerned. */
	ASSERT_EQ(0, test_dma_set("reset", "1"));
	ASSERT_EQ(0, uio_bind(DEVICE, DEVICE));
	if (variant->end != END_KILL) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	ASSERT_EQ(0, uio_open(&self->dev, DEVICE));
}

/* The buffer belongs to another device, which goes. */
FIXTURE(lent)
{
	struct uio_device dev;
	struct uio_device owner;
	struct uio_buffer buf;
};

FIXTURE_SETUP(lent)
{
	__u64 addr;
	int ret;

	self->owner.fd = -1;
	self->buf.fd = -1;
	if (!take_device(_metadata, &self->dev))
		return;
	if (!test_open(_metadata, &self->owner, 0))
		return;
	if (!test_set_mask(_metadata, &self->owner, 64))
		return;
	ASSERT_EQ(0, uio_buffer_alloc_device(&self->buf, self->owner.number,
					     uio_page_size()));
	ret = uio_dma_addr(self->buf.fd, self->dev.fd, &addr);
	if (ret == -EOPNOTSUPP)
		SKIP(return, "the devices cannot share a buffer");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, test_dma_write(addr));
	ASSERT_TRUE(test_dma_reaches(self->buf.vaddr));
	ASSERT_TRUE(test_stay_on_one_cpu());
}

FIXTURE_TEARDOWN(lent)
{
	uio_buffer_free(&self->buf);
	uio_close(&self->owner);
	leave_device(_metadata, &self->dev);
	EXPECT_EQ(0, uio_bind(uio_test_device(0), "uio_pci_generic"));
}

TEST_F(lent, is_not_given_back_before)
{
	struct uio_heir during, after;
	int status;
	__u64 addr;
	pid_t pid;

	ASSERT_EQ(0, test_dma_set("stop_ms", "%u", STOP_MS));
	pid = fork();
	if (!pid)
		_exit(uio_unbind(self->owner.name) ? 1 : 0);
	ASSERT_LT(0, pid);
	wait_for_stop();
	ASSERT_EQ(0, uio_heir_take_pages(&during));
	EXPECT_TRUE(test_dma_is_permitted());
	EXPECT_TRUE(test_dma_writes_within(TEST_DMA_LONG_MS));

	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	ASSERT_EQ(0, uio_heir_take_pages(&after));
	EXPECT_EQ(1, test_dma_get("stops"));
	EXPECT_FALSE(test_dma_is_permitted());
	EXPECT_FALSE(test_dma_is_writing());
	EXPECT_EQ(0, uio_heir_damage_pages(&during));
	EXPECT_EQ(0, uio_heir_damage_pages(&after));
	EXPECT_EQ(-ENODEV, uio_dma_addr(self->buf.fd, self->dev.fd, &addr));
	EXPECT_EQ(0, uio_dma_put(self->buf.fd, self->dev.fd));
}

/* The owner waits in vain for this device, but not for ever. */
TEST_F_TIMEOUT(lent, is_leaked_if_that_fails, 90)
{
	struct uio_heir after;
	__u64 addr;

	if (!access("/sys/kernel/debug/dma-api", F_OK))
		SKIP(return, "DMA API debugging warns of what is leaked on purpose");
	ASSERT_EQ(0, test_dma_set("stop_errno", "%d", EBUSY));
	ASSERT_EQ(0, uio_unbind(self->owner.name));
	ASSERT_EQ(0, uio_heir_take_pages(&after));
	EXPECT_LE(1, test_dma_get("stops"));
	EXPECT_TRUE(test_dma_writes_within(TEST_DMA_LONG_MS));
	EXPECT_EQ(0, uio_heir_damage_pages(&after));
	EXPECT_EQ(-ENODEV, uio_dma_addr(self->buf.fd, self->dev.fd, &addr));
	EXPECT_EQ(-EIO, uio_dma_put(self->buf.fd, self->dev.fd));
	ASSERT_EQ(0, test_dma_set("stop_errno", "0"));
	EXPECT_EQ(0, uio_dma_put(self->buf.fd, self->dev.fd));
	EXPECT_FALSE(test_dma_is_writing());
}

TEST_HARNESS_MAIN
