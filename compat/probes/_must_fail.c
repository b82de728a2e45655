// SPDX-License-Identifier: GPL-2.0-only
/* Canary: no kernel has this function; silence here means that errors are lost. */
static inline void vrh_must_fail(void)
{
	vrh_no_kernel_has_this_function();
}
