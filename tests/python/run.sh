#!/bin/sh
# Runs a live test with the interpreter of .venv: run.sh SCRIPT [arguments]. Without .venv the test is
# skipped (exit 77), or fails where LS_REQUIRE_LIVE=1 says that it must not be skipped.
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd -P)
if [ ! -x "$root/.venv/bin/python" ]; then
  echo "no .venv here; tests/python/setup.sh makes it" >&2
  if [ "${LS_REQUIRE_LIVE-0}" = 1 ]; then exit 1; fi
  exit 77
fi
exec "$root/.venv/bin/python" "$@"
