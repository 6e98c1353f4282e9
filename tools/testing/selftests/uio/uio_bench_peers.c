// SPDX-License-Identifier: GPL-2.0
/*
 * uio_bench, beside VFIO and iommufd: what it takes until a device may be told
 * where memory is.
 *
 * Ours is a dma-buf, theirs anonymous memory that was written to before. Theirs
 * needs a device of its own that is bound to vfio-pci. Where no IOMMU translates
 * for it, that takes VFIO's unsafe mode, which is switched on here and stays on.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/iommufd.h>
#include <linux/vfio.h>

#include "uio_bench.h"

#define UNSAFE_MODE	"/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"

/* Type 1 wants to be told where: above what a PC keeps, below its MSI window. */
#define TYPE1_IOVA	(256ULL << 20)

#define HUGE_PAGE	(2ULL << 20)
#define NR_HUGE_PAGES	"/proc/sys/vm/nr_hugepages"

/**
 * struct memory - what the other side maps
 * @size: its bytes
 * @huge: of huge pages; else of small ones
 */
static const struct memory {
	__u64 size;
	bool huge;
} memories[] = {
	{ .size = 4096 },
	{ .size = 1U << 20 },
	{ .size = 64U << 20 },
	{ .size = 64U << 20, .huge = true },
};

/**
 * struct peers - the other side
 * @iommu: /dev/iommu
 * @ioas: the address space there that the device is attached to
 * @device: the open device
 * @group: the device's group, which has to stay open
 * @container: type 1 of VFIO
 * @huge: whether its memory is of huge pages
 * @mem: that memory
 * @iova: where iommufd has put it
 */
static struct peers {
	int iommu;
	__u32 ioas;
	int device;
	int group;
	int container;
	bool huge;
	unsigned char *mem;
	__u64 iova;
} peers;

static void no_rows(const char *what, const char *why, int ret)
{
	printf("no rows for %s: %s%s%s\n", what, why, ret ? ": " : "",
	       ret ? strerror(-ret) : "");
}

static int do_ioctl(int fd, unsigned long cmd, void *arg)
{
	int ret = ioctl(fd, cmd, arg);

	return ret < 0 ? -errno : ret;
}

static void *map_memory(struct bench *b)
{
	return mmap(NULL, b->size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | (peers.huge ? MAP_HUGETLB : 0), -1, 0);
}

static void take_memory(struct bench *b)
{
	size_t page = peers.huge ? HUGE_PAGE : uio_page_size();
	void *mem = map_memory(b);
	__u64 at;

	if (mem == MAP_FAILED)
		check(-errno, "anonymous memory");
	peers.mem = mem;
	for (at = 0; at < b->size; at += page)
		__atomic_store_n(peers.mem + at, 1, __ATOMIC_RELAXED);
}

static void drop_memory(struct bench *b)
{
	munmap(peers.mem, b->size);
}

/* One of memories[], if the machine has it. */
static bool choose_memory(struct bench *b, const struct memory *memory)
{
	char text[16];
	void *mem;

	b->size = memory->size;
	peers.huge = memory->huge;
	if (b->size > b->max_size)
		return false;
	if (!peers.huge)
		return true;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)(b->size / HUGE_PAGE));
	uio_write_text(NR_HUGE_PAGES, text);
	mem = map_memory(b);
	if (mem == MAP_FAILED) {
		no_rows("huge pages", "get them", -errno);
		return false;
	}
	munmap(mem, b->size);
	return true;
}

static const char *pages_text(void)
{
	return peers.huge ? ", huge pages" : "";
}

/*
 * iommufd
 */

static void ioas_map(struct bench *b)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = peers.ioas,
		.user_va = (unsigned long)peers.mem,
		.length = b->size,
	};

	check(do_ioctl(peers.iommu, IOMMU_IOAS_MAP, &map), "IOAS_MAP");
	peers.iova = map.iova;
}

static void ioas_unmap(struct bench *b)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = peers.ioas,
		.iova = peers.iova,
		.length = b->size,
	};

	check(do_ioctl(peers.iommu, IOMMU_IOAS_UNMAP, &unmap), "IOAS_UNMAP");
}

static __u64 map_iommufd(struct bench *b)
{
	__u64 start = now_ns();

	ioas_map(b);
	ioas_unmap(b);
	return now_ns() - start;
}

static __u64 life_iommufd(struct bench *b)
{
	__u64 start = now_ns();

	take_memory(b);
	ioas_map(b);
	ioas_unmap(b);
	drop_memory(b);
	return now_ns() - start;
}

#ifdef IOMMU_IOAS_NOIOMMU_GET_PA
static int get_pa(struct bench *b, __u64 at, __u64 *len)
{
	struct iommu_ioas_noiommu_get_pa get = {
		.size = sizeof(get),
		.ioas_id = peers.ioas,
		.iova = peers.iova + at,
		.length = b->size - at,
	};
	int ret = do_ioctl(peers.iommu, IOMMU_IOAS_NOIOMMU_GET_PA, &get);

	*len = get.length;
	return ret;
}
#else
static int get_pa(struct bench *b, __u64 at, __u64 *len)
{
	return -ENOTTY;
}
#endif

