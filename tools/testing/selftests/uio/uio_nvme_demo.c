// SPDX-License-Identifier: GPL-2.0
/*
 * A disk driven from user space, beside the kernel's own driver for it: a run to
 * follow, step by step.
 *
 * Overwrites the first 64 MiB of the disk.
 *
 * Usage: uio_nvme_demo [PCI address]
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "uio_nvme.h"

#define DISK_SIZE	(64U << 20)
#define CHUNK		(4U << 20)
#define BLOCK		4096U
#define DEPTH		32
#define GROUP		8
#define ROUNDS		5
#define READS		2000
#define IRQ_READS	500
#define DEEP_READS	20000

/* What is measured, in the order of the table. */
enum figure {
	USER_POLLED,
	USER_INTERRUPT,
	KERNEL_PREAD,
	USER_DEEP,
	KERNEL_DEEP,
	NR_FIGURES,
};

static const char *name = "0000:00:16.0";
static double figure[NR_FIGURES][ROUNDS];

static void step(const char *what)
{
	static unsigned int n;

	printf("\n%u. %s\n", ++n, what);
}

/* Say what went wrong and where to look, and give up. */
static void check(int ret, const char *what, const char *hint)
{
	if (ret >= 0)
		return;
	printf("\nFAILED: %s: %s\n%s\n", what, strerror(-ret), hint);
	exit(1);
}

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e6 + ts.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *val, int n)
{
	qsort(val, n, sizeof(*val), compare);
	return val[n / 2];
}

/* The same blocks for both drivers, and not one after the other. */
static __u64 some_block(unsigned int i)
{
	return (i * 2654435761U >> 8) % (DISK_SIZE / BLOCK);
}

static __u32 seed_of(__u64 offset)
{
	return offset / BLOCK * 7 + 1;
}

struct driver {
	struct uio_nvme nvme;
	struct uio_buffer buf;
	struct uio_nvme_mem mem;
};

static void drive(struct driver *d)
{
	check(uio_nvme_open(&d->nvme, name, 1, 2 * DEPTH), "take over the disk",
	      "Is there an NVMe controller, and CONFIG_UIO_PCI_GENERIC?");
	check(uio_buffer_alloc_device(&d->buf, d->nvme.dev.number, CHUNK),
	      "allocate a buffer", "Has the kernel CONFIG_UIO_DMA?");
	check(uio_nvme_map(&d->nvme, &d->mem, d->buf.fd),
	      "DMA_BUF_IOCTL_GET_DMA_ADDR",
	      "Without an IOMMU it takes CAP_SYS_RAWIO.");
}

static void stop_driving(struct driver *d)
{
	uio_nvme_unmap(&d->nvme, &d->mem);
	uio_buffer_free(&d->buf);
	uio_nvme_close(&d->nvme);
}

/* Transfer @len bytes at @disk to or from @offset of the buffer. */
static void transfer(struct driver *d, enum uio_nvme_opcode op, __u64 disk,
		     __u64 offset, __u32 len)
{
	struct uio_nvme_queue *q = &d->nvme.queue[0];
	__u32 block = d->nvme.block_size, now;
	int ret;

	for (; len; len -= now, disk += now, offset += now) {
		now = len < d->nvme.max_transfer ? len : d->nvme.max_transfer;
		ret = uio_nvme_io(q, op, disk / block, now / block, &d->mem, offset);
		check(ret, "transfer", uio_nvme_status_text(q->status));
	}
}

static void write_disk(struct driver *d)
{
	__u64 at, i;

	for (at = 0; at < DISK_SIZE; at += CHUNK) {
		for (i = 0; i < CHUNK; i += BLOCK)
			uio_fill(d->buf.vaddr + i, BLOCK, seed_of(at + i));
		transfer(d, UIO_NVME_WRITE, at, 0, CHUNK);
	}
	check(uio_nvme_io(&d->nvme.queue[0], UIO_NVME_FLUSH, 0, 0, NULL, 0),
	      "flush", "");
}

static void compare_chunk(const unsigned char *data, __u64 at)
{
	__u64 i;

	for (i = 0; i < CHUNK; i += BLOCK) {
		if (uio_differs(data + i, BLOCK, seed_of(at + i)) >= 0)
			check(-EIO, "compare", "The data is wrong.");
	}
}

static void read_disk(struct driver *d)
{
	__u64 at;

	for (at = 0; at < DISK_SIZE; at += CHUNK) {
		memset(d->buf.vaddr, 0, CHUNK);
		transfer(d, UIO_NVME_READ, at, 0, CHUNK);
		compare_chunk(d->buf.vaddr, at);
	}
}

static int open_kernel_disk(void)
{
	int fd = uio_open_disk(name, O_RDONLY | O_DIRECT);

	check(fd, "bind the kernel's driver and open its disk",
	      "Has the kernel CONFIG_BLK_DEV_NVME?");
	return fd;
}

