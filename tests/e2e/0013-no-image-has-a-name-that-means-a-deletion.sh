# SPDX-License-Identifier: Apache-2.0
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

# A layer's tar has no way to say ".wh.name": whoever reads it takes `name` for deleted.
mkdir -p www ctx/odd && cd ctx || exit 1
echo x > odd/.wh.name
echo x > ../www/.wh.page
tar -cf ../odd.tar odd
cp ../odd.tar .
serve_http ../www
git init -q ../repo && cp -r odd ../repo/ &&
	git -C ../repo add . && git -C ../repo -c user.name=a -c user.email=a@b commit -qm one

refused() { # refused NAME FILE INSTRUCTION
	printf 'FROM busybox\n%s\n' "$3" > Dockerfile
	for output in type=oci,dest=../image.tar ../tree; do
		fails "$1 (-o $output)" 1 kiln build -o "$output" .
		prints "... names the file" "'/$2' cannot be in an image"
		prints "... and the instruction" '>>> '
	done
}
refused "COPY of a folder" odd/.wh.name 'COPY odd /odd'
refused "COPY to such a name" .wh.d 'COPY Dockerfile /.wh.d'
refused "COPY --link" odd/.wh.name 'COPY --link odd /odd'
refused "ADD of an archive" odd/.wh.name 'ADD odd.tar /'
refused "ADD of a URL" .wh.page "ADD http://127.0.0.1:$HTTP_PORT/.wh.page /"
refused "WORKDIR" .wh.dir 'WORKDIR /.wh.dir'
refused "RUN" etc/.wh.passwd 'RUN echo x > /etc/.wh.passwd'
refused "RUN that makes a folder" .wh.d "RUN mkdir /.wh.d"
printf 'FROM busybox\nRUN touch /.wh.gone && rm /.wh.gone\nRUN --mount=type=bind,target=/c test -s /c/odd/.wh.name\n' > Dockerfile
check "one that is gone again, or only mounted, hurts nobody" kiln build -t fine .
printf 'FROM odd\nCOPY Dockerfile /\n' > Dockerfile
fails "a folder as base image" 1 kiln build --build-context odd=odd -o type=oci,dest=../image.tar .
prints "... is seen when it goes out" "'/.wh.name' cannot be in an image"
check "the store is whole" kiln store verify
kill $HTTP_SERVER
finish
