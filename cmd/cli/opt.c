/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/cli/opt.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/csv.h"
#include "base/number.h"
#include "base/suggest.h"
#include "base/times.h"

static struct {
	opt_help_fn *fn;
	void *arg;
} help_reader;

void opt_help_by(opt_help_fn *fn, void *arg)
{
	help_reader.fn = fn;
	help_reader.arg = arg;
}

static const struct opt *find_name(const struct opt *table, const char *name, size_t n)
{
	for (const struct opt *o = table; o->name; o++)
		if (strlen(o->name) == n && memcmp(o->name, name, n) == 0)
			return o;
	return NULL;
}

static const struct opt *find_letter(const struct opt *table, char letter)
{
	for (const struct opt *o = table; o->name; o++)
		if (o->letter && o->letter == letter)
			return o;
	return NULL;
}

bool opt_takes_value(const struct opt *o)
{
	return o->type != OPT_BOOL && o->type != OPT_OPTIONAL && o->type != OPT_IGNORED_BOOL &&
	       o->type != OPT_REFUSED;
}

static int set_bool(const struct opt *o, const char *value, struct error **err)
{
	static const char *const yes[] = {"true", "1", "t"}, *const no[] = {"false", "0", "f"};

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (strcasecmp(value, yes[i]) == 0) {
			*(bool *)o->target = true;
			return 0;
		}
		if (strcasecmp(value, no[i]) == 0) {
			*(bool *)o->target = false;
			return 0;
		}
	}
	return error_new(err, ERR_INVALID, 0,
			 "invalid argument \"%s\" for --%s: must be true or false", value, o->name);
}

static int set(const struct opt *o, const char *value, struct error **err)
{

	switch (o->type) {
	case OPT_BOOL:
		return set_bool(o, value, err);
	case OPT_STRING:
	case OPT_OPTIONAL:
		*(const char **)o->target = value;
		return 0;
	case OPT_LIST:
		strv_push(o->target, value);
		return 0;
	case OPT_CSV:
		csv_names(value, o->target);
		return 0;
	case OPT_INT:
		if (number_parse_signed(value, INT64_MIN, INT64_MAX, o->target) < 0)
			return error_new(err, ERR_INVALID, 0,
					 "invalid argument \"%s\" for --%s: must be a whole number",
					 value, o->name);
		return 0;
	case OPT_SIZE:
		if (times_parse_size(value, o->target) < 0)
			return error_new(err, ERR_INVALID, 0,
					 "invalid argument \"%s\" for --%s: "
					 "must be a size such as 64m or 10GB",
					 value, o->name);
		return 0;
	case OPT_PLATFORM:
		return platform_parse(value, o->target, err);
	case OPT_IGNORED:
	case OPT_IGNORED_BOOL:
		return 0;
	case OPT_REFUSED:
		return error_new(err, ERR_INVALID, 0, "--%s is docker's alone: %s", o->name,
				 (const char *)o->target);
	}
	return 0;
}

static int unknown_name(const struct opt *table, const char *arg, size_t n, struct error **err)
{
	_cleanup_free_ const char **names = NULL;
	_cleanup_free_ char *name = xstrndup(arg, n);
	size_t count = 0;
	const char *near;
	int r;

	for (const struct opt *o = table; o->name; o++)
		count++;
	names = xcalloc(count + 1, sizeof(*names));
	for (size_t i = 0; i < count; i++)
		names[i] = table[i].name;
	near = suggest(name, names, count, true);
	r = error_new(err, ERR_INVALID, 0, "unknown flag: --%s", name);
	if (near)
		error_hint(err, r, "did you mean --%s?", near);
	return r;
}

static int parse_long(const struct opt *table, int argc, char **argv, int *i, bool *help,
		      struct error **err)
{
	const char *arg = argv[*i] + 2, *equals = strchr(arg, '=');
	size_t n = equals ? (size_t)(equals - arg) : strlen(arg);
	const struct opt *o = find_name(table, arg, n);

