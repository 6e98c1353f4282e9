// SPDX-License-Identifier: GPL-2.0
/*
 * Finding and binding devices, and their attributes.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "kselftest.h"
#include "uio_lib.h"

#define DISK_TIMEOUT_MS		10000

static const char * const buses[] = { "pci", "platform" };

/* Join the parts of a path: -ENAMETOOLONG instead of a path cut short. */
static __printf(3, 4)
int make_path(char *path, size_t len, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(path, len, fmt, args);
	va_end(args);
	if (n < 0 || (size_t)n >= len)
		return -ENAMETOOLONG;
	return 0;
}

/* The text of a sysfs attribute without its newline; returns its length. */
int uio_read_text(const char *path, char *text, size_t len)
{
	ssize_t n;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, len - 1);
	if (n < 0)
		n = -errno;
	close(fd);
	if (n < 0)
		return n;

	while (n && text[n - 1] == '\n')
		n--;
	text[n] = '\0';
	return n;
}

int uio_write_text(const char *path, const char *text)
{
	ssize_t n;
	int fd;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	if (n < 0)
		n = -errno;
	close(fd);
	return n < 0 ? n : 0;
}

int uio_read_u64(const char *path, __u64 *val)
{
	char text[UIO_NAME_LEN];
	char *end;
	int ret;

	ret = uio_read_text(path, text, sizeof(text));
	if (ret < 0)
		return ret;
	*val = strtoull(text, &end, 0);
	if (end == text || *end)
		return -EINVAL;
	return 0;
}

int uio_sysfs_dir(const char *name, char *path, size_t len)
{
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(buses); i++) {
		ret = make_path(path, len, "/sys/bus/%s/devices/%s", buses[i],
				name);
		if (ret)
			return ret;
		if (!access(path, F_OK))
			return 0;
	}
	return -ENODEV;
}

bool uio_dir_is_pci(const char *dir)
{
	return !strncmp(dir, "/sys/bus/pci/", 13);
}

/* Also true of a device that has been unplugged since it was opened. */
bool uio_is_pci(const struct uio_device *dev)
{
	return uio_dir_is_pci(dev->sysfs);
}

static int sysfs_path(const char *name, const char *file, char *path,
		      size_t len)
{
	char dir[UIO_PATH_LEN];
	int ret;

	ret = uio_sysfs_dir(name, dir, sizeof(dir));
	if (ret)
		return ret;
	return make_path(path, len, "%s/%s", dir, file);
}

/* -ENOENT if no driver is bound. */
int uio_bound_driver(const char *name, char *driver, size_t len)
{
	char path[UIO_PATH_LEN], link[UIO_PATH_LEN];
	const char *base;
	ssize_t n;
	int ret;

	ret = sysfs_path(name, "driver", path, sizeof(path));
	if (ret)
		return ret;
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		return -errno;
	link[n] = '\0';

	base = strrchr(link, '/');
	return make_path(driver, len, "%s", base ? base + 1 : link);
}

int uio_unbind(const char *name)
{
	char path[UIO_PATH_LEN];
	int ret;

	ret = sysfs_path(name, "driver/unbind", path, sizeof(path));
	if (ret)
		return ret;
	return uio_write_text(path, name);
}

/*
 * Bind a device to a driver, whatever it is bound to now. driver_override makes
 * the driver take a device whose ids it has never heard of, and keeps others
 * away.
 */
int uio_bind(const char *name, const char *driver)
{
	char path[UIO_PATH_LEN], dir[UIO_PATH_LEN], now[UIO_NAME_LEN];
	const char *bus;
	int ret;

	ret = uio_bound_driver(name, now, sizeof(now));
	if (!ret && !strcmp(now, driver))
		return 0;
	if (!ret)
		ret = uio_unbind(name);
	if (ret && ret != -ENOENT)
		return ret;

	ret = sysfs_path(name, "driver_override", path, sizeof(path));
	if (ret)
		return ret;
	ret = uio_write_text(path, driver);
	if (ret)
		return ret;

	ret = uio_sysfs_dir(name, dir, sizeof(dir));
	if (ret)
		return ret;
	bus = uio_dir_is_pci(dir) ? "pci" : "platform";
	ret = make_path(path, sizeof(path), "/sys/bus/%s/drivers/%s/bind", bus,
			driver);
	if (ret)
		return ret;
	return uio_write_text(path, name);
}

/* What pulling a card out looks like to the kernel. */
int uio_pci_remove(const char *name)
{
	char path[UIO_PATH_LEN];
	int ret;

	ret = sysfs_path(name, "remove", path, sizeof(path));
	return ret ? ret : uio_write_text(path, "1");
}

/* All that was removed comes back, without a driver. */
int uio_pci_rescan(void)
{
	return uio_write_text("/sys/bus/pci/rescan", "1");
}

