#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/platform.h"
#include "cmd/build_info.h"
#include "cmd/commands.h"
#include "cmd/session.h"
#include "cmd/template.h"

/* What kiln was built with, as pkg-config named it then: asking the libraries themselves would load
 * those that are loaded on demand. */
static const struct {
	const char *name, *version;
} libraries[] = {
	{"libcrypto", KILN_WITH_CRYPTO},   {"libcurl", KILN_WITH_CURL},
	{"libarchive", KILN_WITH_ARCHIVE}, {"libgit2", KILN_WITH_GIT2},
	{"libseccomp", KILN_WITH_SECCOMP}, {"sqlite", KILN_WITH_SQLITE},
	{"zstd", KILN_WITH_ZSTD},	   {"jansson", KILN_WITH_JANSSON},
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

static int print_formatted(const char *text, struct error **err)
{
	_cleanup_(template_freep) struct template *format = NULL;
	_cleanup_json_ json_t *document = version_json();
	_cleanup_buf_ struct buf out = BUF_INIT;
	int r = 0;

	if (strcmp(text, "json") == 0) {
		js_dump_go(document, 0, false, &out);
	} else {
		r = template_parse(text, &format, err);
		if (r == 0)
			r = template_execute(format, document, &out, err);
	}
	if (r < 0)
		return r;
	buf_addc(&out, '\n');
	(void)fwrite(out.p, 1, out.n, stdout);
	return 0;
}

static void print_text(void)
{
	const struct platform host = platform_host();

	version_line();
	if (*KILN_COMMIT)
		printf(" commit:    %s\n date:      %s\n", KILN_COMMIT, KILN_COMMIT_DATE);
	printf(" platform:  %s/%s\n libraries:", host.os, host.arch);
	for (size_t i = 0; i < ARRAY_SIZE(libraries); i++)
		printf("%s %s %s", i == 0 ? "" : ",", libraries[i].name, libraries[i].version);
	putchar('\n');
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
		r = print_formatted(format, &err);
	else
		print_text();
	return r < 0 ? session_fail(r, &err) : 0;
}
