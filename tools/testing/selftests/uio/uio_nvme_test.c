// SPDX-License-Identifier: GPL-2.0
/*
 * An NVMe controller driven from user space: what is written can be read again,
 * whatever memory it comes from and however it is asked for, and whatever is
 * asked for wrongly gets the right error.
 *
 * Overwrites the disk! UIO_TEST_NVME in the environment names the controller.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "uio_nvme.h"
#include "uio_test.h"

#define NR_QUEUES	4
#define ENTRIES		16
#define BUFFER_SIZE	(2U << 20)

/* See nvme_status[] in lib/drivers/nvme.c */
#define STATUS_MASK		0x7ff
#define STATUS_OPCODE		0x001
#define STATUS_NAMESPACE	0x00b
#define STATUS_PRP_OFFSET	0x013
#define STATUS_LBA_RANGE	0x080
#define STATUS_QUEUE_ID		0x101

#define ADMIN_CREATE_CQ		0x05
#define ADMIN_IDENTIFY		0x06

static const char *nvme_device(void)
{
	const char *name = getenv("UIO_TEST_NVME");

	return name ? name : "0000:00:16.0";
}

/* Returns whether to go on. */
static bool open_nvme(struct __test_metadata *_metadata, struct uio_nvme *nvme)
{
	char dir[UIO_PATH_LEN];

	if (uio_sysfs_dir(nvme_device(), dir, sizeof(dir)))
		SKIP_WITHOUT(return false, "no device %s", nvme_device());
	ASSERT_EQ(0, uio_nvme_open(nvme, nvme_device(), NR_QUEUES, ENTRIES));
	return true;
}

FIXTURE(disk)
{
	struct uio_nvme nvme;
	struct uio_buffer buf;
	struct uio_nvme_mem mem;
};

FIXTURE_VARIANT(disk)
{
	enum uio_memory memory;
};

FIXTURE_VARIANT_ADD(disk, device_heap) { .memory = UIO_MEMORY_DEVICE };
FIXTURE_VARIANT_ADD(disk, system_heap) { .memory = UIO_MEMORY_SYSTEM };
FIXTURE_VARIANT_ADD(disk, cma_heap) { .memory = UIO_MEMORY_CMA };
FIXTURE_VARIANT_ADD(disk, udmabuf) { .memory = UIO_MEMORY_USER };
FIXTURE_VARIANT_ADD(disk, udmabuf_huge) { .memory = UIO_MEMORY_HUGE };
FIXTURE_VARIANT_ADD(disk, drm) { .memory = UIO_MEMORY_DRM };

FIXTURE_SETUP(disk)
{
	self->buf.fd = -1;
	if (!open_nvme(_metadata, &self->nvme))
		return;
	if (!test_alloc(_metadata, &self->buf, variant->memory,
			&self->nvme.dev, BUFFER_SIZE))
		return;
	ASSERT_EQ(0, uio_nvme_map(&self->nvme, &self->mem, self->buf.fd));
}

FIXTURE_TEARDOWN(disk)
{
	uio_nvme_unmap(&self->nvme, &self->mem);
	uio_buffer_free(&self->buf);
	uio_nvme_close(&self->nvme);
}

/* Write a pattern, read it to somewhere else, find just that. */
static void there_and_back(struct __test_metadata *_metadata,
			   struct uio_nvme *nvme, struct uio_nvme_queue *q,
			   const struct uio_buffer *buf,
			   const struct uio_nvme_mem *mem,
			   __u64 from, __u64 to, __u32 len, __u64 lba)
{
	__u32 nr = len / nvme->block_size;
	__u32 seed = lba * 31 + len;

	memset(buf->vaddr, 0x5a, buf->size);
	uio_fill(buf->vaddr + from, len, seed);
	ASSERT_EQ(0, uio_nvme_io(q, UIO_NVME_WRITE, lba, nr, mem, from));
	memset(buf->vaddr, 0xa5, buf->size);
	ASSERT_EQ(0, uio_nvme_io(q, UIO_NVME_READ, lba, nr, mem, to));
	EXPECT_EQ(-1, uio_differs(buf->vaddr + to, len, seed));
	EXPECT_EQ(-1, uio_differs_from(buf->vaddr, to, 0xa5));
	EXPECT_EQ(-1, uio_differs_from(buf->vaddr + to + len,
				       buf->size - to - len, 0xa5));
}

