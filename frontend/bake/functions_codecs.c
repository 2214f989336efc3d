/* SPDX-License-Identifier: Apache-2.0 */
/* Other notations of text and values: base64, JSON, CSV, URLs, digests, UUIDs. */
#include <ctype.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/random.h>

#include "base/base64.h"
#include "base/csv.h"
#include "frontend/bake/bake_functions.h"

typedef const struct bake_value *value;

static value base64_encode_of(struct bake_call *c)
{
	_cleanup_free_ char *text = base64_encode(c->v[0]->s, strlen(c->v[0]->s));

	return bake_string(c->arena, text);
}

static value base64_decode_of(struct bake_call *c)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	if (base64_decode(c->v[0]->s, &b) < 0)
		return bake_call_fail(c, "the text is not base64");
	return bake_call_string(c, &b);
}

static value url_encode(struct bake_call *c)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	for (const char *p = c->v[0]->s; *p; p++) {
		if (isalnum((unsigned char)*p) || strchr("-_.~", *p))
			buf_addc(&b, *p);
		else if (*p == ' ')
			buf_addc(&b, '+');
		else
			buf_addf(&b, "%%%02X", (unsigned char)*p);
	}
	return bake_call_string(c, &b);
}

static value json_encode(struct bake_call *c)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	bake_to_json(c->v[0], &b);
	return bake_call_string(c, &b);
}

static value json_decode(struct bake_call *c)
{
	struct error *failed = NULL;
	value v = NULL;

	if (bake_parse_json_value(c->arena, "JSON", c->v[0]->s, &v, &failed) < 0)
		v = bake_call_fail(c, "%s", error_text(failed));
	error_free(failed);
	return v;
}

/* The first line names the columns; each other one is an object. */
static value csv_decode(struct bake_call *c)
{
	_cleanup_strv_ struct strv names = {0};
	struct bake_builder rows = {.arena = c->arena};

	for (const char *p = c->v[0]->s; *p;) {
		_cleanup_strv_ struct strv fields = {0};
		struct bake_builder row = {.arena = c->arena};
		const char *end = p;
		_cleanup_free_ char *line = NULL;
		bool quoted = false;

		for (; *end && (quoted || *end != '\n'); end++)
			quoted ^= *end == '"';
		line = xstrndup(p, (size_t)(end - p) - (end > p && end[-1] == '\r'));
		p = end + (*end == '\n');
		if (!*line)
			continue;
		if (csv_split(line, names.n ? &fields : &names, NULL) < 0)
			return bake_call_fail(c, "quotes are not as they should be in \"%s\"",
					      line);
		if (fields.n == 0)
			continue;
		if (fields.n != names.n)
			return bake_call_fail(c, "a row has %zu fields for %zu columns", fields.n,
					      names.n);
		for (size_t i = 0; i < names.n; i++)
			bake_put(&row, arena_strdup(c->arena, names.v[i]),
				 bake_string(c->arena, fields.v[i]));
		bake_push(&rows, bake_mapping(&row, BAKE_OBJECT));
	}
	if (names.n == 0)
		return bake_call_fail(c, "the line that names the columns is missing");
	return bake_sequence(&rows, BAKE_LIST);
}

static value digest_of_text(struct bake_call *c, const EVP_MD *md)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	unsigned char out[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (EVP_Digest(c->v[0]->s, strlen(c->v[0]->s), out, &n, md, NULL) != 1)
		return bake_call_fail(c, "the library has no such digest");
	for (unsigned i = 0; i < n; i++)
		buf_addf(&b, "%02x", out[i]);
	return bake_call_string(c, &b);
}

static value md5(struct bake_call *c)
{
	return digest_of_text(c, EVP_md5());
}

static value sha1(struct bake_call *c)
{
	return digest_of_text(c, EVP_sha1());
}

static value sha256(struct bake_call *c)
{
	return digest_of_text(c, EVP_sha256());
}

static value sha512(struct bake_call *c)
{
	return digest_of_text(c, EVP_sha512());
}

static value uuid_text(struct bake_call *c, unsigned char id[16], unsigned version)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	id[6] = (unsigned char)((id[6] & 0x0f) | version << 4);
	id[8] = (unsigned char)((id[8] & 0x3f) | 0x80);
	for (unsigned i = 0; i < 16; i++)
		buf_addf(&b, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", id[i]);
	return bake_call_string(c, &b);
}

static value uuid_v4(struct bake_call *c)
{
	unsigned char id[16];

	if (getrandom(id, sizeof(id), 0) != (ssize_t)sizeof(id))
		return bake_call_fail(c, "the kernel gives no random bytes");
	return uuid_text(c, id, 4);
}

static bool parse_uuid(const char *text, unsigned char id[16])
{
	unsigned n = 0;

	memset(id, 0, 16);
	for (; *text; text++) {
		int lower = tolower((unsigned char)*text);

		if (*text == '-')
			continue;
		if (!isxdigit((unsigned char)*text) || n == 32)
			return false;
		id[n / 2] = (unsigned char)(id[n / 2] << 4 |
					    (lower <= '9' ? lower - '0' : lower - 'a' + 10));
		n++;
	}
	return n == 32;
}

static value uuid_v5(struct bake_call *c)
{
	static const struct {
		const char *name, *id;
	} spaces[] = {{"dns", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"},
		      {"url", "6ba7b811-9dad-11d1-80b4-00c04fd430c8"},
		      {"oid", "6ba7b812-9dad-11d1-80b4-00c04fd430c8"},
		      {"x500", "6ba7b814-9dad-11d1-80b4-00c04fd430c8"}};
	const char *space = c->v[0]->s;
	unsigned char out[EVP_MAX_MD_SIZE], id[16];
	_cleanup_buf_ struct buf b = BUF_INIT;

	for (size_t i = 0; i < ARRAY_SIZE(spaces); i++)
		if (strcmp(space, spaces[i].name) == 0)
			space = spaces[i].id;
	if (!parse_uuid(space, id))
		return bake_call_fail(c, "\"%s\" is not a UUID, nor dns, url, oid or x500", space);
	buf_add(&b, id, sizeof(id));
	buf_adds(&b, c->v[1]->s);
	if (EVP_Digest(b.p, b.n, out, NULL, EVP_sha1(), NULL) != 1)
		return bake_call_fail(c, "the library has no SHA-1");
	return uuid_text(c, out, 5);
}

const struct bake_builtin bake_functions_codecs[] = {
	{"base64decode", "s", base64_decode_of},
	{"base64encode", "s", base64_encode_of},
	{"csvdecode", "s", csv_decode},
	{"jsondecode", "s", json_decode},
	{"jsonencode", "?", json_encode},
	{"md5", "s", md5},
	{"sha1", "s", sha1},
	{"sha256", "s", sha256},
	{"sha512", "s", sha512},
	{"urlencode", "s", url_encode},
	{"uuidv4", "", uuid_v4},
	{"uuidv5", "ss", uuid_v5},
	{0},
};
