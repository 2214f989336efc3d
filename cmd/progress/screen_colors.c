/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/progress/screen_colors.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/number.h"

static const struct {
	const char *name;
	int code;
} names[] = {
	{"default", 39},      {"black", 30},	   {"red", 31},		  {"green", 32},
	{"yellow", 33},	      {"blue", 34},	   {"magenta", 35},	  {"cyan", 36},
	{"white", 37},	      {"light-black", 90}, {"light-red", 91},	  {"light-green", 92},
	{"light-yellow", 93}, {"light-blue", 94},  {"light-magenta", 95}, {"light-cyan", 96},
	{"light-white", 97},
};

static bool color_by_name(const char *value, char ret[static COLOR_TEXT])
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcasecmp(value, names[i].name) == 0) {
			snprintf(ret, COLOR_TEXT, "\033[%dm", names[i].code);
			return true;
		}
	}
	return false;
}

/* "255,165,0" */
static bool color_by_parts(const char *value, char ret[static COLOR_TEXT])
{
	_cleanup_free_ char *text = xstrdup(value);
	uint64_t part[3];
	char *rest = text;

	for (size_t i = 0; i < ARRAY_SIZE(part); i++) {
		char *word = strsep(&rest, ",");

		if (!word || number_parse(word, 10, 255, &part[i]) < 0)
			return false;
	}
	if (rest)
		return false;
	snprintf(ret, COLOR_TEXT, "\033[38;2;%u;%u;%um", (unsigned)part[0], (unsigned)part[1],
		 (unsigned)part[2]);
	return true;
}

static void set_color(struct screen_colors *c, char *entry, struct strv *complaints)
{
	char *value = strchr(entry, '='), *slot = NULL, parsed[COLOR_TEXT];

	if (!value) {
		strv_pushf(complaints, "BUILDKIT_COLORS: \"%s\" is not KEY=COLOR", entry);
		return;
	}
	*value++ = '\0';
	slot = strcasecmp(entry, "run") == 0	   ? c->run
	       : strcasecmp(entry, "cancel") == 0  ? c->cancel
	       : strcasecmp(entry, "warning") == 0 ? c->warning
	       : strcasecmp(entry, "error") == 0   ? c->error
						   : NULL;
	if (!slot)
		strv_pushf(complaints,
			   "BUILDKIT_COLORS: \"%s\" is not run, cancel, warning or error", entry);
	else if (!color_by_name(value, parsed) && !color_by_parts(value, parsed))
		strv_pushf(complaints,
			   "BUILDKIT_COLORS: \"%s\" is neither the name of a color nor three "
			   "numbers up to 255",
			   value);
	else
		memcpy(slot, parsed, sizeof(parsed));
}

void screen_colors_init(struct screen_colors *c, const char *no_color, const char *spec,
			struct strv *ret_complaints)
{
	_cleanup_free_ char *text = spec ? xstrdup(spec) : NULL;

	*c = (struct screen_colors){.on = !no_color || !*no_color};
	if (!c->on)
		return;
	(void)color_by_name("blue", c->run);
	(void)color_by_name("yellow", c->cancel);
	(void)color_by_name("yellow", c->warning);
	(void)color_by_name("red", c->error);
	for (char *rest = text, *entry; (entry = strsep(&rest, ":"));)
		if (*entry)
			set_color(c, entry, ret_complaints);
}
