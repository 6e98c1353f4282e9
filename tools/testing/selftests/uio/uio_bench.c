// SPDX-License-Identifier: GPL-2.0
/*
 * What things cost, beside what else there is for the purpose.
 *
 * Each row compares two ways in turn, one run of each after the other, and shows
 * the medians and their ratio. Where the clock counts instructions (QEMU's
 * -icount), the same numbers come out each time; then a few runs are enough.
 *
 * Usage: uio_bench [runs [device [device that gathers [largest buffer in MiB
 *                  [device for VFIO]]]]]
 *
 * A largest buffer of 0: only the interrupt of the first device, which needs no DMA.
 * With a device for VFIO: only what VFIO and iommufd do, beside ours.
 * UIO_BENCH_KERNEL_DEVICE in the environment names another device that gathers, for
 * the kernel to drive (CONFIG_UIO_TEST_LSI). With UIO_BENCH_MEMORY: only what
 * memory costs.
 *
 * Lines of the table start with "row;" and have the fields
 * name;size;ours;theirs;ratio;least of ours;least of theirs
 * with the medians of all runs, and what took least, which is what comes out the
 * same every time where the clock counts instructions.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <linux/udmabuf.h>

#include "uio_bench.h"

#define MAX_RUNS	1001

/* How often what is very short is repeated within one run. */
#define REPEAT		64

/* An ioctl that no dma-buf knows. */
#define UNKNOWN_IOCTL	_IO(DMA_BUF_BASE, 0x7f)

void check(long ret, const char *what)
{
	if (ret >= 0)
		return;
	printf("FAILED: %s: %s\n", what, strerror(-ret));
	exit(1);
}

__u64 now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	__u64 x = *(const __u64 *)a, y = *(const __u64 *)b;

	return x < y ? -1 : x > y;
}

static __u64 median(__u64 *val, unsigned int n)
{
	qsort(val, n, sizeof(*val), compare);
	return val[n / 2];
}

void measure(struct bench *b, const char *name, way_t ours, way_t theirs)
{
	static __u64 a[MAX_RUNS], c[MAX_RUNS];
	unsigned int i, runs = b->runs;
	__u64 x, y;

	/* Large buffers take long, and vary less. */
	if (b->size > 4U << 20 && runs > 41)
		runs = 41;
	ours(b);
	if (theirs)
		theirs(b);
	for (i = 0; i < runs; i++) {
		a[i] = ours(b);
		c[i] = theirs ? theirs(b) : 0;
	}
	x = median(a, runs);
	y = median(c, runs);
	printf("row;%s;%llu;%llu;", name, (unsigned long long)b->size,
	       (unsigned long long)x);
	if (theirs)
		printf("%llu;%.4f;", (unsigned long long)y, (double)x / y);
	else
		printf(";;");
	/* They are sorted now. */
	printf("%llu;%llu\n", (unsigned long long)a[0], (unsigned long long)c[0]);
}

/*
 * Addresses
 */

static __u64 get_hot(struct bench *b)
{
	struct dma_buf_get_dma_addr get;
	__u64 start = now_ns();
	int i;

	for (i = 0; i < REPEAT; i++) {
		get.dev_fd = b->dev.fd;
		get.flags = 0;
		get.offset = b->offset;
		if (ioctl(b->buf.fd, DMA_BUF_IOCTL_GET_DMA_ADDR, &get))
			check(-errno, "GET_DMA_ADDR");
	}
	return (now_ns() - start) / REPEAT;
}

static __u64 unknown_ioctl(struct bench *b)
{
	__u64 start = now_ns();
	int i;

	for (i = 0; i < REPEAT; i++) {
		if (ioctl(b->buf.fd, UNKNOWN_IOCTL, NULL) != -1)
			check(-EPROTO, "unknown ioctl");
	}
	return (now_ns() - start) / REPEAT;
}

__u64 walk_all(struct bench *b)
{
	struct dma_buf_get_dma_addr get;
	__u64 start = now_ns(), at;

	for (at = 0; at < b->size; at += get.len)
		check(uio_dma_get(b->buf.fd, b->dev.fd, 0, at, &get), "GET_DMA_ADDR");
	return now_ns() - start;
}