TEST_F_TIMEOUT(disk, sizes_and_offsets, 120)
{
	/* one block; within a page; one PRP, two, a list, the longest list */
	static const __u32 len[] = { 512, 1024, 4096, 8192, 12288, 65536, 524288 };
	static const __u64 offset[] = { 0, 512, 3584, 4096, 1048576 - 512 };
	struct uio_nvme *nvme = &self->nvme;
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(len); i++) {
		if (len[i] % nvme->block_size || len[i] > nvme->max_transfer)
			continue;
		for (j = 0; j < ARRAY_SIZE(offset); j++)
			there_and_back(_metadata, nvme, &nvme->queue[0],
				       &self->buf, &self->mem, offset[j],
				       offset[ARRAY_SIZE(offset) - 1 - j],
				       len[i], i * 4096 + j);
	}
	EXPECT_EQ(0, uio_nvme_io(&nvme->queue[0], UIO_NVME_FLUSH, 0, 0, NULL, 0));
}

FIXTURE(nvme)
{
	struct uio_nvme nvme;
	struct uio_buffer buf;
	struct uio_nvme_mem mem;
};

FIXTURE_SETUP(nvme)
{
	self->buf.fd = -1;
	if (!open_nvme(_metadata, &self->nvme))
		return;
	ASSERT_EQ(0, uio_buffer_alloc_device(&self->buf, self->nvme.dev.number,
					     BUFFER_SIZE));
	ASSERT_EQ(0, uio_nvme_map(&self->nvme, &self->mem, self->buf.fd));
}

FIXTURE_TEARDOWN(nvme)
{
	uio_nvme_unmap(&self->nvme, &self->mem);
	uio_buffer_free(&self->buf);
	uio_nvme_close(&self->nvme);
}

TEST_F(nvme, identifies_itself)
{
	struct uio_nvme *nvme = &self->nvme;

	EXPECT_NE(0, strlen(nvme->model));
	EXPECT_NE(0, strlen(nvme->serial));
	EXPECT_NE(0, nvme->nr_blocks);
	EXPECT_EQ(0, nvme->block_size & (nvme->block_size - 1));
	EXPECT_EQ(NR_QUEUES, nvme->nr_queues);
	EXPECT_EQ(ENTRIES, nvme->queue[0].entries);
}

/* Every block has its number in it; queues are filled to the brim. */
TEST_F(nvme, several_queues_at_once)
{
	__u32 block = self->nvme.block_size;
	struct uio_nvme_result result;
	unsigned int i, n, done;
	__u32 *data = (void *)self->buf.vaddr;
	enum uio_nvme_opcode op;
	int pass;

	for (pass = 0; pass < 2; pass++) {
		op = pass ? UIO_NVME_READ : UIO_NVME_WRITE;
		for (i = 0; i < NR_QUEUES * (ENTRIES - 1); i++)
			data[i * block / 4] = pass ? 0 : i + 1;

		for (n = 0, i = 0; i < NR_QUEUES; i++) {
			for (done = 0; done < ENTRIES - 1; done++, n++)
				ASSERT_LE(0, uio_nvme_submit(&self->nvme.queue[i], op,
							     n, 1, &self->mem,
							     (__u64)n * block));
			uio_nvme_ring(&self->nvme.queue[i]);
			EXPECT_EQ(-EBUSY, uio_nvme_submit(&self->nvme.queue[i], op,
							  n, 1, &self->mem, 0));
		}
		for (i = 0; i < NR_QUEUES; i++) {
			for (done = 0; done < ENTRIES - 1; done++) {
				ASSERT_EQ(0, uio_nvme_wait(&self->nvme.queue[i], &result));
				EXPECT_EQ(0, result.status);
			}
			EXPECT_FALSE(uio_nvme_poll(&self->nvme.queue[i], &result));
		}
	}
	for (i = 0; i < NR_QUEUES * (ENTRIES - 1); i++)
		EXPECT_EQ(i + 1, data[i * block / 4]);
}

