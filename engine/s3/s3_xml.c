/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/s3/s3_xml.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

/* An open element. Its text is kept apart from that of what is inside it. */
struct level {
	size_t path_n; /* length of the path up to here */
	struct buf text;
};

struct walk {
	const char *p, *end;
	struct buf path;
	struct level levels[S3_XML_DEPTH_MAX];
	size_t depth;
	bool rooted; /* the root element has been seen */
	s3_xml_fn fn;
	void *data;
};

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool starts(const struct walk *w, const char *with)
{
	size_t n = strlen(with);

	return (size_t)(w->end - w->p) >= n && memcmp(w->p, with, n) == 0;
}

/* Where `what` stands next, or NULL. */
static const char *find(const struct walk *w, const char *what)
{
	return memmem(w->p, (size_t)(w->end - w->p), what, strlen(what));
}

static int skip_past(struct walk *w, const char *what)
{
	const char *at = find(w, what);

	if (!at)
		return -EINVAL;
	w->p = at + strlen(what);
	return 0;
}

static void put_utf8(struct buf *b, uint32_t c)
{
	if (c < 0x80) {
		buf_addc(b, (char)c);
		return;
	}
	if (c < 0x800) {
		buf_addc(b, (char)(0xc0 | c >> 6));
	} else if (c < 0x10000) {
		buf_addc(b, (char)(0xe0 | c >> 12));
		buf_addc(b, (char)(0x80 | (c >> 6 & 63)));
	} else {
		buf_addc(b, (char)(0xf0 | c >> 18));
		buf_addc(b, (char)(0x80 | (c >> 12 & 63)));
		buf_addc(b, (char)(0x80 | (c >> 6 & 63)));
	}
	buf_addc(b, (char)(0x80 | (c & 63)));
}

/* "#38" or "#x26", as much as the text between & and ; has. */
static int put_number(struct buf *b, const char *text)
{
	bool hex = text[1] == 'x';
	const char *digits = text + (hex ? 2 : 1);
	uint32_t c = 0;

	if (!*digits)
		return -EINVAL;
	for (; *digits; digits++) {
		const char *all = "0123456789abcdef";
		const char *at = strchr(all, *digits | (*digits >= 'A' ? 0x20 : 0));

		if (!at || at - all >= (hex ? 16 : 10))
			return -EINVAL;
		c = c * (hex ? 16 : 10) + (uint32_t)(at - all);
		if (c > 0x10ffff)
			return -EINVAL;
	}
	if (c == 0 || (c >= 0xd800 && c < 0xe000))
		return -EINVAL;
	put_utf8(b, c);
	return 0;
}

static int put_entity(struct walk *w, struct buf *b)
{
	static const struct {
		const char *name;
		char c;
	} known[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
	char name[12] = "";
	size_t n = 0;

	for (w->p++; w->p < w->end && *w->p != ';'; w->p++) {
		if (n + 1 == sizeof(name) || *w->p == '\0')
			return -EINVAL;
		name[n++] = *w->p;
	}
	if (w->p == w->end)
		return -EINVAL;
	w->p++;
	if (name[0] == '#')
		return put_number(b, name);
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strcmp(name, known[i].name) == 0) {
			buf_addc(b, known[i].c);
			return 0;
		}
	return -EINVAL;
}

static int take_text(struct walk *w)
{
	struct buf *b = w->depth > 0 ? &w->levels[w->depth - 1].text : NULL;

	while (w->p < w->end && *w->p != '<') {
		if (!b && !is_space(*w->p)) /* text outside the root element */
			return -EINVAL;
		if (*w->p == '\0')
			return -EINVAL;
		if (*w->p == '&') {
			int r = put_entity(w, b);

			if (r < 0)
				return r;
			continue;
		}
		if (b)
			buf_addc(b, *w->p);
		w->p++;
	}
	return b && b->full ? -EINVAL : 0;
}

static int take_cdata(struct walk *w)
{
	const char *end;

	w->p += strlen("<![CDATA[");
	end = find(w, "]]>");
	if (!end || w->depth == 0 || memchr(w->p, '\0', (size_t)(end - w->p)))
		return -EINVAL;
	buf_add(&w->levels[w->depth - 1].text, w->p, (size_t)(end - w->p));
	w->p = end + 3;
	return w->levels[w->depth - 1].text.full ? -EINVAL : 0;
}

