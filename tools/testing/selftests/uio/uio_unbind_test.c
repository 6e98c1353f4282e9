// SPDX-License-Identifier: GPL-2.0
/*
 * The device goes away under its users: its driver is unbound, or the device is
 * removed. Nothing waits for the users, nothing works any more, nothing breaks,
 * and the next one starts afresh.
 */
#include <signal.h>

#include "uio_test.h"

/* Each holds a heap's number: more than there are. */
#define NR_CYCLES	140
#define UNBIND_MS	5000

/**
 * struct holder - a user of the device
 * @dev: the device; its registers are mapped, and were looked at
 * @regs: its registers once more, not looked at yet
 * @private_regs: and once more as a private mapping
 * @heap: its heap
 * @heap_name: the name of that
 * @buf: a buffer from there, mapped and used
 * @again: the same memory once more, not used yet
 * @other: a buffer that has nothing to do with the device, but is mapped for it
 */
struct holder {
	struct uio_device dev;
	void *regs;
	void *private_regs;
	int heap;
	char heap_name[UIO_NAME_LEN];
	struct uio_buffer buf;
	struct uio_buffer again;
	struct uio_buffer other;
};

FIXTURE(gone)
{
	struct holder holder;
};

FIXTURE_VARIANT(gone)
{
	bool removed;
};

FIXTURE_VARIANT_ADD(gone, unbound) { .removed = false };
FIXTURE_VARIANT_ADD(gone, removed) { .removed = true };

static int take_away(const struct uio_device *dev, bool removed)
{
	return removed ? uio_pci_remove(dev->name) : uio_unbind(dev->name);
}

static int bring_back(void)
{
	const char *name = uio_test_device(0);
	char path[UIO_PATH_LEN];

	if (uio_sysfs_dir(name, path, sizeof(path)))
		uio_pci_rescan();
	return uio_bind(name, "uio_pci_generic");
}

FIXTURE_SETUP(gone)
{
	struct holder *h = &self->holder;
	size_t page = uio_page_size();
	__u64 addr;

	if (!test_open(_metadata, &h->dev, 0))
		return;
	if (variant->removed && access("/sys/bus/pci/rescan", W_OK))
		SKIP(return, "not a PCI device");
	if (!test_set_mask(_metadata, &h->dev, 64))
		return;
	h->regs = uio_mmap(&h->dev, 0);
	ASSERT_TRUE(h->regs != MAP_FAILED);
	h->private_regs = mmap(NULL, page, PROT_READ, MAP_PRIVATE, h->dev.fd, 0);
	ASSERT_TRUE(h->private_regs != MAP_FAILED);
	ASSERT_EQ(0, uio_heap_name(h->dev.number, h->heap_name,
				   sizeof(h->heap_name)));
	h->heap = uio_heap_open(h->heap_name);
	ASSERT_LE(0, h->heap);

	h->buf.size = 4 * page;
	h->buf.fd = uio_heap_alloc(h->heap, h->buf.size);
	ASSERT_LE(0, h->buf.fd);
	ASSERT_EQ(0, uio_buffer_map(&h->buf));
	uio_fill(h->buf.vaddr, h->buf.size, 1);
	h->again = h->buf;
	ASSERT_EQ(0, uio_buffer_map(&h->again));
	ASSERT_EQ(0, uio_dma_addr(h->buf.fd, h->dev.fd, &addr));

	if (!test_alloc(_metadata, &h->other, UIO_MEMORY_SYSTEM, &h->dev, page))
		return;
	uio_fill(h->other.vaddr, page, 2);
	ASSERT_EQ(0, uio_dma_addr(h->other.fd, h->dev.fd, &addr));
}

FIXTURE_TEARDOWN(gone)
{
	EXPECT_EQ(0, bring_back());
}

static int poll_events(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return poll(&pfd, 1, 1000) > 0 ? pfd.revents : 0;
}

