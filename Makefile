# Each target sets itself up first; .ci/setup says how and is instant when nothing changed.
# ONCE=1 make demo: end when converged, as it also does where there is no terminal.
# make demo SCENARIO=bad-commit: a canary and a brake at work.

bin := .venv/bin
lines_max := 500
MAKEFLAGS += --no-print-directory

.PHONY: demo test lint bench campaign setup

demo: setup
	@$(bin)/ownernode demo $(if $(SCENARIO),--scenario $(SCENARIO)) $(if $(filter-out 0,$(ONCE)),--once)

test: lint
	@.ci/kubernetes >/dev/null || echo "without these programs tests/kube can't run"
	@.ci/helm >/dev/null || echo "without helm tests/deploy can't check the chart"
	@$(bin)/python tests/suites.py

campaign: setup
	@$(bin)/python tests/suites.py --campaign

bench: setup
	@$(bin)/python tests/bench/bench.py

lint: setup
	@echo "lint: ruff, format, mypy, imports, the chart's copies, file length"
	@$(bin)/ruff check --quiet --output-format concise controller tests deploy
	@$(bin)/ruff format --quiet --check controller tests deploy || { echo "run: ruff format controller tests deploy"; exit 1; }
	@$(bin)/mypy --no-error-summary
	@$(bin)/lint-imports --no-cache >build/lint-imports.txt || { cat build/lint-imports.txt; exit 1; }
	@$(bin)/python deploy/helm/generate.py --check
	@find controller tests -name '*.py' -o -name '*.ps1' -o -name '*.psm1' | xargs wc -l | \
		awk '$$2 != "total" && $$1 > $(lines_max) { print $$2 ": " $$1 " lines, at most $(lines_max)"; bad = 1 } END { exit bad }'

setup:
	@mkdir -p build
	@.ci/setup
