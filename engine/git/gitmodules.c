/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/git/gitmodules.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"

struct reader {
	const char *p, *end;
	unsigned line;
};

static int fail(const struct reader *r, const char *why, struct error **err)
{
	return error_new(err, ERR_INVALID, 0, ".gitmodules line %u: %s", r->line, why);
}

static int peek(const struct reader *r)
{
	return r->p < r->end ? (unsigned char)*r->p : -1;
}

static int next(struct reader *r)
{
	int c = peek(r);

	if (c >= 0)
		r->p++;
	if (c == '\n')
		r->line++;
	return c;
}

static void skip_blanks(struct reader *r)
{
	while (peek(r) == ' ' || peek(r) == '\t' || peek(r) == '\r')
		next(r);
}

static void skip_line(struct reader *r)
{
	while (peek(r) >= 0 && peek(r) != '\n')
		next(r);
}

/* [submodule "name"]: *ret_name is NULL for any other section. */
static int read_section(struct reader *r, char **ret_name, struct error **err)
{
	_cleanup_buf_ struct buf section = BUF_INIT, name = BUF_INIT;
	bool quoted = false;
	int c;

	next(r);
	while (isalnum(peek(r)) || peek(r) == '-' || peek(r) == '.')
		buf_addc(&section, (char)next(r));
	skip_blanks(r);
	if (peek(r) == '"') {
		quoted = true;
		next(r);
		while ((c = next(r)) != '"') {
			if (c == '\\')
				c = next(r);
			if (c < 0 || c == '\n' || c == '\0')
				return fail(r, "the section's name does not end", err);
			buf_addc(&name, (char)c);
		}
	}
	if (next(r) != ']')
		return fail(r, "a section must end with \"]\"", err);
	*ret_name = quoted && strcasecmp(section.p, "submodule") == 0 ? buf_take(&name) : NULL;
	return 0;
}

static int read_escape(struct reader *r, struct buf *value, struct error **err)
{
	int c = next(r);

	if (c == '\r' && peek(r) == '\n')
		c = next(r);
	switch (c) {
	case '\n':
		return 0;
	case 't':
		buf_addc(value, '\t');
		return 0;
	case 'b':
		buf_addc(value, '\b');
		return 0;
	case 'n':
		buf_addc(value, '\n');
		return 0;
	case '\\':
	case '"':
		buf_addc(value, (char)c);
		return 0;
	default:
		return fail(r, "unknown escape", err);
	}
}

/* To the end of the line; blanks at the end and comments do not count outside quotes. */
static int read_value(struct reader *r, struct buf *value, struct error **err)
{
	bool quoted = false;
	size_t keep = 0;

	skip_blanks(r);
	for (;;) {
		int c = peek(r), k = 0;

		if (c < 0 || c == '\n' || (!quoted && (c == '#' || c == ';')))
			break;
		next(r);
		if (c == '\0')
			return fail(r, "it has a NUL byte", err);
		if (c == '"')
			quoted = !quoted;
		else if (c == '\\')
			k = read_escape(r, value, err);
		else
			buf_addc(value, (char)c);
		if (k < 0)
			return k;
		if (quoted || (c != ' ' && c != '\t' && c != '\r'))
			keep = value->n;
	}
	if (quoted)
		return fail(r, "a quote does not end", err);
	skip_line(r);
	buf_truncate(value, keep);
	return 0;
}

static int read_variable(struct reader *r, struct gitmodule *m, struct error **err)
{
	_cleanup_buf_ struct buf name = BUF_INIT, value = BUF_INIT;
	char **field = NULL;
	int k = 0;

	while (isalnum(peek(r)) || peek(r) == '-')
		buf_addc(&name, (char)next(r));
	if (name.n == 0)
		return fail(r, "neither a section nor a variable", err);
	skip_blanks(r);
	if (peek(r) == '=') {
		next(r);
		k = read_value(r, &value, err);
	} else if (peek(r) >= 0 && peek(r) != '\n' && peek(r) != '#' && peek(r) != ';') {
		return fail(r, "a variable's name must be followed by \"=\"", err);
	} else {
		skip_line(r);
	}
	if (k < 0 || !m)
		return k;
	if (strcasecmp(name.p, "path") == 0)
		field = &m->path;
	else if (strcasecmp(name.p, "url") == 0)
		field = &m->url;
	if (field) {
		free(*field);
		*field = buf_take(&value);
	}
	return 0;
}

