/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one header through which a driver meets kernel differences. It gives
 * every supported kernel the shape of the newest one, so that the drivers read
 * like code for that one. Answers come from compat/config.h, which kbuild
 * generates and includes first; no version number decides anything.
 */
#ifndef VRH_COMPAT_H
#define VRH_COMPAT_H

#include "compat_blk.h"
#include "compat_mm.h"
#include "compat_net.h"
#include "compat_time.h"
#include "compat_virtio.h"

#endif
