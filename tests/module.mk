# The commands behind `make sim`, `make system` and `make bench`; they find
# the programs in $$BUILD.
export BUILD
SYSTEM_RUN = $(if $(wildcard tests/system/test_*.py),/usr/bin/python3 -m \
	pytest -q -rs -p no:cacheprovider tests/system,:)
SIM_RUN = $(if $(wildcard tests/sim/run),tests/sim/run $(BUILD),:)
BENCH_RUN = $(if $(wildcard tests/bench/run),tests/bench/run $(BUILD),:)
