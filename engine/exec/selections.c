/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/exec/selections.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/vec.h"
#include "engine/tree/tree_copy.h"

struct selection {
	struct store *store;
	struct tree *tree; /* owned reference */
	char *path;
	char *tmp; /* the name of its directory in the store; NULL: not made, or making it failed */
	char *dir;
	pthread_mutex_t making; /* protects tmp and dir; held for as long as it is copied */
};

struct selections {
	pthread_mutex_t lock; /* protects list */
	VEC(struct selection *) list;
};

struct selections *selections_new(void)
{
	struct selections *s = NEW(struct selections);

	(void)pthread_mutex_init(&s->lock, NULL);
	return s;
}

void selections_free(struct selections *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < s->list.n; i++) {
		struct selection *one = s->list.v[i];

		if (one->tmp)
			store_tmp_remove(one->store, one->tmp);
		tree_unref(one->tree);
		free(one->path);
		free(one->tmp);
		free(one->dir);
		(void)pthread_mutex_destroy(&one->making);
		free(one);
	}
	vec_release(&s->list);
	(void)pthread_mutex_destroy(&s->lock);
	free(s);
}

/* Finds it, or adds it without a directory. */
static struct selection *find(struct selections *s, struct store *store, struct tree *tree,
			      const char *path)
{
	struct selection *one = NULL;

	(void)pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < s->list.n && !one; i++)
		if (s->list.v[i]->tree == tree && strcmp(s->list.v[i]->path, path) == 0)
			one = s->list.v[i];
	if (!one) {
		one = NEW(struct selection);
		one->store = store;
		one->tree = tree_ref(tree);
		one->path = xstrdup(path);
		(void)pthread_mutex_init(&one->making, NULL);
		vec_push(&s->list, one);
	}
	(void)pthread_mutex_unlock(&s->lock);
	return one;
}

static int make(struct selection *one, struct cancel *cancel, struct error **err)
{
	_cleanup_close_ int fd = -1;
	char *tmp = NULL;
	int r = store_tmp_dir(one->store, &tmp, &fd, err);

	if (r < 0)
		return r;
	/* The mount's root is below it: this directory's mode shows nowhere. */
	r = tree_copy(one->tree, one->path, fd, SELECTION_NAME, 0, cancel, err);
	/* BuildKit's contexts have no mode of their own. */
	if (r == 0 && !*one->path && fchmodat(fd, SELECTION_NAME, 0755, 0) < 0)
		r = error_new(err, ERR_IO, errno, "set the mode of a mounted context");
	if (r < 0) {
		store_tmp_remove(one->store, tmp);
		free(tmp);
		return r;
	}
	one->tmp = tmp;
	one->dir = xasprintf("%s/tmp/%s", store_root(one->store), tmp);
	return 0;
}

int selections_get(struct selections *s, struct store *store, struct tree *tree, const char *path,
		   struct cancel *cancel, const char **ret_dir, struct error **err)
{
	struct selection *one = find(s, store, tree, path);
	int r = 0;

	(void)pthread_mutex_lock(&one->making);
	if (!one->dir)
		r = make(one, cancel, err);
	*ret_dir = one->dir;
	(void)pthread_mutex_unlock(&one->making);
	return r;
}
