/* SPDX-License-Identifier: Apache-2.0 */
/* URLs of which two readers could understand different hosts, or which lead out in the clear: what
 * a server may name (a token realm, a redirect, where an upload goes), and what a Dockerfile, a
 * .gitmodules or a configuration may hold. Every caller is tested with all of them. */
#ifndef KILN_TESTS_HOSTILE_URLS_H
#define KILN_TESTS_HOSTILE_URLS_H

#include <string.h>

#include "base/alloc.h"

/* They look like this machine or another host and are, for some reader, %s: the host and port of a
 * server of the test that must not be asked. */
static const char *const hostile_users[] = {
	"http://127.0.0.1:80@%s/t",
	"http://localhost@%s/t",
	"http://[::1]@%s/t",
	"http://[::1]:80@%s/t",
	"http://[::1%%25lo]@%s/t",
	"http://127.0.0.1\\@%s/t",
	"http://127.0.0.1\\\\@%s/t",
	"http:\\\\127.0.0.1@%s/t",
	"http://127.0.0.1:80\t@%s/t",
	"http://127.0.0.1%%40%s/t",
	"http://127.0.0.1:80%%2f@%s/t",
	"http://127.0.0.1%%00@%s/t",
	"http://127.0.0.1.:80@%s/t",
	"http://2130706433@%s/t",
	"http://0x7f.1:80@%s/t",
	"http://0177.0.0.1@%s/t",
	"http://u:p@%s/t",
	"http://:p@%s/t",
	"http://@127.0.0.1@%s/t",
	"HTTP://u@%s/t",
	"//u@%s/t",
	"//127.0.0.1:80@%s/t",
	"///u@%s/t",
	"http:/u@%s/t",
	"http:u@%s/t",
};

/* Plain HTTP, over a network, whatever it looks like; or no HTTP. */
static const char *const hostile_networks[] = {
	"http://192.0.2.1/t",
	"HTTP://192.0.2.1/t",
	"//192.0.2.1/t",
	"http://127.0.0.1:80@192.0.2.1/t",
	"http://3221225985/t",
	"http://0300.0.2.1/t",
	"http://0xc0000201/t",
	"http://192.0.513/t",
	"http://%%31%%39%%32.0.2.1/t",
	"http://127.0.0.1.example/t",
	"http://127.0.0.1./t",
	"http://127.example/t",
	"http://localhost.example/t",
	"http://[::ffff:192.0.2.1]/t",
	"http://[2001:db8::1]/t",
	"http://[2001:db8::1%%25lo]/t",
	"http://[fe80::1%%25127.0.0.1]/t",
	"ftp://127.0.0.1/t",
	"file:///etc/passwd",
	"gopher://127.0.0.1/t",
	"http://",
	"http:///t",
	"http://127.0.0.1:99999/t",
};

/* `text` with `host` for %s and % for %%. Heap. */
static inline char *hostile_url(const char *text, const char *host)
{
	char *url = xmalloc(strlen(text) + strlen(host) + 1), *to = url;

	for (; *text; text++) {
		if (text[0] == '%' && text[1] == 's') {
			to = stpcpy(to, host);
			text++;
		} else {
			*to++ = *text;
			text += text[0] == '%' && text[1] == '%';
		}
	}
	*to = '\0';
	return url;
}

#endif