static void read_kernel_disk(int fd, unsigned char *data)
{
	__u64 at;

	for (at = 0; at < DISK_SIZE; at += CHUNK) {
		memset(data, 0, CHUNK);
		if (pread(fd, data, CHUNK, at) != CHUNK)
			check(-errno, "read by the kernel", "");
		compare_chunk(data, at);
	}
}

static double user_reads(struct driver *d, unsigned int nr, bool irq)
{
	static double took[READS];
	struct uio_nvme_queue *q = &d->nvme.queue[0];
	__u32 per = BLOCK / d->nvme.block_size;
	struct uio_nvme_result result;
	unsigned int i;
	double start;
	int ret;

	for (i = 0; i < nr; i++) {
		start = now_us();
		ret = uio_nvme_submit(q, UIO_NVME_READ, some_block(i) * per, per,
				      &d->mem, 0);
		if (ret >= 0)
			ret = irq ? uio_nvme_wait_irq(q, &result) :
				    uio_nvme_wait(q, &result);
		took[i] = now_us() - start;
		check(ret ? ret : uio_nvme_errno(result.status), "read", "");
	}
	return median(took, nr);
}

/*
 * Thousands of reads in a second, DEPTH of them at a time. Here as there, new
 * ones follow in groups, as a program would do that has a use for the data.
 */
static double user_deep(struct driver *d)
{
	struct uio_nvme_queue *q = &d->nvme.queue[0];
	__u32 per = BLOCK / d->nvme.block_size;
	unsigned int sent = 0, done = 0;
	struct uio_nvme_result result;
	double start = now_us();

	while (done < DEEP_READS) {
		while (sent < DEEP_READS && (sent % GROUP || sent - done <= DEPTH - GROUP)) {
			check(uio_nvme_submit(q, UIO_NVME_READ,
					      some_block(sent) * per, per,
					      &d->mem, sent % DEPTH * BLOCK),
			      "submit", "");
			sent++;
		}
		check(uio_nvme_wait(q, &result), "wait", "");
		check(uio_nvme_errno(result.status), "read", "");
		done++;
	}
	return done * 1e3 / (now_us() - start);
}

static double kernel_reads(int fd, unsigned char *data)
{
	static double took[READS];
	unsigned int i;
	double start;

	for (i = 0; i < READS; i++) {
		start = now_us();
		if (pread(fd, data, BLOCK, some_block(i) * BLOCK) != BLOCK)
			check(-errno, "read by the kernel", "");
		took[i] = now_us() - start;
	}
	return median(took, READS);
}

static double kernel_deep(int fd, unsigned char *data)
{
	unsigned int sent = 0, done = 0, nr, i;
	struct iocb iocb[DEPTH], *list[DEPTH];
	struct io_event event[DEPTH];
	aio_context_t ctx = 0;
	long ret, least;
	double start;

	if (syscall(SYS_io_setup, DEPTH, &ctx))
		check(-errno, "io_setup", "Has the kernel CONFIG_AIO?");
	memset(iocb, 0, sizeof(iocb));
	for (i = 0; i < DEPTH; i++) {
		iocb[i].aio_lio_opcode = IOCB_CMD_PREAD;
		iocb[i].aio_fildes = fd;
		iocb[i].aio_buf = (unsigned long)(data + i * BLOCK);
		iocb[i].aio_nbytes = BLOCK;
		list[i] = &iocb[i];
	}

	start = now_us();
	nr = DEPTH;
	while (done < DEEP_READS) {
		for (i = 0; i < nr; i++)
			list[i]->aio_offset = some_block(sent + i) * BLOCK;
		if (syscall(SYS_io_submit, ctx, (long)nr, list) != (long)nr)
			check(-EIO, "io_submit", "");
		sent += nr;
		least = sent - done < GROUP ? sent - done : GROUP;
		ret = syscall(SYS_io_getevents, ctx, least, (long)DEPTH, event, NULL);
		check(ret, "io_getevents", "");
		done += ret;
		nr = ret;
		if (nr > DEEP_READS - sent)
			nr = DEEP_READS - sent;
		for (i = 0; i < (unsigned int)ret; i++) {
			if (event[i].res != BLOCK)
				check(-EIO, "read by the kernel", "");
			list[i] = (struct iocb *)(unsigned long)event[i].obj;
		}
	}
	start = done * 1e3 / (now_us() - start);
	syscall(SYS_io_destroy, ctx);
	return start;
}