/* More commands than a queue has entries: it wraps, and the phase bit turns. */
TEST_F(nvme, queue_wraps)
{
	struct uio_nvme_queue *q = &self->nvme.queue[1];
	unsigned int i;

	for (i = 0; i < 5 * ENTRIES + 3; i++)
		there_and_back(_metadata, &self->nvme, q, &self->buf,
			       &self->mem, i % 7 * 512, 4096, 512, i);
}

TEST_F(nvme, by_interrupt)
{
	struct uio_nvme_queue *q = &self->nvme.queue[2];
	struct uio_nvme_result result;
	__u32 nr = 4096 / self->nvme.block_size;
	int i, ret;

	for (i = 0; i < 100; i++) {
		memset(self->buf.vaddr, 0, 8192);
		uio_fill(self->buf.vaddr, 4096, i);
		ASSERT_LE(0, uio_nvme_submit(q, UIO_NVME_WRITE, i, nr, &self->mem, 0));
		ret = uio_nvme_wait_irq(q, &result);
		if (ret == -ENOENT)
			SKIP(return, "no interrupt for %s", nvme_device());
		ASSERT_EQ(0, ret);
		ASSERT_EQ(0, result.status);
		ASSERT_LE(0, uio_nvme_submit(q, UIO_NVME_READ, i, nr, &self->mem, 4096));
		ASSERT_EQ(0, uio_nvme_wait_irq(q, &result));
		ASSERT_EQ(0, result.status);
		ASSERT_EQ(-1, uio_differs(self->buf.vaddr + 4096, 4096, i));
	}
}

static void expect_status(struct __test_metadata *_metadata,
			  struct uio_nvme_queue *q, int id, __u16 status)
{
	struct uio_nvme_result result;

	ASSERT_LE(0, id);
	ASSERT_EQ(0, uio_nvme_wait(q, &result));
	EXPECT_EQ(id, result.id);
	EXPECT_EQ(status, result.status & STATUS_MASK);
	EXPECT_STRNE("unknown status", uio_nvme_status_text(result.status));
}

TEST_F(nvme, beyond_the_last_block)
{
	struct uio_nvme *nvme = &self->nvme;
	struct uio_nvme_queue *q = &nvme->queue[0];

	EXPECT_EQ(0, uio_nvme_io(q, UIO_NVME_READ, nvme->nr_blocks - 1, 1,
				 &self->mem, 0));
	expect_status(_metadata, q,
		      uio_nvme_submit(q, UIO_NVME_READ, nvme->nr_blocks, 1,
				      &self->mem, 0), STATUS_LBA_RANGE);
	EXPECT_EQ(-ERANGE, uio_nvme_io(q, UIO_NVME_WRITE, nvme->nr_blocks - 1,
				       2, &self->mem, 0));
	EXPECT_EQ(-ERANGE, uio_nvme_io(q, UIO_NVME_READ, ~0ULL, 1, &self->mem, 0));
}

TEST_F(nvme, refused_commands)
{
	const __u32 none[6] = { 0 };
	const __u32 queue_0[6] = { 7U << 16, 1 };
	struct uio_nvme *nvme = &self->nvme;
	struct uio_nvme_queue *q = &nvme->queue[0];

	expect_status(_metadata, q,
		      uio_nvme_submit_raw(q, 0x7f, 1, 0, none), STATUS_OPCODE);
	expect_status(_metadata, q,
		      uio_nvme_submit_raw(q, UIO_NVME_READ, 0xfffffffe,
					  self->mem.page[0], none),
		      STATUS_NAMESPACE);
	expect_status(_metadata, &nvme->admin,
		      uio_nvme_submit_raw(&nvme->admin, ADMIN_CREATE_CQ, 0,
					  self->mem.page[0], queue_0),
		      STATUS_QUEUE_ID);
	expect_status(_metadata, &nvme->admin,
		      uio_nvme_submit_raw(&nvme->admin, 0x7f, 0, 0, none),
		      STATUS_OPCODE);
	expect_status(_metadata, &nvme->admin,
		      uio_nvme_submit_raw(&nvme->admin, ADMIN_IDENTIFY, 0xfffffffe,
					  self->mem.page[0], none),
		      STATUS_NAMESPACE);

	/* and after all that it still works */
	there_and_back(_metadata, nvme, q, &self->buf, &self->mem, 0, 4096, 4096, 0);
}

