// SPDX-License-Identifier: GPL-2.0
/*
 * What the other programs do a few times, very many times: to show that nothing
 * wears off. All of it goes on with DMA in flight and beside memory of others,
 * in which not one byte may change.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"
#include "uio_lib.h"

#define MAX_DEVICES	16
#define MAX_PARTS	6

/* What is left open of the dead, so that they are many. */
#define NR_LEFT		16

#define PROGRESS_MS	10000
#define STORE_SIZE	1024

/* Others' memory: at most this much, for all of it is looked at in the end. */
#define MAX_FRAMES_SIZE	(128 << 20)

/**
 * struct totals - over all processes
 * @done: cycles
 * @counted: those in which the DMA was in flight at the decisive moment
 * @reused: those in which somebody else was given the very address
 * @damage: pages of others that were written to
 * @failed: cycles that did not go as they should
 * @why: the first of them
 */
struct totals {
	unsigned int done;
	unsigned int counted;
	unsigned int reused;
	unsigned int damage;
	unsigned int failed;
	char why[128];
};

/**
 * struct base - what must be the same before and after
 * @dmabufs: number of dma-bufs
 * @dma_entries: what DMA_API_DEBUG knows to be mapped; -1 without it
 * @free: free memory in bytes
 */
struct base {
	int dmabufs;
	__s64 dma_entries;
	__s64 free;
};

static struct uio_frames frames;
static struct totals *totals;
static unsigned int nr_devices;
static unsigned int seed = 1;
static long progress_at;

static unsigned int random_below(unsigned int n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % n;
}

