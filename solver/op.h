/* SPDX-License-Identifier: Apache-2.0 */
/* Ops: what a vertex does, as plain values.
 *
 * They mirror BuildKit's LLB (solver/pb/ops.proto) one to one, with the same fields and meaning, so
 * that an LLB protobuf can be decoded straight into them. All memory belongs to the graph's arena;
 * nothing here is changed after graph_add. Lists keep their order, which is part of the op.
 *
 * Encoding: op_encode writes canonical msgpack (map keys sorted, every field present); its sha256
 * with the inputs' digests is the vertex digest (docs/formats-op.md).
 */
#ifndef KILN_SOLVER_OP_H
#define KILN_SOLVER_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum op_kind { OP_SOURCE = 1, OP_EXEC, OP_FILE, OP_MERGE, OP_DIFF, OP_BUILD };

struct op_strings {
	const char *const *v;
	size_t n;
};

struct op_pair {
	const char *key, *value;
};

struct op_pairs {
	const struct op_pair *v; /* sorted by key */
	size_t n;
};

struct op_platform {
	const char *os, *arch, *variant, *os_version; /* "" where unset */
};

/* identifier: "docker-image://ref", "local://name", "git://...", "https://...", "oci-layout://...".
 * attrs: FEATURES c lists the names ("local.followpaths", "image.resolvemode", "http.checksum"). */
struct op_source {
	const char *identifier;
	struct op_pairs attrs;
};

enum op_mount_type {
	MOUNT_BIND = 0,
	MOUNT_SECRET = 1,
	MOUNT_SSH = 2,
	MOUNT_CACHE = 3,
	MOUNT_TMPFS = 4
};
enum op_sharing { SHARING_SHARED = 0, SHARING_PRIVATE = 1, SHARING_LOCKED = 2 };

#define OP_INPUT_NONE (-1)  /* an empty directory */
#define OP_OUTPUT_NONE (-1) /* what is written there is dropped */

struct op_mount {
	int input;	      /* index into the vertex's inputs, or OP_INPUT_NONE */
	const char *selector; /* subpath of the input, "" = whole */
	const char *dest;     /* absolute */
	int output;	      /* output number, or OP_OUTPUT_NONE */
	bool readonly;
	enum op_mount_type type;
	uint64_t tmpfs_size; /* bytes, 0 = no limit */
	const char *cache_id;
	enum op_sharing sharing;
	/* secret and ssh */
	const char *id;
	uint32_t uid, gid, mode;
	bool optional;
};

enum op_network { NETWORK_DEFAULT = 0, NETWORK_HOST = 1, NETWORK_NONE = 2 };
enum op_security { SECURITY_SANDBOX = 0, SECURITY_INSECURE = 1 };

struct op_secret_env {
	const char *id, *name;
	bool optional;
};

struct op_device {
	const char *name;
	bool optional;
};

struct op_ulimit {
	const char *name;
	int64_t soft, hard;
};

struct op_proxy {
	const char *http, *https, *ftp, *no, *all; /* "" where unset; never in a key */
};

struct op_exec {
	struct op_strings args, env;
	const char *cwd, *user, *hostname, *cgroup_parent;
	struct op_proxy proxy;
	struct op_pairs extra_hosts; /* host -> ip; only the names count in keys */
	const struct op_ulimit *ulimits;
	size_t n_ulimits;
	uint64_t shm_size;	       /* bytes, 0 = the default of 64 MiB */
	const struct op_mount *mounts; /* the rootfs is the mount with dest "/" */
	size_t n_mounts;
	enum op_network network;
	enum op_security security;
	const struct op_secret_env *secret_envs;
	size_t n_secret_envs;
	const struct op_device *devices;
	size_t n_devices;
};

enum op_file_kind { FILE_COPY = 1, FILE_MKFILE, FILE_MKDIR, FILE_RM, FILE_SYMLINK };

/* Who owns a new file. A name is looked up in /etc/passwd or /etc/group of the action's input
 * `*_input`; user by name alone takes its primary group. */
struct op_owner {
	bool set;		  /* false: keep the source's owner (copy), else 0:0 */
	const char *user, *group; /* NULL or "": use the ids */
	uint32_t uid, gid;
	bool group_set; /* a group (name or id) was given beside the user */
};

#define OP_TIME_NONE (-1)

struct op_file_copy {
	const char *src;
	const char *dest; /* trailing slash is significant */
	struct op_owner owner;
	int64_t mode;	       /* -1: keep */
	const char *mode_text; /* symbolic mode, "" if none */
	bool follow_symlink, dir_copy_contents, attempt_unpack, create_dest_path;
	bool allow_wildcard, allow_empty_wildcard, always_replace_existing_dest_paths;
	int64_t timestamp; /* ns, or OP_TIME_NONE */
	struct op_strings include, exclude, required_paths;
};

struct op_file_mkfile {
	const char *path;
	const void *data;
	size_t size;
	uint32_t mode;
	struct op_owner owner;
	int64_t timestamp;
};

struct op_file_mkdir {
	const char *path;
	uint32_t mode;
	bool make_parents;
	struct op_owner owner;
	int64_t timestamp;
};

struct op_file_rm {
	const char *path;
	bool allow_not_found, allow_wildcard;
};

struct op_file_symlink {
	const char *oldpath, *newpath;
	struct op_owner owner;
	int64_t timestamp;
};

/* `input` and `secondary_input` (copy: what is copied from) count the vertex's inputs first and
 * then the results of the actions before this one; OP_INPUT_NONE is an empty tree. */
struct op_file_action {
	enum op_file_kind kind;
	int input, secondary_input, output;
	union {
		struct op_file_copy copy;
		struct op_file_mkfile mkfile;
		struct op_file_mkdir mkdir;
		struct op_file_rm rm;
		struct op_file_symlink symlink;
	};
};

struct op_file {
	const struct op_file_action *actions;
	size_t n;
};

/* merge: all inputs of the vertex, lowest first. diff: input 0 is lower, 1 is upper; either may be
 * OP_INPUT_NONE in `lower`/`upper`. */
struct op_diff {
	int lower, upper;
};

struct op {
	enum op_kind kind;
	struct op_platform platform;
	union {
		struct op_source source;
		struct op_exec exec;
		struct op_file file;
		struct op_diff diff;
	};
};

/* What the op has at "/"; NULL: nothing. */
const struct op_mount *op_exec_root(const struct op_exec *op);
/* The input whose tree an output is, changed, whose layers therefore lie below its own; -1: none. */
int op_base_input(const struct op *op, unsigned output);

#endif
