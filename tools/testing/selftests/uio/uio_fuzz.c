// SPDX-License-Identifier: GPL-2.0
/*
 * Does anything go wrong that nobody has thought of? Random calls against a
 * model that knows what each of them must answer, where each buffer may be for
 * each device, what is in it, what is still alive, and who masters the bus.
 *
 * A program is a list of seeds, each good for a number of calls. It begins with
 * nothing open and ends with everything closed, and then nothing may be left.
 * What it does depends on its seeds only, never on addresses or on time, so it
 * can be repeated. Where several processes run, and devices come and go, the
 * model is less strict: a device may turn out to be gone at any time.
 *
 * Arguments are NAME=VALUE:
 *	secs	how long all of it may take; VM_FUZZ_SECS in the environment
 *		is another way to say this
 *	ops	or how many calls each part makes
 *	seed	where the random numbers start
 *	mode	only this part: repeat, model, faults, threads, kcov, replay
 *	procs	how many processes the part "threads" has
 *	hz	how often devices go away in it, at most
 *	program	for replay: a program, in the form that a failure prints
 *	file	a file with one program on a line: for replay, and to begin with
 *		where there is coverage
 *	corpus	1: print the programs that reached something new
 *	trace	1: print every call before it is made
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/dma-heap.h>

#include "kselftest.h"
#include "uio_lib.h"

#define NR_DEVICES	3
#define NR_FILES	6
#define NR_BUFFERS	20
#define MAX_PAGES	32

#define SEGMENTS	32
#define SEGMENT_OPS	32
#define PROGRAM_OPS	(SEGMENTS * SEGMENT_OPS)

#define RING_SIZE	64
#define MAX_PROCS	16
#define MAX_CORPUS	2048
#define HANG_SECS	60
#define SETTLE_MS	2000

/* What the emulated devices can do, see lib/drivers/edu.c. */
#define DMA_MAX		2048
#define NARROW_DEVICE	2
#define NARROW_BITS	28

#define DEFAULT_BITS	32

/* Free memory fluctuates; what leaks at each program exceeds this soon. */
/* Caches of IOVAs, page tables and free lists come and go. */
#define FREE_KB_SLACK	8192
#define SLAB_KB_SLACK	512

#define DIRECTIONS	(DMA_BUF_DMA_TO_DEVICE | DMA_BUF_DMA_FROM_DEVICE)
#define ALL_FLAGS	(DIRECTIONS | DMA_BUF_DMA_COHERENT)

/* Calls that there are not. */
#define HEAP_UNKNOWN	_IOWR(DMA_HEAP_IOC_MAGIC, 1, struct dma_heap_allocation_data)
#define GET_TOO_LONG	_IOC(_IOC_READ | _IOC_WRITE, DMA_BUF_BASE, 4, 40)
#define PUT_BOTH_WAYS	_IOWR(DMA_BUF_BASE, 5, struct dma_buf_put_dma_addr)

/**
 * struct device - a device to test
 * @bound: the UIO driver has it
 * @started: it may master the bus
 * @incarnation: how often it was unplugged
 * @heap_fd: its heap, open; -1 if not
 * @heap_gone: the device was unbound since the heap was opened
 * @reaches: 1 if memory of any kind can be mapped, 0 if not, by DMA mask
 * @refuses: 1 if this machine has nothing for a device with such a DMA mask
 */
struct device {
	const char *name;
	bool confined;
	bool bound;
	bool started;
	int number;
	int bits;
	int incarnation;
	int heap_fd;
	bool heap_gone;
	bool reaches[65];
	bool refuses[65];
};

/**
 * struct file - an open UIO device
 * @dead: the device was unbound since
 * @udev: of use for DMA if @mapped
 */
struct file {
	bool live;
	bool dead;
	bool mapped;
	int dev;
	int acc;
	struct uio_device udev;
};

/**
 * struct buffer - a dma-buf
 * @fd: -1 if closed
 * @map: where all of it is mapped
 * @dev: the device whose heap it is from, if it is from one
 * @incarnation: of that device
 * @revoked: that device was unbound
 * @parked: how many closed files of each device have left it mapped
 * @begun: for udmabuf: DMA_BUF_SYNC_START was called
 * @tag: stands for the contents of each page
 * @shadow: the contents of a page that a tag cannot stand for
 */
struct buffer {
	bool live;
	enum uio_memory kind;
	int fd;
	int acc;
	int dev;
	int incarnation;
	bool revoked;
	bool begun;
	unsigned char *map;
	unsigned int pages;
	int parked[NR_DEVICES];
	__u32 tag[MAX_PAGES];
	__u64 *shadow[MAX_PAGES];
};

/**
 * struct mapping - a buffer that a file has mapped for its device
 * @revoked: the buffer was taken back
 * @addr: bus address of each page, 0 where not known
 */
struct mapping {
	bool live;
	bool revoked;
	bool coherent;
	__u32 dir;
	__u64 addr[MAX_PAGES];
};

/**
 * struct call - what was called, for people
 */
struct call {
	__u64 nr;
	const char *what;
	int a, b;
	__u64 x, y;
	long ret;
};

#define RUNNING		0x7fffffffL

struct program {
	__u32 seed[SEGMENTS];
};

/**
 * struct worker - what a process shows to the others
 */
struct worker {
	__u64 ops;
	__u64 calls;
	__u64 hash;
	bool done;
	struct program prog;
	unsigned int prog_ops;
	struct call ring[RING_SIZE];
};

static struct device devices[NR_DEVICES];
static struct file files[NR_FILES];
static struct buffer buffers[NR_BUFFERS];
static struct mapping maps[NR_FILES][NR_BUFFERS];

static struct worker *workers, *me;
static const char *part = "setup";
static __u64 rng;
static size_t page;
static int nr_devices;
static int ram_bits;
static char cma_heap[UIO_NAME_LEN];
static int system_fd = -1, cma_fd = -1, memfd = -1, pagemap_fd = -1;
static int fail_nth_fd = -1;
static unsigned long faults_hit;
static bool have_udmabuf, have_dma_debug, have_debugfs;
static bool weak, faulty, tracing, plan_printed;
static unsigned int lost;
static unsigned long seed_of_run;

/* Arguments that cannot be read, or cannot be written. */
static void *bad_pointer[4];
static void *ro_pointer, *ro_alias;

/*
 * Random numbers
 */
static void seed_rng(__u64 seed)
{
	rng = seed * 0x9e3779b97f4a7c15ULL + 0x632be59bd9b4e019ULL;
	if (!rng)
		rng = 1;
}

static __u32 rnd32(void)
{
	rng ^= rng >> 12;
	rng ^= rng << 25;
	rng ^= rng >> 27;
	return rng * 0x2545f4914f6cdd1dULL >> 32;
}

static __u32 rnd(__u32 n)
{
	return (__u64)rnd32() * n >> 32;
}

static bool one_in(__u32 n)
{
	return !rnd(n);
}

/*
 * What was done, and failing
 */
static void print_program(const struct program *p, unsigned int ops)
{
	unsigned int i, n = (ops + SEGMENT_OPS - 1) / SEGMENT_OPS;

	for (i = 0; i < SEGMENTS && i < n; i++)
		printf("%08x", p->seed[i]);
	printf("\n");
}

static void print_call(const struct call *c)
{
	printf("#   %llu %s %d %d 0x%llx 0x%llx", c->nr, c->what, c->a, c->b,
	       c->x, c->y);
	if (c->ret == RUNNING)
		printf(" ...\n");
	else if (c->ret < 0)
		printf(" = %s\n", strerror(-c->ret));
	else
		printf(" = %ld\n", c->ret);
}

static void print_worker(const struct worker *w)
{
	__u64 i = w->calls > RING_SIZE ? w->calls - RING_SIZE : 0;

	printf("# seed=%lu, operation %llu; mode=replay program=",
	       seed_of_run, w->ops);
	print_program(&w->prog, w->prog_ops);
	printf("# the last calls, with file or device, buffer, what and how:\n");
	for (; i < w->calls; i++)
		print_call(&w->ring[i % RING_SIZE]);
	fflush(stdout);
}

static __noreturn __printf(1, 2) void die(const char *fmt, ...)
{
	va_list ap;

	printf("# ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	print_worker(me);
	if (me == workers) {
		if (!plan_printed) {
			ksft_print_header();
			ksft_set_plan(1);
		}
		ksft_test_result_fail("%s\n", part);
		fflush(stdout);
	}
	_exit(KSFT_FAIL);
}

static void start(const char *what, int a, int b, __u64 x, __u64 y)
{
	struct call *c = &me->ring[me->calls % RING_SIZE];

	*c = (struct call) {
		.nr = me->ops, .what = what, .a = a, .b = b, .x = x, .y = y,
		.ret = RUNNING,
	};
	me->calls++;
	if (tracing) {
		print_call(c);
		fflush(stdout);
	}
}

/* Results go into the hash, addresses do not. */
static void finish(long ret)
{
	me->ring[(me->calls - 1) % RING_SIZE].ret = ret;
	me->hash = (me->hash ^ (__u64)(ret + 0x10000)) * 0x100000001b3ULL;
}

/*
 * The call must have answered @want. Among several processes, @devs may have
 * gone away, which shows as @gone (-ENODEV: or there is no such file at all);
 * then what we have of them is of no more use, and the answer is false.
 */
static bool expect(long want, long got, long gone, unsigned int devs)
{
	finish(got);
	if (got == want)
		return true;
	if (weak && gone && (got == gone ||
			     (gone == -ENODEV &&
			      (got == -ENOENT || got == -ENXIO)))) {
		lost |= devs;
		return false;
	}
	die("%s: got %ld (%s), expected %ld (%s)",
	    me->ring[(me->calls - 1) % RING_SIZE].what,
	    got, got < 0 ? strerror(-got) : "no error",
	    want, want < 0 ? strerror(-want) : "no error");
}

/*
 * Faults: the kernel lets the n-th thing in a call fail that may fail. The call
 * then fails and leaves all as it was, or copes. If it fails, it is made again.
 */
static void fail_nth(unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	/* To disarm it may be the call that fails: the same in the end. */
	if (pwrite(fail_nth_fd, text, len, 0) != len && (n || errno != EFAULT))
		die("fail-nth: %m");
}

static bool arm(void)
{
	if (!faulty || rnd(4))
		return false;
	fail_nth(1 + rnd(one_in(4) ? 40 : 8));
	return true;
}

static bool fault_hit(void)
{
	char text[16] = "";

	if (pread(fail_nth_fd, text, sizeof(text) - 1, 0) < 0) {
		/* This was the n-th. */
		if (errno != EFAULT)
			die("fail-nth: %m");
		return false;
	}
	fail_nth(0);
	if (atoi(text))
		return false;
	faults_hit++;
	return true;
}

static bool failed_by_fault(bool armed, bool one_call, long ret)
{
	if (!armed || !fault_hit())
		return false;
	/* What the library makes of the failure of one of its calls varies. */
	if (!one_call)
		return ret < 0;
	return ret == -ENOMEM || ret == -EFAULT || ret == -EOPNOTSUPP ||
	       ret == -EIO || ret == -ENFILE;
}

#define MAKE_CALL(_one_call, _call) ({					\
	bool _armed = arm(), _again;					\
	long _ret;							\
									\
	do {								\
		_ret = (_call);						\
		_again = failed_by_fault(_armed, _one_call, _ret);	\
		_armed = false;						\
	} while (_again);						\
	_ret;								\
})

/* A function of the library, and a system call. */
#define LIB(_call) MAKE_CALL(false, _call)
#define SYS(_call) MAKE_CALL(true, (long)(_call) == -1 ? -(long)errno : 0)

/*
 * Contents
 */
static sigjmp_buf guard_env;
static sig_atomic_t guarding;

static void on_signal(int sig)
{
	if (__atomic_exchange_n(&guarding, 0, __ATOMIC_SEQ_CST))
		siglongjmp(guard_env, sig);
	die("signal %d", sig);
}

/* Evaluates to 0, or to the signal that @_access has raised. */
#define GUARDED(_access) ({						\
	int _sig = sigsetjmp(guard_env, 0);				\
									\
	if (!_sig) {							\
		__atomic_store_n(&guarding, 1, __ATOMIC_SEQ_CST);	\
		_access;						\
		__atomic_store_n(&guarding, 0, __ATOMIC_SEQ_CST);	\
	}								\
	_sig;								\
})

static __u64 word(__u32 tag, unsigned int i)
{
	return tag ? tag * 0x9e3779b97f4a7c15ULL + i * 0xc2b2ae3d27d4eb4fULL : 0;
}

