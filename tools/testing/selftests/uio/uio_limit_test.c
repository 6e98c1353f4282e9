// SPDX-License-Identifier: GPL-2.0
/*
 * Where the memory of a device's heap ends: a device's share, a control group's,
 * files, the page allocator. What is over a limit is refused; nobody else goes
 * without, and what is given back can be had again.
 */
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>

#include <linux/capability.h>

#include "uio_test.h"

#define MIB		(1024ULL * 1024)
#define MAX_MIB		"/sys/module/dev_coherent_heap/parameters/max_mib"
#define ACCOUNTING	"/sys/module/dma_heap/parameters/mem_accounting"
#define FILE_MAX	"/proc/sys/fs/file-max"
#define CGROUP_ROOT	"/sys/fs/cgroup"
#define CGROUP		CGROUP_ROOT "/uio-selftest"

static int open_heap_of(const struct uio_device *dev)
{
	char heap[UIO_NAME_LEN];
	int ret;

	ret = uio_heap_name(dev->number, heap, sizeof(heap));
	return ret ? ret : uio_heap_open(heap);
}

FIXTURE(cap)
{
	struct uio_device dev;
	struct uio_device other;
	struct snapshot old;
	int heap;
	int other_heap;
};

FIXTURE_SETUP(cap)
{
	if (!test_open(_metadata, &self->dev, 0))
		return;
	if (!test_open(_metadata, &self->other, 1))
		return;
	self->heap = open_heap_of(&self->dev);
	ASSERT_LE(0, self->heap);
	self->other_heap = open_heap_of(&self->other);
	ASSERT_LE(0, self->other_heap);
	self->old = take_snapshot(&self->dev);
	ASSERT_EQ(0, uio_write_text(MAX_MIB, "3"));
}

FIXTURE_TEARDOWN(cap)
{
	EXPECT_EQ(0, uio_write_text(MAX_MIB, "0"));
	expect_unchanged(_metadata, &self->dev, &self->old);
	close(self->heap);
	close(self->other_heap);
	uio_close(&self->other);
	uio_close(&self->dev);
}

/* How many buffers of a size there are. They are closed again. */
static int count_buffers(int heap, __u64 size, int max)
{
	int fd[64], n;

	for (n = 0; n < max && n < 64; n++) {
		fd[n] = uio_heap_alloc(heap, size);
		if (fd[n] < 0)
			break;
	}
	max = n;
	while (n)
		close(fd[--n]);
	return max;
}

TEST_F(cap, cannot_be_exceeded)
{
	int fd[3], i;

	for (i = 0; i < 3; i++) {
		fd[i] = uio_heap_alloc(self->heap, MIB);
		ASSERT_LE(0, fd[i]);
	}
	EXPECT_EQ(-ENOMEM, uio_heap_alloc(self->heap, MIB));
	EXPECT_EQ(-ENOMEM, uio_heap_alloc(self->heap, 1));

	/* What was given back can be had again, and no more than that. */
	close(fd[1]);
	EXPECT_EQ(-ENOMEM, uio_heap_alloc(self->heap, MIB + 1));
	fd[1] = uio_heap_alloc(self->heap, MIB);
	EXPECT_LE(0, fd[1]);
	EXPECT_EQ(-ENOMEM, uio_heap_alloc(self->heap, 1));
	for (i = 0; i < 3; i++)
		close(fd[i]);
}

TEST_F(cap, cannot_be_exceeded_by_one_buffer)
{
	EXPECT_EQ(-ENOMEM, uio_heap_alloc(self->heap, 3 * MIB + 1));
	EXPECT_EQ(1, count_buffers(self->heap, 3 * MIB, 8));
}

/* A mapping holds a buffer, whose descriptor is gone. */
TEST_F(cap, cannot_be_exceeded_by_mappings)
{
	struct uio_buffer buf;

	ASSERT_EQ(0, uio_buffer_alloc_device(&buf, self->dev.number, 3 * MIB));
	close(buf.fd);
	buf.fd = -1;
	EXPECT_EQ(-ENOMEM, uio_heap_alloc(self->heap, 1));
	uio_buffer_unmap(&buf);
	EXPECT_EQ(3, count_buffers(self->heap, MIB, 8));
}

