# Each command makes what it needs: `make site` prints the blog, `make test` checks everything.
# Another Python: `make clean site PYTHON=python3.13`.

PYTHON ?= python3
BIN    := .venv/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check

site: .venv/press  ## export the modules and print the site
	$(BIN)/nbdev-export
	$(BIN)/kata build

test: .venv/test  ## the tests, the library notebooks, and every post on its smoke profile
	$(BIN)/pytest
	$(BIN)/nbdev-test --skip-folder-re '^[_.]|^posts$$'
	$(BIN)/kata run --profile smoke

stress: .venv/test  ## kills, full disks, jumping clocks: the long form of tests/test_stress.py, half an hour
	$(BIN)/python tests/stress.py

bench: .venv/bench  ## ratios against peers
	@for bench in benchmarks/*.py; do echo "$$bench"; $(BIN)/python "$$bench" || exit 1; done

hooks: .venv/press  ## git hooks that keep notebooks clean and mergeable
	$(BIN)/nbdev-install-hooks

clean:  ## remove what these commands made
	rm -rf .venv _site build dist *.egg-info .pytest_cache
	find kata_blog tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

# An interrupted step leaves no target behind, so the next call starts it again.
.DELETE_ON_ERROR:
.PHONY: site test stress bench hooks clean

.venv/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; v = sys.version_info; (3, 11) <= v < (3, 15) or sys.exit(f"make: $(PYTHON) is Python {v[0]}.{v[1]}; needed 3.11 to 3.14; name another with PYTHON=python3.13")'
	$(PYTHON) -m venv --clear .venv

# What the extra that a target is named after brings, without the package and its needs.
define INSTALL_EXTRA
@$(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["$(@F)"], sep="\n")' > $@.txt
@$(PIP) install -q -c constraints.txt -r $@.txt
endef

# The package alone goes in beside the press: its own needs are torch and fastai, which no page needs.
.venv/press: .venv/pyvenv.cfg constraints.txt pyproject.toml
	@echo 'installing what the press needs'
	$(INSTALL_EXTRA)
	@$(PIP) install -q --no-deps --no-build-isolation -e .
	@touch $@

# fastai asks for torchvision, which does not import beside every build of torch and then breaks others that try it.
.venv/test: .venv/press
	@echo 'installing what models and tests need (torch: minutes where the network is slow)'
	@$(PIP) install -q -c constraints.txt --no-build-isolation -e '.[test]'
	@$(BIN)/python -c 'import torchvision' 2>/dev/null || $(PIP) uninstall -q -y torchvision
	@touch $@

# Quarto as the second renderer: its package fetches the program while it installs
.venv/quarto: .venv/press
	@echo 'installing Quarto'
	$(INSTALL_EXTRA)
	@touch $@

.venv/bench: .venv/test
	@echo 'installing the peers of the benchmarks'
	$(INSTALL_EXTRA)
	@touch $@
