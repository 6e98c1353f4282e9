// SPDX-License-Identifier: GPL-2.0
/*
 * A driver for NVMe controllers, as an example of a UIO driver that does DMA.
 *
 * What belongs to UIO and dma-buf, and not to NVMe, is in few places:
 *  - uio_nvme_open(): bind, open /dev/uioN, map the registers of BAR 0;
 *  - queue_alloc(): memory that controller and CPU share all the time, from the
 *    device's own heap: one address, contiguous on the bus, coherent;
 *  - uio_nvme_map(): data in a dma-buf of anybody, which may be scattered. The
 *    addresses are asked for once and kept, so I/O makes no system call;
 *  - uio_nvme_wait_irq(): interrupts by poll() and read();
 *  - uio_nvme_close(): first make the device quiet, then give buffers back.
 *
 * If this program dies, the kernel stops the controller and resets it before the
 * memory is used for anything else.
 */
#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest.h"
#include "uio_io.h"
#include "uio_nvme.h"

/* Registers, section 3.1 of the specification */
#define NVME_CAP		0x00
#define NVME_CAP_HIGH		0x04
#define NVME_CC			0x14
#define NVME_CSTS		0x1c
#define NVME_AQA		0x24
#define NVME_ASQ		0x28
#define NVME_ACQ		0x30
#define NVME_DOORBELLS		0x1000

#define NVME_CAP_MQES(cap)	((unsigned int)((cap) & 0xffff))
#define NVME_CAP_TO(cap)	((unsigned int)((cap) >> 24 & 0xff))
#define NVME_CAP_DSTRD(cap)	((unsigned int)((cap) >> 32 & 0xf))
#define NVME_CAP_MPSMIN(cap)	((unsigned int)((cap) >> 48 & 0xf))

/* Enabled; pages of 4 KiB; entries of 2^6 and 2^4 bytes */
#define NVME_CC_ENABLE		0x00460001U
#define NVME_CC_SHUTDOWN	0x00004000U

#define NVME_CSTS_READY		0x1U
#define NVME_CSTS_FATAL		0x2U
#define NVME_CSTS_SHUTDOWN(csts) ((csts) >> 2 & 3)
#define NVME_SHUTDOWN_COMPLETE	2

#define NVME_CLASS		0x010802

/* Admin commands, section 5 */
#define NVME_CREATE_SQ		0x01
#define NVME_CREATE_CQ		0x05
#define NVME_IDENTIFY		0x06
#define NVME_SET_FEATURES	0x09

#define NVME_IDENTIFY_NAMESPACE	0
#define NVME_IDENTIFY_CONTROLLER 1
#define NVME_FEATURE_QUEUES	7

#define NVME_QUEUE_CONTIGUOUS	0x1U
#define NVME_QUEUE_INTERRUPTS	0x2U

#define NVME_NAMESPACE		1

#define ADMIN_ENTRIES		8
#define COMMAND_TIMEOUT_MS	10000

#define PRPS_PER_PAGE		(UIO_NVME_PAGE / sizeof(__u64))

struct uio_nvme_command {
	__u8 opcode;
	__u8 flags;
	__u16 id;
	__u32 nsid;
	__u32 cdw2[2];
	__u64 metadata;
	__u64 prp1;
	__u64 prp2;
	__u32 cdw10[6];
};

struct uio_nvme_completion {
	__u32 value;
	__u32 reserved;
	__u16 sq_head;
	__u16 sq_id;
	__u16 id;
	__u16 status;
};

static_assert(sizeof(struct uio_nvme_command) == 64, "as specified");
static_assert(sizeof(struct uio_nvme_completion) == 16, "as specified");