static void expect_all_dead(struct __test_metadata *_metadata, struct holder *h)
{
	size_t page = uio_page_size();
	__u32 count = 1;
	__u64 addr;

	/* The device */
	EXPECT_ERRNO(EIO, read(h->dev.fd, &count, sizeof(count)));
	EXPECT_ERRNO(EINVAL, write(h->dev.fd, &count, sizeof(count)));
	EXPECT_TRUE(poll_events(h->dev.fd) & POLLERR);
	EXPECT_ERRNO(EINVAL, (long)mmap(NULL, page, PROT_READ, MAP_SHARED,
					h->dev.fd, 0));
	EXPECT_EQ(SIGBUS, uio_touch(h->dev.regs));
	EXPECT_EQ(SIGBUS, uio_touch(h->private_regs));
	EXPECT_EQ(SIGBUS, uio_touch(h->regs));

	/* Addresses */
	EXPECT_EQ(-ENODEV, uio_dma_addr(h->buf.fd, h->dev.fd, &addr));
	EXPECT_EQ(-ENODEV, uio_dma_addr(h->other.fd, h->dev.fd, &addr));
	EXPECT_EQ(-ENODEV, uio_dma_put(h->buf.fd, h->dev.fd));
	EXPECT_EQ(-ENODEV, uio_dma_put(h->other.fd, h->dev.fd));

	/* Memory */
	EXPECT_EQ(-ENODEV, uio_heap_alloc(h->heap, 1));
	EXPECT_ERRNO(ENODEV, (long)mmap(NULL, page, PROT_READ, MAP_SHARED,
					h->buf.fd, 0));
	EXPECT_EQ(SIGBUS, uio_touch(h->buf.vaddr));
	EXPECT_EQ(SIGBUS, uio_touch(h->buf.vaddr + 3 * page));
	EXPECT_EQ(SIGBUS, uio_touch(h->again.vaddr));
	EXPECT_EQ(h->buf.size, lseek(h->buf.fd, 0, SEEK_END));

	/* What is not the device's is not concerned. */
	EXPECT_EQ(-1, uio_differs(h->other.vaddr, page, 2));
}

static void let_go(struct holder *h)
{
	munmap(h->regs, h->dev.map[0].size);
	munmap(h->private_regs, uio_page_size());
	uio_buffer_unmap(&h->again);
	uio_buffer_free(&h->buf);
	uio_buffer_free(&h->other);
	close(h->heap);
	uio_close(&h->dev);
}

TEST_F(gone, with_all_open)
{
	struct holder *h = &self->holder;
	int number = h->dev.number;
	char path[UIO_PATH_LEN];
	long start = uio_now_ms();

	ASSERT_EQ(0, take_away(&h->dev, variant->removed));
	EXPECT_GT(UNBIND_MS, uio_now_ms() - start);
	if (!variant->removed)
		EXPECT_EQ(0, uio_bus_master(h->dev.name));

	/* Nothing is left to be opened. */
	EXPECT_EQ(-ENOENT, uio_heap_open(h->heap_name));
	EXPECT_EQ(-ENOENT, uio_open_fd(number, O_RDWR));
	uio_attr_path(number, "", path, sizeof(path));
	EXPECT_ERRNO(ENOENT, access(path, F_OK));

	expect_all_dead(_metadata, h);
	let_go(h);
}

/* The dead stay dead when there is a new device of the same name. */
TEST_F(gone, and_back)
{
	struct holder *h = &self->holder;
	char heap_name[UIO_NAME_LEN];
	struct uio_device dev;
	struct uio_buffer buf;
	__u64 addr;

	ASSERT_EQ(0, take_away(&h->dev, variant->removed));
	ASSERT_EQ(0, bring_back());
	ASSERT_EQ(0, uio_open_driver(&dev, uio_test_device(0)));
	EXPECT_EQ(0, uio_heap_name(dev.number, heap_name, sizeof(heap_name)));
	EXPECT_STREQ(h->heap_name, heap_name);
	EXPECT_EQ(32, uio_dma_mask_bits(dev.number));
	EXPECT_EQ(0, uio_bus_master(dev.name));
	expect_all_dead(_metadata, h);
	EXPECT_EQ(-ENODEV, uio_dma_addr(h->buf.fd, dev.fd, &addr));

	ASSERT_EQ(0, uio_buffer_alloc_device(&buf, dev.number, 8192));
	EXPECT_EQ(-ENODEV, uio_dma_addr(buf.fd, h->dev.fd, &addr));
	ASSERT_EQ(0, uio_dma_addr(buf.fd, dev.fd, &addr));
	uio_fill(buf.vaddr, 1000, 9);
	ASSERT_EQ(0, uio_dma_memcpy(&dev, addr + 4096, addr, 1000));
	EXPECT_EQ(-1, uio_differs(buf.vaddr + 4096, 1000, 9));

	/* That its predecessor's user goes does not concern it. */
	let_go(h);
	EXPECT_EQ(1, uio_bus_master(dev.name));
	ASSERT_EQ(0, uio_dma_memcpy(&dev, addr + 5096, addr, 1000));
	EXPECT_EQ(-1, uio_differs(buf.vaddr + 5096, 1000, 9));
	uio_close(&dev);
	uio_buffer_free(&buf);
}

