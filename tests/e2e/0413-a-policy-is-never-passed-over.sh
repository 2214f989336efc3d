# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

mkdir ctx && printf 'FROM scratch\nCOPY f /f\n' > ctx/Dockerfile && echo f > ctx/f && echo '{"rules": []}' > policy.json
fails "a source policy" 1 env EXPERIMENTAL_BUILDKIT_SOURCE_POLICY=policy.json "$KILN" build ctx
prints "is told, with its name" 'EXPERIMENTAL_BUILDKIT_SOURCE_POLICY.*policy.json'
EXPERIMENTAL_BUILDKIT_SOURCE_POLICY='' check "none is none" kiln build ctx
echo 'package docker' > ctx/Dockerfile.rego
fails "a file beside the Dockerfile" 1 kiln build ctx
prints "is told, too" 'ctx/Dockerfile\.rego'
fails "also to check" 1 kiln build --check ctx
tar cf ctx.tar -C ctx .
fails "in an archive" 1 kiln build - < ctx.tar
prints "as well" 'Dockerfile\.rego'
cp ctx/Dockerfile ctx/Other
check "another Dockerfile has another" kiln build -f ctx/Other ctx
rm ctx/Dockerfile.rego && ln -s nowhere ctx/Dockerfile.rego
fails "a link that leads nowhere is one" 1 kiln build ctx
rm ctx/Dockerfile.rego
check "without it the build goes on" kiln build ctx
finish