static void fill_page(__u64 *mem, __u32 tag)
{
	unsigned int i;

	for (i = 0; i < page / 8; i++)
		mem[i] = word(tag, i);
}

/* Where a page differs from the model: -1 if nowhere. */
static int page_differs(const struct buffer *b, unsigned int p,
			const __u64 *mem)
{
	unsigned int i;

	for (i = 0; i < page / 8; i++)
		if (mem[i] != (b->shadow[p] ? b->shadow[p][i] :
					      word(b->tag[p], i)))
			return i;
	return -1;
}

static __u32 load(void *mem)
{
	return __atomic_load_n((__u32 *)mem, __ATOMIC_RELAXED);
}

static void make_shadow(struct buffer *b, unsigned int p)
{
	if (b->shadow[p])
		return;
	b->shadow[p] = malloc(page);
	if (!b->shadow[p])
		die("no memory");
	fill_page(b->shadow[p], b->tag[p]);
}

/*
 * The model
 */
static int index_of(const struct buffer *b) { return b - buffers; }
static int file_index(const struct file *f) { return f - files; }
static unsigned int bit(int dev) { return 1U << dev; }
static __u64 size_of(const struct buffer *b) { return (__u64)b->pages * page; }

static __u64 mask_of(const struct device *d)
{
	return d->bits == 64 ? ~0ULL : (1ULL << d->bits) - 1;
}

/* Can there be memory that the device cannot reach by itself? */
static bool is_narrow(const struct device *d)
{
	return !d->confined && d->bits < ram_bits;
}

static bool is_own(const struct file *f, const struct buffer *b)
{
	return b->kind == UIO_MEMORY_DEVICE && b->dev == f->dev &&
	       b->incarnation == devices[f->dev].incarnation;
}

/* Everything that may be to blame for an ENODEV. */
static unsigned int devices_of(const struct file *f, const struct buffer *b)
{
	return (f ? bit(f->dev) : 0) |
	       (b && b->kind == UIO_MEMORY_DEVICE ? bit(b->dev) : 0);
}

static int count_maps(int dev, bool revoked)
{
	int f, b, n = 0;

	for (f = 0; f < NR_FILES; f++) {
		if (!files[f].live || files[f].dev != dev)
			continue;
		for (b = 0; b < NR_BUFFERS; b++)
			n += maps[f][b].live && maps[f][b].revoked == revoked;
	}
	return n;
}

static int count_parked(int dev)
{
	int b, n = 0;

	for (b = 0; b < NR_BUFFERS; b++)
		n += buffers[b].parked[dev];
	return n;
}

static int count_files(int dev)
{
	int f, n = 0;

	for (f = 0; f < NR_FILES; f++)
		n += files[f].live && files[f].dev == dev && !files[f].dead;
	return n;
}

static int count_heap_buffers(int dev)
{
	int b, n = 0;

	for (b = 0; b < NR_BUFFERS; b++)
		n += buffers[b].live && buffers[b].kind == UIO_MEMORY_DEVICE &&
		     buffers[b].dev == dev && !buffers[b].revoked;
	return n;
}

static int count_buffers(void)
{
	int b, n = 0;

	for (b = 0; b < NR_BUFFERS; b++)
		n += buffers[b].live;
	return n;
}

/* A buffer is gone with the last thing that refers to it. */
static void forget_if_unused(struct buffer *b)
{
	int i;

	if (!b->live || b->fd >= 0 || b->map)
		return;
	for (i = 0; i < NR_FILES; i++)
		if (maps[i][index_of(b)].live)
			return;
	for (i = 0; i < NR_DEVICES; i++)
		if (b->parked[i])
			return;
	for (i = 0; i < MAX_PAGES; i++)
		free(b->shadow[i]);
	memset(b, 0, sizeof(*b));
	b->fd = -1;
}

static void model_stop(int dev)
{
	int b;

	devices[dev].started = false;
	for (b = 0; b < NR_BUFFERS; b++) {
		buffers[b].parked[dev] = 0;
		forget_if_unused(&buffers[b]);
	}
}

static void model_restart(int dev)
{
	if (!count_maps(dev, true) && count_maps(dev, false))
		devices[dev].started = true;
}

static void model_get(struct file *f, struct buffer *b, __u32 flags)
{
	struct mapping *m = &maps[file_index(f)][index_of(b)];

	memset(m, 0, sizeof(*m));
	m->live = true;
	m->dir = flags & DIRECTIONS ? flags & DIRECTIONS : DIRECTIONS;
	m->coherent = flags & DMA_BUF_DMA_COHERENT;
	if (!count_maps(f->dev, true))
		devices[f->dev].started = true;
}

static void model_put(struct file *f, struct buffer *b)
{
	struct mapping *m = &maps[file_index(f)][index_of(b)];

	if (!m->revoked && count_maps(f->dev, false) == 1)
		model_stop(f->dev);
	m->live = false;
	forget_if_unused(b);
	model_restart(f->dev);
}

static void model_release(struct file *f)
{
	int b;

	f->live = false;
	for (b = 0; b < NR_BUFFERS; b++) {
		struct mapping *m = &maps[file_index(f)][b];

		if (!m->live)
			continue;
		m->live = false;
		if (!m->revoked)
			buffers[b].parked[f->dev]++;
		forget_if_unused(&buffers[b]);
	}
	if (f->dead)
		return;
	if (!count_files(f->dev) ||
	    (!count_maps(f->dev, false) && count_parked(f->dev)))
		model_stop(f->dev);
	model_restart(f->dev);
}

/* A heap has taken a buffer back. */
static void model_revoke(struct buffer *b)
{
	unsigned int dev;
	bool found;
	int f;

	b->revoked = true;
	for (dev = 0; dev < NR_DEVICES; dev++) {
		found = b->parked[dev];
		for (f = 0; f < NR_FILES; f++) {
			struct mapping *m = &maps[f][index_of(b)];

			if (!files[f].live || files[f].dev != (int)dev ||
			    !m->live || m->revoked)
				continue;
			found = true;
			m->revoked = true;
		}
		if (found) {
			model_stop(dev);
			model_restart(dev);
		}
	}
}

static void model_unbind(int dev)
{
	int f, b;

	for (f = 0; f < NR_FILES; f++) {
		if (!files[f].live || files[f].dev != dev)
			continue;
		files[f].dead = true;
		for (b = 0; b < NR_BUFFERS; b++)
			maps[f][b].live = false;
	}
	model_stop(dev);
	for (b = 0; b < NR_BUFFERS; b++)
		if (buffers[b].live && buffers[b].kind == UIO_MEMORY_DEVICE &&
		    buffers[b].dev == dev && !buffers[b].revoked)
			model_revoke(&buffers[b]);
	devices[dev].bound = false;
	devices[dev].number = -1;
	devices[dev].heap_gone = true;
}

/*
 * Choosing
 */
static struct file *any_file(void)
{
	int i, n = rnd(NR_FILES);

	for (i = 0; i < NR_FILES; i++, n++)
		if (files[n % NR_FILES].live)
			return &files[n % NR_FILES];
	return NULL;
}

static struct buffer *any_buffer(bool open, bool mapped)
{
	int i, n = rnd(NR_BUFFERS);

	for (i = 0; i < NR_BUFFERS; i++, n++) {
		struct buffer *b = &buffers[n % NR_BUFFERS];

		if (b->live && (!open || b->fd >= 0) && (!mapped || b->map))
			return b;
	}
	return NULL;
}

static struct mapping *any_mapping(struct file **f, struct buffer **b)
{
	int i, n = rnd(NR_FILES * NR_BUFFERS);

	for (i = 0; i < NR_FILES * NR_BUFFERS; i++, n++) {
		n %= NR_FILES * NR_BUFFERS;
		*f = &files[n / NR_BUFFERS];
		*b = &buffers[n % NR_BUFFERS];
		if (maps[n / NR_BUFFERS][n % NR_BUFFERS].live)
			return &maps[n / NR_BUFFERS][n % NR_BUFFERS];
	}
	return NULL;
}

static struct buffer *new_buffer(void)
{
	int i;

	for (i = 0; i < NR_BUFFERS; i++)
		if (!buffers[i].live)
			return &buffers[i];
	return NULL;
}

/*
 * Buffers
 */
static void close_buffer(struct buffer *b)
{
	start("close buffer", -1, index_of(b), 0, 0);
	expect(0, SYS(close(b->fd)), 0, 0);
	b->fd = -1;
	forget_if_unused(b);
}

static void unmap_buffer(struct buffer *b)
{
	start("munmap", -1, index_of(b), 0, 0);
	expect(0, SYS(munmap(b->map, size_of(b))), 0, 0);
	b->map = NULL;
	forget_if_unused(b);
}

static void op_close_buffer(void)
{
	struct buffer *b = any_buffer(true, false);

	if (b)
		close_buffer(b);
}

static void op_unmap(void)
{
	struct buffer *b = any_buffer(false, true);

	if (b)
		unmap_buffer(b);
}

/* Device heap memory that was taken back: every access is a SIGBUS. */
static bool access_ok(struct buffer *b, int sig)
{
	int want = b->revoked ? SIGBUS : 0;

	finish(sig);
	if (sig == want)
		return !sig;
	if (weak && sig == SIGBUS && b->kind == UIO_MEMORY_DEVICE) {
		lost |= bit(b->dev);
		return false;
	}
	die("access to buffer %d: signal %d, expected %d", index_of(b), sig,
	    want);
}

static void check_page_at(struct buffer *b, unsigned int p, void *mem)
{
	int sig, at = -1;

	start("read page", -1, index_of(b), p, 0);
	sig = GUARDED(at = page_differs(b, p, mem));
	if (access_ok(b, sig) && at >= 0)
		die("buffer %d page %u word %d: 0x%llx, expected 0x%llx",
		    index_of(b), p, at, ((__u64 *)mem)[at],
		    b->shadow[p] ? b->shadow[p][at] : word(b->tag[p], at));
}

static void check_page(struct buffer *b, unsigned int p)
{
	check_page_at(b, p, b->map + p * page);
}

/* Files map a buffer in a way that takes DMA_BUF_IOCTL_SYNC. */
static bool needs_sync(struct buffer *b)
{
	int i;

	/* Nobody can tell what the mapping of a closed file was like. */
	for (i = 0; i < NR_DEVICES; i++)
		if (b->parked[i] && is_narrow(&devices[i]))
			return true;
	for (i = 0; i < NR_FILES; i++)
		if (maps[i][index_of(b)].live && !maps[i][index_of(b)].coherent)
			return true;
	return false;
}

/*
 * udmabuf does nothing for other devices, and the DMA API's debugging does not
 * like it if the direction is not that of the mapping.
 */
static bool can_sync(struct buffer *b)
{
	int i;

	if (b->kind == UIO_MEMORY_USER || b->fd < 0)
		return false;
	if (!have_dma_debug)
		return true;
	for (i = 0; i < NR_DEVICES; i++)
		if (b->parked[i])
			return false;
	for (i = 0; i < NR_FILES; i++)
		if (maps[i][index_of(b)].live &&
		    maps[i][index_of(b)].dir != DIRECTIONS)
			return false;
	return true;
}

/* Bounced more than once: the copy that is synced last wins. */
static bool has_copies(struct buffer *b)
{
	int i, n = 0;

	for (i = 0; i < NR_DEVICES; i++)
		n += b->parked[i];
	for (i = 0; i < NR_FILES; i++)
		n += maps[i][index_of(b)].live;
	return n > 1;
}

static long sync_buffer(struct buffer *b, __u64 flags)
{
	struct dma_buf_sync sync = { .flags = flags };

	start("sync", -1, index_of(b), flags, 0);
	return SYS(ioctl(b->fd, DMA_BUF_IOCTL_SYNC, &sync));
}

static void write_page(struct buffer *b, unsigned int p, __u32 tag)
{
	bool sync = needs_sync(b);
	int sig;

	if (sync && !can_sync(b))
		return;
	if (sync)
		expect(0, sync_buffer(b, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW),
		       0, 0);
	start("write page", -1, index_of(b), p, tag);
	sig = GUARDED(fill_page((__u64 *)(b->map + p * page), tag));
	if (access_ok(b, sig)) {
		b->tag[p] = tag;
		free(b->shadow[p]);
		b->shadow[p] = NULL;
	}
	if (sync)
		expect(0, sync_buffer(b, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW),
		       0, 0);
}

