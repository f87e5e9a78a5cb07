# At the top level because that is where tools look for it.

# The line of Node.js that the tests run on. To pin a build, give the tag with its digest.
ARG NODE=node:24-bookworm-slim

FROM ${NODE} AS build
WORKDIR /build
COPY package.json package-lock.json ./
RUN ["npm", "ci", "--no-audit", "--no-fund"]
COPY tsconfig.json ./
COPY gen ./gen
COPY src ./src
RUN ["npm", "run", "build"]

# No development dependencies, one of which is the embedded PostgreSQL: DATABASE_URL is required.
FROM ${NODE} AS dependencies
WORKDIR /build
COPY package.json package-lock.json ./
RUN ["npm", "ci", "--omit=dev", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund"]

FROM ${NODE}
WORKDIR /sessiond
COPY --from=dependencies /build/node_modules ./node_modules
COPY --from=build /build/dist ./dist
COPY package.json LICENSE ./
# Every address, which is refused without TLS unless SESSIOND_ALLOW_PLAINTEXT=on says that something in front encrypts.
ENV NODE_ENV=production \
    SESSIOND_LISTEN=:8080
# By number, so that an orchestrator can tell that it is not root. Nothing is written: the root may be read-only.
USER 1000:1000
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["node", "dist/src/cli/healthcheck.js"]
# node itself is the first process, and acts on SIGTERM.
ENTRYPOINT ["node", "dist/src/cli/main.js"]
CMD ["serve"]
