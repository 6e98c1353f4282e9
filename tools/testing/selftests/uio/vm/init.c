// SPDX-License-Identifier: GPL-2.0
/*
 * Process 1 of a test boot: load modules, run programs, report.
 *
 * Reports go to the virtio port "result", line by line: what programs print,
 * and between that lines of our own, which start with "@@ ":
 *
 *	@@ begin NAME		what follows comes from NAME
 *	@@ end NAME STATUS	it ended: "exit N", "signal N" or "timeout"
 *	@@ kernel NAME TEXT	the kernel logged TEXT while NAME ran
 *	@@ done			nothing is missing above
 *
 * If there is a port "gcov", it gets what the kernel has counted, as a tar file.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KUNIT_DIR	"/sys/kernel/debug/kunit"
#define MAX_ARGS	16

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

static int result_fd = STDOUT_FILENO;
static int kmsg_fd = -1;

/* Kernel messages that fail a test, wherever they come from. */
static const char * const bad_messages[] = {
	"BUG:", "WARNING:", "Oops", "KASAN:", "UBSAN:", "kernel BUG at",
	"general protection fault", "unable to handle",
	"DMA-API: device driver", "DMA-API: cacheline", "DMA-API: exceeded",
	"DMA-API: debugging out of memory",
	"possible recursive locking", "circular locking dependency",
	"inconsistent lock state", "suspicious RCU usage", "held lock freed",
	"lock held when returning to user space", "bad unlock balance",
	"Disabling lock debugging",
	"blocked for more than", "soft lockup", "self-detected stall",
	"detected stalls on CPUs",
	"refcount_t:", "ODEBUG:", "list_add corruption", "list_del corruption",
	"page_table_check:", "new suspected memory leaks", "Bad page state",
	"bad: scheduling from", "scheduling while atomic",
	"is not cleared by driver", "does not have a release() function",
};

/* The port's number depends on the order of devices, its name does not. */
static int open_port(const char *port)
{
	char path[300], name[32];
	struct dirent *d;
	DIR *dir;
	FILE *f;
	int fd = -1;

	dir = opendir("/sys/class/virtio-ports");
	if (!dir)
		return -1;
	while (fd < 0 && (d = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", d->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		if (!fgets(name, sizeof(name), f))
			name[0] = '\0';
		name[strcspn(name, "\n")] = '\0';
		if (!strcmp(name, port)) {
			snprintf(path, sizeof(path), "/dev/%s", d->d_name);
			fd = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
		}
		fclose(f);
	}
	closedir(dir);
	return fd;
}

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done;

	done = fd >= 0 && write(fd, text, strlen(text)) >= 0;
	close(fd);
	return done;
}

static bool wait_writable(int fd)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };

	return poll(&pfd, 1, 1000) > 0 && pfd.revents & POLLOUT;
}

/* The port gets its name, by which it is found, from the host. */
static bool open_result(void)
{
	int i;

	for (i = 0; i < 50; i++) {
		result_fd = open_port("result");
		if (result_fd >= 0)
			break;
		usleep(20000);
	}
	if (result_fd >= 0 && wait_writable(result_fd))
		return true;
	close(result_fd);
	return false;
}

/*
 * After a suspend the port may take the host for disconnected: Linux asks for
 * its state before there is room for the answer. Binding asks again. The next
 * suspend may come before the answer does.
 */
static void reconnect_result(void)
{
	static const char driver[] = "/sys/bus/virtio/drivers/virtio_console";
	char path[300], name[256] = "";
	struct dirent *d;
	DIR *dir;
	int i;

	dir = opendir(driver);
	while (dir && (d = readdir(dir)))
		if (!strncmp(d->d_name, "virtio", 6))
			snprintf(name, sizeof(name), "%.255s", d->d_name);
	if (dir)
		closedir(dir);
	close(result_fd);
	for (i = 0; i < 20; i++) {
		snprintf(path, sizeof(path), "%s/unbind", driver);
		write_file(path, name);
		snprintf(path, sizeof(path), "%s/bind", driver);
		write_file(path, name);
		if (open_result())
			return;
	}
	result_fd = STDOUT_FILENO;
}

static void write_all(int fd, const char *buf, size_t len)
{
	ssize_t n;

	while (len) {
		n = write(fd, buf, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN && wait_writable(fd))
			continue;
		if (n <= 0)
			return;
		buf += n;
		len -= n;
	}
}

static void output(const char *buf, size_t len)
{
	if (result_fd != STDOUT_FILENO) {
		if (!wait_writable(result_fd))
			reconnect_result();
		write_all(result_fd, buf, len);
	}
	write_all(STDOUT_FILENO, buf, len);
}

