#!/bin/sh
# Installs what is missing, configures, builds with warnings as errors, and runs every test.
# Works from any folder.  tests/run.sh [ctest options]
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root"
cmake/install-dependencies.sh
mkdir -p build
cmake --preset dev >build/configure.log 2>&1 || { cat build/configure.log; exit 1; }
cmake --build --preset dev -j "$(nproc)"
exec ctest --preset dev -j "$(nproc)" --no-tests=error "$@"
