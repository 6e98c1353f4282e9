// SPDX-License-Identifier: GPL-2.0
/*
 * The device goes and comes back, over and over, while others open, allocate,
 * map, ask for addresses and read names. Whatever they were doing, it works or
 * it is refused as documented, and once unbinding has returned it is refused.
 *
 * Each race takes a second. UIO_RACE_SECONDS in the environment makes it longer.
 */
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>

#include <linux/dma-buf.h>

#include "uio_test.h"

#define NR_RACERS	3
#define NR_MAPPINGS	16

/* However slow the machine, this often the device goes. */
#define MIN_CYCLES	6

/**
 * struct score - what became of one racer's calls
 * @worked: how many worked
 * @refused: how many were refused as they should
 * @wrong: the first that was neither
 */
struct score {
	unsigned long worked;
	unsigned long refused;
	char wrong[128];
};

/**
 * struct race - shared by the test and its racers
 * @generation: even while the device is bound, for a racer to know whether
 *	what it holds must be dead. Changes after the device has gone, and after
 *	it has come back
 * @stop: the racers are to end
 * @score: of each racer
 */
struct race {
	unsigned int generation;
	int stop;
	struct score score[NR_RACERS];
};

/**
 * struct racer - one of them
 * @race: the race
 * @score: its own score
 * @name: the device
 * @generation: to which what it holds belongs
 * @fd: the device's file
 * @buf: a buffer of the device
 * @seed: for random numbers
 */
struct racer {
	struct race *race;
	struct score *score;
	const char *name;
	unsigned int generation;
	int fd;
	struct uio_buffer buf;
	unsigned int seed;
};

static unsigned int generation(const struct race *race)
{
	return __atomic_load_n(&race->generation, __ATOMIC_ACQUIRE);
}

static bool stopped(const struct race *race)
{
	return __atomic_load_n(&race->stop, __ATOMIC_ACQUIRE);
}

/* To be asked before the call: whether it must fail. */
static bool is_dead(const struct racer *r)
{
	return generation(r->race) != r->generation;
}

/*
 * Notes a result: a call works unless it must fail, or it is refused with one of
 * the two errnos. Returns whether it has worked.
 */
static bool note(struct racer *r, const char *what, bool dead, int ret, int no,
		 int also_no)
{
	if (ret >= 0 && !dead) {
		r->score->worked++;
		return true;
	}
	if (ret == -no || ret == -also_no)
		r->score->refused++;
	else if (!r->score->wrong[0])
		snprintf(r->score->wrong, sizeof(r->score->wrong),
			 "%s: %d %s", what, ret, dead ? "of the dead" : "");
	return false;
}

/* For what is found by name: no generation to it. */
static bool note_found(struct racer *r, const char *what, int ret, int no,
		       int also_no)
{
	return note(r, what, false, ret, no, also_no);
}

static bool is_wrong(const struct racer *r)
{
	return r->score->wrong[0];
}

static bool open_device(struct racer *r)
{
	int number = uio_find(r->name);

	if (!note_found(r, "find", number, ENODEV, ENOENT))
		return false;
	r->fd = uio_open_fd(number, O_RDWR);
	/* The node is gone, or its character device, or just now the device. */
	if (r->fd == -ENXIO || r->fd == -EINVAL)
		r->fd = -ENODEV;
	return note_found(r, "open", r->fd, ENODEV, ENOENT);
}

static int open_heap(struct racer *r)
{
	char heap[UIO_NAME_LEN];
	int fd;

	snprintf(heap, sizeof(heap), "uio@%s", r->name);
	fd = uio_heap_open(heap);
	note_found(r, "heap", fd, ENOENT, ENXIO);
	return fd;
}

/* Get device and buffer, and be sure of their generation. */
static bool acquire(struct racer *r)
{
	int heap;

	r->generation = generation(r->race);
	if (r->generation % 2)
		return false;
	if (!open_device(r))
		return false;
	r->buf = (struct uio_buffer) { .size = 4 * uio_page_size() };
	heap = open_heap(r);
	if (heap < 0)
		goto err_close;
	r->buf.fd = uio_heap_alloc(heap, r->buf.size);
	close(heap);
	if (!note_found(r, "allocate", r->buf.fd, ENODEV, ENODEV))
		goto err_close;
	if (generation(r->race) == r->generation)
		return true;
	close(r->buf.fd);

err_close:
	close(r->fd);
	return false;
}

