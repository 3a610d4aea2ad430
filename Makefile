# Thin targets: what they do is in the package. `make demo` and `make test` need Python and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RECIPES := $(BIN)/recipes
OPTIMUM := .venv-optimum

.PHONY: demo test check proofs optimum-compat clean

demo: $(VENV)/.ready
	$(RECIPES) hub seed
	$(RECIPES) run recipes/pocket-135m.yaml
	$(RECIPES) pull edgezoo/pocket-135m-GGUF --file q8_0 --to runs
	$(RECIPES) act --model runs/Pocket-135M-Q8_0.gguf

# A file's tests stay in one process, since they share what is slow to make.
test: $(VENV)/.ready
	$(BIN)/pytest -q -n 2 --dist loadfile

# Proofs that take minutes: twenty kills, a wheel in a clean environment.
proofs: $(VENV)/.ready
	$(BIN)/pytest -q -m slow

# optimum-onnx needs transformers below 4.58: it reads our exports in an environment of its own, with its own lock.
optimum-compat: $(VENV)/.ready $(OPTIMUM)/.ready
	PYTHONPATH=.:tests $(BIN)/python compat/export_for_optimum.py build/optimum-compat $(CHECKPOINT)
	$(OPTIMUM)/bin/python compat/check_in_optimum.py build/optimum-compat

$(OPTIMUM)/.ready: compat/optimum-constraints.txt
	test -x $(OPTIMUM)/bin/python || $(PYTHON) -m venv $(OPTIMUM)
	$(OPTIMUM)/bin/python -m pip install --quiet --requirement compat/optimum-constraints.txt
	touch $@

check: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The environment is built once; a change of the pins builds it again. torch comes first: with the pinned build in place
# nothing that asks for torch looks for another.
$(VENV)/.ready: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test]'
	touch $@

clean:
	rm -rf $(VENV) $(OPTIMUM) dist build
