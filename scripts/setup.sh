# shellcheck shell=bash
# Sourced by local_cpu_train.sh, test.sh and speedrun.sh. "set_up run" installs this package and its
# pinned dependencies into .venv in the repository root; "set_up test" also those of the tests. It
# returns at once if everything is installed, and resumes an installation that failed or was killed.
#
#   FIRSTWORDS_PYTHON=PATH           the Python to use
#   FIRSTWORDS_ALLOW_CUDA_BUILD=1    installs PyPI's build of PyTorch, which contains CUDA, without
#                                    asking if the index of the CPU build cannot be reached
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
  local start=$SECONDS
  PINS=requirements.lock
  [ "$1" = run ] || PINS=requirements-test.lock
  TORCH=$(sed -n 's/^ *"\(torch==[^"]*\)".*/\1/p' "$ROOT/pyproject.toml")
  set_sizes "$1"
  announce
  check_disk
  rm -f "$LOG"
  venv_works || attempt create_venv || give_up "creating the virtual environment"
  remove_partial_packages
  # --no-deps: the pins are complete. With dependencies, pip would install torch again for the
  # packages that need it, and CUDA with it.
  attempt pip_install --no-deps -r "$ROOT/$PINS" || give_up "installing the packages of $PINS"
  install_torch || give_up "installing $TORCH"
  attempt pip_install --no-deps --no-build-isolation -e "$ROOT" || give_up "installing firstwords"
  { echo "$(fingerprint) $1" >"$VENV/.stamp.new" && mv -f "$VENV/.stamp.new" "$VENV/.stamp"; } ||
    give_up "writing to $VENV"
  rm -f "$LOG" # it has many megabytes
  say "installed in $((SECONDS - start)) s"
}

announce() {
  local missing packages
  packages="$TORCH and $(grep -c '^[a-z]' "$ROOT/$PINS") smaller packages"
  if venv_works && missing=$(missing_packages); then packages=$missing; fi
  case $packages in
  '') say "checking the packages in $VENV" ;;
  torch*) say "installing $packages into $VENV (once; $(sizes), a few minutes)" ;;
  *) say "installing $packages into $VENV" ;;
  esac
}

# Prints the pinned packages that .venv lacks, torch first: "torch==2, a==1, b==3 and 40 more". pip
# needs no network if there are none.
missing_packages() {
  "$PY" -I -c '
import sys
from importlib.metadata import PackageNotFoundError, version
from pip._vendor.packaging.requirements import Requirement

def is_missing(pin):
    if pin.marker and not pin.marker.evaluate():
        return False
    try:
        return not pin.specifier.contains(version(pin.name), prereleases=True)
    except PackageNotFoundError:
        return True

with open(sys.argv[2]) as lock:
    pins = [Requirement(line.strip()) for line in [sys.argv[1], *lock] if line[:1].isalpha()]
missing = [f"{pin.name}{pin.specifier}" for pin in pins if is_missing(pin)]
more = f" and {len(missing) - 3} more" if missing[3:] else ""
print(", ".join(missing[:3]) + more)' "$TORCH" "$ROOT/$PINS"
}

# Sets the measured DISK_MB (for .venv and the temporary files of pip) and DOWNLOAD.
set_sizes() { # run|test
  DISK_MB=1500 DOWNLOAD='300 MB'
  [ "$1" = run ] || DISK_MB=2800 DOWNLOAD='500 MB'
  if [ "$(uname -s)" = Linux ] && uses_default_torch; then add_cuda_sizes; fi
}

add_cuda_sizes() { DISK_MB=$((DISK_MB + 7500)) DOWNLOAD='3 GB'; }

sizes() {
  echo "about $DOWNLOAD to download, $((DISK_MB / 1000)).$((DISK_MB / 100 % 10)) GB of disk"
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
install_torch() {
  if uses_default_torch; then
    attempt pip_install "$TORCH"
    return
  fi
  attempt pip_install --no-index --no-deps "$TORCH" && return
  case $ERRORS in *'No matching distribution'*) ;; *) return 1 ;; esac
  attempt pip_install -c "$ROOT/requirements-test.lock" uv || return
  install_with_uv || install_from_pip_index
}

# uv draws its progress on stderr, which `attempt` captures. On a terminal the first attempt is
# therefore not captured; only after a failure a second one is. The dry run finds an index that
# cannot be reached before anything is drawn.
install_with_uv() {
  attempt uv_install --dry-run "$TORCH" || return
  if [ -t 2 ] && uv_install "$TORCH" >&2; then return; fi
  attempt uv_install "$TORCH"
}

# A mirror or proxy may have PyPI only, whose build for Linux contains CUDA but also works without a
# GPU. If pip's indexes lack torch, too, returns 1 and leaves ERRORS to explain why uv failed.
install_from_pip_index() {
  local problem versions
  problem=$(network_problem) && [ "$problem" != 'no network' ] || return
  versions=" $("$PY" -I -m pip index versions --no-input torch </dev/null 2>/dev/null),"
  case $versions in
  *" ${TORCH#torch==}+cpu,"*) attempt pip_install --no-deps "$TORCH+cpu" ;;
  *" ${TORCH#torch==},"*)
    allow_cuda_build "cannot install the CPU build of $TORCH: $problem"
    attempt pip_install "$TORCH"
    ;;
  *) return 1 ;;
  esac
}

