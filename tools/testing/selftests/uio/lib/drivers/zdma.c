// SPDX-License-Identifier: GPL-2.0
/*
 * ZDMA, the general purpose DMA engine of AMD's ZynqMP and Versal chips, which
 * calls it GDMA or ADMA depending on where it sits: "xlnx,zynqmp-dma-1.0" in
 * device trees. QEMU has eight channels of it in xlnx-versal-virt. Each is a
 * platform device of its own, with one interrupt that is level triggered.
 *
 * One copy is told to the device in registers. Several are told in two arrays in
 * memory, one of sources and one of destinations. An array fills pages: the
 * last descriptor of a page is a linked one, which says where the next page is.
 * The arrays are in memory of the device's own heap, a buffer that exists and is
 * mapped from the first such copy until the driver is removed.
 *
 * QEMU copies at once, and does not notice when the bus refuses. Real channels take
 * their time, and have no reset line of their own: a program that dies leaves a
 * copy going that nobody stops. See "Platform devices" in
 * Documentation/userspace-api/uio-dma.rst for who answers for that.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "uio_io.h"
#include "uio_lib.h"

#define ZDMA_ISR		0x100
#define ZDMA_IEN		0x108
#define ZDMA_IDS		0x10c
#define ZDMA_CTRL0		0x110
#define ZDMA_STATUS		0x11c
#define ZDMA_SRC_DESC		0x128
#define ZDMA_DST_DESC		0x138
#define ZDMA_SRC_START		0x158
#define ZDMA_DST_START		0x160
#define ZDMA_CTRL2		0x200

#define ZDMA_IRQ_DONE		0x400U
#define ZDMA_IRQ_BUS_ERROR	0x3c0U
#define ZDMA_IRQ_ALL		0xfffU

#define ZDMA_CTRL0_CONT		0x02U
#define ZDMA_CTRL0_IN_MEMORY	0x40U
#define ZDMA_CTRL0_RESET	0x80U
#define ZDMA_STATUS_STATE	0x03U
#define ZDMA_STATUS_BUSY	0x01U
#define ZDMA_CTRL2_ENABLE	0x01U

#define ZDMA_DESC_COHERENT	0x01U
#define ZDMA_DESC_LINKED	0x02U
#define ZDMA_DESC_STOP		0x10U

#define ZDMA_MAX_SIZE		0x3fffffffU
#define ZDMA_MAX_BITS		49
#define ZDMA_MAX_PIECES		1024
#define ZDMA_TIMEOUT_MS		10000

/* For send_irq(): two bytes to copy, behind the arrays. */
#define ZDMA_SCRATCH_SIZE	2

/**
 * struct zdma_desc - one end of a copy
 *
 * In a linked one the next 8 bytes are the address of the one after it.
 */
struct zdma_desc {
	__le64 addr;
	__le32 size;
	__le32 control;
};

#define ZDMA_PAGE		4096U
#define ZDMA_PAGE_DESCS		(ZDMA_PAGE / sizeof(struct zdma_desc) - 1)
#define ZDMA_ARRAY_PAGES \
	((ZDMA_MAX_PIECES + ZDMA_PAGE_DESCS - 1) / ZDMA_PAGE_DESCS)
#define ZDMA_ARRAY_SIZE		(ZDMA_ARRAY_PAGES * ZDMA_PAGE)

/**
 * struct zdma - the driver's state
 * @arrays: the sources, the destinations, two bytes
 * @addr: where the device reads them, once they are mapped
 * @mapped: whether they are
 * @err: why the operation was not started
 * @control: what is the same in all descriptors
 * @irq: whether the end of the operation raises the interrupt
 */
struct zdma {
	struct uio_buffer arrays;
	__u64 addr;
	bool mapped;
	int err;
	__u32 control;
	bool irq;
};

static int zdma_probe(struct uio_device *dev)
{
	char path[UIO_PATH_LEN + 32], compatible[UIO_NAME_LEN];

	snprintf(path, sizeof(path), "%s/of_node/compatible", dev->sysfs);
	if (uio_read_text(path, compatible, sizeof(compatible)) < 0)
		return -ENODEV;
	/* A list of strings, of which the first is the most specific. */
	if (strcmp(compatible, "xlnx,zynqmp-dma-1.0") || !dev->regs)
		return -ENODEV;
	return 0;
}

