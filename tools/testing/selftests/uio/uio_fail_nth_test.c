// SPDX-License-Identifier: GPL-2.0
/*
 * Let fail what can fail: each step of a driver's life is repeated, and each
 * time one more allocation or copy to or from user space succeeds before one
 * fails, until the step gets through without. Whatever failed, the step gives a
 * documented errno and leaves nothing behind, and nothing is wrong with the next
 * one.
 */
#include <sys/syscall.h>

#include "uio_test.h"

#define DRIVER_DIR	"/sys/bus/pci/drivers/uio_pci_generic"
#define DEBUGFS		"/sys/kernel/debug"
#define MIB		(1024 * 1024)

/* What the device can address: in every boot more than its memory. */
#define DEV_BITS	40

/* More than any step needs: then something else is wrong. */
#define MAX_NTH		10000

/**
 * struct life - what the steps work on
 * @dev: an open device
 * @other: another one
 * @third: the name of one more, which no step leaves open
 * @heap_name: the path of @dev's heap
 * @third_heap: its heap in sysfs
 * @third_heap_node: its heap in /dev
 * @third_uio: its UIO device in sysfs
 * @third_uio_node: its UIO device in /dev
 * @heap: @dev's heap, opened
 * @buf: a buffer
 * @fd: what a step opens
 * @mem: what a step maps
 */
struct life {
	struct uio_device dev;
	struct uio_device other;
	const char *third;
	char heap_name[UIO_PATH_LEN];
	char third_heap[UIO_PATH_LEN];
	char third_heap_node[UIO_PATH_LEN];
	char third_uio[UIO_PATH_LEN];
	char third_uio_node[UIO_PATH_LEN];
	int heap;
	struct uio_buffer buf;
	int fd;
	unsigned char *mem;
};

/**
 * struct step - what is to fail
 * @name: for messages
 * @before: makes ready for it; returns 0
 * @run: the step: 0 or a negative errno
 * @after: checks what a run that returned @ret has left, and undoes it;
 *	returns 0
 * @never_fails: there is something to fall back to, or nothing to tell it
 */
struct step {
	const char *name;
	int (*before)(struct life *life);
	int (*run)(struct life *life);
	int (*after)(struct life *life, int ret);
	bool never_fails;
};

/* A device comes and goes. */

static int open_driver_file(struct life *life, const char *name)
{
	char path[UIO_PATH_LEN];

	snprintf(path, sizeof(path), DRIVER_DIR "/%s", name);
	life->fd = open(path, O_WRONLY | O_CLOEXEC);
	return life->fd < 0 ? -errno : 0;
}

static int write_name(struct life *life)
{
	return write(life->fd, life->third, strlen(life->third)) < 0 ?
	       -errno : 0;
}

static bool third_is_bound(struct life *life)
{
	char driver[UIO_NAME_LEN];

	return !uio_bound_driver(life->third, driver, sizeof(driver));
}

/*
 * Without a driver there are neither heap nor UIO device nor DMA. devtmpfs
 * leaves a node of no use behind if it has no memory to tell its own thread.
 */
static int check_unbound(struct life *life)
{
	if (third_is_bound(life))
		return -EEXIST;
	if (uio_find(life->third) >= 0 || !access(life->third_heap, F_OK) ||
	    !access(life->third_uio, F_OK))
		return -ENOTEMPTY;
	unlink(life->third_heap_node);
	unlink(life->third_uio_node);
	return uio_bus_master(life->third) ? -EBUSY : 0;
}

static int before_bind(struct life *life)
{
	int ret = check_unbound(life);

	return ret ? ret : open_driver_file(life, "bind");
}

/* Success may be one without DMA: the third device is a good one even so. */
static int after_bind(struct life *life, int ret)
{
	close(life->fd);
	if (third_is_bound(life) == !!ret)
		return -EPROTO;
	if (!ret)
		ret = uio_unbind(life->third);
	else
		ret = 0;
	return ret ? ret : check_unbound(life);
}

static int before_unbind(struct life *life)
{
	int ret = uio_bind(life->third, "uio_pci_generic");

	return ret ? ret : open_driver_file(life, "unbind");
}

/* Unbinding may fail before it has begun, not half way. */
static int after_unbind(struct life *life, int ret)
{
	close(life->fd);
	if (third_is_bound(life) == !ret)
		return -EPROTO;
	if (ret && access(life->third_heap, F_OK))
		return -ENOENT;
	ret = ret ? uio_unbind(life->third) : 0;
	return ret ? ret : check_unbound(life);
}

/* Files */

static int before_nothing(struct life *life)
{
	return 0;
}

