#!/bin/sh
# Installs what is missing, builds, simulates a small survey with known truth, runs photometry on
# two ranks, and says where catalogue and report lie.  jobs/quickstart.sh [FOLDER]
set -eu
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
folder=${1:-$PWD/skyloom-quickstart}
SKYLOOM_WITHOUT_TEST_TOOLS=1 "$root/cmake/install-dependencies.sh"

echo "Building skyloom (some minutes) ..."
mkdir -p "$root/build"
log=$root/build/quickstart.log
(cd "$root" && cmake --preset release && cmake --build --preset release -j "$(nproc)") >"$log" 2>&1 || {
  tail -n 40 "$log"
  echo "skyloom: the build failed; all of it is in $log" >&2
  exit 1
}
skyloom=$root/build/release/src/app/skyloom

# OpenMPI refuses to start as root, and on more ranks than cores, unless told otherwise.
if [ "$(id -u)" = 0 ]; then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
if [ "$(nproc)" -lt 2 ]; then
  export OMPI_MCA_rmaps_base_oversubscribe=1
fi

[ -e "$folder/photometry.toml" ] || "$skyloom" simulate photometry --out "$folder" --size small
mpirun -n 2 "$skyloom" photometry run "$folder/photometry.toml"

run=$folder/photometry.run
cat <<EOT

Catalogue  $run/output_catalog.csv
Product    $run/photometry.h5
Report     $run/report.html
EOT
