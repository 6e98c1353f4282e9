// SPDX-License-Identifier: GPL-2.0
/*
 * Behind an IOMMU a device reaches the buffers that are mapped for it, in the
 * direction they are mapped for, and nothing else.
 *
 * A device may report success for a DMA that was refused, so each test looks at
 * the memory, and shows first that the same DMA works where it is allowed. The
 * IOMMU's driver reports each refusal in the kernel's log.
 */
#include <stdlib.h>
#include <sys/utsname.h>

#include "uio_test.h"

#define LEN		256
#define NR_BUFFERS	3

/**
 * struct room - what is mapped for the device
 * @dev: the device
 * @buf: buffers of one page each: page i is filled with pattern i
 * @addr: their bus addresses
 * @page: the page size
 */
struct room {
	struct uio_device dev;
	struct uio_buffer buf[NR_BUFFERS];
	__u64 addr[NR_BUFFERS];
	size_t page;
};

FIXTURE(iommu)
{
	struct room room;
};

FIXTURE_SETUP(iommu)
{
	struct room *room = &self->room;
	int i;

	room->page = uio_page_size();
	if (!test_open(_metadata, &room->dev, 0))
		return;
	if (!uio_iommu_translates(room->dev.name))
		SKIP(return, "no IOMMU translates for %s", room->dev.name);
	ASSERT_EQ(0, uio_set_dma_mask_bits(room->dev.number, 32));
	for (i = 0; i < NR_BUFFERS; i++) {
		ASSERT_EQ(0, uio_buffer_alloc_device(&room->buf[i],
						     room->dev.number,
						     room->page));
		ASSERT_EQ(0, uio_dma_addr(room->buf[i].fd, room->dev.fd,
					  &room->addr[i]));
		uio_fill(room->buf[i].vaddr, room->page, i);
	}
}

FIXTURE_TEARDOWN(iommu)
{
	struct room *room = &self->room;
	int i;

	uio_close(&room->dev);
	for (i = 0; i < NR_BUFFERS; i++)
		uio_buffer_free(&room->buf[i]);
}

static bool is_mapped(struct room *room, __u64 addr)
{
	int i;

	for (i = 0; i < NR_BUFFERS; i++)
		if (addr - room->addr[i] < room->page)
			return true;
	return false;
}

static void expect_untouched(struct __test_metadata *_metadata,
			     struct room *room)
{
	int i;

	for (i = 0; i < NR_BUFFERS; i++)
		EXPECT_EQ(-1, uio_differs(room->buf[i].vaddr, room->page, i))
			TH_LOG("buffer %d", i);
}

/* Bring pattern @seed into the device, by way of the first buffer. */
static void load_device(struct __test_metadata *_metadata,
			struct room *room, __u32 seed)
{
	uio_fill(room->buf[0].vaddr, LEN, seed);
	ASSERT_EQ(0, uio_dma_fetch(&room->dev, room->addr[0], LEN));
	uio_fill(room->buf[0].vaddr, LEN, 0);
}

/* The device can write where it may: else the rest proves nothing. */
static void expect_store_works(struct __test_metadata *_metadata,
			       struct room *room, __u32 seed)
{
	ASSERT_EQ(0, uio_dma_store(&room->dev, room->addr[1], LEN));
	EXPECT_EQ(-1, uio_differs(room->buf[1].vaddr, LEN, seed));
	uio_fill(room->buf[1].vaddr, LEN, 1);
}

/* What the device holds is not what a refused read would have brought in. */
static void expect_not_loaded(struct __test_metadata *_metadata,
			      struct room *room, __u32 seed)
{
	ASSERT_EQ(0, uio_dma_store(&room->dev, room->addr[1], LEN));
	EXPECT_NE(-1, uio_differs(room->buf[1].vaddr, LEN, seed));
	uio_fill(room->buf[1].vaddr, LEN, 1);
}

/*
 * An SMMU's page tables cannot say so. Those of Intel's IOMMU can, but in 6.x
 * bit 0 of each entry is set, which stands for reading.
 */
static bool write_implies_read(void)
{
	struct utsname name;

	if (!access("/sys/bus/platform/drivers/arm-smmu-v3", F_OK))
		return true;
	return !uname(&name) && atoi(name.release) < 7;
}

TEST_F(iommu, around_the_buffers)
{
	struct room *room = &self->room;
	__u64 lowest = room->addr[0], highest = room->addr[0];
	int i;

	for (i = 1; i < NR_BUFFERS; i++) {
		if (room->addr[i] < lowest)
			lowest = room->addr[i];
		if (room->addr[i] > highest)
			highest = room->addr[i];
	}
	load_device(_metadata, room, 100);
	expect_store_works(_metadata, room, 100);

	ASSERT_EQ(0, uio_dma_store(&room->dev, highest + room->page, LEN));
	expect_untouched(_metadata, room);
	ASSERT_EQ(0, uio_dma_store(&room->dev, lowest - room->page, LEN));
	expect_untouched(_metadata, room);

	/* Half of it may arrive, but only within the buffer. */
	ASSERT_EQ(0, uio_dma_store(&room->dev, lowest - LEN / 2, LEN));
	for (i = 0; i < NR_BUFFERS; i++)
		if (room->addr[i] == lowest)
			uio_fill(room->buf[i].vaddr, LEN, i);
	expect_untouched(_metadata, room);
	expect_store_works(_metadata, room, 100);
}

