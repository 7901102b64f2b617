#!/usr/bin/env bash
# Raises a chat model on this computer's CPU: sets .venv up if that has not been done yet, then
# becomes "firstwords train" with all the options given.
#
#   scripts/local_cpu_train.sh [any option of firstwords train]
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # called as: sh scripts/local_cpu_train.sh
set -eu

# The checkout is found through symbolic links too; the current directory stays as it is.
here=${BASH_SOURCE[0]}
while [ -L "$here" ]; do
  link=$(readlink "$here")
  case $link in /*) here=$link ;; *) here=$(dirname "$here")/$link ;; esac
done
# shellcheck source=scripts/setup.sh
. "$(dirname "$here")/setup.sh"

set_up run
exec "$VENV/bin/firstwords" train "$@"
