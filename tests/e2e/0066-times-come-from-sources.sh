# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

mkdir www app
echo hello > www/file.txt && touch -d '2001-02-03 04:05:06 UTC' www/file.txt
mkdir tree && echo a > tree/a && echo b > tree/b && echo 'FROM scratch
COPY a /a' > tree/Dockerfile
touch -d '1999-01-01 00:00:00 UTC' tree/a tree/Dockerfile && touch -d '2002-02-02 02:02:02 UTC' tree/b tree
tar -czf www/tree.tgz -C tree a b Dockerfile
printf 'FROM scratch\nCOPY <<EOF /x\nEOF\n' > www/plain.dockerfile && touch -d '2003-03-03 03:03:03 UTC' www/plain.dockerfile
git init -q -b main repo && (cd repo && git config user.email a@b && git config user.name a && echo x > x && git add x &&
	GIT_AUTHOR_DATE='2004-04-04T04:04:04Z' GIT_COMMITTER_DATE='2005-05-05T05:05:05Z' git commit -q -m x && git update-server-info)
mv repo/.git www/repo.git && git -C www/repo.git update-server-info
serve_http www
URL=http://127.0.0.1:$HTTP_PORT

created() { # created NAME TIME ARGUMENT...: the time of the image that a build makes
	name=$1 time=$2
	shift 2
	quietly kiln build -t dated "$@" && [ "$(kiln inspect -f '{{.Created}}' dated)" = "$time" ]
	ok "$name" $?
}
stage() { # a Dockerfile whose stage `src` has these lines
	printf 'ARG SOURCE_DATE_EPOCH=src\nFROM scratch AS src\n%b\nFROM scratch\nARG SOURCE_DATE_EPOCH\nCOPY <<EOF /f\n${SOURCE_DATE_EPOCH}\nEOF\n' "$1" > app/Dockerfile
}
stage "ADD $URL/file.txt /"
created "a stage that ADDs a file gives its Last-Modified" 2001-02-03T04:05:06Z app
quietly kiln build -o made app
test "$(cat made/f)" = 981173106; ok "which ARG shows" $?
stage "ARG WHERE=tree\nADD $URL/\$WHERE.tgz /"
created "of an archive the time of its newest member" 2002-02-02T02:02:02Z app
created "as the arguments say" 2001-02-03T04:05:06Z --build-arg WHERE=../file.txt?x= app
stage "ADD $URL/repo.git#main /"
created "of a repository the time of the commit" 2005-05-05T05:05:05Z app
created "a number on the command line wins" 2020-09-13T12:26:40Z --build-arg SOURCE_DATE_EPOCH=1600000000 app

printf 'FROM scratch\nCOPY <<EOF /f\nEOF\n' > app/Dockerfile
created "a named context that is a URL has its time" 2001-02-03T04:05:06Z --build-arg SOURCE_DATE_EPOCH=src --build-context src=$URL/file.txt app
created "or that of its commit" 2005-05-05T05:05:05Z --build-arg SOURCE_DATE_EPOCH=src --build-context src=$URL/repo.git app
created "a context by URL that of its archive" 2002-02-02T02:02:02Z --build-arg SOURCE_DATE_EPOCH=context $URL/tree.tgz
created "a Dockerfile by URL its own" 2003-03-03T03:03:03Z --build-arg SOURCE_DATE_EPOCH=context $URL/plain.dockerfile
created "--reproducible takes what the context has" 2002-02-02T02:02:02Z --reproducible $URL/tree.tgz
created "or else the epoch" 1970-01-01T00:00:00Z --reproducible app
printf 'ARG SOURCE_DATE_EPOCH=context\nFROM scratch\nCOPY a /a\n' > tree/Dockerfile
tar -czf www/tree.tgz -C tree a b Dockerfile
created "the Dockerfile may ask for the context's time itself" "$(date -u -r tree/Dockerfile +%FT%TZ)" $URL/tree.tgz

refused() { # refused NAME LINES REGEX
	stage "$2"
	fails "$1" 1 kiln build app
	prints "... and says why" "$3"
}
refused "a stage with more than an ADD" "ADD $URL/file.txt /\nLABEL a=b" 'source-only requirements: unsupported LABEL'
refused "two ADDs" "ADD $URL/file.txt /\nADD $URL/file.txt /2" 'exactly one ADD'
refused "two sources" "ADD $URL/file.txt $URL/tree.tgz /" 'more than one source'
refused "a local file" "ADD Dockerfile /" 'needs a Git or HTTP'
refused "a file that is not there" "ADD $URL/none /" '404'
mkdir plain && printf 'FROM busybox\nONBUILD RUN true\n' > plain/Dockerfile
created "what adds nothing to its base keeps the base's time" 2024-01-01T00:00:00Z --build-arg SOURCE_DATE_EPOCH=1600000000 plain
finish
