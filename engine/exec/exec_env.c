/* SPDX-License-Identifier: Apache-2.0 */
/* What steps share and what every sandbox gets: networks, seccomp, capabilities, limits. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/suggest.h"
#include "engine/exec/op_exec.h"
#include "engine/exec/selections.h"
#include "engine/sandbox/network.h"
#include "engine/sandbox/overlay.h"
#include "engine/sandbox/sandbox.h"
#include "engine/sandbox/sandbox_server.h"
#include "engine/sandbox/seccomp.h"
#include "engine/sandbox/userns.h"
#include "store/layer.h"

static const char no_route[] = "this machine has no default route";

struct sandbox_env {
	struct network_pool *networks;
	struct selections *selections;
	bool have_pasta;
	const char *why_not;
	atomic_flag noticed; /* the notice about a missing pasta was given */
	atomic_flag noticed_single, noticed_copies, noticed_proc;
	pthread_mutex_t lock;		 /* protects what follows */
	bool tried_overlay, can_overlay; /* exec_overlays */
};

struct sandbox_env *sandbox_env_new(void)
{
	struct sandbox_env *e = NEW(struct sandbox_env);

	e->networks = network_pool_new();
	e->selections = selections_new();
	e->have_pasta = network_available(&e->why_not);
	atomic_flag_clear(&e->noticed);
	atomic_flag_clear(&e->noticed_single);
	atomic_flag_clear(&e->noticed_copies);
	atomic_flag_clear(&e->noticed_proc);
	(void)pthread_mutex_init(&e->lock, NULL);
	return e;
}

void sandbox_env_dismiss(struct sandbox_env *e)
{
	network_pool_dismiss(e->networks);
	sandbox_helper_dismiss();
}

void sandbox_env_free(struct sandbox_env *e)
{
	if (!e)
		return;
	sandbox_env_dismiss(e);
	network_pool_free(e->networks);
	sandbox_helper_stop();
	selections_free(e->selections);
	(void)pthread_mutex_destroy(&e->lock);
	free(e);
}

struct selections *sandbox_env_selections(struct sandbox_env *e)
{
	return e->selections;
}

const char *sandbox_env_shares_network(const struct sandbox_env *e)
{
	return e->have_pasta ? NULL : e->why_not;
}

/* --- networks --- */

/* Once for all steps: they all fare alike. */
static void notice_once(atomic_flag *flag, struct job *job, const char *text)
{
	struct event_warning warning = {.level = 1, .short_text = text};

	if (job && !atomic_flag_test_and_set(flag))
		job_warn(job, &warning);
}

static void notice(struct sandbox_env *e, struct job *job, const char *what, const char *why)
{
	_cleanup_free_ char *text = xasprintf("%s: %s", what, why);

	notice_once(&e->noticed, job, text);
}

void exec_notice_single(struct sandbox_env *e, struct job *job)
{
	if (userns_single())
		notice_once(&e->noticed_single, job, userns_single_notice());
}

void exec_notice_proc(struct sandbox_env *e, struct job *job)
{
	if (sandbox_outer_proc())
		notice_once(&e->noticed_proc, job, SANDBOX_OUTER_PROC_NOTICE);
}

static int join(struct sandbox_env *e, const struct strv *publish, bool reach_host,
		struct sandbox_plan *p, struct exec_network *ret, struct error **err)
{
	int r;

	ret->pooled = !reach_host && (!publish || publish->n == 0);
	r = ret->pooled ? network_acquire(e->networks, &ret->network, err)
			: network_open(publish, reach_host, &ret->network, err);
	if (r < 0)
		return r;
	p->flags |= WIRE_NET_JOIN;
	p->netns = network_fd(ret->network);
	return 0;
}

/* The hosts with an address in place of "host-gateway"; *ret_any tells whether there was one. */
static int name_host(const struct strv *hosts, bool isolated, struct strv *ret, bool *ret_any,
		     struct error **err)
{
	static const char gateway[] = "=" NETWORK_HOST_GATEWAY;
	_cleanup_free_ char *address = NULL;

