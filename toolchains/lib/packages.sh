# SPDX-License-Identifier: Apache-2.0
# Installs missing Debian packages. It never removes or replaces any.

# Lists that the options ask for.
wanted_lists() {
  printf '%s\n' base
  [ "$WANT_CROSS" = 0 ] || printf '%s\n' cross
  [ "$WANT_FUZZ$WANT_TESTS" = 00 ] || printf '%s\n' fuzz
  [ "$WANT_DEMO" = 0 ] || printf '%s\n' demo
  [ "$WANT_TESTS" = 0 ] || printf '%s\n' tests
}

# Packages that are neither installed nor replaced by an existing command.
missing_packages() {
  local installed list package command
  installed="$(dpkg-query --show --showformat='${db:Status-Abbrev} ${Package}\n' | sed -n 's/^.i. *//p')"
  for list in $(wanted_lists); do
    while read -r package command; do
      [ -z "$command" ] || ! command -v "$command" >/dev/null || continue
      grep -qxF -- "$package" <<<"$installed" || printf '%s\n' "$package"
    done < <(list_lines "$TOOLCHAINS_DIR/packages/$list.txt")
  done
}

# Sets AS_ROOT to what makes a command run as root.
find_root() {
  AS_ROOT=()
  [ "$(id -u)" != 0 ] || return 0
  command -v sudo >/dev/null ||
    die "missing packages, and neither root nor sudo: run as root: apt-get install --no-remove ${MISSING[*]}"
  AS_ROOT=(sudo)
}

# apt_get LOG ARGUMENTS...: never removes a package; waits for another apt to finish.
apt_get() {
  local log="$1"
  shift
  "${AS_ROOT[@]}" env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get --yes --no-remove \
    --no-install-recommends -o DPkg::Lock::Timeout=300 "$@" >"$log" 2>&1
}

# The package lists of the machine are refreshed only when they do not serve.
install_missing() {
  local log
  log="$(mktemp)"
  if ! apt_get "$log" --dry-run install "${MISSING[@]}" && ! grep -q 'remove is disabled' "$log"; then
    apt_get "$log" update || true
  fi
  apt_get "$log" install "${MISSING[@]}" || explain_apt_failure "$log"
  rm -f -- "$log"
}

explain_apt_failure() {
  local unknown
  unknown="$(sed -n "s/^E: Unable to locate package //p; s/^E: Package '\(.*\)' has no installation candidate/\1/p" "$1" | tr '\n' ' ')"
  [ -z "$unknown" ] || die "apt does not know: ${unknown}(check that apt's sources hold Debian 12 main)"
  ! grep -q 'remove is disabled' "$1" ||
    die "installing ${MISSING[*]} would remove packages of yours, so nothing was done: see apt-get install -s ${MISSING[*]}"
  die "apt-get could not install ${MISSING[*]}: $({ grep '^E:' "$1" || cat "$1"; } | tail -n 1) (log: $1)"
}

install_packages() {
  if ! command -v dpkg-query >/dev/null; then
    [ "$NO_APT" = 1 ] || die "no dpkg here: this script installs on Debian 12; install the packages of toolchains/packages/*.txt yourself and add --no-apt"
    return 0
  fi
  mapfile -t MISSING < <(missing_packages)
  [ "${#MISSING[@]}" -gt 0 ] || return 0
  [ "$NO_APT" = 0 ] || die "missing packages: ${MISSING[*]} (install them, or run without --no-apt)"
  find_root
  stage "packages: ${MISSING[*]}" install_missing
}
