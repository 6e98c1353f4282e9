// SPDX-License-Identifier: GPL-2.0
/*
 * Mapping buffers and registers: what may be mapped, and what can be done to a
 * mapping. The answers do not depend on whether there is an IOMMU.
 */
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <linux/userfaultfd.h>

#include "uio_io.h"
#include "uio_test.h"

#define NR_PAGES	4
#define RW		(PROT_READ | PROT_WRITE)

FIXTURE(map)
{
	struct uio_device dev;
	struct uio_buffer buf;
	size_t page;
};

/* Each page of the buffer has contents of its own. */
FIXTURE_SETUP(map)
{
	int i;

	self->page = uio_page_size();
	if (!test_open(_metadata, &self->dev, 0))
		return;
	ASSERT_EQ(0, uio_buffer_alloc_device(&self->buf, self->dev.number,
					     NR_PAGES * self->page));
	for (i = 0; i < NR_PAGES; i++)
		uio_fill(self->buf.vaddr + i * self->page, self->page, i);
}

FIXTURE_TEARDOWN(map)
{
	uio_buffer_free(&self->buf);
	uio_close(&self->dev);
}

/* Pages [@first, @first + @count) of the buffer are at @mem. */
static void expect_pages(struct __test_metadata *_metadata, char *mem,
			 int first, int count)
{
	size_t page = uio_page_size();
	int i;

	for (i = 0; i < count; i++)
		EXPECT_EQ(-1, uio_differs(mem + i * page, page, first + i));
}

static void *map_buffer(int fd, size_t len, int prot, off_t offset)
{
	return mmap(NULL, len, prot, MAP_SHARED, fd, offset);
}

/* What becomes of a mapping that should not be: the errno, or 0. */
static int map_errno(int fd, size_t len, int prot, int flags, off_t offset)
{
	void *mem = mmap(NULL, len, prot, flags, fd, offset);

	if (mem == MAP_FAILED)
		return errno;
	munmap(mem, len);
	return 0;
}

/* Where the end of what can be asked for is, whatever the size of a long. */
#define LAST_PAGE	((1UL << (8 * sizeof(long) - 13)) - 1)

/* A buffer that is open in another way than for reading and writing. */
enum mapped_file {
	BUFFER,
	READ_ONLY_BUFFER,
	WRITE_ONLY_BUFFER,
	REGISTERS,
	READ_ONLY_REGISTERS,
};

FIXTURE(wrong_map)
{
	struct uio_device dev;
	struct snapshot old;
	int heap;
};

FIXTURE_VARIANT(wrong_map)
{
	int err;
	enum mapped_file file;
	unsigned int pages;
	unsigned int bytes;
	unsigned long offset_pages;
	unsigned int offset_bytes;
	int prot;
	int flags;
	bool more_than_region;
};

#define ONE_PAGE	.pages = 1, .prot = RW, .flags = MAP_SHARED
#define ALL_PAGES	.pages = NR_PAGES, .prot = RW, .flags = MAP_SHARED

