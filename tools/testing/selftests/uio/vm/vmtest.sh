#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Build this kernel tree small, boot it in QEMU with devices that do DMA, run
# the UIO selftests there.

set -euo pipefail
export LC_ALL=C

HERE=$(realpath "$(dirname "$0")")
TREE=$(realpath "$HERE/../../../../..")
SELFTESTS=$TREE/tools/testing/selftests

usage() {
	cat <<EOF
Usage: vmtest.sh [options]
  -o DIR    where to build and to keep logs (default: .uio-vm in this tree)
  -d        debug kernel: KASAN, lockdep, DMA_API_DEBUG, fault injection, ...
  -m        UIO as modules
  -g        measure what is executed, see config.gcov; each boot leaves its
            .gcda files in gcov.tar
  -c A,B    with the configuration fragments config.A and config.B as well
  -t A,B    only these boots, see -l
  -p A,B    only these programs
  -x CMD    only this program with these arguments, which may be one that is
            not run otherwise, and no KUnit; can be repeated
  -f FILE   have FILE in /tests of the virtual machine
  -T N      seconds that a program may take
  -e A=B    a variable in the environment of the programs; can be repeated.
            VM_FUZZ_SECS=N lets uio_fuzz run for N seconds (default: 60)
  -i        time that counts instructions: a busy host changes nothing, and
            nothing waits; all CPUs take turns
  -k        only KUnit
  -a TEXT   more kernel parameters
  -b        build only
  -q        build only the kernel, which was configured and built before
  -K DIR    build nothing, boot the kernel in DIR: its build directory, or copies
            of its image, usr/gen_init_cpio and the modules from there
  -D        demo: one boot, one program (see -x), its output here
  -j N      jobs (default: one per CPU)
  -P N      boots at a time (default: one per CPU)
  -l        list the boots
  -h        this text

ARCH=arm64 or arm builds and boots that (default: x86_64), CROSS_COMPILE says with
what.
ACCEL=kvm boots with KVM (default: tcg). QEMU, CC, CC32, MAKE and ccache are
taken from PATH or the environment; any other environment is the kernel build's
own.

Exit status: 0 all passed, 1 a test failed, 2 the kernel broke or did not come
to the end, 3 it could not be built, 4 nothing was run.
EOF
}

say() { printf 'vmtest: %s\n' "$*"; }
stop() { printf 'vmtest: error: %s\n' "$2" >&2; exit "$1"; }

out=''
debug='' module='' demo='' kunit_only='' build_only=''
want_boots='' want_programs='' fragments='' commands='' limit=''
variables='' append='' extra_files='' quick='' boot_kernel='' gcov=''
counted=''
jobs=$(nproc)
parallel=$(nproc)

arch=${ARCH:-x86_64}
case $arch in
x86_64)
	cross=${CROSS_COMPILE:-}
	qemu=${QEMU:-qemu-system-x86_64}
	cc32=${CC32:-${CC:-gcc} -m32} arch32=x86_64
	image=vmlinux
	boots_file=$HERE/boots
	# A busy host can make the guest believe that its timer does not work.
	machine_params='console=ttyS0 no_timer_check'
	packages='qemu-system-x86, libc6-dev-i386'
	;;
arm64)
	cross=${CROSS_COMPILE-aarch64-linux-gnu-}
	qemu=${QEMU:-qemu-system-aarch64}
	cc32=${CC32:-arm-linux-gnueabihf-gcc} arch32=arm
	image=arch/arm64/boot/Image
	boots_file=$HERE/boots.arm64
	machine_params=console=ttyAMA0
	packages='qemu-system-arm, gcc-aarch64-linux-gnu, gcc-arm-linux-gnueabihf'
	;;
arm)
	cross=${CROSS_COMPILE-arm-linux-gnueabihf-}
	qemu=${QEMU:-qemu-system-arm}
	cc32='' arch32=''
	image=arch/arm/boot/zImage
	boots_file=$HERE/boots.arm
	machine_params=console=ttyAMA0
	packages='qemu-system-arm, gcc-arm-linux-gnueabihf'
	;;
*)
	stop 3 "no boots for ARCH=$arch"
	;;
esac

# That file without comments and the blanks around "|".
boots() { sed 's/ *| */|/g; s/^ *//; s/ *$//; /^#/d; /^$/d' "$boots_file"; }

