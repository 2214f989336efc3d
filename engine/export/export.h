/* SPDX-License-Identifier: Apache-2.0 */
/* Exporters: what a build leaves for its user.
 *
 *	struct export_options o;
 *	export_options_init(&o);
 *	r = export_options_parse(&o, "type=oci,dest=out.tar", err);	one --output value
 *	strv_push(&o.names, "app");					one per --tag
 *	r = export_run(s, images, n, &o, progress, cancel, &result, err);
 *
 * export_run opens its own step on the progress stream ("exporting to image", "exporting to oci
 *image format", ...). The same inputs give the same bytes: configs, manifests, layers and archives
 *depend on nothing but the images and the options; new history rows get the time their layer was
 *made. A file or directory that could not be finished is removed.
 */
#ifndef KILN_ENGINE_EXPORT_EXPORT_H
#define KILN_ENGINE_EXPORT_EXPORT_H

#include "base/digest.h"
#include "base/error.h"
#include "base/image_config.h"
#include "base/platform.h"
#include "base/strv.h"
#include "base/vec.h"
#include "engine/layer/layer_blob.h"
#include "solver/progress.h"
#include "store/store.h"

struct registry;

enum export_type {
	EXPORT_IMAGE = 1, /* into the local store */
	EXPORT_OCI,	  /* an OCI layout, as a tar or a directory */
	EXPORT_DOCKER,	  /* the same with docker's manifest.json; one platform only */
	EXPORT_LOCAL,	  /* the files of the root file system, in a directory */
	EXPORT_TAR,	  /* the same as a tar */
	EXPORT_REGISTRY,  /* pushed under its names */
	EXPORT_NONE,	  /* "cacheonly": build only */
};

/* Something that is said about an image, as a predicate (engine/attest/statement.h). */
struct export_attestation {
	const char *predicate_type;
	const char *filename; /* in outputs of files */
	/* *ret: a new reference. `bodies`: the image's n layers; NULL where it is files. */
	int (*make)(void *data, const struct layer_body *bodies, size_t n, json_t **ret,
		    struct error **err);
	void *data;
};

/* One image of the build, for one platform. */
struct export_image {
	/* From the frontend: diff_ids holds the base image's layers only, and history rows of this
	 * build have no `created`. */
	const struct image_config *config;
	const int64_t *layers; /* the whole chain, lowest first */
	size_t n_layers;
	/* When each layer was made (ns since the epoch, 0 unknown), n_layers long; NULL: the
	 * store's times. Layers of the base image are not looked at. */
	const int64_t *layer_times;
	struct platform platform;
	/* What outputs that are `attested` have beside it. */
	const struct export_attestation *attestations;
	size_t n_attestations;
};

enum export_annotated {
	ANNOTATE_MANIFEST = 1,
	ANNOTATE_MANIFEST_DESCRIPTOR,
	ANNOTATE_INDEX,
	ANNOTATE_INDEX_DESCRIPTOR,
};

struct export_annotation {
	enum export_annotated on;
	char *platform; /* "linux/amd64"; NULL: every platform */
	char *text;	/* "k=v" */
};

/* What is put into an image's config beside what describes it: *ret (heap), or NULL for nothing. */
struct export_inline {
	int (*make)(void *data, const int64_t *layers, const struct layer_body *bodies, size_t n,
		    char **ret, struct error **err);
	void *data;
};

struct export_options {
	enum export_type type;
	struct strv names; /* image names as the user wrote them */
	char *dest;	   /* file or directory; NULL: dest_fd */
	int dest_fd;	   /* borrowed; where an archive goes if there is no dest (stdout); -1 */
	bool tar;	   /* oci, docker: an archive (the default) and not a directory */
	bool oci_mediatypes;
	bool push;	     /* image: to the registry too */
	bool push_by_digest; /* pushed without a tag */
	bool no_store;	     /* image: only pushed, or only built */
	bool several;	     /* an index and folders as for several platforms, though it is one */
	struct strv notes;   /* about attributes that are taken and do nothing */
	struct registry *registry;		 /* borrowed; for pushing */
	bool platform_split, platform_split_set; /* local, tar */
	bool delete_extra; /* local, mode=delete: remove what the build did not make */
	struct layer_blob_options
		layers; /* compression of new layers, and how to fetch missing blobs */
	bool has_epoch;
	int64_t epoch;		/* SOURCE_DATE_EPOCH, seconds */
	bool rewrite_timestamp; /* clamp mtimes in new layers */
	VEC(struct export_annotation) annotations;
	struct export_inline inline_cache; /* make NULL: none */
	bool attested;			   /* the images' attestations go along */
	bool old_artifacts; /* oci-artifact=false: they are stored as before there were artifacts */
	bool artifacts_set;
	bool inline_attestations, inline_attestations_set; /* attestation-inline */
	char *attestation_prefix; /* local, tar: of their files' names; NULL: none */
};

void export_options_init(struct export_options *o); /* type image */
void export_options_release(struct export_options *o);
/* One value of --output: "PATH" (local), "-" (tar to stdout) or "type=T,key=value,...". An unknown
 * key, a bad value or a missing dest is ERR_INVALID. dest=- leaves dest NULL and sets dest_fd to 1.
 */
int export_options_parse(struct export_options *o, const char *text,
			 struct error **err) _must_check_;
/* One value of --annotation: "k=v", or "manifest,index[linux/amd64]:k=v". */
int export_options_annotate(struct export_options *o, const char *text,
			    struct error **err) _must_check_;

/* What was made, for --iidfile and --metadata-file. */
struct export_result {
	bool has_image;		/* false for local, tar and none */
	struct digest config;	/* the image id; of the first image if there are several */
	struct digest manifest; /* of the manifest, or of the index if there are several images */
	uint64_t size;		/* of that document */
	char *media_type;	/* of that document; owned */
	struct strv names;	/* full names given, "docker.io/library/app:latest" */
	json_t *descriptor;	/* containerimage.descriptor: mediaType, digest, size, annotations,
				   platform */
};
void export_result_release(struct export_result *r);

/* ERR_UNSUPPORTED for what cannot be combined (type=docker with two platforms). `cancel` may
 * be NULL. */
int export_run(struct store *s, const struct export_image *images, size_t n,
	       const struct export_options *o, const struct progress *progress,
	       struct cancel *cancel, struct export_result *ret, struct error **err) _must_check_;

#endif
