/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "engine/s3/s3_sign.h"

/* The examples of AWS's "Signature Calculations for the Authorization Header: Transferring Payload
 * in a Single Chunk". */
static char example_access[] = "AKIAIOSFODNN7EXAMPLE";
static char example_secret[] = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
static const struct s3_credentials example = {example_access, example_secret, NULL};

static struct s3_signing request(const char *method, const char *path, const char *query,
				 const char *body)
{
	return (struct s3_signing){
		.method = method,
		.host = "examplebucket.s3.amazonaws.com",
		.path = path,
		.query = query,
		.region = "us-east-1",
		.payload = digest_of(body, strlen(body)),
		.time = 1369353600000000000,
	};
}

static void expect(const struct s3_signing *s, struct strv *headers, const char *signature)
{
	_cleanup_free_ char *got = s3_sign(s, &example, headers);
	const char *at = strstr(got, "Signature=");

	assert_non_null(at);
	assert_string_equal(at + strlen("Signature="), signature);
	strv_release(headers);
}

static void signatures_are_those_that_aws_publishes(void **state)
{
	struct strv headers = {0};
	struct s3_signing s = request("GET", "/test.txt", "", "");

	(void)state;
	strv_push(&headers, "Range: bytes=0-9");
	expect(&s, &headers, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");

	s = request("PUT", "/test%24file.text", "", "Welcome to Amazon S3.");
	strv_push(&headers, "Date: Fri, 24 May 2013 00:00:00 GMT");
	strv_push(&headers, "x-amz-storage-class:  REDUCED_REDUNDANCY ");
	expect(&s, &headers, "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");

	s = request("GET", "/", "lifecycle=", "");
	expect(&s, &headers, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");

	s = request("GET", "/", "max-keys=2&prefix=J", "");
	expect(&s, &headers, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

static void a_signed_request_says_what_was_signed(void **state)
{
	char id[] = "AKID", secret[] = "secret", token[] = "token";
	struct s3_credentials c = {id, secret, token};
	struct s3_signing s = request("GET", "/", "", "");
	_cleanup_strv_ struct strv headers = {0};
	_cleanup_free_ char *got = s3_sign(&s, &c, &headers);

	(void)state;
	assert_non_null(strstr(got, "AWS4-HMAC-SHA256 Credential=AKID/20130524/us-east-1/s3/"
				    "aws4_request, SignedHeaders=host;x-amz-content-sha256;"
				    "x-amz-date;x-amz-security-token, Signature="));
	assert_null(strstr(got, "secret"));
	assert_true(strv_contains(&headers, "x-amz-date: 20130524T000000Z"));
	assert_true(strv_contains(&headers, "x-amz-security-token: token"));
	assert_true(strv_contains(&headers,
				  "x-amz-content-sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e464"
				  "9b934ca495991b7852b855"));
}

static void keys_are_escaped_but_for_their_slashes(void **state)
{
	_cleanup_free_ char *plain = s3_escape_key("blobs/sha256:ab");
	_cleanup_free_ char *odd = s3_escape_key("/a b+c/\xc3\xa9/~-_.?&=/");

	(void)state;
	assert_string_equal(plain, "blobs/sha256%3Aab");
	assert_string_equal(odd, "/a%20b%2Bc/%C3%A9/~-_.%3F%26%3D/");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signatures_are_those_that_aws_publishes),
		cmocka_unit_test(a_signed_request_says_what_was_signed),
		cmocka_unit_test(keys_are_escaped_but_for_their_slashes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