while getopts 'o:dmgc:t:p:x:f:T:e:ika:bqK:Dj:P:lh' opt; do
	case $opt in
	o) out=$OPTARG ;;
	d) debug=1 ;;
	m) module=1 ;;
	g) gcov=1 ;;
	c) fragments=${OPTARG//,/ } ;;
	t) want_boots=$OPTARG ;;
	p) want_programs=$OPTARG ;;
	x) commands+=$OPTARG$'\n' ;;
	f) extra_files+=$(realpath "$OPTARG")$'\n' ;;
	T) limit=$OPTARG ;;
	e) variables+=" $OPTARG" ;;
	i) counted=1 ;;
	k) kunit_only=1 ;;
	a) append=$OPTARG ;;
	b) build_only=1 ;;
	q) build_only=1 quick=1 ;;
	K) boot_kernel=$(realpath "$OPTARG") ;;
	D) demo=1 parallel=1 ;;
	j) jobs=$OPTARG ;;
	P) parallel=$OPTARG ;;
	l) boots | cut -d'|' -f1; exit 0 ;;
	h) usage; exit 0 ;;
	*) usage >&2; exit 3 ;;
	esac
done

# Seconds
program_limit=300 boot_limit=1800
[ -z "$debug" ] || program_limit=900 boot_limit=3600

[ -z "$limit" ] || program_limit=$limit boot_limit=$((limit + boot_limit))

variant=builtin
[ -z "$module" ] || variant=module
[ -z "$debug" ] || fragments="debug $fragments"
[ -z "$gcov" ] || fragments="gcov $fragments"
for fragment in $fragments; do
	variant=$fragment-$variant
done
[ -n "$out" ] || out=$TREE/.uio-vm${ARCH:+-$ARCH}
mkdir -p "$out"
out=$(realpath "$out")
kernel=${boot_kernel:-$out/kernel-$variant}
accel=${ACCEL:-tcg}

# Nanoseconds for one instruction, as a power of two: the debug kernel gets as
# far in a given time as others.
if [ -n "$counted" ]; then
	accel='tcg -icount shift=3,sleep=off'
	[ -z "$debug" ] || accel='tcg -icount shift=0,sleep=off'
fi

# A second compiler run with the same result is waste. The variables make the
# result the same wherever the tree lies.
cc=${CC:-${cross}gcc}
if command -v ccache >/dev/null; then
	cc="ccache $cc" cc32=${cc32:+"ccache $cc32"}
	export CCACHE_BASEDIR=${CCACHE_BASEDIR:-$(dirname "$TREE")}
	export CCACHE_NOHASHDIR=1
	export CCACHE_IGNOREOPTIONS='-fmacro-prefix-map=* -ffile-prefix-map=*'
fi
export KBUILD_BUILD_TIMESTAMP='Thu Jan  1 00:00:00 UTC 1970'
export KBUILD_BUILD_USER=vmtest KBUILD_BUILD_HOST=vmtest

# Variables for make, from lines "# make: VARIABLE=VALUE" of the fragments
make_vars=()

kmake() {
	"${MAKE:-make}" -C "$TREE" O="$kernel" ARCH="$arch" CROSS_COMPILE="$cross" \
		CC="$cc" -j"$jobs" "${make_vars[@]}" "$@"
}

# Background jobs ignore Ctrl-C: what runs is ended by name.
child=''
end_child() { [ -z "$child" ] || kill "$child" 2>/dev/null || true; }
trap 'end_child; kill $(jobs -pr) 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM

matches() { grep -cE "$1" "$2" || true; }

compile_errors='error:|undefined reference|undefined!|No rule to make'

# logged LOG WHAT COMMAND...: run it, show that it lives, on failure show why
logged() {
	local log=$1 what=$2 start=$SECONDS t=0
	shift 2

	say "$what"
	"$@" >"$log" 2>&1 </dev/null &
	child=$!
	while kill -0 "$child" 2>/dev/null; do
		sleep 0.2
		t=$((t + 1))
		[ $((t % 100)) -ne 0 ] ||
			say "  $(matches '^  [A-Z0-9]* ' "$log") steps, $((SECONDS - start)) s"
	done
	if ! wait "$child"; then
		grep -E -A 3 "$compile_errors" "$log" >"$log.errors" ||
			tail -n 15 "$log" >"$log.errors"
		head -n 40 "$log.errors" >&2
		stop 3 "$what: failed, see $log"
	fi
	child=''
}

