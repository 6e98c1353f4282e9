/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of uio_bench share.
 */
#ifndef SELFTESTS_UIO_BENCH_H
#define SELFTESTS_UIO_BENCH_H

#include "kselftest.h"
#include "uio_lib.h"

/**
 * struct bench - what is measured now
 * @dev: the device that memory is mapped for
 * @engine: the device that works
 * @heap: the heap of @dev
 * @system: the system heap
 * @cma: the CMA heap, negative if there is none
 * @buf: the buffer that is asked about
 * @size: its bytes, which the row shows
 * @offset: where in it
 * @stride: how far it is to the next question; 0: to the next piece
 * @addr: a bus address
 * @max_size: the largest buffer
 * @runs: runs of each way
 */
struct bench {
	struct uio_device dev;
	struct uio_device engine;
	int heap;
	int system;
	int cma;
	struct uio_buffer buf;
	__u64 size;
	__u64 offset;
	__u64 stride;
	__u64 addr;
	__u64 max_size;
	unsigned int runs;
};

/* One run of what is measured; returns how long it took. */
typedef __u64 (*way_t)(struct bench *b);

/* uio_bench.c */
void check(long ret, const char *what);
__u64 now_ns(void);
void measure(struct bench *b, const char *name, way_t ours, way_t theirs);
void alloc(struct bench *b, struct uio_buffer *buf, int heap);
__u64 walk_all(struct bench *b);
__u64 map_cold(struct bench *b);

/* uio_bench_peers.c */
void bench_peers(struct bench *b, const char *name);

#endif /* SELFTESTS_UIO_BENCH_H */
