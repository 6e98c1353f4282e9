// SPDX-License-Identifier: GPL-2.0-only
/*
 * LSI 53C895A that copies memory, driven in the kernel
 *
 * What tools/testing/selftests/uio drives from user space (see
 * lib/drivers/lsi53c895a.c there) with the same accesses to its registers, for
 * uio_bench to compare with. A device is bound by its driver_override only. It has
 * these attributes:
 *
 * copy_bytes		how much to copy at a time, up to 1 MiB
 * copy_ns		reading it copies, and waits by reading the status
 *			register; time of one copy
 * interrupt_ns		reading it has the device raise an interrupt, and sleeps
 *			until that was handled; time from the one to the other
 */

#include <linux/completion.h>
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/jiffies.h>
#include <linux/kstrtox.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/pci.h>
#include <linux/processor.h>
#include <linux/sizes.h>
#include <linux/sysfs.h>

#define LSI_BAR			1

#define LSI_DSTAT		0x0c
#define LSI_ISTAT0		0x14
#define LSI_DSP			0x2c
#define LSI_DSPS		0x30
#define LSI_DIEN		0x39

/* DSTAT, and DIEN: the program has come to an INT instruction. */
#define LSI_SIR			0x04

/* The first is read: DSTAT has something to say. The second resets. */
#define LSI_ISTAT0_DIP		0x01
#define LSI_ISTAT0_SRST		0x40

/* MOVE MEMORY length, source, destination; INT value */
#define LSI_MOVE_MEMORY		0xc0000000
#define LSI_INT			0x98080000
#define LSI_COOKIE		0x00d0e000

#define LSI_MAX_COPY		SZ_1M
#define LSI_TIMEOUT		(10 * HZ)

/* Copies of which the average is taken. */
#define LSI_REPEAT		64

/**
 * struct uio_test_lsi - one device
 * @regs:	registers
 * @program:	what it runs
 * @program_addr:	bus address of @program
 * @data_addr:	bus address of source and destination, one after the other
 * @lock:	held while the device is at work and @copy_bytes changes
 * @copy_bytes:	see above
 * @done:	completed by the interrupt
 */
struct uio_test_lsi {
	void __iomem *regs;
	__le32 *program;
	dma_addr_t program_addr;
	dma_addr_t data_addr;
	struct mutex lock; /* see above */
	u32 copy_bytes;
	struct completion done;
};

static bool uio_test_lsi_ack(struct uio_test_lsi *lsi)
{
	if (!(readb(lsi->regs + LSI_ISTAT0) & LSI_ISTAT0_DIP))
		return false;
	readb(lsi->regs + LSI_DSTAT);
	return true;
}

static void uio_test_lsi_reset(struct uio_test_lsi *lsi)
{
	writeb(LSI_ISTAT0_SRST, lsi->regs + LSI_ISTAT0);
	writeb(0, lsi->regs + LSI_ISTAT0);
	uio_test_lsi_ack(lsi);
}

/* Finish the program with an INT instruction at @insn, and run it. */
static void uio_test_lsi_run(struct uio_test_lsi *lsi, __le32 *insn, bool irq)
{
	insn[0] = cpu_to_le32(LSI_INT);
	insn[1] = cpu_to_le32(LSI_COOKIE);

	uio_test_lsi_ack(lsi);
	writeb(irq ? LSI_SIR : 0, lsi->regs + LSI_DIEN);
	writel(0, lsi->regs + LSI_DSPS);
	writel(lsi->program_addr, lsi->regs + LSI_DSP);
}

static int uio_test_lsi_copy(struct uio_test_lsi *lsi)
{
	unsigned long timeout = jiffies + LSI_TIMEOUT;
	__le32 *insn = lsi->program;

	*insn++ = cpu_to_le32(LSI_MOVE_MEMORY | lsi->copy_bytes);
	*insn++ = cpu_to_le32(lsi->data_addr);
	*insn++ = cpu_to_le32(lsi->data_addr + LSI_MAX_COPY);
	uio_test_lsi_run(lsi, insn, false);

	while (!(readb(lsi->regs + LSI_ISTAT0) & LSI_ISTAT0_DIP)) {
		if (time_after(jiffies, timeout))
			return -ETIMEDOUT;
		cpu_relax();
	}
	if (readl(lsi->regs + LSI_DSPS) != LSI_COOKIE)
		return -EIO;
	uio_test_lsi_ack(lsi);
	return 0;
}

static irqreturn_t uio_test_lsi_handler(int irq, void *data)
{
	struct uio_test_lsi *lsi = data;

	/* A copy's end is for whoever waits for it, and the line is shared. */
	if (!(readb(lsi->regs + LSI_DIEN) & LSI_SIR) || !uio_test_lsi_ack(lsi))
		return IRQ_NONE;
	complete(&lsi->done);
	return IRQ_HANDLED;
}

