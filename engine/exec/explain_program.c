/* SPDX-License-Identifier: Apache-2.0 */
/* Why a step's program could not be started. The kernel and shells say of a script without its
 * interpreter that the script is not there; what is really missing is found in the image. */
#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/path.h"
#include "engine/exec/explain_step.h"
#include "engine/tree/tree_rootfs.h"

#define STATUS_NOT_EXECUTABLE 126
#define STATUS_NOT_FOUND 127
#define STATUS_APT 100 /* of whatever fails in it */
#define WORDS_MAX 1000 /* of a script that are looked at */
#define WORD_MAX 1024
#define PATH_DEFAULT "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

struct inquiry {
	const struct failed_step *step;
	struct tree **trees; /* one a mount of the step, opened when it is asked for */
	int r;
	bool started; /* the shell, and whatever it was to start */
	struct error **err;
};

struct found {
	struct tree *tree; /* borrowed */
	struct entry entry;
};

static bool is_one_of(const char *word, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(word, list[i]) == 0)
			return true;
	return false;
}

/* --- the image --- */

static struct tree *mounted(const struct inquiry *q, size_t i)
{
	const struct failed_step *step = q->step;
	const struct op_mount *m = &step->op->mounts[i];
	const struct result *from = NULL;

	if (strcmp(m->dest, "/") == 0)
		from = step->root;
	else if (m->type == MOUNT_BIND && m->input >= 0 && (size_t)m->input < step->n_inputs)
		from = step->inputs[m->input];
	if (!q->trees[i] && from && tree_of_result(step->o->store, from, &q->trees[i], NULL) < 0)
		q->trees[i] = NULL;
	return q->trees[i];
}

/* The step's mounts are looked through, secrets and caches not. */
static bool lookup(const struct inquiry *q, const char *path, struct found *ret)
{
	const struct op_exec *op = q->step->op;
	const struct op_mount *m = NULL;
	_cleanup_free_ char *joined = NULL, *below = NULL, *found = NULL;
	struct tree *tree;
	bool exists = false;

	for (size_t i = 0; i < op->n_mounts; i++)
		if (path_within(path, op->mounts[i].dest) &&
		    (!m || strlen(op->mounts[i].dest) >= strlen(m->dest)))
			m = &op->mounts[i];
	tree = m ? mounted(q, (size_t)(m - op->mounts)) : NULL;
	if (!tree)
		return false;
	joined = xasprintf("%s/%s", m->selector, path + strlen(m->dest));
	below = path_rooted(joined);
	ret->tree = tree;
	return tree_resolve(tree, below, true, &found, &exists, &ret->entry, NULL) == 0 && exists;
}

static const char *search_path(const struct op_exec *op)
{
	for (size_t i = 0; i < op->env.n; i++)
		if (strncmp(op->env.v[i], "PATH=", 5) == 0)
			return op->env.v[i] + 5;
	return PATH_DEFAULT;
}

/* Where a command's name leads; NULL if nowhere. Heap. */
static char *find_program(const struct inquiry *q, const char *name, struct found *node)
{
	const char *cwd = q->step->op->cwd && *q->step->op->cwd ? q->step->op->cwd : "/";

	if (strchr(name, '/')) {
		char *path = path_resolve(cwd, name);

		if (lookup(q, path, node))
			return path;
		free(path);
		return NULL;
	}
	for (const char *p = search_path(q->step->op); *p;) {
		size_t n = strcspn(p, ":");
		_cleanup_free_ char *dir = xstrndup(p, n);
		char *path = path_join(n > 0 ? dir : cwd, name);

		if (lookup(q, path, node) && node->entry.type == ENTRY_FILE)
			return path;
		free(path);
		p += n + (p[n] == ':');
	}
	return NULL;
}

static bool exists(const struct inquiry *q, const char *name)
{
	struct found node;
	_cleanup_free_ char *path = find_program(q, name, &node);

	return path != NULL;
}

/* --- one file --- */

/* The loader that a program asks for; NULL if it is not a program or asks for none. Heap. */
static char *elf_loader(int fd, const char *head, size_t n)
{
	Elf64_Ehdr file;
	Elf64_Phdr part;

	if (n < sizeof(file) || head[EI_CLASS] != ELFCLASS64)
		return NULL;
	memcpy(&file, head, sizeof(file));
	for (unsigned i = 0; i < file.e_phnum && i < 64; i++) {
		off_t at = (off_t)(file.e_phoff + i * sizeof(part));
		char name[WORD_MAX] = "";

		if (pread(fd, &part, sizeof(part), at) != (ssize_t)sizeof(part))
			return NULL;
		if (part.p_type != PT_INTERP)
			continue;
		if (part.p_filesz >= sizeof(name) ||
		    pread(fd, name, part.p_filesz, (off_t)part.p_offset) <= 0)
			return NULL;
		return xstrdup(name);
	}
	return NULL;
}