	*ret_any = false;
	for (size_t i = 0; i < hosts->n; i++) {
		size_t n = strlen(hosts->v[i]), suffix = strlen(gateway);

		if (n < suffix || strcmp(hosts->v[i] + n - suffix, gateway) != 0) {
			strv_push(ret, hosts->v[i]);
			continue;
		}
		*ret_any = true;
		if (!address)
			address = isolated ? network_host_address() : xstrdup("127.0.0.1");
		if (!address)
			return error_new(err, ERR_UNSUPPORTED, 0,
					 "--add-host %s: this machine has no address", hosts->v[i]);
		strv_pushf(ret, "%.*s=%s", (int)(n - suffix), hosts->v[i], address);
	}
	return 0;
}

/* /etc/resolv.conf and /etc/hosts. */
static void add_files(bool isolated, const char *hostname, const struct strv *hosts, bool readonly,
		      struct sandbox_plan *p)
{
	unsigned flags = readonly ? WIRE_MOUNT_READONLY : 0;
	_cleanup_free_ char *resolv = network_resolv_conf(isolated);
	_cleanup_free_ char *names = network_hosts(hostname, hosts);

	sandbox_plan_file(p, "/etc/resolv.conf", resolv, strlen(resolv), 0644, 0, 0, flags);
	sandbox_plan_file(p, "/etc/hosts", names, strlen(names), 0644, 0, 0, flags);
}

int exec_network_join(struct sandbox_env *e, enum op_network mode, const struct strv *publish,
		      const char *hostname, const struct strv *extra_hosts, bool readonly_files,
		      struct job *job, struct sandbox_plan *p, struct exec_network *ret,
		      struct error **err)
{
	bool isolated = mode == NETWORK_DEFAULT && e->have_pasta;
	bool routed = isolated && network_routed(), reach_host = false;
	_cleanup_strv_ struct strv hosts = {0};
	int r;

	*ret = (struct exec_network){0};
	if (publish && publish->n > 0 && mode == NETWORK_DEFAULT && (!isolated || !routed))
		return error_new(err, ERR_UNSUPPORTED, 0, "ports cannot be published: %s",
				 isolated ? no_route : e->why_not);
	r = name_host(extra_hosts, isolated, &hosts, &reach_host, err);
	if (r < 0)
		return r;
	if (isolated && routed) {
		r = join(e, publish, reach_host, p, ret, err);
	} else if (isolated) {
		/* Nothing could be reached in any case; what needs no network still works. */
		notice(e, job, "steps have no network", no_route);
		p->flags |= WIRE_NET_NEW;
	} else if (mode == NETWORK_NONE) {
		p->flags |= WIRE_NET_NEW;
	} else if (mode == NETWORK_DEFAULT) {
		notice(e, job, "steps share this machine's network", e->why_not);
	}
	if (r == 0)
		add_files(isolated, hostname, &hosts, readonly_files, p);
	return r;
}

void exec_network_leave(struct sandbox_env *e, struct exec_network *n)
{
	if (n->network && n->pooled)
		network_put(e->networks, n->network);
	else
		network_close(n->network);
	n->network = NULL;
}

/* --- plans --- */

static void add_program(struct buf *ret, const struct seccomp_program *program)
{
	buf_add(ret, program->p, program->n * sizeof(*program->p));
}

/* What a supervisor answers where there is only one id. */
static void notify_of_owners(struct sandbox_plan *p)
{
	add_program(&p->notify, &seccomp_owners);
	for (size_t i = 0; i < seccomp_owner_calls.n; i++)
		vec_push(&p->calls, seccomp_owner_calls.p[i]);
}

void exec_plan_defaults(struct sandbox_plan *p, enum op_security security, uint64_t shm_size)
{
	if (userns_inside())
		p->flags |= WIRE_USERNS;
	if (userns_single())
		notify_of_owners(p);
	sandbox_plan_default_mounts(p, shm_size);
	if (security == SECURITY_INSECURE) {
		p->caps = SANDBOX_CAPS_ALL;
		return;
	}
	sandbox_plan_default_masks(p);
	add_program(&p->seccomp, &seccomp_profile);
}

