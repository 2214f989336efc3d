/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/oci/oci.h"
#include "engine/registry/registry.h"
#include "fake_server.h"
#include "hostile_urls.h"

static char dir[] = "/tmp/kiln-registry-XXXXXX";

/* A registry with one manifest, and what it wants to see before it shows it. */
struct shop {
	const char *want;	/* Authorization that opens it; NULL: open to all */
	const char *challenge;	/* headers of its 401 */
	const char *claim;	/* Docker-Content-Digest it sends; NULL: none */
	const char *want_basic; /* at the token server */
	int status;		/* 0, or what it always answers */
	int tokens;		/* how many were asked for */
	char token_query[512];
	char token_body[512];
	char head[16]; /* methods seen: one letter a request */
	struct buf uploaded;
	char put_type[128];
	unsigned breaks;       /* uploads that break after 5 bytes */
	bool forgets;	       /* and how far they came */
	bool moves;	       /* uploads are sent elsewhere by a 307 */
	char location[256];    /* where uploads go, if not here */
	const char *immutable; /* answer to a PUT of a manifest other than the one that is here */
	int fails;	       /* answers 500 so often, whatever is asked */
	bool hangs;	       /* waits until the client has gone */
	const char *page;      /* headers of an answer to everything */
	const char *body;      /* and its body */
	char target[256];      /* of the last request */
	const char *tags;      /* what it says when asked to list its tags */
};

static const char manifest[] = "{\"schemaVersion\":2,\"manifests\":[]}";

static void answer_token(struct shop *shop, const struct fake_request *req, int fd)
{
	_cleanup_free_ char *auth = fake_header(req, "authorization");
	static const char token[] = "{\"token\":\"opensesame\",\"expires_in\":300}";

	shop->tokens++;
	snprintf(shop->token_query, sizeof(shop->token_query), "%.500s", req->target);
	snprintf(shop->token_body, sizeof(shop->token_body), "%.500s", req->body.p);
	if (shop->want_basic && (!auth || strcmp(auth, shop->want_basic) != 0))
		fake_answer(fd, 401, "", NULL, 0);
	else
		fake_answer(fd, 200, "", token, strlen(token));
}

static void answer_upload(struct shop *shop, const struct fake_request *req, int fd)
{
	if (strstr(req->target, "mount=")) {
		fake_answer(fd, strstr(req->target, "from=known") ? 201 : 202,
			    "Location: /v2/x/blobs/uploads/1\r\n", NULL, 0);
	} else if (shop->location[0]) {
		fake_answer(fd, 202, shop->location, NULL, 0);
	} else if (strcmp(req->method, "POST") == 0) {
		fake_answer(fd, 202, "Location: /v2/x/blobs/uploads/1?state=s\r\n", NULL, 0);
	} else if (strcmp(req->method, "GET") == 0) {
		fake_answer(fd, shop->forgets ? 404 : 204,
			    "Location: /v2/x/blobs/uploads/2?state=t\r\nRange: 0-4\r\n", NULL, 0);
	} else if (shop->breaks > 0) {
		shop->breaks--;
		buf_add(&shop->uploaded, req->body.p, shop->forgets ? 0 : 5);
	} else if (shop->moves && !strstr(req->target, "moved")) {
		fake_answer(fd, 307, "Location: /v2/x/blobs/uploads/moved\r\n", NULL, 0);
	} else if (strcmp(req->method, "PATCH") == 0) {
		buf_add(&shop->uploaded, req->body.p, req->body.n);
		fake_answer(fd, 202, "Location: /v2/x/blobs/uploads/3\r\n", NULL, 0);
	} else {
		buf_add(&shop->uploaded, req->body.p, req->body.n);
		snprintf(shop->token_query, sizeof(shop->token_query), "%.500s", req->target);
		fake_answer(fd, 201, "", NULL, 0);
	}
}

