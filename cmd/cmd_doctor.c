/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln doctor` and `kiln info`: what this machine offers, as a table or as JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/json.h"
#include "base/platform.h"
#include "cmd/cli/session.h"
#include "cmd/cli/show.h"
#include "cmd/cli/table.h"
#include "cmd/cli/template.h"
#include "cmd/commands.h"
#include "engine/doctor/doctor.h"

static const char *state_name(enum finding_grade grade)
{
	static const char *const names[] = {"ok", "less", "fails"};

	return names[grade];
}

static const char *driver(const struct doctor *d)
{
	return d->overlay ? "overlay" : "copy";
}

static json_t *strings(const struct strv *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->n; i++)
		json_array_append_new(list, json_string(s->v[i]));
	return list;
}

static json_t *findings_json(const struct findings *f)
{
	json_t *list = json_array();

	for (size_t i = 0; i < f->list.n; i++) {
		const struct finding *one = &f->list.v[i];

		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:s, s:s}", "Check", one->topic,
						"State", state_name(one->grade), "Finding",
						one->what, "Mend", one->mend ? one->mend : ""));
	}
	return list;
}

static json_t *warnings_json(const struct findings *f)
{
	json_t *list = json_array();

	for (size_t i = 0; i < f->list.n; i++)
		if (f->list.v[i].grade != FINDING_FINE)
			json_array_append_new(list, json_string(f->list.v[i].what));
	return list;
}

/* The names that `docker info` has for what kiln has, too, and those of kiln. */
static json_t *document(const struct doctor *d, const char *store)
{
	const struct platform host = platform_host();
	_cleanup_free_ char *cgroups = xasprintf("%d", d->cgroups);
	struct utsname name;
	json_t *doc, *more, *security = json_array();

	(void)uname(&name);
	json_array_append_new(security, json_string("name=seccomp,profile=builtin"));
	if (d->rootless)
		json_array_append_new(security, json_string("name=rootless"));
	doc = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:o, s:o}", "ServerVersion",
			version_number(), "DockerRootDir", store, "Driver", driver(d),
			"CgroupDriver", d->cgroups ? "cgroupfs" : "none", "CgroupVersion", cgroups,
			"KernelVersion", name.release, "OSType", host.os, "Architecture",
			name.machine, "NCPU", (json_int_t)sysconf(_SC_NPROCESSORS_ONLN),
			"SecurityOptions", security, "Warnings", warnings_json(&d->findings));
	more = json_pack("{s:s, s:s, s:s, s:I, s:I, s:b, s:b, s:o, s:o, s:b, s:o}", "Version",
			 version_number(), "StorePath", store, "BackingFilesystem", d->filesystem,
			 "StoreFree", (json_int_t)d->free, "StoreSize", (json_int_t)d->size,
			 "Rootless", d->rootless, "SingleId", d->single, "Platforms",
			 strings(&d->platforms), "Mirrors", strings(&d->mirrors), "Works",
			 findings_worst(&d->findings) != FINDING_BAD, "Findings",
			 findings_json(&d->findings));
	json_object_update(doc, more);
	json_decref(more);
	return doc;
}

static void print_facts(const struct doctor *d, const char *store)
{
	_cleanup_free_ char *libraries = version_libraries();
	_cleanup_free_ char *platforms = strv_join(&d->platforms, ", ");

	printf("Version: %s\n", version_number());
	show(stdout, "Store Path: %s\n", store);
	printf("Storage Driver: %s\n Backing Filesystem: %s\n", driver(d), d->filesystem);
	if (d->cgroups > 0)
		printf("Cgroup Version: %d\n", d->cgroups);
	else
		printf("Cgroup Version: none\n");
	printf("Platforms: %s\nRootless: %s\nLibraries: %s\n\n", platforms,
	       !d->rootless ? "no"
	       : d->single  ? "yes, with one id"
			    : "yes",
	       libraries);
}

static void print_findings(const struct findings *f)
{
	struct table table = {.columns = 3};
	bool any = false;

	table_cell(&table, "CHECK");
	table_cell(&table, "STATE");
	table_cell(&table, "FINDING");
	for (size_t i = 0; i < f->list.n; i++) {
		table_cell(&table, f->list.v[i].topic);
		table_cell(&table, state_name(f->list.v[i].grade));
		table_cell(&table, f->list.v[i].what);
	}
	table_print(&table, stdout);
	table_release(&table);
	for (size_t i = 0; i < f->list.n; i++) {
		const struct finding *one = &f->list.v[i];

		if (!one->mend)
			continue;
		if (!any)
			printf("\nWhat helps (docs/where-kiln-runs.md explains it):\n");
		any = true;
		show(stdout, "  %s: %s\n", one->topic, one->mend);
	}
}

int cmd_doctor(const struct command *self, int argc, char **argv)
{
	const char *format = NULL;
	const struct opt table[] = {
		{"format", 'f', OPT_STRING, &format, "TEMPLATE",
		 "Print as json, or with a Go template such as {{.Driver}}"},
		{0},
	};
	_cleanup_(doctor_release) struct doctor d = {0};
	_cleanup_free_ char *store = NULL;
	_cleanup_strv_ struct strv args = {0};
	struct error *err = NULL;
	int status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	if (args.n > 0)
		return session_misuse(self, "takes no arguments");
	store = session_store_root();
	doctor_look(store, &d);
	if (format) {
		int r = template_print_document(format, document(&d, store), &err);

		if (r < 0)
			return session_fail(r, &err);
	} else {
		print_facts(&d, store);
		print_findings(&d.findings);
	}
	return findings_worst(&d.findings) == FINDING_BAD ? EXIT_FAILED : 0;
}
