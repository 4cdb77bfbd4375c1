# syntax=docker/dockerfile:1.7
# Two images: `production`, for the API, the worker and the migration, and `sandbox`, which adds the
# providers' sandbox for the compose profile of that name. Tests and test tools are in neither.

ARG PYTHON_DIGEST=""
FROM python:3.11.14-slim-bookworm${PYTHON_DIGEST} AS build
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_PYTHON_DOWNLOADS=never \
    UV_PROJECT_ENVIRONMENT=/app/.venv
WORKDIR /app
# One uv for everybody, so that one version writes and reads the lock file.
COPY deploy/uv.txt deploy/
RUN python -m venv /uv \
    && /uv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --requirement deploy/uv.txt
COPY pyproject.toml uv.lock ./
RUN /uv/bin/uv sync --locked --no-group embedded --no-group dev --python /usr/local/bin/python


FROM python:3.11.14-slim-bookworm${PYTHON_DIGEST} AS runtime
ENV PATH=/app/.venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# A number, so that an orchestrator can see that it is not root; the folder is a volume's owner.
RUN groupadd --gid 10001 paysaga \
    && useradd --uid 10001 --gid paysaga --no-create-home --shell /usr/sbin/nologin paysaga \
    && install --directory --owner=10001 --group=10001 /accounts
WORKDIR /app
COPY --from=build /app/.venv /app/.venv
COPY settings.py worker.py ./
COPY domain domain
COPY providers providers
COPY storage storage
COPY webhooks webhooks
COPY activities activities
COPY workflows workflows
COPY crypto crypto
COPY engine engine
COPY api api
COPY reconciliation reconciliation
COPY cli cli
COPY deploy/__init__.py deploy/migrate.py deploy/probe.py deploy/visibility_indexes.py deploy/
RUN python -m compileall -q .
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-m", "deploy.probe", "http://127.0.0.1:8000/healthz"]
CMD ["python", "-m", "uvicorn", "--factory", "api.app:create_app", "--http=api.http.connections:PromptProtocol", "--host=0.0.0.0", "--port=8000", "--no-server-header", "--no-access-log", "--no-proxy-headers"]


FROM runtime AS sandbox
USER root
COPY sandbox sandbox
COPY deploy/sandbox_accounts.py deploy/
RUN python -m compileall -q sandbox deploy
USER 10001:10001


# The last stage is what a build makes that names no target.
FROM runtime AS production