/* Section 4.5.1: status code type and status code */
static const struct {
	__u16 status;
	int err;
	const char *text;
} nvme_status[] = {
	{ 0x000, 0, "success" },
	{ 0x001, EOPNOTSUPP, "invalid command opcode" },
	{ 0x002, EINVAL, "invalid field in command" },
	{ 0x003, EINVAL, "command id conflict" },
	{ 0x004, EFAULT, "data transfer error" },
	{ 0x005, EIO, "aborted: power loss" },
	{ 0x006, EIO, "internal error" },
	{ 0x007, ECANCELED, "abort requested" },
	{ 0x008, ECANCELED, "aborted: submission queue deleted" },
	{ 0x00b, ENXIO, "invalid namespace" },
	{ 0x00c, EINVAL, "command sequence error" },
	{ 0x013, EFAULT, "invalid PRP offset" },
	{ 0x020, EROFS, "namespace is write protected" },
	{ 0x080, ERANGE, "LBA out of range" },
	{ 0x081, ENOSPC, "capacity exceeded" },
	{ 0x082, EAGAIN, "namespace not ready" },
	{ 0x083, EBUSY, "reservation conflict" },
	{ 0x100, EINVAL, "invalid completion queue" },
	{ 0x101, EINVAL, "invalid queue identifier" },
	{ 0x102, EINVAL, "invalid queue size" },
	{ 0x108, EINVAL, "invalid interrupt vector" },
	{ 0x180, EINVAL, "conflicting attributes" },
	{ 0x182, EROFS, "write to read only range" },
	{ 0x280, EIO, "write fault" },
	{ 0x281, EIO, "unrecovered read error" },
	{ 0x286, EACCES, "access denied" },
	{ 0x287, ENODATA, "deallocated or unwritten block" },
};

#define STATUS_CODE	0x7ff

/* The negative errno of a status; -EIO for those without one of their own. */
int uio_nvme_errno(__u16 status)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(nvme_status); i++) {
		if (nvme_status[i].status == (status & STATUS_CODE))
			return -nvme_status[i].err;
	}
	return -EIO;
}

const char *uio_nvme_status_text(__u16 status)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(nvme_status); i++) {
		if (nvme_status[i].status == (status & STATUS_CODE))
			return nvme_status[i].text;
	}
	return "unknown status";
}

static void write64(void *regs, unsigned long offset, __u64 val)
{
	uio_write32(regs, offset, (__u32)val);
	uio_write32(regs, offset + 4, (__u32)(val >> 32));
}

static unsigned long doorbell(const struct uio_nvme_queue *q, bool completion)
{
	return NVME_DOORBELLS + (2 * q->id + completion) * q->nvme->stride;
}

static __u64 round_to_page(__u64 size)
{
	return (size + UIO_NVME_PAGE - 1) / UIO_NVME_PAGE * UIO_NVME_PAGE;
}

static void queue_free(struct uio_nvme_queue *q)
{
	if (!q->free)
		return;
	uio_dma_put(q->mem.fd, q->nvme->dev.fd);
	uio_buffer_free(&q->mem);
	free(q->free);
	q->free = NULL;
}

/*
 * A queue is read and written by both sides all the time: it has to be coherent
 * and, for a controller like QEMU's, contiguous. That is what the device's own
 * heap is for. The memory comes zeroed, so all phase bits are 0.
 */
static int queue_alloc(struct uio_nvme *nvme, struct uio_nvme_queue *q,
		       __u16 id, unsigned int entries)
{
	__u64 sq_size = round_to_page(entries * sizeof(*q->sq));
	__u64 cq_size = round_to_page(entries * sizeof(*q->cq));
	int ret;

	memset(q, 0, sizeof(*q));
	q->nvme = nvme;
	q->id = id;
	q->entries = entries;
	q->phase = 1;
	ret = uio_buffer_alloc_device(&q->mem, nvme->dev.number, sq_size +
				      cq_size + entries * UIO_NVME_PAGE);
	if (ret)
		return ret;

	/* With the first address the controller may master the bus. */
	ret = uio_dma_addr(q->mem.fd, nvme->dev.fd, &q->addr);
	if (ret)
		goto err_free_buffer;

	ret = -ENOMEM;
	q->free = calloc(entries, sizeof(*q->free));
	if (!q->free)
		goto err_free_buffer;
	while (q->nr_free < entries - 1) {
		q->free[q->nr_free] = q->nr_free;
		q->nr_free++;
	}

	q->sq = (void *)q->mem.vaddr;
	q->cq = (void *)(q->mem.vaddr + sq_size);
	q->prp = (void *)(q->mem.vaddr + sq_size + cq_size);
	q->prp_addr = q->addr + sq_size + cq_size;
	return 0;

err_free_buffer:
	uio_buffer_free(&q->mem);
	return ret;
}