static int before_get_own(struct life *life)
{
	return uio_buffer_alloc_device(&life->buf, life->dev.number, 8192);
}

static int open_device(struct life *life)
{
	life->fd = uio_open_fd(life->dev.number, O_RDWR);
	return life->fd < 0 ? life->fd : 0;
}

static int open_heap(struct life *life)
{
	life->fd = open(life->heap_name, O_RDONLY | O_CLOEXEC);
	return life->fd < 0 ? -errno : 0;
}

static int alloc_page(struct life *life)
{
	life->fd = uio_heap_alloc(life->heap, 4096);
	return life->fd < 0 ? life->fd : 0;
}

static int alloc_mib(struct life *life)
{
	life->fd = uio_heap_alloc(life->heap, MIB);
	return life->fd < 0 ? life->fd : 0;
}

/* A file is one that does DMA, or there is none. */
static int after_open_device(struct life *life, int ret)
{
	if (!ret) {
		ret = uio_dma_put(life->buf.fd, life->fd) == -ENOENT ?
		      0 : -EPROTO;
		close(life->fd);
	} else {
		ret = 0;
	}
	uio_buffer_free(&life->buf);
	return ret;
}

static int after_open(struct life *life, int ret)
{
	return ret || !close(life->fd) ? 0 : -errno;
}

static int set_mask(struct life *life)
{
	return uio_set_dma_mask_bits(life->dev.number, DEV_BITS - 1);
}

static int after_set_mask(struct life *life, int ret)
{
	return uio_dma_mask_bits(life->dev.number) !=
	       (ret ? DEV_BITS : DEV_BITS - 1);
}

/* Addresses */

static int before_get_system(struct life *life)
{
	return uio_buffer_alloc(&life->buf, "system", MIB);
}

static int before_get_udmabuf(struct life *life)
{
	return uio_buffer_udmabuf(&life->buf, 64 * 4096, NULL);
}

static int get(struct life *life)
{
	__u64 addr;

	return uio_dma_addr(life->buf.fd, life->dev.fd, &addr);
}

/* The file has the buffer mapped if it was told so, and only then. */
static int check_mapped(struct life *life, struct uio_device *dev, int ret)
{
	int wanted = ret ? -ENOENT : 0;

	if (uio_bus_master(dev->name) != !ret)
		return -EPROTO;
	ret = uio_dma_put(life->buf.fd, dev->fd) == wanted ? 0 : -ENOTEMPTY;
	uio_buffer_free(&life->buf);
	return ret;
}

/*
 * An answer that cannot be written is one that was not given, but the mapping
 * is there.
 */
static int after_get(struct life *life, int ret)
{
	if (ret == -EFAULT && uio_bus_master(life->dev.name))
		ret = 0;
	return check_mapped(life, &life->dev, ret);
}

static int get_for_other(struct life *life)
{
	__u64 addr;

	return uio_dma_addr(life->buf.fd, life->other.fd, &addr);
}

static int after_get_for_other(struct life *life, int ret)
{
	if (ret == -EFAULT && uio_bus_master(life->other.name))
		ret = 0;
	return check_mapped(life, &life->other, ret);
}

static int before_put(struct life *life)
{
	int ret = before_get_own(life);

	return ret ? ret : get(life);
}

static int before_put_system(struct life *life)
{
	int ret = before_get_system(life);

	return ret ? ret : get(life);
}

static int put(struct life *life)
{
	return uio_dma_put(life->buf.fd, life->dev.fd);
}

static int after_get_again(struct life *life, int ret)
{
	return check_mapped(life, &life->dev, 0);
}

static int after_put(struct life *life, int ret)
{
	return check_mapped(life, &life->dev, ret ? 0 : -ENOENT);
}

/* Mappings */

/* Where nothing is near, so that page tables are still missing. */
static int map_buffer(struct life *life)
{
	unsigned long mem;

	mem = (unsigned long)mmap(NULL, 16 * MIB, PROT_NONE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap((void *)mem, 16 * MIB);
	mem = (mem + 8 * MIB) & ~(4UL * MIB - 1);
	life->mem = mmap((void *)mem, 8192, PROT_READ | PROT_WRITE, MAP_SHARED,
			 life->buf.fd, 0);
	return life->mem == MAP_FAILED ? -errno : 0;
}

static int after_map(struct life *life, int ret)
{
	if (!ret && uio_differs_from(life->mem, 8192, 0) >= 0)
		ret = -EIO;
	else
		ret = 0;
	if (life->mem != MAP_FAILED)
		munmap(life->mem, 8192);
	uio_buffer_free(&life->buf);
	return ret;
}

static int before_touch(struct life *life)
{
	int ret = before_get_own(life);

	return ret ? ret : map_buffer(life);
}

/* The pages of tables are had at the second attempt, without a signal. */
static int touch(struct life *life)
{
	return uio_touch(life->mem + 4096) ? -EFAULT : 0;
}

static int map_registers(struct life *life)
{
	life->mem = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED,
			 life->dev.fd, 0);
	return life->mem == MAP_FAILED ? -errno : 0;
}

