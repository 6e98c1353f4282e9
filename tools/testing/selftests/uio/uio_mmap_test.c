// SPDX-License-Identifier: GPL-2.0
/*
 * Mapping buffers and registers: what may be mapped, and what can be done to a
 * mapping. The answers do not depend on whether there is an IOMMU.
 */
#include <sys/syscall.h>
#include <sys/uio.h>

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

TEST_F(map, wrong_range)
{
	size_t page = self->page, size = self->buf.size;
	off_t last = (off_t)((1UL << (8 * sizeof(long) - 13)) - 1) * page;
	int fd = self->buf.fd;

	EXPECT_EQ(EINVAL, map_errno(fd, 0, RW, MAP_SHARED, 0));
	EXPECT_EQ(EINVAL, map_errno(fd, page, RW, MAP_SHARED, 1));
	EXPECT_EQ(EINVAL, map_errno(fd, size + 1, RW, MAP_SHARED, 0));
	EXPECT_EQ(EINVAL, map_errno(fd, size, RW, MAP_SHARED, page));
	EXPECT_EQ(EINVAL, map_errno(fd, page, RW, MAP_SHARED, size));
	EXPECT_EQ(EINVAL, map_errno(fd, page, RW, MAP_SHARED, size + page));
	EXPECT_EQ(EINVAL, map_errno(fd, page, RW, MAP_SHARED, last));
	EXPECT_EQ(0, map_errno(fd, size, RW, MAP_SHARED, 0));
}

TEST_F(map, wrong_flags)
{
	size_t page = self->page;
	int fd = self->buf.fd;

	EXPECT_EQ(EINVAL, map_errno(fd, page, PROT_READ, MAP_PRIVATE, 0));
	EXPECT_EQ(EINVAL, map_errno(fd, page, RW, MAP_PRIVATE, 0));
	EXPECT_EQ(EINVAL, map_errno(fd, NR_PAGES * page, PROT_READ, MAP_PRIVATE,
				    0));
	EXPECT_EQ(EINVAL, map_errno(fd, NR_PAGES * page, RW, MAP_PRIVATE, 0));
	EXPECT_EQ(EOPNOTSUPP, map_errno(fd, page, RW,
					MAP_SHARED_VALIDATE | MAP_SYNC, 0));
	EXPECT_EQ(0, map_errno(fd, page, RW, MAP_SHARED | MAP_POPULATE, 0));
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

TEST_F(map, access_mode)
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
	EXPECT_EQ(EACCES, map_errno(fd, page, RW, MAP_SHARED, 0));
	EXPECT_EQ(EACCES, map_errno(fd, page, PROT_WRITE, MAP_SHARED, 0));
	EXPECT_EQ(EINVAL, map_errno(fd, page, PROT_READ, MAP_PRIVATE, 0));
	mem = map_buffer(fd, page, PROT_READ, 0);
	ASSERT_TRUE(mem != MAP_FAILED);
	EXPECT_EQ(-1, uio_differs_from(mem, page, 0));
	EXPECT_ERRNO(EACCES, mprotect(mem, page, RW));
	munmap(mem, page);
	close(fd);

	fd = uio_heap_alloc_flags(heap_fd, page, O_WRONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(EACCES, map_errno(fd, page, RW, MAP_SHARED, 0));
	EXPECT_EQ(EACCES, map_errno(fd, page, PROT_READ, MAP_SHARED, 0));
	close(fd);
	close(heap_fd);
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

TEST_F(map, never_grows)
{
	size_t page = self->page;
	char *mem = map_buffer(self->buf.fd, page, RW, 0);

	ASSERT_TRUE(mem != MAP_FAILED);
	EXPECT_ERRNO(EFAULT, mremap(mem, page, 2 * page, 0));
	EXPECT_ERRNO(EFAULT, mremap(mem, page, 2 * page, MREMAP_MAYMOVE));
	EXPECT_ERRNO(EFAULT, mremap(mem, 0, page, MREMAP_MAYMOVE));
	EXPECT_ERRNO(EINVAL, mremap(mem, page, page,
				    MREMAP_MAYMOVE | MREMAP_DONTUNMAP));
	expect_pages(_metadata, mem, 0, 1);
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

TEST_F(map, advice)
{
	static const struct {
		int advice;
		int err;
	} table[] = {
		{ MADV_DONTNEED, EINVAL },
		{ MADV_FREE, EINVAL },
		{ MADV_DODUMP, EINVAL },
		{ MADV_DONTDUMP, 0 },
		{ MADV_DONTFORK, 0 },
		{ MADV_DOFORK, EINVAL },
	};
	unsigned int i;

	if (madvise(self->buf.vaddr, self->page, MADV_NORMAL) &&
	    errno != EINVAL)
		SKIP(return, "no madvise() here");
	for (i = 0; i < ARRAY_SIZE(table); i++) {
		errno = 0;
		madvise(self->buf.vaddr, self->buf.size, table[i].advice);
		EXPECT_EQ(table[i].err, errno)
			TH_LOG("advice %d", table[i].advice);
	}
	expect_pages(_metadata, (char *)self->buf.vaddr, 0, NR_PAGES);
}

/* Nobody gets hold of the pages: they would outlive the device. */
TEST_F(map, pages_stay_put)
{
	char copy[16];
	struct iovec local = { .iov_base = copy, .iov_len = sizeof(copy) };
	struct iovec remote = { .iov_base = self->buf.vaddr,
				.iov_len = sizeof(copy) };
	int pipe_fd[2], fd;

	ASSERT_EQ(0, pipe(pipe_fd));
	EXPECT_ERRNO(EFAULT, vmsplice(pipe_fd[1], &remote, 1, 0));
	EXPECT_ERRNO(EFAULT, process_vm_readv(getpid(), &local, 1, &remote, 1,
					      0));
	fd = open("/proc/self/mem", O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_ERRNO(EIO, pread(fd, copy, sizeof(copy),
				(unsigned long)self->buf.vaddr));
	close(fd);

	/* Copying from it is fine. */
	EXPECT_EQ(sizeof(copy), write(pipe_fd[1], self->buf.vaddr,
				      sizeof(copy)));
	close(pipe_fd[0]);
	close(pipe_fd[1]);
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
	size_t page = self->page, size = self->dev.map[0].size;
	struct uio_device *dev = &self->dev;
	char *mem;
	int fd;

	EXPECT_EQ(EINVAL, map_errno(dev->fd, size + page, RW, MAP_SHARED, 0));
	EXPECT_EQ(EINVAL, map_errno(dev->fd, page, RW, MAP_SHARED,
				    dev->nr_maps * page));
	EXPECT_EQ(EINVAL, map_errno(dev->fd, page, RW, MAP_SHARED,
				    UIO_MAX_MAPS * page));
	EXPECT_EQ(EINVAL, map_errno(dev->fd, page, RW, MAP_SHARED,
				    (1UL << 18) * page));

	fd = uio_open_fd(dev->number, O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(EACCES, map_errno(fd, page, RW, MAP_SHARED, 0));
	close(fd);

	mem = mmap(NULL, page, RW, MAP_SHARED, dev->fd, 0);
	ASSERT_TRUE(mem != MAP_FAILED);
	EXPECT_EQ(0, uio_touch(mem));
	EXPECT_ERRNO(EFAULT, mremap(mem, page, 2 * page, MREMAP_MAYMOVE));
	EXPECT_EQ(0, uio_touch(mem));
	munmap(mem, page);

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
