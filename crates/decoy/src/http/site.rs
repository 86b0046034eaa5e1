//! The company site of a decky: static pages, style sheet, icon, robots.txt, and the sign-in script.
//!
//! Everything is keyed, so two deckies share neither text nor layout. Dates come from a period of 75 days whose
//! start is keyed: the site "was last worked on" at the start of the present period, which is recent, stable over
//! restarts, and needs no stored state. Captures and wire format live elsewhere.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use decnet_core::{HostPersona, Seed};

use super::{errors::escape, text::Voice};

/// Days after which a site is "worked on" again.
const PERIOD_DAYS: i64 = 75;

/// A static file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Path as requested.
    pub path: String,
    /// File name ending decides the type: see [`content_type`].
    pub body: Vec<u8>,
    /// Time of the file.
    pub modified: DateTime<Utc>,
}

/// A decky's site.
pub struct Site {
    pages: BTreeMap<String, Page>,
    /// Path of the sign-in script.
    pub login: String,
    /// Folder behind HTTP Basic.
    pub guarded: String,
    /// Realm of that folder.
    pub realm: String,
    frame: Frame,
}

/// What all pages share.
struct Frame {
    company: String,
    layout: u64,
    css_path: String,
    nav: Vec<(String, String)>,
    footer: String,
    prefix: String,
}

