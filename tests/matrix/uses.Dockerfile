FROM steps AS step
RUN --mount=target=/dev/shm/list,source=list,from=tools cd / && sh /dev/shm/list > /listing
FROM scratch AS step-listing
COPY --from=step /listing /
FROM busybox AS copy
COPY --from=steps / /all/
RUN --mount=target=/dev/shm/list,source=list,from=tools cd /all && sh /dev/shm/list > /listing
FROM scratch AS copy-listing
COPY --from=copy /listing /