static void report(const char *fmt, ...)
{
	char line[1280];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (n >= (int)sizeof(line)) {
		n = sizeof(line) - 1;
		line[n - 1] = '\n';
	}
	output(line, n);
}

static void mount_at(const char *type, const char *dir)
{
	mkdir(dir, 0755);
	if (mount(type, dir, type, 0, NULL))
		printf("init: no %s at %s: %m\n", type, dir);
}

static void scan_kernel_log(const char *name)
{
	char record[8192], *text, *end;
	unsigned int i;
	ssize_t n;

	for (;;) {
		n = read(kmsg_fd, record, sizeof(record) - 1);
		if (n < 0 && errno == EPIPE) {
			report("@@ note some kernel messages were lost while %s ran\n", name);
			continue;
		}
		if (n <= 0)
			return;
		record[n] = '\0';
		text = strchr(record, ';');
		if (!text)
			continue;
		text++;
		end = strchr(text, '\n');
		if (end)
			*end = '\0';
		for (i = 0; i < ARRAY_SIZE(bad_messages); i++) {
			if (strstr(text, bad_messages[i])) {
				report("@@ kernel %s %s\n", name, text);
				break;
			}
		}
	}
}

static void load_modules(void)
{
	char path[256];
	FILE *f;
	int fd;

	f = fopen("/modules/order", "r");
	if (!f)
		return;
	while (fgets(path, sizeof(path), f)) {
		path[strcspn(path, "\n")] = '\0';
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
			report("@@ kernel boot cannot load %s: %m\n", path);
		close(fd);
	}
	fclose(f);
}

static void report_kunit(void)
{
	struct dirent **names;
	char path[512], buf[4096];
	int i, n, fd;
	ssize_t len;

	n = scandir(KUNIT_DIR, &names, NULL, alphasort);
	for (i = 0; i < n; i++) {
		if (names[i]->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), KUNIT_DIR "/%s/results", names[i]->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		report("@@ begin kunit/%s\n", names[i]->d_name);
		while ((len = read(fd, buf, sizeof(buf))) > 0)
			output(buf, len);
		close(fd);
		report("@@ end kunit/%s exit 0\n", names[i]->d_name);
	}
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Copy what is there; true if the last character was not a newline. */
static bool forward(int fd, bool open_line)
{
	char buf[4096];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		output(buf, n);
		open_line = buf[n - 1] != '\n';
	}
	return open_line;
}

static void run(char *line, int timeout_s)
{
	char *argv[MAX_ARGS + 1], *name;
	struct pollfd pfd;
	bool open_line = false, timed_out = false;
	int fds[2], status = 0, n = 0;
	long deadline;
	pid_t pid;

	name = strtok(line, "\n ");
	while (n < MAX_ARGS && (argv[n] = strtok(NULL, "\n ")))
		n++;
	argv[n] = NULL;
	if (!name || !n)
		return;

	report("@@ begin %s\n", name);
	if (pipe2(fds, O_CLOEXEC)) {
		report("@@ end %s pipe: %m\n", name);
		return;
	}
	pid = fork();
	if (!pid) {
		setsid();
		dup2(fds[1], STDOUT_FILENO);
		dup2(fds[1], STDERR_FILENO);
		execv(argv[0], argv);
		dprintf(STDERR_FILENO, "%s: %m\n", argv[0]);
		_exit(127);
	}
	close(fds[1]);
	fcntl(fds[0], F_SETFL, O_NONBLOCK);
	pfd = (struct pollfd){ .fd = fds[0], .events = POLLIN };

	/*
	 * The end of the program counts, not the end of its output: a child
	 * that it forgot may keep the pipe open.
	 */
	deadline = now_ms() + timeout_s * 1000L;
	while (!waitpid(pid, &status, WNOHANG)) {
		if (now_ms() > deadline) {
			timed_out = true;
			kill(-pid, SIGKILL);
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			break;
		}
		if (poll(&pfd, 1, 50) > 0) {
			if (pfd.revents & POLLIN)
				open_line = forward(fds[0], open_line);
			else
				usleep(10000);
		}
	}
	open_line = forward(fds[0], open_line);
	close(fds[0]);

	/* Nothing of it may disturb the next program. */
	kill(-1, SIGKILL);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		;

	if (open_line)
		report("\n");
	if (timed_out)
		report("@@ end %s timeout\n", name);
	else if (WIFSIGNALED(status))
		report("@@ end %s signal %d\n", name, WTERMSIG(status));
	else
		report("@@ end %s exit %d\n", name, WEXITSTATUS(status));
	scan_kernel_log(name);
}