impl Site {
    /// The site as it stands at `now`.
    pub fn build(seed: &Seed, persona: &HostPersona, now: DateTime<Utc>) -> Self {
        let period = period_start(seed, now);
        let seed = seed.child("site");
        let voice = Voice::new(&seed, persona, period.year());
        let pick = |label: &str, items: &[&'static str]| {
            seed.child(label).pick(items).copied().unwrap_or_default().to_owned()
        };
        let extension = pick("extension", &[".html", ".html", "/"]);
        let page_path = |name: &str| format!("/{name}{extension}");
        let login = pick(
            "login",
            &[
                "/login.php",
                "/portal/login.php",
                "/intranet/login.php",
                "/account/signin.php",
                "/kundenportal/login.php",
            ],
        );
        let guarded = pick("guarded", &["/admin/", "/manage/", "/internal/", "/backoffice/", "/reports/"]);
        let (about, offers) = (
            pick("about", &["about", "company", "about-us"]),
            pick("offers", &["services", "what-we-do", "solutions"]),
        );
        let prefix: String = hex::encode(seed.child("prefix").bytes::<2>());
        let css_path = pick(
            "css",
            &["/css/main.css", "/assets/site.css", "/static/style.css", "/style.css", "/theme/base.css"],
        );
        let mut nav = vec![
            ("/".to_owned(), pick("home", &["Home", "Start", "Welcome"])),
            (page_path(&about), pick("about title", &["About us", "Company", "Who we are"])),
            (page_path(&offers), pick("offers title", &["Services", "What we do", "Solutions"])),
            (page_path("contact"), "Contact".to_owned()),
        ];
        nav.push((
            login.clone(),
            pick("login title", &["Customer portal", "Sign in", "Portal", "Staff sign-in"]),
        ));
        let footer = format!(
            "&copy; {} {} &middot; {} &middot; {}",
            period.year(),
            escape(&persona.company),
            escape(&voice.street()),
            voice.phone()
        );
        let frame = Frame {
            company: persona.company.clone(),
            layout: seed.child("layout").range(0..=2),
            css_path: css_path.clone(),
            nav,
            footer,
            prefix,
        };
        let mut site = Self {
            pages: BTreeMap::new(),
            login,
            guarded,
            realm: pick(
                "realm",
                &["Restricted", "Administration", "Intranet", "Staff only", "Restricted Content"],
            ),
            frame,
        };

        let paragraphs = |place: &str, count| -> String {
            voice
                .body(place, count)
                .iter()
                .map(|text| format!("<p>{}</p>\n", escape(text)))
                .collect::<Vec<_>>()
                .concat()
        };
        let news: String = voice
            .news(3)
            .iter()
            .zip([3, 17, 40])
            .map(|(text, days)| {
                format!(
                    "<li><span>{}</span> {}</li>\n",
                    (period - TimeDelta::days(days)).format("%d %b %Y"),
                    escape(text)
                )
            })
            .collect::<Vec<_>>()
            .concat();
        let home = format!(
            "<p class=\"{}-lead\">{}</p>\n{}<h2>News</h2>\n<ul>\n{news}</ul>\n",
            site.frame.prefix,
            escape(&voice.lead("home")),
            paragraphs("home", 2)
        );
        site.put_html(&seed, period, "/", &persona.company, &home);
        let people: String = persona
            .accounts
            .iter()
            .take(5)
            .map(|account| {
                format!(
                    "<li>{} &ndash; <a href=\"mailto:{1}\">{1}</a></li>\n",
                    escape(&account.full_name),
                    escape(&account.email)
                )
            })
            .collect::<Vec<_>>()
            .concat();
        let body = format!(
            "<p>{}</p>\n{}<h2>Contacts</h2>\n<ul>\n{people}</ul>\n",
            escape(&voice.lead("about")),
            paragraphs("about", 3)
        );
        site.put_html(&seed, period, &page_path(&about), "About", &body);
        let offered: String = voice
            .trade()
            .offers
            .iter()
            .map(|offer| format!("<h3>{}</h3>\n{}", escape(offer), paragraphs(offer, 1)))
            .collect::<Vec<_>>()
            .concat();
        site.put_html(&seed, period, &page_path(&offers), "Services", &offered);
        let body = format!(
            "<p>{}<br>\n{}<br>\nTel. {}<br>\n<a href=\"mailto:info@{3}\">info@{3}</a></p>\n{4}",
            escape(&persona.company),
            escape(&voice.street()),
            voice.phone(),
            escape(&persona.domain),
            paragraphs("contact", 1)
        );
        site.put_html(&seed, period, &page_path("contact"), "Contact", &body);
        let robots = format!(
            "User-agent: *\nDisallow: {}\nDisallow: {}\nDisallow: /{}/\n",
            site.guarded,
            site.login,
            pick("hidden", &["backup", "old", "export", "tmp", "archive", "db"])
        );
        site.put(&seed, period, "/robots.txt", robots.into_bytes());
        site.put(&seed, period, "/favicon.ico", icon(&seed));
        let css = site.frame.css(&seed);
        site.put(&seed, period, &css_path, css.into_bytes());
        let urls: String = site
            .frame
            .nav
            .iter()
            .filter(|(path, _)| *path != site.login)
            .map(|(path, _)| format!("  <url><loc>http://{}{path}</loc></url>\n", escape(&persona.domain)))
            .collect::<Vec<_>>()
            .concat();
        site.put(&seed, period, "/sitemap.xml", format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<urlset xmlns=\"http://www.sitemaps.org/schemas/sitemap/0.9\">\n{urls}</urlset>\n").into_bytes());
        site
    }

    fn put_html(&mut self, seed: &Seed, period: DateTime<Utc>, path: &str, title: &str, body: &str) {
        let html = self.frame.html(title, body);
        self.put(seed, period, path, html.into_bytes());
    }

    fn put(&mut self, seed: &Seed, period: DateTime<Utc>, path: &str, body: Vec<u8>) {
        let seed = seed.child("modified").child(path);
        // Within two working days before the period began; microseconds, since Apache's tags show them.
        let back = i64::try_from(seed.range(0..=172_800_000_000)).unwrap_or(0);
        let modified = period - TimeDelta::microseconds(back);
        self.pages.insert(path.to_owned(), Page { path: path.to_owned(), body, modified });
    }

    /// The file at a path.
    pub fn page(&self, path: &str) -> Option<&Page> {
        self.pages.get(path).or_else(|| self.pages.get("/").filter(|_| path == "/index.html"))
    }

    /// Whether a path names a folder of the site, without its closing slash.
    pub fn is_folder(&self, path: &str) -> bool {
        let prefix = format!("{path}/");
        let below = |known: &str| known.starts_with(&prefix);
        path.len() > 1
            && (self.pages.keys().any(|known| below(known)) || below(&self.login) || below(&self.guarded))
    }

    /// All paths with a file.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.pages.keys().map(String::as_str)
    }

    /// The sign-in page, with a message after a failed attempt.
    pub fn login_page(&self, message: &str) -> String {
        let prefix = &self.frame.prefix;
        let note = if message.is_empty() {
            String::new()
        } else {
            format!("<p class=\"{prefix}-error\">{}</p>\n", escape(message))
        };
        let form = format!(
            "{note}<form method=\"post\" action=\"{}\">\n<p><label for=\"username\">User name</label><br><input type=\"text\" id=\"username\" name=\"username\" autocomplete=\"username\" required></p>\n<p><label for=\"password\">Password</label><br><input type=\"password\" id=\"password\" name=\"password\" autocomplete=\"current-password\" required></p>\n<p><button type=\"submit\">Sign in</button></p>\n</form>\n",
            self.login
        );
        self.frame.html("Sign in", &form)
    }

    /// What follows the right password: a second factor that nobody has.
    pub fn second_factor_page(&self, email: &str) -> String {
        let masked = match email.split_once('@') {
            Some((local, domain)) => format!("{}***@{domain}", local.chars().next().unwrap_or('*')),
            None => "your mailbox".to_owned(),
        };
        let form = format!(
            "<p>A confirmation code was sent to {}. It is valid for 10 minutes.</p>\n<form method=\"post\" action=\"{}\">\n<p><label for=\"code\">Code</label><br><input type=\"text\" id=\"code\" name=\"code\" inputmode=\"numeric\" maxlength=\"6\" required></p>\n<p><button type=\"submit\">Continue</button></p>\n</form>\n",
            escape(&masked),
            self.login
        );
        self.frame.html("Confirm sign-in", &form)
    }
}

