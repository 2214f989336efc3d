/* SPDX-License-Identifier: Apache-2.0 */
/* moby.buildkit.v1.BytesMessage: one field of bytes. Not by protobuf-c, which would copy them once more. */
#ifndef KILN_ENGINE_RPC_RPC_BYTES_H
#define KILN_ENGINE_RPC_RPC_BYTES_H

#include <stddef.h>

#include "base/buf.h"

void rpc_bytes_pack(const void *p, size_t n, struct buf *ret);
/* Appends what it holds; -EINVAL if it is not such a message. Other fields are skipped. */
int rpc_bytes_unpack(const void *data, size_t n, struct buf *ret) _must_check_;

#endif
