//! Which web server this decky claims to run, and the habits by which that server is recognised.
//!
//! The choice is keyed; the candidates are the packages that the persona's distribution really ships. Habits that
//! differ between builds (signature on error pages, TRACE, wording) are data here, so that pages and parser ask
//! this one place. It deliberately builds no response.

use decnet_core::Seed;

/// The two servers whose behaviour is imitated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// nginx.
    Nginx,
    /// Apache httpd.
    Apache,
}

/// A server and its habits.
#[expect(clippy::struct_excessive_bools, reason = "independent habits, read one by one")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Which program.
    pub family: Family,
    /// Value of `Server:` and, where there is one, the name on error pages.
    pub token: String,
    /// Host name on error pages of requests that name none.
    pub host: String,
    /// Apache: `ServerSignature On` (Debian's and Alpine's default; Red Hat's is off).
    pub signature: bool,
    /// Apache: TRACE is answered (everywhere but on Debian and its children).
    pub trace: bool,
    /// Apache: order of `Allow:`, which is the order of a hash table with a per-process seed.
    pub allow: Vec<&'static str>,
    /// Apache: releases that print HTML 4.01 error pages and more headers with 304.
    pub recent: bool,
    /// Apache before 2.4.25: lenient about the request line, names the path on error pages.
    pub lenient: bool,
    /// nginx since 1.21.1: refuses what older ones let pass.
    pub strict: bool,
    /// Compression is on: Debian's packages and their children.
    pub compresses: bool,
    /// Apache: separates the parts of several ranges; drawn once at its start.
    pub boundary: String,
    /// Requests that one connection may carry.
    pub max_requests: u32,
}

/// `(family, token)` by distribution, most common first. Checked against the packages: Debian 12's by running
/// them, the others from their package lists (docs/fidelity.md).
fn candidates(distro: &str) -> &'static [(Family, &'static str)] {
    use Family::{Apache, Nginx};
    match distro {
        "ubuntu22" => &[(Apache, "Apache/2.4.52 (Ubuntu)"), (Nginx, "nginx/1.18.0 (Ubuntu)")],
        "ubuntu20" => &[(Apache, "Apache/2.4.41 (Ubuntu)"), (Nginx, "nginx/1.18.0 (Ubuntu)")],
        "rocky9" => &[(Apache, "Apache/2.4.62 (Rocky Linux)"), (Nginx, "nginx/1.20.1")],
        "centos7" => &[(Apache, "Apache/2.4.6 (CentOS)"), (Nginx, "nginx/1.20.1")],
        "alpine" => &[(Nginx, "nginx"), (Apache, "Apache/2.4.62 (Unix)")],
        "fedora" => &[(Apache, "Apache/2.4.62 (Fedora Linux)"), (Nginx, "nginx/1.26.2")],
        "kali" => &[(Apache, "Apache/2.4.65 (Debian)"), (Nginx, "nginx/1.26.3")],
        "arch" => &[(Nginx, "nginx/1.28.0"), (Apache, "Apache/2.4.65 (Unix)")],
        // Debian, and the fallback: machines lag behind the current point release.
        _ => &[
            (Apache, "Apache/2.4.62 (Debian)"),
            (Nginx, "nginx/1.22.1"),
            (Apache, "Apache/2.4.65 (Debian)"),
            (Nginx, "nginx/1.22.1"),
            (Apache, "Apache/2.4.71 (Debian)"),
        ],
    }
}

impl Server {
    /// The server of a decky: the operator's `Server:` text if given, else a keyed choice for the distribution.
    pub fn choose(seed: &Seed, distro: &str, host: &str, server_header: Option<&str>) -> Self {
        let choices = candidates(distro);
        let keyed = seed.child("server").pick(choices).or(choices.first());
        let (family, token) = match (server_header.filter(|text| is_header_text(text)), keyed) {
            (Some(text), _) if text.to_ascii_lowercase().starts_with("nginx") => (Family::Nginx, text),
            (Some(text), _) => (Family::Apache, text),
            (None, Some((family, token))) => (*family, *token),
            (None, None) => (Family::Nginx, "nginx"),
        };
        let version = token.split(['/', ' ']).nth(1).unwrap_or_default();
        let patch: u32 = version.strip_prefix("2.4.").and_then(|text| text.parse().ok()).unwrap_or(62);
        let lenient = family == Family::Apache && patch < 25;
        let debian = token.contains("(Debian)") || token.contains("(Ubuntu)");
        Self {
            family,
            token: token.to_owned(),
            host: host.to_owned(),
            signature: debian || (distro == "alpine" && family == Family::Apache),
            trace: family == Family::Apache && !debian,
            allow: allow_order(seed, lenient),
            recent: patch >= 66,
            lenient,
            strict: !(token.contains("/1.18") || token.contains("/1.20")),
            compresses: debian
                || (family == Family::Nginx && matches!(distro, "debian" | "ubuntu22" | "ubuntu20" | "kali")),
            boundary: format!("{:x}", seed.child("boundary").u64()),
            max_requests: match family {
                Family::Apache => 100,
                Family::Nginx if token.contains("/1.18") => 100,
                Family::Nginx => 1000,
            },
        }
    }

    /// Value of `Allow:`.
    pub fn allow_header(&self) -> String {
        let mut text = self.allow.join(",");
        if self.trace {
            text.push_str(",TRACE");
        }
        text
    }
}

fn allow_order(seed: &Seed, lenient: bool) -> Vec<&'static str> {
    let mut pool = vec!["GET", "HEAD", "POST", "OPTIONS"];
    if lenient {
        // That release's library does not seed its hash tables.
        return pool;
    }
    let mut order = Vec::with_capacity(pool.len());
    for step in ["a", "b", "c", "d"] {
        let Some(pick) = seed.child("allow").child(step).pick(&pool).copied() else { break };
        pool.retain(|method| *method != pick);
        order.push(pick);
    }
    order
}

/// Whether an operator's text can be a header value.
pub fn is_header_text(text: &str) -> bool {
    !text.is_empty() && text.len() <= 256 && text.bytes().all(|b| (0x20..0x7f).contains(&b))
}

#[cfg(test)]
mod tests {
    use decnet_core::FleetSecret;

    use super::*;

    #[test]
    fn the_choice_fits_the_distribution_and_is_stable() {
        let root = FleetSecret::from_number(1).seed();
        let mut seen = std::collections::BTreeSet::new();
        for i in 0..40u32 {
            let seed = root.child(i.to_be_bytes());
            let server = Server::choose(&seed, "ubuntu22", "h", None);
            assert!(server.token.ends_with("(Ubuntu)"), "{}", server.token);
            assert_eq!(server, Server::choose(&seed, "ubuntu22", "h", None));
            assert_eq!(server.allow.len(), 4);
            seen.insert(server.token);
        }
        assert_eq!(seen.len(), 2);
    }

    #[test]
    fn an_operators_header_sets_the_family_and_cannot_break_lines() {
        let seed = FleetSecret::from_number(1).seed();
        assert_eq!(Server::choose(&seed, "debian", "h", Some("nginx/1.25.3")).family, Family::Nginx);
        let server = Server::choose(&seed, "debian", "h", Some("Apache/2.4.71 (Debian)"));
        assert!(server.signature && server.recent && !server.trace);
        assert_ne!(Server::choose(&seed, "debian", "h", Some("a\r\nb: c")).token, "a\r\nb: c");
    }
}
