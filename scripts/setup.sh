# shellcheck shell=bash
# Sourced by local_cpu_train.sh and test.sh. "set_up run" makes .venv in the repository root hold
# this package and what it needs, pinned; "set_up test" also what the tests need. It is quick when
# nothing is to be done, and goes on where it stopped after a failure or a kill.
#
# Written for bash 3.2, which macOS still has.

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
  trap 'say "stopped; start again to go on with the installation"; exit 130' INT
  find_python
  lock
  # Another start may have done the work while this one waited for the lock.
  is_set_up "$1" || install "$1"
  exec 9>&- # unlocks
  trap - INT
}

# The stamp is written last of all, so an installation that was cut short has none.
is_set_up() { # run|test
  local stamp now
  stamp=$(cat "$VENV/.stamp" 2>/dev/null) && now=$(fingerprint) || return 1
  # All that a run needs, the tests need too.
  [ "$stamp" = "$now $1" ] || [ "$stamp" = "$now test" ]
}

# Changes with everything that may make what is installed unfit: the pins, the package's own
# description, the interpreter, and the place of the checkout (a venv holds absolute paths).
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

# Sets PYTHON to a Python that can make a venv.
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
    fail "Python $incomplete lacks its venv module; install it (Debian, Ubuntu: sudo apt install" \
      "python$incomplete-venv) and start again, or name another Python in FIRSTWORDS_PYTHON"
  fi
  fail "needs a Python from 3.10 to 3.14, and found none (tried ${candidates[*]}$seen); install one" \
    "(Debian, Ubuntu: sudo apt install python3 python3-venv; macOS: brew install python@3.13)" \
    "and start again, or give its path in FIRSTWORDS_PYTHON"
}

# Two starts at a time must not write into the same .venv. The kernel keeps this lock with file
# descriptor 9, for as long as this shell or a pip that it left behind has that open: a kill
# leaves no stale lock, and nobody writes beside an orphaned pip. (.venv/.lock is uv's own.)
lock() {
  if ! { mkdir -p "$VENV" && exec 9>"$VENV/.setup-lock"; } 2>/dev/null; then
    fail "cannot write into $VENV; is the disk full, or the directory another user's?"
  fi
  "$PYTHON" -I -S -c '
import fcntl, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
try:
    fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("firstwords: waiting for another start to finish installing", file=sys.stderr)
    fcntl.flock(9, fcntl.LOCK_EX)
except OSError:
    pass  # a file system without locks'
}

install() { # run|test
  local started=$SECONDS pins=requirements.lock torch
  [ "$1" = run ] || pins=requirements-test.lock
  torch=$(sed -n 's/^ *"\(torch==[^"]*\)".*/\1/p' "$ROOT/pyproject.toml")
  measure "$1"
  say "installing $torch and $(grep -c '^[a-z]' "$ROOT/$pins") smaller packages into $VENV" \
    "(once; about $DOWNLOAD to download, $((NEED / 1000)).$((NEED / 100 % 10)) GB of disk, a few minutes)"
  check_space
  rm -f "$LOG"
  venv_works || attempt make_venv || give_up "making the virtual environment"
  remove_half_installed
  # The pins are all there is to install. With their dependencies pip would fetch torch anew for the
  # packages that need it, and CUDA with it.
  attempt pip_install --no-deps -r "$ROOT/$pins" || give_up "installing the packages of $pins"
  install_torch "$torch" || give_up "installing $torch"
  attempt pip_install --no-deps --no-build-isolation -e "$ROOT" || give_up "installing firstwords"
  { echo "$(fingerprint) $1" >"$VENV/.stamp.new" && mv -f "$VENV/.stamp.new" "$VENV/.stamp"; } ||
    give_up "writing into $VENV"
  rm -f "$LOG" # many megabytes
  say "installed in $((SECONDS - started)) s"
}

# Sets NEED (MB of disk, for .venv and what pip keeps meanwhile) and DOWNLOAD, as measured.
measure() { # run|test
  NEED=1500 DOWNLOAD='300 MB'
  if [ "$(uname -s)" = Linux ] && takes_plain_torch; then NEED=9000 DOWNLOAD='3 GB'; fi
  [ "$1" = run ] || NEED=$((NEED + 1300)) DOWNLOAD=${DOWNLOAD/300/500}
}

check_space() {
  local have free
  have=$(du -sk "$VENV/" | awk '{print int($1 / 1000)}')
  free=$("$PYTHON" -c 'import shutil, sys; print(shutil.disk_usage(sys.argv[1]).free // 10**6)' "$VENV")
  [ "$free" -ge $((NEED - have)) ] || disk_full "$((NEED - have))" "only $free MB are free"
}

