#!/usr/bin/env bash
# Writes requirements.lock and requirements-test.lock anew from pyproject.toml: the exact version
# of every package, for each Python from 3.10 on and each system.
#
#   scripts/lock.sh             keeps the versions that still fit
#   scripts/lock.sh --upgrade   takes the newest ones
#
# Needs uv: one on the PATH, or the one that scripts/test.sh puts into .venv.
set -eu

cd "$(dirname "${BASH_SOURCE[0]}")/.."
uv=$(command -v uv || echo .venv/bin/uv)
if ! "$uv" --version >/dev/null 2>&1; then
  echo "lock.sh: uv is needed; run scripts/test.sh once, it installs uv into .venv" >&2
  exit 2
fi

compile() {
  "$uv" pip compile --quiet --universal --python-version 3.10 --no-header "$@"
}

# A run also needs the tools that install this package itself (no download at build time that
# way), and a pip that is new enough to do so: the one that comes with Python 3.10.0 is not.
build_tools='editables
hatchling
pip'

# torch is pinned in pyproject.toml and installed by a step of its own (see setup.sh), because
# which build of it fits depends on the machine. Only the CUDA build needs these packages.
gpu_only=()
while read -r name; do
  gpu_only+=(--no-emit-package "$name")
done < <(compile --no-annotate pyproject.toml | sed -nE 's/^(torch|triton|(nvidia|cuda)-[^=]*)==.*/\1/p' | sort -u)

write() { # FILE COMMENT ARGUMENTS OF compile; extra requirements on the standard input
  local file=$1 comment=$2
  shift 2
  compile "${gpu_only[@]}" "$@" --output-file "$file" pyproject.toml - >/dev/null
  {
    echo "# $comment Written by scripts/lock.sh."
    sed '/^# The following packages were excluded/,$d' "$file"
  } >"$file.new"
  mv "$file.new" "$file"
}

# The larger set first; the smaller one then takes its versions from it, so that installing the
# one after the other changes nothing.
printf '%s\nuv\n' "$build_tools" |
  write requirements-test.lock "What the tests need, torch aside." --extra test "$@"
printf '%s\n' "$build_tools" |
  write requirements.lock "What a training run needs, torch aside." -c requirements-test.lock "$@"
