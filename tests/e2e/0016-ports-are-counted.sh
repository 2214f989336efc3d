# SPDX-License-Identifier: Apache-2.0
here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

# Few bytes that stand for millions of ports.
mkdir app
{
	echo 'FROM scratch'
	echo 'EXPOSE 1-65535 1-65535/udp 1-65535/sctp'
} > app/Dockerfile
check "every port there is can be exposed" kiln build -t all app
for _ in $(seq 40); do
	echo 'EXPOSE 1-65535 1-65534/udp'
done >> app/Dockerfile
fails "but not again and again" 1 kiln build app
prints "... which is told" 'the Dockerfile exposes more than 262144 ports'
prints "... with the line" '^Dockerfile:3'
finish
