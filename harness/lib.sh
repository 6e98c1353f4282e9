# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Sourced by every script here.

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
OUT=$(realpath -m "${OUT:-$TOP/out}")
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/uio-dma
PROG=$(basename "$0")

# Sorting and matching must not depend on who runs this.
export LC_ALL=C

say() { printf '[%s] %s\n' "$PROG" "$*"; }
warn() { printf '[%s] warning: %s\n' "$PROG" "$*" >&2; }
die() { printf '[%s] error: %s\n' "$PROG" "$*" >&2; exit 1; }

# All kernels that the series supports, oldest first.
kernels() { find "$TOP/series/kernels" -type f -printf '%f\n' | sort -V; }
newest_kernel() { kernels | tail -n 1; }

# pin KERNEL KEY
pin() { sed -n "s/^$2=//p" "$TOP/series/kernels/$1"; }

check_kernel() {
	[ -n "${1:-}" ] || die "which kernel? one of: $(kernels | xargs)"
	[ -f "$TOP/series/kernels/$1" ] ||
		die "unknown kernel '$1', there are: $(kernels | xargs)"
}

# source_dir KERNEL: the untouched source
source_dir() { printf '%s\n' "$CACHE/src/linux-$1"; }

need_source() {
	[ -f "$(source_dir "$1").version" ] ||
		die "no source of Linux $1 yet, run: harness/fetch $1"
}

# vm_dir KERNEL: where it is built for ARCH, x86_64 by default, and boots
vm_dir() {
	case ${ARCH:-x86_64} in
	x86_64) printf '%s\n' "$OUT/vm-$1" ;;
	*) printf '%s\n' "$OUT/vm-$1-$ARCH" ;;
	esac
}

# Every top-level directory that a kernel tree has as well is overlay: our new
# files, at their place there. Paths relative to TOP.
overlay_dirs() {
	local d

	for d in "$TOP"/*/; do
		d=$(basename "$d")
		[ ! -d "$1/$d" ] || printf '%s\n' "$d"
	done
}

# One writer at a time; a second run waits instead of mixing its files in. The
# lock ends with the last process that has inherited it.
take_lock() {
	mkdir -p "$(dirname "$1")"
	exec 9>"$1"
	flock -n 9 || { say "waiting for another run ($1)"; flock 9; }
}

# A long run tells where it is.
phase() { printf '\n[%s] == %s (%d min since the start)\n' "$PROG" "$*" $((SECONDS / 60)); }