impl Frame {
    fn html(&self, title: &str, body: &str) -> String {
        let prefix = &self.prefix;
        let links: String = self
            .nav
            .iter()
            .map(|(path, name)| format!("<a href=\"{path}\">{name}</a>\n"))
            .collect::<Vec<_>>()
            .concat();
        let (title, company) = (escape(title), escape(&self.company));
        let title = if title == company { company.clone() } else { format!("{title} | {company}") };
        let (css, footer) = (&self.css_path, &self.footer);
        let head = format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n<link rel=\"stylesheet\" href=\"{css}\">\n<link rel=\"icon\" href=\"/favicon.ico\">\n</head>\n"
        );
        match self.layout {
            0 => format!(
                "{head}<body>\n<header class=\"{prefix}-head\"><h1>{company}</h1>\n<nav>\n{links}</nav></header>\n<main>\n{body}</main>\n<footer>{footer}</footer>\n</body>\n</html>\n"
            ),
            1 => format!(
                "{head}<body class=\"{prefix}-side\">\n<aside><strong>{company}</strong>\n<nav>\n{links}</nav></aside>\n<article>\n{body}<hr>\n<small>{footer}</small>\n</article>\n</body>\n</html>\n"
            ),
            _ => format!(
                "{head}<body>\n<div id=\"{prefix}-wrap\">\n<div id=\"{prefix}-top\">{company}</div>\n<div id=\"{prefix}-menu\">\n{links}</div>\n<div id=\"{prefix}-content\">\n{body}</div>\n<div id=\"{prefix}-foot\">{footer}</div>\n</div>\n</body>\n</html>\n"
            ),
        }
    }

    fn css(&self, seed: &Seed) -> String {
        let prefix = &self.prefix;
        let font = seed
            .child("font")
            .pick(&[
                "Georgia, serif",
                "Verdana, sans-serif",
                "Arial, Helvetica, sans-serif",
                "\"Segoe UI\", Roboto, sans-serif",
                "\"Trebuchet MS\", sans-serif",
            ])
            .copied()
            .unwrap_or_default();
        let hue = seed.child("hue").range(0..=359);
        let width = seed.child("width").range(760..=1180);
        let pad = seed.child("pad").range(8..=28);
        format!(
            "body {{ margin: 0 auto; max-width: {width}px; padding: {pad}px; font-family: {font}; color: #222; }}\na {{ color: hsl({hue}, 60%, 32%); }}\nnav a, #{prefix}-menu a {{ margin-right: {pad}px; }}\nheader, aside, #{prefix}-top {{ background: hsl({hue}, 45%, 90%); padding: {pad}px; }}\n.{prefix}-side {{ display: flex; gap: {pad}px; }}\n.{prefix}-lead {{ font-size: 1.2em; }}\n.{prefix}-error {{ color: #a00; }}\nfooter, #{prefix}-foot {{ border-top: 1px solid #ccc; margin-top: {pad}px; font-size: .85em; }}\n"
        )
    }
}

/// Start of the present period.
pub fn period_start(seed: &Seed, now: DateTime<Utc>) -> DateTime<Utc> {
    let length = PERIOD_DAYS * 86_400;
    let phase =
        i64::try_from(seed.child("period").range(0..=u64::try_from(length - 1).unwrap_or(0))).unwrap_or(0);
    let into = (now.timestamp() - phase).rem_euclid(length);
    DateTime::from_timestamp(now.timestamp() - into, 0).unwrap_or(now)
}

/// A 16x16 icon in two keyed colours: a mirrored pattern, as generated logos are.
fn icon(seed: &Seed) -> Vec<u8> {
    let bits = seed.child("icon").bytes::<32>();
    let [r, g, b] = seed.child("icon colour").bytes::<3>();
    let mut out = vec![0, 0, 1, 0, 1, 0, 16, 16, 0, 0, 1, 0, 32, 0];
    out.extend_from_slice(&(40u32 + 1024 + 64).to_le_bytes());
    out.extend_from_slice(&22u32.to_le_bytes());
    for value in [40u32, 16, 32, 1 | 32 << 16, 0, 1024, 0, 0, 0, 0] {
        out.extend_from_slice(&value.to_le_bytes());
    }
    for y in 0..16usize {
        for x in 0..16usize {
            let half = if x < 8 { x } else { 15 - x };
            let on = bits.get(y * 2 + half / 4).is_some_and(|byte| byte >> (half % 8) & 1 == 1);
            out.extend_from_slice(&if on { [b, g, r, 255] } else { [255, 255, 255, 0] });
        }
    }
    out.extend_from_slice(&[0; 64]);
    out
}

#[cfg(test)]
#[path = "site_tests.rs"]
mod tests;