FIXTURE_VARIANT_ADD(wrong_map, no_length)
{ EINVAL, .prot = RW, .flags = MAP_SHARED };
FIXTURE_VARIANT_ADD(wrong_map, odd_offset)
{ EINVAL, ONE_PAGE, .offset_bytes = 1 };
FIXTURE_VARIANT_ADD(wrong_map, a_byte_too_long)
{ EINVAL, ALL_PAGES, .bytes = 1 };
FIXTURE_VARIANT_ADD(wrong_map, a_page_too_late)
{ EINVAL, ALL_PAGES, .offset_pages = 1 };
FIXTURE_VARIANT_ADD(wrong_map, at_the_end)
{ EINVAL, ONE_PAGE, .offset_pages = NR_PAGES };
FIXTURE_VARIANT_ADD(wrong_map, past_the_end)
{ EINVAL, ONE_PAGE, .offset_pages = NR_PAGES + 1 };
FIXTURE_VARIANT_ADD(wrong_map, the_last_offset)
{ EINVAL, ONE_PAGE, .offset_pages = LAST_PAGE };
FIXTURE_VARIANT_ADD(wrong_map, private_page)
{ EINVAL, .pages = 1, .prot = RW, .flags = MAP_PRIVATE };
FIXTURE_VARIANT_ADD(wrong_map, private_page_read)
{ EINVAL, .pages = 1, .prot = PROT_READ, .flags = MAP_PRIVATE };
FIXTURE_VARIANT_ADD(wrong_map, private)
{ EINVAL, .pages = NR_PAGES, .prot = RW, .flags = MAP_PRIVATE };
FIXTURE_VARIANT_ADD(wrong_map, private_read)
{ EINVAL, .pages = NR_PAGES, .prot = PROT_READ, .flags = MAP_PRIVATE };
FIXTURE_VARIANT_ADD(wrong_map, synchronous)
{ EOPNOTSUPP, .pages = 1, .prot = RW, .flags = MAP_SHARED_VALIDATE | MAP_SYNC };
FIXTURE_VARIANT_ADD(wrong_map, read_only_for_writing)
{ EACCES, READ_ONLY_BUFFER, ONE_PAGE };
FIXTURE_VARIANT_ADD(wrong_map, read_only_for_writing_only) {
	.err = EACCES, .file = READ_ONLY_BUFFER,
	.pages = 1, .prot = PROT_WRITE, .flags = MAP_SHARED,
};

FIXTURE_VARIANT_ADD(wrong_map, read_only_private) {
	.err = EINVAL, .file = READ_ONLY_BUFFER,
	.pages = 1, .prot = PROT_READ, .flags = MAP_PRIVATE,
};

FIXTURE_VARIANT_ADD(wrong_map, write_only)
{ EACCES, WRITE_ONLY_BUFFER, ONE_PAGE };
FIXTURE_VARIANT_ADD(wrong_map, write_only_for_reading) {
	.err = EACCES, .file = WRITE_ONLY_BUFFER,
	.pages = 1, .prot = PROT_READ, .flags = MAP_SHARED,
};

/* A region's index stands for an offset. */
FIXTURE_VARIANT_ADD(wrong_map, registers_too_long)
{ EINVAL, REGISTERS, ONE_PAGE, .more_than_region = true };
FIXTURE_VARIANT_ADD(wrong_map, registers_of_next_index)
{ EINVAL, REGISTERS, ONE_PAGE, .offset_pages = 1 };
FIXTURE_VARIANT_ADD(wrong_map, registers_of_last_index)
{ EINVAL, REGISTERS, ONE_PAGE, .offset_pages = UIO_MAX_MAPS - 1 };
FIXTURE_VARIANT_ADD(wrong_map, registers_past_last_index)
{ EINVAL, REGISTERS, ONE_PAGE, .offset_pages = UIO_MAX_MAPS };
FIXTURE_VARIANT_ADD(wrong_map, registers_of_huge_index)
{ EINVAL, REGISTERS, ONE_PAGE, .offset_pages = 1UL << 18 };
FIXTURE_VARIANT_ADD(wrong_map, registers_read_only_for_writing)
{ EACCES, READ_ONLY_REGISTERS, ONE_PAGE };

FIXTURE_SETUP(wrong_map)
{
	char heap[UIO_NAME_LEN];

	if (!test_open(_metadata, &self->dev, 0))
		return;
	ASSERT_EQ(0, uio_heap_name(self->dev.number, heap, sizeof(heap)));
	self->heap = uio_heap_open(heap);
	ASSERT_LE(0, self->heap);
	self->old = take_snapshot(&self->dev);
}

FIXTURE_TEARDOWN(wrong_map)
{
	expect_unchanged(_metadata, &self->dev, &self->old);
	close(self->heap);
	uio_close(&self->dev);
}

