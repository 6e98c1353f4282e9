// SPDX-License-Identifier: GPL-2.0
/*
 * Who may do what? Files are opened, inherited and passed on as those of any
 * other device. An address, which without an IOMMU around the device is as good
 * as all of memory, takes more.
 */
#include <grp.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <linux/capability.h>

#include "uio_test.h"

#define NOBODY		65534
#define TAINT_USER	0x40

/* What a child tells if it could not even try: no errno. */
#define CHILD_BROKE	200

FIXTURE(nobody)
{
	struct uio_device dev;
	struct uio_buffer buf;
	char heap[UIO_PATH_LEN];
	char node[UIO_NAME_LEN];
	struct snapshot old;
	int get;
};

FIXTURE_VARIANT(nobody)
{
	bool rawio;
};

FIXTURE_VARIANT_ADD(nobody, plain) { .rawio = false };
FIXTURE_VARIANT_ADD(nobody, rawio) { .rawio = true };

/* -ENOENT if the kernel does not know of such things. */
static int locked_down(void)
{
	char text[64];
	int ret;

	ret = uio_read_text("/sys/kernel/security/lockdown", text, sizeof(text));
	return ret < 0 ? ret : !strstr(text, "[none]");
}

static __u64 user_taint(void)
{
	__u64 val = 0;

	uio_read_u64("/proc/sys/kernel/tainted", &val);
	return val & TAINT_USER;
}

/* What GET has to answer somebody who has the files. */
static int allowed_to_get(const struct uio_device *dev, bool rawio)
{
	if (uio_iommu_translates(dev->name))
		return 0;
	return rawio && locked_down() <= 0 ? 0 : -EPERM;
}

static bool set_capabilities(__u32 caps)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2] = {
		{ .effective = caps, .permitted = caps },
	};

	return !syscall(SYS_capset, &head, data);
}

static bool become_nobody(bool rawio)
{
	return !prctl(PR_SET_KEEPCAPS, 1) && !setgroups(0, NULL) &&
	       !setresgid(NOBODY, NOBODY, NOBODY) &&
	       !setresuid(NOBODY, NOBODY, NOBODY) &&
	       set_capabilities(rawio ? 1U << CAP_SYS_RAWIO : 0);
}

FIXTURE_SETUP(nobody)
{
	char name[UIO_NAME_LEN];

	if (!test_open(_metadata, &self->dev, 0))
		return;
	ASSERT_EQ(0, uio_heap_name(self->dev.number, name, sizeof(name)));
	snprintf(self->heap, sizeof(self->heap), "/dev/dma_heap/%s", name);
	snprintf(self->node, sizeof(self->node), "/dev/uio%d",
		 self->dev.number);
	ASSERT_EQ(0, uio_buffer_alloc_device(&self->buf, self->dev.number,
					     uio_page_size()));
	self->get = allowed_to_get(&self->dev, variant->rawio);
	self->old = take_snapshot(&self->dev);
	EXPECT_EQ(0, self->old.bus_master);
}

FIXTURE_TEARDOWN(nobody)
{
	EXPECT_EQ(0, chown(self->heap, 0, 0) | chmod(self->heap, 0600));
	EXPECT_EQ(0, chown(self->node, 0, 0) | chmod(self->node, 0600));
	expect_unchanged(_metadata, &self->dev, &self->old);
	uio_buffer_free(&self->buf);
	uio_close(&self->dev);
}

/* What udev does to give a file to a group. */
static bool give_to_group(const char *path, mode_t mode)
{
	return !chown(path, 0, NOBODY) && !chmod(path, mode);
}

/* Run what follows as somebody else: the pid, or 0 in the child. */
static pid_t fork_nobody(bool rawio)
{
	pid_t pid = fork();

	if (!pid && !become_nobody(rawio))
		_exit(CHILD_BROKE);
	return pid;
}

/* The answer of a child, which passes -errno as its exit status. */
static int answer_of(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -CHILD_BROKE;
	return -WEXITSTATUS(status);
}

static int open_errno(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		return errno;
	close(fd);
	return 0;
}

static int get_errno(int dmabuf, int dev_fd)
{
	__u64 addr;

	return -uio_dma_addr(dmabuf, dev_fd, &addr);
}

static int open_as_nobody(const char *path, int flags, bool rawio)
{
	pid_t pid = fork_nobody(rawio);

	if (!pid)
		_exit(open_errno(path, flags));
	return answer_of(pid);
}

