#!/usr/bin/env bash
# Usage: build.sh FOLDER [CMake options]. Configure and build, quietly unless something goes wrong.
set -euo pipefail
folder=$1
shift
here=$(cd "$(dirname "$0")/../.." && pwd)
hints=()
if [ "$(uname)" = Darwin ]; then hints=(-DOpenMP_ROOT="$(brew --prefix libomp)"); fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
quietly() { "$@" > "$log" 2>&1 || { cat "$log" >&2; exit 1; }; }
echo "Building in $folder ..."
quietly cmake -S "$here" -B "$folder" ${hints[@]+"${hints[@]}"} "$@"
quietly cmake --build "$folder" -j "$(getconf _NPROCESSORS_ONLN)"
