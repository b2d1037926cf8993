# The service in a container, for NVIDIA GPUs or, smaller, for the CPU. No torch inside.
#   docker build -t ganvas .                  docker run --rm --gpus all -p 3000:3000 ganvas
#   docker build -t ganvas --target cpu .     docker run --rm -p 3000:3000 ganvas
# Only the driver comes from outside: CUDA and cuDNN are wheels.

FROM python:3.11-slim-bookworm AS base
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 BENTOML_DO_NOT_TRACK=True
WORKDIR /app
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin ganvas && python -m venv /venv
# The dependencies alone, so that a change of code does not install them again: the package that is installed here is empty,
# and the one in /app stands before it.
COPY pyproject.toml constraints.txt constraints-gpu.txt LICENSE ./
RUN mkdir ganvas && touch README.md ganvas/__init__.py

FROM base AS code
COPY ganvas ganvas
COPY service service
COPY exported/*.onnx exported/

FROM base AS cpu
RUN pip install --no-cache-dir --constraint constraints.txt ".[service]"
COPY --from=code /app /app
USER 10001
EXPOSE 3000
HEALTHCHECK --start-period=30s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://localhost:3000/readyz', timeout=3)"]
CMD ["python", "-m", "service", "--host", "0.0.0.0"]

FROM base AS gpu
RUN pip install --no-cache-dir --constraint constraints-gpu.txt ".[gpu]"
COPY --from=code /app /app
ENV GANVAS_DEVICE=cuda
USER 10001
EXPOSE 3000
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://localhost:3000/readyz', timeout=3)"]
CMD ["python", "-m", "service", "--host", "0.0.0.0"]
