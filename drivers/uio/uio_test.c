// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices for tools/testing/selftests/uio
 *
 * uio_test_dma	does DMA, or rather has the CPU do it: it stores a byte over
 *		and over again to where a test says. Nobody but its driver's
 *		dma_stop() ends that: no bus, and not the driver's removal.
 *		It has a page of registers, which do nothing.
 *		Directory uio_test in debugfs controls it:
 *
 *		store		ADDRESS LENGTH BYTE PERIOD_MS: begin to store
 *		permitted	is DMA permitted? Nothing is stored if it is not
 *		stores		how often something was stored
 *		starts, stops	calls of dma_start() and dma_stop(), resets
 *		start_errno, stop_errno	that they fail with, 0 for none
 *		stop_ms		how long dma_stop() takes
 *		reset		1: all of this as at first
 *
 * uio_test_maps has memory regions of the types that no device memory is behind:
 *		LOGICAL, VIRTUAL, DMA_COHERENT. Each byte of page P of region R
 *		is 16 * R + P.
 *
 * uio_test_dmem, uio_test_dmem_none and uio_test_dmem_node are for
 *		uio_dmem_genirq: with dynamic regions, of which the last cannot
 *		be allocated; without platform data; with a device tree node
 *		instead.
 *
 * uio_test_reset and uio_test_plain are for uio_pdrv_genirq: the first has a
 *		reset line, which ends what uio_test_dma's engine does and lets
 *		it start again. The other one has none.
 */

#include <linux/array_size.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/device.h>
#include <linux/dma-direct.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/fwnode.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/jiffies.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/platform_data/uio_dmem_genirq.h>
#include <linux/platform_device.h>
#include <linux/property.h>
#include <linux/reset-controller.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uio_driver.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

/*
 * uio_test_dma
 */

/**
 * struct uio_test_engine - the DMA engine of the device, bound or not
 * @dev:	device
 * @info:	what the driver registers
 * @registers:	a page, while the driver is bound
 * @work:	the transfer
 * @addr:	bus address that it goes to
 * @len:	its length
 * @byte:	what is stored
 * @period:	time between two stores, in jiffies
 * @permitted:	the device may do DMA
 * @stores:	as all that follows, see above
 * @starts:	written by the UIO core's calls, which do not overlap
 * @stops:	likewise
 * @start_errno:	set by the test
 * @stop_errno:	likewise
 * @stop_ms:	likewise
 */
struct uio_test_engine {
	struct device *dev;
	struct uio_info info;
	void *registers;
	struct delayed_work work;
	u64 addr;
	size_t len;
	u8 byte;
	unsigned long period;
	bool permitted;
	u32 stores;
	u32 starts;
	u32 stops;
	u32 start_errno;
	u32 stop_errno;
	u32 stop_ms;
};

static struct dentry *uio_test_dir;

static void uio_test_store_bytes(struct uio_test_engine *engine)
{
	phys_addr_t phys = dma_to_phys(engine->dev, engine->addr);
	size_t n, left = engine->len;
	struct page *page;

	for (; left; left -= n, phys += n) {
		n = min_t(size_t, left, PAGE_SIZE - offset_in_page(phys));
		if (!pfn_valid(PHYS_PFN(phys)))
			return;
		page = pfn_to_page(PHYS_PFN(phys));
		if (PageReserved(page))
			return;
		memset_page(page, offset_in_page(phys), engine->byte, n);
	}
	engine->stores++;
}

static void uio_test_work(struct work_struct *work)
{
	struct uio_test_engine *engine =
		container_of(to_delayed_work(work), struct uio_test_engine, work);

	if (READ_ONCE(engine->permitted))
		uio_test_store_bytes(engine);
	schedule_delayed_work(&engine->work, engine->period);
}

static struct uio_test_engine uio_test_engine = {
	.work = __DELAYED_WORK_INITIALIZER(uio_test_engine.work, uio_test_work, 0),
};

