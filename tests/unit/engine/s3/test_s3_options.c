/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "engine/remote_cache/remote_spec.h"
#include "engine/s3/s3_options.h"
#include "hostile_urls.h"

static const char *const variables[] = {
	"AWS_ACCESS_KEY_ID",  "AWS_SECRET_ACCESS_KEY",
	"AWS_SESSION_TOKEN",  "AWS_REGION",
	"AWS_DEFAULT_REGION", "AWS_BUCKET",
	"AWS_ENDPOINT_URL",   "AWS_ENDPOINT_URL_S3",
	"AWS_PROFILE",	      "AWS_SHARED_CREDENTIALS_FILE",
	"AWS_CONFIG_FILE",
};

static char home[] = "/tmp/kiln-s3-options.XXXXXX";

static int set_up(void **state)
{
	(void)state;
	return mkdtemp(home) && setenv("HOME", home, 1) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	return fs_remove_tree(AT_FDCWD, home);
}

static int forget_variables(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
		unsetenv(variables[i]);
	return 0;
}

static int read_options(const char *text, enum remote_use use, struct s3_options *ret,
			struct error **err)
{
	remote_specs specs = {0};
	int r = remote_spec_parse(text, use, &specs, err);

	if (r == 0)
		r = s3_options_read(&specs.v[0].attrs, use == REMOTE_IMPORT, ret, err);
	remote_specs_release(&specs);
	return r;
}

static struct s3_options expect(const char *text)
{
	_cleanup_(error_freep) struct error *err = NULL;
	struct s3_options o = {0};

	if (read_options(text, REMOTE_EXPORT, &o, &err) < 0)
		fail_msg("%s: %s", text, error_text(err));
	return o;
}

static void expect_error(const char *text, enum remote_use use, const char *why)
{
	_cleanup_(error_freep) struct error *err = NULL;
	struct s3_options o = {0};

	if (read_options(text, use, &o, &err) == 0)
		fail_msg("%s: accepted", text);
	if (!strstr(error_text(err), why))
		fail_msg("%s: %s", text, error_text(err));
	assert_null(strstr(error_text(err), "hunter2"));
}

#define KEYS ",access_key_id=id,secret_access_key=hunter2"

static void attributes_say_where_the_bucket_is(void **state)
{
	struct s3_options o = expect("type=s3,bucket=b1,region=eu-west-3" KEYS);

	(void)state;
	assert_string_equal(o.endpoint, "https://s3.eu-west-3.amazonaws.com");
	assert_false(o.path_style);
	assert_int_equal(o.parallelism, 4);
	assert_string_equal(o.credentials.access_key, "id");
	assert_string_equal(o.credentials.secret_key, "hunter2");
	assert_null(o.credentials.session_token);
	s3_options_release(&o);

	o = expect("type=s3,bucket=b1,region=cn-north-1,upload_parallelism=9,session_token=t" KEYS);
	assert_string_equal(o.endpoint, "https://s3.cn-north-1.amazonaws.com.cn");
	assert_int_equal(o.parallelism, 9);
	assert_string_equal(o.credentials.session_token, "t");
	s3_options_release(&o);

	o = expect("type=s3,bucket=b1,endpoint_url=http://Minio.Example:9000/"
		   ",use_path_style=true" KEYS);
	assert_string_equal(o.endpoint, "http://minio.example:9000");
	assert_string_equal(o.region, "us-east-1");
	assert_true(o.path_style);
	s3_options_release(&o);
}

