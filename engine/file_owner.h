/* Who owns what a file op makes: the owner that --chown names, looked up in /etc/passwd and
 * /etc/group. A name that is not there is ERR_INVALID and says so; numbers need no file. */
#ifndef KILN_ENGINE_FILE_OWNER_H
#define KILN_ENGINE_FILE_OWNER_H

#include "engine/result.h"
#include "solver/op.h"
#include "store/store.h"

struct layer_edit;

struct file_owner {
	bool set;
	uint32_t uid, gid;
};

/* In the root file system as the actions so far have left it. */
int file_owner_in_edit(const struct layer_edit *edit, const struct op_owner *owner,
		       struct file_owner *ret, struct error **err);
/* In a result; NULL is scratch. Only the indexes and the one file are read. */
int file_owner_in_result(struct store *s, const struct result *result, const struct op_owner *owner,
			 struct file_owner *ret, struct error **err);

#endif
