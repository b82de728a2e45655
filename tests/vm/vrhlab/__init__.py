# SPDX-License-Identifier: GPL-2.0-only
"""The guest lab of virtio-rh: kernels, builds, guests and what is counted in them."""

from .guest import Guest, GuestDied, GuestUnhealthy, CommandFailed  # noqa: F401
from .devices import (Balloon, Console, Disk, Port, TapNet, UserNet)  # noqa: F401
