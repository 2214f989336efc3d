/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/sandbox/machine.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/number.h"

/* What images use: ids up to nobody's, 65534. */
enum { IDS_WANTED = 65536, IDS_FIRST = 100000 };

static const char topic_namespaces[] = "user namespaces";
static const char topic_ids[] = "subordinate ids";

static int read_below(const char *root, const char *file, struct buf *ret)
{
	_cleanup_free_ char *path = xasprintf("%s%s", root, file);

	return fs_read_file(AT_FDCWD, path, ret);
}

bool machine_number(const char *root, const char *file, int64_t *ret)
{
	_cleanup_buf_ struct buf text = BUF_INIT_MAX(4096);
	const char *at;

	if (read_below(root, file, &text) < 0 || text.n == 0)
		return false;
	at = text.p;
	return number_take_signed(&at, INT64_MIN, INT64_MAX, ret) == 0;
}

char *machine_program(const char *root, const char *path, const char *name)
{
	_cleanup_free_ char *copy = xstrdup(path);
	char *save = NULL;

	for (char *dir = copy ? strtok_r(copy, ":", &save) : NULL; dir;
	     dir = strtok_r(NULL, ":", &save)) {
		_cleanup_free_ char *file = xasprintf("%s%s/%s", root, dir, name);

		if (access(file, X_OK) == 0)
			return xstrdup(file + strlen(root));
	}
	return NULL;
}

/* --- namespaces --- */

/* "kernel.unprivileged_userns_clone" of the file in /proc/sys. */
static char *setting_name(const char *file)
{
	char *name = xstrdup(file + strlen("/proc/sys/"));

	for (char *p = name; *p; p++)
		if (*p == '/')
			*p = '.';
	return name;
}

static void add_setting(struct findings *ret, const char *file, int64_t is, int64_t should,
			const char *meaning)
{
	_cleanup_free_ char *name = setting_name(file);

	findings_add(ret, FINDING_BAD, topic_namespaces,
		     xasprintf("%s is %lld (%s): %s", name, (long long)is, file, meaning),
		     xasprintf("sudo sysctl -w %s=%lld", name, (long long)should));
}

/* Limits of how many there may be hold for root, too. */
static void check_limits(const char *root, struct findings *ret)
{
	static const char *const kinds[] = {"user", "mnt", "pid", "ipc", "uts", "net", "cgroup"};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		_cleanup_free_ char *file = xasprintf("/proc/sys/user/max_%s_namespaces", kinds[i]);
		_cleanup_free_ char *meaning =
			xasprintf("nobody can create %s namespaces", kinds[i]);
		int64_t limit;

		if (machine_number(root, file, &limit) && limit == 0)
			add_setting(ret, file, 0, 28633, meaning);
	}
}

/* AppArmor lets those programs make user namespaces that have a profile which says so. */
static void check_apparmor(const char *root, struct findings *ret)
{
	static const char file[] = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
	_cleanup_buf_ struct buf label = BUF_INIT_MAX(4096);
	int64_t value;

	if (!machine_number(root, file, &value) || value == 0)
		return;
	/* A profile of kiln's own is one that somebody wrote for this. */
	if (read_below(root, "/proc/self/attr/current", &label) == 0 && label.n > 0 &&
	    strncmp(label.p, "unconfined", 10) != 0)
		return;
	findings_add(
		ret, FINDING_BAD, topic_namespaces,
		xasprintf(
			"kernel.apparmor_restrict_unprivileged_userns is %lld (%s): AppArmor lets "
			"users make user namespaces only in programs that have a profile for it",
			(long long)value, file),
		xstrdup("printf 'abi <abi/4.0>,\\ninclude <tunables/global>\\nprofile kiln "
			"/usr{/local,}/bin/kiln flags=(unconfined) {\\n  userns,\\n}\\n' | sudo "
			"tee "
			"/etc/apparmor.d/kiln && sudo apparmor_parser -r /etc/apparmor.d/kiln"));
}

