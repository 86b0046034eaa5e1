//! Hardware address ranges, so that a printer's MAC is a printer maker's and a server's a server maker's.
//!
//! The prefixes are real assignments (checked against the IEEE registry as Debian ships it, `ieee-data`).

use decnet_core::Seed;
use serde::Serialize;

/// A maker of network interfaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Vendor {
    /// Its name.
    pub name: &'static str,
    /// Some of its prefixes.
    pub prefixes: &'static [[u8; 3]],
}

/// 00:50:56 is left out: only part of it is handed out, and a device number outside that part would be noticed.
pub(super) const VMWARE: Vendor = Vendor { name: "VMware", prefixes: &[[0x00, 0x0c, 0x29]] };
pub(super) const DELL: Vendor = Vendor {
    name: "Dell",
    prefixes: &[
        [0xd4, 0xae, 0x52],
        [0xf8, 0xb1, 0x56],
        [0xb8, 0xca, 0x3a],
        [0x18, 0x66, 0xda],
        [0x54, 0xbf, 0x64],
    ],
};
pub(super) const HP: Vendor = Vendor {
    name: "Hewlett Packard",
    prefixes: &[
        [0x3c, 0xd9, 0x2b],
        [0x9c, 0xb6, 0x54],
        [0x94, 0x57, 0xa5],
        [0x2c, 0x59, 0xe5],
        [0x30, 0x8d, 0x99],
    ],
};
pub(super) const SUPERMICRO: Vendor =
    Vendor { name: "Super Micro", prefixes: &[[0x00, 0x25, 0x90], [0xac, 0x1f, 0x6b], [0x0c, 0xc4, 0x7a]] };
pub(super) const INTEL: Vendor =
    Vendor { name: "Intel", prefixes: &[[0x00, 0x1b, 0x21], [0xa0, 0x36, 0x9f]] };
pub(super) const BROTHER: Vendor =
    Vendor { name: "Brother", prefixes: &[[0x00, 0x80, 0x77], [0x00, 0x1b, 0xa9]] };
pub(super) const LEXMARK: Vendor =
    Vendor { name: "Lexmark", prefixes: &[[0x00, 0x04, 0x00], [0x00, 0x20, 0x00]] };
pub(super) const RASPBERRY: Vendor =
    Vendor { name: "Raspberry Pi", prefixes: &[[0xb8, 0x27, 0xeb], [0xdc, 0xa6, 0x32], [0xe4, 0x5f, 0x01]] };
pub(super) const ESPRESSIF: Vendor =
    Vendor { name: "Espressif", prefixes: &[[0x24, 0x0a, 0xc4], [0x30, 0xae, 0xa4]] };
pub(super) const SIEMENS: Vendor =
    Vendor { name: "Siemens", prefixes: &[[0x00, 0x1b, 0x1b], [0x00, 0x0e, 0x8c]] };
pub(super) const SCHNEIDER: Vendor = Vendor { name: "Schneider Electric", prefixes: &[[0x00, 0x80, 0xf4]] };
pub(super) const ROCKWELL: Vendor = Vendor { name: "Rockwell", prefixes: &[[0x00, 0x00, 0xbc]] };
pub(super) const GRANDSTREAM: Vendor = Vendor { name: "Grandstream", prefixes: &[[0x00, 0x0b, 0x82]] };
pub(super) const DIGIUM: Vendor = Vendor { name: "Digium", prefixes: &[[0x00, 0x0f, 0xd3]] };
pub(super) const SYNOLOGY: Vendor = Vendor { name: "Synology", prefixes: &[[0x00, 0x11, 0x32]] };

/// What a machine without an archetype may be made by.
pub(super) const SERVERS: &[Vendor] = &[VMWARE, DELL, HP, SUPERMICRO, INTEL];

/// A hardware address in the range of one of `vendors`, drawn from `node`.
pub fn mac_address(node: &Seed, vendors: &[Vendor]) -> String {
    let vendors = if vendors.is_empty() { SERVERS } else { vendors };
    let vendor = node.child("vendor").pick(vendors).copied().unwrap_or(VMWARE);
    let prefix = node.child("prefix").pick(vendor.prefixes).copied().unwrap_or([0x00, 0x0c, 0x29]);
    let octets: Vec<String> = prefix
        .into_iter()
        .chain(node.child("device").bytes::<3>())
        .map(|octet| format!("{octet:02x}"))
        .collect();
    octets.join(":")
}

#[cfg(test)]
mod tests {
    use decnet_core::FleetSecret;

    use super::*;

    #[test]
    fn addresses_are_unicast_of_the_vendor_and_repeat() {
        let node = FleetSecret::from_number(7).seed();
        let mac = mac_address(&node, &[BROTHER]);
        assert!(mac.starts_with("00:80:77:") || mac.starts_with("00:1b:a9:"), "{mac}");
        assert_eq!(mac, mac_address(&node, &[BROTHER]));
        assert_ne!(mac, mac_address(&FleetSecret::from_number(8).seed(), &[BROTHER]));
    }

    #[test]
    fn no_prefix_is_multicast_or_local() {
        let all = [
            VMWARE,
            DELL,
            HP,
            SUPERMICRO,
            INTEL,
            BROTHER,
            LEXMARK,
            RASPBERRY,
            ESPRESSIF,
            SIEMENS,
            SCHNEIDER,
            ROCKWELL,
            GRANDSTREAM,
            DIGIUM,
            SYNOLOGY,
        ];
        for prefix in all.iter().flat_map(|v| v.prefixes) {
            assert_eq!(prefix[0] & 0b11, 0, "{prefix:02x?}");
        }
    }
}
