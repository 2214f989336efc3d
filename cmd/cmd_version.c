/* SPDX-License-Identifier: Apache-2.0 */
/* `kiln version`: what the program is, and what it was built from and with. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/platform.h"
#include "cmd/build_info.h"
#include "cmd/cli/session.h"
#include "cmd/cli/template.h"
#include "cmd/commands.h"

/* What kiln was built with, as pkg-config named it then: asking the libraries themselves would load
 * those that are loaded on demand. */
static const struct {
	const char *name, *version;
} libraries[] = {
	{"libcrypto", KILN_WITH_CRYPTO},      {"libcurl", KILN_WITH_CURL},
	{"libarchive", KILN_WITH_ARCHIVE},    {"expat", KILN_WITH_EXPAT},
	{"libgit2", KILN_WITH_GIT2},	      {"nghttp2", KILN_WITH_NGHTTP2},
	{"protobuf-c", KILN_WITH_PROTOBUF_C}, {"libseccomp", KILN_WITH_SECCOMP},
	{"sqlite", KILN_WITH_SQLITE},	      {"zstd", KILN_WITH_ZSTD},
	{"jansson", KILN_WITH_JANSSON},
};

static json_t *components(void)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(libraries); i++)
		json_array_append_new(list, json_pack("{s:s, s:s}", "Name", libraries[i].name,
						      "Version", libraries[i].version));
	return list;
}

/* docker's document. There is no server beside the program, so it stands for both: scripts ask for
 * either. */
static json_t *version_json(void)
{
	const struct platform host = platform_host();
	json_t *side = json_pack("{s:{s:s}, s:s, s:s, s:s, s:s, s:s, s:o}", "Platform", "Name",
				 "kiln", "Version", KILN_VERSION, "GitCommit", KILN_COMMIT,
				 "BuildTime", KILN_COMMIT_DATE, "Os", host.os, "Arch", host.arch,
				 "Components", components());

	return json_pack("{s:O, s:o}", "Client", side, "Server", side);
}

const char *version_number(void)
{
	return KILN_VERSION;
}

char *version_libraries(void)
{
	_cleanup_strv_ struct strv names = {0};

	for (size_t i = 0; i < ARRAY_SIZE(libraries); i++)
		strv_pushf(&names, "%s %s", libraries[i].name, libraries[i].version);
	return strv_join(&names, ", ");
}

static void print_text(void)
{
	const struct platform host = platform_host();
	_cleanup_free_ char *names = version_libraries();

	version_line();
	if (*KILN_COMMIT)
		printf(" commit:    %s\n date:      %s\n", KILN_COMMIT, KILN_COMMIT_DATE);
	printf(" platform:  %s/%s\n libraries: %s\n", host.os, host.arch, names);
}

void version_line(void)
{
	printf("kiln version %s%s%.7s\n", KILN_VERSION, *KILN_COMMIT ? ", build " : "",
	       KILN_COMMIT);
}

int cmd_version(const struct command *self, int argc, char **argv)
{
	const char *format = NULL;
	const struct opt table[] = {
		{"format", 'f', OPT_STRING, &format, "TEMPLATE",
		 "Print as json, or with a Go template such as {{.Client.Version}}"},
		{0},
	};
	_cleanup_strv_ struct strv args = {0};
	struct error *err = NULL;
	int r = 0, status;

	if (!session_begin(self, table, argc, argv, 0, &args, &status))
		return status;
	if (args.n > 0)
		return session_misuse(self, "takes no arguments");
	if (format)
		r = template_print_document(format, version_json(), &err);
	else
		print_text();
	return r < 0 ? session_fail(r, &err) : 0;
}
