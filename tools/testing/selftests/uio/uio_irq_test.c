// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts: none is lost, and every way to wait for one works.
 */
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/syscall.h>

#include "uio_test.h"

#define NR_INTERRUPTS	1000
#define TIMEOUT_MS	10000

/* How long to wait for what is not to happen. */
#define QUIET_MS	20

/* DMA is ended so often, and how late after an interrupt at most */
#define NR_STOPS	2000
#define MAX_SPIN	200

FIXTURE(irq)
{
	struct uio_device dev;
};

FIXTURE_SETUP(irq)
{
	if (!test_open(_metadata, &self->dev, 0))
		return;
}

FIXTURE_TEARDOWN(irq)
{
	uio_close(&self->dev);
}

/* Have the device let go of the line, so that it can be raised again. */
static int finish(struct uio_device *dev)
{
	if (!dev->driver.ops->ack_irq(dev))
		return -EIO;
	return uio_irq_unmask(dev);
}

static void raise_irq(struct uio_device *dev)
{
	dev->driver.ops->send_irq(dev);
}

/* The events poll() reports: 0 if there are none in time. */
static int wait_readable(int fd, int timeout_ms)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };
	int ret = poll(&pfd, 1, timeout_ms);

	return ret > 0 ? pfd.revents : ret;
}

static int read_count(int fd, __u32 *count)
{
	ssize_t n = read(fd, count, sizeof(*count));

	return n < 0 ? -errno : n == sizeof(*count) ? 0 : -EIO;
}

TEST_F_TIMEOUT(irq, none_is_lost, 120)
{
	struct uio_device *dev = &self->dev;
	__u32 first, count;
	int i;

	raise_irq(dev);
	ASSERT_EQ(0, uio_irq_wait(dev->fd, TIMEOUT_MS, &first));
	ASSERT_EQ(0, finish(dev));
	for (i = 1; i <= NR_INTERRUPTS; i++) {
		raise_irq(dev);
		ASSERT_EQ(0, uio_irq_wait(dev->fd, TIMEOUT_MS, &count));
		ASSERT_EQ(first + i, count);
		ASSERT_EQ(0, finish(dev));
	}
	EXPECT_EQ(-ETIMEDOUT, uio_irq_wait(dev->fd, QUIET_MS, &count));
}

/* What arrives while the interrupt is masked arrives when it is unmasked. */
TEST_F(irq, none_is_lost_while_masked)
{
	struct uio_device *dev = &self->dev;
	__u32 first, count;

	raise_irq(dev);
	ASSERT_EQ(0, uio_irq_wait(dev->fd, TIMEOUT_MS, &first));
	ASSERT_TRUE(dev->driver.ops->ack_irq(dev));
	raise_irq(dev);
	EXPECT_EQ(-ETIMEDOUT, uio_irq_wait(dev->fd, QUIET_MS, &count));
	ASSERT_EQ(0, uio_irq_unmask(dev));
	ASSERT_EQ(0, uio_irq_wait(dev->fd, TIMEOUT_MS, &count));
	EXPECT_EQ(first + 1, count);
	EXPECT_EQ(0, finish(dev));
}

TEST_F(irq, is_masked_by_write)
{
	struct uio_device *dev = &self->dev;
	__u32 count;
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, uio_irq_mask(dev));
		raise_irq(dev);
		EXPECT_EQ(-ETIMEDOUT, uio_irq_wait(dev->fd, QUIET_MS, &count));
		ASSERT_EQ(0, uio_irq_unmask(dev));
		ASSERT_EQ(0, uio_irq_wait(dev->fd, TIMEOUT_MS, &count));
		EXPECT_EQ(0, finish(dev));
	}
	raise_irq(dev);
	EXPECT_EQ(0, uio_irq_wait(dev->fd, TIMEOUT_MS, &count));
	EXPECT_EQ(0, finish(dev));
}

/*
 * The kernel masks the interrupt in the register in which it ends DMA: on another CPU
 * and at the same time. What DMA is must not come back with that.
 */
