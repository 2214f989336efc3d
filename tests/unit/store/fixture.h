/* SPDX-License-Identifier: Apache-2.0 */
/* A store in a fresh directory below /tmp, and short ways to fill it. */
#ifndef KILN_TESTS_STORE_FIXTURE_H
#define KILN_TESTS_STORE_FIXTURE_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "store/layer.h"
#include "store/store.h"

struct fixture {
	char dir[64];
	struct store *s;
};

/* Fails the test with the error's text. */
#define assert_ok(r, err)                                \
	do {                                             \
		if ((r) < 0)                             \
			fail_msg("%s", error_text(err)); \
	} while (0)

static inline int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct error *err = NULL;

	strcpy(f->dir, "/tmp/kiln-store-test.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_ok(store_open(f->dir, &f->s, &err), err);
	*state = f;
	return 0;
}

static inline int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	store_close(f->s);
	(void)!fs_remove_tree(AT_FDCWD, f->dir);
	free(f);
	return 0;
}

static inline void fixture_reopen(struct fixture *f)
{
	struct error *err = NULL;

	store_close(f->s);
	f->s = NULL;
	assert_ok(store_open(f->dir, &f->s, &err), err);
}

static inline struct entry fixture_entry(const char *path, enum entry_type type, uint32_t mode)
{
	return (struct entry){.path = path,
			      .type = type,
			      .mode = mode,
			      .uid = geteuid(),
			      .gid = getegid(),
			      .mtime = 1000000000};
}

static inline void fixture_file(struct layer_writer *w, const char *path, const char *content)
{
	struct entry e = fixture_entry(path, ENTRY_FILE, 0644);
	struct error *err = NULL;

	assert_ok(layer_writer_file(w, &e, &err), err);
	assert_ok(layer_writer_write(w, content, strlen(content), &err), err);
	assert_ok(layer_writer_file_end(w, NULL, &err), err);
}

static inline void fixture_put(struct layer_writer *w, const char *path, enum entry_type type,
			       const char *link)
{
	struct entry e = fixture_entry(path, type, 0755);
	struct error *err = NULL;

	e.link = link;
	assert_ok(layer_writer_put(w, &e, &err), err);
}

static inline int64_t fixture_commit(struct layer_writer *w)
{
	struct error *err = NULL;
	int64_t id = 0;

	assert_ok(layer_writer_commit(w, &id, &err), err);
	layer_writer_free(w);
	return id;
}

static inline struct layer_writer *fixture_writer(struct store *s)
{
	struct layer_writer *w = NULL;
	struct error *err = NULL;

	assert_ok(layer_writer_open(s, &w, &err), err);
	return w;
}

/* A layer of one file. */
static inline int64_t fixture_layer(struct store *s, const char *path, const char *content)
{
	struct layer_writer *w = fixture_writer(s);

	fixture_file(w, path, content);
	return fixture_commit(w);
}

#endif
