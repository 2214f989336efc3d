/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/bake/bake_options.h"

#include <string.h>

#include "base/attrs.h"

/* --no-cache is short for --set *.no-cache=true. */
static int add_truth(struct bake_options *o, const char *key, const char *value, struct error **err)
{
	bool on = true;
	int r = value && *value ? attrs_bool(key, value, &on, err) : 0;

	if (r == 0 && value)
		strv_pushf(&o->sets, "*.%s=%s", key, on ? "true" : "false");
	return r;
}

/* --sbom=true, and --provenance=mode=max */
static void add_attestation(struct bake_options *o, const char *type, const char *value)
{
	bool on = true;

	if (!value || !*value)
		return;
	if (attrs_bool(type, value, &on, NULL) == 0)
		strv_pushf(&o->sets, "*.attest=type=%s,disabled=%s", type, on ? "false" : "true");
	else
		strv_pushf(&o->sets, "*.attest=type=%s,%s", type, value);
}

static int check_vars(const struct bake_options *o, struct error **err)
{
	for (size_t i = 0; i < o->vars.n; i++)
		if (*o->vars.v[i] && (*o->vars.v[i] == '=' || !strchr(o->vars.v[i], '=')))
			return error_new(err, ERR_INVALID, 0, "--var \"%s\" is not NAME=VALUE",
					 o->vars.v[i]);
	return 0;
}

static int finish(struct bake_options *o, struct error **err)
{
	int r = check_vars(o, err);

	if (o->push)
		strv_push(&o->sets, "*.push=true");
	if (o->load)
		strv_push(&o->sets, "*.load=true");
	if (o->check)
		o->call = "check";
	if (o->call && strcmp(o->call, "build") != 0)
		strv_pushf(&o->sets, "*.call=%.*s", (int)strcspn(o->call, ","), o->call);
	if (r == 0)
		r = add_truth(o, "no-cache", o->no_cache, err);
	if (r == 0)
		r = add_truth(o, "pull", o->pull, err);
	add_attestation(o, "sbom", o->sbom);
	add_attestation(o, "provenance", o->provenance);
	if (o->list_targets)
		o->list = "targets";
	if (o->list_variables)
		o->list = "variables";
	if (r == 0 && o->print && o->list)
		r = error_new(err, ERR_INVALID, 0, "--print and --list exclude each other");
	if (r == 0 && o->policy.n > 0)
		r = error_new(err, ERR_UNSUPPORTED, 0, "--policy is not supported");
	return r;
}

int bake_options_parse(struct bake_options *o, const struct command *self, int argc, char **argv,
		       struct error **err)
{
	const struct opt table[] = {
		{"allow", 0, OPT_LIST, &o->allow, "ENTITLEMENT",
		 "Allow fs=, fs.read=, fs.write= (with a path), network.host, security.insecure, "
		 "ssh"},
		{"call", 0, OPT_STRING, &o->call, "METHOD", "build, check, outline or targets"},
		{"check", 0, OPT_BOOL, &o->check, NULL, "Only check the Dockerfiles"},
		{"file", 'f', OPT_LIST, &o->files, "FILE",
		 "Bake file, - for stdin (default: docker-bake.hcl or .json)"},
		{"list", 0, OPT_STRING, &o->list, "WHAT",
		 "Print \"targets\" or \"variables\" and build nothing"},
		{"load", 0, OPT_BOOL, &o->load, NULL, "Put the images into the local store"},
		{"metadata-file", 0, OPT_STRING, &o->metadata_file, "FILE",
		 "Write what was built to a JSON file"},
		{"no-cache", 0, OPT_OPTIONAL, &o->no_cache, "BOOL", "Run every step"},
		{"policy", 0, OPT_LIST, &o->policy, "SPEC", NULL},
		{"print", 0, OPT_BOOL, &o->print, NULL, "Print the plan as JSON and build nothing"},
		{"progress", 0, OPT_STRING, &o->progress, "MODE",
		 "auto, plain, tty, rawjson or quiet"},
		{"provenance", 0, OPT_STRING, &o->provenance, "SPEC",
		 "Short for --set *.attest=type=provenance"},
		{"pull", 0, OPT_OPTIONAL, &o->pull, "BOOL", "Always ask for newer base images"},
		{"push", 0, OPT_BOOL, &o->push, NULL, "Push the images"},
		{"sbom", 0, OPT_STRING, &o->sbom, "SPEC", "Short for --set *.attest=type=sbom"},
		{"set", 0, OPT_LIST, &o->sets, "TARGET.KEY=VALUE",
		 "Set a value of the targets that a pattern fits"},
		{"var", 0, OPT_LIST, &o->vars, "NAME=VALUE", "Set a variable of the bake file"},
		{"list-targets", 0, OPT_BOOL, &o->list_targets, NULL, NULL},
		{"list-variables", 0, OPT_BOOL, &o->list_variables, NULL, NULL},
		{"builder", 0, OPT_IGNORED, NULL, "NAME", NULL},
		{"debug", 'D', OPT_IGNORED_BOOL, NULL, NULL, NULL},
		{0},
	};
	bool help;
	int r = opt_parse(table, argc, argv, 0, &o->targets, &help, err);

	if (help) {
		opt_help(self, table);
		return 1;
	}
	return r < 0 ? r : finish(o, err);
}

void bake_options_release(struct bake_options *o)
{
	strv_release(&o->files);
	strv_release(&o->vars);
	strv_release(&o->allow);
	strv_release(&o->targets);
	strv_release(&o->sets);
	strv_release(&o->policy);
}
