/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/doctor/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fields.h"
#include "base/fs.h"
#include "base/path.h"
#include "engine/config/config.h"
#include "engine/doctor/doctor_trial.h"
#include "engine/sandbox/machine.h"

enum { FREE_WANTED_MIB = 1024 };

/* --- ids --- */

static void check_namespaces(const struct doctor_trial *t, struct doctor *d)
{
	static const char topic[] = "user namespaces";

	if (d->rootless && t->entered) {
		findings_add(&d->findings, FINDING_FINE, topic, xstrdup("this user can make them"),
			     NULL);
		return;
	}
	machine_namespaces("", !d->rootless, &d->findings);
	if (!t->entered)
		findings_add(&d->findings, FINDING_BAD, topic, xstrdup(t->why_not_entered),
			     d->rootless ? xstrdup("sudo kiln ...") : NULL);
	else if (d->findings.list.n == 0)
		findings_add(
			&d->findings, FINDING_FINE, topic,
			xstrdup("kiln runs as root, and needs no user namespace or can create one"),
			NULL);
}

static void check_ids(const struct doctor_trial *t, struct doctor *d)
{
	const struct passwd *pw = getpwuid(geteuid());
	const struct machine_user self = {pw ? pw->pw_name : NULL, geteuid(), getenv("PATH")};
	size_t before = d->findings.list.n;
	struct id_range range;

	if (d->rootless)
		machine_ids("", &self, &d->findings);
	else if (t->single)
		findings_add(&d->findings, FINDING_LESS, "subordinate ids",
			     xstrdup("the user namespace in which kiln runs has one id"),
			     xstrdup("unshare -r --map-auto kiln ... (or run kiln as that user)"));
	if (d->findings.list.n > before || !d->rootless)
		return;
	if (machine_range("", "/etc/subuid", &self, &range))
		findings_add(&d->findings, FINDING_FINE, "subordinate ids",
			     xasprintf("%lu from %lu on", range.count, range.start), NULL);
}

/* --- the store --- */

