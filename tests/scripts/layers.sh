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
    for file in $(find "$room" -name '*.[ch]' ! -name 'main_*'); do
        for header in $(sed -n 's/^#include "\(.*\)"/\1/p' "$file"); do
            case $header in *.def) continue ;; esac
            found=$(find $room $allowed -name "$(basename "$header")" | head -n 1)
            [ -n "$found" ] || complain "$file includes $header, which is not in: $room $allowed"
        done
    done
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