TEST_F(iommu, physical_address)
{
	struct room *room = &self->room;
	struct uio_buffer user;
	__u64 phys, addr;
	char *mem;
	int memfd;

	if (uio_buffer_udmabuf(&user, room->page, &memfd) == -ENOENT)
		SKIP(return, "no udmabuf here");
	mem = mmap(NULL, room->page, PROT_READ | PROT_WRITE, MAP_SHARED, memfd,
		   0);
	ASSERT_TRUE(mem != MAP_FAILED);
	uio_fill(mem, room->page, 50);
	ASSERT_EQ(0, uio_phys_addr(mem, &phys));
	ASSERT_EQ(0, uio_dma_addr(user.fd, room->dev.fd, &addr));
	EXPECT_NE(phys, addr);
	if (is_mapped(room, phys))
		SKIP(return, "it happens to be an address of another buffer");

	load_device(_metadata, room, 101);
	expect_store_works(_metadata, room, 101);
	ASSERT_EQ(0, uio_dma_store(&room->dev, addr, LEN));
	EXPECT_EQ(-1, uio_differs(mem, LEN, 101));
	uio_fill(mem, LEN, 50);

	ASSERT_EQ(0, uio_dma_store(&room->dev, phys, LEN));
	EXPECT_EQ(-1, uio_differs(mem, room->page, 50));
	ASSERT_EQ(0, uio_dma_fetch(&room->dev, phys, LEN));
	expect_not_loaded(_metadata, room, 50);
	expect_untouched(_metadata, room);

	munmap(mem, room->page);
	close(memfd);
	uio_buffer_free(&user);
}

TEST_F(iommu, to_device_only)
{
	struct room *room = &self->room;
	struct dma_buf_get_dma_addr get;
	struct uio_buffer buf;

	if (!test_alloc(_metadata, &buf, UIO_MEMORY_SYSTEM, &room->dev,
			room->page))
		return;
	uio_fill(buf.vaddr, room->page, 60);
	ASSERT_EQ(0, uio_dma_get(buf.fd, room->dev.fd, DMA_BUF_DMA_TO_DEVICE,
				 0, &get));

	ASSERT_EQ(0, uio_dma_fetch(&room->dev, get.dma_addr, LEN));
	expect_store_works(_metadata, room, 60);
	load_device(_metadata, room, 102);
	ASSERT_EQ(0, uio_dma_store(&room->dev, get.dma_addr, LEN));
	EXPECT_EQ(-1, uio_differs(buf.vaddr, room->page, 60));
	uio_buffer_free(&buf);
}

TEST_F(iommu, from_device_only)
{
	struct room *room = &self->room;
	struct dma_buf_get_dma_addr get;
	struct uio_buffer buf;

	if (!test_alloc(_metadata, &buf, UIO_MEMORY_SYSTEM, &room->dev,
			room->page))
		return;
	uio_fill(buf.vaddr, room->page, 61);
	ASSERT_EQ(0, uio_dma_get(buf.fd, room->dev.fd, DMA_BUF_DMA_FROM_DEVICE,
				 0, &get));

	load_device(_metadata, room, 103);
	ASSERT_EQ(0, uio_dma_store(&room->dev, get.dma_addr, LEN));
	EXPECT_EQ(-1, uio_differs(buf.vaddr, LEN, 103));

	uio_fill(buf.vaddr, room->page, 61);
	ASSERT_EQ(0, uio_dma_fetch(&room->dev, get.dma_addr, LEN));
	if (!write_implies_read())
		expect_not_loaded(_metadata, room, 61);
	uio_buffer_free(&buf);
	if (write_implies_read())
		SKIP(return, "Intel's IOMMU driver in 6.x makes everything readable");
}

/* An address is good until PUT, while the device goes on with others. */
TEST_F(iommu, after_put)
{
	struct room *room = &self->room;
	struct uio_buffer buf;
	__u64 addr;

	if (!test_alloc(_metadata, &buf, UIO_MEMORY_SYSTEM, &room->dev,
			room->page))
		return;
	ASSERT_EQ(0, uio_dma_addr(buf.fd, room->dev.fd, &addr));
	load_device(_metadata, room, 104);
	ASSERT_EQ(0, uio_dma_store(&room->dev, addr, LEN));
	EXPECT_EQ(-1, uio_differs(buf.vaddr, LEN, 104));

	uio_fill(buf.vaddr, room->page, 62);
	ASSERT_EQ(0, uio_dma_put(buf.fd, room->dev.fd));
	EXPECT_EQ(1, uio_bus_master(room->dev.name));
	/* An IOMMU may take some time to forget. */
	uio_msleep(50);
	ASSERT_EQ(0, uio_dma_store(&room->dev, addr, LEN));
	EXPECT_EQ(-1, uio_differs(buf.vaddr, room->page, 62));
	expect_store_works(_metadata, room, 104);
	uio_buffer_free(&buf);
}

/* What is mapped for one device is not mapped for another. */
TEST_F(iommu, other_device)
{
	struct room *room = &self->room;
	struct uio_device other;
	struct uio_buffer buf;
	__u64 addr;
	int i, target = -1;

	if (!test_open(_metadata, &other, 1))
		return;
	ASSERT_EQ(0, uio_buffer_alloc_device(&buf, other.number, room->page));
	ASSERT_EQ(0, uio_dma_addr(buf.fd, other.fd, &addr));
	for (i = 0; i < NR_BUFFERS; i++)
		if (room->addr[i] != addr)
			target = i;
	ASSERT_LE(0, target);

	uio_fill(buf.vaddr, room->page, 105);
	ASSERT_EQ(0, uio_dma_fetch(&other, addr, LEN));
	ASSERT_EQ(0, uio_dma_store(&other, room->addr[target], LEN));
	expect_untouched(_metadata, room);
	ASSERT_EQ(0, uio_dma_store(&other, addr + LEN, LEN));
	EXPECT_EQ(-1, uio_differs(buf.vaddr + LEN, LEN, 105));
	uio_close(&other);
	uio_buffer_free(&buf);
}

TEST_HARNESS_MAIN
