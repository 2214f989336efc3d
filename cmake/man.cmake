# SPDX-License-Identifier: Apache-2.0
# The manual pages, made by the program itself (scripts/man-pages) whenever it or docs/cli.md is new.
set(man_dir ${PROJECT_BINARY_DIR}/man)
add_custom_command(OUTPUT ${man_dir}/stamp
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${man_dir}
  COMMAND ${PROJECT_SOURCE_DIR}/scripts/man-pages ${man_dir} ${CMAKE_CROSSCOMPILING_EMULATOR} $<TARGET_FILE:kiln>
  COMMAND sh -c "gzip -9n ${man_dir}/*.1"
  COMMAND ${CMAKE_COMMAND} -E touch ${man_dir}/stamp
  DEPENDS kiln scripts/man-pages docs/cli.md VERBATIM)
add_custom_target(man ALL DEPENDS ${man_dir}/stamp)
