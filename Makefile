# SPDX-License-Identifier: GPL-2.0
#
# Host side only, this file never goes into a kernel tree. What does the work
# is in harness/ and, for everything that boots, next to the selftests.

ALL := $(shell find series/kernels -type f -printf '%f\n' | sort -V)
NEWEST := $(lastword $(ALL))

# What K= chooses, or the default.
pick = $(if $(K),$(K),$(1))
vm_flags = $(if $(filter 1,$(D)),-d) $(if $(BOOT),-t $(BOOT)) $(if $(PROG),-p $(PROG))
comma := ,
each = @set -e; for k in $(1); do $(2); done

MAKEFLAGS += --no-print-directory
.NOTPARALLEL:
.PHONY: help demo demo-nvme bench check check-long gate install fetch series tree apply kernel selftest kunit fuzz static cross mutants coverage diff clean

help:
	@echo 'make demo        watch a user-space driver do DMA (K=$(firstword $(ALL)))'
	@echo 'make demo-nvme   drive a disk from user space, beside the kernel'\''s driver'
	@echo 'make check       run every check and test that is quick enough for every change'
	@echo 'make check-long  run what takes hours: thousands of cycles, long races, leaks'
	@echo
	@echo 'make series      write the patches to out/series/K/, SOB="Name <address>" signs them off'
	@echo 'make tree        patched kernel source for editing at out/linux-K/'
	@echo 'make apply       git am the patches to your kernel tree, KDIR=/path'
	@echo 'make kernel      build the test kernel'
	@echo 'make selftest    boot and run the selftests, BOOT=a,b and PROG=a,b choose'
	@echo 'make kunit       boot and run the KUnit suites only'
	@echo 'make fuzz        boot and make random calls for SECS=600 seconds, with coverage'
	@echo 'make static      checkpatch, kernel-doc, W=1, sparse, every patch builds alone'
	@echo 'make cross       compile what is touched for 32 bits, big-endian and others'
	@echo 'make mutants     put each bug of mutants/ in: does its test fail? ONLY=a,b chooses'
	@echo 'make bench       what things cost, beside what else there is for the purpose'
	@echo 'make gate        do the hot paths take as many instructions as they did?'
	@echo 'make coverage    what of the code do the tests execute? BOOT=a,b chooses boots'
	@echo 'make diff        what differs between the kernels'
	@echo 'make clean       remove out/'
	@echo
	@echo 'K=6.12 or K="6.12 7.3" chooses kernels ($(ALL)), D=1 the debug kernel, ACCEL=kvm KVM.'
	@echo 'ARCH=arm64 or arm with check, selftest, kernel, kunit: that machine.'

install:
	@harness/install

fetch: install
	@harness/fetch $(call pick,$(ALL))

demo: install
	$(call each,$(call pick,$(firstword $(ALL))),\
		harness/fetch $$k; harness/series tree $$k; harness/vm $$k -D)

demo-nvme: install
	$(call each,$(call pick,$(firstword $(ALL))),\
		harness/fetch $$k; harness/series tree $$k; harness/vm $$k -D -x uio_nvme_demo)

bench: tree
	@harness/install gnuplot-nox
	$(call each,$(call pick,$(NEWEST)),harness/bench $$k $(RUNS))

check: install
	@harness/check $(call pick,$(if $(filter-out x86_64,$(ARCH)),$(NEWEST),$(ALL)))

check-long: install
	@harness/check-long $(call pick,$(NEWEST))

series: fetch
	@harness/series make $(call pick,$(ALL))

tree: install
	$(call each,$(call pick,$(NEWEST)),harness/fetch $$k; harness/series tree $$k)

apply: fetch
	@test -n "$(KDIR)" || { echo 'make apply needs KDIR=/path/to/a/kernel/git/tree'; exit 1; }
	@harness/series apply "$(KDIR)" $(K)

kernel: tree
	$(call each,$(call pick,$(NEWEST)),harness/vm $$k -b $(vm_flags))

selftest: tree
	$(call each,$(call pick,$(NEWEST)),harness/vm $$k $(vm_flags))

kunit: tree
	$(call each,$(call pick,$(NEWEST)),harness/vm $$k -k $(vm_flags))

fuzz: tree
	$(call each,$(call pick,$(NEWEST)),harness/fuzz $$k $(if $(SECS),$(SECS),600) $(vm_flags))

cross: tree
	@ARCH=cross harness/install
	$(call each,$(call pick,$(NEWEST)),harness/cross $$k)

static: fetch
	$(call each,$(call pick,$(ALL)),harness/static $$k)

mutants: install
	$(call each,$(call pick,$(NEWEST)),\
		harness/fetch $$k; harness/mutants $$k $(subst $(comma), ,$(ONLY)))

gate: tree
	@harness/gate $(call pick,$(NEWEST))

coverage: tree
	@harness/install lcov
	$(call each,$(call pick,$(NEWEST)),BOOT=$(BOOT) harness/coverage $$k)

diff: fetch
	@harness/series diff

clean:
	rm -rf out
