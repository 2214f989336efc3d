/* SPDX-License-Identifier: Apache-2.0 */
/* Dates and times, and where home is. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/times.h"
#include "frontend/bake/bake_functions.h"

typedef const struct bake_value *value;

static const char *const months[] = {"January",	  "February", "March",	  "April",
				     "May",	  "June",     "July",	  "August",
				     "September", "October",  "November", "December"};
static const char *const weekdays[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
				       "Thursday", "Friday", "Saturday"};

/* A time with the offset that it was written with. */
struct moment {
	struct tm tm;
	int64_t seconds; /* since 1970, UTC */
	int64_t ns;
	int offset; /* seconds east of UTC */
	bool utc;   /* written with Z */
};

static void set_fields(struct moment *m)
{
	time_t t = (time_t)(m->seconds + m->offset);

	gmtime_r(&t, &m->tm);
}

static bool digits2(const char *p, int *ret)
{
	if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return false;
	*ret = 10 * (p[0] - '0') + p[1] - '0';
	return true;
}

static bool parse_moment(struct bake_call *c, size_t i, struct moment *m)
{
	const char *text = c->v[i]->s, *zone;
	int hours = 0, minutes = 0;
	int64_t ns;

	*m = (struct moment){0};
	if (times_parse_rfc3339(text, &ns) < 0)
		return bake_call_fail(c, "\"%s\" is not a time as 2006-01-02T15:04:05Z", text) !=
		       NULL;
	m->seconds = ns / NS_PER_S - (ns % NS_PER_S < 0);
	m->ns = ns - m->seconds * NS_PER_S;
	zone = text + strlen(text);
	m->utc = zone[-1] == 'Z' || zone[-1] == 'z';
	if (!m->utc && strlen(text) > 6 && digits2(zone - 5, &hours) && digits2(zone - 2, &minutes))
		m->offset = (zone[-6] == '-' ? -60 : 60) * (60 * hours + minutes);
	set_fields(m);
	return true;
}

static void add_offset(const struct moment *m, const char *separator, struct buf *b)
{
	int minutes = (m->offset < 0 ? -m->offset : m->offset) / 60;

	buf_addf(b, "%c%02d%s%02d", m->offset < 0 ? '-' : '+', minutes / 60, separator,
		 minutes % 60);
}

static void add_rfc3339(const struct moment *m, struct buf *b)
{
	buf_addf(b, "%04d-%02d-%02dT%02d:%02d:%02d", m->tm.tm_year + 1900, m->tm.tm_mon + 1,
		 m->tm.tm_mday, m->tm.tm_hour, m->tm.tm_min, m->tm.tm_sec);
	if (m->ns > 0) {
		char fraction[16];
		size_t n = 9;

		for (int64_t ns = m->ns, i = 9; i > 0; i--, ns /= 10)
			fraction[i - 1] = (char)('0' + ns % 10);
		while (fraction[n - 1] == '0')
			n--;
		buf_addf(b, ".%.*s", (int)n, fraction);
	}
	if (m->offset == 0)
		buf_addc(b, 'Z');
	else
		add_offset(m, ":", b);
}

/* One verb: a letter, repeated. */
static bool add_verb(struct bake_call *c, const struct moment *m, char letter, size_t n,
		     struct buf *b)
{
	const struct tm *t = &m->tm;
	int hour = t->tm_hour % 12 == 0 ? 12 : t->tm_hour % 12;
	int number = letter == 'M'   ? t->tm_mon + 1
		     : letter == 'D' ? t->tm_mday
		     : letter == 'h' ? t->tm_hour
		     : letter == 'H' ? hour
		     : letter == 'm' ? t->tm_min
				     : t->tm_sec;

	if (letter == 'Y' && (n == 2 || n == 4))
		buf_addf(b, n == 2 ? "%02d" : "%04d",
			 n == 2 ? (t->tm_year + 1900) % 100 : t->tm_year + 1900);
	else if (letter == 'M' && n == 3)
		buf_add(b, months[t->tm_mon], 3);
	else if (letter == 'M' && n == 4)
		buf_adds(b, months[t->tm_mon]);
	else if (letter == 'E' && n == 3)
		buf_add(b, weekdays[t->tm_wday], 3);
	else if (letter == 'E' && n == 4)
		buf_adds(b, weekdays[t->tm_wday]);
	else if ((letter == 'A' || letter == 'a') && n == 2)
		buf_adds(b, letter == 'A'     ? (t->tm_hour < 12 ? "AM" : "PM")
			    : t->tm_hour < 12 ? "am"
					      : "pm");
	else if (strchr("MDhHms", letter) && n <= 2)
		buf_addf(b, n == 1 ? "%d" : "%02d", number);
	else if (letter == 'Z' && n <= 5) {
		if ((n == 1 && m->offset == 0) || (n == 3 && m->offset == 0))
			buf_adds(b, n == 1 ? "Z" : "UTC");
		else
			add_offset(m, n == 1 || n == 5 ? ":" : "", b);
	} else {
		return bake_call_fail(c, "there is no verb of %zu \"%c\"", n, letter) != NULL;
	}
	return true;
}