static void serve(struct fake_server *s, const struct fake_request *req, int fd)
{
	struct shop *shop = s->data;
	_cleanup_free_ char *auth = fake_header(req, "authorization");
	_cleanup_free_ char *headers = NULL;
	size_t seen = strlen(shop->head);

	if (strncmp(req->target, "/token", 6) == 0) {
		answer_token(shop, req, fd);
		return;
	}
	if (seen + 1 < sizeof(shop->head))
		shop->head[seen] = req->method[0];
	snprintf(shop->target, sizeof(shop->target), "%.250s", req->target);
	if (shop->hangs) {
		char c;

		while (recv(fd, &c, 1, 0) > 0)
			;
	} else if (shop->fails > 0) {
		shop->fails--;
		fake_answer(fd, 500, "", NULL, 0);
	} else if (shop->page) {
		fake_answer(fd, 200, shop->page, shop->body, strlen(shop->body));
	} else if (shop->status) {
		static const char body[] =
			"{\"errors\":[{\"code\":\"X\",\"message\":\"told \\u001byou\"}]}";

		fake_answer(fd, shop->status, "", body, strlen(body));
	} else if (shop->want && (!auth || strcmp(auth, shop->want) != 0)) {
		fake_answer(fd, 401, shop->challenge, NULL, 0);
	} else if (strstr(req->target, "/blobs/uploads/")) {
		answer_upload(shop, req, fd);
	} else if (strcmp(req->method, "PUT") == 0) {
		_cleanup_free_ char *type = fake_header(req, "content-type");

		snprintf(shop->put_type, sizeof(shop->put_type), "%s", type ? type : "");
		if (shop->immutable) {
			fake_answer(fd, 400, "", shop->immutable, strlen(shop->immutable));
			return;
		}
		buf_add(&shop->uploaded, req->body.p, req->body.n);
		fake_answer(fd, 201, "", NULL, 0);
	} else if (strstr(req->target, "/tags/list")) {
		fake_answer(fd, 200, "", shop->tags, strlen(shop->tags));
	} else if (strstr(req->target, "/manifests/")) {
		headers = xasprintf("Content-Type: %s; charset=utf-8\r\n%s%s%s", OCI_INDEX_TYPE,
				    shop->claim ? "Docker-Content-Digest: " : "",
				    shop->claim ? shop->claim : "", shop->claim ? "\r\n" : "");
		fake_answer(fd, 200, headers, strcmp(req->method, "HEAD") == 0 ? NULL : manifest,
			    strlen(manifest));
	} else {
		fake_answer(fd, 404, "", NULL, 0);
	}
}

/* A started shop and a client; `config` (may be NULL) has %s for the shop's host. */
struct fixture {
	struct fake_server server;
	struct shop shop;
	struct config config;
	struct registry *reg;
	struct imageref ref;
	struct registry_manifest m;
	struct error *err;
};

static void open_fixture(struct fixture *f)
{
	_cleanup_free_ char *name = NULL;

	f->m = (struct registry_manifest)REGISTRY_MANIFEST_INIT;
	f->shop.uploaded = (struct buf)BUF_INIT;
	fake_start(&f->server, serve, &f->shop);
	name = xasprintf("%s/x:1", f->server.host);
	assert_int_equal(imageref_parse(name, &f->ref, NULL), 0);
	f->reg = registry_new(&f->config);
}

static void close_fixture(struct fixture *f)
{
	fake_stop(&f->server);
	registry_free(f->reg);
	imageref_release(&f->ref);
	registry_manifest_release(&f->m);
	config_release(&f->config);
	buf_release(&f->shop.uploaded);
	error_free(f->err);
}

static void credentials(const char *host, const char *json)
{
	_cleanup_free_ char *path = xasprintf("%s/config.json", dir);
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	if (host)
		fprintf(f, "{\"auths\":{\"%s\":%s}}", host, json);
	else
		fputs("{}", f);
	fclose(f);
}

static void expect_text(const struct fixture *f, const char *text)
{
	if (!strstr(error_text(f->err), text))
		fail_msg("'%s' does not say '%s'", error_text(f->err), text);
}

