# SPDX-License-Identifier: GPL-2.0-only
"""The workloads: one file each with a class named Bench; see bench/README.md."""
