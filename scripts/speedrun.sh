#!/usr/bin/env bash
# Trains the speedrun recipe on one node with 8 GPUs: installs, fetches as much text as the plan
# needs, and trains with one process per GPU. Run it again to resume.
#
#   scripts/speedrun.sh [OPTIONS OF firstwords train]
#
# Estimate time and cost first: firstwords plan --recipe speedrun --estimate-for 8xH100
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # called as: sh scripts/speedrun.sh
set -eu

# shellcheck source=scripts/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

gpus=$(nvidia-smi -L 2>/dev/null | grep -c '^GPU' || true)
[ "$gpus" -gt 0 ] ||
  fail "nvidia-smi finds no GPU; install NVIDIA's driver, or train on the CPU with scripts/local_cpu_train.sh"

set_up run
firstwords=$VENV/bin/firstwords

# Enough text to read each document once. The number of files does not depend on the GPU.
shards=$("$firstwords" plan --recipe speedrun --estimate-for "${gpus}xH100" --json |
  "$PY" -c 'import json, sys; print(json.load(sys.stdin)["predicted"]["data"]["shards"])')
"$firstwords" data fetch climbmix --shards "$shards"
"$firstwords" data fetch smol-smoltalk
"$firstwords" data fetch eval

# Without --, torchrun would take --run for its own option.
exec "$VENV/bin/torchrun" --standalone --nproc-per-node "$gpus" \
  -m -- firstwords train --recipe speedrun --run speedrun "$@"
