//! Distributions as faces: what os-release, `uname -r`, `/proc/version` and host names say (spec 2.2).
//!
//! With us a distribution is data of a persona, not an image pulled from somewhere.

use serde::Serialize;

use super::HostStyle;

/// One distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Distro {
    /// Its name in INIs and records.
    pub slug: &'static str,
    /// Image tag of the original's base container.
    pub base_image: &'static str,
    /// What lists show.
    pub name: &'static str,
    /// How its machines are named.
    pub host_style: HostStyle,
    /// Image that the original built services from.
    pub build_base: &'static str,
    /// `ID` of os-release.
    pub id: &'static str,
    /// `PRETTY_NAME` of os-release.
    pub os_pretty: &'static str,
    /// `uname -r` of kernels that it shipped.
    pub kernels: &'static [&'static str],
}

/// Every distribution, in the order of the table.
pub fn distros() -> &'static [Distro] {
    DISTROS
}

/// The distribution of this slug.
pub fn distro(slug: &str) -> Option<&'static Distro> {
    DISTROS.iter().find(|d| d.slug == slug)
}

/// Every slug in one line, for messages.
pub fn known_distros() -> String {
    DISTROS.iter().map(|d| d.slug).collect::<Vec<_>>().join(", ")
}

const DEBIAN: &str = "debian:bookworm-slim";

const DISTROS: &[Distro] = &[
    Distro {
        slug: "debian",
        base_image: DEBIAN,
        name: "Debian 12 (Bookworm)",
        host_style: HostStyle::Generic,
        build_base: DEBIAN,
        id: "debian",
        os_pretty: "Debian GNU/Linux 12 (bookworm)",
        kernels: &["6.1.0-18-amd64", "6.1.0-21-amd64", "6.1.0-25-amd64", "6.1.0-28-amd64", "6.1.0-31-amd64"],
    },
    Distro {
        slug: "ubuntu22",
        base_image: "ubuntu:22.04",
        name: "Ubuntu 22.04 LTS (Jammy)",
        host_style: HostStyle::Generic,
        build_base: "ubuntu:22.04",
        id: "ubuntu",
        os_pretty: "Ubuntu 22.04.4 LTS",
        kernels: &["5.15.0-94-generic", "5.15.0-105-generic", "5.15.0-113-generic", "5.15.0-122-generic"],
    },
    Distro {
        slug: "ubuntu20",
        base_image: "ubuntu:20.04",
        name: "Ubuntu 20.04 LTS (Focal)",
        host_style: HostStyle::Generic,
        build_base: "ubuntu:20.04",
        id: "ubuntu",
        os_pretty: "Ubuntu 20.04.6 LTS",
        kernels: &["5.4.0-169-generic", "5.4.0-182-generic", "5.4.0-192-generic", "5.4.0-200-generic"],
    },
    Distro {
        slug: "rocky9",
        base_image: "rockylinux:9-minimal",
        name: "Rocky Linux 9",
        host_style: HostStyle::Rhel,
        build_base: DEBIAN,
        id: "rocky",
        os_pretty: "Rocky Linux 9.4 (Blue Onyx)",
        kernels: &[
            "5.14.0-427.13.1.el9_4.x86_64",
            "5.14.0-427.24.1.el9_4.x86_64",
            "5.14.0-427.37.1.el9_4.x86_64",
        ],
    },
    Distro {
        slug: "centos7",
        base_image: "centos:7",
        name: "CentOS 7",
        host_style: HostStyle::Rhel,
        build_base: DEBIAN,
        id: "centos",
        os_pretty: "CentOS Linux 7 (Core)",
        kernels: &["3.10.0-1160.el7.x86_64", "3.10.0-1160.90.1.el7.x86_64", "3.10.0-1160.119.1.el7.x86_64"],
    },
    Distro {
        slug: "alpine",
        base_image: "alpine:3.19",
        name: "Alpine Linux 3.19",
        host_style: HostStyle::Minimal,
        build_base: DEBIAN,
        id: "alpine",
        os_pretty: "Alpine Linux v3.19",
        kernels: &["6.6.14-0-lts", "6.6.22-1-lts", "6.6.31-0-lts"],
    },
    Distro {
        slug: "fedora",
        base_image: "fedora:39",
        name: "Fedora 39",
        host_style: HostStyle::Rhel,
        build_base: DEBIAN,
        id: "fedora",
        os_pretty: "Fedora Linux 39 (Server Edition)",
        kernels: &["6.5.6-300.fc39.x86_64", "6.7.9-200.fc39.x86_64", "6.8.9-200.fc39.x86_64"],
    },
    Distro {
        slug: "kali",
        base_image: "kalilinux/kali-rolling",
        name: "Kali Linux (Rolling)",
        host_style: HostStyle::Rolling,
        build_base: "kalilinux/kali-rolling",
        id: "kali",
        os_pretty: "Kali GNU/Linux Rolling",
        kernels: &["6.6.9-amd64", "6.8.11-amd64", "6.10.9-amd64"],
    },
    Distro {
        slug: "arch",
        base_image: "archlinux:latest",
        name: "Arch Linux",
        host_style: HostStyle::Rolling,
        build_base: DEBIAN,
        id: "arch",
        os_pretty: "Arch Linux",
        kernels: &["6.8.9-arch1-1", "6.9.7-arch1-1", "6.10.10-arch1-1"],
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_table() {
        let rows: Vec<String> = DISTROS
            .iter()
            .map(|d| {
                format!("{} | {} | {} | {:?} | {}", d.slug, d.base_image, d.name, d.host_style, d.build_base)
            })
            .collect();
        insta::assert_snapshot!(rows.join("\n"));
    }
}