static void an_anonymous_token_is_fetched_once_and_reused(void **state)
{
	struct fixture f = {.shop = {.want = "Bearer opensesame"}};
	_cleanup_free_ char *challenge = NULL;
	struct digest digest;

	(void)state;
	credentials(NULL, NULL);
	open_fixture(&f);
	f.shop.challenge = challenge =
		xasprintf("WWW-Authenticate: Bearer realm=\"http://%s/token\",service=\"shop\"\r\n",
			  f.server.host);
	assert_int_equal(registry_manifest_get(f.reg, &f.ref, NULL, &f.m, &f.err), 0);
	assert_string_equal(f.m.bytes.p, manifest);
	assert_string_equal(f.m.media_type, OCI_INDEX_TYPE);
	assert_string_equal(f.shop.token_query, "/token?service=shop&scope=repository%3Ax%3Apull");
	assert_int_equal(registry_manifest_head(f.reg, &f.ref, NULL, &digest, &f.err), 0);
	assert_true(digest_equal(&digest, &f.m.digest));
	assert_int_equal(f.shop.tokens, 1);
	close_fixture(&f);
}

static void stored_credentials_go_to_the_token_server(void **state)
{
	struct fixture f = {.shop = {.want = "Bearer opensesame", .want_basic = "Basic dTpw"}};
	_cleanup_free_ char *challenge = NULL;

	(void)state;
	open_fixture(&f);
	credentials(f.server.host, "{\"auth\":\"dTpw\"}");
	f.shop.challenge = challenge =
		xasprintf("WWW-Authenticate: Basic realm=\"x\"\r\n"
			  "WWW-Authenticate: Bearer realm=\"http://%s/token\"\r\n",
			  f.server.host);
	assert_int_equal(registry_manifest_get(f.reg, &f.ref, NULL, &f.m, &f.err), 0);
	close_fixture(&f);
}

static void an_identity_token_is_exchanged(void **state)
{
	struct fixture f = {.shop = {.want = "Bearer opensesame"}};
	_cleanup_free_ char *challenge = NULL;

	(void)state;
	open_fixture(&f);
	credentials(f.server.host, "{\"identitytoken\":\"long lived\"}");
	f.shop.challenge = challenge = xasprintf(
		"WWW-Authenticate: Bearer realm=\"http://%s/token\",service=s\r\n", f.server.host);
	assert_int_equal(registry_manifest_get(f.reg, &f.ref, NULL, &f.m, &f.err), 0);
	assert_string_equal(f.shop.token_query, "/token");
	assert_non_null(strstr(f.shop.token_body, "grant_type=refresh_token"));
	assert_non_null(strstr(f.shop.token_body, "refresh_token=long%20lived"));
	close_fixture(&f);
}

static void basic_credentials_answer_a_basic_challenge(void **state)
{
	struct fixture f = {
		.shop = {.want = "Basic dTpw", .challenge = "WWW-Authenticate: Basic realm=x\r\n"}};

	(void)state;
	open_fixture(&f);
	credentials(f.server.host, "{\"username\":\"u\",\"password\":\"p\"}");
	assert_int_equal(registry_manifest_get(f.reg, &f.ref, NULL, &f.m, &f.err), 0);
	assert_string_equal(f.shop.head, "GG");
	/* Known from now on: no more 401s. */
	registry_manifest_release(&f.m);
	assert_int_equal(registry_manifest_get(f.reg, &f.ref, NULL, &f.m, &f.err), 0);
	assert_string_equal(f.shop.head, "GGG");
	close_fixture(&f);
}

static void without_credentials_the_hint_is_to_log_in(void **state)
{
	struct fixture f = {
		.shop = {.want = "Basic dTpw", .challenge = "WWW-Authenticate: Basic realm=x\r\n"}};

	(void)state;
	credentials(NULL, NULL);
	open_fixture(&f);
	assert_int_equal(registry_manifest_get(f.reg, &f.ref, NULL, &f.m, &f.err), -ERR_DENIED);
	assert_non_null(strstr(error_hint_text(f.err), "kiln login 127.0.0.1:"));
	close_fixture(&f);
}

/* Every backslash twice: in a quoted string one quotes what follows it. Heap. */
static char *quoted(const char *text)
{
	struct buf b = BUF_INIT;

	for (; *text; text++) {
		if (*text == '\\')
			buf_addc(&b, '\\');
		buf_addc(&b, *text);
	}
	return buf_take(&b);
}

