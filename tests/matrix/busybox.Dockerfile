# Steps that leave what an added file is not: entries that change nothing, directories made anew,
# whiteouts, links, odd types, modes and times.
FROM busybox AS start
RUN mkdir -p /d/sub /e /old && echo one > /d/f && echo two > /d/sub/g && echo three > /e/h && echo four > /old/f && ln /old/f /old/linked
FROM start AS steps
RUN t=$(mktemp) && rm $t && echo x > /new
RUN touch /etc /d
RUN chmod 644 /etc/passwd && chmod 755 /d
RUN cp -a /etc/passwd /etc/passwd- && cp /etc/passwd /etc/passwd+ && echo someone:x:1234:1234::/home/someone:/bin/sh >> /etc/passwd+ && mv /etc/passwd+ /etc/passwd && touch /etc/.pwd.lock && rm /etc/.pwd.lock && mkdir -p /home/someone && chown 1234:1234 /home/someone
RUN rm -r /d && mkdir /d && echo anew > /d/n
RUN mv /e /e2 && mv /e2 /e
RUN mv /e/h /e/i && mv /e/i /e/h
RUN cp -a /old /copy && rm -r /old && cp -a /copy /old
RUN ln /old/f /old/second && ln /etc/passwd /passwd-too
RUN chmod 600 /old/linked
RUN rm /e/h
RUN rm -r /e && echo file > /e
RUN rm /e && mkdir -p /e/h
RUN mkdir /tmp/gone && rm -r /tmp/gone
RUN true
RUN mkfifo /fifo -m 640 && ln -s nowhere /dangling && touch -h -d @1 /dangling
RUN touch -d '1971-02-03 04:05:06' /old-time && touch -d '2035-01-01 00:00:00' /d/far
RUN mkdir -m 1777 /sticky && chmod 2750 /copy && chmod 4711 /copy/f && chown 7:8 /copy/linked
RUN printf 'odd' > "/with blank and \"quotes\"" && mkdir -p /$(printf 'l%.0s' $(seq 120))/$(printf 'm%.0s' $(seq 120)) && printf b > /$(printf '\303\266')
RUN sed -i s/1234/1235/ /etc/passwd && sed -i s/1235/1234/ /etc/passwd
RUN rm -r /home/someone && mkdir -p /home/someone/.cache
RUN rm -rf /copy/* && mkdir /copy/sub && rmdir /copy/sub
ADD things.tar /things/
COPY f /d/
COPY f /d/
WORKDIR /d/sub
RUN rm -r /things/dir && mkdir /things/dir
