# Ganvas. `make serve` needs Python 3.11+ and a package index; `make test` sets up everything else by itself.
#   make serve    the service alone (no torch), in .venv-serve, on port 3000 (PORT=8080 make serve)
#   make test     every test, in .venv
#   make test-gpu   what only an NVIDIA GPU shows, in .venv-gpu
#   make bench    the service beside the bare model and its peers, overloaded, and in a soak of five minutes (30 for a record:
#                 SOAK_MINUTES=30 make bench), into docs/benchmarks.md
#   make bench-gpu   the models on an NVIDIA GPU beside its ceiling, into docs/benchmarks.md
#   make container-test   builds and runs the image of the CPU (buildah, root)
#   make container-test-gpu   builds the image of the GPU, and runs it as far as there is none
#   make bulk-test        `python -m service.bulk` on a local Ray, in .venv-bulk
#   make lint     ruff, mypy, hadolint     make format       ruff's formatter and fixes
#   make constraints   pin anew: the newest versions that pyproject.toml admits

PYTHON ?= python3
PORT ?= 3000
SOAK_MINUTES ?= 5
VENV := .venv
SERVE_VENV := .venv-serve
BULK_VENV := .venv-bulk
GPU_VENV := .venv-gpu
# onnxruntime has two builds that exclude each other: the one for NVIDIA GPUs where there is one.
RUNTIME ?= $(if $(shell command -v nvidia-smi 2>/dev/null),gpu,service)
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --constraint

.PHONY: serve test test-gpu bench bench-gpu lint format constraints clean container-test container-test-gpu bulk-test

serve: $(SERVE_VENV)/.installed-$(RUNTIME)
	@exec $(SERVE_VENV)/bin/python -m service --port $(PORT)

test: $(VENV)/.browser
	$(VENV)/bin/python -m pytest --numprocesses logical --maxprocesses 4 --dist worksteal $(PYTEST_ARGS)

test-gpu: $(GPU_VENV)/.installed
	$(GPU_VENV)/bin/python -m pytest -m gpu tests/service/test_gpu.py

bench: $(VENV)/.installed
	$(VENV)/bin/python -m benchmarks.serving --table docs/benchmarks.md
	$(VENV)/bin/python -m benchmarks.overload --table docs/benchmarks.md
	$(VENV)/bin/python -m benchmarks.soak --minutes $(SOAK_MINUTES) --table docs/benchmarks.md

bench-gpu: $(GPU_VENV)/.installed
	$(GPU_VENV)/bin/python -m benchmarks.device --device cuda --table docs/benchmarks.md

container-test: $(VENV)/.installed
	$(VENV)/bin/python -m pytest -m container tests/container $(PYTEST_ARGS)
	@cat build/container.json

container-test-gpu: $(VENV)/.installed
	$(VENV)/bin/python -m pytest -m container_gpu tests/container $(PYTEST_ARGS)

bulk-test: $(BULK_VENV)/.installed
	$(BULK_VENV)/bin/python -m pytest -m bulk tests/bulk $(PYTEST_ARGS)

lint: $(VENV)/.installed
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/hadolint Dockerfile

format: $(VENV)/.installed
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

# A stamp is written last, so an install that was cut off is done again; a second call installs nothing.
$(SERVE_VENV)/.installed-$(RUNTIME): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Ganvas needs Python 3.11 or newer, this is %d.%d: make serve PYTHON=python3.11" % sys.version_info[:2])'
	@echo "Installing the service into $(SERVE_VENV) (about a minute, once)"
	@rm -rf $(SERVE_VENV)
	@$(PYTHON) -m venv $(SERVE_VENV)
	@$(SERVE_VENV)/bin/python $(PIP_INSTALL) constraints$(if $(filter gpu,$(RUNTIME)),-gpu).txt --editable ".[$(RUNTIME)]"
	@touch $@

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Ganvas needs Python 3.11 or newer, this is %d.%d: make test PYTHON=python3.11" % sys.version_info[:2])'
	@echo "Installing service, training and development tools into $(VENV) (a few minutes, once)"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python $(PIP_INSTALL) constraints.txt --editable ".[service,training,dev]"
	@touch $@

$(BULK_VENV)/.installed: pyproject.toml constraints.txt constraints-bulk.txt
	@echo "Installing the service with Ray into $(BULK_VENV) (a few minutes, once)"
	@rm -rf $(BULK_VENV)
	@$(PYTHON) -m venv $(BULK_VENV)
	@$(BULK_VENV)/bin/python $(PIP_INSTALL) constraints-bulk.txt --editable ".[service,bulk,dev]" onnx
	@touch $@

# A Chromium for the studio's tests, where the machine has none and one can be had.
$(VENV)/.browser: $(VENV)/.installed
	@$(VENV)/bin/python -m tests.service.studio.browser
	@touch $@

$(GPU_VENV)/.installed: pyproject.toml constraints.txt constraints-gpu.txt
	@rm -rf $(GPU_VENV)
	@$(PYTHON) -m venv $(GPU_VENV)
	@$(GPU_VENV)/bin/python $(PIP_INSTALL) constraints-gpu.txt --editable ".[gpu,dev]" onnx
	@touch $@

# The CUDA libraries are pinned apart: the CUDA build of torch pins its own versions of them.
constraints:
	rm -rf .venv-constraints && $(PYTHON) -m venv .venv-constraints
	.venv-constraints/bin/python -m pip install --quiet --editable ".[service,training,dev]"
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
	rm -rf build .venv .venv-bulk .venv-gpu .venv-serve .pytest_cache .mypy_cache .ruff_cache .hypothesis
