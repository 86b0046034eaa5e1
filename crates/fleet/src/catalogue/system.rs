//! What a machine says of itself: the distribution's words, or for other families a system of that family.
//!
//! Only the words; the stack behind them is [`super::sysctls`].

use decnet_core::Seed;

use super::{Distro, HostStyle, OsFamily};

type Face = (&'static str, &'static str);

const WINDOWS_CLIENT: &[Face] = &[("Windows 10 Pro", "10.0.19045"), ("Windows 11 Pro", "10.0.22631")];

const WINDOWS_SERVER: &[Face] = &[
    ("Windows Server 2016 Standard", "10.0.14393"),
    ("Windows Server 2019 Standard", "10.0.17763"),
    ("Windows Server 2022 Standard", "10.0.20348"),
];

const BSD: &[Face] = &[
    ("FreeBSD 13.2-RELEASE-p9", "13.2-RELEASE-p9"),
    ("FreeBSD 13.3-RELEASE-p4", "13.3-RELEASE-p4"),
    ("FreeBSD 14.1-RELEASE-p2", "14.1-RELEASE-p2"),
];

const EMBEDDED: &[Face] = &[
    ("Buildroot 2019.02.9", "4.14.151"),
    ("Buildroot 2021.02.4", "5.4.61"),
    ("OpenWrt 19.07.7", "4.14.221"),
    ("Poky (Yocto Project Reference Distro) 2.7.3 (warrior)", "4.19.87"),
];

const CISCO: &[Face] = &[
    ("Cisco IOS Software, C2960X Software (C2960X-UNIVERSALK9-M), Version 15.2(7)E7", "15.2(7)E7"),
    ("Cisco IOS Software, C2900 Software (C2900-UNIVERSALK9-M), Version 15.7(3)M8", "15.7(3)M8"),
];

/// The pretty name and the `uname -r` that `node` draws.
pub fn face(distro: &'static Distro, family: OsFamily, style: HostStyle, node: &Seed) -> Face {
    let own = || {
        let kernel = node.pick(distro.kernels).copied().unwrap_or_default();
        (distro.os_pretty, kernel)
    };
    let of = |list: &'static [Face]| node.pick(list).copied().unwrap_or_else(own);
    match family {
        OsFamily::Linux => own(),
        OsFamily::Windows if style == HostStyle::Desktop => of(WINDOWS_CLIENT),
        OsFamily::Windows | OsFamily::WindowsServer => of(WINDOWS_SERVER),
        OsFamily::Bsd => of(BSD),
        OsFamily::Embedded => of(EMBEDDED),
        OsFamily::Cisco => of(CISCO),
    }
}