static void expect_denied(const struct fixture *f, int r, const char *url, const char *text)
{
	if ((r != -ERR_DENIED && r != -ERR_INVALID) || !strstr(error_text(f->err), text))
		fail_msg("'%s': %d %s", url, r, f->err ? error_text(f->err) : "");
}

/* What a hostile registry may name so that a password goes where it should not. */
static void try_realm(const char *url)
{
	_cleanup_free_ char *realm = quoted(url);
	_cleanup_free_ char *challenge =
		xasprintf("WWW-Authenticate: Bearer realm=\"%s\"\r\n", realm);
	struct fixture f = {.shop = {.want = "Bearer x", .challenge = challenge}};
	int r;

	open_fixture(&f);
	credentials(f.server.host, "{\"auth\":\"dTpw\"}");
	r = registry_manifest_get(f.reg, &f.ref, NULL, &f.m, &f.err);
	expect_denied(&f, r, url, "get a token: the token server that it names: ");
	close_fixture(&f);
}

static void try_location(const char *url)
{
	struct registry_upload up = {.digest = digest_of("layer bytes", 11), .size = 11, .fd = -1};
	struct fixture f = {0};
	int r;

	snprintf(f.shop.location, sizeof(f.shop.location), "Location: %s\r\n", url);
	open_fixture(&f);
	r = registry_push_blob(f.reg, &f.ref, &up, NULL, &f.err);
	expect_denied(&f, r, url, "where the registry wants the upload: ");
	close_fixture(&f);
}

static void try_all(void (*try)(const char *url))
{
	struct shop other = {0};
	struct fake_server away;

	fake_start(&away, serve, &other);
	for (size_t i = 0; i < ARRAY_SIZE(hostile_users); i++) {
		_cleanup_free_ char *url = hostile_url(hostile_users[i], away.host);

		try(url);
	}
	for (size_t i = 0; i < ARRAY_SIZE(hostile_networks); i++) {
		_cleanup_free_ char *url = hostile_url(hostile_networks[i], away.host);

		try(url);
	}
	fake_stop(&away);
	assert_int_equal(away.requests, 0);
}

static void a_token_server_in_the_clear_or_with_a_user_gets_nothing(void **state)
{
	(void)state;
	try_all(try_realm);
}

static void a_manifest_that_is_not_what_was_asked_for_is_refused(void **state)
{
	struct fixture f = {.shop = {.claim =
					     "sha256:1111111111111111111111111111111111111111111111"
					     "111111111111111111"}};

	(void)state;
	credentials(NULL, NULL);
	open_fixture(&f);
	assert_int_equal(registry_manifest_get(f.reg, &f.ref, NULL, &f.m, &f.err), -ERR_CORRUPT);
	expect_text(&f, "expected sha256:1111");
	expect_text(&f, f.server.host);
	error_free(TAKE_PTR(f.err));
	f.shop.claim = NULL;
	f.ref.has_digest = true;
	f.ref.digest = digest_of("other", 5);
	assert_int_equal(registry_manifest_get(f.reg, &f.ref, NULL, &f.m, &f.err), -ERR_CORRUPT);
	f.ref.digest = digest_of(manifest, strlen(manifest));
	assert_int_equal(registry_manifest_get(f.reg, &f.ref, NULL, &f.m, NULL), 0);
	close_fixture(&f);
}

