/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct error {
	enum err_code code;
	int errnum;
	int exit_status;
	char *text;
	char *hint;
	char *file;
	struct source_span span;
};

static enum err_code refine(enum err_code code, int errnum)
{
	if (code != ERR_IO)
		return code;
	switch (errnum) {
	case ENOENT:
		return ERR_NOTFOUND;
	case EACCES:
	case EPERM:
		return ERR_DENIED;
	case ENOSPC:
	case EDQUOT:
		return ERR_NOSPACE;
	case EEXIST:
		return ERR_EXISTS;
	case ECANCELED:
		return ERR_CANCELED;
	default:
		return code;
	}
}

int error_vnew(struct error **err, enum err_code code, int errnum, const char *fmt, va_list ap)
{
	struct error *e;
	char reason[128];

	code = refine(code, errnum);
	if (!err)
		return -(int)code;
	e = NEW(struct error);
	e->code = code;
	e->errnum = errnum;
	e->text = xvasprintf(fmt, ap);
	if (errnum) {
		char *text =
			xasprintf("%s: %s", e->text, strerror_r(errnum, reason, sizeof(reason)));

		free(e->text);
		e->text = text;
	}
	error_free(*err);
	*err = e;
	return -(int)code;
}

int error_new(struct error **err, enum err_code code, int errnum, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = error_vnew(err, code, errnum, fmt, ap);
	va_end(ap);
	return r;
}

int error_wrap(struct error **err, int r, const char *fmt, ...)
{
	va_list ap;
	char *prefix, *text;

	if (!err || !*err)
		return r;
	va_start(ap, fmt);
	prefix = xvasprintf(fmt, ap);
	va_end(ap);
	text = xasprintf("%s: %s", prefix, (*err)->text);
	free(prefix);
	free((*err)->text);
	(*err)->text = text;
	return r;
}

int error_at(struct error **err, int r, const char *file, struct source_span span)
{
	if (!err || !*err || (*err)->file)
		return r;
	(*err)->file = xstrdup(file);
	(*err)->span = span;
	return r;
}

int error_hint(struct error **err, int r, const char *fmt, ...)
{
	va_list ap;

	if (!err || !*err)
		return r;
	free((*err)->hint);
	va_start(ap, fmt);
	(*err)->hint = xvasprintf(fmt, ap);
	va_end(ap);
	return r;
}

void error_set_exit_status(struct error *e, int status)
{
	if (e)
		e->exit_status = status;
}

enum err_code error_code(const struct error *e)
{
	return e ? e->code : ERR_INTERNAL;
}

int error_errno(const struct error *e)
{
	return e ? e->errnum : 0;
}

const char *error_text(const struct error *e)
{
	return e ? e->text : "unknown error";
}

const char *error_file(const struct error *e)
{
	return e ? e->file : NULL;
}

struct source_span error_span(const struct error *e)
{
	return e ? e->span : (struct source_span){0};
}

const char *error_hint_text(const struct error *e)
{
	return e ? e->hint : NULL;
}

int error_exit_status(const struct error *e)
{
	return e ? e->exit_status : 0;
}

struct error *error_copy(const struct error *e)
{
	struct error *copy;

	if (!e)
		return NULL;
	copy = NEW(struct error);
	*copy = *e;
	copy->text = xstrdup(e->text);
	copy->hint = xstrdup(e->hint);
	copy->file = xstrdup(e->file);
	return copy;
}

void error_free(struct error *e)
{
	if (!e)
		return;
	free(e->text);
	free(e->hint);
	free(e->file);
	free(e);
}
