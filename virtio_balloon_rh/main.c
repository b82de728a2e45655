// SPDX-License-Identifier: GPL-2.0-only
#include <vrh/log.h>
#include <linux/module.h>
#include "compat.h"
#include <vrh/feature.h>
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("x");
MODULE_VERSION(VRH_VERSION);