static value format_moment(struct bake_call *c, const char *format, const struct moment *m)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	for (const char *p = format; *p;) {
		size_t n = 1;
		bool letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z');

		if (*p == '\'') {
			/* Text; two quotes in it are one. */
			for (p++; *p && (*p != '\'' || p[1] == '\''); p++) {
				p += *p == '\'';
				buf_addc(&b, *p);
			}
			if (!*p)
				return bake_call_fail(c, "a quote is not closed");
			p++;
			continue;
		}
		while (letter && p[n] == *p)
			n++;
		if (!letter)
			buf_addc(&b, *p);
		else if (!add_verb(c, m, *p, n, &b))
			return NULL;
		p += n;
	}
	return bake_call_string(c, &b);
}

static value format_date(struct bake_call *c)
{
	struct moment m;

	return parse_moment(c, 1, &m) ? format_moment(c, c->v[0]->s, &m) : NULL;
}

static bool unix_moment(struct bake_call *c, size_t i, struct moment *m)
{
	*m = (struct moment){.utc = true};
	if (!bake_call_int(c, i, INT64_C(-62135596800), INT64_C(253402300799), &m->seconds))
		return false;
	set_fields(m);
	return true;
}

static value format_timestamp(struct bake_call *c)
{
	struct moment m;

	if (c->v[1]->kind == BAKE_NUMBER ? !unix_moment(c, 1, &m)
	    : c->v[1]->kind != BAKE_STRING
		    ? !bake_call_fail(c, "the time is text or a number of seconds")
		    : !parse_moment(c, 1, &m))
		return NULL;
	if (strcmp(c->v[0]->s, "X") == 0)
		return bake_string(c->arena, bake_int(c->arena, m.seconds)->s);
	return format_moment(c, c->v[0]->s, &m);
}

static value timestamp(struct bake_call *c)
{
	struct moment m = {.seconds = c->eval->now, .utc = true};
	_cleanup_buf_ struct buf b = BUF_INIT;

	set_fields(&m);
	add_rfc3339(&m, &b);
	return bake_call_string(c, &b);
}

static value time_add(struct bake_call *c)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct moment m;
	int64_t by, ns;

	if (!parse_moment(c, 0, &m))
		return NULL;
	if (times_parse_duration(c->v[1]->s, &by) < 0)
		return bake_call_fail(c, "\"%s\" is not a duration as 1h30m", c->v[1]->s);
	ns = m.ns + by % NS_PER_S;
	m.seconds += by / NS_PER_S + (ns >= NS_PER_S) - (ns < 0);
	m.ns = (ns + NS_PER_S) % NS_PER_S;
	set_fields(&m);
	/* Fractions are not shown. */
	m.ns = 0;
	add_rfc3339(&m, &b);
	return bake_call_string(c, &b);
}

static void put_int(struct bake_builder *b, const char *name, int64_t n)
{
	bake_put(b, name, bake_int(b->arena, n));
}

static value unix_timestamp_parse(struct bake_call *c)
{
	struct bake_builder b = {.arena = c->arena};
	_cleanup_buf_ struct buf text = BUF_INIT;
	struct moment m, thursday;
	int weekday;

	if (!unix_moment(c, 0, &m))
		return NULL;
	/* The week of ISO 8601 is that of its Thursday. */
	weekday = (m.tm.tm_wday + 6) % 7;
	thursday = m;
	thursday.seconds += (int64_t)(3 - weekday) * 86400;
	set_fields(&thursday);
	add_rfc3339(&m, &text);
	put_int(&b, "year", m.tm.tm_year + 1900);
	put_int(&b, "year_day", m.tm.tm_yday + 1);
	put_int(&b, "day", m.tm.tm_mday);
	put_int(&b, "month", m.tm.tm_mon + 1);
	bake_put(&b, "month_name", bake_string(c->arena, months[m.tm.tm_mon]));
	put_int(&b, "weekday", m.tm.tm_wday);
	bake_put(&b, "weekday_name", bake_string(c->arena, weekdays[m.tm.tm_wday]));
	put_int(&b, "hour", m.tm.tm_hour);
	put_int(&b, "minute", m.tm.tm_min);
	put_int(&b, "second", m.tm.tm_sec);
	bake_put(&b, "rfc3339", bake_string(c->arena, text.p));
	put_int(&b, "iso_year", thursday.tm.tm_year + 1900);
	put_int(&b, "iso_week", thursday.tm.tm_yday / 7 + 1);
	return bake_mapping(&b, BAKE_OBJECT);
}

static value home_dir(struct bake_call *c)
{
	const char *home = getenv("HOME");

	return home && *home ? bake_string(c->arena, home) : bake_call_fail(c, "HOME is not set");
}

const struct bake_builtin bake_functions_times[] = {
	{"formatdate", "ss", format_date},
	{"formattimestamp", "sa", format_timestamp},
	{"homedir", "", home_dir},
	{"timeadd", "ss", time_add},
	{"timestamp", "", timestamp},
	{"unixtimestampparse", "n", unix_timestamp_parse},
	{0},
};
