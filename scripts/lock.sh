#!/usr/bin/env bash
# Regenerates requirements.lock and requirements-test.lock from pyproject.toml: the exact version of
# every package, for every operating system and every Python since 3.10.
#
#   scripts/lock.sh             keep the locked versions that are still allowed
#   scripts/lock.sh --upgrade   lock the newest versions
#
# Needs uv, on the PATH or installed into .venv by scripts/test.sh.
set -eu

cd "$(dirname "${BASH_SOURCE[0]}")/.."
uv=$(command -v uv || echo .venv/bin/uv)
if ! "$uv" --version >/dev/null 2>&1; then
  echo "lock.sh: uv is not installed; run scripts/test.sh once, which installs it into .venv" >&2
  exit 2
fi

compile() {
  "$uv" pip compile --quiet --universal --python-version 3.10 --no-header \
    --group pyproject.toml:checkout "$@"
}

# Installing also needs the tools that build this package, so that building it downloads nothing,
# and a newer pip than that of Python 3.10.0, which cannot install it.
build_tools='editables
hatchling
pip'

# The locks leave torch out: a group in pyproject.toml pins it, and setup.sh installs the build for the
# machine. These packages are needed only by its CUDA build.
gpu_only=()
while read -r name; do
  gpu_only+=(--no-emit-package "$name")
done < <(compile --no-annotate pyproject.toml | sed -nE 's/^(torch|triton|(nvidia|cuda)-[^=]*)==.*/\1/p' | sort -u)

write() { # FILE COMMENT [ARGUMENT OF compile]...; reads extra requirements from stdin
  local file=$1 comment=$2
  shift 2
  compile "${gpu_only[@]}" "$@" --output-file "$file" pyproject.toml - >/dev/null
  {
    echo "# $comment Written by scripts/lock.sh."
    sed '/^# The following packages were excluded/,$d' "$file"
  } >"$file.new"
  mv "$file.new" "$file"
}

# The smaller set has what every command of firstwords needs, so that a checkout needs the network
# only once. The larger one comes first and constrains it, so that installing one after the other
# changes no version.
printf '%s\nuv\n' "$build_tools" |
  write requirements-test.lock "Dependencies of the tests, except torch." --extra test "$@"
printf '%s\n' "$build_tools" |
  write requirements.lock "Dependencies of all commands, except torch." \
    --extra data --extra documents --extra eval --extra export --extra serve -c requirements-test.lock "$@"
