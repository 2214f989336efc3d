/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "cmd/cli/template.h"

static const char data[] =
	"{\"Id\":\"sha256:1\",\"Size\":42,\"Config\":{\"Env\":[\"A=1\",\"B=2\"],\"User\":\"\","
	"\"Labels\":{\"b\":\"2\",\"a.c\":\"<1>\"},\"Empty\":null},\"Tags\":[\"x\",\"y\"]}";

static int run(const char *text, struct buf *out, struct error **err)
{
	_cleanup_(template_freep) struct template *t = NULL;
	_cleanup_json_ json_t *doc = NULL;
	int r = template_parse(text, &t, err);

	assert_int_equal(js_parse("data", data, strlen(data), &doc, NULL), 0);
	return r < 0 ? r : template_execute(t, doc, out, err);
}

static void values_print_as_go_prints_them(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"plain", "plain"},
		{"{{.Id}}", "sha256:1"},
		{"a{{ .Size }}b", "a42b"},
		{"{{.Config.Env}}", "[A=1 B=2]"},
		{"{{.Config.Labels}}", "map[a.c:<1> b:2]"},
		{"{{.Config.Empty}}", "<no value>"},
		{"{{json .Config.Env}}", "[\"A=1\",\"B=2\"]"},
		{"{{.Id | json}}", "\"sha256:1\""},
		{"{{index .Config.Labels \"a.c\"}}", "<1>"},
		{"{{index .Config.Env 1}}", "B=2"},
		{"{{range .Config.Env}}{{println .}}{{end}}", "A=1\nB=2\n"},
		{"{{range .Tags}}{{$.Id}}-{{.}} {{end}}", "sha256:1-x sha256:1-y "},
		{"{{if .Config.User}}yes{{else}}root{{end}}", "root"},
		{"{{if eq .Size 42}}yes{{end}}", "yes"},
		{"{{join .Tags \", \"}}", "x, y"},
		{"{{len .Tags}} {{upper .Id}} {{title (index .Tags 0)}}", "2 SHA256:1 X"},
		{"a {{- .Size -}} b", "a42b"},
		{"{{\"a\\tb\"}}{{`c\\t`}}", "a\tbc\\t"},
		{"}} {", "}} {"},
		{"", ""},
		{"{{range $k, $v := .Config.Labels}}{{$k}}={{$v}} {{end}}", "a.c=<1> b=2 "},
		{"{{range $i, $v := .Tags}}{{$i}}{{$v}}{{.}} {{end}}", "0xx 1yy "},
		{"{{range $v := .Tags}}{{$v}}{{$.Size}}{{end}}", "x42y42"},
		{"{{$c := .Config}}{{$e := $c.Env}}{{index $e 0}}{{len $c.Labels}}", "A=12"},
		{"{{with .Config}}{{.Env}}{{end}}{{with .Config.User}}u{{else}}none{{end}}",
		 "[A=1 B=2]none"},
		{"{{with $t := .Tags}}{{$t}}{{.}}{{end}}", "[x y][x y]"},
		{"{{$x := 1}}{{if .Id}}{{$x := 2}}{{$x}}{{end}}{{$x}}", "21"},
		{"{{printf \"%s|%5s|%-5s|%.3s\" .Id \"ab\" \"ab\" \"abcdef\"}}",
		 "sha256:1|   ab|ab   |abc"},
		{"{{printf \"%d|%05d|%+d|%x|%.2f|%%\" .Size .Size .Size .Size .Size}}",
		 "42|00042|+42|2a|42.00|%"},
		{"{{printf \"%q %v %t\" \"a\" .Tags (eq 1 1)}}", "\"a\" [x y] true"},
		{"{{printf \"%05d\" -42}}{{printf \"%-4s|\" \"\303\251\"}}", "-0042\303\251   |"},
		{"{{.Size | printf \"%d MB\"}}", "42 MB"},
		{"{{slice .Id 7}}{{slice .Id 0 3}}{{slice .Tags 1}}", "1sha[y]"},
		{"{{if gt .Size 41}}a{{end}}{{if lt .Size 42}}b{{end}}{{if ge .Size 42}}c{{end}}",
		 "ac"},
		{"{{if le \"a\" \"b\"}}a{{else if .Id}}b{{end}}{{if gt 1 2}}c{{else if "
		 ".Id}}d{{end}}",
		 "ad"},
		{"{{range .Tags}}{{if eq . \"x\"}}1{{else if eq . \"y\"}}2{{else}}3{{end}},{{end}}",
		 "1,2,"},
		{"{{if eq 1 2}}1{{else with .Tags}}{{len .}}{{else}}3{{end}}|", "2|"},
		{"{{truncate .Id 3}}{{pad \"x\" 1 2}}|", "sha x  |"},
		{"a{{/* nothing */}}b {{- /* nothing */ -}} c", "abc"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_buf_ struct buf out = BUF_INIT;

		assert_int_equal(run(cases[i].text, &out, NULL), 0);
		assert_string_equal(out.p, cases[i].want);
	}
}