/* A line of /proc/self/status. */
static bool status_is(const char *root, const char *line)
{
	_cleanup_buf_ struct buf text = BUF_INIT_MAX(1 << 16);

	return read_below(root, "/proc/self/status", &text) == 0 && text.n > 0 &&
	       strstr(text.p, line);
}

static bool exists(const char *root, const char *file)
{
	_cleanup_free_ char *path = xasprintf("%s%s", root, file);

	return access(path, F_OK) == 0;
}

/* Docker's and podman's default filters deny it to whoever has no CAP_SYS_ADMIN. */
static void check_container(const char *root, struct findings *ret)
{
	bool docker = exists(root, "/.dockerenv");

	if ((!docker && !exists(root, "/run/.containerenv")) || !status_is(root, "\nSeccomp:\t2"))
		return;
	findings_add(
		ret, FINDING_LESS, topic_namespaces,
		xstrdup("kiln runs in a container whose seccomp filter may deny namespaces and "
			"mounts (/proc/self/status)"),
		xasprintf("%s run --security-opt seccomp=unconfined --security-opt %s ...",
			  docker ? "docker" : "podman",
			  docker ? "apparmor=unconfined --security-opt systempaths=unconfined"
				 : "unmask=ALL"));
}

static bool in_chroot(void)
{
	struct statx root;

	return statx(AT_FDCWD, "/", 0, 0, &root) == 0 &&
	       (root.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) &&
	       !(root.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}

void machine_namespaces(const char *root, bool privileged, struct findings *ret)
{
	static const char clone[] = "/proc/sys/kernel/unprivileged_userns_clone";
	int64_t value;

	check_limits(root, ret);
	if (privileged)
		return;
	if (machine_number(root, clone, &value) && value == 0)
		add_setting(ret, clone, 0, 1, "users may not create user namespaces");
	check_apparmor(root, ret);
	if (*root == '\0' && in_chroot())
		findings_add(ret, FINDING_BAD, topic_namespaces,
			     xstrdup("kiln runs in a chroot, where the kernel does not let users "
				     "create user namespaces"),
			     xstrdup("make the namespace first: unshare -Urm chroot DIR kiln ..."));
	check_container(root, ret);
}

char *machine_namespaces_hint(const char *root, bool privileged)
{
	struct findings f = {0};
	char *hint;

	machine_namespaces(root, privileged, &f);
	hint = findings_hint(&f);
	findings_release(&f);
	return hint;
}

/* --- subordinate ids --- */

struct id_line {
	char *user;
	struct id_range range;
};

/* The next line that grants something; *at moves on. */
static bool next_line(char **at, struct id_line *ret)
{
	for (char *line; (line = strtok_r(NULL, "\n", at));) {
		char *colon = strchr(line, ':');
		const char *at_number = colon ? colon + 1 : "";
		uint64_t start, count;

		if (number_take(&at_number, 10, ULONG_MAX, &start) < 0 || *at_number != ':' ||
		    number_parse(at_number + 1, 10, ULONG_MAX, &count) < 0)
			continue;
		ret->range = (struct id_range){.start = start, .count = count};
		*colon = '\0';
		ret->user = line;
		return true;
	}
	return false;
}

static bool is_of(const struct id_line *line, const struct machine_user *user)
{
	_cleanup_free_ char *number = xasprintf("%u", user->uid);

	return (user->name && strcmp(line->user, user->name) == 0) ||
	       strcmp(line->user, number) == 0;
}

bool machine_range(const char *root, const char *file, const struct machine_user *user,
		   struct id_range *ret)
{
	_cleanup_buf_ struct buf text = BUF_INIT_MAX(1 << 20);
	struct id_line line;
	char *at = text.p;

	if (read_below(root, file, &text) < 0)
		return false;
	for (at = text.p; next_line(&at, &line);)
		if (is_of(&line, user) && line.range.count > 1) {
			*ret = line.range;
			return true;
		}
	return false;
}

/* Whose ids are in the range, too (heap, NULL: nobody's), and the first that nobody has. */
static char *find_overlap(const char *root, const char *file, const struct machine_user *user,
			  const struct id_range *range, unsigned long *ret_free)
{
	_cleanup_buf_ struct buf text = BUF_INIT_MAX(1 << 20);
	struct id_line line;
	char *at, *other = NULL;

	*ret_free = IDS_FIRST;
	if (read_below(root, file, &text) < 0)
		return NULL;
	for (at = text.p; next_line(&at, &line);) {
		unsigned long end = line.range.start + line.range.count;

		if (end > *ret_free)
			*ret_free = end;
		if (!other && range && !is_of(&line, user) &&
		    line.range.start < range->start + range->count && range->start < end)
			other = xstrdup(line.user);
	}
	return other;
}

/* newuidmap maps what its caller may not: by a set-user-id bit, or by a capability of the file. */
static bool has_rights(const char *file)
{
	struct vfs_cap_data caps;
	struct stat st;

	return geteuid() == 0 ||
	       (stat(file, &st) == 0 && st.st_uid == 0 && (st.st_mode & S_ISUID)) ||
	       getxattr(file, "security.capability", &caps, sizeof(caps)) > 0;
}

static bool check_tool(const char *root, const struct machine_user *user, const char *name,
		       struct findings *ret)
{
	_cleanup_free_ char *file = machine_program(root, user->path, name);
	_cleanup_free_ char *path = xasprintf("%s%s", root, file ? file : "");

	if (!file) {
		findings_add(
			ret, FINDING_LESS, topic_ids,
			xasprintf("%s is not installed, or not in PATH", name),
			xstrdup("sudo apt install uidmap (or: sudo dnf install shadow-utils)"));
		return false;
	}
	if (!has_rights(path)) {
		findings_add(ret, FINDING_LESS, topic_ids,
			     xasprintf("%s has neither a set-user-id bit nor capabilities", file),
			     xasprintf("sudo chmod u+s %s", file));
		return false;
	}
	return true;
}

static void check_file(const char *root, const struct machine_user *user, const char *file,
		       struct findings *ret)
{
	const char *option = strstr(file, "gid") ? "-subgids" : "-subuids";
	struct id_range range = {0, 0};
	bool granted = machine_range(root, file, user, &range);
	unsigned long next;
	_cleanup_free_ char *other = find_overlap(root, file, user, granted ? &range : NULL, &next);
	/* kiln takes the first range that there is. */
	_cleanup_free_ char *instead = granted ? xasprintf("--del%s %lu-%lu ", option, range.start,
							   range.start + range.count - 1)
					       : xstrdup("");
	char *mend = xasprintf("sudo usermod %s--add%s %lu-%lu %s", instead, option, next,
			       next + IDS_WANTED - 1, user->name);

	if (!granted)
		findings_add(ret, FINDING_LESS, topic_ids,
			     xasprintf("%s grants no ids to %s", file, user->name), mend);
	else if (range.count < IDS_WANTED)
		findings_add(
			ret, FINDING_LESS, topic_ids,
			xasprintf("%s grants %s only %lu ids: images that use others cannot be "
				  "unpacked",
				  file, user->name, range.count),
			mend);
	else if (other)
		findings_add(ret, FINDING_LESS, topic_ids,
			     xasprintf("%s grants ids of %s to %s, too: each reaches the other's "
				       "files",
				       file, user->name, other),
			     mend);
	else
		free(mend);
}

void machine_ids(const char *root, const struct machine_user *user, struct findings *ret)
{
	bool tools;

	if (!user->name) {
		findings_add(ret, FINDING_LESS, topic_ids,
			     xasprintf("the user %u has no name, and newuidmap serves only users "
				       "who have one",
				       user->uid),
			     xasprintf("sudo useradd --uid %u NAME", user->uid));
		return;
	}
	tools = check_tool(root, user, "newuidmap", ret);
	if (tools)
		tools = check_tool(root, user, "newgidmap", ret);
	if (tools && status_is(root, "\nNoNewPrivs:\t1"))
		findings_add(ret, FINDING_LESS, topic_ids,
			     xstrdup("kiln was started with no_new_privs, which denies newuidmap "
				     "the privileges that it needs"),
			     NULL);
	check_file(root, user, "/etc/subuid", ret);
	check_file(root, user, "/etc/subgid", ret);
}