static __u64 queue_cq_addr(const struct uio_nvme_queue *q)
{
	return q->addr + ((unsigned char *)q->cq - q->mem.vaddr);
}

/*
 * A transfer is described by addresses of pages. Only the first may begin in
 * the middle of one. There is room for two in the command; if there are more,
 * the second is the address of a list of all others.
 */
static int set_prps(struct uio_nvme_queue *q, struct uio_nvme_command *cmd,
		    const struct uio_nvme_mem *mem, __u64 offset, __u64 len)
{
	__u64 first = offset / UIO_NVME_PAGE;
	__u64 last = (offset + len - 1) / UIO_NVME_PAGE;
	__u64 nr = last - first + 1, i;
	__u16 id = le16toh(cmd->id);
	__u64 *list;

	if (!len || offset + len < offset || last >= mem->nr_pages ||
	    nr > PRPS_PER_PAGE + 1)
		return -EINVAL;

	cmd->prp1 = htole64(mem->page[first] + offset % UIO_NVME_PAGE);
	if (nr == 2) {
		cmd->prp2 = htole64(mem->page[first + 1]);
	} else if (nr > 2) {
		list = q->prp + id * PRPS_PER_PAGE;
		for (i = 1; i < nr; i++)
			list[i - 1] = htole64(mem->page[first + i]);
		cmd->prp2 = htole64(q->prp_addr + id * UIO_NVME_PAGE);
	}
	return 0;
}

/*
 * Tell the controller what has changed in the queues. A doorbell is what costs
 * most in a command, so one is rung for as many as possible: when there is
 * nothing else to do. It must not overtake the command: uio_write32() sees to
 * that.
 */
void uio_nvme_ring(struct uio_nvme_queue *q)
{
	if (q->rung_head != q->head)
		uio_write32(q->nvme->regs, doorbell(q, true), q->head);
	q->rung_head = q->head;
	if (q->rung_tail != q->tail)
		uio_write32(q->nvme->regs, doorbell(q, false), q->tail);
	q->rung_tail = q->tail;
}

static int enqueue(struct uio_nvme_queue *q, const struct uio_nvme_command *cmd)
{
	q->sq[q->tail] = *cmd;
	q->tail = (q->tail + 1) % q->entries;
	q->nr_free--;
	return le16toh(cmd->id);
}

/*
 * Read or write @nr_blocks at @offset of @mem; for a flush the last four are not
 * looked at. It starts when uio_nvme_poll(), or what calls it, finds nothing
 * completed, or with uio_nvme_ring(). Returns the command's identifier, -EBUSY
 * if the queue is full, -EINVAL if @mem is too small or the transfer too large.
 */
int uio_nvme_submit(struct uio_nvme_queue *q, enum uio_nvme_opcode op,
		    __u64 lba, __u32 nr_blocks, const struct uio_nvme_mem *mem,
		    __u64 offset)
{
	struct uio_nvme_command cmd = {
		.opcode = op,
		.nsid = htole32(NVME_NAMESPACE),
	};
	__u64 len = (__u64)nr_blocks * q->nvme->block_size;
	int ret;

	if (!q->nr_free)
		return -EBUSY;
	cmd.id = htole16(q->free[q->nr_free - 1]);

	if (op != UIO_NVME_FLUSH) {
		/* The count of blocks has 16 bits and is one less. */
		if (nr_blocks > 0x10000 || len > q->nvme->max_transfer ||
		    offset % 4)
			return -EINVAL;
		ret = set_prps(q, &cmd, mem, offset, len);
		if (ret)
			return ret;
		cmd.cdw10[0] = htole32((__u32)lba);
		cmd.cdw10[1] = htole32((__u32)(lba >> 32));
		cmd.cdw10[2] = htole32(nr_blocks - 1);
	}
	return enqueue(q, &cmd);
}

