//! Which Dovecot the distribution ships: greeting, capabilities, and the words of refusals.
//!
//! Only what works is advertised, in Dovecot's order: the list is therefore shorter than the real one
//! (docs/fidelity.md).

/// Capabilities before login.
pub const EARLY: &str = "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ AUTH=PLAIN AUTH=LOGIN";
/// Capabilities after login.
pub const LATE: &str = "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE SORT SORT=DISPLAY THREAD=REFERENCES THREAD=REFS THREAD=ORDEREDSUBJECT UNSELECT CHILDREN NAMESPACE UIDPLUS LIST-EXTENDED I18NLEVEL=1 ESEARCH WITHIN LIST-STATUS BINARY MOVE STATUS=SIZE LITERAL+ SPECIAL-USE";

/// The greeting of a distribution.
pub fn greeting(distro: &str) -> String {
    let vendor = match distro {
        "debian" | "kali" => " (Debian)",
        "ubuntu22" | "ubuntu20" => " (Ubuntu)",
        _ => "",
    };
    // 2.2 (CentOS 7) lists LITERAL+ before IDLE.
    let early = if distro == "centos7" {
        EARLY.replace("ENABLE IDLE LITERAL+", "ENABLE LITERAL+ IDLE")
    } else {
        EARLY.to_owned()
    };
    format!("* OK [CAPABILITY {early}] Dovecot{vendor} ready.")
}

/// Time that a command took, as Dovecot appends it.
pub const TOOK: &str = "(0.001 + 0.000 secs).";