static int uio_test_dma_start(struct uio_info *info)
{
	struct uio_test_engine *engine = info->priv;

	engine->starts++;
	if (engine->start_errno)
		return -(int)engine->start_errno;
	WRITE_ONCE(engine->permitted, true);
	return 0;
}

static int uio_test_stop(struct uio_test_engine *engine)
{
	engine->stops++;
	msleep(engine->stop_ms);
	if (engine->stop_errno)
		return -(int)engine->stop_errno;
	WRITE_ONCE(engine->permitted, false);
	cancel_delayed_work_sync(&engine->work);
	return 0;
}

static int uio_test_dma_stop(struct uio_info *info)
{
	return uio_test_stop(info->priv);
}

static int uio_test_dma_probe(struct platform_device *pdev)
{
	struct uio_test_engine *engine = &uio_test_engine;
	int ret;

	engine->registers = (void *)get_zeroed_page(GFP_KERNEL);
	if (!engine->registers)
		return -ENOMEM;

	engine->info = (struct uio_info) {
		.name = "uio_test_dma",
		.version = "1",
		.mem[0] = {
			.name = "registers",
			.memtype = UIO_MEM_IOVA,
			.addr = virt_to_phys(engine->registers),
			.size = PAGE_SIZE,
		},
		.priv = engine,
		.dma_device = &pdev->dev,
		.dma_start = uio_test_dma_start,
		.dma_stop = uio_test_dma_stop,
	};
	ret = uio_register_device(&pdev->dev, &engine->info);
	if (ret)
		free_page((unsigned long)engine->registers);
	return ret;
}

/* Does not end the transfer: that is what dma_stop() is for. */
static void uio_test_dma_remove(struct platform_device *pdev)
{
	uio_unregister_device(&uio_test_engine.info);
	free_page((unsigned long)uio_test_engine.registers);
}

static ssize_t uio_test_store_write(struct file *file, const char __user *ubuf,
				    size_t count, loff_t *ppos)
{
	struct uio_test_engine *engine = file->private_data;
	unsigned int byte, period;
	char buf[80] = "";
	ssize_t n;
	u64 addr;
	u32 len;

	n = simple_write_to_buffer(buf, sizeof(buf) - 1, ppos, ubuf, count);
	if (n < 0)
		return n;
	buf[n] = '\0';
	if (sscanf(buf, "%llx %u %x %u", &addr, &len, &byte, &period) != 4)
		return -EINVAL;

	cancel_delayed_work_sync(&engine->work);
	engine->addr = addr;
	engine->len = len;
	engine->byte = byte;
	engine->period = msecs_to_jiffies(period);
	schedule_delayed_work(&engine->work, engine->period);
	return count;
}

static const struct file_operations uio_test_store_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = uio_test_store_write,
};

static int uio_test_reset(void *data, u64 val)
{
	struct uio_test_engine *engine = data;

	if (val != 1)
		return -EINVAL;
	WRITE_ONCE(engine->permitted, false);
	cancel_delayed_work_sync(&engine->work);
	engine->stores = 0;
	engine->starts = 0;
	engine->stops = 0;
	engine->start_errno = 0;
	engine->stop_errno = 0;
	engine->stop_ms = 0;
	return 0;
}
DEFINE_SIMPLE_ATTRIBUTE(uio_test_reset_fops, NULL, uio_test_reset, "%llu\n");

static void uio_test_engine_init(struct uio_test_engine *engine)
{
	struct dentry *dir = debugfs_create_dir("uio_test", NULL);

	debugfs_create_file("store", 0200, dir, engine, &uio_test_store_fops);
	debugfs_create_bool("permitted", 0600, dir, &engine->permitted);
	debugfs_create_u32("stores", 0400, dir, &engine->stores);
	debugfs_create_u32("starts", 0400, dir, &engine->starts);
	debugfs_create_u32("stops", 0400, dir, &engine->stops);
	debugfs_create_u32("start_errno", 0600, dir, &engine->start_errno);
	debugfs_create_u32("stop_errno", 0600, dir, &engine->stop_errno);
	debugfs_create_u32("stop_ms", 0600, dir, &engine->stop_ms);
	debugfs_create_file("reset", 0200, dir, engine, &uio_test_reset_fops);
	uio_test_dir = dir;
}