/* Any command at all, whose data is one page at @prp1 or less. */
int uio_nvme_submit_raw(struct uio_nvme_queue *q, __u8 opcode, __u32 nsid,
			__u64 prp1, const __u32 cdw10[6])
{
	struct uio_nvme_command cmd = {
		.opcode = opcode,
		.nsid = htole32(nsid),
		.prp1 = htole64(prp1),
	};
	int i;

	if (!q->nr_free)
		return -EBUSY;
	cmd.id = htole16(q->free[q->nr_free - 1]);
	for (i = 0; i < 6; i++)
		cmd.cdw10[i] = htole32(cdw10[i]);
	return enqueue(q, &cmd);
}

/*
 * Take the next completion, if there is one. Each round through the queue the
 * controller inverts the phase bit, which is how a new entry is told from an
 * old one. Nothing else of the entry may be read before that bit.
 */
bool uio_nvme_poll(struct uio_nvme_queue *q, struct uio_nvme_result *result)
{
	struct uio_nvme_completion *entry = &q->cq[q->head];
	__u16 status;

	status = le16toh(__atomic_load_n(&entry->status, __ATOMIC_ACQUIRE));
	if ((status & 1) != q->phase) {
		uio_nvme_ring(q);
		return false;
	}

	result->id = le16toh(entry->id);
	result->status = status >> 1;
	result->value = le32toh(entry->value);
	if (result->status)
		q->status = result->status;

	q->head++;
	if (q->head == q->entries) {
		q->head = 0;
		q->phase ^= 1;
	}
	q->free[q->nr_free++] = result->id;
	return true;
}

/* Looking at the register and the clock is slow: seldom. */
static int still_alive(const struct uio_nvme *nvme, long deadline)
{
	__u32 csts = uio_read32(nvme->regs, NVME_CSTS);

	if (csts == ~0U)
		return -ENODEV;
	if (csts & NVME_CSTS_FATAL)
		return -EIO;
	return uio_now_ms() > deadline ? -ETIMEDOUT : 0;
}

/* Poll until a command of the queue completes. */
int uio_nvme_wait(struct uio_nvme_queue *q, struct uio_nvme_result *result)
{
	long deadline = 0;
	unsigned int i;
	int ret;

	for (i = 1; !uio_nvme_poll(q, result); i++) {
		if (i % 4096)
			continue;
		if (!deadline)
			deadline = uio_now_ms() + COMMAND_TIMEOUT_MS;
		ret = still_alive(q->nvme, deadline);
		if (ret)
			return ret;
	}
	return 0;
}

/*
 * Sleep until a command of the queue completes. The controller holds its line
 * as long as there are completions that nobody has taken, and the kernel masks
 * the line when it fires, so unmasking comes after taking them.
 */
int uio_nvme_wait_irq(struct uio_nvme_queue *q, struct uio_nvme_result *result)
{
	long deadline = uio_now_ms() + COMMAND_TIMEOUT_MS;
	__u32 count;
	int ret;

	while (!uio_nvme_poll(q, result)) {
		ret = uio_irq_unmask(&q->nvme->dev);
		if (ret)
			return ret;
		ret = uio_irq_wait(q->nvme->dev.fd, 1000, &count);
		if (ret && ret != -ETIMEDOUT)
			return ret;
		ret = still_alive(q->nvme, deadline);
		if (ret)
			return ret;
	}
	return 0;
}

