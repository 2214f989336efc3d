/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/source/source_http.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "base/number.h"
#include "base/times.h"
#include "engine/http/http.h"
#include "engine/secrets/grants.h"
#include "store/layer.h"
#include "store/record.h"

#define STATUS_INTERVAL_NS (INT64_C(100) * 1000000)
#define HEADER_SECRET "HTTP_AUTH_HEADER_"
#define TOKEN_SECRET "HTTP_AUTH_TOKEN_"

enum {
	SECRET_MAX = 64 << 10,
	VALIDATOR_MAX = 4 << 10, /* a longer ETag or Last-Modified is not worth keeping */
};

/* What a URL stands for: the bytes, and what the server said of them. */
struct version {
	struct digest digest;
	char *modified; /* Last-Modified, "" where the server gave none; owned */
	char *etag;	/* "" where it gave none; owned */
};

/* A file that this command has asked for. */
struct known {
	struct version version;
	int64_t layer; /* 0: the bytes are not here */
};

struct http_files {
	struct store *store;
	const struct config *config;
	const struct grants *grants;
	pthread_mutex_t lock; /* protects what follows */
	struct http *http;    /* made when first needed */
	struct map known;     /* file_id -> struct known *, added to only */
};

static void version_release(struct version *v)
{
	free(v->modified);
	free(v->etag);
	*v = (struct version){.modified = NULL};
}

static void known_free(void *data)
{
	struct known *k = data;

	version_release(&k->version);
	free(k);
}

struct http_files *http_files_new(struct store *s, const struct config *config,
				  const struct grants *grants)
{
	struct http_files *f = NEW(struct http_files);

	f->store = s;
	f->config = config;
	f->grants = grants;
	pthread_mutex_init(&f->lock, NULL);
	return f;
}