static struct gitmodule *module_named(struct gitmodules *m, const char *name)
{
	struct gitmodule fresh = {.name = NULL};

	for (size_t i = 0; i < m->list.n; i++)
		if (strcmp(m->list.v[i].name, name) == 0)
			return &m->list.v[i];
	fresh.name = xstrdup(name);
	vec_push(&m->list, fresh);
	return &vec_last(&m->list);
}

static int read_all(struct reader *r, struct gitmodules *m, struct error **err)
{
	struct gitmodule *current = NULL;

	for (;;) {
		_cleanup_free_ char *name = NULL;
		int c = peek(r), k = 0;

		if (c < 0)
			return 0;
		if (isspace(c))
			next(r);
		else if (c == '#' || c == ';')
			skip_line(r);
		else if (c == '[') {
			k = read_section(r, &name, err);
			current = name ? module_named(m, name) : NULL;
		} else {
			k = read_variable(r, current, err);
		}
		if (k < 0)
			return k;
	}
}

int gitmodules_parse(const char *text, size_t n, struct gitmodules *ret, struct error **err)
{
	struct reader r = {text, text + n, 1};
	struct gitmodules m = {.list = {.v = NULL}};
	int k;

	if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		r.p += 3;
	k = read_all(&r, &m, err);
	if (k < 0)
		gitmodules_release(&m);
	else
		*ret = m;
	return k;
}

void gitmodules_release(struct gitmodules *m)
{
	for (size_t i = 0; i < m->list.n; i++) {
		free(m->list.v[i].name);
		free(m->list.v[i].path);
		free(m->list.v[i].url);
	}
	vec_release(&m->list);
}

/* Git allows "path = dir/". */
static bool same_path(const char *a, const char *b)
{
	size_t n = strlen(a), k = strlen(b);

	while (n > 0 && a[n - 1] == '/')
		n--;
	return n == k && memcmp(a, b, k) == 0;
}

const char *gitmodules_url(const struct gitmodules *m, const char *path)
{
	for (size_t i = 0; i < m->list.n; i++)
		if (m->list.v[i].path && same_path(m->list.v[i].path, path))
			return m->list.v[i].url;
	return NULL;
}

/* --- Relative URLs --- */

/* Where the path of a URL starts, behind host or "host:". */
static size_t path_start(const char *remote)
{
	const char *scheme = strstr(remote, "://");
	const char *p = scheme ? scheme + 3 : remote;
	size_t host = strcspn(p, scheme ? "/" : ":/");

	return (size_t)(p - remote) + host + (p[host] == ':');
}

int gitmodules_resolve_url(const char *remote, const char *url, char **ret, struct error **err)
{
	_cleanup_free_ char *base = xstrdup(remote);
	size_t start = path_start(remote), n = strlen(base);
	const char *rest = url;

	if (strncmp(url, "./", 2) != 0 && strncmp(url, "../", 3) != 0) {
		*ret = xstrdup(url);
		return 0;
	}
	for (;;) {
		while (n > start && base[n - 1] == '/')
			n--;
		if (strncmp(rest, "./", 2) == 0) {
			rest += 2;
			continue;
		}
		if (strncmp(rest, "../", 3) != 0)
			break;
		rest += 3;
		if (n <= start)
			return error_new(err, ERR_INVALID, 0, "submodule URL %s leads out of %s",
					 url, remote);
		while (n > start && base[n - 1] != '/')
			n--;
	}
	base[n] = '\0';
	*ret = xasprintf("%s%s%s", base, n > start || base[n - 1] != ':' ? "/" : "", rest);
	return 0;
}
