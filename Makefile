# SPDX-License-Identifier: GPL-2.0-only
# virtio-rh: what a person types. kbuild's own entry is the file Kbuild.

ifneq ($(words $(CURDIR))$(findstring :,$(CURDIR)),1)
$(error virtio-rh: the kernel's build system takes no path with white space or a colon: $(CURDIR))
endif

# Without this check "rm -rf $(DESTDIR)/usr/src/..." would be about two paths.
ifneq ($(words [$(DESTDIR)]),1)
$(error virtio-rh: DESTDIR must have no white space: "$(DESTDIR)")
endif

VERSION := $(shell cat VERSION)
KVER ?= $(shell uname -r)
KDIR ?= /lib/modules/$(KVER)/build
DESTDIR ?=
INSTALL_MOD_PATH ?= $(DESTDIR)
MODDIR ?= updates
V ?= 0

# MODULE_VERSION of a checkout names its commit; an unpacked tarball and a DKMS
# tree say VERSION alone.
GITREV := $(if $(wildcard .git),$(shell git -c safe.directory='*' describe --always --dirty \
	--abbrev=10 --exclude='*' 2>/dev/null))
VRH_VERSION ?= $(VERSION)$(if $(GITREV),+g$(GITREV))

# "+" before it in a recipe: otherwise make -j would not reach the build.
KBUILD = $(MAKE) -C $(KDIR) M=$(CURDIR) V=$(V) VRH_VERSION=$(VRH_VERSION)
STRICT := W=1 VRH_WERROR=y

KERNEL ?= 6.12
BENCH ?= blk
PAIRS ?= 5

DRIVER ?= blk
SECONDS ?= 600
SEED ?= 1
FUZZ_KERNEL ?= debug

DKMS ?= dkms
DKMS_NAME := virtio-rh
DKMS_THIS := -m $(DKMS_NAME) -v $(VERSION)
DKMS_SRC := $(abspath $(DESTDIR)/usr/src/$(DKMS_NAME)-$(VERSION))
UDEV_RULES := $(DESTDIR)/etc/udev/rules.d/61-virtio-rh.rules
DKMS_FILES := Kbuild Makefile VERSION LICENSE dkms.conf compat include packaging \
	virtio_net_rh virtio_blk_rh virtio_console_rh virtio_balloon_rh pvclock
# With DESTDIR nothing outside it is read or written, but the kernel's headers.
DKMS_RUN = $(DKMS) $(if $(DESTDIR),--sourcetree $(abspath $(DESTDIR)/usr/src) \
	--dkmstree $(abspath $(DESTDIR)/var/lib/dkms) --installtree $(abspath $(DESTDIR)/lib/modules))

# DKMS is there, and what it would replace or remove is not where we stand.
DKMS_CHECK = command -v $(firstword $(DKMS)) >/dev/null || \
	{ echo 'virtio-rh: dkms is not installed: apt-get install dkms' >&2; exit 1; }; \
	[ '$(CURDIR)' != '$(DKMS_SRC)' ] || { echo 'virtio-rh: make $@ from a checkout elsewhere:' \
		'$(DKMS_SRC) is what it replaces' >&2; exit 1; }

# A machine without udev, or without a running one, needs no telling.
UDEV_RELOAD = $(if $(DESTDIR),,@udevadm control --reload 2>/dev/null && \
	udevadm trigger --subsystem-match=virtio-ports-rh || true)

# What a build leaves, as an expression of find.
OUTPUT := -name .git -prune -o -type f \( -name '*.o' -o -name '*.ko' -o -name '*.mod' \
	-o -name '*.mod.c' -o -name '.*.cmd' -o -name '.*.d' -o -name '*.symvers' -o -name '*.gcno' \
	-o -name modules.order -o -name '*.pyc' -o -name '.checkpatch-camelcase.*' \
	-o -path '*/compat/all.c' -o -path '*/compat/config.h' -o -path '*/compat/probe.log' \) \
	-exec rm -f {} +

.DEFAULT_GOAL := help
# Two targets at a time would build in the same place; one alone uses all of -j.
.NOTPARALLEL:

help:		## list the targets
	@echo 'virtio-rh $(VRH_VERSION): virtio drivers for guests on KVM'
	@echo
	@sed -n 's/^\([a-z_-]*\):.*## \(.*\)/  \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 20
	@echo
	@echo 'Variables: KVER (default: the running kernel) or KDIR (its headers) choose the kernel to'
	@echo 'build for; KERNEL (6.1, 6.12, 7.3, debug) the guest of demo and bench; BENCH, PAIRS what'
	@echo 'is measured and how often; DESTDIR where installing goes; V=1 shows commands.'

$(KDIR)/Makefile:
	@echo 'virtio-rh: no kernel headers in $(KDIR)' >&2
	@echo '  install linux-headers-$(KVER), or name another kernel: make KVER=... or KDIR=...' >&2
	@false

modules: $(KDIR)/Makefile	## build the five modules, warnings are errors
	+$(KBUILD) $(STRICT) KUNIT=$(KUNIT) SIMDEV=$(SIMDEV) modules

dkms: $(KDIR)/Makefile	## what DKMS runs in its own copy of the tree
	+packaging/dkms-build $(KVER) $(KDIR)

sparse: $(KDIR)/Makefile	## check the modules with sparse, endianness included
	tests/static/sparse $(KDIR)

matrix: $(KDIR)/Makefile	## print what the kernel has of what compat/ asks for
	+@$(KBUILD) -s vrh-modules= modules
	@sed -n 's/^#define \(VRH_[A-Z0-9_]*\) 1/\1 yes/p; s,^/\* \(VRH_[A-Z0-9_]*\): no \*/,\1 no,p' compat/config.h

checkpatch:	## check the style with the newest kernel's checkpatch.pl --strict
	tests/static/checkpatch

check:		## static checks, builds, DKMS, KUnit, guests
	tests/check

demo:		## boot a guest, show the modules at work, print a table
	tests/demo --kernel '$(KERNEL)'

bench:		## in-tree against ours: make bench BENCH=blk KERNEL=6.12 PAIRS=5
	bench/bench '$(BENCH)' --kernel '$(KERNEL)' --pairs '$(PAIRS)'

fuzz:		## lie to a driver in a guest: make fuzz DRIVER=blk SECONDS=600 SEED=1
	tests/vm/lab fuzz '$(DRIVER)' --seconds '$(SECONDS)' --seed '$(SEED)' --kernel '$(FUZZ_KERNEL)'

table:		## tell each lie to both drivers of a type, write docs/hostile-table.md (an hour or two)
	tests/vm/lab table --out docs/hostile-table.md

modules_install: $(KDIR)/Makefile	## copy built modules below INSTALL_MOD_PATH, no depmod
	+$(KBUILD) INSTALL_MOD_PATH=$(abspath $(INSTALL_MOD_PATH)) INSTALL_MOD_DIR=$(MODDIR) \
		DEPMOD=true modules_install

# DKMS builds nothing anew that it has built: this kernel's modules of an earlier
# install go first. Other kernels keep theirs.
install: $(KDIR)/Makefile	## copy to /usr/src and let DKMS build and install for KVER
	@[ "$$(id -u)" = 0 ] || { echo 'virtio-rh: make $@ must be run as root' >&2; false; }
	@$(DKMS_CHECK)
	@if $(DKMS_RUN) status $(DKMS_THIS) -k $(KVER) | grep -Eq ': (built|installed)'; then \
		$(DKMS_RUN) remove $(DKMS_THIS) -k $(KVER); fi
	rm -rf $(DKMS_SRC)
	install -d $(DKMS_SRC)
	cp -R $(DKMS_FILES) $(DKMS_SRC)/
	@find $(DKMS_SRC) $(OUTPUT)
	@[ -n "$$($(DKMS_RUN) status $(DKMS_THIS))" ] || $(DKMS_RUN) add $(DKMS_THIS)
	$(DKMS_RUN) install $(DKMS_THIS) -k $(KVER) \
		$(if $(filter-out file,$(origin KDIR)),--kernelsourcedir $(abspath $(KDIR)))
	install -D -m 644 packaging/udev/61-virtio-rh.rules $(UDEV_RULES)
	$(UDEV_RELOAD)

uninstall:	## remove the modules of all kernels and versions, the sources, the udev rules
	@[ "$$(id -u)" = 0 ] || { echo 'virtio-rh: make $@ must be run as root' >&2; false; }
	@$(DKMS_CHECK)
	@known=$$($(DKMS_RUN) status -m $(DKMS_NAME)) || exit; \
	for v in $$(echo "$$known" | sed -n 's,^$(DKMS_NAME)/\([^,:]*\).*,\1,p' | sort -u); do \
		$(DKMS_RUN) remove -m $(DKMS_NAME) -v $$v --all || exit; \
		rm -rf $(abspath $(DESTDIR)/usr/src)/$(DKMS_NAME)-$$v || exit; done
	rm -rf $(DKMS_SRC)
	rm -f $(UDEV_RULES)
	$(UDEV_RELOAD)

clean:		## remove what a build made
	find . $(OUTPUT)
	find . -name .git -prune -o -type d \( -name __pycache__ -o -name .pytest_cache \
		-o -name .tmp_versions \) -prune -exec rm -rf {} +

.PHONY: help modules dkms sparse matrix checkpatch check demo bench fuzz table \
	modules_install install uninstall clean
