# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# What apt, useradd and pip leave behind is what caches are for. The example goes through a registry into an empty store.
example=$(cd "$(dirname "$0")/../../examples/packages" && pwd)
if is_sanitized; then
	skip "apt's and pip's packages are found in an empty store" "tried without the sanitizer; no code of kiln's is in it that other tests lack"
elif ! timeout 60 pip download -q --no-deps -d pip six > /dev/null 2>&1; then
	skip "apt's and pip's packages are found in an empty store" "pip of this machine reaches no package index"
elif ! timeout 60 apt-get -q download tini > /dev/null 2>&1; then
	skip "apt's and pip's packages are found in an empty store" "apt of this machine reaches no archive"
else
	export BASE=python:3.8-slim-buster PORT=$((${REGISTRY##*:} + 21000)) WEB_PORT=$((20000 + $$ % 10000))
	check "the example with packages of apt and pip runs" "$example/two-stores"
	prints "nothing is found in the first store" '^a first store: +0 of 6 steps found$'
	prints "everything is found in an empty one" '^an empty one after: +6 of 6 steps found$'
	prints "and the page is served from there" '^its page: +Hello from app!$'
fi
finish
