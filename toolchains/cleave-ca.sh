#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A small certificate authority for cleave's servers and devices, over the openssl command. It is
# made for tests and for fleets whose owner keeps this folder safe; its keys have no password.
set -euo pipefail
umask 077
export LC_ALL=C

usage() {
  cat <<'EOF'
cleave-ca.sh: certificates and tokens for cleave-server and cleave-agent

  cleave-ca.sh [OPTION...] init [NAME]           make a CA (default name: cleave CA), and an empty
                                                 list of revoked certificates
  cleave-ca.sh [OPTION...] server NAME [SAN...]  certificate of a server; NAME and each SAN is a DNS
                                                 name or an address that agents call it by
  cleave-ca.sh [OPTION...] device NAME           certificate of a device; NAME is what it is called
  cleave-ca.sh [OPTION...] revoke NAME           every certificate of NAME is good no more
  cleave-ca.sh [OPTION...] crl                   the list of revoked certificates anew, as before it
                                                 runs out
  cleave-ca.sh [OPTION...] token NAME            a token of a device, and its line in `tokens`

  --dir DIR        folder of the CA (default: cleave-ca)
  --days N         how long a certificate is good (default: 365; a CA: 3650)
  --crl-days N     how long a list of revoked certificates is good (default: 30)

It writes DIR/ca.crt, DIR/ca.key, DIR/crl.pem, DIR/NAME.crt and DIR/NAME.key, DIR/NAME.token and
DIR/tokens. In the file names of NAME, every character but letters, digits, dot, dash and underscore
becomes an underscore. Nothing that is there is overwritten, but crl.pem and, by a new certificate of
the same kind and NAME, its two files.

Exit codes: 0 done, 1 openssl or the file system refused, 2 wrong usage.
EOF
}

die() {
  printf 'cleave-ca.sh: %s\n' "$2" >&2
  exit "$1"
}

dir=cleave-ca
days=
crl_days=30
while [ $# -gt 0 ]; do
  case "$1" in
    --dir | --days | --crl-days)
      [ $# -ge 2 ] || die 2 "$1 needs a value"
      case "$1" in
        --dir) dir=$2 ;;
        --days) days=$2 ;;
        --crl-days) crl_days=$2 ;;
      esac
      shift 2
      ;;
    --help | -h) usage && exit 0 ;;
    -*) die 2 "no option is called $1; see --help" ;;
    *) break ;;
  esac
done
[ $# -ge 1 ] || { usage >&2 && exit 2; }
[[ ${days:-1} =~ ^-?[0-9]{1,5}$ && $crl_days =~ ^[0-9]{1,5}$ ]] || die 2 "days are whole numbers"
command -v openssl >/dev/null || die 1 "the openssl command is missing (Debian package openssl)"
readonly command=$1
shift

# A name becomes part of openssl's configuration and of a subject: nothing in it may mean more.
check_name() {
  local name=$1
  [ -n "$name" ] || die 2 "a name is needed"
  [ "${#name}" -le 64 ] || die 2 "$name: a common name has 64 characters at most"
  [[ $name =~ ^[A-Za-z0-9][A-Za-z0-9\ ._:@-]*$ && $name != *' ' ]] ||
    die 2 "$name: letters, digits, space and ._:@- only, a letter or digit first"
}

file_of() { printf '%s/%s' "$dir" "${1//[^A-Za-z0-9._-]/_}"; }

# The configuration is written for each call: the machine's own openssl.cnf plays no part.
openssl_with() {
  local config=$1
  shift
  local said
  if ! said=$(OPENSSL_CONF=/dev/null openssl "$@" -config "$config" 2>&1 </dev/null); then
    die 1 "openssl $1: $(printf '%s' "$said" | tr '\n' ' ' | tail -c 500)"
  fi
}

write_config() {
  local to=$1 name=$2 extensions=$3
  cat >"$to" <<EOF
[req]
prompt = no
utf8 = yes
distinguished_name = subject
x509_extensions = authority
[subject]
commonName = "$name"
[authority]
basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[ca]
default_ca = this
[this]
database = $dir/state/index.txt
new_certs_dir = $dir/state/issued
serial = $dir/state/serial
certificate = $dir/ca.crt
private_key = $dir/ca.key
crlnumber = $dir/state/crlnumber
default_md = sha256
unique_subject = no
policy = any
[any]
commonName = supplied
[leaf]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
$extensions
EOF
}

work=
trap '[ -z "$work" ] || rm -rf -- "$work"' EXIT
make_work() { work=$(mktemp -d "$dir/state/work.XXXXXX"); }

need_authority() { [ -f "$dir/ca.key" ] || die 2 "$dir has no CA; make one by: cleave-ca.sh init"; }

new_key() {
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null ||
    die 1 "cannot write a key to $1"
}

# Renewed before devices that hold it would refuse everybody.
write_list() {
  [ -n "$work" ] || make_work
  write_config "$work/ca.cnf" x ''
  openssl_with "$work/ca.cnf" ca -gencrl -crldays "$crl_days" -out "$work/crl.pem"
  chmod 644 "$work/crl.pem"
  mv -f -- "$work/crl.pem" "$dir/crl.pem"
}

init() {
  check_name "$1"
  [ ! -e "$dir/ca.key" ] || die 2 "$dir has a CA already"
  mkdir -p -- "$dir/state/issued"
  : >"$dir/state/index.txt"
  openssl rand -hex 16 >"$dir/state/serial"
  echo 01 >"$dir/state/crlnumber"
  make_work
  new_key "$work/ca.key"
  write_config "$work/ca.cnf" "$1" ''
  openssl_with "$work/ca.cnf" req -x509 -new -key "$work/ca.key" -sha256 -days "${days:-3650}" \
    -out "$work/ca.crt"
  chmod 644 "$work/ca.crt"
  mv -- "$work/ca.crt" "$dir/ca.crt"
  mv -- "$work/ca.key" "$dir/ca.key"
  write_list
  printf '%s\n' "$dir/ca.crt"
}

# Two names may come to one file name, and a server and a device may be called the same.
need_same() {
  local file=$1 name=$2 extensions=$3 subject kind=clientAuth
  subject=$(openssl x509 -in "$file" -noout -subject -nameopt RFC2253) || die 1 "cannot read $file"
  [ "$subject" = "subject=CN=$name" ] || die 2 "$name: $file is of another: ${subject#subject=CN=}"
  openssl x509 -in "$file" -noout -ext extendedKeyUsage | grep -q 'Server' && kind=serverAuth
  [[ $extensions = *$kind* ]] || die 2 "$name: $file is ${kind%Auth}'s; choose another name"
}

# issue NAME EXTENSIONS
issue() {
  local name=$1 file
  need_authority
  file=$(file_of "$name")
  case "$file" in "$dir/ca" | "$dir/crl" | "$dir/tokens") die 2 "$name: that file is the CA's" ;; esac
  [ ! -e "$file.crt" ] || need_same "$file.crt" "$name" "$2"
  make_work
  new_key "$work/leaf.key"
  write_config "$work/leaf.cnf" "$name" "$2"
  openssl_with "$work/leaf.cnf" req -new -key "$work/leaf.key" -sha256 -out "$work/leaf.csr"
  local until=("-days" "${days:-365}")
  # What has ended already, for tests: openssl takes no negative number of days.
  if [[ ${days:-1} = -* ]]; then
    until=(-startdate "$(date -u -d "$((days - 1)) days" +%Y%m%d%H%M%SZ)"
      -enddate "$(date -u -d "$days days" +%Y%m%d%H%M%SZ)")
  fi
  openssl_with "$work/leaf.cnf" ca -batch -notext -extensions leaf "${until[@]}" \
    -in "$work/leaf.csr" -out "$work/leaf.crt"
  chmod 644 "$work/leaf.crt"
  mv -f -- "$work/leaf.key" "$file.key"
  mv -f -- "$work/leaf.crt" "$file.crt"
  printf '%s\n%s\n' "$file.crt" "$file.key"
}

