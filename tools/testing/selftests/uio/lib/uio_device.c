// SPDX-License-Identifier: GPL-2.0
/*
 * The device file: open, map, interrupts.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest.h"
#include "uio_lib.h"

/* Another open file of a device. */
int uio_open_fd(int number, int flags)
{
	char path[UIO_NAME_LEN];
	int fd;

	snprintf(path, sizeof(path), "/dev/uio%d", number);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int read_map(struct uio_device *dev, unsigned int index)
{
	static const char * const file[] = { "addr", "size", "offset" };
	struct uio_map *map = &dev->map[index];
	__u64 *val[] = { &map->addr, &map->size, &map->offset };
	char attr[UIO_NAME_LEN], path[UIO_PATH_LEN];
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(file); i++) {
		snprintf(attr, sizeof(attr), "maps/map%u/%s", index, file[i]);
		ret = uio_attr_path(dev->number, attr, path, sizeof(path));
		if (ret)
			return ret;
		ret = uio_read_u64(path, val[i]);
		if (ret)
			return ret;
	}

	snprintf(attr, sizeof(attr), "maps/map%u/name", index);
	ret = uio_attr_path(dev->number, attr, path, sizeof(path));
	if (ret)
		return ret;
	ret = uio_read_text(path, map->name, sizeof(map->name));
	return ret < 0 ? ret : 0;
}

/* A region is chosen by its index, in pages, as the offset to mmap(). */
void *uio_mmap(struct uio_device *dev, unsigned int index)
{
	if (index >= dev->nr_maps) {
		errno = EINVAL;
		return MAP_FAILED;
	}
	return mmap(NULL, dev->map[index].size, PROT_READ | PROT_WRITE,
		    MAP_SHARED, dev->fd, (off_t)index * uio_page_size());
}

/*
 * Which map is a BAR of a PCI device. The number of a map does not tell: BARs
 * that are no memory have none, and some come after others.
 */
int uio_pci_bar_map(const struct uio_device *dev, int bar)
{
	char path[UIO_PATH_LEN + 16], line[128];
	__u64 start = 0;
	unsigned int i;
	FILE *f;

	snprintf(path, sizeof(path), "%s/resource", dev->sysfs);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (bar >= 0 && fgets(line, sizeof(line), f)) {
		if (!bar--)
			start = strtoull(line, NULL, 16);
	}
	fclose(f);

	for (i = 0; start && i < dev->nr_maps; i++) {
		if (dev->map[i].addr + dev->map[i].offset == start)
			return i;
	}
	return -ENODEV;
}

/* Open a device that is bound to a UIO driver, and map its registers. */
int uio_open(struct uio_device *dev, const char *name)
{
	void *regs;
	int ret;

	memset(dev, 0, sizeof(*dev));
	dev->fd = -1;
	snprintf(dev->name, sizeof(dev->name), "%s", name);
	ret = uio_sysfs_dir(name, dev->sysfs, sizeof(dev->sysfs));
	if (ret)
		return ret;

	dev->number = uio_find(name);
	if (dev->number < 0)
		return dev->number;
	dev->fd = uio_open_fd(dev->number, O_RDWR);
	if (dev->fd < 0)
		return dev->fd;

	while (dev->nr_maps < UIO_MAX_MAPS) {
		ret = read_map(dev, dev->nr_maps);
		if (ret == -ENOENT)
			break;
		if (ret)
			goto err_close;
		dev->nr_maps++;
	}
	if (!dev->nr_maps)
		return 0;

	regs = uio_mmap(dev, 0);
	if (regs == MAP_FAILED) {
		ret = -errno;
		goto err_close;
	}
	dev->regs = regs + dev->map[0].offset;
	return 0;

err_close:
	close(dev->fd);
	dev->fd = -1;
	return ret;
}

/* Bind a device to the UIO driver of its bus, open it and take it over. */
int uio_open_driver(struct uio_device *dev, const char *name)
{
	char dir[UIO_PATH_LEN];
	int ret;

	ret = uio_sysfs_dir(name, dir, sizeof(dir));
	if (ret)
		return ret;
	ret = uio_bind(name, uio_dir_is_pci(dir) ? "uio_pci_generic" :
		       "uio_pdrv_genirq");
	if (ret)
		return ret;
	ret = uio_open(dev, name);
	if (ret)
		return ret;

	ret = uio_dma_driver_probe(dev);
	if (ret)
		goto err_close;
	ret = uio_irq_unmask(dev);
	if (ret)
		goto err_close;
	ret = uio_irq_drain(dev->fd);
	if (ret)
		goto err_close;
	return 0;

err_close:
	uio_close(dev);
	return ret;
}

void uio_close(struct uio_device *dev)
{
	if (dev->driver.ops)
		uio_dma_driver_remove(dev);
	if (dev->regs)
		munmap(dev->regs - dev->map[0].offset, dev->map[0].size);
	if (dev->fd >= 0)
		close(dev->fd);
	dev->regs = NULL;
	dev->fd = -1;
}

/*
 * The kernel masks an interrupt when it arrives, and leaves it masked: only the
 * driver in user space knows when the device has let go of the line.
 */
static int irq_control(int fd, __s32 on)
{
	if (write(fd, &on, sizeof(on)) == sizeof(on))
		return 0;
	return errno ? -errno : -EIO;
}

int uio_irq_mask(struct uio_device *dev)
{
	return irq_control(dev->fd, 0);
}

int uio_irq_unmask(struct uio_device *dev)
{
	return irq_control(dev->fd, 1);
}

/* Wait for an interrupt. @count counts them since the device was bound. */
int uio_irq_wait(int fd, int timeout_ms, __u32 *count)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	ssize_t n;
	int ret;

	ret = poll(&pfd, 1, timeout_ms);
	if (ret < 0)
		return -errno;
	if (!ret)
		return -ETIMEDOUT;
	n = read(fd, count, sizeof(*count));
	if (n < 0)
		return -errno;
	return n == sizeof(*count) ? 0 : -EIO;
}

/* Forget the interrupts that have arrived until now. */
int uio_irq_drain(int fd)
{
	__u32 count;
	int ret;

	ret = uio_irq_wait(fd, 0, &count);
	return ret == -ETIMEDOUT ? 0 : ret;
}