static void op_write(void)
{
	struct buffer *b = any_buffer(false, true);
	__u32 tag = rnd32() | 1;

	if (b)
		write_page(b, rnd(b->pages), tag);
}

static void op_read(void)
{
	struct buffer *b = any_buffer(false, true);

	if (b)
		check_page(b, rnd(b->pages));
}

/* What mmap() of a part of a buffer must answer. */
static long want_mmap(const struct buffer *b, unsigned int first,
		      unsigned int n, int prot, int flags)
{
	if (flags & MAP_SHARED) {
		if ((prot & PROT_WRITE) && b->acc == O_RDONLY)
			return -EACCES;
	}
	if (b->acc == O_WRONLY)
		return -EACCES;
	if (first + n > b->pages)
		return -EINVAL;
	if (flags & MAP_PRIVATE)
		return -EINVAL;
	return b->revoked ? -ENODEV : 0;
}

static bool map_part(struct buffer *b, unsigned int first, unsigned int n,
		     int prot, int flags, void **mem)
{
	long ret;

	start("mmap", prot, index_of(b), (__u64)first << 32 | n, flags);
	ret = SYS(*mem = mmap(NULL, n * page, prot, flags, b->fd,
			      (off_t)first * page));
	return expect(want_mmap(b, first, n, prot, flags), ret,
		      b->kind == UIO_MEMORY_DEVICE ? -ENODEV : 0,
		      bit(b->dev)) && !ret;
}

static void map_buffer(struct buffer *b)
{
	void *mem;

	if (map_part(b, 0, b->pages, PROT_READ | PROT_WRITE, MAP_SHARED, &mem))
		b->map = mem;
}

static void op_map(void)
{
	struct buffer *b = any_buffer(true, false);

	if (b && !b->map && b->acc == O_RDWR)
		map_buffer(b);
}

/* Another mapping of some pages, taken apart in some way. */
static void op_map_part(void)
{
	struct buffer *b = any_buffer(true, false);
	int prot = PROT_READ, flags = MAP_SHARED;
	unsigned int first, n, way = rnd(6), i;
	void *mem, *other;

	if (!b)
		return;
	first = rnd(b->pages + 1);
	n = 1 + rnd(one_in(8) ? b->pages + 2 : b->pages - first + 1);
	if (one_in(4))
		prot |= PROT_WRITE;
	/* The system heap lets whole pages be mapped privately. */
	if (one_in(16) && b->kind != UIO_MEMORY_SYSTEM)
		flags = MAP_PRIVATE;
	if (!map_part(b, first, n, prot, flags, &mem))
		return;

	start("take apart", way, index_of(b), first, n);
	switch (way) {
	case 0:
		other = mremap(mem, n * page, (n + 1) * page, MREMAP_MAYMOVE);
		expect(-EFAULT, other == MAP_FAILED ? -errno : 0, 0, 0);
		break;
	case 1:
		other = mmap(NULL, n * page, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (other == MAP_FAILED)
			die("mmap: %m");
		other = mremap(mem, n * page, n * page,
			       MREMAP_MAYMOVE | MREMAP_FIXED, other);
		expect(0, other == MAP_FAILED ? -errno : 0, 0, 0);
		mem = other;
		break;
	case 2:
		expect(0, SYS(munmap(mem + n / 2 * page, page)), 0, 0);
		for (i = 0; i < n && !lost; i++)
			if (i != n / 2)
				check_page_at(b, first + i, mem + i * page);
		munmap(mem, n * page);
		return;
	case 3:
		expect(-EINVAL, madvise(mem, n * page, MADV_DONTNEED) ?
		       -errno : 0, 0, 0);
		break;
	case 4: {
		struct iovec local = { mem, 8 }, remote = { mem, 8 };
		char data[8];

		local.iov_base = data;
		expect(-EFAULT, process_vm_readv(getpid(), &local, 1, &remote,
						 1, 0) < 0 ? -errno : 0, 0, 0);
		break;
	}
	default:
		expect(0, SYS(mprotect(mem, page, PROT_READ)), 0, 0);
		break;
	}
	check_page_at(b, first, mem);
	if (!lost)
		check_page_at(b, first + n - 1, mem + (n - 1) * page);
	munmap(mem, n * page);
}

static void adopt_buffer(struct buffer *b, int fd, enum uio_memory kind,
			 int dev, int acc, unsigned int pages)
{
	unsigned int p;

	b->live = true;
	b->fd = fd;
	b->kind = kind;
	b->dev = dev;
	b->incarnation = devices[dev].incarnation;
	b->acc = acc;
	b->pages = pages;

	start("size", -1, index_of(b), 0, 0);
	if (lseek(fd, 0, SEEK_END) != (off_t)size_of(b))
		die("size %lld, expected %llu",
		    (long long)lseek(fd, 0, SEEK_END), size_of(b));
	finish(0);
	if (acc == O_RDWR && !b->map && !one_in(4))
		map_buffer(b);
	/* Zeroed, to the last page. */
	for (p = 0; b->map && !lost && p < pages; p++)
		check_page(b, p);
}

static int heap_of(enum uio_memory kind, int dev)
{
	switch (kind) {
	case UIO_MEMORY_DEVICE:
		return devices[dev].heap_fd;
	case UIO_MEMORY_SYSTEM:
		return system_fd;
	default:
		return cma_fd;
	}
}

static bool open_heap(int dev)
{
	struct device *d = &devices[dev];
	char heap[UIO_NAME_LEN];
	long ret;

	snprintf(heap, sizeof(heap), "uio@%s", d->name);
	start("open heap", dev, -1, 0, 0);
	ret = LIB(uio_heap_open(heap));
	if (ret >= 0) {
		d->heap_fd = ret;
		d->heap_gone = false;
		ret = 0;
	}
	return expect(d->bound ? 0 : -ENOENT, ret, -ENODEV, bit(dev)) && !ret;
}

static void op_close_heap(void)
{
	struct device *d = &devices[rnd(nr_devices)];

	if (d->heap_fd < 0)
		return;
	start("close heap", d - devices, -1, 0, 0);
	expect(0, SYS(close(d->heap_fd)), 0, 0);
	d->heap_fd = -1;
}

static bool choose_heap(enum uio_memory *kind, int *dev)
{
	unsigned int n = rnd(8);

	*dev = rnd(nr_devices);
	*kind = n < 5 ? UIO_MEMORY_DEVICE : n < 7 ? UIO_MEMORY_SYSTEM :
						    UIO_MEMORY_CMA;
	if (*kind == UIO_MEMORY_CMA && cma_fd < 0)
		*kind = UIO_MEMORY_SYSTEM;
	if (*kind != UIO_MEMORY_DEVICE)
		return true;
	return devices[*dev].heap_fd >= 0 || open_heap(*dev);
}

static long alloc(int heap, struct dma_heap_allocation_data *arg)
{
	struct dma_heap_allocation_data in = *arg;

	return SYS((*arg = in, ioctl(heap, DMA_HEAP_IOCTL_ALLOC, arg)));
}

static void op_alloc(void)
{
	struct dma_heap_allocation_data arg = { 0 };
	unsigned int pages, cut, acc = O_RDWR;
	struct buffer *b = new_buffer();
	enum uio_memory kind;
	int dev;

	if (!b)
		return op_close_buffer();
	if (!choose_heap(&kind, &dev))
		return;

	pages = 1 + rnd(one_in(8) ? MAX_PAGES : 4);
	/* Little memory is that near, and it must be contiguous. */
	if (kind == UIO_MEMORY_DEVICE && is_narrow(&devices[dev]) && pages > 8)
		pages = 8;
	cut = one_in(4) ? rnd(page) : 0;
	if (one_in(8))
		acc = one_in(4) ? O_WRONLY : O_RDONLY;
	arg.len = (__u64)pages * page - cut;
	arg.fd_flags = acc | O_CLOEXEC;

	start("alloc", dev, index_of(b), kind, arg.len);
	if (!expect(kind == UIO_MEMORY_DEVICE && devices[dev].heap_gone ?
		    -ENODEV : 0, alloc(heap_of(kind, dev), &arg),
		    kind == UIO_MEMORY_DEVICE ? -ENODEV : 0, bit(dev)))
		return;
	if (kind == UIO_MEMORY_DEVICE && devices[dev].heap_gone)
		return;
	adopt_buffer(b, arg.fd, kind, dev, acc, pages);
}

static void op_udmabuf(void)
{
	struct buffer *b = new_buffer();
	unsigned int pages = 1 + rnd(8);
	struct uio_buffer buf;

	if (!have_udmabuf || !b)
		return;
	start("udmabuf", -1, index_of(b), pages, 0);
	expect(0, LIB(uio_buffer_udmabuf(&buf, (__u64)pages * page, NULL)),
	       0, 0);
	b->map = buf.vaddr;
	adopt_buffer(b, buf.fd, UIO_MEMORY_USER, 0, O_RDWR, pages);
}

/* An allocation that must fail, for several reasons at once perhaps. */
static void op_alloc_bad(void)
{
	static const __u64 absurd[] = {
		1ULL << 63, (1ULL << 63) + 1, 1ULL << 44, (1ULL << 40) + 1,
		~0ULL - 8191, 1ULL << 36, 1ULL << 34,
	};
	struct dma_heap_allocation_data arg = {
		.len = page, .fd_flags = O_RDWR | O_CLOEXEC,
	};
	long want = 0, ret;
	enum uio_memory kind;
	void *ptr = &arg;
	int dev, how = rnd(7);

	if (!choose_heap(&kind, &dev))
		return;
	if (kind == UIO_MEMORY_DEVICE && devices[dev].heap_gone)
		want = -ENODEV;

	if (how == 0) {
		arg.len = absurd[rnd(ARRAY_SIZE(absurd))];
		/* The system heap would have the OOM killer called. */
		if (kind != UIO_MEMORY_DEVICE)
			return;
		want = want ? want : -ENOMEM;
	} else if (how == 1) {
		/* Rounded up it is zero. */
		arg.len = one_in(2) ? 0 : ~0ULL - rnd(page - 1);
		want = -EINVAL;
	} else if (how == 2) {
		arg.fd_flags |= 1U << (2 + rnd(17));
		want = -EINVAL;
	} else if (how == 3) {
		arg.heap_flags = 1ULL << rnd(64);
		want = -EINVAL;
	} else if (how == 4) {
		arg.fd = 1 + rnd(3);
		want = -EINVAL;
	} else if (how == 5) {
		ptr = bad_pointer[rnd(ARRAY_SIZE(bad_pointer))];
		want = -EFAULT;
	} else {
		ptr = ro_pointer;
		memcpy(ro_alias, &arg, sizeof(arg));
		want = want ? want : -EFAULT;
	}

	start("alloc badly", dev, how, kind, arg.len);
	ret = SYS(ioctl(heap_of(kind, dev), DMA_HEAP_IOCTL_ALLOC, ptr));
	if (!expect(want, ret, kind == UIO_MEMORY_DEVICE ? -ENODEV : 0,
		    bit(dev)))
		return;
	start("alloc, unknown", dev, -1, kind, 0);
	expect(-EINVAL, SYS(ioctl(heap_of(kind, dev), HEAP_UNKNOWN, &arg)),
	       0, 0);
}

/* Another descriptor takes the place of the one that we have. */
static void op_dup(void)
{
	struct buffer *b = any_buffer(true, false);
	int fd;

	if (!b)
		return;
	start("dup", -1, index_of(b), 0, 0);
	expect(0, SYS(fd = fcntl(b->fd, F_DUPFD_CLOEXEC, 0)), 0, 0);
	close(b->fd);
	b->fd = fd;
}

/* Nobody but a socket holds the buffer for a while. */
static void op_send(void)
{
	struct buffer *b = any_buffer(true, false);
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} u = { .head = {
		.cmsg_len = CMSG_LEN(sizeof(int)),
		.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
	} };
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &u, .msg_controllen = sizeof(u),
	};
	int pair[2];

	if (!b)
		return;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		die("socketpair: %m");
	memcpy(CMSG_DATA(&u.head), &b->fd, sizeof(int));
	start("send", -1, index_of(b), 0, 0);
	expect(1, sendmsg(pair[0], &msg, 0), 0, 0);
	close(b->fd);
	start("receive", -1, index_of(b), 0, 0);
	expect(1, recvmsg(pair[1], &msg, MSG_CMSG_CLOEXEC), 0, 0);
	memcpy(&b->fd, CMSG_DATA(&u.head), sizeof(int));
	close(pair[0]);
	close(pair[1]);
}