# Returns if a person, or without a terminal the variable, allows a download of gigabytes.
allow_cuda_build() { # PROBLEM
  local answer='' build
  add_cuda_sizes
  build="the build of pip's index, which contains CUDA ($(sizes))"
  if [ "${FIRSTWORDS_ALLOW_CUDA_BUILD:-}" = 1 ]; then
    say "$1; installing $build"
    check_disk
    return
  elif ! { [ -t 0 ] && [ -t 2 ]; }; then
    fail "$1; set https_proxy to reach it, or FIRSTWORDS_ALLOW_CUDA_BUILD=1 to install $build," \
      "then run the same command again to resume (log: $LOG)"
  fi
  say "$1"
  check_disk
  printf 'firstwords: install %s? [y/N] ' "$build" >&2
  read -r answer || true
  case $answer in
  [yY]*) ;;
  *) fail "$TORCH is not installed; run the same command again to resume" ;;
  esac
}

uses_default_torch() {
  [ "$(uname -s)" != Linux ] || nvidia-smi -L >/dev/null 2>&1
}

uv_install() { # [OPTION]... TORCH==VERSION
  "$VENV/bin/uv" --directory "$ROOT" pip install --python "$PY" --torch-backend=cpu --no-deps "$@"
}

# -I: no module in the user's directory or environment can shadow one of pip's.
pip_install() {
  "$PY" -I -m pip install "${PIP_OPTIONS[@]}" "$@"
}
PIP_OPTIONS=(--no-user --no-input --disable-pip-version-check --log "$LOG")
[ -t 2 ] || PIP_OPTIONS+=(--quiet --progress-bar off)

# Runs a command with its stdout shown and its stderr captured in ERRORS (in memory, because the
# disk may be full) and appended to the log.
attempt() {
  { ERRORS=$("$@" </dev/null 2>&1 >&3 3>&-); } 3>&2 && return
  printf '%s\n' "$ERRORS" 2>/dev/null >>"$LOG" || true
  return 1
}

# Fails with one line that explains ERRORS and how to fix them. Quotes them only if they are unknown.
give_up() { # WHAT FAILED
  local full='Errno 28|os error 28|No space left|Errno 122|os error 122|[Qq]uota exceeded'
  local no_build='No matching distribution found for ([^ ]+)' problem missing hint
  if [[ $ERRORS =~ $full ]]; then
    disk_full "$DISK_MB" "some of them temporarily in ${TMPDIR:-/tmp}"
  elif problem=$(network_problem); then
    missing=$(missing_packages) || missing=$TORCH
    hint=$(network_hint "$problem")
    fail "cannot install $missing: $problem; $hint (log: $LOG)"
  elif [[ $ERRORS =~ $no_build ]]; then
    fail "${BASH_REMATCH[1]} is not published for this computer ($(uname -sm), $("$PY" -V));" \
      "remove .venv and set FIRSTWORDS_PYTHON to another Python (log: $LOG)"
  fi
  printf '%s\n' "$ERRORS" | grep -v '^WARNING' | tail -n 5 >&2
  fail "$1 failed, see above and $LOG; run the same command again to resume"
}

# Prints what is wrong with the network, or returns 1 if ERRORS have another cause.
network_problem() {
  local offline='[Nn]ame resolution|NameResolutionError|Name or service not known|nodename nor servname'
  offline="$offline|dns error|ConnectionError|[Cc]onnection (refused|reset|timed out)"
  offline="$offline|Network is unreachable|[Tt]imed out|TimeoutError|ProxyError|error sending request"
  local host
  host=$(unreachable_host)
  [[ -n $host || $ERRORS =~ $offline ]] || return
  if [[ $ERRORS != *[Pp]roxy* ]] && ! has_route; then
    echo 'no network'
  elif [[ $ERRORS == *[Cc]ertificate* ]]; then
    echo "cannot verify the certificate of ${host:-the package index}"
  else
    echo "cannot reach ${host:-the package index}"
  fi
}

# Prints the host of the last request in the log that failed for good. A 404 only says that one of
# several indexes lacks a package.
unreachable_host() {
  sed -nE -e '/ 404 |Retrying/d' \
    -e 's/.*(Could not fetch URL|Failed to fetch:|index URL) .?https?:..([^@/]*@)?([^/:]+).*/\3/p' \
    -e "s/.*host='([^']+)'.*/\1/p" "$LOG" 2>/dev/null | tail -n 1
}

# To connect a UDP socket sends nothing, but fails without a route. The addresses are those that are
# reserved for documentation.
has_route() {
  "$PYTHON" -I -S -c '
import socket, sys
for family, address in (socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"):
    try:
        socket.socket(family, socket.SOCK_DGRAM).connect((address, 9))
        sys.exit(0)
    except OSError:
        pass
sys.exit(1)'
}

network_hint() { # PROBLEM
  case $1 in
  'no network')
    echo "connect to the internet or set https_proxy, then run the same command again to resume"
    ;;
  *certificate*)
    echo "set PIP_CERT and SSL_CERT_FILE to your organization's certificates," \
      "then run the same command again to resume"
    ;;
  *)
    echo "check the network, or set https_proxy, or PIP_INDEX_URL for a mirror," \
      "then run the same command again to resume"
    ;;
  esac
}
