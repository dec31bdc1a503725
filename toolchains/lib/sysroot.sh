# SPDX-License-Identifier: Apache-2.0
# A sysroot for cross builds: Debian packages of another architecture, unpacked, not installed.

sysroot_dir() { printf '%s/sysroot-%s\n' "$CACHE" "$1"; }
