/* SPDX-License-Identifier: Apache-2.0 */
#include "base/times.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/buf.h"

static int64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

int64_t times_now_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

int64_t times_monotonic_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

char *times_rfc3339(int64_t ns)
{
	int64_t frac = ns % NS_PER_S;
	time_t sec = (time_t)(ns / NS_PER_S);
	struct buf b = BUF_INIT;
	struct tm tm;

	if (frac < 0) {
		frac += NS_PER_S;
		sec--;
	}
	gmtime_r(&sec, &tm);
	buf_addf(&b, "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
		 tm.tm_hour, tm.tm_min, tm.tm_sec);
	if (frac > 0) {
		buf_addf(&b, ".%09lld", (long long)frac);
		while (b.p[b.n - 1] == '0')
			buf_truncate(&b, b.n - 1);
	}
	buf_addc(&b, 'Z');
	return buf_take(&b);
}

/* Parses exactly `digits` decimal digits. */
static bool fixed(const char **p, int digits, int *ret)
{
	int v = 0;

	for (int i = 0; i < digits; i++, (*p)++) {
		if (!isdigit((unsigned char)**p))
			return false;
		v = v * 10 + (**p - '0');
	}
	*ret = v;
	return true;
}

static bool literal(const char **p, const char *set)
{
	if (!**p || !strchr(set, **p))
		return false;
	(*p)++;
	return true;
}

int times_parse_rfc3339(const char *text, int64_t *ret_ns)
{
	int year, mon, day, hour, min, sec, oh = 0, om = 0, sign = 1;
	int64_t frac = 0, scale = NS_PER_S, seconds;
	const char *p = text;
	struct tm tm = {0};

	if (!fixed(&p, 4, &year) || !literal(&p, "-") || !fixed(&p, 2, &mon) || !literal(&p, "-") ||
	    !fixed(&p, 2, &day) || !literal(&p, "Tt ") || !fixed(&p, 2, &hour) ||
	    !literal(&p, ":") || !fixed(&p, 2, &min) || !literal(&p, ":") || !fixed(&p, 2, &sec))
		return -EINVAL;
	if (mon < 1 || mon > 12 || day < 1 || day > 31 || hour > 23 || min > 59 || sec > 60)
		return -EINVAL;
	if (*p == '.') {
		for (p++; isdigit((unsigned char)*p); p++) {
			scale /= 10;
			frac += (*p - '0') * scale;
		}
	}
	if (*p == '+' || *p == '-') {
		sign = *p++ == '-' ? -1 : 1;
		if (!fixed(&p, 2, &oh) || !literal(&p, ":") || !fixed(&p, 2, &om))
			return -EINVAL;
	} else if (!literal(&p, "Zz")) {
		return -EINVAL;
	}
	if (*p)
		return -EINVAL;
	tm.tm_year = year - 1900;
	tm.tm_mon = mon - 1;
	tm.tm_mday = day;
	tm.tm_hour = hour;
	tm.tm_min = min;
	tm.tm_sec = sec;
	seconds = (int64_t)timegm(&tm) - sign * (oh * 3600 + om * 60);
	if (__builtin_mul_overflow(seconds, NS_PER_S, ret_ns) ||
	    __builtin_add_overflow(*ret_ns, frac, ret_ns))
		*ret_ns = seconds < 0 ? INT64_MIN : INT64_MAX;
	return 0;
}

char *times_human_age(int64_t s)
{
	int64_t hours = s / 3600;

	if (s < 1)
		return xstrdup("Less than a second ago");
	if (s == 1)
		return xstrdup("1 second ago");
	if (s < 60)
		return xasprintf("%lld seconds ago", (long long)s);
	if (s < 120)
		return xstrdup("About a minute ago");
	if (s < 3600)
		return xasprintf("%lld minutes ago", (long long)(s / 60));
	hours = (s + 1800) / 3600;
	if (hours == 1)
		return xstrdup("About an hour ago");
	if (hours < 48)
		return xasprintf("%lld hours ago", (long long)hours);
	if (hours < 24 * 7 * 2)
		return xasprintf("%lld days ago", (long long)(hours / 24));
	if (hours < 24 * 30 * 2)
		return xasprintf("%lld weeks ago", (long long)(hours / 24 / 7));
	if (hours < 24 * 365 * 2)
		return xasprintf("%lld months ago", (long long)(hours / 24 / 30));
	return xasprintf("%lld years ago", (long long)(hours / 24 / 365));
}

static const char *const decimal_units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};