static void release(struct racer *r)
{
	if (rand_r(&r->seed) % 2) {
		close(r->fd);
		uio_buffer_free(&r->buf);
	} else {
		uio_buffer_free(&r->buf);
		close(r->fd);
	}
}

/* The rest of the time of those whose device is about to go. */
static void wait_dead(const struct racer *r)
{
	while (!is_dead(r) && !stopped(r->race))
		usleep(100);
}

static void race_open(struct racer *r)
{
	struct pollfd pfd = { .events = POLLIN };
	char heap[UIO_NAME_LEN];
	int ret, number = uio_find(r->name);
	void *regs;

	if (number >= 0) {
		ret = uio_heap_name(number, heap, sizeof(heap));
		note_found(r, "heap's name", ret, ENOENT, ENODEV);
	}
	if (!open_device(r))
		return;
	pfd.fd = r->fd;
	poll(&pfd, 1, 0);
	regs = mmap(NULL, uio_page_size(), PROT_READ, MAP_SHARED, r->fd, 0);
	if (regs != MAP_FAILED) {
		uio_touch(regs);
		munmap(regs, uio_page_size());
	}
	close(r->fd);
}

static void race_allocate(struct racer *r)
{
	int fd, heap;

	r->generation = generation(r->race);
	if (r->generation % 2)
		return;
	heap = open_heap(r);
	if (heap < 0)
		return;
	if (generation(r->race) == r->generation) {
		do {
			bool dead = is_dead(r);

			fd = uio_heap_alloc(heap, 4096);
			if (!note(r, "allocate", dead, fd, ENODEV, ENODEV))
				break;
			close(fd);
		} while (!stopped(r->race));
	}
	close(heap);
}

/* Mappings are made and used until the device goes; then none may be left. */
static void race_map(struct racer *r)
{
	size_t page = uio_page_size();
	void *mem[NR_MAPPINGS] = { NULL }, *regs[NR_MAPPINGS] = { NULL };
	unsigned int i;
	bool alive = true, dead;

	if (!acquire(r))
		return;
	for (i = 0; alive && !stopped(r->race); i = (i + 1) % NR_MAPPINGS) {
		if (mem[i])
			munmap(mem[i], 4 * page);
		if (regs[i])
			munmap(regs[i], page);
		regs[i] = NULL;

		dead = is_dead(r);
		mem[i] = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE,
			      MAP_SHARED, r->buf.fd, 0);
		if (mem[i] == MAP_FAILED) {
			mem[i] = NULL;
			alive = note(r, "map", dead, -errno, ENODEV, ENODEV);
			break;
		}
		alive = note(r, "touch", dead, -uio_touch(mem[i] + page),
			     SIGBUS, SIGBUS);

		dead = is_dead(r);
		regs[i] = mmap(NULL, page, PROT_READ, MAP_SHARED, r->fd, 0);
		if (regs[i] == MAP_FAILED) {
			regs[i] = NULL;
			alive = note(r, "map registers", dead, -errno, EINVAL,
				     EINVAL);
			break;
		}
		alive &= note(r, "touch registers", dead, -uio_touch(regs[i]),
			      SIGBUS, SIGBUS);
	}
	wait_dead(r);
	dead = is_dead(r);
	for (i = 0; i < NR_MAPPINGS; i++) {
		if (mem[i]) {
			note(r, "touch again", dead, -uio_touch(mem[i] + page),
			     SIGBUS, SIGBUS);
			munmap(mem[i], 4 * page);
		}
		if (regs[i]) {
			note(r, "touch registers again", dead,
			     -uio_touch(regs[i]), SIGBUS, SIGBUS);
			munmap(regs[i], page);
		}
	}
	release(r);
}

