# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

fixtures=$(cd "$(dirname "$0")/../fixtures" && pwd)
if ! serve_s3 cache; then
	ok "an S3 server starts" 1
	finish
	exit 1
fi
repository=bad-cache-$$/app
mkdir app && cd app || exit 1
cat > Dockerfile <<'EOF'
FROM busybox
RUN seq 200000 > /numbers
RUN --mount=type=cache,id=tools,target=/c [ -e /c/tool ] || echo tool > /c/tool; cat /c/tool > /tool
RUN sha256sum /numbers /tool > /sum
EOF
check "a cache goes to a registry" kiln build -t app --cache-to "type=registry,ref=$REGISTRY/$repository,mode=max,mounts=tools" .
check "and to S3" kiln build --cache-to "type=s3,bucket=cache,endpoint_url=$S3_URL,mode=max,mounts=tools" .
want=$(kiln run app cat /sum)
test -n "$want"; ok "of an image that knows what is in it" $?

proxy() { # UPSTREAM FAULT: sets PORT and PROXY
	: > "$WORK/port" # that of the one before is not it
	python3 "$fixtures/bad_registry.py" "$1" "$2" >> "$WORK/port" &
	PROXY=$!
	PORT=
	for _ in $(seq 100); do
		PORT=$(head -n 1 "$WORK/port")
		[ -z "$PORT" ] || return 0
		sleep 0.1
	done
	return 1
}
from() { # BACKEND: of the proxy
	case $1 in
	registry) echo "type=registry,ref=127.0.0.1:$PORT/$repository" ;;
	s3) echo "type=s3,bucket=cache,endpoint_url=http://127.0.0.1:$PORT" ;;
	esac
}
upstream() {
	case $1 in
	registry) echo "$REGISTRY" ;;
	s3) echo "${S3_URL#http://}" ;;
	esac
}

number=0
for backend in registry s3; do
	for fault in flip short cut error html denied gone flip-gzip short-gzip cut-gzip gone-gzip slow; do
		number=$((number + 1))
		KILN_ROOT=$WORK/store-$number
		proxy "$(upstream $backend)" $fault || echo "not ok - the proxy starts"
		# With a step that has to run, so that its inputs and its cache mount have to come.
		quietly kiln build -t app --progress plain --build-arg AGAIN=$number --cache-from "$(from $backend)" \
			-f - . <<-EOF
			$(cat Dockerfile)
			RUN --mount=type=cache,id=tools,target=/c test $number = $number && sha256sum -c /sum
		EOF
		status=$?
		kill $PROXY
		case $fault in
		slow) [ "$(grep -c 'CACHED$' "$WORK/err")" = 3 ] ;;
		*) grep -q WARN "$WORK/err" ;;
		esac
		ok "$backend that is spoiled ($fault) is noticed" $?
		[ $status = 0 ] && [ "$(kiln run app cat /sum 2>&1)" = "$want" ] &&
			kiln store verify > "$WORK/out" 2> "$WORK/err"
		ok "and makes no wrong image" $?
		rm -rf "$KILN_ROOT"
	done
done

KILN_ROOT=$WORK/store
# What fails halfway leaves what was there.
for backend in registry s3; do
	proxy "$(upstream $backend)" slow
	case $backend in
	registry) to=type=registry,ref=127.0.0.1:$PORT/$repository good=type=registry,ref=$REGISTRY/$repository ;;
	s3) to=type=s3,bucket=cache,endpoint_url=http://127.0.0.1:$PORT good=type=s3,bucket=cache,endpoint_url=$S3_URL ;;
	esac
	fails "$backend that takes nothing fails an export" 1 kiln build --build-arg NEW=1 --cache-to "$to,mode=max" -f - . <<-EOF
		FROM busybox
		RUN echo something new for $backend > /new
	EOF
	kill $PROXY
	KILN_ROOT=$WORK/store-after-$backend
	check "and the cache that was there" kiln build --progress plain --cache-from "$good" .
	test "$(grep -c 'CACHED$' "$WORK/err")" = 3; ok "is whole" $?
	KILN_ROOT=$WORK/store
done
finish