char *times_human_size(uint64_t bytes)
{
	double v = (double)bytes;
	size_t unit = 0;

	while (v >= 1000 && unit + 1 < ARRAY_SIZE(decimal_units)) {
		v /= 1000;
		unit++;
	}
	return xasprintf("%.3g%s", v, decimal_units[unit]);
}

char *times_progress_size(uint64_t bytes)
{
	double v = (double)bytes;
	size_t unit = 0;

	if (bytes < 1000)
		return xasprintf("%lluB", (unsigned long long)bytes);
	while (v >= 1000 && unit + 1 < ARRAY_SIZE(decimal_units)) {
		v /= 1000;
		unit++;
	}
	return xasprintf("%.2f%s", v, decimal_units[unit]);
}

static int64_t duration_unit(const char **p)
{
	static const struct {
		const char *name;
		int64_t ns;
	} units[] = {
		{"ns", 1},	     {"us", 1000},    {"\xc2\xb5s", 1000},  {"\xce\xbcs", 1000},
		{"ms", 1000 * 1000}, {"s", NS_PER_S}, {"m", 60 * NS_PER_S}, {"h", 3600 * NS_PER_S},
	};

	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		size_t n = strlen(units[i].name);

		if (strncmp(*p, units[i].name, n) == 0) {
			*p += n;
			return units[i].ns;
		}
	}
	return 0;
}

int times_parse_duration(const char *text, int64_t *ret_ns)
{
	bool negative = false;
	long double total = 0;
	const char *p = text;

	if (*p == '-' || *p == '+')
		negative = *p++ == '-';
	if (strcmp(p, "0") == 0) {
		*ret_ns = 0;
		return 0;
	}
	if (!*p)
		return -EINVAL;
	while (*p) {
		long double v = 0, scale = 1;
		bool digits = false;
		int64_t unit;

		for (; isdigit((unsigned char)*p); p++, digits = true)
			v = v * 10 + (*p - '0');
		if (*p == '.')
			for (p++; isdigit((unsigned char)*p); p++, digits = true)
				v += (*p - '0') * (scale /= 10);
		unit = duration_unit(&p);
		if (!digits || unit == 0)
			return -EINVAL;
		total += v * unit;
		if (total > (long double)INT64_MAX)
			return -EINVAL;
	}
	*ret_ns = negative ? -(int64_t)total : (int64_t)total;
	return 0;
}

static void add_fraction(struct buf *b, int64_t value, int64_t unit)
{
	char digits[32];
	size_t n;

	buf_addf(b, "%lld", (long long)(value / unit));
	if (value % unit == 0)
		return;
	snprintf(digits, sizeof(digits), "%.9f", (double)(value % unit) / (double)unit);
	n = strlen(digits);
	while (digits[n - 1] == '0')
		digits[--n] = '\0';
	buf_adds(b, digits + 1);
}

char *times_duration(int64_t ns)
{
	struct buf b = BUF_INIT;

	if (ns == 0)
		return xstrdup("0s");
	if (ns < 0) {
		buf_addc(&b, '-');
		ns = -ns;
	}
	if (ns < 1000) {
		buf_addf(&b, "%lldns", (long long)ns);
	} else if (ns < 1000 * 1000) {
		add_fraction(&b, ns, 1000);
		buf_adds(&b, "\xc2\xb5s");
	} else if (ns < NS_PER_S) {
		add_fraction(&b, ns, 1000 * 1000);
		buf_adds(&b, "ms");
	} else {
		if (ns >= 3600 * NS_PER_S)
			buf_addf(&b, "%lldh", (long long)(ns / (3600 * NS_PER_S)));
		if (ns >= 60 * NS_PER_S)
			buf_addf(&b, "%lldm", (long long)(ns / (60 * NS_PER_S) % 60));
		add_fraction(&b, ns % (60 * NS_PER_S), NS_PER_S);
		buf_addc(&b, 's');
	}
	return buf_take(&b);
}

int times_parse_size(const char *text, uint64_t *ret)
{
	static const char units[] = "kmgtp";
	char *end;
	double v;

	if (!isdigit((unsigned char)*text) && *text != '.')
		return -EINVAL;
	errno = 0;
	v = strtod(text, &end);
	if (errno || end == text || v < 0 || !isfinite(v))
		return -EINVAL;
	if (*end == ' ')
		end++;
	if (*end) {
		const char *unit = strchr(units, tolower((unsigned char)*end));

		if (unit && *unit) {
			for (const char *u = units; u <= unit; u++)
				v *= 1024;
			end++;
			if (*end == 'i' || *end == 'I')
				end++;
		}
		if (*end == 'b' || *end == 'B')
			end++;
	}
	if (*end || v >= 18446744073709551615.0)
		return -EINVAL;
	*ret = (uint64_t)v;
	return 0;
}
