/* SPDX-License-Identifier: Apache-2.0 */
/* Exec ops on a real store: what becomes of the layer, and every type of mount. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fs.h"
#include "engine/exec/op_exec.h"
#include "engine/source/context_local.h"
#include "engine/tree/tree.h"
#include "store/index.h"
#include "store/layer.h"
#include "tests/unit/store/durable_check.h"

#define BUSYBOX "/bin/busybox"

static char base[64];
static struct store *store;
static struct sandbox_env *env;
static struct exec_session session;
static struct result *root;
static struct buf logs = BUF_INIT;

static void collect(void *data, const struct event *event)
{
	(void)data;
	if (event->kind == EVENT_LOG)
		buf_add(&logs, event->log.data, event->log.n);
}

static const struct progress progress = {.emit = collect};

/* A step `script` with mounts beside the root (input 0). */
static int run_script(const char *script, const struct op_mount *mounts, size_t n_mounts,
		      struct result *const *inputs, size_t n_inputs, struct result **ret,
		      struct error **err)
{
	const char *args[] = {"/bin/sh", "-c", script};
	const char *vars[] = {"PATH=/bin"};
	struct op_secret_env secret = {.id = "token", .name = "TOKEN", .optional = true};
	struct op_mount all[4] = {{.dest = "/", .selector = ""}};
	struct op_exec op = {
		.args = {args, 3},
		.env = {vars, 1},
		.cwd = "/work",
		.user = "",
		.hostname = "",
		.cgroup_parent = "",
		.mounts = all,
		.n_mounts = 1 + n_mounts,
		.network = NETWORK_NONE,
		.secret_envs = &secret,
		.n_secret_envs = 1,
	};
	struct exec_options o = {.store = store, .env = env, .session = &session};
	struct job *job = job_open(&progress, NULL, "step");
	size_t hollow = (size_t)-1;
	int r;

	for (size_t i = 0; i < n_mounts; i++)
		all[i + 1] = mounts[i];
	buf_clear(&logs);
	r = exec_op_run(&o, &op, inputs, n_inputs, job, ret, 1, &hollow, err);
	return job_close(job, r, err);
}

static void expect_script(const char *script, const struct op_mount *mounts, size_t n_mounts,
			  struct result *const *inputs, size_t n_inputs, const char *output)
{
	struct error *err = NULL;
	struct result *result = NULL;

	if (run_script(script, mounts, n_mounts, inputs, n_inputs, &result, &err) < 0)
		fail_msg("%s: %s: %s", script, error_text(err), logs.p);
	assert_string_equal(logs.p, output);
	result_unref(result);
}

/* What a step leaves that does nothing: its working directory, and what every root has. */
#define BARE "dev proc sys work "

/* Paths of the topmost layer, joined with spaces. */
static char *layer_paths(const struct result *r)
{
	struct buf b = BUF_INIT;
	struct index *index = NULL;

	assert_int_equal(layer_index(store, r->layers[r->n_layers - 1], &index, NULL), 0);
	for (size_t i = 0; i < index_count(index); i++) {
		struct entry e;

		index_entry(index, i, &e);
		if (e.path[0])
			buf_addf(&b, "%s%s ", e.type == ENTRY_WHITEOUT ? "-" : "", e.path);
	}
	index_unref(index);
	return buf_take(&b);
}

static void expect_layer(const char *script, const char *paths)
{
	_cleanup_free_ char *found = NULL;
	struct error *err = NULL;
	struct result *result = NULL;

	if (run_script(script, NULL, 0, &root, 1, &result, &err) < 0)
		fail_msg("%s: %s", script, error_text(err));
	assert_int_equal(result->n_layers, 2);
	found = layer_paths(result);
	assert_string_equal(found, paths);
	result_unref(result);
}

static void what_a_step_writes_becomes_a_layer(void **state)
{
	(void)state;
	expect_layer("echo x > /new", "dev new proc sys work ");
	expect_layer("rm /etc/motd; mkdir /d", "d dev etc -etc/motd proc sys work ");
}

static void a_step_that_writes_nothing_leaves_what_runc_leaves(void **state)
{
	(void)state;
	expect_layer("cat /etc/resolv.conf /etc/hosts > /dev/null", BARE);
}

