#!/usr/bin/env bash
# The units of systemd/ under a real systemd, with the release build (DEUCED_BIN names another): what it says of them, whether
# they do what they are for, and whether the sandbox holds. The machine is a Debian in a container (tests/boot), which is
# made once; then this takes less than a minute. Needs root.
set -euo pipefail
cd "$(dirname "$0")/.."
binary=$(readlink -f "${DEUCED_BIN:-target/release/deuced}")
[ -x "$binary" ] || { echo "$binary is missing: cargo build --release"; exit 1; }
exec bash tests/boot/boot.sh --share "$(dirname "$binary")=/built" tests/systemd/inside.sh "/built/$(basename "$binary")"