TEST_F(gone, while_reading)
{
	struct holder *h = &self->holder;
	int status;
	__u32 count;
	pid_t pid;

	pid = fork();
	if (!pid)
		_exit(read(h->dev.fd, &count, sizeof(count)) < 0 ? errno : 0);
	ASSERT_LT(0, pid);
	uio_msleep(50);
	ASSERT_EQ(0, waitpid(pid, &status, WNOHANG));
	ASSERT_EQ(0, take_away(&h->dev, variant->removed));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	EXPECT_EQ(EIO, WEXITSTATUS(status));
	let_go(h);
}

/* A child has mappings of its own, of which the parent knows nothing. */
TEST_F(gone, in_child_too)
{
	struct holder *h = &self->holder;
	int status, fds[2];
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(fds));
	pid = fork();
	if (!pid) {
		if (uio_touch(h->buf.vaddr) || uio_touch(h->dev.regs))
			_exit(1);
		close(fds[1]);
		if (read(fds[0], &c, 1))
			_exit(2);
		_exit(uio_touch(h->buf.vaddr) == SIGBUS &&
		      uio_touch(h->again.vaddr) == SIGBUS &&
		      uio_touch(h->dev.regs) == SIGBUS &&
		      uio_touch(h->regs) == SIGBUS ? 0 : 3);
	}
	ASSERT_LT(0, pid);
	uio_msleep(50);
	ASSERT_EQ(0, take_away(&h->dev, variant->removed));
	close(fds[1]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	let_go(h);
}

/* Nothing is used up by those who hold on to what is gone. */
TEST_F_TIMEOUT(gone, over_and_over, 900)
{
	static int fd[NR_CYCLES][3];
	struct holder *h = &self->holder;
	int i, j, dmabufs, number = h->dev.number;
	unsigned char *mem;
	__u64 addr;

	if (variant->removed)
		SKIP(return, "the same, but slower");
	let_go(h);
	dmabufs = uio_count_dmabufs();
	for (i = 0; i < NR_CYCLES; i++) {
		fd[i][0] = uio_open_fd(number, O_RDWR);
		fd[i][1] = uio_heap_open(h->heap_name);
		fd[i][2] = uio_heap_alloc(fd[i][1], 4096);
		for (j = 0; j < 3; j++)
			ASSERT_LE(0, fd[i][j]);
		mem = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
			   fd[i][2], 0);
		ASSERT_TRUE(mem != MAP_FAILED);
		*mem = 1;
		ASSERT_EQ(0, uio_dma_addr(fd[i][2], fd[i][0], &addr));
		ASSERT_EQ(0, uio_unbind(uio_test_device(0)));
		EXPECT_EQ(SIGBUS, uio_touch(mem));
		munmap(mem, 4096);
		ASSERT_EQ(0, uio_bind(uio_test_device(0), "uio_pci_generic"));
		ASSERT_EQ(number, uio_find(uio_test_device(0)));
	}
	for (i = 0; i < NR_CYCLES; i++) {
		EXPECT_EQ(-ENODEV, uio_dma_addr(fd[i][2], fd[i][0], &addr));
		for (j = 0; j < 3; j++)
			close(fd[i][(i + j) % 3]);
	}
	EXPECT_EQ(dmabufs, uio_count_dmabufs());
}

/*
 * Another device uses a buffer from the heap of the one that goes: it is
 * stopped, and stays stopped until its driver has seen that the buffer is gone.
 */