/* KILN_LAYERS, for tests and for machines on which the trial tells too little. */
static bool try_overlay(struct store *s)
{
	_cleanup_free_ char *dir = NULL, *name = NULL;
	const char *wanted = getenv("KILN_LAYERS");
	_cleanup_close_ int fd = -1;
	bool works;

	if (store_is_plain(s) || (wanted && strcmp(wanted, "copy") == 0))
		return false;
	if (wanted && strcmp(wanted, "overlay") == 0)
		return true;
	/* What cannot be tried is told when it fails. */
	if (store_tmp_dir(s, &name, &fd, NULL) < 0)
		return true;
	dir = xasprintf("%s/tmp/%s", store_root(s), name);
	works = overlay_try(dir) == 0;
	store_tmp_remove(s, name);
	return works;
}

bool exec_overlays(struct sandbox_env *e, struct store *s, struct job *job)
{
	bool can;

	(void)pthread_mutex_lock(&e->lock);
	if (!e->tried_overlay)
		e->can_overlay = try_overlay(s);
	e->tried_overlay = true;
	can = e->can_overlay && !store_is_plain(s);
	(void)pthread_mutex_unlock(&e->lock);
	if (!can)
		notice_once(&e->noticed_copies, job,
			    "overlayfs cannot be used in the store: each step copies its root, "
			    "which is slower; set KILN_ROOT to a directory on a volume or a disk");
	return can;
}

void exec_plan_layers(struct store *s, const int64_t *layers, size_t n, struct strv *ret)
{
	for (size_t i = n; i > 0; i--) {
		bool above = false;

		/* A step found by its content may bring a layer that the chain has already.
		 * Overlayfs refuses a directory twice, and the topmost says all that the other
		 * does. */
		for (size_t k = i; k < n && !above; k++)
			above = layers[k] == layers[i - 1];
		if (!above)
			strv_push_take(ret, layer_dir_path(s, layers[i - 1]));
	}
}

void exec_plan_home(struct sandbox_plan *p, const char *home)
{
	const char *have = env_get(&p->env, "HOME");

	if (!have || !*have)
		env_set(&p->env, "HOME", home);
}

int exec_plan_group(struct sandbox_plan *p, const struct cgroup_limits *limits, const char *parent,
		    struct cgroup **ret, struct error **err)
{
	int r = cgroup_make(&cgroup_machine, limits, parent, ret, err);

	for (size_t i = 0; *ret && i < cgroup_files(*ret)->n; i++)
		strv_push(&p->joins, cgroup_files(*ret)->v[i]);
	return r;
}

/* docker's names. */
static const struct {
	const char *name;
	uint32_t resource;
} ulimits[] = {
	{"core", RLIMIT_CORE},	       {"cpu", RLIMIT_CPU},
	{"data", RLIMIT_DATA},	       {"fsize", RLIMIT_FSIZE},
	{"locks", RLIMIT_LOCKS},       {"memlock", RLIMIT_MEMLOCK},
	{"msgqueue", RLIMIT_MSGQUEUE}, {"nice", RLIMIT_NICE},
	{"nofile", RLIMIT_NOFILE},     {"nproc", RLIMIT_NPROC},
	{"rss", RLIMIT_RSS},	       {"rtprio", RLIMIT_RTPRIO},
	{"rttime", RLIMIT_RTTIME},     {"sigpending", RLIMIT_SIGPENDING},
	{"stack", RLIMIT_STACK},
};

static int find_ulimit(const char *name, uint32_t *ret, struct error **err)
{
	const char *names[ARRAY_SIZE(ulimits)], *near;
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(ulimits); i++) {
		names[i] = ulimits[i].name;
		*ret = ulimits[i].resource;
		if (strcmp(names[i], name) == 0)
			return 0;
	}
	r = error_new(err, ERR_INVALID, 0, "unknown resource limit '%s'", name);
	near = suggest(name, names, ARRAY_SIZE(names), true);
	return near ? error_hint(err, r, "did you mean %s?", near) : r;
}

int exec_ulimit_check(const char *name, struct error **err)
{
	uint32_t resource;

	return find_ulimit(name, &resource, err);
}

int exec_plan_ulimit(struct sandbox_plan *p, const char *name, int64_t soft, int64_t hard,
		     struct error **err)
{
	/* -1 means no limit, which is the largest number, too. */
	struct wire_rlimit limit = {.soft = (uint64_t)soft, .hard = (uint64_t)hard};
	int r = find_ulimit(name, &limit.resource, err);

	if (r == 0)
		vec_push(&p->rlimits, limit);
	return r;
}