/* As long as nobody has given the files away. */
TEST_F(nobody, cannot_open_heap)
{
	EXPECT_EQ(-EACCES, open_as_nobody(self->heap, O_RDONLY, variant->rawio));
	EXPECT_EQ(-EACCES, open_as_nobody(self->heap, O_RDWR, variant->rawio));
}

TEST_F(nobody, cannot_open_device)
{
	EXPECT_EQ(-EACCES, open_as_nobody(self->node, O_RDONLY, variant->rawio));
	EXPECT_EQ(-EACCES, open_as_nobody(self->node, O_RDWR, variant->rawio));
}

TEST_F(nobody, cannot_set_mask)
{
	pid_t pid = fork_nobody(variant->rawio);

	if (!pid)
		_exit(uio_dma_mask_bits(self->dev.number) != 32 ? CHILD_BROKE :
		      -uio_set_dma_mask_bits(self->dev.number, 31));
	EXPECT_EQ(-EACCES, answer_of(pid));
	EXPECT_EQ(32, uio_dma_mask_bits(self->dev.number));
}

/* Memory is all that the heap alone gives: nothing happens to the device. */
TEST_F(nobody, with_heap_has_memory)
{
	const char *text = strrchr(self->heap, '/') + 1;
	struct uio_buffer buf;
	pid_t pid;

	ASSERT_TRUE(give_to_group(self->heap, 0640));
	pid = fork_nobody(variant->rawio);
	if (!pid) {
		if (uio_buffer_alloc(&buf, text, 4096))
			_exit(CHILD_BROKE);
		uio_fill(buf.vaddr, 4096, 1);
		if (uio_buffer_begin_cpu(&buf) || uio_buffer_end_cpu(&buf) ||
		    uio_differs(buf.vaddr, 4096, 1) >= 0)
			_exit(CHILD_BROKE);
		_exit(open_errno(self->node, O_RDWR));
	}
	EXPECT_EQ(-EACCES, answer_of(pid));
}

/* The same group may not have the device, but what was left open of it. */
TEST_F(nobody, with_heap_and_inherited_device)
{
	const char *text = strrchr(self->heap, '/') + 1;
	struct uio_buffer buf;
	pid_t pid;

	ASSERT_TRUE(give_to_group(self->heap, 0640));
	pid = fork_nobody(variant->rawio);
	if (!pid)
		_exit(uio_buffer_alloc(&buf, text, 4096) ? CHILD_BROKE :
		      get_errno(buf.fd, self->dev.fd));
	EXPECT_EQ(self->get, answer_of(pid));

	/* The mapping is one of the open file, and holds the buffer. */
	if (!self->get) {
		EXPECT_EQ(1, uio_bus_master(self->dev.name));
		EXPECT_EQ(self->old.dmabufs + 1, uio_count_dmabufs());
		uio_close(&self->dev);
		ASSERT_EQ(0, uio_open_driver(&self->dev, uio_test_device(0)));
	}
}

/* Registers, yes. Whether the device may then do DMA is another question. */
TEST_F(nobody, with_device_has_registers)
{
	int dmabuf = self->buf.fd, fd;
	void *regs;
	pid_t pid;

	ASSERT_TRUE(give_to_group(self->node, 0660));
	pid = fork_nobody(variant->rawio);
	if (!pid) {
		fd = uio_open_fd(self->dev.number, O_RDWR);
		if (fd < 0)
			_exit(CHILD_BROKE);
		regs = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			    0);
		if (regs == MAP_FAILED || uio_touch(regs))
			_exit(CHILD_BROKE);
		_exit(get_errno(dmabuf, fd));
	}
	EXPECT_EQ(self->get, answer_of(pid));
	EXPECT_EQ(-EACCES, open_as_nobody(self->heap, O_RDONLY, variant->rawio));
}

/* Raise an interrupt twice and handle it: 0, or a negative errno. */
static int handle_interrupts(struct uio_device *dev)
{
	__u32 count;
	int i, ret;

	for (i = 0; i < 2; i++) {
		dev->driver.ops->send_irq(dev);
		ret = uio_irq_wait(dev->fd, 10000, &count);
		if (ret)
			return ret;
		if (!dev->driver.ops->ack_irq(dev))
			return -EIO;
		ret = uio_irq_unmask(dev);
		if (ret)
			return ret;
	}
	return 0;
}

/* Whatever the isolation is, and even if the kernel is locked down */
TEST_F(nobody, with_inherited_device_has_interrupts)
{
	pid_t pid = fork_nobody(variant->rawio);

	if (!pid)
		_exit(-handle_interrupts(&self->dev));
	EXPECT_EQ(0, answer_of(pid));
}