static bool zdma_ack_irq(struct uio_device *dev)
{
	__u32 status = uio_read32(dev->regs, ZDMA_ISR);

	if (!status)
		return false;
	uio_write32(dev->regs, ZDMA_ISR, status);
	return true;
}

static bool zdma_running(struct uio_device *dev)
{
	return (uio_read32(dev->regs, ZDMA_STATUS) & ZDMA_STATUS_STATE) ==
	       ZDMA_STATUS_BUSY;
}

static int zdma_init(struct uio_device *dev)
{
	long deadline = uio_now_ms() + ZDMA_TIMEOUT_MS;
	char path[UIO_PATH_LEN + 32];
	struct zdma *zdma;

	uio_write32(dev->regs, ZDMA_IDS, ZDMA_IRQ_ALL);
	while (zdma_running(dev)) {
		if (uio_now_ms() > deadline)
			return -ETIMEDOUT;
		uio_msleep(1);
	}
	/* If it is paused, this ends it. */
	uio_write32(dev->regs, ZDMA_CTRL2, 0);
	uio_write32(dev->regs, ZDMA_CTRL0, ZDMA_CTRL0_RESET | ZDMA_CTRL0_CONT);
	uio_write32(dev->regs, ZDMA_CTRL0, ZDMA_CTRL0_RESET);
	zdma_ack_irq(dev);

	zdma = calloc(1, sizeof(*zdma));
	if (!zdma)
		return -ENOMEM;
	zdma->arrays.fd = -1;
	snprintf(path, sizeof(path), "%s/of_node/dma-coherent", dev->sysfs);
	if (!access(path, F_OK))
		zdma->control = ZDMA_DESC_COHERENT;
	dev->driver.priv = zdma;
	dev->driver.max_size = ZDMA_MAX_SIZE;
	dev->driver.max_pieces = ZDMA_MAX_PIECES;
	dev->driver.max_bits = ZDMA_MAX_BITS;
	dev->driver.timeout_ms = ZDMA_TIMEOUT_MS;
	return 0;
}

static void zdma_remove(struct uio_device *dev)
{
	struct zdma *zdma = dev->driver.priv;

	if (zdma->mapped)
		uio_dma_put(zdma->arrays.fd, dev->fd);
	uio_buffer_free(&zdma->arrays);
	free(zdma);
}

/* The arrays, and where the device sees them. */
static bool zdma_map(struct uio_device *dev)
{
	struct zdma *zdma = dev->driver.priv;

	zdma->err = 0;
	if (zdma->arrays.fd < 0)
		zdma->err = uio_buffer_alloc_device(&zdma->arrays, dev->number,
						    2 * ZDMA_ARRAY_SIZE +
						    ZDMA_SCRATCH_SIZE);
	if (!zdma->err && !zdma->mapped) {
		zdma->err = uio_dma_addr(zdma->arrays.fd, dev->fd, &zdma->addr);
		zdma->mapped = !zdma->err;
	}
	return !zdma->err;
}

static void zdma_run(struct uio_device *dev, __u32 ctrl0, bool irq)
{
	struct zdma *zdma = dev->driver.priv;

	zdma->irq = irq;
	zdma->err = 0;
	zdma_ack_irq(dev);
	uio_write32(dev->regs, ZDMA_IDS, ZDMA_IRQ_ALL);
	if (irq)
		uio_write32(dev->regs, ZDMA_IEN, ZDMA_IRQ_DONE);
	uio_write32(dev->regs, ZDMA_CTRL0, ZDMA_CTRL0_RESET | ctrl0);
	uio_write32(dev->regs, ZDMA_CTRL2, ZDMA_CTRL2_ENABLE);
}

static void zdma_write_addr(struct uio_device *dev, unsigned long reg,
			    __u64 addr)
{
	uio_write32(dev->regs, reg, addr);
	uio_write32(dev->regs, reg + 4, addr >> 32);
}

