// SPDX-License-Identifier: GPL-2.0-only
/* In 7.3, not in 6.12: hypervisor_cpuid_base(), which finds the leaves of KVM, is called this. */
#include <asm/processor.h>
#ifdef CONFIG_X86
#if __has_include("asm/cpuid/api.h")
#include <asm/cpuid/api.h>
#endif
static inline u32 vrh_probe_x86_cpuid_base_hypervisor(void)
{
	return cpuid_base_hypervisor("KVMKVMKVM\0\0\0", 0);
}
#endif
