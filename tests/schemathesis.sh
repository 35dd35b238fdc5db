#!/usr/bin/env bash
# Holds the running server against the description of its API (src/http/openapi.json): schemathesis makes up
# requests from it, fit and unfit ones, and checks every answer against it. Once as a member, once as somebody who
# is in no group, once as a device, once without a session, once as an owner who handles accounts, and at last what ends
# things: leaving, deleting, logging out.
# Needs Python 3.10 or newer with venv; everything it installs stays below target/. The seed is fixed.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/schemathesis/prepare.sh
export SCHEMATHESIS_HOOKS=hooks PYTHONPATH=$here

# Runs schemathesis as somebody; the other words choose operations, phases and how many examples.
run() {
    local who=$1; shift
    cp "$here/config.toml" "$work/config.toml"
    if [ "$who" != nobody ]; then
        token=$("$tools/bin/python" "$here/world.py" "$who")
        printf '[auth.openapi.bearer]\nbearer = "%s"\n' "$token" >>"$work/config.toml"
    fi
    printf '\n-- as %s: %s\n' "$who" "$*"
    # It leaves a folder where it runs.
    (cd "$work" && "$tools/bin/schemathesis" --config-file "$work/config.toml" run "$DEUCED_URL/api/openapi.json" \
        --no-color --seed 4 --checks all "$@") \
        || { tail -20 "$work/err"; echo "the server and src/http/openapi.json differ, as $who"; exit 1; }
}

# What ends what the other requests stand on has runs of its own, so that nothing is hidden by it.
members='leaveGroup|removeMember'
logins='endSession|logout|logoutToo|logoutPage'
people='changePerson|removePerson|resetPerson'
endings="^($members|deleteGroup|$logins|$people|changePassword|eraseMe)$"
run mia --exclude-operation-id-regex "$endings" --max-examples 16
run xaver --exclude-operation-id-regex "$endings" --max-examples 4 --phases examples,coverage,fuzzing
run button --exclude-operation-id-regex '^(reset|claim|login|joinNew)$' --max-examples 4 --phases examples,coverage,fuzzing
run nobody --max-examples 3 --phases examples,coverage,fuzzing
DEUCED_ENDINGS=groups run olga --include-operation-id-regex "^($members)$" --max-examples 20 --phases examples,coverage,fuzzing
DEUCED_ENDINGS=groups run olga --include-operation-id deleteGroup --max-examples 20 --phases examples,coverage,fuzzing
DEUCED_ENDINGS=people run olga --include-operation-id-regex "^($people|listPeople|addPerson|addMember)$" --max-examples 20 --phases examples,coverage,fuzzing
run dora --include-operation-id-regex "^($logins)$" --max-examples 5 --phases examples,coverage,fuzzing
run emil --include-operation-id-regex '^(changePassword|endOtherSessions)$' --max-examples 5 --phases examples,coverage,fuzzing
run emil --include-operation-id eraseMe --max-examples 5 --phases coverage,fuzzing

judge_server
