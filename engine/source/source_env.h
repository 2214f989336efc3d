/* SPDX-License-Identifier: Apache-2.0 */
/* What the sources of one build share: the store, limits, servers that were asked. */
#ifndef KILN_ENGINE_SOURCE_SOURCE_ENV_H
#define KILN_ENGINE_SOURCE_SOURCE_ENV_H

#include "engine/config/config.h"
#include "engine/git/source_git.h"
#include "engine/source/source_http.h"
#include "store/store.h"

/* All borrowed. */
struct source_env {
	struct store *store;
	const struct config *config;
	struct http_files *http;
	struct git_sources *git;
};

#endif