/* Is it for another processor than kiln itself? */
static bool is_foreign(const char *head, size_t n)
{
	Elf64_Ehdr file, own;
	_cleanup_close_ int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	if (n < sizeof(file) || fd < 0 || fs_read_full(fd, &own, sizeof(own)) != sizeof(own))
		return false;
	memcpy(&file, head, sizeof(file)); /* as far as the machine both classes are alike */
	return file.e_machine != own.e_machine &&
	       !(own.e_machine == EM_X86_64 && file.e_machine == EM_386);
}

static int explain_loader(const struct inquiry *q, const char *path, const char *loader)
{
	return error_hint(
		q->err, q->r,
		"%s was built for another system: the image has no %s, the loader that it "
		"asks for (a glibc program on an image of musl or busybox, or the "
		"reverse); build it statically, or in an image like this one",
		path, loader);
}

static int explain_line_ends(const struct inquiry *q, const char *path)
{
	return error_hint(q->err, q->r,
			  "the lines of %s end as on Windows (CR LF), and the CR counts as part of "
			  "the last word: save it with LF; git does so with a line \"*.sh text "
			  "eol=lf\" in .gitattributes",
			  path);
}

/* `line` is what follows "#!", without its end. */
static int explain_script(const struct inquiry *q, const char *path, char *line)
{
	char *rest = NULL, *interpreter = strtok_r(line, " \t", &rest);
	const char *word = interpreter;

	/* env looks for the first of its words that is not an option. */
	while (word && (word == interpreter || *word == '-') &&
	       strcmp(path_base(interpreter), "env") == 0 && exists(q, interpreter))
		word = strtok_r(NULL, " \t", &rest);
	if (!word || exists(q, word))
		return q->r;
	return error_hint(q->err, q->r,
			  "%s is there, but %s, which its first line names as its interpreter, is "
			  "not in the image: install that, or name another",
			  path, word);
}

/* What is wrong with a file that was to be started, if anything is. */
static int explain_file(const struct inquiry *q, const char *path, struct found *node)
{
	char head[WORD_MAX + 1] = "";
	_cleanup_free_ char *loader = NULL;
	_cleanup_close_ int fd = -1;
	ssize_t n;
	size_t line;

	if (node->entry.type != ENTRY_FILE)
		return q->r;
	fd = node->tree->ops->open(node->tree, &node->entry, NULL);
	n = fd < 0 ? -1 : fs_read_full(fd, head, WORD_MAX);
	if (n <= 0)
		return q->r;
	line = strcspn(head, "\n");
	if (strncmp(head, "#!", 2) == 0 && line > 2 && head[line] && head[line - 1] == '\r')
		return explain_line_ends(q, path);
	if (q->step->status == STATUS_NOT_EXECUTABLE && (node->entry.mode & 0111) == 0)
		return error_hint(
			q->err, q->r,
			"%s is not executable (its mode is %04o): COPY --chmod=755 makes it "
			"so, or a RUN chmod +x before",
			path, node->entry.mode & 07777);
	if (strncmp(head, "#!", 2) == 0) {
		head[line] = '\0';
		return explain_script(q, path, head + 2);
	}
	if ((size_t)n < SELFMAG || memcmp(head, ELFMAG, SELFMAG) != 0)
		return q->step->status != STATUS_NOT_EXECUTABLE
			       ? q->r
			       : error_hint(q->err, q->r,
					    "%s begins neither as a program does nor with #!: a "
					    "script's first line "
					    "names its interpreter, as in #!/bin/sh",
					    path);
	loader = elf_loader(fd, head, (size_t)n);
	if (loader && !exists(q, loader))
		return explain_loader(q, path, loader);
	if (q->step->status == STATUS_NOT_EXECUTABLE && !q->step->o->binfmt &&
	    is_foreign(head, (size_t)n))
		return error_hint(q->err, q->r, "%s is a program for another processor", path);
	return q->r;
}

/* A script that a shell is given to read: no bit and no first line matters, but line ends do. */
static int explain_argument(const struct inquiry *q, const char *word)
{
	struct found node;
	_cleanup_free_ char *path = strchr(word, '/') ? find_program(q, word, &node) : NULL;
	char head[WORD_MAX + 1] = "", *end;
	_cleanup_close_ int fd = -1;

	if (!path || node.entry.type != ENTRY_FILE)
		return q->r;
	fd = node.tree->ops->open(node.tree, &node.entry, NULL);
	if (fd < 0 || fs_read_full(fd, head, WORD_MAX) <= 0)
		return q->r;
	end = strchr(head, '\n');
	return end && end > head && end[-1] == '\r' ? explain_line_ends(q, path) : q->r;
}

/* --- the command --- */

static bool said(const struct inquiry *q)
{
	return q->err && *q->err && error_hint_text(*q->err);
}

static int explain_word(const struct inquiry *q, const char *word)
{
	struct found node;
	_cleanup_free_ char *path = find_program(q, word, &node);

	if (path)
		return explain_file(q, path, &node);
	if (strcmp(word, "sudo") == 0)
		return error_hint(q->err, q->r,
				  "the image has no sudo: steps are run by root, or by whom USER "
				  "names, so leave it out");
	return q->r;
}

