# SPDX-License-Identifier: Apache-2.0
# Run by every build: writes OUT, which says what was built. It changes only when the commit does, so that nothing is
# compiled again without a reason; the date is the commit's, so that a build of one commit is the same on every day.
set(commit "")
set(date "")
if(EXISTS ${SOURCE}/.git)
  execute_process(COMMAND git log -1 --format=%H,%cI WORKING_DIRECTORY ${SOURCE} OUTPUT_VARIABLE line
                  OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  if(line MATCHES "^([0-9a-f]+),(.*)$")
    set(commit ${CMAKE_MATCH_1})
    set(date ${CMAKE_MATCH_2})
  endif()
endif()
file(WRITE ${OUT}.new "#define KILN_COMMIT \"${commit}\"\n#define KILN_COMMIT_DATE \"${date}\"\n")
file(COPY_FILE ${OUT}.new ${OUT} ONLY_IF_DIFFERENT)
file(REMOVE ${OUT}.new)