disk_full() { # MB NEEDED, WHAT IS WRONG
  fail "the disk is full: about $1 MB are needed in $VENV and $2;" \
    "free some space and start again, the installation goes on where it stopped"
}

# Also false for the venv of a checkout that has since been moved or copied, and for one whose
# making was interrupted.
venv_works() {
  [ "$(cat "$VENV/.checkout" 2>/dev/null)" = "$ROOT" ] && "$PY" -I -m pip --version >/dev/null 2>&1
}

make_venv() {
  find "$VENV/" -mindepth 1 -maxdepth 1 ! -name .setup-lock -exec rm -rf {} + &&
    "$PYTHON" -I -m venv "$VENV" && printf '%s\n' "$ROOT" >"$VENV/.checkout"
}

# A package that pip was killed in the midst of looks complete to the next pip. pip writes the
# file INSTALLER near the end.
remove_half_installed() {
  local info
  for info in "$VENV"/lib/python3*/site-packages/*.dist-info; do
    [ -e "$info/INSTALLER" ] || rm -rf "$info"
  done
}

# torch's ordinary build for Linux brings gigabytes of CUDA along. Where that is of no use, take
# the CPU build: from the places that this computer's pip configuration names, if it is there, or
# else through uv, which knows where it is published.
install_torch() { # TORCH==VERSION
  if takes_plain_torch; then
    attempt pip_install "$1"
    return
  fi
  attempt pip_install --no-index --no-deps "$1" && return
  case $COMPLAINTS in *'No matching distribution'*) ;; *) return 1 ;; esac
  attempt pip_install -c "$ROOT/requirements-test.lock" uv || return
  # uv draws its progress on the standard error output, which attempt holds back. So on a
  # terminal the first try goes without, and only a second one, after a failure, with it.
  if [ -t 2 ] && uv_install "$1" >&2; then return; fi
  attempt uv_install "$1"
}

takes_plain_torch() {
  [ "$(uname -s)" != Linux ] || nvidia-smi -L >/dev/null 2>&1
}

uv_install() { # TORCH==VERSION
  "$VENV/bin/uv" --directory "$ROOT" pip install --python "$PY" --torch-backend=cpu --no-deps "$1"
}

# -I: nothing in the user's directory or environment can take the place of pip's own modules.
pip_install() {
  "$PY" -I -m pip install "${PIP_OPTIONS[@]}" "$@"
}
PIP_OPTIONS=(--no-user --no-input --disable-pip-version-check --log "$LOG")
[ -t 2 ] || PIP_OPTIONS+=(--quiet --progress-bar off)

# Runs a command with its progress shown, but what it says on the standard error output held back
# in COMPLAINTS (in memory: the disk may be full).
attempt() {
  { COMPLAINTS=$("$@" </dev/null 2>&1 >&3 3>&-); } 3>&2
}

# Says in one line what COMPLAINTS mean and what to do. Only what is not understood is quoted.
give_up() { # WHAT FAILED
  local full='Errno 28|os error 28|No space left|Errno 122|os error 122|[Qq]uota exceeded'
  local no_build='No matching distribution found for ([^ ]+)'
  local offline='[Nn]ame resolution|NameResolutionError|Name or service not known|nodename nor servname'
  offline="$offline|dns error|ConnectionError|[Cc]onnection (refused|reset|timed out)"
  offline="$offline|Network is unreachable|[Tt]imed out|TimeoutError|ProxyError|error sending request"
  printf '%s\n' "$COMPLAINTS" 2>/dev/null >>"$LOG" || true
  if [[ $COMPLAINTS =~ $full ]]; then
    disk_full "$NEED" "some in ${TMPDIR:-/tmp} for a while"
  elif [[ $COMPLAINTS =~ $offline ]]; then
    fail "no network while $1: packages could not be downloaded; get this computer online (or set" \
      "https_proxy) and start again, the installation goes on where it stopped (log: $LOG)"
  elif [[ $COMPLAINTS =~ $no_build ]]; then
    fail "${BASH_REMATCH[1]} is not published for this computer ($(uname -sm), $("$PY" -V));" \
      "another Python may do: remove .venv and name one in FIRSTWORDS_PYTHON (log: $LOG)"
  fi
  printf '%s\n' "$COMPLAINTS" | grep -v '^WARNING' | tail -n 5 >&2
  fail "$1 failed, see the lines above and $LOG; start again to go on where it stopped"
}
