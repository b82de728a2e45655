// SPDX-License-Identifier: GPL-2.0-only
/* In 6.12, not in 6.1: operations of syscore get data of their own. */
#include <linux/syscore_ops.h>
static inline void vrh_probe_time_syscore_data(struct syscore *syscore)
{
	register_syscore(syscore);
	unregister_syscore(syscore);
}