static int open_mapped_file(enum mapped_file file, int heap, int number)
{
	__u64 size = NR_PAGES * uio_page_size();

	switch (file) {
	case BUFFER:
		return uio_heap_alloc_flags(heap, size, O_RDWR);
	case READ_ONLY_BUFFER:
		return uio_heap_alloc_flags(heap, size, O_RDONLY);
	case WRITE_ONLY_BUFFER:
		return uio_heap_alloc_flags(heap, size, O_WRONLY);
	case REGISTERS:
		return uio_open_fd(number, O_RDWR);
	case READ_ONLY_REGISTERS:
		return uio_open_fd(number, O_RDONLY);
	}
	return -1;
}

TEST_F(wrong_map, is_refused)
{
	size_t page = uio_page_size();
	size_t len = variant->pages * page + variant->bytes;
	int fd;

	if (variant->file == REGISTERS && variant->offset_pages &&
	    variant->offset_pages < self->dev.nr_maps)
		SKIP(return, "this device has such a region");
	if (variant->more_than_region)
		len += self->dev.map[0].size;
	fd = open_mapped_file(variant->file, self->heap, self->dev.number);
	ASSERT_LE(0, fd);
	EXPECT_EQ(variant->err,
		  map_errno(fd, len, variant->prot, variant->flags,
			    (off_t)variant->offset_pages * page +
			    variant->offset_bytes));
	close(fd);
}

/* As for any other dma-buf. */
TEST_F(map, executable)
{
	struct uio_buffer other;

	if (!test_alloc(_metadata, &other, UIO_MEMORY_SYSTEM, &self->dev,
			self->page))
		return;
	EXPECT_EQ(map_errno(other.fd, self->page, PROT_READ | PROT_EXEC,
			    MAP_SHARED, 0),
		  map_errno(self->buf.fd, self->page, PROT_READ | PROT_EXEC,
			    MAP_SHARED, 0));
	uio_buffer_free(&other);
}

TEST_F(map, read_only_cannot_become_writable)
{
	size_t page = self->page;
	char heap[UIO_NAME_LEN];
	int heap_fd, fd;
	void *mem;

	ASSERT_EQ(0, uio_heap_name(self->dev.number, heap, sizeof(heap)));
	heap_fd = uio_heap_open(heap);
	ASSERT_LE(0, heap_fd);
	fd = uio_heap_alloc_flags(heap_fd, page, O_RDONLY);
	ASSERT_LE(0, fd);
	mem = map_buffer(fd, page, PROT_READ, 0);
	ASSERT_TRUE(mem != MAP_FAILED);
	EXPECT_EQ(-1, uio_differs_from(mem, page, 0));
	EXPECT_ERRNO(EACCES, mprotect(mem, page, RW));
	munmap(mem, page);
	close(fd);
	close(heap_fd);
}

TEST_F(map, populated)
{
	EXPECT_EQ(0, map_errno(self->buf.fd, self->buf.size, RW,
			       MAP_SHARED | MAP_POPULATE, 0));
}

TEST_F(map, every_part)
{
	int first, count;
	char *mem;

	for (first = 0; first < NR_PAGES; first++) {
		for (count = 1; first + count <= NR_PAGES; count++) {
			mem = map_buffer(self->buf.fd, count * self->page, RW,
					 first * self->page);
			ASSERT_TRUE(mem != MAP_FAILED);
			expect_pages(_metadata, mem, first, count);
			munmap(mem, count * self->page);
		}
	}
}

TEST_F(map, two_views)
{
	char *mem = map_buffer(self->buf.fd, self->buf.size, RW, 0);

	ASSERT_TRUE(mem != MAP_FAILED);
	uio_fill(mem + self->page, self->page, 77);
	EXPECT_EQ(-1, uio_differs(self->buf.vaddr + self->page, self->page,
				  77));
	munmap(mem, self->buf.size);
}

