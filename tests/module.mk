# SPDX-License-Identifier: ISC
# The commands behind `make sim`, `make system` and `make bench`; they find
# the programs in $$BUILD.
export BUILD
# The sanitized daemon goes without the tests of pages and papers, of what the
# plain one has shown with the programs of others, and the longest ones.
SYSTEM_PLAIN := batch_page card_vectors demo deps exec_recipes filters \
	install interop interop_clients interop_lmtp interop_pipe \
	interop_servers interop_tls log_words mail_login \
	mail_network mail_parcels mail_provider man native_kill native_lost \
	native_stick peers readme roads second_reader snippets \
	transport_exec transport_serial transport_shell \
	transport_tcp
# Most of them wait most of the time: so many files at once as there are cores.
SYSTEM_RUN = $(if $(wildcard tests/system/test_*.py),/usr/bin/python3 -m \
	pytest -q -rs -p no:cacheprovider -n $(JOBS) --dist loadfile \
	tests/system $(if \
	$(filter 1,$(SANITIZE)),$(SYSTEM_PLAIN:%=--ignore=tests/system/test_%.py)),:)
SIM_RUN = $(if $(wildcard tests/sim/run),tests/sim/run $(BUILD),:)
BENCH_RUN = $(if $(wildcard tests/bench/run),tests/bench/run $(BUILD),:)