static void a_failing_process_is_an_error_with_its_status(void **state)
{
	struct error *err = NULL;
	struct result *result = NULL;

	(void)state;
	assert_int_equal(run_script("exit 7", NULL, 0, &root, 1, &result, &err), -ERR_PROCESS);
	assert_string_equal(error_text(err), "process \"/bin/sh -c exit 7\" did not complete "
					     "successfully: exit code: 7");
	assert_int_equal(error_exit_status(err), 7);
	error_free(err);
}

static void the_environment_has_a_home(void **state)
{
	(void)state;
	expect_script("echo $HOME $PATH; pwd; hostname", NULL, 0, &root, 1,
		      "/root /bin\n/work\nbuildkitsandbox\n");
}

static void caches_stay_between_steps_and_never_enter_a_layer(void **state)
{
	struct op_mount cache = {
		.input = OP_INPUT_NONE,
		.selector = "",
		.dest = "/var/cache/x",
		.output = OP_OUTPUT_NONE,
		.type = MOUNT_CACHE,
		.cache_id = "x",
		.mode = 0750,
		.uid = 12,
		.gid = 34,
	};
	struct error *err = NULL;
	struct result *result = NULL;
	_cleanup_free_ char *paths = NULL;

	(void)state;
	if (run_script("echo kept > /var/cache/x/f", &cache, 1, &root, 1, &result, &err) < 0)
		fail_msg("%s", error_text(err));
	paths = layer_paths(result);
	assert_string_equal(paths, BARE);
	result_unref(result);
	expect_script("cat /var/cache/x/f; ls -nd /var/cache/x | cut -c1-10", &cache, 1, &root, 1,
		      "kept\ndrwxr-x---\n");
}

static void a_new_cache_is_filled_from_its_input(void **state)
{
	struct op_mount cache = {
		.input = 0,
		.selector = "/etc",
		.dest = "/c",
		.output = OP_OUTPUT_NONE,
		.type = MOUNT_CACHE,
		.cache_id = "seeded",
		.sharing = SHARING_LOCKED,
		.mode = 0755,
	};

	(void)state;
	expect_script("cat /c/motd; echo more >> /c/motd", &cache, 1, &root, 1, "welcome\n");
	expect_script("cat /c/motd", &cache, 1, &root, 1, "welcome\nmore\n");
}

/* Of the second input, which nothing may change. */
static struct op_mount bind_of(const char *selector, const char *dest)
{
	return (struct op_mount){
		.input = 1,
		.selector = selector,
		.dest = dest,
		.output = OP_OUTPUT_NONE,
		.readonly = true,
		.type = MOUNT_BIND,
	};
}

static void a_bind_shows_a_part_of_another_input(void **state)
{
	struct op_mount bind = bind_of("etc", "/m");
	struct result *inputs[2] = {root, root};

	(void)state;
	expect_script("cat /m/motd; (echo x > /m/motd) 2>/dev/null || echo ro", &bind, 1, inputs, 2,
		      "welcome\nro\n");
	bind.readonly = false;
	expect_script("echo x > /m/motd; cat /m/motd /etc/motd", &bind, 1, inputs, 2,
		      "x\nwelcome\n");
}

static void a_bind_of_a_context_hides_what_is_ignored(void **state)
{
	struct op_mount bind = bind_of("", "/src");
	_cleanup_free_ char *dir = xasprintf("%s/context", base);
	_cleanup_strv_ struct strv excludes = {0};
	struct tree *tree = NULL;
	struct result *inputs[2] = {root, NULL};
	int fd;

	(void)state;
	assert_int_equal(fs_mkdir_p(AT_FDCWD, dir, 0755), 0);
	fd = fs_open_dir(AT_FDCWD, dir);
	assert_int_equal(fs_mkdir_p(fd, "sub", 0750), 0);
	assert_int_equal(fs_write_file_atomic(fd, "sub/file", "data\n", 5, 0640), 0);
	assert_int_equal(fs_write_file_atomic(fd, "secret.key", "key\n", 4, 0600), 0);
	(void)close(fd);
	strv_push(&excludes, "*.key");
	assert_int_equal(context_open(store, dir, &excludes, NULL, NULL, &tree, NULL), 0);
	inputs[1] = result_new_tree(tree);
	expect_script("find /src | sort; cat /src/sub/file", &bind, 1, inputs, 2,
		      "/src\n/src/sub\n/src/sub/file\ndata\n");
	bind.selector = "sub/file";
	bind.dest = "/one/file";
	expect_script("cat /one/file", &bind, 1, inputs, 2, "data\n");
	result_unref(inputs[1]);
	tree_unref(tree);
}