static void add(unsigned int *counter, unsigned int n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/* Notes the first failure in words. */
static __printf(1, 2) void fail(const char *fmt, ...)
{
	va_list args;

	if (__atomic_fetch_add(&totals->failed, 1, __ATOMIC_RELAXED))
		return;
	va_start(args, fmt);
	vsnprintf(totals->why, sizeof(totals->why), fmt, args);
	va_end(args);
}

/* Anything but @want is a failure. */
static bool is(const char *what, long got, long want)
{
	if (got == want)
		return true;
	fail("%s: %ld, not %ld", what, got, want);
	return false;
}

static void progress(const char *part, unsigned int count)
{
	long now = uio_now_ms();

	if (now < progress_at)
		return;
	progress_at = now + PROGRESS_MS;
	ksft_print_msg("%s: %u of %u, %u with DMA in flight, %u wrong pages, %u failures\n",
		       part, totals->done, count, totals->counted,
		       totals->damage, totals->failed);
	fflush(stdout);
}

/* All but number 2, which does not reach all memory. */
static const char *device(unsigned int i)
{
	return uio_test_device(i < 2 ? i : i + 1);
}

static bool is_pci(void)
{
	return !access("/sys/bus/pci/rescan", W_OK);
}

static struct base take_base(void)
{
	struct base base = { .dmabufs = uio_count_dmabufs(), .dma_entries = -1 };
	__u64 all, unused;

	if (!uio_read_u64("/sys/kernel/debug/dma-api/nr_total_entries", &all) &&
	    !uio_read_u64("/sys/kernel/debug/dma-api/num_free_entries", &unused))
		base.dma_entries = all - unused;
	sync();
	uio_write_text("/proc/sys/vm/drop_caches", "3");
	uio_msleep(500);
	base.free = uio_meminfo("MemFree");
	return base;
}

/* Free pages on CPUs' lists do not count as free; KASAN keeps freed memory. */
static __s64 tolerance(const struct base *base)
{
	return uio_meminfo("MemTotal") / (base->dma_entries < 0 ? 64 : 16);
}

static void check_base(const struct base *before)
{
	struct base now = take_base();
	ssize_t damage = uio_frames_damage(&frames);

	is("dma-bufs left", now.dmabufs, before->dmabufs);
	is("DMA-API entries left", now.dma_entries, before->dma_entries);
	if (before->free - now.free > tolerance(before))
		fail("%lld KiB of memory are missing",
		     (long long)(before->free - now.free) >> 10);
	is("pages of others that differ", damage, 0);
	if (damage > 0)
		add(&totals->damage, damage);
	ksft_print_msg("memory: %lld KiB less than before; %zd of others' %zu pages differ\n",
		       (long long)(before->free - now.free) >> 10, damage,
		       frames.nr);
}

static void reset_totals(void)
{
	memset(totals, 0, sizeof(*totals));
}

static void report(const char *what, unsigned int count)
{
	if (totals->failed)
		ksft_print_msg("%s\n", totals->why);
	ksft_print_msg("%s: %u, %u with DMA in flight, %u addresses reused, %u wrong pages\n",
		       what, totals->done, totals->counted, totals->reused,
		       totals->damage);
	ksft_test_result(!totals->failed && !totals->damage &&
			 totals->done >= count, "%s\n", what);
}

/*
 * A mask by which the bus addresses of a device behind an IOMMU are numbers that
 * physical addresses have as well.
 */
static int choose_mask(void)
{
	long long pages = sysconf(_SC_PHYS_PAGES);
	int bits = 12;

	while (pages > 1) {
		pages >>= 1;
		bits++;
	}
	return bits > 32 ? 32 : bits;
}

static int prepare_device(unsigned int i)
{
	struct uio_device dev;
	struct uio_buffer buf;
	__u64 addr;
	int ret;

	ret = uio_open_driver(&dev, device(i));
	if (ret)
		return ret;
	ret = uio_buffer_alloc_device(&buf, dev.number, uio_page_size());
	if (ret)
		return ret;
	ret = uio_dma_addr(buf.fd, dev.fd, &addr);
	if (!ret) {
		/* What it will write, wherever it writes. */
		memset(buf.vaddr, 0xd0 + i, STORE_SIZE);
		ret = uio_dma_fetch(&dev, addr, STORE_SIZE);
	}
	uio_close(&dev);
	uio_buffer_free(&buf);
	return ret;
}

/*
 * Part "kill": a driver is killed in the 100 ms between its having started the
 * device and the device's writing.
 */
enum order {
	DEVICE_FIRST,
	BUFFER_FIRST,
	BUFFER_ELSEWHERE,
	CHILD_HAS_MAP,
	NR_ORDERS,
};

static const char * const order_name[] = {
	"killed, device first", "killed, buffer first",
	"killed, buffer elsewhere", "killed, child has the map",
};

/**
 * struct victim - shared by the driver, its child and who kills it
 * @started: when the device was started; 0 until then
 * @safe_ms: how long from then it has surely not written
 * @failed: it could not be started
 * @addr: where it will write
 * @child: the driver's child, if it is to have one
 * @alone: the child has nothing else any more
 * @look: the child is to look at the memory
 * @seen: what it saw: 1 if nothing had changed, 2 if something had
 */
struct victim {
	long started;
	unsigned int safe_ms;
	int failed;
	__u64 addr;
	pid_t child;
	int alone;
	int look;
	int seen;
};

/* All that the child keeps of the driver is the mapping of the buffer. */
static void have_child(struct uio_device *dev, struct uio_buffer *buf,
		       struct victim *victim)
{
	victim->child = fork();
	if (victim->child)
		return;
	uio_close(dev);
	close(buf->fd);
	victim->alone = 1;
	while (!victim->look)
		usleep(1000);
	victim->seen = uio_differs_from(buf->vaddr, buf->size, 0) == -1 ? 1 : 2;
	_exit(0);
}

static int start(struct uio_device *dev, struct uio_buffer *buf,
		 struct victim *victim)
{
	long now;
	int ret;

	ret = uio_dma_addr(buf->fd, dev->fd, &victim->addr);
	if (ret)
		return ret;
	buf->vaddr[0] = 0;
	victim->safe_ms = dev->driver.store_delay_ms;
	now = uio_now_ms();
	ret = uio_dma_store_start(dev, victim->addr, STORE_SIZE);
	if (!ret)
		victim->started = now;
	return ret;
}

/* Descriptors are closed in the order of their numbers. */
static void be_killed(const char *name, enum order order,
		      struct uio_buffer *buf, struct victim *victim)
{
	struct uio_device dev;
	int ret = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (order == BUFFER_FIRST)
		ret = uio_buffer_alloc_device(buf, uio_find(name),
					      uio_page_size());
	if (!ret)
		ret = uio_open_driver(&dev, name);
	if (!ret && buf->fd < 0)
		ret = uio_buffer_alloc_device(buf, dev.number, uio_page_size());
	if (!ret && order == CHILD_HAS_MAP)
		have_child(&dev, buf, victim);
	while (!ret && order == CHILD_HAS_MAP && !victim->alone)
		usleep(100);
	if (!ret)
		ret = start(&dev, buf, victim);
	victim->failed = ret;
	for (;;)
		pause();
}

static void kill_one(unsigned int i, enum order order, struct victim *victim)
{
	const char *name = device(i);
	struct uio_buffer buf = { .fd = -1 };
	struct uio_device dev;
	struct uio_heir heir;
	bool in_time;
	int number = uio_find(name);
	int damage;
	pid_t pid;

	memset(victim, 0, sizeof(*victim));
	if (order == BUFFER_ELSEWHERE &&
	    !is("allocation", uio_buffer_alloc_device(&buf, number, uio_page_size()), 0))
		return;
	pid = fork();
	if (!pid)
		be_killed(name, order, &buf, victim);
	while (!victim->started && !victim->failed)
		usleep(500);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (!is("driver", victim->failed, 0))
		return;
	is("bus master after kill", uio_bus_master(name), 0);
	in_time = uio_now_ms() < victim->started + (long)victim->safe_ms;

	if (!is("heir of buffers", uio_heir_take_buffers(&heir, number), 0) ||
	    !is("heir of pages", uio_heir_take_pages(&heir), 0))
		return;
	/* Waits for the device, which still believes in its DMA. */
	if (!is("open", uio_open_driver(&dev, name), 0))
		return;
	damage = uio_heir_damage_buffers(&heir) + uio_heir_damage_pages(&heir);
	if (order == BUFFER_ELSEWHERE && in_time)
		damage += uio_differs_from(buf.vaddr, buf.size, 0) != -1;
	if (order == CHILD_HAS_MAP) {
		victim->look = 1;
		waitpid(victim->child, NULL, 0);
		if (in_time)
			damage += victim->seen != 1;
	}
	if (in_time && uio_heir_has(&heir, dev.fd, victim->addr))
		add(&totals->reused, 1);
	uio_heir_free_buffers(&heir);
	uio_buffer_free(&buf);
	uio_close(&dev);

	add(&totals->damage, damage);
	add(&totals->counted, in_time);
	add(&totals->done, 1);
}

static void kill_order(enum order order, unsigned int count)
{
	struct victim *victim;
	pid_t pid[MAX_DEVICES];
	unsigned int i;

	reset_totals();
	victim = mmap(NULL, sizeof(*victim) * MAX_DEVICES, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (i = 0; i < nr_devices; i++) {
		pid[i] = fork();
		if (pid[i])
			continue;
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		/* A machine that is too slow for it is not asked for ever. */
		while (totals->counted < count && totals->done < 20 * count &&
		       !totals->failed) {
			kill_one(i, order, &victim[i]);
			if (!i)
				progress(order_name[order], count);
		}
		_exit(0);
	}
	for (i = 0; i < nr_devices; i++)
		waitpid(pid[i], NULL, 0);
	munmap(victim, sizeof(*victim) * MAX_DEVICES);
	if (totals->counted < count)
		fail("only %u with DMA in flight", totals->counted);
}

static void part_kill(unsigned int count)
{
	struct base base;
	enum order order;
	cpu_set_t cpu;

	/* The page that is freed is the next one to be given away. */
	CPU_ZERO(&cpu);
	CPU_SET(0, &cpu);
	sched_setaffinity(0, sizeof(cpu), &cpu);
	for (order = 0; order < NR_ORDERS; order++) {
		kill_order(order, nr_devices);
		base = take_base();
		kill_order(order, count);
		check_base(&base);
		report(order_name[order], count);
	}
}

/*
 * Parts "bind" and "remove": the device goes while its user has everything that
 * one can have, and lets go of it before, soon or much later.
 */
struct user {
	int fd;
	int heap;
	struct uio_buffer buf;
	struct uio_buffer other;
	void *regs;
	size_t regs_size;
	bool used;
};

static void leave(struct user *user, unsigned int what)
{
	if (what == 0 && user->fd >= 0) {
		close(user->fd);
		user->fd = -1;
	}
	if (what == 1 && user->heap >= 0) {
		close(user->heap);
		user->heap = -1;
	}
	if (what == 2 && user->buf.fd >= 0) {
		close(user->buf.fd);
		user->buf.fd = -1;
	}
	if (what == 3)
		uio_buffer_unmap(&user->buf);
	if (what == 4)
		uio_buffer_free(&user->other);
	if (what == 5 && user->regs) {
		munmap(user->regs, user->regs_size);
		user->regs = NULL;
	}
}

static void leave_all(struct user *user)
{
	unsigned int first = random_below(MAX_PARTS), i;

	if (!user->used)
		return;
	for (i = 0; i < MAX_PARTS; i++)
		leave(user, (first + 5 * i) % MAX_PARTS);
	user->used = false;
}

static bool become_user(struct user *user, struct uio_device *dev)
{
	char heap[UIO_NAME_LEN];
	__u64 addr;

	if (!is("heap's name", uio_heap_name(dev->number, heap, sizeof(heap)), 0))
		return false;
	*user = (struct user) {
		.fd = dev->fd,
		.heap = uio_heap_open(heap),
		.regs = dev->regs,
		.regs_size = dev->map[0].size,
		.used = true,
	};
	user->buf.size = (1 + random_below(4)) * uio_page_size();
	user->buf.fd = uio_heap_alloc(user->heap, user->buf.size);
	if (user->buf.fd < 0)
		return is("allocation", user->buf.fd, 0);
	return is("map", uio_buffer_map(&user->buf), 0) &&
	       is("new memory is zero", uio_differs_from(user->buf.vaddr, user->buf.size, 0), -1) &&
	       is("system buffer", uio_buffer_alloc(&user->other, "system", uio_page_size()), 0) &&
	       is("touch", uio_touch(user->other.vaddr), 0) &&
	       is("address", uio_dma_addr(user->buf.fd, user->fd, &addr), 0) &&
	       is("its address", uio_dma_addr(user->other.fd, user->fd, &addr), 0);
}

/* What of it is left is dead. */
static void expect_dead(struct user *user)
{
	__u64 addr;

	if (user->fd >= 0 && user->buf.fd >= 0)
		is("address", uio_dma_addr(user->buf.fd, user->fd, &addr), -ENODEV);
	if (user->fd >= 0 && user->other.fd >= 0)
		is("put", uio_dma_put(user->other.fd, user->fd), -ENODEV);
	if (user->heap >= 0)
		is("allocation", uio_heap_alloc(user->heap, 1), -ENODEV);
	if (user->buf.vaddr)
		is("touch of buffer", uio_touch(user->buf.vaddr), SIGBUS);
	if (user->regs)
		is("touch of registers", uio_touch(user->regs), SIGBUS);
}

/**
 * struct device_state - between two cycles of a device
 * @heir: who got the memory of the last user
 * @has_heir: there is one
 * @left: what users of the past still have open
 */
struct device_state {
	struct uio_heir heir;
	bool has_heir;
	struct user left[NR_LEFT];
};

static bool come_back(const char *name, bool removed)
{
	if (removed && !is("rescan", uio_pci_rescan(), 0))
		return false;
	return is("bind", uio_bind(name, "uio_pci_generic"), 0);
}

static void cycle(struct device_state *state, unsigned int i, bool removed)
{
	const char *name = device(i);
	unsigned int n = totals->done, part;
	struct user *user = &state->left[n / nr_devices % NR_LEFT];
	struct uio_device dev;
	long started;
	bool mask;
	__u64 addr;
	int ret;

	/* Also waits for the DMA of the last cycle, if that is not over. */
	if (!is("open", uio_open_driver(&dev, name), 0))
		return;
	if (state->has_heir) {
		ret = uio_heir_damage_pages(&state->heir);
		if (is("pages of others", ret, 0))
			state->has_heir = false;
		add(&totals->damage, ret > 0 ? ret : 0);
	}
	leave_all(user);
	mask = uio_iommu_translates(name) && random_below(4);
	if (mask && !is("mask", uio_set_dma_mask_bits(dev.number, choose_mask()), 0))
		return;
	if (!become_user(user, &dev))
		return;
	if (!is("address", uio_dma_addr(user->buf.fd, dev.fd, &addr), 0))
		return;
	started = uio_now_ms();
	if (!is("start", uio_dma_store_start(&dev, addr, STORE_SIZE), 0))
		return;
	for (part = 0; part < MAX_PARTS; part++)
		if (!random_below(3))
			leave(user, part);

	ret = removed ? uio_pci_remove(name) : uio_unbind(name);
	if (!is("going", ret, 0))
		return;
	add(&totals->counted,
	    uio_now_ms() < started + (long)dev.driver.store_delay_ms);
	if (!is("heir of pages", uio_heir_take_pages(&state->heir), 0))
		return;
	state->has_heir = true;
	expect_dead(user);
	if (random_below(2))
		leave_all(user);
	/* Its file and registers are the user's now. */
	uio_dma_driver_remove(&dev);
	if (!come_back(name, removed))
		return;
	is("bus master", uio_bus_master(name), 0);
	add(&totals->done, 1);
}

static void run_cycles(const char *what, bool removed, unsigned int count)
{
	static struct device_state state[MAX_DEVICES];
	unsigned int i, j;

	reset_totals();
	while (totals->done < count && !totals->failed) {
		i = totals->done % nr_devices;
		cycle(&state[i], i, removed);
		progress(what, count);
	}
	uio_msleep(150);
	for (i = 0; i < nr_devices; i++) {
		if (state[i].has_heir)
			add(&totals->damage, uio_heir_damage_pages(&state[i].heir));
		state[i].has_heir = false;
		for (j = 0; j < NR_LEFT; j++)
			leave_all(&state[i].left[j]);
	}
}

static void part_cycles(const char *what, bool removed, unsigned int count)
{
	struct base base;

	if (removed && !is_pci()) {
		ksft_test_result_skip("%s: not a PCI device\n", what);
		return;
	}
	run_cycles(what, removed, 2 * nr_devices);
	base = take_base();
	run_cycles(what, removed, count);
	check_base(&base);
	report(what, count);
}

static void part_bind(unsigned int count)
{
	part_cycles("unbound and bound", false, count);
}

static void part_remove(unsigned int count)
{
	part_cycles("removed and found again", true, count);
}

/* Part "unload": the modules go right after the last user, or are refused to. */
static void unload_once(void)
{
	unsigned int i = random_below(nr_devices);
	const char *name = device(i);
	struct uio_device dev;
	struct uio_heir heir;
	struct user user;
	unsigned int part;
	long started;
	__u64 addr;

	if (!is("open", uio_open_driver(&dev, name), 0) ||
	    !become_user(&user, &dev) ||
	    !is("address", uio_dma_addr(user.buf.fd, dev.fd, &addr), 0))
		return;
	started = uio_now_ms();
	if (!is("start", uio_dma_store_start(&dev, addr, STORE_SIZE), 0))
		return;

	/* The mapping of the registers is a user as well. */
	if (random_below(2))
		leave(&user, 0);
	is("unloading what is in use", uio_modules_unload(), -EWOULDBLOCK);
	for (part = 1; part < 5; part++)
		if (random_below(2))
			leave(&user, part);
	leave(&user, 0);
	leave(&user, 5);
	if (!is("unloading", uio_modules_unload(), 0))
		return;
	add(&totals->counted,
	    uio_now_ms() < started + (long)dev.driver.store_delay_ms);
	if (!is("heir of pages", uio_heir_take_pages(&heir), 0))
		return;
	expect_dead(&user);
	if (random_below(2))
		leave_all(&user);
	uio_dma_driver_remove(&dev);
	uio_msleep(random_below(100));
	if (!is("loading", uio_modules_load(), 0) ||
	    !is("open", uio_open_driver(&dev, name), 0))
		return;
	uio_close(&dev);
	leave_all(&user);
	add(&totals->damage, uio_heir_damage_pages(&heir));
	add(&totals->done, 1);
}

static void part_unload(unsigned int count)
{
	static const char what[] = "unloaded and loaded";
	struct base base;

	if (!uio_is_module()) {
		ksft_test_result_skip("%s: UIO is built in\n", what);
		return;
	}
	reset_totals();
	unload_once();
	base = take_base();
	while (totals->done < count && !totals->failed) {
		unload_once();
		progress(what, count);
	}
	check_base(&base);
	report(what, count);
}

/* Part "allocate": buffers come and go. */
static void allocate_once(const int *heap, const int *fd, unsigned int n)
{
	unsigned int i = n % nr_devices;
	struct uio_buffer buf;
	__u64 addr;

	buf.size = (1 + random_below(16)) * uio_page_size();
	buf.vaddr = NULL;
	buf.fd = uio_heap_alloc(heap[i], buf.size);
	if (buf.fd < 0) {
		fail("allocation: %d", buf.fd);
		return;
	}
	if (n % 4 == 0)
		is("address", uio_dma_addr(buf.fd, fd[i], &addr), 0);
	if (is("map", uio_buffer_map(&buf), 0)) {
		is("new memory", uio_differs_from(buf.vaddr, 64, 0), -1);
		memset(buf.vaddr, 0xff, 64);
	}
	if (n % 8 == 0)
		is("put", uio_dma_put(buf.fd, fd[i]), 0);
	uio_buffer_free(&buf);
	add(&totals->done, 1);
}

static void allocate(unsigned int count)
{
	int heap[MAX_DEVICES], fd[MAX_DEVICES];
	char name[UIO_NAME_LEN];
	unsigned int i, number;

	reset_totals();
	while (totals->done < count && !totals->failed) {
		for (i = 0; i < nr_devices; i++) {
			number = uio_find(device(i));
			fd[i] = uio_open_fd(number, O_RDWR);
			is("heap's name", uio_heap_name(number, name, sizeof(name)), 0);
			heap[i] = uio_heap_open(name);
		}
		do {
			allocate_once(heap, fd, totals->done);
		} while (totals->done % 1000 && !totals->failed);
		/* Ends the mappings that were not put. */
		for (i = 0; i < nr_devices; i++) {
			close(fd[i]);
			close(heap[i]);
		}
		progress("allocated and freed", count);
	}
}

static void part_allocate(unsigned int count)
{
	struct base base;

	allocate(1000);
	base = take_base();
	allocate(count);
	check_base(&base);
	report("allocated and freed", count);
}

static const struct {
	const char *name;
	void (*run)(unsigned int count);
	unsigned int results;
} parts[] = {
	{ "bind", part_bind, 1 },
	{ "remove", part_remove, 1 },
	{ "unload", part_unload, 1 },
	{ "kill", part_kill, NR_ORDERS },
	{ "allocate", part_allocate, 1 },
};

static void usage(const char *name)
{
	unsigned int i;

	printf("Usage: %s PART COUNT [SEED]\nParts:", name);
	for (i = 0; i < ARRAY_SIZE(parts); i++)
		printf(" %s", parts[i].name);
	printf("\n");
	exit(KSFT_FAIL);
}

int main(int argc, char **argv)
{
	unsigned int i, count;
	char dir[UIO_PATH_LEN];
	__s64 frames_size;
	int ret;

	if (argc < 3 || argc > 4)
		usage(argv[0]);
	count = strtoul(argv[2], NULL, 0);
	if (argc > 3)
		seed = strtoul(argv[3], NULL, 0);
	for (i = 0; i < ARRAY_SIZE(parts); i++)
		if (!strcmp(parts[i].name, argv[1]))
			break;
	if (i == ARRAY_SIZE(parts) || !count)
		usage(argv[0]);

	ksft_print_header();
	ksft_set_plan(parts[i].results);
	while (nr_devices < MAX_DEVICES && device(nr_devices) &&
	       !uio_sysfs_dir(device(nr_devices), dir, sizeof(dir))) {
		ret = prepare_device(nr_devices);
		if (ret)
			ksft_exit_skip("no DMA for %s (%d)\n",
				       device(nr_devices), ret);
		nr_devices++;
	}
	if (!nr_devices)
		ksft_exit_skip("no device\n");
	totals = mmap(NULL, sizeof(*totals), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	frames_size = uio_meminfo("MemFree") / 4;
	if (frames_size > MAX_FRAMES_SIZE)
		frames_size = MAX_FRAMES_SIZE;
	if (totals == MAP_FAILED || uio_frames_take(&frames, frames_size))
		ksft_exit_fail_msg("no memory\n");
	progress_at = uio_now_ms() + PROGRESS_MS;
	ksft_print_msg("%u devices, seed %u\n", nr_devices, seed);
	parts[i].run(count);
	ksft_finished();
}
