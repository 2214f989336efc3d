/* SPDX-License-Identifier: Apache-2.0 */
/* One build of a client: what its calls of Control and LLBBridge share, found by its ref. */
#ifndef KILN_CMD_SERVE_BUILD_H
#define KILN_CMD_SERVE_BUILD_H

#include "base/json.h"
#include "base/strv.h"
#include "base/vec.h"
#include "cmd/serve/api.pb-c.h"
#include "cmd/serve/server.h"

/* What a frontend was asked for: "key=value". Its place in the list is its ref's id. */
struct asked {
	struct strv attrs;
	VEC(struct strv) cache_imports; /* "type=...", "key=value" each */
};

struct build {
	struct build *next;
	char *ref;
	unsigned users;
	bool known; /* its Solve has come */

	/* Under the server's lock, with `changed` told. */
	VEC(struct asked) asked;
	bool returned, failed, over;
	size_t chosen;		/* what was returned: its number, from 1; 0: nothing */
	char *failure;		/* what the client said when it failed */
	VEC(struct buf) events; /* StatusResponses, packed */
	size_t event_bytes;
};

/* The build of that ref; made for `known`, else waited for a moment. NULL: it does not come. To be given
 * back. */
struct build *build_find(struct server *s, const char *ref, bool known);
void build_put(struct server *s, struct build *b);
/* Keeps what the progress stream says, for whoever asks for the build's status. */
void build_event(struct server *s, struct build *b, const ProtobufCMessage *m);
/* One line of `--progress=rawjson`. */
void build_event_json(struct server *s, struct build *b, const char *line, size_t n);

enum {
	BUILD_HOST_FD = 3
}; /* of a build's process: what it asks the client (cmd/build/build_host.h) */

/* The arguments of `kiln build` for a request, and which of the client's folders it reads. */
struct build_plan {
	struct strv argv;
	char *dir;			/* of this build alone */
	char *dockerfile_key, *context; /* folders of the client; NULL: none is read */
	char *filename;
	struct strv named; /* further folders: "NAME=FOLDER" */
	bool has_fifo, sends_tree;
	unsigned exporter; /* that one's number */
};
int build_plan_make(const Bk__SolveRequest *q, const struct asked *asked, struct build_plan *p,
		    struct error **err) _must_check_;
void build_plan_release(struct build_plan *p);

/* How a build ended. */
struct build_end {
	json_t *metadata; /* what was exported, as in --metadata-file; may be NULL */
	char *details;	  /* of an error: google.rpc.Status, base64; may be NULL */
};
void build_end_release(struct build_end *end);

/* Has kiln build it. */
int build_run(struct server *s, struct rpc_call *c, struct build *b, const Bk__SolveRequest *q,
	      const struct asked *asked, struct build_end *ret, struct error **err) _must_check_;

#endif
