/* SPDX-License-Identifier: Apache-2.0 */
/* The syntax tree of a Dockerfile.
 *
 * df_parse (df_parse.h) makes it; nothing changes it afterwards. All of it, strings included, lives
 * in the arena of the struct df_file; values that an instruction expands ("$A") are kept as
 * written: quotes and escapes are still there and are removed by expansion (df_shell.h). Optional
 * strings are NULL when absent; a flag given as empty is "".
 */
#ifndef KILN_FRONTEND_DOCKERFILE_DF_AST_H
#define KILN_FRONTEND_DOCKERFILE_DF_AST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/error.h"

enum df_kind {
	DF_ADD = 1,
	DF_ARG,
	DF_CMD,
	DF_COPY,
	DF_ENTRYPOINT,
	DF_ENV,
	DF_EXPOSE,
	DF_FROM,
	DF_HEALTHCHECK,
	DF_LABEL,
	DF_MAINTAINER,
	DF_ONBUILD,
	DF_RUN,
	DF_SHELL,
	DF_STOPSIGNAL,
	DF_USER,
	DF_VOLUME,
	DF_WORKDIR,
};

/* A list; v is NULL if n is 0. */
struct df_strings {
	const char **v;
	size_t n;
};

struct df_heredoc {
	const char *name; /* without quotes */
	unsigned fd;
	bool expand;	     /* the word was not quoted: $VAR in the body is expanded (COPY, ADD) */
	bool chomp;	     /* <<-: leading tabs are stripped */
	const char *content; /* the lines as in the file, tabs included, without the terminator */
	const char *chomped; /* content as it is to be used: without leading tabs if chomp */
};

/* One key=value of ENV and LABEL, or one word of ARG. */
struct df_pair {
	const char *key;
	const char *value; /* ARG: NULL without "=" */
	bool legacy;	   /* written "KEY value" */
	const char *doc;   /* ARG: the description in the comments above, or NULL */
};

/* RUN, CMD, ENTRYPOINT, SHELL, the command of HEALTHCHECK. */
struct df_command {
	struct df_strings args; /* exec form: the words; shell form: one string or none */
	bool shell_form;	/* the shell is to be put in front */
};

enum df_mount_type { DF_MOUNT_BIND, DF_MOUNT_CACHE, DF_MOUNT_TMPFS, DF_MOUNT_SECRET, DF_MOUNT_SSH };
enum df_sharing { DF_SHARING_UNSET, DF_SHARING_SHARED, DF_SHARING_PRIVATE, DF_SHARING_LOCKED };

/* One --mount after df_mount_parse. */
struct df_mount {
	enum df_mount_type type;
	const char *from, *source, *target, *id; /* "" when not given */
	bool readonly;				 /* with the type's default applied */
	bool required;
	enum df_sharing sharing;
	uint64_t size;	 /* tmpfs, 0 = no limit */
	const char *env; /* secret: variable name, "" = the id; NULL if not given */
	bool has_mode, has_uid, has_gid;
	uint32_t mode, uid, gid;
};

struct df_device {
	const char *name;
	bool required;
};

enum df_network { DF_NETWORK_DEFAULT, DF_NETWORK_NONE, DF_NETWORK_HOST };
enum df_security { DF_SECURITY_SANDBOX, DF_SECURITY_INSECURE };

struct df_run {
	struct df_command command;
	struct df_strings mounts; /* --mount values, unexpanded: df_mount_parse */
	enum df_network network;
	enum df_security security;
	struct df_device *devices;
	size_t n_devices;
};

/* A flag that may be absent, false or true. */
enum df_tristate { DF_UNSET = -1, DF_FALSE = 0, DF_TRUE = 1 };

/* COPY and ADD. */
struct df_copy {
	struct df_strings sources;	 /* paths, URLs */
	const struct df_heredoc **files; /* sources that are heredocs: file `name` with `chomped` */
	size_t n_files;
	const char *dest;
	const char *from;	   /* COPY; NULL if absent; not expanded */
	const char *chown, *chmod; /* NULL if absent */
	const char *checksum;	   /* ADD; NULL if absent */
	struct df_strings exclude;
	bool link, parents;
	enum df_tristate keep_git_dir, unpack; /* ADD */
};

struct df_from {
	const char *base;	  /* unexpanded */
	const char *name;	  /* lower case; NULL if unnamed */
	const char *name_written; /* NULL if unnamed */
	const char *as;		  /* the word "AS" as written, NULL if absent */
	const char *platform;	  /* unexpanded; NULL if absent */
	const char *doc;	  /* description of the stage in the comments above, or NULL */
};

struct df_healthcheck {
	bool none;
	struct df_command command; /* exec form: CMD, shell form: CMD-SHELL */
	int64_t interval, timeout, start_period, start_interval; /* ns, 0 = inherit */
	int retries;
};

struct df_onbuild {
	const char *expression; /* what config.OnBuild stores; df_parse_trigger reads it back */
};

struct df_instruction {
	enum df_kind kind;
	const char *keyword; /* as written */
	/* The whole instruction on one line: continuations joined, comments in between dropped,
	 * trimmed. Progress step names and history are made from it. Without heredoc bodies. */
	const char *text;
	struct source_span span;    /* all physical lines, heredoc bodies included */
	bool json;		    /* the arguments were a JSON array */
	struct df_strings flags;    /* "--name=value", quotes removed, in order */
	struct df_strings comments; /* doc comments directly above, trimmed, without "#" */
	const struct df_heredoc *heredocs;
	size_t n_heredocs;
	union {
		struct df_from from;
		struct df_run run;
		struct df_copy copy;	   /* COPY, ADD */
		struct df_command command; /* CMD, ENTRYPOINT, SHELL */
		struct {
			struct df_pair *v;
			size_t n;
		} pairs;		 /* ARG, ENV, LABEL */
		struct df_strings words; /* EXPOSE (sorted), VOLUME */
		const char *word;	 /* MAINTAINER, STOPSIGNAL, USER, WORKDIR */
		struct df_healthcheck healthcheck;
		struct df_onbuild onbuild;
	};
};

/* A FROM and what follows it. */
struct df_stage {
	const struct df_instruction *from;
	struct df_instruction *const *commands;
	size_t n;
};

/* A physical line without its line end. */
struct df_line {
	const char *p;
	size_t n;
};

/* "# name=value" at the top; value NULL if absent. */
struct df_directive {
	const char *value;
	struct source_span span;
};

struct df_file {
	struct arena arena;
	const char *name; /* for messages: "Dockerfile" */
	const char *data; /* the bytes, NUL-terminated, BOM kept */
	size_t size;
	const struct df_line *lines; /* lines[0] is line 1; for error excerpts */
	size_t n_lines;
	char escape; /* '\\' or '`' */
	struct df_directive syntax, check;

	struct df_instruction *const *instructions; /* all, in file order */
	size_t n;
	struct df_instruction *const *meta_args; /* ARGs before the first FROM */
	size_t n_meta_args;
	const struct df_stage *stages;
	size_t n_stages;

	/* Lines where a blank line interrupts a continued instruction. */
	const struct source_span *empty_continuations;
	size_t n_empty_continuations;
};

#endif
