/* SPDX-License-Identifier: Apache-2.0 */
/* The entry points of lazily loaded libraries (lazy_library.h). A function that is missing here is
 * an "undefined reference" when kiln is linked: add its name to its library's list. */

/* Jumps to where the function is, or to find_first with its struct lazy_function in r11, which calls
 * may change. */
	.macro FUNCTION name, soname
	.pushsection .rodata.str1.1, "aMS", %progbits, 1
.Lname_\name:
	.asciz "\name"
	.popsection
	.pushsection .data.lazy, "aw", %progbits
	.balign 8
.Lfunction_\name:
	.quad \soname, .Lname_\name, 0
	.popsection
	.global \name
	.type \name, %function
\name:
	.cfi_startproc
	endbr64
	lea .Lfunction_\name(%rip), %r11
	cmpq $0, 16(%r11)
	je find_first
	jmp *16(%r11)
	.cfi_endproc
	.size \name, . - \name
	.endm

	.macro LIBRARY soname, names:vararg
	.pushsection .rodata.str1.1, "aMS", %progbits, 1
.Lsoname\@:
	.asciz "\soname"
	.popsection
	.irp name, \names
	FUNCTION \name, .Lsoname\@
	.endr
	.endm

	.text

/* Finds the function with the arguments of the call put by (System V ABI: six in registers, eight in
 * vector registers, al their number for variadic functions), then makes the call. */
	.type find_first, %function