TEST_F_TIMEOUT(irq, does_not_permit_dma_again, 120)
{
	struct uio_device *dev = &self->dev;
	struct uio_buffer buf;
	unsigned int i, spin, permitted = 0;
	cpu_set_t cpu;
	__u32 count;
	__u64 addr;

	if (!uio_is_pci(dev))
		SKIP(return, "no bus master");
	ASSERT_EQ(0, uio_buffer_alloc_device(&buf, dev->number,
					     uio_page_size()));
	for (i = 0; i < NR_STOPS; i++) {
		/* One of them is not the interrupt's. */
		CPU_ZERO(&cpu);
		CPU_SET(i % sysconf(_SC_NPROCESSORS_ONLN), &cpu);
		ASSERT_EQ(0, sched_setaffinity(0, sizeof(cpu), &cpu));
		ASSERT_EQ(0, uio_dma_addr(buf.fd, dev->fd, &addr));
		raise_irq(dev);
		for (spin = 0; spin < i % MAX_SPIN * 10; spin++)
			__atomic_signal_fence(__ATOMIC_SEQ_CST);
		ASSERT_EQ(0, uio_dma_put(buf.fd, dev->fd));
		ASSERT_EQ(0, uio_irq_wait(dev->fd, TIMEOUT_MS, &count));
		permitted += uio_bus_master(dev->name);
		ASSERT_EQ(0, finish(dev));
	}
	EXPECT_EQ(0, permitted);
	uio_buffer_free(&buf);
}

TEST_F(irq, read_takes_four_bytes)
{
	static const size_t wrong[] = { 0, 1, 3, 5, 8, 4096 };
	struct uio_device *dev = &self->dev;
	static char buf[4096];
	void *unmapped;
	unsigned int i;
	__u32 count;

	raise_irq(dev);
	unmapped = make_bad_pointer(POINTER_UNMAPPED, NULL, 4);
	ASSERT_EQ(POLLIN, wait_readable(dev->fd, TIMEOUT_MS));
	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		EXPECT_ERRNO(EINVAL, read(dev->fd, buf, wrong[i]));
	EXPECT_ERRNO(EFAULT, read(dev->fd, unmapped, 4));

	/* None of these has taken it. */
	EXPECT_EQ(0, read_count(dev->fd, &count));
	EXPECT_EQ(0, finish(dev));
}

TEST_F(irq, write_takes_four_bytes)
{
	void *unmapped = make_bad_pointer(POINTER_UNMAPPED, NULL, 4);
	__s32 on[2] = { 1, 1 };

	EXPECT_EQ(4, write(self->dev.fd, on, 4));
	EXPECT_ERRNO(EINVAL, write(self->dev.fd, on, 0));
	EXPECT_ERRNO(EINVAL, write(self->dev.fd, on, 3));
	EXPECT_ERRNO(EINVAL, write(self->dev.fd, on, 8));
	EXPECT_ERRNO(EFAULT, write(self->dev.fd, unmapped, 4));
}

TEST_F(irq, nonblock)
{
	struct uio_device *dev = &self->dev;
	__u32 count;

	ASSERT_EQ(0, fcntl(dev->fd, F_SETFL, O_RDWR | O_NONBLOCK));
	EXPECT_EQ(-EAGAIN, read_count(dev->fd, &count));
	raise_irq(dev);
	ASSERT_EQ(POLLIN, wait_readable(dev->fd, TIMEOUT_MS));
	EXPECT_EQ(0, read_count(dev->fd, &count));
	EXPECT_EQ(-EAGAIN, read_count(dev->fd, &count));
	EXPECT_EQ(0, finish(dev));
}

TEST_F(irq, poll)
{
	struct uio_device *dev = &self->dev;
	__u32 count;

	EXPECT_EQ(0, wait_readable(dev->fd, 0));
	EXPECT_EQ(0, wait_readable(dev->fd, QUIET_MS));
	raise_irq(dev);
	EXPECT_EQ(POLLIN, wait_readable(dev->fd, TIMEOUT_MS));
	EXPECT_EQ(POLLIN, wait_readable(dev->fd, 0));
	EXPECT_EQ(0, read_count(dev->fd, &count));
	EXPECT_EQ(0, wait_readable(dev->fd, 0));
	EXPECT_EQ(0, finish(dev));
}