static void a_list_of_tags_holds_only_tags(void **state)
{
	static const char *const wrong[] = {"", "[]", "{\"tags\":\"1\"}", "{\"tags\":[\"1\""};
	struct fixture f = {.shop = {.tags = "{\"tags\":[\"1.0-slim\",7,null,\"\",\"-x\",\"a "
					     "b\",\"\\u001b[31m\",\"_a\"]}"}};
	_cleanup_strv_ struct strv tags = {0};

	(void)state;
	credentials(NULL, NULL);
	open_fixture(&f);
	assert_int_equal(registry_tags(f.reg, &f.ref, NULL, &tags, NULL), 0);
	assert_int_equal(tags.n, 2);
	assert_string_equal(tags.v[0], "1.0-slim");
	assert_string_equal(tags.v[1], "_a");
	f.shop.tags = "{\"name\":\"x\",\"tags\":null}";
	(void)!registry_tags(f.reg, &f.ref, NULL, &tags, NULL);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		f.shop.tags = wrong[i];
		assert_true(registry_tags(f.reg, &f.ref, NULL, &tags, &f.err) < 0);
		expect_text(&f, "tags of ");
		error_free(TAKE_PTR(f.err));
	}
	assert_int_equal(tags.n, 2);
	close_fixture(&f);
}

static void statuses_become_errors_that_say_what_to_do(void **state)
{
	static const struct {
		int status;
		enum err_code code;
		const char *text;
	} cases[] = {
		{404, ERR_NOTFOUND, "/x:1: not found"}, {403, ERR_DENIED, "denies access"},
		{400, ERR_INVALID, "answers 400"},	{500, ERR_UNAVAILABLE, "answers 500"},
		{416, ERR_INVALID, "told \\x1byou"},
	};

	(void)state;
	credentials(NULL, NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct fixture f = {.shop = {.status = cases[i].status}};

		open_fixture(&f);
		assert_int_equal(registry_manifest_get(f.reg, &f.ref, NULL, &f.m, &f.err),
				 -(int)cases[i].code);
		expect_text(&f, cases[i].text);
		close_fixture(&f);
	}
}

static void add_mirrors(struct fixture *f, const char *registry, const char *first,
			const char *second)
{
	_cleanup_free_ char *json =
		xasprintf("{\"registries\":{\"%s\":{\"mirrors\":[\"http://%s\",\"http://%s\"]}}}",
			  registry, first, second);

	assert_int_equal(config_merge(&f->config, "/c", json, strlen(json), NULL), 0);
}

static void mirrors_are_asked_in_order_and_then_the_registry(void **state)
{
	struct shop empty = {.status = 404};
	struct fake_server other;
	struct fixture f = {0};

	(void)state;
	credentials(NULL, NULL);
	fake_start(&other, serve, &empty);
	open_fixture(&f);
	/* The first mirror does not answer at all, the second does not have it. */
	add_mirrors(&f, f.server.host, "127.0.0.1:1", other.host);
	assert_int_equal(registry_manifest_get(f.reg, &f.ref, NULL, &f.m, &f.err), 0);
	assert_int_equal(empty.head[0], 'G');
	assert_string_equal(f.m.server, f.server.host);
	fake_stop(&other);
	close_fixture(&f);
}

static void a_mirror_that_answered_is_quoted_before_a_registry_that_is_away(void **state)
{
	struct fixture f = {.shop = {.status = 404}};
	struct imageref away;

	(void)state;
	open_fixture(&f);
	assert_int_equal(imageref_parse("127.0.0.1:1/x:2", &away, NULL), 0);
	add_mirrors(&f, "127.0.0.1:1", f.server.host, f.server.host);
	assert_int_equal(registry_manifest_get(f.reg, &away, NULL, &f.m, &f.err), -ERR_NOTFOUND);
	expect_text(&f, "127.0.0.1:1/x:2: not found");
	imageref_release(&away);
	close_fixture(&f);
}

static void all_servers_that_are_away_are_named(void **state)
{
	struct fixture f = {0};
	struct imageref away;

	(void)state;
	open_fixture(&f);
	assert_int_equal(imageref_parse("127.0.0.1:1/x:2", &away, NULL), 0);
	add_mirrors(&f, "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3");
	assert_int_equal(registry_manifest_get(f.reg, &away, NULL, &f.m, &f.err), -ERR_UNAVAILABLE);
	expect_text(&f, "127.0.0.1:2: GET");
	expect_text(&f, "127.0.0.1:3: GET");
	expect_text(&f, "127.0.0.1:1: GET");
	imageref_release(&away);
	close_fixture(&f);
}