static void zdma_write_desc(struct uio_device *dev, unsigned long reg,
			    __u64 addr, __u32 size)
{
	struct zdma *zdma = dev->driver.priv;

	zdma_write_addr(dev, reg, addr);
	uio_write32(dev->regs, reg + 8, size);
	uio_write32(dev->regs, reg + 12, zdma->control);
}

static void zdma_memcpy_start(struct uio_device *dev, __u64 dst, __u64 src,
			      __u32 size, bool irq)
{
	zdma_write_desc(dev, ZDMA_SRC_DESC, src, size);
	zdma_write_desc(dev, ZDMA_DST_DESC, dst, size);
	zdma_run(dev, 0, irq);
}

/*
 * The page with the @i-th descriptor of an array. The last page comes first, so that
 * nothing but the link leads from one page to the next.
 */
static __u64 zdma_page(__u64 array, unsigned int i)
{
	return array + (ZDMA_ARRAY_PAGES - 1 - i / ZDMA_PAGE_DESCS) * ZDMA_PAGE;
}

/* Add the @i-th descriptor to the array that the device sees at @array. */
static void zdma_add(struct zdma *zdma, __u64 array, unsigned int i, __u64 addr,
		     __u32 size, __u32 control)
{
	__u64 page = zdma_page(array, i);
	struct zdma_desc *desc = (void *)zdma->arrays.vaddr +
				 (page - zdma->addr);
	unsigned int slot = i % ZDMA_PAGE_DESCS;

	if (slot == ZDMA_PAGE_DESCS - 1) {
		*(__le64 *)&desc[slot + 1] = htole64(page - ZDMA_PAGE);
		control |= ZDMA_DESC_LINKED;
	}
	desc[slot].addr = htole64(addr);
	desc[slot].size = htole32(size);
	desc[slot].control = htole32(control | zdma->control);
}

static void zdma_gather_start(struct uio_device *dev,
			      const struct uio_piece *piece, unsigned int nr,
			      bool irq)
{
	struct zdma *zdma = dev->driver.priv;
	__u64 src, dst;
	unsigned int i;

	if (!zdma_map(dev))
		return;
	src = zdma->addr;
	dst = src + ZDMA_ARRAY_SIZE;
	for (i = 0; i < nr; i++) {
		zdma_add(zdma, src, i, piece[i].src, piece[i].size,
			 i + 1 == nr ? ZDMA_DESC_STOP : 0);
		zdma_add(zdma, dst, i, piece[i].dst, piece[i].size, 0);
	}
	zdma_write_addr(dev, ZDMA_SRC_START, zdma_page(src, 0));
	zdma_write_addr(dev, ZDMA_DST_START, zdma_page(dst, 0));
	zdma_run(dev, ZDMA_CTRL0_IN_MEMORY, irq);
}

static int zdma_poll(struct uio_device *dev)
{
	struct zdma *zdma = dev->driver.priv;
	__u32 status;

	if (zdma->err)
		return zdma->err;
	status = uio_read32(dev->regs, ZDMA_ISR);
	if (zdma_running(dev))
		return -EAGAIN;
	if (status & ZDMA_IRQ_BUS_ERROR)
		return -EIO;
	if (!(status & ZDMA_IRQ_DONE))
		return -EAGAIN;

	/* The interrupt is for ack_irq() to end. */
	if (!zdma->irq)
		zdma_ack_irq(dev);
	return 0;
}

static void zdma_send_irq(struct uio_device *dev)
{
	struct zdma *zdma = dev->driver.priv;
	__u64 scratch;

	if (!zdma_map(dev))
		return;
	scratch = zdma->addr + 2 * ZDMA_ARRAY_SIZE;
	zdma_memcpy_start(dev, scratch, scratch + 1, 1, true);
}

const struct uio_dma_driver_ops zdma_ops = {
	.name = "zdma",
	.probe = zdma_probe,
	.init = zdma_init,
	.remove = zdma_remove,
	.memcpy_start = zdma_memcpy_start,
	.gather_start = zdma_gather_start,
	.poll = zdma_poll,
	.send_irq = zdma_send_irq,
	.ack_irq = zdma_ack_irq,
};
