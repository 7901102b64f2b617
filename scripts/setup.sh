# shellcheck shell=bash
# Sourced by local_cpu_train.sh, test.sh and speedrun.sh. "set_up run" installs this package and its
# pinned dependencies into .venv in the repository root; "set_up test" also those of the tests. It
# returns at once if everything is installed, and resumes an installation that failed or was killed.
#
# Must run in bash 3.2, which macOS ships.

ROOT=$(unset CDPATH && cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
VENV=$ROOT/.venv
PY=$VENV/bin/python
LOG=$VENV/setup.log

say() { printf 'firstwords: %s\n' "$*" >&2; }

fail() {
  say "$@"
  exit 2
}

set_up() { # run|test
  is_set_up "$1" && return
  trap 'say "installation interrupted; run the same command again to resume"; exit 130' INT
  find_python
  lock
  # Another process may have installed everything while this one waited for the lock.
  is_set_up "$1" || install "$1"
  exec 9>&- # unlocks
  trap - INT
}

# The stamp is written last, so an interrupted installation has none.
is_set_up() { # run|test
  local stamp now
  stamp=$(cat "$VENV/.stamp" 2>/dev/null) && now=$(fingerprint) || return 1
  # An installation for the tests contains everything that a run needs.
  [ "$stamp" = "$now $1" ] || [ "$stamp" = "$now test" ]
}

# Prints a hash of everything that an installation depends on: the pins, pyproject.toml, the
# interpreter, and the path of the checkout (a venv contains absolute paths).
fingerprint() {
  "$PY" -I -S -c '
import hashlib, sys
root = sys.argv[1]
digest = hashlib.sha256(ascii((sys.version, root)).encode())
for name in ("requirements.lock", "requirements-test.lock", "pyproject.toml"):
    with open(root + "/" + name, "rb") as file:
        digest.update(file.read())
print(digest.hexdigest())' "$ROOT" 2>/dev/null
}

# Sets PYTHON to a Python that can create a venv.
find_python() {
  local candidate version seen='' incomplete=''
  local candidates=(python3 python3.13 python3.12 python3.11 python3.10 python3.14 python)
  [ -z "${FIRSTWORDS_PYTHON:-}" ] || candidates=("$FIRSTWORDS_PYTHON")
  for candidate in "${candidates[@]}"; do
    version=$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
    seen="$seen, $candidate is $version"
    case $version in 3.1[0-4]) ;; *) continue ;; esac
    PYTHON=$candidate
    "$PYTHON" -c 'import venv, ensurepip' 2>/dev/null && return
    incomplete=${incomplete:-$version}
  done
  if [ -n "$incomplete" ]; then
    fail "Python $incomplete has no venv module; install it (Debian, Ubuntu: sudo apt install" \
      "python$incomplete-venv), or set FIRSTWORDS_PYTHON to another Python"
  fi
  fail "no Python from 3.10 to 3.14 found (tried ${candidates[*]}$seen); install one" \
    "(Debian, Ubuntu: sudo apt install python3 python3-venv; macOS: brew install python@3.13)," \
    "or set FIRSTWORDS_PYTHON to its path"
}

# Keeps two processes from installing into the same .venv. The kernel ties the lock to file
# descriptor 9: it lasts until this shell and every pip that inherited the descriptor have exited.
# So a kill leaves no stale lock, and an orphaned pip still holds it. (.venv/.lock belongs to uv.)
lock() {
  if ! { mkdir -p "$VENV" && exec 9>"$VENV/.setup-lock"; } 2>/dev/null; then
    fail "cannot write to $VENV; check that the disk is not full and that the directory is yours"
  fi
  "$PYTHON" -I -S -c '
import fcntl, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
try:
    fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("firstwords: waiting for another installation to finish", file=sys.stderr)
    fcntl.flock(9, fcntl.LOCK_EX)
except OSError:
    pass  # this file system has no locks'
}

install() { # run|test
  local start=$SECONDS pins=requirements.lock torch
  [ "$1" = run ] || pins=requirements-test.lock
  torch=$(sed -n 's/^ *"\(torch==[^"]*\)".*/\1/p' "$ROOT/pyproject.toml")
  set_sizes "$1"
  say "installing $torch and $(grep -c '^[a-z]' "$ROOT/$pins") smaller packages into $VENV" \
    "(once; about $DOWNLOAD to download, $((DISK_MB / 1000)).$((DISK_MB / 100 % 10)) GB of disk, a few minutes)"
  check_disk
  rm -f "$LOG"
  venv_works || attempt create_venv || give_up "creating the virtual environment"
  remove_partial_packages
  # --no-deps: the pins are complete. With dependencies, pip would install torch again for the
  # packages that need it, and CUDA with it.
  attempt pip_install --no-deps -r "$ROOT/$pins" || give_up "installing the packages of $pins"
  install_torch "$torch" || give_up "installing $torch"
  attempt pip_install --no-deps --no-build-isolation -e "$ROOT" || give_up "installing firstwords"
  { echo "$(fingerprint) $1" >"$VENV/.stamp.new" && mv -f "$VENV/.stamp.new" "$VENV/.stamp"; } ||
    give_up "writing to $VENV"
  rm -f "$LOG" # it has many megabytes
  say "installed in $((SECONDS - start)) s"
}

