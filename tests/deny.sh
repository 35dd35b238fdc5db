#!/usr/bin/env bash
# Holds the dependencies against deny.toml: licences, bans, sources. Brings cargo-deny below target/ where it is
# missing, which takes two to four minutes once.
set -euo pipefail
cd "$(dirname "$0")/.."
version=0.20.2
deny=$(command -v cargo-deny || echo "$PWD/target/tools/cargo/bin/cargo-deny")
if ! "$deny" --version 2>/dev/null | grep -qF "$version"; then
    # From outside the checkout, whose .cargo/config.toml is for the server.
    deny=$PWD/target/tools/cargo/bin/cargo-deny
    (root=$PWD; cd / && cargo install --quiet cargo-deny --locked --version "$version" \
        --root "$root/target/tools/cargo" --target-dir "$root/target/tools/build")
    rm -rf target/tools/build
fi
"$deny" --locked check licenses bans sources