TEST_F(gone, with_another_device_at_it)
{
	struct holder *h = &self->holder;
	struct uio_device dev;
	struct uio_buffer own;
	__u64 addr, own_addr;
	int ret;

	if (!test_open(_metadata, &dev, 1))
		return;
	if (!test_set_mask(_metadata, &dev, 64))
		return;
	ret = uio_dma_addr(h->buf.fd, dev.fd, &addr);
	if (ret == -EOPNOTSUPP)
		SKIP(return, "the devices cannot share a buffer");
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, uio_buffer_alloc_device(&own, dev.number, 4096));
	ASSERT_EQ(0, uio_dma_addr(own.fd, dev.fd, &own_addr));
	ASSERT_EQ(0, uio_dma_memcpy(&dev, own_addr, addr, 500));
	EXPECT_EQ(-1, uio_differs(own.vaddr, 500, 1));

	ASSERT_EQ(0, take_away(&h->dev, variant->removed));
	EXPECT_EQ(0, uio_bus_master(dev.name));
	EXPECT_EQ(-ENODEV, uio_dma_addr(h->buf.fd, dev.fd, &addr));
	EXPECT_EQ(0, uio_bus_master(dev.name));

	/* What else it has is as it was. */
	EXPECT_EQ(0, uio_dma_addr(own.fd, dev.fd, &addr));
	EXPECT_EQ(own_addr, addr);
	EXPECT_EQ(0, uio_dma_put(h->buf.fd, dev.fd));
	EXPECT_EQ(-ENODEV, uio_dma_addr(h->buf.fd, dev.fd, &addr));
	EXPECT_EQ(1, uio_bus_master(dev.name));
	uio_fill(own.vaddr, 500, 3);
	ASSERT_EQ(0, uio_dma_memcpy(&dev, own_addr + 1000, own_addr, 500));
	EXPECT_EQ(-1, uio_differs(own.vaddr + 1000, 500, 3));
	uio_close(&dev);
	uio_buffer_free(&own);
	uio_set_dma_mask_bits(dev.number, 32);
	let_go(h);
}

/* What a user can still have of a device that goes: all combinations. */
enum part {
	PART_DEVICE,
	PART_HEAP,
	PART_BUFFER,
	PART_MEMORY,
	PART_REGISTERS,
	PART_ADDRESS,
	PART_OTHER_DEVICE,
	NR_PARTS,
};

#define HAS(parts, part)	((parts) >> (part) & 1)

/**
 * struct rest - what is left
 * @name: the device
 * @heap_name: the name of its heap
 * @fd: its file
 * @heap: its heap
 * @buf: a buffer from there
 * @regs: the device's registers
 * @other: the file of another device, which has the buffer mapped
 */
struct rest {
	const char *name;
	char heap_name[UIO_NAME_LEN];
	int fd;
	int heap;
	struct uio_buffer buf;
	void *regs;
	int other;
};

FIXTURE(rest)
{
	struct uio_device dev;
	struct uio_device other;
	bool can_share;
	int dmabufs;
};

FIXTURE_VARIANT(rest)
{
	bool removed;
};

FIXTURE_VARIANT_ADD(rest, unbound) { .removed = false };
FIXTURE_VARIANT_ADD(rest, removed) { .removed = true };

FIXTURE_SETUP(rest)
{
	struct uio_buffer buf;
	__u64 addr;

	if (variant->removed && access("/sys/bus/pci/rescan", W_OK))
		SKIP(return, "not a PCI device");
	if (!test_open(_metadata, &self->dev, 0))
		return;
	if (!test_open(_metadata, &self->other, 1))
		return;
	if (!test_set_mask(_metadata, &self->other, 64))
		return;
	ASSERT_EQ(0, uio_buffer_alloc_device(&buf, self->dev.number, 4096));
	self->can_share = !uio_dma_addr(buf.fd, self->other.fd, &addr);
	uio_close(&self->other);
	uio_close(&self->dev);
	uio_buffer_free(&buf);
	self->dmabufs = uio_count_dmabufs();
}

FIXTURE_TEARDOWN(rest)
{
	EXPECT_EQ(0, bring_back());
	EXPECT_EQ(0, uio_set_dma_mask_bits(self->other.number, 32));
}

static void have(struct __test_metadata *_metadata, struct rest *r,
		 unsigned int parts, int other_number)
{
	size_t page = uio_page_size();
	int number = uio_find(r->name);
	__u64 addr;

	r->fd = uio_open_fd(number, O_RDWR);
	ASSERT_LE(0, r->fd);
	ASSERT_EQ(0, uio_heap_name(number, r->heap_name, sizeof(r->heap_name)));
	r->heap = uio_heap_open(r->heap_name);
	ASSERT_LE(0, r->heap);
	r->buf.size = 2 * page;
	r->buf.fd = uio_heap_alloc(r->heap, r->buf.size);
	ASSERT_LE(0, r->buf.fd);
	ASSERT_EQ(0, uio_buffer_map(&r->buf));
	ASSERT_EQ(0, uio_touch(r->buf.vaddr));
	r->regs = mmap(NULL, page, PROT_READ, MAP_SHARED, r->fd, 0);
	ASSERT_TRUE(r->regs != MAP_FAILED);
	ASSERT_EQ(0, uio_touch(r->regs));
	r->other = -1;
	if (HAS(parts, PART_OTHER_DEVICE)) {
		r->other = uio_open_fd(other_number, O_RDWR);
		ASSERT_EQ(0, uio_dma_addr(r->buf.fd, r->other, &addr));
	}
	if (HAS(parts, PART_ADDRESS))
		ASSERT_EQ(0, uio_dma_addr(r->buf.fd, r->fd, &addr));
}