static __u64 walk_iommufd(struct bench *b)
{
	__u64 start = now_ns(), at, len;

	for (at = 0; at < b->size; at += len)
		check(get_pa(b, at, &len), "GET_PA");
	return now_ns() - start;
}

static unsigned int count_ours(struct bench *b)
{
	struct dma_buf_get_dma_addr get;
	unsigned int n = 0;
	__u64 at;

	for (at = 0; at < b->size; at += get.len, n++)
		check(uio_dma_get(b->buf.fd, b->dev.fd, 0, at, &get), "GET_DMA_ADDR");
	return n;
}

static unsigned int count_iommufd(struct bench *b)
{
	unsigned int n = 0;
	__u64 at, len;

	for (at = 0; at < b->size; at += len, n++)
		check(get_pa(b, at, &len), "GET_PA");
	return n;
}

/* How many calls a way takes depends on how scattered its memory is: say it. */
static void compare_walks(struct bench *b, int heap, const char *what)
{
	char name[128];
	__u64 addr;

	alloc(b, &b->buf, heap);
	check(uio_dma_addr(b->buf.fd, b->dev.fd, &addr), "GET_DMA_ADDR");
	snprintf(name, sizeof(name), "addresses of a %s: walk / iommufd GET_PA loop%s",
		 what, pages_text());
	measure(b, name, walk_all, walk_iommufd);
	printf("pieces of the %llu bytes above: %u, theirs %u\n",
	       (unsigned long long)b->size, count_ours(b), count_iommufd(b));
	uio_dma_put(b->buf.fd, b->dev.fd);
	uio_buffer_free(&b->buf);
}

static void compare_get_pa(struct bench *b)
{
	__u64 len;
	int ret;

	take_memory(b);
	ioas_map(b);
	ret = get_pa(b, 0, &len);
	if (ret) {
		no_rows("GET_PA of iommufd", "refused", ret);
	} else {
		compare_walks(b, b->heap, "whole buffer");
		compare_walks(b, b->system, "system heap buffer");
	}
	ioas_unmap(b);
	drop_memory(b);
}

/* The directory has one entry: what is in it has the device file's name. */
static int open_cdev(const char *name)
{
	char path[UIO_PATH_LEN];
	struct dirent *entry;
	int fd = -ENOENT;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", name);
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/dev/vfio/devices/%.64s", entry->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
	}
	closedir(dir);
	return fd;
}

static int attach_iommufd(void)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = peers.iommu,
	};
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach) };
	struct iommu_ioas_alloc ioas = { .size = sizeof(ioas) };
	int ret;

	ret = do_ioctl(peers.device, VFIO_DEVICE_BIND_IOMMUFD, &bind);
	if (!ret)
		ret = do_ioctl(peers.iommu, IOMMU_IOAS_ALLOC, &ioas);
	if (ret)
		return ret;
	peers.ioas = ioas.out_ioas_id;
	attach.pt_id = peers.ioas;
	return do_ioctl(peers.device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach);
}

/* What is not attached would be neither pinned nor mapped. */
static int open_iommufd(const char *name)
{
	int ret;

	peers.iommu = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (peers.iommu < 0) {
		ret = -errno;
		no_rows("iommufd", "/dev/iommu", ret);
		return ret;
	}
	peers.device = open_cdev(name);
	if (peers.device < 0) {
		ret = peers.device;
		no_rows("iommufd", "device file of VFIO", ret);
		goto err_iommu;
	}
	ret = attach_iommufd();
	if (ret) {
		no_rows("iommufd", "attach the device", ret);
		goto err_device;
	}
	return 0;

err_device:
	close(peers.device);
err_iommu:
	close(peers.iommu);
	return ret;
}

static void close_iommufd(void)
{
	close(peers.device);
	close(peers.iommu);
}

/*
 * Type 1 of VFIO
 */

static void type1_map_unmap(struct bench *b)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (unsigned long)peers.mem,
		.iova = TYPE1_IOVA,
		.size = b->size,
	};
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = TYPE1_IOVA,
		.size = b->size,
	};

	check(do_ioctl(peers.container, VFIO_IOMMU_MAP_DMA, &map), "MAP_DMA");
	check(do_ioctl(peers.container, VFIO_IOMMU_UNMAP_DMA, &unmap), "UNMAP_DMA");
}

static __u64 map_type1(struct bench *b)
{
	__u64 start = now_ns();

	type1_map_unmap(b);
	return now_ns() - start;
}

static __u64 life_type1(struct bench *b)
{
	__u64 start = now_ns();

	take_memory(b);
	type1_map_unmap(b);
	drop_memory(b);
	return now_ns() - start;
}