static int after_map_registers(struct life *life, int ret)
{
	if (ret)
		return 0;
	ret = uio_touch(life->mem);
	munmap(life->mem, 4096);
	return ret;
}

static int touch_registers(struct life *life)
{
	return uio_touch(life->mem) ? -EFAULT : 0;
}

static const struct step step_bind = {
	"bind", before_bind, write_name, after_bind,
};

static const struct step step_unbind = {
	"unbind", before_unbind, write_name, after_unbind,
};

static const struct step step_open_device = {
	"open device", before_get_own, open_device, after_open_device,
};

static const struct step step_open_heap = {
	"open heap", before_nothing, open_heap, after_open,
};

static const struct step step_alloc_page = {
	"allocate 4 KiB", before_nothing, alloc_page, after_open,
};

static const struct step step_alloc_mib = {
	"allocate 1 MiB", before_nothing, alloc_mib, after_open,
};

static const struct step step_mask = {
	"set DMA mask", before_nothing, set_mask, after_set_mask,
};

static const struct step step_get_own = {
	"GET, the device's heap", before_get_own, get, after_get,
};

static const struct step step_get_system = {
	"GET, system heap", before_get_system, get, after_get,
};

static const struct step step_get_udmabuf = {
	"GET, udmabuf", before_get_udmabuf, get, after_get,
};

static const struct step step_get_for_other = {
	"GET, another device's heap", before_get_own, get_for_other,
	after_get_for_other,
};

static const struct step step_get_again = {
	"second GET", before_put, get, after_get_again,
};

static const struct step step_put = {
	"PUT, the device's heap", before_put, put, after_put,
};

static const struct step step_put_system = {
	"PUT, system heap", before_put_system, put, after_put,
};

static const struct step step_map = {
	"mmap", before_get_own, map_buffer, after_map,
};

static const struct step step_touch = {
	"first access", before_touch, touch, after_map, .never_fails = true,
};

static const struct step step_map_registers = {
	"mmap of registers", before_nothing, map_registers,
	after_map_registers,
};

static const struct step step_touch_registers = {
	"first access to registers", map_registers, touch_registers,
	after_map_registers, .never_fails = true,
};

FIXTURE(fail_nth)
{
	struct life life;
	int nth_fd;
};

FIXTURE_VARIANT(fail_nth)
{
	const struct step *step;
};

FIXTURE_VARIANT_ADD(fail_nth, bind) { &step_bind };
FIXTURE_VARIANT_ADD(fail_nth, unbind) { &step_unbind };
FIXTURE_VARIANT_ADD(fail_nth, open_device) { &step_open_device };
FIXTURE_VARIANT_ADD(fail_nth, open_heap) { &step_open_heap };
FIXTURE_VARIANT_ADD(fail_nth, alloc_page) { &step_alloc_page };
FIXTURE_VARIANT_ADD(fail_nth, alloc_mib) { &step_alloc_mib };
FIXTURE_VARIANT_ADD(fail_nth, mask) { &step_mask };
FIXTURE_VARIANT_ADD(fail_nth, get_own) { &step_get_own };
FIXTURE_VARIANT_ADD(fail_nth, get_system) { &step_get_system };
FIXTURE_VARIANT_ADD(fail_nth, get_udmabuf) { &step_get_udmabuf };
FIXTURE_VARIANT_ADD(fail_nth, get_for_other) { &step_get_for_other };
FIXTURE_VARIANT_ADD(fail_nth, get_again) { &step_get_again };
FIXTURE_VARIANT_ADD(fail_nth, put) { &step_put };
FIXTURE_VARIANT_ADD(fail_nth, put_system) { &step_put_system };
FIXTURE_VARIANT_ADD(fail_nth, mmap) { &step_map };
FIXTURE_VARIANT_ADD(fail_nth, touch) { &step_touch };
FIXTURE_VARIANT_ADD(fail_nth, mmap_registers) { &step_map_registers };
FIXTURE_VARIANT_ADD(fail_nth, touch_registers) { &step_touch_registers };

