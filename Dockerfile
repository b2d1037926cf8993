# The container images of Ganvas. See docs/container.md.
#   docker build --tag ganvas:cpu --target cpu .              the service for CPUs
#   docker build --tag ganvas:gpu .                           the service for NVIDIA GPUs; the host only needs the driver
#   docker build --tag ganvas:training --target training .    python -m training
# `buildah build --format docker` takes the same arguments.

ARG BASE=python:3.11.15-slim-bookworm

# Packages depend only on these files, so a change of code does not install them again. The package `ganvas` that pip installs
# here is empty. PYTHONPATH puts the real one, in /app, before it.
FROM ${BASE} AS packages
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /packages
RUN python -m venv --without-pip /venv
COPY pyproject.toml constraints.txt constraints-gpu.txt LICENSE deploy/image/install-packages ./
RUN mkdir ganvas && touch README.md ganvas/__init__.py

FROM packages AS packages-cpu
RUN ./install-packages constraints.txt service

FROM packages AS packages-gpu
RUN ./install-packages constraints-gpu.txt gpu

# The default torch contains CUDA. For one without CUDA: --build-arg PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
FROM packages AS packages-training
ARG PIP_EXTRA_INDEX_URL=""
RUN pip --python /venv/bin/python install --constraint constraints.txt ".[training]"

# The code is compiled here because the root file system is read-only at run time. pip has already compiled the packages.
FROM ${BASE} AS code
WORKDIR /app
COPY LICENSE ./
COPY ganvas ganvas
COPY service service
COPY exported/*.onnx exported/
RUN python -m compileall -q --invalidation-mode unchecked-hash .

FROM ${BASE} AS code-training
WORKDIR /app
COPY LICENSE ./
COPY ganvas ganvas
COPY training training
RUN python -m compileall -q --invalidation-mode unchecked-hash .

# The common part of all images. Processes write only to /tmp, and training also to its volumes. VERSION and REVISION are build
# arguments (`make image` sets them). REVISION comes last in each image, because every commit rebuilds the layers after it.
# `RUN true` is for buildah 1.28: its cache only notices a changed ARG at the next RUN.
FROM ${BASE} AS runtime
ARG VERSION=unknown
LABEL org.opencontainers.image.title="Ganvas" \
      org.opencontainers.image.description="Images from GANs and style networks over HTTP" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
ENV PATH=/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    BENTOML_HOME=/tmp/bentoml \
    BENTOML_DO_NOT_TRACK=True
RUN mkdir /app \
    && groupadd --gid 10001 ganvas \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin ganvas
WORKDIR /app
USER 10001:10001

FROM runtime AS training
COPY --from=packages-training /venv /venv
COPY --from=code-training /app /app
ENTRYPOINT ["python", "-m", "training"]
CMD ["--help"]
ARG REVISION=unknown
RUN true
LABEL org.opencontainers.image.revision="${REVISION}"

FROM runtime AS service
EXPOSE 3000
STOPSIGNAL SIGTERM
# http.client and not urllib: urllib sends even a request to this address through the proxy of the environment.
HEALTHCHECK --start-period=60s --timeout=5s \
    CMD ["python", "-c", "import http.client as h, sys; c = h.HTTPConnection('127.0.0.1', 3000, timeout=3); \
         c.request('GET', '/readyz'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["python", "-m", "service", "--host", "0.0.0.0"]

FROM service AS cpu
COPY --from=packages-cpu /venv /venv
COPY --from=code /app /app
ARG REVISION=unknown
RUN true
LABEL org.opencontainers.image.revision="${REVISION}"

FROM service AS gpu
ENV GANVAS_DEVICE=cuda
COPY --from=packages-gpu /venv /venv
COPY --from=code /app /app
ARG REVISION=unknown
RUN true
LABEL org.opencontainers.image.revision="${REVISION}"
