/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "engine/sandbox/sandbox_plan.h"

static void fill(struct sandbox_plan *p)
{
	sandbox_plan_init(p);
	p->upper = xstrdup("/u");
	p->scratch = xstrdup("/s");
	p->cwd = xstrdup("/app");
	strv_push(&p->args, "/bin/sh");
}

static void a_plan_prints_what_it_does_but_no_secret(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct sandbox_plan p;

	(void)state;
	fill(&p);
	strv_push(&p.lowers, "/layers/2/fs");
	strv_push(&p.env, "A=b");
	sandbox_plan_file(&p, "/run/secrets/x", "hunter2", 7, 0400, 5, 6, WIRE_MOUNT_NOEXEC);
	sandbox_plan_mount(&p, WIRE_BIND, "/host", "/a/../data/", WIRE_MOUNT_READONLY);
	sandbox_plan_print(&p, &b);
	assert_string_equal(b.p, "flags 0\n"
				 "lower /layers/2/fs\n"
				 "upper /u\n"
				 "scratch /s\n"
				 "mount file /run/secrets/x noexec 7 bytes mode=400 owner=5:6\n"
				 "mount bind /data from /host ro\n"
				 "arg /bin/sh\n"
				 "env A=b\n"
				 "cwd /app\n"
				 "hostname -\n"
				 "user 0:0 umask 022 caps a80425fb\n"
				 "seccomp 0 bytes\n");
	sandbox_plan_release(&p);
}

static void the_flat_form_is_made_of_aligned_records(void **state)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct wire_header header;
	struct sandbox_plan p;
	size_t at = sizeof(header);
	bool arg = false;

	(void)state;
	fill(&p);
	sandbox_plan_default_mounts(&p, 0);
	assert_int_equal(sandbox_plan_encode(&p, &b, NULL), 0);
	memcpy(&header, b.p, sizeof(header));
	assert_int_equal(header.magic, WIRE_MAGIC);
	assert_int_equal(header.size, b.n - sizeof(header));
	while (at < b.n) {
		struct wire_record r;

		assert_int_equal(at % 8, 0);
		memcpy(&r, b.p + at, sizeof(r));
		if (r.tag == WIRE_ARG) {
			assert_string_equal(b.p + at + sizeof(r), "/bin/sh");
			arg = true;
		}
		at += sizeof(r) + ((r.size + 7u) & ~7u);
	}
	assert_int_equal(at, b.n);
	assert_true(arg);
	sandbox_plan_release(&p);
}

static void expect_refused(struct sandbox_plan *p, const char *why)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	struct error *err = NULL;

	assert_true(sandbox_plan_encode(p, &b, &err) < 0);
	assert_non_null(strstr(error_text(err), why));
	error_free(err);
	sandbox_plan_release(p);
}

static void a_plan_that_makes_no_sense_is_refused(void **state)
{
	struct sandbox_plan p;

	(void)state;
	fill(&p);
	strv_release(&p.args);
	expect_refused(&p, "no command");
	fill(&p);
	p.cwd[0] = 'x';
	expect_refused(&p, "not absolute");
	fill(&p);
	sandbox_plan_mount(&p, WIRE_TMPFS, NULL, "/..", 0);
	expect_refused(&p, "cannot mount on '/'");
	fill(&p);
	for (int i = 0; i < 501; i++)
		strv_push(&p.lowers, "/l");
	expect_refused(&p, "at most 500");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plan_prints_what_it_does_but_no_secret),
		cmocka_unit_test(the_flat_form_is_made_of_aligned_records),
		cmocka_unit_test(a_plan_that_makes_no_sense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