static void let_go_of(struct rest *r, enum part part)
{
	switch (part) {
	case PART_DEVICE:
		close(r->fd);
		r->fd = -1;
		break;
	case PART_HEAP:
		close(r->heap);
		r->heap = -1;
		break;
	case PART_BUFFER:
		close(r->buf.fd);
		r->buf.fd = -1;
		break;
	case PART_MEMORY:
		uio_buffer_unmap(&r->buf);
		break;
	case PART_REGISTERS:
		if (r->regs)
			munmap(r->regs, uio_page_size());
		r->regs = NULL;
		break;
	case PART_OTHER_DEVICE:
		close(r->other);
		r->other = -1;
		break;
	default:
		break;
	}
}

/* Does the kernel still know what heap a buffer is from? */
static bool tells_heap(int fd, const char *heap)
{
	char path[64], line[256], want[UIO_NAME_LEN + 16];
	bool found = false;
	FILE *file;

	snprintf(want, sizeof(want), "exp_name:\t%s\n", heap);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		found |= !strcmp(line, want);
	if (file)
		fclose(file);
	return found;
}

static void expect_rest_dead(struct __test_metadata *_metadata, struct rest *r,
			     const char *other)
{
	size_t page = uio_page_size();
	__u32 count;
	__u64 addr;

	if (r->fd >= 0) {
		EXPECT_ERRNO(EIO, read(r->fd, &count, sizeof(count)));
		EXPECT_ERRNO(EINVAL, (long)mmap(NULL, page, PROT_READ,
						MAP_SHARED, r->fd, 0));
	}
	if (r->fd >= 0 && r->buf.fd >= 0) {
		EXPECT_EQ(-ENODEV, uio_dma_addr(r->buf.fd, r->fd, &addr));
		EXPECT_EQ(-ENODEV, uio_dma_put(r->buf.fd, r->fd));
	}
	if (r->heap >= 0)
		EXPECT_EQ(-ENODEV, uio_heap_alloc(r->heap, 1));
	if (r->buf.fd >= 0) {
		EXPECT_ERRNO(ENODEV, (long)mmap(NULL, page, PROT_READ,
						MAP_SHARED, r->buf.fd, 0));
		EXPECT_EQ(r->buf.size, lseek(r->buf.fd, 0, SEEK_END));
		EXPECT_TRUE(tells_heap(r->buf.fd, r->heap_name));
	}
	if (r->buf.vaddr)
		EXPECT_EQ(SIGBUS, uio_touch(r->buf.vaddr + page));
	if (r->regs)
		EXPECT_EQ(SIGBUS, uio_touch(r->regs));
	if (r->other >= 0) {
		EXPECT_EQ(0, uio_bus_master(other));
		if (r->buf.fd >= 0)
			EXPECT_EQ(-ENODEV, uio_dma_addr(r->buf.fd, r->other, &addr));
	}
}