/* One command from start to end. Nothing else may be in flight in the queue. */
int uio_nvme_io(struct uio_nvme_queue *q, enum uio_nvme_opcode op, __u64 lba,
		__u32 nr_blocks, const struct uio_nvme_mem *mem, __u64 offset)
{
	struct uio_nvme_result result;
	int ret;

	ret = uio_nvme_submit(q, op, lba, nr_blocks, mem, offset);
	if (ret < 0)
		return ret;
	ret = uio_nvme_wait(q, &result);
	return ret ? ret : uio_nvme_errno(result.status);
}

static int admin_command(struct uio_nvme *nvme, __u8 opcode, __u32 nsid,
			 __u64 prp1, __u32 cdw10, __u32 cdw11, __u32 *value)
{
	const __u32 cdw[6] = { cdw10, cdw11 };
	struct uio_nvme_result result;
	int ret;

	ret = uio_nvme_submit_raw(&nvme->admin, opcode, nsid, prp1, cdw);
	if (ret < 0)
		return ret;
	ret = uio_nvme_wait(&nvme->admin, &result);
	if (ret)
		return ret;
	if (value)
		*value = result.value;
	return uio_nvme_errno(result.status);
}

static __u64 get_le(const unsigned char *p, int bytes)
{
	__u64 val = 0;

	while (bytes--)
		val = val << 8 | p[bytes];
	return val;
}

/* Such texts are padded with blanks. */
static void get_text(char *to, const unsigned char *from, size_t len)
{
	memcpy(to, from, len);
	while (len && to[len - 1] == ' ')
		len--;
	to[len] = '\0';
}

static int identify(struct uio_nvme *nvme)
{
	const unsigned char *data;
	struct uio_buffer buf;
	unsigned int mdts;
	__u64 addr;
	int ret;

	ret = uio_buffer_alloc_device(&buf, nvme->dev.number, UIO_NVME_PAGE);
	if (ret)
		return ret;
	data = buf.vaddr;
	ret = uio_dma_addr(buf.fd, nvme->dev.fd, &addr);
	if (ret)
		goto out_free_buffer;

	ret = admin_command(nvme, NVME_IDENTIFY, 0, addr,
			    NVME_IDENTIFY_CONTROLLER, 0, NULL);
	if (ret)
		goto out_put;
	get_text(nvme->serial, data + 4, 20);
	get_text(nvme->model, data + 24, 40);

	/* What one command may move: at most what our PRP lists hold. */
	mdts = data[77];
	nvme->max_transfer = PRPS_PER_PAGE * UIO_NVME_PAGE;
	if (mdts && mdts < 9)
		nvme->max_transfer = UIO_NVME_PAGE << mdts;

	ret = admin_command(nvme, NVME_IDENTIFY, NVME_NAMESPACE, addr,
			    NVME_IDENTIFY_NAMESPACE, 0, NULL);
	if (ret)
		goto out_put;
	nvme->nr_blocks = get_le(data, 8);
	nvme->block_size = 1U << data[128 + 4 * (data[26] & 0xf) + 2];
	if (!nvme->nr_blocks)
		ret = -ENXIO;

out_put:
	uio_dma_put(buf.fd, nvme->dev.fd);
out_free_buffer:
	uio_buffer_free(&buf);
	return ret;
}

static int create_queue(struct uio_nvme *nvme, struct uio_nvme_queue *q,
			__u16 id, unsigned int entries)
{
	__u32 size_and_id = (entries - 1) << 16 | id;
	int ret;

	ret = queue_alloc(nvme, q, id, entries);
	if (ret)
		return ret;
	ret = admin_command(nvme, NVME_CREATE_CQ, 0, queue_cq_addr(q),
			    size_and_id,
			    NVME_QUEUE_CONTIGUOUS | NVME_QUEUE_INTERRUPTS, NULL);
	if (!ret)
		ret = admin_command(nvme, NVME_CREATE_SQ, 0, q->addr,
				    size_and_id,
				    NVME_QUEUE_CONTIGUOUS | (__u32)id << 16,
				    NULL);
	return ret;
}