static void race_address(struct racer *r)
{
	struct uio_buffer other;
	bool alive = true, dead;
	__u64 addr;

	if (!acquire(r))
		return;
	if (uio_buffer_alloc(&other, "system", 4096)) {
		release(r);
		return;
	}
	while (alive && !stopped(r->race)) {
		dead = is_dead(r);
		alive = note(r, "address", dead,
			     uio_dma_addr(r->buf.fd, r->fd, &addr),
			     ENODEV, ENODEV);
		dead = is_dead(r);
		alive &= note(r, "address of a system buffer", dead,
			      uio_dma_addr(other.fd, r->fd, &addr),
			      ENODEV, ENODEV);
		if (!alive)
			break;
		dead = is_dead(r);
		alive = note(r, "put", dead,
			     uio_dma_put(rand_r(&r->seed) % 2 ? r->buf.fd :
					 other.fd, r->fd), ENODEV, ENODEV);
	}
	wait_dead(r);
	dead = is_dead(r);
	note(r, "address at last", dead, uio_dma_addr(r->buf.fd, r->fd, &addr),
	     ENODEV, ENODEV);
	uio_buffer_free(&other);
	release(r);
}

/* All of it in the order in which a driver does it. */
static void race_drive(struct racer *r)
{
	struct uio_device dev;
	bool dead;
	__u64 addr;

	if (!acquire(r))
		return;
	dead = is_dead(r);
	if (note(r, "address", dead, uio_dma_addr(r->buf.fd, r->fd, &addr),
		 ENODEV, ENODEV)) {
		/* Fails in many ways: it looks at several files. */
		if (!uio_open(&dev, r->name))
			uio_close(&dev);
		usleep(rand_r(&r->seed) % 20000);
		uio_set_bus_master(r->name, true);
	}
	release(r);
}

static void race_mask(struct racer *r)
{
	int ret, number = uio_find(r->name);

	if (!note_found(r, "find", number, ENODEV, ENOENT))
		return;
	ret = uio_set_dma_mask_bits(number, rand_r(&r->seed) % 2 ? 32 : 64);
	if (ret != -EBUSY && ret != -EIO)
		note_found(r, "mask", ret, ENODEV, ENOENT);
	if (acquire(r))
		release(r);
}

/* A name is there as long as the buffer is, be the heap gone or not. */
static void race_name(struct racer *r)
{
	char path[64], heap[UIO_NAME_LEN], name[32], line[256];
	bool seen = false;
	FILE *file;
	int i;

	if (!acquire(r))
		return;
	snprintf(heap, sizeof(heap), "exp_name:\tuio@%s\n", r->name);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", r->buf.fd);
	for (i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "buffer %u", rand_r(&r->seed));
		if (ioctl(r->buf.fd, DMA_BUF_SET_NAME_A, name))
			note_found(r, "name", -errno, 0, 0);
		uio_count_dmabufs();
		file = fopen(path, "re");
		while (file && fgets(line, sizeof(line), file))
			seen |= !strcmp(line, heap);
		if (file)
			fclose(file);
		note_found(r, "heap's name in fdinfo", seen ? 0 : -1, 0, 0);
		if (is_dead(r))
			r->score->refused++;
		seen = false;
	}
	release(r);
}

FIXTURE(race)
{
	struct race *race;
	struct uio_device dev;
	int dmabufs;
};

FIXTURE_VARIANT(race)
{
	void (*step[NR_RACERS])(struct racer *r);
	bool removed;
};

FIXTURE_VARIANT_ADD(race, open) {
	.step = { race_open, race_open, race_open },
};

FIXTURE_VARIANT_ADD(race, allocate) {
	.step = { race_allocate, race_allocate, race_allocate },
};

FIXTURE_VARIANT_ADD(race, map) {
	.step = { race_map, race_map, race_map },
};

FIXTURE_VARIANT_ADD(race, address) {
	.step = { race_address, race_address, race_address },
};

FIXTURE_VARIANT_ADD(race, name) {
	.step = { race_name, race_name, race_name },
};

FIXTURE_VARIANT_ADD(race, mask) {
	.step = { race_mask, race_mask, race_address },
};

FIXTURE_VARIANT_ADD(race, mixed) {
	.step = { race_map, race_address, race_drive },
};

FIXTURE_VARIANT_ADD(race, mixed_removed) {
	.step = { race_map, race_address, race_allocate }, .removed = true,
};

