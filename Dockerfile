# Made from image/dist, which `npm run image` fills first: nothing is fetched here.
ARG BASE=node:26-bookworm-slim

FROM ${BASE} AS base
ARG VERSION
ENV NODE_ENV=production
# The parts hardly allocate between requests: one arena of malloc, and a small young generation.
ENV MALLOC_ARENA_MAX=1
LABEL org.opencontainers.image.vendor="Isthmus" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
WORKDIR /
USER 2102:2102
STOPSIGNAL SIGTERM

FROM base AS example
LABEL org.opencontainers.image.title="isthmus-example" \
      org.opencontainers.image.description="The example application of Isthmus"
# Not the sidecar's user: what that one sends is never redirected.
USER 65532:65532
COPY --chown=0:0 image/dist/example/ /example/
ENTRYPOINT ["node", "/example/main.js"]

FROM base AS parts
COPY --chown=0:0 image/dist/tools/ /usr/local/
COPY --chown=0:0 image/dist/isthmus/ /isthmus/
USER 0:0
RUN ldconfig && install -d -o 2102 -g 2102 /isthmus/cache
USER 2102:2102
# What V8 has compiled of each module, for the user that runs them (Node keeps a folder a user): a tenth of a start is compiling. Without settings a part ends as soon
# as it is loaded.
ENV NODE_COMPILE_CACHE=/isthmus/cache
RUN for part in control-plane mirror-controller proxy gateway; do node /isthmus/entrypoint.js "$part" >/dev/null 2>&1 || true; done; \
    test -n "$(ls /isthmus/cache)"

# What starts with every pod is run once, with the flags it will have, and all that V8 has compiled of it by then is kept.
FROM parts AS rehearsed
USER 0:0
COPY image/dist/rehearsal/ /rehearsal/
RUN node --max-semi-space-size=1 --single-threaded-gc --disable-warning=ExperimentalWarning --disable-sigusr1 /rehearsal/main.js /isthmus/entrypoint.js proxy gateway && \
    chmod 0444 /isthmus/*.compiled

FROM parts AS isthmus
LABEL org.opencontainers.image.title="isthmus" \
      org.opencontainers.image.description="All parts of Isthmus; the first argument names the one to run"
COPY --from=rehearsed --chown=0:0 /isthmus/*.compiled /isthmus/
ENTRYPOINT ["/isthmus/start"]
