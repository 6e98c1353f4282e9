// SPDX-License-Identifier: GPL-2.0
/*
 * The system is suspended while a driver in user space has its device at work.
 * Afterwards everything is where it was, and goes on.
 *
 * Nothing wakes a test machine up, so this stops short of sleeping: see pm_test
 * in Documentation/power/basic-pm-debugging.rst.
 */
#include "uio_test.h"

#define IRQ_TIMEOUT_MS	1000

FIXTURE(suspend)
{
	struct uio_device dev;
	struct uio_device idle;
	struct uio_buffer buf[2];
	__u64 addr[2];
};

FIXTURE_VARIANT(suspend)
{
	const char *state;
	const char *level;
};

FIXTURE_VARIANT_ADD(suspend, freeze_devices) {
	.state = "freeze", .level = "devices"
};

FIXTURE_VARIANT_ADD(suspend, freeze_platform) {
	.state = "freeze", .level = "platform"
};

FIXTURE_VARIANT_ADD(suspend, mem_devices) {
	.state = "mem", .level = "devices"
};

FIXTURE_VARIANT_ADD(suspend, mem_core) {
	.state = "mem", .level = "core"
};

static bool offers(const char *path, const char *what)
{
	char text[UIO_PATH_LEN];

	return uio_read_text(path, text, sizeof(text)) > 0 && strstr(text, what);
}

/* One device has buffers, and is at work; the other had some. */
FIXTURE_SETUP(suspend)
{
	size_t page = uio_page_size();
	struct uio_buffer buf;
	__u64 addr;
	int i;

	if (!offers("/sys/power/state", variant->state) ||
	    !offers("/sys/power/pm_test", variant->level))
		SKIP(return, "no suspending to %s, or no test of that",
		     variant->state);
	if (!strcmp(variant->level, "core") &&
	    !offers("/sys/power/mem_sleep", "deep"))
		SKIP(return, "%s is no deeper than freeze", variant->state);
	if (!test_open(_metadata, &self->dev, 0))
		return;
	if (!test_open(_metadata, &self->idle, 1))
		return;
	if (!test_set_mask(_metadata, &self->dev, 64))
		return;
	ASSERT_EQ(0, uio_buffer_alloc_device(&self->buf[0], self->dev.number,
					     4 * page));
	if (!test_alloc(_metadata, &self->buf[1], UIO_MEMORY_SYSTEM, &self->dev,
			4 * page))
		return;
	for (i = 0; i < 2; i++) {
		uio_fill(self->buf[i].vaddr, 4 * page, i);
		ASSERT_EQ(0, uio_dma_addr(self->buf[i].fd, self->dev.fd,
					  &self->addr[i]));
	}

	ASSERT_EQ(0, uio_buffer_alloc_device(&buf, self->idle.number, page));
	ASSERT_EQ(0, uio_dma_addr(buf.fd, self->idle.fd, &addr));
	EXPECT_EQ(1, uio_bus_master(self->idle.name));
	ASSERT_EQ(0, uio_dma_put(buf.fd, self->idle.fd));
	EXPECT_EQ(0, uio_bus_master(self->idle.name));
	uio_buffer_free(&buf);
}

FIXTURE_TEARDOWN(suspend)
{
	int i;

	uio_write_text("/sys/power/pm_test", "none");
	uio_close(&self->idle);
	uio_close(&self->dev);
	for (i = 0; i < 2; i++)
		uio_buffer_free(&self->buf[i]);
	EXPECT_EQ(0, uio_bus_master(uio_test_device(0)));
	EXPECT_EQ(0, uio_set_dma_mask_bits(uio_find(uio_test_device(0)), 32));
}

static int suspend_and_resume(const char *state, const char *level)
{
	int ret;

	/* In seconds; longer than the DMA that is under way. */
	uio_write_text("/sys/module/suspend/parameters/pm_test_delay", "1");
	ret = uio_write_text("/sys/power/pm_test", level);
	return ret ? ret : uio_write_text("/sys/power/state", state);
}

static void expect_at_work(struct __test_metadata *_metadata,
			   struct uio_device *dev, struct uio_buffer *buf,
			   __u64 addr)
{
	__u64 now;

	EXPECT_EQ(0, uio_dma_addr(buf->fd, dev->fd, &now));
	EXPECT_EQ(addr, now);
	uio_fill(buf->vaddr, 1000, 7);
	ASSERT_EQ(0, uio_dma_memcpy(dev, addr + 2000, addr, 1000));
	EXPECT_EQ(-1, uio_differs(buf->vaddr + 2000, 1000, 7));
}

TEST_F_TIMEOUT(suspend, with_dma_in_flight, 60)
{
	struct uio_device *dev = &self->dev;
	size_t page = uio_page_size();
	unsigned char *target = self->buf[0].vaddr + page;
	static unsigned char old[65536];
	__u32 before, after;
	bool done;
	int bits;

	ASSERT_GE(sizeof(old), 4 * page);
	if (!dev->driver.ops->store_start)
		SKIP(return, "the device has no memory of its own");
	dev->driver.ops->send_irq(dev);
	ASSERT_EQ(0, uio_irq_wait(dev->fd, IRQ_TIMEOUT_MS, &before));
	EXPECT_TRUE(dev->driver.ops->ack_irq(dev));
	ASSERT_EQ(0, uio_irq_unmask(dev));

	bits = uio_dma_mask_bits(dev->number);
	ASSERT_EQ(0, uio_dma_fetch(dev, self->addr[1], 1000));
	memcpy(old, self->buf[0].vaddr, 4 * page);
	ASSERT_EQ(0, uio_dma_store_start(dev, self->addr[0] + page, 1000));
	ASSERT_EQ(0, suspend_and_resume(variant->state, variant->level));
	ASSERT_EQ(0, uio_dma_wait(dev));

	/* It may have been lost, but nothing else may have been hit. */
	done = uio_differs(target, 1000, 1) == -1;
	if (!done)
		EXPECT_EQ(0, memcmp(target, old + page, 1000));
	EXPECT_EQ(0, memcmp(self->buf[0].vaddr, old, page));
	EXPECT_EQ(0, memcmp(target + 1000, old + page + 1000, 3 * page - 1000));
	EXPECT_EQ(-1, uio_differs(self->buf[1].vaddr, 4 * page, 1));

	EXPECT_EQ(1, uio_bus_master(dev->name));
	EXPECT_EQ(0, uio_bus_master(self->idle.name));
	EXPECT_EQ(bits, uio_dma_mask_bits(dev->number));
	expect_at_work(_metadata, dev, &self->buf[0], self->addr[0]);
	expect_at_work(_metadata, dev, &self->buf[1], self->addr[1]);

	dev->driver.ops->send_irq(dev);
	ASSERT_EQ(0, uio_irq_wait(dev->fd, IRQ_TIMEOUT_MS, &after));
	EXPECT_EQ(before + 1, after);
	EXPECT_TRUE(dev->driver.ops->ack_irq(dev));
}

TEST_HARNESS_MAIN