TEST_F(cap, is_the_device_s_own)
{
	struct uio_buffer system;
	int fd;

	fd = uio_heap_alloc(self->heap, 3 * MIB);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENOMEM, uio_heap_alloc(self->heap, 1));
	EXPECT_EQ(3, count_buffers(self->other_heap, MIB, 8));
	EXPECT_EQ(0, uio_buffer_alloc(&system, "system", 4 * MIB));
	uio_buffer_free(&system);
	close(fd);
}

/* Who has more than that by now keeps it. */
TEST_F(cap, can_be_lowered)
{
	struct uio_buffer buf;

	ASSERT_EQ(0, uio_buffer_alloc_device(&buf, self->dev.number, 2 * MIB));
	uio_fill(buf.vaddr, buf.size, 1);
	ASSERT_EQ(0, uio_write_text(MAX_MIB, "1"));
	EXPECT_EQ(-ENOMEM, uio_heap_alloc(self->heap, 1));
	EXPECT_EQ(-1, uio_differs(buf.vaddr, buf.size, 1));
	uio_buffer_free(&buf);
	EXPECT_EQ(1, count_buffers(self->heap, MIB, 8));
}

TEST_F(cap, cannot_be_nonsense)
{
	EXPECT_EQ(-EINVAL, uio_write_text(MAX_MIB, "-1"));
	EXPECT_EQ(-EINVAL, uio_write_text(MAX_MIB, "much"));
	EXPECT_EQ(-ERANGE, uio_write_text(MAX_MIB, "99999999999999999999"));
	EXPECT_EQ(3, count_buffers(self->heap, MIB, 8));
}

/* In bytes this is 1 MiB more than 64 bits can say. */
TEST_F(cap, cannot_wrap)
{
	int ret = uio_write_text(MAX_MIB, "17592186044417");

	if (ret == -ERANGE)
		SKIP(return, "a 32-bit kernel");
	ASSERT_EQ(0, ret);
	EXPECT_EQ(4, count_buffers(self->heap, MIB, 4));
}

static __u64 total_memory(void)
{
	unsigned long long kib = 0;
	char line[128];
	FILE *file;

	file = fopen("/proc/meminfo", "r");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "MemTotal: %llu kB", &kib) == 1)
			break;
	fclose(file);
	return kib * 1024;
}

/* All of it must not be taken by those who may only use a device. */
TEST_F_TIMEOUT(cap, is_a_quarter_by_default, 120)
{
	__u64 quarter = total_memory() / 4, size = quarter / 32, got;

	ASSERT_LT(0, quarter);
	ASSERT_EQ(0, uio_write_text(MAX_MIB, "0"));
	size -= size % uio_page_size();
	EXPECT_EQ(-ENOMEM, uio_heap_alloc(self->heap, quarter + 4096));
	got = count_buffers(self->heap, size, 64) * size;
	EXPECT_GE(quarter, got);

	/* In pieces, an IOMMU makes any memory do. */
	if (uio_iommu_translates(self->dev.name))
		EXPECT_LE(quarter - size, got);
}

FIXTURE(limit)
{
	struct uio_device dev;
	struct snapshot old;
	int heap;
};

FIXTURE_SETUP(limit)
{
	if (!test_open(_metadata, &self->dev, 0))
		return;
	ASSERT_EQ(0, uio_set_dma_mask_bits(self->dev.number, 32));
	self->heap = open_heap_of(&self->dev);
	ASSERT_LE(0, self->heap);
	self->old = take_snapshot(&self->dev);
}

FIXTURE_TEARDOWN(limit)
{
	expect_unchanged(_metadata, &self->dev, &self->old);
	close(self->heap);

	/* There is no buffer left that nobody can see. */
	EXPECT_EQ(0, uio_set_dma_mask_bits(self->dev.number, 32));
	uio_close(&self->dev);
}

/* One piece of memory that is larger than any of the page allocator's. */
TEST_F(limit, cannot_exceed_the_page_allocator)
{
	char cma[UIO_NAME_LEN];
	int fd;

	fd = uio_heap_alloc(self->heap, 4 * MIB);
	ASSERT_LE(0, fd);
	close(fd);

	fd = uio_heap_alloc(self->heap, 8 * MIB);
	if (uio_iommu_translates(self->dev.name)) {
		EXPECT_LE(0, fd);
	} else if (uio_heap_find_cma(cma, sizeof(cma))) {
		EXPECT_EQ(-ENOMEM, fd);
	} else if (fd < 0) {
		/* That memory may be out of the device's reach. */
		EXPECT_EQ(-ENOMEM, fd);
		EXPECT_LT(1ULL << 32, total_memory());
	}
	if (fd >= 0)
		close(fd);
}