TEST_F(map, protect)
{
	char *mem = map_buffer(self->buf.fd, self->buf.size, PROT_NONE, 0);

	ASSERT_TRUE(mem != MAP_FAILED);
	EXPECT_EQ(SIGSEGV, uio_touch(mem));
	EXPECT_EQ(0, mprotect(mem + self->page, self->page, RW));
	expect_pages(_metadata, mem + self->page, 1, 1);
	EXPECT_EQ(SIGSEGV, uio_touch(mem + 2 * self->page));
	EXPECT_EQ(0, mprotect(mem, self->buf.size, RW));
	expect_pages(_metadata, mem, 0, NR_PAGES);
	EXPECT_EQ(0, mprotect(mem, self->buf.size, PROT_READ));
	expect_pages(_metadata, mem, 0, NR_PAGES);
	munmap(mem, self->buf.size);
}

FIXTURE(wrong_remap)
{
	struct uio_device dev;
	struct uio_buffer buf;
	size_t page;
};

FIXTURE_VARIANT(wrong_remap)
{
	int err;
	unsigned int from;
	unsigned int to;
	int flags;
	bool registers;
};

FIXTURE_VARIANT_ADD(wrong_remap, grow) { EFAULT, 1, 2, 0 };
FIXTURE_VARIANT_ADD(wrong_remap, grow_and_move)
{ EFAULT, 1, 2, MREMAP_MAYMOVE };
FIXTURE_VARIANT_ADD(wrong_remap, copy) { EFAULT, 0, 1, MREMAP_MAYMOVE };
FIXTURE_VARIANT_ADD(wrong_remap, keep_both)
{ EINVAL, 1, 1, MREMAP_MAYMOVE | MREMAP_DONTUNMAP };
FIXTURE_VARIANT_ADD(wrong_remap, registers_grow) { EFAULT, 1, 2, 0, true };
FIXTURE_VARIANT_ADD(wrong_remap, registers_grow_and_move)
{ EFAULT, 1, 2, MREMAP_MAYMOVE, true };
FIXTURE_VARIANT_ADD(wrong_remap, registers_copy)
{ EFAULT, 0, 1, MREMAP_MAYMOVE, true };

FIXTURE_SETUP(wrong_remap)
{
	self->page = uio_page_size();
	if (!test_open(_metadata, &self->dev, 0))
		return;
	ASSERT_EQ(0, uio_buffer_alloc_device(&self->buf, self->dev.number,
					     NR_PAGES * self->page));
}

FIXTURE_TEARDOWN(wrong_remap)
{
	uio_buffer_free(&self->buf);
	uio_close(&self->dev);
}

/* Before the first access, and after. */
TEST_F(wrong_remap, is_refused)
{
	int fd = variant->registers ? self->dev.fd : self->buf.fd;
	size_t page = self->page;
	unsigned int i;
	void *mem;

	mem = map_buffer(fd, page, RW, 0);
	ASSERT_TRUE(mem != MAP_FAILED);
	for (i = 0; i < 2; i++) {
		EXPECT_ERRNO(variant->err, mremap(mem, variant->from * page,
						  variant->to * page,
						  variant->flags));
		EXPECT_EQ(0, uio_touch(mem));
	}
	munmap(mem, page);
}

static char *move(char *mem, size_t len)
{
	char *to = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);

	return mremap(mem, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to);
}

TEST_F(map, moves)
{
	size_t page = self->page;
	char *mem, *to;

	/* Before anything is mapped, and after. */
	mem = map_buffer(self->buf.fd, self->buf.size, RW, 0);
	to = move(mem, self->buf.size);
	ASSERT_TRUE(to != MAP_FAILED);
	expect_pages(_metadata, to, 0, NR_PAGES);
	mem = move(to, self->buf.size);
	ASSERT_TRUE(mem != MAP_FAILED);
	expect_pages(_metadata, mem, 0, NR_PAGES);

	/* A part of it only. */
	to = move(mem + page, 2 * page);
	ASSERT_TRUE(to != MAP_FAILED);
	expect_pages(_metadata, to, 1, 2);
	expect_pages(_metadata, mem, 0, 1);
	expect_pages(_metadata, mem + 3 * page, 3, 1);
	EXPECT_EQ(SIGSEGV, uio_touch(mem + page));

	/* Shrinking works as well. */
	EXPECT_TRUE(mremap(to, 2 * page, page, 0) == to);
	expect_pages(_metadata, to, 1, 1);
	EXPECT_EQ(SIGSEGV, uio_touch(to + page));
}