void http_files_free(struct http_files *f)
{
	if (!f)
		return;
	http_free(f->http);
	map_release(&f->known, known_free);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static struct http *get_http(struct http_files *f)
{
	struct http *h;

	pthread_mutex_lock(&f->lock);
	if (!f->http)
		f->http = http_new();
	h = f->http;
	pthread_mutex_unlock(&f->lock);
	return h;
}

/* --- The op --- */

static int number_attr(const struct op_pair *attr, uint32_t max, uint32_t *ret, struct error **err)
{
	uint64_t value;

	/* As BuildKit writes them: a leading 0 means octal. */
	if (number_parse(attr->value, 0, max, &value) < 0)
		return error_new(err, ERR_INVALID, 0, "%s: '%s' is not a number up to %u",
				 attr->key, attr->value, max);
	*ret = (uint32_t)value;
	return 0;
}

int http_file_of_op(const struct op_source *op, struct http_file *ret, struct error **err)
{
	struct http_file f = {
		.url = op->identifier, .filename = "download", .mode = HTTP_FILE_MODE};
	int r = 0;

	for (size_t i = 0; i < op->attrs.n && r == 0; i++) {
		const struct op_pair *attr = &op->attrs.v[i];

		if (strcmp(attr->key, "http.filename") == 0)
			f.filename = attr->value;
		else if (strcmp(attr->key, "http.checksum") == 0)
			f.checksum = attr->value;
		else if (strcmp(attr->key, "http.perm") == 0)
			r = number_attr(attr, 07777, &f.mode, err);
		else if (strcmp(attr->key, "http.uid") == 0)
			r = number_attr(attr, UINT32_MAX, &f.uid, err);
		else if (strcmp(attr->key, "http.gid") == 0)
			r = number_attr(attr, UINT32_MAX, &f.gid, err);
		else
			r = error_new(err, ERR_UNSUPPORTED, 0, "source attribute '%s'", attr->key);
	}
	if (r == 0 && (!*f.filename || strchr(f.filename, '/') || strcmp(f.filename, ".") == 0 ||
		       strcmp(f.filename, "..") == 0))
		r = error_new(err, ERR_INVALID, 0, "'%s' is not a file name", f.filename);
	if (r == 0)
		*ret = f;
	return r;
}

/* --- What is remembered --- */

/* Equal for files of which one layer serves all. Heap. */
static char *file_id(const struct http_file *file)
{
	return xasprintf("%o %u %u %s\n%s", file->mode, file->uid, file->gid, file->filename,
			 file->url);
}

/* The value is three lines: digest, Last-Modified, ETag. */
static char *pin_name(const char *url)
{
	struct digest d = digest_of(url, strlen(url));
	char text[DIGEST_TEXT];

	return xasprintf("http %s", digest_format(&d, text));
}

static int read_pin(struct store *s, const char *url, bool *ret_found, struct version *ret,
		    struct error **err)
{
	_cleanup_free_ char *name = pin_name(url);
	_cleanup_buf_ struct buf value = BUF_INIT;
	char *modified, *etag;
	int64_t time;
	int r = pin_get(s, name, ret_found, &value, &time, err);

	if (r < 0 || !*ret_found)
		return r;
	modified = strchr(value.p, '\n');
	etag = modified ? strchr(modified + 1, '\n') : NULL;
	if (!etag) {
		*ret_found = false;
		return 0;
	}
	*modified++ = *etag++ = '\0';
	*ret_found = digest_parse(value.p, &ret->digest) == 0;
	if (*ret_found) {
		ret->modified = xstrdup(modified);
		ret->etag = xstrdup(etag);
	}
	return 0;
}

static int write_pin(struct store *s, const char *url, const struct version *v, struct error **err)
{
	_cleanup_free_ char *name = pin_name(url), *value = NULL;
	char digest[DIGEST_TEXT];

	value = xasprintf("%s\n%s\n%s", digest_format(&v->digest, digest), v->modified, v->etag);
	return pin_set(s, name, value, err);
}

static const struct known *find_known(struct http_files *f, const struct http_file *file)
{
	_cleanup_free_ char *id = file_id(file);
	const struct known *k;

	pthread_mutex_lock(&f->lock);
	k = map_gets(&f->known, id);
	pthread_mutex_unlock(&f->lock);
	return k;
}

/* The first to ask decides for the whole command what the URL stands for. */
static const struct known *remember(struct http_files *f, const struct http_file *file,
				    struct version *v, int64_t layer)
{
	_cleanup_free_ char *id = file_id(file);
	struct known *k;
	void **slot;

	pthread_mutex_lock(&f->lock);
	slot = map_puts(&f->known, id);
	if (!*slot) {
		k = NEW(struct known);
		*k = (struct known){.version = *v, .layer = layer};
		*v = (struct version){.modified = NULL};
		*slot = k;
	}
	k = *slot;
	pthread_mutex_unlock(&f->lock);
	return k;
}

/* --- Fetching --- */

struct fetching {
	struct http_files *files;
	const struct http_file *file;
	struct job *job;
	struct layer_writer *writer; /* NULL until the first byte comes */
	struct http_response resp;
	struct version version;
	uint64_t delivered;
	int64_t start, shown; /* of the body */
};

static void fetching_release(struct fetching *f)
{
	layer_writer_free(f->writer);
	http_response_release(&f->resp);
	version_release(&f->version);
}

static char *take_validator(const struct fetching *f, const char *name)
{
	const char *value = http_header(&f->resp, name);

	return xstrdup(value && strlen(value) <= VALIDATOR_MAX ? value : "");
}

/* At the first byte the headers are known, and the time in them is the file's. */
static int open_file(struct fetching *f, struct error **err)
{
	struct entry e = {.path = f->file->filename,
			  .type = ENTRY_FILE,
			  .mode = f->file->mode,
			  .uid = f->file->uid,
			  .gid = f->file->gid};
	int r;

	f->version.modified = take_validator(f, "last-modified");
	f->version.etag = take_validator(f, "etag");
	e.mtime = http_date(f->version.modified);
	r = layer_writer_open(f->files->store, &f->writer, err);
	return r < 0 ? r : layer_writer_file(f->writer, &e, err);
}

static void show(struct fetching *f, bool completed)
{
	_cleanup_free_ char *id = NULL;
	const char *length;
	uint64_t total = 0;
	int64_t now = times_monotonic_ns();

	/* Small files come and go unseen. */
	if (!f->job || (completed ? f->shown == f->start : now - f->shown < STATUS_INTERVAL_NS))
		return;
	length = http_header(&f->resp, "content-length");
	f->shown = now;
	id = xasprintf("downloading %s", f->file->filename);
	if (!length || number_parse(length, 10, UINT64_MAX, &total) < 0)
		total = 0; /* nobody knows */
	job_status(f->job, id, f->delivered, total, completed);
}

static int on_piece(void *data, const void *p, size_t n, struct error **err)
{
	struct fetching *f = data;
	int r = 0;

	if (!f->writer) {
		f->start = f->shown = times_monotonic_ns();
		r = open_file(f, err);
	}
	if (r == 0)
		r = layer_writer_write(f->writer, p, n, err);
	show(f, false);
	return r;
}

/* The host part of a URL, with its port: "example.com:8080". Heap. */
/* The Authorization header that a secret gives for this host. */
static int find_authorization(const struct http_files *f, const char *host, char **ret,
			      struct error **err)
{
	_cleanup_free_ char *header = xasprintf(HEADER_SECRET "%s", host);
	_cleanup_free_ char *token = xasprintf(TOKEN_SECRET "%s", host);
	_cleanup_buf_ struct buf value = BUF_INIT_MAX(SECRET_MAX);
	bool found;
	int r = grants_read_secret(f->grants, header, &found, &value, err);

	if (r == 0 && !found) {
		buf_adds(&value, "Bearer ");
		r = grants_read_secret(f->grants, token, &found, &value, err);
	}
	if (r < 0 || !found)
		return r;
	while (value.n > 0 && strchr("\r\n \t", value.p[value.n - 1]))
		buf_truncate(&value, value.n - 1);
	if (strpbrk(value.p, "\r\n") || strlen(value.p) != value.n)
		return error_new(err, ERR_INVALID, 0,
				 "the secret for %s must be a single line to be sent as a header",
				 host);
	*ret = buf_take(&value);
	return 0;
}

static int perform(struct fetching *f, const struct version *have, struct error **err)
{
	_cleanup_free_ char *host = http_url_host(f->file->url), *authorization = NULL,
			    *line = NULL;
	const struct registry_config *trust = config_registry(f->files->config, host);
	_cleanup_strv_ struct strv headers = {0};
	struct http_request req = {
		.url = f->file->url,
		.headers = &headers,
		.ca = trust ? trust->ca : NULL,
		.insecure = trust && trust->insecure,
		.plain = strncmp(f->file->url, "http://", 7) == 0,
		.sink = on_piece,
		.sink_data = f,
		.delivered = &f->delivered,
		.cancel = f->job ? job_cancel(f->job) : NULL,
	};
	int r = find_authorization(f->files, host, &authorization, err);

	if (r < 0)
		return r;
	req.authorization = authorization;
	if (have && *have->etag)
		line = xasprintf("If-None-Match: %s", have->etag);
	else if (have && *have->modified)
		line = xasprintf("If-Modified-Since: %s", have->modified);
	if (line)
		strv_push(&headers, line);
	return http_perform(get_http(f->files), &req, &f->resp, err);
}

static int check_status(const struct fetching *f, struct error **err)
{
	_cleanup_free_ char *where = http_url_display(f->file->url), *host = NULL;
	int status = f->resp.status, r;

	if (status == 200 || status == 206)
		return 0;
	r = error_new(err,
		      status == 401 || status == 403   ? ERR_DENIED
		      : status == 404 || status == 410 ? ERR_NOTFOUND
						       : ERR_UNAVAILABLE,
		      0, "GET %s: invalid response status %d", where, status);
	if (status != 401)
		return r;
	host = http_url_host(f->file->url);
	return error_hint(err, r, "give a token with --secret id=" TOKEN_SECRET "%s", host);
}

/* A transfer that was resumed may have met another file at its second try. */
static int check_same(const struct fetching *f, struct error **err)
{
	_cleanup_free_ char *modified = take_validator(f, "last-modified");
	_cleanup_free_ char *etag = take_validator(f, "etag");
	_cleanup_free_ char *where = NULL;

	if (strcmp(modified, f->version.modified) == 0 && strcmp(etag, f->version.etag) == 0)
		return 0;
	where = http_url_display(f->file->url);
	return error_new(err, ERR_UNAVAILABLE, 0, "GET %s: the file changed while it was fetched",
			 where);
}

/* Fetches the file into a layer; with `have`, only if it is another one. *ret_layer = 0: it
 * is not. */
static int fetch(struct http_files *files, const struct http_file *file, struct job *job,
		 const struct version *have, struct version *ret, int64_t *ret_layer,
		 struct error **err)
{
	_cleanup_(fetching_release) struct fetching f = {
		.files = files, .file = file, .job = job, .resp = HTTP_RESPONSE_INIT};
	int r = perform(&f, have, err);

	*ret_layer = 0;
	if (r < 0 || (have && f.resp.status == 304))
		return r;
	r = check_status(&f, err);
	if (r == 0 && !f.writer) /* an empty file */
		r = open_file(&f, err);
	if (r == 0)
		r = check_same(&f, err);
	if (r == 0)
		r = layer_writer_file_end(f.writer, &f.version.digest, err);
	if (r == 0)
		r = layer_writer_commit(f.writer, ret_layer, err);
	if (r < 0)
		return r;
	show(&f, true);
	*ret = f.version;
	f.version = (struct version){.modified = NULL};
	return 0;
}

/* --- Pins --- */

static int check_checksum(const struct http_file *file, const struct digest *got,
			  struct error **err)
{
	char text[DIGEST_TEXT];

	digest_format(got, text);
	if (!file->checksum || strcmp(file->checksum, text) == 0)
		return 0;
	return error_new(err, ERR_CORRUPT, 0, "digest mismatch %s: %s", text, file->checksum);
}

/* What the URL stands for now. */
static int ask(struct http_files *f, const struct http_file *file, struct job *job,
	       const struct known **ret, struct error **err)
{
	_cleanup_(version_release) struct version have = {.modified = NULL},
						  got = {.modified = NULL};
	bool found = false;
	int64_t layer = 0;
	int r = read_pin(f->store, file->url, &found, &have, err);

	if (r == 0)
		r = fetch(f, file, job, found ? &have : NULL, &got, &layer, err);
	if (r < 0)
		return r;
	if (layer != 0)
		r = write_pin(f->store, file->url, &got, err);
	if (r == 0)
		*ret = remember(f, file, layer != 0 ? &got : &have, layer);
	return r;
}

static struct digest file_key(const struct http_file *file, const struct digest *digest,
			      const char *modified)
{
	struct digest key;
	struct hasher h;

	hasher_init(&h);
	hasher_add_string(&h, "http");
	hasher_add_string(&h, file->filename);
	hasher_add_u64(&h, file->mode);
	hasher_add_u64(&h, file->uid);
	hasher_add_u64(&h, file->gid);
	hasher_add(&h, digest->b, sizeof(digest->b));
	hasher_add_string(&h, modified);
	hasher_final(&h, &key);
	hasher_release(&h);
	return key;
}

int http_files_pin(struct http_files *f, const struct http_file *file, struct job *job,
		   struct digest *ret_key, struct error **err)
{
	const struct known *k = find_known(f, file);
	struct digest wanted;
	int r = 0;

	/* What the bytes are is known without asking anybody. */
	if (file->checksum) {
		if (digest_parse(file->checksum, &wanted) < 0)
			return error_new(err, ERR_INVALID, 0, "'%s' is not a sha256 digest",
					 file->checksum);
		*ret_key = file_key(file, &wanted, "");
		return 0;
	}
	if (!k)
		r = ask(f, file, job, &k, err);
	if (r == 0)
		*ret_key = file_key(file, &k->version.digest, k->version.modified);
	return r;
}

int http_files_digest(struct http_files *f, const struct http_file *file, struct job *job,
		      struct digest *ret, struct error **err)
{
	struct digest key;
	int r = http_files_pin(f, file, job, &key, err);

	if (r == 0 && file->checksum)
		r = digest_parse(file->checksum, ret);
	else if (r == 0)
		*ret = find_known(f, file)->version.digest;
	return r;
}

/* Is it what the key was made of? */
static int check_version(const struct http_file *file, const struct known *k,
			 const struct digest *got, struct error **err)
{
	char expected[DIGEST_TEXT], text[DIGEST_TEXT];
	_cleanup_free_ char *where = NULL;
	int r = check_checksum(file, got, err);

	if (r < 0 || file->checksum || !k || digest_equal(got, &k->version.digest))
		return r;
	where = http_url_display(file->url);
	return error_new(err, ERR_UNAVAILABLE, 0, "GET %s: the file changed from %s to %s", where,
			 digest_format(&k->version.digest, expected), digest_format(got, text));
}

int http_files_layer(struct http_files *f, const struct http_file *file, struct job *job,
		     int64_t *ret_layer, struct error **err)
{
	_cleanup_(version_release) struct version got = {.modified = NULL};
	const struct known *k = find_known(f, file);
	int64_t layer;
	int r;

	if (k && k->layer != 0) {
		*ret_layer = k->layer;
		return check_checksum(file, &k->version.digest, err);
	}
	/* The server said that nothing changed, but what was made of it is gone from the cache; or
	 * it was not asked yet, the checksum being known. */
	r = fetch(f, file, job, NULL, &got, &layer, err);
	if (r == 0)
		r = check_version(file, k, &got.digest, err);
	if (r < 0)
		return r;
	if (!k)
		(void)remember(f, file, &got, layer);
	*ret_layer = layer;
	return 0;
}
