// SPDX-License-Identifier: GPL-2.0
/*
 * Every memory BAR of a PCI device is a map, and those that have been maps ever
 * since keep their numbers.
 */
#include <stdio.h>
#include <stdlib.h>

#include "uio_io.h"
#include "uio_test.h"

#define NR_BARS		6

/* Of the third column of the file "resource", see include/linux/ioport.h. */
#define RESOURCE_MEM		0x00000200
#define RESOURCE_PREFETCH	0x00002000
#define RESOURCE_MEM_64		0x00100000

struct bar {
	__u64 start;
	__u64 size;
	__u64 flags;
};

FIXTURE(bars)
{
	struct uio_device dev;
	struct bar bar[NR_BARS];
};

FIXTURE_VARIANT(bars)
{
	const char *name;
};

/* A 32-bit BAR only. */
FIXTURE_VARIANT_ADD(bars, edu) { .name = "0000:00:04.0" };

/* A 64-bit BAR only. */
FIXTURE_VARIANT_ADD(bars, nvme) { .name = "0000:00:16.0" };

/* A 64-bit BAR before a 32-bit one. */
FIXTURE_VARIANT_ADD(bars, nvme_two_bars) { .name = "0000:00:17.0" };

FIXTURE_SETUP(bars)
{
	char dir[UIO_PATH_LEN], path[UIO_PATH_LEN + 16];
	char line[128], *at;
	__u64 end;
	FILE *f;
	int i;

	self->dev.fd = -1;
	if (uio_sysfs_dir(variant->name, dir, sizeof(dir)))
		SKIP_WITHOUT(return, "no device %s", variant->name);
	ASSERT_LE(0, uio_bind(variant->name, "uio_pci_generic"));
	ASSERT_EQ(0, uio_open(&self->dev, variant->name));

	snprintf(path, sizeof(path), "%s/resource", dir);
	f = fopen(path, "re");
	ASSERT_NE(NULL, f);
	for (i = 0; i < NR_BARS; i++) {
		ASSERT_NE(NULL, fgets(line, sizeof(line), f));
		self->bar[i].start = strtoull(line, &at, 16);
		end = strtoull(at, &at, 16);
		self->bar[i].flags = strtoull(at, NULL, 16);
		self->bar[i].size = end - self->bar[i].start + 1;
	}
	fclose(f);
}

FIXTURE_TEARDOWN(bars)
{
	uio_close(&self->dev);
}

static bool is_plain(const struct bar *bar)
{
	return (bar->flags & RESOURCE_MEM) &&
	       !(bar->flags & (RESOURCE_PREFETCH | RESOURCE_MEM_64));
}

static void expect_map(struct __test_metadata *_metadata,
		       const struct uio_device *dev, unsigned int index,
		       const struct bar *bar)
{
	__u64 page = uio_page_size();

	ASSERT_LT(index, dev->nr_maps);
	EXPECT_EQ(bar->start, dev->map[index].addr + dev->map[index].offset);
	EXPECT_EQ((bar->start % page + bar->size + page - 1) / page * page,
		  dev->map[index].size);
}

TEST_F(bars, all_in_order)
{
	unsigned int nr = 0;
	int i;

	for (i = 0; i < NR_BARS; i++) {
		if (is_plain(&self->bar[i]))
			expect_map(_metadata, &self->dev, nr++, &self->bar[i]);
	}
	for (i = 0; i < NR_BARS; i++) {
		if ((self->bar[i].flags & RESOURCE_MEM) && !is_plain(&self->bar[i]))
			expect_map(_metadata, &self->dev, nr++, &self->bar[i]);
	}
	EXPECT_LT(0, nr);
	EXPECT_EQ(nr, self->dev.nr_maps);
}

/* What is seen through the map is what sysfs shows of that BAR. */
TEST_F(bars, same_registers)
{
	char path[UIO_PATH_LEN + 16];
	void *map, *sysfs;
	int fd, i, index;

	/* The first register is an identification that is not zero. */
	for (i = 0; i < NR_BARS && !(self->bar[i].flags & RESOURCE_MEM); i++)
		;
	ASSERT_LT(i, NR_BARS);
	index = uio_pci_bar_map(&self->dev, i);
	ASSERT_LE(0, index);
	map = uio_mmap(&self->dev, index);
	ASSERT_NE(MAP_FAILED, map);

	snprintf(path, sizeof(path), "%s/resource%d", self->dev.sysfs, i);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	sysfs = mmap(NULL, self->bar[i].size, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	ASSERT_NE(MAP_FAILED, sysfs);

	EXPECT_NE(0, uio_read32(map, 0));
	EXPECT_EQ(uio_read32(sysfs, 0), uio_read32(map, 0));
	munmap(sysfs, self->bar[i].size);
	munmap(map, self->dev.map[index].size);
}

TEST_HARNESS_MAIN