TEST_F(map, hole)
{
	size_t page = self->page;
	bool touched;
	char *mem;

	for (touched = false;; touched = true) {
		mem = map_buffer(self->buf.fd, self->buf.size, RW, 0);
		ASSERT_TRUE(mem != MAP_FAILED);
		if (touched)
			expect_pages(_metadata, mem, 0, NR_PAGES);
		ASSERT_EQ(0, munmap(mem + page, page));
		expect_pages(_metadata, mem + 2 * page, 2, 2);
		expect_pages(_metadata, mem, 0, 1);
		EXPECT_EQ(SIGSEGV, uio_touch(mem + page));
		munmap(mem, self->buf.size);
		if (touched)
			break;
	}
}

TEST_F(map, shared_with_child)
{
	size_t page = self->page;
	int status;
	pid_t pid;

	pid = fork();
	if (!pid) {
		if (uio_differs(self->buf.vaddr, page, 0) >= 0)
			_exit(1);
		uio_fill(self->buf.vaddr, page, 123);
		_exit(0);
	}
	ASSERT_LT(0, pid);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(-1, uio_differs(self->buf.vaddr, page, 123));
}

FIXTURE(advice)
{
	struct uio_device dev;
	struct uio_buffer buf;
};

FIXTURE_VARIANT(advice)
{
	int err;
	int advice;
};

/* Advice to take pages away, or to share them: they are not the user's. */
FIXTURE_VARIANT_ADD(advice, wrong_dontneed) { EINVAL, MADV_DONTNEED };
FIXTURE_VARIANT_ADD(advice, wrong_free) { EINVAL, MADV_FREE };
FIXTURE_VARIANT_ADD(advice, wrong_remove) { ENODEV, MADV_REMOVE };
FIXTURE_VARIANT_ADD(advice, wrong_cold) { EINVAL, MADV_COLD };
FIXTURE_VARIANT_ADD(advice, wrong_pageout) { EINVAL, MADV_PAGEOUT };
FIXTURE_VARIANT_ADD(advice, wrong_populate_read) { EINVAL, MADV_POPULATE_READ };
FIXTURE_VARIANT_ADD(advice, wrong_populate_write)
{ EINVAL, MADV_POPULATE_WRITE };
FIXTURE_VARIANT_ADD(advice, wrong_dodump) { EINVAL, MADV_DODUMP };
FIXTURE_VARIANT_ADD(advice, wrong_dofork) { EINVAL, MADV_DOFORK };
FIXTURE_VARIANT_ADD(advice, wrong_wipeonfork) { EINVAL, MADV_WIPEONFORK };
FIXTURE_VARIANT_ADD(advice, wrong_guard) { EINVAL, 102 };
FIXTURE_VARIANT_ADD(advice, wrong_number) { EINVAL, 26 };
FIXTURE_VARIANT_ADD(advice, dontdump) { 0, MADV_DONTDUMP };
FIXTURE_VARIANT_ADD(advice, dontfork) { 0, MADV_DONTFORK };
FIXTURE_VARIANT_ADD(advice, random) { 0, MADV_RANDOM };
FIXTURE_VARIANT_ADD(advice, sequential) { 0, MADV_SEQUENTIAL };

FIXTURE_SETUP(advice)
{
	if (!test_open(_metadata, &self->dev, 0))
		return;
	ASSERT_EQ(0, uio_buffer_alloc_device(&self->buf, self->dev.number,
					     NR_PAGES * uio_page_size()));
}

FIXTURE_TEARDOWN(advice)
{
	uio_buffer_free(&self->buf);
	uio_close(&self->dev);
}

