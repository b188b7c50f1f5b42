#!/usr/bin/env bash
# Usage: cli_docs.sh FOLDER_OF_THE_TOOLS [--check]. Writes docs/cli.md from the tools' own help, or compares.
set -euo pipefail
here=$(cd "$(dirname "$0")/../.." && pwd)
page() {
    printf '# Command lines\n\nMade from `--help` by `tests/scripts/cli_docs.sh`; a test compares.\n'
    for tool in convert quantize infer inspect vram-estimate; do
        printf '\n## %s\n\n```text\n' "$tool"
        "$1/$tool" --help
        printf '```\n'
        [ "$tool" = inspect ] || continue
        for command in $("$1/inspect" --help | sed -n '/^Commands/,/^$/s/^  \([a-z, ]*[a-z]\)  .*/\1/p' | tr -d ,); do
            printf '\n### inspect %s\n\n```text\n' "$command"
            "$1/inspect" "$command" --help
            printf '```\n'
        done
    done
}
if [ "${2:-}" = --check ]; then
    page "$1" | diff -u "$here/docs/cli.md" - || { echo "docs/cli.md is old: run tests/scripts/cli_docs.sh $1" >&2; exit 1; }
else
    page "$1" > "$here/docs/cli.md"
fi
