/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Access to device registers from user space: one access of the given width
 * for each call, in program order with each other and with the buffers. Registers
 * are little-endian, whatever the machine is.
 */
#ifndef SELFTESTS_UIO_IO_H
#define SELFTESTS_UIO_IO_H

#include <endian.h>

#include <linux/types.h>

/* Orders accesses to memory and to registers, as the device sees them. */
static inline void uio_mb(void)
{
#if defined(__aarch64__) || defined(__arm__)
	asm volatile("dsb sy" : : : "memory");
#elif defined(__riscv)
	asm volatile("fence iorw, iorw" : : : "memory");
#elif defined(__x86_64__) || defined(__i386__)
	/* Accesses to uncached memory stay where they are. */
	asm volatile("" : : : "memory");
#else
	__sync_synchronize();
#endif
}

static inline __u8 uio_read8(void *regs, unsigned long offset)
{
	__u8 *reg = regs + offset;
	__u8 val = __atomic_load_n(reg, __ATOMIC_RELAXED);

	uio_mb();
	return val;
}

static inline void uio_write8(void *regs, unsigned long offset, __u8 val)
{
	__u8 *reg = regs + offset;

	uio_mb();
	__atomic_store_n(reg, val, __ATOMIC_RELAXED);
}

static inline __u32 uio_read32(void *regs, unsigned long offset)
{
	__u32 *reg = regs + offset;
	__u32 val = __atomic_load_n(reg, __ATOMIC_RELAXED);

	uio_mb();
	return le32toh(val);
}

static inline void uio_write32(void *regs, unsigned long offset, __u32 val)
{
	__u32 *reg = regs + offset;

	uio_mb();
	__atomic_store_n(reg, htole32(val), __ATOMIC_RELAXED);
}

/* 64-bit registers take what the machine can write in one access. */
static inline void uio_write_long(void *regs, unsigned long offset, __u64 val)
{
	unsigned long *reg = regs + offset;
	unsigned long le = sizeof(le) == 8 ? htole64(val) : htole32(val);

	uio_mb();
	__atomic_store_n(reg, le, __ATOMIC_RELAXED);
}

#endif /* SELFTESTS_UIO_IO_H */