/* One piece after the other and then again, or in steps of b->stride bytes. */
static __u64 get_pieces(struct bench *b)
{
	struct dma_buf_get_dma_addr get;
	__u64 start = now_ns();
	int i;

	for (i = 0; i < REPEAT; i++) {
		check(uio_dma_get(b->buf.fd, b->dev.fd, 0, b->offset, &get),
		      "GET_DMA_ADDR");
		b->offset = (b->offset + (b->stride ? : get.len)) % b->size;
	}
	return (now_ns() - start) / REPEAT;
}

__u64 map_cold(struct bench *b)
{
	__u64 start = now_ns(), addr;

	check(uio_dma_addr(b->buf.fd, b->dev.fd, &addr), "GET_DMA_ADDR");
	check(uio_dma_put(b->buf.fd, b->dev.fd), "PUT_DMA_ADDR");
	return now_ns() - start;
}

void alloc(struct bench *b, struct uio_buffer *buf, int heap)
{
	buf->size = b->size;
	buf->vaddr = NULL;
	buf->fd = uio_heap_alloc(heap, b->size);
	check(buf->fd, "allocate");
}

static void bench_addresses(struct bench *b)
{
	static const __u64 size[] = { 4096, 1U << 20, 64U << 20 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(size); i++) {
		b->size = size[i];
		if (b->size > b->max_size)
			break;
		alloc(b, &b->buf, b->heap);
		check(uio_dma_addr(b->buf.fd, b->dev.fd, &b->addr), "GET_DMA_ADDR");
		b->offset = b->size / 2;
		measure(b, "GET again, device's heap / unknown ioctl", get_hot, unknown_ioctl);
		uio_dma_put(b->buf.fd, b->dev.fd);
		measure(b, "GET and PUT, device's heap", map_cold, NULL);
		uio_buffer_free(&b->buf);

		alloc(b, &b->buf, b->system);
		check(uio_dma_addr(b->buf.fd, b->dev.fd, &b->addr), "GET_DMA_ADDR");
		measure(b, "GET again, system heap / unknown ioctl", get_hot, unknown_ioctl);
		measure(b, "walk all, system heap", walk_all, NULL);
		uio_dma_put(b->buf.fd, b->dev.fd);
		measure(b, "GET and PUT, system heap", map_cold, NULL);
		uio_buffer_free(&b->buf);
	}
}

/* The cost does not depend on how much else is mapped. */
static void bench_many(struct bench *b)
{
	static const unsigned int count[] = { 1, 1000, 10000, 50000 };
	struct rlimit limit = { 60000, 60000 };
	unsigned int i, have = 0;
	char name[64];
	__u64 addr;
	int *fd;

	check(setrlimit(RLIMIT_NOFILE, &limit) ? -errno : 0, "RLIMIT_NOFILE");
	fd = calloc(count[ARRAY_SIZE(count) - 1], sizeof(*fd));
	if (!fd)
		check(-ENOMEM, "calloc");
	b->size = 4096;
	b->offset = 0;
	for (i = 0; i < ARRAY_SIZE(count); i++) {
		for (; have < count[i]; have++) {
			fd[have] = uio_heap_alloc(b->heap, b->size);
			check(fd[have], "allocate");
			check(uio_dma_addr(fd[have], b->dev.fd, &addr), "GET_DMA_ADDR");
		}
		b->buf.fd = fd[have / 2];
		snprintf(name, sizeof(name), "GET again, %u mapped / unknown ioctl", have);
		measure(b, name, get_hot, unknown_ioctl);
	}
	while (have--)
		close(fd[have]);
	free(fd);
	b->buf.fd = -1;
}

/* Nor on how many pieces the buffer has, if they are asked for in order. */
static void bench_pieces(struct bench *b)
{
	static const unsigned int count[] = { 1, 16, 256, 1024 };
	static struct uio_seg seg[1024];
	char name[64];
	unsigned int i;
	int nr;

	for (i = 0; i < ARRAY_SIZE(count); i++) {
		b->size = count[i] * uio_page_size();
		b->offset = 0;
		check(uio_buffer_udmabuf(&b->buf, b->size, NULL), "udmabuf");
		nr = uio_dma_walk(b->buf.fd, b->dev.fd, seg, ARRAY_SIZE(seg));
		check(nr, "walk");
		snprintf(name, sizeof(name), "GET next of %d pieces / unknown ioctl", nr);
		b->stride = 0;
		measure(b, name, get_pieces, unknown_ioctl);
		snprintf(name, sizeof(name), "GET any of %d pieces / unknown ioctl", nr);
		/* Far away, and prime to the number of pieces. */
		b->offset = 0;
		b->stride = 389 * uio_page_size();
		measure(b, name, get_pieces, unknown_ioctl);
		uio_buffer_free(&b->buf);
	}
}

