// SPDX-License-Identifier: GPL-2.0
/*
 * Buffers of other exporters than the heaps: a GPU's and a camera's, as far as
 * a virtual machine has them, and huge pages.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <drm/drm.h>
#include <linux/udmabuf.h>
#include <linux/videodev2.h>

#include "kselftest.h"
#include "uio_lib.h"

#define MAX_NODES	16

/* A line of a picture in V4L2_PIX_FMT_RGB565X */
#define LINE_PIXELS	640
#define LINE_BYTES	(2 * LINE_PIXELS)
#define MIN_LINES	32
#define MAX_LINES	480

static bool is_vgem(int fd)
{
	char name[5] = "";
	struct drm_version version = { .name_len = 4, .name = name };

	return !ioctl(fd, DRM_IOCTL_VERSION, &version) && !strcmp(name, "vgem");
}

static int open_vgem(void)
{
	char path[UIO_NAME_LEN];
	int i, fd;

	for (i = 0; i < MAX_NODES; i++) {
		snprintf(path, sizeof(path), "/dev/dri/card%d", i);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (is_vgem(fd))
			return fd;
		close(fd);
	}
	return -ENOENT;
}

/* A GEM object of the vgem driver, which keeps it in shared memory. */
int uio_export_drm(__u64 size)
{
	struct drm_mode_create_dumb create = {
		.width = size,
		.height = 1,
		.bpp = 8,
	};
	struct drm_prime_handle prime = { .flags = DRM_CLOEXEC | DRM_RDWR };
	int drm, ret;

	drm = open_vgem();
	if (drm < 0)
		return drm;
	if (ioctl(drm, DRM_IOCTL_MODE_CREATE_DUMB, &create)) {
		ret = -errno;
		goto out_close;
	}
	prime.handle = create.handle;
	ret = ioctl(drm, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime) ? -errno : prime.fd;

out_close:
	close(drm);
	return ret;
}

static int open_vim2m(struct v4l2_capability *cap)
{
	char path[UIO_NAME_LEN];
	int i, fd;

	for (i = 0; i < MAX_NODES; i++) {
		snprintf(path, sizeof(path), "/dev/video%d", i);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (!ioctl(fd, VIDIOC_QUERYCAP, cap) &&
		    !strcmp((char *)cap->driver, "vim2m"))
			return fd;
		close(fd);
	}
	return -ENOENT;
}

static int set_format(int video, enum v4l2_buf_type type, unsigned int lines)
{
	struct v4l2_format format = { .type = type };

	if (V4L2_TYPE_IS_MULTIPLANAR(type)) {
		format.fmt.pix_mp.width = LINE_PIXELS;
		format.fmt.pix_mp.height = lines;
		format.fmt.pix_mp.pixelformat = V4L2_PIX_FMT_RGB565X;
		format.fmt.pix_mp.num_planes = 1;
	} else {
		format.fmt.pix.width = LINE_PIXELS;
		format.fmt.pix.height = lines;
		format.fmt.pix.pixelformat = V4L2_PIX_FMT_RGB565X;
	}
	return ioctl(video, VIDIOC_S_FMT, &format) ? -errno : 0;
}

/* A video buffer of the vim2m driver, which takes it from vmalloc(). */
int uio_export_v4l2(__u64 size)
{
	struct v4l2_requestbuffers request = {
		.count = 1,
		.memory = V4L2_MEMORY_MMAP,
	};
	struct v4l2_exportbuffer export = { .flags = O_RDWR | O_CLOEXEC };
	unsigned int lines = (size + LINE_BYTES - 1) / LINE_BYTES;
	struct v4l2_capability cap;
	int video, ret;

	if (lines > MAX_LINES)
		return -EINVAL;
	if (lines < MIN_LINES)
		lines = MIN_LINES;

	video = open_vim2m(&cap);
	if (video < 0)
		return video;
	request.type = cap.device_caps & V4L2_CAP_VIDEO_M2M_MPLANE ?
		       V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE :
		       V4L2_BUF_TYPE_VIDEO_OUTPUT;
	ret = set_format(video, request.type, lines);
	if (ret)
		goto out_close;
	if (ioctl(video, VIDIOC_REQBUFS, &request)) {
		ret = -errno;
		goto out_close;
	}
	export.type = request.type;
	ret = ioctl(video, VIDIOC_EXPBUF, &export) ? -errno : export.fd;

out_close:
	close(video);
	return ret;
}

/*
 * Huge pages. -ENOENT if there are none: they come from the pool, or the
 * administrator permits more (vm.nr_overcommit_hugepages).
 */
int uio_export_huge(__u64 size)
{
	struct udmabuf_create create = {
		.flags = UDMABUF_FLAGS_CLOEXEC,
		.size = size,
	};
	int mem, dev, ret;
	struct stat st;
	__u64 whole;

	dev = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	if (dev < 0)
		return -errno;
	mem = memfd_create("uio-selftest", MFD_ALLOW_SEALING | MFD_CLOEXEC |
			   MFD_HUGETLB);
	if (mem < 0) {
		ret = -ENOENT;
		goto out_close_dev;
	}
	if (fstat(mem, &st)) {
		ret = -errno;
		goto out_close_mem;
	}

	/* The block size is that of a huge page. */
	whole = (size + st.st_blksize - 1) / st.st_blksize * st.st_blksize;
	if (ftruncate(mem, whole) || fallocate(mem, 0, 0, whole)) {
		ret = -ENOENT;
		goto out_close_mem;
	}
	if (fcntl(mem, F_ADD_SEALS, F_SEAL_SHRINK)) {
		ret = -errno;
		goto out_close_mem;
	}
	create.memfd = mem;
	ret = ioctl(dev, UDMABUF_CREATE, &create);
	if (ret < 0)
		ret = -errno;

out_close_mem:
	close(mem);
out_close_dev:
	close(dev);
	return ret;
}
