# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# Instructions and mounts without their options, against what BuildKit made of the same Dockerfile.
ROOT=$(cd "$(dirname "$0")/../.." && pwd) FILES=$ROOT/tests/fixtures/defaults
make_context() {
	mkdir -p ctx/dir/sub ctx/.hid && echo f > ctx/f && echo d > ctx/dir/sub/deep && echo h > ctx/.hid/h && ln -s f ctx/link &&
		echo a > af && tar -cf ctx/a.tar ./af && chmod 640 ctx/f && chmod 2750 ctx/dir && chmod 701 ctx/dir/sub &&
		chmod 644 ctx/dir/sub/deep && find ctx -exec touch -h -d @1000000000 {} + && printf 'secret\n' > secret
}
check "a context is made" make_context
check "nothing needs an option" kiln build --no-cache --progress=plain --secret id=s,src=secret -f "$FILES/Dockerfile" -t defaults ctx
# That a directory copied to has the time of its source and not that of the build is in docs/compatibility.md.
python3 "$FILES/facts.py" err | sed -E 's,^(/(copy|add)/dir: .*) 1000000000$,\1 now,' > got
diff "$FILES/buildkit.txt" got > out
ok "and every step finds what it finds with BuildKit" $?
quietly kiln build -q --secret id=s,src=secret -f "$FILES/Dockerfile" -o type=oci,dest=image.tar ctx
mkdir image && tar -xf image.tar -C image && grep -ho '"config":{.*}' image/blobs/sha256/* > out 2> /dev/null
prints "the configuration has no more than was written" '"ExposedPorts":\{"80/tcp":\{\},"81/tcp":\{\},"82/tcp":\{\}\}.*"Cmd":\["/bin/sh","-c","echo"\],("ArgsEscaped":true,)?.*"Healthcheck":\{"Test":\["CMD-SHELL","true"\]\}'

# The parser's own tables: an option that comes to them needs a row.
known() {
	sed -nE 's/.*FLAG_STRING, &f->platform.*/FROM platform/p' "$ROOT/frontend/dockerfile/df_instruction.c"
	sed -n '/copy_flags\[\] = {/,/};/p' "$ROOT/frontend/dockerfile/df_instruction_copy.c" | grep -o '{"[a-z-]*' | sed 's/{"/COPY /'
	sed -n '/add_flags\[\] = {/,/};/p' "$ROOT/frontend/dockerfile/df_instruction_copy.c" | grep -o '{"[a-z-]*' | sed 's/{"/ADD /'
	sed -n '/flags\[\] = {/,/};/p' "$ROOT/frontend/dockerfile/df_instruction_run.c" | grep -o '{"[a-z-]*' | sed 's/{"/RUN /'
	sed -n '/names\[5\] = {/,/};/p' "$ROOT/frontend/dockerfile/df_instruction_health.c" | grep -o '"[a-z-]*"' | sed 's/"//g; s/^/HEALTHCHECK /'
	sed -n '/^} keys\[\] = {/,/^};/p' "$ROOT/frontend/dockerfile/df_mount.c" | grep -o '{"[a-z]*' | sed 's/{"/mount /'
}
rows() {
	grep -v '^#' "$FILES/options" | awk -F ' [|] ' '{ split($1, w, " "); sub(/^[^ ]* /, "", $1); n = split($1, o, ", "); for (i = 1; i <= n; i++) print w[1], o[i] }'
}
known | LC_ALL=C sort > known
rows | LC_ALL=C sort > rows
diff known rows > out && test "$(wc -l < known)" -gt 40
ok "every option that the parser knows has a row" $?
# seen: where each row says that its default is seen, it can be.
seen() {
	grep -v '^#' "$FILES/options" | sed 's/.* | //' | while read -r where; do
		case $where in
		config) ;;
		text:*) grep -qF -e "${where#text: }" "$FILES/buildkit.txt" || echo "$where" ;;
		fact:*) grep -qF -e "fact \"${where#fact: }\"" "$ROOT"/tests/e2e/0353-*.sh || echo "$where" ;;
		*) echo "$where" ;;
		esac
	done
}
seen > out
test ! -s out
ok "and a place where its default is seen" $?
finish
