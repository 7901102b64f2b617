#!/usr/bin/env bash
# Trains a chat model on this computer's CPU: sets up .venv if needed, then runs "firstwords train"
# with the given options.
#
#   scripts/local_cpu_train.sh [OPTIONS OF firstwords train]
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # called as: sh scripts/local_cpu_train.sh
set -eu

# Follow symbolic links to find the checkout. The current directory does not change.
script=${BASH_SOURCE[0]}
while [ -L "$script" ]; do
  link=$(readlink "$script")
  case $link in /*) script=$link ;; *) script=$(dirname "$script")/$link ;; esac
done
# shellcheck source=scripts/setup.sh
. "$(dirname "$script")/setup.sh"

set_up run
exec "$VENV/bin/firstwords" train "$@"
