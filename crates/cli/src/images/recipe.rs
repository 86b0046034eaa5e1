//! How each distribution that debootstrap knows becomes a root file system that looks like a server's.

use decnet_fleet::catalogue;

/// What debootstrap is told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recipe {
    pub(super) slug: &'static str,
    pub(super) release: &'static str,
    pub(super) mirror: &'static str,
    /// The keys that its packages are signed with, and the package that brings them.
    pub(super) keyring: &'static str,
    pub(super) keyring_package: &'static str,
    /// Lines of sources.list; `{release}` stands for the release.
    pub(super) sources: &'static str,
    /// Packages beside those that the distribution itself calls required and important.
    pub(super) packages: &'static [&'static str],
}

/// What every server has that somebody works on. (No kernel: 400 MB that nobody boots.)
macro_rules! server {
    ($($more:literal),*) => {
        &[
            "bash-completion", "bzip2", "ca-certificates", "cron", "curl", "dbus", "file", "less", "locales", "logrotate",
            "lsof", "man-db", "nano", "net-tools", "openssh-client", "openssh-server", "openssh-sftp-server", "procps",
            "psmisc", "python3", "rsyslog", "screen", "sudo", "telnet", "traceroute", "unzip", "vim-tiny", "wget",
            "xz-utils", $($more),*
        ]
    };
}

const UBUNTU: &str = "deb http://archive.ubuntu.com/ubuntu/ {release} main restricted\n\
    deb http://archive.ubuntu.com/ubuntu/ {release}-updates main restricted\n\
    deb http://archive.ubuntu.com/ubuntu/ {release} universe\n\
    deb http://archive.ubuntu.com/ubuntu/ {release}-updates universe\n\
    deb http://security.ubuntu.com/ubuntu/ {release}-security main restricted\n\
    deb http://security.ubuntu.com/ubuntu/ {release}-security universe\n";
const UBUNTU_MIRROR: &str = "http://archive.ubuntu.com/ubuntu";
const UBUNTU_KEYRING: &str = "/usr/share/keyrings/ubuntu-archive-keyring.gpg";

const RECIPES: [Recipe; 4] = [
    Recipe {
        slug: "debian",
        release: "bookworm",
        mirror: "http://deb.debian.org/debian",
        keyring: "/usr/share/keyrings/debian-archive-keyring.gpg",
        keyring_package: "debian-archive-keyring",
        sources: "deb http://deb.debian.org/debian/ {release} main non-free-firmware\n\
            deb-src http://deb.debian.org/debian/ {release} main non-free-firmware\n\n\
            deb http://security.debian.org/debian-security {release}-security main non-free-firmware\n\
            deb-src http://security.debian.org/debian-security {release}-security main non-free-firmware\n\n\
            deb http://deb.debian.org/debian/ {release}-updates main non-free-firmware\n\
            deb-src http://deb.debian.org/debian/ {release}-updates main non-free-firmware\n",
        packages: server!["bind9-host", "netcat-traditional"],
    },
    Recipe {
        slug: "ubuntu22",
        release: "jammy",
        mirror: UBUNTU_MIRROR,
        keyring: UBUNTU_KEYRING,
        keyring_package: "ubuntu-keyring",
        sources: UBUNTU,
        packages: server!["bind9-host", "netcat-openbsd", "ubuntu-minimal"],
    },
    Recipe {
        slug: "ubuntu20",
        release: "focal",
        mirror: UBUNTU_MIRROR,
        keyring: UBUNTU_KEYRING,
        keyring_package: "ubuntu-keyring",
        sources: UBUNTU,
        packages: server!["bind9-host", "netcat-openbsd", "ubuntu-minimal"],
    },
    Recipe {
        slug: "kali",
        release: "kali-rolling",
        mirror: "http://http.kali.org/kali",
        keyring: "/usr/share/keyrings/kali-archive-keyring.gpg",
        keyring_package: "kali-archive-keyring",
        sources: "deb http://http.kali.org/kali {release} main contrib non-free non-free-firmware\n",
        packages: server!["bind9-host", "kali-defaults", "netcat-traditional"],
    },
];

/// The recipe of a distribution, or what to do where debootstrap has none.
pub(super) fn recipe(distro: &catalogue::Distro) -> Result<Recipe, String> {
    RECIPES.iter().copied().find(|recipe| recipe.slug == distro.slug).ok_or_else(|| {
        let known = RECIPES.iter().map(|recipe| recipe.slug).collect::<Vec<_>>().join(", ");
        format!(
            "debootstrap does not make {}; it makes {known}. Take a root file system of {} that you have instead: `decnet images import {} FILE.tar`",
            distro.slug, distro.name, distro.slug
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipes_are_of_distributions_that_the_catalogue_knows() {
        for recipe in RECIPES {
            assert!(catalogue::distro(recipe.slug).is_some(), "{}", recipe.slug);
            assert!(
                recipe.packages.iter().all(|name| super::super::build::is_package(name)),
                "{}",
                recipe.slug
            );
        }
        let refused = catalogue::distros().iter().filter_map(|distro| recipe(distro).err());
        assert!(refused.clone().count() >= 4 && refused.clone().all(|text| text.contains("images import")));
    }
}