/* The file systems that matter here, as docker and stat -f call them. */
static const char *filesystem_name(const struct statfs *fs)
{
	static const struct {
		unsigned long type;
		const char *name;
	} names[] = {
		{0xef53, "extfs"},     {0x58465342, "xfs"},	  {0x9123683e, "btrfs"},
		{0x01021994, "tmpfs"}, {0x794c7630, "overlayfs"}, {0x6969, "nfs"},
		{0xff534d42, "cifs"},  {0xfe534d42, "smb2"},	  {0x65735546, "fuse"},
		{0x2fc12fc1, "zfs"},   {0xf2f52010, "f2fs"},	  {0xca451a4e, "bcachefs"},
		{0x01021997, "9p"},    {0x4d44, "vfat"},	  {0x2011bab0, "exfat"},
		{0xf15f, "ecryptfs"},  {0x858458f6, "ramfs"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if ((unsigned long)fs->f_type == names[i].type)
			return names[i].name;
	return "unknown";
}

/* The path itself, or the nearest directory above it that is there; heap. */
static char *existing(const char *path)
{
	char *at = xstrdup(path);

	while (access(at, F_OK) < 0 && strcmp(at, "/") != 0) {
		char *above = path_dir(at);

		free(at);
		at = above;
	}
	return at;
}

static void add_store(struct doctor *d, enum finding_grade grade, char *what, char *mend)
{
	findings_add(&d->findings, grade, "store", what, mend);
}

static void check_space(const char *store, const char *at, struct doctor *d)
{
	struct statvfs vfs;
	struct statfs fs;

	if (statfs(at, &fs) < 0 || statvfs(at, &vfs) < 0)
		return;
	d->filesystem = filesystem_name(&fs);
	d->free = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	d->size = (uint64_t)vfs.f_blocks * vfs.f_frsize;
	if (d->free >> 20 < FREE_WANTED_MIB)
		add_store(d, FINDING_LESS,
			  xasprintf("%" PRIu64 " MiB are free on the disk of '%s'", d->free >> 20,
				    store),
			  xstrdup("kiln prune"));
	if (vfs.f_files > 0 && vfs.f_favail < 10000)
		add_store(d, FINDING_LESS, xstrdup("the file system has few inodes left"),
			  xstrdup("kiln prune"));
	if (strcmp(d->filesystem, "tmpfs") == 0 || strcmp(d->filesystem, "ramfs") == 0)
		add_store(d, FINDING_LESS,
			  xasprintf("'%s' is in memory: it is gone with the machine", store),
			  xstrdup("export KILN_ROOT=DIRECTORY_ON_A_DISK"));
	if (strcmp(d->filesystem, "nfs") == 0 || strcmp(d->filesystem, "cifs") == 0 ||
	    strcmp(d->filesystem, "smb2") == 0 || strcmp(d->filesystem, "9p") == 0)
		add_store(d, FINDING_LESS,
			  xasprintf("'%s' is on another machine (%s): slow, and its database is "
				    "only as safe as the locks there",
				    store, d->filesystem),
			  xstrdup("export KILN_ROOT=DIRECTORY_ON_A_DISK"));
}

/* What others may do to the store. */
static bool check_owner(const char *store, struct doctor *d)
{
	struct stat st;

	if (stat(store, &st) < 0)
		return true;
	if (!S_ISDIR(st.st_mode))
		add_store(d, FINDING_BAD, xasprintf("'%s' is not a directory", store),
			  xstrdup("export KILN_ROOT=DIRECTORY"));
	else if (st.st_uid != geteuid())
		add_store(d, FINDING_BAD,
			  xasprintf("'%s' belongs to the user %u", store, st.st_uid),
			  xasprintf("export KILN_ROOT=DIRECTORY, or sudo chown -R %u '%s'",
				    geteuid(), store));
	else if (st.st_mode & (S_IWGRP | S_IWOTH))
		add_store(d, FINDING_BAD, xasprintf("other users can write to '%s'", store),
			  xasprintf("chmod go-w '%s'", store));
	else
		return true;
	return false;
}

static void check_store(const char *store, const char *at, const struct doctor_trial *t,
			struct doctor *d)
{
	size_t before;

	check_space(store, at, d);
	before = d->findings.list.n;
	if (!check_owner(store, d) || !t->entered)
		return;
	if (!t->writable)
		add_store(d, FINDING_BAD,
			  xasprintf("'%s' cannot be %s: '%s' is not writable", store,
				    strcmp(at, store) == 0 ? "used" : "created", at),
			  xstrdup("export KILN_ROOT=DIRECTORY"));
	else if (!t->opened)
		add_store(d, FINDING_BAD, xstrdup(t->why_not_opened), NULL);
	if (d->findings.list.n == before)
		add_store(d, FINDING_FINE,
			  xasprintf("'%s'%s on %s, %.1f GiB free", store,
				    strcmp(at, store) == 0 ? "" : " (not made yet)", d->filesystem,
				    (double)d->free / (1 << 30)),
			  NULL);
}

/* --- layers --- */

/* A mounted disk with room on which overlayfs would work; heap, NULL: there is none. */
static char *better_volume(void)
{
	static const char *const good[] = {"ext4", "xfs", "btrfs", "f2fs"};
	_cleanup_buf_ struct buf text = BUF_INIT_MAX(4 << 20);
	char *save = NULL, *best = NULL;
	uint64_t most = (uint64_t)FREE_WANTED_MIB << 20;

	if (fs_read_file(AT_FDCWD, "/proc/self/mounts", &text) < 0 || text.n == 0)
		return NULL;
	for (char *line = strtok_r(text.p, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		char *fields[3], *at, *type;
		struct statvfs vfs;
		struct stat st;

		if (fields_split(line, fields, 3) < 3 || strchr(fields[1], '\\'))
			continue;
		at = fields[1];
		type = fields[2];
		for (size_t i = 0; i < ARRAY_SIZE(good); i++)
			if (strcmp(type, good[i]) == 0 && stat(at, &st) == 0 &&
			    S_ISDIR(st.st_mode) && access(at, W_OK) == 0 &&
			    statvfs(at, &vfs) == 0 && vfs.f_bavail * vfs.f_frsize > most) {
				most = vfs.f_bavail * vfs.f_frsize;
				free(best);
				best = xstrdup(at);
			}
	}
	return best;
}

static void check_layers(const struct doctor_trial *t, struct doctor *d)
{
	const char *wanted = getenv("KILN_LAYERS");
	_cleanup_free_ char *volume = NULL;

	if (!t->writable)
		return;
	d->overlay = t->overlay == 0 && (!wanted || strcmp(wanted, "copy") != 0);
	if (d->overlay) {
		findings_add(&d->findings, FINDING_FINE, "layers", xstrdup("overlayfs"), NULL);
		return;
	}
	if (t->overlay == 0) {
		findings_add(&d->findings, FINDING_LESS, "layers",
			     xstrdup("KILN_LAYERS=copy: each step copies its root"),
			     xstrdup("unset KILN_LAYERS"));
		return;
	}
	volume = better_volume();
	findings_add(&d->findings, FINDING_LESS, "layers",
		     xasprintf("overlayfs cannot be used on %s (%s): each step copies its root",
			       d->filesystem, strerror(t->overlay)),
		     volume ? xasprintf("export KILN_ROOT=%s/kiln",
					strcmp(volume, "/") == 0 ? "" : volume)
			    : xstrdup("mount a volume and set KILN_ROOT to a directory on it; "
				      "with docker: -v kiln:/var/lib/kiln"));
}

/* --- programs and configuration --- */

static void check_programs(struct doctor *d)
{
	_cleanup_free_ char *ssh = machine_program("", getenv("PATH"), "ssh");

	findings_add(&d->findings, FINDING_FINE, "programs",
		     ssh ? xasprintf("ssh: %s", ssh)
			 : xstrdup("no ssh: git repositories come by http only"),
		     ssh ? NULL : xstrdup("sudo apt install openssh-client"));
}

/* Whoever can write to it says what images are made of. */
static void check_file(const char *file, bool must, struct doctor *d)
{
	struct stat st;

	if (!file || (access(file, F_OK) < 0 && !must))
		return;
	if (access(file, R_OK) < 0)
		findings_add(&d->findings, FINDING_BAD, "configuration",
			     xasprintf("'%s' cannot be read: %s", file, strerror(errno)), NULL);
	else if (stat(file, &st) == 0 && st.st_uid != 0 && st.st_uid != geteuid())
		findings_add(&d->findings, FINDING_LESS, "configuration",
			     xasprintf("'%s' belongs to the user %u", file, st.st_uid),
			     xasprintf("sudo chown %u '%s'", geteuid(), file));
	else if (st.st_mode & S_IWOTH)
		findings_add(&d->findings, FINDING_LESS, "configuration",
			     xasprintf("everybody can write to '%s'", file),
			     xasprintf("chmod o-w '%s'", file));
}

static void check_config(struct doctor *d)
{
	_cleanup_(config_release) struct config c = {0};
	const char *own = getenv("KILN_CONFIG");
	_cleanup_free_ char *mirrors = NULL;
	size_t before = d->findings.list.n;
	struct error *err = NULL;

	check_file(own && *own ? own : "/etc/kiln/config.json", own && *own, d);
	if (d->findings.list.n > before && d->findings.list.v[before].grade == FINDING_BAD)
		return;
	if (config_load(&c, &err) < 0) {
		findings_add(&d->findings, FINDING_BAD, "configuration", xstrdup(error_text(err)),
			     error_hint_text(err) ? xstrdup(error_hint_text(err)) : NULL);
		error_free(err);
		return;
	}
	for (size_t i = 0; i < c.registries.n; i++)
		for (size_t m = 0; m < c.registries.v[i].mirrors.n; m++)
			strv_pushf(&d->mirrors, "%s=%s", c.registries.v[i].host,
				   c.registries.v[i].mirrors.v[m]);
	mirrors = strv_join(&d->mirrors, ", ");
	findings_add(&d->findings, FINDING_FINE, "configuration",
		     d->mirrors.n > 0 ? xasprintf("mirrors: %s", mirrors)
				      : xstrdup("no mirrors of registries"),
		     NULL);
}

/* --- all of it --- */

void doctor_look(const char *store, struct doctor *ret)
{
	_cleanup_free_ char *at = existing(store), *tmp = xasprintf("%s/tmp", store);
	struct doctor_trial t;

	*ret = (struct doctor){.rootless = geteuid() != 0, .filesystem = "unknown"};
	/* What a crash leaves there is removed some day. */
	doctor_try(store, access(tmp, F_OK) == 0 ? tmp : at, &t);
	ret->single = t.single;
	check_namespaces(&t, ret);
	check_ids(&t, ret);
	doctor_kernel(ret);
	check_store(store, at, &t, ret);
	check_layers(&t, ret);
	if (t.writable)
		findings_add(&ret->findings, t.step ? FINDING_FINE : FINDING_BAD, "steps",
			     xstrdup(t.step ? "a step runs" : t.why_not_step), NULL);
	doctor_network(&t, ret);
	doctor_cgroups(ret);
	doctor_emulators(ret);
	check_programs(ret);
	check_config(ret);
}

void doctor_release(struct doctor *d)
{
	findings_release(&d->findings);
	strv_release(&d->platforms);
	strv_release(&d->mirrors);
}