# Later fragments win.
merge_config() {
	awk '
		/^CONFIG_/ { key = $0; sub(/=.*/, "", key) }
		/^# CONFIG_.* is not set$/ { key = $2 }
		!/^(# )?CONFIG_/ { next }
		!(key in line) { order[++n] = key }
		{ line[key] = $0 }
		END { for (i = 1; i <= n; i++) print line[order[i]] }
	' "$@"
}

# Kconfig drops without a word what has no such symbol or an unmet dependency.
check_config() {
	local line lost=''

	while read -r line; do
		case $line in
		'# '*) ! grep -q "^${line:2:-11}=" "$kernel/.config" ;;
		*) grep -qxF "$line" "$kernel/.config" ;;
		esac || lost+=$'\n'"  $line"
	done <"$kernel/wanted"
	[ -n "$lost" ] || return 0
	if [ -n "${VMTEST_LOST_OK:-}" ]; then
		say "not in this kernel:$lost"
		return
	fi
	stop 3 "Kconfig did not take these lines of $HERE/config*:$lost"
}

build_kernel() {
	local files=("$HERE/config" "$HERE/config.$arch") fragment
	local targets=("$(basename "$image")")

	[ -z "$module" ] || targets+=(modules)
	for fragment in $fragments ${module:+module}; do
		[ -e "$HERE/config.$fragment" ] || stop 3 "no $HERE/config.$fragment"
		files+=("$HERE/config.$fragment")
	done
	mapfile -t make_vars < <(sed -n 's/^# make: //p' "${files[@]}")
	if [ -n "$quick" ]; then
		logged "$kernel/build.log" "building the kernel ($variant)" \
			kmake "${targets[@]}"
		return
	fi
	mkdir -p "$kernel"
	merge_config "${files[@]}" >"$kernel/wanted"
	logged "$kernel/config.log" "configuring ($variant)" \
		kmake KCONFIG_ALLCONFIG="$kernel/wanted" allnoconfig
	check_config
	say "a kernel takes 10 to 20 minutes on two CPUs, 2 if ccache knows it"
	logged "$kernel/build.log" "building the kernel ($variant)" \
		kmake "${targets[@]}"
	logged "$kernel/headers.log" "exporting its headers" kmake headers
}

# build_tests DIRECTORY TO [CC HEADERS]
build_tests() {
	mkdir -p "$2"
	LDFLAGS='-static -s' logged "$2.log" "building $(basename "$1")${3:+ with $3}" \
		"${MAKE:-make}" -C "$SELFTESTS/$1" OUTPUT="$2" CC="${3:-$cc}" \
		KHDR_INCLUDES="-isystem ${4:-$kernel}/usr/include" -j"$jobs" all
}

# 32-bit programs may need the headers of another architecture.
build_tests32() {
	local headers=$kernel

	if [ "$arch32" != "$arch" ]; then
		headers=$out/headers-$arch32
		logged "$headers.log" "exporting the headers of $arch32" \
			"${MAKE:-make}" -C "$TREE" O="$headers" ARCH="$arch32" headers
	fi
	build_tests uio "$1" "$cc32" "$headers"
}

# One line a program that a selftest directory runs: NAME PATH-IN-GUEST
test_list() {
	"${MAKE:-make}" -s -C "$SELFTESTS/$1" OUTPUT="$2" emit_tests 2>/dev/null |
		sed -n "s,^[^:]*:\(.*\),\1$4 $3/\1,p"
}

# Those that both the boot and -p name, who each may name none.
selected() {
	awk -v only=",$1," -v want=",$want_programs," '
		function named(list) { return list == ",," || index(list, "," $1 ",") }
		named(only) && named(want)
	'
}

build_programs() {
	tests=$out/tests
	mkdir -p "$tests"
	$cc -O2 -Wall -static -o "$out/init" "$HERE/init.c"
	[ -z "$kunit_only" ] || return 0
	build_tests uio "$tests/uio"
	[ -z "$demo" ] || return 0
	build_tests dmabuf-heaps "$tests/dmabuf-heaps"
	[ -n "$cc32" ] || return 0
	echo 'int main(void) { return 0; }' >"$tests/m32.c"
	if $cc32 -static -o "$tests/m32" "$tests/m32.c" 2>/dev/null; then
		build_tests32 "$tests/uio32"
	else
		say "no 32-bit programs: nothing that links them (Debian: $packages)"
		rm -rf "$tests/uio32"
	fi
}