static int open_group(const char *name)
{
	char path[UIO_PATH_LEN], link[UIO_PATH_LEN];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", name);
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		return -errno;
	link[n] = '\0';
	snprintf(path, sizeof(path), "/dev/vfio/%.64s", strrchr(link, '/') + 1);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int open_type1(const char *name)
{
	int ret;

	peers.container = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	if (peers.container < 0) {
		ret = -errno;
		no_rows("VFIO type 1", "/dev/vfio/vfio", ret);
		return ret;
	}
	peers.group = open_group(name);
	if (peers.group < 0) {
		ret = peers.group;
		no_rows("VFIO type 1", "group of the device", ret);
		goto err_container;
	}
	ret = do_ioctl(peers.group, VFIO_GROUP_SET_CONTAINER, &peers.container);
	if (!ret)
		ret = do_ioctl(peers.container, VFIO_SET_IOMMU,
			       (void *)VFIO_TYPE1v2_IOMMU);
	if (ret) {
		no_rows("VFIO type 1", "give the group to it", ret);
		goto err_group;
	}
	return 0;

err_group:
	close(peers.group);
err_container:
	close(peers.container);
	return ret;
}

static void close_type1(void)
{
	close(peers.group);
	close(peers.container);
}

/*
 * Both
 */

/*
 * The pages of a dma-buf are there since it was allocated, anonymous memory is
 * pinned when it is mapped: so the whole life is compared as well.
 */
static __u64 life_ours(struct bench *b)
{
	struct uio_buffer buf;
	__u64 start = now_ns(), addr;

	alloc(b, &buf, b->system);
	check(uio_dma_addr(buf.fd, b->dev.fd, &addr), "GET_DMA_ADDR");
	check(uio_dma_put(buf.fd, b->dev.fd), "PUT_DMA_ADDR");
	uio_buffer_free(&buf);
	return now_ns() - start;
}

static void compare_maps(struct bench *b, const char *with, const char *peer,
			 way_t map, way_t life)
{
	char name[128];

	take_memory(b);
	alloc(b, &b->buf, b->system);
	snprintf(name, sizeof(name), "%s, map a buffer for a device / %s%s", with, peer,
		 pages_text());
	measure(b, name, map_cold, map);
	uio_buffer_free(&b->buf);
	drop_memory(b);
	snprintf(name, sizeof(name), "%s, get memory, map, unmap, free / %s%s", with, peer,
		 pages_text());
	measure(b, name, life_ours, life);
}

static void bench_iommufd(struct bench *b, const char *name, bool iommu)
{
	unsigned int i;

	if (open_iommufd(name))
		return;
	if (iommu)
		no_rows("GET_PA of iommufd", "there is an IOMMU", 0);
	for (i = 0; i < ARRAY_SIZE(memories); i++) {
		if (!choose_memory(b, &memories[i]))
			continue;
		if (!iommu)
			compare_get_pa(b);
		compare_maps(b, iommu ? "IOMMU" : "no IOMMU", "iommufd IOAS_MAP",
			     map_iommufd, life_iommufd);
	}
	close_iommufd();
}

static void bench_type1(struct bench *b, const char *name)
{
	unsigned int i;

	if (open_type1(name))
		return;
	for (i = 0; i < ARRAY_SIZE(memories); i++) {
		if (!choose_memory(b, &memories[i]))
			continue;
		compare_maps(b, "IOMMU", "VFIO type 1 MAP_DMA", map_type1, life_type1);
	}
	close_type1();
}

void bench_peers(struct bench *b, const char *name)
{
	char path[UIO_PATH_LEN];
	struct uio_buffer keep;
	__u64 addr;
	bool iommu;
	int ret;

	/* A group that VFIO has made up goes with its driver. */
	ret = uio_unbind(name);
	if (ret && ret != -ENOENT) {
		no_rows("VFIO and iommufd", name, ret);
		return;
	}
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", name);
	iommu = !access(path, F_OK);
	if (iommu && !uio_iommu_translates(b->dev.name)) {
		no_rows("VFIO and iommufd", "the IOMMU would translate for them only", 0);
		return;
	}
	if (!iommu) {
		ret = uio_write_text(UNSAFE_MODE, "1");
		if (ret < 0) {
			no_rows("VFIO and iommufd", UNSAFE_MODE, ret);
			return;
		}
		/* No IOMMU brings all memory below what 32 bits reach. */
		check(uio_set_dma_mask_bits(b->dev.number, 64), "mask of 64 bits");
	}
	ret = uio_bind(name, "vfio-pci");
	if (ret) {
		no_rows("VFIO and iommufd", "bind the device to vfio-pci", ret);
		return;
	}
	/*
	 * Whoever drives a device with VFIO lets it master the bus once. Ours would
	 * be stopped each time that its only buffer is put.
	 */
	b->size = uio_page_size();
	alloc(b, &keep, b->heap);
	check(uio_dma_addr(keep.fd, b->dev.fd, &addr), "GET_DMA_ADDR");
	bench_iommufd(b, name, iommu);
	if (iommu)
		bench_type1(b, name);
	else
		no_rows("VFIO type 1", "it maps nothing without an IOMMU", 0);
	uio_buffer_free(&keep);
}
