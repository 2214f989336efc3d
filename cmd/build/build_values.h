/* SPDX-License-Identifier: Apache-2.0 */
/* The values of single build options that have a syntax of their own. Each fills the list of
 * build_options that it is named for. */
#ifndef KILN_CMD_BUILD_BUILD_VALUES_H
#define KILN_CMD_BUILD_BUILD_VALUES_H

#include "cmd/build/build_options.h"

int build_values_contexts(struct build_options *o,
			  struct error **err) _must_check_; /* NAME=VALUE */
int build_values_hosts(struct build_options *o,
		       struct error **err) _must_check_; /* HOST:IP, HOST=IP */
/* One HOST:IP; the address without brackets. */
int build_value_host(const char *text, char **ret_name, char **ret_address,
		     struct error **err) _must_check_;
int build_values_ulimits(struct build_options *o,
			 struct error **err) _must_check_; /* NAME=SOFT[:HARD] */
int build_values_secrets(struct build_options *o, struct error **err) _must_check_;
/* ID, ID=SOCKET, ID=KEY[,KEY]; without a path the agent is $SSH_AUTH_SOCK. */
int build_values_ssh(struct build_options *o, struct error **err) _must_check_;
/* NAME without a value takes it from the environment, or is dropped; SOURCE_DATE_EPOCH is passed on
 * by itself, and so are the proxies of docker's configuration. */
int build_values_args(struct build_options *o, struct error **err) _must_check_;
void build_values_release(struct build_options *o);

#endif