static bool is_shell(const char *word)
{
	static const char *const shells[] = {"sh", "bash", "dash", "ash", "ksh", "zsh"};

	return is_one_of(path_base(word), shells, ARRAY_SIZE(shells));
}

/* What stands before a command without being one. */
static bool is_before_command(const char *word)
{
	static const char *const words[] = {"!",  "{",	  "do",	  "elif",  "else", "exec",
					    "if", "then", "time", "until", "while"};

	return is_one_of(word, words, ARRAY_SIZE(words)) || strchr(word, '=');
}

/* Not a shell's grammar: the words that stand where commands stand, as far as that is plain. */
static int explain_shell_text(const struct inquiry *q, const char *text)
{
	bool at_command = true, after_shell = false;
	int words = 0;

	while (*text && words < WORDS_MAX && !said(q)) {
		size_t n = strcspn(text, " \t\n;&|()<>\"'`$\\");
		_cleanup_free_ char *word = NULL;

		if (n == 0) {
			at_command |= strchr("\n;&|(`", *text) != NULL;
			after_shell &= strchr(" \t", *text) != NULL;
			text++;
			continue;
		}
		words++;
		word = xstrndup(text, n);
		text += n;
		if (n > WORD_MAX)
			continue;
		if (after_shell && *word != '-') {
			(void)explain_argument(q, word);
			after_shell = false;
		}
		if (!at_command)
			continue;
		after_shell = is_shell(word);
		at_command = is_before_command(word);
		if (!at_command && !q->started)
			(void)explain_word(q, word);
	}
	return q->r;
}

static const char *const inside_shells[] = {"alias", "cd",     "eval", "exit",	"export", "set",
					    "shift", "source", "trap", "umask", "unset"};

/* The first word of a list is not in the image. */
static int explain_absent(const struct inquiry *q, const char *name)
{
	if (is_one_of(name, inside_shells, ARRAY_SIZE(inside_shells)))
		return error_hint(q->err, q->r,
				  "%s is part of a shell, which a list has none of: leave out the "
				  "brackets, or write [\"/bin/sh\", \"-c\", \"%s ...\"]",
				  name, name);
	if (strchr(name, ' '))
		return error_hint(
			q->err, q->r,
			"the list has all of it in one string: each argument is a string of "
			"its own, as in [\"program\", \"argument\"]; without brackets a shell "
			"splits it and replaces variables");
	if (is_shell(name))
		return error_hint(q->err, q->r,
				  "the image has no %s: SHELL names another shell, and a list, RUN "
				  "[\"program\", \"argument\"], needs none",
				  name);
	return q->r;
}

/* `RUN ['a', 'b']` is not a list, and goes to the shell as it stands. */
static bool is_list_in_single_quotes(const char *text)
{
	text += strspn(text, " \t");
	if (*text++ != '[')
		return false;
	text += strspn(text, " \t");
	return *text == '\'';
}

/* Images have no lists of packages: they are old a day later. */
static int explain_packages(const struct inquiry *q, const char *text)
{
	bool installs = strstr(text, "apt-get install") || strstr(text, "apt install") ||
			strstr(text, "apt-get -y install") || strstr(text, "apt -y install");

	if (q->step->status != STATUS_APT || !installs || strstr(text, " update"))
		return q->r;
	return error_hint(q->err, q->r,
			  "images come without lists of packages: write apt-get update && apt-get "
			  "install ... in one RUN");
}

static int explain(const struct inquiry *q)
{
	const struct op_strings *args = &q->step->op->args;
	bool has_text = args->n > 2 && is_shell(args->v[0]) && strcmp(args->v[1], "-c") == 0;
	struct found node;
	_cleanup_free_ char *path = find_program(q, args->v[0], &node);

	if (!path)
		return explain_absent(q, args->v[0]);
	if (has_text && !q->started && is_list_in_single_quotes(args->v[2]))
		return error_hint(
			q->err, q->r,
			"a list has double quotes, as in [\"program\", \"argument\"]; with "
			"single ones a shell got all of it as a command");
	if (!q->started)
		(void)explain_file(q, path, &node);
	if (said(q))
		return q->r;
	if (has_text)
		(void)explain_packages(q, args->v[2]);
	if (has_text)
		return explain_shell_text(q, args->v[2]);
	for (size_t i = 1; is_shell(args->v[0]) && i < args->n && !said(q); i++)
		(void)explain_argument(q, args->v[i]);
	return q->r;
}

void explain_program(const struct failed_step *step, struct error **err)
{
	struct inquiry q = {.step = step, .r = -ERR_PROCESS, .err = err};

	if (step->op->args.n == 0 || said(&q))
		return;
	q.started = step->status != STATUS_NOT_EXECUTABLE && step->status != STATUS_NOT_FOUND;
	q.trees = xcalloc(step->op->n_mounts, sizeof(*q.trees));
	(void)explain(&q);
	for (size_t i = 0; i < step->op->n_mounts; i++)
		tree_unref(q.trees[i]);
	free(q.trees);
}