static int close_level(struct walk *w)
{
	struct level *l = &w->levels[w->depth - 1];
	const char *text = l->text.p;
	int r;

	while (l->text.n > 0 && is_space(l->text.p[l->text.n - 1]))
		buf_truncate(&l->text, l->text.n - 1);
	while (is_space(*text))
		text++;
	r = w->fn(w->data, w->path.p, text);
	buf_release(&l->text);
	w->depth--;
	buf_truncate(&w->path, w->depth > 0 ? w->levels[w->depth - 1].path_n : 0);
	return r;
}

/* Length of the element's name at p. */
static size_t name_length(const struct walk *w, const char *p)
{
	const char *start = p;

	while (p < w->end && !is_space(*p) && !strchr("<>/=&\"'", *p))
		p++;
	return (size_t)(p - start);
}

static int open_level(struct walk *w, const char *name, size_t n)
{
	if (n == 0 || w->depth == S3_XML_DEPTH_MAX || (w->depth == 0 && w->rooted))
		return -EINVAL;
	w->rooted = true;
	if (w->depth > 0)
		buf_addc(&w->path, '/');
	buf_add(&w->path, name, n);
	w->levels[w->depth++] = (struct level){w->path.n, BUF_INIT_MAX(S3_XML_TEXT_MAX)};
	return w->path.full ? -EINVAL : 0;
}

/* "<Name attribute='x'>" or "<Name/>": what is in quotes may hold a '>'. */
static int take_open(struct walk *w)
{
	const char *name = ++w->p;
	size_t n = name_length(w, name);
	char quote = '\0';

	for (w->p += n; w->p < w->end && (quote || *w->p != '>'); w->p++) {
		if (quote ? *w->p == quote : *w->p == '"' || *w->p == '\'')
			quote = quote ? '\0' : *w->p;
		else if (!quote && *w->p == '<')
			return -EINVAL;
	}
	if (w->p == w->end || open_level(w, name, n) < 0)
		return -EINVAL;
	w->p++;
	return w->p[-2] == '/' ? close_level(w) : 0;
}

static int take_close(struct walk *w)
{
	const char *name = w->p += 2;
	size_t n = name_length(w, name), start;

	for (w->p += n; w->p < w->end && is_space(*w->p); w->p++)
		;
	if (w->depth == 0 || w->p == w->end || *w->p != '>')
		return -EINVAL;
	start = w->depth > 1 ? w->levels[w->depth - 2].path_n + 1 : 0;
	if (w->path.n - start != n || memcmp(w->path.p + start, name, n) != 0)
		return -EINVAL;
	w->p++;
	return close_level(w);
}

static int take_markup(struct walk *w)
{
	if (starts(w, "<?"))
		return skip_past(w, "?>");
	if (starts(w, "<!--"))
		return skip_past(w, "-->");
	if (starts(w, "<![CDATA["))
		return take_cdata(w);
	if (starts(w, "<!"))
		return -EINVAL;
	return starts(w, "</") ? take_close(w) : take_open(w);
}

int s3_xml_walk(const void *p, size_t n, s3_xml_fn fn, void *data)
{
	enum { PATH_MAX_BYTES = 4096 };
	struct walk w = {.p = p,
			 .end = (const char *)p + n,
			 .path = BUF_INIT_MAX(PATH_MAX_BYTES),
			 .fn = fn,
			 .data = data};
	int r = 0;

	if (starts(&w, "\xef\xbb\xbf"))
		w.p += 3;
	while (r == 0 && w.p < w.end)
		r = *w.p == '<' ? take_markup(&w) : take_text(&w);
	if (r == 0 && (w.depth > 0 || !w.rooted))
		r = -EINVAL;
	while (w.depth > 0)
		buf_release(&w.levels[--w.depth].text);
	buf_release(&w.path);
	return r;
}

struct search {
	const char *path;
	char *found;
};

static int on_element(void *data, const char *path, const char *text)
{
	struct search *s = data;

	if (!s->found && strcmp(path, s->path) == 0)
		s->found = xstrdup(text);
	return 0;
}

char *s3_xml_find(const void *p, size_t n, const char *path)
{
	struct search s = {.path = path};

	if (s3_xml_walk(p, n, on_element, &s) == 0)
		return s.found;
	free(s.found);
	return NULL;
}