# Sets the measured DISK_MB (for .venv and the temporary files of pip) and DOWNLOAD.
set_sizes() { # run|test
  DISK_MB=1500 DOWNLOAD='300 MB'
  if [ "$(uname -s)" = Linux ] && uses_default_torch; then DISK_MB=9000 DOWNLOAD='3 GB'; fi
  [ "$1" = run ] || DISK_MB=$((DISK_MB + 1300)) DOWNLOAD=${DOWNLOAD/300/500}
}

check_disk() {
  local used free
  used=$(du -sk "$VENV/" | awk '{print int($1 / 1000)}')
  free=$("$PYTHON" -c 'import shutil, sys; print(shutil.disk_usage(sys.argv[1]).free // 10**6)' "$VENV")
  [ "$free" -ge $((DISK_MB - used)) ] || disk_full "$((DISK_MB - used))" "only $free MB are free"
}

disk_full() { # MB NEEDED, PROBLEM
  fail "the disk is full: about $1 MB are needed in $VENV, $2;" \
    "free some space, then run the same command again to resume"
}

# False also for the venv of a checkout that was moved or copied since, and for an incomplete one.
venv_works() {
  [ "$(cat "$VENV/.checkout" 2>/dev/null)" = "$ROOT" ] && "$PY" -I -m pip --version >/dev/null 2>&1
}

create_venv() {
  find "$VENV/" -mindepth 1 -maxdepth 1 ! -name .setup-lock -exec rm -rf {} + &&
    "$PYTHON" -I -m venv "$VENV" && printf '%s\n' "$ROOT" >"$VENV/.checkout"
}

# If pip was killed while it installed a package, the next pip takes that package for complete.
# Without the file INSTALLER, which pip writes near the end, it is not.
remove_partial_packages() {
  local info
  for info in "$VENV"/lib/python3*/site-packages/*.dist-info; do
    [ -e "$info/INSTALLER" ] || rm -rf "$info"
  done
}

# The default build of torch for Linux installs gigabytes of CUDA. Without an NVIDIA GPU, install
# the CPU build instead: from the locations in the pip configuration, if they have it, or else with
# uv, which knows where it is published.
install_torch() { # TORCH==VERSION
  if uses_default_torch; then
    attempt pip_install "$1"
    return
  fi
  attempt pip_install --no-index --no-deps "$1" && return
  case $ERRORS in *'No matching distribution'*) ;; *) return 1 ;; esac
  attempt pip_install -c "$ROOT/requirements-test.lock" uv || return
  # uv draws its progress on stderr, which `attempt` captures. On a terminal the first attempt is
  # therefore not captured; only after a failure a second one is.
  if [ -t 2 ] && uv_install "$1" >&2; then return; fi
  attempt uv_install "$1"
}

uses_default_torch() {
  [ "$(uname -s)" != Linux ] || nvidia-smi -L >/dev/null 2>&1
}

uv_install() { # TORCH==VERSION
  "$VENV/bin/uv" --directory "$ROOT" pip install --python "$PY" --torch-backend=cpu --no-deps "$1"
}

# -I: no module in the user's directory or environment can shadow one of pip's.
pip_install() {
  "$PY" -I -m pip install "${PIP_OPTIONS[@]}" "$@"
}
PIP_OPTIONS=(--no-user --no-input --disable-pip-version-check --log "$LOG")
[ -t 2 ] || PIP_OPTIONS+=(--quiet --progress-bar off)

# Runs a command with its stdout shown and its stderr captured in ERRORS (in memory, because the
# disk may be full).
attempt() {
  { ERRORS=$("$@" </dev/null 2>&1 >&3 3>&-); } 3>&2
}

# Fails with one line that explains ERRORS and how to fix them. Quotes them only if they are unknown.
give_up() { # WHAT FAILED
  local full='Errno 28|os error 28|No space left|Errno 122|os error 122|[Qq]uota exceeded'
  local no_build='No matching distribution found for ([^ ]+)'
  local offline='[Nn]ame resolution|NameResolutionError|Name or service not known|nodename nor servname'
  offline="$offline|dns error|ConnectionError|[Cc]onnection (refused|reset|timed out)"
  offline="$offline|Network is unreachable|[Tt]imed out|TimeoutError|ProxyError|error sending request"
  printf '%s\n' "$ERRORS" 2>/dev/null >>"$LOG" || true
  if [[ $ERRORS =~ $full ]]; then
    disk_full "$DISK_MB" "some of them temporarily in ${TMPDIR:-/tmp}"
  elif [[ $ERRORS =~ $offline ]]; then
    fail "no network while $1; connect to the internet or set https_proxy, then run the same" \
      "command again to resume (log: $LOG)"
  elif [[ $ERRORS =~ $no_build ]]; then
    fail "${BASH_REMATCH[1]} is not published for this computer ($(uname -sm), $("$PY" -V));" \
      "remove .venv and set FIRSTWORDS_PYTHON to another Python (log: $LOG)"
  fi
  printf '%s\n' "$ERRORS" | grep -v '^WARNING' | tail -n 5 >&2
  fail "$1 failed, see above and $LOG; run the same command again to resume"
}