static void blobs_and_manifests_are_pushed(void **state)
{
	struct registry_upload up = {.digest = digest_of("layer bytes", 11), .size = 11};
	struct fixture f = {0};
	char path[] = "/tmp/kiln-push-XXXXXX";
	bool yes = true;

	(void)state;
	credentials(NULL, NULL);
	open_fixture(&f);
	assert_int_equal(registry_push_has_blob(f.reg, &f.ref, &up.digest, NULL, &yes, NULL), 0);
	assert_false(yes);
	assert_int_equal(registry_push_mount(f.reg, &f.ref, "known", &up.digest, NULL, &yes, NULL),
			 0);
	assert_true(yes);
	assert_int_equal(registry_push_mount(f.reg, &f.ref, "else", &up.digest, NULL, &yes, NULL),
			 0);
	assert_false(yes);
	up.fd = mkstemp(path);
	unlink(path);
	assert_int_equal(write(up.fd, "layer bytes", 11), 11);
	assert_int_equal(registry_push_blob(f.reg, &f.ref, &up, NULL, &f.err), 0);
	close(up.fd);
	assert_string_equal(f.shop.uploaded.p, "layer bytes");
	assert_non_null(strstr(f.shop.token_query, "?state=s&digest=sha256%3A"));
	buf_clear(&f.shop.uploaded);
	assert_int_equal(registry_push_manifest(f.reg, &f.ref, OCI_INDEX_TYPE, manifest,
						strlen(manifest), NULL, &f.err),
			 0);
	assert_string_equal(f.shop.uploaded.p, manifest);
	assert_string_equal(f.shop.put_type, OCI_INDEX_TYPE);
	close_fixture(&f);
}

/* Pushes "layer bytes" to such a shop. */
static void push_to(struct fixture *f)
{
	struct registry_upload up = {.digest = digest_of("layer bytes", 11), .size = 11};
	char path[] = "/tmp/kiln-push-XXXXXX";

	credentials(NULL, NULL);
	open_fixture(f);
	up.fd = mkstemp(path);
	unlink(path);
	assert_int_equal(write(up.fd, "layer bytes", 11), 11);
	assert_int_equal(registry_push_blob(f->reg, &f->ref, &up, NULL, &f->err), 0);
	close(up.fd);
	assert_string_equal(f->shop.uploaded.p, "layer bytes");
}

static void a_broken_upload_goes_on_where_it_stopped(void **state)
{
	struct fixture f = {.shop = {.breaks = 1, .uploaded = BUF_INIT}};

	(void)state;
	push_to(&f);
	assert_non_null(strstr(f.shop.token_query, "uploads/3?digest=sha256%3A"));
	close_fixture(&f);
}

static void an_upload_that_the_registry_forgot_starts_anew(void **state)
{
	struct fixture f = {.shop = {.breaks = 2, .forgets = true, .uploaded = BUF_INIT}};

	(void)state;
	push_to(&f);
	assert_non_null(strstr(f.shop.token_query, "uploads/1?state=s&digest=sha256%3A"));
	close_fixture(&f);
}

static void an_upload_follows_a_redirect_with_its_bytes(void **state)
{
	struct fixture f = {.shop = {.moves = true, .uploaded = BUF_INIT}};

	(void)state;
	push_to(&f);
	assert_non_null(strstr(f.shop.token_query, "uploads/moved"));
	close_fixture(&f);
}

static void an_upload_goes_nowhere_in_the_clear_or_with_a_user(void **state)
{
	(void)state;
	credentials(NULL, NULL);
	try_all(try_location);
}

static void a_tag_that_is_there_is_not_put_again(void **state)
{
	struct digest digest = digest_of(manifest, strlen(manifest));
	struct fixture f = {0};
	char text[DIGEST_TEXT];

	(void)state;
	credentials(NULL, NULL);
	f.shop.claim = digest_format(&digest, text);
	f.shop.immutable = "{\"errors\":[{\"message\":\"the tag is immutable\"}]}";
	open_fixture(&f);
	assert_int_equal(registry_push_manifest(f.reg, &f.ref, OCI_INDEX_TYPE, manifest,
						strlen(manifest), NULL, &f.err),
			 0);
	assert_string_equal(f.shop.head, "H");
	assert_int_equal(
		registry_push_manifest(f.reg, &f.ref, OCI_INDEX_TYPE, "{}", 2, NULL, &f.err),
		-ERR_INVALID);
	expect_text(&f, "the tag is immutable");
	assert_non_null(strstr(error_hint_text(f.err), "use another"));
	close_fixture(&f);
}