static void op_sync(void)
{
	struct buffer *b = any_buffer(true, false);
	__u64 flags = one_in(8) ? rnd(16) : rnd(8);
	long want = 0;

	if (!b)
		return;
	if (b->kind == UIO_MEMORY_USER)
		flags |= DMA_BUF_SYNC_RW;
	else if (!can_sync(b) || needs_sync(b))
		flags &= ~DMA_BUF_SYNC_RW;

	if ((flags & ~DMA_BUF_SYNC_VALID_FLAGS_MASK) ||
	    !(flags & DMA_BUF_SYNC_RW))
		want = -EINVAL;
	else if (b->kind == UIO_MEMORY_USER && (flags & DMA_BUF_SYNC_END) &&
		 !b->begun)
		want = -EINVAL;
	else if (!(flags & DMA_BUF_SYNC_END))
		b->begun = true;
	expect(want, sync_buffer(b, flags), 0, 0);
}

static void op_name(void)
{
	struct buffer *b = any_buffer(true, false);
	char name[40] = "";
	int len = rnd(36);

	if (!b)
		return;
	memset(name, 'n', len);
	start("set name", -1, index_of(b), len, 0);
	expect(len < 32 ? 0 : -EINVAL,
	       SYS(ioctl(b->fd, DMA_BUF_SET_NAME_B, name)), 0, 0);
}

/*
 * Addresses
 */
static long get_addr(int dmabuf, int dev_fd, __u32 flags, __u64 offset,
		     struct dma_buf_get_dma_addr *get)
{
	struct dma_buf_get_dma_addr in = {
		.dev_fd = dev_fd, .flags = flags, .offset = offset,
		.dma_addr = 0x5a5a5a5a5a5a5a5a, .len = 0xa5a5a5a5a5a5a5a5,
	};
	long ret = SYS((*get = in, ioctl(dmabuf, DMA_BUF_IOCTL_GET_DMA_ADDR,
					 get)));

	if (ret && memcmp(get, &in, sizeof(in)))
		die("a failing call has changed its argument");
	return ret;
}

/*
 * The call's answer depends on where memory happens to be. Among several
 * processes, bounce buffers are copied back at any time after a close.
 */
static bool unpredictable(const struct file *f, const struct buffer *b,
			  __u32 flags)
{
	if (f->dead || !is_narrow(&devices[f->dev]) || is_own(f, b))
		return false;
	return weak || b->kind == UIO_MEMORY_DEVICE ||
	       (flags & DMA_BUF_DMA_COHERENT);
}

/* What is wrong regardless of the buffer's state; in the order documented. */
static long want_access(const struct file *f, const struct buffer *b,
			__u32 dir)
{
	if (f->acc == O_RDONLY)
		return -EACCES;
	if (b->acc == O_RDONLY && dir != DMA_BUF_DMA_TO_DEVICE)
		return -EACCES;
	return f->dead ? -ENODEV : 0;
}

static long want_get(const struct file *f, const struct buffer *b,
		     __u32 flags, __u64 offset)
{
	const struct mapping *m = &maps[file_index(f)][index_of(b)];
	const struct device *d = &devices[f->dev];
	__u32 dir = flags & DIRECTIONS ? flags & DIRECTIONS : DIRECTIONS;
	long want;

	if ((flags & ~ALL_FLAGS) || offset >= size_of(b))
		return -EINVAL;
	want = want_access(f, b, dir);
	if (want)
		return want;
	if (m->live) {
		if (m->revoked)
			return -ENODEV;
		if (m->dir != dir)
			return -EBUSY;
		if ((flags & DMA_BUF_DMA_COHERENT) && !m->coherent)
			return -EOPNOTSUPP;
		return 0;
	}
	if (!is_own(f, b) && !d->reaches[d->bits])
		return -EOPNOTSUPP;
	return b->revoked ? -ENODEV : 0;
}

static bool overlaps(__u64 a, __u64 a_len, __u64 b, __u64 b_len)
{
	return a < b + b_len && b < a + a_len;
}

/* No two buffers of a device are at the same place. */
static void check_disjoint(struct file *f, struct buffer *b, __u64 addr,
			   __u64 len)
{
	int i, j;
	unsigned int p;

	for (i = 0; i < NR_FILES; i++) {
		if (!files[i].live || files[i].dev != f->dev)
			continue;
		for (j = 0; j < NR_BUFFERS; j++) {
			struct mapping *m = &maps[i][j];

			if (!m->live || m->revoked || j == index_of(b))
				continue;
			for (p = 0; p < buffers[j].pages; p++)
				if (m->addr[p] &&
				    overlaps(addr, len, m->addr[p], page))
					die("buffers %d and %d overlap for %s: 0x%llx",
					    index_of(b), j,
					    devices[f->dev].name, m->addr[p]);
		}
	}
}

/* All files of a device find its own heap's buffers at the same place. */
static void check_own(struct file *f, struct buffer *b, __u64 addr)
{
	int i;

	for (i = 0; i < NR_FILES; i++)
		if (files[i].live && files[i].dev == f->dev &&
		    maps[i][index_of(b)].live &&
		    maps[i][index_of(b)].addr[0] &&
		    maps[i][index_of(b)].addr[0] != addr)
			die("buffer %d: at 0x%llx for one file, 0x%llx for another",
			    index_of(b), maps[i][index_of(b)].addr[0], addr);
}

/* Without an IOMMU, and without bouncing, addresses are physical ones. */
static void check_physical(struct buffer *b, struct mapping *m, unsigned int p)
{
	__u64 entry;

	if (GUARDED(load(b->map + p * page)))
		return;
	if (pread(pagemap_fd, &entry, sizeof(entry),
		  (off_t)((uintptr_t)b->map / page + p) * sizeof(entry)) !=
	    sizeof(entry))
		die("pagemap: %m");
	entry = entry << 9 >> 9;
	if (entry && entry * page != m->addr[p])
		die("buffer %d page %u: at 0x%llx, for the device at 0x%llx",
		    index_of(b), p, entry * page, m->addr[p]);
}

/* An address that was given away: right, and the same as before. */
static void check_answer(struct file *f, struct buffer *b,
			 const struct dma_buf_get_dma_addr *get, bool fresh)
{
	struct mapping *m = &maps[file_index(f)][index_of(b)];
	struct device *d = &devices[f->dev];
	unsigned int p = get->offset / page, last;
	__u64 addr = get->dma_addr - get->offset % page;
	__u64 len = get->len + get->offset % page;

	if ((get->flags & DIRECTIONS) != m->dir || (get->flags & ~ALL_FLAGS))
		die("flags 0x%x, expected directions 0x%x", get->flags, m->dir);
	if (fresh)
		m->coherent = get->flags & DMA_BUF_DMA_COHERENT;
	if (m->coherent != !!(get->flags & DMA_BUF_DMA_COHERENT))
		die("coherent once, but not always");
	if (!m->coherent && (is_own(f, b) || !is_narrow(d)))
		die("not coherent");
	if (!get->len || get->len > size_of(b) - get->offset)
		die("0x%llx bytes at offset 0x%llx of 0x%llx", get->len,
		    get->offset, size_of(b));
	if (addr % page || len % page)
		die("0x%llx and 0x%llx bytes from offset 0x%llx, off the pages",
		    get->dma_addr, get->len, get->offset);
	if (addr + len - 1 < addr || addr + len - 1 > mask_of(d))
		die("0x%llx and 0x%llx bytes, beyond %d bits", addr, len,
		    d->bits);
	if (is_own(f, b)) {
		if (get->len != size_of(b) - get->offset)
			die("not in one piece");
		check_own(f, b, addr - (__u64)p * page);
	}
	/* Others may have taken a buffer away, and its address is free again. */
	if (fresh && !weak)
		check_disjoint(f, b, addr, len);

	last = p + len / page - 1;
	for (; p <= last; p++, addr += page) {
		if (m->addr[p] && m->addr[p] != addr)
			die("page %u: at 0x%llx, was at 0x%llx", p, addr,
			    m->addr[p]);
		m->addr[p] = addr;
	}
	if (last + 1 < b->pages && m->addr[last + 1] == addr)
		die("what follows page %u is contiguous", last);
	if (!d->confined && m->coherent && b->map && !b->revoked && fresh)
		check_physical(b, m, get->offset / page);
}

static void get_one(struct file *f, struct buffer *b, __u32 flags,
		    __u64 offset)
{
	struct mapping *m = &maps[file_index(f)][index_of(b)];
	bool fresh = !m->live;
	long want = want_get(f, b, flags, offset);
	struct dma_buf_get_dma_addr get;

	start("get", file_index(f), index_of(b), offset, flags);
	if (!expect(want, get_addr(b->fd, f->udev.fd, flags, offset, &get),
		    -ENODEV, devices_of(f, b)) || want)
		return;
	if (fresh)
		model_get(f, b, flags);
	check_answer(f, b, &get, fresh);
}

/* Offsets where something may be off by one. */
static __u64 choose_offset(struct file *f, struct buffer *b)
{
	struct mapping *m = &maps[file_index(f)][index_of(b)];
	unsigned int p = rnd(b->pages), way = rnd(8);
	__u64 offset = rnd(page);

	switch (way) {
	case 0:
		return (__u64)p * page + offset;
	case 1:
		return size_of(b) - 1 - offset % 2;
	case 2:
		return one_in(4) ? size_of(b) + offset * p : 0;
	case 3:
		return (__u64)p * page + page - 1;
	case 4:
	case 5:
		/* A border between pieces, if there is one behind @p. */
		while (p + 1 < b->pages && m->live && m->addr[p] &&
		       m->addr[p + 1] == m->addr[p] + page)
			p++;
		if (p + 1 == b->pages)
			return (__u64)p * page;
		return (__u64)(p + 1) * page - (way == 4);
	default:
		return (__u64)p * page;
	}
}

static __u32 choose_flags(struct file *f, struct buffer *b)
{
	struct mapping *m = &maps[file_index(f)][index_of(b)];
	__u32 any = rnd(4), flags = m->live ? m->dir : 0;

	if (one_in(m->live ? 8 : 3))
		flags = any;
	if (b->acc == O_RDONLY && !one_in(4))
		flags = DMA_BUF_DMA_TO_DEVICE;
	if (one_in(3))
		flags |= DMA_BUF_DMA_COHERENT;
	if (unpredictable(f, b, flags) && !m->live)
		flags &= ~DMA_BUF_DMA_COHERENT;
	return flags;
}

static void op_get(void)
{
	struct buffer *b = any_buffer(true, false);
	struct file *f = any_file();
	__u64 offset;
	__u32 flags;

	if (!b || !f)
		return;
	flags = choose_flags(f, b);
	offset = choose_offset(f, b);
	if (!maps[file_index(f)][index_of(b)].live &&
	    unpredictable(f, b, flags))
		return;
	get_one(f, b, flags, offset);
}

/* Something that is mapped, again, or piece by piece. */
static void op_get_again(void)
{
	struct file *f;
	struct buffer *b;
	struct mapping *m = any_mapping(&f, &b);
	__u64 offset, way = rnd(8);

	if (!m || b->fd < 0)
		return op_get();
	offset = choose_offset(f, b);
	if (way || m->revoked) {
		get_one(f, b, m->dir, offset);
		return;
	}
	/* How many pieces there are must not show in the random numbers. */
	for (offset = 0; offset < size_of(b) && !lost; offset += page) {
		__u64 hash = me->hash;

		get_one(f, b, m->dir, offset);
		me->hash = hash;
	}
}

static int wrong_dev_fd(unsigned int how, const struct buffer *b, long *err)
{
	*err = -EBADF;
	switch (how) {
	case 0:
		return -1;
	case 1:
		return 0x7fffffff;
	case 2:
		*err = -EINVAL;
		return b->fd;
	default:
		*err = -EINVAL;
		return memfd;
	}
}

