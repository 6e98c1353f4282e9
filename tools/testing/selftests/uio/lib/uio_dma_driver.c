// SPDX-License-Identifier: GPL-2.0
/*
 * What all drivers have in common: finding the right one, limits, waiting.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "kselftest.h"
#include "uio_lib.h"

static const struct uio_dma_driver_ops * const driver_ops[] = {
	&edu_ops,
	&lsi_ops,
	&zdma_ops,
};

int uio_dma_driver_probe(struct uio_device *dev)
{
	const struct uio_dma_driver_ops *ops;
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(driver_ops); i++) {
		ops = driver_ops[i];
		if (ops->probe(dev))
			continue;
		ret = ops->init(dev);
		if (!ret)
			dev->driver.ops = ops;
		return ret;
	}
	return -EOPNOTSUPP;
}

void uio_dma_driver_remove(struct uio_device *dev)
{
	dev->driver.ops->remove(dev);
	memset(&dev->driver, 0, sizeof(dev->driver));
}

static int check_start(struct uio_device *dev, const void *op, __u32 size)
{
	if (!op)
		return -EOPNOTSUPP;
	if (dev->driver.busy)
		return -EBUSY;
	if (!size || size > dev->driver.max_size)
		return -EINVAL;
	return 0;
}

int uio_dma_memcpy_start(struct uio_device *dev, __u64 dst, __u64 src,
			 __u32 size, bool irq)
{
	int ret;

	ret = check_start(dev, dev->driver.ops->memcpy_start, size);
	if (ret)
		return ret;
	dev->driver.ops->memcpy_start(dev, dst, src, size, irq);
	dev->driver.busy = true;
	return 0;
}

int uio_dma_gather_start(struct uio_device *dev, const struct uio_piece *piece,
			 unsigned int nr, bool irq)
{
	unsigned int i;
	int ret;

	if (!nr || nr > dev->driver.max_pieces)
		return -EINVAL;
	for (i = 0; i < nr; i++) {
		ret = check_start(dev, dev->driver.ops->gather_start,
				  piece[i].size);
		if (ret)
			return ret;
	}
	dev->driver.ops->gather_start(dev, piece, nr, irq);
	dev->driver.busy = true;
	return 0;
}

int uio_dma_fetch_start(struct uio_device *dev, __u64 src, __u32 size)
{
	int ret;

	ret = check_start(dev, dev->driver.ops->fetch_start, size);
	if (ret)
		return ret;
	dev->driver.ops->fetch_start(dev, src, size);
	dev->driver.busy = true;
	return 0;
}

int uio_dma_store_start(struct uio_device *dev, __u64 dst, __u32 size)
{
	int ret;

	ret = check_start(dev, dev->driver.ops->store_start, size);
	if (ret)
		return ret;
	dev->driver.ops->store_start(dev, dst, size);
	dev->driver.busy = true;
	return 0;
}

int uio_dma_poll(struct uio_device *dev)
{
	int ret;

	if (!dev->driver.busy)
		return 0;
	ret = dev->driver.ops->poll(dev);
	if (ret != -EAGAIN)
		dev->driver.busy = false;
	return ret;
}

/* Wait for the operation that was started last. */
int uio_dma_wait(struct uio_device *dev)
{
	long start;
	int ret;

	/* What is quick does not need a clock. */
	ret = uio_dma_poll(dev);
	if (ret != -EAGAIN)
		return ret;
	start = uio_now_ms();
	for (;;) {
		usleep(500);
		ret = uio_dma_poll(dev);
		if (ret != -EAGAIN)
			return ret;
		if (uio_now_ms() - start > (long)dev->driver.timeout_ms)
			return -ETIMEDOUT;
	}
}

/* Copy @size bytes, in as many pieces as the device needs. */
int uio_dma_memcpy(struct uio_device *dev, __u64 dst, __u64 src, __u64 size)
{
	__u32 piece;
	int ret;

	while (size) {
		piece = size < dev->driver.max_size ? size :
			dev->driver.max_size;
		ret = uio_dma_memcpy_start(dev, dst, src, piece, false);
		if (!ret)
			ret = uio_dma_wait(dev);
		if (ret)
			return ret;
		dst += piece;
		src += piece;
		size -= piece;
	}
	return 0;
}

int uio_dma_fetch(struct uio_device *dev, __u64 src, __u32 size)
{
	int ret;

	ret = uio_dma_fetch_start(dev, src, size);
	return ret ? ret : uio_dma_wait(dev);
}

int uio_dma_store(struct uio_device *dev, __u64 dst, __u32 size)
{
	int ret;

	ret = uio_dma_store_start(dev, dst, size);
	return ret ? ret : uio_dma_wait(dev);
}