static void a_500_that_passes_is_asked_again(void **state)
{
	struct fixture f = {.shop = {.fails = 1}};

	(void)state;
	credentials(NULL, NULL);
	open_fixture(&f);
	assert_int_equal(registry_manifest_get(f.reg, &f.ref, NULL, &f.m, &f.err), 0);
	free(f.ref.tag);
	f.ref.tag = NULL;
	f.shop.fails = 1;
	assert_int_equal(registry_push_manifest(f.reg, &f.ref, OCI_INDEX_TYPE, manifest,
						strlen(manifest), NULL, &f.err),
			 0);
	assert_string_equal(f.shop.uploaded.p, manifest);
	close_fixture(&f);
}

static void a_mirror_with_a_path_is_asked_below_it(void **state)
{
	struct fixture f = {0};
	_cleanup_free_ char *json = NULL;
	struct imageref ref;

	(void)state;
	credentials(NULL, NULL);
	open_fixture(&f);
	json = xasprintf(
		"{\"registries\":{\"docker.io\":{\"mirrors\":[\"http://%s/hub/proxy/\"]}}}",
		f.server.host);
	assert_int_equal(config_merge(&f.config, "/c", json, strlen(json), NULL), 0);
	assert_int_equal(imageref_parse("box:1", &ref, NULL), 0);
	assert_int_equal(registry_manifest_get(f.reg, &ref, NULL, &f.m, &f.err), 0);
	assert_string_equal(f.shop.target, "/v2/hub/proxy/library/box/manifests/1");
	assert_string_equal(f.m.server, f.server.host);
	imageref_release(&ref);
	close_fixture(&f);
}

static void a_token_for_a_mirror_with_a_path_is_for_that_path(void **state)
{
	struct fixture f = {.shop = {.want = "Bearer opensesame"}};
	_cleanup_free_ char *json = NULL, *challenge = NULL;
	struct imageref ref;

	(void)state;
	credentials(NULL, NULL);
	open_fixture(&f);
	f.shop.challenge = challenge =
		xasprintf("WWW-Authenticate: Bearer realm=\"http://%s/token\"\r\n", f.server.host);
	json = xasprintf("{\"registries\":{\"docker.io\":{\"mirrors\":[\"http://%s/hub\"]}}}",
			 f.server.host);
	assert_int_equal(config_merge(&f.config, "/c", json, strlen(json), NULL), 0);
	assert_int_equal(imageref_parse("box:1", &ref, NULL), 0);
	assert_int_equal(registry_manifest_get(f.reg, &ref, NULL, &f.m, &f.err), 0);
	assert_non_null(
		strstr(f.shop.token_query, "scope=repository%3Ahub%2Flibrary%2Fbox%3Apull"));
	imageref_release(&ref);
	close_fixture(&f);
}

static void a_mirror_that_hangs_is_asked_last_from_then_on(void **state)
{
	struct shop stuck = {.hangs = true};
	struct fake_server other;
	struct fixture f = {0};

	(void)state;
	credentials(NULL, NULL);
	fake_start(&other, serve, &stuck);
	open_fixture(&f);
	registry_set_mirror_patience(f.reg, 1);
	add_mirrors(&f, "docker.io", other.host, f.server.host);
	for (int i = 0; i < 3; i++) {
		struct imageref ref;

		assert_int_equal(imageref_parse("box:1", &ref, NULL), 0);
		registry_manifest_release(&f.m);
		assert_int_equal(registry_manifest_get(f.reg, &ref, NULL, &f.m, &f.err), 0);
		assert_string_equal(f.m.server, f.server.host);
		imageref_release(&ref);
	}
	assert_int_equal(other.requests, 1);
	fake_stop(&other);
	close_fixture(&f);
}