static void op_get_bad(void)
{
	struct buffer *b = any_buffer(true, false);
	struct file *f = any_file();
	struct dma_buf_get_dma_addr get = { 0 };
	__u32 flags = 0, how = rnd(5);
	__u64 offset = 0;
	long want = 0, ret;
	void *ptr;

	if (!b || !f)
		return;
	if (b->acc == O_RDONLY)
		flags = DMA_BUF_DMA_TO_DEVICE;
	if (one_in(4))
		flags |= 8U << rnd(29);
	if (one_in(4))
		offset = size_of(b) + (one_in(2) ? 0 : (__u64)rnd32() << rnd(32));
	start("get badly", file_index(f), index_of(b), offset,
	      (__u64)how << 32 | flags);
	switch (how) {
	case 0:
		ret = get_addr(b->fd, wrong_dev_fd(rnd(4), b, &want), flags,
			       offset, &get);
		if ((flags & ~ALL_FLAGS) || offset >= size_of(b))
			want = -EINVAL;
		break;
	case 1:
		ptr = bad_pointer[rnd(ARRAY_SIZE(bad_pointer))];
		ret = SYS(ioctl(b->fd, DMA_BUF_IOCTL_GET_DMA_ADDR, ptr));
		want = -EFAULT;
		break;
	case 2:
		/* Must not leave a mapping behind. */
		get = (struct dma_buf_get_dma_addr) {
			.dev_fd = f->udev.fd, .flags = flags, .offset = offset,
		};
		memcpy(ro_alias, &get, sizeof(get));
		ret = SYS(ioctl(b->fd, DMA_BUF_IOCTL_GET_DMA_ADDR,
				ro_pointer));
		want = want_get(f, b, flags, offset);
		/* That it will not do is found out only by mapping it. */
		if (!want || (!maps[file_index(f)][index_of(b)].live &&
			      want != -EINVAL && want != -EACCES &&
			      !f->dead))
			want = -EFAULT;
		break;
	case 3:
		ret = SYS(ioctl(b->fd, GET_TOO_LONG, &get));
		want = -ENOTTY;
		break;
	default:
		ret = SYS(ioctl(f->udev.fd, DMA_BUF_IOCTL_GET_DMA_ADDR, &get));
		want = -ENOTTY;
		break;
	}
	expect(want, ret, -ENODEV, devices_of(f, b));
}

static void check_bus_master(int dev)
{
	struct device *d = &devices[dev];
	char heap[UIO_NAME_LEN];

	/* Waits for a work item that has revoked a buffer. */
	if (d->bound)
		uio_heap_name(d->number, heap, sizeof(heap));
	start("bus master", dev, -1, 0, 0);
	expect(d->started, uio_bus_master(d->name), 0, 0);
}

static long put_addr(int dmabuf, int dev_fd, __u32 flags)
{
	struct dma_buf_put_dma_addr put = { .dev_fd = dev_fd, .flags = flags };

	return SYS(ioctl(dmabuf, DMA_BUF_IOCTL_PUT_DMA_ADDR, &put));
}

static void put_one(struct file *f, struct buffer *b)
{
	struct mapping *m = &maps[file_index(f)][index_of(b)];
	bool revoked = m->live && m->revoked;
	long want;

	if (f->acc == O_RDONLY)
		want = -EACCES;
	else if (f->dead)
		want = -ENODEV;
	else
		want = m->live ? 0 : -ENOENT;
	start("put", file_index(f), index_of(b), 0, 0);
	if (!expect(want, put_addr(b->fd, f->udev.fd, 0), -ENODEV,
		    bit(f->dev)) || want)
		return;
	model_put(f, b);
	if (!weak && (revoked || one_in(32)))
		check_bus_master(f->dev);
}

static void op_put(void)
{
	struct file *f;
	struct buffer *b;

	if (any_mapping(&f, &b) && b->fd >= 0)
		put_one(f, b);
}

static void op_put_any(void)
{
	struct buffer *b = any_buffer(true, false);
	struct file *f = any_file();
	unsigned int how = rnd(6);
	long want = 0, ret;
	int fd;

	if (!b || !f)
		return;
	if (how > 2) {
		put_one(f, b);
		return;
	}
	start("put badly", file_index(f), index_of(b), how, 0);
	if (how == 0) {
		fd = wrong_dev_fd(rnd(4), b, &want);
		ret = put_addr(b->fd, fd, 0);
	} else if (how == 1) {
		ret = put_addr(b->fd, f->udev.fd, 1U << rnd(32));
		want = -EINVAL;
	} else if (one_in(2)) {
		ret = SYS(ioctl(b->fd, DMA_BUF_IOCTL_PUT_DMA_ADDR,
				bad_pointer[rnd(ARRAY_SIZE(bad_pointer))]));
		want = -EFAULT;
	} else {
		ret = SYS(ioctl(b->fd, PUT_BOTH_WAYS, ro_pointer));
		want = -ENOTTY;
	}
	expect(want, ret, 0, 0);
}

/*
 * Files of devices
 */
static void op_open(void)
{
	int dev = rnd(nr_devices), i, acc = O_RDWR;
	struct device *d = &devices[dev];
	struct file *f = NULL;
	long ret;

	if (one_in(8))
		acc = one_in(4) ? O_WRONLY : O_RDONLY;
	for (i = 0; i < NR_FILES; i++)
		if (!files[i].live)
			f = &files[i];
	if (!f)
		return;
	if (weak)
		d->number = uio_find(d->name);
	start("open", dev, file_index(f), acc, d->number);
	ret = LIB(uio_open_fd(d->number, acc | O_NONBLOCK));
	if (ret >= 0) {
		memset(f, 0, sizeof(*f));
		f->live = true;
		f->dev = dev;
		f->acc = acc;
		f->udev.fd = ret;
		ret = 0;
	}
	expect(d->bound ? 0 : -ENOENT, ret, -ENODEV, bit(dev));
}

static void unmap_registers(struct file *f)
{
	if (f->udev.driver.ops)
		uio_dma_driver_remove(&f->udev);
	munmap(f->udev.regs, f->udev.map[0].size);
	f->mapped = false;
	f->udev.regs = NULL;
	if (f->udev.fd < 0)
		model_release(f);
}

/* A mapping of the registers keeps the file. */
static void close_file(struct file *f)
{
	start("close", f->dev, file_index(f), f->mapped, 0);
	expect(0, SYS(close(f->udev.fd)), 0, 0);
	f->udev.fd = -1;
	if (!f->mapped)
		model_release(f);
}

static void op_close(void)
{
	struct file *f = any_file();

	if (!f)
		return;
	/* The model's slots are for files that can be called. */
	if (f->mapped && one_in(2)) {
		close_file(f);
		unmap_registers(f);
	} else {
		if (f->mapped)
			unmap_registers(f);
		close_file(f);
	}
}

static void op_registers(void)
{
	struct file *f = any_file();
	long want = 0, ret;
	void *regs;

	if (!f)
		return;
	if (f->mapped) {
		start("munmap registers", f->dev, file_index(f), 0, 0);
		unmap_registers(f);
		finish(0);
		return;
	}
	start("mmap registers", f->dev, file_index(f), f->acc, 0);
	if (f->acc != O_RDWR)
		want = -EACCES;
	else if (f->dead)
		want = -EINVAL;
	ret = SYS(regs = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED,
			      f->udev.fd, 0));
	if (!expect(want, ret, -EINVAL, bit(f->dev)) || want)
		return;
	f->mapped = true;
	f->udev.regs = regs;
	f->udev.map[0].size = page;
}

/* A register of a device that is gone is not there. */
static void touch_register(struct file *f)
{
	int want = f->dead ? SIGBUS : 0, sig;

	start("read register", f->dev, file_index(f), 0, 0);
	sig = GUARDED(load(f->udev.regs));
	finish(sig);
	if (sig == want)
		return;
	if (!weak || sig != SIGBUS)
		die("signal %d, expected %d", sig, want);
	lost |= bit(f->dev);
}

static void op_touch_register(void)
{
	struct file *f = any_file();

	if (f && f->mapped)
		touch_register(f);
}

static void op_file(void)
{
	struct file *f = any_file();
	__s32 val = 1;
	struct pollfd pfd;
	unsigned int way = rnd(5);
	long want;

	if (!f)
		return;
	start("file", f->dev, file_index(f), way, f->acc);
	switch (way) {
	case 0:
		want = f->acc == O_WRONLY ? -EBADF : f->dead ? -EIO : -EAGAIN;
		expect(want, SYS(read(f->udev.fd, &val, sizeof(val))),
		       -EIO, bit(f->dev));
		break;
	case 1:
		want = f->acc == O_WRONLY ? -EBADF : -EINVAL;
		expect(want, SYS(read(f->udev.fd, &val, 1 + rnd(3))), 0, 0);
		break;
	case 2:
		want = f->acc == O_RDONLY ? -EBADF : -EINVAL;
		expect(want, SYS(write(f->udev.fd, &val, 1 + rnd(3))), 0, 0);
		break;
	case 3:
		pfd = (struct pollfd){ .fd = f->udev.fd, .events = POLLIN };
		if (poll(&pfd, 1, 0) < 0)
			die("poll: %m");
		/* Linux 6.12 says more than that. */
		if (pfd.revents & POLLERR)
			pfd.revents = POLLERR;
		expect(f->dead ? POLLERR : 0, pfd.revents, POLLERR,
		       bit(f->dev));
		break;
	default:
		expect(-ENOTTY, SYS(ioctl(f->udev.fd, DMA_HEAP_IOCTL_ALLOC,
					  &val)), 0, 0);
		break;
	}
}

/*
 * Devices
 */
static void bind_device(int dev)
{
	struct device *d = &devices[dev];
	char heap[UIO_NAME_LEN];
	long ret;

	start("bind", dev, -1, 0, 0);
	for (;;) {
		bool armed = arm();
		bool hit;

		ret = uio_bind(d->name, "uio_pci_generic");
		hit = armed && fault_hit();
		d->number = uio_find(d->name);
		if (!ret && d->number >= 0 &&
		    uio_heap_name(d->number, heap, sizeof(heap)) >= 0)
			break;
		if (!hit)
			die("cannot bind %s: %ld", d->name, ret);
		/* Without a heap it is a UIO device all the same. */
		uio_unbind(d->name);
	}
	finish(0);
	d->bound = true;
	d->started = false;
	d->bits = DEFAULT_BITS;
	if (uio_dma_mask_bits(d->number) != DEFAULT_BITS)
		die("a mask of %d bits", uio_dma_mask_bits(d->number));
}

static void op_bind(void)
{
	int dev = rnd(nr_devices);

	if (!devices[dev].bound)
		bind_device(dev);
}

static int unplug(const char *name)
{
	char dir[UIO_PATH_LEN], path[UIO_PATH_LEN + 8];
	int ret = uio_sysfs_dir(name, dir, sizeof(dir));

	if (ret)
		return ret;
	snprintf(path, sizeof(path), "%s/remove", dir);
	ret = uio_write_text(path, "1");
	if (ret)
		return ret;
	return uio_write_text("/sys/bus/pci/rescan", "1");
}

static void op_unbind(void)
{
	int dev = rnd(nr_devices);
	struct device *d = &devices[dev];
	bool removal = one_in(4);
	int i;

	if (!d->bound)
		return;
	start(removal ? "unplug" : "unbind", dev, -1, 0, 0);
	if (removal)
		expect(0, unplug(d->name), 0, 0);
	else
		expect(0, LIB(uio_unbind(d->name)), 0, 0);
	model_unbind(dev);
	d->incarnation += removal;

	for (i = 0; i < nr_devices; i++)
		check_bus_master(i);
	for (i = 0; i < NR_FILES; i++)
		if (files[i].live && files[i].dev == dev && files[i].mapped)
			touch_register(&files[i]);
	for (i = 0; i < NR_BUFFERS; i++)
		if (buffers[i].live && buffers[i].map)
			check_page(&buffers[i], 0);
}

/* 32 and one bit more than an unsigned int has */
#define TOO_LARGE "4294967328"

static void op_mask(void)
{
	static const int bits[] = { 64, 48, 40, 36, 32, 32, 30, 28, 28 };
	static const char * const bad[] = {
		TOO_LARGE, "0", "65", "-1", "", "x", "32 32",
	};
	int dev = rnd(nr_devices), n = bits[rnd(ARRAY_SIZE(bits))];
	const char *text = bad[rnd(ARRAY_SIZE(bad))];
	struct device *d = &devices[dev];
	char path[UIO_PATH_LEN];
	int ret, ms;
	long want = 0;

	if (one_in(2)) {
		if (!d->bound)
			return;
		uio_attr_path(d->number, "dma_mask_bits", path, sizeof(path));
		start("bad mask", dev, -1, (unsigned char)text[0], 0);
		want = !*text ? 0 : !strcmp(text, TOO_LARGE) ? -ERANGE : -EINVAL;
		expect(want, LIB(uio_write_text(path, text)), 0, 0);
		return;
	}
	if (!d->bound)
		want = -ENOENT;
	else if (count_maps(dev, false) || count_maps(dev, true) ||
		 count_parked(dev) || count_heap_buffers(dev))
		want = -EBUSY;
	else if (d->refuses[n])
		want = -EIO;
	start("mask", dev, -1, n, 0);
	ret = LIB(uio_set_dma_mask_bits(d->number, n));
	/* A work item may be about to drop a buffer that was revoked. */
	for (ms = 0; ret == -EBUSY && !want && ms < SETTLE_MS; ms++) {
		uio_msleep(1);
		ret = uio_set_dma_mask_bits(d->number, n);
	}
	expect(want, ret, 0, 0);
	if (!want)
		d->bits = n;
}

