// SPDX-License-Identifier: GPL-2.0
/*
 * A device whose user died with buffers mapped does not go on when the next
 * user is given DMA: it is reset.
 *
 * Needs a PCI function that can be reset and has MSI-X, which no driver here
 * uses: the function's MSI-X mask bit is a mark that only a reset removes, since
 * the kernel restores it after a reset only if it has enabled MSI-X.
 * UIO_TEST_RESET_DEVICE in the environment names another one than that of vm/.
 */
#include <linux/pci_regs.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "uio_test.h"

#define MSIX_CONTROL_MASK_HIGH	(PCI_MSIX_FLAGS_MASKALL >> 8)

static const char *reset_device(void)
{
	const char *name = getenv("UIO_TEST_RESET_DEVICE");

	return name ? name : "0000:00:16.0";
}

/* Where in config space the upper half of the MSI-X control word is. */
static int find_mark(int config)
{
	unsigned char where = PCI_CAPABILITY_LIST, cap[2];
	int i;

	for (i = 0; i < 48; i++) {
		if (pread(config, &where, 1, where) != 1 || where < 0x40)
			return -1;
		if (pread(config, cap, 2, where) != 2)
			return -1;
		if (cap[0] == PCI_CAP_ID_MSIX)
			return where + PCI_MSIX_FLAGS + 1;
		where += PCI_CAP_LIST_NEXT;
	}
	return -1;
}

FIXTURE(reset)
{
	struct uio_device dev;
	struct uio_buffer buf;
	int config;
	int mark;
};

FIXTURE_SETUP(reset)
{
	char dir[UIO_PATH_LEN], path[UIO_PATH_LEN + 16];

	self->dev.fd = -1;
	self->buf.fd = -1;
	self->config = -1;
	if (uio_sysfs_dir(reset_device(), dir, sizeof(dir)))
		SKIP_WITHOUT(return, "no device %s", reset_device());
	snprintf(path, sizeof(path), "%s/reset", dir);
	if (access(path, F_OK))
		SKIP_WITHOUT(return, "%s cannot be reset", reset_device());

	ASSERT_LE(0, uio_bind(reset_device(), "uio_pci_generic"));
	ASSERT_EQ(0, uio_open(&self->dev, reset_device()));
	ASSERT_EQ(0, uio_buffer_alloc_device(&self->buf, self->dev.number, 4096));

	snprintf(path, sizeof(path), "%s/config", dir);
	self->config = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->config);
	self->mark = find_mark(self->config);
	if (self->mark < 0)
		SKIP_WITHOUT(return, "%s has no MSI-X", reset_device());
}

FIXTURE_TEARDOWN(reset)
{
	if (self->config >= 0)
		close(self->config);
	uio_buffer_free(&self->buf);
	uio_close(&self->dev);
}

static void make_mark(struct __test_metadata *_metadata, int config, int mark)
{
	unsigned char byte;

	ASSERT_EQ(1, pread(config, &byte, 1, mark));
	byte |= MSIX_CONTROL_MASK_HIGH;
	ASSERT_EQ(1, pwrite(config, &byte, 1, mark));
	ASSERT_EQ(1, pread(config, &byte, 1, mark));
	ASSERT_EQ(MSIX_CONTROL_MASK_HIGH, byte & MSIX_CONTROL_MASK_HIGH);
}

static bool was_reset(struct __test_metadata *_metadata, int config, int mark)
{
	unsigned char byte = 0;

	EXPECT_EQ(1, pread(config, &byte, 1, mark));
	return !(byte & MSIX_CONTROL_MASK_HIGH);
}

TEST_F(reset, left_mapped)
{
	__u64 addr;

	make_mark(_metadata, self->config, self->mark);
	ASSERT_EQ(0, uio_dma_addr(self->buf.fd, self->dev.fd, &addr));
	EXPECT_FALSE(was_reset(_metadata, self->config, self->mark));
	uio_close(&self->dev);
	EXPECT_TRUE(was_reset(_metadata, self->config, self->mark));
	EXPECT_EQ(0, uio_bus_master(reset_device()));

	/* and it works as before */
	ASSERT_EQ(0, uio_open(&self->dev, reset_device()));
	EXPECT_EQ(0, uio_dma_addr(self->buf.fd, self->dev.fd, &addr));
	EXPECT_EQ(1, uio_bus_master(reset_device()));
}

TEST_F(reset, given_back)
{
	__u64 addr;

	make_mark(_metadata, self->config, self->mark);
	ASSERT_EQ(0, uio_dma_addr(self->buf.fd, self->dev.fd, &addr));
	ASSERT_EQ(0, uio_dma_put(self->buf.fd, self->dev.fd));
	uio_close(&self->dev);
	EXPECT_FALSE(was_reset(_metadata, self->config, self->mark));
}

TEST_F(reset, never_mapped)
{
	make_mark(_metadata, self->config, self->mark);
	uio_close(&self->dev);
	EXPECT_FALSE(was_reset(_metadata, self->config, self->mark));
}

TEST_F(reset, killed)
{
	struct uio_device dev;
	char byte;
	int fds[2];
	pid_t pid;

	make_mark(_metadata, self->config, self->mark);
	uio_close(&self->dev);
	ASSERT_EQ(0, pipe(fds));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		__u64 addr;

		if (!uio_open(&dev, reset_device()) &&
		    !uio_dma_addr(self->buf.fd, dev.fd, &addr) &&
		    write(fds[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	close(fds[1]);
	EXPECT_EQ(1, read(fds[0], &byte, 1));
	close(fds[0]);
	EXPECT_FALSE(was_reset(_metadata, self->config, self->mark));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_TRUE(was_reset(_metadata, self->config, self->mark));
}

/* Whoever else has the device open keeps what he has set up. */
TEST_F(reset, while_open_elsewhere)
{
	struct uio_device other;
	__u64 addr;

	make_mark(_metadata, self->config, self->mark);
	ASSERT_EQ(0, uio_open(&other, reset_device()));
	ASSERT_EQ(0, uio_dma_addr(self->buf.fd, self->dev.fd, &addr));
	uio_close(&self->dev);
	EXPECT_EQ(0, uio_bus_master(reset_device()));
	EXPECT_FALSE(was_reset(_metadata, self->config, self->mark));
	uio_close(&other);
	EXPECT_TRUE(was_reset(_metadata, self->config, self->mark));
}

TEST_F(reset, unbound)
{
	__u64 addr;

	make_mark(_metadata, self->config, self->mark);
	ASSERT_EQ(0, uio_dma_addr(self->buf.fd, self->dev.fd, &addr));
	ASSERT_LE(0, uio_unbind(reset_device()));
	EXPECT_TRUE(was_reset(_metadata, self->config, self->mark));
	EXPECT_EQ(0, uio_bus_master(reset_device()));
}

TEST_F(reset, unbound_without_need)
{
	__u64 addr;

	make_mark(_metadata, self->config, self->mark);
	ASSERT_EQ(0, uio_dma_addr(self->buf.fd, self->dev.fd, &addr));
	ASSERT_EQ(0, uio_dma_put(self->buf.fd, self->dev.fd));
	ASSERT_LE(0, uio_unbind(reset_device()));
	EXPECT_FALSE(was_reset(_metadata, self->config, self->mark));
}

TEST_HARNESS_MAIN
