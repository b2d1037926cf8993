# Ganvas. `make serve` needs Python 3.11 or newer and a package index. `make test` installs everything else that it needs.
#
#   make serve               run the service (no torch) from .venv-serve on port 3000 (PORT=8080 make serve)
#   make setup               install service, training and development tools into .venv
#   make test                run all tests from .venv (PYTEST_ARGS="tests/service -x" make test: a part of them)
#   make coverage            run all tests and show which lines they cover
#   make lint                ruff, mypy and hadolint
#   make format              ruff's formatter and its automatic fixes
#   make test-gpu            the tests that need an NVIDIA GPU, from .venv-gpu
#   make bulk-test           test `python -m service.bulk` on a local Ray, from .venv-bulk
#   make image               build the container image with Docker (TARGET=gpu make image; cpu is the default)
#   make container-test      build the CPU image and test it (buildah, root)
#   make container-test-gpu  build the GPU image and test the parts that need no GPU
#   make bench               compare the service with the bare model and with other servers, overload it, and load it for
#                            5 minutes (SOAK_MINUTES=30 for published numbers); writes docs/benchmarks.md
#   make bench-gpu           measure the models on an NVIDIA GPU; writes docs/benchmarks.md
#   make constraints         pin the newest versions that pyproject.toml allows

PYTHON ?= python3
PORT ?= 3000
SOAK_MINUTES ?= 5
TARGET ?= cpu
DOCKER ?= docker
VERSION = $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' pyproject.toml)
VENV := .venv
SERVE_VENV := .venv-serve
BULK_VENV := .venv-bulk
GPU_VENV := .venv-gpu
# onnxruntime has two builds that exclude each other. A machine with an NVIDIA driver gets the build for GPUs.
RUNTIME ?= $(if $(shell command -v nvidia-smi 2>/dev/null),gpu,service)
PIP_INSTALL := -m pip install --progress-bar off --disable-pip-version-check --constraint
ALL_EXTRAS := service,training,dev
BULK_EXTRAS := service,bulk,dev
GPU_EXTRAS := gpu,dev
PYTEST := $(VENV)/bin/python -m pytest --numprocesses logical --maxprocesses 4 --dist worksteal

# Containers often set it. Then each of the many processes of the tests would compile the same modules again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: serve setup test coverage test-gpu bulk-test bench bench-gpu lint format image container-test container-test-gpu constraints clean

serve: $(SERVE_VENV)/.installed-$(RUNTIME)
	@exec $(SERVE_VENV)/bin/python -m service --port $(PORT)

setup: $(VENV)/.installed
	@echo "$(VENV) is ready. Train with $(VENV)/bin/python -m training"

test: $(VENV)/.browser
	$(PYTEST) $(PYTEST_ARGS)

coverage: $(VENV)/.browser
	$(PYTEST) --cov --cov-report=term:skip-covered $(PYTEST_ARGS)

test-gpu: $(GPU_VENV)/.installed
	$(GPU_VENV)/bin/python -m pytest -m gpu tests/service/test_gpu.py

bulk-test: $(BULK_VENV)/.installed
	$(BULK_VENV)/bin/python -m pytest -m bulk tests/bulk $(PYTEST_ARGS)

bench: $(VENV)/.installed
	$(VENV)/bin/python -m benchmarks.serving --table docs/benchmarks.md
	$(VENV)/bin/python -m benchmarks.overload --table docs/benchmarks.md
	$(VENV)/bin/python -m benchmarks.soak --minutes $(SOAK_MINUTES) --table docs/benchmarks.md

bench-gpu: $(GPU_VENV)/.installed
	$(GPU_VENV)/bin/python -m benchmarks.device --device cuda --table docs/benchmarks.md

lint: $(VENV)/.installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/hadolint Dockerfile

format: $(VENV)/.installed
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

image:
	$(DOCKER) build --target $(TARGET) --tag ganvas:$(TARGET) \
	  --build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD) .

container-test: $(VENV)/.installed
	$(VENV)/bin/python -m pytest -m container tests/container $(PYTEST_ARGS)
	@cat build/container.json

container-test-gpu: $(VENV)/.installed
	$(VENV)/bin/python -m pytest -m container_gpu tests/container $(PYTEST_ARGS)

