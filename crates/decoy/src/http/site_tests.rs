//! No two deckies share pages, a decky keeps its own, links lead somewhere.

use std::collections::BTreeSet;

use chrono::TimeZone;
use decnet_core::{Account, FleetSecret};

use super::*;

fn persona() -> HostPersona {
    let account = |login: &str| Account {
        login: login.to_owned(),
        full_name: format!("{login} Example"),
        password: "pw".to_owned(),
        uid: 1000,
        email: format!("{login}@corp.example"),
    };
    HostPersona {
        hostname: "web-01".into(),
        domain: "corp.example".into(),
        company: "Corp & Sons".into(),
        timezone: "UTC".into(),
        distro: "debian".into(),
        os_pretty: "Debian GNU/Linux 12 (bookworm)".into(),
        kernel: "6.1.0".into(),
        os_family: "linux".into(),
        boot_offset_s: 9,
        accounts: vec![account("anna"), account("bob")],
    }
}

#[test]
fn twenty_sites_of_one_company_share_no_page() {
    let root = FleetSecret::from_number(1).seed();
    let now = Utc.with_ymd_and_hms(2026, 11, 24, 12, 0, 0).unwrap();
    let mut bodies = BTreeSet::new();
    let mut count = 0;
    for i in 0..20u32 {
        let site = Site::build(&root.child(i.to_be_bytes()), &persona(), now);
        for path in site.paths().filter(|path| !["/robots.txt", "/sitemap.xml"].contains(path)) {
            bodies.insert(site.page(path).unwrap().body.clone());
            count += 1;
        }
    }
    assert_eq!(bodies.len(), count);
}

#[test]
fn a_site_is_stable_and_recent() {
    let seed = FleetSecret::from_number(2).seed();
    let now = Utc.with_ymd_and_hms(2026, 11, 24, 12, 0, 0).unwrap();
    let (first, later) =
        (Site::build(&seed, &persona(), now), Site::build(&seed, &persona(), now + TimeDelta::hours(1)));
    for path in first.paths() {
        assert_eq!(first.page(path), later.page(path));
        let age = now - first.page(path).unwrap().modified;
        assert!(age >= TimeDelta::zero() && age <= TimeDelta::days(PERIOD_DAYS + 2), "{age}");
    }
}

#[test]
fn links_lead_to_pages_and_nothing_is_raw() {
    let site = Site::build(
        &FleetSecret::from_number(3).seed(),
        &persona(),
        Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap(),
    );
    let home = String::from_utf8(site.page("/").unwrap().body.clone()).unwrap();
    assert!(home.contains("Corp &amp; Sons") && !home.contains("Corp & Sons") && !home.contains('{'));
    for link in home.split("href=\"/").skip(1) {
        let path = format!("/{}", link.split('"').next().unwrap());
        assert!(path == site.login || site.page(&path).is_some(), "{path}");
    }
    assert!(site.login_page("<b>").contains("&lt;b&gt;"));
    assert!(site.second_factor_page("anna@x").contains("a***@x"));
}