FIXTURE_SETUP(race)
{
	if (!test_open(_metadata, &self->dev, 0))
		return;
	if (variant->removed && access("/sys/bus/pci/rescan", W_OK))
		SKIP(return, "not a PCI device");
	uio_close(&self->dev);
	self->dmabufs = uio_count_dmabufs();
	self->race = mmap(NULL, sizeof(*self->race), PROT_READ | PROT_WRITE,
			  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_TRUE(self->race != MAP_FAILED);
}

/*
 * A driver of the device as it was may have permitted DMA of the device that
 * has come back: it takes another driver to see that back.
 */
FIXTURE_TEARDOWN(race)
{
	const char *name = uio_test_device(0);
	struct uio_buffer buf;
	__u64 addr;

	EXPECT_EQ(0, uio_bind(name, "uio_pci_generic"));
	EXPECT_EQ(self->dmabufs, uio_count_dmabufs());
	EXPECT_EQ(0, uio_set_dma_mask_bits(uio_find(name), 32));

	ASSERT_EQ(0, uio_open(&self->dev, name));
	ASSERT_EQ(0, uio_buffer_alloc_device(&buf, self->dev.number,
					     uio_page_size()));
	EXPECT_EQ(0, uio_dma_addr(buf.fd, self->dev.fd, &addr));
	uio_buffer_free(&buf);
	uio_close(&self->dev);
	EXPECT_EQ(0, uio_bus_master(name));
}

static long race_ms(void)
{
	const char *val = getenv("UIO_RACE_SECONDS");

	return val && atoi(val) > 0 ? atoi(val) * 1000L : 1000;
}

static int go_and_come_back(struct race *race, bool removed, unsigned int seed)
{
	const char *name = uio_test_device(0);
	int ret;

	ret = removed ? uio_pci_remove(name) : uio_unbind(name);
	if (ret)
		return ret;
	__atomic_fetch_add(&race->generation, 1, __ATOMIC_SEQ_CST);
	ret = removed ? uio_pci_rescan() : 0;
	if (!ret)
		ret = uio_bind(name, "uio_pci_generic");
	__atomic_fetch_add(&race->generation, 1, __ATOMIC_SEQ_CST);
	usleep(seed % 8 * 1000);
	return ret;
}

TEST_F_TIMEOUT(race, while_it_comes_and_goes, 3600)
{
	struct race *race = self->race;
	unsigned long worked = 0, refused = 0;
	unsigned int cycles = 0;
	pid_t pid[NR_RACERS];
	int i, status;
	long end;

	for (i = 0; i < NR_RACERS; i++) {
		pid[i] = fork();
		if (!pid[i]) {
			struct racer r = {
				.race = race,
				.score = &race->score[i],
				.name = uio_test_device(0),
				.seed = i,
			};

			while (!stopped(race) && !is_wrong(&r))
				variant->step[i](&r);
			_exit(0);
		}
		ASSERT_LT(0, pid[i]);
	}

	end = uio_now_ms() + race_ms();
	while (uio_now_ms() < end || cycles < MIN_CYCLES) {
		ASSERT_EQ(0, go_and_come_back(race, variant->removed, cycles));
		cycles++;
	}
	race->stop = 1;

	for (i = 0; i < NR_RACERS; i++) {
		ASSERT_EQ(pid[i], waitpid(pid[i], &status, 0));
		EXPECT_EQ(0, status);
		EXPECT_STREQ("", race->score[i].wrong);
		worked += race->score[i].worked;
		refused += race->score[i].refused;
	}
	TH_LOG("%u cycles, %lu calls worked, %lu were refused", cycles, worked,
	       refused);
	EXPECT_LT(0, worked);
	EXPECT_LT(0, refused);
}

/* Those who have an open file or its number in common. */
FIXTURE(sharing)
{
	struct uio_device dev;
	int dmabufs;
};

FIXTURE_SETUP(sharing)
{
	if (!test_open(_metadata, &self->dev, 0))
		return;
	uio_close(&self->dev);
	self->dmabufs = uio_count_dmabufs();
}

FIXTURE_TEARDOWN(sharing)
{
	EXPECT_EQ(0, uio_bus_master(uio_test_device(0)));
	EXPECT_EQ(self->dmabufs, uio_count_dmabufs());
}

/* An open file has one mapping of a buffer, however many processes share it. */
TEST_F_TIMEOUT(sharing, a_file_that_goes, 3600)
{
	const char *name = uio_test_device(0);
	unsigned int cycles = 0;
	struct race race = { .stop = 0 };
	struct racer r = {
		.race = &race,
		.score = &race.score[0],
		.name = name,
	};
	int i, ret, status;
	pid_t pid[NR_RACERS];
	__u64 addr;
	long end;

	end = uio_now_ms() + race_ms();
	while (uio_now_ms() < end || cycles < MIN_CYCLES) {
		ASSERT_TRUE(acquire(&r));
		for (i = 0; i < NR_RACERS; i++) {
			pid[i] = fork();
			if (pid[i])
				continue;
			do {
				ret = uio_dma_addr(r.buf.fd, r.fd, &addr);
				if (!ret && i)
					ret = uio_dma_put(r.buf.fd, r.fd);
			} while (!ret || ret == -ENOENT);
			_exit(ret == -ENODEV ? 0 : 1);
		}
		usleep(cycles % 8 * 1000);
		ASSERT_EQ(0, go_and_come_back(&race, false, 0));
		for (i = 0; i < NR_RACERS; i++) {
			ASSERT_EQ(pid[i], waitpid(pid[i], &status, 0));
			EXPECT_EQ(0, status);
		}
		release(&r);
		cycles++;
	}
}

/**
 * struct shared - what two threads share
 * @stop: the second is to end
 * @number: N of /dev/uioN
 * @fd: the descriptor in question
 * @closed: how often the second has closed it
 */
struct shared {
	int stop;
	int number;
	int fd;
	unsigned long closed;
};

static void *close_guessed(void *arg)
{
	struct shared *s = arg;

	while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE))
		if (!close(s->fd))
			s->closed++;
	return NULL;
}

