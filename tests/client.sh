#!/usr/bin/env bash
# The browser's client library in Node: its types, its logic against sockets of cardboard, and the
# stories against the real server (DEUCED_BIN, else the release build). Words are passed to node.
. "$(dirname "$0")/client/prepare.sh"
node "$modules/node_modules/typescript/bin/tsc" --noEmit --strict --target es2022 --module nodenext --lib es2022,dom tests/client/types.ts
node --test --test-reporter=spec "$@" tests/client/unit.test.mjs tests/client/node.test.mjs
