// SPDX-License-Identifier: GPL-2.0
/*
 * QEMU's "edu" device, described in docs/specs/edu.rst of QEMU.
 *
 * It has a buffer of 4 KiB of its own, and copies between that buffer and
 * memory, one direction at a time, 100 ms after it is told to. So a copy from
 * memory to memory is two transfers: a fetch and a store.
 *
 * What a driver has to know beyond the specification:
 *  - An address that does not fit the device's mask (28 bits unless QEMU was
 *    told otherwise) is cut off at the mask, not refused.
 *  - A transfer that the bus refuses completes like any other.
 *  - QEMU up to 7.2 takes a transfer of the whole buffer for one beyond its
 *    end, and gives up; later versions are not all safe beyond the end either.
 *    Hence one byte less.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "uio_io.h"
#include "uio_lib.h"

#define EDU_VENDOR		0x1234
#define EDU_DEVICE		0x11e8

#define EDU_ID			0x00
#define EDU_ID_MASK		0x0000ffffU
#define EDU_ID_VALUE		0x000000edU
#define EDU_LIVENESS		0x04
#define EDU_STATUS		0x20
#define EDU_IRQ_STATUS		0x24
#define EDU_IRQ_RAISE		0x60
#define EDU_IRQ_ACK		0x64
#define EDU_DMA_SRC		0x80
#define EDU_DMA_DST		0x88
#define EDU_DMA_COUNT		0x90
#define EDU_DMA_CMD		0x98

#define EDU_DMA_RUN		0x01
#define EDU_DMA_TO_MEMORY	0x02
#define EDU_DMA_IRQ		0x04

/* Any value but those the device raises for reasons of its own. */
#define EDU_IRQ_TEST		0x10

#define EDU_BUFFER		0x40000
#define EDU_BUFFER_SIZE		4096

#define EDU_DELAY_MS		100
#define EDU_TIMEOUT_MS		10000

/**
 * struct edu - a copy in progress
 * @dst: where its second half goes
 * @size: how much of it
 * @irq: whether its end raises the interrupt
 * @storing: its second half is running, or there is none
 */
struct edu {
	__u64 dst;
	__u32 size;
	bool irq;
	bool storing;
};

static int edu_probe(struct uio_device *dev)
{
	char path[UIO_PATH_LEN + 16];
	__u64 vendor, device;

	snprintf(path, sizeof(path), "%s/vendor", dev->sysfs);
	if (uio_read_u64(path, &vendor) || vendor != EDU_VENDOR)
		return -ENODEV;
	snprintf(path, sizeof(path), "%s/device", dev->sysfs);
	if (uio_read_u64(path, &device) || device != EDU_DEVICE)
		return -ENODEV;
	if (!dev->regs)
		return -ENODEV;
	if ((uio_read32(dev->regs, EDU_ID) & EDU_ID_MASK) != EDU_ID_VALUE)
		return -ENODEV;
	return 0;
}

static bool edu_running(struct uio_device *dev)
{
	return uio_read32(dev->regs, EDU_DMA_CMD) & EDU_DMA_RUN;
}

static bool edu_ack_irq(struct uio_device *dev)
{
	__u32 status = uio_read32(dev->regs, EDU_IRQ_STATUS);

	if (!status)
		return false;
	uio_write32(dev->regs, EDU_IRQ_ACK, status);
	return true;
}

static int edu_init(struct uio_device *dev)
{
	long deadline = uio_now_ms() + EDU_TIMEOUT_MS;
	struct edu *edu;

	uio_write32(dev->regs, EDU_LIVENESS, 0x5a5aa5a5);
	if (uio_read32(dev->regs, EDU_LIVENESS) != ~0x5a5aa5a5U)
		return -EIO;

	while (edu_running(dev)) {
		if (uio_now_ms() > deadline)
			return -ETIMEDOUT;
		uio_msleep(1);
	}
	uio_write32(dev->regs, EDU_STATUS, 0);
	edu_ack_irq(dev);

	edu = calloc(1, sizeof(*edu));
	if (!edu)
		return -ENOMEM;
	dev->driver.priv = edu;
	dev->driver.max_size = EDU_BUFFER_SIZE - 1;
	dev->driver.max_bits = 8 * sizeof(long);
	dev->driver.timeout_ms = EDU_TIMEOUT_MS;
	dev->driver.store_delay_ms = EDU_DELAY_MS - 10;
	return 0;
}

static void edu_remove(struct uio_device *dev)
{
	free(dev->driver.priv);
}

static void edu_transfer(struct uio_device *dev, __u64 src, __u64 dst,
			 __u32 size, __u32 cmd)
{
	uio_write_long(dev->regs, EDU_DMA_SRC, src);
	uio_write_long(dev->regs, EDU_DMA_DST, dst);
	uio_write_long(dev->regs, EDU_DMA_COUNT, size);
	uio_write32(dev->regs, EDU_DMA_CMD, cmd | EDU_DMA_RUN);
}

static void edu_memcpy_start(struct uio_device *dev, __u64 dst, __u64 src,
			     __u32 size, bool irq)
{
	struct edu *edu = dev->driver.priv;

	edu->dst = dst;
	edu->size = size;
	edu->irq = irq;
	edu->storing = false;
	edu_transfer(dev, src, EDU_BUFFER, size, 0);
}

static void edu_fetch_start(struct uio_device *dev, __u64 src, __u32 size)
{
	struct edu *edu = dev->driver.priv;

	edu->storing = true;
	edu_transfer(dev, src, EDU_BUFFER, size, 0);
}

static void edu_store_start(struct uio_device *dev, __u64 dst, __u32 size)
{
	struct edu *edu = dev->driver.priv;

	edu->storing = true;
	edu_transfer(dev, EDU_BUFFER, dst, size, EDU_DMA_TO_MEMORY);
}

static int edu_poll(struct uio_device *dev)
{
	struct edu *edu = dev->driver.priv;

	if (edu_running(dev))
		return -EAGAIN;
	if (edu->storing)
		return 0;

	edu->storing = true;
	edu_transfer(dev, EDU_BUFFER, edu->dst, edu->size,
		     EDU_DMA_TO_MEMORY | (edu->irq ? EDU_DMA_IRQ : 0));
	return -EAGAIN;
}

static void edu_send_irq(struct uio_device *dev)
{
	uio_write32(dev->regs, EDU_IRQ_RAISE, EDU_IRQ_TEST);
}

const struct uio_dma_driver_ops edu_ops = {
	.name = "edu",
	.probe = edu_probe,
	.init = edu_init,
	.remove = edu_remove,
	.memcpy_start = edu_memcpy_start,
	.fetch_start = edu_fetch_start,
	.store_start = edu_store_start,
	.poll = edu_poll,
	.send_irq = edu_send_irq,
	.ack_irq = edu_ack_irq,
};