TEST_F_TIMEOUT(sharing, allocate_and_close_of_guessed_descriptor, 3600)
{
	struct shared s = { .stop = 0 };
	char name[UIO_NAME_LEN];
	pthread_t thread;
	int heap, fd;
	long end;

	ASSERT_EQ(0, uio_heap_name(uio_find(uio_test_device(0)), name,
				   sizeof(name)));
	heap = uio_heap_open(name);
	ASSERT_LE(0, heap);
	s.fd = dup(heap);
	close(s.fd);
	ASSERT_EQ(0, pthread_create(&thread, NULL, close_guessed, &s));
	end = uio_now_ms() + race_ms();
	while (uio_now_ms() < end || !s.closed) {
		fd = uio_heap_alloc(heap, 4096);
		ASSERT_EQ(s.fd, fd);
		close(fd);
	}
	__atomic_store_n(&s.stop, 1, __ATOMIC_RELEASE);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	close(heap);
	TH_LOG("closed by somebody else: %lu times", s.closed);
}

static void *close_and_open(void *arg)
{
	struct shared *s = arg;

	while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE)) {
		close(s->fd);
		sched_yield();
		/* The lowest number that is free: the same again. */
		if (uio_open_fd(s->number, O_RDWR) != s->fd)
			break;
		s->closed++;
		usleep(s->closed % 4 * 100);
	}
	return NULL;
}

TEST_F_TIMEOUT(sharing, address_and_close_of_device, 3600)
{
	unsigned long worked = 0, refused = 0;
	struct shared s = { .stop = 0 };
	struct uio_buffer buf;
	pthread_t thread;
	__u64 addr;
	long end;
	int ret;

	s.number = uio_find(uio_test_device(0));
	ASSERT_EQ(0, uio_buffer_alloc_device(&buf, s.number, 4096));
	s.fd = uio_open_fd(s.number, O_RDWR);
	ASSERT_LE(0, s.fd);
	ASSERT_EQ(0, pthread_create(&thread, NULL, close_and_open, &s));
	end = uio_now_ms() + race_ms();
	while (uio_now_ms() < end || !worked || !s.closed) {
		ret = uio_dma_addr(buf.fd, s.fd, &addr);
		if (!ret && worked % 2)
			ret = uio_dma_put(buf.fd, s.fd);
		if (ret)
			ASSERT_TRUE(ret == -EBADF || ret == -ENOENT);
		worked += !ret;
		refused += !!ret;
	}
	__atomic_store_n(&s.stop, 1, __ATOMIC_RELEASE);
	ASSERT_EQ(0, pthread_join(thread, NULL));
	close(s.fd);
	uio_buffer_free(&buf);
	TH_LOG("%lu closed, %lu calls worked, %lu were refused", s.closed,
	       worked, refused);
}

TEST_HARNESS_MAIN
