# SPDX-License-Identifier: GPL-2.0-only
# Asks the kernel's headers all questions of compat/probes/ in one compile and
# writes the answers to compat/config.h. A probe is absent if some error names
# its file. kbuild re-asks when the compiler, its flags, the kernel, a header
# that a probe reads, a probe or the export list changes, and not otherwise.

# The canary that must fail comes last: a compiler that gave up on the way says
# nothing of the probes behind that point, and then nothing of the canary either.
must-fail := $(vrh)/compat/probes/_must_fail.c
probes := $(filter-out $(must-fail),$(sort $(wildcard $(vrh)/compat/probes/*.c))) $(must-fail)
exports := $(vrh)/compat/exports

# Warnings answer nothing, even where the kernel is built with -Werror.
probe-flags := -fsyntax-only -Wno-error -Wno-unused -Wno-missing-prototypes \
	-Werror=implicit-function-declaration \
	-Werror=incompatible-pointer-types -Werror=int-conversion \
	$(if $(CONFIG_CC_IS_CLANG),-ferror-limit=0,-fmax-errors=0 -ftrack-macro-expansion=0)

symvers := $(firstword $(wildcard $(objtree)/Module.symvers $(objtree)/vmlinux.symvers))

quiet_cmd_probe_src = GEN     $@
      cmd_probe_src = printf '\#include "%s"\n' $(probes) > $@

$(obj)/compat/all.c: $(probes) FORCE
	$(shell mkdir -p $(@D))$(call if_changed,probe_src)

# A header that is gone (a kernel newer than all we know) ends the compile, and no
# list of the headers that were read is left. Then each probe is asked alone.
probe-alone = $(CC) $(filter-out -Wp$(comma)-M%,$(c_flags)) $(probe-flags)

quiet_cmd_probe = PROBE   $@ ($(words $(probes)) questions)
      cmd_probe = export LC_ALL=C; \
	$(CC) $(c_flags) $(probe-flags) $< 2>$(@D)/probe.log || :; \
	if grep -q ': fatal error:' $(@D)/probe.log; then \
		for probe in $(probes); do $(probe-alone) $$probe 2>>$(@D)/probe.log || :; done; \
		echo '$@: $<' >$(depfile); \
	fi; \
	awk -v list='$(probes)' -f $(vrh)/compat/probe.awk \
		$(@D)/probe.log $(exports) $(symvers) > $@ || \
	{ head -n 40 $(@D)/probe.log >&2; rm -f $@; false; }

$(obj)/compat/config.h: $(obj)/compat/all.c $(vrh)/compat/probe.awk $(probes) \
		$(exports) $(symvers) $(objtree)/include/generated/utsrelease.h FORCE
	$(call if_changed_dep,probe)

targets += compat/all.c compat/config.h
clean-files += compat/all.c compat/config.h compat/probe.log
