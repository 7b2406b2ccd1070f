# The gateway alone: Postgres and NATS are elsewhere (DATABASE_URL, NATS_URL).
FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /app
# Packages first: they change less often than the source.
COPY package.json package-lock.json ./
RUN npm install --omit=dev --no-audit --no-fund && npm cache clean --force
COPY src ./src
# Nothing in here is written to.
USER node
ENV HOST=0.0.0.0 PORT=8080
EXPOSE 8080
# Node itself, no shell and no npm in front of it: SIGTERM has to reach it.
CMD ["node", "--disable-warning=ExperimentalWarning", "--max-semi-space-size=8", "--no-parallel-scavenge", "src/main.ts"]
