#include "engine/attrs.h"

#include <string.h>

#include "base/buf.h"

int attrs_split(const char *text, struct strv *fields, struct error **err)
{
	const char *p = text;

	for (;;) {
		_cleanup_buf_ struct buf field = BUF_INIT;

		if (*p == '"') {
			for (p++; *p && (*p != '"' || p[1] == '"'); p++) {
				buf_addc(&field, *p);
				p += *p == '"';
			}
			if (*p != '"' || (p[1] && p[1] != ','))
				return error_new(err, ERR_INVALID, 0, "bad quotes");
			p++;
		} else {
			size_t n = strcspn(p, ",");

			buf_add(&field, p, n);
			p += n;
		}
		strv_push(fields, field.p);
		if (!*p)
			return 0;
		p++;
	}
}

int attrs_bool(const char *key, const char *value, bool *ret, struct error **err)
{
	static const char *const yes[] = {"", "1", "t", "T", "true", "TRUE", "True"};
	static const char *const no[] = {"0", "f", "F", "false", "FALSE", "False"};

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++)
		if (strcmp(value, yes[i]) == 0) {
			*ret = true;
			return 0;
		}
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		if (strcmp(value, no[i]) == 0) {
			*ret = false;
			return 0;
		}
	return error_new(err, ERR_INVALID, 0, "non-bool value '%s' specified for %s", value, key);
}

int attrs_number(const char *key, const char *value, int64_t max, int64_t *ret, struct error **err)
{
	int64_t n = 0;
	const char *p = value;

	for (; *p >= '0' && *p <= '9' && n <= max; p++)
		n = n * 10 + (*p - '0');
	if (p == value || *p || n > max)
		return error_new(err, ERR_INVALID, 0, "invalid value '%s' for %s", value, key);
	*ret = n;
	return 0;
}
