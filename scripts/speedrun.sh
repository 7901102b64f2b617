#!/usr/bin/env bash
# The run of one node with 8 GPUs, from nothing to a report: installs, fetches as much text as the
# plan asks for, and trains with one process for each GPU. Start it again to go on.
#
#   scripts/speedrun.sh [any option of firstwords train]
#
# What it would take, before anything is rented: firstwords plan --recipe speedrun --gpus 8xH100
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # called as: sh scripts/speedrun.sh
set -eu

# shellcheck source=scripts/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

gpus=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU' || true)
[ "$gpus" -gt 0 ] ||
  fail "nvidia-smi finds no GPU here: install NVIDIA's driver, or train on the processor with scripts/local_cpu_train.sh"

set_up run
firstwords=$VENV/bin/firstwords

# Text that is read once. The number of files does not depend on the kind of GPU.
shards=$("$firstwords" plan --recipe speedrun --gpus "${gpus}xH100" --json |
  "$PY" -c 'import json, sys; print(json.load(sys.stdin)["predicted"]["data"]["shards"])')
"$firstwords" data fetch climbmix --shards "$shards"
"$firstwords" data fetch smol-smoltalk
"$firstwords" data fetch eval

# torchrun starts the processes; without -- it would take --run for an option of its own.
exec "$VENV/bin/torchrun" --standalone --nproc-per-node "$gpus" \
  -m -- firstwords train --recipe speedrun --run speedrun "$@"