TEST_F(irq, select)
{
	struct uio_device *dev = &self->dev;
	struct timeval timeout;
	__u32 count;
	fd_set set;

	FD_ZERO(&set);
	FD_SET(dev->fd, &set);
	timeout = (struct timeval) { .tv_usec = QUIET_MS * 1000 };
	EXPECT_EQ(0, select(dev->fd + 1, &set, NULL, NULL, &timeout));
	raise_irq(dev);
	FD_SET(dev->fd, &set);
	timeout = (struct timeval) { .tv_sec = TIMEOUT_MS / 1000 };
	EXPECT_EQ(1, select(dev->fd + 1, &set, NULL, NULL, &timeout));
	EXPECT_EQ(0, read_count(dev->fd, &count));
	EXPECT_EQ(0, finish(dev));
}

TEST_F(irq, epoll)
{
	static const __u32 mode[] = { 0, EPOLLET };
	struct uio_device *dev = &self->dev;
	struct epoll_event event;
	unsigned int i;
	__u32 count;
	int fd;

	for (i = 0; i < ARRAY_SIZE(mode); i++) {
		fd = epoll_create1(EPOLL_CLOEXEC);
		ASSERT_LE(0, fd);
		event = (struct epoll_event) {
			.events = EPOLLIN | mode[i],
			.data.u32 = 4711,
		};
		ASSERT_EQ(0, epoll_ctl(fd, EPOLL_CTL_ADD, dev->fd, &event));
		EXPECT_EQ(0, epoll_wait(fd, &event, 1, QUIET_MS));
		raise_irq(dev);
		EXPECT_EQ(1, epoll_wait(fd, &event, 1, TIMEOUT_MS));
		EXPECT_EQ(EPOLLIN, event.events);
		EXPECT_EQ(4711, event.data.u32);
		EXPECT_EQ(!mode[i], epoll_wait(fd, &event, 1, 0));
		EXPECT_EQ(0, read_count(dev->fd, &count));
		EXPECT_EQ(0, epoll_wait(fd, &event, 1, 0));
		EXPECT_EQ(0, finish(dev));
		close(fd);
	}
}

static sig_atomic_t signals;

static void count_signal(int sig)
{
	signals++;
}

TEST_F(irq, signal)
{
	struct sigaction action = { .sa_handler = count_signal };
	struct uio_device *dev = &self->dev;
	int i, ms;
	__u32 count;

	ASSERT_EQ(0, sigaction(SIGIO, &action, NULL));
	ASSERT_EQ(0, fcntl(dev->fd, F_SETOWN, getpid()));
	ASSERT_EQ(0, fcntl(dev->fd, F_SETFL, O_RDWR | O_ASYNC));
	for (i = 1; i <= 3; i++) {
		raise_irq(dev);
		for (ms = 0; signals < i && ms < TIMEOUT_MS; ms++)
			uio_msleep(1);
		EXPECT_EQ(i, signals);
		EXPECT_EQ(0, read_count(dev->fd, &count));
		EXPECT_EQ(0, finish(dev));
	}
	ASSERT_EQ(0, fcntl(dev->fd, F_SETFL, O_RDWR));
	raise_irq(dev);
	ASSERT_EQ(0, uio_irq_wait(dev->fd, TIMEOUT_MS, &count));
	EXPECT_EQ(3, signals);
	EXPECT_EQ(0, finish(dev));
}

static pid_t start_reader(int fd)
{
	struct sigaction action = { .sa_handler = count_signal };
	pid_t pid = fork();
	__u32 count;

	if (pid)
		return pid;
	sigaction(SIGUSR1, &action, NULL);
	_exit(-read_count(fd, &count));
}

TEST_F(irq, blocked_reader)
{
	struct uio_device *dev = &self->dev;
	int status;
	pid_t pid;

	pid = start_reader(dev->fd);
	ASSERT_LT(0, pid);
	uio_msleep(5 * QUIET_MS);
	EXPECT_EQ(0, waitpid(pid, &status, WNOHANG));
	raise_irq(dev);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, finish(dev));
}

