#!/usr/bin/env bash
# Builds every fuzz target and runs each for its share of so many seconds (60 unless said otherwise), one after the
# other, from the seeds in `fuzz/corpus`. Fails on a crash, a difference, an input that takes too long or too much
# memory; the input is then in `fuzz/artifacts`.
#
#   tests/fuzz.sh                 the share of CI
#   tests/fuzz.sh 600 image form  these targets, for ten minutes together
#
# What is found on the way is kept in `fuzz/grown`, outside of the repository, and the next run goes on from there.
# libFuzzer needs options of the compiler that are not stable; RUSTC_BOOTSTRAP lets the one that is here have them.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
[ $# -eq 0 ] || shift
export RUSTC_BOOTSTRAP=1

command -v c++ >/dev/null || { apt-get update && apt-get install -y --no-install-recommends g++; }
command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz --version 0.13.2

targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cargo fuzz list)
build=()
[ ${#targets[@]} -eq 1 ] && build=("${targets[0]}")
cargo fuzz build "${build[@]}"

each=$(((seconds + ${#targets[@]} - 1) / ${#targets[@]}))
for target in "${targets[@]}"; do
    grown=fuzz/grown/$target artifacts=fuzz/artifacts/$target/
    mkdir -p "$grown" "$artifacts"
    report=$artifacts/report.txt
    begin=$(date +%s)
    # The binary itself and not `cargo fuzz run`, which would look whether it is still fresh each time.
    if ! "fuzz/target/$(rustc -vV | sed -n 's/host: //p')/release/$target" "$grown" "fuzz/corpus/$target" \
        -artifact_prefix="$artifacts" -max_total_time="$each" -timeout=25 -rss_limit_mb=1024 -max_len=8192 \
        -print_final_stats=1 >"$report" 2>&1; then
        tail -n 40 "$report"
        echo "fuzz: $target failed"
        exit 1
    fi
    runs=$(sed -n 's/stat::number_of_executed_units: //p' "$report")
    echo "fuzz: $target: $runs runs in $(($(date +%s) - begin)) s"
done