/*
 * Memory
 */

static void touch(const struct uio_buffer *buf)
{
	size_t page = uio_page_size();
	__u64 at;

	for (at = 0; at < buf->size; at += page)
		__atomic_store_n(buf->vaddr + at, 1, __ATOMIC_RELAXED);
}

static __u64 whole_life(struct bench *b, int heap)
{
	__u64 start = now_ns();
	struct uio_buffer buf;

	alloc(b, &buf, heap);
	check(uio_buffer_map(&buf), "mmap");
	touch(&buf);
	uio_buffer_free(&buf);
	return now_ns() - start;
}

static __u64 life_ours(struct bench *b)
{
	return whole_life(b, b->heap);
}

static __u64 life_system(struct bench *b)
{
	return whole_life(b, b->system);
}

static __u64 map_and_touch(struct bench *b, int heap)
{
	struct uio_buffer buf;
	__u64 start, took;

	alloc(b, &buf, heap);
	start = now_ns();
	check(uio_buffer_map(&buf), "mmap");
	touch(&buf);
	took = now_ns() - start;
	uio_buffer_free(&buf);
	return took;
}

static __u64 touch_ours(struct bench *b)
{
	return map_and_touch(b, b->heap);
}

static __u64 touch_system(struct bench *b)
{
	return map_and_touch(b, b->system);
}

static __u64 touch_cma(struct bench *b)
{
	return map_and_touch(b, b->cma);
}

static __u64 free_it(struct uio_buffer *buf)
{
	__u64 start;

	check(uio_buffer_map(buf), "mmap");
	touch(buf);
	start = now_ns();
	uio_buffer_free(buf);
	return now_ns() - start;
}

static __u64 free_ours(struct bench *b)
{
	struct uio_buffer buf;

	alloc(b, &buf, b->heap);
	return free_it(&buf);
}