TEST_F(advice, loses_nothing)
{
	if (madvise(self->buf.vaddr, self->buf.size, MADV_NORMAL))
		SKIP(return, "no madvise() here");
	uio_fill(self->buf.vaddr, self->buf.size, 17);
	errno = 0;
	madvise(self->buf.vaddr, self->buf.size, variant->advice);
	EXPECT_EQ(variant->err, errno);
	EXPECT_EQ(-1, uio_differs(self->buf.vaddr, self->buf.size, 17));
}

TEST_F(map, locked)
{
	EXPECT_EQ(0, mlock(self->buf.vaddr, self->buf.size));
	expect_pages(_metadata, (char *)self->buf.vaddr, 0, NR_PAGES);
	EXPECT_EQ(0, munlock(self->buf.vaddr, self->buf.size));
}

TEST_F(map, cannot_be_written_back)
{
	EXPECT_ERRNO(EINVAL, msync(self->buf.vaddr, self->page, MS_SYNC));
	EXPECT_EQ(0, msync(self->buf.vaddr, self->page, MS_ASYNC));
}

/* Faults are ours to handle, nobody else's. */
TEST_F(map, cannot_have_userfaultfd)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = {
			.start = (unsigned long)self->buf.vaddr,
			.len = self->buf.size,
		},
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd;

	fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (fd < 0)
		SKIP(return, "no userfaultfd here: CONFIG_USERFAULTFD?");
	ASSERT_EQ(0, ioctl(fd, UFFDIO_API, &api));
	EXPECT_ERRNO(EINVAL, ioctl(fd, UFFDIO_REGISTER, &reg));
	reg.mode = UFFDIO_REGISTER_MODE_WP;
	EXPECT_ERRNO(EINVAL, ioctl(fd, UFFDIO_REGISTER, &reg));
	close(fd);
	expect_pages(_metadata, (char *)self->buf.vaddr, 0, NR_PAGES);
}

/* Nobody gets hold of the pages: they would outlive the device. */
TEST_F(map, cannot_be_spliced)
{
	struct iovec from = { .iov_base = self->buf.vaddr, .iov_len = 16 };
	int pipe_fd[2];

	ASSERT_EQ(0, pipe(pipe_fd));
	EXPECT_ERRNO(EFAULT, vmsplice(pipe_fd[1], &from, 1, 0));
	EXPECT_ERRNO(EFAULT, vmsplice(pipe_fd[1], &from, 1, SPLICE_F_GIFT));

	/* Copying from it is fine. */
	EXPECT_EQ(16, write(pipe_fd[1], self->buf.vaddr, 16));
	close(pipe_fd[0]);
	close(pipe_fd[1]);
}

/* A disk of the kernel's driver can neither be read to it nor written from it. */
TEST_F(map, cannot_be_read_to_directly)
{
	const char *name = getenv("UIO_TEST_NVME");
	void *mine;
	int fd;

	if (!name)
		name = "0000:00:16.0";
	fd = uio_open_disk(name, O_RDWR | O_DIRECT);
	if (fd == -ENOENT)
		SKIP(return, "no disk at %s", name);
	ASSERT_LE(0, fd);
	mine = aligned_alloc(self->page, self->page);
	ASSERT_NE(NULL, mine);
	EXPECT_EQ((ssize_t)self->page, pread(fd, mine, self->page, 0));
	free(mine);
	EXPECT_ERRNO(EFAULT, pread(fd, self->buf.vaddr, self->page, 0));
	EXPECT_ERRNO(EFAULT, pwrite(fd, self->buf.vaddr, self->page, 0));
	close(fd);
	EXPECT_LE(0, uio_unbind(name));
	expect_pages(_metadata, (char *)self->buf.vaddr, 0, NR_PAGES);
}

