/* SPDX-License-Identifier: Apache-2.0 */
/* kiln's configuration: which servers stand for which registry, and how far they are trusted.
 *
 *	{"registries": {"docker.io": {"mirrors": ["http://127.0.0.1:5000"],
 *	                              "insecure": false, "ca": "file.pem"}}}
 *
 *	{"limits": {"archive-size": "64GiB", "archive-entries": 8388608}}
 *
 * what an archive that serves as build context may unpack to (engine/layer/unpack_archive.h).
 *
 *	{"gc": {"enabled": true, "max-used-space": "100GB", "min-free-space": "10GB",
 *	        "keep-duration": "48h"}}
 *
 * what the build cache may take (docs/cache.md).
 *
 * Read from $KILN_CONFIG alone if that is set, else from /etc/kiln/config.json and
 * ~/.config/kiln/config.json ($XDG_CONFIG_HOME), where the later file replaces an entry of the same
 * registry as a whole. A missing default file is not an error; an unknown key is, and the error
 * names it.
 *
 * `insecure` allows HTTPS without verification and plain HTTP; a registry on the loopback interface
 * may always be plain HTTP. `ca` is relative to the file it stands in. Both count for the registry
 * and for its mirrors, unless a mirror has an entry of its own.
 */
#ifndef KILN_ENGINE_CONFIG_CONFIG_H
#define KILN_ENGINE_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/strv.h"
#include "base/vec.h"

struct registry_config {
	char *host;	     /* as in an image reference: "docker.io", "127.0.0.1:5000" */
	struct strv mirrors; /* "http://host:port" or with a path, no slash at its end, in order of
				trial */
	bool insecure;
	char *ca; /* path of a PEM file, or NULL */
};

/* What the store keeps of the cache; unset values have defaults that fit the disk. */
struct gc_config {
	bool disabled;
	uint64_t max_used; /* bytes; 0: unset */
	bool has_min_free;
	uint64_t min_free; /* bytes */
	bool has_keep;
	int64_t keep_ns;
};

struct config {
	struct gc_config gc;
	uint64_t archive_size, archive_entries; /* 0: the defaults */
	VEC(struct registry_config) registries;
};

int config_load(struct config *ret, struct error **err) _must_check_;
/* Merges one document, read from `file` (for messages and relative paths), into `c`. */
int config_merge(struct config *c, const char *file, const void *json, size_t n,
		 struct error **err) _must_check_;
/* The entry for a registry, or NULL. Borrowed. */
const struct registry_config *config_registry(const struct config *c, const char *host);
/* Is `host` ("127.0.0.1:5000", "[::1]", "localhost"; no URL) on the loopback interface? */
bool config_host_is_loopback(const char *host);
/* Has a URL that only says where a server is what readers may understand differently: a user, a
 * query, a fragment, backslashes, escapes, blanks or control characters? */
bool config_url_is_odd(const char *url);
void config_release(struct config *c);

#endif