	if (!o && n == 4 && memcmp(arg, "help", 4) == 0) {
		*help = true;
		return 0;
	}
	if (!o)
		return unknown_name(table, arg, n, err);
	if (equals)
		return set(o, equals + 1, err);
	if (!opt_takes_value(o))
		return set(o, o->type == OPT_BOOL ? "true" : "", err);
	if (*i + 1 >= argc)
		return error_new(err, ERR_INVALID, 0, "flag needs an argument: --%s", o->name);
	return set(o, argv[++*i], err);
}

/* `-tag NAME` would be `-t ag`, and NAME something else. */
static int check_dashes(const struct opt *table, const char *arg, struct error **err)
{
	size_t n = strcspn(arg + 1, "=");
	int r;

	if (n < 3 || !find_name(table, arg + 1, n))
		return 0;
	r = error_new(err, ERR_INVALID, 0, "unknown flag: %s", arg);
	return error_hint(err, r, "did you mean -%s?", arg);
}

static int parse_letters(const struct opt *table, int argc, char **argv, int *i, bool *help,
			 struct error **err)
{
	for (const char *p = argv[*i] + 1; *p; p++) {
		const struct opt *o = find_letter(table, *p);
		int r;

		if (!o && *p == 'h') {
			*help = true;
			return 0;
		}
		if (!o)
			return error_new(err, ERR_INVALID, 0, "unknown shorthand flag: '%c' in %s",
					 *p, argv[*i]);
		if (!opt_takes_value(o)) {
			bool equals = p[1] == '=';

			r = set(o, equals ? p + 2 : o->type == OPT_BOOL ? "true" : "", err);
			if (r < 0 || equals)
				return r;
			continue;
		}
		if (p[1])
			return set(o, p + 1 + (p[1] == '='), err);
		if (*i + 1 >= argc)
			return error_new(err, ERR_INVALID, 0, "flag needs an argument: '%c' in %s",
					 *p, argv[*i]);
		return set(o, argv[++*i], err);
	}
	return 0;
}

int opt_parse(const struct opt *table, int argc, char **argv, unsigned flags, struct strv *args,
	      bool *ret_help, struct error **err)
{
	bool options = true;

	*ret_help = false;
	for (int i = 1; i < argc; i++) {
		int r = 0;

		if (!options || argv[i][0] != '-' || argv[i][1] == '\0') {
			strv_push(args, argv[i]);
			if (flags & OPT_STOP_AT_ARGUMENT)
				options = false;
		} else if (strcmp(argv[i], "--") == 0) {
			options = false;
		} else if (argv[i][1] == '-') {
			r = parse_long(table, argc, argv, &i, ret_help, err);
		} else {
			r = check_dashes(table, argv[i], err);
			if (r == 0)
				r = parse_letters(table, argc, argv, &i, ret_help, err);
		}
		if (r < 0 || *ret_help)
			return r;
	}
	return 0;
}

void opt_help(const struct command *command, const struct opt *table)
{
	if (help_reader.fn) {
		help_reader.fn(command, table, help_reader.arg);
		return;
	}
	printf("Usage: kiln %s %s\n\n%s\n", command->name, command->synopsis, command->summary);
	if (!table[0].name)
		return;
	printf("\nOptions:\n");
	for (const struct opt *o = table; o->name; o++) {
		char left[64];

		if (!o->help)
			continue;
		snprintf(left, sizeof(left), "%c%c%c --%s%s%s", o->letter ? '-' : ' ',
			 o->letter ? o->letter : ' ', o->letter ? ',' : ' ', o->name,
			 o->value ? " " : "", o->value ? o->value : "");
		printf("  %-34s %s\n", left, o->help);
	}
}

bool opt_first_is_help(const struct command *command, int argc, char **argv)
{
	static const struct opt none[] = {{0}};

	if (argc != 2 || (strcmp(argv[1], "--help") != 0 && strcmp(argv[1], "-h") != 0))
		return false;
	opt_help(command, none);
	return true;
}