TEST_F(nobody, with_read_only_device)
{
	int dmabuf = self->buf.fd, fd;
	pid_t pid;

	ASSERT_TRUE(give_to_group(self->node, 0640));
	EXPECT_EQ(-EACCES, open_as_nobody(self->node, O_RDWR, variant->rawio));
	pid = fork_nobody(variant->rawio);
	if (!pid) {
		fd = uio_open_fd(self->dev.number, O_RDONLY);
		_exit(fd < 0 ? CHILD_BROKE : get_errno(dmabuf, fd));
	}
	EXPECT_EQ(-EACCES, answer_of(pid));
}

TEST_F(nobody, with_inherited_files)
{
	int dmabuf = self->buf.fd, dev_fd = self->dev.fd;
	pid_t pid = fork_nobody(variant->rawio);

	if (!pid)
		_exit(get_errno(dmabuf, dev_fd));
	EXPECT_EQ(self->get, answer_of(pid));
	EXPECT_EQ(self->get ? 0 : 1, uio_bus_master(self->dev.name));
	EXPECT_EQ(self->get ? -ENOENT : 0, uio_dma_put(dmabuf, dev_fd));
}

static int send_fds(int sock, int *fds)
{
	char control[CMSG_SPACE(2 * sizeof(int))] = {};
	struct iovec byte = { .iov_base = "", .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &byte,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(2 * sizeof(int));
	memcpy(CMSG_DATA(head), fds, 2 * sizeof(int));
	return sendmsg(sock, &msg, 0) == 1 ? 0 : -errno;
}

static int receive_fds(int sock, int *fds)
{
	char control[CMSG_SPACE(2 * sizeof(int))], c;
	struct iovec byte = { .iov_base = &c, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &byte,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *head;

	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) != 1)
		return -errno;
	head = CMSG_FIRSTHDR(&msg);
	if (!head || head->cmsg_len != CMSG_LEN(2 * sizeof(int)))
		return -EIO;
	memcpy(fds, CMSG_DATA(head), 2 * sizeof(int));
	return 0;
}

/* They come from a process that could have asked itself. */
TEST_F(nobody, with_passed_files)
{
	int sock[2], fds[2] = { self->buf.fd, self->dev.fd };
	unsigned char *mem;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sock));
	pid = fork_nobody(variant->rawio);
	if (!pid) {
		close(self->buf.fd);
		close(self->dev.fd);
		if (receive_fds(sock[1], fds))
			_exit(CHILD_BROKE);
		mem = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
			   fds[0], 0);
		if (mem == MAP_FAILED)
			_exit(CHILD_BROKE);
		uio_fill(mem, 4096, 5);
		_exit(get_errno(fds[0], fds[1]));
	}
	EXPECT_EQ(0, send_fds(sock[0], fds));
	EXPECT_EQ(self->get, answer_of(pid));
	EXPECT_EQ(-1, uio_differs(self->buf.vaddr, 4096, 5));
	EXPECT_EQ(self->get ? -ENOENT : 0, uio_dma_put(fds[0], fds[1]));
	close(sock[0]);
	close(sock[1]);
}

/* Being told an address a second time takes the same as the first time. */
TEST_F(nobody, after_root_has_asked)
{
	int dmabuf = self->buf.fd, dev_fd = self->dev.fd;
	pid_t pid;

	if (allowed_to_get(&self->dev, true))
		SKIP(return, "nobody is told an address here");
	ASSERT_EQ(0, get_errno(dmabuf, dev_fd));
	pid = fork_nobody(variant->rawio);
	if (!pid)
		_exit(get_errno(dmabuf, dev_fd));
	EXPECT_EQ(self->get, answer_of(pid));

	/* Ending it takes nothing but the files. */
	pid = fork_nobody(variant->rawio);
	if (!pid)
		_exit(-uio_dma_put(dmabuf, dev_fd));
	EXPECT_EQ(0, answer_of(pid));
	EXPECT_EQ(-ENOENT, uio_dma_put(dmabuf, dev_fd));
}

/* Only addresses that mean something to the machine taint it. */
TEST_F(nobody, taints)
{
	bool confined = uio_iommu_translates(self->dev.name);
	int dmabuf = self->buf.fd, dev_fd = self->dev.fd;
	__u64 before = user_taint();
	pid_t pid = fork_nobody(variant->rawio);

	if (!pid)
		_exit(get_errno(dmabuf, dev_fd));
	EXPECT_EQ(self->get, answer_of(pid));
	EXPECT_EQ(self->get || confined ? before : TAINT_USER, user_taint());
	EXPECT_EQ(self->get ? -ENOENT : 0, uio_dma_put(dmabuf, dev_fd));
}

