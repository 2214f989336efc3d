# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# Fields of KEY=VALUE options are those of a CSV record: quotes hold commas, "" is a quote.
mkdir context
cat > context/Dockerfile <<'END_FILE'
FROM busybox
RUN --mount=type=secret,id=a --mount=type=secret,id=b cat /run/secrets/a /run/secrets/b
END_FILE
printf 'first\n' > with,comma
printf 'second\n' > 'with"quote'
check "a secret's field may be quoted" kiln build --progress plain \
	--secret "id=a,\"src=$WORK/with,comma\"" --secret "ID=b,\"Source=$WORK/with\"\"quote\"" context
prints "and the comma belongs to the path" '^#[0-9]+ [0-9.]+ first$'
prints "as does the doubled quote" '^#[0-9]+ [0-9.]+ second$'
fails "all of a secret may be one field" 2 kiln build --secret '"id=a,src=/x"' context
prints "which says what is missing" "secret id=a,src=/x: read 'a,src=/x'|needs an id|id=a"
fails "a quote in the middle is refused" 2 kiln build --secret "id=a,src=$WORK/with\"quote" context
prints "where it stands" 'column [0-9]+: bare " in non-quoted-field'
fails "and so is one that is left open" 2 kiln build --secret 'id=a,"src=/x' context
prints "by name" 'extraneous or missing " in quoted-field'
fails "and a field without a value" 2 kiln build --secret id=a, context
prints "which is named" '"" is not KEY=VALUE'

check "an output's path may hold a comma" kiln build --secret "id=a,src=with,\"src=$WORK/with,comma\"" \
	--secret "id=b,\"src=$WORK/with,comma\"" -o 'type=oci,"dest=out,1.tar"' context
check "and is written there" test -s out,1.tar
check "a cache's folder may hold one" kiln build --secret "id=a,\"src=$WORK/with,comma\"" \
	--secret "id=b,\"src=$WORK/with,comma\"" --cache-to 'type=local,"dest=ca,che"' context
check "and is written there, too" test -s ca,che/index.json
check "--call takes quotes" kiln build --call 'targets,"format=json"' context
prints "and does what it says" '"targets": ?\['
fails "a secret of a cache stays out of the message" 2 kiln build \
	--cache-to 'type=s3,bucket=b,secret_access_key=hidden,"region=x' context
grep -q hidden err
[ $? -ne 0 ]
ok "wherever the quote is" $?

finish
