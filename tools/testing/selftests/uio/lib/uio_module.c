// SPDX-License-Identifier: GPL-2.0
/*
 * UIO as modules, where it is: the core and what depends on it. They are loaded
 * from /modules, in the order of the list there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest.h"
#include "uio_lib.h"

#define MODULE_LIST	"/modules/order"
#define MAX_MODULES	64
#define NAME_TIMEOUT_MS	20000

struct module {
	char name[UIO_NAME_LEN];
	char path[UIO_PATH_LEN];
};

/* Only what was loaded as a module counts its users. */
static bool is_loaded(const char *name)
{
	char path[UIO_PATH_LEN];

	snprintf(path, sizeof(path), "/sys/module/%.63s/refcnt", name);
	return !access(path, F_OK);
}

/*
 * With CONFIG_DEBUG_KOBJECT_RELEASE the driver core looks at a class seconds
 * after it was unregistered, although its module may be gone by then. There
 * only the driver is unloaded.
 */
static bool core_must_stay(void)
{
	char line[UIO_PATH_LEN];
	bool found = false;
	FILE *file;

	file = fopen("/proc/kallsyms", "re");
	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file))
		found = strstr(line, " kobject_delayed_cleanup");
	fclose(file);
	return found;
}

static bool is_to_go(const char *name, bool core_stays)
{
	char path[UIO_PATH_LEN];

	if (!is_loaded(name))
		return false;
	if (core_stays)
		return !strcmp(name, "uio_pci_generic");
	if (!strncmp(name, "uio", 3))
		return true;
	snprintf(path, sizeof(path), "/sys/module/uio/holders/%.63s", name);
	return !access(path, F_OK);
}

/* In the order in which they are to be loaded. */
static int read_list(struct module *module, int max)
{
	char line[UIO_PATH_LEN], *base;
	FILE *file;
	int n = 0;

	file = fopen(MODULE_LIST, "re");
	if (!file)
		return -errno;
	while (n < max && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		base = strrchr(line, '/');
		snprintf(module[n].path, sizeof(module[n].path), "%s", line);
		snprintf(module[n].name, sizeof(module[n].name), "%.63s",
			 base ? base + 1 : line);
		module[n].name[strcspn(module[n].name, ".")] = '\0';
		n++;
	}
	fclose(file);
	return n;
}

bool uio_is_module(void)
{
	return is_loaded("uio") && !access(MODULE_LIST, R_OK);
}

/*
 * Unload all of them, the core last, without waiting. -EWOULDBLOCK: one is in
 * use; those that depend on it may be gone.
 */
int uio_modules_unload(void)
{
	struct module module[MAX_MODULES];
	int i = read_list(module, MAX_MODULES);
	bool stay = core_must_stay();

	if (i < 0)
		return i;
	while (i--) {
		if (!is_to_go(module[i].name, stay))
			continue;
		if (syscall(SYS_delete_module, module[i].name, O_NONBLOCK))
			return -errno;
	}
	return 0;
}

/* There, too, the name of a driver that has gone is taken for a while. */
static int load(const char *path)
{
	long end = uio_now_ms() + NAME_TIMEOUT_MS;
	int fd, ret;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while ((ret = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0) ==
	       -EBUSY && uio_now_ms() < end)
		uio_msleep(50);
	close(fd);
	return ret;
}

int uio_modules_load(void)
{
	struct module module[MAX_MODULES];
	int i, n = read_list(module, MAX_MODULES), ret = 0;

	for (i = 0; i < n && !ret; i++)
		if (!is_loaded(module[i].name))
			ret = load(module[i].path);
	return n < 0 ? n : ret;
}
