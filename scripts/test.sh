#!/usr/bin/env bash
# Runs the tests: sets .venv up if that has not been done yet, then becomes pytest with all the
# arguments given. Paths among them are relative to the repository root.
#
#   scripts/test.sh                          the quick tests
#   scripts/test.sh -m "slow or not slow"    all of them
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # called as: sh scripts/test.sh
set -eu

here=${BASH_SOURCE[0]}
while [ -L "$here" ]; do
  link=$(readlink "$here")
  case $link in /*) here=$link ;; *) here=$(dirname "$here")/$link ;; esac
done
# shellcheck source=scripts/setup.sh
. "$(dirname "$here")/setup.sh"

set_up test
cd "$ROOT"
exec "$VENV/bin/pytest" "$@"