TEST_F_TIMEOUT(rest, in_all_combinations, 600)
{
	const char *name = uio_test_device(0), *other = uio_test_device(1);
	unsigned int parts, n = 0, step = 1;
	struct rest r;
	int i;

	/* A debug kernel takes a second for each. */
	if (!access("/sys/kernel/debug/dma-api", F_OK))
		step = 5;
	for (parts = 0; parts < 1 << NR_PARTS; parts += step) {
		/* An address ends with the file that has asked for it. */
		if (HAS(parts, PART_ADDRESS) && !HAS(parts, PART_DEVICE) &&
		    !HAS(parts, PART_REGISTERS))
			continue;
		if (HAS(parts, PART_OTHER_DEVICE) && !self->can_share)
			continue;
		memset(&r, 0, sizeof(r));
		r.name = name;
		have(_metadata, &r, parts, self->other.number);
		for (i = 0; i < NR_PARTS; i++)
			if (!HAS(parts, i))
				let_go_of(&r, i);

		ASSERT_EQ(0, take_away(&self->dev, variant->removed));
		expect_rest_dead(_metadata, &r, other);
		if (n % 2) {
			ASSERT_EQ(0, bring_back());
			expect_rest_dead(_metadata, &r, other);
		}
		for (i = 0; i < NR_PARTS; i++)
			let_go_of(&r, (i + n) % NR_PARTS);
		if (!(n % 2))
			ASSERT_EQ(0, bring_back());

		EXPECT_EQ(self->dmabufs, uio_count_dmabufs());
		EXPECT_EQ(0, uio_bus_master(name));
		EXPECT_EQ(0, uio_bus_master(other));
		ASSERT_EQ(0, _metadata->exit_code)
			TH_LOG("with parts %#x left", parts);
		n++;
	}
	if (step == 1)
		EXPECT_EQ(self->can_share ? 112 : 56, n);
}

/*
 * What the device called its addresses are other people's page frames, once it
 * is gone. Nothing that is given back late may be taken for those.
 */
FIXTURE(bystander)
{
	struct uio_device dev;
	struct uio_frames frames;
};

FIXTURE_VARIANT(bystander)
{
	bool removed;
};

FIXTURE_VARIANT_ADD(bystander, unbound) { .removed = false };
FIXTURE_VARIANT_ADD(bystander, removed) { .removed = true };

/* Half of the memory lies below the mask: free frames are, too. */
static int mask_within_memory(void)
{
	long long pages = sysconf(_SC_PHYS_PAGES);
	int bits = 11;

	while (pages > 1) {
		pages >>= 1;
		bits++;
	}
	return bits > 32 ? 32 : bits;
}

FIXTURE_SETUP(bystander)
{
	if (variant->removed && access("/sys/bus/pci/rescan", W_OK))
		SKIP(return, "not a PCI device");
	if (access("/proc/kpageflags", R_OK))
		SKIP(return, "no /proc/kpageflags");
	if (!test_open(_metadata, &self->dev, 0))
		return;
	if (!uio_iommu_translates(self->dev.name))
		SKIP(return, "bus addresses are physical ones");
	if (!test_set_mask(_metadata, &self->dev, mask_within_memory()))
		return;
}

FIXTURE_TEARDOWN(bystander)
{
	EXPECT_EQ(0, bring_back());
}

TEST_F_TIMEOUT(bystander, keeps_its_memory, 300)
{
	struct uio_device *dev = &self->dev;
	size_t page = uio_page_size();
	struct uio_buffer buf[16];
	__u64 addr, low = ~0ULL, high = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(buf); i++) {
		ASSERT_EQ(0, uio_buffer_alloc_device(&buf[i], dev->number,
						     4 * page));
		uio_fill(buf[i].vaddr, 100, i);
		ASSERT_EQ(0, uio_dma_addr(buf[i].fd, dev->fd, &addr));
		low = addr < low ? addr : low;
		high = addr + 4 * page > high ? addr + 4 * page : high;
	}
	ASSERT_EQ(0, uio_frames_take(&self->frames,
				     uio_meminfo("MemFree") / 10 * 8));
	ASSERT_EQ(0, uio_frames_damage(&self->frames));
	if (uio_frames_count_at(&self->frames, low, high - low) < 16)
		SKIP(return, "the wrong frames are free here");

	ASSERT_EQ(0, take_away(dev, variant->removed));
	EXPECT_EQ(0, uio_frames_damage(&self->frames));
	for (i = 0; i < ARRAY_SIZE(buf); i++)
		uio_buffer_free(&buf[i]);
	uio_close(dev);
	EXPECT_EQ(0, uio_frames_damage(&self->frames));
	uio_frames_free(&self->frames);
}

/* UIO as modules: they stay while they are used, and not a moment longer. */
FIXTURE(unload)
{
	struct uio_device dev;
	struct uio_buffer buf;
	char heap_name[UIO_NAME_LEN];
	int heap;
	int dmabufs;
};

