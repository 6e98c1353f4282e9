/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the test programs have in common.
 *
 * They take devices over from whatever driver they are bound to, so they run on
 * machines that are made for it: see vm/. UIO_TEST_DEVICE0 to 2 in the
 * environment name other devices than the emulated ones there. Without a device
 * tests are skipped, or fail if UIO_TEST_REQUIRED is set. All programs take the
 * options of kselftest_harness.h; -l lists what they test.
 */
#ifndef SELFTESTS_UIO_TEST_H
#define SELFTESTS_UIO_TEST_H

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "uio_lib.h"

#define BOTH_WAYS	(DMA_BUF_DMA_TO_DEVICE | DMA_BUF_DMA_FROM_DEVICE)

/*
 * Skip: what the tests are about is not there. Whoever makes a machine for them
 * sets UIO_TEST_REQUIRED, and then this is a failure.
 */
#define SKIP_WITHOUT(_statement, ...) do {				\
	ASSERT_EQ(NULL, getenv("UIO_TEST_REQUIRED"))			\
		TH_LOG(__VA_ARGS__);					\
	SKIP(_statement, __VA_ARGS__);					\
} while (0)

/*
 * Take over the i-th device to test. Returns false, and has the test skipped,
 * where there is none or where the kernel has no DMA for it.
 */
static inline bool test_open(struct __test_metadata *_metadata,
			     struct uio_device *dev, unsigned int i)
{
	const char *name = uio_test_device(i);
	char text[UIO_PATH_LEN];

	if (uio_sysfs_dir(name, text, sizeof(text)))
		SKIP_WITHOUT(return false, "no device %s", name);
	ASSERT_EQ(0, uio_open_driver(dev, name));
	if (uio_heap_name(dev->number, text, sizeof(text)) == -ENOENT)
		SKIP_WITHOUT(return false, "no DMA for %s: CONFIG_UIO_DMA?", name);
	return true;
}

/* May the device master the bus? @otherwise where nothing but the driver knows. */
static inline int test_bus_master(const struct uio_device *dev, int otherwise)
{
	return uio_is_pci(dev) ? uio_bus_master(dev->name) : otherwise;
}

/* Bind a device of CONFIG_UIO_TEST, or skip the test. */
static inline bool test_bind(struct __test_metadata *_metadata,
			     const char *name, const char *driver)
{
	char text[UIO_PATH_LEN];
	int ret;

	if (uio_sysfs_dir(name, text, sizeof(text)))
		SKIP_WITHOUT(return false, "no device %s: CONFIG_UIO_TEST?", name);
	ret = uio_bind(name, driver);
	if (ret == -ENOENT)
		SKIP_WITHOUT(return false, "no driver %s", driver);
	ASSERT_EQ(0, ret);
	return true;
}

/* Set the DMA mask, as far as the device's driver can follow. */
static inline bool test_set_mask(struct __test_metadata *_metadata,
				 struct uio_device *dev, int bits)
{
	int ret;

	if (bits > dev->driver.max_bits)
		bits = dev->driver.max_bits;
	ret = uio_set_dma_mask_bits(dev->number, bits);
	if (ret == -EIO)
		SKIP(return false, "this machine cannot serve %d bits", bits);
	ASSERT_EQ(0, ret);
	return true;
}

/* Allocate memory of a kind that not every machine has; skips if so. */
static inline bool test_alloc(struct __test_metadata *_metadata,
			      struct uio_buffer *buf, enum uio_memory memory,
			      struct uio_device *dev, __u64 size)
{
	int ret = uio_buffer_alloc_from(buf, memory, dev->number, size);

	if (ret == -ENOENT && memory != UIO_MEMORY_DEVICE)
		SKIP(return false, "no such memory here");
	ASSERT_EQ(0, ret);
	return true;
}

/* The call fails with just this errno. */
#define EXPECT_ERRNO(_errno, _call) do {				\
	errno = 0;							\
	EXPECT_EQ(-1, (long)(_call));					\
	EXPECT_EQ(_errno, errno);					\
} while (0)

/**
 * struct snapshot - what a failing call must leave alone
 */
struct snapshot {
	int fds;
	int dmabufs;
	int bus_master;
};

static inline
struct snapshot take_snapshot(const struct uio_device *dev)
{
	return (struct snapshot) {
		.fds = uio_count_fds(),
		.dmabufs = uio_count_dmabufs(),
		.bus_master = uio_bus_master(dev->name),
	};
}

static inline void expect_unchanged(struct __test_metadata *_metadata,
				    const struct uio_device *dev,
				    const struct snapshot *old)
{
	struct snapshot now = take_snapshot(dev);

	EXPECT_EQ(old->fds, now.fds);
	EXPECT_EQ(old->dmabufs, now.dmabufs);
	EXPECT_EQ(old->bus_master, now.bus_master);
}

enum bad_pointer {
	POINTER_NULL,
	POINTER_KERNEL,
	POINTER_UNMAPPED,
	POINTER_HALF_MAPPED,
	POINTER_READ_ONLY,
	NR_BAD_POINTERS,
};

/* What a struct of @len bytes, filled as @arg, is written to and from. */
static inline void *make_bad_pointer(enum bad_pointer kind, const void *arg,
				     size_t len)
{
	size_t page = uio_page_size();
	char *mem;

	mem = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		return NULL;

	switch (kind) {
	case POINTER_KERNEL:
		return (void *)-4096L;
	case POINTER_UNMAPPED:
		munmap(mem, 2 * page);
		return mem;
	case POINTER_HALF_MAPPED:
		memcpy(mem + page - len / 2, arg, len);
		mprotect(mem + page, page, PROT_NONE);
		return mem + page - len / 2;
	case POINTER_READ_ONLY:
		memcpy(mem, arg, len);
		mprotect(mem, page, PROT_READ);
		return mem;
	default:
		return NULL;
	}
}

/* The page that is freed here is then the next that is taken here. */
static inline bool test_stay_on_one_cpu(void)
{
	cpu_set_t cpu;

	CPU_ZERO(&cpu);
	CPU_SET(0, &cpu);
	return !sched_setaffinity(0, sizeof(cpu), &cpu);
}

#endif /* SELFTESTS_UIO_TEST_H */