static int wait_ready(const struct uio_nvme *nvme, __u32 ready)
{
	long deadline = uio_now_ms() + nvme->timeout_ms;
	int ret;

	while ((uio_read32(nvme->regs, NVME_CSTS) & NVME_CSTS_READY) != ready) {
		ret = still_alive(nvme, deadline);
		if (ret && (ready || ret != -EIO))
			return ret;
		uio_msleep(1);
	}
	return 0;
}

static int disable(const struct uio_nvme *nvme)
{
	uio_write32(nvme->regs, NVME_CC, 0);
	return wait_ready(nvme, 0);
}

static int enable(struct uio_nvme *nvme)
{
	__u32 entries = ADMIN_ENTRIES - 1;

	uio_write32(nvme->regs, NVME_AQA, entries << 16 | entries);
	write64(nvme->regs, NVME_ASQ, nvme->admin.addr);
	write64(nvme->regs, NVME_ACQ, queue_cq_addr(&nvme->admin));
	uio_write32(nvme->regs, NVME_CC, NVME_CC_ENABLE);
	return wait_ready(nvme, NVME_CSTS_READY);
}

static int map_registers(struct uio_nvme *nvme)
{
	struct uio_device *dev = &nvme->dev;
	int index = uio_pci_bar_map(dev, 0);
	void *regs;

	if (index < 0)
		return index;
	regs = uio_mmap(dev, index);
	if (regs == MAP_FAILED)
		return -errno;
	nvme->regs = regs;
	nvme->regs_size = dev->map[index].size;
	return 0;
}

static void release(struct uio_nvme *nvme)
{
	unsigned int i;

	for (i = 0; i < nvme->nr_queues; i++)
		queue_free(&nvme->queue[i]);
	nvme->nr_queues = 0;
	queue_free(&nvme->admin);
	if (nvme->regs)
		munmap(nvme->regs, nvme->regs_size);
	nvme->regs = NULL;
	uio_close(&nvme->dev);
}

/*
 * Take the controller over from whatever drives it now, and create I/O queues.
 * @entries is for each of them, at least 2; fewer if the controller has less.
 */
int uio_nvme_open(struct uio_nvme *nvme, const char *name,
		  unsigned int nr_queues, unsigned int entries)
{
	__u64 class, cap;
	char path[UIO_PATH_LEN + 16];
	__u32 granted;
	int ret;

	memset(nvme, 0, sizeof(*nvme));
	nvme->dev.fd = -1;
	if (nr_queues > UIO_NVME_MAX_QUEUES || entries < 2)
		return -EINVAL;

	ret = uio_bind(name, "uio_pci_generic");
	if (ret < 0)
		return ret;
	ret = uio_open(&nvme->dev, name);
	if (ret)
		return ret;

	snprintf(path, sizeof(path), "%s/class", nvme->dev.sysfs);
	ret = uio_read_u64(path, &class);
	if (!ret && class != NVME_CLASS)
		ret = -ENODEV;
	if (ret)
		goto err_release;
	ret = map_registers(nvme);
	if (ret)
		goto err_release;

	cap = uio_read32(nvme->regs, NVME_CAP);
	cap |= (__u64)uio_read32(nvme->regs, NVME_CAP_HIGH) << 32;
	nvme->stride = 4U << NVME_CAP_DSTRD(cap);
	nvme->timeout_ms = 500 * (NVME_CAP_TO(cap) + 1);
	nvme->max_entries = NVME_CAP_MQES(cap) + 1;
	ret = -EOPNOTSUPP;
	if (NVME_CAP_MPSMIN(cap))
		goto err_release;

	/* Whatever an earlier user has set up ends here, before any DMA. */
	ret = disable(nvme);
	if (ret)
		goto err_release;

	/*
	 * The controller takes addresses of 64 bits. The default mask of 32 is
	 * right too, but keeps scattered data from memory above.
	 */
	ret = uio_set_dma_mask_bits(nvme->dev.number, 64);
	if (ret && ret != -EBUSY && ret != -EIO)
		goto err_release;

	ret = queue_alloc(nvme, &nvme->admin, 0, ADMIN_ENTRIES);
	if (ret)
		goto err_release;
	ret = enable(nvme);
	if (ret)
		goto err_release;
	ret = identify(nvme);
	if (ret)
		goto err_disable;

	if (!nr_queues)
		return 0;
	if (entries > nvme->max_entries)
		entries = nvme->max_entries;
	ret = admin_command(nvme, NVME_SET_FEATURES, 0, 0, NVME_FEATURE_QUEUES,
			    (nr_queues - 1) << 16 | (nr_queues - 1), &granted);
	if (ret)
		goto err_disable;
	/* Both counts in the answer are one less, too. */
	if ((granted & 0xffff) + 1 < nr_queues || (granted >> 16) + 1 < nr_queues) {
		ret = -ENOSPC;
		goto err_disable;
	}
	while (nvme->nr_queues < nr_queues) {
		struct uio_nvme_queue *q = &nvme->queue[nvme->nr_queues];

		nvme->nr_queues++;
		ret = create_queue(nvme, q, nvme->nr_queues, entries);
		if (ret)
			goto err_disable;
	}
	return 0;

err_disable:
	disable(nvme);
err_release:
	release(nvme);
	return ret;
}

