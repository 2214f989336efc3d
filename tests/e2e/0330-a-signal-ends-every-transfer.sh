# SPDX-License-Identifier: Apache-2.0
# Servers that accept and say nothing, or a byte now and then: one signal ends every command that talks to
# them. What they saw after it is counted.
. "$(dirname "$0")/lib.sh"

# as `stalled_server.py` tells
python3 "$(dirname "$0")/../fixtures/stalled_server.py" stalled.log &
SERVER=$!
at_end 'kill $SERVER 2> /dev/null'
until [ -s stalled.log ]; do
	kill -0 $SERVER || exit 1
	sleep 0.05
done
read -r silent http git < stalled.log
SILENT=127.0.0.1:$silent HTTP=127.0.0.1:$http GIT=127.0.0.1:$git
export AWS_ACCESS_KEY_ID=id AWS_SECRET_ACCESS_KEY=secret

# What may be under way beside the request that is waited for.
BESIDE=3

# ends NAME SIGNAL LOG-REGEX COMMAND...: it is sent the signal when the log has such a line more, and ends with
# 130; afterwards nothing is asked beyond what was under way, and nothing is left.
ends() {
	name=$1 signal=$2 regex=$3 seen=$(wc -l < stalled.log)
	shift 3
	env --default-signal=INT "$@" > out 2> err &
	pid=$!
	until tail -n +$((seen + 1)) stalled.log | grep -Eq "$regex"; do
		kill -0 $pid 2> /dev/null || break
		sleep 0.02
	done
	seen=$(wc -l < stalled.log)
	kill -$signal $pid
	wait $pid
	status=$?
	[ $status -eq 130 ] && [ "$(wc -l < stalled.log)" -le $((seen + BESIDE)) ] && ! [ -s out ] && grep -q 'ERROR: .*canceled' err &&
		[ -z "$(ls -A "$KILN_ROOT/tmp" 2> /dev/null)" ] && ! pgrep -f "$WORK/store" > /dev/null &&
		! ls "$KILN_ROOT/lock" 2> /dev/null | grep -q '^lease\.'
	result=$?
	[ $result -eq 0 ] || echo "# status $status; seen after: $(tail -n +$((seen + 1)) stalled.log)"
	ok "$name" $result
}

dockerfile() { # dockerfile FOLDER LINE...
	mkdir -p "$1"
	printf '%s\n' "${@:2}" > "$1/Dockerfile"
}
dockerfile plain 'FROM scratch' 'COPY Dockerfile /'
check "an image to push" kiln build -q -t image plain

# --- Registries

for how in "$SILENT silent silent" "$HTTP trickle trickle" "$HTTP blob blobs" "$HTTP token silent" \
	"$HTTP moved silent"; do
	read -r host path stall <<< "$how"
	ends "SIGINT ends a pull ($path)" INT "stall .*$stall" "$KILN" pull "$host/$path/image:1"
	dockerfile from "FROM $host/$path/image:1" 'COPY Dockerfile /'
	ends "and SIGTERM a build FROM it" TERM "stall .*$stall" "$KILN" build from
done
dockerfile new 'FROM scratch' "COPY Dockerfile /new"
ends "a cache from a registry" INT "stall" \
	"$KILN" build --cache-from "type=registry,ref=$SILENT/cache:1" new
ends "imagetools inspect" INT "stall" "$KILN" buildx imagetools inspect "$SILENT/image:1"
ends "imagetools create" TERM "stall" "$KILN" buildx imagetools create -t "$SILENT/image:2" "$HTTP/trickle/image:1"
printf '{"registries": {"docker.io": {"mirrors": ["http://%s"]}}}\n' "$SILENT" > mirror.json
ends "a pull by a mirror" INT "stall silent" env KILN_CONFIG="$PWD/mirror.json" "$KILN" pull busybox
for how in "$SILENT silent silent" "$HTTP token silent" "$HTTP upload uploads" "$HTTP commit digest" \
	"$HTTP manifest manifests"; do
	read -r host path stall <<< "$how"
	kiln tag image "$host/$path/image:1"
	ends "SIGINT ends a push ($path)" INT "stall .*$stall" "$KILN" push "$host/$path/image:1"
	ends "and SIGTERM a cache's export" TERM "stall .*$stall" \
		"$KILN" build --cache-to "type=registry,ref=$host/$path/cache:1" plain
done
ends "a build that pushes" INT "stall" "$KILN" build -o "type=registry,name=$SILENT/image:3" plain

# --- S3

