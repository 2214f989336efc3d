/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/s3/s3_xml.h"

#include <errno.h>
#include <expat.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

/* An open element. Its text is kept apart from that of what is inside it. */
struct level {
	size_t path_n; /* length of the path without it */
	struct buf text;
};

struct walk {
	XML_Parser parser;
	struct buf path;
	struct level levels[S3_XML_DEPTH_MAX];
	size_t depth;
	s3_xml_fn fn;
	void *data;
	int r;
};

static void stop(struct walk *w, int r)
{
	w->r = r;
	(void)XML_StopParser(w->parser, XML_FALSE);
}

static void XMLCALL on_start(void *data, const XML_Char *name, const XML_Char **attributes)
{
	struct walk *w = data;
	size_t path_n = w->path.n;

	(void)attributes;
	if (w->depth == S3_XML_DEPTH_MAX) {
		stop(w, -EINVAL);
		return;
	}
	buf_addf(&w->path, "%s%s", w->depth > 0 ? "/" : "", name);
	w->levels[w->depth++] = (struct level){path_n, BUF_INIT_MAX(S3_XML_TEXT_MAX)};
	if (w->path.full)
		stop(w, -EINVAL);
}

static void XMLCALL on_text(void *data, const XML_Char *text, int n)
{
	struct walk *w = data;
	struct buf *b = &w->levels[w->depth - 1].text;

	buf_add(b, text, (size_t)n);
	if (b->full)
		stop(w, -EINVAL);
}

static const char *trim(struct buf *b)
{
	static const char spaces[] = " \t\r\n";

	while (b->n > 0 && strchr(spaces, b->p[b->n - 1]))
		buf_truncate(b, b->n - 1);
	return b->p + strspn(b->p, spaces);
}

static void XMLCALL on_end(void *data, const XML_Char *name)
{
	struct walk *w = data;
	struct level *level = &w->levels[w->depth - 1];
	int r;

	(void)name;
	/* An empty element ends even if the walk was stopped at its start. */
	if (w->r != 0)
		return;
	r = w->fn(w->data, w->path.p, trim(&level->text));
	buf_release(&level->text);
	buf_truncate(&w->path, level->path_n);
	w->depth--;
	if (r != 0)
		stop(w, r);
}

/* Entities are what documents explode by. */
static void XMLCALL on_doctype(void *data, const XML_Char *name, const XML_Char *system,
			       const XML_Char *public, int has_subset)
{
	(void)name;
	(void)system;
	(void)public;
	(void)has_subset;
	stop(data, -EINVAL);
}

int s3_xml_walk(const void *p, size_t n, s3_xml_fn fn, void *data)
{
	enum { PATH_MAX_BYTES = 4096 };
	struct walk w = {.path = BUF_INIT_MAX(PATH_MAX_BYTES), .fn = fn, .data = data};

	if (n > INT_MAX)
		return -EINVAL;
	w.parser = XML_ParserCreate(NULL);
	if (!w.parser)
		return -ENOMEM;
	XML_SetUserData(w.parser, &w);
	XML_SetElementHandler(w.parser, on_start, on_end);
	XML_SetCharacterDataHandler(w.parser, on_text);
	XML_SetStartDoctypeDeclHandler(w.parser, on_doctype);
	if (XML_Parse(w.parser, p, (int)n, XML_TRUE) != XML_STATUS_OK && w.r == 0)
		w.r = -EINVAL;
	XML_ParserFree(w.parser);
	while (w.depth > 0)
		buf_release(&w.levels[--w.depth].text);
	buf_release(&w.path);
	return w.r;
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
