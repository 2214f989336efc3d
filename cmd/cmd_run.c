/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln run`: a command in a container that is thrown away. */
#include <stdio.h>
#include <string.h>

#include "cmd/build/build_values.h"
#include "cmd/cli/session.h"
#include "cmd/cli/show.h"
#include "cmd/commands.h"
#include "cmd/progress/display.h"
#include "engine/engine.h"
#include "engine/exec/container.h"
#include "engine/sandbox/sandbox.h"
#include "engine/sandbox/userns.h"
#include "store/blob.h"
#include "store/index.h"
#include "store/layer.h"

enum {
	CONFIG_MAX = 8 << 20,
	RUN_FAILED = 125, /* kiln's own failure, as docker */
};

struct run_options {
	struct container_options container;
	struct strv add_hosts;
	const char *image, *network, *name;
	struct platform platform; /* of an image to be pulled */
	bool remove;
};

/* docker's names: bridge is the isolated network. */
static int parse_network(struct run_options *o, struct error **err)
{
	const char *n = o->network;

	if (!n || strcmp(n, "default") == 0 || strcmp(n, "bridge") == 0)
		o->container.network = NETWORK_DEFAULT;
	else if (strcmp(n, "host") == 0)
		o->container.network = NETWORK_HOST;
	else if (strcmp(n, "none") == 0)
		o->container.network = NETWORK_NONE;
	else
		return error_new(err, ERR_INVALID, 0,
				 "--network: \"%s\" is not default, bridge, host or none", n);
	if (o->container.publish.n > 0 && o->container.network != NETWORK_DEFAULT)
		return error_new(err, ERR_INVALID, 0,
				 "--publish needs the default network: with --network=%s %s", n,
				 o->container.network == NETWORK_HOST
					 ? "the process's ports are the host's already"
					 : "there is nothing to publish");
	return 0;
}

static int parse_hosts(struct run_options *o, struct error **err)
{
	for (size_t i = 0; i < o->add_hosts.n; i++) {
		_cleanup_free_ char *name = NULL, *address = NULL;
		int r = build_value_host(o->add_hosts.v[i], &name, &address, err);

		if (r < 0)
			return r;
		strv_pushf(&o->container.hosts, "%s=%s", name, address);
	}
	return 0;
}

static int pull_missing(struct engine *e, const struct run_options *o, struct image *image,
			struct error **err)
{
	struct display *display;
	bool found = false;
	struct image_source source = {.config = BUF_INIT};
	int r = display_open(DISPLAY_AUTO, "Pulling", &display, err);

	if (r < 0)
		return r;
	r = image_pull(e->store, e->registry, o->image, &o->platform, display_progress(display),
		       e->cancel, &source, err);
	display_close(display, r < 0);
	if (r == 0)
		r = image_by_manifest(e->store, &source.manifest, &found, image, err);
	image_source_release(&source);
	if (r == 0 && !found)
		r = error_new(err, ERR_NOTFOUND, 0, "no such image: %s", o->image);
	return r;
}

static int find(struct engine *e, const struct run_options *o, struct image *image,
		struct error **err)
{
	_cleanup_(error_freep) struct error *missing = NULL;
	int r = image_find(e->store, o->image, image, NULL, &missing);

	if (r != -ERR_NOTFOUND) {
		if (r < 0)
			*err = TAKE_PTR(missing);
		return r;
	}
	r = pull_missing(e, o, image, err);
	return r == -ERR_NOTFOUND && error_hint_text(missing)
		       ? error_hint(err, r, "%s", error_hint_text(missing))
		       : r;
}

/* What the container has not, though it looks as if it had. */
static void notice(const struct run_options *o, const struct engine *e)
{
	const char *shared = sandbox_env_shares_network(e->sandbox);

	if (shared && o->container.network == NETWORK_DEFAULT)
		show(stderr, "WARNING: the container shares this machine's network: %s\n", shared);
	if (userns_single())
		(void)fprintf(stderr, "WARNING: %s\n", userns_single_notice());
}

/* Unpacks the image's layers. What is damaged is told from what is not first, so that it comes
 * again where it can. */
static int require_whole(struct engine *e, const struct image *image, struct error **err)
{
	struct store *s = e->store;
	bool gone;
	int r = layer_forget_gone(s, image->layers, image->n_layers, &gone, err);

	for (size_t i = 0; r == 0 && i < image->n_layers; i++) {
		struct index *index = NULL;

		(void)!layer_index(s, image->layers[i], &index, NULL);
		index_unref(index);
	}
	return r < 0 ? r
		     : layers_require(s, e->registry, NULL, image->layers, image->n_layers, err);
}

static int run(struct run_options *o, struct store *s, int *ret_status, struct error **err)
{
	_cleanup_(engine_closep) struct engine *e = NULL;
	_cleanup_(image_release) struct image image = {0};
	_cleanup_buf_ struct buf bytes = BUF_INIT;
	struct image_config config;
	int r = engine_open(s, session_cancel(), &e, err);

	if (r == 0)
		r = find(e, o, &image, err);
	if (r == 0)
		r = require_whole(e, &image, err);
	if (r == 0)
		r = blob_read(s, &image.config, CONFIG_MAX, &bytes, err);
	if (r == 0)
		r = image_config_parse(bytes.p, bytes.n, &config, err);
	if (r < 0)
		return r;
	o->container.store = s;
	o->container.env = e->sandbox;
	o->container.config = &config;
	o->container.layers = image.layers;
	o->container.n_layers = image.n_layers;
	notice(o, e);
	r = container_run(&o->container, ret_status, err);
	if (sandbox_outer_proc())
		(void)fprintf(stderr, "WARNING: %s\n", SANDBOX_OUTER_PROC_NOTICE);
	image_config_release(&config);
	return r;
}

static int fail(int r, struct error **err)
{
	int status = error_exit_status(*err);

	(void)!session_fail(r, err);
	return status ? status : RUN_FAILED;
}

static int finish(struct run_options *o, struct error **err)
{
	_cleanup_(store_closep) struct store *s = NULL;
	int status = 0, r = session_open_store_for_image(&s, err);

	if (r == 0)
		r = run(o, s, &status, err);
	return r < 0 ? fail(r, err) : status;
}

static void run_options_release(struct run_options *o)
{
	strv_release(&o->container.args);
	strv_release(&o->container.environment);
	strv_release(&o->container.volumes);
	strv_release(&o->container.publish);
	strv_release(&o->container.hosts);
	strv_release(&o->add_hosts);
}

/* Why options of `docker run` are not there, and what does instead. */
static char detached[] =
	"kiln run stays in the foreground, and keeps no containers; a shell puts it "
	"into the background (kiln run ... &), a service manager starts it again";
static char devices[] = "containers get no devices of this machine";
static char env_file[] = "give each variable with -e NAME=VALUE";
static char limits[] = "kiln run sets no limits; systemd-run --scope -p MemoryMax=1G kiln run ... "
		       "does";
static char mount[] = "write it as -v SOURCE:TARGET[:ro]";
static char publish[] = "name each port, as in -p 8080:80";
static char rights[] = "containers have docker's default rights, no more and no less";

int cmd_run(const struct command *self, int argc, char **argv)
{
	_cleanup_(run_options_release) struct run_options o = {.platform = platform_host()};
	struct container_options *c = &o.container;
	const struct opt table[] = {
		{"add-host", 0, OPT_LIST, &o.add_hosts, "HOST:IP", "Add a line to /etc/hosts"},
		{"entrypoint", 0, OPT_STRING, &c->entrypoint, "PROGRAM",
		 "Run this instead of the image's entrypoint"},
		{"env", 'e', OPT_LIST, &c->environment, "NAME[=VALUE]",
		 "Set an environment variable"},
		{"hostname", 'h', OPT_STRING, &c->hostname, "NAME", "Host name inside"},
		{"init", 0, OPT_BOOL, &c->init, NULL,
		 "Put an init before the process: it reaps orphans and passes signals on"},
		{"interactive", 'i', OPT_BOOL, &c->interactive, NULL, "Pass standard input on"},
		{"name", 0, OPT_STRING, &o.name, "NAME", "Accepted; containers are not kept"},
		{"network", 0, OPT_STRING, &o.network, "MODE", "default (bridge), host or none"},
		{"platform", 0, OPT_PLATFORM, &o.platform, "PLATFORM",
		 "Platform of an image that has to be pulled"},
		{"publish", 'p', OPT_LIST, &c->publish, "[IP:]HOST:PORT[/udp]",
		 "Publish a port of the container"},
		{"rm", 0, OPT_BOOL, &o.remove, NULL, "Accepted; containers are not kept"},
		{"tty", 't', OPT_BOOL, &c->tty, NULL, "Give the process a terminal"},
		{"user", 'u', OPT_STRING, &c->user, "USER[:GROUP]", "Run as this user"},
		{"volume", 'v', OPT_LIST, &c->volumes, "HOST:CONTAINER[:ro]",
		 "Mount a directory or file of the host"},
		{"workdir", 'w', OPT_STRING, &c->workdir, "DIR", "Working directory"},
		{"label", 'l', OPT_IGNORED, NULL, NULL, NULL},
		{"net", 0, OPT_STRING, &o.network, NULL, NULL},
		{"cap-add", 0, OPT_REFUSED, rights, NULL, NULL},
		{"cap-drop", 0, OPT_REFUSED, rights, NULL, NULL},
		{"cpus", 0, OPT_REFUSED, limits, NULL, NULL},
		{"detach", 'd', OPT_REFUSED, detached, NULL, NULL},
		{"device", 0, OPT_REFUSED, devices, NULL, NULL},
		{"env-file", 0, OPT_REFUSED, env_file, NULL, NULL},
		{"gpus", 0, OPT_REFUSED, devices, NULL, NULL},
		{"memory", 'm', OPT_REFUSED, limits, NULL, NULL},
		{"mount", 0, OPT_REFUSED, mount, NULL, NULL},
		{"privileged", 0, OPT_REFUSED, rights, NULL, NULL},
		{"publish-all", 'P', OPT_REFUSED, publish, NULL, NULL},
		{"restart", 0, OPT_REFUSED, detached, NULL, NULL},
		{0},
	};
	_cleanup_strv_ struct strv args = {0};
	struct error *err = NULL;
	int status;

	if (!session_begin(self, table, argc, argv, OPT_STOP_AT_ARGUMENT, &args, &status))
		return status ? RUN_FAILED : 0;
	if (args.n == 0) {
		(void)session_misuse(self, "needs an image");
		return RUN_FAILED;
	}
	if (parse_network(&o, &err) < 0 || parse_hosts(&o, &err) < 0) {
		(void)!session_usage(self, &err);
		return RUN_FAILED;
	}
	o.image = args.v[0];
	for (size_t i = 1; i < args.n; i++)
		strv_push(&c->args, args.v[i]);
	return finish(&o, &err);
}
