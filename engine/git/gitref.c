/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/git/gitref.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/suggest.h"

#define HEX_DIGITS "0123456789abcdef"

void gitref_list_release(struct gitref_list *l)
{
	for (size_t i = 0; i < l->heads.n; i++) {
		free(l->heads.v[i].name);
		free(l->heads.v[i].target);
	}
	vec_release(&l->heads);
}

void gitref_list_add(struct gitref_list *l, const char *name, const char *oid, const char *target)
{
	struct gitref_head head = {.name = NULL};

	if (!gitref_is_commit(oid))
		return;
	memcpy(head.oid, oid, sizeof(head.oid));
	head.name = xstrdup(name);
	head.target = xstrdup(target);
	vec_push(&l->heads, head);
}

void gitref_release(struct gitref *r)
{
	free(r->name);
	r->name = NULL;
}

bool gitref_is_commit(const char *text)
{
	return strlen(text) == GITREF_HEX && strspn(text, HEX_DIGITS) == GITREF_HEX;
}

int gitref_check(const char *ref, struct error **err)
{
	if (*ref == '-')
		return error_new(err, ERR_INVALID, 0,
				 "invalid git ref \"%s\": it looks like an option", ref);
	for (const char *p = ref; *p; p++)
		if (iscntrl((unsigned char)*p) || *p == ' ')
			return error_new(err, ERR_INVALID, 0,
					 "invalid git ref: it has spaces or control characters");
	if (strlen(ref) == 64 && strspn(ref, HEX_DIGITS) == 64)
		return error_new(err, ERR_UNSUPPORTED, 0,
				 "%s: repositories with SHA-256 hashes are not supported", ref);
	return 0;
}

int gitref_check_checksum(const char *checksum, struct error **err)
{
	if (*checksum && strspn(checksum, HEX_DIGITS "ABCDEF") == strlen(checksum))
		return 0;
	return error_new(err, ERR_INVALID, 0,
			 "invalid checksum %s for Git URL, expected hex commit hash", checksum);
}

static const struct gitref_head *find(const struct gitref_list *list, const char *name)
{
	for (size_t i = 0; i < list->heads.n; i++)
		if (strcmp(list->heads.v[i].name, name) == 0)
			return &list->heads.v[i];
	return NULL;
}

static bool has_prefix(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* "main" with "refs/heads/" is "refs/heads/main"; with its prefix already there it stays. */
static const struct gitref_head *find_under(const struct gitref_list *list, const char *prefix,
					    const char *ref)
{
	_cleanup_free_ char *name = xasprintf("%s%s", has_prefix(ref, prefix) ? "" : prefix, ref);

	return find(list, name);
}

/* The last part of the name closest to what was asked for. */
static const char *similar(const struct gitref_list *list, const char *ref)
{
	_cleanup_free_ const char **names = xcalloc(list->heads.n + 1, sizeof(*names));
	static const char *const prefixes[] = {"refs/heads/", "refs/tags/"};
	size_t n = 0;

	for (size_t k = 0; k < ARRAY_SIZE(prefixes); k++)
		if (has_prefix(ref, prefixes[k]))
			ref += strlen(prefixes[k]);
	for (size_t i = 0; i < list->heads.n; i++)
		for (size_t k = 0; k < ARRAY_SIZE(prefixes); k++)
			if (has_prefix(list->heads.v[i].name, prefixes[k]) &&
			    !strchr(list->heads.v[i].name, '^'))
				names[n++] = list->heads.v[i].name + strlen(prefixes[k]);
	return suggest(ref, names, n, true);
}

static int not_found(const struct gitref_list *list, const char *ref, struct error **err)
{
	const char *near = similar(list, ref);
	int r = error_new(err, ERR_NOTFOUND, 0, "repository does not contain ref %s, output: \"\"",
			  ref);

	if (near)
		return error_hint(err, r, "did you mean %s?", near);
	if (strlen(ref) < GITREF_HEX && strlen(ref) >= 4 && strspn(ref, HEX_DIGITS) == strlen(ref))
		return error_hint(err, r,
				  "a short commit hash cannot be used as a ref: give the whole "
				  "hash, or a branch or tag and ?commit=%s",
				  ref);
	return r;
}

static const struct gitref_head *find_default(const struct gitref_list *list)
{
	const struct gitref_head *head = find(list, "HEAD");
	const struct gitref_head *branch = head && head->target ? find(list, head->target) : NULL;

	if (!head || branch)
		return branch;
	/* A server that does not tell what HEAD names: the branch at its commit, main ones
	 * first. */
	static const char *const usual[] = {"refs/heads/master", "refs/heads/main"};

	for (size_t i = 0; i < ARRAY_SIZE(usual); i++) {
		branch = find(list, usual[i]);
		if (branch && strcmp(branch->oid, head->oid) == 0)
			return branch;
	}
	for (size_t i = 0; i < list->heads.n; i++)
		if (has_prefix(list->heads.v[i].name, "refs/heads/") &&
		    strcmp(list->heads.v[i].oid, head->oid) == 0)
			return &list->heads.v[i];
	return head;
}

static bool fits(const char *oid, const char *checksum)
{
	return strncasecmp(oid, checksum, strlen(checksum)) == 0;
}

static int check_fits(const struct gitref *r, const char *checksum, struct error **err)
{
	if (!checksum || !*checksum || fits(r->oid, checksum) || fits(r->commit, checksum))
		return 0;
	if (strcmp(r->oid, r->commit) == 0)
		return error_new(err, ERR_CORRUPT, 0, "expected checksum to match %s, got %s",
				 checksum, r->oid);
	return error_new(err, ERR_CORRUPT, 0, "expected checksum to match %s, got %s or %s",
			 checksum, r->oid, r->commit);
}

int gitref_resolve(const struct gitref_list *list, const char *ref, const char *checksum,
		   struct gitref *ret, struct error **err)
{
	const struct gitref_head *head, *peeled;
	_cleanup_free_ char *peeled_name = NULL;
	struct gitref r = {.name = NULL};
	int k;

	if (!*ref || strcmp(ref, "HEAD") == 0) {
		head = find_default(list);
		if (!head)
			return error_new(err, ERR_NOTFOUND, 0,
					 "the repository has no default branch%s",
					 list->heads.n == 0 ? ": it is empty" : "");
	} else {
		head = find_under(list, "refs/", ref);
		if (!head)
			head = find_under(list, "refs/heads/", ref);
		if (!head)
			head = find_under(list, "refs/tags/", ref);
		if (!head)
			return not_found(list, ref, err);
	}
	peeled_name = xasprintf("%s^{}", head->name);
	peeled = find(list, peeled_name);
	memcpy(r.oid, head->oid, sizeof(r.oid));
	memcpy(r.commit, peeled ? peeled->oid : head->oid, sizeof(r.commit));
	k = check_fits(&r, checksum, err);
	if (k < 0)
		return k;
	r.name = xstrdup(head->name);
	*ret = r;
	return 0;
}

int gitref_from_commit(const char *commit, const char *checksum, struct gitref *ret,
		       struct error **err)
{
	struct gitref r = {.name = NULL};
	int k;

	memcpy(r.oid, commit, sizeof(r.oid));
	memcpy(r.commit, commit, sizeof(r.commit));
	k = check_fits(&r, checksum, err);
	if (k == 0)
		*ret = r;
	return k;
}
