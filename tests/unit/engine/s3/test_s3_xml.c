/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "engine/s3/s3_xml.h"

static int note(void *data, const char *path, const char *text)
{
	buf_addf(data, "%s=%s;", path, text);
	return 0;
}

static void expect(const char *xml, const char *walked)
{
	_cleanup_buf_ struct buf b = BUF_INIT;

	assert_int_equal(s3_xml_walk(xml, strlen(xml), note, &b), 0);
	assert_string_equal(b.p, walked);
}

static void elements_come_with_their_paths_and_texts(void **state)
{
	(void)state;
	expect("<?xml version=\"1.0\"?>\n<List xmlns='a>b'>\n  <Item><Key> a b </Key><Size>3</Size>"
	       "</Item><!-- <x> --><Item/>\n</List>\n",
	       "List/Item/Key=a b;List/Item/Size=3;List/Item=;List/Item=;List=;");
	expect("\xef\xbb\xbf<a>x<b>y</b>z</a>", "a/b=y;a=xz;");
}

static void texts_are_decoded(void **state)
{
	(void)state;
	expect("<a>&lt;&gt;&amp;&quot;&apos;&#65;&#x263A;&#x1f600;</a>",
	       "a=<>&\"'A\xe2\x98\xba\xf0\x9f\x98\x80;");
	expect("<a><![CDATA[<b>&amp;]]></a>", "a=<b>&amp;;");
}

static void what_is_not_well_formed_is_refused(void **state)
{
	static const char *const broken[] = {
		"",
		"text",
		"<a>",
		"</a>",
		"<a></b>",
		"<a><b></a></b>",
		"<a/><b/>",
		"<a/>text",
		"<a",
		"<a 'x>",
		"<>x</>",
		"<a>&",
		"<a>&bogus;</a>",
		"<a>&#0;</a>",
		"<a>&#xd800;</a>",
		"<a>&#x110000;</a>",
		"<a>&#99999999999;</a>",
		"<a>&#x;</a>",
		"<a>&#1a;</a>",
		"<!-- ",
		"<?xml ",
		"<a><![CDATA[x</a>",
		"<!DOCTYPE a><a/>",
		"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
		"<a b='1' b='2'/>",
		"<?xml version=\"1.0\" encoding=\"unheard-of\"?><a/>",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		_cleanup_buf_ struct buf b = BUF_INIT;

		if (s3_xml_walk(broken[i], strlen(broken[i]), note, &b) != -EINVAL)
			fail_msg("accepted: %s", broken[i]);
	}
	assert_int_equal(s3_xml_walk("<a>\0</a>", 8, note, NULL), -EINVAL);
}

static void depth_and_length_have_limits(void **state)
{
	_cleanup_buf_ struct buf deep = BUF_INIT, longer = BUF_INIT, ignored = BUF_INIT;

	(void)state;
	for (int i = 0; i < S3_XML_DEPTH_MAX; i++)
		buf_adds(&deep, "<a>");
	buf_adds(&deep, "<b/>");
	for (int i = 0; i < S3_XML_DEPTH_MAX; i++)
		buf_adds(&deep, "</a>");
	assert_int_equal(s3_xml_walk(deep.p, deep.n, note, &ignored), -EINVAL);

	buf_adds(&longer, "<a>");
	for (int i = 0; i <= S3_XML_TEXT_MAX; i++)
		buf_addc(&longer, 'x');
	buf_adds(&longer, "</a>");
	assert_int_equal(s3_xml_walk(longer.p, longer.n, note, &ignored), -EINVAL);
}

static void one_text_is_found_by_its_path(void **state)
{
	const char *xml = "<Error><Code>NoSuchKey</Code><Code>Other</Code></Error>";
	_cleanup_free_ char *code = s3_xml_find(xml, strlen(xml), "Error/Code");

	(void)state;
	assert_string_equal(code, "NoSuchKey");
	assert_null(s3_xml_find(xml, strlen(xml), "Error/Message"));
	assert_null(s3_xml_find(xml, strlen(xml) - 1, "Error/Code"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elements_come_with_their_paths_and_texts),
		cmocka_unit_test(texts_are_decoded),
		cmocka_unit_test(what_is_not_well_formed_is_refused),
		cmocka_unit_test(depth_and_length_have_limits),
		cmocka_unit_test(one_text_is_found_by_its_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