FIXTURE_SETUP(unload)
{
	__u64 addr;

	if (!uio_is_module())
		SKIP(return, "UIO is built in, or its modules are not here");
	self->dmabufs = uio_count_dmabufs();
	if (!test_open(_metadata, &self->dev, 0))
		return;
	ASSERT_EQ(0, uio_heap_name(self->dev.number, self->heap_name,
				   sizeof(self->heap_name)));
	self->heap = uio_heap_open(self->heap_name);
	ASSERT_LE(0, self->heap);
	ASSERT_EQ(0, uio_buffer_alloc_device(&self->buf, self->dev.number, 4096));
	uio_fill(self->buf.vaddr, 4096, 1);
	ASSERT_EQ(0, uio_dma_addr(self->buf.fd, self->dev.fd, &addr));
}

FIXTURE_TEARDOWN(unload)
{
	unsigned int i;

	EXPECT_EQ(0, uio_modules_load());
	EXPECT_EQ(0, bring_back());
	EXPECT_EQ(self->dmabufs, uio_count_dmabufs());
	/* As the tests that follow know them. */
	for (i = 1; i < 3; i++)
		uio_bind(uio_test_device(i), "uio_pci_generic");
}

TEST_F(unload, refused_to_what_is_in_use)
{
	struct uio_device *dev = &self->dev;
	__u64 addr;

	/* One after the other: the file, then the mapping of the registers. */
	EXPECT_EQ(-EWOULDBLOCK, uio_modules_unload());
	EXPECT_EQ(1, uio_bus_master(dev->name));
	EXPECT_EQ(0, uio_dma_addr(self->buf.fd, dev->fd, &addr));
	ASSERT_EQ(0, uio_dma_memcpy(dev, addr + 2000, addr, 1000));
	EXPECT_EQ(-1, uio_differs(self->buf.vaddr + 2000, 1000, 1));
	close(dev->fd);
	dev->fd = -1;
	EXPECT_EQ(-EWOULDBLOCK, uio_modules_unload());
	EXPECT_EQ(0, uio_touch(dev->regs));
	EXPECT_EQ(1, uio_bus_master(dev->name));
	uio_close(dev);
	EXPECT_EQ(0, uio_bus_master(dev->name));
	EXPECT_EQ(0, uio_modules_unload());
	uio_buffer_free(&self->buf);
	close(self->heap);
}

/* Memory and heap are no users of the modules, and survive them as dead. */
TEST_F(unload, with_memory_left)
{
	struct uio_device dev;
	struct uio_buffer buf;
	__u64 addr;

	uio_close(&self->dev);
	ASSERT_EQ(0, uio_modules_unload());
	EXPECT_EQ(-ENODEV, uio_heap_alloc(self->heap, 1));
	EXPECT_EQ(SIGBUS, uio_touch(self->buf.vaddr));
	EXPECT_TRUE(tells_heap(self->buf.fd, self->heap_name));
	EXPECT_ERRNO(ENODEV, (long)mmap(NULL, 4096, PROT_READ, MAP_SHARED,
					self->buf.fd, 0));

	ASSERT_EQ(0, uio_modules_load());
	ASSERT_EQ(0, bring_back());
	ASSERT_EQ(0, uio_open_driver(&dev, uio_test_device(0)));
	EXPECT_EQ(-ENODEV, uio_dma_addr(self->buf.fd, dev.fd, &addr));
	ASSERT_EQ(0, uio_buffer_alloc_device(&buf, dev.number, 4096));
	EXPECT_EQ(0, uio_dma_addr(buf.fd, dev.fd, &addr));
	uio_buffer_free(&self->buf);
	close(self->heap);
	EXPECT_EQ(1, uio_bus_master(dev.name));
	uio_close(&dev);
	uio_buffer_free(&buf);
}

/* The end of the last file has its code behind it when close() returns. */
TEST_F_TIMEOUT(unload, right_after_close, 120)
{
	__u64 addr;
	int i, fd;

	uio_close(&self->dev);
	uio_buffer_free(&self->buf);
	close(self->heap);
	for (i = 0; i < 5; i++) {
		fd = uio_open_fd(uio_find(uio_test_device(0)), O_RDWR);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, uio_buffer_alloc_device(&self->buf,
						     uio_find(uio_test_device(0)), 4096));
		ASSERT_EQ(0, uio_dma_addr(self->buf.fd, fd, &addr));
		uio_buffer_free(&self->buf);
		close(fd);
		ASSERT_EQ(0, uio_modules_unload());
		ASSERT_EQ(0, uio_modules_load());
		ASSERT_EQ(0, bring_back());
	}
}

TEST_HARNESS_MAIN