TEST_F(map, cannot_be_read_by_process_vm)
{
	char copy[16];
	struct iovec local = { .iov_base = copy, .iov_len = sizeof(copy) };
	struct iovec remote = { .iov_base = self->buf.vaddr,
				.iov_len = sizeof(copy) };

	EXPECT_ERRNO(EFAULT, process_vm_readv(getpid(), &local, 1, &remote, 1,
					      0));
	EXPECT_ERRNO(EFAULT, process_vm_writev(getpid(), &local, 1, &remote, 1,
					       0));
	expect_pages(_metadata, (char *)self->buf.vaddr, 0, NR_PAGES);
}

TEST_F(map, cannot_be_read_by_proc_mem)
{
	char copy[16] = { 1 };
	int fd;

	fd = open("/proc/self/mem", O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_ERRNO(EIO, pread(fd, copy, sizeof(copy),
				(unsigned long)self->buf.vaddr));
	EXPECT_ERRNO(EIO, pwrite(fd, copy, sizeof(copy),
				 (unsigned long)self->buf.vaddr));
	close(fd);
	expect_pages(_metadata, (char *)self->buf.vaddr, 0, NR_PAGES);
}

TEST_F(map, cannot_be_read_by_debugger)
{
	void *vaddr = self->buf.vaddr;
	int status;
	pid_t pid;

	pid = fork();
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(0);
	}
	ASSERT_LT(0, pid);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFSTOPPED(status));

	/* What it reads of other memory shows that it can. */
	errno = 0;
	EXPECT_EQ(pid, (int)ptrace(PTRACE_PEEKDATA, pid, &pid, NULL) + pid);
	EXPECT_EQ(0, errno);
	EXPECT_ERRNO(EIO, ptrace(PTRACE_PEEKDATA, pid, vaddr, NULL));
	EXPECT_ERRNO(EIO, ptrace(PTRACE_POKEDATA, pid, vaddr, NULL));
	ptrace(PTRACE_CONT, pid, NULL, NULL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	expect_pages(_metadata, (char *)self->buf.vaddr, 0, NR_PAGES);
}

#define CORE_PATTERN	"/proc/sys/kernel/core_pattern"
#define CORE		"/tmp/uio-selftest-core"
#define SECRET_LEN	64

/* Is what uio_fill() makes of a seed anywhere in the file? */
static int file_contains(const char *path, __u32 seed)
{
	unsigned char secret[SECRET_LEN];
	struct stat stat;
	void *mem;
	int fd, ret;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	uio_fill(secret, sizeof(secret), seed);
	mem = fstat(fd, &stat) ? MAP_FAILED :
	      mmap(NULL, stat.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	ret = mem == MAP_FAILED ? -errno :
	      !!memmem(mem, stat.st_size, secret, sizeof(secret));
	if (mem != MAP_FAILED)
		munmap(mem, stat.st_size);
	close(fd);
	return ret;
}

/*
 * What the device has written may be as secret as what the program has, and it
 * is not the program that dumps it: not even when all is asked for.
 */
TEST_F(map, not_in_core_dump)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	char pattern[UIO_PATH_LEN];
	int status;
	pid_t pid;
	void *mem;

	if (uio_read_text(CORE_PATTERN, pattern, sizeof(pattern)) < 0)
		SKIP(return, "no core dumps here: CONFIG_COREDUMP?");
	mem = mmap(NULL, self->page, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(mem != MAP_FAILED);
	ASSERT_EQ(0, uio_write_text(CORE_PATTERN, CORE));
	pid = fork();
	if (!pid) {
		uio_fill(self->buf.vaddr, SECRET_LEN, 4711);
		uio_fill(mem, SECRET_LEN, 4712);
		prctl(PR_SET_DUMPABLE, 1);
		uio_write_text("/proc/self/coredump_filter", "0x7f");
		setrlimit(RLIMIT_CORE, &unlimited);
		signal(SIGABRT, SIG_DFL);
		abort();
	}
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, uio_write_text(CORE_PATTERN, pattern));
	EXPECT_TRUE(WIFSIGNALED(status) && WCOREDUMP(status));

	/* Other shared memory is there. */
	EXPECT_EQ(1, file_contains(CORE, 4712));
	EXPECT_EQ(0, file_contains(CORE, 4711));
	unlink(CORE);
	munmap(mem, self->page);
}