FIXTURE(root)
{
	struct uio_device dev;
	struct uio_buffer buf;
};

FIXTURE_SETUP(root)
{
	if (!test_open(_metadata, &self->dev, 0))
		return;
	ASSERT_EQ(0, uio_buffer_alloc_device(&self->buf, self->dev.number,
					     uio_page_size()));
}

FIXTURE_TEARDOWN(root)
{
	uio_buffer_free(&self->buf);
	uio_close(&self->dev);
}

/* Root lacks one capability: nothing else makes up for it. */
TEST_F(root, without_rawio)
{
	int dmabuf = self->buf.fd, dev_fd = self->dev.fd;
	int get = allowed_to_get(&self->dev, false);
	pid_t pid = fork();

	if (!pid)
		_exit(set_capabilities(~(1U << CAP_SYS_RAWIO)) ?
		      get_errno(dmabuf, dev_fd) : CHILD_BROKE);
	EXPECT_EQ(get, answer_of(pid));
	EXPECT_EQ(get ? -ENOENT : 0, uio_dma_put(dmabuf, dev_fd));
}

static bool become_root_of_namespace(void)
{
	return become_nobody(false) && !prctl(PR_SET_DUMPABLE, 1) &&
	       !unshare(CLONE_NEWUSER) &&
	       !uio_write_text("/proc/self/uid_map", "0 65534 1") && !getuid();
}

/* All capabilities, but not those over the machine. */
TEST_F(root, of_a_namespace)
{
	int dmabuf = self->buf.fd, dev_fd = self->dev.fd;
	int get = allowed_to_get(&self->dev, false);
	pid_t pid;

	if (access("/proc/self/ns/user", F_OK))
		SKIP(return, "no user namespaces here: CONFIG_USER_NS?");
	pid = fork();
	if (!pid)
		_exit(become_root_of_namespace() ? get_errno(dmabuf, dev_fd) :
		      CHILD_BROKE);
	EXPECT_EQ(get, answer_of(pid));
	EXPECT_EQ(get ? -ENOENT : 0, uio_dma_put(dmabuf, dev_fd));
}

TEST_F(root, of_a_namespace_cannot_open_heap)
{
	char name[UIO_NAME_LEN], path[UIO_PATH_LEN];
	pid_t pid;

	if (access("/proc/self/ns/user", F_OK))
		SKIP(return, "no user namespaces here: CONFIG_USER_NS?");
	ASSERT_EQ(0, uio_heap_name(self->dev.number, name, sizeof(name)));
	snprintf(path, sizeof(path), "/dev/dma_heap/%s", name);
	pid = fork();
	if (!pid)
		_exit(become_root_of_namespace() ? open_errno(path, O_RDONLY) :
		      CHILD_BROKE);
	EXPECT_EQ(-EACCES, answer_of(pid));
}

/* In a kernel that is locked down root is told no more than anybody else. */
TEST_F(root, locked_down)
{
	int dmabuf = self->buf.fd, dev_fd = self->dev.fd;
	bool confined = uio_iommu_translates(self->dev.name);
	__u64 before = user_taint();

	if (locked_down() <= 0)
		SKIP(return, "this kernel is not locked down");
	EXPECT_EQ(confined ? 0 : EPERM, get_errno(dmabuf, dev_fd));
	EXPECT_EQ(confined, uio_bus_master(self->dev.name));
	EXPECT_EQ(before, user_taint());
	EXPECT_EQ(confined ? 0 : -ENOENT, uio_dma_put(dmabuf, dev_fd));
	EXPECT_EQ(0, uio_bus_master(self->dev.name));

	/* What is not locked down is as always. */
	uio_fill(self->buf.vaddr, uio_page_size(), 3);
	EXPECT_EQ(-1, uio_differs(self->buf.vaddr, uio_page_size(), 3));
	EXPECT_EQ(0, uio_touch(self->dev.regs));
}

/* Bus mastering by hand, which the call would be a way around. */
TEST_F(root, locked_down_by_hand)
{
	if (locked_down() <= 0)
		SKIP(return, "this kernel is not locked down");
	EXPECT_EQ(-EPERM, uio_set_bus_master(self->dev.name, true));
	EXPECT_EQ(0, uio_bus_master(self->dev.name));
}

TEST_HARNESS_MAIN