TEST_F(irq, interrupted_reader)
{
	struct uio_device *dev = &self->dev;
	int status;
	pid_t pid;

	pid = start_reader(dev->fd);
	ASSERT_LT(0, pid);
	uio_msleep(5 * QUIET_MS);
	ASSERT_EQ(0, kill(pid, SIGUSR1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	EXPECT_EQ(EINTR, WEXITSTATUS(status));
}

TEST_F(irq, every_file_sees_it)
{
	struct uio_device *dev = &self->dev;
	__u32 count, other;
	int fd;

	raise_irq(dev);
	ASSERT_EQ(POLLIN, wait_readable(dev->fd, TIMEOUT_MS));
	fd = uio_open_fd(dev->number, O_RDWR);
	ASSERT_LE(0, fd);

	/* What was before it was opened does not concern it. */
	EXPECT_EQ(0, wait_readable(fd, 0));
	EXPECT_EQ(0, read_count(dev->fd, &count));
	EXPECT_EQ(0, finish(dev));

	raise_irq(dev);
	EXPECT_EQ(0, uio_irq_wait(fd, TIMEOUT_MS, &other));
	EXPECT_EQ(count + 1, other);
	EXPECT_EQ(0, uio_irq_wait(dev->fd, TIMEOUT_MS, &other));
	EXPECT_EQ(count + 1, other);
	EXPECT_EQ(0, finish(dev));
	close(fd);

	/* Its end is not the end. */
	raise_irq(dev);
	EXPECT_EQ(0, uio_irq_wait(dev->fd, TIMEOUT_MS, &other));
	EXPECT_EQ(count + 2, other);
	EXPECT_EQ(0, finish(dev));
}

TEST_F(irq, count_in_sysfs)
{
	struct uio_device *dev = &self->dev;
	char path[UIO_PATH_LEN];
	__u64 event;
	__u32 count;

	raise_irq(dev);
	ASSERT_EQ(0, uio_irq_wait(dev->fd, TIMEOUT_MS, &count));
	ASSERT_EQ(0, uio_attr_path(dev->number, "event", path, sizeof(path)));
	ASSERT_EQ(0, uio_read_u64(path, &event));
	EXPECT_EQ(count, event);
	EXPECT_EQ(0, finish(dev));
}

/* Each device has its own, even where they share a line. */
TEST_F(irq, several_devices)
{
	struct uio_device other;
	__u32 first[2], count;
	int i;

	if (!test_open(_metadata, &other, 1))
		return;
	raise_irq(&self->dev);
	raise_irq(&other);
	ASSERT_EQ(0, uio_irq_wait(other.fd, TIMEOUT_MS, &first[1]));
	ASSERT_EQ(0, uio_irq_wait(self->dev.fd, TIMEOUT_MS, &first[0]));
	ASSERT_EQ(0, finish(&self->dev));
	ASSERT_EQ(0, finish(&other));

	for (i = 1; i <= 20; i++) {
		raise_irq(&other);
		ASSERT_EQ(0, uio_irq_wait(other.fd, TIMEOUT_MS, &count));
		EXPECT_EQ(first[1] + i, count);
		EXPECT_EQ(0, wait_readable(self->dev.fd, 0));
		ASSERT_EQ(0, finish(&other));
	}
	raise_irq(&self->dev);
	ASSERT_EQ(0, uio_irq_wait(self->dev.fd, TIMEOUT_MS, &count));
	EXPECT_EQ(first[0] + 1, count);
	EXPECT_EQ(0, finish(&self->dev));
	uio_close(&other);
}

/* Somebody died with the interrupt asserted: the next user gets his own. */
TEST_F(irq, next_user)
{
	const char *name = uio_test_device(0);
	__u32 count;

	raise_irq(&self->dev);
	ASSERT_EQ(POLLIN, wait_readable(self->dev.fd, TIMEOUT_MS));
	close(self->dev.fd);
	ASSERT_EQ(0, uio_open_driver(&self->dev, name));
	EXPECT_EQ(-ETIMEDOUT, uio_irq_wait(self->dev.fd, QUIET_MS, &count));
	raise_irq(&self->dev);
	EXPECT_EQ(0, uio_irq_wait(self->dev.fd, TIMEOUT_MS, &count));
	EXPECT_EQ(0, finish(&self->dev));
}

TEST_HARNESS_MAIN