/* What is in flight is lost; what was written is on the disk. */
void uio_nvme_close(struct uio_nvme *nvme)
{
	long deadline = uio_now_ms() + nvme->timeout_ms;

	if (!nvme->regs)
		return;
	uio_write32(nvme->regs, NVME_CC, NVME_CC_ENABLE | NVME_CC_SHUTDOWN);
	while (NVME_CSTS_SHUTDOWN(uio_read32(nvme->regs, NVME_CSTS)) !=
	       NVME_SHUTDOWN_COMPLETE) {
		if (still_alive(nvme, deadline))
			break;
		uio_msleep(1);
	}
	disable(nvme);
	release(nvme);
}

/*
 * Make a buffer known to the controller. It may come from anywhere and be in
 * pieces, as long as these are whole pages. Its addresses stay as they are until
 * uio_nvme_unmap() or until the device is unbound.
 */
int uio_nvme_map(struct uio_nvme *nvme, struct uio_nvme_mem *mem, int dmabuf)
{
	off_t size = lseek(dmabuf, 0, SEEK_END);
	struct dma_buf_get_dma_addr get;
	__u64 offset = 0, end;
	int ret;

	if (size < 0)
		return -errno;
	if (!size || size % UIO_NVME_PAGE || size / UIO_NVME_PAGE > 0xffffffffU)
		return -EINVAL;
	mem->dmabuf = dmabuf;
	mem->nr_pages = size / UIO_NVME_PAGE;
	mem->page = calloc(mem->nr_pages, sizeof(*mem->page));
	if (!mem->page)
		return -ENOMEM;

	while (offset < (__u64)size) {
		ret = uio_dma_get(dmabuf, nvme->dev.fd, 0, offset, &get);
		if (ret)
			goto err_free_pages;
		ret = -EOPNOTSUPP;
		if ((get.dma_addr | get.len) % UIO_NVME_PAGE)
			goto err_put;
		for (end = offset + get.len; offset < end; offset += UIO_NVME_PAGE) {
			mem->page[offset / UIO_NVME_PAGE] = get.dma_addr;
			get.dma_addr += UIO_NVME_PAGE;
		}
	}
	return 0;

err_put:
	uio_dma_put(dmabuf, nvme->dev.fd);
err_free_pages:
	free(mem->page);
	mem->page = NULL;
	return ret;
}

/* No command that uses it may be in flight. */
void uio_nvme_unmap(struct uio_nvme *nvme, struct uio_nvme_mem *mem)
{
	if (!mem->page)
		return;
	uio_dma_put(mem->dmabuf, nvme->dev.fd);
	free(mem->page);
	mem->page = NULL;
}