# What the kernel needs of its modules, in the order of their dependencies.
module_order() {
	local ko dep

	find "$kernel" -name '*.ko' | while read -r ko; do
		echo "$(basename "$ko" .ko) $(basename "$ko" .ko)"
		for dep in $(modinfo -F depends "$ko" | tr ',' ' '); do
			echo "$dep $(basename "$ko" .ko)"
		done
	done | tsort
}

# initramfs FLAGS TO
make_initramfs() {
	local flags=$1 to=$2 flag only=''
	local spec=$to.spec list=$to.list

	: >"$list"
	if [ -n "$demo" ] && [ -z "$commands" ]; then
		echo "uio_edu_demo /tests/uio/uio_edu_demo" >"$list"
	elif [ -n "$commands" ]; then
		sed '/^$/d; s,^\([^ ]*\),\1 /tests/uio/\1,' <<<"$commands" >"$list"
	elif [ -z "$kunit_only" ]; then
		for flag in $flags; do
			[[ $flag != only:* ]] || only=${flag#only:}
			[[ -z $debug || -n $want_programs || $flag != debug:* ]] ||
				only=${flag#debug:}
		done
		{
			test_list uio "$out/tests/uio" /tests/uio ''
			[[ $flags != *compat* || ! -d $out/tests/uio32 ]] ||
				test_list uio "$out/tests/uio32" /tests/uio32 -32
			[[ $flags != *heaps* ]] ||
				test_list dmabuf-heaps "$out/tests/dmabuf-heaps" \
					/tests/dmabuf-heaps ''
		} | selected "$only" >"$list"
	fi

	# No more than is run: a small boot has little room. The list comes last,
	# so that whoever finds it finds the programs as well.
	{
		echo 'dir /dev 0755 0 0'
		echo 'nod /dev/console 0600 0 0 c 5 1'
		echo 'dir /proc 0755 0 0'
		echo 'dir /sys 0755 0 0'
		echo 'dir /tmp 1777 0 0'
		echo 'dir /tests 0755 0 0'
		echo 'dir /modules 0755 0 0'
		echo "file /init $out/init 0755 0 0"
		awk '{ print $2 }' "$list" | sort -u |
			sed -n "s,^/tests/\([^/]*\)/.*,dir /tests/\1 0755 0 0,p" | sort -u
		awk -v out="$out" '{ print "file", $2, out $2, "0755 0 0" }' "$list" |
			sort -u
		if [ -n "$module" ]; then
			module_order | sed 's,.*,/modules/&.ko,' >"$to.order"
			echo "file /modules/order $to.order 0644 0 0"
			find "$kernel" -name '*.ko' |
				sed 's,.*/\(.*\),file /modules/\1 & 0644 0 0,'
		fi
		echo "file /tests/list $list 0644 0 0"
		sed -n 's,.*/\(.*\),file /tests/\1 & 0644 0 0,p' <<<"$extra_files"
	} >"$spec"
	"$kernel/usr/gen_init_cpio" "$spec" | gzip -1 >"$to"
}

# The verdict of a boot, from what it left in its directory.
judge() {
	local dir=$1 flags=$2 expect=$3 broke=''

	awk -f "$HERE/tap.awk" "$HERE/expected" "$dir/result" >"$dir/cases"
	if grep -qE 'Kernel panic|^\[[ .0-9]*\] (BUG|WARNING|Oops|KASAN)' "$dir/console"; then
		broke="the kernel broke"
	elif ! grep -qx '@@ done' "$dir/result"; then
		broke="no end"
		case $(cat "$dir/status") in
		124|137)
			broke="no end within the time limit"
		esac
	elif grep -q $'\tkernel log\t' "$dir/cases"; then
		broke="the kernel complained"
	elif [ "$expect" != - ] && ! grep -qE "$expect" "$dir/console"; then
		broke="the console lacks: $expect"
	elif [[ $flags == *kunit* ]] && ! grep -q '^@@ begin kunit/' "$dir/result"; then
		broke="no KUnit suite ran"
	fi
	if [ -n "$broke" ]; then
		printf 'fail\t-\tboot\t%s\n' "$broke" >>"$dir/cases"
		return 2
	fi
	printf 'pass\t-\tboot\t\n' >>"$dir/cases"
	! grep -q '^fail' "$dir/cases" || return 1
	[ -n "$demo" ] || [ "$(wc -l <"$dir/cases")" -gt 1 ] || return 4
}

pci_devices=(
	-device "edu,dma_mask=0xffffffffffffffff,addr=04.0"
	-device "edu,dma_mask=0xffffffffffffffff,addr=05.0"
	-device "edu,addr=06.0"
	-device "edu,dma_mask=0xffffffffffffffff,addr=10.0"
	-device "edu,dma_mask=0xffffffffffffffff,addr=11.0"
	-device "edu,dma_mask=0xffffffffffffffff,addr=12.0"
	-device "edu,dma_mask=0xffffffffffffffff,addr=13.0"
	-device "edu,dma_mask=0xffffffffffffffff,addr=14.0"
	-device "nvme,drive=disk,serial=vmtest,addr=16.0"
	-device "nvme,drive=disk1,serial=vmtest1,msix-exclusive-bar=on,addr=17.0"
	-device "lsi53c895a,addr=18.0"
	-device "lsi53c895a,addr=19.0"
)

# edit_dtb DIR SCRIPT [options of QEMU]: the device tree that QEMU would make, as
# changed by the sed script, in DIR/dtb
edit_dtb() {
	local dir=$1 script=$2 dtc=$kernel/scripts/dtc/dtc
	shift 2

	{
		"$qemu" "$@" -machine dumpdtb="$dir/dtb.0" -nodefaults -display none &&
			"$dtc" -q -I dtb -O dts "$dir/dtb.0" | sed -f "$script" >"$dir/dts" &&
			"$dtc" -q -I dts -O dtb -o "$dir/dtb" "$dir/dts"
	} >"$dir/dtb.log" 2>&1
}

run_boot() {
	local line=$1 name memory cpus flags args params expect
	local dir start=$SECONDS rc=0 env='' ports=() dtb
	local bus=pci,addr=03.0 devices=("${pci_devices[@]}")

	IFS='|' read -r name memory cpus flags args params expect <<<"$line"
	# What belongs to the machine is for other programs, too.
	if [[ $flags == *bare* ]]; then
		bus=device devices=()
	fi
	dtb=$(sed -n 's/.*dts:\([^ ]*\).*/\1/p' <<<"$flags")
	[ -z "$demo$commands" ] || flags=''
	# These kernels are slow, and have nothing new to say to 32-bit programs.
	[ -z "$debug$gcov" ] || flags=${flags//compat/}
	[ -z "$debug" ] || memory=${memory#*/}
	memory=${memory%/*}
	dir=$out/boots/$variant-$name
	rm -rf "$dir"
	mkdir -p "$dir"
	: >"$dir/result"
	: >"$dir/console"
	truncate -s 128M "$dir/disk"
	make_initramfs "$flags" "$dir/initramfs"

	[[ $flags != *kunit* ]] || env+=' VM_KUNIT=1 kunit.enable=1 kunit.autorun=1'
	env+=" VM_TIMEOUT=$program_limit$variables"
	params="$machine_params panic=-1 oops=panic panic_on_warn=1 $params $append"
	[ -z "$debug" ] || params+=' hung_task_panic=1'

	# shellcheck disable=SC2086 # they are lists
	[ -z "$dtb" ] ||
		edit_dtb "$dir" "$HERE/$dtb" $args -m "$memory" -smp "$cpus" ||
		stop 3 "$name: no device tree, see $dir/dtb.log"

	ports=(-device "virtserialport,chardev=result,name=result")
	[ -z "$gcov" ] || ports+=(-chardev "file,id=gcov,path=$dir/gcov.tar"
		-device "virtserialport,chardev=gcov,name=gcov")

	say "booting $name ($variant)${demo:+, the log goes to $dir/console}"
	# shellcheck disable=SC2086 # they are lists
	timeout --foreground -k 10 "$boot_limit" \
		"$qemu" -accel $accel $args -m "$memory" -smp "$cpus" \
		-nodefaults -no-user-config -no-reboot -display none \
		-chardev "file,id=console,path=$dir/console" -serial chardev:console \
		-chardev "file,id=result,path=$dir/result" \
		-blockdev "driver=file,filename=$dir/disk,node-name=disk" \
		-blockdev driver=null-co,node-name=disk1,size=16777216 \
		-device "virtio-serial-$bus" "${ports[@]}" "${devices[@]}" \
		-kernel "$kernel/$image" ${dtb:+-dtb "$dir/dtb"} -initrd "$dir/initramfs" \
		-append "$params$env" </dev/null >"$dir/qemu" 2>&1 &
	child=$!
	if [ -n "$demo" ]; then
		tail -n +1 -s 0.1 -f --pid="$child" "$dir/result" | sed -u '/^@@ /d'
	else
		watch_boot "$dir" "$start"
	fi
	wait "$child" || rc=$?
	child=''
	echo "$rc" >"$dir/status"
	rm "$dir/disk"

	rc=0
	judge "$dir" "$flags" "$expect" || rc=$?
	{
		echo "passed $(matches "^pass" "$dir/cases")"
		echo "failed $(matches "^fail" "$dir/cases")"
		echo "skipped $(matches "^skip" "$dir/cases")"
		echo "seconds $((SECONDS - start))"
	} >"$dir/summary"
	tell "$name" "$dir" "$rc"
	return "$rc"
}

running() { awk '/^@@ begin/ { p = $3 } END { print p ? p : "boot" }' "$1"; }

watch_boot() {
	local dir=$1 start=$2 t=0

	while kill -0 "$child" 2>/dev/null; do
		sleep 0.2
		t=$((t + 1))
		[ $((t % 100)) -ne 0 ] ||
			say "  $(matches '^ *(not )?ok ' "$dir/result") cases," \
				"$((SECONDS - start)) s, now: $(running "$dir/result")"
	done
}

# What a person wants to know of a boot.
tell() {
	local name=$1 dir=$2 rc=$3

	if [ -z "$demo" ]; then
		awk -F'\t' '
			$1 == "pass" { next }
			{ printf "  %s %s %s", $1 == "fail" ? "FAIL" : "skip", $2, $3 }
			{ print $4 == "" ? "" : ": " $4 }
		' "$dir/cases"
		say "$name: $(xargs <"$dir/summary")"
	fi
	case $rc in
	0|4)
		return
		;;
	2)
		say "the last lines of the console:"
		[ ! -s "$dir/qemu" ] || tail -n 5 "$dir/qemu"
		tail -n 40 "$dir/console"
		;;
	esac
	say "all of it: $dir/result $dir/console"
}

# Leaves the verdict in a file, for it runs in the background.
boot_and_note() {
	local rc=0

	trap end_child EXIT
	trap 'exit 130' INT TERM
	mkdir -p "$out/boots"
	echo 2 >"$out/boots/$variant-$2.rc"
	if [ "$parallel" = 1 ]; then
		run_boot "$1" || rc=$?
	else
		run_boot "$1" > >(sed -u "s/^/[$2] /") 2>&1 || rc=$?
	fi
	echo "$rc" >"$out/boots/$variant-$2.rc"
}

main() {
	local line name result=0 matched=''

	command -v "$qemu" >/dev/null || [ -n "$build_only" ] ||
		stop 3 "no $qemu (Debian: $packages)"
	if [ -z "$boot_kernel" ]; then
		build_kernel
		[ -n "$quick" ] || build_programs
	fi
	[ -z "$build_only" ] || exit 0

	while read -r line <&3; do
		name=${line%%|*}
		if [ -n "$want_boots" ]; then
			[[ ,$want_boots, == *",$name,"* ]] || continue
		elif [ -n "$kunit_only" ]; then
			[[ $(cut -d'|' -f4 <<<"$line") == *kunit* ]] || continue
		elif [ -n "$demo" ]; then
			[ -z "$matched" ] || continue
		fi
		matched+=" $name"
		while [ "$(jobs -rp | wc -l)" -ge "$parallel" ]; do
			sleep 0.2
		done
		boot_and_note "$line" "$name" &
	done 3< <(boots)
	[ -n "$matched" ] || stop 3 "no such boot: $want_boots, see vmtest.sh -l"
	wait

	# Broken is worse than failed, failed worse than nothing run.
	for name in $matched; do
		case $(cat "$out/boots/$variant-$name.rc") in
		0) ;;
		1) [ "$result" = 2 ] || result=1 ;;
		4) [ "$result" != 0 ] || result=4 ;;
		*) result=2 ;;
		esac
	done
	exit "$result"
}

main
