/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An NVMe driver in user space, on UIO.
 *
 * It drives a PCIe controller with one namespace, as the NVM Express Base
 * Specification 1.4 describes it: as many I/O queues as are asked for, polled or
 * by interrupt, and data in dma-bufs of any exporter. Each queue must be used by
 * one thread at a time, the admin queue included.
 *
 * Functions that return int return a negative errno on failure. A command that
 * the controller has refused gives uio_nvme_errno() of its status, which stays
 * readable in the queue.
 */
#ifndef SELFTESTS_UIO_NVME_H
#define SELFTESTS_UIO_NVME_H

#include <stdbool.h>

#include <linux/types.h>

#include "uio_lib.h"

#define UIO_NVME_MAX_QUEUES	16

/* What a page is for the controller, see uio_nvme_open(). */
#define UIO_NVME_PAGE		4096U

struct uio_nvme_command;
struct uio_nvme_completion;
struct uio_nvme;

/**
 * struct uio_nvme_queue - a submission queue and its completion queue
 * @nvme: whose queue it is
 * @id: 0 for the admin queue
 * @entries: of each of the two; one less commands can be in flight
 * @mem: holds both, and a page for the PRP list of each command
 * @addr: its bus address
 * @sq: where commands are written
 * @cq: where the controller writes completions
 * @prp: PRP list of command 0, those of the others follow
 * @prp_addr: its bus address
 * @tail: next entry of @sq to be written
 * @head: next entry of @cq to be read
 * @phase: the phase bit that makes it a new one
 * @rung_tail: the @tail that the controller has been told
 * @rung_head: the @head that it has been told
 * @free: identifiers of commands that are not in flight
 * @nr_free: how many there are
 * @status: of the last command that has failed, as in the specification
 */
struct uio_nvme_queue {
	struct uio_nvme *nvme;
	__u16 id;
	__u16 entries;
	struct uio_buffer mem;
	__u64 addr;
	struct uio_nvme_command *sq;
	struct uio_nvme_completion *cq;
	__u64 *prp;
	__u64 prp_addr;
	__u16 tail;
	__u16 head;
	__u16 phase;
	__u16 rung_tail;
	__u16 rung_head;
	__u16 *free;
	__u16 nr_free;
	__u16 status;
};

/**
 * struct uio_nvme - a controller
 * @dev: the UIO device; not open through a struct uio_dma_driver
 * @regs: its registers
 * @regs_size: their size in bytes
 * @stride: distance of two doorbells in bytes
 * @timeout_ms: how long the controller may take to become ready
 * @max_entries: the longest queue that it can do
 * @max_transfer: the most bytes that one command may move
 * @block_size: of the namespace, in bytes
 * @nr_blocks: of the namespace
 * @model: name of the controller
 * @serial: its serial number
 * @admin: the admin queue
 * @queue: the I/O queues
 * @nr_queues: how many there are
 */
struct uio_nvme {
	struct uio_device dev;
	void *regs;
	__u64 regs_size;
	unsigned int stride;
	unsigned int timeout_ms;
	unsigned int max_entries;
	__u32 max_transfer;
	__u32 block_size;
	__u64 nr_blocks;
	char model[41];
	char serial[21];
	struct uio_nvme_queue admin;
	struct uio_nvme_queue queue[UIO_NVME_MAX_QUEUES];
	unsigned int nr_queues;
};

/**
 * struct uio_nvme_mem - a dma-buf that the controller can reach
 * @dmabuf: the buffer; the caller's
 * @page: bus address of each UIO_NVME_PAGE of it
 * @nr_pages: how many there are
 */
struct uio_nvme_mem {
	int dmabuf;
	__u64 *page;
	__u32 nr_pages;
};

/**
 * struct uio_nvme_result - a completed command
 * @id: what uio_nvme_submit() has returned
 * @status: 0 or why it has failed, as in the specification: bits 7:0 the code,
 *	bits 10:8 its type, bit 14 "do not retry"
 * @value: the command's result
 */
struct uio_nvme_result {
	__u16 id;
	__u16 status;
	__u32 value;
};

/* What uio_nvme_submit() and uio_nvme_io() do. */
enum uio_nvme_opcode {
	UIO_NVME_FLUSH = 0x00,
	UIO_NVME_WRITE = 0x01,
	UIO_NVME_READ = 0x02,
};

int uio_nvme_open(struct uio_nvme *nvme, const char *name,
		  unsigned int nr_queues, unsigned int entries);
void uio_nvme_close(struct uio_nvme *nvme);

int uio_nvme_map(struct uio_nvme *nvme, struct uio_nvme_mem *mem, int dmabuf);
void uio_nvme_unmap(struct uio_nvme *nvme, struct uio_nvme_mem *mem);

int uio_nvme_submit(struct uio_nvme_queue *q, enum uio_nvme_opcode op,
		    __u64 lba, __u32 nr_blocks,
		    const struct uio_nvme_mem *mem, __u64 offset);
int uio_nvme_submit_raw(struct uio_nvme_queue *q, __u8 opcode, __u32 nsid,
			__u64 prp1, const __u32 cdw10[6]);
void uio_nvme_ring(struct uio_nvme_queue *q);
bool uio_nvme_poll(struct uio_nvme_queue *q, struct uio_nvme_result *result);
int uio_nvme_wait(struct uio_nvme_queue *q, struct uio_nvme_result *result);
int uio_nvme_wait_irq(struct uio_nvme_queue *q, struct uio_nvme_result *result);
int uio_nvme_io(struct uio_nvme_queue *q, enum uio_nvme_opcode op, __u64 lba,
		__u32 nr_blocks, const struct uio_nvme_mem *mem, __u64 offset);

int uio_nvme_errno(__u16 status);
const char *uio_nvme_status_text(__u16 status);

#endif /* SELFTESTS_UIO_NVME_H */
