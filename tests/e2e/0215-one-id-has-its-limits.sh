# SPDX-License-Identifier: Apache-2.0
. "$(dirname "$0")/lib.sh"

# What docs/security.md says of steps without subordinate ids.
need_plain_user "what a step without subordinate ids sees and cannot do"
mkdir ctx
cat > ctx/Dockerfile <<'END_FILE'
FROM python:3.8-slim-buster
RUN useradd -m -u 1500 ada && touch /hers && chown ada:ada /hers && ln -s x /link && chown -h ada /link
RUN echo "stat $(stat -c %u:%g /hers)"; echo "found $(find / -xdev -user ada | wc -l)"; \
    cp -p /hers /copied-p; cp -a /hers /copied-a; cp -a /link /copied-link; chown --reference=/hers /copied-ref 2> /dev/null; \
    touch /referred && chown --reference=/hers /referred; tar -cf /archive.tar /hers 2> /dev/null; echo "archived $(tar -tvf /archive.tar --numeric-owner | cut -d' ' -f2)"
RUN su ada -c 'echo "id $(id -u):$(id -g)"; touch ~/made; chown 1 ~/made 2> /dev/null || echo "chown denied"' && sed -i s/x/y/ /hers
RUN mknod /device b 8 0 2> /dev/null || echo "mknod denied"; chown ada /proc/self/fd/1 2> /dev/null || echo "magic link denied"; \
    python3 -c 'import os; os.setxattr("/hers", "system.posix_acl_access", bytes.fromhex("0200000001000600ffffffff02000600dc05000004000400ffffffff10000600ffffffff20000400ffffffff"))' 2> /dev/null || echo "acl denied"
USER ada
RUN echo "user $(id -u)"; touch /etc/not-hers && echo "may write everywhere"; mkdir /tmp/d && cp -a /tmp/d /tmp/e && chown 5 /tmp/e && chgrp 1500 /tmp/e
RUN python3 -c 'import os; os.setresuid(0, 0, 0); os.system("touch /tmp/given && chown 5:6 /tmp/given")'
END_FILE
check "such a step works" plain build --progress plain -t limits ctx
prints "it sees root as the owner of everything" ' stat 0:0$'
prints "also where it looks for others" ' found 0$'
prints "and archives it so" ' archived 0/0$'
prints "a process that becomes another user has his ids" ' id 1500:1500$'
prints "and cannot give away files" ' chown denied$'
prints "there are no device nodes" ' mknod denied$'
prints "no entries for others in access lists" ' acl denied$'
prints "and links to open files are not followed by chown" ' magic link denied$'
prints "the user of a step is 0 in it" ' user 0$'
prints "and not held back by modes" ' may write everywhere$'
plain save limits -o limits.tar && layer_owners limits.tar > "$WORK/out"
prints "copies with xattrs keep the owner" ' 1500/1500 *copied-a$'
prints "copies without do not" ' 0/0 *copied-p$'
prints "nor do copies of links" ' 0/0 *copied-link -> x$'
prints "nor what takes it from a reference" ' 0/0 *referred$'
prints "a file rewritten in its place keeps it" ' 1500/1500 *hers$'
prints "what another user makes is the step's user's" ' 0/0 *home/ada/made$'
prints "and what the step's user makes is his" ' 1500/1500 *tmp/d/$'
prints "whatever he tries" ' 1500/1500 *tmp/e/$'
prints "unless a process asks for root first, as sudo does" ' 5/6 *tmp/given$'
cat > ctx/Dockerfile <<'END_FILE'
FROM busybox
RUN touch /f && chown 5:6 /f
RUN chgrp 7 /f
END_FILE
check "busybox changes one id" plain build -t one ctx
plain save one -o one.tar && layer_owners one.tar | tail -n 1 > "$WORK/out"
prints "and says the other as it looks" ' 0/7 *f$'
check "containers run as other users, too" plain run --rm --user ada limits sh -c 'touch /tmp/x && chown 5 /tmp/x && id -u'

finish
