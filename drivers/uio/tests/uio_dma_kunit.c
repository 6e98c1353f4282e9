// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests for drivers that register UIO devices with DMA
 *
 * What becomes of drivers that do it wrong, and of devices that cannot have it.
 */

#include <kunit/device.h>
#include <kunit/test.h>
#include <linux/device.h>
#include <linux/dma-mapping.h>
#include <linux/errno.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/sprintf.h>
#include <linux/uio_driver.h>

#define NAME_SIZE	32

struct uio_dma_test {
	struct device *dev;
	struct device_dma_parameters params;
	u64 mask;
	struct uio_info info[2];
};

static int fake_stop(struct uio_info *info)
{
	return 0;
}

static int uio_dma_test_init(struct kunit *test)
{
	static unsigned int nr;
	struct uio_dma_test *t;
	char *name;
	int i;

	t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t);
	name = kunit_kzalloc(test, NAME_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, name);

	/* A name that is free even where kobjects are released late. */
	snprintf(name, NAME_SIZE, "uio-kunit-%u", nr++);
	t->dev = kunit_device_register(test, name);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, t->dev);
	t->dev->dma_parms = &t->params;
	KUNIT_ASSERT_EQ(test, 0,
			dma_coerce_mask_and_coherent(t->dev, DMA_BIT_MASK(40)));
	/* not all of it where bus addresses have 32 bits */
	t->mask = dma_get_mask(t->dev);

	for (i = 0; i < ARRAY_SIZE(t->info); i++) {
		t->info[i].name = "uio_dma_kunit";
		t->info[i].version = "1";
		t->info[i].irq = UIO_IRQ_NONE;
		t->info[i].dma_device = t->dev;
		t->info[i].dma_stop = fake_stop;
	}
	test->priv = t;
	return 0;
}

/* The device is as if nobody had registered anything. */
static void expect_untouched(struct kunit *test)
{
	struct uio_dma_test *t = test->priv;

	KUNIT_EXPECT_EQ(test, dma_get_mask(t->dev), t->mask);
	KUNIT_EXPECT_EQ(test, t->dev->coherent_dma_mask, t->mask);
	KUNIT_EXPECT_EQ(test, dma_get_max_seg_size(t->dev), SZ_64K);
}

static void uio_dma_is_given_back(struct kunit *test)
{
	struct uio_dma_test *t = test->priv;
	struct uio_info *info = &t->info[0];
	int i;

	/* the heap's name is free again, too */
	for (i = 0; i < 2; i++) {
		KUNIT_ASSERT_EQ(test, 0, uio_register_device(t->dev, info));
		KUNIT_EXPECT_PTR_EQ(test, info->dma_device, t->dev);
		KUNIT_EXPECT_NOT_NULL(test, info->uio_dev->dma);
		KUNIT_EXPECT_EQ(test, dma_get_mask(t->dev), DMA_BIT_MASK(32));
		KUNIT_EXPECT_EQ(test, t->dev->coherent_dma_mask,
				DMA_BIT_MASK(32));
		KUNIT_EXPECT_EQ(test, dma_get_max_seg_size(t->dev), UINT_MAX);
		uio_unregister_device(info);
		expect_untouched(test);
	}
}

static void uio_dma_wrong_without_stop(struct kunit *test)
{
	struct uio_dma_test *t = test->priv;
	struct uio_info *info = &t->info[0];

	info->dma_stop = NULL;
	KUNIT_EXPECT_EQ(test, -EINVAL, uio_register_device(t->dev, info));
	KUNIT_EXPECT_NULL(test, info->uio_dev);
	expect_untouched(test);
}

/* Devres are released when the DMA API may not be used any more. */
static void uio_dma_wrong_with_devres(struct kunit *test)
{
	struct uio_dma_test *t = test->priv;
	struct uio_info *info = &t->info[0];

	KUNIT_EXPECT_EQ(test, -EINVAL, devm_uio_register_device(t->dev, info));
	KUNIT_EXPECT_EQ(test, -EINVAL, devm_uio_register_device(t->dev, NULL));
	KUNIT_EXPECT_NULL(test, info->uio_dev);
	expect_untouched(test);
}

/* Such a device is still a good UIO device. */
static void uio_dma_cannot_be_had(struct kunit *test)
{
	struct uio_dma_test *t = test->priv;
	struct uio_info *info = &t->info[0];
	u64 *mask = t->dev->dma_mask;

	t->dev->dma_mask = NULL;
	KUNIT_ASSERT_EQ(test, 0, uio_register_device(t->dev, info));
	KUNIT_EXPECT_NULL(test, info->dma_device);
	KUNIT_EXPECT_NULL(test, info->uio_dev->dma);
	uio_unregister_device(info);

	t->dev->dma_mask = mask;
	expect_untouched(test);
}

/* The heap is called after the device, so that only the first has one. */
static void uio_dma_cannot_be_shared(struct kunit *test)
{
	struct uio_dma_test *t = test->priv;
	u64 mask;

	KUNIT_ASSERT_EQ(test, 0, uio_register_device(t->dev, &t->info[0]));
	KUNIT_EXPECT_EQ(test, 0,
			dma_set_mask_and_coherent(t->dev, DMA_BIT_MASK(36)));
	mask = dma_get_mask(t->dev);

	KUNIT_EXPECT_EQ(test, 0, uio_register_device(t->dev, &t->info[1]));
	KUNIT_EXPECT_NULL(test, t->info[1].dma_device);
	uio_unregister_device(&t->info[1]);

	KUNIT_EXPECT_PTR_EQ(test, t->info[0].dma_device, t->dev);
	KUNIT_EXPECT_EQ(test, dma_get_mask(t->dev), mask);
	KUNIT_EXPECT_EQ(test, dma_get_max_seg_size(t->dev), UINT_MAX);
	uio_unregister_device(&t->info[0]);
	expect_untouched(test);
}

static struct kunit_case uio_dma_test_cases[] = {
	KUNIT_CASE(uio_dma_is_given_back),
	KUNIT_CASE(uio_dma_wrong_without_stop),
	KUNIT_CASE(uio_dma_wrong_with_devres),
	KUNIT_CASE(uio_dma_cannot_be_had),
	KUNIT_CASE(uio_dma_cannot_be_shared),
	{ }
};

static struct kunit_suite uio_dma_test_suite = {
	.name = "uio_dma",
	.init = uio_dma_test_init,
	.test_cases = uio_dma_test_cases,
};

kunit_test_suite(uio_dma_test_suite);

MODULE_DESCRIPTION("KUnit tests for UIO devices with DMA");
MODULE_LICENSE("GPL");
