#!/usr/bin/env bash
# The browser's client library and the pages before the diary in headless Chromium, against the real
# server (DEUCED_BIN, else the release build). Words are passed to node.
. "$(dirname "$0")/client/prepare.sh"
if ! command -v chromium >/dev/null; then
    apt-get update && apt-get install -y --no-install-recommends chromium
fi
node --test --test-reporter=spec "$@" tests/client/browser.test.mjs tests/client/door.test.mjs
