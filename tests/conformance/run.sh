#!/usr/bin/env bash
# Usage: run.sh FOLDER_OF_THE_TOOLS. Installs the reference tools (oracle.sh) and runs every check_*.py beside this file.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
bin=$(cd "$1" && pwd)
shared=$here/../../../shared
if ! oracle=$("$here/oracle.sh"); then
    echo "The reference tools could not be installed; conformance was not checked." >&2
    exit 1
fi
[ -d "$shared" ] || echo "No ../shared: checks that need its data are skipped."
export PYTHONPATH=$oracle/llama.cpp/gguf-py
status=0
for check in "$here"/check_*.py; do
    echo "-- $(basename "$check")"
    "$oracle/venv/bin/python" "$check" --bin "$bin" --oracle "$oracle" --shared "$shared" || status=1
done
exit $status
