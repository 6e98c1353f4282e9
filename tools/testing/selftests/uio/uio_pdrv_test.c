// SPDX-License-Identifier: GPL-2.0
/*
 * uio_pdrv_genirq: devices that have a reset line do DMA, others only if the
 * administrator says so. The devices are those of CONFIG_UIO_TEST; both drive
 * the engine that uio_test_dma.h is about. Nothing but the reset ends its DMA.
 */
#include <signal.h>
#include <sys/wait.h>

#include "uio_test.h"
#include "uio_test_dma.h"

#define DRIVER		"uio_pdrv_genirq"
#define WITH_LINE	"uio_test_reset"
#define WITHOUT_LINE	"uio_test_plain"
#define REQUIRED	"/sys/module/uio_pdrv_genirq/parameters/reset_required"

/* A reason to skip */
#define NO_LINES	"no reset lines without device tree in this kernel"

/* Bound anew, the engine as after power-on. */
static bool take_device(struct __test_metadata *_metadata,
			struct uio_device *dev, const char *name)
{
	dev->fd = -1;
	if (!test_bind(_metadata, name, DRIVER))
		return false;
	ASSERT_EQ(0, uio_unbind(name));
	ASSERT_EQ(0, uio_bind(name, DRIVER));
	ASSERT_EQ(0, test_dma_set("reset", "1"));
	ASSERT_EQ(0, test_dma_set("permitted", "1"));
	ASSERT_EQ(0, uio_open(dev, name));
	return true;
}

static bool has_heap(const struct uio_device *dev)
{
	char heap[UIO_NAME_LEN];

	return !uio_heap_name(dev->number, heap, sizeof(heap));
}

/* As take_device(), of the device whose reset line makes DMA possible. */
static bool take_line(struct __test_metadata *_metadata, struct uio_device *dev)
{
	if (!take_device(_metadata, dev, WITH_LINE))
		return false;
	if (!has_heap(dev)) {
		uio_close(dev);
		SKIP(return false, NO_LINES);
	}
	return true;
}

/* Allocate a page and have the device write to it. */
static void begin_dma(struct __test_metadata *_metadata,
		      struct uio_device *dev, struct uio_buffer *buf)
{
	__u64 addr;

	ASSERT_EQ(0, uio_set_dma_mask_bits(dev->number, 64));
	ASSERT_EQ(0, uio_buffer_alloc_device(buf, dev->number, uio_page_size()));
	ASSERT_EQ(0, uio_dma_addr(buf->fd, dev->fd, &addr));
	ASSERT_EQ(0, test_dma_write(addr));
	ASSERT_TRUE(test_dma_reaches(buf->vaddr));
}

enum end {
	END_PUT,
	END_CLOSE,
	END_KILL,
	END_UNBIND,
};

FIXTURE(line)
{
	struct uio_device dev;
	struct uio_buffer buf;
};

FIXTURE_VARIANT(line)
{
	enum end end;
};

FIXTURE_VARIANT_ADD(line, put) { .end = END_PUT };
FIXTURE_VARIANT_ADD(line, closed) { .end = END_CLOSE };
FIXTURE_VARIANT_ADD(line, killed) { .end = END_KILL };
FIXTURE_VARIANT_ADD(line, unbound) { .end = END_UNBIND };

FIXTURE_SETUP(line)
{
	self->buf.fd = -1;
	take_line(_metadata, &self->dev);
}

FIXTURE_TEARDOWN(line)
{
	EXPECT_EQ(0, test_dma_set("reset", "1"));
	uio_buffer_free(&self->buf);
	uio_close(&self->dev);
	EXPECT_EQ(0, uio_unbind(WITH_LINE));
}

/* All of it in a process that does not end by itself. */
static pid_t start_driver(struct __test_metadata *_metadata,
			  struct uio_device *dev, struct uio_buffer *buf)
{
	int fds[2];
	pid_t pid;
	char byte;