static void run_programs(void)
{
	const char *timeout = getenv("VM_TIMEOUT");
	char line[512];
	FILE *f;

	f = fopen("/tests/list", "re");
	if (!f) {
		report("@@ kernel boot no /tests/list, too little memory? %m\n");
		return;
	}
	while (fgets(line, sizeof(line), f))
		run(line, timeout ? atoi(timeout) : 300);
	fclose(f);
}

/* Kmemleak reports what was lost twice in a row, and is some seconds old. */
static void scan_for_leaks(void)
{
	static const char path[] = "/sys/kernel/debug/kmemleak";
	char buf[4096];
	ssize_t n;
	int fd;

	if (access(path, W_OK))
		return;
	sleep(6);
	if (!write_file(path, "scan") || !write_file(path, "scan"))
		report("@@ kernel kmemleak has given up: %m\n");
	scan_kernel_log("kmemleak");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	while ((n = read(fd, buf, sizeof(buf))) > 0)
		write_all(STDOUT_FILENO, buf, n);
	close(fd);
}

/* A file of ustar format is its header and its contents, in blocks of 512. */
static void write_tar_entry(int fd, const char *name, const char *data, size_t len)
{
	static const char zero[512];
	unsigned char head[512] = "";
	unsigned int i, sum = 0;

	snprintf((char *)head, 100, "%s", name);
	snprintf((char *)head + 100, 8, "%07o", 0644);
	snprintf((char *)head + 124, 12, "%011zo", len);
	snprintf((char *)head + 136, 12, "%011o", 0);
	memset(head + 148, ' ', 8);
	head[156] = '0';
	memcpy(head + 257, "ustar\00000", 8);
	for (i = 0; i < sizeof(head); i++)
		sum += head[i];
	snprintf((char *)head + 148, 8, "%06o", sum);

	write_all(fd, (char *)head, sizeof(head));
	write_all(fd, data, len);
	write_all(fd, zero, -len % sizeof(zero));
}

static int gcov_fd;

/* Named as in the kernel's source, wherever it was built. */
static int copy_gcda(const char *path, const struct stat *st, int type,
		     struct FTW *ftw)
{
	static char data[1024 * 1024];
	const char *name = strstr(path, "/drivers/");
	size_t len = 0;
	ssize_t n;
	int fd;

	if (type != FTW_F || !strstr(path, ".gcda") || !name)
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	while ((n = read(fd, data + len, sizeof(data) - len)) > 0)
		len += n;
	close(fd);
	write_tar_entry(gcov_fd, name + 1, data, len);
	return 0;
}

static void report_gcov(void)
{
	static const char end[1024];

	gcov_fd = open_port("gcov");
	if (gcov_fd < 0)
		return;
	nftw("/sys/kernel/debug/gcov", copy_gcda, 16, FTW_PHYS);
	write_all(gcov_fd, end, sizeof(end));
	close(gcov_fd);
}

int main(void)
{
	int fd;

	mount_at("devtmpfs", "/dev");
	fd = open("/dev/console", O_RDWR);
	if (fd >= 0) {
		dup2(fd, STDIN_FILENO);
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		if (fd > STDERR_FILENO)
			close(fd);
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	mount_at("proc", "/proc");
	mount_at("sysfs", "/sys");
	mount_at("tmpfs", "/tmp");
	mount_at("tmpfs", "/dev/shm");
	mount_at("debugfs", "/sys/kernel/debug");
	mount_at("securityfs", "/sys/kernel/security");
	mount_at("cgroup2", "/sys/fs/cgroup");
	if (chdir("/tmp"))
		printf("init: /tmp: %m\n");
	setenv("HOME", "/tmp", 1);
	setenv("PATH", "/tests", 1);
	write_file("/proc/sys/vm/nr_overcommit_hugepages", "8");
	/* Here a device that cannot be tested is a mistake. */
	setenv("UIO_TEST_REQUIRED", "1", 1);

	fd = open_port("result");
	if (fd >= 0)
		result_fd = fd;
	else
		printf("init: no result port\n");
	kmsg_fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kmsg_fd < 0)
		report("@@ kernel boot no /dev/kmsg: %m\n");

	load_modules();
	scan_kernel_log("boot");
	if (getenv("VM_KUNIT"))
		report_kunit();
	run_programs();

	/* Releases that the last program caused may still be on their way. */
	usleep(200000);
	scan_kernel_log("end");
	scan_for_leaks();
	report_gcov();
	report("@@ done\n");
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}