/* Root may exceed this one. */
TEST_F(limit, cannot_exceed_open_files)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct none[2] = {};
	char old[UIO_NAME_LEN];
	int i, fd, status;
	pid_t pid;

	ASSERT_LT(0, uio_read_text(FILE_MAX, old, sizeof(old)));
	pid = fork();
	if (!pid) {
		if (uio_write_text(FILE_MAX, "0") ||
		    syscall(SYS_capset, &head, none))
			_exit(1);
		for (i = 0; i < 20; i++) {
			fd = uio_heap_alloc(self->heap, MIB);
			if (fd != -ENFILE)
				_exit(2);
		}
		_exit(0);
	}
	ASSERT_LT(0, pid);
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, uio_write_text(FILE_MAX, old));
	EXPECT_EQ(0, status);
	EXPECT_EQ(4, count_buffers(self->heap, MIB, 4));
}

TEST_F(limit, killed_while_allocating)
{
	struct timespec pause = { .tv_nsec = 1000 };
	int i, fd, status;
	pid_t pid;

	for (i = 0; i < 40; i++) {
		pid = fork();
		if (!pid) {
			for (;;) {
				fd = uio_heap_alloc(self->heap, 4 * MIB);
				if (fd < 0)
					_exit(-fd);
				close(fd);
			}
		}
		ASSERT_LT(0, pid);
		pause.tv_nsec = pause.tv_nsec * 5 / 4;
		nanosleep(&pause, NULL);
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status));
	}
}

/* Lines of the kernel log that were written since it was opened. */
static int count_log_lines(int fd)
{
	char record[8192];
	int n = 0;

	while (read(fd, record, sizeof(record)) > 0 || errno == EPIPE)
		n++;
	return n;
}

/* Nobody can fill the log by calls that are not allowed, or by ones that are. */
TEST_F_TIMEOUT(limit, cannot_flood_the_log, 120)
{
	int i, fd, other, log, n = self->dev.fd;
	__u64 addr;
	void *mem;

	log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_LE(0, log);
	lseek(log, 0, SEEK_END);
	fd = uio_heap_alloc(self->heap, 4096);
	ASSERT_LE(0, fd);
	for (i = 0; i < 500; i++) {
		mem = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
		uio_touch(mem);
		munmap(mem, 4096);
		mem = mmap(NULL, 4096, PROT_READ, MAP_SHARED, n, 0);
		uio_touch(mem);
		munmap(mem, 4096);
		mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
		mmap(NULL, 4096, PROT_READ, MAP_SHARED, n, 1 << 20);
		uio_dma_addr(fd, n, &addr);
		uio_dma_put(fd, n);
		uio_dma_put(fd, n);
		uio_dma_addr(fd, -1, &addr);
		uio_heap_alloc(self->heap, 0);
		uio_heap_alloc(self->heap, 8192 * MIB);
		uio_heap_alloc(self->heap, 1ULL << 40);
		uio_set_dma_mask_bits(self->dev.number, 31);
		other = uio_open_fd(self->dev.number, O_RDWR);
		close(other);
	}
	EXPECT_GT(20, count_log_lines(log));
	close(fd);
	close(log);
}

FIXTURE(memcg)
{
	struct uio_device dev;
	struct snapshot old;
	int heap;
};

FIXTURE_SETUP(memcg)
{
	char text[8];

	if (!test_open(_metadata, &self->dev, 0))
		return;
	if (uio_read_text(ACCOUNTING, text, sizeof(text)) < 0 || *text != 'Y')
		SKIP(return, "no accounting: dma_heap.mem_accounting=1");
	if (uio_write_text(CGROUP_ROOT "/cgroup.subtree_control", "+memory"))
		SKIP(return, "no memory controller: CONFIG_MEMCG, cgroup2?");
	self->heap = open_heap_of(&self->dev);
	ASSERT_LE(0, self->heap);
	rmdir(CGROUP);
	ASSERT_EQ(0, mkdir(CGROUP, 0755));
	ASSERT_EQ(0, uio_write_text(CGROUP "/memory.max", "2097152"));
	self->old = take_snapshot(&self->dev);
}

