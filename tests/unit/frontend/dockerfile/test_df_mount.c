/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/dockerfile/df_parse.h"

static const char *get(void *data, const char *name)
{
	(void)data;
	return strcmp(name, "T") == 0 ? "tmpfs" : NULL;
}

static const struct df_shell shell = {.escape = '\\', .get = get};

struct fixture {
	struct arena arena;
	struct df_mount mount;
};

static const struct df_mount *parse(struct fixture *f, const char *value)
{
	_cleanup_(error_freep) struct error *err = NULL;

	if (df_mount_parse(&f->arena, value, &shell, NULL, &f->mount, &err) < 0)
		fail_msg("%s: %s", value, error_text(err));
	return &f->mount;
}

static int setup(void **state)
{
	*state = NEW(struct fixture);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	arena_release(&f->arena);
	free(f);
	return 0;
}

static void a_bind_mount_is_the_default_and_read_only(void **state)
{
	const struct df_mount *m = parse(*state, "target=/a,source=b,from=c");

	assert_int_equal(m->type, DF_MOUNT_BIND);
	assert_true(m->readonly);
	assert_string_equal(m->target, "/a");
	assert_string_equal(m->source, "b");
	assert_string_equal(m->from, "c");
	assert_string_equal(m->id, "");
	assert_null(m->env);
}

static void keys_have_aliases_and_no_case(void **state)
{
	const struct df_mount *m = parse(*state, "TYPE=Bind,DST=/a,src=b,rw");

	assert_string_equal(m->target, "/a");
	assert_string_equal(m->source, "b");
	assert_false(m->readonly);
	assert_false(parse(*state, "destination=/a,readonly=0")->readonly);
	assert_true(parse(*state, "dst=/a,readwrite=false")->readonly);
	assert_true(parse(*state, "type=cache,dst=/a,ro")->readonly);
}

static void cache_mounts_have_an_owner_and_a_sharing(void **state)
{
	const struct df_mount *m =
		parse(*state, "type=cache,target=/c,id=x,sharing=LOCKED,mode=0750,uid=1,gid=2");

	assert_int_equal(m->type, DF_MOUNT_CACHE);
	assert_int_equal(m->sharing, DF_SHARING_LOCKED);
	assert_int_equal(m->mode, 0750);
	assert_true(m->has_mode && m->has_uid && m->has_gid);
	assert_int_equal(m->gid, 2);
	assert_false(m->readonly);
	assert_int_equal(parse(*state, "type=cache,target=/c")->sharing, DF_SHARING_UNSET);
}

static void variables_are_expanded_in_values(void **state)
{
	const struct df_mount *m = parse(*state, "type=$T,target=/${NOT:-t},size=1m");

	assert_int_equal(m->type, DF_MOUNT_TMPFS);
	assert_string_equal(m->target, "/t");
	assert_int_equal(m->size, 1024 * 1024);
}

static void quoted_fields_may_hold_commas(void **state)
{
	assert_string_equal(parse(*state, "\"target=/\"\"a,b\"\"c\",ro")->target, "/a,bc");
}

static void secrets_take_an_id_and_a_variable(void **state)
{
	const struct df_mount *m = parse(*state, "type=secret,id=s,env=E,required");

	assert_string_equal(m->id, "s");
	assert_string_equal(m->env, "E");
	assert_true(m->required);
}

static void bad_mounts_are_refused(void **state)
{
	static const char *const rows[][2] = {
		{"type=bnd,target=/a", "unsupported mount type \"bnd\" (did you mean bind?)"},
		{"typ=tmpfs", "unexpected key 'typ' in 'typ=tmpfs' (did you mean type?)"},
		{"target", "invalid field 'target' must be a key=value pair"},
		{"nonsense", "invalid field 'nonsense' must be a key=value pair"},
		{"ro=maybe", "invalid value for ro: maybe"},
		{"type=cache,sharing=share",
		 "unsupported sharing value \"share\" (did you mean shared?)"},
		{"sharing=shared", "invalid cache sharing set for bind mount"},
		{"mode=0700", "mode not allowed for \"bind\" type mounts"},
		{"type=tmpfs,uid=1", "uid not allowed for \"tmpfs\" type mounts"},
		{"type=cache,mode=9", "invalid value 9 for mode"},
		{"type=cache,uid=4294967296", "invalid value 4294967296 for uid"},
		{"type=cache,gid=-1", "invalid value -1 for gid"},
		{"size=1", "unexpected key 'size' for mount type 'bind'"},
		{"type=tmpfs,size=lots", "invalid value for size: lots"},
		{"required", "unexpected key 'required' for mount type 'bind'"},
		{"type=secret", "invalid secret mount. one of source, target required"},
		{"type=secret,id=a,source=b", "both source and id can't be set"},
		{"type=secret,id=a,from=b", "secret mount should not have a from"},
		{"type=secret,id=a,sharing=shared", "secret mount should not define sharing"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_(error_freep) struct error *err = NULL;

		assert_int_equal(
			df_mount_parse(&f->arena, rows[i][0], &shell, NULL, &f->mount, &err),
			-ERR_INVALID);
		assert_string_equal(error_text(err), rows[i][1]);
	}
}

static void from_with_a_variable_is_refused_before_expansion(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(df_mount_parse(&f->arena, "from=$x", NULL, NULL, &f->mount, NULL),
			 -ERR_INVALID);
	assert_int_equal(df_mount_parse(&f->arena, "from=x$", NULL, NULL, &f->mount, NULL), 0);
	assert_int_equal(df_mount_parse(&f->arena, "\"a", NULL, NULL, &f->mount, NULL),
			 -ERR_INVALID);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_bind_mount_is_the_default_and_read_only),
		TEST(keys_have_aliases_and_no_case),
		TEST(cache_mounts_have_an_owner_and_a_sharing),
		TEST(variables_are_expanded_in_values),
		TEST(quoted_fields_may_hold_commas),
		TEST(secrets_take_an_id_and_a_variable),
		TEST(bad_mounts_are_refused),
		TEST(from_with_a_variable_is_refused_before_expansion),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
