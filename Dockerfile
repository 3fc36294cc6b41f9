# The image of Tulle for amd64 and arm64, made without emulation: nothing runs on the target's platform.
#
#   docker buildx build --platform linux/amd64,linux/arm64 -t REGISTRY/tulle:TAG --push .
#
# `npm run image` makes the same without a container engine; test/dockerfile.test.ts keeps the two alike.

FROM --platform=$BUILDPLATFORM node:24-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY . .
RUN node packaging/app-tree.mjs /tree

FROM node:24-bookworm-slim AS node

# Debian 12, as the Node.js above was made for: the C and C++ libraries and no shell. Node.js 24 needs no more; from 25 on
# it needs libatomic too.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=node /usr/local/bin/node /usr/bin/node
COPY --from=node /usr/bin/env /usr/bin/env
COPY --from=build /tree/ /
LABEL org.opencontainers.image.title="tulle" org.opencontainers.image.licenses="Apache-2.0"
USER 65532:65532
WORKDIR /
ENTRYPOINT ["/usr/bin/node", "/app/bin/tulle"]
