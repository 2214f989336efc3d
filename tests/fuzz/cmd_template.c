/* SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "cmd/cli/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char doc_text[] =
		"{\"A\":{\"B\":[\"x\",1,{\"c\":null}]},\"S\":\"text\",\"N\":7}";
	_cleanup_(template_freep) struct template *t = NULL;
	_cleanup_free_ char *text = xstrndup((const char *)data, size);
	_cleanup_json_ json_t *doc = NULL;
	_cleanup_buf_ struct buf out = BUF_INIT_MAX(1 << 20);

	if (js_parse("doc", doc_text, strlen(doc_text), &doc, NULL) == 0 &&
	    template_parse(text, &t, NULL) == 0)
		(void)!template_execute(t, doc, &out, NULL);
	return 0;
}