static ssize_t copy_bytes_show(struct device *dev, struct device_attribute *attr,
			       char *buf)
{
	struct uio_test_lsi *lsi = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%u\n", READ_ONCE(lsi->copy_bytes));
}

static ssize_t copy_bytes_store(struct device *dev, struct device_attribute *attr,
				const char *buf, size_t count)
{
	struct uio_test_lsi *lsi = dev_get_drvdata(dev);
	u32 bytes;
	int ret;

	ret = kstrtou32(buf, 0, &bytes);
	if (ret)
		return ret;
	if (!bytes || bytes > LSI_MAX_COPY)
		return -EINVAL;

	guard(mutex)(&lsi->lock);
	WRITE_ONCE(lsi->copy_bytes, bytes);
	return count;
}
static DEVICE_ATTR_RW(copy_bytes);

static ssize_t copy_ns_show(struct device *dev, struct device_attribute *attr,
			    char *buf)
{
	struct uio_test_lsi *lsi = dev_get_drvdata(dev);
	int i, ret;
	u64 start;

	guard(mutex)(&lsi->lock);
	start = ktime_get_ns();
	for (i = 0; i < LSI_REPEAT; i++) {
		ret = uio_test_lsi_copy(lsi);
		if (ret)
			return ret;
	}
	return sysfs_emit(buf, "%llu\n",
			  div_u64(ktime_get_ns() - start, LSI_REPEAT));
}
static DEVICE_ATTR_ADMIN_RO(copy_ns);

static ssize_t interrupt_ns_show(struct device *dev,
				 struct device_attribute *attr, char *buf)
{
	struct uio_test_lsi *lsi = dev_get_drvdata(dev);
	u64 start;

	guard(mutex)(&lsi->lock);
	reinit_completion(&lsi->done);
	start = ktime_get_ns();
	uio_test_lsi_run(lsi, lsi->program, true);
	if (!wait_for_completion_timeout(&lsi->done, LSI_TIMEOUT))
		return -ETIMEDOUT;
	return sysfs_emit(buf, "%llu\n", ktime_get_ns() - start);
}
static DEVICE_ATTR_ADMIN_RO(interrupt_ns);

static struct attribute *uio_test_lsi_attrs[] = {
	&dev_attr_copy_bytes.attr,
	&dev_attr_copy_ns.attr,
	&dev_attr_interrupt_ns.attr,
	NULL,
};
ATTRIBUTE_GROUPS(uio_test_lsi);

static int uio_test_lsi_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
	struct uio_test_lsi *lsi;
	int ret;

	lsi = devm_kzalloc(&pdev->dev, sizeof(*lsi), GFP_KERNEL);
	if (!lsi)
		return -ENOMEM;
	ret = devm_mutex_init(&pdev->dev, &lsi->lock);
	if (ret)
		return ret;
	init_completion(&lsi->done);
	lsi->copy_bytes = SZ_4K;

	ret = pcim_enable_device(pdev);
	if (ret)
		return ret;
	lsi->regs = pcim_iomap_region(pdev, LSI_BAR, KBUILD_MODNAME);
	if (IS_ERR(lsi->regs))
		return PTR_ERR(lsi->regs);
	ret = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(32));
	if (ret)
		return ret;
	lsi->program = dmam_alloc_coherent(&pdev->dev, PAGE_SIZE,
					   &lsi->program_addr, GFP_KERNEL);
	if (!lsi->program)
		return -ENOMEM;
	if (!dmam_alloc_coherent(&pdev->dev, 2 * LSI_MAX_COPY, &lsi->data_addr,
				 GFP_KERNEL))
		return -ENOMEM;

	uio_test_lsi_reset(lsi);
	ret = devm_request_irq(&pdev->dev, pdev->irq, uio_test_lsi_handler,
			       IRQF_SHARED, KBUILD_MODNAME, lsi);
	if (ret)
		return ret;
	pci_set_drvdata(pdev, lsi);
	pci_set_master(pdev);
	return 0;
}

/* Nothing is at work: the attributes are gone, and each waits for its end. */
static void uio_test_lsi_remove(struct pci_dev *pdev)
{
	struct uio_test_lsi *lsi = pci_get_drvdata(pdev);

	uio_test_lsi_reset(lsi);
	pci_clear_master(pdev);
}

static struct pci_driver uio_test_lsi_driver = {
	.name = KBUILD_MODNAME,
	.probe = uio_test_lsi_probe,
	.remove = uio_test_lsi_remove,
	.dev_groups = uio_test_lsi_groups,
};
module_pci_driver(uio_test_lsi_driver);

MODULE_DESCRIPTION("Kernel driver of a device that tools/testing/selftests/uio drives");
MODULE_LICENSE("GPL");
