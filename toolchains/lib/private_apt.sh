# SPDX-License-Identifier: Apache-2.0
# Downloads through apt with lists, cache and settings of our own. The machine's apt state is
# read (mirror, keyring, proxy) and never changed, so no root rights are needed.

# The machine's sources as one-line entries "URI SUITE KEYRING", from both file formats.
# KEYRING is "-" when the entry names none, or holds the key itself.
machine_sources() {
  local etc="${CLEAVE_APT_ETC:-/etc/apt}"
  cat_stanzas "$etc/sources.list" "$etc"/sources.list.d/*.list | awk '
    $1 != "deb" || /cdrom:/ { next }
    {
      key = "-"; first = 2
      if ($2 ~ /^\[/) {
        while (first <= NF) {
          option = $first; gsub(/[][]/, "", option)
          if (option ~ /^signed-by=/) { sub(/^signed-by=/, "", option); key = option }
          if ($(first++) ~ /\]$/) break
        }
      }
      if (key !~ /^\//) key = "-"
      for (i = first + 2; i <= NF; i++) if ($i == "main") { print $first, $(first + 1), key; break }
    }'
  cat_stanzas "$etc"/sources.list.d/*.sources | awk '
    function flush(   i, j, uris, suites, u, s) {
      u = split(field["uris"], uris); s = split(field["suites"], suites)
      if ((" " field["types"] " ") ~ / deb / && (" " field["components"] " ") ~ / main / &&
          tolower(field["enabled"]) !~ /no|false|0/)
        for (i = 1; i <= u; i++) for (j = 1; j <= s; j++)
          if (uris[i] !~ /^cdrom:/) print uris[i], suites[j], (field["signed-by"] ~ /^\// ? field["signed-by"] : "-")
      delete field
    }
    /^#/ { next }
    /^[[:space:]]*$/ { flush(); next }
    /^[[:space:]]/ { field[name] = field[name] " " $0; next }
    { name = tolower($0); sub(/:.*/, "", name); sub(/^[^:]*:[[:space:]]*/, ""); field[name] = $0 }
    END { flush() }'
}

# Files one after the other, each ended by a blank line.
cat_stanzas() {
  local file
  for file in "$@"; do
    [ ! -r "$file" ] || { cat -- "$file"; echo; }
  done
}

debian_codename() { sed -n 's/^VERSION_CODENAME=//p' /etc/os-release; }

# The machine's entry for its own Debian release: "URI KEYRING".
debian_mirror() {
  machine_sources | awk -v release="$(debian_codename)" '
    $2 == release || $2 == "stable" || $2 == "oldstable" { print $1, $3; exit }'
}

# Writes source lines of each SUITE at the machine's mirror.
write_source_suites() {
  local mirror keyring suite
  read -r mirror keyring < <(debian_mirror) ||
    die "apt's sources name no Debian mirror: give the archives of toolchains/pins.txt with --sources DIR"
  for suite in "$@"; do
    apt_line deb-src Sources "$mirror" "$suite" "$keyring"
  done
}

# Writes binary lines for the machine's own release, with its updates and security suites.
write_binary_suites() {
  local uri suite keyring release
  release="$(debian_codename)"
  while read -r uri suite keyring; do
    case "$suite" in
      "$release" | "$release"-updates | "$release"-security | "$release"/updates)
        apt_line deb Packages "$uri" "$suite" "$keyring" ;;
    esac
  done < <(machine_sources)
}

apt_line() {
  local signed=""
  [ "$5" = - ] || signed=" signed-by=$5"
  printf '%s [target=%s lang=none%s] %s %s main\n' "$1" "$2" "$signed" "$3" "$4"
}

# private_apt_open DIR ARCHITECTURE < source lines: an apt world of its own in DIR.
private_apt_open() {
  local dir="$1"
  command -v apt-get >/dev/null || die "no apt-get here: give the archives of toolchains/pins.txt with --sources DIR"
  mkdir -p "$dir"/lists/partial "$dir"/cache/archives/partial
  cat >"$dir/sources.list"
  [ -s "$dir/sources.list" ] || die "apt's sources name no Debian mirror for $(debian_codename): nothing to download from"
  : >"$dir/status"
  # The hooks cleared here belong to the machine's own updates (they may need root).
  cat >"$dir/apt.conf" <<CONF
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear APT::Architectures;
APT::Architecture "$2";
APT::Architectures { "$2"; };
APT::Sandbox::User "";
APT::Default-Release "";
Dir::State "$dir";
Dir::State::lists "$dir/lists";
Dir::State::status "$dir/status";
Dir::Cache "$dir/cache";
Dir::Etc::sourcelist "$dir/sources.list";
Dir::Etc::sourceparts "-";
Dir::Etc::preferences "-";
Dir::Etc::preferencesparts "-";
Acquire::Retries "3";
APT::Update::Error-Mode "any";
CONF
  apt-get --config-file="$dir/apt.conf" update >"$dir/log" 2>&1 || {
    grep '^[EW]:' "$dir/log" | head -n 3 >&2 || true
    die "cannot reach the Debian mirror named in this machine's apt sources: check the network, or give the archives with --sources DIR"
  }
}

# private_apt DIR COMMAND ARGUMENTS...: runs apt-get or apt-cache in that world.
private_apt() {
  local dir="$1" command="$2"
  shift 2
  "$command" --config-file="$dir/apt.conf" "$@"
}