/* A line of /proc/self/smaps that follows the one for @vaddr. */
static int smaps_line(void *vaddr, const char *start, char *line, int len)
{
	unsigned long begin, end;
	bool found = false;
	int ret = -ENOENT;
	FILE *file;

	file = fopen("/proc/self/smaps", "r");
	if (!file)
		return -errno;
	while (ret && fgets(line, len, file)) {
		if (sscanf(line, "%lx-%lx ", &begin, &end) == 2)
			found = begin == (unsigned long)vaddr;
		if (found && (!start || !strncmp(line, start, strlen(start))))
			ret = 0;
	}
	fclose(file);
	return ret;
}

static const char *find_flag(const char *line, const char *flag)
{
	return strstr(line, flag) ? flag : "";
}

TEST_F(map, flags)
{
	static const char * const wanted[] = {
		" rd", " wr", " sh", " de", " dd", " io", " pf",
	};
	static const char * const unwanted[] = { " mm", " ac", " ex", " wf" };
	char line[256];
	unsigned int i;

	if (smaps_line(self->buf.vaddr, "VmFlags:", line, sizeof(line)))
		SKIP(return, "no /proc/self/smaps here");
	TH_LOG("%s", line);
	for (i = 0; i < ARRAY_SIZE(wanted); i++)
		EXPECT_STREQ(wanted[i], find_flag(line, wanted[i]));
	for (i = 0; i < ARRAY_SIZE(unwanted); i++)
		EXPECT_STREQ("", find_flag(line, unwanted[i]));
}

/* What others can read about a mapping does not give its address away. */
TEST_F(map, no_address_shown)
{
	unsigned long long offset;
	unsigned int i;
	char line[256];
	void *mem;
	int n;

	for (i = 0; i < NR_PAGES; i++) {
		mem = map_buffer(self->buf.fd, self->page, RW, i * self->page);
		ASSERT_TRUE(mem != MAP_FAILED);
		EXPECT_EQ(0, uio_touch(mem));
		if (smaps_line(mem, NULL, line, sizeof(line)))
			SKIP(return, "no /proc/self/smaps here");
		n = sscanf(line, "%*s %*s %llx", &offset);
		ASSERT_EQ(1, n);
		EXPECT_EQ(i * self->page, offset);
		munmap(mem, self->page);
	}
}

/* A mapping needs none of the descriptors it came from. */
TEST_F(map, outlives_descriptors)
{
	close(self->buf.fd);
	self->buf.fd = -1;
	uio_close(&self->dev);
	expect_pages(_metadata, (char *)self->buf.vaddr, 0, NR_PAGES);
	uio_fill(self->buf.vaddr, self->page, 9);
	EXPECT_EQ(-1, uio_differs(self->buf.vaddr, self->page, 9));
}

TEST_F(map, registers)
{
	struct uio_device *dev = &self->dev;
	size_t page = self->page;
	char *mem;

	/* Of little use, but always possible. */
	mem = mmap(NULL, page, RW, MAP_PRIVATE, dev->fd, 0);
	ASSERT_TRUE(mem != MAP_FAILED);
	EXPECT_EQ(0, uio_touch(mem));
	EXPECT_EQ(*(__u32 *)dev->regs, *(__u32 *)mem);
	munmap(mem, page);

	/* A part of them, and a part of that. */
	mem = mmap(NULL, 3 * page, RW, MAP_SHARED, dev->fd, 0);
	ASSERT_TRUE(mem != MAP_FAILED);
	EXPECT_EQ(0, munmap(mem + page, page));
	EXPECT_EQ(uio_read32(dev->regs, 0), uio_read32(mem, 0));
	EXPECT_EQ(uio_read32(dev->regs, 2 * page), uio_read32(mem, 2 * page));
	EXPECT_EQ(SIGSEGV, uio_touch(mem + page));
	munmap(mem, 3 * page);
}

TEST_HARNESS_MAIN