static void op_bus_master(void)
{
	check_bus_master(rnd(nr_devices));
}

static int base_fds, base_dmabufs, base_lowest_fd;

static int expected_fds(void)
{
	int i, n = base_fds;

	for (i = 0; i < NR_FILES; i++)
		n += files[i].live && files[i].udev.fd >= 0;
	for (i = 0; i < NR_BUFFERS; i++)
		n += buffers[i].fd >= 0;
	for (i = 0; i < NR_DEVICES; i++)
		n += devices[i].heap_fd >= 0;
	return n;
}

/* A work item may be about to drop what it has taken from a device. */
static long settled(long want, long (*count)(void))
{
	long got = count();
	int ms;

	for (ms = 0; got != want && ms < SETTLE_MS; ms++) {
		uio_msleep(1);
		got = count();
	}
	return got;
}

static long count_dmabufs(void)
{
	return uio_count_dmabufs();
}

static void op_count(void)
{
	int want = base_dmabufs + count_buffers();

	start("count descriptors", -1, -1, 0, 0);
	expect(expected_fds(), uio_count_fds(), 0, 0);
	if (!have_debugfs || weak)
		return;
	start("count buffers", -1, -1, 0, 0);
	expect(want, settled(want, count_dmabufs), 0, 0);
}

/* A child has the same files; what it does not close is closed for it. */
static void op_fork(void)
{
	struct file *f;
	struct buffer *b;
	struct mapping *m = any_mapping(&f, &b);
	bool killed = one_in(2);
	int status;
	pid_t pid;

	start("fork", -1, -1, killed, 0);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (m && b->fd >= 0 && !m->revoked && !weak) {
			struct dma_buf_get_dma_addr get;

			if (uio_dma_get(b->fd, f->udev.fd, m->dir, 0, &get) ||
			    (m->addr[0] && get.dma_addr != m->addr[0]))
				_exit(1);
		}
		if (killed)
			kill(getpid(), SIGKILL);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		die("fork: %m");
	expect(killed ? SIGKILL : 0, status, 0, 0);
}

/*
 * DMA
 */
static bool dma_reaches(const struct file *f, __u64 addr)
{
	__u64 end = addr + page - 1;

	if (end >> (8 * sizeof(long) - 1) >> 1)
		return false;
	return f->dev != NARROW_DEVICE || !(end >> NARROW_BITS);
}

/* A page that the device may read or write, and knows the address of. */
static struct mapping *dma_page(struct file *f, __u32 dir, struct buffer **b,
				unsigned int *p)
{
	int i, n = rnd(NR_BUFFERS);

	*p = rnd32();
	for (i = 0; i < NR_BUFFERS; i++, n++) {
		struct mapping *m = &maps[file_index(f)][n % NR_BUFFERS];

		*b = &buffers[n % NR_BUFFERS];
		if (!m->live || m->revoked || !(m->dir & dir) ||
		    (*b)->fd < 0 || !(*b)->map)
			continue;
		/* Nobody but the system and CMA heaps can sync for us. */
		if (needs_sync(*b) && (!can_sync(*b) || has_copies(*b)))
			continue;
		*p %= (*b)->pages;
		return m;
	}
	return NULL;
}

static bool dma_begin(struct file *f)
{
	struct file *other;

	/* The device is driven by one at a time. */
	for (other = files; other < files + NR_FILES; other++)
		if (other != f && other->live && other->udev.driver.ops)
			uio_dma_driver_remove(&other->udev);
	if (f->udev.driver.ops)
		return true;
	snprintf(f->udev.name, sizeof(f->udev.name), "%s",
		 devices[f->dev].name);
	if (uio_sysfs_dir(f->udev.name, f->udev.sysfs, sizeof(f->udev.sysfs)))
		die("no device %s", f->udev.name);
	return !uio_dma_driver_probe(&f->udev);
}

static void op_dma(void)
{
	struct file *f = any_file();
	struct mapping *from, *to;
	struct buffer *src, *dst;
	unsigned int p, q, len = 1 + rnd(DMA_MAX), at, to_at;
	bool sync;

	at = rnd(page - len + 1);
	to_at = rnd(page - len + 1);
	if (!f || f->dead || f->acc != O_RDWR || !devices[f->dev].started)
		return;
	from = dma_page(f, DMA_BUF_DMA_TO_DEVICE, &src, &p);
	to = dma_page(f, DMA_BUF_DMA_FROM_DEVICE, &dst, &q);
	if (!from || !to)
		return;
	if (!f->mapped)
		op_registers();
	if (!f->mapped)
		return;
	get_one(f, src, from->dir, (__u64)p * page);
	get_one(f, dst, to->dir, (__u64)q * page);
	if (!dma_reaches(f, from->addr[p]) || !dma_reaches(f, to->addr[q]))
		return;

	write_page(src, p, rnd32() | 1);
	sync = needs_sync(dst);
	if (sync)
		sync_buffer(dst, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW);
	start("dma", index_of(src), index_of(dst),
	      (__u64)p << 32 | at, (__u64)q << 32 | to_at);
	if (!dma_begin(f))
		die("no driver for %s", devices[f->dev].name);
	if (uio_dma_memcpy(&f->udev, to->addr[q] + to_at, from->addr[p] + at,
			   len))
		die("DMA has not completed");
	finish(0);
	if (sync)
		sync_buffer(dst, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW);

	make_shadow(src, p);
	make_shadow(dst, q);
	memmove((char *)dst->shadow[q] + to_at, (char *)src->shadow[p] + at,
		len);
	check_page(src, p);
	check_page(dst, q);
}

/*
 * Files that all processes have, and nobody's model knows about: who has mapped
 * what is everybody's guess. What comes back is of a few kinds all the same.
 */
#define NR_SHARED	3

static int shared_file[NR_DEVICES], shared_buffer[NR_SHARED * NR_DEVICES];
static int nr_shared_buffers;

static void open_shared(void)
{
	struct uio_buffer buf;
	int dev, i, fd;

	for (dev = 0; dev < nr_devices; dev++) {
		shared_file[dev] = uio_open_fd(devices[dev].number, O_RDWR);
		if (shared_file[dev] < 0)
			die("open: %d", shared_file[dev]);
		for (i = 0; i < NR_SHARED; i++) {
			if (i < 2)
				fd = uio_buffer_alloc_from(&buf, i,
							   devices[dev].number,
							   2 * page);
			else if (have_udmabuf)
				fd = uio_buffer_udmabuf(&buf, 4 * page, NULL);
			else
				continue;
			if (fd)
				die("shared buffer: %d", fd);
			uio_buffer_unmap(&buf);
			shared_buffer[nr_shared_buffers++] = buf.fd;
		}
	}
	base_fds += nr_devices + nr_shared_buffers;
}

static void close_shared(void)
{
	int dev;

	base_fds -= nr_devices + nr_shared_buffers;
	for (dev = 0; dev < nr_devices; dev++)
		close(shared_file[dev]);
	while (nr_shared_buffers)
		close(shared_buffer[--nr_shared_buffers]);
}

static void op_shared(void)
{
	int dev = rnd(nr_devices), b = rnd(nr_shared_buffers);
	struct dma_buf_get_dma_addr get;
	struct device *d = &devices[dev];
	long ret;

	if (one_in(2)) {
		start("get shared", dev, b, 0, 0);
		ret = uio_dma_get(shared_buffer[b], shared_file[dev], 0, page,
				  &get);
		finish(ret);
		if (!ret && (get.dma_addr % page || !get.len ||
			     get.dma_addr + get.len - 1 > mask_of(d)))
			die("0x%llx, 0x%llx bytes", get.dma_addr, get.len);
		if (ret && ret != -ENODEV &&
		    (ret != -EOPNOTSUPP || !is_narrow(d)))
			die("get shared: %s", strerror(-ret));
	} else {
		start("put shared", dev, b, 0, 0);
		ret = uio_dma_put(shared_buffer[b], shared_file[dev]);
		finish(ret);
		if (ret && ret != -ENODEV && ret != -ENOENT)
			die("put shared: %s", strerror(-ret));
	}
}

/*
 * Programs
 */

/**
 * struct op - something to do
 * @weight: how often
 * @weak: also while other processes do the same
 * @strong: also while there are none
 */
struct op {
	unsigned int weight;
	void (*fn)(void);
	bool strong;
	bool weak;
};

static const struct op ops[] = {
	{ 2000, op_get, true, true },
	{ 2600, op_get_again, true, true },
	{  800, op_get_bad, true, true },
	{  900, op_put, true, true },
	{  900, op_put_any, true, true },
	{  450, op_alloc, true, true },
	{  400, op_alloc_bad, true, true },
	{   20, op_udmabuf, true, true },
	{  450, op_close_buffer, true, true },
	{   60, op_close_heap, true, true },
	{  200, op_map, true, true },
	{  150, op_unmap, true, true },
	{  400, op_map_part, true, true },
	{  500, op_write, true, true },
	{  700, op_read, true, true },
	{  500, op_sync, true, true },
	{  150, op_dup, true, true },
	{   60, op_send, true, true },
	{  100, op_name, true, true },
	{  250, op_open, true, true },
	{  120, op_close, true, true },
	{  120, op_registers, true, true },
	{  150, op_touch_register, true, true },
	{  400, op_file, true, true },
	{   20, op_count, true, true },
	{    3, op_fork, true, true },
	{  150, op_mask, true, false },
	{  100, op_bus_master, true, false },
	{    8, op_unbind, true, false },
	{   60, op_bind, true, false },
	{    3, op_dma, true, false },
	{ 2000, op_shared, false, true },
};

static void drop_lost(void);

static void run_op(void)
{
	static unsigned int total[2];
	const struct op *op;
	unsigned int n;

	if (!total[weak])
		for (op = ops; op < ops + ARRAY_SIZE(ops); op++)
			if (weak ? op->weak : op->strong)
				total[weak] += op->weight;

	n = rnd(total[weak]);
	for (op = ops; ; op++) {
		if (!(weak ? op->weak : op->strong))
			continue;
		if (n < op->weight)
			break;
		n -= op->weight;
	}
	op->fn();
	if (lost)
		drop_lost();
}

/* A device has gone away: nothing that we have of it is of use. */
static void drop_lost(void)
{
	int i, dev;

	for (i = 0; i < NR_FILES; i++)
		if (files[i].live && (lost & bit(files[i].dev))) {
			if (files[i].mapped)
				unmap_registers(&files[i]);
			close_file(&files[i]);
		}
	for (dev = 0; dev < NR_DEVICES; dev++) {
		if (!(lost & bit(dev)))
			continue;
		if (devices[dev].heap_fd >= 0)
			close(devices[dev].heap_fd);
		devices[dev].heap_fd = -1;
		model_stop(dev);
	}
	for (i = 0; i < NR_BUFFERS; i++) {
		struct buffer *b = &buffers[i];

		if (!b->live || b->kind != UIO_MEMORY_DEVICE ||
		    !(lost & bit(b->dev)))
			continue;
		/* Another device may have it, and then not any more. */
		for (dev = 0; dev < NR_FILES; dev++)
			maps[dev][i].live = false;
		memset(b->parked, 0, sizeof(b->parked));
		if (b->map)
			unmap_buffer(b);
		if (b->live && b->fd >= 0)
			close_buffer(b);
		forget_if_unused(b);
	}
	lost = 0;
}

static void close_all(void)
{
	int i;

	for (i = 0; i < NR_BUFFERS; i++) {
		if (buffers[i].map)
			unmap_buffer(&buffers[i]);
		if (buffers[i].fd >= 0)
			close_buffer(&buffers[i]);
	}
	for (i = 0; i < NR_FILES; i++) {
		if (!files[i].live)
			continue;
		if (files[i].mapped)
			unmap_registers(&files[i]);
		close_file(&files[i]);
	}
	for (i = 0; i < nr_devices; i++) {
		if (devices[i].heap_fd >= 0)
			close(devices[i].heap_fd);
		devices[i].heap_fd = -1;
	}
}