TEST_F(nvme, refused_by_the_driver)
{
	struct uio_nvme *nvme = &self->nvme;
	struct uio_nvme_queue *q = &nvme->queue[0];
	__u32 block = nvme->block_size;
	struct uio_nvme_mem mem;

	EXPECT_EQ(-EINVAL, uio_nvme_submit(q, UIO_NVME_READ, 0, 0, &self->mem, 0));
	EXPECT_EQ(-EINVAL, uio_nvme_submit(q, UIO_NVME_READ, 0, 1, &self->mem,
					   BUFFER_SIZE));
	EXPECT_EQ(-EINVAL, uio_nvme_submit(q, UIO_NVME_READ, 0, 2, &self->mem,
					   BUFFER_SIZE - block));
	EXPECT_EQ(-EINVAL, uio_nvme_submit(q, UIO_NVME_READ, 0, 1, &self->mem, 1));
	EXPECT_EQ(-EINVAL, uio_nvme_submit(q, UIO_NVME_READ, 0, 1, &self->mem,
					   ~0ULL - 3));
	EXPECT_EQ(-EINVAL, uio_nvme_submit(q, UIO_NVME_READ, 0,
					   nvme->max_transfer / block + 1,
					   &self->mem, 0));
	EXPECT_EQ(ENTRIES - 1, q->nr_free);
	EXPECT_EQ(-EINVAL, uio_nvme_map(nvme, &mem, nvme->dev.fd));
}

/* A program dies with its queues full. The next one is not disturbed. */
TEST_F_TIMEOUT(nvme, killed_at_work, 120)
{
	struct uio_nvme_result result;
	struct uio_nvme_queue *q;
	int i, round, status;
	char byte;
	int fds[2];
	pid_t pid;

	uio_nvme_unmap(&self->nvme, &self->mem);
	uio_nvme_close(&self->nvme);
	memset(self->buf.vaddr, 0xe7, self->buf.size);

	for (round = 0; round < 5; round++) {
		ASSERT_EQ(0, pipe(fds));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			struct uio_nvme_mem mem;
			struct uio_nvme nvme;
			struct uio_buffer buf;

			if (uio_nvme_open(&nvme, nvme_device(), 1, ENTRIES) ||
			    uio_buffer_alloc_device(&buf, nvme.dev.number, BUFFER_SIZE) ||
			    uio_nvme_map(&nvme, &mem, buf.fd))
				_exit(1);
			q = &nvme.queue[0];
			for (i = 0;; i++) {
				while (uio_nvme_submit(q, UIO_NVME_READ, i % 16 * 64, 64,
						       &mem, i % 16 * 32768) >= 0)
					;
				uio_nvme_ring(q);
				if (i == 10 && write(fds[1], "", 1) != 1)
					_exit(1);
				if (uio_nvme_wait(q, &result) || result.status)
					_exit(1);
			}
		}
		close(fds[1]);
		EXPECT_EQ(1, read(fds[0], &byte, 1));
		close(fds[0]);
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status));
		EXPECT_EQ(0, uio_bus_master(nvme_device()));
	}

	EXPECT_EQ(-1, uio_differs_from(self->buf.vaddr, self->buf.size, 0xe7));
	ASSERT_EQ(0, uio_nvme_open(&self->nvme, nvme_device(), 1, ENTRIES));
	ASSERT_EQ(0, uio_nvme_map(&self->nvme, &self->mem, self->buf.fd));
	EXPECT_EQ(-1, uio_differs_from(self->buf.vaddr, self->buf.size, 0xe7));
	there_and_back(_metadata, &self->nvme, &self->nvme.queue[0], &self->buf,
		       &self->mem, 0, 4096, 4096, 0);
}

