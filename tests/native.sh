#!/usr/bin/env bash
# Holds the frames of the native protocol against their description (docs/native.schema.json): those of the
# transcripts, and those of a short live session, in both directions.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/schemathesis/prepare.sh
"$tools/bin/python" tests/schemathesis/native.py
judge_server
