#!/usr/bin/env bash
# The proof that nothing is lost, in full: 1,000 simulated power cuts, 200 times kill -9 under eight writers, every file
# operation failing in turn, and disks that are really full. About six minutes on two processors; the debug build's
# `cargo test` does the same with smaller numbers. DEUCED_BIN is the server, the release build otherwise; DEUCED_SEED the
# seed, the day's otherwise.
set -euo pipefail
cd "$(dirname "$0")/.."
export DEUCED_BIN=${DEUCED_BIN:-$PWD/target/release/deuced}
export DEUCED_SEED=${DEUCED_SEED:-$(date +%Y%m%d)}
[ -x "$DEUCED_BIN" ] || { echo "$DEUCED_BIN is missing: cargo build --release"; exit 1; }
# What is simulated needs no card.
if [ -z "${TMPDIR:-}" ] && [ -w /dev/shm ] && [ "$(df --output=avail -k /dev/shm | tail -1)" -gt 1000000 ]; then
    export TMPDIR=/dev/shm
fi
cargo test --locked --test stories --no-run
result=$(mktemp)
trap 'rm -f "$result"' EXIT
run() {
    local cycles=$1 begin
    shift
    begin=$(date +%s)
    DEUCED_CYCLES=$cycles cargo test --locked --test stories -q -- --nocapture --test-threads=1 "$@" 2>&1 | tee -a "$result"
    echo "  in $(($(date +%s) - begin)) s" | tee -a "$result"
}
run 1000 cut::
run 200 kill::
run 1000 sweep::
status=0
bash tests/full.sh 2>&1 | tee -a "$result" || status=${PIPESTATUS[0]}
[ "$status" = 0 ] || exit "$status"
printf '\n== the proof, seed %s\n' "$DEUCED_SEED"
grep -E 'power cuts \(seed|did not open|kill -9:|operations failed in turn|a full disk|only by its word|answers before|^  in ' "$result"