TEST_F(nvme, unbound_at_work)
{
	struct uio_nvme_result result;
	int i;

	for (i = 0; i < ENTRIES - 1; i++)
		ASSERT_LE(0, uio_nvme_submit(&self->nvme.queue[0], UIO_NVME_READ,
					     0, 64, &self->mem, 0));
	uio_nvme_ring(&self->nvme.queue[0]);
	ASSERT_LE(0, uio_unbind(nvme_device()));
	EXPECT_EQ(0, uio_bus_master(nvme_device()));
	EXPECT_EQ(-ENODEV, uio_nvme_map(&self->nvme, &self->mem, self->buf.fd));

	/* The old file and the old mappings are of no use to anybody. */
	munmap(self->nvme.regs, self->nvme.regs_size);
	self->nvme.regs = NULL;
	uio_close(&self->nvme.dev);
	uio_buffer_free(&self->buf);

	ASSERT_EQ(0, uio_nvme_open(&self->nvme, nvme_device(), 1, ENTRIES));
	ASSERT_EQ(0, uio_buffer_alloc_device(&self->buf, self->nvme.dev.number,
					     BUFFER_SIZE));
	ASSERT_EQ(0, uio_nvme_map(&self->nvme, &self->mem, self->buf.fd));
	EXPECT_FALSE(uio_nvme_poll(&self->nvme.queue[0], &result));
	there_and_back(_metadata, &self->nvme, &self->nvme.queue[0], &self->buf,
		       &self->mem, 0, 4096, 4096, 0);
}

/*
 * A large buffer of the system heap: 1 GiB with holes in it, or where that is
 * too much up to 32 MiB and a bit of memory in which hardly two free pages are
 * neighbours.
 */
#define LARGE_SIZE	(1024ULL << 20)
#define PIECES_SIZE	(32ULL << 20)
#define SPARE_SIZE	(16ULL << 20)	/* the kernel's, or a twelfth */
#define SPARE_PART	12
#define NR_HOLES	256
#define HOLE_SIZE	(1024ULL << 10)
#define STAMP		0x5eedULL

FIXTURE(large)
{
	struct uio_nvme nvme;
	struct uio_frames frames;
	int between[NR_HOLES];
	struct uio_buffer buf;
	struct uio_nvme_mem mem;
	struct uio_buffer block;
	struct uio_nvme_mem block_mem;
};

/* Keep every second page of all memory but @spare bytes. */
static int fragment(struct uio_frames *frames, __u64 spare)
{
	size_t i, page = uio_page_size();
	int ret;

	ret = uio_frames_take(frames, uio_meminfo("MemFree") - spare);
	for (i = 0; !ret && i < frames->nr; i += 2)
		if (madvise(frames->mem + i * page, page, MADV_DONTNEED))
			ret = -errno;
	return ret;
}

/* Free blocks of the largest size that the heap uses, with others between. */
static int make_holes(int *between)
{
	int hole[NR_HOLES], i, heap, ret = 0;

	heap = uio_heap_open("system");
	if (heap < 0)
		return heap;
	for (i = 0; i < NR_HOLES; i++) {
		hole[i] = uio_heap_alloc(heap, HOLE_SIZE);
		between[i] = uio_heap_alloc(heap, HOLE_SIZE);
		if (hole[i] < 0 || between[i] < 0)
			ret = -ENOMEM;
	}
	for (i = 0; i < NR_HOLES; i++)
		close(hole[i]);
	close(heap);
	return ret;
}

FIXTURE_SETUP(large)
{
	__u64 size = LARGE_SIZE, spare, room;
	int i;

	self->buf.fd = -1;
	self->block.fd = -1;
	for (i = 0; i < NR_HOLES; i++)
		self->between[i] = -1;
	if (!open_nvme(_metadata, &self->nvme))
		return;
	if (uio_meminfo("MemFree") > (__s64)LARGE_SIZE * 2) {
		ASSERT_EQ(0, make_holes(self->between));
	} else {
		spare = uio_meminfo("MemFree") / SPARE_PART;
		spare = spare < SPARE_SIZE ? SPARE_SIZE : spare;
		ASSERT_EQ(0, fragment(&self->frames, spare));
		/*
		 * A CMA area is not for the system heap, and what is in one
		 * piece is what that takes first.
		 */
		room = (uio_meminfo("MemFree") - uio_meminfo("CmaFree")) / 2;
		size = spare + PIECES_SIZE;
		size = room < size ? room : size;
	}
	size = size / UIO_NVME_PAGE * UIO_NVME_PAGE;
	ASSERT_EQ(0, uio_buffer_alloc(&self->buf, "system", size));
	ASSERT_EQ(0, uio_nvme_map(&self->nvme, &self->mem, self->buf.fd));
	ASSERT_EQ(0, uio_buffer_alloc_device(&self->block, self->nvme.dev.number,
					     UIO_NVME_PAGE));
	ASSERT_EQ(0, uio_nvme_map(&self->nvme, &self->block_mem, self->block.fd));
}

