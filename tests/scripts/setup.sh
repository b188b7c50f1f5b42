#!/usr/bin/env bash
# Usage: setup.sh build|test. Says which system packages are missing and installs them where it can.
set -euo pipefail

# what must be there | Debian and Ubuntu package | Homebrew package
build_needs='command:cmake|cmake|cmake
command:cc|gcc|
command:make|make|
command:pkg-config|pkg-config|pkgconf
module:libcjson|libcjson-dev|cjson
module:zlib|zlib1g-dev|zlib
module:libpcre2-8|libpcre2-dev|pcre2
module:libutf8proc|libutf8proc-dev|utf8proc
module:yaml-0.1|libyaml-dev|libyaml
module:libxxhash|libxxhash-dev|xxhash
module:libcrypto|libssl-dev|openssl
openmp:|libgomp1|libomp'
test_needs='module:criterion|libcriterion-dev|criterion
command:clang|clang|
clang-openmp:|libomp-dev|
clang-runtime:|libclang-rt-CLANG-dev|
command:python3|python3|python
venv:|python3-venv|
emulator:|gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static|'

have() {
    case $1 in
    command:*) command -v "${1#command:}" > /dev/null ;;
    module:*) command -v pkg-config > /dev/null && pkg-config --exists "${1#module:}" ;;
    openmp:*) [ "$(uname)" != Darwin ] || [ -d "$(brew --prefix libomp 2> /dev/null)/lib" ] ;;
    emulator:*) [ "$(uname)" = Darwin ] || { command -v aarch64-linux-gnu-gcc && command -v qemu-aarch64-static; } > /dev/null ;;
    venv:*) python3 -c 'import venv, ensurepip' 2> /dev/null ;;
    clang-openmp:*) [ "$(uname)" = Darwin ] || echo 'int main(void){return 0;}' | clang -fopenmp -x c - -o /dev/null 2> /dev/null ;;
    clang-runtime:*) [ "$(uname)" = Darwin ] || echo 'int main(void){return 0;}' | clang -fsanitize=address,undefined -x c - -o /dev/null 2> /dev/null ;;
    esac
}

needs=$build_needs
[ "${1:-build}" = build ] || needs="$build_needs
$test_needs"
missing=
while IFS='|' read -r what debian brew; do
    have "$what" && continue
    if [ "$(uname)" = Darwin ]; then missing="$missing $brew"; else missing="$missing $debian"; fi
done <<< "$needs"
missing=$(echo $missing)
[ -n "$missing" ] || exit 0

echo "Missing system packages: ${missing/-CLANG-/-}"
as_root=
if [ "$(id -u)" != 0 ]; then as_root="sudo"; fi
if command -v apt-get > /dev/null && { [ -z "$as_root" ] || command -v sudo > /dev/null; }; then
    $as_root apt-get update -qq > /dev/null
    # The sanitizers' package carries the number of the clang that this release installs.
    missing=${missing/CLANG/$(apt-cache depends clang | sed -n 's/.*Depends: clang-\([0-9]*\)$/\1/p' | head -n 1)}
    echo "Installing them: ${as_root:+sudo }apt-get install $missing"
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing > /dev/null
elif command -v brew > /dev/null; then
    echo "Installing them: brew install $missing"
    brew install -q $missing
else
    echo "Please install them with your system's package manager, then run this again." >&2
    exit 1
fi