/* In order, unlike uio_buffer_udmabuf(), which can only do a thousand pages. */
static __u64 free_udmabuf(struct bench *b)
{
	struct udmabuf_create create = {
		.flags = UDMABUF_FLAGS_CLOEXEC,
		.size = b->size,
	};
	struct uio_buffer buf = { .size = b->size };
	int mem, dev;

	mem = memfd_create("uio_bench", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	if (mem < 0 || ftruncate(mem, b->size) ||
	    fcntl(mem, F_ADD_SEALS, F_SEAL_SHRINK))
		check(-errno, "memfd");
	dev = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	check(dev < 0 ? -errno : 0, "open udmabuf");
	create.memfd = mem;
	buf.fd = ioctl(dev, UDMABUF_CREATE, &create);
	check(buf.fd < 0 ? -errno : 0, "create udmabuf");
	close(dev);
	close(mem);
	return free_it(&buf);
}

static void bench_memory(struct bench *b)
{
	static const __u64 size[] = { 4096, 65536, 1U << 20, 4U << 20, 16U << 20, 64U << 20 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(size); i++) {
		b->size = size[i];
		if (b->size > b->max_size)
			break;
		measure(b, "allocate to free / system heap", life_ours, life_system);
		measure(b, "map and touch / system heap", touch_ours, touch_system);
		if (b->cma >= 0)
			measure(b, "map and touch / CMA heap", touch_ours, touch_cma);
		measure(b, "unmap and free / udmabuf", free_ours, free_udmabuf);
	}
}

/*
 * The device at work
 */

static __u64 copy_polled(struct bench *b)
{
	__u64 start = now_ns();
	int i;

	for (i = 0; i < REPEAT; i++)
		check(uio_dma_memcpy(&b->engine, b->addr + b->size, b->addr, b->size),
		      "copy");
	return (now_ns() - start) / REPEAT;
}

static __u64 interrupt(struct bench *b)
{
	__u64 start = now_ns();
	__u32 count;

	b->engine.driver.ops->send_irq(&b->engine);
	if (read(b->engine.fd, &count, sizeof(count)) != sizeof(count))
		check(-errno, "read");
	b->engine.driver.ops->ack_irq(&b->engine);
	check(uio_irq_unmask(&b->engine), "unmask");
	return now_ns() - start;
}

/*
 * The same driven in the kernel, which tells how long it took.
 */
static char kernel_device[UIO_PATH_LEN];

static __u64 ask_kernel(const char *attribute)
{
	char path[UIO_PATH_LEN + 16];
	__u64 ns;

	snprintf(path, sizeof(path), "%s/%s", kernel_device, attribute);
	check(uio_read_u64(path, &ns), path);
	return ns;
}

static __u64 copy_kernel(struct bench *b)
{
	return ask_kernel("copy_ns");
}

static __u64 interrupt_kernel(struct bench *b)
{
	return ask_kernel("interrupt_ns");
}

static void tell_kernel(__u64 bytes)
{
	char path[UIO_PATH_LEN + 16], val[24];

	snprintf(path, sizeof(path), "%s/copy_bytes", kernel_device);
	snprintf(val, sizeof(val), "%llu", (unsigned long long)bytes);
	check(uio_write_text(path, val), path);
}

static bool have_kernel_device(void)
{
	const char *name = getenv("UIO_BENCH_KERNEL_DEVICE");
	int ret;

	if (!name)
		return false;
	ret = uio_bind(name, "uio_test_lsi");
	if (ret) {
		printf("no rows for the kernel's driver of %s: %s\n", name,
		       strerror(-ret));
		return false;
	}
	snprintf(kernel_device, sizeof(kernel_device), "/sys/bus/pci/devices/%s",
		 name);
	return true;
}

static void bench_engine(struct bench *b, const char *name)
{
	static const __u64 size[] = { 64, 4096, 65536, 1U << 20 };
	bool kernel = have_kernel_device();
	struct uio_buffer buf;
	unsigned int i;

	if (uio_open_driver(&b->engine, name)) {
		printf("no rows for %s\n", name);
		return;
	}
	check(uio_buffer_alloc_device(&buf, b->engine.number, 2U << 20), "allocate");
	check(uio_dma_addr(buf.fd, b->engine.fd, &b->addr), "GET_DMA_ADDR");
	for (i = 0; i < ARRAY_SIZE(size); i++) {
		b->size = size[i];
		if (kernel)
			tell_kernel(b->size);
		measure(b, "copy by the device, polled / driver in the kernel",
			copy_polled, kernel ? copy_kernel : NULL);
	}
	b->size = 0;
	measure(b, "interrupt / driver in the kernel", interrupt,
		kernel ? interrupt_kernel : NULL);
	uio_buffer_free(&buf);
	uio_close(&b->engine);
}

/* Alone: where the kernel has no DMA for UIO, nothing else can be measured. */
static void bench_interrupt(struct bench *b, const char *name)
{
	check(uio_open_driver(&b->engine, name), "open the device");
	b->size = 0;
	measure(b, "interrupt cycle", interrupt, NULL);
	uio_close(&b->engine);
}

int main(int argc, char **argv)
{
	const char *name = argc > 2 ? argv[2] : uio_test_device(0);
	struct bench b = { .buf.fd = -1, .runs = 101, .max_size = 64U << 20 };
	char heap[UIO_NAME_LEN];

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1)
		b.runs = atoi(argv[1]);
	if (!b.runs || b.runs > MAX_RUNS) {
		fprintf(stderr, "1 to %d runs\n", MAX_RUNS);
		return 1;
	}
	if (argc > 4)
		b.max_size = atoi(argv[4]) * 1024ULL * 1024;
	if (!b.max_size) {
		bench_interrupt(&b, name);
		printf("end\n");
		return 0;
	}
	check(uio_open_driver(&b.dev, name), "open the device");
	check(uio_heap_name(b.dev.number, heap, sizeof(heap)), "find its heap");
	b.heap = uio_heap_open(heap);
	check(b.heap, "open its heap");
	b.system = uio_heap_open("system");
	check(b.system, "open the system heap");
	b.cma = uio_heap_find_cma(heap, sizeof(heap)) ? -1 : uio_heap_open(heap);

	if (getenv("UIO_BENCH_MEMORY")) {
		bench_memory(&b);
	} else if (argc > 5) {
		bench_peers(&b, argv[5]);
	} else {
		bench_addresses(&b);
		bench_memory(&b);
		bench_engine(&b, argc > 3 ? argv[3] : "0000:00:18.0");
		bench_many(&b);
		bench_pieces(&b);
	}
	uio_close(&b.dev);
	printf("end\n");
	return 0;
}
