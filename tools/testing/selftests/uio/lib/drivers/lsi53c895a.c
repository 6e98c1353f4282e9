// SPDX-License-Identifier: GPL-2.0
/*
 * LSI 53C895A, a SCSI controller from before PCI Express, used for what it can
 * do without any disk: its processor runs programs ("SCRIPTS") from memory, and
 * one of its instructions copies memory.
 *
 * QEMU has it for every machine with PCI. It copies at once and as fast as the
 * host does, many pieces with one command, which makes it the device to test
 * scattered memory with. Addresses have 32 bits.
 *
 * The program is in memory of the device's own heap. It counts as a buffer that
 * is mapped, from the first copy until the driver is removed.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "uio_io.h"
#include "uio_lib.h"

#define LSI_VENDOR		0x1000
#define LSI_DEVICE		0x0012

#define LSI_DSTAT		0x0c
#define LSI_ISTAT0		0x14
#define LSI_DSP			0x2c
#define LSI_DSPS		0x30
#define LSI_DIEN		0x39

/* The program has come to an INT instruction. */
#define LSI_DSTAT_SIR		0x04

/* The first is read: DSTAT has something to say. The second resets. */
#define LSI_ISTAT0_DIP		0x01
#define LSI_ISTAT0_SRST		0x40

/* Instructions: MOVE MEMORY length, source, destination; INT value */
#define LSI_MOVE_MEMORY		0xc0000000U
#define LSI_INT			0x98080000U

#define LSI_MAX_SIZE		0xffffffU
#define LSI_MAX_PIECES		1024
#define LSI_PROGRAM_SIZE	((3 * LSI_MAX_PIECES + 2) * sizeof(__u32))

/* What DSPS holds at the end of our program. */
#define LSI_COOKIE		0x00d0e000U

#define LSI_TIMEOUT_MS		10000

/**
 * struct lsi - the driver's state
 * @program: where the program is written to
 * @addr: where the device reads it, once @err is 0
 * @err: why it cannot
 * @irq: whether the end of the program raises the interrupt
 */
struct lsi {
	struct uio_buffer program;
	__u64 addr;
	int err;
	bool irq;
};

static int lsi_probe(struct uio_device *dev)
{
	char path[UIO_PATH_LEN + 16];
	__u64 vendor, device;

	snprintf(path, sizeof(path), "%s/vendor", dev->sysfs);
	if (uio_read_u64(path, &vendor) || vendor != LSI_VENDOR)
		return -ENODEV;
	snprintf(path, sizeof(path), "%s/device", dev->sysfs);
	if (uio_read_u64(path, &device) || device != LSI_DEVICE)
		return -ENODEV;

	/* BAR 0 is the same in I/O ports, and no map. */
	return uio_pci_bar_map(dev, 1) == 0 ? 0 : -ENODEV;
}

static bool lsi_ack_irq(struct uio_device *dev)
{
	if (!(uio_read8(dev->regs, LSI_ISTAT0) & LSI_ISTAT0_DIP))
		return false;
	uio_read8(dev->regs, LSI_DSTAT);
	return true;
}

static int lsi_init(struct uio_device *dev)
{
	struct lsi *lsi;
	int ret;

	uio_write8(dev->regs, LSI_ISTAT0, LSI_ISTAT0_SRST);
	uio_write8(dev->regs, LSI_ISTAT0, 0);
	lsi_ack_irq(dev);

	lsi = calloc(1, sizeof(*lsi));
	if (!lsi)
		return -ENOMEM;
	ret = uio_buffer_alloc_device(&lsi->program, dev->number,
				      LSI_PROGRAM_SIZE);
	if (ret) {
		free(lsi);
		return ret;
	}
	lsi->err = -EAGAIN;
	dev->driver.priv = lsi;
	dev->driver.max_size = LSI_MAX_SIZE;
	dev->driver.max_pieces = LSI_MAX_PIECES;
	dev->driver.max_bits = 32;
	dev->driver.timeout_ms = LSI_TIMEOUT_MS;
	return 0;
}

static void lsi_remove(struct uio_device *dev)
{
	struct lsi *lsi = dev->driver.priv;

	uio_dma_put(lsi->program.fd, dev->fd);
	uio_buffer_free(&lsi->program);
	free(lsi);
}

/* Finish the program of @nr pieces with an INT instruction, and run it. */
static void lsi_run(struct uio_device *dev, __u32 *insn, bool irq)
{
	struct lsi *lsi = dev->driver.priv;

	insn[0] = htole32(LSI_INT);
	insn[1] = htole32(LSI_COOKIE);

	if (lsi->err)
		lsi->err = uio_dma_addr(lsi->program.fd, dev->fd, &lsi->addr);
	if (lsi->err)
		return;
	lsi->irq = irq;
	lsi_ack_irq(dev);
	uio_write8(dev->regs, LSI_DIEN, irq ? LSI_DSTAT_SIR : 0);
	uio_write32(dev->regs, LSI_DSPS, 0);
	uio_write32(dev->regs, LSI_DSP, lsi->addr);
}

static void lsi_gather_start(struct uio_device *dev,
			     const struct uio_piece *piece, unsigned int nr,
			     bool irq)
{
	struct lsi *lsi = dev->driver.priv;
	__u32 *insn = (void *)lsi->program.vaddr;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		*insn++ = htole32(LSI_MOVE_MEMORY | piece[i].size);
		*insn++ = htole32(piece[i].src);
		*insn++ = htole32(piece[i].dst);
	}
	lsi_run(dev, insn, irq);
}

static void lsi_memcpy_start(struct uio_device *dev, __u64 dst, __u64 src,
			     __u32 size, bool irq)
{
	const struct uio_piece piece = { dst, src, size };

	lsi_gather_start(dev, &piece, 1, irq);
}

static int lsi_poll(struct uio_device *dev)
{
	struct lsi *lsi = dev->driver.priv;

	if (lsi->err)
		return lsi->err;
	if (!(uio_read8(dev->regs, LSI_ISTAT0) & LSI_ISTAT0_DIP))
		return -EAGAIN;
	if (uio_read32(dev->regs, LSI_DSPS) != LSI_COOKIE)
		return -EIO;

	/* The interrupt is for ack_irq() to end. */
	if (!lsi->irq)
		lsi_ack_irq(dev);
	return 0;
}

static void lsi_send_irq(struct uio_device *dev)
{
	struct lsi *lsi = dev->driver.priv;

	lsi_run(dev, (void *)lsi->program.vaddr, true);
}

const struct uio_dma_driver_ops lsi_ops = {
	.name = "lsi53c895a",
	.probe = lsi_probe,
	.init = lsi_init,
	.remove = lsi_remove,
	.memcpy_start = lsi_memcpy_start,
	.gather_start = lsi_gather_start,
	.poll = lsi_poll,
	.send_irq = lsi_send_irq,
	.ack_irq = lsi_ack_irq,
};
