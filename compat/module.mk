# SPDX-License-Identifier: GPL-2.0-only
# Flags that every module of the suite shares; included by each module's Kbuild. One
# that lies deeper says so before: vrh-up := ../..

vrh-up ?= ..
vrh := $(abspath $(src)/$(vrh-up))
ccflags-y += -I$(vrh)/include -I$(vrh)/compat
ccflags-y += -include $(abspath $(obj)/$(vrh-up))/compat/config.h
ccflags-y += -DVRH_VERSION='"$(or $(VRH_VERSION),$(shell cat $(vrh)/VERSION))"'
# Our own builds treat warnings as errors; a DKMS build on a kernel and a
# compiler that we have not met must not fail for a new warning.
ccflags-$(VRH_WERROR) += -Werror
# `make modules GCOV=1`: modules that count which of their lines run, for a kernel with
# CONFIG_GCOV_KERNEL. On others it means nothing.
ifeq ($(GCOV),1)
GCOV_PROFILE := y
endif