	/* This is a last close, which stops the device. */
	uio_close(dev);
	ASSERT_EQ(0, test_dma_set("reset", "1"));
	ASSERT_EQ(0, test_dma_set("permitted", "1"));
	ASSERT_EQ(0, pipe(fds));
	pid = fork();
	if (!pid) {
		if (uio_open(dev, WITH_LINE))
			_exit(1);
		begin_dma(_metadata, dev, buf);
		if (_metadata->exit_code || write(fds[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	ASSERT_LT(0, pid);
	close(fds[1]);
	ASSERT_EQ(1, read(fds[0], &byte, 1));
	close(fds[0]);
	return pid;
}

TEST_F(line, ends_dma)
{
	struct uio_heir heir;
	pid_t pid;

	switch (variant->end) {
	case END_PUT:
		begin_dma(_metadata, &self->dev, &self->buf);
		EXPECT_EQ(0, uio_dma_put(self->buf.fd, self->dev.fd));
		break;
	case END_CLOSE:
		begin_dma(_metadata, &self->dev, &self->buf);
		uio_close(&self->dev);
		break;
	case END_KILL:
		pid = start_driver(_metadata, &self->dev, &self->buf);
		EXPECT_EQ(0, test_dma_get("stops"));
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, NULL, 0));
		break;
	case END_UNBIND:
		begin_dma(_metadata, &self->dev, &self->buf);
		ASSERT_EQ(0, uio_unbind(WITH_LINE));
		break;
	}
	uio_buffer_free(&self->buf);
	ASSERT_EQ(0, uio_heir_take_pages(&heir));
	EXPECT_EQ(1, test_dma_get("stops"));
	EXPECT_FALSE(test_dma_is_writing());
	EXPECT_EQ(0, uio_heir_damage_pages(&heir));

	/* It is not held in reset. */
	EXPECT_TRUE(test_dma_is_permitted());
	if (variant->end == END_UNBIND)
		ASSERT_EQ(0, uio_bind(WITH_LINE, DRIVER));
}

/* Nobody has asked for DMA: it is a device like any other. */
TEST(line_is_not_used_without_need)
{
	struct uio_device dev;
	int i;

	for (i = 0; i < 2; i++) {
		if (!take_line(_metadata, &dev))
			return;
		if (i)
			uio_close(&dev);
		EXPECT_EQ(0, uio_unbind(WITH_LINE));
		EXPECT_EQ(0, test_dma_get("stops"));
		EXPECT_TRUE(test_dma_is_permitted());
		uio_close(&dev);
	}
	EXPECT_EQ(0, test_dma_set("reset", "1"));
}

/* The pulse was at the last PUT, but a program can go on. */
TEST(line_is_used_again_at_close)
{
	struct uio_device dev;
	struct uio_buffer buf;
	__u64 addr;

	if (!take_line(_metadata, &dev))
		return;
	begin_dma(_metadata, &dev, &buf);
	ASSERT_EQ(0, uio_dma_addr(buf.fd, dev.fd, &addr));
	ASSERT_EQ(0, uio_dma_put(buf.fd, dev.fd));
	EXPECT_FALSE(test_dma_is_writing());

	/* The descriptor keeps the memory, which the device has still to leave. */
	ASSERT_EQ(0, test_dma_write(addr));
	EXPECT_TRUE(test_dma_reaches(buf.vaddr));
	uio_close(&dev);
	EXPECT_FALSE(test_dma_is_writing());
	uio_buffer_free(&buf);
	EXPECT_EQ(0, uio_unbind(WITH_LINE));
}

TEST(line_cannot_be_asserted)
{
	struct uio_device dev;
	struct uio_buffer buf;

	if (!take_line(_metadata, &dev))
		return;
	begin_dma(_metadata, &dev, &buf);
	ASSERT_EQ(0, test_dma_set("stop_errno", "%d", EBUSY));
	EXPECT_EQ(-EIO, uio_dma_put(buf.fd, dev.fd));
	EXPECT_TRUE(test_dma_writes_within(TEST_DMA_LONG_MS));
	ASSERT_EQ(0, test_dma_set("stop_errno", "0"));
	EXPECT_EQ(0, uio_dma_put(buf.fd, dev.fd));
	EXPECT_FALSE(test_dma_is_writing());
	uio_buffer_free(&buf);
	uio_close(&dev);
	EXPECT_EQ(0, uio_unbind(WITH_LINE));
}

FIXTURE(no_line)
{
	struct uio_device dev;
};

FIXTURE_SETUP(no_line)
{
	take_device(_metadata, &self->dev, WITHOUT_LINE);
}

FIXTURE_TEARDOWN(no_line)
{
	EXPECT_EQ(0, test_dma_set("reset", "1"));
	uio_close(&self->dev);
	EXPECT_EQ(0, uio_write_text(REQUIRED, "Y"));
	EXPECT_EQ(0, uio_unbind(WITHOUT_LINE));
}

TEST_F(no_line, cannot_do_dma)
{
	struct uio_buffer buf;
	__u64 addr;

	EXPECT_FALSE(has_heap(&self->dev));
	ASSERT_EQ(0, uio_buffer_alloc(&buf, "system", uio_page_size()));
	EXPECT_EQ(-EOPNOTSUPP, uio_dma_addr(buf.fd, self->dev.fd, &addr));
	EXPECT_EQ(-EOPNOTSUPP, uio_dma_put(buf.fd, self->dev.fd));
	uio_buffer_free(&buf);
}

TEST_F(no_line, administrator_answers_for_it)
{
	struct uio_buffer buf;

	uio_close(&self->dev);
	ASSERT_EQ(0, uio_write_text(REQUIRED, "N"));
	ASSERT_TRUE(take_device(_metadata, &self->dev, WITHOUT_LINE));
	ASSERT_TRUE(has_heap(&self->dev));
	begin_dma(_metadata, &self->dev, &buf);

	/* It is believed to have stopped, whatever it does. */
	EXPECT_TRUE(test_dma_writes_within(TEST_DMA_LONG_MS));
	EXPECT_EQ(0, test_dma_set("reset", "1"));
	EXPECT_EQ(0, uio_dma_put(buf.fd, self->dev.fd));
	EXPECT_EQ(0, test_dma_get("stops"));
	uio_buffer_free(&buf);
}

TEST_HARNESS_MAIN