# $(call install,VENV,CONSTRAINTS,EXTRAS) updates a virtual environment in place. It makes the environment from scratch if there
# is none, if its first installation was cut off (no stamp), or if it has another Python version than $(PYTHON).
# While pip works, its last line is shown every 10 s. Lines of pip end in $(1)/install.log, except warnings and errors.
# The stamp is written last, so an update that fails is repeated. Several extras stand in a variable: make splits at commas.
define install
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Ganvas needs Python 3.11 or newer, this is %d.%d. Run: make PYTHON=python3.11" % sys.version_info[:2])'
	@version='import sys; print(sys.version_info[:2])'; \
	if ! [ -e $@ ] || [ "$$($(1)/bin/python -c "$$version" 2>&1)" != "$$($(PYTHON) -c "$$version")" ]; then \
	  rm -rf $(1) && $(PYTHON) -m venv $(1); \
	fi
	@( seconds=0; while sleep 1 && kill -0 $$$$ 2>/dev/null; do \
	  seconds=$$((seconds + 1)); \
	  [ $$((seconds % 10)) != 0 ] || echo "  $$seconds s: $$(tail -n 1 $(1)/install.log | cut -c 1-70)"; \
	done ) & progress=$$!; \
	$(1)/bin/python $(PIP_INSTALL) $(2) --editable ".[$(3)]" >$(1)/install.log; status=$$?; \
	kill $$progress; exit $$status
	@touch $@
endef

$(SERVE_VENV)/.installed-$(RUNTIME): pyproject.toml constraints.txt
	@echo "Installing the service into $(SERVE_VENV) (about 1 minute the first time)"
	$(call install,$(SERVE_VENV),constraints$(if $(filter gpu,$(RUNTIME)),-gpu).txt,$(RUNTIME))

$(VENV)/.installed: pyproject.toml constraints.txt
	@echo "Installing service, training and development tools into $(VENV) (a few minutes the first time)"
	$(call install,$(VENV),constraints.txt,$(ALL_EXTRAS))

$(BULK_VENV)/.installed: pyproject.toml constraints.txt constraints-bulk.txt
	@echo "Installing the service and Ray into $(BULK_VENV) (a few minutes the first time)"
	$(call install,$(BULK_VENV),constraints-bulk.txt,$(BULK_EXTRAS))

$(GPU_VENV)/.installed: pyproject.toml constraints.txt constraints-gpu.txt
	@echo "Installing the service for GPUs into $(GPU_VENV) (a few minutes the first time)"
	$(call install,$(GPU_VENV),constraints-gpu.txt,$(GPU_EXTRAS))

# Chromium for the studio's tests, if the machine has no browser and can download one.
$(VENV)/.browser: $(VENV)/.installed
	@$(VENV)/bin/python -m tests.service.studio.browser
	@touch $@

# The CUDA libraries have a file of their own: the CUDA build of torch pins other versions of them.
constraints:
	rm -rf .venv-constraints && $(PYTHON) -m venv .venv-constraints
	.venv-constraints/bin/python -m pip install --quiet --editable ".[$(ALL_EXTRAS)]"
	.venv-constraints/bin/python -m pip freeze --exclude-editable | sed 's/+.*//' > constraints.txt
	echo "--constraint constraints.txt" > constraints-gpu.txt
	.venv-constraints/bin/python -m pip install --quiet --dry-run --report .venv-constraints/gpu.json ".[gpu]"
	$(PYTHON) -c 'import json; [print(p["metadata"]["name"], p["metadata"]["version"], sep="==") for p in \
	  json.load(open(".venv-constraints/gpu.json"))["install"] if p["metadata"]["name"] != "ganvas"]' >> constraints-gpu.txt
	echo "--constraint constraints.txt" > constraints-bulk.txt
	.venv-constraints/bin/python -m pip install --quiet --dry-run --report .venv-constraints/bulk.json -c constraints.txt ".[service,bulk]"
	$(PYTHON) -c 'import json; [print(p["metadata"]["name"], p["metadata"]["version"], sep="==") for p in \
	  json.load(open(".venv-constraints/bulk.json"))["install"] if p["metadata"]["name"] != "ganvas"]' >> constraints-bulk.txt
	rm -rf .venv-constraints

clean:
	rm -rf build .venv .venv-bulk .venv-gpu .venv-serve .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.*