FIXTURE_TEARDOWN(large)
{
	int i;

	uio_nvme_unmap(&self->nvme, &self->block_mem);
	uio_nvme_unmap(&self->nvme, &self->mem);
	uio_buffer_free(&self->block);
	uio_buffer_free(&self->buf);
	uio_nvme_close(&self->nvme);
	for (i = 0; i < NR_HOLES; i++)
		close(self->between[i]);
	if (self->frames.nr)
		uio_frames_free(&self->frames);
}

/* Where a page of the buffer is for the CPU. */
static __u64 *stamp_of(struct uio_buffer *buf, __u32 page)
{
	return (__u64 *)(buf->vaddr + (size_t)page * UIO_NVME_PAGE);
}

/* Does the controller find just this page there, and puts data there? */
static void exchange(struct __test_metadata *_metadata, struct uio_nvme *nvme,
		     const struct uio_nvme_mem *mem, __u32 page,
		     struct uio_buffer *block,
		     const struct uio_nvme_mem *block_mem)
{
	struct uio_nvme_queue *q = &nvme->queue[0];
	__u32 nr = UIO_NVME_PAGE / nvme->block_size;
	__u64 offset = (__u64)page * UIO_NVME_PAGE;

	ASSERT_EQ(0, uio_nvme_io(q, UIO_NVME_WRITE, 0, nr, mem, offset));
	ASSERT_EQ(0, uio_nvme_io(q, UIO_NVME_READ, 0, nr, block_mem, 0));
	ASSERT_EQ(page ^ STAMP, *stamp_of(block, 0));
	*stamp_of(block, 0) = ~(page ^ STAMP);
	ASSERT_EQ(0, uio_nvme_io(q, UIO_NVME_WRITE, 0, nr, block_mem, 0));
	ASSERT_EQ(0, uio_nvme_io(q, UIO_NVME_READ, 0, nr, mem, offset));
}

/* The first and the last page of each piece, and where these begin and end. */
TEST_F_TIMEOUT(large, each_piece_is_where_it_is_said_to_be, 300)
{
	const struct uio_nvme_mem *mem = &self->mem;
	__u32 i, pieces = 0, wrong = 0;
	bool first, last;

	for (i = 0; i < mem->nr_pages; i++)
		*stamp_of(&self->buf, i) = i ^ STAMP;
	for (i = 0; i < mem->nr_pages; i++) {
		first = !i || mem->page[i] != mem->page[i - 1] + UIO_NVME_PAGE;
		last = i + 1 == mem->nr_pages ||
		       mem->page[i + 1] != mem->page[i] + UIO_NVME_PAGE;
		pieces += first;
		if (first || last)
			exchange(_metadata, &self->nvme, mem, i, &self->block,
				 &self->block_mem);
	}
	for (i = 0; i < mem->nr_pages; i++) {
		first = !i || mem->page[i] != mem->page[i - 1] + UIO_NVME_PAGE;
		last = i + 1 == mem->nr_pages ||
		       mem->page[i + 1] != mem->page[i] + UIO_NVME_PAGE;
		wrong += *stamp_of(&self->buf, i) !=
			 (first || last ? ~(i ^ STAMP) : i ^ STAMP);
	}
	EXPECT_EQ(0, wrong);
	TH_LOG("%u MiB in %u pieces", mem->nr_pages / 256, pieces);
	if (!uio_iommu_translates(nvme_device()))
		EXPECT_LT(NR_HOLES / 2, pieces);
}

TEST_HARNESS_MAIN