for how in "$SILENT silent" "$HTTP trickle"; do
	read -r host path <<< "$how"
	s3=type=s3,endpoint_url=http://$host,use_path_style=true,bucket=$path,region=us-east-1
	ends "SIGINT ends a look into S3 ($path)" INT 'stall' "$KILN" build --cache-from $s3,name=a new
	ends "and SIGTERM an export to it" TERM 'stall' "$KILN" build --cache-to $s3,name=a plain
done

# --- The web, git

for how in "$SILENT silent silent" "$HTTP trickle trickle" "$HTTP moved silent"; do
	read -r host path stall <<< "$how"
	dockerfile add 'FROM scratch' "ADD http://$host/$path/file /"
	ends "SIGINT ends ADD of a URL ($path)" INT "stall .*$stall" "$KILN" build add
	ends "and SIGTERM a git context" TERM "stall .*$stall" "$KILN" build "http://$host/$path/repo.git"
done
ends "a context from the web" INT "stall" "$KILN" build "http://$HTTP/trickle/context.tar"
for url in git://$SILENT/repo git://$GIT/repo ssh://git@$SILENT/repo; do
	case $url in ssh:*) command -v ssh > /dev/null || continue ;; esac
	ends "SIGINT ends ${url%%:*}://" INT "stall" "$KILN" build "$url"
	dockerfile add 'FROM scratch' "ADD $url /"
	ends "and SIGTERM an ADD of it" TERM "stall" "$KILN" build add
done
! pgrep -f "git-upload-pack '/repo'" > /dev/null; ok "no ssh is left" $?

# --- A name server that is silent, on a machine of its own. The resolver asks it for one record at a
# time, and again after five seconds.

if unshare -nm true 2> /dev/null; then
	printf 'nameserver 127.0.0.1\noptions single-request\n' > resolv.conf
	printf 'hosts: files dns\n' > nsswitch.conf
	: > apart.log
	unshare -nm sh -c 'ip link set lo up && mount --bind resolv.conf "$(realpath /etc/resolv.conf)" &&
		mount --bind nsswitch.conf "$(realpath /etc/nsswitch.conf)" && exec python3 "$@"' - \
		"$(dirname "$0")/../fixtures/stalled_server.py" stalled.log dns &
	APART=$!
	at_end 'kill $APART 2> /dev/null'
	until grep -q '^dns' stalled.log; do
		kill -0 $APART || break
		sleep 0.02
	done
	unresolved() { # unresolved NAME SIGNAL COMMAND...
		name=$1 signal=$2
		shift 2
		ends "$name" "$signal" "stall dns" nsenter -t $APART -n -m --wd="$PWD" "$@"
	}
	printf '{"registries": {"docker.io": {"mirrors": ["https://silent.example"]}}}\n' > mirror.json

	unresolved "SIGINT ends a look-up for a pull" INT "$KILN" pull silent.example/image:1
	unresolved "for a mirror" TERM env KILN_CONFIG="$PWD/mirror.json" "$KILN" pull busybox
	kiln tag image silent.example/image:1
	unresolved "for a push" INT "$KILN" push silent.example/image:1
	unresolved "for imagetools" TERM "$KILN" buildx imagetools inspect silent.example/image:1
	unresolved "for a cache" INT "$KILN" build --cache-from type=registry,ref=silent.example/cache new
	unresolved "for a cache's export" TERM "$KILN" build --cache-to type=registry,ref=silent.example/cache plain
	s3=type=s3,endpoint_url=http://silent.example,use_path_style=true,bucket=b,region=us-east-1,name=a
	unresolved "for S3" INT "$KILN" build --cache-from $s3 new
	unresolved "for an export to S3" TERM "$KILN" build --cache-to $s3 plain
	BESIDE=0
	dockerfile from 'FROM silent.example/from:1' 'COPY Dockerfile /'
	unresolved "for FROM" INT "$KILN" build from
	dockerfile add 'FROM scratch' 'ADD http://silent.example/file /'
	unresolved "for ADD" TERM "$KILN" build add
	for url in git://silent.example/repo https://silent.example/repo.git ssh://git@silent.example/repo; do
		case $url in ssh:*) command -v ssh > /dev/null || continue ;; esac
		unresolved "for ${url%%:*}://" INT "$KILN" build "$url"
	done
	! pgrep -f "git-upload-pack '/repo'" > /dev/null; ok "no ssh is left" $?
else
	skip "a name server that is silent" "no namespaces"
fi
check "the store is whole" kiln store verify

finish