static void a_bucket_stands_in_the_path_where_no_host_can_have_it(void **state)
{
	static const struct {
		const char *text;
		bool path_style;
	} cases[] = {
		{"type=s3,bucket=b,endpoint_url=http://127.0.0.1:9000" KEYS, true},
		{"type=s3,bucket=b,endpoint_url=http://[::1]:9000" KEYS, true},
		{"type=s3,bucket=b,endpoint_url=http://localhost:9000" KEYS, true},
		{"type=s3,bucket=b,endpoint_url=https://10.0.0.7" KEYS, true},
		{"type=s3,bucket=b.c,region=r" KEYS, true},
		{"type=s3,bucket=b,endpoint_url=https://s3.example" KEYS, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct s3_options o = expect(cases[i].text);

		if (o.path_style != cases[i].path_style)
			fail_msg("%s", cases[i].text);
		s3_options_release(&o);
	}
}

static void the_environment_fills_in_what_is_missing(void **state)
{
	struct s3_options o;

	(void)state;
	setenv("AWS_ACCESS_KEY_ID", "env-id", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "env-secret", 1);
	setenv("AWS_SESSION_TOKEN", "env-token", 1);
	setenv("AWS_DEFAULT_REGION", "env-region", 1);
	setenv("AWS_BUCKET", "env-bucket", 1);
	setenv("AWS_ENDPOINT_URL", "http://all", 1);
	setenv("AWS_ENDPOINT_URL_S3", "http://s3", 1);
	o = expect("type=s3");
	assert_string_equal(o.bucket, "env-bucket");
	assert_string_equal(o.region, "env-region");
	assert_string_equal(o.endpoint, "http://s3");
	assert_string_equal(o.credentials.access_key, "env-id");
	assert_string_equal(o.credentials.session_token, "env-token");
	s3_options_release(&o);

	/* Keys of one place never go with the token of another. */
	o = expect("type=s3,bucket=mine,region=there" KEYS);
	assert_string_equal(o.bucket, "mine");
	assert_string_equal(o.region, "there");
	assert_string_equal(o.credentials.access_key, "id");
	assert_null(o.credentials.session_token);
	s3_options_release(&o);
}

static void write_profile(const char *name, const char *text)
{
	_cleanup_free_ char *dir = xasprintf("%s/.aws", home);
	_cleanup_free_ char *file = xasprintf("%s/%s", dir, name);

	assert_int_equal(fs_mkdir_p(AT_FDCWD, dir, 0700), 0);
	assert_int_equal(fs_write_file_atomic(AT_FDCWD, file, text, strlen(text), 0600), 0);
}

static void profiles_come_last(void **state)
{
	struct s3_options o;

	(void)state;
	write_profile("credentials", "# a comment\n[default]\naws_access_key_id = d-id\n"
				     "aws_secret_access_key=d-secret\n[ci]\n"
				     "aws_access_key_id = ci-id\naws_secret_access_key = ci=+/x\n");
	write_profile("config", "[default]\nregion = d-region\n[profile ci]\ns3 =\n"
				"  region = nested\nregion = ci-region\n");
	o = expect("type=s3,bucket=b");
	assert_string_equal(o.credentials.access_key, "d-id");
	assert_string_equal(o.region, "d-region");
	s3_options_release(&o);

	setenv("AWS_PROFILE", "ci", 1);
	o = expect("type=s3,bucket=b");
	assert_string_equal(o.credentials.access_key, "ci-id");
	assert_string_equal(o.credentials.secret_key, "ci=+/x");
	assert_string_equal(o.region, "ci-region");
	s3_options_release(&o);
}

static void what_is_wrong_is_said_without_secrets(void **state)
{
	(void)state;
	setenv("AWS_PROFILE", "nobody", 1);
	expect_error("type=s3,region=r" KEYS, REMOTE_EXPORT, "bucket is required");
	expect_error("type=s3,bucket=b" KEYS, REMOTE_EXPORT, "region is required");
	expect_error("type=s3,bucket=b/c,region=r" KEYS, REMOTE_EXPORT, "invalid bucket");
	expect_error("type=s3,bucket=b,region=r.evil/" KEYS, REMOTE_EXPORT, "invalid region");
	expect_error("type=s3,bucket=b,endpoint_url=ftp://x" KEYS, REMOTE_EXPORT, "endpoint_url");
	expect_error("type=s3,bucket=b,endpoint_url=http://u:hunter2@x" KEYS, REMOTE_EXPORT,
		     "endpoint_url");
	expect_error("type=s3,bucket=b,region=r,upload_parallelism=x" KEYS, REMOTE_EXPORT,
		     "upload_parallelism");
	expect_error("type=s3,bucket=b,region=r,secret_access_key=hunter2,bogus=1", REMOTE_EXPORT,
		     "unknown attribute 'bogus'");
	expect_error("type=s3,bucket=b,region=r,secret_access_key=hunter2", REMOTE_IMPORT,
		     "a secret key without an access key");
	expect_error("type=s3,bucket=b,region=r", REMOTE_EXPORT, "no credentials");
}

static void hostile_endpoints_are_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hostile_users); i++) {
		_cleanup_free_ char *url = hostile_url(hostile_users[i], "127.0.0.1:7");
		_cleanup_free_ char *text =
			xasprintf("type=s3,bucket=b,region=r,endpoint_url=%s" KEYS, url);

		expect_error(text, REMOTE_EXPORT, "endpoint_url");
	}
}

static void an_import_may_be_anonymous(void **state)
{
	struct s3_options o = {0};

	(void)state;
	setenv("AWS_PROFILE", "nobody", 1);
	assert_int_equal(read_options("type=s3,bucket=b,region=r", REMOTE_IMPORT, &o, NULL), 0);
	assert_null(o.credentials.access_key);
	s3_options_release(&o);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, forget_variables)
	const struct CMUnitTest tests[] = {
		T(attributes_say_where_the_bucket_is),
		T(a_bucket_stands_in_the_path_where_no_host_can_have_it),
		T(the_environment_fills_in_what_is_missing),
		T(profiles_come_last),
		T(what_is_wrong_is_said_without_secrets),
		T(hostile_endpoints_are_refused),
		T(an_import_may_be_anonymous),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