find_first:
	.cfi_startproc
	push %rbp
	.cfi_def_cfa_offset 16
	.cfi_offset %rbp, -16
	mov %rsp, %rbp
	.cfi_def_cfa_register %rbp
	sub $192, %rsp
	and $-16, %rsp
	mov %rdi, (%rsp)
	mov %rsi, 8(%rsp)
	mov %rdx, 16(%rsp)
	mov %rcx, 24(%rsp)
	mov %r8, 32(%rsp)
	mov %r9, 40(%rsp)
	mov %rax, 48(%rsp)
	movaps %xmm0, 64(%rsp)
	movaps %xmm1, 80(%rsp)
	movaps %xmm2, 96(%rsp)
	movaps %xmm3, 112(%rsp)
	movaps %xmm4, 128(%rsp)
	movaps %xmm5, 144(%rsp)
	movaps %xmm6, 160(%rsp)
	movaps %xmm7, 176(%rsp)
	mov %r11, %rdi
	call lazy_library_find
	mov %rax, %r11
	mov (%rsp), %rdi
	mov 8(%rsp), %rsi
	mov 16(%rsp), %rdx
	mov 24(%rsp), %rcx
	mov 32(%rsp), %r8
	mov 40(%rsp), %r9
	mov 48(%rsp), %rax
	movaps 64(%rsp), %xmm0
	movaps 80(%rsp), %xmm1
	movaps 96(%rsp), %xmm2
	movaps 112(%rsp), %xmm3
	movaps 128(%rsp), %xmm4
	movaps 144(%rsp), %xmm5
	movaps 160(%rsp), %xmm6
	movaps 176(%rsp), %xmm7
	leave
	.cfi_def_cfa %rsp, 8
	jmp *%r11
	.cfi_endproc
	.size find_first, . - find_first

	LIBRARY CURL_SONAME, \
		curl_easy_cleanup, curl_easy_getinfo, curl_easy_init, curl_easy_reset, \
		curl_easy_setopt, curl_easy_strerror, curl_free, curl_getdate, \
		curl_global_init, \
		curl_multi_add_handle, curl_multi_cleanup, curl_multi_info_read, curl_multi_init, \
		curl_multi_perform, curl_multi_poll, curl_multi_remove_handle, curl_multi_strerror, \
		curl_share_cleanup, curl_share_init, curl_share_setopt, curl_slist_append, \
		curl_slist_free_all, curl_url, curl_url_cleanup, curl_url_get, curl_url_set

	LIBRARY GIT2_SONAME, \
		git_blob_rawcontent, git_blob_rawsize, git_commit_free, git_commit_lookup, \
		git_commit_parentcount, git_commit_time, git_commit_tree, git_commit_tree_id, \
		git_error_last, git_error_set_str, git_fetch_options_init, git_index_free, \
		git_index_open, git_index_read_tree, git_index_write, git_libgit2_init, \
		git_libgit2_opts, git_object_free, git_object_id, git_object_lookup, \
		git_object_peel, git_object_string2type, git_object_type, git_odb_exists, \
		git_odb_free, git_odb_hash, git_odb_object_data, git_odb_object_free, \
		git_odb_object_size, git_odb_read, git_odb_read_header, git_odb_refresh, \
		git_odb_write, git_odb_write_pack, git_oid_equal, git_oid_fromstr, git_oid_tostr, \
		git_packbuilder_free, git_packbuilder_insert, git_packbuilder_insert_commit, \
		git_packbuilder_new, git_packbuilder_set_threads, git_packbuilder_write, \
		git_reference_create, git_reference_free, git_reference_name_to_id, \
		git_remote_connect_ext, git_remote_connect_options_init, \
		git_remote_create_options_init, git_remote_create_with_opts, git_remote_fetch, \
		git_remote_free, git_remote_ls, git_repository_free, git_repository_init_ext, \
		git_repository_init_options_init, git_repository_odb, git_revparse_single, \
		git_tag_target_id, git_transport_local, git_transport_smart, \
		git_tree_entry_byindex, git_tree_entry_byname, git_tree_entry_filemode, \
		git_tree_entry_id, git_tree_entry_name, git_tree_entry_type, git_tree_entrycount, \
		git_tree_free, git_tree_id, git_tree_lookup

	LIBRARY ARCHIVE_SONAME, \
		archive_entry_filetype, archive_entry_gid, archive_entry_hardlink, \
		archive_entry_mtime, archive_entry_pathname, archive_entry_perm, \
		archive_entry_rdevmajor, archive_entry_rdevminor, archive_entry_size, \
		archive_entry_symlink, archive_entry_uid, archive_entry_xattr_next, \
		archive_entry_xattr_reset, archive_error_string, archive_filter_bytes, \
		archive_format, archive_read_data, archive_read_data_block, archive_read_free, \
		archive_read_new, archive_read_next_header, archive_read_open, \
		archive_read_open2, archive_read_support_filter_bzip2, \
		archive_read_support_filter_gzip, archive_read_support_filter_xz, \
		archive_read_support_filter_zstd, archive_read_support_format_empty, \
		archive_read_support_format_raw, archive_read_support_format_tar, \
		archive_set_error

	LIBRARY EXPAT_SONAME, \
		XML_Parse, XML_ParserCreate, XML_ParserFree, XML_SetCharacterDataHandler, \
		XML_SetElementHandler, XML_SetStartDoctypeDeclHandler, XML_SetUserData, \
		XML_StopParser

	LIBRARY NGHTTP2_SONAME, \
		nghttp2_rcbuf_get_buf, nghttp2_option_del, nghttp2_option_new, nghttp2_option_set_no_auto_window_update, \
		nghttp2_option_set_no_closed_streams, nghttp2_option_set_stream_reset_rate_limit, \
		nghttp2_session_callbacks_del, nghttp2_session_callbacks_new, \
		nghttp2_session_callbacks_set_on_begin_headers_callback, \
		nghttp2_session_callbacks_set_on_data_chunk_recv_callback, \
		nghttp2_session_callbacks_set_on_frame_not_send_callback, \
		nghttp2_session_callbacks_set_on_frame_recv_callback, \
		nghttp2_session_callbacks_set_on_header_callback2, \
		nghttp2_session_callbacks_set_on_stream_close_callback, nghttp2_session_client_new2, \
		nghttp2_session_consume, nghttp2_session_del, nghttp2_session_get_stream_user_data, \
		nghttp2_session_mem_recv, nghttp2_session_mem_send, nghttp2_session_resume_data, \
		nghttp2_session_server_new2, nghttp2_session_set_local_window_size, \
		nghttp2_session_set_stream_user_data, nghttp2_session_want_read, \
		nghttp2_session_want_write, nghttp2_submit_request, nghttp2_submit_response, \
		nghttp2_submit_rst_stream, nghttp2_submit_settings, nghttp2_submit_trailer

	LIBRARY PROTOBUF_C_SONAME, \
		protobuf_c_message_free_unpacked, protobuf_c_message_get_packed_size, \
		protobuf_c_message_init, protobuf_c_message_pack, protobuf_c_message_pack_to_buffer, \
		protobuf_c_message_unpack

	.section .note.GNU-stack, "", %progbits
