# SPDX-License-Identifier: GPL-2.0-only
# virtio-rh: what a person types. kbuild's own entry is the file Kbuild.

VERSION := $(shell cat VERSION)
KVER ?= $(shell uname -r)
KDIR ?= /lib/modules/$(KVER)/build
DESTDIR ?=
MODDIR ?= updates
V ?= 0

# MODULE_VERSION of a development tree names its commit; a release, an unpacked
# tarball and a DKMS tree say VERSION alone.
GITREV := $(shell git -C $(CURDIR) describe --always --dirty --abbrev=10 2>/dev/null)
VRH_VERSION ?= $(VERSION)$(if $(GITREV),+g$(GITREV))

PYTHON := /usr/bin/python3
KBUILD = $(MAKE) -C $(KDIR) M=$(CURDIR) V=$(V) VRH_VERSION=$(VRH_VERSION)
STRICT := W=1 VRH_WERROR=y

KERNEL ?= 6.12
BENCH ?= blk
PAIRS ?= 5

DKMS ?= dkms
DKMS_NAME := virtio-rh
DKMS_SRC := $(DESTDIR)/usr/src/$(DKMS_NAME)-$(VERSION)
DKMS_FILES := Kbuild Makefile VERSION LICENSE dkms.conf compat include packaging \
	virtio_net_rh virtio_blk_rh virtio_console_rh virtio_balloon_rh pvclock

.DEFAULT_GOAL := help

help:		## list the targets
	@echo 'virtio-rh $(VRH_VERSION): virtio drivers for guests on KVM'
	@echo
	@sed -n 's/^\([a-z_-]*\):.*## \(.*\)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20
	@echo
	@echo 'Variables: KVER (default: the running kernel) or KDIR choose the kernel to build for;'
	@echo 'KERNEL (6.1, 6.12, 7.3, debug) the guest of bench and kunit; V=1 shows commands.'

$(KDIR)/Makefile:
	@echo 'virtio-rh: no kernel headers in $(KDIR)' >&2
	@echo '  install linux-headers-$(KVER), or name another kernel: make KVER=... or KDIR=...' >&2
	@false

modules: $(KDIR)/Makefile	## build the five modules, warnings are errors
	$(KBUILD) $(STRICT) KUNIT=$(KUNIT) modules

dkms: $(KDIR)/Makefile	## build as DKMS does, in its own copy of the tree
	packaging/dkms-build $(KVER) $(KDIR)

sparse: $(KDIR)/Makefile	## check the modules with sparse, endianness included
	tests/static/sparse $(KDIR)

matrix: $(KDIR)/Makefile	## print what the kernel has of what compat/ asks for
	@$(KBUILD) -s vrh-modules= modules
	@sed -n 's/^#define \(VRH_[A-Z0-9_]*\) 1/\1 yes/p; s,^/\* \(VRH_[A-Z0-9_]*\): no \*/,\1 no,p' compat/config.h

checkpatch:	## check the style with the newest kernel's checkpatch.pl --strict
	tests/static/checkpatch

check:		## everything: static checks, builds, DKMS, KUnit, guests
	tests/check

demo:		## boot a guest, move data through all five modules, print a table
	tests/demo --kernel $(KERNEL)

bench:		## in-tree against ours: make bench BENCH=blk KERNEL=6.12 PAIRS=5
	bench/bench $(BENCH) --kernel $(KERNEL) --pairs $(PAIRS)

modules_install: $(KDIR)/Makefile	## copy built modules below INSTALL_MOD_PATH, no depmod
	$(KBUILD) INSTALL_MOD_DIR=$(MODDIR) DEPMOD=true modules_install

install:	## copy to /usr/src and let DKMS build and install for KVER
	install -d $(DKMS_SRC)
	cp -R $(DKMS_FILES) $(DKMS_SRC)/
	$(DKMS) add -m $(DKMS_NAME) -v $(VERSION)
	$(DKMS) install -m $(DKMS_NAME) -v $(VERSION) -k $(KVER)

uninstall:	## remove every module that DKMS installed, and the sources
	-$(DKMS) remove -m $(DKMS_NAME) -v $(VERSION) --all
	rm -rf $(DKMS_SRC)

clean:		## remove what a build made
	find . -path ./.git -prune -o \( -name '*.o' -o -name '*.ko' -o -name '*.mod' \
		-o -name '*.mod.c' -o -name '.*.cmd' -o -name '*.symvers' \
		-o -name modules.order -o -name '.*.d' \) -type f -exec rm -f {} +
	rm -f compat/all.c compat/config.h compat/probe.log
	rm -rf .tmp_versions

.PHONY: help modules dkms sparse matrix checkpatch check demo bench \
	modules_install install uninstall clean
