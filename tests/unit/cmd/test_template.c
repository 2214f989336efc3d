#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "cmd/template.h"

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
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		_cleanup_buf_ struct buf out = BUF_INIT;

		assert_int_equal(run(cases[i].text, &out, NULL), 0);
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
		{"{{with .Id}}{{end}}", "not supported"},
		{"{{if .Id}}", "missing {{end}}"},
		{"{{end}}", "without a block"},
		{"{{range .Id}}{{end}}", "no list and no map"},
		{"{{json}}", "wrong number of arguments"},
		{"{{.Id .Size}}", "no function"},
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
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_print_as_go_prints_them),
		cmocka_unit_test(what_is_not_understood_is_an_error_that_says_why),
		cmocka_unit_test(depth_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