/* Where a function of the kernel's begins, and where the next one does. */
static int find_function(const char *name, unsigned long *start,
			 unsigned long *end)
{
	unsigned long addr;
	char line[512], symbol[128];
	FILE *file;

	*start = 0;
	*end = ~0UL;
	file = fopen("/proc/kallsyms", "r");
	if (!file)
		return -errno;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%lx %*c %127s", &addr, symbol) == 2 &&
		    !strcmp(symbol, name))
			*start = addr;
	rewind(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%lx ", &addr) == 1 && addr > *start &&
		    addr < *end)
			*end = addr;
	fclose(file);
	return *start ? 0 : -ENOENT;
}

static int write_address(const char *file, unsigned long addr)
{
	static const char * const kind[] = { "failslab", "fail_page_alloc" };
	char path[UIO_PATH_LEN], text[32];
	unsigned int i;
	int ret = 0;

	snprintf(text, sizeof(text), "0x%lx", addr);
	for (i = 0; i < ARRAY_SIZE(kind) && !ret; i++) {
		snprintf(path, sizeof(path), DEBUGFS "/%s/%s", kind[i], file);
		ret = uio_write_text(path, text);
	}
	return ret;
}

/* What is called by @require is to fail, unless it is called by @reject. */
static int set_filter(const char *require, const char *reject)
{
	unsigned long start[2] = { 0, 0 }, end[2] = { ~0UL, 0 };
	int ret;

	if (require && find_function(require, &start[0], &end[0]))
		return -ENOENT;
	if (reject && find_function(reject, &start[1], &end[1]))
		return -ENOENT;
	ret = write_address("require-start", start[0]);
	if (!ret)
		ret = write_address("require-end", end[0]);
	if (!ret)
		ret = write_address("reject-start", start[1]);
	return ret ? ret : write_address("reject-end", end[1]);
}

/*
 * Others break for good when they have no memory: the interpreter of ACPI and
 * the interrupts' directories in /proc, at binding; DMA_API_DEBUG, which shall
 * go on to look at what failures do.
 */
static int spare_others(const struct step *step)
{
	if (step == &step_bind)
		return set_filter("__uio_register_device",
				  "request_threaded_irq");
	if (step == &step_unbind)
		return set_filter("uio_unregister_device", NULL);
	return set_filter(NULL, access(DEBUGFS "/dma-api", F_OK) ?
			  NULL : "add_dma_entry");
}

/*
 * Let every kind of memory run out, not just that which cannot be waited for.
 * Without fail-nth or a probability this changes nothing.
 */
static int set_up_injection(void)
{
	static const char * const setting[][2] = {
		{ DEBUGFS "/failslab/ignore-gfp-wait", "N" },
		{ DEBUGFS "/failslab/verbose", "0" },
		{ DEBUGFS "/fail_page_alloc/ignore-gfp-wait", "N" },
		{ DEBUGFS "/fail_page_alloc/ignore-gfp-highmem", "N" },
		{ DEBUGFS "/fail_page_alloc/min-order", "0" },
		{ DEBUGFS "/fail_page_alloc/verbose", "0" },
		{ DEBUGFS "/fail_usercopy/verbose", "0" },
	};
	unsigned int i;
	int ret = 0;

	for (i = 0; i < ARRAY_SIZE(setting) && !ret; i++)
		ret = uio_write_text(setting[i][0], setting[i][1]);
	return ret;
}

static int open_nth(void)
{
	char path[UIO_PATH_LEN];

	snprintf(path, sizeof(path), "/proc/self/task/%ld/fail-nth",
		 syscall(SYS_gettid));
	return open(path, O_RDWR | O_CLOEXEC);
}

static bool arm(int fd, unsigned int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth);

	return pwrite(fd, text, len, 0) == len;
}

/*
 * Was something made to fail? Reading and writing the file are calls that can
 * be made to fail as well, and one that is tells that nothing was before.
 */
static bool disarm(int fd)
{
	bool injected = false;
	char text[16] = "";

	if (pread(fd, text, sizeof(text) - 1, 0) > 0)
		injected = !strcmp(text, "0\n");
	return arm(fd, 0) || arm(fd, 0) ? injected : false;
}