/* Dies in the middle of reading and writing, but not what is compared. */
static void work_until_killed(int report)
{
	struct uio_nvme_result result;
	struct driver d;
	unsigned int i;
	__u32 per;
	__u64 lba;

	drive(&d);
	per = BLOCK / d.nvme.block_size;
	for (i = 0;; i++) {
		lba = (DISK_SIZE / BLOCK + i % 1024) * per;
		while (uio_nvme_submit(&d.nvme.queue[0],
				       i % 2 ? UIO_NVME_READ : UIO_NVME_WRITE,
				       lba, per, &d.mem, i % 64 * BLOCK) >= 0)
			;
		uio_nvme_ring(&d.nvme.queue[0]);
		if (i == 1000 && write(report, "", 1) != 1)
			_exit(1);
		check(uio_nvme_wait(&d.nvme.queue[0], &result), "wait", "");
	}
}

static void kill_at_work(void)
{
	int fds[2], status;
	pid_t pid;
	char byte;

	if (pipe(fds))
		check(-errno, "pipe", "");
	fflush(stdout);
	pid = fork();
	if (!pid)
		work_until_killed(fds[1]);
	close(fds[1]);
	if (read(fds[0], &byte, 1) != 1)
		check(-EIO, "wait for the program that is to die", "");
	close(fds[0]);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	printf("   killed with its queue full; bus master: %s\n",
	       uio_bus_master(name) ? "on" : "off");
	check(uio_bus_master(name) ? -EPROTO : 0, "bus master",
	      "It should be off.");
}

static void show_figures(void)
{
	static const char * const text[] = {
		"4 KiB read, one at a time, polled: median",
		"4 KiB read, one at a time, by interrupt: median",
		"4 KiB pread(O_DIRECT), one at a time: median",
		"4 KiB reads, 32 at a time, polled",
		"4 KiB reads, 32 at a time, Linux AIO",
	};
	double m[NR_FIGURES];
	int i;

	for (i = 0; i < NR_FIGURES; i++) {
		m[i] = median(figure[i], ROUNDS);
		printf("   %-6s %-48s %7.1f %s\n",
		       i == KERNEL_PREAD || i == KERNEL_DEEP ? "kernel" : "user",
		       text[i], m[i], i < USER_DEEP ? "us" : "k/s");
	}
	printf("   latency, polled, user / kernel:      %.2f\n",
	       m[USER_POLLED] / m[KERNEL_PREAD]);
	printf("   latency, interrupt, user / kernel:   %.2f\n",
	       m[USER_INTERRUPT] / m[KERNEL_PREAD]);
	printf("   throughput, user / kernel:           %.2f\n",
	       m[USER_DEEP] / m[KERNEL_DEEP]);
	printf("   (%d rounds in turn, the median of them; an emulated disk: only the\n"
	       "   ratios mean something, and they contain the emulation)\n", ROUNDS);
}

int main(int argc, char **argv)
{
	unsigned char *data;
	struct driver d;
	int fd, i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc > 1)
		name = argv[1];
	printf("A disk driven from user space through UIO\n");

	step("Controller");
	drive(&d);
	printf("   %s: %s, serial number %s\n", name, d.nvme.model, d.nvme.serial);
	printf("   %llu blocks of %u bytes, %u KiB in one command, %u I/O queue(s)\n",
	       (unsigned long long)d.nvme.nr_blocks, d.nvme.block_size,
	       d.nvme.max_transfer / 1024, d.nvme.nr_queues);
	printf("   queue at bus address 0x%llx, data at 0x%llx\n",
	       (unsigned long long)d.nvme.queue[0].addr,
	       (unsigned long long)d.mem.page[0]);
	if (d.nvme.nr_blocks * d.nvme.block_size < DISK_SIZE + CHUNK)
		check(-ENOSPC, "size of the disk", "This takes 68 MiB.");

	step("64 MiB to the disk and back");
	write_disk(&d);
	read_disk(&d);
	printf("   written, flushed, read and compared\n");
	stop_driving(&d);

	step("The kernel's driver reads the same");
	data = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (data == MAP_FAILED)
		check(-errno, "mmap", "");
	fd = open_kernel_disk();
	read_kernel_disk(fd, data);
	close(fd);
	printf("   64 MiB read and compared\n");

	step("Side by side");
	for (i = 0; i < ROUNDS; i++) {
		drive(&d);
		figure[USER_POLLED][i] = user_reads(&d, READS, false);
		figure[USER_INTERRUPT][i] = user_reads(&d, IRQ_READS, true);
		figure[USER_DEEP][i] = user_deep(&d);
		stop_driving(&d);
		fd = open_kernel_disk();
		figure[KERNEL_PREAD][i] = kernel_reads(fd, data);
		figure[KERNEL_DEEP][i] = kernel_deep(fd, data);
		close(fd);
	}
	show_figures();

	step("Killed in the middle of it");
	kill_at_work();
	fd = open_kernel_disk();
	read_kernel_disk(fd, data);
	close(fd);
	printf("   the kernel's driver finds the controller in order, and the 64 MiB intact\n");

	printf("\nSUCCESS: the disk was driven from user space through UIO\n");
	return 0;
}