static void a_bind_of_a_context_shows_it_as_it_was(void **state)
{
	struct op_mount bind = bind_of("", "/src");
	_cleanup_free_ char *dir = xasprintf("%s/changing", base);
	_cleanup_close_ int fd = -1;
	struct result *inputs[2] = {root, NULL}, *result = NULL;
	struct error *err = NULL;
	struct tree *tree = NULL;

	(void)state;
	assert_int_equal(fs_mkdir_p(AT_FDCWD, dir, 0755), 0);
	fd = fs_open_dir(AT_FDCWD, dir);
	assert_int_equal(fs_write_file_atomic(fd, "file", "old\n", 4, 0640), 0);
	assert_int_equal(context_open(store, dir, NULL, NULL, NULL, &tree, NULL), 0);
	inputs[1] = result_new_tree(tree);
	expect_script("cat /src/file", &bind, 1, inputs, 2, "old\n");
	/* Steps of one build see one state. */
	assert_int_equal(fs_write_file_atomic(fd, "file", "newer\n", 6, 0640), 0);
	bind.readonly = false;
	expect_script("cat /src/file; echo x > /src/file", &bind, 1, inputs, 2, "old\n");
	expect_script("cat /src/file", &bind, 1, inputs, 2, "old\n");
	/* Nor may one see what its key does not know. */
	bind.selector = "file";
	assert_int_equal(run_script("cat /src", &bind, 1, inputs, 2, &result, &err), -ERR_IO);
	assert_non_null(strstr(error_text(err), "'file' was changed while it was copied"));
	error_free(err);
	result_unref(inputs[1]);
	tree_unref(tree);
}

static void secrets_are_files_and_variables_and_nothing_else(void **state)
{
	struct op_mount secret = {
		.input = OP_INPUT_NONE,
		.selector = "",
		.dest = "/run/secrets/token",
		.output = OP_OUTPUT_NONE,
		.type = MOUNT_SECRET,
		.id = "token",
		.mode = 0400,
		.uid = 3,
		.gid = 4,
	};
	struct error *err = NULL;
	struct result *result = NULL;
	_cleanup_free_ char *paths = NULL;

	(void)state;
	assert_int_equal(run_script("true", &secret, 1, &root, 1, &result, &err), -ERR_NOTFOUND);
	assert_string_equal(error_text(err), "secret token: not found");
	error_free(err);
	err = NULL;
	assert_int_equal(setenv("KILN_TEST_TOKEN", "hunter2", 1), 0);
	grants_add_secret(&session.grants, "token", NULL, "KILN_TEST_TOKEN");
	if (run_script("cat /run/secrets/token; echo \" $TOKEN\"; ls -ln /run/secrets/token | cut "
		       "-c1-10",
		       &secret, 1, &root, 1, &result, &err) < 0)
		fail_msg("%s", error_text(err));
	assert_string_equal(logs.p, "hunter2 hunter2\n-r--------\n");
	paths = layer_paths(result);
	assert_string_equal(paths, BARE);
	result_unref(result);
	grants_release(&session.grants);
}

static void an_agent_is_a_socket_that_a_variable_names(void **state)
{
	struct op_mount ssh = {
		.input = OP_INPUT_NONE,
		.selector = "",
		.dest = "/run/buildkit/ssh_agent.0",
		.output = OP_OUTPUT_NONE,
		.type = MOUNT_SSH,
		.id = "",
		.mode = 0600,
	};
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	struct error *err = NULL;
	struct result *result = NULL;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_int_equal(run_script("true", &ssh, 1, &root, 1, &result, &err), -ERR_NOTFOUND);
	assert_string_equal(error_text(err), "no SSH key \"default\" forwarded from the client");
	error_free(err);
	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/agent", base);
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	grants_add_ssh(&session.grants, "default", at.sun_path);
	expect_script("echo $SSH_AUTH_SOCK; test -S $SSH_AUTH_SOCK && echo socket", &ssh, 1, &root,
		      1, "/run/buildkit/ssh_agent.0\nsocket\n");
	grants_release(&session.grants);
	(void)close(fd);
}

static void a_tmpfs_is_empty_and_limited(void **state)
{
	struct op_mount tmpfs = {
		.input = OP_INPUT_NONE,
		.selector = "",
		.dest = "/etc",
		.output = OP_OUTPUT_NONE,
		.type = MOUNT_TMPFS,
		.tmpfs_size = 65536,
	};

	(void)state;
	expect_script("ls /etc; head -c 100000 /dev/zero > /etc/big 2>/dev/null || echo full; "
		      "rm /etc/big; head -c 100 /dev/zero > /etc/small && echo small",
		      &tmpfs, 1, &root, 1, "full\nsmall\n");
}