static long read_number(const char *path, const char *key)
{
	char line[256];
	long val = -1;
	FILE *file;

	file = fopen(path, "re");
	if (!file)
		return -1;
	while (val < 0 && fgets(line, sizeof(line), file))
		if (!strncmp(line, key, strlen(key)))
			sscanf(line + strlen(key), "%ld", &val);
	fclose(file);
	return val;
}

/* What each CPU keeps for itself is free as well, and may be megabytes. */
static long free_kb(void)
{
	long pages, kept = 0;
	char line[256];
	FILE *file;

	file = fopen("/proc/zoneinfo", "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, " count: %ld", &pages) == 1)
			kept += pages;
	if (file)
		fclose(file);
	return read_number("/proc/meminfo", "MemFree:") +
	       kept * (getpagesize() / 1024);
}

#define DMA_DEBUG	"/sys/kernel/debug/dma-api/"

static long dma_entries(void)
{
	return read_number(DMA_DEBUG "nr_total_entries", "") -
	       read_number(DMA_DEBUG "num_free_entries", "");
}

/* A number that was reserved and forgotten is not seen among open files. */
static int lowest_fd(void)
{
	int fd = fcntl(memfd, F_DUPFD_CLOEXEC, 0);

	close(fd);
	return fd;
}

/* With nothing open that the model knows about. */
static void take_base_fds(void)
{
	base_fds = uio_count_fds();
	base_lowest_fd = lowest_fd();
}

static long slab_kb(void)
{
	return read_number("/proc/meminfo", "SUnreclaim:");
}

static long base_free_kb, base_slab_kb, base_dma_entries, base_dma_errors;
static unsigned long clean_checks;

/* What the kernel has set aside for later is not lost: let it settle first. */
#define SETTLE_CHECKS	64

/* Everything is closed: nothing is left. */
static void check_clean(void)
{
	long now;
	int i;

	if (count_buffers())
		die("%d buffers left in the model", count_buffers());
	op_count();
	start("lowest descriptor", -1, -1, 0, 0);
	expect(base_lowest_fd, lowest_fd(), 0, 0);
	for (i = 0; i < nr_devices; i++) {
		struct device *d = &devices[i];

		if (!d->bound)
			bind_device(i);
		check_bus_master(i);
		if (d->bits != DEFAULT_BITS) {
			start("mask", i, -1, DEFAULT_BITS, 0);
			expect(0, uio_set_dma_mask_bits(d->number,
							DEFAULT_BITS), 0, 0);
			d->bits = DEFAULT_BITS;
		}
	}
	if (have_dma_debug) {
		now = settled(base_dma_entries, dma_entries);
		if (now != base_dma_entries)
			die("%ld mappings by the DMA API, expected %ld", now,
			    base_dma_entries);
		now = read_number(DMA_DEBUG "error_count", "");
		if (now != base_dma_errors)
			die("%ld errors of the DMA API", now);
	}
	if (clean_checks++ < SETTLE_CHECKS) {
		base_free_kb = free_kb();
		base_slab_kb = slab_kb();
	}
	now = base_free_kb - free_kb();
	if (now > FREE_KB_SLACK)
		die("%ld KiB of memory are gone", now);
	now = slab_kb() - base_slab_kb;
	if (now > SLAB_KB_SLACK)
		die("%ld KiB more allocated by the kernel", now);
}

static void (*after_op)(void);

static void run_program(const struct program *p, unsigned int n)
{
	unsigned int i;

	me->prog = *p;
	for (i = 0; i < n; i++) {
		if (i % SEGMENT_OPS == 0)
			seed_rng(p->seed[i / SEGMENT_OPS]);
		me->prog_ops = i + 1;
		me->ops++;
		run_op();
		if (after_op)
			after_op();
	}
	close_all();
	if (!weak)
		check_clean();
}

static void random_program(struct program *p, __u64 seed)
{
	int i;

	seed_rng(seed);
	for (i = 0; i < SEGMENTS; i++)
		p->seed[i] = rnd32();
}

/*
 * Parts
 */
static struct {
	unsigned long secs, ops, seed, procs, hz;
	bool print_corpus;
	const char *mode, *program, *file;
} opt = { .procs = 4, .hz = 30 };

static long part_start_ms, part_end_ms;
static __u64 part_start_ops;

static void begin_part(const char *name, unsigned int percent)
{
	part = name;
	part_start_ms = uio_now_ms();
	part_end_ms = part_start_ms + opt.secs * 10 * percent;
	part_start_ops = me->ops;
	me->hash = 0;
	clean_checks = 0;
	if (fail_nth_fd >= 0)
		fail_nth(0);
}

static unsigned int ops_left(void)
{
	__u64 done = me->ops - part_start_ops;

	if (!opt.ops)
		return uio_now_ms() < part_end_ms ? PROGRAM_OPS : 0;
	if (done >= opt.ops)
		return 0;
	return opt.ops - done < PROGRAM_OPS ? opt.ops - done : PROGRAM_OPS;
}

static void end_part(__u64 done)
{
	long ms = uio_now_ms() - part_start_ms;

	printf("# %s: seed=%lu, %llu operations in %ld.%03ld s, %llu/s, results %016llx\n",
	       part, seed_of_run, done, ms / 1000, ms % 1000,
	       done * 1000 / (ms ? ms : 1), me->hash);
	if (clean_checks > SETTLE_CHECKS)
		printf("# %ld KiB less free, %ld KiB more in slabs\n",
		       base_free_kb - free_kb(), slab_kb() - base_slab_kb);
	ksft_test_result_pass("%s\n", part);
	fflush(stdout);
}

static void report_progress(void)
{
	static long next;
	long now = uio_now_ms();

	if (now < next)
		return;
	if (next && opt.secs > 120)
		printf("# %s: %llu operations, %ld KiB less memory free\n",
		       part, me->ops - part_start_ops,
		       base_free_kb - free_kb());
	fflush(stdout);
	next = now + 60000;
}

static void run_random(__u64 seed)
{
	struct program p;
	unsigned int n;

	while ((n = ops_left())) {
		random_program(&p, seed++);
		run_program(&p, n);
		report_progress();
	}
}

static void part_model(unsigned int percent)
{
	begin_part("model.one_process", percent);
	run_random((__u64)seed_of_run << 32);
	end_part(me->ops - part_start_ops);
}

/* The oracle is worth nothing if a failure cannot be repeated. */
static void part_repeat(unsigned int percent)
{
	__u64 first, results[3];
	struct program p;
	int i, j;

	begin_part("model.same_seed_same_results", percent);
	for (i = 0; i < 3; i++) {
		me->hash = 0;
		first = (__u64)seed_of_run << 32 | 1U << 31;
		for (j = 0; j < 4; j++) {
			random_program(&p, first + j + (i == 2));
			run_program(&p, PROGRAM_OPS);
		}
		results[i] = me->hash;
	}
	if (results[0] != results[1])
		die("the same seeds gave %016llx, then %016llx", results[0],
		    results[1]);
	if (results[0] == results[2])
		die("other seeds gave the same %016llx", results[0]);
	end_part(me->ops - part_start_ops);
}

static void part_faults(unsigned int percent)
{
	static const struct {
		const char *path, *val;
	} set[] = {
		{ "/sys/kernel/debug/failslab/ignore-gfp-wait", "N" },
		{ "/sys/kernel/debug/failslab/verbose", "0" },
		{ "/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N" },
		{ "/sys/kernel/debug/fail_page_alloc/min-order", "0" },
		{ "/sys/kernel/debug/fail_page_alloc/verbose", "0" },
		{ "/sys/kernel/debug/fail_usercopy/verbose", "0" },
	};
	unsigned int i;

	begin_part("model.injected_faults", percent);
	if (fail_nth_fd < 0) {
		ksft_test_result_skip("%s: no CONFIG_FAULT_INJECTION\n", part);
		return;
	}
	for (i = 0; i < ARRAY_SIZE(set); i++)
		uio_write_text(set[i].path, set[i].val);

	faulty = true;
	run_random((__u64)seed_of_run << 32 | 1U << 30);
	faulty = false;
	if (!faults_hit)
		die("nothing has failed");
	printf("# %lu faults\n", faults_hit);
	end_part(me->ops - part_start_ops);
}

/* Each process writes what the kernel reads there. */
static void make_pointers(void)
{
	char *mem;

	close(memfd);
	memfd = memfd_create("uio-selftest", MFD_CLOEXEC);
	if (memfd < 0 || ftruncate(memfd, page))
		die("memfd: %m");
	ro_alias = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, memfd,
			0);
	ro_pointer = mmap(NULL, page, PROT_READ, MAP_SHARED, memfd, 0);
	mem = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ro_alias == MAP_FAILED || ro_pointer == MAP_FAILED ||
	    mem == MAP_FAILED || mprotect(mem + page, page, PROT_NONE))
		die("mmap: %m");
	bad_pointer[0] = NULL;
	bad_pointer[1] = (void *)-4096L;
	bad_pointer[2] = mem + page;
	bad_pointer[3] = mem + page - 4;
}

/* A process among several: runs programs until it is told to stop. */
static void run_worker(int i, __u64 seed, long end_ms)
{
	struct program p;

	weak = true;
	me = &workers[i];
	me->calls = 0;
	me->done = false;
	make_pointers();
	while (uio_now_ms() < end_ms) {
		random_program(&p, seed++);
		run_program(&p, PROGRAM_OPS / 4);
	}
	me->done = true;
	_exit(0);
}

static unsigned long take_devices_away(long end_ms)
{
	unsigned long n;

	for (n = 0; uio_now_ms() < end_ms; n++) {
		int dev = rnd(nr_devices);
		struct device *d = &devices[dev];
		bool removal = one_in(4);

		uio_msleep(1000 / opt.hz + rnd(one_in(4) ? 1000 : 50));
		start(removal ? "unplug" : "unbind", dev, -1, 0, 0);
		expect(0, removal ? unplug(d->name) : uio_unbind(d->name), 0,
		       0);
		bind_device(dev);
	}
	return n;
}

#define ROUND_MS	4000

static void part_threads(unsigned int percent)
{
	__u64 done = 0, seed = (__u64)seed_of_run << 32 | 3U << 30;
	unsigned long i, gone = 0, rounds = 0;
	int status;
	long end;

	begin_part("model.many_processes", percent);
	while (uio_now_ms() < part_end_ms && (!opt.ops || done < opt.ops)) {
		end = uio_now_ms() + ROUND_MS;
		open_shared();
		fflush(stdout);
		for (i = 1; i <= opt.procs; i++) {
			pid_t pid = fork();

			if (!pid)
				run_worker(i, seed + i * 1000000, end);
			if (pid < 0)
				die("fork: %m");
		}
		seed += 1000;
		/* For a while all stay, and are busy with each other. */
		uio_msleep(ROUND_MS / 4);
		seed_rng(seed);
		gone += take_devices_away(end);
		for (i = 1; i <= opt.procs; i++) {
			if (wait(&status) < 0)
				die("wait: %m");
			if (status)
				die("a process failed: status 0x%x", status);
			me->calls++;
		}
		close_shared();
		check_clean();
		rounds++;
		for (done = 0, i = 1; i <= opt.procs; i++)
			done += workers[i].ops;
	}
	printf("# %lu processes, %lu rounds, a device went away %lu times\n",
	       opt.procs, rounds, gone);
	end_part(done);
}

/*
 * Programs from outside
 */
static struct {
	struct program prog;
	unsigned int ops;
} inputs[MAX_CORPUS];
static unsigned int nr_inputs;

static void add_input(const char *text)
{
	struct program *p = &inputs[nr_inputs].prog;
	unsigned int i;

	if (nr_inputs == MAX_CORPUS)
		return;
	for (i = 0; i < SEGMENTS; i++, text += 8)
		if (sscanf(text, "%8x", &p->seed[i]) != 1)
			break;
	inputs[nr_inputs].ops = i * SEGMENT_OPS;
	nr_inputs += i > 0;
}

static void read_inputs(void)
{
	char line[512], *text;
	FILE *file;

	if (opt.program)
		add_input(opt.program);
	if (!opt.file)
		return;
	file = fopen(opt.file, "re");
	if (!file)
		ksft_exit_fail_msg("%s: %m\n", opt.file);
	while (fgets(line, sizeof(line), file)) {
		text = strstr(line, "program ");
		add_input(text ? text + 8 : line);
	}
	fclose(file);
}

/*
 * Coverage
 */