server() {
  local name san all=
  for name in "$@"; do
    check_name "$name"
    san=DNS
    [[ $name =~ ^[0-9.]+$ || $name = *:* ]] && san=IP
    all+="${all:+,}$san:$name"
  done
  issue "$1" "extendedKeyUsage = serverAuth
subjectAltName = $all"
}

device() {
  check_name "$1"
  issue "$1" 'extendedKeyUsage = clientAuth'
}

revoke() {
  check_name "$1"
  need_authority
  local serials serial
  # Also those that were renewed: whoever has the device has the old one too.
  mapfile -t serials < <(awk -F '\t' -v subject="/CN=$1" \
    '$1 == "V" && $6 == subject { print $4 }' "$dir/state/index.txt")
  [ "${#serials[@]}" -gt 0 ] || die 2 "$1 has no certificate in $dir that is good"
  make_work
  write_config "$work/ca.cnf" x ''
  local left=''
  for serial in "${serials[@]}"; do
    (openssl_with "$work/ca.cnf" ca -revoke "$dir/state/issued/$serial.pem") || left+=" $serial"
  done
  write_list  # in any case: of those that are revoked
  [ -z "$left" ] || die 1 "not revoked:$left"
  printf '%s\n' "$dir/crl.pem"
}

token() {
  check_name "$1"
  mkdir -p -- "$dir"
  local file value hash
  file=$(file_of "$1").token
  [ ! -e "$file" ] || die 2 "$file is there already: move it away when its line in tokens is gone"
  value=$(openssl rand -hex 32)
  hash=$(printf '%s' "$value" | openssl dgst -sha256 -r | cut -d' ' -f1)
  printf '%s\n' "$value" >"$file"
  printf '%s %s\n' "$hash" "$1" >>"$dir/tokens"
  printf '%s\n%s\n' "$file" "$dir/tokens"
}

case "$command" in
  init)
    [ $# -le 1 ] || die 2 "init takes one name"
    init "${1:-cleave CA}"
    ;;
  server)
    [ $# -ge 1 ] || die 2 "server needs a name"
    server "$@"
    ;;
  device | revoke | token)
    [ $# -eq 1 ] || die 2 "$command needs one name"
    "$command" "$1"
    ;;
  crl)
    [ $# -eq 0 ] || die 2 "crl takes no name"
    need_authority
    write_list
    printf '%s\n' "$dir/crl.pem"
    ;;
  *) die 2 "no command is called $command; see --help" ;;
esac
