/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests ask of a device.
 *
 * The tests never touch a device's registers. They ask, through the operations
 * below, for the few things that every DMA engine can do: copy between two bus
 * addresses and raise an interrupt. To run the tests on another device, write
 * these operations for it in lib/drivers/ and name them in
 * lib/uio_dma_driver.c.
 */
#ifndef SELFTESTS_UIO_DMA_DRIVER_H
#define SELFTESTS_UIO_DMA_DRIVER_H

#include <stdbool.h>

#include <linux/types.h>

struct uio_device;

/**
 * struct uio_piece - a part of a copy
 */
struct uio_piece {
	__u64 dst;
	__u64 src;
	__u32 size;
};

/**
 * struct uio_dma_driver_ops - a user-space driver as the tests see it
 *
 * Addresses are bus addresses, as DMA_BUF_IOCTL_GET_DMA_ADDR returns them.
 * Functions that return int return 0 or a negative errno.
 */
struct uio_dma_driver_ops {
	const char *name;

	/**
	 * @probe() - Is this a device that the driver knows?
	 *
	 * The registers are mapped. Nothing has been written to them yet.
	 */
	int (*probe)(struct uio_device *dev);

	/**
	 * @init() - Take the device over, whatever its last user left behind.
	 *
	 * Guarantees:
	 *  - No DMA that an earlier user has started is still in progress.
	 *  - The device asserts no interrupt.
	 *  - The limits in struct uio_dma_driver are filled in.
	 *
	 * Must work without bus mastering: it runs before any buffer exists.
	 */
	int (*init)(struct uio_device *dev);

	/**
	 * @remove() - Undo init(). The device may be gone already.
	 */
	void (*remove)(struct uio_device *dev);

	/**
	 * @memcpy_start() - Start to copy @size bytes from @src to @dst.
	 *
	 * Guarantees:
	 *  - The device will attempt DMA reads of exactly [@src, @src + @size),
	 *    then DMA writes of exactly [@dst, @dst + @size).
	 *  - The device sends one interrupt when the copy is complete if @irq
	 *    is set, and none otherwise.
	 *
	 * Returns at once. The copy makes progress while poll() is called.
	 */
	void (*memcpy_start)(struct uio_device *dev, __u64 dst, __u64 src,
			     __u32 size, bool irq);

	/**
	 * @gather_start() - Start to copy @nr pieces, one after the other.
	 *
	 * Optional: for devices that need to be told only once.
	 *
	 * Guarantees: those of memcpy_start(), for each piece, and a single
	 * interrupt.
	 */
	void (*gather_start)(struct uio_device *dev,
			     const struct uio_piece *piece, unsigned int nr,
			     bool irq);

	/**
	 * @fetch_start() - Start to read @size bytes at @src into the device.
	 *
	 * Optional: for devices with memory of their own.
	 *
	 * Guarantees:
	 *  - One DMA read of exactly [@src, @src + @size), and no DMA write.
	 *  - The DMA needs no further help from the CPU.
	 */
	void (*fetch_start)(struct uio_device *dev, __u64 src, __u32 size);

	/**
	 * @store_start() - Start to write to @dst the first @size bytes of what
	 * the last fetch_start() or memcpy_start() has brought into the device.
	 *
	 * Optional: for devices with memory of their own.
	 *
	 * Guarantees:
	 *  - One DMA write of exactly [@dst, @dst + @size), and no DMA read.
	 *  - The DMA needs no further help from the CPU: it lands even if this
	 *    process dies, unless somebody stops the device.
	 *  - It lands no earlier than store_delay_ms after the start.
	 */
	void (*store_start)(struct uio_device *dev, __u64 dst, __u32 size);

	/**
	 * @poll() - Has the operation that was started last completed?
	 *
	 * Guarantees:
	 *  - When it returns anything but -EAGAIN, no DMA is in progress.
	 *
	 * Return: 0 when it has, -EAGAIN when it has not, another negative
	 * errno if the device reports a failure. 0 does not prove that the
	 * data arrived: a device may not notice that its DMA was refused.
	 */
	int (*poll)(struct uio_device *dev);

	/**
	 * @send_irq() - Make the device assert its interrupt.
	 *
	 * Guarantees:
	 *  - One interrupt, level triggered: it stays asserted until ack_irq().
	 */
	void (*send_irq)(struct uio_device *dev);

	/**
	 * @ack_irq() - Make the device deassert its interrupt.
	 *
	 * Return: whether it was asserted.
	 */
	bool (*ack_irq)(struct uio_device *dev);
};

/**
 * struct uio_dma_driver - the driver's part of struct uio_device
 */
struct uio_dma_driver {
	const struct uio_dma_driver_ops *ops;
	void *priv;
	bool busy;

	/* The most bytes that one operation can move. */
	__u32 max_size;

	/* The most pieces of gather_start(). */
	unsigned int max_pieces;

	/* How many bits of an address the driver can tell the device. */
	int max_bits;

	/* How long one operation may take before it is given up. */
	unsigned int timeout_ms;

	/* How long after store_start() the data is known not to have landed. */
	unsigned int store_delay_ms;
};

extern const struct uio_dma_driver_ops edu_ops;
extern const struct uio_dma_driver_ops lsi_ops;
extern const struct uio_dma_driver_ops zdma_ops;

int uio_dma_driver_probe(struct uio_device *dev);
void uio_dma_driver_remove(struct uio_device *dev);

int uio_dma_memcpy_start(struct uio_device *dev, __u64 dst, __u64 src,
			 __u32 size, bool irq);
int uio_dma_gather_start(struct uio_device *dev, const struct uio_piece *piece,
			 unsigned int nr, bool irq);
int uio_dma_fetch_start(struct uio_device *dev, __u64 src, __u32 size);
int uio_dma_store_start(struct uio_device *dev, __u64 dst, __u32 size);
int uio_dma_poll(struct uio_device *dev);
int uio_dma_wait(struct uio_device *dev);
int uio_dma_memcpy(struct uio_device *dev, __u64 dst, __u64 src, __u64 size);
int uio_dma_fetch(struct uio_device *dev, __u64 src, __u32 size);
int uio_dma_store(struct uio_device *dev, __u64 dst, __u32 size);

#endif /* SELFTESTS_UIO_DMA_DRIVER_H */
