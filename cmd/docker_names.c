/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/docker_names.h"
#include "cmd/cli/session.h"
#include "cmd/commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_CONTAINERS \
	"kiln keeps no containers: kiln run runs one in the foreground and throws it away"
#define NO_DAEMON "it is about docker's daemon, and kiln has none"
#define NO_SWARM "kiln runs no services: it builds images"
#define NO_SCAN "kiln looks for no flaws in images; scanners read what kiln save writes"

static const struct {
	const char *names, *why; /* parted by blanks */
} missing[] = {
	{"attach commit container cp create diff exec export kill logs pause port ps rename "
	 "restart rm start stats stop top unpause update wait",
	 NO_CONTAINERS},
	{"network", "kiln keeps no networks: each step and container has its own, see "
		    "--network of build and run"},
	{"volume", "kiln keeps no volumes: run -v shows folders, and kiln mounts lists the "
		   "directories of RUN --mount=type=cache"},
	{"compose", "kiln builds single images: docker compose or podman compose can run them "
		    "once they are pushed or loaded"},
	{"config node secret service stack swarm", NO_SWARM},
	{"events plugin checkpoint", NO_DAEMON},
	{"scan scout sbom", NO_SCAN},
	{"trust", "kiln signs nothing; cosign signs what is pushed"},
	{"search", "registries have no common search; kiln imagetools inspect NAME looks at one "
		   "image"},
	{"init", "kiln writes no Dockerfiles"},
	{"model mcp sandbox desktop extension ai offload", "it belongs to Docker Desktop"},
};

static const struct {
	const char *group, *names, *why;
} missing_grouped[] = {
	{"buildx", "dial-stdio stop",
	 "a build runs in its own process, so there is no builder to talk to or to stop"},
	{"buildx", "install uninstall", "kiln build is the builder already"},
	{"buildx", "policy dap debug", "see kiln build --check and kiln debug"},
	{"context", "create export import rm update",
	 "kiln has one context: it builds here, in its store"},
	{"manifest", "annotate create push rm",
	 "kiln imagetools create makes an index of images and pushes it"},
	{"system", "events dial-stdio", NO_DAEMON},
};

static bool lists(const char *names, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = names; *p; p += strcspn(p, " "), p += *p == ' ')
		if (strncmp(p, name, n) == 0 && (p[n] == ' ' || p[n] == '\0'))
			return true;
	return false;
}

const char *docker_command_missing(const char *group, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(missing_grouped); i++)
		if (strcmp(missing_grouped[i].group, group) == 0 &&
		    lists(missing_grouped[i].names, name))
			return missing_grouped[i].why;
	for (size_t i = 0; !*group && i < ARRAY_SIZE(missing); i++)
		if (lists(missing[i].names, name))
			return missing[i].why;
	return NULL;
}

/* A daemon of this machine would build where kiln does; one elsewhere is meant. */
static int check_host(const char *host, struct error **err)
{
	int r;

	if (!host || strncmp(host, "unix://", 7) == 0 || strncmp(host, "fd://", 5) == 0)
		return 0;
	r = error_new(err, ERR_INVALID, 0, "--host %s: kiln has no daemon, here or elsewhere",
		      host);
	return error_hint(err, r, "it builds where it runs, so run it there (ssh HOST kiln ...)");
}

static int check_context(const char *context, struct error **err)
{
	if (!context || !*context || strcmp(context, "default") == 0)
		return 0;
	return error_new(err, ERR_INVALID, 0,
			 "--context %s: kiln has the context \"default\" alone: it builds here, in "
			 "its store",
			 context);
}

static int check_level(const char *level, struct error **err)
{
	static const char levels[] = "debug info warn error fatal";

	if (!level || (*level && lists(levels, level)))
		return 0;
	return error_new(err, ERR_INVALID, 0, "--log-level \"%s\" is not one of %s", level, levels);
}

struct options {
	bool debug, version, tls, tlsverify;
	const char *config, *context, *host, *level, *ca, *cert, *key;
};

static int apply(const struct options *o, struct error **err)
{
	int r = check_host(o->host, err);

	if (r == 0)
		r = check_context(o->context, err);
	if (r == 0)
		r = check_level(o->level, err);
	if (r == 0 && o->config && setenv("DOCKER_CONFIG", o->config, 1) < 0)
		r = error_new(err, ERR_INVALID, 0, "--config needs a folder");
	return r;
}

bool docker_options_take(int *argc, char ***argv, int *ret_status)
{
	struct options o = {0};
	const struct command self = {"", NULL, "[OPTIONS] COMMAND", NULL};
	const struct opt table[] = {
		{"config", 0, OPT_STRING, &o.config, NULL, NULL},
		{"context", 'c', OPT_STRING, &o.context, NULL, NULL},
		{"debug", 'D', OPT_BOOL, &o.debug, NULL, NULL},
		{"host", 'H', OPT_STRING, &o.host, NULL, NULL},
		{"log-level", 'l', OPT_STRING, &o.level, NULL, NULL},
		{"tls", 0, OPT_BOOL, &o.tls, NULL, NULL},
		{"tlscacert", 0, OPT_STRING, &o.ca, NULL, NULL},
		{"tlscert", 0, OPT_STRING, &o.cert, NULL, NULL},
		{"tlskey", 0, OPT_STRING, &o.key, NULL, NULL},
		{"tlsverify", 0, OPT_BOOL, &o.tlsverify, NULL, NULL},
		{"version", 'v', OPT_BOOL, &o.version, NULL, NULL},
		{0},
	};
	_cleanup_strv_ struct strv args = {0};
	struct error *err = NULL;
	bool help = false;
	int r = opt_parse(table, *argc, *argv, OPT_STOP_AT_ARGUMENT, &args, &help, &err);

	if (r == 0)
		r = apply(&o, &err);
	if (r < 0) {
		*ret_status = session_usage(&self, &err);
		return false;
	}
	if (help || o.version) {
		static char help_word[] = "--help", version_word[] = "--version";

		(*argv)[1] = help ? help_word : version_word;
		*argc = 2;
		return true;
	}
	*argv += *argc - (int)args.n - 1;
	*argc = (int)args.n + 1;
	return true;
}