static void fields_that_are_not_set_have_gos_zero_values(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"{{.Config.List}}{{.Config.Map}}{{.Config.Text}}{{.Config.Pointer}}",
		 "[]map[]<nil>"},
		{"{{.Config.Empty}}", "[]"},
		{"{{json .Config.Empty}}{{.Config.List | json}}", "nullnull"},
		{"{{.Config.Labels.none}}", "<no value>"},
		{"{{.Config.Map.none}}", "<no value>"},
		{"{{if .Config.Pointer}}yes{{else}}no{{end}}", "no"},
		{"{{range .Config.List}}x{{else}}none{{end}}{{len .Config.Map}}", "none0"},
		{"{{with .Config}}{{.Env}}{{end}}", "[A=1 B=2]"},
		{"{{index .Config.Map \"none\"}}", ""},
	};
	static const char zeros[] =
		"{\"Config\":{\"List\":[],\"Map\":{},\"Text\":\"\",\"Pointer\":null,"
		"\"Empty\":[],\"Labels\":{}}}";

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_(template_freep) struct template *t = NULL;
		_cleanup_buf_ struct buf out = BUF_INIT;
		_cleanup_json_ json_t *doc = NULL;
		json_t *none = NULL;

		assert_int_equal(js_parse("data", data, strlen(data), &doc, NULL), 0);
		assert_int_equal(js_parse("zeros", zeros, strlen(zeros), &none, NULL), 0);
		assert_int_equal(template_parse(cases[i].text, &t, NULL), 0);
		template_set_zeros(t, none);
		assert_int_equal(template_execute(t, doc, &out, NULL), 0);
		assert_string_equal(out.p, cases[i].want);
	}
}

static void what_is_not_understood_is_an_error_that_says_why(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{"{{.Nope}}", "no field \"Nope\""},
		{"{{.Id.Sub}}", "no field \"Sub\""},
		{"{{.Id", "missing '}}'"},
		{"{{}}", "missing value"},
		{"{{html .Id}}", "not supported"},
		{"{{printf \"%s\"}}", "printf does not take these arguments"},
		{"{{printf \"x\" .Id}}", "printf does not take these arguments"},
		{"{{printf \"%d\" .Id}}", "printf does not take these arguments"},
		{"{{printf \"%9999d\" .Size}}", "printf does not take these arguments"},
		{"{{printf \"%\" .Size}}", "printf does not take these arguments"},
		{"{{slice .Id 3 1}}", "slice does not take these arguments"},
		{"{{slice .Id 0 99}}", "slice does not take these arguments"},
		{"{{lt .Id 1}}", "lt does not take these arguments"},
		{"{{$x}}", "undefined variable \"$x\""},
		{"{{if .Id}}{{$x := .Id}}{{end}}{{$x}}", "undefined variable \"$x\""},
		{"{{/* open", "a comment without an end"},
		{"{{if .Id}}", "missing {{end}}"},
		{"{{if .Id}}{{else if .Id}}", "missing {{end}}"},
		{"{{if .Id}}{{else if}}{{end}}", "missing value"},
		{"{{else if .Id}}", "without a block"},
		{"{{end}}", "without a block"},
		{"{{range .Id}}{{end}}", "range needs a list or a map"},
		{"{{json}}", "wrong number of arguments"},
		{"{{.Id .Size}}", "not a function"},
		{"{{\"a}}", "unterminated string"},
		{"{{(.Id}}", "missing ')'"},
		{"{{..Id}}", "without a name"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_buf_ struct buf out = BUF_INIT;
		_cleanup_(error_freep) struct error *err = NULL;

		assert_int_equal(run(cases[i].text, &out, &err), -ERR_INVALID);
		if (!strstr(error_text(err), cases[i].why))
			fail_msg("%s: %s", cases[i].text, error_text(err));
	}
}

static void depth_is_bounded(void **state)
{
	_cleanup_buf_ struct buf text = BUF_INIT, out = BUF_INIT;

	(void)state;
	buf_adds(&text, "{{");
	for (int i = 0; i < 100000; i++)
		buf_addc(&text, '(');
	assert_int_equal(run(text.p, &out, NULL), -ERR_INVALID);
	buf_clear(&text);
	for (int i = 0; i < 100000; i++)
		buf_adds(&text, "{{$x := 1}}");
	assert_int_equal(run(text.p, &out, NULL), -ERR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_print_as_go_prints_them),
		cmocka_unit_test(fields_that_are_not_set_have_gos_zero_values),
		cmocka_unit_test(what_is_not_understood_is_an_error_that_says_why),
		cmocka_unit_test(depth_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