static void a_mirror_that_shows_a_page_or_an_error_is_passed_over(void **state)
{
	static const char *const pages[][2] = {
		{"Content-Type: text/html\r\n", "<html>Log in</html>"},
		{"Content-Type: application/json\r\n",
		 "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"pay first\"}]}"}};

	(void)state;
	credentials(NULL, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
		struct shop portal = {.page = pages[i][0], .body = pages[i][1]};
		struct fake_server other;
		struct fixture f = {0};

		fake_start(&other, serve, &portal);
		open_fixture(&f);
		add_mirrors(&f, f.server.host, other.host, other.host);
		assert_int_equal(registry_manifest_get(f.reg, &f.ref, NULL, &f.m, &f.err), 0);
		assert_string_equal(f.m.server, f.server.host);
		fake_stop(&other);
		close_fixture(&f);
	}
}

static void an_error_that_comes_as_a_200_is_told(void **state)
{
	struct fixture f = {.shop = {.page = "Content-Type: application/json\r\n",
				     .body = "{\"errors\":[{\"message\":\"pay first\"}]}"}};
	struct registry_blob blob = {.path = "x", .size = 100};
	_cleanup_buf_ struct buf got = BUF_INIT;

	(void)state;
	credentials(NULL, NULL);
	open_fixture(&f);
	assert_int_equal(registry_manifest_get(f.reg, &f.ref, NULL, &f.m, &f.err),
			 -ERR_UNAVAILABLE);
	expect_text(&f, "answers 200 with an error: pay first");
	error_free(TAKE_PTR(f.err));
	blob.host = f.server.host;
	assert_int_equal(registry_blob_read(f.reg, &blob, "config", NULL, &got, &f.err),
			 -ERR_CORRUPT);
	expect_text(&f, "it says: pay first");
	close_fixture(&f);
}

static int setup(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	setenv("DOCKER_CONFIG", dir, 1);
	return 0;
}

static int teardown(void **state)
{
	_cleanup_free_ char *path = xasprintf("%s/config.json", dir);

	(void)state;
	unlink(path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_anonymous_token_is_fetched_once_and_reused),
		cmocka_unit_test(stored_credentials_go_to_the_token_server),
		cmocka_unit_test(an_identity_token_is_exchanged),
		cmocka_unit_test(basic_credentials_answer_a_basic_challenge),
		cmocka_unit_test(without_credentials_the_hint_is_to_log_in),
		cmocka_unit_test(a_token_server_in_the_clear_or_with_a_user_gets_nothing),
		cmocka_unit_test(a_manifest_that_is_not_what_was_asked_for_is_refused),
		cmocka_unit_test(a_list_of_tags_holds_only_tags),
		cmocka_unit_test(statuses_become_errors_that_say_what_to_do),
		cmocka_unit_test(mirrors_are_asked_in_order_and_then_the_registry),
		cmocka_unit_test(a_mirror_that_answered_is_quoted_before_a_registry_that_is_away),
		cmocka_unit_test(all_servers_that_are_away_are_named),
		cmocka_unit_test(blobs_and_manifests_are_pushed),
		cmocka_unit_test(a_broken_upload_goes_on_where_it_stopped),
		cmocka_unit_test(an_upload_that_the_registry_forgot_starts_anew),
		cmocka_unit_test(an_upload_follows_a_redirect_with_its_bytes),
		cmocka_unit_test(an_upload_goes_nowhere_in_the_clear_or_with_a_user),
		cmocka_unit_test(a_tag_that_is_there_is_not_put_again),
		cmocka_unit_test(a_500_that_passes_is_asked_again),
		cmocka_unit_test(a_mirror_with_a_path_is_asked_below_it),
		cmocka_unit_test(a_token_for_a_mirror_with_a_path_is_for_that_path),
		cmocka_unit_test(a_mirror_that_hangs_is_asked_last_from_then_on),
		cmocka_unit_test(a_mirror_that_shows_a_page_or_an_error_is_passed_over),
		cmocka_unit_test(an_error_that_comes_as_a_200_is_told),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
