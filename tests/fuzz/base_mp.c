/* SPDX-License-Identifier: Apache-2.0 */
/* The msgpack reader: what it accepts it must accept in one form only, so writing it again gives
 * the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "base/mp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Copies one value that mp_skip has accepted. */
static void copy(struct mp_reader *r, struct buf *b)
{
	struct mp_reader try = *r;
	struct mp_text text;
	struct mp_map map;
	const void *bytes;
	int64_t i;
	uint64_t u;
	size_t n;
	bool flag;

	if (mp_get_nil(&try, &flag, NULL) == 0 && flag) {
		mp_put_nil(b);
	} else if (try = *r, mp_get_bool(&try, &flag, NULL) == 0) {
		mp_put_bool(b, flag);
	} else if (try = *r, mp_get_int(&try, &i, NULL) == 0) {
		mp_put_int(b, i);
	} else if (try = *r, mp_get_uint(&try, UINT64_MAX, &u, NULL) == 0) {
		mp_put_uint(b, u);
	} else if (try = *r, mp_get_str(&try, SIZE_MAX, &text, NULL) == 0) {
		mp_put_strn(b, text.p, text.n);
	} else if (try = *r, mp_get_bin(&try, SIZE_MAX, &bytes, &n, NULL) == 0) {
		mp_put_bin(b, bytes, n);
	} else if (try = *r, mp_get_array(&try, &n, NULL) == 0) {
		mp_put_array(b, n);
		while (n-- > 0)
			copy(&try, b);
	} else if (try = *r, mp_get_map(&try, &map, NULL) == 0) {
		mp_put_map(b, map.left);
		while (mp_map_next(&try, &map, &text, NULL) > 0) {
			mp_put_strn(b, text.p, text.n);
			copy(&try, b);
		}
	} else {
		abort();
	}
	*r = try;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_buf_ struct buf b = BUF_INIT;
	_cleanup_(error_freep) struct error *err = NULL;
	struct mp_reader r = mp_reader("fuzz", data, size);
	struct mp_reader again = r;

	if (mp_skip(&r, &err) < 0)
		return 0;
	copy(&again, &b);
	if (again.p != r.p || b.n != (size_t)(r.p - r.start) || memcmp(b.p, data, b.n) != 0)
		abort();
	return 0;
}
