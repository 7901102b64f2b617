#!/usr/bin/env bash
# Runs the tests: sets up .venv if needed, then runs pytest with the given arguments. Paths are
# relative to the repository root.
#
#   scripts/test.sh                          fast tests
#   scripts/test.sh -m "not commands"        the slow ones too
#   scripts/test.sh -m commands              the commands of README, quickstart and guides
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # called as: sh scripts/test.sh
set -eu

# Follow symbolic links to find the checkout.
script=${BASH_SOURCE[0]}
while [ -L "$script" ]; do
  link=$(readlink "$script")
  case $link in /*) script=$link ;; *) script=$(dirname "$script")/$link ;; esac
done
# shellcheck source=scripts/setup.sh
. "$(dirname "$script")/setup.sh"

set_up test
cd "$ROOT"
exec "$VENV/bin/pytest" "$@"
