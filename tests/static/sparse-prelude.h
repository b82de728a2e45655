/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For sparse alone, and only while its packaged version (0.6.4) lacks what the
 * headers of 7.3 use: C23's __typeof_unqual__, and __builtin_strlen() of a
 * literal as a constant (MODULE_INFO asserts with it). Neither changes a type
 * or an address space that sparse judges.
 */
#define __typeof_unqual__ __typeof__
#define __builtin_strlen(s) (sizeof(s) - 1)
