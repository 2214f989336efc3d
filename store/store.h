/* SPDX-License-Identifier: Apache-2.0 */
/* The store: everything kiln keeps, under one directory.
 *
 *	blobs/sha256/xx/<hex>  layers/<id>/{fs,index}  mounts/<n>  stat/  history/  tmp/  lock/  kiln.db
 *
 * Everything enters through tmp/ and a rename; a record is written only after what it names is
 * durable. Any number of processes may use one store at once. A struct store is thread safe unless
 *a function says otherwise. Formats: docs/formats-store.md.
 */
#ifndef KILN_STORE_STORE_H
#define KILN_STORE_STORE_H

#include <stdbool.h>

#include "base/error.h"
#include "base/strv.h"

struct cancel;
struct store;

/* Opens or creates the store at `root` (absolute; parents are created). Takes a lease for the life
 * of the handle lazily, when something is first registered. A store made under another id map or by
 * a newer version is a clear error. */
int store_open(const char *root, struct store **ret, struct error **err) _must_check_;
/* Does what store_close would wait for a disk for, while something else is waited for. */
void store_settle(struct store *s);
/* Removes the store and all that is in it, also what ids of a user's range own (in that user
 * namespace); what else lies in the folder stays. ERR_BUSY while a kiln uses it, ERR_NOTFOUND if it
 * is none. A damaged one is removed, too. */
int store_remove(const char *root, const struct cancel *cancel, struct error **err) _must_check_;
void store_close(struct store *s); /* releases the lease */
/* From now on reading and hashing what the store holds ends (ERR_CANCELED) once `cancel` is set,
 * where a call brings no switch of its own. It outlives the handle. */
void store_watch(struct store *s, const struct cancel *cancel);
const struct cancel *store_cancel(const struct store *s); /* NULL: none */
DEFINE_FREEP(struct store, store_close)

/* Remembers that something was found damaged, or unavailable, and is no longer used. */
void store_notice(struct store *s, const char *fmt, ...) _printf_(2, 3);
/* What was found damaged since the last call, a sentence each: it is a miss from now on and will be
 * made or fetched again. For showing as warnings. */
void store_take_notices(struct store *s, struct strv *ret);
size_t store_count_notices(struct store *s);

const char *store_root(const struct store *s);
int store_dirfd(const struct store *s); /* borrowed O_DIRECTORY descriptor of the root */
/* "trusted.overlay." or, in a user namespace, "user.overlay.": how overlayfs marks are written in
 * layer dirs of this store. */
const char *store_overlay_prefix(const struct store *s);
/* Does its file system refuse such marks (overlayfs itself does)? Then the dirs of its layers hold
 * none: what a layer deletes is in its index alone, and nothing may be mounted from dirs but single
 * ones. It stays so wherever the store is moved. Thread safe. */
bool store_is_plain(const struct store *s);

/* A fresh directory tmp/<random>, removed by store_tmp_remove or, after a crash, by gc. */
int store_tmp_dir(struct store *s, char **ret_name, int *ret_fd, struct error **err) _must_check_;
void store_tmp_remove(struct store *s, const char *name);
/* A new file without a name, which nothing can leave behind, open for reading and writing. Returns
 * the descriptor. */
int store_tmp_file(struct store *s, struct error **err) _must_check_;

#endif