/*
 * uio_test_maps
 */

#define UIO_TEST_MAP_PAGES	3
#define UIO_TEST_MAP_SIZE	(UIO_TEST_MAP_PAGES * PAGE_SIZE)

/* The order in which the regions of uio_test_maps stand. */
enum uio_test_map {
	UIO_TEST_LOGICAL,
	UIO_TEST_VIRTUAL,
	UIO_TEST_COHERENT,
};

static struct uio_info uio_test_maps_info;

static void uio_test_add_map(struct uio_info *info, enum uio_test_map index,
			     const char *name, int memtype, void *addr)
{
	unsigned int page;

	for (page = 0; page < UIO_TEST_MAP_PAGES; page++)
		memset(addr + page * PAGE_SIZE, 16 * index + page, PAGE_SIZE);

	info->mem[index].name = name;
	info->mem[index].memtype = memtype;
	info->mem[index].addr = (uintptr_t)addr;
	info->mem[index].size = UIO_TEST_MAP_SIZE;
}

static void *uio_test_map_addr(const struct uio_info *info,
			       enum uio_test_map index)
{
	return (void *)(uintptr_t)info->mem[index].addr;
}

static int uio_test_maps_probe(struct platform_device *pdev)
{
	struct uio_info *info = &uio_test_maps_info;
	void *logical, *virtual, *coherent;
	dma_addr_t dma_addr;
	int ret = -ENOMEM;

	logical = alloc_pages_exact(UIO_TEST_MAP_SIZE, GFP_KERNEL);
	if (!logical)
		return -ENOMEM;
	virtual = vmalloc_user(UIO_TEST_MAP_SIZE);
	if (!virtual)
		goto err_free_logical;
	coherent = dma_alloc_coherent(&pdev->dev, UIO_TEST_MAP_SIZE, &dma_addr,
				      GFP_KERNEL);
	if (!coherent)
		goto err_free_virtual;

	*info = (struct uio_info) { .name = "uio_test_maps", .version = "1" };
	uio_test_add_map(info, UIO_TEST_LOGICAL, "logical", UIO_MEM_LOGICAL,
			 logical);
	uio_test_add_map(info, UIO_TEST_VIRTUAL, "virtual", UIO_MEM_VIRTUAL,
			 virtual);
	uio_test_add_map(info, UIO_TEST_COHERENT, "coherent",
			 UIO_MEM_DMA_COHERENT, coherent);
	info->mem[UIO_TEST_COHERENT].dma_addr = dma_addr;
	info->mem[UIO_TEST_COHERENT].dma_device = &pdev->dev;

	ret = uio_register_device(&pdev->dev, info);
	if (ret)
		goto err_free_coherent;
	return 0;

err_free_coherent:
	dma_free_coherent(&pdev->dev, UIO_TEST_MAP_SIZE, coherent, dma_addr);
err_free_virtual:
	vfree(virtual);
err_free_logical:
	free_pages_exact(logical, UIO_TEST_MAP_SIZE);
	return ret;
}

static void uio_test_maps_remove(struct platform_device *pdev)
{
	struct uio_info *info = &uio_test_maps_info;

	uio_unregister_device(info);
	dma_free_coherent(&pdev->dev, UIO_TEST_MAP_SIZE,
			  uio_test_map_addr(info, UIO_TEST_COHERENT),
			  info->mem[UIO_TEST_COHERENT].dma_addr);
	vfree(uio_test_map_addr(info, UIO_TEST_VIRTUAL));
	free_pages_exact(uio_test_map_addr(info, UIO_TEST_LOGICAL),
			 UIO_TEST_MAP_SIZE);
}

