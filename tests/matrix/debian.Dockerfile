# What builds of applications are made of: package managers, users, capabilities.
FROM python:3.8-slim-buster AS start
RUN --mount=target=/debs,source=debs ls /debs/*.deb > /dev/null && mkdir -p /srv/app/old && echo 1 > /srv/app/old/f
FROM start AS steps
RUN --mount=target=/debs,source=debs apt-get install -q -y --no-install-recommends /debs/*.deb && rm -rf /var/lib/apt/lists/* /var/cache/apt/*
RUN useradd -m -s /bin/bash app && chown -R app:app /srv/app
RUN setcap cap_net_bind_service=+ep $(readlink -f /usr/bin/python3)
COPY package /src/package
RUN pip install --no-build-isolation --no-deps --no-index --root-user-action=ignore /src/package
USER app
WORKDIR /srv/app
COPY --chown=app:app node/ ./
RUN npm ci --offline --no-audit --no-fund
RUN rm -rf node_modules && npm ci --offline --no-audit --no-fund
RUN rm -rf old && mkdir old && mv node_modules away && mv away node_modules
USER root
RUN userdel app && useradd -M -d /home/app app
RUN dpkg -P libcap2-bin && rm -rf /home/app/.npm
RUN python3 -m compileall -q /usr/local/lib/python3*/dist-packages && rm -rf /root/.cache /tmp/*
RUN chmod -R go-w /usr/local && chown -R root:root /usr/local