/* N of the device's /dev/uioN. */
int uio_find(const char *name)
{
	char path[UIO_PATH_LEN];
	int number = -ENODEV;
	struct dirent *entry;
	DIR *dir;
	int ret;

	ret = sysfs_path(name, "uio", path, sizeof(path));
	if (ret)
		return ret;
	dir = opendir(path);
	if (!dir)
		return -ENODEV;
	while ((entry = readdir(dir)))
		if (sscanf(entry->d_name, "uio%d", &number) == 1)
			break;
	closedir(dir);
	return number;
}

/* The lower byte of PCI's command register: it can be read whatever the driver does. */
static int pci_command_open(const char *name, int flags, uint8_t *command)
{
	char path[UIO_PATH_LEN];
	int fd, ret;

	ret = sysfs_path(name, "config", path, sizeof(path));
	if (ret)
		return ret;
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (pread(fd, command, sizeof(*command), PCI_COMMAND) !=
	    sizeof(*command)) {
		close(fd);
		return -EIO;
	}
	return fd;
}

/* 1 if the device may master the bus, 0 if not. */
int uio_bus_master(const char *name)
{
	uint8_t command;
	int fd;

	fd = pci_command_open(name, O_RDONLY, &command);
	if (fd < 0)
		return fd;
	close(fd);
	return !!(command & PCI_COMMAND_MASTER);
}

/*
 * What an administrator could do behind the driver's back. A kernel that is locked
 * down refuses to: it is not asked without need.
 */
int uio_set_bus_master(const char *name, bool on)
{
	uint8_t old, command;
	int fd, ret = 0;

	fd = pci_command_open(name, O_RDWR, &old);
	if (fd < 0)
		return fd;
	command = on ? old | PCI_COMMAND_MASTER : old & ~PCI_COMMAND_MASTER;
	if (command != old &&
	    pwrite(fd, &command, sizeof(command), PCI_COMMAND) < 0)
		ret = -errno;
	close(fd);
	return ret;
}

/*
 * The disk behind an NVMe controller, as the kernel's driver shows it, which needs
 * a while to find it. -ENOENT if there is no such driver.
 */
int uio_open_disk(const char *name, int flags)
{
	char pattern[UIO_PATH_LEN], path[UIO_PATH_LEN];
	long end = uio_now_ms() + DISK_TIMEOUT_MS;
	glob_t found;
	int fd, ret;

	ret = uio_bind(name, "nvme");
	if (ret < 0)
		return ret;
	snprintf(pattern, sizeof(pattern),
		 "/sys/bus/pci/devices/%s/nvme/nvme*/nvme*n1", name);
	do {
		fd = -ENODEV;
		if (!glob(pattern, 0, NULL, &found)) {
			snprintf(path, sizeof(path), "/dev%s",
				 strrchr(found.gl_pathv[0], '/'));
			globfree(&found);
			fd = open(path, flags | O_CLOEXEC);
		}
		if (fd >= 0)
			return fd;
		uio_msleep(10);
	} while (uio_now_ms() < end);
	return -ENODEV;
}

/* Does an IOMMU stand between the device and memory, and translate? */
bool uio_iommu_translates(const char *name)
{
	char path[UIO_PATH_LEN], type[UIO_NAME_LEN];

	if (sysfs_path(name, "iommu_group/type", path, sizeof(path)))
		return false;
	if (uio_read_text(path, type, sizeof(type)) < 0)
		return false;
	return !strncmp(type, "DMA", 3);
}

int uio_attr_path(int number, const char *attr, char *path, size_t len)
{
	return make_path(path, len, "/sys/class/uio/uio%d/%s", number, attr);
}

/* The name of the heap that belongs to the device. */
int uio_heap_name(int number, char *heap, size_t len)
{
	char path[UIO_PATH_LEN];
	int ret;

	ret = uio_attr_path(number, "dma_heap", path, sizeof(path));
	if (ret)
		return ret;
	ret = uio_read_text(path, heap, len);
	return ret < 0 ? ret : 0;
}

int uio_dma_mask_bits(int number)
{
	char path[UIO_PATH_LEN];
	__u64 bits;
	int ret;

	ret = uio_attr_path(number, "dma_mask_bits", path, sizeof(path));
	if (ret)
		return ret;
	ret = uio_read_u64(path, &bits);
	return ret ? ret : (int)bits;
}

int uio_set_dma_mask_bits(int number, int bits)
{
	char path[UIO_PATH_LEN], text[16];
	int ret;

	ret = uio_attr_path(number, "dma_mask_bits", path, sizeof(path));
	if (ret)
		return ret;
	snprintf(text, sizeof(text), "%d\n", bits);
	return uio_write_text(path, text);
}
