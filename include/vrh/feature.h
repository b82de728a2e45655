/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Feature bits by name, and the two parameters that every module has: enable
 * and disable_features. Include it in main.c only: it defines the parameters.
 */
#ifndef VRH_FEATURE_H
#define VRH_FEATURE_H

#include <linux/kernel.h>
#include <linux/moduleparam.h>
#include <linux/sysfs.h>
#include <linux/virtio.h>
#include <linux/virtio_config.h>

#include <vrh/param.h>

/**
 * struct vrh_feature - the name of a feature bit
 * @bit: number of the bit in the specification
 * @name: its name there, without the device's prefix
 */
struct vrh_feature {
	unsigned int bit;
	const char *name;
};

/* Bits that belong to the ring and the transport (VIRTIO 1.3, section 6). */
static const struct vrh_feature vrh_transport_features[] = {
	{ 24, "NOTIFY_ON_EMPTY" },
	{ 27, "ANY_LAYOUT" },
	{ 28, "INDIRECT_DESC" },
	{ 29, "EVENT_IDX" },
	{ 32, "VERSION_1" },
	{ 33, "ACCESS_PLATFORM" },
	{ 34, "RING_PACKED" },
	{ 35, "IN_ORDER" },
	{ 36, "ORDER_PLATFORM" },
	{ 37, "SR_IOV" },
	{ 38, "NOTIFICATION_DATA" },
	{ 39, "NOTIF_CONFIG_DATA" },
	{ 40, "RING_RESET" },
	{ 41, "ADMIN_VQ" },
};

/* Without these two the device and the guest would not understand each other. */
#define VRH_INDISPENSABLE_FEATURES \
	(BIT_ULL(VIRTIO_F_VERSION_1) | BIT_ULL(VIRTIO_F_ACCESS_PLATFORM))

static bool enable = true;
module_param(enable, bool, 0444);
MODULE_PARM_DESC(enable, "0: load, but never bind a device (default 1)");

static u64 disable_features;

static inline int vrh_disable_features_set(const char *val, const struct kernel_param *kp)
{
	u64 mask;

	if (!val || kstrtou64(val, 0, &mask) || (mask & VRH_INDISPENSABLE_FEATURES)) {
		pr_err("parameter disable_features=%.*s: must be a mask of feature bits 0 to 63, without bits 32 (VERSION_1) and 33 (ACCESS_PLATFORM)\n",
		       val ? (int)strcspn(val, "\n") : 6, val ?: "(none)");
		return -EINVAL;
	}
	disable_features = mask;
	return 0;
}

static inline int vrh_disable_features_get(char *buf, const struct kernel_param *kp)
{
	return scnprintf(buf, PAGE_SIZE, "%#llx\n", disable_features);
}

static const struct kernel_param_ops vrh_disable_features_ops = {
	.set = vrh_disable_features_set,
	.get = vrh_disable_features_get,
};
module_param_cb(disable_features, &vrh_disable_features_ops, NULL, 0444);
__MODULE_PARM_TYPE(disable_features, "ullong");
MODULE_PARM_DESC(disable_features, "mask of feature bits never to negotiate (default 0)");

/**
 * vrh_clear_disabled_features() - drop what the user does not want
 * @vdev: device whose features are being negotiated
 *
 * Context: from the driver's validate(), before FEATURES_OK.
 */
static inline void vrh_clear_disabled_features(struct virtio_device *vdev)
{
	unsigned int bit;

	for (bit = 0; bit < 64; bit++)
		if ((disable_features & BIT_ULL(bit)) && __virtio_test_bit(vdev, bit))
			__virtio_clear_bit(vdev, bit);
}

/**
 * vrh_features_print() - list the negotiated features by name
 * @vdev: device, after negotiation
 * @table: names of the device type's own bits
 * @n: how many
 * @buf: receives names separated by spaces; a bit without a name prints as its
 *	number
 * @size: bytes in @buf
 *
 * Return: length of the text, without the closing NUL.
 */
static inline int vrh_features_print(struct virtio_device *vdev, const struct vrh_feature *table,
				     size_t n, char *buf, size_t size)
{
	unsigned int bit;
	int len = 0;
	size_t i;

	if (size)
		buf[0] = '\0';
	for (bit = 0; bit < 64; bit++) {
		const char *name = NULL;

		if (!__virtio_test_bit(vdev, bit))
			continue;
		for (i = 0; i < n && !name; i++)
			if (table[i].bit == bit)
				name = table[i].name;
		for (i = 0; i < ARRAY_SIZE(vrh_transport_features) && !name; i++)
			if (vrh_transport_features[i].bit == bit)
				name = vrh_transport_features[i].name;
		if (name)
			len += scnprintf(buf + len, size - len, "%s%s", len ? " " : "", name);
		else
			len += scnprintf(buf + len, size - len, "%s%u", len ? " " : "", bit);
	}
	return len;
}

/**
 * VRH_FEATURES_ATTR() - the read-only device attribute "features"
 * @table: array of struct vrh_feature with the names of the device type's bits
 *
 * Defines dev_attr_features: the negotiated features by name, separated by
 * spaces, as in the line of the probe.
 */
#define VRH_FEATURES_ATTR(table)							\
	static ssize_t features_show(struct device *dev, struct device_attribute *attr,	\
				     char *buf)						\
	{										\
		int len = vrh_features_print(dev_to_virtio(dev), table,			\
					     ARRAY_SIZE(table), buf, PAGE_SIZE - 1);	\
											\
		return len + sysfs_emit_at(buf, len, "\n");				\
	}										\
	static DEVICE_ATTR_RO(features)

#endif