/*
 * For uio_dmem_genirq
 */

/*
 * There are no more than three free blocks of 4 MiB below the 16 MiB that the
 * device is limited to, for memory starts with what firmware uses.
 */
#define UIO_TEST_DMEM_LIMIT	(SZ_16M - 1)

static unsigned int uio_test_dmem_sizes[] = {
	PAGE_SIZE, SZ_4M, SZ_4M, SZ_4M, SZ_4M,
};

static struct uio_dmem_genirq_pdata uio_test_dmem_data = {
	.uioinfo = {
		.name = "uio_test_dmem",
		.version = "1",
		.irq = UIO_IRQ_CUSTOM,
	},
	.dynamic_region_sizes = uio_test_dmem_sizes,
	.num_dynamic_regions = ARRAY_SIZE(uio_test_dmem_sizes),
};

static struct device_node uio_test_node = {
	.name = "uio_test",
	.full_name = "uio_test",
};

/*
 * For uio_pdrv_genirq
 */

static int uio_test_assert(struct reset_controller_dev *rcdev, unsigned long id)
{
	return uio_test_stop(&uio_test_engine);
}

static int uio_test_deassert(struct reset_controller_dev *rcdev,
			     unsigned long id)
{
	WRITE_ONCE(uio_test_engine.permitted, true);
	return 0;
}

static const struct reset_control_ops uio_test_reset_ops = {
	.assert = uio_test_assert,
	.deassert = uio_test_deassert,
};

/* Outlives those who use it, and does not hold its module. */
static struct reset_controller_dev uio_test_controller = {
	.ops = &uio_test_reset_ops,
	.nr_resets = 1,
};

static const struct property_entry uio_test_controller_properties[] = {
	PROPERTY_ENTRY_U32("#reset-cells", 1),
	{ }
};

static const struct software_node uio_test_controller_node = {
	.name = "uio_test_controller",
	.properties = uio_test_controller_properties,
};

static const struct property_entry uio_test_reset_properties[] = {
	PROPERTY_ENTRY_STRING("linux,uio-name", "uio_test_reset"),
	PROPERTY_ENTRY_REF("resets", &uio_test_controller_node, 0),
	{ }
};

static const struct software_node uio_test_reset_node = {
	.name = "uio_test_reset",
	.properties = uio_test_reset_properties,
};

static const struct uio_info uio_test_plain_info = {
	.name = "uio_test_plain",
	.version = "1",
};

static int uio_test_add_controller(void)
{
	struct fwnode_handle *fwnode;
	int ret;

	ret = software_node_register(&uio_test_controller_node);
	if (ret)
		return ret;
	fwnode = software_node_fwnode(&uio_test_controller_node);
	uio_test_controller.fwnode = fwnode;
	ret = reset_controller_register(&uio_test_controller);
	if (ret) {
		software_node_unregister(&uio_test_controller_node);
		return ret;
	}
	/* No device will come for the node, none is to be waited for. */
	fwnode_dev_initialized(fwnode, true);
	return 0;
}

static void uio_test_remove_controller(void)
{
	reset_controller_unregister(&uio_test_controller);
	software_node_unregister(&uio_test_controller_node);
}

/*
 * Devices and drivers
 */

enum uio_test_device {
	UIO_TEST_DMA,
	UIO_TEST_MAPS,
	UIO_TEST_DMEM,
	UIO_TEST_DMEM_NONE,
	UIO_TEST_DMEM_NODE,
	UIO_TEST_RESET,
	UIO_TEST_PLAIN,
	NR_UIO_TEST_DEVICES,
};

static const char * const uio_test_names[] = {
	[UIO_TEST_DMA] = "uio_test_dma",
	[UIO_TEST_MAPS] = "uio_test_maps",
	[UIO_TEST_DMEM] = "uio_test_dmem",
	[UIO_TEST_DMEM_NONE] = "uio_test_dmem_none",
	[UIO_TEST_DMEM_NODE] = "uio_test_dmem_node",
	[UIO_TEST_RESET] = "uio_test_reset",
	[UIO_TEST_PLAIN] = "uio_test_plain",
};