#define KCOV_PATH	"/sys/kernel/debug/kcov"
#define KCOV_INIT_TRACE	_IOR('c', 1, unsigned long)
#define KCOV_ENABLE	_IO('c', 100)
#define KCOV_DISABLE	_IO('c', 101)
#define KCOV_TRACE_PC	0
#define KCOV_SIZE	(64 << 10)

#define MAP_BITS	16

static unsigned long *cover;
static bool edge_seen[1 << MAP_BITS], place_seen[1 << MAP_BITS];
static unsigned long nr_edges, nr_places, new_edges;
static __u64 last_new_edge;
static struct program *corpus;
static unsigned int nr_corpus;

static bool first_time(bool *seen, __u64 what)
{
	bool *s = &seen[what * 0x9e3779b97f4a7c15ULL >> (64 - MAP_BITS)];
	bool first = !*s;

	*s = true;
	return first;
}

static void collect_coverage(void)
{
	unsigned long i, n = __atomic_load_n(&cover[0], __ATOMIC_RELAXED);
	unsigned long prev = 0;

	for (i = 1; i <= n && i < KCOV_SIZE; i++) {
		nr_places += first_time(place_seen, cover[i]);
		new_edges += first_time(edge_seen, cover[i] * 31 + prev);
		prev = cover[i];
	}
	__atomic_store_n(&cover[0], 0, __ATOMIC_RELAXED);
}

static void choose_program(struct program *p, __u64 seed)
{
	const struct program *other;
	unsigned int i, n;

	random_program(p, seed);
	if (!nr_corpus || one_in(4))
		return;

	other = &corpus[rnd(nr_corpus)];
	n = 1 + rnd(4);
	for (i = 0; i < SEGMENTS; i++)
		if (!one_in(SEGMENTS / n))
			p->seed[i] = other->seed[i];
	if (one_in(4)) {
		other = &corpus[rnd(nr_corpus)];
		n = rnd(SEGMENTS);
		memcpy(&p->seed[n], &other->seed[n],
		       (SEGMENTS - n) * sizeof(p->seed[0]));
	}
}

/* A program that goes where none has gone before is worth varying. */
static void try_program(const struct program *p, unsigned int n)
{
	new_edges = 0;
	run_program(p, n);
	if (!new_edges)
		return;
	nr_edges += new_edges;
	last_new_edge = me->ops - part_start_ops;
	if (nr_corpus < MAX_CORPUS)
		corpus[nr_corpus++] = *p;
}

static void part_kcov(unsigned int percent)
{
	__u64 seed = (__u64)seed_of_run << 32 | 5U << 29;
	struct program p;
	unsigned int i, n;
	int fd;

	begin_part("model.coverage", percent);
	fd = open(KCOV_PATH, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		ksft_test_result_skip("%s: no CONFIG_KCOV\n", part);
		return;
	}
	corpus = calloc(MAX_CORPUS, sizeof(*corpus));
	if (!corpus || ioctl(fd, KCOV_INIT_TRACE, KCOV_SIZE))
		die("kcov: %m");
	cover = mmap(NULL, KCOV_SIZE * sizeof(*cover), PROT_READ | PROT_WRITE,
		     MAP_SHARED, fd, 0);
	if (cover == MAP_FAILED || ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC))
		die("kcov: %m");
	take_base_fds();

	after_op = collect_coverage;
	for (i = 0; i < nr_inputs && ops_left(); i++)
		try_program(&inputs[i].prog, inputs[i].ops);
	while ((n = ops_left())) {
		choose_program(&p, seed++);
		try_program(&p, n);
		report_progress();
	}
	after_op = NULL;
	ioctl(fd, KCOV_DISABLE, 0);
	munmap(cover, KCOV_SIZE * sizeof(*cover));
	close(fd);
	take_base_fds();

	if (!nr_places)
		die("no coverage: is anything built for it?");
	printf("# coverage: %lu places, %lu edges, %u programs, last new edge at %llu\n",
	       nr_places, nr_edges, nr_corpus, last_new_edge);
	for (i = 0; opt.print_corpus && i < nr_corpus; i++) {
		printf("# program ");
		print_program(&corpus[i], PROGRAM_OPS);
	}
	free(corpus);
	end_part(me->ops - part_start_ops);
}

static void part_replay(void)
{
	unsigned int i;

	begin_part("model.replay", 100);
	if (!nr_inputs)
		die("no program");
	for (i = 0; i < nr_inputs; i++)
		run_program(&inputs[i].prog, inputs[i].ops);
	end_part(me->ops - part_start_ops);
}

/*
 * Setup
 */
static int find_ram_bits(void)
{
	unsigned long long from, to, last = 0;
	char line[128];
	FILE *file;
	int bits;

	file = fopen("/proc/iomem", "re");
	if (!file)
		return 64;
	while (fgets(line, sizeof(line), file))
		if (strstr(line, "System RAM") &&
		    sscanf(line, "%llx-%llx", &from, &to) == 2)
			last = to;
	fclose(file);
	for (bits = 0; last >> bits && bits < 63; bits++)
		;
	return last ? bits : 64;
}

/* Which masks are good enough for memory of other heaps. */
static void find_reach(int dev)
{
	static const int bits[] = { 28, 30, 36, 40, 48, 64, DEFAULT_BITS };
	struct device *d = &devices[dev];
	struct dma_buf_get_dma_addr get;
	int fd, dmabuf, ret;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bits); i++) {
		ret = uio_set_dma_mask_bits(d->number, bits[i]);
		if (ret == -EIO && bits[i] < DEFAULT_BITS) {
			d->refuses[bits[i]] = true;
			continue;
		}
		if (ret)
			die("mask of %d bits: %s", bits[i], strerror(-ret));
		d->bits = bits[i];
		fd = uio_open_fd(d->number, O_RDWR);
		dmabuf = uio_heap_alloc(system_fd, page);
		ret = uio_dma_get(dmabuf, fd, 0, 0, &get);
		if (ret && (ret != -EOPNOTSUPP || !is_narrow(d)))
			die("get with a mask of %d bits: %s", bits[i],
			    strerror(-ret));
		d->reaches[bits[i]] = !ret;
		close(fd);
		close(dmabuf);
	}
}

static void watch(pid_t parent)
{
	__u64 now, before = 0;
	int idle = 0, i;

	for (;;) {
		sleep(1);
		if (getppid() != parent)
			_exit(0);
		for (now = 0, i = 0; i <= MAX_PROCS; i++)
			now += workers[i].calls;
		idle = now == before ? idle + 1 : 0;
		before = now;
		if (idle < HANG_SECS)
			continue;
		printf("# nothing has happened for %d seconds\n", idle);
		for (i = 0; i <= MAX_PROCS; i++)
			if (workers[i].calls && !workers[i].done)
				print_worker(&workers[i]);
		printf("not ok %u %s\n", ksft_test_num() + 1, part);
		fflush(stdout);
		kill(parent, SIGKILL);
		_exit(KSFT_FAIL);
	}
}

static bool open_devices(void)
{
	char text[UIO_PATH_LEN];
	int i;

	for (i = 0; i < NR_DEVICES; i++) {
		struct device *d = &devices[i];

		d->heap_fd = -1;
		d->number = -1;
		d->name = uio_test_device(i);
		if (nr_devices < i || uio_sysfs_dir(d->name, text, sizeof(text)))
			continue;
		if (uio_bind(d->name, "uio_pci_generic"))
			continue;
		d->number = uio_find(d->name);
		if (d->number < 0 ||
		    uio_heap_name(d->number, text, sizeof(text)) < 0)
			continue;
		uio_set_dma_mask_bits(d->number, DEFAULT_BITS);
		d->bits = DEFAULT_BITS;
		d->bound = true;
		d->confined = uio_iommu_translates(d->name);
		nr_devices++;
	}
	return nr_devices;
}

static void setup(void)
{
	struct sigaction action = {
		.sa_handler = on_signal, .sa_flags = SA_NODEFER,
	};
	struct uio_buffer buf;
	pid_t pid = getpid();
	char text[8];
	int i;

	page = uio_page_size();
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	for (i = 0; i < NR_BUFFERS; i++)
		buffers[i].fd = -1;

	make_pointers();
	ram_bits = find_ram_bits();
	system_fd = uio_heap_open("system");
	if (system_fd < 0)
		die("no system heap");
	if (!uio_heap_find_cma(cma_heap, sizeof(cma_heap)))
		cma_fd = uio_heap_open(cma_heap);
	pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (pagemap_fd < 0)
		die("pagemap: %m");
	have_udmabuf = !uio_buffer_udmabuf(&buf, page, NULL);
	if (have_udmabuf)
		uio_buffer_free(&buf);
	fail_nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (fail_nth_fd >= 0 && pread(fail_nth_fd, text, sizeof(text), 0) < 0) {
		close(fail_nth_fd);
		fail_nth_fd = -1;
	}
	have_dma_debug = read_number(DMA_DEBUG "nr_total_entries", "") > 0;
	for (i = 0; i < nr_devices; i++)
		find_reach(i);

	if (!fork())
		watch(pid);

	take_base_fds();
	base_dmabufs = uio_count_dmabufs();
	have_debugfs = base_dmabufs >= 0;
	base_dma_entries = dma_entries();
	base_dma_errors = read_number(DMA_DEBUG "error_count", "");
	printf("# %d devices, %s IOMMU, %d bits, udmabuf %d, CMA %d, dma-api %d, fail-nth %d\n",
	       nr_devices, devices[0].confined ? "an" : "no",
	       ram_bits, have_udmabuf, cma_fd >= 0, have_dma_debug,
	       fail_nth_fd >= 0);
}

static bool option(const char *arg, const char *name, const char **val)
{
	size_t len = strlen(name);

	if (strncmp(arg, name, len) || arg[len] != '=')
		return false;
	*val = arg + len + 1;
	return true;
}

static unsigned long number(const char *val)
{
	return strtoul(val, NULL, 0);
}

static void parse_options(int argc, char **argv)
{
	const char *val = getenv("VM_FUZZ_SECS");
	int i;

	/* One long run a boot is enough, 32-bit programs share most of it. */
	opt.secs = val ? number(val) : sizeof(long) == 8 ? 60 : 10;
	opt.mode = "all";
	opt.seed = 1;
	for (i = 1; i < argc; i++) {
		if (option(argv[i], "secs", &val))
			opt.secs = number(val);
		else if (option(argv[i], "ops", &val))
			opt.ops = number(val);
		else if (option(argv[i], "seed", &val))
			opt.seed = number(val);
		else if (option(argv[i], "procs", &val))
			opt.procs = number(val);
		else if (option(argv[i], "hz", &val))
			opt.hz = number(val);
		else if (option(argv[i], "corpus", &val))
			opt.print_corpus = number(val);
		else if (option(argv[i], "trace", &val))
			tracing = number(val);
		else if (!option(argv[i], "mode", &opt.mode) &&
			 !option(argv[i], "program", &opt.program) &&
			 !option(argv[i], "file", &opt.file))
			ksft_exit_fail_msg("unknown argument %s\n", argv[i]);
	}
	if (opt.procs < 1 || opt.procs > MAX_PROCS || opt.hz < 1)
		ksft_exit_fail_msg("1 to %d processes, at least 1 Hz\n",
				   MAX_PROCS);
	seed_of_run = opt.seed;
}

static bool wanted(const char *mode)
{
	return !strcmp(opt.mode, mode);
}

int main(int argc, char **argv)
{
	bool all, kcov, faults;

	parse_options(argc, argv);
	all = wanted("all");
	read_inputs();
	setvbuf(stdout, NULL, _IOFBF, 65536);
	ksft_print_header();
	if (!open_devices())
		ksft_exit_skip("no device with DMA: CONFIG_UIO_DMA?\n");
	workers = mmap(NULL, (1 + MAX_PROCS) * sizeof(*workers),
		       PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		       0);
	if (workers == MAP_FAILED)
		ksft_exit_fail_msg("no memory\n");
	me = workers;
	ksft_set_plan(all ? 5 : 1);
	plan_printed = true;
	setup();

	kcov = !access(KCOV_PATH, R_OK);
	faults = fail_nth_fd >= 0;
	if (all || wanted("model"))
		part_model(all ? 75 - 20 * faults - 25 * kcov : 100);
	if (all || wanted("repeat"))
		part_repeat(100);
	if (all || wanted("faults"))
		part_faults(all ? 20 : 100);
	if (all || wanted("threads"))
		part_threads(all ? 20 : 100);
	if (all || wanted("kcov"))
		part_kcov(all ? 25 : 100);
	if (wanted("replay"))
		part_replay();
	ksft_finished();
}