FIXTURE_SETUP(fail_nth)
{
	struct life *life = &self->life;
	struct uio_device third;
	char name[UIO_NAME_LEN];

	self->nth_fd = open_nth();
	if (self->nth_fd < 0)
		SKIP(return, "no fault injection here: CONFIG_FAULT_INJECTION?");
	if (set_up_injection())
		SKIP(return, "no settings: CONFIG_FAULT_INJECTION_DEBUG_FS?");
	if (spare_others(variant->step))
		SKIP(return, "no CONFIG_FAULT_INJECTION_STACKTRACE_FILTER, KALLSYMS?");
	if (access(DRIVER_DIR, F_OK))
		SKIP(return, "no uio_pci_generic");

	if (!test_open(_metadata, &life->dev, 0))
		return;
	if (!test_open(_metadata, &life->other, 1))
		return;
	ASSERT_EQ(0, uio_heap_name(life->dev.number, name, sizeof(name)));
	snprintf(life->heap_name, sizeof(life->heap_name), "/dev/dma_heap/%s",
		 name);
	life->heap = uio_heap_open(name);
	ASSERT_LE(0, life->heap);

	/* As numbers are given away, it has the same one each time. */
	if (!test_open(_metadata, &third, 2))
		return;
	life->third = uio_test_device(2);
	ASSERT_EQ(0, uio_heap_name(third.number, name, sizeof(name)));
	snprintf(life->third_heap, sizeof(life->third_heap),
		 "/sys/class/dma_heap/%s", name);
	snprintf(life->third_heap_node, sizeof(life->third_heap_node),
		 "/dev/dma_heap/%s", name);
	snprintf(life->third_uio, sizeof(life->third_uio),
		 "/sys/class/uio/uio%d", third.number);
	snprintf(life->third_uio_node, sizeof(life->third_uio_node),
		 "/dev/uio%d", third.number);
	uio_close(&third);
	ASSERT_EQ(0, uio_unbind(life->third));

	/* Memory of all kinds, in every boot. */
	ASSERT_EQ(0, uio_set_dma_mask_bits(life->dev.number, DEV_BITS));
	ASSERT_EQ(0, uio_set_dma_mask_bits(life->other.number, 64));
}

FIXTURE_TEARDOWN(fail_nth)
{
	struct life *life = &self->life;
	struct uio_device third;

	/* All the failures have cost the device nothing. */
	if (test_open(_metadata, &third, 2))
		uio_close(&third);
	EXPECT_EQ(0, uio_set_dma_mask_bits(life->dev.number, 32));
	EXPECT_EQ(0, uio_set_dma_mask_bits(life->other.number, 32));
	uio_close(&life->other);
	close(life->heap);
	uio_close(&life->dev);
	close(self->nth_fd);
}

/* What the DMA API has on record, where it keeps a record. */
static int dma_api_entries(void)
{
	__u64 all, free;

	if (uio_read_u64(DEBUGFS "/dma-api/nr_total_entries", &all) ||
	    uio_read_u64(DEBUGFS "/dma-api/num_free_entries", &free))
		return -ENOENT;
	return all - free;
}

static __u64 dma_api_errors(void)
{
	__u64 errors = 0;

	uio_read_u64(DEBUGFS "/dma-api/error_count", &errors);
	return errors;
}

TEST_F_TIMEOUT(fail_nth, until_it_works, 600)
{
	struct snapshot old = take_snapshot(&self->life.dev);
	const struct step *step = variant->step;
	struct life *life = &self->life;
	int entries = dma_api_entries();
	__u64 errors = dma_api_errors();
	unsigned int nth, failed = 0;
	bool injected;
	int i, ret;

	for (nth = 1; nth < MAX_NTH; nth++) {
		ASSERT_EQ(0, step->before(life));

		ASSERT_TRUE(arm(self->nth_fd, nth));
		ret = step->run(life);
		injected = disarm(self->nth_fd);

		if (ret) {
			failed++;
			ASSERT_TRUE(injected);
			ASSERT_TRUE(ret == -ENOMEM || ret == -EFAULT)
				TH_LOG("%s: failure %u gives %d", step->name,
				       nth, ret);
		}
		ASSERT_EQ(0, step->after(life, ret))
			TH_LOG("%s: after failure %u, which gave %d",
			       step->name, nth, ret);
		expect_unchanged(_metadata, &life->dev, &old);

		/* This is refused as long as a buffer or a mapping is left. */
		ASSERT_EQ(0, uio_set_dma_mask_bits(life->dev.number, DEV_BITS));
		ASSERT_EQ(0, uio_set_dma_mask_bits(life->other.number, 64));
		if (!injected)
			break;
	}
	TH_LOG("%s: %u of %u failures were seen", step->name, failed, nth - 1);
	EXPECT_GT(MAX_NTH, nth);
	EXPECT_LT(1, nth);
	EXPECT_EQ(!step->never_fails, !!failed);
	EXPECT_EQ(errors, dma_api_errors());

	/* The console's may be on their way. */
	for (i = 0; i < 100 && dma_api_entries() > entries; i++)
		uio_msleep(10);
	EXPECT_GE(entries, dma_api_entries());
}

TEST_HARNESS_MAIN