FIXTURE_TEARDOWN(memcg)
{
	EXPECT_EQ(0, rmdir(CGROUP));
	expect_unchanged(_metadata, &self->dev, &self->old);
	close(self->heap);
	uio_close(&self->dev);
}

static __u64 charged(void)
{
	__u64 bytes = ~0ULL;

	uio_read_u64(CGROUP "/memory.current", &bytes);
	return bytes;
}

/* How many of the group's were killed because there was no more memory. */
static int oom_kills(void)
{
	char line[64];
	int n = -1;
	FILE *file;

	file = fopen(CGROUP "/memory.events", "r");
	if (!file)
		return -1;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "oom_kill %d", &n) == 1)
			break;
	fclose(file);
	return n;
}

/**
 * struct greedy - a process of the group that takes all it can get
 * @pid: the process
 * @tells: where it tells that there is no more
 * @waits: where it waits for its end
 * @shared: what it has got, its last descriptor, and why there is no more
 */
struct greedy {
	pid_t pid;
	int tells;
	int waits;
	struct {
		int buffers;
		int last;
		int err;
	} *shared;
};

static void be_greedy(struct greedy *greedy, int heap, int tells, int waits)
{
	int fd, i;
	char c;

	if (uio_write_text(CGROUP "/cgroup.procs", "0"))
		_exit(1);
	for (i = 0; i < 1000; i++) {
		fd = uio_heap_alloc(heap, 4096);
		if (fd < 0) {
			greedy->shared->err = fd;
			break;
		}
		greedy->shared->last = fd;
		greedy->shared->buffers++;
	}

	/* Its own stack has to go on. */
	for (i = 0; i < 16; i++)
		close(greedy->shared->last - i);
	greedy->shared->buffers -= i;
	_exit(write(tells, "", 1) != 1 || read(waits, &c, 1));
}

static bool start_greedy(struct greedy *greedy, int heap)
{
	int tells[2], waits[2];

	greedy->shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (greedy->shared == MAP_FAILED || pipe(tells) || pipe(waits))
		return false;
	greedy->pid = fork();
	if (!greedy->pid) {
		close(waits[1]);
		be_greedy(greedy, heap, tells[1], waits[0]);
	}
	close(tells[1]);
	close(waits[0]);
	greedy->tells = tells[0];
	greedy->waits = waits[1];
	return greedy->pid > 0;
}

static int end_greedy(struct greedy *greedy)
{
	int status = -1;

	close(greedy->waits);
	close(greedy->tells);
	waitpid(greedy->pid, &status, 0);
	munmap(greedy->shared, 4096);
	return status;
}

/*
 * Pages are charged to who allocates, and run out for him alone. He may be
 * killed for what the kernel needs besides, but nobody else is.
 */
TEST_F_TIMEOUT(memcg, cannot_be_exceeded, 120)
{
	struct greedy greedy = {};
	bool killed;
	int status;
	char c;

	ASSERT_TRUE(start_greedy(&greedy, self->heap));
	killed = read(greedy.tells, &c, 1) != 1;
	TH_LOG("%d buffers, then %d%s", greedy.shared->buffers,
	       greedy.shared->err, killed ? ", killed" : "");
	EXPECT_LT(0, greedy.shared->buffers);
	EXPECT_GE(512, greedy.shared->buffers);
	if (!killed) {
		EXPECT_EQ(-ENOMEM, greedy.shared->err);
		EXPECT_EQ(0, oom_kills());
		EXPECT_LE(greedy.shared->buffers * 4096ULL, charged());
	}

	/* The others have as much as ever. */
	EXPECT_EQ(16, count_buffers(self->heap, 4096, 16));
	status = end_greedy(&greedy);
	EXPECT_EQ(killed, WIFSIGNALED(status));
	EXPECT_EQ(killed, oom_kills());
}

/* What is freed is no longer charged. */
TEST_F_TIMEOUT(memcg, is_given_back, 120)
{
	struct greedy greedy = {};
	int i;

	ASSERT_TRUE(start_greedy(&greedy, self->heap));
	read(greedy.tells, &i, 1);
	end_greedy(&greedy);
	for (i = 0; i < 200 && charged() > MIB / 4; i++)
		uio_msleep(10);
	EXPECT_GE(MIB / 4, charged());
}

TEST_HARNESS_MAIN
