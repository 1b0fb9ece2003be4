#!/bin/sh
# Installs everything skyloom needs to build, run and test from Debian's packages. Safe to call
# again: packages that are there already are left alone. Works as root or through sudo.
set -eu

packages="
build-essential cmake ninja-build pkg-config git ca-certificates
openmpi-bin libopenmpi-dev libhdf5-openmpi-dev hdf5-tools libpetsc-real-dev
libcfitsio-dev wcslib-dev libopenblas0-serial libboost-serialization-dev
libtomlplusplus-dev libcli11-dev libspdlog-dev libfmt-dev nlohmann-json3-dev
libsep-dev libfftw3-dev zlib1g-dev libzstd-dev libblosc-dev libbz2-dev libssl-dev libcurl4-openssl-dev
catch2 libbenchmark-dev npm
"
# Reading our products without us, drawing pages, checking style, a batch system: only the tests need
# these.
[ "${SKYLOOM_WITHOUT_TEST_TOOLS:-0}" = 1 ] || packages="$packages
python3-numpy python3-h5py python3-astropy python3-zarr chromium fonts-dejavu-core clang-format clang-tidy
slurm-wlm munge shellcheck
"

missing=""
for package in $packages; do
  status=$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)
  [ "$status" = "install ok installed" ] && continue
  # Another Node.js with its own npm serves as well as Debian's.
  if [ "$package" = npm ] && command -v npm >/dev/null 2>&1; then continue; fi
  missing="$missing $package"
done
[ -z "$missing" ] && exit 0

sudo=""
[ "$(id -u)" = 0 ] || sudo="sudo"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "skyloom: installing Debian packages:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086  # the list is meant to be split
if ! { $sudo apt-get -q update && $sudo apt-get -q install -y --no-install-recommends $missing; } >"$log" 2>&1; then
  cat "$log" >&2
  echo "skyloom: apt-get failed; the packages above could not be installed" >&2
  exit 1
fi
