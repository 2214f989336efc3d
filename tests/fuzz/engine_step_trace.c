/* SPDX-License-Identifier: Apache-2.0 */
/* Two step traces with hostile bytes, one after the other, split in the middle; compared with each
 * other as --explain does. */
#include <stdint.h>

#include "engine/cache/explain.h"
#include "engine/cache/step_trace.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_json_ json_t *a = NULL, *b = NULL;
	_cleanup_buf_ struct buf text = BUF_INIT;

	if (step_trace_decode(data, size / 2, &a, NULL) < 0)
		return 0;
	if (step_trace_decode(data + size / 2, size - size / 2, &b, NULL) < 0)
		b = json_incref(a);
	(void)explain_likeness(a, b);
	(void)explain_is_same_command(a, b);
	explain_difference(a, b, &text);
	return 0;
}
