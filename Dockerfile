# syntax=docker/dockerfile:1
# Two images from one file: `--target headway` (API, workers, Beat) and `--target nginx`. TORCH_VARIANT names the wheels
# of torch that the image carries: cpu, or a CUDA version as cu130, whose libraries come with it.
ARG PYTHON=3.11
ARG NODE=24
ARG NGINX=1.28

FROM node:${NODE}-slim AS dashboard
WORKDIR /build
COPY frontend/package.json frontend/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY frontend/ ./
RUN npm run build

FROM python:${PYTHON}-slim AS packages
ARG TORCH_VARIANT=cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH
WORKDIR /srv/headway
# The exact versions of requirements.txt, but only what runs: the tools of development stay out.
COPY requirements.txt pyproject.toml ./
RUN sed -E 's/\[[^]]*\]//' requirements.txt > /tmp/constraints.txt \
    && mkdir -p backend/headway \
    && pip install --constraint /tmp/constraints.txt --index-url "https://download.pytorch.org/whl/${TORCH_VARIANT}" \
        --extra-index-url https://pypi.org/simple torch \
    && pip install --constraint /tmp/constraints.txt --editable '.[studio,demo]'

FROM python:${PYTHON}-slim AS headway
# an account with a number of its own, so that volumes keep their owner
RUN useradd --uid 10001 --user-group --create-home headway \
    && install --directory --owner headway --group headway --mode 0700 /var/lib/headway
COPY --from=packages /opt/venv /opt/venv
WORKDIR /srv/headway
COPY alembic.ini pyproject.toml ./
COPY backend/ backend/
COPY --from=packages /srv/headway/backend/headway.egg-info backend/headway.egg-info
COPY --from=dashboard /build/dist frontend/dist
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HEADWAY_DATA_DIR=/var/lib/headway
RUN python -m compileall -q backend/headway
USER 10001
VOLUME /var/lib/headway
EXPOSE 8400
CMD ["headway", "api"]

FROM nginx:${NGINX}-alpine AS nginx
COPY nginx/nginx.conf nginx/start.sh /etc/headway/
COPY --from=dashboard /build/dist /usr/share/headway
ENV NGINX_DASHBOARD=/usr/share/headway
# the image's own account `nginx`
USER 101
EXPOSE 8080
# at once: the base image's SIGQUIT waits for sockets, which last
STOPSIGNAL SIGTERM
CMD ["sh", "/etc/headway/start.sh"]
