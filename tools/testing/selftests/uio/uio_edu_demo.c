// SPDX-License-Identifier: GPL-2.0
/*
 * A user-space driver does DMA through UIO: a run to follow, step by step.
 *
 * Usage: uio_edu_demo [PCI address]
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "uio_lib.h"

#define BUFFER_SIZE	65536
#define DATA_SIZE	4000

static const char *name;

static void step(const char *what)
{
	static unsigned int n;

	printf("\n%u. %s\n", ++n, what);
}

/* Say what went wrong and where to look, and give up. */
static void check(int ret, const char *what, const char *hint)
{
	if (!ret)
		return;
	printf("\nFAILED: %s: %s\n%s\n", what, strerror(-ret), hint);
	exit(1);
}

static void show_bus_master(const char *when)
{
	int on = uio_bus_master(name);

	check(on < 0 ? on : 0, "read the PCI command register", "");
	printf("   bus master %s: %s\n", when, on ? "on" : "off");
}

static void expect_bus_master(const char *when, int on)
{
	show_bus_master(when);
	check(uio_bus_master(name) == on ? 0 : -EPROTO, "bus master",
	      on ? "It should be on." : "It should be off.");
}

static void open_device(struct uio_device *dev)
{
	char driver[UIO_NAME_LEN];
	unsigned int i;

	step("Device and driver");
	check(uio_open_driver(dev, name), "bind and open the device",
	      "Is there an edu device at this address, and CONFIG_UIO_PCI_GENERIC?");
	check(uio_bound_driver(name, driver, sizeof(driver)),
	      "read the driver's name", "");
	printf("   PCI device %s is bound to %s: /dev/uio%d\n", name, driver,
	       dev->number);
	printf("   user-space driver: %s\n", dev->driver.ops->name);
	for (i = 0; i < dev->nr_maps; i++)
		printf("   register map %u: %s, 0x%llx bytes at 0x%llx\n", i,
		       dev->map[i].name, (unsigned long long)dev->map[i].size,
		       (unsigned long long)dev->map[i].addr);
	printf("   IOMMU: %s\n", uio_iommu_translates(name) ?
	       "translates this device's addresses" :
	       "none, or it does not translate");
	expect_bus_master("before any address was asked for", 0);
}

static void alloc_buffer(struct uio_device *dev, struct uio_buffer *buf,
			 struct dma_buf_get_dma_addr *get)
{
	char heap[UIO_NAME_LEN];

	step("Memory and its bus address");
	check(uio_heap_name(dev->number, heap, sizeof(heap)),
	      "find the device's heap", "Has the kernel CONFIG_UIO_DMA?");
	printf("   heap: /dev/dma_heap/%s, DMA mask of %d bits\n", heap,
	       uio_dma_mask_bits(dev->number));
	check(uio_buffer_alloc(buf, heap, BUFFER_SIZE), "allocate a buffer",
	      "Has the kernel CONFIG_UIO_DMA?");
	check(uio_dma_get(buf->fd, dev->fd, 0, 0, get),
	      "DMA_BUF_IOCTL_GET_DMA_ADDR",
	      "Without an IOMMU it takes CAP_SYS_RAWIO.");
	printf("   buffer: %llu bytes, for the device at bus address 0x%llx\n",
	       (unsigned long long)buf->size, (unsigned long long)get->dma_addr);
	printf("   contiguous on the bus: %llu bytes, coherent: %s\n",
	       (unsigned long long)get->len,
	       get->flags & DMA_BUF_DMA_COHERENT ? "yes" : "no");
	expect_bus_master("after the address was asked for", 1);
}

static void transfer(struct uio_device *dev, struct uio_buffer *buf,
		     __u64 addr)
{
	unsigned char *back = buf->vaddr + BUFFER_SIZE / 2;
	__u32 count;

	step("To the device and back");
	uio_fill(buf->vaddr, DATA_SIZE, 1);
	memset(back, 0, BUFFER_SIZE / 2);
	printf("   %d bytes: from bus address 0x%llx into the device,\n",
	       DATA_SIZE, (unsigned long long)addr);
	printf("   then from the device to bus address 0x%llx ...\n",
	       (unsigned long long)addr + BUFFER_SIZE / 2);
	check(uio_dma_memcpy_start(dev, addr + BUFFER_SIZE / 2, addr, DATA_SIZE,
				   true), "start the copy", "");
	check(uio_dma_wait(dev), "wait for the copy", "");
	check(uio_irq_wait(dev->fd, 10000, &count), "wait for the interrupt",
	      "Look for the device in /proc/interrupts.");
	dev->driver.ops->ack_irq(dev);
	check(uio_irq_unmask(dev), "unmask the interrupt", "");
	printf("   interrupt number %u has arrived through /dev/uio%d\n", count,
	       dev->number);

	if (uio_differs(back, DATA_SIZE, 1) >= 0 ||
	    uio_differs_from(back + DATA_SIZE, BUFFER_SIZE / 2 - DATA_SIZE, 0) >= 0)
		check(-EIO, "compare what came back",
		      "The device reported success, but the data is wrong.");
	printf("   all %d bytes came back right, and nothing beside them changed\n",
	       DATA_SIZE);
}

int main(int argc, char **argv)
{
	struct dma_buf_get_dma_addr get;
	struct uio_device dev;
	struct uio_buffer buf;

	setvbuf(stdout, NULL, _IOLBF, 0);
	name = argc > 1 ? argv[1] : uio_test_device(0);
	printf("A user-space driver does DMA through UIO\n");

	open_device(&dev);
	alloc_buffer(&dev, &buf, &get);
	transfer(&dev, &buf, get.dma_addr);

	step("The end");
	uio_close(&dev);
	expect_bus_master("after /dev/uioN was closed", 0);
	uio_buffer_free(&buf);

	printf("\nSUCCESS: DMA to and from the device through UIO works\n");
	return 0;
}