static struct platform_device *uio_test_devices[NR_UIO_TEST_DEVICES];

static struct platform_driver uio_test_dma_driver = {
	.probe = uio_test_dma_probe,
	.remove = uio_test_dma_remove,
	.driver = { .name = "uio_test_dma" },
};

static struct platform_driver uio_test_maps_driver = {
	.probe = uio_test_maps_probe,
	.remove = uio_test_maps_remove,
	.driver = { .name = "uio_test_maps" },
};

static struct platform_driver * const uio_test_drivers[] = {
	&uio_test_dma_driver,
	&uio_test_maps_driver,
};

static int uio_test_add_device(enum uio_test_device index)
{
	struct platform_device *pdev;
	int ret = 0;

	pdev = platform_device_alloc(uio_test_names[index], PLATFORM_DEVID_NONE);
	if (!pdev)
		return -ENOMEM;

	switch (index) {
	case UIO_TEST_DMA:
		uio_test_engine.dev = &pdev->dev;
		break;
	case UIO_TEST_DMEM:
		pdev->dev.bus_dma_limit = UIO_TEST_DMEM_LIMIT;
		ret = platform_device_add_data(pdev, &uio_test_dmem_data,
					       sizeof(uio_test_dmem_data));
		break;
	case UIO_TEST_DMEM_NODE:
		/* It is on no list and stays referenced. */
		if (IS_ENABLED(CONFIG_OF))
			of_node_init(&uio_test_node);
		pdev->dev.of_node = of_node_get(&uio_test_node);
		break;
	case UIO_TEST_RESET:
		ret = device_add_software_node(&pdev->dev, &uio_test_reset_node);
		break;
	case UIO_TEST_PLAIN:
		ret = platform_device_add_data(pdev, &uio_test_plain_info,
					       sizeof(uio_test_plain_info));
		break;
	default:
		break;
	}
	if (!ret)
		ret = platform_device_add(pdev);
	if (ret) {
		device_remove_software_node(&pdev->dev);
		platform_device_put(pdev);
		return ret;
	}
	uio_test_devices[index] = pdev;
	return 0;
}

static void uio_test_remove_devices(void)
{
	unsigned int i;

	for (i = 0; i < NR_UIO_TEST_DEVICES; i++) {
		if (!uio_test_devices[i])
			continue;
		device_remove_software_node(&uio_test_devices[i]->dev);
		platform_device_unregister(uio_test_devices[i]);
	}
	uio_test_remove_controller();
}

static int __init uio_test_init(void)
{
	unsigned int i;
	int ret;

	ret = uio_test_add_controller();
	if (ret)
		return ret;
	for (i = 0; i < NR_UIO_TEST_DEVICES; i++) {
		ret = uio_test_add_device(i);
		if (ret)
			goto err_remove;
	}
	ret = platform_register_drivers(uio_test_drivers,
					ARRAY_SIZE(uio_test_drivers));
	if (ret)
		goto err_remove;
	uio_test_engine_init(&uio_test_engine);
	return 0;

err_remove:
	uio_test_remove_devices();
	return ret;
}

static void __exit uio_test_exit(void)
{
	debugfs_remove(uio_test_dir);
	platform_unregister_drivers(uio_test_drivers,
				    ARRAY_SIZE(uio_test_drivers));
	/* Whatever the UIO core has left: here it ends. */
	cancel_delayed_work_sync(&uio_test_engine.work);
	uio_test_remove_devices();
}

module_init(uio_test_init);
module_exit(uio_test_exit);
MODULE_DESCRIPTION("Devices for the selftests of userspace I/O");
MODULE_LICENSE("GPL");
MODULE_INFO(test, "Y");