static void add(struct layer_writer *w, const char *path, enum entry_type type, const char *data,
		int from, uint32_t mode)
{
	struct entry e = {.path = path, .type = type, .mode = mode};

	if (type == ENTRY_SYMLINK)
		e.link = data;
	if (type != ENTRY_FILE) {
		assert_int_equal(layer_writer_put(w, &e, NULL), 0);
		return;
	}
	assert_int_equal(layer_writer_file(w, &e, NULL), 0);
	if (data)
		assert_int_equal(layer_writer_write(w, data, strlen(data), NULL), 0);
	else
		assert_int_equal(layer_writer_copy(w, from, NULL), 0);
	assert_int_equal(layer_writer_file_end(w, NULL, NULL), 0);
}

static int set_up(void **state)
{
	static const char *const applets[] = {"sh",	  "cat",  "ls",	  "echo", "rm",
					      "mkdir",	  "find", "sort", "cut",  "head",
					      "hostname", "true", "test"};
	struct layer_writer *w = NULL;
	struct error *err = NULL;
	_cleanup_free_ char *dir = NULL;
	_cleanup_close_ int busybox = open(BUSYBOX, O_RDONLY | O_CLOEXEC);
	int64_t layer;

	(void)state;
	(void)snprintf(base, sizeof(base), "/var/tmp/kiln-test-exec.XXXXXX");
	assert_non_null(mkdtemp(base));
	dir = xasprintf("%s/store", base);
	if (store_open(dir, &store, &err) < 0)
		fail_msg("%s", error_text(err));
	durable_check_start(dir);
	assert_int_equal(layer_writer_open(store, &w, NULL), 0);
	add(w, "bin", ENTRY_DIR, NULL, -1, 0755);
	add(w, "bin/busybox", ENTRY_FILE, NULL, busybox, 0755);
	for (size_t i = 0; i < ARRAY_SIZE(applets); i++) {
		_cleanup_free_ char *path = xasprintf("bin/%s", applets[i]);

		add(w, path, ENTRY_SYMLINK, "busybox", -1, 0777);
	}
	add(w, "etc", ENTRY_DIR, NULL, -1, 0755);
	add(w, "etc/motd", ENTRY_FILE, "welcome\n", -1, 0644);
	add(w, "etc/passwd", ENTRY_FILE, "root:x:0:0:root:/root:/bin/sh\n", -1, 0644);
	if (layer_writer_commit(w, &layer, &err) < 0)
		fail_msg("%s", error_text(err));
	layer_writer_free(w);
	root = result_new_rootfs(&layer, 1);
	env = sandbox_env_new();
	return 0;
}

static int tear_down(void **state)
{
	int r = durable_check_end();

	(void)state;
	sandbox_env_free(env);
	result_unref(root);
	store_close(store);
	buf_release(&logs);
	return r < 0 ? r : fs_remove_tree(AT_FDCWD, base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_step_writes_becomes_a_layer),
		cmocka_unit_test(a_step_that_writes_nothing_leaves_what_runc_leaves),
		cmocka_unit_test(a_failing_process_is_an_error_with_its_status),
		cmocka_unit_test(the_environment_has_a_home),
		cmocka_unit_test(caches_stay_between_steps_and_never_enter_a_layer),
		cmocka_unit_test(a_new_cache_is_filled_from_its_input),
		cmocka_unit_test(a_bind_shows_a_part_of_another_input),
		cmocka_unit_test(a_bind_of_a_context_hides_what_is_ignored),
		cmocka_unit_test(a_bind_of_a_context_shows_it_as_it_was),
		cmocka_unit_test(secrets_are_files_and_variables_and_nothing_else),
		cmocka_unit_test(an_agent_is_a_socket_that_a_variable_names),
		cmocka_unit_test(a_tmpfs_is_empty_and_limited),
	};

	if (geteuid() != 0) {
		(void)puts("1..0 # SKIP needs root to make namespaces");
		return 0;
	}
	if (access(BUSYBOX, X_OK) < 0) {
		(void)puts("1..0 # SKIP needs " BUSYBOX " (package busybox-static)");
		return 0;
	}
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
