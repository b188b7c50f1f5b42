#!/usr/bin/env bash
# The house's order: includes point down the layers only, and only the mains print or leave.
set -euo pipefail
cd "$(dirname "$0")/../.."
status=0
complain() {
    echo "$1" >&2
    status=1
}
# folder | folders whose headers it may include
while IFS='|' read -r room allowed; do
    there=$(find $room $allowed -name '*.h' | sed 's|.*/||' | tr '\n' ' ')
    while IFS=: read -r file include; do
        header=${include#*\"} header=${header%\"*}
        case "$header" in *.def) continue ;; esac
        case " $there " in *" ${header##*/} "*) ;; *) complain "$file includes $header, which is not in: $room $allowed" ;; esac
    done < <(find "$room" -name '*.[ch]' ! -name 'main_*' -exec grep -H '^#include "' {} +)
done << 'EOT'
common|
quantize|common
convert|common quantize
infer|common quantize
inspect|common quantize
EOT
for file in $(find common quantize convert infer inspect -name '*.c' ! -name 'main_*'); do
    case $file in common/cli.c | common/progress.c) continue ;; esac
    ! grep -nE '\b(exit|abort|printf|puts|perror)\(|\bstderr\b' "$file" || complain "$file prints or exits; only mains may"
done
exit $status
